//! Formats of strings that draft 4 names (row 114, U: which of them API Gateway looks at is not written anywhere). Any other is no promise.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::regex::Pattern;

/// A format that is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    DateTime,
    Email,
    Hostname,
    Ipv4,
    Ipv6,
    Regex,
    Uri,
}

impl Format {
    /// `None`: it is not looked at.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "date-time" => Self::DateTime,
            "email" => Self::Email,
            "hostname" => Self::Hostname,
            "ipv4" => Self::Ipv4,
            "ipv6" => Self::Ipv6,
            "regex" => Self::Regex,
            "uri" => Self::Uri,
            _ => return None,
        })
    }

    /// What a text is that doesn't have it.
    pub(crate) fn fault(self) -> &'static str {
        match self {
            Self::DateTime => {
                "invalid against requested date format(s) [yyyy-MM-dd'T'HH:mm:ssZ, yyyy-MM-dd'T'HH:mm:ss.[0-9]{1,12}Z]"
            }
            Self::Email => "not a valid email address",
            Self::Hostname => "not a valid hostname",
            Self::Ipv4 => "not a valid IPv4 address",
            Self::Ipv6 => "not a valid IPv6 address",
            Self::Regex => "not a valid ECMA 262 regular expression",
            Self::Uri => "not a valid URI",
        }
    }

    pub(crate) fn is_of(self, text: &str) -> bool {
        match self {
            Self::DateTime => date_time(text).is_some(),
            Self::Email => email(text),
            Self::Hostname => hostname(text),
            Self::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
            Self::Regex => Pattern::is_one(text),
            Self::Uri => uri(text),
        }
    }

    /// What a look costs, in steps.
    pub(crate) fn steps(self, bytes: usize) -> u64 {
        match self {
            // It is parsed.
            Self::Regex => 100 + 50 * bytes as u64,
            _ => bytes as u64 / 16,
        }
    }
}

/// `2026-01-31T23:59:59.123+01:00`, with up to twelve digits of a second (RFC 3339, and `+0100`).
fn date_time(text: &str) -> Option<()> {
    let number = |range: std::ops::Range<usize>| {
        let digits = text.get(range)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u32>().ok())?
    };
    let is = |at: usize, wanted: u8| (text.as_bytes().get(at) == Some(&wanted)).then_some(());
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    is(4, b'-').and(is(7, b'-')).and(is(10, b'T')).and(is(13, b':')).and(is(16, b':'))?;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    let time = number(11..13)? < 24 && number(14..16)? < 60 && number(17..19)? < 60;
    if !(1..=days).contains(&day) || !time {
        return None;
    }
    let mut zone = text.get(19..)?;
    if let Some(fraction) = zone.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        zone = fraction.get(digits..).filter(|_| (1..=12).contains(&digits))?;
    }
    if zone == "Z" {
        return Some(());
    }
    let digits = zone.strip_prefix(['+', '-'])?;
    let (hours, minutes) = digits.split_once(':').or_else(|| digits.split_at_checked(2))?;
    let below = |text: &str, bound: u32| {
        text.len() == 2
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && text.parse().is_ok_and(|it: u32| it < bound)
    };
    (below(hours, 24) && below(minutes, 60)).then_some(())
}

fn email(text: &str) -> bool {
    let at = text.bytes().rposition(|byte| byte == b'@');
    let Some((local, domain)) = at.map(|at| (&text[..at], &text[at + 1..])) else { return false };
    let is_atom = |part: &str| {
        let special = |byte: u8| {
            matches!(
                byte,
                0..=b' '
                    | b'('
                    | b')'
                    | b'<'
                    | b'>'
                    | b'['
                    | b']'
                    | b':'
                    | b';'
                    | b'@'
                    | b'\\'
                    | b','
                    | b'"'
                    | 0x7F
            )
        };
        !part.is_empty() && !part.bytes().any(special)
    };
    let quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    let dots = |part: &str| {
        part.starts_with('.') || part.ends_with('.') || part.as_bytes().windows(2).any(|two| two == b"..")
    };
    let domain_is_right = match domain.strip_prefix('[') {
        Some(literal) => literal.ends_with(']'),
        None => is_atom(domain) && !dots(domain),
    };
    (quoted || (is_atom(local) && !dots(local))) && domain_is_right
}

