//! The corridor with a fake core: whole routes, no runtime, no socket.

mod compression;

mod validation;

mod declared;
mod told;

use std::{
    cell::{Cell, RefCell},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use message::{Body, Dialect, Now, PathRules, Reason, Request, RequestId, Response, Target, Version};
use policy::{
    cache::{Fate, Found, Lookup, Store},
    throttle::{Spendings, Table},
};
use snapshot::{Inputs, Route, Slots, Snapshot, compile};

use crate::{CacheResult, Core, Facts, Ids, Lent, Served, Spare, exchange};

/// A core without a world: time is a number, the backend a function, the cache a store of its own.
struct Fake {
    now: Cell<Now>,
    spendings: RefCell<Spendings>,
    store: RefCell<Store<()>>,
    backend: fn(&Request) -> Result<Response, Reason>,
    calls: Cell<usize>,
    overloaded: Cell<bool>,
    /// The bodies that stream, the next one last.
    sent: RefCell<Vec<&'static str>>,
    /// Bytes of memory that are held, and that may be.
    held: Cell<usize>,
    held_max: Cell<usize>,
    pauses: Cell<usize>,
    /// The client's TLS name.
    tls_name: Cell<&'static str>,
}

impl Core for Fake {
    fn decide<R>(&self, decision: impl FnOnce(&mut Lent<'_>) -> R) -> R {
        decision(&mut Lent {
            now: self.now.get(),
            spendings: &mut self.spendings.borrow_mut(),
            near: &mut *self.store.borrow_mut(),
            spare: &mut Spare::default(),
        })
    }

    fn is_overloaded(&self) -> bool {
        self.overloaded.get()
    }

    async fn look_up(&self, lookup: Lookup) -> Found {
        let outcome = self.store.borrow_mut().lookup(lookup, || (), self.now.get());
        outcome.into_found().unwrap_or(Found::Pass)
    }

    async fn gather(&self, request: &mut Request, bytes_max: u64) -> Result<(), Reason> {
        gathered(&mut request.body, &self.sent, bytes_max).map_err(|max| Reason::BodyTooLarge { max })
    }

    async fn call(
        &self,
        _: &Route,
        _: u32,
        request: &mut Request,
        response: &mut Response,
    ) -> Result<(), Reason> {
        self.calls.set(self.calls.get() + 1);
        *response = (self.backend)(request)?;
        Ok(())
    }

    async fn gather_response(&self, response: &mut Response, bytes_max: u64) -> Result<(), Reason> {
        gathered(&mut response.body, &self.sent, bytes_max).map_err(|max| Reason::ResponseTooLarge { max })
    }

    fn hold(&self, bytes: usize) -> bool {
        self.held.set(self.held.get() + bytes);
        self.held.get() <= self.held_max.get()
    }

    fn let_go(&self, bytes: usize) {
        self.held.set(self.held.get() - bytes);
    }

    fn is_named(&self, host: &str) -> bool {
        self.tls_name.get() == host
    }

    async fn pause(&self) {
        self.pauses.set(self.pauses.get() + 1);
    }
}

/// Takes what streams for what was sent.
fn gathered(body: &mut Body, sent: &RefCell<Vec<&'static str>>, bytes_max: u64) -> Result<(), u64> {
    let bytes = sent.borrow_mut().pop().unwrap();
    *body = Body::Whole(Bytes::from_static(bytes.as_bytes()));
    if bytes.len() as u64 > bytes_max { Err(bytes_max) } else { Ok(()) }
}

fn snapshot(model: &model::Model) -> Snapshot {
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
    snapshot.unwrap_or_else(|| panic!("{found:?}"))
}

fn fake(backend: fn(&Request) -> Result<Response, Reason>) -> Fake {
    Fake {
        now: Cell::new(Now { mono_ns: 1_000_000_000, unix_ns: 1_000_000_000 }),
        spendings: RefCell::new(Spendings::new(Arc::new(Table::new(1_024)), 1)),
        store: RefCell::new(Store::new(1 << 20)),
        backend,
        calls: Cell::new(0),
        overloaded: Cell::new(false),
        sent: RefCell::default(),
        held: Cell::new(0),
        held_max: Cell::new(usize::MAX),
        pauses: Cell::new(0),
        tls_name: Cell::new("api.example"),
    }
}

fn hello(request: &Request) -> Result<Response, Reason> {
    Ok(Response::with_body(200, "text/plain", Bytes::from(request.target.path().to_owned())))
}

fn route(key: &str) -> model::Route {
    let (method, path) = key.split_once(' ').unwrap();
    let method = (method != "ANY").then(|| method.to_owned());
    let integration = model::Integration::Http { upstream: "u".into(), path: None, strip_prefix: None };
    let key = model::RouteKey::Path { method, path: path.into() };
    model::Route::new(key, integration)
}

fn model(kind: model::Kind, routes: Vec<model::Route>) -> model::Model {
    let target = model::Target { tls: false, host: "127.0.0.1".into(), port: 1, origin: None };
    let stages = vec![model::Stage { name: "$default".into(), ..model::Stage::default() }];
    let definition = model::Definition { routes, ..model::Definition::default() };
    let api = model::Api { stages, definition, ..model::Api::new("a", kind) };
    let upstream = model::Upstream { name: "u".into(), targets: vec![target], ..model::Upstream::default() };
    model::Model { apis: vec![api], upstreams: vec![upstream], ..model::Model::default() }
}

fn request(text: &str) -> Request {
    let (method, target) = text.split_once(' ').unwrap();
    Request {
        method: message::Method::from_token(method),
        target: Target::parse(target.as_bytes(), PathRules::default()).unwrap(),
        authority: message::Authority::parse(b"api.example").unwrap(),
        ..Request::default()
    }
}

const ID: &str = "11111111-1111-4111-9111-111111111111";
/// The same as an HTTP API tells it.
const EXTENDED: &str = "EUERkRERERERERE=";

/// Runs an exchange of which nothing waits.
fn run<'a>(snapshot: &'a Snapshot, request: &mut Request, core: &Fake) -> (Served<'a>, Response) {
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let request_id = RequestId::new([0x11; 16]);
    let facts = Facts { peer, client: peer, trusted: false, port: 443, request_id };
    let mut response = Response::default();
    let mut exchanged = Box::pin(exchange(snapshot, request, &mut response, &facts, core));
    match exchanged.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(served) => {
            drop(exchanged);
            if let Some(replay) = &served.replay {
                assert_eq!((response.headers.len(), &response.body), (0, &Body::Empty), "{response:?}");
                replay.write(&mut response);
            }
            (served, response)
        }
        Poll::Pending => panic!("nothing here waits"),
    }
}

