//! Messages to bytes. Every head is written from the typed form, with exactly one framing field, which is ours; fields
//! of the hop that a message should carry all the same are left out. That the others are sound is what `Headers` stands
//! for, so they are copied as they are.

use message::{Authority, Headers, Method, Name, Names, Request, Response, Version, reason_phrase};

use super::BodyLength;

/// How a body is told from the next response, as far as the head says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseBody {
    /// `Content-Length`, and so many bytes follow.
    Known(u64),
    /// `Transfer-Encoding: chunked`; never to a client of HTTP/1.0.
    Chunked,
    /// No framing field: the body ends with the connection, which `Connection: close` announces.
    UntilClose,
    /// No framing field and no body: 204 and 1xx.
    None,
    /// No body; `Content-Length` says what a GET would bring, if that is known: HEAD and 304.
    HeadOnly(Option<u64>),
}

/// What the head of a response depends on besides the response.
#[derive(Clone, Copy, Debug)]
pub struct ResponseOptions<'a> {
    /// In which version the client asked. The answer is HTTP/1.1 in any case (RFC 9110 §2.5).
    pub version: Version,
    /// Whether the connection ends with this response.
    pub close: bool,
    /// How the body is framed.
    pub body: ResponseBody,
    /// `Date`, if the response has none ([`imf_fixdate`](super::imf_fixdate)).
    pub date: &'a [u8; 29],
}

impl ResponseBody {
    /// How a response with a body of `length` is to be framed for a client that asked with `method` in `version`
    /// (RFC 9112 §6). For HEAD and 304 a `Content-Length` that an upstream gave is kept. What was chunked or ended
    /// with the upstream's connection is chunked for HTTP/1.1 and ends with the connection for HTTP/1.0.
    pub fn choose(method: &Method, version: Version, response: &Response, length: BodyLength) -> Self {
        let known = match length {
            BodyLength::Known(bytes) => Some(bytes),
            BodyLength::None | BodyLength::Chunked | BodyLength::UntilClose => None,
        };
        match (response.status, length) {
            (100..=199 | 204, _) => Self::None,
            (304, _) => Self::HeadOnly(known.or_else(|| kept_length(response))),
            _ if *method == Method::Head => Self::HeadOnly(known.or_else(|| kept_length(response))),
            (_, BodyLength::None) => Self::Known(0),
            (_, BodyLength::Known(bytes)) => Self::Known(bytes),
            _ if version == Version::Http11 => Self::Chunked,
            _ => Self::UntilClose,
        }
    }
}

fn kept_length(response: &Response) -> Option<u64> {
    std::str::from_utf8(response.headers.get(Name::ContentLength)?).ok()?.parse().ok()
}

/// Appends the head of a request to `authority`, which may be another than the one it came for: HTTP/1.1, the normalised path. `length` may not be
/// `UntilClose`, which no request has. A method whose meaning needs a body says so when it has none
/// (`Content-Length: 0`, RFC 9110 §8.6).
pub fn encode_request(request: &Request, authority: &Authority, length: BodyLength, out: &mut Vec<u8>) {
    debug_assert!(length != BodyLength::UntilClose, "a request cannot end with its connection");
    put(out, &[request.method.as_str().as_bytes(), b" ", request.target.path().as_bytes()]);
    if let Some(query) = request.target.query() {
        put(out, &[b"?", query.as_bytes()]);
    }
    put(out, &[b" HTTP/1.1\r\nHost: ", authority.as_str().as_bytes(), b"\r\n"]);
    request.headers.write(OF_THE_HOP_OF_REQUESTS, out);
    match length {
        BodyLength::Known(bytes) => put_length(bytes, out),
        BodyLength::Chunked | BodyLength::UntilClose => put(out, &[CHUNKED]),
        BodyLength::None if matches!(request.method, Method::Post | Method::Put | Method::Patch) => {
            put_length(0, out);
        }
        BodyLength::None => {}
    }
    if let Some(protocol) = request.upgrade() {
        put_upgrade(protocol, out);
    }
    put(out, &[b"\r\n"]);
}

/// Appends the head of a final response.
pub fn encode_response(response: &Response, options: &ResponseOptions<'_>, out: &mut Vec<u8>) {
    debug_assert!(options.body != ResponseBody::Chunked || options.version == Version::Http11);
    put_status(response.status, out);
    response.headers.write(OF_THE_HOP, out);
    if response.headers.get(Name::Date).is_none() {
        put(out, &[b"Date: ", options.date, b"\r\n"]);
    }
    match options.body {
        ResponseBody::Known(bytes) | ResponseBody::HeadOnly(Some(bytes)) => put_length(bytes, out),
        ResponseBody::Chunked => put(out, &[CHUNKED]),
        ResponseBody::UntilClose | ResponseBody::None | ResponseBody::HeadOnly(None) => {}
    }
    if options.close || options.body == ResponseBody::UntilClose {
        put(out, &[b"Connection: close\r\n"]);
    } else if options.version == Version::Http10 {
        put(out, &[b"Connection: keep-alive\r\n"]);
    }
    put(out, &[b"\r\n"]);
}

