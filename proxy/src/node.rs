//! The node: all rooms wired together, from reading a configuration to the end of the last core.

mod change;
mod judged;

use std::{
    collections::HashMap,
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use control::{Publish, Resolver, Target, Watch};
use model::Model;
use progress::{Phase, Progress};
use runtime::DriverChoice;
use shard::{Addresses, Endpoint, GROUPS_MAX, Message, Report};
use snapshot::Snapshot;
use telemetry::log;

use crate::{
    admin::Door,
    bar::Bar,
    cores::{self, Cores, Plan},
    deployments::{Deed, Deployments, Judges},
    descriptors::{self, Shares},
    frontline::FrontLine,
    greeting,
    heartbeat::{self, Heartbeats},
    ladder::Ladder,
    last_good::LastGood,
    listen::{Bound, bind},
    manager::Manager,
    memory,
    publisher::{Origin, Publisher, Read},
    say,
    state::{self, State},
    watch::{Footprint, Reloads, Watcher},
};

/// How long a start or a reload waits for the first answers about names. What comes later is taken when it comes.
const NAMES_MAX: Duration = Duration::from_secs(2);

/// How long a scrape waits for a core.
const REPORT_MAX: Duration = Duration::from_secs(1);

/// How long the log thread may take to write what is left at the end.
const LOG_END_MAX: Duration = Duration::from_secs(5);

/// By how much the threads that publish give way to those that serve: beside a busy core they still get a quarter of
/// its processor, so that a change of 10,000 routes does not take for ever.
const NICE: i32 = 5;

/// setpriority(2).
const NICE_MAX: i32 = 19;

/// What lives as long as the process, behind the control thread's doors.
pub(crate) struct Node {
    pub(crate) started: Instant,
    pub(crate) cores: OnceLock<Running>,
    pub(crate) log: Mutex<log::Writer>,
    pub(crate) reloads: AtomicU64,
    pub(crate) reloads_refused: AtomicU64,
    pub(crate) generation: AtomicU64,
    pub(crate) generations_held: AtomicUsize,
    pub(crate) draining: AtomicBool,
    /// Bytes in RAM, what they may come to (0: no bound), and how short they are, as seen last.
    pub(crate) memory_bytes: AtomicU64,
    pub(crate) memory_limit: Mutex<memory::Limit>,
    pub(crate) memory_level: AtomicU8,
    /// What the caches of all cores may hold together, from the start to the end.
    cache_bytes_max: u64,
    pub(crate) drain: Duration,
    pub(crate) manager: Arc<Manager>,
    pub(crate) heartbeats: Mutex<Option<Heartbeats>>,
    /// The kernel's part, if the configuration names an interface.
    pub(crate) front_line: Mutex<Option<FrontLine>>,
    resolver: OnceLock<Resolver>,
    origin: Origin,
    overrides: Overrides,
    /// The state folder.
    state: PathBuf,
    /// Once the configuration has asked for it.
    watcher: Mutex<Option<Arc<Watcher>>>,
    publisher: Mutex<Publisher>,
    /// What the configuration said when it was taken last.
    taken: Mutex<Read>,
    /// What stages run of what it has said; `None` where there is no file that could say something else.
    deployments: Option<Mutex<Deployments>>,
    /// What is being found of canaries, and whether somebody is at it.
    judges: Mutex<Judges>,
    judging: AtomicBool,
    /// How far a change is that is being made, for whoever waits for it.
    pub(crate) progress: Progress,
    /// What the cores were told last, by slot.
    endpoints: Mutex<HashMap<u32, Arc<[Endpoint]>>>,
    /// For whom addresses are watched.
    resolving: Mutex<Resolving>,
}

/// The generation whose addresses are watched.
#[derive(Default)]
struct Resolving {
    generation: u64,
    /// While there is one, addresses come here and are told together.
    gathered: Option<Vec<Group>>,
}

/// The addresses of an upstream group, and its slot.
type Group = (u32, Arc<[Endpoint]>);

/// The cores, for those who write to them.
pub(crate) struct Running {
    pub(crate) posts: Vec<runtime::Post<Message>>,
    pub(crate) limits: Arc<policy::throttle::Table>,
    pub(crate) gate: Arc<shard::Gate>,
    pub(crate) epochs: Arc<policy::cache::Epochs>,
}

/// What the command line says beside the configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) workers: Option<usize>,
    pub(crate) driver: Option<model::Driver>,
    pub(crate) state: Option<PathBuf>,
}

