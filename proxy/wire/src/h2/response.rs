//! Heads of responses, from ours to fields and back (RFC 9113 §8.3.2). Does not know streams.

use message::{Body, Headers, Length, Method, Name, Response};

use super::fields::{self, OF_THE_HOP};
use super::head::Head;
use super::hpack::Encoder;
use crate::h1::head::Side;
use crate::{Error, Limits};

/// Bytes of HTTP/1.1's status line, but for the reason.
const STATUS_LINE_BYTES: usize = b"HTTP/1.1 200 \r\n\r\n".len();

/// Reads an answer to `request_method` into `into`, whose memory is kept. As in HTTP/1.1 a `Content-Length` stays among
/// the fields of an answer that has no body but would have, and in no other. On an error `into` is empty.
pub(super) fn read(
    head: &Head,
    request_method: &Method,
    limits: &Limits,
    into: &mut Response,
) -> Result<(), Error> {
    into.clear();
    let result = fill(head, request_method, limits, into);
    if result.is_err() {
        into.clear();
    }
    result
}

fn fill(head: &Head, request_method: &Method, limits: &Limits, into: &mut Response) -> Result<(), Error> {
    into.status = head.status().ok_or(Error::BadStatus)?;
    if into.status > 599 {
        return Err(Error::BadStatus);
    }
    let hop = fields::read(head, STATUS_LINE_BYTES, 0, Side::Upstream, limits, &mut into.headers)?;
    let announced = hop.content_length.map(|(bytes, _)| bytes);
    let has_none = *request_method == Method::Head || into.status == 304;
    into.body = match (into.status, announced) {
        // The protocol of a connection does not change (RFC 9113 §8.6).
        (101, _) => return Err(Error::BadSwitch),
        (100..=199, bytes) if head.ends || bytes.unwrap_or(0) > 0 => return Err(Error::InterimWithBody),
        (100..=199 | 204, _) => Body::Empty,
        _ if has_none || head.ends => Body::Empty,
        (_, Some(0)) => Body::Empty,
        (_, Some(bytes)) => Body::Stream(Length::Known(bytes)),
        (_, None) => Body::Stream(Length::Unknown),
    };
    if let (true, Some((_, text))) = (has_none && into.status != 204 && into.status > 199, hop.content_length)
    {
        into.headers.push_known(Name::ContentLength, "Content-Length", text);
    }
    Ok(())
}

/// Appends the head of a final answer.
pub(super) fn write(
    encoder: &mut Encoder,
    response: &Response,
    content_length: Option<u64>,
    date: &[u8; 29],
    out: &mut Vec<u8>,
) {
    encoder.status(response.status, out);
    fields::write(encoder, &response.headers, OF_THE_HOP, out);
    if response.headers.get(Name::Date).is_none() {
        encoder.field(Name::Date, b"date", date, out);
    }
    if let Some(bytes) = content_length {
        fields::write_length(encoder, bytes, out);
    }
}

/// Appends the head of an interim one.
pub(super) fn write_interim(encoder: &mut Encoder, status: u16, headers: &Headers, out: &mut Vec<u8>) {
    encoder.status(status, out);
    fields::write(encoder, headers, OF_THE_HOP, out);
}
