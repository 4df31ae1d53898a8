//! The grammars of names: hosts, addresses, URLs, methods, headers, origins, base paths.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use crate::{
    context::{Mistake, quote},
    reader::{Table, alternatives},
    suggest,
};

/// The methods of AWS (row 22).
pub(crate) const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// What plain proxies meet beside them (WebDAV, caches).
const MORE_METHODS: [&str; 12] = [
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "REPORT",
    "SEARCH",
    "MERGE",
    "PURGE",
    "QUERY",
];
const HOST_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;
const NAME_CHARS_MAX: usize = 128;
/// Row 37.
const BASE_PATH_BYTES_MAX: usize = 300;

/// An IP address and a port.
pub(crate) fn address(text: &str) -> Result<SocketAddr, Mistake> {
    text.parse().map_err(|_| {
        let port = text.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
        let mistake = Mistake::new(format!("{} is no IP address with a port", quote(text)));
        match (port, text.parse::<IpAddr>()) {
            (_, Ok(ip)) => mistake.help(format!("write `{}`", SocketAddr::new(ip, 8443))),
            (Some(port), _) if text.to_ascii_lowercase().starts_with("localhost") => {
                mistake.help(format!("write `127.0.0.1:{port}`"))
            }
            (Some(port), _) => {
                mistake.help(format!("write `127.0.0.1:{port}` for this machine, `0.0.0.0:{port}` for all"))
            }
            _ => mistake.help("write an address and a port: `127.0.0.1:8443` or `[::1]:8443`"),
        }
    })
}

/// An address that only this machine reaches.
pub(crate) fn loopback(text: &str) -> Result<SocketAddr, Mistake> {
    let address = address(text)?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    let message = format!("{} is reachable from other machines", quote(text));
    Err(Mistake::new(message).help(format!("write a loopback address: `127.0.0.1:{}`", address.port())))
}

/// An address or a network.
pub(crate) fn network(text: &str) -> Result<IpNet, Mistake> {
    let alone = text.parse::<IpAddr>().map(IpNet::from);
    let network = alone.or_else(|_| text.parse::<IpNet>()).map_err(|_| {
        let message = format!("{} is no address and no network", quote(text));
        Mistake::new(message).help("write `10.0.0.0/8`, `192.0.2.1` or `2001:db8::/32`")
    })?;
    if network.addr() != network.network() {
        let message = format!("{} has bits behind its prefix", quote(text));
        return Err(Mistake::new(message).help(format!("write `{}`", network.trunc())));
    }
    Ok(network)
}

/// A host name, an IPv4 address or a bracketed IPv6 address, in lower case.
pub(crate) fn host(text: &str) -> Result<String, Mistake> {
    let wrong = || Mistake::new(format!("{} is no host name", quote(text)));
    let lower = text.to_ascii_lowercase();
    if let Some((_, rest)) = lower.split_once("://") {
        let host = rest.split(['/', ':']).next().unwrap_or_default();
        return Err(wrong().help(format!("write the name alone: `{host}`")));
    }
    if let Some(address) = lower.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address = address.parse::<Ipv6Addr>().map_err(|_| wrong().help("write `[2001:db8::1]`"))?;
        return Ok(format!("[{address}]"));
    }
    if let Some((host, _)) = lower.split_once([':', '/']) {
        return Err(wrong().help(format!("write it without port and path: `{host}`")));
    }
    if lower.parse::<Ipv4Addr>().is_ok() || is_dns_name(&lower) {
        return Ok(lower);
    }
    Err(wrong().help("write a name such as `api.example.com`, in ASCII (`xn--…` for others)"))
}

/// A host name or `*.` and one (row 35).
pub(crate) fn host_pattern(text: &str) -> Result<String, Mistake> {
    match text.strip_prefix("*.") {
        Some(rest) if is_dns_name(&rest.to_ascii_lowercase()) => Ok(text.to_ascii_lowercase()),
        None if !text.contains('*') => host(text),
        _ => {
            let message = format!("{} is no host name", quote(text));
            Err(Mistake::new(message).help("`*` stands for the whole first label: `*.example.com`"))
        }
    }
}

/// The host names of a table's `hosts`; none if it has none, which is every host.
pub(crate) fn hosts(table: &Table<'_>) -> Vec<String> {
    let hosts = table.opt("hosts", |value| value.list(host_pattern));
    if let Some(value) = table.get("hosts").filter(|_| hosts.as_ref().is_some_and(Vec::is_empty)) {
        value.mistake(Mistake::new("no host is named").help("leave `hosts` out for every host"));
    }
    hosts.unwrap_or_default()
}