/// How often the main thread looks after things.
pub(crate) const CHORES: Duration = Duration::from_secs(1);

/// Runs a node until it is told to end. Whoever waits for it to start sees how far that is.
pub(crate) fn run(
    origin: Origin,
    mut read: Read,
    overrides: &Overrides,
    manager: Arc<Manager>,
    bar: Bar,
) -> Result<()> {
    read.warn();
    overrides.apply(&mut read.model);
    let model = read.model.clone();
    let state = State::take(model.node.state.as_deref())?;
    let (mut publisher, created) = Publisher::new(state.folder())?;
    let (deployments, snapshot) = match &origin {
        Origin::File(_) | Origin::OpenApi(_) => {
            bar.progress().begin(Phase::Compare, 0);
            let mut deployments = Deployments::open(state.folder())?;
            let drafted = deployments
                .draft(&read, &Deed::Follow, "")
                .map_err(|why| read.refused(format!("error: {why}\n")))?;
            let snapshot = publisher
                .compile(&read, &drafted.model, bar.progress())
                .map_err(|rendered| read.refused(rendered))?;
            drafted.notes.iter().for_each(|note| say::warning(note));
            if let Err(error) = deployments.commit(drafted) {
                say::warning(&format!("what is deployed could not be written down: {error}"));
            }
            (Some(Mutex::new(deployments)), snapshot)
        }
        // What was wrong has been rendered; it is shown as it is.
        Origin::Flags(_) => {
            let snapshot = publisher.compile(&read, &model, bar.progress());
            (None, snapshot.map_err(|rendered| read.refused(rendered))?)
        }
    };
    publisher.put_in_force(&snapshot);
    let workers = workers(&model);
    let shares = descriptors::shares(model.node.connections_max, model.listeners.len(), workers)?;
    let mut bound = listeners(&model, workers, shares.backlog)?;
    // Before there is any thread: what each may do it has from this one. That of the bar is gone.
    drop(bar);
    let front_line = match &model.node.ebpf {
        Some(ebpf) => {
            let admin = model.node.admin.listen;
            Some(FrontLine::attach(ebpf, &bound, admin, workers, state.folder())?)
        }
        None => None,
    };
    let authority = publisher.authority_path();
    let (writer, logs) = log::start(log_target(&model), workers, Box::new(say::warning))?;
    let memory_limit = memory::Limit::new(model.node.memory_max);
    if memory_limit.used_bytes().is_none() {
        say::warning("the kernel does not say how much memory is in use: `memory_max` is not kept");
    }
    let cache_bytes_max = match memory_limit.cuts(model.node.cache.size_bytes) {
        Some((cut_bytes, text)) => {
            say::warning(&text);
            cut_bytes
        }
        None => model.node.cache.size_bytes,
    };
    let node = Arc::new(Node {
        started: Instant::now(),
        cores: OnceLock::new(),
        log: Mutex::new(writer),
        reloads: AtomicU64::new(0),
        reloads_refused: AtomicU64::new(0),
        generation: AtomicU64::new(snapshot.generation),
        generations_held: AtomicUsize::new(0),
        draining: AtomicBool::new(false),
        memory_bytes: AtomicU64::new(memory_limit.used_bytes().unwrap_or_default()),
        memory_limit: Mutex::new(memory_limit),
        memory_level: AtomicU8::new(0),
        cache_bytes_max,
        drain: model.node.drain,
        heartbeats: Mutex::new(
            manager.watchdog().map(|watchdog| Heartbeats::new(workers, heartbeat::patience(watchdog))),
        ),
        front_line: Mutex::new(front_line),
        manager,
        resolver: OnceLock::new(),
        origin,
        overrides: overrides.clone(),
        state: state.folder().to_owned(),
        watcher: Mutex::default(),
        publisher: Mutex::new(publisher),
        taken: Mutex::new(read.clone()),
        deployments,
        judges: Mutex::default(),
        judging: AtomicBool::new(false),
        progress: Progress::new(),
        endpoints: Mutex::default(),
        resolving: Mutex::default(),
    });
    let socket = match &model.node.admin.socket {
        Some(socket) => socket.clone(),
        None => state::socket(model.node.state.as_deref())?,
    };
    let control = control::start(
        control::Settings {
            socket: socket.clone(),
            listen: model.node.admin.listen,
            demo: model.node.demo.as_ref().map(|demo| demo.address),
            name_servers: Vec::new(),
            beat: node.manager.watchdog().map(heartbeat::every),
        },
        Arc::new(Door(node.clone())),
    )?;
    node.resolver.get_or_init(|| control.resolver());
    let bar = Bar::of_work();
    bar.progress().begin(Phase::Resolve, 0);
    node.resolve(&snapshot, NAMES_MAX);
    drop(bar);
    let cores = node.start(&model, workers, snapshot, &mut bound, shares, logs)?;
    greeting::announce(&model, &bound, &control, &cores, &socket);
    if created && model.certificates.is_empty() && model.listeners.iter().any(|listener| !listener.plain) {
        say::note(&format!(
            "made a certificate authority for this node: {}; `floodgate trust` says how to trust it",
            authority.display()
        ));
    }
    greeting::hints(&model, &bound, &authority);
    node.keep(&read);
    node.watch(&read);
    say::out("floodgate: ready");
    let why = if read.is_last_good { "; the file was refused, this is what was in force last" } else { "" };
    node.manager.ready(&format!("{}{why}", node.serving()));
    give_way();
    let mut ladder = Ladder::default();
    let mut due = Instant::now() + CHORES;
    let ended = cores.join(|| {
        let now = Instant::now();
        let is_due = now >= due;
        if is_due {
            due = now + CHORES;
            node.chores();
        }
        let rest = node.climb(&mut ladder, is_due).min(node.beat_front_line());
        rest.min(due.saturating_duration_since(Instant::now()))
    });
    control.stop();
    if let Ok(node) = Arc::try_unwrap(node)
        && !node.log.into_inner().unwrap_or_else(PoisonError::into_inner).stop(LOG_END_MAX)
    {
        say::warning("the access log could not be written to its end");
    }
    drop(state);
    ended
}

