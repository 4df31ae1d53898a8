//! How values are written: as Java's `toString` does, lists that came from JSON as JSON.

use super::{
    error::{Limit, Reason},
    heap::Heap,
    value::{List, Map, Value},
};
use crate::{
    java,
    json::{self, JSON_DEPTH_MAX, Sink},
};

/// A text with a bound.
pub(super) struct Bounded<'o> {
    pub(super) text: &'o mut String,
    pub(super) bytes_max: usize,
}

impl Sink for Bounded<'_> {
    type Full = Reason;

    fn put(&mut self, piece: &str) -> Result<(), Reason> {
        self.fits(piece.len())?;
        self.text.push_str(piece);
        Ok(())
    }
}

impl Bounded<'_> {
    /// Whether so many more bytes fit.
    pub(super) fn fits(&self, bytes: usize) -> Result<(), Reason> {
        if self.text.len() + bytes > self.bytes_max {
            return Err(Reason::Limit { limit: Limit::OutputBytes, max: self.bytes_max as u64 });
        }
        Ok(())
    }
}

type Result<T, E = Reason> = std::result::Result<T, E>;

/// Writes a value as text.
pub(super) fn write<'a>(out: &mut Bounded<'_>, heap: Heap<'a>, value: Value<'a>) -> Result<()> {
    Printer { out, heap, depth: 0 }.text(value)
}

struct Printer<'p, 'o, 'a> {
    out: &'p mut Bounded<'o>,
    heap: Heap<'a>,
    depth: usize,
}

impl<'a> Printer<'_, '_, 'a> {
    /// A container may hold itself.
    fn deeper(&mut self, inner: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        if self.depth == JSON_DEPTH_MAX {
            return Err(Reason::Limit { limit: Limit::Depth, max: JSON_DEPTH_MAX as u64 });
        }
        self.depth += 1;
        inner(self)?;
        self.depth -= 1;
        Ok(())
    }

    fn text(&mut self, value: Value<'a>) -> Result<()> {
        match value {
            Value::Null => self.out.put("null"),
            Value::Bool(true) => self.out.put("true"),
            Value::Bool(false) => self.out.put("false"),
            Value::Int(number) => self.integer(number),
            Value::Double(number) => self.out.put(java::double(number).as_str()),
            Value::Text(text) | Value::Big(text) => self.out.put(text),
            Value::Compact(source) => json::write_compact(self.out, source),
            Value::List(list) if list.json => self.json(value),
            Value::List(list) => self.deeper(|printer| {
                printer.out.put("[")?;
                for index in 0..list.len(printer.heap)? {
                    if index > 0 {
                        printer.out.put(", ")?;
                    }
                    printer.text(list.get(printer.heap, index)?.unwrap_or(Value::Null))?;
                }
                printer.out.put("]")
            }),
            Value::Map(map) => self.deeper(|printer| {
                printer.out.put("{")?;
                for at in 0..map.len(printer.heap)? {
                    let Some((key, value)) = map.entry(printer.heap, at)? else { break };
                    if at > 0 {
                        printer.out.put(", ")?;
                    }
                    printer.out.put(key)?;
                    printer.out.put("=")?;
                    printer.text(value)?;
                }
                printer.out.put("}")
            }),
            Value::Entry(entry) => {
                self.out.put(entry.key)?;
                self.out.put("=")?;
                self.text(entry.value)
            }
            Value::Class(name) => {
                self.out.put("class ")?;
                self.out.put(name)
            }
            Value::Object(_) | Value::Loop(_) | Value::Block { .. } | Value::Argument { .. } => {
                self.out.put(value.class())
            }
        }
    }

    fn integer(&mut self, number: i64) -> Result<()> {
        // As many digits as 64 bits have, and a sign.
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = number.unsigned_abs();
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            at -= 1;
            digits[at] = b'-';
        }
        self.out.put(std::str::from_utf8(&digits[at..]).unwrap_or_default())
    }

    fn json(&mut self, value: Value<'a>) -> Result<()> {
        match value {
            Value::List(list) => self.json_list(list),
            Value::Map(map) => self.json_map(map),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Big(_) => self.text(value),
            Value::Double(number) if number.is_finite() => self.text(value),
            Value::Text(text) => json::write_text(self.out, text),
            _ => {
                let mut text = String::new();
                write(&mut Bounded { text: &mut text, bytes_max: self.out.bytes_max }, self.heap, value)?;
                json::write_text(self.out, &text)
            }
        }
    }

    fn json_list(&mut self, list: &'a List<'a>) -> Result<()> {
        // What nobody has looked into is as it came.
        let source = list.items.borrow().source;
        if let Some(source) = source {
            return json::write_compact(self.out, source);
        }
        self.deeper(|printer| {
            printer.out.put("[")?;
            for index in 0..list.len(printer.heap)? {
                if index > 0 {
                    printer.out.put(",")?;
                }
                printer.json(list.get(printer.heap, index)?.unwrap_or(Value::Null))?;
            }
            printer.out.put("]")
        })
    }

    fn json_map(&mut self, map: &'a Map<'a>) -> Result<()> {
        let source = map.table.borrow().source;
        if let Some(source) = source {
            return json::write_compact(self.out, source);
        }
        self.deeper(|printer| {
            printer.out.put("{")?;
            for at in 0..map.len(printer.heap)? {
                let Some((key, value)) = map.entry(printer.heap, at)? else { break };
                if at > 0 {
                    printer.out.put(",")?;
                }
                json::write_text(printer.out, key)?;
                printer.out.put(":")?;
                printer.json(value)?;
            }
            printer.out.put("}")
        })
    }
}
