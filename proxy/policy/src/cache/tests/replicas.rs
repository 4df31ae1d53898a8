//! Replicas: what a core keeps of others' entries is found as long as it holds, and no longer; whatever the order in which
//! letters are read, nobody is answered with what was acknowledged to be gone.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroUsize;

use proptest::prelude::*;

use super::store::{body, fetched, key};
use super::*;
use crate::cache::flight::LEASE_NS;
use crate::cache::validity::Validity;

/// Two cores: the second one owns a key, the first one asks.
struct Pair {
    store: Store<()>,
    replicas: Replicas,
    key: Key,
}

impl Pair {
    fn new() -> Self {
        let epochs = Arc::new(Epochs::new(2));
        let key = (0..).map(|number| key(&number.to_string()));
        let mut key = key.filter(|key| key.owner(NonZeroUsize::new(2).unwrap()) == 1);
        let key = key.next().unwrap();
        Self {
            store: Store::new(MAX).lending(epochs.clone(), 1),
            replicas: Replicas::new(MAX / 8, epochs),
            key,
        }
    }

    fn lookup(&self, mode: Mode) -> Lookup {
        Lookup { key: self.key.clone(), mode }
    }

    /// Has the owner take in what was fetched, for so many seconds.
    fn fill(&mut self, text: &str, fresh_s: u64, now: Now) {
        let Outcome::Fill(ticket) = self.store.lookup(self.lookup(Mode::Refresh), || (), now) else {
            panic!("another is fetching");
        };
        let (ticket, stored) = fetched(ticket, text, fresh_s, now);
        self.store.fill(ticket, stored, now);
    }

    /// What the asker sees: `text` by letter, `=text` from a replica, `-` where there is nothing.
    fn ask(&mut self, mode: Mode, now: Now) -> String {
        let lookup = self.lookup(mode);
        if let Some(Found::Hit(stored)) = self.replicas.find(&lookup, now) {
            return format!("={}", body(&stored));
        }
        let epoch = self.replicas.wants(&lookup).then(|| self.store.lend(&self.key, now)).flatten();
        match (self.store.lookup(lookup, || (), now), epoch) {
            (Outcome::Hit(stored), Some(epoch)) => {
                match self.replicas.keep(self.key.clone(), epoch, Found::Hit(stored), now) {
                    Found::Hit(stored) => body(&stored),
                    other => panic!("{other:?}"),
                }
            }
            (Outcome::Hit(stored), None) => body(&stored),
            (Outcome::Fill(ticket), _) => {
                assert!(self.store.abandon(ticket, now).is_none());
                "-".into()
            }
            _ => "-".into(),
        }
    }

    /// Asks as often as it takes until it is kept.
    #[track_caller]
    fn warm(text: &str) -> Self {
        let mut pair = Self::new();
        pair.fill(text, 10, seconds(0));
        let asked: Vec<_> = (0..4).map(|_| pair.ask(Mode::Use, seconds(0))).collect();
        let kept = format!("={text}");
        assert_eq!(asked, [text, text, &kept, &kept]);
        pair
    }
}

#[test]
fn what_was_forgotten_is_asked_for_again() {
    let mut pair = Pair::warm("one");
    assert_eq!(pair.ask(Mode::Use, seconds(1)), "=one");
    pair.replicas.forget();
    assert_eq!(pair.replicas.stats().entries, 0);
    assert_eq!(pair.ask(Mode::Use, seconds(1)), "one");
    assert_eq!(pair.ask(Mode::Use, seconds(1)), "=one");
}

#[test]
fn the_third_hit_is_found_where_it_is_asked_for() {
    let mut pair = Pair::warm("a");
    let before = pair.store.stats().hits;
    assert_eq!(pair.ask(Mode::Peek, seconds(9)), "=a");
    assert_eq!((before, pair.store.stats().hits, pair.replicas.stats().hits), (2, 2, 3));
    assert_eq!(pair.ask(Mode::Use, seconds(10)), "-", "its time is over");
    assert_eq!(pair.replicas.stats().entries, 0);
}

/// Whatever happens to the entry at its owner: what the asker sees next, and the time after that.
#[track_caller]
fn check(happens: impl FnOnce(&mut Pair), next: [&str; 2]) {
    let mut pair = Pair::warm("a");
    happens(&mut pair);
    assert_eq!([(); 2].map(|()| pair.ask(Mode::Use, seconds(1))), next);
}