/// What a client of an API with the one route `GET /pets/{id}` gets: status and body.
#[track_caller]
fn check(kind: model::Kind, asked: &str, status: u16, body: &str) {
    let snapshot = snapshot(&model(kind, vec![route("GET /pets/{id}")]));
    let core = fake(hello);
    let (_, response) = run(&snapshot, &mut request(asked), &core);
    let Body::Whole(bytes) = &response.body else { panic!("{response:?}") };
    assert_eq!((response.status, std::str::from_utf8(bytes).unwrap()), (status, body), "{kind:?} {asked}");
}

#[test]
fn a_request_reaches_its_route_or_the_dialects_answer() {
    use model::Kind::{Http, Proxy, Rest};
    for kind in [Proxy, Http, Rest] {
        check(kind, "GET /pets/1", 200, "/pets/1");
    }
    for kind in [Proxy, Http] {
        check(kind, "GET /cats", 404, "{\"message\":\"Not Found\"}");
        check(kind, "POST /pets/1", 404, "{\"message\":\"Not Found\"}");
    }
    // Row 24.
    check(Rest, "GET /cats", 403, "{\"message\":\"Missing Authentication Token\"}");
    check(Rest, "POST /pets/1", 403, "{\"message\":\"Missing Authentication Token\"}");
}

#[test]
fn a_throttled_request_never_reaches_the_backend() {
    let mut pets = route("GET /pets");
    let per = model::ThrottlePer::All;
    pets.throttles.push(model::Throttle { rate: 1.0, burst: Some(2), per, origin: None });
    let snapshot = snapshot(&model(model::Kind::Proxy, vec![pets]));
    let core = fake(hello);
    let statuses: Vec<_> =
        (0..4).map(|_| run(&snapshot, &mut request("GET /pets"), &core).1.status).collect();
    assert_eq!((statuses, core.calls.get()), (vec![200, 200, 429, 429], 2));
    let (refused, response) = run(&snapshot, &mut request("GET /pets"), &core);
    assert_eq!(response.headers.find("retry-after"), Some(&b"1"[..]));
    assert!(matches!(refused.reason, Some(Reason::Throttled { retry_after_s: 1 })));
}

