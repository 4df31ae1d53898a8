//! A reactor without a kernel in which things go wrong: [`crate::memory`] with [`Faults`] from a seed, for tests of the
//! rooms above.
//!
//! The same seed, options and tasks are the same run, to the nanosecond of virtual time. Without faults
//! ([`Faults::none`]) it is the run of [`crate::memory`]. Whatever goes wrong, these hold, as with a kernel:
//! * What a connection delivers is a beginning of what was written to it, in order. It is the whole when the reader sees
//!   the end after the writer has flushed everything.
//! * A connection that is reset tells both ends, unless they are gone or have seen its end.
//! * No receive queue holds more than `receive_high_bytes`.
//!
//! Bytes that were sent are under way until their link has brought them; a sender sends no more than the receiver has room
//! for. Time passes only while no task is ready, and by [`TURN_NS`] in each turn while something is under way, so that
//! tasks that are always busy do not hold the network.
//!
//! Start it with [`crate::Runtime::start_simulated`], many times with [`for_each_seed`]. Letters from other threads come
//! when they come: a run with them is not the same twice.

mod faults;
mod line;
mod random;
mod seeds;

pub use faults::{Faults, Injected, Link};
pub use seeds::for_each_seed;

use crate::clock::Clock;
use crate::driver::{Close, Driver, Wait};
use crate::mailbox::Bell;
use crate::memory::Memory;
use crate::options::{DriverKind, Error};
use crate::plain::back_off;
use crate::socket::{End, Incoming, Lent, ListenState, Shutdown, Table};
use crate::stats::add;
use line::{Line, nanoseconds};
use random::Random;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

/// What a turn takes while something is under way.
pub const TURN_NS: u64 = 1_000;
/// The most turns that one thing is late.
const LATE_TURNS_MAX: u64 = 16;
/// The most turns for which everything is held back.
const HELD_TURNS_MAX: u64 = 64;
/// The bandwidth of a slow link at its fastest.
const BYTES_PER_SECOND_MAX: u64 = 100_000_000;

pub(crate) struct Simulated {
    /// Time, names and sockets; the network between them is ours.
    memory: Memory,
    faults: Faults,
    random: Random,
    injected: Injected,
    /// What is under way, by the slot of the receiver.
    lines: BTreeMap<u32, Line>,
    /// What will happen, by time and then in the order in which it was noted.
    agenda: BTreeMap<(u64, u64), Event>,
    noted: u64,
    /// Until then nothing happens.
    held_until_ns: u64,
    /// The last turn brought nothing; the last accept failed.
    was_spurious: bool,
    accept_failed: bool,
}

/// What happens to a socket, unless it is gone by then.
struct Event {
    slot: u32,
    generation: u32,
    what: What,
}

enum What {
    /// There may be room for what it has to send.
    Send,
    /// Something may have arrived.
    Arrive,
    /// Its connect reaches the listener.
    Connect(Box<Dial>),
    /// The kernel is done with it.
    Free,
}

struct Dial {
    local: SocketAddr,
    address: SocketAddr,
    link: Link,
}

impl Simulated {
    pub(crate) fn new(bell: Arc<Bell>, faults: Faults) -> Self {
        Self {
            memory: Memory::new(bell),
            random: Random::new(faults.seed),
            faults,
            injected: Injected::default(),
            lines: BTreeMap::new(),
            agenda: BTreeMap::new(),
            noted: 0,
            held_until_ns: 0,
            was_spurious: false,
            accept_failed: false,
        }
    }

    /// Whether a fault of this rate happens now; counts it.
    fn happens(
        &mut self,
        rate: impl Fn(&Faults) -> u16,
        counter: impl Fn(&mut Injected) -> &mut u64,
    ) -> bool {
        let happens = self.random.below(1000) < u64::from(rate(&self.faults));
        if happens {
            *counter(&mut self.injected) += 1;
        }
        happens
    }

    fn now_ns(&self) -> u64 {
        self.memory.now_ns()
    }

    /// A moment up to `turns_max` turns from now.
    fn soon_ns(&mut self, turns_max: u64) -> u64 {
        self.now_ns().saturating_add(self.random.between(1, turns_max) * TURN_NS)
    }

    fn note(&mut self, table: &Table, at_ns: u64, slot: u32, what: What) {
        let Some(socket) = table.sockets.get(slot as usize) else { return };
        let event = Event { slot, generation: socket.generation, what };
        self.noted += 1;
        self.agenda.insert((at_ns, self.noted), event);
    }

