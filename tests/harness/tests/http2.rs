//! The HTTP/2 client and backend of the harness prove themselves on peers that are not ours: nghttpd, nginx, curl.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

use std::{net::SocketAddr, time::Duration};

use harness::{
    Broken, Gate, Nghttpd, Nginx, curl, free_port,
    h2::{self, Act, Frame, code, flag, kind, setting},
    openssl,
};

/// nginx that also speaks HTTP/2 at the address, with TLS if it is told a certificate.
fn nginx(tls: &str) -> (Nginx, SocketAddr) {
    let port = free_port();
    let ssl = if tls.is_empty() { "" } else { "ssl " };
    let nginx = Nginx::start_with(&format!("listen 127.0.0.1:{port} {ssl}http2; {tls}"));
    (nginx, SocketAddr::from(([127, 0, 0, 1], port)))
}

#[test]
fn nghttpd_answers() {
    let server = Nghttpd::start_with(&["--trailer", "x-end: yes"]);
    let large = "0123456789abcdef".repeat(1 << 16);
    server.put("small", "hello");
    server.put("large", &large);
    let mut connection = h2::Connection::open(server.address());
    let response = connection.ask("GET /small").response();
    assert_eq!(
        (response.status, response.text(), response.version.as_str()),
        (200, "hello".to_owned(), "HTTP/2")
    );
    assert_eq!(response.trailers, [("x-end".to_owned(), "yes".to_owned())]);
    assert_eq!(connection.ask("GET /none").response().status, 404);
    assert!(connection.ask("GET /large").response().body == large.as_bytes());
    assert!(connection.ask_with_body("POST /echo", large.as_bytes()).response().body == large.as_bytes());
    for _ in 0..50 {
        connection.ask("GET /small\nx-name: some value\ncookie: a=b");
    }
    for _ in 0..50 {
        assert_eq!(connection.response().text(), "hello");
    }
    assert_eq!(connection.ask("HEAD /small").response().body, b"");
    connection.round_trip().unwrap();
}

#[test]
fn nginx_answers() {
    let (_nginx, address) = nginx("");
    let mut connection = h2::Connection::open(address);
    assert_eq!(connection.ask("GET /small").response().text(), "small");
    let several: Vec<u32> = (0..20).map(|_| connection.begin("GET /large", true)).collect();
    for stream in several.into_iter().rev() {
        assert_eq!(connection.outcome(stream).unwrap().body.len(), 1 << 20);
    }
    assert_eq!(connection.ask("GET /show?a").response().text(), "GET /show?a HTTP/2.0 gateway.test");
    let put = connection.request("PUT", "/files/new", &[("x-a", "b")], &vec![b'x'; 200_000]);
    assert_eq!((put.status, put.reset), (201, None));
    assert!(connection.setting(setting::MAX_CONCURRENT_STREAMS).is_some());
}

#[test]
fn nginx_answers_over_tls() {
    let folder = tempfile::TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (key, chain) = (at("key"), at("chain"));
    let made = openssl(
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-keyout",
            &key,
            "-out",
            &chain,
        ],
        b"",
    );
    assert!(made.status.success());
    let (_nginx, address) = nginx(&format!("ssl_certificate {chain}; ssl_certificate_key {key};"));
    let mut connection = h2::Connection::open_tls(address, "localhost");
    assert_eq!(connection.ask("GET /small").response().text(), "small");
    assert_eq!(connection.ask("GET /large").response().body.len(), 1 << 20);
    // What is a command to openssl elsewhere.
    let body = b"Q\nR\nk\nK\n".repeat(100);
    assert_eq!(connection.request("PUT", "/files/new", &[], &body).status, 201);
    connection.frame(&Frame::window_update(0, 0));
    assert!(connection.ends_within(Duration::from_secs(5)).is_some());
    assert_eq!(connection.gone()[0].code, code::PROTOCOL_ERROR);
}

/// A window of one byte, then more, then less than nothing.
#[test]
fn credit_is_what_we_say() {
    let server = Nghttpd::start();
    server.put("text", &"x".repeat(100_000));
    let settings = vec![(setting::INITIAL_WINDOW_SIZE, 1)];
    let options = h2::Options { settings, answers: false, ..h2::Options::default() };
    let mut connection = h2::Connection::open_with(server.address(), options);
    connection.frame(&Frame::settings_ack());
    let stream = connection.begin("GET /text", true);
    assert_eq!(connection.body_of(stream, 1).len(), 1);
    assert!(connection.quiet_for(Duration::from_millis(50)));
    connection.frame(&Frame::window_update(stream, 10));
    assert_eq!(connection.body_of(stream, 11).len(), 11);
    connection.frame(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 1_001)]));
    assert_eq!(connection.body_of(stream, 1_011).len(), 1_011);
    connection.frame(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 0)]));
    // 1,001 less than nothing: the first thousand is no room yet.
    connection.frame(&Frame::window_update(stream, 1_001));
    while connection.next_frame_within(Duration::from_millis(50)).is_ok() {}
    assert_eq!(connection.so_far(stream).body.len(), 1_011);
    connection.frame(&Frame::window_update(stream, 9));
    assert_eq!(connection.body_of(stream, 1_020).len(), 1_020);
}

/// What breaks the rules is told with the RFC's code.
#[test]
fn nghttpd_and_nginx_refuse_what_is_wrong() {
    let nghttpd = Nghttpd::start();
    let (_nginx, nginx) = nginx("");
    for address in [nghttpd.address(), nginx] {
        let mut connection = h2::Connection::open(address);
        connection.frame(&Frame::window_update(0, 0));
        assert!(connection.ends_within(Duration::from_secs(5)).is_some());
        assert_eq!(connection.gone()[0].code, code::PROTOCOL_ERROR);
        let mut connection = h2::Connection::open(address);
        let block = h2::Block::new().indexed(2).indexed(99);
        connection.frame(&Frame::headers(1, flag::END_HEADERS | flag::END_STREAM, block));
        assert!(connection.ends_within(Duration::from_secs(5)).is_some());
        assert_eq!(connection.gone()[0].code, code::COMPRESSION_ERROR);
    }
}

