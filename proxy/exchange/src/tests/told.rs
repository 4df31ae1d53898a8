//! What clients are told: the whole error catalogue (section N), gateway responses (rows 126, 127), ids (row 128), CORS of a
//! REST API's stage (row 136). U: whether a body has blanks behind its colons; ours has none.

use super::*;

/// One cause, and what it comes to: status, `x-amzn-ErrorType` and message of a REST API, status and message of an HTTP API, the
/// kind of gateway response.
struct Row(Reason, (u16, &'static str, &'static str), (u16, &'static str), &'static str);

/// Section N. Rows marked U there are unconfirmed: they are marked here, and nowhere else.
fn catalogue() -> Vec<Row> {
    let forbidden = (403, "ForbiddenException", "Forbidden");
    let unavailable = (503, "ServiceUnavailableException", "Service Unavailable");
    let network = (504, "InternalServerErrorException", "Network error communicating with endpoint");
    let late = (504, "InternalServerErrorException", "Endpoint request timed out");
    let internal = (500, "InternalServerErrorException", "Internal server error");
    let bad_with = |status, message| (status, "BadRequestException", message);
    let bad = |message| bad_with(400, message);
    vec![
        // U, in both.
        Row(Reason::NoApi, forbidden, (403, "Forbidden"), "ACCESS_DENIED"),
        Row(Reason::NoStage, forbidden, (404, "Not Found"), "ACCESS_DENIED"),
        // U.
        Row(Reason::EndpointDisabled, forbidden, (404, "Not Found"), "ACCESS_DENIED"),
        // U, in both.
        Row(Reason::EndpointAccess, forbidden, (403, "Forbidden"), "ACCESS_DENIED"),
        Row(
            Reason::NoRoute,
            (403, "MissingAuthenticationTokenException", "Missing Authentication Token"),
            (404, "Not Found"),
            "MISSING_AUTHENTICATION_TOKEN",
        ),
        // U: the kind.
        Row(
            Reason::IncompleteSignature { message: "what is \"missing\"".into() },
            (403, "IncompleteSignatureException", "what is \\\"missing\\\""),
            (403, "Forbidden"),
            "INVALID_SIGNATURE",
        ),
        Row(
            Reason::Throttled { retry_after_s: 1 },
            (429, "TooManyRequestsException", "Too Many Requests"),
            (429, "Too Many Requests"),
            "THROTTLED",
        ),
        Row(
            Reason::MissingParameters("a, b".into()),
            bad("Missing required request parameters: [a, b]"),
            (400, "Missing required request parameters: [a, b]"),
            "BAD_REQUEST_PARAMETERS",
        ),
        Row(
            Reason::InvalidBody { errors: "[x]".into() },
            bad("Invalid request body"),
            (400, "Invalid request body"),
            "BAD_REQUEST_BODY",
        ),
        // U: the HTTP API's.
        Row(
            Reason::BodyTooLarge { max: 10_485_760 },
            (413, "", "HTTP content length exceeded 10485760 bytes."),
            (413, "Request Entity Too Large"),
            "REQUEST_TOO_LARGE",
        ),
        // U, both of row 135: 431 or 413.
        Row(
            Reason::HeadersTooLarge { max: 10_240 },
            bad_with(431, "Request Header Fields Too Large"),
            (431, "Request Header Fields Too Large"),
            "DEFAULT_4XX",
        ),
        Row(
            Reason::TargetTooLong { max: 10_240 },
            bad_with(414, "URI Too Long"),
            (414, "URI Too Long"),
            "DEFAULT_4XX",
        ),
        Row(Reason::BadRequest, bad("Bad Request"), (400, "Bad Request"), "DEFAULT_4XX"),
        // U: the HTTP API's; and that a refused connection is one of these in a REST API (row 61).
        Row(Reason::BackendUnreachable, network, (503, "Service Unavailable"), "INTEGRATION_FAILURE"),
        Row(Reason::BackendFailed, network, (503, "Service Unavailable"), "INTEGRATION_FAILURE"),
        // U: 503 or 504.
        Row(Reason::BackendTimedOut, late, (504, "Endpoint request timed out"), "INTEGRATION_TIMEOUT"),
        Row(
            Reason::BackendMalformed,
            (502, "InternalServerErrorException", "Internal server error"),
            (500, "Internal Server Error"),
            "INTEGRATION_FAILURE",
        ),
        // U: the HTTP API's.
        Row(
            Reason::InvalidJson,
            bad("Invalid JSON in request body"),
            (400, "Bad Request"),
            "BAD_REQUEST_BODY",
        ),
        Row(
            Reason::UnsupportedMediaType,
            (415, "BadRequestException", "Unsupported Media Type"),
            (415, "Unsupported Media Type"),
            "UNSUPPORTED_MEDIA_TYPE",
        ),
        Row(Reason::ApiConfiguration, internal, (500, "Internal Server Error"), "API_CONFIGURATION_ERROR"),
        Row(Reason::Internal, internal, (500, "Internal Server Error"), "API_CONFIGURATION_ERROR"),
        // Not AWS's own causes, in its words.
        Row(Reason::BackendBusy, unavailable, (503, "Service Unavailable"), "INTEGRATION_FAILURE"),
        Row(Reason::Overloaded, unavailable, (503, "Service Unavailable"), "DEFAULT_5XX"),
    ]
}

fn body_of(response: &Response) -> String {
    let Body::Whole(body) = &response.body else { panic!("{response:?}") };
    String::from_utf8(body.to_vec()).unwrap()
}

fn field<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers.find(name).map(|value| std::str::from_utf8(value).unwrap())
}

