//! Addresses as two words, since that is what the kernel's machine has registers for, and where a source is steered to.

use crate::abi::{Address, REFUSALS, STEERING_BUCKETS, V4_BITS};

/// An [`Address`] in two words of the machine: its first 64 bits and its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Bits 0 to 63.
    pub high: u64,
    /// Bits 64 to 127.
    pub low: u64,
}

/// What IPv4 addresses have in the upper half of [`Place::low`].
const MAPPED: u64 = 0xffff_0000_0000;

impl Place {
    /// An address of IPv4, its first byte the highest.
    #[inline(always)]
    pub const fn v4(address: u32) -> Self {
        Self { high: 0, low: MAPPED | address as u64 }
    }

    /// One of the tables, or of IPv6.
    #[inline(always)]
    pub fn new(address: Address) -> Self {
        let all = u128::from_be_bytes(address);
        Self { high: (all >> 64) as u64, low: all as u64 }
    }

    /// As the tables have it.
    #[inline(always)]
    pub fn address(self) -> Address {
        (u128::from(self.high) << 64 | u128::from(self.low)).to_be_bytes()
    }

    /// Whether it is one of IPv4.
    #[inline(always)]
    pub const fn is_v4(self) -> bool {
        self.high == 0 && self.low >> 32 == MAPPED >> 32
    }

    /// `127.0.0.0/8` (RFC 1122 §3.2.1.3) and `::1` (RFC 4291 §2.5.3).
    #[inline(always)]
    pub const fn is_loopback(self) -> bool {
        self.high == 0 && (self.low == 1 || self.low >> 24 == MAPPED >> 24 | 127)
    }

    /// Its first `bits`, all others 0; 128 and more: itself.
    #[inline(always)]
    pub const fn prefix(self, bits: u8) -> Self {
        let bits = bits as u32;
        Self {
            high: if bits >= 64 { self.high } else { self.high & !(u64::MAX >> bits) },
            low: match bits {
                0..=64 => 0,
                65..128 => self.low & !(u64::MAX >> (bits - 64)),
                _ => self.low,
            },
        }
    }

    /// Its place in table `REFUSALS`. By Fibonacci's multiplier (Knuth, TAOCP 3 §6.4), whose upper bits are the best.
    #[inline(always)]
    pub const fn refusal(self) -> u32 {
        ((self.high ^ self.low).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32 % REFUSALS
    }

    /// Which bucket of table `STEERING` it is in: by the whole address of IPv4, and the `/64` of IPv6, within which a
    /// client changes its address as it likes (RFC 8981).
    #[inline(always)]
    pub const fn bucket(self) -> u32 {
        let own = if self.is_v4() { self.low & (u64::MAX >> (V4_BITS - 64)) } else { self.high };
        // The finish of SplitMix64: each bit of an address changes half of the bits.
        let mixed = (own ^ own >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) as u32 % STEERING_BUCKETS
    }
}
