//! Connections to backends: many calls on one.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use h2::client::{Connection, ResponseFuture, SendRequest};
use message::{Authority, Method, Request, Response};

use super::link::{Io, Link, Shared};
use super::watch::Watch;
use super::{Code, Fault, Oddities, Receiver, Sender, Settings, request, response};
use crate::h1::head::Side;
use crate::{Error, Limits};

/// A connection to a backend, which does its work while it is polled. It ends when the last [`Caller`] and the last call
/// are gone; dropped it is gone, and its calls with it.
pub struct Client<L> {
    connection: Connection<Io<L>, Bytes>,
    shared: Rc<Shared>,
    oddities: Oddities,
    seats: Rc<Seats>,
    /// Streams that the backend allowed when we looked last.
    streams_max: usize,
}

/// Makes calls on one connection; clones are as good.
#[derive(Clone)]
pub struct Caller {
    requests: SendRequest<Bytes>,
    seats: Rc<Seats>,
    shared: Rc<Shared>,
}

/// Calls under way, and who waits for one of them to end.
#[derive(Default)]
pub(super) struct Seats {
    taken: Cell<usize>,
    waiting: RefCell<Vec<Waker>>,
}

/// One call under way; all its parts have it.
pub(super) struct Seat(Rc<Seats>);

impl<L: Link> Client<L> {
    /// For a fresh link. Writes the preface without asking for room.
    pub fn new(link: L, settings: &Settings) -> Result<(Self, Caller), Fault> {
        let oddities = Oddities::default();
        let shared = Shared::new(Watch::new(false, settings.head_list_bytes_max, oddities.clone()));
        shared.is_beginning.set(true);
        let handshake = pin!(settings.client().handshake(Io::new(link, Rc::clone(&shared))));
        let Poll::Ready(outcome) = handshake.poll(&mut Context::from_waker(Waker::noop())) else {
            debug_assert!(false, "a preface was not written at once");
            return Err(Fault::Link(std::io::ErrorKind::WouldBlock));
        };
        shared.is_beginning.set(false);
        let (requests, connection) = outcome.map_err(|error| Fault::of_error(&error))?;
        let seats = Rc::new(Seats::default());
        let caller = Caller { requests, seats: Rc::clone(&seats), shared: Rc::clone(&shared) };
        let streams_max = connection.max_concurrent_send_streams();
        Ok((Self { connection, shared, oddities, seats, streams_max }, caller))
    }

    /// Reads and writes what can be, until the connection has ended. The backend's `GOAWAY` without an error is a good end.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let outcome = Pin::new(&mut self.connection).poll(cx);
        let streams_max = self.connection.max_concurrent_send_streams();
        if streams_max != self.streams_max || outcome.is_ready() {
            self.streams_max = streams_max;
            self.seats.wake();
        }
        self.shared.wake_senders();
        if self.oddities.is_hard() {
            return Poll::Ready(Err(Fault::Flooded));
        }
        let mut watch = self.shared.watch.borrow_mut();
        if watch.is_turn_over() {
            cx.waker().wake_by_ref();
        }
        watch.begin_turn();
        outcome.map_err(|error| Fault::of_error(&error))
    }

    /// Whether the backend has said that it takes no more calls (RFC 9113 §6.8).
    pub fn is_leaving(&self) -> bool {
        self.shared.watch.borrow().has_goaway()
    }

    /// What the backend has done that is odd.
    pub fn oddities(&self) -> &Oddities {
        &self.oddities
    }
}

impl Caller {
    /// Ready when a call may be made without exceeding what the backend allows; an error when none ever will be.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Code>> {
        ready!(self.requests.poll_ready(cx)).map_err(|error| Code::of_error(&error))?;
        if self.seats.taken.get() < self.streams_max() {
            return Poll::Ready(Ok(()));
        }
        let mut waiting = self.seats.waiting.borrow_mut();
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Calls that the backend allows at once.
    pub fn streams_max(&self) -> usize {
        self.requests.current_max_send_streams()
    }

    /// Calls under way.
    pub fn streams(&self) -> usize {
        self.seats.taken.get()
    }

