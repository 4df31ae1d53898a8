//! Backends that fail: the client gets the right status, or a cut connection, and never an answer that looks whole and
//! is not. A connection that misbehaved is not used again.

use std::time::{Duration, Instant};

use harness::{Act, Gateway, Origin, free_port};

use crate::everything_with;

mod streams;

over_both! {
    what_is_no_answer_is_a_bad_gateway
    silence_is_a_timeout
    half_a_head_is_a_timeout
    the_whole_call_has_a_bound
    nobody_listens
    a_name_that_does_not_exist
    a_short_body_never_looks_whole
    a_reset_does_not_end_a_body
    several_targets_by_least_load
    a_post_is_not_repeated
    a_client_that_leaves_frees_the_backend
}

// What is said in both protocols' own ways by scripted backends.
over! {
    http2_to_http2, Http2 to Http2:
    silence_is_a_timeout
    nobody_listens
    a_name_that_does_not_exist
    several_targets_by_least_load
    a_post_is_not_repeated
    a_client_that_leaves_frees_the_backend
}

fn bytes(text: &str) -> Act {
    Act::Send(text.as_bytes().to_vec())
}

/// A backend whose first request meets this script; later ones are answered well.
fn once(script: Vec<Act>) -> Origin {
    Origin::start(
        move |request| {
            if request.target() == "/" { script.clone() } else { vec![Act::answer(200, &[], "well")] }
        },
    )
}

/// The status that a client gets, and that the gateway works on.
#[track_caller]
fn check(script: Vec<Act>, status: u16, message: &str) {
    let origin = once(script);
    let deadlines = "connect_timeout = \"1s\"\nfirst_byte_timeout = \"300ms\"\nidle_timeout = \"300ms\"\n";
    let gateway = Gateway::start(&everything_with(&origin.url(), deadlines));
    let mut connection = gateway.client();
    let response = connection.ask("GET /").response();
    assert_eq!((response.status, response.message()), (status, message.to_owned()));
    assert_eq!(gateway.ask("GET /well").text(), "well");
}

fn what_is_no_answer_is_a_bad_gateway() {
    check(vec![Act::Close], 502, "Bad Gateway");
    check(vec![Act::Reset], 502, "Bad Gateway");
    check(vec![bytes("hello\r\n\r\n")], 502, "Bad Gateway");
    check(vec![bytes("HTTP/1.1 2000 OK\r\n\r\n")], 502, "Bad Gateway");
    check(
        vec![bytes("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello")],
        502,
        "Bad Gateway",
    );
    check(
        vec![bytes("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n")],
        502,
        "Bad Gateway",
    );
    check(vec![bytes("HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n")], 502, "Bad Gateway");
    check(vec![bytes("HTTP/1.1 200 OK\nContent-Length: 0\n\n")], 502, "Bad Gateway");
    check(vec![bytes("HTTP/1.1 200 OK\r\nContent-Le"), Act::Close], 502, "Bad Gateway");
    let endless = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(1 << 20));
    check(vec![bytes(&endless)], 502, "Bad Gateway");
}

fn silence_is_a_timeout() {
    let origin = once(vec![Act::Stall]);
    let gateway = Gateway::start(&everything_with(&origin.url(), "first_byte_timeout = \"400ms\"\n"));
    let asked = Instant::now();
    let response = gateway.ask("GET /");
    let took = asked.elapsed();
    assert_eq!((response.status, response.message()), (504, "Gateway Timeout".to_owned()));
    assert!((Duration::from_millis(400)..Duration::from_millis(900)).contains(&took), "after {took:?}");
    assert_eq!(gateway.ask("GET /well").text(), "well");
}

fn half_a_head_is_a_timeout() {
    check(vec![bytes("HTTP/1.1 200 OK\r\nContent-Le"), Act::Stall], 504, "Gateway Timeout");
}

