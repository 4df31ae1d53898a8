//! The two directions of an HTTP/2 stream, a client's or one to a backend. What its peer's windows have no room for waits
//! here and not in the protocol's own queues, so that it is known how much of it the peer has taken. It does not know what
//! the bytes are.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use exchange::grpc;
use message::Headers;
use runtime::{News, Received};
use wire::{
    Limits,
    h2::{Code, Receiver, Sender},
};

use crate::kept::Kept;

/// So many bytes of a body are taken even if there is no window for them: to know that there is more, and lest each byte
/// of credit from a peer that drips it is a read and a frame. Of a connection as much as the least that it is received from.
const AHEAD_OF_CONNECTION_BYTES: usize = 1 << 10;
/// Of a stream, whose bytes lie in memory whether they are taken or not: the less, the less its backend is asked for.
const AHEAD_OF_STREAM_BYTES: usize = 256;

/// What comes and what goes on one stream.
#[derive(Default)]
pub(crate) struct Flow {
    receiver: RefCell<Option<Receiver>>,
    out: RefCell<Out>,
}

/// What goes.
#[derive(Default)]
struct Out {
    sender: Option<Sender>,
    pieces: VecDeque<Bytes>,
    bytes: usize,
    /// What was written is all.
    ends: bool,
    /// To follow what was written. Few have any.
    trailers: Option<Box<Headers>>,
    /// The end has been sent.
    ended: bool,
    /// Nothing can be sent any more.
    failed: bool,
    /// All that was written, for as long as the peer may not have looked at it.
    kept: Option<Box<Kept>>,
    /// What the trailers say of a call of gRPC.
    grpc_status: Option<u8>,
}

impl Flow {
    /// Of which only the incoming side is there as yet.
    pub(crate) fn receiving(receiver: Receiver) -> Self {
        Self { receiver: RefCell::new(Some(receiver)), out: RefCell::default() }
    }

    /// Gets its incoming side.
    pub(crate) fn set_receiver(&self, receiver: Receiver) {
        *self.receiver.borrow_mut() = Some(receiver);
    }

    /// Gets its outgoing side, on which nothing goes any more if its end has been sent with its beginning.
    pub(crate) fn set_sender(&self, sender: Sender, ended: bool) {
        let out = &mut *self.out.borrow_mut();
        out.sender = Some(sender);
        (out.ends, out.ended) = (ended, ended);
    }

    /// Nothing can be sent.
    pub(crate) fn fail(&self) {
        self.out.borrow_mut().failed = true;
    }

