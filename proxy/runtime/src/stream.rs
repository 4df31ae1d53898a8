//! One TCP connection.

use crate::driver::Close;
use crate::reactor::{Io, Reactor};
use crate::send_queue::EAGER_BYTES;
use crate::socket::{End, Lent, Plainly, Shutdown, Socket};
use bytes::Bytes;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll};

/// From so many bytes on a send of their own costs less than copying them: more than a buffer of the ring, so that what
/// comes in pieces is still gathered.
const THROUGH_BYTES_MIN: usize = 8 * 1024;

/// A TCP connection. One task receives and one sends at a time; they may be two. Dropping it closes the connection and
/// drops what is not sent yet: await [`Stream::flushed`] first.
pub struct Stream {
    reactor: Rc<Reactor>,
    slot: u32,
}

/// What a receive came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received<R> {
    /// The reader was shown bytes and said this.
    Bytes(R),
    /// The peer has finished, and there is nothing beyond what the reader has seen.
    End,
}

/// What has come of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Bytes that were not received yet.
    Bytes,
    /// An end or an error, and nothing before it.
    End,
}

impl Stream {
    pub(crate) fn new(reactor: Rc<Reactor>, slot: u32) -> Self {
        Self { reactor, slot }
    }

    /// The peer's address, while connected.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.with(|socket| match (&socket.ends, &socket.os) {
            (Some(ends), _) => Some(ends.remote),
            (None, Some(os)) => os.peer_addr().ok()?.as_socket(),
            (None, None) => None,
        })
    }

    /// Our own address of this connection.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.with(|socket| match (&socket.ends, &socket.os) {
            (Some(ends), _) => Ok(ends.local),
            (None, Some(os)) => {
                os.local_addr()?.as_socket().ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
            }
            (None, None) => Err(crate::socket::stopped()),
        })
    }

    /// Waits for bytes and shows them to `f`, which says how many it is done with; the rest stays. When it is done with
    /// none, the next receive waits until there are more, and shows all of them in one piece.
    ///
    /// Dropping the future loses nothing: received bytes belong to the socket. `f` may use other streams and may write
    /// to this one. An error of kind `QuotaExceeded` says that the reader took nothing of `receive_high_bytes`.
    pub async fn receive<R>(&self, f: impl FnOnce(&[u8]) -> (usize, R)) -> io::Result<Received<R>> {
        let loan = poll_fn(|cx| self.poll_loan(cx)).await?;
        Ok(loan.map_or(Received::End, |loan| Received::Bytes(loan.show(f))))
    }

    /// As [`Self::receive`], but `None` when there is nothing now.
    pub fn try_receive<R>(&self, f: impl FnOnce(&[u8]) -> (usize, R)) -> io::Result<Option<Received<R>>> {
        match self.loan()? {
            Poll::Ready(Some(loan)) => Ok(Some(Received::Bytes(loan.show(f)))),
            Poll::Ready(None) => Ok(Some(Received::End)),
            Poll::Pending => Ok(None),
        }
    }

    /// How much a receive is to bring at most, from now on: for a reader who may leave what is more, which is kept then. It is
    /// rounded up to KiB and 16 of them at most; `None` is as much as there is. What the ring is bringing already, it brings.
    pub fn set_sparing(&self, bytes_max: Option<usize>) {
        let io = &mut *self.reactor.io.borrow_mut();
        if let Some(socket) = io.table.sockets.get_mut(self.slot as usize) {
            socket.plainly = Plainly::of(bytes_max);
            io.driver.spare(&mut io.table, self.slot);
        }
    }

    /// Whether nothing has come that was not taken: neither bytes nor an end, nor word of any. A look at what is known
    /// already, which asks nobody.
    pub fn is_quiet(&self) -> bool {
        self.with(|socket| socket.queued == 0 && socket.end.is_none() && !socket.readable)
    }

    /// Waits until a receive would not wait.
    pub async fn readable(&self) -> io::Result<()> {
        poll_fn(|cx| self.poll_readable(cx)).await
    }

    /// As [`Self::readable`].
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let io = &mut *self.reactor.io.borrow_mut();
        if io.table.stopped {
            return Poll::Ready(Err(crate::socket::stopped()));
        }
        if io.driver.look(&mut io.table, self.slot) {
            let socket = &io.table.sockets[self.slot as usize];
            return Poll::Ready(match socket.end {
                Some(End::Error(errno)) if !socket.has_news() => Err(io::Error::from_raw_os_error(errno)),
                _ => Ok(()),
            });
        }
        if overfull(io, self.slot) {
            return Poll::Ready(Err(took_nothing()));
        }
        self.wait_for_bytes(io, cx);
        Poll::Pending
    }

    /// Ready when the peer has finished or failed and nothing that it sent is left to be received. It shows the bytes that
    /// wait to nobody, so that for the next receive they are as new as they were; while there are any it does not wake.
    pub fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self.look_for(cx, true) {
            Poll::Ready(News::End) => Poll::Ready(()),
            Poll::Ready(News::Bytes) | Poll::Pending => Poll::Pending,
        }
    }

    /// Ready when bytes wait to be received, or can't come any more; it shows them to nobody either.
    pub fn poll_news(&self, cx: &mut Context<'_>) -> Poll<News> {
        self.look_for(cx, false)
    }

    /// The same; what the kernel holds behind bytes that wait is asked for too if an end is looked for.
    fn look_for(&self, cx: &mut Context<'_>, end: bool) -> Poll<News> {
        let io = &mut *self.reactor.io.borrow_mut();
        if io.table.stopped {
            return Poll::Ready(News::End);
        }
        let socket = &mut io.table.sockets[self.slot as usize];
        if socket.queued == 0 || end {
            // What the kernel holds may be bytes or the end: only receiving it tells.
            socket.unsure = true;
            io.driver.look(&mut io.table, self.slot);
        }
        let socket = &io.table.sockets[self.slot as usize];
        match (socket.queued, socket.end) {
            (0, Some(_)) => Poll::Ready(News::End),
            (0, None) => {
                self.wait_for_bytes(io, cx);
                Poll::Pending
            }
            _ => Poll::Ready(News::Bytes),
        }
    }

    fn poll_loan(&self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Loan<'_>>>> {
        match self.loan() {
            Ok(Poll::Pending) => {
                self.wait_for_bytes(&mut self.reactor.io.borrow_mut(), cx);
                Poll::Pending
            }
            Ok(Poll::Ready(loan)) => Poll::Ready(Ok(loan)),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn wait_for_bytes(&self, io: &mut Io, cx: &mut Context<'_>) {
        let socket = &mut io.table.sockets[self.slot as usize];
        let replaced = socket.reader.replace(cx.waker().clone());
        io.table.retire(replaced, cx.waker());
    }

    /// Borrows received bytes from the socket. `Pending` when there are none, `None` at the end.
    fn loan(&self) -> io::Result<Poll<Option<Loan<'_>>>> {
        let io = &mut *self.reactor.io.borrow_mut();
        if io.table.stopped {
            return Err(crate::socket::stopped());
        }
        if io.table.sockets[self.slot as usize].lent {
            // A reader that receives from the very stream it is shown bytes of.
            return Ok(Poll::Pending);
        }
        if let Some(lent) = io.driver.lend(&mut io.table, self.slot) {
            let socket = &mut io.table.sockets[self.slot as usize];
            socket.lent = true;
            socket.starved = 0;
            return Ok(Poll::Ready(Some(Loan { stream: self, lent: Some(lent), consumed: 0 })));
        }
        match io.table.sockets[self.slot as usize].end {
            Some(End::Eof) => Ok(Poll::Ready(None)),
            Some(End::Error(errno)) => Err(io::Error::from_raw_os_error(errno)),
            None if overfull(io, self.slot) => Err(took_nothing()),
            None => Ok(Poll::Pending),
        }
    }

    /// Appends to what is sent at the end of this turn, one send for each stream. `f` may only append, and must not use
    /// the runtime.
    pub fn write(&self, f: impl FnOnce(&mut Vec<u8>)) {
        let mut gather = Gather::take(self);
        f(&mut gather.buffer);
    }

    /// Appends bytes that lie elsewhere. When they are many, what the kernel has room for goes at once, with what waits in
    /// front, and only the rest is copied, into no more memory than it takes.
    pub fn write_through(&self, bytes: &[u8]) {
        if bytes.len() < THROUGH_BYTES_MIN {
            return self.write(|out| out.extend_from_slice(bytes));
        }
        let io = &mut *self.reactor.io.borrow_mut();
        if io.table.stopped {
            return;
        }
        let taken = io.driver.send_through(&mut io.table, self.slot, bytes);
        io.table.wake_writer(self.slot);
        let socket = &mut io.table.sockets[self.slot as usize];
        // What will never be sent is not kept; the next wait tells the writer.
        if taken < bytes.len() && socket.failed.is_none() {
            socket.send.push_rest(&bytes[taken..], &io.table.buffers);
            written(io, self.slot);
        }
    }

    /// Appends a body without copying it, unless it is so short that copying is cheaper.
    pub fn write_shared(&self, bytes: Bytes) {
        let io = &mut *self.reactor.io.borrow_mut();
        let Some(socket) = io.table.sockets.get_mut(self.slot as usize) else { return };
        if bytes.is_empty() || socket.failed.is_some() || io.table.stopped {
            return;
        }
        socket.send.push_shared(bytes, &io.table.buffers);
        written(io, self.slot);
    }

    /// Bytes written and not handed to the kernel yet.
    pub fn unsent(&self) -> usize {
        self.with(|socket| socket.unsent())
    }

    /// Waits until fewer than `bytes` are unsent; an error says that sending failed. This is the back-pressure for writers.
    pub async fn sent_below(&self, bytes: usize) -> io::Result<()> {
        poll_fn(|cx| self.poll_sent_below(cx, bytes)).await
    }

    /// Waits until everything is handed to the kernel.
    pub async fn flushed(&self) -> io::Result<()> {
        self.sent_below(1).await
    }

    /// As [`Self::sent_below`].
    pub fn poll_sent_below(&self, cx: &mut Context<'_>, bytes: usize) -> Poll<io::Result<()>> {
        let io = &mut *self.reactor.io.borrow_mut();
        if io.table.stopped {
            return Poll::Ready(Err(crate::socket::stopped()));
        }
        let socket = &mut io.table.sockets[self.slot as usize];
        if let Some(error) = socket.failure() {
            return Poll::Ready(Err(error));
        }
        if socket.unsent() < bytes.max(1) {
            return Poll::Ready(Ok(()));
        }
        let replaced = socket.writer.replace(Box::new((bytes.max(1), cx.waker().clone())));
        io.table.retire(replaced.map(|writer| writer.1), cx.waker());
        Poll::Pending
    }

    /// Sends FIN after what is written so far. Receiving goes on.
    pub fn shutdown_write(&self) {
        let io = &mut *self.reactor.io.borrow_mut();
        if let Some(socket) = io.table.sockets.get_mut(self.slot as usize)
            && socket.shutdown == Shutdown::No
        {
            socket.shutdown = Shutdown::Wanted;
            io.table.mark_dirty(self.slot);
        }
    }

    /// Closes with RST, so that the peer cannot take what it got for the whole.
    pub fn abort(self) {
        let io = &mut *self.reactor.io.borrow_mut();
        // The drop that follows finds a socket that is closing or gone.
        io.driver.close(&mut io.table, self.slot, Close::Reset);
    }

    fn with<R>(&self, f: impl FnOnce(&Socket) -> R) -> R {
        f(&self.reactor.io.borrow().table.sockets[self.slot as usize])
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let io = &mut *self.reactor.io.borrow_mut();
        io.driver.close(&mut io.table, self.slot, Close::Plain);
    }
}

