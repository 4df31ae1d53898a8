//! Responses that are compressed on their way out, and requests that come compressed (row 125).

use message::{Length, Method};
use policy::compression::{Coder, Coding, Spare, Step};

use super::*;

/// As no client of these tests would send it by hand.
fn coded(coding: Coding, plain: &[u8]) -> Vec<u8> {
    let mut spare = Spare::default();
    let mut coder = Coder::compress(coding, &mut spare);
    while coder.step(plain).unwrap() == Step::More {}
    coder.finish(&mut spare)
}

fn plain(coding: Coding, coded: &[u8]) -> Vec<u8> {
    let mut coder = Coder::decompress(coding, 100 << 20);
    while coder.step(coded).unwrap() == Step::More {}
    coder.finish(&mut Spare::default())
}

fn compressing(kind: model::Kind, minimum_bytes: u32) -> Snapshot {
    let mut model = model(kind, vec![route("ANY /"), route("ANY /{path+}")]);
    model.apis[0].definition.minimum_compression_bytes = Some(minimum_bytes);
    snapshot(&model)
}

fn accepting(asked: &str, accepted: &str) -> Request {
    let mut request = request(asked);
    request.headers.push("Accept-Encoding", accepted.as_bytes());
    request
}

/// How a body of so many bytes comes to who accepts this, where 1,000 bytes are compressed.
#[track_caller]
fn check_coded(accepted: &str, bytes: usize, expected: Option<Coding>) {
    let core = fake(|request| {
        let bytes = request.target.query().unwrap().parse().unwrap();
        Ok(Response::with_body(200, "text/plain", vec![b'a'; bytes].into()))
    });
    let snapshot = compressing(model::Kind::Rest, 1_000);
    let (_, response) = run(&snapshot, &mut accepting(&format!("GET /?{bytes}"), accepted), &core);
    let Body::Whole(body) = &response.body else { panic!("{response:?}") };
    let coding = response.headers.find("content-encoding").map(|text| std::str::from_utf8(text).unwrap());
    assert_eq!(coding, expected.map(Coding::as_str), "{accepted} {bytes}");
    assert_eq!(response.headers.find("vary").is_some(), bytes >= 1_000, "{accepted} {bytes}");
    let sent = expected.map_or_else(|| body.to_vec(), |coding| plain(coding, body));
    assert_eq!(sent, vec![b'a'; bytes], "{accepted} {bytes}");
    // What others wait for is a slice, and what it took is free again but for what goes out.
    assert_eq!(core.pauses.get(), if expected.is_some() { bytes.div_ceil(32 << 10) - 1 } else { 0 });
    assert_eq!(core.held.get(), if expected.is_some() { body.len() } else { 0 });
}

/// Row 63: an answer that is streamed may be longer than 10 MB, and is in the coding that its backend gave it.
#[test]
fn what_is_streamed_is_left_as_it_is() {
    for (streams, bytes_max) in [(false, 10 << 20), (true, u64::MAX)] {
        let mut declared = model::Declared::new(model::IntegrationType::HttpProxy);
        declared.uri = Some("http://backend.example/".into());
        declared.streams = streams;
        let mut method = route("GET /");
        method.integration = model::Integration::Declared(Box::new(declared));
        method.cache = Some(cache_for_a_minute());
        let mut model = model(model::Kind::Rest, vec![method]);
        model.apis[0].definition.minimum_compression_bytes = Some(0);
        let snapshot = snapshot(&model);
        let core = fake(|_| Ok(Response::with_body(200, "text/plain", vec![b'a'; 1_000].into())));
        let mut asked = accepting("GET /", "gzip");
        let (served, response) = run(&snapshot, &mut asked, &core);
        assert_eq!(response.headers.find("content-encoding").is_none(), streams);
        assert_eq!(served.cached.is_none(), streams, "row 89: it is never kept");
        assert_eq!(served.route.unwrap().response_bytes_max, bytes_max);
    }
}

