//! Single flight: of all requests that miss the same key at once, one fetches and the others wait for it. This module
//! keeps who fetches and who waits; what comes of it is the store's affair.

use std::collections::VecDeque;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use message::Now;

use super::key::Key;

/// Requests that may wait for one key. Those beyond it fetch for themselves.
pub const WAITERS_PER_KEY_MAX: usize = 1_024;

/// Keys of one store that may be fetched at the same time. Requests for others fetch for themselves and are not stored.
pub const FLIGHTS_MAX: usize = 65_536;

/// How long one request may keep a key to itself. Longer than a backend may take with AWS's default deadline of 29 s;
/// then the next who asks fetches, so that no leader that was lost closes a key for ever.
pub const LEASE_NS: u64 = 60_000_000_000;

/// Requests that are let go to the backend at once when what they waited for is not for them.
pub const RELEASED_MAX: usize = 64;

/// One right to fill one key; no two of a store are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseId(u64);

/// The right, and the duty, to say what comes of a miss. Its holder gives it back to the owner of the key by exactly one
/// of `fill`, `decline` and `abandon`.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "others may wait for what becomes of it"]
pub struct Ticket {
    /// What is fetched.
    pub key: Key,
    /// Under which right.
    pub lease: LeaseId,
}

/// What one who missed is to do.
#[derive(Debug)]
pub(super) enum Turn {
    /// Fetch, and report.
    Lead(Ticket),
    /// Wait.
    Wait,
    /// Fetch for oneself.
    Pass,
}

/// Who goes when a leader came back in vain.
pub(super) struct Released<W> {
    /// The next to report.
    pub(super) leader: Option<(W, Ticket)>,
    /// They go for themselves.
    pub(super) others: VecDeque<W>,
}

/// All flights of one store.
pub(super) struct Flights<W> {
    table: HashTable<Flight<W>>,
    leases: u64,
}

struct Flight<W> {
    key: Key,
    lease: LeaseId,
    deadline_ns: u64,
    is_outdated: bool,
    /// How many were let go when the last leader came back in vain.
    released: usize,
    waiters: VecDeque<W>,
}

impl<W> Flights<W> {
    pub(super) fn new() -> Self {
        Self { table: HashTable::new(), leases: 0 }
    }

    /// Joins the flight for a key, or sets out.
    pub(super) fn join(&mut self, key: Key, waiter: impl FnOnce() -> W, now: Now) -> Turn {
        let is_full = self.table.len() >= FLIGHTS_MAX;
        match self.table.entry(key.hash(), |flight| flight.key == key, |flight| flight.key.hash()) {
            Entry::Occupied(entry) => {
                let flight = entry.into_mut();
                if flight.is_outdated || now.mono_ns >= flight.deadline_ns {
                    return Turn::Lead(flight.hand_over(&mut self.leases, now));
                }
                if flight.waiters.len() >= WAITERS_PER_KEY_MAX {
                    return Turn::Pass;
                }
                flight.waiters.push_back(waiter());
                Turn::Wait
            }
            Entry::Vacant(_) if is_full => Turn::Pass,
            Entry::Vacant(entry) => {
                let flight = Flight {
                    key,
                    lease: LeaseId(0),
                    deadline_ns: 0,
                    is_outdated: false,
                    released: 1,
                    waiters: VecDeque::new(),
                };
                Turn::Lead(entry.insert(flight).into_mut().hand_over(&mut self.leases, now))
            }
        }
    }

    /// Whether the key was invalidated since the leader set out; `None` when the lease was handed to another.
    pub(super) fn is_outdated(&self, ticket: &Ticket) -> Option<bool> {
        let flight = self.table.find(ticket.key.hash(), |flight| flight.is(ticket))?;
        Some(flight.is_outdated)
    }

    /// The same as [`Flights::outdate`] for one key.
    pub(super) fn outdate_one(&mut self, key: &Key) {
        if let Some(flight) = self.table.find_mut(key.hash(), |flight| flight.key == *key) {
            flight.is_outdated = true;
        }
    }

