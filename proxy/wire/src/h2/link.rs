//! What HTTP/2 needs of a connection's bytes.

use std::io;
use std::task::{Context, Poll};

/// A connection's bytes.
pub trait Link {
    /// Shows received bytes, of which there are some, to `take`, which says how many it took; what it leaves stays.
    /// `false` at the peer's end.
    fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        take: &mut dyn FnMut(&[u8]) -> usize,
    ) -> Poll<io::Result<bool>>;

    /// Appends to what is sent at the end of this turn.
    fn write(&self, bytes: &[u8]);

    /// Ready while so little is unsent that more may be written: the socket's back-pressure.
    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// No more will be written.
    fn finish(&self);
}
