//! The target of a request: normalised once, and the same string matched, authorised, cached and forwarded.
//!
//! What is unambiguous is normalised (RFC 3986 §6.2.2: unreserved bytes decoded, escapes in upper case, dot segments
//! resolved); what two programs could read in two ways is refused, never repaired.

use std::ops::Range;

/// A target in origin form.
#[derive(Clone, Debug, Default)]
pub struct Target {
    raw: String,
    query_at: Option<usize>,
    /// The path where it is a part of `raw`, as most are.
    path: Range<usize>,
    /// The path where it is not; else empty.
    rewritten: String,
    /// Memory in which another target is put together.
    spare: String,
}

/// What an operator may relax.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathRules {
    /// `//` becomes `/`.
    pub merge_slashes: bool,
    /// `%2F` and `%5C` pass (as they are) instead of being refused.
    pub encoded_slashes: bool,
}

/// Why a target was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetError {
    /// It does not begin with a slash.
    NotOriginForm,
    /// A byte that may not stand in a path or query: space, control, `#`, `\`, 8-bit and the like.
    BadByte,
    /// A `%` without two hexadecimal digits.
    BadEscape,
    /// `%00`, `%2F`, `%5C` in the path: programs behind us disagree about them.
    AmbiguousEscape,
    /// More `..` than there are segments, or a dot segment with a parameter (`..;x`).
    BadDotSegment,
}

impl Target {
    /// Reads `/path[?query]`, keeping this value's memory. On an error the value is empty.
    pub fn read(&mut self, raw: &[u8], rules: PathRules) -> Result<(), TargetError> {
        self.clear();
        let result = self.fill(raw, rules);
        if result.is_err() {
            self.clear();
        }
        result
    }

    /// The same, making a new value.
    pub fn parse(raw: &[u8], rules: PathRules) -> Result<Self, TargetError> {
        let mut target = Self::default();
        target.read(raw, rules)?;
        Ok(target)
    }

    /// Forgets the content, keeps the memory.
    pub fn clear(&mut self) {
        self.raw.clear();
        self.query_at = None;
        self.path = 0..0;
        self.rewritten.clear();
    }

    /// The target as the client wrote it. Read by signatures, events and logs only.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The normalised path: begins with a slash, has no dot segments, no needless escapes.
    pub fn path(&self) -> &str {
        if self.rewritten.is_empty() { &self.raw[self.path.clone()] } else { &self.rewritten }
    }

    /// What follows the first `?`, as it was written.
    pub fn query(&self) -> Option<&str> {
        self.query_at.map(|at| &self.raw[at..])
    }

    /// The values of one query parameter, undecoded, in their order.
    pub fn query_values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query().into_iter().flat_map(|query| query.split('&')).filter_map(move |pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key == name).then_some(value)
        })
    }

    /// Takes the first bytes off the path: a base path or a stage, which end where a segment ends.
    /// What is left begins with a slash.
    pub fn strip(&mut self, bytes: usize) {
        let bytes = bytes.min(self.path().len());
        if self.path()[bytes..].starts_with('/') && self.rewritten.is_empty() {
            self.path.start += bytes;
            return;
        }
        if self.rewritten.is_empty() {
            self.rewritten.push_str(&self.raw[self.path.clone()]);
        }
        self.rewritten.drain(..bytes);
        if !self.rewritten.starts_with('/') {
            self.rewritten.insert(0, '/');
        }
    }

    /// Puts another path in place of this one, normalised and checked anew, since a rewrite may make what a client
    /// may not send. The query stays. On an error the path is as it was.
    pub fn set_path(&mut self, path: &str, rules: PathRules) -> Result<(), TargetError> {
        if path.contains('?') {
            return Err(TargetError::BadByte);
        }
        let rewritten = Self::parse(path.as_bytes(), rules)?;
        self.rewritten.clear();
        self.rewritten.push_str(rewritten.path());
        Ok(())
    }

    /// Puts another target in place of this one, normalised and checked anew: `write` is given path and query of this one and
    /// appends the other's. On an error the value is empty.
    pub fn rewrite(
        &mut self,
        rules: PathRules,
        write: impl FnOnce(&str, Option<&str>, &mut String),
    ) -> Result<(), TargetError> {
        let mut written = std::mem::take(&mut self.spare);
        written.clear();
        write(self.path(), self.query(), &mut written);
        let result = self.read(written.as_bytes(), rules);
        self.spare = written;
        result
    }

    fn fill(&mut self, raw: &[u8], rules: PathRules) -> Result<(), TargetError> {
        if raw.first() != Some(&b'/') {
            return Err(TargetError::NotOriginForm);
        }
        let kinds_of = |text: &[u8]| text.iter().fold(0, |kinds, &byte| kinds | KINDS[usize::from(byte)]);
        let path_bytes = raw.iter().position(|&byte| byte == b'?').unwrap_or(raw.len());
        let (path, query) = raw.split_at(path_bytes);
        let (in_path, in_query) = (kinds_of(path), kinds_of(query));
        if in_path & NOT_IN_PATH != 0 || in_query & NOT_IN_QUERY != 0 {
            return Err(TargetError::BadByte);
        }
        if in_query & ESCAPE != 0 {
            check_escapes(query)?;
        }
        // All bytes are ASCII by now.
        self.raw.push_str(std::str::from_utf8(raw).map_err(|_| TargetError::BadByte)?);
        self.query_at = (!query.is_empty()).then_some(path_bytes + 1);
        self.path = 0..path_bytes;
        let may_have_dots = in_path & (DOT | ESCAPE) != 0;
        if !may_have_dots && !rules.merge_slashes {
            return Ok(());
        }
        if in_path & ESCAPE != 0 {
            self.rewritten.reserve(path_bytes);
            decode_path(path, rules, &mut self.rewritten)?;
        } else if self.raw[..path_bytes].contains("/.")
            || (rules.merge_slashes && self.raw[..path_bytes].contains("//"))
        {
            self.rewritten.push_str(&self.raw[..path_bytes]);
        } else {
            return Ok(());
        }
        if rules.merge_slashes {
            merge_slashes(&mut self.rewritten);
        }
        remove_dot_segments(&mut self.rewritten)
    }
}

