//! Integrations as API Gateway describes them, whole routes: from the model through the corridor and back.

use model::{
    Declared, Integration, IntegrationResponse, IntegrationType, Kind, MethodResponse, RequestParameter,
};

use super::*;

fn integration(kind: IntegrationType, uri: Option<&str>) -> Declared {
    Declared { uri: uri.map(Into::into), ..Declared::new(kind) }
}

fn response(pattern: Option<&str>, status: u16) -> IntegrationResponse {
    IntegrationResponse {
        selection_pattern: pattern.map(Into::into),
        status,
        parameters: Vec::new(),
        templates: Vec::new(),
        content_handling: None,
        origin: None,
    }
}

/// A REST API's stage `$default` with the one method `ANY /pets/{id}`.
fn rest(declared: Declared) -> model::Model {
    let mut method = route("ANY /pets/{id}");
    method.integration = Integration::Declared(Box::new(declared));
    let declares = |place, name: &str| RequestParameter { place, name: name.into(), required: false };
    method.request.parameters =
        vec![declares(model::ParameterPlace::Path, "id"), declares(model::ParameterPlace::Header, "X-Token")];
    method.responses =
        vec![MethodResponse { status: 200, headers: vec![("X-Pet".into(), false)], models: Vec::new() }];
    let mut model = model(Kind::Rest, vec![method]);
    model.upstreams.clear();
    model.apis[0].stages[0].variables = vec![("host".into(), "backend.example".into())];
    model
}

fn text(body: &Body) -> &str {
    match body {
        Body::Empty => "",
        Body::Whole(bytes) => std::str::from_utf8(bytes).unwrap(),
        Body::Stream(_) => "streams",
    }
}

/// What the client of a model gets: status, `x-amzn-ErrorType`, body.
#[track_caller]
fn check(model: &model::Model, asked: Request, backend: Backend, expected: (u16, &str, &str)) -> Response {
    let snapshot = snapshot(model);
    let core = fake(backend);
    let mut asked = asked;
    let (_, response) = run(&snapshot, &mut asked, &core);
    let kind = response.headers.find("x-amzn-errortype").unwrap_or_default();
    let got = (response.status, std::str::from_utf8(kind).unwrap(), text(&response.body));
    assert_eq!(got, expected);
    response
}

type Backend = fn(&Request) -> Result<Response, Reason>;

/// Says what it was asked.
fn echo(request: &Request) -> Result<Response, Reason> {
    let query = request.target.query().map_or_else(String::new, |query| format!("?{query}"));
    let token =
        request.headers.find("x-to").map_or_else(String::new, |token| format!(" {}", token.escape_ascii()));
    let line = format!(
        "{} {}{query}{token} {}",
        request.method.as_str(),
        request.target.path(),
        text(&request.body)
    );
    let mut response = Response::with_body(200, "text/plain", Bytes::from(line));
    response.headers.push("Server", b"backend");
    Ok(response)
}

fn sent(text: &str, fields: &[(&str, &str)], body: &'static str) -> Request {
    let mut request = request(text);
    fields.iter().for_each(|(name, value)| request.headers.push(name, value.as_bytes()));
    request.body = Body::Whole(Bytes::from_static(body.as_bytes()));
    request
}

/// Rows 33, 43, 64, 118: the backend is the URI's, with the stage's variables and what is mapped.
#[test]
fn a_proxy_is_passed_whole() {
    let mut proxy =
        integration(IntegrationType::HttpProxy, Some("http://${stageVariables.host}:81/v2/{pet}?fixed=1"));
    proxy.http_method = Some("POST".into());
    proxy.request_parameters = vec![
        ("integration.request.path.pet".into(), "method.request.path.id".into()),
        ("integration.request.header.X-To".into(), "method.request.header.X-Token".into()),
        ("integration.request.querystring.stage".into(), "stageVariables.host".into()),
    ];
    let model = rest(proxy);
    let asked = sent("GET /pets/7?x=1", &[("x-token", "abc")], "hi");
    let expected = (200, "", "POST /v2/7?fixed=1&x=1&stage=backend.example abc hi");
    let response = check(&model, asked, echo, expected);
    assert_eq!(response.headers.find("x-amzn-remapped-server"), Some(&b"backend"[..]));
    let snapshot = snapshot(&model);
    let upstream = snapshot.upstreams[0].as_ref().unwrap();
    let target = &upstream.targets[0];
    assert_eq!((upstream.name.as_str(), target.tls), ("http://backend.example:81", false));
    assert_eq!(
        (target.host.as_str(), target.port, target.authority.as_str()),
        ("backend.example", 81, "backend.example:81")
    );
}

