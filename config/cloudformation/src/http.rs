//! `AWS::ApiGatewayV2::*` → HTTP APIs. WebSocket APIs are left out, and said.

use model::Kind;
use openapi::tree::{Entry, Node, quote};

use crate::{
    build::{self, Span, renamed},
    intrinsics::entries,
    resources::{Assembly, Draft, Resource},
    rest::{self, list},
};

/// Names of an integration here and in OpenAPI's extension.
const INTEGRATION: &[(&str, &str)] = &[
    ("IntegrationType", "type"),
    ("IntegrationMethod", "httpMethod"),
    ("IntegrationUri", "uri"),
    ("IntegrationSubtype", "integrationSubtype"),
    ("PayloadFormatVersion", "payloadFormatVersion"),
    ("ConnectionType", "connectionType"),
    ("ConnectionId", "connectionId"),
    ("CredentialsArn", "credentials"),
    ("RequestParameters", "requestParameters"),
    ("TimeoutInMillis", "timeoutInMillis"),
];
const AUTHORIZER: &[(&str, &str)] = &[
    ("AuthorizerUri", "authorizerUri"),
    ("AuthorizerCredentialsArn", "authorizerCredentials"),
    ("AuthorizerPayloadFormatVersion", "authorizerPayloadFormatVersion"),
    ("AuthorizerResultTtlInSeconds", "authorizerResultTtlInSeconds"),
    ("EnableSimpleResponses", "enableSimpleResponses"),
];
const CORS: &[(&str, &str)] = &[
    ("AllowOrigins", "allowOrigins"),
    ("AllowMethods", "allowMethods"),
    ("AllowHeaders", "allowHeaders"),
    ("ExposeHeaders", "exposeHeaders"),
    ("MaxAge", "maxAge"),
    ("AllowCredentials", "allowCredentials"),
];

/// HTTP APIs themselves.
pub(crate) fn apis(assembly: &mut Assembly<'_>, resources: &[Resource]) {
    for resource in resources.iter().filter(|it| it.kind == "AWS::ApiGatewayV2::Api") {
        if resource.text("ProtocolType").is_some_and(|kind| kind.eq_ignore_ascii_case("WEBSOCKET")) {
            assembly.left(resource.title(), "WebSocket APIs are not built yet", &resource.span);
            continue;
        }
        let name = resource.text("Name");
        let mut draft = match resource.get("Body") {
            Some(body) => Draft::given(Kind::Http, &resource.logical, body.clone(), &resource.span),
            None => Draft::new(
                Kind::Http,
                &resource.logical,
                name.as_deref().unwrap_or(&resource.logical),
                &resource.span,
            ),
        };
        if let (None, Some(location)) = (resource.get("Body"), resource.get("BodyS3Location")) {
            assembly.resolver.fail(&location.span, "the definition lies in S3, where it can't be read");
        }
        settings(&mut draft, resource);
        draft.tags(resource.get("Tags"));
        draft.fail_on_warnings = resource.holds("FailOnWarnings");
        draft.base_path = rest::base_path(resource.get("BasePath"));
        quick(&mut draft, resource);
        assembly.mapped(resource.title(), "[[api]] of kind \"http\"", &resource.span);
        assembly.drafts.push(draft);
    }
}

/// What an HTTP API says beside its routes, here and in SAM.
pub(crate) fn settings(draft: &mut Draft, resource: &Resource) {
    let span = resource.span.clone();
    for (from, to) in [("Name", "title"), ("Description", "description"), ("Version", "version")] {
        if let Some(value) = resource.get(from) {
            build::put(build::child(&mut draft.document, "info", &span), to, value.clone());
        }
    }
    if let Some(cors) = resource.get("CorsConfiguration") {
        draft.field("x-amazon-apigateway-cors", cors_of(cors));
    }
    if let Some(disable) = resource.get("DisableExecuteApiEndpoint") {
        let endpoint = build::map([("disableExecuteApiEndpoint", disable.clone())], &span);
        draft.field("x-amazon-apigateway-endpoint-configuration", endpoint);
    }
}

