//! `AWS::Serverless::*`: SAM's short forms of APIs, and the events by which functions make routes (section 5.2).

use model::{Kind, Mapping};
use openapi::tree::{Entry, Node, Value};

use crate::{
    Function,
    build::{self, Span, renamed},
    functions, http,
    intrinsics::entries,
    resources::{Assembly, Draft, Resource, texts},
    rest, stage,
};

/// The API of functions that name none.
const IMPLICIT_REST: &str = "ServerlessRestApi";
const IMPLICIT_HTTP: &str = "ServerlessHttpApi";

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
    if let Some(uri) = resource.get("DefinitionUri") {
        assembly.resolver.fail(
            &uri.span,
            "`DefinitionUri` names a file: put it into `DefinitionBody`, or import it by itself",
        );
    }
    let mut draft = match resource.get("DefinitionBody") {
        Some(body) => Draft::given(kind, &resource.logical, body.clone(), &resource.span),
        None => Draft::new(kind, &resource.logical, &name, &resource.span),
    };
    match kind {
        Kind::Rest => rest::settings(&mut draft, resource),
        _ => http::settings(&mut draft, resource),
    }
    of_rest(&mut draft, resource);
    if let Some(auth) = resource.get("Auth") {
        authorizers(assembly, &mut draft, auth);
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
    let made = stage::domain(assembly, &name, resource);
    assembly.domains.push(made);
    let why = "certificates are the node's own: name files in [[certificate]]";
    assembly.left(format!("certificate of {name}"), why, &given.span);
}

/// `Auth.Authorizers`; `DefaultAuthorizer` is asked for where routes are made.
fn authorizers(assembly: &mut Assembly<'_>, draft: &mut Draft, auth: &Node) {
    for Entry { key, value, .. } in entries(auth.get("Authorizers")) {
        let span = &value.span;
        let function = value.get("FunctionArn").and_then(build::scalar);
        let uri =
            function.map(|arn| build::text(functions::invocation(&arn, &assembly.options.variables), span));
        let identity = value.get("Identity");
        let scheme = if draft.kind == Kind::Http {
            let mut made = build::map::<&str>([], span);
            let names = [
                ("AuthorizerPayloadFormatVersion", "authorizerPayloadFormatVersion"),
                ("EnableSimpleResponses", "enableSimpleResponses"),
            ];
            made = merged(&made, &renamed(value, &names));
            if let Some(jwt) = value.get("JwtConfiguration") {
                let names = [
                    ("issuer", "issuer"),
                    ("audience", "audience"),
                    ("Issuer", "issuer"),
                    ("Audience", "audience"),
                ];
                build::put(&mut made, "jwtConfiguration", renamed(jwt, &names));
            }
            let header = |name: &Node| format!("$request.header.{}", build::scalar(name).unwrap_or_default());
            let headers = identity.and_then(|it| it.get("Headers")).map(list).unwrap_or_default();
            let source = value.get("IdentitySource").and_then(build::scalar);
            let source = source.or_else(|| {
                (!headers.is_empty()).then(|| headers.iter().map(header).collect::<Vec<_>>().join(","))
            });
            if let Some(source) = source {
                build::put(&mut made, "identitySource", build::text(source, span));
            }
            if let Some(uri) = uri {
                build::put(&mut made, "authorizerUri", uri);
            }
            http::scheme(value.get("JwtConfiguration").is_some(), made, span)
        } else {
            rest_authorizer(value, uri, identity)
        };
        draft.component("securitySchemes", key, scheme);
        draft.schemes.insert(key.to_string(), key.to_string());
        assembly.mapped(format!("{} Auth.Authorizers.{key}", draft.logical), "[[api.authorizer]]", span);
    }
    for left in ["UsagePlan", "ResourcePolicy"] {
        let Some(given) = auth.get(left) else { continue };
        match left {
            "UsagePlan" => assembly.left(
                format!("{} Auth.UsagePlan", draft.logical),
                "usage plans are not built yet",
                &given.span,
            ),
            _ => assembly.resolver.fail(&given.span, "resource policies can't be enforced yet"),
        }
    }
}

