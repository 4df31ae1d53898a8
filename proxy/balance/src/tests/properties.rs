//! What holds whatever happens: simulated backends over thousands of steps, from a printed seed.

use proptest::prelude::*;

use super::{Lab, S, settings};
use crate::{Breaker, Circuit, Claim, Outcome, Refused, Settings};

#[derive(Clone, Debug)]
enum Step {
    /// A call begins.
    Claim,
    /// One in flight ends.
    End(usize, bool),
    /// One in flight is given up by its client.
    Drop(usize),
    /// One in flight fails and is repeated.
    Again(usize),
    /// Probes say something.
    Health(usize, bool),
    /// The name has other addresses: these stay, so many are new.
    Hosts(Vec<usize>, usize),
    /// Time passes, milliseconds.
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Claim),
        8 => (any::<usize>(), any::<bool>()).prop_map(|(which, passed)| Step::End(which, passed)),
        1 => any::<usize>().prop_map(Step::Drop),
        4 => any::<usize>().prop_map(Step::Again),
        1 => (0..8_usize, any::<bool>()).prop_map(|(place, healthy)| Step::Health(place, healthy)),
        1 => (prop::collection::hash_set(0..8_usize, 0..4), 0..3_usize)
            .prop_map(|(stay, new)| Step::Hosts(stay.into_iter().collect(), new)),
        6 => (0..400_u64).prop_map(Step::Wait),
    ]
}

/// What was counted of one call or repetition.
struct Made {
    at_ns: u64,
    again: bool,
}

/// Whatever happens: bounds are kept, never more is repeated than the budget has, never too many hosts are left out, and
/// there is a host to ask as long as there is a host.
fn holds(settings: &Settings, steps: &[Step]) {
    let mut lab = Lab::new(4, settings.clone());
    lab.now_ns += 20 * S;
    let mut held: Vec<Claim> = Vec::new();
    let mut made: Vec<Made> = Vec::new();
    for step in steps {
        let (now_ns, count) = (lab.now_ns, held.len());
        match step {
            Step::Claim => {
                made.push(Made { at_ns: now_ns, again: false });
                match lab.claim() {
                    Ok(claim) => held.push(claim),
                    Err(Refused::NoHost) => assert!(lab.group.is_empty(), "there is a host to ask"),
                    Err(Refused::Busy) => assert!(
                        held.len() >= settings.in_flight_max.min(settings.host_in_flight_max) as usize
                    ),
                    Err(Refused::Open { .. }) => {
                        assert_ne!(lab.group.facts(settings, now_ns).circuit, Circuit::Closed);
                    }
                    Err(Refused::Budget) => panic!("a first try needs no budget"),
                }
            }
            Step::End(which, passed) if count > 0 => {
                let mut claim = held.swap_remove(which % count);
                lab.settle(&mut claim, if *passed { Outcome::Pass } else { Outcome::Fault });
            }
            Step::Drop(which) if count > 0 => drop(held.swap_remove(which % count)),
            Step::Again(which) if count > 0 => {
                let mut claim = held.swap_remove(which % count);
                lab.settle(&mut claim, Outcome::Fault);
                let avoid = [claim.host()];
                drop(claim);
                if let Ok(claim) = lab.group.claim_again(settings, now_ns, &avoid, true) {
                    assert_ne!(claim.host(), avoid[0]);
                    held.push(claim);
                    made.push(Made { at_ns: now_ns, again: true });
                }
            }
            Step::Health(place, healthy) => drop(lab.group.set_health(settings, *place, *healthy, now_ns)),
            Step::Hosts(stay, new) => {
                let len = lab.group.len();
                let stay = stay.iter().filter(|place| **place < len).map(|place| Some(*place));
                let hosts: Vec<_> = stay.chain(std::iter::repeat_n(None, *new)).collect();
                lab.group.set_hosts(settings, hosts, now_ns);
            }
            Step::Wait(ms) => lab.now_ns += ms * 1_000_000,
            Step::End(..) | Step::Drop(_) | Step::Again(_) => {}
        }
        assert_eq!(lab.group.in_flight() as usize, held.len());
        assert!(held.len() <= settings.in_flight_max as usize);
        check_budget(settings, &made, lab.now_ns);
        check_hosts(&lab);
    }
    held.clear();
    assert_eq!(lab.group.in_flight(), 0);
    assert!(lab.group.hosts(settings, lab.now_ns).all(|host| host.in_flight == 0));
}

/// Of any ten seconds, to the step: at most a fifth was repeated, or three.
fn check_budget(settings: &Settings, made: &[Made], now_ns: u64) {
    let since_ns = (now_ns / S + 1).saturating_sub(10) * S;
    let recent = made.iter().filter(|made| made.at_ns >= since_ns);
    let (again, calls): (Vec<_>, Vec<_>) = recent.partition(|made| made.again);
    // Calls that are older now counted when the repetitions were made: none of them within the last step.
    let before_ns = since_ns.saturating_sub(10 * S);
    let older = made.iter().filter(|made| !made.again && (before_ns..since_ns).contains(&made.at_ns)).count();
    let budget = |calls: usize| calls * settings.retries.budget_percent as usize / 100;
    let most = budget(calls.len() + older).max(settings.retries.budget_min as usize);
    assert!(again.len() <= most, "{} of {} were repeated", again.len(), calls.len());
}

