//! What an API is, apart from where it is reached and how a stage runs it: what a deployment freezes (row 26).

use crate::{Cors, EndpointAccessMode, Origin, Route};

/// An API's definition: a REST API's resources and what belongs to them, or an HTTP API's routes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Definition {
    /// Routes, or methods of resources.
    pub routes: Vec<Route>,
    /// Paths of resources that have no method, such as a parent that was made by itself; without those of `routes`.
    pub resources: Vec<String>,
    /// For people.
    pub description: Option<String>,
    /// A label (row 34).
    pub version: Option<String>,
    /// Schemas of bodies, by name (row 112).
    pub models: Vec<BodyModel>,
    /// What may be checked of a request, by name (row 113).
    pub validators: Vec<RequestValidator>,
    /// Who may be asked whether a client may, by name.
    pub authorizers: Vec<Authorizer>,
    /// What answers of the gateway's own look like (rows 126, 127).
    pub gateway_responses: Vec<GatewayResponse>,
    /// Media types whose bodies are no text: `image/png`, `*/*` (row 124).
    pub binary_media_types: Vec<String>,
    /// Answers of so many bytes are compressed, 0 to 10,485,760 (row 125); `None`: none is.
    pub minimum_compression_bytes: Option<u32>,
    /// Where an API key is looked for (row 76).
    pub api_key_source: ApiKeySource,
    /// The resource policy, a document in JSON (row 95).
    pub policy: Option<String>,
    /// What it says of itself to readers (row 146).
    pub documentation: Vec<DocumentationPart>,
    /// Whether only its mappings reach it, and not its default host (row 11).
    pub disable_default_endpoint: bool,
    /// What requests have to show of where they belong (row 13). AWS asks for a deployment after a change of it.
    pub endpoint_access_mode: EndpointAccessMode,
    /// Answers preflights and sets CORS headers (row 137).
    pub cors: Option<Cors>,
    /// Keys and values without a meaning of their own (row 41).
    pub tags: Vec<(String, String)>,
}

/// A model: the schema of a body. AWS's noun is *model*.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyModel {
    /// Letters and digits.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// `application/json`, as a rule.
    pub content_type: String,
    /// JSON Schema, draft 4, as text.
    pub schema: String,
    /// Where it was written.
    pub origin: Option<Origin>,
}

/// What is checked of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestValidator {
    /// Its name.
    pub name: String,
    /// The body against the model of its content type.
    pub body: bool,
    /// That required parameters are there.
    pub parameters: bool,
    /// Where it was written.
    pub origin: Option<Origin>,
}

/// Where an API key is looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ApiKeySource {
    /// `x-api-key`.
    #[default]
    Header,
    /// What a Lambda authorizer says.
    Authorizer,
}

/// Who is asked whether a client may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorizer {
    /// Its name.
    pub name: String,
    /// How it judges.
    pub kind: AuthorizerKind,
    /// `x-amazon-apigateway-authtype` where it says more than the kind, such as `oauth2`.
    pub auth_type: Option<String>,
    /// The function's invocation URI.
    pub uri: Option<String>,
    /// The role for the call.
    pub credentials: Option<String>,
    /// `method.request.header.Authorization`, `$request.header.Authorization`, …
    pub identity_sources: Vec<String>,
    /// What a token has to look like, before anybody is asked.
    pub identity_validation_expression: Option<String>,
    /// How long an answer is kept; `None`: AWS's default of 300 s.
    pub result_ttl_s: Option<u32>,
    /// User pools.
    pub provider_arns: Vec<String>,
    /// `1.0` or `2.0` (HTTP APIs).
    pub payload_format_version: Option<String>,
    /// Whether a plain yes or no is an answer (HTTP APIs).
    pub enable_simple_responses: bool,
    /// `iss` of tokens (JWT).
    pub issuer: Option<String>,
    /// `aud` of tokens (JWT).
    pub audiences: Vec<String>,
    /// Where it was written.
    pub origin: Option<Origin>,
}

