//! Frames: as a test writes them, and as chance does.

/// `::ffff:a.b.c.d`.
pub fn v4(address: [u8; 4]) -> [u8; 16] {
    std::net::Ipv4Addr::from(address).to_ipv6_mapped().octets()
}

/// An address as a person writes it, as the tables have it.
pub fn address(text: &str) -> [u8; 16] {
    match text.parse().unwrap() {
        std::net::IpAddr::V4(address) => v4(address.octets()),
        std::net::IpAddr::V6(address) => address.octets(),
    }
}

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const PSH: u8 = 8;
pub const ACK: u8 = 16;

/// A packet of an interface that has no links.
pub struct Bare<'a>(pub &'a [u8]);

impl gate::Packet for Bare<'_> {
    fn link(&self) -> gate::Link {
        gate::Link::Ip
    }

    fn u8(&self, at: usize) -> Option<u8> {
        self.0.u8(at)
    }

    fn u16(&self, at: usize) -> Option<u16> {
        self.0.u16(at)
    }

    fn u32(&self, at: usize) -> Option<u32> {
        self.0.u32(at)
    }

    fn u64(&self, at: usize) -> Option<u64> {
        self.0.u64(at)
    }
}

/// What a frame is made of. Lengths and checksums are those of a good sender.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Protocols of VLAN tags.
    pub tags: Vec<u16>,
    pub source: [u8; 16],
    pub destination: [u8; 16],
    pub source_port: u16,
    pub port: u16,
    pub flags: u8,
    /// Words of TCP's header.
    pub offset: u8,
    /// Options of IPv4, in words.
    pub options: u8,
    /// Where in a datagram, in units of 8 bytes, and whether more follows. Of IPv6: a fragment header, if it is one.
    pub fragment: Option<(u16, bool)>,
    /// Headers of IPv6: protocol, and length as it is written.
    pub extensions: Vec<(u8, u8)>,
    pub protocol: u8,
}

impl Frame {
    /// A SYN with an MSS.
    pub fn syn(source: &str, port: u16) -> Self {
        let source = address(source);
        let v4 = source[..12] == v4([0; 4])[..12];
        Self {
            tags: Vec::new(),
            source,
            destination: address(if v4 { "192.0.2.1" } else { "2001:db8::1" }),
            source_port: 40_000,
            port,
            flags: SYN,
            offset: 6,
            options: 0,
            fragment: None,
            extensions: Vec::new(),
            protocol: 6,
        }
    }

    /// A segment of a connection, or none.
    pub fn ack(source: &str, port: u16) -> Self {
        Self { flags: ACK, offset: 5, ..Self::syn(source, port) }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        for tag in &self.tags {
            out.extend(tag.to_be_bytes());
            out.extend([0, 5]);
        }
        let tcp = self.tcp();
        if self.source[..12] == v4([0; 4])[..12] {
            out.extend([8, 0]);
            self.ipv4(&mut out, tcp.len());
        } else {
            out.extend([0x86, 0xdd]);
            self.ipv6(&mut out, tcp.len());
        }
        out.extend(tcp);
        out
    }

    fn ipv4(&self, out: &mut Vec<u8>, payload: usize) {
        let at = out.len();
        let header = 20 + usize::from(self.options) * 4;
        out.extend([0x45 + self.options, 0]);
        out.extend(((header + payload) as u16).to_be_bytes());
        let (offset, more) = self.fragment.unwrap_or((0, false));
        out.extend([0, 7]);
        out.extend((offset | u16::from(more) << 13).to_be_bytes());
        out.extend([64, self.protocol, 0, 0]);
        out.extend(&self.source[12..]);
        out.extend(&self.destination[12..]);
        out.resize(at + header, 1);
        let sum = checksum(&out[at..], 0);
        out[at + 10..at + 12].copy_from_slice(&sum.to_be_bytes());
    }

    fn ipv6(&self, out: &mut Vec<u8>, payload: usize) {
        let mut headers: Vec<(u8, Vec<u8>)> = Vec::new();
        for &(protocol, length) in &self.extensions {
            let bytes =
                if protocol == 51 { (usize::from(length) + 2) * 4 } else { (usize::from(length) + 1) * 8 };
            let mut header = vec![0; bytes];
            header[1] = length;
            headers.push((protocol, header));
        }
        if let Some((offset, more)) = self.fragment {
            let [high, low] = (offset << 3 | u16::from(more)).to_be_bytes();
            headers.push((44, vec![0, 0, high, low, 0, 0, 0, 9]));
        }
        let length = payload + headers.iter().map(|(_, header)| header.len()).sum::<usize>();
        out.extend([0x60, 0, 0, 0]);
        out.extend((length as u16).to_be_bytes());
        let next = |index: usize| headers.get(index).map_or(self.protocol, |(protocol, _)| *protocol);
        out.extend([next(0), 64]);
        out.extend(self.source);
        out.extend(self.destination);
        for (index, (_, header)) in headers.iter().enumerate() {
            out.push(next(index + 1));
            out.extend(&header[1..]);
        }
    }

