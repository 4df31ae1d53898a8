//! What is hot costs no letter, and what is gone is gone on every core. Clients on three cores read, change, refresh and
//! flush the same few resources in orders that are drawn; whoever asks after a change was acknowledged is not answered
//! with what was before it.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::mpsc,
    time::Duration,
};

use model::{CacheMode, Model};
use runtime::{
    Handle, Listener, Post,
    simulated::{Faults, for_each_seed},
};

use super::harness::{CACHE_BYTES, Lab, Peer, Setup, check_on, route, run, standard};
use super::swarm::Random;
use crate::Message;

const SEEDS: u64 = 64;
const CORES: usize = 3;
const CLIENTS: u64 = 6;
/// Times that a client asks for something.
const ROUNDS: u64 = 24;
const KEYS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(1_800);

/// `/cached` for a time that the node says, `/origin` for one that the backend says; both longer than any test.
fn model() -> Model {
    let mut model = standard();
    let routes = &mut model.apis[0].definition.routes;
    let place = routes.iter().position(|route| route.cache.is_some()).unwrap();
    let cache = routes[place].cache.as_mut().unwrap();
    (cache.ttl, cache.client_invalidation) = (Duration::from_secs(3_600), true);
    let cache = Some(model::Cache { mode: CacheMode::RespectOrigin, ..cache.clone() });
    routes.push(model::Route { cache, ..route("GET /origin/{path+}", "A") });
    model
}

/// Look-ups that owners have answered, hits from replicas, and whether every core keeps to its part of the cache.
fn counted(lab: &Lab) -> (u64, u64) {
    let mut sum = (0, 0);
    for core in &lab.cores {
        let owner = core.owner.borrow();
        let (own, lent) = (owner.stats(), owner.replica_stats());
        assert!(own.bytes_max + lent.bytes_max <= CACHE_BYTES, "{own:?} {lent:?}");
        assert!(own.bytes <= own.bytes_max && lent.bytes <= lent.bytes_max, "{own:?} {lent:?}");
        sum = (sum.0 + own.hits + own.misses, sum.1 + lent.hits);
    }
    sum
}

/// What is asked for and what comes is one `script` each; each key is asked for on both of two cores.
#[track_caller]
fn check_hot(request: &'static str, reply: &'static str) {
    for key in 0..8 {
        run(Setup { cores: 2, model: model(), ..Setup::default() }, async move |lab| {
            let request = request.replace('#', &key.to_string());
            lab.talk("c connects\nd connects 1").await;
            lab.talk(&format!("c> {request}\n1> {reply}\nc< 200 hello\nA refuses")).await;
            for client in ["c", "d", "c", "d", "c", "d"] {
                lab.talk(&format!("{client}> {request}\n{client}< 200 hello")).await;
            }
            // One of the two asks its own core, the other had to be told twice.
            let warm = counted(lab);
            lab.talk(&format!("c> {request}\nc< 200 hello")).await;
            let (asked, _) = counted(lab);
            lab.talk(&format!("d> {request}\nd< 200 hello\nd has age: 0")).await;
            let (then, hits) = counted(lab);
            // One was answered by the owner, on its own core, and the other by replicas of as much.
            let own = [asked - warm.0, then - asked];
            assert!(own.contains(&0) && own != [0, 0], "key {key}: {own:?} look-ups");
            assert_eq!(hits - warm.1, own[0] + own[1], "key {key}");
        });
    }
}

#[test]
fn what_is_hot_costs_no_letter() {
    check_hot("GET /cached/# HTTP/1.1|Host: h||", "HTTP/1.1 200 OK|Content-Length: 5||hello");
    let fresh = "HTTP/1.1 200 OK|Cache-Control: max-age=60|Content-Length: 5||hello";
    check_hot("GET /origin/# HTTP/1.1|Host: h||", fresh);
    let varying = "HTTP/1.1 200 OK|Cache-Control: max-age=60|Vary: accept-language|Content-Length: 5||hello";
    check_hot("GET /origin/# HTTP/1.1|Host: h|Accept-Language: de||", varying);
}

