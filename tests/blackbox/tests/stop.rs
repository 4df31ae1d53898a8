//! The end: SIGTERM lets those finish who are being served, takes nobody new, and has a bound.

use std::{net::TcpStream, time::Duration};

use harness::{Act, Gate, Gateway, Origin};

use crate::everything;

#[test]
fn requests_in_flight_are_finished() {
    let gate = Gate::default();
    let waits = gate.clone();
    let origin = Origin::start(move |_| vec![Act::Wait(waits.clone()), Act::answer(200, &[], "to the end")]);
    let gateway = Gateway::with(&everything(&origin.url())).workers(2).start();
    let address = gateway.address();
    let mut clients: Vec<_> = (0..50).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        client.ask("GET /");
    }
    origin.received(50);
    gateway.ask_to_end();
    harness::eventually("nobody new is taken", || TcpStream::connect(address).is_err().then_some(()));
    gate.open();
    for client in &mut clients {
        let response = client.response();
        assert_eq!((response.text(), response.field("connection")), ("to the end".to_owned(), Some("close")));
        assert_eq!(client.rest(), b"");
    }
    let ended = gateway.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn idle_connections_do_not_hold_it_up() {
    let origin = Origin::fixed("ok");
    let gateway = Gateway::start(&everything(&origin.url()));
    let mut client = gateway.connect();
    assert_eq!(client.ask("GET /").response().status, 200);
    let _silent = gateway.connect();
    let ended = gateway.end();
    assert_eq!(ended.code, Some(0));
    assert!(ended.took < Duration::from_secs(5), "after {:?}", ended.took);
}

#[test]
fn who_does_not_finish_is_cut_at_the_bound() {
    let origin = Origin::start(|_| vec![Act::Stall]);
    let gateway = Gateway::with(&everything(&origin.url())).node("drain = \"500ms\"").start();
    let mut client = gateway.connect();
    client.ask("GET /");
    origin.received(1);
    let ended = gateway.end();
    assert!(
        (Duration::from_millis(400)..Duration::from_secs(5)).contains(&ended.took),
        "after {:?}",
        ended.took
    );
}

#[test]
fn readiness_ends_before_service_does() {
    let origin = Origin::start(|_| vec![Act::Stall]);
    let gateway = Gateway::with(&everything(&origin.url())).node("drain = \"2s\"").start();
    let mut client = gateway.connect();
    client.ask("GET /");
    origin.received(1);
    gateway.ask_to_end();
    harness::eventually("it says that it is not ready", || {
        (gateway.ask_admin("GET /readyz").status == 503).then_some(())
    });
    assert_eq!(gateway.ask_admin("GET /healthz").status, 200);
    gateway.wait();
}
