//! The `epoll` driver, for kernels and containers that do not permit `io_uring`. Edge-triggered: each socket is
//! registered once, and flags remember what the last edge said. Back-pressure is not reading.

use crate::clock::{self, Clock};
use crate::driver::{Close, Driver, Wait};
use crate::mailbox::Bell;
use crate::options::{DriverKind, Error};
use crate::plain::{self, Hot, Sent};
use crate::socket::{Incoming, Lent, ListenState, Table};
use crate::stats::add;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

/// Events taken up at once.
const EVENTS_MAX: usize = 1024;
/// What an event is about: the upper bits of its data, above a generation and a slot.
const SOCKET: u64 = 1 << 56;
const LISTENER: u64 = 2 << 56;
const BELL: u64 = 3 << 56;

pub(crate) struct Epoll {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
    hot: Hot,
}

impl Epoll {
    pub(crate) fn start(bell: &Arc<Bell>) -> io::Result<Self> {
        // SAFETY: no memory is passed.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just gave us this descriptor, and nobody else knows it.
        let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
        let driver = Self { epoll, events: Vec::with_capacity(EVENTS_MAX), hot: Hot::default() };
        // Each ring of the bell is an edge, so it need never be read.
        driver.register(bell.as_raw_fd(), libc::EPOLLIN, BELL)?;
        Ok(driver)
    }

    fn register(&self, fd: RawFd, events: i32, data: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: (events | libc::EPOLLET) as u32, u64: data };
        // SAFETY: `event` lives during the call, which copies it.
        match unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn register_socket(&self, table: &Table, slot: u32) -> io::Result<()> {
        let Some(socket) = table.sockets.get(slot as usize) else { return Ok(()) };
        let Some(os) = &socket.os else { return Ok(()) };
        let events = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP;
        self.register(os.as_raw_fd(), events, SOCKET | u64::from(socket.generation) << 32 | u64::from(slot))
    }

    fn on_socket(&mut self, table: &mut Table, slot: u32, generation: u32, events: i32) {
        let Some(socket) = table.sockets.get_mut(slot as usize) else { return };
        if socket.generation != generation {
            return;
        }
        let over = events & (libc::EPOLLERR | libc::EPOLLHUP) != 0;
        if !socket.connected {
            if over || events & libc::EPOLLOUT != 0 {
                match socket.os.as_ref().map_or(Ok(None), socket2::Socket::take_error) {
                    Ok(None) if !over => socket.connected = true,
                    Ok(None) => socket.fail(libc::ECONNREFUSED),
                    Ok(Some(error)) | Err(error) => socket.fail(plain::errno(&error)),
                }
            }
            if socket.failed.is_some() || socket.connected {
                table.wakes.extend(socket.take_writer());
            }
        }
        let hung_up = over || events & libc::EPOLLRDHUP != 0;
        if hung_up || events & libc::EPOLLIN != 0 {
            socket.readable = true;
            socket.unsure = false;
            socket.hung_up |= hung_up;
            table.wakes.extend(socket.reader.take());
        }
        if over || events & libc::EPOLLOUT != 0 {
            socket.writable = true;
            if !socket.send.is_empty() {
                table.mark_dirty(slot);
            }
        }
    }

    fn on_event(&mut self, table: &mut Table, event: libc::epoll_event) {
        let data = event.u64;
        let generation = (data >> 32) as u32 & 0x00ff_ffff;
        let slot = data as u32;
        match data & 0xff << 56 {
            SOCKET => self.on_socket(table, slot, generation, event.events as i32),
            LISTENER => {
                if let Some(listening) = table.listeners.get_mut(slot as usize)
                    && listening.generation == generation
                {
                    listening.readable = true;
                    table.wakes.extend(listening.acceptor.take());
                }
            }
            // The bell has done its work by ending the wait.
            _ => {}
        }
    }
}

