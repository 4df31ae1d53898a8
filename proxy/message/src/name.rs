//! Names of fields by number, and sets of them.

/// The fields that the gateway itself looks at; all others are [`Name::Other`].
/// Knowing them by number makes a look-up a scan over bytes of one cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Name {
    /// Any field that has no variant of its own.
    Other,
    /// `accept`
    Accept,
    /// `accept-encoding`
    AcceptEncoding,
    /// `access-control-request-headers`
    AccessControlRequestHeaders,
    /// `access-control-request-method`
    AccessControlRequestMethod,
    /// `age`
    Age,
    /// `authorization`
    Authorization,
    /// `cache-control`
    CacheControl,
    /// `connection`
    Connection,
    /// `content-encoding`
    ContentEncoding,
    /// `content-length`
    ContentLength,
    /// `content-type`
    ContentType,
    /// `cookie`
    Cookie,
    /// `date`
    Date,
    /// `expect`
    Expect,
    /// `forwarded`
    Forwarded,
    /// `host`
    Host,
    /// `if-modified-since`
    IfModifiedSince,
    /// `if-none-match`
    IfNoneMatch,
    /// `keep-alive`
    KeepAlive,
    /// `origin`
    Origin,
    /// `proxy-connection`
    ProxyConnection,
    /// `range`
    Range,
    /// `server`
    Server,
    /// `set-cookie`
    SetCookie,
    /// `te`
    Te,
    /// `trailer`
    Trailer,
    /// `transfer-encoding`
    TransferEncoding,
    /// `upgrade`
    Upgrade,
    /// `user-agent`
    UserAgent,
    /// `vary`
    Vary,
    /// `via`
    Via,
    /// `x-api-key`
    XApiKey,
    /// `x-forwarded-for`
    XForwardedFor,
    /// `x-forwarded-host`
    XForwardedHost,
    /// `x-forwarded-port`
    XForwardedPort,
    /// `x-forwarded-proto`
    XForwardedProto,
}

/// A set of names, as one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Names(u64);

impl Names {
    /// The set of these.
    pub const fn of(names: &[Name]) -> Self {
        let mut set = Self(0);
        let mut at = 0;
        while at < names.len() {
            set = set.with(names[at]);
            at += 1;
        }
        set
    }

    /// This set and one more.
    pub const fn with(self, name: Name) -> Self {
        Self(self.0 | 1 << name as u8)
    }

    /// Whether the name is among them.
    pub const fn has(self, name: Name) -> bool {
        self.0 >> name as u8 & 1 == 1
    }

    /// Whether any name is in both.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl Name {
    /// The number of a name in any case. Asked for every field of every head: its first and its last eight bytes in
    /// lower case are compared with those of the few known names of its length, which for names of up to sixteen bytes
    /// are all there are.
    #[inline]
    pub fn of(text: &[u8]) -> Self {
        let same_length = BY_LENGTH.get(text.len()).copied().unwrap_or_default();
        let ends = ends(text);
        let known = same_length.iter().find(|known| known.ends == ends);
        match known {
            Some(known) if text.len() <= 16 || known.text.as_bytes().eq_ignore_ascii_case(text) => known.name,
            Some(_) | None => Self::Other,
        }
    }

    /// The name in lower case; empty for [`Name::Other`].
    pub fn as_str(self) -> &'static str {
        let known = || BY_LENGTH.iter().copied().flatten();
        known().find(|known| known.name == self).map_or("", |known| known.text)
    }
}

/// A known name, and what tells it from those of the same length.
struct Known {
    name: Name,
    text: &'static str,
    ends: (u64, u64),
}

const fn known(name: Name, text: &'static str) -> Known {
    Known { name, text, ends: ends(text.as_bytes()) }
}

