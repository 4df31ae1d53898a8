//! gRPC over HTTP/2, as far as a gateway knows it: which requests are calls, how long the caller waits for their end, and
//! how it is told that the gateway has answered in place of the server. Messages are none of its business: they pass as
//! bytes like any other body.
//!
//! Source: `PROTOCOL-HTTP2.md` and `http-grpc-status-mapping.md` of gRPC.

use bytes::Bytes;
use message::{Body, Headers, Method, Name, Reason, Request, Response, Version};

/// What [`Name`] has no word for: how long the caller waits.
const TIMEOUT: &str = "grpc-timeout";
/// The same: how the call has ended.
const STATUS: &str = "grpc-status";
/// Digits of a `TimeoutValue`.
const TIMEOUT_DIGITS_MAX: usize = 8;
/// The last status there is, `UNAUTHENTICATED`, and the one for what is none.
const STATUS_MAX: u8 = 16;
const STATUS_UNKNOWN: u8 = 2;
/// The media type; a suffix (`+proto`) or parameters may follow, other letters (`-web`) make it another.
const MEDIA_TYPE: &[u8] = b"application/grpc";

/// How a call ends: gRPC's status codes that the gateway uses, as they are sent.
mod code {
    pub(super) const CANCELLED: &str = "1";
    pub(super) const INVALID_ARGUMENT: &str = "3";
    pub(super) const DEADLINE_EXCEEDED: &str = "4";
    pub(super) const RESOURCE_EXHAUSTED: &str = "8";
    pub(super) const UNIMPLEMENTED: &str = "12";
    pub(super) const INTERNAL: &str = "13";
    pub(super) const UNAVAILABLE: &str = "14";
    pub(super) const UNAUTHENTICATED: &str = "16";
}

/// Whether a request is a call of gRPC. One of HTTP/1.1 never is.
pub fn is_call(request: &Request) -> bool {
    request.version == Version::Http2
        && request.method == Method::Post
        && request.headers.get(Name::ContentType).is_some_and(is_media_type)
}

/// How long the caller waits for the end of its call, in nanoseconds; `None`: it does not say, or not as it should. What
/// is written otherwise is the server's to judge: it goes there as it came.
pub fn timeout_ns(call: &Request) -> Option<u64> {
    parse_timeout(call.headers.find(TIMEOUT)?)
}

/// How a call has ended, of 0 to 16, if these fields say so: trailers, or a head that is trailers at once. What is none of
/// gRPC's statuses is `UNKNOWN`, as it is for clients.
pub fn status(fields: &Headers) -> Option<u8> {
    let text = fields.find(STATUS)?;
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    Some(number.filter(|number| *number <= STATUS_MAX).unwrap_or(STATUS_UNKNOWN))
}

/// Whether an answer is trailers at once (`Trailers-Only`): one HEADERS frame that ends its stream. It announces no body,
/// since what it stands for would not have said how long its is.
pub fn is_trailers_only(response: &Response) -> bool {
    response.body == Body::Empty && response.headers.find(STATUS).is_some()
}

/// Puts an answer of the gateway's own as a caller understands it: a head that is trailers at once, with status 200,
/// since clients of gRPC look at their own status alone. What else the head says stays.
pub(crate) fn translate(reason: &Reason, response: &mut Response) {
    put(code(reason), response);
}

/// The same for a call whose head could not be read, and was refused with the status of `response`.
pub fn translate_unread(response: &mut Response) {
    let code = match response.status {
        413 | 414 | 431 => code::RESOURCE_EXHAUSTED,
        501 => code::UNIMPLEMENTED,
        _ => code::INTERNAL,
    };
    put(code, response);
}

fn put(code: &str, response: &mut Response) {
    let message = match &response.body {
        Body::Whole(body) => message(body),
        Body::Empty | Body::Stream(_) => Bytes::new(),
    };
    response.status = 200;
    response.body = Body::Empty;
    let headers = &mut response.headers;
    headers.set("Content-Type", MEDIA_TYPE);
    headers.push(STATUS, code.as_bytes());
    headers.push_with("grpc-message", |out| put_escaped(&message, out));
}

