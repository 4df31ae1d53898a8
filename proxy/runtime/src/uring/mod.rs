//! The `io_uring` driver: multishot accept, multishot receive into a ring of provided buffers, one `io_uring_enter` a turn.
//!
//! # What the kernel knows of our memory
//! Two things only: the provided buffers (`buffers`) and the bytes, slices and addresses of sends and connects
//! (`flights`). Both are owned here, and none of it is freed or changed while an operation that may touch it is in
//! flight: an operation ends with a completion without `F_MORE`, `in_flight` counts those outstanding, and
//! [`Driver::stop`] and `Drop` cancel and reap until none is left. If the kernel should refuse even that, the memory is
//! leaked. Descriptors are closed only when no operation names them.
//!
//! # Two ways to receive
//! A socket begins in *ring* mode. When it brings much at once, or nobody takes what it brings, the multishot is not
//! armed again and it goes on in *bulk* mode: a poll tells that something is there, and a plain receive takes up to a
//! large buffer of it. That halves the cost of bodies, and back-pressure is simply not to receive. Two small receives in a
//! row bring it back. Who wants little at once is in bulk mode from when it says so. Plain receives begin only after the multishot's last completion, so bytes stay in order.
//!
//! A multishot is capped at a few buffers, after which it ends by itself (Linux 6.17). Older kernels know no cap: there
//! it is cancelled, but one enter may bring all buffers of the ring before that takes effect.

mod arming;
mod buffers;
mod completions;
mod flights;
mod user_data;

pub(crate) use buffers::Chunk;

use crate::clock::{self, Clock};
use crate::driver::{Close, Driver, Wait};
use crate::mailbox::Bell;
use crate::options::{DriverKind, Error, Options};
use crate::plain::{self, Hot, Sent};
use crate::socket::{End, Incoming, Lent, ListenState, Plainly, Table};
use crate::stats::add;
use buffers::RingBuffers;
use flights::Flights;
use io_uring::types::{CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue};
use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;
use user_data::{Op, UserData};

/// Full buffers in one turn after which a socket is received from in bulk.
const BULK_BUFFERS: usize = 2;
/// Places for completions and entries that are kept however few there are.
const COMPLETIONS_MIN: usize = 256;
/// Waits for the last completions when stopping.
const STOP_TURNS_MAX: u32 = 1000;

/// What it takes the kernel to begin a connection: measured, on loopback, where the other end's part is in it.
const CONNECT_NS: u64 = 30_000;

pub(crate) struct Uring {
    // Dropped first: the kernel lets go of everything before the memory below is freed.
    ring: IoUring,
    buffers: RingBuffers,
    flights: Flights,
    hot: Hot,
    /// Entries that found the submission ring full.
    backlog: VecDeque<squeue::Entry>,
    completions: Vec<cqueue::Entry>,
    /// Sockets that have buffers of this turn.
    arrived: Vec<u32>,
    /// Sockets whose multishot ended because no buffer was left.
    starving: Vec<u32>,
    bell: Arc<Bell>,
    bell_armed: bool,
    /// Operations that the kernel has, or that wait in the rings.
    in_flight: usize,
    /// Connections that the kernel is to begin with the next enter.
    connects: u32,
    kind: DriverKind,
    /// The kernel can cap a multishot receive. Believed until it says otherwise.
    caps: bool,
}