/// Rows 44, 117, 120 to 122.
#[test]
fn http_is_mapped_both_ways() {
    let mut http = integration(IntegrationType::Http, Some("https://backend.example/pets"));
    http.request_templates =
        vec![("application/json".into(), "pet $input.params('id'): $input.json('$.name')".into())];
    let mut found = response(Some("2.."), 200);
    found.templates =
        vec![("application/json".into(), "{\"said\": \"$util.escapeJavaScript($input.body)\"}".into())];
    found.parameters = vec![("method.response.header.X-Pet".into(), "context.resourcePath".into())];
    http.responses = vec![found];
    let model = rest(http);
    let asked = || sent("PUT /pets/7", &[("Content-Type", "application/json")], "{\"name\": \"Rex\"}");
    let expected = (200, "", "{\"said\": \"PUT \\/pets pet 7: \\\"Rex\\\"\"}");
    let answered = check(&model, asked(), echo, expected);
    assert_eq!(answered.headers.find("x-pet"), Some(&b"/pets/{id}"[..]));
    assert_eq!(answered.headers.find("server"), None);
    // Section N.
    let internal = "{\"message\":\"Internal server error\"}";
    check(&model, asked(), |_| Ok(Response::new(404)), (500, "InternalServerErrorException", internal));
    let bad = sent("PUT /pets/7", &[("Content-Type", "application/json")], "{");
    let message = "{\"message\":\"Invalid JSON in request body\"}";
    check(&model, bad, echo, (400, "BadRequestException", message));
    // Row 61.
    let message = "{\"message\":\"Network error communicating with endpoint\"}";
    let unreachable: Backend = |_| Err(Reason::BackendUnreachable);
    check(&model, asked(), unreachable, (504, "InternalServerErrorException", message));
    // Row 60.
    let message = "{\"message\":\"Endpoint request timed out\"}";
    check(&model, asked(), |_| Err(Reason::BackendTimedOut), (504, "InternalServerErrorException", message));
}

#[test]
fn bodies_that_stream_are_gathered_where_somebody_looks_at_them() {
    let mut http = integration(IntegrationType::Http, Some("http://backend.example/"));
    http.request_templates = vec![("application/json".into(), "<$input.body>".into())];
    let mut all = response(None, 200);
    all.templates = vec![("application/json".into(), "[$input.body]".into())];
    http.responses = vec![all];
    let snapshot = snapshot(&rest(http));
    let streams: Backend = |request| {
        assert_eq!(text(&request.body), "<asked>");
        Ok(Response { body: Body::Stream(message::Length::Unknown), ..Response::new(200) })
    };
    let core = fake(streams);
    *core.sent.borrow_mut() = vec!["answered", "asked"];
    let mut asked = request("POST /pets/7");
    asked.body = Body::Stream(message::Length::Known(5));
    let (_, response) = run(&snapshot, &mut asked, &core);
    assert_eq!((response.status, text(&response.body)), (200, "[answered]"));
}

/// Rows 57, 117.
#[test]
fn a_mock_answers_without_a_backend() {
    let mut mock = integration(IntegrationType::Mock, None);
    mock.request_templates = vec![("application/json".into(), "{statusCode: 200}".into())];
    mock.passthrough = model::Passthrough::Never;
    let mut all = response(Some("200"), 200);
    all.templates = vec![("application/json".into(), "$context.stage $stageVariables.host".into())];
    mock.responses = vec![all];
    let model = rest(mock);
    let nobody: Backend = |_| panic!("a mock calls nobody");
    check(&model, request("GET /pets/7"), nobody, (200, "", "$default backend.example"));
    let xml = sent("POST /pets/7", &[("Content-Type", "text/xml")], "<a/>");
    check(&model, xml, nobody, (415, "BadRequestException", "{\"message\":\"Unsupported Media Type\"}"));
}

/// What is wrong with a model: the key and a part of what is said.
#[track_caller]
fn check_mistake(model: &model::Model, key: &str, why: &str) {
    let mut inputs = Inputs {
        read: &|_| Err(std::io::ErrorKind::NotFound.into()),
        leaf: &|_| panic!("no listener of these tests has TLS"),
        tickets: &tls::Tickets::new(),
        slots: &mut Slots::default(),
        before: None,
        generation: 1,
        unix_s: 0,
        progress: progress::Progress::silent(),
    };
    let (snapshot, found) = compile(model, &mut inputs);
    assert!(snapshot.is_none(), "{found:?}");
    let told = found.iter().any(|diagnostic| diagnostic.key == key && diagnostic.message.contains(why));
    assert!(told, "{found:#?}");
}

