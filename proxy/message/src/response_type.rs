//! The kinds of answers that a gateway gives by itself, as AWS names them (row 126): `$context.error.responseType`.

use crate::Reason;

macro_rules! response_types {
    ($($variant:ident $name:literal)*) => {
        /// A kind of answer of the gateway's own.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ResponseType {
            $(#[doc = $name] $variant,)*
        }

        impl ResponseType {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// `ACCESS_DENIED` and the like.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

response_types! {
    AccessDenied "ACCESS_DENIED"
    ApiConfigurationError "API_CONFIGURATION_ERROR"
    AuthorizerConfigurationError "AUTHORIZER_CONFIGURATION_ERROR"
    AuthorizerFailure "AUTHORIZER_FAILURE"
    BadRequestBody "BAD_REQUEST_BODY"
    BadRequestParameters "BAD_REQUEST_PARAMETERS"
    Default4xx "DEFAULT_4XX"
    Default5xx "DEFAULT_5XX"
    ExpiredToken "EXPIRED_TOKEN"
    IntegrationFailure "INTEGRATION_FAILURE"
    IntegrationTimeout "INTEGRATION_TIMEOUT"
    InvalidApiKey "INVALID_API_KEY"
    InvalidSignature "INVALID_SIGNATURE"
    MissingAuthenticationToken "MISSING_AUTHENTICATION_TOKEN"
    QuotaExceeded "QUOTA_EXCEEDED"
    RequestTooLarge "REQUEST_TOO_LARGE"
    ResourceNotFound "RESOURCE_NOT_FOUND"
    Throttled "THROTTLED"
    Unauthorized "UNAUTHORIZED"
    UnsupportedMediaType "UNSUPPORTED_MEDIA_TYPE"
    WafFiltered "WAF_FILTERED"
}

impl ResponseType {
    /// The kind that answers for a reason. What AWS has no kind of its own for is one of the two defaults.
    pub fn of(reason: &Reason) -> Self {
        match reason {
            // AWS's own kind for what no method takes is the first of these (row 126).
            Reason::NoRoute => Self::MissingAuthenticationToken,
            // U: which kind it is.
            Reason::IncompleteSignature { .. } => Self::InvalidSignature,
            Reason::NoApi | Reason::NoStage | Reason::EndpointDisabled | Reason::EndpointAccess => {
                Self::AccessDenied
            }
            Reason::Throttled { .. } => Self::Throttled,
            Reason::MissingParameters(_) => Self::BadRequestParameters,
            Reason::InvalidBody { .. } | Reason::InvalidJson => Self::BadRequestBody,
            Reason::UnsupportedMediaType => Self::UnsupportedMediaType,
            Reason::BodyTooLarge { .. } => Self::RequestTooLarge,
            Reason::HeadersTooLarge { .. }
            | Reason::TargetTooLong { .. }
            | Reason::BodyTimedOut
            | Reason::BodyMalformed
            | Reason::ClientGone
            | Reason::Misdirected
            | Reason::BadRequest => Self::Default4xx,
            Reason::BackendUnreachable
            | Reason::BackendFailed
            | Reason::BackendMalformed
            | Reason::ResponseTooLarge { .. }
            | Reason::BackendBusy
            | Reason::BackendSuspended { .. } => Self::IntegrationFailure,
            Reason::BackendTimedOut | Reason::CallTimedOut => Self::IntegrationTimeout,
            Reason::Overloaded | Reason::NotCached => Self::Default5xx,
            Reason::Internal | Reason::ApiConfiguration => Self::ApiConfigurationError,
        }
    }
}
