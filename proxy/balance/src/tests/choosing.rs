//! Load, ejection, health, slow start, bounds.

use super::{Lab, S, fail, pass, settings};
use crate::{Outcome, Refused, Settings, Statuses};

#[test]
fn equals_take_turns() {
    assert_eq!(Lab::new(4, settings()).calls(400, pass), [100; 4]);
}

#[test]
fn the_least_loaded_is_asked() {
    let mut lab = Lab::new(3, settings());
    let held: Vec<_> = (0..30).map(|_| lab.claim().unwrap()).collect();
    let mut busy: Vec<_> = held.into_iter().filter(|claim| lab.host(claim) != 1).collect();
    assert_eq!(busy.len(), 20);
    for _ in 0..10 {
        busy.push(lab.claim().unwrap());
        assert_eq!(lab.host(busy.last().unwrap()), 1);
    }
    assert_eq!(lab.group.in_flight(), 30);
    drop(busy);
    assert_eq!(lab.group.in_flight(), 0);
}

/// Rule U2: it is left out after so many faults, gets nothing for so long, and less than a hundredth on the whole.
#[test]
fn a_host_that_fails_is_left_out_longer_each_time() {
    let mut lab = Lab::new(10, settings());
    let got = lab.calls(3_000, fail(&[7]));
    assert_eq!(got[7], 5);
    // It comes back on trial: one fault is enough.
    for (wait_s, expected) in [(30, 1), (60, 1), (120, 1), (240, 1), (300, 1), (300, 1)] {
        lab.now_ns += (wait_s - 1) * S;
        assert_eq!(lab.calls(100, fail(&[7]))[7], 0, "before {wait_s} s");
        lab.now_ns += S;
        assert_eq!(lab.calls(100, fail(&[7]))[7], expected, "after {wait_s} s");
    }
}

#[test]
fn a_host_that_recovers_is_forgiven() {
    let mut lab = Lab::new(2, settings());
    lab.calls(20, fail(&[0]));
    lab.now_ns += 30 * S;
    assert_eq!(lab.calls(100, pass), [50, 50]);
    // Five in a row again, and thirty seconds again once it was well for as long as it was out.
    lab.now_ns += 31 * S;
    lab.calls(20, fail(&[0]));
    assert_eq!(lab.calls(10, pass)[0], 0);
    lab.now_ns += 30 * S;
    assert_eq!(lab.calls(10, pass), [5, 5]);
}

#[test]
fn faults_count_in_a_row() {
    let mut lab = Lab::new(2, settings());
    for _ in 0..50 {
        lab.calls(8, fail(&[0]));
        lab.calls(2, pass);
    }
    assert_eq!(lab.calls(10, pass), [5, 5]);
}

#[test]
fn one_host_alone_is_never_left_out() {
    let mut lab = Lab::new(1, settings());
    assert_eq!(lab.calls(1_000, fail(&[0])), [1_000]);
}

/// Of how many so many fail: how many are left out.
#[test]
fn not_too_many_are_left_out() {
    for (hosts, failing, percent, out) in
        [(2, 2, 50, 1), (3, 3, 50, 1), (4, 4, 50, 2), (10, 10, 50, 5), (10, 10, 10, 1), (4, 4, 0, 1)]
    {
        let mut settings = settings();
        settings.outlier.ejected_max_percent = percent;
        let mut lab = Lab::new(hosts, settings);
        let bad: Vec<_> = (0..failing).collect();
        lab.calls(1_000, fail(&bad));
        let ejected = lab.group.hosts(&lab.settings, lab.now_ns).filter(|host| host.ejected).count();
        assert_eq!(ejected, out, "{failing} of {hosts} at {percent} %");
    }
}

#[test]
fn what_probes_find_ill_is_not_asked_until_they_find_it_well() {
    let mut lab = Lab::new(3, settings());
    assert!(lab.group.set_health(&lab.settings, 1, false, lab.now_ns));
    assert!(!lab.group.set_health(&lab.settings, 1, false, lab.now_ns), "no news");
    assert_eq!(lab.calls(100, pass), [50, 0, 50]);
    assert!(lab.group.set_health(&lab.settings, 1, true, lab.now_ns));
    assert_eq!(lab.calls(99, pass), [33, 33, 33]);
    assert!(!lab.group.set_health(&lab.settings, 9, false, lab.now_ns), "gone meanwhile");
}

/// With so many ill of ten: whether all are asked.
#[test]
fn with_few_left_all_are_asked() {
    for (ill, percent, panics) in
        [(9, 0, false), (10, 0, true), (5, 50, false), (6, 50, true), (1, 100, true), (0, 100, false)]
    {
        let mut lab = Lab::new(10, Settings { panic_percent: percent, ..settings() });
        for place in 0..ill {
            lab.group.set_health(&lab.settings, place, false, lab.now_ns);
        }
        assert_eq!(lab.group.facts(&lab.settings, lab.now_ns).panicking, panics, "{ill} ill, {percent} %");
        let got = lab.calls(100, pass);
        let expected =
            if panics { vec![10; 10] } else { [vec![0; ill], vec![100 / (10 - ill); 10 - ill]].concat() };
        assert_eq!(got, expected, "{ill} ill, {percent} %");
    }
}

