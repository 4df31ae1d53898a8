//! Which core's listener gets a connection: all of one source prefix the same, as user space has shared them out. Where it has
//! not, the kernel chooses.

use aya_ebpf::{
    EbpfContext,
    bindings::{bpf_sock, sk_action::SK_PASS},
    cty::c_void,
    helpers::generated::bpf_skb_load_bytes_relative,
    macros::{map, sk_reuseport},
    maps::{Array, HashMap, PerCpuArray, ReusePortSockArray},
    programs::SkReuseportContext,
};
use gate::{
    Place,
    abi::{CORES_MAX, Count, GROUPS_MAX, STEERING_BUCKETS},
};

use crate::kernel::count;

/// Sockets of IPv6 (`socket.h`).
const AF_INET6: u32 = 10;
/// Offsets are from the network header on (`BPF_HDR_START_NET`).
const FROM_NETWORK: u32 = 1;
/// Protocols of Ethernet.
const ETH_IPV4: u32 = 0x0800;
const ETH_IPV6: u32 = 0x86dd;

#[map]
static STEERING: Array<u32> = Array::with_max_entries(STEERING_BUCKETS, 0);
#[map]
static STEERED: PerCpuArray<u64> = PerCpuArray::with_max_entries(STEERING_BUCKETS, 0);
#[map]
static LISTENERS: ReusePortSockArray = ReusePortSockArray::with_max_entries(GROUPS_MAX * CORES_MAX, 0);
#[map]
static GROUPS: HashMap<u32, u32> = HashMap::with_max_entries(GROUPS_MAX, 0);

/// For new connections, and for those that wait at a listener that closes.
#[sk_reuseport(migrate)]
pub fn steer(context: SkReuseportContext) -> u32 {
    let steered =
        listener(&context).is_some_and(|number| LISTENERS.select_reuseport(&context, number).is_ok());
    count(if steered { Count::Steered } else { Count::Unsteered } as u32);
    SK_PASS
}

#[inline(always)]
fn listener(context: &SkReuseportContext) -> Option<u32> {
    // SAFETY: the kernel gives a socket of the group, always.
    let (port, family) = unsafe {
        let socket = (*context.md).__bindgen_anon_3.sk;
        ((*socket).src_port, (*socket).family)
    };
    let family = if family == AF_INET6 { 6 } else { 4 };
    let group = *GROUPS.get_ptr(port << 8 | family).map(|group| unsafe { &*group })?;
    // SAFETY: as the kernel has it, or null.
    let migrating = unsafe { (*context.md).__bindgen_anon_4.migrating_sk };
    let source = if migrating.is_null() { sender(context) } else { peer(migrating) }?;
    let bucket = source.bucket();
    if let Some(brought) = STEERED.get_ptr_mut(bucket) {
        // SAFETY: this CPU's own.
        unsafe { *brought += 1 }
    }
    let core = *STEERING.get(bucket)?;
    if group < GROUPS_MAX && core < CORES_MAX { Some(group * CORES_MAX + core) } else { None }
}

/// Who sent the segment.
#[inline(always)]
fn sender(context: &SkReuseportContext) -> Option<Place> {
    let protocol = u32::from(u16::from_be(context.eth_protocol() as u16));
    let mut address = [0u8; 16];
    let (at, bytes) = match protocol {
        ETH_IPV4 => (12, 4),
        ETH_IPV6 => (8, 16),
        _ => return None,
    };
    // SAFETY: the buffer has room for both.
    let failed = unsafe {
        bpf_skb_load_bytes_relative(
            context.as_ptr().cast_const(),
            at,
            address.as_mut_ptr().cast::<c_void>(),
            bytes,
            FROM_NETWORK,
        )
    };
    if failed != 0 {
        return None;
    }
    if protocol == ETH_IPV4 {
        let [a, b, c, d, ..] = address;
        Some(Place::v4(u32::from_be_bytes([a, b, c, d])))
    } else {
        Some(Place::new(address))
    }
}

/// At whose end a connection that moves is.
#[inline(always)]
fn peer(socket: *mut bpf_sock) -> Option<Place> {
    // SAFETY: the kernel's socket; each field is read as its own.
    unsafe {
        if (*socket).family != AF_INET6 {
            return Some(Place::v4(u32::from_be((*socket).dst_ip4)));
        }
        let [a, b, c, d] = (*socket).dst_ip6;
        let half =
            |first: u32, second: u32| u64::from(u32::from_be(first)) << 32 | u64::from(u32::from_be(second));
        Some(Place { high: half(a, b), low: half(c, d) })
    }
}
