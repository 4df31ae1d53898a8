//! A node in a test tube: whole cores, from accept to the last byte, in one in-memory reactor with a clock of its own;
//! clients and backends play by a script ([`talk`]). Nothing sleeps, and what is random comes from a seed: a test that
//! fails fails again. Every script on the standard node is also played on a network that brings things late and in pieces.

mod framed;
mod http;
mod node;
mod peer;
mod pki;
mod streams;
mod talk;

use std::{
    cell::Cell,
    collections::BTreeMap,
    future::poll_fn,
    io,
    panic::Location,
    pin::pin,
    rc::Rc,
    sync::{Arc, mpsc},
    task::{Poll, Waker},
    time::Duration,
};

use model::Model;
use policy::cache::Epochs;
use policy::throttle::{Spendings, Table};
use runtime::{DriverKind, Handle, Listener, Options, Post, Runtime, simulated::Faults};
use snapshot::Snapshot;
use telemetry::log;

pub(super) use self::{
    framed::{Field, Framed, Terms, as_reset},
    node::{in_http2, route, standard, strict},
    peer::Peer,
    pki::Pki,
    talk::bytes,
};
use crate::{
    Endpoint, Gate, LETTERS_MAX, Message,
    core::{Core, Parts},
    obey,
    owner::Owner,
    pressure::Level,
    start,
    transport::Transport,
};

use node::{Publisher, back, endpoints, front};

/// What clients call the gateway in their handshakes.
const GATEWAY: &str = "gateway.test";

/// Who waits so long in a test waits in vain.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// Turns after which all that follows from an event has happened, if nothing is under way.
const SETTLING_TURNS: usize = 24;

/// Turns after which what is under way is waited for in time: it is on a slow link.
const SLOW_TURNS: usize = 500;

/// The longest wait for what is under way: twice the latency of a slow link, and then its bytes.
const UNDER_WAY_MAX: Duration = Duration::from_secs(10);

/// How long it takes until the last connection is gone that somebody made and gave up while a listener paused.
const LATE_ACCEPTS: Duration = Duration::from_secs(1);

/// A core's part of the cache.
pub(super) const CACHE_BYTES: u64 = 1 << 20;

/// How long the end of a test may take: lame duck, linger, and what the peers left open.
const DRAIN: Duration = Duration::from_secs(120);

/// What a test may want otherwise.
pub(super) struct Setup {
    pub(super) cores: usize,
    pub(super) connections_max: usize,
    /// Connections to backends on a core.
    pub(super) backends_max: usize,
    pub(super) model: Model,
    /// Letters that wait for one core.
    pub(super) letters_max: usize,
    /// Where the access log goes.
    pub(super) log: log::Target,
    /// Who vouches for the gateway and for backend `A`, if they speak TLS.
    pub(super) pki: Option<Pki>,
    /// What goes wrong on the network, if anything.
    pub(super) faults: Option<Faults>,
    /// What is done to each snapshot that no model can say.
    pub(super) adapt: fn(&mut Snapshot),
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            cores: 1,
            connections_max: 1_000,
            backends_max: usize::MAX,
            model: standard(),
            letters_max: LETTERS_MAX,
            log: log::Target::Discard,
            pki: None,
            faults: None,
            adapt: |_| {},
        }
    }
}

/// Plays a script on the standard node: once where all comes at once, then where it comes late, in pieces and in odd
/// orders, but in no time that a script would notice.
#[track_caller]
pub(super) fn check(script: &str) {
    check_on(Setup::default(), script);
    // Each script has a network of its own, and always the same.
    let seed = script.bytes().fold(0, |seed, byte| seed * 31 % 1_000_003 + u64::from(byte));
    let faults = Faults { slow_links_per_1000: 0, accept_failures_per_1000: 0, ..Faults::lossless(seed) };
    check_on(Setup { faults: Some(faults), ..Setup::default() }, script);
}

/// Plays a script on a node of one's own.
#[track_caller]
pub(super) fn check_on(setup: Setup, script: &str) {
    run(setup, async |lab: &mut Lab| lab.talk(script).await);
}