    /// Ready when bytes, the end or a fault may be there.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut *self.receiver.borrow_mut() {
            Some(receiver) => receiver.poll_readable(cx),
            None => Poll::Ready(()),
        }
    }

    /// Shows what has come, if there is something now.
    pub(crate) fn try_receive<R>(
        &self,
        take: impl FnOnce(&[u8], bool) -> (usize, R),
    ) -> io::Result<Option<Received<R>>> {
        let mut receiver = self.receiver.borrow_mut();
        let Some(receiver) = &mut *receiver else { return Err(io::ErrorKind::NotConnected.into()) };
        let mut cx = Context::from_waker(Waker::noop());
        // Asked before its bytes are shown: then what is known is known of them.
        if receiver.poll_readable(&mut cx).is_pending() {
            return Ok(None);
        }
        let is_last = receiver.is_last();
        match receiver.poll_receive(&mut cx, |received| take(received, is_last)) {
            Poll::Pending => Ok(None),
            Poll::Ready(Ok(Some(taken))) => Ok(Some(Received::Bytes(taken))),
            Poll::Ready(Ok(None)) => Ok(Some(Received::End)),
            Poll::Ready(Err(_)) => Err(io::ErrorKind::ConnectionReset.into()),
        }
    }

    /// Ready when bytes wait to be received, or can't come any more; it takes none of them.
    pub(crate) fn poll_news(&self, cx: &mut Context<'_>) -> Poll<News> {
        ready!(self.poll_readable(cx));
        match self.try_receive(|_, _| (0, ())) {
            Ok(Some(Received::Bytes(()))) => Poll::Ready(News::Bytes),
            Ok(Some(Received::End) | None) | Err(_) => Poll::Ready(News::End),
        }
    }

    /// Whether all that comes has come and was taken.
    pub(crate) fn has_all(&self) -> bool {
        self.receiver.borrow().as_ref().is_none_or(Receiver::is_ended)
    }

    /// Reads over what comes, up to so many bytes. Ready at the end, or when there is no more to be read.
    pub(crate) fn poll_discard(&self, cx: &mut Context<'_>, left: &mut usize) -> Poll<()> {
        let mut receiver = self.receiver.borrow_mut();
        let Some(receiver) = &mut *receiver else { return Poll::Ready(()) };
        while *left > 0 {
            match ready!(receiver.poll_receive(cx, |received| (received.len(), received.len()))) {
                Ok(Some(bytes)) => *left = left.saturating_sub(bytes),
                Ok(None) | Err(_) => break,
            }
        }
        Poll::Ready(())
    }

    /// What stands behind the body, once that has ended.
    pub(crate) fn trailers(&self, limits: &Limits) -> io::Result<Option<Headers>> {
        let mut receiver = self.receiver.borrow_mut();
        let Some(receiver) = &mut *receiver else { return Ok(None) };
        let mut headers = Headers::default();
        match receiver.poll_trailers(&mut Context::from_waker(Waker::noop()), limits, &mut headers) {
            Poll::Ready(Ok(true)) => Ok(Some(headers)),
            Poll::Ready(Ok(false)) => Ok(None),
            // They come with the end, or it has not come.
            Poll::Ready(Err(_)) | Poll::Pending => Err(io::ErrorKind::ConnectionReset.into()),
        }
    }

    /// Appends to the body. Only what there is no room for is copied to wait.
    pub(crate) fn write(&self, data: &[u8], ends: bool) {
        self.keep(data, ends);
        let sent = self.out.borrow_mut().send_at_once(data, ends);
        if sent < data.len() {
            self.append(Bytes::copy_from_slice(&data[sent..]), ends);
        }
    }

    /// The same with bytes that others hold too.
    pub(crate) fn write_shared(&self, bytes: Bytes, ends: bool) {
        self.keep(&bytes, ends);
        self.send_or_append(bytes, ends);
    }

    fn send_or_append(&self, bytes: Bytes, ends: bool) {
        let sent = self.out.borrow_mut().send_at_once(&bytes, ends);
        if sent < bytes.len() {
            self.append(bytes.slice(sent..), ends);
        }
    }

    /// Keeps what is about to be written, whether it can be sent or not.
    fn keep(&self, data: &[u8], ends: bool) {
        let out = &mut *self.out.borrow_mut();
        if !out.ends {
            out.kept.take_if(|kept| !kept.push(data, ends));
        }
    }

    /// Lets bytes wait, of which there are some.
    fn append(&self, bytes: Bytes, ends: bool) {
        let out = &mut *self.out.borrow_mut();
        if out.failed || out.ends {
            return;
        }
        out.ends = ends;
        out.bytes += bytes.len();
        out.pieces.push_back(bytes);
    }

    /// The body has ended.
    pub(crate) fn end(&self) {
        self.write_shared(Bytes::new(), true);
    }

    /// The same, and this stands behind it.
    pub(crate) fn end_with(&self, trailers: Option<Headers>) -> io::Result<()> {
        if let Some(trailers) = trailers {
            let out = &mut *self.out.borrow_mut();
            out.grpc_status = grpc::status(&trailers);
            out.trailers = Some(Box::new(trailers));
            // They are not kept.
            out.kept = None;
        }
        self.end();
        if self.out.borrow().failed { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }

    /// Begins with what was kept of what is sent, and goes on keeping it.
    pub(crate) fn resume(&self, kept: Box<Kept>) {
        debug_assert!(!self.out.borrow().ends, "a body is resumed before anything is written");
        if !kept.is_untouched() {
            self.send_or_append(Bytes::copy_from_slice(kept.bytes()), kept.ends());
        }
        self.out.borrow_mut().kept = Some(kept);
    }

    /// All that was written, if it was kept; it is kept no longer.
    pub(crate) fn take_kept(&self) -> Option<Box<Kept>> {
        self.out.borrow_mut().kept.take()
    }

    /// How a call of gRPC has ended, if trailers have said so.
    pub(crate) fn grpc_status(&self) -> Option<u8> {
        self.out.borrow().grpc_status
    }

    /// Of so many bytes, which came on a stream or on a connection, how many the peer has room for, and a few more.
    pub(crate) fn room(&self, bytes: usize, of_stream: bool) -> usize {
        let Some(sender) = &mut self.out.borrow_mut().sender else { return bytes };
        let ahead = if of_stream { AHEAD_OF_STREAM_BYTES } else { AHEAD_OF_CONNECTION_BYTES };
        sender.room(bytes).max(ahead).min(bytes)
    }

    /// Bytes that the peer's windows let through now.
    pub(crate) fn window(&self) -> usize {
        self.out.borrow().sender.as_ref().map_or(0, Sender::window)
    }

    /// Bytes for which there was no room yet.
    pub(crate) fn unsent(&self) -> usize {
        self.out.borrow().bytes
    }

    /// Ready when fewer than so many bytes are unsent, or can't be sent any more.
    pub(crate) fn poll_sent_below(&self, cx: &mut Context<'_>, bytes: usize) -> Poll<io::Result<()>> {
        let out = &mut *self.out.borrow_mut();
        loop {
            out.pump();
            if out.failed {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            if out.bytes < bytes.max(1) {
                return Poll::Ready(Ok(()));
            }
            let Some(sender) = &mut out.sender else { return Poll::Pending };
            match sender.poll_room(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => out.failed = true,
            }
        }
    }

    /// Ready when the peer does not want what is sent, or has gone.
    pub(crate) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.out.borrow_mut().sender {
            Some(sender) => sender.poll_gone(cx),
            None => Poll::Pending,
        }
    }

    /// Ends the stream so that the peer can't take what it got for the whole; false where nothing was sent yet.
    pub(crate) fn reset(&self, code: Code) -> bool {
        let out = &mut *self.out.borrow_mut();
        out.failed = true;
        out.pieces.clear();
        out.bytes = 0;
        match &mut out.sender {
            Some(sender) => {
                sender.reset(code);
                true
            }
            None => false,
        }
    }
}

