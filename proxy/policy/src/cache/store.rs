//! The store: one for each core, for the keys that the core owns. It answers look-ups, admits and puts out by bytes,
//! forgets by time and on demand, and lets one of many fetch. It never waits: whom it makes wait is a `W` of the caller,
//! given back exactly once. It does not know routes, HTTP or what a waiter is.

mod lending;
mod shed;
mod terms;

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashTable;
use message::Now;

use super::Found;
use super::epochs::{Demanded, Lender};
use super::flight::{Flights, Released, Ticket, Turn};
use super::key::{Key, Sought};
use super::refusals::Refusals;
use super::rests::Rests;
use super::s3_fifo::{S3Fifo, Slot};
use super::stats::Stats;
use super::stored::Stored;
use super::validity::{Terms, Use};
use super::vary::{Rule, Variant};
use lending::part_with;

/// A question to the owner of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// What is looked for.
    pub key: Key,
    /// On what terms.
    pub mode: Mode,
}

/// What a look-up does with what it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Takes an entry; fetches one if there is none.
    Use,
    /// Fetches in any case and replaces what is there; others are served the old entry meanwhile (row 86).
    Refresh,
    /// Takes an entry; if there is none, does not fetch one: what comes back to a `HEAD` is not an entry.
    Peek,
    /// Takes an entry on the backend's terms and these.
    Respect(Terms),
}

/// Entries that are at hand, without a question to the outside.
pub trait Near {
    /// What a look-up would be answered with at once. `None`: whatever else it would come to, which the key's owner is
    /// to be asked for; nothing is counted then.
    fn hit(&mut self, sought: &Sought<'_>, mode: Mode, now: Now) -> Option<Arc<Stored>>;
}

/// Nothing is at hand.
impl Near for () {
    fn hit(&mut self, _: &Sought<'_>, _: Mode, _: Now) -> Option<Arc<Stored>> {
        None
    }
}

/// What a look-up has come to.
#[derive(Debug)]
pub enum Outcome {
    /// Answer with this.
    Hit(Arc<Stored>),
    /// Fetch, and report by `fill`, `decline` or `abandon`.
    Fill(Ticket),
    /// The waiter is kept until the one who fetches reports.
    Wait,
    /// Fetch for yourself; nothing is stored.
    Pass,
    /// There are variants: ask again for the one that the rule selects.
    Varies(Arc<Rule>),
    /// Ask the backend whether this still holds, and report if there is a ticket.
    Validate(Arc<Stored>, Option<Ticket>),
    /// Answer with this, and ask the backend about it meanwhile.
    Renew(Arc<Stored>, Ticket),
    /// There is none, and nothing else is wanted.
    Absent,
}

impl Outcome {
    /// What the one who asks is told at once; nothing if he waits.
    pub fn into_found(self) -> Option<Found> {
        Some(match self {
            Self::Hit(stored) => Found::Hit(stored),
            Self::Fill(ticket) => Found::Fill(ticket),
            Self::Pass => Found::Pass,
            Self::Varies(rule) => Found::Varies(rule),
            Self::Validate(stored, ticket) => Found::Validate(stored, ticket),
            Self::Renew(stored, ticket) => Found::Renew(stored, ticket),
            Self::Absent => Found::Absent,
            Self::Wait => return None,
        })
    }
}

/// Those who waited, and what each is told.
pub type Replies<W> = Vec<(W, Found)>;

/// The entries of one core, and who waits for those to come.
pub struct Store<W> {
    table: HashTable<Slot>,
    entries: S3Fifo<Entry>,
    flights: Flights<W>,
    refusals: Refusals,
    rests: Rests,
    /// Rules of variants so far: no two have the same number.
    generations: u64,
    /// What other cores were given, if any may be given something.
    lender: Option<Lender>,
    /// The next slot that the sweep looks at.
    hand: Slot,
    stats: Stats,
}

struct Entry {
    key: Key,
    kind: Kind,
    /// Another core may answer with it.
    is_lent: bool,
}

enum Kind {
    /// A response.
    Stored(Arc<Stored>),
    /// By what the responses under this key differ, and the keys of the variants there are, oldest first.
    Variants(Arc<Rule>, VecDeque<Key>),
}

/// Bytes of an entry beside its key, its fields and its body: node, places in the tables at their lowest load, ghost,
/// the counts and slack of four allocations.
const ENTRY_BYTES: u64 = 384;

/// Variants of one key; with one more the oldest goes.
const VARIANTS_MAX: usize = 64;

/// Slots that one sweep looks at.
const SWEEP_SLOTS: usize = 1_024;

impl<W> Store<W> {
    /// A store whose entries never take more than so many bytes. Nothing is allocated yet.
    pub fn new(capacity_bytes: u64) -> Self {
        Self {
            table: HashTable::new(),
            entries: S3Fifo::new(capacity_bytes),
            flights: Flights::new(),
            refusals: Refusals::default(),
            rests: Rests::default(),
            generations: 0,
            lender: None,
            hand: 0,
            stats: Stats::default(),
        }
    }

