//! One request of a client's HTTP/2 connection: a task of its own on the connection's core, with its own deadline. What
//! ends it ends nothing else.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll, ready},
};

use exchange::grpc;
use message::{Headers, Reason, Response};
use runtime::Alarm;
use telemetry::Event;
use wire::{
    h1::{BodyLength, RequestFraming, ResponseBody},
    h2::{Code, Incoming, Loan, Reply},
};

use super::start::Start;
use crate::{
    client::Client,
    connection::Connection,
    core::{Core, Messages},
    flow::Flow,
    pace::{Credit, Terms},
    request::{After, refuse, serve_lent},
    waiting::Asked,
    way::{DISCARD_BYTES_MAX, Sent},
};

/// Whoever has waited for so long may give up without being odd. A flood that waits too is no faster than honest clients,
/// since a connection has only so many streams.
const PATIENCE_NS: u64 = 50_000_000;

/// How long the rest of a request that was answered is waited for: some round trips.
const LINGER_NS: u64 = 50_000_000;

/// A client's stream.
pub(crate) struct Stream {
    connection: Rc<Connection>,
    start: Rc<Start>,
    alarm: Alarm,
    flow: Flow,
    reply: RefCell<Reply>,
    answered: Cell<bool>,
    /// The client has given it up.
    gone: Cell<bool>,
    /// When it began, in `mono_ns`.
    begun_ns: u64,
}

/// A request whose head is refused.
struct Unread {
    error: wire::Error,
    /// Who sent it understands an answer of gRPC only.
    is_grpc: bool,
    messages: Box<Messages>,
}

impl Stream {
    /// Begins to serve what has come in.
    pub(crate) fn begin(connection: &Rc<Connection>, start: &Rc<Start>, mut incoming: Incoming) {
        let core = connection.core();
        let snapshot = core.snapshot();
        let mut messages = core.messages();
        let limits = crate::core::request_limits(&snapshot);
        let read = incoming.read(&limits, snapshot.path_rules, &mut messages.request);
        let is_grpc = incoming.is_grpc();
        let (receiver, reply) = incoming.split();
        let stream = Self {
            connection: connection.clone(),
            start: start.clone(),
            alarm: core.handle.alarm(),
            flow: Flow::receiving(receiver),
            reply: RefCell::new(reply),
            answered: Cell::new(false),
            gone: Cell::new(false),
            begun_ns: core.handle.now().mono_ns,
        };
        let head = match read {
            Ok(head) => {
                let framing = RequestFraming {
                    body: BodyLength::UntilClose,
                    keep_alive: true,
                    expect_continue: head.expect_continue,
                };
                Ok(Asked { snapshot, messages, framing, begun: core.now() })
            }
            Err(error) => Err(Unread { error, is_grpc, messages }),
        };
        core.handle.spawn_pooled(|| stream.run(head));
    }

    /// This future is what a request in flight costs.
    #[expect(clippy::manual_async_fn, reason = "in the future of an async fn the arguments lie twice")]
    fn run(self, mut head: Result<Asked, Unread>) -> impl Future<Output = ()> {
        async move {
            let sends_unasked = head.as_ref().is_ok_and(|asked| !asked.framing.expect_continue);
            let after = match &mut head {
                Ok(asked) => serve_lent(self.connection.core(), Client::Http2(&self), asked).await,
                Err(Unread { error, is_grpc, messages }) => {
                    let (core, client) = (self.connection.core(), Client::Http2(&self));
                    refuse(core, client, error.status(), error.as_str(), *is_grpc, messages);
                    self.finish(core).await
                }
            };
            let core = self.connection.core();
            core.recycle(match head {
                Ok(asked) => asked.messages,
                Err(unread) => unread.messages,
            });
            match after {
                After::Next if sends_unasked && !self.flow.has_all() => self.linger(core).await,
                After::Next => {}
                // Nobody shall take what was sent for the whole.
                After::Close | After::Cut => self.reset(Code::InternalError),
            }
            let by = match after {
                // A fault of its own, of which only the engine knows.
                _ if self.gone.get() && self.reply.borrow().was_refused() => "gateway",
                _ if self.gone.get() => "client",
                After::Close | After::Cut => "gateway",
                After::Next => return,
            };
            core.record(&Event::ResetStream { by });
        }
    }

