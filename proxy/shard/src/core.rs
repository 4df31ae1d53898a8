//! What one core owns: all that changes while it serves. Nothing here is shared with another core; what several cores
//! must agree upon they ask by letters (`owner`) or lease from the machine's table (`policy::throttle`).

#![expect(
    clippy::redundant_allocation,
    reason = "an Rc around the shared Arc: a request touches this core's count alone"
)]

use std::{
    cell::{Cell, RefCell},
    net::IpAddr,
    rc::Rc,
    sync::Arc,
    task::{Context, Waker},
};

use gate::table::Limiter;
use message::{Now, Reason, Request, RequestId, Response};
use policy::throttle::Spendings;
use runtime::{Handle, Post, Spare};
use snapshot::Snapshot;
use telemetry::{CoreSnapshot, Counters, Discarded, Event, Observed, log::LogSender};
use wire::h1;

use crate::{
    Endpoint, FrontLine, Message,
    admission::{Full, Gate, Permit},
    backend::Live,
    conduct::{Deed, Notes},
    ids::Ids,
    owner::Owner,
    pool::{Claim, Pool},
    pools::Pools,
    pressure::Level,
    relay::Fault,
};

/// Pairs of messages kept for reuse.
const MESSAGES_KEPT_MAX: usize = 256;
/// Of them so many stay, however little they are needed.
const MESSAGES_KEPT_MIN: usize = 8;

/// So much has to be freed before the allocator is asked to give memory back to the kernel.
const GIVE_BACK_BYTES_MIN: usize = 256 << 10;

/// A request and its response, filled where they lie: what moves from hand to hand is their address.
#[derive(Default)]
pub(crate) struct Messages {
    pub(crate) request: Request,
    pub(crate) response: Response,
}

/// One core's state.
pub(crate) struct Core {
    pub(crate) handle: Handle,
    /// Which core this is, from 0.
    pub(crate) index: usize,
    /// Letters to all cores, this one too, by index.
    pub(crate) posts: Vec<Post<Message>>,
    pub(crate) owner: RefCell<Owner>,
    /// What the codec allows a backend.
    pub(crate) codec_limits: wire::Limits,
    pub(crate) log: RefCell<LogSender>,
    pub(crate) gate: Arc<Gate>,
    /// By listener: who decides about connections that were accepted.
    limiters: RefCell<Arc<[Option<Arc<Limiter>>]>>,
    /// What clients did, if anybody wants to know.
    notes: RefCell<Option<Box<Notes>>>,
    /// Connections to backends at once.
    backends_max: usize,
    backends: Rc<Cell<usize>>,
    /// The outer `Arc` is touched by a swap only; a request clones the `Rc`.
    snapshot: RefCell<Rc<Arc<Snapshot>>>,
    spendings: RefCell<Spendings>,
    /// What requests have left for the next.
    pub(crate) spare: RefCell<exchange::Spare>,
    counters: RefCell<Counters>,
    pub(crate) pools: RefCell<Pools>,
    ids: RefCell<Ids>,
    messages: RefCell<Spare<Box<Messages>>>,
    /// `Date` and the second it stands for.
    date: Cell<(u64, [u8; 29])>,
    draining: Cell<bool>,
    /// How short the node's memory is.
    pub(crate) pressure: Cell<Level>,
    /// Bodies that are fetched for the cache and not whole yet, in all.
    pub(crate) gathered_bytes: Cell<u64>,
    /// Bodies of requests that are kept until their backends have begun to answer, in all.
    pub(crate) kept_bytes: Rc<Cell<usize>>,
    /// Bodies that are had as a whole, in all.
    pub(crate) whole_bytes: Cell<usize>,
    /// Memory is being given back.
    pub(crate) shedding: Cell<bool>,
    open: Cell<usize>,
    /// Requests of the cache's own that are under way.
    pub(crate) renewals: Cell<usize>,
    /// Freed by [`Self::trim`], and maybe with the allocator still.
    freed_bytes: Cell<usize>,
    /// Listeners that may still hand out connections.
    accepting: Cell<usize>,
    /// Panics of tasks that have been counted.
    panics: Cell<u64>,
    /// Who waits for the last connection to end.
    empty: RefCell<Option<Waker>>,
}

