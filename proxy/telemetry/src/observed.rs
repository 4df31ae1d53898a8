//! What was seen of some routes together, a stage's or a canary's: how many answers, how many bad ones, how long they took. Two of
//! them, of different times, tell what was seen in between.

use crate::latency::Latency;

/// Answers of some routes.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Answers.
    pub requests: u64,
    /// Those of status 500 and above.
    pub errors: u64,
    latency: Latency,
}

impl Observed {
    pub(crate) fn add(&mut self, requests: u64, errors: u64, latency: Option<&Latency>) {
        self.requests += requests;
        self.errors += errors;
        if let Some(latency) = latency {
            self.latency.merge(latency);
        }
    }

    /// The sum of both: of another core.
    pub fn merge(&mut self, more: &Self) {
        self.add(more.requests, more.errors, Some(&more.latency));
    }

    /// What was seen since an earlier look at the same routes; all of it, if they began anew meanwhile.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        match (self.requests.checked_sub(before.requests), self.errors.checked_sub(before.errors)) {
            (Some(requests), Some(errors)) => {
                Self { requests, errors, latency: self.latency.since(&before.latency) }
            }
            _ => self.clone(),
        }
    }

    /// The share of answers that were bad, 0.0 to 1.0; 0 of none.
    pub fn error_rate(&self) -> f64 {
        if self.requests == 0 { 0.0 } else { self.errors as f64 / self.requests as f64 }
    }

    /// The time that 99 of 100 answers did not exceed, microseconds.
    pub fn p99_us(&self) -> u64 {
        self.latency.quantile_us(0.99)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(times_us: &[u64], errors: u64) -> Observed {
        let mut latency = Latency::default();
        times_us.iter().for_each(|us| latency.record(*us));
        let mut observed = Observed::default();
        observed.add(times_us.len() as u64, errors, Some(&latency));
        observed
    }

    #[track_caller]
    fn check(observed: &Observed, requests: u64, errors: u64, p99_us: std::ops::RangeInclusive<u64>) {
        assert_eq!((observed.requests, observed.errors), (requests, errors));
        assert!(p99_us.contains(&observed.p99_us()), "{}", observed.p99_us());
    }

    #[test]
    fn what_was_seen_in_between_is_the_difference() {
        let before = observed(&[1_000_000; 100], 7);
        let mut after = before.clone();
        after.merge(&observed(&[100; 200], 1));
        check(&after, 300, 8, 990_000..=1_010_000);
        let between = after.since(&before);
        check(&between, 200, 1, 99..=101);
        assert!((between.error_rate() - 0.005).abs() < 1e-9);
        check(&after.since(&after), 0, 0, 0..=0);
        assert!(after.since(&after).error_rate().abs() < 1e-9);
    }

    #[test]
    fn what_began_anew_counts_from_there() {
        let fresh = observed(&[100; 3], 1);
        check(&fresh.since(&observed(&[100; 5], 0)), 3, 1, 99..=101);
        check(&fresh.since(&observed(&[100; 2], 2)), 3, 1, 99..=101);
    }
}
