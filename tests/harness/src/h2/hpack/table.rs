//! HPACK's tables: the static one, and the dynamic one with its eviction (RFC 7541, sections 2.3 and 4).

use std::collections::VecDeque;

use super::ENTRY_BYTES;

/// The static table, from index 1 (RFC 7541, Appendix A).
#[rustfmt::skip]
pub const STATIC: [(&str, &str); 61] = [
    (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"),
    (":scheme", "http"), (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"),
    (":status", "304"), (":status", "400"), (":status", "404"), (":status", "500"), ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""), ("accept", ""),
    ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""), ("cache-control", ""),
    ("content-disposition", ""), ("content-encoding", ""), ("content-language", ""), ("content-length", ""),
    ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""), ("date", ""), ("etag", ""),
    ("expect", ""), ("expires", ""), ("from", ""), ("host", ""), ("if-match", ""), ("if-modified-since", ""),
    ("if-none-match", ""), ("if-range", ""), ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""),
    ("location", ""), ("max-forwards", ""), ("proxy-authenticate", ""), ("proxy-authorization", ""), ("range", ""),
    ("referer", ""), ("refresh", ""), ("retry-after", ""), ("server", ""), ("set-cookie", ""),
    ("strict-transport-security", ""), ("transfer-encoding", ""), ("user-agent", ""), ("vary", ""), ("via", ""),
    ("www-authenticate", ""),
];

/// A name and a value, of any bytes.
pub type Entry = (Vec<u8>, Vec<u8>);

/// A dynamic table with the static one before it.
#[derive(Clone, Debug)]
pub struct Table {
    /// The newest first.
    entries: VecDeque<Entry>,
    bytes: usize,
    bytes_max: usize,
}

impl Table {
    /// An empty one that holds at most so many bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, bytes_max }
    }

    /// What it may hold.
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// What it holds.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// From now on it holds at most so much.
    pub fn resize(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
        self.evict(0);
    }

    /// The newest entry; one that is larger than the table only empties it (RFC 7541, section 4.4).
    pub fn insert(&mut self, name: Vec<u8>, value: Vec<u8>) {
        let size = name.len() + value.len() + ENTRY_BYTES;
        self.evict(size);
        if size <= self.bytes_max {
            self.bytes += size;
            self.entries.push_front((name, value));
        }
    }

    /// The entry of an index.
    pub fn get(&self, index: usize) -> Option<Entry> {
        let own = |(name, value): &(&str, &str)| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        match index.checked_sub(1)? {
            first if first < STATIC.len() => STATIC.get(first).map(own),
            later => self.entries.get(later - STATIC.len()).cloned(),
        }
    }

    /// An index with this name, and one with the value as well.
    pub fn find(&self, name: &[u8], value: &[u8]) -> (Option<usize>, Option<usize>) {
        let of_static = STATIC.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let of_dynamic = self.entries.iter().map(|(name, value)| (&name[..], &value[..]));
        let mut named = None;
        for (number, entry) in of_static.chain(of_dynamic).enumerate() {
            if entry == (name, value) {
                return (named, Some(number + 1));
            }
            if entry.0 == name && named.is_none() {
                named = Some(number + 1);
            }
        }
        (named, None)
    }

    fn evict(&mut self, room: usize) {
        while self.bytes + room > self.bytes_max {
            let Some((name, value)) = self.entries.pop_back() else { break };
            self.bytes -= name.len() + value.len() + ENTRY_BYTES;
        }
    }
}
