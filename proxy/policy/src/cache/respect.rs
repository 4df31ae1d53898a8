//! The cache on the backend's terms: a shared cache of RFC 9111. What is kept, for how long, and for whom is what the
//! backend says of each response; what is left to us is decided toward the safe side:
//!
//! * `Set-Cookie` is kept only beside a word that is meant for shared caches (`public`, `s-maxage`, `CDN-Cache-Control`):
//!   a session handed to everybody is worse than a miss, and backends that set cookies on all they serve rarely know it.
//! * Without a word about freshness a response is kept only for a status, and for a request without cookies, for which
//!   that is harmless (RFC 9110 §15.1), for a tenth of its age, at most a day.
//! * Requests with credentials (`Authorization`, `X-Api-Key`) take and leave only what is for all (§3.5).
//! * Parts are not kept; ranges are cut from what is whole.
//! * What may be stale for a while (`stale-while-revalidate`) is answered to all at once; the first who meets it has the
//!   backend asked when he has his answer.
//! * A backend that fails while what is kept stands in for it is left alone for 1 s, 2 s, 4 s … 30 s, or for as long as it
//!   says up to that; whoever insists on its word (`no-cache`, `max-age`, `min-fresh`) has it asked.
//!
//! This policy does not know who owns a key nor what a body is sent through.

use std::sync::Arc;

use message::{
    Authority, Body, Field, Headers, Method, Name, PathRules, Reason, Request, Response, Scheme, Target,
};
use smallvec::SmallVec;

use super::conditional::{self, Selected};
use super::directives::{self, Asked};
use super::flight::Ticket;
use super::key::{Draft, Key, Recipe};
use super::rests::Failure;
use super::store::{Lookup, Mode};
use super::stored::{Keep, Replay, Stored};
use super::validity::{Exchange, Terms, Validity};
use super::vary::{self, Variant};
use super::{Error, Fate, Found, is_one_of, near};
use crate::{Answer, Context, Description, Policy, Question, Slot, Verdict};

/// What an operator may say about a cache on the backend's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RespectSettings {
    /// Whose dialect the API speaks.
    pub dialect: message::Dialect,
    /// API and stage, not the route: what one route changes, another may have kept. Part of every key.
    pub identity: String,
    /// Whether a client's `Cache-Control` counts (§5.2.1).
    pub client_invalidation: bool,
    /// The longest body that is kept.
    pub body_bytes_max: u64,
    /// How paths are normalised: `Location` names resources too.
    pub path_rules: PathRules,
    /// `false` for a route that keeps nothing: its unsafe requests make stale what others of its API keep (§4.4).
    pub keeps: bool,
}

/// The cache of one route, on the backend's terms.
#[derive(Debug)]
pub struct Respect {
    recipe: Recipe,
    client_invalidation: bool,
    body_bytes_max: u64,
    path_rules: PathRules,
    keeps: bool,
}

/// What the policy remembers of a request that goes to the backend.
#[derive(Debug)]
pub struct Journey(Purpose);

/// A request of ours to the backend about what a client was answered with already.
#[derive(Debug)]
pub struct Renewal {
    /// What is asked, as it goes to the route's integration.
    pub request: Request,
    /// What the response is to be judged by.
    pub journey: Box<Journey>,
}

#[derive(Debug)]
enum Purpose {
    /// To fetch, or to validate what is kept.
    Fetch(Fetch),
    /// To change something.
    Change(Site),
}

#[derive(Debug)]
struct Fetch {
    /// The right to say what becomes of it.
    ticket: Option<Ticket>,
    /// What is validated.
    stored: Option<Arc<Stored>>,
    /// Whether the conditions on the request are ours.
    is_validating: bool,
    primary: Key,
    /// The fields of the request as the client sent them.
    request: Headers,
    is_get: bool,
    /// The client has its answer.
    is_answered: bool,
    exchange: Exchange,
}

/// Where a request that changes something went.
#[derive(Debug)]
struct Site {
    scheme: Scheme,
    authority: Authority,
    target: Target,
    /// What front proxies said of the outside.
    headers: Headers,
}

/// Resources that one request may make stale: its own, `Location` and `Content-Location`.
pub type Changed = SmallVec<[Key; 3]>;

/// Conditions that only the backend can judge, credentials of a hop, and fields by which some backends serve another
/// resource or method than the request line says.
const PASSING_HEADERS: [&str; 8] = [
    "if-match",
    "if-unmodified-since",
    "proxy-authorization",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
];

/// Fields that are about a connection to a proxy, and not kept (§3.1).
const HOP_HEADERS: [&str; 3] = ["proxy-authenticate", "proxy-authentication-info", "proxy-authorization"];

const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;