impl Uring {
    pub(crate) fn start(options: &Options, bell: &Arc<Bell>, defer: bool) -> io::Result<Self> {
        let mut builder = IoUring::builder();
        builder.setup_cqsize(options.ring_entries.saturating_mul(4));
        builder.setup_single_issuer().setup_coop_taskrun().setup_submit_all().dontfork();
        if defer {
            builder.setup_defer_taskrun();
        }
        let ring = builder.build(options.ring_entries)?;
        let features = ring.params();
        if !(features.is_feature_ext_arg()
            && features.is_feature_nodrop()
            && features.is_feature_submit_stable())
        {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "this kernel's io_uring is too old"));
        }
        let buffers = RingBuffers::new(options.ring_buffers, options.ring_buffer_bytes)?;
        buffers.register(&ring)?;
        let kind = if defer { DriverKind::UringDefer } else { DriverKind::Uring };
        Ok(Self {
            ring,
            buffers,
            flights: Flights::default(),
            hot: Hot::default(),
            backlog: VecDeque::new(),
            completions: Vec::new(),
            arrived: Vec::new(),
            starving: Vec::new(),
            bell: bell.clone(),
            bell_armed: false,
            in_flight: 0,
            connects: 0,
            kind,
            caps: true,
        })
    }

    /// Hands an entry to the kernel with the next enter.
    ///
    /// # Safety
    /// Memory that the entry points to must be owned by `buffers` or `flights`, and stay as it is until the entry's
    /// last completion is reaped.
    unsafe fn push(&mut self, entry: squeue::Entry) {
        if self.backlog.is_empty() {
            // SAFETY: as the caller promises.
            if unsafe { self.ring.submission().push(&entry) }.is_ok() {
                return;
            }
            // Full: let the kernel take what is there. An error is met again, and handled, by the next turn.
            if self.ring.submit().is_ok() {
                // SAFETY: as the caller promises.
                if unsafe { self.ring.submission().push(&entry) }.is_ok() {
                    return;
                }
            }
        }
        self.backlog.push_back(entry);
    }

    /// As `push`, for an operation that completes and is counted.
    ///
    /// # Safety
    /// As for `push`.
    unsafe fn start_op(&mut self, entry: squeue::Entry, user_data: UserData) {
        self.in_flight += 1;
        // SAFETY: as the caller promises.
        unsafe { self.push(entry.user_data(user_data.pack())) };
    }

    fn push_backlog(&mut self) {
        while let Some(entry) = self.backlog.front() {
            // SAFETY: who put it there promised that its memory stays.
            if unsafe { self.ring.submission().push(entry) }.is_err() {
                return;
            }
            self.backlog.pop_front();
        }
    }

    fn cancel(&mut self, user_data: UserData) {
        let entry = opcode::AsyncCancel::new(user_data.pack()).build().user_data(UserData::CANCEL.pack());
        // SAFETY: the entry points to no memory.
        unsafe { self.push(entry) };
    }

    /// Frees a closing socket once the kernel is done with it.
    fn free_when_done(&mut self, table: &mut Table, slot: u32) {
        if table.sockets.get(slot as usize).is_some_and(|socket| socket.closing && !socket.ops.any()) {
            table.remove(slot);
        }
    }

    fn free_listener_when_done(&mut self, table: &mut Table, slot: u32) {
        if table.listeners.get(slot as usize).is_some_and(|l| l.state == ListenState::Dropped && !l.armed) {
            table.listeners.remove(slot as usize);
        }
    }

    /// Submits what is queued and waits as told. Only an error that no repetition mends is given back.
    fn enter(&mut self, wait: Wait) -> io::Result<()> {
        self.push_backlog();
        let result = match wait {
            // With work of our own waiting there is no time to sleep.
            Wait::Forever | Wait::For(_) if !self.backlog.is_empty() => self.enter_now(),
            Wait::No => self.enter_now(),
            Wait::Forever => self.ring.submit_and_wait(1),
            Wait::For(time) => {
                let timespec = Timespec::from(time);
                self.ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&timespec))
            }
        };
        match result {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                // A signal; the time is up; the completion ring was full, or memory short for a moment: reaping helps.
                Some(libc::EINTR | libc::ETIME | libc::EBUSY | libc::EAGAIN) => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// Submits, and has the kernel run the work it deferred, without waiting.
    fn enter_now(&mut self) -> io::Result<usize> {
        let queued = self.ring.submission().len() as u32;
        // SAFETY: no argument is passed; the number of entries is what the submission ring holds.
        unsafe {
            self.ring.submitter().enter::<libc::sigset_t>(queued, 0, EnterFlags::GETEVENTS.bits(), None)
        }
    }

    fn reap(&mut self, table: &mut Table) {
        let mut completions = std::mem::take(&mut self.completions);
        completions.extend(self.ring.completion());
        for completion in &completions {
            self.complete(table, completion);
        }
        completions.clear();
        self.completions = completions;
    }

    /// Cancels everything and reaps until the kernel has nothing of ours.
    fn take_all_back(&mut self, table: &mut Table) {
        if self.in_flight == 0 {
            return;
        }
        for _ in 0..STOP_TURNS_MAX {
            let all =
                opcode::AsyncCancel2::new(CancelBuilder::any()).build().user_data(UserData::CANCEL.pack());
            // SAFETY: the entry points to no memory.
            unsafe { self.push(all) };
            if self.enter(Wait::For(Duration::from_millis(10))).is_err() {
                return;
            }
            self.reap(table);
            if self.in_flight == 0 {
                return;
            }
        }
    }
}