impl Driver for Epoll {
    fn kind(&self) -> DriverKind {
        DriverKind::Epoll
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

    fn connect(&mut self, table: &mut Table, address: SocketAddr) -> io::Result<u32> {
        let os = plain::outgoing(table, address, socket2::Type::STREAM.nonblocking())?;
        add(&table.counters.syscalls, 1);
        let connected = match os.connect(&address.into()) {
            Ok(()) => true,
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => false,
            Err(error) => return Err(error),
        };
        let slot = table.insert(Some(os), connected);
        self.register_socket(table, slot).inspect_err(|_| table.remove(slot))?;
        Ok(slot)
    }

    fn attach(&mut self, table: &mut Table, incoming: Incoming) -> io::Result<u32> {
        let Incoming::Os(os) = incoming else { return Err(io::ErrorKind::Unsupported.into()) };
        let slot = table.insert(Some(os), true);
        self.register_socket(table, slot).inspect_err(|_| table.remove(slot))?;
        Ok(slot)
    }

    fn bind(&mut self, table: &mut Table, address: SocketAddr) -> io::Result<u32> {
        self.listen(table, TcpListener::bind(address)?)
    }

    fn listen(&mut self, table: &mut Table, listener: TcpListener) -> io::Result<u32> {
        plain::prepare_listener(&listener, true)?;
        let fd = listener.as_raw_fd();
        let address = listener.local_addr()?;
        let slot = table.insert_listener(Some(listener), address);
        let listening = &mut table.listeners[slot as usize];
        listening.readable = true;
        let data = LISTENER | u64::from(listening.generation) << 32 | u64::from(slot);
        if let Err(error) = self.register(fd, libc::EPOLLIN, data) {
            table.listeners.remove(slot as usize);
            return Err(error);
        }
        Ok(slot)
    }

    fn accept(&mut self, table: &mut Table, listener: u32) -> Option<Incoming> {
        let listening = table.listeners.get_mut(listener as usize)?;
        if let Some(incoming) = listening.queue.pop_front() {
            return Some(incoming);
        }
        if !listening.readable || listening.backing_off {
            return None;
        }
        plain::accept(table, listener)
    }

    fn resume_accept(&mut self, table: &mut Table, listener: u32) {
        if let Some(listening) = table.listeners.get_mut(listener as usize) {
            listening.backing_off = false;
        }
    }

    fn close_listener(&mut self, table: &mut Table, listener: u32) {
        if let Some(listening) = table.listeners.get_mut(listener as usize)
            && listening.state == ListenState::Open
        {
            plain::drain_and_close(listening);
            listening.state = ListenState::Closed;
            table.wake_acceptor(listener);
        }
    }

    fn drop_listener(&mut self, table: &mut Table, listener: u32) {
        table.listeners.try_remove(listener as usize);
    }

    fn look(&mut self, table: &mut Table, slot: u32) -> bool {
        let Table { sockets, buffers, counters, .. } = table;
        sockets.get_mut(slot as usize).is_some_and(|socket| self.hot.look(socket, buffers, counters))
    }

    fn lend(&mut self, table: &mut Table, slot: u32) -> Option<Lent> {
        let Table { sockets, buffers, counters, .. } = table;
        let socket = sockets.get_mut(slot as usize)?;
        let lent = self.hot.lend(socket, buffers, counters);
        let queued = socket.queued + lent.as_ref().map_or(0, |lent| lent.bytes().len());
        table.note_queued(queued);
        lent
    }

    fn give_back(&mut self, table: &mut Table, slot: u32, lent: Lent, consumed: usize) {
        let Table { sockets, buffers, .. } = table;
        if let Some(socket) = sockets.get_mut(slot as usize) {
            self.hot.give_back(socket, slot, lent, consumed, buffers);
        }
    }

    fn flush(&mut self, table: &mut Table) {
        let mut dirty = std::mem::take(&mut table.dirty);
        for slot in dirty.drain(..) {
            if let Some(socket) = table.sockets.get_mut(slot as usize) {
                socket.dirty = false;
                self.flush_now(table, slot);
            }
        }
        // Nothing was marked meanwhile; the list keeps its memory.
        table.dirty = dirty;
    }

    fn flush_now(&mut self, table: &mut Table, slot: u32) {
        let Some(socket) = table.sockets.get_mut(slot as usize) else { return };
        if !socket.writable || !socket.connected {
            return;
        }
        if plain::send(socket, &table.buffers, &table.counters) == Sent::Blocked {
            socket.writable = false;
        }
        table.wake_writer(slot);
    }

    fn send_through(&mut self, table: &mut Table, slot: u32, bytes: &[u8]) -> usize {
        let Some(socket) = table.sockets.get_mut(slot as usize) else { return 0 };
        if !socket.writable || !socket.connected || socket.failed.is_some() {
            return 0;
        }
        plain::send_through(socket, bytes, &table.buffers, &table.counters)
    }

    fn settle(&mut self, table: &mut Table) {
        self.hot.settle(&mut table.sockets, &table.buffers, &table.counters);
    }

    fn close(&mut self, table: &mut Table, slot: u32, how: Close) {
        let Some(socket) = table.sockets.get_mut(slot as usize) else { return };
        if how == Close::Reset
            && let Some(os) = &socket.os
        {
            // Fails only when the connection is gone, and then there is nothing to reset.
            let _ = os.set_linger(Some(Duration::ZERO));
        }
        // Closing the descriptor takes it out of the interest list: it has no duplicate.
        table.remove(slot);
    }

    fn turn(&mut self, table: &mut Table, wait: Wait) -> Result<(), Error> {
        let timeout_ms = match wait {
            Wait::No => 0,
            // Rounded up, lest the last millisecond be spun away.
            Wait::For(time) => time.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128) as i32,
            Wait::Forever => -1,
        };
        add(&table.counters.syscalls, 1);
        self.events.clear();
        let spare = self.events.spare_capacity_mut();
        let (pointer, room) = (spare.as_mut_ptr().cast(), spare.len().min(EVENTS_MAX) as i32);
        // SAFETY: the pointer and the number describe the spare capacity of `events`, which nobody else touches.
        let n = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), pointer, room, timeout_ms) };
        if n < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::Interrupted => Ok(()),
                _ => Err(Error::Wait { driver: DriverKind::Epoll, source: error }),
            };
        }
        // SAFETY: the kernel initialised the first `n` events, no more than there is room.
        unsafe { self.events.set_len(n as usize) };
        for index in 0..self.events.len() {
            self.on_event(table, self.events[index]);
        }
        Ok(())
    }

    fn stop(&mut self, table: &mut Table) {
        for (_, socket) in &mut table.sockets {
            socket.os = None;
        }
        for (_, listening) in &mut table.listeners {
            listening.os = None;
            listening.queue.clear();
        }
    }
}
