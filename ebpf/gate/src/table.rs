//! The same limits where there is no kernel to keep them: who accepts a connection asks. A bounded table of atomics that all
//! cores share, with the kernel's own arithmetic. It knows no socket and no clock.
//!
//! A table that is full lets pass, as the kernel's does: it may forget, it must not lock out.

use crate::abi::{Address, Limit, Mode, Policy, V4_BITS};
use crate::limit::{Word, take};
use core::net::IpAddr;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::boxed::Box;
use std::hash::{BuildHasher, RandomState};
use std::vec::Vec;

/// Places that one prefix may have: what hashes to a place looks at this many behind it.
const PROBES: usize = 8;
/// Prefixes that may be held back at once.
const HOLDS_MAX: usize = 4_096;
/// The lower bits of a hold say what a connection costs, the others when it ends.
const COST_BITS: u32 = 16;
const NS_A_MS: u64 = 1_000_000;

/// An address as the tables have it.
pub const fn address(from: IpAddr) -> Address {
    match from {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// The first `bits` of an address; the rest is 0.
pub const fn prefix(address: Address, bits: u32) -> Address {
    let bits = if bits > 128 { 128 } else { bits };
    let mask = if bits == 0 { 0 } else { u128::MAX << (128 - bits) };
    (u128::from_be_bytes(address) & mask).to_be_bytes()
}

/// 0: IPv4, 1: IPv6.
fn family(address: Address) -> usize {
    usize::from(u128::from_be_bytes(address) >> (128 - V4_BITS) != 0xffff)
}

/// A prefix in an [`Address`]: its first so many bits.
pub type Prefix = (Address, u32);

/// One policy's limits on connections, for listeners that have no front line in the kernel. Shared by all cores.
#[derive(Debug)]
pub struct Limiter {
    policy: Policy,
    allow: Box<[Prefix]>,
    block: Box<[Prefix]>,
    slots: Box<[Slot]>,
    holds: Box<[Hold]>,
    /// How long the prefixes are that are held back, or were: a bit for each length, in words. All 0: nobody has to look.
    held_bits: [AtomicU64; 3],
    keys: RandomState,
    refused: AtomicU64,
    over: AtomicU64,
}

/// Whose, and when the next may come; 0: nobody's.
#[derive(Debug, Default)]
struct Slot {
    tag: AtomicU64,
    tat_ns: AtomicU64,
}

/// Who is held back, until when in ms, and at what cost; 0: nobody.
#[derive(Debug, Default)]
struct Hold {
    tag: AtomicU64,
    word: AtomicU64,
}

impl Limiter {
    /// A limiter with room for so many prefixes. Who is in `allow` always passes, who is in `block` never does. Both are searched from
    /// end to end at each accept: they are for dozens, not thousands.
    pub fn new(policy: Policy, allow: Vec<Prefix>, block: Vec<Prefix>, prefixes_max: usize) -> Self {
        let slots = (0..prefixes_max.max(PROBES).next_power_of_two()).map(|_| Slot::default()).collect();
        Self {
            policy,
            allow: allow.into(),
            block: block.into(),
            slots,
            holds: (0..HOLDS_MAX).map(|_| Hold::default()).collect(),
            held_bits: Default::default(),
            keys: RandomState::new(),
            refused: AtomicU64::new(0),
            over: AtomicU64::new(0),
        }
    }

    /// Whether a connection that was just accepted may live. `now_ns` is of any clock that does not go back.
    pub fn admit(&self, from: IpAddr, now_ns: u64) -> bool {
        let enforced = match self.policy.mode {
            mode if mode == Mode::Off as u32 => return true,
            mode => mode != Mode::Monitor as u32,
        };
        if from.to_canonical().is_loopback() {
            return true;
        }
        let from = address(from);
        let is_in = |set: &[Prefix]| set.iter().any(|&(start, bits)| prefix(from, bits) == start);
        if is_in(&self.allow) {
            return true;
        }
        let family = family(from);
        let narrow = u32::from(self.policy.narrow_bits[family]);
        let wide = u32::from(self.policy.wide_bits[family]);
        let start = prefix(from, narrow);
        let cost = self.cost(from, now_ns);
        if !is_in(&self.block)
            && cost > 0
            && self.take(start, narrow, self.policy.syns_narrow, cost, now_ns)
            && self.take(prefix(from, wide), wide, self.policy.syns_wide, 1, now_ns)
        {
            return true;
        }
        self.over.fetch_add(1, Relaxed);
        if enforced {
            self.refused.fetch_add(1, Relaxed);
        }
        !enforced
    }

    /// Connections above a limit, and those of them that were refused.
    pub fn counts(&self) -> (u64, u64) {
        (self.over.load(Relaxed), self.refused.load(Relaxed))
    }

    /// Holds a prefix back until then, by the clock of [`Limiter::admit`]: each connection costs the time of so many; 0: none is let
    /// in. One that ends now is let go. For one thread. False: too many others are held back.
    pub fn hold(&self, (start, bits): Prefix, expires_ns: u64, cost: u16, now_ns: u64) -> bool {
        let tag = self.tag(start, bits);
        let is_free = |hold: &&Hold| hold.ends_ms() <= now_ns / NS_A_MS;
        let own = self.places(tag).find(|hold| hold.tag.load(Relaxed) == tag);
        let Some(hold) = own.or_else(|| self.places(tag).find(is_free)) else { return false };
        // Who looks in between finds no hold.
        hold.word.store(0, Relaxed);
        hold.tag.store(tag, Relaxed);
        hold.word.store((expires_ns / NS_A_MS) << COST_BITS | u64::from(cost), Relaxed);
        self.held_bits[bits as usize / 64].fetch_or(1 << (bits % 64), Relaxed);
        true
    }

    /// What a connection from there costs now, by the longest prefix that is held back; 0: it is not let in.
    fn cost(&self, from: Address, now_ns: u64) -> u64 {
        for word in (0..self.held_bits.len()).rev() {
            let mut lengths = self.held_bits[word].load(Relaxed);
            while let Some(bit) = lengths.checked_ilog2() {
                lengths &= !(1 << bit);
                let bits = word as u32 * 64 + bit;
                let tag = self.tag(prefix(from, bits), bits);
                let own = self.places(tag).find(|hold| hold.tag.load(Relaxed) == tag);
                let word = own.map_or(0, |hold| hold.word.load(Relaxed));
                if word >> COST_BITS > now_ns / NS_A_MS {
                    return word & ((1 << COST_BITS) - 1);
                }
            }
        }
        1
    }

    fn places(&self, tag: u64) -> impl Iterator<Item = &Hold> {
        (0..PROBES).map(move |probe| &self.holds[(tag as usize >> 1).wrapping_add(probe) & (HOLDS_MAX - 1)])
    }

    /// 0 is nobody's.
    fn tag(&self, start: Address, bits: u32) -> u64 {
        self.keys.hash_one((start, bits)) | 1
    }

    fn take(&self, start: Address, bits: u32, limit: Limit, cost: u64, now_ns: u64) -> bool {
        if limit.interval_ns == 0 {
            return true;
        }
        let tag = self.tag(start, bits);
        self.slot(tag, now_ns).is_none_or(|slot| take(&slot.tat_ns, limit, cost, now_ns))
    }

    /// The prefix's own place, or one whose prefix has its whole burst again and loses nothing. `None`: there is none.
    fn slot(&self, tag: u64, now_ns: u64) -> Option<&Slot> {
        let mask = self.slots.len() - 1;
        let places = (0..PROBES).map(|probe| &self.slots[(tag as usize >> 1).wrapping_add(probe) & mask]);
        if let Some(own) = places.clone().find(|slot| slot.tag.load(Relaxed) == tag) {
            return Some(own);
        }
        for slot in places {
            let held = slot.tag.load(Relaxed);
            let is_free = held == 0 || slot.tat_ns.load(Relaxed) <= now_ns;
            // Two that want it at once: the second looks for another. A core that still spends on the old tag spends on the new
            // one's account, at most once.
            if is_free && slot.tag.compare_exchange(held, tag, Relaxed, Relaxed).is_ok() {
                return Some(slot);
            }
        }
        None
    }
}

impl Hold {
    fn ends_ms(&self) -> u64 {
        self.word.load(Relaxed) >> COST_BITS
    }
}

impl Word for AtomicU64 {
    fn get(&self) -> u64 {
        self.load(Relaxed)
    }

    fn swap_if(&self, old: u64, new: u64) -> u64 {
        self.compare_exchange(old, new, Relaxed, Relaxed).unwrap_or_else(|found| found)
    }

    fn set(&self, value: u64) {
        self.store(value, Relaxed);
    }

    fn add(&self, more: u64) {
        self.fetch_add(more, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn limiter(mode: Mode, places: usize) -> Limiter {
        let policy = Policy {
            mode: mode as u32,
            narrow_bits: [128, 64],
            wide_bits: [120, 48],
            syns_narrow: Limit { interval_ns: 100 * MS, burst_ns: 100 * MS },
            syns_wide: Limit { interval_ns: 10 * MS, burst_ns: 30 * MS },
            ..Policy::default()
        };
        let net = |text: &str, bits| (address(text.parse().unwrap()), bits);
        Limiter::new(policy, Vec::from([net("10.0.0.0", 104)]), Vec::from([net("203.0.113.0", 120)]), places)
    }

    /// Each arrival is an address and a time in ms; `+` passes, `-` is refused.
    #[track_caller]
    fn check(mode: Mode, arrivals: &[(&str, u64)], expected: &str) {
        let limiter = limiter(mode, 64);
        let seen: std::string::String = arrivals
            .iter()
            .map(
                |(from, at_ms)| {
                    if limiter.admit(from.parse().unwrap(), (1 + at_ms) * MS) { '+' } else { '-' }
                },
            )
            .collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        check(Mode::Enforce, &[("192.0.2.1", 0), ("192.0.2.1", 0), ("192.0.2.1", 0)], "++-");
        check(
            Mode::Enforce,
            &[("192.0.2.1", 0), ("192.0.2.1", 0), ("192.0.2.1", 99), ("192.0.2.1", 100)],
            "++-+",
        );
        check(Mode::Challenge, &[("192.0.2.1", 0), ("192.0.2.1", 0), ("192.0.2.1", 0)], "++-");
        check(Mode::Enforce, &[("::ffff:192.0.2.1", 0), ("192.0.2.1", 0), ("192.0.2.1", 0)], "++-");
        check(Mode::Monitor, &[("192.0.2.1", 0); 4], "++++");
        check(Mode::Off, &[("203.0.113.1", 0); 4], "++++");
    }

    #[test]
    fn neighbours_share_the_wide_limit() {
        let neighbours = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.3.1"];
        check(Mode::Enforce, &neighbours.map(|n| (n, 0)), "++++-+");
        let hosts = ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:3", "2001:db8:0:1::1"];
        check(Mode::Enforce, &hosts.map(|n| (n, 0)), "++-+");
    }

    #[test]
    fn some_pass_always_and_some_never() {
        check(Mode::Enforce, &[("10.1.2.3", 0); 9], "+++++++++");
        check(Mode::Enforce, &[("127.0.0.1", 0); 9], "+++++++++");
        check(Mode::Enforce, &[("::1", 0); 9], "+++++++++");
        check(Mode::Enforce, &[("203.0.113.9", 0)], "-");
    }

    /// A burst of two, then one each 100 ms; `from` is held back at 1 ms for a second.
    #[track_caller]
    fn check_held(from: &str, cost: u16, arrivals_ms: &[u64], expected: &str) {
        let limiter = limiter(Mode::Enforce, 64);
        let held = (prefix(address("192.0.2.1".parse().unwrap()), 128), 128);
        assert!(limiter.hold(held, 1_001 * MS, cost, MS));
        let arrive = |at_ms: &u64| limiter.admit(from.parse().unwrap(), (1 + at_ms) * MS);
        let seen: std::string::String =
            arrivals_ms.iter().map(|at_ms| if arrive(at_ms) { '+' } else { '-' }).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn who_is_held_back_pays_more_or_is_not_let_in_for_a_while() {
        check_held("192.0.2.1", 0, &[0, 1, 500, 999, 1_000, 1_000, 1_000], "----++-");
        check_held("::ffff:192.0.2.1", 0, &[0], "-");
        // One takes 400 ms: the next comes in once no more than the burst is owed.
        check_held("192.0.2.1", 4, &[0, 0, 299, 300, 699, 700], "+--+-+");
        check_held("192.0.2.2", 0, &[0, 0, 0, 100], "++-+");
        check_held("192.0.2.1", 1, &[0, 0, 0, 100], "++-+");
    }

    /// Whatever the lengths are that limits go by.
    #[test]
    fn prefixes_of_any_length_are_held_back() {
        for (bits, held, others) in
            [(120, "192.0.2.9", "192.0.3.1"), (48, "2001:db8:0:7::1", "2001:db8:1::1")]
        {
            let limiter = limiter(Mode::Enforce, 64);
            let start = prefix(address(held.parse().unwrap()), bits);
            assert!(limiter.hold((start, bits), 1_000 * MS, 0, MS));
            let admits = |from: &str| limiter.admit(from.parse().unwrap(), MS);
            assert_eq!((admits(held), admits(others)), (false, true), "{held}/{bits}");
        }
    }

    /// The longest says what holds, and what is let go leaves it to the next.
    #[test]
    fn prefixes_of_several_lengths_are_held_back_at_once() {
        let limiter = limiter(Mode::Enforce, 64);
        let hold = |net: &str, bits, ends_ms, cost| {
            let start = prefix(address(net.parse().unwrap()), bits);
            assert!(limiter.hold((start, bits), ends_ms * MS, cost, MS));
        };
        let admits = |from: &str, at_ms| limiter.admit(from.parse().unwrap(), at_ms * MS);
        hold("192.0.0.0", 112, 1_000, 0);
        hold("192.0.2.1", 128, 500, 1);
        hold("::", 0, 2_000, 0);
        assert!(admits("192.0.2.1", 1) && !admits("192.0.2.2", 1) && !admits("2001:db8::1", 1));
        assert!(!admits("192.0.2.1", 500) && !admits("198.51.100.1", 500));
        assert!(!admits("192.0.2.1", 999) && !admits("192.0.2.1", 1_500), "the widest is of all addresses");
        hold("::", 0, 0, 0);
        assert!(!admits("192.0.2.2", 500) && admits("2001:db8::1", 500));
        hold("192.0.0.0", 112, 0, 0);
        assert!(admits("192.0.2.2", 500));
    }

    #[test]
    fn as_many_are_held_back_as_there_is_room() {
        let limiter = limiter(Mode::Enforce, 64);
        let host = |n: u32| (address(IpAddr::from(n.to_be_bytes())), 128);
        let held = (0..2 * HOLDS_MAX as u32).filter(|n| limiter.hold(host(*n), 60_000 * MS, 0, MS)).count();
        assert!((HOLDS_MAX / 2..=HOLDS_MAX).contains(&held), "{held}");
        let refused = (0..2 * HOLDS_MAX as u32)
            .filter(|n| !limiter.admit(IpAddr::from(n.to_be_bytes()), MS))
            .filter(|n| *n >> 24 != 10);
        assert!(refused.count() >= held);
        // What has ended makes room.
        assert!((0..64).all(|n| limiter.hold(host(u32::MAX - n), 120_000 * MS, 0, 60_001 * MS)));
    }

    #[test]
    fn a_full_table_lets_pass_and_old_places_are_used_again() {
        let limiter = limiter(Mode::Enforce, 8);
        let host = |n: u32| IpAddr::from((0xC633_0000_u32 + (n << 8)).to_be_bytes());
        for n in 0..64 {
            assert!(limiter.admit(host(n), MS));
        }
        assert_eq!(limiter.counts(), (0, 0));
        // A second later all have their burst back, and the newcomer finds a place to be held in.
        let later = 1_001 * MS;
        assert!(limiter.admit(host(99), later));
        assert!(limiter.admit(host(99), later));
        assert!(!limiter.admit(host(99), later));
        assert_eq!(limiter.counts(), (1, 1));
    }

    #[test]
    fn many_cores_let_pass_no_more_than_the_limit() {
        let limiter = limiter(Mode::Enforce, 64);
        let passed = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        passed.fetch_add(limiter.admit("192.0.2.1".parse().unwrap(), MS).into(), Relaxed);
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), 2);
    }
}
