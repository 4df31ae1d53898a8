//! What must hold for any blocks whatever.

use message::{Headers, Name};

use super::{Broken, Decoder, Encoder, Field, TABLE_BYTES};

/// What a decoder may hold at most: the table's bytes, 128 entries, and what strings are decoded to.
const HELD_BYTES_MAX: usize = TABLE_BYTES + 128 * 16 + 4096;

/// A name and a value.
pub(super) type Owned = (Vec<u8>, Vec<u8>);

/// Both sides, for those who measure them from outside.
pub struct HeaderBlocks {
    decoder: Decoder,
    encoder: Encoder,
}

impl HeaderBlocks {
    /// Those of a new connection.
    #[expect(clippy::new_without_default, reason = "there are no usual ones")]
    pub fn new() -> Self {
        Self { decoder: Decoder::new(TABLE_BYTES), encoder: Encoder::new() }
    }

    /// Reads a block; how many fields it has that are sound, or `None` if it is broken.
    pub fn decode(&mut self, block: &[u8]) -> Option<usize> {
        let mut sound = 0;
        let read = self.decoder.decode(block, |field| {
            sound += usize::from(field.name_is_sound && field.value_is_sound);
        });
        read.ok().map(|()| sound)
    }

    /// Writes a block of an answer with these fields.
    pub fn encode(&mut self, status: u16, fields: &Headers, out: &mut Vec<u8>) {
        self.encoder.begin(out);
        self.encoder.status(status, out);
        for field in fields.iter() {
            self.encoder.field(field.name, field.text, field.value, out);
        }
    }
}

/// All that must hold for header blocks of any bytes, each one behind a byte with its length: nothing panics, memory is bounded,
/// what is said of a field is so, and what came out comes out again when we have written it.
pub fn any_header_blocks(bytes: &[u8]) {
    let (mut decoder, mut encoder, mut again) =
        (Decoder::new(TABLE_BYTES), Encoder::new(), Decoder::new(TABLE_BYTES));
    let mut rest = bytes;
    while let Some((&length, behind)) = rest.split_first() {
        let (block, behind) = behind.split_at(behind.len().min(length.into()));
        rest = behind;
        let mut fields = Vec::new();
        let decoded = decoder.decode(block, |field| {
            assert_eq!(field, Field::new(field.name, field.value));
            fields.push((field.name.to_vec(), field.value.to_vec()));
        });
        assert!(decoder.held_bytes() <= HELD_BYTES_MAX, "{} bytes", decoder.held_bytes());
        comes_back(&mut encoder, &mut again, &fields);
        if decoded == Err(Broken) {
            break;
        }
    }
}

/// Fields that are written and read again are the same, but for names in lower case.
pub(super) fn comes_back(encoder: &mut Encoder, decoder: &mut Decoder, fields: &[Owned]) {
    let mut block = Vec::new();
    encoder.begin(&mut block);
    for (name, value) in fields {
        match name.as_slice() {
            b":status" => match std::str::from_utf8(value).map(str::parse) {
                Ok(Ok(status @ 100..=999)) => encoder.status(status, &mut block),
                _ => encoder.field(Name::Other, name, value, &mut block),
            },
            b":scheme" => match value.as_slice() {
                b"http" => encoder.scheme(false, &mut block),
                b"https" => encoder.scheme(true, &mut block),
                value => encoder.field(Name::Other, name, value, &mut block),
            },
            b":authority" => encoder.authority(value, &mut block),
            b":method" => encoder.method(value, &mut block),
            b":path" => match value.iter().position(|&byte| byte == b'?') {
                Some(at) => encoder.path(&value[..at], Some(&value[at + 1..]), &mut block),
                None => encoder.path(value, None, &mut block),
            },
            name => encoder.field(Name::of(name), name, value, &mut block),
        }
    }
    let mut expected = fields.iter();
    let read = decoder.decode(&block, |field| {
        let (name, value) = expected.next().unwrap_or_else(|| panic!("one more field: {field:?}"));
        assert_eq!((field.name, field.value), (name.to_ascii_lowercase().as_slice(), value.as_slice()));
        assert_eq!(field, Field::new(field.name, field.value));
    });
    assert_eq!(read, Ok(()), "{}", block.escape_ascii());
    assert_eq!(expected.next(), None);
    assert!(decoder.held_bytes() <= HELD_BYTES_MAX && encoder.held_bytes() <= HELD_BYTES_MAX);
}
