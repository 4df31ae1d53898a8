//! A client's connection: handshake, then request after request until one side ends it. Between two requests it is
//! a small future and a slot in the reactor; what a request needs lives only while the request does.

use std::{net::IpAddr, rc::Rc};

use runtime::{Alarm, Stream};
use snapshot::Snapshot;
use telemetry::Event;

use crate::{
    client::Client,
    conduct::Deed,
    core::{Core, Open},
    h2,
    pace::{Credit, Terms},
    relay::UNSENT_BYTES_HIGH,
    request::{After, refuse, serve},
    transport::Transport,
    waiting::{Asked, Head, Unasked, Wait, read_head, try_head},
};

/// What a closing connection may still send before it is cut: enough for what was under way, so that closing does
/// not reset the connection and take our last answer with it (RFC 9112 §9.6).
const LINGER_BYTES_MAX: usize = 256 << 10;

/// A client's connection.
pub(crate) struct Connection {
    pub(crate) transport: Transport,
    pub(crate) alarm: Alarm,
    pub(crate) peer: IpAddr,
    /// Port that the client connected to.
    pub(crate) port: u16,
    open: Open,
}

/// Serves a connection from accept to close; it is open for as long.
///
/// No `async fn`, in whose future the arguments lie twice: this future is what an idle connection costs. What is seldom
/// waited for (a handshake, a client that reads slowly, the end) waits in memory from the pool.
pub(crate) fn connection(
    open: Open,
    stream: Stream,
    peer: IpAddr,
    listener: usize,
    port: u16,
) -> impl Future<Output = ()> {
    let mut made = Connection::new(open, stream, peer, listener, port);
    async move {
        let Some(connection) = &made else { return };
        if connection.transport.server_settings().is_some()
            && !connection.core().handle.pooled(|| establish(connection.core(), connection)).await
        {
            return;
        }
        if connection.agreed_on_http2() {
            return into_http2(made, Vec::new());
        }
        let mut first = true;
        loop {
            if connection.transport.unsent() >= UNSENT_BYTES_HIGH
                && !connection
                    .core()
                    .handle
                    .pooled(|| connection.unsent_below(connection.core(), UNSENT_BYTES_HIGH))
                    .await
            {
                break;
            }
            if !Wait::new(connection, first).await {
                break;
            }
            let head = 'head: {
                let part = match try_head(connection.core(), connection) {
                    Ok(head) => break 'head head,
                    Err(part) => part,
                };
                connection.core().handle.pooled(|| read_head(connection.core(), connection, part)).await
            };
            let asked = match asked(connection, head, std::mem::take(&mut first)) {
                Ok(asked) => asked,
                Err(None) => break,
                Err(Some(early)) => return into_http2(made.take(), early),
            };
            let serving = || serve(connection.core(), Client::Http1(connection), asked);
            match connection.core().handle.pooled(serving).await {
                After::Next => {}
                After::Close => break,
                After::Cut => {
                    if let Some(connection) = made.take() {
                        connection.transport.abort();
                    }
                    return;
                }
            }
        }
        connection.core().handle.pooled(|| close(connection.core(), connection)).await;
    }
}

/// Goes on in HTTP/2, in a task of its own: connections of HTTP/1 do not pay for what it takes.
fn into_http2(made: Option<Connection>, early: Vec<u8>) {
    if let Some(connection) = made {
        let handle = connection.core().handle.clone();
        handle.spawn_pooled(|| h2::serve(Rc::new(connection), early));
    }
}

/// The request. Where there is none it has been said why, or here is what a client of HTTP/2 has begun its connection with.
fn asked(connection: &Connection, head: Head, is_first: bool) -> Result<Asked, Option<Vec<u8>>> {
    let (status, label, mut messages) = match head {
        Ok(asked) => return Ok(asked),
        Err(Unasked::Ended) => return Err(None),
        Err(Unasked::Http2 { early, .. }) if is_first && connection.may_turn_to_http2() => {
            return Err(Some(early));
        }
        Err(
            Unasked::Refused { status, label, messages } | Unasked::Http2 { status, label, messages, .. },
        ) => (status, label, messages),
    };
    refuse(connection.core(), Client::Http1(connection), status, label, false, &mut messages);
    connection.core().recycle(messages);
    Err(None)
}

