//! The kernel's own judgement of the programs: each verdict by `BPF_PROG_TEST_RUN` beside the one of the same function on the
//! host. XDP's test run costs some 15 ms a call whatever it runs, so chance goes through the tcx program, which has the same gate.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

#[path = "../../../../ebpf/gate/tests/gate/frames.rs"]
#[allow(dead_code, unreachable_pub, reason = "the gate's own tests use the rest")]
mod frames;
#[allow(unreachable_pub, reason = "as its neighbours, which others use too")]
mod kernel;
#[path = "../../../../ebpf/gate/tests/gate/memory.rs"]
#[allow(dead_code, unreachable_pub, reason = "the gate's own tests use the rest")]
mod memory;
#[path = "../../../../ebpf/gate/tests/gate/properties.rs"]
#[allow(dead_code, unreachable_pub, reason = "the gate's own tests use the rest")]
mod properties;

use std::{
    io::Read,
    net::{SocketAddr, TcpListener, TcpStream},
};

use gate::{
    Verdict,
    abi::{BLOCK, BLOCKS_NESTED_MAX, Block, Count, Limit, Mode, Policy},
    decide,
};
use harness::{Namespace, Network, eventually, skip};

use crate::{
    frames::{Bare, Chance, Frame, tcp_checksum, v4},
    kernel::{Hook, Kernel},
    memory::Memory,
    properties::{DAY_NS, ESTABLISHED, admin_frames, any_tables},
};

/// Bytes by chance, the same in each run (SplitMix64).
struct Seed(u64);

impl Seed {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        for part in out.chunks_mut(8) {
            part.copy_from_slice(&self.next().to_ne_bytes()[..part.len()]);
        }
        out
    }
}

/// The programs in the kernel, and this thread in a network that forwards nothing, whatever this machine does; `None`, with the
/// reason printed, where that can't be.
fn kernel(test: &str) -> Option<Kernel> {
    let network = Namespace::new().map_err(|why| skip(test, &why)).ok()?;
    network.forward(false);
    network.enter();
    Some(Kernel::load())
}

/// Frames through both, in order; `+` passes, `-` is dropped, `?` is challenged. tcx lets pass what it can't challenge.
fn both(kernel: &mut Kernel, memory: &Memory, frame: &[u8], hook: Hook) -> (char, char) {
    let (now_ns, part) = (kernel.now_ns(), hook.of(frame));
    let verdict = match hook {
        Hook::TcxIp => decide(&Bare(part), memory, now_ns),
        Hook::Tcx | Hook::Xdp => decide(&part, memory, now_ns),
    };
    let host = match verdict {
        Verdict::Pass => '+',
        Verdict::Drop => '-',
        Verdict::Challenge(_) if hook == Hook::Xdp => '?',
        Verdict::Challenge(_) => '+',
    };
    (kernel.run(hook, frame), host)
}

/// 1 M frames, and 100,000 packets without an Ethernet header, in 500 rounds of new tables: the kernel and the host agree on each.
/// Limits are of days, so that the time between the
/// two is nothing.
#[test]
fn the_kernel_and_the_host_agree_on_a_million_frames() {
    const ROUNDS: u64 = 500;
    const FRAMES: u64 = 2_000;
    const BARE: u64 = 200;
    let Some(mut kernel) = kernel("the_kernel_and_the_host_agree_on_a_million_frames") else { return };
    let (mut dropped, mut short) = (0u64, 0u64);
    for round in 0..ROUNDS {
        let mut seed = Seed(round);
        let memory = any_tables(&mut Chance(&seed.bytes::<400>()));
        kernel.fill(&memory);
        for number in 0..FRAMES + BARE {
            let hook = if number < FRAMES { Hook::Tcx } else { Hook::TcxIp };
            let frame = loop {
                let frame = Chance(&seed.bytes::<48>()).frame();
                if hook.takes(&frame) {
                    break frame;
                }
                short += 1;
            };
            let (kernels, hosts) = both(&mut kernel, &memory, &frame, hook);
            assert_eq!(kernels, hosts, "round {round}, frame {number}: {frame:02x?}");
            dropped += u64::from(hosts == '-');
        }
        kernel.check_counters(&memory);
    }
    // It was worth asking.
    assert!(dropped > ROUNDS * FRAMES / 50, "{dropped} dropped");
    println!("{} frames, {dropped} dropped, {short} too short to be asked about", ROUNDS * (FRAMES + BARE));
}

