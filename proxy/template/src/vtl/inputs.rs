//! The doors of a rendering: what it is told, and what it overrides.

use std::borrow::Cow;

/// Fields that have names of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fields {
    /// Path parameters of the request.
    Path,
    /// Query parameters of the request.
    Query,
    /// Headers of the request.
    Header,
    /// Stage variables.
    StageVariables,
    /// What an authorizer said: `$context.authorizer`.
    Authorizer,
    /// The claims of its token: `$context.authorizer.claims`.
    Claims,
}

/// What a template may ask of the request that it is rendered for. All of it is lent: a rendering reads it where it lies.
pub trait Inputs {
    /// The body, decoded; empty if there is none.
    fn body(&self) -> &[u8];

    /// A field by its name, as the dialect of the caller compares names.
    fn field(&self, fields: Fields, name: &str) -> Option<&str>;

    /// Gives each field to `visit`, in order, once.
    fn each_field<'s>(&'s self, fields: Fields, visit: &mut dyn FnMut(&'s str, &'s str));

    /// A variable of `$context` that stands in section O, by its name without `$context.`, as `identity.sourceIp`;
    /// `None` if it has no value for this request.
    fn context(&self, name: &str) -> Option<Cow<'_, str>>;
}

/// A value that a template put in place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Override {
    /// One value.
    One(String),
    /// Several, for a header or a query parameter that is sent several times (row 119).
    Many(Vec<String>),
}

/// What a template changed (row 119). The response's template may read what the request's has written, so both are
/// given the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `$context.requestOverride.header.…`
    pub request_headers: Vec<(String, Override)>,
    /// `$context.requestOverride.path.…`
    pub request_path: Vec<(String, Override)>,
    /// `$context.requestOverride.querystring.…`
    pub request_query: Vec<(String, Override)>,
    /// `$context.responseOverride.header.…`
    pub response_headers: Vec<(String, Override)>,
    /// `$context.responseOverride.status`, 100 to 599
    pub response_status: Option<u16>,
}
