//! Descriptors: how many there are, and for whom. Clients, backends and what the kernel accepts at once have their shares;
//! the rest is kept, so that the admin socket, the log and a reload work when clients have taken all they may.

use anyhow::{Result, bail};
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::say;

/// The most that is kept for the admin socket, logs, the files that a reload reads, name servers.
const RESERVE_MAX: u64 = 256;
/// What a process has open before it serves anybody.
const OWN: u64 = 48;
/// What a core has open for itself: its ring or epoll, its bell, the log's.
const OWN_OF_CORE: u64 = 8;
/// The longest queue of connections that the kernel holds for a listener of a core.
const BACKLOG_MAX: u64 = 4_096;
/// The shortest.
const BACKLOG_MIN: u64 = 16;
/// Where there is no limit of descriptors.
const LIMIT_MAX: u64 = 1 << 22;

/// Who may have how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shares {
    /// Connections of clients at once.
    pub(crate) clients: usize,
    /// Connections to backends at once.
    pub(crate) backends: usize,
    /// Connections that the kernel holds for one listener of one core. A ring accepts all of them in one turn, before
    /// any can be refused.
    pub(crate) backlog: i32,
}

/// As many descriptors as we may have (the soft limit is for programs that use `select`), shared out.
pub(crate) fn shares(asked: Option<usize>, listeners: usize, workers: usize) -> Result<Shares> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if setrlimit(Resource::Nofile, limit).is_err() {
        say::warning("the limit of open files could not be raised");
    }
    share_out(getrlimit(Resource::Nofile).current.unwrap_or(LIMIT_MAX), asked, listeners, workers)
}

fn share_out(limit: u64, asked: Option<usize>, listeners: usize, workers: usize) -> Result<Shares> {
    let limit = limit.min(LIMIT_MAX);
    let (listeners, workers) = (listeners.max(1) as u64, workers.max(1) as u64);
    let sockets = listeners * workers;
    let own = OWN + workers * OWN_OF_CORE + sockets + (limit / 8).min(RESERVE_MAX);
    let backlog = (limit / 8 / sockets).clamp(BACKLOG_MIN, BACKLOG_MAX);
    let left = limit.saturating_sub(own + backlog * sockets);
    // A client may need a connection to a backend, and mostly shares it with others one after another.
    let clients = asked.map_or(left / 2, |asked| asked as u64);
    let backends = left.saturating_sub(clients);
    if clients == 0 || backends < clients.div_ceil(8) {
        let needed = own + backlog * sockets + clients.max(1) + clients.max(1).div_ceil(8);
        bail!(
            "{clients} connections need {needed} descriptors, and there may be {limit}: raise the limit of open files \
             (`LimitNOFILE=`, `ulimit -Hn`) or lower `connections_max` in `[node]`"
        );
    }
    let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    Ok(Shares { clients: clients as usize, backends: backends as usize, backlog })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn too_few_descriptors_are_said_before_anything_starts() {
        let message = |limit, asked| share_out(limit, asked, 1, 1).unwrap_err().to_string();
        assert!(message(64, None).contains("there may be 64: raise the limit"), "{}", message(64, None));
        let said = message(1_024, Some(2_000));
        assert!(said.starts_with("2000 connections need 2563 descriptors, and there may be 1024"), "{said}");
    }

    #[test]
    fn what_was_asked_for_is_given() {
        let shares = share_out(20_000, Some(12_000), 2, 1).unwrap();
        assert_eq!((shares.clients, shares.backlog), (12_000, 1_250));
        assert!(shares.backends > 4_000, "{shares:?}");
    }

    proptest! {
        /// Whatever clients and backends take, and however many the kernel accepts at once: something is left.
        #[test]
        fn there_is_always_a_reserve(
            limit in 0..2_000_000_u64,
            asked in proptest::option::of(1..2_000_000_usize),
            listeners in 0..8_usize,
            workers in 0..128_usize,
        ) {
            let Ok(shares) = share_out(limit, asked, listeners, workers) else { return Ok(()) };
            prop_assert!(asked.is_none_or(|asked| asked == shares.clients));
            let sockets = (listeners.max(1) * workers.max(1)) as u64;
            let burst = shares.backlog as u64 * sockets;
            let taken = (shares.clients + shares.backends) as u64 + burst + sockets + OWN;
            prop_assert!(taken + (limit / 8).min(RESERVE_MAX) <= limit, "{shares:?} of {limit}");
        }
    }
}