fn is_dns_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_char = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(is_char)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // All digits would be an address of some other notation.
    let numeric =
        name.rsplit('.').next().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    name.len() <= HOST_BYTES_MAX && name.split('.').all(is_label) && !numeric
}

/// `http://host[:port][/path]`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) tls: bool,
    /// Without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Empty or beginning with a slash.
    pub(crate) path: String,
}

impl Url {
    /// The URL without its path; the port where it is not the scheme's own.
    pub(crate) fn base(&self) -> String {
        let (scheme, usual) = if self.tls { ("https", 443) } else { ("http", 80) };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == usual {
            format!("{scheme}://{host}")
        } else {
            format!("{scheme}://{host}:{}", self.port)
        }
    }
}

/// The URL of a backend.
pub(crate) fn url(text: &str) -> Result<Url, Mistake> {
    let wrong = |why: &str| Mistake::new(format!("{} {why}", quote(text)));
    let lower = text.to_ascii_lowercase();
    let (tls, rest) = if lower.starts_with("http://") {
        (false, &text[7..])
    } else if lower.starts_with("https://") {
        (true, &text[8..])
    } else if let Some((scheme, _)) = text.split_once("://") {
        let help = "backends are called over `http://` or `https://`";
        return Err(wrong(&format!("has the scheme {}", quote(scheme))).help(help));
    } else {
        return Err(wrong("has no scheme").help(format!("write `http://{}`", quote(text).trim_matches('`'))));
    };
    if let Some(at) = rest.find(['?', '#']) {
        let without = &text[..text.len() - rest.len() + at];
        let mistake = wrong("has a query or a fragment");
        return Err(mistake.help(format!("write {}: the request's query is sent", quote(without))));
    }
    let split = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(split);
    if authority.contains('@') {
        return Err(wrong("has a user name").help("send credentials in a header instead"));
    }
    let port_at = authority.rfind(':').filter(|at| !authority[*at..].contains(']'));
    let (name, port) = match port_at {
        Some(at) => (&authority[..at], Some(&authority[at + 1..])),
        None => (authority, None),
    };
    let port = match port {
        Some(port) => match port.parse::<u16>() {
            Ok(port) if port > 0 => port,
            _ => return Err(wrong("has no valid port").help("ports go from 1 to 65535")),
        },
        None if tls => 443,
        None => 80,
    };
    if name.is_empty() {
        return Err(wrong("has no host").help("write `http://127.0.0.1:8080`"));
    }
    let host = host(name)?.trim_matches(['[', ']']).to_owned();
    Ok(Url { tls, host, port, path: path.to_owned() })
}

/// A method's token.
pub(crate) fn method(text: &str, is_aws: bool) -> Result<String, Mistake> {
    let more: &[&str] = if is_aws { &[] } else { &MORE_METHODS };
    let known = || METHODS.iter().chain(more).copied();
    if known().any(|method| method == text) {
        return Ok(text.to_owned());
    }
    let message = format!("{} is no method", quote(text));
    Err(Mistake::new(message).help(match suggest::nearest(text, known().chain(["ANY"])) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "methods are {}",
            alternatives(METHODS.into_iter().chain(["ANY"])).replace(" or ", " and ")
        ),
    }))
}

/// A name of a listener or an upstream.
pub(crate) fn label(text: &str) -> Result<String, Mistake> {
    let is_char = |char: char| char.is_ascii_alphanumeric() || "-_.:[]".contains(char);
    if !text.is_empty() && text.chars().count() <= NAME_CHARS_MAX && text.chars().all(is_char) {
        return Ok(text.to_owned());
    }
    let message = format!("{} can't be a name", quote(text));
    Err(Mistake::new(message).help(format!("1 to {NAME_CHARS_MAX} letters, digits, `-`, `_` and `.`")))
}

/// The name of an API.
pub(crate) fn api(text: &str) -> Result<String, Mistake> {
    let mistake = Mistake::new(format!("{} can't be the name of an API", quote(text)));
    if text == "default" || text.starts_with("default@") {
        return Err(mistake.help("`default` is the API of all `[[route]]`s: choose another name"));
    }
    let is_char = |char: char| char.is_ascii_alphanumeric() || "-_. ".contains(char);
    if text.trim().is_empty() || text.chars().count() > NAME_CHARS_MAX || !text.chars().all(is_char) {
        return Err(mistake.help(format!("1 to {NAME_CHARS_MAX} letters, digits, blanks, `-`, `_` and `.`")));
    }
    Ok(text.to_owned())
}

