//! Source: TOML text, its includes and OpenAPI documents -> [`model::Model`], with every mistake and its place.
//!
//! What is judged here is what the text alone can tell: shape, names, units, ranges, references. It does not know how
//! a gateway runs: whether a certificate can be read or two routes are in each other's way, `snapshot` finds out.
//!
//! The keys are data ([`schema`]): the reader refuses what does not stand there, and documentation and the JSON Schema
//! for editors are made from it. Texts are also written anew: laid out in one way, or all of a configuration as one file.

mod api;
mod care;
mod context;
mod cors;
mod differences;
mod document;
mod domain;
mod dump;
mod ebpf;
mod environment;
mod expand;
mod flags;
mod format;
mod include;
mod integration;
mod json_schema;
mod listener;
mod names;
mod node;
mod openapi;
mod policy;
pub mod properties;
mod quotas;
mod reader;
mod render;
mod route;
mod route_key;
mod schema;
mod sources;
mod suggest;
mod template;
mod units;
mod upstream;
mod write;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use differences::differences;
pub use document::load;
pub use dump::dump;
pub use environment::{Environment, System};
pub use flags::{Flags, from_flags};
pub use format::format;
pub use include::{FILE_BYTES_MAX, FILES_MAX};
pub use json_schema::schema_json;
pub use openapi::{OpenApi, api as api_of, from_openapi, import, is_document};
pub use render::render;
pub use schema::{Form, Key, ROOT, Section};
pub use sources::Sources;
pub use template::{Template, import_template, is_template};
pub use write::{Frozen, definition_values, read_definition, write, write_definition};

/// A time as it is written in a file, such as `90s`, for a command line; or what is wrong with it.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    units::duration(text).map_err(|mistake| match mistake.help {
        Some(help) => format!("{}: {help}", mistake.message),
        None => mistake.message,
    })
}

/// What reading gave.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What the operator wants; `None` when anything is wrong.
    pub model: Option<model::Model>,
    /// What could be read where something is wrong: to be looked into for more mistakes, and never to be run.
    pub draft: Option<model::Model>,
    /// All mistakes and warnings, in the order of the files and of the places in them.
    pub diagnostics: Vec<model::Diagnostic>,
    /// All that was read.
    pub sources: Sources,
    /// What `[node] state` says, so far as it could be read beside the mistakes: there may be something to go back to.
    pub state: Option<PathBuf>,
}

/// Why a text could not be written anew.
#[derive(Clone, Debug)]
pub struct Refused {
    /// All mistakes, in the order of the files and of the places in them.
    pub diagnostics: Vec<model::Diagnostic>,
    /// All that was read.
    pub sources: Sources,
}
