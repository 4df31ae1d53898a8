//! The seam between the reactor and how it talks to the kernel. Above it nothing sees which driver runs.

use crate::clock::Clock;
use crate::options::{DriverKind, Error};
use crate::simulated::Injected;
use crate::socket::{Incoming, Lent, Table};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// How long a turn may wait for the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Not at all: tasks are ready.
    No,
    /// Until the next timer.
    For(Duration),
    /// Until something happens.
    Forever,
}

/// How a socket is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// As the kernel closes: FIN, or RST when received bytes were left.
    Plain,
    /// RST, whatever was sent or received.
    Reset,
}

/// What a driver does. All state that outlives a call is in the table or the driver; nothing here waits but `turn`.
pub(crate) trait Driver {
    fn kind(&self) -> DriverKind;

    fn clock(&self) -> Clock;

    /// The clock's part that never goes back.
    fn mono_ns(&self) -> u64 {
        self.clock().mono_ns
    }

    /// For how long this thread has had a processor; `None` where nobody can tell. A system call.
    fn cpu_ns(&self) -> Option<u64> {
        None
    }

    /// About how long the kernel will take for what it has not been told yet.
    fn pending_ns(&self) -> u64 {
        0
    }

    /// Starts a connection to `address`: a new slot, whose `connected` or `failed` will tell.
    fn connect(&mut self, table: &mut Table, address: SocketAddr) -> io::Result<u32>;

    /// Makes an accepted connection a socket that receives.
    fn attach(&mut self, table: &mut Table, incoming: Incoming) -> io::Result<u32>;

    /// Binds an address by itself.
    fn bind(&mut self, table: &mut Table, address: SocketAddr) -> io::Result<u32>;

    /// Starts to accept on a listener.
    fn listen(&mut self, table: &mut Table, listener: std::net::TcpListener) -> io::Result<u32>;

    /// The next accepted connection, if there is one now.
    fn accept(&mut self, table: &mut Table, listener: u32) -> Option<Incoming>;

    /// Tries again after descriptors or memory had run out.
    fn resume_accept(&mut self, table: &mut Table, listener: u32);

    /// Stops accepting; what the kernel has accepted stays in the queue.
    fn close_listener(&mut self, table: &mut Table, listener: u32);

    /// Closes a listener and frees its slot.
    fn drop_listener(&mut self, table: &mut Table, listener: u32);

    /// Makes sure that `has_news` and `end` of the socket tell the truth of this moment; true if there is either.
    fn look(&mut self, table: &mut Table, slot: u32) -> bool;

    /// Takes note of how much a receive of the socket is to bring from now on.
    fn spare(&mut self, _table: &mut Table, _slot: u32) {}

    /// Lends received bytes that the reader has not seen, or with what it has seen in front, in one piece.
    fn lend(&mut self, table: &mut Table, slot: u32) -> Option<Lent>;

    /// Takes lent bytes back; the first `consumed` of them are done with.
    fn give_back(&mut self, table: &mut Table, slot: u32, lent: Lent, consumed: usize);

    /// Sends what the dirty sockets have.
    fn flush(&mut self, table: &mut Table);

    /// Sends at once what one socket has, as far as the kernel has room; the rest waits for `flush`.
    fn flush_now(&mut self, table: &mut Table, slot: u32);

    /// Sends at once what one socket has and `bytes` behind it, out of where they lie; says how many of `bytes` the kernel
    /// took.
    fn send_through(&mut self, _table: &mut Table, _slot: u32, _bytes: &[u8]) -> usize {
        0
    }

    /// Frees what is kept for reuse and was not needed since this was called last.
    fn trim(&mut self) {}

    /// Ends the turn for received bytes: nothing stays in the kernel's buffers.
    fn settle(&mut self, table: &mut Table);

    /// Closes a socket and frees its slot as soon as the kernel is done with it.
    fn close(&mut self, table: &mut Table, slot: u32, how: Close);

    /// Waits for the kernel and takes up what happened. The only call that may wait.
    fn turn(&mut self, table: &mut Table, wait: Wait) -> Result<(), Error>;

    /// Takes everything back from the kernel; after it no memory of ours is known to it, or that memory is never freed.
    fn stop(&mut self, table: &mut Table);

    /// Moves a virtual clock forward; false when the clock is the system's.
    fn advance(&mut self, _by: Duration) -> bool {
        false
    }

    /// The faults that were put into this run.
    fn injected(&self) -> Injected {
        Injected::default()
    }
}
