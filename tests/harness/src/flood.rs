//! A flood of SYNs, bounded in rate, number and time: frames with valid checksums from sources that need not exist, put on
//! the cable of a test's own network and nowhere else. It does not know who is at the other end.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    num::NonZeroU32,
    os::fd::OwnedFd,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    io::{Errno, IoSlice},
    net::{
        AddressFamily, MMsgHdr, Protocol, RecvFlags, SendAncillaryBuffer, SendFlags, SocketAddrAny,
        SocketFlags, SocketType, bind, recvfrom, sendmmsg, socket_with, sockopt,
    },
};

use crate::{PATIENCE, netns::Network};

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub struct Flood {
    /// The first source.
    pub first: IpAddr,
    /// How many there are; of IPv6 each is in a /64 of its own.
    pub sources: u32,
    /// Where to.
    pub to: SocketAddr,
    /// SYNs a second; 0: as many as can be.
    pub rate: u32,
    /// No more than so many SYNs.
    pub count_max: u64,
    /// No longer than so long.
    pub time_max: Duration,
}

/// What was sent.
#[derive(Clone, Copy, Debug)]
pub struct Flooded {
    /// SYNs.
    pub count: u64,
    /// From the first to the last.
    pub took: Duration,
}

/// Frames in one call.
const BATCH: usize = 64;
/// No flood is longer, whatever it is told.
const TIME_MAX: Duration = Duration::from_secs(60);

impl Flood {
    /// 16 hosts that send all they can, and the first of them is never a client of the test.
    pub fn of_few(to: SocketAddr) -> Self {
        Self { first: first_source(to), sources: 16, to, rate: 0, count_max: u64::MAX, time_max: TIME_MAX }
    }

    /// 60,000 sources that nobody is at.
    pub fn of_spoofed(to: SocketAddr) -> Self {
        Self { sources: 60_000, ..Self::of_few(to) }
    }

    /// One frame of it, from its first source.
    pub fn frame(&self) -> Vec<u8> {
        let mut frame = Frame::new(self.first, self.to);
        frame.renew(0, self.sources);
        frame.bytes().to_vec()
    }

    /// Sends it from the clients' end of the cable, until it is done or `stop` says so.
    #[track_caller]
    pub fn send(&self, network: &Network, stop: &AtomicBool) -> Flooded {
        network.clients.inside(|| self.run(&sender(self.to.ip()), stop))
    }

    fn run(&self, cable: &OwnedFd, stop: &AtomicBool) -> Flooded {
        let mut frames = vec![Frame::new(self.first, self.to); BATCH];
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        let (begun, time_max) = (Instant::now(), self.time_max.min(TIME_MAX));
        let mut count = 0;
        loop {
            let took = begun.elapsed();
            if count >= self.count_max || took >= time_max || stop.load(Ordering::Relaxed) {
                return Flooded { count, took };
            }
            let ahead = Duration::from_secs_f64(self.seconds_of(count)).saturating_sub(took);
            if !ahead.is_zero() {
                // The clock of the load: it is what keeps the rate.
                thread::sleep(ahead);
                continue;
            }
            let batch = BATCH.min(usize::try_from(self.count_max - count).unwrap_or(BATCH));
            for frame in &mut frames[..batch] {
                frame.renew(numbers.next(), self.sources);
            }
            count += put(cable, &frames[..batch]) as u64;
        }
    }

    /// When the SYN of this number is due.
    fn seconds_of(&self, number: u64) -> f64 {
        if self.rate == 0 { 0.0 } else { number as f64 / f64::from(self.rate) }
    }
}

/// Far from the clients' own addresses and from the gateway's.
fn first_source(to: SocketAddr) -> IpAddr {
    match to {
        SocketAddr::V4(_) => Ipv4Addr::new(10, 66, 0, 1).into(),
        SocketAddr::V6(_) => Ipv6Addr::new(0xfd66, 0, 0, 0, 0, 0, 0, 1).into(),
    }
}

