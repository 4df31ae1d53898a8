//! The store: one for each core, for the keys that the core owns. It answers look-ups, admits and puts out by bytes,
//! forgets by time and on demand, and lets one of many fetch. It never waits: whom it makes wait is a `W` of the caller,
//! given back exactly once. It does not know routes, HTTP or what a waiter is.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashTable;
use message::Now;

use super::flight::{Flights, Ticket, Turn};
use super::key::Key;
use super::s3_fifo::{S3Fifo, Slot};
use super::stored::Stored;

/// A question to the owner of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// What is looked for.
    pub key: Key,
    /// On what terms.
    pub mode: Mode,
}

/// What a look-up does with what it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Takes an entry; fetches one if there is none.
    Use,
    /// Fetches in any case and replaces what is there; others are served the old entry meanwhile (row 86).
    Refresh,
    /// Takes an entry; if there is none, does not fetch one: what comes back to a `HEAD` is not an entry.
    Peek,
}

/// What a look-up has come to.
#[derive(Debug)]
pub enum Outcome {
    /// Answer with this.
    Hit(Arc<Stored>),
    /// Fetch, and report by `fill`, `decline` or `abandon`.
    Fill(Ticket),
    /// The waiter is kept until the one who fetches reports.
    Wait,
    /// Fetch for yourself; nothing is stored.
    Pass,
}

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

/// The entries of one core, and who waits for those to come.
pub struct Store<W> {
    table: HashTable<Slot>,
    entries: S3Fifo<Entry>,
    flights: Flights<W>,
    refusals: Refusals,
    /// The next slot that the sweep looks at.
    hand: Slot,
    stats: Stats,
}

struct Entry {
    key: Key,
    stored: Arc<Stored>,
}

/// Bytes of an entry beside its key, its fields and its body: node, places in the tables at their lowest load, ghost,
/// the counts and slack of four allocations.
const ENTRY_BYTES: u64 = 384;

/// Slots that one sweep looks at.
const SWEEP_SLOTS: usize = 1_024;

impl<W> Store<W> {
    /// A store whose entries never take more than so many bytes. Nothing is allocated yet.
    pub fn new(capacity_bytes: u64) -> Self {
        Self {
            table: HashTable::new(),
            entries: S3Fifo::new(capacity_bytes),
            flights: Flights::new(),
            refusals: Refusals::default(),
            hand: 0,
            stats: Stats::default(),
        }
    }

    /// Answers a look-up. `waiter` is called only if the outcome is [`Outcome::Wait`].
    pub fn lookup(&mut self, lookup: Lookup, waiter: impl FnOnce() -> W, now: Now) -> Outcome {
        let Lookup { key, mode } = lookup;
        if mode != Mode::Refresh
            && let Some(stored) = self.fresh(&key, now)
        {
            self.stats.hits += 1;
            return Outcome::Hit(stored);
        }
        self.stats.misses += 1;
        let passes = match mode {
            Mode::Use => self.refusals.holds(key.hash(), now),
            Mode::Refresh => false,
            Mode::Peek => true,
        };
        let turn = if passes { Turn::Pass } else { self.flights.join(key, waiter, now) };
        match turn {
            Turn::Lead(ticket) => Outcome::Fill(ticket),
            Turn::Wait => {
                self.stats.waits += 1;
                Outcome::Wait
            }
            Turn::Pass => {
                self.stats.passes += 1;
                Outcome::Pass
            }
        }
    }

    /// Takes in what a leader fetched, in place of what is there, and gives it back with those who are to be answered
    /// with it. It is not kept if it is larger than the store, if its time is over, or if the key was invalidated or the
    /// lease handed on since the leader set out; in the last case nobody waits for this one.
    pub fn fill(&mut self, ticket: Ticket, stored: Stored, now: Now) -> (Arc<Stored>, VecDeque<W>) {
        let stored = Arc::new(stored);
        let Some(landed) = self.flights.land(&ticket) else {
            return (stored, VecDeque::new());
        };
        if !landed.is_outdated && stored.is_fresh(now) {
            self.insert(ticket.key, Arc::clone(&stored));
        }
        (stored, landed.waiters)
    }

    /// A leader's response is not to be stored: gives back those who are to fetch for themselves. When that is `lasting`
    /// (the backend forbids it, and is not just failing), look-ups of the next second are not made to wait in vain.
    pub fn decline(&mut self, ticket: Ticket, lasting: bool, now: Now) -> VecDeque<W> {
        self.stats.declines += 1;
        if lasting {
            self.refusals.add(ticket.key.hash(), now);
        }
        self.flights.land(&ticket).map(|landed| landed.waiters).unwrap_or_default()
    }

    /// A leader died: gives back the one that waits longest, and its own right to fetch. If that one's client has left
    /// too, abandon its ticket in turn.
    pub fn abandon(&mut self, ticket: Ticket, now: Now) -> Option<(W, Ticket)> {
        self.stats.abandons += 1;
        self.flights.promote(&ticket, now)
    }

