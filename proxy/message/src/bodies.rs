//! Memory for bodies that are made or read as a whole, used again: a core's. A body goes out as [`Bytes`], which anybody may keep, in
//! parts too; its memory is written anew once nobody does.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Room comes in powers of two, so that a short body keeps no long one's memory. The smallest, and the largest that is kept.
const ROOM_BYTES_MIN: usize = 1 << 10;
const ROOM_BYTES_MAX: usize = 64 << 10;
const CLASSES: usize = (ROOM_BYTES_MAX / ROOM_BYTES_MIN).ilog2() as usize + 1;

/// What a core keeps: a few hundred bodies of the usual length.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// Of a class so many are looked at for one whose bodies are gone; those that went out first come first.
const TRIED_MAX: usize = 4;

/// What bodies have left for the next.
#[derive(Debug, Default)]
pub struct Bodies {
    classes: [VecDeque<BytesMut>; CLASSES],
    kept_bytes: usize,
    /// Since [`Bodies::trim`] was called last.
    is_used: bool,
}

/// A body that is being put together.
#[derive(Debug, Default)]
pub struct Room {
    memory: BytesMut,
    class: Option<usize>,
}

impl Bodies {
    /// Room for so many bytes.
    pub fn room(&mut self, bytes: usize) -> Room {
        self.is_used = true;
        if bytes > ROOM_BYTES_MAX {
            return Room { memory: BytesMut::with_capacity(bytes), class: None };
        }
        let room_bytes = bytes.next_power_of_two().max(ROOM_BYTES_MIN);
        let class = (room_bytes / ROOM_BYTES_MIN).ilog2() as usize;
        let kept = &mut self.classes[class];
        for _ in 0..kept.len().min(TRIED_MAX) {
            let Some(mut memory) = kept.pop_front() else { break };
            if memory.try_reclaim(bytes) {
                self.kept_bytes -= room_bytes;
                return Room { memory, class: Some(class) };
            }
            kept.push_back(memory);
        }
        Room { memory: BytesMut::with_capacity(room_bytes), class: Some(class) }
    }

    /// A body of these bytes.
    pub fn body(&mut self, bytes: &[u8]) -> Bytes {
        if bytes.is_empty() {
            return Bytes::new();
        }
        let mut room = self.room(bytes.len());
        room.push(bytes);
        self.finish(room)
    }

    /// The body that was put together.
    pub fn finish(&mut self, room: Room) -> Bytes {
        let Room { mut memory, class } = room;
        let Some(class) = class else { return memory.freeze() };
        let body = memory.split().freeze();
        self.keep(memory, class);
        body
    }

    /// Takes room back that was not needed.
    pub fn give_up(&mut self, room: Room) {
        let Room { mut memory, class } = room;
        memory.clear();
        if let Some(class) = class {
            self.keep(memory, class);
        }
    }

    fn keep(&mut self, memory: BytesMut, class: usize) {
        let kept_bytes = self.kept_bytes + (ROOM_BYTES_MIN << class);
        if kept_bytes <= KEPT_BYTES_MAX {
            self.kept_bytes = kept_bytes;
            self.classes[class].push_back(memory);
        }
    }

    /// Frees what has not been needed since this was called last; whether there is any left. What is still out goes with who has
    /// it.
    pub fn trim(&mut self) -> bool {
        if !std::mem::take(&mut self.is_used) {
            *self = Self::default();
        }
        self.kept_bytes > 0
    }
}

impl Room {
    /// The bytes so far.
    pub fn bytes(&self) -> &[u8] {
        &self.memory
    }

    /// How many fit in all.
    pub fn capacity(&self) -> usize {
        self.memory.capacity()
    }

    /// Adds some. What is beyond the room takes memory of its own, which is not kept.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.memory.len() + bytes.len() > self.memory.capacity() {
            self.class = None;
        }
        self.memory.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_once_nobody_has_it() {
        let mut bodies = Bodies::default();
        let first = bodies.body(&[1; 1_000]);
        let at = first.as_ptr();
        let part = first.slice(..10);
        drop(first);
        let second = bodies.body(&[2; 1_000]);
        assert_ne!(second.as_ptr(), at, "a part of it is still there");
        assert_eq!(part, [1; 10][..]);
        drop((part, second));
        let third = bodies.body(&[3; 1_000]);
        assert_eq!(third.as_ptr(), at);
        assert_eq!(third, [3; 1_000][..]);
    }

    #[test]
    fn a_short_body_keeps_no_long_ones_memory() {
        let mut bodies = Bodies::default();
        let long = bodies.body(&[1; ROOM_BYTES_MAX]).as_ptr();
        assert_ne!(bodies.body(b"short").as_ptr(), long);
        assert_eq!(bodies.body(&[2; ROOM_BYTES_MAX]).as_ptr(), long);
    }

    #[test]
    fn what_is_kept_is_bounded_and_goes_when_it_rests() {
        let mut bodies = Bodies::default();
        let out: Vec<_> = (0..40).map(|_| bodies.body(&[0; ROOM_BYTES_MAX])).collect();
        assert_eq!(bodies.kept_bytes, KEPT_BYTES_MAX);
        drop(out);
        assert!(bodies.trim(), "it was needed");
        assert!(!bodies.trim());
        assert_eq!(bodies.classes.iter().map(VecDeque::len).sum::<usize>(), 0);
    }

    #[test]
    fn what_is_longer_than_its_room_is_whole_all_the_same() {
        let mut bodies = Bodies::default();
        let mut room = bodies.room(1);
        room.push(&[7; ROOM_BYTES_MIN]);
        let mut larger = bodies.room(2 * ROOM_BYTES_MIN);
        larger.push(room.bytes());
        bodies.give_up(room);
        larger.push(&vec![8; 3 * ROOM_BYTES_MIN]);
        let body = bodies.finish(larger);
        assert_eq!(body.len(), 4 * ROOM_BYTES_MIN);
        assert_eq!(bodies.kept_bytes, ROOM_BYTES_MIN, "the one that was given up");
        assert_eq!(bodies.body(&[9; ROOM_BYTES_MAX + 1]).len(), ROOM_BYTES_MAX + 1);
        assert!(bodies.body(b"").is_empty());
    }
}
