//! The dynamic table (RFC 7541 §2.3.2, §4): what was put in last is found by how long ago that was, and what is oldest
//! gives way. Names and values lie one behind the other in one piece of memory that grows with what is really there, so
//! that in the long run an insertion costs a copy of its bytes, and no allocation.

use std::collections::VecDeque;

use message::Name;

use super::Field;

/// What an entry counts for besides its bytes (RFC 7541 §4.1).
pub(super) const ENTRY_BYTES: usize = 32;
/// What is asked for first; most connections need no more than twice of it.
const BYTES_FIRST: usize = 256;
/// Entries that there is room for at first: 128 bytes.
const ENTRIES_FIRST: usize = 8;

/// The entries, and the most that they may take.
pub(super) struct Table {
    /// Names and values in the order of their entries; those of entries that are gone may stand in front.
    texts: Vec<u8>,
    /// The newest one first.
    entries: VecDeque<Entry>,
    /// Bytes that once stood before `texts`; it may wrap.
    moved: u32,
    /// Entries that were ever put in; it may wrap.
    inserted: u32,
    /// As RFC 7541 §4.1 counts them.
    size: usize,
    size_max: usize,
}

#[derive(Clone, Copy)]
struct Entry {
    /// Where its name begins in all bytes that were ever put in; it may wrap. Its value stands behind that.
    begin: u32,
    name_bytes: u32,
    value_bytes: u32,
    known: Name,
    name_is_sound: bool,
    value_is_sound: bool,
}

impl Table {
    /// An empty table without memory.
    pub(super) const fn new(size_max: usize) -> Self {
        Self { texts: Vec::new(), entries: VecDeque::new(), moved: 0, inserted: 0, size: 0, size_max }
    }

    pub(super) fn size_max(&self) -> usize {
        self.size_max
    }

    /// Bytes of memory that it holds.
    pub(super) fn held_bytes(&self) -> usize {
        self.texts.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    /// How many entries were ever put in; it may wrap.
    pub(super) fn inserted(&self) -> u32 {
        self.inserted
    }

    /// As it was when so many had been put in, without what has left it since.
    #[cold]
    pub(super) fn as_of(&self, inserted: u32) -> Self {
        let mut table = Self::new(self.size_max);
        let newer = self.inserted.wrapping_sub(inserted) as usize;
        for age in (newer..self.entries.len()).rev() {
            if let Some(field) = self.get(age) {
                table.insert(field);
            }
        }
        table
    }

    /// The entry that so many were put in after.
    #[inline]
    pub(super) fn get(&self, age: usize) -> Option<Field<'_>> {
        let entry = self.entries.get(age)?;
        let begin = entry.begin.wrapping_sub(self.moved) as usize;
        let (name, behind) = self.texts.get(begin..)?.split_at_checked(entry.name_bytes as usize)?;
        Some(Field {
            known: entry.known,
            name,
            value: behind.get(..entry.value_bytes as usize)?,
            name_is_sound: entry.name_is_sound,
            value_is_sound: entry.value_is_sound,
        })
    }

    /// Whether the entry that so many were put in after has this name and this value.
    #[inline(always)]
    pub(super) fn is(&self, age: usize, known: Name, value: &[u8]) -> bool {
        let Some(entry) = self.entries.get(age) else {
            return false;
        };
        if entry.known != known || entry.value_bytes as usize != value.len() {
            return false;
        }
        let begin = entry.begin.wrapping_sub(self.moved).wrapping_add(entry.name_bytes) as usize;
        self.texts.get(begin..).and_then(|texts| texts.get(..value.len())) == Some(value)
    }

    /// Sets the most that it may take; entries that are too much are gone (§4.3).
    pub(super) fn set_size_max(&mut self, size_max: usize) {
        self.size_max = size_max;
        self.evict(size_max);
        if size_max == 0 {
            *self = Self { inserted: self.inserted, ..Self::new(0) };
        }
    }

    /// Puts a field in, for which others give way, and returns its name where it lies now. One that is too large by itself
    /// leaves the table empty (§4.4).
    pub(super) fn insert(&mut self, field: Field<'_>) -> Option<&mut [u8]> {
        let bytes = field.name.len() + field.value.len();
        let size = bytes + ENTRY_BYTES;
        if size > self.size_max {
            self.evict(0);
            return None;
        }
        self.evict(self.size_max - size);
        self.make_room(bytes);
        let begin = self.moved.wrapping_add(self.texts.len() as u32);
        self.inserted = self.inserted.wrapping_add(1);
        self.texts.extend_from_slice(field.name);
        self.texts.extend_from_slice(field.value);
        if self.entries.capacity() == 0 {
            self.entries.reserve_exact(ENTRIES_FIRST);
        }
        self.entries.push_front(Entry {
            begin,
            name_bytes: field.name.len() as u32,
            value_bytes: field.value.len() as u32,
            known: field.known,
            name_is_sound: field.name_is_sound,
            value_is_sound: field.value_is_sound,
        });
        self.size += size;
        let name = self.texts.len() - bytes;
        self.texts.get_mut(name..name + field.name.len())
    }

    /// Takes the oldest entries out until what is left takes no more than this.
    fn evict(&mut self, size_max: usize) {
        while self.size > size_max
            && let Some(entry) = self.entries.pop_back()
        {
            self.size -= entry.name_bytes as usize + entry.value_bytes as usize + ENTRY_BYTES;
        }
    }

    /// Makes room for so many bytes behind the others: in front if the most part of the memory is free, else by taking
    /// twice as much of it, up to the table's size, which is enough for all there can be.
    fn make_room(&mut self, bytes: usize) {
        if self.texts.capacity() - self.texts.len() >= bytes {
            return;
        }
        let begin = match self.entries.back() {
            Some(oldest) => oldest.begin.wrapping_sub(self.moved) as usize,
            None => self.texts.len(),
        };
        self.texts.drain(..begin);
        self.moved = self.moved.wrapping_add(begin as u32);
        let (capacity, needed) = (self.texts.capacity(), self.texts.len() + bytes);
        if needed > capacity / 2 && capacity < self.size_max {
            let wanted = (capacity * 2).max(BYTES_FIRST).max(needed).min(self.size_max);
            self.texts.reserve_exact(wanted.max(needed) - self.texts.len());
        }
    }
}
