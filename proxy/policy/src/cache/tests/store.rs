//! The store: who fetches and who waits, what is found and for how long, and that no bound is passed and no waiter lost.

use std::collections::BTreeMap;

use super::*;
use crate::cache::flight::{FLIGHTS_MAX, LEASE_NS, WAITERS_PER_KEY_MAX};
use crate::cache::key::Recipe;

/// The key of a path on the route `identity`.
pub(super) fn key_of(identity: &str, path: &str) -> Key {
    Recipe::new(identity, Dialect::Proxy, None).key(&request(&format!("GET https://a/{path}")), &[]).unwrap()
}

pub(super) fn key(path: &str) -> Key {
    key_of("api/prod/route", path)
}

/// What a leader with this ticket brings home: fresh for so many seconds from `now`.
pub(super) fn fetched(ticket: Ticket, body: &str, fresh_s: u64, now: Now) -> (Ticket, Stored) {
    let reply = Response::with_body(200, "text/plain", Bytes::copy_from_slice(body.as_bytes()));
    Keep::new(ticket, &reply, fresh_s * 1_000_000_000, MAX, now).finish().unwrap()
}

pub(super) fn body(stored: &Stored) -> String {
    match stored.response().body {
        Body::Whole(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// A store that is played a script of steps with what comes of each, as `step -> outcome`:
/// * `a get k`, `a refresh k`, `a peek k`: client `a` looks `k` up: `hit BODY`, `fill`, `wait` or `pass`;
/// * `a fill BODY`, `a decline`, `a refuse` (lasting), `a die`: leader `a` reports; who is answered, or promoted;
/// * `flush PREFIX`: how many; `sweep`: who is promoted; `at S`: the time, in seconds. Entries live for 10 s.
struct Play {
    store: Store<&'static str>,
    tickets: BTreeMap<&'static str, Ticket>,
    now: Now,
}

impl Play {
    fn step(&mut self, step: &'static str) -> String {
        let now = self.now;
        let words: Vec<&'static str> = step.split(' ').collect();
        match words[..] {
            ["at", s] => {
                self.now = seconds(s.parse().unwrap());
                String::new()
            }
            ["flush"] => self.store.flush("").to_string(),
            ["flush", prefix] => self.store.flush(prefix).to_string(),
            ["sweep"] => {
                let promoted = self.store.sweep(now);
                self.told(promoted)
            }
            [who, "fill", text] => {
                let (ticket, stored) = fetched(self.tickets.remove(who).unwrap(), text, 10, now);
                let told = self.store.fill(ticket, stored, now);
                for (_, found) in &told {
                    assert!(matches!(found, Found::Hit(stored) if body(stored) == text));
                }
                self.told(told)
            }
            [who, "decline" | "refuse"] => {
                let ticket = self.tickets.remove(who).unwrap();
                let told = self.store.decline(ticket, words[1] == "refuse", now);
                self.told(told)
            }
            [who, "die"] => {
                let ticket = self.tickets.remove(who).unwrap();
                let told = self.store.abandon(ticket, now).into_iter().collect();
                self.told(told)
            }
            [who, asks, path] => {
                let mode = match asks {
                    "get" => Mode::Use,
                    "refresh" => Mode::Refresh,
                    "peek" => Mode::Peek,
                    other => panic!("{other}"),
                };
                match self.store.lookup(Lookup { key: key(path), mode }, || who, now) {
                    Outcome::Hit(stored) => format!("hit {}", body(&stored)),
                    Outcome::Fill(ticket) => {
                        self.promote(who, ticket);
                        "fill".into()
                    }
                    Outcome::Wait => "wait".into(),
                    Outcome::Pass => "pass".into(),
                    other => panic!("{other:?}"),
                }
            }
            _ => panic!("{step}"),
        }
    }

    /// Who is told something, an asterisk behind those who are to fetch and report.
    fn told(&mut self, replies: Replies<&'static str>) -> String {
        let told = replies.into_iter().map(|(who, found)| match found.into_ticket() {
            Some(ticket) => self.promote(who, ticket) + "*",
            None => who.into(),
        });
        told.collect::<Vec<_>>().join(" ")
    }

    fn promote(&mut self, who: &'static str, ticket: Ticket) -> String {
        assert!(self.tickets.insert(who, ticket).is_none());
        who.into()
    }
}

#[track_caller]
fn check(script: &[&'static str]) -> Store<&'static str> {
    let mut play = Play { store: Store::new(1 << 20), tickets: BTreeMap::new(), now: seconds(1) };
    for line in script {
        let (step, expected) = line.split_once(" -> ").unwrap_or((line, ""));
        assert_eq!(play.step(step), expected, "{line} in {script:#?}");
    }
    play.store
}

#[test]
fn one_fetches_and_the_others_wait() {
    check(&["a get k -> fill", "b get k -> wait", "c get k -> wait", "a fill x -> b c", "d get k -> hit x"]);
    check(&[
        "a get k -> fill",
        "b get l -> fill",
        "a fill x",
        "b fill y",
        "c get l -> hit y",
        "c get k -> hit x",
    ]);
}

#[test]
fn what_is_declined_is_fetched_by_twice_as_many() {
    check(&["a get k -> fill", "a decline", "b get k -> fill"]);
    check(&[
        "a get k -> fill",
        "b get k -> wait",
        "c get k -> wait",
        "d get k -> wait",
        "e get k -> wait",
        "a decline -> b* c",
        "f get k -> wait",
        "b decline -> d* e f",
        "d fill x",
        "g get k -> hit x",
    ]);
    check(&[
        "a get k -> fill",
        "b get k -> wait",
        "c get k -> wait",
        "d get k -> wait",
        "a decline -> b* c",
        "b fill x -> d",
    ]);
}

#[test]
fn what_is_refused_for_good_is_not_waited_for() {
    check(&[
        "a get k -> fill",
        "b get k -> wait",
        "a refuse -> b",
        "c get k -> pass",
        "c get l -> fill",
        "at 2",
        "d get k -> fill",
        "d fill x",
        "e get k -> hit x",
    ]);
    check(&["a get k -> fill", "a refuse", "b refresh k -> fill", "b fill x", "c get k -> hit x"]);
}

#[test]
fn a_leader_that_dies_is_followed_by_the_next() {
    check(&["a get k -> fill", "a die", "b get k -> fill"]);
    check(&[
        "a get k -> fill",
        "b get k -> wait",
        "c get k -> wait",
        "a die -> b*",
        "d get k -> wait",
        "b die -> c*",
        "c fill x -> d",
        "e get k -> hit x",
    ]);
}

#[test]
fn a_leader_that_is_lost_is_taken_over() {
    check(&[
        "a get k -> fill",
        "b get k -> wait",
        "at 60",
        "c get k -> wait",
        "at 61",
        "d get k -> fill",
        "e get k -> wait",
        "a fill old",
        "f get k -> wait",
        "d fill new -> b c e f",
        "g get k -> hit new",
    ]);
    check(&["a get k -> fill", "at 61", "b get k -> fill", "a decline", "c get k -> wait", "b fill x -> c"]);
    check(&[
        "a get k -> fill",
        "at 61",
        "b get k -> fill",
        "a die",
        "c get k -> wait",
        "b die -> c*",
        "c die",
    ]);
}

#[test]
fn sweeping_relieves_leaders_that_are_overdue() {
    check(&[
        "a get k -> fill",
        "b get k -> wait",
        "c get k -> wait",
        "d get l -> fill",
        "at 60",
        "sweep",
        "at 61",
        "sweep -> b*",
        "a fill old",
        "b fill x -> c",
        "e get l -> fill",
    ]);
}

#[test]
fn entries_end_with_their_time() {
    check(&["a get k -> fill", "a fill x", "at 10", "b get k -> hit x", "at 11", "c get k -> fill"]);
    let store =
        check(&["a get k -> fill", "a fill x", "a get l -> fill", "at 5", "a fill y", "at 11", "sweep"]);
    assert_eq!((store.stats().entries, store.stats().expirations), (1, 1));
}

#[test]
fn a_refresh_replaces_while_others_are_served() {
    check(&[
        "a get k -> fill",
        "a fill old",
        "b refresh k -> fill",
        "c get k -> hit old",
        "d refresh k -> wait",
        "b fill new -> d",
        "e get k -> hit new",
    ]);
    check(&["a get k -> fill", "a fill old", "b refresh k -> fill", "b decline", "c get k -> hit old"]);
    check(&["a refresh k -> fill", "b get k -> wait", "a fill x -> b"]);
}

#[test]
fn peeking_neither_fetches_nor_waits() {
    check(&["a peek k -> pass", "b get k -> fill", "c peek k -> pass", "b fill x", "d peek k -> hit x"]);
}

#[test]
fn flushing_reaches_what_is_on_its_way() {
    check(&["a get k -> fill", "a fill x", "flush -> 1", "b get k -> fill"]);
    check(&[
        "a get k -> fill",
        "a fill x",
        "flush api/prod/ -> 1",
        "flush api/prod/ -> 0",
        "b get k -> fill",
    ]);
    check(&["a get k -> fill", "a fill x", "flush api/pro/ -> 0", "flush x -> 0", "b get k -> hit x"]);
    // Those who waited are answered; what was fetched before the flush is not kept.
    check(&["a get k -> fill", "b get k -> wait", "flush -> 0", "a fill old -> b", "c get k -> fill"]);
    check(&[
        "a get k -> fill",
        "b get k -> wait",
        "flush -> 0",
        "c get k -> fill",
        "d get k -> wait",
        "a fill old",
        "c fill new -> b d",
        "e get k -> hit new",
    ]);
    check(&["a get k -> fill", "flush other -> 0", "a fill x", "b get k -> hit x"]);
}

#[test]
fn what_was_done_is_counted() {
    let store = check(&[
        "a get k -> fill",
        "b get k -> wait",
        "a fill x -> b",
        "c get k -> hit x",
        "d peek l -> pass",
        "d get l -> fill",
        "d decline",
        "e get m -> fill",
        "e die",
        "f get n -> fill",
        "flush -> 1",
    ]);
    let bytes_max = 1 << 20;
    let expected = Stats {
        hits: 1,
        misses: 6,
        waits: 1,
        passes: 1,
        fills: 1,
        declines: 1,
        abandons: 1,
        flushes: 1,
        flights: 1,
        bytes_max,
        ..Stats::default()
    };
    assert_eq!(store.stats(), expected);
    assert!(format!("{store:?}").contains("hits: 1"));
}

/// Fetches one key with a body of so many bytes.
#[track_caller]
fn fetch(store: &mut Store<()>, key: Key, mode: Mode, bytes: usize) {
    let now = seconds(1);
    match store.lookup(Lookup { key, mode }, || (), now) {
        Outcome::Fill(ticket) => {
            let (ticket, stored) = fetched(ticket, &"x".repeat(bytes), 10, now);
            assert!(store.fill(ticket, stored, now).is_empty());
        }
        other => panic!("{other:?}"),
    }
}

/// Fills a store with one entry; is it there then?
#[track_caller]
fn check_size(capacity_bytes: u64, body_bytes: usize, expected: u64) {
    let mut store = Store::new(capacity_bytes);
    fetch(&mut store, key("k"), Mode::Use, body_bytes);
    let stats = store.stats();
    assert_eq!((stats.entries, stats.fills, stats.declines), (expected, expected, 1 - expected));
    assert!(stats.bytes <= capacity_bytes);
}

#[test]
fn entries_larger_than_the_store_are_not_kept() {
    check_size(67_000, 65_536, 1);
    // The body and its fields alone would fit.
    check_size(65_800, 65_536, 0);
    // What the allocator takes for it would not.
    check_size(67_000, 65_537, 0);
    check_size(67_000, 70_000, 0);
    check_size(0, 1, 0);
}

#[test]
fn what_is_asked_for_stays_and_stays_when_it_is_refreshed() {
    let mut store = Store::new(20_000);
    let popular = || Lookup { key: key("popular"), mode: Mode::Use };
    let pass = |store: &mut Store<()>, from: usize| {
        for at in from..from + 100 {
            fetch(store, key(&at.to_string()), Mode::Use, 500);
        }
    };
    fetch(&mut store, key("popular"), Mode::Use, 500);
    assert!(matches!(store.lookup(popular(), || (), seconds(1)), Outcome::Hit(_)));
    pass(&mut store, 0);
    assert!(matches!(store.lookup(popular(), || (), seconds(1)), Outcome::Hit(_)));
    fetch(&mut store, key("popular"), Mode::Refresh, 600);
    pass(&mut store, 100);
    match store.lookup(popular(), || (), seconds(1)) {
        Outcome::Hit(stored) => assert_eq!(body(&stored).len(), 600),
        other => panic!("{other:?}"),
    }
}

#[test]
fn keys_of_the_same_hash_are_told_apart() {
    let (mut store, now) = (Store::new(1 << 20), seconds(1));
    let one = key("one");
    let other = || key("other").colliding_with(&one);
    fetch(&mut store, one.clone(), Mode::Use, 1);
    fetch(&mut store, other(), Mode::Use, 2);
    for (key, bytes) in [(one.clone(), 1), (other(), 2)] {
        match store.lookup(Lookup { key, mode: Mode::Use }, || (), now) {
            Outcome::Hit(stored) => assert_eq!(body(&stored).len(), bytes),
            other => panic!("{other:?}"),
        }
    }
    // Neither do they wait for one another.
    let refresh = |key| Lookup { key, mode: Mode::Refresh };
    let Outcome::Fill(first) = store.lookup(refresh(one.clone()), || (), now) else {
        panic!("nobody fetches")
    };
    let Outcome::Fill(second) = store.lookup(refresh(other()), || (), now) else {
        panic!("nobody fetches it")
    };
    assert_ne!(first, second);
}

#[test]
fn a_refusal_is_of_one_key_alone() {
    let (mut store, now) = (Store::new(1 << 20), seconds(1));
    let refused = key("refused");
    let Outcome::Fill(ticket) = store.lookup(Lookup { key: refused.clone(), mode: Mode::Use }, || (), now)
    else {
        panic!("nobody fetches");
    };
    store.decline(ticket, true, now);
    // Refusals are remembered by the low bits of the hash: some key has the same.
    let mut others = (0..20_000).map(|at| key(&at.to_string()));
    let other = others.find(|other| other.hash() % 1_024 == refused.hash() % 1_024).unwrap();
    assert!(matches!(store.lookup(Lookup { key: other, mode: Mode::Use }, || (), now), Outcome::Fill(_)));
    assert!(matches!(store.lookup(Lookup { key: refused, mode: Mode::Use }, || (), now), Outcome::Pass));
}

#[test]
fn an_entry_that_grew_too_large_leaves_nothing_behind() {
    let mut store = Store::new(67_000);
    fetch(&mut store, key("k"), Mode::Use, 10);
    fetch(&mut store, key("k"), Mode::Refresh, 70_000);
    assert_eq!((store.stats().entries, store.stats().bytes), (0, 0));
}

#[test]
fn what_is_over_on_arrival_is_given_to_those_who_wait_and_not_kept() {
    let (mut store, now) = (Store::new(1 << 20), seconds(1));
    let lookup = || Lookup { key: key("k"), mode: Mode::Use };
    let Outcome::Fill(ticket) = store.lookup(lookup(), || 1, now) else { panic!("the store is empty") };
    assert!(matches!(store.lookup(lookup(), || 2, now), Outcome::Wait));
    let (ticket, stored) = fetched(ticket, "x", 1, now);
    let told = store.fill(ticket, stored, seconds(2));
    let [(2, Found::Hit(stored))] = &told[..] else { panic!("{told:?}") };
    assert_eq!(body(stored), "x");
    assert_eq!(store.stats().entries, 0);
}

#[test]
fn waiters_and_flights_are_bounded() {
    let (mut store, now) = (Store::new(1 << 20), seconds(1));
    let mut lookup = |key: &Key| store.lookup(Lookup { key: key.clone(), mode: Mode::Use }, || (), now);
    let shared = key("k");
    let Outcome::Fill(ticket) = lookup(&shared) else { panic!("the store is empty") };
    for _ in 0..WAITERS_PER_KEY_MAX {
        assert!(matches!(lookup(&shared), Outcome::Wait));
    }
    assert!(matches!(lookup(&shared), Outcome::Pass));
    let (mut leader, mut told, mut rounds) = (Some(ticket), 0, 0);
    while let Some(ticket) = leader.take() {
        let replies = store.decline(ticket, false, now);
        assert!(replies.len() <= RELEASED_MAX);
        (told, rounds) = (told + replies.len(), rounds + 1);
        leader = replies.into_iter().find_map(|(_, found)| found.into_ticket());
    }
    assert_eq!(
        (told, rounds),
        (WAITERS_PER_KEY_MAX, 22),
        "2, 4, 8, 16, 32, then 64 at a time, and one to see the end"
    );

    let recipe = Recipe::new("r", Dialect::Rest, Some(vec![KeyPart::Path(0)]));
    let mut tickets = Vec::new();
    let mut request = request("GET https://a/x");
    for at in 0..FLIGHTS_MAX {
        request.target.set_path(&format!("/{at}"), PathRules::default()).unwrap();
        let own = recipe.key(&request, &[(0, request.target.path().len() as u32)]).unwrap();
        match store.lookup(Lookup { key: own, mode: Mode::Use }, || (), now) {
            Outcome::Fill(ticket) => tickets.push(ticket),
            other => panic!("{other:?}"),
        }
    }
    let mut lookup = |key: &Key, now| store.lookup(Lookup { key: key.clone(), mode: Mode::Use }, || (), now);
    assert!(matches!(lookup(&shared, now), Outcome::Pass));
    assert!(matches!(lookup(&tickets[0].key.clone(), now), Outcome::Wait));
    let ticket = tickets.pop().unwrap();
    assert!(store.decline(ticket, false, now).is_empty());
    assert!(matches!(store.lookup(Lookup { key: shared, mode: Mode::Use }, || (), now), Outcome::Fill(_)));
    let later = Now { mono_ns: now.mono_ns + LEASE_NS, ..now };
    assert_eq!(store.sweep(later).len(), 1, "the one who waits is promoted, the others were alone");
    assert_eq!(store.stats().flights, 1);
}