fn cache_for_a_minute() -> model::Cache {
    model::Cache {
        mode: model::CacheMode::Fixed,
        ttl: std::time::Duration::from_secs(60),
        key: None,
        methods: vec!["GET".into()],
        client_invalidation: false,
        body_bytes_max: 1 << 20,
        origin: None,
    }
}

#[test]
fn what_was_fetched_once_is_answered_from_the_cache() {
    let mut pets = route("GET /pets");
    pets.cache = Some(cache_for_a_minute());
    let snapshot = snapshot(&model(model::Kind::Proxy, vec![pets]));
    let core = fake(hello);
    let (mut first, _) = run(&snapshot, &mut request("GET /pets"), &core);
    assert_eq!(first.cached, Some(CacheResult::Miss));
    let Some(Fate::Keep(keep)) = first.take_fate() else { panic!("{first:?}") };
    let (ticket, stored) = keep.finish().unwrap();
    core.store.borrow_mut().fill(ticket, stored, core.now.get());
    let (second, response) = run(&snapshot, &mut request("GET /pets"), &core);
    assert_eq!((second.cached, response.status, core.calls.get()), (Some(CacheResult::Hit), 200, 1));
    let (other, _) = run(&snapshot, &mut request("GET /pets?x=1"), &core);
    assert_eq!(other.cached, Some(CacheResult::Miss));
}

/// What is cached for the stage is found, or is not, by the canary: apart where the deployments are, shared where they are the
/// same one and the stage says so (row 31).
#[track_caller]
fn check_cache_of_canary(deployment: &str, use_stage_cache: bool, expected: CacheResult) {
    let mut pets = route("GET /pets");
    pets.cache = Some(cache_for_a_minute());
    let mut model = model(model::Kind::Proxy, vec![pets]);
    let definition = Arc::new(model.apis[0].definition.clone());
    let frozen = |id: &str| model::Deployment {
        id: id.into(),
        description: None,
        created_unix_s: 0,
        definition: definition.clone(),
        cache_id: id.into(),
    };
    let stage = &mut model.apis[0].stages[0];
    stage.deployment = Some(frozen("stage0"));
    let deployed = Some(frozen(deployment));
    let canary = model::Canary {
        percent: 0.0,
        deployment: deployed,
        variables: Vec::new(),
        use_stage_cache,
        judge: None,
    };
    stage.canary = Some(canary);
    let (of_stage, core) = (snapshot(&model), fake(hello));
    let (mut first, _) = run(&of_stage, &mut request("GET /pets"), &core);
    assert!(!first.stage.unwrap().is_canary);
    let Some(Fate::Keep(keep)) = first.take_fate() else { panic!("{first:?}") };
    let (ticket, stored) = keep.finish().unwrap();
    core.store.borrow_mut().fill(ticket, stored, core.now.get());
    model.apis[0].stages[0].canary.as_mut().unwrap().percent = 100.0;
    let of_canary = snapshot(&model);
    let (second, _) = run(&of_canary, &mut request("GET /pets"), &core);
    assert!(second.stage.unwrap().is_canary);
    assert_eq!(second.cached, Some(expected), "{deployment}, {use_stage_cache}");
}

#[test]
fn a_canary_has_a_cache_of_its_own_unless_it_runs_the_same() {
    check_cache_of_canary("stage0", true, CacheResult::Hit);
    check_cache_of_canary("stage0", false, CacheResult::Miss);
    check_cache_of_canary("other0", true, CacheResult::Miss);
    check_cache_of_canary("other0", false, CacheResult::Miss);
}

/// What a client is told when the backend fails in this way.
#[track_caller]
fn check_failure(
    kind: model::Kind,
    backend: fn(&Request) -> Result<Response, Reason>,
    status: u16,
    message: &str,
) {
    let snapshot = snapshot(&model(kind, vec![route("GET /")]));
    let (_, response) = run(&snapshot, &mut request("GET /"), &fake(backend));
    let expected = Body::Whole(Bytes::from(format!("{{\"message\":\"{message}\"}}")));
    assert_eq!((response.status, &response.body), (status, &expected), "{kind:?}");
}