impl Driver for Uring {
    fn kind(&self) -> DriverKind {
        self.kind
    }

    fn clock(&self) -> Clock {
        Clock::read()
    }

    fn mono_ns(&self) -> u64 {
        Clock::read_mono_ns()
    }

    fn cpu_ns(&self) -> Option<u64> {
        clock::thread_cpu_ns()
    }

    fn pending_ns(&self) -> u64 {
        u64::from(self.connects) * CONNECT_NS
    }

    fn connect(&mut self, table: &mut Table, address: SocketAddr) -> io::Result<u32> {
        let os = plain::outgoing(table, address, socket2::Type::STREAM)?;
        self.connects += 1;
        let fd = Fd(os.as_raw_fd());
        let slot = table.insert(Some(os), false);
        let socket = &mut table.sockets[slot as usize];
        socket.ops.connect = true;
        let (flight, entry) = self.flights.connect(address, fd);
        socket.flight = flight;
        let user_data = UserData::new(Op::Connect, socket.generation, slot);
        // SAFETY: the entry points to the address in the flight, which is owned by `flights`, and which is neither changed
        // nor given back before `on_connected` has seen the completion.
        unsafe { self.start_op(entry, user_data) };
        Ok(slot)
    }

    fn attach(&mut self, table: &mut Table, incoming: Incoming) -> io::Result<u32> {
        let Incoming::Os(os) = incoming else { return Err(io::ErrorKind::Unsupported.into()) };
        let slot = table.insert(Some(os), true);
        self.arm_receive(table, slot);
        Ok(slot)
    }

    fn bind(&mut self, table: &mut Table, address: SocketAddr) -> io::Result<u32> {
        self.listen(table, TcpListener::bind(address)?)
    }

    fn listen(&mut self, table: &mut Table, listener: TcpListener) -> io::Result<u32> {
        plain::prepare_listener(&listener, false)?;
        let address = listener.local_addr()?;
        let slot = table.insert_listener(Some(listener), address);
        self.arm_accept(table, slot);
        Ok(slot)
    }

    fn accept(&mut self, table: &mut Table, listener: u32) -> Option<Incoming> {
        let listening = table.listeners.get_mut(listener as usize)?;
        let incoming = listening.queue.pop_front();
        if !listening.armed && !listening.backing_off && listening.queue.len() <= table.accept_queue_max / 2 {
            self.arm_accept(table, listener);
        }
        incoming
    }

    fn resume_accept(&mut self, table: &mut Table, listener: u32) {
        if let Some(listening) = table.listeners.get_mut(listener as usize) {
            listening.backing_off = false;
            self.arm_accept(table, listener);
        }
    }

    fn close_listener(&mut self, table: &mut Table, listener: u32) {
        let Some(listening) = table.listeners.get_mut(listener as usize) else { return };
        if listening.state != ListenState::Open {
            return;
        }
        if listening.armed {
            listening.state = ListenState::Closing;
            self.cancel_accept(table, listener);
        } else {
            plain::drain_and_close(listening);
            listening.state = ListenState::Closed;
            table.wake_acceptor(listener);
        }
    }

    fn drop_listener(&mut self, table: &mut Table, listener: u32) {
        let Some(listening) = table.listeners.get_mut(listener as usize) else { return };
        listening.state = ListenState::Dropped;
        listening.queue.clear();
        self.cancel_accept(table, listener);
        self.free_listener_when_done(table, listener);
    }

