//! What texts of APIs in AWS's shape mean: the full form of an integration, models, stages, domains.

use std::time::Duration;

use model::{
    ApiKeySource, Authorization, ContentHandling, Declared, EndpointAccessMode, EndpointType,
    GatewayResponseType, Integration, IntegrationType, IpAddressType, Kind, MethodResponse, ParameterPlace,
    Passthrough, RequestParameter, RequestValidator, RouteKey, RoutingMode,
};

use super::{Table, model};

/// The only API of a text that is one of this kind.
#[track_caller]
fn api(kind: &str, lines: &str) -> model::Api {
    let stage = if kind == "rest" { "[[api.stage]]\nname = \"prod\"\n" } else { "" };
    let lines = lines.replace("#stage\n", stage);
    model(&format!("[[api]]\nname = \"a\"\nkind = \"{kind}\"\n{lines}")).apis.remove(0)
}

/// The only route of a REST API, with these lines and this key.
#[track_caller]
fn route(key: &str, lines: &str) -> model::Route {
    let mut api = api("rest", &format!("#stage\n[[api.route]]\nkey = \"{key}\"\n{lines}"));
    let definition = std::mem::take(&mut api.definition).without_origins();
    definition.routes.into_iter().next().unwrap()
}

#[track_caller]
fn declared(route: &model::Route) -> &Declared {
    match &route.integration {
        Integration::Declared(declared) => declared,
        other => panic!("{other:?}"),
    }
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.into(), value.into())
}

#[test]
fn an_integration_in_full() {
    let route = route(
        "PUT /items/{id}",
        r#"
[api.route.integration]
type = "http"
uri = "https://${stageVariables.host}/stock/{number}?x=1"
http_method = "POST"
timeout = "50ms"
request_parameters = { "integration.request.path.number" = "method.request.path.id", "integration.request.header.y" = "method.request.multivalueheader.Y" }
passthrough = "never"
content_handling = "convert_to_binary"
credentials = "arn:aws:iam::1:role/${stageVariables.role}"
connection_id = "${stageVariables.link}"
cache_key_parameters = ["method.request.path.id", "method.request.querystring.q"]
cache_namespace = "n"
server_name = "b.internal"
insecure_skip_verification = true
http2 = true
request_templates = { "application/json" = '#if(${x})$${HOME}#end', "text/plain" = "b" }
[[api.route.integration.response]]
status = 200
parameters = { "method.response.header.X" = "'a'", "method.response.header.Z" = "context.requestId" }
templates = 'c'
content_handling = "convert_to_text"
[[api.route.integration.response]]
pattern = '4\d\d'
status = 409
"#,
    );
    let expected = Declared {
        http_method: Some("POST".into()),
        uri: Some("https://${stageVariables.host}/stock/{number}?x=1".into()),
        connection_id: Some("${stageVariables.link}".into()),
        credentials: Some("arn:aws:iam::1:role/${stageVariables.role}".into()),
        timeout: Some(Duration::from_millis(50)),
        insecure_skip_verification: true,
        server_name: Some("b.internal".into()),
        http2: true,
        request_parameters: vec![
            pair("integration.request.path.number", "method.request.path.id"),
            pair("integration.request.header.y", "method.request.multivalueheader.Y"),
        ],
        request_templates: vec![pair("application/json", "#if(${x})${HOME}#end"), pair("text/plain", "b")],
        passthrough: Passthrough::Never,
        content_handling: Some(ContentHandling::ConvertToBinary),
        cache_key_parameters: vec!["method.request.path.id".into(), "method.request.querystring.q".into()],
        cache_namespace: Some("n".into()),
        responses: vec![
            model::IntegrationResponse {
                selection_pattern: None,
                status: 200,
                parameters: vec![
                    pair("method.response.header.X", "'a'"),
                    pair("method.response.header.Z", "context.requestId"),
                ],
                templates: vec![pair("application/json", "c")],
                content_handling: Some(ContentHandling::ConvertToText),
                origin: None,
            },
            model::IntegrationResponse {
                selection_pattern: Some(r"4\d\d".into()),
                status: 409,
                parameters: Vec::new(),
                templates: Vec::new(),
                content_handling: None,
                origin: None,
            },
        ],
        ..Declared::new(IntegrationType::Http)
    };
    assert_eq!(declared(&route), &expected);
}

