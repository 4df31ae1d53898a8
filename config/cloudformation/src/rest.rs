//! `AWS::ApiGateway::*` → REST APIs.

use std::collections::{BTreeMap, BTreeSet};

use model::Kind;
use openapi::{
    BasePath,
    tree::{Entry, Node, Tree, Value, quote},
};

use crate::{
    build::{self, Span, renamed},
    intrinsics::entries,
    known,
    resources::{Assembly, Draft, Resource},
};

/// Names of an integration here and in OpenAPI's extension.
const INTEGRATION: &[(&str, &str)] = &[
    ("Type", "type"),
    ("IntegrationHttpMethod", "httpMethod"),
    ("Uri", "uri"),
    ("ConnectionType", "connectionType"),
    ("ConnectionId", "connectionId"),
    ("Credentials", "credentials"),
    ("RequestParameters", "requestParameters"),
    ("RequestTemplates", "requestTemplates"),
    ("PassthroughBehavior", "passthroughBehavior"),
    ("ContentHandling", "contentHandling"),
    ("TimeoutInMillis", "timeoutInMillis"),
    ("CacheKeyParameters", "cacheKeyParameters"),
    ("CacheNamespace", "cacheNamespace"),
    ("ResponseTransferMode", "responseTransferMode"),
    ("IntegrationTarget", "integrationTarget"),
];
const INTEGRATION_RESPONSE: &[(&str, &str)] = &[
    ("StatusCode", "statusCode"),
    ("ResponseParameters", "responseParameters"),
    ("ResponseTemplates", "responseTemplates"),
    ("ContentHandling", "contentHandling"),
];
const AUTHORIZER: &[(&str, &str)] = &[
    ("Type", "type"),
    ("AuthorizerUri", "authorizerUri"),
    ("AuthorizerCredentials", "authorizerCredentials"),
    ("IdentitySource", "identitySource"),
    ("IdentityValidationExpression", "identityValidationExpression"),
    ("AuthorizerResultTtlInSeconds", "authorizerResultTtlInSeconds"),
    ("ProviderARNs", "providerARNs"),
];
const GATEWAY_RESPONSE: &[(&str, &str)] = &[
    ("StatusCode", "statusCode"),
    ("ResponseParameters", "responseParameters"),
    ("ResponseTemplates", "responseTemplates"),
];
/// Resources inside one another.
const DEPTH_MAX: usize = 128;

/// REST APIs themselves.
pub(crate) fn apis(assembly: &mut Assembly<'_>, resources: &[Resource]) {
    for resource in resources.iter().filter(|it| it.kind == "AWS::ApiGateway::RestApi") {
        let name = resource.text("Name");
        let mut draft = match resource.get("Body") {
            Some(body) => Draft::given(Kind::Rest, &resource.logical, body.clone(), &resource.span),
            None => {
                if let Some(location) = resource.get("BodyS3Location") {
                    let message = "the definition lies in S3, where it can't be read";
                    assembly.resolver.fail(&location.span, message);
                }
                Draft::new(
                    Kind::Rest,
                    &resource.logical,
                    name.as_deref().unwrap_or(&resource.logical),
                    &resource.span,
                )
            }
        };
        settings(&mut draft, resource);
        draft.tags(resource.get("Tags"));
        draft.fail_on_warnings = resource.holds("FailOnWarnings");
        if let Some(parameters) = resource.get("Parameters") {
            draft.base_path = base_path(parameters.get("basepath"));
            let title = format!("{} Parameters", resource.title());
            known::others_of(assembly, &title, parameters, &["basepath"]);
        }
        assembly.mapped(resource.title(), "[[api]] of kind \"rest\"", &resource.span);
        assembly.drafts.push(draft);
    }
}

/// `ignore`, `prepend`, `split`.
pub(crate) fn base_path(given: Option<&Node>) -> BasePath {
    match given.and_then(build::scalar).as_deref() {
        Some("prepend") => BasePath::Prepend,
        Some("split") => BasePath::Split,
        _ => BasePath::Ignore,
    }
}

