//! Who passes and who does not.

use gate::{
    Verdict,
    abi::{ADMIN_PORT, ALLOW, BLOCK, Block, Count, InForce, Limit, Mode, Policy, SourceKey},
    decide,
};

use crate::{
    frames::{Frame, SYN, address},
    memory::Memory,
};

const MS: u64 = 1_000_000;
/// When the cases begin.
const START_NS: u64 = 1_000_000 * MS;

/// Of one event in 10 ms and `burst` at once.
fn limit(burst: u64) -> Limit {
    Limit { interval_ns: 10 * MS, burst_ns: 10 * MS * (burst - 1) }
}

fn policy(mode: Mode) -> Policy {
    Policy {
        mode: mode as u32,
        narrow_bits: [128, 64],
        wide_bits: [120, 48],
        syns_narrow: limit(2),
        syns_wide: limit(4),
        ..Policy::default()
    }
}

/// Port 443 is under the policy, 22 is the administrator's.
fn tables(policy: Policy) -> Memory {
    let mut memory = Memory::new();
    memory.set_policy(0, 1, policy);
    memory.set_port(0, 443, 1);
    memory.set_port(0, 22, ADMIN_PORT);
    memory
}

fn prefix(text: &str, bits: u32) -> ([u8; 16], u32) {
    (address(text), if text.contains(':') { bits } else { 96 + bits })
}

/// Frames at ms since the start; `+` passes, `-` is dropped, `?` is challenged.
#[track_caller]
fn check(memory: &Memory, frames: &[(Frame, u64)], expected: &str) {
    let seen: String = frames
        .iter()
        .map(|(frame, at_ms)| match decide(&frame.bytes().as_slice(), memory, START_NS + at_ms * MS) {
            Verdict::Pass => '+',
            Verdict::Drop => '-',
            Verdict::Challenge(_) => '?',
        })
        .collect();
    assert_eq!(seen, expected);
}

fn syn(source: &str) -> (Frame, u64) {
    (Frame::syn(source, 443), 0)
}

fn ack(source: &str) -> (Frame, u64) {
    (Frame::ack(source, 443), 0)
}

#[test]
fn narrow_prefixes_have_their_limit() {
    let memory = tables(policy(Mode::Enforce));
    let at = |ms| (Frame::syn("198.51.100.1", 443), ms);
    check(&memory, &[at(0), at(0), at(0), at(9), at(10), at(10), at(500), at(500), at(500)], "++--+-++-");
    assert_eq!(memory.counted(Count::Syns), 9);
    assert_eq!(memory.counted(Count::SynsPassed), 5);
    assert_eq!(memory.counted(Count::SynsOverNarrow4), 4);
    assert_eq!(memory.counted(Count::Dropped), 4);
    let key = SourceKey { address: address("198.51.100.1"), bits: 128, policy: 1, pad: [0; 2] };
    let known = memory.sighting(&key).unwrap();
    assert_eq!((known.syns, known.syns_over, known.over_ns), (5, 4, START_NS + 500 * MS));
}

