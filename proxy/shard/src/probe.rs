//! Active checks: a small request to each address of a group now and then, to see whether it is well. Of all cores one
//! probes a group, so that a backend is asked no more often by a node of many cores; the others are told by letter. What
//! probes say counts nowhere as traffic of clients.

use std::{rc::Rc, time::Duration};

use balance::{Check, Thresholds};
use message::{Method, Response};
use runtime::Received;
use snapshot::{Health, Snapshot, Target, Upstream};
use telemetry::Event;
use wire::h1::{self, ResponseKind};

use crate::{Endpoint, Message, core::Core, h2, head, reach::open, transport::Transport};

/// How often it is looked whether a probe is due, if none is due earlier: a new configuration may want some.
const LOOK: Duration = Duration::from_secs(1);

/// Alarms ring up to so much late; looking more often finds nothing.
const LOOK_MIN_NS: u64 = 10_000_000;

/// The rest of a probe's head.
const FIELDS: &str = "\r\nUser-Agent: floodgate-health\r\nConnection: close\r\n\r\n";

/// What probes have said of an address so far, and when the next one is due.
#[derive(Default)]
pub(crate) struct Probed {
    check: Check,
    /// 0: not thought of yet.
    next_ns: u64,
    under_way: bool,
    /// Another core does not know it yet.
    untold: bool,
}

impl Probed {
    /// Whether a probe is to be made now. The first ones of a group are `spread_ns` apart.
    pub(crate) fn is_due(&mut self, health: &Health, now_ns: u64, spread_ns: u64) -> bool {
        if self.next_ns == 0 {
            self.next_ns = now_ns.saturating_add(spread_ns).max(1);
        }
        if self.under_way || now_ns < self.next_ns {
            return false;
        }
        self.under_way = true;
        self.next_ns = now_ns.saturating_add(jittered(health.interval_ns, now_ns ^ spread_ns));
        true
    }

    /// When the next one is.
    pub(crate) fn next_ns(&self) -> u64 {
        if self.under_way { u64::MAX } else { self.next_ns }
    }

    /// Takes what came of one. What others are to be told of that, if anything.
    fn learn(&mut self, passed: bool, thresholds: &Thresholds) -> Option<bool> {
        self.under_way = false;
        let news = self.check.observe(passed, thresholds);
        (news || self.untold).then(|| self.check.is_healthy())
    }
}

/// A tenth more or less, so that the probes of many nodes do not fall into step (a round of the 64-bit finaliser of
/// MurmurHash3).
fn jittered(interval_ns: u64, seed: u64) -> u64 {
    let mixed = (seed ^ (seed >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let tenth = interval_ns / 10;
    interval_ns - tenth + (mixed >> 33) % (2 * tenth + 1)
}

/// Makes the probes that are due, until the core ends.
pub(crate) async fn probe(core: Rc<Core>) {
    loop {
        let wait_ns = make_due(&core).max(LOOK_MIN_NS);
        core.handle.sleep(Duration::from_nanos(wait_ns).min(LOOK)).await;
    }
}

/// Begins what is due; nanoseconds until something is again.
fn make_due(core: &Rc<Core>) -> u64 {
    if core.is_draining() {
        return u64::MAX;
    }
    let snapshot = core.snapshot();
    let now_ns = core.handle.now().mono_ns;
    let mut next_ns = u64::MAX;
    for slot in snapshot.probed.iter().copied().filter(|slot| is_ours(core, *slot)) {
        let Some(upstream) = snapshot.upstream(slot) else { continue };
        let wanted = core.wanted(&snapshot, upstream);
        let Some((due, next)) = core.pool(slot, |pool| pool.due(wanted, now_ns)) else { continue };
        next_ns = next_ns.min(next);
        for endpoint in due {
            core.handle.spawn(one(core.clone(), snapshot.clone(), slot, endpoint));
        }
    }
    next_ns.saturating_sub(now_ns)
}

/// Each group has one core that probes it, another than its neighbour.
fn is_ours(core: &Core, slot: u32) -> bool {
    slot as usize % core.posts.len().max(1) == core.index
}

#[expect(clippy::redundant_allocation, reason = "as the core holds it")]
async fn one(core: Rc<Core>, snapshot: Rc<std::sync::Arc<Snapshot>>, slot: u32, endpoint: Endpoint) {
    let Some(upstream) = snapshot.upstream(slot) else { return };
    let (Some(health), Some(target)) = (&upstream.health, upstream.targets.get(endpoint.target)) else {
        return;
    };
    let alarm = core.handle.alarm();
    alarm.set(core.handle.now().mono_ns.saturating_add(health.timeout_ns));
    let passed = alarm.guard(ask(&core, slot, upstream, target, health, endpoint)).await;
    let passed = matches!(passed, Ok(Some(status)) if health.statuses.contains(status));
    core.record(&Event::BackendProbe { upstream: slot, passed });
    let learnt = core.pool(slot, |pool| Some(pool.probed(endpoint)?.learn(passed, &health.thresholds)));
    if let Some(healthy) = learnt.flatten().flatten() {
        core.set_health(slot, endpoint, healthy);
        let others = core.posts.iter().enumerate().filter(|(index, _)| *index != core.index);
        let letter = || Message::Health(slot, endpoint, healthy);
        // One whose mailbox is full is told with the next probe.
        let untold = others.filter(|(_, post)| post.send(letter()).is_err()).count() > 0;
        core.pool(slot, |pool| pool.probed(endpoint).map(|probed| probed.untold = untold));
    }
}

/// What the address answers; `None`: nothing that is an answer.
async fn ask(
    core: &Core,
    slot: u32,
    upstream: &Upstream,
    target: &Target,
    health: &Health,
    endpoint: Endpoint,
) -> Option<u16> {
    let transport = open(core, slot, upstream, target, (endpoint.address, None)).await.ok()?;
    if upstream.http2 {
        return h2::probe(core, transport, target, health).await;
    }
    transport.write(|out| {
        for part in ["GET ", &health.path, " HTTP/1.1\r\nHost: ", target.authority.as_str(), FIELDS] {
            out.extend_from_slice(part.as_bytes());
        }
    });
    status(core, &transport).await
}

/// The status of the final answer; of its body nothing is read.
async fn status(core: &Core, transport: &Transport) -> Option<u16> {
    let limits = &core.codec_limits;
    let mut response = Response::default();
    let mut buffer = Vec::new();
    for _ in 0..=limits.interim_max {
        let framing = loop {
            let received = transport
                .receive(|received| {
                    head::gather(received, &mut buffer, Vec::new, limits.head_bytes_max, |input| {
                        h1::decode_response(input, limits, &Method::Get, &mut response)
                    })
                })
                .await;
            match received {
                Ok(Received::Bytes(Ok(None))) => {}
                Ok(Received::Bytes(Ok(Some(framing)))) => break framing,
                Ok(Received::Bytes(Err(_)) | Received::End) | Err(_) => return None,
            }
        };
        match framing.kind {
            ResponseKind::Final => return Some(response.status),
            ResponseKind::Interim => buffer.clear(),
            ResponseKind::SwitchingProtocols => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::jittered;

    #[test]
    fn probes_come_a_tenth_earlier_or_later() {
        let (mut least, mut most) = (u64::MAX, 0);
        for seed in 0..10_000_u64 {
            let interval = jittered(1_000_000, seed * 1_000_003);
            (least, most) = (least.min(interval), most.max(interval));
        }
        assert!(
            (900_000..905_000).contains(&least) && (1_095_000..=1_100_000).contains(&most),
            "{least} {most}"
        );
        assert_eq!(jittered(5, 7), 5, "too short to vary");
    }
}
