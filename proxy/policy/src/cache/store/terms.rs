//! Look-ups on the backend's terms, and what becomes of a backend that fails.

use std::sync::Arc;

use message::Now;

use super::{Kind, Outcome, Replies, Store};
use crate::cache::Found;
use crate::cache::flight::{Ticket, Turn};
use crate::cache::key::Key;
use crate::cache::rests::Failure;
use crate::cache::stored::Stored;
use crate::cache::validity::{Terms, Use};

impl<W> Store<W> {
    /// Answers a look-up (RFC 9111 §4).
    pub(super) fn lookup_on_terms(
        &mut self,
        key: Key,
        terms: &Terms,
        waiter: impl FnOnce() -> W,
        now: Now,
    ) -> Outcome {
        let found = self.find(&key);
        let stored = match found.and_then(|slot| self.entries.get(slot)).map(|entry| &entry.kind) {
            Some(Kind::Variants(rule, _)) => {
                let rule = Arc::clone(rule);
                found.into_iter().for_each(|slot| self.entries.touch(slot));
                return Outcome::Varies(rule);
            }
            Some(Kind::Stored(stored)) => Some(Arc::clone(stored)),
            None => None,
        };
        let is_led = self.flights.holds(&key, now);
        if let (Some(slot), Some(stored)) = (found, &stored) {
            let answers = match stored.judge(terms, now) {
                Use::Answer => true,
                Use::AnswerMeanwhile if is_led || !terms.fetches => true,
                Use::AnswerMeanwhile if self.rests.holds(key.hash(), now).is_some() => true,
                Use::AnswerMeanwhile => {
                    self.entries.touch(slot);
                    self.stats.hits += 1;
                    return self.renew(key, Arc::clone(stored), waiter, now);
                }
                // A backend that failed a moment ago is not asked at every request what it would answer to this one.
                Use::Validate => {
                    let failed = self.rests.holds(key.hash(), now).filter(|_| terms.takes_stale());
                    failed.is_some_and(|answered| stored.stands_in(answered, now))
                }
                Use::Pass => return self.pass(),
            };
            if answers {
                self.entries.touch(slot);
                self.stats.hits += 1;
                return Outcome::Hit(Arc::clone(stored));
            }
        }
        if terms.only_if_cached {
            self.stats.misses += 1;
            return Outcome::Absent;
        }
        if !terms.fetches || (stored.is_none() && self.refusals.holds(key.hash(), now)) {
            return self.pass();
        }
        // Who may not be answered with what another brings home does not wait for it.
        let is_for_oneself =
            terms.has_credentials || stored.as_ref().is_some_and(|stored| stored.is_never_fresh());
        if is_led && is_for_oneself {
            return match stored {
                Some(stored) => {
                    self.stats.misses += 1;
                    Outcome::Validate(stored, None)
                }
                None => self.pass(),
            };
        }
        self.stats.misses += 1;
        let turn = self.flights.join(key, waiter, now);
        if let Turn::Lead(ticket) = &turn {
            self.call_in(&ticket.key, now);
        }
        match (turn, stored) {
            (Turn::Lead(ticket), Some(stored)) => Outcome::Validate(stored, Some(ticket)),
            (Turn::Lead(ticket), None) => Outcome::Fill(ticket),
            (Turn::Wait, _) => {
                self.stats.waits += 1;
                Outcome::Wait
            }
            (Turn::Pass, _) => {
                self.stats.passes += 1;
                Outcome::Pass
            }
        }
    }

    /// The first who meets what may be answered with meanwhile gets it like all others, and renews it afterwards.
    fn renew(&mut self, key: Key, stored: Arc<Stored>, waiter: impl FnOnce() -> W, now: Now) -> Outcome {
        match self.flights.join(key, waiter, now) {
            Turn::Lead(ticket) => {
                self.call_in(&ticket.key, now);
                Outcome::Renew(stored, ticket)
            }
            // As many are being fetched as may be.
            Turn::Wait | Turn::Pass => Outcome::Hit(stored),
        }
    }

    fn pass(&mut self) -> Outcome {
        self.stats.misses += 1;
        self.stats.passes += 1;
        Outcome::Pass
    }

    /// The backend failed, and what is kept was answered in its place: it is left alone for a while, and those who wait get
    /// the same, if it may be answered with for that reason alone.
    pub fn stand_in(
        &mut self,
        ticket: &Ticket,
        stored: &Arc<Stored>,
        failure: Failure,
        now: Now,
    ) -> Replies<W> {
        self.stats.declines += 1;
        if self.flights.is_outdated(ticket).is_some() {
            self.rests.begin(ticket.key.hash(), failure, now);
        }
        if !stored.stands_in(failure.answered, now) {
            return self.release(ticket, false, Some(stored), now);
        }
        let waiters = self.flights.land(ticket).unwrap_or_default();
        waiters.into_iter().map(|waiter| (waiter, Found::Hit(Arc::clone(stored)))).collect()
    }
}