    fn look(&mut self, table: &mut Table, slot: u32) -> bool {
        let Table { sockets, buffers, counters, .. } = table;
        let Some(socket) = sockets.get_mut(slot as usize) else { return false };
        if socket.has_news() || socket.end.is_some() {
            return true;
        }
        if !socket.bulk || socket.ops.receive {
            return false;
        }
        let found = self.hot.look(socket, buffers, counters);
        if !found {
            self.arm_poll(table, slot);
        }
        found
    }

    /// The ring brings whole buffers: who wants less takes it plainly from here on.
    fn spare(&mut self, table: &mut Table, slot: u32) {
        let Some(socket) = table.sockets.get_mut(slot as usize) else { return };
        if socket.plainly.is_little() && socket.ops.receive && !socket.bulk {
            socket.bulk = true;
            let armed = UserData::new(Op::Receive, socket.generation, slot);
            self.cancel(armed);
        }
    }

    fn lend(&mut self, table: &mut Table, slot: u32) -> Option<Lent> {
        let Table { sockets, buffers, counters, .. } = table;
        let socket = sockets.get_mut(slot as usize)?;
        if socket.has_news() {
            if socket.starved > 0 || !socket.kept.is_empty() {
                // In one piece with what the reader has seen, or with what stands in front.
                self.buffers.keep_all(socket, buffers, counters);
            } else {
                let chunk = self.buffers.pop(&mut socket.chunk_first, &mut socket.chunk_last)?;
                socket.queued -= chunk.bytes().len();
                return Some(Lent::Ring(chunk));
            }
        } else if !socket.bulk || socket.ops.receive {
            return None;
        }
        // Kept bytes, or a plain receive; chunks there are none any more.
        let fresh = !socket.has_news();
        let lent = self.hot.lend(socket, buffers, counters);
        let length = lent.as_ref().map_or(0, |lent| lent.bytes().len());
        let queued = socket.queued + length;
        if fresh && lent.is_none() {
            self.arm_poll(table, slot);
        } else if fresh {
            let is_little = !socket.readable && length <= self.buffers.bytes();
            let was_little = socket.plainly == Plainly::LITTLE;
            if socket.plainly.bytes_max().is_none() {
                socket.plainly = if is_little { Plainly::LITTLE } else { Plainly::MUCH };
            }
            // Once may be the rest of something large, and another such thing come next.
            if was_little && is_little {
                socket.bulk = false;
                self.arm_receive(table, slot);
            }
        }
        table.note_queued(queued);
        lent
    }

    fn give_back(&mut self, table: &mut Table, slot: u32, lent: Lent, consumed: usize) {
        let Table { sockets, buffers, counters, .. } = table;
        let Some(socket) = sockets.get_mut(slot as usize) else {
            if let Lent::Ring(chunk) = lent {
                self.buffers.give_chunk(chunk);
            }
            return;
        };
        match lent {
            Lent::Ring(chunk) if consumed == chunk.bytes().len() => self.buffers.give_chunk(chunk),
            // What is left stays where it is until the end of the turn: a body is mostly read right after its head.
            Lent::Ring(chunk) if socket.kept.is_empty() => {
                socket.queued += chunk.bytes().len() - consumed;
                self.buffers.hang_back(chunk, consumed, &mut socket.chunk_first, &mut socket.chunk_last);
            }
            Lent::Ring(chunk) => {
                let rest = &chunk.bytes()[consumed..];
                add(&counters.copied_bytes, rest.len() as u64);
                socket.put_back(rest, buffers);
                self.buffers.give_chunk(chunk);
            }
            other => self.hot.give_back(socket, slot, other, consumed, buffers),
        }
    }

    fn flush(&mut self, table: &mut Table) {
        let mut dirty = std::mem::take(&mut table.dirty);
        // One send of a quiet turn is cheaper at once: through the ring it would end the wait that follows.
        let quiet = dirty.len() == 1;
        for slot in dirty.drain(..) {
            let Some(socket) = table.sockets.get_mut(slot as usize) else { continue };
            socket.dirty = false;
            if socket.closing || !socket.connected || socket.ops.send {
                continue;
            }
            if quiet && plain::send(socket, &table.buffers, &table.counters) == Sent::All {
                table.wake_writer(slot);
            } else if socket.send.is_empty() {
                plain::finish_shutdown(socket);
            } else {
                self.start_send(table, slot);
            }
        }
        table.dirty = dirty;
    }

