//! What heads of requests and responses have in common: where they end, which bytes they may have, and which of their
//! fields concern the hop only. Does not know start lines.
//!
//! A head is read line by line and each byte once ([`read_line`]). Only what does not read like a whole and sound head is
//! looked at again, to tell what is not there yet from what is wrong ([`judge`]).

use memchr::{memchr, memchr_iter};
use message::{Headers, Line, Name, octets};

use super::BodyLength;
use crate::limits::{HEAD_BYTES_CAP, HEADERS_CAP};
use crate::{Error, Limits, Underscores};

/// Which way a head travels: a few fields have a meaning in one direction only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Upstream,
}

/// One line of a head.
struct RawLine<'a> {
    name: &'a [u8],
    /// Without the white space around it.
    value: &'a [u8],
    /// Where the value begins in the line.
    value_at: usize,
    /// Whether there is one blank before the value and CRLF right behind it.
    plain: bool,
    /// What follows the line.
    rest: &'a [u8],
}

/// What the fields of the hop said.
#[derive(Default)]
pub(super) struct Hop<'a> {
    pub(super) host: Option<&'a [u8]>,
    /// The number and how it was written.
    pub(super) content_length: Option<(u64, &'a [u8])>,
    pub(super) chunked: bool,
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) expect_continue: bool,
    /// `Connection` named `upgrade`.
    upgrade: bool,
    upgrade_to: Upgrade<'a>,
    /// Elements of `Connection` so far.
    names: usize,
    /// Some of them are fields to remove.
    names_fields: bool,
    /// `Transfer-Encoding` was there.
    coded: bool,
}

#[derive(Default)]
enum Upgrade<'a> {
    #[default]
    Absent,
    Once(&'a [u8]),
    Repeated,
}

/// As much of `input` as a head may have, and an error for when that is not enough.
pub(super) fn bound<'a>(input: &'a [u8], limits: &Limits) -> (&'a [u8], Result<(), Error>) {
    let max = limits.head_bytes_max.min(HEAD_BYTES_CAP);
    match input.get(..max) {
        Some(start) => (start, Err(Error::HeadTooLong { max })),
        None => (input, Ok(())),
    }
}

/// Reads the fields from `from` on: end-to-end ones go into `headers`, those of the hop into `hop`. Returns where the head
/// ends, its empty line included; `None` while it is not whole.
#[inline]
pub(super) fn read_fields<'a>(
    input: &'a [u8],
    from: usize,
    side: Side,
    limits: &Limits,
    headers: &mut Headers,
    hop: &mut Hop<'a>,
) -> Result<Option<usize>, Error> {
    match scan(&input[from..], side, limits, headers, hop) {
        Ok(bytes) => Ok(Some(from + bytes)),
        Err(meaning) => judge(input, from, limits, meaning),
    }
}

/// The same for a head that is whole and sound. An error without a value says that it is not, one with a value that a
/// sound line means something that it may not.
#[inline(never)]
fn scan<'a>(
    block: &'a [u8],
    side: Side,
    limits: &Limits,
    headers: &mut Headers,
    hop: &mut Hop<'a>,
) -> Result<usize, Option<Error>> {
    let mut lines = headers.receive();
    let mut lines_left = limits.headers_max.min(HEADERS_CAP);
    let mut rest = block;
    loop {
        let at = block.len() - rest.len();
        if let [b'\r', b'\n', ..] = rest {
            let block = &block[..at];
            lines.finish(block);
            if hop.names_fields {
                remove_named(block, headers);
            }
            return Ok(at + 2);
        }
        if lines_left == 0 {
            return Err(None);
        }
        lines_left -= 1;
        let Some(line) = read_line(rest) else { return Err(None) };
        let name = Name::of(line.name);
        // A name that is known is a token.
        if name == Name::Other && !octets::is_token(line.name) {
            return Err(None);
        }
        if hop.passes(name, &line, side, limits)? {
            // `bound` has seen to it that a head is no longer than 64 KiB.
            let value_at = (at + line.value_at) as u32;
            lines.add(Line {
                name,
                at: at as u32,
                name_bytes: line.name.len() as u16,
                value_at,
                value_end: value_at + line.value.len() as u32,
                plain: line.plain,
            });
        }
        rest = line.rest;
    }
}

/// Reads the line that `input` begins with, if all of it is there and its value is sound. What it has for a name is
/// everything before the first colon: a token or not, a caller that knows neither as one has to look.
#[inline(always)]
fn read_line(input: &[u8]) -> Option<RawLine<'_>> {
    let (name, colon) = input.split_at_checked(octets::find_colon(input))?;
    let (mut value, mut plain) = match colon {
        [b':', b' ', value @ ..] => (value, true),
        [b':', value @ ..] => (value, false),
        _ => return None,
    };
    while let [b' ' | b'\t', rest @ ..] = value {
        (value, plain) = (rest, false);
    }
    let value_at = input.len() - value.len();
    let (mut value, end) = value.split_at_checked(find_value_end(value))?;
    let [b'\r', b'\n', rest @ ..] = end else { return None };
    while let [start @ .., b' ' | b'\t'] = value {
        (value, plain) = (start, false);
    }
    (!name.is_empty()).then_some(RawLine { name, value, value_at, plain, rest })
}