    /// Ends a flight; `None` when the lease was handed to another.
    pub(super) fn land(&mut self, ticket: &Ticket) -> Option<VecDeque<W>> {
        let (flight, _) = self.table.find_entry(ticket.key.hash(), |flight| flight.is(ticket)).ok()?.remove();
        Some(flight.waiters)
    }

    /// Gives the flight of a leader that died to the one that waits longest, or ends it.
    pub(super) fn promote(&mut self, ticket: &Ticket, now: Now) -> Option<(W, Ticket)> {
        let mut entry = self.table.find_entry(ticket.key.hash(), |flight| flight.is(ticket)).ok()?;
        let flight = entry.get_mut();
        let Some(next) = flight.waiters.pop_front() else {
            entry.remove();
            return None;
        };
        Some((next, flight.hand_over(&mut self.leases, now)))
    }

    /// A leader came back in vain: some of those who wait go, the first of them as the next leader, the others for
    /// themselves; the rest wait for what becomes of it. Twice as many as the time before, so that a backend that fails
    /// meets one, two, four requests and not a thousand, and nobody waits for more than a few of its answers; eight times
    /// as many where waiting is in vain (`lasting`), and then without a leader if all can go; at most [`RELEASED_MAX`] at
    /// once.
    pub(super) fn release(&mut self, ticket: &Ticket, lasting: bool, now: Now) -> Released<W> {
        let none = Released { leader: None, others: VecDeque::new() };
        let Ok(mut entry) = self.table.find_entry(ticket.key.hash(), |flight| flight.is(ticket)) else {
            return none;
        };
        let flight = entry.get_mut();
        flight.released = (flight.released * if lasting { 8 } else { 2 }).min(RELEASED_MAX);
        if lasting && flight.waiters.len() <= flight.released {
            let (flight, _) = entry.remove();
            return Released { others: flight.waiters, ..none };
        }
        let Some(next) = flight.waiters.pop_front() else {
            entry.remove();
            return none;
        };
        let others = flight.waiters.len().min(flight.released - 1);
        let others = flight.waiters.drain(..others).collect();
        Released { leader: Some((next, flight.hand_over(&mut self.leases, now))), others }
    }

    /// Whether somebody is fetching for a key in good time.
    pub(super) fn holds(&self, key: &Key, now: Now) -> bool {
        let flight = self.table.find(key.hash(), |flight| flight.key == *key);
        flight.is_some_and(|flight| !flight.is_outdated && now.mono_ns < flight.deadline_ns)
    }

    /// What is in the air for these keys was fetched too early: it is handed to those who wait for it already, and is
    /// not stored; who asks from now on fetches anew.
    pub(super) fn outdate(&mut self, mut is_meant: impl FnMut(&Key) -> bool) {
        for flight in self.table.iter_mut().filter(|flight| is_meant(&flight.key)) {
            flight.is_outdated = true;
        }
    }

    /// Ends the flights whose leaders are overdue; those with waiters go to the first of them.
    pub(super) fn relieve(&mut self, now: Now) -> Vec<(W, Ticket)> {
        let mut promoted = Vec::new();
        let leases = &mut self.leases;
        self.table.retain(|flight| {
            if now.mono_ns < flight.deadline_ns {
                return true;
            }
            match flight.waiters.pop_front() {
                Some(next) => promoted.push((next, flight.hand_over(leases, now))),
                None => return false,
            }
            true
        });
        promoted
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }
}

impl<W> Flight<W> {
    fn is(&self, ticket: &Ticket) -> bool {
        self.lease == ticket.lease && self.key == ticket.key
    }

    fn hand_over(&mut self, leases: &mut u64, now: Now) -> Ticket {
        *leases += 1;
        self.lease = LeaseId(*leases);
        self.deadline_ns = now.mono_ns.saturating_add(LEASE_NS);
        self.is_outdated = false;
        Ticket { key: self.key.clone(), lease: self.lease }
    }
}
