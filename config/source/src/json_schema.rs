//! `floodgate schema`: what may be written as JSON Schema (draft 2020-12), for editors. It is made from [`ROOT`], the
//! data that the reader goes by. It knows shapes, units and choices; ranges of units, references and what keys mean
//! beside each other only `check` knows.

use serde_json::{Map, Value, json};

use crate::{Form, Key, ROOT, Section, units};

/// A decimal number.
const NUMBER: &str = r"[0-9]+(\.[0-9]+)?";
/// What makes a string more than it says: its value is known only where it is read.
const REFERENCE: &str = r"\$\{";

/// The schema, as pretty JSON with a newline at its end.
pub fn schema_json() -> String {
    let mut definitions = Map::new();
    define(&ROOT, &mut definitions);
    let root = definitions.shift_remove(ROOT.name).unwrap_or_default();
    let mut schema = Map::new();
    schema.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    schema.insert("title".into(), "Floodgate".into());
    schema.extend(root.as_object().cloned().unwrap_or_default());
    schema.insert("$defs".into(), definitions.into());
    format!("{:#}\n", Value::Object(schema))
}

/// Adds a section and those below it.
fn define(section: &'static Section, definitions: &mut Map<String, Value>) {
    if definitions.contains_key(section.name) {
        return;
    }
    let properties: Map<_, _> = section.keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    let required: Vec<_> = section.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    let mut schema = json!({
        "description": section.doc,
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    definitions.insert(section.name.to_owned(), schema);
    section.keys.iter().filter_map(Key::section).for_each(|below| define(below, definitions));
}

fn property(key: &Key) -> Value {
    let mut schema = json!({ "description": description(key) });
    if let (Some(schema), Value::Object(form)) = (schema.as_object_mut(), form(&key.form)) {
        schema.extend(form);
    }
    if let Some(default) = key.default.and_then(literal) {
        schema["default"] = default;
    }
    if let Some(example) = literal(&key.form.example()).filter(|_| key.default.is_none()) {
        schema["examples"] = json!([example]);
    }
    schema
}

fn description(key: &Key) -> String {
    let range = match &key.form {
        Form::Duration(min, max) => Some((units::show_duration(*min), units::show_duration(*max))),
        Form::Size(min, max) => Some((units::show_size(*min), units::show_size(*max))),
        _ => None,
    };
    match range {
        Some((min, max)) => format!("{} From `{min}` to `{max}`.", key.doc),
        None => key.doc.to_owned(),
    }
}

fn form(form: &Form) -> Value {
    let reference = |section: &Section| json!({ "$ref": format!("#/$defs/{}", section.name) });
    let unit =
        |names: String| json!({ "type": "string", "pattern": format!("^{NUMBER}({names})$|{REFERENCE}") });
    match form {
        Form::Text(_) => json!({ "type": "string" }),
        Form::Path => json!({ "type": "string", "minLength": 1 }),
        Form::Boolean => json!({ "type": "boolean" }),
        Form::Count(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Form::Duration(..) => unit(units::duration_units().collect::<Vec<_>>().join("|")),
        Form::Size(..) => unit(units::size_units().collect::<Vec<_>>().join("|")),
        Form::Rate => unit("/s|/m|/h".to_owned()),
        Form::Address => json!({ "type": "string", "pattern": format!(":[0-9]+$|{REFERENCE}") }),
        Form::Choice(choices) => {
            json!({ "anyOf": [{ "enum": choices }, { "type": "string", "pattern": REFERENCE }] })
        }
        Form::Texts(_) => json!({ "type": "array", "items": { "type": "string" } }),
        Form::Counts(min, max, _) => {
            json!({ "type": "array", "items": { "type": "integer", "minimum": min, "maximum": max } })
        }
        Form::Pairs => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Form::TextOrPairs(_) => json!({ "anyOf": [{ "type": "string" }, self::form(&Form::Pairs)] }),
        Form::NamedPairs => json!({ "type": "object", "additionalProperties": self::form(&Form::Pairs) }),
        Form::Number(min, max) => json!({ "type": "number", "minimum": min, "maximum": max }),
        Form::WordOrTable(words, section) => json!({ "anyOf": [{ "enum": words }, reference(section)] }),
        Form::PathOrTable(section) => {
            json!({ "anyOf": [self::form(&Form::Path), reference(section)] })
        }
        Form::Table(section) => reference(section),
        Form::Tables(section) => json!({ "type": "array", "items": reference(section) }),
        Form::Named(section) => json!({ "type": "object", "additionalProperties": reference(section) }),
        Form::DurationOrTable(section, words) => {
            let duration = section.keys.first().map(|key| self::form(&key.form));
            json!({ "anyOf": [duration, { "enum": words }, reference(section)] })
        }
        Form::TableOrTables(section) => {
            let tables = json!({ "type": "array", "items": reference(section) });
            json!({ "anyOf": [reference(section), tables] })
        }
    }
}

/// What a literal of TOML is in JSON; `None` for an example that leaves something out.
fn literal(text: &str) -> Option<Value> {
    let table = format!("x = {text}").parse::<toml::Table>().ok()?;
    table.get("x").map(converted)
}

fn converted(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.as_str().into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) => (*number).into(),
        toml::Value::Boolean(truth) => (*truth).into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items.iter().map(converted).collect(),
        toml::Value::Table(entries) => {
            entries.iter().map(|(name, value)| (name.clone(), converted(value))).collect()
        }
    }
}
