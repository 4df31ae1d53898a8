//! Epochs: how the owner of a key tells other cores that what it gave them is no longer to be answered with, without
//! writing to them. Each owner has a number for every 64th of its keys, which the others read when they answer from what
//! they were given, and which is moved by the owner alone; but for the one who can't tell it by letter that something
//! has changed: that one moves it, and leaves word which of its keys the owner is to forget. This module does not know
//! what was given, nor how.
//!
//! The number moves before what made it move is acknowledged, so whoever asks after that is not answered with the old. It
//! moves seldom (on invalidation, flush, and when an entry is fetched anew that others may still hold), so reading it
//! meets a line that is in the reader's own cache.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use message::Now;

use super::key::Key;

/// Numbers of one owner. What is changed under one key ends what was given of so many others.
pub(super) const STRIPES: usize = 64;

/// The epochs of all cores of a node.
#[derive(Debug)]
pub struct Epochs {
    cores: Box<[Stripes]>,
    demands: Box<[Demand]>,
}

/// What an owner is to forget, one bit a stripe. Far from its epochs, since others write here.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Demand(AtomicU64);

const _: () = assert!(STRIPES == u64::BITS as usize, "each stripe has a bit");

/// The epochs of one owner. All of them are written by it alone, so they share lines with one another and with nobody
/// else's; 128 bytes, since processors fetch lines in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Stripes([AtomicU64; STRIPES]);

impl Epochs {
    /// Those of so many cores.
    pub fn new(cores: usize) -> Self {
        Self {
            cores: (0..cores).map(|_| Stripes([const { AtomicU64::new(0) }; STRIPES])).collect(),
            demands: (0..cores).map(|_| Demand::default()).collect(),
        }
    }

    /// How many cores there are.
    pub fn cores(&self) -> usize {
        self.cores.len()
    }

    /// A key has changed, and its owner can't be told by letter: from now on nobody answers with what it lent, and it forgets
    /// the key, with all in the same stripe, before it reads its next letter. Never lost, never more than a bit.
    pub fn demand(&self, key: &Key) {
        if let Some(owner) = NonZeroUsize::new(self.cores.len()).map(|cores| key.owner(cores)) {
            self.ask(owner, 1 << key.stripe());
            self.advance(owner, key.stripe());
        }
    }

    /// The same of all keys of an owner.
    pub fn demand_all(&self, owner: usize) {
        self.ask(owner, u64::MAX);
        (0..STRIPES).for_each(|stripe| self.advance(owner, stripe));
    }

    fn ask(&self, owner: usize, stripes: u64) {
        if let Some(demand) = self.demands.get(owner) {
            demand.0.fetch_or(stripes, Ordering::SeqCst);
        }
    }

    /// What this owner is to forget, if anything: each is said once.
    pub fn demanded(&self, owner: usize) -> Option<Demanded> {
        let demand = self.demands.get(owner)?;
        // Whoever reads a bit late reads it before its next letter.
        if demand.0.load(Ordering::Acquire) == 0 {
            return None;
        }
        Some(Demanded(demand.0.swap(0, Ordering::SeqCst)))
    }

    /// The epoch in which a key's owner is; `None` where there are no cores.
    pub(super) fn of(&self, key: &Key) -> Option<u64> {
        let owner = key.owner(NonZeroUsize::new(self.cores.len())?);
        self.read(owner, key)
    }

    fn read(&self, owner: usize, key: &Key) -> Option<u64> {
        Some(self.cores.get(owner)?.0[key.stripe()].load(Ordering::Acquire))
    }

    /// Sequentially consistent: it is seen before the acknowledgement that follows.
    fn advance(&self, owner: usize, stripe: usize) {
        if let Some(stripes) = self.cores.get(owner) {
            stripes.0[stripe].fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Keys that their owner is to forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demanded(u64);

impl Demanded {
    /// Whether the key is among them.
    pub(super) fn includes(self, key: &Key) -> bool {
        self.0 >> key.stripe() & 1 == 1
    }
}

/// An owner's side: moves its epochs, and knows until when others may hold what it holds no longer itself. When it is
/// dropped, nobody answers with what it gave.
#[derive(Debug)]
pub(super) struct Lender {
    epochs: Arc<Epochs>,
    core: usize,
    /// By stripe, until when (`mono_ns`) something may be answered with elsewhere that is gone from here.
    orphans_ns: [u64; STRIPES],
}

impl Lender {
    pub(super) fn new(epochs: Arc<Epochs>, core: usize) -> Self {
        Self { epochs, core, orphans_ns: [0; STRIPES] }
    }

    pub(super) fn epoch(&self, key: &Key) -> Option<u64> {
        self.epochs.read(self.core, key)
    }

    /// What was lent is gone from here; until when others may answer with it.
    pub(super) fn part_with(&mut self, key: &Key, until_ns: u64) {
        let orphan_ns = &mut self.orphans_ns[key.stripe()];
        *orphan_ns = (*orphan_ns).max(until_ns);
    }

    /// From now on nobody answers with what is gone from here.
    pub(super) fn recall(&mut self, key: &Key, now: Now) {
        if now.mono_ns < self.orphans_ns[key.stripe()] {
            self.advance(key);
        }
    }

    /// From now on nobody answers with what was given of this key.
    pub(super) fn advance(&mut self, key: &Key) {
        self.orphans_ns[key.stripe()] = 0;
        self.epochs.advance(self.core, key.stripe());
    }

    /// The same of all keys.
    pub(super) fn advance_all(&mut self) {
        self.orphans_ns = [0; STRIPES];
        (0..STRIPES).for_each(|stripe| self.epochs.advance(self.core, stripe));
    }
}

impl Drop for Lender {
    fn drop(&mut self) {
        self.advance_all();
    }
}
