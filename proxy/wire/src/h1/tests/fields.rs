//! Fields of requests: their syntax, what they say about the hop, what passes.

use super::requests::{refuses, refuses_bytes};
use super::*;

/// `fields`, each ended by CRLF, are refused after a request line and a host, whatever the method.
#[track_caller]
fn refuses_fields(fields: &str, error: Error) {
    for method in ["GET", "POST", "OPTIONS", "DELETE", "HEAD", "TRACE", "BREW"] {
        refuses(&format!("{method} / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"), error);
    }
}

/// `fields` pass, and this is how the request stands on its connection.
#[track_caller]
fn frames(start: &str, fields: &str, body: BodyLength, keep_alive: bool, expect_continue: bool) {
    let head = format!("{start}\r\nHost: a\r\n{fields}\r\n");
    let (request, framing) = request_of(head.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(framing, RequestFraming { body, keep_alive, expect_continue }, "{head}");
    let expected = match body {
        BodyLength::Known(bytes) if bytes > 0 => Body::Stream(Length::Known(bytes)),
        BodyLength::Chunked => Body::Stream(Length::Unknown),
        _ => Body::Empty,
    };
    assert_eq!(request.body, expected, "{head}");
}

/// These end-to-end fields are left of `fields`.
#[track_caller]
fn leaves(fields: &str, expected: &str) {
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let (request, _) = request_of(head.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(fields_of(&request.headers), expected, "{head}");
}

#[test]
fn lines_end_in_crlf_and_only_there() {
    for fields in ["X: a\nY: b\r\n", "\n", "X: a\r\n\n", "X: a\n\r\n", "\nX: a\r\n", "X\n: a\r\n"] {
        refuses_fields(fields, Error::BareLf);
    }
    for fields in ["X: a\rb\r\n", "X: a\r\r\n", "X\r: a\r\n", "X:\ra\r\n", "\rX: a\r\n", "X: a\r\n\r \r\n"] {
        refuses_fields(fields, Error::BareCr);
    }
    for fields in
        ["X: a\r\n b\r\n", "X: a\r\n\tb\r\n", "X:\r\n a\r\n", "X: a\r\n \r\n", " X: a\r\n", "\tX: a\r\n"]
    {
        refuses_fields(fields, Error::ObsFold);
    }
    refuses_fields("Expect: 100-continue\r\n Content-Length: 5\r\n", Error::ObsFold);
    refuses("GET / HTTP/1.1\r\n Host: a\r\n\r\n", Error::ObsFold);
}

#[test]
fn names_are_tokens_followed_by_a_colon() {
    for fields in
        ["X : a\r\n", "X\t: a\r\n", "X  : a\r\n", "Content-Length : 0\r\n", "Transfer-Encoding : chunked\r\n"]
    {
        refuses_fields(fields, Error::SpaceBeforeColon);
    }
    for fields in [": a\r\n", ":\r\n", "::\r\n", "X: a\r\n: b\r\nContent-Length: 1\r\n"] {
        refuses_fields(fields, Error::EmptyFieldName);
    }
    for fields in [
        "X\r\n",
        "X a: b\r\n",
        "X(: a\r\n",
        "X\0: a\r\n",
        "É: a\r\n",
        "X\x0b: a\r\n",
        "\"X\": a\r\n",
        "X/Y: a\r\n",
    ] {
        refuses_fields(fields, Error::BadFieldName);
    }
    refuses_bytes(b"GET / HTTP/1.1\r\nHost: a\r\nX\xff: a\r\n\r\n", Error::BadFieldName);
    refuses_bytes(b"GET / HTTP/1.1\r\nHost: a\r\n\x7f: a\r\n\r\n", Error::BadFieldName);
    leaves("!#$%&'*+-.^`|~9: a\r\n", "!#$%&'*+-.^`|~9: a");
}

/// At every place of a long value, so that no fast path of a parser sees less.
#[test]
fn values_have_no_controls() {
    for control in (0u8..32).chain([127]).filter(|byte| !matches!(byte, b'\t' | b'\r' | b'\n')) {
        for at in [0, 1, 7, 15, 16, 31, 32, 33, 63, 64, 69] {
            let mut value = [b'v'; 70];
            value[at] = control;
            let head = [b"GET / HTTP/1.1\r\nHost: a\r\nX: ", &value[..], b"\r\n\r\n"].concat();
            let mut request = Request::default();
            let outcome = decode_request(&head, &Limits::default(), RULES, &mut request);
            assert_eq!(outcome, Err(Error::BadFieldValue), "{control:#x} at {at}");
        }
    }
    leaves("X: a\tb\r\n", "X: a\\tb");
    leaves("X: \t \r\nY:\r\n", "X: |Y: ");
}

#[test]
fn underscores_are_refused_dropped_or_kept() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nX_A: 2\r\nContent_Length: 7\r\n\r\n";
    let with = |underscores| {
        request_of(head, &Limits { underscores, ..Limits::default() })
            .map(|(request, framing)| (fields_of(&request.headers), framing.body))
    };
    assert_eq!(with(Underscores::Refuse), Err(Error::UnderscoreInName));
    assert_eq!(with(Underscores::Drop), Ok(("X-A: 1".to_owned(), BodyLength::None)));
    let kept = "X-A: 1|X_A: 2|Content_Length: 7".to_owned();
    assert_eq!(with(Underscores::Keep), Ok((kept, BodyLength::None)));
    refuses_fields("_: a\r\n", Error::UnderscoreInName);
    refuses_fields("Transfer_Encoding: chunked\r\n", Error::UnderscoreInName);
}

#[test]
fn content_length_is_one_plain_number() {
    for (text, bytes) in [("0", 0), ("1", 1), ("10", 10), ("9223372036854775807", i64::MAX as u64)] {
        frames(
            "POST / HTTP/1.1",
            &format!("Content-Length: {text}\r\n"),
            BodyLength::Known(bytes),
            true,
            false,
        );
    }
    frames("GET / HTTP/1.1", "content-length:\t5 \r\n", BodyLength::Known(5), true, false);
    for text in [
        "",
        "+1",
        "-1",
        "01",
        "00",
        "1 2",
        "1,1",
        "1, 1",
        ",1",
        "1,",
        "0x1",
        "1e1",
        "1.0",
        "a",
        "9223372036854775808",
        "18446744073709551616",
        "99999999999999999999999999",
        "\"1\"",
        "1;",
        "é",
        "١",
    ] {
        refuses_fields(&format!("Content-Length: {text}\r\n"), Error::BadContentLength);
    }
    for fields in [
        "Content-Length: 1\r\nContent-Length: 1\r\n",
        "Content-Length: 1\r\nX: a\r\ncontent-length: 2\r\n",
        "Content-Length: 0\r\nContent-Length: \r\n",
    ] {
        refuses_fields(fields, Error::RepeatedContentLength);
    }
}

#[test]
fn transfer_encoding_is_chunked_and_nothing_else() {
    for text in ["chunked", "Chunked", " chunked\t"] {
        let fields = format!("Transfer-Encoding: {text}\r\n");
        frames("POST / HTTP/1.1", &fields, BodyLength::Chunked, true, false);
    }
    frames("GET / HTTP/1.1", "transfer-encoding: chunked\r\n", BodyLength::Chunked, true, false);
    for text in ["gzip", "identity", "gzip, chunked", "xchunked", "chunkedx", "deflate,gzip", "chunke"] {
        refuses_fields(&format!("Transfer-Encoding: {text}\r\n"), Error::UnknownTransferCoding);
    }
    for text in [
        "",
        ",",
        "chunked,",
        ",chunked",
        "chunked, chunked",
        "chunked, gzip",
        "chunked;a=b",
        "chunked chunked",
        "\"chunked\"",
        "chu nked",
        "chunked/1",
        "é",
    ] {
        refuses_fields(&format!("Transfer-Encoding: {text}\r\n"), Error::BadTransferEncoding);
    }
    refuses_fields(
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        Error::BadTransferEncoding,
    );
    refuses_fields("Transfer-Encoding: chunked\r\ntransfer-encoding: gzip\r\n", Error::BadTransferEncoding);
    for fields in [
        "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nX: a\r\ntRANSFER-eNCODING: chunked\r\n",
    ] {
        refuses_fields(fields, Error::AmbiguousLength);
    }
    refuses("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Error::TransferEncodingInHttp10);
    let both = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n";
    refuses(both, Error::AmbiguousLength);
}

#[test]
fn connections_stay_or_close() {
    for (start, connection, keep_alive) in [
        ("GET / HTTP/1.1", "", true),
        ("GET / HTTP/1.1", "Connection: keep-alive\r\n", true),
        ("GET / HTTP/1.1", "Connection: close\r\n", false),
        ("GET / HTTP/1.1", "Connection: CLOSE , x\r\n", false),
        ("GET / HTTP/1.1", "Connection: keep-alive\r\nConnection: close\r\n", false),
        ("GET / HTTP/1.1", "Connection:\r\n", true),
        ("GET / HTTP/1.1", "Connection: ,, x ,\r\n", true),
        ("GET / HTTP/1.1", "Connection: closed\r\n", true),
        ("GET / HTTP/1.0", "", false),
        ("GET / HTTP/1.0", "Connection: Keep-Alive\r\n", true),
        ("GET / HTTP/1.0", "Connection: keep-alive, close\r\n", false),
        ("GET / HTTP/1.0", "Keep-Alive: timeout=5\r\n", false),
    ] {
        frames(start, connection, BodyLength::None, keep_alive, false);
    }
    for text in ["a b", "\"close\"", "close;", "é", "a=b", "(x)"] {
        refuses_fields(&format!("Connection: {text}\r\n"), Error::BadConnection);
    }
    let sixteen = vec!["x"; 16].join(",");
    frames("GET / HTTP/1.1", &format!("Connection: {sixteen}\r\n"), BodyLength::None, true, false);
    let max = Error::TooManyConnectionNames { max: 16 };
    refuses_fields(&format!("Connection: {sixteen},x\r\n"), max);
    refuses_fields(&format!("Connection: {sixteen}\r\nConnection: x\r\n"), max);
    refuses_fields(&format!("Connection: {}\r\n", ",".repeat(16)), max);
}

#[test]
fn connection_names_no_field_of_trust() {
    for name in [
        "content-length",
        "Host",
        "Transfer-Encoding",
        "AUTHORIZATION",
        "forwarded",
        "x-forwarded-for",
        "X-Forwarded-Host",
        "X-Forwarded-",
        "x-amzn-trace-id",
        "x-amzn-requestid",
    ] {
        for list in [name.to_owned(), format!("close, {name}"), format!("{name},keep-alive")] {
            refuses_fields(&format!("Connection: {list}\r\n"), Error::ProtectedConnectionName);
        }
    }
    leaves("Connection: x-forwarded, x-amz-date\r\nX-Amz-Date: 1\r\nX-Forwarded: 2\r\n", "");
}

#[test]
fn fields_of_the_hop_do_not_pass() {
    leaves(
        "Keep-Alive: 1\r\nProxy-Connection: x\r\nTE: trailers\r\nTrailer: x\r\nUpgrade: h2c\r\nA: b\r\n",
        "A: b",
    );
    leaves("X-A: 1\r\nConnection: x-a, X-B\r\nX-C: 3\r\nx-b: 2\r\nX-A: 4\r\n", "X-C: 3");
    leaves("Connection: x-a\r\nX-A: 1\r\nConnection: cookie\r\nCookie: c\r\nB: 2\r\n", "B: 2");
    leaves("Proxy: http://evil\r\nPROXY: x\r\nProxy-Authorization: y\r\n", "Proxy-Authorization: y");
    leaves("Content-Length: 0\r\nContent-Type: t\r\n", "Content-Type: t");
    leaves("HTTP2-Settings: AAMAAABk\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n", "");
    leaves("Accept: a\r\naccept: b\r\nVia: c\r\n", "Accept: a|accept: b|Via: c");
}

#[test]
fn expectations() {
    let body = "Content-Length: 5\r\n";
    frames("POST / HTTP/1.1", &format!("Expect: 100-continue\r\n{body}"), BodyLength::Known(5), true, true);
    frames("PUT / HTTP/1.1", &format!("{body}expect: 100-Continue\r\n"), BodyLength::Known(5), true, true);
    let chunked = "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n";
    frames("POST / HTTP/1.1", chunked, BodyLength::Chunked, true, true);
    frames("POST / HTTP/1.1", "Expect: 100-continue\r\n", BodyLength::None, true, false);
    let empty = "Expect: 100-continue\r\nContent-Length: 0\r\n";
    frames("POST / HTTP/1.1", empty, BodyLength::Known(0), true, false);
    frames("POST / HTTP/1.0", &format!("Expect: 100-continue\r\n{body}"), BodyLength::Known(5), false, false);
    for text in ["", "100", "100-continue, x", "100-continue;a", "200-ok", "x=y"] {
        refuses_fields(&format!("Expect: {text}\r\n"), Error::UnknownExpectation);
    }
}

#[test]
fn upgrades_are_asked_for_in_one_way() {
    #[track_caller]
    fn check(start: &str, fields: &str, expected: Option<&str>) {
        let head = format!("{start}\r\nHost: a\r\n{fields}\r\n");
        let (request, _) = request_of(head.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(request.upgrade(), expected, "{head}");
        assert!(request.headers.is_empty(), "{head}");
    }
    let get = "GET / HTTP/1.1";
    check(get, "Connection: upgrade\r\nUpgrade: websocket\r\n", Some("websocket"));
    check(get, "Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n", Some("websocket"));
    check(get, "Connection: upgrade\r\nUpgrade: foo/1.0\r\n", Some("foo/1.0"));
    check(get, "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n", Some("websocket"));
    check(get, "Upgrade: websocket\r\n", None);
    check(get, "Connection: upgrade\r\n", None);
    check(get, "Connection: close\r\nUpgrade: websocket\r\n", None);
    for protocol in
        ["h2c", "H2C", "h2", "h3", "HTTP/2.0", "http/1.1", "TLS/1.0", "", "a b", "a,b", "a/", "/a", "a/b/c"]
    {
        check(get, &format!("Connection: upgrade\r\nUpgrade: {protocol}\r\n"), None);
    }
    check(get, "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: websocket\r\n", None);
    check(get, "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n", None);
    check(get, "Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n", None);
    check("POST / HTTP/1.1", "Connection: upgrade\r\nUpgrade: websocket\r\n", None);
    check("GET / HTTP/1.0", "Connection: upgrade\r\nUpgrade: websocket\r\n", None);
}

/// A name or value at the limit and one beyond loses nothing (CVE-2021-40346: a length that wrapped).
#[test]
fn long_names_and_values_arrive_whole() {
    for bytes in [254, 255, 256, 257, 65_000] {
        for (name, value) in [("N".repeat(bytes), "v".to_owned()), ("N".to_owned(), "v".repeat(bytes))] {
            let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{name}: {value}\r\nZ: end\r\n\r\n");
            let mut request = Request::default();
            decode_request(head.as_bytes(), &Limits::default(), RULES, &mut request).unwrap().unwrap();
            assert_eq!(fields_of(&request.headers), format!("{name}: {value}|Z: end"));
        }
    }
}
