//! A reactor without a kernel, for tests of the rooms above: sockets are pairs of queues within one runtime, and time is
//! a number.
//!
//! It is deterministic. Nothing fails and nothing is cut: bytes written in a turn are with the other end at the end of
//! that turn, as far as its receive queue has room. When no task is ready, time jumps to the next deadline; a test may
//! also move it with [`crate::Handle::advance`]. When nothing can ever happen, [`crate::Runtime::block_on`] gives an error of
//! kind `Deadlock` back instead of hanging. Addresses are names: [`crate::Handle::listen_at`] binds any.
//!
//! Start it with [`crate::Runtime::start_memory`]. Letters from other threads work, and are the one thing that it waits
//! for in real time.

use crate::clock::Clock;
use crate::driver::{Close, Driver, Wait};
use crate::mailbox::Bell;
use crate::options::{DriverKind, Error};
use crate::plain::give_back_kept;
use crate::socket::{End, Ends, Incoming, Lent, ListenState, NONE, Shutdown, Table};
use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::num::NonZeroI32;
use std::sync::Arc;
use std::time::Duration;

/// 2023-11-14T22:13:20Z: what the virtual wall clock shows first.
const UNIX_START_NS: u64 = 1_700_000_000_000_000_000;
/// The first port that is given to a client or to a listener that asked for port 0.
const PORT_FIRST: u16 = 49_152;

pub(crate) struct Memory {
    bell: Arc<Bell>,
    mono_ns: u64,
    bound: HashMap<SocketAddr, u32>,
    port: u16,
}

impl Memory {
    pub(crate) fn new(bell: Arc<Bell>) -> Self {
        Self { bell, mono_ns: 0, bound: HashMap::new(), port: PORT_FIRST }
    }

    pub(crate) fn now_ns(&self) -> u64 {
        self.mono_ns
    }

    pub(crate) fn next_port(&mut self) -> u16 {
        let port = self.port;
        self.port = self.port.checked_add(1).unwrap_or(PORT_FIRST);
        port
    }

    pub(crate) fn after(&mut self, time: Duration) {
        let time_ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.mono_ns = self.mono_ns.saturating_add(time_ns);
    }

    /// Brings a client together with a new socket of who listens at the second of its addresses, or refuses it.
    pub(crate) fn establish(
        &self,
        table: &mut Table,
        client: u32,
        (local, address): (SocketAddr, SocketAddr),
    ) -> Option<u32> {
        let listener = self.bound.get(&address).copied().filter(|slot| {
            let listening = table.listeners.get(*slot as usize);
            listening.is_some_and(|listening| listening.queue.len() < table.accept_queue_max)
        });
        let Some(listener) = listener else {
            let socket = &mut table.sockets[client as usize];
            socket.connected = false;
            socket.fail(libc::ECONNREFUSED);
            return None;
        };
        let server = table.insert(None, true);
        for (slot, peer, addresses) in
            [(client, server, (local, address)), (server, client, (address, local))]
        {
            let socket = &mut table.sockets[slot as usize];
            socket.connected = true;
            let (local, remote) = addresses;
            socket.ends = Some(Box::new(Ends { peer, local, remote }));
        }
        table.listeners[listener as usize].queue.push_back(Incoming::Memory(server));
        table.wake_acceptor(listener);
        Some(server)
    }

    /// Moves what a socket has to send to its peer, as far as there is room.
    fn transfer(table: &mut Table, slot: u32) {
        let Some(socket) = table.sockets.get_mut(slot as usize) else { return };
        let (peer_slot, shutdown) = (socket.peer(), socket.shutdown);
        let mut send = std::mem::take(&mut socket.send);
        let mut end = None;
        match table.sockets.get_mut(peer_slot as usize) {
            Some(peer) => {
                let room = table.receive_high_bytes.saturating_sub(peer.queued);
                let buffers = &table.buffers;
                let moved = send.drain(room, buffers, |bytes| peer.keep(bytes, buffers));
                let queued = peer.queued;
                crate::stats::add(&table.counters.sent_bytes, moved as u64);
                crate::stats::add(&table.counters.received_bytes, moved as u64);
                table.note_queued(queued);
                if moved > 0 {
                    table.wake_reader(peer_slot);
                }
            }
            None if send.is_empty() => {}
            None => {
                send.clear(&table.buffers);
                end = Some(libc::EPIPE);
            }
        }
        let drained = send.is_empty();
        if let Some(socket) = table.sockets.get_mut(slot as usize) {
            socket.send = send;
            socket.failed = socket.failed.or(end.and_then(NonZeroI32::new));
            if drained && shutdown == Shutdown::Wanted {
                socket.shutdown = Shutdown::Done;
                table.end(peer_slot, End::Eof);
            }
        }
        table.wake_writer(slot);
    }
}