/// `true` lets everybody in, as SAM has it.
fn cors_of(cors: &Node) -> Node {
    if build::scalar(cors).is_some_and(|it| it.eq_ignore_ascii_case("true")) {
        let all = build::list(vec![build::text("*", &cors.span)], &cors.span);
        return build::map(
            ["allowOrigins", "allowMethods", "allowHeaders"].map(|key| (key, all.clone())),
            &cors.span,
        );
    }
    renamed(cors, CORS)
}

/// `Target`: one integration behind `RouteKey`, or behind everything.
fn quick(draft: &mut Draft, resource: &Resource) {
    let Some(target) = resource.get("Target") else { return };
    let uri = build::scalar(target).unwrap_or_default();
    let kind = if uri.starts_with("http") { "http_proxy" } else { "aws_proxy" };
    let span = target.span.clone();
    let mut integration = build::map([("type", build::text(kind, &span)), ("uri", target.clone())], &span);
    if kind == "http_proxy" {
        build::put(&mut integration, "httpMethod", build::text("ANY", &span));
    } else {
        build::put(&mut integration, "payloadFormatVersion", build::text("2.0", &span));
    }
    let operation = build::map([("x-amazon-apigateway-integration", integration)], &span);
    route(draft, &resource.text("RouteKey").unwrap_or_else(|| "$default".into()), operation);
}

/// Adds a route by its key.
pub(crate) fn route(draft: &mut Draft, key: &str, mut operation: Node) {
    match key.split_once(' ') {
        Some((method, path)) => draft.operation(path.trim(), method, operation),
        None => {
            let span = operation.span.clone();
            build::put(&mut operation, "isDefaultRoute", build::truth(true, &span));
            draft.operation("/$default", "ANY", operation);
        }
    }
}

/// What belongs to HTTP APIs: authorizers and routes with their integrations.
pub(crate) fn parts(assembly: &mut Assembly<'_>, resources: &[Resource]) {
    for resource in resources.iter().filter(|it| it.kind == "AWS::ApiGatewayV2::Authorizer") {
        authorizer(assembly, resource);
    }
    for resource in resources.iter().filter(|it| it.kind == "AWS::ApiGatewayV2::Route") {
        route_of(assembly, resource, resources);
    }
}

fn api<'a>(assembly: &'a mut Assembly<'_>, resource: &Resource) -> Option<&'a mut Draft> {
    let Some(api) = resource.text("ApiId") else {
        assembly.resolver.fail(&resource.span, "`ApiId` is missing");
        return None;
    };
    // Those of WebSocket APIs were said when their API was.
    if !assembly.drafts.iter().any(|draft| draft.logical == api) {
        let title = resource.title();
        assembly.left(title, "it belongs to an API that was left out", &resource.span);
        return None;
    }
    assembly.draft(&api, &resource.span)
}

fn authorizer(assembly: &mut Assembly<'_>, resource: &Resource) {
    let name = resource.text("Name").unwrap_or_else(|| resource.logical.clone());
    let span = resource.span.clone();
    let source =
        list(resource.get("IdentitySource")).iter().filter_map(build::scalar).collect::<Vec<_>>().join(",");
    let mut made = renamed(&resource.properties, AUTHORIZER);
    if !source.is_empty() {
        build::put(&mut made, "identitySource", build::text(source, &span));
    }
    let is_jwt = resource.text("AuthorizerType").is_some_and(|kind| kind.eq_ignore_ascii_case("JWT"));
    if let Some(jwt) = resource.get("JwtConfiguration") {
        let jwt = renamed(jwt, &[("Audience", "audience"), ("Issuer", "issuer")]);
        build::put(&mut made, "jwtConfiguration", jwt);
    }
    let scheme = scheme(is_jwt, made, &span);
    let Some(draft) = api(assembly, resource) else { return };
    draft.component("securitySchemes", &name, scheme);
    draft.schemes.insert(resource.logical.clone(), name);
    assembly.mapped(resource.title(), "[[api.authorizer]]", &span);
}

