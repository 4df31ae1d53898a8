//! How much a connection holds of heads: those of requests that are being served, and trailers that wait to be read. They are
//! far more than they cost the peer: a head in HPACK is a few bytes.

use std::rc::Rc;

use super::engine::Shared;

/// Bytes of heads being served: those of a hundred streams with 7 KiB each, or of 75 with as much as an API on AWS takes in
/// (10,240 bytes, row 176). One more is refused. With all else that a connection may hold it stays below 4 MiB (row H3;
/// `tests/held` counts).
pub(super) const HEADS_BYTES_MAX: usize = 768 * 1024;

/// As many may be there however little was received: a hundred streams with 4 KiB of cookies each. With HPACK a client may
/// name a head of 64 KiB in 30 bytes, on each of its streams (CVE-2026-49975).
const HEADS_FREE_BYTES: usize = 448 * 1024;

/// Above, so many for each byte that was ever received.
const HEAD_BYTES_PER_BYTE: u64 = 4;

/// Bytes of trailers that came and that nobody has taken yet: they lie until the one who reads the body comes to them.
pub(super) const TRAILER_BYTES_MAX: usize = 128 * 1024;

/// What a field costs besides its name and value.
const FIELD_BYTES: usize = 32;

/// A head that is held, until this is dropped.
pub(super) struct HeldHead {
    shared: Rc<Shared>,
    bytes: usize,
}

impl HeldHead {
    /// Counts a head of so many fields and bytes; `None` if that would be more than may be held.
    pub(super) fn new(shared: &Rc<Shared>, fields: usize, bytes: usize) -> Option<Self> {
        let bytes = bytes.saturating_add(fields.saturating_mul(FIELD_BYTES));
        let heads = shared.heads_bytes.get().saturating_add(bytes);
        let earned = shared.with(|engine| engine.received_bytes).saturating_mul(HEAD_BYTES_PER_BYTE);
        let max = HEADS_FREE_BYTES.saturating_add(usize::try_from(earned).unwrap_or(usize::MAX));
        (heads <= max.min(HEADS_BYTES_MAX)).then(|| {
            shared.heads_bytes.set(heads);
            Self { shared: Rc::clone(shared), bytes }
        })
    }
}

impl Drop for HeldHead {
    fn drop(&mut self) {
        let heads = &self.shared.heads_bytes;
        heads.set(heads.get().saturating_sub(self.bytes));
    }
}
