//! One request's life, from its head to its response's head, in one corridor. It knows the order of things and
//! nothing of sockets, bytes or time: what it needs of the world it asks a [`Core`].

pub mod answers;
mod compression;
mod customise;
pub mod grpc;
mod ids;
mod renewal;
mod signature;
mod spare;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use customise::customise;
use integration::{Outbound, ReadContext};
use message::{Body, Dialect, Now, Reason, Request, RequestId, Response};
use policy::{
    Answer, Context, Policy, Question, Slot, Verdict, cache,
    compression::{BODY_BYTES_MAX, Wanted},
    throttle::Spendings,
};
use snapshot::{Api, Found, Missed, Route, Snapshot, Stage};

pub use customise::{validation, values};
pub use ids::Ids;
pub use renewal::{Renewal, renew};
pub use spare::Spare;

/// The core that runs the exchange: its state, at once, and the outside, later.
pub trait Core {
    /// Lends what this core owns for one decision; nothing of it is held across an await.
    fn decide<R>(&self, decision: impl FnOnce(&mut Lent<'_>) -> R) -> R;
    /// Whether there is so little memory left that no request is served.
    fn is_overloaded(&self) -> bool;
    /// Asks the cache for an entry, whichever core has it.
    fn look_up(&self, lookup: cache::Lookup) -> impl Future<Output = cache::Found>;
    /// Reads a request's body, if it streams, to its end, so that it is whole; or says why that can't be: it is longer than
    /// so many bytes, or slow, or broken, or its client has gone, or there is no memory for it.
    fn gather(&self, request: &mut Request, bytes_max: u64) -> impl Future<Output = Result<(), Reason>>;
    /// Puts a route's prepared request to the upstream group in this slot and reads the head of the reply into an empty
    /// response, or says why there is none. Its body, if it streams, stays with the core. A request's body that streams goes
    /// there as it comes.
    fn call(
        &self,
        route: &Route,
        upstream: u32,
        request: &mut Request,
        response: &mut Response,
    ) -> impl Future<Output = Result<(), Reason>>;
    /// Reads the body that a call's response streams to its end, so that it is whole, as if it were an answer of our own; or
    /// says why that can't be: it is longer than so many bytes, or breaks off, or is late, or there is no memory for it.
    fn gather_response(
        &self,
        response: &mut Response,
        bytes_max: u64,
    ) -> impl Future<Output = Result<(), Reason>>;
    /// Counts so many more bytes as held in memory for this request, until it is over; false: there is no room for them.
    fn hold(&self, bytes: usize) -> bool;
    /// So many of them are free again.
    fn let_go(&self, bytes: usize);
    /// Whether the client's TLS name is this host (row 13); without TLS there is none.
    fn is_named(&self, host: &str) -> bool;
    /// Lets others have their turn.
    fn pause(&self) -> impl Future<Output = ()>;
}

/// What a core lends for one decision.
pub struct Lent<'a> {
    /// The time of this turn.
    pub now: Now,
    /// Its token buckets.
    pub spendings: &'a mut Spendings,
    /// The cache entries that it has at hand.
    pub near: &'a mut dyn cache::Near,
    /// What requests have left for the next.
    pub spare: &'a mut Spare,
}

/// What is known of a request beside the request.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Who connected to us.
    pub peer: IpAddr,
    /// The client: the peer, or what a trusted proxy says of it.
    pub client: IpAddr,
    /// Whether the peer is a trusted proxy.
    pub trusted: bool,
    /// The port on which it came.
    pub port: u16,
    /// The request's id.
    pub request_id: RequestId,
}

/// How it ended; what the client is told stands in the response.
#[derive(Debug)]
pub struct Served<'a> {
    /// The request's ids, as its client is told them.
    pub ids: Ids,
    /// The API that answered, if one was found.
    pub api: Option<&'a Api>,
    /// Its stage.
    pub stage: Option<&'a Stage>,
    /// Bytes of the request's path that were a mapping's base path; `None`: there was no mapping.
    pub base_bytes: Option<u32>,
    /// The route, if one was found.
    pub route: Option<&'a Route>,
    /// Why the gateway answered in place of the backend, if it did.
    pub reason: Option<Reason>,
    /// What one of the policies, which is the cache, remembers of the request.
    slot: Slot,
    /// What the cache said, if it was asked.
    pub cached: Option<CacheResult>,
    /// A kept response that goes out as it is, in place of the response, which is empty then.
    pub replay: Option<cache::Replay>,
    /// What the cache wants asked of the backend when the client has its answer.
    pub renewal: Option<Box<Renewal>>,
    /// When the backend was called and when its head had come, or all of it where that was wanted whole, in `mono_ns`.
    pub called: Option<(u64, u64)>,
}