/// What a host that is back gets of what another gets, in each tenth of its slow start.
#[test]
fn a_host_that_is_back_begins_slowly() {
    for hosts in [2, 5] {
        let mut lab = Lab::new(hosts, Settings { slow_start_ns: 10 * S, ..settings() });
        lab.group.set_health(&lab.settings, 0, false, lab.now_ns);
        lab.group.set_health(&lab.settings, 0, true, lab.now_ns);
        for tenth in 0..10 {
            let got = lab.calls(1_000 * hosts, pass);
            let percent = got[0] * 100 / got[1];
            let expected = 10 * tenth.max(1);
            assert!(percent.abs_diff(expected) <= 2, "{hosts} hosts, tenth {tenth}: {percent} %");
            lab.now_ns += S;
        }
        assert_eq!(lab.calls(1_000 * hosts, pass), vec![1_000; hosts]);
    }
}

/// The same by what is in flight, when calls take long.
#[test]
fn a_host_that_is_back_has_less_in_flight() {
    let mut lab = Lab::new(2, Settings { slow_start_ns: 10 * S, ..settings() });
    lab.group.set_health(&lab.settings, 0, false, lab.now_ns);
    lab.group.set_health(&lab.settings, 0, true, lab.now_ns);
    let held: Vec<_> = (0..100).map(|_| lab.claim().unwrap()).collect();
    let got = held.iter().filter(|claim| lab.host(claim) == 0).count();
    assert!((5..=10).contains(&got), "{got} of 100");
}

#[test]
fn a_new_host_begins_slowly_and_those_of_the_start_do_not() {
    let mut lab = Lab::new(2, Settings { slow_start_ns: 10 * S, ..settings() });
    assert_eq!(lab.calls(100, pass), [50, 50]);
    lab.group.set_hosts(&lab.settings, [Some(0), None], lab.now_ns);
    let got = lab.group.hosts(&lab.settings, lab.now_ns).map(|host| host.share_percent).collect::<Vec<_>>();
    assert_eq!(got, [100, 9]);
}

#[test]
fn where_all_are_new_none_is_passed_over() {
    let mut lab = Lab::new(1, Settings { slow_start_ns: 10 * S, ..settings() });
    lab.group.set_hosts(&lab.settings, [None, None], lab.now_ns);
    let claims: Vec<_> = (0..100).map(|_| lab.claim().unwrap()).collect();
    let first = claims.iter().filter(|claim| claim.place() == 0).count();
    assert_eq!(first, 50);
}

#[test]
fn bounds_are_kept_and_said() {
    let mut lab = Lab::new(2, Settings { in_flight_max: 5, host_in_flight_max: 2, ..settings() });
    let mut held: Vec<_> = (0..4).map(|_| lab.claim().unwrap()).collect();
    assert_eq!(lab.claim().unwrap_err(), Refused::Busy, "each host has its two");
    lab.settings.host_in_flight_max = 3;
    held.push(lab.claim().unwrap());
    assert_eq!(lab.claim().unwrap_err(), Refused::Busy, "the group has its five");
    held.pop();
    held.push(lab.claim().unwrap());
    for (hosts, expected) in [(0, Refused::NoHost), (1, Refused::Busy)] {
        let mut lab = Lab::new(hosts, Settings { host_in_flight_max: 1, ..settings() });
        let _held = lab.claim();
        assert_eq!(lab.claim().unwrap_err(), expected);
    }
}

/// What a node may have at once, over its cores.
#[test]
fn bounds_are_shared_among_cores() {
    for (max, cores, expected) in
        [(10, 4, vec![3, 3, 2, 2]), (1, 3, vec![1, 1, 1]), (8, 1, vec![8]), (u32::MAX, 2, vec![u32::MAX; 2])]
    {
        let whole = Settings { in_flight_max: max, host_in_flight_max: max, ..settings() };
        let shares: Vec<_> = (0..cores).map(|core| whole.for_core(core, cores)).collect();
        assert_eq!(shares.iter().map(|share| share.in_flight_max).collect::<Vec<_>>(), expected);
        assert_eq!(shares.iter().map(|share| share.host_in_flight_max).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn another_try_is_with_another_host() {
    let mut lab = Lab::new(3, settings());
    let mut avoid = Vec::new();
    for _ in 0..3 {
        let claim = lab.group.claim_again(&lab.settings, lab.now_ns, &avoid, true).unwrap();
        assert!(!avoid.contains(&claim.host()));
        avoid.push(claim.host());
    }
    let none = lab.group.claim_again(&lab.settings, lab.now_ns, &avoid, false);
    assert_eq!(none.unwrap_err(), Refused::NoHost);
}

#[test]
fn claims_outlive_their_hosts() {
    let mut lab = Lab::new(3, settings());
    let mut held: Vec<_> = (0..6).map(|_| lab.claim().unwrap()).collect();
    lab.group.set_hosts(&lab.settings, [Some(2), None], lab.now_ns);
    for claim in &mut held {
        let expected = (lab.host(claim) == 2).then_some(0);
        assert_eq!(lab.group.place(claim), expected);
        for _ in 0..5 {
            let ejected = lab.group.settle(&lab.settings, claim, Outcome::Fault, lab.now_ns);
            assert!(!ejected || expected.is_some(), "one that is gone is not left out");
        }
    }
    drop(held);
    assert_eq!(lab.group.in_flight(), 0);
}

#[test]
fn statuses_are_a_set() {
    let set = Statuses::new([502..=504, 599..=700, 0..=100]);
    let held: Vec<_> = (0..=u16::MAX).filter(|status| set.contains(*status)).collect();
    assert_eq!(held, [100, 502, 503, 504, 599]);
    assert!(!set.is_empty() && Statuses::new([]).is_empty());
}