#[test]
fn responses_are_compressed_for_who_accepts_it() {
    check_coded("gzip", 999, None);
    check_coded("gzip", 1_000, Some(Coding::Gzip));
    check_coded("deflate", 1_000, Some(Coding::Deflate));
    check_coded("br", 1_000, None);
    check_coded("gzip, deflate, br", 1_000_000, Some(Coding::Gzip));
    check_coded("gzip;q=0, *", 100_000, Some(Coding::Deflate));
    check_coded("identity", 100_000, None);
}

/// What is answered without a backend, whatever answers it, and what streams, which is had whole for it.
#[test]
fn whatever_answers_it_is_compressed() {
    let snapshot = compressing(model::Kind::Proxy, 0);
    let core = fake(|request| match request.target.path() {
        "/stream" => Ok(Response { body: Body::Stream(Length::Unknown), ..Response::default() }),
        "/long" => Ok(Response { body: Body::Stream(Length::Known((10 << 20) + 1)), ..Response::default() }),
        "/empty" => Ok(Response::new(200)),
        path => Ok(Response::with_body(404, "text/plain", path.to_owned().into())),
    });
    core.sent.borrow_mut().push("streamed");
    let ask = |asked: &str| run(&snapshot, &mut accepting(asked, "gzip"), &core).1;
    let streamed = ask("GET /stream");
    let Body::Whole(body) = &streamed.body else { panic!("{streamed:?}") };
    assert_eq!(plain(Coding::Gzip, body), b"streamed");
    // Too long to be had whole: it passes as it is.
    assert!(matches!(ask("GET /long").body, Body::Stream(_)));
    assert_eq!(ask("GET /empty").body, Body::Empty);
    assert!(ask("GET /a").headers.find("content-encoding").is_some());
    assert!(ask("HEAD /a").headers.find("content-encoding").is_none());
    core.overloaded.set(true);
    let refused = ask("GET /a");
    assert_eq!((refused.status, refused.headers.find("content-encoding")), (503, Some(&b"gzip"[..])));
}

/// What there is no memory for goes out as it is.
#[test]
fn without_memory_nothing_is_compressed() {
    let snapshot = compressing(model::Kind::Proxy, 0);
    let core = fake(|_| Ok(Response::with_body(200, "text/plain", vec![b'a'; 100_000].into())));
    core.held_max.set(1_000);
    let (_, response) = run(&snapshot, &mut accepting("GET /", "gzip"), &core);
    assert_eq!(response.headers.find("content-encoding"), None);
    assert_eq!(response.body.length(), Some(100_000));
}

/// What is in the cache is in no coding: each client gets its own.
#[test]
fn the_cache_keeps_what_is_in_no_coding() {
    let mut pets = route("GET /pets");
    pets.cache = Some(model::Cache {
        mode: model::CacheMode::Fixed,
        ttl: std::time::Duration::from_secs(60),
        key: Some(Vec::new()),
        methods: vec!["GET".into()],
        client_invalidation: false,
        body_bytes_max: 1 << 20,
        origin: None,
    });
    let mut model = model(model::Kind::Proxy, vec![pets]);
    model.apis[0].definition.minimum_compression_bytes = Some(0);
    let snapshot = snapshot(&model);
    let core = fake(|_| Ok(Response { body: Body::Stream(Length::Unknown), ..Response::default() }));
    core.sent.borrow_mut().push("hello");
    let (mut first, response) = run(&snapshot, &mut accepting("GET /pets", "gzip"), &core);
    assert_eq!(response.headers.find("content-encoding"), Some(&b"gzip"[..]));
    let Some(Fate::Keep(keep)) = first.take_fate() else { panic!("{first:?}") };
    let (ticket, stored) = keep.finish().unwrap();
    core.store.borrow_mut().fill(ticket, stored, core.now.get());
    for (accepted, coding) in [("deflate", Some(&b"deflate"[..])), ("br", None)] {
        let (served, response) = run(&snapshot, &mut accepting("GET /pets", accepted), &core);
        assert_eq!((served.cached, core.calls.get()), (Some(CacheResult::Hit), 1));
        assert_eq!(response.headers.find("content-encoding"), coding);
        let Body::Whole(body) = &response.body else { panic!("{response:?}") };
        let body = if coding.is_some() { plain(Coding::Deflate, body) } else { body.to_vec() };
        assert_eq!(body, b"hello");
    }
}