/// What a REST API says beside its paths, here and in SAM.
pub(crate) fn settings(draft: &mut Draft, resource: &Resource) {
    let span = resource.span.clone();
    if let (Some(name), true) = (resource.get("Name"), draft.is_given) {
        let info = build::child(&mut draft.document, "info", &span);
        build::put(info, "title", name.clone());
    }
    if let Some(description) = resource.get("Description") {
        build::put(build::child(&mut draft.document, "info", &span), "description", description.clone());
    }
    if let Some(types) = resource.get("BinaryMediaTypes") {
        // A slash may be written as JSON Pointer has it.
        let one = |it: &Node| build::text(build::scalar(it).unwrap_or_default().replace("~1", "/"), &it.span);
        let types = build::list(list(Some(types)).iter().map(one).collect(), &types.span);
        draft.field("x-amazon-apigateway-binary-media-types", types);
    }
    let copied = [
        ("MinimumCompressionSize", "x-amazon-apigateway-minimum-compression-size"),
        ("ApiKeySourceType", "x-amazon-apigateway-api-key-source"),
        ("Policy", "x-amazon-apigateway-policy"),
        ("EndpointAccessMode", "x-amazon-apigateway-endpoint-access-mode"),
    ];
    for (from, to) in copied {
        if let Some(value) = resource.get(from) {
            draft.field(to, value.clone());
        }
    }
    let mut endpoint = build::map::<&str>([], &span);
    match resource.get("EndpointConfiguration") {
        Some(given @ Node { value: Value::Map(_), .. }) => {
            let names = [
                ("Types", "types"),
                ("Type", "types"),
                ("IpAddressType", "ipAddressType"),
                ("VpcEndpointIds", "vpcEndpointIds"),
                ("VPCEndpointIds", "vpcEndpointIds"),
            ];
            endpoint = renamed(given, &names);
        }
        Some(given) => build::put(&mut endpoint, "types", build::list(vec![given.clone()], &given.span)),
        None => {}
    }
    if let Some(disable) = resource.get("DisableExecuteApiEndpoint") {
        build::put(&mut endpoint, "disableExecuteApiEndpoint", disable.clone());
    }
    if !entries(Some(&endpoint)).is_empty() {
        draft.field("x-amazon-apigateway-endpoint-configuration", endpoint);
    }
}

/// What belongs to REST APIs: models, validators, authorizers, gateway responses, methods.
pub(crate) fn parts(assembly: &mut Assembly<'_>, resources: &[Resource]) {
    for resource in resources {
        match &*resource.kind {
            "AWS::ApiGateway::Model" => model(assembly, resource),
            "AWS::ApiGateway::RequestValidator" => validator(assembly, resource),
            "AWS::ApiGateway::Authorizer" => authorizer(assembly, resource),
            "AWS::ApiGateway::GatewayResponse" => gateway_response(assembly, resource),
            "AWS::ApiGateway::DocumentationPart" => documentation(assembly, resource),
            _ => {}
        }
    }
    let paths = Paths::new(resources, assembly.paths.clone());
    for resource in resources.iter().filter(|it| it.kind == "AWS::ApiGateway::Resource") {
        if let Err(why) = paths.of(&resource.logical) {
            assembly.resolver.fail(&resource.span, why);
        }
    }
    for resource in resources.iter().filter(|it| it.kind == "AWS::ApiGateway::Method") {
        method(assembly, resource, resources, &paths);
    }
}

fn api<'a>(assembly: &'a mut Assembly<'_>, resource: &Resource) -> Option<&'a mut Draft> {
    let Some(api) = resource.text("RestApiId") else {
        assembly.resolver.fail(&resource.span, "`RestApiId` is missing");
        return None;
    };
    assembly.draft(&api, &resource.span)
}

