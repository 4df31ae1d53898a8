//! The cache across cores. Each key has one owner core, which decides admission, expiry and who fetches; the others
//! ask it by letter. A right to fetch (a ticket) is given back whatever becomes of the request: [`Fill`] does so when
//! it is dropped, so that those who wait are never left with a leader that died. What is asked for again and again is kept
//! where it is asked for (`policy::cache::Replicas`) and costs no letter.

use std::{
    cell::RefCell,
    future::poll_fn,
    num::NonZeroUsize,
    rc::Rc,
    sync::Arc,
    task::{Poll, Waker},
    time::Duration,
};

use message::Now;
use policy::cache::{
    Changed, Epochs, Failure, Fate, Found, Key, LeaseId, Lookup, Mode, Near, ReplicaStats, Replicas, Replies,
    Sought, Stats, Store, Stored, Ticket,
};
use runtime::Alarm;
use slab::Slab;

use crate::{Message, core::Core, pressure::Level, replay};

/// How long a request waits for another's fetch before it goes itself.
const WAIT_NS: u64 = 30_000_000_000;

/// How long a full mailbox is left alone before it is tried again.
const ROOM: Duration = Duration::from_millis(10);

/// This core's part of the cache, what it keeps of others' parts, and its own requests that wait for an owner's answer.
pub(crate) struct Owner {
    store: Store<Waiter>,
    replicas: Replicas,
    /// By which cores say that what was kept holds no more.
    pub(crate) epochs: Arc<Epochs>,
    /// What the store may hold while there is memory enough.
    bytes_configured: u64,
    waiting: RefCell<Slab<Waiting>>,
    turn: u64,
    /// Cores that have ended: nobody reads letters to them.
    gone: Vec<usize>,
}

/// Who waits: a request of some core.
#[derive(Clone, Copy, Debug)]
pub struct Waiter {
    core: usize,
    key: usize,
    /// Tells this request from another that has its place later.
    turn: u64,
}

struct Waiting {
    turn: u64,
    /// Which core is to answer.
    owner: usize,
    /// Under which key the answer is kept, if it is lent.
    keeps: Option<Key>,
    reply: Option<Found>,
    waker: Option<Waker>,
}

/// What cores write to one another about the cache.
pub enum Letter {
    /// To a key's owner: is there an entry, or who fetches it? And whether the one who asks would keep it.
    LookUp(Lookup, Waiter, bool),
    /// To the one who asked; with the owner's epoch if it may be kept.
    Reply(Waiter, Found, Option<u64>),
    /// To a key's owner: what became of a fetch.
    Settle(Settled),
    /// To a key's owner: what is kept under it holds no more; the reply says that it is gone.
    Invalidate(Key, Waiter),
    /// To all: this core has ended, and answers nobody any more.
    Gone(usize),
}

/// What became of a fetch.
pub enum Settled {
    /// This came, and may be kept.
    Fill(Ticket, Box<Stored>),
    /// What came is not for the cache; whether the next is likely not to be either.
    Decline(Ticket, bool),
    /// Nothing came.
    Abandon(Ticket),
    /// The backend failed, and this was answered in its place.
    StandIn(Ticket, Arc<Stored>, Failure),
}

impl Owner {
    /// The part of core `index`, which takes so many bytes with all that it keeps of others' parts.
    pub(crate) fn new(bytes_max: u64, index: usize, epochs: &Arc<Epochs>) -> Self {
        let lent_bytes = Replicas::share_bytes(bytes_max, epochs.cores());
        let bytes_configured = bytes_max - lent_bytes;
        let store = Store::new(bytes_configured);
        Self {
            store: if epochs.cores() > 1 { store.lending(epochs.clone(), index) } else { store },
            replicas: Replicas::new(lent_bytes, epochs.clone()),
            epochs: epochs.clone(),
            bytes_configured,
            waiting: RefCell::default(),
            turn: 0,
            gone: Vec::new(),
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        self.store.stats()
    }

    /// What this core's requests are answered with at once.
    pub(crate) fn near(&mut self) -> &mut dyn Near {
        self
    }

    pub(crate) fn replica_stats(&self) -> ReplicaStats {
        self.replicas.stats()
    }

    pub(crate) fn flush(&mut self) -> usize {
        self.store.flush("")
    }

    /// What the cache may hold while there is memory enough.
    pub(crate) fn bytes_configured(&self) -> u64 {
        self.bytes_configured
    }

    pub(crate) fn set_bytes_max(&mut self, bytes_max: u64) {
        self.store.set_bytes_max(bytes_max);
        if bytes_max < self.bytes_configured {
            // They share the bytes of what other cores are to put out, and are soon lent again.
            self.replicas.forget();
        }
    }

    /// Puts out so many entries above the bound at most; whether there are more.
    pub(crate) fn shed(&mut self, entries_max: usize) -> bool {
        self.store.shed(entries_max)
    }

    /// Places of requests that wait.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.borrow().len()
    }