/// What a reason is in gRPC's words. Where its mapping from HTTP knows only a status we know why: a caller whose deadline
/// or quota is over need not try again at once, as `UNAVAILABLE` would have it do.
fn code(reason: &Reason) -> &'static str {
    match reason {
        Reason::NoApi | Reason::NoStage | Reason::EndpointDisabled | Reason::NoRoute => code::UNIMPLEMENTED,
        Reason::IncompleteSignature { .. } => code::UNAUTHENTICATED,
        Reason::Throttled { .. }
        | Reason::BodyTooLarge { .. }
        | Reason::HeadersTooLarge { .. }
        | Reason::TargetTooLong { .. }
        | Reason::ResponseTooLarge { .. } => code::RESOURCE_EXHAUSTED,
        Reason::BackendTimedOut | Reason::CallTimedOut | Reason::BodyTimedOut => code::DEADLINE_EXCEEDED,
        Reason::BackendUnreachable
        | Reason::BackendFailed
        | Reason::BackendBusy
        | Reason::BackendSuspended { .. }
        | Reason::Overloaded
        // On a connection of its own it may be served.
        | Reason::Misdirected
        | Reason::EndpointAccess
        | Reason::NotCached => code::UNAVAILABLE,
        Reason::BackendMalformed
        | Reason::BodyMalformed
        | Reason::BadRequest
        | Reason::InvalidJson
        | Reason::UnsupportedMediaType
        | Reason::ApiConfiguration
        | Reason::Internal => code::INTERNAL,
        Reason::ClientGone => code::CANCELLED,
        Reason::MissingParameters(_) | Reason::InvalidBody { .. } => code::INVALID_ARGUMENT,
    }
}

/// The text of an error answer: what its JSON holds, or the whole of it.
fn message(body: &Bytes) -> Bytes {
    let inner = body.strip_prefix(b"{\"message\":\"").and_then(|rest| rest.strip_suffix(b"\"}"));
    inner.map_or_else(|| body.clone(), |inner| body.slice_ref(inner))
}

/// Percent-encoding of `grpc-message`: all but printable ASCII without `%`.
fn put_escaped(text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in text {
        match byte {
            b' '..=b'~' if byte != b'%' => out.push(byte),
            _ => out.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
        }
    }
}

fn is_media_type(value: &[u8]) -> bool {
    value.split_at_checked(MEDIA_TYPE.len()).is_some_and(|(start, rest)| {
        start.eq_ignore_ascii_case(MEDIA_TYPE) && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
    })
}