impl Respect {
    /// Checks the settings.
    pub fn new(settings: &RespectSettings) -> Result<Self, Error> {
        if settings.identity.is_empty() {
            return Err(Error::NoIdentity);
        }
        if settings.dialect == message::Dialect::Rest {
            return Err(Error::RestHasNoTerms);
        }
        Ok(Self {
            recipe: Recipe::new(&settings.identity, settings.dialect, None),
            client_invalidation: settings.client_invalidation,
            body_bytes_max: settings.body_bytes_max,
            path_rules: settings.path_rules,
            keeps: settings.keeps,
        })
    }

    /// The key of what a request is after.
    fn key(&self, request: &Request) -> Key {
        let mut draft = Draft::default();
        self.draft(request, &mut draft);
        draft.sought().to_key()
    }

    fn draft(&self, request: &Request, draft: &mut Draft) {
        let Request { scheme, authority, target, headers, .. } = request;
        let (scheme, authority) = (scheme.as_str(), authority.as_str());
        self.recipe.draft_resource(scheme, authority, target.path(), target.query(), headers, draft);
    }

    /// On what terms a request takes a kept response; `None` when it has nothing to do with the cache.
    fn terms(&self, request: &Request) -> Option<Terms> {
        let is_get = request.method == Method::Get;
        if (!is_get && request.method != Method::Head) || request.body.length() != Some(0) {
            return None;
        }
        let mut terms = Terms {
            max_age_ns: u64::MAX,
            min_fresh_ns: 0,
            max_stale_ns: 0,
            no_cache: false,
            only_if_cached: false,
            fetches: is_get,
            has_credentials: false,
        };
        let mut speaks = false;
        for field in request.headers.iter() {
            match field.name {
                Name::Authorization | Name::XApiKey => terms.has_credentials = true,
                Name::Range => terms.fetches = false,
                Name::CacheControl => speaks = true,
                Name::Other if is_one_of(&PASSING_HEADERS, field.text) => return None,
                _ => {}
            }
        }
        if speaks && self.client_invalidation {
            let asked = Asked::read(&request.headers);
            if asked.no_store {
                return None;
            }
            let ns = |s: u64| s.saturating_mul(NANOSECONDS_PER_SECOND);
            terms.no_cache = asked.no_cache;
            terms.only_if_cached = asked.only_if_cached;
            terms.max_age_ns = asked.max_age_s.map_or(u64::MAX, ns);
            terms.min_fresh_ns = ns(asked.min_fresh_s);
            terms.max_stale_ns = asked.max_stale_s.map_or(0, ns);
        }
        Some(terms)
    }

    fn ask(&self, key: Key, terms: Terms) -> Verdict {
        Verdict::Ask(Question::Cache(Lookup { key, mode: Mode::Respect(terms) }))
    }

    /// Prepares a request for the backend. What its response has to be judged by.
    fn set_out(
        &self,
        request: &mut Request,
        ticket: Option<Ticket>,
        stored: Option<Arc<Stored>>,
        is_answered: bool,
        cx: &Context<'_>,
    ) -> Box<Journey> {
        let headers = &request.headers;
        let exchange = Exchange {
            sent_ns: cx.now.mono_ns,
            has_credentials: headers.iter().any(|field| is_credential(&field)),
            has_cookies: headers.get(Name::Cookie).is_some(),
        };
        let primary = self.key(request);
        let client = request.headers.clone();
        let is_validating =
            stored.as_ref().is_some_and(|stored| conditional::put(&mut request.headers, stored.headers()));
        let is_get = request.method == Method::Get;
        let request = client;
        let fetch = Fetch { ticket, stored, is_validating, primary, request, is_get, is_answered, exchange };
        Box::new(Journey(Purpose::Fetch(fetch)))
    }

    /// The response has come: what becomes of it.
    fn arrive(&self, fetch: Fetch, response: &mut Response, cx: &mut Context<'_>) -> Option<Fate> {
        let now = cx.now;
        if let Some(stored) = &fetch.stored {
            if fetch.is_validating && !cx.unanswered && response.status == 304 {
                return self.freshen(&Arc::clone(stored), fetch, response, cx);
            }
            let answered = !cx.unanswered;
            let has_failed = cx.unanswered || response.status >= 500;
            if has_failed && (fetch.is_answered || stored.stands_in(answered, now)) {
                let retry_after_s = response.headers.find("retry-after").and_then(directives::seconds);
                let failure = Failure { answered, retry_after_s: retry_after_s.unwrap_or(0) };
                *response = answer(stored, &fetch.request, fetch.is_get, now);
                return Some(Fate::Stale { ticket: fetch.ticket, stored: Arc::clone(stored), failure });
            }
        }
        let ticket = fetch.ticket?;
        let is_right_size = response.body.length().is_none_or(|bytes| bytes <= self.body_bytes_max);
        if cx.unanswered || !is_right_size {
            return Some(Fate::Decline { ticket, lasting: !cx.unanswered });
        }
        let validity = match Validity::of(response.status, &response.headers, &fetch.exchange, now) {
            Ok(validity) => validity,
            Err(refused) => return Some(Fate::Decline { ticket, lasting: refused.lasting }),
        };
        let Some(names) = vary::names(&response.headers) else {
            return Some(Fate::Decline { ticket, lasting: true });
        };
        let variant = variant(names, fetch.primary, fetch.request);
        let headers = kept(&response.headers, now.unix_ns);
        let keep = Keep::on_terms(ticket, response, headers, validity, variant, self.body_bytes_max, now);
        Some(Fate::Keep(Box::new(keep)))
    }

