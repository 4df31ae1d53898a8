//! What a request's mappings and templates have worked in, kept for the next: a core's. It does not know what was in it.

use message::Bodies;
use template::{NamedValues, Output};

use super::{answers::Memory, mapping::Mapped};
use crate::State;

/// How large the memory of one request may be that is kept, and all of them: what some hundred usual requests in flight take.
const MEMORY_BYTES_MAX: usize = 16 << 10;
const MEMORIES_BYTES_MAX: usize = 1 << 20;

/// What integrations have left for the next.
#[derive(Debug, Default)]
pub struct Spare {
    /// Memory for bodies.
    pub bodies: Bodies,
    bench: Option<Box<Bench>>,
    /// Since [`Spare::trim`] was called last.
    is_used: bool,
}

/// Where one message is worked on at a time.
#[derive(Debug, Default)]
pub(super) struct Bench {
    /// Where templates are rendered.
    pub(super) output: Output,
    /// What is put into a request.
    pub(super) mapped: Mapped,
    /// What is put into an answer, or is taken from a message before it is changed.
    pub(super) taken: NamedValues,
    /// One text that is put together.
    pub(super) text: String,
    /// One value of `$context`.
    pub(super) value: Vec<u8>,
    #[expect(clippy::vec_box, reason = "what moves is its address, which a state is")]
    memories: Vec<Box<Memory>>,
    memories_bytes: usize,
}

impl Spare {
    /// Takes back what was remembered of a request that has its answer.
    pub fn recycle(&mut self, state: State) {
        if let Some(bench) = &mut self.bench
            && let Some(memory) = state.and_then(|state| state.downcast().ok())
        {
            bench.keep(memory);
        }
    }

    /// Frees what has not been needed since this was called last; whether there is any left.
    pub fn trim(&mut self) -> bool {
        if !std::mem::take(&mut self.is_used) {
            self.bench = None;
        }
        self.bodies.trim() || self.bench.is_some()
    }

    /// The bench, until it is given back.
    pub(super) fn take(&mut self) -> Box<Bench> {
        self.is_used = true;
        self.bench.take().unwrap_or_default()
    }

    pub(super) fn put(&mut self, mut bench: Box<Bench>) {
        let Bench { mapped, taken, text, value, .. } = &mut *bench;
        if mapped.kept_bytes() + taken.kept_bytes() + text.capacity() + value.capacity() > MEMORY_BYTES_MAX {
            (*mapped, *taken, *text, *value) = Default::default();
        }
        self.bench = Some(bench);
    }
}

impl Bench {
    /// A memory in which a request is to be remembered; what it has is another's.
    pub(super) fn memory(&mut self) -> Box<Memory> {
        let Some(memory) = self.memories.pop() else { return Box::default() };
        self.memories_bytes -= memory.kept_bytes();
        memory
    }

    pub(super) fn keep(&mut self, memory: Box<Memory>) {
        let bytes = memory.kept_bytes();
        let all = self.memories_bytes + bytes;
        if bytes <= MEMORY_BYTES_MAX && all <= MEMORIES_BYTES_MAX {
            self.memories_bytes = all;
            self.memories.push(memory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_and_goes_when_it_rests() {
        let mut spare = Spare::default();
        let mut bench = spare.take();
        let memory = || {
            let mut memory = Box::<Memory>::default();
            memory.overrides.request_headers.add("x").value(&"x".repeat(MEMORY_BYTES_MAX / 2));
            memory
        };
        for _ in 0..2 * MEMORIES_BYTES_MAX / MEMORY_BYTES_MAX + 1 {
            bench.keep(memory());
        }
        assert!(bench.memories_bytes <= MEMORIES_BYTES_MAX && bench.memories.len() > 64);
        while !bench.memories.is_empty() {
            drop(bench.memory());
        }
        assert_eq!(bench.memories_bytes, 0);
        let mut large = memory();
        large.overrides.request_query.add("x").value(&"x".repeat(MEMORY_BYTES_MAX));
        bench.keep(large);
        assert!(bench.memories.is_empty(), "too large to be kept");
        bench.text.push_str(&"x".repeat(MEMORY_BYTES_MAX + 1));
        spare.put(bench);
        assert_eq!(spare.take().text.capacity(), 0, "and so is this");
        // The bench was not given back: what is recycled is freed.
        spare.recycle(Some(memory()));
        let bench = spare.take();
        spare.put(bench);
        spare.recycle(Some(memory()));
        spare.recycle(Some(Box::new("another's state")));
        spare.recycle(None);
        assert_eq!(spare.bench.as_ref().map(|bench| bench.memories.len()), Some(1));
        assert!(spare.trim(), "it was needed");
        assert!(!spare.trim());
        assert!(spare.bench.is_none());
    }
}
