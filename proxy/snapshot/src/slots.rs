//! Slots: dense numbers for what cores keep state about, the same over all publications, so that counters, buckets
//! and pools of connections outlive a change of configuration.

use std::collections::HashMap;

/// Numbers that have been given out. The publisher keeps it from publication to publication.
#[derive(Clone, Debug, Default)]
pub struct Slots {
    routes: HashMap<String, u32>,
    upstreams: HashMap<String, u32>,
}

impl Slots {
    /// The slot of a route, named by API, stage and key.
    pub fn route(&mut self, api: &str, stage: &str, key: &str) -> u32 {
        slot(&mut self.routes, format!("{api}\u{1f}{stage}\u{1f}{key}"))
    }

    /// The slot of an upstream group. Its targets are part of the name: a group that changed is another group, whose
    /// connections lead elsewhere.
    pub fn upstream(&mut self, identity: String) -> u32 {
        slot(&mut self.upstreams, identity)
    }

    /// How many route slots there are.
    pub fn routes(&self) -> usize {
        self.routes.len()
    }

    /// How many upstream slots there are.
    pub fn upstreams(&self) -> usize {
        self.upstreams.len()
    }
}

fn slot(slots: &mut HashMap<String, u32>, name: String) -> u32 {
    let next = u32::try_from(slots.len()).unwrap_or(u32::MAX);
    *slots.entry(name).or_insert(next)
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
}
