//! Whether every core still turns, as the watchdog wants to know it. Each core is asked by letter and answers between two
//! events; one that leaves a letter lie for too long is stuck. It reads no clock and sends nothing itself.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

/// How many times a watchdog is fed in its time, if all is well. The manager's own advice is two; with four a core that
/// stands still is noticed sooner and a beat that comes late costs nothing.
const BEATS: u32 = 4;

/// What part of the watchdog's time a core may leave a letter lie.
const PATIENCE: u32 = 2;

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
enum Core {
    /// Its last letter was answered.
    Answered,
    /// A letter lies with it since then.
    Asked(Instant),
    /// It takes no more letters since then.
    Full(Instant),
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

impl Heartbeats {
    pub(crate) fn new(cores: usize, watchdog: Duration) -> Self {
        let (answer, answers) = mpsc::channel();
        Self {
            told: false,
            patience: watchdog / PATIENCE,
            cores: vec![Core::Answered; cores],
            answer,
            answers,
        }
    }

    /// Reads the answers that have come and asks all that have none to give; the core that has been silent for longest,
    /// if for too long. `post` hands a core its letter: where its number is to be sent; false if it takes none.
    pub(crate) fn beat(
        &mut self,
        now: Instant,
        post: impl Fn(usize, mpsc::Sender<usize>) -> bool,
    ) -> Option<Stuck> {
        for core in self.answers.try_iter() {
            if let Some(state) = self.cores.get_mut(core) {
                *state = Core::Answered;
            }
        }
        let mut stuck: Option<Stuck> = None;
        for (core, state) in self.cores.iter_mut().enumerate() {
            let since = match *state {
                Core::Asked(since) => since,
                Core::Answered | Core::Full(_) => {
                    let since = if let Core::Full(since) = *state { since } else { now };
                    let posted = post(core, self.answer.clone());
                    *state = if posted { Core::Asked(since) } else { Core::Full(since) };
                    since
                }
            };
            let silent = now.saturating_duration_since(since);
            if silent > self.patience && stuck.is_none_or(|stuck| silent > stuck.since) {
                stuck = Some(Stuck { core, since: silent });
            }
        }
        stuck
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
        let mut heartbeats = Heartbeats::new(cores.len(), watchdog);
        let begin = Instant::now();
        let letters: RefCell<Vec<Vec<mpsc::Sender<usize>>>> = RefCell::new(vec![Vec::new(); cores.len()]);
        let mut found = String::new();
        for beat in 0..cores[0].len() {
            let now = begin + every(watchdog) * u32::try_from(beat).unwrap();
            let behaviour = |core: usize| cores[core].as_bytes()[beat];
            let stuck = heartbeats.beat(now, |core, answer| {
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
            found.push(stuck.map_or('-', |stuck| char::from_digit(stuck.core as u32, 10).unwrap()));
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

    #[test]
    fn a_watchdog_is_fed_in_time() {
        assert_eq!(every(Duration::from_secs(10)), Duration::from_millis(2_500));
        assert_eq!(every(Duration::from_micros(1)), Duration::from_millis(1));
    }
}
