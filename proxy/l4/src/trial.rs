//! Which set new rules go to, and which word puts them in force: a pure function of what is in force, so that every case can be written
//! down. Knows no table.

use crate::rules::Digest;
use gate::abi::{InForce, SETS};
use std::time::Duration;

/// What there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// The word as it stands.
    pub(crate) word: InForce,
    /// `CLOCK_MONOTONIC`.
    pub(crate) now_ns: u64,
    /// What lies in the sets, as far as anybody knows.
    pub(crate) sets: [Option<Digest>; SETS as usize],
    /// What was committed last.
    pub(crate) committed: Option<Digest>,
}

/// What is to be done, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// A word to store before anything is filled: what is on trial ends, so that its set can be written.
    pub(crate) first: Option<InForce>,
    /// The set to fill; it is not in force by then.
    pub(crate) fill: Option<u32>,
    /// The word that puts the rules in force.
    pub(crate) then: Option<InForce>,
}

impl Now {
    /// The set in force, and whether it is on trial.
    pub(crate) const fn in_force(&self) -> (Option<u32>, bool) {
        let word = self.word;
        let is_running = word.trial_ends_ms != 0 && self.now_ns / 1_000_000 < word.trial_ends_ms;
        (word.now(self.now_ns), is_running && word.set != word.before)
    }

    fn holds(&self, set: Option<u32>, wanted: Digest) -> bool {
        set.is_some_and(|set| self.sets.get(set as usize) == Some(&Some(wanted)))
    }

    /// How these rules come in force: at once if they were committed before, or `trial` is zero; else for so long.
    pub(crate) fn plan(&self, wanted: Digest, trial: Duration) -> Plan {
        let is_good = trial.is_zero() || self.committed == Some(wanted);
        let (current, is_on_trial) = self.in_force();
        let nothing = Plan { first: None, fill: None, then: None };
        if self.holds(current, wanted) {
            // What is on trial stays on trial: a restart neither makes it longer nor commits it.
            let then = current.filter(|_| is_good).map(for_good).filter(|then| *then != self.word);
            return Plan { then, ..nothing };
        }
        let word = |set: u8| if u32::from(set) < SETS { Some(u32::from(set)) } else { None };
        let base = if is_on_trial { word(self.word.before) } else { current };
        if is_on_trial && self.holds(base, wanted) {
            return Plan { then: base.map(for_good), ..nothing };
        }
        let fill = base.map_or(0, |base| SETS - 1 - base);
        let before = base.map_or(InForce::NOTHING, |base| base as u8);
        // While it is filled it must not come in force by itself: no trial may be running out.
        let first = InForce { set: before, before, trial_ends_ms: 0 };
        let then = if is_good {
            for_good(fill)
        } else {
            InForce { set: fill as u8, before, trial_ends_ms: trial_ends_ms(self.now_ns, trial) }
        };
        Plan { first: (first != self.word).then_some(first), fill: Some(fill), then: Some(then) }
    }
}

/// When a trial that begins now is over; as far away as a word has room for, if it is longer.
pub(crate) fn trial_ends_ms(now_ns: u64, trial: Duration) -> u64 {
    let ends_ns = now_ns.saturating_add(u64::try_from(trial.as_nanos()).unwrap_or(u64::MAX));
    ends_ns.div_ceil(1_000_000)
}

