//! Counters: a core's own tally of events, plain integers that no other core touches. To read them a core is asked
//! for a copy between two events. They know slots; what a slot is called comes with each publish.

use std::{collections::HashMap, sync::Arc};

use crate::{Event, Observed, latency::Latency, sparse::Sparse, tally::Tally};

/// What the slots of one generation are called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// Which generation; the highest one names the slots when cores are summed.
    pub generation: u64,
    /// By slot; `None` where a slot is empty.
    pub routes: Vec<Option<RouteLabels>>,
    /// Names of upstream groups, by slot.
    pub upstreams: Vec<Option<String>>,
    /// Names of listeners, by slot.
    pub listeners: Vec<Option<String>>,
    /// What is called otherwise than before; `None`: whoever adopts these names has to compare them.
    pub renamed: Option<Renamed>,
}

/// Slots that are called otherwise than in an earlier generation: found out once by who publishes, not by each core
/// while its clients wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renamed {
    /// The earlier generation.
    pub since: u64,
    routes: Vec<usize>,
    upstreams: Vec<usize>,
    listeners: Vec<usize>,
}

/// What a route is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RouteLabels {
    /// Name of its API.
    pub api: String,
    /// Name of its stage.
    pub stage: String,
    /// Its key, `GET /orders/{id}`.
    pub route: String,
    /// The kind of its API: `proxy`, `http`, `rest`.
    pub kind: &'static str,
}

/// One core's counters.
#[derive(Clone, Debug)]
pub struct Counters {
    pub(crate) labels: Arc<Labels>,
    pub(crate) accepts: Vec<u64>,
    pub(crate) accepts_other: u64,
    /// Apart from the listeners' counts, which go when a listener goes while its connections stay.
    opens: u64,
    closes: u64,
    pub(crate) rejects: Tally<&'static str, 8>,
    pub(crate) handshakes_full: u64,
    pub(crate) handshakes_resumed: u64,
    pub(crate) handshake_latency: Latency,
    pub(crate) handshake_failures: Tally<&'static str, 32>,
    pub(crate) time_outs: Tally<&'static str, 16>,
    pub(crate) malformed: Tally<(&'static str, u16), 64>,
    pub(crate) protocols: Tally<&'static str, 4>,
    pub(crate) http2_opens: u64,
    pub(crate) http2_closes: Tally<&'static str, 16>,
    pub(crate) http2_resets: Tally<&'static str, 2>,
    pub(crate) http2_refusals: Tally<&'static str, 8>,
    pub(crate) routes: Sparse<RouteCounters>,
    /// Requests for which no route was found, or whose route is gone.
    pub(crate) unrouted: RouteCounters,
    pub(crate) upstreams: Sparse<UpstreamCounters>,
    pub(crate) upstreams_other: UpstreamCounters,
    pub(crate) panics: u64,
    pub(crate) swaps: Latency,
}

/// What was counted for slots that are gone. Freeing it takes a while: it is for a thread that has time.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "pointers are moved, not what they point to")]
pub struct Discarded {
    routes: Vec<Box<RouteCounters>>,
    upstreams: Vec<Box<UpstreamCounters>>,
}

/// Calls of gRPC that ended, by their status; those without one at the end.
pub(crate) type Calls = [u64; GRPC_STATUSES + 1];

/// gRPC's statuses: 0 to 16.
pub(crate) const GRPC_STATUSES: usize = 17;

/// What happened on one route.
#[derive(Clone, Debug, Default)]
pub(crate) struct RouteCounters {
    pub(crate) statuses: Tally<u16, 16>,
    pub(crate) refusals: Tally<&'static str, 12>,
    /// Made at a route's first call of gRPC.
    pub(crate) calls: Option<Box<Calls>>,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
    pub(crate) cache_hits: u64,
    pub(crate) cache_misses: u64,
    /// Made at a route's first answer, once: some KB each add up.
    pub(crate) latency: Option<Box<Latency>>,
    pub(crate) integration: Option<Box<Latency>>,
}

/// What happened toward one upstream group.
#[derive(Clone, Debug, Default)]
pub(crate) struct UpstreamCounters {
    pub(crate) reuses: u64,
    pub(crate) retries: u64,
    pub(crate) faults: Tally<&'static str, 16>,
    pub(crate) held_back: Tally<&'static str, 4>,
    pub(crate) ejections: u64,
    /// Failed and passed.
    pub(crate) probes: [u64; 2],
    pub(crate) connects: Option<Box<Latency>>,
}

/// A copy of one core's counters, to be sent away.
#[derive(Clone, Debug)]
pub struct CoreSnapshot(Counters);

/// The sum of several cores.
#[derive(Clone, Debug)]
pub struct Merged(pub(crate) Counters);

impl Counters {
    /// Counters at zero, for the slots of `labels`.
    pub fn new(labels: Arc<Labels>) -> Self {
        Self {
            accepts: vec![0; labels.listeners.len()],
            accepts_other: 0,
            opens: 0,
            closes: 0,
            rejects: Tally::default(),
            handshakes_full: 0,
            handshakes_resumed: 0,
            handshake_latency: Latency::default(),
            handshake_failures: Tally::default(),
            time_outs: Tally::default(),
            malformed: Tally::default(),
            protocols: Tally::default(),
            http2_opens: 0,
            http2_closes: Tally::default(),
            http2_resets: Tally::default(),
            http2_refusals: Tally::default(),
            routes: Sparse::new(labels.routes.len()),
            unrouted: RouteCounters::default(),
            upstreams: Sparse::new(labels.upstreams.len()),
            upstreams_other: UpstreamCounters::default(),
            panics: 0,
            swaps: Latency::default(),
            labels,
        }
    }

