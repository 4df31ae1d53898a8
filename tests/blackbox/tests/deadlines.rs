//! Who stops in the middle: a request's body that does not go on, an answer that nobody reads, a body of unknown length that
//! is too long. Over HTTP/1.1 the connection ends with it, over HTTP/2 its stream, and the next request is answered.

use harness::{Act, Broken, Client, Gateway, Origin, Protocol, h2, over};

use crate::{everything, everything_with};

over_all! {
    a_body_that_stops_is_cut
    an_idle_connection_is_closed
    an_answer_that_nobody_reads_is_given_up
    a_body_of_unknown_length_is_limited
    a_refusal_does_not_wait_for_the_body
    a_client_that_gives_up_costs_nobody_else_anything
}

/// The next request is answered: on the same connection, where its protocol has kept it.
#[track_caller]
fn check_next(gateway: &Gateway, mut client: Client) {
    match over().clients {
        Protocol::Http1 => assert_eq!(gateway.ask("GET /").status, 200),
        Protocol::Http2 => assert_eq!(client.ask("GET /").response().status, 200),
    }
}

/// Refused with this status, or cut without a word.
#[track_caller]
fn check_refused(client: &mut Client, status: u16) {
    match client.try_response() {
        Ok(response) => assert_eq!(response.status, status),
        Err(Broken::Ended(_)) => {}
        Err(broken) => panic!("{broken:?}"),
    }
}

fn a_body_that_stops_is_cut() {
    let origin = Origin::fixed("ok");
    let gateway =
        Gateway::start(&format!("[timeouts]\nbody_idle = \"300ms\"\n{}", everything(&origin.url())));
    let mut client = gateway.client();
    client.begin("POST /\ncontent-length: 10").body(b"half", false);
    check_refused(&mut client, 408);
    // The backend is told, and not left to wait for the rest.
    origin.given_up(1);
    check_next(&gateway, client);
    let timeouts = gateway.metrics().sum("floodgate_timeouts_total", &[]);
    assert_eq!(timeouts, 1.0);
}

/// A connection on which nothing is asked is closed without a word.
fn an_idle_connection_is_closed() {
    let origin = Origin::fixed("ok");
    let timeouts = "[timeouts]\nkeep_alive = \"200ms\"\nhttp2_idle = \"200ms\"\n";
    let gateway = Gateway::start(&format!("{timeouts}{}", everything(&origin.url())));
    let mut client = gateway.client();
    assert_eq!(client.ask("GET /").response().status, 200);
    client.ends();
}

/// More than all buffers on the way take.
const LARGE_BYTES: usize = 24 << 20;

fn large() -> Origin {
    let body = "x".repeat(LARGE_BYTES);
    Origin::start(move |request| {
        vec![Act::answer(200, &[], if request.target() == "/large" { &body } else { "ok" })]
    })
}

fn an_answer_that_nobody_reads_is_given_up() {
    let origin = large();
    let gateway =
        Gateway::start(&format!("[timeouts]\nbody_idle = \"300ms\"\n{}", everything(&origin.url())));
    let mut client = gateway.client();
    client.ask("GET /large");
    assert_eq!(client.begun(), 200);
    // It reads no further, and is waited for by nobody.
    origin.given_up(1);
    assert_eq!(gateway.ask("GET /").text(), "ok");
    match client.try_response() {
        Err(Broken::Ended(body)) => assert!(body.len() < LARGE_BYTES),
        other => panic!("{other:?}"),
    }
}

fn a_body_of_unknown_length_is_limited() {
    let origin = Origin::fixed("ok");
    let gateway = Gateway::start(&format!("[limits]\nbody = \"8B\"\n{}", everything(&origin.url())));
    let mut client = gateway.client();
    assert_eq!(client.begin("POST /").body(b"1234", false).body(b"5678", true).response().text(), "ok");
    client.begin("POST /").body(b"12345", false).body(b"6789", true);
    assert_eq!(client.response().status, 413);
    check_next(&gateway, client);
    let whole = origin.requests().iter().filter(|request| request.body.len() > 8).count();
    assert_eq!(whole, 0);
}

/// The answer is there as soon as the head is, however much is still to come.
fn a_refusal_does_not_wait_for_the_body() {
    let origin = Origin::fixed("ok");
    let gateway = Gateway::start(&format!(
        "[limits]\nbody = \"1KiB\"\n[[route]]\nmatch = \"POST /tight\"\nmock = {{ status = 200 }}\nthrottle = {{ rate = \"0/s\" }}\n{}",
        everything(&origin.url())
    ));
    for (request, status) in [
        ("POST /long\ncontent-length: 1000000", 413),
        ("POST /tight\ncontent-length: 1000", 429),
        ("POST /tight", 429),
    ] {
        let mut client = gateway.client();
        assert_eq!(client.begin(request).body(b"begin", false).response().status, status, "{request}");
        check_next(&gateway, client);
    }
    assert!(origin.requests().iter().all(|request| request.target() == "/"));
}

fn a_client_that_gives_up_costs_nobody_else_anything() {
    let origin = Origin::start(|request| match request.target() {
        "/stall" => vec![Act::Stall],
        _ => vec![Act::answer(200, &[], "ok")],
    });
    let gateway = Gateway::start(&everything_with(&origin.url(), "in_flight_max = 100"));
    let in_flight = || gateway.metrics().sum("floodgate_upstream_target_in_flight", &[]);
    for number in 1..=20 {
        let mut client = gateway.client();
        client.ask("GET /stall");
        origin.received(2 * number - 1);
        assert_eq!(in_flight(), 1.0);
        let kept = client.give_up();
        origin.given_up(number);
        check_next(&gateway, kept.unwrap_or_else(|| gateway.client()));
    }
    harness::eventually("nothing is in flight", || (in_flight() == 0.0).then_some(()));
}

/// A window that is never opened again stalls its stream; the connection and the other streams go on. 30 s by default (a2).
#[test]
fn a_window_that_stays_shut_resets_its_stream() {
    let origin = large();
    let gateway =
        Gateway::start(&format!("[timeouts]\nbody_idle = \"300ms\"\n{}", everything(&origin.url())));
    let options = h2::Options {
        settings: vec![(h2::setting::INITIAL_WINDOW_SIZE, 1_000)],
        answers: false,
        ..h2::Options::default()
    };
    let mut connection = gateway.connect_h2_with(options);
    connection.frame(&h2::Frame::settings_ack());
    let stream = connection.begin("GET /large", true);
    let cut = connection.outcome(stream).unwrap();
    assert!(cut.reset.is_some() && cut.body.len() == 1_000, "{:?} after {}", cut.reset, cut.body.len());
    origin.given_up(1);
    let next = connection.begin("GET /", true);
    assert_eq!(connection.outcome(next).unwrap().text(), "ok");
}
