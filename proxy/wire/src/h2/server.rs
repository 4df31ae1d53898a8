//! Connections of clients.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::{Connection, Handshake, SendResponse};
use message::{PathRules, Request};

use super::ledger::{HEADS_BYTES_MAX, HeldHead};
use super::link::{Io, Link, Shared};
use super::request::{self, RequestHead};
use super::watch::{BAD_HEAD_POINTS, Watch};
use super::{Code, Fault, Oddities, Receiver, Reply, Settings};
use crate::h1::head::Side;
use crate::{Error, Limits};

/// The connection of a client. It does its work while it is polled; dropped it is gone, and its streams with it.
pub struct Server<L> {
    state: State<L>,
    shared: Rc<Shared>,
    oddities: Oddities,
    /// Bytes that streams may send ahead, where the client has not been told yet.
    stream_window: Option<u32>,
    leaving: Leaving,
}

enum State<L> {
    Beginning(Handshake<Io<L>, Bytes>),
    Open(Connection<Io<L>, Bytes>),
    Over,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaving {
    Not,
    /// No new streams; `true` once the client is being told.
    Gently(bool),
    Now(Code, bool),
}

impl<L: Link> Server<L> {
    /// For a link on which the client's preface is the next to come.
    pub fn new(link: L, settings: &Settings) -> Self {
        let oddities = Oddities::default();
        let shared = Shared::new(Watch::new(true, settings.head_list_bytes_max, oddities.clone()));
        let handshake = settings.server().handshake(Io::new(link, Rc::clone(&shared)));
        Self {
            state: State::Beginning(handshake),
            shared,
            oddities,
            stream_window: None,
            leaving: Leaving::Not,
        }
    }

    /// Reads and writes what can be, and hands out the next request. `None`: the connection has ended, as one of us
    /// wished. After an error it has ended too, and the client was told why, if it was its fault. Streams live on only as long as this is polled.
    ///
    /// Soft and hard limits of oddities are kept here: from the one on it goes away, at the other it ends.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Incoming, Fault>>> {
        if let State::Beginning(handshake) = &mut self.state {
            match ready!(Pin::new(handshake).poll(cx)) {
                Ok(connection) => self.state = State::Open(connection),
                Err(error) => return self.end(Some(Fault::of_error(&error))),
            }
        }
        loop {
            self.tell();
            let State::Open(connection) = &mut self.state else { return Poll::Ready(None) };
            match connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, reply)))) => {
                    let incoming = Incoming::new(request, reply, &self.shared, &self.oddities);
                    self.shared.watch.borrow_mut().serves(incoming.id());
                    return Poll::Ready(Some(Ok(incoming)));
                }
                Poll::Ready(Some(Err(error))) => return self.end(Some(Fault::of_error(&error))),
                Poll::Ready(None) => return self.end(None),
                // What was just read may have been the acknowledgement.
                Poll::Pending if self.tell_window() => {}
                Poll::Pending => {
                    let sentence = self.sentence();
                    // What came before a fault has been read by now.
                    if let Some(code) = sentence
                        && !matches!(self.leaving, Leaving::Now(..))
                    {
                        self.leaving = Leaving::Now(code, false);
                        continue;
                    }
                    self.shared.wake_senders();
                    let mut watch = self.shared.watch.borrow_mut();
                    if watch.is_turn_over() && sentence.is_none() {
                        cx.waker().wake_by_ref();
                    }
                    watch.begin_turn();
                    return Poll::Pending;
                }
            }
        }
    }

    fn end(&mut self, fault: Option<Fault>) -> Poll<Option<Result<Incoming, Fault>>> {
        self.state = State::Over;
        let fault = match self.sentence() {
            Some(Code::EnhanceYourCalm) => Some(Fault::Flooded),
            Some(code) => Some(Fault::Broken(code)),
            None => fault,
        };
        Poll::Ready(fault.map(Err))
    }

    /// With which code the connection is to end, by what the client has done.
    fn sentence(&self) -> Option<Code> {
        if self.oddities.is_hard() {
            return Some(Code::EnhanceYourCalm);
        }
        self.shared.watch.borrow().fault()
    }

    /// Tells the codec what was decided since.
    fn tell(&mut self) {
        let State::Open(connection) = &mut self.state else { return };
        if self.oddities.is_hard() && !matches!(self.leaving, Leaving::Now(..)) {
            self.leaving = Leaving::Now(Code::EnhanceYourCalm, false);
        } else if self.oddities.is_soft() && self.leaving == Leaving::Not {
            self.leaving = Leaving::Gently(false);
        }
        match &mut self.leaving {
            Leaving::Gently(told @ false) => {
                *told = true;
                connection.graceful_shutdown();
            }
            Leaving::Now(code, told @ false) => {
                *told = true;
                connection.abrupt_shutdown(code.reason());
            }
            Leaving::Not | Leaving::Gently(true) | Leaving::Now(_, true) => {}
        }
        self.tell_window();
    }

    /// One change of settings at a time: the next may go when the client has acknowledged the one before.
    fn tell_window(&mut self) -> bool {
        let (State::Open(connection), Some(bytes)) = (&mut self.state, self.stream_window) else {
            return false;
        };
        let told = connection.set_initial_window_size(bytes).is_ok();
        self.stream_window = self.stream_window.filter(|_| !told);
        told
    }

    /// What the client has done that is odd.
    pub fn oddities(&self) -> &Oddities {
        &self.oddities
    }

    /// Takes no new streams, in two steps (RFC 9113 §6.8); [`Server::poll`] ends when those under way have.
    pub fn go_away(&mut self) {
        if self.leaving == Leaving::Not {
            self.leaving = Leaving::Gently(false);
        }
    }

    /// Ends all streams and the connection with `code`. Poll until it has ended.
    pub fn kill(&mut self, code: Code) {
        if !matches!(self.leaving, Leaving::Now(..)) {
            self.leaving = Leaving::Now(code, false);
        }
    }

    /// Bytes that each stream may send ahead from now on, at most 2³¹−1.
    pub fn set_stream_window(&mut self, bytes: u32) {
        self.stream_window = Some(bytes.min(i32::MAX as u32));
    }

    /// Whether any stream is under way.
    pub fn has_streams(&self) -> bool {
        match &self.state {
            State::Open(connection) => connection.has_streams(),
            State::Beginning(_) | State::Over => false,
        }
    }

    /// Whether the client has begun a frame or a header block, or its preface, and not ended it.
    pub fn is_inside_head(&self) -> bool {
        self.shared.watch.borrow().is_inside_head()
    }
}

