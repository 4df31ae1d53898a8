//! Connections to backends over HTTP/2: few, each shared by many calls of one core. A call takes a seat on one that has
//! room; who finds none makes one, and others that come meanwhile wait for it.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io,
    rc::Rc,
    task::{Context, Waker},
};

use wire::h2::{Caller, Client, Settings};

use super::link::Link;
use crate::{
    core::{Connected, Core},
    transport::Transport,
};

/// Calls at once on one connection, however many its backend would take: one loss on the way holds all of them up.
const STREAMS_MAX: usize = 100;

/// The shared connections to one address.
#[derive(Default)]
pub(crate) struct Shared {
    connections: Vec<Rc<Connection>>,
    /// One is being made.
    connecting: bool,
    /// Who waits for it.
    waiting: Vec<Waker>,
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
}

/// A call's place on a connection, for as long as it is held.
pub(crate) struct Seat(Rc<Connection>);

impl Clone for Seat {
    fn clone(&self) -> Self {
        Self::take(&self.0)
    }
}

/// What a call finds.
pub(crate) enum Found {
    Seat(Seat),
    /// Nobody else is making a connection: the call is to make one, and to say when it is done.
    None,
    /// Somebody is.
    Wait,
}

impl Seat {
    /// By which calls are begun.
    pub(crate) fn caller(&self) -> Caller {
        self.0.caller.borrow().clone()
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
        self.connections.iter().find(|it| it.has_room()).map(Seat::take)
    }

    /// A seat, or what to do without. `anew`: only on a connection that is made now.
    pub(crate) fn find(&mut self, cx: &Context<'_>, anew: bool) -> Found {
        match self.seat().filter(|_| !anew) {
            Some(seat) => Found::Seat(seat),
            None if self.connecting => {
                self.waiting.push(cx.waker().clone());
                Found::Wait
            }
            None => {
                self.connecting = true;
                Found::None
            }
        }
    }

    /// The connection that was to be made is there, or will not be.
    pub(crate) fn made(&mut self, connection: Option<&Seat>) {
        self.connecting = false;
        self.connections.extend(connection.map(|seat| seat.0.clone()));
        self.waiting.drain(..).for_each(Waker::wake);
    }

    /// Lets those go that are over, or that nobody has used for so long.
    pub(crate) fn sweep(&mut self, keep_alive_ns: u64, now_ns: u64) {
        self.connections.retain(|it| {
            if it.calls.get() > 0 {
                it.since_ns.set(now_ns);
            }
            !it.closed.get() && now_ns.saturating_sub(it.since_ns.get()) < keep_alive_ns
        });
    }

    /// Lets those go that nobody uses.
    pub(crate) fn let_go(&mut self) {
        self.connections.retain(|it| it.calls.get() > 0);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }
}

/// Sets a connection to work, and takes the first seat on it. It goes on as long as anybody holds it or a seat on it.
pub(crate) fn start(core: &Core, transport: Transport, place: Option<Connected>) -> io::Result<Seat> {
    let holder = Rc::new(Holder(transport));
    let link = Link::new(holder.clone(), Vec::new());
    let received = link.received();
    let (client, caller) = Client::new(link, &Settings::BACKENDS).map_err(io::Error::other)?;
    let connection = Rc::new(Connection {
        caller: RefCell::new(caller),
        calls: Cell::new(0),
        closed: Cell::new(false),
        since_ns: Cell::new(core.handle.now().mono_ns),
        received,
    });
    let seat = Seat::take(&connection);
    let task = drive(client, holder, Rc::downgrade(&connection), place);
    core.handle.spawn(core.handle.pooled(|| task));
    Ok(seat)
}

/// Reads and writes a connection's frames until it is over.
async fn drive(
    mut client: Client<Link<Holder>>,
    holder: Rc<Holder>,
    connection: std::rc::Weak<Connection>,
    place: Option<Connected>,
) {
    // Whatever it was that ended it, the calls on it are told by their streams.
    let _ended = poll_fn(|cx| holder.0.as_one(|| client.poll(cx))).await;
    if let Some(connection) = connection.upgrade() {
        connection.closed.set(true);
    }
    drop(client);
    holder.0.finish();
    drop(place);
}

/// A transport that is nothing but that.
struct Holder(Transport);

impl AsRef<Transport> for Holder {
    fn as_ref(&self) -> &Transport {
        &self.0
    }
}