/// What comes of a body that is said to be coded so: what the backend gets, or status and answer.
#[track_caller]
fn check_decoded(encoding: &str, sent: &[u8], expected: Result<&[u8], (u16, &str)>) {
    let core = fake(|request| {
        assert_eq!(request.headers.find("content-encoding"), None);
        let Body::Whole(body) = &request.body else { panic!("{request:?}") };
        Ok(Response::with_body(200, "text/plain", body.clone()))
    });
    let snapshot = compressing(model::Kind::Rest, 10 << 20);
    let mut request = Request { body: Body::Whole(sent.to_vec().into()), ..request("POST /") };
    request.headers.push("Content-Encoding", encoding.as_bytes());
    let (_, response) = run(&snapshot, &mut request, &core);
    let Body::Whole(body) = &response.body else { panic!("{response:?}") };
    match expected {
        Ok(plain) => assert_eq!((response.status, &body[..]), (200, plain), "{encoding}"),
        Err((status, text)) => {
            assert_eq!((response.status, std::str::from_utf8(body).unwrap()), (status, text), "{encoding}");
            assert_eq!(core.calls.get(), 0, "{encoding}");
        }
    }
}

#[test]
fn requests_that_come_compressed_are_put_as_they_were() {
    let text = b"{\"name\": \"value\"}".repeat(10_000);
    check_decoded("gzip", &coded(Coding::Gzip, &text), Ok(&text));
    check_decoded("X-GZIP", &coded(Coding::Gzip, b"hello"), Ok(b"hello"));
    check_decoded("deflate", &coded(Coding::Deflate, &text), Ok(&text));
    check_decoded("identity", b"hello", Ok(b"hello"));
    check_decoded("gzip", b"", Ok(b""));
    let bad = (400, "{\"message\":\"Bad Request\"}");
    check_decoded("gzip", b"hello", Err(bad));
    check_decoded("deflate", &coded(Coding::Gzip, &text), Err(bad));
    check_decoded("gzip", &coded(Coding::Gzip, &text)[..100], Err(bad));
    // Row 135: a bomb is what it comes to.
    let bomb = coded(Coding::Gzip, &vec![0; (10 << 20) + 1]);
    check_decoded("gzip", &bomb, Err((413, "HTTP content length exceeded 10485760 bytes.")));
    check_decoded("gzip", &coded(Coding::Gzip, &vec![0; 10 << 20]), Ok(&vec![0; 10 << 20]));
}

/// What is coded otherwise, or sent to who compresses nothing, is the backend's affair.
#[test]
fn other_codings_pass() {
    let core = fake(|request| {
        let coding = request.headers.find("content-encoding").unwrap().to_vec();
        Ok(Response::with_body(200, "text/plain", coding.into()))
    });
    let ask = |snapshot: &Snapshot, coding: &str| {
        let mut request = Request { body: Body::Whole("hello".into()), ..request("POST /") };
        request.method = Method::Post;
        request.headers.push("Content-Encoding", coding.as_bytes());
        run(snapshot, &mut request, &core).1.body
    };
    for coding in ["br", "gzip, gzip", "zstd"] {
        let told = ask(&compressing(model::Kind::Proxy, 0), coding);
        assert_eq!(told, Body::Whole(Bytes::from(coding)), "{coding}");
    }
    let plainly = snapshot(&model(model::Kind::Proxy, vec![route("ANY /")]));
    assert_eq!(ask(&plainly, "gzip"), Body::Whole("gzip".into()));
}