/// Section N, "Endpoint unreachable" and "Endpoint time-out".
#[test]
fn failures_of_the_backend_are_told_in_the_dialect() {
    use model::Kind::{Http, Proxy, Rest};
    let unreachable = |_: &Request| Err(Reason::BackendUnreachable);
    check_failure(Proxy, unreachable, 502, "Bad Gateway");
    check_failure(Http, unreachable, 503, "Service Unavailable");
    check_failure(Rest, unreachable, 504, "Network error communicating with endpoint");
    let late = |_: &Request| Err(Reason::BackendTimedOut);
    check_failure(Proxy, late, 504, "Gateway Timeout");
    check_failure(Rest, late, 504, "Endpoint request timed out");
    for dialect in [Proxy, Http, Rest] {
        check_failure(dialect, |_: &Request| Err(Reason::BackendBusy), 503, "Service Unavailable");
        let suspended = |_: &Request| Err(Reason::BackendSuspended { retry_after_s: 3 });
        check_failure(dialect, suspended, 503, "Service Unavailable");
    }
}

/// What a caller of gRPC is told when the gateway answers by itself; one of HTTP/1.1 is told as everybody is.
#[test]
fn callers_of_grpc_are_told_in_its_words() {
    let ask = |kind, version, asked: &str, backend| {
        let snapshot = snapshot(&model(kind, vec![route("POST /s/m")]));
        let mut request = Request { version, ..request(asked) };
        request.headers.push("Content-Type", b"application/grpc+proto");
        let (served, response) = run(&snapshot, &mut request, &fake(backend));
        let field = |name| response.headers.find(name).map(|it| String::from_utf8_lossy(it).into_owned());
        (response.status, field("grpc-status"), field("grpc-message"), served.reason.is_some())
    };
    let told = |status: &str, message: &str| (200, Some(status.to_owned()), Some(message.to_owned()), true);
    let late = |_: &Request| Err(Reason::BackendTimedOut);
    use model::Kind::{Http, Proxy, Rest};
    assert_eq!(ask(Proxy, Version::Http2, "POST /s/m", late), told("4", "Gateway Timeout"));
    assert_eq!(ask(Http, Version::Http2, "POST /s/m", late), told("4", "Endpoint request timed out"));
    for (kind, message) in [(Proxy, "Not Found"), (Http, "Not Found"), (Rest, "Missing Authentication Token")]
    {
        assert_eq!(ask(kind, Version::Http2, "POST /s/other", late), told("12", message), "{kind:?}");
    }
    assert_eq!(ask(Proxy, Version::Http11, "POST /s/m", late), (504, None, None, true));
    // A server's own answer stays, whatever it is.
    let unwell = |_: &Request| Ok(Response::new(503));
    assert_eq!(ask(Proxy, Version::Http2, "POST /s/m", unwell), (503, None, None, false));
}

/// Row 128: REST and HTTP APIs name the request, dialect `proxy` does not.
#[test]
fn answers_carry_the_requests_id_where_the_dialect_has_a_header() {
    for (kind, header, id) in
        [(model::Kind::Rest, "x-amzn-requestid", ID), (model::Kind::Http, "apigw-requestid", EXTENDED)]
    {
        let snapshot = snapshot(&model(kind, vec![route("GET /")]));
        for asked in ["GET /", "GET /nowhere"] {
            let (_, response) = run(&snapshot, &mut request(asked), &fake(hello));
            assert_eq!(response.headers.find(header), Some(id.as_bytes()), "{asked}");
        }
    }
}

/// Row 137.
#[test]
fn an_api_with_cors_answers_preflights_and_marks_errors_too() {
    let mut model = model(model::Kind::Http, vec![route("GET /pets")]);
    let listed = |text: &str| vec![text.to_owned()];
    model.apis[0].definition.cors = Some(model::Cors {
        allow_origins: listed("https://a.example"),
        allow_methods: listed("GET"),
        max_age_s: Some(600),
        ..model::Cors::default()
    });
    let snapshot = snapshot(&model);
    let core = fake(hello);
    for (asked, status) in [("OPTIONS /pets", 204), ("GET /pets", 200), ("GET /cats", 404)] {
        let mut request = request(asked);
        request.headers.push("Origin", b"https://a.example");
        if status == 204 {
            request.headers.push("Access-Control-Request-Method", b"GET");
        }
        let (_, response) = run(&snapshot, &mut request, &core);
        let allowed = response.headers.find("access-control-allow-origin");
        assert_eq!((response.status, allowed), (status, Some(&b"https://a.example"[..])), "{asked}");
        let max_age = response.headers.find("access-control-max-age");
        assert_eq!(max_age.is_some(), status == 204, "{asked}");
    }
    assert_eq!(core.calls.get(), 1);
}

