//! Sources that behave and that don't, second by second.

use gate::abi::{Limit, Mode, Policy};
use gate::table::Limiter;
use proptest::prelude::*;

use super::*;

const S: u64 = 1_000_000_000;

fn terms() -> Terms {
    Terms {
        points: 100,
        half_life: Duration::from_secs(60),
        share_percent: 50,
        cost: 10,
        expiry_min: Duration::from_secs(60),
        expiry_max: Duration::from_secs(3_600),
        refused: 1,
        malformed: 5,
        handshake: 5,
        ipv4_bits: 32,
        ipv6_bits: 64,
        allow: vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
    }
}

fn told(source: &str, good: u32, refused: u32, malformed: u32, handshakes: u32) -> Conduct {
    Conduct { source: source.parse().unwrap(), good, refused, malformed, handshakes }
}

/// As `prefix cost expiry reason`.
fn shown(hold: &Hold) -> String {
    format!("{} {} {}s {}", hold.prefix, hold.cost, hold.expiry.as_secs(), hold.reason.as_str())
}

/// A source is told of every second, from 0 on; what follows as `second: hold`.
#[track_caller]
fn check(source: &str, seconds: &[[u32; 4]], expected: &[&str]) {
    let mut feed = Feed::new(terms());
    let mut holds = Vec::new();
    for (second, [good, refused, malformed, handshakes]) in seconds.iter().enumerate() {
        let told = told(source, *good, *refused, *malformed, *handshakes);
        let now_ns = second as u64 * S;
        holds.extend(feed.take(&[told], now_ns).iter().map(|hold| format!("{second}: {}", shown(hold))));
    }
    assert_eq!(holds, expected);
}

#[test]
fn points_slow_down_and_then_shut_out() {
    check("192.0.2.1", &[[0, 50, 0, 0]; 3], &["2: 192.0.2.1/32 10 60s refused"]);
    // What comes within two seconds of a step does not count for the next.
    check(
        "192.0.2.1",
        &[[0, 100, 0, 0]; 8],
        &[
            "0: 192.0.2.1/32 10 60s refused",
            "2: 192.0.2.1/32 0 120s refused",
            "4: 192.0.2.1/32 0 240s refused",
            "6: 192.0.2.1/32 0 480s refused",
        ],
    );
    check("192.0.2.1", &[[0, 1, 20, 0]], &["0: 192.0.2.1/32 10 60s malformed"]);
    check("192.0.2.1", &[[0, 1, 2, 20]], &["0: 192.0.2.1/32 10 60s handshake"]);
    check("2a00:1:2:3:4:5:6:7", &[[0, 100, 0, 0]], &["0: 2a00:1:2:3::/64 10 60s refused"]);
    check("::ffff:192.0.2.1", &[[0, 100, 0, 0]], &["0: 192.0.2.1/32 10 60s refused"]);
}

#[test]
fn little_is_forgotten_in_time() {
    // One a second comes to 87 points and stays there.
    check("192.0.2.1", &[[0, 1, 0, 0]; 1_000], &[]);
    check("192.0.2.1", &[[0, 0, 0, 0]; 9], &[]);
    check("192.0.2.1", &[[0, 2, 0, 0]; 80], &["73: 192.0.2.1/32 10 60s refused"]);
}

#[test]
fn who_shares_a_prefix_with_many_is_left_alone() {
    check("192.0.2.1", &[[50, 49, 0, 0]; 1_000], &[]);
    check("192.0.2.1", &[[5, 50, 0, 0]; 3], &["2: 192.0.2.1/32 10 60s refused"]);
    // The good ones of a second count whether they are told before or behind its offences.
    let mut feed = Feed::new(terms());
    let both = [told("192.0.2.1", 200, 0, 0, 0), told("192.0.2.1", 0, 150, 0, 0)];
    assert_eq!(feed.take(&both, 0), []);
    // Whoever is always good is not remembered at all.
    feed.take(&[told("192.0.2.9", 1_000, 0, 0, 0)], 0);
    assert_eq!(feed.sources(), 1);
    // No leniency was asked for.
    let mut strict = Feed::new(Terms { share_percent: 0, ..terms() });
    assert_eq!(strict.take(&both, 0).len(), 1);
}

#[test]
fn some_are_never_touched() {
    for source in ["10.9.9.9", "::ffff:10.0.0.1", "2001:db8:1::1", "127.0.0.1", "::1", "0.0.0.0"] {
        check(source, &[[0, 9_999, 9_999, 9_999]; 20], &[]);
    }
    let mut feed = Feed::new(Terms { refused: 0, ..terms() });
    assert_eq!(feed.take(&[told("192.0.2.1", 0, 9_999, 0, 0)], 0), []);
    assert_eq!(feed.sources(), 0, "what gives no points is not remembered");
}

