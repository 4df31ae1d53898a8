//! How long turns last, and whose doing it was when one was long: a core serves nobody else meanwhile.
//!
//! A turn begins when the kernel has told what happened and ends when it is asked for more. One that does not wait for the kernel
//! lasts until the next begins, so that what the kernel does for it is in it. Reading the thread's processor time is a system
//! call, which a turn makes only while somebody looks closely ([`Turns::watch`]).

use crate::stats::{Counters, add};
use std::cell::Cell;
use std::time::Duration;

/// A turn that lasts longer is a stall (rule R7).
pub const STALL: Duration = Duration::from_millis(1);

const STALL_NS: u64 = STALL.as_nanos() as u64;

/// For so long each turn's processor time is read after somebody asked for it.
const WATCH_NS: u64 = 10_000_000_000;

/// Longest turns are told of this minute and of the one before.
const MINUTE_NS: u64 = 60_000_000_000;

/// What is known of the turn that runs.
pub(crate) struct Turns {
    begun_ns: Cell<u64>,
    /// It has begun and not ended.
    open: Cell<bool>,
    /// The thread's processor time when it began, if it was read.
    cpu_ns: Cell<Option<u64>>,
    /// A change was taken in it.
    changing: Cell<bool>,
    /// Until then processor time is read each turn.
    watched_until_ns: Cell<u64>,
    /// When the minute ends that longest turns are told of.
    minute_ends_ns: Cell<u64>,
    longest: [Cell<Longest>; 2],
}

/// The longest of some turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Longest {
    /// The longest of all.
    pub elapsed_ns: u64,
    /// The most that one ran of its own, as far as that was read: a turn of which it was not may have run all the time.
    pub own_ns: u64,
}

impl Longest {
    fn max(self, other: Self) -> Self {
        let elapsed_ns = self.elapsed_ns.max(other.elapsed_ns);
        Self { elapsed_ns, own_ns: self.own_ns.max(other.own_ns) }
    }
}

impl Turns {
    pub(crate) fn new(now_ns: u64) -> Self {
        Self {
            begun_ns: Cell::new(now_ns),
            open: Cell::new(false),
            cpu_ns: Cell::new(None),
            changing: Cell::new(false),
            watched_until_ns: Cell::new(0),
            minute_ends_ns: Cell::new(now_ns.saturating_add(MINUTE_NS)),
            longest: Default::default(),
        }
    }

    /// A turn begins; one that did not wait for the kernel has lasted until now. `cpu_ns` reads the thread's processor time.
    pub(crate) fn begin(&self, now_ns: u64, counters: &Counters, cpu_ns: impl Fn() -> Option<u64>) {
        self.end(now_ns, counters, &cpu_ns);
        if now_ns >= self.minute_ends_ns.get() {
            // Turns are rare on a core at rest, which has had none of the minute before.
            let is_over = now_ns - self.minute_ends_ns.get() < MINUTE_NS;
            let before = self.longest[0].take();
            self.longest[1].set(if is_over { before } else { Longest::default() });
            self.minute_ends_ns.set(now_ns.saturating_add(MINUTE_NS));
        }
        self.begun_ns.set(now_ns);
        self.open.set(true);
        self.cpu_ns.set(if now_ns < self.watched_until_ns.get() { cpu_ns() } else { None });
    }

    /// The turn ends here, unless it has ended before.
    pub(crate) fn end(&self, now_ns: u64, counters: &Counters, cpu_ns: impl Fn() -> Option<u64>) {
        if !self.open.replace(false) {
            return;
        }
        let elapsed_ns = now_ns.saturating_sub(self.begun_ns.get());
        if elapsed_ns > STALL_NS {
            // Where the beginning is not known the end says nothing.
            let ran_ns = self.cpu_ns.get().and_then(|begun| Some(cpu_ns()?.saturating_sub(begun)));
            self.stalled(elapsed_ns, ran_ns, counters);
        } else if elapsed_ns > self.longest[0].get().own_ns {
            self.note(Longest { elapsed_ns, own_ns: elapsed_ns });
        }
        self.changing.set(false);
    }

    /// Says of the turn that runs that it takes a change.
    pub(crate) fn mark_change(&self) {
        self.changing.set(true);
    }

    /// Has the processor time of turns read for a while.
    pub(crate) fn watch(&self, now_ns: u64) {
        self.watched_until_ns.set(now_ns.saturating_add(WATCH_NS));
    }

    /// Of this minute and the one before.
    pub(crate) fn longest(&self) -> Longest {
        let [this, before] = &self.longest;
        this.get().max(before.get())
    }

    fn note(&self, turn: Longest) {
        self.longest[0].set(self.longest[0].get().max(turn));
    }

