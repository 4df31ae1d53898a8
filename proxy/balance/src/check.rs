//! Active checks: what a row of probes says of a host.

use crate::settings::Thresholds;

/// What the probes of one host have said so far. A host of which nothing is known is healthy: at a start no request waits
/// for a round of probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    healthy: bool,
    /// Probes in a row that said otherwise.
    streak: u32,
}

impl Default for Check {
    fn default() -> Self {
        Self { healthy: true, streak: 0 }
    }
}

impl Check {
    /// Takes a probe's result; true when that changed what is thought of the host.
    pub fn observe(&mut self, passed: bool, thresholds: &Thresholds) -> bool {
        if passed == self.healthy {
            self.streak = 0;
            return false;
        }
        self.streak += 1;
        let enough = if self.healthy { thresholds.unhealthy } else { thresholds.healthy };
        if self.streak < enough {
            return false;
        }
        *self = Self { healthy: passed, streak: 0 };
        true
    }

    /// Whether it is to be asked.
    pub fn is_healthy(&self) -> bool {
        self.healthy
    }
}
