//! Deployments: definitions that are frozen, and what a stage runs of them (rows 26 to 32).

use std::sync::Arc;

use crate::Definition;

/// A definition as it was at a time. It never changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployment {
    /// Six lower-case letters and digits.
    pub id: String,
    /// For people.
    pub description: Option<String>,
    /// When it was made, in seconds since 1970.
    pub created_unix_s: u64,
    /// What is frozen.
    pub definition: Arc<Definition>,
    /// Whose cached answers it takes over: those of deployments that say the same here. Its own id, unless it was made from a
    /// change of the configuration, which keeps what is cached.
    pub cache_id: String,
}

/// A part of a stage's requests that another deployment serves (rows 30, 31).
#[derive(Clone, Debug, PartialEq)]
pub struct Canary {
    /// How many of a hundred, 0.0 to 100.0; each request is drawn by itself.
    pub percent: f64,
    /// What serves them; `None`: what the stage runs, with other variables.
    pub deployment: Option<Deployment>,
    /// Stage variables that differ.
    pub variables: Vec<(String, String)>,
    /// Whether it may use the stage's cache.
    pub use_stage_cache: bool,
    /// When it is promoted or taken back without anybody's word. Not AWS's.
    pub judge: Option<CanaryJudge>,
}

/// When a canary is promoted, and when it is taken back: its own histograms against the stage's.
#[derive(Clone, Debug, PartialEq)]
pub struct CanaryJudge {
    /// How long it has to do well.
    pub promote_after: std::time::Duration,
    /// Requests of the canary before anything is judged.
    pub requests_min: u64,
    /// It is taken back above this share of answers of 500 and above, 0.0 to 1.0.
    pub error_rate_max: Option<f64>,
    /// It is taken back above this 99th percentile of latency.
    pub latency_p99_max: Option<std::time::Duration>,
}