#[test]
fn a_replica_ends_with_what_it_was_made_of() {
    let now = seconds(1);
    check(|_| {}, ["=a", "=a"]);
    check(|pair| assert!(pair.store.invalidate(&pair.key.clone())), ["-", "-"]);
    check(|pair| assert_eq!(pair.store.flush("api/prod/"), 1), ["-", "-"]);
    check(|pair| assert_eq!(pair.store.flush(""), 1), ["-", "-"]);
    check(|pair| pair.fill("b", 10, now), ["b", "=b"]);
    check(|pair| pair.store.stop_lending(), ["a", "a"]);
    check(|pair| drop(std::mem::replace(&mut pair.store, Store::new(MAX))), ["-", "-"]);
    // While it is fetched anew it is answered with, and lent to nobody.
    check(
        |pair| {
            let outcome = pair.store.lookup(pair.lookup(Mode::Refresh), || (), now);
            assert!(matches!(outcome, Outcome::Fill(_)), "{outcome:?}");
        },
        ["a", "a"],
    );
}

/// What made room for others is answered with until its time is over or it is fetched anew.
#[test]
fn an_entry_that_made_room_is_still_good() {
    let mut pair = Pair::warm("a");
    let now = seconds(1);
    // What is fetched in the same epoch's stripe ends it too, for safety's sake.
    let stripe = pair.key.stripe();
    let crowd = (0..4_000).map(|number| key(&format!("crowd/{number}")));
    for key in crowd.filter(|key| key.stripe() != stripe) {
        let lookup = Lookup { key, mode: Mode::Use };
        let Outcome::Fill(ticket) = pair.store.lookup(lookup.clone(), || (), now) else { panic!() };
        let (ticket, stored) = fetched(ticket, &"x".repeat(2_000), 10, now);
        pair.store.fill(ticket, stored, now);
        // Once more, so that it takes the place of what is asked for as often.
        assert!(matches!(pair.store.lookup(lookup, || (), now), Outcome::Hit(_)));
    }
    assert_eq!(pair.store.lend(&pair.key, now), None, "it is gone");
    assert_eq!(pair.ask(Mode::Use, now), "=a");
    pair.fill("b", 10, now);
    assert_eq!([(); 2].map(|()| pair.ask(Mode::Use, now)), ["b", "=b"]);
}

/// By what the answers under a key differ is lent too, and ends when they differ no more.
#[test]
fn a_rule_ends_when_another_takes_its_place() {
    let mut pair = Pair::new();
    let now = seconds(0);
    let primary = pair.key.clone();
    let fill = |store: &mut Store<()>, asked: &Key, names: &[&str], text: &str| {
        let lookup = Lookup { key: asked.clone(), mode: Mode::Refresh };
        let Outcome::Fill(ticket) = store.lookup(lookup, || (), now) else { panic!("another is fetching") };
        let variant = Variant {
            primary: primary.clone(),
            names: names.iter().map(|name| Box::from(*name)).collect(),
            request: headers("a: 1"),
        };
        let reply = response(&format!("200\nbody: {text}"));
        let (headers, variant) = (reply.headers.clone(), Some(Box::new(variant)));
        let keep = Keep::on_terms(ticket, &reply, headers, validity(), variant, MAX, now);
        let (ticket, stored) = keep.finish().unwrap();
        store.fill(ticket, stored, now);
    };
    fill(&mut pair.store, &pair.key, &["a"], "one");
    let lookup = Lookup { key: pair.key.clone(), mode: Mode::Respect(PLAIN) };
    let epoch = pair.store.lend(&pair.key, now).unwrap();
    let Outcome::Varies(rule) = pair.store.lookup(lookup.clone(), || (), now) else { panic!("it varies") };
    let variant = rule.key(&pair.key, &headers("a: 1"));
    pair.replicas.keep(pair.key.clone(), epoch, Found::Varies(rule), now);
    assert!(matches!(pair.replicas.find(&lookup, now), Some(Found::Varies(_))));
    // Fetched as a variant, and kept as the only one: nobody asked for the resource itself.
    fill(&mut pair.store, &variant, &[], "two");
    assert!(pair.replicas.find(&lookup, now).is_none());
}

