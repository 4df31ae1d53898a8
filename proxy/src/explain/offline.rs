//! A core without a world: the exchange that serves runs on it and meets fresh buckets, an empty cache and no backend. What the
//! policies and the integration of the request's route say is written down as it passes.

use std::{
    cell::RefCell,
    future::pending,
    mem,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context as Task, Poll, Waker},
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use exchange::{Core, Facts, Lent, Served, Spare, exchange};
use integration::{Integration, Outbound, Preview, ReadContext, mock::Mock};
use message::{Body, Headers, Now, Reason, Request, RequestId, Response};
use policy::{
    Answer, Context, Description, Policy, Question, Verdict,
    cache::{Found, Lookup, Store},
    throttle::{Spendings, Table},
};
use snapshot::{Route, Snapshot};
use wire::h1::{self, BodyLength};

use super::sample::{Reply, Sample};

/// What the empty cache may hold, in bytes: what one answer needs.
const CACHE_BYTES: u64 = 16 << 20;

/// What was said while the request passed.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// By policy, in order.
    verdicts: Mutex<Vec<Vec<String>>>,
    previews: Mutex<Vec<Preview>>,
}

/// What a backend would have been sent.
pub(super) struct Sent {
    pub(super) upstream: u32,
    pub(super) head: Vec<u8>,
    pub(super) body: Bytes,
}

/// How it ended.
pub(super) struct Outcome<'a> {
    /// `None`: with a backend that nobody has asked.
    pub(super) served: Option<Served<'a>>,
    pub(super) response: Response,
    pub(super) sent: Option<Sent>,
}

impl Trace {
    /// What each policy said, so far as it was asked.
    pub(super) fn verdicts(&self) -> Vec<Vec<String>> {
        held(&self.verdicts).clone()
    }

    /// What became of bodies.
    pub(super) fn previews(&self) -> Vec<Preview> {
        held(&self.previews).clone()
    }

    fn tell(&self, place: usize, verdict: &Verdict) {
        let mut verdicts = held(&self.verdicts);
        if verdicts.len() <= place {
            verdicts.resize_with(place + 1, Vec::new);
        }
        let text = match verdict {
            Verdict::Continue => "passes".to_owned(),
            Verdict::Answer(answer) => format!("answers {}", answer.status),
            Verdict::Replay(_) => "answers with what is kept".to_owned(),
            Verdict::Refuse(reason) => match exchange::validation(reason) {
                "" => format!("refuses: {}", reason.as_str()),
                errors => format!("refuses: {}: {errors}", reason.as_str()),
            },
            Verdict::Ask(Question::Cache(_)) => "asks the cache, which is empty here".to_owned(),
            Verdict::Ask(Question::Body { .. }) => "has the body read".to_owned(),
            Verdict::Ask(Question::Decode { coding, .. }) => {
                format!("has the body decoded from {}", coding.as_str())
            }
        };
        verdicts[place].push(text);
    }
}

/// A thread that has panicked leaves no half of what is written down here.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts the trace around the policies and the integration of the route in a slot.
pub(super) fn watch(snapshot: &mut Snapshot, slot: u32, trace: &Arc<Trace>) {
    let stages = snapshot.apis.iter_mut().flat_map(|api| &mut api.stages);
    let routes = stages.flat_map(|stage| {
        let of_canary = stage.canary.iter_mut().flat_map(|canary| &mut canary.stage.routes);
        stage.routes.iter_mut().chain(of_canary)
    });
    for route in routes.filter(|route| route.slot == slot) {
        let policies = mem::take(&mut route.policies).into_iter().enumerate();
        let watched = policies.map(|(place, inner)| Watched { place, inner, trace: trace.clone() });
        route.policies = watched.map(|it| Box::new(it) as _).collect();
        // Nobody sees what stands there meanwhile.
        let nothing: Box<dyn Integration> = Box::new(Mock::new(200, Headers::default(), Bytes::new()));
        let inner = mem::replace(&mut route.integration, nothing);
        route.integration = Box::new(Followed { inner, trace: trace.clone() });
    }
}

/// A policy whose verdicts are written down.
#[derive(Debug)]
struct Watched {
    place: usize,
    inner: Box<dyn Policy>,
    trace: Arc<Trace>,
}

impl Policy for Watched {
    fn on_request(&self, request: &mut Request, cx: &mut Context<'_>) -> Verdict {
        let verdict = self.inner.on_request(request, cx);
        self.trace.tell(self.place, &verdict);
        verdict
    }

    fn on_answer(&self, request: &mut Request, answer: Answer, cx: &mut Context<'_>) -> Verdict {
        let verdict = self.inner.on_answer(request, answer, cx);
        self.trace.tell(self.place, &verdict);
        verdict
    }

    fn on_response(&self, response: &mut Response, cx: &mut Context<'_>) {
        self.inner.on_response(response, cx);
    }

    fn reads_responses(&self) -> bool {
        self.inner.reads_responses()
    }

    fn describe(&self) -> Description {
        self.inner.describe()
    }
}

/// An integration that says what becomes of bodies before it makes that of them.
#[derive(Debug)]
struct Followed {
    inner: Box<dyn Integration>,
    trace: Arc<Trace>,
}

impl Integration for Followed {
    fn prepare(&self, request: &mut Request, cx: &mut integration::Context<'_>) -> Outbound {
        held(&self.trace.previews).extend(self.inner.preview(request, cx));
        self.inner.prepare(request, cx)
    }

