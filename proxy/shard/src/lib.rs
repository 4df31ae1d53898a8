//! A shard: one core, from accept to the last byte. It owns all that changes while serving (connections, buckets, its
//! part of the cache, pools of connections to backends, counters) and does all of the waiting; what is decided about
//! a request is `exchange`'s. It knows no file, no name service and no other shard but by letters.

mod access;
mod admission;
mod backend;
mod care;
mod client;
mod conduct;
mod connection;
mod core;
mod flow;
mod h2;
mod head;
mod ids;
mod kept;
mod owner;
mod pace;
mod pool;
mod pools;
mod pressure;
mod probe;
mod race;
mod reach;
mod relay;
mod renewal;
mod replay;
mod reply;
mod request;
mod side;
mod transport;
mod tunnel;
mod waiting;
mod way;
mod whole;

#[cfg(test)]
mod tests;

use std::{
    future::poll_fn,
    net::{SocketAddr, TcpListener},
    rc::Rc,
    sync::{Arc, mpsc},
    task::Poll,
    time::Duration,
};

use gate::table::Limiter;
use policy::cache::Epochs;
use policy::throttle::{Spendings, TICK_NS, Table};
use runtime::{DriverKind, Listener, Mailbox, Post, Runtime};
use snapshot::Snapshot;
use telemetry::{CoreSnapshot, Discarded, Event, Observed, log::LogSender};

pub use crate::{
    admission::Gate,
    conduct::{Conduct, Offences},
    core::request_limits,
    owner::Letter,
    pressure::{CacheBound, GROWTHS, Level, Pressure},
    request::{facts, refuse_malformed},
};
use crate::{
    connection::connection,
    core::{Accepting, Core, Parts},
    owner::Owner,
};

/// Letters that wait for one core; more are refused and their senders do without.
const LETTERS_MAX: usize = 4_096;

/// How often connections to backends and cache entries are looked at for age.
const SWEEP: Duration = Duration::from_secs(1);

/// How often what is kept for reuse is looked at, as long as there is any: what was not needed for so long goes.
const TRIM: Duration = Duration::from_millis(200);

/// What a core is given when it starts.
pub struct Seat {
    /// Which core, from 0.
    pub index: usize,
    /// How many cores there are.
    pub cores: usize,
    /// How the reactor runs.
    pub runtime: runtime::Options,
    /// Bound and listening, one for each listener of the snapshot, in its order.
    pub listeners: Vec<TcpListener>,
    /// What to serve first.
    pub snapshot: Arc<Snapshot>,
    /// The machine's shared limits.
    pub limits: Arc<Table>,
    /// This core's part of the cache.
    pub cache_bytes_max: u64,
    /// By which the node's cores say that what they gave one another of the cache holds no more.
    pub epochs: Arc<Epochs>,
    /// The node's counts of connections.
    pub gate: Arc<Gate>,
    /// Connections to backends at once, on this core.
    pub backends_max: usize,
    /// Lines of the access log.
    pub log: LogSender,
    /// The addresses of upstream groups, so far as they are known.
    pub endpoints: Vec<(u32, Arc<[Endpoint]>)>,
    /// What it does for the kernel front line.
    pub front_line: FrontLine,
}

/// What a core does for the kernel front line, or in its place.
#[derive(Clone, Debug, Default)]
pub struct FrontLine {
    /// Where it tells what clients did; `None`: nobody wants to know.
    pub offences: Option<Arc<Offences>>,
    /// Who decides about the connections of each listener when they have been accepted, where the kernel could not.
    pub limiters: Arc<[Option<Arc<Limiter>>]>,
}

/// An address of an upstream group, and which of its targets it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Index into [`snapshot::Upstream::targets`].
    pub target: usize,
    /// Where to connect.
    pub address: SocketAddr,
}

/// Addresses of upstream groups, by slot; at most [`GROUPS_MAX`] groups in one letter.
pub type Addresses = Arc<[(u32, Arc<[Endpoint]>)]>;

/// Groups that are told of in one letter.
pub const GROUPS_MAX: usize = 128;

/// Of them so many are looked at in one turn, for which clients wait: 2 to 8 µs each.
const GROUPS_A_TURN: usize = 32;

/// What a core is told while it runs.
pub enum Message {
    /// Serve this from now on. Whoever sends it keeps it until nobody else has it: freeing one takes longer than a core
    /// may be busy with anything but its clients. What the core has done away with comes back for the same reason.
    Publish(Arc<Snapshot>, mpsc::Sender<Discarded>),
    /// The addresses of these upstream groups, by slot, are now these.
    Endpoints(Addresses),
    /// No snapshot has the upstream groups of these slots any more, at most [`GROUPS_MAX`]: what is kept of them goes, since
    /// others may come there.
    Forget(Arc<[u32]>),
    /// Probes of another core find an address of an upstream group well, or not.
    Health(u32, Endpoint, bool),
    /// Tell what was counted.
    Collect(mpsc::Sender<Report>),
    /// Tell what was seen of the routes in these slots.
    Observe(Arc<[u32]>, mpsc::Sender<Observed>),
    /// Say that this core turns: its number comes back. Costs a core nothing but the letter.
    Pulse(mpsc::Sender<usize>),
    /// A change is about to be made, and whoever makes it wants processors too: for some seconds tell of each long turn whose doing
    /// it was.
    Watch,
    /// Forget all cached responses; tell how many there were.
    Flush(mpsc::Sender<usize>),
    /// How short the node's memory is.
    Pressure(Pressure),
    /// What it does for the kernel front line from now on.
    FrontLine(FrontLine),
    /// End: no new connections, answers in flight are finished, at most for so long.
    Drain(Duration),
    /// From another core, about the cache.
    Cache(Letter),
}

