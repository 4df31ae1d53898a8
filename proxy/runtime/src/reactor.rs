//! The reactor itself: what belongs to one core, and the order of a turn.

use crate::buffers::Buffers;
use crate::clock::Clock;
use crate::driver::{Driver, Wait};
use crate::epoll::Epoll;
use crate::executor::{self, Place, TaskId, Tasks};
use crate::handle::Handle;
use crate::mailbox::{Bell, Watched};
use crate::memory::Memory;
use crate::options::{DriverChoice, DriverKind, Error, Options};
use crate::pin;
use crate::pooled::FuturePool;
use crate::simulated::{Faults, Simulated};
use crate::socket::Table;
use crate::stats::{Counters, add};
use crate::turns::Turns;
use crate::uring::Uring;
use crate::wheel::Wheel;
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// One core's reactor. Lives on the thread that started it, which can have but one.
pub struct Runtime {
    reactor: Rc<Reactor>,
    polls_per_turn: u32,
    fell_back: Option<String>,
}

/// What the handles share. Each part has a cell of its own, none of which is borrowed while foreign code runs.
pub(crate) struct Reactor {
    pub(crate) clock: Cell<Clock>,
    pub(crate) io: RefCell<Io>,
    pub(crate) wheel: RefCell<Wheel>,
    pub(crate) tasks: Tasks,
    pub(crate) mailboxes: RefCell<Slab<Watched>>,
    pub(crate) bell: Arc<Bell>,
    pub(crate) buffers: Rc<Buffers>,
    pub(crate) futures: Rc<FuturePool>,
    pub(crate) counters: Rc<Counters>,
    pub(crate) turns: Turns,
    pub(crate) kind: DriverKind,
    /// Who goes on in the next turn.
    pub(crate) yielded: RefCell<Vec<Waker>>,
    /// Wakers collected while something was borrowed, and their memory.
    wakes: Cell<Vec<Waker>>,
}

/// Sockets and the driver that serves them.
pub(crate) struct Io {
    pub(crate) table: Table,
    pub(crate) driver: Box<dyn Driver>,
}

impl Runtime {
    /// Starts a reactor on this thread, with the best driver that `options` and the kernel permit, and pins the thread.
    pub fn start(options: &Options) -> Result<Self, Error> {
        Self::start_with(options, |bell| choose(options, bell))
    }

    /// Starts a reactor without a kernel: see [`crate::memory`].
    pub fn start_memory(options: &Options) -> Result<Self, Error> {
        Self::start_with(options, |bell| Ok((Box::new(Memory::new(bell.clone())), None)))
    }

    /// Starts a reactor without a kernel, in which go wrong as many things as `faults` says: see [`crate::simulated`].
    pub fn start_simulated(options: &Options, faults: Faults) -> Result<Self, Error> {
        Self::start_with(options, |bell| Ok((Box::new(Simulated::new(bell.clone(), faults)), None)))
    }

    fn start_with(
        options: &Options,
        driver: impl FnOnce(&Arc<Bell>) -> Result<(Box<dyn Driver>, Option<String>), Error>,
    ) -> Result<Self, Error> {
        options.check()?;
        if !executor::claim_thread() {
            return Err(Error::AlreadyRunning);
        }
        let claim = Claim;
        if let Some(cpu) = options.cpu {
            pin::pin_thread(cpu).map_err(|source| Error::Pin { cpu, source })?;
        }
        let bell = Bell::new().map_err(|source| Error::Start { driver: DriverKind::Epoll, source })?;
        let bell = Arc::new(bell);
        let (driver, fell_back) = driver(&bell)?;
        let counters = Rc::<Counters>::default();
        let buffers = Rc::new(Buffers::new(options, counters.clone()));
        let clock = driver.clock();
        let reactor = Reactor {
            clock: Cell::new(clock),
            kind: driver.kind(),
            io: RefCell::new(Io { table: Table::new(options, buffers.clone(), counters.clone()), driver }),
            wheel: RefCell::new(Wheel::new(clock.mono_ns, options.tables(), counters.clone())),
            tasks: Tasks::new(options.tables(), counters.clone()),
            mailboxes: RefCell::default(),
            bell,
            buffers,
            futures: Rc::new(FuturePool::new(options.pooled_future_bytes_max, counters.clone())),
            counters,
            turns: Turns::new(clock.mono_ns),
            yielded: RefCell::default(),
            wakes: Cell::default(),
        };
        // From here on dropping the runtime leaves the thread.
        std::mem::forget(claim);
        let (reactor, polls_per_turn) = (Rc::new(reactor), options.polls_per_turn);
        Ok(Self { reactor, polls_per_turn, fell_back })
    }

