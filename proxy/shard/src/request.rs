//! One request on a connection, from its first byte to its last: head → exchange → answer → body. The order of the
//! policies and of what stands behind them is `exchange`'s; here are the bytes before and after it.

#![expect(
    clippy::redundant_allocation,
    reason = "an Rc around the shared Arc: a request touches this core's count alone"
)]

use std::{cell::Cell, net::IpAddr, rc::Rc, sync::Arc};

use bytes::Bytes;
use exchange::{Facts, Served, exchange, grpc};
use message::{Body, Dialect, Length, Now, Reason, Request, RequestId, Response, Scheme};
use policy::cache::{Found, Lookup};
use snapshot::{Route, Snapshot};
use telemetry::Event;
use wire::h1::{BodyLength, ResponseKind};

use crate::{
    access::{self, Account, CLIENT_GONE, Wanted},
    backend::{Caller, Live, is_clients},
    client::Client,
    conduct::Deed,
    core::{Core, Messages},
    owner::Fill,
    pressure::Level,
    relay::Relay,
    waiting::Asked,
    way::{Sent, Way, send},
    whole::{Held, ask_for_body, gather_request},
};

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
    caller: Caller<'a>,
    upload: Option<&'a Relay>,
    live: Cell<Option<Box<Live>>>,
    fill: Cell<Option<Box<Fill>>>,
    held: Held<'a>,
}

/// Serves one request, which it has until then.
#[expect(clippy::manual_async_fn, reason = "in the future of an async fn the arguments lie twice")]
pub(crate) fn serve(core: &Rc<Core>, client: Client<'_>, mut asked: Asked) -> impl Future<Output = After> {
    async move {
        let after = serve_lent(core, client, &mut asked).await;
        core.recycle(asked.messages);
        after
    }
}

/// Serves one request that somebody else keeps.
pub(crate) fn serve_lent(
    core: &Rc<Core>,
    client: Client<'_>,
    asked: &mut Asked,
) -> impl Future<Output = After> {
    asked.messages.request.scheme = if client.is_secure() { Scheme::Https } else { Scheme::Http };
    answer(core, client, asked)
}

/// Answers what is no request, as far as it was understood, with an error.
pub(crate) fn refuse(
    core: &Core,
    client: Client<'_>,
    status: u16,
    label: &'static str,
    is_grpc: bool,
    messages: &mut Messages,
) {
    let Messages { request, response } = messages;
    core.record(&Event::Malform { status, label });
    if status == 400 {
        core.note_offence(client.peer(), Deed::Malformed);
    }
    refuse_malformed(status, core.snapshot().stranger_dialect(), response);
    if is_grpc {
        grpc::translate_unread(response);
    }
    match client {
        // Nobody can say where the next request begins: the connection is to be ended.
        Client::Http1(connection) => {
            send(core, connection, response, request, true, &Sent::whole(response, request));
        }
        Client::Http2(stream) => {
            stream.answer(core, response, &Sent::whole(response, request));
        }
    }
}

/// What a client is told that sent no request. Whose it was meant to be nobody knows: `dialect` is that of who comes to no API.
pub fn refuse_malformed(status: u16, dialect: Dialect, response: &mut Response) {
    response.status = status;
    response.headers.push("Content-Type", b"application/json");
    if dialect == Dialect::Rest && (400..500).contains(&status) {
        // Row 129.
        response.headers.push("x-amzn-ErrorType", b"BadRequestException");
    }
    let message = format!("{{\"message\":\"{}\"}}", message::reason_phrase(status));
    response.body = Body::Whole(Bytes::from(message));
}