/// Where the first byte stands that no value has.
#[inline(always)]
fn find_value_end(text: &[u8]) -> usize {
    let mut end = octets::find_control(text);
    while let Some(b'\t') = text.get(end) {
        end += 1 + octets::find_control(&text[end + 1..]);
    }
    end
}

/// What becomes of a head that is not whole or not right. `meaning` is what a sound line meant; whatever is wrong with
/// the lines themselves comes first.
#[cold]
fn judge(input: &[u8], from: usize, limits: &Limits, meaning: Option<Error>) -> Result<Option<usize>, Error> {
    match find_end(input, from, limits)? {
        None => Ok(None),
        Some(end) => Err(diagnose(&input[from..end]).or(meaning).unwrap_or(Error::BadFieldName)),
    }
}

/// Finds where a head ends whose fields begin at `from`. Sees to it that every line of it ends in CRLF and that it has
/// no more lines than allowed; does so for as much of it as is there.
pub(super) fn find_end(input: &[u8], from: usize, limits: &Limits) -> Result<Option<usize>, Error> {
    let max = limits.headers_max.min(HEADERS_CAP);
    let mut lines = 0;
    let mut line_at = from;
    for lf in memchr_iter(b'\n', &input[from..]).map(|at| from + at) {
        if lf == line_at || input[lf - 1] != b'\r' {
            return Err(Error::BareLf);
        }
        if lf == line_at + 1 {
            return Ok(Some(lf + 1));
        }
        lines += 1;
        if lines > max {
            return Err(Error::TooManyHeaders { max });
        }
        line_at = lf + 1;
    }
    Ok(None)
}

/// Says what is wrong with the lines of a head, if anything is. Every line is known to end in CRLF.
fn diagnose(block: &[u8]) -> Option<Error> {
    block.split_inclusive(|&byte| byte == b'\n').find_map(|line| {
        let line = line.strip_suffix(b"\r\n").unwrap_or(line);
        let colon = memchr(b':', line);
        let (name, value) = line.split_at(colon.unwrap_or(line.len()));
        match (line, name) {
            ([], _) => None,
            _ if memchr(b'\r', line).is_some() => Some(Error::BareCr),
            ([b' ' | b'\t', ..], _) => Some(Error::ObsFold),
            (_, []) => Some(Error::EmptyFieldName),
            (_, [token @ .., b' ' | b'\t'])
                if colon.is_some() && octets::is_token(token.trim_ascii_end()) =>
            {
                Some(Error::SpaceBeforeColon)
            }
            _ if colon.is_none() || !octets::is_token(name) => Some(Error::BadFieldName),
            _ => value.iter().any(|&byte| !octets::is_value_byte(byte)).then_some(Error::BadFieldValue),
        }
    })
}

/// Whether a field that has no number goes on.
#[inline(always)]
pub(crate) fn passes_unknown(name: &[u8], side: Side, limits: &Limits) -> Result<bool, Error> {
    if limits.underscores != Underscores::Keep && octets::has(name, b'_') {
        return match limits.underscores {
            Underscores::Refuse => Err(Error::UnderscoreInName),
            Underscores::Drop | Underscores::Keep => Ok(false),
        };
    }
    // CGI would make it `HTTP_PROXY`, which programs take for their own setting (httpoxy, CVE-2016-5385).
    Ok(side == Side::Upstream || !name.eq_ignore_ascii_case(b"proxy"))
}

/// Removes what `Connection` names. Bounded by `connection_names_max` times `headers_max`.
#[cold]
fn remove_named(block: &[u8], headers: &mut Headers) {
    let mut rest = block;
    while let Some(line) = read_line(rest) {
        if Name::of(line.name) == Name::Connection {
            for name in elements(line.value) {
                // A token, and so ASCII: `read_connection` has seen it.
                headers.remove(std::str::from_utf8(name).unwrap_or_default());
            }
        }
        rest = line.rest;
    }
}

/// `0|[1-9][0-9]*` below 2^63 (RFC 9110 §8.6, without its leniency for lists and leading zeros).
#[inline(always)]
pub(crate) fn content_length(value: &[u8]) -> Result<u64, Error> {
    let is_short = !value.is_empty() && value.len() <= 19 && (value[0] != b'0' || value.len() == 1);
    // Nineteen digits stay below 10^19 and fit 64 bits.
    let number = value.iter().filter(|_| is_short).try_fold(0u64, |number, &digit| {
        digit.is_ascii_digit().then(|| number.wrapping_mul(10).wrapping_add(u64::from(digit & 15)))
    });
    number.filter(|&number| is_short && number <= i64::MAX as u64).ok_or(Error::BadContentLength)
}

