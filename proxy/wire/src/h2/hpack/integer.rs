//! Integers behind a prefix of a few bits (RFC 7541 §5.1).

use super::Broken;

/// Bytes behind the first one. Four have 28 bits, which is more than any length or index of ours; longer encodings are
/// refused, those with leading zeros among them (§5.1 wants such a limit).
const BYTES_MAX: usize = 4;

/// Reads an integer whose first byte was taken already. `mask` has the bits of its prefix.
#[inline(always)]
pub(super) fn read(first: u8, mask: u8, rest: &mut &[u8]) -> Result<usize, Broken> {
    let prefix = first & mask;
    if prefix < mask { Ok(usize::from(prefix)) } else { read_more(mask, rest) }
}

#[inline(never)]
fn read_more(mask: u8, rest: &mut &[u8]) -> Result<usize, Broken> {
    let mut value = 0;
    for (at, &byte) in rest.iter().take(BYTES_MAX).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            *rest = &rest[at + 1..];
            return Ok(value + usize::from(mask));
        }
    }
    Err(Broken)
}

/// Writes an integer behind the bits of `first` above its prefix.
#[inline(always)]
pub(super) fn write(first: u8, mask: u8, value: usize, out: &mut Vec<u8>) {
    if value < usize::from(mask) {
        out.push(first | value as u8);
    } else {
        let value = value - usize::from(mask);
        if value < 0x80 {
            out.extend_from_slice(&[first | mask, value as u8]);
        } else {
            write_more(first | mask, value, out);
        }
    }
}

#[inline(never)]
fn write_more(first: u8, mut value: usize, out: &mut Vec<u8>) {
    out.push(first);
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