fn documentation(assembly: &mut Assembly<'_>, resource: &Resource) {
    let names = [
        ("Type", "type"),
        ("Path", "path"),
        ("Method", "method"),
        ("StatusCode", "statusCode"),
        ("Name", "name"),
    ];
    let (Some(location), Some(properties)) = (resource.get("Location"), resource.get("Properties")) else {
        return assembly.resolver.fail(&resource.span, "`Location` or `Properties` is missing");
    };
    let part = [("location", renamed(location, &names)), ("properties", properties.clone())];
    let part = build::map(part, &resource.span);
    let Some(draft) = api(assembly, resource) else { return };
    let all = build::child(&mut draft.document, "x-amazon-apigateway-documentation", &resource.span);
    let mut parts = list(all.get("documentationParts")).to_vec();
    parts.push(part);
    build::put(all, "documentationParts", build::list(parts, &resource.span));
    assembly.mapped(resource.title(), "[[api.documentation]]", &resource.span);
}

fn model(assembly: &mut Assembly<'_>, resource: &Resource) {
    let name = resource.text("Name").unwrap_or_else(|| resource.logical.clone());
    let schema = resource.get("Schema").cloned();
    let schema = schema.map(|schema| match &schema.value {
        Value::Text(text) => {
            Tree::parse(&name, text).map_or(schema.clone(), |tree| build::placed(tree.root(), &schema.span))
        }
        _ => schema,
    });
    let is_json = |kind: &String| kind.eq_ignore_ascii_case("application/json");
    let kind =
        resource.get("ContentType").filter(|_| !resource.text("ContentType").as_ref().is_some_and(is_json));
    let left = [
        (resource.get("Description"), "Description", "a document has no word for it beside the schema's own"),
        (kind, "ContentType", "a document's models are of application/json"),
    ];
    for (given, key, why) in left {
        if let Some(given) = given {
            assembly.left(format!("{} {key}", resource.title()), why, &given.span);
        }
    }
    let Some(draft) = api(assembly, resource) else { return };
    draft.component("schemas", &name, schema.unwrap_or_else(|| build::map::<&str>([], &resource.span)));
    assembly.mapped(resource.title(), "[[api.model]]", &resource.span);
}

fn validator(assembly: &mut Assembly<'_>, resource: &Resource) {
    let name = resource.text("Name").unwrap_or_else(|| resource.logical.clone());
    let span = resource.span.clone();
    let both = ["ValidateRequestBody", "ValidateRequestParameters"]
        .map(|key| build::truth(resource.holds(key), &span));
    let [body, parameters] = both;
    let Some(draft) = api(assembly, resource) else { return };
    let validators = build::child(&mut draft.document, "x-amazon-apigateway-request-validators", &span);
    let value = [("validateRequestBody", body), ("validateRequestParameters", parameters)];
    build::put(validators, name, build::map(value, &span));
    assembly.mapped(resource.title(), "[[api.validator]]", &span);
}

fn authorizer(assembly: &mut Assembly<'_>, resource: &Resource) {
    let name = resource.text("Name").unwrap_or_else(|| resource.logical.clone());
    let span = resource.span.clone();
    let kind = resource.text("Type").unwrap_or_default();
    let scheme =
        authorizer_scheme(&kind, renamed(&resource.properties, AUTHORIZER), resource.text("AuthType"), &span);
    let Some(draft) = api(assembly, resource) else { return };
    draft.component("securitySchemes", &name, scheme);
    draft.schemes.insert(resource.logical.clone(), name);
    assembly.mapped(resource.title(), "[[api.authorizer]]", &span);
}

/// A security scheme with an authorizer behind it.
pub(crate) fn authorizer_scheme(
    kind: &str,
    mut authorizer: Node,
    auth_type: Option<String>,
    span: &Span,
) -> Node {
    let lower = kind.to_ascii_lowercase();
    build::put(&mut authorizer, "type", build::text(&*lower, span));
    let source = authorizer.get("identitySource").and_then(build::scalar).unwrap_or_default();
    let header = source.strip_prefix("method.request.header.").unwrap_or("Authorization");
    let auth_type = auth_type.unwrap_or_else(|| match &*lower {
        "cognito_user_pools" => "cognito_user_pools".to_owned(),
        _ => "custom".to_owned(),
    });
    let name = if lower == "request" {
        "Unused".to_owned()
    } else {
        header.split(',').next().unwrap_or_default().to_owned()
    };
    build::map(
        [
            ("type", build::text("apiKey", span)),
            ("name", build::text(name, span)),
            ("in", build::text("header", span)),
            ("x-amazon-apigateway-authtype", build::text(auth_type, span)),
            ("x-amazon-apigateway-authorizer", authorizer),
        ],
        span,
    )
}

