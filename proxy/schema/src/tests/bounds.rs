//! Properties over generated models, bodies and patterns, and the corpora of the fuzz targets.

use std::{fs, path::Path};

use proptest::prelude::*;

use crate::properties::{any_body, any_model, any_pattern};

/// JSON of every shape, with space and escapes.
fn json() -> impl Strategy<Value = String> {
    let leaf = "null|true|false|0|-1|2\\.50|1e3|123456789012345678901|\"a\"|\"\"|\"\\\\u0061\\\\n\"|\"é😀\"";
    leaf.prop_recursive(5, 40, 5, |inner| {
        let key = "\"a\"|\"b\"|\"c d\"|\"\\\\u0061\"";
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[ {} ]", items.join(" , "))),
            prop::collection::vec((key, inner), 0..5).prop_map(|members| {
                let members: Vec<_> =
                    members.into_iter().map(|(key, value)| format!("{key} :{value}")).collect();
                format!("{{{}}}", members.join(",\n"))
            }),
        ]
    })
}

/// Schemas of every keyword, right and wrong ones.
fn schema() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "\"(type)\": \"(integer|number|string|object|array|null|boolean|x)\"",
        "\"(minimum|maximum|multipleOf)\": (0|1|-2|0\\.5|1e2)",
        "\"(minLength|maxLength|minProperties|maxProperties|minItems)\": (0|1|2)",
        "\"pattern\": \"(a|\\^a|\\\\\\\\d|\\(\\?=a\\)|\\(|\\[a-c\\]\\+)\"",
        "\"required\": \\[(\"a\"|\"a\", \"b\"|)\\]",
        "\"(uniqueItems|exclusiveMaximum)\": (true|false)",
        "\"additionalProperties\": (true|false)",
        "\"enum\": \\[(1|\"a\", null|\\{\"a\": 0\\}|)\\]",
        "\"format\": \"(date-time|email|ipv4|uri|regex|uuid)\"",
        "\"\\$ref\": \"(#|#/not|https://apigateway.amazonaws.com/restapis/x/models/Other)\"",
        "\"dependencies\": \\{\"a\": \\[\"b\"\\]\\}",
    ]
    .prop_map(|keyword| format!("{{{keyword}}}"));
    leaf.prop_recursive(4, 24, 4, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..4).prop_map(|schemas| schemas.join(", "));
        prop_oneof![
            ("(allOf|anyOf|oneOf)", list.clone())
                .prop_map(|(name, schemas)| format!("{{\"{name}\": [{schemas}]}}")),
            ("(not|items|additionalProperties|additionalItems)", inner.clone())
                .prop_map(|(name, schema)| format!("{{\"{name}\": {schema}}}")),
            list.prop_map(|schemas| format!("{{\"items\": [{schemas}], \"additionalItems\": false}}")),
            ("(properties|patternProperties|dependencies)", inner.clone(), inner.clone())
                .prop_map(|(name, a, b)| format!("{{\"{name}\": {{\"a\": {a}, \"b\": {b}}}}}")),
            (inner.clone(), inner).prop_map(|(left, right)| {
                let (left, right) = (left.trim_end_matches('}'), right.trim_start_matches('{'));
                format!("{left}, {right}")
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn models(model in schema(), body in json()) {
        any_model(format!("{model}\n====\n{body}").as_bytes());
    }

    #[test]
    fn bodies(text in json(), noise in "\\PC{0,12}") {
        any_body(text.as_bytes());
        any_body(noise.as_bytes());
        any_body(format!("{text}{noise}").as_bytes());
    }

    /// What we call JSON is what serde_json calls JSON, and what we write without space says the same.
    #[test]
    fn bodies_as_serde_reads_them(text in json(), cut in any::<prop::sample::Index>(), noise in "[]{}\",:.0-9a-z\\\\ -]{0,3}") {
        let at = cut.index(text.len() + 1);
        let broken = match text.is_char_boundary(at) {
            true => format!("{}{noise}{}", &text[..at], &text[at..]),
            false => text,
        };
        let ours = crate::json::read(broken.as_bytes());
        let theirs = serde_json::from_str::<serde_json::Value>(&broken);
        // A lone surrogate is none of Unicode's characters, and JSON all the same; a number may be too large for a double.
        let excused = |error: &serde_json::Error| {
            let said = error.to_string();
            said.contains("surrogate") || said.contains("hex escape") || said.contains("out of range")
        };
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => {
                let mut compact = String::new();
                ours.root().compact(&mut compact);
                prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&compact).unwrap(), theirs);
            }
            (Err(_), Err(_)) => {}
            (Ok(_), Err(error)) => prop_assert!(excused(&error), "{broken}: {error}"),
            (Err(error), Ok(_)) => prop_assert!(false, "{broken}: {error:?}"),
        }
    }

    #[test]
    fn patterns(
        pattern in "(a|b|\\^|\\$|\\.|\\*|\\+\\?|\\{2\\}|\\{|\\}|\\[|\\]|\\[\\^|-|\\\\d|\\\\W|\\\\b|\\\\u0061|\\\\u|\\\\c|\\\\1|\\(|\\)|\\(\\?=|\\(\\?:|\\||é|&&|/){0,12}",
        text in "[ab1é -]{0,12}",
    ) {
        any_pattern(format!("{pattern}\n====\n{text}").as_bytes());
    }
}

#[test]
fn corpora() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus");
    for (name, property) in
        [("schema", any_model as fn(&[u8])), ("schema_body", any_body), ("schema_pattern", any_pattern)]
    {
        let folder = corpora.join(name);
        let mut replayed = 0;
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            property(&fs::read(entry.unwrap().path()).unwrap());
            replayed += 1;
        }
        assert!(replayed > 1, "{name}: {replayed}");
    }
}
