//! Trees: what is read, where it stands, what is refused, and that what is written is read alike.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::Variables;

fn value(name: &str, text: &str) -> Json {
    let tree = Tree::parse(name, text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    let variables = Variables::default();
    Context::new(&tree, &variables).root().to_json()
}

#[track_caller]
fn check(text: &str, expected: &Json) {
    assert_eq!(value("a.yaml", text), *expected, "{text}");
}

#[track_caller]
fn refused(text: &str, place: &str, message: &str) {
    let error = *Tree::parse("x", text).expect_err(text);
    let origin = error.origin.unwrap();
    assert_eq!(format!("{}:{}", origin.line, origin.column), place, "{}", error.message);
    assert!(error.message.contains(message), "{}", error.message);
}

#[test]
fn syntax_is_told_by_the_first_line_that_says_something() {
    let cases = [
        ("{\"a\": 1}", Some(Syntax::Json)),
        ("\u{feff}\n  {", Some(Syntax::Json)),
        ("openapi: 3.0.1", Some(Syntax::Yaml)),
        ("# a comment\n\nswagger:\n  x", Some(Syntax::Yaml)),
        ("---\n", Some(Syntax::Yaml)),
        ("%YAML 1.2\n", Some(Syntax::Yaml)),
        ("\"openapi\": 3", Some(Syntax::Yaml)),
        ("AWSTemplateFormatVersion: '2010-09-09'", Some(Syntax::Yaml)),
        ("[node]\nworkers = 1", None),
        ("[[listener]]", None),
        ("workers = 1", None),
        ("\"a:b\" = 1", None),
        ("a = \"x: y\"", None),
        ("node.name = \"a\" # b: c", None),
        ("a:b", None),
        (": x", None),
        ("", None),
        ("# nothing", None),
    ];
    for (text, expected) in cases {
        assert_eq!(Syntax::of(text), expected, "{text}");
    }
}

#[test]
fn scalars_are_those_of_the_core_schema() {
    check(
        "[~, null, '', '~', true, True, 'true', yes]",
        &json!([null, null, "", "~", true, true, "true", "yes"]),
    );
    check(
        "[1, -1, +1, 0x10, 0o17, 007, 1.5, 1e3, .5, 1., .inf, 1_000]",
        &json!([1, -1, 1, 16, 15, "007", 1.5, 1000.0, 0.5, 1.0, ".inf", "1_000"]),
    );
    check(
        "[012345678901, 2012-10-17, 1.10.0, 12:30, 1e999, '- a']",
        &json!(["012345678901", "2012-10-17", "1.10.0", "12:30", "1e999", "- a"]),
    );
    check("{200: a, true: b, ~: c}", &json!({ "200": "a", "true": "b", "null": "c" }));
    check("!!str 12", &json!("12"));
}

#[test]
fn aliases_and_merges_are_followed() {
    check(
        "a: &x {b: 1, c: 2}\nd: *x\ne: {<<: *x, c: 3}",
        &json!({
            "a": { "b": 1, "c": 2 }, "d": { "b": 1, "c": 2 }, "e": { "c": 3, "b": 1 }
        }),
    );
    check(
        "a: &x {b: 1}\nc: &y {b: 2, d: 3}\ne: {<<: [*x, *y]}",
        &json!({
            "a": { "b": 1 }, "c": { "b": 2, "d": 3 }, "e": { "b": 1, "d": 3 }
        }),
    );
}

#[test]
fn local_tags_are_kept() {
    let tree = Tree::parse("x", "a: !Sub '${b}'\nc: !GetAtt [d, e]").unwrap();
    assert_eq!(tree.root().get("a").unwrap().tag.as_deref(), Some("Sub"));
    assert_eq!(tree.root().get("c").unwrap().tag.as_deref(), Some("GetAtt"));
}

#[test]
fn what_is_wrong_has_its_place() {
    refused("", "1:1", "the text is empty");
    refused("{\"a\": 1,}", "1:9", "expected a name in double quotes");
    refused("{\n  \"é\": 1,\n  \"é\": 2}", "3:3", "`é` stands twice");
    refused("{\"a\": tru}", "1:7", "expected a value");
    refused("{\"a\": 01}", "1:7", "no number");
    refused("{\"a\": 1e999}", "1:7", "no number");
    refused("{\"a\": \"\\x\"}", "1:8", "escape is unknown");
    refused("{\"a\": \"\\ud800\"}", "1:8", "half of a character");
    refused("{\"a\": \"b", "1:7", "no end");
    refused("{\"a\": 1} x", "1:10", "behind the end");
    refused("a: 1\na: 2", "2:1", "`a` stands twice");
    refused("a: 1\n b: 2", "2:3", "this is no YAML");
    refused("a: *b", "1:4", "this is no YAML");
    refused("a: &b [*b]", "1:8", "inside of what it stands for");
    refused("? [a]\n: 2", "1:3", "a key is a string");
    refused("a: {<<: 1}", "1:9", "`<<` takes a map");
    refused("a: 1\n---\nb: 2", "2:1", "a second document");
}

/// Lists in lists, aliases of aliases, and texts that are too long.
#[test]
fn what_is_hostile_is_bounded() {
    let deep = "[".repeat(200);
    refused(&format!("{{\"a\": {deep}"), &format!("1:{}", 6 + DEPTH_MAX + 1), "stand in one another");
    refused(&format!("a: {deep}"), &format!("1:{}", 4 + DEPTH_MAX - 1), "stand in one another");
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        laughs.push_str(&format!("a{level}: &a{level} [{}]\n", vec![alias; 10].join(", ")));
    }
    refused(&laughs, "6:45", "aliases followed");
    let long = format!("a: &a \"{}\"\nb: [{}]", "x".repeat(1 << 20), vec!["*a"; 40].join(", "));
    refused(&long, "2:121", "bytes of text");
    let nested = (0..100).fold(String::from("a0: &a0 [1]\n"), |text, at| {
        format!("{text}a{}: &a{} [*a{at}]\n", at + 1, at + 1)
    });
    assert!(Tree::parse("x", &nested).is_ok());
    refused(&"x".repeat(TEXT_BYTES_MAX + 1), "1:1", "longer than");
    let many = format!("[{}]", vec!["0"; NODES_MAX].join(","));
    refused(&format!("{{\"a\": {many}}}"), "1:7", "values");
}

