//! One request on a connection, from its first byte to its last: head → exchange → answer → body. The order of the
//! policies and of what stands behind them is `exchange`'s; here are the bytes before and after it.

#![expect(
    clippy::redundant_allocation,
    reason = "an Rc around the shared Arc: a request touches this core's count alone"
)]

use std::{cell::Cell, pin::pin, rc::Rc, sync::Arc};

use bytes::Bytes;
use exchange::{Facts, Served, exchange};
use message::{Body, Length, Now, Reason, Request, RequestId, Response, Scheme};
use policy::{
    Answer, Question,
    cache::{Fate, Replay},
};
use snapshot::{Route, Snapshot};
use telemetry::Event;
use wire::h1::{self, BodyLength, RequestFraming, ResponseBody, ResponseKind, ResponseOptions};

use crate::{
    access::{self, Account},
    backend::{Caller, Live, is_clients},
    connection::Connection,
    core::{Core, Messages},
    owner::Fill,
    pace::{self, Deadlines, Pace, Terms},
    pool::Claim,
    pressure::Level,
    race::{First, race},
    relay::{Fault, Relay},
    replay::Ready,
    tunnel::{End, tunnel},
    waiting::Asked,
};

/// Bodies up to this length are put beside their head, in one send; longer ones are shared with it.
pub(crate) const ADJACENT_BYTES_MAX: usize = 16 << 10;

/// What of an unread body is read and thrown away to keep the connection; with more to come it is closed.
const DISCARD_BYTES_MAX: usize = 64 << 10;

/// What comes after a request.
pub(crate) enum After {
    /// The next one.
    Next,
    /// The end, once what was sent has arrived.
    Close,
    /// The end at once: an answer could not be finished, and must not look as if it was.
    Cut,
}

/// One request under way, as [`exchange::Core`].
struct Call<'a> {
    core: &'a Rc<Core>,
    snapshot: &'a Snapshot,
    connection: &'a Connection,
    upload: Option<&'a Relay>,
    expects_continue: &'a Cell<bool>,
    live: Cell<Option<Box<Live>>>,
    fill: Cell<Option<Fill>>,
}

/// Serves one request.
pub(crate) async fn serve(core: &Rc<Core>, connection: &Connection, asked: Asked) -> After {
    let Asked { snapshot, mut messages, framing, begun } = asked;
    messages.request.scheme =
        if connection.transport.session().is_some() { Scheme::Https } else { Scheme::Http };
    let after = answer(core, &snapshot, connection, &mut messages, framing, begun).await;
    core.recycle(messages);
    after
}

/// Answers what is no request; after a framing fault nobody can say where the next one begins, so that the connection
/// is to be ended.
pub(crate) fn refuse(
    core: &Core,
    connection: &Connection,
    status: u16,
    label: &'static str,
    mut messages: Box<Messages>,
) {
    let Messages { request, response } = &mut *messages;
    core.record(&Event::Malform { status, label });
    response.status = status;
    response.headers.push("Content-Type", b"application/json");
    let message = format!("{{\"message\":\"{}\"}}", message::reason_phrase(status));
    response.body = Body::Whole(Bytes::from(message));
    send(core, connection, response, request, true, &Sent::whole(response, request));
    core.recycle(messages);
}