    /// §4.3.4: what is kept still holds, and is fresh for as long as the 304 says.
    fn freshen(
        &self,
        stored: &Arc<Stored>,
        fetch: Fetch,
        response: &mut Response,
        cx: &Context<'_>,
    ) -> Option<Fate> {
        let headers = kept(&conditional::merge(stored.headers(), &response.headers), cx.now.unix_ns);
        let validity = Validity::of(stored.status(), &headers, &fetch.exchange, cx.now);
        let names = vary::names(&headers);
        let Fetch { ticket, primary, request, is_get, .. } = fetch;
        match (validity, names) {
            (Ok(validity), Some(names)) => {
                let renewed = stored.renewed(headers, validity, cx.now);
                *response = answer(&renewed, &request, is_get, cx.now);
                let variant = variant(names, primary, request);
                ticket.map(|ticket| Fate::Keep(Box::new(Keep::whole(ticket, renewed, variant))))
            }
            // The client has its answer; it is not for others any more.
            (validity, _) => {
                let (status, body) = (stored.status(), Body::Whole(stored.body().clone()));
                *response = Response { status, headers, body };
                let lasting = validity.is_err_and(|refused| refused.lasting);
                ticket.map(|ticket| Fate::Decline { ticket, lasting })
            }
        }
    }

    /// The resources that a request has made stale (§4.4).
    fn changed(&self, site: &Site, response: &Response) -> Changed {
        let Site { scheme, authority, target, headers } = site;
        let key = |path: &str, query: Option<&str>| {
            let mut draft = Draft::default();
            let (scheme, authority) = (scheme.as_str(), authority.as_str());
            self.recipe.draft_resource(scheme, authority, path, query, headers, &mut draft);
            draft.sought().to_key()
        };
        let mut keys = Changed::new();
        keys.push(key(target.path(), target.query()));
        for name in ["location", "content-location"] {
            let named = response.headers.find(name).and_then(|uri| self.resolve(site, uri));
            if let Some(key) = named.map(|target| key(target.path(), target.query())) {
                keys.push(key);
            }
        }
        keys
    }

    /// A reference to a resource of the same origin; others are not ours to make stale (§4.4).
    fn resolve(&self, site: &Site, uri: &[u8]) -> Option<Target> {
        let uri = uri.split(|byte| *byte == b'#').next()?;
        let absolute = |rest: &[u8]| {
            let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
            let authority = Authority::parse(&rest[..end]).ok()?;
            let is_same = authority.as_str().eq_ignore_ascii_case(site.authority.as_str());
            let path = if rest[end..].starts_with(b"/") {
                rest[end..].to_vec()
            } else {
                [b"/", &rest[end..]].concat()
            };
            is_same.then_some(path)
        };
        let path = if let Some(rest) = uri.strip_prefix(b"//") {
            absolute(rest)?
        } else if uri.starts_with(b"/") {
            uri.to_vec()
        } else if let Some(at) = uri.windows(3).position(|part| part == b"://") {
            let is_same = uri[..at].eq_ignore_ascii_case(site.scheme.as_str().as_bytes());
            absolute(uri.get(at + 3..).filter(|_| is_same)?)?
        } else {
            let own = site.target.path().as_bytes();
            let folder = own.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
            if uri.starts_with(b"?") { [own, uri].concat() } else { [&own[..folder], uri].concat() }
        };
        Target::parse(&path, self.path_rules).ok()
    }
}