fn gateway_response(assembly: &mut Assembly<'_>, resource: &Resource) {
    let Some(kind) = resource.text("ResponseType") else {
        return assembly.resolver.fail(&resource.span, "`ResponseType` is missing");
    };
    let value = renamed(&resource.properties, GATEWAY_RESPONSE);
    let span = resource.span.clone();
    let Some(draft) = api(assembly, resource) else { return };
    let responses = build::child(&mut draft.document, "x-amazon-apigateway-gateway-responses", &span);
    build::put(responses, kind, value);
    assembly.mapped(resource.title(), "[[api.gateway_response]]", &span);
}

/// Where resources lie.
struct Paths<'a> {
    resources: BTreeMap<&'a str, &'a Resource>,
    /// Those that are not written.
    made: BTreeMap<String, String>,
}

impl<'a> Paths<'a> {
    fn new(resources: &'a [Resource], made: BTreeMap<String, String>) -> Self {
        let of_api = resources.iter().filter(|it| it.kind == "AWS::ApiGateway::Resource");
        Self { resources: of_api.map(|it| (&*it.logical, it)).collect(), made }
    }

    /// The path of what `ResourceId` or `ParentId` names.
    fn of(&self, id: &str) -> Result<String, String> {
        let (mut parts, mut at, mut seen) = (Vec::new(), id.to_owned(), BTreeSet::new());
        while !at.ends_with(".RootResourceId") {
            let Some(resource) = self.resources.get(&*at) else {
                if let Some(path) = self.made.get(&at) {
                    parts.extend(path.rsplit('/').map(str::to_owned).filter(|it| !it.is_empty()));
                    break;
                }
                return Err(format!("there is no resource {}", quote(&at)));
            };
            if !seen.insert(at.clone()) || seen.len() > DEPTH_MAX {
                return Err(format!("the resource {} lies in itself", quote(&at)));
            }
            parts.push(resource.text("PathPart").unwrap_or_default());
            at = resource
                .text("ParentId")
                .ok_or_else(|| format!("the resource {} has no `ParentId`", quote(&at)))?;
        }
        parts.reverse();
        Ok(format!("/{}", parts.join("/")))
    }
}

