//! Methods of texts. Positions are Java's: UTF-16 units. One that lies within a character stands for that character's end.

use std::borrow::Cow;

use super::{
    error::Reason,
    method::Method,
    object::place,
    program::Prepared,
    render::{Render, Result},
    value::Value,
};
use crate::{json::Sink, regex::Pattern};

/// What compiling a pattern costs that was not known beforehand, in steps.
const COMPILE_STEPS: u64 = 10_000;

impl<'a> Render<'a, '_> {
    pub(super) fn text_method(
        &mut self,
        text: &'a str,
        method: Method,
        arguments: &[Value<'a>],
        prepared: &Prepared,
    ) -> Result<Value<'a>> {
        self.pay(text.len() as u64 / 64)?;
        Ok(match (method, arguments) {
            (Method::Length, []) => Value::Int(units(text) as i64),
            (Method::IsEmpty, []) => Value::Bool(text.is_empty()),
            (Method::Trim, []) => Value::Text(text.trim_matches(|character| character <= ' ')),
            (Method::ToLowerCase, []) => {
                Value::Text(self.cased(text, str::to_lowercase, str::make_ascii_lowercase)?)
            }
            (Method::ToUpperCase, []) => {
                Value::Text(self.cased(text, str::to_uppercase, str::make_ascii_uppercase)?)
            }
            (Method::Substring, [Value::Int(from)]) => {
                let length = units(text);
                let from = place("substring", *from, length + 1, length)?;
                Value::Text(text.get(byte_of(text, from)..).unwrap_or_default())
            }
            (Method::Substring, [Value::Int(from), Value::Int(to)]) => {
                let length = units(text);
                let to = place("substring", *to, length + 1, length)?;
                let from = place("substring", *from, to + 1, length)?;
                Value::Text(text.get(byte_of(text, from)..byte_of(text, to)).unwrap_or_default())
            }
            (Method::CharAt, [Value::Int(index)]) => {
                let length = units(text);
                let at = place("charAt", *index, length, length)?;
                let rest = text.get(byte_of(text, at)..).unwrap_or_default();
                let character = rest.chars().next().map_or(0, char::len_utf8);
                Value::Text(&rest[..character])
            }
            (Method::Contains, [part]) => Value::Bool(text.contains(self.text(*part)?)),
            (Method::StartsWith, [part]) => Value::Bool(text.starts_with(self.text(*part)?)),
            (Method::EndsWith, [part]) => Value::Bool(text.ends_with(self.text(*part)?)),
            (Method::IndexOf, [part]) => position(text, text.find(self.text(*part)?)),
            (Method::IndexOf, [part, Value::Int(from)]) => {
                let part = self.text(*part)?;
                let start = byte_of(text, usize::try_from(*from).unwrap_or(0));
                position(text, text.get(start..).and_then(|rest| rest.find(part)).map(|at| at + start))
            }
            (Method::LastIndexOf, [part]) => position(text, text.rfind(self.text(*part)?)),
            (Method::EqualsIgnoreCase, [other]) => {
                let other = self.text(*other)?;
                Value::Bool(text.to_lowercase() == other.to_lowercase())
            }
            (Method::CompareTo, [other]) => compared(text, self.text(*other)?),
            (Method::CompareToIgnoreCase, [other]) => {
                let other = self.text(*other)?.to_lowercase();
                compared(&text.to_lowercase(), &other)
            }
            (Method::Concat, [other]) => {
                let other = self.text(*other)?;
                Value::Text(self.joined(&[text, other])?)
            }
            (Method::Replace, [from, to]) => {
                let (from, to) = (self.text(*from)?, self.text(*to)?);
                self.replaced(text, from, to)?
            }
            (Method::ReplaceAll, [pattern, to]) => {
                let (pattern, to) = (self.pattern(*pattern, prepared, false)?, self.text(*to)?);
                self.replaced_by(text, &pattern, to, method)?
            }
            (Method::ReplaceFirst, [pattern, to]) => {
                let (pattern, to) = (self.pattern(*pattern, prepared, false)?, self.text(*to)?);
                self.replaced_by(text, &pattern, to, method)?
            }
            (Method::Matches, [pattern]) => {
                let pattern = self.pattern(*pattern, prepared, true)?;
                self.pay(pattern.steps(text.len()))?;
                Value::Bool(pattern.regex.is_match(text))
            }
            (Method::Split, [pattern]) => {
                let pattern = self.pattern(*pattern, prepared, false)?;
                self.split(text, &pattern, 0)?
            }
            (Method::Split, [pattern, Value::Int(limit)]) => {
                let pattern = self.pattern(*pattern, prepared, false)?;
                self.split(text, &pattern, *limit)?
            }
            // On the class: `$String.valueOf(1)`, `$String.join(",", $list)`.
            (Method::ValueOf, [value]) => Value::Text(self.text(*value)?),
            (Method::Join, [between, Value::List(list)]) => {
                let between = self.text(*between)?;
                let mut joined = self.scratch.take();
                for index in 0..list.len(self.heap)? {
                    self.pay(1)?;
                    let item = list.get(self.heap, index)?.unwrap_or(Value::Null);
                    let item = self.text(item)?;
                    let mut out = self.bounded(&mut joined);
                    if index > 0 {
                        out.put(between)?;
                    }
                    out.put(item)?;
                }
                let kept = self.heap.text(&joined)?;
                self.scratch.put(joined);
                Value::Text(kept)
            }
            _ => Value::Null,
        })
    }

    /// A text in another case; of ASCII where it lies.
    fn cased(&self, text: &str, whole: fn(&str) -> String, ascii: fn(&mut str)) -> Result<&'a str> {
        if !text.is_ascii() {
            return Ok(self.heap.text(&whole(text))?);
        }
        let kept = self.heap.text_mut(text)?;
        ascii(kept);
        Ok(kept)
    }

    /// The pattern of a call, compiled beforehand or now.
    fn pattern<'p>(
        &mut self,
        pattern: Value<'a>,
        prepared: &'p Prepared,
        whole: bool,
    ) -> Result<Cow<'p, Pattern>> {
        if let Prepared::Pattern(prepared) = prepared {
            return Ok(Cow::Borrowed(prepared));
        }
        let text = self.text(pattern)?;
        self.pay(COMPILE_STEPS)?;
        let pattern = if whole { Pattern::whole(text, "") } else { Pattern::search(text) };
        Ok(Cow::Owned(pattern.map_err(Reason::Pattern)?))
    }

    fn replaced(&mut self, text: &'a str, from: &str, to: &str) -> Result<Value<'a>> {
        if !text.contains(from) {
            return Ok(Value::Text(text));
        }
        let mut replaced = self.scratch.take();
        let mut last = 0;
        for (at, part) in text.match_indices(from) {
            self.pay(1)?;
            let mut out = self.bounded(&mut replaced);
            out.put(&text[last..at])?;
            out.put(to)?;
            last = at + part.len();
        }
        self.bounded(&mut replaced).put(&text[last..])?;
        let kept = self.heap.text(&replaced)?;
        self.scratch.put(replaced);
        Ok(Value::Text(kept))
    }

    /// Java's replacement: `$1` is a group, `\` takes the next character as it is.
    fn replaced_by(
        &mut self,
        text: &'a str,
        pattern: &Pattern,
        to: &str,
        method: Method,
    ) -> Result<Value<'a>> {
        self.pay(pattern.steps(text.len()))?;
        let mut replaced = self.scratch.take();
        let mut last = 0;
        for captures in pattern.regex.captures_iter(text) {
            self.pay(1)?;
            let Some(whole) = captures.get(0) else { break };
            let mut out = self.bounded(&mut replaced);
            out.put(&text[last..whole.start()])?;
            let mut rest = to;
            while let Some(at) = memchr::memchr2(b'\\', b'$', rest.as_bytes()) {
                out.put(&rest[..at])?;
                let special = rest.as_bytes()[at];
                rest = &rest[at + 1..];
                if special == b'\\' {
                    let length = rest.chars().next().map_or(0, char::len_utf8);
                    out.put(&rest[..length])?;
                    rest = &rest[length..];
                    continue;
                }
                let digits = group_digits(rest, captures.len());
                let group = rest.get(..digits).and_then(|digits| digits.parse().ok());
                let Some(group) = group.filter(|group| *group < captures.len()) else {
                    let why =
                        "`$` stands for a group that the pattern does not have; `\\$` is a dollar".to_owned();
                    return Err(Reason::Method { method: method.name(), why }.into());
                };
                rest = &rest[digits..];
                out.put(captures.get(group).map_or("", |group| group.as_str()))?;
            }
            out.put(rest)?;
            last = whole.end();
            if method == Method::ReplaceFirst {
                break;
            }
        }
        if last == 0 && replaced.is_empty() {
            self.scratch.put(replaced);
            return Ok(Value::Text(text));
        }
        self.bounded(&mut replaced).put(&text[last..])?;
        let kept = self.heap.text(&replaced)?;
        self.scratch.put(replaced);
        Ok(Value::Text(kept))
    }

    /// Java's: of limit 0 the empty texts at the end are left out; a match of nothing at the start splits nothing off.
    fn split(&mut self, text: &'a str, pattern: &Pattern, limit: i64) -> Result<Value<'a>> {
        self.pay(pattern.steps(text.len()))?;
        let mut items = self.heap.vec(4)?;
        let mut last = 0;
        let parts_max = usize::try_from(limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
        for found in pattern.regex.find_iter(text) {
            if items.len() + 1 >= parts_max {
                break;
            }
            let is_nothing = found.is_empty() && (found.start() == 0 || found.start() == text.len());
            if is_nothing {
                continue;
            }
            self.pay(1)?;
            self.heap.push(&mut items, Value::Text(&text[last..found.start()]))?;
            last = found.end();
        }
        self.heap.push(&mut items, Value::Text(&text[last..]))?;
        if limit == 0 && items.len() > 1 {
            while matches!(items.last(), Some(Value::Text(""))) {
                items.pop();
            }
        }
        Ok(self.heap.list(items, false)?)
    }
}

/// How many digits name a group: as many as still name one that there is, one at least.
fn group_digits(text: &str, groups: usize) -> usize {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    (1..=digits)
        .take_while(|count| *count == 1 || text[..*count].parse::<usize>().is_ok_and(|group| group < groups))
        .last()
        .unwrap_or(0)
}

/// The length in UTF-16 units.
fn units(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.encode_utf16().count() }
}

/// The byte at which a unit stands.
fn byte_of(text: &str, unit: usize) -> usize {
    if text.is_ascii() {
        return unit.min(text.len());
    }
    let mut passed = 0;
    for (at, character) in text.char_indices() {
        if passed >= unit {
            return at;
        }
        passed += character.len_utf16();
    }
    text.len()
}

/// A byte's position in units, -1 for none.
fn position<'a>(text: &str, at: Option<usize>) -> Value<'a> {
    Value::Int(at.map_or(-1, |at| units(&text[..at]) as i64))
}

fn compared<'a>(one: &str, other: &str) -> Value<'a> {
    let mut units = one.encode_utf16().zip(other.encode_utf16());
    let difference = units.find(|(one, other)| one != other);
    Value::Int(match difference {
        Some((one, other)) => i64::from(one) - i64::from(other),
        None => one.encode_utf16().count() as i64 - other.encode_utf16().count() as i64,
    })
}