/// A reply that was overtaken by news: it answers the one who asked before them, and nobody else.
#[test]
fn an_overtaken_reply_is_not_kept() {
    let mut pair = Pair::new();
    let now = seconds(0);
    pair.fill("a", 10, now);
    let epoch = pair.store.lend(&pair.key, now).unwrap();
    let Outcome::Hit(stored) = pair.store.lookup(pair.lookup(Mode::Use), || (), now) else { panic!() };
    pair.store.invalidate(&pair.key.clone());
    let told = pair.replicas.keep(pair.key.clone(), epoch, Found::Hit(stored), now);
    assert!(matches!(told, Found::Hit(stored) if body(&stored) == "a"));
    assert_eq!(pair.replicas.stats().entries, 0);
    assert!(pair.replicas.find(&pair.lookup(Mode::Use), now).is_none());
}

const SECOND: u64 = 1_000_000_000;

/// A request that says nothing of caches.
const PLAIN: Terms = Terms {
    max_age_ns: u64::MAX,
    min_fresh_ns: 0,
    max_stale_ns: 0,
    no_cache: false,
    only_if_cached: false,
    fetches: true,
    has_credentials: false,
};

/// Fresh for 10 s, and for a minute more while it is validated.
fn validity() -> Validity {
    Validity {
        initial_age_ns: 0,
        lifetime_ns: 10 * SECOND,
        no_cache: false,
        must_revalidate: false,
        stale_while_revalidate_ns: 60 * SECOND,
        stale_if_error_ns: 0,
        is_for_all: false,
        is_validatable: true,
    }
}

/// On the backend's terms a replica is answered with as it is, or left to its owner.
#[test]
fn what_needs_the_owner_goes_to_it() {
    for (terms, at_s, expected) in [
        (PLAIN, 1, true),
        (Terms { only_if_cached: true, ..PLAIN }, 1, true),
        (Terms { no_cache: true, ..PLAIN }, 1, false),
        (Terms { has_credentials: true, ..PLAIN }, 1, false),
        (Terms { max_age_ns: 5 * SECOND, ..PLAIN }, 5, true),
        (Terms { max_age_ns: 5 * SECOND, ..PLAIN }, 6, false),
        (Terms { min_fresh_ns: 5 * SECOND, ..PLAIN }, 5, true),
        (Terms { min_fresh_ns: 5 * SECOND, ..PLAIN }, 6, false),
        // Stale: whether anybody validates it already, only the owner knows.
        (PLAIN, 10, false),
        (Terms { max_stale_ns: 60 * SECOND, ..PLAIN }, 10, false),
    ] {
        let mut pair = Pair::new();
        let ask = |mode| Lookup { key: pair.key.clone(), mode };
        let Outcome::Fill(ticket) = pair.store.lookup(ask(Mode::Respect(PLAIN)), || (), seconds(0)) else {
            panic!("another is fetching");
        };
        let reply = response("200\nbody: a");
        let keep = Keep::on_terms(ticket, &reply, reply.headers.clone(), validity(), None, MAX, seconds(0));
        let (ticket, stored) = keep.finish().unwrap();
        pair.store.fill(ticket, stored, seconds(0));
        let asked: Vec<_> = (0..3).map(|_| pair.ask(Mode::Respect(PLAIN), seconds(0))).collect();
        assert_eq!(asked, ["a", "a", "=a"]);
        let lookup = pair.lookup(Mode::Respect(terms));
        assert!(pair.replicas.find(&pair.lookup(Mode::Refresh), seconds(0)).is_none());
        let found = pair.replicas.find(&lookup, seconds(at_s));
        assert_eq!(found.is_some(), expected, "{terms:?} at {at_s} s");
        // Who wants more than it can give does not end it.
        assert_eq!(pair.replicas.stats().entries, u64::from(at_s < 10));
    }
}

#[test]
fn a_large_one_is_left_to_its_owner() {
    let mut pair = Pair::new();
    pair.fill(&"x".repeat(MAX as usize / 32), 10, seconds(0));
    for _ in 0..4 {
        assert!(!pair.ask(Mode::Use, seconds(0)).starts_with('='));
    }
    assert_eq!(pair.replicas.stats().entries, 0);
}

const CORES: usize = 3;
/// Most steps are about the first few.
const KEYS: usize = 40;
const HOT_KEYS: usize = 4;
/// Of a core: the store holds a few entries, and replicas of a few more are let go.
const STORE_BYTES: u64 = 2_000;
const REPLICA_BYTES_MAX: u64 = 12_000;
const FRESH_S: u64 = 10;

