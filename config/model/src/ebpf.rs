//! The kernel front line: what becomes of packets for the gateway's ports before its sockets see them.

use std::{path::PathBuf, time::Duration};

use ipnet::IpNet;

use crate::Origin;

/// `[ebpf]`. Nothing of it happens on an interface that is not named.
#[derive(Clone, Debug, PartialEq)]
pub struct Ebpf {
    /// Network interfaces by name, at least one, none twice.
    pub interfaces: Vec<String>,
    /// The first step of the ladder that is tried.
    pub driver: EbpfDriver,
    /// Folder of a bpffs in which programs and tables are kept while no process holds them.
    pub pins: PathBuf,
    /// How long new rules are in force unless they are committed.
    pub trial: Duration,
    /// Whether the kernel hands the connections of a client's prefix to one core.
    pub steer: bool,
    /// Whether the kernel tells RTTs, retransmits and ends of the gateway's connections.
    pub connections: bool,
    /// Ports for which everything passes under any rules.
    pub admin_ports: Vec<u16>,
    /// Ports of [`Ebpf::policy`], none of them in another policy; `None`: those of the listeners that have no other.
    pub ports: Option<Vec<u16>>,
    /// What is done at those ports.
    pub policy: EbpfPolicy,
    /// What is done at others; no port is in two of them, nor an administrator's.
    pub policies: Vec<EbpfPortPolicy>,
    /// How wide the prefixes are that are counted.
    pub prefixes: EbpfPrefixes,
    /// Sources of which everything passes.
    pub allow: Vec<IpNet>,
    /// Sources of which only established connections pass; none of them stands in [`Ebpf::allow`] as it is.
    pub block: Vec<IpNet>,
    /// Whether clients that misbehave in HTTP or TLS are held back in the kernel.
    pub feed: Option<EbpfFeed>,
    /// Where it was written.
    pub origin: Option<Origin>,
}

/// Where packets are looked at. Of a ladder the steps from the named one on are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EbpfDriver {
    /// XDP in the interface's driver, else tcx, else nftables, else when a connection is accepted.
    #[default]
    Auto,
    /// The same, said in so many words.
    Xdp,
    /// XDP behind the driver, where a packet has cost most of what it costs.
    Generic,
    /// tcx.
    Tcx,
    /// A table of nftables.
    Nftables,
    /// No help of the kernel's.
    Accept,
}

/// What is done about who is above a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EbpfMode {
    /// It is counted and passes.
    #[default]
    Monitor,
    /// It is dropped.
    Enforce,
    /// The same, and in a flood of SYNs everybody proves by a cookie that he is there.
    Challenge,
}

/// What is done at some ports.
#[derive(Clone, Debug, PartialEq)]
pub struct EbpfPolicy {
    /// What is done about who is above a limit.
    pub mode: EbpfMode,
    /// SYNs.
    pub syns: EbpfRates,
    /// Other packets that belong to no established connection; `None`: no limit.
    pub packets: Option<EbpfRates>,
    /// SYNs a second of everybody above which there is a flood; above 0.
    pub flood: f64,
    /// SYNs a second that are let through unchallenged in a flood, so that the kernel knows that cookies are out; above 0.
    pub let_through: f64,
}

/// The same with its ports.
#[derive(Clone, Debug, PartialEq)]
pub struct EbpfPortPolicy {
    /// At least one.
    pub ports: Vec<u16>,
    /// What is done.
    pub policy: EbpfPolicy,
    /// Where it was written.
    pub origin: Option<Origin>,
}

/// How much a source may bring. Rates are at least one an hour, bursts at least 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EbpfRates {
    /// Of a narrow prefix, a second.
    pub rate: f64,
    /// Of a narrow prefix, at once.
    pub burst: u32,
    /// Of a wide prefix, a second; not below [`EbpfRates::rate`].
    pub prefix_rate: f64,
    /// Of a wide prefix, at once.
    pub prefix_burst: u32,
}

/// Lengths of prefixes: a narrow one, then a wide one, which is shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EbpfPrefixes {
    /// Of IPv4, 1 to 32.
    pub ipv4: [u8; 2],
    /// Of IPv6, 1 to 128.
    pub ipv6: [u8; 2],
}

/// Who misbehaves in HTTP or TLS, and what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EbpfFeed {
    /// Points with which a prefix is held back; with as many more its SYNs are dropped.
    pub points: u32,
    /// After so long half of the points is forgotten.
    pub half_life: Duration,
    /// Nobody is held back of whose requests fewer than so many are offences, in percent.
    pub share: u8,
    /// A SYN of a prefix that is held back takes the tokens of so many.
    pub cost: u32,
    /// For how long at first.
    pub expiry_min: Duration,
    /// And at most: each time is twice as long as the one before.
    pub expiry_max: Duration,
    /// Points of an answer of 401, 403 or 429.
    pub refused: u8,
    /// Points of a request that is malformed.
    pub malformed: u8,
    /// Points of a TLS handshake that fails.
    pub handshake: u8,
}

impl Ebpf {
    /// These interfaces, and of all else what is meant when it is left out.
    pub fn new(interfaces: Vec<String>) -> Self {
        Self {
            interfaces,
            driver: EbpfDriver::default(),
            pins: "/sys/fs/bpf/floodgate".into(),
            trial: Duration::from_secs(60),
            steer: true,
            connections: true,
            admin_ports: vec![22],
            ports: None,
            policy: EbpfPolicy::default(),
            policies: Vec::new(),
            prefixes: EbpfPrefixes::default(),
            allow: Vec::new(),
            block: Vec::new(),
            feed: None,
            origin: None,
        }
    }
}

impl Default for EbpfPolicy {
    fn default() -> Self {
        let (mode, packets) = (EbpfMode::Monitor, None);
        Self { mode, syns: EbpfRates::of(300.0), packets, flood: 20_000.0, let_through: 50.0 }
    }
}

impl EbpfRates {
    /// What a rate means that says nothing else: a burst of two seconds, and ten times as much of a wide prefix.
    pub fn of(rate: f64) -> Self {
        let prefix_rate = rate * 10.0;
        Self { rate, burst: Self::burst_of(rate), prefix_rate, prefix_burst: Self::burst_of(prefix_rate) }
    }

    /// The burst that goes with a rate: two seconds of it.
    pub fn burst_of(rate: f64) -> u32 {
        // Rates are bounded by what may be written; beyond a u32 a float saturates.
        (rate * 2.0).ceil().max(1.0) as u32
    }
}

impl Default for EbpfPrefixes {
    fn default() -> Self {
        Self { ipv4: [32, 24], ipv6: [64, 48] }
    }
}

impl Default for EbpfFeed {
    fn default() -> Self {
        Self {
            points: 100,
            half_life: Duration::from_mins(1),
            share: 50,
            cost: 10,
            expiry_min: Duration::from_mins(1),
            expiry_max: Duration::from_hours(1),
            refused: 1,
            malformed: 5,
            handshake: 5,
        }
    }
}