/// While somebody has nothing left he is refused without a look at anything else, and for no longer.
#[test]
fn refusals_are_remembered() {
    let source = |port| Frame::syn("198.51.100.1", port);
    let mut memory = tables(policy(Mode::Enforce));
    memory.set_policy(0, 2, policy(Mode::Enforce));
    memory.set_port(0, 8443, 2);
    let burst = [(source(443), 0), (source(443), 0), (source(443), 0)];
    check(&memory, &burst, "++-");
    // Nobody else's, and not by another policy.
    check(&memory, &[(Frame::syn("198.51.100.2", 443), 1), (source(8443), 1), (source(443), 1)], "++-");
    let key = |policy| SourceKey { address: address("198.51.100.1"), bits: 128, policy, pad: [0; 2] };
    let refusal = memory.refused(&key(1).address);
    assert_eq!((refusal.whose, refusal.uncounted), (128 << 32 | 1, 1));
    assert_eq!(refusal.until_ns, START_NS + 10 * MS);
    assert_eq!(memory.sighting(&key(1)).unwrap().syns_over, 1);
    assert_eq!(memory.counted(Count::SynsOverNarrow4), 2);
    // The next that is looked at brings what was not counted yet.
    check(&memory, &[(source(443), 10), (source(443), 10)], "+-");
    assert_eq!(memory.sighting(&key(1)).unwrap().syns_over, 3);
    // Malformed ones are counted as such.
    check(&memory, &[(Frame { offset: 4, ..source(443) }, 11)], "-");
    assert_eq!(memory.counted(Count::Malformed), 1);
    // New rules count soon, however long there would be nothing: a tenth of a second.
    let slow = Limit { interval_ns: 10_000 * MS, burst_ns: 0 };
    let mut memory = tables(Policy { syns_narrow: slow, ..policy(Mode::Enforce) });
    check(&memory, &burst, "+--");
    memory.rules.push((0, address("198.51.100.1"), 128, ALLOW));
    check(&memory, &[(source(443), 99), (source(443), 100)], "-+");
    // In a flood he may prove that he is there like everybody else.
    let through = Limit { interval_ns: 20 * MS, burst_ns: 0 };
    let memory = tables(Policy { flood: limit(3), through, ..policy(Mode::Challenge) });
    check(&memory, &[0, 0, 0, 0, 0].map(|at_ms| (source(443), at_ms)), "++-+?");
}

#[test]
fn wide_prefixes_have_theirs() {
    let memory = tables(policy(Mode::Enforce));
    let hosts =
        ["198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4", "198.51.100.5", "198.51.101.1"];
    check(&memory, &hosts.map(syn), "++++-+");
    assert_eq!(memory.counted(Count::SynsOverWide4), 1);
    let memory = tables(policy(Mode::Enforce));
    let hosts = [
        "2001:db8::1",
        "2001:db8::2",
        "2001:db8::3",
        "2001:db8:0:1::",
        "2001:db8:0:2::",
        "2001:db8:0:3::",
        "2001:db8:1::",
    ];
    check(&memory, &hosts.map(syn), "++-++-+");
    assert_eq!(memory.counted(Count::SynsOverNarrow6), 1);
    assert_eq!(memory.counted(Count::SynsOverWide6), 1);
}

#[test]
fn modes() {
    for (mode, expected) in
        [(Mode::Off, "++++"), (Mode::Monitor, "++++"), (Mode::Enforce, "++--"), (Mode::Challenge, "++--")]
    {
        let memory = tables(policy(mode));
        check(&memory, &[(); 4].map(|()| syn("198.51.100.1")), expected);
        assert_eq!(memory.counted(Count::SynsOverNarrow4), if mode == Mode::Off { 0 } else { 2 }, "{mode:?}");
        assert_eq!(memory.counted(Count::Dropped), u64::from(expected.ends_with('-')) * 2);
    }
}

#[test]
fn what_is_nobodys_business_passes() {
    let mut memory = tables(Policy { syns_narrow: limit(1), ..policy(Mode::Enforce) });
    memory.rules.push((0, [0; 16], 0, BLOCK));
    let frame = |port| (Frame::syn("198.51.100.1", port), 0);
    check(&memory, &[frame(80), frame(22), frame(443), frame(0), frame(65_535)], "++-++");
    for source in ["127.0.0.1", "::1"] {
        check(&memory, &[syn(source)], "+");
    }
    let udp = (Frame { protocol: 17, ..Frame::syn("198.51.100.1", 443) }, 0);
    let rest = (Frame { fragment: Some((5, true)), ..Frame::syn("198.51.100.1", 443) }, 0);
    check(&memory, &[udp, rest], "++");
    assert_eq!(memory.counted(Count::Unparsed), 1);
}

#[test]
fn rules_are_by_the_longest_prefix() {
    let mut memory = tables(Policy { syns_narrow: limit(1), ..policy(Mode::Enforce) });
    for (text, bits, rule) in
        [("198.51.100.0", 24, BLOCK), ("198.51.100.128", 25, ALLOW), ("2001:db8::", 32, BLOCK)]
    {
        let (start, bits) = prefix(text, bits);
        memory.rules.push((0, start, bits, rule));
    }
    let all = [
        syn("198.51.100.1"),
        ack("198.51.100.1"),
        syn("198.51.100.129"),
        syn("198.51.100.129"),
        syn("2001:db8::1"),
        syn("198.51.101.1"),
    ];
    check(&memory, &all, "--++-+");
    assert_eq!(memory.counted(Count::Blocked), 3);
    assert_eq!(memory.counted(Count::Allowed), 2);
}