/// X1: 10,000 rule sets by chance, after some traffic, and the administrator passes under each: by the admin port, by the allow
/// list, over loopback, in an established connection.
#[test]
fn no_rules_lock_the_administrator_out() {
    let Some(mut kernel) = kernel("no_rules_lock_the_administrator_out") else { return };
    let network = match Namespace::new() {
        Ok(network) => network,
        Err(why) => return skip("no_rules_lock_the_administrator_out", &why),
    };
    let address = SocketAddr::from(([198, 51, 100, 1], ESTABLISHED.1));
    network.run("ip", &["address", "add", "198.51.100.1/32", "dev", "lo"]).unwrap();
    network.run("ip", &["address", "add", "192.0.2.1/32", "dev", "lo"]).unwrap();
    network.run("ip", &["link", "set", "lo", "up"]).unwrap();
    network.inside(|| {
        let listener = TcpListener::bind("192.0.2.1:8443").unwrap();
        let client = bound(address);
        rustix::net::connect(&client, &listener.local_addr().unwrap()).unwrap();
        let (_served, from) = listener.accept().unwrap();
        assert_eq!(from, address);
        let mut verdicts = 0;
        for round in 0..10_000 {
            let mut seed = Seed(1_000_000 + round);
            let memory = any_tables(&mut Chance(&seed.bytes::<400>()));
            kernel.fill(&memory);
            for _ in 0..4 {
                let frame = Chance(&seed.bytes::<48>()).frame();
                if Hook::Tcx.takes(&frame) {
                    kernel.run(Hook::Tcx, &frame);
                }
            }
            for (number, frame) in admin_frames(&mut Chance(&seed.bytes::<16>())).iter().enumerate() {
                assert_eq!(kernel.run(Hook::Tcx, frame), '+', "round {round}, number {number}: {frame:02x?}");
                verdicts += 1;
            }
        }
        println!("{verdicts} verdicts, none of them a drop");
    });
}

fn bound(address: SocketAddr) -> rustix::fd::OwnedFd {
    use rustix::net::{AddressFamily, SocketType, bind, socket};
    let client = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&client, &address).unwrap();
    client
}

/// A limit of two SYNs a day.
fn two() -> Limit {
    Limit { interval_ns: DAY_NS, burst_ns: DAY_NS + DAY_NS / 2 }
}

fn policy(mode: Mode) -> Policy {
    Policy {
        mode: mode as u32,
        narrow_bits: [128, 64],
        wide_bits: [120, 48],
        syns_narrow: two(),
        ..Policy::default()
    }
}

/// Ports 443 of the policy, 22 of the administrator.
fn tables(policy: Policy) -> Memory {
    let mut memory = Memory::new();
    memory.set_policy(0, 1, policy);
    memory.set_port(0, 443, 1);
    memory.set_port(0, 22, gate::abi::ADMIN_PORT);
    memory
}

/// The same rules, and nothing seen yet.
fn again(memory: &Memory) -> Memory {
    let mut again = Memory::new();
    again.control = memory.control;
    again.ports = memory.ports.clone();
    again.policies = memory.policies.clone();
    again.rules = memory.rules.clone();
    again.blocks = memory.blocks.clone();
    again
}

/// All say the same of each.
#[track_caller]
fn check(kernel: &mut Kernel, memory: &Memory, frames: &[Frame], expected: &str) {
    for hook in [Hook::Tcx, Hook::TcxIp, Hook::Xdp] {
        // Tags are Ethernet's.
        if hook == Hook::TcxIp && frames.iter().any(|frame| !frame.tags.is_empty()) {
            continue;
        }
        kernel.fill(memory);
        let memory = again(memory);
        let seen: String = frames
            .iter()
            .map(|frame| {
                let (kernels, hosts) = both(kernel, &memory, &frame.bytes(), hook);
                assert_eq!(kernels, hosts, "{hook:?} {frame:?}");
                kernels
            })
            .collect();
        let expected = if hook == Hook::Xdp { expected.to_owned() } else { expected.replace('?', "+") };
        assert_eq!(seen, expected, "{hook:?}");
    }
}

