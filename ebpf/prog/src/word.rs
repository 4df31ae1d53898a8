//! Words of the tables that several CPUs change.

use core::arch::asm;

use gate::Word;

/// A word in a value of a table. Made from addresses that the kernel gave, which are good until the program ends.
#[derive(Clone, Copy)]
pub struct MapWord(pub *mut u64);

impl Word for MapWord {
    #[inline(always)]
    fn get(&self) -> u64 {
        // SAFETY: see `MapWord`; one aligned load.
        unsafe { self.0.read_volatile() }
    }

    /// The instruction itself: `core` has no atomics for this target.
    #[inline(always)]
    fn swap_if(&self, old: u64, new: u64) -> u64 {
        let found: u64;
        // SAFETY: see `MapWord`.
        unsafe {
            asm!(
                "r0 = cmpxchg_64({at} + 0, r0, {new})",
                at = in(reg) self.0,
                new = in(reg) new,
                inlateout("r0") old => found,
            );
        }
        found
    }

    #[inline(always)]
    fn set(&self, value: u64) {
        // SAFETY: see `MapWord`; one aligned store.
        unsafe { self.0.write_volatile(value) }
    }

    #[inline(always)]
    fn add(&self, more: u64) {
        // SAFETY: see `MapWord`.
        unsafe {
            asm!("lock *(u64 *)({at} + 0) += {more}", at = in(reg) self.0, more = in(reg) more);
        }
    }
}
