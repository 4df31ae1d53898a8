//! What must hold for any bytes whatever. Each property is a function that panics when it does not, called by unit
//! tests with generated texts, by fuzz targets with whatever they come upon, and for each file of their corpora.

use std::borrow::Cow;

use crate::{
    Invalid, MESSAGE_BYTES_MAX, Schemas,
    json::{Value, read},
    regex::Pattern,
};

/// Between a model and a body.
const BETWEEN: &[u8] = b"\n====\n";

fn parts(bytes: &[u8]) -> (Cow<'_, str>, &[u8]) {
    let at = bytes.windows(BETWEEN.len()).position(|part| part == BETWEEN);
    let (first, second) = match at {
        Some(at) => (&bytes[..at], &bytes[at + BETWEEN.len()..]),
        None => (bytes, &b"{\"a\": [1, {\"b\": \"c\"}]}"[..]),
    };
    (String::from_utf8_lossy(first), second)
}

/// All that must hold for a model and a body: it is refused with words about it, or says the same of a body each time and of the same
/// body without space, within its bounds.
pub fn any_model(bytes: &[u8]) {
    let (model, body) = parts(bytes);
    let schemas = match Schemas::compile(&[("Any", &model), ("Other", r#"{"type": "string"}"#)]) {
        Ok(schemas) => schemas,
        Err(mistakes) => {
            assert!(!mistakes.is_empty());
            for mistake in mistakes {
                assert!(!mistake.why.is_empty() && !mistake.why.contains('\n'), "{mistake:?}");
            }
            return;
        }
    };
    let validator = schemas.validator("Any").expect("it was compiled");
    let outcome = validator.validate(body);
    assert_eq!(validator.validate(body), outcome, "{model}");
    if let Err(invalid) = &outcome {
        let message = invalid.message();
        assert!(message.starts_with('[') && message.ends_with(']') && message.len() > 2, "{message}");
        assert!(message.len() < MESSAGE_BYTES_MAX + 64, "{message}");
    }
    let Ok(document) = read(body) else {
        assert!(matches!(outcome, Err(Invalid::Malformed | Invalid::Undecided(_))) || body.is_empty());
        return;
    };
    let compact = compacted(document.root());
    let again = validator.validate(compact.as_bytes());
    // What costs less may be decided where the other was not.
    if !matches!(outcome, Err(Invalid::Undecided(_))) {
        assert_eq!(again.is_ok(), outcome.is_ok(), "{model} {compact}");
    }
    // Nothing is the opposite of itself.
    let opposite = format!("{{\"not\": {model}}}");
    if let Ok(schemas) = Schemas::compile(&[("Any", &opposite), ("Other", r#"{"type": "string"}"#)])
        && !model.contains("$ref")
    {
        let opposite = schemas.validator("Any").expect("it was compiled").validate(body);
        let undecided = |outcome: &Result<(), Invalid>| matches!(outcome, Err(Invalid::Undecided(_)));
        assert!(
            undecided(&opposite) || undecided(&outcome) || opposite.is_ok() != outcome.is_ok(),
            "{model}"
        );
    }
}

/// All that must hold for a text: what is written without space is the same document, and stays so when it is written again.
pub fn any_body(bytes: &[u8]) {
    let Ok(document) = read(bytes) else { return };
    let compact = compacted(document.root());
    let again = read(compact.as_bytes()).expect("what was written is JSON");
    assert_eq!(compacted(again.root()), compact);
    assert!(crate::equal::same(document.root(), again.root()), "{compact}");
    assert_eq!(crate::equal::hash(document.root()), crate::equal::hash(again.root()), "{compact}");
}

/// All that must hold for a pattern and a text: it is refused, or searched for to an end.
pub fn any_pattern(bytes: &[u8]) {
    let (pattern, text) = parts(bytes);
    let text = String::from_utf8_lossy(text);
    match Pattern::new(&pattern) {
        Ok(pattern) => {
            assert!(pattern.steps(text.len()) > 0);
            assert_eq!(pattern.is_in(&text), pattern.is_in(&text));
        }
        Err(why) => assert!(!why.is_empty()),
    }
}

fn compacted(value: Value<'_>) -> String {
    let mut compact = String::new();
    value.compact(&mut compact);
    compact
}
