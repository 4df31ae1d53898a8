//! What answers a route: a group of backends, or the gateway by itself.

use model::{Integration, Mock, RouteKey};

use crate::{
    Form, Key, Section,
    context::{Mistake, quote},
    names::{self, Url},
    reader::{Table, Value},
    route_key,
    upstream::Upstreams,
};

const MOCK_BODY_BYTES_MAX: usize = 1 << 20;
const MOCK_HEADERS_MAX: usize = 64;
/// What the codec says of an answer by itself.
const FRAMING: [&str; 6] =
    ["connection", "content-length", "date", "keep-alive", "transfer-encoding", "upgrade"];

pub(crate) const STATUS: Key =
    Key::new("status", Form::Count(200, 599), "The status of the answer.").or("200");
pub(crate) const HEADERS: Key = Key::new("headers", Form::Pairs, "Headers of the answer.").or("{}");
pub(crate) const BODY: Key =
    Key::new("body", Form::Text(r#""hello""#), "The body of the answer, at most 1 MiB.").or(r#""""#);

pub(crate) const HTTP2: Key = Key::new(
    "http2",
    Form::Boolean,
    "With `url`: whether the backend is called over HTTP/2. Left out: over HTTP/1.1.",
);

pub(crate) static MOCK: Section =
    Section { name: "mock", doc: "An answer without a backend.", keys: &[STATUS, HEADERS, BODY] };

/// What a URL's path means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum UrlPath {
    /// It is put before the path that is sent: dialect `proxy`.
    Prefix,
    /// It is the path that is sent, a template (row 43).
    Template,
}

/// An answer of one's own.
pub(crate) fn mock(table: &Table<'_>) -> Mock {
    let headers = table.opt("headers", Value::pairs).unwrap_or_default();
    if headers.len() > MOCK_HEADERS_MAX {
        table.mistake(Mistake::new(format!("an answer has at most {MOCK_HEADERS_MAX} headers")));
    }
    let header = |(name, value): &(String, Value<'_>)| {
        let name = names::header(name).and_then(|name| {
            if FRAMING.contains(&&*name.to_ascii_lowercase()) {
                let mistake = Mistake::new(format!("{} is set by the gateway", quote(&name)));
                return Err(mistake.help("leave it out"));
            }
            Ok(name)
        });
        let name = name.map_err(|mistake| value.mistake(mistake)).ok();
        name.zip(value.parse(names::header_value))
    };
    Mock {
        status: table.or("status", Value::count, 200),
        headers: headers.iter().filter_map(header).collect(),
        body: table.or("body", |value| value.parse(mock_body), String::new()),
    }
}

/// A call of a backend: `upstream` or `url`, and `path` or `strip_prefix`.
pub(crate) fn forward(
    table: &Table<'_>,
    route: Option<&RouteKey>,
    upstreams: &mut Upstreams,
    url_path: UrlPath,
) -> Option<Integration> {
    let url = table.get("url").and_then(|value| value.parse(names::url).map(|url| (value, url)));
    let http2 = table.or("http2", Value::boolean, false);
    if let (Some(value), Some(_)) = (table.get("http2"), table.get("upstream")) {
        let mistake = Mistake::new("the upstream says how it is called");
        value.mistake(mistake.help("write `http2` into its `[upstream.NAME]`"));
    }
    let upstream = match (table.get("upstream"), &url) {
        (Some(value), _) => upstreams.named(&value),
        (None, Some((value, url))) => Some(upstreams.made(url, http2, Some(value.origin()))),
        (None, None) => None,
    };
    let path = table.opt("path", |value| value.parse(|text| route_key::rewrite(text, route)));
    let strip_prefix = table.opt("strip_prefix", |value| value.parse(|text| strip_prefix(text, route)));
    if let (Some(value), Some(_)) = (table.get("strip_prefix"), table.get("path")) {
        let mistake = Mistake::new("`path` says the whole path: nothing is left to strip");
        value.mistake(mistake.help("leave out `path` or `strip_prefix`"));
    }
    let (path, strip_prefix) = match url {
        None => (path, strip_prefix),
        Some((value, url)) => {
            let joined = match url_path {
                UrlPath::Template => template(&url, table, route),
                UrlPath::Prefix => prefixed(&url, path, strip_prefix, route),
            };
            joined.map_err(|mistake| value.mistake(mistake)).ok()?
        }
    };
    Some(Integration::Http { upstream: upstream?, path, strip_prefix })
}

/// The path that is sent where a prefix stands before it, and what is stripped if there is none.
pub(crate) fn prefixed(
    url: &Url,
    path: Option<String>,
    strip_prefix: Option<String>,
    route: Option<&RouteKey>,
) -> Result<(Option<String>, Option<String>), Mistake> {
    let prefix = if url.path.is_empty() { String::new() } else { route_key::prefix(&url.path)? };
    if prefix.is_empty() {
        return Ok((path, strip_prefix));
    }
    let path = match (path, route) {
        (Some(path), _) => path,
        // Said already.
        (None, None) => return Ok((None, None)),
        (None, Some(RouteKey::Default)) => {
            let mistake = Mistake::new("`$default` has no path that the URL's could stand before");
            return Err(mistake.help("write `match = \"/{proxy+}\"`, which takes all paths"));
        }
        (None, Some(RouteKey::Path { path, .. })) => {
            let rest = strip_prefix.as_deref().and_then(|prefix| path.strip_prefix(prefix)).unwrap_or(path);
            rest.replace("+}", "}")
        }
    };
    Ok((Some(format!("{prefix}{path}")), None))
}

/// In AWS's shape the URL says the whole path.
fn template(
    url: &Url,
    table: &Table<'_>,
    route: Option<&RouteKey>,
) -> Result<(Option<String>, Option<String>), Mistake> {
    for extra in ["path", "strip_prefix"].iter().filter_map(|key| table.get(key)) {
        let mistake = Mistake::new("the URL says the whole path");
        extra.mistake(mistake.help("write the path into `url`, or name an `upstream`"));
    }
    let path = if url.path.is_empty() { "/" } else { &url.path };
    Ok((Some(route_key::rewrite(path, route)?), None))
}

fn strip_prefix(text: &str, route: Option<&RouteKey>) -> Result<String, Mistake> {
    let prefix = route_key::prefix(text)?;
    let Some(RouteKey::Path { path, .. }) = route else { return Ok(prefix) };
    let fits = path.strip_prefix(&*prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if fits || prefix.is_empty() {
        return Ok(prefix);
    }
    let mistake = Mistake::new(format!("no path of this route begins with {}", quote(&prefix)));
    let literal = path.split_inclusive('/').take_while(|segment| !segment.contains('{')).collect::<String>();
    Err(mistake.help(format!("the route takes `{path}`: write `{}` or less", literal.trim_end_matches('/'))))
}

fn mock_body(text: &str) -> Result<String, Mistake> {
    if text.len() > MOCK_BODY_BYTES_MAX {
        return Err(Mistake::new(format!("the body is longer than {MOCK_BODY_BYTES_MAX} bytes")));
    }
    Ok(text.to_owned())
}