/// From the head to the last byte of the answer.
#[expect(clippy::manual_async_fn, reason = "in the future of an async fn the arguments lie twice")]
fn answer(core: &Rc<Core>, client: Client<'_>, asked: &mut Asked) -> impl Future<Output = After> {
    async move {
        let snapshot = &asked.snapshot;
        let (framing, Messages { request, response }) = (&asked.framing, &mut *asked.messages);
        let Some(request_id) = core.next_id() else {
            core.record(&Event::Malform { status: 500, label: "no_random_numbers" });
            return After::Close;
        };
        let facts = facts(snapshot, (client.peer(), client.port()), request, request_id);
        let upload = match request.body {
            Body::Stream(length) => Some(Relay::new(framing.body, length == Length::Unknown)),
            Body::Empty | Body::Whole(_) => None,
        };
        let logged = snapshot.access_log.is_some();
        // What the integration rewrites, the log wants as it was.
        let wanted = if logged { Wanted::of(request) } else { Wanted::default() };
        let caller = Caller {
            core,
            snapshot,
            client: Some(client),
            alarm: client.alarm(),
            upload: Cell::new(None),
            expects_continue: Cell::new(framing.expect_continue),
        };
        let call = Call {
            caller,
            upload: upload.as_ref(),
            live: Cell::new(None),
            fill: Cell::new(None),
            held: Held::new(core),
        };
        let served = if client.is_misdirected(request) {
            Served::misdirected(request, &facts, response)
        } else {
            exchange(snapshot, request, response, &facts, &call).await
        };
        let Messages { request, response } = &mut *asked.messages;
        let answer = Answer {
            core,
            snapshot,
            client,
            announced: match asked.framing.body {
                BodyLength::Known(bytes) => Some(bytes),
                BodyLength::None | BodyLength::Chunked | BodyLength::UntilClose => None,
            },
            facts: &facts,
            wanted: &wanted,
            begun: asked.begun,
            keep_alive: asked.framing.keep_alive,
        };
        answer.deliver(&call, request, response, served).await
    }
}

/// What an answer needs to know that stood before it was known.
struct Answer<'a> {
    core: &'a Rc<Core>,
    snapshot: &'a Rc<Arc<Snapshot>>,
    client: Client<'a>,
    /// How long the request's body is, if its client has said so.
    announced: Option<u64>,
    facts: &'a Facts,
    wanted: &'a Wanted,
    begun: Now,
    keep_alive: bool,
}

impl Answer<'_> {
    /// Brings it to its client. In a future of its own, which lies where that lay by which the answer was found.
    #[expect(clippy::manual_async_fn, reason = "in the future of an async fn the arguments lie twice")]
    fn deliver<'a>(
        &'a self,
        call: &'a Call<'_>,
        request: &'a Request,
        response: &'a mut Response,
        mut served: Served<'a>,
    ) -> impl Future<Output = After> {
        async move {
            let Self { core, snapshot, client, announced, facts, keep_alive, .. } = *self;
            let (live, upload) = (call.live.take(), call.upload);
            let Caller { upload: streams, expects_continue, .. } = &call.caller;
            let (streams, unasked_body) = (streams.get().is_some(), expects_continue.get());
            let bytes_max = served.route.map_or(u64::MAX, |route| route.response_bytes_max);
            if let Some(renewal) = served.renewal.take()
                && let Some(fill) = call.fill.take()
            {
                core.renew(snapshot, *facts, *renewal, *fill);
            }
            if let Some(changed) = served.take_invalidation() {
                // Who hears that something has changed must not find it unchanged in the cache.
                core.handle.pooled(|| core.invalidate(changed, client.alarm())).await;
            }
            let way =
                Way { core, snapshot, client, request, upload, announced, streams, bytes_max, keep_alive };
            let (after, sent_bytes) = match live {
                Some(live) if live.framing.kind == ResponseKind::SwitchingProtocols => {
                    core.handle.pooled(|| way.switch(response, live)).await
                }
                Some(live) => way.stream(response, live, (&call.fill, &mut served), unasked_body).await,
                None => {
                    // An answer of our own may be kept like any other, and one that is not lets those who wait for it go. What
                    // this client alone brought about says nothing to them: the right to fetch goes to the next in line.
                    if let Some(fill) =
                        call.fill.take().filter(|_| !served.reason.as_ref().is_some_and(is_clients))
                    {
                        fill.settle(served.take_fate());
                    }
                    match served.replay.take() {
                        Some(replay) => way.replay(&replay, response, unasked_body).await,
                        None if call.held.is_empty() => way.whole(response, unasked_body).await,
                        None => {
                            let (after, bytes) = way.whole(response, unasked_body).await;
                            (core.handle.pooled(|| way.taken(after)).await, bytes)
                        }
                    }
                }
            };
            let ended = core.now();
            let grpc_status = grpc::is_call(request).then(|| client.grpc_status(&response.headers));
            let is_gone = served.reason == Some(Reason::ClientGone) && grpc_status.is_none();
            let account = Account {
                request,
                asked: self.wanted,
                facts,
                served: &served,
                begun: self.begun,
                ended,
                status: if is_gone { CLIENT_GONE } else { response.status },
                grpc_status,
                response_bytes: sent_bytes,
                request_bytes: upload.map_or(0, Relay::bytes),
            };
            access::record(core, snapshot, &account);
            after
        }
    }
}