#[test]
fn blocks_hold_for_a_while() {
    let mut memory = tables(policy(Mode::Enforce));
    let (start, bits) = prefix("198.51.100.0", 24);
    let block = |cost| Block { expires_ns: START_NS + 5 * MS, cost, ..Block::default() };
    memory.blocks.push((start, bits, block(0)));
    let at = |ms| (Frame::syn("198.51.100.1", 443), ms);
    check(&memory, &[at(0), at(4), at(5), at(5), at(5)], "--++-");
    assert_eq!(memory.counted(Count::BlockedForAWhile), 2);
    // A SYN that costs three leaves room for none in the next 20 ms.
    let mut memory = tables(policy(Mode::Enforce));
    memory.blocks.push((start, bits, Block { expires_ns: u64::MAX, ..block(3) }));
    check(&memory, &[at(0), at(1), at(19), at(20), at(21)], "+--+-");
    // Its neighbours do not pay for it.
    check(&memory, &[(Frame::syn("198.51.100.2", 443), 21)], "+");
}

/// Blocks of these IPv4 prefixes, with ms until they end and what they cost; at what ms SYNs of 198.51.100.1 come.
#[track_caller]
fn check_nested(blocks: &[(&str, u32, u64, u32)], at_ms: &[u64], expected: &str) {
    let mut memory = tables(policy(Mode::Enforce));
    for (text, bits, ends_ms, cost) in blocks {
        let (start, bits) = prefix(text, *bits);
        let block = Block { expires_ns: START_NS + ends_ms * MS, cost: *cost, ..Block::default() };
        memory.blocks.push((start, bits, block));
    }
    let frames: Vec<_> = at_ms.iter().map(|ms| (Frame::syn("198.51.100.1", 443), *ms)).collect();
    check(&memory, &frames, expected);
}

/// What is for another host passes whatever holds for its port, and counts against nobody.
#[test]
fn what_is_forwarded_is_nobodys_business() {
    let mut memory = tables(Policy {
        syns_narrow: limit(1),
        packets_narrow: limit(1),
        flood: limit(2),
        through: Limit { interval_ns: 1_000 * MS, burst_ns: 0 },
        ..policy(Mode::Challenge)
    });
    memory.forwarded.push(address("203.0.113.9"));
    let other = |frame: (Frame, u64)| (Frame { destination: address("203.0.113.9"), ..frame.0 }, frame.1);
    let short = |(frame, at)| (Frame { offset: 4, ..frame }, at);
    let [knock, push] = [syn("198.51.100.1"), ack("198.51.100.1")];
    let many: Vec<_> = (0..9).flat_map(|_| [other(knock.clone()), other(push.clone())]).collect();
    check(&memory, &many, "++++++++++++++++++");
    check(&memory, &[other(short(knock.clone())), other(short(push.clone()))], "++");
    assert_eq!((memory.counted(Count::Forwarded), memory.counted(Count::Syns), memory.sources()), (20, 0, 0));
    // Its sender is as good as new here.
    check(&memory, &[push.clone(), push, knock.clone()], "+-+");
    memory.rules.push((0, [0; 16], 0, BLOCK));
    check(&memory, &[other(knock.clone()), knock], "+-");
}

