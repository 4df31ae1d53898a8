//! Whom a request came from, whichever protocol it came by: what the corridor's surroundings need to know of either.

use std::{
    net::IpAddr,
    task::{Context, Poll},
};

use exchange::grpc;
use message::{Headers, Request};
use runtime::Alarm;
use wire::{h1, h2::Loan};

use crate::{connection::Connection, h2::Stream, side::Side};

/// Whom a request came from.
#[derive(Clone, Copy)]
pub(crate) enum Client<'a> {
    /// A connection, which it has for itself until it is answered.
    Http1(&'a Connection),
    /// One of a connection's streams.
    Http2(&'a Stream),
}

impl<'a> Client<'a> {
    /// The connection, which may be others' too.
    fn connection(self) -> &'a Connection {
        match self {
            Self::Http1(connection) => connection,
            Self::Http2(stream) => stream.connection(),
        }
    }

    /// The request's deadline.
    pub(crate) fn alarm(self) -> &'a Alarm {
        match self {
            Self::Http1(connection) => &connection.alarm,
            Self::Http2(stream) => stream.alarm(),
        }
    }

    /// Who connected.
    pub(crate) fn peer(self) -> IpAddr {
        self.connection().peer
    }

    /// Port that was connected to.
    pub(crate) fn port(self) -> u16 {
        self.connection().port
    }

    /// Whether over TLS.
    pub(crate) fn is_secure(self) -> bool {
        self.connection().transport.session().is_some()
    }

    /// Where bodies come from and go to.
    pub(crate) fn side(self) -> Side<'a> {
        match self {
            Self::Http1(connection) => Side::Http1(&connection.transport),
            Self::Http2(stream) => Side::Http2(stream.flow()),
        }
    }

    /// Bytes of an answer that it takes now, where that is known.
    pub(crate) fn window(self) -> Option<usize> {
        match self {
            Self::Http1(_) => None,
            Self::Http2(stream) => Some(stream.window()),
        }
    }

    /// By which a backend of HTTP/2 may send ahead for it; who has no other request needs none.
    pub(crate) fn loan(self) -> Option<Loan> {
        match self {
            Self::Http1(_) => None,
            Self::Http2(stream) => Some(stream.loan()),
        }
    }

    /// A connection that was made for one virtual server asks nothing of another (RFC 9110 §15.5.20, RFC 9113 §9.1.1).
    pub(crate) fn is_misdirected(self, request: &Request) -> bool {
        let transport = &self.connection().transport;
        let (Some(server), Some(session)) = (transport.server_settings(), transport.session()) else {
            return false;
        };
        let session = session.borrow();
        session.sni().is_some() && !server.same_virtual_server(session.sni(), request.authority.host())
    }

    /// Whether the name that it gave in TLS is this host (row 13): in any case, as names are, and without the dot at their end, which
    /// none has in TLS (RFC 6066 §3). In the clear there is none, nor for an address.
    pub(crate) fn is_named(self, host: &str) -> bool {
        let Some(session) = self.connection().transport.session() else { return false };
        let host = host.strip_suffix('.').unwrap_or(host);
        session.borrow().sni().is_some_and(|name| name.eq_ignore_ascii_case(host))
    }

    /// How a call of gRPC has ended for it, by the head of its answer or by what it got behind the body.
    pub(crate) fn grpc_status(self, head: &Headers) -> Option<u8> {
        grpc::status(head).or_else(|| match self {
            Self::Http1(_) => None,
            Self::Http2(stream) => stream.flow().grpc_status(),
        })
    }

    /// Ready when nobody waits for the answer any more.
    pub(crate) fn poll_gone(self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Http1(connection) => connection.transport.poll_gone(cx),
            Self::Http2(stream) => stream.poll_gone(cx),
        }
    }

    /// The same while bodies are under way. A connection of HTTP/1 tells it by the next bytes: one that is closed by half
    /// may still be read.
    pub(crate) fn poll_given_up(self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Http1(_) => Poll::Pending,
            Self::Http2(stream) => stream.poll_gone(cx),
        }
    }

    /// Passes an interim response on, for a client that takes any.
    pub(crate) fn interim(self, status: u16, headers: &Headers) {
        match self {
            Self::Http1(connection) => {
                connection.transport.write(|out| h1::encode_interim(status, headers, out));
            }
            Self::Http2(stream) => stream.interim(status, headers),
        }
    }
}