/// RFC 1123 §2.1: labels of letters, digits and hyphens.
fn hostname(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// A reference as `java.net.URI` takes it (RFC 2396): the right characters, escapes that are whole, and a scheme if there is a colon
/// before the path.
fn uri(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_right = |(at, byte): (usize, &u8)| match byte {
        b'%' => bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)),
        b'<' | b'>' | b'"' | b'\\' | b'^' | b'`' | b'{' | b'}' | b'|' | 0..=b' ' | 0x7F => false,
        // Java takes characters beyond ASCII.
        _ => true,
    };
    let end = text.find(['/', '?', '#']).unwrap_or(text.len());
    let scheme_is_right = match text.get(..end).and_then(|first| first.split_once(':')) {
        Some((scheme, rest)) => {
            let is_more = !rest.is_empty() || text.len() > end;
            scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
                && is_more
        }
        None => true,
    };
    bytes.iter().enumerate().all(is_right) && text.matches('#').count() <= 1 && scheme_is_right
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(format: &str, right: &[&str], wrong: &[&str]) {
        let format = Format::named(format).unwrap();
        for text in right {
            assert!(format.is_of(text), "{text} is {format:?}");
        }
        for text in wrong {
            assert!(!format.is_of(text), "{text} is no {format:?}");
        }
    }

    /// Row 114, U.
    #[test]
    fn formats() {
        check(
            "date-time",
            &[
                "1963-06-19T08:30:06.283185Z",
                "1963-06-19T08:30:06Z",
                "1937-01-01T12:00:27.87+00:20",
                "1990-12-31T15:59:50.123-0800",
                "2024-02-29T00:00:00Z",
                "2026-01-01T00:00:00.123456789012Z",
            ],
            &[
                "",
                "1998-12-31T23:59:60Z",
                "1990-02-31T15:59:59-08:00",
                "2023-02-29T00:00:00Z",
                "1990-12-31T15:59:59-24:00",
                "1963-06-19 08:30:06Z",
                "1963-06-19T08:30:06",
                "1963-06-19T08:30:06.Z",
                "2026-01-01T00:00:00.1234567890123Z",
                "06/19/1963 08:30:06 PST",
                "2013-350T01:01:01",
                "1963-6-19T08:30:06Z",
                "+963-06-19T08:30:06Z",
                "1963-06-1৪T00:00:00Z",
            ],
        );
        check(
            "email",
            &["joe.bloggs@example.com", "te~st@example.com", "\"joe bloggs\"@example.com", "a@[127.0.0.1]"],
            &[
                "2962",
                "",
                "@b",
                "a@",
                ".test@example.com",
                "te..st@example.com",
                "joe bloggs@example.com",
                "a@b..c",
            ],
        );
        check(
            "hostname",
            &["www.example.com", "xn--4gbwdl.xn--wgbh1c", "h0stn4me", "a"],
            &["", "-a", "a-", "a.-b", "not_a_valid_host_name", "a..b", "a b", &"a".repeat(64)],
        );
        check(
            "ipv4",
            &["192.168.0.1", "0.0.0.0"],
            &["127.0.0.0.1", "256.1.1.1", "127.0", "0x7f000001", "087.10.0.1"],
        );
        check(
            "ipv6",
            &["::1", "::abef", "1::d6:192.168.0.1"],
            &["12345::", "1:2", "::laptop", "zone%eth0::", "::1/64"],
        );
        check("regex", &["([abc])+\\s+$", "(?=a)b", "((a{99}){99}){99}"], &["^(abc]", "[", "(?=a"]);
        check(
            "uri",
            &[
                "http://foo.bar/?baz=qux#quuz",
                "urn:oasis:names",
                "mailto:a@b.c",
                "/relative?a#b",
                "http://a/%C3%A9",
                "//host/path",
                "",
            ],
            &[
                "http:// shouldfail.com",
                ":// should fail",
                "\\\\WINDOWS\\a",
                "http://a/%zz",
                "a b",
                "1a:b",
                "bar,baz:foo",
            ],
        );
        assert_eq!(Format::named("int32"), None);
        assert_eq!(Format::named("uuid"), None);
    }
}