    /// Drops what is too old; gives back who is to fetch in place of leaders that are overdue.
    fn sweep(&mut self, now: Now) -> Replies<Waiter> {
        self.replicas.sweep(now);
        self.store.sweep(now)
    }

    fn wait(&mut self, core: usize, owner: usize, keeps: Option<Key>) -> Waiter {
        seat(&mut self.turn, self.waiting.get_mut(), core, owner, keeps)
    }

    /// Looks up one of this core's own keys for a request of this core, which takes a place only if it has to wait.
    fn look_up(&mut self, core: usize, lookup: Lookup, now: Now) -> Result<Found, Waiter> {
        let Self { store, waiting, turn, .. } = self;
        let mut seated = None;
        let outcome =
            store.lookup(lookup, || *seated.insert(seat(turn, waiting.get_mut(), core, core, None)), now);
        match (outcome.into_found(), seated) {
            (Some(found), _) => Ok(found),
            (None, Some(waiter)) => Err(waiter),
            (None, None) => Ok(Found::Pass),
        }
    }

    /// A core has ended: who waits for its answer goes without.
    fn part_with(&mut self, core: usize) {
        self.gone.push(core);
        for (_, place) in self.waiting.get_mut() {
            if place.owner == core && place.reply.is_none() {
                place.reply = Some(Found::Pass);
                place.waker.take().into_iter().for_each(Waker::wake);
            }
        }
    }
}

/// This core's own entries, and what it keeps of others'.
impl Near for Owner {
    fn hit(&mut self, sought: &Sought<'_>, mode: Mode, now: Now) -> Option<Arc<Stored>> {
        self.store.hit(sought, mode, now).or_else(|| self.replicas.hit(sought, mode, now))
    }
}

fn seat(
    turn: &mut u64,
    waiting: &mut Slab<Waiting>,
    core: usize,
    owner: usize,
    keeps: Option<Key>,
) -> Waiter {
    *turn += 1;
    let place = Waiting { turn: *turn, owner, keeps, reply: None, waker: None };
    Waiter { core, key: waiting.insert(place), turn: *turn }
}

impl Core {
    /// Asks the owner of a key. With [`Found::Fill`] comes the duty to say what came of it.
    pub(crate) async fn look_up(self: &Rc<Self>, lookup: Lookup, alarm: &Alarm) -> (Found, Option<Fill>) {
        let owner = self.owner_of(&lookup.key);
        let place = if owner == self.index {
            let told = self.owner.borrow_mut().look_up(self.index, lookup, self.now());
            match told {
                Ok(found) => return self.found(found),
                Err(waiter) => Place { core: self, waiter },
            }
        } else {
            let (waiter, keeps) = {
                let mut own = self.owner.borrow_mut();
                if let Some(found) = own.replicas.find(&lookup, self.now()) {
                    return (found, None);
                }
                let keeps = own.replicas.wants(&lookup);
                (own.wait(self.index, owner, keeps.then(|| lookup.key.clone())), keeps)
            };
            let place = Place { core: self, waiter };
            if self.owner.borrow().gone.contains(&owner)
                || self.posts[owner].send(Message::Cache(Letter::LookUp(lookup, waiter, keeps))).is_err()
            {
                return (Found::Pass, None);
            }
            place
        };
        alarm.set(self.handle.now().mono_ns.saturating_add(WAIT_NS));
        let found = alarm.guard(place.reply()).await.unwrap_or(Found::Pass);
        self.found(found)
    }

    fn found(self: &Rc<Self>, found: Found) -> (Found, Option<Fill>) {
        let fill = found.ticket().map(|ticket| Fill::new(self, ticket));
        (found, fill)
    }

    /// Makes all owners forget what is kept of these resources; done when they have. An owner that says nothing is not waited
    /// for longer than for an entry; one whose mailbox is full all that time forgets before it reads its next letter.
    pub(crate) async fn invalidate(self: &Rc<Self>, changed: Changed, alarm: &Alarm) {
        for key in changed {
            let owner = self.owner_of(&key);
            if owner == self.index {
                self.owner.borrow_mut().store.invalidate(&key);
                continue;
            }
            let waiter = self.owner.borrow_mut().wait(self.index, owner, None);
            let place = Place { core: self, waiter };
            let until_ns = self.handle.now().mono_ns.saturating_add(WAIT_NS);
            if self.is_told(owner, &key, waiter, until_ns).await {
                alarm.set(until_ns);
                let _heard = alarm.guard(place.reply()).await;
            }
        }
    }

