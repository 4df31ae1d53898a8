//! Which headers a backend sees, and which of a backend's the client: forwarding headers, what AWS drops, adds and renames
//! (row 64).
//!
//! The codec has already taken away the headers of the hop (RFC 9110 §7.6.1). Here the headers by which a backend
//! learns of the client are ours alone: what a client that is no trusted proxy says of itself goes (rule S5).

use std::{io::Write as _, net::IpAddr};

use message::{Body, Headers, Length, Name, Request, Response, Version};
use smallvec::SmallVec;

use crate::Context;

/// Dialect `proxy`: `X-Forwarded-*` as every backend framework reads them, and `Via` (RFC 9110 §7.6.3). Values are
/// written where they stay: a request of a stranger costs no allocation here.
pub(crate) fn forward_plainly(request: &mut Request, cx: &Context<'_>) {
    let Request { headers, authority, scheme, version, .. } = request;
    let before = if cx.trusted { joined(headers, "x-forwarded-for") } else { Kept::new() };
    headers.retain(|field| keeps_forwarding(field.name, field.text, cx.trusted));
    headers.push_known_with(Name::XForwardedFor, "X-Forwarded-For", |out| {
        if !before.is_empty() {
            out.extend_from_slice(&before);
            out.extend_from_slice(b", ");
        }
        put_address(out, cx.peer);
    });
    if headers.get(Name::XForwardedProto).is_none() {
        headers.push_known(Name::XForwardedProto, "X-Forwarded-Proto", scheme.as_str().as_bytes());
    }
    if headers.get(Name::XForwardedHost).is_none() && !authority.as_str().is_empty() {
        headers.push_known(Name::XForwardedHost, "X-Forwarded-Host", authority.as_str().as_bytes());
    }
    if headers.get(Name::XForwardedPort).is_none() {
        let mut digits = itoa::Buffer::new();
        headers.push_known(Name::XForwardedPort, "X-Forwarded-Port", digits.format(cx.port).as_bytes());
    }
    let via: &[u8] = match version {
        Version::Http10 => b"1.0 floodgate",
        Version::Http11 => b"1.1 floodgate",
        Version::Http2 => b"2.0 floodgate",
    };
    headers.push_known(Name::Via, "Via", via);
}

/// The formatting machinery costs more than the digits of an IPv4 address.
fn put_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            for (place, octet) in address.octets().into_iter().enumerate() {
                if place > 0 {
                    out.push(b'.');
                }
                out.extend_from_slice(itoa::Buffer::new().format(octet).as_bytes());
            }
        }
        IpAddr::V6(address) => {
            // A vector takes every write.
            let _ = write!(out, "{address}");
        }
    }
}

