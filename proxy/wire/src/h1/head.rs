//! What heads of requests and responses have in common: where they end, which bytes they may have, and which of their
//! fields concern the hop only. Does not know start lines.

use httparse::{EMPTY_HEADER, Header};
use memchr::{memchr, memchr_iter};
use message::{Headers, Name};

use super::BodyLength;
use crate::limits::{HEAD_BYTES_CAP, HEADERS_CAP};
use crate::{Error, Limits, Underscores};

/// Fields that heads usually have at most; a small table is cheaper to lay out.
const USUAL_HEADERS: usize = 32;

/// Which way a head travels: a few fields have a meaning in one direction only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Upstream,
}

/// Where the fields of a whole head lie.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    /// Where the first field's line begins.
    from: usize,
    /// How many lines there are before the empty one.
    lines: usize,
    /// Where the head ends, its empty line included.
    pub(super) end: usize,
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

/// Finds where a head ends whose fields begin at `from`. Sees to it that every line of it ends in CRLF and that it has
/// no more lines than allowed; does so for as much of it as is there.
pub(super) fn find_end(input: &[u8], from: usize, limits: &Limits) -> Result<Option<Extent>, Error> {
    let max = limits.headers_max.min(HEADERS_CAP);
    let mut lines = 0;
    let mut line_at = from;
    for lf in memchr_iter(b'\n', &input[from..]).map(|at| from + at) {
        if lf == line_at || input[lf - 1] != b'\r' {
            return Err(Error::BareLf);
        }
        if lf == line_at + 1 {
            return Ok(Some(Extent { from, lines, end: lf + 1 }));
        }
        lines += 1;
        if lines > max {
            return Err(Error::TooManyHeaders { max });
        }
        line_at = lf + 1;
    }
    Ok(None)
}

/// Reads the fields at `extent`: end-to-end ones go into `headers`, those of the hop into what is returned.
pub(super) fn read_fields<'a>(
    input: &'a [u8],
    extent: Extent,
    side: Side,
    limits: &Limits,
    headers: &mut Headers,
) -> Result<Hop<'a>, Error> {
    let block = &input[extent.from..extent.end];
    if extent.lines <= USUAL_HEADERS {
        sort(parse(block, &mut [EMPTY_HEADER; USUAL_HEADERS])?, side, limits, headers)
    } else {
        sort(parse(block, &mut [EMPTY_HEADER; HEADERS_CAP])?, side, limits, headers)
    }
}

fn parse<'a, 'h>(block: &'a [u8], table: &'h mut [Header<'a>]) -> Result<&'h [Header<'a>], Error> {
    match httparse::parse_headers(block, table) {
        // Both find the first empty line; should they ever differ, a field would hide behind it.
        Ok(httparse::Status::Complete((read, fields))) if read == block.len() => Ok(fields),
        Ok(_) => Err(Error::BadFieldName),
        Err(error) => Err(diagnose(block).unwrap_or(match error {
            httparse::Error::HeaderValue => Error::BadFieldValue,
            _ => Error::BadFieldName,
        })),
    }
}

/// Says what httparse disliked. Every line is known to end in CRLF.
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
            (_, [token @ .., b' ' | b'\t']) if colon.is_some() && is_token(token.trim_ascii_end()) => {
                Some(Error::SpaceBeforeColon)
            }
            _ if colon.is_none() || !is_token(name) => Some(Error::BadFieldName),
            _ => value.iter().any(|&byte| !is_value_byte(byte)).then_some(Error::BadFieldValue),
        }
    })
}

