//! One direction of a simulated connection: bytes under way, in order, each with the time it arrives, and what comes
//! after them. Knows nothing of sockets and draws nothing.

use super::faults::Link;
use crate::socket::End;
use std::collections::VecDeque;
use std::num::NonZeroU64;

const SECOND_NS: u64 = 1_000_000_000;
/// A slow link brings this many pieces a second, unless they would be smaller or larger than is sensible.
const PIECES_PER_SECOND: u64 = 50;
const PIECE_BYTES_MIN: u64 = 16;
const PIECE_BYTES_MAX: u64 = 16 * 1024;

pub(crate) struct Line {
    latency_ns: u64,
    bytes_per_second: Option<NonZeroU64>,
    pieces: VecDeque<Piece>,
    /// Bytes under way.
    bytes: usize,
    /// When the last byte put in has left.
    left_ns: u64,
    /// What comes after the bytes, and when.
    end: Option<(u64, End)>,
    /// Until then the receiver has no buffer.
    pub(crate) paused_until_ns: u64,
    /// The receiver just had to wait: the next arrival finds a buffer.
    pub(crate) resumed: bool,
    /// When somebody will look after it anyway.
    pub(crate) scheduled_ns: Option<u64>,
}

struct Piece {
    arrives_ns: u64,
    bytes: Vec<u8>,
    /// Of those, the ones that were taken already.
    taken: usize,
}

impl Piece {
    fn len(&self) -> usize {
        self.bytes.len() - self.taken
    }
}

impl Line {
    pub(crate) fn new(link: &Link) -> Self {
        Self {
            latency_ns: nanoseconds(link.latency),
            bytes_per_second: link.bytes_per_second,
            pieces: VecDeque::new(),
            bytes: 0,
            left_ns: 0,
            end: None,
            paused_until_ns: 0,
            resumed: false,
            scheduled_ns: None,
        }
    }

    /// Bytes under way.
    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    /// Puts bytes in, now.
    pub(crate) fn push(&mut self, now_ns: u64, mut bytes: &[u8]) {
        self.bytes += bytes.len();
        self.left_ns = self.left_ns.max(now_ns);
        let Some(rate) = self.bytes_per_second else { return self.append(bytes) };
        let piece_bytes = (rate.get() / PIECES_PER_SECOND).clamp(PIECE_BYTES_MIN, PIECE_BYTES_MAX) as usize;
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(bytes.len().min(piece_bytes));
            self.left_ns = self.left_ns.saturating_add((piece.len() as u64).saturating_mul(SECOND_NS) / rate);
            self.append(piece);
            bytes = rest;
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        let arrives_ns = self.left_ns.saturating_add(self.latency_ns);
        match self.pieces.back_mut() {
            Some(last) if last.arrives_ns == arrives_ns => last.bytes.extend_from_slice(bytes),
            _ => self.pieces.push_back(Piece { arrives_ns, bytes: bytes.to_vec(), taken: 0 }),
        }
    }

    /// Puts the end in, behind the bytes. An error takes the place of an end that has not arrived, and none takes its.
    pub(crate) fn push_end(&mut self, now_ns: u64, end: End) {
        if !matches!((self.end, end), (Some(_), End::Eof) | (Some((_, End::Error(_))), _)) {
            self.end = Some((self.left_ns.max(now_ns).saturating_add(self.latency_ns), end));
        }
    }

    /// Whether an error is under way.
    pub(crate) fn fails(&self) -> bool {
        matches!(self.end, Some((_, End::Error(_))))
    }

    /// Loses all but the first `keep` bytes, and the end.
    pub(crate) fn cut(&mut self, keep: usize) {
        self.end = None;
        while self.bytes > keep {
            // There are as many bytes in the pieces as are counted.
            let Some(mut last) = self.pieces.pop_back() else { break };
            let surplus = (self.bytes - keep).min(last.len());
            last.bytes.truncate(last.bytes.len() - surplus);
            self.bytes -= surplus;
            if last.len() > 0 {
                self.pieces.push_back(last);
            }
        }
    }

    /// Bytes that have arrived.
    pub(crate) fn due(&self, now_ns: u64) -> usize {
        self.pieces.iter().take_while(|piece| piece.arrives_ns <= now_ns).map(Piece::len).sum()
    }

    /// Takes up to `max` bytes out, in order.
    pub(crate) fn take(&mut self, max: usize, mut to: impl FnMut(&[u8])) {
        let mut left = max;
        while left > 0
            && let Some(first) = self.pieces.front_mut()
        {
            let n = left.min(first.len());
            to(&first.bytes[first.taken..first.taken + n]);
            first.taken += n;
            if first.len() == 0 {
                self.pieces.pop_front();
            }
            self.bytes -= n;
            left -= n;
        }
    }

    /// Takes the end out, if it has arrived and nothing is before it.
    pub(crate) fn take_end(&mut self, now_ns: u64) -> Option<End> {
        if !self.pieces.is_empty() {
            return None;
        }
        self.end.take_if(|(at, _)| *at <= now_ns).map(|(_, end)| end)
    }

    /// When the next bytes or the end arrive.
    pub(crate) fn next_ns(&self) -> Option<u64> {
        let end = self.end.map(|(at, _)| at);
        self.pieces.front().map(|piece| piece.arrives_ns).or(end).map(|at| at.max(self.paused_until_ns))
    }
}

pub(crate) fn nanoseconds(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
