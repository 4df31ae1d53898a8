//! Connections to backends over HTTP/2: few, each shared by many calls of one core. A call takes a seat on one that has
//! room; who finds none makes one, and others that come meanwhile wait for it.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::poll_fn,
    iter,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use message::Reason;
use wire::h2::{Caller, Client, Code, Settings};

use super::link::Link;
use crate::{
    core::{Connected, Core},
    transport::Transport,
};

/// Calls at once on one connection, however many its backend would take: one loss on the way holds all of them up.
const STREAMS_MAX: usize = 100;

/// Places of those who wait no more, beside as many as there are who do, before they are cleared away.
const GONE_MAX: usize = 16;

/// The shared connections to one address. Outlives the address's place in its group, for those who still wait.
#[derive(Default)]
pub(crate) struct Shared(RefCell<State>);

#[derive(Default)]
struct State {
    connections: Vec<Rc<Connection>>,
    /// One is being made.
    connecting: bool,
    /// Those that were to be made and were not.
    failures: u64,
    /// Why the last of them was not.
    failure: Option<Reason>,
    /// Who waits for it, the first to come at the front. They are woken one by one, each by the one before: most of very
    /// many would find no seat.
    waiting: VecDeque<Rc<Waiter>>,
    /// How many of those do wait; the others were woken or have gone.
    waiting_count: usize,
    /// Who makes it, once its own client has gone: to be woken when nobody waits any more.
    maker: Option<Waker>,
}

/// Somebody who waits for a connection.
#[derive(Default)]
struct Waiter {
    /// None once it was woken, or waits no more.
    waker: RefCell<Option<Waker>>,
}

/// A connection that calls share.
struct Connection {
    caller: RefCell<Caller>,
    calls: Cell<usize>,
    /// It takes no more calls.
    closed: Cell<bool>,
    /// When it was last seen in use, in `mono_ns`.
    since_ns: Cell<u64>,
    /// Bytes that ever came.
    received: Rc<Cell<u64>>,
    /// Its place among the connections of its core, until it is over or nobody holds it any more.
    place: Cell<Option<Connected>>,
}

/// A call's place on a connection, for as long as it is held.
pub(crate) struct Seat(Rc<Connection>);

impl Clone for Seat {
    fn clone(&self) -> Self {
        Self::take(&self.0)
    }
}

/// Why there is no seat.
pub(crate) enum Unseated {
    /// Nobody else is making a connection: who asked is to make one.
    Make(Making),
    /// Somebody was, in vain.
    Failed(Reason),
}

impl Seat {
    /// By which calls are begun.
    pub(crate) fn caller(&self) -> Caller {
        self.0.caller.borrow().clone()
    }

    /// Ready when the backend allows one more call; an error: it allows no more of them.
    pub(crate) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Code>> {
        self.0.caller.borrow_mut().poll_ready(cx)
    }

    /// Bytes that ever came on the connection.
    pub(crate) fn received(&self) -> u64 {
        self.0.received.get()
    }

    /// The connection is not to be used for further calls.
    pub(crate) fn close(&self) {
        self.0.closed.set(true);
    }

    fn take(connection: &Rc<Connection>) -> Self {
        connection.calls.set(connection.calls.get() + 1);
        Self(connection.clone())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.calls.set(self.0.calls.get() - 1);
    }
}

impl Connection {
    fn has_room(&self) -> bool {
        let max = self.caller.borrow().streams_max().min(STREAMS_MAX);
        !self.closed.get() && self.calls.get() < max
    }
}

impl Shared {
    /// A seat, if there is one.
    pub(crate) fn seat(&self) -> Option<Seat> {
        self.0.borrow().connections.iter().find(|it| it.has_room()).map(Seat::take)
    }

    /// Waits for a seat, as long as somebody makes a connection.
    pub(crate) async fn wait(self: &Rc<Self>) -> Result<Seat, Unseated> {
        let queued = Queued { shared: self, waiter: Rc::default(), failures: self.0.borrow().failures };
        poll_fn(|cx| match self.seat() {
            Some(seat) => Poll::Ready(Ok(seat)),
            None => self.waits(cx, &queued).map(Err),
        })
        .await
    }

    /// What to do without a seat.
    fn waits(self: &Rc<Self>, cx: &Context<'_>, queued: &Queued<'_>) -> Poll<Unseated> {
        let state = &mut *self.0.borrow_mut();
        if state.failures != queued.failures {
            let reason = state.failure.clone().unwrap_or(Reason::BackendUnreachable);
            return Poll::Ready(Unseated::Failed(reason));
        }
        if !std::mem::replace(&mut state.connecting, true) {
            return Poll::Ready(Unseated::Make(Making { shared: self.clone(), made: None }));
        }
        if queued.waiter.waker.replace(Some(cx.waker().clone())).is_none() {
            state.waiting.push_back(queued.waiter.clone());
            state.waiting_count += 1;
        }
        Poll::Pending
    }

