//! The watcher: sees the bytes of a connection on their way, knows frames by their heads, and counts what is odd. Sans
//! I/O; never changes a byte.
//!
//! It also portions what the codec gets to see in one turn. A head in HPACK may be a few bytes on the wire and some
//! hundred thousand in memory, and the codec reads as much as there is before it hands out a request: so heads come to it
//! few at a time, and those it has read are taken off it before it reads on.

use super::Oddities;
use super::frames::{Event, Frames, Head, flag, kind};

/// Bytes that the codec reads before others have their turn.
const TURN_BYTES_MAX: usize = 64 * 1024;

/// Bytes of header blocks after which it hands out what it has read.
const TURN_HEAD_BYTES_MAX: u32 = 8 * 1024;

/// Most CONTINUATION frames of a header block.
const CONTINUATIONS_MAX: u32 = 16;

/// What one connection sends and gets.
#[derive(Debug)]
pub(super) struct Watch {
    oddities: Oddities,
    inbound: Frames,
    frame: Head,
    /// A header block has begun: its bytes and its CONTINUATION frames so far.
    block: Option<(u32, u32)>,
    block_bytes_max: u32,
    /// What is left of the turn.
    turn_bytes: usize,
    turn_head_bytes: u32,
}

impl Watch {
    /// For the connection of a client, which begins with the preface, or of a backend. `head_list_bytes_max` bounds a
    /// head as it is counted by RFC 9113 §10.5.1.
    pub(super) fn new(of_client: bool, head_list_bytes_max: u32, oddities: Oddities) -> Self {
        Self {
            oddities,
            inbound: Frames::new(of_client),
            frame: Head::default(),
            block: None,
            block_bytes_max: head_list_bytes_max.saturating_mul(2),
            turn_bytes: TURN_BYTES_MAX,
            turn_head_bytes: TURN_HEAD_BYTES_MAX,
        }
    }

    /// Looks at received bytes; says how many of them the codec may read in this turn.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> usize {
        let bytes = &bytes[..bytes.len().min(self.turn_bytes)];
        let mut rest = bytes;
        while !self.is_turn_over() {
            let Some(event) = self.inbound.next(&mut rest) else { break };
            match event {
                Event::Head(head) => self.begin(head),
                Event::Payload(_) => {}
                Event::End => self.end(),
            }
        }
        let taken = bytes.len() - rest.len();
        self.turn_bytes -= taken;
        taken
    }

    /// Looks at bytes that are sent.
    pub(super) fn send(&mut self, _: &[u8]) {}

    /// Bytes of a body were received and taken: work that was of use.
    pub(super) fn moved(&mut self, _: usize) {}

    /// Whether the codec may not read on before [`Watch::begin_turn`].
    pub(super) fn is_turn_over(&self) -> bool {
        self.turn_bytes == 0 || self.turn_head_bytes == 0 || self.oddities.is_hard()
    }

    /// What the codec has read was taken off it.
    pub(super) fn begin_turn(&mut self) {
        self.turn_bytes = TURN_BYTES_MAX;
        self.turn_head_bytes = TURN_HEAD_BYTES_MAX;
    }

    /// Whether a header block or a frame has begun and is not whole.
    pub(super) fn is_inside_head(&self) -> bool {
        self.block.is_some() || self.inbound.is_inside()
    }

    fn begin(&mut self, head: Head) {
        self.frame = head;
        match head.kind {
            kind::HEADERS | kind::PUSH_PROMISE => self.block = Some((head.payload_bytes, 0)),
            kind::CONTINUATION => {
                if let Some((bytes, continuations)) = &mut self.block {
                    *bytes = bytes.saturating_add(head.payload_bytes);
                    *continuations += 1;
                }
            }
            _ => {}
        }
        let is_bounded = |(bytes, frames)| bytes <= self.block_bytes_max && frames <= CONTINUATIONS_MAX;
        if !self.block.is_none_or(is_bounded) {
            self.oddities.exhaust();
        }
    }

    fn end(&mut self) {
        let Head { kind, flags, .. } = self.frame;
        if matches!(kind, kind::HEADERS | kind::PUSH_PROMISE | kind::CONTINUATION) {
            self.turn_head_bytes = self.turn_head_bytes.saturating_sub(self.frame.payload_bytes.max(1));
            if flags & flag::END_HEADERS != 0 {
                self.block = None;
            }
        }
    }
}
