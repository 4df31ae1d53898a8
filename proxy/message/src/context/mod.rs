//! `$context`: the names of what is known of a request (section O), and its values. One list for mapping templates, parameter
//! mappings, the gateway's own answers and the access log. It does not know who asks, nor where a value comes from:
//! [`Values`] is filled by whoever has them.

mod time;
mod values;

#[cfg(test)]
mod tests;

pub use time::put_request_time;
pub use values::{Ended, Failure, Integrated, Values};

macro_rules! variables {
    ($($(#[$ours:meta])* $variant:ident $($name:literal)+;)*) => {
        /// A variable of `$context`. What each one is stands in AWS's developer guide under the same name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "each is the `$context` name in the list")]
        pub enum Variable {
            $($(#[$ours])* $variant,)*
            /// One with a name of the operator's behind a dot: what an authorizer said, what a template overrides. It has a value
            /// where templates are rendered, and nowhere else.
            Property,
        }

        /// Several names may mean one thing: REST and HTTP APIs grew apart.
        const NAMES: &[(&str, Variable)] = &[$($(($name, Variable::$variant),)+)*];
    };
}

variables! {
    AccountId "accountId";
    ApiId "apiId";
    AuthenticateError "authenticate.error";
    AuthenticateLatency "authenticate.latency";
    AuthenticateStatus "authenticate.status";
    AuthorizeError "authorize.error";
    AuthorizeLatency "authorize.latency";
    AuthorizeStatus "authorize.status";
    AuthorizerPrincipalId "authorizer.principalId";
    BasePathMatched "customDomain.basePathMatched";
    DataProcessed "dataProcessed";
    DeploymentId "deploymentId";
    DomainName "domainName";
    DomainPrefix "domainPrefix";
    EndpointRequestId "awsEndpointRequestId" "awsEndpointRequestId2" "integration.requestId";
    ErrorMessage "error.message";
    ErrorMessageString "error.messageString";
    ErrorResponseType "error.responseType";
    ErrorValidation "error.validationErrorString";
    ExtendedRequestId "extendedRequestId";
    /// Ours, since AWS has no gRPC: how a call of it ended, 0 to 16.
    GrpcStatus "grpc.status";
    HttpMethod "httpMethod";
    IdentityAccountId "identity.accountId";
    IdentityApiKey "identity.apiKey";
    IdentityApiKeyId "identity.apiKeyId";
    IdentityCaller "identity.caller";
    IdentityCertificateIssuer "identity.clientCert.issuerDN";
    IdentityCertificateNotAfter "identity.clientCert.validity.notAfter";
    IdentityCertificateNotBefore "identity.clientCert.validity.notBefore";
    IdentityCertificatePem "identity.clientCert.clientCertPem";
    IdentityCertificateSerial "identity.clientCert.serialNumber";
    IdentityCertificateSubject "identity.clientCert.subjectDN";
    IdentityCognitoProvider "identity.cognitoAuthenticationProvider";
    IdentityCognitoType "identity.cognitoAuthenticationType";
    IdentityCognitoId "identity.cognitoIdentityId";
    IdentityCognitoPoolId "identity.cognitoIdentityPoolId";
    IdentityOrganization "identity.principalOrgId";
    IdentitySourceIp "identity.sourceIp";
    IdentityUser "identity.user";
    IdentityUserAgent "identity.userAgent";
    IdentityUserArn "identity.userArn";
    IntegrationError "integration.error" "integrationErrorMessage";
    IntegrationLatency "integration.latency" "integrationLatency";
    IntegrationStatus "integration.status" "integration.integrationStatus" "integrationStatus";
    IsCanaryRequest "isCanaryRequest";
    Path "path";
    Protocol "protocol";
    RequestId "requestId";
    RequestTime "requestTime";
    RequestTimeEpoch "requestTimeEpoch";
    ResourceId "resourceId";
    ResourcePath "resourcePath";
    ResponseLatency "responseLatency";
    ResponseLength "responseLength";
    RouteKey "routeKey";
    Stage "stage";
    Status "status";
    WafError "waf.error";
    WafLatency "waf.latency";
    WafResponseCode "wafResponseCode";
    WafStatus "waf.status";
    WebAclArn "webaclArn";
    XrayTraceId "xrayTraceId";
}

/// What takes any one name behind its dot; and what stands in a template's own memory.
const PROPERTIES: &[&str] = &[
    "authorizer.",
    "requestOverride.header.",
    "requestOverride.path.",
    "requestOverride.querystring.",
    "responseOverride.header.",
];

impl Variable {
    /// The variable of that name, without `$context.`.
    pub fn named(name: &str) -> Option<Self> {
        if let Some((_, variable)) = NAMES.iter().find(|(known, _)| *known == name) {
            return Some(*variable);
        }
        let has_property = |known: &&str| name.len() > known.len() && name.starts_with(*known);
        (name == "responseOverride.status" || PROPERTIES.iter().any(has_property)).then_some(Self::Property)
    }

    /// Whether it is known only when a request is over: it has a value in access logs, and in no message (section O).
    pub fn is_for_logs(self) -> bool {
        matches!(
            self,
            Self::AuthenticateError
                | Self::AuthenticateLatency
                | Self::AuthenticateStatus
                | Self::AuthorizeError
                | Self::AuthorizeLatency
                | Self::AuthorizeStatus
                | Self::BasePathMatched
                | Self::DataProcessed
                | Self::GrpcStatus
                | Self::IntegrationError
                | Self::IntegrationLatency
                | Self::IntegrationStatus
                | Self::ResponseLatency
                | Self::ResponseLength
                | Self::Status
                | Self::WafError
                | Self::WafLatency
                | Self::WafStatus
                | Self::XrayTraceId
        )
    }

    /// All names, those with a property left out.
    pub fn names() -> impl Iterator<Item = (&'static str, Self)> {
        NAMES.iter().copied()
    }

    /// The known name with the fewest edits, if a third of the letters or fewer are wrong. Case counts for nothing: it
    /// is the commonest mistake.
    pub fn nearest(name: &str) -> Option<&'static str> {
        let lower = name.to_ascii_lowercase();
        // A leaf alone, `sourceIp`, is as common: compare with the last part too, at the price of one edit.
        let distance = |known: &str| {
            let known = known.to_ascii_lowercase();
            let leaf = known.rsplit('.').next().unwrap_or(&known);
            edits(&lower, &known).min(edits(&lower, leaf) + 1)
        };
        let known = NAMES.iter().map(|(known, _)| (distance(known), *known));
        let (edits, best) = known.min_by_key(|(edits, _)| *edits)?;
        (edits <= (name.len() / 3).max(1)).then_some(best)
    }
}

/// Levenshtein's distance in bytes.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(x != y)).min(above + 1).min(row[j] + 1);
            diagonal = above;
        }
    }
    row[b.len()]
}
