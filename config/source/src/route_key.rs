//! `GET /pets/{id}`, `/static/{proxy+}`, `$default`: which requests a route takes, and templates of paths.

use model::{Kind, RouteKey};

use crate::{
    context::{Mistake, quote},
    names, suggest,
};

/// The longest template; a request's target is at most 10,240 bytes (row 177).
const PATH_BYTES_MAX: usize = 8_192;
const SEGMENTS_MAX: usize = 128;

/// Reads a route's key. In dialect `proxy` a path without a method is taken with any.
pub(crate) fn parse(text: &str, kind: Kind) -> Result<RouteKey, Mistake> {
    if text == "$default" {
        if kind == Kind::Rest {
            let mistake = Mistake::new("a REST API has no `$default` route");
            return Err(mistake.help("write `ANY /{proxy+}`, which takes all paths but `/`"));
        }
        return Ok(RouteKey::Default);
    }
    let (method, path) = match text.split_once(' ') {
        Some((method, path)) => (Some(method), path.trim_start()),
        None => (None, text),
    };
    if method.is_none() && !path.starts_with('/') {
        let mistake = Mistake::new(format!("{} names no path", quote(text)));
        return Err(match suggest::nearest(text, ["$default"]) {
            Some(near) => mistake.help(format!("did you mean `{near}`?")),
            None if names::method(text, false).is_ok() => mistake.help(format!("write `{text} /`")),
            None => mistake.help(format!("paths begin with a slash: {}", quote(&format!("/{text}")))),
        });
    }
    if method.is_none() && kind != Kind::Proxy {
        let mistake = Mistake::new(format!("{} names no method", quote(text)));
        return Err(mistake.help(format!("write {}", quote(&format!("ANY {text}")))));
    }
    let method = match method {
        None | Some("ANY") => None,
        Some(method) => Some(names::method(method, kind != Kind::Proxy)?),
    };
    Ok(RouteKey::Path { method, path: template(path, kind)? })
}

/// The variables of a route's path in their order.
pub(crate) fn variables(key: &RouteKey) -> impl Iterator<Item = &str> {
    let path = match key {
        RouteKey::Default => "",
        RouteKey::Path { path, .. } => path,
    };
    path.split('/').filter_map(variable)
}

/// What two keys have in common that take the same requests: names of variables don't count.
pub(crate) fn shape(key: &RouteKey) -> String {
    let RouteKey::Path { method, path } = key else { return key.to_string() };
    let segment = |segment: &str| match (variable(segment), segment.ends_with("+}")) {
        (Some(_), true) => "{+}".to_owned(),
        (Some(_), false) => "{}".to_owned(),
        (None, _) => segment.to_owned(),
    };
    let path: Vec<_> = path.split('/').map(segment).collect();
    format!("{} {}", method.as_deref().unwrap_or("ANY"), path.join("/"))
}

/// Reads the path that a backend is sent: text with `{name}` of the route's variables.
pub(crate) fn rewrite(text: &str, route: Option<&RouteKey>) -> Result<String, Mistake> {
    let wrong = |why: &str| Mistake::new(format!("{} {why}", quote(text)));
    if !text.starts_with('/') {
        return Err(
            wrong("does not begin with a slash").help(format!("write {}", quote(&format!("/{text}"))))
        );
    }
    if let Some(at) = text.find(['?', '#']) {
        let help = format!("write {}: the request's query is sent", quote(&text[..at]));
        return Err(wrong("has a query or a fragment").help(help));
    }
    let (mut path, mut rest) = (String::new(), text);
    while let Some(open) = rest.find('{') {
        let Some(close) = rest[open..].find('}').map(|close| open + close) else {
            return Err(wrong("has a brace that is not closed"));
        };
        let name = rest[open + 1..close].trim_end_matches('+');
        if let Some(route) = route
            && !variables(route).any(|variable| variable == name)
        {
            let mistake = Mistake::new(format!("`{route}` has no variable {}", quote(name)));
            return Err(match suggest::nearest(name, variables(route)) {
                Some(near) => mistake.help(format!("did you mean `{{{near}}}`?")),
                None => mistake.help("variables stand in braces in the route's own path: `/pets/{id}`"),
            });
        }
        path.push_str(&literal(&rest[..open]).map_err(|why| wrong(&why))?);
        path.push_str(&format!("{{{name}}}"));
        rest = &rest[close + 1..];
    }
    path.push_str(&literal(rest).map_err(|why| wrong(&why))?);
    if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(wrong("has a segment of dots"));
    }
    Ok(path)
}

/// Reads a path of whole segments without variables: what is stripped or put in front.
pub(crate) fn prefix(text: &str) -> Result<String, Mistake> {
    let trimmed = text.trim_end_matches('/');
    if trimmed.contains(['{', '}']) {
        let mistake = Mistake::new(format!("{} has braces", quote(text)));
        return Err(mistake.help("a prefix is plain text; write `path` for one with variables"));
    }
    let path = rewrite(text, None)?;
    Ok(path.trim_end_matches('/').to_owned())
}

