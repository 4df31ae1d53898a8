//! Replicas: what a core keeps of entries that other cores own, so that a key that is hot here costs no letter. A replica
//! has counts of its own and shares only the bytes of the body with its owner's entry, so that answering with it writes
//! to no line that another core uses. It holds while it is fresh and its owner's epoch is the one it was given in; all
//! else (validation, stale answers, who fetches) is for the owner to say. This module does not know how the owner is
//! asked.
//!
//! What is asked for once costs nothing here but a note; the second time it is kept, and from the third on it is found.

use std::sync::Arc;

use hashbrown::HashTable;
use message::Now;

use super::Found;
use super::epochs::Epochs;
use super::key::{Key, Sought};
use super::s3_fifo::{S3Fifo, Slot};
use super::store::{Lookup, Mode, Near};
use super::stored::Stored;
use super::validity::Use;
use super::vary::Rule;

/// The entries of others that one core keeps.
pub struct Replicas {
    table: HashTable<Slot>,
    entries: S3Fifo<Replica>,
    /// Hashes of keys that were asked for once, each in its one place; empty until the first.
    asked: Box<[u64]>,
    places: usize,
    epochs: Arc<Epochs>,
    /// The next slot that the sweep looks at.
    hand: Slot,
    hits: u64,
}

/// What a core's replicas have done, and what they take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplicaStats {
    /// Look-ups of other cores' keys that were answered from a replica of an entry.
    pub hits: u64,
    /// Replicas now, dead ones that were not come upon yet included.
    pub entries: u64,
    /// Bytes of all replicas now. Bodies count, though they may be shared: the owner may let go first.
    pub bytes: u64,
    /// The bound of `bytes`.
    pub bytes_max: u64,
}

struct Replica {
    key: Key,
    /// The owner's, from before it looked.
    epoch: u64,
    kept: Kept,
}

enum Kept {
    Stored(Arc<Stored>),
    Rule(Arc<Rule>),
}

/// The share of a core's cache that is for replicas: one part in so many.
const SHARE_DIVISOR: u64 = 8;

/// The largest replica, in parts of the bound: beside the sending of a large body a letter is nothing.
const LARGEST_DIVISOR: u64 = 8;

/// Bytes of a replica beside its key, its fields and its body: node, places in the tables, ghost, counts and slack of
/// five allocations.
const REPLICA_BYTES: u64 = 448;

/// Bytes of the bound for which there is one place to note a key in: no replica takes less than half of that.
const PLACE_PER_BYTES: u64 = 1_024;
const PLACES_MIN: u64 = 256;
const PLACES_MAX: u64 = 65_536;

/// Slots that one sweep looks at.
const SWEEP_SLOTS: usize = 1_024;

impl Replicas {
    /// How much of a core's cache is for replicas, in bytes: none where there is nobody else to own a key.
    pub fn share_bytes(cache_bytes: u64, cores: usize) -> u64 {
        if cores > 1 { cache_bytes / SHARE_DIVISOR } else { 0 }
    }

    /// Replicas that never take more than so many bytes, the notes of what was asked for included. Nothing is allocated
    /// yet.
    pub fn new(capacity_bytes: u64, epochs: Arc<Epochs>) -> Self {
        let places = (capacity_bytes / PLACE_PER_BYTES).clamp(PLACES_MIN, PLACES_MAX).next_power_of_two();
        Self {
            table: HashTable::new(),
            entries: S3Fifo::new(capacity_bytes.saturating_sub(places * size_of::<u64>() as u64)),
            asked: Box::default(),
            places: places as usize,
            epochs,
            hand: 0,
            hits: 0,
        }
    }

    /// The answer to a look-up of another core's key, if it can be given here.
    pub fn find(&mut self, lookup: &Lookup, now: Now) -> Option<Found> {
        let Lookup { key, mode } = lookup;
        if let Some(stored) = self.hit(&key.sought(), *mode, now) {
            return Some(Found::Hit(stored));
        }
        let Mode::Respect(_) = mode else { return None };
        let slot = self.alive(&key.sought(), now)?;
        let Kept::Rule(rule) = &self.entries.get(slot)?.kept else { return None };
        let rule = Arc::clone(rule);
        self.entries.touch(slot);
        Some(Found::Varies(rule))
    }

    /// Notes that the owner is asked, and says whether it was before: then its reply is to be kept, if it lends it.
    pub fn wants(&mut self, lookup: &Lookup) -> bool {
        if lookup.mode == Mode::Refresh || self.entries.capacity_bytes() == 0 {
            return false;
        }
        if self.asked.is_empty() {
            self.asked = vec![0; self.places].into();
        }
        let hash = lookup.key.hash();
        // The low bits name the stripe.
        let place = (hash >> 32) as usize & (self.places - 1);
        std::mem::replace(&mut self.asked[place], hash) == hash
    }