    /// Takes the slots of a new generation: a slot that keeps its name keeps its counts, any other starts at zero.
    /// What the others counted is dropped (a counter that restarts is what a scraper expects of a thing that went) and
    /// comes back to be freed elsewhere.
    pub fn adopt(&mut self, labels: Arc<Labels>) -> Discarded {
        let known = labels.renamed.as_ref().filter(|renamed| renamed.since == self.labels.generation);
        let compared;
        let renamed = match known {
            Some(renamed) => renamed,
            None => {
                compared = Renamed::between(&self.labels, &labels);
                &compared
            }
        };
        let mut gone = Discarded::default();
        self.accepts.resize(labels.listeners.len(), 0);
        renamed.listeners.iter().for_each(|slot| self.accepts[*slot] = 0);
        self.routes.resize(labels.routes.len(), &mut gone.routes);
        gone.routes.extend(renamed.routes.iter().filter_map(|slot| self.routes.take(*slot)));
        self.upstreams.resize(labels.upstreams.len(), &mut gone.upstreams);
        gone.upstreams.extend(renamed.upstreams.iter().filter_map(|slot| self.upstreams.take(*slot)));
        self.labels = labels;
        gone
    }

    /// Counts one event. Allocates only at a route's or an upstream's first.
    #[inline]
    pub fn record(&mut self, event: &Event) {
        match *event {
            Event::Accept { listener } => {
                *slot(&mut self.accepts, listener, &mut self.accepts_other) += 1;
                self.opens += 1;
            }
            Event::Reject { label } => self.rejects.add(label, 1),
            Event::Close => self.closes += 1,
            Event::Handshake { resumed, us } => {
                *(if resumed { &mut self.handshakes_resumed } else { &mut self.handshakes_full }) += 1;
                self.handshake_latency.record(us);
            }
            Event::HandshakeFail { label } => self.handshake_failures.add(label, 1),
            Event::TimeOut { wait } => self.time_outs.add(wait, 1),
            Event::Malform { status, label } => self.malformed.add((label, status), 1),
            Event::Refuse { route, reason } => self.route(route).refusals.add(reason, 1),
            Event::OpenHttp2 => self.http2_opens += 1,
            Event::CloseHttp2 { cause } => self.http2_closes.add(cause, 1),
            Event::ResetStream { by } => self.http2_resets.add(by, 1),
            Event::RefuseStream { code } => self.http2_refusals.add(code, 1),
            Event::Answer {
                route,
                status,
                protocol,
                latency_us,
                integration_us,
                request_bytes,
                response_bytes,
            } => {
                self.protocols.add(protocol, 1);
                let counters = self.route(route);
                counters.statuses.add(status, 1);
                counters.request_bytes += request_bytes;
                counters.response_bytes += response_bytes;
                counters.latency.get_or_insert_default().record(latency_us);
                if let Some(us) = integration_us {
                    counters.integration.get_or_insert_default().record(us);
                }
            }
            Event::EndCall { route, grpc_status } => {
                let index = grpc_status.map_or(GRPC_STATUSES, usize::from).min(GRPC_STATUSES);
                self.route(route).calls.get_or_insert_default()[index] += 1;
            }
            Event::CacheHit { route } => self.route(Some(route)).cache_hits += 1,
            Event::CacheMiss { route } => self.route(Some(route)).cache_misses += 1,
            Event::BackendConnect { upstream, us } => {
                self.upstream(upstream).connects.get_or_insert_default().record(us);
            }
            Event::BackendReuse { upstream } => self.upstream(upstream).reuses += 1,
            Event::BackendFault { upstream, label } => self.upstream(upstream).faults.add(label, 1),
            Event::BackendRetry { upstream } => self.upstream(upstream).retries += 1,
            Event::BackendHoldBack { upstream, label } => self.upstream(upstream).held_back.add(label, 1),
            Event::BackendEject { upstream } => self.upstream(upstream).ejections += 1,
            Event::BackendProbe { upstream, passed } => {
                self.upstream(upstream).probes[usize::from(passed)] += 1;
            }
            Event::Panic => self.panics += 1,
            Event::Swap { us } => self.swaps.record(us),
        }
    }

