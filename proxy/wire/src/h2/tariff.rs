//! The tariff of [`Oddities`], which has the table: what a peer's frames cost it and what lies free. Told frame by frame by
//! the engine; holds nothing of frames.

use super::Code;
use super::oddities::{ODDITIES_HARD, Oddities};

/// Most CONTINUATION frames of a header block.
const CONTINUATIONS_MAX: u32 = 16;

/// A frame of a header block that is shorter, and not its last, was cut so for no good.
const BLOCK_PART_BYTES_MIN: u32 = 1024;

/// A window that an update leaves smaller makes us send crumbs.
const WINDOW_BYTES_MIN: i64 = 256;

const SETTINGS_POINTS: u32 = 5;
const PING_POINTS: u32 = 4;
const GOAWAY_POINTS: u32 = 5;
const EXTRA_POINTS: u32 = 2;
const EARLY_RESET_POINTS: u32 = 4;
const RESET_POINTS: u32 = 1;
const LATE_RESET_POINTS: u32 = 6;
const EMPTY_DATA_POINTS: u32 = 3;
const UPDATE_POINTS: u32 = 2;
const DRIP_POINTS: u32 = 3;
const BLOCK_PART_POINTS: u32 = 2;
/// Of a block that has more bytes than a head may, so many cost a point.
const BLOCK_BYTES_PER_POINT: u32 = 8 * 1024;
const FAULT_POINTS: u32 = 4;
const REFUSED_POINTS: u32 = 2;
/// The same of who has acknowledged how many there may be (RFC 9113 §5.1.2), on top: a hundred of them, as nginx lets pass.
const KNOWN_LIMIT_POINTS: u32 = 8;
/// For a head that was read and is refused: our answer to it ends the stream, which forgives some.
pub(super) const BAD_HEAD_POINTS: u32 = 4;
/// The same for one that is too long, which may be of six frames.
pub(super) const LONG_HEAD_POINTS: u32 = 8;

const STREAM_FORGIVES: u32 = 2;
/// Bytes of bodies that forgive a point.
const BYTES_FORGIVE: u32 = 16 * 1024;

/// Frames that are free of charge, of one sort: so many at first, at most so many.
#[derive(Clone, Copy, Debug)]
struct Free {
    left: u32,
    max: u32,
}

const EXTRAS: Free = Free { left: 20, max: 200 };
const EXTRAS_PER_STREAM: u32 = 3;
const UPDATES: Free = Free { left: 16, max: 400 };
const UPDATES_PER_STREAM: u32 = 2;
const UPDATES_PER_DATA: u32 = 2;
const UPDATES_PER_KIB: u32 = 1;
const CRUMBS_MAX: u32 = 400;
/// Of the stream and of the connection.
const UPDATES_PER_CRUMB: u32 = 2;

impl Free {
    fn add(&mut self, more: u32) {
        self.left = self.left.saturating_add(more).min(self.max);
    }

    /// Takes one, if there is one.
    fn take(&mut self) -> bool {
        let has = self.left > 0;
        self.left -= u32::from(has);
        has
    }
}

/// What was reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reset {
    /// A stream on which we had sent no head.
    Early,
    Answered,
    /// One that had ended.
    Late,
}

/// What a connection's peer has to its account.
#[derive(Debug)]
pub(super) struct Tariff {
    oddities: Oddities,
    extras: Free,
    updates: Free,
    /// Credit for DATA of ours that was short: no drip, if it comes from a backend. What is left of its window goes out at once, and
    /// one that gives credit for each frame hands crumbs back. A client could make us send crumbs by nothing else.
    crumbs: Free,
    has_settings: bool,
    has_goaway: bool,
    /// We have sent DATA or HEADERS since the last ping.
    has_spoken: bool,
    /// Pings of ours that may be answered.
    pings: u32,
    /// Bytes of bodies that have forgiven nothing yet.
    moved_bytes: u32,
}

impl Tariff {
    /// `is_backend`: the peer is whom we call.
    pub(super) fn new(oddities: Oddities, is_backend: bool) -> Self {
        Self {
            oddities,
            extras: EXTRAS,
            updates: UPDATES,
            crumbs: Free { left: 0, max: if is_backend { CRUMBS_MAX } else { 0 } },
            has_settings: false,
            has_goaway: false,
            has_spoken: false,
            pings: 0,
            moved_bytes: 0,
        }
    }

    pub(super) fn oddities(&self) -> &Oddities {
        &self.oddities
    }

    /// Settings have come. The first are free.
    pub(super) fn settings(&mut self) {
        let is_first = !std::mem::replace(&mut self.has_settings, true);
        self.oddities.add(if is_first { 0 } else { SETTINGS_POINTS });
    }

    /// A `GOAWAY` has come.
    pub(super) fn goaway(&mut self) {
        let is_first = !std::mem::replace(&mut self.has_goaway, true);
        self.oddities.add(if is_first { 0 } else { GOAWAY_POINTS });
    }

    /// We have sent a ping, which may be answered.
    pub(super) fn pinged(&mut self) {
        self.pings += 1;
    }

    /// A ping, or the answer to one, has come.
    pub(super) fn ping(&mut self, is_ack: bool) {
        let is_answer = is_ack && self.pings > 0;
        self.pings -= u32::from(is_answer);
        if !is_answer && !std::mem::take(&mut self.has_spoken) {
            self.oddities.add(PING_POINTS);
        }
    }

