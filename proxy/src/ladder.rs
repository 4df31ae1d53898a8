//! The memory ladder: from bytes in RAM and a bound to what the cores are told. Each step up takes more away from clients,
//! and is left again only well below where it was entered. It reads nothing and tells nobody.

use std::time::Duration;

use shard::{CacheBound, GROWTHS, Level, Pressure};

/// Where a level begins, and below what it is left again, in percent of the bound.
#[derive(Clone, Copy, Debug)]
struct Step {
    level: Level,
    enter: u64,
    leave: u64,
}

const STEPS: [Step; 3] = [
    Step { level: Level::Trim, enter: 80, leave: 75 },
    Step { level: Level::Shut, enter: 90, leave: 85 },
    Step { level: Level::Refuse, enter: 95, leave: 90 },
];

/// Below this the cache gets its bound back, bit by bit. Lower than where any level is left: a cache that grew until it
/// was made to shrink would do nothing else.
const GROW_BELOW: u64 = 70;

/// Memory fills no faster than a network of 10 Gbit/s brings what fills it.
const FILL_BYTES_PER_MS: u64 = 1_250_000;

/// The shortest time between two looks, in milliseconds. A look reads three small files.
const LOOK_MS_MIN: u64 = 10;

/// The longest, in milliseconds.
const LOOK_MS_MAX: u64 = 1_000;

/// Where on the ladder the node stands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ladder {
    level: Level,
    /// Letters to come until all caches have their bound again, as far as letters get lost no more often than not.
    growths: u32,
}

impl Ladder {
    /// How short memory was when it was looked at last.
    pub(crate) fn level(&self) -> Level {
        self.level
    }

    /// Whether a higher level has begun than the node is at.
    pub(crate) fn rises(&self, bytes: u64, max_bytes: u64) -> bool {
        let percent = percent(bytes, max_bytes);
        STEPS.iter().any(|step| step.level > self.level && percent >= step.enter)
    }

    /// After what time to look again: before it can be far beyond the begin of the next level, or the bound.
    pub(crate) fn look_within(&self, bytes: u64, max_bytes: u64) -> Duration {
        let enter = STEPS.iter().find(|step| step.level > self.level).map_or(100, |step| step.enter);
        let room_bytes = match max_bytes {
            0 => u64::MAX,
            max => (max / 100 * enter).saturating_sub(bytes),
        };
        Duration::from_millis((room_bytes / FILL_BYTES_PER_MS).clamp(LOOK_MS_MIN, LOOK_MS_MAX))
    }

    /// Looks at the memory, once a second and when a level rises; a bound of 0 is none. What the cores are to be told, if anything.
    pub(crate) fn look(&mut self, bytes: u64, max_bytes: u64) -> Option<Pressure> {
        let before = self.level;
        let percent = percent(bytes, max_bytes);
        let holds = |step: &&Step| percent >= if self.level >= step.level { step.leave } else { step.enter };
        self.level = STEPS.iter().rev().find(holds).map_or(Level::Enough, |step| step.level);
        let cache = match self.level {
            Level::Enough if percent < GROW_BELOW => CacheBound::Grow,
            Level::Enough => CacheBound::Keep,
            Level::Trim | Level::Shut | Level::Refuse => CacheBound::Shrink,
        };
        match cache {
            CacheBound::Shrink => self.growths = 2 * GROWTHS,
            CacheBound::Keep => {}
            CacheBound::Grow => self.growths = self.growths.saturating_sub(1),
        }
        let is_told = self.level > Level::Enough || self.level != before || self.growths > 0;
        is_told.then_some(Pressure { level: self.level, cache })
    }
}

