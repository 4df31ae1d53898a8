//! Row 113: what is looked for, in which order, and what is said.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use message::{Length, Now, PathRules, Target};
use schema::Schemas;

use super::*;
use crate::{
    Slot,
    throttle::{Spendings, Table},
};

fn validators() -> Schemas {
    let pet = r#"{"type": "object", "required": ["name"]}"#;
    Schemas::compile(&[("Pet", pet), ("Count", r#"{"type": "integer"}"#)]).unwrap()
}

fn policy(required: &[Parameter], models: &[(&str, &str)]) -> Validate {
    let schemas = validators();
    let models = models.iter().map(|(media, model)| ((*media).to_owned(), schemas.validator(model).unwrap()));
    Validate::new(Settings { required: required.to_vec(), models: models.collect(), body_bytes_max: 100 })
        .unwrap()
}

fn header(name: &str) -> Parameter {
    Parameter::Header(name.into())
}

fn request(target: &str, headers: &[(&str, &str)], body: Body) -> Request {
    Request {
        target: Target::parse(target.as_bytes(), PathRules::default()).unwrap(),
        headers: headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect(),
        body,
        ..Request::default()
    }
}

/// What the policy says; a body that it asks for is the one that the second request has.
fn decide(policy: &Validate, request: &mut Request, params: &[(u32, u32)], gathered: Option<Body>) -> String {
    let mut spendings = Spendings::new(Arc::new(Table::new(16)), 1);
    let mut slot = Slot::Empty;
    let mut cx = Context {
        now: Now::default(),
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        params,
        spendings: &mut spendings,
        near: &mut (),
        slot: &mut slot,
        unanswered: false,
    };
    let mut verdict = policy.on_request(request, &mut cx);
    if let (Verdict::Ask(Question::Body { bytes_max }), Some(body)) = (&verdict, gathered) {
        assert_eq!(*bytes_max, 100);
        request.body = body;
        verdict = policy.on_answer(request, Answer::Body, &mut cx);
    }
    match verdict {
        Verdict::Continue => "passes".into(),
        Verdict::Refuse(Reason::MissingParameters(names)) => format!("missing {names}"),
        Verdict::Refuse(Reason::InvalidBody { errors }) => errors.into(),
        other => format!("{other:?}"),
    }
}

#[track_caller]
fn check_parameters(target: &str, version: Version, headers: &[(&str, &str)], expected: &str) {
    let required = [
        Parameter::Query("q".into()),
        header("X-Trace"),
        Parameter::Path("id".into(), 0),
        header("Accept"),
        Parameter::Query("a".into()),
    ];
    let mut request = Request { version, ..request(target, headers, Body::Empty) };
    let end = request.target.path().len() as u32;
    assert_eq!(
        decide(&policy(&required, &[]), &mut request, &[(3, end)], None),
        expected,
        "{target} {headers:?}"
    );
}

#[test]
fn parameters_by_their_keys() {
    let both = [("X-Trace", "1"), ("Accept", "x")];
    check_parameters("/p/7?q=1&a=2", Version::Http11, &both, "passes");
    check_parameters("/p/", Version::Http11, &[], "missing Accept, X-Trace, id, a, q");
    check_parameters("/p/7?a=2", Version::Http11, &both[..1], "missing Accept, q");
    // Blank is missing.
    check_parameters(
        "/p/7?q=&a=+%20",
        Version::Http11,
        &[("X-Trace", " "), ("Accept", "x")],
        "missing X-Trace, a, q",
    );
    check_parameters("/p/%20?q=1&a=2", Version::Http11, &both, "missing id");
    check_parameters("/p/7?q=&q=2&a=%20b", Version::Http11, &both, "passes");
    // Names are told apart by case, but in HTTP/2 there is one case only.
    let lower = [("x-trace", "1"), ("accept", "x")];
    check_parameters("/p/7?q=1&a=2", Version::Http11, &lower, "missing Accept, X-Trace");
    check_parameters("/p/7?q=1&a=2", Version::Http2, &lower, "passes");
    check_parameters("/p/7?Q=1&a=2", Version::Http2, &lower, "missing q");
}

#[track_caller]
fn check_body(models: &[(&str, &str)], content_type: Option<&str>, body: &'static str, expected: &str) {
    let headers: Vec<_> = content_type.iter().map(|value| ("content-type", *value)).collect();
    let policy = policy(&[], models);
    let whole = Body::Whole(Bytes::from_static(body.as_bytes()));
    let mut at_hand = request("/", &headers, whole.clone());
    assert_eq!(decide(&policy, &mut at_hand, &[], None), expected, "{content_type:?} {body}");
    let mut streamed = request("/", &headers, Body::Stream(Length::Unknown));
    assert_eq!(decide(&policy, &mut streamed, &[], Some(whole)), expected, "{content_type:?} {body}");
}

#[test]
fn the_model_of_the_content_type() {
    let pet = &[("application/json", "Pet")];
    let refused = r#"[object has missing required properties (["name"])]"#;
    check_body(pet, None, r#"{"name": 1}"#, "passes");
    check_body(pet, None, "{}", refused);
    check_body(pet, Some("application/json"), "{}", refused);
    check_body(pet, Some("Application/JSON ; charset=utf-8"), "{}", refused);
    check_body(pet, Some("text/plain"), "{}", "passes");
    check_body(pet, None, "{", "[Unknown error parsing request body]");
    let both = &[("application/json", "Pet"), ("$default", "Count")];
    check_body(both, Some("text/plain"), "1", "passes");
    check_body(
        both,
        Some("text/plain"),
        "{}",
        r#"[instance type (object) does not match any allowed primitive type (allowed: ["integer"])]"#,
    );
    check_body(
        both,
        Some("application/json"),
        "1",
        r#"[instance type (integer) does not match any allowed primitive type (allowed: ["object"])]"#,
    );
}

#[test]
fn no_body_is_an_empty_object() {
    let policy = policy(&[], &[("application/json", "Pet")]);
    let refused = r#"[object has missing required properties (["name"])]"#;
    assert_eq!(decide(&policy, &mut request("/", &[], Body::Empty), &[], None), refused);
    let mut streamed = request("/", &[], Body::Stream(Length::Known(0)));
    assert_eq!(decide(&policy, &mut streamed, &[], Some(Body::Empty)), refused);
}

#[test]
fn parameters_come_before_the_body() {
    let policy = policy(&[header("X")], &[("$default", "Pet")]);
    let mut streamed = request("/", &[], Body::Stream(Length::Unknown));
    assert_eq!(decide(&policy, &mut streamed, &[], None), "missing X");
}

#[test]
fn nothing_to_look_at_is_no_policy() {
    assert!(Validate::new(Settings::default()).is_none());
}
