//! The circuit breaker, the retry budget, active checks.

use super::{Lab, S, fail, pass, settings};
use crate::{Breaker, Check, Circuit, Outcome, Refused, Settings, Thresholds};

fn breaking() -> Settings {
    let breaker = Breaker { failure_percent: 50, calls_min: 10, open_ns: 5 * S, trials: 3 };
    Settings { breaker: Some(breaker), ..settings() }
}

fn circuit(lab: &mut Lab) -> Circuit {
    lab.group.facts(&lab.settings, lab.now_ns).circuit
}

/// Rule U1: it opens with the call that reaches the threshold, lets nothing through while it is open, then exactly the
/// trials, and closes when they have passed.
#[test]
fn a_circuit_opens_tries_and_closes() {
    let mut lab = Lab::new(1, breaking());
    for _ in 0..9 {
        lab.call(fail(&[0]));
    }
    assert_eq!(circuit(&mut lab), Circuit::Closed, "too few to tell");
    lab.call(fail(&[0]));
    assert_eq!(circuit(&mut lab), Circuit::Open);
    for _ in 0..5 {
        assert!(matches!(lab.claim(), Err(Refused::Open { left_ns: 1.. })));
        lab.now_ns += S;
    }
    let mut trials: Vec<_> = (0..3).map(|_| lab.claim().unwrap()).collect();
    assert_eq!(lab.claim().unwrap_err(), Refused::Open { left_ns: 0 });
    assert_eq!(circuit(&mut lab), Circuit::HalfOpen);
    for trial in &mut trials {
        assert_eq!(circuit(&mut lab), Circuit::HalfOpen);
        lab.settle(trial, Outcome::Pass);
    }
    assert_eq!(circuit(&mut lab), Circuit::Closed);
    // What failed before is forgotten.
    lab.calls(9, fail(&[0]));
    assert_eq!(circuit(&mut lab), Circuit::Closed);
}

#[test]
fn a_trial_that_fails_opens_it_again() {
    let mut lab = Lab::new(1, breaking());
    lab.calls(10, fail(&[0]));
    lab.now_ns += 5 * S;
    let (mut first, mut second) = (lab.claim().unwrap(), lab.claim().unwrap());
    lab.settle(&mut first, Outcome::Fault);
    assert_eq!(lab.claim().unwrap_err(), Refused::Open { left_ns: 5 * S });
    // Of an earlier time: it says nothing, not even when the next trials have begun.
    lab.now_ns += 5 * S;
    let _third = lab.claim().unwrap();
    lab.settle(&mut second, Outcome::Fault);
    assert_eq!(circuit(&mut lab), Circuit::HalfOpen);
}

#[test]
fn a_trial_that_came_to_nothing_is_made_again() {
    let mut lab = Lab::new(1, breaking());
    lab.calls(10, fail(&[0]));
    lab.now_ns += 5 * S;
    for _ in 0..100 {
        drop(lab.claim().unwrap());
    }
    let trials: Vec<_> = (0..3).map(|_| lab.claim().unwrap()).collect();
    assert!(lab.claim().is_err());
    drop(trials);
    assert!(lab.claim().is_ok());
}

/// `p` passes, `f` fails, a digit waits so many seconds.
#[track_caller]
fn check(calls: &str, expected: Circuit) {
    let mut lab = Lab::new(1, breaking());
    for call in calls.chars() {
        match call {
            'p' => drop(lab.call(pass)),
            'f' => drop(lab.call(fail(&[0]))),
            wait => lab.now_ns += u64::from(wait.to_digit(10).unwrap()) * S,
        }
    }
    assert_eq!(circuit(&mut lab), expected, "{calls}");
}

#[test]
fn a_circuit_opens_by_the_share_of_faults() {
    check("pppppfffff", Circuit::Open);
    check("ppppppffff", Circuit::Closed);
    check("pppppppppppppppfffff", Circuit::Closed);
    check("fffff99fffff", Circuit::Closed);
    check("fffff5fffff", Circuit::Open);
    check("fffffppppp", Circuit::Closed);
}

#[test]
fn without_a_breaker_nothing_opens() {
    let mut lab = Lab::new(1, settings());
    lab.calls(10_000, fail(&[0]));
    assert_eq!(circuit(&mut lab), Circuit::Closed);
}

/// After so many calls in ten seconds: how many may be repeated.
#[test]
fn a_fifth_is_repeated_and_three_at_least() {
    for (calls, expected) in [(0, 3), (1, 3), (15, 3), (20, 4), (100, 20), (10_000, 2_000)] {
        let mut lab = Lab::new(2, settings());
        // Two were made to learn the hosts' numbers.
        lab.now_ns += 20 * S;
        lab.calls(calls, pass);
        let mut again = 0;
        while let Ok(claim) = lab.group.claim_again(&lab.settings, lab.now_ns, &[], true) {
            again += 1;
            drop(claim);
        }
        assert_eq!(again, expected, "{calls} calls");
        let spent = lab.group.claim_again(&lab.settings, lab.now_ns, &[], true);
        assert_eq!(spent.unwrap_err(), Refused::Budget);
        assert!(lab.group.claim_again(&lab.settings, lab.now_ns, &[], false).is_ok(), "nobody has seen it");
        lab.now_ns += 10 * S;
        assert_eq!(lab.group.facts(&lab.settings, lab.now_ns).retries_left, 3);
    }
}

/// Probes that pass (`+`) and fail (`-`), and what is thought of the host after each: well (`w`) or ill (`i`).
#[track_caller]
fn check_probes(probes: &str, expected: &str) {
    let thresholds = Thresholds { healthy: 2, unhealthy: 3 };
    let mut check = Check::default();
    let mut thought = String::new();
    for probe in probes.chars() {
        let before = check.is_healthy();
        let news = check.observe(probe == '+', &thresholds);
        assert_eq!(news, before != check.is_healthy());
        thought.push(if check.is_healthy() { 'w' } else { 'i' });
    }
    assert_eq!(thought, expected, "{probes}");
}

#[test]
fn probes_count_in_a_row() {
    check_probes("---++", "wwiiw");
    check_probes("--+--+---", "wwwwwwwwi");
    check_probes("---+-+-++-", "wwiiiiiiww");
}
