//! What takes more than a row: credit in both directions, streams beside each other, what is answered early, what is said
//! at the end. Each rule is played at the gateway, and at nginx in front of the same backend where nginx keeps it.

use std::{net::SocketAddr, time::Duration};

use harness::{
    Act, Gateway, Nginx, Origin, free_port,
    h2::{self, Frame, code, flag, kind, setting},
};

use crate::everything;

const LARGE: usize = 1 << 20;

/// One rule: what it is, and how it is played on a server.
type Rule = fn(SocketAddr);

/// Kept by everybody.
const RULES: &[(&str, Rule)] = &[
    ("windows of any size are kept", windows_are_kept),
    ("credit for the connection lets it go on", the_connection_is_a_window_too),
    ("a window may shrink below nothing", a_window_below_nothing),
    ("a stalled stream does not hold others", a_stalled_stream_holds_nobody),
    ("what has no body needs no window", no_body_no_window),
    ("padding is given back", padding_is_given_back),
    ("pings are echoed", pings_are_echoed),
    ("settings are acknowledged one by one", settings_are_acknowledged),
    ("no more streams than were allowed", streams_are_bounded),
    ("a decoder without a table is understood", no_table),
];

/// Kept by us.
const OUR_RULES: &[(&str, Rule)] = &[
    ("what came for a stream that was given up is given back", given_up_streams_cost_nothing),
    ("what came for a refused stream is given back", refused_streams_cost_nothing),
    ("the last word names the last stream", the_last_word_names_the_last_stream),
    ("100 (Continue) where it is asked for", continue_is_said),
    ("heads are read however they come", byte_by_byte),
];

fn backend() -> Origin {
    let large = "0123456789abcdef".repeat(LARGE / 16);
    Origin::start(move |request| match request.target() {
        "/large" => vec![Act::answer(200, &[], &large)],
        "/empty" => vec![Act::ReadBody, Act::answer(204, &[], "")],
        "/hold" => vec![Act::Stall],
        _ if request.line().starts_with("HEAD ") => vec![Act::answer(200, &[], "")],
        _ => vec![Act::ReadBody, Act::answer(200, &[], "ok")],
    })
}

fn play(address: SocketAddr, rules: &[(&str, Rule)]) {
    for (about, rule) in rules {
        println!("{about}");
        rule(address);
    }
}

#[test]
fn nginx_does_all_of_it() {
    let origin = backend();
    let port = free_port();
    let _nginx = Nginx::start_with(&format!(
        "listen 127.0.0.1:{port} http2; location / {{ proxy_pass {}; proxy_http_version 1.1; }}",
        origin.url()
    ));
    play(SocketAddr::from(([127, 0, 0, 1], port)), RULES);
}

#[test]
fn the_gateway_does_all_of_it() {
    let origin = backend();
    let gateway = Gateway::start(&everything(&origin.url()));
    play(gateway.address(), RULES);
    play(gateway.address(), OUR_RULES);
}

/// A connection whose credit the test gives; the stream's window is what it says.
fn by_hand(address: SocketAddr, stream_window: u32, connection_window: u32) -> h2::Connection {
    let settings = vec![(setting::ENABLE_PUSH, 0), (setting::INITIAL_WINDOW_SIZE, stream_window)];
    let options =
        h2::Options { settings, window_bytes: connection_window, answers: false, ..h2::Options::default() };
    let mut connection = h2::Connection::open_with(address, options);
    connection.frame(&Frame::settings_ack());
    connection
}

/// That nothing of a body comes any more, for a moment.
#[track_caller]
fn check_still(connection: &mut h2::Connection, stream: u32, bytes: usize) {
    connection.round_trip().unwrap();
    while connection.next_frame_within(Duration::from_millis(20)).is_ok() {}
    assert_eq!(connection.so_far(stream).body.len(), bytes);
}

/// The client judges what comes; here it gives odd portions.
fn windows_are_kept(address: SocketAddr) {
    for window in [1, 100, 16_384, 16_385, h2::WINDOW_BYTES, 1 << 20] {
        let mut connection = by_hand(address, window, h2::WINDOW_BYTES);
        let stream = connection.begin("GET /large", true);
        let (mut got, mut portion) = (0, 1);
        while !connection.is_over(stream) {
            connection.frame(&Frame::window_update(stream, portion));
            connection.frame(&Frame::window_update(0, portion));
            portion = (portion * 3).min(50_000);
            got = connection.body_of(stream, got + 1).len();
        }
        assert_eq!(connection.outcome(stream).unwrap().body.len(), LARGE, "{window}");
    }
}