#[test]
fn curl_asks_an_origin() {
    let large = "0123456789abcdef".repeat(1 << 14);
    let body = large.clone();
    let origin = h2::Origin::start(move |request| match request.target() {
        "/echo" => vec![Act::head(200, &[], false), Act::Echo],
        "/hints" => {
            [vec![Act::head(103, &[("link", "</a>")], false)], Act::answer(200, &[], "late")].concat()
        }
        _ => [vec![Act::ReadBody], Act::answer(200, &[("x-a", "b")], &body)].concat(),
    });
    let ask = |arguments: &[&str], path: &str| {
        let url = format!("{}{path}", origin.url());
        curl(&[&["--http2-prior-knowledge"], arguments, &[url.as_str()]].concat()).response().text()
    };
    assert!(ask(&[], "/").ends_with(&large));
    assert!(ask(&["-d", &large[..100_000]], "/echo").ends_with(&large[..100_000]));
    assert!(ask(&[], "/hints").ends_with("late"));
    assert_eq!(origin.answered(3).len(), 3);
    assert_eq!(origin.requests()[1].body.len(), 100_000);
    assert_eq!(origin.faults(), Vec::<String>::new());
}

#[test]
fn an_origin_follows_its_script() {
    let gate = Gate::default();
    let waits = gate.clone();
    let origin = h2::Origin::start(move |request| match request.target() {
        "/reset" => vec![
            Act::head(200, &[("content-length", "9")], false),
            Act::Data(b"half".to_vec(), false),
            Act::Reset(code::INTERNAL_ERROR),
        ],
        "/refuse" => vec![Act::Reset(code::REFUSED_STREAM)],
        "/trailers" => vec![
            Act::head(200, &[], false),
            Act::Data(b"body".to_vec(), false),
            Act::trailers(&[("grpc-status", "0")]),
        ],
        "/gate" => [vec![Act::Wait(waits.clone())], Act::answer(200, &[], "open")].concat(),
        "/away" => [vec![Act::GoAway(None, code::NO_ERROR)], Act::answer(200, &[], "last")].concat(),
        "/close" => vec![Act::Close],
        "/abort" => vec![Act::Abort],
        "/ping" => vec![Act::Frame(Frame::ping([1; 8])), Act::Stall],
        _ => [vec![Act::ReadBody], Act::answer(200, &[], "ok")].concat(),
    });
    let mut connection = h2::Connection::open(origin.address());
    let waiting = connection.begin("GET /gate", true);
    let broken = connection.request("GET", "/reset", &[], b"");
    assert_eq!(
        (broken.status, broken.text(), broken.reset),
        (200, "half".to_owned(), Some(code::INTERNAL_ERROR))
    );
    let refused = connection.request("GET", "/refuse", &[], b"");
    assert_eq!((refused.status, refused.reset), (0, Some(code::REFUSED_STREAM)));
    let with_trailers = connection.request("GET", "/trailers", &[], b"");
    assert_eq!(with_trailers.trailers, [("grpc-status".to_owned(), "0".to_owned())]);
    let up = connection.begin("POST /up", false);
    connection.data(up, &vec![b'x'; 200_000], false).trailers(up, &[("x-sum", "1")]);
    assert_eq!(connection.outcome(up).unwrap().text(), "ok");
    let seen = origin.finds("the upload", |request| request.target() == "/up");
    assert_eq!((seen.body.len(), &seen.trailers[0].0[..], seen.ended), (200_000, "x-sum", true));
    assert!(!connection.is_over(waiting));
    gate.open();
    assert_eq!(connection.outcome(waiting).unwrap().text(), "open");
    connection.begin("GET /ping", true);
    // It is answered when it is read.
    let is_ping = |frame: &Frame| frame.kind == kind::PING;
    connection.wait_until(|connection| connection.frames().iter().any(is_ping)).unwrap();
    assert!(origin.frame(0, "an answer to the ping", is_ping).has(flag::ACK));
    assert_eq!(connection.ask("GET /away").response().text(), "last");
    assert_eq!(connection.gone().len(), 1);
    for path in ["/close", "/abort"] {
        let mut connection = h2::Connection::open(origin.address());
        assert!(
            matches!(connection.ask(&format!("GET {path}")).try_response(), Err(Broken::Ended(_))),
            "{path}"
        );
    }
    assert_eq!(origin.connections(), 3);
    assert_eq!(origin.faults(), Vec::<String>::new());
}

/// What a client may not do is noticed.
#[test]
fn an_origin_judges() {
    let origin = h2::Origin::fixed("ok");
    for (frame, fault) in [
        (Frame::data(1, 0, "a"), "idle"),
        (Frame::headers(2, flag::END_HEADERS, h2::Block::of(&[(":method", "GET")])), "5.1.1"),
        (Frame::continuation(1, 0, ""), "CONTINUATION"),
        (Frame::window_update(0, 0), "6.9"),
        (Frame::headers(1, flag::END_HEADERS, [0xff, 0xff]), "ends within"),
    ] {
        let mut connection = h2::Connection::open(origin.address());
        let faults = origin.faults().len();
        connection.frame(&frame);
        connection.ends_within(Duration::from_secs(5)).unwrap();
        let found = harness::eventually("a fault", || origin.faults().get(faults).cloned());
        assert!(found.contains(fault), "{found}");
    }
}