/// A request as it came in.
pub struct Incoming {
    head: http::Request<()>,
    receiver: Receiver,
    reply: Reply,
    shared: Rc<Shared>,
    oddities: Oddities,
}

impl Incoming {
    fn new(
        request: http::Request<RecvStream>,
        reply: SendResponse<Bytes>,
        shared: &Rc<Shared>,
        oddities: &Oddities,
    ) -> Self {
        let (head, body) = request.into_parts();
        Self {
            head: http::Request::from_parts(head, ()),
            receiver: Receiver::new(body, Rc::clone(shared), Side::Client, None),
            reply: Reply::new(reply, Rc::clone(shared)),
            shared: Rc::clone(shared),
            oddities: oddities.clone(),
        }
    }

    /// Reads the head into `into`, whose memory is kept: method, target, authority, version, end-to-end fields (crumbs
    /// of cookies joined), body. The scheme is the caller's to set: what the client says of it has to be one of HTTP's,
    /// and is of no consequence. On an error `into` is empty, and the stream is to be refused with the error's status.
    ///
    /// Heads count against a bound of the connection until their answers are sent.
    pub fn read(
        &mut self,
        limits: &Limits,
        rules: PathRules,
        into: &mut Request,
    ) -> Result<RequestHead, Error> {
        let ends = self.receiver.is_ended();
        let read = request::read(&self.head, ends, limits, rules, into).and_then(|head| {
            let bytes = into.headers.bytes() + into.target.raw().len();
            let held = HeldHead::new(&self.shared, into.headers.len(), bytes);
            self.reply.hold(held.ok_or(Error::HeadsTooLong { max: HEADS_BYTES_MAX })?);
            Ok(head)
        });
        if read.is_err() {
            into.clear();
            self.oddities.add(BAD_HEAD_POINTS);
        }
        read
    }

    /// The number of its stream.
    pub(super) fn id(&self) -> u32 {
        self.reply.id()
    }

    /// The body to come and the right to answer. What the codec had of the head is given up.
    pub fn split(self) -> (Receiver, Reply) {
        (self.receiver, self.reply)
    }
}