/// From the head to the last byte of the answer.
async fn answer(
    core: &Rc<Core>,
    snapshot: &Rc<Arc<Snapshot>>,
    connection: &Connection,
    Messages { request, response }: &mut Messages,
    framing: RequestFraming,
    begun: Now,
) -> After {
    let Some(request_id) = core.next_id() else {
        core.record(&Event::Malform { status: 500, label: "no_random_numbers" });
        return After::Close;
    };
    let facts = facts(snapshot, connection, request, request_id);
    let upload = match request.body {
        Body::Stream(length) => Some(Relay::new(framing.body, length == Length::Unknown)),
        Body::Empty | Body::Whole(_) => None,
    };
    let logged = snapshot.access_log.is_some();
    // What the integration rewrites, the log wants as it was.
    let asked_path = logged.then(|| request.target.path().to_owned());
    let expects_continue = Cell::new(framing.expect_continue);
    let call = Call {
        core,
        snapshot,
        connection,
        upload: upload.as_ref(),
        expects_continue: &expects_continue,
        live: Cell::new(None),
        fill: Cell::new(None),
    };
    let mut served = if is_misdirected(connection, request) {
        Served::misdirected(&facts, response)
    } else {
        exchange(snapshot, request, response, &facts, &call).await
    };
    let (live, mut fill) = (call.live.take(), call.fill.take());
    if let Some(renewal) = served.renewal.take()
        && let Some(fill) = fill.take()
    {
        core.renew(snapshot, facts, *renewal, fill);
    }
    if matches!(served.fate, Some(Fate::Invalidate(_)))
        && let Some(Fate::Invalidate(changed)) = served.fate.take()
    {
        // Who hears that something has changed must not find it unchanged in the cache.
        core.invalidate(changed, &connection.alarm).await;
    }
    let way =
        Way { core, snapshot, connection, request, upload: upload.as_ref(), keep_alive: framing.keep_alive };
    let (after, sent_bytes) = match live {
        Some(live) if live.framing.kind == ResponseKind::SwitchingProtocols => {
            way.switch(response, live).await
        }
        Some(live) => way.stream(response, live, fill, served.fate.take(), expects_continue.get()).await,
        None => {
            // An answer of our own may be kept like any other, and one that is not lets those who wait for it go. What this
            // client alone brought about says nothing to them: the right to fetch goes to the next in line.
            if let Some(fill) = fill.filter(|_| !served.reason.as_ref().is_some_and(is_clients)) {
                fill.settle(served.fate.take());
            }
            match served.replay.take() {
                Some(replay) => way.replay(&replay, response, expects_continue.get()).await,
                None => way.whole(response, expects_continue.get()).await,
            }
        }
    };
    let ended = core.now();
    let account = Account {
        request,
        path: asked_path.as_deref().unwrap_or_default(),
        facts: &facts,
        served: &served,
        begun,
        ended,
        status: response.status,
        response_bytes: sent_bytes,
        request_bytes: upload.as_ref().map_or(0, Relay::bytes),
    };
    access::record(core, snapshot, &account);
    after
}

/// What is known of a request beside its head.
fn facts(snapshot: &Snapshot, connection: &Connection, request: &Request, request_id: RequestId) -> Facts {
    let peer = connection.peer.to_canonical();
    let trusted = snapshot.client.is_trusted(peer);
    let client = if trusted { snapshot.client.client(peer, &request.headers) } else { peer };
    Facts { peer, client, trusted, port: connection.port, request_id }
}

/// A connection that was made for one virtual server asks nothing of another (RFC 9110 §15.5.20).
fn is_misdirected(connection: &Connection, request: &Request) -> bool {
    let (Some(server), Some(session)) =
        (connection.transport.server_settings(), connection.transport.session())
    else {
        return false;
    };
    let session = session.borrow();
    session.sni().is_some() && !server.same_virtual_server(session.sni(), request.authority.host())
}

/// How an answer is framed.
struct Sent {
    body: ResponseBody,
    bytes: Option<Bytes>,
}

