//! S3-FIFO against what it must beat, and its books against a recount.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::cache::s3_fifo::S3Fifo;

/// A cache that a trace can be played to.
trait Trace {
    /// Asks for an object, and takes it in if it was not there. Whether it was.
    fn ask(&mut self, object: u64, bytes: u64) -> bool;
}

/// S3-FIFO with a map over it, as the store has one.
struct Fifo {
    fifo: S3Fifo<u64>,
    slots: BTreeMap<u64, u32>,
}

impl Fifo {
    fn new(capacity_bytes: u64) -> Self {
        Self { fifo: S3Fifo::new(capacity_bytes), slots: BTreeMap::new() }
    }
}

impl Trace for Fifo {
    fn ask(&mut self, object: u64, bytes: u64) -> bool {
        if let Some(slot) = self.slots.get(&object) {
            self.fifo.touch(*slot);
            return true;
        }
        let slots = &mut self.slots;
        let slot = self.fifo.insert(object, bytes, object, None, |removed| {
            assert_eq!(slots.remove(&removed.hash), Some(removed.slot));
        });
        self.slots.insert(object, slot);
        false
    }
}

/// Least recently used, the plain way.
#[derive(Default)]
struct Lru {
    capacity_bytes: u64,
    bytes: u64,
    clock: u64,
    used: BTreeMap<u64, (u64, u64)>,
    order: BTreeSet<(u64, u64)>,
}

impl Trace for Lru {
    fn ask(&mut self, object: u64, bytes: u64) -> bool {
        self.clock += 1;
        let before = self.used.insert(object, (self.clock, bytes));
        self.order.insert((self.clock, object));
        if let Some((used, _)) = before {
            self.order.remove(&(used, object));
            return true;
        }
        self.bytes += bytes;
        while self.bytes > self.capacity_bytes {
            let (_, oldest) = self.order.pop_first().unwrap();
            self.bytes -= self.used.remove(&oldest).unwrap().1;
        }
        false
    }
}

/// Numbers that look random and are the same in each run (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

const OBJECTS: usize = 10_000;
const REQUESTS: usize = 200_000;

/// Requests for objects whose popularity falls with their rank to the power of `skew`; every `scan_every`-th is for an
/// object that is never asked for again.
fn zipf(skew: f64, scan_every: Option<usize>) -> Vec<u64> {
    let mut sums = Vec::with_capacity(OBJECTS);
    let mut sum = 0.0;
    for rank in 1..=OBJECTS {
        sum += (rank as f64).powf(-skew);
        sums.push(sum);
    }
    let mut numbers = Numbers(7);
    (0..REQUESTS)
        .map(|at| match scan_every {
            Some(every) if at % every == 0 => (OBJECTS + at) as u64,
            _ => {
                let point = numbers.next() as f64 / u64::MAX as f64 * sum;
                sums.partition_point(|sum| *sum < point) as u64
            }
        })
        .collect()
}

/// Objects of 500 to 4,500 bytes, by their number.
fn bytes_of(object: u64) -> u64 {
    500 + Numbers(object).next() % 4_000
}

fn hits(cache: &mut impl Trace, trace: &[u64]) -> f64 {
    let hits = trace.iter().filter(|object| cache.ask(**object, bytes_of(**object))).count();
    hits as f64 / trace.len() as f64
}

/// S3-FIFO answers at least `better` more of the requests from its entries than LRU of the same size does.
#[track_caller]
fn check(trace: &[u64], capacity_bytes: u64, better: f64) {
    let fifo = hits(&mut Fifo::new(capacity_bytes), trace);
    let lru = hits(&mut Lru { capacity_bytes, ..Lru::default() }, trace);
    assert!(fifo >= lru + better, "S3-FIFO {fifo:.3}, LRU {lru:.3}");
}

#[test]
fn popular_objects_stay() {
    for skew in [0.8, 1.0, 1.2] {
        let trace = zipf(skew, None);
        check(&trace, 250_000, 0.02);
        check(&trace, 2_500_000, 0.02);
    }
}

#[test]
fn objects_that_come_once_pass_through() {
    let trace = zipf(1.0, Some(2));
    check(&trace, 250_000, 0.02);
    check(&trace, 2_500_000, 0.02);
}

