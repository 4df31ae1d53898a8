//! Bodies coming in. What has been shown and taken is given back as credit; nothing else is.

use std::task::{Context, Poll, ready};

use message::Headers;

use super::part::Part;
use super::streams::keep;
use super::{Code, fields};
use crate::Limits;
use crate::h1::head::Side;

/// A body coming in, of a request or of an answer. Dropped before its end, the stream is told that the rest is not
/// wanted once nobody has any part of it any more.
pub struct Receiver {
    part: Part,
    side: Side,
}

impl Receiver {
    pub(super) fn new(part: Part, side: Side) -> Self {
        part.shared.with(|engine| engine.streams.at(part.key).is_read = true);
        Self { part, side }
    }

    /// Shows the next run of body bytes to `take`, which says how many of them it took; what it leaves stays. `None`
    /// once the data has ended. An error says why the stream ended before that.
    pub fn poll_receive<R>(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&[u8]) -> (usize, R),
    ) -> Poll<Result<Option<R>, Code>> {
        ready!(self.poll_readable(cx));
        let Part { shared, key } = &self.part;
        // Shown outside of the connection's state: whoever takes it may do anything.
        let shown = shared.with(|engine| {
            let stream = engine.streams.at(*key);
            match stream.end {
                Some(end) if stream.body.is_empty() && !stream.peer_ended => Err(end.code()),
                _ => Ok(std::mem::take(&mut stream.body)),
            }
        });
        let mut body = match shown {
            Err(code) => return Poll::Ready(Err(code)),
            Ok(body) if body.is_empty() => return Poll::Ready(Ok(None)),
            Ok(body) => body,
        };
        let (taken, result) = take(body.bytes());
        let taken = taken.min(body.bytes().len());
        body.take(taken);
        shared.with(|engine| {
            let stream = engine.streams.at(*key);
            debug_assert!(stream.body.is_empty(), "nobody reads the connection meanwhile");
            stream.body = body;
            engine.tariff.moved(taken);
            engine.took(*key, taken);
        });
        Poll::Ready(Ok(Some(result)))
    }

    /// Ready when [`Receiver::poll_receive`] is.
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Part { shared, key } = &self.part;
        shared.with(|engine| {
            let stream = engine.streams.at(*key);
            if stream.is_readable() {
                return Poll::Ready(());
            }
            keep(&mut stream.reader, cx);
            Poll::Pending
        })
    }

    /// Whether nothing comes behind what is shown next: neither data nor trailers.
    pub fn is_last(&self) -> bool {
        let Part { shared, key } = &self.part;
        shared.with(|engine| {
            let stream = engine.streams.at(*key);
            stream.peer_ended && stream.trailers.is_none()
        })
    }

    /// Whether the data has ended and all of it was taken.
    pub fn is_ended(&self) -> bool {
        let Part { shared, key } = &self.part;
        shared.with(|engine| {
            let stream = engine.streams.at(*key);
            stream.peer_ended && stream.body.is_empty()
        })
    }

    /// After the data has ended: puts trailers that may go on in place of what is in `into`; `false` if there are none.
    pub fn poll_trailers(
        &mut self,
        cx: &mut Context<'_>,
        limits: &Limits,
        into: &mut Headers,
    ) -> Poll<Result<bool, Code>> {
        into.clear();
        let Part { shared, key } = &self.part;
        shared.with(|engine| {
            let stream = engine.streams.at(*key);
            match (stream.peer_ended, stream.end) {
                (false, Some(end)) => return Poll::Ready(Err(end.code())),
                (false, None) => {
                    keep(&mut stream.reader, cx);
                    return Poll::Pending;
                }
                (true, _) => {}
            }
            if let Some(trailers) = stream.trailers.take() {
                engine.trailer_bytes -= trailers.held_bytes();
                fields::read_trailers(&trailers, self.side, limits, into);
                engine.spare(trailers);
            }
            Poll::Ready(Ok(!into.is_empty()))
        })
    }
}

/// What has come is dropped with it.
impl Drop for Receiver {
    fn drop(&mut self) {
        let Part { shared, key } = &self.part;
        shared.with(|engine| {
            engine.streams.at(*key).is_read = false;
            engine.forget_received(*key);
        });
    }
}
