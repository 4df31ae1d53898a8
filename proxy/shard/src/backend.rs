//! Calling a backend: a connection, the request, the head of the reply. The reply's body stays on the connection.

use std::{
    cell::Cell,
    future::poll_fn,
    io,
    pin::pin,
    task::{Context, Poll},
};

use message::{Body, Length, Reason, Request, Response};
use runtime::{Alarm, Expired};
use smallvec::SmallVec;
use snapshot::{Snapshot, Upstream};
use telemetry::Event;
use wire::h1::{self, BodyLength, ResponseFraming};

use crate::{
    core::Core,
    pace::{Deadlines, Pace, Terms, Way},
    pool::Claim,
    race::{First, race},
    relay::{Fault, Relay},
    reply::{NoHead, ReplyHead},
    transport::Transport,
};

/// Addresses that are tried for one request before it is given up.
const ADDRESSES_MAX: usize = 3;

/// A connection to a backend: made once, kept between calls, and handed on by its address.
pub(crate) struct Live {
    pub(crate) transport: Transport,
    /// Held for as long as a call is on it.
    pub(crate) claim: Option<Claim>,
    /// Of the head that came last.
    pub(crate) framing: ResponseFraming,
    pub(crate) slot: u32,
    /// When the whole call must be over, in `mono_ns`.
    pub(crate) end_ns: u64,
    /// Since when no call is on it, in `mono_ns`.
    pub(crate) since_ns: u64,
}

/// One request's call: what it needs of the client's side.
pub(crate) struct Caller<'a> {
    pub(crate) core: &'a Core,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) client: &'a Transport,
    pub(crate) alarm: &'a Alarm,
    /// The request's body on its way, if one streams.
    pub(crate) upload: Option<&'a Relay>,
    /// Set when the client waits for `100 Continue` before it sends its body.
    pub(crate) expects_continue: &'a Cell<bool>,
}

/// Why one attempt failed.
struct Failed {
    reason: Reason,
    /// Nothing of the request can have been acted upon: another attempt does no harm.
    harmless: bool,
}

