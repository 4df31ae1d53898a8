//! What a reactor counts about itself. Plain cells of one core: nobody else writes them.

use std::cell::Cell;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// A reading of a reactor's counters. All grow from its start, unless said otherwise.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
        }

        #[derive(Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Cell<u64>,)*
        }

        impl Counters {
            pub(crate) fn read(&self) -> Stats {
                Stats { $($name: self.$name.get(),)* }
            }
        }
    };
}

counters! {
    /// Turns of the reactor.
    turns,
    /// System calls for sockets: waits, and what was sent, received or accepted outside the ring.
    syscalls,
    /// Task polls.
    polls,
    /// Tasks that ended by a panic. Each cost only itself.
    task_panics,
    /// Sockets open now, listeners not counted.
    sockets_open,
    /// Connections accepted.
    accepted,
    /// Times accepting stopped because descriptors or memory ran out.
    accept_pauses,
    /// Bytes received.
    received_bytes,
    /// Bytes handed to the kernel.
    sent_bytes,
    /// Times the kernel found no receive buffer.
    enobufs,
    /// Times a peer was held because nobody took what it had sent.
    receive_pauses,
    /// The most bytes that ever waited in one socket's receive queue.
    receive_queue_bytes_max,
    /// Bytes copied out of receive buffers because nobody took them in the turn they arrived.
    copied_bytes,
    /// Times this core was woken by a letter from another thread.
    mailbox_wakes,
    /// Buffers in the pool now.
    buffers_pooled,
    /// Buffers that had to be allocated because the pool was empty.
    buffers_allocated,
    /// Futures that had to be allocated because the pool had no memory of their size.
    futures_allocated,
    /// Timers touched by the wheel: fired, or moved to a later tick.
    timers_touched,
    /// Turns longer than [`crate::STALL`] that ran for longer than it themselves.
    stalls_work,
    /// How long those lasted, in nanoseconds.
    stalls_work_ns,
    /// The same of turns in which a change was taken ([`crate::Handle::mark_change`]).
    stalls_change,
    /// How long those lasted, in nanoseconds.
    stalls_change_ns,
    /// Turns that lasted longer and ran for less: the thread waited for its processor, or for the kernel.
    stalls_waited,
    /// How long those lasted, in nanoseconds.
    stalls_waited_ns,
    /// Turns that lasted longer, of which nobody read how long they ran: the first after ten seconds without.
    stalls_unknown,
    /// How long those lasted, in nanoseconds.
    stalls_unknown_ns,
}

pub(crate) fn add(cell: &Cell<u64>, n: u64) {
    cell.set(cell.get().wrapping_add(n));
}