#[test]
fn the_dialect_of_a_stranger_is_the_one_there_is() {
    let mut model = model(model::Kind::Rest, vec![route("GET /")]);
    model.apis[0].mappings.push(model::Mapping {
        host: Some("other.example".into()),
        base_path: String::new(),
        stage: Some("$default".into()),
        origin: None,
    });
    let snapshot = snapshot(&model);
    let (served, response) = run(&snapshot, &mut request("GET /"), &fake(hello));
    assert_eq!((response.status, served.reason.clone()), (403, Some(Reason::NoApi)));
    assert_eq!(snapshot.apis[0].dialect, Dialect::Rest);
}

/// Rows 8 and 11: a host's answer to health checks, and the dialects' to who comes where an API is not to be reached.
#[test]
fn places_without_a_stage_have_answers_of_their_own() {
    use model::Kind::{Http, Rest};
    let told = |kind, host: &str, path: &str| {
        let mut model = model(kind, vec![route("GET /")]);
        model.apis[0].id = "abc".into();
        model.apis[0].definition.disable_default_endpoint = true;
        model.domains.push(model::Domain {
            name: "api.example".into(),
            routing_mode: model::RoutingMode::MappingOnly,
            rules: Vec::new(),
            endpoint: model::EndpointType::Regional,
            ip_address_type: model::IpAddressType::Ipv4,
            endpoint_access_mode: model::EndpointAccessMode::Basic,
            health: true,
            origin: None,
        });
        let snapshot = snapshot(&model);
        let mut request = request(&format!("GET {path}"));
        request.authority = message::Authority::parse(host.as_bytes()).unwrap();
        let core = fake(hello);
        let (served, response) = run(&snapshot, &mut request, &core);
        assert_eq!((core.calls.get(), served.route.is_none()), (0, true));
        let Body::Whole(body) = response.body else { panic!("{response:?}") };
        (response.status, String::from_utf8(body.to_vec()).unwrap(), served.reason)
    };
    for kind in [Rest, Http] {
        for path in ["/ping", "/sping"] {
            assert_eq!(told(kind, "api.example", path), (200, "healthy".into(), None));
        }
    }
    let disabled =
        |status, body: &str| (status, format!("{{\"message\":\"{body}\"}}"), Some(Reason::EndpointDisabled));
    assert_eq!(told(Rest, "abc.execute-api.localhost", "/"), disabled(403, "Forbidden"));
    assert_eq!(told(Http, "abc.execute-api.localhost", "/"), disabled(404, "Not Found"));
}

/// Nobody is asked, and the answer is the dialect's.
#[test]
fn a_node_without_memory_refuses() {
    use model::Kind::{Http, Proxy, Rest};
    for kind in [Proxy, Http, Rest] {
        let snapshot = snapshot(&model(kind, vec![route("GET /pets")]));
        let core = fake(hello);
        core.overloaded.set(true);
        let (served, response) = run(&snapshot, &mut request("GET /pets"), &core);
        assert_eq!((served.reason, response.status, core.calls.get()), (Some(Reason::Overloaded), 503, 0));
        assert_eq!(response.headers.iter().any(|field| field.text == b"x-amzn-ErrorType"), kind == Rest);
        assert!(served.route.is_some(), "it is counted where it belongs");
    }
}

/// Wants bodies whole, and remembers how long the request's was.
#[derive(Debug)]
struct Whole {
    bytes_max: u64,
}

impl integration::Integration for Whole {
    fn kind(&self) -> &'static str {
        "MOCK"
    }

    fn prepare(&self, request: &mut Request, cx: &mut integration::Context<'_>) -> integration::Outbound {
        assert_eq!((cx.request_id.text().as_slice(), cx.now.mono_ns), (ID.as_bytes(), 1_000_000_000));
        *cx.state = Some(Box::new(request.body.clone()));
        integration::Outbound::Call(0)
    }

    fn read(&self, response: &mut Response, cx: &mut integration::ReadContext<'_>) -> Result<(), Reason> {
        let asked = cx.state.take().and_then(|state| state.downcast::<Body>().ok());
        let (Some(Body::Whole(asked)), Body::Whole(told)) = (asked.as_deref(), &response.body) else {
            return Err(Reason::Internal);
        };
        response.body = Body::Whole([&asked[..], b" ", told].concat().into());
        Ok(())
    }

    fn request_body_max(&self) -> Option<u64> {
        Some(self.bytes_max)
    }

    fn response_body_max(&self) -> Option<u64> {
        Some(self.bytes_max)
    }
}

