//! Waiting for a request: from silence to a whole head. It takes place in the connection's own small future; what there
//! is of a head that comes in pieces is kept in as many bytes as it has, so that ten thousand slow clients cost what they
//! have sent and not what a request costs.

#![expect(
    clippy::redundant_allocation,
    reason = "an Rc around the shared Arc: a request touches this core's count alone"
)]

use std::{
    io,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use message::Now;
use runtime::Received;
use snapshot::Snapshot;
use telemetry::Event;
use wire::h1::{self, RequestFraming};

use crate::{
    connection::Connection,
    core::{Core, Messages},
    head,
};

/// How long an idle connection is kept when the node drains or has no memory for it: a request that is under way is still answered.
const LAME_DUCK_NS: u64 = 1_000_000_000;

/// A request's head, whole, and the snapshot that it was read by.
pub(crate) struct Asked {
    pub(crate) snapshot: Rc<Arc<Snapshot>>,
    pub(crate) messages: Box<Messages>,
    pub(crate) framing: RequestFraming,
    /// When its first bytes were looked at.
    pub(crate) begun: Now,
}

/// A head, or why there is none.
pub(crate) type Head = Result<Asked, Unasked>;

/// Why there is no request.
pub(crate) enum Unasked {
    /// Nothing can be answered any more: the connection ends once what was sent has arrived.
    Ended,
    /// What came is answered with an error; after that nobody can say where the next request begins.
    Refused {
        status: u16,
        label: &'static str,
        /// As far as it was understood.
        messages: Box<Messages>,
    },
    /// It is what clients of HTTP/2 begin with, who have not asked whether we speak it. Where we do not, it is refused.
    Http2 {
        status: u16,
        label: &'static str,
        messages: Box<Messages>,
        /// All that has come.
        early: Vec<u8>,
    },
}

/// Waits for the next request; false when there will be none. Who connects and says nothing is not waited for as long
/// as who has been served. Written out, since it is most of what an idle connection's task holds.
pub(crate) struct Wait<'a> {
    connection: &'a Connection,
    /// As the alarm was set last; so many at most.
    unsent: u32,
    first: bool,
    lame: bool,
}

impl<'a> Wait<'a> {
    /// From now on.
    pub(crate) fn new(connection: &'a Connection, first: bool) -> Self {
        let wait = Self { connection, unsent: unsent(connection), first, lame: false };
        wait.put_off(wait.wait_ns());
        wait
    }

    fn wait_ns(&self) -> u64 {
        let timeouts = &self.connection.core().snapshot().timeouts;
        if self.first { timeouts.first_byte_ns } else { timeouts.keep_alive_ns }
    }

    fn put_off(&self, wait_ns: u64) {
        let Connection { alarm, .. } = self.connection;
        alarm.set(self.connection.core().handle.now().mono_ns.saturating_add(wait_ns));
    }

    /// The time is up: whether there is a reason to go on.
    fn goes_on(&mut self) -> bool {
        let core = self.connection.core();
        let before = std::mem::replace(&mut self.unsent, unsent(self.connection));
        let taken = u64::from(before.saturating_sub(self.unsent));
        let least = (self.wait_ns() / core.snapshot().timeouts.response_rate.byte_ns).max(1);
        // A client that is still reading its last answer is not idle.
        if self.unsent > 0 && taken >= least {
            return true;
        }
        let wait = match self.unsent {
            0 if self.first => "first_byte",
            0 => "keep_alive",
            _ => "response",
        };
        if !self.lame {
            core.record(&Event::TimeOut { wait });
        }
        false
    }
}

fn unsent(connection: &Connection) -> u32 {
    u32::try_from(connection.transport.unsent()).unwrap_or(u32::MAX)
}

