//! A link of bytes in memory, with two ends.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::h2::Link;

/// One way of bytes.
#[derive(Default)]
struct Way {
    bytes: Vec<u8>,
    is_finished: bool,
    /// Bytes that may wait in it; none is no bound.
    room: Option<usize>,
}

/// One end. Whoever uses it polls both until nothing moves, so that it wakes nobody.
#[derive(Clone, Default)]
pub(in crate::h2) struct End {
    inbound: Rc<RefCell<Way>>,
    outbound: Rc<RefCell<Way>>,
}

/// Two ends that are connected.
pub(in crate::h2) fn ends() -> (End, End) {
    let end = End::default();
    let other = End { inbound: Rc::clone(&end.outbound), outbound: Rc::clone(&end.inbound) };
    (end, other)
}

impl End {
    /// Puts bytes on their way to the other end.
    pub(in crate::h2) fn put(&self, bytes: &[u8]) {
        self.write(bytes);
    }

    /// Takes all that has come in.
    pub(in crate::h2) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.inbound.borrow_mut().bytes)
    }

    /// So many bytes may wait at the other end, as in a socket.
    #[cfg(test)]
    pub(in crate::h2) fn bound(&self, room: Option<usize>) {
        self.inbound.borrow_mut().room = room;
    }

    /// Bytes that wait on both ways: what changes while anything moves.
    pub(in crate::h2) fn state(&self) -> (usize, usize) {
        (self.inbound.borrow().bytes.len(), self.outbound.borrow().bytes.len())
    }
}

impl Link for End {
    fn poll_receive(
        &self,
        _: &mut Context<'_>,
        take: &mut dyn FnMut(&[u8]) -> usize,
    ) -> Poll<io::Result<bool>> {
        let mut way = self.inbound.borrow_mut();
        if way.bytes.is_empty() {
            return if way.is_finished { Poll::Ready(Ok(false)) } else { Poll::Pending };
        }
        let taken = take(&way.bytes);
        way.bytes.drain(..taken);
        Poll::Ready(Ok(true))
    }

    fn write(&self, bytes: &[u8]) {
        self.outbound.borrow_mut().bytes.extend_from_slice(bytes);
    }

    fn poll_room(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let way = self.outbound.borrow();
        if way.room.is_none_or(|room| way.bytes.len() < room) { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn finish(&self) {
        self.outbound.borrow_mut().is_finished = true;
    }
}
