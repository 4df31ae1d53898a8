//! JSON (RFC 8259) → a tree. Every value keeps its place; a name that stands twice in an object is a mistake.

use std::{collections::HashSet, ops::Range};

use super::{Broken, Budget, DEPTH_MAX, Entry, Node, Value, span};

/// Objects with more names than this are asked for doubles with a table.
const SCANNED_MAX: usize = 16;

pub(super) fn parse(text: &str) -> Result<Node, Broken> {
    let mut parser = Parser { text, bytes: text.as_bytes(), at: 0, budget: Budget::new() };
    if text.starts_with('\u{feff}') {
        parser.at = '\u{feff}'.len_utf8();
    }
    let root = parser.value(0)?;
    parser.space();
    if parser.at < parser.bytes.len() {
        return Err(parser.broken("something stands behind the end"));
    }
    Ok(root)
}

struct Parser<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    budget: Budget,
}

impl Parser<'_> {
    fn value(&mut self, depth: usize) -> Result<Node, Broken> {
        self.space();
        let start = self.at;
        if depth > DEPTH_MAX {
            return Err(self.broken(format!("more than {DEPTH_MAX} lists and objects stand in one another")));
        }
        let value = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => Value::Text(self.string()?.into()),
            Some(b'-' | b'0'..=b'9') => Value::Number(self.number()?.into()),
            Some(b't') => self.word("true", Value::Bool(true))?,
            Some(b'f') => self.word("false", Value::Bool(false))?,
            Some(b'n') => self.word("null", Value::Null)?,
            Some(_) => return Err(self.broken("expected a value")),
            None => return Err(self.broken("the text ends where a value was expected")),
        };
        let bytes = match &value {
            Value::Text(text) => text.len(),
            _ => 0,
        };
        self.budget.take(bytes, start)?;
        Ok(Node { value, tag: None, span: span(start..self.at) })
    }

    fn object(&mut self, depth: usize) -> Result<Value, Broken> {
        self.at += 1;
        let (mut entries, mut names) = (Vec::<Entry>::new(), HashSet::new());
        self.space();
        if self.skip(b'}') {
            return Ok(Value::Map(entries));
        }
        loop {
            self.space();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.broken("expected a name in double quotes"));
            }
            let key: Box<str> = self.string()?.into();
            let key_span = start..self.at;
            if entries.len() == SCANNED_MAX {
                names.extend(entries.iter().map(|entry| entry.key.clone()));
            }
            let is_double = match names.is_empty() {
                true => entries.iter().any(|entry| entry.key == key),
                false => !names.insert(key.clone()),
            };
            if is_double {
                return Err(Broken::new(format!("`{key}` stands twice in one object"), key_span));
            }
            self.space();
            if !self.skip(b':') {
                return Err(self.broken("expected `:`"));
            }
            let value = self.value(depth + 1)?;
            entries.push(Entry { key, key_span: span(key_span), value });
            self.space();
            if self.skip(b'}') {
                return Ok(Value::Map(entries));
            }
            if !self.skip(b',') {
                return Err(self.broken("expected `,` or `}`"));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, Broken> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.skip(b']') {
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.space();
            if self.skip(b']') {
                return Ok(Value::List(items));
            }
            if !self.skip(b',') {
                return Err(self.broken("expected `,` or `]`"));
            }
        }
    }

    fn string(&mut self) -> Result<String, Broken> {
        let start = self.at;
        self.at += 1;
        let mut string = String::new();
        loop {
            let plain = self.at;
            while self.peek().is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
                self.at += 1;
            }
            string.push_str(self.slice(plain..self.at));
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(string);
                }
                Some(b'\\') => string.push(self.escape()?),
                Some(_) => return Err(self.broken("a control character stands in a string: escape it")),
                None => return Err(Broken::new("the string has no end", start..self.at)),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Broken> {
        let start = self.at;
        let kind = self.bytes.get(self.at + 1).copied();
        self.at += 2;
        let char = match kind {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(start),
            _ => return Err(Broken::new("this escape is unknown", start..start + 1)),
        };
        Ok(char)
    }

    fn unicode(&mut self, start: usize) -> Result<char, Broken> {
        let first = self.hex(start)?;
        let code = match first {
            0xd800..=0xdbff if self.bytes.get(self.at..self.at + 2) == Some(b"\\u") => {
                self.at += 2;
                let second = self.hex(start)?;
                match second {
                    0xdc00..=0xdfff => 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00),
                    _ => first,
                }
            }
            _ => first,
        };
        char::from_u32(code)
            .ok_or_else(|| Broken::new("half of a character: the other half is missing", start..self.at))
    }

    fn hex(&mut self, start: usize) -> Result<u32, Broken> {
        let digits = self.bytes.get(self.at..self.at + 4).filter(|it| it.iter().all(u8::is_ascii_hexdigit));
        let Some(digits) = digits else {
            return Err(Broken::new("`\\u` takes four hexadecimal digits", start..start + 2));
        };
        self.at += 4;
        Ok(digits
            .iter()
            .fold(0, |code, digit| code * 16 + char::from(*digit).to_digit(16).unwrap_or_default()))
    }

    fn number(&mut self) -> Result<String, Broken> {
        let start = self.at;
        while self.peek().is_some_and(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) {
            self.at += 1;
        }
        let text = self.slice(start..self.at);
        if is_number(text) {
            return Ok(text.to_owned());
        }
        Err(Broken::new("this is no number", start..self.at))
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Broken> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.broken("expected a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn slice(&self, range: Range<usize>) -> &str {
        self.text.get(range).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn broken(&self, message: impl Into<String>) -> Broken {
        Broken::new(message, self.at..self.at)
    }
}

/// Whether JSON writes a number so, and one that has a value.
pub(super) fn is_number(text: &str) -> bool {
    serde_json::from_str::<serde_json::Number>(text).is_ok()
}