/// Wants the body, and refuses what is in it.
#[derive(Debug)]
struct Validating(&'static str);

impl policy::Policy for Validating {
    fn describe(&self) -> policy::Description {
        policy::Description { kind: "validation", asks: vec!["a body".into()] }
    }

    fn on_request(&self, request: &mut Request, cx: &mut policy::Context<'_>) -> policy::Verdict {
        match &request.body {
            Body::Stream(_) => policy::Verdict::Ask(policy::Question::Body { bytes_max: 8 }),
            Body::Empty | Body::Whole(_) => self.on_answer(request, policy::Answer::Body, cx),
        }
    }

    fn on_answer(
        &self,
        request: &mut Request,
        _: policy::Answer,
        _: &mut policy::Context<'_>,
    ) -> policy::Verdict {
        match &request.body {
            Body::Whole(bytes) if bytes == self.0 => policy::Verdict::Refuse(Reason::BodyMalformed),
            _ => policy::Verdict::Continue,
        }
    }

    fn reads_responses(&self) -> bool {
        false
    }
}

/// What comes of a body that is sent to a route that validates bodies of 8 bytes and has whole ones of 10, and allows 9.
#[track_caller]
fn check_whole(
    sent: &'static str,
    length: message::Length,
    told: &[&'static str],
    expected: Result<&str, Reason>,
) {
    let mut snapshot = snapshot(&model(model::Kind::Rest, vec![route("POST /")]));
    let route = &mut snapshot.apis[0].stages[0].routes[0];
    route.integration = Box::new(Whole { bytes_max: 10 });
    route.policies = vec![Box::new(Validating("bad")), Box::new(Validating("worse"))];
    route.body_bytes_max = 9;
    let core = fake(|_| Ok(Response { body: Body::Stream(message::Length::Unknown), ..Response::default() }));
    core.sent.replace([sent].into_iter().chain(told.iter().copied()).rev().collect());
    let mut request = Request { body: Body::Stream(length), ..request("POST /") };
    let (served, response) = run(&snapshot, &mut request, &core);
    let got = match (&served.reason, &response.body) {
        (Some(reason), _) => Err(reason.clone()),
        (None, Body::Whole(bytes)) => Ok(std::str::from_utf8(bytes).unwrap()),
        (None, body) => panic!("{body:?}"),
    };
    assert_eq!(got, expected, "{sent}");
    let is_called = matches!(expected, Ok(_) | Err(Reason::ResponseTooLarge { .. }));
    assert_eq!(core.calls.get(), usize::from(is_called), "{sent}");
}

#[test]
fn policies_and_integrations_have_bodies_whole() {
    use message::Length::{Known, Unknown};
    check_whole("good", Unknown, &["told"], Ok("good told"));
    check_whole("good", Known(4), &["told"], Ok("good told"));
    check_whole("bad", Known(3), &[], Err(Reason::BodyMalformed));
    check_whole("worse", Known(5), &[], Err(Reason::BodyMalformed));
    // Before and after it has come.
    check_whole("123456789", Known(9), &[], Err(Reason::BodyTooLarge { max: 8 }));
    check_whole("123456789", Unknown, &[], Err(Reason::BodyTooLarge { max: 8 }));
    check_whole("good", Unknown, &["12345678901"], Err(Reason::ResponseTooLarge { max: 10 }));
}

/// Row 174 for both kinds: a response that is too long is a fault of the server's.
#[test]
fn answers_that_are_too_long_are_told_in_the_dialect() {
    use model::Kind::{Http, Proxy, Rest};
    let long = |_: &Request| Err(Reason::ResponseTooLarge { max: 10 << 20 });
    check_failure(Rest, long, 500, "Internal server error");
    check_failure(Http, long, 500, "Internal Server Error");
    check_failure(Proxy, long, 502, "Bad Gateway");
}
