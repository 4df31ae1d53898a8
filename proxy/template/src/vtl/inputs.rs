//! The doors of a rendering: what it is told, and what it overrides.

use crate::NamedValues;

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

    /// Appends a variable of `$context` that stands in section O, by its name without `$context.`, as `identity.sourceIp`;
    /// false if it has no value for this request.
    fn context(&self, name: &str, out: &mut Vec<u8>) -> bool;
}

/// What a template changed (row 119). The response's template may read what the request's has written, so both are
/// given the same. A list is sent several times, where that can be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `$context.requestOverride.header.…`
    pub request_headers: NamedValues,
    /// `$context.requestOverride.path.…`
    pub request_path: NamedValues,
    /// `$context.requestOverride.querystring.…`
    pub request_query: NamedValues,
    /// `$context.responseOverride.header.…`
    pub response_headers: NamedValues,
    /// `$context.responseOverride.status`, 100 to 599
    pub response_status: Option<u16>,
}

impl Overrides {
    /// Forgets all, keeps the memory.
    pub fn clear(&mut self) {
        let Self { request_headers, request_path, request_query, response_headers, response_status } = self;
        *response_status = None;
        for fields in [request_headers, request_path, request_query, response_headers] {
            fields.clear();
        }
    }

    /// The memory that it keeps, in bytes.
    pub fn kept_bytes(&self) -> usize {
        let Self { request_headers, request_path, request_query, response_headers, .. } = self;
        let all = [request_headers, request_path, request_query, response_headers];
        all.into_iter().map(NamedValues::kept_bytes).sum()
    }
}
