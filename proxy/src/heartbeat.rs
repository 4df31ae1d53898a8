//! Whether every core still turns, as the watchdog and the kernel's front line want to know it. Each core is asked by letter and
//! answers between two events; one that leaves a letter lie for too long is stuck. It reads no clock and sends nothing itself.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

/// How many times a watchdog is fed in its time, if all is well. The manager's own advice is two; with four a core that
/// stands still is noticed sooner and a beat that comes late costs nothing.
const BEATS: u32 = 4;

/// What part of the watchdog's time a core may leave a letter lie.
const PART: u32 = 2;

/// What is known of each core.
pub(crate) struct Heartbeats {
    /// That a core is stuck was said, and not yet that none is.
    pub(crate) told: bool,
    patience: Duration,
    cores: Vec<Core>,
    answer: mpsc::Sender<usize>,
    answers: mpsc::Receiver<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Core {
    state: State,
    /// When it was asked what it has answered last: it turned then or later. Before it was ever asked: `None`.
    turned: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Its last letter was answered.
    Answered,
    /// A letter lies with it since `asked`; it has been silent since `since`.
    Asked { asked: Instant, since: Instant },
    /// It takes no more letters since then.
    Full(Instant),
}

/// What a beat found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Beat {
    /// Every core has turned at this moment or later.
    pub(crate) turned: Instant,
    /// The core that has been silent for longest, if for too long.
    pub(crate) stuck: Option<Stuck>,
}

/// A core that does not turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stuck {
    pub(crate) core: usize,
    pub(crate) since: Duration,
}

/// How often to ask for a watchdog of this time.
pub(crate) fn every(watchdog: Duration) -> Duration {
    (watchdog / BEATS).max(Duration::from_millis(1))
}

/// How long a core may leave a letter lie, for a watchdog of this time.
pub(crate) fn patience(watchdog: Duration) -> Duration {
    watchdog / PART
}

impl Heartbeats {
    /// One that is silent for longer than `patience` is stuck.
    pub(crate) fn new(cores: usize, patience: Duration) -> Self {
        let (answer, answers) = mpsc::channel();
        let core = Core { state: State::Answered, turned: None };
        Self { told: false, patience, cores: vec![core; cores], answer, answers }
    }

