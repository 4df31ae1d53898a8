//! The way of an answer to its client: framed as the client's protocol wants it, its body moved to the last byte. What the
//! answer is has been decided before.

use std::{cell::Cell, future::poll_fn, pin::pin, rc::Rc, task::Poll};

use bytes::Bytes;
use exchange::Served;
use message::{Body, Request, Response};
use policy::cache::{Fate, Replay};
use snapshot::Snapshot;
use telemetry::Event;
use wire::h1::{self, BodyLength, ResponseBody, ResponseOptions};

use crate::{
    backend::Live,
    client::Client,
    connection::Connection,
    core::Core,
    owner::Fill,
    pace::{self, Deadlines, Pace, Terms},
    pool::Claim,
    race::{First, race},
    relay::{Fault, Relay, UNSENT_BYTES_HIGH},
    replay::Ready,
    request::After,
    side::Side,
    tunnel::{End, tunnel},
};

/// Bodies up to this length are put beside their head, in one send; longer ones are shared with it.
pub(crate) const ADJACENT_BYTES_MAX: usize = 16 << 10;

/// What of an unread body is read and thrown away to keep the connection; with more to come it is closed.
pub(crate) const DISCARD_BYTES_MAX: usize = 64 << 10;

/// So much of a whole body is sealed at once: some tens of microseconds.
const SEALED_BYTES_MAX: usize = 128 << 10;

/// How an answer is framed.
pub(crate) struct Sent {
    pub(crate) body: ResponseBody,
    /// All of it, if it is at hand and belongs to the answer.
    pub(crate) bytes: Option<Bytes>,
}

impl Sent {
    /// An answer whose body is at hand.
    pub(crate) fn whole(response: &Response, request: &Request) -> Self {
        let bytes = match &response.body {
            Body::Whole(bytes) => bytes.clone(),
            Body::Empty | Body::Stream(_) => Bytes::new(),
        };
        let length = BodyLength::Known(bytes.len() as u64);
        let body = ResponseBody::choose(&request.method, request.version, response, length);
        let bytes = matches!(body, ResponseBody::Known(_)).then_some(bytes);
        Self { body, bytes }
    }
}

/// Puts head and whole body into the send queue of a connection of HTTP/1. Returns the body's bytes.
pub(crate) fn send(
    core: &Core,
    connection: &Connection,
    response: &Response,
    request: &Request,
    close: bool,
    sent: &Sent,
) -> u64 {
    let date = core.date();
    let options = ResponseOptions { version: request.version, close, body: sent.body, date: &date };
    let adjacent = sent.bytes.as_ref().filter(|bytes| bytes.len() <= ADJACENT_BYTES_MAX);
    connection.transport.write(|out| {
        h1::encode_response(response, &options, out);
        if let Some(bytes) = adjacent {
            out.extend_from_slice(bytes);
        }
    });
    if let (Some(bytes), None) = (&sent.bytes, adjacent) {
        connection.transport.write_shared(bytes.clone());
    }
    sent.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)
}

/// The way of an answer to its client.
pub(crate) struct Way<'a> {
    pub(crate) core: &'a Rc<Core>,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) client: Client<'a>,
    pub(crate) request: &'a Request,
    pub(crate) upload: Option<&'a Relay>,
    /// How long the client has said that it is, if it has.
    pub(crate) announced: Option<u64>,
    /// It goes to the backend as it comes; else what is left of it is nobody's.
    pub(crate) streams: bool,
    /// The longest body of an answer that may pass, whether it says how long it is or not.
    pub(crate) bytes_max: u64,
    pub(crate) keep_alive: bool,
}