/// What a core has counted.
pub struct Report {
    /// Which core.
    pub index: usize,
    /// Counters and histograms.
    pub counters: CoreSnapshot,
    /// The reactor's own figures.
    pub runtime: runtime::Stats,
    /// Its longest turns of late.
    pub turns: runtime::Longest,
    /// How it asks the kernel.
    pub driver: DriverKind,
    /// Its part of the cache.
    pub cache: policy::cache::Stats,
    /// What it keeps of other cores' parts.
    pub replicas: policy::cache::ReplicaStats,
    /// Connections of clients.
    pub connections: usize,
    /// Upstream groups about which there is something to decide.
    pub upstreams: Vec<UpstreamReport>,
}

/// What a core thinks of an upstream group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamReport {
    /// Its name.
    pub name: String,
    /// Its circuit breaker holds calls back.
    pub suspended: bool,
    /// So few addresses are left that all are asked.
    pub panicking: bool,
    /// Calls that may be repeated now.
    pub retries_left: u32,
    /// Its addresses.
    pub targets: Vec<TargetReport>,
}

/// What a core thinks of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetReport {
    /// Which.
    pub address: SocketAddr,
    /// Calls in flight.
    pub in_flight: u32,
    /// Whether probes find it well.
    pub healthy: bool,
    /// Whether it is left out because calls failed.
    pub ejected: bool,
    /// Its share of calls, in percent of that of others.
    pub share_percent: u32,
}

/// A core that can be written to.
pub struct Ready {
    /// Which core.
    pub index: usize,
    /// Where its letters go.
    pub post: Post<Message>,
    /// How it asks the kernel.
    pub driver: DriverKind,
    /// Why it does not do so in the best way, if it does not.
    pub fell_back: Option<String>,
}

/// Why a core could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The reactor.
    #[error("core {index}: {source}")]
    Runtime {
        /// Which core.
        index: usize,
        /// What it said.
        source: runtime::Error,
    },
    /// A listener could not be handed to the reactor.
    #[error("core {index}: {source}")]
    Listen {
        /// Which core.
        index: usize,
        /// What the kernel said.
        source: std::io::Error,
    },
}

/// Runs a core on this thread until it is told to end. `meet` is told how to write to it, waits until all cores have
/// come so far, and answers with where to write to each; `None` if they will not start after all. `accepting` is
/// called once its listeners take connections.
pub fn run(
    seat: Seat,
    meet: impl FnOnce(Ready) -> Option<Vec<Post<Message>>>,
    accepting: impl FnOnce(),
) -> Result<(), Error> {
    let Seat { index, cores, runtime, listeners, snapshot, limits, .. } = seat;
    let Seat { cache_bytes_max, epochs, gate, backends_max, log, endpoints, front_line, .. } = seat;
    let mut runtime = Runtime::start(&runtime).map_err(|source| Error::Runtime { index, source })?;
    let handle = runtime.handle();
    let driver = runtime.driver();
    let (post, mailbox) = handle.mailbox(LETTERS_MAX);
    let fell_back = runtime.fell_back().map(ToString::to_string);
    let Some(posts) = meet(Ready { index, post, driver, fell_back }) else { return Ok(()) };
    let spendings = Spendings::new(limits, cores);
    let owner = Owner::new(cache_bytes_max, index, &epochs);
    let core = Core::new(Parts { handle, index, posts, owner, log, spendings, snapshot, gate, backends_max });
    for (slot, endpoints) in endpoints {
        core.set_endpoints(slot, &endpoints);
    }
    core.set_front_line(front_line);
    let listeners: Result<Vec<_>, _> =
        listeners.into_iter().map(|listener| core.handle.listen(listener)).collect();
    let listeners: Vec<_> =
        listeners.map_err(|source| Error::Listen { index, source })?.into_iter().map(Rc::new).collect();
    start(&core, &listeners);
    accepting();
    runtime
        .block_on(obey(&core, &mailbox, &listeners, driver))
        .map_err(|source| Error::Runtime { index, source })
}

/// Sets a core to work: from now on it takes connections and tidies up.
fn start(core: &Rc<Core>, listeners: &[Rc<Listener>]) {
    for (number, listener) in listeners.iter().enumerate() {
        core.handle.spawn(accept(core.accepting(), listener.clone(), number));
    }
    core.handle.spawn(sweep(core.clone()));
    core.handle.spawn(return_leases(core.clone()));
    core.handle.spawn(probe::probe(core.clone()));
}

