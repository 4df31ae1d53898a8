//! The HTTP integration: which path, which host, which headers a backend sees.
//!
//! The codec has already taken away the headers of the hop (RFC 9110 §7.6.1). Here the headers by which a backend
//! learns of the client are ours alone: what a client that is no trusted proxy says of itself goes (rule S5).

use std::{fmt::Write as _, io::Write as _, net::IpAddr};

use message::{Dialect, Headers, Name, PathRules, Reason, Request, Response, Version};

use crate::{Context, Integration, Outbound};

/// Forwards to a group of backends.
#[derive(Clone, Debug)]
pub struct Http {
    upstream: u32,
    path: Option<Vec<Part>>,
    strip_prefix: Option<String>,
    dialect: Dialect,
    api: String,
}

/// Plain settings of [`Http`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// Slot of the upstream group.
    pub upstream: u32,
    /// The path to send, a template with `{name}`; `None`: the request's.
    pub path: Option<String>,
    /// Taken off the front of the request's path; whole segments, begins with a slash.
    pub strip_prefix: Option<String>,
    /// The route's variables in the template's order.
    pub variables: Vec<String>,
    /// Whose header rules apply.
    pub dialect: Dialect,
    /// The API's name, for `User-Agent` and the like (row 64).
    pub api: String,
}

/// Why settings can't be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The path names a variable that the route does not have.
    #[error("the path names `{{{name}}}`, which is no variable of the route")]
    UnknownVariable {
        /// The variable.
        name: String,
    },
    /// A brace without its partner, or a path that does not begin with a slash.
    #[error("the path `{path}` must begin with `/` and close each `{{` with `}}`")]
    BadPath {
        /// The path.
        path: String,
    },
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Variable(usize),
}

impl Http {
    /// Compiles the path template.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let Settings { upstream, path, strip_prefix, variables, dialect, api } = settings;
        let path = path.map(|path| parts(&path, &variables)).transpose()?;
        Ok(Self { upstream, path, strip_prefix, dialect, api })
    }

    /// Puts the path in place that the backend is to see.
    fn rewrite(&self, request: &mut Request, cx: &Context<'_>) -> Result<(), Reason> {
        let path = request.target.path();
        let rewritten = match (&self.path, &self.strip_prefix) {
            (Some(parts), _) => fill(parts, path, cx.params),
            (None, Some(prefix)) => match path.strip_prefix(prefix.as_str()) {
                Some(rest) if rest.starts_with('/') => rest.to_owned(),
                Some("") => "/".to_owned(),
                _ => return Ok(()),
            },
            (None, None) => return Ok(()),
        };
        // What a variable holds was checked once; an escaped slash that was let in stays as it is.
        let rules = PathRules { merge_slashes: false, encoded_slashes: true };
        request.target.set_path(&rewritten, rules).map_err(|_| Reason::NoRoute)
    }
}

impl Integration for Http {
    fn prepare(&self, request: &mut Request, cx: &Context<'_>) -> Outbound {
        if let Err(reason) = self.rewrite(request, cx) {
            return Outbound::Refuse(reason);
        }
        match self.dialect {
            Dialect::Proxy => forward_plainly(request, cx),
            Dialect::Http => forward_as_http_api(request, cx),
            Dialect::Rest => forward_as_rest_api(request, cx, &self.api),
        }
        Outbound::Call(self.upstream)
    }

    fn read(&self, response: &mut Response) {
        if self.dialect == Dialect::Rest {
            remap(&mut response.headers);
        }
    }
}

