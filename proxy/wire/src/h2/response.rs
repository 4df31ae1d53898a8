//! Heads of responses, from ours to the codec's form and back (RFC 9113 §8.3.2). Does not know streams.

use http::{HeaderMap, HeaderValue, StatusCode, header};
use message::{Body, Headers, Length, Method, Name, Response};

use super::fields::{self, OF_THE_HOP};
use crate::h1::head::Side;
use crate::{Error, Limits};

/// Bytes of HTTP/1.1's status line, but for the reason.
const STATUS_LINE_BYTES: usize = b"HTTP/1.1 200 \r\n\r\n".len();

/// Reads an answer to `request_method` into `into`, whose memory is kept. As in HTTP/1.1 a `Content-Length` stays among
/// the fields of an answer that has no body but would have, and in no other. On an error `into` is empty.
pub(super) fn read<B>(
    response: &http::Response<B>,
    ends: bool,
    request_method: &Method,
    limits: &Limits,
    into: &mut Response,
) -> Result<(), Error> {
    into.clear();
    let result = fill(response, ends, request_method, limits, into);
    if result.is_err() {
        into.clear();
    }
    result
}

fn fill<B>(
    response: &http::Response<B>,
    ends: bool,
    request_method: &Method,
    limits: &Limits,
    into: &mut Response,
) -> Result<(), Error> {
    into.status = response.status().as_u16();
    if into.status > 599 {
        return Err(Error::BadStatus);
    }
    let hop =
        fields::read(response.headers(), STATUS_LINE_BYTES, 0, Side::Upstream, limits, &mut into.headers)?;
    let announced = hop.content_length.map(|(bytes, _)| bytes);
    let has_none = *request_method == Method::Head || into.status == 304;
    into.body = match (into.status, announced) {
        // The protocol of a connection does not change (RFC 9113 §8.6).
        (101, _) => return Err(Error::BadSwitch),
        (100..=199, bytes) if ends || bytes.unwrap_or(0) > 0 => return Err(Error::InterimWithBody),
        (100..=199 | 204, _) => Body::Empty,
        _ if has_none || ends => Body::Empty,
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

/// The head of a final answer as the codec sends it.
pub(super) fn write(response: &Response, content_length: Option<u64>, date: &[u8; 29]) -> http::Response<()> {
    let mut fields = fields::write(&response.headers, OF_THE_HOP, 2);
    if response.headers.get(Name::Date).is_none()
        && let Ok(date) = HeaderValue::from_bytes(date)
    {
        fields.insert(header::DATE, date);
    }
    if let Some(bytes) = content_length {
        fields.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    }
    with_status(response.status, fields)
}

/// The head of an interim one.
pub(super) fn write_interim(status: u16, headers: &Headers) -> http::Response<()> {
    with_status(status, fields::write(headers, OF_THE_HOP, 0))
}

fn with_status(status: u16, fields: HeaderMap) -> http::Response<()> {
    let mut response = http::Response::new(());
    // Statuses are from 100 to 599.
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = fields;
    response
}
