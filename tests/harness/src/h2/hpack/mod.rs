//! HPACK (RFC 7541), written without the product's own: an encoder that says what it is told, also what is wrong, and
//! a decoder that takes only what is right.

mod decoder;
pub mod huffman;
mod table;

pub use decoder::Decoder;
pub use table::{Entry, STATIC, Table};

use super::Field;

/// Bytes that an entry costs besides its name and value (RFC 7541, section 4.1).
pub const ENTRY_BYTES: usize = 32;

/// What a literal leaves in the tables (RFC 7541, section 6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indexing {
    /// It becomes the newest entry.
    Incremental,
    /// Nothing.
    Without,
    /// Nothing, here and with all who pass it on.
    Never,
}

/// A header block, piece by piece, exactly as it is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block(Vec<u8>);

impl Block {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Fields as plain literals that leave nothing behind: understood whatever came before.
    pub fn of(fields: &[(&str, &str)]) -> Self {
        fields.iter().fold(Self::new(), |block, (name, value)| block.literal(name, value))
    }

    /// A field as a plain literal that leaves nothing behind.
    #[must_use]
    pub fn literal(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.field(Indexing::Without, name, value, false)
    }

    /// A literal with a name of its own.
    #[must_use]
    pub fn field(
        mut self,
        indexing: Indexing,
        name: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        huffman: bool,
    ) -> Self {
        self.literal_index(indexing, 0);
        self.string(name.as_ref(), huffman);
        self.string(value.as_ref(), huffman);
        self
    }

    /// A literal whose name stands in the tables.
    #[must_use]
    pub fn named(mut self, indexing: Indexing, index: u64, value: impl AsRef<[u8]>, huffman: bool) -> Self {
        self.literal_index(indexing, index);
        self.string(value.as_ref(), huffman);
        self
    }

    /// A field that stands in the tables, or an index that does not.
    #[must_use]
    pub fn indexed(mut self, index: u64) -> Self {
        integer(&mut self.0, 0x80, 7, index);
        self
    }

    /// "From now on the table holds at most so much".
    #[must_use]
    pub fn size_update(mut self, bytes: u64) -> Self {
        integer(&mut self.0, 0x20, 5, bytes);
        self
    }

    /// Bytes as they are.
    #[must_use]
    pub fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    /// The same again, so many times in all.
    #[must_use]
    pub fn times(self, count: usize) -> Self {
        Self(self.0.repeat(count))
    }

    /// One block behind the other.
    #[must_use]
    pub fn then(self, next: &Self) -> Self {
        self.raw(&next.0)
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.clone()
    }

    fn literal_index(&mut self, indexing: Indexing, index: u64) {
        let (first, bits) = match indexing {
            Indexing::Incremental => (0x40, 6),
            Indexing::Without => (0x00, 4),
            Indexing::Never => (0x10, 4),
        };
        integer(&mut self.0, first, bits, index);
    }

    fn string(&mut self, text: &[u8], huffman: bool) {
        let (first, bytes) = if huffman { (0x80, huffman::encode(text)) } else { (0, text.to_vec()) };
        integer(&mut self.0, first, 7, bytes.len() as u64);
        self.0.extend_from_slice(&bytes);
    }
}

impl From<Block> for Vec<u8> {
    fn from(block: Block) -> Self {
        block.0
    }
}

/// An integer with a prefix of so many bits (RFC 7541, section 5.1).
pub fn integer(into: &mut Vec<u8>, first: u8, prefix_bits: u8, value: u64) {
    let max = (1_u64 << prefix_bits) - 1;
    if value < max {
        into.push(first | low_byte(value));
        return;
    }
    into.push(first | low_byte(max));
    let mut rest = value - max;
    while rest >= 0x80 {
        into.push(low_byte(rest & 0x7f) | 0x80);
        rest >>= 7;
    }
    into.push(low_byte(rest));
}

