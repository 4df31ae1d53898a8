//! `AWS::Serverless::*`: SAM's short forms of APIs, and the events by which functions make routes (section 5.2).

mod auth;

use model::{Kind, Mapping, MethodSettings};
use openapi::tree::{Entry, Node, Value};

use crate::{
    Function,
    build::{self, renamed},
    functions, http,
    intrinsics::entries,
    known,
    resources::{Assembly, Draft, Resource, texts},
    rest, stage,
};

/// The API of functions that name none.
const IMPLICIT_REST: &str = "ServerlessRestApi";
const IMPLICIT_HTTP: &str = "ServerlessHttpApi";

/// Properties of events that are looked at.
const OF_EVENTS: &[&str] = &[
    "ApiId",
    "Auth",
    "Method",
    "Path",
    "PayloadFormatVersion",
    "RequestModel",
    "RequestParameters",
    "ResponseTransferMode",
    "RestApiId",
    "RouteSettings",
    "TimeoutInMillis",
];

/// Properties of functions that are looked at.
pub(crate) const OF_FUNCTIONS: &[&str] = &["Handler", "Runtime", "Events"];

/// What `Globals` says of APIs, and of functions what is looked at.
pub(crate) fn globals(assembly: &Assembly<'_>, given: &Node) -> Node {
    let section = |entry: &Entry| match &*entry.key {
        "Api" | "HttpApi" => Some((entry.key.clone(), assembly.resolver.resolve(&entry.value))),
        "Function" => {
            let looked_at = entries(Some(&entry.value)).iter().filter(|it| OF_FUNCTIONS.contains(&&*it.key));
            let resolved = looked_at.map(|it| (it.key.clone(), assembly.resolver.resolve(&it.value)));
            Some((entry.key.clone(), build::map(resolved, &entry.value.span)))
        }
        _ => None,
    };
    build::map(entries(Some(given)).iter().filter_map(section), &given.span)
}

/// A function's events, those of APIs without functions of CloudFormation in them: of the others only what they are matters.
pub(crate) fn events(assembly: &Assembly<'_>, given: &Node) -> Node {
    let event = |entry: &Entry| {
        let kind = entry.value.get("Type").and_then(Node::as_str);
        let value = match kind {
            Some("Api" | "HttpApi") | None => assembly.resolver.resolve(&entry.value),
            Some(kind) => build::map([("Type", build::text(kind, &entry.value.span))], &entry.value.span),
        };
        (entry.key.clone(), value)
    };
    build::map(entries(Some(given)).iter().map(event), &given.span)
}

/// Puts what `Globals` says under what a resource says itself.
pub(crate) fn inherit(kind: &str, properties: &mut Node, globals: &Node) {
    let Some(section) = kind.strip_prefix("AWS::Serverless::").and_then(|name| globals.get(name)) else {
        return;
    };
    *properties = merged(section, properties);
}

/// A map over a map; lists are joined, as SAM does.
fn merged(under: &Node, over: &Node) -> Node {
    match (&under.value, &over.value) {
        (Value::Map(below), Value::Map(_)) => {
            let mut made = over.clone();
            for entry in below {
                let value =
                    over.get(&entry.key).map_or_else(|| entry.value.clone(), |own| merged(&entry.value, own));
                build::put(&mut made, entry.key.clone(), value);
            }
            made
        }
        (Value::List(below), Value::List(own)) => {
            build::list(below.iter().chain(own).cloned().collect(), &over.span)
        }
        _ => over.clone(),
    }
}

/// `AWS::Serverless::Api` and `AWS::Serverless::HttpApi`.
pub(crate) fn apis(assembly: &mut Assembly<'_>, resources: &[Resource]) {
    for resource in resources {
        let kind = match &*resource.kind {
            "AWS::Serverless::Api" => Kind::Rest,
            "AWS::Serverless::HttpApi" => Kind::Http,
            _ => continue,
        };
        api(assembly, resource, kind);
    }
}

