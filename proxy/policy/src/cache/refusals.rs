//! What was lately not to be stored. This module knows hashes of keys and times, and nothing of entries.

use message::Now;

/// Keys whose responses were lately found not to be for storing, so that requests for them do not queue behind one
/// another. By hash, each in one place: one that takes another's place, or is taken for it, costs a wait or a fetch and
/// no wrong answer.
#[derive(Default)]
pub(super) struct Refusals {
    /// Hash, and until when; empty until the first.
    places: Box<[(u64, u64)]>,
}

/// Places for refusals; a power of two.
const REFUSALS: usize = 1_024;

/// How long a refusal counts.
const REFUSAL_NS: u64 = 1_000_000_000;

impl Refusals {
    pub(super) fn holds(&self, hash: u64, now: Now) -> bool {
        self.places.get(place(hash)).is_some_and(|(own, until_ns)| *own == hash && now.mono_ns < *until_ns)
    }

    pub(super) fn add(&mut self, hash: u64, now: Now) {
        if self.places.is_empty() {
            self.places = vec![(0, 0); REFUSALS].into();
        }
        self.places[place(hash)] = (hash, now.mono_ns.saturating_add(REFUSAL_NS));
    }
}

fn place(hash: u64) -> usize {
    hash as usize & (REFUSALS - 1)
}