    #[cold]
    fn stalled(&self, elapsed_ns: u64, ran_ns: Option<u64>, counters: &Counters) {
        let (stalls, ns) = match ran_ns {
            None => (&counters.stalls_unknown, &counters.stalls_unknown_ns),
            Some(ran_ns) if ran_ns <= STALL_NS => (&counters.stalls_waited, &counters.stalls_waited_ns),
            Some(_) if self.changing.get() => (&counters.stalls_change, &counters.stalls_change_ns),
            Some(_) => (&counters.stalls_work, &counters.stalls_work_ns),
        };
        add(stalls, 1);
        add(ns, elapsed_ns);
        // What nobody has read may all have been its own.
        self.note(Longest { elapsed_ns, own_ns: ran_ns.map_or(elapsed_ns, |ran_ns| ran_ns.min(elapsed_ns)) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: u64 = 1_000;
    const MS: u64 = 1_000 * US;

    /// A turn that is watched and takes a change, or not; how long it lasted and ran; what is counted of it by cause (work, change,
    /// waited, unknown); and the most that it may have run of its own.
    #[track_caller]
    fn check(
        (watched, changes): (bool, bool),
        (elapsed_ns, ran_ns): (u64, u64),
        expected: [u64; 4],
        own_ns: u64,
    ) {
        let (turns, counters) = (Turns::new(0), Counters::default());
        if watched {
            turns.watch(0);
        }
        turns.begin(7 * MS, &counters, || Some(MS));
        if changes {
            turns.changing.set(true);
        }
        turns.end(7 * MS + elapsed_ns, &counters, || Some(MS + ran_ns));
        // What ended waits for the kernel: that counts for nobody.
        turns.begin(900 * MS, &counters, || None);
        let stats = counters.read();
        let seen = [stats.stalls_work, stats.stalls_change, stats.stalls_waited, stats.stalls_unknown];
        assert_eq!((seen, turns.longest()), (expected, Longest { elapsed_ns, own_ns }));
        let ns =
            [stats.stalls_work_ns, stats.stalls_change_ns, stats.stalls_waited_ns, stats.stalls_unknown_ns];
        assert_eq!(ns, expected.map(|stalls| stalls * elapsed_ns));
    }

    #[test]
    fn a_stall_has_a_cause() {
        check((true, false), (900 * US, 900 * US), [0; 4], 900 * US);
        check((true, true), (MS, MS), [0; 4], MS);
        check((true, false), (3 * MS, 2 * MS), [1, 0, 0, 0], 2 * MS);
        check((true, true), (3 * MS, 2 * MS), [0, 1, 0, 0], 2 * MS);
        check((true, true), (5 * MS, 80 * US), [0, 0, 1, 0], 80 * US);
        // Both clocks are not read at once.
        check((true, false), (3 * MS, 4 * MS), [1, 0, 0, 0], 3 * MS);
        check((false, false), (3 * MS, 0), [0, 0, 0, 1], 3 * MS);
    }

    /// Reading processor time is a system call.
    #[test]
    fn who_does_not_look_closely_pays_nothing() {
        let (turns, counters) = (Turns::new(0), Counters::default());
        turns.watch(0);
        let reads = Cell::new(0);
        let read = || Some(reads.replace(reads.get() + 1));
        for (begin, expected) in [(0, 2), (9_999 * MS, 4), (10_000 * MS, 4), (20_000 * MS, 4)] {
            turns.begin(begin, &counters, read);
            turns.end(begin + 2 * MS, &counters, read);
            assert_eq!(reads.get(), expected, "{begin}");
        }
        assert_eq!((counters.read().stalls_unknown, counters.read().stalls_waited), (2, 2));
    }

    #[test]
    fn a_turn_that_does_not_wait_lasts_until_the_next() {
        let (turns, counters) = (Turns::new(0), Counters::default());
        turns.watch(0);
        turns.begin(0, &counters, || Some(0));
        turns.mark_change();
        turns.begin(4 * MS, &counters, || Some(3 * MS));
        turns.begin(5 * MS, &counters, || Some(4 * MS));
        assert_eq!((counters.read().stalls_work, counters.read().stalls_change), (0, 1));
        assert_eq!(turns.longest(), Longest { elapsed_ns: 4 * MS, own_ns: 3 * MS });
    }

    #[test]
    fn the_longest_turn_is_forgotten_after_two_minutes() {
        let (turns, counters) = (Turns::new(0), Counters::default());
        let turn = |at_s: u64, us: u64| {
            turns.begin(at_s * 1_000 * MS, &counters, || None);
            turns.end(at_s * 1_000 * MS + us * US, &counters, || None);
            turns.longest().elapsed_ns / US
        };
        assert_eq!(
            [turn(1, 40), turn(59, 20), turn(61, 10), turn(122, 5), turn(400, 1)],
            [40, 40, 40, 10, 1]
        );
    }
}