#[test]
fn what_left_and_came_back_is_let_into_the_main_queue() {
    let mut fifo = Fifo::new(1_000);
    assert!(!fifo.ask(1, 100));
    for object in 100..110 {
        assert!(!fifo.ask(object, 100));
    }
    assert!(!fifo.ask(1, 100), "it was put out");
    for object in 200..240 {
        assert!(!fifo.ask(object, 100));
    }
    assert!(fifo.ask(1, 100), "those that came once did not put it out again");
}

#[test]
fn what_was_popular_once_leaves_in_the_end() {
    let mut fifo = Fifo::new(1_000);
    fifo.ask(1, 100);
    fifo.ask(1, 100);
    for object in 100..110 {
        fifo.ask(object, 100);
    }
    for _ in 0..100 {
        assert!(fifo.ask(1, 100), "it is in the main queue");
    }
    for object in 200..300 {
        fifo.ask(object, 100);
        fifo.ask(object, 100);
    }
    assert!(!fifo.ask(1, 100));
}

/// A bound that falls puts out what is above it, the same things that would have gone for something new.
#[test]
fn a_bound_that_falls_is_kept_step_by_step() {
    let mut cache = Fifo::new(1_000);
    for object in [1, 1, 1, 2, 3, 4, 5] {
        cache.ask(object, 200);
    }
    cache.fifo.set_capacity_bytes(500);
    let mut gone = Vec::new();
    while let Some(removed) = cache.fifo.evict_above() {
        assert_eq!(cache.slots.remove(&removed.hash), Some(removed.slot));
        gone.push(removed.hash);
    }
    assert_eq!((gone.as_slice(), cache.fifo.bytes()), ([2, 3, 4].as_slice(), 400));
    cache.fifo.set_capacity_bytes(0);
    while cache.fifo.evict_above().is_some() {}
    assert_eq!((cache.fifo.len(), cache.fifo.slots()), (0, 0), "its memory is gone too");
    cache.slots.clear();
    cache.fifo.set_capacity_bytes(1_000);
    assert!(!cache.ask(1, 200) && cache.ask(1, 200));
}

#[derive(Clone, Debug)]
enum Step {
    Ask { object: u64, bytes: u64 },
    Remove { object: u64 },
    Replace { object: u64, bytes: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..40u64, 1..400u64).prop_map(|(object, bytes)| Step::Ask { object, bytes }),
        1 => (0..40u64).prop_map(|object| Step::Remove { object }),
        1 => (0..40u64, 1..400u64).prop_map(|(object, bytes)| Step::Replace { object, bytes }),
    ]
}

proptest! {
    /// The books are right after each step: bytes and nodes are those of what is in, never above the capacity, and each
    /// object leaves by being evicted or removed, once.
    #[test]
    fn the_books_are_right(steps in proptest::collection::vec(step(), 1..200), capacity_bytes in 400..3_000u64) {
        let mut cache = Fifo::new(capacity_bytes);
        let mut sizes = BTreeMap::new();
        for step in steps {
            match step {
                Step::Ask { object, bytes } => {
                    if !cache.ask(object, bytes) {
                        sizes.insert(object, bytes);
                    }
                }
                Step::Remove { object } | Step::Replace { object, .. } => {
                    let slot = cache.slots.remove(&object);
                    let removed = slot.and_then(|slot| cache.fifo.remove(slot));
                    prop_assert_eq!(removed.is_some(), slot.is_some());
                    sizes.remove(&object);
                    if let (Step::Replace { bytes, .. }, Some(removed)) = (step, removed) {
                        let slots = &mut cache.slots;
                        let standing = Some(removed.standing);
                        let slot = cache.fifo.insert(object, bytes, object, standing, |removed| {
                            slots.remove(&removed.hash);
                        });
                        cache.slots.insert(object, slot);
                        sizes.insert(object, bytes);
                    }
                }
            }
            sizes.retain(|object, _| cache.slots.contains_key(object));
            prop_assert_eq!(cache.fifo.len(), sizes.len());
            prop_assert_eq!(cache.fifo.bytes(), sizes.values().sum::<u64>());
            prop_assert!(cache.fifo.bytes() <= capacity_bytes);
            for (object, slot) in &cache.slots {
                prop_assert_eq!(cache.fifo.get(*slot), Some(object));
            }
        }
    }
}
