//! Heads of requests, from the codec's form to ours and back (RFC 9113 §8.3.1). Does not know streams.

use bytes::Bytes;
use http::uri::{self, PathAndQuery};
use http::{HeaderValue, Uri, header};
use message::{Authority, Body, Length, Method, Name, PathRules, Request, Version};

use super::fields::{self, OF_THE_HOP};
use crate::h1::head::Side;
use crate::{Error, Limits};

/// What of a request's head concerns its stream only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestHead {
    /// Whether the client waits for a `100` before it sends the body. Never without a body.
    pub expect_continue: bool,
}

/// Reads a request into `into`, whose memory is kept. The scheme is the caller's to set. On an error `into` is empty.
pub(super) fn read<B>(
    request: &http::Request<B>,
    ends: bool,
    limits: &Limits,
    rules: PathRules,
    into: &mut Request,
) -> Result<RequestHead, Error> {
    into.clear();
    let result = fill(request, ends, limits, rules, into);
    if result.is_err() {
        into.clear();
    }
    result
}

fn fill<B>(
    request: &http::Request<B>,
    ends: bool,
    limits: &Limits,
    rules: PathRules,
    into: &mut Request,
) -> Result<RequestHead, Error> {
    let (method, uri) = (request.method().as_str(), request.uri());
    if method.len() > limits.method_bytes_max {
        return Err(Error::MethodTooLong { max: limits.method_bytes_max });
    }
    into.method = Method::from_token(method);
    if into.method == Method::Connect {
        return Err(Error::Connect);
    }
    into.version = Version::Http2;
    let is_known = |scheme: &str| ["http", "https"].iter().any(|known| known.eq_ignore_ascii_case(scheme));
    if !uri.scheme_str().is_none_or(is_known) {
        return Err(Error::BadScheme);
    }
    let path = uri.path_and_query().map_or("", PathAndQuery::as_str);
    if path.len() > limits.target_bytes_max {
        return Err(Error::TargetTooLong { max: limits.target_bytes_max });
    }
    let authority = uri.authority().map(uri::Authority::as_str);
    let line_bytes = method.len() + path.len() + authority.map_or(0, str::len);
    // It becomes `Host`, and counts as that.
    let is_host = authority.is_some() && !request.headers().contains_key(header::HOST);
    let (fields, line_fields) = (request.headers(), usize::from(is_host));
    let hop = fields::read(fields, line_bytes, line_fields, Side::Client, limits, &mut into.headers)?;
    read_authority(authority, hop.host, &mut into.authority)?;
    if path == "*" {
        return Err(Error::AsteriskForm);
    }
    into.target.read(path.as_bytes(), rules).map_err(Error::BadTarget)?;
    into.body = match hop.content_length {
        _ if ends => Body::Empty,
        Some((0, _)) => Body::Empty,
        Some((bytes, _)) => Body::Stream(Length::Known(bytes)),
        None => Body::Stream(Length::Unknown),
    };
    Ok(RequestHead { expect_continue: hop.expect_continue && into.body != Body::Empty })
}

/// `:authority` and `Host` say the same, or one of them is there alone.
fn read_authority(authority: Option<&str>, host: Option<&[u8]>, into: &mut Authority) -> Result<(), Error> {
    let text = authority.map(str::as_bytes).or(host).ok_or(Error::MissingHost)?;
    into.read(text).map_err(Error::BadHost)?;
    match host {
        Some(host) if !host.eq_ignore_ascii_case(text) => Err(Error::HostMismatch),
        _ => Ok(()),
    }
}

/// The request as the codec sends it to `authority`. `None` if it has a target or a method that the codec has no form
/// for.
pub(super) fn write(
    request: &Request,
    authority: &Authority,
    secure: bool,
    content_length: Option<u64>,
) -> Option<http::Request<()>> {
    let path = path_and_query(request.target.path(), request.target.query());
    let mut parts = uri::Parts::default();
    parts.scheme = Some(if secure { uri::Scheme::HTTPS } else { uri::Scheme::HTTP });
    parts.authority = Some(uri::Authority::try_from(authority.as_str()).ok()?);
    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(Bytes::from(path)).ok()?);
    let left_out = OF_THE_HOP.with(Name::Host).with(Name::Expect);
    let mut fields = fields::write(&request.headers, left_out, 2);
    if let Some(bytes) = content_length {
        fields.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    }
    if is_grpc(request) {
        // Whoever speaks gRPC takes trailers, and its servers want to be told so.
        fields.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    let mut call = http::Request::new(());
    *call.method_mut() = http::Method::from_bytes(request.method.as_str().as_bytes()).ok()?;
    *call.uri_mut() = Uri::from_parts(parts).ok()?;
    *call.headers_mut() = fields;
    Some(call)
}

/// As it is but for the three bytes of a query that HTTP/1.1 lets through as clients send them and the codec does not: as
/// browsers do, they are escaped.
fn path_and_query(path: &str, query: Option<&str>) -> String {
    let mut text = String::with_capacity(path.len() + query.map_or(0, |query| query.len() + 1));
    text.push_str(path);
    let Some(mut rest) = query else { return text };
    text.push('?');
    while let Some(at) = rest.find(['"', '<', '>']) {
        let (before, from) = rest.split_at(at);
        let escape = match from.as_bytes() {
            [b'"', ..] => "%22",
            [b'<', ..] => "%3C",
            _ => "%3E",
        };
        text.push_str(before);
        text.push_str(escape);
        rest = &from[1..];
    }
    text.push_str(rest);
    text
}

fn is_grpc(request: &Request) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    let kind = request.headers.get(Name::ContentType).unwrap_or_default();
    kind.get(..GRPC.len()).is_some_and(|start| start.eq_ignore_ascii_case(GRPC))
}
