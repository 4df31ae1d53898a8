//! Fields of messages between the codec's map and ours: which go on, which mean something for this hop only, and which
//! nobody may send. The rules are those of `h1::head`; HTTP/2's own come on top (RFC 9113 §8.2).

use http::{HeaderMap, HeaderName, HeaderValue, header};
use message::{Headers, Name, Names, octets};

use crate::h1::head::{Side, content_length, passes_unknown};
use crate::limits::{HEAD_BYTES_CAP, HEADERS_CAP};
use crate::{Error, Limits};

/// What stands between and behind names and values in HTTP/1.1. Counted here as well, so that a head is too long in
/// both versions or in none.
const LINE_BYTES: usize = b": \r\n".len();

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
    /// The number and how it was written.
    pub(super) content_length: Option<(u64, &'a [u8])>,
    pub(super) expect_continue: bool,
}

/// Reads fields: those that go on are added to `into`, the others told. `line_bytes` is what the rest of the head has, of
/// which `line_fields` would be fields in HTTP/1.1.
pub(super) fn read<'a>(
    fields: &'a HeaderMap,
    line_bytes: usize,
    line_fields: usize,
    side: Side,
    limits: &Limits,
    into: &mut Headers,
) -> Result<Hop<'a>, Error> {
    let max = limits.headers_max.min(HEADERS_CAP);
    if line_fields + fields.len() > max {
        return Err(Error::TooManyHeaders { max });
    }
    let max = limits.head_bytes_max.min(HEAD_BYTES_CAP);
    let bytes = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + LINE_BYTES;
    if line_bytes + fields.iter().map(bytes).sum::<usize>() >= max {
        return Err(Error::HeadTooLong { max });
    }
    let mut hop = Hop::default();
    for (name, value) in fields {
        let (text, value) = (name.as_str(), value.as_bytes());
        check_value(value)?;
        let name = Name::of(text.as_bytes());
        if hop.passes(name, text, value, side, limits)? {
            match name {
                // Crumbs lie together in the map: all of them are written at the first one.
                Name::Cookie if side == Side::Client => push_cookies(fields, into),
                _ => into.push_known(name, text, value),
            }
        }
    }
    Ok(hop)
}

/// A value has no white space around it (RFC 9113 §8.2.1), and no control characters.
fn check_value(value: &[u8]) -> Result<(), Error> {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let is_sound = !is_blank(value.first()) && !is_blank(value.last()) && octets::is_value(value);
    if is_sound { Ok(()) } else { Err(Error::BadFieldValue) }
}

/// Whether a field that has no number goes on. What is a name to the codec may have a quote in it.
fn passes(text: &str, side: Side, limits: &Limits) -> Result<bool, Error> {
    if !octets::is_token(text.as_bytes()) {
        return Err(Error::BadFieldName);
    }
    passes_unknown(text.as_bytes(), side, limits)
}

/// Adds the crumbs of a cookie as the one field that HTTP/1.1 knows (RFC 9113 §8.2.3), once.
fn push_cookies(fields: &HeaderMap, into: &mut Headers) {
    if into.get(Name::Cookie).is_some() {
        return;
    }
    into.push_known_with(Name::Cookie, "cookie", |out| {
        for (number, crumb) in fields.get_all(header::COOKIE).into_iter().enumerate() {
            if number > 0 {
                out.extend_from_slice(b"; ");
            }
            out.extend_from_slice(crumb.as_bytes());
        }
    });
}

impl<'a> Hop<'a> {
    /// Takes note of a field of the hop; whether it is one that goes on.
    fn passes(
        &mut self,
        name: Name,
        text: &str,
        value: &'a [u8],
        side: Side,
        limits: &Limits,
    ) -> Result<bool, Error> {
        match name {
            Name::Other => return passes(text, side, limits),
            Name::ContentLength if self.content_length.is_some() => {
                return Err(Error::RepeatedContentLength);
            }
            Name::ContentLength => self.content_length = Some((content_length(value)?, value)),
            // RFC 9113 §8.2.2; the codec lets none of these through either.
            Name::Connection
            | Name::KeepAlive
            | Name::ProxyConnection
            | Name::TransferEncoding
            | Name::Upgrade => return Err(Error::FieldOfTheConnection),
            Name::Te if value != b"trailers" => return Err(Error::FieldOfTheConnection),
            Name::Te | Name::Trailer => {}
            Name::Host if side == Side::Client && self.host.is_some() => return Err(Error::RepeatedHost),
            Name::Host if side == Side::Client => self.host = Some(value),
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
pub(super) fn read_trailers(fields: &HeaderMap, side: Side, limits: &Limits, into: &mut Headers) {
    into.clear();
    for (name, value) in fields.iter().take(limits.headers_max.min(HEADERS_CAP)) {
        let (text, value) = (name.as_str(), value.as_bytes());
        let may_pass = Name::of(text.as_bytes()) == Name::Other
            && !is_out_of_place(text)
            && check_value(value).is_ok()
            && passes(text, side, limits) == Ok(true);
        if may_pass {
            into.push_known(Name::Other, text, value);
        }
    }
}

/// Fields without a number that mean something in a head only.
fn is_out_of_place(text: &str) -> bool {
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
    NAMES.contains(&text) || PREFIXES.iter().any(|prefix| text.starts_with(prefix))
}

/// Fields as the codec wants them, in lower case, with room for `more`.
pub(super) fn write(headers: &Headers, left_out: Names, more: usize) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(headers.len() + more);
    for field in headers.iter().filter(|field| !left_out.has(field.name)) {
        let name = HeaderName::from_bytes(field.text);
        let value = HeaderValue::from_bytes(field.value);
        debug_assert!(name.is_ok() && value.is_ok(), "`Headers` has sound fields only: {field:?}");
        if let (Ok(name), Ok(value)) = (name, value) {
            map.append(name, value);
        }
    }
    map
}
