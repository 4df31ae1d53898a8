//! Whole cores on a network that does to them what networks do: a few clients who ask for everything at once, two
//! backends, another configuration in the middle, an end while some still ask. Every answer says whose it is.
//!
//! Where the network loses nothing, every request that its client waited for is answered right. Where connections
//! are refused and reset, an answer is right and whole, or says that the backend failed, or can be seen to be cut. No
//! backend gets a request twice that must not be repeated, and in the end nothing is left of any of it.

mod asked;
mod backend;
mod calls;
mod client;
mod streams;

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};

use model::{Integration, Model};
use runtime::{
    Handle,
    simulated::{Faults, for_each_seed},
};

use super::harness::{Lab, Setup, run, standard};

const SEEDS: u64 = 256;
const CLIENTS: u64 = 6;
/// Times that a client asks for something.
const ROUNDS: u64 = 6;
const CORES: usize = 2;
/// Tokens in the bucket of `/once`.
const BURST: u32 = 3;
/// How long the node may take to end.
const DRAIN: Duration = Duration::from_secs(120);
/// After this much time somebody waits for ever.
const PATIENCE: Duration = Duration::from_secs(1_800);
const FIRST: &str = "/first";
const SECOND: &str = "/second";

/// A generator of the kind `splitmix64`.
pub(super) struct Random(Cell<u64>);

impl Random {
    /// One for each who draws, so that a change of one does not change all.
    pub(super) fn new(seed: u64, who: u64) -> Self {
        Self(Cell::new(seed << 16 | who))
    }

    pub(super) fn below(&self, bound: u64) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut mixed = self.0.get();
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// One time in so many.
    pub(super) fn one_in(&self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub(super) async fn pause(&self, handle: &Handle) {
        handle.sleep(Duration::from_millis(self.below(300))).await;
    }
}

/// How far the node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    First,
    /// The second configuration has begun to be served, and is from [`Stage::Second`] on.
    Swapping,
    Second,
    Ending,
}

/// Who speaks HTTP/2, and not HTTP/1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Speaks {
    clients: bool,
    backends: bool,
}

impl Speaks {
    /// Whether there are words for it on both sides of the node.
    fn can_say(self, kind: asked::Kind) -> bool {
        match kind {
            asked::Kind::Upgrade => !self.clients && !self.backends,
            asked::Kind::Old => !self.clients,
            _ => true,
        }
    }
}

/// What everybody knows and has seen.
struct World {
    handle: Handle,
    speaks: Speaks,
    lossless: bool,
    stage: Cell<Stage>,
    clients: Cell<u64>,
    /// Whole and right; cut or refused; refused for being too many; passed through a tunnel.
    whole: Cell<u64>,
    failed: Cell<u64>,
    granted: Cell<u32>,
    tunnels: Cell<u64>,
    wrong: RefCell<Vec<String>>,
    /// Requests that backends got, by path.
    got: RefCell<BTreeMap<String, u32>>,
    /// Those that backends have refused.
    refused: RefCell<BTreeSet<String>>,
}

impl World {
    fn wrong(&self, what: String) {
        self.wrong.borrow_mut().push(what);
    }
}

fn count(cell: &Cell<u64>) {
    cell.set(cell.get() + 1);
}

/// Two backends for all that is not answered by the node itself, which says which configuration it has.
fn model(says: &str, speaks: Speaks) -> Model {
    let mut model = standard();
    model.upstreams.iter_mut().for_each(|upstream| upstream.http2 = speaks.backends);
    for route in &mut model.apis[0].definition.routes {
        match &mut route.integration {
            Integration::Http { upstream, .. } if upstream == "A" => *upstream = "AB".into(),
            Integration::Mock(mock) => mock.body = says.into(),
            _ => {}
        }
        for throttle in &mut route.throttles {
            throttle.burst = Some(BURST);
        }
    }
    model
}

