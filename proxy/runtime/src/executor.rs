//! Tasks of one core: which are ready, and their futures.
//!
//! A waker is a number, (slot, generation), packed into the data pointer of a `RawWaker`; the queue it is meant for
//! is the thread's own. So waking touches no atomic and no heap, and cloning a waker is free. A waker that was carried
//! to another thread finds that thread's queue: there it is ignored or, when that thread has a reactor too, wakes a task
//! once too often, which every task must bear. It never wakes a task of the thread it came from: letters between
//! threads go through [`crate::Mailbox`].

use crate::pooled::Pooled;
use crate::stats::{Counters, add};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr;
use std::rc::Rc;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

/// A task's place, and which of the tasks that had this place it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaskId {
    pub(crate) slot: u32,
    generation: u32,
}

impl TaskId {
    pub(crate) fn waker(self) -> Waker {
        let data = (self.generation as usize) << 32 | self.slot as usize;
        // SAFETY: the functions of `VTABLE` treat the data as a number and never as an address, own nothing, and may be
        // called from any thread, as the contract of `RawWaker` asks.
        unsafe { Waker::from_raw(raw(ptr::without_provenance(data))) }
    }

    fn unpack(data: *const ()) -> Self {
        Self { slot: data.addr() as u32, generation: (data.addr() >> 32) as u32 }
    }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(raw, wake, wake, |_| {});

fn raw(data: *const ()) -> RawWaker {
    RawWaker::new(data, &VTABLE)
}

fn wake(data: *const ()) {
    let id = TaskId::unpack(data);
    // A thread that is ending has no tasks any more.
    let _ = READY.try_with(|ready| ready.borrow_mut().wake(id));
}

thread_local! {
    static READY: RefCell<Ready> = const { RefCell::new(Ready::new()) };
}

/// Which tasks of this thread are to be polled. Each stands in one queue at most once, so the queues are bounded by them.
struct Ready {
    claimed: bool,
    states: Vec<State>,
    free: Vec<u32>,
    /// Woken by the kernel, by time or by letters: whoever's turn it is.
    first: VecDeque<u32>,
    /// Woken or spawned by tasks, themselves among them: what a turn's news brought about, which may be any amount.
    behind: VecDeque<u32>,
    /// A task is being polled.
    polling: bool,
}

/// Where a ready task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    First,
    Behind,
}

struct State {
    generation: u32,
    live: bool,
    queued: bool,
}

impl Ready {
    const fn new() -> Self {
        Self {
            claimed: false,
            states: Vec::new(),
            free: Vec::new(),
            first: VecDeque::new(),
            behind: VecDeque::new(),
            polling: false,
        }
    }

    fn wake(&mut self, id: TaskId) {
        if let Some(state) = self.states.get_mut(id.slot as usize)
            && state.live
            && state.generation == id.generation
            && !state.queued
        {
            state.queued = true;
            let queue = if self.polling { &mut self.behind } else { &mut self.first };
            queue.push_back(id.slot);
        }
    }

    fn wake_all(&mut self) {
        for (slot, state) in self.states.iter_mut().enumerate() {
            if state.live && !std::mem::replace(&mut state.queued, true) {
                self.behind.push_back(slot as u32);
            }
        }
    }

    fn allocate(&mut self) -> TaskId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.states.push(State { generation: 0, live: false, queued: false });
            self.states.len() as u32 - 1
        });
        let state = &mut self.states[slot as usize];
        state.live = true;
        let id = TaskId { slot, generation: state.generation };
        self.wake(id);
        id
    }

    fn release(&mut self, slot: u32) {
        let state = &mut self.states[slot as usize];
        state.live = false;
        state.generation = state.generation.wrapping_add(1);
        // A slot that still stands in the queue is freed when it comes to its turn, lest it stand there twice.
        if !state.queued {
            self.free.push(slot);
        }
    }

    fn pop(&mut self, place: Place) -> Option<TaskId> {
        let queue = match place {
            Place::First => &mut self.first,
            Place::Behind => &mut self.behind,
        };
        while let Some(slot) = queue.pop_front() {
            let state = &mut self.states[slot as usize];
            state.queued = false;
            if state.live {
                return Some(TaskId { slot, generation: state.generation });
            }
            self.free.push(slot);
        }
        None
    }
}

/// Claims this thread for one reactor; false when another has it.
pub(crate) fn claim_thread() -> bool {
    READY.with(|ready| !std::mem::replace(&mut ready.borrow_mut().claimed, true))
}

