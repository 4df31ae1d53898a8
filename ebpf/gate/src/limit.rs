//! GCRA (ITU-T I.371 §5.4.1.1): a limit whose whole state is one word, the theoretical arrival time of the next event. It
//! does not know what an event is.

use crate::abi::{LEASE, Limit};

/// A word that others may change at the same time.
pub trait Word {
    /// What is in it.
    fn get(&self) -> u64;
    /// Puts `new` in place of `old`, if that is in it still; says what was in it.
    fn swap_if(&self, old: u64, new: u64) -> u64;
    /// Puts something into it.
    fn set(&self, value: u64);
    /// Adds to it.
    fn add(&self, more: u64);
}

/// Events take no more time than this each: 39 hours.
pub const INTERVAL_NS_MAX: u64 = 1 << 47;
/// One event counts as no more than so many.
pub const COST_MAX: u64 = 1 << 15;
/// So often a word that others changed is tried again; the verifier wants to see an end.
const TRIES: u32 = 4;

/// Takes one event that costs as much time as `cost` of them, if the limit has it. Lost races count as above the limit: those
/// who won them had it.
#[inline(always)]
pub fn take(tat: &impl Word, limit: Limit, cost: u64, now_ns: u64) -> bool {
    if limit.interval_ns == 0 {
        return true;
    }
    let step = min(limit.interval_ns, INTERVAL_NS_MAX) * min(cost, COST_MAX);
    let mut seen = tat.get();
    let mut tries = 0;
    while tries < TRIES {
        let base = if seen > now_ns { seen } else { now_ns };
        let ahead = base - now_ns;
        if ahead > limit.burst_ns {
            // Further ahead than this limit can bring it: what another limit or cost has left is not to be waited for.
            let furthest = limit.burst_ns.saturating_add(step);
            if ahead > furthest {
                tat.swap_if(seen, now_ns + furthest);
            }
            return false;
        }
        let found = tat.swap_if(seen, base.saturating_add(step));
        if found == seen {
            return true;
        }
        seen = found;
        tries += 1;
    }
    false
}

/// Takes one event from what this CPU has leased, and leases as many as the limit has, [`LEASE`] at most, when nothing is left.
/// `left` is this CPU's own.
#[inline(always)]
pub fn take_leased(left: &impl Word, tat: &impl Word, limit: Limit, now_ns: u64) -> bool {
    let own = left.get();
    if own > 0 {
        left.set(own - 1);
        return true;
    }
    let interval_ns = min(limit.interval_ns, INTERVAL_NS_MAX);
    if interval_ns == 0 {
        return true;
    }
    let mut seen = tat.get();
    let mut tries = 0;
    while tries < TRIES {
        let base = if seen > now_ns { seen } else { now_ns };
        let ahead = base - now_ns;
        if ahead > limit.burst_ns {
            let furthest = limit.burst_ns.saturating_add(interval_ns * LEASE);
            if ahead > furthest {
                tat.swap_if(seen, now_ns + furthest);
            }
            return false;
        }
        let lease = min((limit.burst_ns - ahead) / interval_ns + 1, LEASE);
        let found = tat.swap_if(seen, base.saturating_add(interval_ns * lease));
        if found == seen {
            left.set(lease - 1);
            return true;
        }
        seen = found;
        tries += 1;
    }
    // Others take from it faster than it can be asked.
    false
}

#[inline(always)]
const fn min(a: u64, b: u64) -> u64 {
    if a < b { a } else { b }
}