/// Where things stand is found in a long line as in a short one.
#[test]
fn places_are_found_in_long_lines() {
    let text = format!("{{\"é\": [{}], \"é\": 1}}", vec!["\"é\""; 10_000].join(", "));
    let start = text.chars().count() - 6;
    refused(&text, &format!("1:{start}"), "stands twice");
    let yaml = format!("é: [{}]\nb: *c", vec!["é"; 10_000].join(", "));
    let tree = Tree::parse("x.yaml", &yaml.replace("*c", "c")).unwrap();
    let list = tree.root().get("é").unwrap();
    let Value::List(items) = &list.value else { panic!() };
    let origin = tree.origin(&items.last().unwrap().span);
    assert_eq!((origin.line, origin.column), (1, 5 + 3 * 9_999));
    assert_eq!(&yaml[origin.start..origin.end], "é");
}

#[test]
fn references_are_followed_and_pointers_said() {
    let text = "a/b: {'c~d': [{e f: 1}]}";
    let tree = Tree::parse("x", text).unwrap();
    let variables = Variables::default();
    let cx = Context::new(&tree, &variables);
    let at = cx.root().follow("#/a~1b/c~0d/0/e%20f").unwrap();
    assert_eq!(at.pointer(), "/a~1b/c~0d/0/e f");
    assert_eq!(at.to_json(), json!(1));
    for nowhere in ["", "#", "x#/a", "#/a~1b/x", "#/a~1b/c~0d/1", "#/a~1b/c~0d/-"] {
        assert!(cx.root().follow(nowhere).is_none(), "{nowhere}");
    }
}

fn any_json() -> impl Strategy<Value = Json> {
    let text = prop_oneof![
        any::<String>(),
        "[ -~\\n\\t]{0,20}",
        "(true|no|null|1e3|0x1|- a|a: b|#c|a #b|\\n\\na|a\\n |\\| x)"
    ];
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        (-1e9..1e9_f64).prop_map(Json::from),
        text.clone().prop_map(Json::String),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        let pairs = proptest::collection::vec((text.clone(), inner.clone()), 0..6);
        prop_oneof![
            proptest::collection::vec(inner, 0..6).prop_map(Json::Array),
            pairs.prop_map(|pairs| Json::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_alike(value in any_json()) {
        // A merge key is no name, and only JSON has one.
        let text = value.to_string();
        prop_assume!(!text.contains("\"<<\"") && !text.contains("AWS::"));
        for (name, text) in [("a.json", json(&value)), ("a.yaml", yaml(&value))] {
            prop_assert_eq!(&super::tests::value(name, &text), &value, "{}", text);
        }
    }

    #[test]
    fn nothing_panics(text in "\\PC{0,200}", noise in any::<Vec<u8>>()) {
        let noise = String::from_utf8_lossy(&noise);
        for text in [text.as_str(), &*noise] {
            for name in ["a.json", "a.yaml"] {
                if let Ok(tree) = Tree::parse(name, text) {
                    prop_assert!(tree.root().span.end as usize <= text.len());
                }
            }
        }
    }
}
