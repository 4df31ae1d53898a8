//! Header fields in one arena, as the lines in which they came or will leave: received lines are copied once and as a
//! block, added ones are written behind them, and what is sent on is copied out in runs. The memory is kept from request
//! to request, so that neither reading, changing nor forgetting fields allocates in steady state.
//!
//! A field in here is sound: its name is a token, its value has no control characters. Fields that are added are looked at
//! as they are added; for received ones the codec answers, which has read every byte of them.

use crate::{Name, Names, octets};

/// What stands between a name and its value, and at the end of a line.
const COLON: &[u8] = b": ";
const END: &[u8] = b"\r\n";

/// Of a field: it lies there as a line with [`COLON`] and [`END`] and nothing else around name and value.
const PLAIN: u8 = 1;
/// Of a field: [`Field::never_indexed`].
const NEVER_INDEXED: u8 = 2;

/// Where one field lies in the arena.
#[derive(Clone, Copy, Debug)]
struct Span {
    name: Name,
    /// [`PLAIN`] and [`NEVER_INDEXED`], if they are so.
    marks: u8,
    name_bytes: u16,
    at: u32,
    value_at: u32,
    value_end: u32,
}

/// One field: what it is, its name as it was written, its value without surrounding white space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Which known field it is.
    pub name: Name,
    /// The name as it was written, a token; compare it without regard to case.
    pub text: &'a [u8],
    /// The value.
    pub value: &'a [u8],
    /// Who sent it said that no hop may keep it in a table of what was sent before (RFC 7541 §6.2.3). HTTP/1 has no such
    /// tables, and does not say so.
    pub never_indexed: bool,
}

/// The fields of a message in their order.
#[derive(Debug, Default)]
pub struct Headers {
    lines: Vec<u8>,
    spans: Vec<Span>,
    /// Names that may be among the fields: all that were added since the last [`Headers::clear`].
    seen: Names,
    /// There may be fields that are [`NEVER_INDEXED`].
    has_never_indexed: bool,
}

/// A line of a block of received lines, by byte positions in the block.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// Which known field it is.
    pub name: Name,
    /// Where it begins with its name.
    pub at: u32,
    /// Bytes of the name. A colon follows.
    pub name_bytes: u16,
    /// Where the value begins.
    pub value_at: u32,
    /// Where it ends, without white space around it.
    pub value_end: u32,
    /// Whether there is one blank before the value and CRLF right behind it.
    pub plain: bool,
}

/// Lines on their way into [`Headers`]. Dropped before [`Lines::finish`] it leaves no fields.
#[derive(Debug)]
pub struct Lines<'a>(&'a mut Headers);

