//! What a store has done, in numbers.

/// What a store has done since it was made, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Look-ups answered from an entry.
    pub hits: u64,
    /// Look-ups that found no entry or did not want one.
    pub misses: u64,
    /// Those of the misses that waited for another's fetch.
    pub waits: u64,
    /// Those of the misses that were sent to fetch for themselves.
    pub passes: u64,
    /// Fetches that became entries.
    pub fills: u64,
    /// Fetches whose response was not to be stored, or was too large for the store.
    pub declines: u64,
    /// Fetches whose leader died.
    pub abandons: u64,
    /// Entries put out for others.
    pub evictions: u64,
    /// Entries dropped because their time was over.
    pub expirations: u64,
    /// Entries dropped on demand.
    pub flushes: u64,
    /// Entries now.
    pub entries: u64,
    /// Bytes of all entries now, with keys, fields and overhead.
    pub bytes: u64,
    /// The bound of `bytes`.
    pub bytes_max: u64,
    /// Fetches under way.
    pub flights: u64,
}