#[test]
fn the_error_catalogue() {
    for Row(reason, rest, http, kind) in catalogue() {
        for dialect in [Dialect::Rest, Dialect::Http] {
            let ids = Ids::of(&request("GET /"), dialect, RequestId::new([0x11; 16]));
            let mut response = Response::default();
            crate::answers::refuse(&reason, dialect, &ids, &mut response);
            let (status, error_type, message) = match dialect {
                Dialect::Rest => rest,
                _ => (http.0, "", http.1),
            };
            let is_text = dialect == Dialect::Rest && matches!(reason, Reason::BodyTooLarge { .. });
            let body = if is_text { message.to_owned() } else { format!("{{\"message\":\"{message}\"}}") };
            assert_eq!((response.status, body_of(&response)), (status, body), "{reason:?} {dialect:?}");
            assert_eq!(field(&response, "x-amzn-errortype").unwrap_or_default(), error_type, "{reason:?}");
            let content_type = if is_text { "text/plain" } else { "application/json" };
            assert_eq!(field(&response, "content-type"), Some(content_type));
            let told = crate::answers::told(&reason, dialect);
            assert_eq!((told.status, told.message.replace('"', "\\\"")), (status, message.to_owned()));
        }
        assert_eq!(message::ResponseType::of(&reason).as_str(), kind, "{reason:?}");
    }
}

/// Row 24: whatever stands in `Authorization` is taken for a signature.
#[test]
fn foreign_credentials_where_no_route_is() {
    for (kind, header, status, error_type, begin) in [
        (
            model::Kind::Rest,
            "Bearer x",
            403,
            Some("IncompleteSignatureException"),
            "'x' not a valid key=value pair (missing equal-sign) in Authorization header: 'Bearer x'.",
        ),
        (
            model::Kind::Rest,
            "AWS4-HMAC-SHA256 Credential=x",
            403,
            Some("MissingAuthenticationTokenException"),
            "Missing Authentication Token",
        ),
        (model::Kind::Http, "Bearer x", 404, None, "Not Found"),
    ] {
        let snapshot = snapshot(&model(kind, vec![route("GET /pets")]));
        let mut request = request("GET /cats");
        request.headers.push("Authorization", header.as_bytes());
        let (_, response) = run(&snapshot, &mut request, &fake(hello));
        assert_eq!((response.status, field(&response, "x-amzn-errortype")), (status, error_type), "{header}");
        assert_eq!(body_of(&response), format!("{{\"message\":\"{begin}\"}}"));
    }
}

/// Row 128: a REST API's client may choose the id if it is a UUID; the other id is ours.
#[test]
fn clients_of_rest_apis_may_choose_the_id() {
    const CHOSEN: &str = "aaaaaaaa-bbbb-1ccc-dddd-eeeeeeeeeeee";
    for (kind, chosen, told, logged) in [
        (model::Kind::Rest, CHOSEN, CHOSEN, CHOSEN),
        (model::Kind::Rest, "mine", ID, "UUID_REPLACED_INVALID_REQUEST_ID"),
        (model::Kind::Http, CHOSEN, EXTENDED, EXTENDED),
        (model::Kind::Proxy, CHOSEN, "", ID),
    ] {
        let snapshot = snapshot(&model(kind, vec![route("GET /")]));
        let mut request = request("GET /");
        request.headers.push("X-Amzn-RequestId", chosen.as_bytes());
        let (served, response) = run(&snapshot, &mut request, &fake(hello));
        let name = if kind == model::Kind::Http { "apigw-requestid" } else { "x-amzn-requestid" };
        assert_eq!(field(&response, name).unwrap_or_default(), told, "{kind:?} {chosen}");
        let extended = (kind == model::Kind::Rest).then_some(EXTENDED);
        assert_eq!(field(&response, "x-amz-apigw-id"), extended);
        let mut line = Vec::new();
        served.ids.write_logged(&mut line);
        assert_eq!(String::from_utf8(line).unwrap(), logged);
    }
}