fn sort<'a>(
    fields: &[Header<'a>],
    side: Side,
    limits: &Limits,
    headers: &mut Headers,
) -> Result<Hop<'a>, Error> {
    let mut hop = Hop::default();
    let mut coded = false;
    for field in fields {
        if limits.underscores != Underscores::Keep && memchr(b'_', field.name.as_bytes()).is_some() {
            match limits.underscores {
                Underscores::Refuse => return Err(Error::UnderscoreInName),
                Underscores::Drop | Underscores::Keep => continue,
            }
        }
        let name = Name::of(field.name);
        match name {
            Name::ContentLength if hop.content_length.is_some() => return Err(Error::RepeatedContentLength),
            Name::ContentLength => hop.content_length = Some((content_length(field.value)?, field.value)),
            Name::TransferEncoding if coded => return Err(Error::BadTransferEncoding),
            Name::TransferEncoding => {
                coded = true;
                hop.chunked = is_chunked(field.value)?;
            }
            Name::Connection => hop.read_connection(field.value, limits)?,
            Name::Upgrade => {
                hop.upgrade_to = match hop.upgrade_to {
                    Upgrade::Absent => Upgrade::Once(field.value),
                    Upgrade::Once(_) | Upgrade::Repeated => Upgrade::Repeated,
                }
            }
            Name::KeepAlive | Name::ProxyConnection | Name::Te | Name::Trailer => {}
            Name::Host if side == Side::Client && hop.host.is_some() => return Err(Error::RepeatedHost),
            Name::Host if side == Side::Client => hop.host = Some(field.value),
            Name::Expect if side == Side::Client => {
                if !field.value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Error::UnknownExpectation);
                }
                hop.expect_continue = true;
            }
            // CGI would make it `HTTP_PROXY`, which programs take for their own setting (httpoxy, CVE-2016-5385).
            Name::Other if side == Side::Client && field.name.eq_ignore_ascii_case("proxy") => {}
            _ => headers.push_known(name, field.name, field.value),
        }
    }
    if hop.names_fields {
        remove_named(fields, headers);
    }
    Ok(hop)
}

/// Removes what `Connection` names. Bounded by `connection_names_max` times `headers_max`.
fn remove_named(fields: &[Header<'_>], headers: &mut Headers) {
    let connection = fields.iter().filter(|field| field.name.eq_ignore_ascii_case("connection"));
    for name in connection.flat_map(|field| elements(field.value)) {
        // A token, and so ASCII: `read_connection` has seen it.
        headers.remove(std::str::from_utf8(name).unwrap_or_default());
    }
}

/// `0|[1-9][0-9]*` below 2^63 (RFC 9110 §8.6, without its leniency for lists and leading zeros).
fn content_length(value: &[u8]) -> Result<u64, Error> {
    let plain = match value {
        [] => false,
        [b'0', rest @ ..] => rest.is_empty(),
        digits => digits.len() <= 19 && digits.iter().all(u8::is_ascii_digit),
    };
    if !plain {
        return Err(Error::BadContentLength);
    }
    // Nineteen digits stay below 10^19 and fit 64 bits.
    let number = value.iter().fold(0u64, |number, digit| number * 10 + u64::from(digit - b'0'));
    if number <= i64::MAX as u64 { Ok(number) } else { Err(Error::BadContentLength) }
}

/// Only `chunked`, in any case, is a coding we know; others are refused by kind (RFC 9112 §6.1).
fn is_chunked(value: &[u8]) -> Result<bool, Error> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(true);
    }
    let codings = || value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    let chunked_before_end = codings().rev().skip(1).any(|coding| coding.eq_ignore_ascii_case(b"chunked"));
    if codings().all(is_token) && !chunked_before_end {
        Err(Error::UnknownTransferCoding)
    } else {
        Err(Error::BadTransferEncoding)
    }
}

impl<'a> Hop<'a> {
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
            if !is_token(name) {
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
        let plain = is_token(name) && parts.next().is_none_or(is_token);
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

/// RFC 9110 §5.6.2.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| is_token_byte(byte))
}

pub(super) fn is_token_byte(byte: u8) -> bool {
    TOKEN_BYTES[usize::from(byte)]
}

/// RFC 9110 §5.5: visible characters, blanks and what is left of Latin-1; no controls.
pub(super) fn is_value_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=0x7e | 0x80..)
}

const TOKEN_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let marks = b"!#$%&'*+-.^_`|~";
    let mut at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
};