impl Way<'_> {
    /// An answer that is all there.
    pub(crate) async fn whole(&self, response: &Response, unasked_body: bool) -> (After, u64) {
        let sent = Sent::whole(response, self.request);
        let Self { core, client, request, .. } = self;
        match client {
            Client::Http1(connection) => {
                let close = self.closes(unasked_body);
                if let Some(bytes) = sent.bytes.as_ref().filter(|bytes| bytes.len() > SEALED_BYTES_MAX)
                    && client.is_secure()
                {
                    let begin = |first| {
                        let sent = Sent { bytes: Some(first), ..sent };
                        send(core, connection, response, request, close, &sent)
                    };
                    let sealing = || self.seal(connection, bytes.clone(), begin);
                    let (taken, sealed) = core.handle.pooled(sealing).await;
                    let after = if taken { self.settle(connection, close).await } else { After::Cut };
                    return (after, sealed);
                }
                let bytes =
                    connection.transport.as_one(|| send(core, connection, response, request, close, &sent));
                (self.settle(connection, close).await, bytes)
            }
            Client::Http2(stream) => {
                let bytes = stream.answer(core, response, &sent);
                (stream.finish(core).await, bytes)
            }
        }
    }

    /// A long body over TLS, which is sealed as its client takes it: all of it at once would hold others up, and be in memory
    /// twice. Whether the client has taken so much of it, and how much there was of it then.
    async fn seal(
        &self,
        connection: &Connection,
        mut bytes: Bytes,
        begin: impl FnOnce(Bytes) -> u64,
    ) -> (bool, u64) {
        let first = bytes.split_to(SEALED_BYTES_MAX);
        let mut sealed = connection.transport.as_one(|| begin(first));
        while !bytes.is_empty() {
            if !connection.unsent_below(self.core, UNSENT_BYTES_HIGH).await {
                return (false, sealed);
            }
            let next = bytes.split_to(bytes.len().min(SEALED_BYTES_MAX));
            sealed += next.len() as u64;
            connection.transport.write_shared(next);
            self.core.handle.yield_now().await;
        }
        (true, sealed)
    }

    /// A kept answer, sent as it is kept if the client takes it so.
    pub(crate) async fn replay(
        &self,
        replay: &Replay,
        response: &mut Response,
        unasked_body: bool,
    ) -> (After, u64) {
        let (Some(ready), Client::Http1(connection)) = (Ready::new(replay, self.request), self.client) else {
            replay.write(response);
            return self.whole(response, unasked_body).await;
        };
        response.status = replay.status();
        let close = self.closes(unasked_body);
        let bytes = ready.send(self.core, connection, close);
        (self.settle(connection, close).await, bytes)
    }

    /// An answer whose body comes from the backend.
    pub(crate) async fn stream(
        &self,
        response: &Response,
        mut live: Box<Live>,
        (fill, served): (&Cell<Option<Box<Fill>>>, &mut Served<'_>),
        unasked_body: bool,
    ) -> (After, u64) {
        let body = match &response.body {
            // A policy put another body in its place: the backend's is not wanted. After a 304 there is none.
            Body::Whole(_) => {
                if let Some(fill) = fill.take() {
                    fill.settle(served.take_fate());
                }
                if live.framing.body == BodyLength::None {
                    self.core.release(live, self.snapshot, self.is_sent());
                }
                return self.whole(response, unasked_body).await;
            }
            Body::Empty | Body::Stream(_) => live.framing.body,
        };
        let Request { method, version, .. } = self.request;
        let framed = ResponseBody::choose(method, *version, response, body);
        let relay = Relay::new(live.decoded_as(), framed == ResponseBody::Chunked);
        relay.limit(self.bytes_max);
        if let Some(fill) = fill.take() {
            match served.take_fate() {
                Some(Fate::Keep(keep)) => relay.tap(keep, *fill),
                // What is not for the cache is told at once: those who wait for it go themselves.
                fate => fill.settle(fate),
            }
        }
        let head = Sent { body: framed, bytes: None };
        let (from, to) = (live.side(), self.client.side());
        let (close, now) = match self.client {
            Client::Http1(connection) => {
                let close = self.closes(unasked_body) || framed == ResponseBody::UntilClose;
                let now = connection.transport.as_one(|| {
                    send(self.core, connection, response, self.request, close, &head);
                    relay.run_now(from, to)
                });
                (close, now)
            }
            Client::Http2(stream) => {
                stream.begin_answer(self.core, response, framed, relay.is_done());
                (false, relay.run_now(from, to))
            }
        };
        let passed = match now {
            Ok(true) if self.is_sent() && to.sends_by_itself() => Ok(()),
            // Memory of its own for what is seldom waited for.
            Ok(_) => self.core.handle.pooled(|| self.pass(&live, &relay)).await,
            Err(fault) => Err(fault),
        };
        let bytes = relay.bytes();
        if let Err(fault) = passed {
            self.core.learn_body_fault(&mut live, &fault);
            return (After::Cut, bytes);
        }
        relay.settle_tap();
        self.core.release(live, self.snapshot, self.is_sent());
        match self.client {
            Client::Http1(connection) => (self.settle(connection, close).await, bytes),
            Client::Http2(_) => (After::Next, bytes),
        }
    }

    /// What the backend is still to get of the request's body.
    fn unsent(&self) -> Option<&Relay> {
        self.upload.filter(|upload| self.streams && !upload.is_done())
    }

    fn is_sent(&self) -> bool {
        self.unsent().is_none()
    }

    /// Waits until the client has taken most of an answer that counts for as long as it is held in memory.
    pub(crate) async fn taken(&self, after: After) -> After {
        match self.client {
            Client::Http1(connection) if !connection.unsent_below(self.core, UNSENT_BYTES_HIGH).await => {
                After::Close
            }
            Client::Http1(_) | Client::Http2(_) => after,
        }
    }

    /// Moves the answer's body, and what is left of the request's, until the answer is whole.
    async fn pass(&self, live: &Live, relay: &Relay) -> Result<(), Fault> {
        let Self { core, snapshot, client, .. } = self;
        let (alarm, from, to) = (client.alarm(), live.side(), client.side());
        let upstream = snapshot.upstream(live.slot);
        let timeouts = &snapshot.timeouts;
        let client_ns = timeouts.body_idle_ns;
        let backend = Terms::idle(upstream.map_or(client_ns, |upstream| upstream.idle_timeout_ns));
        let reader = Terms { idle_ns: client_ns, rate: timeouts.response_rate };
        let deadlines = Deadlines::new(&core.handle, alarm, &live.bounds);
        let pace = Pace::new(&deadlines, pace::Way::Down, backend, reader);
        let passing = async {
            let mut down = pin!(relay.run(from, to, &pace));
            let Some(upload) = self.unsent() else { return down.await };
            let sender = Terms { idle_ns: client_ns, rate: timeouts.request_rate };
            let upload_pace = Pace::new(&deadlines, pace::Way::Up, sender, backend);
            let mut up = pin!(upload.run(to, from, &upload_pace));
            match race(down.as_mut(), up.as_mut()).await {
                First::Left(passed) => passed,
                // Whether the rest of the request arrived or not, the answer goes on.
                First::Right(_) => {
                    upload_pace.end();
                    down.await
                }
            }
        };
        let mut passing = pin!(passing);
        let passed = alarm.guard(poll_fn(|cx| match passing.as_mut().poll(cx) {
            Poll::Pending => client.poll_given_up(cx).map(|()| Err(Fault::ReceiverGone)),
            passed => passed,
        }));
        if let Ok(passed) = passed.await {
            return passed;
        }
        if deadlines.has_passed(pace::Way::Up) {
            core.record(&Event::TimeOut { wait: "request_body" });
        } else if relay.is_stalled() {
            core.record(&Event::TimeOut { wait: "response" });
        } else if deadlines.are_silent() {
            core.record(&Event::TimeOut { wait: "tunnel_idle" });
        } else if live.bounds.is_callers_over(deadlines.now_ns()) {
            // It has gone, or is about to.
        } else {
            return Err(Fault::SenderGone);
        }
        // The client was waited for.
        Err(Fault::ReceiverGone)
    }

    /// `101`: from here on the bytes are the two sides' own affair.
    pub(crate) async fn switch(&self, response: &Response, live: Box<Live>) -> (After, u64) {
        // Nobody else has asked for it.
        let (Client::Http1(Connection { transport, alarm, .. }), Some(backend)) =
            (self.client, live.transport())
        else {
            return (After::Cut, 0);
        };
        let protocol = live.framing.upgrade.as_deref().or(self.request.upgrade()).unwrap_or_default();
        transport.write(|out| h1::encode_switching(response, protocol, out));
        live.claim.iter().for_each(Claim::complete);
        let timeouts = &self.snapshot.timeouts;
        let ended = tunnel(transport, backend, &self.core.handle, alarm, timeouts).await;
        if let End::TimedOut(wait) | End::Failed(Some(wait)) = ended {
            self.core.record(&Event::TimeOut { wait });
        }
        match ended {
            End::Both | End::TimedOut(_) => (After::Close, 0),
            End::Failed(_) => {
                live.abort();
                (After::Cut, 0)
            }
        }
    }

    /// Whether the connection can't be kept after this answer, which is said in its head: the client wants it so, the
    /// node drains, or what is left of the request's body is not worth reading.
    fn closes(&self, unasked_body: bool) -> bool {
        let unread = self.upload.filter(|upload| !upload.is_done());
        let left = unread.map(|upload| self.announced.map(|bytes| bytes.saturating_sub(upload.bytes())));
        let too_much = match left {
            None => false,
            Some(None) => true,
            Some(Some(bytes)) => bytes > DISCARD_BYTES_MAX as u64 || unasked_body,
        };
        let broken = self.upload.is_some_and(Relay::is_broken);
        !self.keep_alive || self.core.is_draining() || too_much || broken
    }

    /// Reads what is left of the request's body, so that the next request is found (bug 1).
    async fn settle(&self, connection: &Connection, close: bool) -> After {
        if close {
            return After::Close;
        }
        let Some(upload) = self.upload.filter(|upload| !upload.is_done()) else { return After::Next };
        // Memory of its own for what is seldom waited for.
        self.core.handle.pooled(|| self.read_over(connection, upload)).await
    }

    async fn read_over(&self, connection: &Connection, upload: &Relay) -> After {
        let Connection { transport, alarm, .. } = connection;
        alarm.set(self.core.handle.now().mono_ns.saturating_add(self.snapshot.timeouts.body_idle_ns));
        match alarm.guard(upload.discard(Side::Http1(transport), DISCARD_BYTES_MAX)).await {
            Ok(true) => After::Next,
            Ok(false) => After::Close,
            Err(_) => {
                self.core.record(&Event::TimeOut { wait: "request_body" });
                After::Close
            }
        }
    }
}
