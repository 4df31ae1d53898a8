//! Backends of HTTP/2 that fail: the same promises as with HTTP/1.1, and a stream's fault is the stream's alone.

use std::sync::atomic::{AtomicUsize, Ordering};

use harness::{
    Gateway, Protocol,
    h2::{Act, Block, Frame, Origin, code, flag},
    over,
};

use crate::everything_with;

over! {
    http1_to_http2, Http1 to Http2:
    what_is_no_answer_is_a_bad_gateway
    silence_is_a_timeout
    a_short_body_never_looks_whole
    a_stream_that_fails_harms_no_other
    what_was_not_begun_is_asked_again
    trailers_go_where_they_can
}

over! {
    http2_to_http2, Http2 to Http2:
    what_is_no_answer_is_a_bad_gateway
    silence_is_a_timeout
    a_short_body_never_looks_whole
    a_stream_that_fails_harms_no_other
    what_was_not_begun_is_asked_again
    trailers_go_where_they_can
}

const DEADLINES: &str =
    "connect_timeout = \"1s\"\nfirst_byte_timeout = \"300ms\"\nidle_timeout = \"300ms\"\n";

fn well() -> Vec<Act> {
    Act::answer(200, &[], "well")
}

/// A backend whose `/` meets this script; all else is answered well.
fn failing(script: Vec<Act>) -> Origin {
    Origin::start(move |request| if request.target() == "/" { script.clone() } else { well() })
}

/// A head as it must not be.
fn head(block: Block, flags: u8) -> Act {
    Act::OnStream(Frame::headers(1, flag::END_HEADERS | flags, block.bytes()))
}

#[track_caller]
fn check(what: &str, script: Vec<Act>, status: u16, message: &str) {
    let origin = failing(script);
    let gateway = Gateway::start(&everything_with(&origin.url(), DEADLINES));
    let mut client = gateway.client();
    let response = client.ask("GET /").response();
    assert_eq!((response.status, response.message()), (status, message.to_owned()), "{what}");
    assert_eq!(client.ask("GET /well").response().text(), "well", "{what}");
    assert_eq!(origin.faults(), Vec::<String>::new(), "{what}");
}

fn what_is_no_answer_is_a_bad_gateway() {
    let status = |status: &str| Block::new().literal(":status", status);
    for (what, script) in [
        ("closed", vec![Act::Close]),
        ("reset by TCP", vec![Act::Abort]),
        ("reset", vec![Act::Reset(code::INTERNAL_ERROR)]),
        ("refused again and again", vec![Act::Reset(code::REFUSED_STREAM)]),
        ("no status", vec![head(Block::new().literal("x", "y"), flag::END_STREAM)]),
        ("two statuses", vec![head(status("200").literal(":status", "200"), flag::END_STREAM)]),
        ("a status of four digits", vec![head(status("2000"), flag::END_STREAM)]),
        ("101", vec![head(status("101"), 0)]),
        ("a large letter", vec![head(status("200").literal("X-Y", "z"), flag::END_STREAM)]),
        ("Connection", vec![head(status("200").literal("connection", "close"), flag::END_STREAM)]),
        (
            "a length twice",
            vec![head(status("200").literal("content-length", "1").literal("content-length", "2"), 0)],
        ),
        ("DATA first", vec![Act::OnStream(Frame::data(1, flag::END_STREAM, "body"))]),
        ("half a block", vec![Act::OnStream(Frame::headers(1, 0, status("200").bytes())), Act::Close]),
        ("an end with an interim answer", vec![Act::head(103, &[], true)]),
        ("interim answers without end", vec![Act::head(103, &[], false); 1_000]),
        ("no HTTP/2", vec![Act::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec())]),
    ] {
        check(what, script, 502, "Bad Gateway");
    }
}

fn silence_is_a_timeout() {
    check("nothing", vec![Act::Stall], 504, "Gateway Timeout");
    check("hints", vec![Act::head(103, &[], false), Act::Stall], 504, "Gateway Timeout");
}

