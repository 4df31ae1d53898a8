//! Mappings of an HTTP API (row 123): settings and a message in, a message out.

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use message::{Authority, Body, Method, Now, PathRules, Request, RequestId, Response, Target};

use super::Parameters;
use crate::{
    Context, Integration, Outbound, ReadContext, Spare,
    declared::{
        Declared, Kind, Selections,
        tests::{pairs, settings, text},
    },
};

fn compile(request: &[(&str, &str)], responses: &[(u16, &[(&str, &str)])]) -> Result<Parameters, String> {
    let mut settings = settings(Kind::HttpProxy);
    (settings.is_http_api, settings.target, settings.responses) = (true, "/base/{id}".into(), Vec::new());
    let declared = Declared::new(settings, &mut Selections::default()).unwrap().0;
    let responses: Vec<_> = responses.iter().map(|(status, of)| (*status, pairs(of))).collect();
    Parameters::new(declared, &pairs(request), &responses)
        .map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

fn asked() -> Request {
    Request {
        method: Method::from_token("POST"),
        target: Target::parse(b"/pets/7?x=1&y=a%20b&x=2", PathRules::default()).unwrap(),
        authority: Authority::parse(b"api.example").unwrap(),
        headers: [("X-One", &b"1"[..]), ("x-many", b"a"), ("x-many", b"b")].into_iter().collect(),
        body: Body::Whole(Bytes::from_static(br#"{"name": "rex", "tags": ["t", "u"]}"#)),
        ..Request::default()
    }
}

fn prepare(parameters: &Parameters, request: &mut Request, state: &mut crate::State) -> Outbound {
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut cx = Context {
        params: &[(6, 7), (7, 7)],
        peer,
        client: peer,
        trusted: false,
        port: 443,
        now: Now { mono_ns: 0, unix_ns: 1_795_255_872_000_000_000 },
        request_id: RequestId::new([0; 16]),
        state,
        response: &mut Response::default(),
        spare: &mut Spare::default(),
    };
    parameters.prepare(request, &mut cx)
}

/// Path and query that the backend sees, and the fields of these names.
#[track_caller]
fn check(mappings: &[(&str, &str)], target: &str, fields: &[(&str, &str)]) {
    let parameters = compile(mappings, &[]).unwrap();
    let (mut request, mut state) = (asked(), None);
    let outbound = prepare(&parameters, &mut request, &mut state);
    assert!(matches!(outbound, Outbound::Call(7)), "{outbound:?}");
    let query = request.target.query().map_or_else(String::new, |query| format!("?{query}"));
    assert_eq!(format!("{}{query}", request.target.path()), target);
    for (name, value) in fields {
        let found: Vec<_> = request.headers.find_all(name).map(text).collect();
        assert_eq!(found.join("|"), *value, "{name}");
    }
}

const UNCHANGED: &str = "/base/7?x=1&y=a%20b&x=2";

#[test]
fn headers() {
    check(&[("append:header.x-one", "two")], UNCHANGED, &[("x-one", "1|two")]);
    check(&[("overwrite:header.X-ONE", "$request.path.id")], UNCHANGED, &[("x-one", "7")]);
    check(&[("remove:header.x-many", "''")], UNCHANGED, &[("x-many", "")]);
    check(&[("overwrite:header.n", "$request.header.x-many")], UNCHANGED, &[("n", "a,b")]);
    check(&[("overwrite:header.n", "$request.querystring.x")], UNCHANGED, &[("n", "1,2")]);
    check(
        &[("overwrite:header.n", "${request.body.name}-${context.stage}!")],
        UNCHANGED,
        &[("n", "rex-prod!")],
    );
    check(&[("overwrite:header.n", "$stageVariables.env")], UNCHANGED, &[("n", "blue")]);
    check(&[("overwrite:header.n", "$request.path")], UNCHANGED, &[("n", "/pets/7")]);
    // U: what is not there is not mapped.
    check(&[("overwrite:header.x-one", "$request.header.none")], UNCHANGED, &[("x-one", "1")]);
    check(&[("overwrite:header.n", "$request.body.none")], UNCHANGED, &[("n", "")]);
    // A field's end can't be smuggled in.
    check(&[("overwrite:header.n", "a\r\nb: c")], UNCHANGED, &[("n", "a  b: c"), ("b", "")]);
}

#[test]
fn what_is_mapped_is_what_the_client_sent() {
    let mappings = [("overwrite:header.x-one", "new"), ("overwrite:header.n", "$request.header.x-one")];
    check(&mappings, UNCHANGED, &[("x-one", "new"), ("n", "1")]);
}

#[test]
fn queries() {
    check(&[("append:querystring.x", "3 &")], "/base/7?x=1&y=a%20b&x=2&x=3%20%26", &[]);
    check(&[("overwrite:querystring.x", "3")], "/base/7?y=a%20b&x=3", &[]);
    check(&[("remove:querystring.x", "''"), ("remove:querystring.y", "")], "/base/7", &[]);
    check(&[("append:querystring.n", "$request.header.none")], UNCHANGED, &[]);
}

#[test]
fn paths() {
    check(&[("overwrite:path", "/v2/${request.path.id}/x y")], "/v2/7/x%20y?x=1&y=a%20b&x=2", &[]);
    check(&[("overwrite:path", "$request.path")], "/pets/7?x=1&y=a%20b&x=2", &[]);
}

#[test]
fn a_path_that_climbs_is_refused() {
    let parameters = compile(&[("overwrite:path", "/a/${request.querystring.p}/b")], &[]).unwrap();
    for climbing in ["..", "%2e%2e", "%252e%252e/.."] {
        let (mut request, mut state) = (asked(), None);
        request.target =
            Target::parse(format!("/pets/7?p={climbing}").as_bytes(), PathRules::default()).unwrap();
        let outbound = prepare(&parameters, &mut request, &mut state);
        assert!(
            matches!(outbound, Outbound::Refuse(_)),
            "{climbing}: {outbound:?} {}",
            request.target.path()
        );
    }
}

#[test]
fn answers_by_status() {
    let of_404: &[(&str, &str)] = &[
        ("overwrite:statuscode", "410"),
        ("append:header.x-why", "$response.body.why"),
        ("overwrite:header.x-stage", "${context.stage}/${response.header.x-id}"),
        ("remove:header.x-id", "''"),
    ];
    let parameters = compile(&[], &[(404, of_404)]).unwrap();
    assert!(parameters.response_body_max().is_some() && parameters.request_body_max().is_none());
    let (mut request, mut state) = (asked(), None);
    let outbound = prepare(&parameters, &mut request, &mut state);
    assert!(matches!(outbound, Outbound::Call(7)));
    let mut answered = |status: u16| {
        let mut response = Response::new(status);
        response.headers = [("X-Id", &b"i"[..])].into_iter().collect();
        response.body = Body::Whole(Bytes::from_static(br#"{"why": "gone"}"#));
        let (now, request_id) = (Now::default(), RequestId::new([0; 16]));
        let mut cx = ReadContext { now, request_id, state: &mut state, spare: &mut Spare::default() };
        parameters.read(&mut response, &mut cx).unwrap();
        let fields =
            response.headers.iter().map(|field| format!("{}: {}", text(field.text), text(field.value)));
        (response.status, fields.collect::<Vec<_>>().join(", "))
    };
    assert_eq!(answered(404), (410, "x-why: gone, x-stage: prod/i".into()));
    assert_eq!(answered(200), (200, "X-Id: i".into()));
}

#[track_caller]
fn check_mistake(mapping: (&str, &str), expected: &str) {
    let found = compile(&[mapping], &[]).unwrap_err();
    assert!(found.contains(expected), "{found}");
}

#[test]
fn mistakes() {
    check_mistake(("header.x", "1"), "write `append:header.X`");
    check_mistake(("append:path", "/"), "write `append:header.X`");
    check_mistake(("overwrite:statuscode", "200"), "write `append:header.X`");
    check_mistake(("overwrite:header.a b", "1"), "is no name of a header");
    check_mistake(("remove:header.x", "1"), "what is removed has no value");
    check_mistake(("overwrite:header.x", "$request.path.nobody"), "is no variable of the route");
    check_mistake(("overwrite:header.x", "$response.header.y"), "is no value here");
    check_mistake(("overwrite:header.x", "$context.stag"), "did you mean `stage`?");
    check_mistake(("overwrite:header.x", "${request.path"), "is not closed");
    check_mistake(("overwrite:header.x", "$request.body..x"), "neither searches nor filters");
    for name in [
        "Authorization",
        "x-amz-date",
        "Via",
        "access-control-allow-origin",
        "X-Forwarded-For",
        "te",
        "apigw-x",
    ] {
        check_mistake((&format!("overwrite:header.{name}"), "1"), "is reserved");
    }
}
