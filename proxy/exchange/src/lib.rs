//! One request's life, from its head to its response's head, in one corridor. It knows the order of things and
//! nothing of sockets, bytes or time: what it needs of the world it asks a [`Core`].

pub mod answers;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use integration::Outbound;
use message::{Dialect, Name, Now, Reason, Request, Response};
use policy::{Answer, Context, Policy, Question, Slot, Verdict, cache, throttle::Spendings};
use smallvec::SmallVec;
use snapshot::{Api, Found, Route, Snapshot, Stage};

/// The core that runs the exchange: its state, at once, and the outside, later.
pub trait Core {
    /// Lends what this core owns for one decision; nothing of it is held across an await.
    fn decide<R>(&self, decision: impl FnOnce(&mut Lent<'_>) -> R) -> R;
    /// Puts a policy's question to the outside.
    fn ask(&self, question: Question) -> impl Future<Output = Answer>;
    /// Puts a route's prepared request to the upstream group in this slot; the reply's head, or why there is none.
    /// Its body, if it streams, stays with the core.
    fn call(
        &self,
        route: &Route,
        upstream: u32,
        request: &mut Request,
    ) -> impl Future<Output = Result<Response, Reason>>;
}

/// What a core lends for one decision.
pub struct Lent<'a> {
    /// The time of this turn.
    pub now: Now,
    /// Its token buckets.
    pub spendings: &'a mut Spendings,
}

/// What is known of a request beside the request.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Who connected to us.
    pub peer: IpAddr,
    /// The client: the peer, or what a trusted proxy says of it.
    pub client: IpAddr,
    /// Whether the peer is a trusted proxy.
    pub trusted: bool,
    /// The port on which it came.
    pub port: u16,
    /// The request's id.
    pub request_id: &'a str,
}

/// How it ended.
#[derive(Debug)]
pub struct Served<'a> {
    /// What the client is told.
    pub response: Response,
    /// The API that answered, if one was found.
    pub api: Option<&'a Api>,
    /// Its stage.
    pub stage: Option<&'a Stage>,
    /// The route, if one was found.
    pub route: Option<&'a Route>,
    /// Why the gateway answered in place of the backend, if it did.
    pub reason: Option<Reason>,
    /// What the cache wants done with the response, if it was to be fetched for it.
    pub fate: Option<cache::Fate>,
    /// What the cache said, if it was asked.
    pub cached: Option<CacheResult>,
    /// When the backend was called and when its head had come, in `mono_ns`.
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
/// passed look at the response, last one first.
pub async fn exchange<'a, C: Core>(
    snapshot: &'a Snapshot,
    request: &mut Request,
    facts: &Facts<'_>,
    core: &C,
) -> Served<'a> {
    let found = match snapshot.find(request) {
        Ok(found) => found,
        Err(missed) => {
            let response = answers::refusal(&missed.reason, missed.dialect, facts.request_id);
            return Served { reason: Some(missed.reason), ..Served::new(response) };
        }
    };
    if let Some(response) = preflight(&found, request) {
        let mut served = Served { api: Some(found.api), stage: Some(found.stage), ..Served::new(response) };
        answers::identify(&mut served.response, found.api.dialect, facts.request_id);
        return served;
    }
    let origin = found.api.cors.as_ref().and(request.headers.get(Name::Origin)).map(<[u8]>::to_vec);
    let mut served = serve(&found, request, facts, core).await;
    served.api = Some(found.api);
    served.stage = Some(found.stage);
    if let Some(cors) = &found.api.cors {
        cors.decorate(origin.as_deref(), &mut served.response);
    }
    answers::identify(&mut served.response, found.api.dialect, facts.request_id);
    served
}

