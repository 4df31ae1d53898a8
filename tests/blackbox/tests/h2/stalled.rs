//! Clients that stand still in front of a backend of HTTP/2, whose connections they share with others: what they hold, that nobody
//! else waits for them, and that they are ended. The backend is nghttpd with a large file, which sends as much as it may.

use std::{
    io::Write,
    net::TcpStream,
    time::{Duration, Instant},
};

use harness::{
    Gateway, Nghttpd, PATIENCE, eventually,
    h2::{self, Block, Frame, Options, setting},
};

use super::everything_over_http2;
use super::floods::{
    BESIDE, BOMB_BYTES_A_BYTE, BOMB_BYTES_MAX, BOMB_STREAMS, Bomb, set_off_with, stall, used,
};

/// What each stalled client asks for: more than any window here lets through.
const LARGE_BYTES: usize = 8 << 20;

/// What a connection takes by itself, with what backends may send ahead for it; and a request in flight, with what was sent ahead for
/// that: as before a backend of HTTP/1.1.
const CONNECTION_BYTES: u64 = 64 << 10;
const REQUEST_BYTES: u64 = 8 << 10;

/// In which good clients are answered, so many times. Who stands still is waited for far longer than that.
const ASKED: usize = 50;
const ANSWERED_MAX: Duration = Duration::from_secs(5);

/// Less than any of them is waited for before it is ended.
const SETTLED_MAX: Duration = Duration::from_secs(2);

pub(crate) fn backend() -> Nghttpd {
    let backend = Nghttpd::start();
    backend.put("index.html", "ok");
    backend.put("large", &"0123456789abcdef".repeat(LARGE_BYTES / 16));
    backend
}

fn large() -> Bomb {
    Bomb { name: "a hundred large answers", entry: Block::new(), references: 0, path: "/large" }
}

/// Others are answered as if nobody stood still.
#[track_caller]
fn check_others(gateway: &Gateway) {
    let begun = Instant::now();
    let (mut first, mut second) = (gateway.connect(), gateway.connect_h2());
    for _ in 0..ASKED {
        assert_eq!(first.ask("GET /").response().text(), "ok");
        assert_eq!(second.ask("GET /").response().text(), "ok");
    }
    assert_eq!(second.ask("GET /large").response().body.len(), LARGE_BYTES);
    assert!(begun.elapsed() <= ANSWERED_MAX, "{:?}", begun.elapsed());
}

/// What so many clients hold, once pools have given up what nobody needs.
#[track_caller]
fn check_held(what: &str, gateway: &Gateway, before: u64, clients: usize, max: u64) {
    let each = || gateway.rss_bytes().saturating_sub(before) / clients as u64;
    let mut least = each();
    let begun = Instant::now();
    while least > max && begun.elapsed() < SETTLED_MAX {
        // The pace of looking, not a wait for anything.
        std::thread::sleep(Duration::from_millis(50));
        least = least.min(each());
    }
    println!("{what}: {} KiB each", least >> 10);
    assert!(least <= max, "{what}: {} KiB each, {} may be", least >> 10, max >> 10);
}

/// Windows of nothing: hardly more than before a backend of HTTP/1.1 (row H3).
#[test]
fn windows_of_nothing_hold_little() {
    let backend = backend();
    let gateway = Gateway::start(&everything_over_http2(&backend.url(), ""));
    let before = used(&gateway);
    let clients: Vec<_> = (0..BESIDE).map(|_| set_off_with(&gateway, &large(), without_windows())).collect();
    let wire = clients.iter().map(|(_, wire)| *wire as u64).sum::<u64>() / BESIDE as u64;
    let max = CONNECTION_BYTES + BOMB_STREAMS as u64 * REQUEST_BYTES + wire * BOMB_BYTES_A_BYTE;
    check_held("windows of nothing", &gateway, before, BESIDE, max);
    check_others(&gateway);
    drop(clients);
}

