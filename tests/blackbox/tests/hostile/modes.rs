//! Answers given before the request's body was read: by the cache, a limit, a mock, a backend in a hurry. What is left
//! of the body never becomes a request, and the next one is answered as its own or not at all (CVE-2025-4366 and its
//! like). Interim answers and changes of protocol that nobody agreed to are of the same kind.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use harness::{Act, Connection, Gateway, Origin, Watch, free_port};

/// Looks like a request to whoever loses count.
const SMUGGLED: &[u8] = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

const SECOND: &[u8] = b"GET /second HTTP/1.1\r\nHost: a\r\n\r\n";

/// Request lines, further fields, the status, and the framings with which it is given before the body is read. A request
/// with a body is not answered by the cache, and its backend is asked with all of it.
const EARLY: [(&str, &str, u16, &[Framing]); 14] = [
    ("POST /nothing", "", 404, &BOTH),
    ("GET /nothing", "", 404, &BOTH),
    ("POST /refused", "", 429, &BOTH),
    ("GET /refused", "", 429, &BOTH),
    ("POST /mock", "", 203, &BOTH),
    ("OPTIONS /mock", "", 203, &BOTH),
    ("GET /cached", "", 200, &[]),
    ("HEAD /cached", "", 200, &[]),
    ("POST /small", "", 413, &[Framing::Length]),
    ("POST /dead", "", 502, &BOTH),
    ("POST /early", "", 403, &BOTH),
    ("DELETE /early-and-gone", "", 403, &BOTH),
    ("POST /late", "", 504, &[]),
    ("OPTIONS /cors", "Origin: https://app.example\r\nAccess-Control-Request-Method: PUT\r\n", 204, &BOTH),
];

const BOTH: [Framing; 2] = [Framing::Length, Framing::Chunked];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length,
    Chunked,
}

/// How the body is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    /// Together with its head and the next request.
    AtOnce,
    /// After the answer to its head.
    AfterTheAnswer,
    /// Never: the client asked whether it should.
    NotAtAll,
}

fn origin() -> Origin {
    Origin::start(|request| match request.target() {
        "/early" => vec![Act::answer(403, &[], "no")],
        "/early-and-gone" => vec![Act::answer(403, &[("Connection", "close")], "no"), Act::Close],
        "/late" => vec![Act::Stall],
        "/reset" => vec![
            Act::ReadBody,
            Act::Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n".to_vec()),
            Act::Close,
        ],
        target => {
            let body = if request.line().starts_with("HEAD") { "" } else { target };
            vec![Act::ReadBody, Act::answer(200, &[], body)]
        }
    })
}

fn gateway(origin: &Origin) -> Gateway {
    let (url, dead) = (origin.url(), free_port());
    let plain = ["/second", "/smuggled", "/early", "/early-and-gone", "/reset", "/cors"];
    let plain: String =
        plain.iter().map(|path| format!("[[route]]\nmatch = \"{path}\"\nurl = \"{url}\"\n")).collect();
    Gateway::start(&format!(
        "[cors]\nallow_origins = [\"https://app.example\"]\nallow_methods = [\"PUT\"]\n\
         [upstream.late]\ntargets = [\"{url}\"]\nfirst_byte_timeout = \"60ms\"\n{plain}\
         [[route]]\nmatch = \"/refused\"\nurl = \"{url}\"\nthrottle = {{ rate = \"0/s\" }}\n\
         [[route]]\nmatch = \"/mock\"\nmock = {{ status = 203, body = \"mocked\" }}\n\
         [[route]]\nmatch = \"/cached\"\nurl = \"{url}\"\ncache = {{ ttl = \"60s\", methods = [\"GET\", \"HEAD\"] }}\n\
         [[route]]\nmatch = \"/small\"\nurl = \"{url}\"\nlimits = {{ body = \"8B\" }}\n\
         [[route]]\nmatch = \"/dead\"\nurl = \"http://127.0.0.1:{dead}\"\n\
         [[route]]\nmatch = \"/late\"\nupstream = \"late\"\n"
    ))
}

