//! Why the gateway answers in place of a backend: one list, read by the error answers, the metrics and the log.

/// How an API speaks: whose header rules and whose error answers apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// RFC 9110 and nothing of AWS: `[[route]]` and `floodgate run URL`.
    #[default]
    Proxy,
    /// An HTTP API (v2) in AWS's shape.
    Http,
    /// A REST API (v1) in AWS's shape.
    Rest,
}

/// Why a request was not served by its integration. Each variant is one cause that an operator can act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No API is mapped to the host and base path (section N, "unmapped base path").
    NoApi,
    /// The API has no stage of that name (row 24, row 25).
    NoStage,
    /// The API is not to be reached at its default endpoint (row 11).
    EndpointDisabled,
    /// The API or the domain is strict, and the client's TLS name is not the host that it asks for, or it came by a domain of
    /// another endpoint type (row 13).
    EndpointAccess,
    /// No route for the path, or none for the method on it (row 24, row 25).
    NoRoute,
    /// There is no route, and what the client sent to authorise itself is no signature of AWS's (row 24).
    IncompleteSignature {
        /// What is missing in it.
        message: Box<str>,
    },
    /// A throttle refused; whole seconds, rounded up, until it would not.
    Throttled {
        /// For `Retry-After`; only dialect `proxy` says it.
        retry_after_s: u64,
    },
    /// The body is, or grows, longer than the route allows.
    BodyTooLarge {
        /// The limit in bytes.
        max: u64,
    },
    /// The fields of the head are together longer than the API allows (row 176).
    HeadersTooLarge {
        /// The limit in bytes.
        max: u64,
    },
    /// The URL is longer than the API allows (row 177).
    TargetTooLong {
        /// The limit in bytes.
        max: u64,
    },
    /// The backend's answer is longer than may be had in memory or passed on (row 174).
    ResponseTooLarge {
        /// The limit in bytes.
        max: u64,
    },
    /// No connection to the backend could be made: refused, unreachable, not resolved, TLS failed.
    BackendUnreachable,
    /// The backend's connection failed before its answer was whole.
    BackendFailed,
    /// The backend answered something that is not a well-formed response.
    BackendMalformed,
    /// A deadline of the integration passed (row 60).
    BackendTimedOut,
    /// The caller's own time for the call was over (gRPC's `grpc-timeout`).
    CallTimedOut,
    /// As many calls are under way to the backend as there may be.
    BackendBusy,
    /// So many calls to the backend failed that none is made for a while; whole seconds, rounded up, until one is.
    BackendSuspended {
        /// For `Retry-After`; only dialect `proxy` says it.
        retry_after_s: u64,
    },
    /// The node has next to no memory left.
    Overloaded,
    /// The client did not deliver the body in time.
    BodyTimedOut,
    /// The client broke the body's framing.
    BodyMalformed,
    /// The client went away before its request was whole.
    ClientGone,
    /// The client's TLS name (SNI) belongs to another virtual server than the host it asks for.
    Misdirected,
    /// The client wants what is in the cache or nothing, and it is not there (RFC 9111 §5.2.1.7).
    NotCached,
    /// Parameters that the route requires are not there (row 113); their names, with `, ` between them.
    MissingParameters(Box<str>),
    /// The body does not hold to its model (row 113).
    InvalidBody {
        /// `$context.error.validationErrorString` (row 114).
        errors: Box<str>,
    },
    /// A part of the request that is to be passed on can't be: an unencoded `|` in the query, a parameter that climbs out of
    /// its place in a path (row 129).
    BadRequest,
    /// The body is no JSON, and a mapping looks into it (row 129).
    InvalidJson,
    /// There is no template for the body's type, and it may not pass without (row 117).
    UnsupportedMediaType,
    /// What answers is configured so that it can't: no answer's pattern takes the backend's status, a template or a mapping
    /// fails, the endpoint's address is none (rows 57, 61, 118, 120).
    ApiConfiguration,
    /// A fault of the gateway's own.
    Internal,
}

impl Reason {
    /// The name in metrics and logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NoApi => "no_api",
            Self::NoStage => "no_stage",
            Self::EndpointDisabled => "endpoint_disabled",
            Self::EndpointAccess => "endpoint_access",
            Self::NoRoute => "no_route",
            Self::IncompleteSignature { .. } => "incomplete_signature",
            Self::Throttled { .. } => "throttled",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::HeadersTooLarge { .. } => "headers_too_large",
            Self::TargetTooLong { .. } => "target_too_long",
            Self::ResponseTooLarge { .. } => "response_too_large",
            Self::BackendUnreachable => "backend_unreachable",
            Self::BackendFailed => "backend_failed",
            Self::BackendMalformed => "backend_malformed",
            Self::BackendTimedOut => "backend_timed_out",
            Self::CallTimedOut => "call_timed_out",
            Self::BackendBusy => "backend_busy",
            Self::BackendSuspended { .. } => "backend_suspended",
            Self::Overloaded => "overloaded",
            Self::BodyTimedOut => "body_timed_out",
            Self::BodyMalformed => "body_malformed",
            Self::ClientGone => "client_gone",
            Self::Misdirected => "misdirected",
            Self::NotCached => "not_cached",
            Self::MissingParameters(_) => "missing_parameters",
            Self::InvalidBody { .. } => "invalid_body",
            Self::BadRequest => "bad_request",
            Self::InvalidJson => "invalid_json",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::ApiConfiguration => "api_configuration",
            Self::Internal => "internal",
        }
    }
}
