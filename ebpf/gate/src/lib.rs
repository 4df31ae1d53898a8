//! The gate: what becomes of a packet before the kernel's TCP sees it. The decision is an ordinary function over a few tables,
//! the same source in the kernel's programs, in tests on the host, and where user space limits by itself. It knows no
//! kernel, no clock and no file.
#![no_std]

#[cfg(feature = "std")]
extern crate std;

pub mod abi;
#[cfg(feature = "std")]
pub mod table;
