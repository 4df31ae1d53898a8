//! Framing on both sides: connections that are kept, requests that are pipelined, bodies of each kind, interim and early
//! answers.

use std::time::Duration;

use harness::{Act, Gateway, Origin, Protocol, over};

use crate::{everything, everything_with};

over_both! {
    connections_are_kept_on_both_sides
    bodies_of_unknown_length_both_ways
    a_body_until_the_end_of_the_connection_passes
    expect_continue
    expect_continue_is_not_said_with_a_refusal
    head_204_and_304_have_no_body
    interim_answers_pass_and_do_not_count
    interim_answers_without_end_are_a_fault
    an_early_answer_with_an_unread_body
    bytes_after_an_answer_spoil_the_connection
    a_pooled_connection_that_died_is_replaced
    a_slow_body_is_not_a_dead_one
}

// What is said in both protocols' own ways by scripted backends.
over! {
    http2_to_http2, Http2 to Http2:
    connections_are_kept_on_both_sides
    expect_continue
    expect_continue_is_not_said_with_a_refusal
    a_pooled_connection_that_died_is_replaced
}

fn gateway(origin: &Origin) -> Gateway {
    Gateway::start(&everything(&origin.url()))
}

/// An answer as bytes.
fn bytes(text: &str) -> Act {
    Act::Send(text.as_bytes().to_vec())
}

