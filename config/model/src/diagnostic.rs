//! What is wrong with a configuration, and where it says so.

use std::sync::Arc;

/// A place in a file. `start..end` are byte offsets, so that a renderer can show the excerpt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file as the operator named it; `command line` for flags.
    pub file: Arc<str>,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// Byte offset of the first byte.
    pub start: usize,
    /// Byte offset behind the last byte.
    pub end: usize,
}

/// Whether it stops the configuration from being taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing is applied.
    Error,
    /// It is applied, and said.
    Warning,
}

/// One mistake: where it is, what is wrong, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// Where, if it is in a file.
    pub origin: Option<Origin>,
    /// The key's path as an operator would say it: `route[3].throttle.rate`. Empty if there is none.
    pub key: String,
    /// What is wrong, one line.
    pub message: String,
    /// What to write instead, one line.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(origin: Option<&Origin>, key: impl Into<String>, message: impl Into<String>) -> Self {
        let (key, message) = (key.into(), message.into());
        Self { severity: Severity::Error, origin: origin.cloned(), key, message, help: None }
    }

    /// A warning at a place.
    pub fn warning(origin: Option<&Origin>, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(origin, key, message) }
    }

    /// The same with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
