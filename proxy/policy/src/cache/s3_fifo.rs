//! S3-FIFO (Yang et al., SOSP 2023) by bytes: a small queue on probation, a main queue, and the hashes of what left the
//! small one lately. What is asked for once passes through the small queue and does not push out what is asked for
//! often. This module does not know what it holds, what a key is, or what time it is.

use std::collections::VecDeque;

use hashbrown::HashTable;

/// Where a node stands; it stays valid until the node is removed or evicted.
pub(super) type Slot = u32;

/// A node that was put out, or taken out.
pub(super) struct Removed<T> {
    pub(super) slot: Slot,
    pub(super) hash: u64,
    pub(super) standing: Standing,
    pub(super) value: T,
}

/// What a node has earned; handed back when its value is replaced.
#[derive(Clone, Copy)]
pub(super) struct Standing {
    queue: Queue,
    uses: u8,
}

/// The queues over one slab of nodes. The bytes of all nodes never exceed the capacity.
pub(super) struct S3Fifo<T> {
    nodes: Vec<Node<T>>,
    vacant: Slot,
    small: List,
    main: List,
    ghosts: Ghosts,
    capacity_bytes: u64,
}

struct Node<T> {
    value: Option<T>,
    hash: u64,
    bytes: u64,
    newer: Slot,
    older: Slot,
    standing: Standing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Queue {
    Small,
    Main,
}

/// A queue: new nodes at the head, eviction at the tail.
struct List {
    head: Slot,
    tail: Slot,
    nodes: usize,
    bytes: u64,
}

/// No node.
const NIL: Slot = Slot::MAX;

/// Share of the capacity that is on probation: a tenth, as in the paper.
const SMALL_DIVISOR: u64 = 10;

/// Uses are counted up to three, as in the paper: two bits are enough.
const USES_MAX: u8 = 3;

/// The fewest ghosts that are remembered, so that a cache of few entries learns too.
const GHOSTS_MIN: usize = 64;

impl<T> S3Fifo<T> {
    pub(super) fn new(capacity_bytes: u64) -> Self {
        Self {
            nodes: Vec::new(),
            vacant: NIL,
            small: List::EMPTY,
            main: List::EMPTY,
            ghosts: Ghosts::default(),
            capacity_bytes,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.small.bytes + self.main.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.small.nodes + self.main.nodes
    }

    pub(super) fn capacity_bytes(&self) -> u64 {
        self.capacity_bytes
    }

    /// Another bound; what is above it is put out by [`Self::evict_above`], or by what comes in.
    pub(super) fn set_capacity_bytes(&mut self, capacity_bytes: u64) {
        self.capacity_bytes = capacity_bytes;
    }

    /// Puts out one node if there are more bytes than may be. When the last one goes its memory goes too.
    pub(super) fn evict_above(&mut self) -> Option<Removed<T>> {
        if self.bytes() <= self.capacity_bytes {
            return None;
        }
        let removed = self.evict();
        if self.len() == 0 {
            (self.nodes, self.vacant, self.ghosts) = (Vec::new(), NIL, Ghosts::default());
        }
        removed
    }

    /// How many slots there are, taken or vacant.
    pub(super) fn slots(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&T> {
        self.nodes.get(slot as usize)?.value.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        self.nodes.get_mut(slot as usize)?.value.as_mut()
    }

    /// Counts a use.
    pub(super) fn touch(&mut self, slot: Slot) {
        if let Some(node) = self.nodes.get_mut(slot as usize) {
            node.standing.uses = (node.standing.uses + 1).min(USES_MAX);
        }
    }

    /// Takes a value in, after putting out what must make room for it; the caller has seen to it that it is not larger
    /// than the capacity. With the standing of the value that it replaces it takes that one's queue.
    pub(super) fn insert(
        &mut self,
        hash: u64,
        bytes: u64,
        value: T,
        standing: Option<Standing>,
        mut evicted: impl FnMut(Removed<T>),
    ) -> Slot {
        debug_assert!(bytes <= self.capacity_bytes);
        while self.bytes() + bytes > self.capacity_bytes {
            let Some(removed) = self.evict() else { break };
            evicted(removed);
        }
        let was_ghost = self.ghosts.take(hash);
        let fresh = Standing { queue: if was_ghost { Queue::Main } else { Queue::Small }, uses: 0 };
        let standing = standing.unwrap_or(fresh);
        let node = Node { value: Some(value), hash, bytes, newer: NIL, older: NIL, standing };
        let slot = self.seat(node);
        self.link(slot);
        slot
    }

    /// Takes a value out.
    pub(super) fn remove(&mut self, slot: Slot) -> Option<Removed<T>> {
        self.get(slot)?;
        self.unlink(slot);
        let node = self.nodes.get_mut(slot as usize)?;
        let value = node.value.take()?;
        node.older = self.vacant;
        self.vacant = slot;
        Some(Removed { slot, hash: node.hash, standing: node.standing, value })
    }

    /// Puts out the node that deserves it most.
    fn evict(&mut self) -> Option<Removed<T>> {
        loop {
            if self.small.tail != NIL
                && (self.main.tail == NIL || self.small.bytes >= self.capacity_bytes / SMALL_DIVISOR)
            {
                let slot = self.small.tail;
                if self.nodes[slot as usize].standing.uses == 0 {
                    let removed = self.remove(slot)?;
                    self.ghosts.add(removed.hash, self.len().max(GHOSTS_MIN));
                    return Some(removed);
                }
                self.requeue(slot, Standing { queue: Queue::Main, uses: 0 });
            } else if self.main.tail != NIL {
                let slot = self.main.tail;
                let uses = self.nodes[slot as usize].standing.uses;
                if uses == 0 {
                    return self.remove(slot);
                }
                self.requeue(slot, Standing { queue: Queue::Main, uses: uses - 1 });
            } else {
                return None;
            }
        }
    }

    fn requeue(&mut self, slot: Slot, standing: Standing) {
        self.unlink(slot);
        self.nodes[slot as usize].standing = standing;
        self.link(slot);
    }

    fn seat(&mut self, node: Node<T>) -> Slot {
        if let Some(vacant) = self.nodes.get_mut(self.vacant as usize) {
            let slot = std::mem::replace(&mut self.vacant, vacant.older);
            *vacant = node;
            return slot;
        }
        self.nodes.push(node);
        // A node is accounted with hundreds of bytes: memory ends long before the numbers do.
        (self.nodes.len() - 1) as Slot
    }

    /// Makes a seated node the head of the queue that it stands in.
    fn link(&mut self, slot: Slot) {
        let node = &self.nodes[slot as usize];
        let (queue, bytes) = (node.standing.queue, node.bytes);
        let list = self.list(queue);
        let head = std::mem::replace(&mut list.head, slot);
        if head == NIL {
            list.tail = slot;
        }
        list.nodes += 1;
        list.bytes += bytes;
        if let Some(head) = self.nodes.get_mut(head as usize) {
            head.newer = slot;
        }
        let node = &mut self.nodes[slot as usize];
        (node.newer, node.older) = (NIL, head);
    }

    /// Takes a node off its queue.
    fn unlink(&mut self, slot: Slot) {
        let node = &self.nodes[slot as usize];
        let (newer, older, bytes, queue) = (node.newer, node.older, node.bytes, node.standing.queue);
        match self.nodes.get_mut(newer as usize) {
            Some(node) => node.older = older,
            None => self.list(queue).head = older,
        }
        match self.nodes.get_mut(older as usize) {
            Some(node) => node.newer = newer,
            None => self.list(queue).tail = newer,
        }
        let list = self.list(queue);
        list.nodes -= 1;
        list.bytes -= bytes;
    }

    fn list(&mut self, queue: Queue) -> &mut List {
        match queue {
            Queue::Small => &mut self.small,
            Queue::Main => &mut self.main,
        }
    }
}

impl List {
    const EMPTY: Self = Self { head: NIL, tail: NIL, nodes: 0, bytes: 0 };
}

/// Hashes of what was put out of the small queue, oldest first, never more than there are entries.
#[derive(Default)]
struct Ghosts {
    /// A hash and the number it was added under: one that came back and left again has another number.
    queue: VecDeque<(u64, u64)>,
    known: HashTable<(u64, u64)>,
    last: u64,
}

impl Ghosts {
    fn add(&mut self, hash: u64, most: usize) {
        self.take(hash);
        self.last += 1;
        self.queue.push_back((hash, self.last));
        self.known.insert_unique(hash, (hash, self.last), |ghost| ghost.0);
        while self.queue.len() > most {
            let Some(oldest) = self.queue.pop_front() else { break };
            if let Ok(known) = self.known.find_entry(oldest.0, |ghost| *ghost == oldest) {
                known.remove();
            }
        }
    }

    /// Whether it was there; it is no longer.
    fn take(&mut self, hash: u64) -> bool {
        self.known.find_entry(hash, |ghost| ghost.0 == hash).map(|ghost| ghost.remove()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ghosts_that_came_back_are_remembered_from_when_they_left_again() {
        let mut ghosts = Ghosts::default();
        ghosts.add(1, 2);
        assert!(ghosts.take(1));
        assert!(!ghosts.take(1));
        ghosts.add(1, 2);
        ghosts.add(2, 2);
        assert!(ghosts.take(1));
        ghosts.add(3, 2);
        ghosts.add(4, 2);
        assert!(!ghosts.take(2), "two are remembered");
        assert!(ghosts.take(3) && ghosts.take(4));
    }
}