/// How an authorizer judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorizerKind {
    /// A function is given a token (row 97).
    Token,
    /// A function is given the request (rows 98, 101).
    Request,
    /// Tokens of a user pool (row 102).
    CognitoUserPools,
    /// Tokens of an issuer (row 103).
    Jwt,
}

/// What one kind of the gateway's own answers looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayResponse {
    /// Which.
    pub kind: GatewayResponseType,
    /// `None`: that of the kind.
    pub status: Option<u16>,
    /// `gatewayresponse.header.X` and what it is taken from.
    pub parameters: Vec<(String, String)>,
    /// Bodies by media type, with `$context` variables that are replaced.
    pub templates: Vec<(String, String)>,
    /// Where it was written.
    pub origin: Option<Origin>,
}

macro_rules! gateway_response_types {
    ($($variant:ident $name:literal $status:expr,)*) => {
        /// The kinds of the gateway's own answers (row 126).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum GatewayResponseType {
            $(#[doc = $name] $variant,)*
        }

        impl GatewayResponseType {
            /// All of them, in AWS's order.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// `ACCESS_DENIED` and the like.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The status without a customisation; `None` for the two defaults, which keep that of the kind they stand in for.
            pub fn status(self) -> Option<u16> {
                match self { $(Self::$variant => $status,)* }
            }
        }
    };
}

gateway_response_types! {
    AccessDenied "ACCESS_DENIED" Some(403),
    ApiConfigurationError "API_CONFIGURATION_ERROR" Some(500),
    AuthorizerConfigurationError "AUTHORIZER_CONFIGURATION_ERROR" Some(500),
    AuthorizerFailure "AUTHORIZER_FAILURE" Some(500),
    BadRequestBody "BAD_REQUEST_BODY" Some(400),
    BadRequestParameters "BAD_REQUEST_PARAMETERS" Some(400),
    Default4xx "DEFAULT_4XX" None,
    Default5xx "DEFAULT_5XX" None,
    ExpiredToken "EXPIRED_TOKEN" Some(403),
    IntegrationFailure "INTEGRATION_FAILURE" Some(504),
    IntegrationTimeout "INTEGRATION_TIMEOUT" Some(504),
    InvalidApiKey "INVALID_API_KEY" Some(403),
    InvalidSignature "INVALID_SIGNATURE" Some(403),
    MissingAuthenticationToken "MISSING_AUTHENTICATION_TOKEN" Some(403),
    QuotaExceeded "QUOTA_EXCEEDED" Some(429),
    RequestTooLarge "REQUEST_TOO_LARGE" Some(413),
    ResourceNotFound "RESOURCE_NOT_FOUND" Some(404),
    Throttled "THROTTLED" Some(429),
    Unauthorized "UNAUTHORIZED" Some(401),
    UnsupportedMediaType "UNSUPPORTED_MEDIA_TYPE" Some(415),
    WafFiltered "WAF_FILTERED" Some(403),
}

impl GatewayResponseType {
    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }
}

/// A part of an API's documentation (row 146).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentationPart {
    /// `API`, `METHOD`, `PATH_PARAMETER`, …
    pub location: String,
    /// The resource's path, if the location has one.
    pub path: Option<String>,
    /// The method, if the location has one.
    pub method: Option<String>,
    /// The status, if the location has one.
    pub status_code: Option<String>,
    /// The thing's name, if the location has one.
    pub name: Option<String>,
    /// A JSON object, as text.
    pub properties: String,
}

impl Definition {
    /// The same, of nowhere: what is compared, and what is frozen.
    #[must_use]
    pub fn without_origins(mut self) -> Self {
        for route in &mut self.routes {
            route.forget_origins();
        }
        self.models.iter_mut().for_each(|it| it.origin = None);
        self.validators.iter_mut().for_each(|it| it.origin = None);
        self.authorizers.iter_mut().for_each(|it| it.origin = None);
        self.gateway_responses.iter_mut().for_each(|it| it.origin = None);
        self.cors.iter_mut().for_each(|it| it.origin = None);
        self
    }
}
