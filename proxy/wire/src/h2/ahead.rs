//! What a backend may send ahead of whoever reads its answer. A call begins with little, since a hundred of one client may stand
//! still; from there its window grows with what its reader takes, as TCP's does, and within what the client has earned
//! ([`Loan`]). Backends whose answers are longer are told so with the call: an ordinary answer comes in one flight. Their
//! connection is credited for what has come and not for what was taken, so that who stands still holds up nobody else.

use super::Loan;
use super::engine::{Engine, Role};
use super::frames::kind;
use super::streams::IDLE_SLOTS_MAX;

/// Bytes that a stream may have ahead of its reader, however much that one takes: what fills 10 Gbit/s at a round trip of 0.2 ms.
const AHEAD_BYTES_MAX: usize = 256 * 1024;

/// The longest answer that a call expects. A longer one has grown its window by then.
const EXPECTED_BYTES_MAX: u32 = 64 * 1024;

/// What the first calls on a connection expect.
pub(super) const EXPECTED_BYTES_FIRST: u32 = 16 * 1024;

/// Of what is expected so much is forgotten with each answer that is shorter.
const FORGOTTEN_PART: u32 = 8;

/// A window is widened when this part of it is used up: not for each run of bytes.
const USED_PART: usize = 4;

impl Engine {
    fn initial_bytes(&self) -> usize {
        self.settings().stream_window_bytes as usize
    }

    /// A call was made: its backend gets what answers are likely to have.
    pub(super) fn begin_ahead(&mut self, key: u32, loan: Option<Loan>) {
        let at = key as usize;
        if loan.is_some() || at < self.loans.len() {
            if self.loans.len() <= at {
                self.loans.resize_with(at + 1, || None);
            }
            self.loans[at] = loan;
        }
        let (initial, expected) = (self.initial_bytes(), self.expected_bytes as usize);
        if expected > initial {
            self.widen(key, initial, expected);
        }
    }

    /// A call is over.
    pub(super) fn end_ahead(&mut self, key: u32) {
        if let Some(loan) = self.loans.get_mut(key as usize) {
            *loan = None;
        }
        if self.streams.len() == 1 && self.loans.len() > IDLE_SLOTS_MAX {
            // It was the last, and an idle connection holds little.
            self.loans = Vec::new();
        }
    }

    /// An answer has ended: the next may be as long.
    pub(super) fn expect(&mut self, answer_bytes: usize) {
        let bytes = u32::try_from(answer_bytes).unwrap_or(u32::MAX).min(EXPECTED_BYTES_MAX);
        self.expected_bytes = bytes.max(self.expected_bytes - self.expected_bytes / FORGOTTEN_PART);
    }

    /// Bytes of a body were taken by its reader.
    pub(super) fn took(&mut self, key: u32, bytes: usize) {
        if self.role == Role::Server {
            return self.give_back(Some(key), bytes);
        }
        let initial = self.initial_bytes();
        // Until the backend has acknowledged ours we reckon with more than it does.
        let unsaid = (initial as i64 - self.peers_initial_window).min(0);
        let stream = self.streams.at(key);
        stream.read_bytes = stream.read_bytes.saturating_add(bytes as u32);
        if stream.peer_ended || stream.end.is_some() {
            return;
        }
        let (window, unread) = (stream.peers_window + unsaid, stream.body.bytes().len());
        let ahead = usize::try_from(window).unwrap_or(0) + unread;
        let mut want = (stream.read_bytes as usize).saturating_mul(2).clamp(initial, AHEAD_BYTES_MAX);
        if let Some(left) = stream.length_left {
            // No more will come.
            want = want.min(usize::try_from(left).unwrap_or(usize::MAX).saturating_add(unread));
        }
        if ahead < want && ahead <= want - want / USED_PART {
            self.widen(key, ahead, want);
        }
    }

    /// Lets a backend that is or may be so many bytes `ahead` of its reader be as many as these, if its client has them and that
    /// is worth a frame.
    fn widen(&mut self, key: u32, ahead: usize, want: usize) {
        let initial = self.initial_bytes();
        let allowed = match self.loans.get_mut(key as usize) {
            Some(Some(loan)) => {
                initial + loan.ask(want.saturating_sub(initial), ahead.saturating_sub(initial))
            }
            Some(None) | None => want,
        };
        let more = allowed.saturating_sub(ahead);
        if more == 0 || more < allowed / USED_PART {
            return;
        }
        let stream = self.streams.at(key);
        // Padding is in it.
        stream.taken_bytes = 0;
        // No window is that wide.
        let (id, more) = (stream.id, more as u32);
        stream.peers_window += i64::from(more);
        self.write_frame(kind::WINDOW_UPDATE, 0, id, &more.to_be_bytes());
    }

    /// Bytes have come on a connection to a backend, for whomever: it may send as many more.
    pub(super) fn credit_connection(&mut self, bytes: u32) {
        self.taken_bytes += bytes;
        if self.taken_bytes >= self.settings().connection_window_bytes / 4 {
            let taken = std::mem::take(&mut self.taken_bytes);
            self.peers_window += i64::from(taken);
            self.write_frame(kind::WINDOW_UPDATE, 0, 0, &taken.to_be_bytes());
        }
    }
}