fn api(assembly: &mut Assembly<'_>, resource: &Resource, kind: Kind) {
    let name = resource.text("Name").unwrap_or_else(|| resource.logical.clone());
    let mut draft = match (resource.get("DefinitionBody"), resource.get("DefinitionUri")) {
        (Some(body), _) => Draft::given(kind, &resource.logical, body.clone(), &resource.span),
        (None, Some(uri)) => {
            let Some(file) = assembly.resolver.document(uri) else { return };
            Draft::of_file(kind, &resource.logical, file, &uri.span)
        }
        (None, None) => Draft::new(kind, &resource.logical, &name, &resource.span),
    };
    draft.fail_on_warnings = resource.holds("FailOnWarnings");
    match kind {
        Kind::Rest => rest::settings(&mut draft, resource),
        _ => http::settings(&mut draft, resource),
    }
    of_rest(&mut draft, resource);
    for Entry { key, value, .. } in entries(resource.get("GatewayResponses")) {
        let title = format!("{} GatewayResponses {key}", resource.title());
        known::others_of(assembly, &title, value, &["ResponseParameters", "ResponseTemplates", "StatusCode"]);
    }
    draft.tags(resource.get("Tags"));
    if let Some(given) = resource.get("Auth") {
        auth::authorizers(assembly, &mut draft, given);
        if draft.is_given {
            auth::defaults(&mut draft, given);
        }
    }
    let stage_name = resource.text("StageName").unwrap_or_else(|| "$default".into());
    if kind == Kind::Rest && resource.get("StageName").is_none() {
        assembly.resolver.fail(&resource.span, "`StageName` is missing");
    }
    let made = stage::of(assembly, &resource.properties, stage_name.clone(), kind, resource);
    draft.stages.push(made);
    domain(assembly, &mut draft, resource, &stage_name);
    if resource.get("Cors").is_some() && kind == Kind::Rest {
        cors(assembly, &mut draft, resource);
    }
    let noun = if kind == Kind::Rest { "rest" } else { "http" };
    assembly.mapped(
        resource.title(),
        format!("[[api]] of kind \"{noun}\" with stage {stage_name}"),
        &resource.span,
    );
    assembly.drafts.push(draft);
}

/// Models and gateway responses.
fn of_rest(draft: &mut Draft, resource: &Resource) {
    for Entry { key, value, .. } in entries(resource.get("Models")) {
        draft.component("schemas", key, value.clone());
    }
    let responses = entries(resource.get("GatewayResponses"));
    if responses.is_empty() {
        return;
    }
    let response = |entry: &Entry| {
        let names = [("StatusCode", "statusCode"), ("ResponseTemplates", "responseTemplates")];
        let mut made = renamed(&entry.value, &names);
        let mut parameters = Vec::new();
        if let Some(given) = entry.value.get("ResponseParameters") {
            for (group, place) in [("Headers", "header"), ("Paths", "path"), ("QueryStrings", "querystring")]
            {
                let of_group = entries(given.get(group)).iter();
                parameters.extend(
                    of_group.map(|it| (format!("gatewayresponse.{place}.{}", it.key), it.value.clone())),
                );
            }
        }
        if !parameters.is_empty() {
            build::put(&mut made, "responseParameters", build::map(parameters, &entry.value.span));
        }
        (entry.key.clone(), made)
    };
    draft.field(
        "x-amazon-apigateway-gateway-responses",
        build::map(responses.iter().map(response), &resource.span),
    );
}

/// `Cors` of a REST API is the gateway's one word for it: a stage's.
fn cors(assembly: &mut Assembly<'_>, draft: &mut Draft, resource: &Resource) {
    let Some(given) = resource.get("Cors") else { return };
    // Values stand in single quotes inside the string, as a mapping has them.
    let bare = |text: String| text.trim().trim_matches('\'').to_owned();
    let field = |key: &str| given.get(key).and_then(build::scalar).map(bare);
    let list = |text: Option<String>| -> Vec<String> {
        let text = text.unwrap_or_default();
        text.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect()
    };
    let origin =
        build::scalar(given).map(bare).or_else(|| field("AllowOrigin")).unwrap_or_else(|| "*".into());
    let allow_methods = list(field("AllowMethods"));
    let cors = model::Cors {
        allow_origins: list(Some(origin)),
        allow_methods: if allow_methods.is_empty() { vec!["*".into()] } else { allow_methods },
        allow_headers: list(field("AllowHeaders")),
        expose_headers: Vec::new(),
        max_age_s: field("MaxAge").and_then(|it| it.parse().ok()),
        allow_credentials: field("AllowCredentials").is_some_and(|it| it == "true"),
        origin: Some(assembly.resolver.origin(&given.span)),
    };
    draft.stages.iter_mut().for_each(|stage| stage.cors = Some(cors.clone()));
    assembly.mapped(format!("{} Cors", resource.title()), "[api.stage.cors]", &given.span);
}

