//! CloudFormation templates, SAM templates and `serverless.yml` → APIs (section 5 of the semantics), with what was taken, what was
//! not and why.
//!
//! Each of them becomes an OpenAPI document in the tree that its text was read into, so that every value keeps its place,
//! and one importer judges them all ([`openapi`]). It does not know where texts come from ([`World`]), nor how an API is
//! run; of what a template has beside APIs it says that it was left out.

mod build;
mod functions;
mod http;
mod intrinsics;
mod known;
pub mod properties;
mod report;
mod resources;
mod rest;
mod routing;
mod sam;
mod serverless;
mod stage;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use model::{Api, Diagnostic, Domain, Severity};
use openapi::{Variables, tree::Tree};
use progress::Progress;

pub use functions::Function;
pub use report::Note;

/// A file that a template names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// What it is called in messages.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// What a template may ask of the world.
pub trait World {
    /// A file, by a path relative to the template.
    fn file(&self, path: &str) -> Result<File, String>;
    /// A variable of the environment.
    fn environment(&self, name: &str) -> Option<String>;
    /// Who is told how far it has come: nobody, if nothing is said.
    fn progress(&self) -> &Progress {
        Progress::silent()
    }
}

/// How a template is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `--param NAME=VALUE`: parameters of a stack, options of serverless, and what only AWS could resolve.
    pub parameters: BTreeMap<String, String>,
    /// What stands for pseudo parameters.
    pub variables: Variables,
    /// Whether a warning refuses it.
    pub fail_on_warnings: bool,
    /// Whether operations whose security nothing enforces are open to everybody ([`openapi::Options`]).
    pub allow_unenforced_security: bool,
}

/// What a template says of APIs.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// Its APIs, with stages and mappings.
    pub apis: Vec<Api>,
    /// Its domain names.
    pub domains: Vec<Domain>,
    /// The functions that its APIs call.
    pub functions: Vec<Function>,
    /// What became of what.
    pub notes: Vec<Note>,
}

/// Whether a tree is a template of any of these kinds.
pub fn is_template(tree: &Tree) -> bool {
    serverless::is_serverless(tree) || tree.root().get("Resources").is_some()
}

/// Reads a template. All mistakes and warnings, in the order of the text; nothing else if there is a mistake.
pub fn import(tree: &Tree, options: &Options, world: &dyn World) -> (Option<Imported>, Vec<Diagnostic>) {
    let (imported, mut found) = if serverless::is_serverless(tree) {
        serverless::import(tree, options, world)
    } else {
        resources::import(tree, options, world)
    };
    found.sort_by_key(|diagnostic| diagnostic.origin.as_ref().map(|origin| origin.start));
    found.dedup();
    if options.fail_on_warnings {
        found.iter_mut().for_each(|diagnostic| diagnostic.severity = Severity::Error);
    }
    let good = found.iter().all(|diagnostic| diagnostic.severity == Severity::Warning);
    (imported.filter(|_| good), found)
}
