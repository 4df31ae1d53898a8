//! What must hold for any blocks whatever.

use std::collections::VecDeque;

use message::{Headers, Name};

use super::{Broken, Decoder, Encoder, Field, Mark, TABLE_BYTES, whole};

/// What a decoder may hold at most: the table's bytes, 128 entries, and what strings are decoded to.
const HELD_BYTES_MAX: usize = TABLE_BYTES + 128 * 16 + 4096;

/// A name and a value.
pub(super) type Owned = (Vec<u8>, Vec<u8>);

/// Both sides, for those who look at them from outside: measuring, or with a peer that is not ours.
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
        let read = self.decoder.decode(block, |field, _| {
            sound += usize::from(field.name_is_sound && field.value_is_sound);
        });
        read.ok().map(|()| sound)
    }

    /// Reads a block; its fields, or `None` if it is broken.
    pub fn read(&mut self, block: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut fields = Vec::new();
        let read =
            self.decoder.decode(block, |field, _| fields.push((field.name.to_vec(), field.value.to_vec())));
        read.ok().map(|()| fields)
    }

    /// Takes note of what the reader lets our table take.
    pub fn set_table_bytes_max(&mut self, bytes: u32) {
        self.encoder.set_table_bytes_max(bytes);
    }

    /// Writes a block of any fields.
    pub fn write(&mut self, fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        let mut block = Vec::new();
        self.encoder.begin(&mut block);
        for (name, value) in fields {
            write(&mut self.encoder, name, value, false, &mut block);
        }
        block
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
/// what is said of a field is so, it is the same by parts, and once more when others have come, unless its entries are gone; what came out comes out again when we have written it, and is never indexed if it was not.
pub(in crate::h2) fn any_header_blocks(bytes: &[u8]) {
    let (mut decoder, mut encoder, mut again) =
        (Decoder::new(TABLE_BYTES), Encoder::new(), Decoder::new(TABLE_BYTES));
    let mut parted = Decoder::new(TABLE_BYTES);
    let mut earlier: VecDeque<(Mark, &[u8], Decoded)> = VecDeque::new();
    let mut rest = bytes;
    while let Some((&length, behind)) = rest.split_first() {
        let (block, behind) = behind.split_at(behind.len().min(length.into()));
        rest = behind;
        let (mut fields, before) = (Vec::new(), decoder.mark());
        let decoded = decoder.decode(block, |field, never_indexed| {
            assert_eq!(field, Field::new(field.name, field.value));
            fields.push(((field.name.to_vec(), field.value.to_vec()), never_indexed));
        });
        assert!(decoder.held_bytes() <= HELD_BYTES_MAX, "{} bytes", decoder.held_bytes());
        assert_eq!(by_parts(&mut parted, block), (decoded, fields.clone()), "{}", block.escape_ascii());
        comes_back(&mut encoder, &mut again, &fields);
        if decoded == Err(Broken) {
            break;
        }
        earlier.push_back((before, block, fields));
        for (before, block, fields) in &earlier {
            let mut again = Vec::new();
            let read = decoder.as_of(*before).ok_or(Broken).and_then(|mut decoder| {
                decoder.decode(block, |field, never_indexed| {
                    again.push(((field.name.to_vec(), field.value.to_vec()), never_indexed));
                })
            });
            assert!(read == Err(Broken) || again == *fields, "{}", block.escape_ascii());
        }
        if earlier.len() == EARLIER_MAX {
            earlier.pop_front();
        }
    }
}

/// Blocks that are read again.
const EARLIER_MAX: usize = 4;

/// Fields, and whether they are never to be indexed.
type Decoded = Vec<(Owned, bool)>;

/// What comes out of a block of which no more is decoded than is there.
fn by_parts(decoder: &mut Decoder, block: &[u8]) -> (Result<(), Broken>, Decoded) {
    /// A block begins with two updates of the table's size at most, which come in one part.
    const PART_BYTES: usize = 13;
    let (mut fields, mut begins, mut rest) = (Vec::new(), true, Vec::new());
    let mut read = |decoder: &mut Decoder, part: &[u8], begins| {
        decoder.decode_part(part, begins, |field, never_indexed| {
            fields.push(((field.name.to_vec(), field.value.to_vec()), never_indexed));
        })
    };
    let mut decoded = Ok(());
    for part in block.chunks(PART_BYTES) {
        rest.extend_from_slice(part);
        let bytes = whole(&rest);
        if bytes > 0 && decoded.is_ok() && rest.len() >= PART_BYTES {
            decoded = read(decoder, &rest[..bytes], begins);
            begins = false;
            rest.drain(..bytes);
        }
    }
    let decoded = decoded.and_then(|()| read(decoder, &rest, begins));
    (decoded, fields)
}

/// Fields that are written, some of them never to be indexed, and read again are the same, but for names in lower case.
pub(super) fn comes_back(encoder: &mut Encoder, decoder: &mut Decoder, fields: &[(Owned, bool)]) {
    let mut block = Vec::new();
    encoder.begin(&mut block);
    for ((name, value), never_indexed) in fields {
        write(encoder, name, value, *never_indexed, &mut block);
    }
    let mut expected = fields.iter();
    let read = decoder.decode(&block, |field, never_indexed| {
        let ((name, value), is_secret) =
            expected.next().unwrap_or_else(|| panic!("one more field: {field:?}"));
        assert_eq!((field.name, field.value), (name.to_ascii_lowercase().as_slice(), value.as_slice()));
        // Some fields our own rules hide as well.
        assert!(never_indexed || !is_secret || ALWAYS_PUBLIC.contains(&field.name), "{field:?}");
        assert_eq!(field, Field::new(field.name, field.value));
    });
    assert_eq!(read, Ok(()), "{}", block.escape_ascii());
    assert_eq!(expected.next(), None);
    assert!(decoder.held_bytes() <= HELD_BYTES_MAX && encoder.held_bytes() <= HELD_BYTES_MAX);
}

/// Pseudo-fields whose values are no secrets.
const ALWAYS_PUBLIC: [&[u8]; 3] = [b":status", b":scheme", b":method"];

/// Writes a field by the door that is for it.
fn write(encoder: &mut Encoder, name: &[u8], value: &[u8], never_indexed: bool, out: &mut Vec<u8>) {
    match (name, value) {
        (b":status", &[hundreds @ b'1'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9']) => {
            let status =
                [hundreds, tens, ones].iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
            encoder.status(status, out);
        }
        (b":scheme", b"http") => encoder.scheme(false, out),
        (b":scheme", b"https") => encoder.scheme(true, out),
        (b":authority", value) => encoder.authority(value, never_indexed, out),
        (b":method", value) => encoder.method(value, out),
        (b":path", value) => match value.iter().position(|&byte| byte == b'?') {
            Some(at) => encoder.path(&value[..at], Some(&value[at + 1..]), never_indexed, out),
            None => encoder.path(value, None, never_indexed, out),
        },
        (name, value) if never_indexed => encoder.never_indexed(Name::of(name), name, value, out),
        (name, value) => encoder.field(Name::of(name), name, value, out),
    }
}
