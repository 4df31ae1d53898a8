//! Conditions and ranges that are answered from a kept response (RFC 9111 §4.3.2, RFC 9110 §13, §14), and the conditions
//! by which a kept response is validated (§4.3.1). This module compares fields; it does not know who asks the backend.

use std::io::Write as _;

use message::{Body, Field, Headers, Name, Response};

use super::directives;
use super::stored::Stored;
use super::{belongs_to_not_modified, is_one_of, weak};

/// What a request makes of a kept response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selected {
    /// All of it.
    Whole,
    /// The client has it already.
    NotModified,
    /// Bytes from here to there, the last one included.
    Part(u64, u64),
    /// No bytes: there are fewer.
    Unsatisfiable,
}

/// Evaluates the conditions of a request in their order (RFC 9110 §13.2.2), then its range. A condition or a range that
/// can't be read counts as none.
pub(super) fn select(request: &Headers, is_get: bool, stored: &Stored) -> Selected {
    if stored.status() != 200 {
        return Selected::Whole;
    }
    if is_not_modified(request, stored) {
        return Selected::NotModified;
    }
    let range = request.get(Name::Range).filter(|_| is_get && is_same(request, stored.headers()));
    match range {
        Some(range) => part(range, stored.body().len() as u64),
        None => Selected::Whole,
    }
}

/// Gives a response that is a whole copy the form that was selected.
pub(super) fn cut(response: &mut Response, selected: Selected) {
    let length = response.body.length().unwrap_or(0);
    match selected {
        Selected::Whole => {}
        Selected::NotModified => {
            response.status = 304;
            response.headers.retain(|field| belongs_to_not_modified(&field));
            response.body = Body::Whole(bytes::Bytes::new());
        }
        Selected::Part(from, to) => {
            response.status = 206;
            // A vector takes every write.
            response.headers.push_with("Content-Range", |out| {
                let _ = write!(out, "bytes {from}-{to}/{length}");
            });
            if let Body::Whole(bytes) = &response.body {
                response.body = Body::Whole(bytes.slice(from as usize..to as usize + 1));
            }
        }
        Selected::Unsatisfiable => {
            response.status = 416;
            response.headers.retain(|field| belongs_to_not_modified(&field));
            response.headers.push_with("Content-Range", |out| {
                let _ = write!(out, "bytes */{length}");
            });
            response.body = Body::Whole(bytes::Bytes::new());
        }
    }
}

/// Puts the conditions on a request by which the backend can say that a kept response still holds; the client's own are
/// evaluated on what comes of it. `false`: the response has no validator, and the request is left as it is.
pub(super) fn put(request: &mut Headers, stored: &Headers) -> bool {
    let (etag, modified) = (stored.find("etag"), stored.find("last-modified"));
    if etag.is_none() && modified.is_none() {
        return false;
    }
    request.retain(|field| !is_conditional(&field));
    if let Some(etag) = etag {
        request.push("If-None-Match", etag);
    }
    if let Some(modified) = modified {
        request.push("If-Modified-Since", modified);
    }
    true
}

/// The fields of a kept response after a 304 (§3.2, §4.3.4): those of the 304 take the place of their namesakes, except
/// for what describes the body, which did not change, and the validator that the 304 confirmed.
pub(super) fn merge(stored: &Headers, renewal: &Headers) -> Headers {
    const KEPT: [&str; 5] = ["content-encoding", "content-length", "content-md5", "content-range", "etag"];
    let is_replaced = |field: &Field<'_>| {
        !is_one_of(&KEPT, field.text)
            && renewal.iter().any(|other| other.text.eq_ignore_ascii_case(field.text))
    };
    let mut merged = stored.clone();
    // How old it was ended with the validation: a 304 without a date was made just now (RFC 9110 §6.6.1).
    merged.retain(|field| !matches!(field.name, Name::Age | Name::Date) && !is_replaced(&field));
    for field in renewal.iter().filter(|field| !is_one_of(&KEPT, field.text)) {
        merged.push_field(field);
    }
    merged
}

fn is_conditional(field: &Field<'_>) -> bool {
    match field.name {
        Name::IfNoneMatch | Name::IfModifiedSince | Name::Range => true,
        Name::Other => is_one_of(&["if-range"], field.text),
        _ => false,
    }
}

/// §4.3.2: an entity tag that the client has goes before a date.
fn is_not_modified(request: &Headers, stored: &Stored) -> bool {
    let headers = stored.headers();
    if request.get(Name::IfNoneMatch).is_some() {
        let own = headers.find("etag").map(weak);
        let fields = request.iter().filter(|field| field.name == Name::IfNoneMatch);
        return fields
            .flat_map(|field| directives::quoted_list(field.value))
            .any(|tag| tag == b"*" || own.is_some_and(|own| weak(tag) == own));
    }
    let Some(since) = request.get(Name::IfModifiedSince) else { return false };
    if headers.find("last-modified") == Some(since) {
        return true;
    }
    // Without `Last-Modified` the time it was made does (§4.3.2).
    let made = headers.find("last-modified").or_else(|| headers.get(Name::Date));
    match (directives::unix_s(made), directives::unix_s(Some(since))) {
        (Some(made_s), Some(since_s)) => made_s <= since_s,
        _ => false,
    }
}

/// `If-Range` (RFC 9110 §13.1.5): compared strongly. A date is taken for no proof, since the clock that made it does not
/// tell two changes in one second apart.
fn is_same(request: &Headers, stored: &Headers) -> bool {
    let Some(validator) = request.find("if-range") else { return true };
    validator.starts_with(b"\"") && stored.find("etag") == Some(validator)
}

/// One range of bytes (RFC 9110 §14.1.2). Several ranges are answered with the whole, which is always right.
pub(super) fn part(range: &[u8], length: u64) -> Selected {
    let Some(range) = range.strip_prefix(b"bytes=").map(<[u8]>::trim_ascii) else { return Selected::Whole };
    let Some(dash) = range.iter().position(|byte| *byte == b'-') else { return Selected::Whole };
    let (first, last) = (&range[..dash], &range[dash + 1..]);
    let (first, last) = match (first, last) {
        (b"", last) => match directives::seconds(last) {
            Some(0) => return Selected::Unsatisfiable,
            Some(suffix) => (length.saturating_sub(suffix), u64::MAX),
            None => return Selected::Whole,
        },
        (first, b"") => match directives::seconds(first) {
            Some(first) => (first, u64::MAX),
            None => return Selected::Whole,
        },
        (first, last) => match (directives::seconds(first), directives::seconds(last)) {
            (Some(first), Some(last)) if first <= last => (first, last),
            _ => return Selected::Whole,
        },
    };
    if first >= length { Selected::Unsatisfiable } else { Selected::Part(first, last.min(length - 1)) }
}