fn low_byte(value: u64) -> u8 {
    value.to_le_bytes()[0]
}

/// An encoder as a good client has one: fields are indexed where they can be, texts shortened where that shortens them.
#[derive(Clone, Debug)]
pub struct Encoder {
    table: Table,
    /// To be told at the begin of the next block.
    told: Option<usize>,
}

impl Encoder {
    /// Its table holds at most so many bytes.
    pub fn new(table_bytes_max: usize) -> Self {
        Self { table: Table::new(table_bytes_max), told: None }
    }

    /// The other side's decoder holds so much and no more.
    pub fn limit(&mut self, table_bytes_max: usize) {
        if table_bytes_max < self.table.bytes_max() {
            self.table.resize(table_bytes_max);
            self.told = Some(table_bytes_max);
        }
    }

    /// A block.
    pub fn encode(&mut self, fields: &[Field]) -> Vec<u8> {
        let mut block = Block::new();
        if let Some(bytes) = self.told.take() {
            block = block.size_update(bytes as u64);
        }
        for (name, value) in fields {
            let found = self.table.find(name.as_bytes(), value.as_bytes());
            // Secrets stay out of the tables (RFC 7541, section 7.1).
            let indexing = if name == "authorization" { Indexing::Never } else { Indexing::Incremental };
            let shorter = huffman::encode(value.as_bytes()).len() < value.len();
            block = match found {
                (_, Some(whole)) => block.indexed(whole as u64),
                (Some(name), None) => block.named(indexing, name as u64, value, shorter),
                (None, None) => block.field(indexing, name, value, shorter),
            };
            if indexing == Indexing::Incremental && found.1.is_none() {
                self.table.insert(name.as_bytes().to_vec(), value.as_bytes().to_vec());
            }
        }
        block.into()
    }
}

#[cfg(test)]
mod tests {
    use super::{Block, Decoder, Encoder, Indexing, integer};

    /// RFC 7541, Appendix C.1.
    #[test]
    fn integers() {
        for (value, bits, bytes) in
            [(10, 5, &[0x0a][..]), (1337, 5, &[0x1f, 0x9a, 0x0a]), (42, 8, &[0x2a]), (31, 5, &[0x1f, 0])]
        {
            let mut into = Vec::new();
            integer(&mut into, 0, bits, value);
            assert_eq!(into, bytes);
        }
    }

    /// RFC 7541, Appendix C.2.
    #[test]
    fn single_fields() {
        let custom = Block::new().field(Indexing::Incremental, "custom-key", "custom-header", false);
        assert_eq!(custom.bytes(), b"\x40\x0acustom-key\x0dcustom-header");
        assert_eq!(
            Block::new().named(Indexing::Without, 4, "/sample/path", false).bytes(),
            b"\x04\x0c/sample/path"
        );
        assert_eq!(
            Block::new().field(Indexing::Never, "password", "secret", false).bytes(),
            b"\x10\x08password\x06secret"
        );
        assert_eq!(Block::new().indexed(2).bytes(), [0x82]);
        assert_eq!(Block::new().size_update(0).bytes(), [0x20]);
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let (mut encoder, mut decoder) = (Encoder::new(4096), Decoder::new(4096));
        let fields = |path: &str| {
            let fields = [(":method", "GET"), (":path", path), ("x-a", "b c"), ("authorization", "secret")];
            fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
        };
        let mut lengths = Vec::new();
        for path in ["/a", "/a", "/b", "/a"] {
            let block = encoder.encode(&fields(path));
            lengths.push(block.len());
            assert_eq!(decoder.decode_text(&block).unwrap(), fields(path));
        }
        assert!(lengths[1] < lengths[0] && lengths[3] == lengths[1], "{lengths:?}");
        encoder.limit(0);
        assert_eq!(decoder.decode_text(&encoder.encode(&fields("/a"))).unwrap(), fields("/a"));
    }
}