async fn swarm(lab: &mut Lab, seed: u64, lossless: bool, speaks: Speaks) -> Rc<World> {
    let handle = lab.handle.clone();
    let world = Rc::new(World {
        handle: handle.clone(),
        speaks,
        lossless,
        stage: Cell::new(Stage::First),
        clients: Cell::new(CLIENTS),
        whole: Cell::new(0),
        failed: Cell::new(0),
        granted: Cell::new(0),
        tunnels: Cell::new(0),
        wrong: RefCell::default(),
        got: RefCell::default(),
        refused: RefCell::default(),
    });
    for (letter, who) in [('A', 1_001), ('B', 1_002)] {
        let listener = lab.take_listener(letter);
        let random = Random::new(seed, who);
        if speaks.backends {
            handle.spawn(streams::backend(world.clone(), listener, random));
        } else {
            handle.spawn(backend::backend(world.clone(), listener, random));
        }
    }
    for number in 0..CLIENTS {
        let random = Random::new(seed, number);
        if speaks.clients {
            handle.spawn(calls::client(world.clone(), number, random));
        } else {
            handle.spawn(client::client(world.clone(), number, random));
        }
    }
    let random = Random::new(seed, 2_000);
    handle.sleep(Duration::from_millis(random.below(1_500))).await;
    world.stage.set(Stage::Swapping);
    lab.publish(&model(SECOND, speaks)).await;
    world.stage.set(Stage::Second);
    handle.sleep(Duration::from_millis(random.below(3_000))).await;
    // In one of two runs the node ends in the middle of it.
    if random.one_in(2) {
        world.stage.set(Stage::Ending);
        lab.drain(DRAIN);
    }
    let end_ns = handle.now().mono_ns + u64::try_from(PATIENCE.as_nanos()).unwrap();
    while world.clients.get() > 0 && handle.now().mono_ns < end_ns {
        handle.sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(world.clients.get(), 0, "who waits for ever");
    world
}

#[track_caller]
fn check(faults: Faults, speaks: Speaks) -> (u64, u64, u64) {
    let (seed, lossless) = (faults.seed, faults.resets_per_1000 == 0);
    let setup = Setup { cores: CORES, model: model(FIRST, speaks), faults: Some(faults), ..Setup::default() };
    let seen = Rc::new(Cell::new((0, 0, 0)));
    let tell = seen.clone();
    run(setup, async move |lab: &mut Lab| {
        let world = swarm(lab, seed, lossless, speaks).await;
        let mut wrong = world.wrong.borrow().clone();
        for (path, times) in &*world.got.borrow() {
            if *times > 1 && !asked::Asked::of(path).is_some_and(|asked| asked.may_be_repeated()) {
                wrong.push(format!("{path} came {times} times"));
            }
        }
        assert_eq!(wrong, Vec::<String>::new(), "seed {seed}");
        assert!(world.granted.get() <= BURST, "seed {seed}: {} of a bucket of {BURST}", world.granted.get());
        tell.set((world.whole.get(), world.failed.get(), world.tunnels.get()));
    });
    seen.get()
}

/// All seeds, and what was seen with them; who speaks HTTP/2 may differ from seed to seed.
fn check_all(faults: impl Fn(u64) -> Faults, speaks: impl Fn(u64) -> Speaks) -> (u64, u64, u64) {
    let mut sum = (0, 0, 0);
    for_each_seed(SEEDS, |seed| {
        let (whole, failed, tunnels) = check(faults(seed), speaks(seed));
        sum = (sum.0 + whole, sum.1 + failed, sum.2 + tunnels);
    });
    sum
}

#[test]
fn nothing_is_lost_where_the_network_loses_nothing() {
    let (whole, _, tunnels) = check_all(Faults::lossless, |_| Speaks::default());
    assert!(whole > 0 && tunnels > 0, "{whole} answers, {tunnels} tunnels");
}

#[test]
fn nothing_is_wrong_whatever_fails() {
    let (whole, failed, _) = check_all(Faults::all, |_| Speaks::default());
    assert!(whole > 0 && failed > 0, "{whole} answers, {failed} failed");
}

/// HTTP/2 on one side of the node, and on both.
fn http2(seed: u64) -> Speaks {
    Speaks { clients: seed % 3 != 1, backends: seed % 3 != 2 }
}

#[test]
fn nothing_is_lost_over_http2_where_the_network_loses_nothing() {
    let (whole, ..) = check_all(Faults::lossless, http2);
    assert!(whole > 0, "{whole} answers");
}

#[test]
fn nothing_is_wrong_over_http2_whatever_fails() {
    let (whole, failed, _) = check_all(Faults::all, http2);
    assert!(whole > 0 && failed > 0, "{whole} answers, {failed} failed");
}