/// Windows that are open, of streams or of all of it, and credit for nothing that comes. What has come was on the wire as well, so
/// that four MiB are the bound.
#[test]
fn who_gives_no_credit_holds_no_more_than_a_connection_may() {
    let backend = backend();
    for (what, stream_bytes, all_bytes) in [
        ("streams of a KiB", 1 << 10, 1 << 30),
        ("streams as they are by default", h2::WINDOW_BYTES, 1 << 30),
        ("a connection as it is by default", 1 << 24, h2::WINDOW_BYTES),
        ("streams of a MiB", 1 << 20, 1 << 22),
    ] {
        let gateway = Gateway::start(&everything_over_http2(&backend.url(), ""));
        let before = used(&gateway);
        let options = || {
            let settings = vec![(setting::INITIAL_WINDOW_SIZE, stream_bytes)];
            Options { settings, window_bytes: all_bytes, answers: false, ..Options::default() }
        };
        let clients: Vec<_> = (0..BESIDE).map(|_| set_off_with(&gateway, &large(), options())).collect();
        check_held(what, &gateway, before, BESIDE, BOMB_BYTES_MAX);
        check_others(&gateway);
        drop(clients);
    }
}

/// So many clients of HTTP/1.1 whose answers have begun and are not read.
pub(crate) fn still_over_http1(gateway: &Gateway, clients: usize) -> Vec<TcpStream> {
    let ask = |_| {
        let mut client = TcpStream::connect(gateway.address()).unwrap();
        client.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        client
    };
    let clients: Vec<_> = (0..clients).map(ask).collect();
    for client in &clients {
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(client.peek(&mut [0]).unwrap(), 1);
    }
    clients
}

/// Clients of HTTP/1.1 that read nothing: what they hold does not come to what a client of HTTP/2 may.
#[test]
fn clients_of_http1_hold_up_nobody_either() {
    /// So many that what allocators keep beside them is little for each.
    const CLIENTS: usize = 160;
    /// What waits to be sent is 96 KiB, what the backend may send ahead of that 256; and what such buffers leave as they grow.
    const EACH_MAX: u64 = 512 << 10;
    let backend = backend();
    let gateway = Gateway::start(&everything_over_http2(&backend.url(), ""));
    // What large answers leave in pools is there before.
    check_others(&gateway);
    let before = gateway.rss_bytes();
    let clients = still_over_http1(&gateway, CLIENTS);
    check_others(&gateway);
    check_held("HTTP/1.1", &gateway, before, CLIENTS, EACH_MAX);
    drop(clients);
}

/// Credit of a byte now and then does not keep a stream.
#[test]
fn who_takes_a_byte_at_a_time_is_ended_as_well() {
    let backend = backend();
    let timeouts = "[timeouts]\nrate_grace = \"1s\"\nbody_idle = \"2s\"\n";
    let gateway = Gateway::start(&format!("{timeouts}{}", everything_over_http2(&backend.url(), "")));
    let (mut still, _) = set_off_with(&gateway, &large(), without_windows());
    stall(&gateway, PATIENCE);
    let last = BOMB_STREAMS as u32 * 2 - 1;
    let is_ended = |it: &h2::Connection| (1..=last).step_by(2).all(|stream| it.is_over(stream));
    still.wait_until(is_ended).unwrap();
    check_others(&gateway);
    // What they held at the backend is given up too: its streams are for others.
    eventually("no call is under way", || {
        (gateway.metrics().sum("floodgate_upstream_target_in_flight", &[]) == 0.0).then_some(())
    });
}

pub(crate) fn without_windows() -> Options {
    let settings = vec![(setting::INITIAL_WINDOW_SIZE, 0)];
    Options { settings, answers: false, ..Options::default() }
}

/// Long answers go on at their pace whoever stands still, and come whole, to clients of many streams as well.
#[test]
fn long_answers_come_whole_beside_them() {
    const STREAMS: usize = 20;
    let backend = backend();
    let gateway = Gateway::start(&everything_over_http2(&backend.url(), ""));
    let still: Vec<_> =
        (0..BESIDE / 4).map(|_| set_off_with(&gateway, &large(), without_windows())).collect();
    let mut client = gateway.connect_h2();
    let streams: Vec<u32> = (0..STREAMS).map(|_| client.begin("GET /large", true)).collect();
    for stream in streams {
        assert_eq!(client.outcome(stream).unwrap().body.len(), LARGE_BYTES);
    }
    for (mut connection, _) in still {
        connection.frame(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 1)]));
        assert_eq!(connection.response_head(1).status, 200);
    }
}