/// Whatever lies inside of a wider one, whoever is in it is held back by it as long as it lasts.
#[test]
fn a_narrow_block_hides_no_wider_one() {
    let wide = ("198.51.0.0", 16, 50, 0);
    check_nested(&[wide], &[0, 49, 50], "--+");
    // One that is over.
    check_nested(&[("198.51.100.1", 32, 10, 0), wide], &[9, 10, 49, 50], "---+");
    // One that is over, in one that is over.
    check_nested(
        &[("198.51.100.1", 32, 1, 0), ("198.51.100.0", 24, 2, 2), wide],
        &[0, 1, 2, 49, 50],
        "----+",
    );
    // A milder one.
    check_nested(&[("198.51.100.1", 32, 90, 2), wide], &[0, 49, 50], "--+");
    // Of two that only cost the dearer counts: three make it 30 ms.
    check_nested(&[("198.51.100.1", 32, 90, 2), ("198.51.100.0", 24, 90, 3)], &[0, 1, 19, 20], "+--+");
    check_nested(&[("198.51.100.1", 32, 90, 3), ("198.51.100.0", 24, 90, 2)], &[0, 1, 19, 20], "+--+");
    // A narrower one of somebody else.
    check_nested(&[("198.51.100.2", 32, 10, 0), wide], &[20], "-");
    check_nested(&[("198.51.100.1", 32, 10, 0), ("198.51.101.0", 24, 90, 0)], &[9, 10], "-+");
    // As many as are looked at.
    let nested: Vec<_> =
        (0..8).map(|up| ("198.51.100.0", 31 - up, if up == 7 { 50 } else { 1 }, 0)).collect();
    check_nested(&nested, &[0, 10, 49, 50], "---+");
}

#[test]
fn established_flows_pass_before_anything_is_dropped() {
    let mut memory = tables(Policy { packets_narrow: limit(1), ..policy(Mode::Enforce) });
    memory.rules.push((0, [0; 16], 0, BLOCK));
    memory.established.push((address("198.51.100.1"), 40_000, address("192.0.2.1"), 443));
    let short = |source| (Frame { offset: 4, ..Frame::ack(source, 443) }, 0);
    check(
        &memory,
        &[ack("198.51.100.1"), short("198.51.100.1"), ack("198.51.100.2"), short("198.51.100.2")],
        "++--",
    );
    assert_eq!(memory.counted(Count::Established), 2);
    memory.rules.clear();
    let many = [(); 5].map(|()| ack("198.51.100.1"));
    check(&memory, &many, "+++++");
    // Those of others have their limit; a SYN is none of them.
    check(&memory, &[ack("198.51.100.2"), ack("198.51.100.2"), syn("198.51.100.2")], "+-+");
    assert_eq!(memory.counted(Count::PacketsOverNarrow), 1);
}

#[test]
fn packets_have_a_wide_limit_too() {
    let memory = tables(Policy { packets_wide: limit(2), ..policy(Mode::Enforce) });
    check(
        &memory,
        &[ack("198.51.100.1"), ack("198.51.100.2"), ack("198.51.100.3"), ack("198.51.101.3")],
        "++-+",
    );
    assert_eq!(memory.counted(Count::PacketsOverWide), 1);
}

#[test]
fn headers_that_can_not_be_are_dropped_where_there_is_a_policy() {
    let memory = tables(policy(Mode::Enforce));
    let short = |port| (Frame { offset: 4, ..Frame::syn("198.51.100.1", port) }, 0);
    check(&memory, &[short(443), short(80), short(22)], "-++");
    let memory = tables(policy(Mode::Monitor));
    check(&memory, &[short(443)], "+");
    assert_eq!(memory.counted(Count::Malformed), 1);
}

/// A flood is above 3 SYNs at once; while it lasts nobody new is remembered.
#[test]
fn floods_are_challenged() {
    let flood = Policy {
        flood: limit(3),
        through: Limit { interval_ns: 20 * MS, burst_ns: 0 },
        ..policy(Mode::Challenge)
    };
    let memory = tables(flood);
    let hosts: Vec<_> = (0..8).map(|host| syn(&format!("198.51.{host}.1"))).collect();
    check(&memory, &hosts, "++++????");
    assert_eq!(memory.counted(Count::SynsThrough), 1);
    assert_eq!(memory.sources(), 6);
    assert_eq!(memory.events.borrow().len(), 1);
    assert_eq!(memory.events.borrow()[0].what, Count::SynsChallenged as u16);
    assert_eq!(memory.events.borrow()[0].source.bits, 0);
    // It is one for a second, though there is room for one more each 10 ms; some are let through.
    let at = |ms| (Frame::syn("198.51.100.1", 443), ms);
    check(&memory, &[at(15), at(20), at(30), at(40), at(999), at(1_000), at(1_001)], "?+?++++");
    assert_eq!(memory.events.borrow().len(), 1);
    // Others are limited, and who is not known passes.
    let memory = tables(Policy { mode: Mode::Enforce as u32, ..flood });
    check(&memory, &hosts, "++++++++");
    assert_eq!(memory.sources(), 6);
    let known: Vec<_> = [0; 4].iter().map(|_| syn("198.51.0.1")).collect();
    check(&memory, &known, "+---");
}

