//! What an operator wants of the front line. Rules are checked as a whole and know neither kernel nor table.

use crate::{Error, contents};
use gate::abi::{self, Mode, Policy};
use gate::table::Limiter;
use ipnet::IpNet;
use std::fmt;

/// Prefixes that one rule set may have: half of what table `RULES` has room for.
pub(crate) const PREFIXES_MAX: usize = 32_768;

/// Number of what [`Rules::digest`] hashes, and how.
const HASHED: u32 = 1;

/// One rule set. What stands in no policy is never touched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Limits and whose they are; their numbers in the kernel begin at 1, in this order.
    pub policies: Vec<PortPolicy>,
    /// Ports that pass under any rules.
    pub admin_ports: Vec<u16>,
    /// Prefixes that pass under any rules.
    pub allow: Vec<IpNet>,
    /// Prefixes of which nothing but established connections passes.
    pub block: Vec<IpNet>,
}

/// Limits for some ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortPolicy {
    /// TCP ports.
    pub ports: Vec<u16>,
    /// The limits.
    pub policy: Policy,
}

impl Rules {
    /// Whether they can hold. Says the first thing that is wrong.
    pub fn check(&self) -> Result<(), Error> {
        // Number 0 is nobody's.
        let max = abi::POLICIES_MAX as usize - 1;
        if self.policies.len() > max {
            return Err(Error::TooManyPolicies { count: self.policies.len(), max });
        }
        let mut seen = std::collections::HashSet::new();
        for PortPolicy { ports, policy } in &self.policies {
            check_prefixes(policy)?;
            for &port in ports {
                if port == 0 {
                    return Err(Error::PortZero);
                }
                if self.admin_ports.contains(&port) {
                    return Err(Error::AdminPort { port });
                }
                if !seen.insert(port) {
                    return Err(Error::PortTwice { port });
                }
            }
        }
        let count = self.allow.len() + self.block.len();
        if count > PREFIXES_MAX {
            return Err(Error::TooManyPrefixes { count, max: PREFIXES_MAX });
        }
        Ok(())
    }

    /// These rules for who accepts connections at a port, with room for so many prefixes; `None`: they say nothing of it.
    pub fn limiter(&self, port: u16, prefixes_max: usize) -> Option<Limiter> {
        let policy = self.policies.iter().find(|policy| policy.ports.contains(&port))?.policy;
        let keys = |nets: &[IpNet]| nets.iter().flat_map(|net| contents::keys(*net)).collect();
        Some(Limiter::new(policy, keys(&self.allow), keys(&self.block), prefixes_max))
    }

    /// Whether anybody is to be challenged.
    pub(crate) fn challenges(&self) -> bool {
        self.policies.iter().any(|it| it.policy.mode == Mode::Challenge as u32)
    }

    /// The same without: who is above a limit is dropped, and the kernel's own cookies are left to answer a flood.
    pub(crate) fn without_challenge(mut self) -> Self {
        let challenging = self.policies.iter_mut().filter(|it| it.policy.mode == Mode::Challenge as u32);
        challenging.for_each(|it| it.policy.mode = Mode::Enforce as u32);
        self
    }

    /// A name of these rules that is the same for the same rules, whatever the order of ports and prefixes, on any machine and
    /// in any version that hashes the same fields, whatever its tables look like: what was committed outlives an upgrade.
    pub fn digest(&self) -> Digest {
        let mut hash = Fnv::new();
        hash.add(&HASHED.to_le_bytes());
        hash.add(&(self.policies.len() as u64).to_le_bytes());
        for PortPolicy { ports, policy } in &self.policies {
            hash.sorted(ports.iter().map(|port| port.to_le_bytes().to_vec()));
            hash.add(&policy.mode.to_le_bytes());
            hash.add(&policy.narrow_bits);
            hash.add(&policy.wide_bits);
            for limit in limits(policy) {
                hash.add(&limit.interval_ns.to_le_bytes());
                hash.add(&limit.burst_ns.to_le_bytes());
            }
        }
        hash.sorted(self.admin_ports.iter().map(|port| port.to_le_bytes().to_vec()));
        hash.sorted(self.allow.iter().map(|net| net.trunc().to_string().into_bytes()));
        hash.sorted(self.block.iter().map(|net| net.trunc().to_string().into_bytes()));
        Digest(hash.0)
    }
}

fn limits(policy: &Policy) -> [abi::Limit; 6] {
    let Policy { syns_narrow, syns_wide, packets_narrow, packets_wide, flood, through, .. } = *policy;
    [syns_narrow, syns_wide, packets_narrow, packets_wide, flood, through]
}

fn check_prefixes(policy: &Policy) -> Result<(), Error> {
    let [narrow4, narrow6] = policy.narrow_bits.map(u32::from);
    let [wide4, wide6] = policy.wide_bits.map(u32::from);
    let v4 = abi::V4_BITS < wide4 && wide4 <= narrow4 && narrow4 <= 128;
    let v6 = 0 < wide6 && wide6 <= narrow6 && narrow6 <= 128;
    if v4 && v6 { Ok(()) } else { Err(Error::Prefixes) }
}

/// Name of a rule set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest(pub(crate) u128);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl std::str::FromStr for Digest {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

/// FNV-1a of 128 bits (draft-eastlake-fnv): who could forge it could write the rules themselves.
struct Fnv(u128);

impl Fnv {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

    const fn new() -> Self {
        Self(Self::OFFSET)
    }

    fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u128::from(byte)).wrapping_mul(Self::PRIME);
        }
    }

    /// A set: in one order, without what stands twice, each with its length before it.
    fn sorted(&mut self, items: impl Iterator<Item = Vec<u8>>) {
        let mut items: Vec<_> = items.collect();
        items.sort();
        items.dedup();
        self.add(&(items.len() as u64).to_le_bytes());
        for item in items {
            self.add(&(item.len() as u64).to_le_bytes());
            self.add(&item);
        }
    }
}