#[track_caller]
fn put(cable: &OwnedFd, frames: &[Frame]) -> usize {
    let slices: Vec<[IoSlice<'_>; 1]> = frames.iter().map(|frame| [IoSlice::new(frame.bytes())]).collect();
    let mut nothing: Vec<SendAncillaryBuffer<'_, '_, '_>> =
        frames.iter().map(|_| SendAncillaryBuffer::default()).collect();
    let mut messages: Vec<MMsgHdr<'_>> =
        slices.iter().zip(&mut nothing).map(|(slice, nothing)| MMsgHdr::new(slice, nothing)).collect();
    match sendmmsg(cable, &mut messages, SendFlags::empty()) {
        Ok(count) => count,
        // The cable's queue is full, which is what a flood is for.
        Err(Errno::NOBUFS | Errno::AGAIN | Errno::INTR) => 0,
        Err(error) => panic!("cannot send frames: {error}"),
    }
}

/// A packet socket on the cable. Its address can't be written down without `unsafe`, so it is learned: from a frame that goes
/// out by it, to somebody who is reached that way.
#[track_caller]
fn sender(towards: IpAddr) -> OwnedFd {
    /// `ETH_P_ALL` of if_ether.h.
    const ALL: u16 = 3;
    let open = |protocol: u16| {
        let protocol = NonZeroU32::new(u32::from(protocol.to_be())).map(Protocol::from_raw);
        let made = socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, protocol);
        made.unwrap_or_else(|error| panic!("no packet socket: {error}"))
    };
    let ears = open(ALL);
    sockopt::set_socket_timeout(&ears, sockopt::Timeout::Recv, Some(PATIENCE))
        .unwrap_or_else(|error| panic!("a packet socket: {error}"));
    let any: IpAddr =
        if towards.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let knock = UdpSocket::bind((any, 0)).and_then(|socket| socket.send_to(b"?", (towards, DISCARD)));
    knock.unwrap_or_else(|error| panic!("{towards} can't be reached: {error}"));
    let mut frame = [0; 64];
    let heard = recvfrom(&ears, &mut frame, RecvFlags::empty());
    let address: Option<SocketAddrAny> =
        heard.unwrap_or_else(|error| panic!("no frame on the cable: {error}")).2;
    let address = address.unwrap_or_else(|| panic!("a frame from nowhere"));
    // One that hears nothing.
    let cable = open(0);
    bind(&cable, &address).unwrap_or_else(|error| panic!("cannot bind to the cable: {error}"));
    cable
}

/// RFC 863.
const DISCARD: u16 = 9;

/// Xorshift (Marsaglia 2003): quick, and the same in each run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

const ETHERNET_BYTES: usize = 14;
const V4_BYTES: usize = 20;
const V6_BYTES: usize = 40;
const TCP_BYTES: usize = 20;
const FRAME_BYTES_MAX: usize = ETHERNET_BYTES + V6_BYTES + TCP_BYTES;

/// A SYN with all around it. What never changes is summed up once.
#[derive(Clone, Debug)]
struct Frame {
    bytes: [u8; FRAME_BYTES_MAX],
    /// Where TCP begins.
    tcp: usize,
    first: IpAddr,
    /// Sums of what stays: of the header of IPv4, and of TCP with its pseudo header.
    ip_sum: u32,
    tcp_sum: u32,
}

impl Frame {
    fn new(first: IpAddr, to: SocketAddr) -> Self {
        let tcp = ETHERNET_BYTES + if to.is_ipv4() { V4_BYTES } else { V6_BYTES };
        let mut bytes = [0; FRAME_BYTES_MAX];
        bytes[..6].copy_from_slice(&Network::GATEWAY_MAC);
        bytes[6..12].copy_from_slice(&Network::CLIENT_MAC);
        // TCP: 20 bytes of header, SYN, a window.
        bytes[tcp + 2..tcp + 4].copy_from_slice(&to.port().to_be_bytes());
        bytes[tcp + 12] = 0x50;
        bytes[tcp + 13] = 2;
        bytes[tcp + 14..tcp + 16].copy_from_slice(&64_240_u16.to_be_bytes());
        let mut ip_sum = 0;
        // Number of the protocol and the length of the segment.
        let pseudo = 6 + TCP_BYTES as u32;
        let tcp_sum = match to.ip() {
            IpAddr::V4(to) => {
                bytes[12..14].copy_from_slice(&[0x08, 0]);
                bytes[14] = 0x45;
                bytes[17] = (V4_BYTES + TCP_BYTES) as u8;
                bytes[22] = 64;
                bytes[23] = 6;
                bytes[30..34].copy_from_slice(&to.octets());
                ip_sum = sum(&bytes[ETHERNET_BYTES..tcp]);
                pseudo + sum(&to.octets())
            }
            IpAddr::V6(to) => {
                bytes[12..14].copy_from_slice(&[0x86, 0xdd]);
                bytes[14] = 0x60;
                bytes[19] = TCP_BYTES as u8;
                bytes[20] = 6;
                bytes[21] = 64;
                bytes[38..54].copy_from_slice(&to.octets());
                pseudo + sum(&to.octets())
            }
        };
        let tcp_sum = tcp_sum + sum(&bytes[tcp..tcp + TCP_BYTES]);
        Self { bytes, tcp, first, ip_sum, tcp_sum }
    }

    /// Another source, port and sequence number.
    fn renew(&mut self, random: u64, sources: u32) {
        let number = (random as u32) % sources.max(1);
        let tcp = self.tcp;
        let port = 1024 + ((random >> 32) % 60_000) as u16;
        self.bytes[tcp..tcp + 2].copy_from_slice(&port.to_be_bytes());
        self.bytes[tcp + 4..tcp + 8].copy_from_slice(&((random >> 20) as u32).to_be_bytes());
        let source = match self.first {
            IpAddr::V4(first) => {
                let source = Ipv4Addr::from(u32::from(first).wrapping_add(number)).octets();
                self.bytes[26..30].copy_from_slice(&source);
                let checksum = fold(self.ip_sum + sum(&source));
                self.bytes[24..26].copy_from_slice(&checksum.to_be_bytes());
                sum(&source)
            }
            IpAddr::V6(first) => {
                let source =
                    Ipv6Addr::from(u128::from(first).wrapping_add(u128::from(number) << 64)).octets();
                self.bytes[22..38].copy_from_slice(&source);
                sum(&source)
            }
        };
        let changed = sum(&self.bytes[tcp..tcp + 2]) + sum(&self.bytes[tcp + 4..tcp + 8]);
        let checksum = fold(self.tcp_sum + source + changed);
        self.bytes[tcp + 16..tcp + 18].copy_from_slice(&checksum.to_be_bytes());
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.tcp + TCP_BYTES]
    }
}