/// Only `chunked`, in any case, is a coding we know; others are refused by kind (RFC 9112 §6.1).
fn is_chunked(value: &[u8]) -> Result<bool, Error> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(true);
    }
    let codings = || value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    let chunked_before_end = codings().rev().skip(1).any(|coding| coding.eq_ignore_ascii_case(b"chunked"));
    if codings().all(octets::is_token) && !chunked_before_end {
        Err(Error::UnknownTransferCoding)
    } else {
        Err(Error::BadTransferEncoding)
    }
}

impl<'a> Hop<'a> {
    /// Takes note of a field of the hop; whether it is one that goes on.
    #[inline]
    fn passes(&mut self, name: Name, line: &RawLine<'a>, side: Side, limits: &Limits) -> Result<bool, Error> {
        let value = line.value;
        match name {
            Name::Other => return passes_unknown(line.name, side, limits),
            Name::ContentLength if self.content_length.is_some() => {
                return Err(Error::RepeatedContentLength);
            }
            Name::ContentLength => self.content_length = Some((content_length(value)?, value)),
            Name::TransferEncoding if self.coded => return Err(Error::BadTransferEncoding),
            Name::TransferEncoding => {
                self.coded = true;
                self.chunked = is_chunked(value)?;
            }
            Name::Connection => self.read_connection(value, limits)?,
            Name::Upgrade => {
                self.upgrade_to = match self.upgrade_to {
                    Upgrade::Absent => Upgrade::Once(value),
                    Upgrade::Once(_) | Upgrade::Repeated => Upgrade::Repeated,
                }
            }
            Name::KeepAlive | Name::ProxyConnection | Name::Te | Name::Trailer => {}
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

    fn read_connection(&mut self, value: &[u8], limits: &Limits) -> Result<(), Error> {
        let max = limits.connection_names_max;
        for name in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            self.names += 1;
            if self.names > max {
                return Err(Error::TooManyConnectionNames { max });
            }
            // RFC 9110 §5.6.1.2: empty elements of a list are read over.
            if name.is_empty() {
                continue;
            }
            if !octets::is_token(name) {
                return Err(Error::BadConnection);
            }
            if is_protected(name) {
                return Err(Error::ProtectedConnectionName);
            }
            if name.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if name.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if name.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade = true;
            } else {
                self.names_fields = true;
            }
        }
        Ok(())
    }

    /// How the body is framed, as far as the fields say. `None` stands for: they do not.
    pub(super) fn body_length(&self, http11: bool) -> Result<Option<BodyLength>, Error> {
        match (self.content_length, self.chunked) {
            (Some(_), true) => Err(Error::AmbiguousLength),
            (None, true) if !http11 => Err(Error::TransferEncodingInHttp10),
            (None, true) => Ok(Some(BodyLength::Chunked)),
            (Some((bytes, _)), false) => Ok(Some(BodyLength::Known(bytes))),
            (None, false) => Ok(None),
        }
    }

    /// Whether the connection stays, as far as the fields say (RFC 9112 §9.3).
    pub(super) fn keeps_alive(&self, http11: bool) -> bool {
        !self.close && (http11 || self.keep_alive)
    }

    /// The one protocol to change to, if `Connection` and exactly one `Upgrade` with exactly one protocol ask for it,
    /// and it is not another version of HTTP or TLS, which are this hop's own affair (RFC 9110 §7.8).
    pub(super) fn upgrade(&self) -> Option<Box<str>> {
        let Upgrade::Once(protocol) = self.upgrade_to else { return None };
        let mut parts = protocol.splitn(2, |&byte| byte == b'/');
        let name = parts.next().unwrap_or_default();
        let ours = [&b"h2c"[..], b"h2", b"h3", b"http", b"tls"];
        let plain = octets::is_token(name) && parts.next().is_none_or(octets::is_token);
        if !self.upgrade || !plain || ours.iter().any(|own| name.eq_ignore_ascii_case(own)) {
            return None;
        }
        std::str::from_utf8(protocol).ok().map(|text| text.to_ascii_lowercase().into_boxed_str())
    }
}

fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|name| !name.is_empty())
}

/// Fields that a peer must not take away by calling them hop-by-hop: those that frame a message, and those by which
/// we and the backend know who asks (CVE-2024-45410, CVE-2025-48865, CVE-2026-26365).
fn is_protected(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 5] =
        [b"content-length", b"host", b"transfer-encoding", b"authorization", b"forwarded"];
    const PREFIXES: [&[u8]; 2] = [b"x-forwarded-", b"x-amzn-"];
    NAMES.iter().any(|own| name.eq_ignore_ascii_case(own))
        || PREFIXES
            .iter()
            .any(|own| name.get(..own.len()).is_some_and(|start| start.eq_ignore_ascii_case(own)))
}
