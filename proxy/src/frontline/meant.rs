//! What `[ebpf]` means: the model's words in the front line's own. Nothing is done here.

use std::{net::SocketAddr, path::Path};

use l4::abi::{Limit, Mode, Policy, V4_BITS};
use l4::{Driver, PortPolicy, Rules, Settings, feed::Terms};
use model::{Ebpf, EbpfDriver, EbpfFeed, EbpfMode, EbpfPolicy, EbpfPrefixes, EbpfRates};

/// Prefixes that layer 7 tells of: an IPv4 address, and what a site of IPv6 has at least.
pub(super) const SOURCE_BITS: [u8; 2] = [32, 64];

/// The rules for listeners at these addresses, beside an admin listener.
pub(crate) fn rules(ebpf: &Ebpf, listeners: &[SocketAddr], admin: Option<SocketAddr>) -> Rules {
    let mut admin_ports = ebpf.admin_ports.clone();
    admin_ports.extend(admin.map(|address| address.port()));
    let elsewhere = |port: u16| {
        admin_ports.contains(&port) || ebpf.policies.iter().any(|policy| policy.ports.contains(&port))
    };
    let ports = ebpf.ports.clone().unwrap_or_else(|| {
        let mut ports: Vec<u16> = listeners.iter().map(SocketAddr::port).collect();
        ports.sort_unstable();
        ports.dedup();
        ports.retain(|port| !elsewhere(*port));
        ports
    });
    let own = (!ports.is_empty()).then(|| PortPolicy { ports, policy: policy(&ebpf.policy, ebpf.prefixes) });
    let others = ebpf
        .policies
        .iter()
        .map(|other| PortPolicy { ports: other.ports.clone(), policy: policy(&other.policy, ebpf.prefixes) });
    Rules {
        policies: own.into_iter().chain(others).collect(),
        allow: ebpf.allow.clone(),
        block: ebpf.block.clone(),
        admin_ports,
    }
}

/// Where and how, with a state folder.
pub(crate) fn settings(ebpf: &Ebpf, state: &Path) -> Settings {
    Settings {
        interfaces: ebpf.interfaces.clone(),
        driver: match ebpf.driver {
            EbpfDriver::Auto => Driver::Auto,
            EbpfDriver::Xdp => Driver::Xdp,
            EbpfDriver::Generic => Driver::Generic,
            EbpfDriver::Tcx => Driver::Tcx,
            EbpfDriver::Nftables => Driver::Nftables,
            EbpfDriver::Accept => Driver::Accept,
        },
        pins: ebpf.pins.clone(),
        state: state.to_owned(),
        trial: ebpf.trial,
        steer: ebpf.steer,
        connections: ebpf.connections,
    }
}

/// What layer 7 may bring about.
pub(super) fn terms(feed: &EbpfFeed, ebpf: &Ebpf) -> Terms {
    let [ipv4_bits, ipv6_bits] = SOURCE_BITS;
    Terms {
        points: feed.points,
        half_life: feed.half_life,
        share_percent: feed.share,
        cost: feed.cost,
        expiry_min: feed.expiry_min,
        expiry_max: feed.expiry_max,
        refused: feed.refused.into(),
        malformed: feed.malformed.into(),
        handshake: feed.handshake.into(),
        ipv4_bits,
        ipv6_bits,
        allow: ebpf.allow.clone(),
    }
}

fn policy(policy: &EbpfPolicy, prefixes: EbpfPrefixes) -> Policy {
    let EbpfPolicy { mode, syns, packets, flood, let_through } = policy;
    let bits = |number: usize| [V4_BITS as u8 + prefixes.ipv4[number], prefixes.ipv6[number]];
    let none = Limit::default();
    Policy {
        mode: match mode {
            EbpfMode::Monitor => Mode::Monitor,
            EbpfMode::Enforce => Mode::Enforce,
            EbpfMode::Challenge => Mode::Challenge,
        } as u32,
        narrow_bits: bits(0),
        wide_bits: bits(1),
        syns_narrow: narrow(syns),
        syns_wide: wide(syns),
        packets_narrow: packets.as_ref().map_or(none, narrow),
        packets_wide: packets.as_ref().map_or(none, wide),
        // A tenth of a second's worth at once: as long as that the listener bears a flood alone, and whoever comes meanwhile
        // waits with it.
        flood: limit(*flood, (flood / 10.0).ceil()),
        through: limit(*let_through, 1.0),
    }
}

fn narrow(rates: &EbpfRates) -> Limit {
    limit(rates.rate, rates.burst.into())
}

fn wide(rates: &EbpfRates) -> Limit {
    limit(rates.prefix_rate, rates.prefix_burst.into())
}

/// A rate a second, above 0, and a burst of at least 1. What is faster than one a nanosecond is as good as no limit, and what
/// is longer than five centuries is cut there: floats saturate.
fn limit(rate: f64, burst: f64) -> Limit {
    let interval_ns = ((1e9 / rate).round() as u64).max(1);
    let burst_ns = interval_ns.saturating_mul((burst - 1.0).max(0.0) as u64);
    Limit { interval_ns, burst_ns }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_those_of_the_listeners_that_have_no_other() {
        let ebpf = |ports, other: &[u16]| Ebpf {
            ports,
            policies: vec![model::EbpfPortPolicy {
                ports: other.to_vec(),
                policy: EbpfPolicy { mode: EbpfMode::Challenge, ..EbpfPolicy::default() },
                origin: None,
            }],
            ..Ebpf::new(vec!["eth0".into()])
        };
        let listeners =
            ["0.0.0.0:443", "[::]:443", "0.0.0.0:8443", "0.0.0.0:22"].map(|it| it.parse().unwrap());
        let admin = Some("127.0.0.1:9901".parse().unwrap());
        let of = |ebpf: &Ebpf| {
            let rules = rules(ebpf, &listeners, admin);
            rules.check().unwrap();
            let ports = |policy: &PortPolicy| (policy.ports.clone(), policy.policy.mode);
            (rules.policies.iter().map(ports).collect::<Vec<_>>(), rules.admin_ports)
        };
        let (monitor, challenge) = (Mode::Monitor as u32, Mode::Challenge as u32);
        let admins = vec![22, 9901];
        let expected = vec![(vec![443], monitor), (vec![8443], challenge)];
        assert_eq!(of(&ebpf(None, &[8443])), (expected, admins.clone()));
        assert_eq!(of(&ebpf(None, &[443, 8443])), (vec![(vec![443, 8443], challenge)], admins.clone()));
        let expected = vec![(vec![80], monitor), (vec![8443], challenge)];
        assert_eq!(of(&ebpf(Some(vec![80]), &[8443])), (expected, admins));
    }

    #[test]
    fn rates_are_intervals() {
        assert_eq!(limit(300.0, 600.0), Limit { interval_ns: 3_333_333, burst_ns: 599 * 3_333_333 });
        assert_eq!(limit(50.0, 1.0), Limit { interval_ns: 20_000_000, burst_ns: 0 });
        assert_eq!(limit(1e300, 9.0), Limit { interval_ns: 1, burst_ns: 8 });
        let policy = policy(&EbpfPolicy::default(), EbpfPrefixes::default());
        assert_eq!((policy.narrow_bits, policy.wide_bits), ([128, 64], [120, 48]));
        assert_eq!((policy.packets_narrow, policy.packets_wide), (Limit::default(), Limit::default()));
        assert_eq!(policy.flood, Limit { interval_ns: 50_000, burst_ns: 1_999 * 50_000 });
    }
}
