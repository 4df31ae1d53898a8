//! What answers a route.

use std::time::Duration;

use crate::Origin;

/// What answers a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Integration {
    /// Forwards to a group of backends: the short form, whole requests and whole answers.
    Http {
        /// Name of the [`crate::Upstream`].
        upstream: String,
        /// The path sent: a template with `{name}` of the route's variables (row 43). `None`: the request's path.
        path: Option<String>,
        /// Taken off the front of the request's path before it is sent; whole segments, begins with a slash.
        strip_prefix: Option<String>,
    },
    /// Answers by itself, always alike: the short form.
    Mock(Mock),
    /// As API Gateway describes integrations, mappings and all.
    Declared(Box<Declared>),
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

/// An integration as API Gateway describes it (group C of the rows, 117 to 124). Grammars of their own (parameter mappings,
/// templates, patterns) are texts here; who compiles them judges them.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    /// `HTTP`, `MOCK`, …
    pub kind: IntegrationType,
    /// The backend's method; `None`, or `ANY` with a proxy: the client's.
    pub http_method: Option<String>,
    /// `https://host/path/{name}`, with `${stageVariables.name}`; or an ARN.
    pub uri: Option<String>,
    /// A VPC link's id; `None`: the Internet.
    pub connection_id: Option<String>,
    /// A role's ARN.
    pub credentials: Option<String>,
    /// For the whole call (row 60); `None`: 29 s in a REST API, 30 s in an HTTP API.
    pub timeout: Option<Duration>,
    /// Whether the backend's certificate may be anybody's.
    pub insecure_skip_verification: bool,
    /// The name that the backend's certificate has to have.
    pub server_name: Option<String>,
    /// Whether the backend is called over HTTP/2. Not AWS's.
    pub http2: bool,
    /// Destination and source: `integration.request.header.x` ← `method.request.path.id` in a REST API (row 118),
    /// `append:header.x` ← `$request.path.id` in an HTTP API (row 123).
    pub request_parameters: Vec<(String, String)>,
    /// Bodies by content type (row 117).
    pub request_templates: Vec<(String, String)>,
    /// What becomes of bodies without a template (row 117).
    pub passthrough: Passthrough,
    /// What becomes of a request's body that is binary, or is to be (row 124).
    pub content_handling: Option<ContentHandling>,
    /// What tells answers in the cache apart (row 85): `method.request.querystring.x`, …
    pub cache_key_parameters: Vec<String>,
    /// Whose entries it shares; `None`: the resource's.
    pub cache_namespace: Option<String>,
    /// What becomes of the backend's answer (row 120); none with a proxy.
    pub responses: Vec<IntegrationResponse>,
    /// Whether the answer is streamed (row 63).
    pub streams: bool,
    /// `SQS-SendMessage` and the like (HTTP APIs, row 53).
    pub subtype: Option<String>,
    /// `1.0` or `2.0` (HTTP APIs).
    pub payload_format_version: Option<String>,
    /// By the backend's status: destination and source (HTTP APIs, row 123).
    pub response_parameters: Vec<(u16, Vec<(String, String)>)>,
    /// Where it was written.
    pub origin: Option<Origin>,
}

impl Declared {
    /// One that says nothing but what it is.
    pub fn new(kind: IntegrationType) -> Self {
        Self {
            kind,
            http_method: None,
            uri: None,
            connection_id: None,
            credentials: None,
            timeout: None,
            insecure_skip_verification: false,
            server_name: None,
            http2: false,
            request_parameters: Vec::new(),
            request_templates: Vec::new(),
            passthrough: Passthrough::default(),
            content_handling: None,
            cache_key_parameters: Vec::new(),
            cache_namespace: None,
            responses: Vec::new(),
            streams: false,
            subtype: None,
            payload_format_version: None,
            response_parameters: Vec::new(),
            origin: None,
        }
    }
}

/// Kinds of integrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IntegrationType {
    /// An AWS service or a function, with mappings (rows 50, 52).
    Aws,
    /// A function that sees the request whole (rows 45 to 49).
    AwsProxy,
    /// A URL, with mappings (row 44).
    Http,
    /// A URL that sees the request whole (row 43).
    HttpProxy,
    /// The gateway itself (row 57).
    Mock,
}

impl IntegrationType {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Aws, Self::AwsProxy, Self::Http, Self::HttpProxy, Self::Mock];

    /// `HTTP_PROXY` and the like.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "AWS",
            Self::AwsProxy => "AWS_PROXY",
            Self::Http => "HTTP",
            Self::HttpProxy => "HTTP_PROXY",
            Self::Mock => "MOCK",
        }
    }

    /// Whether requests and answers pass whole, without mappings of answers.
    pub fn is_proxy(self) -> bool {
        matches!(self, Self::AwsProxy | Self::HttpProxy)
    }
}

/// What becomes of a body without a template (row 117).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Passthrough {
    /// It passes if no template is for its content type.
    #[default]
    WhenNoMatch,
    /// It passes if there are no templates at all.
    WhenNoTemplates,
    /// It is refused with 415.
    Never,
}

impl Passthrough {
    /// `WHEN_NO_MATCH` and the like.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WhenNoMatch => "WHEN_NO_MATCH",
            Self::WhenNoTemplates => "WHEN_NO_TEMPLATES",
            Self::Never => "NEVER",
        }
    }
}

/// What becomes of a body that is binary, or is to be (row 124).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentHandling {
    /// Base64 is decoded.
    ConvertToBinary,
    /// Binary is encoded as Base64.
    ConvertToText,
}

impl ContentHandling {
    /// `CONVERT_TO_BINARY` or `CONVERT_TO_TEXT`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConvertToBinary => "CONVERT_TO_BINARY",
            Self::ConvertToText => "CONVERT_TO_TEXT",
        }
    }
}

/// What becomes of one kind of a backend's answers (rows 120 to 122).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntegrationResponse {
    /// A regular expression over the backend's status or a function's error; `None`: what no other takes.
    pub selection_pattern: Option<String>,
    /// The status that the client is told.
    pub status: u16,
    /// `method.response.header.X` ← `integration.response.header.Y`, …
    pub parameters: Vec<(String, String)>,
    /// Bodies by content type.
    pub templates: Vec<(String, String)>,
    /// What becomes of a body that is binary, or is to be.
    pub content_handling: Option<ContentHandling>,
    /// Where it was written.
    pub origin: Option<Origin>,
}
