//! What of each resource is looked at; what stands beside that is said to be left out, by its name.

use openapi::tree::{Entry, Node, Value};

use crate::{
    intrinsics::entries,
    resources::{Assembly, Resource},
};

/// Properties that became something, or that something else is said of.
const PROPERTIES: &[(&str, &[&str])] = &[
    (
        "AWS::ApiGateway::RestApi",
        &[
            "ApiKeySourceType",
            "BinaryMediaTypes",
            "Body",
            "BodyS3Location",
            "Description",
            "DisableExecuteApiEndpoint",
            "EndpointAccessMode",
            "EndpointConfiguration",
            "FailOnWarnings",
            "MinimumCompressionSize",
            "Name",
            "Parameters",
            "Policy",
            "Tags",
        ],
    ),
    ("AWS::ApiGateway::Resource", &["ParentId", "PathPart", "RestApiId"]),
    (
        "AWS::ApiGateway::Method",
        &[
            "ApiKeyRequired",
            "AuthorizationScopes",
            "AuthorizationType",
            "AuthorizerId",
            "HttpMethod",
            "Integration",
            "MethodResponses",
            "OperationName",
            "RequestModels",
            "RequestParameters",
            "RequestValidatorId",
            "ResourceId",
            "RestApiId",
        ],
    ),
    ("AWS::ApiGateway::Model", &["ContentType", "Description", "Name", "RestApiId", "Schema"]),
    (
        "AWS::ApiGateway::RequestValidator",
        &["Name", "RestApiId", "ValidateRequestBody", "ValidateRequestParameters"],
    ),
    (
        "AWS::ApiGateway::Authorizer",
        &[
            "AuthType",
            "AuthorizerCredentials",
            "AuthorizerResultTtlInSeconds",
            "AuthorizerUri",
            "IdentitySource",
            "IdentityValidationExpression",
            "Name",
            "ProviderARNs",
            "RestApiId",
            "Type",
        ],
    ),
    (
        "AWS::ApiGateway::GatewayResponse",
        &["ResponseParameters", "ResponseTemplates", "ResponseType", "RestApiId", "StatusCode"],
    ),
    ("AWS::ApiGateway::Deployment", &["Description", "RestApiId", "StageDescription", "StageName"]),
    (
        "AWS::ApiGateway::Stage",
        &[
            "AccessLogSetting",
            "CacheClusterEnabled",
            "CacheClusterSize",
            "CanarySetting",
            "ClientCertificateId",
            "DeploymentId",
            "Description",
            "DocumentationVersion",
            "MethodSettings",
            "RestApiId",
            "StageName",
            "TracingEnabled",
            "Variables",
        ],
    ),
    (
        "AWS::ApiGateway::DomainName",
        &[
            "CertificateArn",
            "DomainName",
            "EndpointAccessMode",
            "EndpointConfiguration",
            "MutualTlsAuthentication",
            "RegionalCertificateArn",
            "RoutingMode",
        ],
    ),
    ("AWS::ApiGateway::BasePathMapping", &["BasePath", "DomainName", "RestApiId", "Stage"]),
    ("AWS::ApiGateway::DocumentationPart", &["Location", "Properties", "RestApiId"]),
    (
        "AWS::ApiGatewayV2::Api",
        &[
            "BasePath",
            "Body",
            "BodyS3Location",
            "CorsConfiguration",
            "Description",
            "DisableExecuteApiEndpoint",
            "FailOnWarnings",
            "Name",
            "ProtocolType",
            "RouteKey",
            "Tags",
            "Target",
            "Version",
        ],
    ),
    (
        "AWS::ApiGatewayV2::Route",
        &[
            "ApiId",
            "AuthorizationScopes",
            "AuthorizationType",
            "AuthorizerId",
            "OperationName",
            "RouteKey",
            "Target",
        ],
    ),
    (
        "AWS::ApiGatewayV2::Integration",
        &[
            "ApiId",
            "ConnectionId",
            "ConnectionType",
            "CredentialsArn",
            "IntegrationMethod",
            "IntegrationSubtype",
            "IntegrationType",
            "IntegrationUri",
            "PayloadFormatVersion",
            "RequestParameters",
            "ResponseParameters",
            "TimeoutInMillis",
            "TlsConfig",
        ],
    ),
    (
        "AWS::ApiGatewayV2::Authorizer",
        &[
            "ApiId",
            "AuthorizerCredentialsArn",
            "AuthorizerPayloadFormatVersion",
            "AuthorizerResultTtlInSeconds",
            "AuthorizerType",
            "AuthorizerUri",
            "EnableSimpleResponses",
            "IdentitySource",
            "JwtConfiguration",
            "Name",
        ],
    ),
    (
        "AWS::ApiGatewayV2::Stage",
        &[
            "AccessLogSettings",
            "ApiId",
            "AutoDeploy",
            "ClientCertificateId",
            "DefaultRouteSettings",
            "DeploymentId",
            "Description",
            "RouteSettings",
            "StageName",
            "StageVariables",
        ],
    ),
    ("AWS::ApiGatewayV2::Deployment", &["ApiId", "Description", "StageName"]),
    (
        "AWS::ApiGatewayV2::DomainName",
        &["DomainName", "DomainNameConfigurations", "MutualTlsAuthentication", "RoutingMode"],
    ),
    ("AWS::ApiGatewayV2::ApiMapping", &["ApiId", "ApiMappingKey", "DomainName", "Stage"]),
    ("AWS::ApiGatewayV2::RoutingRule", &["Actions", "Conditions", "DomainNameArn", "Priority"]),
    (
        "AWS::Serverless::Api",
        &[
            "AccessLogSetting",
            "ApiKeySourceType",
            "Auth",
            "BinaryMediaTypes",
            "CacheClusterEnabled",
            "CacheClusterSize",
            "CanarySetting",
            "Cors",
            "DefinitionBody",
            "DefinitionUri",
            "Description",
            "DisableExecuteApiEndpoint",
            "Domain",
            "EndpointAccessMode",
            "EndpointConfiguration",
            "FailOnWarnings",
            "GatewayResponses",
            "MergeDefinitions",
            "MethodSettings",
            "MinimumCompressionSize",
            "Models",
            "Name",
            "OpenApiVersion",
            "Policy",
            "StageName",
            "Tags",
            "TracingEnabled",
            "Variables",
        ],
    ),
    (
        "AWS::Serverless::HttpApi",
        &[
            "AccessLogSettings",
            "Auth",
            "CorsConfiguration",
            "DefaultRouteSettings",
            "DefinitionBody",
            "DefinitionUri",
            "Description",
            "DisableExecuteApiEndpoint",
            "Domain",
            "FailOnWarnings",
            "Name",
            "RouteSettings",
            "StageName",
            "StageVariables",
            "Tags",
        ],
    ),
];