    /// An answer came before all of the request had. What is on its way is read over for a moment before the client is told to
    /// leave the rest out (RFC 9113 §8.1): clients there are that take this for a fault (curl 7.88 while it sends).
    fn linger<'a>(&'a self, core: &Core) -> impl Future<Output = ()> + use<'a> {
        self.alarm.set(core.handle.now().mono_ns.saturating_add(LINGER_NS));
        let mut left = DISCARD_BYTES_MAX;
        poll_fn(move |cx| match self.flow.poll_discard(cx, &mut left) {
            Poll::Pending => self.alarm.poll_expired(cx),
            Poll::Ready(()) => Poll::Ready(()),
        })
    }

    /// The connection that it shares with others.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Its deadline.
    pub(crate) fn alarm(&self) -> &Alarm {
        &self.alarm
    }

    /// Its bodies.
    pub(crate) fn flow(&self) -> &Flow {
        &self.flow
    }

    /// Bytes of its answer that the client's windows let through now.
    pub(crate) fn window(&self) -> usize {
        self.reply.borrow().window()
    }

    /// What backends may send ahead for its connection.
    pub(crate) fn loan(&self) -> Loan {
        self.reply.borrow().loan()
    }

    /// Ready when the client has given the request up.
    pub(crate) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.answered.get() {
            ready!(self.flow.poll_gone(cx));
            self.gone.set(true);
            return Poll::Ready(());
        }
        let reply = &mut *self.reply.borrow_mut();
        ready!(reply.poll_gone(cx));
        self.gone.set(true);
        let now_ns = self.connection.core().handle.now().mono_ns;
        if now_ns.saturating_sub(self.begun_ns) >= PATIENCE_NS {
            reply.excuse();
        }
        Poll::Ready(())
    }

    /// Waits until its connection may make one more call, unless that `is_shared` a connection with others. A request that was
    /// taken back meanwhile is none: no backend hears of it.
    pub(crate) async fn may_call(&self, is_shared: bool) -> Result<(), Reason> {
        poll_fn(|cx| {
            if self.poll_gone(cx).is_ready() {
                return Poll::Ready(Err(Reason::ClientGone));
            }
            let now_ns = self.connection.core().handle.now().mono_ns;
            if is_shared || self.start.poll_call(now_ns, cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            self.alarm.set(self.start.until_ns());
            self.alarm.poll_expired(cx).map(|()| Ok(()))
        })
        .await
    }

    /// A backend has answered.
    pub(crate) fn was_called(&self) {
        self.start.answered();
    }

    /// Passes an interim response on. Who has gone does not miss it.
    pub(crate) fn interim(&self, status: u16, headers: &Headers) {
        let _gone = self.reply.borrow_mut().interim(status, headers);
    }

    /// Sends the head of an answer, which `ends` it or not.
    pub(crate) fn begin_answer(&self, core: &Core, response: &Response, body: ResponseBody, ends: bool) {
        let length = match body {
            // What clients of gRPC take for trailers has no length (`PROTOCOL-HTTP2.md` of gRPC, Responses).
            ResponseBody::Known(0) if ends && grpc::is_trailers_only(response) => None,
            ResponseBody::Known(bytes) => Some(bytes),
            ResponseBody::HeadOnly(bytes) => bytes,
            ResponseBody::Chunked | ResponseBody::UntilClose | ResponseBody::None => None,
        };
        self.answered.set(true);
        // Who has gone is noticed by who waits for room, or by nobody.
        if let Ok(sender) = self.reply.borrow_mut().answer(response, length, &core.date(), ends) {
            self.flow.set_sender(sender, ends);
        } else {
            self.flow.fail();
        }
    }

    /// Sends an answer that is all there, as far as there is room. Returns the body's bytes.
    pub(crate) fn answer(&self, core: &Core, response: &Response, sent: &Sent) -> u64 {
        let body = sent.bytes.clone().unwrap_or_default();
        let bytes = body.len() as u64;
        self.begin_answer(core, response, sent.body, body.is_empty());
        self.flow.write_shared(body, true);
        bytes
    }

    /// Waits until what was written is sent, for as long as the client takes enough of it.
    pub(crate) async fn finish(&self, core: &Core) -> After {
        let unsent = || self.flow.unsent();
        let (begun, reader) = (unsent(), {
            let timeouts = &core.snapshot().timeouts;
            Credit::new(Terms { idle_ns: timeouts.body_idle_ns, rate: timeouts.response_rate })
        });
        while unsent() > 0 {
            let (now_ns, before) = (core.handle.now().mono_ns, unsent());
            self.alarm.set(reader.run(now_ns, (begun - before) as u64));
            let sent = poll_fn(|cx| self.flow.poll_sent_below(cx, before));
            match self.alarm.guard(sent).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return After::Cut,
                Err(_) => {
                    core.record(&Event::TimeOut { wait: "response" });
                    return After::Cut;
                }
            }
        }
        After::Next
    }

    fn reset(&self, code: Code) {
        if !self.flow.reset(code) {
            self.reply.borrow_mut().reset(code);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a request in flight costs is its future more than all else: the class of memory that this lies in
    /// (`runtime::pooled`). There are a hundred on a connection.
    const FUTURE_BYTES_MAX: usize = 1_792;

    /// What a call of a function gives takes.
    fn bytes_of<A, B, F>(_: impl FnOnce(A, B) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_request_in_flight_stays_in_its_class_of_memory() {
        let bytes = bytes_of(Stream::run);
        assert!(bytes <= FUTURE_BYTES_MAX, "{bytes} bytes");
    }
}
