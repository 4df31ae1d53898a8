//! Connections of clients.

use std::rc::Rc;
use std::task::{Context, Poll};

use message::{Name, PathRules, Request};

use super::drive::Driver;
use super::engine::{Engine, Role, Shared};
use super::head::Head;
use super::ledger::{HEADS_BYTES_MAX, HeldHead, REQUEST_HEAD_BYTES};
use super::part::Part;
use super::request::{self, RequestHead};
use super::tariff::{BAD_HEAD_POINTS, LONG_HEAD_POINTS};
use super::{Code, Fault, Link, Oddities, Receiver, Reply, Settings};
use crate::h1::head::Side;
use crate::{Error, Limits};

/// Memory of an earlier head that a request may have and not need: it has it for as long as it takes.
const SPARE_BYTES_MAX: usize = REQUEST_HEAD_BYTES;

/// The connection of a client. It does its work while it is polled; dropped it is gone, and its streams with it.
pub struct Server<L: Link> {
    driver: Driver<L>,
    oddities: Oddities,
}

impl<L: Link> Server<L> {
    /// For a link on which the client's preface is the next to come.
    pub fn new(link: L, settings: &Settings) -> Self {
        let shared = Shared::new(Role::Server, settings);
        let oddities = shared.with(|engine| engine.tariff.oddities().clone());
        Self { driver: Driver::new(link, shared), oddities }
    }

    /// Reads and writes what can be, and hands out the next request. `None`: the connection has ended, as one of us
    /// wished. After an error it has ended too, and the client was told why, if it was its fault. Streams live on only as long as this is polled.
    ///
    /// Soft and hard limits of oddities are kept here: from the one on it goes away, at the other it ends.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Incoming, Fault>>> {
        self.driver.poll(cx).map(|outcome| match outcome {
            Ok(Some((key, head))) => Some(Ok(Incoming::new(&self.driver.shared, key, head))),
            Ok(None) => None,
            Err(fault) => Some(Err(fault)),
        })
    }

    /// What the client has done that is odd.
    pub fn oddities(&self) -> &Oddities {
        &self.oddities
    }

    /// Takes no new streams, in two steps (RFC 9113 §6.8); [`Server::poll`] ends when those under way have.
    pub fn go_away(&mut self) {
        self.driver.shared.with(Engine::go_away);
    }

    /// Ends all streams and the connection with `code`. Poll until it has ended.
    pub fn kill(&mut self, code: Code) {
        self.driver.shared.with(|engine| engine.end(code));
    }

    /// How many bytes each stream may send ahead from now on, at most 2³¹−1, and how many streams there may be: the client
    /// is held to it once it has heard it.
    pub fn set_limits(&mut self, stream_window_bytes: u32, streams_max: u32) {
        let window_bytes = stream_window_bytes.min(i32::MAX as u32);
        self.driver.shared.with(|engine| engine.set_limits(window_bytes, streams_max));
    }

    /// Why streams were reset by the rules of HTTP/2 since this was asked last, each with the code that the client was told:
    /// one too many (REFUSED_STREAM), or a fault of the client's, of most of which no request came out.
    pub fn take_refused(&mut self) -> Vec<Code> {
        self.driver.shared.work(|engine| std::mem::take(&mut engine.refused))
    }

    /// The number of the newest stream whose request waits for others to be answered, since the heads of all would be more than
    /// the client may make us hold.
    pub fn newest_waiting(&self) -> Option<u32> {
        self.driver.shared.with(|engine| engine.waiting_heads.back().map(|waiting| waiting.id))
    }

    /// Refuses those that wait so up to this number: they were looked at by nobody and may be put again.
    pub fn refuse_waiting(&mut self, newest_id: u32) {
        self.driver.shared.with(|engine| engine.refuse_waiting(newest_id));
    }

    /// Whether any stream is under way.
    pub fn has_streams(&self) -> bool {
        self.driver.shared.with(|engine| engine.streams.len() > 0)
    }

    /// Whether the client has begun a frame or a header block, or its preface, and not ended it.
    pub fn is_inside_head(&self) -> bool {
        self.driver.shared.with(|engine| engine.inbound.is_inside())
    }
}

/// A request as it came in.
pub struct Incoming {
    head: Box<Head>,
    receiver: Receiver,
    reply: Reply,
    shared: Rc<Shared>,
}

impl Incoming {
    fn new(shared: &Rc<Shared>, key: u32, head: Box<Head>) -> Self {
        let part = Part::new(shared, key);
        let receiver = Receiver::new(part.clone(), Side::Client);
        let mut reply = Reply::new(part);
        reply.hold(HeldHead::new(shared, head.request_bytes()));
        Self { head, receiver, reply, shared: Rc::clone(shared) }
    }

    /// Reads the head into `into`, whose memory is kept: method, target, authority, version, end-to-end fields (crumbs
    /// of cookies joined), body. The scheme is the caller's to set: what the client says of it has to be one of HTTP's,
    /// and is of no consequence. On an error `into` is empty, and the stream is to be refused with the error's status.
    ///
    /// What is long of a head counts against a bound of the connection until its answer is sent.
    pub fn read(
        &mut self,
        limits: &Limits,
        rules: PathRules,
        into: &mut Request,
    ) -> Result<RequestHead, Error> {
        let read = request::read(&self.head, limits, rules, into).and_then(|head| {
            into.headers.shrink(SPARE_BYTES_MAX);
            let is_too_much = self.reply.held().is_some_and(HeldHead::is_too_much);
            if is_too_much { Err(Error::HeadsTooLong { max: HEADS_BYTES_MAX }) } else { Ok(head) }
        });
        if let Err(error) = &read {
            into.clear();
            self.reply.hold(None);
            let points = if error.status() == 431 { LONG_HEAD_POINTS } else { BAD_HEAD_POINTS };
            self.shared.with(|engine| engine.tariff.oddities().add(points));
        }
        read
    }

    /// The bytes of its head in the form of a list (RFC 9113 §6.5.2), all fields counted: what it costs goes with them, however few they
    /// were on the wire.
    pub fn list_bytes(&self) -> usize {
        self.head.list_bytes()
    }

    /// Whether it speaks gRPC, as far as its head can be read: then its refusal has to as well.
    pub fn is_grpc(&self) -> bool {
        request::is_grpc(self.head.get(Name::ContentType))
    }

    /// The number of its stream.
    pub(super) fn id(&self) -> u32 {
        self.reply.id()
    }

    /// The body to come and the right to answer. What was held of the head is given up.
    pub fn split(self) -> (Receiver, Reply) {
        let Self { head, receiver, reply, shared } = self;
        shared.with(|engine| engine.spare(head));
        (receiver, reply)
    }
}
