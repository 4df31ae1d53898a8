//! Integrations: how a request is put to a backend and its reply read. An integration says how; the shard does the
//! talking. This room knows no socket, no clock and no route: what it needs to know comes in through [`Context`].

pub mod http;
pub mod mock;

use std::net::IpAddr;

use message::{Reason, Request, Response};

/// What stands behind a route.
pub trait Integration: Send + Sync + std::fmt::Debug {
    /// Makes the request into the one that the backend is to see, or answers in its place.
    fn prepare(&self, request: &mut Request, cx: &Context<'_>) -> Outbound;
    /// Reads the backend's reply: makes it into the one that the client is to see.
    fn read(&self, _response: &mut Response) {}
}

/// What an integration is told of a request.
#[derive(Clone, Copy, Debug)]
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
}

/// What becomes of a prepared request.
#[derive(Debug)]
pub enum Outbound {
    /// The integration answers itself.
    Answer(Response),
    /// To be put to the upstream group in this slot.
    Call(u32),
    /// It can't be put at all.
    Refuse(Reason),
}