fn connections_are_kept_on_both_sides() {
    let origin = Origin::fixed("ok");
    let gateway = gateway(&origin);
    let mut connection = gateway.client();
    for number in 0..20 {
        assert_eq!(connection.ask(&format!("GET /{number}")).response().text(), "ok");
    }
    assert_eq!(origin.answered(20).len(), 20);
    assert_eq!(origin.connections(), 1, "the pool gives the same connection again");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::start(|request| vec![Act::ReadBody, Act::answer(200, &[], request.target())]);
    let gateway = gateway(&origin);
    let mut connection = gateway.connect();
    let all: String = (0..10).map(|number| format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    connection.send(all);
    for number in 0..10 {
        assert_eq!(connection.response().text(), format!("/{number}"));
    }
}

#[test]
fn close_is_obeyed_and_said() {
    let origin = Origin::fixed("ok");
    let gateway = gateway(&origin);
    let mut connection = gateway.connect();
    connection.ask("GET /\nconnection: close");
    assert_eq!(connection.response().field("connection"), Some("close"));
    assert_eq!(connection.rest(), b"");
}

#[test]
fn http_1_0_ends_after_one_answer() {
    let origin = Origin::fixed("ok");
    let gateway = gateway(&origin);
    let mut connection = gateway.connect();
    connection.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    let response = connection.response();
    assert_eq!((response.status, response.text()), (200, "ok".to_owned()));
    assert_eq!(connection.rest(), b"");
    assert!(origin.answered(1)[0].line().ends_with("HTTP/1.1"));
}

fn bodies_of_unknown_length_both_ways() {
    let origin = Origin::start(|_| {
        vec![
            Act::ReadBody,
            bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n1\r\ne\r\n0\r\n\r\n"),
        ]
    });
    let gateway = gateway(&origin);
    let mut connection = gateway.client();
    connection.begin("POST /").body(b"abc", false).body(b"0123456789", true);
    assert_eq!(connection.response().text(), "abcde");
    assert_eq!(origin.answered(1)[0].body, b"abc0123456789");
    assert_eq!(connection.ask("GET /").response().text(), "abcde");
}

/// A response to a client of HTTP/1.0 is never chunked.
#[test]
fn chunks_become_a_close_for_http_1_0() {
    let origin = Origin::start(|_| {
        vec![
            Act::ReadBody,
            bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n"),
        ]
    });
    let gateway = gateway(&origin);
    let mut connection = gateway.connect();
    let response = connection.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n").response();
    assert_eq!((response.field("transfer-encoding"), response.text()), (None, "abcd".to_owned()));
}

fn a_body_until_the_end_of_the_connection_passes() {
    let origin = Origin::start(|_| vec![bytes("HTTP/1.0 200 OK\r\n\r\nuntil the end"), Act::Close]);
    let gateway = gateway(&origin);
    let mut connection = gateway.client();
    for _ in 0..2 {
        let response = connection.ask("GET /").response();
        assert_eq!(response.text(), "until the end");
        let framed_by = (over().clients == Protocol::Http1).then_some("chunked");
        assert_eq!(response.field("transfer-encoding"), framed_by);
    }
}

/// RFC 9110 section 10.1.1: the client waits until it is told to go on.
fn expect_continue() {
    let origin = Origin::fixed("thanks");
    let gateway = gateway(&origin);
    let mut connection = gateway.client();
    connection.begin("POST /\ncontent-length: 4\nexpect: 100-continue");
    assert_eq!(connection.interim().status, 100);
    connection.body(b"body", true);
    assert_eq!(connection.response().text(), "thanks");
    let seen = &origin.answered(1)[0];
    assert_eq!((&seen.body[..], seen.field("expect")), (&b"body"[..], None));
}

/// Who is refused is not told to go on, and the body that then does not come is not waited for.
fn expect_continue_is_not_said_with_a_refusal() {
    let origin = Origin::fixed("ok");
    let gateway = Gateway::start(&format!("[limits]\nbody = \"2B\"\n{}", everything(&origin.url())));
    let mut connection = gateway.client();
    let response = connection.begin("POST /\ncontent-length: 4\nexpect: 100-continue").response();
    assert_eq!((response.status, connection.interims()), (413, 0));
    match over().clients {
        Protocol::Http1 => {
            assert!(connection.is_told_to_go(&response));
            connection.ends();
        }
        Protocol::Http2 => assert_eq!(connection.ask("GET /").response().text(), "ok"),
    }
}

fn head_204_and_304_have_no_body() {
    let origin = Origin::start(|request| {
        vec![match request.target() {
            "/204" => bytes("HTTP/1.1 204 No Content\r\n\r\n"),
            "/304" => bytes("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 99\r\n\r\n"),
            _ => bytes("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"),
        }]
    });
    let gateway = gateway(&origin);
    let mut connection = gateway.client();
    for _ in 0..2 {
        assert_eq!(connection.ask("GET /204").response().status, 204);
        assert_eq!(connection.ask("GET /304").response().field("etag"), Some("\"a\""));
        let head = connection.ask("HEAD /").response();
        assert_eq!((head.status, head.field("content-length")), (200, Some("99")));
    }
    assert_eq!(origin.connections(), 1, "nothing was left on the backend's connection");
}

fn interim_answers_pass_and_do_not_count() {
    let origin = Origin::start(|_| {
        vec![
            bytes("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"),
            bytes("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfinal"),
        ]
    });
    let gateway = gateway(&origin);
    let mut connection = gateway.client();
    for _ in 0..2 {
        assert_eq!(connection.ask("GET /").response().text(), "final");
    }
    assert_eq!(origin.connections(), 1);
}

fn interim_answers_without_end_are_a_fault() {
    let origin =
        Origin::start(|_| vec![bytes(&"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(10_000)), Act::Stall]);
    let gateway = gateway(&origin);
    assert_eq!(gateway.ask("GET /").status, 502);
}

/// The backend answers without reading the body: the client gets the answer, and the connections do not go wrong.
fn an_early_answer_with_an_unread_body() {
    let origin = Origin::start(|_| {
        vec![bytes("HTTP/1.1 403 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"), Act::Close]
    });
    let gateway = gateway(&origin);
    let mut connection = gateway.client();
    let response = connection.begin("POST /\ncontent-length: 1000000").body(b"first bytes", false).response();
    assert_eq!((response.status, response.text()), (403, "no".to_owned()));
}

/// What follows an answer on the backend's connection belongs to nobody: the connection is not used again.
fn bytes_after_an_answer_spoil_the_connection() {
    let origin = Origin::start(|_| {
        vec![bytes(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        )]
    });
    let gateway = gateway(&origin);
    let mut connection = gateway.client();
    for _ in 0..3 {
        assert_eq!(connection.ask("GET /").response().text(), "ok");
    }
    assert_eq!(origin.connections(), 3);
}

/// A connection that the backend closed while it lay in the pool costs no request.
fn a_pooled_connection_that_died_is_replaced() {
    let origin = Origin::start(|_| vec![Act::answer(200, &[], "ok"), Act::Close]);
    let gateway = gateway(&origin);
    let mut connection = gateway.client();
    for _ in 0..10 {
        assert_eq!(connection.ask("GET /").response().status, 200);
    }
}

fn a_slow_body_is_not_a_dead_one() {
    let origin = Origin::start(|_| {
        vec![
            bytes("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n"),
            Act::Drip(b"dripping".to_vec(), Duration::from_millis(60)),
        ]
    });
    let gateway = Gateway::start(&everything_with(&origin.url(), "idle_timeout = \"250ms\"\n"));
    assert_eq!(gateway.ask("GET /").text(), "dripping");
}
