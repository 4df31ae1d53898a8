//! Whether a text is one JSON value (RFC 8259), in one pass and without recursion.

use super::{JSON_DEPTH_MAX, is_space, scan};

/// Where a text stops being JSON, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no JSON at byte {at}: {why}")]
pub struct Malformed {
    /// The byte, counted from 0.
    pub at: usize,
    /// What was wanted there.
    pub why: &'static str,
}

/// The value of a text without the space around it, if it is one and nested no deeper than [`JSON_DEPTH_MAX`].
pub(crate) fn check(text: &str) -> Result<&str, Malformed> {
    let mut checker = Checker { bytes: text.as_bytes(), at: 0, objects: 0, depth: 0 };
    checker.space();
    let start = checker.at;
    checker.value()?;
    let end = checker.at;
    checker.space();
    if checker.at < text.len() {
        return Err(checker.malformed("something follows the value"));
    }
    Ok(text.get(start..end).unwrap_or_default())
}

struct Checker<'d> {
    bytes: &'d [u8],
    at: usize,
    /// A bit for each open container, 1 for an object; the innermost is the lowest.
    objects: u128,
    depth: usize,
}

impl Checker<'_> {
    fn malformed(&self, why: &'static str) -> Malformed {
        Malformed { at: self.at, why }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Result<(), Malformed> {
        loop {
            match self.peek() {
                Some(b'{') => {
                    self.open(true)?;
                    if self.peek() != Some(b'}') {
                        self.key()?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.open(false)?;
                    if self.peek() != Some(b']') {
                        continue;
                    }
                }
                Some(b'"') => self.text()?,
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.word(b"true")?,
                Some(b'f') => self.word(b"false")?,
                Some(b'n') => self.word(b"null")?,
                _ => return Err(self.malformed("a value is wanted")),
            }
            if !self.close()? {
                return Ok(());
            }
        }
    }

    fn open(&mut self, object: bool) -> Result<(), Malformed> {
        if self.depth == JSON_DEPTH_MAX {
            return Err(self.malformed("nested deeper than 128"));
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(object);
        self.at += 1;
        self.space();
        Ok(())
    }

    /// Behind a value: closes what ends here. Whether another value follows.
    fn close(&mut self) -> Result<bool, Malformed> {
        while self.depth > 0 {
            self.space();
            let object = self.objects & 1 == 1;
            match self.peek() {
                Some(b'}') if object => {}
                Some(b']') if !object => {}
                Some(b',') => {
                    self.at += 1;
                    self.space();
                    if object {
                        self.key()?;
                    }
                    return Ok(true);
                }
                _ if object => return Err(self.malformed("`,` or `}` is wanted")),
                _ => return Err(self.malformed("`,` or `]` is wanted")),
            }
            self.at += 1;
            self.objects >>= 1;
            self.depth -= 1;
        }
        Ok(false)
    }

    fn key(&mut self) -> Result<(), Malformed> {
        if self.peek() != Some(b'"') {
            return Err(self.malformed("a key in quotes is wanted"));
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

    fn text(&mut self) -> Result<(), Malformed> {
        self.at += 1;
        loop {
            self.at += scan::plain(self.bytes.get(self.at..).unwrap_or_default());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(self.malformed("a control character stands in a string")),
                None => return Err(self.malformed("a string is not closed")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Malformed> {
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

    fn number(&mut self) -> Result<(), Malformed> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.malformed("a digit is wanted")) } else { Ok(()) }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Malformed> {
        if !self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return Err(self.malformed("a value is wanted"));
        }
        self.at += word.len();
        Ok(())
    }
}