#[test]
fn an_unread_body_never_becomes_a_request() {
    let origin = origin();
    let gateway = gateway(&origin);
    assert_eq!(gateway.ask("GET /cached").text(), "/cached");
    assert_eq!(gateway.ask("HEAD /cached").status, 200);
    let mut watch = Watch::new(&origin);
    let mut wrong = Vec::new();
    for early in EARLY {
        for framing in BOTH {
            for copies in [1, 4000] {
                for sending in [Sending::AtOnce, Sending::AfterTheAnswer, Sending::NotAtAll] {
                    if sending == Sending::AfterTheAnswer && !early.3.contains(&framing) {
                        continue;
                    }
                    let (outcome, seen) = (play(&gateway, early, framing, copies, sending), watch.requests());
                    let smuggled = seen.is_ok_and(|requests| {
                        requests.iter().all(|request| !request.start.contains("smuggled"))
                    });
                    if !smuggled || outcome.is_err() {
                        wrong.push(format!(
                            "{} {framing:?} {copies} {sending:?}: clean: {smuggled}, {outcome:?}",
                            early.0
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} findings:\n{}", wrong.len(), wrong.join("\n"));
}

fn play(
    gateway: &Gateway,
    (line, fields, status, _): (&str, &str, u16, &[Framing]),
    framing: Framing,
    copies: usize,
    sending: Sending,
) -> Result<(), String> {
    let data = SMUGGLED.repeat(copies);
    let (framed_by, body) = match framing {
        Framing::Length => (format!("Content-Length: {}", data.len()), data),
        Framing::Chunked => {
            let size = format!("{:x}\r\n", data.len());
            let body = [size.as_bytes(), &data, b"\r\n0\r\n\r\n"].concat();
            ("Transfer-Encoding: chunked".to_owned(), body)
        }
    };
    let expect = if sending == Sending::NotAtAll { "Expect: 100-continue\r\n" } else { "" };
    let head = format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}{expect}{framed_by}\r\n\r\n").into_bytes();
    let mut connection = gateway.connect();
    match sending {
        Sending::AtOnce => connection.try_send([&head[..], &body, SECOND].concat()),
        Sending::AfterTheAnswer | Sending::NotAtAll => connection.try_send(&head),
    };
    let method = line.split(' ').next().unwrap_or_default();
    let mut response = connection.try_response(method).map_err(|broken| format!("{broken:?}"))?;
    if response.status == 100 && sending == Sending::NotAtAll {
        // It was told to go on, and so it must.
        connection.try_send(&body);
        response = connection.try_response(method).map_err(|broken| format!("{broken:?}"))?;
    } else if sending == Sending::NotAtAll && response.field("connection") != Some("close") {
        return Err(format!("a body that may not come is waited for: {response:?}"));
    }
    if response.status != status {
        return Err(format!("answered {response:?}"));
    }
    let closes = response.field("connection") == Some("close");
    if sending == Sending::AfterTheAnswer && !closes {
        connection.try_send([&body, SECOND].concat());
    } else if sending == Sending::NotAtAll && !closes {
        connection.try_send(SECOND);
    }
    if !closes {
        // A connection may also be given up without a word, as long as nothing wrong is said on it.
        return match connection.try_response("GET") {
            Ok(second) if (second.status, second.text()) == (200, "/second".to_owned()) => Ok(()),
            Err(harness::Broken::Ended(rest)) if rest.is_empty() => Ok(()),
            other => Err(format!("the second request got {other:?}")),
        };
    }
    match connection.rest_within(std::time::Duration::from_secs(5)) {
        Some(rest) if rest.is_empty() => Ok(()),
        Some(rest) => Err(format!("more than one answer: {}", rest.escape_ascii())),
        None => Err("it says that it closes, and does not".to_owned()),
    }
}

/// Bytes behind a request for another protocol wait until the backend agrees (CVE-2026-2833); when it does not, they are
/// the next request.
#[test]
fn what_follows_a_refused_upgrade_is_a_request() {
    let origin = origin();
    let gateway = gateway(&origin);
    let mut watch = Watch::new(&origin);
    let mut connection = gateway.connect();
    let upgrade = b"GET /early HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    connection.send([upgrade, SECOND].concat());
    assert_eq!(connection.response().status, 403);
    let second = connection.try_response("GET");
    let requests = watch.requests().unwrap();
    let starts: Vec<_> = requests.iter().map(|request| request.start.as_str()).collect();
    match second {
        Ok(second) => {
            assert_eq!((second.text().as_str(), &starts[..]), ("/second", &["GET /early", "GET /second"][..]))
        }
        Err(_) => assert_eq!(starts, ["GET /early"]),
    }
}

/// A client of HTTP/1.0 knows the end of a body by the end of the connection only: what was cut must end in a reset.
#[test]
fn an_answer_cut_for_http_1_0_does_not_end_orderly() {
    let origin = origin();
    let gateway = gateway(&origin);
    let mut stream = TcpStream::connect(gateway.address()).unwrap();
    stream.set_read_timeout(Some(harness::PATIENCE)).unwrap();
    stream.write_all(b"GET /reset HTTP/1.0\r\nHost: a\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let ended = stream.read_to_end(&mut answer);
    let said = String::from_utf8_lossy(&answer).into_owned();
    assert!(ended.is_err() || said.contains("Content-Length"), "it looks complete: {said:?}");
}

/// HTTP/1.0 keeps a connection only when both say so, and then as strictly.
#[test]
fn http_1_0_is_not_read_on_unless_it_is_kept() {
    let origin = origin();
    let gateway = gateway(&origin);
    for (fields, body) in
        [("", &b""[..]), ("Content-Length: 36\r\n", SMUGGLED), ("Connection: close\r\n", b"")]
    {
        let mut connection: Connection = gateway.connect();
        let head = format!("POST /second HTTP/1.0\r\nHost: a\r\n{fields}\r\n");
        connection.send([head.as_bytes(), body, SMUGGLED].concat());
        assert_eq!(connection.response().text(), "/second", "{fields:?}");
        assert_eq!(connection.rest(), b"", "{fields:?}");
    }
    let mut connection = gateway.connect();
    let kept = b"POST /second HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 36\r\n\r\n";
    connection.send([&kept[..], SMUGGLED, SECOND].concat());
    assert_eq!(connection.response().text(), "/second");
    if let Ok(second) = connection.try_response("GET") {
        assert_eq!(second.text(), "/second");
    }
    assert!(origin.requests().iter().all(|request| request.target() == "/second"));
}
