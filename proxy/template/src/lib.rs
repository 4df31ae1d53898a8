//! Mapping templates: the Velocity Template Language and JSONPath as API Gateway has them (rows 116 and 119). A template and a
//! path are compiled when they are deployed, and every mistake in them is told then; a request renders them.
//!
//! It does not know HTTP, routes or clocks: what a template asks for comes through [`Inputs`]. Whoever wrote the template or sent the
//! document is not trusted: time, memory, depth and output are bounded ([`Settings`]), and what ends a rendering says which
//! bound it was.

pub mod base64;
mod java;
mod json;
mod named;
mod path;
pub mod properties;
mod regex;
mod vtl;

#[cfg(test)]
mod tests;

pub use json::{JSON_DEPTH_MAX, Malformed};
pub use named::{NamedValues, Values, Writer};
pub use path::{
    FindError, Found, PATH_BYTES_MAX, PATH_DEPTH_MAX, PATH_STEPS_MAX, Path, PathMistake, REGEX_BYTES_MAX,
};
pub use regex::{PATTERN_BYTES_MAX, Pattern};
pub use vtl::{
    Fields, Inputs, Limit, MISTAKES_MAX, Mistake, Mistakes, NESTING_MAX, Output, Overrides, Reason,
    RenderError, Settings, Template,
};
