//! Calling a backend: a connection, the request, the head of the reply. The reply's body stays on the connection.

use std::{
    cell::Cell,
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::pin,
    task::{Context, Poll},
};

use balance::HostId;
use message::{Body, Length, Reason, Request, Response};
use runtime::{Alarm, Expired};
use smallvec::SmallVec;
use snapshot::{Snapshot, Target, Upstream};
use telemetry::Event;
use wire::h1::{self, BodyLength, ResponseFraming};

use crate::{
    care::{does_no_harm_twice, is_own_fault},
    core::{Connected, Core},
    pace::{Deadlines, Pace, Terms, Way},
    pool::Claim,
    race::{First, race},
    relay::{Fault, Relay},
    reply::{NoHead, ReplyHead},
    transport::Transport,
};

/// Addresses that failed for one request and are remembered without allocating; more are rare.
const HOSTS_INLINE: usize = 4;

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
    pub(crate) _connected: Connected,
    /// Since when no call is on it, in `mono_ns`.
    pub(crate) since_ns: u64,
}

/// One request's call: what it needs of the client's side.
pub(crate) struct Caller<'a> {
    pub(crate) core: &'a Core,
    pub(crate) snapshot: &'a Snapshot,
    /// Who waits for the answer; `None`: nobody does.
    pub(crate) client: Option<&'a Transport>,
    pub(crate) alarm: &'a Alarm,
    /// The request's body on its way, if one streams.
    pub(crate) upload: Option<&'a Relay>,
    /// Set when the client waits for `100 Continue` before it sends its body.
    pub(crate) expects_continue: &'a Cell<bool>,
}

/// One attempt that did not end well.
struct Failed {
    /// What the client gets if nobody else is asked.
    instead: Result<Box<Live>, Reason>,
    again: Again,
}