    /// Takes in what a key's owner said in an epoch of it, if that still holds and is for keeping. Gives back what to answer
    /// with.
    pub fn keep(&mut self, key: Key, epoch: u64, found: Found, now: Now) -> Found {
        let is_over = matches!(&found, Found::Hit(stored) if !stored.is_fresh(now));
        if is_over || self.epochs.of(&key) != Some(epoch) {
            return found;
        }
        let (kept, copy, bytes) = match &found {
            Found::Hit(stored) => {
                let bytes = REPLICA_BYTES + key.len() as u64 + stored.bytes();
                if !self.fits(bytes) {
                    return found;
                }
                let own = Arc::new(Stored::replica(stored));
                (Kept::Stored(Arc::clone(&own)), Found::Hit(own), bytes)
            }
            Found::Varies(rule) => {
                let bytes = REPLICA_BYTES + key.len() as u64 + rule.bytes();
                if !self.fits(bytes) {
                    return found;
                }
                let own = Arc::new(Rule::clone(rule));
                (Kept::Rule(Arc::clone(&own)), Found::Varies(own), bytes)
            }
            Found::Fill(_) | Found::Pass | Found::Validate(..) | Found::Renew(..) | Found::Absent => {
                return found;
            }
        };
        let replica = Replica { key, epoch, kept };
        if let Some(old) = self.seek(&replica.key.sought()) {
            self.drop(old);
        }
        let hash = replica.key.hash();
        let table = &mut self.table;
        let slot = self.entries.insert(hash, bytes, replica, None, |removed| {
            unlist(table, removed.hash, removed.slot);
        });
        let entries = &self.entries;
        self.table.insert_unique(hash, slot, |slot| entries.get(*slot).map_or(0, |it| it.key.hash()));
        copy
    }

    /// Lets go of all of them.
    pub fn forget(&mut self) {
        self.table = HashTable::new();
        self.entries = S3Fifo::new(self.entries.capacity_bytes());
    }

    /// To be called now and then: lets go of some of what is dead.
    pub fn sweep(&mut self, now: Now) {
        let slots = self.entries.slots();
        for _ in 0..slots.min(SWEEP_SLOTS) {
            self.hand = if (self.hand as usize) + 1 < slots { self.hand + 1 } else { 0 };
            let Some(replica) = self.entries.get(self.hand) else { continue };
            if !self.is_alive(replica, now) {
                self.drop(self.hand);
            }
        }
    }

    /// What was done and is held.
    pub fn stats(&self) -> ReplicaStats {
        // The notes are taken whether they are there yet or not.
        let notes = (self.places * size_of::<u64>()) as u64;
        let capacity = self.entries.capacity_bytes();
        let allocated = (self.asked.len() * size_of::<u64>()) as u64;
        ReplicaStats {
            hits: self.hits,
            entries: self.entries.len() as u64,
            bytes: self.entries.bytes() + allocated,
            bytes_max: if capacity == 0 { 0 } else { capacity + notes },
        }
    }

    fn fits(&self, bytes: u64) -> bool {
        bytes <= self.entries.capacity_bytes() / LARGEST_DIVISOR
    }

    /// Whether it may be answered with.
    fn is_alive(&self, replica: &Replica, now: Now) -> bool {
        let is_fresh = match &replica.kept {
            Kept::Stored(stored) => stored.is_fresh(now),
            Kept::Rule(_) => true,
        };
        is_fresh && self.epochs.of(&replica.key) == Some(replica.epoch)
    }

    /// Where a replica is that may be answered with; one that may not is let go.
    fn alive(&mut self, sought: &Sought<'_>, now: Now) -> Option<Slot> {
        let slot = self.seek(sought)?;
        if self.is_alive(self.entries.get(slot)?, now) {
            return Some(slot);
        }
        self.drop(slot);
        None
    }

    fn seek(&self, sought: &Sought<'_>) -> Option<Slot> {
        let is_it = |slot: &Slot| self.entries.get(*slot).is_some_and(|entry| entry.key.is(sought));
        self.table.find(sought.hash(), is_it).copied()
    }

    fn drop(&mut self, slot: Slot) {
        if let Some(removed) = self.entries.remove(slot) {
            unlist(&mut self.table, removed.hash, slot);
        }
    }
}

impl Near for Replicas {
    fn hit(&mut self, sought: &Sought<'_>, mode: Mode, now: Now) -> Option<Arc<Stored>> {
        let slot = self.alive(sought, now)?;
        let Kept::Stored(stored) = &self.entries.get(slot)?.kept else { return None };
        let answers = match mode {
            Mode::Use | Mode::Peek => true,
            Mode::Refresh => false,
            Mode::Respect(terms) => stored.judge(&terms, now) == Use::Answer,
        };
        let stored = answers.then(|| Arc::clone(stored))?;
        self.entries.touch(slot);
        self.hits += 1;
        Some(stored)
    }
}

impl std::fmt::Debug for Replicas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replicas").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

fn unlist(table: &mut HashTable<Slot>, hash: u64, slot: Slot) {
    if let Ok(place) = table.find_entry(hash, |own| *own == slot) {
        place.remove();
    }
}