    /// Answers a look-up. `waiter` is called only if the outcome is [`Outcome::Wait`].
    pub fn lookup(&mut self, lookup: Lookup, waiter: impl FnOnce() -> W, now: Now) -> Outcome {
        let Lookup { key, mode } = lookup;
        if let Mode::Respect(terms) = mode {
            return self.lookup_on_terms(key, &terms, waiter, now);
        }
        if mode != Mode::Refresh
            && let Some(stored) = self.fresh(&key.sought(), now)
        {
            self.stats.hits += 1;
            return Outcome::Hit(stored);
        }
        self.stats.misses += 1;
        let passes = match mode {
            Mode::Use => self.refusals.holds(key.hash(), now),
            Mode::Refresh => false,
            Mode::Peek | Mode::Respect(_) => true,
        };
        let turn = if passes { Turn::Pass } else { self.flights.join(key, waiter, now) };
        match turn {
            Turn::Lead(ticket) => {
                self.call_in(&ticket.key, now);
                Outcome::Fill(ticket)
            }
            Turn::Wait => {
                self.stats.waits += 1;
                Outcome::Wait
            }
            Turn::Pass => {
                self.stats.passes += 1;
                Outcome::Pass
            }
        }
    }

    /// Takes in what a leader fetched, in place of what is there; gives back those who waited, and what they are told. It
    /// is not kept if it is larger than the store, if its time is over, or if the key was invalidated or the lease handed
    /// on since the leader set out; in the last case nobody waits for this one.
    pub fn fill(&mut self, ticket: Ticket, mut stored: Stored, now: Now) -> Replies<W> {
        let variant = stored.take_variant();
        let stored = Arc::new(stored);
        let Some(is_outdated) = self.flights.is_outdated(&ticket) else { return Replies::new() };
        self.rests.end(ticket.key.hash());
        let is_kept = !is_outdated && !stored.is_over(now);
        let told = match variant {
            Some(variant) => self.place(&ticket.key, *variant, &stored, is_kept),
            None => {
                if is_kept {
                    self.insert(ticket.key.clone(), Kind::Stored(Arc::clone(&stored)), stored.bytes());
                }
                None
            }
        };
        if is_kept && let Some(lender) = &mut self.lender {
            // Others may have been given what was here before.
            lender.recall(&ticket.key, now);
        }
        if told.is_none() && stored.is_never_fresh() {
            // Each of them has to ask the backend; not all at once.
            return self.release(&ticket, false, Some(&stored), now);
        }
        let found = || match &told {
            Some(rule) => Found::Varies(Arc::clone(rule)),
            None => Found::Hit(Arc::clone(&stored)),
        };
        let waiters = self.flights.land(&ticket).unwrap_or_default();
        waiters.into_iter().map(|waiter| (waiter, found())).collect()
    }