impl Headers {
    /// Forgets all fields, keeps the memory.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.spans.clear();
        self.seen = Names::default();
        self.has_never_indexed = false;
    }

    /// Makes room for so many more fields with so many bytes of lines, and a few that are added on the way.
    pub fn reserve(&mut self, fields: usize, bytes: usize) {
        const ADDED_FIELDS: usize = 8;
        const ADDED_BYTES: usize = 256;
        self.lines.reserve_exact(bytes + ADDED_BYTES);
        self.spans.reserve_exact(fields + ADDED_FIELDS);
    }

    /// Gives up memory that other fields have needed and these do not, if it is more than `spare_bytes`.
    pub fn shrink(&mut self, spare_bytes: usize) {
        let spans_bytes = (self.spans.capacity() - self.spans.len()) * size_of::<Span>();
        if self.lines.capacity() - self.lines.len() + spans_bytes > spare_bytes {
            self.lines.shrink_to_fit();
            self.spans.shrink_to_fit();
        }
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Bytes of all names and values, as AWS counts them (row 176).
    pub fn bytes(&self) -> usize {
        self.spans
            .iter()
            .map(|span| usize::from(span.name_bytes) + (span.value_end - span.value_at) as usize)
            .sum()
    }

    /// Takes received lines in place of all fields. What a codec reads of a block of lines it adds one by one, then gives
    /// the block itself.
    #[inline]
    pub fn receive(&mut self) -> Lines<'_> {
        self.clear();
        Lines(self)
    }

    /// Adds a field at the end. One that is no field, for its name is no token or its value has control characters, is
    /// left out: the codec refuses what comes from outside, `compile` what comes from a configuration, so it would be
    /// our own mistake, and this is the last fence before a split message.
    pub fn push(&mut self, text: &str, value: &[u8]) {
        self.push_known(Name::of(text.as_bytes()), text, value);
    }

    /// The same for a field whose number is known already.
    #[inline]
    pub fn push_known(&mut self, name: Name, text: &str, value: &[u8]) {
        self.push_known_with(name, text, |lines| lines.extend_from_slice(value));
    }

    /// Adds a field of another message, as it is there.
    #[inline]
    pub fn push_field(&mut self, field: Field<'_>) {
        let at = self.lines.len();
        for part in [field.text, COLON, field.value] {
            self.lines.extend_from_slice(part);
        }
        self.has_never_indexed |= field.never_indexed;
        self.note(field.name, at, field.text.len(), if field.never_indexed { NEVER_INDEXED } else { 0 });
    }

    /// The same as [`Headers::push`] with a value that `write` appends in its place, without a buffer of its own.
    pub fn push_with(&mut self, text: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.push_known_with(Name::of(text.as_bytes()), text, write);
    }

    /// Both together.
    #[inline]
    pub fn push_known_with(&mut self, name: Name, text: &str, write: impl FnOnce(&mut Vec<u8>)) {
        let at = self.lines.len();
        self.lines.extend_from_slice(text.as_bytes());
        self.lines.extend_from_slice(COLON);
        write(&mut self.lines);
        self.note(name, at, text.len(), 0);
    }

    /// Notes a field that has just been appended but for its end, with `marks` besides that of being [`PLAIN`].
    fn note(&mut self, name: Name, at: usize, name_bytes: usize, marks: u8) {
        let value_at = at + name_bytes + COLON.len();
        let (text, value) = (&self.lines[at..at + name_bytes], &self.lines[value_at..]);
        debug_assert_eq!(name, Name::of(text));
        // A name that is known is a token.
        let is_sound = octets::is_value(value) && (name != Name::Other || octets::is_token(text));
        debug_assert!(is_sound, "field {} was pushed unchecked", self.lines[at..].escape_ascii());
        // Heads are bounded far below these widths by the codec's limits; what is added is our own.
        let widths = (u32::try_from(self.lines.len()), u16::try_from(name_bytes));
        let ((Ok(_), Ok(name_bytes)), true) = (widths, is_sound) else {
            self.lines.truncate(at);
            return;
        };
        let value_end = self.lines.len() as u32;
        self.lines.extend_from_slice(END);
        self.seen = self.seen.with(name);
        let (at, value_at) = (at as u32, value_at as u32);
        self.spans.push(Span { name, marks: marks | PLAIN, name_bytes, at, value_at, value_end });
    }

    /// Removes every field of that name and adds one.
    pub fn set(&mut self, text: &str, value: &[u8]) {
        self.remove(text);
        self.push(text, value);
    }

    /// Removes every field of that name; says whether there was one.
    pub fn remove(&mut self, text: &str) -> bool {
        let name = Name::of(text.as_bytes());
        if !self.seen.has(name) {
            return false;
        }
        let (before, lines) = (self.spans.len(), &self.lines);
        self.spans.retain(|span| !span.field(lines).is(name, text.as_bytes()));
        before != self.spans.len()
    }

    /// Keeps the fields for which `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(Field<'_>) -> bool) {
        let lines = &self.lines;
        self.spans.retain(|span| keep(span.field(lines)));
    }

    /// Names that may be among the fields. One that is not in this set is not among them.
    pub fn seen(&self) -> Names {
        self.seen
    }

    /// Whether any field may be [`Field::never_indexed`].
    pub fn has_never_indexed(&self) -> bool {
        self.has_never_indexed
    }

    /// The first field of a known name. For [`Name::Other`] use [`Headers::find`].
    #[inline]
    pub fn get(&self, name: Name) -> Option<&[u8]> {
        debug_assert!(name != Name::Other);
        if !self.seen.has(name) {
            return None;
        }
        self.spans.iter().find(|span| span.name == name).map(|span| span.field(&self.lines).value)
    }

    /// The first field of that name, in any case.
    pub fn find(&self, text: &str) -> Option<&[u8]> {
        let name = Name::of(text.as_bytes());
        self.iter().find(|field| field.is(name, text.as_bytes())).map(|field| field.value)
    }

    /// All values of that name, in any case, in their order.
    pub fn find_all<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let name = Name::of(text.as_bytes());
        self.iter().filter(move |field| field.is(name, text.as_bytes())).map(|field| field.value)
    }

    /// All fields in their order.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.spans.iter().map(|span| span.field(&self.lines))
    }

    /// Appends the fields as lines, without those in `left_out`. Neighbours are copied together.
    pub fn write(&self, left_out: Names, out: &mut Vec<u8>) {
        let mut run = 0..0;
        for span in self.spans.iter().filter(|span| !left_out.has(span.name)) {
            let at = span.at as usize;
            let value_end = span.value_end as usize;
            if !span.is(PLAIN) {
                out.extend_from_slice(&self.lines[run]);
                run = 0..0;
                let field = span.field(&self.lines);
                for part in [field.text, COLON, field.value, END] {
                    out.extend_from_slice(part);
                }
                continue;
            }
            if at != run.end {
                out.extend_from_slice(&self.lines[run]);
                run = at..at;
            }
            run.end = value_end + END.len();
        }
        out.extend_from_slice(&self.lines[run]);
    }
}