fn variable(segment: &str) -> Option<&str> {
    let name = segment.strip_prefix('{')?.strip_suffix('}')?;
    Some(name.strip_suffix('+').unwrap_or(name))
}

/// Reads a route's path: literals, `{name}`, and at its end maybe `{name+}`.
fn template(text: &str, kind: Kind) -> Result<String, Mistake> {
    let wrong = |why: &str| Mistake::new(format!("{} {why}", quote(text)));
    if !text.starts_with('/') {
        return Err(
            wrong("does not begin with a slash").help(format!("write {}", quote(&format!("/{text}"))))
        );
    }
    if text.len() > PATH_BYTES_MAX || text.split('/').count() > SEGMENTS_MAX {
        return Err(wrong(&format!("is longer than {PATH_BYTES_MAX} bytes or {SEGMENTS_MAX} segments")));
    }
    if let Some(at) = text.find(['?', '#']) {
        let mistake = wrong("has a query or a fragment: routes are chosen by method and path");
        return Err(mistake.help(format!("write {}", quote(&text[..at]))));
    }
    let segments: Vec<&str> = text[1..].split('/').collect();
    let last = segments.len() - 1;
    let (mut names, mut path): (Vec<&str>, _) = (Vec::new(), String::new());
    for (index, segment) in segments.iter().enumerate() {
        path.push('/');
        if let Some(name) = variable(segment) {
            check_variable(text, name)?;
            if segment.ends_with("+}") && index != last {
                let mistake = wrong(&format!("goes on after `{segment}`"));
                return Err(
                    mistake.help(format!("a greedy variable is the last segment; write `{{{name}}}` here"))
                );
            }
            if names.contains(&name) {
                return Err(
                    wrong(&format!("has two variables {}", quote(name))).help("give each a name of its own")
                );
            }
            names.push(name);
            path.push_str(segment);
            continue;
        }
        match *segment {
            "" if index != last => return Err(wrong("has an empty segment").help("write single slashes")),
            "" if kind == Kind::Rest && last > 0 => {
                let help = format!("write {}", quote(text.trim_end_matches('/')));
                return Err(wrong("ends with a slash, which no resource does").help(help));
            }
            "." | ".." => return Err(wrong("has a segment of dots")),
            "*" | "**" => {
                return Err(wrong("has a `*`").help(if index == last {
                    format!("write {}", quote(&format!("{}{{proxy+}}", text.trim_end_matches('*'))))
                } else {
                    "write `{name}` for one segment".into()
                }));
            }
            _ => {}
        }
        if let Some(name) = segment.strip_prefix(':') {
            return Err(wrong("has a `:` before a name").help(format!("write `{{{name}}}`")));
        }
        if segment.contains(['{', '}']) {
            return Err(wrong(&format!("has braces inside {}", quote(segment)))
                .help("a variable is a whole segment: `/pets/{id}`"));
        }
        if let Some(bad) = segment.chars().find(|char| kind == Kind::Rest && !is_path_part(*char)) {
            let message =
                format!("has a {} in it, which no resource of a REST API has", quote(&bad.to_string()));
            return Err(wrong(&message).help("path parts are letters, digits and `_ - . , :`"));
        }
        path.push_str(&literal(segment).map_err(|why| wrong(&why))?);
    }
    Ok(path)
}

/// Row 21.
fn is_path_part(char: char) -> bool {
    char.is_ascii_alphanumeric() || "_-.,:".contains(char)
}

fn check_variable(path: &str, name: &str) -> Result<(), Mistake> {
    let is_char = |char: char| char.is_ascii_alphanumeric() || "._-:".contains(char);
    if !name.is_empty() && name.chars().all(is_char) {
        return Ok(());
    }
    let mistake = Mistake::new(format!("{} has a variable {}", quote(path), quote(name)));
    Err(mistake.help("names are letters, digits, `_`, `-` and `.`: `{order_id}`, `{proxy+}`"))
}