impl Node {
    fn start(
        &self,
        model: &Model,
        workers: usize,
        snapshot: Arc<Snapshot>,
        bound: &mut [Bound],
        shares: Shares,
        logs: Vec<log::LogSender>,
    ) -> Result<Cores> {
        let known: Vec<_> = held(&self.endpoints).iter().map(|(slot, list)| (*slot, list.clone())).collect();
        let plan = Plan {
            workers,
            driver: match model.node.driver {
                model::Driver::Auto => DriverChoice::Auto,
                model::Driver::Uring => DriverChoice::Uring,
                model::Driver::Epoll => DriverChoice::Epoll,
            },
            snapshot,
            cache_bytes_max: self.cache_bytes_max,
            shares,
            listeners: model.listeners.len(),
            endpoints: known,
            front_line: held(&self.front_line).as_ref().map(FrontLine::of_cores).unwrap_or_default(),
        };
        let cores = cores::start(&plan, by_core(bound, workers), logs)?;
        self.cores.get_or_init(|| Running {
            posts: cores.posts.clone(),
            limits: cores.limits.clone(),
            gate: cores.gate.clone(),
            epochs: cores.epochs.clone(),
        });
        // What came while they were starting.
        let endpoints = held(&self.endpoints);
        let all = endpoints.iter().map(|(slot, list)| (*slot, list.clone())).collect();
        self.post_endpoints(all);
        drop(endpoints);
        Ok(cores)
    }

    /// Tells the cores the addresses of a snapshot's backends: those that were written as such now, names from now on
    /// whenever they are resolved. Waits a moment for the first answers.
    fn resolve(self: &Arc<Self>, snapshot: &Snapshot, patience: Duration) {
        let Some(resolver) = self.resolver.get() else { return };
        held(&self.endpoints).retain(|slot, _| snapshot.upstream(*slot).is_some());
        let (mut known, mut names) = (Vec::new(), Vec::new());
        for (upstream, slot) in snapshot.upstreams.iter().zip(0..) {
            let Some(upstream) = upstream else { continue };
            let targets = upstream.targets.iter();
            let targets: Vec<_> =
                targets.map(|target| Target { host: target.host.clone(), port: target.port }).collect();
            match addresses(&targets) {
                Some(endpoints) => known.push((slot, endpoints)),
                None => names.push(Watch { upstream: slot, targets }),
            }
        }
        let (node, generation) = (Arc::downgrade(self), snapshot.generation);
        let publish: Publish = Arc::new(move |slot, addresses| {
            let endpoints =
                addresses.into_iter().map(|(target, address)| Endpoint { target, address }).collect();
            if let Some(node) = node.upgrade() {
                node.take_endpoints(generation, (slot, endpoints));
            }
        });
        *held(&self.resolving) = Resolving { generation, gathered: Some(Vec::new()) };
        for unresolved in resolver.watch(names, publish).wait(patience) {
            say::warning(&format!(
                "the backend {} has no address yet ({}); requests to it are answered with an error until it has",
                unresolved.host, unresolved.why
            ));
        }
        known.extend(held(&self.resolving).gathered.take().unwrap_or_default());
        self.tell_endpoints(known);
    }

