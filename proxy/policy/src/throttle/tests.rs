//! Buckets, leases and the table against naive models.

use super::*;

/// `arrivals` are milliseconds since the start; `+` passes, `-` is refused.
#[track_caller]
fn check(rate: f64, burst: u32, arrivals: &[u64], expected: &str) {
    let limit = Limit::new(rate, burst).unwrap();
    let mut bucket = TokenBucket::default();
    let answers: String = arrivals
        .iter()
        .map(|at_ms| if bucket.take(&limit, at_ms * 1_000_000).is_ok() { '+' } else { '-' })
        .collect();
    assert_eq!(answers, expected);
}

#[test]
fn burst_passes_then_rate_holds() {
    check(10.0, 2, &[0, 0, 0, 99, 100, 100], "++--+-");
}

#[test]
fn idle_time_is_capped_at_burst() {
    check(10.0, 2, &[0, 0, 60_000, 60_000, 60_000], "++++-");
}

#[test]
fn fractions_of_a_token_a_second_work() {
    check(0.5, 1, &[0, 0, 1999, 2000, 3999, 4000], "+--+-+");
}

#[test]
fn zero_refuses_all() {
    check(0.0, 5, &[0, 1_000_000], "--");
    check(5.0, 0, &[0, 1_000_000], "--");
}
