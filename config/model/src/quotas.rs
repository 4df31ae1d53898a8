//! How many of each thing there may be (row 178): AWS's defaults, which an operator may raise.

/// Bounds of what an API, a stage or a domain has. `[[route]]`s have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Resources of a REST API: paths, and the paths before them.
    pub resources: usize,
    /// Routes of an HTTP API.
    pub routes: usize,
    /// Integrations of an HTTP API: of its routes those that say something else.
    pub integrations: usize,
    /// Stages of an API.
    pub stages: usize,
    /// Authorizers of an API.
    pub authorizers: usize,
    /// Variables of a stage.
    pub stage_variables: usize,
    /// Parts of an API's documentation.
    pub documentation_parts: usize,
    /// Audiences of an authorizer.
    pub audiences: usize,
    /// Scopes of a route.
    pub scopes: usize,
    /// Tags of an API.
    pub tags: usize,
    /// Rules of a domain (row 39).
    pub routing_rules: usize,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            resources: 300,
            routes: 300,
            integrations: 300,
            stages: 10,
            authorizers: 10,
            stage_variables: 100,
            documentation_parts: 2_000,
            audiences: 50,
            scopes: 10,
            tags: 50,
            routing_rules: 50,
        }
    }
}