    /// What tasks reach the reactor by.
    pub fn handle(&self) -> Handle {
        Handle::new(self.reactor.clone())
    }

    /// The driver that runs.
    pub fn driver(&self) -> DriverKind {
        self.reactor.kind
    }

    /// Why a better driver than [`Self::driver`] was not taken, for the log.
    pub fn fell_back(&self) -> Option<&str> {
        self.fell_back.as_deref()
    }

    /// Turns until `future` is done. Spawned tasks go on with the next call, or end with the runtime.
    ///
    /// An error says that the kernel refused to wait for events, after which nothing on this core can go on.
    pub fn block_on<F: Future>(&mut self, future: F) -> Result<F::Output, Error> {
        let main = Main(executor::allocate());
        let waker = main.0.waker();
        let mut future = pin!(future);
        loop {
            self.reactor.begin_turn();
            let mut turn = Turn::new(self.polls_per_turn);
            while let Some(id) = turn.next(&self.reactor) {
                add(&self.reactor.counters.polls, 1);
                if id != main.0 {
                    self.reactor.tasks.poll(id);
                } else if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    executor::between_polls();
                    self.reactor.flush();
                    return Ok(output);
                }
            }
            executor::between_polls();
            self.reactor.end_turn()?;
        }
    }
}

/// Which tasks a turn polls. Those whom the kernel woke go first, all of them: so much came from outside. What they brought
/// about goes behind them, and on in the next turn where it is much: whoever makes us work a lot with little must not keep
/// others from being heard meanwhile. It gets as much time as those before it had, at least.
struct Turn {
    polls_max: u32,
    polls: u32,
    /// How long those took whom the kernel woke, once they have been polled.
    first_ns: Option<u64>,
}

/// After so long a turn goes on with nothing that can wait for the next.
const TURN_NS: u64 = 100_000;
/// Tasks that are polled before the clock is asked how long that took.
const POLLS_A_LOOK: u32 = 4;

impl Turn {
    fn new(polls_max: u32) -> Self {
        Self { polls_max, polls: 0, first_ns: None }
    }

    fn next(&mut self, reactor: &Reactor) -> Option<TaskId> {
        self.polls += 1;
        let Some(first_ns) = self.first_ns else {
            let first = (self.polls <= self.polls_max).then(|| executor::pop(Place::First)).flatten();
            return first.or_else(|| {
                let behind = executor::pop(Place::Behind)?;
                (self.polls, self.first_ns) = (1, Some(reactor.turn_ns()));
                Some(behind)
            });
        };
        let looks = self.polls.is_multiple_of(POLLS_A_LOOK);
        if self.polls > self.polls_max || (looks && reactor.turn_ns() >= TURN_NS.max(first_ns * 2)) {
            return None;
        }
        executor::pop(Place::Behind)
    }
}

/// The place of the future that is blocked on.
struct Main(TaskId);

impl Drop for Main {
    fn drop(&mut self) {
        executor::release(self.0.slot);
    }
}

/// A claim on this thread that ends when starting fails.
struct Claim;

impl Drop for Claim {
    fn drop(&mut self) {
        executor::leave_thread();
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // Tasks that a dying task spawns are dropped at once from here on.
        self.reactor.io.borrow_mut().table.stopped = true;
        self.reactor.tasks.clear();
        let io = &mut *self.reactor.io.borrow_mut();
        io.driver.stop(&mut io.table);
        executor::leave_thread();
    }
}