/// RFC 1071, not folded yet. Of an even number of bytes.
fn sum(bytes: &[u8]) -> u32 {
    bytes.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum()
}

fn fold(mut sum: u32) -> u16 {
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, net::IpAddr, sync::atomic::AtomicBool};

    use super::{ETHERNET_BYTES, Flood, Frame, Numbers, TCP_BYTES, V4_BYTES, fold, sum};
    use crate::{
        netns::{Namespace, Network},
        skip,
    };

    /// Frames of a flood to this address: their checksums hold, whatever is put into them.
    #[track_caller]
    fn check(to: IpAddr, first: &str, last: &str) {
        let flood = Flood { sources: 3, ..Flood::of_few((to, 8080).into()) };
        let mut frame = Frame::new(flood.first, flood.to);
        let mut numbers = Numbers(1);
        let mut sources = BTreeSet::new();
        for _ in 0..1000 {
            frame.renew(numbers.next(), flood.sources);
            let (bytes, tcp) = (frame.bytes(), frame.tcp);
            let (addresses, source): (_, IpAddr) = if to.is_ipv4() {
                assert_eq!(fold(sum(&bytes[ETHERNET_BYTES..ETHERNET_BYTES + V4_BYTES])), 0);
                (&bytes[26..34], <[u8; 4]>::try_from(&bytes[26..30]).unwrap().into())
            } else {
                (&bytes[22..54], <[u8; 16]>::try_from(&bytes[22..38]).unwrap().into())
            };
            assert_eq!(fold(sum(addresses) + 6 + TCP_BYTES as u32 + sum(&bytes[tcp..])), 0);
            sources.insert(source);
        }
        let sources: Vec<String> = sources.iter().map(IpAddr::to_string).collect();
        assert_eq!((sources.len(), &*sources[0], &*sources[2]), (3, first, last));
    }

    #[test]
    fn frames_have_valid_checksums() {
        check(Network::GATEWAY.into(), "10.66.0.1", "10.66.0.3");
        check(Network::GATEWAY_V6.into(), "fd66::1", "fd66:0:0:2::1");
    }

    /// The kernel takes them for SYNs: nobody listens, so each is answered with a reset.
    #[test]
    fn the_kernel_understands_them() {
        let network = match Network::new() {
            Ok(network) => network,
            Err(why) => return skip("the_kernel_understands_them", &why),
        };
        for to in [Network::GATEWAY.into(), Network::GATEWAY_V6.into()] {
            let resets = || snmp(&network.gateway, "Tcp:", "OutRsts");
            let before = resets();
            let flood = Flood { count_max: 1000, ..Flood::of_few((IpAddr::to_owned(&to), 8080).into()) };
            assert_eq!(flood.send(&network, &AtomicBool::new(false)).count, 1000);
            crate::eventually("a reset for each", || (resets() - before == 1000).then_some(()));
        }
    }

    /// What goes back to nobody is not looked at where it arrives.
    #[test]
    fn answers_to_nobody_are_carried_away() {
        let network = match Network::new() {
            Ok(network) => network,
            Err(why) => return skip("answers_to_nobody_are_carried_away", &why),
        };
        network.take_from_xdp().unwrap();
        let heard = || snmp(&network.clients, "Ip:", "InReceives");
        let before = heard();
        let frames = network.clients.frames_in(Network::FAR_INTERFACE).0;
        let flood = Flood { count_max: 1000, ..Flood::of_few((Network::GATEWAY, 8080).into()) };
        flood.send(&network, &AtomicBool::new(false));
        crate::eventually("a reset for each", || {
            (network.clients.frames_in(Network::FAR_INTERFACE).0 - frames >= 1000).then_some(())
        });
        assert!(heard() - before < 10, "{}", heard() - before);
        let host = network.gateway.inside(|| crate::Host::at((Network::GATEWAY, 8080).into()));
        network.clients.inside(|| crate::visit_from(Network::CLIENT.into(), host.address())).unwrap();
    }

    fn snmp(namespace: &Namespace, protocol: &str, name: &str) -> u64 {
        let text = namespace.inside(|| std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap());
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with(protocol)).collect();
        let mut both = lines[0].split(' ').zip(lines[1].split(' '));
        both.find(|(found, _)| *found == name).unwrap().1.parse().unwrap()
    }
}