const ENDPOINT: &[&str] = &["IpAddressType", "Type", "Types", "VPCEndpointIds", "VpcEndpointIds"];
const CANARY: &[&str] = &["PercentTraffic", "StageVariableOverrides", "UseStageCache"];
const CORS: &[&str] =
    &["AllowCredentials", "AllowHeaders", "AllowMethods", "AllowOrigins", "ExposeHeaders", "MaxAge"];
const DOMAIN: &[&str] = &[
    "BasePath",
    "CertificateArn",
    "DomainName",
    "EndpointAccessMode",
    "EndpointConfiguration",
    "IpAddressType",
    "MutualTlsAuthentication",
    "NormalizeBasePath",
    "OwnershipVerificationCertificateArn",
    "Route53",
    "RoutingMode",
    "SecurityPolicy",
];

/// Maps that properties are, or lists of such, and what of each is looked at.
const INSIDE: &[(&str, &str, &[&str])] = &[
    ("AWS::ApiGateway::RestApi", "EndpointConfiguration", ENDPOINT),
    ("AWS::ApiGateway::DomainName", "EndpointConfiguration", &["IpAddressType", "Types"]),
    ("AWS::ApiGateway::DocumentationPart", "Location", &["Method", "Name", "Path", "StatusCode", "Type"]),
    ("AWS::ApiGateway::Method", "MethodResponses", &["ResponseModels", "ResponseParameters", "StatusCode"]),
    ("AWS::ApiGateway::Stage", "CanarySetting", CANARY),
    ("AWS::ApiGatewayV2::Api", "CorsConfiguration", CORS),
    ("AWS::ApiGatewayV2::Authorizer", "JwtConfiguration", &["Audience", "Issuer"]),
    ("AWS::ApiGatewayV2::Integration", "TlsConfig", &["ServerNameToVerify"]),
    (
        "AWS::ApiGatewayV2::DomainName",
        "DomainNameConfigurations",
        &["CertificateArn", "EndpointType", "IpAddressType"],
    ),
    ("AWS::Serverless::Api", "CanarySetting", CANARY),
    (
        "AWS::Serverless::Api",
        "Cors",
        &["AllowCredentials", "AllowHeaders", "AllowMethods", "AllowOrigin", "MaxAge"],
    ),
    ("AWS::Serverless::Api", "Domain", DOMAIN),
    ("AWS::Serverless::Api", "EndpointConfiguration", ENDPOINT),
    ("AWS::Serverless::HttpApi", "CorsConfiguration", CORS),
    ("AWS::Serverless::HttpApi", "Domain", DOMAIN),
];

/// Whether it is a kind that becomes something.
pub(crate) fn is(kind: &str) -> bool {
    PROPERTIES.iter().any(|(known, _)| *known == kind)
}

/// Says of each resource what was not looked at.
pub(crate) fn others(assembly: &mut Assembly<'_>, resources: &[Resource]) {
    for resource in resources {
        let known = PROPERTIES.iter().find(|(kind, _)| *kind == resource.kind);
        if let Some((_, known)) = known {
            others_of(assembly, &resource.title(), &resource.properties, known);
        }
        for (_, key, known) in INSIDE.iter().filter(|(kind, ..)| *kind == resource.kind) {
            let Some(given) = resource.get(key) else { continue };
            let items = match &given.value {
                Value::List(items) => items.as_slice(),
                _ => std::slice::from_ref(given),
            };
            for item in items {
                others_of(assembly, &format!("{} {key}", resource.title()), item, known);
            }
        }
    }
}

/// Says what a map has beside what is looked at.
pub(crate) fn others_of(assembly: &mut Assembly<'_>, title: &str, map: &Node, known: &[&str]) {
    for Entry { key, key_span, .. } in entries(Some(map)).iter().filter(|it| !known.contains(&&*it.key)) {
        assembly.left(format!("{title} {key}"), "nothing here takes it", key_span);
    }
}
