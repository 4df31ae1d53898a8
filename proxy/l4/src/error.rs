//! What can go wrong with the front line. Nothing here ends a gateway: it knows no exit code.

use std::path::PathBuf;
use std::time::Duration;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There are more policies than a rule set has room for.
    #[error("{count} policies: there is room for {max}")]
    TooManyPolicies {
        /// So many were asked for.
        count: usize,
        /// So many there may be.
        max: usize,
    },
    /// A port stands in two policies.
    #[error("port {port} has two policies")]
    PortTwice {
        /// Which.
        port: u16,
    },
    /// A port is to be limited and never to be limited.
    #[error("port {port} is an admin port: no policy can hold for it")]
    AdminPort {
        /// Which.
        port: u16,
    },
    /// Port 0 is nobody's.
    #[error("port 0 can't have a policy")]
    PortZero,
    /// A policy's prefixes are none of IPv4 and IPv6, or a narrow one is wider than the wide one.
    #[error(
        "a policy's prefixes must be of 1 to 32 bits for IPv4 and of 1 to 128 for IPv6, the narrow one not below the wide one"
    )]
    Prefixes,
    /// More prefixes than the table has room for.
    #[error("{count} prefixes to allow or to block: there is room for {max}")]
    TooManyPrefixes {
        /// So many were asked for.
        count: usize,
        /// So many there may be in one rule set.
        max: usize,
    },
    /// The kernel refused a call.
    #[error("{what}: {why}")]
    Kernel {
        /// What was tried.
        what: &'static str,
        /// What it said.
        why: String,
    },
    /// A file or folder.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// `nft` did not do it.
    #[error("nft: {0}")]
    Nft(String),
    /// There is no front line in the kernel: nothing is pinned.
    #[error("nothing is attached: {} has no tables", path.display())]
    NotAttached {
        /// Where they would be.
        path: PathBuf,
    },
    /// Nothing waits to be committed.
    #[error("no rules are on trial")]
    NoTrial,
    /// Somebody else changes the rules at this moment.
    #[error("somebody else is changing the rules ({} is locked)", path.display())]
    Busy {
        /// The lock.
        path: PathBuf,
    },
    /// A prefix that must not be held back.
    #[error("{prefix} must not be blocked: {why}")]
    Unblockable {
        /// Which.
        prefix: ipnet::IpNet,
        /// Why not.
        why: &'static str,
    },
    /// More prefixes are held back or let in by hand than is kept.
    #[error("there is room for {max} prefixes by hand")]
    TooManyVerdicts {
        /// So many there may be.
        max: usize,
    },
    /// More listeners than can be steered to.
    #[error("there is room for {max} groups of listeners")]
    TooManyListeners {
        /// So many there may be.
        max: u32,
    },
    /// Longer than anybody means.
    #[error("{asked:?} is too long: {max:?} at most")]
    TooLong {
        /// Asked for.
        asked: Duration,
        /// At most.
        max: Duration,
    },
    /// The table of a feature is not there: the feature is not on, or the step has none.
    #[error("{0} is not available at the step in force")]
    Unavailable(&'static str),
}
