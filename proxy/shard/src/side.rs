//! One end of a body's way: an HTTP/1 connection, which the body has for itself, or a stream among others of an HTTP/2
//! connection. Who moves bodies sees no difference but this: where bytes end is told by a framing that is ours to read
//! (HTTP/1), or by the protocol below (HTTP/2).

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll},
};

use runtime::{News, Received};
use wire::{Limits, h1};

use crate::{flow::Flow, relay::UNSENT_BYTES_HIGH, transport::Transport};

/// What a connection of HTTP/1 is given at once: as much as one of HTTP/2 reads before others have their turn. A stream of a backend
/// may have four times as much lying there.
const STEP_BYTES_MAX: usize = 64 << 10;

/// One end of a body's way.
#[derive(Clone, Copy)]
pub(crate) enum Side<'a> {
    Http1(&'a Transport),
    Http2(&'a Flow),
}

impl Side<'_> {
    /// Shows one run of received bytes to `take`, with the word whether it is the last of its body so far as that is
    /// known; `take` says how many it took. What it leaves stays. Dropping the future loses nothing.
    pub(crate) async fn receive<R>(
        self,
        take: impl FnOnce(&[u8], bool) -> (usize, R),
    ) -> io::Result<Received<R>> {
        match self {
            Self::Http1(transport) => transport.receive(|received| take(received, false)).await,
            Self::Http2(flow) => {
                let mut take = Some(take);
                loop {
                    poll_fn(|cx| flow.poll_readable(cx)).await;
                    let shown = flow.try_receive(|received, is_last| match take.take() {
                        Some(take) => {
                            let (bytes, taken) = take(received, is_last);
                            (bytes, Some(taken))
                        }
                        // Shown to nobody twice.
                        None => (0, None),
                    })?;
                    match shown {
                        Some(Received::Bytes(Some(taken))) => return Ok(Received::Bytes(taken)),
                        Some(Received::End) => return Ok(Received::End),
                        Some(Received::Bytes(None)) => return Err(io::ErrorKind::Other.into()),
                        None => {}
                    }
                }
            }
        }
    }

    /// The same if there are bytes or the end is reached now.
    pub(crate) fn try_receive<R>(
        self,
        take: impl FnOnce(&[u8], bool) -> (usize, R),
    ) -> io::Result<Option<Received<R>>> {
        match self {
            Self::Http1(transport) => transport.try_receive(|received| take(received, false)),
            Self::Http2(flow) => flow.try_receive(take),
        }
    }

    /// Ready when bytes wait to be received, or can't come any more; it takes none of them.
    pub(crate) fn poll_news(self, cx: &mut Context<'_>) -> Poll<News> {
        match self {
            Self::Http1(transport) => transport.poll_news(cx),
            Self::Http2(flow) => flow.poll_news(cx),
        }
    }

    /// Passes a run of a body on. `chunked` is for a connection whose bodies are framed by us; `ends`: it is the last run.
    pub(crate) fn pass(self, data: &[u8], chunked: bool, ends: bool) {
        match self {
            Self::Http1(transport) if chunked => transport.write(|out| h1::encode_chunk(data, out)),
            Self::Http1(transport) => transport.write_through(data),
            Self::Http2(flow) => flow.write(data, ends),
        }
    }

    /// The body has ended.
    pub(crate) fn end(self, chunked: bool) {
        match self {
            Self::Http1(transport) if chunked => transport.write(h1::encode_last_chunk),
            Self::Http1(_) => {}
            Self::Http2(flow) => flow.end(),
        }
    }

    /// After the end of what `from` sent: what it says behind its body goes on where both sides have a place for it that
    /// nobody takes for something else.
    pub(crate) fn end_after(self, from: Side<'_>, chunked: bool) -> io::Result<()> {
        match (self, from) {
            (Self::Http2(to), Side::Http2(from)) => to.end_with(from.trailers(&Limits::UPSTREAM)?),
            (to, _) => {
                to.end(chunked);
                Ok(())
            }
        }
    }

    /// Of so many bytes of a body that came `from` there how many are best taken now: more would only wait here.
    pub(crate) fn room(self, bytes: usize, from: Side<'_>) -> usize {
        match self {
            Self::Http1(_) => bytes.min(STEP_BYTES_MAX),
            Self::Http2(flow) => flow.room(bytes, matches!(from, Side::Http2(_))),
        }
    }

    /// Has no more brought at once than `to` takes now, where that is known: what is more would only wait here.
    pub(crate) fn spare(self, to: Side<'_>) {
        if let (Self::Http1(transport), Side::Http2(flow)) = (self, to) {
            transport.set_sparing(Some(flow.window()));
        }
    }

    /// Bytes that wait to be sent.
    pub(crate) fn unsent(self) -> usize {
        match self {
            Self::Http1(transport) => transport.unsent(),
            Self::Http2(flow) => flow.unsent(),
        }
    }

    /// Above so many unsent bytes the sender is not read. What an HTTP/2 stream cannot send its peer's windows forbid: the
    /// kernel's queue is kept busy by others.
    pub(crate) fn unsent_bytes_high(self) -> usize {
        match self {
            Self::Http1(_) => UNSENT_BYTES_HIGH,
            Self::Http2(_) => 1,
        }
    }

    /// Waits until fewer than so many bytes are unsent; an error says that the receiver has gone.
    pub(crate) async fn sent_below(self, bytes: usize) -> io::Result<()> {
        match self {
            Self::Http1(transport) => transport.sent_below(bytes).await,
            Self::Http2(flow) => poll_fn(|cx| flow.poll_sent_below(cx, bytes)).await,
        }
    }

    /// Whether what was written goes out without anybody waiting for it.
    pub(crate) fn sends_by_itself(self) -> bool {
        match self {
            Self::Http1(_) => true,
            Self::Http2(flow) => flow.unsent() == 0,
        }
    }
}
