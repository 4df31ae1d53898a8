//! What an integration is made of, in plain data. It does not know how it was written.

use super::Mistake;

/// Kinds of integrations that run here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A URL, with mappings (row 44).
    Http,
    /// A URL that sees the request whole (row 43).
    HttpProxy,
    /// The gateway itself (row 57).
    Mock,
}

/// What becomes of a body without a template (row 117).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passthrough {
    /// It passes if no template is for its content type.
    WhenNoMatch,
    /// It passes if there are no templates at all.
    WhenNoTemplates,
    /// It is refused with 415.
    Never,
}

/// What becomes of a body that is binary, or is to be (row 124).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling {
    /// Base64 is decoded.
    ToBinary,
    /// Binary is encoded as Base64.
    ToText,
}

/// Where a parameter of a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A variable of the path.
    Path,
    /// The query.
    Query,
    /// A field of the head.
    Header,
}

/// Where a route stands: what `$context` says of it whatever is asked.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The account that the node says it belongs to.
    pub account_id: String,
    /// The API's id.
    pub api_id: String,
    /// The stage's name.
    pub stage: String,
    /// `GET /pets/{id}`.
    pub route_key: String,
    /// `/pets/{id}`.
    pub resource_path: String,
    /// The resource's id.
    pub resource_id: String,
    /// The deployment's id; empty: it has none.
    pub deployment_id: String,
    /// Whether it is a canary's; `None`: the stage has none.
    pub is_canary: Option<bool>,
}

/// Plain settings of [`super::Declared`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// What answers.
    pub kind: Kind,
    /// Whether it is an HTTP API's, which maps path variables by itself and has header rules of its own.
    pub is_http_api: bool,
    /// The slot of the upstream group; `None`: nothing is called, or the URI has no host that could be.
    pub upstream: Option<u32>,
    /// Path and query of the URI, with `{name}`, as [`super::Uri`] has them.
    pub target: String,
    /// The backend's method; `None` or `ANY`: the client's.
    pub http_method: Option<String>,
    /// Destination and source (row 118).
    pub request_parameters: Vec<(String, String)>,
    /// Parameters that the method declares.
    pub declared: Vec<(Part, String)>,
    /// The route's variables in the template's order.
    pub variables: Vec<String>,
    /// Bodies by content type.
    pub request_templates: Vec<(String, String)>,
    /// What becomes of bodies without a template.
    pub passthrough: Passthrough,
    /// What becomes of a request's body that is binary, or is to be.
    pub handling: Option<Handling>,
    /// Media types that are no text; `*/*`: all.
    pub binary_media_types: Vec<String>,
    /// What becomes of answers; none with a proxy.
    pub responses: Vec<Response>,
    /// What the stage knows by name (row 33).
    pub stage_variables: Vec<(String, String)>,
    /// Where it stands.
    pub place: Place,
    /// For the whole call, in nanoseconds (row 60).
    pub timeout_ns: u64,
    /// Whether templates have `$util.xmlToJson` (row 19).
    pub xml: bool,
    /// The longest body that is looked at, either way, in bytes (row 174).
    pub body_bytes_max: u64,
}

/// What becomes of one kind of a backend's answers.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// A regular expression over the status; `None` or empty: what no other takes.
    pub pattern: Option<String>,
    /// What the client is told.
    pub status: u16,
    /// `method.response.header.X` and its source (row 121).
    pub parameters: Vec<(String, String)>,
    /// Fields that the method's response of that status declares.
    pub declared: Vec<String>,
    /// Bodies by content type (row 122).
    pub templates: Vec<(String, String)>,
    /// What becomes of a body that is binary, or is to be.
    pub handling: Option<Handling>,
}

/// Mistakes and warnings as they are found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) mistakes: Vec<Mistake>,
    pub(super) warnings: Vec<Mistake>,
}

impl Found {
    pub(super) fn mistake(&mut self, key: impl Into<String>, why: impl Into<String>) {
        self.mistakes.push(Mistake { key: key.into(), why: why.into() });
    }

    pub(super) fn warn(&mut self, key: impl Into<String>, why: impl Into<String>) {
        self.warnings.push(Mistake { key: key.into(), why: why.into() });
    }
}
