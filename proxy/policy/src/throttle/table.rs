//! The machine's buckets: a bounded, open-addressed table of (tag, TAT) words that all cores share.
//!
//! A look-up and a draw are loads and one compare-and-swap. Making a bucket that is not there yet claims a stripe for a
//! handful of instructions, because two cores that make the same bucket must make it once; nothing else waits.

use std::{
    hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState},
    net::IpAddr,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use super::{Limit, TokenBucket};

/// Which bucket: a hash of its identity and, for the buckets of clients, of the client's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketId(u64);

/// The machine's buckets, as many as fit.
#[derive(Debug)]
pub struct Table {
    slots: Box<[Slot]>,
    /// Held while a bucket is made; by home, so that one bucket has one claim.
    claims: Box<[AtomicBool]>,
    /// Secret of this process: nobody outside can choose a prefix that falls on another's bucket.
    key: RandomState,
    evictions: AtomicU64,
}

/// A bucket. `tat` is [`TAKEN`] while `tag` changes.
#[derive(Debug, Default)]
struct Slot {
    tag: AtomicU64,
    tat: AtomicU64,
}

/// What a draw brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Draw {
    /// Tokens, at least one.
    pub(super) count: u64,
    /// The TAT behind the last of them, in units.
    pub(super) top: u64,
}

/// The tag of a slot that was never used.
const FREE: u64 = 0;
/// The TAT of a slot that changes hands. No bucket has it: `units` and `fill` add up to less.
const TAKEN: u64 = u64::MAX;
/// Slots in which a bucket may lie: four cache lines from its home on.
const WINDOW_SLOTS: usize = 16;
/// A home begins a cache line.
const HOME_SLOTS: usize = 4;
const CLAIMS: usize = 256;

impl BucketId {
    /// The bucket of an identity: API, stage, route key, level.
    pub fn new(identity: &str) -> Self {
        // Identities are the operator's, so the key need not be secret; it must be the same after a reload.
        let mut hasher = DefaultHasher::new();
        identity.hash(&mut hasher);
        Self::of(hasher.finish())
    }

    fn of(hash: u64) -> Self {
        Self(if hash == FREE { 1 } else { hash })
    }

    pub(super) fn hash(self) -> u64 {
        self.0
    }
}

impl Table {
    /// A table of at least so many buckets, 16 bytes each.
    pub fn new(slots: usize) -> Self {
        let slots = slots.clamp(WINDOW_SLOTS, 1 << 32).next_power_of_two();
        Self {
            slots: (0..slots).map(|_| Slot::default()).collect(),
            claims: (0..CLAIMS).map(|_| AtomicBool::new(false)).collect(),
            key: RandomState::new(),
            evictions: AtomicU64::new(0),
        }
    }

    /// Buckets that were forgotten before they were full again, because more were in use than fit.
    pub fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    /// Buckets that fit.
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// One client's bucket of a kind. A client is an IPv4 address or an IPv6 /64, the least that one subscriber has.
    pub fn client_bucket(&self, kind: BucketId, client: IpAddr) -> BucketId {
        let (family, prefix) = match client.to_canonical() {
            IpAddr::V4(address) => (4, u64::from(address.to_bits())),
            IpAddr::V6(address) => (6, (address.to_bits() >> 64) as u64),
        };
        // Two whole words: a hasher that takes in half a one has to mend the rest.
        BucketId::of(self.key.hash_one((kind.0.wrapping_add(family), prefix)))
    }

    /// Takes between one and `count_max` tokens, but leaves `share` for each that it takes beyond the first: what
    /// others may draw shrinks no faster than what is left. On refusal says the units until there is a token.
    pub(super) fn draw(
        &self,
        id: BucketId,
        limit: &Limit,
        now: u64,
        count_max: u64,
        share: u64,
    ) -> Result<Draw, u64> {
        loop {
            let Some(slot) = self.find(id) else {
                match self.make(id, limit, now) {
                    Some(result) => return result,
                    None => continue,
                }
            };
            let Some(tat) = slot.read(id) else {
                std::hint::spin_loop();
                continue;
            };
            let mut bucket = TokenBucket(tat);
            let count = match count_max {
                0 | 1 => 1,
                _ => (bucket.left(limit, now) / share.max(1)).clamp(1, count_max),
            };
            let taken = bucket.take_some(limit, now, count);
            // A refusal changes the word as well when it is the first under another limit.
            if bucket.0 == tat || slot.swap(tat, bucket.0) {
                return taken.map(|()| Draw { count, top: bucket.0 });
            }
        }
    }

