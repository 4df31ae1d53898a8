//! Keeps a value inside its line and inside its quotes. What comes out is UTF-8 without control characters, and valid
//! between the quotes of a JSON string.

/// Escapes what stands in `out` from `start` on, in place.
pub(super) fn from(out: &mut Vec<u8>, start: usize) {
    let Some(first) = out[start..].iter().position(|byte| !is_plain(*byte)) else { return };
    // The escaped form is written behind the raw one, which is then cut out: no second buffer.
    let (start, end) = (start + first, out.len());
    let mut at = start;
    while at < end {
        let byte = out[at];
        let len = match byte {
            b'"' | b'\\' => {
                out.extend_from_slice(&[b'\\', byte]);
                1
            }
            _ if is_plain(byte) => {
                out.push(byte);
                1
            }
            0x80.. => match printable_at(&out[at..end]) {
                Some(len) => {
                    out.extend_from_within(at..at + len);
                    len
                }
                None => unicode(out, byte),
            },
            _ => unicode(out, byte),
        };
        at += len;
    }
    out.drain(start..end);
}

/// ASCII that may stand as it is.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// The length of the character that `bytes` begins with, if it is whole, and neither a C1 control character (terminals
/// obey those) nor a line separator of Unicode's.
fn printable_at(bytes: &[u8]) -> Option<usize> {
    let len = match bytes.first()? {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => return None,
    };
    let c = std::str::from_utf8(bytes.get(..len)?).ok()?.chars().next()?;
    (!c.is_control() && c != '\u{2028}' && c != '\u{2029}').then_some(len)
}

/// Writes one byte as `\u00NN`; bytes that are no UTF-8 are thereby read as Latin-1, losing nothing.
fn unicode(out: &mut Vec<u8>, byte: u8) -> usize {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(&[
        b'\\',
        b'u',
        b'0',
        b'0',
        HEX[usize::from(byte >> 4)],
        HEX[usize::from(byte & 15)],
    ]);
    1
}