/// Dialect `proxy`: `X-Forwarded-*` as every backend framework reads them, and `Via` (RFC 9110 §7.6.3). Values are
/// written where they stay: a request of a stranger costs no allocation here.
fn forward_plainly(request: &mut Request, cx: &Context<'_>) {
    let Request { headers, authority, scheme, version, .. } = request;
    let before = if cx.trusted { joined(headers, "x-forwarded-for") } else { String::new() };
    headers.retain(|field| keeps_forwarding(field.name, field.text, cx.trusted));
    headers.push_known_with(Name::XForwardedFor, "X-Forwarded-For", |out| {
        if !before.is_empty() {
            out.extend_from_slice(before.as_bytes());
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
fn forward_as_http_api(request: &mut Request, cx: &Context<'_>) {
    let before = if cx.trusted { joined(&request.headers, "forwarded") } else { String::new() };
    request.headers.retain(|field| keeps_forwarding(field.name, field.text, false));
    let mut forwarded = before;
    if !forwarded.is_empty() {
        forwarded.push_str(", ");
    }
    let node = |address| match address {
        IpAddr::V4(address) => format!("{address}"),
        IpAddr::V6(address) => format!("\"[{address}]\""),
    };
    let (client, host, proto) = (node(cx.client), request.authority.as_str(), request.scheme.as_str());
    // A `String` takes every write.
    let _ = write!(forwarded, "for={client};host=\"{host}\";proto={proto}");
    request.headers.push("Forwarded", forwarded.as_bytes());
    request.headers.push("Via", b"HTTP/1.1 AmazonAPIGateway");
}

/// REST APIs with `HTTP_PROXY`: what row 64 drops and adds.
fn forward_as_rest_api(request: &mut Request, cx: &Context<'_>, api: &str) {
    const DROPPED: [&str; 8] = [
        "content-md5",
        "max-forwards",
        "proxy-authenticate",
        "server",
        "www-authenticate",
        "content-encoding",
        "via",
        "x-amzn-apigateway-api-id",
    ];
    let before = if cx.trusted { joined(&request.headers, "x-forwarded-for") } else { String::new() };
    let chain = if before.is_empty() { cx.peer.to_string() } else { format!("{before}, {}", cx.peer) };
    let headers = &mut request.headers;
    headers.retain(|field| {
        keeps_forwarding(field.name, field.text, false)
            && !DROPPED.iter().any(|name| field.text.eq_ignore_ascii_case(name.as_bytes()))
            && !(field.name == Name::Authorization && field.value.starts_with(b"AWS4-"))
    });
    if headers.get(Name::UserAgent).is_none() {
        headers.push("User-Agent", format!("AmazonAPIGateway_{api}").as_bytes());
    }
    if headers.get(Name::Accept).is_none() {
        headers.push("Accept", b"application/json");
    }
    headers.push("X-Amzn-Apigateway-Api-Id", api.as_bytes());
    headers.push("X-Forwarded-For", chain.as_bytes());
    headers.push("X-Forwarded-Proto", request.scheme.as_str().as_bytes());
    headers.push("X-Forwarded-Port", cx.port.to_string().as_bytes());
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
fn remap(headers: &mut Headers) {
    const REMAPPED: [(&str, &str); 3] = [
        ("date", "x-amzn-Remapped-Date"),
        ("server", "x-amzn-Remapped-Server"),
        ("x-amzn-requestid", "x-amzn-Remapped-x-amzn-RequestId"),
    ];
    for (name, remapped) in REMAPPED {
        if let Some(value) = headers.find(name).map(<[u8]>::to_vec) {
            headers.remove(name);
            headers.push(remapped, &value);
        }
    }
}

/// All values of a list header as one list.
fn joined(headers: &Headers, name: &str) -> String {
    let values = headers.find_all(name).map(|value| String::from_utf8_lossy(value).into_owned());
    values.collect::<Vec<_>>().join(", ")
}

fn parts(path: &str, variables: &[String]) -> Result<Vec<Part>, Error> {
    let bad = || Error::BadPath { path: path.to_owned() };
    if !path.starts_with('/') {
        return Err(bad());
    }
    let mut parts = Vec::new();
    let mut rest = path;
    while let Some(open) = rest.find('{') {
        let close = rest[open..].find('}').ok_or_else(bad)? + open;
        let name = rest[open + 1..close].trim_end_matches('+');
        let known = variables.iter().position(|variable| variable == name);
        parts.push(Part::Text(rest[..open].to_owned()));
        parts.push(Part::Variable(known.ok_or_else(|| Error::UnknownVariable { name: name.to_owned() })?));
        rest = &rest[close + 1..];
    }
    if rest.contains('}') {
        return Err(bad());
    }
    parts.push(Part::Text(rest.to_owned()));
    Ok(parts)
}

fn fill(parts: &[Part], path: &str, params: &[(u32, u32)]) -> String {
    let mut filled = String::with_capacity(path.len() + 16);
    for part in parts {
        match part {
            Part::Text(text) => filled.push_str(text),
            Part::Variable(index) => {
                let value = params.get(*index).and_then(|(from, to)| path.get(*from as usize..*to as usize));
                filled.push_str(value.unwrap_or_default());
            }
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use message::{Authority, PathRules, Target};

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

    fn http(path: Option<&str>, strip: Option<&str>, dialect: Dialect) -> Http {
        let variables = vec!["id".to_owned(), "proxy".to_owned()];
        let (path, strip_prefix) = (path.map(Into::into), strip.map(Into::into));
        Http::new(Settings { upstream: 7, path, strip_prefix, variables, dialect, api: "shop".into() })
            .unwrap()
    }

    #[track_caller]
    fn check_path(
        path: Option<&str>,
        strip: Option<&str>,
        sent: &str,
        params: &[(u32, u32)],
        expected: &str,
    ) {
        let mut request = request(sent, &[]);
        let cx = Context { params, peer: PEER, client: PEER, trusted: false, port: 443 };
        let outbound = http(path, strip, Dialect::Proxy).prepare(&mut request, &cx);
        assert!(matches!(outbound, Outbound::Call(7)), "{outbound:?}");
        assert_eq!(request.target.path(), expected);
    }

    #[test]
    fn paths_are_rewritten() {
        check_path(None, None, "/a/b?q", &[], "/a/b");
        check_path(None, Some("/a"), "/a/b", &[], "/b");
        check_path(None, Some("/a"), "/a", &[], "/");
        check_path(None, Some("/a"), "/ab/c", &[], "/ab/c");
        check_path(Some("/x/{id}/y"), None, "/pets/42", &[(6, 8)], "/x/42/y");
        check_path(Some("/{proxy+}"), None, "/v1/a/b", &[(0, 0), (4, 7)], "/a/b");
    }

    #[test]
    fn a_rewrite_that_climbs_is_refused() {
        let mut request = request("/pets/..%2e", &[]);
        let cx = Context { params: &[(0, 0)], peer: PEER, client: PEER, trusted: false, port: 443 };
        let outbound = http(Some("/../{id}"), None, Dialect::Proxy).prepare(&mut request, &cx);
        assert!(matches!(outbound, Outbound::Refuse(Reason::NoRoute)), "{outbound:?}");
    }

    #[test]
    fn bad_templates_are_refused() {
        let settings = |path: &str| Settings {
            upstream: 0,
            path: Some(path.into()),
            strip_prefix: None,
            variables: vec!["id".into()],
            dialect: Dialect::Proxy,
            api: String::new(),
        };
        assert_eq!(Http::new(settings("/{x}")).unwrap_err(), Error::UnknownVariable { name: "x".into() });
        for path in ["a", "/{id", "/id}"] {
            assert!(matches!(Http::new(settings(path)).unwrap_err(), Error::BadPath { .. }), "{path}");
        }
    }

    /// What the backend sees of the forwarding headers; `client` are the fields that came in.
    #[track_caller]
    fn check_headers(dialect: Dialect, trusted: bool, client: &[(&str, &str)], expected: &[(&str, &str)]) {
        let mut request = request("/", client);
        let cx = Context { params: &[], peer: PEER, client: PEER, trusted, port: 443 };
        http(None, None, dialect).prepare(&mut request, &cx);
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
                ("X-Amzn-Apigateway-Api-Id", "shop"),
                ("X-Forwarded-For", "192.0.2.1"),
                ("X-Forwarded-Proto", "https"),
                ("X-Forwarded-Port", "443"),
            ],
        );
        let mut response = Response::new(200);
        response.headers.push("Server", b"x");
        http(None, None, Dialect::Rest).read(&mut response);
        assert_eq!(response.headers.find("x-amzn-remapped-server"), Some(&b"x"[..]));
    }
}
