//! Bodies as a whole: what a mapping, a validator or a compressor wants to see is read to its end into memory before it
//! goes on. How much of that a core holds at once is bounded, and counts until the answer is with its client. It does not
//! know who wants it, nor why.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use message::{Body, Headers, Length, Reason, Response, Room};
use telemetry::Event;
use wire::h1::ResponseKind;

use crate::{
    backend::{Caller, Live, is_clients},
    client::Client,
    core::Core,
    pace::{Bounds, Deadlines, Pace, Terms, Way},
    pressure::Level,
    race::{First, race},
    relay::{Fault, Relay},
};

/// Whole bodies of all requests on a core: a dozen of the longest that AWS has (10 MB, row 174), or a few thousand of the
/// usual ones. Above it requests that want more are refused.
pub(crate) const WHOLE_BYTES_CORE_MAX: usize = 128 << 20;

/// The same while memory is short.
pub(crate) const WHOLE_BYTES_SHORT_MAX: usize = 16 << 20;

/// When so much of a body has come, room for all that was announced is made: what only says that it is long costs no more.
const BELIEVED_BYTES: usize = 64 << 10;

/// What one request holds of bodies, its own and its response's.
pub(crate) struct Held<'a> {
    core: &'a Core,
    bytes: Cell<usize>,
}

impl<'a> Held<'a> {
    /// Nothing.
    pub(crate) fn new(core: &'a Core) -> Self {
        Self { core, bytes: Cell::new(0) }
    }

    /// Whether it holds any.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.get() == 0
    }

    /// Holds so many more, if they may be.
    #[must_use]
    pub(crate) fn grow(&self, bytes: usize) -> bool {
        let Self { core, bytes: own } = self;
        let bytes_max = match core.pressure.get() {
            Level::Enough => WHOLE_BYTES_CORE_MAX,
            Level::Trim | Level::Shut => WHOLE_BYTES_SHORT_MAX,
            Level::Refuse => 0,
        };
        let all = core.whole_bytes.get().saturating_add(bytes);
        if all > bytes_max {
            return false;
        }
        core.whole_bytes.set(all);
        own.set(own.get() + bytes);
        true
    }

    /// So many of them are free again.
    pub(crate) fn shrink(&self, bytes: usize) {
        let Self { core, bytes: own } = self;
        let bytes = bytes.min(own.get());
        own.set(own.get() - bytes);
        core.whole_bytes.set(core.whole_bytes.get() - bytes);
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.shrink(self.bytes.get());
    }
}

/// A body on its way into memory.
struct Gathered<'a> {
    held: &'a Held<'a>,
    room: RefCell<Room>,
    /// What was announced; 0 where nothing was.
    announced: usize,
}

impl<'a> Gathered<'a> {
    fn new(held: &'a Held<'a>, length: Length) -> Self {
        let announced = match length {
            Length::Known(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX),
            Length::Unknown => 0,
        };
        Self { held, room: RefCell::default(), announced }
    }

    /// Adds what has come; false when there is no room for it.
    fn push(&self, data: &[u8]) -> bool {
        if !self.held.grow(data.len()) {
            return false;
        }
        let room = &mut *self.room.borrow_mut();
        let needed = room.bytes().len() + data.len();
        if needed > room.capacity() {
            let wanted = match self.announced {
                announced if announced < needed => needed.max(2 * room.capacity()),
                announced if needed < BELIEVED_BYTES => BELIEVED_BYTES.min(announced),
                announced => announced,
            };
            let bodies = &mut self.held.core.spare.borrow_mut().integrations.bodies;
            let mut larger = bodies.room(wanted);
            larger.push(room.bytes());
            bodies.give_up(std::mem::replace(room, larger));
        }
        room.push(data);
        true
    }

    fn finish(self) -> Bytes {
        self.held.core.spare.borrow_mut().integrations.bodies.finish(self.room.into_inner())
    }
}

