//! HTTP/1.1's framing on both sides: connections that are kept, requests that are pipelined, bodies of each kind,
//! interim and early answers.

use std::time::Duration;

use harness::{Act, Gateway, Origin};

use crate::{everything, everything_with};

fn gateway(origin: &Origin) -> Gateway {
    Gateway::start(&everything(&origin.url()))
}

/// An answer as bytes.
fn bytes(text: &str) -> Act {
    Act::Send(text.as_bytes().to_vec())
}

#[test]
fn connections_are_kept_on_both_sides() {
    let origin = Origin::fixed("ok");
    let gateway = gateway(&origin);
    let mut connection = gateway.connect();
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

#[test]
fn chunked_both_ways() {
    let origin = Origin::start(|_| {
        vec![
            Act::ReadBody,
            bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n1\r\ne\r\n0\r\n\r\n"),
        ]
    });
    let gateway = gateway(&origin);
    let mut connection = gateway.connect();
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    connection.send("a\r\n0123456789\r\n0\r\n\r\n");
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

#[test]
fn a_body_until_the_end_of_the_connection_becomes_chunked() {
    let origin = Origin::start(|_| vec![bytes("HTTP/1.0 200 OK\r\n\r\nuntil the end"), Act::Close]);
    let gateway = gateway(&origin);
    let mut connection = gateway.connect();
    for _ in 0..2 {
        let response = connection.ask("GET /").response();
        assert_eq!(
            (response.field("transfer-encoding"), response.text()),
            (Some("chunked"), "until the end".to_owned())
        );
    }
}

/// RFC 9110 section 10.1.1: the client waits until it is told to go on.
#[test]
fn expect_continue() {
    let origin = Origin::fixed("thanks");
    let gateway = gateway(&origin);
    let mut connection = gateway.connect();
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(connection.try_response("POST").unwrap().status, 100);
    connection.send("body");
    assert_eq!(connection.response().text(), "thanks");
    let seen = &origin.answered(1)[0];
    assert_eq!((&seen.body[..], seen.field("expect")), (&b"body"[..], None));
}

/// Who is refused is not told to go on, and the body that then does not come is not waited for.
#[test]
fn expect_continue_is_not_said_with_a_refusal() {
    let origin = Origin::fixed("ok");
    let gateway = Gateway::start(&format!("[limits]\nbody = \"2B\"\n{}", everything(&origin.url())));
    let mut connection = gateway.connect();
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    let response = connection.try_response("POST").unwrap();
    assert_eq!((response.status, response.field("connection")), (413, Some("close")));
    assert_eq!(connection.rest(), b"");
}

#[test]
fn head_204_and_304_have_no_body() {
    let origin = Origin::start(|request| {
        vec![match request.target() {
            "/204" => bytes("HTTP/1.1 204 No Content\r\n\r\n"),
            "/304" => bytes("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 99\r\n\r\n"),
            _ => bytes("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"),
        }]
    });
    let gateway = gateway(&origin);
    let mut connection = gateway.connect();
    for _ in 0..2 {
        assert_eq!(connection.ask("GET /204").response().status, 204);
        assert_eq!(connection.ask("GET /304").response().field("etag"), Some("\"a\""));
        let head = connection.ask("HEAD /").response_to("HEAD");
        assert_eq!((head.status, head.field("content-length")), (200, Some("99")));
    }
    assert_eq!(origin.connections(), 1, "nothing was left on the backend's connection");
}

#[test]
fn interim_answers_pass_and_do_not_count() {
    let origin = Origin::start(|_| {
        vec![
            bytes("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"),
            bytes("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfinal"),
        ]
    });
    let gateway = gateway(&origin);
    let mut connection = gateway.connect();
    for _ in 0..2 {
        assert_eq!(connection.ask("GET /").response().text(), "final");
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn interim_answers_without_end_are_a_fault() {
    let origin =
        Origin::start(|_| vec![bytes(&"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(10_000)), Act::Stall]);
    let gateway = gateway(&origin);
    assert_eq!(gateway.ask("GET /").status, 502);
}

/// The backend answers without reading the body: the client gets the answer, and the connections do not go wrong.
#[test]
fn an_early_answer_with_an_unread_body() {
    let origin = Origin::start(|_| {
        vec![bytes("HTTP/1.1 403 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"), Act::Close]
    });
    let gateway = gateway(&origin);
    let mut connection = gateway.connect();
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nfirst bytes");
    let response = connection.response();
    assert_eq!((response.status, response.text()), (403, "no".to_owned()));
}

/// What follows an answer on the backend's connection belongs to nobody: the connection is not used again.
#[test]
fn bytes_after_an_answer_spoil_the_connection() {
    let origin = Origin::start(|_| {
        vec![bytes(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        )]
    });
    let gateway = gateway(&origin);
    let mut connection = gateway.connect();
    for _ in 0..3 {
        assert_eq!(connection.ask("GET /").response().text(), "ok");
    }
    assert_eq!(origin.connections(), 3);
}

/// A connection that the backend closed while it lay in the pool costs no request.
#[test]
fn a_pooled_connection_that_died_is_replaced() {
    let origin = Origin::start(|_| vec![Act::answer(200, &[], "ok"), Act::Close]);
    let gateway = gateway(&origin);
    let mut connection = gateway.connect();
    for _ in 0..10 {
        assert_eq!(connection.ask("GET /").response().status, 200);
    }
}

#[test]
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