/// What the cache said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheResult {
    /// It had the response.
    Hit,
    /// It had not.
    Miss,
}

/// Serves one request: finds its route, asks its policies, calls what stands behind it, and lets the policies that it
/// passed look at the response, last one first. The response is written where it stays: it comes in empty.
#[expect(clippy::manual_async_fn, reason = "in the future of an async fn the arguments lie twice")]
pub fn exchange<'a, C: Core>(
    snapshot: &'a Snapshot,
    request: &mut Request,
    response: &mut Response,
    facts: &Facts,
    core: &C,
) -> impl Future<Output = Served<'a>> {
    async move {
        let found = match snapshot.find(request, facts.request_id) {
            Ok(found) if found.is_strict && !core.is_named(request.authority.host()) => {
                let (api, dialect, reason) = (found.api, found.api.dialect, Reason::EndpointAccess);
                return Served {
                    api: Some(api),
                    ..Served::refused(reason, dialect, request, facts, response)
                };
            }
            Ok(found) => found,
            Err(Missed::Healthy) => {
                answers::healthy(response);
                return Served::of(Ids::of(request, Dialect::Proxy, facts.request_id));
            }
            Err(Missed::Refused { api, dialect, reason }) => {
                return Served { api, ..Served::refused(reason, dialect, request, facts, response) };
            }
        };
        let (api, stage, base_bytes) = (Some(found.api), Some(found.stage), found.base_bytes);
        let mut served = Served {
            api,
            stage,
            base_bytes,
            ..Served::of(Ids::of(request, found.api.dialect, facts.request_id))
        };
        if !preflight(&found, request, response) {
            let asks = found.stage.cors.is_some() || found.stage.gateway_responses.is_some();
            let put_by = if asks { core.decide(|lent| lent.spare.put_by(&found, request)) } else { None };
            let streams = matches!(&found.route, Ok((route, _)) if route.streams);
            let wanted = found.stage.compression.filter(|_| !streams && !grpc::is_call(request));
            let wanted = wanted.map(|compression| compression.wanted(request));
            serve(snapshot, &found, request, response, (facts, wanted.as_ref()), core, &mut served).await;
            if let Some(put_by) = &put_by {
                core.decide(|lent| {
                    let of_request = (&*request, facts, lent.now.unix_ns);
                    let of_stage = (found.stage, &put_by.asked);
                    customise(snapshot, &served, of_stage, of_request, (&mut *response, &mut *lent.spare));
                });
            }
            if let Some(wanted) = &wanted {
                compression::encode(core, wanted, response).await;
            }
            if let Some(cors) = &found.stage.cors {
                cors.decorate(put_by.as_ref().and_then(|put_by| put_by.origin.as_deref()), response);
            }
            if put_by.is_some() {
                core.decide(|lent| lent.spare.keep(put_by));
            }
        }
        served.ids.tell(response);
        if served.reason.is_none() && served.route.is_some_and(|route| route.traces) {
            let unix_s = core.decide(|lent| lent.now.unix_ns) / 1_000_000_000;
            served.ids.trace(unix_s, response);
        }
        served.translate(request, response);
        served
    }
}