    /// Connections accepted and not yet closed.
    pub fn connections_open(&self) -> u64 {
        self.opens.saturating_sub(self.closes)
    }

    /// What was seen of some routes together. Costs as much as there are routes among them that were asked.
    pub fn observe(&self, slots: &[u32]) -> Observed {
        let mut observed = Observed::default();
        for counters in slots.iter().filter_map(|slot| self.routes.get(*slot as usize)) {
            let statuses = || counters.statuses.iter();
            let requests = statuses().map(|(_, n)| n).sum::<u64>() + counters.statuses.other();
            let errors = statuses().filter(|(status, _)| *status >= 500).map(|(_, n)| n).sum();
            observed.add(requests, errors, counters.latency.as_deref());
        }
        observed
    }

    /// A copy to send away: 14 to 25 KB for each route that was asked.
    pub fn snapshot(&self) -> CoreSnapshot {
        CoreSnapshot(self.clone())
    }

    /// The same without routes, which [`Counters::copy_routes`] puts into it bit by bit: a scrape is not to hold a core.
    pub fn snapshot_without_routes(&mut self) -> CoreSnapshot {
        let routes = std::mem::take(&mut self.routes);
        let mut copy = self.clone();
        copy.routes = Sparse::new(self.labels.routes.len());
        self.routes = routes;
        CoreSnapshot(copy)
    }

    /// Copies the counts of routes from a slot on, of so many that were asked at most; where to go on, or `None` at the end.
    pub fn copy_routes(&self, slot: usize, routes_max: usize, to: &mut CoreSnapshot) -> Option<usize> {
        self.routes.copy_some(slot, routes_max, &mut to.0.routes)
    }

    fn route(&mut self, route: Option<u32>) -> &mut RouteCounters {
        match route {
            Some(route) => self.routes.get_or_make(route).unwrap_or(&mut self.unrouted),
            None => &mut self.unrouted,
        }
    }

    fn upstream(&mut self, upstream: u32) -> &mut UpstreamCounters {
        self.upstreams.get_or_make(upstream).unwrap_or(&mut self.upstreams_other)
    }

    fn merge(&mut self, core: &Self) {
        let (mine, theirs) = (Arc::clone(&self.labels), &core.labels);
        let pairs = |a: &mut Vec<u64>, b: &[u64]| a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        if Arc::ptr_eq(&mine, theirs) {
            pairs(&mut self.accepts, &core.accepts);
            add(&mut self.routes, &core.routes, RouteCounters::merge);
            add(&mut self.upstreams, &core.upstreams, UpstreamCounters::merge);
        } else {
            // A core that is about to take the newer generation: by name, slot by slot.
            let mut other = core.clone();
            drop(other.adopt(mine));
            pairs(&mut self.accepts, &other.accepts);
            add(&mut self.routes, &other.routes, RouteCounters::merge);
            add(&mut self.upstreams, &other.upstreams, UpstreamCounters::merge);
        }
        self.accepts_other += core.accepts_other;
        self.opens += core.opens;
        self.closes += core.closes;
        self.rejects.merge(&core.rejects);
        self.handshakes_full += core.handshakes_full;
        self.handshakes_resumed += core.handshakes_resumed;
        self.handshake_latency.merge(&core.handshake_latency);
        self.handshake_failures.merge(&core.handshake_failures);
        self.time_outs.merge(&core.time_outs);
        self.malformed.merge(&core.malformed);
        self.protocols.merge(&core.protocols);
        self.http2_opens += core.http2_opens;
        self.http2_closes.merge(&core.http2_closes);
        self.http2_resets.merge(&core.http2_resets);
        self.http2_refusals.merge(&core.http2_refusals);
        self.unrouted.merge(&core.unrouted);
        self.upstreams_other.merge(&core.upstreams_other);
        self.panics += core.panics;
        self.swaps.merge(&core.swaps);
    }

