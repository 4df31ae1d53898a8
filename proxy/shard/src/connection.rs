//! A client's connection: handshake, then request after request until one side ends it. Between two requests it is
//! a small future and a slot in the reactor; what a request needs lives only while the request does.

use std::{net::SocketAddr, rc::Rc};

use runtime::{Alarm, Stream};
use telemetry::Event;

use crate::{
    core::{Core, Idle, Open},
    pace::{Credit, Terms},
    request::{After, refuse, serve},
    transport::Transport,
    waiting::{Unasked, read_head, try_head, wait},
};

/// What a closing connection may still send before it is cut: enough for what was under way, so that closing does
/// not reset the connection and take our last answer with it (RFC 9112 §9.6).
const LINGER_BYTES_MAX: usize = 256 << 10;

/// A client's connection.
pub(crate) struct Connection {
    pub(crate) transport: Transport,
    pub(crate) alarm: Alarm,
    pub(crate) peer: SocketAddr,
    /// Port that the client connected to.
    pub(crate) port: u16,
    /// What listens there, for `sni` and the like; as it was when the connection was made.
    pub(crate) tls: Option<std::sync::Arc<tls::Server>>,
    pub(crate) idle: Idle,
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
        let begun = core.now();
        let mut part = Vec::new();
        let head = match try_head(&core, &connection, &mut part) {
            Some(head) => head,
            None => core.handle.pooled(|| read_head(&core, &connection, part)).await,
        };
        let asked = match head {
            Ok(asked) => asked,
            Err(unasked) => {
                if let Unasked::Refused { status, label, messages } = unasked {
                    refuse(&core, &connection, status, label, messages);
                }
                return close(&core, &connection).await;
            }
        };
        match core.handle.pooled(|| serve(&core, &connection, asked, begun)).await {
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

impl Connection {
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

/// Ends a connection so that what was sent arrives.
async fn close(core: &Rc<Core>, connection: &Connection) {
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
