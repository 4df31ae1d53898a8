//! Runtime: one core's reactor. Tasks, sockets, timers, buffers and letters from other threads, on `io_uring`, on
//! `epoll`, or in memory for tests, with faults from a seed if wanted, behind one API.
//!
//! A thread starts one [`Runtime`] and drives it with [`Runtime::block_on`]; everything else is reached through a
//! [`Handle`]. The reactor works in turns: run the tasks that are ready, send once for each socket that was written
//! to, give the receive buffers back, ask the kernel once for what happened, look at the timers and the mailboxes.
//!
//! Three rules hold on every driver:
//! * Received bytes belong to the socket, never to a future: dropping a pending receive loses nothing.
//! * Writing never waits and never calls the kernel: bytes are gathered and leave at the end of the turn.
//! * A deadline that moves later costs a store. Only one that moves earlier touches the timer wheel.
//!
//! This room does not know HTTP, TLS, or what a request is. It is the only room of the data path that holds `unsafe`,
//! touches a socket, or reads a clock.

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("the runtime is made for 64-bit Linux: wakers carry a slot and a generation in one pointer");

mod alarm;
mod allocator;
mod buffers;
mod clock;
mod connect;
mod driver;
mod epoll;
mod executor;
mod handle;
mod kept;
mod listener;
mod mailbox;
pub mod memory;
mod options;
mod pin;
mod plain;
mod pooled;
mod reactor;
mod send_queue;
pub mod simulated;
mod socket;
mod spare;
mod stats;
mod stream;
mod turns;
mod uring;
mod wheel;

pub use alarm::{Alarm, Expired, Guard};
pub use allocator::give_back;
pub use clock::Clock;
pub use connect::Connect;
pub use handle::{Handle, Trimmed};
pub use listener::Listener;
pub use mailbox::{Mailbox, Post};
pub use options::{DriverChoice, DriverKind, Error, Options};
pub use pooled::Pooled;
pub use reactor::Runtime;
pub use spare::Spare;
pub use stats::Stats;
pub use stream::{News, Received, Stream};
pub use turns::{Longest, STALL};

#[cfg(test)]
mod tests;
