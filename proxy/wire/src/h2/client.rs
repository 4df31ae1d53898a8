//! Connections to backends: many calls on one.

use std::rc::Rc;
use std::task::{Context, Poll};

use message::{Authority, Method, Request, Response};

use super::drive::Driver;
use super::engine::{Leaving, Role, Shared};
use super::part::Part;
use super::streams::{End, Stream, keep};
use super::{Code, Fault, Link, Loan, Oddities, Receiver, Sender, Settings, request, response};
use crate::h1::head::Side;
use crate::{Error, Limits};

/// A connection to a backend, which does its work while it is polled. It ends when the last [`Caller`] and the last call
/// are gone; dropped it is gone, and its calls with it.
pub struct Client<L: Link> {
    driver: Driver<L>,
    oddities: Oddities,
}

/// Makes calls on one connection; clones are as good.
pub struct Caller {
    shared: Rc<Shared>,
}

impl<L: Link> Client<L> {
    /// For a fresh link. Writes the preface without asking for room.
    pub fn new(link: L, settings: &Settings) -> (Self, Caller) {
        let shared = Shared::new(Role::Client, settings);
        let oddities = shared.with(|engine| {
            engine.flush(&link, true);
            engine.tariff.oddities().clone()
        });
        let caller = Caller::new(&shared);
        (Self { driver: Driver::new(link, shared), oddities }, caller)
    }

    /// Reads and writes what can be, until the connection has ended. The backend's `GOAWAY` without an error is a good end.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.driver.poll(cx).map(|outcome| outcome.map(|_| ()))
    }

    /// Whether the backend has said that it takes no more calls (RFC 9113 §6.8).
    pub fn is_leaving(&self) -> bool {
        self.driver.shared.with(|engine| engine.goaway.is_some())
    }

    /// What the backend has done that is odd.
    pub fn oddities(&self) -> &Oddities {
        &self.oddities
    }
}

impl Caller {
    fn new(shared: &Rc<Shared>) -> Self {
        shared.with(|engine| engine.callers += 1);
        Self { shared: Rc::clone(shared) }
    }

    /// Ready when a call may be made without exceeding what the backend allows; an error when none ever will be.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Code>> {
        self.shared.with(|engine| {
            if engine.leaving == Leaving::Over || engine.goaway.is_some() || engine.next_id == 0 {
                return Poll::Ready(Err(Code::Cancel));
            }
            if engine.streams.len() < engine.peers_streams_max as usize {
                return Poll::Ready(Ok(()));
            }
            if !engine.waiting_calls.iter().any(|waker| waker.will_wake(cx.waker())) {
                engine.waiting_calls.push(cx.waker().clone());
            }
            Poll::Pending
        })
    }

    /// Calls that the backend allows at once.
    pub fn streams_max(&self) -> usize {
        self.shared.with(|engine| engine.peers_streams_max as usize)
    }

    /// Calls under way.
    pub fn streams(&self) -> usize {
        self.shared.with(|engine| engine.streams.len())
    }

    /// Sends the head of a request to `authority`, which may be another than the one it came for. With `ends` it has no
    /// body. What the backend may send ahead of whoever reads the answer is within `loan`, if there is one.
    pub fn call(
        &mut self,
        request: &Request,
        authority: &Authority,
        secure: bool,
        content_length: Option<u64>,
        ends: bool,
        loan: Option<Loan>,
    ) -> Result<(Awaited, Sender), Code> {
        let key = self.shared.with(|engine| {
            if engine.leaving == Leaving::Over || engine.goaway.is_some() || engine.next_id == 0 {
                return Err(Code::Cancel);
            }
            let id = engine.next_id;
            // Numbers are of 31 bits.
            engine.next_id = if id > i32::MAX as u32 - 2 { 0 } else { id + 2 };
            engine.tariff.opened();
            engine.write_head(id, ends, |encoder, out| {
                request::write(encoder, request, authority, secure, content_length, out);
            });
            let key = engine.streams.insert(Stream {
                id,
                we_ended: ends,
                has_head: true,
                is_bodiless: request.method == Method::Head,
                is_read: true,
                window: engine.initial_window,
                peers_window: engine.peers_initial_window,
                ..Stream::default()
            });
            engine.begin_ahead(key, loan);
            Ok(key)
        })?;
        let part = Part::new(&self.shared, key);
        Ok((Awaited { part: Some(part.clone()) }, Sender::new(part)))
    }
}

impl Clone for Caller {
    fn clone(&self) -> Self {
        Self::new(&self.shared)
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.shared.with(|engine| {
            engine.callers -= 1;
            if engine.callers == 0 {
                engine.stir();
            }
        });
    }
}

/// The answer to a call, to come.
pub struct Awaited {
    /// Until the final head has come.
    part: Option<Part>,
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
        let Some(part) = &self.part else { return Poll::Ready(Err(AnswerFault::Gone)) };
        let read = part.shared.with(|engine| {
            let stream = engine.streams.at(part.key);
            let Some(head) = stream.heads.pop() else {
                return match stream.end {
                    Some(end) => Poll::Ready(Err(AnswerFault::of(end))),
                    None => {
                        keep(&mut stream.reader, cx);
                        Poll::Pending
                    }
                };
            };
            let read = response::read(&head, request_method, limits, into);
            engine.spare(head);
            Poll::Ready(read.map_err(AnswerFault::Malformed))
        });
        match read {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(fault)) => return Poll::Ready(Err(fault)),
            Poll::Ready(Ok(())) => {}
        }
        if into.status < 200 {
            return Poll::Ready(Ok(AnswerHead::Interim));
        }
        Poll::Ready(match self.part.take() {
            Some(part) => Ok(AnswerHead::Final(Receiver::new(part, Side::Upstream))),
            None => Err(AnswerFault::Gone),
        })
    }
}

impl AnswerFault {
    fn of(end: End) -> Self {
        match end {
            End::Reset(Code::RefusedStream) | End::Refused => Self::Refused,
            End::Reset(code) => Self::Reset(code),
            End::Fault(_) => Self::Malformed(Error::Malformed),
            End::Own(_) | End::Gone => Self::Gone,
        }
    }
}
