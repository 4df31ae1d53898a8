//! What a call keeps of the body that it sends, so that it can be made once more where a backend says that it has not looked
//! at it (RFC 9113 §6.8 and §8.7). It does not know who says so, nor whether the call may be made again.

use std::{cell::Cell, rc::Rc};

use message::{Body, Length, Request};

use crate::{core::Core, pressure::Level};

/// Longer bodies are not kept. Messages that begin a call of gRPC, forms and documents are mostly shorter; what is longer
/// takes its sender's time, in which a connection that its backend leaves is seldom the one it is on.
pub(crate) const KEPT_BYTES_MAX: usize = 16 << 10;

/// Of all calls on a core; above it nothing more is kept.
pub(crate) const KEPT_BYTES_CORE_MAX: usize = 4 << 20;

/// All of a body that was sent so far.
pub(crate) struct Kept {
    bytes: Vec<u8>,
    ends: bool,
    /// Of the core, in all.
    held_bytes: Rc<Cell<usize>>,
}

impl Kept {
    /// For a request whose body streams and may be short; not while memory is.
    pub(crate) fn new(core: &Core, request: &Request) -> Option<Box<Self>> {
        let may_be_short = match &request.body {
            Body::Stream(Length::Known(bytes)) => *bytes <= KEPT_BYTES_MAX as u64,
            Body::Stream(Length::Unknown) => true,
            Body::Empty | Body::Whole(_) => false,
        };
        if !may_be_short || core.pressure.get() >= Level::Trim {
            return None;
        }
        let held_bytes = core.kept_bytes.clone();
        Some(Box::new(Self { bytes: Vec::new(), ends: false, held_bytes }))
    }

    /// Adds what is sent; false when that is too much: the body is whole no more.
    #[must_use]
    pub(crate) fn push(&mut self, data: &[u8], ends: bool) -> bool {
        let held_bytes = self.held_bytes.get() + data.len();
        if self.bytes.len() + data.len() > KEPT_BYTES_MAX || held_bytes > KEPT_BYTES_CORE_MAX {
            return false;
        }
        self.ends |= ends;
        self.held_bytes.set(held_bytes);
        self.bytes.extend_from_slice(data);
        true
    }

    /// What was sent.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether that was all.
    pub(crate) fn ends(&self) -> bool {
        self.ends
    }

    /// Whether nothing was sent, not even the end.
    pub(crate) fn is_untouched(&self) -> bool {
        self.bytes.is_empty() && !self.ends
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.held_bytes.set(self.held_bytes.get() - self.bytes.len());
    }
}
