//! A body of 1 KiB held against a model as people write them.

use schema::{Schemas, Validator};

use crate::{Case, templating::BODY};

/// Types, names that have to be there, bounds, patterns, an enumeration, a reference, a format, nothing beyond what is named.
const ORDER: &str = r##"{
  "$schema": "http://json-schema.org/draft-04/schema#",
  "title": "Order",
  "type": "object",
  "required": ["customer", "items", "payment"],
  "properties": {
    "customer": {
      "type": "object",
      "required": ["id", "name", "email"],
      "properties": {
        "id": {"type": "string", "pattern": "^c-[0-9]{6}$"},
        "name": {"type": "string", "minLength": 1, "maxLength": 100},
        "email": {"type": "string", "format": "email"},
        "vip": {"type": "boolean"},
        "address": {"$ref": "#/definitions/address"},
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": true}
      }
    },
    "items": {
      "type": "array",
      "items": {
        "type": "object",
        "required": ["sku", "count"],
        "properties": {
          "sku": {"type": "string", "pattern": "^SKU-\\d+$"},
          "count": {"type": "integer", "minimum": 1, "maximum": 1000},
          "price": {"type": "number", "minimum": 0},
          "title": {"type": "string", "maxLength": 80},
          "weight_g": {"type": "integer"}
        },
        "additionalProperties": false
      }
    },
    "payment": {
      "type": "object",
      "required": ["kind", "amount", "currency"],
      "properties": {
        "kind": {"enum": ["card", "invoice", "cash"]},
        "amount": {"type": "number", "multipleOf": 0.01},
        "currency": {"type": "string", "pattern": "^[A-Z]{3}$"}
      }
    },
    "shipping": {"type": "object", "properties": {"kind": {"type": "string"}, "carrier": {"type": ["string", "null"]}}},
    "locale": {"type": "string", "pattern": "^[a-z]{2}-[A-Z]{2}$"}
  },
  "definitions": {
    "address": {
      "type": "object",
      "required": ["street", "city"],
      "properties": {
        "street": {"type": "string"},
        "city": {"type": "string"},
        "zip": {"type": "string", "pattern": "^\\d{5}$"},
        "country": {"type": "string", "minLength": 2, "maxLength": 2},
        "geo": {"type": "object", "properties": {"lat": {"type": "number", "minimum": -90, "maximum": 90}, "lon": {"type": "number"}}}
      }
    }
  }
}"##;

fn validator() -> Option<Validator> {
    Schemas::compile(&[("Order", ORDER)]).ok()?.validator("Order")
}

/// The body's reading included.
pub(crate) fn validate() -> Case {
    let validator = validator();
    Case::new("validate", move || validator.as_ref().is_some_and(|it| it.validate(BODY.as_bytes()).is_ok()))
}

/// With one thing wrong, which is told.
pub(crate) fn validate_invalid() -> Case {
    let (validator, body) = (validator(), BODY.replace("19.99", "-1"));
    Case::new("validate_invalid", move || {
        let outcome = validator.as_ref().map(|it| it.validate(body.as_bytes()));
        let said = "[numeric instance is lower than the required minimum (minimum: 0, found: -1)]";
        matches!(outcome, Some(Err(invalid)) if invalid.message() == said)
    })
}