/// What AWS wants to be said twice (rows 118, 121) is said once, or not at all.
#[test]
fn what_mappings_take_and_answers_come_to_need_not_be_said() {
    let lines = r#"
[api.route.integration]
type = "http"
uri = "http://a/{n}"
request_parameters = { "integration.request.path.n" = "method.request.path.id", "integration.request.header.y" = "method.request.multivalueheader.Y", "integration.request.querystring.z" = "'1'" }
cache_key_parameters = ["method.request.path.id", "method.request.querystring.q"]
[[api.route.integration.response]]
status = 200
parameters = { "method.response.header.X" = "'a'" }
[[api.route.integration.response]]
pattern = "4.."
status = 200
parameters = { "method.response.header.X" = "'a'", "method.response.header.Y" = "'b'" }
"#;
    let implied = route("GET /{id}", lines);
    let parameter = |place, name: &str| RequestParameter { place, name: name.into(), required: false };
    assert_eq!(
        implied.request.parameters,
        [
            parameter(ParameterPlace::Path, "id"),
            parameter(ParameterPlace::Header, "Y"),
            parameter(ParameterPlace::QueryString, "q"),
        ]
    );
    let headers = vec![("X".into(), false), ("Y".into(), false)];
    assert_eq!(implied.responses, [MethodResponse { status: 200, headers, models: Vec::new() }]);
    let said = route("GET /{id}", &format!("parameters = {{}}\nresponse = []\n{lines}"));
    assert_eq!((said.request.parameters.len(), said.responses.len()), (0, 0));
}

/// A `url` has the variables of the route, also where AWS wants a mapping for each.
#[test]
fn urls_of_the_full_form() {
    let check = |kind: &str, url: &str, expected: &[&str]| {
        let lines = format!(
            "#stage\n[[api.route]]\nkey = \"ANY /x/{{id}}/{{rest+}}\"\nintegration = {{ type = \"http_proxy\", {url} }}\n"
        );
        let api = api(kind, &lines);
        let declared = declared(&api.definition.routes[0]);
        assert_eq!(declared.kind, IntegrationType::HttpProxy);
        assert!(url.contains(declared.uri.as_ref().unwrap()), "{declared:?}");
        let mapped: Vec<_> =
            declared.request_parameters.iter().map(|(to, from)| format!("{to} {from}")).collect();
        assert_eq!(mapped, expected, "{url}");
    };
    let id = "integration.request.path.id method.request.path.id";
    check("rest", "url = \"http://b/{id}\", timeout = \"1s\"", &[id]);
    check(
        "rest",
        "url = \"http://b/{id}/{rest}?q\", timeout = \"300s\"",
        &[id, "integration.request.path.rest method.request.path.rest"],
    );
    check("rest", "url = \"http://${stageVariables.b}/{id}\"", &[id]);
    check("rest", "url = \"https://b-${stageVariables.b}.c:1${stageVariables.d}/e\"", &[]);
    check("http", "url = \"http://b/{id}\", timeout = \"1s\"", &[]);
    check("http", "url = \"http://${stageVariables.b}/{id}\"", &[]);
    check("rest", "uri = \"http://b/{anything}\"", &[]);
}

/// The short forms stay what they are.
#[test]
fn short_forms() {
    let short = |lines: &str| matches!(route("GET /", lines).integration, Integration::Declared(_));
    assert!(!short("integration = { type = \"http_proxy\", url = \"http://a\", http2 = true }"));
    assert!(!short("integration = { type = \"mock\" }"));
    assert!(short("integration = { type = \"http\", url = \"http://a\" }"));
    assert!(short("integration = { type = \"mock\", passthrough = \"when_no_match\" }"));
    assert!(short("integration = { type = \"aws\", uri = \"arn:x\" }"));
}

#[test]
fn integrations_of_http_apis() {
    let api = api(
        "http",
        r#"
[[api.route]]
key = "$default"
[api.route.integration]
type = "aws_proxy"
subtype = "SQS-SendMessage"
payload_format_version = "1.0"
request_parameters = { "append:header.a" = "$request.header.b ${context.requestId}" }
[api.route.integration.response_parameters]
404 = { "overwrite:statuscode" = "410" }
500 = { "remove:header.a" = "''", "append:header.b" = "$response.header.c" }
"#,
    );
    let declared = declared(&api.definition.routes[0]);
    assert_eq!(declared.subtype.as_deref(), Some("SQS-SendMessage"));
    assert_eq!(declared.payload_format_version.as_deref(), Some("1.0"));
    assert_eq!(
        declared.request_parameters,
        [pair("append:header.a", "$request.header.b ${context.requestId}")]
    );
    assert_eq!(
        declared.response_parameters,
        [
            (404, vec![pair("overwrite:statuscode", "410")]),
            (500, vec![pair("remove:header.a", "''"), pair("append:header.b", "$response.header.c")]),
        ]
    );
}

