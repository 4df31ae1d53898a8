//! The answer to a SYN in a flood, from where the SYN came in: the kernel's cookie in a SYN-ACK of ours, in the SYN's own frame.

use aya_ebpf::{
    bindings::{
        xdp_action::{XDP_DROP, XDP_PASS, XDP_TX},
        xdp_md,
    },
    helpers::generated::{
        bpf_tcp_raw_gen_syncookie_ipv4, bpf_tcp_raw_gen_syncookie_ipv6, bpf_xdp_adjust_tail,
        bpf_xdp_get_buff_len, bpf_xdp_load_bytes, bpf_xdp_store_bytes,
    },
};
use aya_ebpf::{macros::map, maps::PerCpuArray};
use gate::{abi::Count, answer};

use crate::kernel::count;

/// Words of TCP's header with all its options.
const TCP_WORDS_MAX: usize = 15;
/// Bytes of its fixed part.
const FIXED_BYTES: u32 = 20;

/// Headers that come in and go out. Not on the stack, whose 512 bytes are the gate's.
#[repr(C)]
struct Draft {
    ip: [u32; 10],
    tcp: [u32; TCP_WORDS_MAX],
    out: [u32; 16],
}

#[map]
static DRAFT: PerCpuArray<Draft> = PerCpuArray::with_max_entries(1, 0);

macro_rules! answer {
    ($name:ident, $ip_words:literal, $cookie:ident, $answer:path, $out_bytes:literal) => {
        /// Answers the SYN in this frame; passes it on if the kernel makes no cookies.
        #[inline(never)]
        pub fn $name(context: *mut xdp_md, ip_at: u32, tcp_at: u32) -> u32 {
            let Some(draft) = DRAFT.get_ptr_mut(0) else {
                return unchallenged();
            };
            // SAFETY: this CPU's own, and nothing else runs on it until this program ends.
            let Draft { ip, tcp, out } = unsafe { &mut *draft };
            // SAFETY: buffers are as long as is said; the helpers check what they read of the frame.
            let made = unsafe {
                if bpf_xdp_load_bytes(context, ip_at, ip.as_mut_ptr().cast(), $ip_words * 4) != 0
                    || bpf_xdp_load_bytes(context, tcp_at, tcp.as_mut_ptr().cast(), FIXED_BYTES) != 0
                {
                    return unchallenged();
                }
                let header_bytes = (u32::from_be(tcp[3]) >> 28) * 4;
                // All of its options, or the kernel would not take it either.
                if header_bytes > FIXED_BYTES
                    && bpf_xdp_load_bytes(
                        context,
                        tcp_at + FIXED_BYTES,
                        tcp.as_mut_ptr().add(5).cast(),
                        header_bytes - FIXED_BYTES,
                    ) != 0
                {
                    return refused();
                }
                $cookie(ip.as_mut_ptr().cast(), tcp.as_mut_ptr().cast(), header_bytes)
            };
            if made < 0 {
                return unchallenged();
            }
            let (Some(ip), Some(tcp), Some(answer)) =
                (ip.first_chunk(), tcp.first_chunk(), out.first_chunk_mut())
            else {
                return unchallenged();
            };
            $answer(ip, tcp, made as u32, (made >> 32) as u16, answer);
            let mut link = [0u16; 6];
            // SAFETY: as above. The frame keeps its tags; its addresses change places.
            unsafe {
                let wanted = ip_at + $out_bytes;
                let has = bpf_xdp_get_buff_len(context) as u32;
                if bpf_xdp_load_bytes(context, 0, link.as_mut_ptr().cast(), 12) != 0
                    || bpf_xdp_adjust_tail(context, wanted.wrapping_sub(has) as i32) != 0
                {
                    return unchallenged();
                }
                let [a, b, c, d, e, f] = link;
                link = [d, e, f, a, b, c];
                // From here on the frame is no SYN any more.
                if bpf_xdp_store_bytes(context, 0, link.as_mut_ptr().cast(), 12) != 0
                    || bpf_xdp_store_bytes(context, ip_at, out.as_mut_ptr().cast(), $out_bytes) != 0
                {
                    return refused();
                }
            }
            count(Count::SynsChallenged as u32);
            XDP_TX
        }
    };
}

answer!(answer_v4, 5, bpf_tcp_raw_gen_syncookie_ipv4, answer::v4, 44);
answer!(answer_v6, 10, bpf_tcp_raw_gen_syncookie_ipv6, answer::v6, 64);

#[inline(always)]
fn unchallenged() -> u32 {
    count(Count::Unchallenged as u32);
    count(Count::SynsPassed as u32);
    XDP_PASS
}

#[inline(always)]
fn refused() -> u32 {
    count(Count::Malformed as u32);
    count(Count::Dropped as u32);
    XDP_DROP
}
