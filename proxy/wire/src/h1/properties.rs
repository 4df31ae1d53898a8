//! What must hold for any bytes whatever. Each property is a function that panics when it does not, called by unit
//! tests with tables and generated messages, and by fuzz targets with whatever they come upon.

use message::{Body, Method, PathRules, Request, Response};

use super::*;
use crate::limits::{
    CHUNK_DIGITS_MAX, CHUNK_OVERHEAD_FREE_BYTES, CHUNK_OVERHEAD_RATIO_MAX, TRAILER_BYTES_MAX,
};
use crate::{Error, Limits, Underscores};

const RULES: PathRules = PathRules { merge_slashes: false, encoded_slashes: false };

/// All that must hold for what a client sends.
pub fn any_request(bytes: &[u8]) {
    cut_request(bytes, &Limits::CLIENT);
    requests_are_clean(bytes);
    for limits in [SMALL, Limits::CLIENT] {
        request_within(bytes, &limits);
    }
    let mut request = Request::default();
    if let Ok(Some((_, framing))) = decode_request(bytes, &Limits::UPSTREAM, RULES, &mut request) {
        // Without a host there is nothing to say in HTTP/1.1.
        if !request.authority.as_str().is_empty() {
            request_survives(&request, framing.body);
        }
    }
}

/// All that must hold for what an upstream sends.
pub fn any_response(bytes: &[u8]) {
    for limits in [SMALL, Limits::UPSTREAM] {
        response_within(bytes, &limits);
    }
    for method in [Method::Get, Method::Head] {
        cut_response(bytes, &Limits::UPSTREAM, &method);
        let mut response = Response::default();
        if let Ok(Some((read, framing))) = decode_response(bytes, &Limits::UPSTREAM, &method, &mut response) {
            head_is_clean(&bytes[..read]);
            response_survives(&response, &framing, &method);
        }
    }
}

/// All that must hold for what stands where a body is read.
pub fn any_body(bytes: &[u8]) {
    for length in [BodyLength::Chunked, BodyLength::Known(bytes.len() as u64 / 2), BodyLength::UntilClose] {
        cut_body(bytes, length);
    }
    body_within(bytes);
    let (data, outcome) = read_body(&[bytes], BodyLength::Chunked);
    if outcome.is_ok() {
        chunks_survive(&data, 7);
    }
}

/// The first outcome that a growing prefix of `bytes` has is the outcome of all of `bytes`.
pub fn cut_request(bytes: &[u8], limits: &Limits) {
    let decode = |bytes: &[u8]| {
        let mut request = Request::default();
        decode_request(bytes, limits, RULES, &mut request)
            .map(|read| read.map(|(n, framing)| (n, framing, request)))
    };
    let whole = decode(bytes);
    let grown = (0..=bytes.len()).map(|cut| decode(&bytes[..cut])).find(|outcome| *outcome != Ok(None));
    assert_eq!(grown.unwrap_or(Ok(None)), whole, "{}", bytes.escape_ascii());
}

/// The same for a response.
pub fn cut_response(bytes: &[u8], limits: &Limits, method: &Method) {
    let decode = |bytes: &[u8]| {
        let mut response = Response::default();
        decode_response(bytes, limits, method, &mut response)
            .map(|read| read.map(|(n, framing)| (n, framing, response)))
    };
    let whole = decode(bytes);
    let grown = (0..=bytes.len()).map(|cut| decode(&bytes[..cut])).find(|outcome| *outcome != Ok(None));
    assert_eq!(grown.unwrap_or(Ok(None)), whole, "{}", bytes.escape_ascii());
}

