//! JSON as a list of places in the text it came in: read once, then walked without a tree. It does not know who walks.

mod read;
mod write;

use std::borrow::Cow;

use smallvec::SmallVec;

pub(crate) use read::{Unread, read};
pub(crate) use write::text as write_text;

/// How deeply arrays and objects may be nested in a document.
pub const JSON_DEPTH_MAX: usize = 128;

/// Values and names in a document, 16 bytes each.
pub const VALUES_MAX: usize = 1 << 19;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Array,
    Boolean,
    Number,
    Null,
    Object,
    Text,
}

/// One value or name: where it lies.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Its first byte; of a text the one behind the quote.
    start: u32,
    /// Behind its last byte; of a text the quote.
    end: u32,
    /// The entry behind it and all that is in it.
    next: u32,
    kind: Kind,
    /// Of a text: a backslash is in it. Of a number: it has a point or an exponent. Of a boolean: it is true.
    mark: bool,
}

/// Entries of a body of a kilobyte or two lie on the stack.
type Entries = SmallVec<[Entry; 192]>;

/// A text and what is where in it.
#[derive(Debug)]
pub(crate) struct Document<'t> {
    text: Cow<'t, str>,
    entries: Entries,
}

/// A value of a document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'d> {
    text: &'d str,
    entries: &'d [Entry],
    at: u32,
}

/// A text as it was written between its quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'d> {
    written: &'d str,
    escaped: bool,
}

impl Document<'_> {
    pub(crate) fn root(&self) -> Value<'_> {
        Value { text: &self.text, entries: &self.entries, at: 0 }
    }

    /// The same with a text of its own.
    pub(crate) fn into_owned(self) -> Document<'static> {
        Document { text: Cow::Owned(self.text.into_owned()), entries: self.entries }
    }
}

impl<'d> Value<'d> {
    fn entry(self) -> &'d Entry {
        &self.entries[self.at as usize]
    }

    /// Its number in the document.
    pub(crate) fn number(self) -> u32 {
        self.at
    }

    pub(crate) fn kind(self) -> Kind {
        self.entry().kind
    }

    /// What is written; of a text what is between its quotes.
    pub(crate) fn written(self) -> &'d str {
        let entry = self.entry();
        self.text.get(entry.start as usize..entry.end as usize).unwrap_or_default()
    }

    /// Values and names in it, itself among them.
    pub(crate) fn size(self) -> u32 {
        self.entry().next - self.at
    }

    pub(crate) fn is_object(self) -> bool {
        self.kind() == Kind::Object
    }

    pub(crate) fn boolean(self) -> Option<bool> {
        (self.kind() == Kind::Boolean).then_some(self.entry().mark)
    }

    /// Whether it is a number without a point and an exponent: as draft 4 has it, `1.0` is none.
    pub(crate) fn is_integer(self) -> bool {
        self.kind() == Kind::Number && !self.entry().mark
    }

    pub(crate) fn text(self) -> Option<Text<'d>> {
        let is_text = self.kind() == Kind::Text;
        is_text.then(|| Text { written: self.written(), escaped: self.entry().mark })
    }

    /// The elements of an array; of anything else none.
    pub(crate) fn elements(self) -> impl Iterator<Item = Value<'d>> {
        let mut inside = Inside::of(self, Kind::Array);
        std::iter::from_fn(move || inside.value())
    }

    /// The members of an object; of anything else none. A name may stand twice.
    pub(crate) fn members(self) -> impl Iterator<Item = (Text<'d>, Value<'d>)> {
        let mut inside = Inside::of(self, Kind::Object);
        std::iter::from_fn(move || {
            let name = inside.value()?;
            let text = Text { written: name.written(), escaped: name.entry().mark };
            Some((text, inside.value()?))
        })
    }

    /// The member of that name; the last one where there are several.
    pub(crate) fn member(self, name: &str) -> Option<Value<'d>> {
        self.members().filter(|(written, _)| written.is(name)).last().map(|(_, value)| value)
    }

    /// Written without the space between its parts.
    pub(crate) fn compact(self, out: &mut String) {
        let entry = self.entry();
        // A text's quotes are outside.
        let outside = u32::from(entry.kind == Kind::Text);
        let range = (entry.start - outside) as usize..(entry.end + outside) as usize;
        write::compact(out, self.text.get(range).unwrap_or_default());
    }
}

/// What is left of a container.
struct Inside<'d> {
    next: Value<'d>,
    end: u32,
}

impl<'d> Inside<'d> {
    fn of(value: Value<'d>, wanted: Kind) -> Self {
        let entry = value.entry();
        let at = if entry.kind == wanted { value.at + 1 } else { entry.next };
        Self { next: Value { at, ..value }, end: entry.next }
    }

    fn value(&mut self) -> Option<Value<'d>> {
        let value = self.next;
        (value.at < self.end).then(|| {
            self.next.at = value.entry().next;
            value
        })
    }
}

impl<'d> Text<'d> {
    /// Whether it says that.
    pub(crate) fn is(self, text: &str) -> bool {
        if self.escaped { self.read() == text } else { self.written == text }
    }

    /// What it says.
    pub(crate) fn read(self) -> Cow<'d, str> {
        if self.escaped { unescape(self.written) } else { Cow::Borrowed(self.written) }
    }

    /// Its bytes as they are written.
    pub(crate) fn bytes(self) -> usize {
        self.written.len()
    }

    /// What reading it costs, in steps.
    pub(crate) fn steps(self) -> u64 {
        self.bytes() as u64 / if self.escaped { 8 } else { 32 }
    }

    /// Characters, as Java counts code points.
    pub(crate) fn characters(self) -> u64 {
        let text = self.read();
        // All bytes but those that continue a character.
        text.bytes().map(|byte| u64::from((byte as i8) >= -0x40)).sum()
    }
}

/// Reads what is written between quotes. A surrogate without its pair becomes U+FFFD.
fn unescape(written: &str) -> Cow<'_, str> {
    let mut text = String::with_capacity(written.len());
    let mut rest = written;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        text.push_str(&rest[..at]);
        let (character, length) = escape(rest.as_bytes().get(at + 1..).unwrap_or_default());
        text.push(character);
        rest = rest.get(at + 1 + length..).unwrap_or_default();
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// What stands after a backslash: its character and how many bytes say it.
fn escape(bytes: &[u8]) -> (char, usize) {
    let simple = match bytes.first() {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unit(bytes),
        Some(byte) if byte.is_ascii() => char::from(*byte),
        _ => char::REPLACEMENT_CHARACTER,
    };
    (simple, 1)
}

/// `u` and four digits, and the other half of a pair if there is one.
fn unit(bytes: &[u8]) -> (char, usize) {
    let digits = |at: usize| {
        let digits = bytes.get(at..at + 4)?;
        digits.iter().try_fold(0_u32, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
    };
    let lost = char::REPLACEMENT_CHARACTER;
    match digits(1) {
        Some(high @ 0xD800..0xDC00) => match digits(7).filter(|_| bytes.get(5..7) == Some(b"\\u")) {
            Some(low @ 0xDC00..0xE000) => {
                let code = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                (char::from_u32(code).unwrap_or(lost), 11)
            }
            _ => (lost, 5),
        },
        Some(unit) => (char::from_u32(unit).unwrap_or(lost), 5),
        None => (lost, 1),
    }
}