/// Runs a test on a node, and sees to it that nothing of it is left in the end.
#[track_caller]
pub(super) fn run(setup: Setup, test: impl AsyncFnOnce(&mut Lab)) {
    let caller = Location::caller();
    let options = Options::default();
    let mut runtime = match &setup.faults {
        None => Runtime::start_memory(&options),
        Some(faults) => Runtime::start_simulated(&options, faults.clone()),
    }
    .unwrap();
    let handle = runtime.handle();
    let ended = runtime.block_on(async {
        let mut lab = Lab::new(handle, setup, caller);
        test(&mut lab).await;
        lab.end().await;
    });
    ended.unwrap();
}

/// A node and who talks to it.
pub(super) struct Lab {
    pub(super) handle: Handle,
    pub(super) cores: Vec<Rc<Core>>,
    pub(super) posts: Vec<Post<Message>>,
    publisher: Publisher,
    ended: Rc<Cell<usize>>,
    deaf: Rc<Deaf>,
    backends: BTreeMap<char, Backend>,
    clients: BTreeMap<char, Peer>,
    /// Clients and connections of backends that speak HTTP/2, by their names.
    framed: BTreeMap<String, Framed>,
    /// When something was done last, for `took`.
    since_ns: u64,
    caller: &'static Location<'static>,
    log: log::Writer,
    /// What clients connect with, if not plainly.
    client: Option<tls::Client>,
    /// Its files are read anew with each configuration.
    _pki: Option<Pki>,
}

/// The core that reads no letters for now, if any does not.
#[derive(Default)]
struct Deaf {
    core: Cell<Option<usize>>,
    waker: Cell<Option<Waker>>,
}

/// One address of backends, and the connections that came, in order.
struct Backend {
    listener: Listener,
    connections: Vec<Option<Peer>>,
    tls: Option<Arc<tls::Server>>,
}

impl Backend {
    /// The next connection that comes. One whose handshake fails is a connection that has failed.
    async fn accept(&mut self, handle: &Handle) -> io::Result<()> {
        let (stream, _) = self.listener.accept().await?;
        let transport = match &self.tls {
            None => Transport::plain(stream),
            Some(server) => Transport::server(handle, stream, server),
        };
        let shaken = transport.handshake().await;
        let mut peer = Peer::new(transport);
        if shaken.is_err() {
            peer.fail();
        }
        self.connections.push(Some(peer));
        Ok(())
    }
}

impl Lab {
    fn new(handle: Handle, setup: Setup, caller: &'static Location<'static>) -> Self {
        let Setup { cores: count, connections_max, backends_max, model, letters_max, log, .. } = setup;
        let Setup { pki, adapt, .. } = setup;
        let mut publisher = Publisher::new(adapt);
        let snapshot = publisher.compile(&model);
        let (log, senders) = log::start(log, count, Box::new(|_| {})).unwrap();
        let (posts, mailboxes): (Vec<_>, Vec<_>) = (0..count).map(|_| handle.mailbox(letters_max)).unzip();
        let limits = Arc::new(Table::new(1_024));
        let gate = Arc::new(Gate::new(connections_max, model.listeners.len()));
        let epochs = Arc::new(Epochs::new(count));
        let ended = Rc::new(Cell::new(0));
        let deaf = Rc::<Deaf>::default();
        let mut cores = Vec::new();
        for (index, (log, mailbox)) in senders.into_iter().zip(mailboxes).enumerate() {
            let core = Core::new(Parts {
                handle: handle.clone(),
                index,
                posts: posts.clone(),
                owner: Owner::new(CACHE_BYTES, index, &epochs),
                log,
                spendings: Spendings::new(limits.clone(), count),
                snapshot: snapshot.clone(),
                gate: gate.clone(),
                backends_max,
            });
            for (slot, endpoints) in endpoints(&snapshot) {
                core.set_endpoints(slot, &endpoints);
            }
            let listeners = vec![Rc::new(handle.listen_at(front(index)).unwrap())];
            start(&core, &listeners);
            cores.push(core.clone());
            let (ended, deaf) = (ended.clone(), deaf.clone());
            let driver = handle.driver();
            handle.spawn(async move {
                let mut obeying = pin!(obey(&core, &mailbox, &listeners, driver));
                poll_fn(|cx| {
                    if deaf.core.get() == Some(index) {
                        deaf.waker.set(Some(cx.waker().clone()));
                        return Poll::Pending;
                    }
                    obeying.as_mut().poll(cx)
                })
                .await;
                ended.set(ended.get() + 1);
            });
        }
        let listen = |letter| {
            let listener = handle.listen_at(back(letter)).unwrap();
            let tls = pki.as_ref().filter(|_| letter == 'A').map(Pki::backend);
            (letter, Backend { listener, connections: Vec::new(), tls })
        };
        let backends = ['A', 'B', 'C'].map(listen).into();
        let client = pki.as_ref().map(Pki::client);
        let since_ns = handle.now().mono_ns;
        Self {
            handle,
            cores,
            posts,
            publisher,
            ended,
            deaf,
            backends,
            clients: BTreeMap::new(),
            framed: BTreeMap::new(),
            since_ns,
            caller,
            log,
            client,
            _pki: pki,
        }
    }

