//! What encoders write, byte for byte.

use super::*;

const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = b"before|".to_vec();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

#[track_caller]
fn check_request(head: &str, length: BodyLength, expected: &str) {
    let (request, _) = request_of(head.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(
        text(|out| encode_request(&request, &request.authority, length, out)),
        format!("before|{expected}")
    );
}

#[test]
fn requests_are_written_anew() {
    check_request(
        "GET http://A/%7e/../b?c HTTP/1.1\r\nhost:a\r\nX-A:  1 \r\nConnection: close\r\n\r\n",
        BodyLength::None,
        "GET /b?c HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n\r\n",
    );
    let post = "POST / HTTP/1.1\r\nHost: a:1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    check_request(post, BodyLength::Known(3), "POST / HTTP/1.1\r\nHost: a:1\r\nContent-Length: 3\r\n\r\n");
    check_request(
        post,
        BodyLength::Chunked,
        "POST / HTTP/1.1\r\nHost: a:1\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    check_request(post, BodyLength::None, "POST / HTTP/1.1\r\nHost: a:1\r\nContent-Length: 0\r\n\r\n");
    let delete = "DELETE /x? HTTP/1.0\r\nHost: a\r\n\r\n";
    check_request(delete, BodyLength::None, "DELETE /x? HTTP/1.1\r\nHost: a\r\n\r\n");
    check_request(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: k\r\n\r\n",
        BodyLength::None,
        "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: k\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
}

#[test]
fn fields_of_the_hop_are_ours_alone() {
    let mut request = Request::default();
    request.authority.read(b"a").unwrap();
    request.target.read(b"/", RULES).unwrap();
    let mut response = Response::new(200);
    for (name, value) in [
        ("Content-Length", "9"),
        ("transfer-encoding", "chunked"),
        ("Connection", "close"),
        ("Keep-Alive", "1"),
        ("Proxy-Connection", "x"),
        ("TE", "x"),
        ("Trailer", "x"),
        ("Upgrade", "x"),
        ("A", "b"),
    ] {
        request.headers.push(name, value.as_bytes());
        response.headers.push(name, value.as_bytes());
    }
    request.headers.push("Host", b"evil");
    request.headers.push("Expect", b"100-continue");
    response.headers.push("Date", b"today");
    let found = text(|out| encode_request(&request, &request.authority, BodyLength::Known(1), out));
    assert_eq!(found, "before|GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nContent-Length: 1\r\n\r\n");
    let options =
        ResponseOptions { version: Version::Http11, close: false, body: ResponseBody::Known(2), date: DATE };
    let found = text(|out| encode_response(&response, &options, out));
    assert_eq!(found, "before|HTTP/1.1 200 OK\r\nA: b\r\nDate: today\r\nContent-Length: 2\r\n\r\n");
}

#[test]
fn responses_say_how_they_end() {
    #[track_caller]
    fn check(version: Version, close: bool, body: ResponseBody, expected: &str) {
        let options = ResponseOptions { version, close, body, date: DATE };
        let found = text(|out| encode_response(&Response::new(200), &options, out));
        let start = "before|HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
        assert_eq!(found, format!("{start}{expected}\r\n"));
    }
    let (http11, http10) = (Version::Http11, Version::Http10);
    check(http11, false, ResponseBody::Known(0), "Content-Length: 0\r\n");
    check(
        http11,
        true,
        ResponseBody::Known(u64::MAX),
        "Content-Length: 18446744073709551615\r\nConnection: close\r\n",
    );
    check(http11, false, ResponseBody::Chunked, "Transfer-Encoding: chunked\r\n");
    check(http11, false, ResponseBody::UntilClose, "Connection: close\r\n");
    check(http11, false, ResponseBody::None, "");
    check(http11, false, ResponseBody::HeadOnly(None), "");
    check(http11, false, ResponseBody::HeadOnly(Some(7)), "Content-Length: 7\r\n");
    check(http10, false, ResponseBody::Known(1), "Content-Length: 1\r\nConnection: keep-alive\r\n");
    check(http10, true, ResponseBody::Known(1), "Content-Length: 1\r\nConnection: close\r\n");
    check(http10, false, ResponseBody::UntilClose, "Connection: close\r\n");
}

#[test]
fn the_framing_suits_the_client() {
    #[track_caller]
    fn check(method: Method, version: Version, status: u16, length: BodyLength, expected: ResponseBody) {
        let mut response = Response::new(status);
        response.headers.push("Content-Length", b"44");
        assert_eq!(ResponseBody::choose(&method, version, &response, length), expected);
    }
    let (http11, http10) = (Version::Http11, Version::Http10);
    check(Method::Get, http11, 200, BodyLength::Known(5), ResponseBody::Known(5));
    check(Method::Get, http11, 200, BodyLength::None, ResponseBody::Known(0));
    check(Method::Get, http11, 200, BodyLength::Chunked, ResponseBody::Chunked);
    check(Method::Get, http11, 200, BodyLength::UntilClose, ResponseBody::Chunked);
    check(Method::Get, http10, 200, BodyLength::Chunked, ResponseBody::UntilClose);
    check(Method::Get, http10, 200, BodyLength::UntilClose, ResponseBody::UntilClose);
    check(Method::Get, http10, 200, BodyLength::Known(5), ResponseBody::Known(5));
    check(Method::Head, http11, 200, BodyLength::None, ResponseBody::HeadOnly(Some(44)));
    check(Method::Head, http11, 200, BodyLength::Known(5), ResponseBody::HeadOnly(Some(5)));
    check(Method::Head, http11, 204, BodyLength::None, ResponseBody::None);
    check(Method::Get, http11, 204, BodyLength::Known(5), ResponseBody::None);
    check(Method::Get, http11, 304, BodyLength::None, ResponseBody::HeadOnly(Some(44)));
    check(Method::Get, http11, 304, BodyLength::Known(5), ResponseBody::HeadOnly(Some(5)));
    let bare = ResponseBody::choose(&Method::Head, http11, &Response::new(200), BodyLength::Chunked);
    assert_eq!(bare, ResponseBody::HeadOnly(None));
}

#[test]
fn interim_and_switching_responses() {
    let found = text(|out| encode_interim(100, &message::Headers::default(), out));
    assert_eq!(found, "before|HTTP/1.1 100 Continue\r\n\r\n");
    let hints = [("Link", &b"</a>"[..]), ("Content-Length", b"0")].into_iter().collect();
    let found = text(|out| encode_interim(103, &hints, out));
    assert_eq!(found, "before|HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    let mut response = Response::new(101);
    response.headers.push("Sec-WebSocket-Accept", b"k");
    let found = text(|out| encode_switching(&response, "websocket", out));
    let expected = "before|HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: k\r\nConnection: upgrade\r\n\
        Upgrade: websocket\r\n\r\n";
    assert_eq!(found, expected);
}

#[test]
fn chunks_are_written() {
    #[track_caller]
    fn check(bytes: usize, expected: &str) {
        let found = text(|out| encode_chunk(&vec![b'x'; bytes], out));
        assert_eq!(found.replace(&"x".repeat(bytes.max(1)), "DATA"), format!("before|{expected}"));
    }
    check(0, "");
    check(1, "1\r\nDATA\r\n");
    check(15, "f\r\nDATA\r\n");
    check(16, "10\r\nDATA\r\n");
    check(4096, "1000\r\nDATA\r\n");
    assert_eq!(text(|out| encode_chunk_size(u64::MAX, out)), "before|ffffffffffffffff\r\n");
    assert_eq!(text(encode_last_chunk), "before|0\r\n\r\n");
}

fn split() -> String {
    let mut response = Response::new(200);
    response.headers.push("Location", b"/\r\nSet-Cookie: a");
    response.headers.push("A\r\nB", b"c");
    text(|out| encode_interim(103, &response.headers, out))
}

/// Whoever pushes a field answers for it; where it was not checked, tests hear of it …
#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "was pushed unchecked")]
fn a_field_that_would_split_a_message_is_a_mistake() {
    split();
}

/// … and clients do not.
#[test]
#[cfg(not(debug_assertions))]
fn a_field_that_would_split_a_message_is_left_out() {
    assert_eq!(split(), "before|HTTP/1.1 103 Early Hints\r\n\r\n");
}