/// Reads a client's body to its end; asks for it, where the client waits for that.
pub(crate) async fn gather_request(
    core: &Core,
    (client, upload): (Client<'_>, &Relay),
    (idle_ns, rate): (u64, snapshot::Rate),
    length: Length,
    held: &Held<'_>,
) -> Result<Bytes, Reason> {
    let bounds = Bounds::until(u64::MAX);
    let deadlines = Deadlines::new(&core.handle, client.alarm(), &bounds);
    let sender = Terms { idle_ns, rate };
    let pace = Pace::new(&deadlines, Way::Up, sender, sender);
    let gathered = Gathered::new(held, length);
    let taken = {
        let mut take = |data: &[u8]| gathered.push(data);
        let mut taking = pin!(upload.take_in(client.side(), &pace, &mut take));
        let taking = poll_fn(|cx| match taking.as_mut().poll(cx) {
            Poll::Pending => client.poll_given_up(cx).map(|()| Err(Fault::SenderGone)),
            polled => polled,
        });
        client.alarm().guard(taking).await
    };
    match taken {
        Ok(Ok(())) => Ok(gathered.finish()),
        Ok(Err(fault)) => Err(core.client_fault(fault)),
        Err(_) => {
            upload.give_up();
            core.record(&Event::TimeOut { wait: "request_body" });
            Err(Reason::BodyTimedOut)
        }
    }
}

impl Caller<'_> {
    /// Reads the body of a response to its end, if there is one to come; the backend's connection is free then.
    pub(crate) async fn gather(
        &self,
        live: &Cell<Option<Box<Live>>>,
        response: &mut Response,
        bytes_max: u64,
        held: &Held<'_>,
    ) -> Result<(), Reason> {
        let Body::Stream(length) = response.body else { return Ok(()) };
        let Some(answer) = live.take() else { return Err(Reason::Internal) };
        if answer.framing.kind == ResponseKind::SwitchingProtocols {
            live.set(Some(answer));
            return Ok(());
        }
        let gathered = Gathered::new(held, length);
        self.core.handle.pooled(|| self.take_in(answer, bytes_max, &gathered)).await?;
        response.body = Body::Whole(gathered.finish());
        Ok(())
    }

    async fn take_in(
        &self,
        mut live: Box<Live>,
        bytes_max: u64,
        gathered: &Gathered<'_>,
    ) -> Result<(), Reason> {
        let Self { core, snapshot, alarm, .. } = *self;
        let timeouts = &snapshot.timeouts;
        let upstream = snapshot.upstream(live.slot);
        let backend =
            Terms::idle(upstream.map_or(timeouts.body_idle_ns, |upstream| upstream.idle_timeout_ns));
        let relay = Relay::new(live.decoded_as(), false);
        relay.limit(bytes_max);
        let deadlines = Deadlines::new(&core.handle, alarm, &live.bounds);
        let ended = {
            let pace = Pace::new(&deadlines, Way::Down, backend, backend);
            let mut take = |data: &[u8]| gathered.push(data);
            let taking = async {
                let mut down = pin!(relay.take_in(live.side(), &pace, &mut take));
                let Some((upload, client)) = self.unsent_body().zip(self.client) else { return down.await };
                // The answer has come before the request was sent to its end, and may want it all the same.
                let sender = Terms { idle_ns: timeouts.body_idle_ns, rate: timeouts.request_rate };
                let upload_pace = Pace::new(&deadlines, Way::Up, sender, backend);
                let mut up = pin!(upload.run(client.side(), live.side(), &upload_pace));
                match race(down.as_mut(), up.as_mut()).await {
                    First::Left(taken) => taken,
                    First::Right(_) => {
                        upload_pace.end();
                        down.await
                    }
                }
            };
            let mut taking = pin!(taking);
            let guarded = alarm.guard(poll_fn(|cx| match taking.as_mut().poll(cx) {
                Poll::Pending if self.has_left(cx) => Poll::Ready(Err(Fault::ReceiverGone)),
                polled => polled,
            }));
            guarded.await
        };
        let (fault, reason) = match ended {
            Ok(Ok(())) => {
                core.release(live, snapshot, self.unsent_body().is_none());
                return Ok(());
            }
            Ok(Err(fault)) => {
                let reason = match &fault {
                    Fault::Malformed(_) => Reason::BackendMalformed,
                    Fault::SenderGone => Reason::BackendFailed,
                    Fault::ReceiverGone => Reason::ClientGone,
                    Fault::TooLarge(max) => Reason::ResponseTooLarge { max: *max },
                    Fault::NoRoom => Reason::Overloaded,
                };
                (fault, reason)
            }
            Err(_) if deadlines.has_passed(Way::Up) => {
                self.unsent_body().into_iter().for_each(Relay::give_up);
                core.record(&Event::TimeOut { wait: "request_body" });
                (Fault::ReceiverGone, Reason::BodyTimedOut)
            }
            Err(_) => (Fault::SenderGone, self.late(&live.bounds)),
        };
        if !is_clients(&reason) {
            core.learn_body_fault(&mut live, &fault);
        }
        Err(reason)
    }

    /// Whether the client has left, so far as that can be told while its own body may be on its way.
    fn has_left(&self, cx: &mut Context<'_>) -> bool {
        let Some(client) = self.client else { return false };
        let left = if self.unsent_body().is_some() { client.poll_given_up(cx) } else { client.poll_gone(cx) };
        left.is_ready()
    }
}

/// Has a client say that it goes on with its body, if it waits for that.
pub(crate) fn ask_for_body(client: Client<'_>, expects_continue: &Cell<bool>) {
    if expects_continue.replace(false) {
        client.interim(100, &Headers::default());
    }
}