/// A replica does not outlive its owner: one that has ended hears of no change.
#[test]
fn what_was_lent_ends_with_its_owner() {
    for key in 0..8 {
        let ask = format!("GET /origin/{key} HTTP/1.1|Host: h||");
        let fresh = "HTTP/1.1 200 OK|Cache-Control: max-age=60|Content-Length: 5||";
        run(Setup { cores: 2, model: model(), ..Setup::default() }, async move |lab| {
            lab.talk(&format!("d connects 1\nd> {ask}\nA* {fresh}hello\nd< 200 hello")).await;
            for _ in 0..4 {
                lab.talk(&format!("d> {ask}\nd< 200 hello")).await;
            }
            let hits = counted(lab).1;
            assert!(lab.posts[0].send(Message::Drain(Duration::from_secs(1))).is_ok());
            lab.settle().await;
            assert_eq!(lab.ended(), 1);
            lab.talk(&format!("d> {ask}")).await;
            // Core 0 owned it, or core 1 does still.
            let fetched = lab.answer_all('A', &format!("{fresh}again")).await;
            assert_eq!(fetched == 1, hits > 0, "key {key}");
            lab.talk(if fetched == 1 { "d< 200 again" } else { "d< 200 hello" }).await;
        });
    }
}

/// What needs its owner still does.
#[test]
fn what_is_to_be_validated_goes_to_the_backend() {
    for key in 0..8 {
        let ask = format!("GET /origin/{key} HTTP/1.1|Host: h||");
        let fresh = "HTTP/1.1 200 OK|ETag: \"1\"|Cache-Control: max-age=60|Content-Length: 5||hello";
        let asked = format!("c> {ask}\nc< 200 hello\n").repeat(4);
        let no_cache = ask.replace("||", "|Cache-Control: no-cache||");
        check_on(
            Setup { cores: 2, model: model(), ..Setup::default() },
            &format!(
                "c> {ask}
                 A* {fresh}
                 c< 200 hello
                 {asked}
                 c> {no_cache}
                 A* HTTP/1.1 304 Not Modified|ETag: \"1\"|Cache-Control: max-age=60||
                 c< 200 hello
                 {asked}
                 wait 61s
                 d> {ask}
                 A* HTTP/1.1 304 Not Modified|ETag: \"1\"|Cache-Control: max-age=60||
                 d< 200 hello"
            ),
        );
    }
}

/// A resource: what the backend has, and what who asks now may be answered with.
#[derive(Default)]
struct Resource {
    version: Cell<u64>,
    least: Cell<u64>,
}

impl Resource {
    fn acknowledge(&self, version: u64) {
        self.least.set(self.least.get().max(version));
    }
}

struct World {
    handle: Handle,
    posts: Vec<Post<Message>>,
    prefix: &'static str,
    resources: [Resource; KEYS],
    clients: Cell<u64>,
    wrong: RefCell<Vec<String>>,
}

/// The backend: what it has changes when it is asked to, and sometimes by itself.
async fn backend(world: Rc<World>, listener: Listener, seed: u64) {
    while let Ok((stream, _)) = listener.accept().await {
        let (world, random) = (world.clone(), Random::new(seed, 2_000));
        world.handle.clone().spawn(async move {
            let mut peer = Peer::plain(stream);
            loop {
                let asked = peer.message(false).await;
                let key = asked.split(' ').nth(1).and_then(|path| path.rsplit('/').next()?.parse().ok());
                let Some(resource) = key.and_then(|key: usize| world.resources.get(key)) else { return };
                if asked.starts_with("PUT") || random.one_in(3) {
                    resource.version.set(resource.version.get() + 1);
                }
                let version = resource.version.get().to_string();
                if random.one_in(4) {
                    random.pause(&world.handle).await;
                }
                let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\n";
                let vary = if random.one_in(8) { "" } else { "Vary: accept-language\r\n" };
                let length = version.len();
                let body = if asked.starts_with("HEAD") { "" } else { &version };
                peer.send(format!("{head}{vary}Content-Length: {length}\r\n\r\n{body}").as_bytes());
            }
        });
    }
}