/// Takes connections until the listener is closed.
async fn accept(accepting: Accepting, listener: Rc<Listener>, number: usize) {
    let core = accepting.core();
    while let Ok((stream, peer)) = listener.accept().await {
        let open = match core.open(number, peer.ip()) {
            Ok(open) => open,
            Err(full) => {
                core.record(&Event::Reject { label: full.as_str() });
                stream.abort();
                continue;
            }
        };
        let port = listener.local_addr().port();
        core.handle.spawn(connection(open, stream, peer.ip(), number, port));
    }
}

/// What a core that has fallen silent holds of shared limits others miss: as long as it holds some it looks often.
async fn return_leases(core: Rc<Core>) {
    loop {
        let pause = if core.return_leases() { Duration::from_nanos(TICK_NS) } else { SWEEP };
        core.handle.sleep(pause).await;
    }
}

async fn sweep(core: Rc<Core>) {
    let mut swept_ns = core.now().mono_ns;
    loop {
        // What a burst has left is gone a moment later; a core at rest wakes once a second.
        let more = core.trim();
        core.handle.sleep(if more { TRIM } else { SWEEP }).await;
        let now_ns = core.now().mono_ns;
        if u128::from(now_ns - swept_ns) >= SWEEP.as_nanos() {
            swept_ns = now_ns;
            core.sweep().await;
        }
    }
}

/// Does what it is told, and returns when it was told to end and has.
async fn obey(core: &Rc<Core>, mailbox: &Mailbox<Message>, listeners: &[Rc<Listener>], driver: DriverKind) {
    loop {
        let message = mailbox.receive().await;
        core.heed();
        match message {
            Message::Publish(snapshot, done) => {
                let gone = timed(core, || core.swap(snapshot));
                hand_back(&done, gone);
            }
            Message::Endpoints(groups) => {
                for groups in groups.chunks(GROUPS_A_TURN) {
                    timed(core, || {
                        groups.iter().for_each(|(slot, endpoints)| core.set_endpoints(*slot, endpoints))
                    });
                    // There may be many more of them; clients come first.
                    core.handle.yield_now().await;
                }
            }
            Message::Forget(slots) => {
                for slots in slots.chunks(GROUPS_A_TURN) {
                    timed(core, || slots.iter().for_each(|slot| core.forget(*slot)));
                    core.handle.yield_now().await;
                }
            }
            Message::Health(slot, endpoint, healthy) => core.set_health(slot, endpoint, healthy),
            Message::Observe(slots, done) => {
                // Who asked may have stopped waiting.
                let _ = done.send(core.observe(&slots).await);
            }
            Message::Collect(done) => {
                let (counters, upstreams) = (core.counters().await, core.upstreams().await);
                let report = Report {
                    index: core.index,
                    counters,
                    runtime: core.handle.stats(),
                    turns: core.handle.longest_turns(),
                    driver,
                    cache: core.owner.borrow().stats(),
                    replicas: core.owner.borrow().replica_stats(),
                    connections: core.open_connections(),
                    upstreams,
                };
                hand_back(&done, report);
            }
            Message::Pulse(done) => hand_back(&done, core.index),
            Message::Watch => core.handle.watch_turns(),
            Message::Flush(done) => hand_back(&done, core.owner.borrow_mut().flush()),
            Message::Pressure(pressure) => core.bear(pressure),
            Message::FrontLine(front_line) => core.set_front_line(front_line),
            Message::Cache(letter) => core.read(letter),
            Message::Drain(limit) => return drain(core, mailbox, listeners, limit).await,
        }
    }
}

/// Does something for which all clients of the core wait, and counts how long they did.
fn timed<T>(core: &Core, work: impl FnOnce() -> T) -> T {
    core.handle.mark_change();
    let begun_ns = core.handle.clock().mono_ns;
    let done = work();
    let us = core.handle.clock().mono_ns.saturating_sub(begun_ns).div_ceil(1_000);
    core.record(&Event::Swap { us });
    done
}

/// The one who asked may have gone; then nobody wants the answer.
fn hand_back<T>(done: &mpsc::Sender<T>, answer: T) {
    drop(done.send(answer));
}

/// Takes no more connections, finishes what is in flight, still reads letters about the cache: as long as another core
/// fetches what this one owns, its other requests wait for what becomes of that.
async fn drain(core: &Rc<Core>, mailbox: &Mailbox<Message>, listeners: &[Rc<Listener>], limit: Duration) {
    for listener in listeners {
        listener.close();
    }
    core.drain();
    let alarm = core.handle.alarm();
    alarm.set(core.handle.now().mono_ns.saturating_add(u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX)));
    let emptied = poll_fn(|cx| {
        // Others may still wait for what this core owns.
        while let Poll::Ready(message) = mailbox.poll_receive(cx) {
            core.heed();
            if let Message::Cache(letter) = message {
                core.read(letter);
            }
        }
        let settled = core.owner.borrow().stats().flights == 0;
        if core.is_empty(cx) && settled { Poll::Ready(()) } else { Poll::Pending }
    });
    // Past the limit what is left is cut, as was announced.
    let _emptied = alarm.guard(emptied).await;
    core.say_farewell();
    core.log.borrow_mut().flush();
}
