//! Fields to header blocks (RFC 7541 §6).
//!
//! What repeats from message to message goes into the table and is one or two bytes from then on; what does not is written
//! as it is, without Huffman's code: a core's time is dearer than a third of those bytes. To find what repeats, the last
//! entry of each known name is compared first, then what lies where a hash of name and value says. Values that change all
//! the time can't push others out: a name whose entries were put in in vain gets no further one until a value of it
//! is seen twice.

use message::Name;

use super::policy::{self, NAMES_COUNT, Policy, Rule};
use super::statics::STATICS_COUNT;
use super::table::{ENTRY_BYTES, Table};
use super::{Field, TABLE_BYTES, integer};

/// Fields that are looked for by a hash.
const SLOTS: usize = 16;
/// Entries of a name that are put in before any was of use.
const VAIN_MAX: u8 = 4;
/// An entry takes at most this part of the table.
const PARTS_OF_TABLE: usize = 2;

const INDEXED: u8 = 0x80;
const TO_INDEX: u8 = 0x40;
const SIZE_UPDATE: u8 = 0x20;
const NEVER_INDEXED: u8 = 0x10;
const NOT_INDEXED: u8 = 0x00;

/// Indices of the static table (Appendix A).
const AUTHORITY: u8 = 1;
const METHOD: u8 = 2;
const METHOD_GET: u8 = 2;
const METHOD_POST: u8 = 3;
const PATH: u8 = 4;
const PATH_ROOT: u8 = 4;
const PATH_INDEX: u8 = 5;
const SCHEME_HTTP: u8 = 6;
const SCHEME_HTTPS: u8 = 7;
const STATUS: u8 = 8;
const ACCEPT_ENCODING_USUAL: u8 = 16;

/// The side that writes, and its table.
pub(in crate::h2) struct Encoder {
    table: Table,
    /// Entries that were put in so far; it wraps, as do the numbers of entries. No two that are in have the same, since no more
    /// than 128 have room.
    inserted: u8,
    /// The number of the last entry of each known name; under [`Name::Other`] that of `:authority`.
    last: [u8; NAMES_COUNT],
    /// Entries of each known name that were put in since one was of use.
    vain: [u8; NAMES_COUNT],
    /// Of fields that were sent: their hashes, and the numbers of their entries if they have one.
    hashes: [u32; SLOTS],
    numbers: [u8; SLOTS],
    resized: Option<Resized>,
}

/// What became of the table's size since the last block (§4.2).
#[derive(Clone, Copy)]
struct Resized {
    smallest: u16,
    last: u16,
}

impl Encoder {
    /// With a table of 4096 bytes, as the protocol begins.
    pub(in crate::h2) const fn new() -> Self {
        Self {
            table: Table::new(TABLE_BYTES),
            inserted: 0,
            last: [0; NAMES_COUNT],
            vain: [0; NAMES_COUNT],
            hashes: [0; SLOTS],
            numbers: [0; SLOTS],
            resized: None,
        }
    }

    /// Bytes of memory that it holds beyond itself.
    pub(in crate::h2) fn held_bytes(&self) -> usize {
        self.table.held_bytes()
    }

    /// Takes note of the peer's SETTINGS_HEADER_TABLE_SIZE; we use at most 4096 bytes of it.
    pub(in crate::h2) fn set_table_bytes_max(&mut self, bytes: u32) {
        let last = bytes.min(TABLE_BYTES as u32) as u16;
        let smallest = self.resized.map_or(last, |resized| resized.smallest.min(last));
        self.resized = Some(Resized { smallest, last });
    }

    /// Begins a block: says what became of the table's size since the last one.
    pub(in crate::h2) fn begin(&mut self, out: &mut Vec<u8>) {
        if let Some(Resized { smallest, last }) = self.resized.take() {
            let (smallest, last) = (smallest.into(), last.into());
            if smallest < self.table.size_max() {
                self.resize(smallest, out);
            }
            if last != self.table.size_max() {
                self.resize(last, out);
            }
        }
    }

    fn resize(&mut self, size_max: usize, out: &mut Vec<u8>) {
        integer::write(SIZE_UPDATE, 0x1f, size_max, out);
        self.table.set_size_max(size_max);
    }