#[test]
fn events_are_edges() {
    let memory = tables(policy(Mode::Monitor));
    let at = |ms| (Frame::syn("198.51.100.1", 443), ms);
    check(&memory, &[at(0), at(0), at(0), at(0), at(10), at(10)], "++++++");
    assert_eq!(memory.events.borrow().len(), 1);
    let event = memory.events.borrow()[0];
    assert_eq!((event.at_ns, event.port, event.what), (START_NS, 443, Count::SynsOverNarrow4 as u16));
    assert_eq!(
        (event.source.address, event.source.bits, event.source.policy),
        (address("198.51.100.1"), 128, 1)
    );
    // Quiet for a second, and above it again.
    check(&memory, &[at(1_012), at(1_012), at(1_012)], "+++");
    assert_eq!(memory.events.borrow().len(), 2);
}

#[test]
fn nobody_is_held_back_by_a_table_that_is_full() {
    let mut memory = tables(Policy { syns_narrow: limit(1), ..policy(Mode::Enforce) });
    memory.sources_max = 2;
    let all = [syn("198.51.100.1"), syn("198.51.100.1"), syn("203.0.113.1"), syn("203.0.113.1")];
    check(&memory, &all, "+-++");
    assert_eq!(memory.counted(Count::SourcesFull), 4);
}

#[test]
fn a_gateway_that_is_dead_holds_nobody_back() {
    let mut memory = tables(policy(Mode::Enforce));
    memory.rules.push((0, [0; 16], 0, BLOCK));
    let at = |ms| (Frame::syn("198.51.100.1", 443), ms);
    memory.control[0] = START_NS;
    check(&memory, &[at(0), at(3_000), at(3_001), at(60_000)], "--++");
    assert_eq!(memory.counted(Count::NoHeartbeat), 2);
    memory.control[0] = 0;
    check(&memory, &[at(0)], "+");
}

/// Set 0 blocks everybody, set 1 nobody.
#[test]
fn rules_on_trial_give_way_by_themselves() {
    let mut memory = tables(policy(Mode::Enforce));
    memory.rules.push((0, [0; 16], 0, BLOCK));
    memory.set_policy(1, 1, policy(Mode::Enforce));
    memory.set_port(1, 443, 1);
    let ends_ms = START_NS / MS + 60_000;
    let at = |ms| (Frame::syn("198.51.100.1", 443), ms);
    let trial = |before| InForce { set: 0, before, trial_ends_ms: ends_ms };
    for before in [1, InForce::NOTHING] {
        memory.in_force(trial(before));
        check(&memory, &[at(0), at(59_999), at(60_000), at(90_000)], "--++");
    }
    memory.in_force(InForce { trial_ends_ms: 0, ..trial(1) });
    check(&memory, &[at(0), at(60_000)], "--");
    memory.in_force(InForce { set: InForce::NOTHING, before: 0, trial_ends_ms: 0 });
    check(&memory, &[at(0)], "+");
}

/// Everything of a connection but its SYN passes without a limit on packets.
#[test]
fn other_segments_are_not_counted() {
    let memory = tables(policy(Mode::Enforce));
    for flags in [16, 24, 17, 4, SYN | 16, 0] {
        let frame = Frame { flags, ..Frame::ack("198.51.100.1", 443) };
        let many: Vec<_> = (0..10).map(|_| (frame.clone(), 0)).collect();
        check(&memory, &many, "++++++++++");
    }
    assert_eq!(memory.counted(Count::Syns), 0);
    assert_eq!(memory.sources(), 0);
}