/// Two are the same when they read the same, wherever the path lies.
impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        (&self.raw, self.path(), self.query_at) == (&other.raw, other.path(), other.query_at)
    }
}

impl Eq for Target {}

/// What a byte of a target may mean: bits of [`KINDS`].
const NOT_IN_PATH: u8 = 1;
const NOT_IN_QUERY: u8 = 2;
const ESCAPE: u8 = 4;
const DOT: u8 = 8;

const KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0u8;
    loop {
        if !is_path_byte(byte) {
            kinds[byte as usize] |= NOT_IN_PATH;
        }
        if !is_query_byte(byte) {
            kinds[byte as usize] |= NOT_IN_QUERY;
        }
        if byte == b'%' {
            kinds[byte as usize] |= ESCAPE;
        }
        if byte == b'.' {
            kinds[byte as usize] |= DOT;
        }
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    kinds
};

/// RFC 3986's pchar and `/`, with `%` and the brackets that browsers send.
const fn is_path_byte(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e)
        && !matches!(byte, b'#' | b'\\' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}')
}

/// Printable ASCII without `#`: browsers leave `|`, `{` and `"` as they are in queries.
const fn is_query_byte(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e) && byte != b'#'
}

fn check_escapes(text: &[u8]) -> Result<(), TargetError> {
    for (at, _) in text.iter().enumerate().filter(|(_, byte)| **byte == b'%') {
        escape(text, at)?;
    }
    Ok(())
}

fn escape(text: &[u8], at: usize) -> Result<u8, TargetError> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    match (digit(text.get(at + 1)), digit(text.get(at + 2))) {
        (Some(high), Some(low)) => Ok((high * 16 + low) as u8),
        _ => Err(TargetError::BadEscape),
    }
}

fn decode_path(path: &[u8], rules: PathRules, into: &mut String) -> Result<(), TargetError> {
    let mut at = 0;
    while let Some(&byte) = path.get(at) {
        if byte != b'%' {
            into.push(char::from(byte));
            at += 1;
            continue;
        }
        let decoded = escape(path, at)?;
        match decoded {
            0 => return Err(TargetError::AmbiguousEscape),
            b'/' | b'\\' if !rules.encoded_slashes => return Err(TargetError::AmbiguousEscape),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                into.push(char::from(decoded))
            }
            _ => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                into.push('%');
                into.push(char::from(HEX[usize::from(decoded >> 4)]));
                into.push(char::from(HEX[usize::from(decoded & 15)]));
            }
        }
        at += 3;
    }
    Ok(())
}

fn merge_slashes(path: &mut String) {
    if path.contains("//") {
        let mut before = ' ';
        path.retain(|this| {
            let keep = !(this == '/' && before == '/');
            before = this;
            keep
        });
    }
}