    /// Lets all happen that follows from what was done. No time passes, but for what is under way: each turn takes a
    /// microsecond while something is, and more if it is on a slow link.
    pub(super) async fn settle(&self) {
        let until_ns = self.handle.now().mono_ns + u64::try_from(UNDER_WAY_MAX.as_nanos()).unwrap();
        let (mut still, mut turns) = (0, 0);
        while still < SETTLING_TURNS {
            let before_ns = self.handle.now().mono_ns;
            if turns < SLOW_TURNS {
                self.handle.yield_now().await;
            } else if before_ns < until_ns {
                self.handle.sleep(Duration::from_millis(1)).await;
                turns = 0;
            } else {
                return;
            }
            let passed = self.handle.now().mono_ns > before_ns;
            still = if passed { 0 } else { still + 1 };
            turns += 1;
        }
    }

    /// Waits for what must come.
    async fn within<T>(&self, what: &str, future: impl Future<Output = T>) -> T {
        let alarm = self.handle.alarm();
        alarm.set(self.handle.now().mono_ns + u64::try_from(PATIENCE.as_nanos()).unwrap());
        let Ok(output) = alarm.guard(future).await else { panic!("{}: in vain: {what}", self.caller) };
        output
    }

    /// A client's connection to a core.
    pub(super) async fn connect(&self, core: usize) -> Peer {
        self.try_connect(core).await.unwrap()
    }

    /// The same where it may be refused.
    pub(super) async fn try_connect(&self, core: usize) -> io::Result<Peer> {
        let Some(client) = &self.client else { return Peer::connect(&self.handle, core).await };
        let stream = self.handle.connect(front(core)).await?;
        let transport = Transport::client(&self.handle, stream, client, GATEWAY)?;
        transport.handshake().await?;
        Ok(Peer::new(transport))
    }

    /// Gives a backend's address to whoever wants to play it alone.
    pub(super) fn take_listener(&mut self, letter: char) -> Listener {
        self.backends.remove(&letter).unwrap().listener
    }

    /// Closes all connections that a backend has got.
    pub(super) fn forget_connections(&mut self, letter: char) {
        self.backends.get_mut(&letter).unwrap().connections.clear();
    }

    /// Takes a backend's address away: from now on it refuses.
    pub(super) fn silence(&mut self, letter: char) {
        self.backends.remove(&letter);
    }

