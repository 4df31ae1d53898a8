//! The names behind `$context.` (row 167, list O): those of REST and HTTP APIs, and `grpc.status`, which is ours.

/// A variable that has values here. What each one is stands in AWS's developer guide under the same name;
/// `grpc.status` is how a call of gRPC ended, 0 to 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the `$context` name in the table below")]
pub enum Variable {
    AccountId,
    ApiId,
    BasePathMatched,
    DataProcessed,
    DomainName,
    DomainPrefix,
    ErrorMessage,
    ErrorMessageString,
    ErrorResponseType,
    ExtendedRequestId,
    GrpcStatus,
    HttpMethod,
    IdentitySourceIp,
    IdentityUserAgent,
    IntegrationError,
    IntegrationLatency,
    IntegrationStatus,
    Path,
    Protocol,
    RequestId,
    RequestTime,
    RequestTimeEpoch,
    ResourceId,
    ResourcePath,
    ResponseLatency,
    ResponseLength,
    RouteKey,
    Stage,
    Status,
}

/// What a name turned out to be.
pub(super) enum Found {
    Here(Variable),
    /// On AWS, and not with us yet.
    Elsewhere,
    Nowhere {
        nearest: Option<&'static str>,
    },
}

use Variable as V;

/// Several names may mean one thing: REST and HTTP APIs grew apart.
const HERE: &[(&str, Variable)] = &[
    ("accountId", V::AccountId),
    ("apiId", V::ApiId),
    ("awsEndpointRequestId", V::ExtendedRequestId),
    ("customDomain.basePathMatched", V::BasePathMatched),
    ("dataProcessed", V::DataProcessed),
    ("domainName", V::DomainName),
    ("domainPrefix", V::DomainPrefix),
    ("error.message", V::ErrorMessage),
    ("error.messageString", V::ErrorMessageString),
    ("error.responseType", V::ErrorResponseType),
    ("extendedRequestId", V::ExtendedRequestId),
    // Ours; AWS has no gRPC.
    ("grpc.status", V::GrpcStatus),
    ("httpMethod", V::HttpMethod),
    ("identity.sourceIp", V::IdentitySourceIp),
    ("identity.userAgent", V::IdentityUserAgent),
    ("integration.error", V::IntegrationError),
    ("integration.integrationStatus", V::IntegrationStatus),
    ("integration.latency", V::IntegrationLatency),
    ("integration.status", V::IntegrationStatus),
    ("integrationErrorMessage", V::IntegrationError),
    ("integrationLatency", V::IntegrationLatency),
    ("integrationStatus", V::IntegrationStatus),
    ("path", V::Path),
    ("protocol", V::Protocol),
    ("requestId", V::RequestId),
    ("requestTime", V::RequestTime),
    ("requestTimeEpoch", V::RequestTimeEpoch),
    ("resourceId", V::ResourceId),
    ("resourcePath", V::ResourcePath),
    ("responseLatency", V::ResponseLatency),
    ("responseLength", V::ResponseLength),
    ("routeKey", V::RouteKey),
    ("stage", V::Stage),
    ("status", V::Status),
];

/// Written `-` until the feature comes that fills them. An entry that ends in a dot takes any one name behind it.
const ELSEWHERE: &[&str] = &[
    "authenticate.error",
    "authenticate.latency",
    "authenticate.status",
    "authorize.error",
    "authorize.latency",
    "authorize.status",
    // With a property of the operator's own: also claims.property, error, latency, status …
    "authorizer.",
    "awsEndpointRequestId2",
    "deploymentId",
    "error.validationErrorString",
    "identity.accountId",
    "identity.apiKey",
    "identity.apiKeyId",
    "identity.caller",
    "identity.clientCert.clientCertPem",
    "identity.clientCert.issuerDN",
    "identity.clientCert.serialNumber",
    "identity.clientCert.subjectDN",
    "identity.clientCert.validity.notAfter",
    "identity.clientCert.validity.notBefore",
    "identity.cognitoAuthenticationProvider",
    "identity.cognitoAuthenticationType",
    "identity.cognitoIdentityId",
    "identity.cognitoIdentityPoolId",
    "identity.principalOrgId",
    "identity.user",
    "identity.userArn",
    "integration.requestId",
    "isCanaryRequest",
    "requestOverride.header.",
    "requestOverride.path.",
    "requestOverride.querystring.",
    "responseOverride.header.",
    "responseOverride.status",
    "waf.error",
    "waf.latency",
    "waf.status",
    "wafResponseCode",
    "webaclArn",
    "xrayTraceId",
];

pub(super) fn find(name: &str) -> Found {
    if let Some((_, variable)) = HERE.iter().find(|(known, _)| *known == name) {
        return Found::Here(*variable);
    }
    let elsewhere = |known: &&str| match known.strip_suffix('.') {
        Some(_) => name.len() > known.len() && name.starts_with(*known),
        None => *known == name,
    };
    if ELSEWHERE.iter().any(elsewhere) {
        return Found::Elsewhere;
    }
    Found::Nowhere { nearest: nearest(name) }
}

/// The known name with the fewest edits, if a third of the letters or fewer are wrong. Case counts for nothing: it
/// is the commonest mistake.
fn nearest(name: &str) -> Option<&'static str> {
    let known =
        HERE.iter().map(|(known, _)| *known).chain(ELSEWHERE.iter().copied().filter(|k| !k.ends_with('.')));
    let lower = name.to_ascii_lowercase();
    // A leaf alone, `sourceIp`, is as common: compare with the last part too, at the price of one edit.
    let distance = |known: &str| {
        let known = known.to_ascii_lowercase();
        let leaf = known.rsplit('.').next().unwrap_or(&known);
        edits(&lower, &known).min(edits(&lower, leaf) + 1)
    };
    let (edits, best) = known.map(|known| (distance(known), known)).min_by_key(|(edits, _)| *edits)?;
    (edits <= (name.len() / 3).max(1)).then_some(best)
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