fn the_whole_call_has_a_bound() {
    let drip = Act::Drip(vec![b'x'; 100], Duration::from_millis(50));
    let origin = once(vec![bytes("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"), drip]);
    let gateway = Gateway::start(&everything_with(&origin.url(), "total_timeout = \"500ms\"\n"));
    let asked = Instant::now();
    let mut connection = gateway.client();
    connection.ask("GET /").is_cut();
    assert!(asked.elapsed() < Duration::from_secs(3), "after {:?}", asked.elapsed());
}

fn nobody_listens() {
    let gateway = Gateway::start(&everything_with(&format!("http://127.0.0.1:{}", free_port()), ""));
    let response = gateway.ask("GET /");
    assert_eq!((response.status, response.message()), (502, "Bad Gateway".to_owned()));
}

fn a_name_that_does_not_exist() {
    let gateway = Gateway::start(&everything_with("http://no-such-host.invalid:80", ""));
    let response = gateway.ask("GET /");
    assert_eq!((response.status, response.message()), (502, "Bad Gateway".to_owned()));
}

/// A body that ends too early must not look whole, however it was framed.
#[track_caller]
fn check_cut(script: Vec<Act>) {
    let origin = once(script);
    let gateway = Gateway::start(&everything_with(&origin.url(), "idle_timeout = \"300ms\"\n"));
    let mut connection = gateway.client();
    connection.ask("GET /").is_cut();
    assert_eq!(gateway.ask("GET /well").text(), "well");
}

fn a_short_body_never_looks_whole() {
    check_cut(vec![bytes("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), Act::Close]);
    check_cut(vec![bytes("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), Act::Reset]);
    check_cut(vec![bytes("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), Act::Stall]);
    check_cut(vec![bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"), Act::Close]);
    check_cut(vec![
        bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n"),
        Act::Stall,
    ]);
    check_cut(vec![
        bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalfmore\r\n"),
        Act::Stall,
    ]);
}

/// A body until the end of the connection has no mark of its end; a reset is none.
fn a_reset_does_not_end_a_body() {
    check_cut(vec![bytes("HTTP/1.0 200 OK\r\n\r\nhalf"), Act::Reset]);
}

/// The one with the least in flight is asked: a stuck target does not get the second request.
fn several_targets_by_least_load() {
    let stuck = Origin::start(|_| vec![Act::Stall]);
    let good = Origin::fixed("good");
    let config = format!(
        "[upstream.both]\ntargets = [\"{}\", \"{}\"]\n[[route]]\nmatch = \"$default\"\nupstream = \"both\"\n",
        stuck.url(),
        good.url()
    );
    let gateway = Gateway::start(&config);
    let mut waiting = Vec::new();
    while stuck.requests().is_empty() {
        let mut connection = gateway.client();
        connection.ask("GET /");
        waiting.push(connection);
        assert!(waiting.len() < 20, "the first target is never asked");
        // One of the two has been asked by now.
        harness::eventually("a target is asked", || {
            (stuck.requests().len() + good.requests().len() >= waiting.len()).then_some(())
        });
    }
    for _ in 0..10 {
        assert_eq!(gateway.ask("GET /").text(), "good");
    }
}

/// A request that may have been carried out is not sent twice.
fn a_post_is_not_repeated() {
    let origin = Origin::start(|_| vec![Act::ReadBody, Act::Close]);
    let gateway = Gateway::start(&everything_with(&origin.url(), ""));
    assert_eq!(gateway.ask_with_body("POST /", b"once").status, 502);
    assert_eq!(origin.requests().len(), 1);
}

/// A client that goes away takes its call with it.
fn a_client_that_leaves_frees_the_backend() {
    let origin = once(vec![Act::Stall]);
    let gateway = Gateway::start(&everything_with(&origin.url(), ""));
    let mut connection = gateway.client();
    connection.ask("GET /");
    origin.received(1);
    let _connection = connection.give_up();
    origin.given_up(1);
    assert_eq!(gateway.ask("GET /well").text(), "well");
}