    /// Finds the place of a response on the backend's terms. Gives back the rule that those who waited have to ask again
    /// by, if it varies otherwise than they knew.
    fn place(
        &mut self,
        fetched_as: &Key,
        variant: Variant,
        stored: &Arc<Stored>,
        is_kept: bool,
    ) -> Option<Arc<Rule>> {
        let Variant { primary, names, request } = variant;
        let known =
            self.find(&primary).and_then(|slot| self.entries.get(slot)).and_then(|entry| match &entry.kind {
                Kind::Variants(rule, _) => Some(Arc::clone(rule)),
                Kind::Stored(_) => None,
            });
        // Asked for by a rule that is no more: what it was fetched for was invalidated meanwhile.
        let is_current = *fetched_as == primary
            || known.as_ref().is_some_and(|rule| rule.key(&primary, &request) == *fetched_as);
        let is_kept = is_kept && is_current;
        if names.is_empty() {
            if is_kept {
                self.drop_variants(&primary);
                self.insert(primary, Kind::Stored(Arc::clone(stored)), stored.bytes());
            }
            return None;
        }
        self.generations += 1;
        let rule = match known {
            Some(rule) if rule.covers(&names) => rule,
            Some(rule) => rule.joined(&names, self.generations)?,
            None => Rule::new(names, self.generations)?,
        };
        let key = rule.key(&primary, &request);
        if is_kept && self.list_variant(&primary, &rule, &key) {
            self.insert(key.clone(), Kind::Stored(Arc::clone(stored)), stored.bytes());
        }
        (key != *fetched_as).then_some(rule)
    }

    /// Notes a variant under its resource; `false` when the store is too small for that.
    fn list_variant(&mut self, primary: &Key, rule: &Arc<Rule>, key: &Key) -> bool {
        let is_there = self.variants(primary).is_some_and(|(own, _)| own == rule);
        if !is_there {
            self.drop_variants(primary);
            let bytes = rule.bytes() + (VARIANTS_MAX * size_of::<Key>()) as u64;
            let keys = VecDeque::with_capacity(VARIANTS_MAX + 1);
            self.insert(primary.clone(), Kind::Variants(Arc::clone(rule), keys), bytes);
        }
        let Some((_, keys)) = self.variants(primary) else { return false };
        let oldest = if keys.contains(key) {
            None
        } else {
            keys.push_back(key.clone());
            if keys.len() > VARIANTS_MAX { keys.pop_front() } else { None }
        };
        if let Some(slot) = oldest.and_then(|oldest| self.find(&oldest)) {
            self.drop_if(slot, |_| true);
        }
        true
    }

    fn variants(&mut self, primary: &Key) -> Option<(&Arc<Rule>, &mut VecDeque<Key>)> {
        let slot = self.find(primary)?;
        match &mut self.entries.get_mut(slot)?.kind {
            Kind::Variants(rule, keys) => Some((rule, keys)),
            Kind::Stored(_) => None,
        }
    }

    fn drop_variants(&mut self, primary: &Key) {
        let keys = self.variants(primary).map(|(_, keys)| std::mem::take(keys)).unwrap_or_default();
        for key in keys {
            if let Some(slot) = self.find(&key) {
                self.drop_if(slot, |_| true);
            }
        }
    }

    /// A leader's response is not to be stored: gives back those who go to the backend in their turn, the first of them
    /// in the leader's place; the others wait on. When that is `lasting` (the backend forbids it, and is not just
    /// failing), look-ups of the next second are not made to wait in vain, and what was kept on the backend's terms goes.
    pub fn decline(&mut self, ticket: Ticket, lasting: bool, now: Now) -> Replies<W> {
        self.stats.declines += 1;
        if lasting && self.flights.is_outdated(&ticket).is_some() {
            self.refusals.add(ticket.key.hash(), now);
            if let Some(slot) = self.find(&ticket.key) {
                self.drop_if(slot, |entry| entry.on_terms().is_some());
            }
            if let Some(lender) = &mut self.lender {
                lender.recall(&ticket.key, now);
            }
        }
        let stored = self.on_terms(&ticket.key);
        self.release(&ticket, lasting, stored.as_ref(), now)
    }