    /// One that has waited does so no more.
    fn leave(&self) {
        let maker = {
            let state = &mut *self.0.borrow_mut();
            state.waiting_count -= 1;
            if state.waiting.len() >= 2 * state.waiting_count + GONE_MAX {
                state.waiting.retain(|waiter| waiter.waker.borrow().is_some());
            }
            if state.waiting_count == 0 { state.maker.take() } else { None }
        };
        maker.into_iter().for_each(Waker::wake);
    }

    fn wake_next(&self) {
        let next = {
            let state = &mut *self.0.borrow_mut();
            if state.connecting {
                return;
            }
            let next = iter::from_fn(|| state.waiting.pop_front()).find_map(|waiter| waiter.waker.take());
            state.waiting_count -= usize::from(next.is_some());
            next
        };
        if let Some(waker) = next {
            waker.wake();
        }
    }

    /// Lets those go that are over, or that nobody has used for so long.
    pub(crate) fn sweep(&self, keep_alive_ns: u64, now_ns: u64) {
        self.0.borrow_mut().connections.retain(|it| {
            if it.calls.get() > 0 {
                it.since_ns.set(now_ns);
            }
            !it.closed.get() && now_ns.saturating_sub(it.since_ns.get()) < keep_alive_ns
        });
    }

    /// Lets those go that nobody uses.
    pub(crate) fn let_go(&self) {
        self.0.borrow_mut().connections.retain(|it| it.calls.get() > 0);
    }

    /// Lets one go that nobody uses; whether there was one.
    pub(crate) fn let_one_go(&self) -> bool {
        let connections = &mut self.0.borrow_mut().connections;
        let unused = connections.iter().position(|it| it.calls.get() == 0);
        unused.map(|place| connections.remove(place)).is_some()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().connections.is_empty()
    }
}

/// Waits for a seat.
struct Queued<'a> {
    shared: &'a Shared,
    waiter: Rc<Waiter>,
    /// There had been so many when the wait began.
    failures: u64,
}

impl Drop for Queued<'_> {
    /// It has one, or waits no more: the next may look.
    fn drop(&mut self) {
        if self.waiter.waker.take().is_some() {
            self.shared.leave();
        }
        self.shared.wake_next();
    }
}

/// The duty to make a connection, for all who wait meanwhile.
pub(crate) struct Making {
    shared: Rc<Shared>,
    made: Option<Seat>,
}

impl Making {
    /// Ready when nobody else waits for it.
    pub(crate) fn poll_unwanted(&self, cx: &Context<'_>) -> Poll<()> {
        let state = &mut *self.shared.0.borrow_mut();
        if state.waiting_count == 0 {
            return Poll::Ready(());
        }
        state.maker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Here it is; a seat on it.
    pub(crate) fn done(mut self, first: Seat) -> Seat {
        self.made.insert(first).clone()
    }

    /// There will be none, and those who wait need not try either.
    pub(crate) fn failed(self, reason: &Reason) {
        let state = &mut *self.shared.0.borrow_mut();
        (state.failures, state.failure) = (state.failures + 1, Some(reason.clone()));
    }
}

impl Drop for Making {
    /// Whatever became of it, they go on.
    fn drop(&mut self) {
        {
            let state = &mut *self.shared.0.borrow_mut();
            (state.connecting, state.maker) = (false, None);
            state.connections.extend(self.made.as_ref().map(|seat| seat.0.clone()));
        }
        self.shared.wake_next();
    }
}

/// Sets a connection to work, and takes the first seat on it. It goes on as long as anybody holds it or a seat on it.
pub(crate) fn start(core: &Core, transport: Transport, place: Option<Connected>) -> Seat {
    let holder = Rc::new(Holder(transport));
    let link = Link::new(holder.clone(), Vec::new());
    let received = link.received();
    let (client, caller) = Client::new(link, &Settings::BACKENDS);
    let connection = Rc::new(Connection {
        caller: RefCell::new(caller),
        calls: Cell::new(0),
        closed: Cell::new(false),
        since_ns: Cell::new(core.handle.now().mono_ns),
        received,
        place: Cell::new(place),
    });
    let seat = Seat::take(&connection);
    let task = drive(client, holder, Rc::downgrade(&connection));
    core.handle.spawn_pooled(|| task);
    seat
}

/// Reads and writes a connection's frames until it is over.
async fn drive(mut client: Client<Link<Holder>>, holder: Rc<Holder>, connection: std::rc::Weak<Connection>) {
    // Whatever it was that ended it, the calls on it are told by their streams.
    let _ended = poll_fn(|cx| {
        let polled = holder.0.as_one(|| client.poll(cx));
        // It may have calls to finish for long; no other is to find out that it takes none.
        if (client.is_leaving() || polled.is_ready())
            && let Some(connection) = connection.upgrade()
        {
            connection.closed.set(true);
        }
        polled
    })
    .await;
    drop(client);
    holder.0.finish();
    if let Some(connection) = connection.upgrade() {
        connection.place.take();
    }
}

/// A transport that is nothing but that.
struct Holder(Transport);

impl AsRef<Transport> for Holder {
    fn as_ref(&self) -> &Transport {
        &self.0
    }
}