    /// Tells an owner that a key has changed, as soon as there is room in its mailbox; `false` if it answers nobody.
    async fn is_told(&self, owner: usize, key: &Key, waiter: Waiter, until_ns: u64) -> bool {
        loop {
            if self.owner.borrow().gone.contains(&owner) {
                return false;
            }
            if self.posts[owner].send(Message::Cache(Letter::Invalidate(key.clone(), waiter))).is_ok() {
                return true;
            }
            if self.handle.now().mono_ns >= until_ns {
                self.owner.borrow().epochs.demand(key);
                return false;
            }
            self.handle.sleep(ROOM).await;
        }
    }

    /// Forgets what other cores could not say in a letter that it has changed.
    pub(crate) fn heed(&self) {
        let mut owner = self.owner.borrow_mut();
        if let Some(demanded) = owner.epochs.demanded(self.index) {
            owner.store.forget(demanded);
        }
    }

    /// Reads a letter from another core.
    pub(crate) fn read(&self, letter: Letter) {
        match letter {
            Letter::LookUp(lookup, waiter, keeps) => {
                let now = self.now();
                let (epoch, outcome) = {
                    let store = &mut self.owner.borrow_mut().store;
                    // Before the look-up: what happens from here on makes a dead replica, never a stale one.
                    let epoch = if keeps { store.lend(&lookup.key, now) } else { None };
                    (epoch, store.lookup(lookup, || waiter, now))
                };
                if let Some(found) = outcome.into_found() {
                    self.reply(waiter, found, epoch);
                }
            }
            Letter::Invalidate(key, waiter) => {
                self.owner.borrow_mut().store.invalidate(&key);
                self.reply(waiter, Found::Absent, None);
            }
            Letter::Reply(waiter, found, epoch) => self.deliver(waiter, found, epoch),
            Letter::Settle(settled) => self.settle_own(settled),
            Letter::Gone(core) => self.owner.borrow_mut().part_with(core),
        }
    }

    /// Tells the other cores not to wait for this one's answers, nor to go on with what it lent: it hears of no change any
    /// more. One whose mailbox is full finds out by waiting.
    pub(crate) fn say_farewell(&self) {
        self.owner.borrow_mut().store.stop_lending();
        let others = self.posts.iter().enumerate().filter(|(core, _)| *core != self.index);
        others.for_each(|(_, post)| drop(post.send(Message::Cache(Letter::Gone(self.index)))));
    }

    /// Drops what is too old, and lets the next one fetch where a leader is overdue.
    pub(crate) fn sweep_cache(&self) {
        self.heed();
        let relieved = self.owner.borrow_mut().sweep(self.now());
        self.reply_all(relieved);
    }

    fn reply_all(&self, replies: Replies<Waiter>) {
        replies.into_iter().for_each(|(waiter, found)| self.reply(waiter, found, None));
    }

    fn owner_of(&self, key: &policy::cache::Key) -> usize {
        NonZeroUsize::new(self.posts.len()).map_or(self.index, |cores| key.owner(cores))
    }

    /// What became of a fetch, to whoever owns the key.
    fn settle(&self, settled: Settled) {
        let owner = self.owner_of(settled.key());
        if owner == self.index {
            self.settle_own(settled);
        } else {
            // An owner that can't take letters notices by the lease's deadline.
            drop(self.posts[owner].send(Message::Cache(Letter::Settle(settled))));
        }
    }

    fn settle_own(&self, settled: Settled) {
        let now = self.now();
        let mut owner = self.owner.borrow_mut();
        let replies = match settled {
            Settled::Fill(ticket, stored) => owner.store.fill(ticket, *stored, now),
            Settled::Decline(ticket, lasting) => owner.store.decline(ticket, lasting, now),
            Settled::Abandon(ticket) => owner.store.abandon(ticket, now).into_iter().collect(),
            Settled::StandIn(ticket, stored, failure) => owner.store.stand_in(&ticket, &stored, failure, now),
        };
        drop(owner);
        self.reply_all(replies);
    }

    /// An answer to a request of this or another core.
    fn reply(&self, waiter: Waiter, found: Found, epoch: Option<u64>) {
        if waiter.core == self.index {
            self.deliver(waiter, found, epoch);
        } else if let Some(post) = self.posts.get(waiter.core)
            && let Err(Message::Cache(Letter::Reply(_, unread, _))) =
                post.send(Message::Cache(Letter::Reply(waiter, found, epoch)))
            && let Some(ticket) = unread.into_ticket()
        {
            self.settle_own(Settled::Abandon(ticket));
        }
    }