/// However a body ends too early.
fn a_short_body_never_looks_whole() {
    let long = |fields: &[(&str, &str)]| [Act::head(200, fields, false), Act::Data(b"half".to_vec(), false)];
    let (known, unknown) = (&[("content-length", "10")][..], &[][..]);
    for (what, fields, end) in [
        ("closed", known, Act::Close),
        ("closed", unknown, Act::Close),
        ("reset by TCP", known, Act::Abort),
        ("reset by TCP", unknown, Act::Abort),
        ("reset", known, Act::Reset(code::INTERNAL_ERROR)),
        ("reset", unknown, Act::Reset(code::INTERNAL_ERROR)),
        ("reset without an error", unknown, Act::Reset(code::NO_ERROR)),
        ("silent", known, Act::Stall),
        ("silent", unknown, Act::Stall),
        ("ended too early", known, Act::Data(Vec::new(), true)),
        ("too long", known, Act::Data(b"than it said".to_vec(), true)),
        ("trailers too early", known, Act::trailers(&[("x", "y")])),
    ] {
        let origin = failing([&long(fields)[..], &[end]].concat());
        let gateway = Gateway::start(&everything_with(&origin.url(), DEADLINES));
        let mut client = gateway.client();
        let cut = client.ask("GET /").try_response();
        // A head that tells a length is held until its body begins: what is lost with the connection before that was none.
        let is_refused = fields == known && cut.as_ref().is_ok_and(|response| response.status == 502);
        assert!(is_refused || matches!(cut, Err(harness::Broken::Ended(_))), "{what}: {cut:?}");
        assert_eq!(gateway.ask("GET /well").text(), "well", "{what}");
    }
}

/// Streams of one connection, of which some fail; nobody else is asked anew.
fn a_stream_that_fails_harms_no_other() {
    let gate = harness::Gate::default();
    let waits = gate.clone();
    let origin = Origin::start(move |request| match request.target() {
        "/waits" => [vec![Act::Wait(waits.clone())], well()].concat(),
        "/reset" => vec![Act::Reset(code::INTERNAL_ERROR)],
        "/wrong" => vec![head(Block::new().literal("x", "y"), flag::END_STREAM)],
        _ => vec![Act::Stall],
    });
    let gateway = Gateway::start(&everything_with(&origin.url(), "first_byte_timeout = \"2s\"\n"));
    let mut waiting: Vec<_> = (0..4).map(|_| gateway.client()).collect();
    for client in &mut waiting {
        client.ask("GET /waits");
    }
    origin.received(4);
    let connections = origin.connections();
    for path in ["/reset", "/wrong", "/reset", "/wrong"] {
        assert_eq!(gateway.ask(&format!("POST {path}")).status, 502, "{path}");
    }
    let mut leaves = gateway.client();
    leaves.ask("GET /stall");
    origin.received(9);
    let _kept = leaves.give_up();
    origin.finds("who gave up", |request| request.target() == "/stall" && request.reset.is_some());
    gate.open();
    for client in &mut waiting {
        assert_eq!(client.response().text(), "well");
    }
    assert_eq!(origin.connections(), connections);
    assert_eq!(origin.faults(), Vec::<String>::new());
}

/// What a backend says that it has not begun may be asked again, whatever it does (RFC 9113, section 8.7): on a new connection,
/// where it was refused on one that others have used; a backend that refuses the first it is asked is left for another.
fn what_was_not_begun_is_asked_again() {
    for (what, refusal) in [
        ("REFUSED_STREAM", vec![Act::Reset(code::REFUSED_STREAM)]),
        ("GOAWAY", vec![Act::GoAway(Some(1), code::NO_ERROR), Act::Close]),
    ] {
        for request in ["GET /", "POST /"] {
            let asked = AtomicUsize::new(0);
            let refusal = refusal.clone();
            let origin = Origin::start(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
                1 => refusal.clone(),
                _ => well(),
            });
            let gateway = Gateway::start(&everything_with(&origin.url(), ""));
            assert_eq!(gateway.ask("GET /first").text(), "well");
            assert_eq!(gateway.ask(request).text(), "well", "{what} to {request}");
            assert_eq!(origin.requests().len(), 3, "{what} to {request}");
        }
    }
}

/// To a client of HTTP/1.1 a whole answer without them.
fn trailers_go_where_they_can() {
    let origin = Origin::start(|_| {
        vec![
            Act::head(200, &[], false),
            Act::Data(b"body".to_vec(), false),
            Act::trailers(&[("x-checksum", "1")]),
        ]
    });
    let gateway = Gateway::start(&everything_with(&origin.url(), ""));
    let response = gateway.ask("GET /");
    let passed = if over().clients == Protocol::Http2 { vec![("x-checksum", "1")] } else { Vec::new() };
    let trailers: Vec<_> =
        response.trailers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!((response.text().as_str(), trailers), ("body", passed));
}
