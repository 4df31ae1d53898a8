//! Answers and bodies going out, within the windows that the peer gives.

use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::SendStream;
use h2::server::SendResponse;
use message::{Headers, Response};

use super::client::Seat;
use super::fields::{self, OF_THE_HOP};
use super::ledger::HeldHead;
use super::link::Shared;
use super::{Code, response};

/// The right to answer one request. Dropped without an answer it resets the stream, once nobody has any part of it.
pub struct Reply {
    stream: SendResponse<Bytes>,
    shared: Rc<Shared>,
    /// The head that is answered.
    held: Option<HeldHead>,
    is_excused: bool,
}

impl Reply {
    pub(super) fn new(stream: SendResponse<Bytes>, shared: Rc<Shared>) -> Self {
        Self { stream, shared, held: None, is_excused: false }
    }

    /// For as long as the answer is not sent, this head is held.
    pub(super) fn hold(&mut self, held: HeldHead) {
        self.held = Some(held);
    }

    /// The number of the stream.
    pub(super) fn id(&self) -> u32 {
        self.stream.stream_id().as_u32()
    }

    /// Sends an interim answer: 100 to 199, not 101.
    pub fn interim(&mut self, status: u16, headers: &Headers) -> Result<(), Code> {
        debug_assert!((100..=199).contains(&status) && status != 101);
        let interim = response::write_interim(status, headers);
        self.stream.send_informational(interim).map_err(|error| Code::of_error(&error))
    }

    /// Sends the head of the final answer, the only one. `content_length` is what its field says, also where no body
    /// follows (HEAD, 304). With `ends` nothing follows.
    pub fn answer(
        &mut self,
        response: &Response,
        content_length: Option<u64>,
        date: &[u8; 29],
        ends: bool,
    ) -> Result<Sender, Code> {
        let head = response::write(response, content_length, date);
        let stream = self.stream.send_response(head, ends).map_err(|error| Code::of_error(&error))?;
        let mut sender = Sender::new(stream, Rc::clone(&self.shared), None);
        sender._held = self.held.take();
        Ok(sender)
    }

    /// Answers in place of all that the stream was for, with a short body. Once it has gone the client is told to leave
    /// out what it has not sent (`NO_ERROR`, RFC 9113 §8.1), as soon as nobody has a [`Receiver`](super::Receiver).
    pub fn refuse(mut self, response: &Response, body: Bytes, date: &[u8; 29]) -> Result<(), Code> {
        let ends = body.is_empty();
        let mut sender = self.answer(response, Some(body.len() as u64), date, ends)?;
        if ends { Ok(()) } else { sender.send(body, true) }
    }

    /// Ready when the client has given up the stream or the connection is dead. Before the answer only.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.stream.poll_reset(cx).map(|_| ())
    }

    /// What the client has given up it had waited for a while, as far as its own deadline allows: that is not odd. For
    /// those who have a clock, when [`Reply::poll_gone`] is ready.
    pub fn excuse(&mut self) {
        if !std::mem::replace(&mut self.is_excused, true) {
            self.shared.watch.borrow_mut().excuse();
        }
    }

    /// Ends the stream without an answer, for a reason of ours: whatever `code` says, it is not counted as an oddity.
    pub fn reset(&mut self, code: Code) {
        self.shared.watch.borrow_mut().resets(code);
        self.stream.send_reset(code.reason());
    }
}

/// A body going out, of an answer or of a request. Dropped before its end it resets the stream, once nobody has any part
/// of it.
pub struct Sender {
    stream: SendStream<Bytes>,
    /// Bytes that were asked for last.
    wanted: usize,
    shared: Rc<Shared>,
    _held: Option<HeldHead>,
    _seat: Option<Rc<Seat>>,
}

impl Sender {
    pub(super) fn new(stream: SendStream<Bytes>, shared: Rc<Shared>, seat: Option<Rc<Seat>>) -> Self {
        Self { stream, wanted: 1, shared, _held: None, _seat: seat }
    }

    /// Bytes that the peer's windows, and our own bound for the connection, have room for now, at most `want`; asks for as
    /// much.
    pub fn room(&mut self, want: usize) -> usize {
        self.granted(want).min(self.shared.queue_room())
    }

    /// What the windows have room for.
    fn granted(&mut self, want: usize) -> usize {
        self.wanted = want.max(1);
        self.stream.reserve_capacity(self.wanted);
        self.stream.capacity().min(want)
    }

    /// Ready when there is room for some of what [`Sender::room`] was asked for, or never will be.
    pub fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Code>> {
        loop {
            let granted = self.granted(self.wanted);
            let room = granted.min(self.shared.queue_room());
            if room > 0 {
                return Poll::Ready(Ok(room));
            }
            if granted > 0 {
                // Much lies with the codec that the peer does not read. It may also give up.
                self.shared.ledger.wait(cx.waker());
                return self.poll_why(cx).map(Err);
            }
            match ready!(self.stream.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(Code::of_error(&error))),
                None => {
                    return Poll::Ready(Err(match self.poll_why(cx) {
                        Poll::Ready(code) => code,
                        Poll::Pending => Code::StreamClosed,
                    }));
                }
            }
        }
    }

    /// Why the stream is no longer one to send on, once it is not.
    fn poll_why(&mut self, cx: &mut Context<'_>) -> Poll<Code> {
        self.stream.poll_reset(cx).map(|reset| match reset {
            Ok(reason) => Code::of_reason(reason),
            Err(error) => Code::of_error(&error),
        })
    }

    /// Sends bytes; with `ends` they are the last. More than there is room for waits for room, so that the bound of what
    /// waits is the caller's to keep.
    pub fn send(&mut self, bytes: Bytes, ends: bool) -> Result<(), Code> {
        let (stream, length) = (self.stream.stream_id().as_u32(), bytes.len());
        self.stream.send_data(bytes, ends).map_err(|error| Code::of_error(&error))?;
        self.shared.watch.borrow_mut().queue(stream, length);
        Ok(())
    }

    /// Ends the body with trailers.
    pub fn send_trailers(&mut self, trailers: &Headers) -> Result<(), Code> {
        let trailers = fields::write(trailers, OF_THE_HOP, 0);
        self.stream.send_trailers(trailers).map_err(|error| Code::of_error(&error))
    }

    /// Ready when the peer has given up the stream or the connection is dead.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.stream.poll_reset(cx).map(|_| ())
    }

    /// Ends the stream, for a reason of ours: whatever `code` says, it is not counted as an oddity.
    pub fn reset(&mut self, code: Code) {
        self.shared.watch.borrow_mut().resets(code);
        self.stream.send_reset(code.reason());
    }
}
