//! Throttles.
/// This core's token buckets.
pub struct Spendings;