    /// A frame that does nothing.
    pub(super) fn extra(&mut self) {
        if !self.extras.take() {
            self.oddities.add(EXTRA_POINTS);
        }
    }

    /// The peer has made a window wider, which is so wide now, if it is one that is open.
    pub(super) fn update(&mut self, bytes: u32, window: Option<i64>) {
        let is_small = window.is_some_and(|window| window < WINDOW_BYTES_MIN);
        if bytes == 0 || is_small && !self.crumbs.take() {
            self.oddities.add(DRIP_POINTS);
        } else if !self.updates.take() {
            self.oddities.add(UPDATE_POINTS);
        }
    }

    /// The peer has reset a stream.
    pub(super) fn reset(&mut self, what: Reset) {
        self.oddities.add(match what {
            Reset::Early => EARLY_RESET_POINTS,
            Reset::Answered => RESET_POINTS,
            Reset::Late => LATE_RESET_POINTS,
        });
    }

    /// A stream was reset before it was answered, with good reason.
    pub(super) fn excuse(&self) {
        self.oddities.forgive(EARLY_RESET_POINTS);
    }

    /// DATA without data that does not end its stream.
    pub(super) fn empty_data(&mut self) {
        self.oddities.add(EMPTY_DATA_POINTS);
    }

    /// A frame of a header block has begun: its bytes, whether it is the block's last, the CONTINUATION frames up to it, and
    /// whether the block has more bytes with it than a head may have. False: it is to be read no further.
    pub(super) fn block_part(
        &mut self,
        bytes: u32,
        is_last: bool,
        continuations: u32,
        is_unusual: bool,
    ) -> bool {
        if !is_last && bytes < BLOCK_PART_BYTES_MIN {
            self.oddities.add(BLOCK_PART_POINTS);
        }
        if is_unusual {
            self.oddities.add(bytes.div_ceil(BLOCK_BYTES_PER_POINT));
        }
        let is_bounded = continuations <= CONTINUATIONS_MAX;
        if !is_bounded {
            self.oddities.add(ODDITIES_HARD);
        }
        is_bounded
    }

    /// A stream begins, for which a peer may send this and that.
    pub(super) fn opened(&mut self) {
        self.extras.add(EXTRAS_PER_STREAM);
        self.updates.add(UPDATES_PER_STREAM);
    }

    /// A stream has come to its end: what was asked for was done.
    pub(super) fn done(&mut self) {
        self.oddities.forgive(STREAM_FORGIVES);
    }

    /// A fault of the peer's, for which a stream is reset.
    pub(super) fn fault(&mut self, code: Code) {
        self.oddities.add(if code == Code::RefusedStream { REFUSED_POINTS } else { FAULT_POINTS });
    }

    /// One stream more than there may be, of a peer that knows how many.
    pub(super) fn beyond_known_limit(&mut self) {
        self.oddities.add(KNOWN_LIMIT_POINTS);
    }

    /// More than a connection may make us hold.
    pub(super) fn too_much(&mut self) {
        self.oddities.add(ODDITIES_HARD);
    }

    /// We have sent a head.
    pub(super) fn spoke(&mut self) {
        self.has_spoken = true;
    }

    /// We have sent so many bytes of a body.
    pub(super) fn sent(&mut self, bytes: u32) {
        self.has_spoken = true;
        self.updates.add(UPDATES_PER_DATA + bytes / 1024 * UPDATES_PER_KIB);
        if i64::from(bytes) < WINDOW_BYTES_MIN {
            self.crumbs.add(UPDATES_PER_CRUMB);
        }
        self.moved(bytes as usize);
    }

    /// Bytes of a body were received and taken, or sent: work that was of use.
    pub(super) fn moved(&mut self, bytes: usize) {
        self.moved_bytes = self.moved_bytes.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        if self.moved_bytes >= BYTES_FORGIVE {
            self.oddities.forgive(self.moved_bytes / BYTES_FORGIVE);
            self.moved_bytes %= BYTES_FORGIVE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The points of a peer that hands back, in a window that stays small, what we have sent in frames of so many bytes.
    fn points_of(is_backend: bool, sent_bytes: u32, rounds: u32) -> u32 {
        let mut tariff = Tariff::new(Oddities::default(), is_backend);
        for _ in 0..rounds {
            tariff.sent(sent_bytes);
            // On the stream and on the connection.
            tariff.update(sent_bytes, Some(i64::from(sent_bytes)));
            tariff.update(sent_bytes, Some(i64::from(sent_bytes)));
        }
        tariff.oddities().points()
    }

    #[test]
    fn credit_for_our_crumbs_is_no_drip_of_a_backend() {
        let drip = 10;
        assert_eq!(points_of(true, drip, 1_000), 0);
        assert!(points_of(false, drip, 1_000) >= ODDITIES_HARD);
    }

    #[test]
    fn a_backend_that_drips_by_itself_is_let_go() {
        let mut tariff = Tariff::new(Oddities::default(), true);
        (0..1_000).for_each(|_| tariff.update(1, Some(1)));
        assert!(tariff.oddities().is_hard());
    }
}
