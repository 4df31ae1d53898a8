//! APIs: stages, routes, and what a route asks for.

use std::time::Duration;

use crate::Origin;

/// One API.
#[derive(Clone, Debug, PartialEq)]
pub struct Api {
    /// Its name: unique, in metrics, logs and bucket identities.
    pub name: String,
    /// How it speaks.
    pub kind: Kind,
    /// Where it is reached. Empty: at every host, base path `/`.
    pub mappings: Vec<Mapping>,
    /// At least one. `[[route]]` makes one named `$default`.
    pub stages: Vec<Stage>,
    /// Its routes.
    pub routes: Vec<Route>,
    /// Answers preflights and sets CORS headers (row 137).
    pub cors: Option<Cors>,
    /// Where it was written.
    pub origin: Option<Origin>,
}

/// Whose rules an API follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `[[route]]` and `floodgate run URL`: an HTTP API with RFC 9110's rules only.
    #[default]
    Proxy,
    /// An HTTP API in AWS's shape (v2).
    Http,
    /// A REST API in AWS's shape (v1).
    Rest,
}

/// A host and base path at which an API is reached (rows 35–37).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// `api.example.com`, `*.example.com`, or `None` for every host.
    pub host: Option<String>,
    /// Whole segments without slashes at the ends: `v1`, `shop/v2`; empty for the root.
    pub base_path: String,
    /// The stage it leads to; `None`: the first segment after the base path names it (row 36).
    pub stage: Option<String>,
    /// Where it was written.
    pub origin: Option<Origin>,
}

/// A stage: its own name, limits and cache (rows 27, 68, 82).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stage {
    /// `[A-Za-z0-9_-]{1,128}` or `$default`.
    pub name: String,
    /// The bucket of the whole stage.
    pub throttle: Option<Throttle>,
    /// The bucket of each method or route that has none of its own (`*/*`, `defaultRouteSettings`).
    pub route_throttle: Option<Throttle>,
    /// Caching for its GET methods (row 84).
    pub cache: Option<Cache>,
    /// Where it was written.
    pub origin: Option<Origin>,
}

/// A route or a method.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Which requests it takes.
    pub key: RouteKey,
    /// What answers them.
    pub integration: Integration,
    /// Its buckets: at most one for each [`ThrottlePer`].
    pub throttles: Vec<Throttle>,
    /// Its cache; `None`: the stage's for GET.
    pub cache: Option<Cache>,
    /// Limits of its own.
    pub limits: Option<Limits>,
    /// Where it was written.
    pub origin: Option<Origin>,
}

/// `GET /pets/{id}`, `ANY /{proxy+}`, `$default`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RouteKey {
    /// What no other route takes (HTTP APIs and dialect `proxy`).
    Default,
    /// A method (`None`: ANY) and a path template beginning with a slash.
    Path {
        /// The method's token; `None` for `ANY`.
        method: Option<String>,
        /// Segments are literals, `{name}` or, last, `{name+}`.
        path: String,
    },
}

/// What answers a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Integration {
    /// Forwards to a group of backends.
    Http {
        /// Name of the [`crate::Upstream`].
        upstream: String,
        /// The path sent: a template with `{name}` of the route's variables (row 43). `None`: the request's path.
        path: Option<String>,
        /// Taken off the front of the request's path before it is sent; whole segments, begins with a slash.
        strip_prefix: Option<String>,
    },
    /// Answers by itself.
    Mock(Mock),
}

/// An answer without a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mock {
    /// 200 to 599.
    pub status: u16,
    /// Fields of the answer; names are tokens, values have no control characters.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// How fast. A token bucket (row 66): starts full, a token a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Throttle {
    /// Tokens a second; any decimal from 0. 0 refuses all (row 73).
    pub rate: f64,
    /// Tokens at once; `None`: as many as `rate`, at least 1.
    pub burst: Option<u32>,
    /// Whose bucket.
    pub per: ThrottlePer,
    /// Where it was written.
    pub origin: Option<Origin>,
}

/// Whose bucket a throttle is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ThrottlePer {
    /// All clients of the route, stage or account together.
    #[default]
    All,
    /// Each client: an IPv4 address or an IPv6 /64.
    Client,
}

/// Response caching (rows 82–89).
#[derive(Clone, Debug, PartialEq)]
pub struct Cache {
    /// Who says what is kept, and for how long.
    pub mode: CacheMode,
    /// 0 s (no caching) to 3,600 s; AWS's default is 300 s.
    pub ttl: Duration,
    /// What beside the route tells two entries apart. In dialect `proxy` host, path and query are in the key unless
    /// `key` is given; in AWS's shape only what is declared (row 85).
    pub key: Option<Vec<CacheKey>>,
    /// Methods that are cached; `GET` by default (row 84).
    pub methods: Vec<String>,
    /// Whether `Cache-Control: max-age=0` of a client refetches the entry (row 86).
    pub client_invalidation: bool,
    /// The longest body that is kept; AWS: 1,048,576 (row 87).
    pub body_bytes_max: u64,
    /// Where it was written.
    pub origin: Option<Origin>,
}

/// Who says what a cache keeps, and for how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CacheMode {
    /// The operator: `ttl`, `key`, `methods`.
    #[default]
    Fixed,
    /// The backend, of each response: a shared cache of RFC 9111. `ttl`, `key` and `methods` do not count.
    RespectOrigin,
}

/// A part of a cache key: `querystring.x`, `header.x`, `path.x`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CacheKey {
    /// A query parameter.
    Query(String),
    /// A request header, any case.
    Header(String),
    /// A variable of the route.
    Path(String),
}

/// Limits of heads and bodies (rows 174, 176, 177).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest request body.
    pub body_bytes_max: u64,
    /// All names and values of a request's head together.
    pub header_bytes_max: u64,
    /// Fields of a request's head.
    pub headers_max: usize,
    /// The request's target.
    pub target_bytes_max: u64,
}

/// `corsConfiguration` (row 137).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    /// Origins: exact, `*`, `https://*`, `http://*`.
    pub allow_origins: Vec<String>,
    /// Methods, or `*`.
    pub allow_methods: Vec<String>,
    /// Request headers, or `*`.
    pub allow_headers: Vec<String>,
    /// Response headers that scripts may read.
    pub expose_headers: Vec<String>,
    /// Seconds a preflight may be kept, −1 to 86,400; `None`: not said.
    pub max_age_s: Option<i32>,
    /// Cookies and the like; refused together with `*` as origin.
    pub allow_credentials: bool,
    /// Where it was written.
    pub origin: Option<Origin>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 10 << 20,
            header_bytes_max: 10_240,
            headers_max: 100,
            target_bytes_max: 10_240,
        }
    }
}

impl std::fmt::Display for RouteKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("$default"),
            Self::Path { method, path } => write!(f, "{} {path}", method.as_deref().unwrap_or("ANY")),
        }
    }
}