    /// `:status`
    pub(in crate::h2) fn status(&mut self, status: u16, out: &mut Vec<u8>) {
        let index = match status {
            200 => 8,
            204 => 9,
            206 => 10,
            304 => 11,
            400 => 12,
            404 => 13,
            500 => 14,
            status => {
                let digit = |unit: u16| b'0' + (status / unit % 10) as u8;
                out.extend_from_slice(&[NOT_INDEXED | STATUS, 3, digit(100), digit(10), digit(1)]);
                return;
            }
        };
        out.push(INDEXED | index);
    }

    /// `:method`
    pub(in crate::h2) fn method(&mut self, method: &[u8], out: &mut Vec<u8>) {
        match method {
            b"GET" => out.push(INDEXED | METHOD_GET),
            b"POST" => out.push(INDEXED | METHOD_POST),
            method => write_literal(NOT_INDEXED, METHOD.into(), b"", method, out),
        }
    }

    /// `:scheme`
    pub(in crate::h2) fn scheme(&mut self, secure: bool, out: &mut Vec<u8>) {
        out.push(INDEXED | if secure { SCHEME_HTTPS } else { SCHEME_HTTP });
    }

    /// `:authority`
    pub(in crate::h2) fn authority(&mut self, authority: &[u8], never_indexed: bool, out: &mut Vec<u8>) {
        if never_indexed {
            return write_never_indexed(AUTHORITY.into(), b"", &[authority], out);
        }
        let rule = Rule { policy: Policy::Index, index: AUTHORITY };
        self.write_indexable(rule, Name::Other, b":authority", authority, out);
    }

    /// `:path`
    pub(in crate::h2) fn path(
        &mut self,
        path: &[u8],
        query: Option<&[u8]>,
        never_indexed: bool,
        out: &mut Vec<u8>,
    ) {
        match (path, query) {
            (path, None) if never_indexed => write_never_indexed(PATH.into(), b"", &[path], out),
            (path, Some(query)) if never_indexed => {
                write_never_indexed(PATH.into(), b"", &[path, b"?", query], out);
            }
            (b"/", None) => out.push(INDEXED | PATH_ROOT),
            (b"/index.html", None) => out.push(INDEXED | PATH_INDEX),
            (path, None) => write_literal(NOT_INDEXED, PATH.into(), b"", path, out),
            (path, Some(query)) => {
                out.push(NOT_INDEXED | PATH);
                integer::write(0, 0x7f, path.len() + 1 + query.len(), out);
                out.extend_from_slice(path);
                out.push(b'?');
                out.extend_from_slice(query);
            }
        }
    }

    /// Any other field. `name` may be in any case and is written in lower case; `known` is its number.
    pub(in crate::h2) fn field(&mut self, known: Name, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        if known != Name::Other {
            let age = self.age(self.last[known as usize]);
            if self.table.is(age, known, value) {
                self.vain[known as usize] = 0;
                return write_index(age, out);
            }
        }
        let rule = policy::of(known, name, value);
        match rule.policy {
            Policy::Write => write_literal(NOT_INDEXED, rule.index.into(), name, value, out),
            Policy::Hide => write_literal(NEVER_INDEXED, rule.index.into(), name, value, out),
            Policy::Index | Policy::IndexRepeated => self.write_indexable(rule, known, name, value, out),
        }
    }

    /// The same for a field of which somebody has said that no hop may keep it in a table (§6.2.3), whatever the rules are here.
    pub(in crate::h2) fn never_indexed(&mut self, known: Name, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        write_never_indexed(policy::of(known, name, value).index.into(), name, &[value], out);
    }