fn method(assembly: &mut Assembly<'_>, resource: &Resource, resources: &[Resource], paths: &Paths<'_>) {
    let span = resource.span.clone();
    let path = match resource.text("ResourceId").ok_or_else(|| "`ResourceId` is missing".to_owned()) {
        Ok(id) => paths.of(&id),
        Err(why) => Err(why),
    };
    let path = match path {
        Ok(path) => path,
        Err(why) => return assembly.resolver.fail(&span, why),
    };
    let verb = resource.text("HttpMethod").unwrap_or_else(|| "ANY".into());
    let validator = resource.text("RequestValidatorId").map(|id| {
        let named = resources.iter().find(|it| it.logical == id);
        named.and_then(|it| it.text("Name")).unwrap_or(id)
    });
    let models = |logical: &str| {
        let named = resources.iter().find(|it| it.logical == logical);
        named.and_then(|it| it.text("Name")).unwrap_or_else(|| logical.to_owned())
    };
    told(assembly, resource);
    let Some(draft) = api(assembly, resource) else { return };
    if draft.is_swagger() {
        let why = "its API has a definition in Swagger 2.0: put it there, or write that in OpenAPI 3.0";
        return assembly.left(resource.title(), why, &span);
    }
    let mut operation = build::map::<&str>([], &span);
    if let Some(name) = resource.get("OperationName") {
        build::put(&mut operation, "operationId", name.clone());
    }
    let parameters = entries(resource.get("RequestParameters")).iter().filter_map(parameter);
    let parameters: Vec<_> = parameters.collect();
    if !parameters.is_empty() {
        build::put(&mut operation, "parameters", build::list(parameters, &span));
    }
    if let Some(content) = content(resource.get("RequestModels"), &models) {
        build::put(&mut operation, "requestBody", build::map([("content", content)], &span));
    }
    for name in ["Empty", "Error"] {
        let of_answers = list(resource.get("MethodResponses")).iter().map(|it| it.get("ResponseModels"));
        let all = of_answers.chain([resource.get("RequestModels")]);
        let mut named = all.flat_map(entries).filter_map(|it| build::scalar(&it.value));
        if named.any(|it| it == name) {
            default_model(draft, name, &span);
        }
    }
    if let Some(validator) = validator {
        build::put(&mut operation, "x-amazon-apigateway-request-validator", build::text(validator, &span));
    }
    let mut responses = build::map::<&str>([], &span);
    for response in list(resource.get("MethodResponses")) {
        let status = response.get("StatusCode").and_then(build::scalar).unwrap_or_else(|| "200".into());
        build::put(&mut responses, status, method_response(response, &models));
    }
    build::put(&mut operation, "responses", responses);
    let mut security = build::map::<&str>([], &span);
    let scopes: Vec<_> = list(resource.get("AuthorizationScopes")).to_vec();
    match resource.text("AuthorizationType").as_deref() {
        Some("AWS_IAM") => {
            let name = draft.signature(&span);
            build::put(&mut security, name, build::list(Vec::new(), &span));
        }
        Some("NONE") | None => {}
        Some(_) => {
            let id = resource.text("AuthorizerId").unwrap_or_default();
            let name = draft.schemes.get(&id).cloned().unwrap_or(id);
            build::put(&mut security, name, build::list(scopes, &span));
        }
    }
    if resource.holds("ApiKeyRequired") {
        let name = draft.api_key(&span);
        build::put(&mut security, name, build::list(Vec::new(), &span));
    }
    if !entries(Some(&security)).is_empty() {
        build::put(&mut operation, "security", build::list(vec![security], &span));
    }
    if let Some(given) = resource.get("Integration") {
        let mut integration = renamed(given, INTEGRATION);
        let mut responses = build::map::<&str>([], &given.span);
        for response in list(given.get("IntegrationResponses")) {
            let pattern =
                response.get("SelectionPattern").and_then(build::scalar).filter(|it| !it.is_empty());
            build::put(
                &mut responses,
                pattern.unwrap_or_else(|| "default".into()),
                renamed(response, INTEGRATION_RESPONSE),
            );
        }
        if !entries(Some(&responses)).is_empty() {
            build::put(&mut integration, "responses", responses);
        }
        build::put(&mut operation, "x-amazon-apigateway-integration", integration);
    }
    draft.operation(&path, &verb, operation);
    assembly.mapped(resource.title(), format!("[[api.route]] {verb} {path}"), &span);
}

/// A model that every REST API has (row 20), where it has none of its own by that name.
fn default_model(draft: &mut Draft, name: &str, span: &Span) {
    let schemas = draft.document.get("components").and_then(|it| it.get("schemas"));
    if schemas.and_then(|it| it.get(name)).is_some() {
        return;
    }
    let text = |text: &str| build::text(text, span);
    let mut schema = build::map(
        [
            ("$schema", text("http://json-schema.org/draft-04/schema#")),
            ("title", text(&format!("{name} Schema"))),
            ("type", text("object")),
        ],
        span,
    );
    if name == "Error" {
        let message = build::map([("type", text("string"))], span);
        build::put(&mut schema, "properties", build::map([("message", message)], span));
    }
    draft.component("schemas", name, schema);
}

