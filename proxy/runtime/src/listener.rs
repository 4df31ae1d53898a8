//! Accepting connections.

use crate::alarm::Alarm;
use crate::reactor::Reactor;
use crate::socket::{Incoming, ListenState};
use crate::stats::add;
use crate::stream::Stream;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll};

/// How long accepting pauses when descriptors or memory ran out.
const BACK_OFF_NS: u64 = 100_000_000;

/// A listener of one core. One task accepts at a time.
pub struct Listener {
    reactor: Rc<Reactor>,
    slot: u32,
    address: SocketAddr,
    /// Rings when accepting may be tried again.
    alarm: Alarm,
}

impl Listener {
    pub(crate) fn new(reactor: Rc<Reactor>, slot: u32) -> Self {
        let address = reactor.io.borrow().table.listeners[slot as usize].address;
        let alarm = Alarm::new(reactor.clone());
        Self { reactor, slot, address, alarm }
    }

    /// The address it listens on, with the port that was taken.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The next connection. When descriptors or memory run out, or `sockets_max` is reached, it waits for better times.
    /// After [`Self::close`], once what was accepted before is handed out, the error is of kind `NotConnected`; any other
    /// error means that this listener can never accept.
    pub async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// As [`Self::accept`].
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, SocketAddr)>> {
        loop {
            if self.poll_backing_off(cx).is_pending() {
                return Poll::Pending;
            }
            let io = &mut *self.reactor.io.borrow_mut();
            if io.table.stopped {
                return Poll::Ready(Err(crate::socket::stopped()));
            }
            let incoming = if io.table.sockets.len() >= io.table.sockets_max {
                io.table.accept_blocked = true;
                None
            } else {
                io.driver.accept(&mut io.table, self.slot)
            };
            if let Some(incoming) = incoming {
                // A peer that is gone already costs nobody anything.
                let Some(peer) = peer_of(&incoming, io) else { continue };
                let slot = io.driver.attach(&mut io.table, incoming)?;
                add(&self.reactor.counters.accepted, 1);
                return Poll::Ready(Ok((Stream::new(self.reactor.clone(), slot), peer)));
            }
            let listening = &mut io.table.listeners[self.slot as usize];
            if let Some(errno) = listening.failed {
                return Poll::Ready(Err(io::Error::from_raw_os_error(errno)));
            }
            if listening.state == ListenState::Closed && listening.queue.is_empty() {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::NotConnected,
                    "the listener is closed",
                )));
            }
            if listening.backing_off {
                continue;
            }
            let replaced = listening.acceptor.replace(cx.waker().clone());
            io.table.retire(replaced, cx.waker());
            return Poll::Pending;
        }
    }

    /// Ready unless descriptors or memory ran out a short while ago.
    fn poll_backing_off(&self, cx: &mut Context<'_>) -> Poll<()> {
        let backing_off = |reactor: &Reactor| {
            reactor
                .io
                .borrow()
                .table
                .listeners
                .get(self.slot as usize)
                .is_some_and(|listening| listening.backing_off)
        };
        if !backing_off(&self.reactor) {
            return Poll::Ready(());
        }
        if !self.alarm.is_set() {
            self.alarm.set(self.reactor.clock.get().mono_ns.saturating_add(BACK_OFF_NS));
        }
        if self.alarm.poll_expired(cx).is_pending() {
            return Poll::Pending;
        }
        self.alarm.clear();
        let io = &mut *self.reactor.io.borrow_mut();
        io.driver.resume_accept(&mut io.table, self.slot);
        Poll::Ready(())
    }

    /// Stops accepting. Connections that the kernel accepted before are still handed out by [`Self::accept`].
    pub fn close(&self) {
        let io = &mut *self.reactor.io.borrow_mut();
        io.driver.close_listener(&mut io.table, self.slot);
    }
}

fn peer_of(incoming: &Incoming, io: &crate::reactor::Io) -> Option<SocketAddr> {
    match incoming {
        Incoming::Os(os) => os.peer_addr().ok()?.as_socket(),
        Incoming::Memory(slot) => Some(io.table.sockets.get(*slot as usize)?.ends.as_ref()?.remote),
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let io = &mut *self.reactor.io.borrow_mut();
        io.driver.drop_listener(&mut io.table, self.slot);
    }
}