    /// Has somebody look after what arrives at a socket, once, at `at_ns` or before.
    fn note_arrival(&mut self, table: &Table, slot: u32, at_ns: u64) {
        let Some(line) = self.lines.get_mut(&slot) else { return };
        if line.scheduled_ns.is_none_or(|scheduled| scheduled > at_ns) {
            line.scheduled_ns = Some(at_ns);
            self.note(table, at_ns, slot, What::Arrive);
        }
    }

    fn shuffle<T>(&mut self, batch: &mut [T]) {
        if batch.len() > 1
            && self.happens(|faults| faults.reorders_per_1000, |injected| &mut injected.reorders)
        {
            self.random.shuffle(batch);
        }
    }

    fn link_to(&mut self, address: SocketAddr) -> Link {
        if let Some((_, link)) = self.faults.links.iter().find(|(named, _)| *named == address) {
            self.injected.slow_links += 1;
            return *link;
        }
        if !self.happens(|faults| faults.slow_links_per_1000, |injected| &mut injected.slow_links) {
            return Link::default();
        }
        let latency = Duration::from_nanos(self.random.between(0, nanoseconds(self.faults.latency_max)));
        // As many links of each order of magnitude.
        let slowest = self.faults.bytes_per_second_min.get();
        let doublings = self.random.between(0, (BYTES_PER_SECOND_MAX / slowest).max(1).ilog2().into());
        let bytes_per_second = NonZeroU64::new(slowest.saturating_mul(1 << doublings));
        Link { latency, bytes_per_second }
    }

    /// A connect reaches its listener, or nobody.
    fn establish(&mut self, table: &mut Table, client: u32, dial: &Dial) {
        let refused = self.happens(|faults| faults.refusals_per_1000, |injected| &mut injected.refusals);
        let server = if refused {
            let socket = &mut table.sockets[client as usize];
            socket.connected = false;
            socket.fail(libc::ECONNREFUSED);
            None
        } else {
            self.memory.establish(table, client, (dial.local, dial.address))
        };
        if let Some(server) = server {
            self.lines.insert(client, Line::new(&dial.link));
            self.lines.insert(server, Line::new(&dial.link));
        }
        let socket = &mut table.sockets[client as usize];
        if socket.closing {
            // It was given up meanwhile, and the listener has it all the same.
            self.hang_up(table, client, Close::Plain);
            table.remove(client);
        } else {
            table.wakes.extend(socket.take_writer());
        }
    }

    /// Puts what a socket has to send on its way, as far as the other end has room.
    fn send(&mut self, table: &mut Table, slot: u32) {
        let Some(socket) = table.sockets.get(slot as usize).filter(|socket| !socket.closing) else { return };
        let peer = socket.peer();
        if table.sockets.contains(peer as usize) {
            let unsent = socket.send.len();
            if unsent > 0 && self.happens(|faults| faults.resets_per_1000, |injected| &mut injected.resets) {
                return self.reset(table, slot, peer);
            }
            let window = self.window(table, peer).min(unsent);
            let short = window > 1
                && self.happens(|faults| faults.short_writes_per_1000, |injected| &mut injected.short_writes);
            let max = if short { self.random.between(1, window as u64 - 1) as usize } else { window };
            self.put_under_way(table, slot, peer, max);
            if short {
                let at_ns = self.soon_ns(LATE_TURNS_MAX);
                self.note(table, at_ns, slot, What::Send);
            }
        } else if !socket.send.is_empty() {
            if self.lines.get(&slot).is_some_and(Line::fails) {
                // The reset that is on its way here will tell.
                return;
            }
            let socket = &mut table.sockets[slot as usize];
            socket.send.clear(&table.buffers);
            if socket.failed.is_none() {
                socket.fail(libc::EPIPE);
            }
        }
        let now_ns = self.now_ns();
        let socket = &mut table.sockets[slot as usize];
        if socket.send.is_empty() && socket.shutdown == Shutdown::Wanted {
            socket.shutdown = Shutdown::Done;
            if let Some(line) = self.lines.get_mut(&peer) {
                line.push_end(now_ns, End::Eof);
            }
        }
        self.arrive(table, peer);
        table.wake_writer(slot);
    }