impl Future for Wait<'_> {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        let Connection { transport, alarm, .. } = self.connection;
        if !self.lame && self.connection.core().ends_idle() {
            self.lame = true;
            self.put_off(LAME_DUCK_NS);
        }
        if let Poll::Ready(readable) = transport.poll_readable(cx) {
            return Poll::Ready(readable.is_ok());
        }
        while alarm.poll_expired(cx).is_ready() {
            if !self.goes_on() {
                return Poll::Ready(false);
            }
            self.put_off(self.wait_ns());
        }
        transport.rest();
        Poll::Pending
    }
}

/// What a run of bytes brought.
enum Taken {
    Whole(Asked),
    Part,
    Wrong(wire::Error, Box<Messages>, Option<Vec<u8>>),
}

/// The head that has begun, if it is all there: the usual case, which has no need of a deadline. Else what there is of it.
pub(crate) fn try_head(core: &Rc<Core>, connection: &Connection) -> Result<Head, Vec<u8>> {
    let mut part = Vec::new();
    head_of(connection.transport.try_receive(|received| take(core, received, &mut part))).ok_or(part)
}

/// The head that has begun and of which `part` is there.
pub(crate) async fn read_head(core: &Rc<Core>, connection: &Connection, mut part: Vec<u8>) -> Head {
    let Connection { transport, alarm, .. } = connection;
    let limit_ns = core.snapshot().timeouts.head_ns;
    let begun = core.now();
    alarm.set(begun.mono_ns.saturating_add(limit_ns));
    let reading = async {
        loop {
            let received = transport.receive(|received| take(core, received, &mut part)).await;
            if let Some(head) = head_of(received.map(Some)) {
                return head;
            }
        }
    };
    if let Ok(mut head) = alarm.guard(reading).await {
        head.iter_mut().for_each(|asked| asked.begun = begun);
        return head;
    }
    core.record(&Event::TimeOut { wait: "head" });
    if part.is_empty() {
        return Err(Unasked::Ended);
    }
    Err(Unasked::Refused { status: 408, label: "head_timed_out", messages: core.messages() })
}

/// What came of a receive, once something has.
fn head_of(received: io::Result<Option<Received<Taken>>>) -> Option<Head> {
    match received {
        Ok(Some(Received::Bytes(Taken::Whole(asked)))) => Some(Ok(asked)),
        Ok(Some(Received::Bytes(Taken::Wrong(error, messages, http2)))) => {
            let (status, label) = (error.status(), error.as_str());
            Some(Err(match http2 {
                None => Unasked::Refused { status, label, messages },
                Some(early) => Unasked::Http2 { status, label, messages, early },
            }))
        }
        Ok(Some(Received::End)) | Err(_) => Some(Err(Unasked::Ended)),
        Ok(Some(Received::Bytes(Taken::Part)) | None) => None,
    }
}

/// Looks at received bytes, behind those that came before them. The memory of a request is lent for the moment.
fn take(core: &Rc<Core>, received: &[u8], part: &mut Vec<u8>) -> (usize, Taken) {
    let snapshot = core.snapshot();
    let limits = crate::core::request_limits(&snapshot);
    let mut messages = core.messages();
    let before = part.len();
    let (bytes, decoded) = head::gather(received, part, Vec::new, limits.head_bytes_max, |input| {
        h1::decode_request(input, &limits, snapshot.path_rules, &mut messages.request)
    });
    let taken = match decoded {
        Ok(Some(framing)) => Taken::Whole(Asked { snapshot, messages, framing, begun: core.now() }),
        Ok(None) => {
            core.recycle(messages);
            Taken::Part
        }
        Err(error) => {
            let http2 = (error == wire::Error::UnsupportedVersion).then(|| http2(&part[..before], received));
            Taken::Wrong(error, messages, http2.flatten())
        }
    };
    (bytes, taken)
}

/// All that has come, if that is the beginning of HTTP/2.
#[cold]
fn http2(before: &[u8], received: &[u8]) -> Option<Vec<u8>> {
    let all = [before, received].concat();
    (wire::h2::is_preface(&all) != Some(false)).then_some(all)
}
