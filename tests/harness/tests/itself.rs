//! The harness proves itself, without the gateway: its clients against its backends, its judge against known bytes.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

use std::time::Duration;

use harness::{
    Act, Broken, Connection, Gate, Nginx, Origin, PythonServer, curl, judge_requests, judge_responses,
    oracle_missing, skip, wrk,
};

fn to(url: &str) -> Connection {
    Connection::open(url.trim_start_matches("http://").parse().unwrap())
}

#[test]
fn an_origin_keeps_every_byte() {
    let origin = Origin::fixed("hello");
    let mut connection = Connection::open(origin.address());
    connection.send("POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\n\r\n");
    assert_eq!(connection.response().text(), "hello");
    assert_eq!(connection.response().status, 200);
    let [first, second] = &origin.answered(2)[..] else { panic!() };
    assert_eq!((first.target(), first.field("host"), &first.body[..]), ("/a?b", Some("x"), &b"abc"[..]));
    assert_eq!((second.line(), second.connection), ("GET /b HTTP/1.1", 0));
    assert!(origin.raw(0).ends_with(b"abcGET /b HTTP/1.1\r\n\r\n"));
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_origin_reads_chunks() {
    let origin = Origin::fixed("");
    let mut connection = Connection::open(origin.address());
    connection.send("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n").response();
    assert_eq!(origin.answered(1)[0].body, b"abc");
}

#[test]
fn an_origin_follows_its_script() {
    let gate = Gate::default();
    let waits = gate.clone();
    let origin = Origin::start(move |request| match request.target() {
        "/reset" => vec![Act::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_vec()), Act::Reset],
        "/close" => vec![Act::Close],
        "/stall" => vec![Act::Stall],
        "/echo" => vec![Act::Send(b"HTTP/1.1 101 Now\r\n\r\n".to_vec()), Act::Echo],
        _ => vec![Act::Wait(waits.clone()), Act::answer(204, &[("x", "y")], "")],
    });
    let ask = |request: &str| {
        let mut connection = Connection::open(origin.address());
        connection.ask(request);
        connection
    };
    assert_eq!(ask("GET /reset").try_response("GET"), Err(Broken::Ended(b"half".to_vec())));
    assert_eq!(ask("GET /close").rest(), b"");
    assert!(ask("GET /stall").quiet_for(Duration::from_millis(50)));
    let mut echo = ask("GET /echo");
    assert_eq!(echo.response().status, 101);
    assert_eq!(echo.send("ping").bytes(4), b"ping");
    let mut waiting = ask("GET /gate");
    origin.received(5);
    assert!(waiting.quiet_for(Duration::from_millis(50)));
    gate.open();
    assert_eq!(waiting.response().field("X"), Some("y"));
}

#[test]
fn nginx_answers() {
    let nginx = Nginx::start();
    assert_eq!(to(&nginx.url()).ask("GET /small").response().text(), "small");
    assert_eq!(to(&nginx.url()).ask("GET /large").response().body.len(), 1 << 20);
    let put = curl(&["-d", "text", "-X", "PUT", &format!("{}/files/new", nginx.url())]);
    assert_eq!(put.response().status, 201);
    assert_eq!(std::fs::read(nginx.file("new")).unwrap(), b"text");
}

#[test]
fn python_answers() {
    let python = PythonServer::start();
    python.put("a.txt", "from python");
    let got = curl(&[&format!("{}/a.txt", python.url())]);
    assert_eq!((got.response().status, got.response().text()), (200, "from python".to_owned()));
}

#[test]
fn wrk_counts() {
    let nginx = Nginx::start();
    let run = wrk(&format!("{}/small", nginx.url()), 2, 1);
    assert!(run.requests > 100 && run.errors == 0 && run.refused == 0, "{run:?}");
}

#[test]
fn the_judge_knows_good_from_bad() {
    if let Some(why) = oracle_missing() {
        return skip("the_judge_knows_good_from_bad", &why);
    }
    let two = "GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n\u{1}\r\n0\r\n\r\n";
    let judged = judge_requests(two.as_bytes()).unwrap();
    assert_eq!(
        judged.iter().map(|message| message.start.as_str()).collect::<Vec<_>>(),
        ["GET /a", "POST /b"]
    );
    assert_eq!(judged[1].body, [1]);
    assert!(judge_requests(b"GET /a HTTP/1.1\r\nHost : x\r\n\r\n").is_err());
    assert!(judge_requests(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nab").is_err());
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    let answers = judge_responses("HEAD,GET", format!("{head}{head}hello").as_bytes()).unwrap();
    assert_eq!((answers[0].body.len(), &answers[1].body[..]), (0, &b"hello"[..]));
    assert!(judge_responses("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel").is_err());
}

#[test]
fn a_free_port_stays_free() {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let handed_out: u16 = range.split_whitespace().next().unwrap().parse().unwrap();
    let ports: std::collections::BTreeSet<u16> = (0..200).map(|_| harness::free_port()).collect();
    assert_eq!(ports.len(), 200, "a port is told once");
    assert!(ports.iter().all(|port| *port < handed_out), "{ports:?}: port 0 hands out from {handed_out} on");
}