/// A body cut in two anywhere, or into single bytes, has the same data, length and end as in one piece.
pub fn cut_body(bytes: &[u8], length: BodyLength) {
    let whole = read_body(&[bytes], length);
    for cut in 0..=bytes.len() {
        let (start, rest) = bytes.split_at(cut);
        assert_eq!(read_body(&[start, rest], length), whole, "cut at {cut}: {}", bytes.escape_ascii());
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(read_body(&single, length), whole, "{}", bytes.escape_ascii());
}

/// What becomes of a body that comes in `pieces`: its data up to its end or its first error, the bytes it consumed,
/// and whether it ended.
pub fn read_body(pieces: &[&[u8]], length: BodyLength) -> (Vec<u8>, Result<(usize, bool), Error>) {
    let mut decoder = BodyDecoder::new(length);
    let mut data = Vec::new();
    let mut consumed = 0;
    for piece in pieces {
        let mut rest = *piece;
        while !decoder.is_done() {
            match decoder.decode(rest) {
                Err(error) => return (data, Err(error)),
                Ok(piece) => {
                    assert!(piece.data.len() <= piece.consumed && piece.consumed <= rest.len());
                    assert_eq!(piece.done, decoder.is_done());
                    data.extend_from_slice(piece.data);
                    consumed += piece.consumed;
                    rest = &rest[piece.consumed..];
                    if piece.consumed == 0 {
                        break;
                    }
                }
            }
        }
        assert!(decoder.is_done() || rest.is_empty(), "bytes were left though the body had not ended");
    }
    (data, Ok((consumed, decoder.is_done())))
}

/// What is taken for a request is one to any reader: it has one framing, one host, and a clean head.
pub fn requests_are_clean(bytes: &[u8]) {
    let mut request = Request::default();
    let Ok(Some((read, framing))) = decode_request(bytes, &Limits::CLIENT, RULES, &mut request) else {
        return;
    };
    let head = &bytes[..read];
    let head = head.strip_prefix(b"\r\n").unwrap_or(head);
    head_is_clean(head);
    let lengths = fields(head, b"content-length").count();
    let codings = fields(head, b"transfer-encoding").count();
    let expected = match framing.body {
        BodyLength::None => (0, 0),
        BodyLength::Known(_) => (1, 0),
        BodyLength::Chunked => (0, 1),
        BodyLength::UntilClose => panic!("a request ends by itself"),
    };
    assert_eq!((lengths, codings), expected, "{}", bytes.escape_ascii());
    assert!(fields(head, b"host").count() <= 1, "{}", bytes.escape_ascii());
}

/// A head that was taken is lines that end in CRLF, the only empty one at its end, without a control byte, a fold or
/// a blank around a name. Written without a look at the decoder.
pub fn head_is_clean(head: &[u8]) {
    let shown = head.escape_ascii();
    let lines = head.strip_suffix(b"\r\n\r\n").unwrap_or_else(|| panic!("ends elsewhere: {shown}"));
    for (number, line) in lines.split(|byte| *byte == b'\n').enumerate() {
        let is_last = line.as_ptr_range().end == lines.as_ptr_range().end;
        let line = if is_last { line } else { line.strip_suffix(b"\r").unwrap_or_default() };
        assert!(!line.is_empty(), "an empty line or a bare LF: {shown}");
        assert!(!line.iter().any(|byte| matches!(byte, 0..=8 | 10..=31 | 127)), "a control byte: {shown}");
        if number > 0 {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            assert!(name.len() < line.len() && !name.is_empty(), "no name: {shown}");
            assert!(name.iter().all(|byte| byte.is_ascii_graphic()), "not a name: {shown}");
        }
    }
}

/// The lines of a head that have this name, which is in lower case.
fn fields<'a>(head: &'a [u8], name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let lines = head.split(|byte| *byte == b'\n').skip(1);
    lines.filter(move |line| {
        line.split(|byte| *byte == b':').next().is_some_and(|own| own.eq_ignore_ascii_case(name))
    })
}

/// A request, sent upstream, arrives as it is: only in the version we speak, and with its path normalised.
pub fn request_survives(request: &Request, length: BodyLength) {
    let mut bytes = Vec::new();
    encode_request(request, &request.authority, length, &mut bytes);
    let mut again = Request::default();
    let limits = Limits { underscores: Underscores::Keep, head_bytes_max: usize::MAX, ..Limits::CLIENT };
    let outcome = decode_request(&bytes, &limits, RULES, &mut again);
    let sent = bytes.escape_ascii();
    let Ok(Some((read, framing))) = outcome else { panic!("{outcome:?}: {sent}") };
    assert_eq!(read, bytes.len(), "{sent}");
    let says_none = matches!(request.method, Method::Post | Method::Put | Method::Patch);
    let length = if length == BodyLength::None && says_none { BodyLength::Known(0) } else { length };
    assert_eq!(framing, RequestFraming { body: length, keep_alive: true, expect_continue: false }, "{sent}");
    assert_eq!(again.method, request.method, "{sent}");
    assert_eq!(again.target.path(), request.target.path(), "{sent}");
    assert_eq!(again.target.query(), request.target.query(), "{sent}");
    assert_eq!(again.authority, request.authority, "{sent}");
    assert_eq!(again.headers, request.headers, "{sent}");
    assert_eq!(again.body, request.body, "{sent}");
    assert_eq!(again.upgrade(), request.upgrade(), "{sent}");
}