/// A head that is encoded once and sent many times, by clients of HTTP/1.1 that want a body: the same bytes as
/// [`encode_response`] writes, but for what is only known when it is sent.
#[derive(Clone, Copy, Debug)]
pub struct KeptHead<'a> {
    /// What [`encode_kept`] appended.
    pub bytes: &'a [u8],
    /// Where in it the rest belongs.
    pub varies_at: usize,
    /// Whether it has a date.
    pub is_dated: bool,
}

/// Appends what of a response's head stays the same as long as it is kept: all but `Age`, a `Date` that is not its own,
/// and `Connection`. Says where these belong; `None`, and nothing is appended, for a response that has no body by its
/// status.
pub fn encode_kept(status: u16, headers: &Headers, body_bytes: u64, out: &mut Vec<u8>) -> Option<usize> {
    if matches!(status, 100..=199 | 204 | 304) {
        return None;
    }
    let from = out.len();
    put_status(status, out);
    headers.write(OF_THE_HOP.with(Name::Age), out);
    let varies_at = out.len() - from;
    put_length(body_bytes, out);
    Some(varies_at)
}

/// Appends a kept head, with the age of what it belongs to in seconds. `date` is for one that has none.
pub fn encode_kept_again(kept: KeptHead<'_>, age_s: u64, date: &[u8; 29], close: bool, out: &mut Vec<u8>) {
    let (head, length) = kept.bytes.split_at(kept.varies_at);
    let mut digits = itoa::Buffer::new();
    put(out, &[head, b"Age: ", digits.format(age_s).as_bytes(), b"\r\n"]);
    if !kept.is_dated {
        put(out, &[b"Date: ", date, b"\r\n"]);
    }
    put(out, &[length, if close { b"Connection: close\r\n\r\n".as_slice() } else { b"\r\n" }]);
}

/// Appends an interim response (100, 102, 103 …), which never has a body.
pub fn encode_interim(status: u16, headers: &Headers, out: &mut Vec<u8>) {
    debug_assert!((100..=199).contains(&status) && status != 101);
    put_status(status, out);
    headers.write(OF_THE_HOP, out);
    put(out, &[b"\r\n"]);
}

/// Appends the 101 after which the connection speaks `protocol`.
pub fn encode_switching(response: &Response, protocol: &str, out: &mut Vec<u8>) {
    put_status(101, out);
    response.headers.write(OF_THE_HOP, out);
    put_upgrade(protocol, out);
    put(out, &[b"\r\n"]);
}

/// Appends a chunk. Nothing for no data: an empty chunk would end the body.
pub fn encode_chunk(data: &[u8], out: &mut Vec<u8>) {
    if !data.is_empty() {
        encode_chunk_size(data.len() as u64, out);
        put(out, &[data]);
        encode_chunk_end(out);
    }
}

/// Appends what stands before the data of a chunk of that many bytes, of which there must be some. For data that is
/// sent from where it lies.
pub fn encode_chunk_size(bytes: u64, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    debug_assert!(bytes > 0, "an empty chunk would end the body");
    let digits = (16 - bytes.leading_zeros() / 4).max(1);
    out.extend((0..digits).rev().map(|digit| HEX[(bytes >> (digit * 4) & 15) as usize]));
    put(out, &[b"\r\n"]);
}

/// Appends what stands after the data of a chunk.
pub fn encode_chunk_end(out: &mut Vec<u8>) {
    put(out, &[b"\r\n"]);
}

/// Appends the end of a chunked body, without trailers.
pub fn encode_last_chunk(out: &mut Vec<u8>) {
    put(out, &[b"0\r\n\r\n"]);
}

const CHUNKED: &[u8] = b"Transfer-Encoding: chunked\r\n";

fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn put_status(status: u16, out: &mut Vec<u8>) {
    let mut digits = itoa::Buffer::new();
    put(
        out,
        &[b"HTTP/1.1 ", digits.format(status).as_bytes(), b" ", reason_phrase(status).as_bytes(), b"\r\n"],
    );
}

fn put_length(bytes: u64, out: &mut Vec<u8>) {
    let mut digits = itoa::Buffer::new();
    put(out, &[b"Content-Length: ", digits.format(bytes).as_bytes(), b"\r\n"]);
}

fn put_upgrade(protocol: &str, out: &mut Vec<u8>) {
    put(out, &[b"Connection: upgrade\r\nUpgrade: ", protocol.as_bytes(), b"\r\n"]);
}

/// Fields that only this file may write.
const OF_THE_HOP: Names = Names::of(&[
    Name::Connection,
    Name::ContentLength,
    Name::KeepAlive,
    Name::ProxyConnection,
    Name::Te,
    Name::Trailer,
    Name::TransferEncoding,
    Name::Upgrade,
]);

/// The same in requests, whose `Host` comes from their authority.
const OF_THE_HOP_OF_REQUESTS: Names = OF_THE_HOP.with(Name::Host).with(Name::Expect);