    /// A leader died: gives back the one that waits longest, and its own right to fetch. If that one's client has left
    /// too, abandon its ticket in turn.
    pub fn abandon(&mut self, ticket: Ticket, now: Now) -> Option<(W, Found)> {
        self.stats.abandons += 1;
        let (waiter, ticket) = self.flights.promote(&ticket, now)?;
        Some((waiter, self.lead(ticket)))
    }

    /// Drops what is kept of a resource, with all its variants; what is being fetched for it is not stored. Says whether
    /// there was anything.
    pub fn invalidate(&mut self, key: &Key) -> bool {
        self.flights.outdate_one(key);
        if let Some(lender) = &mut self.lender {
            lender.advance(key);
        }
        self.drop_variants(key);
        let dropped = self.find(key).is_some_and(|slot| self.drop_if(slot, |_| true));
        self.stats.flushes += u64::from(dropped);
        dropped
    }

    fn release(
        &mut self,
        ticket: &Ticket,
        lasting: bool,
        stored: Option<&Arc<Stored>>,
        now: Now,
    ) -> Replies<W> {
        let Released { leader, others } = self.flights.release(ticket, lasting, now);
        let first = leader.map(|(waiter, ticket)| match stored {
            Some(stored) => (waiter, Found::Validate(Arc::clone(stored), Some(ticket))),
            None => (waiter, Found::Fill(ticket)),
        });
        let other = || stored.map_or(Found::Pass, |stored| Found::Validate(Arc::clone(stored), None));
        first.into_iter().chain(others.into_iter().map(|waiter| (waiter, other()))).collect()
    }

    /// What the next leader is told.
    fn lead(&self, ticket: Ticket) -> Found {
        match self.on_terms(&ticket.key) {
            Some(stored) => Found::Validate(stored, Some(ticket)),
            None => Found::Fill(ticket),
        }
    }

    /// What is kept under a key on the backend's terms.
    fn on_terms(&self, key: &Key) -> Option<Arc<Stored>> {
        self.entries.get(self.find(key)?)?.on_terms().cloned()
    }

    /// Drops the entries of all routes whose identity begins so, all entries for an empty prefix, and says how many. What
    /// is being fetched for them is not stored. Looks at every entry.
    pub fn flush(&mut self, identity_prefix: &str) -> usize {
        self.forget_keys(|key| key.identity().starts_with(identity_prefix.as_bytes()))
    }

    /// Drops what other cores could not say in letters that it has changed, and what shares its stripes; says how many.
    pub fn forget(&mut self, demanded: Demanded) -> usize {
        self.forget_keys(|key| demanded.includes(key))
    }

    fn forget_keys(&mut self, is_meant: impl Fn(&Key) -> bool) -> usize {
        self.flights.outdate(&is_meant);
        if let Some(lender) = &mut self.lender {
            lender.advance_all();
        }
        let is_dropped = |entry: &Entry| is_meant(&entry.key);
        let dropped =
            (0..self.entries.slots()).filter(|slot| self.drop_if(*slot as Slot, is_dropped)).count();
        self.stats.flushes += dropped as u64;
        dropped
    }

    /// To be called now and then: drops some of the entries whose time is over, and gives back who is to fetch in place
    /// of leaders that are overdue.
    pub fn sweep(&mut self, now: Now) -> Replies<W> {
        let slots = self.entries.slots();
        for _ in 0..slots.min(SWEEP_SLOTS) {
            self.hand = if (self.hand as usize) + 1 < slots { self.hand + 1 } else { 0 };
            if self.drop_if(self.hand, |entry| entry.stored().is_some_and(|stored| stored.is_over(now))) {
                self.stats.expirations += 1;
            }
        }
        let relieved = self.flights.relieve(now);
        relieved.into_iter().map(|(waiter, ticket)| (waiter, self.lead(ticket))).collect()
    }

    /// What was done and is held.
    pub fn stats(&self) -> Stats {
        Stats {
            entries: self.entries.len() as u64,
            bytes: self.entries.bytes(),
            bytes_max: self.entries.capacity_bytes(),
            flights: self.flights.len() as u64,
            ..self.stats
        }
    }