#[expect(clippy::manual_async_fn, reason = "in the future of an async fn the arguments lie twice")]
fn serve<'a, C: Core>(
    snapshot: &'a Snapshot,
    found: &Found<'a>,
    request: &mut Request,
    response: &mut Response,
    (facts, wanted): (&Facts, Option<&Wanted>),
    core: &C,
    served: &mut Served<'a>,
) -> impl Future<Output = ()> {
    async move {
        let dialect = found.api.dialect;
        let (route, params) = match &found.route {
            Ok((route, found)) => (*route, &found.params[..]),
            Err(Reason::NoRoute) if dialect == Dialect::Rest => {
                return served.refuse(signature::unrouted(request), dialect, response);
            }
            Err(reason) => return served.refuse(reason.clone(), dialect, response),
        };
        served.route = Some(route);
        if core.is_overloaded() {
            return served.refuse(Reason::Overloaded, dialect, response);
        }
        let mut way =
            Way { facts, params, core, policies: &route.policies, asked: 0, stopped: false, questions: 0 };
        let mut unanswered = false;
        let is_admitted =
            match admit(snapshot, found, route, (request, &mut *response), &mut way, served).await {
                // Nobody has a word to say about what is replayed on its way out.
                Ok(_) if served.replay.is_some() => return,
                Ok(is_admitted) => is_admitted,
                Err(reason) => {
                    unanswered = is_backends(&reason);
                    served.refuse(reason, dialect, response);
                    false
                }
            };
        if is_admitted && let Err(reason) = integrate(route, request, response, (&way, wanted), served).await
        {
            unanswered = is_backends(&reason);
            served.refuse(reason, dialect, response);
        }
        way.leave(0, response, unanswered, &mut served.slot);
        if let Slot::Cache(cache::Fate::Stale { .. }) = served.slot {
            // The client has an answer after all.
            served.reason = None;
            served.cached = Some(CacheResult::Hit);
        }
    }
}

/// Asks the policies of a route, and what they ask. Whether the integration is to be asked; if not, the response is there. A future of
/// its own, since verdicts are large and are not to lie there while a backend is waited for.
async fn admit<C: Core>(
    snapshot: &Snapshot,
    found: &Found<'_>,
    route: &Route,
    (request, response): (&mut Request, &mut Response),
    way: &mut Way<'_, C>,
    served: &mut Served<'_>,
) -> Result<bool, Reason> {
    let core = way.core;
    let mut verdict = way.admit(request, &mut served.slot);
    loop {
        match verdict {
            Verdict::Continue => return Ok(true),
            Verdict::Ask(Question::Cache(lookup)) => {
                let answer = Answer::Cache(core.look_up(lookup).await);
                verdict = way.answered(request, answer, served);
            }
            Verdict::Ask(Question::Body { bytes_max }) => {
                gather(core, route, request, bytes_max).await?;
                verdict = way.answered(request, Answer::Body, served);
            }
            Verdict::Ask(Question::Decode { coding, bytes_max }) => {
                gather(core, route, request, bytes_max).await?;
                let bytes_max = bytes_max.min(route.body_bytes_max);
                compression::decode(core, request, coding, bytes_max).await?;
                verdict = way.answered(request, Answer::Body, served);
            }
            Verdict::Answer(answer) => {
                *response = answer;
                served.renewal = way.renewal(snapshot, found, &mut served.slot);
                return Ok(false);
            }
            Verdict::Replay(replay) => {
                served.cached = Some(CacheResult::Hit);
                if route.replays {
                    served.replay = Some(replay);
                } else {
                    replay.write(response);
                }
                return Ok(false);
            }
            Verdict::Refuse(reason) => return Err(reason),
        }
    }
}

/// An API with CORS answers preflights by itself, except where a route takes OPTIONS: in an HTTP API by name (row 137), in a
/// REST API in any way.
fn preflight(found: &Found<'_>, request: &Request, response: &mut Response) -> bool {
    let Some(cors) = &found.stage.cors else { return false };
    let is_rest = found.api.dialect == Dialect::Rest;
    let explicit = found.route.as_ref().is_ok_and(|(route, _)| is_rest || route.key.starts_with("OPTIONS "));
    !explicit && cors.preflight(request, response)
}

/// Whether no backend has answered, so that what is kept may stand in for it.
fn is_backends(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::BackendUnreachable
            | Reason::BackendFailed
            | Reason::BackendMalformed
            | Reason::BackendTimedOut
            // It was not asked because it would not answer in time, or at all.
            | Reason::BackendBusy
            | Reason::BackendSuspended { .. }
    )
}

/// Questions about one request: the cache may have to be asked for a variant, and once more if what tells variants apart
/// has changed meanwhile; and others for the body, decoded and whole.
const QUESTIONS_MAX: u16 = 6;

/// One request's way through the policies of its route.
struct Way<'a, C> {
    facts: &'a Facts,
    params: &'a [(u32, u32)],
    core: &'a C,
    policies: &'a [Box<dyn Policy>],
    /// So many of them were asked; what it passed each may look back at.
    asked: u16,
    /// The last one asked had the request stop.
    stopped: bool,
    /// Questions so far.
    questions: u16,
}