fn check_hosts(lab: &Lab) {
    let hosts: Vec<_> = lab.group.hosts(&lab.settings, lab.now_ns).collect();
    for host in &hosts {
        assert!(host.in_flight <= lab.settings.host_in_flight_max);
        assert!((9..=100).contains(&host.share_percent));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn whatever_happens(
        steps in prop::collection::vec(step(), 1..1_500),
        in_flight_max in prop_oneof![Just(u32::MAX), 1..20_u32],
        host_in_flight_max in prop_oneof![Just(u32::MAX), 1..6_u32],
        panic_percent in 0..=100_u32,
        slow_start_s in 0..20_u64,
        breaks in any::<bool>(),
    ) {
        let breaker = Breaker { failure_percent: 50, calls_min: 5, open_ns: S, trials: 2 };
        holds(
            &Settings {
                in_flight_max,
                host_in_flight_max,
                panic_percent,
                slow_start_ns: slow_start_s * S,
                breaker: breaks.then_some(breaker),
                ..settings()
            },
            &steps,
        );
    }

    /// All of the hosts fail, now and then one passes: never more than the share is left out at the same time.
    #[test]
    fn not_too_many_are_out(
        hosts in 1..20_usize,
        percent in 0..=100_u32,
        passes in prop::collection::vec(0..20_u32, 2_000),
    ) {
        let mut settings = settings();
        settings.outlier.ejected_max_percent = percent;
        let mut lab = Lab::new(hosts, settings);
        for pass in passes {
            lab.call(|_| if pass == 0 { Outcome::Pass } else { Outcome::Fault });
            lab.now_ns += S / 20;
            let out = lab.group.hosts(&lab.settings, lab.now_ns).filter(|host| host.ejected).count();
            let allowed = (percent as usize * hosts / 100).max(1).min(hosts - 1);
            prop_assert!(out <= allowed, "{} of {} are out at {} %", out, hosts, percent);
        }
    }

    /// The loads of equal hosts differ by one at most, whenever calls end.
    #[test]
    fn loads_stay_even_while_calls_only_begin(hosts in 1..20_usize, calls in 0..500_usize) {
        let mut lab = Lab::new(hosts, settings());
        let _held: Vec<_> = (0..calls).map(|_| lab.claim().unwrap()).collect();
        let loads: Vec<_> = lab.group.hosts(&lab.settings, lab.now_ns).map(|host| host.in_flight).collect();
        let spread = loads.iter().max().unwrap() - loads.iter().min().unwrap();
        prop_assert!(spread <= 1, "{:?}", loads);
    }

    /// A host that takes ten times as long gets about a tenth of what another gets.
    #[test]
    fn a_slow_host_gets_less(seed in any::<u64>()) {
        let mut lab = Lab::new(3, settings());
        let mut in_flight: Vec<(u64, Claim)> = Vec::new();
        let mut got = [0_usize; 3];
        let mut random = seed | 1;
        for now in 0..20_000_u64 {
            in_flight.retain(|(until, _)| *until > now);
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            // Three calls begin in two steps on average: 30 in flight where each step counts 20 or 200.
            for _ in 0..1 + random % 2 {
                let claim = lab.claim().unwrap();
                let host = lab.host(&claim);
                got[host] += 1;
                in_flight.push((now + if host == 0 { 200 } else { 20 }, claim));
            }
        }
        let others = (got[1] + got[2]) / 2;
        prop_assert!(got[0] * 5 < others, "{:?}", got);
    }
}

/// Calls that all fail, each repeated as long as there is budget: a fifth more than there were, and three.
#[test]
fn an_outage_is_not_made_worse() {
    for per_second in [1_usize, 10, 100, 1_000] {
        let mut settings = settings();
        settings.outlier.consecutive = 0;
        let mut lab = Lab::new(2, settings);
        lab.now_ns += 20 * S;
        let (mut calls, mut again) = (0, 0);
        for _ in 0..20 * per_second {
            calls += 1;
            let mut claim = lab.claim().unwrap();
            let avoid = [claim.host()];
            lab.settle(&mut claim, Outcome::Fault);
            if lab.group.claim_again(&lab.settings, lab.now_ns, &avoid, true).is_ok() {
                again += 1;
            }
            lab.now_ns += S / per_second as u64;
        }
        // Three in ten seconds where a fifth is less.
        let most = (calls / 5).max(6) + 3;
        assert!(again <= most, "{again} of {calls} at {per_second} a second");
        assert!(again >= calls / 6, "{again} of {calls} at {per_second} a second: too few");
    }
}
