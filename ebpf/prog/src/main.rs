//! The kernel's programs. Each is a thin shell: it reads frames and tables for `gate`, which decides. They know nothing of the
//! configuration and of no clock but the kernel's.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod connections;
mod cookie;
mod frame;
mod kernel;
mod steer;
mod word;

use aya_ebpf::{
    bindings::{
        __sk_buff,
        tcx_action_base::{TCX_DROP, TCX_NEXT},
        xdp_action::{XDP_DROP, XDP_PASS},
    },
    helpers::bpf_ktime_get_ns,
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};
use gate::{Link, Tables, Verdict, abi::Count};

use crate::{frame::Frame, kernel::Kernel};

/// The gate where frames arrive first. Also those that are longer than a page and lie in parts: headers are read in the first, as
/// for tcx.
#[xdp(frags)]
pub fn xdp_gate(context: XdpContext) -> u32 {
    let tables = Kernel { context: context.ctx };
    let frame = Frame { start: context.data(), end: context.data_end(), link: Link::Ethernet };
    // SAFETY: the helper reads a clock.
    match gate::decide(&frame, &tables, unsafe { bpf_ktime_get_ns() }) {
        Verdict::Pass => XDP_PASS,
        Verdict::Drop => XDP_DROP,
        Verdict::Challenge(segment) => {
            let ip_at = u32::from(segment.ip_at);
            let tcp_at = u32::from(segment.tcp_at);
            if segment.source.is_v4() {
                cookie::answer_v4(context.ctx, ip_at, tcp_at)
            } else {
                cookie::answer_v6(context.ctx, ip_at, tcp_at)
            }
        }
    }
}

/// The same for interfaces whose driver has no room for it. It can't transmit: who is to be challenged passes, and the kernel's
/// own cookies answer.
#[classifier]
pub fn tcx_gate(context: TcContext) -> i32 {
    tcx(context.skb.skb, Link::Ethernet)
}

/// The same for tunnels.
#[classifier]
pub fn tcx_gate_ip(context: TcContext) -> i32 {
    tcx(context.skb.skb, Link::Ip)
}

/// Both, in one function that each calls: two would have twice the bytes.
#[inline(never)]
fn tcx(context: *mut __sk_buff, link: Link) -> i32 {
    let tables = Kernel { context };
    let context = TcContext::new(context);
    frame::pull(&context);
    let frame = Frame { start: context.data(), end: context.data_end(), link };
    // SAFETY: the helper reads a clock.
    match gate::decide(&frame, &tables, unsafe { bpf_ktime_get_ns() }) {
        Verdict::Pass => TCX_NEXT,
        Verdict::Drop => TCX_DROP,
        Verdict::Challenge(_) => {
            tables.count(Count::Unchallenged as u32);
            tables.count(Count::SynsPassed as u32);
            TCX_NEXT
        }
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}

/// The kernel lends cookies and events to programs of its own licence alone.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";
