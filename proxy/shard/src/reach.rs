//! Reaching a backend: a connection of a call's own, a place on one that is there, or one that is made for all who come.
//! What is asked on it is `backend`'s.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    task::{Context, Poll},
};

use balance::HostId;
use message::Reason;
use snapshot::{Target, Upstream};
use telemetry::Event;
use wire::h1::ResponseFraming;

use crate::{
    backend::{Caller, Line, Live, is_clients},
    care::is_own_fault,
    client::Client,
    core::{Connected, Core},
    h2::{self, Call, Making, Seat, Unseated},
    pace::Bounds,
    pool::Claim,
    transport::Transport,
};

/// What a claim has come to.
pub(crate) struct Reached {
    pub(crate) host: HostId,
    /// Which of the group's targets.
    pub(crate) target: usize,
    /// Others have used it before.
    pub(crate) was_reused: bool,
    /// What is there; the claim, if nothing is.
    live: Result<Box<Live>, Box<Claim>>,
}

impl Reached {
    /// What is there; the claim, if nothing is.
    pub(crate) fn into_live(self) -> Result<Box<Live>, Box<Claim>> {
        self.live
    }
}

impl Caller<'_> {
    /// A connection that is there, kept or shared with others.
    pub(crate) fn at_hand(
        &self,
        slot: u32,
        upstream: &Upstream,
        claim: Claim,
        may_reuse: bool,
        bounds: &Bounds,
    ) -> Reached {
        let (host, target) = (claim.host(), claim.endpoint.target);
        let reused = self.core.pool(slot, |pool| if may_reuse { pool.reuse(&claim) } else { None }).flatten();
        let was_reused = reused.is_some();
        let live = match reused {
            Some(mut live) => {
                self.core.record(&Event::BackendReuse { upstream: slot });
                live.claim = Some(claim);
                live.bounds = *bounds;
                Ok(live)
            }
            None => match self.seat(slot, upstream, &claim) {
                Some(seat) => Ok(Box::new(self.seated(seat, slot, claim, bounds))),
                None => Err(Box::new(claim)),
            },
        };
        Reached { host, target, was_reused, live }
    }

    /// A connection where none was there, or a place on one.
    pub(crate) async fn reach(
        &self,
        slot: u32,
        upstream: &Upstream,
        claim: Claim,
        bounds: &Bounds,
    ) -> Result<Live, Reason> {
        if upstream.http2 {
            self.join(slot, upstream, claim, bounds).await
        } else {
            self.connect(slot, upstream, claim, bounds).await
        }
    }

    /// A connection of the call's own.
    async fn connect(
        &self,
        slot: u32,
        upstream: &Upstream,
        mut claim: Claim,
        bounds: &Bounds,
    ) -> Result<Live, Reason> {
        let (transport, place) = {
            let reaching = pin!(self.open(slot, upstream, &mut claim, bounds));
            self.while_wanted(reaching, None).await?
        };
        Ok(live(Line::Http1 { transport, _connected: place }, slot, claim, bounds))
    }

    /// A place on a connection that is there.
    fn seat(&self, slot: u32, upstream: &Upstream, claim: &Claim) -> Option<Seat> {
        upstream.http2.then(|| self.core.pool(slot, |pool| pool.shared(claim)?.seat())).flatten().flatten()
    }

    /// A call on a connection that was there.
    fn seated(&self, seat: Seat, slot: u32, claim: Claim, bounds: &Bounds) -> Live {
        self.core.record(&Event::BackendReuse { upstream: slot });
        live(Line::Http2(Box::new(Call::new(seat, true))), slot, claim, bounds)
    }

    /// A stream of a connection that is there, or of one that is made for all who come.
    async fn join(
        &self,
        slot: u32,
        upstream: &Upstream,
        mut claim: Claim,
        bounds: &Bounds,
    ) -> Result<Live, Reason> {
        let core = self.core;
        let now_ns = core.handle.now().mono_ns;
        // Where very many come at once, most wait for others' connections, and that is no fault of the backend's.
        self.alarm.set(now_ns.saturating_add(upstream.first_byte_timeout_ns).min(bounds.end_ns));
        let shared = core.pool(slot, |pool| pool.shared(&claim).cloned()).flatten();
        let mut waiting = pin!(shared.as_ref().ok_or(Reason::Internal)?.wait());
        let waiting = poll_fn(|cx| match (waiting.as_mut().poll(cx), self.client) {
            (Poll::Pending, Some(client)) => {
                client.poll_gone(cx).map(|()| Err(Unseated::Failed(Reason::ClientGone)))
            }
            (waited, _) => waited,
        });
        let seat = match self.alarm.guard(waiting).await {
            Ok(Ok(seat)) => return Ok(self.seated(seat, slot, claim, bounds)),
            // Who tried has learnt it.
            Ok(Err(Unseated::Failed(reason))) => return Err(reason),
            Ok(Err(Unseated::Make(making))) => {
                let reached = {
                    let reaching = pin!(self.open(slot, upstream, &mut claim, bounds));
                    self.while_wanted(reaching, Some(&making)).await
                };
                let started = reached.map(|(transport, place)| h2::start(core, transport, Some(place)));
                match started {
                    Ok(seat) => {
                        let seat = making.done(seat);
                        core.shares(slot);
                        if self.has_gone().await {
                            return Err(Reason::ClientGone);
                        }
                        seat
                    }
                    Err(reason) => {
                        // Who has no time left says nothing of the backend: the next tries.
                        if !is_clients(&reason) {
                            making.failed(&reason);
                        }
                        return Err(reason);
                    }
                }
            }
            Err(_) => {
                let reason = self.late(bounds);
                if !is_clients(&reason) {
                    core.learn_fault(slot, &mut claim, reason.as_str());
                }
                return Err(reason);
            }
        };
        Ok(live(Line::Http2(Box::new(Call::new(seat, false))), slot, claim, bounds))
    }

    /// Makes a connection for as long as anybody wants it: the client, or others that wait for the same one.
    async fn while_wanted<T>(
        &self,
        mut reaching: Pin<&mut impl Future<Output = Result<T, Reason>>>,
        making: Option<&Making>,
    ) -> Result<T, Reason> {
        let mut is_gone = false;
        poll_fn(|cx| {
            if let Poll::Ready(reached) = reaching.as_mut().poll(cx) {
                return Poll::Ready(reached);
            }
            is_gone = is_gone || self.client_has_gone(cx);
            let is_unwanted = || making.is_none_or(|making| making.poll_unwanted(cx).is_ready());
            if is_gone && is_unwanted() { Poll::Ready(Err(Reason::ClientGone)) } else { Poll::Pending }
        })
        .await
    }

    /// Whether the client has left.
    async fn has_gone(&self) -> bool {
        poll_fn(|cx| Poll::Ready(self.client_has_gone(cx))).await
    }

    fn client_has_gone(&self, cx: &mut Context<'_>) -> bool {
        self.client.is_some_and(|client| client.poll_gone(cx).is_ready())
    }

    /// A new connection to the claimed address.
    async fn open(
        &self,
        slot: u32,
        upstream: &Upstream,
        claim: &mut Claim,
        bounds: &Bounds,
    ) -> Result<(Transport, Connected), Reason> {
        let handle = &self.core.handle;
        let begun_ns = handle.now().mono_ns;
        self.alarm.set(begun_ns.saturating_add(upstream.connect_timeout_ns).min(bounds.end_ns));
        let target = upstream.targets.get(claim.endpoint.target).ok_or(Reason::Internal)?;
        let Some(place) = self.core.connects() else {
            self.core.record(&Event::BackendFault { upstream: slot, label: "own_resources" });
            return Err(Reason::BackendUnreachable);
        };
        let sparing = self.client.and_then(Client::window).filter(|_| !upstream.http2);
        let opening = open(self.core, slot, upstream, target, (claim.endpoint.address, sparing));
        let reason = match self.alarm.guard(opening).await {
            Ok(Ok(transport)) => {
                let us = handle.now().mono_ns.saturating_sub(begun_ns) / 1_000;
                self.core.record(&Event::BackendConnect { upstream: slot, us });
                return Ok((transport, place));
            }
            Ok(Err(error)) if is_own_fault(&error) => {
                self.core.record(&Event::BackendFault { upstream: slot, label: "own_resources" });
                return Err(Reason::BackendUnreachable);
            }
            Ok(Err(_)) => Reason::BackendUnreachable,
            Err(_) => self.late(bounds),
        };
        if !is_clients(&reason) {
            self.core.learn_fault(slot, claim, reason.as_str());
        }
        Err(reason)
    }
}

