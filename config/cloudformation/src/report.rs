//! What became of the parts of a template, for whoever brings one.

use model::Origin;

/// What became of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The part: `Resources.Api (AWS::Serverless::Api)`.
    pub what: String,
    /// What it became; `None`: nothing.
    pub became: Option<String>,
    /// Why nothing, or not all of it.
    pub why: Option<String>,
    /// Where it stands.
    pub origin: Option<Origin>,
}

impl Note {
    /// It was taken.
    pub(crate) fn mapped(what: impl Into<String>, became: impl Into<String>, origin: Origin) -> Self {
        Self { what: what.into(), became: Some(became.into()), why: None, origin: Some(origin) }
    }

    /// It was left out.
    pub(crate) fn left(what: impl Into<String>, why: impl Into<String>, origin: Origin) -> Self {
        Self { what: what.into(), became: None, why: Some(why.into()), origin: Some(origin) }
    }
}
