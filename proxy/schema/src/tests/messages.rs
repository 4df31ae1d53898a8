//! `validationErrorString` (row 114): the words of json-schema-validator 2.2, each of them once, and their order.

use super::said;

#[track_caller]
fn check(schema: &str, body: &str, expected: &str) {
    assert_eq!(said(schema, body), expected, "{schema}: {body}");
}

#[test]
fn a_message_for_each_keyword() {
    check(r#"{"required": ["name"]}"#, "{}", r#"[object has missing required properties (["name"])]"#);
    check(
        r#"{"required": ["b", "a", "c"]}"#,
        r#"{"c": 1}"#,
        r#"[object has missing required properties (["a","b"])]"#,
    );
    check(
        r#"{"type": "integer"}"#,
        r#""x""#,
        r#"[instance type (string) does not match any allowed primitive type (allowed: ["integer"])]"#,
    );
    check(
        r#"{"type": "number"}"#,
        "null",
        r#"[instance type (null) does not match any allowed primitive type (allowed: ["integer","number"])]"#,
    );
    check(
        r#"{"type": ["string", "object"]}"#,
        "1.0",
        r#"[instance type (number) does not match any allowed primitive type (allowed: ["object","string"])]"#,
    );
    check(
        r#"{"enum": ["a", "b"]}"#,
        r#""x""#,
        r#"[instance value ("x") not found in enum (possible values: ["a","b"])]"#,
    );
    check(
        r#"{"enum": [1, {"a": [null, true]}]}"#,
        r#"{ "b" : [ ] }"#,
        r#"[instance value ({"b":[]}) not found in enum (possible values: [1,{"a":[null,true]}])]"#,
    );
    check(r#"{"minLength": 3}"#, r#""é""#, r#"[string "é" is too short (length: 1, required minimum: 3)]"#);
    check(
        r#"{"maxLength": 1}"#,
        r#""\ud83d\ude00b""#,
        r#"[string "😀b" is too long (length: 2, maximum allowed: 1)]"#,
    );
    check(
        r#"{"pattern": "^\\d+$"}"#,
        r#""a\"b""#,
        r#"[ECMA 262 regex "^\d+$" does not match input string "a"b"]"#,
    );
    check(
        r#"{"minimum": 1}"#,
        "0",
        "[numeric instance is lower than the required minimum (minimum: 1, found: 0)]",
    );
    check(
        r#"{"maximum": 500.0}"#,
        "500.01",
        "[numeric instance is greater than the required maximum (maximum: 500.0, found: 500.01)]",
    );
    check(
        r#"{"maximum": 5, "exclusiveMaximum": true}"#,
        "5.0",
        "[numeric instance is not strictly lower than the required maximum 5]",
    );
    check(r#"{"multipleOf": 0.01}"#, "1.005", "[remainder of division is not zero (1.005 / 0.01)]");
    check(
        r#"{"properties": {"a": {}}, "additionalProperties": false}"#,
        r#"{"z": 1, "a": 2, "x": 3}"#,
        r#"[object instance has properties which are not allowed by the schema: ["x","z"]]"#,
    );
    check(
        r#"{"items": [{}], "additionalItems": false}"#,
        "[1, 2, 3]",
        "[schema only allows 1 elements in array but instance has 3 elements]",
    );
    check(r#"{"uniqueItems": true}"#, "[1, 2, 1.0]", "[array must not contain duplicate elements]");
    check(
        r#"{"minProperties": 2}"#,
        r#"{"a": 1}"#,
        "[object has too few properties (found 1 but schema requires at least 2)]",
    );
    check(
        r#"{"maxProperties": 0}"#,
        r#"{"a": 1}"#,
        "[object has too many properties (found 1 but schema requires at most 0)]",
    );
    check(
        r#"{"dependencies": {"card": ["zip", "address"]}}"#,
        r#"{"card": 1, "zip": 2}"#,
        r#"[property "card" of object has missing property dependencies (schema requires ["address","zip"]; missing: ["address"])]"#,
    );
    check(
        r#"{"dependencies": {"card": {"required": ["zip"]}}}"#,
        r#"{"card": 1}"#,
        r#"[object has missing required properties (["zip"])]"#,
    );
    check(
        r#"{"allOf": [{}, {"type": "null"}, {"type": "string"}]}"#,
        "1",
        "[instance failed to match all required schemas (matched only 1 out of 3)]",
    );
    check(
        r#"{"anyOf": [{"type": "null"}, {"type": "string"}]}"#,
        "1",
        "[instance failed to match at least one required schema among 2]",
    );
    check(
        r#"{"oneOf": [{"type": "integer"}, {"minimum": 1}]}"#,
        "1",
        "[instance failed to match exactly one schema (matched 2 out of 2)]",
    );
    check(r#"{"not": {"type": "integer"}}"#, "1", "[instance matched a schema which it should not have]");
    check(
        r#"{"format": "date-time"}"#,
        r#""now""#,
        "[string \"now\" is invalid against requested date format(s) [yyyy-MM-dd'T'HH:mm:ssZ, yyyy-MM-dd'T'HH:mm:ss.[0-9]{1,12}Z]]",
    );
    check(r#"{"format": "email"}"#, r#""x""#, r#"[string "x" is not a valid email address]"#);
    check(r#"{"format": "ipv4"}"#, r#""x""#, r#"[string "x" is not a valid IPv4 address]"#);
    check(r#"{"format": "ipv6"}"#, r#""x""#, r#"[string "x" is not a valid IPv6 address]"#);
    check(r#"{"format": "hostname"}"#, r#""-""#, r#"[string "-" is not a valid hostname]"#);
    check(r#"{"format": "uri"}"#, r#"" ""#, r#"[string " " is not a valid URI]"#);
    check(r#"{"format": "regex"}"#, r#""(""#, r#"[string "(" is not a valid ECMA 262 regular expression]"#);
}

#[test]
fn keywords_by_name_and_the_format_last() {
    check(
        r#"{"enum": [3], "type": "integer", "minLength": 9, "format": "ipv4", "pattern": "z", "not": {}}"#,
        r#""x""#,
        "[instance value (\"x\") not found in enum (possible values: [3]), \
         string \"x\" is too short (length: 1, required minimum: 9), \
         instance matched a schema which it should not have, \
         ECMA 262 regex \"z\" does not match input string \"x\", \
         instance type (string) does not match any allowed primitive type (allowed: [\"integer\"]), \
         string \"x\" is not a valid IPv4 address]",
    );
}

#[test]
fn children_by_name_and_only_while_nothing_is_wrong() {
    let schema = r#"{"required": ["id"], "properties": {
        "b": {"type": "string"}, "a": {"type": "object", "required": ["x"], "properties": {"y": {"type": "null"}}},
        "c": {"items": {"maximum": 2}}}}"#;
    // What is missing is told alone.
    check(schema, r#"{"b": 1}"#, r#"[object has missing required properties (["id"])]"#);
    check(
        schema,
        r#"{"id": 1, "b": 1, "a": {"y": 1}}"#,
        "[object has missing required properties ([\"x\"]), \
         instance type (integer) does not match any allowed primitive type (allowed: [\"string\"])]",
    );
    // Behind a fault keywords are looked at, but no children.
    check(
        schema,
        r#"{"id": 1, "c": [3, 4], "b": 1}"#,
        r#"[instance type (integer) does not match any allowed primitive type (allowed: ["string"])]"#,
    );
    check(
        schema,
        r#"{"id": 1, "c": [3, 1, 4]}"#,
        "[numeric instance is greater than the required maximum (maximum: 2, found: 3), \
         numeric instance is greater than the required maximum (maximum: 2, found: 4)]",
    );
}

/// The words are those of the service's log; no document has them.
#[test]
fn what_is_no_json() {
    for body in
        ["{", "nothing", "{\"a\":1,}", "[1 2]", "{} {}", " ", "\"\u{1}\"", "01", "{'a': 1}", "\"\\ud8\""]
    {
        check(r#"{"type": "object"}"#, body, "[Unknown error parsing request body]");
    }
}

/// Row 113.
#[test]
fn no_body_is_an_empty_object() {
    check(r#"{"type": "object"}"#, "", "");
    check(r#"{"required": ["a"]}"#, "", r#"[object has missing required properties (["a"])]"#);
}

#[test]
fn long_lists_are_cut() {
    let body = format!("[{}1]", "1,".repeat(200));
    let message = said(r#"{"items": {"type": "null"}}"#, &body);
    assert!(message.ends_with("… (limit: message bytes)]"), "{message}");
    assert!(message.len() < crate::MESSAGE_BYTES_MAX + 40, "{}", message.len());
    let message = said(r#"{"items": {"not": {}}}"#, &body);
    assert!(message.ends_with("… (limit: message bytes)]"), "{message}");
    let message = said(r#"{"items": {"format": "uri"}}"#, &format!("[{}1]", "\" \",".repeat(120)));
    assert_eq!(message.matches("not a valid URI").count(), crate::ERRORS_MAX);
    assert!(message.ends_with("… (limit: errors)]"), "{message}");
}
