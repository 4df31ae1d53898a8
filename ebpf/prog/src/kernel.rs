//! The tables as the kernel has them. Their names are those that user space looks for; sizes can be changed when they are made.

use core::ptr::addr_of_mut;

use aya_ebpf::{
    bindings::{BPF_F_NO_PREALLOC, BPF_NOEXIST, bpf_sock_tuple},
    cty::c_void,
    helpers::generated::{bpf_sk_release, bpf_skc_lookup_tcp},
    macros::map,
    maps::{Array, LpmTrie, LruHashMap, PerCpuArray, RingBuf, lpm_trie::Key},
};
use gate::{
    Segment, Sightings, Tables, Torrent,
    abi::{
        Address, Block, CONTROLS, COUNTERS as COUNTS, Count, Event, Flood, POLICIES_MAX, PORTS as PORTS_MAX,
        Policy, RuleKey, SETS, Source, SourceKey,
    },
};

use crate::word::MapWord;

/// Prefixes that a trie takes.
const PREFIXES_MAX: u32 = 65_536;
/// Prefixes that are remembered.
const SOURCES_MAX: u32 = 65_536;
/// Bytes of events that wait for user space.
const EVENTS_BYTES: u32 = 256 * 1024;
/// A listening socket (`tcp_states.h`).
const LISTEN: u32 = 10;
/// The network namespace that a frame came in by.
const CURRENT_NAMESPACE: u64 = u64::MAX;

#[map]
static CONTROL: Array<u64> = Array::with_max_entries(CONTROLS, 0);
#[map]
static PORTS: Array<u8> = Array::with_max_entries(SETS * PORTS_MAX, 0);
#[map]
static POLICIES: Array<Policy> = Array::with_max_entries(SETS * POLICIES_MAX, 0);
#[map]
static FLOODS: Array<Flood> = Array::with_max_entries(SETS * POLICIES_MAX, 0);
#[map]
static LEASES: PerCpuArray<u64> = PerCpuArray::with_max_entries(SETS * POLICIES_MAX, 0);
#[map]
static RULES: LpmTrie<RuleKey, u32> = LpmTrie::with_max_entries(PREFIXES_MAX, BPF_F_NO_PREALLOC);
#[map]
static BLOCKS: LpmTrie<Address, Block> = LpmTrie::with_max_entries(PREFIXES_MAX, BPF_F_NO_PREALLOC);
#[map]
static SOURCES: LruHashMap<SourceKey, Source> = LruHashMap::with_max_entries(SOURCES_MAX, 0);
#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(COUNTS, 0);
#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(EVENTS_BYTES, 0);

/// The tables, and the frame's context, by which the kernel's sockets are looked up.
pub struct Kernel {
    /// Of XDP or of tcx.
    pub context: *mut c_void,
}

/// Adds one to a counter of this CPU.
#[inline(always)]
pub fn count(what: u32) {
    if let Some(counter) = COUNTERS.get_ptr_mut(what) {
        // SAFETY: this CPU's own, and the program is not moved from it.
        unsafe { *counter += 1 }
    }
}

impl Tables for Kernel {
    type Word = MapWord;

    #[inline(always)]
    fn control(&self, word: u32) -> u64 {
        match CONTROL.get_ptr(word) {
            // SAFETY: one aligned load of what user space stores at once.
            Some(word) => unsafe { word.read_volatile() },
            None => 0,
        }
    }

    #[inline(always)]
    fn port(&self, set: u32, port: u16) -> u8 {
        PORTS.get(set * PORTS_MAX + u32::from(port)).copied().unwrap_or(0)
    }

    #[inline(always)]
    fn policy(&self, number: u32) -> Option<&Policy> {
        POLICIES.get(number)
    }