fn the_connection_is_a_window_too(address: SocketAddr) {
    let mut connection = by_hand(address, 1 << 21, h2::WINDOW_BYTES);
    let (first, second) = (connection.begin("GET /large", true), connection.begin("GET /large", true));
    let both = |connection: &h2::Connection| {
        connection.so_far(first).body.len() + connection.so_far(second).body.len()
    };
    connection.wait_until(|connection| both(connection) == h2::WINDOW_BYTES as usize).unwrap();
    connection.round_trip().unwrap();
    assert_eq!(both(&connection), h2::WINDOW_BYTES as usize);
    connection.frame(&Frame::window_update(0, 1));
    connection.wait_until(|connection| both(connection) == h2::WINDOW_BYTES as usize + 1).unwrap();
    connection.frame(&Frame::window_update(0, 1 << 22));
    for stream in [first, second] {
        assert_eq!(connection.outcome(stream).unwrap().body.len(), LARGE);
    }
}

/// RFC 9113, section 6.9.2.
fn a_window_below_nothing(address: SocketAddr) {
    let mut connection = by_hand(address, 1_000, 1 << 22);
    let stream = connection.begin("GET /large", true);
    assert_eq!(connection.body_of(stream, 1_000).len(), 1_000);
    connection.frame(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 1)]));
    // 999 below nothing.
    connection.frame(&Frame::window_update(stream, 999));
    check_still(&mut connection, stream, 1_000);
    connection.frame(&Frame::window_update(stream, 5));
    assert_eq!(connection.body_of(stream, 1_005).len(), 1_005);
    connection.frame(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 101)]));
    assert_eq!(connection.body_of(stream, 1_105).len(), 1_105);
    check_still(&mut connection, stream, 1_105);
    connection.frame(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 1 << 21)]));
    assert_eq!(connection.outcome(stream).unwrap().body.len(), LARGE);
}

fn a_stalled_stream_holds_nobody(address: SocketAddr) {
    let mut connection = by_hand(address, 10, 1 << 22);
    let stalled: Vec<u32> = (0..10).map(|_| connection.begin("GET /large", true)).collect();
    for &stream in &stalled {
        connection.body_of(stream, 10);
    }
    for _ in 0..20 {
        assert_eq!(connection.ask("GET /").response().text(), "ok");
    }
    for stream in stalled {
        assert_eq!(connection.so_far(stream).body.len(), 10);
        connection.frame(&Frame::window_update(stream, 1 << 21));
        connection.frame(&Frame::window_update(0, 1 << 20));
        assert_eq!(connection.outcome(stream).unwrap().body.len(), LARGE);
    }
}

fn no_body_no_window(address: SocketAddr) {
    let mut connection = by_hand(address, 0, h2::WINDOW_BYTES);
    assert_eq!(connection.ask("GET /empty").response().status, 204);
    let head = connection.ask("HEAD /").response();
    assert_eq!((head.status, head.body.len()), (200, 0));
    let stream = connection.begin("GET /", true);
    assert_eq!(connection.response_head(stream).status, 200);
    check_still(&mut connection, stream, 0);
    connection.frame(&Frame::window_update(stream, 2));
    assert_eq!(connection.outcome(stream).unwrap().text(), "ok");
}

/// Padding counts against windows (RFC 9113, section 6.1) and comes back, or the connection would starve: here ten
/// times the windows.
fn padding_is_given_back(address: SocketAddr) {
    let mut connection = h2::Connection::open(address);
    for _ in 0..20 {
        let stream = connection.begin("POST /", false);
        for _ in 0..400 {
            let room = |connection: &h2::Connection| {
                let (of_all, of_stream) = connection.send_windows(stream);
                of_all.min(of_stream) >= 257
            };
            connection.wait_until(room).unwrap();
            connection.frame(&Frame::data(stream, 0, "a").padded(255));
        }
        connection.data(stream, b"", true);
        assert_eq!(connection.outcome(stream).unwrap().text(), "ok");
    }
}

/// Streams given up in the middle of their bodies, a hundred times: what they have sent is not lost to the connection.
fn given_up_streams_cost_nothing(address: SocketAddr) {
    let mut connection = h2::Connection::open(address);
    let mut given_up = 0;
    while given_up < 100 {
        let stream = connection.begin("POST /hold", false);
        let room = connection.send_windows(stream).0;
        assert!(room > 0, "after {given_up} streams nothing may be sent");
        let part = vec![b'x'; 16_384.min(usize::try_from(room).unwrap())];
        connection.frame(&Frame::data(stream, 0, part));
        connection.frame(&Frame::reset(stream, code::CANCEL));
        given_up += 1;
        // Ours that are given up before they are answered are odd; as many are answered.
        for _ in 0..4 {
            assert_eq!(connection.ask("GET /").response().text(), "ok");
        }
    }
    check_all_credit(&mut connection);
}

fn refused_streams_cost_nothing(address: SocketAddr) {
    let mut connection = h2::Connection::open(address);
    for _ in 0..100 {
        let stream = connection.begin("POST /\nconnection: close", false);
        connection.frame(&Frame::data(stream, 0, vec![b'x'; 16_384]));
        connection.frame(&Frame::data(stream, flag::END_STREAM, ""));
        for _ in 0..4 {
            assert_eq!(connection.ask("GET /").response().text(), "ok");
        }
    }
    check_all_credit(&mut connection);
}

