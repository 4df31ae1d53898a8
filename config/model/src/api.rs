//! APIs: stages, routes, and what a route asks for.

use std::time::Duration;

use crate::{
    Authorization, Canary, Definition, Deployment, EndpointType, Integration, IpAddressType, MethodResponse,
    Origin, RequestRules,
};

/// One API.
#[derive(Clone, Debug, PartialEq)]
pub struct Api {
    /// Its name: unique, in metrics, logs and bucket identities.
    pub name: String,
    /// Ten lower-case letters and digits, unique: in its default host and in `$context` (row 10).
    pub id: String,
    /// How it speaks.
    pub kind: Kind,
    /// Where it is reached, beside its default host. Empty: at every host, base path `/`.
    pub mappings: Vec<Mapping>,
    /// At least one. `[[route]]` makes one named `$default`.
    pub stages: Vec<Stage>,
    /// What it is: what stages run that have no deployment of their own.
    pub definition: Definition,
    /// Where it says that it stands.
    pub endpoint: EndpointType,
    /// Which addresses it says that it has.
    pub ip_address_type: IpAddressType,
    /// The VPC endpoints of a private API.
    pub vpc_endpoint_ids: Vec<String>,
    /// Whether a warning about what it runs refuses it (`failonwarnings`, row 138).
    pub fail_on_warnings: bool,
    /// Where it was written.
    pub origin: Option<Origin>,
}

impl Api {
    /// An API that is reached at every host and has neither stages nor routes.
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        let name = name.into();
        Self {
            id: Self::id_of(&name),
            name,
            kind,
            mappings: Vec::new(),
            stages: Vec::new(),
            definition: Definition::default(),
            endpoint: EndpointType::default(),
            ip_address_type: IpAddressType::default(),
            vpc_endpoint_ids: Vec::new(),
            fail_on_warnings: false,
            origin: None,
        }
    }

    /// The id of an API of that name where none is given: always the same, so that URLs outlive restarts.
    pub fn id_of(name: &str) -> String {
        const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        const LENGTH: usize = 10;
        // FNV-1a, and a finisher that makes near names far (MurmurHash3's).
        let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        let mut hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, fold);
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        hash ^= hash >> 33;
        let mut id = String::with_capacity(LENGTH);
        for _ in 0..LENGTH {
            let digit = usize::try_from(hash % 36).unwrap_or_default();
            id.push(char::from(DIGITS[digit]));
            hash /= 36;
        }
        id
    }
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

/// A stage: its own name, variables, limits and cache (rows 27, 33, 68, 82), and the deployment that it runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stage {
    /// `[A-Za-z0-9_-]{1,128}` or `$default`.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// `${stageVariables.name}` and what stands for it (row 33).
    pub variables: Vec<(String, String)>,
    /// The bucket of the whole stage.
    pub throttle: Option<Throttle>,
    /// The bucket of each method or route that has none of its own (`*/*`, `defaultRouteSettings`).
    pub route_throttle: Option<Throttle>,
    /// Caching for its GET methods (row 84).
    pub cache: Option<Cache>,
    /// What holds for single methods or routes, before what they say themselves.
    pub method_settings: Vec<MethodSettings>,
    /// One word for CORS in a REST API: preflights are answered where no method takes OPTIONS, and headers are set. Not AWS's.
    pub cors: Option<Cors>,
    /// Whether a change of the API's definition is deployed at once; otherwise the stage runs what was deployed last.
    pub auto_deploy: bool,
    /// What it runs; `None`: the API's definition.
    pub deployment: Option<Deployment>,
    /// What serves a part of its requests.
    pub canary: Option<Canary>,
    /// The version of the documentation that it shows.
    pub documentation_version: Option<String>,
    /// Where it was written.
    pub origin: Option<Origin>,
}

/// What holds for one method or route of a stage (rows 68, 69, 84).
#[derive(Clone, Debug, PartialEq)]
pub struct MethodSettings {
    /// Which.
    pub key: RouteKey,
    /// Its bucket.
    pub throttle: Option<Throttle>,
    /// Its cache; with a time of 0: none.
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
    /// `operationId`.
    pub operation_name: Option<String>,
    /// Who may call.
    pub authorization: Authorization,
    /// Whether an API key is asked for (row 75).
    pub api_key_required: bool,
    /// Security schemes that its document asks for and nothing enforces. While there are any, it is not served.
    pub unenforced_security: Vec<String>,
    /// What is known of requests.
    pub request: RequestRules,
    /// What is known of answers.
    pub responses: Vec<MethodResponse>,
    /// Its buckets: at most one for each [`ThrottlePer`].
    pub throttles: Vec<Throttle>,
    /// Its cache; `None`: the stage's for GET.
    pub cache: Option<Cache>,
    /// Limits of its own.
    pub limits: Option<Limits>,
    /// Where it was written.
    pub origin: Option<Origin>,
}

impl Route {
    /// One that says nothing but what it takes and what answers.
    pub fn new(key: RouteKey, integration: Integration) -> Self {
        Self {
            key,
            integration,
            operation_name: None,
            authorization: Authorization::default(),
            api_key_required: false,
            unenforced_security: Vec::new(),
            request: RequestRules::default(),
            responses: Vec::new(),
            throttles: Vec::new(),
            cache: None,
            limits: None,
            origin: None,
        }
    }

    /// Makes it one of nowhere.
    pub(crate) fn forget_origins(&mut self) {
        self.origin = None;
        self.throttles.iter_mut().for_each(|it| it.origin = None);
        self.cache.iter_mut().for_each(|it| it.origin = None);
        if let Integration::Declared(declared) = &mut self.integration {
            declared.origin = None;
            declared.responses.iter_mut().for_each(|it| it.origin = None);
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str) -> String {
        let id = Api::id_of(name);
        assert!(id.len() == 10 && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()));
        assert_eq!(id, Api::id_of(name), "it outlives a restart");
        id
    }

    #[test]
    fn ids_are_ten_letters_and_tell_names_apart() {
        let mut ids: Vec<_> = (0..10_000).map(|number| check(&format!("api{number}"))).collect();
        ids.extend(["", "é", "Api0"].map(check));
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 10_003);
    }
}
