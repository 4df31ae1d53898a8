//! The response cache (rows 82–89). The policy, in this file, says which requests may be answered from it and which
//! responses may be kept; [`Store`] keeps them, one on each core for the keys which that core owns.
//! The policy does not know who owns a key, nor how a body travels: it asks the outside for an entry, and leaves in its
//! [`Slot`] what is to become of the response.
//!
//! REST APIs follow AWS to the letter: the key is what was declared and nothing else, what the backend says about caching
//! does not count, cookies and credentials make no difference. Elsewhere the cache is a shared cache of RFC 9111 with a
//! TTL for its upper bound: requests with credentials pass, as do ranges, bodies and upgrades, and what the backend marks
//! as private, varying beyond the key, or setting cookies is not kept. (AWS's HTTP APIs have no cache; ours follows the
//! RFC there.)

mod conditional;
mod directives;
mod epochs;
mod flight;
mod key;
pub mod properties;
mod refusals;
mod replicas;
mod respect;
mod rests;
mod s3_fifo;
mod stats;
mod store;
mod stored;
mod targeted;
#[cfg(test)]
mod tests;
mod validity;
mod vary;

use std::sync::Arc;
use std::time::Duration;

use message::{Body, Dialect, Field, Headers, Method, Name, Names, Request, Response};

use self::key::Draft;
use crate::{Answer, Context, Description, Policy, Question, Slot, Verdict};

pub use epochs::{Demanded, Epochs};
pub use flight::{FLIGHTS_MAX, LEASE_NS, LeaseId, RELEASED_MAX, Ticket, WAITERS_PER_KEY_MAX};
pub use key::{Key, KeyPart, Sought};
pub use replicas::{ReplicaStats, Replicas};
pub use respect::{Changed, Journey, Renewal, Respect, RespectSettings};
pub use rests::Failure;
pub use stats::Stats;
pub use store::{Lookup, Mode, Near, Outcome, Replies, Store};
pub use stored::{Encoded, Keep, Replay, Stored};
pub use validity::Terms;
pub use vary::{Rule, VARY_NAMES_MAX, Variant};

/// The longest TTL (row 83).
pub const TTL_MAX: Duration = Duration::from_secs(3_600);

/// What an operator may say about a route's cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whose rules apply.
    pub dialect: Dialect,
    /// API, stage and route; part of every key. End each of them with a delimiter, so that [`Store::flush`] can tell a
    /// stage `v1` from a stage `v10`.
    pub identity: String,
    /// How long an entry lives at most; nothing is cached when it is zero (row 83).
    pub ttl: Duration,
    /// What tells two entries of the route apart. `None`: for REST nothing but the method (row 85), else path, query
    /// and the headers that backends commonly look at. Except for REST, scheme and authority always do.
    pub key: Option<Vec<KeyPart>>,
    /// Methods that are cached (row 84). Except for REST, `HEAD` is answered from the entries of `GET` if that is here.
    pub methods: Vec<Method>,
    /// Whether a client's `Cache-Control: max-age=0` fetches anew (row 86).
    pub client_invalidation: bool,
    /// The longest body that is kept (row 87).
    pub body_bytes_max: u64,
}

/// Why settings were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Entries of different routes would have the same keys.
    #[error("the cache has no identity")]
    NoIdentity,
    /// Beyond AWS's bound.
    #[error("the TTL of {ttl_s} s is longer than 3600 s")]
    TtlTooLong {
        /// What was asked for, in seconds.
        ttl_s: u64,
    },
    /// A method whose meaning a cache would change.
    #[error("responses to {method} cannot be cached")]
    MethodNotCacheable {
        /// The method.
        method: String,
    },
    /// A declared key part has no name.
    #[error("a part of the cache key has no name")]
    NamelessPart,
    /// On AWS what the backend says of caching does not count (row 83).
    #[error("a REST API's cache does not heed the backend")]
    RestHasNoTerms,
}

