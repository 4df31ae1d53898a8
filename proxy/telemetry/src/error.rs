//! Why telemetry could not be set up. Running telemetry has no errors: it counts what it loses.

use std::{io, path::PathBuf};

/// What was wrong with a template or a log's target.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The template names a variable that does not exist (row 167, list O).
    #[error("unknown variable `$context.{variable}`")]
    UnknownVariable {
        /// What stood behind `$context.`.
        variable: String,
        /// The nearest name there is.
        suggestion: Option<&'static str>,
        /// Byte offset of the `$` in the template.
        at: usize,
    },
    /// A template is one line (row 166).
    #[error("a log format must be one line")]
    NotOneLine {
        /// Byte offset of the line break.
        at: usize,
    },
    /// A template has at most 3 KB (row 166).
    #[error("a log format has at most {max_bytes} bytes, this one has {bytes}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The most there may be.
        max_bytes: usize,
    },
    /// Each line must be findable by its request (row 166).
    #[error("a log format must contain `$context.requestId` or `$context.extendedRequestId`")]
    NoRequestId,
    /// The log's file cannot be opened.
    #[error("cannot open the access log {path}: {source}")]
    LogOpen {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The log's thread cannot be started.
    #[error("cannot start the log thread: {0}")]
    LogThread(io::Error),
}

impl Error {
    /// Where in the template, as a byte offset; `None` when it is about the whole.
    pub fn at(&self) -> Option<usize> {
        match self {
            Self::UnknownVariable { at, .. } | Self::NotOneLine { at } => Some(*at),
            Self::TooLong { .. } | Self::NoRequestId | Self::LogOpen { .. } | Self::LogThread(_) => None,
        }
    }

    /// What to write in its place, where that can be said.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::UnknownVariable { suggestion, .. } => {
                suggestion.map(|name| format!("did you mean `$context.{name}`?"))
            }
            Self::NotOneLine { .. } => Some("remove the line break".into()),
            Self::NoRequestId => Some("add `$context.requestId`".into()),
            Self::TooLong { .. } | Self::LogOpen { .. } | Self::LogThread(_) => None,
        }
    }
}
