//! Both sides against the examples of the RFC, against each other, and against blocks that are wrong.

mod choices;
mod evictions;
mod examples;
mod faults;
mod generated;
mod huffman;

use super::{Broken, Decoder};

type Owned = (Vec<u8>, Vec<u8>);

/// The fields of a block.
fn fields(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<Owned>, Broken> {
    let mut fields = Vec::new();
    decoder
        .decode(block, |field, _| fields.push((field.name.to_vec(), field.value.to_vec())))
        .map(|()| fields)
}

/// What is in the table, the newest first.
fn table(decoder: &mut Decoder) -> Vec<Owned> {
    let mut entries = Vec::new();
    for age in 0..=128 {
        let mut block = Vec::new();
        super::integer::write(0x80, 0x7f, 62 + age, &mut block);
        match fields(decoder, &block) {
            Ok(found) => entries.extend(found),
            Err(Broken) => break,
        }
    }
    entries
}

/// Fields as `name: value`, one a line.
fn shown(fields: &[Owned]) -> String {
    let line = |(name, value): &Owned| format!("{}: {}\n", name.escape_ascii(), value.escape_ascii());
    fields.iter().map(line).collect()
}

/// Bytes of hexadecimal digits, with blanks anywhere.
fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks_exact(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}
