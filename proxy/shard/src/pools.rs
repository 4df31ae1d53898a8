//! The connections to all upstream groups, each group's at its slot. There may be tens of thousands of groups: nothing here costs
//! a change of configuration more than it changes, and what groups have is made when they are first heard of.

use std::ops::Range;

use crate::{Endpoint, pool::Pool};

/// By slot. A list of addresses and not of pools: it grows while clients wait, and pools would be copied by megabytes.
#[derive(Default)]
pub(crate) struct Pools(Vec<Option<Box<Pool>>>);

impl Pools {
    /// Makes room for so many groups.
    pub(crate) fn make_room(&mut self, groups: usize) {
        if self.0.len() < groups {
            self.0.resize_with(groups, || None);
        }
    }

    /// The connections to a group; `None` for a slot that there is not.
    #[inline]
    pub(crate) fn get(&mut self, slot: u32) -> Option<&mut Pool> {
        self.0.get_mut(slot as usize).map(|pool| &mut **pool.get_or_insert_default())
    }

    /// Takes the addresses of a group.
    pub(crate) fn set_endpoints(&mut self, slot: u32, endpoints: &[Endpoint], now_ns: u64) {
        self.make_room(slot as usize + 1);
        if let Some(pool) = self.get(slot) {
            pool.set_endpoints(endpoints, now_ns);
        }
    }

    /// Empties a slot, which may be another group's from now on: nothing of this one stays, whose unused connections are closed.
    pub(crate) fn forget(&mut self, slot: u32) {
        if let Some(mut pool) = self.0.get_mut(slot as usize).and_then(Option::take) {
            pool.let_go();
        }
    }

    /// Closes all unused connections.
    pub(crate) fn let_go(&mut self) {
        self.0.iter_mut().flatten().for_each(|pool| pool.let_go());
    }

    /// Those that stand at some of the slots.
    pub(crate) fn some(&mut self, slots: Range<usize>) -> impl Iterator<Item = (usize, &mut Pool)> {
        let len = self.0.len();
        let some = self.0.get_mut(slots.start.min(len)..slots.end.min(len)).unwrap_or_default();
        (slots.start..).zip(some).filter_map(|(slot, pool)| Some((slot, &mut **pool.as_mut()?)))
    }

    /// How many slots there are.
    pub(crate) fn slots(&self) -> usize {
        self.0.len()
    }
}
