//! A store that is to hold less, or more again. Why, it does not know.

use hashbrown::HashTable;

use super::{Store, unlist};

impl<W> Store<W> {
    /// Another bound of the bytes held. What is above it goes by [`Self::shed`].
    pub fn set_bytes_max(&mut self, bytes_max: u64) {
        self.entries.set_capacity_bytes(bytes_max);
    }

    /// Puts out entries until no more bytes are held than may be, at most so many; whether there are still more.
    pub fn shed(&mut self, entries_max: usize) -> bool {
        for _ in 0..entries_max {
            let Some(removed) = self.entries.evict_above() else { break };
            unlist(&mut self.table, removed.hash, removed.slot);
            self.stats.evictions += 1;
        }
        if self.entries.len() == 0 {
            self.table = HashTable::new();
        }
        self.entries.bytes() > self.entries.capacity_bytes()
    }
}
