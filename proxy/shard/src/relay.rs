//! Moving bodies: from the client to the backend, from the backend to the client. Each step copies once, from the
//! receive queue of one side to the send queue of the other, and waits while the other side is slow, so that a body
//! of any length takes a bounded amount of memory. Each step is whole in itself: dropping the future loses nothing.

use std::cell::{Cell, RefCell};

use policy::cache::{Fate, Keep};
use runtime::Received;
use wire::h1::{BodyDecoder, BodyLength};

use crate::{
    owner::{Fill, Gathering},
    pace::Pace,
    side::Side,
};

/// Above so many unsent bytes the other side is not read. What keeps a connection busy is the kernel's queue: ours only
/// has to be filled again before that one is empty, and costs memory for each receiver that is slow.
pub(crate) const UNSENT_BYTES_HIGH: usize = 32 << 10;

/// Receives in a row before others have their turn.
const STEPS_NOW_MAX: usize = 4;

/// Why a body did not pass whole.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The sender broke the framing.
    Malformed(wire::Error),
    /// The sender went away, or the connection failed.
    SenderGone,
    /// The receiver went away.
    ReceiverGone,
    /// It grew longer than this.
    TooLarge(u64),
    /// There is no memory for it.
    NoRoom,
}

/// A copy for the cache, and the duty to say what became of it.
struct Tap {
    keep: Box<Keep>,
    fill: Fill,
}

/// A body on its way.
pub(crate) struct Relay {
    decoder: RefCell<BodyDecoder>,
    /// Framed anew as chunks, since its length is not known beforehand.
    chunked: bool,
    bytes: Cell<u64>,
    bytes_max: Cell<u64>,
    /// The receiver is waited for, not the sender.
    stalled: Cell<bool>,
    /// The sender has broken off or broken the rules: nobody knows what its next bytes are.
    broken: Cell<bool>,
    tap: RefCell<Option<Box<Tap>>>,
    /// What the cache's copy comes to, while the client has not taken it too.
    gathering: RefCell<Option<Gathering>>,
}

impl Relay {
    /// A body framed in this way, to be sent in chunks or as it is.
    pub(crate) fn new(length: BodyLength, chunked: bool) -> Self {
        let decoder = RefCell::new(BodyDecoder::new(length));
        Self {
            decoder,
            chunked,
            bytes: Cell::new(0),
            bytes_max: Cell::new(u64::MAX),
            stalled: Cell::new(false),
            broken: Cell::new(false),
            tap: RefCell::new(None),
            gathering: RefCell::new(None),
        }
    }

    /// Longer than this is a fault.
    pub(crate) fn limit(&self, bytes_max: u64) {
        self.bytes_max.set(bytes_max);
    }

    /// Lets the cache have a copy of what passes.
    pub(crate) fn tap(&self, keep: Box<Keep>, fill: Fill) {
        *self.gathering.borrow_mut() = Some(fill.gathering());
        *self.tap.borrow_mut() = Some(Box::new(Tap { keep, fill }));
    }

    /// The body has passed as it should: the copy goes to the cache. Without this the right to fetch goes to the next in
    /// line when the relay is dropped.
    pub(crate) fn settle_tap(&self) {
        if let Some(tap) = self.tap.borrow_mut().take() {
            let Tap { keep, fill } = *tap;
            fill.settle(Some(Fate::Keep(keep)));
        }
    }

    /// Above so many unsent bytes the sender is not read. While others wait for a copy, a slow client does not hold them
    /// up: what may be kept may also wait.
    fn unsent_bytes_high(&self, to: Side<'_>) -> usize {
        let kept = self.tap.borrow().as_ref().map_or(0, |tap| tap.keep.body_bytes_max());
        usize::try_from(kept).unwrap_or(usize::MAX).max(to.unsent_bytes_high())
    }

    /// Whether all of it has been read.
    pub(crate) fn is_done(&self) -> bool {
        self.decoder.borrow().is_done()
    }

    /// Whether nothing of it has gone anywhere, not even its end.
    pub(crate) fn is_untouched(&self) -> bool {
        self.bytes() == 0 && !self.is_done() && !self.is_broken()
    }

    /// Whether the receiver keeps it waiting, and not the sender.
    pub(crate) fn is_stalled(&self) -> bool {
        self.stalled.get()
    }

