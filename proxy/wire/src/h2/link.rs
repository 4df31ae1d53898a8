//! Between the bytes of a connection and the codec: hands over what was received, by turns and under the eyes of the
//! frame watcher, and takes what is to be sent. Does not know what frames mean.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::ledger::{Ledger, QUEUED_BYTES_MAX};
use super::watch::Watch;

/// What HTTP/2 needs of a connection's bytes.
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

/// A link as the codec wants it.
pub(super) struct Io<L> {
    link: L,
    shared: Rc<Shared>,
}

/// What the parts of a connection have in common.
pub(super) struct Shared {
    pub(super) watch: RefCell<Watch>,
    pub(super) ledger: Ledger,
    /// Write without asking for room: the few bytes with which a connection begins.
    pub(super) is_beginning: Cell<bool>,
}

impl<L: Link> Io<L> {
    pub(super) fn new(link: L, shared: Rc<Shared>) -> Self {
        Self { link, shared }
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.shared.is_beginning.get() { Poll::Ready(Ok(())) } else { self.link.poll_room(cx) }
    }
}

impl Shared {
    pub(super) fn new(watch: Watch) -> Rc<Self> {
        Rc::new(Self {
            watch: RefCell::new(watch),
            ledger: Ledger::default(),
            is_beginning: Cell::new(false),
        })
    }
}

impl Shared {
    /// Bytes of bodies that may be given to the codec.
    pub(super) fn queue_room(&self) -> usize {
        QUEUED_BYTES_MAX.saturating_sub(self.watch.borrow().queued())
    }

    /// The codec has done what it could: whoever waits to give it more may, once that is worth it.
    pub(super) fn wake_senders(&self) {
        if self.queue_room() >= QUEUED_BYTES_MAX / 2 {
            self.ledger.wake();
        }
    }
}

/// Nothing in here is pinned.
impl<L> Unpin for Io<L> {}

impl<L: Link> AsyncRead for Io<L> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut watch = self.shared.watch.borrow_mut();
        if watch.is_turn_over() {
            // Whoever polls the connection begins the next turn.
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let is_open = ready!(self.link.poll_receive(cx, &mut |bytes| {
            let taken = watch.receive(&bytes[..bytes.len().min(buf.remaining())]);
            buf.put_slice(&bytes[..taken]);
            taken
        }))?;
        // Nothing read stands for the end, so that a turn that is over must not look like it.
        if is_open && buf.filled().len() == before { Poll::Pending } else { Poll::Ready(Ok(())) }
    }
}

impl<L: Link> AsyncWrite for Io<L> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_room(cx))?;
        let mut watch = self.shared.watch.borrow_mut();
        for part in parts {
            watch.send(part);
            self.link.write(part);
        }
        Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// What is written leaves at the end of the turn, whoever wrote it.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.link.finish();
        Poll::Ready(Ok(()))
    }
}
