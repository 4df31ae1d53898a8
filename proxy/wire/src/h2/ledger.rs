//! How much a connection holds of heads: those of requests that are being served, those that wait to be, and trailers that wait
//! to be read. They are far more than they cost the peer: a head in HPACK is a few bytes. A request costs what it costs and
//! there are no more of them than streams; what its head has beyond [`REQUEST_HEAD_BYTES`] is counted here against what its
//! connection has sent.

use std::rc::Rc;

use super::engine::{Engine, Shared};

/// Bytes of a head that are part of what any request in flight costs: those of a browser without its cookies.
pub(super) const REQUEST_HEAD_BYTES: usize = 2 * 1024;

/// Beyond them so many may be there however little was received: the cookies of a browser, which HPACK makes short, on
/// the first streams of its connection. More wait for those to be answered.
const HEADS_FREE_BYTES: usize = 48 * 1024;

/// And so many for each byte that was ever received: with all else that it makes us hold they stay below ten (row H3).
const HEAD_BYTES_PER_BYTE: u64 = 8;

/// Never more than this: with a hundred requests at [`REQUEST_HEAD_BYTES`] it is what 75 take that are as long as an API on AWS
/// takes them (10,240 bytes, row 176). With all else that a connection may hold it stays below 4 MiB (row H3; `tests/held`
/// counts).
pub(super) const HEADS_BYTES_MAX: usize = 576 * 1024;

/// Bytes of trailers that came and that nobody has taken yet, however little was received: they lie until the one who reads the
/// body comes to them.
const TRAILERS_FREE_BYTES: usize = 16 * 1024;
/// And so many for each byte that was, up to [`TRAILERS_BYTES_MAX`].
const TRAILER_BYTES_PER_BYTE: u64 = 2;
const TRAILERS_BYTES_MAX: usize = 128 * 1024;

/// Bytes that backends of HTTP/2 may send ahead for all streams of a client, beyond what any call begins with: however little
/// it has taken of answers, [`LOANS_BYTES_MAX`] at most, and a byte for each that it has.
const LOANS_FREE_BYTES: usize = 64 * 1024;
const LOANS_BYTES_MAX: usize = 512 * 1024;

/// What a call's backend may send ahead for a client, beyond what any call begins with; given back when this is dropped. It
/// wakes nobody, so that it may be used while the backend's connection is.
pub struct Loan {
    shared: Rc<Shared>,
    bytes: usize,
}

impl Loan {
    pub(super) fn new(shared: &Rc<Shared>) -> Self {
        Self { shared: Rc::clone(shared), bytes: 0 }
    }

    /// Asks for `want` bytes, of which `used` can't be taken back; how many there are. Each stream may have its share of what its
    /// connection may.
    pub(super) fn ask(&mut self, want: usize, used: usize) -> usize {
        let had = self.bytes;
        self.bytes = self.shared.work(|engine| {
            let taken = usize::try_from(engine.sent_bytes).unwrap_or(usize::MAX);
            let max = taken.saturating_add(LOANS_FREE_BYTES).min(LOANS_BYTES_MAX);
            let others = engine.lent_bytes.saturating_sub(had);
            let share = max / engine.streams.open().max(1);
            let has = want.min(share).min(max.saturating_sub(others)).max(used.min(had));
            engine.lent_bytes = others + has;
            has
        });
        self.bytes
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.shared.work(|engine| engine.lent_bytes = engine.lent_bytes.saturating_sub(self.bytes));
        }
    }
}

/// A head that is held, until this is dropped.
pub(super) struct HeldHead {
    shared: Rc<Shared>,
    bytes: usize,
}

impl HeldHead {
    /// Counts what a head of so many bytes has beyond what any request costs, if that is something.
    pub(super) fn new(shared: &Rc<Shared>, bytes: usize) -> Option<Self> {
        let bytes = bytes.checked_sub(REQUEST_HEAD_BYTES).filter(|bytes| *bytes > 0)?;
        shared.with(|engine| engine.heads_bytes += bytes);
        Some(Self { shared: Rc::clone(shared), bytes })
    }

    /// Whether all that is held with it is more than may be.
    pub(super) fn is_too_much(&self) -> bool {
        self.shared.with(|engine| !engine.may_hold(0))
    }
}

impl Drop for HeldHead {
    fn drop(&mut self) {
        self.shared.with(|engine| {
            engine.heads_bytes = engine.heads_bytes.saturating_sub(self.bytes);
            if engine.has_waiting() {
                engine.stir();
            }
        });
    }
}

impl Engine {
    /// Whether so many more bytes of heads may be held beside those that are.
    pub(super) fn may_hold(&self, bytes: usize) -> bool {
        let max = self.earned(HEADS_FREE_BYTES, HEAD_BYTES_PER_BYTE).min(HEADS_BYTES_MAX);
        self.heads_bytes.saturating_add(bytes) <= max
    }

    /// Whether the trailers that are held are too many.
    pub(super) fn holds_too_many_trailers(&self) -> bool {
        let max = self.earned(TRAILERS_FREE_BYTES, TRAILER_BYTES_PER_BYTE);
        self.trailer_bytes > max.min(TRAILERS_BYTES_MAX)
    }

    fn earned(&self, free: usize, per_byte: u64) -> usize {
        let earned = self.received_bytes.saturating_mul(per_byte);
        free.saturating_add(usize::try_from(earned).unwrap_or(usize::MAX))
    }
}