/// Goes down the ladder that `options.driver` allows. The text says why it went down.
fn choose(options: &Options, bell: &Arc<Bell>) -> Result<(Box<dyn Driver>, Option<String>), Error> {
    let rungs: &[DriverKind] = match options.driver {
        DriverChoice::Auto => &[DriverKind::UringDefer, DriverKind::Uring, DriverKind::Epoll],
        DriverChoice::Uring => &[DriverKind::UringDefer, DriverKind::Uring],
        DriverChoice::UringNoDefer => &[DriverKind::Uring],
        DriverChoice::Epoll => &[DriverKind::Epoll],
    };
    let mut fell_back: Option<String> = None;
    let mut last = (DriverKind::Epoll, io::Error::from(io::ErrorKind::Unsupported));
    for &kind in rungs {
        let started: io::Result<Box<dyn Driver>> = match kind {
            DriverKind::UringDefer => Uring::start(options, bell, true).map(|driver| Box::new(driver) as _),
            DriverKind::Uring => Uring::start(options, bell, false).map(|driver| Box::new(driver) as _),
            DriverKind::Epoll => Epoll::start(bell).map(|driver| Box::new(driver) as _),
            DriverKind::Memory | DriverKind::Simulated => continue,
        };
        match started {
            Ok(driver) => return Ok((driver, fell_back)),
            Err(error) => {
                let reason = format!("{} cannot start: {error}", kind.as_str());
                fell_back = Some(fell_back.map_or(reason.clone(), |before| format!("{before}; {reason}")));
                last = (kind, error);
            }
        }
    }
    Err(Error::Start { driver: last.0, source: last.1 })
}

impl Reactor {
    /// Reads the clock and wakes who waits for time or letters.
    fn begin_turn(&self) {
        add(&self.counters.turns, 1);
        let clock = {
            let driver = &self.io.borrow().driver;
            let clock = driver.clock();
            self.turns.begin(clock.mono_ns, &self.counters, || driver.cpu_ns());
            clock
        };
        self.clock.set(clock);
        let mut wakes = self.wakes.take();
        wakes.append(&mut self.yielded.borrow_mut());
        self.wheel.borrow_mut().advance(clock.mono_ns, &mut wakes);
        wakes.extend(self.mailboxes.borrow_mut().iter_mut().filter_map(|(_, watched)| watched.take_waker()));
        self.wake_all(wakes);
    }

    /// How long this turn has lasted, with what the kernel has yet to do for it.
    fn turn_ns(&self) -> u64 {
        let io = self.io.borrow();
        let lasted_ns = io.driver.mono_ns().saturating_sub(self.clock.get().mono_ns);
        lasted_ns.saturating_add(io.driver.pending_ns())
    }

    /// Sends, gives buffers back, and waits for the kernel unless tasks are ready.
    fn end_turn(&self) -> Result<(), Error> {
        self.flush();
        let wait = self.wait();
        let sleeping = wait != Wait::No && {
            self.bell.fall_asleep();
            !self.mailboxes.borrow().iter().any(|(_, watched)| watched.has_letters())
        };
        let result = {
            let io = &mut *self.io.borrow_mut();
            if sleeping {
                self.turns.end(io.driver.mono_ns(), &self.counters, || io.driver.cpu_ns());
            }
            io.driver.turn(&mut io.table, if sleeping { wait } else { Wait::No })
        };
        // Whether it slept or found letters at the last moment: the flag was down.
        if wait != Wait::No && self.bell.wake_up() && sleeping {
            add(&self.counters.mailbox_wakes, 1);
        }
        self.wake_collected();
        result
    }

    fn flush(&self) {
        {
            let io = &mut *self.io.borrow_mut();
            io.driver.flush(&mut io.table);
            io.driver.settle(&mut io.table);
        }
        self.wake_collected();
    }

    fn wait(&self) -> Wait {
        if !executor::is_idle() || !self.yielded.borrow().is_empty() {
            return Wait::No;
        }
        match self.wheel.borrow().next_ns() {
            None => Wait::Forever,
            // The clock of this turn is a little old, so the wait ends a little late: never before the tick.
            Some(at) => match at.saturating_sub(self.clock.get().mono_ns) {
                // More alarms are due than one turn rings.
                0 => Wait::No,
                ns => Wait::For(Duration::from_nanos(ns)),
            },
        }
    }

    /// Wakes whom the drivers found, now that nothing is borrowed.
    fn wake_collected(&self) {
        let mut wakes = self.wakes.take();
        let retired = {
            let table = &mut self.io.borrow_mut().table;
            wakes.append(&mut table.wakes);
            std::mem::take(&mut table.retired)
        };
        drop(retired);
        self.wake_all(wakes);
    }

    fn wake_all(&self, mut wakes: Vec<Waker>) {
        wakes.drain(..).for_each(Waker::wake);
        self.wakes.set(wakes);
    }
}