/// Text of a path as requests have it after normalisation: escapes in upper case and only where they are needed.
fn literal(text: &str) -> Result<String, String> {
    let mut normal = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let is_char = char.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/[]".contains(char);
        if char != '%' && !is_char {
            return Err(format!("has a {} in it, which must be percent-encoded", quote(&char.to_string())));
        }
        if char != '%' {
            normal.push(char);
            rest = &rest[1..];
            continue;
        }
        let byte = rest.get(1..3).filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let byte = byte.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let byte = byte.ok_or_else(|| "has a `%` without two hexadecimal digits".to_owned())?;
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                normal.push(char::from(byte))
            }
            0 | b'/' | b'\\' => return Err(format!("has `%{byte:02X}` in it, which requests may not have")),
            _ => normal.push_str(&format!("%{byte:02X}")),
        }
        rest = &rest[3..];
    }
    Ok(normal)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(kind: Kind, text: &str, expected: Result<&str, &str>) {
        let read = parse(text, kind).map(|key| key.to_string()).map_err(|it| it.help.unwrap_or(it.message));
        assert_eq!(read.as_deref().map_err(|help| &**help), expected, "{text}");
    }

    #[test]
    fn keys_are_read() {
        check(Kind::Proxy, "GET /orders/{id}", Ok("GET /orders/{id}"));
        check(Kind::Proxy, "/static/{proxy+}", Ok("ANY /static/{proxy+}"));
        check(Kind::Proxy, "ANY /x/", Ok("ANY /x/"));
        check(Kind::Proxy, "$default", Ok("$default"));
        check(Kind::Http, "$default", Ok("$default"));
        check(Kind::Proxy, "GET /%7euser/%c3%a9", Ok("GET /~user/%C3%A9"));
        check(Kind::Rest, "GET /", Ok("GET /"));
        check(Kind::Rest, "GET /a_b-c.d,e:f/{id}/{rest+}", Ok("GET /a_b-c.d,e:f/{id}/{rest+}"));
        check(Kind::Proxy, "PROPFIND /", Ok("PROPFIND /"));
    }

    #[test]
    fn mistakes_are_advised_on() {
        check(Kind::Rest, "$default", Err("write `ANY /{proxy+}`, which takes all paths but `/`"));
        check(Kind::Rest, "/x", Err("write `ANY /x`"));
        check(Kind::Proxy, "orders", Err("paths begin with a slash: `/orders`"));
        check(Kind::Proxy, "GET", Err("write `GET /`"));
        check(Kind::Proxy, "default", Err("did you mean `$default`?"));
        check(Kind::Proxy, "GET orders", Err("write `/orders`"));
        check(Kind::Proxy, "GTE /x", Err("did you mean `GET`?"));
        check(
            Kind::Rest,
            "PROPFIND /x",
            Err("methods are `GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE`, `OPTIONS` and `ANY`"),
        );
        check(Kind::Proxy, "/{a+}/b", Err("a greedy variable is the last segment; write `{a}` here"));
        check(Kind::Rest, "GET /a~b", Err("path parts are letters, digits and `_ - . , :`"));
        check(Kind::Rest, "GET /%41", Err("path parts are letters, digits and `_ - . , :`"));
        check(Kind::Rest, "GET /a/", Err("write `/a`"));
        check(Kind::Proxy, "/{a}/{a}", Err("give each a name of its own"));
        check(Kind::Proxy, "/static/*", Err("write `/static/{proxy+}`"));
        check(Kind::Proxy, "/*/x", Err("write `{name}` for one segment"));
        check(Kind::Proxy, "/pets/:id", Err("write `{id}`"));
        check(Kind::Proxy, "/a{b}", Err("a variable is a whole segment: `/pets/{id}`"));
        check(
            Kind::Proxy,
            "/{}",
            Err("names are letters, digits, `_`, `-` and `.`: `{order_id}`, `{proxy+}`"),
        );
        check(Kind::Proxy, "/a//b", Err("write single slashes"));
        check(Kind::Proxy, "/a?b=1", Err("write `/a`"));
        check(Kind::Proxy, "/a/../b", Err("`/a/../b` has a segment of dots"));
        check(Kind::Proxy, "/é", Err("`/é` has a `é` in it, which must be percent-encoded"));
        check(Kind::Proxy, "/%2f", Err("`/%2f` has `%2F` in it, which requests may not have"));
        check(Kind::Proxy, "/%zz", Err("`/%zz` has a `%` without two hexadecimal digits"));
    }

    #[test]
    fn paths_are_rewritten_by_templates() {
        let route = parse("GET /pets/{id}/{rest+}", Kind::Proxy).unwrap();
        let check = |text: &str, expected: Result<&str, &str>| {
            let read = rewrite(text, Some(&route)).map_err(|it| it.help.unwrap_or(it.message));
            assert_eq!(read.as_deref().map_err(|help| &**help), expected, "{text}");
        };
        check("/v1/{id}-x/{rest+}", Ok("/v1/{id}-x/{rest}"));
        check("/", Ok("/"));
        check("/{idd}", Err("did you mean `{id}`?"));
        check("/{none}", Err("variables stand in braces in the route's own path: `/pets/{id}`"));
        check("v1", Err("write `/v1`"));
        check("/{id", Err("`/{id` has a brace that is not closed"));
        check("/a?b", Err("write `/a`: the request's query is sent"));
        assert_eq!(prefix("/v1/").as_deref(), Ok("/v1"));
        assert_eq!(prefix("/").as_deref(), Ok(""));
        assert_eq!(
            prefix("/{a}").unwrap_err().help.unwrap(),
            "a prefix is plain text; write `path` for one with variables"
        );
    }

    proptest! {
        /// Whatever is written, nothing panics, and what was read is read again as the same.
        #[test]
        fn reading_is_stable(text in "(GET |ANY |x )?(/(\\{[a-z+]{0,3}\\}|[a-z%*.:é]{0,3})){0,4}|\\PC{0,20}") {
            for kind in [Kind::Proxy, Kind::Http, Kind::Rest] {
                if let Ok(key) = parse(&text, kind) {
                    prop_assert_eq!(parse(&key.to_string(), kind), Ok(key));
                }
            }
            let _ = (rewrite(&text, None), prefix(&text));
        }
    }
}
