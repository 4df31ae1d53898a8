//! One request's life, from its head to its response's head, in one corridor. It knows the order of things and
//! nothing of sockets, bytes or time: what it needs of the world it asks a [`Core`].

pub mod answers;
pub mod grpc;
mod renewal;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use integration::Outbound;
use message::{Dialect, Name, Now, Reason, Request, RequestId, Response};
use policy::{Answer, Context, Policy, Question, Slot, Verdict, cache, throttle::Spendings};
use smallvec::SmallVec;
use snapshot::{Api, Found, Missed, Route, Snapshot, Stage};

pub use renewal::{Renewal, renew};

/// The core that runs the exchange: its state, at once, and the outside, later.
pub trait Core {
    /// Lends what this core owns for one decision; nothing of it is held across an await.
    fn decide<R>(&self, decision: impl FnOnce(&mut Lent<'_>) -> R) -> R;
    /// Whether there is so little memory left that no request is served.
    fn is_overloaded(&self) -> bool;
    /// Puts a policy's question to the outside.
    fn ask(&self, question: Question) -> impl Future<Output = Answer>;
    /// Puts a route's prepared request to the upstream group in this slot and reads the head of the reply into an empty
    /// response, or says why there is none. Its body, if it streams, stays with the core.
    fn call(
        &self,
        route: &Route,
        upstream: u32,
        request: &mut Request,
        response: &mut Response,
    ) -> impl Future<Output = Result<(), Reason>>;
}

/// What a core lends for one decision.
pub struct Lent<'a> {
    /// The time of this turn.
    pub now: Now,
    /// Its token buckets.
    pub spendings: &'a mut Spendings,
    /// The cache entries that it has at hand.
    pub near: &'a mut dyn cache::Near,
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
#[derive(Debug, Default)]
pub struct Served<'a> {
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
    /// A kept response that goes out as it is, in place of the response, which is empty then.
    pub replay: Option<cache::Replay>,
    /// What the cache wants asked of the backend when the client has its answer.
    pub renewal: Option<Box<Renewal>>,
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
/// passed look at the response, last one first. The response is written where it stays: it comes in empty.
pub async fn exchange<'a, C: Core>(
    snapshot: &'a Snapshot,
    request: &mut Request,
    response: &mut Response,
    facts: &Facts,
    core: &C,
) -> Served<'a> {
    let found = match snapshot.find(request) {
        Ok(found) => found,
        Err(Missed { dialect, reason }) => {
            return Served::refused(reason, dialect, request, facts, response);
        }
    };
    let mut served = Served { api: Some(found.api), stage: Some(found.stage), ..Served::default() };
    if let Some(answer) = preflight(&found, request) {
        *response = answer;
    } else {
        let cors = found.api.cors.as_ref();
        let origin = cors.and(request.headers.get(Name::Origin)).map(<[u8]>::to_vec);
        serve(snapshot, &found, request, response, facts, core, &mut served).await;
        if let Some(cors) = cors {
            cors.decorate(origin.as_deref(), response);
        }
    }
    answers::identify(response, found.api.dialect, facts.request_id);
    served.translate(request, response);
    served
}

async fn serve<'a, C: Core>(
    snapshot: &'a Snapshot,
    found: &Found<'a>,
    request: &mut Request,
    response: &mut Response,
    facts: &Facts,
    core: &C,
    served: &mut Served<'a>,
) {
    let dialect = found.api.dialect;
    let (route, params) = match &found.route {
        Ok((route, found)) => (*route, &found.params[..]),
        Err(reason) => return served.refuse(reason.clone(), dialect, facts, response),
    };
    served.route = Some(route);
    if core.is_overloaded() {
        return served.refuse(Reason::Overloaded, dialect, facts, response);
    }
    let mut way = Way {
        facts,
        params,
        core,
        policies: &route.policies,
        slots: SmallVec::new(),
        stopped: false,
        questions: 0,
    };
    let mut verdict = way.admit(request);
    let ended = loop {
        match verdict {
            Verdict::Continue => break integrate(route, request, response, &way, served).await,
            Verdict::Ask(question) => verdict = way.answered(request, core.ask(question).await, served),
            Verdict::Answer(answer) => {
                *response = answer;
                served.renewal = way.renewal(snapshot, found);
                break Ok(());
            }
            Verdict::Replay(replay) => {
                served.cached = Some(CacheResult::Hit);
                if route.replays {
                    // Nobody has a word to say about it on its way out.
                    served.replay = Some(replay);
                    return;
                }
                replay.write(response);
                break Ok(());
            }
            Verdict::Refuse(reason) => break Err(reason),
        }
    };
    let mut unanswered = false;
    if let Err(reason) = ended {
        unanswered = is_backends(&reason);
        served.refuse(reason, dialect, facts, response);
    }
    way.leave(0, response, unanswered);
    served.fate = way.slots.iter_mut().find_map(fate);
    if let Some(cache::Fate::Stale { .. }) = served.fate {
        // The client has an answer after all.
        served.reason = None;
        served.cached = Some(CacheResult::Hit);
    }
}

