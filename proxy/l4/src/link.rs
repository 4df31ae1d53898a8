//! What an interface is, as the kernel says by netlink (RFC 3549 §3.1.1): sysfs would show those of another network namespace. It
//! knows no program.

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};
use std::io;

/// Kinds of interfaces (`if_arp.h`) whose frames have an Ethernet header.
const ETHERNET: u16 = 1;
const LOOPBACK: u16 = 772;
/// One whose packets begin with IP's: tun, WireGuard.
const NONE: u16 = 0xfffe;

/// Messages of rtnetlink (`rtnetlink.h`, `netlink.h`).
const RTM_GETLINK: u16 = 18;
const RTM_NEWLINK: u16 = 16;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
/// `struct nlmsghdr`, `struct ifinfomsg`.
const HEADER_BYTES: usize = 16;
const INFO_BYTES: usize = 16;
/// Attribute `IFLA_MTU` (`if_link.h`).
const IFLA_MTU: u16 = 4;
/// Longer than what is told of one interface.
const ANSWER_BYTES_MAX: usize = 32 << 10;

/// What its frames begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ethernet,
    /// The header of IP.
    Ip,
    /// Something that no program of ours reads; by the kernel's number.
    Other(u16),
}

/// An interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) kind: Kind,
    /// The longest packet, in bytes.
    pub(crate) mtu: u32,
}

/// The interface of this number.
pub(crate) fn link(index: u32) -> io::Result<Link> {
    // Its first protocol, rtnetlink, is number 0, which is what none is.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    send(&socket, &question(index), SendFlags::empty())?;
    let mut answer = vec![0; ANSWER_BYTES_MAX];
    // The kernel answers within the call that asks.
    let (bytes, _) = recv(&socket, answer.as_mut_slice(), RecvFlags::DONTWAIT)?;
    parse(answer.get(..bytes).unwrap_or_default())
}

fn question(index: u32) -> [u8; HEADER_BYTES + INFO_BYTES] {
    let mut bytes = [0; HEADER_BYTES + INFO_BYTES];
    bytes[..4].copy_from_slice(&((HEADER_BYTES + INFO_BYTES) as u32).to_ne_bytes());
    bytes[4..6].copy_from_slice(&RTM_GETLINK.to_ne_bytes());
    bytes[6..8].copy_from_slice(&NLM_F_REQUEST.to_ne_bytes());
    bytes[HEADER_BYTES + 4..HEADER_BYTES + 8].copy_from_slice(&index.to_ne_bytes());
    bytes
}

fn parse(bytes: &[u8]) -> io::Result<Link> {
    let short = || io::Error::new(io::ErrorKind::InvalidData, "what the kernel says of it is too short");
    let kind = u16_at(bytes, 4).ok_or_else(short)?;
    match kind {
        RTM_NEWLINK => {}
        NLMSG_ERROR => {
            let error = u32_at(bytes, HEADER_BYTES).ok_or_else(short)?.cast_signed();
            return Err(io::Error::from_raw_os_error(error.wrapping_neg()));
        }
        other => {
            let text = format!("the kernel answers with message {other}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
    }
    let kind = match u16_at(bytes, HEADER_BYTES + 2).ok_or_else(short)? {
        ETHERNET | LOOPBACK => Kind::Ethernet,
        NONE => Kind::Ip,
        other => Kind::Other(other),
    };
    let mut rest = bytes.get(HEADER_BYTES + INFO_BYTES..).ok_or_else(short)?;
    while let (Some(length), Some(attribute)) = (u16_at(rest, 0), u16_at(rest, 2)) {
        if attribute == IFLA_MTU {
            return Ok(Link { kind, mtu: u32_at(rest, 4).ok_or_else(short)? });
        }
        // Each begins where a word does.
        rest = rest.get(usize::from(length).max(4).next_multiple_of(4)..).unwrap_or_default();
    }
    Err(short())
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An answer with an attribute of an odd length before the MTU.
    fn answer(message: u16, kind: u16) -> Vec<u8> {
        let mut bytes = question(7).to_vec();
        bytes[4..6].copy_from_slice(&message.to_ne_bytes());
        bytes[HEADER_BYTES + 2..HEADER_BYTES + 4].copy_from_slice(&kind.to_ne_bytes());
        bytes.extend([7_u16, 3].map(u16::to_ne_bytes).as_flattened());
        bytes.extend(*b"t0\0\0");
        bytes.extend([8_u16, IFLA_MTU].map(u16::to_ne_bytes).as_flattened());
        bytes.extend(9_000_u32.to_ne_bytes());
        bytes
    }

    #[test]
    fn links_are_of_a_kind() {
        let kinds = [(1, Kind::Ethernet), (772, Kind::Ethernet), (0xfffe, Kind::Ip), (778, Kind::Other(778))];
        for (number, kind) in kinds {
            assert_eq!(parse(&answer(RTM_NEWLINK, number)).unwrap(), Link { kind, mtu: 9_000 });
        }
        assert!(parse(&answer(RTM_GETLINK, 1)).is_err());
        let mut refused = answer(NLMSG_ERROR, 0);
        refused[HEADER_BYTES..HEADER_BYTES + 4].copy_from_slice(&(-19_i32).to_ne_bytes());
        assert_eq!(parse(&refused).unwrap_err().raw_os_error(), Some(19));
        let whole = answer(RTM_NEWLINK, 1);
        for end in 0..whole.len() {
            assert!(parse(&whole[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn the_kernel_knows_its_own() {
        assert_eq!(link(1).unwrap().kind, Kind::Ethernet);
        assert_eq!(link(u32::MAX >> 2).unwrap_err().raw_os_error(), Some(19));
    }

    proptest! {
        #[test]
        fn any_answer_is_read_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
            let _ = parse(&[&answer(RTM_NEWLINK, 1)[..32], &bytes[..]].concat());
        }
    }
}