/// HTTP APIs add `Forwarded` and `Via` (row 64, last sentence).
pub(crate) fn forward_as_http_api(request: &mut Request, cx: &Context<'_>) {
    let Request { headers, authority, scheme, .. } = request;
    let before = if cx.trusted { joined(headers, "forwarded") } else { Kept::new() };
    headers.retain(|field| keeps_forwarding(field.name, field.text, false));
    headers.push_with("Forwarded", |out| {
        if !before.is_empty() {
            out.extend_from_slice(&before);
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(b"for=");
        let is_v6 = cx.client.is_ipv6();
        out.extend_from_slice(if is_v6 { b"\"[" } else { b"" });
        put_address(out, cx.client);
        out.extend_from_slice(if is_v6 { b"]\"" } else { b"" });
        for part in [";host=\"", authority.as_str(), "\";proto=", scheme.as_str()] {
            out.extend_from_slice(part.as_bytes());
        }
    });
    headers.push("Via", b"HTTP/1.1 AmazonAPIGateway");
}

/// What REST APIs say and don't say to backends (row 64).
#[derive(Clone, Debug)]
pub(crate) struct RestHeaders {
    api_id: Box<str>,
    user_agent: Box<str>,
}

/// What stands in the request's id before it is a trace's: 24 of its hexadecimal digits.
const TRACE_DIGITS: usize = 24;

impl RestHeaders {
    pub(crate) fn new(api_id: &str) -> Self {
        Self { api_id: api_id.into(), user_agent: format!("AmazonAPIGateway_{api_id}").into() }
    }

    /// `HTTP_PROXY`: what row 64 drops and adds.
    pub(crate) fn forward(&self, request: &mut Request, cx: &Context<'_>) {
        let Request { headers, scheme, .. } = request;
        let before = if cx.trusted { joined(headers, "x-forwarded-for") } else { Kept::new() };
        headers.retain(|field| match field.name {
            Name::Server | Name::ContentEncoding | Name::Via => false,
            Name::Authorization => !is_signature(field.value),
            Name::Other if is_dropped(field.text) => false,
            name => keeps_forwarding(name, field.text, false),
        });
        self.introduce(headers, cx);
        headers.push_known_with(Name::XForwardedFor, "X-Forwarded-For", |out| {
            if !before.is_empty() {
                out.extend_from_slice(&before);
                out.extend_from_slice(b", ");
            }
            put_address(out, cx.peer);
        });
        headers.push_known(Name::XForwardedProto, "X-Forwarded-Proto", scheme.as_str().as_bytes());
        let mut digits = itoa::Buffer::new();
        headers.push_known(Name::XForwardedPort, "X-Forwarded-Port", digits.format(cx.port).as_bytes());
    }

    /// What every backend is told, by `HTTP` too.
    pub(crate) fn introduce(&self, headers: &mut Headers, cx: &Context<'_>) {
        if headers.get(Name::UserAgent).is_none() {
            headers.push_known(Name::UserAgent, "User-Agent", self.user_agent.as_bytes());
        }
        if headers.get(Name::Accept).is_none() {
            headers.push_known(Name::Accept, "Accept", b"application/json");
        }
        if headers.find(TRACE_ID).is_none() {
            headers.push_known_with(Name::Other, TRACE_ID, |out| put_trace_id(out, cx));
        }
        headers.push_known(Name::Other, "X-Amzn-Apigateway-Api-Id", self.api_id.as_bytes());
    }
}

const TRACE_ID: &str = "X-Amzn-Trace-Id";

/// `Root=1-` and eight digits of the time, and 24 that are nobody else's, as X-Ray has its traces.
fn put_trace_id(out: &mut Vec<u8>, cx: &Context<'_>) {
    let seconds = cx.now.unix_ns / 1_000_000_000;
    // A vector takes every write.
    let _ = write!(out, "Root=1-{seconds:08x}-");
    let id = cx.request_id.text();
    out.extend(id.iter().rev().copied().filter(|digit| *digit != b'-').take(TRACE_DIGITS));
}

/// What goes before anything else looks at a request, beside what belongs to the hop.
pub(crate) fn is_dropped(text: &[u8]) -> bool {
    let names: &[&str] = match text.len() {
        11 => &["content-md5"],
        12 => &["max-forwards"],
        16 => &["www-authenticate"],
        18 => &["proxy-authenticate"],
        24 => &["x-amzn-apigateway-api-id"],
        _ => return false,
    };
    names.iter().any(|name| text.eq_ignore_ascii_case(name.as_bytes()))
}

/// A signature was for us.
pub(crate) fn is_signature(authorization: &[u8]) -> bool {
    authorization.starts_with(b"AWS4-")
}

/// Whether a field stays before ours are set: other spellings of ours never do (bug 20), and of those by which a
/// proxy speaks only a trusted one's.
fn keeps_forwarding(name: Name, text: &[u8], trusted: bool) -> bool {
    match name {
        Name::XForwardedFor | Name::Forwarded => false,
        Name::XForwardedHost | Name::XForwardedPort | Name::XForwardedProto => trusted,
        Name::Other => {
            let ours = [&b"x-forwarded-"[..], b"x-real-ip"];
            let is_ours =
                |ours: &[u8]| text.get(..ours.len()).is_some_and(|start| start.eq_ignore_ascii_case(ours));
            trusted || !ours.into_iter().any(is_ours)
        }
        _ => true,
    }
}

/// `x-amzn-Remapped-*`: what a backend may not say in the gateway's name (row 64).
pub(crate) fn remap(response: &mut Response) {
    const REMAPPED: [(Name, &str, &str); 3] = [
        (Name::Date, "date", "x-amzn-Remapped-Date"),
        (Name::Server, "server", "x-amzn-Remapped-Server"),
        (Name::Other, "x-amzn-requestid", "x-amzn-Remapped-x-amzn-RequestId"),
    ];
    let headers = &mut response.headers;
    for (known, name, remapped) in REMAPPED {
        let value = if headers.seen().has(known) { headers.find(name) } else { None };
        if let Some(value) = value.map(Kept::from_slice) {
            headers.remove(name);
            headers.push(remapped, &value);
        }
    }
    // The codec has taken the field itself.
    if let Body::Stream(Length::Known(bytes)) = response.body {
        let mut digits = itoa::Buffer::new();
        headers.push("x-amzn-Remapped-Content-Length", digits.format(bytes).as_bytes());
    }
}

/// A value that is put by while its field is replaced; the usual ones need no memory of their own.
type Kept = SmallVec<[u8; 128]>;

/// All values of a list header as one list.
fn joined(headers: &Headers, name: &str) -> Kept {
    let mut list = Kept::new();
    for (number, value) in headers.find_all(name).enumerate() {
        if number > 0 {
            list.extend_from_slice(b", ");
        }
        list.extend_from_slice(value);
    }
    list
}

#[cfg(test)]
mod tests {
    use message::{Authority, Dialect, Now, PathRules, RequestId, Target};

    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn request(path: &str, headers: &[(&str, &str)]) -> Request {
        Request {
            target: Target::parse(path.as_bytes(), PathRules::default()).unwrap(),
            authority: Authority::parse(b"api.example").unwrap(),
            headers: headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect(),
            ..Request::default()
        }
    }

    /// What the backend sees of the forwarding headers; `client` are the fields that came in.
    #[track_caller]
    fn check_headers(dialect: Dialect, trusted: bool, client: &[(&str, &str)], expected: &[(&str, &str)]) {
        let mut request = request("/", client);
        let (state, response, spare) = (&mut None, &mut Response::default(), &mut crate::Spare::default());
        let cx = Context {
            params: &[],
            peer: PEER,
            client: PEER,
            trusted,
            port: 443,
            now: Now::default(),
            request_id: RequestId::new([7; 16]),
            state,
            response,
            spare,
        };
        match dialect {
            Dialect::Proxy => forward_plainly(&mut request, &cx),
            Dialect::Http => forward_as_http_api(&mut request, &cx),
            Dialect::Rest => RestHeaders::new("shop").forward(&mut request, &cx),
        }
        let str = |text| std::str::from_utf8(text).unwrap();
        let seen: Vec<_> = request.headers.iter().map(|f| (str(f.text), str(f.value))).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_stranger_speaks_of_nobody() {
        let said = [
            ("X-Forwarded-For", "6.6.6.6"),
            ("x-forwarded-HOST", "evil"),
            ("Forwarded", "for=6"),
            ("A", "b"),
            ("X-Forwarded-Prefix", "/x"),
            ("X-Real-IP", "6.6.6.6"),
        ];
        check_headers(
            Dialect::Proxy,
            false,
            &said,
            &[
                ("A", "b"),
                ("X-Forwarded-For", "192.0.2.1"),
                ("X-Forwarded-Proto", "https"),
                ("X-Forwarded-Host", "api.example"),
                ("X-Forwarded-Port", "443"),
                ("Via", "1.1 floodgate"),
            ],
        );
        check_headers(
            Dialect::Http,
            false,
            &said,
            &[
                ("A", "b"),
                ("Forwarded", "for=192.0.2.1;host=\"api.example\";proto=https"),
                ("Via", "HTTP/1.1 AmazonAPIGateway"),
            ],
        );
    }

    #[test]
    fn a_trusted_proxy_is_believed() {
        let said =
            [("X-Forwarded-For", "6.6.6.6"), ("x-forwarded-for", "7.7.7.7"), ("X-Forwarded-Proto", "http")];
        check_headers(
            Dialect::Proxy,
            true,
            &said,
            &[
                ("X-Forwarded-Proto", "http"),
                ("X-Forwarded-For", "6.6.6.6, 7.7.7.7, 192.0.2.1"),
                ("X-Forwarded-Host", "api.example"),
                ("X-Forwarded-Port", "443"),
                ("Via", "1.1 floodgate"),
            ],
        );
    }

    #[test]
    fn rest_apis_drop_add_and_remap() {
        let said = [("Via", "x"), ("Content-MD5", "x"), ("Authorization", "AWS4-HMAC-SHA256 x")];
        check_headers(
            Dialect::Rest,
            false,
            &said,
            &[
                ("User-Agent", "AmazonAPIGateway_shop"),
                ("Accept", "application/json"),
                ("X-Amzn-Trace-Id", "Root=1-00000000-707070707070707870747070"),
                ("X-Amzn-Apigateway-Api-Id", "shop"),
                ("X-Forwarded-For", "192.0.2.1"),
                ("X-Forwarded-Proto", "https"),
                ("X-Forwarded-Port", "443"),
            ],
        );
        let mut response = Response::new(200);
        response.headers.push("Server", b"x");
        response.body = Body::Stream(Length::Known(7));
        remap(&mut response);
        assert_eq!(response.headers.find("x-amzn-remapped-server"), Some(&b"x"[..]));
        assert_eq!(response.headers.find("x-amzn-remapped-content-length"), Some(&b"7"[..]));
        assert_eq!(response.headers.find("server"), None);
    }
}