    #[inline(always)]
    fn torrent(&self, number: u32) -> Option<Torrent<MapWord>> {
        let flood = FLOODS.get_ptr_mut(number)?;
        // SAFETY: addresses within the value, no access.
        unsafe {
            Some(Torrent {
                syns_tat_ns: MapWord(addr_of_mut!((*flood).syns_tat_ns)),
                until_ns: MapWord(addr_of_mut!((*flood).until_ns)),
                through_tat_ns: MapWord(addr_of_mut!((*flood).through_tat_ns)),
            })
        }
    }

    #[inline(always)]
    fn lease(&self, number: u32) -> Option<MapWord> {
        LEASES.get_ptr_mut(number).map(MapWord)
    }

    #[inline(always)]
    fn rule(&self, set: u32, address: &Address) -> u32 {
        let key = Key::new(32 + 128, RuleKey { set: set.to_be_bytes(), address: *address });
        RULES.get(&key).copied().unwrap_or(0)
    }

    #[inline(always)]
    fn block(&self, address: &Address, bits_max: u32) -> Option<Block> {
        BLOCKS.get(Key::new(bits_max, *address)).copied()
    }

    #[inline(always)]
    fn source(&self, key: &SourceKey) -> Option<Sightings<MapWord>> {
        let source = SOURCES.get_ptr_mut(key)?;
        // SAFETY: addresses within the value, no access.
        unsafe {
            Some(Sightings {
                syns_tat_ns: MapWord(addr_of_mut!((*source).syns_tat_ns)),
                packets_tat_ns: MapWord(addr_of_mut!((*source).packets_tat_ns)),
                syns: MapWord(addr_of_mut!((*source).syns)),
                syns_over: MapWord(addr_of_mut!((*source).syns_over)),
                packets_over: MapWord(addr_of_mut!((*source).packets_over)),
                over_ns: MapWord(addr_of_mut!((*source).over_ns)),
            })
        }
    }

    #[inline(always)]
    fn add_source(&self, key: &SourceKey) {
        // Another CPU's entry is as good, and whether there is one now the caller looks up.
        let _ = SOURCES.insert(key, Source::default(), u64::from(BPF_NOEXIST));
    }

    #[inline(always)]
    fn count(&self, what: u32) {
        count(what);
    }

    #[inline(always)]
    fn tell(&self, event: Event) {
        match EVENTS.reserve::<Event>(0) {
            Some(mut place) => {
                place.write(event);
                place.submit(0);
            }
            None => count(Count::EventsLost as u32),
        }
    }

    #[inline(always)]
    fn is_established(&self, segment: &Segment) -> bool {
        // A `bpf_sock_tuple`: addresses, then ports, all in network order; all of it written, as the verifier wants it.
        let (source, destination) = (segment.source, segment.destination);
        let ports = (u32::from(segment.source_port) << 16 | u32::from(segment.port)).to_be();
        let mut tuple = [0u32; 9];
        let bytes = if source.is_v4() {
            tuple[0] = (source.low as u32).to_be();
            tuple[1] = (destination.low as u32).to_be();
            tuple[2] = ports;
            12
        } else {
            tuple[0] = ((source.high >> 32) as u32).to_be();
            tuple[1] = (source.high as u32).to_be();
            tuple[2] = ((source.low >> 32) as u32).to_be();
            tuple[3] = (source.low as u32).to_be();
            tuple[4] = ((destination.high >> 32) as u32).to_be();
            tuple[5] = (destination.high as u32).to_be();
            tuple[6] = ((destination.low >> 32) as u32).to_be();
            tuple[7] = (destination.low as u32).to_be();
            tuple[8] = ports;
            36
        };
        // SAFETY: the tuple is as long as is said, and the socket is given back.
        unsafe {
            let tuple = tuple.as_mut_ptr().cast::<bpf_sock_tuple>();
            let socket = bpf_skc_lookup_tcp(self.context, tuple, bytes, CURRENT_NAMESPACE, 0);
            if socket.is_null() {
                return false;
            }
            let state = (*socket).state;
            bpf_sk_release(socket.cast());
            state != LISTEN
        }
    }
}
