//! What tasks reach their reactor by.

use crate::alarm::Alarm;
use crate::clock::Clock;
use crate::connect::Connect;
use crate::executor;
use crate::listener::Listener;
use crate::mailbox::{Mailbox, Post};
use crate::options::DriverKind;
use crate::pooled::Pooled;
use crate::reactor::Reactor;
use crate::simulated::Injected;
use crate::stats::Stats;
use crate::turns::Longest;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// What [`Handle::trim`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trimmed {
    /// Freed memory of pools.
    pub bytes: usize,
    /// The next call may free more.
    pub more: bool,
}

/// A way to the reactor of this core. Cheap to clone; stays on its thread.
#[derive(Clone)]
pub struct Handle {
    reactor: Rc<Reactor>,
}

impl Handle {
    pub(crate) fn new(reactor: Rc<Reactor>) -> Self {
        Self { reactor }
    }

    /// The time, read once a turn.
    pub fn now(&self) -> Clock {
        self.reactor.clock.get()
    }

    /// The time at this moment, later than [`Self::now`] by what the turn has done so far. Costs a reading of the clock.
    pub fn clock(&self) -> Clock {
        self.reactor.io.borrow().driver.clock()
    }

    /// The longest turns of this minute and the one before.
    pub fn longest_turns(&self) -> Longest {
        self.reactor.turns.longest()
    }

    /// Says that this turn takes a change: that is the cause if it is long.
    pub fn mark_change(&self) {
        self.reactor.turns.mark_change();
    }

    /// Tells for some seconds of each long turn whether it was by its own doing, for a system call a turn. Without it
    /// the cause is unknown.
    pub fn watch_turns(&self) {
        self.reactor.turns.watch(self.now().mono_ns);
    }

    /// The driver that runs.
    pub fn driver(&self) -> DriverKind {
        self.reactor.kind
    }

    /// Runs a task beside the others. A panic in it is counted and ends it alone. Without a runtime it is dropped.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        if !self.reactor.io.borrow().table.stopped {
            self.reactor.tasks.spawn(future);
        }
    }

    /// Starts a task whose future lies in memory from the pool: one that is over soon, of which there are many.
    #[inline]
    pub fn spawn_pooled<F: Future<Output = ()> + 'static>(&self, make: impl FnOnce() -> F) {
        if !self.reactor.io.borrow().table.stopped {
            self.reactor.tasks.spawn_pooled(self.pooled(make));
        }
    }

    /// Accepts on a bound listener, which must not be shared with another core: closing it takes over what the kernel has
    /// accepted. Connections inherit `TCP_NODELAY`, which this sets.
    pub fn listen(&self, listener: std::net::TcpListener) -> io::Result<Listener> {
        self.make_listener(|io| io.driver.listen(&mut io.table, listener))
    }

    /// Binds an address and accepts on it; port 0 takes a free one. On [`crate::memory`] and
    /// [`crate::simulated`] this is the only way to listen.
    pub fn listen_at(&self, address: SocketAddr) -> io::Result<Listener> {
        self.make_listener(|io| io.driver.bind(&mut io.table, address))
    }

    fn make_listener(
        &self,
        make: impl FnOnce(&mut crate::reactor::Io) -> io::Result<u32>,
    ) -> io::Result<Listener> {
        let slot = {
            let io = &mut *self.reactor.io.borrow_mut();
            if io.table.stopped {
                return Err(crate::socket::stopped());
            }
            make(io)?
        };
        Ok(Listener::new(self.reactor.clone(), slot))
    }

    /// Connects, with `TCP_NODELAY`. It starts at once; dropping the future cancels it and closes the socket.
    pub fn connect(&self, address: SocketAddr) -> Connect {
        Connect::start(self.reactor.clone(), address)
    }

    /// A deadline that can be moved for nothing.
    pub fn alarm(&self) -> Alarm {
        Alarm::new(self.reactor.clone())
    }

    /// Waits, up to 10 ms longer than asked.
    pub fn sleep(&self, time: Duration) -> impl Future<Output = ()> + use<> {
        let alarm = self.alarm();
        let time_ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        alarm.set(self.now().mono_ns.saturating_add(time_ns));
        async move { poll_fn(|cx| alarm.poll_expired(cx)).await }
    }

    /// Goes on in the next turn, after the sockets and the other ready tasks had their chance.
    pub fn yield_now(&self) -> impl Future<Output = ()> + use<> {
        let reactor = self.reactor.clone();
        let mut yielded = false;
        poll_fn(move |cx| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            reactor.yielded.borrow_mut().push(cx.waker().clone());
            Poll::Pending
        })
    }

    /// A mailbox for up to `capacity` letters from any thread.
    pub fn mailbox<T: Send + 'static>(&self, capacity: usize) -> (Post<T>, Mailbox<T>) {
        Mailbox::new(self.reactor.clone(), capacity)
    }

    /// An empty buffer from the pool, with room for a head.
    pub fn buffer(&self) -> Vec<u8> {
        self.reactor.buffers.small()
    }

    /// Gives a buffer to the pool. One of an odd size, or one too many, is freed.
    pub fn recycle(&self, buffer: Vec<u8>) {
        self.reactor.buffers.recycle(buffer);
    }

    /// Frees the buffers and the memory of futures that are kept for reuse. What is in use stays, and is kept again.
    pub fn free_spare(&self) {
        self.reactor.buffers.free_all();
        self.reactor.futures.free_all();
    }

    /// Frees what was kept for reuse and has not been needed since this was called last, and what sockets have that were
    /// busy and have rested since.
    pub fn trim(&self) -> Trimmed {
        let (buffers, more_buffers) = self.reactor.buffers.trim();
        let (futures, more_futures) = self.reactor.futures.trim();
        let more_sockets = {
            let io = &mut *self.reactor.io.borrow_mut();
            io.driver.trim();
            io.table.trim()
        };
        Trimmed { bytes: buffers + futures, more: more_buffers || more_futures || more_sockets }
    }

    /// Polls every task in this or the next turn, as if what it waits for might have come.
    pub fn wake_all(&self) {
        executor::wake_all();
    }

    /// Makes a future in memory from the pool, to which it returns when dropped.
    #[inline]
    pub fn pooled<F: Future>(&self, make: impl FnOnce() -> F) -> Pooled<F> {
        Pooled::new(self.reactor.futures.clone(), make)
    }

    /// What the reactor counts about itself.
    pub fn stats(&self) -> Stats {
        self.reactor.counters.read()
    }

    /// The faults that [`crate::simulated`] has put into this run so far; none on any other driver.
    pub fn injected(&self) -> Injected {
        self.reactor.io.borrow().driver.injected()
    }

    /// Moves the virtual clock of [`crate::memory`] and [`crate::simulated`] forward, from the next turn on. False on the system's clock.
    pub fn advance(&self, by: Duration) -> bool {
        self.reactor.io.borrow_mut().driver.advance(by)
    }
}
