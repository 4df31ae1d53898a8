//! A client's HTTP/2 connection: one task that reads and writes its frames, and one for each of its requests. It ends when
//! the client ends it, when it is silent or stalled for too long, when the node drains, or when the client is odd beyond
//! measure. What frames mean is `wire`'s.

mod backend;
mod call;
mod link;
mod start;
mod stream;

use std::{
    cell::Cell,
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll},
};

use snapshot::Snapshot;
use telemetry::Event;
use wire::h2::{Code, Fault, ODDITIES_FORGIVEN_PER_S, Server, Settings};

pub(crate) use self::{
    backend::{Making, Seat, Shared, Unseated, start},
    call::{Call, probe},
    stream::Stream,
};
use self::{link::Link, start::Start};
use crate::{
    conduct::Deed,
    connection::{Connection, close},
    core::Core,
    pace::{Credit, Terms},
    pressure::Level,
};

/// How often a connection that is busy is looked at: for what stalls, and to forgive what was long ago.
const LOOK_NS: u64 = 1_000_000_000;

/// How long a client that was told to go is waited for once it has no streams left.
const LAME_DUCK_NS: u64 = 1_000_000_000;

/// Requests that wait for a connection's others are refused after so long, or up to twice that: who could not be looked at in this
/// time goes elsewhere.
const WAIT_NS: u64 = 14_000_000_000;

/// Requests that a connection begins before others have their turn.
const REQUESTS_A_POLL: usize = 16;
/// The same in bytes of their heads in the form of a list: as many as sixteen ordinary ones have. Sixteen that are as long as may be take
/// half a millisecond.
const HEADS_BYTES_A_POLL: usize = 16 << 10;

/// A stream's window while memory is short.
const STREAM_WINDOW_SHORT_BYTES: u32 = 16 << 10;

/// The part of its streams that a client may have then.
const STREAMS_SHORT: u32 = 4;

/// Serves a connection whose client speaks HTTP/2, to its end. `early`: what was received before that was known.
pub(crate) async fn serve(connection: Rc<Connection>, early: Vec<u8>) {
    let mut serving = Serving::new(&connection, early);
    connection.core().record(&Event::OpenHttp2);
    poll_fn(|cx| serving.poll(cx)).await;
    connection.core().record(&Event::CloseHttp2 { cause: serving.cause() });
    drop(serving);
    close(connection.core(), &connection).await;
}

/// A connection being served.
struct Serving {
    connection: Rc<Connection>,
    server: Server<Link<Connection>>,
    start: Rc<Start>,
    /// Bytes that were written.
    written: Rc<Cell<u64>>,
    /// How fast the client takes them.
    reader: Credit,
    settings: Settings,
    /// Since when there is no stream, in `mono_ns`.
    idle_ns: Option<u64>,
    /// Since when a head has begun and is not whole.
    head_ns: Option<u64>,
    /// Oddities are forgiven up to here.
    forgiven_ns: u64,
    /// The newest of the streams whose requests waited for others then, in `mono_ns`.
    waiting: Option<(u32, u64)>,
    /// It has had a request.
    is_used: bool,
    /// Since when memory is so short that who asks for nothing has to go.
    lame_ns: Option<u64>,
    /// Since when it knows that it is to open no more streams.
    told_ns: Option<u64>,
    /// It is over, and only has to hear why.
    is_over: bool,
    /// By what it ended, if not by the client's will.
    cause: Option<&'static str>,
    is_short: bool,
}

