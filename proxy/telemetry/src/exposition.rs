//! The page a scraper reads: every metric there is, its name, its help, its labels. Counts come from the cores, facts
//! from whoever owns them; this module reads nothing by itself.
//! Row 163's Count, 4XXError, 5XXError are `floodgate_requests_total` by `code`; Latency and IntegrationLatency the two
//! histograms; CacheHitCount and CacheMissCount the two cache counters; row 164's DataProcessed the two byte counters.
//! Calls of gRPC, whose HTTP status is 200 however they end, are counted by their own status beside it.

mod front_line;
mod upstreams;

use std::collections::BTreeSet;

use crate::{
    Merged, RouteLabels,
    counters::{GRPC_STATUSES, RouteCounters, UpstreamCounters},
    log, process,
    text::{Labels, Page, Seconds},
};

pub use front_line::{
    ConnectionFacts, FeedFacts, FrontLineFacts, ListenFacts, PacketFacts, RTT_BUCKETS, TOP_SOURCES_MAX,
};
pub use upstreams::{TargetFacts, UpstreamFacts};

/// What is known of the node besides its counters.
#[derive(Clone, Debug, Default)]
pub struct NodeFacts {
    /// Version of the program.
    pub version: &'static str,
    /// Generation that is served.
    pub generation: u64,
    /// Every core accepts, nothing drains.
    pub ready: bool,
    /// Since the start, microseconds.
    pub uptime_us: u64,
    /// By core.
    pub cores: Vec<CoreFacts>,
    /// The response cache, if there is one.
    pub cache: Option<CacheFacts>,
    /// Buckets of limits dropped because their table was full, over all cores.
    pub limit_evictions: u64,
    /// Connections that clients may have at once.
    pub connections_max: u64,
    /// What the memory ladder goes by.
    pub memory: MemoryFacts,
    /// Connections whose prefix could not be counted.
    pub connections_untracked: u64,
    /// Changes that were taken.
    pub reloads: u64,
    /// Changes that were refused.
    pub reloads_refused: u64,
    /// Earlier generations that requests and tunnels which began with them still use.
    pub generations_held: usize,
    /// Questions to name servers that got no usable answer.
    pub resolve_failures: u64,
    /// Upstream groups about which there is something to decide.
    pub upstreams: Vec<UpstreamFacts>,
    /// The kernel front line, if there is one.
    pub front_line: Option<FrontLineFacts>,
    /// The access log.
    pub log: log::Stats,
    /// The process.
    pub process: process::ProcessFacts,
}

/// A core's reactor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoreFacts {
    /// `uring` or `epoll`, with what was left out of it if anything.
    pub driver: &'static str,
    /// Turns of the loop.
    pub turns: u64,
    /// Calls into the kernel to wait or submit.
    pub enters: u64,
    /// Receives that found no provided buffer (ENOBUFS).
    pub buffers_exhausted: u64,
    /// Its turns that lasted longer than a millisecond, by cause.
    pub stalls: [StallFacts; 4],
    /// The longest turn of this minute and the one before.
    pub turn_us_max: u64,
    /// The most that one of them ran of its own.
    pub turn_own_us_max: u64,
}

/// Turns of a core that lasted longer than a millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StallFacts {
    /// `work`, `change`, `waited`, `unknown`.
    pub cause: &'static str,
    /// How many.
    pub turns: u64,
    /// How long they lasted in all.
    pub us: u64,
}

/// The process's memory and what it is held against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryFacts {
    /// In RAM, when it was looked at last.
    pub bytes: u64,
    /// What it may come to; 0: no bound.
    pub max_bytes: u64,
    /// How short it is: 0 to 3.
    pub pressure: u8,
}

/// The response cache, over all cores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheFacts {
    /// Bytes in use: bodies, keys, heads, book-keeping.
    pub used_bytes: u64,
    /// The most there may be.
    pub capacity_bytes: u64,
    /// Responses held.
    pub entries: u64,
    /// Responses dropped to make room.
    pub evictions: u64,
    /// Look-ups that a core answered with its replica of another core's entry, without asking it.
    pub replica_hits: u64,
    /// Those of the bytes in use that replicas take.
    pub replica_bytes: u64,
}