    /// Bytes that may be put on their way to a socket: room in its queue that nothing under way will take.
    fn window(&self, table: &Table, slot: u32) -> usize {
        // Bytes on loan come back to the queue, nobody knows how many.
        let Some(socket) = table.sockets.get(slot as usize).filter(|socket| !socket.lent) else { return 0 };
        let under_way = self.lines.get(&slot).map_or(0, Line::len);
        table.receive_high_bytes.saturating_sub(socket.queued + under_way)
    }

    fn put_under_way(&mut self, table: &mut Table, slot: u32, peer: u32, max: usize) {
        let now_ns = self.memory.now_ns();
        let Some(line) = self.lines.get_mut(&peer) else { return };
        let moved =
            table.sockets[slot as usize].send.drain(max, &table.buffers, |bytes| line.push(now_ns, bytes));
        add(&table.counters.sent_bytes, moved as u64);
    }

    /// A socket receives what has come.
    fn arrive(&mut self, table: &mut Table, slot: u32) {
        let now_ns = self.now_ns();
        let held_until_ns = self.held_until_ns;
        let Some(line) = self.lines.get_mut(&slot) else { return };
        if held_until_ns > now_ns || line.paused_until_ns > now_ns {
            let next_ns = line.next_ns().map(|at| at.max(held_until_ns));
            next_ns.into_iter().for_each(|at| self.note_arrival(table, slot, at));
            return;
        }
        let due = line.due(now_ns);
        let resumed = std::mem::take(&mut line.resumed);
        if due > 0
            && !resumed
            && self.happens(|faults| faults.pauses_per_1000, |injected| &mut injected.pauses)
        {
            add(&table.counters.enobufs, 1);
            let until_ns = self.soon_ns(LATE_TURNS_MAX);
            if let Some(line) = self.lines.get_mut(&slot) {
                line.paused_until_ns = until_ns;
                line.resumed = true;
            }
            return self.note_arrival(table, slot, until_ns);
        }
        let short = due > 1
            && self.happens(|faults| faults.short_reads_per_1000, |injected| &mut injected.short_reads);
        let part = if short { self.random.between(1, due as u64 - 1) as usize } else { due };
        self.receive(table, slot, part);
        if let Some(next_ns) = self.lines.get(&slot).and_then(Line::next_ns) {
            self.note_arrival(table, slot, next_ns.max(now_ns + TURN_NS));
        }
    }

    /// Moves bytes that have come into the receive queue, and tells of the end if it was behind them.
    fn receive(&mut self, table: &mut Table, slot: u32, bytes: usize) {
        let now_ns = self.now_ns();
        let Some(line) = self.lines.get_mut(&slot) else { return };
        let Some(socket) = table.sockets.get_mut(slot as usize) else { return };
        let buffers = &table.buffers;
        line.take(bytes, |bytes| socket.keep(bytes, buffers));
        debug_assert!(socket.queued <= table.receive_high_bytes, "more was sent than there was room for");
        if bytes > 0 {
            let queued = socket.queued;
            add(&table.counters.received_bytes, bytes as u64);
            table.note_queued(queued);
            table.wake_reader(slot);
        }
        match line.take_end(now_ns) {
            Some(End::Error(errno)) => fail(table, slot, errno),
            Some(End::Eof) => table.end(slot, End::Eof),
            None => {}
        }
    }

    /// The connection is gone: the sender learns it at once, the other end behind what still reaches it.
    fn reset(&mut self, table: &mut Table, slot: u32, peer: u32) {
        let now_ns = self.now_ns();
        for slot in [slot, peer] {
            if let Some(socket) = table.sockets.get_mut(slot as usize) {
                socket.part();
            }
            let Some(line) = self.lines.get_mut(&slot) else { continue };
            let kept = self.random.between(0, line.len() as u64) as usize;
            line.cut(kept);
            line.push_end(now_ns, End::Error(libc::ECONNRESET));
        }
        self.lines.remove(&slot);
        fail(table, slot, libc::ECONNRESET);
        self.arrive(table, peer);
    }

    /// Parts a connected socket from the other end, which learns it behind what is under way to it.
    fn hang_up(&mut self, table: &mut Table, slot: u32, how: Close) {
        let now_ns = self.now_ns();
        let Some(socket) = table.sockets.get_mut(slot as usize) else { return };
        let peer = socket.part();
        let line = self.lines.remove(&slot);
        let left_unread = socket.queued > 0 || line.is_some_and(|line| line.len() > 0);
        let Some(other) = table.sockets.get_mut(peer as usize) else { return };
        other.part();
        // As TCP does: RFC 9293, section 3.10.4.
        let reset = how == Close::Reset || left_unread;
        if let Some(line) = self.lines.get_mut(&peer) {
            line.push_end(now_ns, if reset { End::Error(libc::ECONNRESET) } else { End::Eof });
        }
        self.arrive(table, peer);
    }

