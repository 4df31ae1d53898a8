//! Routes that validate: what reaches the backend, and what clients of each dialect are told.

use message::{Body, Reason, Request, Response};

use super::{fake, model, request, route, run, snapshot};

/// What a client of a route that validates gets, and whether the backend was asked: rows 113 and 114, in every dialect.
#[track_caller]
fn check_validated(kind: model::Kind, asked: &str, body: &'static str, status: u16, answer: &str, why: &str) {
    let mut pets = route("POST /pets");
    pets.request = model::RequestRules {
        parameters: vec![model::RequestParameter {
            place: model::ParameterPlace::QueryString,
            name: "q".into(),
            required: true,
        }],
        models: vec![("application/json".into(), "Pet".into())],
        validator: Some("all".into()),
    };
    let mut model = model(kind, vec![pets]);
    let definition = &mut model.apis[0].definition;
    definition.validators =
        vec![model::RequestValidator { name: "all".into(), body: true, parameters: true, origin: None }];
    definition.models = vec![model::BodyModel {
        name: "Pet".into(),
        description: None,
        content_type: "application/json".into(),
        schema: r#"{"type": "object", "required": ["name"]}"#.into(),
        origin: None,
    }];
    let snapshot = snapshot(&model);
    let core = fake(|request| {
        let Body::Whole(body) = &request.body else { panic!("{request:?}") };
        Ok(Response::with_body(200, "application/json", body.clone()))
    });
    core.sent.borrow_mut().push(body);
    let mut request = Request { body: Body::Stream(message::Length::Unknown), ..request(asked) };
    let (served, response) = run(&snapshot, &mut request, &core);
    let Body::Whole(bytes) = &response.body else { panic!("{response:?}") };
    assert_eq!(
        (response.status, std::str::from_utf8(bytes).unwrap()),
        (status, answer),
        "{kind:?} {asked} {body}"
    );
    let said = match &served.reason {
        Some(Reason::InvalidBody { errors }) => errors,
        Some(Reason::MissingParameters(names)) => names,
        None => "",
        Some(other) => panic!("{other:?}"),
    };
    assert_eq!((said, core.calls.get()), (why, usize::from(status == 200)));
    let error_type = (kind == model::Kind::Rest && status == 400).then_some(&b"BadRequestException"[..]);
    assert_eq!(response.headers.find("x-amzn-errortype"), error_type);
}

/// Row 91, U: behind the throttle and before the cache.
#[test]
fn requests_are_validated_before_the_backend_is_asked() {
    for kind in [model::Kind::Rest, model::Kind::Http, model::Kind::Proxy] {
        check_validated(kind, "POST /pets?q=1", r#"{"name": 1}"#, 200, r#"{"name": 1}"#, "");
        check_validated(
            kind,
            "POST /pets?q=1",
            "{}",
            400,
            r#"{"message":"Invalid request body"}"#,
            r#"[object has missing required properties (["name"])]"#,
        );
        check_validated(
            kind,
            "POST /pets",
            "{}",
            400,
            r#"{"message":"Missing required request parameters: [q]"}"#,
            "q",
        );
    }
}
