//! Which fields are worth a place in the table of what we send, and which must not be there.

use message::Name;

use super::statics;

/// Known names, [`Name::Other`] among them.
pub(super) const NAMES_COUNT: usize = Name::XForwardedProto as usize + 1;

/// Values of set-cookie that are shorter than this could be guessed (RFC 7541 §7.1.3).
const COOKIE_GUESSABLE_BYTES: usize = 20;

/// What is done with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    /// Most messages of a connection have the same: it goes into the table at first sight.
    Index,
    /// It may be the same in the next message: it goes into the table when it is seen a second time.
    IndexRepeated,
    /// Each message has its own: it stays out.
    Write,
    /// A secret: it stays out of the tables of all hops (RFC 7541 §7.1.3).
    Hide,
}

/// What is done with fields of a name, and the first field of that name in the static table; 0 if it has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) policy: Policy,
    pub(super) index: u8,
}

/// The rule for a field. `name` may be in any case.
#[inline(always)]
pub(super) fn of(known: Name, name: &[u8], value: &[u8]) -> Rule {
    match known {
        Name::Other => of_other(name),
        Name::SetCookie if value.len() < COOKIE_GUESSABLE_BYTES => {
            Rule { policy: Policy::Hide, ..RULES[known as usize] }
        }
        known => RULES[known as usize],
    }
}

/// The rule for a name without a number.
#[inline(always)]
fn of_other(name: &[u8]) -> Rule {
    let same_length = OTHERS.get(name.len()).copied().unwrap_or_default();
    let found = same_length.iter().find(|(text, ..)| is_same(text.as_bytes(), name));
    found.map_or(UNKNOWN, |&(_, policy, index)| Rule { policy, index })
}

/// Whether a name in any case is one in lower case, as most are.
#[inline(always)]
pub(super) fn is_same(lower: &[u8], name: &[u8]) -> bool {
    lower == name || lower.eq_ignore_ascii_case(name)
}

const UNKNOWN: Rule = Rule { policy: Policy::IndexRepeated, index: 0 };

const fn policy(known: Name) -> Policy {
    match known {
        Name::Accept
        | Name::AcceptEncoding
        | Name::CacheControl
        | Name::ContentEncoding
        | Name::ContentType
        | Name::Server
        | Name::Te
        | Name::Vary
        | Name::Via
        | Name::XForwardedHost
        | Name::XForwardedPort
        | Name::XForwardedProto => Policy::Index,
        Name::Other
        | Name::AccessControlRequestHeaders
        | Name::AccessControlRequestMethod
        | Name::Date
        | Name::Host
        | Name::Origin
        | Name::Trailer
        | Name::UserAgent => Policy::IndexRepeated,
        Name::Age
        | Name::Connection
        | Name::ContentLength
        | Name::Expect
        | Name::Forwarded
        | Name::IfModifiedSince
        | Name::IfNoneMatch
        | Name::KeepAlive
        | Name::ProxyConnection
        | Name::Range
        | Name::SetCookie
        | Name::TransferEncoding
        | Name::Upgrade
        | Name::XForwardedFor => Policy::Write,
        Name::Authorization | Name::Cookie | Name::XApiKey => Policy::Hide,
    }
}

/// By the number of a name.
static RULES: [Rule; NAMES_COUNT] = {
    use Name::*;
    const NAMES: [Name; NAMES_COUNT] = [
        Other,
        Accept,
        AcceptEncoding,
        AccessControlRequestHeaders,
        AccessControlRequestMethod,
        Age,
        Authorization,
        CacheControl,
        Connection,
        ContentEncoding,
        ContentLength,
        ContentType,
        Cookie,
        Date,
        Expect,
        Forwarded,
        Host,
        IfModifiedSince,
        IfNoneMatch,
        KeepAlive,
        Origin,
        ProxyConnection,
        Range,
        Server,
        SetCookie,
        Te,
        Trailer,
        TransferEncoding,
        Upgrade,
        UserAgent,
        Vary,
        Via,
        XApiKey,
        XForwardedFor,
        XForwardedHost,
        XForwardedPort,
        XForwardedProto,
    ];
    let mut rules = [UNKNOWN; NAMES_COUNT];
    let mut at = 0;
    while at < NAMES_COUNT {
        let name = NAMES[at];
        assert!(name as usize == at);
        rules[at] = Rule { policy: policy(name), index: statics::index_of(name) };
        at += 1;
    }
    rules
};

type Other = (&'static str, Policy, u8);

/// Names without a number that are in the static table, and secrets, by their length.
static OTHERS: [&[Other]; 28] = {
    use Policy::{Hide, IndexRepeated, Write};
    let mut others: [&[Other]; 28] = [&[]; 28];
    others[4] = &[("etag", Write, 34), ("from", IndexRepeated, 37), ("link", IndexRepeated, 45)];
    others[5] = &[("allow", IndexRepeated, 22)];
    others[7] = &[("expires", Write, 36), ("referer", Write, 51), ("refresh", Write, 52)];
    others[8] = &[("location", Write, 46), ("if-match", Write, 39), ("if-range", Write, 42)];
    others[11] = &[("retry-after", Write, 53)];
    others[12] = &[("max-forwards", Write, 47)];
    others[13] =
        &[("last-modified", Write, 44), ("accept-ranges", IndexRepeated, 18), ("content-range", Write, 30)];
    others[14] = &[("accept-charset", IndexRepeated, 15)];
    others[15] = &[("accept-language", IndexRepeated, 17)];
    others[16] = &[
        ("content-language", IndexRepeated, 27),
        ("content-location", Write, 29),
        ("www-authenticate", IndexRepeated, 61),
    ];
    others[18] = &[("proxy-authenticate", IndexRepeated, 48)];
    others[19] = &[
        ("content-disposition", Write, 25),
        ("if-unmodified-since", Write, 43),
        ("proxy-authorization", Hide, 49),
    ];
    others[20] = &[("x-amz-security-token", Hide, 0)];
    others[25] = &[("strict-transport-security", IndexRepeated, 56)];
    others[27] = &[("access-control-allow-origin", IndexRepeated, 20)];
    others
};
