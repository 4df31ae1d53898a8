//! Bodies coming in. What has been shown and taken is given back as credit; nothing else is.

use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::RecvStream;
use message::Headers;

use super::Code;
use super::client::Seat;
use super::fields;
use super::link::Shared;
use crate::Limits;
use crate::h1::head::Side;

/// A body coming in, of a request or of an answer. Dropped before its end, the stream is told that the rest is not
/// wanted once nobody has any part of it any more.
pub struct Receiver {
    stream: RecvStream,
    shared: Rc<Shared>,
    side: Side,
    /// What was received and not taken.
    current: Bytes,
    state: State,
    /// That of a call, which ends when all its parts are gone.
    _seat: Option<Rc<Seat>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The data has ended; trailers may follow.
    Ended,
    Failed(Code),
}

impl Receiver {
    pub(super) fn new(stream: RecvStream, shared: Rc<Shared>, side: Side, seat: Option<Rc<Seat>>) -> Self {
        let state = if stream.is_end_stream() { State::Ended } else { State::Open };
        Self { stream, shared, side, current: Bytes::new(), state, _seat: seat }
    }

    /// Shows the next run of body bytes to `take`, which says how many of them it took; what it leaves stays. `None`
    /// once the data has ended. An error says why the stream ended before that.
    pub fn poll_receive<R>(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&[u8]) -> (usize, R),
    ) -> Poll<Result<Option<R>, Code>> {
        ready!(self.poll_readable(cx));
        if self.current.is_empty() {
            return Poll::Ready(match self.state {
                State::Failed(code) => Err(code),
                State::Open | State::Ended => Ok(None),
            });
        }
        let (taken, result) = take(&self.current);
        let taken = taken.min(self.current.len());
        self.current.advance(taken);
        // It fails for a stream that has ended, which has no window any more.
        if self.stream.flow_control().release_capacity(taken).is_ok() {
            self.shared.watch.borrow_mut().moved(taken);
        }
        Poll::Ready(Ok(Some(result)))
    }

    /// Ready when [`Receiver::poll_receive`] is.
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.current.is_empty() && self.state == State::Open {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(bytes)) => self.current = bytes,
                Some(Err(error)) => self.state = State::Failed(Code::of_error(&error)),
                None => self.state = State::Ended,
            }
        }
        Poll::Ready(())
    }

    /// Whether nothing comes behind what is shown next: neither data nor trailers.
    pub fn is_last(&self) -> bool {
        self.stream.is_end_stream()
    }

    /// Whether the data has ended and all of it was taken.
    pub fn is_ended(&self) -> bool {
        self.current.is_empty() && (self.state == State::Ended || self.stream.is_end_stream())
    }

    /// After the data has ended: puts trailers that may go on in place of what is in `into`; `false` if there are none.
    pub fn poll_trailers(
        &mut self,
        cx: &mut Context<'_>,
        limits: &Limits,
        into: &mut Headers,
    ) -> Poll<Result<bool, Code>> {
        into.clear();
        if let State::Failed(code) = self.state {
            return Poll::Ready(Err(code));
        }
        Poll::Ready(match ready!(self.stream.poll_trailers(cx)) {
            Ok(None) => Ok(false),
            Ok(Some(trailers)) => {
                self.shared.watch.borrow_mut().unread(self.stream.stream_id().as_u32());
                fields::read_trailers(&trailers, self.side, limits, into);
                Ok(!into.is_empty())
            }
            Err(error) => {
                let code = Code::of_error(&error);
                self.state = State::Failed(code);
                Err(code)
            }
        })
    }
}

/// What has come is dropped with it.
impl Drop for Receiver {
    fn drop(&mut self) {
        if self.side == Side::Client {
            self.shared.watch.borrow_mut().unread(self.stream.stream_id().as_u32());
        }
    }
}
