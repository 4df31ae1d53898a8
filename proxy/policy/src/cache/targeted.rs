//! `CDN-Cache-Control` (RFC 9213): what a backend says to caches that stand before it, in place of what it says to all.
//! A dictionary of RFC 8941; one that is not well-formed as a whole counts as if it were not there (§2.1).

use message::Headers;

use super::directives::{SECONDS_MAX, Said};

const FIELD: &str = "cdn-cache-control";

/// What a dictionary's member holds, so far as a directive can mean something by it.
#[derive(Clone, Copy)]
enum Item {
    Integer(i64),
    Boolean(bool),
    Other,
}

/// Reads the field; `None` when it is not there, empty, or malformed.
pub(super) fn read(headers: &Headers) -> Option<Said> {
    let mut said = None;
    for value in headers.find_all(FIELD) {
        let said = said.get_or_insert_with(Said::default);
        let mut parser = Parser { rest: value };
        parser.dictionary(said)?;
    }
    said.filter(|said| *said != Said::default())
}

struct Parser<'a> {
    rest: &'a [u8],
}

impl<'a> Parser<'a> {
    /// Of members with the same key the last one counts (RFC 8941 §4.2.2).
    fn dictionary(&mut self, said: &mut Said) -> Option<()> {
        self.skip(b" ");
        while !self.rest.is_empty() {
            let key = self.key()?;
            let item = if self.take(b'=') { self.item()? } else { Item::Boolean(true) };
            self.parameters()?;
            note(said, key, item);
            self.skip(b" \t");
            if self.rest.is_empty() {
                return Some(());
            }
            if !self.take(b',') {
                return None;
            }
            self.skip(b" \t");
            if self.rest.is_empty() {
                return None;
            }
        }
        Some(())
    }

    fn parameters(&mut self) -> Option<()> {
        while self.take(b';') {
            self.skip(b" ");
            self.key()?;
            if self.take(b'=') {
                self.item()?;
            }
        }
        Some(())
    }

    fn key(&mut self) -> Option<&'a [u8]> {
        let first = self.rest.first()?;
        if !first.is_ascii_lowercase() && *first != b'*' {
            return None;
        }
        Some(self.run(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'.' | b'*')
        }))
    }

    fn item(&mut self) -> Option<Item> {
        match self.rest.first()? {
            b'?' => {
                let value = *self.rest.get(1)?;
                self.rest = &self.rest[2..];
                matches!(value, b'0' | b'1').then_some(Item::Boolean(value == b'1'))
            }
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.number(),
            byte if byte.is_ascii_alphabetic() || *byte == b'*' => {
                self.run(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte));
                Some(Item::Other)
            }
            // Inner lists and bytes mean nothing here, and are not worth telling from what is malformed.
            _ => None,
        }
    }

    fn string(&mut self) -> Option<Item> {
        let mut at = 1;
        loop {
            match self.rest.get(at)? {
                b'"' => break,
                b'\\' if matches!(self.rest.get(at + 1)?, b'"' | b'\\') => at += 2,
                b' '..=b'~' if self.rest[at] != b'\\' => at += 1,
                _ => return None,
            }
        }
        self.rest = &self.rest[at + 1..];
        Some(Item::Other)
    }

    /// At most 15 digits, or 12 and 3 after a point (RFC 8941 §4.2.4).
    fn number(&mut self) -> Option<Item> {
        let negative = self.take(b'-');
        let digits = self.run(|byte| byte.is_ascii_digit());
        if digits.is_empty() || digits.len() > 15 {
            return None;
        }
        if self.take(b'.') {
            let fraction = self.run(|byte| byte.is_ascii_digit());
            let fits = digits.len() <= 12 && (1..=3).contains(&fraction.len());
            return fits.then_some(Item::Other);
        }
        let value = digits.iter().fold(0i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        Some(Item::Integer(if negative { -value } else { value }))
    }

    fn run(&mut self, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| !belongs(*byte)).unwrap_or(self.rest.len());
        let (run, rest) = self.rest.split_at(end);
        self.rest = rest;
        run
    }

    fn skip(&mut self, bytes: &[u8]) {
        self.run(|byte| bytes.contains(&byte));
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.rest.first() == Some(&byte);
        if is_next {
            self.rest = &self.rest[1..];
        }
        is_next
    }
}

/// A directive whose value has another type than its own is left out, except where leaving it out would keep what is not
/// to be kept.
fn note(said: &mut Said, key: &[u8], item: Item) {
    let holds = !matches!(item, Item::Boolean(false));
    let time_s = match item {
        Item::Integer(time) => Some(u64::try_from(time).unwrap_or(0).min(SECONDS_MAX)),
        Item::Boolean(_) | Item::Other => None,
    };
    match key {
        b"no-store" => said.no_store = holds,
        b"no-cache" => said.no_cache = holds,
        b"private" => said.private = holds,
        b"public" => said.public = matches!(item, Item::Boolean(true)),
        b"must-revalidate" => said.must_revalidate = holds,
        b"proxy-revalidate" => said.proxy_revalidate = holds,
        b"must-understand" => said.must_understand = holds,
        b"s-maxage" => said.s_maxage_s = time_s.or(said.s_maxage_s),
        b"max-age" => said.max_age_s = time_s.or(said.max_age_s),
        b"stale-while-revalidate" => said.stale_while_revalidate_s = time_s.unwrap_or(0),
        b"stale-if-error" => said.stale_if_error_s = time_s.unwrap_or(0),
        _ => {}
    }
}