    /// Reads the answers that have come and asks all that have none to give. A core counts as one that turns when this is called
    /// first. `post` hands a core its letter: where its number is to be sent; false if it takes none.
    pub(crate) fn beat(&mut self, now: Instant, post: impl Fn(usize, mpsc::Sender<usize>) -> bool) -> Beat {
        for core in self.answers.try_iter() {
            if let Some(core) = self.cores.get_mut(core)
                && let State::Asked { asked, .. } = core.state
            {
                *core = Core { state: State::Answered, turned: Some(asked) };
            }
        }
        let mut beat = Beat { turned: now, stuck: None };
        for (number, core) in self.cores.iter_mut().enumerate() {
            let since = match core.state {
                State::Asked { since, .. } => since,
                State::Answered | State::Full(_) => {
                    let since = if let State::Full(since) = core.state { since } else { now };
                    let posted = post(number, self.answer.clone());
                    core.state = if posted { State::Asked { asked: now, since } } else { State::Full(since) };
                    since
                }
            };
            beat.turned = beat.turned.min(*core.turned.get_or_insert(now));
            let silent = now.saturating_duration_since(since);
            if silent > self.patience && beat.stuck.is_none_or(|stuck| silent > stuck.since) {
                beat.stuck = Some(Stuck { core: number, since: silent });
            }
        }
        beat
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Beats every quarter of a watchdog of 4 s. Each column is a beat; in a core's line `o` is a letter that it answers before
    /// the next beat, `x` one that it answers only when an `o` follows, `f` a mailbox that is full. The last line is who
    /// is stuck at each beat, `-` for nobody.
    #[track_caller]
    fn check(cores: &[&str], expected: &str) {
        let watchdog = Duration::from_secs(4);
        let mut heartbeats = Heartbeats::new(cores.len(), patience(watchdog));
        let begin = Instant::now();
        let letters: RefCell<Vec<Vec<mpsc::Sender<usize>>>> = RefCell::new(vec![Vec::new(); cores.len()]);
        let mut found = String::new();
        for beat in 0..cores[0].len() {
            let now = begin + every(watchdog) * u32::try_from(beat).unwrap();
            let behaviour = |core: usize| cores[core].as_bytes()[beat];
            let beat = heartbeats.beat(now, |core, answer| {
                let room = behaviour(core) != b'f';
                letters.borrow_mut()[core].extend(room.then_some(answer));
                room
            });
            for (core, lying) in letters.borrow_mut().iter_mut().enumerate() {
                assert!(lying.len() <= 1, "letters pile up at core {core}");
                if behaviour(core) == b'o' {
                    lying.drain(..).for_each(|answer| answer.send(core).unwrap());
                }
            }
            found.push(beat.stuck.map_or('-', |stuck| char::from_digit(stuck.core as u32, 10).unwrap()));
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn who_answers_is_well() {
        check(&["oooooooo", "oooooooo"], "--------");
        // Late, but within half of the watchdog's time.
        check(&["oxxoxxox", "oooooooo"], "--------");
    }

    #[test]
    fn who_leaves_a_letter_lie_is_stuck_until_it_answers() {
        check(&["oooooooooo", "ooxxxxxooo"], "-----111--");
        check(&["oxxxxxoo", "ooxxxxoo"], "----000-");
    }

    #[test]
    fn a_full_mailbox_is_a_letter_that_lies() {
        check(&["offfffoo"], "----000-");
        check(&["offoffoo"], "--------");
    }

    /// Beats each 250 ms for ten seconds, or each `beat_ms`; the core answers so late, and from `hangs_ms` on not at all. How old the
    /// moment is at most at which it is known to have turned: before it hangs. From then on that moment does not move.
    #[track_caller]
    fn check_turned(beat_ms: u64, late_ms: u64, hangs_ms: u64, oldest_ms: u64) {
        let mut heartbeats = Heartbeats::new(2, Duration::from_secs(3));
        let begin = Instant::now();
        let letters: RefCell<Vec<(u64, mpsc::Sender<usize>)>> = RefCell::default();
        let mut oldest = Duration::ZERO;
        for now_ms in (0..10_000).step_by(beat_ms as usize) {
            let now = begin + Duration::from_millis(now_ms);
            letters.borrow_mut().retain(|(at_ms, answer)| {
                let answers = *at_ms <= now_ms && *at_ms < hangs_ms;
                if answers {
                    answer.send(1).unwrap();
                }
                !answers
            });
            let beat = heartbeats.beat(now, |core, answer| {
                if core == 0 {
                    answer.send(0).unwrap();
                } else {
                    letters.borrow_mut().push((now_ms + late_ms, answer));
                }
                true
            });
            assert!(beat.turned < begin + Duration::from_millis(hangs_ms), "{beat:?}");
            if now_ms < hangs_ms {
                oldest = oldest.max(now + Duration::from_millis(beat_ms) - beat.turned);
            } else if now_ms > hangs_ms + 3_000 + 2 * beat_ms {
                assert_eq!(beat.stuck.map(|stuck| stuck.core), Some(1), "at {now_ms} ms");
            }
        }
        assert_eq!(oldest, Duration::from_millis(oldest_ms), "each {beat_ms} ms, late by {late_ms} ms");
    }

    /// Who decides by three seconds opens too late in no case, and too early in none of these.
    #[test]
    fn a_core_is_known_to_have_turned_when_it_did() {
        check_turned(250, 0, 20_000, 500);
        check_turned(250, 1, 5_000, 500);
        check_turned(250, 500, 5_000, 1_000);
        check_turned(250, 501, 5_001, 1_500);
        check_turned(1_000, 500, 5_000, 2_000);
        check_turned(250, 1_250, 9_000, 2_500);
        check_turned(250, 9_999_999, 1, 250);
    }

    #[test]
    fn a_watchdog_is_fed_in_time() {
        assert_eq!(every(Duration::from_secs(10)), Duration::from_millis(2_500));
        assert_eq!(every(Duration::from_micros(1)), Duration::from_millis(1));
    }
}