    fn flush_now(&mut self, table: &mut Table, slot: u32) {
        let Some(socket) = table.sockets.get_mut(slot as usize) else { return };
        if socket.closing || !socket.connected || socket.ops.send {
            return;
        }
        // What is left, if the kernel has no room, goes through the ring at the end of the turn.
        plain::send(socket, &table.buffers, &table.counters);
        table.wake_writer(slot);
    }

    fn send_through(&mut self, table: &mut Table, slot: u32, bytes: &[u8]) -> usize {
        let Some(socket) = table.sockets.get_mut(slot as usize) else { return 0 };
        if socket.closing || !socket.connected || socket.ops.send || socket.failed.is_some() {
            return 0;
        }
        plain::send_through(socket, bytes, &table.buffers, &table.counters)
    }

    fn trim(&mut self) {
        self.flights.trim();
        // What a burst made them, unless it goes on.
        self.completions.shrink_to(COMPLETIONS_MIN);
        self.backlog.shrink_to(COMPLETIONS_MIN);
    }

    fn settle(&mut self, table: &mut Table) {
        self.hot.settle(&mut table.sockets, &table.buffers, &table.counters);
        let mut arrived = std::mem::take(&mut self.arrived);
        for slot in arrived.drain(..) {
            if let Some(socket) = table.sockets.get_mut(slot as usize) {
                self.buffers.keep_all(socket, &table.buffers, &table.counters);
            }
        }
        self.arrived = arrived;
        self.buffers.publish();
        let mut starving = std::mem::take(&mut self.starving);
        for slot in starving.drain(..) {
            self.after_multishot(table, slot);
        }
        self.starving = starving;
    }

    fn close(&mut self, table: &mut Table, slot: u32, how: Close) {
        let Some(socket) = table.sockets.get_mut(slot as usize) else { return };
        if socket.closing {
            return;
        }
        if how == Close::Reset
            && let Some(os) = &socket.os
        {
            // Fails only when the connection is gone, and then there is nothing to reset.
            let _ = os.set_linger(Some(Duration::ZERO));
        }
        socket.closing = true;
        self.buffers.give_all(socket);
        let (ops, generation) = (socket.ops, socket.generation);
        for (pending, op) in [
            (ops.receive, Op::Receive),
            (ops.send, Op::Send),
            (ops.connect, Op::Connect),
            (ops.poll, Op::Poll),
        ] {
            if pending {
                self.cancel(UserData::new(op, generation, slot));
            }
        }
        self.free_when_done(table, slot);
    }

    fn turn(&mut self, table: &mut Table, wait: Wait) -> Result<(), Error> {
        self.arm_bell();
        add(&table.counters.syscalls, 1);
        self.connects = 0;
        self.enter(wait).map_err(|source| Error::Wait { driver: self.kind, source })?;
        self.reap(table);
        Ok(())
    }

    fn stop(&mut self, table: &mut Table) {
        // Nothing is armed again: everything that is left counts as closing.
        for (_, socket) in &mut table.sockets {
            self.buffers.give_all(socket);
            socket.end = Some(End::Error(libc::ENOTCONN));
        }
        for (_, listening) in &mut table.listeners {
            if listening.state == ListenState::Open {
                listening.state = ListenState::Closed;
            }
        }
        self.take_all_back(table);
        if self.in_flight > 0 {
            // The kernel may still use the descriptors; `Drop` sees to the memory.
            return;
        }
        for (_, socket) in &mut table.sockets {
            socket.os = None;
        }
        for (_, listening) in &mut table.listeners {
            listening.os = None;
            listening.queue.clear();
        }
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        if self.in_flight > 0 {
            // `stop` could not take everything back: better to lose memory than to let the kernel write into another's.
            self.buffers.leak();
            self.flights.leak();
        }
    }
}