    fn fresh(&mut self, sought: &Sought<'_>, now: Now) -> Option<Arc<Stored>> {
        let slot = self.seek(sought)?;
        let stored = self.entries.get(slot)?.stored()?;
        if stored.is_fresh(now) {
            let stored = Arc::clone(stored);
            self.entries.touch(slot);
            return Some(stored);
        }
        self.drop_if(slot, |_| true);
        self.stats.expirations += 1;
        None
    }

    /// `bytes` beside the key and the entry itself.
    fn insert(&mut self, key: Key, kind: Kind, bytes: u64) {
        let bytes = ENTRY_BYTES + key.len() as u64 + bytes;
        let old = self.find(&key).and_then(|slot| {
            unlist(&mut self.table, key.hash(), slot);
            self.entries.remove(slot)
        });
        if let Some(old) = &old {
            part_with(self.lender.as_mut(), &old.value);
        }
        if bytes > self.entries.capacity_bytes() {
            self.stats.declines += 1;
            return;
        }
        self.stats.fills += 1;
        let hash = key.hash();
        let standing = old.map(|old| old.standing);
        let (table, evictions, lender) = (&mut self.table, &mut self.stats.evictions, &mut self.lender);
        let entry = Entry { key, kind, is_lent: false };
        let slot = self.entries.insert(hash, bytes, entry, standing, |removed| {
            unlist(table, removed.hash, removed.slot);
            part_with(lender.as_mut(), &removed.value);
            *evictions += 1;
        });
        let entries = &self.entries;
        self.table.insert_unique(hash, slot, |slot| entries.get(*slot).map_or(0, |entry| entry.key.hash()));
    }

    fn find(&self, key: &Key) -> Option<Slot> {
        self.seek(&key.sought())
    }

    fn seek(&self, sought: &Sought<'_>) -> Option<Slot> {
        let is_it = |slot: &Slot| self.entries.get(*slot).is_some_and(|entry| entry.key.is(sought));
        self.table.find(sought.hash(), is_it).copied()
    }

    fn drop_if(&mut self, slot: Slot, is_dropped: impl FnOnce(&Entry) -> bool) -> bool {
        let Some(entry) = self.entries.get(slot).filter(|entry| is_dropped(entry)) else { return false };
        unlist(&mut self.table, entry.key.hash(), slot);
        let Some(removed) = self.entries.remove(slot) else { return false };
        part_with(self.lender.as_mut(), &removed.value);
        true
    }
}

impl<W> Near for Store<W> {
    fn hit(&mut self, sought: &Sought<'_>, mode: Mode, now: Now) -> Option<Arc<Stored>> {
        let stored = match mode {
            Mode::Use | Mode::Peek => self.fresh(sought, now)?,
            Mode::Refresh => return None,
            Mode::Respect(terms) => {
                let slot = self.seek(sought)?;
                let stored = self.entries.get(slot)?.stored()?;
                if stored.judge(&terms, now) != Use::Answer {
                    return None;
                }
                let stored = Arc::clone(stored);
                self.entries.touch(slot);
                stored
            }
        };
        self.stats.hits += 1;
        Some(stored)
    }
}

impl Entry {
    fn stored(&self) -> Option<&Arc<Stored>> {
        match &self.kind {
            Kind::Stored(stored) => Some(stored),
            Kind::Variants(..) => None,
        }
    }

    /// What is kept on the backend's terms.
    fn on_terms(&self) -> Option<&Arc<Stored>> {
        self.stored().filter(|stored| stored.has_terms())
    }
}

#[cfg(test)]
impl<W> Store<W> {
    /// Whether what comes with this ticket would be taken in.
    pub(super) fn awaits(&self, ticket: &Ticket) -> bool {
        self.flights.is_outdated(ticket) == Some(false)
    }
}

impl<W> std::fmt::Debug for Store<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

fn unlist(table: &mut HashTable<Slot>, hash: u64, slot: Slot) {
    if let Ok(place) = table.find_entry(hash, |own| *own == slot) {
        place.remove();
    }
}