impl Caller<'_> {
    /// Puts the request to a backend of the group, and reads the head of its reply into `response`.
    pub(crate) async fn call(
        &self,
        slot: u32,
        request: &mut Request,
        response: &mut Response,
    ) -> Result<Box<Live>, Reason> {
        let upstream = self.snapshot.upstream(slot).ok_or(Reason::Internal)?;
        let now_ns = self.core.handle.now().mono_ns;
        let end_ns = upstream.total_timeout_ns.map_or(u64::MAX, |total_ns| now_ns.saturating_add(total_ns));
        let mut avoid = SmallVec::<[_; ADDRESSES_MAX]>::new();
        let mut may_reuse = true;
        loop {
            let claim = self
                .core
                .pool(slot, |pool| pool.claim(&avoid))
                .flatten()
                .ok_or(Reason::BackendUnreachable)?;
            let endpoint = claim.endpoint;
            let reused =
                self.core.pool(slot, |pool| if may_reuse { pool.reuse(&claim) } else { None }).flatten();
            let was_reused = reused.is_some();
            let connected = match reused {
                Some(mut live) => {
                    self.core.record(&Event::BackendReuse { upstream: slot });
                    live.claim = Some(claim);
                    live.end_ns = end_ns;
                    Ok(live)
                }
                None => self.connect(slot, upstream, claim, end_ns).await.map(Box::new),
            };
            let failed = match connected {
                Ok(live) => {
                    let attempt = Attempt { upstream, target: endpoint.target, live, was_reused };
                    match self.attempt(attempt, request, response).await {
                        Ok(live) => return Ok(live),
                        Err(failed) => failed,
                    }
                }
                Err(reason) => Failed { reason, harmless: true },
            };
            if !is_clients(&failed.reason) {
                self.core.record(&Event::BackendFault { upstream: slot, label: failed.reason.as_str() });
            }
            // A kept connection that was closed under the request says nothing about the backend: try it again on a
            // new one. An address that can't be reached is not tried twice.
            if was_reused {
                may_reuse = false;
            } else {
                avoid.push(endpoint.address);
            }
            let tried_out =
                avoid.len() >= ADDRESSES_MAX.min(self.core.pool(slot, |pool| pool.len()).unwrap_or(0));
            if !failed.harmless || (!was_reused && tried_out) {
                return Err(failed.reason);
            }
            self.core.record(&Event::BackendRetry { upstream: slot });
        }
    }

    async fn connect(
        &self,
        slot: u32,
        upstream: &Upstream,
        claim: Claim,
        end_ns: u64,
    ) -> Result<Live, Reason> {
        let handle = &self.core.handle;
        let begun_ns = handle.now().mono_ns;
        self.alarm.set(begun_ns.saturating_add(upstream.connect_timeout_ns).min(end_ns));
        let target = upstream.targets.get(claim.endpoint.target).ok_or(Reason::Internal)?;
        let connecting = async {
            let stream = handle.connect(claim.endpoint.address).await?;
            let tls = self.core.pool(slot, |pool| pool.tls(upstream.tls.as_ref())).flatten();
            let transport = match tls.filter(|_| target.tls) {
                Some(tls) => Transport::client(handle, stream, &tls, &target.server_name)?,
                None => Transport::plain(handle, stream),
            };
            // Bytes that come before the handshake fail it (bug 15).
            transport.handshake().await?;
            io::Result::Ok(transport)
        };
        let connected = self.alarm.guard(connecting).await;
        let transport =
            connected.map_err(|_| Reason::BackendTimedOut)?.map_err(|_| Reason::BackendUnreachable)?;
        let us = handle.now().mono_ns.saturating_sub(begun_ns) / 1_000;
        self.core.record(&Event::BackendConnect { upstream: slot, us });
        let framing = ResponseFraming::default();
        Ok(Live { transport, claim: Some(claim), framing, slot, end_ns, since_ns: begun_ns })
    }

    /// One request on one connection.
    async fn attempt(
        &self,
        attempt: Attempt<'_>,
        request: &mut Request,
        response: &mut Response,
    ) -> Result<Box<Live>, Failed> {
        let Attempt { upstream, target, mut live, was_reused } = attempt;
        let Some(target) = upstream.targets.get(target) else {
            return Err(Failed { reason: Reason::Internal, harmless: false });
        };
        let length = body_length(&request.body);
        request.authority.clone_from(&target.authority);
        let transport = &live.transport;
        transport.write(|out| {
            h1::encode_request(request, length, out);
            if let Body::Whole(bytes) = &request.body {
                out.extend_from_slice(bytes);
            }
        });
        if self.upload.is_some() && self.expects_continue.replace(false) {
            self.client.write(|out| out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n"));
        }
        let deadlines = Deadlines::new(&self.core.handle, self.alarm, live.end_ns);
        let timing = Timing { deadlines: &deadlines, first_byte_ns: upstream.first_byte_timeout_ns };
        let timeouts = &self.snapshot.timeouts;
        let client = Terms { idle_ns: timeouts.body_idle_ns, rate: timeouts.request_rate };
        let body = Pace::new(&deadlines, Way::Up, client, Terms::idle(upstream.idle_timeout_ns));
        // The time for an answer begins with the end of the request.
        if self.unsent_body().is_none() {
            timing.answer();
        }
        let mut head = ReplyHead::new(self.core, self.client, request, transport, response);
        let answered = match self.upload {
            None => self.unless_late_or_gone(&mut head).await,
            Some(upload) => {
                let answered = self.answered(&mut head, upload, transport, &body, &timing);
                self.alarm.guard(answered).await
            }
        };
        drop(head);
        let failed = match answered {
            Ok(Ok(framing)) => {
                live.framing = framing;
                return Ok(live);
            }
            Ok(Err(NoHead { reason, nothing_came })) => {
                // Only what is idempotent, was sent whole, and met a connection that ended before it said anything.
                let may_repeat =
                    was_reused && nothing_came && self.upload.is_none() && request.method.is_idempotent();
                Failed { reason, harmless: may_repeat }
            }
            Err(_) => {
                let reason = match self.unsent_body() {
                    Some(upload) if !upload.is_stalled() => {
                        upload.give_up();
                        self.core.record(&Event::TimeOut { wait: "request_body" });
                        Reason::BodyTimedOut
                    }
                    Some(_) | None => Reason::BackendTimedOut,
                };
                Failed { reason, harmless: false }
            }
        };
        response.clear();
        Err(failed)
    }

    /// The request's body, if it is not sent to its end.
    fn unsent_body(&self) -> Option<&Relay> {
        self.upload.filter(|upload| !upload.is_done())
    }

    /// Sends the rest of the body while waiting for the head of the reply, which may come before it is sent.
    async fn answered(
        &self,
        head: &mut ReplyHead<'_>,
        upload: &Relay,
        transport: &Transport,
        body: &Pace<'_>,
        timing: &Timing<'_>,
    ) -> Result<ResponseFraming, NoHead> {
        let mut sent = pin!(upload.run(self.client, transport, body));
        let first = {
            let head = pin!(poll_fn(|cx| head.poll(cx)));
            race(head, sent.as_mut()).await
        };
        match first {
            First::Left(head) => return head,
            // It stopped reading; it may have said why.
            First::Right(Ok(()) | Err(Fault::ReceiverGone)) => {}
            First::Right(Err(fault)) => return Err(head.no_head(self.core.client_fault(fault))),
        }
        timing.answer();
        poll_fn(|cx| self.poll_unless_gone(head, cx)).await
    }

    /// Waits for the reply's head for as long as there is a client to have it.
    fn poll_unless_gone(
        &self,
        head: &mut ReplyHead<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<ResponseFraming, NoHead>> {
        if let Poll::Ready(answered) = head.poll(cx) {
            return Poll::Ready(answered);
        }
        self.client.poll_gone(cx).map(|()| Err(head.no_head(Reason::ClientGone)))
    }

    /// The same, and until the deadline.
    async fn unless_late_or_gone(
        &self,
        head: &mut ReplyHead<'_>,
    ) -> Result<Result<ResponseFraming, NoHead>, Expired> {
        poll_fn(|cx| match self.poll_unless_gone(head, cx) {
            Poll::Ready(answered) => Poll::Ready(Ok(answered)),
            Poll::Pending => self.alarm.poll_expired(cx).map(|()| Err(Expired)),
        })
        .await
    }
}

/// Whether the client failed and not the backend.
pub(crate) fn is_clients(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::ClientGone | Reason::BodyMalformed | Reason::BodyTimedOut | Reason::BodyTooLarge { .. }
    )
}

/// One try on one connection.
struct Attempt<'a> {
    upstream: &'a Upstream,
    /// Which of its targets.
    target: usize,
    live: Box<Live>,
    was_reused: bool,
}

/// When an answer must have come.
struct Timing<'a> {
    deadlines: &'a Deadlines<'a>,
    first_byte_ns: u64,
}

impl Timing<'_> {
    /// The request is sent, or no more of it is taken: from now on the answer is waited for.
    fn answer(&self) {
        self.deadlines.clear(Way::Up);
        self.deadlines.set(Way::Down, self.deadlines.now_ns().saturating_add(self.first_byte_ns));
    }
}

/// How a body is framed toward the backend: as it came, so far as its length is known.
fn body_length(body: &Body) -> BodyLength {
    match body {
        Body::Empty => BodyLength::None,
        Body::Whole(bytes) => BodyLength::Known(bytes.len() as u64),
        Body::Stream(Length::Known(bytes)) => BodyLength::Known(*bytes),
        Body::Stream(Length::Unknown) => BodyLength::Chunked,
    }
}
