//! Throttling: token buckets by identity (rows 66–73), shared by the cores of a machine.
//!
//! A bucket is GCRA in one word ([`TokenBucket`]), the words lie in one bounded [`Table`], each core draws from it
//! through its [`Spendings`], and [`Throttle`] is the policy that asks for a token of every level of a route.
//! Nothing here reads a clock, and what a bucket has spent is kept apart from what it may spend ([`Limit`]).

mod bucket;
mod limit;
mod spendings;
mod table;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use message::{Reason, Request};
use smallvec::SmallVec;

pub use bucket::TokenBucket;
pub use limit::Limit;
pub use spendings::{Refused, Spendings, TICK_NS};
pub use table::{BucketId, Table};

use crate::{Context, Description, Policy, Verdict};

/// Why a throttle cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A rate that is negative or no number.
    #[error("a rate must be a decimal of at least 0, not {rate}")]
    BadRate {
        /// As it was written.
        rate: f64,
    },
    /// An empty bucket would take longer to fill than the clock can tell.
    #[error("{burst} tokens at {rate}/s take more than two years to fill: raise the rate or lower the burst")]
    FillsTooSlowly {
        /// Tokens a second.
        rate: f64,
        /// Tokens at once.
        burst: u32,
    },
}

/// What a [`Throttle`] is made of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Buckets that must all have a token, in the order in which they answer (row 71).
    pub levels: Vec<LevelSettings>,
}

/// One bucket of a route: its own, its stage's, the account's.
#[derive(Clone, Debug, PartialEq)]
pub struct LevelSettings {
    /// API, stage, route key and level; never the rate, so that a reload forgives nobody.
    pub identity: String,
    /// Tokens a second, any decimal; 0 refuses all (row 73).
    pub rate: f64,
    /// Tokens at once; `None`: as many as `rate`, at least one. 0 refuses all.
    pub burst: Option<u32>,
    /// A bucket for each client: an IPv4 address or an IPv6 /64.
    pub per_client: bool,
    /// Whose it is, for people.
    pub scope: Scope,
}

/// Whose limit a level is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One route's.
    Route,
    /// All routes' of a stage.
    Stage,
    /// All APIs' of the node.
    Account,
}

impl Scope {
    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Stage => "stage",
            Self::Account => "account",
        }
    }
}

/// The policy: a token of each level, or 429.
#[derive(Clone, Debug)]
pub struct Throttle {
    levels: Vec<Level>,
}

#[derive(Clone, Debug)]
struct Level {
    bucket: BucketId,
    limit: Limit,
    per_client: bool,
    scope: Scope,
}

/// Levels of a route that cost no allocation: client, route, stage, account, and as many again.
const LEVELS_USUAL: usize = 8;

/// The longest `Retry-After`; a limit of zero has no honest answer.
const RETRY_AFTER_S_MAX: u64 = 86_400;

impl Throttle {
    /// Compiles the levels; the first bad one is the error.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        let level = |level: &LevelSettings| -> Result<Level, Error> {
            let burst = level.burst.unwrap_or_else(|| default_burst(level.rate));
            let limit = Limit::new(level.rate, burst)?;
            let (bucket, per_client, scope) = (BucketId::new(&level.identity), level.per_client, level.scope);
            Ok(Level { bucket, limit, per_client, scope })
        };
        Ok(Self { levels: settings.levels.iter().map(level).collect::<Result<_, _>>()? })
    }

    /// Whether there is nothing to ask.
    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }
}

impl Policy for Throttle {
    fn on_request(&self, _request: &mut Request, cx: &mut Context<'_>) -> Verdict {
        let client: IpAddr = cx.client;
        let mut wants = SmallVec::<[(BucketId, &Limit); LEVELS_USUAL]>::new();
        for Level { bucket, limit, per_client, .. } in &self.levels {
            let bucket = if *per_client { cx.spendings.client_bucket(*bucket, client) } else { *bucket };
            wants.push((bucket, limit));
        }
        match cx.spendings.take_all(&wants, cx.now.mono_ns) {
            Ok(()) => Verdict::Continue,
            Err(refused) => Verdict::Refuse(Reason::Throttled {
                retry_after_s: refused.wait_ns.div_ceil(1_000_000_000).clamp(1, RETRY_AFTER_S_MAX),
            }),
        }
    }

    fn reads_responses(&self) -> bool {
        false
    }

    fn describe(&self) -> Description {
        let level = |Level { limit, per_client, scope, .. }: &Level| {
            let of = if *per_client { ", of each client" } else { "" };
            let (scope, rate, burst) = (scope.as_str(), limit.rate(), limit.burst());
            format!("{scope}: {rate} requests a second, {burst} at once{of}")
        };
        Description { kind: "throttle", asks: self.levels.iter().map(level).collect() }
    }
}

/// As many tokens as a second brings, at least one. `Limit::new` judges rates that are no numbers.
fn default_burst(rate: f64) -> u32 {
    (rate.ceil() as u32).max(1)
}
