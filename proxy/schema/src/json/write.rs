//! Writes JSON: a value without the space between its parts, and text as a string.

use super::unescape;

/// Writes a value that was read as one that is written anew: no space, escapes only where they are needed. Numbers stay as they
/// were written.
pub(super) fn compact(out: &mut String, value: &str) {
    let bytes = value.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let end = end_of_text(bytes, at + 1);
                let written = value.get(at + 1..end).unwrap_or_default();
                if written.contains('\\') {
                    text(out, &unescape(written));
                } else {
                    out.push('"');
                    out.push_str(written);
                    out.push('"');
                }
                at = end + 1;
                continue;
            }
            b' ' | b'\n' | b'\r' | b'\t' => {}
            // Outside of strings JSON is ASCII.
            _ => out.push(char::from(byte)),
        }
        at += 1;
    }
}

fn end_of_text(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Writes a text as a string in quotes.
pub(crate) fn text(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            control @ '\0'..' ' => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                out.push_str("\\u00");
                out.push(char::from(DIGITS[control as usize >> 4]));
                out.push(char::from(DIGITS[control as usize & 15]));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}
