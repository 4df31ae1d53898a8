//! Byte buffers of one core, kept for reuse up to a bound. Three sizes: small ones for heads, large ones into which bodies
//! are received, and medium ones for the part of a body that has to wait.
//! A buffer is a plain `Vec`, so that what is never returned is merely freed.

use crate::options::Options;
use crate::spare::Spare;
use crate::stats::{Counters, add};
use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::rc::Rc;

/// Small buffers that stay, however little they are needed: what a few requests take.
const SMALL_MIN: usize = 8;

/// What part of a large buffer a medium one is: of 128 KiB the 32 KiB from which on a sender is no longer read.
const MEDIUM_SHARE: usize = 4;

pub(crate) struct Buffers {
    small_bytes: usize,
    medium_bytes: usize,
    large_bytes: usize,
    /// Capacities that are small: one that grew a little is still small.
    small: RangeInclusive<usize>,
    /// Capacities that are medium.
    medium: RangeInclusive<usize>,
    /// Capacities that are large. What is neither goes.
    large: RangeInclusive<usize>,
    small_max: usize,
    large_max: usize,
    pools: RefCell<Pools>,
    counters: Rc<Counters>,
}

#[derive(Default)]
struct Pools {
    small: Spare<Vec<u8>>,
    medium: Spare<Vec<u8>>,
    large: Spare<Vec<u8>>,
}

impl Buffers {
    pub(crate) fn new(options: &Options, counters: Rc<Counters>) -> Self {
        let small_bytes = options.ring_buffer_bytes as usize;
        let medium_bytes = (options.large_buffer_bytes / MEDIUM_SHARE).max(small_bytes + 1);
        let large_bytes = options.large_buffer_bytes.max(medium_bytes + 1);
        Self {
            small_bytes,
            medium_bytes,
            large_bytes,
            small: small_bytes..=small_bytes.saturating_mul(4).min(medium_bytes - 1),
            medium: medium_bytes..=medium_bytes.saturating_mul(2).min(large_bytes - 1),
            large: large_bytes..=large_bytes.saturating_mul(2),
            small_max: options.pooled_buffers_max,
            large_max: options.pooled_large_buffers_max,
            pools: RefCell::default(),
            counters,
        }
    }

    /// Whether a small buffer holds `bytes`.
    pub(crate) fn fits_small(&self, bytes: usize) -> bool {
        bytes <= self.small_bytes
    }

    /// An empty buffer with room for a head.
    pub(crate) fn small(&self) -> Vec<u8> {
        let pooled = self.pools.borrow_mut().small.pop();
        self.taken(pooled, self.small_bytes)
    }

    /// An empty buffer with room for a good part of a body.
    pub(crate) fn large(&self) -> Vec<u8> {
        let pooled = self.pools.borrow_mut().large.pop();
        self.taken(pooled, self.large_bytes)
    }

    /// The capacity of the buffer that [`Self::sized`] gives for `bytes`, unless an earlier owner has let it grow.
    pub(crate) fn sized_bytes(&self, bytes: usize) -> usize {
        match bytes {
            _ if self.fits_small(bytes) => self.small_bytes,
            _ if bytes <= *self.small.end() => bytes.next_multiple_of(self.small_bytes),
            _ if bytes <= self.medium_bytes => self.medium_bytes,
            _ => self.large_bytes,
        }
    }

    /// An empty buffer with room for `bytes`, if that is no more than a large buffer holds.
    pub(crate) fn sized(&self, bytes: usize) -> Vec<u8> {
        match bytes {
            _ if self.fits_small(bytes) => self.small(),
            // What is kept may be kept for long: no more than it takes.
            _ if bytes <= *self.small.end() => self.taken(None, self.sized_bytes(bytes)),
            _ if bytes <= self.medium_bytes => self.medium(),
            _ => self.large(),
        }
    }

    /// An empty buffer for as much of `bytes` that have to wait as a medium one holds.
    pub(crate) fn waiting(&self, bytes: usize) -> Vec<u8> {
        if self.fits_small(bytes) { self.small() } else { self.medium() }
    }

    fn medium(&self) -> Vec<u8> {
        let pooled = self.pools.borrow_mut().medium.pop();
        self.taken(pooled, self.medium_bytes)
    }

    fn taken(&self, pooled: Option<Vec<u8>>, bytes: usize) -> Vec<u8> {
        match pooled {
            Some(buffer) => {
                self.counters.buffers_pooled.set(self.counters.buffers_pooled.get() - 1);
                buffer
            }
            None => {
                add(&self.counters.buffers_allocated, 1);
                Vec::with_capacity(bytes)
            }
        }
    }

    /// Frees all that is kept.
    pub(crate) fn free_all(&self) {
        self.pools.take();
        self.counters.buffers_pooled.set(0);
    }

    /// Frees what nobody has needed since this was called last. Says how many bytes that were, and whether there may be
    /// more with the next call.
    pub(crate) fn trim(&self) -> (usize, bool) {
        let pools = &mut *self.pools.borrow_mut();
        let mut freed = 0;
        for (pool, min) in [(&mut pools.small, SMALL_MIN), (&mut pools.medium, 0), (&mut pools.large, 0)] {
            freed += pool.trim(min).map(|buffer| buffer.capacity()).sum::<usize>();
        }
        let [small, medium, large] = [pools.small.len(), pools.medium.len(), pools.large.len()];
        self.counters.buffers_pooled.set((small + medium + large) as u64);
        (freed, small > SMALL_MIN || medium + large > 0)
    }

    /// Takes a buffer back; frees it when it is of an odd size or the pool is full.
    pub(crate) fn recycle(&self, mut buffer: Vec<u8>) {
        let pools = &mut *self.pools.borrow_mut();
        let (pool, max) = match buffer.capacity() {
            capacity if self.small.contains(&capacity) => (&mut pools.small, self.small_max),
            capacity if self.medium.contains(&capacity) => (&mut pools.medium, self.large_max),
            capacity if self.large.contains(&capacity) => (&mut pools.large, self.large_max),
            _ => return,
        };
        if pool.len() < max {
            buffer.clear();
            pool.push(buffer);
            add(&self.counters.buffers_pooled, 1);
        }
    }
}
