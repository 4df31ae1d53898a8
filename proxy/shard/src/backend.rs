//! Calling a backend: the request, the head of the reply, and whom to ask instead. The reply's body stays on the connection,
//! which `reach` makes.

use std::{
    cell::Cell,
    future::poll_fn,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use balance::HostId;
use exchange::grpc;
use message::{Body, Length, Reason, Request, Response};
use runtime::{Alarm, Expired};
use smallvec::SmallVec;
use snapshot::{Snapshot, Target, Upstream};
use telemetry::Event;
use wire::h1::{self, BodyLength, ResponseFraming};

use crate::{
    care::does_no_harm_twice,
    client::Client,
    core::{Connected, Core},
    h2::Call,
    kept::Kept,
    pace::{Bounds, Deadlines, Pace, Terms, Way},
    pool::Claim,
    race::{First, race},
    reach::Reached,
    relay::{Fault, Relay},
    reply::{Came, NoHead, ReplyHead},
    side::Side,
    transport::Transport,
    whole::ask_for_body,
};

/// Addresses that failed for one request and are remembered without allocating; more are rare.
const HOSTS_INLINE: usize = 2;

/// How long a head is held back for the beginning of its body.
const HOLD_NS: u64 = 10_000_000;

/// What a call is made on: a connection to a backend, made once and kept between calls, or a stream of one that others use
/// too. Handed on by its address.
pub(crate) struct Live {
    pub(crate) line: Line,
    /// Held for as long as a call is on it.
    pub(crate) claim: Option<Claim>,
    /// Of the head that came last.
    pub(crate) framing: ResponseFraming,
    pub(crate) slot: u32,
    /// Of the call as a whole.
    pub(crate) bounds: Bounds,
    /// Since when no call is on it, in `mono_ns`.
    pub(crate) since_ns: u64,
}

/// By which protocol a backend is spoken to.
pub(crate) enum Line {
    Http1 { transport: Transport, _connected: Connected },
    Http2(Box<Call>),
}

impl Line {
    /// Where bodies come from and go to.
    pub(crate) fn side(&self) -> Side<'_> {
        match self {
            Self::Http1 { transport, .. } => Side::Http1(transport),
            Self::Http2(call) => Side::Http2(call.flow()),
        }
    }
}

impl Live {
    /// Where bodies come from and go to.
    pub(crate) fn side(&self) -> Side<'_> {
        self.line.side()
    }

    /// The connection, if the call has it for itself.
    pub(crate) fn transport(&self) -> Option<&Transport> {
        match &self.line {
            Line::Http1 { transport, .. } => Some(transport),
            Line::Http2(_) => None,
        }
    }

    /// How what comes is told from what follows it. Streams end by themselves, whatever length was announced.
    pub(crate) fn decoded_as(&self) -> BodyLength {
        match (&self.line, self.framing.body) {
            (_, BodyLength::None) => BodyLength::None,
            (Line::Http1 { .. }, length) => length,
            (Line::Http2(_), _) => BodyLength::UntilClose,
        }
    }

    /// Whether it is on a connection that others have used before.
    fn is_joined(&self) -> bool {
        matches!(&self.line, Line::Http2(call) if call.is_joined())
    }

    /// Ends it so that the backend can't take what it got for the whole.
    pub(crate) fn abort(self) {
        if let Line::Http1 { transport, .. } = self.line {
            transport.abort();
        }
    }
}

/// One request's call: what it needs of the client's side.
pub(crate) struct Caller<'a> {
    pub(crate) core: &'a Rc<Core>,
    pub(crate) snapshot: &'a Snapshot,
    /// Who waits for the answer; `None`: nobody does.
    pub(crate) client: Option<Client<'a>>,
    pub(crate) alarm: &'a Alarm,
    /// The request's body on its way, if one streams.
    pub(crate) upload: Cell<Option<&'a Relay>>,
    /// Set when the client waits for `100 Continue` before it sends its body.
    pub(crate) expects_continue: Cell<bool>,
}

/// One attempt that did not end well.
struct Failed {
    /// What the client gets if nobody else is asked.
    instead: Result<Box<Live>, Reason>,
    again: Again,
    /// What was sent of a body that streams, and has to be sent again.
    kept: Option<Box<Kept>>,
}

impl Failed {
    /// Before anything of a body was sent.
    fn before(reason: Reason, again: Again) -> Self {
        Self { instead: Err(reason), again, kept: None }
    }
}

/// Whether a request may be put to a backend once more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    No,
    /// To another address. `seen`: this one may have seen the request.
    Elsewhere {
        seen: bool,
    },
    /// On another connection: this one was closed under the request, which says nothing about the backend; or on any
    /// that takes it, where the backend has not looked at it.
    Anew,
}

