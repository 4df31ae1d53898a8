//! What is wrong with a template, and why a rendering ended.

use std::fmt;

use crate::{json::Malformed, path::PathMistake};

/// A mistake in a template's text.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {why}")]
pub struct Mistake {
    /// From 1.
    pub line: u32,
    /// From 1, by character.
    pub column: u32,
    /// What is wrong and what to do.
    pub why: String,
}

/// All mistakes of a template, in the order of its lines; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            mistake.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// Why a rendering ended before its template did, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {reason}")]
pub struct RenderError {
    /// From 1.
    pub line: u32,
    /// From 1, by character.
    pub column: u32,
    /// What happened.
    pub reason: Reason,
}

/// What ended a rendering.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// A bound, by its name.
    #[error("{limit} is {max}")]
    Limit {
        /// Which.
        limit: Limit,
        /// Its value, in its unit.
        max: u64,
    },
    /// The body is not JSON, and the template looks into it: the client's fault (row 129).
    #[error("the body is {0}")]
    Body(Malformed),
    /// A text that the template parses is not JSON.
    #[error("$util.parseJson was given {0}")]
    Json(Malformed),
    /// A text that the template converts is not XML.
    #[error("$util.xmlToJson: {0}")]
    Xml(String),
    /// A path that was put together by the template.
    #[error(transparent)]
    Path(PathMistake),
    /// A pattern that was put together by the template.
    #[error("{0}")]
    Pattern(String),
    /// What was given to `#evaluate` is no template.
    #[error("#evaluate was given a template with a mistake, at {0}")]
    Evaluate(Mistake),
    /// A method was given what it can't take; Java throws here.
    #[error("{method}: {why}")]
    Method {
        /// Its name.
        method: &'static str,
        /// What was wrong.
        why: String,
    },
}

/// The bounds of a rendering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Bytes of output (row 180).
    OutputBytes,
    /// Rounds of one `#foreach` (row 116).
    Iterations,
    /// Nodes, values and bytes that are looked at.
    Steps,
    /// Blocks, calls and values within each other.
    Depth,
    /// Bytes of values that a rendering makes.
    MemoryBytes,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutputBytes => "the output is too long: the limit of output bytes",
            Self::Iterations => "#foreach goes on for too long: the limit of iterations",
            Self::Steps => "rendering takes too long: the limit of steps",
            Self::Depth => "nested too deeply: the limit of depth",
            Self::MemoryBytes => "rendering takes too much memory: the limit of memory bytes",
        })
    }
}
