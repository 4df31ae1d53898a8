//! Asking a backend about what a client was answered with already (RFC 5861 §3): a task of its own, without a client. One for
//! each key, since it holds the key's right to fetch; so many for a core; at most so long, and no longer than the core
//! serves: when the task is dropped, so is the right, and the next who asks has it.

#![expect(
    clippy::redundant_allocation,
    reason = "an Rc around the shared Arc: a request touches this core's count alone"
)]

use std::{cell::Cell, rc::Rc, sync::Arc};

use exchange::{Facts, Renewal, renew};
use message::{Body, Reason, Request, Response};
use policy::cache::{Fate, Found, Lookup};
use snapshot::{Route, Snapshot};
use wire::h1::BodyLength;

use crate::{
    backend::{Caller, Live},
    core::Core,
    owner::Fill,
    pressure::Level,
    relay::Relay,
    whole::Held,
};

/// Renewals of one core at once. What is more waits for the next who asks.
pub(crate) const RENEWALS_MAX: usize = 64;

/// How long the body of an answer may take that nobody waits for: as long as others wait for what is fetched.
const BODY_NS: u64 = 30_000_000_000;

/// A renewal under way.
struct Under(Rc<Core>);

impl Drop for Under {
    fn drop(&mut self) {
        self.0.renewals.set(self.0.renewals.get() - 1);
    }
}

/// The core as [`exchange::Core`] for a request that has no client.
struct Alone<'a> {
    caller: Caller<'a>,
    live: Cell<Option<Box<Live>>>,
    held: Held<'a>,
}

impl Core {
    /// Begins a renewal, if one more may be under way; else the right to it goes back.
    pub(crate) fn renew(
        self: &Rc<Self>,
        snapshot: &Rc<Arc<Snapshot>>,
        facts: Facts,
        renewal: Renewal,
        fill: Fill,
    ) {
        let is_served = !self.is_draining() && self.pressure.get() < Level::Refuse;
        if is_served && self.renewals.get() < RENEWALS_MAX {
            self.renewals.set(self.renewals.get() + 1);
            let under = Under(self.clone());
            self.handle.spawn(ask(under, snapshot.clone(), facts, renewal, fill));
        }
    }
}

async fn ask(under: Under, snapshot: Rc<Arc<Snapshot>>, facts: Facts, renewal: Renewal, fill: Fill) {
    let core = &under.0;
    let alarm = core.handle.alarm();
    let (upload, expects_continue) = (Cell::new(None), Cell::new(false));
    let caller = Caller { core, snapshot: &snapshot, client: None, alarm: &alarm, upload, expects_continue };
    let alone = Alone { caller, live: Cell::new(None), held: Held::new(core) };
    let mut response = Response::default();
    let fate = renew(&snapshot, renewal, &mut response, &facts, &alone).await;
    let Some(live) = alone.live.take() else { return fill.settle(fate) };
    let length = match &response.body {
        // It is at hand, and the backend sends none after a 304.
        Body::Whole(_) => BodyLength::None,
        Body::Empty | Body::Stream(_) => live.decoded_as(),
    };
    let Some(Fate::Keep(keep)) = fate else {
        fill.settle(fate);
        if live.framing.body == BodyLength::None {
            core.release(live, &snapshot, true);
        }
        return;
    };
    let relay = Relay::new(length, false);
    relay.tap(keep, fill);
    alarm.set(core.handle.now().mono_ns.saturating_add(BODY_NS).min(live.bounds.end_ns));
    if alarm.guard(relay.gather(live.side())).await == Ok(true) {
        relay.settle_tap();
        if live.decoded_as() == length {
            core.release(live, &snapshot, true);
        }
    }
}

impl exchange::Core for Alone<'_> {
    fn decide<R>(&self, decision: impl FnOnce(&mut exchange::Lent<'_>) -> R) -> R {
        self.caller.core.decide(decision)
    }

    fn is_overloaded(&self) -> bool {
        self.caller.core.pressure.get() >= Level::Refuse
    }

    /// What stands behind the cache has nothing to ask.
    async fn look_up(&self, _: Lookup) -> Found {
        Found::Pass
    }

    /// What the cache asks for has no body.
    async fn gather(&self, request: &mut Request, _: u64) -> Result<(), Reason> {
        if matches!(request.body, Body::Stream(_)) { Err(Reason::Internal) } else { Ok(()) }
    }

    fn call(
        &self,
        route: &Route,
        upstream: u32,
        request: &mut Request,
        response: &mut Response,
    ) -> impl Future<Output = Result<(), Reason>> {
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

    /// There is no client. Whose answer is renewed was let through.
    fn is_named(&self, _: &str) -> bool {
        true
    }

    fn pause(&self) -> impl Future<Output = ()> {
        self.caller.core.handle.yield_now()
    }
}
