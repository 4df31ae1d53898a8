//! The tables' keys and values as bytes, in the layout that `repr(C)` gives them in the programs. Knows no table.

use gate::abi::{Address, Block, Connections, Event, Flood, Limit, Policy, Refusal, Source, SourceKey};

/// Bytes in the machine's order, one field after the other.
struct Writer<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Writer<N> {
    const fn new() -> Self {
        Self { bytes: [0; N], at: 0 }
    }

    fn put(mut self, field: &[u8]) -> Self {
        self.bytes[self.at..self.at + field.len()].copy_from_slice(field);
        self.at += field.len();
        self
    }

    fn limit(self, limit: Limit) -> Self {
        self.put(&limit.interval_ns.to_ne_bytes()).put(&limit.burst_ns.to_ne_bytes())
    }
}

/// The other way round. What is asked for is in the bytes, by their type.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk().expect("the layout's length");
        self.0 = rest;
        *field
    }

    fn u64(&mut self) -> u64 {
        u64::from_ne_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_ne_bytes(self.take())
    }

    fn u16(&mut self) -> u16 {
        u16::from_ne_bytes(self.take())
    }
}

pub(crate) type PolicyBytes = [u8; size_of::<Policy>()];
pub(crate) type BlockBytes = [u8; size_of::<Block>()];
pub(crate) type FloodBytes = [u8; size_of::<Flood>()];
pub(crate) type SourceKeyBytes = [u8; size_of::<SourceKey>()];
pub(crate) type SourceBytes = [u8; size_of::<Source>()];
pub(crate) type RefusalBytes = [u8; size_of::<Refusal>()];
pub(crate) type ConnectionsBytes = [u8; size_of::<Connections>()];
/// A [`gate::abi::RuleKey`] without the bits before it.
pub(crate) type RuleBytes = [u8; 20];

pub(crate) fn policy(policy: &Policy) -> PolicyBytes {
    let Policy {
        mode,
        narrow_bits,
        wide_bits,
        syns_narrow,
        syns_wide,
        packets_narrow,
        packets_wide,
        flood,
        through,
    } = policy;
    Writer::new()
        .put(&mode.to_ne_bytes())
        .put(narrow_bits)
        .put(wide_bits)
        .limit(*syns_narrow)
        .limit(*syns_wide)
        .limit(*packets_narrow)
        .limit(*packets_wide)
        .limit(*flood)
        .limit(*through)
        .bytes
}

pub(crate) fn rule_key(set: u32, address: Address) -> RuleBytes {
    Writer::new().put(&set.to_be_bytes()).put(&address).bytes
}

pub(crate) fn block(block: &Block) -> BlockBytes {
    let Block { expires_ns, cost, reason, bits, pad } = block;
    Writer::new()
        .put(&expires_ns.to_ne_bytes())
        .put(&cost.to_ne_bytes())
        .put(&reason.to_ne_bytes())
        .put(&bits.to_ne_bytes())
        .put(&pad.to_ne_bytes())
        .bytes
}

pub(crate) fn read_block(bytes: &BlockBytes) -> Block {
    let mut reader = Reader(bytes);
    Block {
        expires_ns: reader.u64(),
        cost: reader.u32(),
        reason: reader.u32(),
        bits: reader.u32(),
        pad: reader.u32(),
    }
}

/// Until when there is a flood.
pub(crate) fn read_flood_until_ns(bytes: &FloodBytes) -> u64 {
    let mut reader = Reader(bytes);
    reader.u64();
    reader.u64()
}

pub(crate) fn source_key(key: &SourceKey) -> SourceKeyBytes {
    let SourceKey { address, bits, policy, pad } = key;
    Writer::new().put(address).put(&[*bits, *policy]).put(pad).bytes
}

pub(crate) fn read_source_key(bytes: &SourceKeyBytes) -> SourceKey {
    let mut reader = Reader(bytes);
    let address = reader.take();
    let [bits, policy] = reader.take();
    SourceKey { address, bits, policy, pad: reader.take() }
}

pub(crate) fn read_source(bytes: &SourceBytes) -> Source {
    let mut reader = Reader(bytes);
    Source {
        syns_tat_ns: reader.u64(),
        packets_tat_ns: reader.u64(),
        syns: reader.u64(),
        syns_over: reader.u64(),
        packets_over: reader.u64(),
        over_ns: reader.u64(),
    }
}

pub(crate) fn read_refusal(bytes: &RefusalBytes) -> Refusal {
    let mut reader = Reader(bytes);
    Refusal {
        high: reader.u64(),
        low: reader.u64(),
        whose: reader.u64(),
        until_ns: reader.u64(),
        uncounted: reader.u64(),
    }
}

pub(crate) fn read_connections(bytes: &ConnectionsBytes) -> Connections {
    let mut reader = Reader(bytes);
    Connections {
        established: reader.u64(),
        closed: reader.u64(),
        retransmits: reader.u64(),
        timeouts: reader.u64(),
        rtt_us_sum: reader.u64(),
        rtt_samples: reader.u64(),
    }
}

