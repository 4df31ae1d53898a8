//! A frame as far as the gate reads it: Ethernet with up to two VLAN tags, or nothing; IPv4 or IPv6; the fixed part of TCP. It
//! changes nothing, and what it does not understand it says.

use crate::address::Place;

/// What a frame begins with, by what its interface is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Ethernet's header.
    Ethernet,
    /// That of IP: a tunnel has no links.
    Ip,
}

/// A frame's numbers, in network order on the wire, each read checked. `None`: the frame ends before.
pub trait Packet {
    /// What it begins with.
    #[inline(always)]
    fn link(&self) -> Link {
        Link::Ethernet
    }
    /// 8 bits.
    fn u8(&self, at: usize) -> Option<u8>;
    /// 16 bits.
    fn u16(&self, at: usize) -> Option<u16>;
    /// 32 bits.
    fn u32(&self, at: usize) -> Option<u32>;
    /// 64 bits.
    fn u64(&self, at: usize) -> Option<u64>;
}

impl Packet for &[u8] {
    fn u8(&self, at: usize) -> Option<u8> {
        self.get(at).copied()
    }

    fn u16(&self, at: usize) -> Option<u16> {
        Some(u16::from_be_bytes(*self.get(at..)?.first_chunk()?))
    }

    fn u32(&self, at: usize) -> Option<u32> {
        Some(u32::from_be_bytes(*self.get(at..)?.first_chunk()?))
    }

    fn u64(&self, at: usize) -> Option<u64> {
        Some(u64::from_be_bytes(*self.get(at..)?.first_chunk()?))
    }
}

/// Headers of IPv6 in front of TCP that are looked behind; a good client sends none.
pub const EXTENSIONS_MAX: u32 = 6;
/// Bytes in front of TCP's header at most: Ethernet, two tags, IPv6, extension headers of 2,048 bytes.
pub const OFFSET_MAX: usize = 14 + 8 + 40 + EXTENSIONS_MAX as usize * 2048;

/// Flags of TCP (RFC 9293 §3.1).
pub const FIN: u8 = 1;
/// Synchronise.
pub const SYN: u8 = 2;
/// Reset.
pub const RST: u8 = 4;
/// Acknowledgment.
pub const ACK: u8 = 16;

/// What is read of a segment of TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// From where; IPv4 as the tables have it.
    pub source: Place,
    /// Where to.
    pub destination: Place,
    /// From which port.
    pub source_port: u16,
    /// To which.
    pub port: u16,
    /// Flags, as on the wire.
    pub flags: u8,
    /// Bytes that TCP's header says it has.
    pub header_bytes: u8,
    /// Where the header of IP begins.
    pub ip_at: u16,
    /// Where that of TCP begins.
    pub tcp_at: u16,
}

impl Segment {
    /// Whether it asks for a connection.
    #[inline(always)]
    pub const fn is_syn(&self) -> bool {
        self.flags & (FIN | SYN | RST | ACK) == SYN
    }

    /// Whether its header can't be: shorter than the fixed part (RFC 9293 §3.1).
    #[inline(always)]
    pub const fn is_malformed(&self) -> bool {
        self.header_bytes < 20
    }
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A segment of TCP, or the first part of one.
    Segment(Segment),
    /// Anything else that can be.
    Other,
    /// A part behind the first, too many headers, or not a whole header.
    Unparsed,
    /// IPv4 with a header shorter than a header: nobody knows which port it is for, and the kernel refuses it itself.
    Malformed,
}

const VLAN: u16 = 0x8100;
const QINQ: u16 = 0x88a8;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const TCP: u8 = 6;

/// Reads a frame from its beginning on.
#[inline(always)]
pub fn parse(packet: &impl Packet) -> Parsed {
    match read(packet) {
        Some(parsed) => parsed,
        None => Parsed::Unparsed,
    }
}