/// Writes the page.
pub fn exposition(merged: &Merged, node: &NodeFacts) -> String {
    let mut page = Page::default();
    node_metrics(&mut page, node);
    page.histogram(
        "floodgate_swap_seconds",
        "Time for which a core did nothing else than take a changed configuration or changed addresses.",
    )
    .put_latency(&[], &merged.0.swaps);
    connection_metrics(&mut page, merged);
    route_metrics(&mut page, merged);
    upstream_metrics(&mut page, merged);
    upstreams::metrics(&mut page, merged, &node.upstreams);
    if let Some(front_line) = &node.front_line {
        front_line::metrics(&mut page, front_line);
    }
    cache_metrics(&mut page, node);
    core_metrics(&mut page, node);
    log_metrics(&mut page, &node.log);
    process_metrics(&mut page, &node.process);
    page.finish()
}

fn node_metrics(page: &mut Page, node: &NodeFacts) {
    page.gauge("floodgate_build_info", "Version of the program; always 1.")
        .put(&[("version", node.version)], 1);
    page.gauge("floodgate_workers", "Cores that serve.").put(&[], node.cores.len());
    let mut drivers = page.gauge("floodgate_driver_info", "How the reactors ask the kernel; always 1.");
    for driver in node.cores.iter().map(|core| core.driver).collect::<BTreeSet<_>>() {
        drivers.put(&[("driver", driver)], 1);
    }
    page.gauge("floodgate_ready", "1 while every core accepts and nothing drains.")
        .put(&[], u8::from(node.ready));
    page.gauge("floodgate_generation", "Generation of the configuration that is served.")
        .put(&[], node.generation);
    page.gauge("floodgate_uptime_seconds", "Time since the start.").put(&[], Seconds(node.uptime_us));
    page.counter("floodgate_reloads_total", "Changes of the configuration, taken or refused.")
        .put(&[("result", "taken")], node.reloads)
        .put(&[("result", "refused")], node.reloads_refused);
    page.gauge(
        "floodgate_generations_held",
        "Earlier generations that requests and tunnels which began with them still use.",
    )
    .put(&[], node.generations_held);
    page.counter("floodgate_resolve_failures_total", "Questions to name servers without a usable answer.")
        .put(&[], node.resolve_failures);
    page.counter(
        "floodgate_limit_evictions_total",
        "Buckets of limits dropped because their table was full.",
    )
    .put(&[], node.limit_evictions);
    page.gauge("floodgate_connections_max", "Connections that clients may have at once.")
        .put(&[], node.connections_max);
    page.gauge("floodgate_memory_bytes", "Memory in RAM, as the memory ladder saw it last.")
        .put(&[], node.memory.bytes);
    page.gauge("floodgate_memory_max_bytes", "What the process may come to take in RAM; 0: no bound.")
        .put(&[], node.memory.max_bytes);
    page.gauge(
        "floodgate_memory_pressure",
        "0: memory is enough; 1: caches shrink; 2: no new connections; 3: requests are refused.",
    )
    .put(&[], node.memory.pressure);
    page.counter(
        "floodgate_connections_untracked_total",
        "Connections let in without a count for their client, since the table of clients was full.",
    )
    .put(&[], node.connections_untracked);
}

fn connection_metrics(page: &mut Page, merged: &Merged) {
    let sum = &merged.0;
    let mut accepts =
        page.counter("floodgate_connections_accepted_total", "Connections accepted, by listener.");
    for (name, count) in sum.labels.listeners.iter().zip(&sum.accepts) {
        if let Some(name) = name {
            accepts.put(&[("listener", name)], count);
        }
    }
    if sum.accepts_other > 0 {
        accepts.put(&[("listener", "-")], sum.accepts_other);
    }
    page.gauge("floodgate_connections_open", "Connections accepted and not yet closed.")
        .put(&[], sum.connections_open());
    let mut rejects =
        page.counter("floodgate_connections_rejected_total", "Connections closed unserved at a limit.");
    for (label, count) in sum.rejects.iter() {
        rejects.put(&[("limit", label)], count);
    }
    put_other(&mut rejects, &[("limit", "other")], sum.rejects.other());
    page.counter("floodgate_tls_handshakes_total", "TLS handshakes finished.")
        .put(&[("resumed", "false")], sum.handshakes_full)
        .put(&[("resumed", "true")], sum.handshakes_resumed);
    let mut failures =
        page.counter("floodgate_tls_handshake_failures_total", "TLS handshakes failed, by cause.");
    for (label, count) in sum.handshake_failures.iter() {
        failures.put(&[("cause", label)], count);
    }
    put_other(&mut failures, &[("cause", "other")], sum.handshake_failures.other());
    page.histogram("floodgate_tls_handshake_seconds", "Duration of TLS handshakes.")
        .put_latency(&[], &sum.handshake_latency);
    let mut time_outs = page.counter("floodgate_timeouts_total", "Clients waited for in vain, by wait.");
    for (wait, count) in sum.time_outs.iter() {
        time_outs.put(&[("wait", wait)], count);
    }
    put_other(&mut time_outs, &[("wait", "other")], sum.time_outs.other());
    let mut malformed =
        page.counter("floodgate_malformed_total", "Bytes that were no request, by the broken rule.");
    for ((label, status), count) in sum.malformed.iter() {
        malformed.put(&[("rule", label), ("code", &status.to_string())], count);
    }
    put_other(&mut malformed, &[("rule", "other"), ("code", "other")], sum.malformed.other());
    let mut protocols = page
        .counter("floodgate_protocol_requests_total", "Responses sent, by the protocol of their requests.");
    for (protocol, count) in sum.protocols.iter() {
        protocols.put(&[("protocol", protocol)], count);
    }
    put_other(&mut protocols, &[("protocol", "other")], sum.protocols.other());
    http2_metrics(page, merged);
    page.counter("floodgate_panics_total", "Tasks of connections that panicked.").put(&[], sum.panics);
}

