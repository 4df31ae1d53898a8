//! Limits against a model: never more than the burst and the rate allow.

use std::cell::Cell;

use gate::{
    Word,
    abi::{LEASE, Limit},
    limit::{COST_MAX, INTERVAL_NS_MAX, take, take_leased},
};
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

struct One(Cell<u64>);

impl Word for One {
    fn get(&self) -> u64 {
        self.0.get()
    }

    fn swap_if(&self, old: u64, new: u64) -> u64 {
        if self.get() == old { self.0.replace(new) } else { self.get() }
    }

    fn set(&self, value: u64) {
        self.0.set(value);
    }

    fn add(&self, more: u64) {
        self.0.set(self.get() + more);
    }
}

fn one() -> One {
    One(Cell::new(0))
}

/// Of a limit of one event in 10 ms and two more at once: `arrivals` are ms and costs; `+` passes.
#[track_caller]
fn check(arrivals: &[(u64, u64)], expected: &str) {
    let limit = Limit { interval_ns: 10_000_000, burst_ns: 20_000_000 };
    let tat = one();
    let seen: String = arrivals
        .iter()
        .map(|(at_ms, cost)| if take(&tat, limit, *cost, (1_000 + at_ms) * 1_000_000) { '+' } else { '-' })
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_burst_passes_then_the_rate_holds() {
    check(&[(0, 1), (0, 1), (0, 1), (0, 1), (9, 1), (10, 1), (10, 1)], "+++--+-");
    check(&[(0, 1), (0, 1), (0, 1), (500, 1), (500, 1), (500, 1), (500, 1)], "++++++-");
    // An event that costs three takes the time of three.
    check(&[(0, 3), (0, 1), (9, 1), (10, 1), (10, 1)], "+--+-");
}

/// What a stricter limit left behind is not to be waited for under a milder one.
#[test]
fn a_debt_is_no_longer_than_the_limit_makes_it() {
    let tat = one();
    let day = Limit { interval_ns: INTERVAL_NS_MAX, burst_ns: 0 };
    assert!(take(&tat, day, COST_MAX, 1_000));
    let mild = Limit { interval_ns: 10, burst_ns: 20 };
    assert!(!take(&tat, mild, 1, 2_000));
    assert!(!take(&tat, mild, 1, 2_009));
    assert!(take(&tat, mild, 1, 2_010));
}

#[test]
fn without_an_interval_there_is_no_limit() {
    let tat = one();
    assert!((0..10_000).all(|_| take(&tat, Limit::default(), 1, 5)));
    assert!((0..10_000).all(|_| take_leased(&one(), &tat, Limit::default(), 5)));
    assert_eq!(tat.get(), 0);
}

/// Of a lease no more is taken than there is.
#[test]
fn leases_are_of_what_is_left() {
    let limit = Limit { interval_ns: 10, burst_ns: 990 };
    let (tat, first, second) = (one(), one(), one());
    let taken =
        |left: &One| (0..1_000).take_while(|_| take_leased(left, &tat, limit, 1_000_000)).count() as u64;
    assert!(take_leased(&first, &tat, limit, 1_000_000));
    assert_eq!(taken(&second), 100 - LEASE);
    assert_eq!(taken(&first), LEASE - 1);
    assert_eq!(taken(&second), 0);
}

fn limits() -> impl Strategy<Value = Limit> {
    let interval = prop_oneof![1..100u64, 1_000..1_000_000_000u64, Just(u64::MAX), any::<u64>()];
    let burst = prop_oneof![0..1_000u64, 0..10_000_000_000u64, any::<u64>()];
    (interval, burst).prop_map(|(interval_ns, burst_ns)| Limit { interval_ns, burst_ns })
}

proptest! {
    /// For any arrivals: over each stretch of time no more passes than the burst and what that time brings.
    #[test]
    fn never_more_than_burst_and_rate(limit in limits(), steps in proptest::collection::vec((0..2_000u64, 0..40u32), 1..200)) {
        let (tat, mut now_ns) = (one(), 1u64);
        let mut passed = Vec::new();
        for (step, shift) in steps {
            now_ns = now_ns.saturating_add(step << shift.min(40));
            if now_ns < 1 << 62 && take(&tat, limit, 1, now_ns) {
                passed.push(now_ns);
            }
        }
        let interval_ns = u128::from(limit.interval_ns.clamp(1, INTERVAL_NS_MAX));
        for (first, from) in passed.iter().enumerate() {
            for (last, to) in passed.iter().enumerate().skip(first) {
                let allowed = 1 + (u128::from(limit.burst_ns) + u128::from(to - from)) / interval_ns;
                assert!(((last - first) as u128) < allowed, "{limit:?}: {first} to {last}");
            }
        }
    }

    /// The same of many CPUs with leases, but for what they may hold unspent.
    #[test]
    fn leases_are_no_more_than_burst_and_rate(
        interval_ns in 1..1_000u64, events in 0..500u64, arrivals in proptest::collection::vec((0..4usize, 0..5_000u64), 1..2_000),
    ) {
        let limit = Limit { interval_ns, burst_ns: interval_ns * events };
        let (tat, cpus) = (one(), [one(), one(), one(), one()]);
        let (start_ns, mut now_ns, mut taken) = (1_000_000, 1_000_000, 0);
        for (cpu, step) in arrivals {
            now_ns += step;
            taken += u64::from(take_leased(&cpus[cpu], &tat, limit, now_ns));
            assert!(taken <= 1 + events + (now_ns - start_ns) / interval_ns);
        }
    }

    /// And who keeps to the rate is never refused.
    #[test]
    fn who_keeps_to_the_rate_passes(interval_ns in 1..1_000_000_000u64, burst_ns in 0..1_000_000u64, late in proptest::collection::vec(0..1_000u64, 1..100)) {
        let (tat, mut now_ns) = (one(), 1u64);
        for late in late {
            assert!(take(&tat, Limit { interval_ns, burst_ns }, 1, now_ns));
            now_ns += interval_ns + late;
        }
    }
}
