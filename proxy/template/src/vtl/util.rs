//! `$util`: escapes and encodings.

use super::{
    error::Reason,
    method::Method,
    render::{Render, Result},
    value::Value,
    xml,
};
use crate::{base64, json::Sink};

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
        let made = match method {
            Method::EscapeJavaScript => {
                if !text.bytes().any(needs_escape) {
                    return Ok(Value::Text(text));
                }
                escape_java_script(text)
            }
            Method::UrlEncode => url_encode(text),
            Method::UrlDecode => {
                url_decode(text).map_err(|why| Reason::Method { method: method.name(), why })?
            }
            Method::Base64Encode => base64::encode(text.as_bytes()),
            Method::Base64Decode => {
                let bytes = base64::decode(text.as_bytes())
                    .map_err(|why| Reason::Method { method: method.name(), why })?;
                String::from_utf8(bytes)
                    .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
            }
            Method::XmlToJson if self.settings.xml => {
                xml::to_json(text, self.settings.output_bytes_max).map_err(Reason::Xml)?
            }
            _ => return Ok(Value::Null),
        };
        let mut bounded = String::new();
        self.bounded(&mut bounded).put(&made)?;
        Ok(Value::Text(self.heap.text(&bounded)?))
    }
}

fn needs_escape(byte: u8) -> bool {
    !(0x20..=0x7F).contains(&byte) || matches!(byte, b'\'' | b'"' | b'\\' | b'/')
}

/// As commons-lang 2 does it, which Velocity's users know: `/` too, and all beyond ASCII by number.
fn escape_java_script(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
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
    out
}

/// Java's `URLEncoder`: the form of HTML forms.
fn url_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
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
    out
}

/// Java's `URLDecoder`, which throws where a `%` has no two digits behind it.
fn url_decode(text: &str) -> Result<String, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
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
    Ok(String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}