fn domain(assembly: &mut Assembly<'_>, draft: &mut Draft, resource: &Resource, stage_name: &str) {
    let Some(given) = resource.get("Domain") else { return };
    let Some(name) = given.get("DomainName").and_then(build::scalar) else {
        return assembly.resolver.fail(&given.span, "`DomainName` is missing");
    };
    let paths = given.get("BasePath").map(texts).unwrap_or_default();
    let paths = if paths.is_empty() { vec![String::new()] } else { paths };
    let origin = Some(assembly.resolver.origin(&given.span));
    for path in paths {
        draft.mappings.push(Mapping {
            host: Some(name.to_ascii_lowercase()),
            base_path: path.trim_matches('/').to_owned(),
            stage: Some(stage_name.to_owned()),
            origin: origin.clone(),
        });
    }
    let types = given.get("EndpointConfiguration").or_else(|| resource.get("EndpointConfiguration"));
    let made = stage::domain(assembly, &name, given, types, &resource.span);
    assembly.domains.push(made);
    for key in ["Route53", "SecurityPolicy", "OwnershipVerificationCertificateArn", "NormalizeBasePath"] {
        if let Some(left) = given.get(key) {
            let why = "names and TLS are the node's own affair";
            assembly.left(format!("{} Domain.{key}", resource.title()), why, &left.span);
        }
    }
    let why = "certificates are the node's own: name files in [[certificate]]";
    assembly.left(format!("certificate of {name}"), why, &given.span);
}

/// `AWS::Serverless::Function`: its events make routes.
pub(crate) fn functions(assembly: &mut Assembly<'_>, resources: &[Resource]) {
    for resource in resources
        .iter()
        .filter(|it| matches!(&*it.kind, "AWS::Serverless::Function" | "AWS::Lambda::Function"))
    {
        let function = Function {
            name: resource.logical.clone(),
            handler: resource.text("Handler"),
            runtime: resource.text("Runtime"),
            code: assembly.resolver.written(&resource.logical, "CodeUri"),
            origin: assembly.resolver.origin(&resource.span),
        };
        assembly.functions.push(function);
        assembly.left(
            resource.title(),
            "functions do not run here yet: its routes are refused when they are deployed",
            &resource.span,
        );
        for Entry { key, value, .. } in entries(resource.get("Events")) {
            let what = format!("{}.{key}", resource.logical);
            match value.get("Type").and_then(build::scalar).as_deref() {
                Some("Api") => event(assembly, resources, resource, value, &what, Kind::Rest),
                Some("HttpApi") => event(assembly, resources, resource, value, &what, Kind::Http),
                Some(other) => {
                    assembly.left(format!("{what} ({other})"), "it is no event of an API", &value.span);
                }
                None => assembly.resolver.fail(&value.span, "the event has no `Type`"),
            }
        }
    }
}