#[test]
fn one_event_holds_nobody_back() {
    let mut feed = Feed::new(Terms { points: 1, malformed: 100, share_percent: 0, ..terms() });
    let one = [told("192.0.2.1", 0, 0, 1, 0)];
    assert_eq!(feed.take(&one, 0), []);
    assert_eq!(feed.take(&one, S), []);
    assert_eq!(feed.take(&one, 2 * S).iter().map(|hold| hold.cost).collect::<Vec<_>>(), [10]);
    assert_eq!(feed.take(&one, 60 * S), [], "nor does one shut out who is slowed");
}

#[test]
fn a_step_holds_twice_as_long_as_the_one_before_and_less_after_a_while() {
    let mut feed = Feed::new(terms());
    let much = [told("192.0.2.1", 0, 100, 0, 0)];
    let mut at = |second: u64| -> String { feed.take(&much, second * S).iter().map(shown).collect() };
    assert_eq!(at(0), "192.0.2.1/32 10 60s refused");
    // Its end is over: it begins with what costs less, for longer.
    assert_eq!(at(61), "192.0.2.1/32 10 120s refused");
    assert_eq!(at(200), "192.0.2.1/32 10 240s refused");
    assert_eq!(at(500), "192.0.2.1/32 10 480s refused");
    for second in (1_000..1_100).step_by(10) {
        at(second);
    }
    assert_eq!(at(1_100), "192.0.2.1/32 0 3600s refused", "there is a longest");
    assert_eq!(at(100_000), "192.0.2.1/32 10 60s refused", "a day later it is as good as new");
}

#[test]
fn who_is_held_back_is_not_driven_out() {
    let mut feed = Feed::with_room(terms(), 16);
    let held = feed.take(&[told("192.0.2.1", 0, 100, 0, 0)], 0);
    assert_eq!(held.len(), 1);
    for number in 0..10_000_u32 {
        let source = IpAddr::from((0xc633_6400 + number).to_be_bytes());
        feed.take(&[Conduct { source, ..told("::", 0, 1, 0, 0) }], S);
        assert!(feed.sources() <= 16);
    }
    assert!(feed.forgotten() > 9_000);
    let again = feed.take(&[told("192.0.2.1", 0, 100, 0, 0)], 3 * S);
    assert_eq!(again.iter().map(|hold| hold.cost).collect::<Vec<_>>(), [0], "it is remembered as slowed");
}

#[test]
fn other_terms_keep_what_is_known() {
    let mut feed = Feed::new(terms());
    feed.take(&[told("192.0.2.1", 0, 90, 0, 0)], 0);
    feed.adopt(Terms { points: 50, cost: 3, ..terms() });
    let held = feed.take(&[told("192.0.2.1", 0, 1, 0, 0)], 0);
    assert_eq!(held.iter().map(shown).collect::<Vec<_>>(), ["192.0.2.1/32 3 60s refused"]);
    feed.adopt(Terms { ipv4_bits: 24, ..terms() });
    assert_eq!(feed.sources(), 0);
    let held = feed.take(&[told("192.0.2.1", 0, 100, 0, 0)], 0);
    assert_eq!(held.iter().map(shown).collect::<Vec<_>>(), ["192.0.2.0/24 10 60s refused"]);
}

/// Without a kernel that would do it.
#[test]
fn who_is_held_back_is_so_at_accept_too() {
    let syns_narrow = Limit { interval_ns: S / 1_000, burst_ns: S };
    let (mode, narrow_bits, wide_bits) = (Mode::Enforce as u32, [128, 64], [120, 48]);
    let policy = Policy { mode, narrow_bits, wide_bits, syns_narrow, ..Policy::default() };
    let limiter = Limiter::new(policy, Vec::new(), Vec::new(), 64);
    let admits = |source: &str, now_ns| limiter.admit(source.parse().unwrap(), now_ns);
    let mut feed = Feed::new(terms());
    for (source, neighbour) in [("192.0.2.1", "192.0.2.2"), ("2a00::1", "2a00:0:0:1::1")] {
        let much = [told(source, 0, 200, 0, 0)];
        let [slowed] = feed.take(&much, 0)[..] else { panic!("slowed") };
        let [shut_out] = feed.take(&much, 2 * S)[..] else { panic!("shut out") };
        let hold = |it: Hold, now_ns: u64| {
            let expires_ns = now_ns + it.expiry.as_nanos() as u64;
            crate::hold_at_accept(&limiter, it.prefix, expires_ns, it.cost, now_ns)
        };
        assert!(hold(slowed, S));
        assert!((0..101).all(|_| admits(source, S)), "a tenth of its thousand");
        assert!(!admits(source, S));
        assert!(hold(shut_out, 2 * S));
        assert!(!admits(source, 10 * S) && admits(neighbour, 10 * S));
        assert!(admits(source, 2 * S + 120 * S));
    }
}