fn http2_metrics(page: &mut Page, merged: &Merged) {
    let sum = &merged.0;
    let closed = sum.http2_closes.iter().map(|(_, count)| count).sum::<u64>() + sum.http2_closes.other();
    page.counter(
        "floodgate_http2_connections_total",
        "Clients' connections that turned out to speak HTTP/2.",
    )
    .put(&[], sum.http2_opens);
    page.gauge("floodgate_http2_connections_open", "Those of them that have not ended.")
        .put(&[], sum.http2_opens.saturating_sub(closed));
    let mut closes = page.counter(
        "floodgate_http2_connections_closed_total",
        "Clients' connections of HTTP/2 that ended, by cause: client, gone_away and link (it left, with an error, or \
         broke off), drain (also for want of memory), broken (not HTTP/2), odd and flooded (75 and 100 % of the \
         oddities that it may have), or the name of a wait.",
    );
    for (cause, count) in sum.http2_closes.iter() {
        closes.put(&[("cause", cause)], count);
    }
    put_other(&mut closes, &[("cause", "other")], sum.http2_closes.other());
    let mut resets = page.counter(
        "floodgate_http2_streams_reset_total",
        "Requests of HTTP/2 that were reset before their answers were whole, by whom.",
    );
    for (by, count) in sum.http2_resets.iter() {
        resets.put(&[("by", by)], count);
    }
    let mut refusals = page.counter(
        "floodgate_http2_streams_refused_total",
        "Streams of clients that were reset for what HTTP/2 does not allow, by the code that the client was told; \
         refused_stream: it has as many as it may. Most of them were never a request.",
    );
    for (code, count) in sum.http2_refusals.iter() {
        refusals.put(&[("code", code)], count);
    }
    put_other(&mut refusals, &[("code", "other")], sum.http2_refusals.other());
}

/// Percentiles of the latency, written as gauges for those who look without a scraper.
const PERCENTILES: [(f64, &str); 4] = [(0.5, "50"), (0.99, "99"), (0.999, "99.9"), (1.0, "100")];

