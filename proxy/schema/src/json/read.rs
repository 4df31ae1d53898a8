//! Reads a document (RFC 8259) in one pass and without recursion.

use super::{Document, Entries, Entry, JSON_DEPTH_MAX, Kind, VALUES_MAX};

/// Why a text can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is no JSON; the byte where it stops being some, and what was wanted there.
    Malformed(usize, &'static str),
    /// Nested deeper than [`JSON_DEPTH_MAX`].
    Depth,
    /// More than [`VALUES_MAX`] values and names, or longer than a place can say.
    Values,
}

/// The one value of a text, with white space around it.
pub(crate) fn read(bytes: &[u8]) -> Result<Document<'_>, Unread> {
    let text =
        std::str::from_utf8(bytes).map_err(|error| Unread::Malformed(error.valid_up_to(), "no UTF-8"))?;
    if u32::try_from(text.len()).is_err() {
        return Err(Unread::Values);
    }
    // Where it stays: there are kilobytes of it.
    let mut document = Document { text: text.into(), entries: Entries::new() };
    let entries = &mut document.entries;
    let mut reader = Reader { bytes, at: 0, entries, open: [0; JSON_DEPTH_MAX], objects: 0, depth: 0 };
    reader.space();
    reader.value()?;
    reader.space();
    if reader.at < bytes.len() {
        return Err(reader.malformed("something follows the value"));
    }
    Ok(document)
}

struct Reader<'t> {
    bytes: &'t [u8],
    at: usize,
    entries: &'t mut Entries,
    /// The entries of open containers.
    open: [u32; JSON_DEPTH_MAX],
    /// A bit for each open container, 1 for an object; the innermost is the lowest.
    objects: u128,
    depth: usize,
}

impl Reader<'_> {
    #[cold]
    fn malformed(&self, why: &'static str) -> Unread {
        Unread::Malformed(self.at, why)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// How many there are is looked at in [`Self::close`].
    #[inline]
    fn put(&mut self, start: usize, end: usize, kind: Kind, mark: bool) {
        let next = self.entries.len() as u32 + 1;
        // All fit: the text's length does.
        self.entries.push(Entry { start: start as u32, end: end as u32, next, kind, mark });
    }

    fn value(&mut self) -> Result<(), Unread> {
        loop {
            match self.peek() {
                Some(b'"') => self.text()?,
                Some(b'{') => {
                    self.open(Kind::Object)?;
                    if self.peek() != Some(b'}') {
                        self.name()?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.open(Kind::Array)?;
                    if self.peek() != Some(b']') {
                        continue;
                    }
                }
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.word(b"true", Kind::Boolean)?,
                Some(b'f') => self.word(b"false", Kind::Boolean)?,
                Some(b'n') => self.word(b"null", Kind::Null)?,
                _ => return Err(self.malformed("a value is wanted")),
            }
            if !self.close()? {
                return Ok(());
            }
        }
    }

    fn open(&mut self, kind: Kind) -> Result<(), Unread> {
        if self.depth == JSON_DEPTH_MAX {
            return Err(Unread::Depth);
        }
        self.open[self.depth] = self.entries.len() as u32;
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(kind == Kind::Object);
        self.put(self.at, self.at, kind, false);
        self.at += 1;
        self.space();
        Ok(())
    }

    /// Behind a value: closes what ends here. Whether another value follows.
    fn close(&mut self) -> Result<bool, Unread> {
        // Between two looks there are a name and as many containers as may be nested.
        if self.entries.len() > VALUES_MAX {
            return Err(Unread::Values);
        }
        while self.depth > 0 {
            self.space();
            let object = self.objects & 1 == 1;
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.space();
                    if object {
                        self.name()?;
                    }
                    return Ok(true);
                }
                Some(b'}') if object => {}
                Some(b']') if !object => {}
                _ if object => return Err(self.malformed("`,` or `}` is wanted")),
                _ => return Err(self.malformed("`,` or `]` is wanted")),
            }
            self.at += 1;
            self.depth -= 1;
            self.objects >>= 1;
            let next = self.entries.len() as u32;
            let entry = &mut self.entries[self.open[self.depth] as usize];
            entry.next = next;
            entry.end = self.at as u32;
        }
        Ok(false)
    }

    /// A member's name and its colon.
    fn name(&mut self) -> Result<(), Unread> {
        if self.peek() != Some(b'"') {
            return Err(self.malformed("a name in quotes is wanted"));
        }
        self.text()?;
        self.space();
        if self.peek() != Some(b':') {
            return Err(self.malformed("`:` is wanted"));
        }
        self.at += 1;
        self.space();
        Ok(())
    }

    fn text(&mut self) -> Result<(), Unread> {
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain(&self.bytes[self.at..]);
            match self.peek() {
                Some(b'"') => {
                    self.put(start, self.at, Kind::Text, escaped);
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.malformed("a control character stands in a string")),
                None => return Err(self.malformed("a string is not closed")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Unread> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let digits = self.bytes.get(self.at + 2..self.at + 6);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return Err(self.malformed("four hexadecimal digits are wanted"));
                }
                self.at += 6;
            }
            _ => return Err(self.malformed("no escape that JSON has")),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Unread> {
        let start = self.at;
        let mut mark = false;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            mark = true;
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            mark = true;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        self.put(start, self.at, Kind::Number, mark);
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Unread> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(self.malformed("a digit is wanted")) } else { Ok(()) }
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Result<(), Unread> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(self.malformed("a value is wanted"));
        }
        self.put(self.at, self.at + word.len(), kind, word == b"true");
        self.at += word.len();
        Ok(())
    }
}

/// How many bytes there are before a quote, a backslash or a control character: eight at a time, with the tricks of "Bit
/// Twiddling Hacks" (a zero byte in a word, a byte below n). A byte of a character beyond ASCII is none of them.
fn plain(bytes: &[u8]) -> usize {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero = |word: u64| word.wrapping_sub(LOW) & !word;
    let (words, rest) = bytes.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = zero(word ^ (LOW * b'"' as u64));
        let backslash = zero(word ^ (LOW * b'\\' as u64));
        let control = word.wrapping_sub(LOW * 0x20) & !word;
        // The lowest bit that is set is right; a borrow can make higher ones wrong only.
        let found = (quote | backslash | control) & HIGH;
        if found != 0 {
            return number * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    words.len() * 8 + rest.iter().position(special).unwrap_or(rest.len())
}
