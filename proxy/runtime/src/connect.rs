//! Connecting to a peer.

use crate::driver::Close;
use crate::reactor::Reactor;
use crate::socket::Plainly;
use crate::stream::Stream;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// A connection being made: see [`crate::Handle::connect`].
pub struct Connect {
    reactor: Rc<Reactor>,
    /// The socket, or why there is none. `None` once the future has said so.
    state: Option<io::Result<u32>>,
}

impl Connect {
    pub(crate) fn start(reactor: Rc<Reactor>, address: SocketAddr) -> Self {
        let state = {
            let io = &mut *reactor.io.borrow_mut();
            if io.table.stopped {
                Err(crate::socket::stopped())
            } else {
                io.driver.connect(&mut io.table, address)
            }
        };
        Self { reactor, state: Some(state) }
    }

    /// How much a receive is to bring at most, from the first: see [`Stream::set_sparing`].
    #[must_use]
    pub fn sparing(self, bytes_max: Option<usize>) -> Self {
        if let Some(Ok(slot)) = self.state
            && let Some(socket) = self.reactor.io.borrow_mut().table.sockets.get_mut(slot as usize)
        {
            socket.plainly = Plainly::of(bytes_max);
        }
        self
    }
}

impl Future for Connect {
    type Output = io::Result<Stream>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let slot = match self.state.take() {
            Some(Ok(slot)) => slot,
            Some(Err(error)) => return Poll::Ready(Err(error)),
            None => return Poll::Ready(Err(io::Error::other("this connection was handed out already"))),
        };
        let replaced = {
            let io = &mut *self.reactor.io.borrow_mut();
            match io.table.sockets.get_mut(slot as usize) {
                Some(socket) if socket.connected => None,
                Some(socket) if let Some(error) = socket.failure() => {
                    io.driver.close(&mut io.table, slot, Close::Plain);
                    return Poll::Ready(Err(error));
                }
                Some(socket) => Some(socket.writer.replace(Box::new((0, cx.waker().clone())))),
                None => return Poll::Ready(Err(crate::socket::stopped())),
            }
        };
        match replaced {
            None => Poll::Ready(Ok(Stream::new(self.reactor.clone(), slot))),
            Some(waker) => {
                drop(waker);
                self.state = Some(Ok(slot));
                Poll::Pending
            }
        }
    }
}

impl Drop for Connect {
    fn drop(&mut self) {
        if let Some(Ok(slot)) = self.state {
            let io = &mut *self.reactor.io.borrow_mut();
            io.driver.close(&mut io.table, slot, Close::Plain);
        }
    }
}
