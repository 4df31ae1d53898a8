//! One run: a network, a gateway and a defence of its own, then good clients or none beside a flood or none.

use std::{
    collections::BTreeMap,
    fmt, fs,
    net::SocketAddr,
    panic::resume_unwind,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context, ensure};
use harness::{Bpffs, Flood, Gateway, Network, Visits, eventually, program, stand_back, stay_on};
use serde_json::Value;

use crate::defence::Defence;

/// Which core is whose.
pub(crate) struct Machine {
    /// The flood's, the kernel's who receives it, and the gateway's.
    pub(crate) flood: usize,
    /// That of good clients.
    pub(crate) clients: usize,
}

/// Who floods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Attack {
    /// Nobody.
    Quiet,
    /// 16 hosts.
    Few,
    /// 60,000 sources that nobody is at.
    Spoofed,
}

/// What all cases of one round gave.
#[derive(Debug, Default)]
pub(crate) struct Round {
    /// How good clients fared.
    pub(crate) clients: BTreeMap<(Defence, Attack), Fared>,
    /// SYNs a second on one core.
    pub(crate) handled: BTreeMap<(Defence, Attack), f64>,
}

/// How good clients fared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fared {
    /// Answered, of [`Fared::count`].
    pub(crate) ok: usize,
    pub(crate) count: usize,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// SYNs a second that came meanwhile.
    pub(crate) flood_per_s: f64,
}

/// SYNs a second beside good clients.
const RATE: u32 = 180_000;
/// Where the gateway listens, in a namespace of its own.
const PORT: u16 = 8080;
/// How long a flood without good clients lasts.
const TIME: Duration = Duration::from_secs(1);
/// A flood has begun when so many frames have come.
const BEGUN_FRAMES: u64 = 10_000;

impl Attack {
    pub(crate) const ALL: [Self; 3] = [Self::Quiet, Self::Few, Self::Spoofed];
    pub(crate) const FLOODS: [Self; 2] = [Self::Few, Self::Spoofed];

    fn flood(self, rate: u32) -> Option<Flood> {
        let to = SocketAddr::from((Network::GATEWAY, PORT));
        match self {
            Self::Quiet => None,
            Self::Few => Some(Flood { rate, ..Flood::of_few(to) }),
            Self::Spoofed => Some(Flood { rate, ..Flood::of_spoofed(to) }),
        }
    }
}

/// What every run is made of. The gateway goes before its network does.
struct Site {
    _gateway: Gateway,
    network: Network,
    _bpffs: Bpffs,
}

impl Site {
    fn new(machine: &Machine, defence: Defence) -> anyhow::Result<Self> {
        let network = Network::new().map_err(anyhow::Error::msg)?;
        network.queue_by_core().map_err(anyhow::Error::msg)?;
        let bpffs = Bpffs::new().map_err(anyhow::Error::msg)?;
        network.gateway.set("ipv4/tcp_syncookies", defence.syncookies());
        let lines = defence.config(PORT, &bpffs.path().join("floodgate"));
        let config = format!("{lines}[[route]]\nmatch = \"$default\"\nmock = {{ status = 200 }}\n");
        let address = SocketAddr::from((Network::GATEWAY, PORT));
        let started = network.gateway.inside(|| {
            stay_on(machine.flood);
            Gateway::with(&config).at(address).try_start()
        });
        let gateway =
            started.map_err(|refused| anyhow::anyhow!("{defence}: the gateway said {}", refused.stderr))?;
        defence.raise(&network, &gateway, PORT)?;
        Ok(Self { _gateway: gateway, network, _bpffs: bpffs })
    }

    fn frames_in(&self) -> u64 {
        self.network.gateway.frames_in(Network::INTERFACE).0
    }
}