/// What is known of a request beside its head: from whom it came, on which port.
pub fn facts(
    snapshot: &Snapshot,
    (peer, port): (IpAddr, u16),
    request: &Request,
    request_id: RequestId,
) -> Facts {
    let peer = peer.to_canonical();
    let trusted = snapshot.client.is_trusted(peer);
    let client = if trusted { snapshot.client.client(peer, &request.headers) } else { peer };
    Facts { peer, client, trusted, port, request_id }
}

impl exchange::Core for Call<'_> {
    fn decide<R>(&self, decision: impl FnOnce(&mut exchange::Lent<'_>) -> R) -> R {
        self.caller.core.decide(decision)
    }

    fn is_overloaded(&self) -> bool {
        self.caller.core.pressure.get() >= Level::Refuse
    }

    async fn look_up(&self, lookup: Lookup) -> Found {
        let (found, fill) = self.caller.core.look_up(lookup, self.caller.alarm).await;
        self.fill.set(fill.map(Box::new));
        found
    }

    async fn gather(&self, request: &mut Request, bytes_max: u64) -> Result<(), Reason> {
        let Caller { core, client, snapshot, expects_continue, .. } = &self.caller;
        let Body::Stream(length) = request.body else { return Ok(()) };
        let Some((upload, client)) = self.upload.zip(*client) else { return Err(Reason::Internal) };
        upload.limit(bytes_max);
        ask_for_body(client, expects_continue);
        let timeouts = &snapshot.timeouts;
        let pace = (timeouts.body_idle_ns, timeouts.request_rate);
        let gathering = || gather_request(core, (client, upload), pace, length, &self.held);
        request.body = Body::Whole(core.handle.pooled(gathering).await?);
        Ok(())
    }

    fn call(
        &self,
        route: &Route,
        upstream: u32,
        request: &mut Request,
        response: &mut Response,
    ) -> impl Future<Output = Result<(), Reason>> {
        // What has been gathered, or has another body in its place, is not sent as it comes.
        let streams = matches!(request.body, Body::Stream(_));
        if let Some(upload) = self.upload.filter(|_| streams) {
            upload.limit(route.body_bytes_max);
            self.caller.upload.set(Some(upload));
        }
        let timeout_ns = route.integration.timeout_ns().unwrap_or(u64::MAX);
        self.caller.call(upstream, timeout_ns, request, response, &self.live)
    }

    async fn gather_response(&self, response: &mut Response, bytes_max: u64) -> Result<(), Reason> {
        self.caller.gather(&self.live, response, bytes_max, &self.held).await
    }

    fn hold(&self, bytes: usize) -> bool {
        self.held.grow(bytes)
    }

    fn let_go(&self, bytes: usize) {
        self.held.shrink(bytes);
    }

    fn is_named(&self, host: &str) -> bool {
        self.caller.client.is_some_and(|client| client.is_named(host))
    }

    fn pause(&self) -> impl Future<Output = ()> {
        self.caller.core.handle.yield_now()
    }
}
