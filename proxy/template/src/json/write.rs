//! Writes JSON: values without the space between their parts, and text as a string.

use super::{is_space, unescape_with};

/// Where output goes; what it says to a piece, its writer passes on.
pub(crate) trait Sink {
    /// What ends the writing: a limit of the sink.
    type Full;
    /// Takes a piece.
    fn put(&mut self, piece: &str) -> Result<(), Self::Full>;
}

impl Sink for String {
    type Full = std::convert::Infallible;

    fn put(&mut self, piece: &str) -> Result<(), Self::Full> {
        self.push_str(piece);
        Ok(())
    }
}

/// Writes a checked value as one that was parsed and written again: no space, escapes only where they are needed.
/// Numbers stay as they were written.
pub(crate) fn write_compact<S: Sink>(out: &mut S, value: &str) -> Result<(), S::Full> {
    let bytes = value.as_bytes();
    // What is copied as it stands: from here.
    let mut from = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'"' {
            let end = super::end_of_text(bytes, at);
            if memchr::memchr(b'\\', &bytes[at..end]).is_some() {
                out.put(value.get(from..at).unwrap_or_default())?;
                out.put("\"")?;
                let written = value.get(at + 1..end - 1).unwrap_or_default();
                unescape_with(written, &mut |piece| write_escaped(out, piece))?;
                out.put("\"")?;
                from = end;
            }
            at = end;
        } else if is_space(byte) {
            out.put(value.get(from..at).unwrap_or_default())?;
            while bytes.get(at).is_some_and(|byte| is_space(*byte)) {
                at += 1;
            }
            from = at;
        } else {
            at += 1;
        }
    }
    out.put(value.get(from..).unwrap_or_default())
}

/// Writes a text as a string in quotes.
pub(crate) fn write_text<S: Sink>(out: &mut S, text: &str) -> Result<(), S::Full> {
    out.put("\"")?;
    write_escaped(out, text)?;
    out.put("\"")
}

/// The same without quotes.
fn write_escaped<S: Sink>(out: &mut S, text: &str) -> Result<(), S::Full> {
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let mut unit = [b'\\', b'u', b'0', b'0', 0, 0];
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            0x08 => "\\b",
            0x0C => "\\f",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => {
                unit[4] = b'0' + (byte >> 4);
                unit[5] = b"0123456789abcdef"[usize::from(byte & 15)];
                std::str::from_utf8(&unit).unwrap_or_default()
            }
            _ => continue,
        };
        out.put(&text[from..at])?;
        out.put(escape)?;
        from = at + 1;
    }
    out.put(&text[from..])
}