/// A security scheme with an authorizer of an HTTP API behind it.
pub(crate) fn scheme(is_jwt: bool, mut authorizer: Node, span: &Span) -> Node {
    build::put(&mut authorizer, "type", build::text(if is_jwt { "jwt" } else { "request" }, span));
    let mut scheme = build::map([("x-amazon-apigateway-authorizer", authorizer)], span);
    let fields: &[(&str, &str)] = if is_jwt {
        &[("type", "oauth2")]
    } else {
        &[("type", "apiKey"), ("name", "Authorization"), ("in", "header")]
    };
    for (key, value) in fields {
        build::put(&mut scheme, *key, build::text(*value, span));
    }
    scheme
}

fn route_of(assembly: &mut Assembly<'_>, resource: &Resource, resources: &[Resource]) {
    let span = resource.span.clone();
    let Some(key) = resource.text("RouteKey") else {
        return assembly.resolver.fail(&span, "`RouteKey` is missing");
    };
    if api(assembly, resource).is_none() {
        return;
    }
    let target = resource.text("Target").unwrap_or_default();
    let id = target.strip_prefix("integrations/").unwrap_or(&target);
    let behind = resources.iter().find(|it| it.kind == "AWS::ApiGatewayV2::Integration" && it.logical == id);
    if behind.is_none() {
        let message = format!("there is no integration {}", quote(id));
        return assembly.resolver.fail(&span, message);
    }
    let integration = behind.map(integration);
    let Some(draft) = api(assembly, resource) else { return };
    let mut operation = build::map::<&str>([], &span);
    if let Some(name) = resource.get("OperationName") {
        build::put(&mut operation, "operationId", name.clone());
    }
    if let Some(integration) = integration {
        build::put(&mut operation, "x-amazon-apigateway-integration", integration);
    }
    let mut security = build::map::<&str>([], &span);
    match resource.text("AuthorizationType").as_deref() {
        Some("AWS_IAM") => {
            let name = draft.signature(&span);
            build::put(&mut security, name, build::list(Vec::new(), &span));
        }
        Some("NONE") | None => {}
        Some(_) => {
            let id = resource.text("AuthorizerId").unwrap_or_default();
            let name = draft.schemes.get(&id).cloned().unwrap_or(id);
            let scopes = list(resource.get("AuthorizationScopes")).to_vec();
            build::put(&mut security, name, build::list(scopes, &span));
        }
    }
    if !entries(Some(&security)).is_empty() {
        build::put(&mut operation, "security", build::list(vec![security], &span));
    }
    route(draft, &key, operation);
    assembly.mapped(resource.title(), format!("[[api.route]] {key}"), &span);
}

fn integration(resource: &Resource) -> Node {
    let mut made = renamed(&resource.properties, INTEGRATION);
    if let Some(tls) = resource.get("TlsConfig") {
        build::put(&mut made, "tlsConfig", renamed(tls, &[("ServerNameToVerify", "serverNameToVerify")]));
    }
    let responses = entries(resource.get("ResponseParameters"));
    if !responses.is_empty() {
        let mappings = |entry: &Entry| {
            let pairs = list(entry.value.get("ResponseParameters")).iter().filter_map(|pair| {
                let destination = pair.get("Destination").and_then(build::scalar)?;
                Some((destination, pair.get("Source")?.clone()))
            });
            // The API's own form is a map; CloudFormation has a list of pairs.
            let is_list = entry.value.get("ResponseParameters").is_some();
            let value = if is_list { build::map(pairs, &entry.value.span) } else { entry.value.clone() };
            (entry.key.clone(), value)
        };
        let made_of = build::map(responses.iter().map(mappings), &resource.span);
        build::put(&mut made, "responseParameters", made_of);
    }
    made
}
