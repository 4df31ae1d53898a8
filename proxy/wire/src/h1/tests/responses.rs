//! Heads of responses.

use super::*;

#[track_caller]
fn refuses(head: &str, error: Error) {
    let outcome = response_of(head.as_bytes(), &Method::Get, &Limits::UPSTREAM);
    assert_eq!(outcome, Err(error), "{head:?}");
}

#[track_caller]
fn frames(method: &Method, head: &str, body: BodyLength, keep_alive: bool) {
    let (_, framing) = response_of(head.as_bytes(), method, &Limits::UPSTREAM).unwrap();
    let expected = ResponseFraming { body, keep_alive, kind: ResponseKind::Final, upgrade: None };
    assert_eq!(framing, expected, "{head:?}");
}

#[test]
fn a_whole_head_is_read() {
    let bytes = b"HTTP/1.1 404 Not H\xe9re\r\nServer: x_y\r\nX_Y: z\r\nConnection: x-a\r\nX-A: 1\r\nContent-Length: 3\r\n\
        Keep-Alive: timeout=5\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\nabc";
    let mut response = Response::new(500);
    response.headers.push("Stale", b"");
    let (read, framing) =
        decode_response(bytes, &Limits::UPSTREAM, &Method::Get, &mut response).unwrap().unwrap();
    assert_eq!(&bytes[read..], b"abc");
    assert_eq!(framing.body, BodyLength::Known(3));
    assert_eq!(response.status, 404);
    assert_eq!(response.body, Body::Stream(Length::Known(3)));
    assert_eq!(fields_of(&response.headers), "Server: x_y|X_Y: z|Set-Cookie: a|Set-Cookie: b");
}

#[test]
fn status_lines_have_one_shape() {
    for line in ["HTTP/1.1 200 OK", "HTTP/1.1 200 ", "HTTP/1.1 200", "HTTP/1.0 299 a\tb c", "HTTP/1.1 599 x"]
    {
        assert!(
            response_of(format!("{line}\r\n\r\n").as_bytes(), &Method::Get, &Limits::UPSTREAM).is_ok(),
            "{line}"
        );
    }
    for line in [
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1  200 OK",
        "HTTP/1.1 200\tOK",
        "HTTP/1.1 +20 OK",
        "HTTP/1.1 abc OK",
        "HTTP/1.1\t200 OK",
        "http/1.1 200 OK",
        "HTTP/1.x 200 OK",
        "ICY 200 OK......",
        " HTTP/1.1 200 OK",
        "\r\nHTTP/1.1 200 OK",
        "HTTP/1.1 200 O\0K",
        "HTTP/1.1 200 O\rK",
        "HTTP/1.1 200 OK\r",
    ] {
        refuses(&format!("{line}\r\n\r\n"), Error::BadStatusLine);
    }
    refuses("SSH-2.0", Error::BadStatusLine);
    refuses("HTTP/1.1 200 OK\n\r\n", Error::BareLf);
    refuses("HTTP/1.1 200\n\r\n", Error::BareLf);
    for version in ["0.9", "1.2", "2.0"] {
        refuses(&format!("HTTP/{version} 200 OK\r\n\r\n"), Error::UnsupportedVersion);
    }
    for status in ["000", "099", "600", "999"] {
        refuses(&format!("HTTP/1.1 {status} x\r\n\r\n"), Error::BadStatus);
    }
}