/// `TimeoutValue TimeoutUnit`: at most eight digits, and one letter.
fn parse_timeout(value: &[u8]) -> Option<u64> {
    let (unit, digits) = value.split_last()?;
    let unit_ns = match unit {
        b'H' => 3_600_000_000_000,
        b'M' => 60_000_000_000,
        b'S' => 1_000_000_000,
        b'm' => 1_000_000,
        b'u' => 1_000,
        b'n' => 1,
        _ => return None,
    };
    if digits.is_empty() || digits.len() > TIMEOUT_DIGITS_MAX {
        return None;
    }
    let value = digits.iter().try_fold(0_u64, |value, digit| match digit {
        b'0'..=b'9' => Some(value * 10 + u64::from(digit - b'0')),
        _ => None,
    })?;
    // Eight digits of hours are 11,000 years; a clock of nanoseconds has 584.
    Some(value.saturating_mul(unit_ns))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(content_type: &str, version: Version) -> Request {
        let mut request = Request { method: Method::Post, version, ..Request::default() };
        request.headers.push("Content-Type", content_type.as_bytes());
        request
    }

    #[track_caller]
    fn check_call(content_type: &str, expected: bool) {
        assert_eq!(is_call(&request(content_type, Version::Http2)), expected, "{content_type}");
        assert!(!is_call(&request(content_type, Version::Http11)), "{content_type}");
    }

    #[test]
    fn calls_are_known_by_their_type() {
        check_call("application/grpc", true);
        check_call("application/grpc+proto", true);
        check_call("Application/gRPC+json;charset=utf-8", true);
        check_call("application/grpc ; a=b", true);
        check_call("application/grpc;a=b", true);
        check_call("application/grpc-web", false);
        check_call("application/grpc-web+proto", false);
        check_call("application/grp", false);
        check_call("application/json", false);
        check_call("", false);
        let get = Request { method: Method::Get, ..request("application/grpc", Version::Http2) };
        assert!(!is_call(&get));
    }

    #[track_caller]
    fn check_timeout(value: &str, expected_ns: Option<u64>) {
        let mut request = request("application/grpc", Version::Http2);
        request.headers.push("grpc-timeout", value.as_bytes());
        assert_eq!(timeout_ns(&request), expected_ns, "{value}");
    }

    #[test]
    fn timeouts_have_eight_digits_and_a_unit() {
        check_timeout("1H", Some(3_600_000_000_000));
        check_timeout("2M", Some(120_000_000_000));
        check_timeout("29S", Some(29_000_000_000));
        check_timeout("100m", Some(100_000_000));
        check_timeout("7u", Some(7_000));
        check_timeout("99999999n", Some(99_999_999));
        check_timeout("00000001S", Some(1_000_000_000));
        check_timeout("0S", Some(0));
        check_timeout("99999999H", Some(u64::MAX));
        for bad in [
            "",
            "S",
            "1",
            "1s",
            "1h",
            "-1S",
            "+1S",
            "1.5S",
            "1 S",
            " 1S",
            "100000000n",
            "1SS",
            "٣S",
            "1S, 2S",
        ] {
            check_timeout(bad, None);
        }
        assert_eq!(timeout_ns(&request("application/grpc", Version::Http2)), None);
    }

    #[test]
    fn statuses_are_those_of_grpc() {
        for (text, expected) in
            [("0", 0), ("8", 8), ("16", 16), ("17", 2), ("999", 2), ("-1", 2), ("", 2), ("é", 2)]
        {
            let mut trailers = Headers::default();
            assert_eq!(status(&trailers), None);
            trailers.push("Grpc-Status", text.as_bytes());
            assert_eq!(status(&trailers), Some(expected), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_timeout_is_read_or_not(value in proptest::collection::vec(any::<u8>(), 0..12)) {
            if let Some(ns) = parse_timeout(&value) {
                prop_assert!(value.len() <= TIMEOUT_DIGITS_MAX + 1);
                let whole = if value.ends_with(b"S") { 1_000_000_000 } else { 1 };
                prop_assert!(ns == u64::MAX || ns.is_multiple_of(whole));
            }
        }

        #[test]
        fn any_message_can_stand_in_a_field(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut out = Vec::new();
            put_escaped(&text, &mut out);
            prop_assert!(out.iter().all(|byte| (b' '..=b'~').contains(byte)));
            let mut back = Vec::new();
            let mut rest = &out[..];
            while let Some((&byte, after)) = rest.split_first() {
                rest = after;
                if byte == b'%' {
                    back.push(u8::from_str_radix(std::str::from_utf8(&rest[..2]).unwrap(), 16).unwrap());
                    rest = &rest[2..];
                } else {
                    back.push(byte);
                }
            }
            prop_assert_eq!(back, text);
        }
    }

    #[track_caller]
    fn check_translated(reason: &Reason, body: &'static str, status: &str, message: &str) {
        let mut response = Response::with_body(503, "application/json", Bytes::from_static(body.as_bytes()));
        response.headers.push("Retry-After", b"1");
        assert!(!is_trailers_only(&response));
        translate(reason, &mut response);
        assert_eq!((response.status, &response.body), (200, &Body::Empty));
        assert!(is_trailers_only(&response));
        let field =
            |name: &str| response.headers.find(name).map(|value| String::from_utf8_lossy(value).into_owned());
        assert_eq!(field("content-type").as_deref(), Some("application/grpc"));
        assert_eq!(field("grpc-status").as_deref(), Some(status));
        assert_eq!(field("grpc-message").as_deref(), Some(message));
        assert_eq!(field("retry-after").as_deref(), Some("1"));
    }

    #[test]
    fn refusals_become_trailers() {
        let json = "{\"message\":\"Too 100% Many\"}";
        check_translated(&Reason::Throttled { retry_after_s: 1 }, json, "8", "Too 100%25 Many");
        check_translated(&Reason::NoRoute, "{\"message\":\"Not Found\"}", "12", "Not Found");
        check_translated(&Reason::BackendTimedOut, "", "4", "");
        check_translated(&Reason::BackendUnreachable, "plain text", "14", "plain text");
        check_translated(
            &Reason::BodyTooLarge { max: 1 },
            "HTTP content length\n",
            "8",
            "HTTP content length%0A",
        );
        check_translated(&Reason::Internal, "é", "13", "%C3%A9");
        check_translated(&Reason::ClientGone, "", "1", "");
    }
}