fn route_metrics(page: &mut Page, merged: &Merged) {
    let none = RouteLabels { api: "-".into(), stage: "-".into(), route: "-".into(), kind: "-" };
    let never = RouteCounters::default();
    let named = merged.0.labels.routes.iter().zip(merged.0.routes.iter());
    let routes: Vec<(&RouteLabels, &RouteCounters)> = named
        .filter_map(|(labels, counters)| Some((labels.as_ref()?, counters.unwrap_or(&never))))
        .chain([(&none, &merged.0.unrouted)])
        .collect();
    let each = |put: &mut dyn FnMut(Labels<'_>, &RouteCounters)| {
        for (labels, counters) in &routes {
            put(&[("api", &labels.api), ("stage", &labels.stage), ("route", &labels.route)], counters);
        }
    };

    let mut family =
        page.gauge("floodgate_route_info", "Routes there are, and the kind of their API; always 1.");
    for (labels, _) in &routes {
        family.put(
            &[
                ("api", &labels.api),
                ("stage", &labels.stage),
                ("route", &labels.route),
                ("kind", labels.kind),
            ],
            1,
        );
    }
    let mut family = page.counter(
        "floodgate_requests_total",
        "Responses sent, by status code; 499: the client left before there was one.",
    );
    each(&mut |labels, counters| {
        for (status, count) in counters.statuses.iter() {
            family.put(&with(labels, "code", &status.to_string()), count);
        }
        put_other(&mut family, &with(labels, "code", "other"), counters.statuses.other());
    });
    let mut family =
        page.counter("floodgate_refusals_total", "Requests answered in place of the integration, by reason.");
    each(&mut |labels, counters| {
        for (reason, count) in counters.refusals.iter() {
            family.put(&with(labels, "reason", reason), count);
        }
        put_other(&mut family, &with(labels, "reason", "other"), counters.refusals.other());
    });
    let mut family = page.counter(
        "floodgate_grpc_calls_total",
        "Calls of gRPC that ended, by gRPC's status; none: cut off before there was one. Their HTTP status is 200.",
    );
    each(&mut |labels, counters| {
        for (status, count) in counters.calls.iter().flat_map(|calls| calls.iter().enumerate()) {
            let status = if status < GRPC_STATUSES { status.to_string() } else { "none".to_owned() };
            put_other(&mut family, &with(labels, "grpc_status", &status), *count);
        }
    });
    let mut family = page.counter("floodgate_request_bytes_total", "Bytes of request bodies.");
    each(&mut |labels, counters| {
        family.put(labels, counters.request_bytes);
    });
    let mut family = page.counter("floodgate_response_bytes_total", "Bytes of response bodies.");
    each(&mut |labels, counters| {
        family.put(labels, counters.response_bytes);
    });
    let mut family = page.counter("floodgate_cache_hits_total", "Responses that came from the cache.");
    each(&mut |labels, counters| {
        family.put(labels, counters.cache_hits);
    });
    let mut family = page.counter("floodgate_cache_misses_total", "Cacheable requests that found nothing.");
    each(&mut |labels, counters| {
        family.put(labels, counters.cache_misses);
    });
    let mut family =
        page.histogram("floodgate_latency_seconds", "From a request's first byte to its response's last.");
    each(&mut |labels, counters| {
        if let Some(latency) = &counters.latency {
            family.put_latency(labels, latency);
        }
    });
    let mut family =
        page.histogram("floodgate_integration_latency_seconds", "The integration's part of the latency.");
    each(&mut |labels, counters| {
        if let Some(latency) = &counters.integration {
            family.put_latency(labels, latency);
        }
    });
    let mut family =
        page.gauge("floodgate_latency_percentile_seconds", "Latency that so many percent did not exceed.");
    each(&mut |labels, counters| {
        if let Some(latency) = &counters.latency {
            for (quantile, name) in PERCENTILES {
                family.put(&with(labels, "percentile", name), Seconds(latency.quantile_us(quantile)));
            }
        }
    });
}

fn upstream_metrics(page: &mut Page, merged: &Merged) {
    let sum = &merged.0;
    let never = UpstreamCounters::default();
    let named = sum.labels.upstreams.iter().zip(sum.upstreams.iter());
    let upstreams: Vec<(&str, &UpstreamCounters)> = named
        .filter_map(|(name, counters)| Some((name.as_deref()?, counters.unwrap_or(&never))))
        .chain([("-", &sum.upstreams_other)])
        .collect();
    let mut family =
        page.histogram("floodgate_backend_connect_seconds", "Duration of connecting to backends.");
    for (name, counters) in &upstreams {
        if let Some(latency) = &counters.connects {
            family.put_latency(&[("upstream", name)], latency);
        }
    }
    let mut family =
        page.counter("floodgate_backend_reuses_total", "Kept connections to backends used again.");
    for (name, counters) in &upstreams {
        family.put(&[("upstream", name)], counters.reuses);
    }
    let mut family = page.counter("floodgate_backend_retries_total", "Requests put to a backend once more.");
    for (name, counters) in &upstreams {
        family.put(&[("upstream", name)], counters.retries);
    }
    let mut family = page.counter("floodgate_backend_faults_total", "Faults of backends, by cause.");
    for (name, counters) in &upstreams {
        for (label, count) in counters.faults.iter() {
            family.put(&[("upstream", name), ("cause", label)], count);
        }
        put_other(&mut family, &[("upstream", name), ("cause", "other")], counters.faults.other());
    }
}

