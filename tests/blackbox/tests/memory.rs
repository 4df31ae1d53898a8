//! Memory stays bounded whatever clients and backends do: slow ones, huge ones, many of them.

use std::{
    io::{BufRead, BufReader},
    net::TcpStream,
    process::{Command, Stdio},
    time::Duration,
};

use harness::{Act, Gateway, Origin, Protocol, over};

use crate::{everything, everything_with};

over_both! {
    a_backend_that_does_not_read
    a_client_that_does_not_read
    idle_connections
}

const MIB: u64 = 1 << 20;

/// A backend that sends without end to a client that does not read: we hold a few buffers and not the rest.
fn a_client_that_does_not_read() {
    /// So many that what pools have too much or too little at the moment of the first look does not count: with forty it was
    /// up to 200 KiB each, either way.
    const CLIENTS: u64 = 160;
    let endless = Act::answer(200, &[], &"x".repeat(64 << 20));
    let origin = Origin::start(move |_| vec![endless.clone()]);
    let gateway = Gateway::start(&everything(&origin.url()));
    let stuck = |count: u64| {
        let mut clients: Vec<_> = (0..count).map(|_| gateway.client()).collect();
        for client in &mut clients {
            client.ask("GET /");
        }
        // Every client's answer has begun, and none goes on.
        for client in &mut clients {
            assert_eq!(client.begun(), 200);
        }
        clients
    };
    // The first few fill pools that are there once.
    let _first = stuck(10);
    let before = gateway.rss_bytes();
    let _more = stuck(CLIENTS);
    let grown = gateway.rss_bytes().saturating_sub(before);
    // 32 KiB may lie unsent, and what one receive has brought beyond it, at most 128 KiB: five buffers of 32 KiB, of which
    // the first may be sent in part, and whatever of a request and its response is not done yet.
    let bytes_max = match over().clients {
        Protocol::Http1 => 224 << 10,
        // The codec's own 40 KiB, 64 KiB that a stream may have waiting for a window, and 64 KiB unsent and the frame of 16 KiB
        // that passes them, not 32 KiB.
        Protocol::Http2 => (224 + 40 + 64 + 64 + 16 - 32) << 10,
    };
    let each_kib = (grown / CLIENTS) >> 10;
    println!("{each_kib} KiB each");
    assert!(grown < CLIENTS * bytes_max, "{each_kib} KiB for each client that does not read");
}

/// A backend that does not read what a client sends.
fn a_backend_that_does_not_read() {
    const TAKEN_MAX: usize = 64 << 20;
    let gate = harness::Gate::default();
    let waits = gate.clone();
    let origin =
        Origin::start(move |_| vec![Act::Wait(waits.clone()), Act::answer(200, &[], ""), Act::Close]);
    let gateway = Gateway::start(&format!("[limits]\nbody = \"1GiB\"\n{}", everything(&origin.url())));
    let before = gateway.rss_bytes();
    let mut clients = Vec::new();
    let part = vec![b'x'; 1 << 20];
    for _ in 0..10 {
        let mut client = gateway.client();
        client.begin("POST /\ncontent-length: 1000000000");
        // Until nobody takes more.
        let sent = client.body_until_stuck(&part, Duration::from_millis(200), TAKEN_MAX);
        assert!(sent > 0 && sent < TAKEN_MAX, "somebody takes everything, or nothing: {sent}");
        clients.push(client);
    }
    let grown = gateway.rss_bytes().saturating_sub(before);
    assert!(grown < 32 * MIB, "{} MiB for 10 uploads that nobody reads", grown / MIB);
    gate.open();
}

/// Heads that never end, headers of the largest size, bodies without end: refused or cut, and nothing kept.
#[test]
fn heads_that_never_end() {
    let origin = Origin::fixed("ok");
    let gateway = Gateway::start(&everything(&origin.url()));
    let before = gateway.rss_bytes();
    let mut clients = Vec::new();
    for _ in 0..500 {
        let mut client = gateway.connect();
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nx: {}", "a".repeat(8000)));
        clients.push(client);
    }
    assert_eq!(gateway.ask("GET /").status, 200);
    let grown = gateway.rss_bytes().saturating_sub(before);
    assert!(grown < 500 * 64 * 1024, "{} KiB for 500 halves of a head", grown >> 10);
    let mut endless = gateway.connect();
    endless.send("GET / HTTP/1.1\r\nHost: a\r\n");
    let line = format!("x: {}\r\n", "a".repeat(1000));
    while endless.try_send(&line) {}
    assert_eq!(gateway.ask("GET /").status, 200);
}

/// Connections that do nothing cost little, and go when they are over.
fn idle_connections() {
    let origin = Origin::fixed("ok");
    let gateway = Gateway::start(&everything(&origin.url()));
    let idle = |count: usize| {
        let mut clients: Vec<_> = (0..count).map(|_| gateway.client()).collect();
        for client in &mut clients {
            assert_eq!(client.ask("GET /").response().text(), "ok");
        }
        clients
    };
    // The first few fill what is there once: pools, and the buffers into which the kernel receives, one after the other.
    let mut first = idle(100);
    for _ in 0..40 {
        for client in &mut first {
            assert_eq!(client.ask("GET /").response().text(), "ok");
        }
    }
    let before = gateway.rss_bytes();
    let more = idle(1900);
    let grown = gateway.rss_bytes().saturating_sub(before) / 1900;
    // A task of 112 bytes, a socket's state of 112, a deadline of 40, 16 for where the task is and 8 for whether it is to be
    // polled: 290 bytes. The tables have places for so many from the start. The kernel gives the allocator memory in
    // pieces of 2 MiB, one for each core and 1.1 KiB for each of these few connections; two cores' pools make the rest.
    let bytes_max = match over().clients {
        Protocol::Http1 => 3 * 1024,
        // 37.5 KiB measured: the codec begins with 16 KiB to write in, 8 to read in and 4 for HPACK, and keeps them.
        Protocol::Http2 => 40 * 1024,
    };
    assert!(grown < bytes_max, "{grown} bytes for each idle connection");
    assert_eq!(gateway.metrics().sum("floodgate_connections_open", &[]), 2000.0);
    drop((first, more));
    harness::eventually("all are closed", || {
        (gateway.metrics().sum("floodgate_connections_open", &[]) == 0.0).then_some(())
    });
}

