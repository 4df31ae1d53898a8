//! The same models and bodies held against each other by a validator that is not ours: Python's `jsonschema`, which
//! `cargo xtask setup` installs. Where they differ on purpose stands in the table, with the reason.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use schema::{Invalid, Schemas};
use serde_json::{Value, json};

const SCRIPT: &str = include_str!("second.py");

/// A model, and bodies that are held against it.
type Case = (Value, Vec<Value>);

/// The Python that has the package, or `None` with a word about it.
fn python(test: &str) -> Option<PathBuf> {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv");
    let is_there = fs::read_dir(venv.join("lib")).is_ok_and(|versions| {
        let mut versions = versions.filter_map(Result::ok);
        versions.any(|version| version.path().join("site-packages/jsonschema").is_dir())
    });
    if !is_there {
        // Not by `eprintln!`, which a test keeps for itself.
        let why = "`cargo xtask setup` installs the package jsonschema";
        writeln!(std::io::stderr().lock(), "skipped: {test}: {why}").unwrap();
        return None;
    }
    Some(venv.join("bin/python"))
}

/// What the other validator says of each body of each case; its complaint where it can't use the model.
fn theirs(python: &Path, cases: &[Case]) -> Vec<Result<Vec<bool>, String>> {
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut engine = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = engine.stdin.take().unwrap();
    let lines: Vec<String> = cases
        .iter()
        .map(|(schema, bodies)| json!({"schema": schema, "bodies": bodies}).to_string() + "\n")
        .collect();
    // It answers while it reads.
    let writer = thread::spawn(move || lines.iter().try_for_each(|line| stdin.write_all(line.as_bytes())));
    let output = engine.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{}", output.status);
    let answers: Vec<_> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| match serde_json::from_str::<Value>(line).unwrap() {
            Value::String(error) => Err(error),
            list => Ok(serde_json::from_value(list).unwrap()),
        })
        .collect();
    assert_eq!(answers.len(), cases.len());
    answers
}

/// The same of ours.
fn ours((schema, bodies): &Case) -> Vec<bool> {
    let text = schema.to_string();
    let schemas =
        Schemas::compile(&[("Model", &text)]).unwrap_or_else(|mistakes| panic!("{text}: {mistakes:?}"));
    let validator = schemas.validator("Model").unwrap();
    let holds = |body: &Value| match validator.validate(body.to_string().as_bytes()) {
        Ok(()) => true,
        Err(Invalid::Faults(_)) => false,
        Err(other) => panic!("{text}: {body}: {other:?}"),
    };
    bodies.iter().map(holds).collect()
}

/// Why ours is right where the two differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// API Gateway does not look at the keyword (row 140).
    NotChecked,
    /// Formats are looked at; the other has them as notes.
    Formats,
    /// Numbers are decimal, and not binary fractions.
    Decimal,
    /// `\d`, `\w` and `\b` are ASCII's in ECMA 262.
    Ecma,
}

fn different() -> Vec<(Value, Value, bool, Reason)> {
    vec![
        (json!({"minItems": 1}), json!([]), true, Reason::NotChecked),
        (json!({"maxItems": 1}), json!([1, 2]), true, Reason::NotChecked),
        (json!({"minimum": 1, "exclusiveMinimum": true}), json!(1), true, Reason::NotChecked),
        (json!({"format": "date-time"}), json!("now"), false, Reason::Formats),
        (json!({"format": "ipv4"}), json!("1.2.3"), false, Reason::Formats),
        (json!({"multipleOf": 0.01}), json!(4.35), true, Reason::Decimal),
        (json!({"pattern": "^\\d$"}), json!("\u{663}"), false, Reason::Ecma),
        (json!({"pattern": "^\\w$"}), json!("é"), false, Reason::Ecma),
        (json!({"pattern": "a$"}), json!("a\n"), false, Reason::Ecma),
        (json!({"pattern": "^\\cA$"}), json!("\u{1}"), true, Reason::Ecma),
    ]
}

#[test]
fn differences_of_the_table() {
    let Some(python) = python("differences_of_the_table") else { return };
    let cases: Vec<Case> = different().into_iter().map(|(schema, body, ..)| (schema, vec![body])).collect();
    let theirs = theirs(&python, &cases);
    for ((case, theirs), (.., expected, reason)) in cases.iter().zip(theirs).zip(different()) {
        assert_eq!(ours(case), [expected], "{case:?}");
        // A difference that is none any more is told.
        assert_ne!(theirs, Ok(vec![expected]), "{case:?}: {reason:?}");
    }
}