impl Out {
    /// Sends of the next bytes what there is room for, unless others wait; how many are done with.
    fn send_at_once(&mut self, data: &[u8], ends: bool) -> usize {
        if self.failed || self.ends {
            return data.len();
        }
        let has_trailers = self.trailers.is_some();
        let Some(sender) = &mut self.sender else {
            self.ends = ends && data.is_empty();
            return 0;
        };
        if !self.pieces.is_empty() {
            self.ends = ends && data.is_empty();
            return 0;
        }
        match sender.send_some(data, ends && !has_trailers) {
            Ok(sent) if sent == data.len() => {
                self.ends = ends;
                self.ended = ends && !has_trailers;
                self.pump();
                sent
            }
            Ok(sent) => sent,
            Err(_) => {
                self.failed = true;
                data.len()
            }
        }
    }

    /// Sends what there is room for.
    fn pump(&mut self) {
        if self.failed || self.ended {
            return;
        }
        if self.send().is_err() {
            self.failed = true;
            self.pieces.clear();
            self.bytes = 0;
        }
    }

    fn send(&mut self) -> Result<(), Code> {
        let Some(sender) = &mut self.sender else { return Ok(()) };
        while let Some(mut piece) = self.pieces.pop_front() {
            let room = sender.room(piece.len());
            if room < piece.len() {
                self.pieces.push_front(piece.split_off(room));
                if room == 0 {
                    return Ok(());
                }
            }
            self.bytes -= piece.len();
            let is_last = self.ends && self.pieces.is_empty() && self.trailers.is_none();
            self.ended = is_last;
            sender.send(piece, is_last)?;
        }
        if self.ends && !self.ended {
            self.ended = true;
            return match self.trailers.take() {
                Some(trailers) => sender.send_trailers(&trailers),
                None => sender.send(Bytes::new(), true),
            };
        }
        Ok(())
    }
}