impl Lines<'_> {
    /// Adds the field of a line. Its name must be a token, its value have no control characters.
    #[inline]
    pub fn add(&mut self, line: Line) {
        let Line { name, at, name_bytes, value_at, value_end, plain } = line;
        self.0.seen = self.0.seen.with(name);
        let marks = if plain { PLAIN } else { 0 };
        self.0.spans.push(Span { name, marks, name_bytes, at, value_at, value_end });
    }

    /// Takes the lines' bytes. Should a field not lie within them, there are none at all.
    pub fn finish(self, block: &[u8]) {
        let spans = &self.0.spans;
        let lies_within = |span: &Span| {
            let name_end = span.at as usize + usize::from(span.name_bytes);
            name_end < span.value_at as usize
                && span.value_at <= span.value_end
                && span.value_end as usize + END.len() <= block.len()
        };
        // They come in their order, so that the last one is the farthest.
        if spans.last().is_none_or(lies_within) {
            self.0.lines.extend_from_slice(block);
            debug_assert!(self.0.spans.iter().all(|span| span.is_sound(&self.0.lines)), "{:?}", self.0);
        }
    }
}

impl Drop for Lines<'_> {
    fn drop(&mut self) {
        if self.0.lines.is_empty() {
            self.0.clear();
        }
    }
}

/// A copy has the fields and nothing else that lay around them.
impl Clone for Headers {
    fn clone(&self) -> Self {
        let bytes = self.bytes() + self.len() * (COLON.len() + END.len());
        let mut copy = Self {
            lines: Vec::with_capacity(bytes),
            spans: Vec::with_capacity(self.len()),
            seen: Names::default(),
            has_never_indexed: false,
        };
        copy.clone_from(self);
        copy
    }

    fn clone_from(&mut self, other: &Self) {
        self.clear();
        self.has_never_indexed = other.has_never_indexed;
        other.write(Names::default(), &mut self.lines);
        let mut at = 0;
        for span in &other.spans {
            let value_at = at + u32::from(span.name_bytes) + COLON.len() as u32;
            let value_end = value_at + (span.value_end - span.value_at);
            self.spans.push(Span { marks: span.marks | PLAIN, at, value_at, value_end, ..*span });
            self.seen = self.seen.with(span.name);
            at = value_end + END.len() as u32;
        }
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'a> FromIterator<(&'a str, &'a [u8])> for Headers {
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a [u8])>>(fields: T) -> Self {
        let mut headers = Self::default();
        for (text, value) in fields {
            headers.push(text, value);
        }
        headers
    }
}

