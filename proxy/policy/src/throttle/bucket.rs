//! A token bucket in one word: the generic cell rate algorithm (ITU-T I.371), which is a token bucket seen from
//! the time at which it will be full again.

use super::{
    Limit,
    limit::{units, wait_ns},
};

/// By how much the turns of two cores may have begun apart, in nanoseconds: far more than a turn takes on a busy machine.
const LATE_NS: u64 = 1_000_000_000;

/// A bucket. The word is its theoretical arrival time (TAT): the moment at which it is full if nothing more is
/// taken, in 1/64 ns. Zero is a full bucket, and so is any moment that has passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenBucket(pub(super) u64);

impl TokenBucket {
    /// Takes one token, or says for how many nanoseconds there will be none; `u64::MAX` if for ever.
    pub fn take(&mut self, limit: &Limit, now_ns: u64) -> Result<(), u64> {
        self.take_some(limit, units(now_ns), 1).map_err(wait_ns)
    }

    /// Tokens that could be taken now.
    pub fn available(&self, limit: &Limit, now_ns: u64) -> u64 {
        self.left(limit, units(now_ns))
    }

    /// Takes `count` tokens or none; on refusal says the units until there are as many.
    pub(super) fn take_some(&mut self, limit: &Limit, now: u64, count: u64) -> Result<(), u64> {
        if limit.refuses_all() {
            return Err(u64::MAX);
        }
        self.settle(limit, now);
        let full_at = self.0.max(now).saturating_add(limit.interval().saturating_mul(count));
        // At most `fill` ahead of now: then the bucket held the tokens that were taken.
        match full_at.saturating_sub(now).checked_sub(limit.fill()) {
            None | Some(0) => {
                self.0 = full_at;
                Ok(())
            }
            Some(wait) => Err(wait),
        }
    }

    /// Whole tokens that could be taken now.
    pub(super) fn left(mut self, limit: &Limit, now: u64) -> u64 {
        if limit.refuses_all() {
            return 0;
        }
        self.settle(limit, now);
        limit.fill().saturating_sub(self.0.saturating_sub(now)) / limit.interval()
    }

    /// Further ahead than `fill` the TAT cannot be, unless a reload has changed the limit: then the bucket is empty, and
    /// not so empty that it stays it for as long as the old limit would have taken. Or it was moved by a core whose turn
    /// began later than ours, whose tokens are not to be given away again: so what is little further stays.
    fn settle(&mut self, limit: &Limit, now: u64) {
        let empty_at = now.saturating_add(limit.fill());
        if self.0 > empty_at.saturating_add(units(LATE_NS)) {
            self.0 = empty_at;
        }
    }
}
