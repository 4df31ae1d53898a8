//! How far long work on a configuration has come: what is being done, and how many of how many things are. Whoever works says so;
//! whoever shows it looks when he likes. Neither is known here, nor what a clock, a terminal or a socket is.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

/// What is being done. Each is a part of the way from text to what the cores run, or from a model back to text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Files are read, and their syntax.
    Read,
    /// Operations of an OpenAPI document become routes.
    Translate,
    /// What a document or template became is held against the rules of our own files, route by route.
    Judge,
    /// Routes of our own files are read.
    Routes,
    /// APIs are held against what their stages run.
    Compare,
    /// Groups of backends are compiled.
    Upstreams,
    /// Routes are compiled.
    Compile,
    /// Names of backends are resolved.
    Resolve,
    /// What is deployed is written down.
    Keep,
    /// The cores are given it.
    Publish,
    /// An API is written, as TOML or as a document.
    Write,
}

impl Phase {
    const ALL: [Self; 11] = [
        Self::Read,
        Self::Translate,
        Self::Judge,
        Self::Routes,
        Self::Compare,
        Self::Upstreams,
        Self::Compile,
        Self::Resolve,
        Self::Keep,
        Self::Publish,
        Self::Write,
    ];

    /// In words, for operators; what is counted, if anything is, stands at their end.
    pub fn words(self) -> &'static str {
        match self {
            Self::Read => "reading files",
            Self::Translate => "translating paths",
            Self::Judge => "checking routes",
            Self::Routes => "reading routes",
            Self::Compare => "comparing with what is deployed",
            Self::Upstreams => "compiling upstreams",
            Self::Compile => "compiling routes",
            Self::Resolve => "resolving names of backends",
            Self::Keep => "writing down what is deployed",
            Self::Publish => "handing it to the cores",
            Self::Write => "writing it",
        }
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// What is being done.
    pub phase: Phase,
    /// How many things are done.
    pub done: u64,
    /// Of how many; 0: they are not counted.
    pub of: u64,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.phase.words();
        match self.of {
            0 => f.write_str(words),
            of => write!(f, "{words} {} of {of}", self.done),
        }
    }
}

/// Bits of each count; things above are not counted.
const COUNT_BITS: u32 = 28;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;

/// How far one piece of work is, as one word: who looks never sees one phase's name with another's counts. One thread works at a time.
#[derive(Debug, Default)]
pub struct Progress {
    /// From the top: the phase's place in [`Phase::ALL`] and one more (0: nothing is being done), of how many, how many.
    word: AtomicU64,
}

impl Progress {
    /// Nothing is being done.
    pub const fn new() -> Self {
        Self { word: AtomicU64::new(0) }
    }

    /// One at which nobody looks, for work that is told to nobody.
    pub fn silent() -> &'static Self {
        static SILENT: Progress = Progress::new();
        &SILENT
    }

    /// A phase begins, of so many things; 0: they are not counted.
    pub fn begin(&self, phase: Phase, of: usize) {
        let place = Phase::ALL.iter().position(|it| *it == phase).map_or(0, |place| place as u64 + 1);
        let of = (of as u64).min(COUNT_MAX);
        self.word.store(place << (2 * COUNT_BITS) | of << COUNT_BITS, Ordering::Relaxed);
    }

    /// So many more things of the phase are done. There are never more than were announced.
    pub fn advance(&self, things: usize) {
        let word = self.word.load(Ordering::Relaxed);
        let done = (word & COUNT_MAX).saturating_add(things as u64).min(word >> COUNT_BITS & COUNT_MAX);
        self.word.store(word & !COUNT_MAX | done, Ordering::Relaxed);
    }

    /// Nothing is being done any more.
    pub fn end(&self) {
        self.word.store(0, Ordering::Relaxed);
    }

    /// How far it is; `None`: nothing is being done.
    pub fn look(&self) -> Option<State> {
        let word = self.word.load(Ordering::Relaxed);
        let place = usize::try_from((word >> (2 * COUNT_BITS)).checked_sub(1)?).ok()?;
        let (done, of) = (word & COUNT_MAX, word >> COUNT_BITS & COUNT_MAX);
        Some(State { phase: *Phase::ALL.get(place)?, done, of })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(phase: Phase, of: usize, steps: &[usize], expected: (u64, u64)) {
        let progress = Progress::new();
        progress.begin(phase, of);
        steps.iter().for_each(|step| progress.advance(*step));
        assert_eq!(progress.look(), Some(State { phase, done: expected.0, of: expected.1 }));
        progress.end();
        assert_eq!(progress.look(), None);
    }

    #[test]
    fn things_are_counted_within_what_was_announced() {
        for phase in Phase::ALL {
            check(phase, 3, &[], (0, 3));
            check(phase, 10_000, &[1, 9, 90], (100, 10_000));
            check(phase, 3, &[2, 2], (3, 3));
            check(phase, 3, &[usize::MAX], (3, 3));
            check(phase, 0, &[1], (0, 0));
            check(phase, usize::MAX, &[1, usize::MAX], (COUNT_MAX, COUNT_MAX));
        }
    }

    #[test]
    fn a_phase_that_is_over_leaves_nothing_behind() {
        let progress = Progress::new();
        assert_eq!(progress.look(), None);
        progress.begin(Phase::Compile, 7);
        progress.advance(7);
        progress.begin(Phase::Keep, 0);
        assert_eq!(
            progress.look().map(|it| it.to_string()).as_deref(),
            Some("writing down what is deployed")
        );
        progress.begin(Phase::Compile, 7);
        assert_eq!(progress.look().map(|it| it.to_string()).as_deref(), Some("compiling routes 0 of 7"));
    }
}