#[test]
fn what_can_not_be_run_is_refused_by_name() {
    let uri = Some("http://backend.example/");
    let with = |change: fn(&mut Declared)| {
        let mut declared = integration(IntegrationType::HttpProxy, uri);
        change(&mut declared);
        rest(declared)
    };
    let key = |part: &str| format!("ANY /pets/{{id}}: integration.{part}");
    let check =
        |change: fn(&mut Declared), part: &str, why: &str| check_mistake(&with(change), &key(part), why);
    check(|it| it.kind = IntegrationType::Aws, "type", "type `AWS` can't be run");
    check(|it| it.kind = IntegrationType::AwsProxy, "type", "type `AWS_PROXY` can't be run");
    check(|it| it.connection_id = Some("l1".into()), "connection_id", "VPC link `l1`");
    check(|it| it.insecure_skip_verification = true, "insecure_skip_verification", "anybody's");
    check(|it| it.subtype = Some("SQS-SendMessage".into()), "subtype", "`SQS-SendMessage`");
    check(|it| it.timeout = Some(std::time::Duration::from_millis(49)), "timeout", "50 to 300000 ms");
    check(|it| it.uri = None, "uri", "no URI");
    check(|it| it.uri = Some("http://a:0/".into()), "uri", "port");
    check(|it| it.uri = Some("http://a/{b}".into()), "uri", "map `integration.request.path.b`");
    check(
        |it| {
            it.kind = IntegrationType::Http;
            it.request_templates = vec![("a/b".into(), "ok\n#end".into())];
        },
        "request_templates.a/b:2:1",
        "",
    );
    let streamed: fn(&mut Declared) = |it| {
        it.kind = IntegrationType::Http;
        it.streams = true;
    };
    check(streamed, "streams", "`HTTP_PROXY` can");
    let mut of_http_api = with(|it| it.kind = IntegrationType::Http);
    of_http_api.apis[0].kind = Kind::Http;
    check_mistake(&of_http_api, &key("type"), "an HTTP API has no integrations of type `HTTP`");
}

/// Groups of backends are shared by whoever names the same scheme, host and port.
#[test]
fn backends_of_one_address_are_one_group() {
    let mut model = rest(integration(IntegrationType::HttpProxy, Some("http://backend.example/a")));
    let add = |model: &mut model::Model, key: &str, uri: &str| {
        let mut other = route(key);
        other.integration =
            Integration::Declared(Box::new(integration(IntegrationType::HttpProxy, Some(uri))));
        model.apis[0].definition.routes.push(other);
    };
    add(&mut model, "GET /b", "http://Backend.example:80/b");
    add(&mut model, "GET /c", "https://backend.example/c");
    let target = model::Target { tls: false, host: "backend.example".into(), port: 80, origin: None };
    // As the short form names it.
    let short = model::Upstream {
        name: "http://backend.example".into(),
        targets: vec![target],
        ..model::Upstream::default()
    };
    model.upstreams.push(short);
    let names: Vec<_> =
        snapshot(&model).upstreams.iter().flatten().map(|upstream| upstream.name.clone()).collect();
    assert_eq!(names, ["http://backend.example", "https://backend.example"]);
}

/// Row 85: what the integration declares tells what is kept apart.
#[test]
fn cache_key_parameters_tell_answers_apart() {
    let mut proxy = integration(IntegrationType::HttpProxy, Some("http://backend.example/"));
    proxy.cache_key_parameters =
        vec!["method.request.path.id".into(), "method.request.querystring.page".into()];
    let mut model = rest(proxy.clone());
    let method = &mut model.apis[0].definition.routes[0];
    method.cache = Some(cache_for_a_minute());
    let snapshot = snapshot(&model);
    let core = fake(echo);
    let mut ask = |target: &str| {
        let (mut served, _) = run(&snapshot, &mut request(target), &core);
        if let Some(Fate::Keep(keep)) = served.take_fate() {
            let (ticket, stored) = keep.finish().unwrap();
            core.store.borrow_mut().fill(ticket, stored, core.now.get());
        }
        core.calls.get()
    };
    let asked =
        ["GET /pets/7?page=1", "GET /pets/7?page=1&other=1", "GET /pets/7?page=2", "GET /pets/8?page=1"];
    assert_eq!(asked.map(&mut ask), [1, 1, 2, 3]);
    proxy.cache_key_parameters = vec!["method.request.body.id".into()];
    let mut model = rest(proxy);
    model.apis[0].definition.routes[0].cache = Some(cache_for_a_minute());
    check_mistake(&model, "ANY /pets/{id}: cache", "can't tell answers apart");
}

/// Row 129.
#[test]
fn queries_that_are_to_be_escaped_are_refused() {
    let model = rest(integration(IntegrationType::HttpProxy, Some("http://backend.example/")));
    check(
        &model,
        request("GET /pets/7?a=|"),
        echo,
        (400, "BadRequestException", "{\"message\":\"Bad Request\"}"),
    );
    check(&model, request("GET /pets/7?a=%7C"), echo, (200, "", "GET /?a=%7C "));
}

/// Row 33: what a stage does not know is nothing; a host that is nothing can't be called (row 61).
#[test]
fn a_host_that_a_stage_does_not_know() {
    let model = rest(integration(IntegrationType::HttpProxy, Some("http://${stageVariables.none}/")));
    let message = "{\"message\":\"Internal server error\"}";
    check(&model, request("GET /pets/7"), echo, (500, "InternalServerErrorException", message));
}