impl Caller<'_> {
    /// Puts the request to a backend of the group, and reads the head of its reply into `response`; the connection that it came
    /// on lies in `into`. `timeout_ns`: of its route; `u64::MAX`: it has none.
    #[expect(clippy::manual_async_fn, reason = "in the future of an async fn the arguments lie twice")]
    pub(crate) fn call(
        &self,
        slot: u32,
        timeout_ns: u64,
        request: &mut Request,
        response: &mut Response,
        into: &Cell<Option<Box<Live>>>,
    ) -> impl Future<Output = Result<(), Reason>> {
        async move {
            let upstream = self.snapshot.upstream(slot).ok_or(Reason::Internal)?;
            if let Some(Client::Http2(stream)) = self.client {
                stream.may_call(upstream.http2).await?;
            }
            let now_ns = self.core.handle.now().mono_ns;
            let bounds = self.bounds(upstream, timeout_ns, request, now_ns);
            let claim = self.core.claim(slot, self.snapshot, upstream, now_ns)?;
            let mut reached = self.at_hand(slot, upstream, claim, true, &bounds);
            let mut avoid = SmallVec::<[HostId; HOSTS_INLINE]>::new();
            let (mut may_reuse, mut kept) = (true, None);
            loop {
                let Reached { host, target, was_reused, .. } = reached;
                // What is moved as a whole lies here no longer, while an answer is waited for.
                let connected = match reached.into_live() {
                    Ok(live) => Ok(live),
                    // Seldom waited for, and then in memory of its own.
                    Err(claim) => {
                        let reaching = || self.reach(slot, upstream, *claim, &bounds);
                        self.core.handle.pooled(reaching).await.map(Box::new)
                    }
                };
                let attempted = match connected {
                    Ok(live) => {
                        let was_reused = was_reused || live.is_joined();
                        let kept = kept.take();
                        let attempt =
                            Attempt { slot, upstream, target, live, was_reused, is_first: may_reuse, kept };
                        self.attempt(attempt, request, response).await
                    }
                    Err(reason) => {
                        let again =
                            if is_clients(&reason) { Again::No } else { Again::Elsewhere { seen: false } };
                        Err(Failed { kept: kept.take(), ..Failed::before(reason, again) })
                    }
                };
                let Failed { instead, again, kept: sent } = match attempted {
                    Ok(live) => {
                        if let Some(Client::Http2(stream)) = self.client {
                            stream.was_called();
                        }
                        into.set(Some(live));
                        return Ok(());
                    }
                    Err(failed) => failed,
                };
                match again {
                    Again::No => return instead.map(|live| into.set(Some(live))),
                    Again::Anew => may_reuse = false,
                    Again::Elsewhere { .. } => avoid.push(host),
                }
                let now_ns = self.core.handle.now().mono_ns;
                if now_ns >= bounds.end_ns || avoid.len() > upstream.balance.retries.hosts_max as usize {
                    return instead.map(|live| into.set(Some(live)));
                }
                // What met a kept connection's end is not paid for: it can happen once a request, and no more often than backends
                // close what is kept.
                let seen = again == Again::Elsewhere { seen: true };
                // What has taken a backend's time without being looked at has, though, if it had a body.
                let is_paid = seen || sent.as_ref().is_some_and(|kept| !kept.is_untouched());
                let Some(claim) = self.core.claim_again(slot, now_ns, &avoid, is_paid) else {
                    return instead.map(|live| into.set(Some(live)));
                };
                reached = self.at_hand(slot, upstream, claim, may_reuse, &bounds);
                kept = sent;
                response.clear();
            }
        }
    }

    /// What bounds the call. A caller of gRPC says how long it waits, which goes on to the backend too, and may be silent for
    /// as long as whoever has a connection to itself; but only where a backend can be one of gRPC: the word of a client alone
    /// gives it no more time for its body.
    fn bounds(&self, upstream: &Upstream, timeout_ns: u64, request: &Request, now_ns: u64) -> Bounds {
        let total_ns = upstream.total_timeout_ns.unwrap_or(u64::MAX).min(timeout_ns);
        let mut bounds = Bounds::until(now_ns.saturating_add(total_ns));
        if upstream.http2 && grpc::is_call(request) {
            bounds.silence_ns = Some(self.snapshot.timeouts.tunnel_idle_ns);
            if let Some(waits_ns) = grpc::timeout_ns(request).filter(|waits_ns| *waits_ns < total_ns) {
                (bounds.end_ns, bounds.is_callers) = (now_ns.saturating_add(waits_ns), true);
            }
        }
        bounds
    }

    /// Who took so long: the backend, if the caller's own time is not over.
    pub(crate) fn late(&self, bounds: &Bounds) -> Reason {
        let is_callers = bounds.is_callers_over(self.core.handle.now().mono_ns);
        if is_callers { Reason::CallTimedOut } else { Reason::BackendTimedOut }
    }

    /// One request on one connection.
    fn attempt(
        &self,
        attempt: Attempt<'_>,
        request: &mut Request,
        response: &mut Response,
    ) -> impl Future<Output = Result<Box<Live>, Failed>> {
        let Attempt { slot, upstream, target, mut live, was_reused, is_first, mut kept } = attempt;
        async move {
            let Some(target) = upstream.targets.get(target) else {
                return Err(Failed::before(Reason::Internal, Again::No));
            };
            if let Line::Http1 { transport, .. } = &live.line {
                // An HTTP/2 stream whose windows are shut leaves what was received where it is, and there are a hundred on a
                // connection.
                transport.set_sparing(self.client.and_then(Client::window));
            }
            let (answered, hinted) = 'answered: {
                if let Line::Http2(call) = &live.line
                    && let Err(no_head) = call.ready(self.alarm).await
                {
                    break 'answered (Ok(Err(no_head)), false);
                }
                if let Err(no_head) = put(&live.line, request, target, self.client) {
                    break 'answered (Ok(Err(no_head)), false);
                }
                if let Line::Http2(call) = &live.line {
                    let is_new = self.upload.get().is_some_and(Relay::is_untouched);
                    let kept =
                        kept.take().or_else(|| if is_new { Kept::new(self.core, request) } else { None });
                    kept.into_iter().for_each(|kept| call.flow().resume(kept));
                }
                let deadlines = Deadlines::new(&self.core.handle, self.alarm, &live.bounds);
                let timing = Timing { deadlines: &deadlines, first_byte_ns: upstream.first_byte_timeout_ns };
                // The time for an answer begins with the end of the request.
                if self.unsent_body().is_none() {
                    timing.answer();
                }
                let mut head = ReplyHead::new(self.core, self.client, request, &live.line, response);
                let answered = match self.upload.get().zip(self.client) {
                    None => self.begun(&mut head, &timing).await,
                    Some(from) => {
                        ask_for_body(from.1, &self.expects_continue);
                        let (head, to) = (&mut head, (live.side(), upstream.idle_timeout_ns));
                        let answered = self.core.handle.pooled(|| self.answered(head, from, to, &timing));
                        self.alarm.guard(answered).await
                    }
                };
                (answered, head.has_hinted())
            };
            let NoHead { mut reason, came } = match answered {
                Ok(Ok(framing)) => {
                    live.framing = framing;
                    self.core.learn_status(upstream, &mut live, response.status);
                    // Nothing of this answer has gone out, and another address may have a better one.
                    if upstream.balance.retries.statuses.contains(response.status)
                        && does_no_harm_twice(request, self.upload.get().is_some())
                        && !hinted
                    {
                        return Err(Failed {
                            instead: Ok(live),
                            again: Again::Elsewhere { seen: true },
                            kept: None,
                        });
                    }
                    return Ok(live);
                }
                Ok(Err(no_head)) => no_head,
                Err(_) if live.bounds.is_callers_over(self.core.handle.now().mono_ns) => {
                    NoHead::because(Reason::CallTimedOut)
                }
                Err(_) => match self.unsent_body() {
                    Some(upload) if !upload.is_stalled() => {
                        upload.give_up();
                        self.core.record(&Event::TimeOut { wait: "request_body" });
                        NoHead::because(Reason::BodyTimedOut)
                    }
                    Some(_) | None => NoHead::because(Reason::BackendTimedOut),
                },
            };
            if reason == Reason::BackendTimedOut {
                reason = self.late(&live.bounds);
            }
            response.clear();
            // Only what is idempotent, was sent whole, and met a backend that ended before anything of its answer went on; and what
            // it says that it has not looked at, as long as it can be sent whole again (RFC 9113 §8.7): nothing of its body has
            // left the client's side, or what has was kept.
            if let Line::Http2(call) = &live.line {
                kept = kept.or_else(|| call.flow().take_kept());
            }
            let may_again = match came {
                Came::Unseen => kept.is_some() || self.upload.get().is_none_or(Relay::is_untouched),
                Came::Nothing | Came::Held => does_no_harm_twice(request, self.upload.get().is_some()),
                Came::Something => false,
            };
            let is_unseen = came == Came::Unseen;
            let again = match may_again {
                _ if is_clients(&reason) => Again::No,
                true if is_first && (is_unseen || was_reused && came == Came::Nothing) => Again::Anew,
                true => Again::Elsewhere { seen: !is_unseen },
                false => Again::No,
            };
            let label = match &reason {
                Reason::BackendFailed if is_unseen => "stream_refused",
                reason => reason.as_str(),
            };
            if again == Again::Anew {
                self.core.record(&Event::BackendFault { upstream: slot, label });
            } else if !is_clients(&reason)
                && let Some(claim) = &mut live.claim
            {
                if let (Line::Http2(call), Reason::BackendTimedOut) = (&live.line, &reason) {
                    call.distrust();
                }
                self.core.learn_fault(slot, claim, label);
            }
            Err(Failed { instead: Err(reason), again, kept })
        }
    }

    /// The request's body, if it is not sent to its end.
    pub(crate) fn unsent_body(&self) -> Option<&Relay> {
        self.upload.get().filter(|upload| !upload.is_done())
    }

    /// Sends the rest of the body while waiting for the head of the reply, which may come before it is sent.
    #[expect(clippy::manual_async_fn, reason = "in the future of an async fn the arguments lie twice")]
    fn answered(
        &self,
        head: &mut ReplyHead<'_>,
        (upload, client): (&Relay, Client<'_>),
        (to, idle_ns): (Side<'_>, u64),
        timing: &Timing<'_>,
    ) -> impl Future<Output = Result<ResponseFraming, NoHead>> {
        async move {
            let timeouts = &self.snapshot.timeouts;
            let sender = Terms { idle_ns: timeouts.body_idle_ns, rate: timeouts.request_rate };
            let body = Pace::new(timing.deadlines, Way::Up, sender, Terms::idle(idle_ns));
            let mut sent = pin!(upload.run(client.side(), to, &body));
            let first = {
                let head = pin!(poll_fn(|cx| match head.poll(cx) {
                    Poll::Pending => client.poll_given_up(cx).map(|()| Err(head.no_head(Reason::ClientGone))),
                    answered => answered,
                }));
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

    /// Waits for the reply's head and, for a moment, the beginning of its body, until the deadline and for as long as there is
    /// a client to have them.
    async fn begun(
        &self,
        head: &mut ReplyHead<'_>,
        timing: &Timing<'_>,
    ) -> Result<Result<ResponseFraming, NoHead>, Expired> {
        let mut holds = false;
        let begun = poll_fn(|cx| {
            if let Poll::Ready(answered) = head.poll_begun(cx) {
                return Poll::Ready(Ok(answered));
            }
            if self.client.is_some_and(|client| client.poll_gone(cx).is_ready()) {
                return Poll::Ready(Ok(Err(head.no_head(Reason::ClientGone))));
            }
            if head.is_held() && !std::mem::replace(&mut holds, true) {
                timing.hold();
            }
            ready!(self.alarm.poll_expired(cx));
            // It has waited long enough for company, if that was it.
            let held = head.take_held().filter(|_| !timing.is_over());
            Poll::Ready(held.map(Ok).ok_or(Expired))
        })
        .await;
        if holds {
            timing.deadlines.clear(Way::Down);
        }
        begun
    }
}

/// Puts the request on its way, but for a body that streams.
fn put(line: &Line, request: &Request, target: &Target, client: Option<Client<'_>>) -> Result<(), NoHead> {
    match line {
        Line::Http1 { transport, .. } => transport.write(|out| {
            let host = request.host_for(&target.authority);
            h1::encode_request(request, host, body_length(&request.body), out);
            if let Body::Whole(bytes) = &request.body {
                out.extend_from_slice(bytes);
            }
        }),
        Line::Http2(call) => call.begin(request, target, client)?,
    }
    Ok(())
}

/// Whether the client failed and not the backend.
pub(crate) fn is_clients(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::ClientGone
            | Reason::CallTimedOut
            | Reason::BodyMalformed
            | Reason::BodyTimedOut
            | Reason::BodyTooLarge { .. }
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
    /// It was not sent back to a connection of the same group before.
    is_first: bool,
    /// What was sent of a body before, and was not looked at.
    kept: Option<Box<Kept>>,
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

    /// The head is there: the beginning of its body is waited for, a moment.
    fn hold(&self) {
        self.deadlines.set(Way::Down, self.deadlines.now_ns().saturating_add(HOLD_NS));
    }

    /// Whether the call as a whole has lasted too long.
    fn is_over(&self) -> bool {
        self.deadlines.now_ns() >= self.deadlines.bounds().end_ns
    }
}

/// How a body is framed toward the backend: as it came, so far as its length is known.
pub(crate) fn body_length(body: &Body) -> BodyLength {
    match body {
        Body::Empty => BodyLength::None,
        Body::Whole(bytes) => BodyLength::Known(bytes.len() as u64),
        Body::Stream(Length::Known(bytes)) => BodyLength::Known(*bytes),
        Body::Stream(Length::Unknown) => BodyLength::Chunked,
    }
}
