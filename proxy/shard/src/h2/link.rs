//! A connection's bytes as HTTP/2's engine wants them. What it writes in one turn lies in the connection's send
//! queue, or is gathered to be sealed as one, and goes out when the turn ends.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    task::{Context, Poll},
};

use runtime::Received;

use crate::transport::Transport;

/// Above so many unsent bytes the engine writes no more. Streams wait in their order, so this much is also what a short
/// answer waits for behind long ones.
const UNSENT_BYTES_HIGH: usize = 64 << 10;

/// A connection, shared by its engine and its streams.
pub(crate) struct Link<H> {
    holder: Rc<H>,
    /// What was received before it was known which protocol it belongs to.
    early: RefCell<Vec<u8>>,
    /// Bytes that were ever written.
    written: Rc<Cell<u64>>,
    /// Bytes that were ever taken in.
    received: Rc<Cell<u64>>,
}

impl<H: AsRef<Transport>> Link<H> {
    pub(crate) fn new(holder: Rc<H>, early: Vec<u8>) -> Self {
        Self { holder, early: RefCell::new(early), written: Rc::default(), received: Rc::default() }
    }

    /// Counts the bytes that are written.
    pub(crate) fn written(&self) -> Rc<Cell<u64>> {
        self.written.clone()
    }

    /// Counts the bytes that are taken in.
    pub(crate) fn received(&self) -> Rc<Cell<u64>> {
        self.received.clone()
    }

    fn transport(&self) -> &Transport {
        (*self.holder).as_ref()
    }
}

impl<H: AsRef<Transport>> wire::h2::Link for Link<H> {
    fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        take: &mut dyn FnMut(&[u8]) -> usize,
    ) -> Poll<io::Result<bool>> {
        let early = &mut *self.early.borrow_mut();
        if !early.is_empty() {
            let taken = take(early);
            early.drain(..taken);
            return Poll::Ready(Ok(true));
        }
        loop {
            match self.transport().poll_readable(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => {}
            }
            let shown = self.transport().try_receive(|received| {
                let taken = take(received);
                self.received.set(self.received.get() + taken as u64);
                (taken, ())
            });
            match shown {
                Ok(None) => {}
                Ok(Some(Received::Bytes(()))) => return Poll::Ready(Ok(true)),
                Ok(Some(Received::End)) => return Poll::Ready(Ok(false)),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn write(&self, bytes: &[u8]) {
        self.written.set(self.written.get() + bytes.len() as u64);
        self.transport().write_through(bytes);
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport().poll_sent_below(cx, UNSENT_BYTES_HIGH)
    }

    /// What ends the connection ends its bytes too, behind all that was written.
    fn finish(&self) {}
}