fn rest_authorizer(value: &Node, uri: Option<Node>, identity: Option<&Node>) -> Node {
    let span = &value.span;
    let text = |key: &str| identity.and_then(|it| it.get(key)).and_then(build::scalar);
    let mut made = build::map::<&str>([], span);
    if let Some(ttl) = identity.and_then(|it| it.get("ReauthorizeEvery")) {
        build::put(&mut made, "authorizerResultTtlInSeconds", ttl.clone());
    }
    if let Some(pattern) = identity.and_then(|it| it.get("ValidationExpression")) {
        build::put(&mut made, "identityValidationExpression", pattern.clone());
    }
    if let Some(arn) = value.get("UserPoolArn") {
        let arns = if matches!(arn.value, Value::List(_)) {
            arn.clone()
        } else {
            build::list(vec![arn.clone()], span)
        };
        build::put(&mut made, "providerARNs", arns);
        let header = text("Header").unwrap_or_else(|| "Authorization".into());
        build::put(&mut made, "identitySource", build::text(format!("method.request.header.{header}"), span));
        return rest::authorizer_scheme("cognito_user_pools", made, None, span);
    }
    if let Some(uri) = uri {
        build::put(&mut made, "authorizerUri", uri);
    }
    let is_request = value
        .get("FunctionPayloadType")
        .and_then(build::scalar)
        .is_some_and(|it| it.eq_ignore_ascii_case("REQUEST"));
    let source = if is_request {
        let groups = [("Headers", "header"), ("QueryStrings", "querystring")];
        let named = groups.into_iter().flat_map(|(group, place)| {
            let names = identity.and_then(|it| it.get(group)).map(list).unwrap_or_default();
            names
                .iter()
                .filter_map(build::scalar)
                .map(move |name| format!("method.request.{place}.{name}"))
                .collect::<Vec<_>>()
        });
        named.collect::<Vec<_>>().join(",")
    } else {
        format!("method.request.header.{}", text("Header").unwrap_or_else(|| "Authorization".into()))
    };
    if !source.is_empty() {
        build::put(&mut made, "identitySource", build::text(source, span));
    }
    rest::authorizer_scheme(if is_request { "request" } else { "token" }, made, None, span)
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
            code: resource.text("CodeUri"),
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
    if api == implicit && !assembly.drafts.iter().any(|draft| draft.logical == api) {
        implied(assembly, &api, kind, function);
    }
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
    // The API's own default stands in its properties.
    let of_api = resources.iter().find(|it| it.logical == api).and_then(|it| it.get("Auth")).cloned();
    let mut operation = build::map([("x-amazon-apigateway-integration", integration)], &span);
    let Some(draft) = assembly.draft(&api, &span) else { return };
    if draft.is_given {
        let why = "its API has a definition of its own";
        return assembly.left(what.to_owned(), why, &span);
    }
    request(draft, &mut operation, properties);
    let security = security(draft, properties.get("Auth"), of_api.as_ref(), &span);
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
    assembly.mapped(what.to_owned(), format!("[[api.route]] {key} of {api}"), &span);
}

/// SAM's own API for functions that name none.
fn implied(assembly: &mut Assembly<'_>, api: &str, kind: Kind, function: &Resource) {
    let mut draft = Draft::new(kind, api, api, &function.span);
    let name = if kind == Kind::Rest { "Prod" } else { "$default" };
    let made = stage::of(assembly, &build::map::<&str>([], &function.span), name.into(), kind, function);
    draft.stages.push(made);
    if kind == Kind::Rest {
        // SAM makes a stage of that name as well unless `OpenApiVersion` is set, which nobody uses on purpose.
        assembly.left(
            format!("{api} stage `Stage`"),
            "SAM makes it by an oversight of its own",
            &function.span,
        );
    }
    assembly.mapped(format!("{api} (implicit)"), format!("[[api]] with stage {name}"), &function.span);
    assembly.drafts.push(draft);
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
        let (name, required) = match &given.value {
            Value::Map(own) => own.first().map_or_else(Default::default, |entry| {
                let required =
                    entry.value.get("Required").and_then(build::scalar).is_some_and(|it| it == "true");
                (entry.key.to_string(), required)
            }),
            _ => (build::scalar(given).unwrap_or_default(), false),
        };
        let Some((place, name)) = name.strip_prefix("method.request.").and_then(|it| it.split_once('.'))
        else {
            continue;
        };
        let place = if place == "querystring" { "query" } else { place };
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

/// Who may call: the event's authorizer, else the API's default.
fn security(draft: &mut Draft, own: Option<&Node>, of_api: Option<&Node>, span: &Span) -> Option<Node> {
    let text = |node: Option<&Node>, key: &str| node.and_then(|it| it.get(key)).and_then(build::scalar);
    let name = text(own, "Authorizer").or_else(|| text(of_api, "DefaultAuthorizer"));
    let needs_key =
        text(own, "ApiKeyRequired").or_else(|| text(of_api, "ApiKeyRequired")).is_some_and(|it| it == "true");
    let mut security = build::map::<&str>([], span);
    match name.as_deref() {
        Some("NONE") | None => {}
        Some("AWS_IAM") => {
            let name = draft.signature(span);
            build::put(&mut security, name, build::list(Vec::new(), span));
        }
        Some(name) => {
            let scopes =
                own.and_then(|it| it.get("AuthorizationScopes")).map(list).unwrap_or_default().to_vec();
            build::put(&mut security, name, build::list(scopes, span));
        }
    }
    if needs_key {
        let name = draft.api_key(span);
        build::put(&mut security, name, build::list(Vec::new(), span));
    }
    (!entries(Some(&security)).is_empty()).then_some(security)
}

fn list(node: &Node) -> &[Node] {
    rest::list(Some(node))
}
