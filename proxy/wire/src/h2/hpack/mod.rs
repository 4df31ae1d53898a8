//! Fields in few bytes (HPACK, RFC 7541): a decoder and an encoder, each with its table of what was sent before. Blocks come
//! and go whole; this module knows neither frames nor which fields a message may have, only whether a name and a value
//! are of the bytes that they may be of.
//!
//! Both are hardened for a peer that means harm: memory is bounded by the table's size, and what a byte of a block costs
//! to read is bounded as well, whatever is in the table. Both hold nothing until the first field is put into a table.

mod decode;
mod encode;
mod huffman;
mod integer;
mod policy;
pub(in crate::h2) mod properties;
mod statics;
mod table;
#[cfg(test)]
mod tests;

use message::{Name, octets};

pub(in crate::h2) use decode::{Decoder, Mark, whole};
pub(in crate::h2) use encode::Encoder;

/// What each table begins with, and the most that ours of what we send takes (RFC 9113 §6.5.2).
const TABLE_BYTES: usize = 4096;

/// A header block that RFC 7541 does not allow: the connection's state is lost (COMPRESSION_ERROR).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::h2) struct Broken;

/// A field as it was decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::h2) struct Field<'a> {
    /// The number of the name; [`Name::Other`] for those without one, and for pseudo-fields.
    pub(in crate::h2) known: Name,
    /// The name as it was sent, which may be in upper case.
    pub(in crate::h2) name: &'a [u8],
    pub(in crate::h2) value: &'a [u8],
    /// The name is a token without upper-case letters, or one of those behind a colon (RFC 9113 §8.2.1).
    pub(in crate::h2) name_is_sound: bool,
    /// The value has neither control characters but tabs, nor white space at its ends (RFC 9113 §8.2.1).
    pub(in crate::h2) value_is_sound: bool,
}

impl<'a> Field<'a> {
    /// A field that nothing is known about yet.
    pub(in crate::h2) fn new(name: &'a [u8], value: &'a [u8]) -> Self {
        Self {
            known: Name::of(name),
            name,
            value,
            name_is_sound: name_is_sound(name),
            value_is_sound: value_is_sound(value),
        }
    }
}

fn name_is_sound(name: &[u8]) -> bool {
    let token = name.strip_prefix(b":").unwrap_or(name);
    !token.is_empty() && token.iter().all(|&byte| LOWER_TOKEN_BYTES[usize::from(byte)])
}

fn value_is_sound(value: &[u8]) -> bool {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    !is_blank(value.first()) && !is_blank(value.last()) && octets::is_value(value)
}

/// Bytes of tokens but letters in upper case.
const LOWER_TOKEN_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let marks = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz";
    let mut at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
};