/// An API with CORS answers preflights by itself, except where a route takes OPTIONS by name (row 137).
fn preflight(found: &Found<'_>, request: &Request) -> Option<Response> {
    let cors = found.api.cors.as_ref()?;
    let explicit = found.route.as_ref().is_ok_and(|(route, _)| route.key.starts_with("OPTIONS "));
    if explicit { None } else { cors.preflight(request) }
}

fn fate(slot: &mut Slot) -> Option<cache::Fate> {
    // Slots are large: one that has nothing to take is not moved.
    match slot {
        Slot::Empty | Slot::Respect(_) | Slot::Renew(_) => None,
        Slot::Cache(_) => match std::mem::take(slot) {
            Slot::Cache(fate) => Some(fate),
            Slot::Empty | Slot::Respect(_) | Slot::Renew(_) => None,
        },
    }
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
/// has changed meanwhile.
const QUESTIONS_MAX: usize = 4;

/// One request's way through the policies of its route.
struct Way<'a, C> {
    facts: &'a Facts,
    params: &'a [(u32, u32)],
    core: &'a C,
    policies: &'a [Box<dyn Policy>],
    /// One for each policy that was asked; what it passed it may look back at.
    slots: SmallVec<[Slot; 4]>,
    /// The last one asked had the request stop.
    stopped: bool,
    /// Questions so far.
    questions: usize,
}

impl<C: Core> Way<'_, C> {
    /// Asks the policies that have not been asked, until one has something else to say than to go on.
    fn admit(&mut self, request: &mut Request) -> Verdict {
        let Self { facts, params, core, policies, slots, .. } = self;
        for policy in &policies[slots.len()..] {
            // Written in its place; it is too large to be moved there.
            slots.push(Slot::Empty);
            let Some(slot) = slots.last_mut() else { break };
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
        served.cached = match &answer {
            Answer::Cache(cache::Found::Hit(_) | cache::Found::Renew(..)) => Some(CacheResult::Hit),
            Answer::Cache(_) => Some(CacheResult::Miss),
        };
        self.questions += 1;
        let may_ask = self.questions < QUESTIONS_MAX;
        let Self { facts, params, core, policies, slots, .. } = self;
        let asked = slots.len().checked_sub(1).and_then(|last| policies.get(last).zip(slots.last_mut()));
        let Some((policy, slot)) = asked else { return Verdict::Continue };
        let verdict =
            core.decide(|lent| policy.on_answer(request, answer, &mut context(facts, params, lent, slot)));
        match verdict {
            Verdict::Ask(question) if may_ask => Verdict::Ask(question),
            Verdict::Continue | Verdict::Ask(_) => {
                self.stopped = false;
                self.admit(request)
            }
            other => other,
        }
    }

    /// Lets the policies that the request has passed, the first ones left out, look at the response, last one first.
    fn leave(&mut self, first: usize, response: &mut Response, unanswered: bool) {
        let Self { facts, params, core, policies, slots, stopped, .. } = self;
        let passed = slots.len() - usize::from(*stopped && !slots.is_empty());
        for (policy, slot) in policies.iter().zip(&mut slots[..passed]).skip(first).rev() {
            core.decide(|lent| {
                let mut cx = Context { unanswered, ..context(facts, params, lent, slot) };
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
    let Lent { now, spendings, near } = lent;
    Context { now: *now, client: facts.client, params, spendings, near: *near, slot, unanswered: false }
}

/// Lets the integration answer or prepare, and calls the backend.
async fn integrate<C: Core>(
    route: &Route,
    request: &mut Request,
    response: &mut Response,
    way: &Way<'_, C>,
    served: &mut Served<'_>,
) -> Result<(), Reason> {
    let Way { facts, params, core, .. } = way;
    let Facts { peer, client, trusted, port, .. } = **facts;
    let cx = integration::Context { params, peer, client, trusted, port };
    match route.integration.prepare(request, &cx) {
        Outbound::Answer(answer) => *response = answer,
        Outbound::Refuse(reason) => return Err(reason),
        Outbound::Call(upstream) => {
            let from = core.decide(|lent| lent.now.mono_ns);
            let replied = core.call(route, upstream, request, response).await;
            served.called = Some((from, core.decide(|lent| lent.now.mono_ns)));
            replied?;
            route.integration.read(response);
        }
    }
    Ok(())
}

impl<'a> Served<'a> {
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
        let mut served = Self::default();
        served.refuse(reason, dialect, facts, response);
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

    fn refuse(&mut self, reason: Reason, dialect: Dialect, facts: &Facts, response: &mut Response) {
        answers::refuse(&reason, dialect, facts.request_id, response);
        self.reason = Some(reason);
    }
}
