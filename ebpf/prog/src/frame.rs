//! A frame where it lies. Each read is checked against its end, in the shape that the verifier follows.

use core::arch::asm;

use aya_ebpf::programs::TcContext;
use gate::{Link, Packet, packet::OFFSET_MAX};

/// As many bytes of a frame as headers of a good client have, with room.
const HEAD_BYTES: u32 = 192;

/// Where a read may begin: no header lies further behind than TCP's.
const AT_MAX: usize = OFFSET_MAX + 20;

/// From the first byte to behind the last.
pub struct Frame {
    /// Address of the first.
    pub start: usize,
    /// Address behind the last.
    pub end: usize,
    /// What it begins with.
    pub link: Link,
}

/// A read as the machine does it, wherever the number lies.
macro_rules! read {
    ($name:ident, $number:ty, $load:literal) => {
        #[inline(always)]
        fn $name(&self, at: usize) -> Option<$number> {
            // Always true; the verifier sees it here.
            if at > AT_MAX {
                return None;
            }
            let mut from = self.start + at;
            // SAFETY: no instruction. The compiler must compare the very address that it reads from: the verifier knows nothing
            // of another that would be the same.
            unsafe { asm!("/* {0} */", inout(reg) from, options(nomem, nostack, preserves_flags)) };
            if from + size_of::<$number>() > self.end {
                return None;
            }
            let number: u64;
            // SAFETY: what is read is in the frame, as was just compared; this machine's loads need no alignment.
            unsafe { asm!($load, out(reg) number, in(reg) from, options(readonly, nostack, preserves_flags)) };
            Some(<$number>::from_be(number as $number))
        }
    };
}

impl Packet for Frame {
    #[inline(always)]
    fn link(&self) -> Link {
        self.link
    }

    read!(u8, u8, "{0} = *(u8 *)({1} + 0)");
    read!(u16, u16, "{0} = *(u16 *)({1} + 0)");
    read!(u32, u32, "{0} = *(u32 *)({1} + 0)");
    read!(u64, u64, "{0} = *(u64 *)({1} + 0)");
}

/// Makes the head of a frame readable, if it lies elsewhere.
#[inline(always)]
pub fn pull(context: &TcContext) {
    let bytes = context.len();
    let linear = context.data_end() - context.data();
    if linear < HEAD_BYTES as usize && bytes as usize > linear {
        let wanted = if bytes < HEAD_BYTES { bytes } else { HEAD_BYTES };
        // What can't be pulled is not parsed, and passes.
        let _ = context.pull_data(wanted);
    }
}