fn event(
    assembly: &mut Assembly<'_>,
    resources: &[Resource],
    function: &Resource,
    event: &Node,
    what: &str,
    kind: Kind,
) {
    let span = event.span.clone();
    let none = build::map::<&str>([], &span);
    let properties = event.get("Properties").unwrap_or(&none);
    let text = |key: &str| properties.get(key).and_then(build::scalar);
    let (id, implicit) =
        if kind == Kind::Rest { ("RestApiId", IMPLICIT_REST) } else { ("ApiId", IMPLICIT_HTTP) };
    let api = text(id).unwrap_or_else(|| implicit.to_owned());
    let key = match (text("Method"), text("Path")) {
        (Some(method), Some(path)) => {
            format!("{} {path}", if method == "*" { "ANY".into() } else { method.to_ascii_uppercase() })
        }
        (None, Some(path)) => format!("ANY {path}"),
        (_, None) if kind == Kind::Http => "$default".to_owned(),
        (_, None) => return assembly.resolver.fail(&span, "the event has no `Path`"),
    };
    let arn = functions::arn(&function.logical, &assembly.options.variables);
    let uri = functions::invocation(&arn, &assembly.options.variables);
    let mut integration = build::map(
        [
            ("type", build::text("aws_proxy", &span)),
            ("httpMethod", build::text("POST", &span)),
            ("uri", build::text(uri, &span)),
        ],
        &span,
    );
    if kind == Kind::Http {
        let version = text("PayloadFormatVersion").unwrap_or_else(|| "2.0".into());
        build::put(&mut integration, "payloadFormatVersion", build::text(version, &span));
    }
    for (from, to) in
        [("TimeoutInMillis", "timeoutInMillis"), ("ResponseTransferMode", "responseTransferMode")]
    {
        if let Some(value) = properties.get(from) {
            build::put(&mut integration, to, value.clone());
        }
    }
    if let Some(auth) = properties.get("Auth") {
        auth::refuse(assembly, auth);
        let known = ["ApiKeyRequired", "AuthorizationScopes", "Authorizer", "ResourcePolicy"];
        known::others_of(assembly, &format!("{what} Auth"), auth, &known);
    }
    for given in properties.get("RequestParameters").map(list).unwrap_or_default() {
        if parameter(given).is_none() {
            let message = "it is no parameter: write method.request.querystring.X, .header.X or .path.X";
            assembly.resolver.fail(&given.span, message);
        }
    }
    // The API's own default stands in its properties.
    let of_api = resources.iter().find(|it| it.logical == api).and_then(|it| it.get("Auth")).cloned();
    let mut operation = build::map([("x-amazon-apigateway-integration", integration)], &span);
    let is_merged = resources.iter().any(|it| it.logical == api && it.holds("MergeDefinitions"));
    let Some(draft) = assembly.draft(&api, &span) else { return };
    if draft.is_given && (!is_merged || draft.is_swagger()) {
        let why = match is_merged {
            true => "its API has a definition in Swagger 2.0: write it in OpenAPI 3.0, or the route into it",
            false => {
                "its API has a definition of its own, which SAM takes as it is without `MergeDefinitions`"
            }
        };
        return assembly.left(what.to_owned(), why, &span);
    }
    request(draft, &mut operation, properties);
    let security = auth::security(draft, properties.get("Auth"), of_api.as_ref(), &span);
    if let Some(security) = security {
        build::put(&mut operation, "security", build::list(vec![security], &span));
    }
    match kind {
        Kind::Rest => {
            let (method, path) = key.split_once(' ').unwrap_or(("ANY", &key));
            draft.operation(path, method, operation);
        }
        _ => http::route(draft, &key, operation),
    }
    if let Some(settings) = properties.get("RouteSettings") {
        let origin = Some(assembly.resolver.origin(&settings.span));
        let limits = stage::limits(assembly, Some(settings), origin.clone());
        let known = ["ThrottlingBurstLimit", "ThrottlingRateLimit"];
        known::others_of(assembly, &format!("{what} RouteSettings"), settings, &known);
        let made = MethodSettings { key: stage::key(&key), throttle: limits, cache: None, origin };
        if let Some(draft) = assembly.draft(&api, &span) {
            draft.stages.iter_mut().for_each(|stage| stage.method_settings.push(made.clone()));
        }
    }
    known::others_of(assembly, what, properties, OF_EVENTS);
    assembly.mapped(what.to_owned(), format!("[[api.route]] {key} of {api}"), &span);
}