impl Serving {
    fn new(connection: &Rc<Connection>, early: Vec<u8>) -> Self {
        let core = connection.core();
        let snapshot = core.snapshot();
        let settings = settings(&snapshot, connection.streams_max(&snapshot));
        let is_short = is_short(core);
        let begins = if is_short { lowered(&settings) } else { settings };
        let link = Link::new(connection.clone(), early);
        let written = link.written();
        let now_ns = core.handle.now().mono_ns;
        let timeouts = &snapshot.timeouts;
        Self {
            connection: connection.clone(),
            server: Server::new(link, &begins),
            start: Rc::new(Start::new(now_ns)),
            written,
            reader: Credit::new(Terms { idle_ns: timeouts.body_idle_ns, rate: timeouts.response_rate }),
            settings,
            idle_ns: Some(now_ns),
            head_ns: None,
            forgiven_ns: now_ns,
            waiting: None,
            is_used: false,
            lame_ns: None,
            told_ns: None,
            is_over: false,
            cause: None,
            is_short,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            self.heed();
            let served = self.poll_server(cx);
            for code in self.server.take_refused() {
                self.connection.core().record(&Event::RefuseStream { code: code.as_str() });
            }
            if served.is_ready() {
                return Poll::Ready(());
            }
            if self.server.oddities().is_soft() {
                // It was told to go; whether it has heard that is not waited for.
                self.tell();
            }
            if self.is_over {
                // It was told why, as far as it reads.
                return Poll::Ready(());
            }
            let (due_ns, wait) = self.due();
            self.connection.alarm.set(due_ns);
            if self.connection.alarm.poll_expired(cx).is_pending() {
                return Poll::Pending;
            }
            if let Some(wait) = wait {
                if self.told_ns.is_none() {
                    self.connection.core().record(&Event::TimeOut { wait });
                }
                self.cause = self.told_ns.is_none().then_some(wait);
                let is_idle = self.idle_ns.is_some() && self.head_ns.is_none();
                self.end(if is_idle { Code::NoError } else { Code::EnhanceYourCalm });
            }
        }
    }

    /// Reads and writes all that can be, as one send.
    fn poll_server(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Self { connection, server, start, is_used, cause, .. } = self;
        connection.transport.as_one(|| {
            let mut heads_bytes = 0;
            for _ in 0..REQUESTS_A_POLL {
                match server.poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Some(Ok(incoming))) => {
                        *is_used = true;
                        heads_bytes += incoming.list_bytes();
                        Stream::begin(connection, start, incoming);
                        if heads_bytes >= HEADS_BYTES_A_POLL {
                            break;
                        }
                    }
                    Poll::Ready(Some(Err(fault))) => {
                        if matches!(fault, Fault::Broken(_) | Fault::Flooded) {
                            connection.core().note_offence(connection.peer, Deed::Malformed);
                        }
                        *cause = Some(fault.as_str());
                        return Poll::Ready(());
                    }
                    Poll::Ready(None) => return Poll::Ready(()),
                }
            }
            // Goes on behind those that it has begun.
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }

    /// Does what the core's state asks for.
    fn heed(&mut self) {
        let core = self.connection.core();
        let (is_draining, ends_idle) = (core.is_draining(), core.ends_idle());
        let now_ns = core.handle.now().mono_ns;
        let is_short = is_short(core);
        if is_short != self.is_short {
            self.is_short = is_short;
            let now = if is_short { lowered(&self.settings) } else { self.settings };
            self.server.set_limits(now.stream_window_bytes, now.streams_max);
        }
        if is_draining || self.is_lame(ends_idle, now_ns) {
            self.tell();
        }
    }

    /// Whether memory is short and it has asked for nothing for a moment; who does ask is served.
    fn is_lame(&mut self, ends_idle: bool, now_ns: u64) -> bool {
        if !ends_idle {
            self.lame_ns = None;
            return false;
        }
        let since_ns = *self.lame_ns.get_or_insert(now_ns);
        self.idle_ns.is_some_and(|idle_ns| idle_ns.max(since_ns).saturating_add(LAME_DUCK_NS) <= now_ns)
    }

    /// Lets it open no more streams; those it has are finished.
    fn tell(&mut self) {
        if self.told_ns.is_none() {
            self.told_ns = Some(self.connection.core().handle.now().mono_ns);
            self.server.go_away();
        }
    }