/// RFC 3986 §5.2.4, except that climbing above the root is an error and not a no-op.
fn remove_dot_segments(path: &mut String) -> Result<(), TargetError> {
    if !path.contains("/.") {
        return Ok(());
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_open = false;
    for segment in path[1..].split('/') {
        let dots = segment.split(';').next().unwrap_or_default();
        ends_open = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => {
                kept.pop().ok_or(TargetError::BadDotSegment)?;
            }
            _ if matches!(dots, "." | "..") => return Err(TargetError::BadDotSegment),
            _ => kept.push(segment),
        }
    }
    let mut resolved = String::with_capacity(path.len());
    for segment in &kept {
        resolved.push('/');
        resolved.push_str(segment);
    }
    if ends_open || resolved.is_empty() {
        resolved.push('/');
    }
    *path = resolved;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: PathRules = PathRules { merge_slashes: false, encoded_slashes: false };

    #[track_caller]
    fn check(raw: &str, expected: Result<&str, TargetError>) {
        let target = Target::parse(raw.as_bytes(), RULES);
        assert_eq!(target.as_ref().map(Target::path).map_err(|error| *error), expected, "{raw}");
    }

    #[test]
    fn paths_are_normalised() {
        check("/", Ok("/"));
        check("/a/b", Ok("/a/b"));
        check("/a/b/", Ok("/a/b/"));
        check("/a//b", Ok("/a//b"));
        check("/%61%7E%2d", Ok("/a~-"));
        check("/%c3%a9", Ok("/%C3%A9"));
        check("/a/./b/../c", Ok("/a/c"));
        check("/a/%2e%2E/c", Ok("/c"));
        check("/a/..", Ok("/"));
        check("/a/b/.", Ok("/a/b/"));
        check("/a/.hidden/..x", Ok("/a/.hidden/..x"));
        check("/a;v=1/b", Ok("/a;v=1/b"));
        check("/a?x=%2f..#".trim_end_matches('#'), Ok("/a"));
    }

    #[test]
    fn a_target_is_rewritten_whole() {
        let mut target = Target::parse(b"/prod/pets/7?a=1", RULES).unwrap();
        target.strip("/prod".len());
        let done = target.rewrite(RULES, |path, query, out| {
            out.push_str("/v2");
            out.push_str(path);
            out.push('?');
            out.push_str(query.unwrap_or_default());
            out.push_str("&b=%20");
        });
        assert_eq!((done, target.path(), target.query()), (Ok(()), "/v2/pets/7", Some("a=1&b=%20")));
        assert_eq!(target.rewrite(RULES, |_, _, out| out.push_str("/a?b c")), Err(TargetError::BadByte));
        assert_eq!((target.path(), target.query()), ("", None));
    }

    #[test]
    fn what_could_be_read_twice_is_refused() {
        for raw in ["/a%2fb", "/a%5Cb", "/%00"] {
            check(raw, Err(TargetError::AmbiguousEscape));
        }
        for raw in ["/..", "/a/../..", "/..;x/a", "/a/.;/b", "/%2e%2e;x", "/%2e%2e%3bx/../.."] {
            check(raw, Err(TargetError::BadDotSegment));
        }
        for raw in ["/a b", "/a#b", "/a\\b", "/a\tb", "/é", "/a?b#c", "/a?b c", "/{a}"] {
            check(raw, Err(TargetError::BadByte));
        }
        for raw in ["/%", "/%4", "/%4g", "/a?b=%"] {
            check(raw, Err(TargetError::BadEscape));
        }
        for raw in ["", "a", "*", "http://a/b", "?x"] {
            check(raw, Err(TargetError::NotOriginForm));
        }
    }

    #[test]
    fn the_rules_relax_slashes_only() {
        let rules = PathRules { merge_slashes: true, encoded_slashes: true };
        let path = |raw: &str| Target::parse(raw.as_bytes(), rules).map(|target| target.path().to_owned());
        assert_eq!(path("//a///b"), Ok("/a/b".into()));
        assert_eq!(path("/a%2fb%5c"), Ok("/a%2Fb%5C".into()));
        assert_eq!(path("/a%00"), Err(TargetError::AmbiguousEscape));
    }

    #[test]
    fn queries_are_kept_and_read() {
        let target = Target::parse(b"/p?a=1&b&a=%32?x", RULES).unwrap();
        assert_eq!(target.query(), Some("a=1&b&a=%32?x"));
        assert_eq!(target.query_values("a").collect::<Vec<_>>(), ["1", "%32?x"]);
        assert_eq!(target.query_values("b").collect::<Vec<_>>(), [""]);
        assert_eq!(target.raw(), "/p?a=1&b&a=%32?x");
        assert_eq!(Target::parse(b"/p?", RULES).unwrap().query(), Some(""));
        assert_eq!(Target::parse(b"/p", RULES).unwrap().query(), None);
    }

    #[test]
    fn paths_are_stripped_and_rewritten() {
        let mut target = Target::parse(b"/v1/pets?x=1", RULES).unwrap();
        target.strip(3);
        assert_eq!(target.path(), "/pets");
        target.strip(5);
        assert_eq!(target.path(), "/");
        assert_eq!(target.set_path("/a/%61", RULES), Ok(()));
        assert_eq!((target.path(), target.query()), ("/a/a", Some("x=1")));
        for path in ["/a/../..", "/a b", "/a?b", "a"] {
            assert!(target.set_path(path, RULES).is_err(), "{path}");
        }
        assert_eq!(target.path(), "/a/a");
    }
}
