//! Answers and bodies going out, within the windows that the peer gives.

use std::task::{Context, Poll};

use bytes::Bytes;
use message::{Headers, Response};

use super::ledger::{HeldHead, Loan};
use super::part::Part;
use super::streams::keep;
use super::{Code, response};

/// The right to answer one request. Dropped without an answer it resets the stream, once nobody has any part of it.
pub struct Reply {
    part: Part,
    /// The head that is answered.
    held: Option<HeldHead>,
    is_excused: bool,
}

impl Reply {
    pub(super) fn new(part: Part) -> Self {
        Self { part, held: None, is_excused: false }
    }

    /// For as long as the answer is not sent, this head is held.
    pub(super) fn hold(&mut self, held: Option<HeldHead>) {
        self.held = held;
    }

    /// The head, if it counts.
    pub(super) fn held(&self) -> Option<&HeldHead> {
        self.held.as_ref()
    }

    /// The number of the stream.
    pub(super) fn id(&self) -> u32 {
        self.part.shared.with(|engine| engine.streams.id(self.part.key))
    }

    /// Bytes of a body that the client's windows let through now.
    pub fn window(&self) -> usize {
        self.part.shared.with(|engine| engine.stream_window(self.part.key))
    }

    /// By which a call is made for this request: what its backend may send ahead counts for the client's connection.
    pub fn loan(&self) -> Loan {
        Loan::new(&self.part.shared)
    }

    /// Sends an interim answer: 100 to 199, not 101.
    pub fn interim(&mut self, status: u16, headers: &Headers) -> Result<(), Code> {
        debug_assert!((100..=199).contains(&status) && status != 101);
        self.part.shared.with(|engine| {
            let stream = engine.streams.at(self.part.key);
            let id = stream.id;
            match stream.end {
                Some(end) => return Err(end.code()),
                None if stream.has_head => return Err(Code::StreamClosed),
                None => {}
            }
            engine.write_head(id, false, |encoder, out| {
                response::write_interim(encoder, status, headers, out);
            });
            Ok(())
        })
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
        let Part { shared, key } = &self.part;
        shared.with(|engine| {
            let stream = engine.streams.at(*key);
            let id = stream.id;
            match stream.end {
                Some(end) => return Err(end.code()),
                None if stream.has_head => return Err(Code::StreamClosed),
                None => stream.has_head = true,
            }
            engine.write_head(id, ends, |encoder, out| {
                response::write(encoder, response, content_length, date, out);
            });
            if ends {
                engine.end_stream(*key);
            }
            Ok(())
        })?;
        let mut sender = Sender::new(self.part.clone());
        sender._held = self.held.take();
        Ok(sender)
    }

    /// Ready when the client has given up the stream or the connection is dead.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.part.poll_gone(cx)
    }

    /// Whether it was not the client that ended the stream but we, for a fault of the client's.
    pub fn was_refused(&self) -> bool {
        self.part.was_ended_here()
    }

    /// What the client has given up it had waited for a while, as far as its own deadline allows: that is not odd. For
    /// those who have a clock, when [`Reply::poll_gone`] is ready.
    pub fn excuse(&mut self) {
        if !std::mem::replace(&mut self.is_excused, true) {
            self.part.shared.with(|engine| engine.tariff.excuse());
        }
    }

    /// Ends the stream without an answer, for a reason of ours: whatever `code` says, it is not counted as an oddity.
    pub fn reset(&mut self, code: Code) {
        self.part.reset(code);
    }
}

/// A body going out, of an answer or of a request. Dropped before its end it resets the stream, once nobody has any part
/// of it.
pub struct Sender {
    part: Part,
    /// Bytes that were asked for last.
    wanted: usize,
    _held: Option<HeldHead>,
}

impl Sender {
    pub(super) fn new(part: Part) -> Self {
        Self { part, wanted: 1, _held: None }
    }

    /// Bytes that the peer's windows let through now.
    pub fn window(&self) -> usize {
        self.part.shared.with(|engine| engine.stream_window(self.part.key))
    }

    /// Bytes that the peer's windows, and our own bound for the connection, have room for now, at most `want`; what
    /// [`Sender::poll_room`] waits for.
    pub fn room(&mut self, want: usize) -> usize {
        self.wanted = want.max(1);
        self.part.shared.with(|engine| engine.room(self.part.key)).min(want)
    }

    /// Ready when there is room for some of what [`Sender::room`] was asked for, or never will be.
    pub fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Code>> {
        let Part { shared, key } = &self.part;
        shared.with(|engine| {
            let room = engine.room(*key).min(self.wanted);
            if room > 0 {
                return Poll::Ready(Ok(room));
            }
            let stream = engine.streams.at(*key);
            match stream.end {
                Some(end) => return Poll::Ready(Err(end.code())),
                None if stream.we_ended => return Poll::Ready(Err(Code::StreamClosed)),
                None => {}
            }
            keep(&mut stream.writer, cx);
            engine.wait(*key);
            Poll::Pending
        })
    }

    /// Sends bytes; with `ends` they are the last. More than there is room for waits for room, so that the bound of what
    /// waits is the caller's to keep.
    pub fn send(&mut self, bytes: Bytes, ends: bool) -> Result<(), Code> {
        self.part.shared.with(|engine| engine.send(self.part.key, bytes, ends))
    }

    /// Sends as much of `bytes` as there is room for, and says how much that is; with `ends` they are the last. Nothing of
    /// them waits here.
    pub fn send_some(&mut self, bytes: &[u8], ends: bool) -> Result<usize, Code> {
        let Part { shared, key } = &self.part;
        shared.with(|engine| {
            let stream = engine.streams.at(*key);
            match stream.end {
                Some(end) => Err(end.code()),
                None if stream.we_ended || stream.pending.ends => Err(Code::StreamClosed),
                None => Ok(engine.write_data(*key, bytes, ends)),
            }
        })
    }

    /// Ends the body with trailers.
    pub fn send_trailers(&mut self, trailers: &Headers) -> Result<(), Code> {
        self.part.shared.with(|engine| engine.send_trailers(self.part.key, trailers))
    }

    /// Ready when the peer has given up the stream or the connection is dead.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.part.poll_gone(cx)
    }

    /// Ends the stream, for a reason of ours: whatever `code` says, it is not counted as an oddity.
    pub fn reset(&mut self, code: Code) {
        self.part.reset(code);
    }
}