/// `None`: it is no record of this layout.
pub(crate) fn read_event(bytes: &[u8]) -> Option<Event> {
    if bytes.len() < size_of::<Event>() {
        return None;
    }
    let mut reader = Reader(bytes);
    let at_ns = reader.u64();
    let source = read_source_key(&reader.take());
    Some(Event { at_ns, source, port: reader.u16(), what: reader.u16() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    /// A number at a place.
    #[track_caller]
    fn check(bytes: &[u8], at: usize, expected: u64) {
        assert_eq!(u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap()), expected);
    }

    #[test]
    fn fields_lie_where_the_programs_look() {
        let limit = |n| Limit { interval_ns: n, burst_ns: n + 1 };
        let from = Policy {
            mode: 2,
            narrow_bits: [128, 64],
            wide_bits: [120, 48],
            syns_narrow: limit(10),
            syns_wide: limit(20),
            packets_narrow: limit(30),
            packets_wide: limit(40),
            flood: limit(50),
            through: limit(60),
        };
        let bytes = policy(&from);
        assert_eq!(bytes[..4], 2_u32.to_ne_bytes());
        assert_eq!(bytes[offset_of!(Policy, narrow_bits)..][..4], [128, 64, 120, 48]);
        check(&bytes, offset_of!(Policy, syns_narrow), 10);
        check(&bytes, offset_of!(Policy, syns_wide), 20);
        check(&bytes, offset_of!(Policy, packets_narrow), 30);
        check(&bytes, offset_of!(Policy, packets_wide), 40);
        check(&bytes, offset_of!(Policy, flood), 50);
        check(&bytes, offset_of!(Policy, through) + offset_of!(Limit, burst_ns), 61);

        let from = Block { expires_ns: 7, cost: 8, reason: 9, bits: 10, pad: 11 };
        check(&block(&from), offset_of!(Block, expires_ns), 7);
        assert_eq!(block(&from)[offset_of!(Block, reason)..][..4], 9_u32.to_ne_bytes());
        assert_eq!(block(&from)[offset_of!(Block, bits)..][..4], 10_u32.to_ne_bytes());
        assert_eq!(read_block(&block(&from)), from);

        let key = rule_key(1, [7; 16]);
        assert_eq!(key[..4], [0, 0, 0, 1]);
        assert_eq!(key[4..], [7; 16]);
        assert_eq!(size_of::<gate::abi::RuleKey>(), key.len());
    }

    /// Bytes 0, 1, 2 … as the programs would have written them.
    fn counted<const N: usize>() -> [u8; N] {
        std::array::from_fn(|n| n as u8)
    }

    fn at(offset: usize) -> u64 {
        u64::from_ne_bytes(std::array::from_fn(|n| (offset + n) as u8))
    }

    #[test]
    fn values_are_read_from_where_the_programs_put_them() {
        let source = read_source(&counted());
        assert_eq!(source.syns_tat_ns, at(offset_of!(Source, syns_tat_ns)));
        assert_eq!(source.packets_tat_ns, at(offset_of!(Source, packets_tat_ns)));
        assert_eq!(source.syns, at(offset_of!(Source, syns)));
        assert_eq!(source.syns_over, at(offset_of!(Source, syns_over)));
        assert_eq!(source.packets_over, at(offset_of!(Source, packets_over)));
        assert_eq!(source.over_ns, at(offset_of!(Source, over_ns)));
        let refusal = read_refusal(&counted());
        assert_eq!(refusal.high, at(offset_of!(Refusal, high)));
        assert_eq!(refusal.low, at(offset_of!(Refusal, low)));
        assert_eq!(refusal.whose, at(offset_of!(Refusal, whose)));
        assert_eq!(refusal.until_ns, at(offset_of!(Refusal, until_ns)));
        assert_eq!(refusal.uncounted, at(offset_of!(Refusal, uncounted)));
        let connections = read_connections(&counted());
        assert_eq!(connections.established, at(offset_of!(Connections, established)));
        assert_eq!(connections.closed, at(offset_of!(Connections, closed)));
        assert_eq!(connections.retransmits, at(offset_of!(Connections, retransmits)));
        assert_eq!(connections.timeouts, at(offset_of!(Connections, timeouts)));
        assert_eq!(connections.rtt_us_sum, at(offset_of!(Connections, rtt_us_sum)));
        assert_eq!(connections.rtt_samples, at(offset_of!(Connections, rtt_samples)));
        assert_eq!(read_flood_until_ns(&counted()), at(offset_of!(Flood, until_ns)));
        let event = read_event(&counted::<{ size_of::<Event>() }>()).unwrap();
        assert_eq!(event.at_ns, at(offset_of!(Event, at_ns)));
        assert_eq!(event.source.address[0] as usize, offset_of!(Event, source));
        assert_eq!(event.source.bits as usize, offset_of!(Event, source) + offset_of!(SourceKey, bits));
        assert_eq!(event.source.policy as usize, offset_of!(Event, source) + offset_of!(SourceKey, policy));
        assert_eq!(event.port.to_ne_bytes()[0] as usize, offset_of!(Event, port));
        assert_eq!(event.what.to_ne_bytes()[0] as usize, offset_of!(Event, what));
        assert_eq!(read_event(&[0; 31]), None);
    }
}