/// Sees to it that what was written is sent: at the end of the turn, or at once when it is much.
fn written(io: &mut Io, slot: u32) {
    let waiting = io.table.sockets[slot as usize].send.len();
    if waiting > 0 {
        io.table.mark_dirty(slot);
    }
    if waiting >= EAGER_BYTES {
        io.driver.flush_now(&mut io.table, slot);
    }
}

/// Whether a reader waits for more than the queue may hold.
fn overfull(io: &Io, slot: u32) -> bool {
    let socket = &io.table.sockets[slot as usize];
    socket.starved >= io.table.receive_high_bytes && !socket.has_news()
}

fn took_nothing() -> io::Error {
    io::Error::new(io::ErrorKind::QuotaExceeded, "the reader takes nothing, and the receive queue is full")
}

/// Received bytes on loan. They return to the socket when this is dropped, also by a panic of the reader.
struct Loan<'a> {
    stream: &'a Stream,
    lent: Option<Lent>,
    consumed: usize,
}

impl Loan<'_> {
    fn show<R>(mut self, f: impl FnOnce(&[u8]) -> (usize, R)) -> R {
        let bytes = self.lent.as_ref().map_or(&[][..], Lent::bytes);
        let (consumed, result) = f(bytes);
        debug_assert!(consumed <= bytes.len(), "a reader cannot take more than it was shown");
        self.consumed = consumed.min(bytes.len());
        result
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        let Some(lent) = self.lent.take() else { return };
        let length = lent.bytes().len();
        let slot = self.stream.slot;
        let io = &mut *self.stream.reactor.io.borrow_mut();
        if let Some(socket) = io.table.sockets.get_mut(slot as usize) {
            socket.lent = false;
            socket.starved = if self.consumed == 0 { length } else { 0 };
        }
        io.driver.give_back(&mut io.table, slot, lent, self.consumed);
    }
}

/// The gathered bytes on loan to a writer.
struct Gather<'a> {
    stream: &'a Stream,
    buffer: Vec<u8>,
    before: usize,
}

impl<'a> Gather<'a> {
    fn take(stream: &'a Stream) -> Self {
        let io = &mut *stream.reactor.io.borrow_mut();
        let socket = &mut io.table.sockets[stream.slot as usize];
        let buffer = socket.send.take_gather(&io.table.buffers);
        Self { stream, before: buffer.len(), buffer }
    }
}

impl Drop for Gather<'_> {
    fn drop(&mut self) {
        let io = &mut *self.stream.reactor.io.borrow_mut();
        let buffer = std::mem::take(&mut self.buffer);
        let Some(socket) = io.table.sockets.get_mut(self.stream.slot as usize) else { return };
        if socket.failed.is_some() || io.table.stopped {
            // Nobody will ever send it; the next wait tells the writer.
            io.table.buffers.recycle(buffer);
            return;
        }
        socket.send.put_gather(buffer, self.before, &io.table.buffers);
        written(io, self.stream.slot);
    }
}
