//! Which backends are left alone because they lately failed to say whether what is kept still holds. This module knows hashes
//! of keys and times, and nothing of entries.

use message::Now;

/// Keys for which the backend failed while something was answered in its place. By hash, each in one place: one that takes
/// another's place costs a call and no wrong answer.
#[derive(Default)]
pub(super) struct Rests {
    /// Empty until the first.
    places: Box<[Rest]>,
}

#[derive(Clone, Copy, Default)]
struct Rest {
    hash: u64,
    until_ns: u64,
    /// In a row.
    failures: u32,
    answered: bool,
}

/// How a backend failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// It answered with an error, and not not at all.
    pub answered: bool,
    /// How long it wants to be left alone (`Retry-After`), in seconds.
    pub retry_after_s: u64,
}

/// Places for rests; a power of two.
const RESTS: usize = 1_024;

/// How long a backend is left alone after its first failure; twice as long after each that follows.
const REST_MIN_NS: u64 = 1_000_000_000;

/// How long it is left alone at most, whatever it says itself.
const REST_MAX_NS: u64 = 30_000_000_000;

const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;

impl Rests {
    /// Whether the backend is left alone; then how it failed: with an answer, or without.
    pub(super) fn holds(&self, hash: u64, now: Now) -> Option<bool> {
        let rest = self.places.get(place(hash))?;
        (rest.hash == hash && now.mono_ns < rest.until_ns).then_some(rest.answered)
    }

    /// It failed (again).
    pub(super) fn begin(&mut self, hash: u64, failure: Failure, now: Now) {
        if self.places.is_empty() {
            self.places = vec![Rest::default(); RESTS].into();
        }
        let rest = &mut self.places[place(hash)];
        // What is over for longer than the longest rest says nothing about now.
        let in_a_row = rest.hash == hash && now.mono_ns < rest.until_ns.saturating_add(REST_MAX_NS);
        let failures = if in_a_row { rest.failures.saturating_add(1) } else { 1 };
        let doubled_ns = REST_MIN_NS << (failures - 1).min(REST_MAX_NS.ilog2() - REST_MIN_NS.ilog2() + 1);
        let told_ns = failure.retry_after_s.saturating_mul(NANOSECONDS_PER_SECOND);
        let rest_ns = doubled_ns.max(told_ns).min(REST_MAX_NS);
        let until_ns = now.mono_ns.saturating_add(rest_ns);
        *rest = Rest { hash, until_ns, failures, answered: failure.answered };
    }

    /// It has answered.
    pub(super) fn end(&mut self, hash: u64) {
        if let Some(rest) = self.places.get_mut(place(hash)).filter(|rest| rest.hash == hash) {
            *rest = Rest::default();
        }
    }
}

fn place(hash: u64) -> usize {
    hash as usize & (RESTS - 1)
}