/// `None`: the frame ends too early.
#[inline(always)]
fn read(packet: &impl Packet) -> Option<Parsed> {
    let (protocol, at) = match packet.link() {
        Link::Ethernet => read_ethernet(packet)?,
        // By the version that the header itself says.
        Link::Ip => match packet.u8(0)? >> 4 {
            4 => (IPV4, 0),
            6 => (IPV6, 0),
            _ => return Some(Parsed::Other),
        },
    };
    match protocol {
        IPV4 => read_v4(packet, at),
        IPV6 => read_v6(packet, at),
        // A third tag is none of ours.
        VLAN | QINQ => Some(Parsed::Unparsed),
        _ => Some(Parsed::Other),
    }
}

/// The protocol behind it (IEEE 802.3, 802.1Q), and where that begins.
#[inline(always)]
fn read_ethernet(packet: &impl Packet) -> Option<(u16, usize)> {
    let mut protocol = packet.u16(12)?;
    let mut at = 14;
    if protocol == VLAN || protocol == QINQ {
        protocol = packet.u16(16)?;
        at = 18;
        if protocol == VLAN || protocol == QINQ {
            protocol = packet.u16(20)?;
            at = 22;
        }
    }
    Some((protocol, at))
}

/// RFC 791 §3.1.
#[inline(always)]
fn read_v4(packet: &impl Packet, at: usize) -> Option<Parsed> {
    let header_bytes = usize::from(packet.u8(at)? & 15) * 4;
    if header_bytes < 20 {
        return Some(Parsed::Malformed);
    }
    if packet.u8(at + 9)? != TCP {
        return Some(Parsed::Other);
    }
    if packet.u16(at + 6)? & 0x1fff != 0 {
        return Some(Parsed::Unparsed);
    }
    let source = Place::v4(packet.u32(at + 12)?);
    let destination = Place::v4(packet.u32(at + 16)?);
    read_tcp(packet, source, destination, at, at + header_bytes)
}

/// RFC 8200 §3, §4.
#[inline(always)]
fn read_v6(packet: &impl Packet, at: usize) -> Option<Parsed> {
    let mut next = packet.u8(at + 6)?;
    let source = Place { high: packet.u64(at + 8)?, low: packet.u64(at + 16)? };
    let destination = Place { high: packet.u64(at + 24)?, low: packet.u64(at + 32)? };
    let mut tcp_at = at + 40;
    let mut extensions = 0;
    while next != TCP {
        if extensions == EXTENSIONS_MAX {
            return Some(Parsed::Unparsed);
        }
        extensions += 1;
        let head = packet.u32(tcp_at)?;
        let length = (head >> 16 & 0xff) as usize;
        let bytes = match next {
            // Hop-by-hop options, routing, destination options.
            0 | 43 | 60 => (length + 1) * 8,
            // Authentication (RFC 4302 §2.2).
            51 => (length + 2) * 4,
            // Fragment (RFC 8200 §4.5).
            44 => {
                if head & 0xfff8 != 0 {
                    return Some(Parsed::Unparsed);
                }
                8
            }
            _ => return Some(Parsed::Other),
        };
        next = (head >> 24) as u8;
        tcp_at += bytes;
    }
    read_tcp(packet, source, destination, at, tcp_at)
}

/// RFC 9293 §3.1.
#[inline(always)]
fn read_tcp(
    packet: &impl Packet,
    source: Place,
    destination: Place,
    ip_at: usize,
    tcp_at: usize,
) -> Option<Parsed> {
    let ports = packet.u32(tcp_at)?;
    let flags = packet.u16(tcp_at + 12)?;
    // The rest of the fixed part is there, or the kernel does not look at it either.
    packet.u8(tcp_at + 19)?;
    Some(Parsed::Segment(Segment {
        source,
        destination,
        source_port: (ports >> 16) as u16,
        port: ports as u16,
        flags: flags as u8,
        header_bytes: (flags >> 12) as u8 * 4,
        ip_at: ip_at as u16,
        tcp_at: tcp_at as u16,
    }))
}
