//! Header blocks to fields (RFC 7541 §3, §6).

use message::Name;

use super::huffman::{decode as decode_huffman, decoded_bytes_max};
use super::statics::{self, STATICS_COUNT};
use super::table::Table;
use super::{Broken, Field, TABLE_BYTES, integer, value_is_sound};

/// What the first byte of a field's representation says (§6.1, §6.2), and the bits of the integer in it.
const INDEXED: u8 = 0x80;
const INDEX_BITS: u8 = 0x7f;
const LITERAL_TO_INDEX: u8 = 0x40;
const LITERAL_TO_INDEX_BITS: u8 = 0x3f;
const SIZE_UPDATE: u8 = 0x20;
const SIZE_UPDATE_BITS: u8 = 0x1f;
const NEVER_INDEXED: u8 = 0x10;
const LITERAL_BITS: u8 = 0x0f;
/// Of a string: whether it is in Huffman's code, and its length (§5.2).
const HUFFMAN: u8 = 0x80;
const STRING_BITS: u8 = 0x7f;

/// Updates of the table's size that a block may begin with: the smallest and the last one since the last block (§4.2).
const SIZE_UPDATES_MAX: usize = 2;
/// What is asked for first to decode strings into.
const SCRATCH_BYTES_FIRST: usize = 128;
/// More than this is given back when a block was read.
const SCRATCH_BYTES_KEPT: usize = 4096;

/// The side that reads, and its table.
pub(in crate::h2) struct Decoder {
    table: Table,
    /// What the peer may set the table's size to.
    size_limit: usize,
    scratch: Scratch,
}

/// A moment in the life of a table.
#[derive(Clone, Copy, Debug)]
pub(in crate::h2) struct Mark {
    inserted: u32,
    size_max: usize,
}

impl Decoder {
    /// With a dynamic table of at most so many bytes (RFC 7541 §4.1: 32 per entry on top), which is also our
    /// SETTINGS_HEADER_TABLE_SIZE. It begins with 4096 bytes in any case, since the peer fills it before our settings
    /// reach it.
    pub(in crate::h2) const fn new(table_bytes_max: usize) -> Self {
        Self { table: Table::new(TABLE_BYTES), size_limit: table_bytes_max, scratch: Scratch::new() }
    }

