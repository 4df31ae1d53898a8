//! A client's connection: handshake, then request after request until one side ends it. Between two requests it is
//! a small future and a slot in the reactor; what a request needs lives only while the request does.

use std::{net::IpAddr, rc::Rc};

use runtime::{Alarm, Stream};
use telemetry::Event;

use crate::{
    core::{Core, Open},
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
            if !Wait::new(connection, std::mem::take(&mut first)).await {
                break;
            }
            let head = 'head: {
                let part = match try_head(connection.core(), connection) {
                    Ok(head) => break 'head head,
                    Err(part) => part,
                };
                connection.core().handle.pooled(|| read_head(connection.core(), connection, part)).await
            };
            let Some(asked) = asked(connection.core(), connection, head) else { break };
            match connection.core().handle.pooled(|| serve(connection.core(), connection, asked)).await {
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

/// The request, or `None` after saying why there is none.
fn asked(core: &Core, connection: &Connection, head: Head) -> Option<Asked> {
    match head {
        Ok(asked) => Some(asked),
        Err(Unasked::Ended) => None,
        Err(Unasked::Refused { status, label, messages }) => {
            refuse(core, connection, status, label, messages);
            None
        }
    }
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