    /// The name in the metrics of what has ended it.
    fn cause(&self) -> &'static str {
        match self.cause {
            Some(cause) => cause,
            None if self.server.oddities().is_soft() => "odd",
            None if self.told_ns.is_some() => "drain",
            None => "client",
        }
    }

    fn end(&mut self, code: Code) {
        self.is_over = true;
        self.server.kill(code);
    }

    /// Refuses requests that have waited for others for too long.
    fn refuse_waiting(&mut self, now_ns: u64) {
        let Some(newest) = self.server.newest_waiting() else {
            self.waiting = None;
            return;
        };
        let (before, since_ns) = *self.waiting.get_or_insert((newest, now_ns));
        if now_ns.saturating_sub(since_ns) >= WAIT_NS {
            self.server.refuse_waiting(before);
            self.waiting = Some((newest, now_ns));
        }
    }

    /// When to look again, and what has lasted too long if that moment has come.
    fn due(&mut self) -> (u64, Option<&'static str>) {
        let core = self.connection.core();
        let now_ns = core.handle.now().mono_ns;
        let snapshot = core.snapshot();
        let timeouts = &snapshot.timeouts;
        let seconds = now_ns.saturating_sub(self.forgiven_ns) / LOOK_NS;
        if seconds > 0 {
            self.forgiven_ns += seconds * LOOK_NS;
            let points = u64::from(ODDITIES_FORGIVEN_PER_S).saturating_mul(seconds);
            self.server.oddities().forgive(u32::try_from(points).unwrap_or(u32::MAX));
            self.refuse_waiting(now_ns);
        }
        let (mut due_ns, mut wait) = (now_ns.saturating_add(LOOK_NS), None);
        let mut by = |at_ns: u64, what| {
            if at_ns <= now_ns {
                (due_ns, wait) = (now_ns, Some(what));
            }
            due_ns = due_ns.min(at_ns);
        };
        let unsent = self.connection.transport.unsent() as u64;
        if unsent > 0 {
            by(self.reader.run(now_ns, self.written.get().saturating_sub(unsent)), "response");
        } else {
            self.reader.stop(now_ns);
        }
        self.head_ns = self.server.is_inside_head().then(|| self.head_ns.unwrap_or(now_ns));
        if let Some(since_ns) = self.head_ns {
            by(since_ns.saturating_add(timeouts.head_ns), "head");
        }
        self.idle_ns = (!self.server.has_streams()).then(|| self.idle_ns.unwrap_or(now_ns));
        if let Some(since_ns) = self.idle_ns {
            let (since_ns, wait_ns, what) = match (self.told_ns, self.is_used) {
                (Some(told_ns), _) => (since_ns.max(told_ns), LAME_DUCK_NS, "keep_alive"),
                (None, true) => (since_ns, timeouts.http2_idle_ns, "keep_alive"),
                (None, false) => (since_ns, timeouts.first_byte_ns, "first_byte"),
            };
            let at_ns = since_ns.saturating_add(wait_ns);
            by(at_ns, what);
            if unsent == 0 && self.head_ns.is_none() {
                // Nothing else is to be looked at before.
                due_ns = at_ns.max(now_ns);
            }
            if let (Some(lame_ns), None) = (self.lame_ns, self.told_ns) {
                due_ns = due_ns.min(since_ns.max(lame_ns).saturating_add(LAME_DUCK_NS));
            }
        }
        (due_ns, wait)
    }
}

/// Whether clients are to send less ahead.
fn is_short(core: &Core) -> bool {
    core.pressure.get() >= Level::Trim
}

/// What clients may have ahead and open then.
fn lowered(settings: &Settings) -> Settings {
    let streams_max = settings.streams_max.div_ceil(STREAMS_SHORT);
    Settings { stream_window_bytes: STREAM_WINDOW_SHORT_BYTES, streams_max, ..*settings }
}

fn settings(snapshot: &Snapshot, streams_max: u32) -> Settings {
    let limits = crate::core::request_limits(snapshot);
    Settings {
        streams_max,
        head_list_bytes_max: u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX),
        ..Settings::CLIENTS
    }
}