#[test]
fn what_a_method_says_of_its_requests() {
    let api = api(
        "rest",
        r##"
[[api.model]]
name = "Pet"
schema = "${file:pet.json}"
[[api.validator]]
name = "mine"
parameters = true
[[api.authorizer]]
name = "users"
type = "token"
uri = "arn:x"
ttl = "0s"
identity_sources = ["method.request.header.Authorization"]
#stage
[[api.route]]
key = "POST /pets/{id}"
operation_name = "postPet"
authorization = { authorizer = "users", scopes = ["a", "b"] }
api_key_required = true
parameters = { "path.id" = "required", "method.request.querystring.q" = "optional", "header.X-A" = "required" }
request_models = "Pet"
validate = "all"
integration.type = "mock"
[[api.route.response]]
status = 200
headers = { x-a = "required", x-b = "optional" }
models = { "text/x" = "Empty" }
[[api.route]]
key = "GET /pets/{id}"
authorization = "aws_iam"
validator = "mine"
request_models = { "application/json" = "Pet", "$default" = "Error" }
integration.type = "mock"
[[api.route]]
key = "PUT /pets/{id}"
validate = "all"
integration.type = "mock"
"##
        .replace("${file:pet.json}", "{}")
        .as_str(),
    );
    let definition = api.definition.without_origins();
    let [post, get, put] = &definition.routes[..] else { panic!("three") };
    let authorizer = Authorization::Authorizer { name: "users".into(), scopes: vec!["a".into(), "b".into()] };
    assert_eq!((&post.authorization, &get.authorization), (&authorizer, &Authorization::AwsIam));
    assert_eq!((post.operation_name.as_deref(), post.api_key_required), (Some("postPet"), true));
    let parameter = |place, name: &str, required| RequestParameter { place, name: name.into(), required };
    assert_eq!(
        post.request.parameters,
        [
            parameter(ParameterPlace::Path, "id", true),
            parameter(ParameterPlace::QueryString, "q", false),
            parameter(ParameterPlace::Header, "X-A", true),
        ]
    );
    assert_eq!(post.request.models, [pair("application/json", "Pet")]);
    assert_eq!(get.request.models, [pair("application/json", "Pet"), pair("$default", "Error")]);
    let headers = vec![("x-a".into(), true), ("x-b".into(), false)];
    let expected = MethodResponse { status: 200, headers, models: vec![pair("text/x", "Empty")] };
    assert_eq!(post.responses, [expected]);
    let validators = [&post.request.validator, &get.request.validator, &put.request.validator];
    assert_eq!(validators.map(|it| it.as_deref().unwrap()), ["all", "mine", "all"]);
    let validator =
        |name: &str, body, parameters| RequestValidator { name: name.into(), body, parameters, origin: None };
    assert_eq!(definition.validators, [validator("mine", false, true), validator("all", true, true)]);
    assert_eq!(definition.authorizers[0].result_ttl_s, Some(0));
    assert_eq!(definition.models[0].content_type, "application/json");
}