/// The reply to a look-up.
#[derive(Debug)]
pub enum Found {
    /// There is an entry.
    Hit(Arc<Stored>),
    /// There is none, and it falls to this request to fetch one.
    Fill(Ticket),
    /// Go yourself; what comes back is not for the cache.
    Pass,
    /// There are variants: ask again for the one that the rule selects.
    Varies(Arc<Rule>),
    /// There is an entry that the backend has to confirm; with the right to say what comes of it, if nobody else has it.
    Validate(Arc<Stored>, Option<Ticket>),
    /// Answer with this at once; with the right, and the duty, to ask the backend about it afterwards (RFC 5861 §3).
    Renew(Arc<Stored>, Ticket),
    /// There is none, and the client wants nothing else.
    Absent,
}

impl Found {
    /// The right that comes with it.
    pub fn ticket(&self) -> Option<&Ticket> {
        match self {
            Self::Fill(ticket) | Self::Validate(_, Some(ticket)) | Self::Renew(_, ticket) => Some(ticket),
            Self::Hit(_) | Self::Pass | Self::Varies(_) | Self::Validate(_, None) | Self::Absent => None,
        }
    }

    /// The same, to give it back.
    pub fn into_ticket(self) -> Option<Ticket> {
        match self {
            Self::Fill(ticket) | Self::Validate(_, Some(ticket)) | Self::Renew(_, ticket) => Some(ticket),
            Self::Hit(_) | Self::Pass | Self::Varies(_) | Self::Validate(_, None) | Self::Absent => None,
        }
    }
}

/// What is to become of the response. It is found in the policy's [`Slot`] after `on_response`, and whoever runs the
/// request gives the ticket in it back to the owner: if the request dies before its end, by `abandon`.
#[derive(Debug)]
pub enum Fate {
    /// Not known yet: the response has not come.
    Fill(Ticket),
    /// Kept: push the body as it passes, then `finish` and `fill`.
    Keep(Box<Keep>),
    /// Not kept: `decline`.
    Decline {
        /// The right to give back.
        ticket: Ticket,
        /// Whether the next one is likely not to be kept either: the backend forbids it, and is not just failing.
        lasting: bool,
    },
    /// The backend failed, and what is kept was answered in its place: `stand_in`.
    Stale {
        /// The right to give back, if this request had it.
        ticket: Option<Ticket>,
        /// For those who wait.
        stored: Arc<Stored>,
        /// How it failed.
        failure: Failure,
    },
    /// These resources have changed: the response goes out when all owners know (`invalidate`).
    Invalidate(Box<Changed>),
}

/// The cache of one route.
#[derive(Debug)]
pub struct Cache {
    recipe: key::Recipe,
    dialect: Dialect,
    ttl: Duration,
    methods: Vec<Method>,
    client_invalidation: bool,
    body_bytes_max: u64,
}

