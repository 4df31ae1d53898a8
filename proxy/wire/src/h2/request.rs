//! Heads of requests, from fields to ours and back (RFC 9113 §8.3.1). Does not know streams.

use message::{Authority, Body, Length, Method, Name, NeverIndexed, PathRules, Request, Version, octets};

use super::fields::{self, OF_THE_HOP};
use super::head::{Head, Pseudo};
use super::hpack::Encoder;
use crate::h1::head::Side;
use crate::{Error, Limits};

/// What of a request's head concerns its stream only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestHead {
    /// Whether the client waits for a `100` before it sends the body. Never without a body.
    pub expect_continue: bool,
}

/// Reads a request into `into`, whose memory is kept. The scheme is the caller's to set. On an error `into` is empty.
pub(super) fn read(
    head: &Head,
    limits: &Limits,
    rules: PathRules,
    into: &mut Request,
) -> Result<RequestHead, Error> {
    into.clear();
    let result = fill(head, limits, rules, into);
    if result.is_err() {
        into.clear();
    }
    result
}

fn fill(head: &Head, limits: &Limits, rules: PathRules, into: &mut Request) -> Result<RequestHead, Error> {
    if head.is_too_long() {
        return Err(Error::HeadTooLong { max: head.list_bytes_max() });
    }
    let method = head.pseudo(Pseudo::Method).unwrap_or_default();
    if method.len() > limits.method_bytes_max {
        return Err(Error::MethodTooLong { max: limits.method_bytes_max });
    }
    if !octets::is_token(method) {
        return Err(Error::BadMethod);
    }
    into.method = Method::from_token(method);
    if into.method == Method::Connect {
        return Err(Error::Connect);
    }
    into.version = Version::Http2;
    let scheme = head.pseudo(Pseudo::Scheme).unwrap_or_default();
    if ![&b"https"[..], b"http"].iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
        return Err(Error::BadScheme);
    }
    let path = head.pseudo(Pseudo::Path).unwrap_or_default();
    if path.len() > limits.target_bytes_max {
        return Err(Error::TargetTooLong { max: limits.target_bytes_max });
    }
    let authority = head.pseudo(Pseudo::Authority);
    into.never_indexed.target = head.is_never_indexed(Pseudo::Path);
    let line_bytes = method.len() + path.len() + authority.map_or(0, <[u8]>::len);
    // It becomes `Host`, and counts as that.
    let is_host = authority.is_some() && head.get(Name::Host).is_none();
    let hop = fields::read(head, line_bytes, usize::from(is_host), Side::Client, limits, &mut into.headers)?;
    read_authority(authority, hop.host, &mut into.authority)?;
    into.never_indexed.authority = head.is_never_indexed(Pseudo::Authority) || hop.host_is_never_indexed;
    if path == b"*" {
        return Err(Error::AsteriskForm);
    }
    into.target.read(path, rules).map_err(Error::BadTarget)?;
    into.body = match hop.content_length {
        _ if head.ends => Body::Empty,
        Some((0, _)) => Body::Empty,
        Some((bytes, _)) => Body::Stream(Length::Known(bytes)),
        None => Body::Stream(Length::Unknown),
    };
    Ok(RequestHead { expect_continue: hop.expect_continue && into.body != Body::Empty })
}

/// `:authority` and `Host` say the same, or one of them is there alone.
fn read_authority(authority: Option<&[u8]>, host: Option<&[u8]>, into: &mut Authority) -> Result<(), Error> {
    let text = authority.or(host).ok_or(Error::MissingHost)?;
    into.read(text).map_err(Error::BadHost)?;
    match host {
        Some(host) if !host.eq_ignore_ascii_case(text) => Err(Error::HostMismatch),
        _ => Ok(()),
    }
}

/// Appends the head of a request to `authority`.
pub(super) fn write(
    encoder: &mut Encoder,
    request: &Request,
    authority: &Authority,
    secure: bool,
    content_length: Option<u64>,
    out: &mut Vec<u8>,
) {
    encoder.method(request.method.as_str().as_bytes(), out);
    encoder.scheme(secure, out);
    let NeverIndexed { target: hides_target, authority: hides_authority } = request.never_indexed;
    encoder.authority(authority.as_str().as_bytes(), hides_authority, out);
    let target = &request.target;
    encoder.path(target.path().as_bytes(), target.query().map(str::as_bytes), hides_target, out);
    let left_out = OF_THE_HOP.with(Name::Host).with(Name::Expect);
    fields::write(encoder, &request.headers, left_out, out);
    if let Some(bytes) = content_length {
        fields::write_length(encoder, bytes, out);
    }
    if is_grpc(request.headers.get(Name::ContentType)) {
        // Whoever speaks gRPC takes trailers, and its servers want to be told so.
        encoder.field(Name::Te, b"te", b"trailers", out);
    }
}

/// Whether a content type is one of gRPC.
pub(super) fn is_grpc(content_type: Option<&[u8]>) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    let kind = content_type.unwrap_or_default();
    kind.get(..GRPC.len()).is_some_and(|start| start.eq_ignore_ascii_case(GRPC))
}