    /// Two slots of one name would be one series written twice, which no scraper takes: sums them into the first.
    fn fold_namesakes(&mut self) {
        let mut first = HashMap::new();
        for (index, labels) in self.labels.routes.iter().enumerate() {
            let Some(labels) = labels else { continue };
            let home = *first.entry(labels).or_insert(index);
            if home != index {
                let Some(extra) = self.routes.take(index) else { continue };
                if let Some(home) = u32::try_from(home).ok().and_then(|home| self.routes.get_or_make(home)) {
                    home.merge(&extra);
                }
            }
        }
    }
}

/// Sums the cores, under the names of the newest generation among them.
pub fn merge(cores: Vec<CoreSnapshot>) -> Merged {
    let newest = cores.iter().map(|core| &core.0.labels).max_by_key(|labels| labels.generation);
    let mut sum = Counters::new(newest.cloned().unwrap_or_default());
    for core in &cores {
        sum.merge(&core.0);
    }
    sum.fold_namesakes();
    Merged(sum)
}

impl RouteCounters {
    fn merge(&mut self, more: &Self) {
        self.statuses.merge(&more.statuses);
        self.refusals.merge(&more.refusals);
        if let Some(more) = &more.calls {
            let calls = self.calls.get_or_insert_default();
            calls.iter_mut().zip(&**more).for_each(|(sum, more)| *sum += more);
        }
        self.request_bytes += more.request_bytes;
        self.response_bytes += more.response_bytes;
        self.cache_hits += more.cache_hits;
        self.cache_misses += more.cache_misses;
        merge_latency(&mut self.latency, more.latency.as_deref());
        merge_latency(&mut self.integration, more.integration.as_deref());
    }
}

impl UpstreamCounters {
    fn merge(&mut self, more: &Self) {
        self.reuses += more.reuses;
        self.retries += more.retries;
        self.faults.merge(&more.faults);
        self.held_back.merge(&more.held_back);
        self.ejections += more.ejections;
        self.probes.iter_mut().zip(more.probes).for_each(|(sum, more)| *sum += more);
        merge_latency(&mut self.connects, more.connects.as_deref());
    }
}

fn merge_latency(sum: &mut Option<Box<Latency>>, more: Option<&Latency>) {
    if let Some(more) = more {
        sum.get_or_insert_default().merge(more);
    }
}

fn slot<'a, T>(slots: &'a mut [T], index: u32, other: &'a mut T) -> &'a mut T {
    slots.get_mut(index as usize).unwrap_or(other)
}

impl Renamed {
    /// What `after` calls otherwise than `before` does.
    pub fn between(before: &Labels, after: &Labels) -> Self {
        Self {
            since: before.generation,
            routes: renamed(&before.routes, &after.routes),
            upstreams: renamed(&before.upstreams, &after.upstreams),
            listeners: renamed(&before.listeners, &after.listeners),
        }
    }
}

/// Slots of the new names that the old ones did not have, or had for another thing.
fn renamed<N: PartialEq>(old: &[Option<N>], new: &[Option<N>]) -> Vec<usize> {
    (0..new.len()).filter(|slot| old.get(*slot) != new.get(*slot)).collect()
}

/// Adds what one core has counted, slot by slot.
fn add<T: Default>(sum: &mut Sparse<T>, core: &Sparse<T>, merge: fn(&mut T, &T)) {
    for (slot, more) in (0..).zip(core.iter()) {
        if let Some(more) = more
            && let Some(sum) = sum.get_or_make(slot)
        {
            merge(sum, more);
        }
    }
}

#[cfg(test)]
mod tests;
