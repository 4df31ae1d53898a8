//! What models say, how they refer to each other, and what is wrong with them.

use super::check;
use crate::{MISTAKES_MAX, Schemas};

#[test]
fn numbers_are_decimal() {
    check(r#"{"enum": [1, 1e2]}"#, &["1", "1.0", "100", "10e1"], &["2", "\"1\"", "true"]);
    check(
        r#"{"minimum": 0.1}"#,
        &["0.1", "0.10000000000000000001", "1e300", "\"x\""],
        &["0.09999999999999999999"],
    );
    check(r#"{"maximum": 9007199254740992}"#, &["9007199254740992"], &["9007199254740993"]);
    // Draft 4: a number with a point is no integer.
    check(r#"{"type": "integer"}"#, &["1", "-0", "123456789012345678901234567890"], &["1.0", "1e2"]);
}

/// Row 140, U: what the guide says is not checked.
#[test]
fn keywords_without_a_word() {
    check(r#"{"type": "array", "minItems": 2, "maxItems": 2}"#, &["[]", "[1]", "[1,2,3]"], &["{}"]);
    check(r#"{"minimum": 1, "exclusiveMinimum": true}"#, &["1", "2"], &["0"]);
    check(r#"{"maximum": 1, "exclusiveMaximum": true}"#, &["0"], &["1"]);
    check(
        r#"{"type": "string", "discriminator": "kind", "example": 1, "readOnly": true, "deprecated": true, "default": 2, "nullable": true}"#,
        &["\"a\""],
        &["null"],
    );
    check(r#"{"type": "integer", "format": "int32"}"#, &["12345678901234"], &["\"1\""]);
}

/// Whoever reads the body behind us may take either.
#[test]
fn names_that_stand_twice_both_count() {
    check(
        r#"{"properties": {"a": {"type": "string"}}}"#,
        &[r#"{"a": "x", "a": "y"}"#],
        &[r#"{"a": 1, "a": "y"}"#, r#"{"a": "y", "a": 1}"#],
    );
    check(r#"{"required": ["a", "b"]}"#, &[r#"{"a": 1, "b": 2}"#], &[r#"{"a": 1, "a": 2}"#]);
}

#[test]
fn names_are_read_before_they_are_compared() {
    check(
        r#"{"properties": {"\u0061": {"type": "string"}}, "required": ["a"], "additionalProperties": false}"#,
        &[r#"{"a": "x"}"#, r#"{"\u0061": "x"}"#],
        &[r#"{"\u0061": 1}"#, r#"{"\\u0061": "x"}"#],
    );
    let many: Vec<_> = (0..40).map(|number| format!("\"p{number}\": {{\"enum\": [{number}]}}")).collect();
    let schema = format!("{{\"properties\": {{{}}}, \"additionalProperties\": false}}", many.join(","));
    check(
        &schema,
        &[r#"{"p0": 0, "p39": 39}"#, r#"{"\u0070\u0031": 1}"#],
        &[r#"{"p0": 39}"#, r#"{"p40": 40}"#],
    );
    let names: Vec<_> = (0..200).map(|number| format!("\"p{number}\"")).collect();
    let schema = format!("{{\"required\": [{}]}}", names.join(","));
    let body = |names: &[String]| {
        format!("{{{}}}", names.iter().map(|name| format!("{name}: 0")).collect::<Vec<_>>().join(","))
    };
    check(&schema, &[&body(&names)], &[&body(&names[1..]), &body(&names[..199])]);
}

#[test]
fn values_are_the_same_whatever_their_order() {
    check(
        r#"{"uniqueItems": true}"#,
        &["[1, \"1\", true, [1], {\"a\": 1}, null, 0, false, \"\"]", "[[1,2],[2,1]]"],
        &[r#"[{"a": 1, "b": [2.0]}, {"b": [2], "a": 1e0}]"#, r#"["a", "\u0061"]"#, "[[], []]"],
    );
    check(
        r#"{"enum": [{"a": 1, "b": 2}]}"#,
        &[r#"{"b": 2, "a": 1}"#],
        &[r#"{"a": 1}"#, r#"{"a": 1, "b": 2, "c": 3}"#],
    );
}

/// The models of a shop: references between models and within one.
#[test]
fn references() {
    const ID: &str = "https://apigateway.amazonaws.com/restapis";
    let order = format!(
        r##"{{"type": "object", "required": ["items"], "properties": {{
            "items": {{"type": "array", "items": {{"$ref": "{ID}/a1b2c3d4e5/models/Item"}}}},
            "price": {{"$ref": "{ID}/${{RestApi}}/models/Item#/definitions/money%7Eplain", "type": "null"}},
            "parent": {{"$ref": "#"}},
            "$ref": {{"type": "string"}}}}}}"##
    );
    let item = r##"{"definitions": {"money~plain": {"type": "number"}, "a/b": {"enum": [[{"type": "null"}]]}},
        "properties": {"price": {"$ref": "#/definitions/money~0plain"}, "first": {"$ref": "#/definitions/a~1b/enum/0/0"}}}"##;
    let schemas =
        Schemas::compile(&[("Order", &order), ("Item", item)]).map_err(|mistakes| format!("{mistakes:?}"));
    let order = schemas.unwrap_or_else(|mistakes| panic!("{mistakes}")).validator("Order").unwrap();
    for body in [
        r#"{"items": []}"#,
        r#"{"items": [{"price": 1.5, "first": null}], "price": 2, "$ref": "x"}"#,
        r#"{"items": [], "parent": {"items": [], "parent": {"items": [{"price": 1}]}}}"#,
    ] {
        assert_eq!(order.validate(body.as_bytes()), Ok(()), "{body}");
    }
    for body in [
        r#"{"items": [{"price": "1"}]}"#,
        r#"{"items": [{"first": 1}]}"#,
        r#"{"items": [], "price": null}"#,
        r#"{"items": [], "$ref": 1}"#,
        r#"{"items": [], "parent": {"items": [], "parent": {"items": [{"price": "1"}]}}}"#,
    ] {
        assert!(order.validate(body.as_bytes()).is_err(), "{body}");
    }
}

/// What is said of the model `M` beside the model `Other`.
#[track_caller]
fn check_refused(schema: &str, expected: &[&str]) {
    let mistakes = Schemas::compile(&[("M", schema), ("Other", "{\"type\": \"string\"}")]).unwrap_err();
    let mut said: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
    said.sort();
    assert_eq!(said, expected, "{schema}");
}

#[test]
fn mistakes_with_their_places() {
    // Row 112, U.
    let empty = "M#: Model schema must have at least 1 property or array items defined";
    check_refused("", &[empty]);
    check_refused(" \n", &[empty]);
    check_refused("{}", &[empty]);
    check_refused("[]", &["M#: a schema has to be an object"]);
    check_refused("{\n \"a\": tru}", &["M#: the schema is no JSON: line 2, column 7: a value is wanted"]);
    check_refused(
        r#"{"type": "strin", "properties": {"a/b": {"type": [1]}, "c": true}, "required": "a"}"#,
        &[
            "M#/properties/a~1b/type: there are the types array, boolean, integer, null, number, object and string",
            "M#/properties/c: a schema has to be an object",
            "M#/required: a list of names is wanted",
            "M#/type: there are the types array, boolean, integer, null, number, object and string",
        ],
    );
    check_refused(
        r#"{"properties": [], "items": 1, "additionalProperties": 1, "required": [1], "enum": [], "allOf": [], "anyOf": {},
            "oneOf": [1], "not": null, "minLength": -1, "maxLength": 1.5, "minimum": "1", "multipleOf": 0, "uniqueItems": 1,
            "pattern": 1, "format": 1, "dependencies": {"a": 1, "b": [1]}, "patternProperties": {"(": {}}}"#,
        &[
            "M#/additionalProperties: a schema has to be an object",
            "M#/allOf: a list of schemas is wanted, with one at least",
            "M#/anyOf: a list of schemas is wanted, with one at least",
            "M#/dependencies/a: a schema has to be an object",
            "M#/dependencies/b: a list of names is wanted",
            "M#/enum: a list of values is wanted, with one at least",
            "M#/format: a string is wanted",
            "M#/items: a schema has to be an object",
            "M#/maxLength: a whole number of 0 or more is wanted",
            "M#/minLength: a whole number of 0 or more is wanted",
            "M#/minimum: a number is wanted",
            "M#/multipleOf: it has to be above 0, and have 18 digits that count at most",
            "M#/not: a schema has to be an object",
            "M#/oneOf/0: a schema has to be an object",
            "M#/pattern: a string is wanted",
            "M#/patternProperties/(: the pattern `(` can't be used: unclosed group",
            "M#/properties: an object is wanted",
            "M#/required: a list of names is wanted",
            "M#/uniqueItems: true or false is wanted",
        ],
    );
    let wrong: Vec<_> = (0..100).map(|number| format!("\"p{number}\": 1")).collect();
    let schema = format!("{{\"properties\": {{{}}}}}", wrong.join(","));
    assert_eq!(Schemas::compile(&[("M", &schema)]).unwrap_err().len(), MISTAKES_MAX);
}

#[test]
fn names_of_models() {
    let said = |models: &[(&str, &str)]| {
        Schemas::compile(models).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let text = "{\"type\": \"string\"}";
    assert_eq!(said(&[("a-b", text)]), ["a-b#: a model's name has letters and digits only"]);
    assert_eq!(said(&[("", text)]), ["#: a model's name has letters and digits only"]);
    assert_eq!(said(&[("A", text), ("A", text)]), ["A#: there are two models of this name"]);
}

#[test]
fn references_that_lead_nowhere() {
    let nowhere = |reference: &str, why: &str| {
        let schema = format!("{{\"items\": {{\"$ref\": \"{reference}\"}}}}");
        check_refused(&schema, &[&format!("M#/items/$ref: `{reference}` leads nowhere{why}")]);
    };
    let form =
        "; it has to begin with `#`, or to be `https://apigateway.amazonaws.com/restapis/ID/models/NAME`";
    nowhere("#/definitions/x", ": there is no `definitions`");
    nowhere("#x", ": behind `#` a JSON pointer is wanted");
    nowhere("Other", form);
    nowhere("http://json-schema.org/draft-04/schema#", form);
    nowhere("https://apigateway.amazonaws.com/restapis/models/Other", form);
    nowhere("https://apigateway.amazonaws.com/restapis/a/models/Another", ": the API has no model `Another`");
}

#[test]
fn loops() {
    let loops = "leads to itself, or through more than 32";
    let refused = |schema: &str| Schemas::compile(&[("M", schema)]).unwrap_err()[0].to_string();
    for schema in [
        r##"{"$ref": "#"}"##,
        r##"{"definitions": {"a": {"$ref": "#/definitions/b"}, "b": {"$ref": "#/definitions/a"}}, "items": {"$ref": "#/definitions/a"}}"##,
    ] {
        let said = refused(schema);
        assert!(said.contains(loops) && said.ends_with("(limit: references)"), "{said}");
    }
    for schema in [
        r##"{"allOf": [{"$ref": "#"}]}"##,
        r##"{"properties": {"a": {"anyOf": [{"not": {"oneOf": [{"$ref": "#/properties/a"}]}}]}}}"##,
        r##"{"dependencies": {"a": {"$ref": "#"}}}"##,
    ] {
        let said = refused(schema);
        assert!(said.contains(loops) && said.ends_with("(limit: schemas in place)"), "{said}");
    }
    // With a step into the value it ends when the value does.
    check(
        r##"{"type": "object", "additionalProperties": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}"##,
        &[r#"{"a": {"b": {"c": null}}}"#],
        &[r#"{"a": {"b": {"c": 1}}}"#],
    );
}