impl Driver for Memory {
    fn kind(&self) -> DriverKind {
        DriverKind::Memory
    }

    fn clock(&self) -> Clock {
        Clock { mono_ns: self.mono_ns, unix_ns: UNIX_START_NS.saturating_add(self.mono_ns) }
    }

    fn connect(&mut self, table: &mut Table, address: SocketAddr) -> io::Result<u32> {
        if table.sockets.len() >= table.sockets_max {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "too many open sockets"));
        }
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, self.next_port()));
        let client = table.insert(None, true);
        self.establish(table, client, (local, address));
        Ok(client)
    }

    fn attach(&mut self, _: &mut Table, incoming: Incoming) -> io::Result<u32> {
        match incoming {
            Incoming::Memory(slot) => Ok(slot),
            Incoming::Os(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn bind(&mut self, table: &mut Table, mut address: SocketAddr) -> io::Result<u32> {
        if address.port() == 0 {
            address.set_port(self.next_port());
        }
        if self.bound.contains_key(&address) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let slot = table.insert_listener(None, address);
        self.bound.insert(address, slot);
        Ok(slot)
    }

    fn listen(&mut self, _: &mut Table, _: TcpListener) -> io::Result<u32> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "the memory driver has no use for a socket of the system",
        ))
    }

    fn accept(&mut self, table: &mut Table, listener: u32) -> Option<Incoming> {
        table.listeners.get_mut(listener as usize)?.queue.pop_front()
    }

    fn resume_accept(&mut self, _: &mut Table, _: u32) {}

    fn close_listener(&mut self, table: &mut Table, listener: u32) {
        if let Some(listening) = table.listeners.get_mut(listener as usize)
            && listening.state == ListenState::Open
        {
            self.bound.remove(&listening.address);
            listening.state = ListenState::Closed;
            table.wake_acceptor(listener);
        }
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
        table.sockets.get(slot as usize).is_some_and(|socket| socket.has_news() || socket.end.is_some())
    }

    fn lend(&mut self, table: &mut Table, slot: u32) -> Option<Lent> {
        let socket = table.sockets.get_mut(slot as usize).filter(|socket| socket.has_news())?;
        socket.queued -= socket.kept.len();
        let (kept, start) = socket.kept.take();
        Some(Lent::Kept(kept, start))
    }

    fn give_back(&mut self, table: &mut Table, slot: u32, lent: Lent, consumed: usize) {
        let Some(socket) = table.sockets.get_mut(slot as usize) else { return };
        if let Lent::Kept(buffer, start) = lent {
            give_back_kept(socket, buffer, start + consumed, &table.buffers);
        }
        if consumed > 0 && socket.peer() != NONE {
            // There is room again for what the other end could not get rid of.
            let peer = socket.peer();
            table.mark_dirty(peer);
        }
    }

    fn flush(&mut self, table: &mut Table) {
        let mut dirty = std::mem::take(&mut table.dirty);
        for slot in dirty.drain(..) {
            if let Some(socket) = table.sockets.get_mut(slot as usize) {
                socket.dirty = false;
                Self::transfer(table, slot);
            }
        }
        table.dirty = dirty;
    }

    fn flush_now(&mut self, _: &mut Table, _: u32) {}

    fn settle(&mut self, _: &mut Table) {}

    fn close(&mut self, table: &mut Table, slot: u32, how: Close) {
        let Some(socket) = table.sockets.get(slot as usize) else { return };
        let (peer_slot, left_unread) = (socket.peer(), socket.queued > 0);
        table.remove(slot);
        let Some(peer) = table.sockets.get_mut(peer_slot as usize) else { return };
        peer.part();
        if how == Close::Reset || left_unread {
            // As TCP does: RFC 9293, section 3.10.4.
            peer.fail_send(libc::ECONNRESET, &table.buffers);
            table.end(peer_slot, End::Error(libc::ECONNRESET));
            table.wake_writer(peer_slot);
        } else {
            table.end(peer_slot, End::Eof);
        }
    }

    fn turn(&mut self, _: &mut Table, wait: Wait) -> Result<(), Error> {
        match wait {
            Wait::No => {}
            Wait::For(time) => self.after(time),
            // The reactor and this driver know the bell; any other is a post.
            Wait::Forever if Arc::strong_count(&self.bell) > 2 => self.bell.hear(),
            Wait::Forever => {
                let source =
                    io::Error::new(io::ErrorKind::Deadlock, "no task is ready, and nothing can ever happen");
                return Err(Error::Wait { driver: DriverKind::Memory, source });
            }
        }
        Ok(())
    }

    fn stop(&mut self, _: &mut Table) {
        self.bound.clear();
    }

    fn advance(&mut self, by: Duration) -> bool {
        self.after(by);
        true
    }
}