/// The first and the last eight bytes in lower case, of shorter texts the first and last four or two. All bytes of a
/// text that has at most sixteen are in them.
#[inline]
const fn ends(text: &[u8]) -> (u64, u64) {
    let (first, last) = match text {
        [_, _, _, _, _, _, _, _, ..] => match (text.first_chunk(), text.last_chunk()) {
            (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            _ => (0, 0),
        },
        [_, _, _, _, ..] => match (text.first_chunk(), text.last_chunk()) {
            (Some(first), Some(last)) => {
                (u32::from_le_bytes(*first) as u64, u32::from_le_bytes(*last) as u64)
            }
            _ => (0, 0),
        },
        [first, second] => (*first as u64, *second as u64),
        [first, second, third] => ((*first as u64) << 8 | *second as u64, *third as u64),
        _ => (0, 0),
    };
    (lower(first), lower(last))
}

/// Letters in lower case. Of the other bytes only `@`, `[`, `\`, `]`, `^` and `_`, and bytes above 127, become others, and
/// none of them becomes a letter, a digit or a dash: names that consist of those are equal to no other text's.
const fn lower(word: u64) -> u64 {
    word | (word & 0x4040_4040_4040_4040) >> 1
}

/// The names by their length.
const BY_LENGTH: [&[Known]; 31] = [
    &[],
    &[],
    &[known(Name::Te, "te")],
    &[known(Name::Age, "age"), known(Name::Via, "via")],
    &[known(Name::Date, "date"), known(Name::Host, "host"), known(Name::Vary, "vary")],
    &[known(Name::Range, "range")],
    &[
        known(Name::Accept, "accept"),
        known(Name::Cookie, "cookie"),
        known(Name::Expect, "expect"),
        known(Name::Origin, "origin"),
        known(Name::Server, "server"),
    ],
    &[known(Name::Trailer, "trailer"), known(Name::Upgrade, "upgrade")],
    &[],
    &[known(Name::Forwarded, "forwarded"), known(Name::XApiKey, "x-api-key")],
    &[
        known(Name::Connection, "connection"),
        known(Name::KeepAlive, "keep-alive"),
        known(Name::SetCookie, "set-cookie"),
        known(Name::UserAgent, "user-agent"),
    ],
    &[],
    &[known(Name::ContentType, "content-type")],
    &[
        known(Name::Authorization, "authorization"),
        known(Name::CacheControl, "cache-control"),
        known(Name::IfNoneMatch, "if-none-match"),
    ],
    &[known(Name::ContentLength, "content-length")],
    &[known(Name::AcceptEncoding, "accept-encoding"), known(Name::XForwardedFor, "x-forwarded-for")],
    &[
        known(Name::ContentEncoding, "content-encoding"),
        known(Name::ProxyConnection, "proxy-connection"),
        known(Name::XForwardedHost, "x-forwarded-host"),
        known(Name::XForwardedPort, "x-forwarded-port"),
    ],
    &[
        known(Name::IfModifiedSince, "if-modified-since"),
        known(Name::TransferEncoding, "transfer-encoding"),
        known(Name::XForwardedProto, "x-forwarded-proto"),
    ],
    &[],
    &[],
    &[],
    &[],
    &[],
    &[],
    &[],
    &[],
    &[],
    &[],
    &[],
    &[known(Name::AccessControlRequestMethod, "access-control-request-method")],
    &[known(Name::AccessControlRequestHeaders, "access-control-request-headers")],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case() {
        for (length, names) in BY_LENGTH.iter().enumerate() {
            for Known { name, text, ends } in *names {
                assert_eq!(text.len(), length);
                assert_eq!(Name::of(text.as_bytes()), *name);
                assert_eq!(Name::of(text.to_ascii_uppercase().as_bytes()), *name);
                assert_eq!(name.as_str(), *text);
                assert_eq!(names.iter().filter(|other| other.ends == *ends).count(), 1, "{text}");
            }
        }
        assert_eq!(BY_LENGTH.iter().map(|names| names.len()).sum::<usize>(), 36);
        for other in ["", "x", "x-own", "x-forwarded-forwarded-for", "access-control-request-methods!"] {
            assert_eq!(Name::of(other.as_bytes()), Name::Other, "{other}");
        }
    }

    /// No known name is taken for another text that differs from it in any one byte.
    #[test]
    fn nothing_else_is_taken_for_a_known_name() {
        for Known { text, .. } in BY_LENGTH.iter().copied().flatten() {
            for at in 0..text.len() {
                for byte in 0..=255u8 {
                    let mut other = text.as_bytes().to_vec();
                    other[at] = byte;
                    let by_table = BY_LENGTH
                        .iter()
                        .copied()
                        .flatten()
                        .find(|known| known.text.as_bytes().eq_ignore_ascii_case(&other));
                    let expected = by_table.map_or(Name::Other, |known| known.name);
                    assert_eq!(Name::of(&other), expected, "{}", other.escape_ascii());
                }
            }
        }
    }

    #[test]
    fn sets_hold_what_is_put_into_them() {
        let set = Names::of(&[Name::Host, Name::XForwardedProto]);
        assert!(set.has(Name::Host) && set.has(Name::XForwardedProto) && !set.has(Name::Other));
        assert!(set.meets(Names::of(&[Name::Via, Name::Host])) && !set.meets(Names::of(&[Name::Via])));
        assert!(set.with(Name::Other).has(Name::Other) && !Names::default().meets(set));
    }
}