/// A core's parts that are made elsewhere.
pub(crate) struct Parts {
    pub(crate) handle: Handle,
    pub(crate) index: usize,
    pub(crate) posts: Vec<Post<Message>>,
    pub(crate) owner: Owner,
    pub(crate) log: LogSender,
    pub(crate) spendings: Spendings,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) backends_max: usize,
}

impl Core {
    pub(crate) fn new(parts: Parts) -> Rc<Self> {
        let Parts { handle, index, posts, owner, log, spendings, snapshot, gate, backends_max } = parts;
        let core = Self {
            handle,
            index,
            posts,
            owner: RefCell::new(owner),
            codec_limits: wire::Limits::UPSTREAM,
            log: RefCell::new(log),
            gate,
            limiters: RefCell::default(),
            notes: RefCell::default(),
            backends_max,
            backends: Rc::default(),
            counters: RefCell::new(Counters::new(snapshot.labels.clone())),
            snapshot: RefCell::new(Rc::new(snapshot.clone())),
            spendings: RefCell::new(spendings),
            spare: RefCell::default(),
            pools: RefCell::default(),
            ids: RefCell::new(Ids::new()),
            messages: RefCell::default(),
            date: Cell::new((u64::MAX, [0; 29])),
            draining: Cell::new(false),
            pressure: Cell::default(),
            gathered_bytes: Cell::new(0),
            kept_bytes: Rc::default(),
            whole_bytes: Cell::new(0),
            shedding: Cell::new(false),
            open: Cell::new(0),
            renewals: Cell::new(0),
            freed_bytes: Cell::new(0),
            accepting: Cell::new(0),
            panics: Cell::new(0),
            empty: RefCell::default(),
        };
        core.furnish(&snapshot);
        Rc::new(core)
    }

    /// The snapshot of this moment; a request keeps the one it began with.
    pub(crate) fn snapshot(&self) -> Rc<Arc<Snapshot>> {
        self.snapshot.borrow().clone()
    }

    /// Takes another snapshot; what was counted for routes that are gone comes back, to be freed elsewhere. Nothing here
    /// looks at each route or upstream group: a core serves nobody while it swaps.
    pub(crate) fn swap(&self, snapshot: Arc<Snapshot>) -> Discarded {
        let gone = self.counters.borrow_mut().adopt(snapshot.labels.clone());
        self.furnish(&snapshot);
        // Who published it holds it too for as long as any request does: the last to let go is not this core.
        self.snapshot.replace(Rc::new(snapshot));
        gone
    }

    /// Makes room for the upstream groups of a snapshot. Those that are gone lose their connections in the next
    /// [`Self::sweep`]; their addresses stay, for requests that began with an older snapshot and have not come to their
    /// calls yet, until [`Self::forget`].
    fn furnish(&self, snapshot: &Snapshot) {
        self.pools.borrow_mut().make_room(snapshot.upstreams.len());
    }

    /// Takes the addresses of an upstream group.
    pub(crate) fn set_endpoints(&self, slot: u32, endpoints: &[Endpoint]) {
        self.pools.borrow_mut().set_endpoints(slot, endpoints, self.handle.now().mono_ns);
    }

    /// Empties the slot of an upstream group that no snapshot has any more.
    pub(crate) fn forget(&self, slot: u32) {
        self.pools.borrow_mut().forget(slot);
    }

    /// Takes what probes say of an address.
    pub(crate) fn set_health(&self, slot: u32, endpoint: Endpoint, healthy: bool) {
        let now_ns = self.handle.now().mono_ns;
        self.pool(slot, |pool| pool.set_health(endpoint, healthy, now_ns));
    }

    /// Does this for the kernel front line from now on.
    pub(crate) fn set_front_line(&self, front_line: FrontLine) {
        let FrontLine { offences, limiters } = front_line;
        self.limiters.replace(limiters);
        let notes = offences.map(|offences| Box::new(Notes::new(offences)));
        if let Some(mut before) = self.notes.replace(notes) {
            before.tell();
        }
    }

    /// Whether anybody wants to know what clients do.
    pub(crate) fn takes_notes(&self) -> bool {
        self.notes.borrow().is_some()
    }

