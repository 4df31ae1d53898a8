//! Heads of requests: their first line, whom they address, how long they may be.

use super::*;

/// `head` is refused for that reason, whatever the method.
#[track_caller]
pub(super) fn refuses(head: &str, error: Error) {
    refuses_bytes(head.as_bytes(), error);
}

#[track_caller]
pub(super) fn refuses_bytes(head: &[u8], error: Error) {
    assert_eq!(request_of(head, &Limits::default()), Err(error), "{}", head.escape_ascii());
}

/// `line` as a request line is refused.
#[track_caller]
fn refuses_line(line: &str, error: Error) {
    refuses(&format!("{line}\r\nHost: a\r\n\r\n"), error);
}

#[track_caller]
fn addresses(target: &str, host: &str, authority: &str, path: &str, query: Option<&str>) {
    let head = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let (request, _) = request_of(head.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(request.authority.as_str(), authority);
    assert_eq!(request.target.path(), path);
    assert_eq!(request.target.query(), query);
}

#[test]
fn a_whole_head_is_read() {
    let bytes = b"PATCH /a/%7eb?c=d HTTP/1.1\r\nHost: Example.com:8443\r\nAccept:*/*\r\nX-A: \t one two \t\r\nX-E:\r\n\
        X-L: caf\xe9\r\nContent-Length: 3\r\n\r\nabcGET";
    let mut request = Request { version: Version::Http10, ..Request::default() };
    request.headers.push("Stale", b"from the last request");
    let (read, framing) = decode_request(bytes, &Limits::default(), RULES, &mut request).unwrap().unwrap();
    assert_eq!(&bytes[read..], b"abcGET");
    assert_eq!(framing.body, BodyLength::Known(3));
    assert_eq!(request.method, Method::Patch);
    assert_eq!(request.version, Version::Http11);
    assert_eq!(request.authority.as_str(), "example.com:8443");
    assert_eq!((request.target.path(), request.target.query()), ("/a/~b", Some("c=d")));
    assert_eq!(fields_of(&request.headers), "Accept: */*|X-A: one two|X-E: |X-L: caf\\xe9");
    assert_eq!(request.headers.get(Name::Accept), Some(&b"*/*"[..]));
}

#[test]
fn a_head_that_is_not_whole_leaves_nothing() {
    for head in
        ["", "\r", "\r\n", "G", "GET ", "GET /", "GET / HTTP/1.1\r", "GET / HTTP/1.1\r\nHost: a\r\n\r"]
    {
        let mut request = Request::default();
        request.headers.push("stale", b"x");
        assert_eq!(
            decode_request(head.as_bytes(), &Limits::default(), RULES, &mut request),
            Ok(None),
            "{head:?}"
        );
        assert_eq!(request, Request::default());
    }
}

#[test]
fn pipelined_heads_are_told_apart() {
    let bytes = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: b\r\n\r\n";
    let mut request = Request::default();
    let (read, _) = decode_request(bytes, &Limits::default(), RULES, &mut request).unwrap().unwrap();
    assert_eq!(request.target.path(), "/1");
    let (rest, _) = decode_request(&bytes[read..], &Limits::default(), RULES, &mut request).unwrap().unwrap();
    assert_eq!((request.target.path(), request.authority.as_str()), ("/2", "b"));
    assert_eq!(read + rest, bytes.len());
}

#[test]
fn one_empty_line_before_a_request_is_read_over() {
    let (request, _) = request_of(b"\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n", &Limits::default()).unwrap();
    assert_eq!(request.target.path(), "/x");
    refuses("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Error::LeadingEmptyLine);
    refuses("\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Error::LeadingEmptyLine);
    refuses("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Error::BareLf);
    refuses("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", Error::BareCr);
    refuses("\r\n GET / HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadMethod);
}

#[test]
fn methods_are_tokens_of_bounded_length() {
    for method in ["GET", "get", "M-SEARCH", "X!#$%&'*+-.^_`|~9", &"A".repeat(32)] {
        let head = format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n");
        let (request, _) = request_of(head.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(request.method.as_str(), method);
    }
    let too_long = Error::MethodTooLong { max: 32 };
    refuses_line(&format!("{} / HTTP/1.1", "A".repeat(33)), too_long);
    refuses(&"A".repeat(40), too_long);
    for line in
        [" GET / HTTP/1.1", "GE T", "G(T / HTTP/1.1", "G\0T / HTTP/1.1", "GET\t/ HTTP/1.1", "GÉT / HTTP/1.1"]
    {
        let error = if line == "GE T" { Error::BadRequestLine } else { Error::BadMethod };
        refuses_line(line, error);
    }
    for line in [",", "GET\r\n", "\x16\x03\x01\x02\x00", "\"GET\" / HTTP/1.1", "GET\x0b/ HTTP/1.1"] {
        refuses(line, Error::BadMethod);
    }
}

#[test]
fn connect_and_asterisk_are_not_served() {
    refuses_line("CONNECT a:443 HTTP/1.1", Error::Connect);
    refuses_line("CONNECT / HTTP/1.1", Error::Connect);
    refuses_line("OPTIONS * HTTP/1.1", Error::AsteriskForm);
    refuses_line("GET * HTTP/1.1", Error::AsteriskForm);
}

#[test]
fn request_lines_have_one_shape() {
    for line in [
        "GET  / HTTP/1.1",
        "GET /",
        "GET / ",
        "GET / HTTP/1.1 ",
        "GET /  HTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP/11",
        "GET / HTTP/1,1",
        "GET / HTTP/1.1x",
        "GET / HTTP/01.1",
        "GET / HTTP/1.10",
        "GET / HTTPS/1.1",
        "GET / x HTTP/1.1",
        "GET /\t HTTP/1.1 x",
        "GET HTTP/1.1",
    ] {
        refuses_line(line, Error::BadRequestLine);
    }
    refuses("GET /\nHTTP/1.1\r\n\r\n", Error::BadRequestLine);
    refuses("GET /\r\n\r\n", Error::BadRequestLine);
    refuses("GET / HTTP/1.1\nHost: a\r\n\r\n", Error::BadRequestLine);
    refuses("GET / HTTP/1.1\rHost: a\r\n\r\n", Error::BadRequestLine);
    for version in ["0.9", "1.2", "2.0", "3.0", "9.9"] {
        refuses_line(&format!("GET / HTTP/{version}"), Error::UnsupportedVersion);
    }
    refuses("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Error::UnsupportedVersion);
}

#[test]
fn targets_in_origin_form() {
    addresses("/", "a", "a", "/", None);
    addresses("/a/../b?c", "a", "a", "/b", Some("c"));
    addresses("//x/y", "a", "a", "//x/y", None);
    addresses("/?", "a", "a", "/", Some(""));
    addresses("/http://b/", "a", "a", "/http://b/", None);
    for (target, error) in [
        ("a", TargetError::NotOriginForm),
        ("?a", TargetError::NotOriginForm),
        ("a:80", TargetError::NotOriginForm),
        ("ftp://a/", TargetError::NotOriginForm),
        ("/#", TargetError::BadByte),
        ("/a\x7f", TargetError::BadByte),
        ("/é", TargetError::BadByte),
        ("/\0", TargetError::BadByte),
        ("/\t", TargetError::BadByte),
        ("/\\", TargetError::BadByte),
        ("/?#", TargetError::BadByte),
        ("/%", TargetError::BadEscape),
        ("/%zz", TargetError::BadEscape),
        ("/%00", TargetError::AmbiguousEscape),
        ("/a%2fb", TargetError::AmbiguousEscape),
        ("/a%5cb", TargetError::AmbiguousEscape),
        ("/..", TargetError::BadDotSegment),
        ("/%2e%2e/", TargetError::BadDotSegment),
        ("/..;x", TargetError::BadDotSegment),
    ] {
        refuses_line(&format!("GET {target} HTTP/1.1"), Error::BadTarget(error));
    }
}

#[test]
fn targets_in_absolute_form_agree_with_the_host() {
    addresses("http://a/b?c", "a", "a", "/b", Some("c"));
    addresses("https://A.b:8443/", "a.B:8443", "a.b:8443", "/", None);
    addresses("HTTP://a", "a", "a", "/", None);
    addresses("http://[::1]:80/x", "[::1]:80", "[::1]:80", "/x", None);
    for (target, host) in [
        ("http://b/", "a"),
        ("http://a:80/", "a"),
        ("http://a/", "a:80"),
        ("http://user@a/", "a"),
        ("http:///", "a"),
        ("http://a.b/", "a"),
        ("http://a,b/", "a"),
        ("http://a%2eb/", "a.b"),
    ] {
        refuses(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"), Error::HostMismatch);
    }
    refuses_line("GET http://a?b HTTP/1.1", Error::BadTarget(TargetError::NotOriginForm));
    refuses_line("GET http://a#b HTTP/1.1", Error::BadTarget(TargetError::NotOriginForm));
    refuses_line("GET http:/a/ HTTP/1.1", Error::BadTarget(TargetError::NotOriginForm));
    let (request, _) = request_of(b"GET http://a:8/b HTTP/1.0\r\n\r\n", &Limits::default()).unwrap();
    assert_eq!((request.authority.as_str(), request.target.path()), ("a:8", "/b"));
    refuses("GET http://u@a/b HTTP/1.0\r\n\r\n", Error::BadHost(AuthorityError::BadByte));
    refuses("GET http://a/b HTTP/1.1\r\n\r\n", Error::MissingHost);
}

#[test]
fn there_is_one_good_host() {
    for host in ["a", "a.b:1", "127.0.0.1:65535", "[::1]", "a_b", "xn--a"] {
        addresses("/", host, host, "/", None);
    }
    refuses("GET / HTTP/1.1\r\n\r\n", Error::MissingHost);
    refuses("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Error::RepeatedHost);
    refuses("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nhOST: b\r\n\r\n", Error::RepeatedHost);
    refuses("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", Error::RepeatedHost);
    for (host, error) in [
        ("", AuthorityError::Empty),
        (":80", AuthorityError::Empty),
        ("a,b", AuthorityError::BadByte),
        ("a b", AuthorityError::BadByte),
        ("a/b", AuthorityError::BadByte),
        ("u@a", AuthorityError::BadByte),
        ("a#", AuthorityError::BadByte),
        ("a?b", AuthorityError::BadByte),
        ("é", AuthorityError::BadByte),
        ("http://a", AuthorityError::BadPort),
        ("a:", AuthorityError::BadPort),
        ("a:99999", AuthorityError::BadPort),
        ("a:b", AuthorityError::BadPort),
        ("[::1", AuthorityError::BadAddress),
        ("[a]", AuthorityError::BadAddress),
    ] {
        refuses(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), Error::BadHost(error));
    }
    let (request, _) = request_of(b"GET / HTTP/1.0\r\n\r\n", &Limits::default()).unwrap();
    assert_eq!(request.authority.as_str(), "");
}

#[test]
fn heads_stay_within_their_limits() {
    let limits = Limits { head_bytes_max: 100, target_bytes_max: 20, headers_max: 3, ..Limits::default() };
    #[track_caller]
    fn check(head: &[u8], limits: &Limits, expected: Result<(), Error>) {
        assert_eq!(request_of(head, limits).map(|_| ()), expected, "{}", head.escape_ascii());
    }
    let padded = |bytes: usize| {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(bytes - 32));
        assert_eq!(head.len(), bytes);
        head
    };
    check(padded(100).as_bytes(), &limits, Ok(()));
    check(padded(101).as_bytes(), &limits, Err(Error::HeadTooLong { max: 100 }));
    check(&[b'x'; 20], &Limits { head_bytes_max: 20, ..limits }, Err(Error::HeadTooLong { max: 20 }));
    let target = |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(bytes - 1));
    check(target(20).as_bytes(), &limits, Ok(()));
    check(target(21).as_bytes(), &limits, Err(Error::TargetTooLong { max: 20 }));
    check(&target(200).as_bytes()[..60], &limits, Err(Error::TargetTooLong { max: 20 }));
    let lines = |lines: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(lines - 1));
    check(lines(3).as_bytes(), &limits, Ok(()));
    check(lines(4).as_bytes(), &limits, Err(Error::TooManyHeaders { max: 3 }));
    let wide = Limits { headers_max: 1_000, head_bytes_max: 1 << 20, ..Limits::default() };
    for count in [32, 33, 100, 128] {
        check(lines(count).as_bytes(), &wide, Ok(()));
    }
    check(lines(129).as_bytes(), &wide, Err(Error::TooManyHeaders { max: 128 }));
    let long_name = format!("GET / HTTP/1.1\r\nHost: a\r\n{}: y\r\n\r\n", "X".repeat(1 << 16));
    let mut request = Request::default();
    let outcome = decode_request(long_name.as_bytes(), &wide, RULES, &mut request);
    assert_eq!(outcome, Err(Error::HeadTooLong { max: 1 << 16 }));
}

#[test]
fn statuses_say_whose_fault() {
    for (error, status) in [
        (Error::AmbiguousLength, 400),
        (Error::BareLf, 400),
        (Error::TargetTooLong { max: 1 }, 414),
        (Error::UnknownExpectation, 417),
        (Error::HeadTooLong { max: 1 }, 431),
        (Error::TooManyHeaders { max: 1 }, 431),
        (Error::Connect, 501),
        (Error::UnknownTransferCoding, 501),
        (Error::BadSwitch, 502),
        (Error::UnsupportedVersion, 505),
    ] {
        assert_eq!(error.status(), status, "{error}");
        assert!(
            error
                .as_str()
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        );
    }
}