/// The name of a stage (row 27).
pub(crate) fn stage(text: &str, allows_default: bool) -> Result<String, Mistake> {
    let mistake = Mistake::new(format!("{} can't be the name of a stage", quote(text)));
    if text == "$default" {
        let help = "a REST API has no `$default` stage: choose a name such as `prod`";
        return if allows_default { Ok(text.to_owned()) } else { Err(mistake.help(help)) };
    }
    let is_char = |char: char| char.is_ascii_alphanumeric() || char == '-' || char == '_';
    if text.is_empty() || text.len() > NAME_CHARS_MAX || !text.chars().all(is_char) {
        return Err(mistake.help(format!("1 to {NAME_CHARS_MAX} letters, digits, `-` and `_`")));
    }
    Ok(text.to_owned())
}

/// A base path without slashes at its ends (rows 36, 37).
pub(crate) fn base_path(text: &str) -> Result<String, Mistake> {
    let mistake = |why: &str| Mistake::new(format!("{} {why}", quote(text)));
    let trimmed = text.trim_matches('/');
    if trimmed != text {
        let help =
            if trimmed.is_empty() { "leave it out".into() } else { format!("write {}", quote(trimmed)) };
        return Err(mistake("has a slash at an end").help(help));
    }
    let is_char = |char: char| char.is_ascii_alphanumeric() || "$_.+!*'()/-".contains(char);
    if let Some(bad) = text.chars().find(|char| !is_char(*char)) {
        let help = "letters, digits, `$ - _ . + ! * ' ( )` and single slashes between segments";
        return Err(mistake(&format!("has a {} in it", quote(&bad.to_string()))).help(help));
    }
    let is_segment = |segment: &str| !matches!(segment, "" | "." | "..");
    if !text.is_empty() && !text.split('/').all(is_segment) {
        return Err(mistake("has an empty segment or one of dots").help("write whole segments: `shop/v2`"));
    }
    if text.len() > BASE_PATH_BYTES_MAX {
        return Err(mistake(&format!("is longer than {BASE_PATH_BYTES_MAX} bytes")));
    }
    Ok(text.to_owned())
}

/// A header's name.
pub(crate) fn header(text: &str) -> Result<String, Mistake> {
    let is_char = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !text.is_empty() && text.len() <= NAME_CHARS_MAX && text.bytes().all(is_char) {
        return Ok(text.to_owned());
    }
    let message = format!("{} can't be the name of a header", quote(text));
    Err(Mistake::new(message).help("a token of letters, digits and `-`, such as `x-request-id`"))
}

/// A header's value: no control characters, no blanks at the ends.
pub(crate) fn header_value(text: &str) -> Result<String, Mistake> {
    let mistake = || Mistake::new(format!("{} can't be the value of a header", quote(text)));
    if text.chars().any(|char| char.is_control() && char != '\t') {
        return Err(mistake().help("write it on one line, without control characters"));
    }
    if text.trim() != text {
        return Err(mistake().help(format!("write it without blanks at its ends: {}", quote(text.trim()))));
    }
    Ok(text.to_owned())
}

