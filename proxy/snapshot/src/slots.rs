//! Slots: dense numbers for what cores keep state about, the same over all publications, so that counters, buckets
//! and pools of connections outlive a change of configuration.

use std::collections::HashMap;

/// Numbers that have been given out. The publisher keeps it from publication to publication.
#[derive(Clone, Debug, Default)]
pub struct Slots {
    routes: Numbers,
    upstreams: Numbers,
}

/// Numbers of one kind of thing.
#[derive(Clone, Debug, Default)]
struct Numbers {
    names: HashMap<String, u32>,
    /// Given out once, of nothing now.
    free: Vec<u32>,
    /// Of nothing either, but what is kept about them is not cleared away yet.
    vacated: Vec<u32>,
    /// How many there are.
    len: u32,
}

impl Slots {
    /// The slot of a route, named by API, stage and key.
    pub fn route(&mut self, api: &str, stage: &str, key: &str) -> u32 {
        self.routes.give(format!("{api}\u{1f}{stage}\u{1f}{key}"))
    }

    /// The slot of an upstream group. Its targets are part of the name: a group that changed is another group, whose
    /// connections lead elsewhere.
    pub fn upstream(&mut self, identity: String) -> u32 {
        self.upstreams.give(identity)
    }

    /// Takes back the slots of routes that nobody uses any more, so that a configuration whose routes are always others
    /// needs no more slots than it has routes at once.
    pub fn reclaim_routes(&mut self, is_used: impl Fn(u32) -> bool) {
        self.routes.vacate(is_used);
        self.routes.reclaim();
    }

    /// The slots of upstream groups that nobody uses any more. What is connected must not be taken for what it was: they are not
    /// given out again before [`Self::reclaim_upstreams`], which is for when all cores have forgotten them.
    pub fn vacate_upstreams(&mut self, is_used: impl Fn(u32) -> bool) -> &[u32] {
        self.upstreams.vacate(is_used);
        &self.upstreams.vacated
    }

    /// Takes back what [`Self::vacate_upstreams`] told.
    pub fn reclaim_upstreams(&mut self) {
        self.upstreams.reclaim();
    }

    /// How many route slots there are.
    pub fn routes(&self) -> usize {
        self.routes.len as usize
    }

    /// How many upstream slots there are.
    pub fn upstreams(&self) -> usize {
        self.upstreams.len as usize
    }
}

impl Numbers {
    fn give(&mut self, name: String) -> u32 {
        let Self { names, free, len, .. } = self;
        *names.entry(name).or_insert_with(|| {
            free.pop().unwrap_or_else(|| {
                let next = *len;
                *len = len.saturating_add(1);
                next
            })
        })
    }

    fn vacate(&mut self, is_used: impl Fn(u32) -> bool) {
        let Self { names, vacated, .. } = self;
        names.retain(|_, slot| {
            is_used(*slot) || {
                vacated.push(*slot);
                false
            }
        });
    }

    fn reclaim(&mut self) {
        self.free.append(&mut self.vacated);
        // The lowest is given out first: lists by slot stay short.
        self.free.sort_unstable_by(|a, b| b.cmp(a));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_slot() {
        let mut slots = Slots::default();
        assert_eq!(slots.route("a", "s", "GET /"), 0);
        assert_eq!(slots.route("a", "s", "GET /x"), 1);
        assert_eq!(slots.route("a", "s", "GET /"), 0);
        assert_eq!(slots.upstream("u".into()), 0);
        assert_eq!((slots.routes(), slots.upstreams()), (2, 1));
    }

    #[test]
    fn the_slots_of_routes_that_are_gone_are_given_out_again() {
        let mut slots = Slots::default();
        for key in ["a", "b", "c", "d"] {
            slots.route("", "", key);
        }
        slots.reclaim_routes(|slot| slot == 1);
        assert_eq!(slots.route("", "", "b"), 1, "what is used keeps its own");
        assert_eq!(["e", "f", "g", "h"].map(|key| slots.route("", "", key)), [0, 2, 3, 4]);
        assert_eq!(slots.route("", "", "a"), 5, "what was gone is another");
        assert_eq!(slots.routes(), 6);
    }

    #[test]
    fn the_slots_of_upstream_groups_are_given_out_again_once_they_are_forgotten() {
        let mut slots = Slots::default();
        for group in ["a", "b", "c"] {
            slots.upstream(group.into());
        }
        let told = |slots: &mut Slots| {
            let mut told = slots.vacate_upstreams(|slot| slot == 1).to_vec();
            told.sort_unstable();
            told
        };
        assert_eq!(told(&mut slots), [0, 2]);
        assert_eq!(slots.upstream("d".into()), 3, "nobody has forgotten them");
        assert_eq!(told(&mut slots), [0, 2, 3], "what was told is told again");
        slots.reclaim_upstreams();
        assert_eq!(told(&mut slots), [] as [u32; 0]);
        assert_eq!(["b", "a", "e"].map(|group| slots.upstream(group.into())), [1, 0, 2]);
        assert_eq!(slots.upstreams(), 4);
    }
}
