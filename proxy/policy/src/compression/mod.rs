//! Compression of bodies (row 125): which responses are compressed for whom, and which requests come compressed. It decides;
//! the work itself is done in slices ([`Coder`]) by who has the bodies.

mod accept;
mod coder;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use message::{Body, Headers, Method, Name, Request, Response};

pub use self::coder::{Coder, Error, STATE_BYTES, Spare, Step};
use crate::{Answer, Context, Description, Policy, Question, Verdict};

/// The longest body that is compressed or decompressed, in both forms: AWS's payload (row 174), which is also the largest
/// `minimumCompressionSize`.
pub const BODY_BYTES_MAX: u64 = 10 << 20;

/// How a body is coded (RFC 9110 §8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 1950, the zlib format.
    Deflate,
}

impl Coding {
    /// As it stands in `Content-Encoding`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    fn of(token: &[u8]) -> Option<Self> {
        if token.eq_ignore_ascii_case(b"gzip") || token.eq_ignore_ascii_case(b"x-gzip") {
            Some(Self::Gzip)
        } else {
            token.eq_ignore_ascii_case(b"deflate").then_some(Self::Deflate)
        }
    }
}

/// What a stage compresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    /// Responses that are shorter are not compressed, in bytes.
    pub minimum_bytes: u64,
}

/// What is to be done with a response, so far as its request tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    coding: Option<Coding>,
    /// A body without a coding is refused by the client.
    must: bool,
    minimum_bytes: u64,
}

impl Compression {
    /// What the request says of its response, before an integration makes it another request.
    pub fn wanted(self, request: &Request) -> Wanted {
        let accepted = accept::preferred(&request.headers);
        let coding = accepted.coding.filter(|_| request.method != Method::Head);
        Wanted { coding, must: accepted.identity_refused, minimum_bytes: self.minimum_bytes }
    }
}

impl Wanted {
    /// Whether a response is to be had whole because it is to be compressed. Not one whose parts are for their moment.
    pub fn gathers(&self, response: &Response) -> bool {
        let is_events = response.headers.get(Name::ContentType).is_some_and(|media_type| {
            let name = b"text/event-stream";
            media_type.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        });
        matches!(response.body, Body::Stream(_)) && !is_events && self.coding_of(response).is_some()
    }

    /// How a response is to be coded, if it is.
    pub fn coding_of(&self, response: &Response) -> Option<Coding> {
        let is_short = response.body.length().is_none_or(|bytes| bytes <= BODY_BYTES_MAX);
        self.coding.filter(|_| is_short && self.concerns(response))
    }

    /// Says that what was answered depends on what the client accepts, where it does.
    pub fn mark(&self, response: &mut Response) {
        if response.status == 304 || self.concerns(response) {
            vary(&mut response.headers);
        }
    }

    /// Whether a response is one that is coded for whoever accepts that.
    fn concerns(&self, response: &Response) -> bool {
        let is_long = |bytes| bytes > 0 && (bytes >= self.minimum_bytes || self.must);
        response.body.length().is_none_or(is_long) && may_be_coded(response)
    }
}

/// Whether a response is one that a coding makes no other of: it has a body, in no coding, whole, and its origin lets
/// others change it (RFC 9110 §7.7).
fn may_be_coded(response: &Response) -> bool {
    let headers = &response.headers;
    let may_transform = !headers
        .find_all("cache-control")
        .flat_map(|value| value.split(|byte| *byte == b','))
        .any(|directive| directive.trim_ascii().eq_ignore_ascii_case(b"no-transform"));
    response.status >= 200
        && !matches!(response.status, 204 | 206 | 304)
        && response.body != Body::Empty
        && headers.get(Name::ContentEncoding).is_none_or(|coding| coding.eq_ignore_ascii_case(b"identity"))
        && headers.find("content-range").is_none()
        && may_transform
}

/// Puts a coded body in place of a response's own, and says so. A strong `ETag` named other bytes (RFC 9110 §8.8.1).
pub fn replace(response: &mut Response, coding: Coding, body: Bytes) {
    /// What tells of the bytes as they were.
    const OF_THE_BYTES: [&str; 6] =
        ["accept-ranges", "content-digest", "content-length", "content-md5", "digest", "repr-digest"];
    let headers = &mut response.headers;
    for name in OF_THE_BYTES {
        headers.remove(name);
    }
    headers.set("Content-Encoding", coding.as_str().as_bytes());
    if let Some(etag) = headers.find("etag").filter(|etag| etag.starts_with(b"\"")) {
        let weak = [b"W/", etag].concat();
        headers.set("ETag", &weak);
    }
    response.body = Body::Whole(body);
}

fn vary(headers: &mut Headers) {
    let named = headers
        .find_all("vary")
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .any(|name| name == b"*" || name.eq_ignore_ascii_case(b"accept-encoding"));
    if !named {
        headers.push("Vary", b"Accept-Encoding");
    }
}

/// The policy: requests that come compressed go on as if they had not (row 125). What comes in a coding that is not known here
/// passes as it is.
#[derive(Clone, Copy, Debug)]
pub struct Decompress;

impl Policy for Decompress {
    fn on_request(&self, request: &mut Request, _: &mut Context<'_>) -> Verdict {
        let Some(coded) = request.headers.get(Name::ContentEncoding) else { return Verdict::Continue };
        if coded.eq_ignore_ascii_case(b"identity") {
            request.headers.remove("content-encoding");
            return Verdict::Continue;
        }
        let is_only = request.headers.find_all("content-encoding").count() == 1;
        match Coding::of(coded.trim_ascii()).filter(|_| is_only && request.body != Body::Empty) {
            Some(coding) => Verdict::Ask(Question::Decode { coding, bytes_max: BODY_BYTES_MAX }),
            None => Verdict::Continue,
        }
    }

    fn on_answer(&self, request: &mut Request, _: Answer, _: &mut Context<'_>) -> Verdict {
        request.headers.remove("content-encoding");
        request.headers.remove("content-md5");
        Verdict::Continue
    }

    fn reads_responses(&self) -> bool {
        false
    }

    fn describe(&self) -> Description {
        Description::of("decompression", "bodies in gzip or deflate go on as they were before")
    }
}
