//! The wheel against a list that is searched from end to end.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Wake;

#[derive(Debug, Clone)]
enum Step {
    Insert,
    Remove(usize),
    /// Which, and how many nanoseconds from now.
    Set(usize, u64),
    Clear(usize),
    Advance(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Around a tick, around a second, around the span of the wheel, and far beyond it.
    let time =
        || prop_oneof![0..3 * TICK_NS, 0..1_000_000_000_u64, 0..50_000_000_000_u64, 0..300_000_000_000_u64];
    let step = prop_oneof![
        2 => Just(Step::Insert),
        1 => any::<usize>().prop_map(Step::Remove),
        8 => (any::<usize>(), time()).prop_map(|(which, time)| Step::Set(which, time)),
        1 => any::<usize>().prop_map(Step::Clear),
        6 => time().prop_map(Step::Advance),
    ];
    vec(step, 1..200)
}

#[derive(Default)]
struct Rings(AtomicU64);

impl Wake for Rings {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// What an entry must do, kept in a list.
struct Naive {
    key: u32,
    deadline_ns: u64,
    rings: Arc<Rings>,
}

proptest! {
    #[test]
    fn rings_as_a_list_would(steps in steps(), start_ns in 0..10 * TICK_NS) {
        let mut wheel = Wheel::new(start_ns, 0, Rc::default());
        let mut list: Vec<Naive> = Vec::new();
        let mut now_ns = start_ns;
        for step in steps {
            match step {
                Step::Insert => list.push(Naive { key: wheel.insert(), deadline_ns: NEVER, rings: Arc::default() }),
                Step::Remove(which) if !list.is_empty() => {
                    let removed = list.swap_remove(which % list.len());
                    wheel.remove(removed.key);
                }
                Step::Set(which, after_ns) if !list.is_empty() => {
                    let which = which % list.len();
                    list[which].deadline_ns = now_ns + after_ns;
                    wheel.set(list[which].key, now_ns + after_ns);
                    wheel.watch(list[which].key, &list[which].rings.clone().into());
                }
                Step::Clear(which) if !list.is_empty() => {
                    let which = which % list.len();
                    list[which].deadline_ns = NEVER;
                    wheel.set(list[which].key, NEVER);
                }
                Step::Advance(by_ns) => {
                    let target_ns = now_ns + by_ns;
                    // As the reactor does: never sleeping beyond what the wheel asks for.
                    while let Some(next_ns) = wheel.next_ns().filter(|next_ns| *next_ns <= target_ns) {
                        prop_assert!(next_ns > now_ns - now_ns % TICK_NS, "asks for the past");
                        now_ns = now_ns.max(next_ns);
                        turn(&mut wheel, &mut list, now_ns)?;
                    }
                    now_ns = target_ns;
                    turn(&mut wheel, &mut list, now_ns)?;
                }
                Step::Remove(_) | Step::Set(..) | Step::Clear(_) => {}
            }
            // Whoever waits is known to the wheel, and not later than its tick.
            let next_ns = wheel.next_ns().unwrap_or(NEVER);
            for naive in list.iter().filter(|naive| naive.deadline_ns != NEVER) {
                let due_ns = naive.deadline_ns.div_ceil(TICK_NS).max(now_ns / TICK_NS + 1) * TICK_NS;
                prop_assert!(next_ns <= due_ns, "asks to be looked at too late");
            }
        }
    }

    /// A jump past many spans at once rings everything that is due and nothing else.
    #[test]
    fn a_long_pause_rings_all_that_is_due(deadlines in vec(0..500_000_000_000_u64, 1..50), pause_ns in 0..600_000_000_000_u64) {
        let mut wheel = Wheel::new(0, 0, Rc::default());
        let mut list: Vec<Naive> = Vec::new();
        for deadline_ns in deadlines {
            let naive = Naive { key: wheel.insert(), deadline_ns, rings: Arc::default() };
            wheel.set(naive.key, deadline_ns);
            wheel.watch(naive.key, &naive.rings.clone().into());
            list.push(naive);
        }
        turn(&mut wheel, &mut list, pause_ns)?;
    }
}

/// Advances both and compares whom they wake, after as many turns as the wheel asks for.
fn turn(wheel: &mut Wheel, list: &mut [Naive], now_ns: u64) -> Result<(), TestCaseError> {
    let mut wakes = Vec::new();
    loop {
        wheel.advance(now_ns, &mut wakes);
        prop_assert!(wakes.len() <= RINGS_MAX, "{} at once", wakes.len());
        let full = wakes.len() == RINGS_MAX;
        wakes.drain(..).for_each(Waker::wake);
        if wheel.next_ns().is_none_or(|next_ns| next_ns > now_ns) {
            break;
        }
        prop_assert!(full, "asks for a turn that it does not need");
    }
    for naive in list {
        let rang = naive.rings.0.swap(0, Ordering::Relaxed);
        // The tick that has just ended: what came due within the current one rings at its end.
        let must = naive.deadline_ns <= now_ns / TICK_NS * TICK_NS;
        let may = naive.deadline_ns <= now_ns;
        prop_assert!(
            rang <= 1 && (rang == 1 || !must || naive.deadline_ns == NEVER),
            "slept through its deadline"
        );
        prop_assert!(rang == 0 || may, "rang too early");
        if rang == 1 {
            naive.deadline_ns = NEVER;
        }
    }
    Ok(())
}