    /// Takes what a name has become that is watched for a generation. Of one before the last it may be said of a slot that is another
    /// group's by now.
    fn take_endpoints(&self, generation: u64, group: Group) {
        // Held until it is told: the next generation comes after it.
        let mut resolving = held(&self.resolving);
        match &mut *resolving {
            now if now.generation != generation => {}
            Resolving { gathered: Some(gathered), .. } => gathered.push(group),
            Resolving { gathered: None, .. } => self.tell_endpoints(vec![group]),
        }
    }

    /// Makes room for other upstream groups: cores forget those that no generation has any more. What a core has missed is tried
    /// again with the next change.
    fn forget_groups(&self, publisher: &mut Publisher) {
        let Some(cores) = self.cores.get() else { return };
        for slots in publisher.vacated().chunks(GROUPS_MAX) {
            let slots: Arc<[u32]> = slots.into();
            let mut told = held(&self.endpoints);
            slots.iter().for_each(|slot| drop(told.remove(slot)));
            drop(told);
            if cores.posts.iter().any(|post| post.send(Message::Forget(slots.clone())).is_err()) {
                return;
            }
        }
        publisher.reclaim();
    }

    /// Tells the cores what is new.
    fn tell_endpoints(&self, mut groups: Vec<Group>) {
        // Held until they are told, so that two changes come to all cores in one order.
        let mut told = held(&self.endpoints);
        groups.retain(|(slot, endpoints)| told.get(slot) != Some(endpoints));
        told.extend(groups.iter().cloned());
        for missed in self.post_endpoints(groups) {
            told.remove(&missed);
        }
    }

    /// Posts addresses to all cores; the slots of those that a core has missed.
    fn post_endpoints(&self, groups: Vec<Group>) -> Vec<u32> {
        let mut missed = Vec::new();
        for groups in groups.chunks(GROUPS_MAX) {
            let groups: Addresses = groups.into();
            for post in self.cores.get().into_iter().flat_map(|cores| &cores.posts) {
                if post.send(Message::Endpoints(groups.clone())).is_err() {
                    say::warning("a core has too many letters waiting and missed a change of addresses");
                    missed.extend(groups.iter().map(|(slot, _)| *slot));
                }
            }
        }
        missed
    }

    /// What it does, in words for the service manager.
    pub(crate) fn serving(&self) -> String {
        let cores = self.cores.get().map_or(0, |cores| cores.posts.len());
        format!("serving generation {} on {cores} cores", self.generation.load(Ordering::Relaxed))
    }

    /// Keeps what is in force now for a start that finds something wrong; says what went wrong with that.
    fn keep(&self, read: &Read) -> Option<String> {
        if matches!(self.origin, Origin::Flags(_)) || read.is_last_good {
            return None;
        }
        let kept = LastGood::of(&read.sources).and_then(|files| match files {
            Some(files) => files.store(&self.state),
            None => Ok(()),
        });
        let error = kept.err()?;
        let folder = self.state.display();
        let text = format!("this configuration could not be kept in {folder} for `run --last-good`: {error}");
        say::warning(&text);
        Some(text)
    }

    /// Watches what was read, or nothing, as the configuration says.
    fn watch(self: &Arc<Self>, read: &Read) {
        let mut watcher = held(&self.watcher);
        if !read.model.node.watch {
            return watcher.iter().for_each(|watcher| watcher.cover(None));
        }
        if watcher.is_none() {
            match Watcher::start(Arc::downgrade(self)) {
                Ok(started) => *watcher = Some(started),
                Err(error) => {
                    say::warning(&format!(
                        "the configuration is not watched: {error}; `floodgate reload` works"
                    ));
                }
            }
        }
        watcher.iter().for_each(|watcher| watcher.cover(Some(read.footprint.clone())));
    }

    /// Goes on watching, if it does, what was read last, be it right or wrong.
    fn cover(&self, footprint: Footprint) {
        if let Some(watcher) = held(&self.watcher).as_ref().filter(|watcher| watcher.covers()) {
            watcher.cover(Some(footprint));
        }
    }

