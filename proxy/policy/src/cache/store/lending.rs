//! What a store lends to other cores.

use std::sync::Arc;

use message::Now;

use super::{Entry, Store};
use crate::cache::epochs::{Epochs, Lender};
use crate::cache::key::Key;

impl<W> Store<W> {
    /// The store of this core, which lends its entries to the others in these epochs.
    #[must_use]
    pub fn lending(self, epochs: Arc<Epochs>, core: usize) -> Self {
        Self { lender: Some(Lender::new(epochs, core)), ..self }
    }

    /// Ends the lending: nobody answers with what was lent.
    pub fn stop_lending(&mut self) {
        self.lender = None;
    }

    /// Lends what the next look-up of this key finds: the epoch in which the other core may answer with it. What is being
    /// fetched is not lent: who fetches it answers before this store knows of it, and nobody shall answer with the old
    /// after that.
    pub fn lend(&mut self, key: &Key, now: Now) -> Option<u64> {
        let epoch = self.lender.as_ref()?.epoch(key)?;
        if self.flights.holds(key, now) {
            return None;
        }
        let slot = self.find(key)?;
        self.entries.get_mut(slot)?.is_lent = true;
        Some(epoch)
    }

    /// Sees to it that no other core answers with this, nor with what was here before it.
    pub(super) fn call_in(&mut self, key: &Key, now: Now) {
        if self.lender.is_none() {
            return;
        }
        let slot = self.find(key);
        let Some(lender) = &mut self.lender else { return };
        if let Some(entry) = slot.and_then(|slot| self.entries.get_mut(slot)) {
            part_with(Some(lender), entry);
            entry.is_lent = false;
        }
        lender.recall(key, now);
    }
}

/// An entry goes, and other cores may still have it.
pub(super) fn part_with(lender: Option<&mut Lender>, entry: &Entry) {
    if let Some(lender) = lender.filter(|_| entry.is_lent) {
        // What tells variants apart has no end of its own.
        lender.part_with(&entry.key, entry.stored().map_or(u64::MAX, |stored| stored.expires_ns()));
    }
}
