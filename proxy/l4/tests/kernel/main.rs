//! The front line in real kernels: cables in namespaces, a bpffs of their own, floods that end. Needs the administrator; without,
//! each test says that it was skipped.

#![expect(clippy::unwrap_used, reason = "tests")]

mod connections;
mod life;
mod rights;
mod steering;
mod steps;

use aya::programs::{SchedClassifier, TcAttachType};
use gate::abi::{Count, Limit, Mode, Policy};
use harness::{Bpffs, Flood, Flooded, Network, eventually, skip};
use l4::{Counters, Driver, Error, FrontLine, PortPolicy, Rules, Settings, pinned};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tempfile::TempDir;

/// A port with a policy.
const PORT: u16 = 8080;
/// SYNs at once that the policy lets in from one address; then none for the rest of a test.
const BURST: u64 = 10;
/// Frames of a flood here.
const SYNS: u64 = 500;

struct Place {
    network: Network,
    bpffs: Bpffs,
    state: TempDir,
    said: Mutex<Vec<String>>,
}

impl Place {
    /// `None`: it was said why there is none.
    fn new(test: &str) -> Option<Self> {
        let made = Network::new().and_then(|network| Ok((network, Bpffs::new()?)));
        let (network, bpffs) = made.map_err(|why| skip(test, &why)).ok()?;
        let state = tempfile::tempdir().unwrap();
        Some(Self { network, bpffs, state, said: Mutex::default() })
    }

    fn pins(&self) -> PathBuf {
        self.bpffs.path().join("floodgate")
    }

    fn settings(&self, driver: Driver) -> Settings {
        Settings {
            interfaces: vec![Network::INTERFACE.into()],
            driver,
            pins: self.pins(),
            state: self.state.path().into(),
            trial: Duration::ZERO,
            steer: false,
            connections: false,
        }
    }

    /// To be called inside of the gateway's namespace.
    #[track_caller]
    fn attach(&self, settings: Settings) -> FrontLine {
        FrontLine::attach(settings, rules(Mode::Enforce), &mut |line| self.said.lock().unwrap().push(line))
            .unwrap()
    }

    /// As an operator does it, in another process or this one.
    #[track_caller]
    fn detach(&self) {
        pinned::detach(&self.pins(), self.state.path()).unwrap();
    }

    /// The kernel lets go of what was detached a moment later.
    #[track_caller]
    fn let_go(&self, has_gone: impl Fn() -> bool) {
        eventually("the kernel has let go", || has_gone().then_some(()));
    }

    fn commit(&self) -> Result<(), Error> {
        pinned::commit(&self.pins(), self.state.path())
    }

    #[track_caller]
    fn said(&self, part: &str) {
        let said = self.said.lock().unwrap();
        assert!(said.iter().any(|line| line.contains(part)), "nobody said {part:?}: {said:#?}");
    }

    /// SYNs from one source, as fast as they go.
    fn flood(&self, count_max: u64) -> Flooded {
        self.flood_at(0, count_max)
    }

    /// … so many a second.
    fn flood_at(&self, rate: u32, count_max: u64) -> Flooded {
        let to = SocketAddr::from((Network::GATEWAY, PORT));
        let flood = Flood { sources: 1, rate, count_max, ..Flood::of_few(to) };
        flood.send(&self.network, &AtomicBool::new(false))
    }
    /// Programs of tcx on an interface of the gateway.
    fn tcx(&self, interface: &str) -> usize {
        SchedClassifier::query_tcx(interface, TcAttachType::Ingress).unwrap().1.len()
    }

    /// Whether nftables has a table of ours.
    fn has_nft(&self) -> bool {
        self.network.gateway.run("nft", &["list", "table", "netdev", "floodgate"]).is_ok()
    }

    /// Frames that came in by the cable, dropped or not.
    fn frames_seen(&self) -> u64 {
        let (seen, dropped) = self.network.gateway.frames_in(Network::INTERFACE);
        seen + dropped
    }

    /// SYNs from one source; the kernel is done with them afterwards.
    fn flood_to_its_end(&self, count: u64) {
        let before = self.frames_seen();
        self.flood(count);
        eventually("the SYNs have come", || (self.frames_seen() >= before + count).then_some(()));
    }

    /// Whether `ip` sees an XDP program on an interface of the gateway.
    fn has_xdp(&self, interface: &str) -> bool {
        let output =
            std::process::Command::new("ip").args(["-d", "link", "show", interface]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().contains("prog/xdp")
    }
}

fn rules(mode: Mode) -> Rules {
    let limit = |interval_ns: u64, burst: u64| Limit { interval_ns, burst_ns: interval_ns * burst };
    let policy = Policy {
        mode: mode as u32,
        narrow_bits: [128, 64],
        wide_bits: [120, 48],
        syns_narrow: limit(600_000_000_000, BURST),
        syns_wide: limit(1_000, 1_000_000),
        flood: limit(1_000, 1_000_000),
        through: limit(20_000_000, 50),
        ..Policy::default()
    };
    Rules {
        policies: vec![PortPolicy { ports: vec![PORT], policy }],
        admin_ports: vec![22],
        allow: vec!["192.0.2.0/24".parse().unwrap()],
        block: vec!["203.0.113.0/24".parse().unwrap()],
    }
}

/// Counters, once so many SYNs were counted.
#[track_caller]
fn counted(line: &FrontLine, syns: u64) -> Counters {
    eventually("the SYNs are counted", || {
        let counters = line.counters().unwrap();
        (counters.of(Count::Syns) >= syns).then_some(counters)
    })
}
