//! Models: JSON Schema, draft 4, as API Gateway has it (rows 112, 114, 140). A model is compiled when it is deployed, and every mistake
//! in it is told then; a body is held against it in one walk over the places of its values, without a tree.
//!
//! It does not know HTTP, routes or clocks. Whoever wrote the model or sent the body is not trusted: time, memory and depth are
//! bounded, and what ends a validation says which bound it was ([`Limit`]).

mod aws;
mod compile;
mod equal;
mod format;
mod json;
mod names;
mod node;
mod number;
pub mod properties;
mod regex;
mod report;
mod validate;

#[cfg(test)]
mod tests;

pub use compile::{
    IN_PLACE_MAX, MISTAKES_MAX, MODEL_BYTES_MAX, Mistake, PATTERNS_MAX, REFERENCES_MAX, SCHEMAS_MAX, Schemas,
};
pub use json::{JSON_DEPTH_MAX, VALUES_MAX};
pub use regex::{BACKTRACKS_MAX, LOOK_AROUND_TEXT_BYTES_MAX, PATTERN_BYTES_MAX, REGEX_BYTES_MAX};
pub use report::{ERRORS_MAX, MESSAGE_BYTES_MAX};
pub use validate::{BODY_BYTES_MAX, DEPTH_MAX, Invalid, Limit, STEPS_MAX, Validator};
