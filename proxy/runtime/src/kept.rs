//! Received bytes that were copied out of a driver's buffers, until their reader takes them. Most sockets have none: the
//! place for them is made when it is needed, and given up by [`Kept::rest`].

use crate::buffers::Buffers;

#[derive(Default)]
pub(crate) struct Kept {
    run: Option<Box<Run>>,
}

#[derive(Default)]
struct Run {
    /// No capacity while there is nothing in it.
    bytes: Vec<u8>,
    /// How many of them were taken already.
    start: usize,
}

impl Kept {
    /// Bytes that wait.
    pub(crate) fn len(&self) -> usize {
        self.run.as_ref().map_or(0, |run| run.bytes.len() - run.start)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.run.as_ref().is_none_or(|run| run.bytes.is_empty())
    }

    pub(crate) fn capacity(&self) -> usize {
        self.run.as_ref().map_or(0, |run| run.bytes.capacity())
    }

    /// Takes all of it out: a buffer, and how many of its bytes were taken before.
    pub(crate) fn take(&mut self) -> (Vec<u8>, usize) {
        self.run
            .as_mut()
            .map_or((Vec::new(), 0), |run| (std::mem::take(&mut run.bytes), std::mem::take(&mut run.start)))
    }

    /// Takes a buffer over whose first `start` bytes are done with; there must be nothing yet.
    pub(crate) fn put(&mut self, bytes: Vec<u8>, start: usize) {
        debug_assert!(self.is_empty());
        **self.run.get_or_insert_default() = Run { bytes, start };
    }

    /// Makes room for so many bytes, if it has no buffer yet.
    pub(crate) fn reserve(&mut self, bytes: usize, buffers: &Buffers) {
        let run = self.run.get_or_insert_default();
        if run.bytes.capacity() == 0 {
            run.bytes = buffers.sized(bytes);
        }
    }

    pub(crate) fn append(&mut self, bytes: &[u8], buffers: &Buffers) {
        let run = self.run.get_or_insert_default();
        if run.bytes.capacity() == 0 {
            run.bytes = buffers.sized(bytes.len());
        } else if run.start > run.bytes.len() / 2 {
            // A reader that never quite catches up must not make this grow. Moves less than was taken since.
            run.bytes.drain(..run.start);
            run.start = 0;
        }
        run.bytes.extend_from_slice(bytes);
    }

    /// Gives the place up, if there is nothing in it.
    pub(crate) fn rest(&mut self) {
        if self.is_empty() {
            self.run = None;
        }
    }
}
