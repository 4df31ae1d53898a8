//! Events `http` and `provider.apiGateway`.

use model::Kind;
use openapi::tree::{Entry, Node, Value, quote};

use super::{
    Service, event,
    preflight::{self, Preflight},
};
use crate::{
    build::{self, Span},
    functions,
    intrinsics::entries,
    known,
    resources::{Draft, texts},
    rest,
};

/// What an integration `lambda` hands to its function: the same fields as the framework's own template, in words of ours.
const LAMBDA_TEMPLATE: &str = r##"#macro(fields $map){
#foreach($key in $map.keySet())"$util.escapeJavaScript($key)": "$util.escapeJavaScript($map.get($key))"#if($foreach.hasNext),#end
#end}#end
{"body": $input.json('$'),
"method": "$context.httpMethod", "stage": "$context.stage", "requestPath": "$context.resourcePath",
"principalId": "$context.authorizer.principalId",
"headers": #fields($input.params().header), "query": #fields($input.params().querystring), "path": #fields($input.params().path),
"identity": {"sourceIp": "$context.identity.sourceIp", "userAgent": "$util.escapeJavaScript($context.identity.userAgent)"},
"stageVariables": #fields($stageVariables)}"##;

/// Statuses that a function asks for by its error's text.
const STATUS_CODES: [u16; 8] = [400, 401, 403, 404, 422, 500, 502, 504];

/// Keys of an event that are looked at.
const OF_EVENTS: &[&str] = &[
    "async",
    "authorizer",
    "connectionId",
    "connectionType",
    "cors",
    "integration",
    "method",
    "operationId",
    "path",
    "private",
    "request",
    "response",
    "timeoutInMillis",
];

/// Who may call a method.
enum Who {
    /// Who signs as AWS asks for.
    Signed,
    /// Whom an authorizer under `resources` lets in.
    Named(String),
    /// Whom this authorizer lets in.
    Of(String, Box<Node>),
}

impl Service<'_, '_> {
    pub(super) fn rest_settings(&mut self, draft: &mut Draft, provider: &Node) {
        let span = draft.span.clone();
        let given = provider.get("apiGateway");
        let field = |key: &str| given.and_then(|it| it.get(key));
        let copied = [
            ("binaryMediaTypes", "x-amazon-apigateway-binary-media-types"),
            ("minimumCompressionSize", "x-amazon-apigateway-minimum-compression-size"),
            ("apiKeySourceType", "x-amazon-apigateway-api-key-source"),
        ];
        for (from, to) in copied {
            if let Some(value) = field(from) {
                draft.field(to, value.clone());
            }
        }
        if let Some(policy) = field("resourcePolicy") {
            let version = build::text("2012-10-17", &policy.span);
            draft.field(
                "x-amazon-apigateway-policy",
                build::map([("Version", version), ("Statement", policy.clone())], &policy.span),
            );
        }
        let kind = provider.get("endpointType").and_then(build::scalar).unwrap_or_else(|| "EDGE".into());
        let types = build::list(vec![build::text(kind.to_ascii_uppercase(), &span)], &span);
        let mut endpoint = build::map([("types", types)], &span);
        if let Some(disable) = field("disableDefaultEndpoint") {
            build::put(&mut endpoint, "disableExecuteApiEndpoint", disable.clone());
        }
        draft.field("x-amazon-apigateway-endpoint-configuration", endpoint);
        for Entry { key, value, .. } in entries(field("request").and_then(|it| it.get("schemas"))) {
            let letters = || key.chars().filter(char::is_ascii_alphanumeric).collect();
            let name = value.get("name").and_then(build::scalar).unwrap_or_else(letters);
            draft.component("schemas", &name, value.get("schema").unwrap_or(value).clone());
            draft.models.insert(key.to_string(), name);
        }
        for key in super::ELSEWHERE {
            if let Some(value) = field(key) {
                let why = "the API is made here, with all of its paths";
                self.assembly.left(format!("provider.apiGateway.{key}"), why, &value.span);
            }
        }
    }

    pub(super) fn http(&mut self, function: &str, given: &Node, provider: &Node, what: &str) {
        let span = given.span.clone();
        let (method, path) = match event::key(given) {
            Ok(Some(key)) => key,
            Ok(None) => ("ANY".into(), "/{proxy+}".into()),
            Err(why) => return self.assembly.resolver.fail(&span, why),
        };
        let text = |key: &str| given.get(key).and_then(build::scalar);
        let uri = functions::invocation(&self.arn(function), &self.assembly.options.variables);
        let kind = text("integration").unwrap_or_else(|| "lambda-proxy".into()).to_ascii_lowercase();
        let request = given.get("request");
        let mut integration = match &*kind {
            "lambda-proxy" | "lambda_proxy" | "aws-proxy" | "aws_proxy" => {
                typed("aws_proxy", Some(&uri), "POST", &span)
            }
            "lambda" | "aws" => lambda(&uri, given, &span),
            "http" | "http-proxy" | "http_proxy" => {
                let uri = request.and_then(|it| it.get("uri")).and_then(build::scalar);
                let verb = request
                    .and_then(|it| it.get("method"))
                    .and_then(build::scalar)
                    .unwrap_or_else(|| method.clone());
                let mut made =
                    typed(if kind == "http" { "http" } else { "http_proxy" }, uri.as_deref(), &verb, &span);
                if kind == "http" {
                    build::put(&mut made, "responses", responses(given, &span));
                }
                made
            }
            "mock" => {
                let mut made = typed("mock", None, "ANY", &span);
                let template =
                    build::map([("application/json", build::text("{\"statusCode\": 200}", &span))], &span);
                build::put(&mut made, "requestTemplates", template);
                build::put(&mut made, "responses", responses(given, &span));
                made
            }
            _ => {
                return self
                    .assembly
                    .resolver
                    .fail(&span, format!("the integration `{kind}` is not known here"));
            }
        };
        let copied = [
            ("timeoutInMillis", "timeoutInMillis"),
            ("connectionId", "connectionId"),
            ("connectionType", "connectionType"),
        ];
        for (from, to) in copied {
            if let Some(value) = given.get(from) {
                build::put(&mut integration, to, value.clone());
            }
        }
        if text("async").is_some_and(|it| it == "true") {
            let parameters = build::child(&mut integration, "requestParameters", &span);
            build::put(
                parameters,
                "integration.request.header.X-Amz-Invocation-Type",
                build::text("'Event'", &span),
            );
        }
        for (from, to) in [
            ("template", "requestTemplates"),
            ("passThrough", "passthroughBehavior"),
            ("contentHandling", "contentHandling"),
        ] {
            if let Some(value) = request.and_then(|it| it.get(from)) {
                build::put(&mut integration, to, value.clone());
            }
        }
        let response = given.get("response");
        if let Some(mode) = response.and_then(|it| it.get("transferMode")) {
            build::put(&mut integration, "responseTransferMode", mode.clone());
        }
        let mut operation = build::map::<&str>([], &span);
        if let Some(id) = given.get("operationId") {
            build::put(&mut operation, "operationId", id.clone());
        }
        let authorizer = given.get("authorizer").map(|it| self.authorizer(it));
        let Some(draft) = self.api(Kind::Rest, provider, &span) else { return };
        requests(draft, &mut operation, &mut integration, request, &path, &span);
        build::put(&mut operation, "responses", method_responses(&integration, &span));
        build::put(&mut operation, "x-amazon-apigateway-integration", integration);
        let mut security = build::map::<&str>([], &span);
        if let Some((who, scopes)) = authorizer {
            let name = match who {
                Who::Of(name, scheme) => {
                    draft.component("securitySchemes", &name, *scheme);
                    name
                }
                Who::Named(name) => name,
                Who::Signed => draft.signature(&span).to_owned(),
            };
            build::put(&mut security, name, scopes);
        }
        if text("private").is_some_and(|it| it == "true") {
            let name = draft.api_key(&span);
            build::put(&mut security, name, build::list(Vec::new(), &span));
        }
        if !entries(Some(&security)).is_empty() {
            build::put(&mut operation, "security", build::list(vec![security], &span));
        }
        draft.operation(&path, &method, operation);
        if let Some(cors) = given.get("cors").filter(|it| build::scalar(it).as_deref() != Some("false")) {
            let place = (draft.logical.clone(), path.clone());
            self.preflights.entry(place).or_insert_with(|| Preflight::new(&span)).add(cors, &method);
        }
        self.left_of_event(what, given);
        self.assembly.mapped(what.to_owned(), format!("[[api.route]] {method} {path}"), &span);
    }

    /// Says what an event has that is not looked at.
    fn left_of_event(&mut self, what: &str, given: &Node) {
        known::others_of(self.assembly, what, given, OF_EVENTS);
        let parts: [(&str, &[&str]); 4] = [
            (
                "cors",
                &["allowCredentials", "cacheControl", "headers", "maxAge", "methods", "origin", "origins"],
            ),
            (
                "request",
                &[
                    "contentHandling",
                    "method",
                    "parameters",
                    "passThrough",
                    "schema",
                    "schemas",
                    "template",
                    "uri",
                ],
            ),
            ("response", &["contentHandling", "headers", "statusCodes", "template", "transferMode"]),
            (
                "authorizer",
                &[
                    "arn",
                    "authorizerId",
                    "identitySource",
                    "identityValidationExpression",
                    "name",
                    "resultTtlInSeconds",
                    "scopes",
                    "type",
                ],
            ),
        ];
        for (part, known) in parts {
            if let Some(given) = given.get(part) {
                known::others_of(self.assembly, &format!("{what} {part}"), given, known);
            }
        }
    }

    /// Who may call, and with which scopes.
    fn authorizer(&mut self, given: &Node) -> (Who, Node) {
        let span = &given.span;
        let field = |key: &str| given.get(key).and_then(build::scalar);
        let scopes = given.get("scopes").map(texts).unwrap_or_default();
        let scopes = build::list(scopes.into_iter().map(|it| build::text(it, span)).collect(), span);
        let short = build::scalar(given);
        let kind = field("type").unwrap_or_default().to_ascii_uppercase();
        if kind == "AWS_IAM" || short.as_deref().is_some_and(|it| it.eq_ignore_ascii_case("aws_iam")) {
            return (Who::Signed, scopes);
        }
        if let Some(id) = field("authorizerId") {
            let name = self.authorizer_of(&id);
            if name.is_none() {
                let message = format!("there is no authorizer {} under `resources`", quote(&id));
                self.assembly.resolver.fail(span, message);
            }
            return (Who::Named(name.unwrap_or(id)), scopes);
        }
        let arn = field("arn").or_else(|| short.clone().filter(|it| it.starts_with("arn:")));
        let named = field("name").or_else(|| short.filter(|it| !it.starts_with("arn:")));
        let last = |arn: &String| arn.rsplit([':', '/']).next().unwrap_or_default().to_owned();
        let name = named.clone().or_else(|| arn.as_ref().map(last)).unwrap_or_else(|| "authorizer".into());
        let is_pool =
            kind == "COGNITO_USER_POOLS" || arn.as_ref().is_some_and(|arn| arn.contains(":cognito-idp:"));
        let source = field("identitySource").unwrap_or_else(|| "method.request.header.Authorization".into());
        let mut made = build::map([("identitySource", build::text(source, span))], span);
        let copied = [
            ("resultTtlInSeconds", "authorizerResultTtlInSeconds"),
            ("identityValidationExpression", "identityValidationExpression"),
        ];
        for (from, to) in copied {
            if let Some(value) = given.get(from) {
                build::put(&mut made, to, value.clone());
            }
        }
        let kind = if is_pool {
            "cognito_user_pools"
        } else if kind == "REQUEST" {
            "request"
        } else {
            "token"
        };
        let arn = arn.unwrap_or_else(|| self.arn(&name));
        if is_pool {
            build::put(&mut made, "providerARNs", build::list(vec![build::text(arn, span)], span));
        } else {
            let uri = functions::invocation(&arn, &self.assembly.options.variables);
            build::put(&mut made, "authorizerUri", build::text(uri, span));
        }
        (Who::Of(name, Box::new(rest::authorizer_scheme(kind, made, None, span))), scopes)
    }
}

pub(super) fn typed(kind: &str, uri: Option<&str>, method: &str, span: &Span) -> Node {
    let mut made =
        build::map([("type", build::text(kind, span)), ("httpMethod", build::text(method, span))], span);
    if let Some(uri) = uri {
        build::put(&mut made, "uri", build::text(uri, span));
    }
    made
}

/// An integration that hands over a template's text and chooses the status by the error's.
fn lambda(uri: &str, given: &Node, span: &Span) -> Node {
    let mut made = typed("aws", Some(uri), "POST", span);
    let template = build::text(LAMBDA_TEMPLATE, span);
    let form = build::text(
        LAMBDA_TEMPLATE.replace("$input.json('$')", "\"$util.escapeJavaScript($input.body)\""),
        span,
    );
    let templates = [("application/json", template), ("application/x-www-form-urlencoded", form)];
    build::put(&mut made, "requestTemplates", build::map(templates, span));
    build::put(&mut made, "passthroughBehavior", build::text("NEVER", span));
    let mut responses = responses(given, span);
    if given.get("response").and_then(|it| it.get("statusCodes")).is_none() {
        for status in STATUS_CODES {
            let value = build::map([("statusCode", build::text(status.to_string(), span))], span);
            build::put(&mut responses, format!(r"[\s\S]*\[{status}\][\s\S]*"), value);
        }
    }
    build::put(&mut made, "responses", responses);
    made
}

/// `response.{headers, template, statusCodes, contentHandling}`, and who may read the answer.
fn responses(event: &Node, span: &Span) -> Node {
    let given = event.get("response");
    let mut made = build::map::<&str>([], span);
    let field = |key: &str| given.and_then(|it| it.get(key));
    let cors = event.get("cors").filter(|it| build::scalar(it).as_deref() != Some("false"));
    let allowed = cors.map(|it| format!("'{}'", preflight::origins(it).join(",")));
    let parameters = |headers: Option<&Node>| {
        let own = entries(headers).iter();
        let own = own.map(|entry| (format!("method.response.header.{}", entry.key), entry.value.clone()));
        let allowed = allowed.as_ref().map(|origin| {
            ("method.response.header.Access-Control-Allow-Origin".to_owned(), build::text(&**origin, span))
        });
        build::map(allowed.into_iter().chain(own), span)
    };
    let handled = |mut response: Node| {
        if let Some(handling) = field("contentHandling") {
            build::put(&mut response, "contentHandling", handling.clone());
        }
        response
    };
    let templates = |template: Option<&Node>| {
        template.map(|template| match &template.value {
            Value::Map(_) => template.clone(),
            _ => build::map([("application/json", template.clone())], span),
        })
    };
    let codes = entries(field("statusCodes"));
    for Entry { key, value, .. } in codes {
        let mut response = build::map([("statusCode", build::text(key.to_string(), span))], span);
        build::put(
            &mut response,
            "responseParameters",
            parameters(value.get("headers").or_else(|| field("headers"))),
        );
        if let Some(templates) = templates(value.get("template").or_else(|| field("template"))) {
            build::put(&mut response, "responseTemplates", templates);
        }
        let pattern = value.get("pattern").and_then(build::scalar).filter(|it| !it.is_empty());
        build::put(&mut made, pattern.unwrap_or_else(|| "default".into()), handled(response));
    }
    if codes.is_empty() {
        let mut response = build::map([("statusCode", build::text("200", span))], span);
        build::put(&mut response, "responseParameters", parameters(field("headers")));
        if let Some(templates) = templates(field("template")) {
            build::put(&mut response, "responseTemplates", templates);
        }
        build::put(&mut made, "default", handled(response));
    }
    made
}

/// What a method may answer: what its integration does.
pub(super) fn method_responses(integration: &Node, span: &Span) -> Node {
    let mut made = build::map::<&str>([], span);
    for Entry { value, .. } in entries(integration.get("responses")) {
        let status = value.get("statusCode").and_then(build::scalar).unwrap_or_else(|| "200".into());
        let mut response =
            build::map([("description", build::text(format!("{status} response"), span))], span);
        let headers = entries(value.get("responseParameters")).iter().filter_map(|entry| {
            let name = entry.key.strip_prefix("method.response.header.")?;
            let schema = build::map([("type", build::text("string", span))], span);
            Some((name.to_owned(), build::map([("schema", schema)], span)))
        });
        let headers = build::map(headers, span);
        if !entries(Some(&headers)).is_empty() {
            build::put(&mut response, "headers", headers);
        }
        build::put(&mut made, status, response);
    }
    made
}

/// `request.{parameters, schemas}`, and the variables of the path.
fn requests(
    draft: &mut Draft,
    operation: &mut Node,
    integration: &mut Node,
    request: Option<&Node>,
    path: &str,
    span: &Span,
) {
    let mut parameters: Vec<(&str, String, bool)> = Vec::new();
    let variables = path.split('/').filter_map(|it| it.strip_prefix('{')?.strip_suffix('}'));
    parameters.extend(variables.map(|it| ("path", it.trim_end_matches('+').to_owned(), true)));
    let given = request.and_then(|it| it.get("parameters"));
    for (group, place) in [("querystrings", "query"), ("headers", "header"), ("paths", "path")] {
        for Entry { key, value, .. } in entries(given.and_then(|it| it.get(group))) {
            let required = value.get("required").and_then(build::scalar).or_else(|| build::scalar(value));
            let required = required.is_some_and(|it| it == "true") || place == "path";
            if !parameters.iter().any(|(at, name, _)| *at == place && **name == **key) {
                parameters.push((place, key.to_string(), required));
            }
            if let Some(mapped) = value.get("mappedValue") {
                let group = if place == "query" { "querystring" } else { place };
                let to = build::child(integration, "requestParameters", span);
                build::put(to, format!("integration.request.{group}.{key}"), mapped.clone());
            }
        }
    }
    let is_http = integration.get("type").and_then(build::scalar).is_some_and(|it| it.starts_with("http"));
    if is_http {
        // The framework maps them by itself, so that the URL may name them.
        for (place, name, _) in parameters.iter().filter(|(place, ..)| *place == "path") {
            let to = build::child(integration, "requestParameters", span);
            let source = build::text(format!("method.request.{place}.{name}"), span);
            build::put(to, format!("integration.request.{place}.{name}"), source);
        }
    }
    let is_checked = parameters.iter().any(|(place, _, required)| *place != "path" && *required);
    let made = parameters.into_iter().map(|(place, name, required)| {
        let schema = build::map([("type", build::text("string", span))], span);
        let fields = [
            ("name", build::text(name, span)),
            ("in", build::text(place, span)),
            ("required", build::truth(required, span)),
            ("schema", schema),
        ];
        build::map(fields, span)
    });
    let made: Vec<_> = made.collect();
    if !made.is_empty() {
        build::put(operation, "parameters", build::list(made, span));
    }
    let mut content = build::map::<&str>([], span);
    for Entry { key, value, .. } in
        entries(request.and_then(|it| it.get("schemas").or_else(|| it.get("schema"))))
    {
        // A name is that of one that the provider has, under its key there.
        let known = |key: String| draft.models.get(&key).cloned().unwrap_or(key);
        let given_name =
            build::scalar(value).map(known).or_else(|| value.get("name").and_then(build::scalar));
        let name = given_name.unwrap_or_else(|| {
            let letters = path.chars().chain(key.chars()).filter(char::is_ascii_alphanumeric);
            format!("Model{}", letters.collect::<String>())
        });
        if build::scalar(value).is_none() {
            draft.component("schemas", &name, value.get("schema").unwrap_or(value).clone());
        }
        let reference =
            build::map([("$ref", build::text(format!("#/components/schemas/{name}"), span))], span);
        build::put(&mut content, key.clone(), build::map([("schema", reference)], span));
    }
    let has_models = !entries(Some(&content)).is_empty();
    if has_models {
        build::put(operation, "requestBody", build::map([("content", content)], span));
    }
    if has_models || is_checked {
        let name = "body-and-params";
        let both = [
            ("validateRequestBody", build::truth(true, span)),
            ("validateRequestParameters", build::truth(true, span)),
        ];
        let validators = build::child(&mut draft.document, "x-amazon-apigateway-request-validators", span);
        build::put(validators, name, build::map(both, span));
        build::put(operation, "x-amazon-apigateway-request-validator", build::text(name, span));
    }
}
