//! A client's connection: handshake, then request after request until one side ends it. Between two requests it is
//! a small future and a slot in the reactor; what a request needs lives only while the request does.

use std::{future::poll_fn, net::SocketAddr, rc::Rc, task::Poll};

use runtime::{Alarm, Stream};
use telemetry::Event;

use crate::{
    core::{Core, Idle, Open},
    request::{After, serve},
    transport::Transport,
};

/// What a closing connection may still send before it is cut: enough for what was under way, so that closing does
/// not reset the connection and take our last answer with it (RFC 9112 §9.6).
const LINGER_BYTES_MAX: usize = 256 << 10;

/// How long it may take for that.
const LINGER_NS: u64 = 2_000_000_000;

/// How long an idle connection is kept when the node drains: a request that is under way is still answered.
const LAME_DUCK_NS: u64 = 1_000_000_000;

/// Above so many unsent bytes no further request is read.
const UNSENT_BYTES_HIGH: usize = 256 << 10;

/// A client's connection.
pub(crate) struct Connection {
    pub(crate) transport: Transport,
    pub(crate) alarm: Alarm,
    pub(crate) peer: SocketAddr,
    /// Port that the client connected to.
    pub(crate) port: u16,
    /// What listens there, for `sni` and the like; as it was when the connection was made.
    pub(crate) tls: Option<std::sync::Arc<tls::Server>>,
    idle: Idle,
}

/// Serves a connection from accept to close; it is open for as long.
pub(crate) async fn connection(
    core: Rc<Core>,
    _open: Open,
    stream: Stream,
    peer: SocketAddr,
    listener: usize,
    port: u16,
) {
    let Some(connection) = establish(&core, stream, peer, listener, port).await else { return };
    let mut first = true;
    loop {
        if !wait(&core, &connection, std::mem::take(&mut first)).await {
            return close(&core, &connection).await;
        }
        match core.handle.pooled(|| serve(&core, &connection)).await {
            After::Next => {}
            After::Close => return close(&core, &connection).await,
            After::Cut => return connection.transport.abort(),
        }
    }
}

/// TLS, if the listener has it.
async fn establish(
    core: &Rc<Core>,
    stream: Stream,
    peer: SocketAddr,
    listener: usize,
    port: u16,
) -> Option<Connection> {
    let snapshot = core.snapshot();
    let settings = snapshot.listeners.get(listener)?;
    let alarm = core.handle.alarm();
    let (handle, tls) = (&core.handle, settings.tls.clone());
    let transport = match &tls {
        None => Transport::plain(handle, stream),
        Some(server) => Transport::server(handle, stream, server),
    };
    if tls.is_some() {
        let begun_ns = handle.now().mono_ns;
        alarm.set(begun_ns.saturating_add(snapshot.timeouts.handshake_ns));
        let label = match alarm.guard(transport.handshake()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => Some("client_gone"),
            Ok(Err(_)) => Some("refused"),
            Err(_) => Some("timed_out"),
        };
        if let Some(label) = label {
            core.record(&Event::HandshakeFail { label });
            // The alert that says why is still to be sent.
            let _sent = alarm.guard(transport.sent_below(1)).await;
            return None;
        }
        let resumed = transport.session().is_some_and(|session| session.borrow().is_resumed());
        let us = handle.now().mono_ns.saturating_sub(begun_ns) / 1_000;
        core.record(&Event::Handshake { resumed, us });
    }
    Some(Connection { transport, alarm, peer, port, tls, idle: core.idle() })
}

/// Waits for the next request; false when there will be none. Who connects and says nothing is not waited for as long
/// as who has been served.
async fn wait(core: &Rc<Core>, connection: &Connection, first: bool) -> bool {
    let Connection { transport, alarm, idle, .. } = connection;
    if transport.unsent() >= UNSENT_BYTES_HIGH && !unsent_below(core, connection, UNSENT_BYTES_HIGH).await {
        return false;
    }
    let timeouts = core.snapshot().timeouts;
    let wait_ns = if first { timeouts.head_ns } else { timeouts.keep_alive_ns };
    let put_off = || alarm.set(core.handle.now().mono_ns.saturating_add(wait_ns));
    put_off();
    let mut unsent = transport.unsent();
    let mut lame = false;
    poll_fn(|cx| {
        if core.is_draining() && !lame {
            lame = true;
            alarm.set(core.handle.now().mono_ns.saturating_add(LAME_DUCK_NS));
        }
        if let Poll::Ready(readable) = transport.poll_readable(cx) {
            return Poll::Ready(readable.is_ok());
        }
        while alarm.poll_expired(cx).is_ready() {
            let before = std::mem::replace(&mut unsent, transport.unsent());
            if unsent == 0 || unsent >= before {
                return Poll::Ready(false);
            }
            // A client that is still reading its last answer is not idle.
            put_off();
        }
        idle.wake_on_drain(cx);
        Poll::Pending
    })
    .await
}

/// Waits until fewer than so many bytes are unsent, for as long as the client takes some now and then.
async fn unsent_below(core: &Rc<Core>, connection: &Connection, bytes: usize) -> bool {
    let Connection { transport, alarm, .. } = connection;
    let stall_ns = core.snapshot().timeouts.body_idle_ns;
    while transport.unsent() >= bytes {
        alarm.set(core.handle.now().mono_ns.saturating_add(stall_ns));
        if !matches!(alarm.guard(transport.sent_below(transport.unsent())).await, Ok(Ok(()))) {
            return false;
        }
    }
    true
}

/// Ends a connection so that what was sent arrives.
async fn close(core: &Rc<Core>, connection: &Connection) {
    let Connection { transport, alarm, .. } = connection;
    transport.finish();
    if !unsent_below(core, connection, 1).await {
        return;
    }
    alarm.set(core.handle.now().mono_ns.saturating_add(LINGER_NS));
    let _ended = alarm.guard(transport.discard(LINGER_BYTES_MAX)).await;
}
