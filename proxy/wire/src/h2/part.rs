//! What the parts of a stream have in common: each knows its stream as long as it is held.

use std::rc::Rc;
use std::task::{Context, Poll};

use super::Code;
use super::engine::Shared;
use super::streams::{End, keep};

/// A part of a stream. With the last one dropped the stream ends.
pub(super) struct Part {
    pub(super) shared: Rc<Shared>,
    pub(super) key: u32,
}

impl Part {
    pub(super) fn new(shared: &Rc<Shared>, key: u32) -> Self {
        shared.with(|engine| engine.streams.at(key).handles += 1);
        Self { shared: Rc::clone(shared), key }
    }

    /// Ready when the peer has given up the stream or the connection is dead.
    pub(super) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.shared.with(|engine| {
            let stream = engine.streams.at(self.key);
            if stream.end.is_some() {
                return Poll::Ready(());
            }
            keep(&mut stream.gone, cx);
            Poll::Pending
        })
    }

    /// Whether the stream was ended by us, for a fault of the peer's or a reason of ours.
    pub(super) fn was_ended_here(&self) -> bool {
        self.shared.with(|engine| {
            let end = engine.streams.at(self.key).end;
            matches!(end, Some(End::Fault(_) | End::Own(_)))
        })
    }

    /// Ends the stream, for a reason of ours.
    pub(super) fn reset(&self, code: Code) {
        self.shared.with(|engine| engine.reset(self.key, End::Own(code)));
    }
}

impl Clone for Part {
    fn clone(&self) -> Self {
        Self::new(&self.shared, self.key)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.shared.with(|engine| engine.release(self.key));
    }
}