    /// Gives every core another configuration.
    pub(super) async fn publish(&mut self, model: &Model) {
        let vacated = self.publisher.vacated();
        let snapshot = self.publisher.compile(model);
        for post in &self.posts {
            assert!(post.send(Message::Forget(vacated.clone())).is_ok(), "a full mailbox");
            let endpoints = endpoints(&snapshot).into();
            assert!(post.send(Message::Endpoints(endpoints)).is_ok(), "a full mailbox");
            let (done, returned) = mpsc::channel();
            assert!(post.send(Message::Publish(snapshot.clone(), done)).is_ok(), "a full mailbox");
            // Letters do not take the network.
            for _ in 0..SETTLING_TURNS {
                self.handle.yield_now().await;
            }
            assert!(returned.try_recv().is_ok(), "a core did not take it");
        }
    }

    /// Says that an upstream group has another address now.
    pub(super) async fn move_group(&self, slot: u32, letter: char) {
        for post in &self.posts {
            let moved = Endpoint { target: 0, address: back(letter) };
            let moved = [(slot, Arc::from([moved]))];
            assert!(post.send(Message::Endpoints(moved.into())).is_ok(), "a full mailbox");
        }
        self.settle().await;
    }

    /// Tells every core to end.
    pub(super) fn drain(&self, limit: Duration) {
        for post in &self.posts {
            assert!(post.send(Message::Drain(limit)).is_ok(), "a full mailbox");
        }
    }

    /// Says how short the memory is.
    pub(super) async fn press(&self, level: Level) {
        for core in &self.cores {
            core.pressure.set(level);
            core.wake_idle();
        }
        self.settle().await;
    }

    /// Keeps a core from reading letters until [`Self::hear`]; one that it has not read fills its mailbox, if that has room for
    /// one.
    pub(super) async fn deafen(&self, core: usize) {
        self.deaf.core.set(Some(core));
        let (done, _) = mpsc::channel();
        assert!(self.posts[core].send(Message::Pulse(done)).is_ok(), "a full mailbox");
        self.settle().await;
    }

    /// Ends that.
    pub(super) async fn hear(&self) {
        self.deaf.core.set(None);
        self.deaf.waker.take().into_iter().for_each(Waker::wake);
        self.settle().await;
    }

    /// Cores that have ended.
    pub(super) fn ended(&self) -> usize {
        self.ended.get()
    }

    /// Everybody leaves, the node drains, and nothing is left.
    async fn end(mut self) {
        for framed in std::mem::take(&mut self.framed).into_values() {
            self.complain(&framed);
        }
        self.clients.clear();
        self.backends.clear();
        self.settle().await;
        self.drain(DRAIN);
        let begun_ns = self.handle.now().mono_ns;
        self.within("the end of all cores", async {
            while self.ended.get() < self.cores.len() {
                self.handle.sleep(Duration::from_millis(100)).await;
            }
        })
        .await;
        let caller = self.caller;
        let took = Duration::from_nanos(self.handle.now().mono_ns - begun_ns);
        assert!(took < DRAIN, "{caller}: what was left had to be cut");
        for core in &self.cores {
            assert_eq!(core.open_connections(), 0, "{caller}: connections of clients");
            assert_eq!(core.kept_bytes.get(), 0, "{caller}: bodies kept for calls");
            assert_eq!(core.whole_bytes.get(), 0, "{caller}: whole bodies");
            assert_eq!(core.owner.borrow().waiting(), 0, "{caller}: places of those who wait for the cache");
            assert_eq!(core.owner.borrow().stats().flights, 0, "{caller}: fetches for the cache");
            for slot in 0..core.snapshot().upstreams.len() {
                let slot = u32::try_from(slot).unwrap();
                let in_flight = core.pool(slot, |pool| pool.in_flight());
                assert_eq!(in_flight, Some(0), "{caller}: calls of upstream group {slot}");
                core.set_endpoints(slot, &[]);
            }
        }
        self.settle().await;
        if self.handle.driver() == DriverKind::Simulated {
            self.handle.sleep(LATE_ACCEPTS).await;
        }
        let stats = self.handle.stats();
        assert_eq!((stats.sockets_open, stats.task_panics), (0, 0), "{caller}: open sockets, panics");
        assert!(self.log.stop(Duration::from_secs(10)), "{caller}: the log's thread hangs");
    }
}
