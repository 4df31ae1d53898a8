//! What the tests of the cache share: requests and responses written as text, and a gateway of one route in small.

mod deception;
mod fields;
mod fifo;
mod keys;
mod policy;
mod replicas;
mod rfc9111;
mod sharing;
mod store;
mod twin;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use message::{
    Authority, Body, Dialect, Headers, Length, Method, Now, PathRules, Request, Response, Scheme, Target,
};

use super::*;
use crate::throttle::{Spendings, Table};

const MAX: u64 = 1_048_576;

/// Settings of a route that caches GET for 300 s.
fn settings(dialect: Dialect, key: Option<Vec<KeyPart>>) -> Settings {
    Settings {
        dialect,
        identity: "api/prod/route".into(),
        ttl: Duration::from_secs(300),
        key,
        methods: vec![Method::Get],
        client_invalidation: true,
        body_bytes_max: MAX,
    }
}

fn query(name: &str) -> KeyPart {
    KeyPart::Query(name.into())
}

fn header(name: &str) -> KeyPart {
    KeyPart::Header(name.into())
}

/// `GET https://host/path?query`, then fields, each on a line. `body: n` and `upgrade: x` stand for what the codec makes
/// of them.
fn request(text: &str) -> Request {
    let mut lines = text.lines().map(str::trim);
    let (method, url) = lines.next().unwrap().split_once(' ').unwrap();
    let (scheme, rest) = url.split_once("://").unwrap();
    let (host, target) = rest.split_at(rest.find('/').unwrap());
    let mut request = Request {
        method: Method::from_token(method),
        target: Target::parse(target.as_bytes(), PathRules::default()).unwrap(),
        authority: Authority::parse(host.as_bytes()).unwrap(),
        scheme: if scheme == "https" { Scheme::Https } else { Scheme::Http },
        ..Request::default()
    };
    for (name, value) in lines.map(field) {
        match name {
            "body" => request.body = Body::Stream(Length::Known(value.parse().unwrap())),
            "upgrade" => request.set_upgrade(value.into()),
            _ => request.headers.push(name, value.as_bytes()),
        }
    }
    request
}

/// `200`, then fields, each on a line. `body: text` is at hand, `length: n` and `length: unknown` are still to come.
fn response(text: &str) -> Response {
    let mut lines = text.lines().map(str::trim);
    let mut response = Response::new(lines.next().unwrap().parse().unwrap());
    for (name, value) in lines.map(field) {
        match (name, value) {
            ("body", text) => response.body = Body::Whole(Bytes::copy_from_slice(text.as_bytes())),
            ("length", "unknown") => response.body = Body::Stream(Length::Unknown),
            ("length", bytes) => response.body = Body::Stream(Length::Known(bytes.parse().unwrap())),
            _ => response.headers.push(name, value.as_bytes()),
        }
    }
    response
}

fn field(line: &str) -> (&str, &str) {
    let (name, value) = line.split_once(':').unwrap();
    (name, value.trim())
}

fn headers(text: &str) -> Headers {
    text.lines().map(field).map(|(name, value)| (name, value.as_bytes())).collect()
}

fn seconds(s: u64) -> Now {
    Now { mono_ns: s * 1_000_000_000, unix_ns: (1_700_000_000 + s) * 1_000_000_000 }
}

/// Lends a context to one decision.
fn decide<T>(
    now: Now,
    params: &[(u32, u32)],
    slot: &mut Slot,
    decide: impl FnOnce(&mut Context<'_>) -> T,
) -> T {
    let mut spendings = Spendings::new(Arc::new(Table::new(1)), 1);
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    decide(&mut Context {
        now,
        client,
        params,
        spendings: &mut spendings,
        near: &mut (),
        slot,
        unanswered: false,
    })
}

fn written(replay: &Replay) -> Response {
    // Memory of another response: nothing of it may show.
    let mut response = response("201\nage: 7\nx-before: 1\nbody: before");
    replay.write(&mut response);
    response
}

/// What a gateway of one core does with one request after the other.
struct Gateway {
    store: Store<()>,
    now: Now,
}

/// How a request was served.
#[derive(Debug, PartialEq)]
enum Served {
    /// From the cache.
    Cached(Response),
    /// By the backend, and kept.
    Kept,
    /// By the backend, and not kept.
    Fetched,
}

impl Gateway {
    fn new() -> Self {
        Self { store: Store::new(1 << 20), now: seconds(1) }
    }

    /// Serves a request; the backend would answer with `reply`.
    fn serve(&mut self, cache: &Cache, mut request: Request, mut reply: Response) -> Served {
        let (now, slot) = (self.now, &mut Slot::Empty);
        let lookup = match decide(now, &[], slot, |cx| cache.on_request(&mut request, cx)) {
            Verdict::Ask(Question::Cache(lookup)) => lookup,
            Verdict::Continue => return Served::Fetched,
            other => panic!("{other:?}"),
        };
        let found = match self.store.lookup(lookup, || (), now) {
            Outcome::Hit(stored) => Found::Hit(stored),
            Outcome::Fill(ticket) => Found::Fill(ticket),
            Outcome::Pass => Found::Pass,
            other => panic!("{other:?}"),
        };
        match decide(now, &[], slot, |cx| cache.on_answer(&mut request, Answer::Cache(found), cx)) {
            Verdict::Answer(response) => return Served::Cached(response),
            Verdict::Replay(replay) => return Served::Cached(written(&replay)),
            Verdict::Continue => {}
            other => panic!("{other:?}"),
        }
        decide(now, &[], slot, |cx| cache.on_response(&mut reply, cx));
        match std::mem::take(slot) {
            Slot::Cache(Fate::Keep(keep)) => {
                let (ticket, stored) = keep.finish().unwrap();
                assert!(self.store.fill(ticket, stored, now).is_empty());
                Served::Kept
            }
            Slot::Cache(Fate::Decline { ticket, lasting }) => {
                assert!(self.store.decline(ticket, lasting, now).is_empty());
                Served::Fetched
            }
            Slot::Empty => Served::Fetched,
            other => panic!("{other:?}"),
        }
    }
}
