//! curl over HTTP/2, by prior knowledge and by ALPN, with a backend of HTTP/1.1.

use harness::{Act, Gateway, Origin, Recorded, Response, curl, curl_says};

use super::Way;
use crate::everything;

const LARGE_BYTES: usize = 8 << 20;

/// A backend that has one answer of each kind.
fn origin() -> Origin {
    Origin::start(|request: &Recorded| {
        let send = |text: &str| vec![Act::ReadBody, Act::Send(text.as_bytes().to_vec())];
        match request.target() {
            "/none" => vec![Act::answer(204, &[], "")],
            "/same" if request.field("if-none-match") == Some("\"1\"") => {
                send("HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n")
            }
            "/chunked" => send(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nKeep-Alive: timeout=5\r\nConnection: keep-alive, x-hop\r\n\
                 X-Hop: 1\r\nX-Case: Kept\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\nX-Late: 1\r\n\r\n",
            ),
            "/close" => {
                [send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end"), vec![Act::Close]].concat()
            }
            "/hint" => send(
                "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nthen",
            ),
            "/large" => vec![Act::answer(200, &[], &"0123456789abcdef".repeat(LARGE_BYTES / 16))],
            "/teapot" => vec![Act::answer(418, &[("x-a", "1"), ("x-a", "2")], "short and stout")],
            _ if request.line().starts_with("HEAD") => send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
            _ => vec![Act::ReadBody, Act::answer(200, &[("etag", "\"1\"")], "small")],
        }
    })
}

/// Status and body of a path, both ways.
#[track_caller]
fn check(ways: &[Way; 2], path: &str, more: &[&str], status: u16, body: &str) -> [Response; 2] {
    ways.each_ref().map(|way| {
        let response = way.ask(path, more);
        assert_eq!((response.status, &*response.text()), (status, body), "{} {path}", way.base);
        response
    })
}

#[test]
fn answers_of_every_kind() {
    let origin = origin();
    let ways = Way::both(&everything(&origin.url()));
    for response in check(&ways, "/small?a=b%20c", &[], 200, "small") {
        assert_eq!(response.field("content-length"), Some("5"));
        assert!(response.field("date").is_some());
    }
    for response in check(&ways, "/small", &["--head"], 200, "") {
        assert_eq!(response.field("content-length"), Some("5"));
    }
    check(&ways, "/none", &[], 204, "");
    for response in check(&ways, "/same", &["--header", "if-none-match: \"1\""], 304, "") {
        assert_eq!(response.field("etag"), Some("\"1\""));
    }
    for response in check(&ways, "/chunked", &[], 200, "hello world") {
        for hop in ["connection", "keep-alive", "transfer-encoding", "x-hop", "x-late"] {
            assert_eq!(response.field(hop), None, "what is between two does not go on");
        }
        assert_eq!(response.field("x-case"), Some("Kept"));
        assert!(response.fields.iter().all(|(name, _)| name.bytes().all(|byte| !byte.is_ascii_uppercase())));
    }
    check(&ways, "/close", &[], 200, "to the end");
    check(&ways, "/hint", &[], 200, "then");
    for response in check(&ways, "/teapot", &[], 418, "short and stout") {
        assert_eq!(response.all("x-a"), ["1", "2"]);
    }
    for way in &ways {
        let large = way.ask("/large", &[]);
        assert_eq!(large.body.len(), LARGE_BYTES, "{}", way.base);
        assert!(large.body.chunks(16).all(|chunk| chunk == b"0123456789abcdef"), "{}", way.base);
    }
}

/// What reaches the backend is HTTP/1.1 that nobody could take for anything else.
#[test]
fn the_backend_gets_http_1_1() {
    let origin = origin();
    for (number, way) in Way::both(&everything(&origin.url())).iter().enumerate() {
        way.ask("/a?b", &["--header", "cookie: a=1; b=2", "--header", "X-Mixed: 1", "--user-agent", "me"]);
        let request = &origin.requests()[number];
        assert_eq!(request.line(), "GET /a?b HTTP/1.1");
        assert_eq!(request.field("cookie"), Some("a=1; b=2"));
        assert_eq!((request.field("x-mixed"), request.field("user-agent")), (Some("1"), Some("me")));
        let host = origin.address().to_string();
        assert_eq!(request.field("host"), Some(&*host));
        assert_eq!((request.field("content-length"), request.field("transfer-encoding")), (None, None));
        let is_plain = |line: &&str| !line.starts_with(':') && !line.starts_with("http2-settings");
        assert!(request.head.lines().filter(|line| !line.is_empty()).all(|line| is_plain(&line)));
    }
}

#[test]
fn bodies_go_up() {
    let origin = origin();
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("up");
    let body: Vec<u8> =
        (0..1 << 20).map(|index: u32| index.to_le_bytes()[usize::from(index.is_multiple_of(3))]).collect();
    std::fs::write(&file, &body).unwrap();
    let upload = format!("@{}", file.display());
    let up = ["--data-binary", &upload];
    let (known, unknown) = (["--header", "x: 1"], ["--header", "transfer-encoding: chunked"]);
    let expecting = ["--header", "expect: 100-continue"];
    let mut asked = 0;
    for way in &Way::both(&everything(&origin.url())) {
        for more in [known, unknown, expecting] {
            assert_eq!(way.ask("/up", &[&up[..], &more].concat()).status, 200, "{more:?}");
            asked += 1;
            let request = origin.answered(asked).pop().unwrap();
            assert_eq!(request.line(), "POST /up HTTP/1.1");
            assert!(request.body == body, "{} {more:?}: {} bytes came", way.base, request.body.len());
            let length = request.field("content-length");
            if more == unknown {
                assert_eq!((length, request.field("transfer-encoding")), (None, Some("chunked")));
            } else {
                assert_eq!((length, request.field("transfer-encoding")), (Some("1048576"), None));
            }
        }
    }
}

/// A hundred requests one after the other, and fifty at once: one connection of each client. With TLS alone, since curl
/// 7.88 can't use a connection again that it began by prior knowledge; nghttp does.
#[test]
fn many_requests_share_a_connection() {
    let origin = origin();
    for way in &Way::both(&everything(&origin.url()))[1..] {
        let told =
            ["--output", "/dev/null", "--write-out", "%{http_version} %{response_code} %{num_connects}\n"];
        let arguments: Vec<&str> = way.arguments.iter().map(String::as_str).chain(told).collect();
        let url = |range: &str| format!("{}/small?[{range}]", way.base);
        let (said, well) = curl_says(&[&arguments[..], &[&url("1-100")]].concat());
        let mut lines: Vec<&str> = said.lines().collect();
        assert_eq!((lines.len(), well), (100, true), "{said}");
        assert_eq!(lines.remove(0), "2 200 1");
        assert!(lines.iter().all(|line| *line == "2 200 0"), "{said}");
        let parallel = ["--parallel", "--parallel-max", "50"];
        let (said, well) = curl_says(&[&arguments[..], &parallel, &[&url("1-50")]].concat());
        assert_eq!((said.lines().count(), well), (50, true), "{said}");
        assert!(said.lines().all(|line| line.starts_with("2 200 ")), "{said}");
        let connections = said.lines().filter(|line| line.ends_with('1')).count();
        assert_eq!(connections, 1, "{said}");
    }
}

/// The gateway's own answers look alike over both versions.
#[test]
fn our_own_answers_are_the_same() {
    let config = "[[route]]\nmatch = \"GET /mock\"\nmock = { status = 201, headers = { x-Mock = \"1\" }, body = \"mock\" }\n\
                  [[route]]\nmatch = \"GET /gone\"\nurl = \"http://127.0.0.1:1\"\n";
    for way in &Way::both(config) {
        for path in ["/mock", "/gone", "/none"] {
            let (two, one) = (way.ask(path, &[]), way.gateway_over_http1(path));
            assert_eq!((two.status, two.text()), (one.status, one.text()), "{} {path}", way.base);
            let names = |response: &Response| {
                let mut names: Vec<_> =
                    response.fields.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
                names.sort();
                names
            };
            assert_eq!(names(&two), names(&one), "{} {path}", way.base);
        }
    }
}

impl Way {
    /// The same over HTTP/1.1, which the listener speaks beside.
    #[track_caller]
    fn gateway_over_http1(&self, path: &str) -> Response {
        let url = format!("{}{path}", self.base);
        let mut arguments: Vec<&str> = vec!["--http1.1", &url];
        arguments.extend(self.arguments.iter().map(String::as_str).filter(|it| !it.starts_with("--http")));
        let response = curl(&arguments).response().clone();
        assert_eq!(response.version, "HTTP/1.1", "{url}");
        response
    }
}

/// `http2 = false`: nothing is agreed on but HTTP/1.1, and who begins with HTTP/2 is refused.
#[test]
fn a_listener_without_http2() {
    let config = "[[route]]\nmatch = \"$default\"\nmock = { body = \"one\" }\n";
    let tls = Gateway::with(config).tls().listener("http2 = false").start();
    let answer = curl(&["--http2", "--insecure", &tls.url("/")]);
    assert_eq!((&*answer.response().version, &*answer.response().text()), ("HTTP/1.1", "one"));
    let plain = Gateway::with(config).listener("http2 = false").start();
    assert_ne!(curl(&["--http2-prior-knowledge", &plain.url("/")]).code, 0);
    // An upgrade to it (RFC 7540 §3.2, which RFC 9113 has taken out) is not made anywhere.
    for gateway in [&plain, &Gateway::start(config)] {
        let answer = curl(&["--http2", &gateway.url("/")]);
        assert_eq!((&*answer.response().version, &*answer.response().text()), ("HTTP/1.1", "one"));
    }
}
