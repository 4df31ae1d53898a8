//! The front line in real kernels: cables in namespaces, a bpffs of their own, floods that end. Needs the administrator; without,
//! each test says that it was skipped.

#![expect(clippy::unwrap_used, reason = "tests")]

use gate::abi::{Count, Limit, Mode, Policy};
use harness::{Bpffs, Flood, Flooded, Network, eventually, skip};
use l4::{Counters, Driver, FrontLine, PortPolicy, Rules, Settings, Step};
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

    fn flood(&self, count_max: u64) -> Flooded {
        let to = SocketAddr::from((Network::GATEWAY, PORT));
        let flood = Flood { sources: 1, count_max, ..Flood::of_few(to) };
        flood.send(&self.network, &AtomicBool::new(false))
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

#[track_caller]
fn check_step(test: &str, driver: Driver, step: Step) {
    let Some(place) = Place::new(test) else { return };
    place.network.gateway.inside(|| {
        let mut line = place.attach(place.settings(driver));
        assert_eq!(line.modes()[0].step, step, "{:#?}", place.said.lock().unwrap());
        assert_eq!(place.flood(SYNS).count, SYNS);
        let counters = counted(&line, SYNS);
        assert_eq!(counters.of(Count::Syns), SYNS);
        // nftables counts a burst of one less.
        let passed = counters.of(Count::SynsPassed);
        assert!((BURST..=BURST + 1).contains(&passed), "{passed} passed");
        assert_eq!(counters.of(Count::Dropped), SYNS - passed);
        assert_eq!(counters.of(Count::SynsOverNarrow4), SYNS - passed);
        if step.is_program() {
            let sources = line.top_sources(2).unwrap();
            assert_eq!(sources[0].prefix, "10.66.0.1/32".parse().unwrap());
            assert_eq!((sources[0].syns, sources[0].syns_over), (SYNS, SYNS - passed));
            let events = line.events(100);
            assert_eq!(
                events.iter().map(|event| event.prefix).collect::<Vec<_>>(),
                [Some(sources[0].prefix)]
            );
            assert_eq!((events[0].port, events[0].what), (PORT, Count::SynsOverNarrow4 as u16));
            assert_eq!(line.events(100), []);
        }
        assert!(line.status().unwrap().in_force.is_some());
        line.detach().unwrap();
    });
}

#[test]
fn native_xdp_drops_what_is_above_the_limit() {
    check_step("native_xdp_drops_what_is_above_the_limit", Driver::Auto, Step::NativeXdp);
}

#[test]
fn generic_xdp_does_the_same() {
    check_step("generic_xdp_does_the_same", Driver::Generic, Step::GenericXdp);
}

#[test]
fn tcx_does_the_same() {
    check_step("tcx_does_the_same", Driver::Tcx, Step::Tcx);
}

#[test]
fn nftables_does_the_same() {
    check_step("nftables_does_the_same", Driver::Nftables, Step::Nftables);
}
