//! Heads of responses (RFC 9112 §4), as strict as those of requests: an upstream that is ambiguous gets its client a
//! 502, not somebody else's answer.

use memchr::memchr;
use message::{Method, Name, Response, octets};

use super::BodyLength;
use super::head::{self, Hop, Side};
use crate::{Error, Limits};

/// How a response stands on its connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseFraming {
    /// How its body is told from the next response.
    pub body: BodyLength,
    /// Whether the connection may carry another request after it.
    pub keep_alive: bool,
    /// What it is in the course of the exchange.
    pub kind: ResponseKind,
    /// The protocol that the connection speaks from here on; set if and only if `kind` says so.
    pub upgrade: Option<Box<str>>,
}

/// What a response is in the course of an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseKind {
    /// 1xx: another one follows.
    Interim,
    /// 101: what follows is another protocol.
    SwitchingProtocols,
    /// The answer.
    #[default]
    Final,
}

/// Reads the head of the response to a request of `request_method` into `into`, whose memory is kept: status,
/// end-to-end fields, body. Returns how many bytes the head has, or `None` while it is not whole. On an error `into`
/// is empty. The reason phrase is read over.
///
/// A response to HEAD and a 304 have no body, but their `Content-Length` says what a GET would bring: it stays among
/// the fields as [`Name::ContentLength`], for [`ResponseBody::choose`](super::ResponseBody::choose) to find and no
/// encoder to copy. In all others it does not stay; 1xx and 204 may not have one (RFC 9110 §8.6).
pub fn decode_response(
    input: &[u8],
    limits: &Limits,
    request_method: &Method,
    into: &mut Response,
) -> Result<Option<(usize, ResponseFraming)>, Error> {
    into.clear();
    let (start, too_long) = head::bound(input, limits);
    let result = match decode(start, limits, request_method, into) {
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
    request_method: &Method,
    into: &mut Response,
) -> Result<Option<(usize, ResponseFraming)>, Error> {
    let Some(line) = read_status_line(input)? else { return Ok(None) };
    into.status = line.status;
    let mut hop = Hop::default();
    let read = head::read_fields(input, line.end, Side::Upstream, limits, &mut into.headers, &mut hop)?;
    let Some(end) = read else { return Ok(None) };
    let framing = frame(&line, &hop, request_method)?;
    let may_announce = framing.kind == ResponseKind::Final && line.status != 204;
    let announces = may_announce && (*request_method == Method::Head || line.status == 304);
    if let (true, Some((_, text))) = (announces, hop.content_length) {
        into.headers.push_known(Name::ContentLength, "Content-Length", text);
    }
    into.body = framing.body.to_body();
    Ok(Some((end, framing)))
}

/// RFC 9112 §6.3, the part about responses.
fn frame(line: &StatusLine, hop: &Hop<'_>, request_method: &Method) -> Result<ResponseFraming, Error> {
    let announced = hop.body_length(line.http11)?;
    let announces_none = matches!(announced, None | Some(BodyLength::Known(0)));
    let keeps_alive = hop.keeps_alive(line.http11);
    let (kind, body, keep_alive) = match line.status {
        100..=199 if !announces_none => return Err(Error::InterimWithBody),
        101 => (ResponseKind::SwitchingProtocols, BodyLength::None, false),
        100..=199 => (ResponseKind::Interim, BodyLength::None, keeps_alive),
        // No body by definition. Should bytes follow all the same, they are nobody's next response.
        204 => (ResponseKind::Final, BodyLength::None, keeps_alive && announces_none),
        304 => (ResponseKind::Final, BodyLength::None, keeps_alive),
        _ if *request_method == Method::Head => (ResponseKind::Final, BodyLength::None, keeps_alive),
        _ => match announced {
            Some(length) => (ResponseKind::Final, length, keeps_alive),
            None => (ResponseKind::Final, BodyLength::UntilClose, false),
        },
    };
    let upgrade = match kind {
        ResponseKind::SwitchingProtocols if line.http11 => Some(hop.upgrade().ok_or(Error::BadSwitch)?),
        ResponseKind::SwitchingProtocols => return Err(Error::BadSwitch),
        ResponseKind::Interim | ResponseKind::Final => None,
    };
    Ok(ResponseFraming { body, keep_alive, kind, upgrade })
}

struct StatusLine {
    http11: bool,
    status: u16,
    /// Where the line after it begins.
    end: usize,
}

/// Reads `HTTP/1.x SP 3DIGIT [SP reason] CRLF`. The blank before an empty reason may be missing: servers leave it out,
/// and nobody can read that in two ways.
fn read_status_line(input: &[u8]) -> Result<Option<StatusLine>, Error> {
    const START_BYTES: usize = b"HTTP/1.1 200".len();
    let Some(start) = input.get(..START_BYTES) else {
        let so_far = input.iter().zip(b"HTTP/").all(|(sent, own)| sent == own);
        return if so_far { Ok(None) } else { Err(Error::BadStatusLine) };
    };
    let (version, digits) = match start {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor, b' ', digits @ ..]
            if major.is_ascii_digit() && minor.is_ascii_digit() && digits.iter().all(u8::is_ascii_digit) =>
        {
            ([*major, *minor], digits)
        }
        _ => return Err(Error::BadStatusLine),
    };
    let http11 = match &version {
        b"11" => true,
        b"10" => false,
        _ => return Err(Error::UnsupportedVersion),
    };
    let status = digits.iter().fold(0u16, |number, digit| number * 10 + u16::from(digit - b'0'));
    if !(100..=599).contains(&status) {
        return Err(Error::BadStatus);
    }
    let rest = &input[START_BYTES..];
    // The usual one, at one look; whatever it is not is told apart below.
    let reason_end = octets::find_control(rest);
    if let ([b' ', ..], Some([b'\r', b'\n', ..])) = (rest, rest.get(reason_end..)) {
        return Ok(Some(StatusLine { http11, status, end: START_BYTES + reason_end + 2 }));
    }
    let Some(lf) = memchr(b'\n', rest) else { return Ok(None) };
    match &rest[..lf] {
        [b'\r'] => {}
        [b' ', reason @ .., b'\r'] if reason.iter().all(|&byte| octets::is_value_byte(byte)) => {}
        [.., b'\r'] => return Err(Error::BadStatusLine),
        _ => return Err(Error::BareLf),
    }
    Ok(Some(StatusLine { http11, status, end: START_BYTES + lf + 1 }))
}
