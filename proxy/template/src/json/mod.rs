//! JSON as slices of the text it came in: checked once, then walked without a tree. A value is the `&str` that it is
//! written as; what is inside is read when somebody asks. It does not know who asks.

mod check;
mod scan;
mod write;

use std::borrow::Cow;

pub use check::Malformed;
pub(crate) use check::check;
pub(crate) use write::{Sink, write_compact, write_text};

/// How deeply arrays and objects may be nested in a document.
pub const JSON_DEPTH_MAX: usize = 128;

/// What a value is, told by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    Text,
    Number,
    True,
    False,
    Null,
}

/// The kind of a value in checked text, which begins at the value.
pub(crate) fn kind(value: &str) -> Kind {
    match value.as_bytes().first() {
        Some(b'{') => Kind::Object,
        Some(b'[') => Kind::Array,
        Some(b'"') => Kind::Text,
        Some(b't') => Kind::True,
        Some(b'f') => Kind::False,
        Some(b'n') | None => Kind::Null,
        Some(_) => Kind::Number,
    }
}

/// The members of an object in checked text, keys as they are written between their quotes.
pub(crate) struct Members<'d> {
    rest: Cursor<'d>,
}

/// The elements of an array in checked text.
pub(crate) struct Elements<'d> {
    rest: Cursor<'d>,
}

/// Of anything else than an object: none.
pub(crate) fn members(value: &str) -> Members<'_> {
    Members { rest: Cursor::inside(value, Kind::Object) }
}

/// Of anything else than an array: none.
pub(crate) fn elements(value: &str) -> Elements<'_> {
    Elements { rest: Cursor::inside(value, Kind::Array) }
}

impl<'d> Iterator for Members<'d> {
    type Item = (&'d str, &'d str);

    fn next(&mut self) -> Option<Self::Item> {
        self.rest.item()?;
        let key = self.rest.value()?;
        self.rest.skip(|byte| is_space(byte) || byte == b':');
        let value = self.rest.value()?;
        Some((inner(key), value))
    }
}

impl<'d> Iterator for Elements<'d> {
    type Item = &'d str;

    fn next(&mut self) -> Option<Self::Item> {
        self.rest.item()?;
        self.rest.value()
    }
}

/// A string without its quotes.
pub(crate) fn inner(text: &str) -> &str {
    text.get(1..text.len().saturating_sub(1)).unwrap_or_default()
}

/// Whether this key, as it is written, is that name.
pub(crate) fn is_key(written: &str, name: &str) -> bool {
    written == name || (memchr::memchr(b'\\', written.as_bytes()).is_some() && unescape(written) == name)
}

/// A member of an object; the last one where a name stands twice, as in a map that is filled in order.
pub(crate) fn member<'d>(object: &'d str, name: &str) -> Option<&'d str> {
    members(object).filter(|(key, _)| is_key(key, name)).last().map(|(_, value)| value)
}

/// The text of a value that is a string.
pub(crate) fn text(value: &str) -> Cow<'_, str> {
    unescape(inner(value))
}

/// What is written between quotes, read. A surrogate without its pair becomes U+FFFD.
pub(crate) fn unescape(written: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\\', written.as_bytes()).is_none() {
        return Cow::Borrowed(written);
    }
    let mut text = String::with_capacity(written.len());
    let Ok(()) = unescape_with(written, &mut |piece| text.put(piece));
    Cow::Owned(text)
}

/// The same, piece by piece.
pub(crate) fn unescape_with<E>(written: &str, put: &mut dyn FnMut(&str) -> Result<(), E>) -> Result<(), E> {
    let mut rest = written;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        put(&rest[..at])?;
        let (character, length) = escape(&rest.as_bytes()[at + 1..]);
        put(character.encode_utf8(&mut [0; 4]))?;
        // What an escape is made of is ASCII; a broken one is stepped over by a character.
        rest = rest.get(at + 1 + length..).unwrap_or_default();
    }
    put(rest)
}

/// What stands after a backslash: its character and how many bytes say it.
fn escape(bytes: &[u8]) -> (char, usize) {
    let simple = match bytes.first() {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return escaped_unit(bytes),
        Some(byte) if byte.is_ascii() => char::from(*byte),
        _ => return (char::REPLACEMENT_CHARACTER, 0),
    };
    (simple, 1)
}

fn escaped_unit(bytes: &[u8]) -> (char, usize) {
    let unit = |bytes: &[u8]| {
        let digits = bytes.get(1..5).filter(|_| bytes[0] == b'u')?;
        digits.iter().try_fold(0_u32, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
    };
    match unit(bytes) {
        Some(high @ 0xD800..0xDC00) => {
            let low =
                bytes.get(6..).filter(|_| bytes[5] == b'\\').filter(|rest| !rest.is_empty()).and_then(unit);
            match low {
                Some(low @ 0xDC00..0xE000) => {
                    let code = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                    (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 11)
                }
                _ => (char::REPLACEMENT_CHARACTER, 5),
            }
        }
        Some(unit) => (char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER), 5),
        None => (char::REPLACEMENT_CHARACTER, 1),
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// A place in checked text. In text that was not checked it may find nonsense, but never panics.
struct Cursor<'d> {
    text: &'d str,
    at: usize,
}

impl<'d> Cursor<'d> {
    fn inside(value: &'d str, wanted: Kind) -> Self {
        let at = if kind(value) == wanted { 1 } else { value.len() };
        Self { text: value, at }
    }

    fn skip(&mut self, what: impl Fn(u8) -> bool) {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(|byte| what(*byte)) {
            self.at += 1;
        }
    }

    /// Goes to the next member or element, if there is one.
    fn item(&mut self) -> Option<()> {
        self.skip(|byte| is_space(byte) || byte == b',');
        match self.text.as_bytes().get(self.at) {
            None | Some(b']' | b'}') => None,
            Some(_) => Some(()),
        }
    }

    /// The value that begins here; the cursor stands behind it.
    fn value(&mut self) -> Option<&'d str> {
        let start = self.at;
        self.at = end_of_value(self.text.as_bytes(), start);
        self.text.get(start..self.at).filter(|value| !value.is_empty())
    }
}

/// Where the value ends that begins here.
fn end_of_value(bytes: &[u8], start: usize) -> usize {
    match bytes.get(start) {
        Some(b'"') => end_of_text(bytes, start),
        Some(b'{' | b'[') => {
            scan::end_of_container(&bytes[start..]).map_or(bytes.len(), |length| start + length)
        }
        _ => {
            let rest = bytes.get(start..).unwrap_or_default();
            let ends = |byte: &u8| is_space(*byte) || matches!(byte, b',' | b']' | b'}' | b':');
            start + rest.iter().position(ends).unwrap_or(rest.len())
        }
    }
}

fn end_of_text(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    loop {
        at += scan::plain(bytes.get(at..).unwrap_or_default());
        match bytes.get(at) {
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            // In text that was not checked.
            Some(_) => at += 1,
            None => return bytes.len(),
        }
    }
}
