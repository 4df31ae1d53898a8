//! What the front line says of itself. Plain data; knows no metrics and no log.

use crate::rules::Digest;
use crate::settings::Step;
use gate::abi;
use ipnet::IpNet;
use std::time::Duration;

/// How things stand.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// What runs where.
    pub interfaces: Vec<Interface>,
    /// Rules in force; `None`: nothing is, or nobody knows them by name.
    pub in_force: Option<Digest>,
    /// Rules that were committed last.
    pub committed: Option<Digest>,
    /// What is on trial.
    pub trial: Option<Trial>,
    /// How long ago the gateway gave its last sign of life; `None`: never.
    pub heartbeat_age: Option<Duration>,
    /// Whether SYNs are challenged now.
    pub flood: bool,
    /// Everything that was counted since the tables were made.
    pub counters: Counters,
    /// Prefixes that are held back for a while.
    pub blocked: Vec<Blocked>,
}

/// What runs on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// The step taken.
    pub step: Step,
}

/// Rules that go by themselves unless they are committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// So long they hold.
    pub left: Duration,
    /// Whether there are rules to go back to; without, everything passes.
    pub has_before: bool,
}

/// Counts by [`abi::Count`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters(pub [u64; abi::COUNTERS as usize]);

impl Counters {
    /// One of them.
    pub const fn of(&self, count: abi::Count) -> u64 {
        self.0[count as usize]
    }
}

/// A prefix that is held back for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Which.
    pub prefix: IpNet,
    /// For so long.
    pub left: Duration,
    /// A SYN takes the time of so many; 0: none is let in.
    pub cost: u32,
    /// Why, by the caller's numbers.
    pub reason: u32,
}

/// Somebody who was seen lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Who.
    pub prefix: IpNet,
    /// Number of the policy, from 1.
    pub policy: u8,
    /// SYNs.
    pub syns: u64,
    /// Of those, above a limit.
    pub syns_over: u64,
    /// Other packets above a limit.
    pub packets_over: u64,
}

/// Somebody went above a limit, or a flood began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Happened {
    /// When, by `CLOCK_MONOTONIC`, in ns.
    pub at_ns: u64,
    /// Who; `None`: everybody, a flood has begun.
    pub prefix: Option<IpNet>,
    /// Where to.
    pub port: u16,
    /// Number of what was counted; see [`abi::Count`].
    pub what: u16,
}

/// The kernel's own words about our connections, and the queue before them.
pub type Connections = abi::Connections;

/// Round trips: count `n` is of those below 2ⁿ µs and not below the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rtt(pub [u64; abi::RTT_BUCKETS as usize]);
