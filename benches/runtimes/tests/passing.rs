//! That the mini proxy is one, on every runtime: what is measured must be the same work.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use harness::{Act, Connection, Origin};
use runtime::{DriverChoice, Options, Runtime};

/// A mini proxy that ends with the test.
struct Proxy {
    child: Child,
    address: SocketAddr,
}

impl Proxy {
    fn start(kind: &str, backend: &Origin) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_runtimes"))
            .args([kind, "0", &backend.address().port().to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").expect("its address").parse().unwrap();
        Self { child, address }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Answers with as many letters as the path says.
fn origin() -> Origin {
    Origin::start(|request| {
        let bytes: usize = request.target().trim_start_matches('/').parse().unwrap();
        vec![Act::answer(200, &[("X-Backend", "kept")], &"b".repeat(bytes))]
    })
}

/// Why io_uring is not permitted here. On a thread of its own: the kernel takes a ring down while its thread does other
/// things, whose calls it interrupts for that.
fn forbidden() -> Option<String> {
    let start = || Runtime::start(&Options { driver: DriverChoice::Uring, ..Options::default() }).err();
    std::thread::spawn(move || start().map(|error| error.to_string())).join().unwrap()
}

#[track_caller]
fn check(kind: &str) {
    if kind != "epoll"
        && let Some(why) = forbidden()
    {
        harness::skip(&format!("runtimes {kind}"), &why);
        return;
    }
    let backend = origin();
    let proxy = Proxy::start(kind, &backend);
    let mut client = Connection::open(proxy.address);
    // Smaller than a buffer, as large, larger.
    for bytes in [0, 1, 1 << 10, 64 << 10, 1 << 20] {
        let response = client.send(format!("GET /{bytes} HTTP/1.1\r\nHost: a\r\n\r\n")).response();
        assert_eq!((response.status, response.field("X-Backend")), (200, Some("kept")), "{kind}: {bytes}");
        assert!(response.body == "b".repeat(bytes).as_bytes(), "{kind}: {} of {bytes}", response.body.len());
    }
    // A head in two pieces, and two requests in one.
    client.send("GET /3 HTTP/1.1\r\nHo").send("st: a\r\n\r\nGET /4 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((client.response().body.len(), client.response().body.len()), (3, 4), "{kind}");
    assert_eq!(backend.connections(), 1, "{kind}: a connection to the backend is used again");
    // A second client has one of its own as long as the first is there, and its end ends nobody else.
    assert_eq!(
        Connection::open(proxy.address).send("GET /5 HTTP/1.1\r\nHost: a\r\n\r\n").response().body.len(),
        5
    );
    Connection::open(proxy.address).send("nonsense\r\n\r\n").rest();
    assert_eq!(client.send("GET /6 HTTP/1.1\r\nHost: a\r\n\r\n").response().body.len(), 6, "{kind}");
}

#[test]
fn our_reactor_on_io_uring() {
    check("uring");
}

#[test]
fn our_reactor_on_epoll() {
    check("epoll");
}

#[test]
fn monoio() {
    check("monoio");
}

#[test]
fn tokio_uring() {
    check("tokio-uring");
}