/// Whether a request may be put to a backend once more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    No,
    /// To another address. `seen`: this one may have seen the request.
    Elsewhere {
        seen: bool,
    },
    /// On a new connection: the kept one was closed under the request, which says nothing about the backend.
    Anew,
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
        let mut claim = self.core.claim(slot, self.snapshot, upstream, now_ns)?;
        let mut avoid = SmallVec::<[HostId; HOSTS_INLINE]>::new();
        let mut may_reuse = true;
        loop {
            let (host, target) = (claim.host(), claim.endpoint.target);
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
            let attempted = match connected {
                Ok(live) => {
                    let attempt = Attempt { slot, upstream, target, live, was_reused };
                    self.attempt(attempt, request, response).await
                }
                Err(reason) => Err(Failed { instead: Err(reason), again: Again::Elsewhere { seen: false } }),
            };
            let Failed { instead, again } = match attempted {
                Ok(live) => return Ok(live),
                Err(failed) => failed,
            };
            match again {
                Again::No => return instead,
                Again::Anew => may_reuse = false,
                Again::Elsewhere { .. } => avoid.push(host),
            }
            let now_ns = self.core.handle.now().mono_ns;
            if now_ns >= end_ns || avoid.len() > upstream.balance.retries.hosts_max as usize {
                return instead;
            }
            // What met a kept connection's end is not paid for: it can happen once a request, and no more often than backends
            // close what is kept.
            let seen = again == Again::Elsewhere { seen: true };
            let Some(next) = self.core.claim_again(slot, now_ns, &avoid, seen) else { return instead };
            claim = next;
            response.clear();
        }
    }

    async fn connect(
        &self,
        slot: u32,
        upstream: &Upstream,
        mut claim: Claim,
        end_ns: u64,
    ) -> Result<Live, Reason> {
        let handle = &self.core.handle;
        let begun_ns = handle.now().mono_ns;
        self.alarm.set(begun_ns.saturating_add(upstream.connect_timeout_ns).min(end_ns));
        let target = upstream.targets.get(claim.endpoint.target).ok_or(Reason::Internal)?;
        let Some(place) = self.core.connects() else {
            self.core.record(&Event::BackendFault { upstream: slot, label: "own_resources" });
            return Err(Reason::BackendUnreachable);
        };
        let opening = open(self.core, slot, upstream, target, claim.endpoint.address);
        let reason = match self.alarm.guard(opening).await {
            Ok(Ok(transport)) => {
                let us = handle.now().mono_ns.saturating_sub(begun_ns) / 1_000;
                self.core.record(&Event::BackendConnect { upstream: slot, us });
                let framing = ResponseFraming::default();
                return Ok(Live {
                    transport,
                    claim: Some(claim),
                    framing,
                    slot,
                    end_ns,
                    since_ns: begun_ns,
                    _connected: place,
                });
            }
            Ok(Err(error)) if is_own_fault(&error) => {
                self.core.record(&Event::BackendFault { upstream: slot, label: "own_resources" });
                return Err(Reason::BackendUnreachable);
            }
            Ok(Err(_)) => Reason::BackendUnreachable,
            Err(_) => Reason::BackendTimedOut,
        };
        self.core.learn_fault(slot, &mut claim, reason.as_str());
        Err(reason)
    }

    /// One request on one connection.
    async fn attempt(
        &self,
        attempt: Attempt<'_>,
        request: &mut Request,
        response: &mut Response,
    ) -> Result<Box<Live>, Failed> {
        let Attempt { slot, upstream, target, mut live, was_reused } = attempt;
        let Some(target) = upstream.targets.get(target) else {
            return Err(Failed { instead: Err(Reason::Internal), again: Again::No });
        };
        let length = body_length(&request.body);
        let transport = &live.transport;
        transport.write(|out| {
            h1::encode_request(request, &target.authority, length, out);
            if let Body::Whole(bytes) = &request.body {
                out.extend_from_slice(bytes);
            }
        });
        if let (Some(_), Some(client)) = (self.upload, self.client)
            && self.expects_continue.replace(false)
        {
            client.write(|out| out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n"));
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
        let answered = match self.upload.zip(self.client) {
            None => self.unless_late_or_gone(&mut head).await,
            Some(from) => {
                let answered = self.answered(&mut head, from, transport, &body, &timing);
                self.alarm.guard(answered).await
            }
        };
        let hinted = head.has_hinted();
        drop(head);
        let (reason, nothing_came) = match answered {
            Ok(Ok(framing)) => {
                live.framing = framing;
                self.core.learn_status(upstream, &mut live, response.status);
                // Nothing of this answer has gone out, and another address may have a better one.
                if upstream.balance.retries.statuses.contains(response.status)
                    && does_no_harm_twice(request, self.upload.is_some())
                    && !hinted
                {
                    return Err(Failed { instead: Ok(live), again: Again::Elsewhere { seen: true } });
                }
                return Ok(live);
            }
            Ok(Err(NoHead { reason, nothing_came })) => (reason, nothing_came),
            Err(_) => match self.unsent_body() {
                Some(upload) if !upload.is_stalled() => {
                    upload.give_up();
                    self.core.record(&Event::TimeOut { wait: "request_body" });
                    (Reason::BodyTimedOut, false)
                }
                Some(_) | None => (Reason::BackendTimedOut, false),
            },
        };
        response.clear();
        // Only what is idempotent, was sent whole, and met a connection that ended before it said anything.
        let again = match nothing_came && does_no_harm_twice(request, self.upload.is_some()) {
            _ if is_clients(&reason) => Again::No,
            true if was_reused => Again::Anew,
            true => Again::Elsewhere { seen: true },
            false => Again::No,
        };
        if again == Again::Anew {
            self.core.record(&Event::BackendFault { upstream: slot, label: reason.as_str() });
        } else if !is_clients(&reason)
            && let Some(claim) = &mut live.claim
        {
            self.core.learn_fault(slot, claim, reason.as_str());
        }
        Err(Failed { instead: Err(reason), again })
    }

    /// The request's body, if it is not sent to its end.
    fn unsent_body(&self) -> Option<&Relay> {
        self.upload.filter(|upload| !upload.is_done())
    }

    /// Sends the rest of the body while waiting for the head of the reply, which may come before it is sent.
    async fn answered(
        &self,
        head: &mut ReplyHead<'_>,
        (upload, client): (&Relay, &Transport),
        transport: &Transport,
        body: &Pace<'_>,
        timing: &Timing<'_>,
    ) -> Result<ResponseFraming, NoHead> {
        let mut sent = pin!(upload.run(client, transport, body));
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
        match self.client {
            Some(client) => client.poll_gone(cx).map(|()| Err(head.no_head(Reason::ClientGone))),
            None => Poll::Pending,
        }
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

/// A connection to an address, with its handshake. Bytes that come before the handshake fail it (bug 15).
pub(crate) async fn open(
    core: &Core,
    slot: u32,
    upstream: &Upstream,
    target: &Target,
    address: SocketAddr,
) -> io::Result<Transport> {
    let stream = core.handle.connect(address).await?;
    let tls = core.pool(slot, |pool| pool.tls(upstream.tls.as_ref())).flatten();
    let transport = match tls.filter(|_| target.tls) {
        Some(tls) => Transport::client(&core.handle, stream, &tls, &target.server_name)?,
        None => Transport::plain(stream),
    };
    transport.handshake().await?;
    Ok(transport)
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
    slot: u32,
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