    /// Wakes whoever waits at one socket and one listener, for nothing.
    fn wake_somebody(&mut self, table: &mut Table) {
        let nth = self.random.below(table.sockets.len() as u64) as usize;
        if let Some((_, socket)) = table.sockets.iter_mut().nth(nth) {
            table.wakes.extend(socket.reader.take());
            table.wakes.extend(socket.take_writer());
        }
        let nth = self.random.below(table.listeners.len() as u64) as usize;
        if let Some((_, listening)) = table.listeners.iter_mut().nth(nth) {
            table.wakes.extend(listening.acceptor.take());
        }
    }

    /// Does all that is due.
    fn happen(&mut self, table: &mut Table) {
        let later = self.agenda.split_off(&(self.now_ns() + 1, 0));
        let mut due: Vec<Event> = std::mem::replace(&mut self.agenda, later).into_values().collect();
        self.shuffle(&mut due);
        for Event { slot, generation, what } in due {
            // Whatever comes after its socket has gone finds another one there, or none.
            let meant =
                table.sockets.get(slot as usize).is_some_and(|socket| socket.generation == generation);
            match what {
                _ if !meant => {}
                What::Send => table.mark_dirty(slot),
                What::Arrive => {
                    if let Some(line) = self.lines.get_mut(&slot) {
                        line.scheduled_ns = None;
                    }
                    self.arrive(table, slot);
                }
                What::Connect(dial) => self.establish(table, slot, &dial),
                What::Free => table.remove(slot),
            }
        }
    }
}

/// Tells reader and writer of a socket that its connection is gone.
fn fail(table: &mut Table, slot: u32, errno: i32) {
    if let Some(socket) = table.sockets.get_mut(slot as usize) {
        socket.fail_send(errno, &table.buffers);
        table.end(slot, End::Error(errno));
        table.wake_writer(slot);
    }
}

impl Driver for Simulated {
    fn kind(&self) -> DriverKind {
        DriverKind::Simulated
    }

    fn clock(&self) -> Clock {
        self.memory.clock()
    }

