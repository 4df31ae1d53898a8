//! Endpoint URIs: `https://host:port/path/{name}?query` with `${stageVariables.name}` in any place (rows 33, 43). A stage
//! compiles them once, with its own variables; what a request brings is filled in for each.

use std::fmt::Write as _;

use smallvec::SmallVec;

/// An endpoint URI in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uri {
    /// `https`.
    pub tls: bool,
    /// A name or an address, without brackets; empty: a stage variable that there is not would have been it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Path and query, `{name}` and all.
    pub target: String,
}

impl Uri {
    /// Reads a URI; a stage variable that there is not is empty (row 33).
    ///
    /// # Errors
    /// What is wrong with it, as advice.
    pub fn parse(text: &str, stage_variables: &[(String, String)]) -> Result<Self, String> {
        let text = resolve(text, stage_variables)?;
        let (tls, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            _ => return Err(format!("the URI `{text}` must begin with `http://` or `https://`")),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if authority.contains(['{', '}']) {
            return Err(format!(
                "the URI `{text}` has a variable of the path in its host: no backend could be told"
            ));
        }
        if authority.contains('@') {
            return Err(format!("the URI `{text}` has a user before its host, which is not sent"));
        }
        if let Some(byte) = target.bytes().find(|byte| !(0x21..=0x7e).contains(byte) || *byte == b'#') {
            let character = char::from(byte).escape_default();
            return Err(format!(
                "the URI `{text}` has a `{character}` behind its host, which no URI may send"
            ));
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                let port = port.parse().ok().filter(|port| *port != 0);
                (
                    host,
                    port.ok_or_else(|| {
                        format!("the URI `{text}` must have a port of 1 to 65535 behind its host")
                    })?,
                )
            }
            _ => (authority, if tls { 443 } else { 80 }),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let mut path = String::with_capacity(target.len() + 1);
        if !target.starts_with('/') {
            path.push('/');
        }
        path.push_str(target);
        Ok(Self { tls, host: host.to_ascii_lowercase(), port, target: path })
    }
}

/// Stage variables put in their places.
pub(super) fn resolve(text: &str, stage_variables: &[(String, String)]) -> Result<String, String> {
    const OPEN: &str = "${stageVariables.";
    let mut resolved = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(OPEN) {
        resolved.push_str(&rest[..at]);
        let (name, after) = rest[at + OPEN.len()..]
            .split_once('}')
            .ok_or_else(|| format!("`{OPEN}` in `{text}` is not closed with `}}`"))?;
        resolved.push_str(variable(stage_variables, name));
        rest = after;
    }
    resolved.push_str(rest);
    Ok(resolved)
}

/// A stage variable; one that there is not is empty.
pub(super) fn variable<'a>(stage_variables: &'a [(String, String)], name: &str) -> &'a str {
    stage_variables.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

/// Path and query of a URI, ready to be filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// As it is.
    Text(Box<str>),
    /// A variable of the route, as the client wrote it, unless a template says otherwise under this name.
    Variable(usize, Box<str>),
    /// What a mapping or a template says, by name.
    Mapped(Box<str>),
}

/// The pieces of path and query; `piece` says what a name in braces is.
pub(super) fn pieces(
    target: &str,
    mut piece: impl FnMut(&str) -> Result<Piece, String>,
) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = target;
    while let Some(open) = rest.find('{') {
        let close = rest[open..].find('}').map(|close| close + open);
        let close = close.ok_or_else(|| format!("the URI has a `{{` without its `}}` in `{target}`"))?;
        if open > 0 {
            pieces.push(Piece::Text(rest[..open].into()));
        }
        pieces.push(piece(rest[open + 1..close].trim_end_matches('+'))?);
        rest = &rest[close + 1..];
    }
    if rest.contains('}') {
        return Err(format!("the URI has a `}}` without its `{{` in `{target}`"));
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.into()));
    }
    Ok(pieces)
}

/// Appends a value as a part of a path or a query: unreserved bytes as they are, all else by number (RFC 3986 §2).
pub(super) fn escape(out: &mut String, value: &str) {
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => {
                // A string takes every write.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
}

/// Hands a part of a path or a query on as it was meant. What is no UTF-8 is replaced; in a query `+` is a blank.
pub(super) fn unescaped<R>(text: &str, plus_is_blank: bool, then: impl FnOnce(&str) -> R) -> R {
    if !text.bytes().any(|byte| byte == b'%' || plus_is_blank && byte == b'+') {
        return then(text);
    }
    // The usual ones need no memory of their own.
    let mut bytes = SmallVec::<[u8; 256]>::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digit = |place: usize| after.get(place).and_then(|byte| char::from(*byte).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high << 4 | low) as u8);
                rest = &after[2..];
                continue;
            }
            (b'+', ..) if plus_is_blank => bytes.push(b' '),
            (other, ..) => bytes.push(*other),
        }
        rest = after;
    }
    then(&String::from_utf8_lossy(&bytes))
}
