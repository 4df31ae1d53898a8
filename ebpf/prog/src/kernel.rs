//! The tables as the kernel has them. Their names are those that user space looks for; sizes can be changed when they are made.

use core::{mem::zeroed, ptr::addr_of_mut};

use aya_ebpf::{
    bindings::{
        __sk_buff, BPF_F_NO_PREALLOC, BPF_FIB_LKUP_RET_FWD_DISABLED, BPF_FIB_LKUP_RET_NOT_FWDED, BPF_NOEXIST,
        bpf_fib_lookup as Route, bpf_sock_tuple, xdp_md,
    },
    cty::c_void,
    helpers::generated::{bpf_fib_lookup, bpf_sk_release, bpf_skc_lookup_tcp},
    macros::map,
    maps::{Array, LpmTrie, LruHashMap, PerCpuArray, RingBuf, lpm_trie::Key},
};
use gate::{
    Place, Refused, Segment, Sightings, Tables, Torrent,
    abi::{
        Address, Block, CONTROLS, COUNTERS as COUNTS, Count, Event, Flood, POLICIES_MAX, PORTS as PORTS_MAX,
        Policy, REFUSALS as REFUSALS_MAX, Refusal, RuleKey, SETS, Source, SourceKey,
    },
};

use crate::word::MapWord;

/// Prefixes that a trie takes.
const PREFIXES_MAX: u32 = 65_536;
/// Prefixes that are remembered.
const SOURCES_MAX: u32 = 65_536;
/// Bytes of events that wait for user space.
const EVENTS_BYTES: u32 = 256 * 1024;
/// Families of addresses (`socket.h`).
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// Number of TCP (RFC 9293).
const TCP: u8 = 6;
/// Destinations that a CPU remembers as this host's own, and for how long.
const OURS_MAX: u32 = 16;
const OURS_NS: u64 = 1_000_000_000;
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
static REFUSALS: PerCpuArray<Refusal> = PerCpuArray::with_max_entries(REFUSALS_MAX, 0);
#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(COUNTS, 0);
/// The programs' own; nobody else looks at it.
#[map]
static OURS: PerCpuArray<Ours> = PerCpuArray::with_max_entries(OURS_MAX, 0);
#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(EVENTS_BYTES, 0);

/// The tables, and the frame's context, by which the kernel's sockets and routes are looked up.
pub struct Kernel<C> {
    /// Of XDP or of tcx.
    pub context: *mut C,
}

/// A context of XDP or of tcx.
pub trait Context {
    /// Number of the interface that the frame came in by.
    fn interface(&self) -> u32;
}

impl Context for xdp_md {
    #[inline(always)]
    fn interface(&self) -> u32 {
        self.ingress_ifindex
    }
}

impl Context for __sk_buff {
    #[inline(always)]
    fn interface(&self) -> u32 {
        self.ifindex
    }
}

impl<C> Kernel<C> {
    const fn raw(&self) -> *mut c_void {
        self.context.cast()
    }
}

/// Adds one to a counter of this CPU.
#[inline(always)]
pub fn count(what: u32) {
    if let Some(counter) = COUNTERS.get_ptr_mut(what) {
        // SAFETY: this CPU's own, and the program is not moved from it.
        unsafe { *counter += 1 }
    }
}

impl<C: Context> Tables for Kernel<C> {
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
    fn refusal(&self, number: u32) -> Option<Refused<MapWord>> {
        let refusal = REFUSALS.get_ptr_mut(number)?;
        // SAFETY: addresses within the value, no access.
        unsafe {
            Some(Refused {
                high: MapWord(addr_of_mut!((*refusal).high)),
                low: MapWord(addr_of_mut!((*refusal).low)),
                whose: MapWord(addr_of_mut!((*refusal).whose)),
                until_ns: MapWord(addr_of_mut!((*refusal).until_ns)),
                uncounted: MapWord(addr_of_mut!((*refusal).uncounted)),
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
            let ([a, b, c, d], [e, f, g, h]) = (words(source), words(destination));
            tuple = [a, b, c, d, e, f, g, h, ports];
            36
        };
        // SAFETY: the tuple is as long as is said, and the socket is given back.
        unsafe {
            let tuple = tuple.as_mut_ptr().cast::<bpf_sock_tuple>();
            let socket = bpf_skc_lookup_tcp(self.raw(), tuple, bytes, CURRENT_NAMESPACE, 0);
            if socket.is_null() {
                return false;
            }
            let state = (*socket).state;
            bpf_sk_release(socket.cast());
            state != LISTEN
        }
    }

    /// A look at the routes costs more than all else here, so what was found to be ours is believed for a moment; whether it has
    /// become ours is looked up each time.
    #[inline(always)]
    fn is_forwarded(&self, segment: &Segment, now_ns: u64) -> bool {
        // SAFETY: the kernel's, readable.
        let interface = unsafe { (*self.context).interface() };
        let Place { high, low } = segment.destination;
        let Some(ours) = OURS.get_ptr_mut((low as u32 ^ interface) % OURS_MAX) else {
            return true;
        };
        // SAFETY: this CPU's own.
        let ours = unsafe { &mut *ours };
        if ours.low == low && ours.high == high && ours.interface == interface && now_ns < ours.until_ns {
            return false;
        }
        let forwarded = leads_elsewhere(self.raw(), segment, interface);
        if !forwarded {
            *ours = Ours { high, low, until_ns: now_ns + OURS_NS, interface, pad: 0 };
        }
        forwarded
    }
}

/// A destination that is this host's own.
#[repr(C)]
#[derive(Clone, Copy)]
struct Ours {
    high: u64,
    low: u64,
    until_ns: u64,
    interface: u32,
    pad: u32,
}

/// By the routes, as the kernel will look: an address of its own has one that leads nowhere else. A kernel that forwards nothing on
/// this interface says so at once. What can't be known is somebody else's. A function of its own, since it is asked rarely.
#[inline(never)]
fn leads_elsewhere(context: *mut c_void, segment: &Segment, interface: u32) -> bool {
    let (source, destination) = (segment.source, segment.destination);
    let is_v4 = source.is_v4();
    // SAFETY: numbers and unions of numbers, for which 0 is as good as any.
    let mut asked: Route = unsafe { zeroed() };
    asked.family = if is_v4 { AF_INET } else { AF_INET6 };
    asked.l4_protocol = TCP;
    asked.sport = segment.source_port.to_be();
    asked.dport = segment.port.to_be();
    asked.ifindex = interface;
    if is_v4 {
        asked.__bindgen_anon_3.ipv4_src = (source.low as u32).to_be();
        asked.__bindgen_anon_4.ipv4_dst = (destination.low as u32).to_be();
    } else {
        asked.__bindgen_anon_3.ipv6_src = words(source);
        asked.__bindgen_anon_4.ipv6_dst = words(destination);
    }
    // SAFETY: the question is as long as is said.
    let said = unsafe { bpf_fib_lookup(context, &raw mut asked, size_of::<Route>() as i32, 0) };
    said != i64::from(BPF_FIB_LKUP_RET_NOT_FWDED) && said != i64::from(BPF_FIB_LKUP_RET_FWD_DISABLED)
}

/// As the kernel has an address of IPv6.
#[inline(always)]
fn words(place: Place) -> [u32; 4] {
    [
        ((place.high >> 32) as u32).to_be(),
        (place.high as u32).to_be(),
        ((place.low >> 32) as u32).to_be(),
        (place.low as u32).to_be(),
    ]
}