impl Policy for Respect {
    fn on_request(&self, request: &mut Request, cx: &mut Context<'_>) -> Verdict {
        if request.upgrade().is_some() {
            return Verdict::Continue;
        }
        if !is_safe(&request.method) {
            let Request { scheme, authority, target, headers, .. } = request;
            let mut headers = headers.clone();
            headers.retain(|field| {
                matches!(field.name, Name::XForwardedHost | Name::XForwardedPort | Name::XForwardedProto)
            });
            let site =
                Site { scheme: *scheme, authority: authority.clone(), target: target.clone(), headers };
            *cx.slot = Slot::Respect(Box::new(Journey(Purpose::Change(site))));
            return Verdict::Continue;
        }
        let Some(terms) = self.terms(request).filter(|_| self.keeps) else { return Verdict::Continue };
        let mut draft = Draft::default();
        self.draft(request, &mut draft);
        let sought = draft.sought();
        match near(request, &sought, Mode::Respect(terms), cx) {
            Some(stored) => Verdict::Replay(Replay::new(stored, Some(cx.now))),
            None => self.ask(sought.to_key(), terms),
        }
    }

    fn on_answer(&self, request: &mut Request, answer: Answer, cx: &mut Context<'_>) -> Verdict {
        let Answer::Cache(found) = answer else { return Verdict::Continue };
        match found {
            Found::Hit(stored) => {
                let is_get = request.method == Method::Get;
                match conditional::select(&request.headers, is_get, &stored) {
                    Selected::Whole => Verdict::Replay(Replay::new(stored, Some(cx.now))),
                    _ => Verdict::Answer(self::answer(&stored, &request.headers, is_get, cx.now)),
                }
            }
            Found::Varies(rule) => match self.terms(request) {
                Some(terms) => self.ask(rule.key(&self.key(request), &request.headers), terms),
                None => Verdict::Continue,
            },
            Found::Fill(ticket) => {
                *cx.slot = Slot::Respect(self.set_out(request, Some(ticket), None, false, cx));
                Verdict::Continue
            }
            Found::Validate(stored, ticket) => {
                *cx.slot = Slot::Respect(self.set_out(request, ticket, Some(stored), false, cx));
                Verdict::Continue
            }
            Found::Renew(stored, ticket) => {
                let is_get = request.method == Method::Get;
                let response = self::answer(&stored, &request.headers, is_get, cx.now);
                let mut request = request.clone();
                let journey = self.set_out(&mut request, Some(ticket), Some(stored), true, cx);
                *cx.slot = Slot::Renew(Box::new(Renewal { request, journey }));
                Verdict::Answer(response)
            }
            Found::Absent => Verdict::Refuse(Reason::NotCached),
            Found::Pass => Verdict::Continue,
        }
    }

    fn on_response(&self, response: &mut Response, cx: &mut Context<'_>) {
        let Slot::Respect(journey) = std::mem::take(cx.slot) else { return };
        let fate = match journey.0 {
            Purpose::Fetch(fetch) => self.arrive(fetch, response, cx),
            Purpose::Change(site) => {
                let has_changed = !cx.unanswered && matches!(response.status, 200..=399);
                has_changed.then(|| Fate::Invalidate(Box::new(self.changed(&site, response))))
            }
        };
        if let Some(fate) = fate {
            *cx.slot = Slot::Cache(fate);
        }
    }

    fn reads_responses(&self) -> bool {
        true
    }

    fn describe(&self) -> Description {
        let keeps = "answers are kept for as long as the backend says";
        let forgets = "what it changes is forgotten where it is kept";
        Description::of("cache", if self.keeps { keeps } else { forgets })
    }
}

/// The answer to a request from a kept response. Its body is at hand, even if it is empty: the backend's, if there is
/// one, is not wanted.
fn answer(stored: &Stored, request: &Headers, is_get: bool, now: message::Now) -> Response {
    let mut response = stored.response();
    if response.body == Body::Empty {
        response.body = Body::Whole(bytes::Bytes::new());
    }
    let selected = conditional::select(request, is_get, stored);
    conditional::cut(&mut response, selected);
    if selected != Selected::Unsatisfiable {
        response.headers.set("Age", stored.age_s(now).to_string().as_bytes());
    }
    response
}

/// The fields of a response that are kept. One without a date gets that of its arrival (RFC 9110 §6.6.1).
fn kept(headers: &Headers, unix_ns: u64) -> Headers {
    let mut kept = headers.clone();
    kept.retain(|field| !is_one_of(&HOP_HEADERS, field.text));
    if kept.get(Name::Date).is_none() {
        let now = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(unix_ns);
        kept.push("Date", httpdate::fmt_http_date(now).as_bytes());
    }
    kept
}

fn variant(names: Vec<Box<str>>, primary: Key, request: Headers) -> Option<Box<Variant>> {
    Some(Box::new(Variant { primary, names, request }))
}

fn is_credential(field: &Field<'_>) -> bool {
    matches!(field.name, Name::Authorization | Name::XApiKey)
}

/// RFC 9110 §9.2.1.
fn is_safe(method: &Method) -> bool {
    matches!(method, Method::Get | Method::Head | Method::Options | Method::Trace | Method::Connect)
}