async fn client(world: Rc<World>, number: u64, random: Random) {
    let world = &*world;
    let core = (number % CORES as u64) as usize;
    let mut peer = Peer::connect(&world.handle, core).await.unwrap();
    for _ in 0..ROUNDS {
        if random.one_in(4) {
            random.pause(&world.handle).await;
        }
        let key = random.below(KEYS as u64) as usize;
        let resource = &world.resources[key];
        let least = resource.least.get();
        let (method, fields) = match random.below(40) {
            0 => {
                flush(world).await;
                continue;
            }
            1 | 2 if world.prefix == "origin" => ("PUT", "Content-Length: 0\r\n"),
            3 | 4 => ("GET", "Cache-Control: max-age=0\r\n"),
            5..9 => ("HEAD", ""),
            _ => ("GET", if random.one_in(2) { "Accept-Language: de\r\n" } else { "" }),
        };
        let prefix = world.prefix;
        peer.send(format!("{method} /{prefix}/{key} HTTP/1.1\r\nHost: h\r\n{fields}\r\n").as_bytes());
        let told = peer.message(method == "HEAD").await;
        if method == "HEAD" {
            continue;
        }
        match told.strip_prefix("200 ").and_then(|version| version.parse::<u64>().ok()) {
            Some(version) if version < least => world
                .wrong
                .borrow_mut()
                .push(format!("client {number} on core {core}: {method} {key} is {version}, after {least}")),
            // Nobody finds it unchanged from now on.
            Some(version) if method == "PUT" => resource.acknowledge(version),
            Some(_) => {}
            None => world.wrong.borrow_mut().push(format!("client {number}: {method} {key}: {told}")),
        }
    }
    world.clients.set(world.clients.get() - 1);
}

/// Has all cores forget everything, and waits until they have.
async fn flush(world: &World) {
    let versions = world.resources.each_ref().map(|resource| resource.version.get());
    let (done, told) = mpsc::channel();
    for post in &world.posts {
        assert!(post.send(Message::Flush(done.clone())).is_ok(), "a full mailbox");
    }
    for _ in &world.posts {
        while told.try_recv().is_err() {
            world.handle.yield_now().await;
        }
    }
    for (resource, version) in world.resources.iter().zip(versions) {
        resource.acknowledge(version);
    }
}

/// Plays with a seed; how many hits came from replicas.
#[track_caller]
fn play(prefix: &'static str, seed: u64, faults: Option<Faults>) -> u64 {
    let seen = Rc::new(Cell::new(0));
    let tell = seen.clone();
    let setup = Setup { cores: CORES, model: model(), faults, ..Setup::default() };
    run(setup, async move |lab: &mut Lab| {
        let world = Rc::new(World {
            handle: lab.handle.clone(),
            posts: lab.posts.clone(),
            prefix,
            resources: Default::default(),
            clients: Cell::new(CLIENTS),
            wrong: RefCell::default(),
        });
        let handle = lab.handle.clone();
        handle.spawn(backend(world.clone(), lab.take_listener('A'), seed));
        for number in 0..CLIENTS {
            handle.spawn(client(world.clone(), number, Random::new(seed, number)));
        }
        let end_ns = handle.now().mono_ns + u64::try_from(PATIENCE.as_nanos()).unwrap();
        while world.clients.get() > 0 && handle.now().mono_ns < end_ns {
            handle.sleep(Duration::from_millis(100)).await;
            counted(lab);
        }
        assert_eq!(world.clients.get(), 0, "seed {seed}: who waits for ever");
        assert_eq!(*world.wrong.borrow(), Vec::<String>::new(), "seed {seed}");
        tell.set(counted(lab).1);
    });
    seen.get()
}

#[test]
fn nobody_is_answered_with_what_was_changed() {
    for prefix in ["cached", "origin"] {
        let mut hits = (0, 0);
        for_each_seed(SEEDS, |seed| {
            hits.0 += play(prefix, seed, None);
            hits.1 += play(prefix, seed, Some(Faults::lossless(seed)));
        });
        assert!(hits.0 > SEEDS && hits.1 > SEEDS, "/{prefix}: {hits:?} hits from replicas");
    }
}
