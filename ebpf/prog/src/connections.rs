//! What the kernel tells of the gateway's own connections: attached to its control group, it sees no others.

use aya_ebpf::{
    bindings::{
        BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB, BPF_SOCK_OPS_RETRANS_CB, BPF_SOCK_OPS_RETRANS_CB_FLAG,
        BPF_SOCK_OPS_RTO_CB, BPF_SOCK_OPS_RTO_CB_FLAG, BPF_SOCK_OPS_RTT_CB, BPF_SOCK_OPS_RTT_CB_FLAG,
        BPF_SOCK_OPS_STATE_CB, BPF_SOCK_OPS_STATE_CB_FLAG,
    },
    macros::{map, sock_ops},
    maps::PerCpuArray,
    programs::SockOpsContext,
};
use gate::abi::{Connections, RTT_BUCKETS};

/// A closed socket (`tcp_states.h`).
const CLOSE: u32 = 7;

#[map]
static CONNECTIONS: PerCpuArray<Connections> = PerCpuArray::with_max_entries(1, 0);
#[map]
static RTT: PerCpuArray<u64> = PerCpuArray::with_max_entries(RTT_BUCKETS, 0);

/// Counts what becomes of accepted connections.
#[sock_ops]
pub fn observe(context: SockOpsContext) -> u32 {
    let Some(all) = CONNECTIONS.get_ptr_mut(0) else {
        return 1;
    };
    // SAFETY: this CPU's own.
    let all = unsafe { &mut *all };
    match context.op() {
        BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB => {
            all.established += 1;
            let flags = BPF_SOCK_OPS_RTO_CB_FLAG
                | BPF_SOCK_OPS_RETRANS_CB_FLAG
                | BPF_SOCK_OPS_STATE_CB_FLAG
                | BPF_SOCK_OPS_RTT_CB_FLAG;
            // Without them this connection is not heard of again; it is the kernel's memory that would be short.
            let _ = context.set_cb_flags(flags as i32);
        }
        BPF_SOCK_OPS_RTT_CB => {
            // SAFETY: the kernel's, readable; in eighths of a µs.
            let rtt_us = u64::from(unsafe { (*context.ops).srtt_us } >> 3);
            all.rtt_us_sum += rtt_us;
            all.rtt_samples += 1;
            if let Some(bucket) = RTT.get_ptr_mut(gate::abi::rtt_bucket(rtt_us)) {
                // SAFETY: this CPU's own.
                unsafe { *bucket += 1 }
            }
        }
        BPF_SOCK_OPS_RETRANS_CB => all.retransmits += 1,
        BPF_SOCK_OPS_RTO_CB => all.timeouts += 1,
        BPF_SOCK_OPS_STATE_CB if context.arg(1) == CLOSE => all.closed += 1,
        _ => {}
    }
    1
}
