//! The store against a naive twin, whatever is done to both.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::store::{body, fetched, key_of};
use super::*;

/// What may be done to a store.
#[derive(Clone, Debug)]
enum Step {
    Look { key: usize, mode: Mode },
    Fill { ticket: usize, bytes: usize, fresh_s: u64 },
    Decline { ticket: usize, lasting: bool },
    Abandon { ticket: usize },
    Flush { identity: usize },
    Sweep,
    Pass { s: u64 },
}

const IDENTITIES: [&str; 3] = ["a/", "b/", ""];

fn step() -> impl Strategy<Value = Step> {
    let mode = prop_oneof![6 => Just(Mode::Use), 1 => Just(Mode::Refresh), 1 => Just(Mode::Peek)];
    prop_oneof![
        12 => (0..12usize, mode).prop_map(|(key, mode)| Step::Look { key, mode }),
        8 => (any::<usize>(), 0..3_000usize, 0..30u64)
            .prop_map(|(ticket, bytes, fresh_s)| Step::Fill { ticket, bytes, fresh_s }),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(ticket, lasting)| Step::Decline { ticket, lasting }),
        1 => any::<usize>().prop_map(|ticket| Step::Abandon { ticket }),
        1 => (0..IDENTITIES.len()).prop_map(|identity| Step::Flush { identity }),
        1 => Just(Step::Sweep),
        3 => (0..40u64).prop_map(|s| Step::Pass { s }),
    ]
}

/// The naive twin of a store: it never evicts, and knows for each key the one body that may be found and until when, and
/// the one lease that counts.
#[derive(Default)]
struct Model {
    bodies: BTreeMap<usize, (String, u64)>,
    leases: BTreeMap<usize, (LeaseId, bool)>,
    waiting: BTreeSet<u64>,
    tickets: Vec<(usize, Ticket)>,
    asked: u64,
    filled: u64,
}

impl Model {
    fn lead(&mut self, key: usize, ticket: Ticket) {
        self.leases.insert(key, (ticket.lease, true));
        self.tickets.push((key, ticket));
    }

    /// Each waiter is answered at most once, and none that does not wait.
    fn told(&mut self, replies: Replies<(usize, u64)>, key: usize) {
        for ((own, who), found) in replies {
            assert_eq!(own, key);
            assert!(self.waiting.remove(&who));
            if let Some(ticket) = found.into_ticket() {
                self.lead(key, ticket);
            }
        }
    }

    fn run(&mut self, store: &mut Store<(usize, u64)>, keys: &[Key], step: Step, now: &mut Now) {
        match step {
            Step::Look { key, mode } => {
                self.asked += 1;
                let who = (key, self.asked);
                match store.lookup(Lookup { key: keys[key].clone(), mode }, || who, *now) {
                    Outcome::Hit(stored) => {
                        let (own, expires_ns) = &self.bodies[&key];
                        assert!(mode != Mode::Refresh && *own == body(&stored) && now.mono_ns < *expires_ns);
                    }
                    Outcome::Fill(ticket) => self.lead(key, ticket),
                    Outcome::Wait => assert!(self.leases.contains_key(&key) && self.waiting.insert(who.1)),
                    Outcome::Pass => {}
                    other => panic!("{other:?}"),
                }
            }
            Step::Fill { ticket, bytes, fresh_s } if !self.tickets.is_empty() => {
                let (key, ticket) = self.tickets.swap_remove(ticket % self.tickets.len());
                self.filled += 1;
                let text = format!("{key} {}{}", self.filled, "x".repeat(bytes));
                let lease = self.leases.get(&key).copied().filter(|(lease, _)| *lease == ticket.lease);
                let (ticket, stored) = fetched(ticket, &text, fresh_s, *now);
                let told = store.fill(ticket, stored, *now);
                match lease {
                    Some((_, counts)) => {
                        self.leases.remove(&key);
                        if counts && fresh_s > 0 {
                            self.bodies.insert(key, (text, now.mono_ns + fresh_s * 1_000_000_000));
                        }
                    }
                    None => assert!(told.is_empty()),
                }
                self.told(told, key);
            }
            Step::Decline { ticket, lasting } if !self.tickets.is_empty() => {
                let (key, ticket) = self.tickets.swap_remove(ticket % self.tickets.len());
                self.end(key, &ticket);
                let told = store.decline(ticket, lasting, *now);
                self.told(told, key);
            }
            Step::Abandon { ticket } if !self.tickets.is_empty() => {
                let (key, ticket) = self.tickets.swap_remove(ticket % self.tickets.len());
                self.end(key, &ticket);
                let told = store.abandon(ticket, *now).into_iter().collect();
                self.told(told, key);
            }
            Step::Flush { identity } => {
                let is_meant = |key: &usize| IDENTITIES[identity].is_empty() || key % 2 == identity;
                let found = store.flush(IDENTITIES[identity]);
                assert!(found <= self.bodies.keys().filter(|key| is_meant(key)).count());
                self.bodies.retain(|key, _| !is_meant(key));
                for (_, lease) in self.leases.iter_mut().filter(|(key, _)| is_meant(key)) {
                    lease.1 = false;
                }
            }
            Step::Sweep => {
                for (who, found) in store.sweep(*now) {
                    let key = who.0;
                    self.told(vec![(who, found)], key);
                }
            }
            Step::Pass { s } => now.mono_ns += s * 1_000_000_000,
            Step::Fill { .. } | Step::Decline { .. } | Step::Abandon { .. } => {}
        }
    }

    fn end(&mut self, key: usize, ticket: &Ticket) {
        if self.leases.get(&key).is_some_and(|(lease, _)| *lease == ticket.lease) {
            self.leases.remove(&key);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order: what is found is the last that was kept under that key and still fresh, the
    /// bytes stay within the bound, and everyone who waits is answered exactly once.
    #[test]
    fn a_store_does_what_its_naive_twin_does(
        steps in proptest::collection::vec(step(), 1..120),
        capacity_bytes in 0..12_000u64,
    ) {
        let keys: Vec<Key> = (0..12).map(|at| key_of(IDENTITIES[at % 2], &at.to_string())).collect();
        let (mut store, mut model, mut now) = (Store::new(capacity_bytes), Model::default(), seconds(1));
        for step in steps {
            model.run(&mut store, &keys, step, &mut now);
            let stats = store.stats();
            prop_assert!(stats.bytes <= capacity_bytes);
            prop_assert_eq!(stats.hits + stats.misses, model.asked);
            let gone = stats.evictions + stats.expirations + stats.flushes;
            prop_assert!(stats.entries + gone <= stats.fills);
        }
        // Leaders that never came back are relieved, their followers promoted, until none is left.
        while store.stats().flights > 0 {
            now.mono_ns += LEASE_NS;
            model.run(&mut store, &keys, Step::Sweep, &mut now);
        }
        prop_assert!(model.waiting.is_empty());
    }
}