#[test]
fn what_an_api_says_of_itself() {
    let api = api(
        "rest",
        r#"
id = "abcdefghi1"
description = "d"
version = "v"
endpoint = "private"
vpc_endpoint_ids = ["vpce-1"]
disable_default_endpoint = true
endpoint_access_mode = "strict"
binary_media_types = ["image/png", "*/*"]
minimum_compression = "10MiB"
api_key_source = "authorizer"
policy = '{"a":"${x}"}'
tags = { a = "b" }
resources = ["/a/b"]
cors = "*"
#stage
[[api.gateway_response]]
type = "default_4xx"
status = 418
parameters = { "gatewayresponse.header.a" = "'b'" }
templates = '{"m":$context.error.messageString}'
[[api.documentation]]
location = "query_parameter"
path = "/a"
name = "q"
properties = "{}"
[[api.route]]
key = "GET /"
integration.type = "mock"
"#,
    );
    assert_eq!((&*api.id, api.endpoint), ("abcdefghi1", EndpointType::Private));
    assert_eq!(api.ip_address_type, IpAddressType::Dualstack, "row 15");
    let definition = api.definition.without_origins();
    assert_eq!(definition.minimum_compression_bytes, Some(10_485_760));
    assert_eq!(definition.api_key_source, ApiKeySource::Authorizer);
    assert_eq!(definition.policy.as_deref(), Some(r#"{"a":"${x}"}"#));
    assert_eq!(definition.resources, ["/a/b"]);
    assert_eq!(definition.endpoint_access_mode, EndpointAccessMode::Strict, "row 13");
    let cors = definition.cors.unwrap();
    assert_eq!([cors.allow_origins, cors.allow_methods, cors.allow_headers], [["*"], ["*"], ["*"]]);
    let [response] = &definition.gateway_responses[..] else { panic!("one") };
    assert_eq!((response.kind, response.status), (GatewayResponseType::Default4xx, Some(418)));
    assert_eq!(response.templates, [pair("application/json", r#"{"m":$context.error.messageString}"#)]);
    assert_eq!(definition.documentation[0].location, "QUERY_PARAMETER");
}

#[test]
fn stages_and_their_canaries() {
    let api = api(
        "rest",
        r#"
[[api.stage]]
name = "prod"
description = "d"
auto_deploy = false
variables = { a = "b:1", c = "d" }
documentation_version = "1"
cors = { allow_origins = ["https://a"] }
[[api.stage.method]]
key = "GET /"
throttle = { rate = "1/s" }
cache = "0s"
[api.stage.canary]
percent = 2.5
variables = { a = "e" }
use_stage_cache = true
[api.stage.canary.judge]
promote_after = "1h"
error_rate_max = 1
[[api.route]]
key = "GET /"
integration.type = "mock"
"#,
    );
    let [stage] = &api.stages[..] else { panic!("one") };
    assert!(!stage.auto_deploy);
    assert_eq!(stage.variables, [pair("a", "b:1"), pair("c", "d")]);
    assert_eq!(stage.cors.as_ref().unwrap().allow_origins, ["https://a"]);
    let [settings] = &stage.method_settings[..] else { panic!("one") };
    assert_eq!(settings.key, RouteKey::Path { method: Some("GET".into()), path: "/".into() });
    assert_eq!(settings.cache.as_ref().map(|cache| cache.ttl), Some(Duration::ZERO));
    let canary = stage.canary.as_ref().unwrap();
    assert_eq!((canary.percent, canary.use_stage_cache), (2.5, true));
    let judge = canary.judge.as_ref().unwrap();
    assert_eq!((judge.requests_min, judge.error_rate_max, judge.latency_p99_max), (100, Some(1.0), None));
}

#[test]
fn domains_and_their_rules() {
    let model = model(
        r#"
[[api]]
name = "a"
kind = "rest"
[[api.stage]]
name = "prod"
[[api.route]]
key = "GET /"
integration.type = "mock"
[[domain]]
name = "*.Example.com"
routing_mode = "rule_then_mapping"
health = false
endpoint_access_mode = "strict"
[[domain.rule]]
priority = 1000000
headers = { X-V = "2*", y = "z" }
base_paths = ["v1", "v2/b"]
api = "a"
stage = "prod"
strip_base_path = true
"#,
    );
    let [domain] = &model.domains[..] else { panic!("one") };
    assert_eq!((&*domain.name, domain.routing_mode), ("*.example.com", RoutingMode::RuleThenMapping));
    assert!(!domain.health);
    assert_eq!(domain.endpoint_access_mode, EndpointAccessMode::Strict, "row 13");
    let [rule] = &domain.rules[..] else { panic!("one") };
    assert_eq!((rule.priority, rule.strip_base_path), (1_000_000, true));
    assert_eq!(rule.headers, [pair("X-V", "2*"), pair("y", "z")]);
    assert_eq!(rule.base_paths, ["v1", "v2/b"]);
    assert_eq!((&*rule.api, &*rule.stage), ("a", "prod"));
}

/// Templates and schemas may stand in files of their own, whatever is in them.
#[test]
fn texts_from_files() {
    let text = "[[api]]\nname = \"a\"\nkind = \"rest\"\n[[api.stage]]\nname = \"s\"\n[[api.route]]\nkey = \"GET /\"\nintegration = { type = \"mock\", request_templates = \"${file:t.vtl}\" }\n";
    let environment = Table::default().file("e/f.toml", text).file("e/t.vtl", "${x} ${HOME} $${y}\r\n");
    let outcome = crate::load("e/f.toml".as_ref(), &environment);
    let api = outcome.model.unwrap().apis.remove(0);
    assert_eq!(api.kind, Kind::Rest);
    let declared = declared(&api.definition.routes[0]);
    assert_eq!(declared.request_templates, [pair("application/json", "${x} ${HOME} $${y}")]);
}

/// Row 42.
#[test]
fn a_clone_has_the_definition_of_another_and_its_own_stages() {
    let text = r##"
[[api]]
name = "copy"
kind = "rest"
clone_from = "shop"
version = "2"
hosts = ["copy"]
[[api.stage]]
name = "dev"
[[api]]
name = "shop"
kind = "rest"
description = "what is sold"
version = "1"
binary_media_types = ["image/png"]
hosts = ["shop"]
[[api.stage]]
name = "prod"
[[api.model]]
name = "Pet"
schema = "{}"
[[api.route]]
key = "GET /"
integration.type = "mock"
"##;
    let model = model(text);
    let [copy, shop] = &model.apis[..] else { panic!("two") };
    let expected = model::Definition { version: Some("2".into()), ..shop.definition.clone() };
    assert_eq!(copy.definition, expected);
    assert_eq!((copy.definition.routes.len(), copy.definition.models.len()), (1, 1));
    assert_eq!((&*copy.stages[0].name, copy.stages.len()), ("dev", 1));
    assert_ne!(copy.id, shop.id);
}
