use super::*;
use gate::abi::{Limit, Mode, Policy};

/// A policy with nothing special.
pub(crate) fn policy(mode: Mode) -> Policy {
    let limit = |interval_ns: u64, burst: u64| Limit { interval_ns, burst_ns: interval_ns * burst };
    Policy {
        mode: mode as u32,
        narrow_bits: [128, 64],
        wide_bits: [120, 48],
        syns_narrow: limit(3_333_333, 600),
        syns_wide: limit(333_333, 6_000),
        packets_narrow: Limit::default(),
        packets_wide: Limit::default(),
        flood: limit(50_000, 2_000),
        through: limit(20_000_000, 50),
    }
}

/// Rules for some ports.
pub(crate) fn rules(ports: &[u16]) -> Rules {
    Rules {
        policies: vec![PortPolicy { ports: ports.to_vec(), policy: policy(Mode::Enforce) }],
        admin_ports: vec![22],
        allow: vec!["10.0.0.0/8".parse().unwrap()],
        block: vec!["203.0.113.0/24".parse().unwrap()],
    }
}

/// `said` is how the first mistake reads; empty: there is none.
#[track_caller]
fn check(change: impl FnOnce(&mut Rules), said: &str) {
    let mut rules = rules(&[80, 443]);
    change(&mut rules);
    assert_eq!(rules.check().err().map(|error| error.to_string()).unwrap_or_default(), said);
}

#[test]
fn rules_are_taken_or_refused_whole() {
    check(|_| {}, "");
    check(|r| r.admin_ports.push(80), "port 80 is an admin port: no policy can hold for it");
    check(|r| r.policies.push(r.policies[0].clone()), "port 80 has two policies");
    check(|r| r.policies[0].ports.push(0), "port 0 can't have a policy");
    let prefixes = "a policy's prefixes must be of 1 to 32 bits for IPv4 and of 1 to 128 for IPv6, the narrow one not below the wide one";
    check(|r| r.policies[0].policy.wide_bits[0] = 96, prefixes);
    check(|r| r.policies[0].policy.narrow_bits[0] = 119, prefixes);
    check(|r| r.policies[0].policy.narrow_bits[1] = 129, prefixes);
    check(|r| r.policies[0].policy.wide_bits[1] = 0, prefixes);
    check(
        |r| r.policies = (1..=16).map(|p| PortPolicy { ports: vec![p], ..r.policies[0].clone() }).collect(),
        "16 policies: there is room for 15",
    );
    check(
        |r| r.block = vec![r.block[0]; 32_768],
        "32769 prefixes to allow or to block: there is room for 32768",
    );
}

/// Whether a change gives the rules another name.
#[track_caller]
fn check_digest(change: impl FnOnce(&mut Rules), other: bool) {
    let before = rules(&[80, 443]);
    let mut after = before.clone();
    change(&mut after);
    assert_eq!(after.digest() != before.digest(), other);
    assert_eq!(after.digest().to_string().parse(), Ok(after.digest()));
}

#[test]
fn the_same_rules_have_the_same_name() {
    check_digest(|_| {}, false);
    check_digest(|r| r.policies[0].ports.reverse(), false);
    check_digest(|r| r.allow = vec!["10.9.9.9/8".parse().unwrap()], false);
    check_digest(|r| r.block.push(r.block[0]), false);
    check_digest(|r| r.policies[0].ports.push(8080), true);
    check_digest(|r| r.policies[0].policy.mode = Mode::Monitor as u32, true);
    check_digest(|r| r.policies[0].policy.through.burst_ns += 1, true);
    check_digest(|r| r.policies[0].policy.wide_bits[1] = 56, true);
    check_digest(|r| std::mem::swap(&mut r.allow, &mut r.block), true);
    check_digest(|r| r.admin_ports.clear(), true);
    // The name outlives a version of ours: it lies in the state folder.
    assert_eq!(Rules::default().digest().to_string(), "36bfee0b3e96a05da1d0c95e030678cc");
}
