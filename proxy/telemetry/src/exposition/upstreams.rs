//! What the cores think of backends: who is well, who is left out, what is held back.

use crate::{
    Merged,
    text::{Labels, Page, Seconds},
};

/// What the cores think of an upstream group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamFacts {
    /// Its name.
    pub name: String,
    /// Cores whose circuit breaker holds calls back.
    pub suspending_cores: usize,
    /// Cores that find so few addresses well that they ask all.
    pub panicking_cores: usize,
    /// Calls that may be repeated now, over all cores.
    pub retries_left: u64,
    /// Its addresses.
    pub targets: Vec<TargetFacts>,
}

/// What the cores think of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetFacts {
    /// Which.
    pub address: String,
    /// Calls in flight, over all cores.
    pub in_flight: u64,
    /// Whether probes find it well.
    pub healthy: bool,
    /// Cores that leave it out because calls failed.
    pub ejecting_cores: usize,
    /// The smallest share of calls that a core gives it, in percent of that of others.
    pub share_percent: u32,
}

/// Microseconds of a percent: shares are written as parts of one.
const PERCENT: u64 = 10_000;

pub(super) fn metrics(page: &mut Page, merged: &Merged, groups: &[UpstreamFacts]) {
    counted(page, merged);
    thought_of_groups(page, groups);
    thought_of_targets(page, groups);
}

fn counted(page: &mut Page, merged: &Merged) {
    let sum = &merged.0;
    let named = sum.labels.upstreams.iter().zip(sum.upstreams.iter());
    // Those that were never called have nothing to show.
    let upstreams: Vec<_> =
        named.filter_map(|(name, counters)| Some((name.as_deref()?, counters?))).collect();
    let mut family =
        page.counter("floodgate_upstream_held_back_total", "Calls not made or not repeated, by what bound.");
    for (name, counters) in &upstreams {
        for (label, count) in counters.held_back.iter() {
            family.put(&[("upstream", name), ("bound", label)], count);
        }
    }
    let mut family = page
        .counter("floodgate_upstream_ejections_total", "Addresses left out because calls failed, by core.");
    for (name, counters) in &upstreams {
        family.put(&[("upstream", name)], counters.ejections);
    }
    let mut family = page.counter("floodgate_upstream_probes_total", "Active checks, by result.");
    for (name, counters) in upstreams.iter().filter(|(_, counters)| counters.probes != [0, 0]) {
        let [failed, passed] = counters.probes;
        family.put(&[("upstream", name), ("result", "passed")], passed);
        family.put(&[("upstream", name), ("result", "failed")], failed);
    }
}

fn thought_of_groups(page: &mut Page, groups: &[UpstreamFacts]) {
    type Fact = (&'static str, &'static str, fn(&UpstreamFacts) -> u64);
    let facts: [Fact; 3] = [
        ("floodgate_upstream_suspended", "Cores whose circuit breaker holds calls back.", |group| {
            group.suspending_cores as u64
        }),
        ("floodgate_upstream_panicking", "Cores that ask all addresses since too few are well.", |group| {
            group.panicking_cores as u64
        }),
        ("floodgate_upstream_retries_left", "Calls that may be repeated now, over all cores.", |group| {
            group.retries_left
        }),
    ];
    for (name, help, fact) in facts {
        let mut family = page.gauge(name, help);
        for group in groups {
            family.put(&[("upstream", &group.name)], fact(group));
        }
    }
}

fn thought_of_targets(page: &mut Page, groups: &[UpstreamFacts]) {
    let each = |put: &mut dyn FnMut(Labels<'_>, &TargetFacts)| {
        for group in groups {
            for target in &group.targets {
                put(&[("upstream", &group.name), ("target", &target.address)], target);
            }
        }
    };
    let mut family =
        page.gauge("floodgate_upstream_target_healthy", "1 while active checks find the address well.");
    each(&mut |labels, target| {
        family.put(labels, u8::from(target.healthy));
    });
    let mut family = page
        .gauge("floodgate_upstream_target_ejected", "Cores that leave the address out because calls failed.");
    each(&mut |labels, target| {
        family.put(labels, target.ejecting_cores);
    });
    let mut family = page.gauge("floodgate_upstream_target_in_flight", "Calls in flight to the address.");
    each(&mut |labels, target| {
        family.put(labels, target.in_flight);
    });
    let mut family = page.gauge(
        "floodgate_upstream_target_share",
        "Share of calls, of that of others; below 1 in slow start.",
    );
    each(&mut |labels, target| {
        family.put(labels, Seconds(u64::from(target.share_percent) * PERCENT));
    });
}
