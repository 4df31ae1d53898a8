//! Balance: which of a group's equal backends is asked next, and whether any is: load, health, ejection, circuit breaker,
//! retry budget, slow start. It decides and waits for nothing: no socket, no clock, no configuration. Time comes in as
//! nanoseconds that never go back, what became of a call as an [`Outcome`].
//!
//! [`Settings`] are what was asked for and change with a publication; a [`Group`] is what one core has seen and stays.

mod breaker;
mod check;
mod group;
mod host;
mod settings;
mod window;

#[cfg(test)]
mod tests;

pub use breaker::Circuit;
pub use check::Check;
pub use group::{Claim, Facts, Group, Refused};
pub use host::{HostFacts, HostId};
pub use settings::{Breaker, Outlier, Retries, Settings, Statuses, Thresholds};

/// What became of a call, as far as it tells about the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It begins to answer, and not with a status that counts as a fault.
    Pass,
    /// It was not reached, broke off, was late or malformed, or answered with a status that counts as a fault.
    Fault,
}
