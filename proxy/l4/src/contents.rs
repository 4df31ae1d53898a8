//! What a rule set is in the kernel's tables. A pure function from rules; knows no table.

use crate::rules::Rules;
use gate::abi::{self, Address, Policy};
use ipnet::{IpNet, Ipv6Net};
use std::collections::BTreeMap;
use std::net::Ipv6Addr;

/// Contents of `PORTS`, `POLICIES` and `RULES` for one set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contents {
    /// Ports that have a value other than 0.
    pub(crate) ports: BTreeMap<u16, u8>,
    /// All places of the set, number 0 and those without a policy with nothing in them.
    pub(crate) policies: [Policy; abi::POLICIES_MAX as usize],
    /// Prefixes and their bits in an [`Address`], with [`abi::ALLOW`] or [`abi::BLOCK`]; each once.
    pub(crate) prefixes: BTreeMap<(Address, u32), u32>,
}

/// The contents for rules that were checked.
pub(crate) fn compile(rules: &Rules) -> Contents {
    let mut ports = BTreeMap::new();
    let mut policies = [Policy::default(); abi::POLICIES_MAX as usize];
    for (number, policy) in (1..).zip(&rules.policies) {
        policies[usize::from(number)] = policy.policy;
        ports.extend(policy.ports.iter().map(|&port| (port, number)));
    }
    ports.extend(rules.admin_ports.iter().map(|&port| (port, abi::ADMIN_PORT)));
    let mut prefixes = BTreeMap::new();
    for net in &rules.block {
        // The longest prefix wins in the kernel: a block inside of what is allowed would win over it.
        if !rules.allow.iter().any(|allowed| allowed.contains(net)) {
            prefixes.extend(keys(*net).map(|key| (key, abi::BLOCK)));
        }
    }
    for net in &rules.allow {
        prefixes.extend(keys(*net).map(|key| (key, abi::ALLOW)));
    }
    Contents { ports, policies, prefixes }
}

/// A prefix as the tables have it. One of IPv6 that has the addresses of IPv4 in it is taken apart around them, since nobody who
/// writes `::/0` means IPv4: then there are some more.
pub(crate) fn keys(net: IpNet) -> impl Iterator<Item = (Address, u32)> {
    let net = match net.trunc() {
        IpNet::V4(net) => {
            let start = net.network().to_ipv6_mapped();
            return Parts::One(Some((start.octets(), abi::V4_BITS + u32::from(net.prefix_len()))));
        }
        IpNet::V6(net) => net,
    };
    let mapped = Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0);
    let bits = u32::from(net.prefix_len());
    if bits < abi::V4_BITS && net.contains(&mapped) {
        Parts::Around { mapped: mapped.into(), bits }
    } else {
        Parts::One(Some((net.network().octets(), bits)))
    }
}

enum Parts {
    One(Option<(Address, u32)>),
    /// Everything beside the way from so many bits down to the addresses of IPv4.
    Around {
        mapped: u128,
        bits: u32,
    },
}

impl Iterator for Parts {
    type Item = (Address, u32);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::One(key) => key.take(),
            Self::Around { bits, .. } if *bits == abi::V4_BITS => None,
            Self::Around { mapped, bits } => {
                *bits += 1;
                let last = 1_u128 << (128 - *bits);
                let start = (*mapped ^ last) & !(last - 1);
                Some((start.to_be_bytes(), *bits))
            }
        }
    }
}