/// A response, sent to a client, arrives as it is: only with a date, and chunked when only its end told its length.
pub fn response_survives(response: &Response, framing: &ResponseFraming, method: &Method) {
    let date = imf_fixdate(0);
    let mut bytes = Vec::new();
    let body = ResponseBody::choose(method, message::Version::Http11, response, framing.body);
    match (framing.kind, &framing.upgrade) {
        (ResponseKind::Interim, _) => encode_interim(response.status, &response.headers, &mut bytes),
        (ResponseKind::SwitchingProtocols, Some(protocol)) => {
            encode_switching(response, protocol, &mut bytes)
        }
        _ => {
            let options = ResponseOptions {
                version: message::Version::Http11,
                close: !framing.keep_alive,
                body,
                date: &date,
            };
            encode_response(response, &options, &mut bytes);
        }
    }
    let mut again = Response::default();
    let limits = Limits { headers_max: usize::MAX, head_bytes_max: usize::MAX, ..Limits::UPSTREAM };
    let outcome = decode_response(&bytes, &limits, method, &mut again);
    let sent = bytes.escape_ascii();
    let Ok(Some((read, framed))) = outcome else { panic!("{outcome:?}: {sent}") };
    assert_eq!(read, bytes.len(), "{sent}");
    assert_eq!(framed.kind, framing.kind, "{sent}");
    assert_eq!(framed.upgrade, framing.upgrade, "{sent}");
    if framing.kind == ResponseKind::Final {
        assert_eq!(framed.keep_alive, framing.keep_alive, "{sent}");
        if response.headers.find("date").is_none() {
            again.headers.remove("date");
        }
    }
    let expected = if body == ResponseBody::Chunked { BodyLength::Chunked } else { framing.body };
    assert_eq!(framed.body, expected, "{sent}");
    assert_eq!(again.status, response.status, "{sent}");
    assert_eq!(again.headers, response.headers, "{sent}");
    assert_eq!(again.body, response.body, "{sent}");
}

/// Data in chunks of that many bytes comes out as it went in, and the body ends where it ends.
pub fn chunks_survive(data: &[u8], chunk_bytes: usize) {
    let mut bytes = Vec::new();
    for chunk in data.chunks(chunk_bytes.max(1)) {
        encode_chunk(chunk, &mut bytes);
    }
    encode_last_chunk(&mut bytes);
    let sent = bytes.len();
    bytes.extend_from_slice(b"GET");
    assert_eq!(read_body(&[&bytes], BodyLength::Chunked), (data.to_vec(), Ok((sent, true))));
}

/// Limits that even a short head can meet.
const SMALL: Limits = Limits {
    head_bytes_max: 256,
    method_bytes_max: 8,
    target_bytes_max: 32,
    headers_max: 4,
    connection_names_max: 2,
    ..Limits::CLIENT
};

/// What is taken of a request stays within its limits.
pub fn request_within(bytes: &[u8], limits: &Limits) {
    let mut request = Request::default();
    match decode_request(bytes, limits, RULES, &mut request) {
        Ok(Some((read, _))) => {
            assert!(read <= limits.head_bytes_max && read <= bytes.len());
            assert!(request.method.as_str().len() <= limits.method_bytes_max);
            assert!(request.target.raw().len() <= limits.target_bytes_max);
            assert!(request.headers.len() <= limits.headers_max && request.headers.bytes() <= read);
        }
        Ok(None) => assert!(bytes.len() < limits.head_bytes_max, "a full head is not waited for"),
        Err(_) => assert!(request.headers.is_empty() && request.body == Body::Empty),
    }
}

/// The same for a response.
pub fn response_within(bytes: &[u8], limits: &Limits) {
    let mut response = Response::default();
    match decode_response(bytes, limits, &Method::Get, &mut response) {
        Ok(Some((read, _))) => {
            assert!(read <= limits.head_bytes_max && read <= bytes.len());
            assert!(response.headers.len() <= limits.headers_max && response.headers.bytes() <= read);
            assert!((100..=599).contains(&response.status));
        }
        Ok(None) => assert!(bytes.len() < limits.head_bytes_max, "a full head is not waited for"),
        Err(_) => assert!(response.headers.is_empty() && response.body == Body::Empty),
    }
}

/// A body is no longer than it says, and its framing not much longer than its data.
pub fn body_within(bytes: &[u8]) {
    let (data, outcome) = read_body(&[bytes], BodyLength::Chunked);
    if let Ok((consumed, _)) = outcome {
        let framing = (consumed - data.len()) as u64;
        // What is looked at when a chunk begins are the chunks before it.
        let one_chunk = u64::from(CHUNK_DIGITS_MAX) + 4;
        let bound = (data.len() as u64 * CHUNK_OVERHEAD_RATIO_MAX).max(CHUNK_OVERHEAD_FREE_BYTES);
        assert!(framing <= bound + 2 * one_chunk + TRAILER_BYTES_MAX);
    }
    let known = bytes.len() as u64 / 3;
    let (data, _) = read_body(&[bytes], BodyLength::Known(known));
    assert!(data.len() as u64 <= known);
}