impl<C: Core> Way<'_, C> {
    /// Asks the policies that have not been asked, until one has something else to say than to go on.
    fn admit(&mut self, request: &mut Request, slot: &mut Slot) -> Verdict {
        let Self { facts, params, core, policies, asked, .. } = self;
        for policy in &policies[usize::from(*asked)..] {
            *asked += 1;
            let verdict =
                core.decide(|lent| policy.on_request(request, &mut context(facts, params, lent, slot)));
            if !matches!(verdict, Verdict::Continue) {
                self.stopped = true;
                return verdict;
            }
        }
        Verdict::Continue
    }

    /// Carries the reply to the question of the policy asked last in, and goes on from there.
    fn answered(&mut self, request: &mut Request, answer: Answer, served: &mut Served<'_>) -> Verdict {
        match &answer {
            Answer::Cache(cache::Found::Hit(_) | cache::Found::Renew(..)) => {
                served.cached = Some(CacheResult::Hit);
            }
            Answer::Cache(_) => served.cached = Some(CacheResult::Miss),
            Answer::Body => {}
        }
        self.questions += 1;
        let may_ask = self.questions < QUESTIONS_MAX;
        let Self { facts, params, core, policies, asked, .. } = self;
        let Some(policy) = asked.checked_sub(1).and_then(|last| policies.get(usize::from(last))) else {
            return Verdict::Continue;
        };
        let slot = &mut served.slot;
        let verdict =
            core.decide(|lent| policy.on_answer(request, answer, &mut context(facts, params, lent, slot)));
        match verdict {
            Verdict::Ask(question) if may_ask => Verdict::Ask(question),
            Verdict::Continue | Verdict::Ask(_) => {
                self.stopped = false;
                self.admit(request, &mut served.slot)
            }
            other => other,
        }
    }

    /// Lets the policies that the request has passed, the first ones left out, look at the response, last one first.
    fn leave(&mut self, first: usize, response: &mut Response, unanswered: bool, slot: &mut Slot) {
        let Self { facts, params, core, policies, asked, stopped, .. } = self;
        let passed = usize::from(*asked - u16::from(*stopped && *asked > 0));
        for policy in policies[..passed].iter().skip(first).rev() {
            core.decide(|lent| {
                let mut cx = Context { unanswered, ..context(facts, params, lent, &mut *slot) };
                policy.on_response(response, &mut cx);
            });
        }
    }
}

fn context<'a>(
    facts: &Facts,
    params: &'a [(u32, u32)],
    lent: &'a mut Lent<'_>,
    slot: &'a mut Slot,
) -> Context<'a> {
    let Lent { now, spendings, near, .. } = lent;
    Context { now: *now, client: facts.client, params, spendings, near: *near, slot, unanswered: false }
}