/// SAM's own APIs for functions that name none, with what `Globals` says of all.
pub(crate) fn implied(assembly: &mut Assembly<'_>, resources: &mut Vec<Resource>, globals: Option<&Node>) {
    for (kind, event, id, logical, stage) in [
        ("AWS::Serverless::Api", "Api", "RestApiId", IMPLICIT_REST, Some("Prod")),
        ("AWS::Serverless::HttpApi", "HttpApi", "ApiId", IMPLICIT_HTTP, None),
    ] {
        let names_none = |it: &Entry| {
            let named = it.value.get("Properties").and_then(|it| it.get(id)).and_then(build::scalar);
            it.value.get("Type").and_then(Node::as_str) == Some(event) && named.is_none_or(|it| it == logical)
        };
        let asks = |it: &&Resource| {
            it.kind == "AWS::Serverless::Function" && entries(it.get("Events")).iter().any(names_none)
        };
        let Some(span) = resources.iter().find(asks).map(|it| it.span.clone()) else { continue };
        if resources.iter().any(|it| it.logical == logical) {
            continue;
        }
        let stage = stage.map(|name| ("StageName", build::text(name, &span)));
        let mut properties = build::map(stage, &span);
        if let Some(globals) = globals {
            inherit(kind, &mut properties, globals);
        }
        if kind == "AWS::Serverless::Api" && properties.get("OpenApiVersion").is_none() {
            let why = "SAM makes it by an oversight of its own, unless `OpenApiVersion` is set";
            assembly.left(format!("{logical} stage `Stage`"), why, &span);
        }
        resources.push(Resource { logical: logical.into(), kind: kind.into(), properties, span });
    }
}

/// A parameter of an event: where it stands, its name, and whether it has to be there.
fn parameter(given: &Node) -> Option<(&'static str, String, bool)> {
    let (text, settings) = match &given.value {
        Value::Map(own) => own.first().map(|entry| (entry.key.to_string(), Some(&entry.value)))?,
        _ => (build::scalar(given)?, None),
    };
    let required = settings.and_then(|it| it.get("Required")).and_then(build::scalar);
    let (place, name) = text.strip_prefix("method.request.")?.split_once('.')?;
    let place = match place {
        "querystring" => "query",
        "header" => "header",
        "path" => "path",
        _ => return None,
    };
    (!name.is_empty()).then(|| (place, name.to_owned(), required.is_some_and(|it| it == "true")))
}

/// `RequestModel` and `RequestParameters`.
fn request(draft: &mut Draft, operation: &mut Node, properties: &Node) {
    let mut validates = [false, false];
    if let Some(given) = properties.get("RequestModel") {
        let span = &given.span;
        if let Some(model) = given.get("Model").and_then(build::scalar) {
            let reference =
                build::map([("$ref", build::text(format!("#/components/schemas/{model}"), span))], span);
            let content = build::map([("application/json", build::map([("schema", reference)], span))], span);
            build::put(operation, "requestBody", build::map([("content", content)], span));
        }
        let holds = |key: &str| given.get(key).and_then(build::scalar).is_some_and(|it| it == "true");
        validates = [holds("ValidateBody"), holds("ValidateParameters")];
    }
    let mut parameters = Vec::new();
    for given in properties.get("RequestParameters").map(list).unwrap_or_default() {
        let Some((place, name, required)) = parameter(given) else { continue };
        let span = &given.span;
        let schema = build::map([("type", build::text("string", span))], span);
        let required = build::truth(required || place == "path", span);
        let fields = [
            ("name", build::text(name, span)),
            ("in", build::text(place, span)),
            ("required", required),
            ("schema", schema),
        ];
        parameters.push(build::map(fields, span));
    }
    let span = properties.span.clone();
    if !parameters.is_empty() {
        build::put(operation, "parameters", build::list(parameters, &span));
    }
    let name = match validates {
        [false, false] => return,
        [true, false] => "body-only",
        [false, true] => "params-only",
        [true, true] => "body-and-params",
    };
    let [body, params] = validates.map(|it| build::truth(it, &span));
    let validator = build::map([("validateRequestBody", body), ("validateRequestParameters", params)], &span);
    build::put(
        build::child(&mut draft.document, "x-amazon-apigateway-request-validators", &span),
        name,
        validator,
    );
    build::put(operation, "x-amazon-apigateway-request-validator", build::text(name, &span));
}

fn list(node: &Node) -> &[Node] {
    rest::list(Some(node))
}
