use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use message::{PathRules, RequestId, Target, context::Failure};
use proptest::prelude::*;

use super::*;

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

/// Kind, status, parameters, templates.
type Said<'a> = (ResponseType, Option<u16>, &'a [(&'a str, &'a str)], &'a [(&'a str, &'a str)]);

fn responses(list: &[Said<'_>]) -> GatewayResponses {
    let mut responses = GatewayResponses::default();
    for (kind, status, parameters, templates) in list {
        let (parameters, templates) = (pairs(parameters), pairs(templates));
        let settings =
            Settings { kind: *kind, status: *status, parameters: &parameters, templates: &templates };
        assert_eq!(responses.add(&settings), Ok(Vec::new()));
    }
    responses
}

/// What a request for `/pets/cat%20x?q=1&q=2` with these fields is told when it is throttled: status, fields, body.
fn told(responses: &GatewayResponses, fields: &[(&str, &str)]) -> (u16, Vec<(String, String)>, String) {
    let mut request = Request {
        target: Target::parse(b"/pets/cat%20x?q=1&q=2", PathRules::default()).unwrap(),
        ..Request::default()
    };
    for (name, value) in fields {
        request.headers.push(name, value.as_bytes());
    }
    let values = Values {
        account_id: "123456789012",
        api_id: "abc",
        stage: "prod",
        route_key: "GET /pets/{id}",
        resource_path: "/pets/{id}",
        resource_id: "",
        deployment_id: "",
        is_canary: None,
        base_path: None,
        method: "GET",
        path: "/prod/pets/cat%20x",
        host: "a.example",
        protocol: "HTTP/1.1",
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        user_agent: b"",
        request_id: RequestId::new([0x11; 16]),
        extended_request_id: b"",
        begun_unix_ns: 0,
        failure: Some(Failure { message: "Too \"Many\"", response_type: "THROTTLED", validation: "" }),
        ended: None,
    };
    let mut response = Response::with_body(429, "application/json", Bytes::from_static(b"built-in"));
    let variables = pairs(&[("color", "blue")]);
    let names = ["id".to_owned()];
    let mut asked = Asked::default();
    responses.ask(&Request::default(), &[], &[], &mut asked);
    responses.ask(&request, &names, &[(6, 13)], &mut asked);
    // What an integration makes of it is nothing to the answer.
    request.clear();
    let material = Material { values: &values, stage_variables: &variables, asked: &asked };
    if let Some(custom) = responses.find(ResponseType::Throttled, 429) {
        let (mut value, mut bodies) = (b"another's".to_vec(), Bodies::default());
        custom.write(&material, &mut response, (&mut value, &mut bodies));
    }
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let fields = response.headers.iter().map(|field| (text(field.text), text(field.value))).collect();
    let Body::Whole(body) = &response.body else { panic!("{response:?}") };
    (response.status, fields, text(body))
}

/// Row 127: the kind's own words, else its class's, else the built-in ones; one of them whole.
#[test]
fn the_kind_comes_before_its_class() {
    use ResponseType::{Default4xx, Default5xx, Throttled};
    let json: &[(&str, &str)] = &[("application/json", "own")];
    let class: &[(&str, &str)] = &[("application/json", "class")];
    let field: &[(&str, &str)] = &[("gatewayresponse.header.X", "'1'")];
    let told = |list: &[_]| {
        let (status, fields, body) = told(&responses(list), &[]);
        (status, fields.len(), body)
    };
    assert_eq!(told(&[]), (429, 1, "built-in".into()));
    assert_eq!(told(&[(Default5xx, Some(400), &[], class)]), (429, 1, "built-in".into()));
    assert_eq!(told(&[(Default4xx, None, &[], class)]), (429, 1, "class".into()));
    assert_eq!(told(&[(Default4xx, Some(418), field, &[])]), (418, 2, "built-in".into()));
    assert_eq!(
        told(&[(Default4xx, Some(418), field, class), (Throttled, None, &[], json)]),
        (429, 1, "own".into())
    );
    assert_eq!(
        told(&[(Default4xx, None, field, class), (Throttled, Some(503), &[], &[])]),
        (503, 1, "built-in".into())
    );
    // Row 126: it can't be changed.
    let all =
        responses(&[(Default4xx, Some(418), &[], &[]), (ResponseType::RequestTooLarge, Some(418), &[], &[])]);
    assert!(all.find(ResponseType::RequestTooLarge, 413).is_none());
}

#[track_caller]
fn check(template: &str, expected: &str) {
    let responses = responses(&[(ResponseType::Throttled, None, &[], &[("application/json", template)])]);
    assert_eq!(told(&responses, &[("X-Tenant", "t1")]).2, expected, "{template}");
}

/// Row 127: plain substitution, and nothing of VTL.
#[test]
fn templates_are_plain_substitution() {
    check(r#"{"message":$context.error.messageString}"#, r#"{"message":"Too \"Many\""}"#);
    check("$context.error.responseType/${context.stage}.", "THROTTLED/prod.");
    check("$stageVariables.color$stageVariables.none|", "blue|");
    check("$method.request.header.x-tenant ${method.request.querystring.q}", "t1 1");
    check("$method.request.path.id $method.request.path.other", "cat%20x ");
    check(
        "$context.identity.sourceIp, $context.requestId",
        "127.0.0.1, 11111111-1111-4111-9111-111111111111",
    );
    for plain in ["#set($x = 1)$x", "$", "${context.stage", "$contextual", "$input.body", "5$ $$", "$context"]
    {
        check(plain, plain);
    }
    check("$context.authorizer.claims.sub-", "-");
    check("$context.httpMethod $context.path $context.identity.userAgent", "GET /pets/cat%20x ");
}

/// Row 127: how people add CORS to errors.
#[test]
fn fields_are_taken_from_anywhere() {
    let set = |source: &str, fields: &[(&str, &str)]| {
        let parameters: &[(&str, &str)] = &[("gatewayresponse.header.X-Y", source)];
        let told = told(&responses(&[(ResponseType::Throttled, None, parameters, &[])]), fields);
        told.1.into_iter().find(|(name, _)| name == "X-Y").map(|(_, value)| value)
    };
    assert_eq!(set("'*'", &[]).as_deref(), Some("*"));
    assert_eq!(set("''", &[]).as_deref(), Some(""));
    assert_eq!(set("context.error.message", &[]).as_deref(), Some("Too \"Many\""));
    assert_eq!(set("stageVariables.color", &[]).as_deref(), Some("blue"));
    assert_eq!(set("method.request.header.Origin", &[("origin", "https://a")]).as_deref(), Some("https://a"));
    assert_eq!(set("method.request.header.Origin", &[]), None);
    assert_eq!(set("method.request.querystring.q", &[]).as_deref(), Some("1"));
    assert_eq!(set("method.request.path.id", &[]).as_deref(), Some("cat%20x"));
    assert_eq!(set("method.request.header.a", &[("a", "x\ty")]).as_deref(), Some("x y"));
    let type_of = |parameters: &[(&str, &str)]| {
        let template: &[(&str, &str)] = &[("text/plain", "x")];
        told(&responses(&[(ResponseType::Throttled, None, parameters, template)]), &[]).1
    };
    assert_eq!(type_of(&[]), pairs(&[("Content-Type", "text/plain")]));
    assert_eq!(
        type_of(&[("gatewayresponse.header.content-type", "'text/html'")]),
        pairs(&[("content-type", "text/html")])
    );
}

#[test]
fn the_client_chooses_among_templates() {
    let templates: &[(&str, &str)] =
        &[("application/xml", "xml"), ("application/json", "json"), ("text/html", "html")];
    let responses = responses(&[(ResponseType::Throttled, None, &[], templates)]);
    for (accept, expected) in [
        ("", "json"),
        ("*/*", "json"),
        ("text/html", "html"),
        ("TEXT/*", "html"),
        ("application/*", "xml"),
        ("image/png", "json"),
        ("application/xml;q=0.5, text/html;q=0.9", "html"),
        ("text/html;q=0, application/xml", "xml"),
        ("text/html;q=NaN", "json"),
        (";;;,,q=,", "json"),
    ] {
        assert_eq!(told(&responses, &[("accept", accept)]).2, expected, "{accept}");
    }
}

#[test]
fn what_is_none_is_refused_by_name() {
    let refused = |parameters: &[(&str, &str)], templates: &[(&str, &str)], status| {
        let (parameters, templates) = (pairs(parameters), pairs(templates));
        let kind = ResponseType::Throttled;
        let settings = Settings { kind, status, parameters: &parameters, templates: &templates };
        GatewayResponses::default().add(&settings).unwrap_err().to_string()
    };
    let target = |text: &str| refused(&[(text, "'x'")], &[], None);
    for text in [
        "gatewayresponse.header.",
        "gatewayresponse.body.x",
        "x",
        "gatewayresponse.header.a b",
        "gatewayresponse.header.Content-Length",
    ] {
        assert!(target(text).starts_with(&format!("`{text}` can't be set")), "{text}");
    }
    for text in
        ["", "x", "'", "'x", "method.request.body", "method.request.header.", "'a\nb'", "context.stage x"]
    {
        let told = refused(&[("gatewayresponse.header.x", text)], &[], None);
        assert!(told.starts_with(&format!("`{text}` is no source")), "{text}: {told}");
    }
    let told = refused(&[("gatewayresponse.header.x", "context.stge")], &[], None);
    assert_eq!(told, "unknown variable `$context.stge`");
    assert_eq!(refused(&[], &[("json", "")], None), "`json` is no media type");
    assert_eq!(refused(&[], &[], Some(199)), "`199` is no status of an answer: write 200 to 599");
    let long = "x".repeat(TEMPLATE_BYTES_MAX + 1);
    assert_eq!(refused(&[], &[("a/b", &long)], None), "a template has at most 307200 bytes, not 307201");
    let mut twice = responses(&[(ResponseType::Throttled, None, &[], &[])]);
    let again = Settings { kind: ResponseType::Throttled, status: None, parameters: &[], templates: &[] };
    assert_eq!(twice.add(&again).unwrap_err().to_string(), "`THROTTLED` is said twice");
}

/// As on AWS; whoever deploys it is told.
#[test]
fn what_a_template_names_in_vain_comes_to_nothing() {
    let mut responses = GatewayResponses::default();
    let templates = pairs(&[(
        "application/json",
        "[$context.stge][${context.rateLimit.limit}][$context.stage][${context.stge]",
    )]);
    let settings =
        Settings { kind: ResponseType::Throttled, status: None, parameters: &[], templates: &templates };
    let unknown = responses.add(&settings).unwrap();
    let unknown: Vec<_> = unknown.iter().map(|it| (it.name.as_str(), it.nearest)).collect();
    assert_eq!(unknown, [("stge", Some("stage")), ("rateLimit.limit", None)]);
    assert_eq!(told(&responses, &[]).2, "[][][prod][${context.stge]");
}

/// What a template comes to has an end, whatever the client sends; beyond it the built-in answer stays.
#[test]
fn long_answers_stay_built_in() {
    let template = "$method.request.header.x".repeat(10_000);
    let templates: &[(&str, &str)] = &[("application/json", &template)];
    let responses = responses(&[(ResponseType::Throttled, Some(418), &[], templates)]);
    assert_eq!(told(&responses, &[("x", &"y".repeat(100))]).2.len(), 1_000_000);
    let (status, _, body) = told(&responses, &[("x", &"y".repeat(200))]);
    assert_eq!((status, &*body), (418, "built-in"));
}

proptest! {
    /// What is no variable stays as it is.
    #[test]
    fn any_text_is_a_template(text in "(\\$|\\{|\\}|context\\.|stage|stageVariables\\.|method\\.request\\.|header\\.|x|ü|\\.){0,16}") {
        let mut unknown = Vec::new();
        let pieces = pieces(&text, &mut Vec::new(), &mut unknown);
        let values = pieces.iter().filter(|piece| matches!(piece, Piece::Value(_))).count();
        prop_assert!(values > 0 || matches!(&pieces[..], [] | [Piece::Text(_)]));
        prop_assert!(values + unknown.len() <= text.matches('$').count());
    }

    #[test]
    fn any_accept_chooses_a_template(accept in "\\PC{0,64}") {
        let templates: &[(&str, &str)] = &[("application/xml", "a"), ("text/html", "b")];
        let responses = responses(&[(ResponseType::Throttled, None, &[], templates)]);
        prop_assert_ne!(told(&responses, &[("accept", &accept)]).2, "built-in");
    }
}
