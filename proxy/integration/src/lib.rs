//! Integrations: how a request is put to a backend and its reply read. An integration says how; the shard does the
//! talking. This room knows no socket, no clock and no route: what it needs to know comes in through [`Context`].

pub mod declared;
mod headers;
pub mod http;
pub mod mock;
mod preview;

use std::{any::Any, net::IpAddr};

use message::{Now, Reason, Request, RequestId, Response};

pub use declared::Spare;
pub use preview::{Fate, Preview, Whose};

/// What stands behind a route.
pub trait Integration: Send + Sync + std::fmt::Debug {
    /// Makes the request into the one that the backend is to see (method, target, headers, authority, body: all may be
    /// others), or answers in its place, into the context's response. Its body is whole if it wants it so.
    fn prepare(&self, request: &mut Request, cx: &mut Context<'_>) -> Outbound;

    /// Reads the backend's reply: makes it into the one that the client is to see, or says why it can't. Its body is whole
    /// if this wants it so. Not called for what `prepare` has answered.
    fn read(&self, _response: &mut Response, _cx: &mut ReadContext<'_>) -> Result<(), Reason> {
        Ok(())
    }

    /// The longest body of a request that `prepare` wants whole, in bytes; `None`: it does not look at bodies, which pass as
    /// they come. A longer one is [`Reason::BodyTooLarge`].
    fn request_body_max(&self) -> Option<u64> {
        None
    }

    /// The longest body of a reply that `read` wants whole, in bytes; `None`: it does not look at bodies, which pass as they
    /// come. A longer one is [`Reason::ResponseTooLarge`].
    fn response_body_max(&self) -> Option<u64> {
        None
    }

    /// What it is, as AWS calls it where AWS has it: `HTTP_PROXY`.
    fn kind(&self) -> &'static str;

    /// What `prepare` will make of a request's body, and why; of its own answer's too, if it gives one. For whoever wants it
    /// explained: given what `prepare` is given, it changes nothing. Empty: it looks at no body.
    fn preview(&self, _request: &Request, _cx: &Context<'_>) -> Vec<Preview> {
        Vec::new()
    }

    /// The same of a reply, and of what `read` will make of it.
    fn preview_reply(&self, _response: &Response, _cx: &ReadContext<'_>) -> Option<Preview> {
        None
    }

    /// How long a call may take as a whole, in nanoseconds (row 60); `None`: as long as its upstream lets it. The smaller
    /// holds.
    fn timeout_ns(&self) -> Option<u64> {
        None
    }
}

/// What an integration remembers of one request, between `prepare` and `read`. `None` where it needs no memory.
pub type State = Option<Box<dyn Any>>;

/// What an integration is told of a request.
#[derive(Debug)]
pub struct Context<'a> {
    /// The values of the route's path variables: byte ranges of `request.target.path()`, in the template's order.
    pub params: &'a [(u32, u32)],
    /// Who connected to us.
    pub peer: IpAddr,
    /// The client: the peer, or what a trusted proxy says of it.
    pub client: IpAddr,
    /// Whether the peer is a trusted proxy, so that its forwarding headers are kept.
    pub trusted: bool,
    /// The port on which the client came.
    pub port: u16,
    /// The time of this turn.
    pub now: Now,
    /// The request's id.
    pub request_id: RequestId,
    /// What is to be remembered until the reply is there.
    pub state: &'a mut State,
    /// Where an answer of its own is written. It comes in empty.
    pub response: &'a mut Response,
    /// What this core keeps of earlier requests, to be used again.
    pub spare: &'a mut Spare,
}

/// What an integration is told when the reply is there.
#[derive(Debug)]
pub struct ReadContext<'a> {
    /// The time of this turn.
    pub now: Now,
    /// The request's id.
    pub request_id: RequestId,
    /// What `prepare` wanted to be remembered.
    pub state: &'a mut State,
    /// What this core keeps of earlier requests, to be used again.
    pub spare: &'a mut Spare,
}

/// What becomes of a prepared request.
#[derive(Debug)]
pub enum Outbound {
    /// The integration has answered itself.
    Answer,
    /// To be put to the upstream group in this slot.
    Call(u32),
    /// It can't be put at all.
    Refuse(Reason),
}