    /// Whether what comes after it can't be told.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.get()
    }

    /// The sender is not waited for any longer.
    pub(crate) fn give_up(&self) {
        self.broken.set(true);
    }

    /// Bytes of the body that have passed.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// Moves what is left. Who is waited for has a deadline that each byte puts off.
    pub(crate) async fn run(&self, from: Side<'_>, to: Side<'_>, pace: &Pace<'_>) -> Result<(), Fault> {
        pace.wait_for_sender(self.bytes());
        while !self.is_done() {
            if self.tap.borrow().is_none() {
                from.spare(to);
            }
            match from.receive(|received, is_last| self.step(received, is_last, (from, to))).await {
                Ok(Received::Bytes(Ok(()))) => {}
                Ok(Received::Bytes(Err(fault))) => return Err(self.fault(fault)),
                Ok(Received::End) => self.end(from, to)?,
                // A failed connection ends no body.
                Err(_) => return Err(self.fault(Fault::SenderGone)),
            }
            self.make_room(to, pace).await?;
            pace.wait_for_sender(self.bytes());
        }
        if self.gathering.borrow().is_some() {
            // Others need not wait for this client; what it has not taken counts as gathered until it has.
            self.settle_tap();
            self.make_room(to, pace).await?;
        } else if !to.sends_by_itself() {
            self.make_room(to, pace).await?;
        }
        pace.end();
        Ok(())
    }

    /// Moves what is there already, while the receiver is not behind; true when that was all of it. A short answer mostly
    /// comes with its head, and need not be waited for.
    pub(crate) fn run_now(&self, from: Side<'_>, to: Side<'_>) -> Result<bool, Fault> {
        for _ in 0..STEPS_NOW_MAX {
            if self.is_done() || to.unsent() >= self.unsent_bytes_high(to) {
                break;
            }
            match from.try_receive(|received, is_last| self.step(received, is_last, (from, to))) {
                Ok(Some(Received::Bytes(Ok(())))) => {}
                Ok(Some(Received::Bytes(Err(fault)))) => return Err(self.fault(fault)),
                Ok(Some(Received::End)) => self.end(from, to)?,
                Ok(None) => break,
                Err(_) => return Err(self.fault(Fault::SenderGone)),
            }
        }
        Ok(self.is_done())
    }

    /// Waits while the receiver is behind. It need not catch up in time, but must take something.
    async fn make_room(&self, to: Side<'_>, pace: &Pace<'_>) -> Result<(), Fault> {
        self.stalled.set(true);
        while to.unsent() >= self.unsent_bytes_high(to) {
            pace.wait_for_receiver(self.bytes().saturating_sub(to.unsent() as u64));
            to.sent_below(to.unsent()).await.map_err(|_| Fault::ReceiverGone)?;
        }
        // Ready at once, but for a receiver that has gone.
        to.sent_below(usize::MAX).await.map_err(|_| Fault::ReceiverGone)?;
        self.stalled.set(false);
        Ok(())
    }

    /// The sender's fault: from here on its bytes mean nothing.
    fn fault(&self, fault: Fault) -> Fault {
        self.broken.set(true);
        fault
    }

    /// Reads what is left and throws it away, up to a number of bytes; true when the end was reached.
    pub(crate) async fn discard(&self, from: Side<'_>, bytes_max: usize) -> bool {
        let mut bytes = 0;
        while !self.is_done() && bytes <= bytes_max {
            let received = from.receive(|received, _| {
                let (consumed, ok) = self.skip(received);
                (consumed, ok.then_some(consumed))
            });
            match received.await {
                Ok(Received::Bytes(Some(consumed))) => bytes += consumed,
                Ok(Received::Bytes(None) | Received::End) | Err(_) => return false,
            }
        }
        self.is_done()
    }

    /// Reads all that is left for the cache alone; true when it came to its end and the cache still wants it.
    pub(crate) async fn gather(&self, from: Side<'_>) -> bool {
        while !self.is_done() && self.tap.borrow().is_some() {
            match from.receive(|received, _| self.skip(received)).await {
                Ok(Received::Bytes(true)) => {}
                Ok(Received::End) => return self.decoder.borrow_mut().at_eof().is_ok(),
                Ok(Received::Bytes(false)) | Err(_) => return false,
            }
        }
        self.is_done()
    }

    /// Reads all that is left for `take`, which says whether it has room for what it gets. Who sends has a deadline that each
    /// byte puts off.
    pub(crate) async fn take_in(
        &self,
        from: Side<'_>,
        pace: &Pace<'_>,
        take: &mut impl FnMut(&[u8]) -> bool,
    ) -> Result<(), Fault> {
        pace.wait_for_sender(self.bytes());
        while !self.is_done() {
            let received = from.receive(|received, is_last| {
                self.decode(received, is_last, |data, _| if take(data) { Ok(()) } else { Err(Fault::NoRoom) })
            });
            match received.await {
                Ok(Received::Bytes(Ok(_))) => {}
                Ok(Received::Bytes(Err(fault))) => return Err(self.fault(fault)),
                Ok(Received::End) => {
                    let ended = self.decoder.borrow_mut().at_eof();
                    ended.map_err(|_| self.fault(Fault::SenderGone))?;
                }
                // A failed connection ends no body.
                Err(_) => return Err(self.fault(Fault::SenderGone)),
            }
            pace.wait_for_sender(self.bytes());
        }
        pace.end();
        Ok(())
    }

    /// Takes what of these bytes belongs to the body from the sender and gives it to nobody but the cache.
    fn skip(&self, received: &[u8]) -> (usize, bool) {
        let mut decoder = self.decoder.borrow_mut();
        let mut taken = 0;
        while taken < received.len() {
            let Ok(piece) = decoder.decode(&received[taken..]) else { return (received.len(), false) };
            taken += piece.consumed;
            self.copy(piece.data);
            if piece.done || piece.consumed == 0 {
                break;
            }
        }
        (taken, true)
    }

    /// Moves what of these bytes belongs to the body; says how many do. `is_last`: nothing comes behind them.
    fn step(
        &self,
        received: &[u8],
        is_last: bool,
        (from, to): (Side<'_>, Side<'_>),
    ) -> (usize, Result<(), Fault>) {
        // What others wait for is not held up by what this client has room for.
        let room = if self.tap.borrow().is_some() { received.len() } else { to.room(received.len(), from) };
        let (received, is_last) = (&received[..room], is_last && room == received.len());
        let (taken, done) = self.decode(received, is_last, |data, done| {
            self.copy(data);
            to.pass(data, self.chunked, done);
            Ok(())
        });
        let done = done.map(|done| {
            if done {
                to.end(self.chunked);
            }
        });
        (taken, done)
    }

    /// Hands on what of these bytes belongs to the body, with the word whether it ends; says how many do, and whether it has
    /// ended. `is_last`: nothing comes behind them.
    #[inline(always)]
    fn decode(
        &self,
        received: &[u8],
        is_last: bool,
        mut pass: impl FnMut(&[u8], bool) -> Result<(), Fault>,
    ) -> (usize, Result<bool, Fault>) {
        let mut decoder = self.decoder.borrow_mut();
        let mut taken = 0;
        loop {
            let piece = match decoder.decode(&received[taken..]) {
                Ok(piece) => piece,
                Err(error) => return (received.len(), Err(Fault::Malformed(error))),
            };
            taken += piece.consumed;
            // Where the protocol below frames a body, its decoder takes all for data and is told of the end.
            let done = piece.done || is_last && taken == received.len() && decoder.at_eof().is_ok();
            if !piece.data.is_empty() {
                let bytes = self.bytes.get() + piece.data.len() as u64;
                if bytes > self.bytes_max.get() {
                    return (received.len(), Err(Fault::TooLarge(self.bytes_max.get())));
                }
                self.bytes.set(bytes);
                if let Err(fault) = pass(piece.data, done) {
                    return (received.len(), Err(fault));
                }
            }
            if done || piece.consumed == 0 || taken == received.len() {
                return (taken, Ok(done));
            }
        }
    }

    /// Lets the cache have its copy.
    fn copy(&self, data: &[u8]) {
        let mut tap = self.tap.borrow_mut();
        // What is gathered could be as large as bodies may be, times those that are fetched at once. When it may not, a client
        // that does not read is waited for from then on.
        let mut gathering = self.gathering.borrow_mut();
        let is_short =
            tap.is_some() && gathering.as_mut().is_some_and(|gathering| !gathering.may_grow(data.len()));
        if tap.as_mut().is_some_and(|tap| is_short || !tap.keep.push(data))
            && let Some(tap) = tap.take()
        {
            let Tap { keep, fill } = *tap;
            // Those who wait for it need not wait to its end.
            fill.settle(Some(Fate::Decline { ticket: keep.into_ticket(), lasting: !is_short }));
        }
    }

    /// The sender's end: right for a body that ends with the connection or is framed by the protocol below, a cut for all
    /// others.
    fn end(&self, from: Side<'_>, to: Side<'_>) -> Result<(), Fault> {
        let ended = self.decoder.borrow_mut().at_eof();
        ended.map_err(|_| self.fault(Fault::SenderGone))?;
        to.end_after(from, self.chunked).map_err(|_| self.fault(Fault::SenderGone))
    }
}
