//! Fields of messages, from a decoded head to ours and back: which go on, which mean something for this hop only, and which
//! nobody may send. The rules are those of `h1::head`; HTTP/2's own the head has kept already (RFC 9113 §8.2).

use message::{Field, Headers, Name, Names};

use super::head::Head;
use super::hpack::Encoder;
use crate::h1::head::{Side, content_length, passes_unknown};
use crate::limits::{HEAD_BYTES_CAP, HEADERS_CAP};
use crate::{Error, Limits};

/// What stands between and behind names and values in HTTP/1.1. Counted here as well, so that a head is too long in
/// both versions or in none.
const LINE_BYTES: usize = b": \r\n".len();

/// From so many bytes on room for fields is made at once.
const LONG_BYTES: usize = 1024;

/// Fields that belong to one hop, and those that frame. None of them is passed on as it came.
pub(super) const OF_THE_HOP: Names = Names::of(&[
    Name::Connection,
    Name::ContentLength,
    Name::KeepAlive,
    Name::ProxyConnection,
    Name::Te,
    Name::Trailer,
    Name::TransferEncoding,
    Name::Upgrade,
]);

/// What fields of the hop said.
#[derive(Default)]
pub(super) struct Hop<'a> {
    pub(super) host: Option<&'a [u8]>,
    pub(super) host_is_never_indexed: bool,
    /// The number and how it was written.
    pub(super) content_length: Option<(u64, &'a [u8])>,
    pub(super) expect_continue: bool,
}

/// Reads fields: those that go on are added to `into`, the others told. `line_bytes` is what the rest of the head has, of
/// which `line_fields` would be fields in HTTP/1.1.
pub(super) fn read<'a>(
    head: &'a Head,
    line_bytes: usize,
    line_fields: usize,
    side: Side,
    limits: &Limits,
    into: &mut Headers,
) -> Result<Hop<'a>, Error> {
    let max = limits.head_bytes_max.min(HEAD_BYTES_CAP);
    if head.is_too_long() {
        return Err(Error::HeadTooLong { max: max.min(head.list_bytes_max()) });
    }
    let fields_max = limits.headers_max.min(HEADERS_CAP);
    if line_fields + head.len() > fields_max {
        return Err(Error::TooManyHeaders { max: fields_max });
    }
    // The head's bytes are those of pseudo-fields too.
    let bytes = head.field_bytes() + head.len() * LINE_BYTES;
    if line_bytes + bytes >= max {
        return Err(Error::HeadTooLong { max });
    }
    if bytes > LONG_BYTES {
        // What grows by doubling may be twice what it holds.
        into.reserve(head.len(), bytes);
    }
    let mut hop = Hop::default();
    for field in head.fields() {
        if hop.passes(field, side, limits)? {
            match field.name {
                // All of them are written at the first one.
                Name::Cookie if side == Side::Client => push_cookies(head, into),
                _ => into.push_field(field),
            }
        }
    }
    Ok(hop)
}

/// Adds the crumbs of a cookie as the one field that HTTP/1.1 knows (RFC 9113 §8.2.3), once. That no hop is to keep it in a
/// table need not be said: our encoder says so of any.
fn push_cookies(head: &Head, into: &mut Headers) {
    if into.seen().has(Name::Cookie) {
        return;
    }
    into.push_known_with(Name::Cookie, "cookie", |out| {
        let crumbs = head.fields().filter(|field| field.name == Name::Cookie);
        let begin = out.len();
        for (number, crumb) in crumbs.enumerate() {
            if number > 0 {
                out.extend_from_slice(b"; ");
            }
            out.extend_from_slice(crumb.value);
        }
        // A blank behind which nothing came is no part of the value (RFC 9110 §5.5).
        if out[begin..].ends_with(b" ") {
            out.pop();
        }
    });
}

impl<'a> Hop<'a> {
    /// Takes note of a field of the hop; whether it is one that goes on.
    fn passes(&mut self, field: Field<'a>, side: Side, limits: &Limits) -> Result<bool, Error> {
        let value = field.value;
        match field.name {
            Name::Other => return passes_unknown(field.text, side, limits),
            Name::ContentLength if self.content_length.is_some() => {
                return Err(Error::RepeatedContentLength);
            }
            Name::ContentLength => self.content_length = Some((content_length(value)?, value)),
            Name::Te | Name::Trailer => {}
            Name::Host if side == Side::Client && self.host.is_some() => return Err(Error::RepeatedHost),
            Name::Host if side == Side::Client => {
                (self.host, self.host_is_never_indexed) = (Some(value), field.never_indexed);
            }
            Name::Expect if side == Side::Client => {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Error::UnknownExpectation);
                }
                self.expect_continue = true;
            }
            _ => return Ok(true),
        }
        Ok(false)
    }
}

/// Reads trailers: adds those that may go on. Fields that the gateway knows by number frame, route, identify or
/// describe a message, which can't be had back once its head has gone (RFC 9110 §6.5.1): they are left out, as all
/// trailers are in HTTP/1.1.
pub(super) fn read_trailers(head: &Head, side: Side, limits: &Limits, into: &mut Headers) {
    into.clear();
    if head.is_too_long() {
        return;
    }
    for field in head.fields().take(limits.headers_max.min(HEADERS_CAP)) {
        let may_pass = field.name == Name::Other
            && !is_out_of_place(field.text)
            && passes_unknown(field.text, side, limits) == Ok(true);
        if may_pass {
            into.push_field(field);
        }
    }
}

/// Fields without a number that mean something in a head only.
fn is_out_of_place(text: &[u8]) -> bool {
    const NAMES: [&str; 12] = [
        "content-location",
        "content-range",
        "expires",
        "http2-settings",
        "if-match",
        "if-range",
        "if-unmodified-since",
        "location",
        "max-forwards",
        "proxy-authorization",
        "retry-after",
        "www-authenticate",
    ];
    const PREFIXES: [&str; 4] = ["x-forwarded-", "x-amzn-", "access-control-", "proxy-"];
    NAMES.iter().any(|name| name.as_bytes() == text)
        || PREFIXES.iter().any(|prefix| text.starts_with(prefix.as_bytes()))
}

/// Appends fields but for those in `left_out`.
pub(super) fn write(encoder: &mut Encoder, headers: &Headers, left_out: Names, out: &mut Vec<u8>) {
    let fields = headers.iter().filter(|field| !left_out.has(field.name));
    if headers.has_never_indexed() {
        return write_marked(encoder, fields, out);
    }
    for field in fields {
        encoder.field(field.name, field.text, field.value, out);
    }
}

/// The same where some fields are to be in no table (RFC 7541 §6.2.3).
#[cold]
fn write_marked<'a>(encoder: &mut Encoder, fields: impl Iterator<Item = Field<'a>>, out: &mut Vec<u8>) {
    for field in fields {
        if field.never_indexed {
            encoder.never_indexed(field.name, field.text, field.value, out);
        } else {
            encoder.field(field.name, field.text, field.value, out);
        }
    }
}

/// Appends how long a body is.
pub(super) fn write_length(encoder: &mut Encoder, bytes: u64, out: &mut Vec<u8>) {
    let mut digits = itoa::Buffer::new();
    encoder.field(Name::ContentLength, b"content-length", digits.format(bytes).as_bytes(), out);
}