    /// An answer has come; the right to fetch goes back if nobody waits any more.
    fn deliver(&self, waiter: Waiter, found: Found, epoch: Option<u64>) {
        let unclaimed = {
            let mut owner = self.owner.borrow_mut();
            let Owner { waiting, replicas, .. } = &mut *owner;
            match waiting.get_mut().get_mut(waiter.key).filter(|waiting| waiting.turn == waiter.turn) {
                Some(place) => {
                    let found = match (place.keeps.take(), epoch) {
                        (Some(key), Some(epoch)) => replicas.keep(key, epoch, found, self.now()),
                        _ => found,
                    };
                    if let Some(waker) = place.waker.take() {
                        waker.wake();
                    }
                    place.reply.replace(found)
                }
                None => Some(found),
            }
        };
        if let Some(ticket) = unclaimed.and_then(Found::into_ticket) {
            self.settle(Settled::Abandon(ticket));
        }
    }
}

impl Settled {
    fn key(&self) -> &policy::cache::Key {
        match self {
            Self::Fill(ticket, _)
            | Self::Decline(ticket, _)
            | Self::Abandon(ticket)
            | Self::StandIn(ticket, ..) => &ticket.key,
        }
    }
}

/// A request's place among those who wait.
struct Place<'a> {
    core: &'a Rc<Core>,
    waiter: Waiter,
}

impl Place<'_> {
    async fn reply(&self) -> Found {
        poll_fn(|cx| {
            let owner = self.core.owner.borrow();
            let mut waiting = owner.waiting.borrow_mut();
            let Some(place) = waiting.get_mut(self.waiter.key) else { return Poll::Ready(Found::Pass) };
            match place.reply.take() {
                Some(found) => Poll::Ready(found),
                None => {
                    place.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let unread = {
            let owner = self.core.owner.borrow();
            let mut waiting = owner.waiting.borrow_mut();
            waiting.try_remove(self.waiter.key).and_then(|waiting| waiting.reply)
        };
        if let Some(ticket) = unread.and_then(Found::into_ticket) {
            self.core.settle(Settled::Abandon(ticket));
        }
    }
}

/// This part of what a core's cache may hold may be on its way into it: these bytes are in memory twice where a client is
/// slow, once for the cache and once for the client.
const GATHERED_PART: u64 = 4;

/// Bytes of a body that is fetched for the cache ahead of its client: until it is kept and the client has taken it.
pub(crate) struct Gathering {
    core: Rc<Core>,
    /// Of the core's [`Core::gathered_bytes`].
    bytes: u64,
}

impl Gathering {
    /// Whether so many more bytes may be gathered: while there is memory, and all that this core gathers is a fair part of
    /// what its cache may hold, or there is nothing else.
    pub(crate) fn may_grow(&mut self, bytes: usize) -> bool {
        let core = &self.core;
        let bytes = bytes as u64;
        let all = core.gathered_bytes.get() + bytes;
        let bytes_max = core.owner.borrow().stats().bytes_max / GATHERED_PART;
        let is_alone = all == self.bytes + bytes;
        if core.pressure.get() >= Level::Trim || (all > bytes_max && !is_alone) {
            return false;
        }
        self.bytes += bytes;
        core.gathered_bytes.set(all);
        true
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        self.core.gathered_bytes.set(self.core.gathered_bytes.get() - self.bytes);
    }
}

/// The duty to say what came of a fetch.
pub(crate) struct Fill {
    core: Rc<Core>,
    ticket: Option<Ticket>,
}

impl Fill {
    fn new(core: &Rc<Core>, ticket: &Ticket) -> Self {
        Self { core: core.clone(), ticket: Some(copy(ticket)) }
    }

    /// What it may gather for the cache, to be counted for as long as it is in memory.
    pub(crate) fn gathering(&self) -> Gathering {
        Gathering { core: self.core.clone(), bytes: 0 }
    }

    /// The response has passed whole, or will not be kept.
    pub(crate) fn settle(mut self, fate: Option<Fate>) {
        let settled = match fate {
            Some(Fate::Keep(keep)) => match keep.finish() {
                Ok((ticket, mut stored)) => {
                    stored.encode(replay::encode);
                    Settled::Fill(ticket, Box::new(stored))
                }
                Err(ticket) => Settled::Decline(ticket, false),
            },
            Some(Fate::Decline { ticket, lasting }) => Settled::Decline(ticket, lasting),
            Some(Fate::Fill(ticket)) => Settled::Abandon(ticket),
            Some(Fate::Stale { ticket: Some(ticket), stored, failure }) => {
                Settled::StandIn(ticket, stored, failure)
            }
            Some(Fate::Stale { ticket: None, .. } | Fate::Invalidate(_)) | None => return,
        };
        self.ticket = None;
        self.core.settle(settled);
    }
}

impl Drop for Fill {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.core.settle(Settled::Abandon(ticket));
        }
    }
}

/// The same right in the hands of the one who runs the request: it is given back once, by settling or by dropping.
fn copy(ticket: &Ticket) -> Ticket {
    let lease: LeaseId = ticket.lease;
    Ticket { key: ticket.key.clone(), lease }
}