    fn read(&self, response: &mut Response, cx: &mut ReadContext<'_>) -> Result<(), Reason> {
        held(&self.trace.previews).extend(self.inner.preview_reply(response, cx));
        self.inner.read(response, cx)
    }

    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn request_body_max(&self) -> Option<u64> {
        self.inner.request_body_max()
    }

    fn response_body_max(&self) -> Option<u64> {
        self.inner.response_body_max()
    }

    fn timeout_ns(&self) -> Option<u64> {
        self.inner.timeout_ns()
    }
}

/// The core.
struct Offline<'a> {
    snapshot: &'a Snapshot,
    now: Now,
    spendings: RefCell<Spendings>,
    store: RefCell<Store<()>>,
    spare: RefCell<Spare>,
    sample: &'a Sample,
    reply: Option<&'a Reply>,
    sent: RefCell<Option<Sent>>,
}

/// Lets a request pass as far as it gets without a backend, or with one that answers what was put into its mouth.
pub(super) fn run<'a>(
    snapshot: &'a Snapshot,
    request: &mut Request,
    (sample, reply): (&Sample, Option<&Reply>),
    id: RequestId,
) -> Outcome<'a> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let unix_ns = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
    let core = Offline {
        snapshot,
        now: Now { mono_ns: 1_000_000_000, unix_ns },
        spendings: RefCell::new(Spendings::new(Arc::new(Table::new(1)), 1)),
        store: RefCell::new(Store::new(CACHE_BYTES)),
        spare: RefCell::default(),
        sample,
        reply,
        sent: RefCell::default(),
    };
    let facts: Facts = shard::facts(snapshot, (sample.from, sample.port), request, id);
    let mut response = Response::default();
    let served = {
        let mut exchanged = pin!(exchange(snapshot, request, &mut response, &facts, &core));
        // What waits here waits for a backend, and for good.
        match exchanged.as_mut().poll(&mut Task::from_waker(Waker::noop())) {
            Poll::Ready(served) => Some(served),
            Poll::Pending => None,
        }
    };
    if let Some(replay) = served.as_ref().and_then(|served| served.replay.as_ref()) {
        replay.write(&mut response);
    }
    if matches!(response.body, Body::Stream(_))
        && let Some(reply) = reply
    {
        response.body = Body::Whole(Bytes::copy_from_slice(&reply.body));
    }
    Outcome { served, response, sent: core.sent.take() }
}

impl Core for Offline<'_> {
    fn decide<R>(&self, decision: impl FnOnce(&mut Lent<'_>) -> R) -> R {
        decision(&mut Lent {
            now: self.now,
            spendings: &mut self.spendings.borrow_mut(),
            near: &mut *self.store.borrow_mut(),
            spare: &mut self.spare.borrow_mut(),
        })
    }

    fn is_overloaded(&self) -> bool {
        false
    }

    async fn look_up(&self, lookup: Lookup) -> Found {
        let outcome = self.store.borrow_mut().lookup(lookup, || (), self.now);
        outcome.into_found().unwrap_or(Found::Pass)
    }

    async fn gather(&self, request: &mut Request, bytes_max: u64) -> Result<(), Reason> {
        request.body =
            Body::Whole(gathered(&self.sample.body, bytes_max, |max| Reason::BodyTooLarge { max })?);
        Ok(())
    }

    async fn call(
        &self,
        _: &Route,
        upstream: u32,
        request: &mut Request,
        response: &mut Response,
    ) -> Result<(), Reason> {
        let (body, length) = match &request.body {
            Body::Empty => (Bytes::new(), BodyLength::None),
            Body::Whole(bytes) => (bytes.clone(), BodyLength::Known(bytes.len() as u64)),
            Body::Stream(_) => {
                let body = Bytes::copy_from_slice(&self.sample.body);
                let length = BodyLength::Known(body.len() as u64);
                (body, length)
            }
        };
        let target = self.snapshot.upstream(upstream).and_then(|upstream| upstream.targets.first());
        let target = target.ok_or(Reason::Internal)?;
        let mut head = Vec::new();
        h1::encode_request(request, request.host_for(&target.authority), length, &mut head);
        *self.sent.borrow_mut() = Some(Sent { upstream, head, body });
        match self.reply {
            Some(reply) => reply.read(request, response).map_err(|_| Reason::BackendMalformed),
            None => pending().await,
        }
    }

    async fn gather_response(&self, response: &mut Response, bytes_max: u64) -> Result<(), Reason> {
        let body = self.reply.map_or(&[][..], |reply| &reply.body);
        response.body = Body::Whole(gathered(body, bytes_max, |max| Reason::ResponseTooLarge { max })?);
        Ok(())
    }

    fn hold(&self, _: usize) -> bool {
        true
    }

    fn let_go(&self, _: usize) {}

    /// As clients do it: who connects over TLS gives the name that he asks for, and no address.
    fn is_named(&self, host: &str) -> bool {
        let is_address = host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok();
        self.snapshot.listeners[self.sample.listener].tls.is_some() && !is_address
    }

    async fn pause(&self) {}
}

/// A body that is wanted whole.
fn gathered(body: &[u8], max: u64, refuse: fn(u64) -> Reason) -> Result<Bytes, Reason> {
    if body.len() as u64 > max { Err(refuse(max)) } else { Ok(Bytes::copy_from_slice(body)) }
}