/// A large body still goes through: the connection's window was not used up.
#[track_caller]
fn check_all_credit(connection: &mut h2::Connection) {
    let body = vec![b'x'; 4 << 20];
    assert_eq!(connection.ask_with_body("POST /", &body).response().text(), "ok");
}

fn pings_are_echoed(address: SocketAddr) {
    let mut connection = h2::Connection::open(address);
    let stream = connection.begin("GET /hold", true);
    for number in 0_u8..20 {
        connection.frame(&Frame::ping([number; 8]));
    }
    connection.round_trip().unwrap();
    let acks = connection.frames().iter().filter(|frame| frame.kind == kind::PING && frame.has(flag::ACK));
    let payloads: Vec<Vec<u8>> = acks.map(|frame| frame.payload.clone()).take(20).collect();
    let expected: Vec<Vec<u8>> = (0_u8..20).map(|number| vec![number; 8]).collect();
    assert_eq!(payloads, expected);
    assert!(!connection.is_over(stream));
}

fn settings_are_acknowledged(address: SocketAddr) {
    let mut connection = h2::Connection::open(address);
    for size in 0..10 {
        connection.frame(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 70_000 + size)]));
    }
    connection.round_trip().unwrap();
    let is_ack = |frame: &&Frame| frame.kind == kind::SETTINGS && frame.has(flag::ACK);
    assert_eq!(connection.frames().iter().filter(is_ack).count(), 11);
    assert_eq!(connection.ask("GET /").response().text(), "ok");
}

/// RFC 9113, section 5.1.2: what is more than was allowed is refused, and the others go on.
fn streams_are_bounded(address: SocketAddr) {
    let mut connection = h2::Connection::open(address);
    let max = connection.setting(setting::MAX_CONCURRENT_STREAMS).expect("a bound of streams");
    assert!(max <= 128, "{max}");
    let open: Vec<u32> = (0..max).map(|_| connection.begin("POST /", false)).collect();
    let beyond = connection.begin("GET /", true);
    let refused = connection.outcome(beyond).unwrap();
    let known = [code::REFUSED_STREAM, code::PROTOCOL_ERROR];
    assert!(refused.status == 0 && refused.reset.is_some_and(|code| known.contains(&code)), "{refused:?}");
    for &stream in &open {
        assert!(!connection.is_over(stream));
        connection.data(stream, b"a", true);
    }
    for stream in open {
        assert_eq!(connection.outcome(stream).unwrap().text(), "ok");
    }
    assert_eq!(connection.ask("GET /").response().text(), "ok", "there is room again");
}

/// Our decoder keeps nothing, and would notice an answer that relied on it.
fn no_table(address: SocketAddr) {
    let settings = vec![(setting::HEADER_TABLE_SIZE, 0), (setting::INITIAL_WINDOW_SIZE, 1 << 20)];
    let mut connection =
        h2::Connection::open_with(address, h2::Options { settings, ..h2::Options::default() });
    for _ in 0..5 {
        assert_eq!(connection.ask("GET /").response().text(), "ok");
    }
}

/// RFC 9113, section 6.8.
fn the_last_word_names_the_last_stream(address: SocketAddr) {
    for asked in [0_u32, 1, 3] {
        let mut connection = h2::Connection::open(address);
        for _ in 0..asked {
            assert_eq!(connection.ask("GET /").response().text(), "ok");
        }
        connection.frame(&Frame::window_update(0, 0));
        connection.ends_within(harness::PATIENCE).expect("it ends");
        let gone = connection.gone().last().cloned().expect("a last word");
        assert_eq!((gone.code, gone.last_stream), (code::PROTOCOL_ERROR, (asked * 2).saturating_sub(1)));
    }
}

fn continue_is_said(address: SocketAddr) {
    let mut connection = h2::Connection::open(address);
    let stream = connection.begin("POST /\nexpect: 100-continue\ncontent-length: 5", false);
    connection.wait_until(|connection| !connection.interim(stream).is_empty()).unwrap();
    assert_eq!(connection.interim(stream)[0].status, 100);
    connection.data(stream, b"hello", true);
    assert_eq!(connection.outcome(stream).unwrap().text(), "ok");
}

fn byte_by_byte(address: SocketAddr) {
    let mut connection = h2::Connection::bare(address, h2::Options::default());
    let block =
        h2::Block::of(&[(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a")]);
    let mut bytes = h2::PREFACE.to_vec();
    for frame in [
        Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 1 << 20)]),
        Frame::headers(1, 0, block),
        Frame::continuation(1, flag::END_HEADERS, h2::Block::of(&[("x-a", "b")])),
        Frame::data(1, 0, "hello").padded(3),
        Frame::ping([7; 8]),
        Frame::data(1, flag::END_STREAM, ""),
    ] {
        bytes.extend(frame.bytes());
    }
    for byte in bytes {
        connection.send([byte]);
    }
    assert_eq!(connection.outcome(1).unwrap().text(), "ok");
}