/// The prefix that a key stands for.
pub(crate) fn net(address: Address, bits: u32) -> IpNet {
    let address = Ipv6Addr::from(address);
    let v4 = address.to_ipv4_mapped().filter(|_| bits >= abi::V4_BITS);
    // Longer than 128 bits is none that the tables have; then it is one address.
    let bits = bits.min(128) as u8;
    match v4 {
        Some(v4) => IpNet::new_assert(v4.into(), bits - abi::V4_BITS as u8),
        None => Ipv6Net::new_assert(address, bits).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::rules;
    use proptest::prelude::*;
    use std::net::IpAddr;

    /// What the kernel's longest match says of an address: `allow`, `block` or nothing.
    fn verdict(contents: &Contents, from: IpAddr) -> &'static str {
        let from = gate::table::address(from);
        let hits =
            contents.prefixes.iter().filter(|((start, bits), _)| gate::table::prefix(from, *bits) == *start);
        match hits.max_by_key(|((_, bits), _)| *bits).map(|(_, value)| *value) {
            None => "",
            Some(abi::ALLOW) => "allow",
            Some(abi::BLOCK) => "block",
            Some(_) => "?",
        }
    }

    fn nets(text: &str) -> Vec<IpNet> {
        text.split_whitespace().map(|net| net.parse().unwrap()).collect()
    }

    #[track_caller]
    fn check(allow: &str, block: &str, cases: &[(&str, &str)]) {
        let contents = compile(&Rules { allow: nets(allow), block: nets(block), ..Rules::default() });
        for (from, expected) in cases {
            assert_eq!(verdict(&contents, from.parse().unwrap()), *expected, "{from}");
        }
    }

    #[test]
    fn what_is_allowed_is_never_blocked() {
        check(
            "10.0.0.0/8",
            "10.1.0.0/16 192.0.2.0/24",
            &[("10.1.2.3", "allow"), ("192.0.2.1", "block"), ("8.8.8.8", "")],
        );
        check("10.1.2.3/32", "10.0.0.0/8", &[("10.1.2.3", "allow"), ("10.1.2.4", "block")]);
        check("10.0.0.0/8", "10.0.0.0/8", &[("10.1.2.3", "allow")]);
        check(
            "10.0.0.0/8",
            "0.0.0.0/0",
            &[("10.1.2.3", "allow"), ("11.0.0.0", "block"), ("2001:db8::1", "")],
        );
        check("", "10.9.9.9/8", &[("10.0.0.1", "block")]);
    }

    #[test]
    fn ipv6_prefixes_are_not_about_ipv4() {
        check(
            "",
            "::/0",
            &[("2001:db8::1", "block"), ("::1", "block"), ("::fffe:1.2.3.4", "block"), ("1.2.3.4", "")],
        );
        check("::/0", "0.0.0.0/0", &[("2001:db8::1", "allow"), ("1.2.3.4", "block")]);
        check("", "::/64", &[("::1", "block"), ("1.2.3.4", "")]);
        check("", "::ffff:0:0/96", &[("1.2.3.4", "block")]);
    }

    #[test]
    fn ports_have_their_policys_number() {
        let mut rules = rules(&[443, 80]);
        rules.policies.push(rules.policies[0].clone());
        rules.policies[1].ports = vec![8443];
        let contents = compile(&rules);
        let ports: Vec<_> = contents.ports.into_iter().collect();
        assert_eq!(ports, [(22, abi::ADMIN_PORT), (80, 1), (443, 1), (8443, 2)]);
        assert_eq!(contents.policies[0], Policy::default());
        assert_eq!(contents.policies[2], rules.policies[1].policy);
        assert_eq!(contents.policies[3], Policy::default());
    }

    fn any_net() -> impl Strategy<Value = IpNet> {
        let v4 = (any::<u32>(), 0..=32_u8)
            .prop_map(|(a, bits)| IpNet::new_assert(IpAddr::V4((a & 0xff03).into()), bits));
        let v6 = (any::<u128>(), 0..=128_u8)
            .prop_map(|(a, bits)| IpNet::new_assert(IpAddr::V6((a & 0xff03).into()), bits));
        prop_oneof![v4, v6]
    }

    proptest! {
        /// Whatever is blocked, who is allowed passes, and nobody is blocked whom no prefix of his own family names.
        #[test]
        fn nobody_is_locked_out(
            allow in prop::collection::vec(any_net(), 0..4),
            block in prop::collection::vec(any_net(), 0..4),
            from in any_net(),
        ) {
            let contents = compile(&Rules { allow: allow.clone(), block: block.clone(), ..Rules::default() });
            let from = from.addr();
            let is_in = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&from));
            let expected = if is_in(&allow) { "allow" } else if is_in(&block) { "block" } else { "" };
            // An address of IPv4 in IPv6's clothes is one of IPv4 to the tables.
            if from.to_canonical() == from {
                prop_assert_eq!(verdict(&contents, from), expected);
            }
        }

        #[test]
        fn a_key_stands_for_its_prefix(from in any_net()) {
            let from = from.trunc();
            let keys: Vec<_> = keys(from).collect();
            if keys.len() == 1 && from.addr().to_canonical() == from.addr() {
                prop_assert_eq!(net(keys[0].0, keys[0].1), from);
            }
            prop_assert!(keys.len() <= 96 && !keys.is_empty());
        }
    }
}