    /// Sends the head of a request to `authority`, which may be another than the one it came for. With `ends` it has no
    /// body. A request that HTTP/2 has no form for is an [`Code::InternalError`].
    pub fn call(
        &mut self,
        request: &Request,
        authority: &Authority,
        secure: bool,
        content_length: Option<u64>,
        ends: bool,
    ) -> Result<(Awaited, Sender), Code> {
        let request =
            request::write(request, authority, secure, content_length).ok_or(Code::InternalError)?;
        let (answer, stream) =
            self.requests.send_request(request, ends).map_err(|error| Code::of_error(&error))?;
        let seat = Rc::new(Seat::take(&self.seats));
        let sender = Sender::new(stream, Rc::clone(&self.shared), Some(Rc::clone(&seat)));
        let shared = Rc::clone(&self.shared);
        Ok((Awaited { answer: Some(answer), seat, shared }, sender))
    }
}

impl Seats {
    /// All of them, since whoever is woken may no longer want a call.
    fn wake(&self) {
        // One at a time: a waker may run anything, but not under our borrow.
        while let Some(waker) = self.next_waiting() {
            waker.wake();
        }
    }

    fn next_waiting(&self) -> Option<Waker> {
        self.waiting.borrow_mut().pop()
    }
}

impl Seat {
    fn take(seats: &Rc<Seats>) -> Self {
        seats.taken.set(seats.taken.get() + 1);
        Self(Rc::clone(seats))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.taken.set(self.0.taken.get() - 1);
        self.0.wake();
    }
}

/// The answer to a call, to come.
pub struct Awaited {
    /// Until the final head has come.
    answer: Option<ResponseFuture>,
    seat: Rc<Seat>,
    shared: Rc<Shared>,
}

/// Which head has come.
pub enum AnswerHead {
    /// 1xx: another one follows.
    Interim,
    /// The answer; its body follows, unless the response says that it has none.
    Final(Receiver),
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerFault {
    /// The backend's head is not one.
    Malformed(Error),
    /// The backend has not processed the request (REFUSED_STREAM, or a `GOAWAY` that leaves it out): another may.
    Refused,
    /// The backend ended the stream.
    Reset(Code),
    /// The connection has ended.
    Gone,
}

impl Awaited {
    /// Reads the next head into `into`, whose memory is kept; after the final one there is none.
    pub fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        limits: &Limits,
        request_method: &Method,
        into: &mut Response,
    ) -> Poll<Result<AnswerHead, AnswerFault>> {
        let Some(answer) = &mut self.answer else {
            return Poll::Ready(Err(AnswerFault::Gone));
        };
        match ready!(answer.poll_informational(cx)) {
            Some(Ok(interim)) => {
                let read = response::read(&interim, false, request_method, limits, into);
                return Poll::Ready(read.map(|()| AnswerHead::Interim).map_err(AnswerFault::Malformed));
            }
            Some(Err(error)) => return Poll::Ready(Err(AnswerFault::of(&error))),
            None => {}
        }
        let answer = match ready!(Pin::new(answer).poll(cx)) {
            Ok(answer) => answer,
            Err(error) => return Poll::Ready(Err(AnswerFault::of(&error))),
        };
        self.answer = None;
        let ends = answer.body().is_end_stream();
        if let Err(error) = response::read(&answer, ends, request_method, limits, into) {
            return Poll::Ready(Err(AnswerFault::Malformed(error)));
        }
        let (shared, seat) = (Rc::clone(&self.shared), Rc::clone(&self.seat));
        let receiver = Receiver::new(answer.into_body(), shared, Side::Upstream, Some(seat));
        Poll::Ready(Ok(AnswerHead::Final(receiver)))
    }
}

impl AnswerFault {
    fn of(error: &h2::Error) -> Self {
        match Code::of_error(error) {
            _ if error.is_io() => Self::Gone,
            _ if error.is_go_away() && error.is_remote() => Self::Refused,
            Code::RefusedStream if error.is_remote() => Self::Refused,
            code if error.is_reset() && error.is_remote() => Self::Reset(code),
            // The codec has found it to be malformed.
            _ if error.is_reset() => Self::Malformed(Error::Malformed),
            _ => Self::Gone,
        }
    }
}