/// Makes places for so many tasks.
pub(crate) fn reserve(tasks: usize) {
    READY.with(|ready| {
        let states = &mut ready.borrow_mut().states;
        states.reserve(tasks.saturating_sub(states.len()));
    });
}

/// Wakes every task of this thread.
pub(crate) fn wake_all() {
    let _ = READY.try_with(|ready| ready.borrow_mut().wake_all());
}

/// Gives the thread free again.
pub(crate) fn leave_thread() {
    let _ = READY.try_with(|ready| ready.borrow_mut().claimed = false);
}

/// A new task's id, ready to be polled.
pub(crate) fn allocate() -> TaskId {
    READY.with(|ready| ready.borrow_mut().allocate())
}

pub(crate) fn release(slot: u32) {
    let _ = READY.try_with(|ready| ready.borrow_mut().release(slot));
}

/// The next task to poll of those that stand there. Until [`between_polls`] is called, whoever is woken stands behind.
pub(crate) fn pop(place: Place) -> Option<TaskId> {
    READY.with(|ready| {
        let mut ready = ready.borrow_mut();
        ready.polling = true;
        ready.pop(place)
    })
}

/// Whoever is woken from now on is so by what is outside of tasks.
pub(crate) fn between_polls() {
    let _ = READY.try_with(|ready| ready.borrow_mut().polling = false);
}

pub(crate) fn is_idle() -> bool {
    READY.with(|ready| {
        let ready = ready.borrow();
        ready.first.is_empty() && ready.behind.is_empty()
    })
}

/// The futures of spawned tasks.
pub(crate) struct Tasks {
    places: RefCell<Vec<Option<Task>>>,
    counters: Rc<Counters>,
}

/// A task's future: in memory of its own, for those that live long, or in the pool's.
enum Task {
    Boxed(Pin<Box<dyn Future<Output = ()>>>),
    Pooled(Pooled<dyn Future<Output = ()>>),
}

impl Task {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Boxed(future) => future.as_mut().poll(cx),
            Self::Pooled(future) => Pin::new(future).poll(cx),
        }
    }
}

impl Tasks {
    /// For so many tasks without growing.
    pub(crate) fn new(tasks: usize, counters: Rc<Counters>) -> Self {
        reserve(tasks);
        Self { places: RefCell::new(Vec::with_capacity(tasks)), counters }
    }

    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        self.place(allocate(), Task::Boxed(Box::pin(future)));
    }

    /// The same for a future in memory from the pool.
    pub(crate) fn spawn_pooled(&self, future: Pooled<impl Future<Output = ()> + 'static>) {
        self.place(allocate(), Task::Pooled(future.erase()));
    }

    fn place(&self, id: TaskId, task: Task) {
        let slot = id.slot as usize;
        let places = &mut *self.places.borrow_mut();
        if places.len() <= slot {
            places.resize_with(slot + 1, || None);
        }
        places[slot] = Some(task);
    }

    /// Polls one task. A panic ends that task and is counted; the panic hook has told about it already.
    pub(crate) fn poll(&self, id: TaskId) {
        // The task leaves its place while it runs, so that it may spawn others.
        let Some(mut task) = self.places.borrow_mut().get_mut(id.slot as usize).and_then(Option::take) else {
            return;
        };
        let waker = id.waker();
        let mut cx = Context::from_waker(&waker);
        // What a panicking task leaves half-done is its own: the reactor is never borrowed while a task runs.
        match catch_unwind(AssertUnwindSafe(|| task.poll(&mut cx))) {
            Ok(Poll::Pending) => self.place(id, task),
            Ok(Poll::Ready(())) => self.end(id.slot, task),
            Err(_) => {
                add(&self.counters.task_panics, 1);
                self.end(id.slot, task);
            }
        }
    }

    fn end(&self, slot: u32, task: Task) {
        release(slot);
        if catch_unwind(AssertUnwindSafe(move || drop(task))).is_err() {
            add(&self.counters.task_panics, 1);
        }
    }

    /// Drops every task.
    pub(crate) fn clear(&self) {
        loop {
            let (slot, task) = {
                let places = &mut *self.places.borrow_mut();
                let Some(task) = places.pop() else { return };
                (places.len() as u32, task)
            };
            if let Some(task) = task {
                self.end(slot, task);
            }
        }
    }
}
