//! The gate: what becomes of a packet before the kernel's TCP sees it. The decision is an ordinary function over a few tables,
//! the same source in the kernel's programs, in tests on the host, and where user space limits by itself. It knows no
//! kernel, no clock and no file.
#![no_std]

#[cfg(feature = "std")]
extern crate std;

pub mod abi;
pub mod address;
pub mod answer;
pub mod decide;
pub mod limit;
pub mod packet;
#[cfg(feature = "std")]
pub mod table;

pub use address::Place;
pub use decide::{Refused, Sightings, Tables, Torrent, Verdict, decide};
pub use limit::{Word, take};
pub use packet::{Link, Packet, Parsed, Segment, parse};