/// Opens TLS connections to an address, asks once on each, holds them until its input ends.
const HOLD_TLS: &str = r#"
import socket, ssl, sys
host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
context = ssl._create_unverified_context()
held = []
for _ in range(count):
    client = context.wrap_socket(socket.create_connection((host, port)), server_hostname="localhost")
    client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = b""
    while not answer.endswith(b"\r\n\r\nok"):
        answer += client.recv(65536)
    held.append(client)
print(len(held), flush=True)
sys.stdin.read()
"#;

/// What rustls keeps of a session that does nothing, and a read buffer; nothing that a burst has grown.
#[test]
fn idle_tls_connections() {
    let origin = Origin::fixed("ok");
    let gateway = Gateway::with(&everything(&origin.url())).tls().start();
    let address = gateway.address();
    let idle = |count: usize| {
        let mut client = Command::new(harness::program("python3"))
            .args([
                "-c",
                HOLD_TLS,
                &address.ip().to_string(),
                &address.port().to_string(),
                &count.to_string(),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(client.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said.trim(), count.to_string(), "all were answered");
        client
    };
    let first = idle(50);
    let before = gateway.rss_bytes();
    let more = idle(450);
    let grown = gateway.rss_bytes().saturating_sub(before) / 450;
    assert!(grown < 16 * 1024, "{grown} bytes for each idle connection");
    assert_eq!(gateway.metrics().sum("floodgate_connections_open", &[]), 500.0);
    for mut client in [first, more] {
        drop(client.stdin.take());
        assert!(client.wait().unwrap().success());
    }
    harness::eventually("all are closed", || {
        (gateway.metrics().sum("floodgate_connections_open", &[]) == 0.0).then_some(())
    });
}

/// No descriptors left: new clients wait or are turned away, the others go on, and it recovers.
#[test]
fn descriptors_run_out() {
    let origin = Origin::fixed("ok");
    let gateway = Gateway::with(&everything_with(&origin.url(), "")).descriptors_max(512).start();
    let mut first = gateway.connect();
    assert_eq!(first.ask("GET /").response().status, 200);
    let crowd: Vec<_> = (0..800).filter_map(|_| TcpStream::connect(gateway.address()).ok()).collect();
    assert!(crowd.len() > 600);
    assert_eq!(first.ask("GET /").response().status, 200, "who is in stays in");
    assert_eq!(gateway.ask_admin("GET /healthz").status, 200, "the operator has a descriptor kept for him");
    let metrics = gateway.metrics();
    assert!(metrics.sum("floodgate_connections_rejected_total", &[("limit", "connections_max")]) > 100.0);
    assert!(gateway.reload().status.success(), "{}", gateway.said());
    drop(crowd);
    harness::eventually("new clients are served again", || {
        let mut client = gateway.connect();
        client.try_send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        client.rest_within(Duration::from_secs(1)).filter(|answer| answer.starts_with(b"HTTP/1.1 200"))
    });
}

/// Descriptors that were there and are taken away: accepting pauses, and no core is spent on trying again.
#[test]
fn no_core_spins_where_descriptors_have_run_out() {
    const WATCHED: Duration = Duration::from_secs(2);
    let origin = Origin::fixed("ok");
    let gateway = Gateway::start(&everything_with(&origin.url(), ""));
    let limit = |count: u64| {
        let status = Command::new("prlimit")
            .arg(format!("--pid={}", gateway.pid()))
            .arg(format!("--nofile={count}:"))
            .status()
            .unwrap();
        assert!(status.success());
    };
    assert_eq!(gateway.ask("GET /").status, 200);
    let cpu = |metrics: &harness::Metrics| metrics.sum("floodgate_process_cpu_seconds_total", &[]);
    let before = gateway.metrics();
    let all = before.sum("floodgate_process_max_fds", &[]) as u64;
    // Fewer than are open.
    limit(8);
    let crowd: Vec<_> = (0..100).filter_map(|_| TcpStream::connect(gateway.address()).ok()).collect();
    assert_eq!(crowd.len(), 100);
    // The time that is watched, not a wait for anything.
    std::thread::sleep(WATCHED);
    limit(all);
    drop(crowd);
    let served = harness::eventually("new clients are served again", || {
        let mut client = gateway.connect();
        client.try_send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        client.rest_within(Duration::from_secs(1)).filter(|answer| answer.starts_with(b"HTTP/1.1 200"))
    });
    assert!(served.ends_with(b"ok"));
    let spent = cpu(&gateway.metrics()) - cpu(&before);
    assert!(spent < WATCHED.as_secs_f64() * 0.25, "{spent} s of CPU while nothing could be done");
}