#[test]
fn upstreams_are_held_to_the_same_rules() {
    for (fields, error) in [
        ("Content-Length: 1\r\nContent-Length: 1\r\n", Error::RepeatedContentLength),
        ("Content-Length: 1, 1\r\n", Error::BadContentLength),
        ("Content-Length: +1\r\n", Error::BadContentLength),
        ("Content-Length: \r\n", Error::BadContentLength),
        ("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", Error::AmbiguousLength),
        ("Transfer-Encoding: gzip, chunked\r\n", Error::UnknownTransferCoding),
        ("Transfer-Encoding: identity\r\n", Error::UnknownTransferCoding),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Error::BadTransferEncoding),
        ("X: a\nY: b\r\n", Error::BareLf),
        ("X: a\rb\r\n", Error::BareCr),
        ("X: a\r\n b\r\n", Error::ObsFold),
        ("X : a\r\n", Error::SpaceBeforeColon),
        (": a\r\n", Error::EmptyFieldName),
        ("X\r\n", Error::BadFieldName),
        ("X: \0\r\n", Error::BadFieldValue),
        ("Connection: content-length\r\n", Error::ProtectedConnectionName),
        ("Connection: a b\r\n", Error::BadConnection),
    ] {
        refuses(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n"), error);
    }
    refuses("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Error::TransferEncodingInHttp10);
    let head = b"HTTP/1.1 200 OK\r\nX_Y: z\r\n\r\n";
    assert_eq!(response_of(head, &Method::Get, &Limits::CLIENT), Err(Error::UnderscoreInName));
}

#[test]
fn bodies_are_framed_in_four_ways() {
    let get = &Method::Get;
    frames(get, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", BodyLength::Known(5), true);
    frames(get, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", BodyLength::Known(0), true);
    frames(get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", BodyLength::Chunked, true);
    frames(get, "HTTP/1.1 200 OK\r\n\r\n", BodyLength::UntilClose, false);
    frames(get, "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n", BodyLength::UntilClose, false);
    frames(get, "HTTP/1.0 200 OK\r\n\r\n", BodyLength::UntilClose, false);
    frames(get, "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", BodyLength::Known(5), false);
    let kept = "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n";
    frames(get, kept, BodyLength::Known(5), true);
    let closed = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n";
    frames(get, closed, BodyLength::Known(5), false);
    frames(get, "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", BodyLength::Known(0), true);
}

#[test]
fn some_responses_have_no_body() {
    let head = &Method::Head;
    let get = &Method::Get;
    frames(head, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", BodyLength::None, true);
    frames(head, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", BodyLength::None, true);
    frames(head, "HTTP/1.1 200 OK\r\n\r\n", BodyLength::None, true);
    frames(get, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", BodyLength::None, true);
    frames(get, "HTTP/1.1 204 No Content\r\n\r\n", BodyLength::None, true);
    frames(get, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", BodyLength::None, true);
    frames(get, "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", BodyLength::None, false);
    frames(get, "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", BodyLength::None, false);
}

#[test]
fn content_length_is_kept_where_there_is_no_body_to_count() {
    #[track_caller]
    fn check(method: &Method, head: &str, expected: Option<&[u8]>) {
        let (response, _) = response_of(head.as_bytes(), method, &Limits::UPSTREAM).unwrap();
        assert_eq!(response.headers.get(Name::ContentLength), expected, "{head:?}");
        assert_eq!(
            response.body == Body::Empty,
            expected.is_some() || head.contains("204") || head.contains("103")
        );
    }
    check(&Method::Head, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Some(b"5"));
    check(&Method::Get, "HTTP/1.1 304 x\r\nContent-Length: 7\r\n\r\n", Some(b"7"));
    check(&Method::Get, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", None);
    check(&Method::Get, "HTTP/1.1 204 x\r\nContent-Length: 0\r\n\r\n", None);
    check(&Method::Head, "HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n", None);
    check(&Method::Head, "HTTP/1.1 103 x\r\nContent-Length: 0\r\n\r\n", None);
}

#[test]
fn interim_and_switching_responses() {
    #[track_caller]
    fn check(head: &str, expected: Result<(ResponseKind, Option<&str>), Error>) {
        let outcome = response_of(head.as_bytes(), &Method::Get, &Limits::UPSTREAM);
        let found = outcome.as_ref().map(|(_, framing)| (framing.kind, framing.upgrade.as_deref()));
        assert_eq!(found.map_err(|error| *error), expected, "{head:?}");
        if let Ok((response, framing)) = &outcome {
            assert_eq!((framing.body, &response.body), (BodyLength::None, &Body::Empty));
        }
    }
    let interim = Ok((ResponseKind::Interim, None));
    check("HTTP/1.1 100 Continue\r\n\r\n", interim);
    check("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", interim);
    check("HTTP/1.1 199 x\r\nContent-Length: 0\r\n\r\n", interim);
    check("HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n", Err(Error::InterimWithBody));
    check("HTTP/1.1 103 x\r\nTransfer-Encoding: chunked\r\n\r\n", Err(Error::InterimWithBody));
    let switching = Ok((ResponseKind::SwitchingProtocols, Some("websocket")));
    check("HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n", switching);
    for head in [
        "HTTP/1.1 101 x\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n",
        "HTTP/1.1 101 x\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: a, b\r\n\r\n",
        "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        "HTTP/1.0 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ] {
        check(head, Err(Error::BadSwitch));
    }
    let with_body =
        "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\n";
    check(with_body, Err(Error::InterimWithBody));
}

#[test]
fn heads_stay_within_their_limits() {
    let limits = Limits { head_bytes_max: 60, headers_max: 2, ..Limits::UPSTREAM };
    let padded = |bytes: usize| format!("HTTP/1.1 200 {}\r\n\r\n", "x".repeat(bytes - 17));
    assert!(response_of(padded(60).as_bytes(), &Method::Get, &limits).is_ok());
    for bytes in [61, 62, 63, 64, 65, 100] {
        let outcome = response_of(padded(bytes).as_bytes(), &Method::Get, &limits);
        assert_eq!(outcome, Err(Error::HeadTooLong { max: 60 }), "{bytes}");
    }
    let outcome = response_of(b"HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n", &Method::Get, &limits);
    assert_eq!(outcome, Err(Error::TooManyHeaders { max: 2 }));
}
