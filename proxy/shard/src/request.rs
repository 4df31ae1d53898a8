//! One request on a connection, from its first byte to its last: head → exchange → answer → body. The order of the
//! policies and of what stands behind them is `exchange`'s; here are the bytes before and after it.

#![expect(
    clippy::redundant_allocation,
    reason = "an Rc around the shared Arc: a request touches this core's count alone"
)]

use std::{cell::Cell, rc::Rc, sync::Arc};

use bytes::Bytes;
use exchange::{Facts, Served, exchange, grpc};
use message::{Body, Length, Now, Reason, Request, RequestId, Response, Scheme};
use policy::{Answer, Question, cache::Fate};
use snapshot::{Route, Snapshot};
use telemetry::Event;
use wire::h1::{RequestFraming, ResponseKind};

use crate::{
    access::{self, Account, CLIENT_GONE},
    backend::{Caller, Live, is_clients},
    client::Client,
    conduct::Deed,
    core::{Core, Messages},
    owner::Fill,
    pressure::Level,
    relay::Relay,
    waiting::Asked,
    way::{Sent, Way, send},
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
    core: &'a Rc<Core>,
    snapshot: &'a Snapshot,
    client: Client<'a>,
    upload: Option<&'a Relay>,
    expects_continue: &'a Cell<bool>,
    live: Cell<Option<Box<Live>>>,
    fill: Cell<Option<Fill>>,
}

/// Serves one request.
pub(crate) async fn serve(core: &Rc<Core>, client: Client<'_>, asked: Asked) -> After {
    let Asked { snapshot, mut messages, framing, begun } = asked;
    messages.request.scheme = if client.is_secure() { Scheme::Https } else { Scheme::Http };
    let after = answer(core, &snapshot, client, &mut messages, framing, begun).await;
    core.recycle(messages);
    after
}

/// Answers what is no request, as far as it was understood, with an error.
pub(crate) fn refuse(
    core: &Core,
    client: Client<'_>,
    status: u16,
    label: &'static str,
    is_grpc: bool,
    mut messages: Box<Messages>,
) {
    let Messages { request, response } = &mut *messages;
    core.record(&Event::Malform { status, label });
    if status == 400 {
        core.note_offence(client.peer(), Deed::Malformed);
    }
    response.status = status;
    response.headers.push("Content-Type", b"application/json");
    let message = format!("{{\"message\":\"{}\"}}", message::reason_phrase(status));
    response.body = Body::Whole(Bytes::from(message));
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
    core.recycle(messages);
}

/// From the head to the last byte of the answer.
async fn answer(
    core: &Rc<Core>,
    snapshot: &Rc<Arc<Snapshot>>,
    client: Client<'_>,
    Messages { request, response }: &mut Messages,
    framing: RequestFraming,
    begun: Now,
) -> After {
    let Some(request_id) = core.next_id() else {
        core.record(&Event::Malform { status: 500, label: "no_random_numbers" });
        return After::Close;
    };
    let facts = facts(snapshot, client, request, request_id);
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
        client,
        upload: upload.as_ref(),
        expects_continue: &expects_continue,
        live: Cell::new(None),
        fill: Cell::new(None),
    };
    let mut served = if client.is_misdirected(request) {
        Served::misdirected(request, &facts, response)
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
        core.invalidate(changed, client.alarm()).await;
    }
    let way =
        Way { core, snapshot, client, request, upload: upload.as_ref(), keep_alive: framing.keep_alive };
    let (after, sent_bytes) = match live {
        Some(live) if live.framing.kind == ResponseKind::SwitchingProtocols => {
            core.handle.pooled(|| way.switch(response, live)).await
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
    let grpc_status = grpc::is_call(request).then(|| client.grpc_status(&response.headers));
    let is_gone = served.reason == Some(Reason::ClientGone) && grpc_status.is_none();
    let account = Account {
        request,
        path: asked_path.as_deref().unwrap_or_default(),
        facts: &facts,
        served: &served,
        begun,
        ended,
        status: if is_gone { CLIENT_GONE } else { response.status },
        grpc_status,
        response_bytes: sent_bytes,
        request_bytes: upload.as_ref().map_or(0, Relay::bytes),
    };
    access::record(core, snapshot, &account);
    after
}

/// What is known of a request beside its head.
fn facts(snapshot: &Snapshot, client: Client<'_>, request: &Request, request_id: RequestId) -> Facts {
    let (peer, port) = (client.peer().to_canonical(), client.port());
    let trusted = snapshot.client.is_trusted(peer);
    let client = if trusted { snapshot.client.client(peer, &request.headers) } else { peer };
    Facts { peer, client, trusted, port, request_id }
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
                let (found, fill) = self.core.look_up(lookup, self.client.alarm()).await;
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
            client: Some(self.client),
            alarm: self.client.alarm(),
            upload: self.upload,
            expects_continue: self.expects_continue,
        };
        self.live.set(Some(caller.call(upstream, request, response).await?));
        Ok(())
    }
}