#[test]
fn a_table_of_frames() {
    let Some(mut kernel) = kernel("a_table_of_frames") else { return };
    let kernel = &mut kernel;
    let syn = |source: &str| Frame::syn(source, 443);
    let tagged = |tags: &[u16]| Frame { tags: tags.to_vec(), ..syn("198.51.100.1") };
    let enforced = tables(policy(Mode::Enforce));
    check(
        kernel,
        &enforced,
        &[syn("198.51.100.1"), syn("198.51.100.1"), syn("198.51.100.1"), syn("198.51.100.2")],
        "++-+",
    );
    check(
        kernel,
        &enforced,
        &[tagged(&[]), tagged(&[0x8100]), tagged(&[0x88a8, 0x8100]), tagged(&[0x8100, 0x8100])],
        "++--",
    );
    check(
        kernel,
        &enforced,
        &[syn("2001:db8::1"), syn("2001:db8::2"), syn("2001:db8::3"), syn("2001:db8:0:1::")],
        "++-+",
    );
    let behind = |extensions: &[(u8, u8)]| Frame { extensions: extensions.to_vec(), ..syn("2001:db8::1") };
    let headers =
        [behind(&[(0, 0)]), behind(&[(60, 3); 6]), behind(&[(43, 0), (51, 4)]), behind(&[(60, 0); 7])];
    check(kernel, &enforced, &headers, "++-+");
    let options = |options| Frame { options, ..syn("198.51.100.1") };
    check(kernel, &enforced, &[options(0), options(10), options(3)], "++-");
    let part = |offset| Frame { fragment: Some((offset, true)), ..syn("198.51.100.1") };
    check(kernel, &enforced, &[part(0), part(0), part(0), part(1)], "++-+");
    let port = |port| Frame { port, ..syn("198.51.100.1") };
    check(kernel, &enforced, &[port(443), port(443), port(443), port(22), port(80)], "++-++");
    check(kernel, &tables(policy(Mode::Monitor)), &[port(443), port(443), port(443)], "+++");
    let mut blocked = tables(policy(Mode::Enforce));
    blocked.rules.push((0, [0; 16], 0, BLOCK));
    check(
        kernel,
        &blocked,
        &[syn("198.51.100.1"), Frame::ack("198.51.100.1", 443), Frame::syn("127.0.0.1", 443)],
        "--+",
    );
    let flood = Policy { flood: two(), through: two(), ..policy(Mode::Challenge) };
    let many: Vec<Frame> = (0..6).map(|host| syn(&format!("198.51.{host}.1"))).collect();
    check(kernel, &tables(flood), &many, "++++??");
}

/// A narrow block that is over, or milder, lies in one that holds; and behind so many that are over as are looked at.
#[test]
fn a_narrow_block_hides_no_wider_one() {
    let Some(mut kernel) = kernel("a_narrow_block_hides_no_wider_one") else { return };
    let (over, holds) = (1, u64::MAX);
    let narrow = |expires_ns, cost| (124u32, Block { expires_ns, cost, ..Block::default() });
    let wide = (112, Block { expires_ns: holds, ..Block::default() });
    let nested = |count: u32| (0..count).map(|up| (128 - up, Block { expires_ns: over, ..Block::default() }));
    let all: [(Vec<(u32, Block)>, &str); 7] = [
        (vec![wide], "--"),
        (vec![narrow(over, 0), wide], "--"),
        (vec![narrow(holds, 2), wide], "--"),
        (vec![narrow(holds, 0), (112, Block { expires_ns: over, ..Block::default() })], "-+"),
        (vec![narrow(over, 0)], "++"),
        (nested(BLOCKS_NESTED_MAX - 1).chain([wide]).collect(), "--"),
        (nested(BLOCKS_NESTED_MAX).chain([wide]).collect(), "+-"),
    ];
    for (blocks, expected) in all {
        let mut memory = tables(policy(Mode::Enforce));
        for (bits, block) in blocks {
            let start = gate::table::prefix(v4([198, 51, 100, 1]), bits);
            memory.blocks.push((start, bits, block));
        }
        let frames = ["198.51.100.1", "198.51.100.100"].map(|source| Frame::syn(source, 443));
        check(&mut kernel, &memory, &frames, expected);
    }
}