/// Carries the handshake to its end; false when it failed, and the client was told why.
async fn establish(core: &Rc<Core>, connection: &Connection) -> bool {
    let Connection { transport, alarm, .. } = connection;
    let begun_ns = core.handle.now().mono_ns;
    alarm.set(begun_ns.saturating_add(core.snapshot().timeouts.handshake_ns));
    let label = match alarm.guard(transport.handshake()).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => Some("client_gone"),
        Ok(Err(_)) => Some("refused"),
        Err(_) => Some("timed_out"),
    };
    if let Some(label) = label {
        core.record(&Event::HandshakeFail { label });
        if label != "client_gone" {
            core.note_offence(connection.peer, Deed::Handshake);
        }
        // The alert that says why is still to be sent.
        let _sent = alarm.guard(transport.sent_below(1)).await;
        return false;
    }
    let resumed = transport.session().is_some_and(|session| session.borrow().is_resumed());
    let us = core.handle.now().mono_ns.saturating_sub(begun_ns) / 1_000;
    core.record(&Event::Handshake { resumed, us });
    true
}

impl Connection {
    /// `None` when its listener is gone from the snapshot.
    fn new(open: Open, stream: Stream, peer: IpAddr, listener: usize, port: u16) -> Option<Self> {
        let core = open.core();
        let tls = core.snapshot().listeners.get(listener)?.tls.clone();
        let transport = match &tls {
            None => Transport::plain(stream),
            Some(server) => Transport::server(&core.handle, stream, server),
        };
        let alarm = core.handle.alarm();
        Some(Self { transport, alarm, peer, port, open })
    }

    /// Whether the handshake has agreed on HTTP/2.
    fn agreed_on_http2(&self) -> bool {
        self.transport.session().is_some_and(|session| session.borrow().alpn() == Some(tls::ALPN_HTTP2))
    }

    /// Whether a client that knows that we speak HTTP/2 may do so without having asked (RFC 9113 §3.3).
    fn may_turn_to_http2(&self) -> bool {
        let snapshot = self.core().snapshot();
        let listener = snapshot.listeners.get(self.open.listener());
        self.transport.session().is_none() && listener.is_some_and(|listener| listener.http2)
    }

    /// Streams that it may have at once, if it speaks HTTP/2.
    pub(crate) fn streams_max(&self, snapshot: &Snapshot) -> u32 {
        let listener = snapshot.listeners.get(self.open.listener());
        listener.map_or(1, |listener| listener.http2_streams_max)
    }

    /// Whose it is.
    pub(crate) fn core(&self) -> &Rc<Core> {
        self.open.core()
    }

    /// Waits until fewer than so many bytes are unsent, for as long as the client takes enough of them.
    pub(crate) async fn unsent_below(&self, core: &Rc<Core>, bytes: usize) -> bool {
        let Self { transport, alarm, .. } = self;
        let begun = transport.unsent();
        let reader = {
            let timeouts = &core.snapshot().timeouts;
            Credit::new(Terms { idle_ns: timeouts.body_idle_ns, rate: timeouts.response_rate })
        };
        while transport.unsent() >= bytes {
            let taken = begun.saturating_sub(transport.unsent()) as u64;
            alarm.set(reader.run(core.handle.now().mono_ns, taken));
            match alarm.guard(transport.sent_below(transport.unsent())).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return false,
                Err(_) => {
                    core.record(&Event::TimeOut { wait: "response" });
                    return false;
                }
            }
        }
        true
    }
}

impl AsRef<Transport> for Connection {
    fn as_ref(&self) -> &Transport {
        &self.transport
    }
}

/// Ends a connection so that what was sent arrives.
pub(crate) async fn close(core: &Rc<Core>, connection: &Connection) {
    let Connection { transport, alarm, .. } = connection;
    transport.finish();
    if !connection.unsent_below(core, 1).await {
        return;
    }
    let linger_ns = core.snapshot().timeouts.linger_ns;
    alarm.set(core.handle.now().mono_ns.saturating_add(linger_ns));
    if alarm.guard(transport.discard(LINGER_BYTES_MAX)).await.is_err() {
        core.record(&Event::TimeOut { wait: "linger" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of what `make` would make.
    fn future_bytes<F>(_make: impl FnOnce(Open, Stream, IpAddr, usize, u16) -> F) -> usize {
        size_of::<F>()
    }

    /// An idle connection costs this, its socket's state and its deadline: whatever is added here is multiplied by all
    /// of them. Nearly all of it are its [`Connection`] and where it waits for a request.
    #[test]
    fn an_idle_connection_is_small() {
        let bytes = future_bytes(connection);
        assert!(bytes <= 112, "{bytes} bytes");
    }
}
