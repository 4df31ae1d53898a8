//! Policies: what a route asks of a request before and after it is served.
//! A policy decides and never waits: no clock, no socket, no file. What it needs to know comes in
//! through [`Context`]; what it wants from the outside goes out as a [`Verdict::Ask`].

pub mod cache;
pub mod client;
pub mod compression;
pub mod cors;
pub mod gateway_response;
pub mod limits;
pub mod throttle;
pub mod validate;

use std::net::IpAddr;

use message::{Now, Reason, Request, Response};

/// One policy of a route. Their order is data in the route.
pub trait Policy: Send + Sync + std::fmt::Debug {
    /// Looks at the request, may change it, and says how to go on.
    fn on_request(&self, request: &mut Request, cx: &mut Context<'_>) -> Verdict;
    /// Takes up the reply to the question that this policy asked.
    fn on_answer(&self, _request: &mut Request, _answer: Answer, _cx: &mut Context<'_>) -> Verdict {
        Verdict::Continue
    }
    /// Looks at the response on its way out. Called for the policies that the request has passed, last one first.
    fn on_response(&self, _response: &mut Response, _cx: &mut Context<'_>) {}
    /// Whether `on_response` looks at responses, so that none may go out past it.
    fn reads_responses(&self) -> bool;
    /// What it is and asks, for people.
    fn describe(&self) -> Description;
}

/// What a policy is and asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// In a word: `throttle`.
    pub kind: &'static str,
    /// A line for each thing that an operator can have written by itself, in the order in which they are asked; at least one.
    pub asks: Vec<String>,
}

impl Description {
    /// One that asks one thing.
    fn of(kind: &'static str, asks: impl Into<String>) -> Self {
        Self { kind, asks: vec![asks.into()] }
    }
}

/// What a policy is given for one decision.
pub struct Context<'a> {
    /// The time of this turn.
    pub now: Now,
    /// The client: the peer, or what a trusted proxy says of it.
    pub client: IpAddr,
    /// The values of the route's path variables: byte ranges of `request.target.path()`, in the template's order.
    pub params: &'a [(u32, u32)],
    /// This core's token buckets.
    pub spendings: &'a mut throttle::Spendings,
    /// The cache entries that this core has at hand.
    pub near: &'a mut dyn cache::Near,
    /// What is remembered of this request. It is the cache's: a second policy that remembers something needs a second one.
    pub slot: &'a mut Slot,
    /// No backend answered: the response, if there is one, is the gateway's own word about that.
    pub unanswered: bool,
}

/// How to go on.
#[derive(Debug)]
pub enum Verdict {
    /// To the next policy.
    Continue,
    /// With this response, in place of the integration's.
    Answer(Response),
    /// With a response that is kept, as it is: written where the answer stays, without a copy of its own.
    Replay(cache::Replay),
    /// Not at all, and why.
    Refuse(Reason),
    /// After the outside has said something; it goes to `on_answer`.
    Ask(Question),
}

/// What a policy may ask the outside.
#[derive(Debug)]
pub enum Question {
    /// Is there an entry under this key; if not, who fetches it?
    Cache(cache::Lookup),
    /// The request's body, whole and without the coding that it was sent in, before anything else is done; refused as
    /// [`Question::Body`] is, and if it is not what it says.
    Decode {
        /// How it was sent.
        coding: compression::Coding,
        /// The longest that is wanted, with and without the coding.
        bytes_max: u64,
    },
    /// The request's body, whole, before anything else is done: the request is refused if it is longer, and not asked
    /// about again. For a policy that finds it to be [`message::Body::Stream`].
    Body {
        /// The longest that is wanted.
        bytes_max: u64,
    },
}

/// The outside's reply, one variant for each [`Question`].
#[derive(Debug)]
pub enum Answer {
    /// To [`Question::Cache`].
    Cache(cache::Found),
    /// To [`Question::Body`] and [`Question::Decode`]: the request's body is whole now.
    Body,
}

/// What is remembered of one request between the way in and the way out. A route has one slot and not one for each of its policies, since its
/// cache is the only one of them that remembers anything, and requests in flight pay for what lies in them.
#[derive(Debug, Default)]
pub enum Slot {
    /// Nothing.
    #[default]
    Empty,
    /// The cache: what to do with the response.
    Cache(cache::Fate),
    /// The cache on the backend's terms: what the response is to be judged by.
    Respect(Box<cache::Journey>),
    /// The same, of a request that is to be made when this one has been answered.
    Renew(Box<cache::Renewal>),
}
