//! The circuit breaker of a group: too many calls fail, so none is made for a while; then a few, and if they pass, all.

use crate::{Outcome, settings::Breaker, window::Window};

/// Passed and failed calls, in the breaker's window.
const PASSED: usize = 0;
const FAILED: usize = 1;

/// What a breaker lets through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Circuit {
    /// All calls.
    #[default]
    Closed,
    /// None.
    Open,
    /// A few, to see.
    HalfOpen,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    circuit: Circuit,
    /// While it is open: until when.
    until_ns: u64,
    /// While it is half open: trials that were let through, and those that passed.
    begun: u32,
    passed: u32,
    /// Which time it is half open: an answer to a trial of an earlier time says nothing. Never 0.
    round: u32,
    calls: Window,
}

/// A call that was let through; not 0 for a trial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Permit(u32);

impl Permit {
    pub(crate) fn is_trial(self) -> bool {
        self.0 != 0
    }
}

impl State {
    /// Lets a call through, or says how long it will not.
    pub(crate) fn admit(&mut self, settings: &Breaker, now_ns: u64) -> Result<Permit, u64> {
        match self.circuit {
            Circuit::Closed => Ok(Permit::default()),
            Circuit::Open if now_ns < self.until_ns => Err(self.until_ns - now_ns),
            Circuit::Open => {
                self.circuit = Circuit::HalfOpen;
                self.round = self.round.wrapping_add(1).max(1);
                (self.begun, self.passed) = (1, 0);
                Ok(Permit(self.round))
            }
            Circuit::HalfOpen if self.begun < settings.trials => {
                self.begun += 1;
                Ok(Permit(self.round))
            }
            Circuit::HalfOpen => Err(0),
        }
    }

    /// Learns what became of a call. True when that opened the circuit.
    pub(crate) fn settle(
        &mut self,
        settings: &Breaker,
        permit: Permit,
        outcome: Outcome,
        now_ns: u64,
    ) -> bool {
        match self.circuit {
            Circuit::Closed => {
                self.calls.add(if outcome == Outcome::Fault { FAILED } else { PASSED }, now_ns);
                let [passed, failed] = self.calls.sums(now_ns);
                let calls = passed.saturating_add(failed);
                let share = u64::from(failed) * 100 >= u64::from(calls) * u64::from(settings.failure_percent);
                if outcome == Outcome::Fault && calls >= settings.calls_min && share {
                    self.open(settings, now_ns);
                    return true;
                }
            }
            Circuit::HalfOpen if permit == Permit(self.round) => match outcome {
                Outcome::Pass => {
                    self.passed += 1;
                    if self.passed >= settings.trials {
                        self.circuit = Circuit::Closed;
                    }
                }
                Outcome::Fault => {
                    self.open(settings, now_ns);
                    return true;
                }
            },
            // It was made before: what it says is known.
            Circuit::HalfOpen | Circuit::Open => {}
        }
        false
    }

    /// A trial came to nothing: another may be made in its place.
    pub(crate) fn give_back(&mut self, permit: Permit) {
        if self.circuit == Circuit::HalfOpen && permit == Permit(self.round) {
            self.begun -= 1;
        }
    }

    /// What it lets through now.
    pub(crate) fn circuit(&self) -> Circuit {
        self.circuit
    }

    fn open(&mut self, settings: &Breaker, now_ns: u64) {
        self.circuit = Circuit::Open;
        self.until_ns = now_ns.saturating_add(settings.open_ns);
        self.calls.clear();
    }
}