/// So much of a bound; nothing of none.
fn percent(bytes: u64, max_bytes: u64) -> u64 {
    match max_bytes {
        0 => 0,
        max => u64::try_from(u128::from(bytes) * 100 / u128::from(max)).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Looks at these percentages one after another: the level as a digit, and `-`, `=` or `+` for the cache.
    #[track_caller]
    fn check(percentages: &[u64], expected: &str) {
        let mut ladder = Ladder::default();
        let seen: Vec<_> = percentages
            .iter()
            .map(|percent| {
                let Some(Pressure { level, cache }) = ladder.look(percent * 10, 1_000) else {
                    return "0".to_owned();
                };
                let cache = match cache {
                    CacheBound::Shrink => '-',
                    CacheBound::Keep => '=',
                    CacheBound::Grow => '+',
                };
                format!("{}{cache}", level as u8)
            })
            .collect();
        assert_eq!(seen.join(" "), expected, "{percentages:?}");
    }

    #[test]
    fn levels_are_entered_above_where_they_are_left() {
        check(&[0, 69, 70, 79, 80, 79, 75, 74, 79, 80], "0 0 0 0 1- 1- 1- 0= 0= 1-");
        check(&[89, 90, 89, 85, 84, 89, 90], "1- 2- 2- 2- 1- 1- 2-");
        check(&[94, 95, 94, 90, 89, 94, 95], "2- 3- 3- 3- 2- 2- 3-");
    }

    #[test]
    fn steps_may_be_taken_at_once() {
        check(&[100, 0, 95, 86, 76, 69], "3- 0+ 3- 2- 1- 0+");
        check(&[1_000_000, 84, 81], "3- 1- 1-");
    }

    #[test]
    fn no_bound_is_never_near() {
        let mut ladder = Ladder { level: Level::Refuse, growths: 0 };
        let pressure = ladder.look(u64::MAX, 0);
        assert_eq!(pressure, Some(Pressure { level: Level::Enough, cache: CacheBound::Grow }));
        assert_eq!(ladder.look(u64::MAX, 0), None);
    }

    /// Caches get their bound back, and then nobody is told anything any more.
    #[test]
    fn who_has_enough_is_left_alone() {
        let mut ladder = Ladder::default();
        assert_eq!(ladder.look(1, 100), None);
        assert!(ladder.look(80, 100).is_some());
        let told = (0..100).filter_map(|_| ladder.look(1, 100)).collect::<Vec<_>>();
        assert!(told.iter().all(|told| told.cache == CacheBound::Grow));
        assert!((GROWTHS as usize..100).contains(&told.len()), "{}", told.len());
        assert_eq!(ladder.look(79, 100), None);
    }

    /// The nearer the next level and the smaller the bound, the sooner.
    #[test]
    fn who_is_near_a_level_looks_sooner() {
        #[track_caller]
        fn check(level: Level, mib: u64, max_mib: u64, expected_ms: u64) {
            let ladder = Ladder { level, growths: 0 };
            let within = ladder.look_within(mib << 20, max_mib << 20);
            assert_eq!(within, Duration::from_millis(expected_ms), "{mib} of {max_mib} MiB");
        }
        check(Level::Enough, 100, 0, 1_000);
        check(Level::Enough, 100, 65_536, 1_000);
        check(Level::Enough, 500, 1_024, 267);
        check(Level::Enough, 200, 256, 10);
        check(Level::Enough, 100, 256, 87);
        check(Level::Trim, 800, 1_000, 83);
        check(Level::Shut, 900, 1_000, 41);
        check(Level::Refuse, 950, 1_000, 41);
        check(Level::Refuse, 1_050, 1_000, 10);
    }

    #[test]
    fn a_higher_level_is_seen_at_once() {
        let rises = |level, percent| Ladder { level, growths: 0 }.rises(percent, 100);
        assert!(!rises(Level::Enough, 79) && rises(Level::Enough, 80) && rises(Level::Enough, 99));
        assert!(!rises(Level::Trim, 0) && !rises(Level::Trim, 89) && rises(Level::Trim, 90));
        assert!(!rises(Level::Shut, 94) && rises(Level::Shut, 95) && !rises(Level::Refuse, 200));
        assert!(!Ladder::default().rises(u64::MAX, 0));
    }

    proptest! {
        /// Whatever came before: above a level's begin it holds, below its end it does not.
        #[test]
        fn a_level_says_where_memory_is(
            before in proptest::collection::vec(any::<u16>(), 0..8),
            bytes in any::<u64>(),
            max in 1_u64..,
        ) {
            let mut ladder = Ladder::default();
            for bytes in before {
                ladder.look(bytes.into(), 50_000);
            }
            let told = ladder.look(bytes, max);
            let level = ladder.level();
            prop_assert!(level == Level::Enough || told.is_some_and(|told| told.level == level));
            let percent = u128::from(bytes) * 100 / u128::from(max);
            for step in STEPS {
                prop_assert!(percent < u128::from(step.enter) || level >= step.level);
                prop_assert!(percent >= u128::from(step.leave) || level < step.level);
            }
        }
    }
}
