//! What is told of a request when its last byte has been handed over: events for the metrics, a line for the log.

use std::io::Write as _;

use exchange::CacheResult;
use message::Name;
use snapshot::Snapshot;
use telemetry::{Event, access::Variable};

use crate::{core::Core, request::Account};

/// Counts a request and writes its line.
pub(crate) fn record(core: &Core, snapshot: &Snapshot, account: &Account<'_>) {
    let route = account.served.route.map(|route| route.slot);
    if let Some(reason) = &account.served.reason {
        core.record(&Event::Refuse { route, reason: reason.as_str() });
    }
    if let (Some(cached), Some(route)) = (account.served.cached, route) {
        core.record(&match cached {
            CacheResult::Hit => Event::CacheHit { route },
            CacheResult::Miss => Event::CacheMiss { route },
        });
    }
    core.record(&Event::Answer {
        route,
        status: account.status,
        latency_us: account.latency_ns() / 1_000,
        integration_us: account.integration_ns().map(|ns| ns / 1_000),
        request_bytes: account.request_bytes,
        response_bytes: account.response_bytes,
    });
    if let Some(template) = &snapshot.access_log {
        core.log.borrow_mut().line(|line| template.render(line, &|variable, out| account.write(variable, out)));
    }
}

impl Account<'_> {
    fn latency_ns(&self) -> u64 {
        self.ended.mono_ns.saturating_sub(self.begun.mono_ns)
    }

    fn integration_ns(&self) -> Option<u64> {
        self.served.called.map(|(from, to)| to.saturating_sub(from))
    }
}