async fn serve<'a, C: Core>(
    found: &Found<'a>,
    request: &mut Request,
    facts: &Facts<'_>,
    core: &C,
) -> Served<'a> {
    let dialect = found.api.dialect;
    let (route, params) = match &found.route {
        Ok((route, found)) => (*route, &found.params[..]),
        Err(reason) => return Served::refused(reason.clone(), dialect, facts),
    };
    let mut way = Way { facts, params, core, slots: SmallVec::new(), cached: None };
    let mut called = None;
    let mut passed = 0;
    let ended = loop {
        let Some(policy) = route.policies.get(passed) else { break None };
        way.slots.push(Slot::Empty);
        match way.admit(&**policy, request).await {
            Verdict::Continue | Verdict::Ask(_) => passed += 1,
            Verdict::Answer(response) => break Some(Ok(response)),
            Verdict::Refuse(reason) => break Some(Err(reason)),
        }
    };
    let ended = match ended {
        Some(ended) => ended,
        None => integrate(route, request, params, facts, core, &mut called).await,
    };
    let mut served = match ended {
        Ok(response) => Served::new(response),
        Err(reason) => Served::refused(reason, dialect, facts),
    };
    for (policy, slot) in route.policies[..passed].iter().zip(&mut way.slots).rev() {
        core.decide(|lent| policy.on_response(&mut served.response, &mut context(facts, params, lent, slot)));
    }
    served.fate = way.slots.iter_mut().find_map(fate);
    served.cached = way.cached;
    served.called = called;
    served.route = Some(route);
    served
}

/// An API with CORS answers preflights by itself, except where a route takes OPTIONS by name (row 137).
fn preflight(found: &Found<'_>, request: &Request) -> Option<Response> {
    let explicit = found.route.as_ref().is_ok_and(|(route, _)| route.key.starts_with("OPTIONS "));
    found.api.cors.as_ref().filter(|_| !explicit)?.preflight(request)
}

fn fate(slot: &mut Slot) -> Option<cache::Fate> {
    match std::mem::take(slot) {
        Slot::Cache(fate) => Some(fate),
        Slot::Empty => None,
    }
}

/// One request's way through the policies of its route.
struct Way<'a, C> {
    facts: &'a Facts<'a>,
    params: &'a [(u32, u32)],
    core: &'a C,
    slots: SmallVec<[Slot; 4]>,
    cached: Option<CacheResult>,
}

impl<C: Core> Way<'_, C> {
    /// Asks one policy, and carries its question out and the reply in. At most one question a policy and request.
    async fn admit(&mut self, policy: &dyn Policy, request: &mut Request) -> Verdict {
        let Self { facts, params, core, slots, cached } = self;
        let Some(slot) = slots.last_mut() else { return Verdict::Continue };
        let verdict = core.decide(|lent| policy.on_request(request, &mut context(facts, params, lent, slot)));
        let Verdict::Ask(question) = verdict else { return verdict };
        let answer = core.ask(question).await;
        *cached = match &answer {
            Answer::Cache(cache::Found::Hit(_)) => Some(CacheResult::Hit),
            Answer::Cache(_) => Some(CacheResult::Miss),
        };
        core.decide(|lent| policy.on_answer(request, answer, &mut context(facts, params, lent, slot)))
    }
}

fn context<'a>(
    facts: &Facts<'_>,
    params: &'a [(u32, u32)],
    lent: &'a mut Lent<'_>,
    slot: &'a mut Slot,
) -> Context<'a> {
    Context { now: lent.now, client: facts.client, params, spendings: lent.spendings, slot }
}

/// Lets the integration answer or prepare, and calls the backend.
async fn integrate<C: Core>(
    route: &Route,
    request: &mut Request,
    params: &[(u32, u32)],
    facts: &Facts<'_>,
    core: &C,
    called: &mut Option<(u64, u64)>,
) -> Result<Response, Reason> {
    let Facts { peer, client, trusted, port, .. } = *facts;
    let cx = integration::Context { params, peer, client, trusted, port };
    match route.integration.prepare(request, &cx) {
        Outbound::Answer(response) => Ok(response),
        Outbound::Refuse(reason) => Err(reason),
        Outbound::Call(upstream) => {
            let from = core.decide(|lent| lent.now.mono_ns);
            let reply = core.call(route, upstream, request).await;
            *called = Some((from, core.decide(|lent| lent.now.mono_ns)));
            let mut response = reply?;
            route.integration.read(&mut response);
            Ok(response)
        }
    }
}

impl Served<'_> {
    /// The client's TLS name belongs to another virtual server than the host it asks for.
    pub fn misdirected(facts: &Facts<'_>) -> Self {
        Self::refused(Reason::Misdirected, Dialect::Proxy, facts)
    }

    fn new(response: Response) -> Self {
        Self {
            response,
            api: None,
            stage: None,
            route: None,
            reason: None,
            fate: None,
            cached: None,
            called: None,
        }
    }

    fn refused(reason: Reason, dialect: Dialect, facts: &Facts<'_>) -> Self {
        let response = answers::refusal(&reason, dialect, facts.request_id);
        Self { reason: Some(reason), ..Self::new(response) }
    }
}