fn any_body() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..6_i64).prop_map(Value::from),
        prop::sample::select(vec![0.5, 1.0, 2.5, -1.5]).prop_map(Value::from),
        prop::sample::select(vec!["", "a", "b", "ab", "aab", "é", "1", "😀a"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let key = prop::sample::select(vec!["a", "b", "ab", "c"]).prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..4).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// One keyword about values of one kind, which the other validator understands as we do.
fn keyword() -> impl Strategy<Value = Value> {
    let names = || prop::sample::subsequence(vec!["a", "b", "ab"], 1..3);
    let count = || 0..4_u64;
    let types = prop::sample::subsequence(
        vec!["array", "boolean", "integer", "null", "number", "object", "string"],
        1..4,
    );
    let pattern = || prop::sample::select(vec!["a", "^a", "b$", "^(?=a)a+b?$", "^[^b]*$", "^$", "(a)\\1"]);
    prop_oneof![
        types.prop_map(|types| json!({"type": types})),
        prop::sample::select(vec!["object", "string", "integer"]).prop_map(|name| json!({"type": name})),
        prop::collection::vec(any_body(), 1..4).prop_map(|values| json!({"enum": values})),
        (-2..4_i64).prop_map(|bound| json!({"minimum": bound})),
        (-2..4_i64, any::<bool>())
            .prop_map(|(bound, below)| json!({"maximum": bound, "exclusiveMaximum": below})),
        prop::sample::select(vec![json!(1), json!(2), json!(0.5)]).prop_map(|of| json!({"multipleOf": of})),
        count().prop_map(|count| json!({"minLength": count})),
        count().prop_map(|count| json!({"maxLength": count})),
        pattern().prop_map(|pattern| json!({"pattern": pattern})),
        names().prop_map(|names| json!({"required": names})),
        count().prop_map(|count| json!({"minProperties": count})),
        count().prop_map(|count| json!({"maxProperties": count})),
        any::<bool>().prop_map(|unique| json!({"uniqueItems": unique})),
        (names(), names()).prop_map(|(of, names)| {
            json!({"dependencies": of.into_iter().map(|name| (name.to_owned(), json!(names))).collect::<Value>()})
        }),
    ]
}

/// What some keywords say together, and what they say of what is inside.
fn any_schema() -> impl Strategy<Value = Value> {
    keyword().prop_recursive(4, 30, 4, |inner| {
        let list = || prop::collection::vec(inner.clone(), 1..4);
        let key = || prop::sample::select(vec!["a", "b", "ab"]).prop_map(str::to_owned);
        let pattern = prop::sample::select(vec!["a", "^b", "b$"]).prop_map(str::to_owned);
        let others = || prop_oneof![any::<bool>().prop_map(Value::from), inner.clone()];
        let map = |members: std::collections::BTreeMap<String, Value>| members.into_iter().collect::<Value>();
        prop_oneof![
            list().prop_map(|schemas| json!({"allOf": schemas})),
            list().prop_map(|schemas| json!({"anyOf": schemas})),
            list().prop_map(|schemas| json!({"oneOf": schemas})),
            inner.clone().prop_map(|schema| json!({"not": schema})),
            inner.clone().prop_map(|schema| json!({"items": schema})),
            (list(), others())
                .prop_map(|(schemas, others)| json!({"items": schemas, "additionalItems": others})),
            (
                prop::collection::btree_map(key(), inner.clone(), 0..3),
                prop::collection::btree_map(pattern, inner.clone(), 0..2),
                others()
            )
                .prop_map(move |(properties, patterns, others)| json!({
                    "properties": map(properties), "patternProperties": map(patterns), "additionalProperties": others
                })),
            (key(), inner.clone()).prop_map(|(name, schema)| json!({"dependencies": {name: schema}})),
            (inner.clone(), keyword()).prop_map(|(mut schema, more)| {
                schema.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
                schema
            }),
            (inner.clone(), prop::sample::select(vec!["#", "#/definitions/it"])).prop_map(|(schema, to)| {
                json!({"properties": {"a": {"$ref": to}}, "items": {"$ref": to}, "definitions": {"it": schema}})
            }),
        ]
    })
}

#[test]
fn models_at_random() {
    let Some(python) = python("models_at_random") else { return };
    let mut runner = TestRunner::deterministic();
    let strategy = (any_schema(), prop::collection::vec(any_body(), 12));
    let mut cases: Vec<Case> =
        (0..3_000).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
    // A reference to the whole from within a part is another thing once the part stands elsewhere.
    cases.retain(|(schema, _)| Schemas::compile(&[("Model", &schema.to_string())]).is_ok());
    assert!(cases.len() > 2_000, "{}", cases.len());
    let mut held = 0;
    let mut looked_at = 0;
    for (case, theirs) in cases.iter().zip(theirs(&python, &cases)) {
        // It goes round in loops that we refuse, and finds references where they are not.
        let Ok(theirs) = theirs else { continue };
        let ours = ours(case);
        for ((ours, theirs), body) in ours.iter().zip(&theirs).zip(&case.1) {
            assert_eq!(ours, theirs, "{} {body}", case.0);
        }
        held += ours.iter().filter(|holds| **holds).count();
        looked_at += ours.len();
    }
    assert!(looked_at > 20_000 && held > 3_000 && looked_at - held > 3_000, "{held} of {looked_at} hold");
}