/// An origin of CORS (row 137): exact, `*`, `https://*`, `http://*`.
pub(crate) fn origin(text: &str) -> Result<String, Mistake> {
    if matches!(text, "*" | "https://*" | "http://*") {
        return Ok(text.to_owned());
    }
    let url = url(text).map_err(|mistake| Mistake {
        message: format!("{} is no origin", quote(text)),
        help: mistake.help.or(Some("write `https://app.example.com`, `https://*` or `*`".into())),
    })?;
    if !url.path.is_empty() {
        let message = format!("{} is no origin: it has a path", quote(text));
        return Err(Mistake::new(message).help(format!("write `{}`", url.base())));
    }
    Ok(url.base())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: std::fmt::Display>(read: Result<T, Mistake>, expected: Result<&str, &str>) {
        let read =
            read.map(|value| value.to_string()).map_err(|mistake| mistake.help.unwrap_or(mistake.message));
        assert_eq!(read.as_deref().map_err(|help| &**help), expected);
    }

    #[test]
    fn hosts() {
        check(host("API.example.com"), Ok("api.example.com"));
        check(host("localhost"), Ok("localhost"));
        check(host("192.0.2.1"), Ok("192.0.2.1"));
        check(host("[2001:DB8::1]"), Ok("[2001:db8::1]"));
        check(host("https://a.example/x"), Err("write the name alone: `a.example`"));
        check(host("a.example:80"), Err("write it without port and path: `a.example`"));
        let general = "write a name such as `api.example.com`, in ASCII (`xn--…` for others)";
        for text in ["", "a..b", "-a", "a-", "é.example", "1.2.3", "a b", &"a".repeat(64)] {
            check(host(text), Err(general));
        }
        check(host_pattern("*.Example.com"), Ok("*.example.com"));
        check(host_pattern("a.*.com"), Err("`*` stands for the whole first label: `*.example.com`"));
        check(host_pattern("*"), Err("`*` stands for the whole first label: `*.example.com`"));
    }

    #[track_caller]
    fn check_url(text: &str, expected: Result<(&str, &str), &str>) {
        let read = url(text).map(|url| (url.base(), url.path)).map_err(|it| it.help.unwrap_or(it.message));
        let read = read.as_ref().map(|(base, path)| (&**base, &**path)).map_err(|help| &**help);
        assert_eq!(read, expected, "{text}");
    }

    #[test]
    fn urls() {
        check_url("http://Backend:8080/v1/", Ok(("http://backend:8080", "/v1/")));
        check_url("HTTPS://b.example:443", Ok(("https://b.example", "")));
        check_url("http://[::1]:81/", Ok(("http://[::1]:81", "/")));
        check_url("http://[::1]", Ok(("http://[::1]", "")));
        check_url("backend:8080", Err("write `http://backend:8080`"));
        check_url("ftp://x", Err("backends are called over `http://` or `https://`"));
        check_url("http://", Err("write `http://127.0.0.1:8080`"));
        check_url("http://u@h", Err("send credentials in a header instead"));
        check_url("http://h:0", Err("ports go from 1 to 65535"));
        check_url("http://h:x", Err("ports go from 1 to 65535"));
        check_url("http://h/a?b", Err("write `http://h/a`: the request's query is sent"));
    }

    #[test]
    fn addresses() {
        check(address("127.0.0.1:80"), Ok("127.0.0.1:80"));
        check(address("[::1]:80"), Ok("[::1]:80"));
        check(address("127.0.0.1"), Err("write `127.0.0.1:8443`"));
        check(address("localhost:80"), Err("write `127.0.0.1:80`"));
        check(address(":80"), Err("write `127.0.0.1:80` for this machine, `0.0.0.0:80` for all"));
        check(address("80"), Err("write `127.0.0.1:80` for this machine, `0.0.0.0:80` for all"));
        check(address("x"), Err("write an address and a port: `127.0.0.1:8443` or `[::1]:8443`"));
        check(loopback("0.0.0.0:9901"), Err("write a loopback address: `127.0.0.1:9901`"));
        check(network("10.0.0.0/8"), Ok("10.0.0.0/8"));
        check(network("::1"), Ok("::1/128"));
        check(network("10.1.0.0/8"), Err("write `10.0.0.0/8`"));
        check(network("ten"), Err("write `10.0.0.0/8`, `192.0.2.1` or `2001:db8::/32`"));
    }

    #[test]
    fn other_names() {
        check(method("GET", true), Ok("GET"));
        check(method("PROPFIND", false), Ok("PROPFIND"));
        check(method("GTE", true), Err("did you mean `GET`?"));
        check(method("get", true), Err("did you mean `GET`?"));
        check(base_path("shop/v2"), Ok("shop/v2"));
        check(base_path(""), Ok(""));
        check(base_path("/v1/"), Err("write `v1`"));
        check(base_path("a//b"), Err("write whole segments: `shop/v2`"));
        check(stage("$default", true), Ok("$default"));
        check(stage("a b", true), Err("1 to 128 letters, digits, `-` and `_`"));
        check(header("x y"), Err("a token of letters, digits and `-`, such as `x-request-id`"));
        check(header_value("a\r\nb"), Err("write it on one line, without control characters"));
        check(origin("https://App.example:443"), Ok("https://app.example"));
        check(origin("https://a.example/"), Err("write `https://a.example`"));
        check(origin("a.example"), Err("write `http://a.example`"));
    }
}