/// Lets the integration answer or prepare, and calls the backend.
#[expect(clippy::manual_async_fn, reason = "in the future of an async fn the arguments lie twice")]
fn integrate<C: Core>(
    route: &Route,
    request: &mut Request,
    response: &mut Response,
    (way, wanted): (&Way<'_, C>, Option<&Wanted>),
    served: &mut Served<'_>,
) -> impl Future<Output = Result<(), Reason>> {
    async move {
        if let Some(bytes_max) = route.integration.request_body_max() {
            gather(way.core, route, request, bytes_max).await?;
        }
        let mut state = None;
        // What is not needed while the backend is waited for does not live on in this future.
        let upstream = {
            let Facts { peer, client, trusted, port, .. } = *way.facts;
            let (request_id, state, response) = (served.ids.request(), &mut state, &mut *response);
            let (outbound, now) = way.core.decide(|lent| {
                let (now, spare) = (lent.now, &mut lent.spare.integrations);
                let mut cx = integration::Context {
                    params: way.params,
                    peer,
                    client,
                    trusted,
                    port,
                    now,
                    request_id,
                    state,
                    response,
                    spare,
                };
                (route.integration.prepare(request, &mut cx), now)
            });
            match outbound {
                Outbound::Answer => return Ok(()),
                Outbound::Refuse(reason) => return Err(reason),
                Outbound::Call(upstream) => {
                    served.called = Some((now.mono_ns, now.mono_ns));
                    upstream
                }
            }
        };
        let mut replied = way.core.call(route, upstream, request, response).await;
        let coded_max = || wanted.filter(|wanted| wanted.gathers(response)).map(|_| BODY_BYTES_MAX);
        if let Some(bytes_max) = route.integration.response_body_max().or_else(coded_max)
            && replied.is_ok()
        {
            replied = gather_response(way.core, response, bytes_max).await;
        }
        if replied.is_ok() {
            replied = check_length(response, route.response_bytes_max);
        }
        way.core.decide(|lent| {
            let (now, spare) = (lent.now, &mut lent.spare.integrations);
            served.called = served.called.map(|(from, _)| (from, now.mono_ns));
            let (request_id, state) = (way.facts.request_id, &mut state);
            let read = replied.and_then(|()| {
                let mut cx = ReadContext { now, request_id, state: &mut *state, spare: &mut *spare };
                route.integration.read(response, &mut cx)
            });
            spare.recycle(state.take());
            read
        })
    }
}

/// Has a request's body whole, of so many bytes at most and of no more than its route allows.
async fn gather<C: Core>(
    core: &C,
    route: &Route,
    request: &mut Request,
    bytes_max: u64,
) -> Result<(), Reason> {
    let max = bytes_max.min(route.body_bytes_max);
    match &request.body {
        body if body.length().is_some_and(|bytes| bytes > max) => Err(Reason::BodyTooLarge { max }),
        Body::Stream(_) => core.gather(request, max).await,
        Body::Empty | Body::Whole(_) => Ok(()),
    }
}

/// Has a response's body whole, of so many bytes at most.
async fn gather_response<C: Core>(core: &C, response: &mut Response, max: u64) -> Result<(), Reason> {
    check_length(response, max)?;
    match &response.body {
        Body::Stream(_) => core.gather_response(response, max).await,
        Body::Empty | Body::Whole(_) => Ok(()),
    }
}

/// Refuses what is said to be too long. What does not say how long it is is counted by who streams it.
fn check_length(response: &Response, max: u64) -> Result<(), Reason> {
    match response.body.length() {
        Some(bytes) if bytes > max => Err(Reason::ResponseTooLarge { max }),
        _ => Ok(()),
    }
}

impl<'a> Served<'a> {
    /// Nothing yet.
    fn of(ids: Ids) -> Self {
        Self {
            ids,
            api: None,
            stage: None,
            base_bytes: None,
            route: None,
            reason: None,
            slot: Slot::Empty,
            cached: None,
            replay: None,
            renewal: None,
            called: None,
        }
    }

    /// The client's TLS name belongs to another virtual server than the host it asks for.
    pub fn misdirected(request: &Request, facts: &Facts, response: &mut Response) -> Self {
        Self::refused(Reason::Misdirected, Dialect::Proxy, request, facts, response)
    }

    fn refused(
        reason: Reason,
        dialect: Dialect,
        request: &Request,
        facts: &Facts,
        response: &mut Response,
    ) -> Self {
        let ids = Ids::of(request, dialect, facts.request_id);
        let mut served = Self::of(ids);
        served.refuse(reason, dialect, response);
        served.translate(request, response);
        served
    }

    /// Who has called by gRPC is told in gRPC's words why there is no answer.
    fn translate(&self, request: &Request, response: &mut Response) {
        if let Some(reason) = &self.reason
            && grpc::is_call(request)
        {
            grpc::translate(reason, response);
        }
    }

    /// What the cache wants done with the response, if it was to be fetched for it: said once.
    pub fn take_fate(&mut self) -> Option<cache::Fate> {
        // It is large: one that is not there is not moved.
        match &self.slot {
            Slot::Cache(_) => match std::mem::take(&mut self.slot) {
                Slot::Cache(fate) => Some(fate),
                Slot::Empty | Slot::Respect(_) | Slot::Renew(_) => None,
            },
            Slot::Empty | Slot::Respect(_) | Slot::Renew(_) => None,
        }
    }

    /// What others that keep the same have to forget before the client hears of its answer, if anything: said once.
    pub fn take_invalidation(&mut self) -> Option<cache::Changed> {
        let Slot::Cache(cache::Fate::Invalidate(_)) = self.slot else { return None };
        match self.take_fate() {
            Some(cache::Fate::Invalidate(changed)) => Some(*changed),
            _ => None,
        }
    }

    fn refuse(&mut self, reason: Reason, dialect: Dialect, response: &mut Response) {
        answers::refuse(&reason, dialect, &self.ids, response);
        self.reason = Some(reason);
    }
}