/// Without a trial.
pub(crate) const fn for_good(set: u32) -> InForce {
    InForce { set: set as u8, before: set as u8, trial_ends_ms: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Digest = Digest(1);
    const B: Digest = Digest(2);
    const C: Digest = Digest(3);
    const MINUTE: Duration = Duration::from_secs(60);
    const NOTHING: u8 = InForce::NOTHING;

    fn word(set: u8, before: u8, trial_ends_ms: u64) -> InForce {
        InForce { set, before, trial_ends_ms }
    }

    /// At 100 s: a word, the sets' rules, what was committed, what is wanted → what is done.
    #[track_caller]
    fn check(
        word: InForce,
        sets: [Option<Digest>; 2],
        committed: Option<Digest>,
        wanted: Digest,
        expected: Plan,
    ) {
        let now = Now { word, now_ns: 100_000_000_000, sets, committed };
        assert_eq!(now.plan(wanted, MINUTE), expected);
    }

    fn plan(first: Option<InForce>, fill: u32, then: InForce) -> Plan {
        Plan { first, fill: Some(fill), then: Some(then) }
    }

    const fn only(then: Option<InForce>) -> Plan {
        Plan { first: None, fill: None, then }
    }

    #[test]
    fn the_first_rules_are_on_trial_before_nothing() {
        let nothing = word(NOTHING, NOTHING, 0);
        check(nothing, [None; 2], None, A, plan(None, 0, word(0, NOTHING, 160_000)));
        check(nothing, [None; 2], Some(B), A, plan(None, 0, word(0, NOTHING, 160_000)));
        check(nothing, [None; 2], Some(A), A, plan(None, 0, word(0, 0, 0)));
    }

    #[test]
    fn new_rules_are_on_trial_before_the_old() {
        let first = word(0, 0, 0);
        check(first, [Some(A), None], Some(A), B, plan(None, 1, word(1, 0, 160_000)));
        check(word(1, 1, 0), [Some(A), Some(B)], Some(B), C, plan(None, 0, word(0, 1, 160_000)));
        // The old ones committed, known or not: they are what is gone back to.
        check(first, [None, None], None, B, plan(None, 1, word(1, 0, 160_000)));
    }

    #[test]
    fn a_restart_with_the_same_rules_changes_nothing() {
        check(word(0, 0, 0), [Some(A), None], Some(A), A, only(None));
        check(word(0, 0, 0), [Some(A), None], None, A, only(None));
        let trial = word(1, 0, 150_000);
        check(trial, [Some(A), Some(B)], Some(A), B, only(None));
        // Committed by somebody whose word was lost.
        check(trial, [Some(A), Some(B)], Some(B), B, only(Some(word(1, 1, 0))));
    }

    #[test]
    fn a_change_ends_the_trial_before_it() {
        let trial = word(1, 0, 150_000);
        check(trial, [Some(A), Some(B)], Some(A), A, only(Some(word(0, 0, 0))));
        check(trial, [Some(A), Some(B)], Some(A), C, plan(Some(word(0, 0, 0)), 1, word(1, 0, 160_000)));
        let first = word(0, NOTHING, 150_000);
        check(
            first,
            [Some(A), None],
            None,
            C,
            plan(Some(word(NOTHING, NOTHING, 0)), 0, word(0, NOTHING, 160_000)),
        );
    }

    #[test]
    fn what_ran_out_is_not_in_force() {
        let over = word(1, 0, 99_000);
        check(over, [Some(A), Some(B)], Some(A), B, plan(Some(word(0, 0, 0)), 1, word(1, 0, 160_000)));
        check(over, [Some(A), Some(B)], Some(A), A, only(Some(word(0, 0, 0))));
        let over = word(0, NOTHING, 99_000);
        check(
            over,
            [Some(A), None],
            None,
            A,
            plan(Some(word(NOTHING, NOTHING, 0)), 0, word(0, NOTHING, 160_000)),
        );
    }

    #[test]
    fn without_trials_rules_hold_at_once() {
        let now = Now { word: word(0, 0, 0), now_ns: 0, sets: [Some(A), None], committed: None };
        assert_eq!(now.plan(B, Duration::ZERO), plan(None, 1, word(1, 1, 0)));
    }

    proptest::proptest! {
        /// The set that is filled is not in force, neither by the word before nor by the clock; and what is in force while it is filled is
        /// what was there before it.
        #[test]
        fn what_is_in_force_is_never_written(
            set in 0..3_u8, before in 0..3_u8, ends_s in 0..200_u64, wanted in 1..4_u128, sets in proptest::array::uniform2(0..4_u128),
            committed in 0..4_u128,
        ) {
            let number = |n: u8| if n == 2 { NOTHING } else { n };
            let word = word(number(set), number(before), ends_s * 1_000);
            let digest = |n: u128| (n != 0).then_some(Digest(n));
            let now = Now { word, now_ns: 100_000_000_000, sets: sets.map(digest), committed: digest(committed) };
            let plan = now.plan(Digest(wanted), MINUTE);
            if let Some(fill) = plan.fill {
                let meanwhile = plan.first.unwrap_or(word);
                proptest::prop_assert_eq!(meanwhile.trial_ends_ms, 0);
                proptest::prop_assert_ne!(meanwhile.now(now.now_ns), Some(fill));
                let then = plan.then.unwrap();
                proptest::prop_assert_eq!(then.now(now.now_ns), Some(fill));
                proptest::prop_assert!(then.before == fill as u8 || Some(u32::from(then.before)) == meanwhile.now(0) || meanwhile.now(0).is_none());
            }
        }
    }
}