fn cache_metrics(page: &mut Page, node: &NodeFacts) {
    let Some(cache) = &node.cache else { return };
    page.gauge("floodgate_cache_used_bytes", "Bytes the cache holds, keys and book-keeping included.")
        .put(&[], cache.used_bytes);
    page.gauge("floodgate_cache_capacity_bytes", "The most bytes the cache may hold.")
        .put(&[], cache.capacity_bytes);
    page.gauge("floodgate_cache_entries", "Responses the cache holds.").put(&[], cache.entries);
    page.counter("floodgate_cache_evictions_total", "Responses dropped to make room.")
        .put(&[], cache.evictions);
    page.counter(
        "floodgate_cache_replica_hits_total",
        "Look-ups that a core answered with its replica of another core's response.",
    )
    .put(&[], cache.replica_hits);
    page.gauge("floodgate_cache_replica_bytes", "Bytes that replicas take, among those the cache holds.")
        .put(&[], cache.replica_bytes);
}

fn core_metrics(page: &mut Page, node: &NodeFacts) {
    type Fact = (&'static str, &'static str, fn(&CoreFacts) -> u64);
    let facts: [Fact; 3] = [
        ("floodgate_reactor_turns_total", "Turns of the event loop, by core.", |core| core.turns),
        ("floodgate_reactor_enters_total", "Calls into the kernel to wait or submit, by core.", |core| {
            core.enters
        }),
        ("floodgate_reactor_buffers_exhausted_total", "Receives that found no buffer, by core.", |core| {
            core.buffers_exhausted
        }),
    ];
    for (name, help, fact) in facts {
        let mut family = page.counter(name, help);
        for (index, core) in node.cores.iter().enumerate() {
            family.put(&[("core", &index.to_string())], fact(core));
        }
    }
    stall_metrics(page, node);
}

/// Rule R7: nobody else is served while a turn lasts.
fn stall_metrics(page: &mut Page, node: &NodeFacts) {
    let each = |put: &mut dyn FnMut(Labels<'_>, &StallFacts)| {
        for (index, core) in node.cores.iter().enumerate() {
            for stall in &core.stalls {
                put(&[("core", &index.to_string()), ("cause", stall.cause)], stall);
            }
        }
    };
    let mut family = page.counter(
        "floodgate_reactor_stalls_total",
        "Turns longer than 1 ms, by core and cause: its own work, a change of configuration, its thread waited, unknown.",
    );
    each(&mut |labels, stall| {
        family.put(labels, stall.turns);
    });
    let mut family =
        page.counter("floodgate_reactor_stall_seconds_total", "How long those lasted, by core and cause.");
    each(&mut |labels, stall| {
        family.put(labels, Seconds(stall.us));
    });
    let mut family = page.gauge(
        "floodgate_reactor_turn_max_seconds",
        "The longest turn of this minute and the one before, as it lasted and as it ran of its own, by core.",
    );
    for (index, core) in node.cores.iter().enumerate() {
        for (time, us) in [("elapsed", core.turn_us_max), ("own", core.turn_own_us_max)] {
            family.put(&[("core", &index.to_string()), ("time", time)], Seconds(us));
        }
    }
}

fn log_metrics(page: &mut Page, log: &log::Stats) {
    page.counter("floodgate_log_lines_total", "Lines of the access log that were written.")
        .put(&[], log.written_lines);
    page.counter("floodgate_log_bytes_total", "Bytes of the access log that were written.")
        .put(&[], log.written_bytes);
    page.counter("floodgate_log_dropped_lines_total", "Lines of the access log lost, never waited for.")
        .put(&[], log.dropped_lines);
    page.counter("floodgate_log_errors_total", "Writes to the access log that failed.").put(&[], log.errors);
}

fn process_metrics(page: &mut Page, process: &process::ProcessFacts) {
    if let Some(bytes) = process.resident_bytes {
        page.gauge("floodgate_process_resident_memory_bytes", "Memory in RAM.").put(&[], bytes);
    }
    if let Some(fds) = process.open_fds {
        page.gauge("floodgate_process_open_fds", "Open descriptors.").put(&[], fds);
    }
    if let Some(fds) = process.max_fds {
        page.gauge("floodgate_process_max_fds", "The most descriptors there may be.").put(&[], fds);
    }
    if let Some(ticks) = process.cpu_ticks {
        page.counter("floodgate_process_cpu_seconds_total", "Processor time of all threads.")
            .put(&[], Seconds(ticks * 10_000));
    }
}

/// Writes a series of which there is something to tell.
fn put_other(family: &mut crate::text::Family<'_>, labels: Labels<'_>, count: u64) {
    if count > 0 {
        family.put(labels, count);
    }
}

/// The three labels of a route and one more.
fn with<'a>(route: Labels<'a>, name: &'static str, value: &'a str) -> Vec<(&'static str, &'a str)> {
    let mut labels = route.to_vec();
    labels.push((name, value));
    labels
}

#[cfg(test)]
mod tests;