    /// What is done every second.
    fn chores(self: &Arc<Self>) {
        self.judge();
        // While a change is made it has things to free itself.
        if let Ok(mut publisher) = self.publisher.try_lock() {
            self.generations_held.store(publisher.free(), Ordering::Relaxed);
        }
    }

    /// Questions about names that got no usable answer.
    pub(crate) fn resolve_failures(&self) -> u64 {
        self.resolver.get().map_or(0, Resolver::failures)
    }

    /// What each core has counted; a core that does not answer in time is left out.
    pub(crate) fn reports(&self) -> Vec<Report> {
        let (done, reports) = mpsc::channel();
        let asked = self.ask(|| Message::Collect(done.clone()));
        drop(done);
        let deadline = Instant::now() + REPORT_MAX;
        let left = || deadline.saturating_duration_since(Instant::now());
        let mut reports: Vec<_> = (0..asked).map_while(|_| reports.recv_timeout(left()).ok()).collect();
        reports.sort_by_key(|report: &Report| report.index);
        reports
    }

    /// Writes to all cores; how many could be written to.
    pub(crate) fn ask(&self, message: impl Fn() -> Message) -> usize {
        let posts = self.cores.get().into_iter().flat_map(|cores| &cores.posts);
        posts.filter(|post| post.send(message()).is_ok()).count()
    }

    /// Tells all cores to forget what they have cached; how many will say how much it was. One whose mailbox is full
    /// forgets it before it reads its next letter, and does not say.
    pub(crate) fn flush(&self, done: &mpsc::Sender<usize>) -> usize {
        let Some(cores) = self.cores.get() else { return 0 };
        let told = |(core, post): (usize, &runtime::Post<Message>)| {
            let told = post.send(Message::Flush(done.clone())).is_ok();
            if !told {
                cores.epochs.demand_all(core);
            }
            told
        };
        cores.posts.iter().enumerate().filter(|it| told(*it)).count()
    }
}

impl Reloads for Node {
    fn reload(self: Arc<Self>) {
        match Self::reload(&self) {
            Ok(reloaded) => say::note(&format!("a file has changed; reloaded: {reloaded}")),
            Err(diagnostics) => {
                say::note(&format!("a file has changed; not reloaded, nothing has changed\n{diagnostics}"));
            }
        }
    }
}

impl Overrides {
    fn apply(&self, model: &mut Model) {
        model.node.workers = self.workers.or(model.node.workers);
        model.node.driver = self.driver.unwrap_or(model.node.driver);
        model.node.state = self.state.clone().or(model.node.state.take());
    }
}

/// The addresses of targets of which none is a name.
fn addresses(targets: &[Target]) -> Option<Arc<[Endpoint]>> {
    let endpoint = |(target, at): (usize, &Target)| {
        Some(Endpoint { target, address: SocketAddr::new(at.address()?, at.port) })
    };
    targets.iter().enumerate().map(endpoint).collect()
}

/// Lets every other thread of this process go first, from now on.
fn give_way() {
    // From where the process was started: a number of its own would raise one that was made nice, which only root may.
    let lowered = rustix::process::getpriority_process(None)
        .and_then(|nice| rustix::process::setpriority_process(None, (nice + NICE).min(NICE_MAX)));
    if let Err(error) = lowered {
        say::warning(&format!("the priority of a thread could not be lowered: {error}"));
    }
}

/// A lock that a panic elsewhere does not make useless: what it guards is replaced whole.
pub(crate) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn workers(model: &Model) -> usize {
    model.node.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZeroUsize::get))
}

fn listeners(model: &Model, workers: usize, backlog: i32) -> Result<Vec<Bound>> {
    let bind = |listener: &model::Listener| bind(&listener.name, listener.address, workers, backlog);
    model.listeners.iter().map(bind).collect()
}

/// The sockets of each core, in the order of the listeners. They are moved: a copy here would keep a port open that
/// its core has closed.
fn by_core(bound: &mut [Bound], workers: usize) -> Vec<Vec<TcpListener>> {
    let mut cores: Vec<Vec<_>> = (0..workers).map(|_| Vec::new()).collect();
    for listener in bound {
        for (core, socket) in cores.iter_mut().zip(listener.sockets.drain(..)) {
            core.push(socket);
        }
    }
    cores
}

fn log_target(model: &Model) -> log::Target {
    match model.node.access_log.as_ref().map(|log| &log.target) {
        None => log::Target::Discard,
        Some(model::LogTarget::Stdout) => log::Target::Stdout,
        Some(model::LogTarget::File(path)) => log::Target::File(path.clone()),
    }
}