impl Cache {
    /// Checks the settings.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        if settings.identity.is_empty() {
            return Err(Error::NoIdentity);
        }
        if settings.ttl > TTL_MAX {
            return Err(Error::TtlTooLong { ttl_s: settings.ttl.as_secs() });
        }
        if let Some(method) = settings.methods.iter().find(|method| is_never_cached(method)) {
            return Err(Error::MethodNotCacheable { method: method.as_str().to_owned() });
        }
        let is_nameless = |part: &KeyPart| match part {
            KeyPart::Query(name) | KeyPart::Header(name) => name.is_empty(),
            KeyPart::Path(_) => false,
        };
        if settings.key.iter().flatten().any(is_nameless) {
            return Err(Error::NamelessPart);
        }
        Ok(Self {
            recipe: key::Recipe::new(&settings.identity, settings.dialect, settings.key.clone()),
            dialect: settings.dialect,
            ttl: settings.ttl,
            methods: settings.methods.clone(),
            client_invalidation: settings.client_invalidation,
            body_bytes_max: settings.body_bytes_max,
        })
    }

    /// Whether the request has nothing to do with the cache.
    fn passes(&self, request: &Request) -> bool {
        let is_listed = match request.method {
            Method::Head => self.dialect != Dialect::Rest && self.methods.contains(&Method::Get),
            _ => self.methods.contains(&request.method),
        };
        !is_listed
            || self.ttl.is_zero()
            || request.upgrade().is_some()
            || (self.dialect != Dialect::Rest && self.is_personal_or_partial(request))
    }

    /// Whether the answer may be meant for this client alone, for a part, or for something the key does not tell.
    fn is_personal_or_partial(&self, request: &Request) -> bool {
        request.body.length() != Some(0)
            || request.headers.iter().any(|field| match field.name {
                Name::Authorization => !self.recipe.has_header("authorization"),
                // Whoever declares a key has said that these do not matter, or that they do.
                Name::Cookie | Name::XApiKey => !self.recipe.is_declared(),
                Name::Range => true,
                Name::Other => is_one_of(&PASSING_HEADERS, field.text),
                _ => false,
            })
    }

    /// How long a response may be kept, in nanoseconds; `None` if not at all.
    fn freshness_ns(&self, response: &Response, now_unix_ns: u64) -> Option<u64> {
        let is_right_size = response.body.length().is_none_or(|bytes| bytes <= self.body_bytes_max);
        if !is_storable_status(response.status) || !is_right_size {
            return None;
        }
        let ttl = match self.dialect {
            Dialect::Rest => self.ttl,
            Dialect::Proxy | Dialect::Http => {
                let headers = &response.headers;
                let is_personal =
                    headers.get(Name::SetCookie).is_some() || directives::forbids_storing(headers);
                if is_personal || !self.varies_by_key(headers) {
                    return None;
                }
                directives::freshness(headers, now_unix_ns).map_or(self.ttl, |backend| backend.min(self.ttl))
            }
        };
        // At most 3,600 s: far below what 64 bits hold.
        (!ttl.is_zero()).then_some(ttl.as_nanos() as u64)
    }

    /// Whether all that the response varies by is in the key; `*` is no header's name and never is.
    fn varies_by_key(&self, headers: &Headers) -> bool {
        let fields = headers.iter().filter(|field| field.name == Name::Vary);
        fields
            .flat_map(|field| directives::list(field.value))
            .all(|name| std::str::from_utf8(name).is_ok_and(|name| self.recipe.has_header(name)))
    }

    /// The whole of an entry.
    fn replay(&self, stored: Arc<Stored>, cx: &Context<'_>) -> Verdict {
        let now = (self.dialect != Dialect::Rest).then_some(cx.now);
        Verdict::Replay(Replay::new(stored, now))
    }

    /// The answer from an entry.
    fn answer(&self, request: &Request, stored: Arc<Stored>, cx: &Context<'_>) -> Verdict {
        if self.dialect == Dialect::Rest {
            return self.replay(stored, cx);
        }
        if stored.status() != 200 || !is_not_modified(&request.headers, stored.headers()) {
            return self.replay(stored, cx);
        }
        let mut response = stored.response();
        response.status = 304;
        response.body = Body::Empty;
        response.headers.retain(|field| belongs_to_not_modified(&field));
        response.headers.set("Age", stored.age_s(cx.now).to_string().as_bytes());
        Verdict::Answer(response)
    }
}

impl Policy for Cache {
    fn on_request(&self, request: &mut Request, cx: &mut Context<'_>) -> Verdict {
        if self.passes(request) {
            return Verdict::Continue;
        }
        let refreshes = self.client_invalidation && directives::asks_for_refresh(&request.headers);
        let mode = match request.method {
            Method::Head if refreshes => return Verdict::Continue,
            Method::Head => Mode::Peek,
            _ if refreshes => Mode::Refresh,
            _ => Mode::Use,
        };
        let mut draft = Draft::default();
        if self.recipe.draft(request, cx.params, &mut draft).is_none() {
            // A variable that the route does not have: no key, no cache.
            return Verdict::Continue;
        }
        let sought = draft.sought();
        match near(request, &sought, mode, cx) {
            Some(stored) => self.replay(stored, cx),
            None => Verdict::Ask(Question::Cache(Lookup { key: sought.to_key(), mode })),
        }
    }

    fn on_answer(&self, request: &mut Request, answer: Answer, cx: &mut Context<'_>) -> Verdict {
        let Answer::Cache(found) = answer else { return Verdict::Continue };
        match found {
            Found::Hit(stored) => self.answer(request, stored, cx),
            Found::Fill(ticket) => {
                // What is kept must be whole, whatever this client has already.
                request.headers.retain(|field| !asks_for_less(&field));
                *cx.slot = Slot::Cache(Fate::Fill(ticket));
                Verdict::Continue
            }
            // The others are said to those who ask on the backend's terms.
            Found::Pass | Found::Varies(_) | Found::Validate(..) | Found::Renew(..) | Found::Absent => {
                Verdict::Continue
            }
        }
    }