    /// Writes a field that may be in the table, or may go there.
    fn write_indexable(&mut self, rule: Rule, known: Name, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        // Pseudo-fields and fields that have no number.
        let is_named = known != Name::Other;
        let has_last = is_named || rule.index == AUTHORITY;
        let mut index = usize::from(rule.index);
        let is_same_name =
            |entry: &Field<'_>| entry.known == known && (is_named || policy::is_same(entry.name, name));
        if has_last
            && let Some((age, entry)) = self.entry(self.last[known as usize])
            && is_same_name(&entry)
        {
            if entry.value == value {
                self.vain[known as usize] = 0;
                return write_index(age, out);
            }
            if index == 0 {
                index = STATICS_COUNT + 1 + age;
            }
        }
        if known == Name::AcceptEncoding && value == b"gzip, deflate" {
            return out.push(INDEXED | ACCEPT_ENCODING_USUAL);
        }
        if (name.len() + value.len() + ENTRY_BYTES) * PARTS_OF_TABLE > self.table.size_max() {
            return write_literal(NOT_INDEXED, index, name, value, out);
        }
        let hash = hash(known, name, value);
        let slot = hash as usize % SLOTS;
        let is_repeated = self.hashes[slot] == hash;
        if is_repeated
            && let Some((age, entry)) = self.entry(self.numbers[slot])
            && is_same_name(&entry)
            && entry.value == value
        {
            if has_last {
                self.last[known as usize] = self.numbers[slot];
                self.vain[known as usize] = 0;
            }
            return write_index(age, out);
        }
        self.hashes[slot] = hash;
        let is_wanted = is_repeated || (rule.policy == Policy::Index && self.vain[known as usize] < VAIN_MAX);
        if !is_wanted {
            return write_literal(NOT_INDEXED, index, name, value, out);
        }
        write_literal(TO_INDEX, index, name, value, out);
        let field = Field { known, name, value, name_is_sound: true, value_is_sound: true };
        if let Some(name) = self.table.insert(field) {
            name.make_ascii_lowercase();
        }
        self.numbers[slot] = self.inserted;
        if has_last {
            self.last[known as usize] = self.inserted;
            self.vain[known as usize] = self.vain[known as usize].saturating_add(1);
        }
        self.inserted = self.inserted.wrapping_add(1);
    }

    /// The entry of a number and its age, if it is still in. It may be another one that has that number now.
    #[inline(always)]
    fn entry(&self, number: u8) -> Option<(usize, Field<'_>)> {
        let age = self.age(number);
        self.table.get(age).map(|entry| (age, entry))
    }

    /// How many entries were put in after the one of this number.
    #[inline(always)]
    fn age(&self, number: u8) -> usize {
        self.inserted.wrapping_sub(number).wrapping_sub(1).into()
    }
}

/// Writes a field that is in the table.
#[inline(always)]
fn write_index(age: usize, out: &mut Vec<u8>) {
    integer::write(INDEXED, 0x7f, STATICS_COUNT + 1 + age, out);
}

/// Writes a field that is in no table, or its value if `index` has its name.
#[inline(always)]
fn write_literal(kind: u8, index: usize, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let mask = if kind == TO_INDEX { 0x3f } else { 0x0f };
    integer::write(kind, mask, index, out);
    if index == 0 {
        integer::write(0, 0x7f, name.len(), out);
        let begin = out.len();
        out.extend_from_slice(name);
        out[begin..].make_ascii_lowercase();
    }
    integer::write(0, 0x7f, value.len(), out);
    out.extend_from_slice(value);
}

/// The same where others have said what no table may have, which few do; the value in parts.
#[cold]
#[inline(never)]
fn write_never_indexed(index: usize, name: &[u8], value: &[&[u8]], out: &mut Vec<u8>) {
    integer::write(NEVER_INDEXED, 0x0f, index, out);
    if index == 0 {
        integer::write(0, 0x7f, name.len(), out);
        out.extend(name.to_ascii_lowercase());
    }
    integer::write(0, 0x7f, value.iter().map(|part| part.len()).sum(), out);
    value.iter().for_each(|part| out.extend_from_slice(part));
}

/// Of a field; the same for a name in any case.
fn hash(known: Name, name: &[u8], value: &[u8]) -> u32 {
    const SPACES: u64 = u64::from_ne_bytes([b' '; 8]);
    let mut hash = known as u64;
    if known == Name::Other {
        hash = mix(hash, name, SPACES);
    }
    (mix(hash, value, 0) >> 32) as u32
}

/// Mixes a text into a hash, each of its bytes with these bits set.
#[inline(always)]
fn mix(hash: u64, text: &[u8], set: u64) -> u64 {
    // 2^64 divided by the golden ratio, as Fibonacci hashing does it.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let step = |hash: u64, word: u64| (hash.rotate_left(29) ^ (word | set)).wrapping_mul(FACTOR);
    let (words, rest) = text.as_chunks();
    let hash = words.iter().fold(hash, |hash, word| step(hash, u64::from_le_bytes(*word)));
    let last = match text.last_chunk() {
        // Some of it was mixed in before.
        Some(last) => u64::from_le_bytes(*last),
        None => rest.iter().fold(0, |last, &byte| last << 8 | u64::from(byte)),
    };
    step(hash ^ text.len() as u64, last)
}
