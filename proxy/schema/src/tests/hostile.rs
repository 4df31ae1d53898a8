//! Models and bodies that want to take long, and what ends them.

use std::time::{Duration, Instant};

use super::compiled;
use crate::{Invalid, Limit, Schemas};

/// No time that is measured here is near it, unoptimised and beside others; what is unbounded is far beyond.
const SOON: Duration = Duration::from_secs(20);

#[track_caller]
fn check(schema: &str, body: &str, expected: Result<(), Limit>) {
    let validator = compiled(schema);
    let start = Instant::now();
    let outcome = validator.validate(body.as_bytes());
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert_eq!(outcome, expected.map_err(Invalid::Undecided));
    if let Err(limit) = expected {
        let message = outcome.unwrap_err().message().into_owned();
        assert!(message == format!("[{limit}]") && message.contains("(limit: "), "{message}");
    }
}

fn nested(open: &str, middle: &str, close: &str, depth: usize) -> String {
    open.repeat(depth) + middle + &close.repeat(depth)
}

#[test]
fn bodies() {
    let any = r#"{"title": "any"}"#;
    check(any, &nested("[", "", "]", 128), Ok(()));
    check(any, &nested("[", "", "]", 129), Err(Limit::Depth));
    check(any, &nested("[", "", "]", 1_000_000), Err(Limit::Depth));
    check(any, &format!("[{}1]", "1,".repeat(crate::VALUES_MAX)), Err(Limit::Values));
    check(any, &format!("\"{}\"", "a".repeat(crate::BODY_BYTES_MAX)), Err(Limit::BodyBytes));
    check(r#"{"minimum": 5, "multipleOf": 3}"#, &format!("3{}", "0".repeat(1 << 19)), Ok(()));
    check(r#"{"minimum": 5, "multipleOf": 3}"#, &format!("3{}", "0".repeat(1 << 20)), Err(Limit::Steps));
    check(
        r#"{"minLength": 5}"#,
        &format!("\"{}\"", "\\u0061".repeat(crate::BODY_BYTES_MAX / 6 - 1)),
        Err(Limit::Steps),
    );
    check(r#"{"minLength": 5, "pattern": "a$"}"#, &format!("\"{}\"", "a".repeat(1 << 20)), Ok(()));
    // Some hundred million pairs that are alike: found at once.
    let same = format!("[{}1]", "2,1,".repeat(1 << 14));
    assert!(matches!(
        compiled(r#"{"uniqueItems": true}"#).validate(same.as_bytes()),
        Err(Invalid::Faults(_))
    ));
}

#[test]
fn models_that_multiply() {
    // Each level asks twice about what is below: 2^100 ways to fail.
    let twice =
        r##"{"type": "array", "anyOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}, {"not": {}}]}"##;
    check(twice, &nested("[", "1", "]", 100), Err(Limit::Steps));
    check(twice, &nested("[", "", "]", 100), Ok(()));
    let once = r##"{"oneOf": [{"items": {"$ref": "#"}}, {"not": {"items": {"$ref": "#"}}}]}"##;
    check(once, &nested("[", "1", "]", 100), Err(Limit::Steps));
    let mut deep = r##"{"items": {"$ref": "#"}}"##.to_owned();
    for _ in 0..8 {
        deep = format!("{{\"allOf\": [{deep}]}}");
    }
    check(&deep, &nested("[", "1", "]", 100), Err(Limit::Depth));
    let many = (0..5_000).map(|number| format!("\"x{number}\"")).collect::<Vec<_>>().join(",");
    let list = format!("{{\"items\": {{\"enum\": [{many}, {{\"a\": 1}}]}}}}");
    check(&list, &format!("[{}1]", "\"x4999\",".repeat(1_000)), Err(Limit::Steps));
    let object = (0..3_000).map(|number| format!("\"x{number}\": 1")).collect::<Vec<_>>().join(",");
    check(&format!("{{\"enum\": [{{{object}}}]}}"), &format!("{{{object}}}"), Ok(()));
    let patterns = (0..500).map(|number| format!("\"a.*{number}\": {{}}")).collect::<Vec<_>>().join(",");
    check(&format!("{{\"patternProperties\": {{{patterns}}}}}"), &format!("{{{object}}}"), Err(Limit::Steps));
}

#[test]
fn expressions() {
    let backtracks = r#"{"pattern": "^((a|b)+)+\\1c$"}"#;
    check(backtracks, &format!("\"{}\"", "ab".repeat(500)), Err(Limit::Backtracks));
    check(backtracks, &format!("\"{}\"", "ab".repeat(5_000)), Err(Limit::LookAround));
    check(
        r#"{"not": {"pattern": "^((a|b)+)+\\1c$"}}"#,
        &format!("\"{}\"", "ab".repeat(500)),
        Err(Limit::Backtracks),
    );
    let large = r#"{"pattern": "(a|b|c){300}x(a|b|d){300}$"}"#;
    check(large, &format!("\"{}\"", "abc".repeat(100_000)), Err(Limit::Steps));
    check(
        r#"{"items": {"format": "regex"}}"#,
        &format!("[{}\"a\"]", "\"(a{99}){99}\",".repeat(10_000)),
        Err(Limit::Steps),
    );
}

#[track_caller]
fn check_refused(schema: &str, limit: &str) {
    let start = Instant::now();
    let mistakes = Schemas::compile(&[("M", schema)]).unwrap_err();
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert!(mistakes[0].why.contains(&format!("(limit: {limit})")), "{}", mistakes[0]);
}

#[test]
fn models() {
    check_refused(&format!("{{\"title\": \"{}\"}}", "a".repeat(crate::MODEL_BYTES_MAX)), "model bytes");
    check_refused(&nested("{\"items\": ", "{}", "}", 200), "depth");
    check_refused(&nested("{\"not\": ", "{\"type\": \"null\"}", "}", 40), "schemas in place");
    let many = |name: &str, number: usize| {
        let schemas: Vec<_> = (0..number).map(|number| format!("\"{number}\":{{}}")).collect();
        format!("{{\"{name}\": {{{}}}}}", schemas.join(","))
    };
    check_refused(&many("properties", crate::SCHEMAS_MAX), "schemas");
    check_refused(&many("patternProperties", crate::PATTERNS_MAX + 1), "patterns");
    check_refused(r#"{"pattern": "((a{99}){99}){99}"}"#, "regex bytes");
    check_refused(&format!("{{\"pattern\": \"{}\"}}", "a".repeat(2_000)), "pattern bytes");
    // Each doubles: what is shared is compiled once.
    let mut doubling = String::from("{\"definitions\": {\"0\": {\"type\": \"null\"}");
    for number in 1..30 {
        let below = number - 1;
        doubling += &format!(
            ", \"{number}\": {{\"allOf\": [{{\"$ref\": \"#/definitions/{below}\"}}, {{\"$ref\": \"#/definitions/{below}\"}}]}}"
        );
    }
    doubling += "}, \"$ref\": \"#/definitions/29\"}";
    check(&doubling, "null", Err(Limit::Steps));
}