#[test]
fn reasons_have_numbers() {
    for reason in [Reason::Operator, Reason::Refused, Reason::Malformed, Reason::Handshake] {
        assert_eq!(Reason::of(reason as u32), Some(reason));
    }
    assert_eq!(Reason::of(4), None);
}

fn any_terms() -> impl Strategy<Value = Terms> {
    let weights = (0..=100_u32, 0..=100_u32, 0..=100_u32);
    let times = (1..=3_600_u64, 1..=86_400_u64, 1..=86_400_u64);
    (1..=1_000_u32, weights, times, 0..=100_u8, 1..=1_000_u32, 0..=32_u8, 0..=128_u8).prop_map(
        |(points, (refused, malformed, handshake), (half, one, other), share_percent, cost, four, six)| {
            Terms {
                points,
                half_life: Duration::from_secs(half),
                share_percent,
                cost,
                expiry_min: Duration::from_secs(one.min(other)),
                expiry_max: Duration::from_secs(one.max(other)),
                refused,
                malformed,
                handshake,
                ipv4_bits: four,
                ipv6_bits: six,
                ..terms()
            }
        },
    )
}

fn any_conduct() -> impl Strategy<Value = Conduct> {
    let sources = prop::sample::select(vec![
        "192.0.2.1",
        "192.0.2.2",
        "198.51.100.7",
        "10.1.1.1",
        "::ffff:192.0.2.1",
        "2a00::1",
        "2a00:0:0:1::1",
        "2001:db8::9",
        "127.0.0.1",
        "::1",
    ]);
    let count = || prop_oneof![Just(0_u32), 0..50_u32, Just(u32::MAX)];
    (sources, count(), count(), count(), count()).prop_map(
        |(source, good, refused, malformed, handshakes)| told(source, good, refused, malformed, handshakes),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever is told in whatever order: memory is bounded, nobody who is spared is held back, a prefix goes one step a round,
    /// is slowed before it is shut out, and is held for no shorter and no longer than was said.
    #[test]
    fn steps_are_in_order_and_in_bounds(
        terms in any_terms(),
        rounds in prop::collection::vec((prop::collection::vec(any_conduct(), 0..6), 0..100 * S), 0..60),
    ) {
        let mut feed = Feed::with_room(terms.clone(), 4);
        let (mut now_ns, mut ends_ns) = (0, HashMap::<IpNet, u64>::new());
        for (told, passed_ns) in rounds {
            now_ns += passed_ns;
            let holds = feed.take(&told, now_ns);
            prop_assert!(feed.sources() <= 4 && feed.places.len() == feed.records.len());
            prop_assert!(feed.records.iter().all(|record| !record.is_touched));
            let mut seen = Vec::new();
            for hold in holds {
                prop_assert!(!seen.contains(&hold.prefix));
                seen.push(hold.prefix);
                prop_assert!((terms.expiry_min..=terms.expiry_max).contains(&hold.expiry), "{:?}", hold);
                let is_offender = |it: &&Conduct| hold.prefix.contains(&it.source.to_canonical())
                    && !feed.is_spared(it.source)
                    && (it.refused > 0 || it.malformed > 0 || it.handshakes > 0);
                prop_assert!(told.iter().any(|it| is_offender(&it)));
                if hold.cost == 0 {
                    prop_assert!(ends_ns.get(&hold.prefix).is_some_and(|ends| *ends > now_ns), "{:?}", hold);
                } else {
                    prop_assert_eq!(hold.cost, terms.cost);
                }
                ends_ns.insert(hold.prefix, now_ns + hold.expiry.as_nanos() as u64);
            }
        }
    }

    /// A round with a single offence does not drop who was not slowed, and does nothing to who did nothing before.
    #[test]
    fn one_offence_alone_does_nothing(terms in any_terms(), kind in 0..3_usize) {
        let mut counts = [0; 3];
        counts[kind] = 1;
        let [refused, malformed, handshakes] = counts;
        let mut feed = Feed::new(terms);
        prop_assert_eq!(feed.take(&[told("192.0.2.1", 0, refused, malformed, handshakes)], 0), []);
    }

    /// A source of whose requests the greater part is good is never held back, however many offend.
    #[test]
    fn a_good_majority_protects(seconds in prop::collection::vec((1..1_000_u32, 0..100_u32), 1..100)) {
        let mut feed = Feed::new(terms());
        for (second, (bad, more)) in seconds.into_iter().enumerate() {
            let told = [told("192.0.2.1", bad + more + 1, bad, 0, 0)];
            prop_assert_eq!(feed.take(&told, second as u64 * S), []);
        }
    }
}