impl Span {
    #[inline]
    fn is(&self, mark: u8) -> bool {
        self.marks & mark != 0
    }

    #[inline]
    fn field<'a>(&self, lines: &'a [u8]) -> Field<'a> {
        let (at, value_at) = (self.at as usize, self.value_at as usize);
        let text = &lines[at..at + usize::from(self.name_bytes)];
        let never_indexed = self.is(NEVER_INDEXED);
        Field { name: self.name, text, value: &lines[value_at..self.value_end as usize], never_indexed }
    }

    /// Whether it is what it says.
    fn is_sound(&self, lines: &[u8]) -> bool {
        let Field { name, text, value, .. } = self.field(lines);
        let line = &lines[self.at as usize..];
        let is_plain = || {
            let parts = [text, COLON, value, END];
            parts.iter().try_fold(line, |rest, part| rest.strip_prefix(*part)).is_some()
        };
        octets::is_token(text)
            && octets::is_value(value)
            && name == Name::of(text)
            && (!self.is(PLAIN) || is_plain())
    }
}

impl Field<'_> {
    fn is(&self, name: Name, text: &[u8]) -> bool {
        self.name == name && (name != Name::Other || self.text.eq_ignore_ascii_case(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &str)]) -> Headers {
        fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect()
    }

    #[track_caller]
    fn check_written(headers: &Headers, left_out: Names, expected: &str) {
        let mut out = b"before|".to_vec();
        headers.write(left_out, &mut out);
        assert_eq!(out.escape_ascii().to_string(), format!("before|{}", expected.escape_default()));
    }

    #[test]
    fn fields_are_set_removed_and_kept_in_order() {
        let mut headers = headers(&[("A", "1"), ("b", "2"), ("a", "3"), ("Host", "h")]);
        assert_eq!(headers.find_all("a").collect::<Vec<_>>(), [b"1", b"3"]);
        assert_eq!(headers.get(Name::Host), Some(&b"h"[..]));
        assert_eq!(headers.get(Name::Via), None);
        assert_eq!(headers.bytes(), 11);
        headers.set("a", b"4");
        assert_eq!(headers.iter().map(|field| field.text).collect::<Vec<_>>(), [&b"b"[..], b"Host", b"a"]);
        assert!(headers.remove("B"));
        assert!(!headers.remove("B") && !headers.remove("Via"));
        headers.retain(|field| field.name != Name::Host);
        assert_eq!(headers.get(Name::Host), None);
        assert_eq!(headers, self::headers(&[("a", "4")]));
        headers.clear();
        assert!(headers.is_empty());
    }

    #[test]
    fn memory_of_others_is_given_up() {
        let mut headers = headers(&[("a", "1")]);
        headers.reserve(10, 1_000);
        let reserved = (headers.lines.capacity(), headers.spans.capacity());
        assert!(reserved.0 >= 1_000 + 6 && reserved.1 >= 11, "{reserved:?}");
        headers.shrink(4_096);
        assert_eq!((headers.lines.capacity(), headers.spans.capacity()), reserved);
        headers.shrink(1_000);
        assert_eq!((headers.lines.capacity(), headers.spans.capacity()), (6, 1));
        assert_eq!(headers.find("a"), Some(&b"1"[..]));
    }

    #[test]
    fn fields_are_written_in_runs_without_those_that_stay() {
        let mut headers = headers(&[("A", "1"), ("Host", "h"), ("b", ""), ("Via", "v")]);
        check_written(&headers, Names::default(), "A: 1\r\nHost: h\r\nb: \r\nVia: v\r\n");
        check_written(&headers, Names::of(&[Name::Host]), "A: 1\r\nb: \r\nVia: v\r\n");
        headers.remove("b");
        check_written(&headers, Names::of(&[Name::Via]), "A: 1\r\nHost: h\r\n");
        check_written(&Headers::default(), Names::default(), "");
    }

    #[test]
    fn received_lines_are_taken_as_they_are() {
        let block = b"A: 1\r\nHop: x\r\nVia:  v\t\r\nb: 2\r\n";
        let mut headers = headers(&[("before", "1")]);
        let mut lines = headers.receive();
        let line = |name, at, name_bytes, value_at, plain| Line {
            name,
            at,
            name_bytes,
            value_at,
            value_end: value_at + 1,
            plain,
        };
        for line in [
            line(Name::Other, 0, 1, 3, true),
            line(Name::Via, 14, 3, 20, false),
            line(Name::Other, 24, 1, 27, true),
        ] {
            lines.add(line);
        }
        lines.finish(block);
        assert_eq!(headers, self::headers(&[("A", "1"), ("Via", "v"), ("b", "2")]));
        headers.push("C", b"3");
        check_written(&headers, Names::default(), "A: 1\r\nVia: v\r\nb: 2\r\nC: 3\r\n");
        check_written(&headers, Names::of(&[Name::Via]), "A: 1\r\nb: 2\r\nC: 3\r\n");
        let copy = headers.clone();
        assert_eq!((&copy, copy.lines.len(), copy.lines.capacity()), (&headers, 26, 26));
        check_written(&copy, Names::default(), "A: 1\r\nVia: v\r\nb: 2\r\nC: 3\r\n");
    }

    #[test]
    fn what_no_table_may_have_is_known_of_each_field() {
        let secret = Field { name: Name::Other, text: b"a", value: b"1", never_indexed: true };
        let mut headers = headers(&[("Via", "v"), ("b", "2")]);
        headers.push_field(Field { never_indexed: false, ..secret });
        assert!(!headers.has_never_indexed() && headers.remove("a"));
        headers.push_field(secret);
        let marks = |headers: &Headers| headers.iter().map(|field| field.never_indexed).collect::<Vec<_>>();
        assert_eq!(marks(&headers), [false, false, true]);
        assert_eq!(headers.iter().last(), Some(secret));
        assert_ne!(headers, self::headers(&[("Via", "v"), ("b", "2"), ("a", "1")]));
        check_written(&headers, Names::of(&[Name::Via]), "b: 2\r\na: 1\r\n");
        headers.remove("Via");
        assert_eq!(marks(&headers.clone()), [false, true]);
        assert!(headers.clone().has_never_indexed());
        // What is ours it is not.
        headers.set("a", b"3");
        assert_eq!(marks(&headers), [false, false]);
        headers.clear();
        assert!(!headers.has_never_indexed());
    }

    #[test]
    fn lines_that_are_not_finished_are_no_fields() {
        let line = Line { name: Name::Other, at: 0, name_bytes: 1, value_at: 3, value_end: 12, plain: true };
        let mut headers = headers(&[("before", "1")]);
        headers.receive().add(line);
        assert!(headers.is_empty());
        let mut lines = headers.receive();
        lines.add(line);
        lines.finish(b"A: 1\r\n");
        assert!(headers.is_empty(), "a field beyond the block");
    }

    /// What would split a message is left out where mistakes do not panic, and panics where they do.
    #[test]
    fn what_is_no_field_is_not_taken() {
        for (name, value) in [
            ("A", "1\r\nB: 2"),
            ("A", "\0"),
            ("A", "\n"),
            ("A\r\n", "1"),
            ("A b", "1"),
            ("A:", "1"),
            ("", "1"),
        ] {
            let pushed = std::panic::catch_unwind(|| {
                let mut headers = headers(&[("Via", "v")]);
                headers.push(name, value.as_bytes());
                headers
            });
            assert_eq!(pushed.is_err(), cfg!(debug_assertions), "{name:?} {value:?}");
            if let Ok(headers) = pushed {
                assert_eq!(headers, self::headers(&[("Via", "v")]), "{name:?} {value:?}");
            }
        }
    }
}