fn live(line: Line, slot: u32, claim: Claim, bounds: &Bounds) -> Live {
    Live { line, claim: Some(claim), framing: ResponseFraming::default(), slot, bounds: *bounds, since_ns: 0 }
}

/// A connection to an address, with its handshake; how sparing it is from the first (`Stream::set_sparing`). Bytes that
/// come before the handshake fail it (bug 15).
pub(crate) async fn open(
    core: &Core,
    slot: u32,
    upstream: &Upstream,
    target: &Target,
    (address, sparing): (SocketAddr, Option<usize>),
) -> io::Result<Transport> {
    let stream = core.handle.connect(address).sparing(sparing).await?;
    let tls = core.pool(slot, |pool| pool.tls(upstream.tls.as_ref())).flatten();
    let transport = match tls.filter(|_| target.tls) {
        Some(tls) => Transport::client(&core.handle, stream, &tls, &target.server_name)?,
        None => Transport::plain(stream),
    };
    transport.handshake().await?;
    // A backend that does not choose it speaks something else.
    let chosen = transport.session().map(|session| session.borrow().alpn() == Some(tls::ALPN_HTTP2));
    if upstream.http2 && chosen == Some(false) {
        return Err(io::Error::other("the backend does not speak HTTP/2"));
    }
    Ok(transport)
}
