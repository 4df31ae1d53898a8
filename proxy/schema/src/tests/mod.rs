//! The room from outside: what bodies hold to which models, what is said of those that don't, what is refused.

mod bounds;
mod hostile;
mod messages;
mod models;

use crate::{Invalid, Schemas, Validator};

/// The model of that text.
#[track_caller]
fn compiled(schema: &str) -> Validator {
    match Schemas::compile(&[("Model", schema)]) {
        Ok(schemas) => schemas.validator("Model").unwrap(),
        Err(mistakes) => panic!("{schema}: {mistakes:?}"),
    }
}

/// What is said of a body; nothing of one that holds.
#[track_caller]
fn said(schema: &str, body: &str) -> String {
    compiled(schema)
        .validate(body.as_bytes())
        .err()
        .map_or_else(String::new, |invalid| invalid.message().into_owned())
}

/// Bodies that hold and bodies that don't.
#[track_caller]
fn check(schema: &str, right: &[&str], wrong: &[&str]) {
    let validator = compiled(schema);
    for body in right {
        assert_eq!(validator.validate(body.as_bytes()), Ok(()), "{schema}: {body}");
    }
    for body in wrong {
        let outcome = validator.validate(body.as_bytes());
        assert!(matches!(outcome, Err(Invalid::Faults(_))), "{schema}: {body}: {outcome:?}");
    }
}
