//! The connections to all upstream groups, each group's at its slot. There may be tens of thousands of groups: nothing here costs
//! more than it concerns, a change of configuration what it changes and the rest what has connections; and what groups have is
//! made when they are first heard of.

use std::collections::VecDeque;

use snapshot::Upstream;

use crate::{Endpoint, backend::Live, pool::Pool};

/// Groups that are looked at for one connection that nobody uses. Those that only have some in use are passed over, and
/// stand behind the others then.
const LOOKS_MAX: usize = 64;

/// By slot.
#[derive(Default)]
pub(crate) struct Pools {
    /// A list of addresses and not of pools: it grows while clients wait, and pools would be copied by megabytes.
    pools: Vec<Option<Box<Pool>>>,
    /// The slots of groups that may have connections which nobody uses; whose turn is next stands at the front.
    keeping: VecDeque<u32>,
    /// Of each slot, whether it is among those.
    is_keeping: Vec<bool>,
}

impl Pools {
    /// Makes room for so many groups.
    pub(crate) fn make_room(&mut self, groups: usize) {
        if self.pools.len() < groups {
            self.pools.resize_with(groups, || None);
            self.is_keeping.resize(groups, false);
        }
    }

    /// The connections to a group; `None` for a slot that there is not.
    #[inline]
    pub(crate) fn get(&mut self, slot: u32) -> Option<&mut Pool> {
        self.pools.get_mut(slot as usize).map(|pool| &mut **pool.get_or_insert_default())
    }

    /// Takes the addresses of a group.
    pub(crate) fn set_endpoints(&mut self, slot: u32, endpoints: &[Endpoint], now_ns: u64) {
        self.make_room(slot as usize + 1);
        if let Some(pool) = self.get(slot) {
            pool.set_endpoints(endpoints, now_ns);
        }
    }

    /// Keeps a connection whose last response was whole, while there is room.
    pub(crate) fn keep(&mut self, live: Box<Live>, upstream: &Upstream, now_ns: u64) {
        let slot = live.slot;
        if let Some(pool) = self.get(slot) {
            pool.keep(live, upstream, now_ns);
            self.note(slot);
        }
    }

    /// A group has a connection that is kept, or that calls share.
    #[inline]
    pub(crate) fn note(&mut self, slot: u32) {
        if let Some(is_keeping) = self.is_keeping.get_mut(slot as usize)
            && !std::mem::replace(is_keeping, true)
        {
            self.keeping.push_back(slot);
        }
    }

    /// Empties a slot, which may be another group's from now on: nothing of this one stays, whose unused connections are closed.
    pub(crate) fn forget(&mut self, slot: u32) {
        if let Some(mut pool) = self.pools.get_mut(slot as usize).and_then(Option::take) {
            pool.let_go();
        }
    }

    /// Closes all unused connections.
    pub(crate) fn let_go(&mut self) {
        self.look_at(self.keeping.len(), |_, pool| {
            pool.let_go();
            false
        });
    }

    /// Closes an unused connection: of the group whose turn it is the one that was used longest ago. Whether there was one
    /// among those that were looked at.
    pub(crate) fn let_one_go(&mut self) -> bool {
        self.look_at(LOOKS_MAX, |_, pool| pool.let_one_go())
    }

    /// Groups that may have unused connections.
    pub(crate) fn keeping(&self) -> usize {
        self.keeping.len()
    }

    /// Looks at so many of them, each by its slot, until one is what was sought; whether one was.
    pub(crate) fn look_at(
        &mut self,
        groups: usize,
        mut is_sought: impl FnMut(usize, &mut Pool) -> bool,
    ) -> bool {
        for _ in 0..groups.min(self.keeping.len()) {
            let Some(slot) = self.keeping.pop_front() else { break };
            let at = slot as usize;
            let pool = self.pools.get_mut(at).and_then(Option::as_deref_mut);
            let is_found = pool.is_some_and(|pool| is_sought(at, pool));
            let pool = self.pools.get(at).and_then(Option::as_deref);
            if pool.is_some_and(|pool| !pool.is_unused()) {
                self.keeping.push_back(slot);
            } else if let Some(is_keeping) = self.is_keeping.get_mut(at) {
                *is_keeping = false;
            }
            if is_found {
                return true;
            }
        }
        false
    }
}