    /// Drops the entries of all routes whose identity begins so, all entries for an empty prefix, and says how many. What
    /// is being fetched for them is not stored. Looks at every entry.
    pub fn flush(&mut self, identity_prefix: &str) -> usize {
        let is_meant = |key: &Key| key.identity().starts_with(identity_prefix.as_bytes());
        self.flights.outdate(is_meant);
        let is_dropped = |entry: &Entry| is_meant(&entry.key);
        let dropped =
            (0..self.entries.slots()).filter(|slot| self.drop_if(*slot as Slot, is_dropped)).count();
        self.stats.flushes += dropped as u64;
        dropped
    }

    /// To be called now and then: drops some of the entries whose time is over, and gives back who is to fetch in place
    /// of leaders that are overdue.
    pub fn sweep(&mut self, now: Now) -> Vec<(W, Ticket)> {
        let slots = self.entries.slots();
        for _ in 0..slots.min(SWEEP_SLOTS) {
            self.hand = if (self.hand as usize) + 1 < slots { self.hand + 1 } else { 0 };
            if self.drop_if(self.hand, |entry| !entry.stored.is_fresh(now)) {
                self.stats.expirations += 1;
            }
        }
        self.flights.relieve(now)
    }

    /// What was done and is held.
    pub fn stats(&self) -> Stats {
        Stats {
            entries: self.entries.len() as u64,
            bytes: self.entries.bytes(),
            bytes_max: self.entries.capacity_bytes(),
            flights: self.flights.len() as u64,
            ..self.stats
        }
    }

    fn fresh(&mut self, key: &Key, now: Now) -> Option<Arc<Stored>> {
        let slot = self.find(key)?;
        let entry = self.entries.get(slot)?;
        if entry.stored.is_fresh(now) {
            let stored = Arc::clone(&entry.stored);
            self.entries.touch(slot);
            return Some(stored);
        }
        self.drop_if(slot, |_| true);
        self.stats.expirations += 1;
        None
    }

    fn insert(&mut self, key: Key, stored: Arc<Stored>) {
        let bytes = ENTRY_BYTES + key.len() as u64 + stored.bytes();
        let old = self.find(&key).and_then(|slot| {
            unlist(&mut self.table, key.hash(), slot);
            self.entries.remove(slot)
        });
        if bytes > self.entries.capacity_bytes() {
            self.stats.declines += 1;
            return;
        }
        self.stats.fills += 1;
        let hash = key.hash();
        let standing = old.map(|old| old.standing);
        let (table, evictions) = (&mut self.table, &mut self.stats.evictions);
        let slot = self.entries.insert(hash, bytes, Entry { key, stored }, standing, |removed| {
            unlist(table, removed.hash, removed.slot);
            *evictions += 1;
        });
        let entries = &self.entries;
        self.table.insert_unique(hash, slot, |slot| entries.get(*slot).map_or(0, |entry| entry.key.hash()));
    }

    fn find(&self, key: &Key) -> Option<Slot> {
        let is_it = |slot: &Slot| self.entries.get(*slot).is_some_and(|entry| entry.key == *key);
        self.table.find(key.hash(), is_it).copied()
    }

    fn drop_if(&mut self, slot: Slot, is_dropped: impl FnOnce(&Entry) -> bool) -> bool {
        let Some(entry) = self.entries.get(slot).filter(|entry| is_dropped(entry)) else { return false };
        unlist(&mut self.table, entry.key.hash(), slot);
        self.entries.remove(slot).is_some()
    }
}

impl<W> std::fmt::Debug for Store<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

fn unlist(table: &mut HashTable<Slot>, hash: u64, slot: Slot) {
    if let Ok(place) = table.find_entry(hash, |own| *own == slot) {
        place.remove();
    }
}

/// Keys whose responses were lately found not to be for storing, so that requests for them do not queue behind one
/// another. By hash, each in one place: one that takes another's place, or is taken for it, costs a wait or a fetch and
/// no wrong answer.
#[derive(Default)]
struct Refusals {
    /// Hash, and until when; empty until the first.
    places: Box<[(u64, u64)]>,
}

/// Places for refusals; a power of two.
const REFUSALS: usize = 1_024;

/// How long a refusal counts.
const REFUSAL_NS: u64 = 1_000_000_000;

impl Refusals {
    fn holds(&self, hash: u64, now: Now) -> bool {
        self.places.get(place(hash)).is_some_and(|(own, until_ns)| *own == hash && now.mono_ns < *until_ns)
    }

    fn add(&mut self, hash: u64, now: Now) {
        if self.places.is_empty() {
            self.places = vec![(0, 0); REFUSALS].into();
        }
        self.places[place(hash)] = (hash, now.mono_ns.saturating_add(REFUSAL_NS));
    }
}

fn place(hash: u64) -> usize {
    hash as usize & (REFUSALS - 1)
}