    /// Takes down what a client did, if anybody wants to know. Who is trusted speaks for others and answers for none.
    pub(crate) fn note(&self, peer: IpAddr, trusted: bool, deed: Deed) {
        if let Some(notes) = &mut *self.notes.borrow_mut()
            && !trusted
        {
            notes.note(peer, deed);
        }
    }

    /// The same of a connection on which it is not known yet who is trusted.
    pub(crate) fn note_offence(&self, peer: IpAddr, deed: Deed) {
        let trusted = self.snapshot().client.is_trusted(peer.to_canonical());
        self.note(peer, trusted, deed);
    }

    /// Lends the connections to an upstream group; `None` for a slot that there is not.
    pub(crate) fn pool<R>(&self, slot: u32, lend: impl FnOnce(&mut Pool) -> R) -> Option<R> {
        self.pools.borrow_mut().get(slot).map(lend)
    }

    /// Takes a connection back after its response: kept if both sides allow it, else closed.
    pub(crate) fn release(&self, live: Box<Live>, snapshot: &Snapshot, request_sent: bool) {
        let slot = live.slot;
        live.claim.iter().for_each(Claim::complete);
        let may_keep = live.framing.keep_alive && request_sent;
        let Some(upstream) = snapshot.upstream(slot).filter(|_| may_keep) else { return };
        self.pools.borrow_mut().keep(live, upstream, self.handle.now().mono_ns);
    }

    /// A group has a connection that calls share.
    pub(crate) fn shares(&self, slot: u32) {
        self.pools.borrow_mut().note(slot);
    }

    /// Closes connections to backends that were unused for too long: in as many turns as keep each of them short, since there
    /// may be tens of thousands of groups.
    pub(crate) async fn sweep(&self) {
        /// Each is in several places of memory, which nobody has touched for a second.
        const POOLS_A_TURN: usize = 128;
        self.log.borrow_mut().flush();
        let mut left = self.pools.borrow().keeping();
        loop {
            self.sweep_some(left.min(POOLS_A_TURN));
            left = left.saturating_sub(POOLS_A_TURN);
            if left == 0 {
                break;
            }
            self.handle.yield_now().await;
        }
        self.notes.borrow_mut().iter_mut().for_each(|notes| notes.tell());
        self.sweep_cache();
    }

    /// The same for so many groups.
    fn sweep_some(&self, groups: usize) {
        let (snapshot, now_ns) = (self.snapshot(), self.handle.now().mono_ns);
        self.pools.borrow_mut().look_at(groups, |slot, pool| {
            match snapshot.upstreams.get(slot).and_then(Option::as_ref) {
                Some(upstream) => pool.sweep(upstream.keep_alive_ns, now_ns),
                None => pool.let_go(),
            }
            false
        });
    }

    /// Gives back to the machine what this core has drawn of shared limits and takes no more; whether it holds some still.
    pub(crate) fn return_leases(&self) -> bool {
        self.spendings.borrow_mut().tick(self.handle.now().mono_ns)
    }

    /// The time of this turn.
    pub(crate) fn now(&self) -> Now {
        let clock = self.handle.now();
        Now { mono_ns: clock.mono_ns, unix_ns: clock.unix_ns }
    }

    /// `Date` of this second (RFC 9110 §5.6.7).
    pub(crate) fn date(&self) -> [u8; 29] {
        let unix_s = self.handle.now().unix_ns / 1_000_000_000;
        let (second, date) = self.date.get();
        if second == unix_s {
            return date;
        }
        let date = h1::imf_fixdate(unix_s);
        self.date.set((unix_s, date));
        date
    }

    /// The next request's id.
    pub(crate) fn next_id(&self) -> Option<RequestId> {
        self.ids.borrow_mut().next()
    }

    /// Counts.
    pub(crate) fn record(&self, event: &Event) {
        self.counters.borrow_mut().record(event);
    }