/// What one core writes to another.
enum Letter {
    LookUp(Lookup, usize, bool),
    Reply(usize, Found, Option<u64>),
    Fill(Ticket, Stored),
    Invalidate(Key, usize),
    Flush(usize),
}

/// A request of a core: for which key, and the oldest version that it may be answered with.
struct Asked {
    core: usize,
    number: usize,
    least: u64,
    keeps: Option<Key>,
}

/// Versions of keys that hold no more when so many owners have said so.
struct News {
    keys: Vec<usize>,
    /// What is fetched from then on is at least this.
    least: u64,
    owners: usize,
}

/// A node of which every step is drawn.
struct Node {
    stores: Vec<Store<usize>>,
    replicas: Vec<Replicas>,
    mailboxes: Vec<VecDeque<Letter>>,
    keys: Vec<Key>,
    /// Versions are numbered over all keys, by when they left the backend.
    version: u64,
    /// By key, the oldest version that who asks now may be answered with: on its owner's own core, which does not read
    /// its letters first, and elsewhere.
    least: Vec<(u64, u64)>,
    asked: BTreeMap<usize, Asked>,
    news: BTreeMap<usize, News>,
    numbers: usize,
    fetching: Vec<(Ticket, usize, u64, Now)>,
    now: Now,
}

impl Node {
    fn new() -> Self {
        let epochs = Arc::new(Epochs::new(CORES));
        Self {
            stores: (0..CORES).map(|core| Store::new(STORE_BYTES).lending(epochs.clone(), core)).collect(),
            replicas: (0..CORES).map(|_| Replicas::new(REPLICA_BYTES_MAX, epochs.clone())).collect(),
            mailboxes: (0..CORES).map(|_| VecDeque::new()).collect(),
            keys: (0..KEYS).map(|number| key(&number.to_string())).collect(),
            version: 0,
            least: vec![(0, 0); KEYS],
            asked: BTreeMap::new(),
            news: BTreeMap::new(),
            numbers: 0,
            fetching: Vec::new(),
            now: seconds(0),
        }
    }

    fn owner(&self, key: &Key) -> usize {
        key.owner(NonZeroUsize::new(CORES).unwrap())
    }

    fn number(&mut self) -> usize {
        self.numbers += 1;
        self.numbers
    }

    fn ask(&mut self, core: usize, number: usize, mode: Mode) {
        let lookup = Lookup { key: self.keys[number].clone(), mode };
        let id = self.number();
        let (owner, now) = (self.owner(&lookup.key), self.now);
        let least = if owner == core { self.least[number].0 } else { self.least[number].1 };
        self.asked.insert(id, Asked { core, number, least, keeps: None });
        if owner == core {
            if let Some(found) = self.stores[core].lookup(lookup, || id, now).into_found() {
                self.told(id, found, None);
            }
        } else if let Some(found) = self.replicas[core].find(&lookup, now) {
            self.told(id, found, None);
        } else {
            let keeps = self.replicas[core].wants(&lookup);
            self.asked.get_mut(&id).unwrap().keeps = keeps.then(|| lookup.key.clone());
            self.mailboxes[owner].push_back(Letter::LookUp(lookup, id, keeps));
        }
    }

    fn told(&mut self, id: usize, found: Found, epoch: Option<u64>) {
        let Asked { core, number, least, keeps } = self.asked.remove(&id).unwrap();
        let found = match (keeps, epoch) {
            (Some(key), Some(epoch)) => self.replicas[core].keep(key, epoch, found, self.now),
            _ => found,
        };
        match found {
            Found::Hit(stored) => {
                let version: u64 = body(&stored).parse().unwrap();
                assert!(version >= least, "core {core} has version {version} of key {number}, not {least}");
            }
            Found::Fill(ticket) => {
                self.version += 1;
                self.fetching.push((ticket, core, self.version, self.now));
            }
            _ => {}
        }
    }

    fn reply(&mut self, id: usize, found: Found, epoch: Option<u64>, owner: usize) {
        match self.asked[&id].core {
            core if core == owner => self.told(id, found, None),
            core => self.mailboxes[core].push_back(Letter::Reply(id, found, epoch)),
        }
    }