/// What a host sends on to others is none of the gate's business, by the routes as they are at that moment.
#[test]
fn what_is_forwarded_passes() {
    let Some(mut kernel) = kernel("what_is_forwarded_passes") else { return };
    let network = Namespace::new().unwrap();
    network.enter();
    let ip = |line: &str| network.run("ip", &line.split(' ').collect::<Vec<_>>()).unwrap();
    for line in [
        "link set lo up",
        "link add name near type veth peer name other",
        "link set dev near up",
        "link set dev other up",
        "addr add 192.0.2.1/24 dev near",
        "addr add 2001:db8::1/64 dev near nodad",
        "route add 203.0.113.0/24 via 192.0.2.2",
        "route add 198.51.100.0/24 via 192.0.2.2",
        "-6 route add 2001:db8:7::/48 via 2001:db8::2",
        "-6 route add 2001:db8:1::/48 via 2001:db8::2",
        "route add blackhole 203.0.113.66/32",
    ] {
        ip(line);
    }
    let is_local = |address: &str| ip(&format!("-6 route get {address}")).starts_with("local").then_some(());
    eventually("its own address is the host's", || is_local("2001:db8::1"));
    let mut memory = tables(policy(Mode::Enforce));
    memory.rules.push((0, [0; 16], 0, BLOCK));
    let kinds = |to: &str| {
        let source = if to.contains(':') { "2001:db8:1::7" } else { "198.51.100.1" };
        let syn = Frame { destination: frames::address(to), ..Frame::syn(source, 443) };
        let ack = Frame { destination: frames::address(to), ..Frame::ack(source, 443) };
        [syn.clone(), Frame { tags: vec![0x8100], ..syn.clone() }, ack, Frame { offset: 4, ..syn }]
    };
    let mut check = |to: &str, is_forwarded: bool| {
        if is_forwarded {
            memory.forwarded.push(frames::address(to));
        }
        for hook in [Hook::Tcx, Hook::Xdp] {
            kernel.fill(&memory);
            for frame in kinds(to) {
                let verdicts = both(&mut kernel, &memory, &frame.bytes(), hook);
                let expected = if is_forwarded { '+' } else { '-' };
                assert_eq!(verdicts, (expected, expected), "{hook:?} {to}: {frame:?}");
            }
            assert_eq!(kernel.counted(Count::Forwarded), if is_forwarded { 4 } else { 0 }, "{hook:?} {to}");
            assert_eq!(kernel.counted(Count::Syns), if is_forwarded { 0 } else { 3 }, "{hook:?} {to}");
        }
        memory.forwarded.clear();
    };
    network.forward(false);
    for to in ["192.0.2.1", "203.0.113.1", "2001:db8:7::1"] {
        check(to, false);
    }
    network.forward(true);
    for to in ["203.0.113.2", "203.0.113.66", "2001:db8:7::2", "192.0.2.7", "2001:db8::7"] {
        check(to, true);
    }
    // Its own; the network's, and what no route leads to.
    for to in ["192.0.2.1", "2001:db8::1", "192.0.2.255", "100.64.0.1", "2001:db9::1"] {
        check(to, false);
    }
    // What was another's a moment ago.
    ip("addr add 203.0.113.2/32 dev near");
    ip("addr add 2001:db8:7::2/128 dev near nodad");
    // It is the kernel that takes its time.
    eventually("the new address is the host's", || is_local("2001:db8:7::2"));
    check("203.0.113.2", false);
    check("2001:db8:7::2", false);
}

/// XDP is asked about what no test run of tcx takes, too: frames that end within their first headers.
#[test]
fn frames_end_anywhere() {
    let Some(mut kernel) = kernel("frames_end_anywhere") else { return };
    let memory =
        tables(Policy { syns_narrow: Limit { interval_ns: DAY_NS, burst_ns: 0 }, ..policy(Mode::Enforce) });
    kernel.fill(&memory);
    let frames = [
        Frame::syn("198.51.100.1", 443),
        Frame { tags: vec![0x88a8, 0x8100], options: 2, ..Frame::syn("198.51.100.1", 443) },
        Frame { extensions: vec![(0, 0), (60, 0)], ..Frame::syn("2001:db8::1", 443) },
    ];
    let mut dropped = 0;
    for frame in frames.map(|frame| frame.bytes()) {
        for end in 14..=frame.len() {
            let (kernels, hosts) = both(&mut kernel, &memory, &frame[..end], Hook::Xdp);
            assert_eq!(kernels, hosts, "{:02x?}", &frame[..end]);
            dropped += u32::from(hosts == '-');
        }
    }
    // All with a whole header but the first of each family.
    assert_eq!(dropped, 3 * 5 - 2);
}