    fn on_response(&self, response: &mut Response, cx: &mut Context<'_>) {
        let ticket = match std::mem::take(cx.slot) {
            Slot::Cache(Fate::Fill(ticket)) => ticket,
            other => {
                *cx.slot = other;
                return;
            }
        };
        *cx.slot = Slot::Cache(match self.freshness_ns(response, cx.now.unix_ns) {
            Some(freshness_ns) => {
                Fate::Keep(Box::new(Keep::new(ticket, response, freshness_ns, self.body_bytes_max, cx.now)))
            }
            None => Fate::Decline { ticket, lasting: is_storable_status(response.status) },
        });
    }

    fn reads_responses(&self) -> bool {
        true
    }

    fn describe(&self) -> Description {
        let methods: Vec<_> = self.methods.iter().map(Method::as_str).collect();
        let (methods, ttl_s, apart) = (methods.join(", "), self.ttl.as_secs(), self.recipe.describe());
        Description::of("cache", format!("{methods} is kept for {ttl_s} s; {apart} tells answers apart"))
    }
}

/// Fields by which a client may get something else than the whole of an entry.
const SELECTING: Names = Names::of(&[Name::IfModifiedSince, Name::IfNoneMatch, Name::Range]);

/// The entry that the request is answered with as a whole, if it is at hand: the usual hit, without a key to remember.
fn near(request: &Request, sought: &Sought<'_>, mode: Mode, cx: &mut Context<'_>) -> Option<Arc<Stored>> {
    if request.headers.seen().meets(SELECTING) {
        return None;
    }
    cx.near.hit(sought, mode, cx.now)
}

/// Conditions that only the backend can judge, credentials of a hop, and fields by which some backends serve another
/// resource or method than the request line says.
const PASSING_HEADERS: [&str; 9] = [
    "if-match",
    "if-range",
    "if-unmodified-since",
    "proxy-authorization",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
];

fn is_one_of(list: &[&str], text: &[u8]) -> bool {
    list.iter().any(|own| own.as_bytes().eq_ignore_ascii_case(text))
}

fn is_never_cached(method: &Method) -> bool {
    matches!(method, Method::Connect | Method::Trace)
}

/// Success, except for parts.
fn is_storable_status(status: u16) -> bool {
    matches!(status, 200..=299) && status != 206
}

/// Whether the field lets a backend answer with less than the whole (RFC 9110 §13, §14).
fn asks_for_less(field: &Field<'_>) -> bool {
    match field.name {
        Name::IfNoneMatch | Name::IfModifiedSince | Name::Range => true,
        Name::Other => is_one_of(&["if-match", "if-range", "if-unmodified-since"], field.text),
        _ => false,
    }
}

/// Whether the client has what is stored (RFC 9110 §13.1.2, §13.1.3). Dates are compared as text: the one who has it got
/// it from here or from the same backend.
fn is_not_modified(request: &Headers, stored: &Headers) -> bool {
    if request.get(Name::IfNoneMatch).is_some() {
        let Some(own) = stored.find("etag").map(weak) else { return false };
        let fields = request.iter().filter(|field| field.name == Name::IfNoneMatch);
        return fields
            .flat_map(|field| directives::list(field.value))
            .any(|tag| tag == b"*" || weak(tag) == own);
    }
    let since = request.get(Name::IfModifiedSince);
    since.is_some() && since == stored.find("last-modified")
}

/// An entity tag for weak comparison (RFC 9110 §8.8.3.2).
fn weak(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// The fields that a 304 has in common with the 200 it stands for (RFC 9110 §15.4.5).
fn belongs_to_not_modified(field: &Field<'_>) -> bool {
    match field.name {
        Name::CacheControl | Name::Date | Name::Vary => true,
        Name::Other => is_one_of(&["content-location", "etag", "expires", "last-modified"], field.text),
        _ => false,
    }
}