/// Says what a method has inside that nothing takes.
fn told(assembly: &mut Assembly<'_>, resource: &Resource) {
    let title = resource.title();
    let parameters = entries(resource.get("RequestParameters")).iter().filter(|it| parameter(it).is_none());
    for Entry { key, key_span, .. } in parameters {
        let message = format!(
            "{} is no parameter: write method.request.querystring.X, .header.X or .path.X",
            quote(key)
        );
        assembly.resolver.fail(key_span, message);
    }
    let of_answers = list(resource.get("MethodResponses")).iter();
    for Entry { key, key_span, .. } in of_answers.flat_map(|it| entries(it.get("ResponseParameters"))) {
        if key.strip_prefix("method.response.header.").is_none_or(str::is_empty) {
            let message = format!("{} is no header of an answer: write method.response.header.X", quote(key));
            assembly.resolver.fail(key_span, message);
        }
    }
    let Some(integration) = resource.get("Integration") else { return };
    let known: Vec<_> = INTEGRATION.iter().map(|(name, _)| *name).chain(["IntegrationResponses"]).collect();
    known::others_of(assembly, &format!("{title} Integration"), integration, &known);
    let known: Vec<_> =
        INTEGRATION_RESPONSE.iter().map(|(name, _)| *name).chain(["SelectionPattern"]).collect();
    for response in list(integration.get("IntegrationResponses")) {
        known::others_of(assembly, &format!("{title} IntegrationResponses"), response, &known);
    }
}

/// `method.request.querystring.page: true` → a parameter.
fn parameter(entry: &Entry) -> Option<Node> {
    let (place, name) = entry.key.strip_prefix("method.request.")?.split_once('.')?;
    if name.is_empty() {
        return None;
    }
    let place = match place {
        "querystring" | "multivaluequerystring" => "query",
        "header" | "multivalueheader" => "header",
        "path" => "path",
        _ => return None,
    };
    let is_required =
        place == "path" || build::scalar(&entry.value).is_some_and(|it| it.eq_ignore_ascii_case("true"));
    let span = &entry.key_span;
    let schema = build::map([("type", build::text("string", span))], span);
    let fields = [
        ("name", build::text(name, span)),
        ("in", build::text(place, span)),
        ("required", build::truth(is_required, span)),
        ("schema", schema),
    ];
    Some(build::map(fields, span))
}

/// Content types and models.
fn content(models: Option<&Node>, named: &dyn Fn(&str) -> String) -> Option<Node> {
    let given = models.filter(|models| !entries(Some(models)).is_empty())?;
    let one = |entry: &Entry| {
        let name = named(&build::scalar(&entry.value).unwrap_or_default());
        let reference = build::text(format!("#/components/schemas/{name}"), &entry.value.span);
        let schema = build::map([("$ref", reference)], &entry.value.span);
        (entry.key.clone(), build::map([("schema", schema)], &entry.value.span))
    };
    Some(build::map(entries(Some(given)).iter().map(one), &given.span))
}

fn method_response(response: &Node, models: &dyn Fn(&str) -> String) -> Node {
    let span = &response.span;
    let status = response.get("StatusCode").and_then(build::scalar).unwrap_or_default();
    let mut made = build::map([("description", build::text(format!("{status} response"), span))], span);
    let header = |entry: &Entry| {
        let name = entry.key.strip_prefix("method.response.header.")?;
        let schema = build::map([("type", build::text("string", span))], span);
        Some((name.to_owned(), build::map([("schema", schema)], &entry.key_span)))
    };
    let headers: Vec<_> = entries(response.get("ResponseParameters")).iter().filter_map(header).collect();
    if !headers.is_empty() {
        build::put(&mut made, "headers", build::map(headers, span));
    }
    if let Some(content) = content(response.get("ResponseModels"), models) {
        build::put(&mut made, "content", content);
    }
    made
}

/// The values of a list that may not be there.
pub(crate) fn list(node: Option<&Node>) -> &[Node] {
    match node.map(|node| &node.value) {
        Some(Value::List(items)) => items,
        _ => &[],
    }
}
