//! The kernel front line in the life of a node: attached before the cores start, beaten by the main thread, changed by a reload,
//! asked by a scrape. What it means stands in `meant`, what it does in `l4`.

mod load;
mod meant;
mod service;
mod shown;

use std::{
    collections::HashMap,
    net::SocketAddr,
    os::fd::AsFd,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use ipnet::IpNet;
use l4::{Held, Listener, Rules, Step, Verdicts, abi::HEARTBEAT_NS_MAX, feed::Feed};
use model::Ebpf;
use shard::{Conduct, Offences};

pub(crate) use meant::{rules, settings};
pub(crate) use shown::status;

use self::load::Load;
use crate::{heartbeat::Heartbeats, listen::Bound, say};

/// How often the sources that are most above their limits are looked for, and sources are moved between cores: either
/// reads whole tables.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Prefixes that a limiter at accept knows of one listener: 1 MiB.
const LIMITER_PREFIXES: usize = 65_536;

/// Events that are told to the operator at once; of more only how many.
const EVENTS_TOLD_MAX: usize = 5;
/// Events that are read at once.
const EVENTS_MAX: usize = 1024;

/// How often each core is asked whether it turns, and the kernel told since when all do: it lets everything pass three seconds
/// later. A core's answer is read with the next pulse, so the kernel knows of a moment some two pulses ago, and a core or this
/// thread may be late by two seconds more before anything passes that should not.
pub(super) const PULSE: Duration = Duration::from_millis(250);

/// Who is silent for so long has everything pass.
const SILENT_MAX: Duration = Duration::from_nanos(HEARTBEAT_NS_MAX);

/// How often all else is done.
const BEAT: Duration = Duration::from_secs(1);

/// The front line of a node.
pub(crate) struct FrontLine {
    line: l4::FrontLine,
    ebpf: Ebpf,
    listeners: Vec<SocketAddr>,
    admin: Option<SocketAddr>,
    cores: usize,
    feed: Option<Fed>,
    limiters: Limiters,
    pulses: Heartbeats,
    /// When the cores are asked next, and when all else is done next.
    next_pulse: Instant,
    next_beat: Instant,
    /// What went wrong with the last beat.
    fault: Option<String>,
    /// A fault that was said, and not yet that it is over.
    told: Option<String>,
    load: Load,
    looked: Option<Instant>,
    top: Vec<l4::Source>,
}

/// Verdicts of layer 7.
struct Fed {
    feed: Feed,
    offences: Arc<Offences>,
    conducts: Vec<Conduct>,
    /// Times that a prefix was slowed, and that one was shut out.
    holds: [u64; 2],
}

/// Who decides at accept, and by which rules.
#[derive(Default)]
struct Limiters {
    rules: Option<Rules>,
    each: Arc<[Option<Arc<gate::table::Limiter>>]>,
    /// Whom they were told to hold back.
    held: HashMap<IpNet, Held>,
}

impl FrontLine {
    /// Attaches it for these listeners, and gives up every right that neither it nor anything later needs. To be called before any
    /// thread is started.
    pub(crate) fn attach(
        ebpf: &Ebpf,
        bound: &[Bound],
        admin: Option<SocketAddr>,
        cores: usize,
        state: &Path,
    ) -> Result<Self> {
        let listeners: Vec<_> = bound.iter().map(|bound| bound.address).collect();
        let rules = meant::rules(ebpf, &listeners, admin);
        let mut say = |text: String| say::note(&text);
        let mut line = l4::FrontLine::attach(meant::settings(ebpf, state), rules, &mut say)?;
        if ebpf.steer && cores > 1 {
            let sockets = bound.iter().flat_map(|bound| {
                (0..).zip(&bound.sockets).map(|(core, socket)| Listener {
                    port: bound.address.port(),
                    is_ipv6: bound.address.is_ipv6(),
                    core,
                    socket: socket.as_fd(),
                })
            });
            let steered = line.steer(&sockets.collect::<Vec<_>>(), &mut say);
            if let Err(error) = steered {
                say(format!("front line: connections go to cores by the kernel's own choice: {error}"));
            }
        }
        line.observe(&mut say);
        l4::drop_others(rustix::thread::CapabilitySet::empty())?;
        let now = Instant::now();
        let mut this = Self {
            line,
            ebpf: ebpf.clone(),
            listeners,
            admin,
            cores,
            feed: fed(ebpf, cores),
            limiters: Limiters::default(),
            pulses: Heartbeats::new(cores, SILENT_MAX),
            next_pulse: now,
            next_beat: now,
            fault: None,
            told: None,
            load: Load::default(),
            looked: None,
            top: Vec::new(),
        };
        this.limit_accepts();
        this.announce_trial();
        Ok(this)
    }

    /// What the cores do for it.
    pub(crate) fn of_cores(&self) -> shard::FrontLine {
        shard::FrontLine {
            offences: self.feed.as_ref().map(|fed| fed.offences.clone()),
            limiters: self.limiters.each.clone(),
        }
    }

    /// For how long there is nothing to do yet.
    pub(crate) fn is_early(&self, now: Instant) -> Option<Duration> {
        self.next_pulse.checked_duration_since(now).filter(|early| !early.is_zero())
    }

    /// What is to be done each [`PULSE`]. `post` hands a core a letter that it answers when it turns. What the cores are to do from
    /// now on, if that is something else.
    pub(crate) fn beat(
        &mut self,
        now: Instant,
        post: impl Fn(usize, std::sync::mpsc::Sender<usize>) -> bool,
    ) -> Option<shard::FrontLine> {
        self.next_pulse = now + PULSE;
        let beat = self.pulses.beat(now, post);
        // A gateway that does not serve must not refuse either: a core that hangs counts from when it turned last. The kernel's clock
        // is read first: a pause in between makes that moment earlier, and never later than it was.
        let clock_ns = monotonic_ns();
        let silent_ns = u64::try_from(beat.turned.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let told = self.line.live(clock_ns.saturating_sub(silent_ns)).err().map(|error| error.to_string());
        let stuck = beat.stuck.map(|stuck| {
            format!("core {} has not turned for {:.1?}: everything passes", stuck.core, stuck.since)
        });
        let is_due = now >= self.next_beat;
        if is_due {
            self.next_beat = now + BEAT;
            let done = self.line.beat(&mut |text| say::note(&text));
            let done = done.and_then(|()| self.line.sweep().map(drop));
            self.fault = done.err().map(|error| error.to_string());
        }
        self.tell(stuck.or(told).or_else(|| self.fault.clone()));
        if !is_due {
            return None;
        }
        self.tell_events();
        self.take_verdicts();
        if self.looked.is_none_or(|looked| now.duration_since(looked) >= LOOK_EVERY) {
            self.looked = Some(now);
            self.look();
        }
        self.limit_accepts().then(|| self.of_cores())
    }

    /// Goes by other rules from now on. What the cores are to do, and a word for the operator.
    pub(crate) fn change(&mut self, ebpf: &Ebpf) -> Result<(shard::FrontLine, Option<String>), String> {
        let rules = meant::rules(ebpf, &self.listeners, self.admin);
        let is_new = self
            .line
            .change(rules, ebpf.trial)
            .map_err(|error| format!("the front line can't take the new rules: {error}"))?;
        match (&mut self.feed, &ebpf.feed) {
            (Some(fed), Some(feed)) => fed.feed.adopt(meant::terms(feed, ebpf)),
            _ => self.feed = fed(ebpf, self.cores),
        }
        self.ebpf = ebpf.clone();
        self.limit_accepts();
        let trial = if is_new { self.announce_trial() } else { None };
        Ok((self.of_cores(), trial))
    }

    /// Says what is on trial.
    fn announce_trial(&mut self) -> Option<String> {
        let trial = self.line.trial().ok().flatten()?;
        let text = format!(
            "front line: its rules are on trial for {} s: `floodgate ebpf commit` keeps them",
            trial.left.as_secs_f64().round()
        );
        say::note(&text);
        Some(text)
    }

    /// Says a fault once, and that it is over.
    fn tell(&mut self, fault: Option<String>) {
        if fault.is_some() == self.told.is_some() {
            return;
        }
        match &fault {
            Some(fault) => say::warning(&format!("front line: {fault}")),
            None => say::note("front line: it is looked after again"),
        }
        self.told = fault;
    }

    fn tell_events(&mut self) {
        let events = self.line.events(EVENTS_MAX);
        for event in events.iter().take(EVENTS_TOLD_MAX) {
            say::note(&shown::event(event));
        }
        if let Some(more @ 1..) = events.len().checked_sub(EVENTS_TOLD_MAX) {
            say::note(&format!("front line: {more} more sources went above a limit"));
        }
    }

    fn take_verdicts(&mut self) {
        let Some(fed) = &mut self.feed else { return };
        fed.offences.take(&mut fed.conducts);
        let told: Vec<_> = fed.conducts.drain(..).map(shown::conduct).collect();
        let holds = fed.feed.take(&told, monotonic_ns());
        for hold in &holds {
            let held = self.line.block(hold.prefix, hold.expiry, hold.cost, hold.reason as u32);
            let what = if hold.cost == 0 { "is shut out" } else { "is slowed" };
            fed.holds[usize::from(hold.cost == 0)] += 1;
            let (prefix, why, expiry) = (hold.prefix, hold.reason.as_str(), hold.expiry.as_secs());
            match held {
                Ok(()) => say::note(&format!("front line: {prefix} {what} for {expiry} s ({why})")),
                Err(error) => say::warning(&format!("front line: {prefix} can't be held back: {error}")),
            }
        }
        if holds.is_empty() {
            return;
        }
        self.limiters.hold(self.line.verdicts());
        if let Err(error) = self.line.settle() {
            say::warning(&format!("front line: not all who are held back are so: {error}"));
        }
    }

    fn look(&mut self) {
        self.top = self.line.top_sources(telemetry::TOP_SOURCES_MAX);
        if self.ebpf.steer
            && let Some(load) = self.load.since_last(self.cores)
            && let Err(error) = self.line.balance(&load)
            && !matches!(error, l4::Error::Unavailable(_))
        {
            say::warning(&format!("front line: sources can't be moved between cores: {error}"));
        }
    }

    /// Whoever decides at accept goes by the rules in force and by who is held back; whether the rules are others now.
    fn limit_accepts(&mut self) -> bool {
        let is_last_step = self.line.modes().iter().any(|interface| interface.step == Step::Accept);
        let rules = self.line.outside().filter(|_| is_last_step);
        let rules = rules.map(|rules| {
            let mut rules = rules.clone();
            rules.allow.extend(self.line.verdicts().allowed());
            rules
        });
        let is_new = rules != self.limiters.rules;
        if is_new {
            let limiter = |address: &SocketAddr| {
                rules.as_ref()?.limiter(address.port(), LIMITER_PREFIXES).map(Arc::new)
            };
            let each =
                if rules.is_some() { self.listeners.iter().map(limiter).collect() } else { Arc::default() };
            self.limiters = Limiters { rules, each, held: HashMap::new() };
        }
        self.limiters.hold(self.line.verdicts());
        is_new
    }
}

impl Limiters {
    /// Tells them who is held back now, and who no longer is.
    fn hold(&mut self, verdicts: &Verdicts) {
        if self.each.is_empty() {
            return;
        }
        let now_ns = monotonic_ns();
        // By the clock that cores ask them with.
        let cores_ns = runtime::Clock::read().mono_ns;
        let held: HashMap<_, _> = verdicts.held(now_ns).collect();
        let gone = self.held.keys().filter(|prefix| !held.contains_key(prefix));
        let gone = gone.map(|prefix| (*prefix, Held { expires_ns: now_ns, cost: 0, reason: 0 }));
        let new = held.iter().filter(|(prefix, held)| self.held.get(*prefix) != Some(*held));
        for (prefix, held) in gone.chain(new.map(|(prefix, held)| (*prefix, *held))) {
            let expires_ns = cores_ns.saturating_add(held.expires_ns - now_ns);
            for limiter in self.each.iter().flatten() {
                l4::hold_at_accept(limiter, prefix, expires_ns, held.cost, cores_ns);
            }
        }
        self.held = held;
    }
}

fn fed(ebpf: &Ebpf, cores: usize) -> Option<Fed> {
    let feed = Feed::new(meant::terms(ebpf.feed.as_ref()?, ebpf));
    let [ipv4_bits, ipv6_bits] = meant::SOURCE_BITS;
    let offences = Arc::new(Offences::new(cores, ipv4_bits, ipv6_bits));
    Some(Fed { feed, offences, conducts: Vec::new(), holds: [0; 2] })
}

/// Where packets are looked at, in words.
pub(crate) fn described(step: Step) -> &'static str {
    match step {
        Step::NativeXdp => "XDP, in its driver",
        Step::GenericXdp => "XDP, behind its driver",
        Step::Tcx => "tcx",
        Step::Nftables => "nftables",
        Step::Accept => "accept: the kernel does not help",
    }
}

fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