    fn connect(&mut self, table: &mut Table, address: SocketAddr) -> io::Result<u32> {
        if table.sockets.len() >= table.sockets_max {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "too many open sockets"));
        }
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, self.memory.next_port()));
        let link = self.link_to(address);
        let dial = Dial { local, address, link };
        let client = table.insert(None, false);
        let late =
            self.happens(|faults| faults.late_connects_per_1000, |injected| &mut injected.late_connects);
        let ready_ns = if late { self.soon_ns(LATE_TURNS_MAX) } else { self.now_ns() };
        // There and back.
        let at_ns =
            ready_ns.max(self.held_until_ns).saturating_add(nanoseconds(link.latency).saturating_mul(2));
        if at_ns > self.now_ns() {
            self.note(table, at_ns, client, What::Connect(Box::new(dial)));
        } else {
            self.establish(table, client, &dial);
        }
        Ok(client)
    }

    fn attach(&mut self, table: &mut Table, incoming: Incoming) -> io::Result<u32> {
        self.memory.attach(table, incoming)
    }

    fn bind(&mut self, table: &mut Table, address: SocketAddr) -> io::Result<u32> {
        self.memory.bind(table, address)
    }

    fn listen(&mut self, table: &mut Table, listener: TcpListener) -> io::Result<u32> {
        self.memory.listen(table, listener)
    }

    fn accept(&mut self, table: &mut Table, listener: u32) -> Option<Incoming> {
        let listening = table.listeners.get_mut(listener as usize)?;
        if listening.queue.is_empty() {
            return None;
        }
        let failed_before = std::mem::take(&mut self.accept_failed);
        if listening.state == ListenState::Open
            && !failed_before
            && self
                .happens(|faults| faults.accept_failures_per_1000, |injected| &mut injected.accept_failures)
        {
            self.accept_failed = true;
            back_off(listening, &table.counters);
            return None;
        }
        listening.queue.pop_front()
    }

    fn resume_accept(&mut self, table: &mut Table, listener: u32) {
        if let Some(listening) = table.listeners.get_mut(listener as usize) {
            listening.backing_off = false;
        }
    }

    fn close_listener(&mut self, table: &mut Table, listener: u32) {
        self.memory.close_listener(table, listener);
    }

    fn drop_listener(&mut self, table: &mut Table, listener: u32) {
        self.close_listener(table, listener);
        let Some(listening) = table.listeners.try_remove(listener as usize) else { return };
        for incoming in listening.queue {
            if let Incoming::Memory(slot) = incoming {
                self.close(table, slot, Close::Reset);
            }
        }
    }

    fn look(&mut self, table: &mut Table, slot: u32) -> bool {
        self.memory.look(table, slot)
    }

    fn lend(&mut self, table: &mut Table, slot: u32) -> Option<Lent> {
        self.memory.lend(table, slot)
    }

    fn give_back(&mut self, table: &mut Table, slot: u32, lent: Lent, consumed: usize) {
        self.memory.give_back(table, slot, lent, consumed);
    }

    fn flush(&mut self, table: &mut Table) {
        let mut dirty = std::mem::take(&mut table.dirty);
        self.shuffle(&mut dirty);
        for slot in dirty.drain(..) {
            if let Some(socket) = table.sockets.get_mut(slot as usize) {
                socket.dirty = false;
                self.send(table, slot);
            }
        }
        // Nothing was marked meanwhile; the list keeps its memory.
        table.dirty = dirty;
    }

    fn flush_now(&mut self, _: &mut Table, _: u32) {}

    fn settle(&mut self, _: &mut Table) {}

    fn close(&mut self, table: &mut Table, slot: u32, how: Close) {
        let Some(socket) = table.sockets.get(slot as usize).filter(|socket| !socket.closing) else { return };
        let (connected, failed, peer) = (socket.connected, socket.failed.is_some(), socket.peer());
        let unsent = socket.send.len();
        let late = !table.stopped
            && (connected || !failed)
            && self.happens(|faults| faults.late_closes_per_1000, |injected| &mut injected.late_closes);
        if late && connected && how == Close::Plain && table.sockets.contains(peer as usize) {
            // A send that the kernel had begun.
            let max = self.window(table, peer).min(unsent) as u64;
            let begun = self.random.between(0, max) as usize;
            self.put_under_way(table, slot, peer, begun);
        }
        if connected {
            self.hang_up(table, slot, how);
        }
        if late {
            let socket = &mut table.sockets[slot as usize];
            socket.closing = true;
            socket.send.clear(&table.buffers);
            if connected {
                let at_ns = self.soon_ns(LATE_TURNS_MAX);
                self.note(table, at_ns, slot, What::Free);
            }
            // Otherwise its connect is under way, and will free it.
        } else {
            table.remove(slot);
        }
    }

    fn turn(&mut self, table: &mut Table, wait: Wait) -> Result<(), Error> {
        let was_spurious = std::mem::take(&mut self.was_spurious);
        if !was_spurious
            && self.happens(|faults| faults.spurious_turns_per_1000, |injected| &mut injected.spurious_turns)
        {
            self.was_spurious = true;
            self.wake_somebody(table);
            return Ok(());
        }
        match self.agenda.keys().next() {
            None => self.memory.turn(table, wait)?,
            Some(&(first_ns, _)) => {
                let next_ns = first_ns.max(self.held_until_ns).saturating_sub(self.now_ns());
                self.memory.after(match wait {
                    Wait::No => Duration::from_nanos(TURN_NS),
                    Wait::For(time) => time.min(Duration::from_nanos(next_ns)),
                    Wait::Forever => Duration::from_nanos(next_ns),
                });
            }
        }
        if self.now_ns() < self.held_until_ns {
            return Ok(());
        }
        self.happen(table);
        if self.happens(|faults| faults.delayed_batches_per_1000, |injected| &mut injected.delayed_batches) {
            self.held_until_ns = self.soon_ns(HELD_TURNS_MAX);
        }
        Ok(())
    }

    fn stop(&mut self, table: &mut Table) {
        self.memory.stop(table);
        self.agenda.clear();
        let closing: Vec<u32> =
            table.sockets.iter().filter_map(|(slot, socket)| socket.closing.then_some(slot as u32)).collect();
        closing.into_iter().for_each(|slot| table.remove(slot));
    }

    fn advance(&mut self, by: Duration) -> bool {
        self.memory.advance(by)
    }

    fn injected(&self) -> Injected {
        self.injected
    }
}