/// The frame that goes back is a SYN-ACK with a cookie, tags and all.
#[test]
fn a_challenge_is_a_syn_ack() {
    let Some(mut kernel) = kernel("a_challenge_is_a_syn_ack") else { return };
    let once = Limit { interval_ns: DAY_NS, burst_ns: 0 };
    let memory = tables(Policy { flood: once, through: once, ..policy(Mode::Challenge) });
    kernel.fill(&memory);
    let first = Frame::syn("198.51.100.1", 443).bytes();
    assert_eq!([kernel.run(Hook::Xdp, &first), kernel.run(Hook::Xdp, &first)], ['+', '+']);
    let frames = [
        Frame::syn("198.51.100.1", 443),
        Frame { tags: vec![0x88a8, 0x8100], ..Frame::syn("198.51.100.1", 443) },
        Frame { options: 10, offset: 15, ..Frame::syn("198.51.100.1", 443) },
        Frame { offset: 5, ..Frame::syn("198.51.100.1", 443) },
        Frame::syn("2001:db8::7", 443),
        Frame { tags: vec![0x8100], extensions: vec![(60, 2)], ..Frame::syn("2001:db8::7", 443) },
    ];
    for frame in frames {
        let asked = frame.bytes();
        let (verdict, answer) = kernel.answer(&asked);
        assert_eq!(verdict, '?', "{frame:?}");
        assert_eq!((&answer[..6], &answer[6..12]), (&asked[6..12], &asked[..6]));
        let ip_at = 14 + frame.tags.len() * 4;
        assert_eq!(answer[12..ip_at], asked[12..ip_at]);
        let gate::Parsed::Segment(back) = gate::parse(&answer.as_slice()) else { panic!("{answer:02x?}") };
        assert_eq!((back.source.address(), back.destination.address()), (frame.destination, frame.source));
        assert_eq!((back.source_port, back.port, back.flags, back.header_bytes), (443, 40_000, 18, 24));
        let tcp = &answer[usize::from(back.tcp_at)..];
        assert_eq!(tcp.len(), 24);
        assert_eq!(tcp_checksum(&frame.source, &frame.destination, tcp), 0);
        assert_eq!(tcp[8..12], 1001u32.to_be_bytes());
        let mss = u16::from_be_bytes([tcp[22], tcp[23]]);
        assert!((500..=1460).contains(&mss), "{mss}");
    }
    assert_eq!(kernel.counted(Count::SynsChallenged), 6);
    // Its options end behind the frame.
    let mut cut = Frame { offset: 15, ..Frame::syn("198.51.100.1", 443) }.bytes();
    cut.truncate(14 + 20 + 30);
    assert_eq!(kernel.run(Hook::Xdp, &cut), '-');
}

/// What the kernel knows as a connection passes with everything blocked, by XDP too.
#[test]
fn established_connections_are_known() {
    let Some(mut kernel) = kernel("established_connections_are_known") else { return };
    let network = match Network::new() {
        Ok(network) => network,
        Err(why) => return skip("established_connections_are_known", &why),
    };
    let listener = network.gateway.inside(|| TcpListener::bind("[::]:443")).unwrap();
    for (client, gateway) in [
        (Network::CLIENT.to_ipv6_mapped(), Network::GATEWAY.to_ipv6_mapped()),
        (Network::CLIENT_V6, Network::GATEWAY_V6),
    ] {
        let to = SocketAddr::from((gateway.to_canonical(), 443));
        let mut connection = network.clients.inside(|| TcpStream::connect(to)).unwrap();
        let (served, _) = listener.accept().unwrap();
        let mut memory = tables(policy(Mode::Enforce));
        memory.rules.push((0, [0; 16], 0, BLOCK));
        let own = Frame {
            source: client.octets(),
            destination: gateway.octets(),
            source_port: connection.local_addr().unwrap().port(),
            ..Frame::ack("198.51.100.1", 443)
        };
        let frames = [
            own.clone(),
            Frame { flags: frames::RST, ..own.clone() },
            Frame { source_port: own.source_port ^ 1, ..own.clone() },
            Frame { source: v4([198, 51, 100, 1]), destination: v4([10, 9, 0, 1]), ..own.clone() },
            Frame { flags: frames::SYN, ..own },
        ];
        for hook in [Hook::Tcx, Hook::Xdp] {
            kernel.fill(&memory);
            let seen: String = network
                .gateway
                .inside(|| frames.iter().map(|frame| kernel.run(hook, &frame.bytes())).collect());
            assert_eq!(seen, "++---", "{hook:?} {gateway}");
            assert_eq!(kernel.counted(Count::Established), 2);
        }
        drop(served);
        assert_eq!(connection.read(&mut [0]).unwrap(), 0);
    }
}