    /// What was seen of some routes together: in as many turns as keep each of them short.
    pub(crate) async fn observe(&self, slots: &[u32]) -> Observed {
        /// Histograms of 7 to 12 KB each are summed.
        const ROUTES_A_TURN: usize = 64;
        let mut observed = Observed::default();
        for slots in slots.chunks(ROUTES_A_TURN) {
            observed.merge(&self.counters.borrow().observe(slots));
            self.handle.yield_now().await;
        }
        observed
    }

    /// What was counted.
    #[cfg(test)]
    pub(crate) fn counted(&self) -> CoreSnapshot {
        self.counters.borrow().snapshot()
    }

    /// What was counted, with the panics that the reactor has caught meanwhile, for a scrape: in as many turns as keep each of
    /// them short.
    pub(crate) async fn counters(&self) -> CoreSnapshot {
        /// Some 14 KB each, 25 with long times.
        const ROUTES_A_TURN: usize = 8;
        let panics = self.handle.stats().task_panics;
        for _ in self.panics.replace(panics)..panics {
            self.record(&Event::Panic);
        }
        let mut copy = self.counters.borrow_mut().snapshot_without_routes();
        let mut next = Some(0);
        while let Some(slot) = next {
            next = self.counters.borrow().copy_routes(slot, ROUTES_A_TURN, &mut copy);
            if next.is_some() {
                self.handle.yield_now().await;
            }
        }
        copy
    }