    fn read(&mut self, core: usize) {
        let (Some(letter), now) = (self.mailboxes[core].pop_front(), self.now) else { return };
        match letter {
            Letter::LookUp(lookup, id, keeps) => {
                let store = &mut self.stores[core];
                let epoch = if keeps { store.lend(&lookup.key, now) } else { None };
                if let Some(found) = store.lookup(lookup, || id, now).into_found() {
                    self.reply(id, found, epoch, core);
                }
            }
            Letter::Reply(id, found, epoch) => self.told(id, found, epoch),
            Letter::Fill(ticket, stored) => self.fill(core, ticket, stored),
            Letter::Invalidate(key, news) => {
                self.stores[core].invalidate(&key);
                self.acknowledge(news);
            }
            Letter::Flush(news) => {
                self.stores[core].flush("");
                self.acknowledge(news);
            }
        }
    }

    fn acknowledge(&mut self, id: usize) {
        let news = self.news.get_mut(&id).unwrap();
        news.owners -= 1;
        if news.owners == 0 {
            for number in &news.keys {
                let (own, others) = self.least[*number];
                self.least[*number] = (own.max(news.least), others.max(news.least));
            }
        }
    }

    fn fill(&mut self, core: usize, ticket: Ticket, stored: Stored) {
        for (id, found) in self.stores[core].fill(ticket, stored, self.now) {
            self.reply(id, found, None, core);
        }
    }

    /// A fetch comes back: its client has it, and its owner will be told.
    fn come_back(&mut self, nth: usize) {
        if self.fetching.is_empty() {
            return;
        }
        let (ticket, core, version, since) = self.fetching.swap_remove(nth % self.fetching.len());
        let owner = self.owner(&ticket.key);
        let number = self.keys.iter().position(|key| *key == ticket.key).unwrap();
        // What is overdue, or was outdated meanwhile, its owner may have from another by now.
        if self.now.mono_ns < since.mono_ns + LEASE_NS / 2 && self.stores[owner].awaits(&ticket) {
            self.least[number].1 = self.least[number].1.max(version);
        }
        let (ticket, stored) = fetched(ticket, &version.to_string(), FRESH_S, self.now);
        if core == owner {
            self.fill(core, ticket, stored);
        } else {
            self.mailboxes[owner].push_back(Letter::Fill(ticket, stored));
        }
    }

    fn step(&mut self, (what, core, number): (u8, usize, usize)) {
        match what {
            0..12 => self.ask(core, number, Mode::Use),
            12 => self.ask(core, number, Mode::Refresh),
            13 => self.ask(core, number, Mode::Peek),
            14..30 => self.read(core),
            30..36 => self.come_back(number),
            36 => {
                let (key, id, least) = (self.keys[number].clone(), self.number(), self.version + 1);
                // Who asks for it waits for a letter, if the owner is another.
                self.news.insert(id, News { keys: vec![number], least, owners: 1 });
                match self.owner(&key) {
                    owner if owner == core => {
                        self.stores[core].invalidate(&key);
                        self.acknowledge(id);
                    }
                    owner => self.mailboxes[owner].push_back(Letter::Invalidate(key, id)),
                }
            }
            37 => {
                let (id, least) = (self.number(), self.version + 1);
                let keys = (0..KEYS).collect();
                self.news.insert(id, News { keys, least, owners: CORES });
                self.mailboxes.iter_mut().for_each(|mailbox| mailbox.push_back(Letter::Flush(id)));
            }
            38 => self.now = Now { mono_ns: self.now.mono_ns + 700_000_000, ..self.now },
            _ => {
                self.replicas[core].sweep(self.now);
                let promoted = self.stores[core].sweep(self.now);
                promoted.into_iter().for_each(|(id, found)| self.reply(id, found, None, core));
            }
        }
        for (store, replicas) in self.stores.iter().zip(&self.replicas) {
            let (own, lent) = (store.stats(), replicas.stats());
            assert!(own.bytes <= STORE_BYTES && lent.bytes <= lent.bytes_max, "{own:?} {lent:?}");
            assert!(lent.bytes_max <= REPLICA_BYTES_MAX, "{lent:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_is_answered_with_what_is_gone(
        steps in prop::collection::vec(
            (0u8..40, 0..CORES, prop_oneof![6 => 0..HOT_KEYS, 1 => 0..KEYS]),
            0..600,
        ),
    ) {
        let mut node = Node::new();
        steps.into_iter().for_each(|step| node.step(step));
    }
}