    /// Whether a draw would be refused now, without drawing.
    pub(super) fn peek(&self, id: BucketId, limit: &Limit, now: u64) -> Result<(), u64> {
        let slot = self.find(id).and_then(|slot| Some((slot, slot.read(id)?)));
        let mut bucket = TokenBucket(slot.map_or(0, |(_, tat)| tat));
        bucket.take_some(limit, now, 1).inspect_err(|_| {
            if let Some((slot, tat)) = slot.filter(|(_, tat)| *tat != bucket.0) {
                // Who is faster has settled it too.
                slot.swap(tat, bucket.0);
            }
        })
    }

    /// Puts back what a draw ending at `top` took by `units`, if the bucket is as that draw left it.
    pub(super) fn undo(&self, id: BucketId, top: u64, units: u64) -> bool {
        self.find(id)
            .is_some_and(|slot| slot.read(id) == Some(top) && slot.swap(top, top.saturating_sub(units)))
    }

    /// Puts back `units` whatever others have drawn since. When that is exact is the caller's affair.
    pub(super) fn put_back(&self, id: BucketId, units: u64) -> bool {
        while let Some(slot) = self.find(id) {
            let Some(tat) = slot.read(id) else { continue };
            if slot.swap(tat, tat.saturating_sub(units)) {
                return true;
            }
        }
        false
    }

    fn home(&self, id: BucketId) -> usize {
        // The tag is a good hash already; its low bits choose the claim.
        (id.0 >> 16) as usize & (self.slots.len() - 1) & !(HOME_SLOTS - 1)
    }

    fn window(&self, id: BucketId) -> impl Iterator<Item = &Slot> {
        let (home, mask) = (self.home(id), self.slots.len() - 1);
        (home..home + WINDOW_SLOTS).map(move |at| &self.slots[at & mask])
    }

    fn find(&self, id: BucketId) -> Option<&Slot> {
        self.window(id).find(|slot| slot.tag.load(Ordering::Acquire) == id.0)
    }

    /// Makes a bucket and draws one token of it. `None`: another core was faster at something, look again.
    fn make(&self, id: BucketId, limit: &Limit, now: u64) -> Option<Result<Draw, u64>> {
        let mut bucket = TokenBucket::default();
        if let Err(wait) = bucket.take_some(limit, now, 1) {
            return Some(Err(wait));
        }
        let _claim = Claim::new(&self.claims[id.0 as usize % CLAIMS]);
        if self.find(id).is_some() {
            return None;
        }
        // A full bucket says no more than none at all, so it goes first; else the one that is nearest to it.
        let (victim, tat) = self
            .window(id)
            .map(|slot| (slot, slot.tat.load(Ordering::Acquire)))
            .filter(|(_, tat)| *tat != TAKEN)
            .min_by_key(|(_, tat)| (*tat).max(now))?;
        if !victim.swap(tat, TAKEN) {
            return None;
        }
        victim.tag.store(id.0, Ordering::Relaxed);
        victim.tat.store(bucket.0, Ordering::Release);
        if tat > now {
            self.evictions.fetch_add(1, Ordering::Relaxed);
        }
        Some(Ok(Draw { count: 1, top: bucket.0 }))
    }
}

impl Slot {
    /// The TAT, if this is that bucket. The TAT is read first and the tag behind it: a slot that changed hands
    /// in between has another TAT by now, and the swap that follows fails. (It would succeed wrongly only if the new
    /// bucket came to the very same 1/64 ns within those instructions.)
    fn read(&self, id: BucketId) -> Option<u64> {
        let tat = self.tat.load(Ordering::Acquire);
        (tat != TAKEN && self.tag.load(Ordering::Acquire) == id.0).then_some(tat)
    }

    fn swap(&self, from: u64, to: u64) -> bool {
        self.tat.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

/// The right to make the buckets of one stripe.
struct Claim<'a>(&'a AtomicBool);

impl<'a> Claim<'a> {
    fn new(held: &'a AtomicBool) -> Self {
        let mut turns = 0u32;
        while held.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            // The holder is a few dozen instructions from letting go, unless the kernel has stopped it.
            turns += 1;
            match turns {
                0..100 => std::hint::spin_loop(),
                _ => std::thread::yield_now(),
            }
        }
        Self(held)
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
