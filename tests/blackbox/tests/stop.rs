//! The end: SIGTERM lets those finish who are being served, takes nobody new, and has a bound.

use std::{
    io::ErrorKind,
    net::TcpStream,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use harness::{Act, Gate, Gateway, Origin};

use crate::everything;

over_all! {
    requests_in_flight_are_finished
    kept_connections_are_told
    a_second_signal_ends_it_at_once
    idle_connections_do_not_hold_it_up
    who_does_not_finish_is_cut_at_the_bound
    readiness_ends_before_service_does
    the_port_is_free_after_an_orderly_end
    the_port_is_free_after_a_hasty_end
    the_port_is_free_after_a_kill
}

/// Rule R5: a thousand in flight, none is cut, and the end comes within 6 s.
fn requests_in_flight_are_finished() {
    const IN_FLIGHT: usize = 1_000;
    harness::raise_descriptor_limit();
    let gate = Gate::default();
    let waits = gate.clone();
    let origin = Origin::start(move |_| vec![Act::Wait(waits.clone()), Act::answer(200, &[], "to the end")]);
    let gateway = Gateway::with(&everything(&origin.url())).workers(2).start();
    let address = gateway.address();
    let mut clients: Vec<_> = (0..IN_FLIGHT).map(|_| gateway.client()).collect();
    for client in &mut clients {
        client.ask("GET /");
    }
    origin.received(IN_FLIGHT);
    gateway.ask_to_end();
    harness::eventually("nobody new is taken", || {
        // A reset is no proof: who meets the listener of a core that is just closing is reset, while another core listens on and
        // has not yet read that it is to end. Nobody is refused before the last has closed.
        let error = TcpStream::connect(address).err()?;
        (error.kind() == ErrorKind::ConnectionRefused).then_some(())
    });
    gate.open();
    for client in &mut clients {
        let response = client.response();
        assert!(response.text() == "to the end" && client.is_told_to_go(&response), "{response:?}");
        client.ends();
    }
    let ended = gateway.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.took < Duration::from_secs(6), "after {:?}", ended.took);
}

/// Who asks all the time is told with an answer, and never by a request that is lost.
fn kept_connections_are_told() {
    const CLIENTS: usize = 16;
    let origin = Origin::fixed("whole");
    let gateway = Gateway::with(&everything(&origin.url())).workers(2).start();
    let asked = AtomicUsize::new(0);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let mut client = gateway.client();
                scope.spawn({
                    let asked = &asked;
                    move || {
                        loop {
                            let answer = client.ask("GET /").response();
                            assert_eq!((answer.status, answer.text().as_str()), (200, "whole"));
                            asked.fetch_add(1, Ordering::Relaxed);
                            if client.is_told_to_go(&answer) {
                                return client.ends();
                            }
                        }
                    }
                })
            })
            .collect();
        harness::eventually("they are at it", || {
            (asked.load(Ordering::Relaxed) > 20 * CLIENTS).then_some(())
        });
        gateway.ask_to_end();
        for client in clients {
            client.join().expect("a request was lost");
        }
    });
    let ended = gateway.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

/// Who wants it now says so twice.
fn a_second_signal_ends_it_at_once() {
    let origin = Origin::start(|_| vec![Act::Stall]);
    let gateway = Gateway::start(&everything(&origin.url()));
    let mut client = gateway.client();
    client.ask("GET /");
    origin.received(1);
    gateway.ask_to_end();
    gateway.wait_for_line("draining");
    gateway.ask_to_end();
    let ended = gateway.wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.took < Duration::from_secs(5), "after {:?}", ended.took);
    client.ends();
}

fn idle_connections_do_not_hold_it_up() {
    let origin = Origin::fixed("ok");
    let gateway = Gateway::start(&everything(&origin.url()));
    let mut client = gateway.client();
    assert_eq!(client.ask("GET /").response().status, 200);
    let _silent = gateway.client();
    let ended = gateway.end();
    assert_eq!(ended.code, Some(0));
    assert!(ended.took < Duration::from_secs(5), "after {:?}", ended.took);
}

fn who_does_not_finish_is_cut_at_the_bound() {
    let origin = Origin::start(|_| vec![Act::Stall]);
    let gateway = Gateway::with(&everything(&origin.url())).node("drain = \"500ms\"").start();
    let mut client = gateway.client();
    client.ask("GET /");
    origin.received(1);
    let ended = gateway.end();
    assert!(
        (Duration::from_millis(400)..Duration::from_secs(5)).contains(&ended.took),
        "after {:?}",
        ended.took
    );
}

fn readiness_ends_before_service_does() {
    let origin = Origin::start(|_| vec![Act::Stall]);
    let gateway = Gateway::with(&everything(&origin.url())).node("drain = \"2s\"").start();
    let mut client = gateway.client();
    client.ask("GET /");
    origin.received(1);
    gateway.ask_to_end();
    harness::eventually("it says that it is not ready", || {
        (gateway.ask_admin("GET /readyz").status == 503).then_some(())
    });
    assert_eq!(gateway.ask_admin("GET /healthz").status, 200);
    gateway.wait();
}

/// Ends a gateway while clients of all kinds are connected, and starts another one where it listened, at once.
#[track_caller]
fn check_starts_again(end: fn(Gateway)) {
    const ROUNDS: usize = 4;
    const IDLE: usize = 100;
    let origin = Origin::start(|request| match request.target() {
        "/stall" => vec![Act::Stall],
        _ => vec![Act::answer(200, &[], "well")],
    });
    let config = everything(&origin.url());
    let gateway = || Gateway::with(&config).workers(2).node("drain = \"200ms\"");
    let mut running = gateway().start();
    let address = running.address();
    for round in 1..=ROUNDS {
        let mut clients: Vec<_> = (0..IDLE).map(|_| running.client()).collect();
        for client in &mut clients[..IDLE / 2] {
            assert_eq!(client.ask("GET /").response().text(), "well");
        }
        clients[0].ask("GET /stall");
        let mut half = running.connect();
        half.send("GET / HTTP/1.1\r\nHo");
        origin.received(round * (IDLE / 2 + 2) - 1);
        end(running);
        running = gateway().at(address).start();
        assert_eq!(running.ask("GET /").text(), "well");
    }
}

fn the_port_is_free_after_an_orderly_end() {
    check_starts_again(|gateway| {
        assert_eq!(gateway.end().code, Some(0));
    });
}

fn the_port_is_free_after_a_hasty_end() {
    check_starts_again(|gateway| {
        gateway.ask_to_end();
        gateway.wait_for_line("draining");
        gateway.ask_to_end();
        gateway.wait();
    });
}

fn the_port_is_free_after_a_kill() {
    check_starts_again(|gateway| {
        gateway.kill();
        gateway.wait();
    });
}