    fn tcp(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(self.source_port.to_be_bytes());
        out.extend(self.port.to_be_bytes());
        out.extend(1000u32.to_be_bytes());
        out.extend([0; 4]);
        out.extend([self.offset << 4, self.flags, 0xff, 0xff, 0, 0, 0, 0]);
        if self.offset >= 6 {
            out.extend([2, 4, 5, 0xb4]);
        }
        out.resize(out.len().max(usize::from(self.offset) * 4), 1);
        let sum = tcp_checksum(&self.source, &self.destination, &out);
        out[16..18].copy_from_slice(&sum.to_be_bytes());
        out
    }
}

/// Of a segment with 0 where its checksum is; of a whole one it is 0.
pub fn tcp_checksum(source: &[u8; 16], destination: &[u8; 16], segment: &[u8]) -> u16 {
    // The prefix of IPv4's addresses is not in its pseudo header.
    let from = if source[..12] == v4([0; 4])[..12] { 12 } else { 0 };
    let pseudo = [&source[from..], &destination[from..]].concat();
    let more = 6 + segment.len() as u32 + pseudo.chunks(2).map(word).sum::<u32>();
    checksum(segment, more)
}

/// RFC 1071.
pub fn checksum(bytes: &[u8], more: u32) -> u16 {
    let mut sum: u32 = more + bytes.chunks(2).map(word).sum::<u32>();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !(sum as u16)
}

fn word(bytes: &[u8]) -> u32 {
    u32::from(bytes[0]) << 8 | u32::from(bytes.get(1).copied().unwrap_or(0))
}

/// Numbers by chance, from bytes; 0 when they are used up.
pub struct Chance<'a>(pub &'a [u8]);

impl Chance<'_> {
    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    pub fn below(&mut self, bound: u8) -> u8 {
        self.byte() % bound
    }

    pub fn one_in(&mut self, many: u8) -> bool {
        self.below(many) == 0
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[usize::from(self.byte()) % from.len()].clone()
    }

    /// One of few addresses, so that they meet.
    pub fn address(&mut self) -> [u8; 16] {
        let last = self.below(8);
        match self.below(8) {
            0..4 => v4([198, 51, 100 + self.below(3), last]),
            4 => v4([127, 0, 0, last]),
            5 => address("::1"),
            _ => {
                let mut all = address("2001:db8::");
                (all[5], all[7], all[15]) = (self.below(2), self.below(3), last);
                all
            }
        }
    }

    /// A frame that may be anything, but often is a segment of TCP.
    pub fn frame(&mut self) -> Vec<u8> {
        let source = self.address();
        let is_v4 = source[..12] == v4([0; 4])[..12];
        let destination = address(if is_v4 { "192.0.2.1" } else { "2001:db8::1" });
        let mut frame = Frame {
            tags: Vec::new(),
            source,
            destination,
            source_port: 1024 + u16::from(self.byte()),
            port: self.pick(&[22, 80, 443, 8080, 8443, 9999]),
            flags: self.pick(&[
                SYN,
                SYN,
                SYN | 0xc0,
                ACK,
                ACK | PSH,
                RST,
                FIN | ACK,
                SYN | ACK,
                SYN | FIN,
                0,
                0xff,
            ]),
            offset: self.pick(&[5, 6, 6, 10, 15, 4, 0]),
            options: 0,
            fragment: None,
            extensions: Vec::new(),
            protocol: self.pick(&[6, 6, 6, 6, 6, 6, 6, 17, 1, 59]),
        };
        for _ in 0..self.pick(&[0u8, 0, 0, 1, 1, 2, 2, 3]) {
            frame.tags.push(self.pick(&[0x8100, 0x88a8, 0x8100, 0x9100]));
        }
        if self.one_in(4) {
            frame.options = self.below(11);
        }
        if self.one_in(4) {
            frame.fragment = Some((self.pick(&[0, 0, 1, 185, 0x1fff]), self.one_in(2)));
        }
        for _ in 0..self.pick(&[0u8, 0, 0, 0, 1, 2, 5, 6, 7, 8]) {
            frame
                .extensions
                .push((self.pick(&[0, 43, 60, 51, 44, 50, 60]), self.pick(&[0, 0, 1, 2, 31, 255])));
        }
        let mut bytes = frame.bytes();
        if self.one_in(4) {
            let all = bytes.len();
            bytes.truncate((usize::from(self.byte()) << 8 | usize::from(self.byte())) % all);
        }
        for _ in 0..self.pick(&[0u8, 0, 0, 0, 0, 1, 1, 3]) {
            let place = usize::from(self.byte());
            let value = self.byte();
            if let Some(byte) = bytes.get_mut(place) {
                *byte = value;
            }
        }
        bytes.truncate(FRAME_BYTES_MAX);
        bytes
    }
}

/// Longer frames than these the kernel's test run does not take in one piece.
pub const FRAME_BYTES_MAX: usize = 3_000;
