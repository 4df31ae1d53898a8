//! One call to a backend over HTTP/2: a stream of a connection that others of this core use too.

use std::{
    cell::RefCell,
    future::poll_fn,
    task::{Context, Poll},
};

use message::{Body, Method, PathRules, Reason, Request, Response};
use runtime::Alarm;
use snapshot::{Health, Target};
use wire::{
    Limits,
    h1::{ResponseFraming, ResponseKind},
    h2::{AnswerFault, AnswerHead, Awaited},
};

use super::backend::Seat;
use crate::{client::Client, core::Core, flow::Flow, reply::NoHead, transport::Transport};

/// A call on a connection that it shares.
pub(crate) struct Call {
    seat: Seat,
    flow: Flow,
    awaited: RefCell<Option<Awaited>>,
    /// The connection was there before.
    is_joined: bool,
    /// What had come on the connection when the call began.
    received_before: u64,
}

impl Call {
    /// On a seat that was kept for it.
    pub(crate) fn new(seat: Seat, is_joined: bool) -> Self {
        let received_before = seat.received();
        Self { seat, flow: Flow::default(), awaited: RefCell::default(), is_joined, received_before }
    }

    /// Whether others have used the connection before.
    pub(crate) fn is_joined(&self) -> bool {
        self.is_joined
    }

    /// It has waited in vain. Where nothing at all has come meanwhile, the connection may be dead without saying so.
    pub(crate) fn distrust(&self) {
        if self.seat.received() == self.received_before {
            self.seat.close();
        }
    }

    /// The bodies of request and response.
    pub(crate) fn flow(&self) -> &Flow {
        &self.flow
    }

    /// Ready when the connection may have one more call.
    pub(crate) fn ready(&self, alarm: &Alarm) -> impl Future<Output = Result<(), NoHead>> {
        poll_fn(|cx| match self.seat.poll_ready(cx) {
            Poll::Pending => alarm.poll_expired(cx).map(|()| Err(NoHead::unseen(Reason::BackendTimedOut))),
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Ready(Err(_)) => {
                self.seat.close();
                Poll::Ready(Err(NoHead::unseen(Reason::BackendFailed)))
            }
        })
    }

    /// Puts the request on its way, but for a body that streams. `client`: for whom, if for one.
    pub(crate) fn begin(
        &self,
        request: &Request,
        target: &Target,
        client: Option<Client<'_>>,
    ) -> Result<(), NoHead> {
        let unseen = || NoHead::unseen(Reason::BackendFailed);
        let mut caller = self.seat.caller();
        let ends = request.body == Body::Empty;
        let length = request.body.length().filter(|_| !ends);
        let loan = client.and_then(Client::loan);
        let host = request.host_for(&target.authority);
        let called = caller.call(request, host, target.tls, length, ends, loan);
        let (awaited, sender) = called.map_err(|_| unseen())?;
        self.flow.set_sender(sender, ends);
        *self.awaited.borrow_mut() = Some(awaited);
        if let Body::Whole(bytes) = &request.body {
            self.flow.write_shared(bytes.clone(), true);
        }
        Ok(())
    }

    /// The next head of the answer.
    pub(crate) fn poll_head(
        &self,
        limits: &Limits,
        method: &Method,
        response: &mut Response,
        cx: &mut Context<'_>,
    ) -> Poll<Result<ResponseFraming, AnswerFault>> {
        // A body that was at hand and found no room goes on whenever there is some.
        let _unsent = self.flow.poll_sent_below(cx, 1);
        let mut awaited = self.awaited.borrow_mut();
        let Some(answer) = &mut *awaited else { return Poll::Ready(Err(AnswerFault::Gone)) };
        let head = match answer.poll_head(cx, limits, method, response) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(head) => head?,
        };
        let kind = match head {
            AnswerHead::Interim => ResponseKind::Interim,
            AnswerHead::Final(receiver) => {
                self.flow.set_receiver(receiver);
                // The backend has looked at the request.
                drop(self.flow.take_kept());
                *awaited = None;
                ResponseKind::Final
            }
        };
        let body = crate::backend::body_length(&response.body);
        // A stream is used once.
        Poll::Ready(Ok(ResponseFraming { body, keep_alive: false, kind, upgrade: None }))
    }
}

/// What a backend answers to a probe of its health; `None`: nothing that is an answer. The connection ends with it.
pub(crate) async fn probe(
    core: &Core,
    transport: Transport,
    target: &Target,
    health: &Health,
) -> Option<u16> {
    let call = Call::new(super::start(core, transport, None), false);
    let mut request = Request::default();
    request.target.read(health.path.as_bytes(), PathRules::default()).ok()?;
    request.headers.push("User-Agent", b"floodgate-health");
    let alarm = core.handle.alarm();
    call.ready(&alarm).await.ok()?;
    call.begin(&request, target, None).ok()?;
    let mut response = Response::default();
    for _ in 0..=core.codec_limits.interim_max {
        let head = poll_fn(|cx| call.poll_head(&core.codec_limits, &Method::Get, &mut response, cx)).await;
        if head.ok()?.kind == ResponseKind::Final {
            return Some(response.status);
        }
    }
    None
}
