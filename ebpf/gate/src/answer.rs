//! The answer to a SYN that proves that its sender is where it says: a SYN-ACK whose sequence number is a cookie (RFC 4987
//! §3.6). The kernel makes the cookie and checks the ACK; here are the headers around it, which know neither. They are words of
//! 32 bits, in network order where they come in and go out, since the kernel's machine has no room for more than 512 bytes.

use crate::packet::{ACK, SYN};

/// Words of TCP's header in the answer: the MSS is its one option, since a cookie has no room for others.
pub const TCP_WORDS: usize = 6;
/// Words of the answer from IPv4's header on.
pub const V4_WORDS: usize = 5 + TCP_WORDS;
/// Words of the answer from IPv6's header on.
pub const V6_WORDS: usize = 10 + TCP_WORDS;

/// TCP's number (RFC 9293), and the bytes of the answer's header: what the pseudo header adds to the addresses.
const PSEUDO: u32 = 6 + TCP_WORDS as u32 * 4;
/// In the second word of IPv4's header (RFC 791 §3.1).
const DO_NOT_FRAGMENT: u32 = 0x4000_0000;
/// As many hops as the kernel's own segments may take.
const HOPS: u32 = 64;
/// The window of a connection that can't be scaled; the kernel tells its own with its first segment.
const WINDOW: u32 = 0xffff;

/// The answer to a SYN with these fixed headers. `mss` is the largest segment that the cookie remembers.
#[inline(always)]
pub fn v4(ip: &[u32; 5], tcp: &[u32; 5], cookie: u32, mss: u16, out: &mut [u32; V4_WORDS]) {
    // Don't fragment, as the kernel does; the identification is 0 then (RFC 6864 §4.1).
    let first = 0x4500_0000 | (V4_WORDS as u32 * 4);
    let third = HOPS << 24 | 6 << 16;
    out[0] = first.to_be();
    out[1] = DO_NOT_FRAGMENT.to_be();
    out[3] = ip[4];
    out[4] = ip[3];
    let addresses = halves(u32::from_be(ip[3])) + halves(u32::from_be(ip[4]));
    let sum = fold(halves(first) + halves(DO_NOT_FRAGMENT) + halves(third) + addresses);
    out[2] = (third | sum).to_be();
    segment(tcp, cookie, mss, PSEUDO + addresses, out, 5);
}

/// The same for IPv6 (RFC 8200 §3, §8.1).
#[inline(always)]
pub fn v6(ip: &[u32; 10], tcp: &[u32; 5], cookie: u32, mss: u16, out: &mut [u32; V6_WORDS]) {
    out[0] = 0x6000_0000u32.to_be();
    out[1] = ((TCP_WORDS as u32 * 4) << 16 | 6 << 8 | HOPS).to_be();
    let mut sum = PSEUDO;
    let mut word = 0;
    while word < 4 {
        out[2 + word] = ip[6 + word];
        out[6 + word] = ip[2 + word];
        sum += halves(u32::from_be(ip[2 + word])) + halves(u32::from_be(ip[6 + word]));
        word += 1;
    }
    segment(tcp, cookie, mss, sum, out, 10);
}

/// TCP's header (RFC 9293 §3.1), from word `at` on; `sum` is the pseudo header's.
#[inline(always)]
fn segment<const N: usize>(tcp: &[u32; 5], cookie: u32, mss: u16, sum: u32, out: &mut [u32; N], at: usize) {
    let ports = u32::from_be(tcp[0]).rotate_left(16);
    let acknowledged = u32::from_be(tcp[1]).wrapping_add(1);
    let flags = (TCP_WORDS as u32) << 28 | ((SYN | ACK) as u32) << 16 | WINDOW;
    // Maximum segment size (RFC 9293 §3.7.1).
    let option = 0x0204_0000 | mss as u32;
    out[at] = ports.to_be();
    out[at + 1] = cookie.to_be();
    out[at + 2] = acknowledged.to_be();
    out[at + 3] = flags.to_be();
    out[at + 5] = option.to_be();
    let sum = sum + halves(ports) + halves(cookie) + halves(acknowledged) + halves(flags) + halves(option);
    out[at + 4] = (fold(sum) << 16).to_be();
}

/// The two numbers of 16 bits in a word, together.
#[inline(always)]
const fn halves(word: u32) -> u32 {
    (word >> 16) + (word & 0xffff)
}

/// What the sum of less than 2¹⁶ halves is as a checksum (RFC 1071).
#[inline(always)]
const fn fold(sum: u32) -> u32 {
    let once = halves(sum);
    !halves(once) & 0xffff
}
