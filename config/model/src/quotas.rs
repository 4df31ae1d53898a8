//! How many of each thing there may be (rows 178, 179): AWS's defaults, which an operator may raise.

/// Bounds of what a node, an API, a stage or a domain has. `[[route]]`s have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// REST APIs with a regional endpoint, and HTTP APIs.
    pub regional_apis: usize,
    /// REST APIs with an edge endpoint.
    pub edge_apis: usize,
    /// REST APIs with a private endpoint.
    pub private_apis: usize,
    /// Domains: hosts that APIs are mapped to, or that something is said of.
    pub domains: usize,
    /// Mappings of a domain whose base paths have several segments (row 37).
    pub mappings: usize,
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
            regional_apis: 600,
            edge_apis: 120,
            private_apis: 600,
            domains: 120,
            mappings: 200,
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
