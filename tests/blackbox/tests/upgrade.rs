//! `Upgrade`: passed through after the backend's 101, byte for byte, and not before.

use std::time::Duration;

use harness::{Act, Gate, Gateway, Origin};

use crate::everything;

const REQUEST: &str = "GET /chat\nconnection: upgrade\nupgrade: echo/1\nx-app: 1";
const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n";

#[test]
fn bytes_pass_both_ways_after_101() {
    let origin = Origin::start(|_| vec![Act::Send(SWITCH.to_vec()), Act::Echo]);
    let gateway = Gateway::start(&everything(&origin.url()));
    let mut connection = gateway.connect();
    let response = connection.ask(REQUEST).response();
    assert_eq!((response.status, response.field("upgrade")), (101, Some("echo/1")));
    let seen = &origin.received(1)[0];
    assert_eq!(seen.field("upgrade"), Some("echo/1"));
    let big: Vec<u8> = (0..300_000_u32).map(|number| (number % 251) as u8).collect();
    for bytes in [&b"\0\x01\xff"[..], b"GET /evil HTTP/1.1\r\n\r\n", &big] {
        assert!(
            connection.send(bytes).bytes(bytes.len()) == bytes,
            "{} bytes came back changed",
            bytes.len()
        );
    }
    drop(connection);
    assert_eq!(origin.requests().len(), 1, "what passed in the tunnel was not read as HTTP");
}

/// A client that talks on before the 101 does not reach the backend with it: the backend could read it as a request.
#[test]
fn bytes_wait_for_101() {
    let gate = Gate::default();
    let waits = gate.clone();
    let origin =
        Origin::start(move |_| vec![Act::Wait(waits.clone()), Act::Send(SWITCH.to_vec()), Act::Echo]);
    let gateway = Gateway::start(&everything(&origin.url()));
    let mut connection = gateway.connect();
    connection.ask(REQUEST).send("too early");
    origin.received(1);
    assert!(connection.quiet_for(Duration::from_millis(100)));
    assert!(!String::from_utf8_lossy(&origin.raw(0)).contains("too early"));
    gate.open();
    assert_eq!(connection.response().status, 101);
    assert_eq!(connection.bytes(9), b"too early");
}

#[test]
fn a_backend_that_declines_is_answered_as_usual() {
    let origin = Origin::start(|_| vec![Act::answer(200, &[], "no tunnel here")]);
    let gateway = Gateway::start(&everything(&origin.url()));
    let mut connection = gateway.connect();
    for _ in 0..2 {
        assert_eq!(connection.ask(REQUEST).response().text(), "no tunnel here");
    }
}

#[test]
fn a_switch_that_nobody_asked_for_is_a_fault() {
    let origin = Origin::start(|_| vec![Act::Send(SWITCH.to_vec()), Act::Echo]);
    let gateway = Gateway::start(&everything(&origin.url()));
    assert_eq!(gateway.ask("GET /").status, 502);
}

#[test]
fn the_end_of_one_side_ends_the_other() {
    let origin = Origin::start(|_| vec![Act::Send(SWITCH.to_vec()), Act::Send(b"bye".to_vec()), Act::Close]);
    let gateway = Gateway::start(&everything(&origin.url()));
    let mut connection = gateway.connect();
    assert_eq!(connection.ask(REQUEST).response().status, 101);
    assert_eq!(connection.rest(), b"bye");
}