/// 201 good clients in two seconds, beside the attack.
pub(crate) fn good_clients(machine: &Machine, defence: Defence, attack: Attack) -> anyhow::Result<Fared> {
    let site = Site::new(machine, defence)?;
    let visits = Visits::to((Network::GATEWAY, PORT).into());
    let stop = AtomicBool::new(false);
    let (visited, flooded) = thread::scope(|scope| {
        let flooding = attack.flood(RATE).map(|flood| {
            let (network, stop) = (&site.network, &stop);
            scope.spawn(move || {
                stay_on(machine.flood);
                // Who sends is another machine in the world: what he computes takes nothing from the gateway.
                stand_back();
                flood.send(network, stop)
            })
        });
        if flooding.is_some() {
            eventually("the flood has begun", || (site.frames_in() >= BEGUN_FRAMES).then_some(()));
        }
        let visited = site.network.clients.inside(|| {
            stay_on(machine.clients);
            visits.run()
        });
        stop.store(true, Ordering::Relaxed);
        let flooded =
            flooding.map(|flooding| flooding.join().unwrap_or_else(|panicked| resume_unwind(panicked)));
        (visited, flooded)
    });
    let flood_per_s = flooded.map_or(0.0, |flooded| flooded.count as f64 / flooded.took.as_secs_f64());
    let ms = |percent| visited.percentile(percent).as_secs_f64() * 1e3;
    if let Some(why) = visited.failed.first() {
        println!("{defence}, {attack}: {} failed, the first with: {why}", visited.failed.len());
    }
    let (ok, count) = (visited.latencies.len(), visits.count() as usize);
    Ok(Fared { ok, count, p50_ms: ms(50), p99_ms: ms(99), flood_per_s })
}

/// SYNs a second that go through sending and receiving on one core, the gateway's too.
pub(crate) fn handled(machine: &Machine, defence: Defence, attack: Attack) -> anyhow::Result<f64> {
    let site = Site::new(machine, defence)?;
    let flood = attack.flood(0).context("a flood is what is handled")?;
    let flood = Flood { time_max: TIME, ..flood };
    let before = site.frames_in();
    let sent = thread::scope(|scope| {
        let sending = scope.spawn(|| {
            stay_on(machine.flood);
            flood.send(&site.network, &AtomicBool::new(false))
        });
        sending.join().unwrap_or_else(|panicked| resume_unwind(panicked))
    });
    let handled = site.frames_in() - before;
    ensure!(handled > 0, "{defence}: no frame came");
    Ok(handled.min(sent.count) as f64 / sent.took.as_secs_f64())
}

/// Nanoseconds that the program takes to drop a SYN above its source's limit: `BPF_PROG_TEST_RUN` of what is attached, with the
/// rules in force, by bpftool.
pub(crate) fn drop_ns(machine: &Machine) -> anyhow::Result<f64> {
    /// `XDP_DROP` of bpf.h.
    const DROP: u64 = 1;
    /// Runs; the kernel gives their mean.
    const RUNS: &str = "1000000";
    let site = Site::new(machine, Defence::Enforce)?;
    let folder = tempfile::tempdir()?;
    let file = |name: &str| -> PathBuf { folder.path().join(name) };
    let frame = Attack::Few.flood(0).context("a flood has frames")?.frame();
    let shown = site.network.gateway.inside(|| {
        read(Command::new(program("ip")).args(["-json", "link", "show", "dev", Network::INTERFACE]))
    })?;
    let number = |path: &str| {
        shown[0].pointer(path).and_then(Value::as_u64).with_context(|| format!("no {path} in {shown}"))
    };
    // struct xdp_md of bpf.h: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
    let interface = u32::try_from(number("/ifindex")?)?;
    let context = [0, u32::try_from(frame.len())?, 0, interface, 0, 0];
    fs::write(file("frame"), &frame)?;
    fs::write(file("context"), context.map(u32::to_ne_bytes).concat())?;
    let program_id = number("/xdp/prog/id")?.to_string();
    let run = || {
        site.network.gateway.inside(|| {
            stay_on(machine.flood);
            let mut command = Command::new(program("bpftool"));
            command.args(["--json", "prog", "run", "id", &program_id, "repeat", RUNS, "data_in"]);
            read(command.arg(file("frame")).arg("ctx_in").arg(file("context")))
        })
    };
    // The first goes through the burst.
    run()?;
    let ran = run()?;
    ensure!(ran["retval"] == DROP, "a SYN above the limit is not dropped: {ran}");
    ran["duration"].as_f64().with_context(|| format!("no duration in {ran}"))
}

fn read(command: &mut Command) -> anyhow::Result<Value> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}{said}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&output.stdout).with_context(|| format!("{command:?}"))
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quiet => "no flood",
            Self::Few => "16 sources",
            Self::Spoofed => "60,000 spoofed sources",
        })
    }
}

impl fmt::Display for Fared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ok, count, p50_ms, p99_ms, flood_per_s } = self;
        write!(f, "{ok} of {count}, p50 {p50_ms:.2} ms, p99 {p99_ms:.2} ms, {flood_per_s:.0} SYNs a second")
    }
}
