//! Deadlines through the whole reactor.

use super::*;
use crate::Expired;
use crate::wheel::RINGS_MAX;

/// Moves one alarm at each of the `(at, to)` milliseconds of virtual time and says when it rang and how often the wheel
/// touched it.
#[track_caller]
fn check_alarm(moves: &[(u64, u64)], rings_ms: u64, touched: u64) {
    const MS: u64 = 1_000_000;
    check_with(&[DriverKind::Memory], &options(), |handle| async move {
        let alarm = handle.alarm();
        let mut moves = moves.iter().copied().peekable();
        // Virtual time moves in steps of 1 ms, with a turn after each.
        let rang = loop {
            let now = handle.now().mono_ns;
            while let Some((_, to)) = moves.next_if(|(at, _)| at * MS <= now) {
                alarm.set(to * MS);
            }
            if poll_fn(|cx| Poll::Ready(alarm.poll_expired(cx).is_ready())).await {
                break now / MS;
            }
            assert!(now < 1_000_000 * MS, "never rang");
            handle.advance(Duration::from_millis(1));
            handle.yield_now().await;
        };
        assert_eq!((rang, handle.stats().timers_touched), (rings_ms, touched));
    });
}

#[test]
fn rings_when_its_time_has_come() {
    check_alarm(&[(0, 5)], 5, 0);
    check_alarm(&[(0, 1000)], 1000, 1);
}

#[test]
fn moving_a_deadline_later_costs_nothing_until_the_first_tick() {
    // Moved a hundred times, touched once: to be linked again.
    let moves: Vec<_> = (0..100).map(|ms| (ms, ms + 1000)).collect();
    check_alarm(&moves, 1099, 1);
    // A keep-alive moved every 100 ms is touched every 900 ms: a tenth of the moves, and once to ring.
    let moves: Vec<_> = (0..100).map(|step| (step * 100, step * 100 + 1000)).collect();
    check_alarm(&moves, 10_900, 12);
}

#[test]
fn moving_a_deadline_earlier_rings_earlier() {
    check_alarm(&[(0, 10_000), (100, 500)], 500, 1);
}

#[test]
fn deadlines_beyond_the_wheel_ring_in_time() {
    check_alarm(&[(0, 100_000)], 100_000, 3);
}

/// As a task that is woken sees it: not before, and at most a tick after.
#[test]
fn an_alarm_wakes_within_a_tick_after_its_deadline() {
    check(|handle| async move {
        for ms in [1, 9, 10, 11, 35] {
            let start = handle.now();
            handle.sleep(Duration::from_millis(ms)).await;
            let slept = elapsed(&handle, start);
            assert!(slept >= Duration::from_millis(ms), "slept {slept:?} of {ms} ms");
            if handle.driver() == DriverKind::Memory {
                assert!(slept <= Duration::from_millis(ms + 10), "slept {slept:?} of {ms} ms");
            }
        }
    });
}

/// Who comes while a hundred deadlines pass at once waits for a few of them.
#[test]
fn many_deadlines_at_once_ring_a_few_a_turn() {
    const SLEEPERS: usize = 100;
    check(|handle| async move {
        let turns = Rc::new(RefCell::new(Vec::new()));
        for _ in 0..SLEEPERS {
            let (own, turns) = (handle.clone(), turns.clone());
            handle.spawn(async move {
                own.sleep(Duration::from_millis(20)).await;
                turns.borrow_mut().push(own.stats().turns);
            });
        }
        while turns.borrow().len() < SLEEPERS {
            handle.sleep(Duration::from_millis(10)).await;
        }
        let turns = turns.take();
        let most = turns.chunk_by(|one, next| one == next).map(<[u64]>::len).max();
        assert!(most.is_some_and(|most| most <= RINGS_MAX), "{most:?} in one turn");
    });
}

#[test]
fn sleepers_wake_in_order() {
    check(|handle| async move {
        let order = Rc::new(RefCell::new(Vec::new()));
        let sleepers: Vec<_> = [70_u64, 10, 50, 30, 90]
            .into_iter()
            .map(|ms| {
                let (sleep, order) = (handle.sleep(Duration::from_millis(ms)), order.clone());
                spawn(&handle, async move {
                    sleep.await;
                    order.borrow_mut().push(ms);
                })
            })
            .collect();
        for sleeper in sleepers {
            sleeper.await;
        }
        assert_eq!(*order.borrow(), [10, 30, 50, 70, 90]);
    });
}

#[test]
fn a_cleared_alarm_never_rings() {
    check(|handle| async move {
        let alarm = handle.alarm();
        alarm.set(handle.now().mono_ns + 1_000_000);
        alarm.clear();
        handle.sleep(Duration::from_millis(50)).await;
        assert!(!alarm.expired());
        assert_eq!(alarm.guard(async { 7 }).await, Ok(7));
        alarm.set(0);
        assert!(alarm.expired());
        assert_eq!(alarm.guard(std::future::pending::<()>()).await, Err(Expired));
        assert_eq!(alarm.guard(async { 7 }).await, Ok(7), "what is done wins over the deadline");
    });
}

#[test]
fn a_sleep_without_end_is_not_cut_short() {
    check(|handle| async move {
        let alarm = handle.alarm();
        alarm.set(handle.now().mono_ns + 50_000_000);
        assert_eq!(alarm.guard(handle.sleep(Duration::MAX)).await, Err(Expired));
    });
}

#[test]
fn virtual_time_is_deterministic() {
    let run = || {
        let mut runtime = start(DriverKind::Memory, &options()).unwrap();
        let handle = runtime.handle();
        runtime
            .block_on(async move {
                let mut seen = vec![handle.now()];
                for ms in [3, 1000, 3_600_000] {
                    handle.sleep(Duration::from_millis(ms)).await;
                    seen.push(handle.now());
                }
                seen
            })
            .unwrap()
    };
    let seen = run();
    assert_eq!(seen, run());
    assert_eq!(seen[0], Clock { mono_ns: 0, unix_ns: 1_700_000_000_000_000_000 });
    assert_eq!(seen[3].mono_ns, 3_601_010_000_000);
}

#[test]
fn a_test_that_can_never_end_is_told() {
    let mut runtime = start(DriverKind::Memory, &options()).unwrap();
    let error = runtime.block_on(std::future::pending::<()>()).unwrap_err();
    assert!(matches!(error, crate::Error::Wait { source, .. } if source.kind() == io::ErrorKind::Deadlock));
}
