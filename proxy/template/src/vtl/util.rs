//! `$util`: escapes and encodings.

use smallvec::SmallVec;

use super::{
    error::Reason,
    method::Method,
    render::{Render, Result},
    value::Value,
    xml,
};
use crate::base64;

impl<'a> Render<'a, '_> {
    pub(super) fn util(&mut self, method: Method, value: Value<'a>) -> Result<Value<'a>> {
        if value.is_null() {
            return Ok(Value::Null);
        }
        if method == Method::ParseJson {
            return self.parse_json(value);
        }
        let text = self.text(value)?;
        self.pay(text.len() as u64 / 16)?;
        if method == Method::EscapeJavaScript && !text.bytes().any(needs_escape) {
            return Ok(Value::Text(text));
        }
        let mut made = self.scratch.take();
        let outcome = self.encoded(method, text, &mut made);
        let kept = match outcome {
            Ok(true) => {
                self.bounded(&mut made).fits(0)?;
                Value::Text(self.heap.text(&made)?)
            }
            Ok(false) => Value::Null,
            Err(reason) => return Err(reason.into()),
        };
        self.scratch.put(made);
        Ok(kept)
    }

    /// Appends what a method makes of a text; false: there is no such method.
    fn encoded(&self, method: Method, text: &str, out: &mut String) -> Result<bool, Reason> {
        let failed = |why| Reason::Method { method: method.name(), why };
        match method {
            Method::EscapeJavaScript => escape_java_script(text, out),
            Method::UrlEncode => url_encode(text, out),
            Method::UrlDecode => url_decode(text, out).map_err(failed)?,
            Method::Base64Encode => base64::encode_to(text.as_bytes(), out),
            Method::Base64Decode => {
                let bytes = base64::decode(text.as_bytes()).map_err(failed)?;
                out.push_str(&String::from_utf8_lossy(&bytes));
            }
            Method::XmlToJson if self.settings.xml => {
                out.push_str(&xml::to_json(text, self.settings.output_bytes_max).map_err(Reason::Xml)?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn needs_escape(byte: u8) -> bool {
    !(0x20..=0x7F).contains(&byte) || matches!(byte, b'\'' | b'"' | b'\\' | b'/')
}

/// As commons-lang 2 does it, which Velocity's users know: `/` too, and all beyond ASCII by number.
fn escape_java_script(text: &str, out: &mut String) {
    out.reserve(text.len() + 16);
    for character in text.chars() {
        match character {
            '\'' | '"' | '\\' | '/' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='\u{7f}' => out.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    out.push_str("\\u");
                    for shift in [12, 8, 4, 0] {
                        out.push(char::from(b"0123456789ABCDEF"[usize::from(*unit >> shift & 15)]));
                    }
                }
            }
        }
    }
}

/// Java's `URLEncoder`: the form of HTML forms.
fn url_encode(text: &str, out: &mut String) {
    out.reserve(text.len() + 16);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => {
                out.push('%');
                for shift in [4, 0] {
                    out.push(char::from(b"0123456789ABCDEF"[usize::from(byte >> shift & 15)]));
                }
            }
        }
    }
}

/// Java's `URLDecoder`, which throws where a `%` has no two digits behind it.
fn url_decode(text: &str, out: &mut String) -> Result<(), String> {
    let mut decoded = SmallVec::<[u8; 256]>::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
                match (digit(), digit()) {
                    (Some(high), Some(low)) => (high << 4 | low) as u8,
                    _ => return Err("a `%` without two hexadecimal digits behind it".to_owned()),
                }
            }
            byte => byte,
        });
    }
    out.push_str(&String::from_utf8_lossy(&decoded));
    Ok(())
}
