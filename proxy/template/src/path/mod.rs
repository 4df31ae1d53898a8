//! JSONPath in Jayway's dialect, over slices of the document: what a path finds is the text that stands there. It does
//! not know templates, nor where documents come from.
//!
//! A definite path finds one value or none; one that can find several (`*`, `..`, `[1,2]`, slices, filters) finds a
//! list. Where Jayway throws because something is missing, nothing is found.

mod compare;
mod eval;
mod filter;
mod function;
mod parse;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::json::{self, Malformed};
use filter::Filter;
use function::Function;

/// Steps that one look-up may take: values that are looked at.
pub const PATH_STEPS_MAX: u64 = 1_000_000;

/// The length of a path's text, in bytes.
pub const PATH_BYTES_MAX: usize = 4 << 10;

/// How deeply filters and arguments of a path may be nested.
pub const PATH_DEPTH_MAX: usize = 16;

/// The size of a compiled regular expression, in bytes.
pub const REGEX_BYTES_MAX: usize = 256 << 10;

/// What is wrong with a path's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}, at character {at} of `{path}`")]
pub struct PathMistake {
    /// The path.
    pub path: String,
    /// The character, counted from 1.
    pub at: usize,
    /// What is wrong and what to do.
    pub why: String,
}

/// Why a document could not be looked into.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// The document is not JSON.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It would take too long.
    #[error("the look-up took more than {max} steps (limit: path steps)")]
    Steps {
        /// [`PATH_STEPS_MAX`], or what was left of the asker's.
        max: u64,
    },
}

/// A compiled path.
#[derive(Clone, Debug)]
pub struct Path {
    tokens: Box<[Token]>,
    definite: bool,
}

/// One step of a path.
#[derive(Clone, Debug)]
enum Token {
    /// `.name`, `['name']`
    Name(Box<str>),
    /// `['a','b']`
    Names(Box<[Box<str>]>),
    /// `*`
    Wildcard,
    /// `[0]`, `[-1]`, `[0,2]`
    Indexes(Box<[i64]>),
    /// `[1:3]`, `[-2:]`, `[:2]`
    Slice(Option<i64>, Option<i64>),
    /// `[(@.length - 1)]`: so many before the end.
    FromEnd(i64),
    /// `[?(…)]`
    Filter(Box<Filter>),
    /// `..`: what follows, at every depth.
    Scan,
    /// `.length()`; the last of its path.
    Function(Box<Function>),
}

/// What a path found in a document: values as JSON text, of the document where they stand there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'d> {
    hits: SmallVec<[Cow<'d, str>; 1]>,
    definite: bool,
}

impl Path {
    /// Reads a path. Without `$` in front it begins at the root as well.
    pub fn compile(path: &str) -> Result<Self, PathMistake> {
        parse::path(path)
    }

    /// Whether the path finds one value, and not a list.
    pub fn is_definite(&self) -> bool {
        self.definite
    }

    /// Looks into a document, which is checked to be JSON first.
    pub fn find<'d>(&self, document: &'d [u8]) -> Result<Found<'d>, FindError> {
        let text = std::str::from_utf8(document)
            .map_err(|error| Malformed { at: error.valid_up_to(), why: "the text is not UTF-8" })?;
        let mut steps = PATH_STEPS_MAX;
        self.find_checked(json::check(text)?, &mut steps)
            .map_err(|_| FindError::Steps { max: PATH_STEPS_MAX })
    }

    /// Looks into a value that was checked.
    pub(crate) fn find_checked<'d>(&self, value: &'d str, steps: &mut u64) -> Result<Found<'d>, OutOfSteps> {
        eval::find(self, value, steps)
    }
}

/// Says that the steps are used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfSteps;

impl<'d> Found<'d> {
    /// The values, in the order of the document.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.hits.iter().map(|hit| &**hit)
    }

    /// What was found as one value: of a definite path itself, else the list. `None` if a definite path found nothing.
    pub fn into_json(mut self) -> Option<Cow<'d, str>> {
        if self.definite {
            return if self.hits.is_empty() { None } else { Some(self.hits.swap_remove(0)) };
        }
        Some(Cow::Owned(array(self.values())))
    }

    /// The same as text for a header or a query: strings without quotes, all else as JSON without space.
    pub fn into_text(self) -> Option<Cow<'d, str>> {
        let value = self.into_json()?;
        match (json::kind(&value), &value) {
            (json::Kind::Text, Cow::Borrowed(value)) => Some(json::text(value)),
            (json::Kind::Number | json::Kind::True | json::Kind::False | json::Kind::Null, _) => Some(value),
            (json::Kind::Text, Cow::Owned(value)) => Some(Cow::Owned(json::text(value).into_owned())),
            _ => {
                let mut text = String::with_capacity(value.len());
                let Ok(()) = json::write_compact(&mut text, &value);
                Some(Cow::Owned(text))
            }
        }
    }
}

/// A list of values as JSON.
fn array<'v>(values: impl Iterator<Item = &'v str>) -> String {
    let mut list = String::from("[");
    for (index, value) in values.enumerate() {
        if index > 0 {
            list.push(',');
        }
        list.push_str(value);
    }
    list.push(']');
    list
}