/// Kind, status, parameters and the template for JSON.
type Said<'a> = (&'a str, Option<u16>, &'a [(&'a str, &'a str)], &'a str);

fn with_responses(responses: &[Said<'_>]) -> model::Model {
    let mut model = model(model::Kind::Rest, vec![route("GET /pets/{id}"), throttled()]);
    let owned = |list: &[(&str, &str)]| list.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
    let response = |(kind, status, parameters, template): &Said<'_>| model::GatewayResponse {
        kind: model::GatewayResponseType::named(kind).unwrap(),
        status: *status,
        parameters: owned(parameters),
        templates: Some(*template)
            .filter(|it| !it.is_empty())
            .map(|it| ("application/json".into(), it.into()))
            .into_iter()
            .collect(),
        origin: None,
    };
    let api = &mut model.apis[0];
    api.id = "abc".into();
    api.definition.gateway_responses = responses.iter().map(response).collect();
    api.stages[0].variables = vec![("color".into(), "blue".into())];
    model
}

fn throttled() -> model::Route {
    let mut route = route("GET /busy/{id}");
    let per = model::ThrottlePer::All;
    route.throttles.push(model::Throttle { rate: 0.0, burst: Some(0), per, origin: None });
    route
}

/// Rows 126, 127: what an operator says of an answer holds wherever the gateway answers, and costs nothing elsewhere.
#[test]
fn gateway_responses_are_as_the_operator_says() {
    let cors: &[(&str, &str)] = &[
        ("gatewayresponse.header.Access-Control-Allow-Origin", "method.request.header.Origin"),
        ("gatewayresponse.header.X-Color", "stageVariables.color"),
        ("gatewayresponse.header.X-Method", "context.httpMethod"),
    ];
    let template = r#"{"type":"$context.error.responseType","said":$context.error.messageString,"id":"$method.request.path.id","path":"$context.path","api":"$context.apiId","request":"$context.requestId"}"#;
    let snapshot = snapshot(&with_responses(&[
        ("DEFAULT_4XX", None, cors, template),
        ("INTEGRATION_FAILURE", Some(599), &[], ""),
    ]));
    let told = |asked: &str, backend: fn(&Request) -> Result<Response, Reason>| {
        let mut request = request(asked);
        request.headers.push("Origin", b"https://a.example");
        run(&snapshot, &mut request, &fake(backend)).1
    };
    let busy = told("GET /busy/cat?x=1", hello);
    assert_eq!(busy.status, 429);
    let said = |kind: &str, said: &str, id: &str, path: &str| {
        format!(
            r#"{{"type":"{kind}","said":"{said}","id":"{id}","path":"{path}","api":"abc","request":"{ID}"}}"#
        )
    };
    assert_eq!(body_of(&busy), said("THROTTLED", "Too Many Requests", "cat", "/busy/cat"));
    assert_eq!(field(&busy, "access-control-allow-origin"), Some("https://a.example"));
    assert_eq!((field(&busy, "x-color"), field(&busy, "x-method")), (Some("blue"), Some("GET")));
    assert_eq!(field(&busy, "x-amzn-errortype"), Some("TooManyRequestsException"));
    let nowhere = told("GET /nowhere", hello);
    assert_eq!(
        body_of(&nowhere),
        said("MISSING_AUTHENTICATION_TOKEN", "Missing Authentication Token", "", "/nowhere")
    );
    // Its own word, without a body of its own; and a backend that has rewritten the request.
    let failed = told("GET /pets/1", |_| Err(Reason::BackendUnreachable));
    assert_eq!(
        (failed.status, body_of(&failed)),
        (599, r#"{"message":"Network error communicating with endpoint"}"#.into())
    );
    assert_eq!(field(&failed, "x-color"), None);
    let late = told("GET /pets/1", |_| Err(Reason::BackendTimedOut));
    assert_eq!((late.status, field(&late, "x-color")), (504, None));
    // A backend's own errors are its own.
    let own = told("GET /pets/1", |_| Ok(Response::with_body(429, "text/plain", Bytes::from_static(b"own"))));
    assert_eq!((own.status, body_of(&own), field(&own, "x-color")), (429, "own".into(), None));
}

/// Row 136's extension: one word for a REST API's stage.
#[test]
fn a_stage_of_a_rest_api_may_have_cors() {
    let mut model =
        model(model::Kind::Rest, vec![route("GET /pets"), route("ANY /any"), route("OPTIONS /own")]);
    model.apis[0].stages[0].cors = Some(model::Cors {
        allow_origins: vec!["https://a.example".into()],
        allow_methods: vec!["GET".into()],
        ..model::Cors::default()
    });
    let snapshot = snapshot(&model);
    let core = fake(hello);
    for (asked, status, calls, has_methods) in [
        ("OPTIONS /pets", 204, 0, true),
        ("OPTIONS /any", 200, 1, false),
        ("OPTIONS /own", 200, 1, false),
        ("GET /pets", 200, 1, false),
        ("GET /nowhere", 403, 0, false),
        ("DELETE /pets", 403, 0, false),
    ] {
        core.calls.set(0);
        let mut request = request(asked);
        request.headers.push("Origin", b"https://a.example");
        request.headers.push("Access-Control-Request-Method", b"GET");
        let (_, response) = run(&snapshot, &mut request, &core);
        let origin = field(&response, "access-control-allow-origin");
        assert_eq!(
            (response.status, core.calls.get(), origin),
            (status, calls, Some("https://a.example")),
            "{asked}"
        );
        assert_eq!(field(&response, "access-control-allow-methods").is_some(), has_methods, "{asked}");
        assert!(field(&response, "x-amzn-requestid").is_some());
    }
}

/// Row 128: what a mapping made of a backend's answer carries a trace, what passed as it was does not, nor does a refusal.
#[test]
fn answers_of_mappings_carry_a_trace() {
    use model::IntegrationType::{Http, HttpProxy, Mock};
    for (kind, backend, expected) in [
        (Http, hello as fn(&Request) -> Result<Response, Reason>, true),
        (Http, |_: &Request| Err(Reason::BackendUnreachable), false),
        (HttpProxy, hello, false),
        (Mock, hello, false),
    ] {
        let mut declared = model::Declared::new(kind);
        declared.uri = (kind != Mock).then(|| "http://backend.example/".into());
        if kind != HttpProxy {
            declared.responses = vec![model::IntegrationResponse {
                selection_pattern: None,
                status: 200,
                parameters: Vec::new(),
                templates: Vec::new(),
                content_handling: None,
                origin: None,
            }];
        }
        declared.request_templates = vec![("application/json".into(), r#"{"statusCode": 200}"#.into())];
        let mut get = route("GET /pets");
        get.responses = vec![model::MethodResponse { status: 200, headers: Vec::new(), models: Vec::new() }];
        get.integration = model::Integration::Declared(Box::new(declared));
        let mut model = model(model::Kind::Rest, vec![get]);
        model.upstreams.clear();
        let snapshot = snapshot(&model);
        let (served, response) = run(&snapshot, &mut request("GET /pets"), &fake(backend));
        assert_eq!(served.reason.is_none(), response.status == 200, "{kind:?}");
        let trace = field(&response, "x-amzn-trace-id");
        assert_eq!(trace.is_some(), expected, "{kind:?} {response:?}");
        assert!(trace.is_none_or(|it| it == "Root=1-00000001-111111111111111911141111"), "{trace:?}");
    }
}

/// Row 13: who is refused learns it in the dialect's words, and neither policies nor a backend hear of him; CORS has no say. U: what
/// AWS answers.
#[test]
fn a_strict_api_serves_who_names_its_host() {
    use model::Kind::{Http, Proxy, Rest};
    for (kind, status, message) in
        [(Rest, 403, "Forbidden"), (Http, 403, "Forbidden"), (Proxy, 421, "Misdirected Request")]
    {
        let mut model = model(kind, vec![route("ANY /pets")]);
        model.apis[0].definition.endpoint_access_mode = model::EndpointAccessMode::Strict;
        let cors = Some(model::Cors { allow_origins: vec!["*".into()], ..model::Cors::default() });
        match kind {
            Rest => model.apis[0].stages[0].cors = cors,
            Http | Proxy => model.apis[0].definition.cors = cors,
        }
        let snapshot = snapshot(&model);
        for asked in ["GET /pets", "OPTIONS /pets"] {
            let core = fake(hello);
            let (served, response) = run(&snapshot, &mut request(asked), &core);
            assert_eq!(
                (served.reason, response.status, core.calls.get()),
                (None, 200, 1),
                "{kind:?} {asked}"
            );
            // A neighbour's name, an ending alone, and none.
            for name in ["www.api.example", "example", ""] {
                let core = fake(hello);
                core.tls_name.set(name);
                let (served, response) = run(&snapshot, &mut request(asked), &core);
                let Body::Whole(body) = &response.body else { panic!("{response:?}") };
                let expected = format!("{{\"message\":\"{message}\"}}");
                assert_eq!((response.status, &body[..]), (status, expected.as_bytes()), "{kind:?} {name}");
                assert_eq!((&served.reason, core.calls.get()), (&Some(Reason::EndpointAccess), 0));
                assert!(served.api.is_some() && served.route.is_none(), "it is told whose it was");
                let error = response.headers.iter().find(|field| field.text == b"x-amzn-ErrorType");
                let error = error.map(|field| field.value);
                assert_eq!(error, (kind == Rest).then_some(&b"ForbiddenException"[..]));
                assert!(response.headers.iter().all(|field| field.text != b"Access-Control-Allow-Origin"));
            }
        }
    }
}