impl Sent {
    fn whole(response: &Response, request: &Request) -> Self {
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

/// Puts head and whole body into the send queue. Returns the body's bytes.
fn send(
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
struct Way<'a> {
    core: &'a Rc<Core>,
    snapshot: &'a Snapshot,
    connection: &'a Connection,
    request: &'a Request,
    upload: Option<&'a Relay>,
    keep_alive: bool,
}

impl Way<'_> {
    /// An answer that is all there.
    async fn whole(&self, response: &Response, unasked_body: bool) -> (After, u64) {
        let close = self.closes(unasked_body);
        let sent = Sent::whole(response, self.request);
        let Self { core, connection, request, .. } = self;
        let bytes = connection.transport.as_one(|| send(core, connection, response, request, close, &sent));
        (self.settle(close).await, bytes)
    }

    /// A kept answer, sent as it is kept if the client takes it so.
    async fn replay(&self, replay: &Replay, response: &mut Response, unasked_body: bool) -> (After, u64) {
        let Some(ready) = Ready::new(replay, self.request) else {
            replay.write(response);
            return self.whole(response, unasked_body).await;
        };
        response.status = replay.status();
        let close = self.closes(unasked_body);
        let bytes = ready.send(self.core, self.connection, close);
        (self.settle(close).await, bytes)
    }

    /// An answer whose body comes from the backend.
    async fn stream(
        &self,
        response: &Response,
        mut live: Box<Live>,
        fill: Option<Fill>,
        fate: Option<Fate>,
        unasked_body: bool,
    ) -> (After, u64) {
        let body = match &response.body {
            // A policy put another body in its place: the backend's is not wanted. After a 304 there is none.
            Body::Whole(_) => {
                if let Some(fill) = fill {
                    fill.settle(fate);
                }
                if live.framing.body == BodyLength::None {
                    self.core.release(live, self.snapshot, self.upload.is_none_or(Relay::is_done));
                }
                return self.whole(response, unasked_body).await;
            }
            Body::Empty | Body::Stream(_) => live.framing.body,
        };
        let Request { method, version, .. } = self.request;
        let framed = ResponseBody::choose(method, *version, response, body);
        let close = self.closes(unasked_body) || framed == ResponseBody::UntilClose;
        let relay = Relay::new(body, framed == ResponseBody::Chunked);
        match (fill, fate) {
            (Some(fill), Some(Fate::Keep(keep))) => relay.tap(keep, fill),
            // What is not for the cache is told at once: those who wait for it go themselves.
            (Some(fill), fate) => fill.settle(fate),
            (None, _) => {}
        }
        let head = Sent { body: framed, bytes: None };
        let client = &self.connection.transport;
        let now = client.as_one(|| {
            send(self.core, self.connection, response, self.request, close, &head);
            relay.run_now(&live.transport, client)
        });
        let uploaded = self.upload.is_none_or(Relay::is_done);
        let passed = match now {
            Ok(true) if uploaded => Ok(()),
            Ok(_) => self.pass(&live, &relay).await,
            Err(fault) => Err(fault),
        };
        let bytes = relay.bytes();
        if let Err(fault) = passed {
            self.core.learn_body_fault(&mut live, &fault);
            return (After::Cut, bytes);
        }
        relay.settle_tap();
        self.core.release(live, self.snapshot, self.upload.is_none_or(Relay::is_done));
        (self.settle(close).await, bytes)
    }

    /// Moves the answer's body, and what is left of the request's, until the answer is whole.
    async fn pass(&self, live: &Live, relay: &Relay) -> Result<(), Fault> {
        let Self { core, snapshot, connection, upload, .. } = self;
        let Connection { transport: client, alarm, .. } = connection;
        let upstream = snapshot.upstream(live.slot);
        let timeouts = &snapshot.timeouts;
        let client_ns = timeouts.body_idle_ns;
        let backend = Terms::idle(upstream.map_or(client_ns, |upstream| upstream.idle_timeout_ns));
        let reader = Terms { idle_ns: client_ns, rate: timeouts.response_rate };
        let deadlines = Deadlines::new(&core.handle, alarm, live.end_ns);
        let pace = Pace::new(&deadlines, pace::Way::Down, backend, reader);
        let passing = async {
            let mut down = pin!(relay.run(&live.transport, client, &pace));
            let Some(upload) = upload.filter(|upload| !upload.is_done()) else { return down.await };
            let sender = Terms { idle_ns: client_ns, rate: timeouts.request_rate };
            let upload_pace = Pace::new(&deadlines, pace::Way::Up, sender, backend);
            let mut up = pin!(upload.run(client, &live.transport, &upload_pace));
            match race(down.as_mut(), up.as_mut()).await {
                First::Left(passed) => passed,
                // Whether the rest of the request arrived or not, the answer goes on.
                First::Right(_) => {
                    upload_pace.end();
                    down.await
                }
            }
        };
        if let Ok(passed) = alarm.guard(passing).await {
            return passed;
        }
        if deadlines.has_passed(pace::Way::Up) {
            core.record(&Event::TimeOut { wait: "request_body" });
        } else if relay.is_stalled() {
            core.record(&Event::TimeOut { wait: "response" });
        } else {
            return Err(Fault::SenderGone);
        }
        // The client was waited for.
        Err(Fault::ReceiverGone)
    }

    /// `101`: from here on the bytes are the two sides' own affair.
    async fn switch(&self, response: &Response, live: Box<Live>) -> (After, u64) {
        let Connection { transport, alarm, .. } = self.connection;
        let protocol =
            live.framing.upgrade.as_deref().or(self.request.upgrade.as_deref()).unwrap_or_default();
        transport.write(|out| h1::encode_switching(response, protocol, out));
        live.claim.iter().for_each(Claim::complete);
        let timeouts = &self.snapshot.timeouts;
        let ended = tunnel(transport, &live.transport, &self.core.handle, alarm, timeouts).await;
        if let End::TimedOut(wait) | End::Failed(Some(wait)) = ended {
            self.core.record(&Event::TimeOut { wait });
        }
        match ended {
            End::Both | End::TimedOut(_) => (After::Close, 0),
            End::Failed(_) => {
                live.transport.abort();
                (After::Cut, 0)
            }
        }
    }

    /// Whether the connection can't be kept after this answer, which is said in its head: the client wants it so, the
    /// node drains, or what is left of the request's body is not worth reading.
    fn closes(&self, unasked_body: bool) -> bool {
        let unread = self.upload.filter(|upload| !upload.is_done());
        let left = unread
            .map(|upload| self.request.body.length().map(|length| length.saturating_sub(upload.bytes())));
        let too_much = match left {
            None => false,
            Some(None) => true,
            Some(Some(bytes)) => bytes > DISCARD_BYTES_MAX as u64 || unasked_body,
        };
        let broken = self.upload.is_some_and(Relay::is_broken);
        !self.keep_alive || self.core.is_draining() || too_much || broken
    }

    /// Reads what is left of the request's body, so that the next request is found (bug 1).
    async fn settle(&self, close: bool) -> After {
        if close {
            return After::Close;
        }
        let Some(upload) = self.upload.filter(|upload| !upload.is_done()) else { return After::Next };
        let Connection { transport, alarm, .. } = self.connection;
        alarm.set(self.core.handle.now().mono_ns.saturating_add(self.snapshot.timeouts.body_idle_ns));
        match alarm.guard(upload.discard(transport, DISCARD_BYTES_MAX)).await {
            Ok(true) => After::Next,
            Ok(false) => After::Close,
            Err(_) => {
                self.core.record(&Event::TimeOut { wait: "request_body" });
                After::Close
            }
        }
    }
}

impl exchange::Core for Call<'_> {
    fn decide<R>(&self, decision: impl FnOnce(&mut exchange::Lent<'_>) -> R) -> R {
        self.core.decide(decision)
    }

    fn is_overloaded(&self) -> bool {
        self.core.pressure.get() >= Level::Refuse
    }

    async fn ask(&self, question: Question) -> Answer {
        match question {
            Question::Cache(lookup) => {
                let (found, fill) = self.core.look_up(lookup, &self.connection.alarm).await;
                self.fill.set(fill);
                Answer::Cache(found)
            }
        }
    }

    async fn call(
        &self,
        route: &Route,
        upstream: u32,
        request: &mut Request,
        response: &mut Response,
    ) -> Result<(), Reason> {
        if let Some(upload) = self.upload {
            upload.limit(route.body_bytes_max);
        }
        let caller = Caller {
            core: self.core,
            snapshot: self.snapshot,
            client: Some(&self.connection.transport),
            alarm: &self.connection.alarm,
            upload: self.upload,
            expects_continue: self.expects_continue,
        };
        self.live.set(Some(caller.call(upstream, request, response).await?));
        Ok(())
    }
}
