//! What holds for any tables and any frames. Both come from bytes, so that chance and a fuzzer can look for what breaks it.

use gate::{
    Packet, Verdict,
    abi::{ADMIN_PORT, ALLOW, BLOCK, Block, InForce, Limit, Policy},
    decide,
};

use crate::{
    frames::{Bare, Chance, Frame, v4},
    memory::Memory,
};

/// 1 d: so long that the time a test takes changes no verdict.
pub const DAY_NS: u64 = 86_400_000_000_000;

/// Tables as chance makes them, with `admin` among the ports and `friend` in the allow list.
pub fn any_tables(chance: &mut Chance<'_>) -> Memory {
    let mut memory = Memory::new();
    let before = chance.pick(&[0, 1, InForce::NOTHING]);
    memory.in_force(InForce { set: chance.below(2), before, trial_ends_ms: chance.pick(&[0, 0, 1]) });
    for set in 0..2 {
        for number in 1..4 {
            memory.set_policy(set, number, any_policy(chance));
        }
        for port in [80, 443, 8080, 8443] {
            let number = chance.pick(&[0, 1, 1, 2, 2, 3, 3, 7, 16, ADMIN_PORT]);
            memory.set_port(set, port, number);
        }
        memory.set_port(set, 22, ADMIN_PORT);
        memory.rules.push((set, FRIEND, 128, ALLOW));
        for _ in 0..chance.below(4) {
            let rule = chance.pick(&[ALLOW, BLOCK, BLOCK, 9]);
            let bits = any_bits(chance);
            memory.rules.push((set, masked(chance.address(), bits), bits, rule));
        }
        if chance.one_in(3) {
            memory.rules.push((set, [0; 16], 0, BLOCK));
        }
    }
    for _ in 0..chance.below(4) {
        let bits = any_bits(chance);
        let expires_ns = chance.pick(&[1, u64::MAX]);
        let block = Block { expires_ns, cost: chance.pick(&[0, 0, 1, 2, u32::MAX]), ..Block::default() };
        memory.blocks.push((masked(chance.address(), bits), bits, block));
    }
    // A trie has one entry for a prefix.
    let mut seen = Vec::new();
    memory.rules.retain(|(set, prefix, bits, _)| fresh(&mut seen, (*set, *prefix, *bits)));
    memory.blocks.retain(|(prefix, bits, _)| fresh(&mut seen, (9, *prefix, *bits)));
    memory
}

fn fresh<T: PartialEq>(seen: &mut Vec<T>, one: T) -> bool {
    let is = !seen.contains(&one);
    seen.push(one);
    is
}

fn any_bits(chance: &mut Chance<'_>) -> u32 {
    chance.pick(&[128, 128, 126, 120, 119, 64, 56, 48, 96, 0])
}

fn masked(address: [u8; 16], bits: u32) -> [u8; 16] {
    let mask = if bits == 0 { 0 } else { u128::MAX << (128 - bits) };
    (u128::from_be_bytes(address) & mask).to_be_bytes()
}

fn any_policy(chance: &mut Chance<'_>) -> Policy {
    Policy {
        mode: chance.pick(&[0, 1, 2, 2, 2, 3, 3, 4]),
        narrow_bits: chance.pick(&[[128, 64], [128, 64], [127, 128], [120, 56], [200, 0]]),
        wide_bits: chance.pick(&[[120, 48], [120, 48], [96, 47], [112, 32]]),
        syns_narrow: any_limit(chance),
        syns_wide: any_limit(chance),
        packets_narrow: any_limit(chance),
        packets_wide: any_limit(chance),
        flood: any_limit(chance),
        through: any_limit(chance),
    }
}

/// None, or some events and no more for days.
fn any_limit(chance: &mut Chance<'_>) -> Limit {
    match chance.pick(&[u64::MAX, u64::MAX, 0, 1, 5, 20, 100, 1000]) {
        u64::MAX => Limit::default(),
        burst => Limit { interval_ns: DAY_NS, burst_ns: DAY_NS * burst + DAY_NS / 2 },
    }
}

/// Who is always let in.
pub const FRIEND: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, 113, 77];

/// Frames that pass whatever the tables say: of an admin port, from the allow list, of loopback, of an established connection.
pub fn admin_frames(chance: &mut Chance<'_>) -> [Vec<u8>; 5] {
    let mut frame = Frame::syn("198.51.100.1", 0);
    frame.flags = chance.pick(&[2, 16, 4, 24, 1]);
    frame.offset = chance.pick(&[5, 6, 2]);
    if chance.one_in(3) {
        frame.tags.push(0x8100);
    }
    frame.options = chance.below(3);
    let port = chance.pick(&[80, 443, 8080, 8443]);
    let source = v4([198, 51, 100, chance.below(8)]);
    [
        Frame { port: 22, source, ..frame.clone() }.bytes(),
        Frame { port, source: FRIEND, ..frame.clone() }.bytes(),
        Frame { port, source: v4([127, 0, 0, 1]), ..frame.clone() }.bytes(),
        Frame { port, destination: v4([127, 1, 2, 3]), source, ..frame.clone() }.bytes(),
        Frame { port: 8443, source: ESTABLISHED.0, source_port: ESTABLISHED.1, flags: 16, ..frame }.bytes(),
    ]
}

/// Of a connection that is established with port 8443.
pub const ESTABLISHED: ([u8; 16], u16) = (FRIENDLESS, 50_123);
const FRIENDLESS: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 198, 51, 100, 1];

/// Whatever came before, and however full the tables are: nobody is locked out.
pub fn never_locks_out(bytes: &[u8]) {
    let mut chance = Chance(bytes);
    let mut memory = any_tables(&mut chance);
    memory.sources_max = usize::from(chance.pick(&[0u8, 1, 2, 255]));
    memory.established.push((ESTABLISHED.0, ESTABLISHED.1, v4([192, 0, 2, 1]), 8443));
    let mut now_ns = DAY_NS;
    for _ in 0..8 {
        for _ in 0..chance.below(16) {
            let frame = chance.frame();
            decide(&frame.as_slice(), &memory, now_ns);
        }
        for (number, frame) in admin_frames(&mut chance).iter().enumerate() {
            let verdict = decide(&frame.as_slice(), &memory, now_ns);
            assert_eq!(verdict, Verdict::Pass, "number {number}: {frame:02x?}");
        }
        now_ns += u64::from(chance.byte()) << chance.below(50);
    }
}

/// Any bytes are decided about without a panic, and only what is a segment of TCP for a port with a policy is held back.
pub fn any_frame(bytes: &[u8]) {
    let (seed, frame) = bytes.split_at(bytes.len().min(200));
    any_packet(seed, &frame);
    any_packet(seed, &Bare(frame));
}

fn any_packet(seed: &[u8], packet: &impl Packet) {
    let mut chance = Chance(seed);
    let memory = any_tables(&mut chance);
    for _ in 0..3 {
        let verdict = decide(packet, &memory, DAY_NS);
        if verdict != Verdict::Pass {
            let gate::Parsed::Segment(segment) = gate::parse(packet) else { panic!("it was no segment") };
            assert!([80, 443, 8080, 8443].contains(&segment.port), "{segment:?}");
            assert!(!segment.source.is_loopback() && segment.source.address() != FRIEND);
        }
    }
}
