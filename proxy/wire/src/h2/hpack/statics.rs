//! The fields that both sides know from the start (RFC 7541 Appendix A), numbered from 1.

use message::Name;

use super::Field;

/// How many there are; the first entry of a dynamic table has the number behind them.
pub(super) const STATICS_COUNT: usize = 61;

/// The field of a number from 1 on.
#[inline(always)]
pub(super) fn get(index: usize) -> Option<&'static Field<'static>> {
    STATICS.get(index.wrapping_sub(1))
}

/// The number of the first static field with a name, in lower case; 0 if there is none.
pub(super) const fn index_of(known: Name) -> u8 {
    let mut at = 0;
    while at < STATICS_COUNT {
        if STATICS[at].known as u8 == known as u8 && !matches!(known, Name::Other) {
            return at as u8 + 1;
        }
        at += 1;
    }
    0
}

const fn field(known: Name, name: &'static str, value: &'static str) -> Field<'static> {
    Field { known, name: name.as_bytes(), value: value.as_bytes(), name_is_sound: true, value_is_sound: true }
}

pub(super) static STATICS: [Field<'static>; STATICS_COUNT] = [
    field(Name::Other, ":authority", ""),
    field(Name::Other, ":method", "GET"),
    field(Name::Other, ":method", "POST"),
    field(Name::Other, ":path", "/"),
    field(Name::Other, ":path", "/index.html"),
    field(Name::Other, ":scheme", "http"),
    field(Name::Other, ":scheme", "https"),
    field(Name::Other, ":status", "200"),
    field(Name::Other, ":status", "204"),
    field(Name::Other, ":status", "206"),
    field(Name::Other, ":status", "304"),
    field(Name::Other, ":status", "400"),
    field(Name::Other, ":status", "404"),
    field(Name::Other, ":status", "500"),
    field(Name::Other, "accept-charset", ""),
    field(Name::AcceptEncoding, "accept-encoding", "gzip, deflate"),
    field(Name::Other, "accept-language", ""),
    field(Name::Other, "accept-ranges", ""),
    field(Name::Accept, "accept", ""),
    field(Name::Other, "access-control-allow-origin", ""),
    field(Name::Age, "age", ""),
    field(Name::Other, "allow", ""),
    field(Name::Authorization, "authorization", ""),
    field(Name::CacheControl, "cache-control", ""),
    field(Name::Other, "content-disposition", ""),
    field(Name::ContentEncoding, "content-encoding", ""),
    field(Name::Other, "content-language", ""),
    field(Name::ContentLength, "content-length", ""),
    field(Name::Other, "content-location", ""),
    field(Name::Other, "content-range", ""),
    field(Name::ContentType, "content-type", ""),
    field(Name::Cookie, "cookie", ""),
    field(Name::Date, "date", ""),
    field(Name::Other, "etag", ""),
    field(Name::Expect, "expect", ""),
    field(Name::Other, "expires", ""),
    field(Name::Other, "from", ""),
    field(Name::Host, "host", ""),
    field(Name::Other, "if-match", ""),
    field(Name::IfModifiedSince, "if-modified-since", ""),
    field(Name::IfNoneMatch, "if-none-match", ""),
    field(Name::Other, "if-range", ""),
    field(Name::Other, "if-unmodified-since", ""),
    field(Name::Other, "last-modified", ""),
    field(Name::Other, "link", ""),
    field(Name::Other, "location", ""),
    field(Name::Other, "max-forwards", ""),
    field(Name::Other, "proxy-authenticate", ""),
    field(Name::Other, "proxy-authorization", ""),
    field(Name::Range, "range", ""),
    field(Name::Other, "referer", ""),
    field(Name::Other, "refresh", ""),
    field(Name::Other, "retry-after", ""),
    field(Name::Server, "server", ""),
    field(Name::SetCookie, "set-cookie", ""),
    field(Name::Other, "strict-transport-security", ""),
    field(Name::TransferEncoding, "transfer-encoding", ""),
    field(Name::UserAgent, "user-agent", ""),
    field(Name::Vary, "vary", ""),
    field(Name::Via, "via", ""),
    field(Name::Other, "www-authenticate", ""),
];
