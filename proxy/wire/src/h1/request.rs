//! Heads of requests (RFC 9112 §3). Does not know what an API allows.

use memchr::memchr3;
use message::{Method, PathRules, Request, Version, octets};

use super::BodyLength;
use super::head::{self, Hop, Side};
use crate::{Error, Limits};

/// How a request stands on its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestFraming {
    /// How its body is told from the next request.
    pub body: BodyLength,
    /// Whether the connection may carry another request after it.
    pub keep_alive: bool,
    /// Whether the client waits for a `100 Continue` before it sends the body. Never without a body, nor in HTTP/1.0.
    pub expect_continue: bool,
}

/// Reads the head of a request into `into`, whose memory is kept: method, target, authority, version, end-to-end
/// fields, body and, for a GET without body in HTTP/1.1, the protocol it asks to change to. The scheme is the caller's
/// to set. Returns how many bytes the head has, or `None` while it is not whole. On an error `into` is empty.
///
/// One CRLF before the request line is read over (RFC 9112 §2.2), a second is refused. `authority` is empty only in
/// HTTP/1.0 without `Host`. Of the forms of a target only the origin form and the absolute form (with `http` or
/// `https`) are served: `*` and CONNECT address nothing behind a gateway.
pub fn decode_request(
    input: &[u8],
    limits: &Limits,
    rules: PathRules,
    into: &mut Request,
) -> Result<Option<(usize, RequestFraming)>, Error> {
    into.clear();
    let (start, too_long) = head::bound(input, limits);
    let result = match decode(start, limits, rules, into) {
        Ok(None) => too_long.map(|()| None),
        outcome => outcome,
    };
    if !matches!(result, Ok(Some(_))) {
        into.clear();
    }
    result
}

fn decode(
    input: &[u8],
    limits: &Limits,
    rules: PathRules,
    into: &mut Request,
) -> Result<Option<(usize, RequestFraming)>, Error> {
    let Some(line) = RequestLine::read(input, limits)? else { return Ok(None) };
    into.method = Method::from_token(line.method);
    if into.method == Method::Connect {
        let end = head::find_end(input, line.end, limits)?;
        return end.map_or(Ok(None), |_| Err(Error::Connect));
    }
    into.version = line.version;
    let http11 = line.version == Version::Http11;

    let mut hop = Hop::default();
    let read = head::read_fields(input, line.end, Side::Client, limits, &mut into.headers, &mut hop)?;
    let Some(end) = read else { return Ok(None) };
    if let Some(host) = hop.host {
        into.authority.read(host).map_err(Error::BadHost)?;
    } else if http11 {
        return Err(Error::MissingHost);
    }
    read_target(line.target, hop.host.is_some(), rules, into)?;

    let body = hop.body_length(http11)?.unwrap_or(BodyLength::None);
    into.body = body.to_body();
    let has_body = !matches!(body, BodyLength::None | BodyLength::Known(0));
    if http11 && !has_body && into.method == Method::Get {
        hop.upgrade().into_iter().for_each(|protocol| into.set_upgrade(protocol));
    }
    let framing = RequestFraming {
        body,
        keep_alive: hop.keeps_alive(http11),
        expect_continue: hop.expect_continue && http11 && has_body,
    };
    Ok(Some((end, framing)))
}

struct RequestLine<'a> {
    method: &'a [u8],
    target: &'a [u8],
    version: Version,
    /// Where the line after it begins.
    end: usize,
}

impl<'a> RequestLine<'a> {
    /// Reads each part as soon as it is there, so that a client that speaks something else hears it early, and with
    /// the same answer however its bytes come.
    fn read(input: &'a [u8], limits: &Limits) -> Result<Option<Self>, Error> {
        let method_at = match input {
            [b'\r', b'\n', b'\r' | b'\n', ..] => return Err(Error::LeadingEmptyLine),
            [b'\r', b'\n', ..] => 2,
            [b'\r'] => return Ok(None),
            [b'\r', ..] => return Err(Error::BareCr),
            [b'\n', ..] => return Err(Error::BareLf),
            _ => 0,
        };
        let Some((method, target_at)) = read_method(input, method_at, limits.method_bytes_max)? else {
            return Ok(None);
        };
        let Some(target) = read_target_bytes(&input[target_at..], limits.target_bytes_max)? else {
            return Ok(None);
        };
        let version_at = target_at + target.len() + 1;
        let Some(version) = input.get(version_at..version_at + 10) else { return Ok(None) };
        let version = match version {
            b"HTTP/1.1\r\n" => Version::Http11,
            b"HTTP/1.0\r\n" => Version::Http10,
            [b'H', b'T', b'T', b'P', b'/', major, b'.', minor, b'\r', b'\n']
                if major.is_ascii_digit() && minor.is_ascii_digit() =>
            {
                return Err(Error::UnsupportedVersion);
            }
            _ => return Err(Error::BadRequestLine),
        };
        Ok(Some(Self { method, target, version, end: version_at + 10 }))
    }
}

/// The method at `at` and where the target begins.
fn read_method(input: &[u8], at: usize, max: usize) -> Result<Option<(&[u8], usize)>, Error> {
    let rest = &input[at..];
    let bytes =
        rest.iter().take(max.saturating_add(1)).take_while(|&&byte| octets::is_token_byte(byte)).count();
    match rest.get(bytes) {
        _ if bytes > max => Err(Error::MethodTooLong { max }),
        None => Ok(None),
        Some(b' ') if bytes > 0 => Ok(Some((&rest[..bytes], at + bytes + 1))),
        Some(_) => Err(Error::BadMethod),
    }
}

/// The target that `rest` begins with; a blank follows it.
fn read_target_bytes(rest: &[u8], max: usize) -> Result<Option<&[u8]>, Error> {
    let window = &rest[..rest.len().min(max.saturating_add(1))];
    let blank = octets::find_blank(window);
    if blank > 0 && window.get(blank) == Some(&b' ') {
        return Ok(Some(&rest[..blank]));
    }
    match memchr3(b' ', b'\r', b'\n', window) {
        Some(bytes) if bytes > 0 && rest[bytes] == b' ' => Ok(Some(&rest[..bytes])),
        Some(_) => Err(Error::BadRequestLine),
        None if rest.len() > max => Err(Error::TargetTooLong { max }),
        None => Ok(None),
    }
}

fn read_target(target: &[u8], has_host: bool, rules: PathRules, into: &mut Request) -> Result<(), Error> {
    if target.first() == Some(&b'/') {
        return into.target.read(target, rules).map_err(Error::BadTarget);
    }
    let path = match split_absolute(target) {
        _ if target == b"*" => return Err(Error::AsteriskForm),
        None => target,
        Some((authority, path)) => {
            // RFC 9112 §3.2.2 would have the target win; a peer before or behind us may not know.
            if !has_host {
                into.authority.read(authority).map_err(Error::BadHost)?;
            } else if !into.authority.as_str().as_bytes().eq_ignore_ascii_case(authority) {
                return Err(Error::HostMismatch);
            }
            if path.is_empty() { b"/" } else { path }
        }
    };
    into.target.read(path, rules).map_err(Error::BadTarget)
}

/// Authority and rest of an absolute form.
fn split_absolute(target: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = [&b"http://"[..], b"https://"].iter().find_map(|scheme| {
        let start = target.get(..scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then(|| &target[scheme.len()..])
    })?;
    let end = memchr3(b'/', b'?', b'#', rest).unwrap_or(rest.len());
    Some(rest.split_at(end))
}
