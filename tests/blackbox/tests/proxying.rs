//! Real backends and real clients: nginx, Python's http.server, curl.

use harness::{
    Gateway, Nginx, Origin, PythonServer, judge_requests, judge_responses, oracle_missing, over, skip,
};

use crate::everything;

over_both! {
    curl_through_us_to_nginx
    large_bodies_pass_both_ways
    python_behind_us
    run_url_is_a_whole_gateway
}

over! {
    http2_to_http2, Http2 to Http2:
    curl_through_us_to_nginx
    large_bodies_pass_both_ways
    run_url_is_a_whole_gateway
}

over! {
    http1_to_http2, Http1 to Http2:
    curl_through_us_to_nginx
    large_bodies_pass_both_ways
}

fn curl_through_us_to_nginx() {
    let nginx = Nginx::start();
    let gateway = Gateway::start(&everything(&nginx.url()));
    let ask = |arguments: &[&str], path: &str| gateway.curl(arguments, path);
    assert_eq!(ask(&[], "/small").response().text(), "small");
    let head = ask(&["--head"], "/small");
    assert_eq!((head.response().status, head.response().field("content-length")), (200, Some("5")));
    assert_eq!(ask(&[], "/empty").response().status, 204);
    assert_eq!(ask(&[], "/nothing").response().status, 404);
    let shown = ask(&["-X", "POST", "-d", "a=b"], "/show?x=1");
    let host = nginx.url().replace("http://", "");
    let spoken = over().backends.name();
    assert_eq!(shown.response().text(), format!("POST /show?x=1 {spoken} {host}"));
    let ranged = ask(&["-r", "16-19"], "/large");
    assert_eq!((ranged.response().status, ranged.response().text()), (206, "0123".to_owned()));
}

fn large_bodies_pass_both_ways() {
    let nginx = Nginx::start();
    let gateway = Gateway::start(&everything(&nginx.url()));
    let down = gateway.curl(&[], "/large");
    assert_eq!(down.response().body, "0123456789abcdef".repeat(1 << 16).as_bytes());

    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("up");
    let bytes: Vec<u8> = (0..5_000_000_u32).map(|number| (number * 7 % 251) as u8).collect();
    std::fs::write(&file, &bytes).unwrap();
    let up = gateway.curl(&["--upload-file", file.to_str().unwrap()], "/files/up");
    assert_eq!(up.response().status, 201);
    assert_eq!(std::fs::read(nginx.file("up")).unwrap(), bytes);

    // Of unknown length: chunked over HTTP/1.1.
    let mut client = gateway.client();
    client.begin("PUT /files/unknown");
    for part in bytes.chunks(100_000) {
        client.body(part, false);
    }
    assert_eq!(client.body(b"", true).response().status, 201);
    assert_eq!(std::fs::read(nginx.file("unknown")).unwrap(), bytes);
}

fn python_behind_us() {
    let python = PythonServer::start();
    python.put("hello.txt", "hello from python");
    let gateway = Gateway::start(&everything(&python.url()));
    let got = gateway.curl(&[], "/hello.txt");
    assert_eq!(got.response().text(), "hello from python");
    assert_eq!(gateway.curl(&[], "/none.txt").response().status, 404);
    // http.server speaks HTTP/1.0 and closes: the client's connection is ours to keep.
    let mut connection = gateway.client();
    for _ in 0..3 {
        assert_eq!(connection.ask("GET /hello.txt").response().text(), "hello from python");
    }
}

fn run_url_is_a_whole_gateway() {
    let origin = Origin::fixed("mine");
    let gateway = Gateway::from_flags(&[
        &origin.url(),
        "--plain",
        "--listen",
        "127.0.0.1:0",
        "--rate",
        "2/h",
        "--burst",
        "2",
    ]);
    let mut connection = gateway.client();
    let statuses = [0, 1, 2].map(|_| connection.ask("GET /a/b?c").response().status);
    assert_eq!(statuses, [200, 200, 429]);
    assert_eq!(origin.answered(2)[0].target(), "/a/b?c");
}

/// What reaches the backend and what reaches the client, judged by a parser that is not ours.
#[test]
fn a_foreign_parser_agrees() {
    if let Some(why) = oracle_missing() {
        return skip("a_foreign_parser_agrees", &why);
    }
    let origin = Origin::fixed("answer");
    let gateway = Gateway::start(&everything(&origin.url()));
    let sent = b"POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nx-trailer: 1\r\n\r\n\
        GET /2?q=%20 HTTP/1.1\r\nhost: a\r\nX-Long: a b\tc\r\n\r\n\
        HEAD /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let received = gateway.exchange_raw(sent);
    let answers = judge_responses("POST,GET,HEAD", &received).unwrap();
    let statuses: Vec<(&str, usize)> =
        answers.iter().map(|answer| (&*answer.start, answer.body.len())).collect();
    assert_eq!(statuses, [("200", 6), ("200", 6), ("200", 0)]);
    let mut seen = Vec::new();
    for connection in 0..origin.connections() {
        seen.extend(judge_requests(&origin.raw(connection)).unwrap());
    }
    seen.sort_by(|a, b| a.start.cmp(&b.start));
    assert_eq!(
        seen.iter().map(|message| &*message.start).collect::<Vec<_>>(),
        ["GET /2?q=%20", "HEAD /3", "POST /1"]
    );
    assert_eq!(seen[2].body, b"abcde");
    let field = |name: &str| seen.iter().flat_map(|message| &message.fields).any(|(field, _)| field == name);
    assert!(!field("x-trailer"), "a trailer was merged: {seen:?}");
    assert!(seen[0].fields.contains(&("x-long".to_owned(), "a b\tc".to_owned())), "{seen:?}");
}
