//! Integrations as AWS's rows have them: settings and a message in, a message out.

mod answers;
mod content;
mod mappings;
mod proxies;
mod templates;

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use message::{Authority, Body, Method, Now, PathRules, Reason, Request, RequestId, Response, Target};

use super::*;
use crate::State;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// A method `ANY /pets/{id}/{rest+}` of a REST API, whose backend is in slot 7.
pub(super) fn settings(kind: Kind) -> Settings {
    Settings {
        kind,
        is_http_api: false,
        upstream: (kind != Kind::Mock).then_some(7),
        target: "/".into(),
        http_method: None,
        request_parameters: Vec::new(),
        declared: Vec::new(),
        variables: vec!["id".into(), "rest".into()],
        request_templates: Vec::new(),
        passthrough: Passthrough::WhenNoMatch,
        handling: None,
        binary_media_types: Vec::new(),
        responses: vec![response(None, 200)],
        stage_variables: vec![("env".into(), "blue".into())],
        place: Place {
            account_id: "123456789012".into(),
            api_id: "a1b2c3d4e5".into(),
            stage: "prod".into(),
            route_key: "ANY /pets/{id}/{rest+}".into(),
            resource_path: "/pets/{id}/{rest+}".into(),
            resource_id: "r1r1r1".into(),
            deployment_id: String::new(),
            is_canary: None,
        },
        timeout_ns: 29_000_000_000,
        xml: false,
        body_bytes_max: 10 << 20,
    }
}

pub(super) fn response(pattern: Option<&str>, status: u16) -> ResponseSettings {
    ResponseSettings { pattern: pattern.map(Into::into), status, ..ResponseSettings::default() }
}

pub(super) fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect()
}

/// `POST /pets/7/a%20b?x=1`, fields, a body.
pub(super) struct Asked<'a>(pub &'a str, pub &'a [(&'a str, &'a str)], pub &'a [u8]);

pub(super) fn compile(settings: Settings) -> Declared {
    Declared::new(settings, &mut Selections::default()).unwrap_or_else(|mistakes| panic!("{mistakes:?}")).0
}

/// One request's way, and what is remembered of it.
pub(super) struct Put {
    pub declared: Declared,
    pub request: Request,
    pub outbound: Outbound,
    /// The integration's own answer, if it is one.
    pub answer: Response,
    spare: Spare,
    state: State,
}

pub(super) fn put(settings: Settings, asked: &Asked<'_>) -> Put {
    let declared = compile(settings);
    let (method, target) = asked.0.split_once(' ').unwrap();
    let mut request = Request {
        method: Method::from_token(method),
        target: Target::parse(target.as_bytes(), PathRules::default()).unwrap(),
        authority: Authority::parse(b"api.example").unwrap(),
        headers: asked.1.iter().map(|(name, value)| (*name, value.as_bytes())).collect(),
        ..Request::default()
    };
    if !asked.2.is_empty() {
        request.body = Body::Whole(Bytes::copy_from_slice(asked.2));
    }
    // `/pets/{id}/{rest+}`
    let path = request.target.path();
    let params: Vec<_> = path.strip_prefix("/pets/").map_or_else(Vec::new, |rest| {
        let (id, _) = rest.split_once('/').unwrap_or((rest, ""));
        let end = path.len() as u32;
        let slash = (6 + id.len()) as u32;
        vec![(6, slash), ((slash + 1).min(end), end)]
    });
    let (now, mut state) = (Now { mono_ns: 0, unix_ns: 1_795_255_872_000_000_000 }, None);
    let (mut answer, mut spare) = (Response::default(), Spare::default());
    let mut cx = Context {
        params: &params,
        peer: PEER,
        client: PEER,
        trusted: false,
        port: 443,
        now,
        request_id: RequestId::new([0; 16]),
        state: &mut state,
        response: &mut answer,
        spare: &mut spare,
    };
    let outbound = declared.prepare(&mut request, &mut cx);
    Put { declared, request, outbound, answer, spare, state }
}

impl Put {
    /// What the backend sees: method and target, fields that were not there by themselves, the body.
    pub(super) fn seen(&self) -> (String, Vec<String>, String) {
        assert!(matches!(self.outbound, Outbound::Call(7)), "{:?}", self.outbound);
        let target = &self.request.target;
        let query = target.query().map_or_else(String::new, |query| format!("?{query}"));
        let by_itself = ["user-agent", "accept", "x-amzn-trace-id", "x-amzn-apigateway-api-id"];
        let fields = self.request.headers.iter().map(|field| (text(field.text), text(field.value)));
        let fields = fields.filter(|(name, _)| {
            let name = name.to_ascii_lowercase();
            !by_itself.contains(&&*name) && !name.starts_with("x-forwarded-")
        });
        let fields = fields.map(|(name, value)| format!("{name}: {value}")).collect();
        (
            format!("{} {}{query}", self.request.method.as_str(), target.path()),
            fields,
            body(&self.request.body),
        )
    }

    /// What the client gets of a backend's answer.
    pub(super) fn answered(
        &mut self,
        status: u16,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response, Reason> {
        let mut response = Response::new(status);
        response.headers = fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        if !body.is_empty() {
            response.body = Body::Whole(Bytes::copy_from_slice(body));
        }
        let (now, request_id) = (Now::default(), RequestId::new([0; 16]));
        let mut cx = ReadContext { now, request_id, state: &mut self.state, spare: &mut self.spare };
        self.declared.read(&mut response, &mut cx).map(|()| response)
    }
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(super) fn body(body: &Body) -> String {
    match body {
        Body::Empty => String::new(),
        Body::Whole(bytes) => text(bytes),
        Body::Stream(_) => "streams".into(),
    }
}

/// What is wrong with settings: keys and the beginning of what is said.
#[track_caller]
pub(super) fn check_mistake(settings: Settings, key: &str, why: &str) {
    let mistakes = Declared::new(settings, &mut Selections::default()).expect_err("a mistake");
    let found = mistakes.iter().any(|mistake| mistake.key == key && mistake.why.contains(why));
    assert!(found, "{mistakes:#?}");
}

/// What a request is refused for.
#[track_caller]
pub(super) fn check_refused(settings: Settings, asked: &Asked<'_>, expected: &Reason) {
    match put(settings, asked).outbound {
        Outbound::Refuse(reason) => assert_eq!(reason, *expected),
        other => panic!("{other:?}"),
    }
}
