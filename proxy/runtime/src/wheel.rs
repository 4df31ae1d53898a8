//! A hashed timer wheel: deadlines rounded up to ticks of 10 ms, so that an alarm rings up to 10 ms late and never early.
//!
//! Deadlines are re-armed lazily. An entry hangs in the bucket of the tick it was last linked for; moving its deadline
//! later only stores the new one, and when the old tick comes the entry is linked again. A deadline beyond the span of the
//! wheel hangs in the farthest bucket and is looked at once per span. This module does not read a clock.
//!
//! Many alarms of one tick ring some at a time: who rings first is served before the next do, and so is everybody else who
//! has news. Until all have rung, the wheel stays at their tick and asks to be looked at again at once.

use crate::stats::{Counters, add};
use slab::Slab;
use std::rc::Rc;
use std::task::Waker;

/// The grain of time.
pub(crate) const TICK_NS: u64 = 10_000_000;
/// Buckets; a span of 40.96 s.
const BUCKETS: usize = 4096;
const NONE: u32 = u32::MAX;
/// Alarms that ring in one turn. A deadline mostly ends something, with an answer, a shutdown and a close: tens of
/// microseconds in the kernel each, which everybody who comes meanwhile waits for.
pub(crate) const RINGS_MAX: usize = 4;
/// No deadline.
pub(crate) const NEVER: u64 = u64::MAX;

pub(crate) struct Wheel {
    entries: Slab<Entry>,
    heads: Box<[u32; BUCKETS]>,
    /// One bit for each bucket that is not empty.
    occupied: [u64; BUCKETS / 64],
    /// The last tick that was looked at to its end. Every linked entry hangs in the bucket of a tick in
    /// `current + 1 .. current + BUCKETS`.
    current: u64,
    linked: usize,
    counters: Rc<Counters>,
}

struct Entry {
    deadline_ns: u64,
    /// The tick it hangs at; 0 when it hangs nowhere. Tick 0 itself is never linked.
    tick: u64,
    next: u32,
    previous: u32,
    waker: Option<Waker>,
}

impl Wheel {
    /// For so many entries without growing.
    pub(crate) fn new(now_ns: u64, entries: usize, counters: Rc<Counters>) -> Self {
        Self {
            entries: Slab::with_capacity(entries),
            heads: Box::new([NONE; BUCKETS]),
            occupied: [0; BUCKETS / 64],
            current: now_ns / TICK_NS,
            linked: 0,
            counters,
        }
    }

    pub(crate) fn insert(&mut self) -> u32 {
        self.entries.insert(Entry { deadline_ns: NEVER, tick: 0, next: NONE, previous: NONE, waker: None })
            as u32
    }

    /// Gives the waker back, to be dropped when the wheel is not borrowed: a foreign waker may run code of its own.
    pub(crate) fn remove(&mut self, key: u32) -> Option<Waker> {
        self.unlink(key);
        self.entries.remove(key as usize).waker
    }

    pub(crate) fn deadline_ns(&self, key: u32) -> u64 {
        self.entries[key as usize].deadline_ns
    }

    /// Sets a deadline. Links only when the entry hangs nowhere or the new tick is earlier than the one it hangs at.
    pub(crate) fn set(&mut self, key: u32, deadline_ns: u64) {
        let entry = &mut self.entries[key as usize];
        entry.deadline_ns = deadline_ns;
        if deadline_ns == NEVER {
            return;
        }
        if entry.tick == 0 {
            self.link(key);
        } else if deadline_ns.div_ceil(TICK_NS) < entry.tick {
            self.unlink(key);
            self.link(key);
        }
    }

    /// Names who is to be woken when the deadline has passed; gives back who was named before.
    pub(crate) fn watch(&mut self, key: u32, waker: &Waker) -> Option<Waker> {
        let known = &mut self.entries[key as usize].waker;
        match known {
            Some(known) if known.will_wake(waker) => None,
            _ => known.replace(waker.clone()),
        }
    }

    /// Moves to `now_ns` and puts the wakers of what has passed into `wakes`, [`RINGS_MAX`] at most; the rest come with
    /// the next calls.
    pub(crate) fn advance(&mut self, now_ns: u64, wakes: &mut Vec<Waker>) {
        let target = now_ns / TICK_NS;
        if target <= self.current {
            return;
        }
        if self.linked == 0 {
            self.current = target;
            return;
        }
        // After a pause longer than the span each bucket is looked at once.
        self.current = self.current.max(target.saturating_sub(BUCKETS as u64));
        let rings_max = wakes.len() + RINGS_MAX;
        while self.current < target {
            let bucket = bucket_of(self.current + 1);
            while self.heads[bucket] != NONE {
                if wakes.len() == rings_max {
                    return;
                }
                let key = self.heads[bucket];
                self.unlink(key);
                add(&self.counters.timers_touched, 1);
                let entry = &mut self.entries[key as usize];
                if entry.deadline_ns <= now_ns {
                    wakes.extend(entry.waker.take());
                } else if entry.deadline_ns != NEVER {
                    self.link(key);
                }
            }
            self.current += 1;
        }
    }

    /// When the wheel has to be looked at again.
    pub(crate) fn next_ns(&self) -> Option<u64> {
        if self.linked == 0 {
            return None;
        }
        let first = self.current + 1;
        let start = bucket_of(first);
        // The words of the bitmap in ring order; the first is looked at twice, for its upper and its lower bits.
        for step in 0..=self.occupied.len() {
            let index = (start / 64 + step) % self.occupied.len();
            let mask = match step {
                0 => !0 << (start % 64),
                _ if step == self.occupied.len() => !(!0 << (start % 64)),
                _ => !0,
            };
            let word = self.occupied[index] & mask;
            if word != 0 {
                let bucket = index * 64 + word.trailing_zeros() as usize;
                let ahead = (bucket + BUCKETS - start) % BUCKETS;
                return Some((first + ahead as u64) * TICK_NS);
            }
        }
        None
    }

    fn link(&mut self, key: u32) {
        let entry = &mut self.entries[key as usize];
        let span = self.current + 1..=self.current + BUCKETS as u64 - 1;
        let tick = entry.deadline_ns.div_ceil(TICK_NS).clamp(*span.start(), *span.end());
        let bucket = bucket_of(tick);
        let head = self.heads[bucket];
        entry.tick = tick;
        entry.next = head;
        entry.previous = NONE;
        if head != NONE {
            self.entries[head as usize].previous = key;
        }
        self.heads[bucket] = key;
        self.occupied[bucket / 64] |= 1 << (bucket % 64);
        self.linked += 1;
    }

    fn unlink(&mut self, key: u32) {
        let Entry { tick, next, previous, .. } = self.entries[key as usize];
        if tick == 0 {
            return;
        }
        let bucket = bucket_of(tick);
        if next != NONE {
            self.entries[next as usize].previous = previous;
        }
        if previous != NONE {
            self.entries[previous as usize].next = next;
        } else {
            self.heads[bucket] = next;
            if next == NONE {
                self.occupied[bucket / 64] &= !(1 << (bucket % 64));
            }
        }
        self.entries[key as usize].tick = 0;
        self.linked -= 1;
    }
}

fn bucket_of(tick: u64) -> usize {
    (tick % BUCKETS as u64) as usize
}

#[cfg(test)]
mod tests;
