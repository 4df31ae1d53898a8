//! What the control thread may ask of the node.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering, mpsc},
    time::{Duration, Instant},
};

use control::{Doors, Readiness, Reloaded, Stop};
use shard::{Message, Report};
use telemetry::{
    CacheFacts, CoreFacts, MemoryFacts, NodeFacts, StallFacts, TargetFacts, UpstreamFacts, exposition, merge,
    process,
};

use crate::{
    bar,
    frontline::FrontLine,
    node::{Node, held},
    say,
};

/// How long a flush waits for the cores.
const FLUSH_MAX: Duration = Duration::from_secs(1);

/// The node as the control thread sees it.
pub(crate) struct Door(pub(crate) Arc<Node>);

impl Doors for Door {
    fn scrape(&self) -> String {
        let node = &self.0;
        let reports = node.reports();
        let cache = reports.iter().map(|report| (report.cache, report.replicas)).fold(
            CacheFacts::default(),
            |sum, (core, replicas)| CacheFacts {
                used_bytes: sum.used_bytes + core.bytes + replicas.bytes,
                capacity_bytes: sum.capacity_bytes + core.bytes_max + replicas.bytes_max,
                entries: sum.entries + core.entries,
                evictions: sum.evictions + core.evictions,
                replica_hits: sum.replica_hits + replicas.hits,
                replica_bytes: sum.replica_bytes + replicas.bytes,
            },
        );
        let cores = reports.iter().map(|report| CoreFacts {
            driver: report.driver.as_str(),
            turns: report.runtime.turns,
            enters: report.runtime.syscalls,
            buffers_exhausted: report.runtime.enobufs,
            stalls: stalls(&report.runtime),
            turn_us_max: report.turns.elapsed_ns.div_ceil(1_000),
            turn_own_us_max: report.turns.own_ns.div_ceil(1_000),
        });
        let facts = NodeFacts {
            version: env!("CARGO_PKG_VERSION"),
            generation: node.generation.load(Ordering::Relaxed),
            ready: self.ready() == Readiness::Ready,
            uptime_us: u64::try_from(node.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            cores: cores.collect(),
            cache: Some(cache),
            limit_evictions: node.cores.get().map_or(0, |cores| cores.limits.evictions()),
            connections_max: node.cores.get().map_or(0, |cores| cores.gate.max() as u64),
            memory: MemoryFacts {
                bytes: node.memory_bytes.load(Ordering::Relaxed),
                max_bytes: held(&node.memory_limit).max_bytes(),
                pressure: node.memory_level.load(Ordering::Relaxed),
            },
            connections_untracked: node.cores.get().map_or(0, |cores| cores.gate.untracked()),
            reloads: node.reloads.load(Ordering::Relaxed),
            generations_held: node.generations_held.load(Ordering::Relaxed),
            reloads_refused: node.reloads_refused.load(Ordering::Relaxed),
            resolve_failures: node.resolve_failures(),
            upstreams: upstreams(&reports),
            front_line: held(&node.front_line).as_ref().and_then(FrontLine::facts),
            log: held(&node.log).stats(),
            process: process::read(),
        };
        let merged = merge(reports.into_iter().map(|report| report.counters).collect());
        exposition(&merged, &facts)
    }

    fn ready(&self) -> Readiness {
        if self.0.draining.load(Ordering::Relaxed) {
            Readiness::Not("draining")
        } else if self.0.cores.get().is_none() {
            Readiness::Not("starting")
        } else {
            Readiness::Ready
        }
    }

    fn reload(&self) -> Result<Reloaded, String> {
        self.0.reload()
    }

    fn deployments(&self, asked: &str) -> Result<String, String> {
        self.0.deployments(asked)
    }

    fn progress(&self) -> String {
        bar::encode(self.0.progress.look())
    }

    fn flush_cache(&self) {
        let (done, flushed) = mpsc::channel();
        let asked = self.0.flush(&done);
        drop(done);
        let dropped: usize = (0..asked).map_while(|_| flushed.recv_timeout(FLUSH_MAX).ok()).sum();
        say::note(&format!("forgot {dropped} cached responses"));
    }

    fn reopen_logs(&self) {
        held(&self.0.log).reopen();
    }

    fn beat(&self) {
        let node = &self.0;
        let mut heartbeats = held(&node.heartbeats);
        let Some(heartbeats) = heartbeats.as_mut() else { return };
        // Starting and ending have bounds of the manager's own, and cores that have ended answer no more.
        let beat = match (node.cores.get(), node.draining.load(Ordering::Relaxed)) {
            (Some(cores), false) => Some(heartbeats.beat(Instant::now(), |core, answer| {
                cores.posts.get(core).is_some_and(|post| post.send(Message::Pulse(answer)).is_ok())
            })),
            _ => None,
        };
        let Some(stuck) = beat.and_then(|beat| beat.stuck) else {
            if std::mem::take(&mut heartbeats.told) {
                say::note("all cores turn again");
                node.manager.status(&node.serving());
            }
            return node.manager.feed();
        };
        if !std::mem::replace(&mut heartbeats.told, true) {
            let text = format!(
                "core {} has not turned for {:.1?}; the watchdog is not fed",
                stuck.core, stuck.since
            );
            say::warning(&text);
            node.manager.status(&text);
        }
    }

    fn stop(&self, how: Stop) {
        match how {
            Stop::Drain => {
                self.0.draining.store(true, Ordering::Relaxed);
                let limit = self.0.drain;
                let text = format!("draining: requests in flight have {} s", limit.as_secs());
                say::note(&text);
                self.0.manager.stopping(limit, &text);
                if self.0.ask(|| Message::Drain(limit)) == 0 {
                    // Not yet serving: there is nothing to drain.
                    std::process::exit(0);
                }
            }
            Stop::Now => std::process::exit(1),
        }
    }

    fn say(&self, text: &str) {
        say::note(text);
    }
}

/// A core's long turns by cause, with how long they lasted in all.
fn stalls(stats: &runtime::Stats) -> [StallFacts; 4] {
    let of = |cause, turns, ns: u64| StallFacts { cause, turns, us: ns / 1_000 };
    [
        of("work", stats.stalls_work, stats.stalls_work_ns),
        of("change", stats.stalls_change, stats.stalls_change_ns),
        of("waited", stats.stalls_waited, stats.stalls_waited_ns),
        of("unknown", stats.stalls_unknown, stats.stalls_unknown_ns),
    ]
}

/// What the cores think of upstream groups, put together. Groups and addresses are in order of their names.
fn upstreams(reports: &[Report]) -> Vec<UpstreamFacts> {
    let mut groups = BTreeMap::<&str, (UpstreamFacts, BTreeMap<_, TargetFacts>)>::new();
    for group in reports.iter().flat_map(|report| &report.upstreams) {
        let (facts, targets) = groups.entry(&group.name).or_default();
        facts.suspending_cores += usize::from(group.suspended);
        facts.panicking_cores += usize::from(group.panicking);
        facts.retries_left += u64::from(group.retries_left);
        for target in &group.targets {
            let sum = targets.entry(target.address).or_insert_with(|| TargetFacts {
                address: target.address.to_string(),
                healthy: true,
                share_percent: target.share_percent,
                ..TargetFacts::default()
            });
            sum.in_flight += u64::from(target.in_flight);
            sum.healthy &= target.healthy;
            sum.ejecting_cores += usize::from(target.ejected);
            sum.share_percent = sum.share_percent.min(target.share_percent);
        }
    }
    let named = |(name, (facts, targets)): (&str, (UpstreamFacts, BTreeMap<_, TargetFacts>))| UpstreamFacts {
        name: name.to_owned(),
        targets: targets.into_values().collect(),
        ..facts
    };
    groups.into_iter().map(named).collect()
}