    /// Lends what policies spend.
    pub(crate) fn decide<R>(&self, decision: impl FnOnce(&mut exchange::Lent<'_>) -> R) -> R {
        let (now, owner) = (self.now(), &mut *self.owner.borrow_mut());
        let (spendings, spare) = (&mut *self.spendings.borrow_mut(), &mut *self.spare.borrow_mut());
        decision(&mut exchange::Lent { now, spendings, near: owner.near(), spare })
    }

    /// Why a request's body did not pass.
    pub(crate) fn client_fault(&self, fault: Fault) -> Reason {
        match fault {
            Fault::Malformed(error) => {
                self.record(&Event::Malform { status: error.status(), label: error.as_str() });
                Reason::BodyMalformed
            }
            Fault::TooLarge(max) => Reason::BodyTooLarge { max },
            Fault::SenderGone | Fault::ReceiverGone => Reason::ClientGone,
            Fault::NoRoom => Reason::Overloaded,
        }
    }

    /// Empty messages with memory from earlier ones.
    pub(crate) fn messages(&self) -> Box<Messages> {
        self.messages.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes messages back for their memory.
    pub(crate) fn recycle(&self, mut messages: Box<Messages>) {
        let mut kept = self.messages.borrow_mut();
        if kept.len() < MESSAGES_KEPT_MAX {
            messages.request.clear();
            messages.response.clear();
            kept.push(messages);
        }
    }

    /// Begins to end: no new connections, each answer says `Connection: close`, idle connections are let go.
    pub(crate) fn drain(&self) {
        self.draining.set(true);
        self.wake_idle();
        self.wake_if_empty();
    }

    /// Wakes the connections that wait for a request: there may be a reason to end. It wakes all that the core does; a list
    /// of those that wait would cost each of them a place.
    pub(crate) fn wake_idle(&self) {
        self.handle.wake_all();
    }

    /// Whether connections that wait for a request are to end.
    pub(crate) fn ends_idle(&self) -> bool {
        self.is_draining() || self.pressure.get() >= Level::Shut
    }

    /// Frees all that is kept for reuse.
    pub(crate) fn free_spare(&self) {
        self.messages.take();
        self.spare.take();
        self.handle.free_spare();
    }

    /// Frees what was kept for reuse and has not been needed since this was called last. True while there may be more.
    pub(crate) fn trim(&self) -> bool {
        let messages = {
            let mut messages = self.messages.borrow_mut();
            messages.trim(MESSAGES_KEPT_MIN).for_each(drop);
            messages.len() > MESSAGES_KEPT_MIN
        };
        let spare = self.spare.borrow_mut().trim();
        let trimmed = self.handle.trim();
        let freed = self.freed_bytes.get() + trimmed.bytes;
        let more = messages || spare || trimmed.more;
        // Once there is no more to come: the allocator looks at all that it has.
        let gives_back = !more && freed >= GIVE_BACK_BYTES_MIN;
        if gives_back {
            runtime::give_back();
        }
        self.freed_bytes.set(if gives_back { 0 } else { freed });
        more
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Connections of clients.
    pub(crate) fn open_connections(&self) -> usize {
        self.open.get()
    }

    /// Counts a connection for as long as the guard lives, or says which limit forbids it.
    pub(crate) fn open(self: &Rc<Self>, listener: usize, peer: IpAddr) -> Result<Open, Full> {
        if self.pressure.get() >= Level::Shut {
            return Err(Full::Memory);
        }
        if let Some(Some(limiter)) = self.limiters.borrow().get(listener)
            && !limiter.admit(peer, self.handle.now().mono_ns)
        {
            return Err(Full::Rate);
        }
        let permit = self.gate.enter(&self.snapshot(), listener, peer)?;
        self.open.set(self.open.get() + 1);
        self.record(&Event::Accept { listener: u32::try_from(listener).unwrap_or(u32::MAX) });
        Ok(Open { core: self.clone(), permit })
    }

    /// Counts a connection to a backend for as long as the guard lives; `None` where there are as many as there may be.
    /// One that nobody uses makes room.
    pub(crate) fn connects(&self) -> Option<Connected> {
        while self.backends.get() >= self.backends_max {
            if !self.pools.borrow_mut().let_one_go() {
                self.record(&Event::Reject { label: "backends" });
                return None;
            }
        }
        self.backends.set(self.backends.get() + 1);
        Some(Connected(self.backends.clone()))
    }

    /// Counts a listener for as long as the guard lives.
    pub(crate) fn accepting(self: &Rc<Self>) -> Accepting {
        self.accepting.set(self.accepting.get() + 1);
        Accepting(self.clone())
    }

    /// To be polled until no connection is left, and none comes any more.
    pub(crate) fn is_empty(&self, cx: &Context<'_>) -> bool {
        *self.empty.borrow_mut() = Some(cx.waker().clone());
        self.has_ended()
    }

    fn has_ended(&self) -> bool {
        self.draining.get() && self.open.get() == 0 && self.accepting.get() == 0
    }

    fn wake_if_empty(&self) {
        if self.has_ended()
            && let Some(waker) = self.empty.borrow_mut().take()
        {
            waker.wake();
        }
    }
}

/// Limits of the codec toward clients: the widest that any route has, so that the route's own policy can answer
/// in its dialect; above it the codec refuses.
pub fn request_limits(snapshot: &Snapshot) -> wire::Limits {
    let head = &snapshot.head;
    let slack = 2;
    wire::Limits {
        head_bytes_max: wire_bound(
            head.header_bytes_max + head.target_bytes_max,
            slack,
            wire::HEAD_BYTES_CAP,
        ),
        target_bytes_max: wire_bound(head.target_bytes_max, slack, wire::HEAD_BYTES_CAP),
        headers_max: head.headers_max.min(wire::HEADERS_CAP),
        ..wire::Limits::CLIENT
    }
}

fn wire_bound(bytes: u64, slack: u64, cap: usize) -> usize {
    usize::try_from(bytes.saturating_mul(slack)).unwrap_or(cap).min(cap)
}

/// A connection to a backend, from the call that makes it to its close.
pub(crate) struct Connected(Rc<Cell<usize>>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// An open connection.
pub(crate) struct Open {
    core: Rc<Core>,
    permit: Permit,
}

impl Open {
    /// Whose it is.
    pub(crate) fn core(&self) -> &Rc<Core> {
        &self.core
    }
}

impl Open {
    /// Number of the listener that it came by.
    pub(crate) fn listener(&self) -> usize {
        self.permit.listener()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let Self { core, permit } = self;
        core.gate.leave(*permit);
        core.open.set(core.open.get() - 1);
        core.record(&Event::Close);
        core.wake_if_empty();
    }
}

/// A listener that may still hand out connections: closing one takes a while, and what the kernel has accepted by then
/// is served.
pub(crate) struct Accepting(Rc<Core>);

impl Accepting {
    pub(crate) fn core(&self) -> &Rc<Core> {
        &self.0
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.0.accepting.set(self.0.accepting.get() - 1);
        self.0.wake_if_empty();
    }
}