    /// Decodes a whole header block and shows each field in order, and whether no hop may keep it in a table (§6.2.3). The whole
    /// block is always decoded, since the state depends on it.
    #[inline(always)]
    pub(in crate::h2) fn decode(
        &mut self,
        block: &[u8],
        each: impl FnMut(Field<'_>, bool),
    ) -> Result<(), Broken> {
        self.decode_part(block, true, each)
    }

    /// The same for a part that ends where [`whole`] says, or with its block; whether it `begins` the block.
    pub(in crate::h2) fn decode_part(
        &mut self,
        part: &[u8],
        begins: bool,
        mut each: impl FnMut(Field<'_>, bool),
    ) -> Result<(), Broken> {
        let mut rest = part;
        if begins {
            self.update_size(&mut rest)?;
        }
        while let Some((&first, behind)) = rest.split_first() {
            rest = behind;
            if first >= INDEXED {
                let index = integer::read(first, INDEX_BITS, &mut rest)?;
                each(find(&self.table, index)?, false);
            } else {
                self.read_literal(first, &mut rest, &mut each)?;
            }
        }
        self.scratch.rest();
        Ok(())
    }

    /// What its table has been given by now.
    pub(in crate::h2) fn mark(&self) -> Mark {
        Mark { inserted: self.table.inserted(), size_max: self.table.size_max() }
    }

    /// One that reads a block as this one did at that time: unless the table's size was changed since, and but for entries that have
    /// left it. A block that names one of those is [`Broken`].
    #[cold]
    pub(in crate::h2) fn as_of(&self, mark: Mark) -> Option<Self> {
        let is_same = mark.size_max == self.table.size_max();
        is_same.then(|| Self { table: self.table.as_of(mark.inserted), ..Self::new(self.size_limit) })
    }

    /// Bytes of memory that it holds beyond itself.
    pub(in crate::h2) fn held_bytes(&self) -> usize {
        self.table.held_bytes() + self.scratch.bytes.capacity()
    }

    /// Takes what a block may begin with. Anywhere else it is broken.
    fn update_size(&mut self, rest: &mut &[u8]) -> Result<(), Broken> {
        for _ in 0..SIZE_UPDATES_MAX {
            let Some((&first, behind)) = rest.split_first() else {
                return Ok(());
            };
            if first & !SIZE_UPDATE_BITS != SIZE_UPDATE {
                return Ok(());
            }
            *rest = behind;
            let size = integer::read(first, SIZE_UPDATE_BITS, rest)?;
            if size > self.size_limit {
                return Err(Broken);
            }
            self.table.set_size_max(size);
        }
        Ok(())
    }

    /// Reads a field that is written out, at least its value; shows it, and puts it into the table if it shall be there.
    fn read_literal(
        &mut self,
        first: u8,
        rest: &mut &[u8],
        each: &mut impl FnMut(Field<'_>, bool),
    ) -> Result<(), Broken> {
        let Self { table, scratch, .. } = self;
        let is_to_index = first >= LITERAL_TO_INDEX;
        let index = match first {
            LITERAL_TO_INDEX.. => integer::read(first, LITERAL_TO_INDEX_BITS, rest)?,
            SIZE_UPDATE.. => return Err(Broken),
            _ => integer::read(first, LITERAL_BITS, rest)?,
        };
        scratch.used = 0;
        let named = match index {
            0 => Named { text: scratch.read(rest)?, is_known: None },
            _ => {
                let found = find(table, index)?;
                let is_known = Some((found.known, found.name_is_sound));
                // The entry may be one of those that give way to the new one (§4.4).
                let text = match statics::get(index) {
                    Some(found) => Text::Sent(found.name),
                    None => scratch.keep(found.name),
                };
                Named { text, is_known }
            }
        };
        let value = scratch.read(rest)?;
        let (name, value) = (named.text.of(scratch), value.of(scratch));
        let field = match named.is_known {
            Some((known, name_is_sound)) => {
                Field { known, name, value, name_is_sound, value_is_sound: value_is_sound(value) }
            }
            None => Field::new(name, value),
        };
        each(field, first & !LITERAL_BITS == NEVER_INDEXED);
        if is_to_index {
            table.insert(field);
        }
        Ok(())
    }
}

/// How many bytes of a part of a block are whole fields. What is broken is not whole either: it shows when the rest is decoded.
pub(in crate::h2) fn whole(part: &[u8]) -> usize {
    let mut rest = part;
    loop {
        let whole = part.len() - rest.len();
        if skip_field(&mut rest).is_err() {
            return whole;
        }
    }
}

/// Passes over a field, or a size update.
fn skip_field(rest: &mut &[u8]) -> Result<(), Broken> {
    let (&first, behind) = rest.split_first().ok_or(Broken)?;
    *rest = behind;
    let (mask, has_value) = match first {
        INDEXED.. => (INDEX_BITS, false),
        LITERAL_TO_INDEX.. => (LITERAL_TO_INDEX_BITS, true),
        SIZE_UPDATE.. => (SIZE_UPDATE_BITS, false),
        _ => (LITERAL_BITS, true),
    };
    let index = integer::read(first, mask, rest)?;
    let strings = if has_value { 1 + usize::from(index == 0) } else { 0 };
    for _ in 0..strings {
        let (&first, behind) = rest.split_first().ok_or(Broken)?;
        *rest = behind;
        let bytes = integer::read(first, STRING_BITS, rest)?;
        *rest = rest.get(bytes..).ok_or(Broken)?;
    }
    Ok(())
}

/// The name of a field, and what a table knows about it.
struct Named<'b> {
    text: Text<'b>,
    is_known: Option<(Name, bool)>,
}

/// The field of an index (§2.3.3).
#[inline(always)]
fn find(table: &Table, index: usize) -> Result<Field<'_>, Broken> {
    match statics::get(index) {
        Some(found) => Ok(*found),
        // Zero is no index, and becomes one that nobody has.
        None => table.get(index.wrapping_sub(STATICS_COUNT + 1)).ok_or(Broken),
    }
}

/// Where strings are decoded to. All bytes of it are there to be written; those in use are the first ones.
struct Scratch {
    bytes: Vec<u8>,
    used: usize,
}

/// A string where it lies.
#[derive(Clone, Copy)]
enum Text<'b> {
    /// In the block, or for ever.
    Sent(&'b [u8]),
    /// In [`Scratch`].
    Decoded { begin: usize, end: usize },
}

impl<'b> Text<'b> {
    #[inline(always)]
    fn of<'a>(self, scratch: &'a Scratch) -> &'a [u8]
    where
        'b: 'a,
    {
        match self {
            Self::Sent(text) => text,
            Self::Decoded { begin, end } => scratch.bytes.get(begin..end).unwrap_or_default(),
        }
    }
}

impl Scratch {
    const fn new() -> Self {
        Self { bytes: Vec::new(), used: 0 }
    }

    /// Reads a string (§5.2).
    #[inline]
    fn read<'b>(&mut self, rest: &mut &'b [u8]) -> Result<Text<'b>, Broken> {
        let (&first, behind) = rest.split_first().ok_or(Broken)?;
        *rest = behind;
        let bytes = integer::read(first, STRING_BITS, rest)?;
        let (text, behind) = rest.split_at_checked(bytes).ok_or(Broken)?;
        *rest = behind;
        if first < HUFFMAN { Ok(Text::Sent(text)) } else { self.decode(text) }
    }

    fn decode<'b>(&mut self, coded: &[u8]) -> Result<Text<'b>, Broken> {
        let bytes = decode_huffman(coded, self.room(decoded_bytes_max(coded.len())))?;
        Ok(self.take(bytes))
    }

    /// Keeps a copy.
    fn keep<'b>(&mut self, text: &[u8]) -> Text<'b> {
        self.room(text.len()).copy_from_slice(text);
        self.take(text.len())
    }

    /// So many bytes behind those in use.
    #[inline]
    fn room(&mut self, bytes: usize) -> &mut [u8] {
        let end = self.used + bytes;
        if end > self.bytes.len() {
            self.bytes.resize(end.next_power_of_two().max(SCRATCH_BYTES_FIRST), 0);
        }
        &mut self.bytes[self.used..end]
    }

    fn take<'b>(&mut self, bytes: usize) -> Text<'b> {
        let begin = self.used;
        self.used += bytes;
        Text::Decoded { begin, end: self.used }
    }

    /// Gives up what an unusual block made it grow to.
    fn rest(&mut self) {
        if self.bytes.len() > SCRATCH_BYTES_KEPT {
            *self = Self::new();
        }
    }
}
