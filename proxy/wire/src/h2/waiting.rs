//! Requests whose heads would be more than their client may make us hold beside those that are being served: they wait, as they
//! were sent, until there is room, and are decoded again. What comes on their streams meanwhile is theirs.

use super::Code;
use super::engine::{Engine, Leaving};
use super::head::{Head, Kind};
use super::hpack::Mark;
use super::ledger::REQUEST_HEAD_BYTES;

/// Bytes of blocks that may wait. Who sends more is refused, as whoever sends a head that is too long.
const WAITING_BYTES_MAX: usize = 128 * 1024;

/// A request that waits.
pub(super) struct WaitingHead {
    /// The place of its stream.
    pub(super) key: u32,
    pub(super) id: u32,
    /// What its head will take, beyond what any request's does.
    bytes: usize,
    ends: bool,
    /// Its header block.
    block: Box<[u8]>,
    /// Before it was decoded.
    before: Mark,
}

impl Engine {
    /// Whether any request waits.
    #[inline]
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting_heads.is_empty()
    }

    /// Whether a request that has come is to wait: not if its head is short; else behind others, and while there is no room.
    #[inline]
    pub(super) fn has_to_wait(&self, head: &Head, block: &[u8]) -> bool {
        let bytes = head.request_bytes();
        bytes > REQUEST_HEAD_BYTES
            && (self.has_waiting() || !self.has_room_for(bytes - REQUEST_HEAD_BYTES))
            && self.may_wait(block)
    }

    fn may_wait(&self, block: &[u8]) -> bool {
        let waiting: usize = self.waiting_heads.iter().map(|waiting| waiting.block.len()).sum();
        waiting + block.len() <= WAITING_BYTES_MAX
    }

    /// A single head that is too long for all room there is waits for nothing: it is refused by who reads it.
    fn has_room_for(&self, bytes: usize) -> bool {
        self.heads_bytes == 0 || self.may_hold(bytes)
    }

    /// Lets a request wait whose stream has begun.
    #[cold]
    pub(super) fn let_wait(&mut self, key: u32, head: &Head, block: &[u8], before: Mark) {
        let stream = self.streams.at(key);
        // Somebody will.
        stream.is_read = true;
        let (id, bytes) = (stream.id, head.request_bytes() - REQUEST_HEAD_BYTES);
        let (ends, block) = (head.ends, block.into());
        self.waiting_heads.push_back(WaitingHead { key, id, bytes, ends, block, before });
    }

    /// Hands out the request that has waited longest, if there is room for it now.
    #[inline]
    pub(super) fn admit_waiting(&mut self) {
        if self.has_waiting() && self.incoming.is_none() && self.leaving != Leaving::Over {
            self.admit_next();
        }
    }

    #[cold]
    fn admit_next(&mut self) {
        loop {
            let has_room = self.waiting_heads.front().is_some_and(|next| self.has_room_for(next.bytes));
            let Some(next) = self.waiting_heads.pop_front_if(|_| has_room) else { return };
            match self.decode_waiting(&next) {
                Some(head) => {
                    self.incoming = Some((next.key, head));
                    return;
                }
                // What it named has left the table.
                None => self.refuse(next.key, Code::RefusedStream),
            }
        }
    }

    fn decode_waiting(&mut self, waiting: &WaitingHead) -> Option<Box<Head>> {
        let decoder = self.decoder.as_of(waiting.before)?;
        let mut head = self.spare_heads.pop().unwrap_or_default();
        head.begin(Kind::Request, waiting.ends, self.settings().head_list_bytes_max as usize);
        let now = std::mem::replace(&mut self.decoder, decoder);
        let read = self.fill(&mut head, &waiting.block, true);
        self.decoder = now;
        // A second time for the same bytes.
        self.count_head();
        read.ok().map(|()| head)
    }

    /// Refuses those that wait up to this number of a stream: nobody has looked at them.
    pub(super) fn refuse_waiting(&mut self, newest_id: u32) {
        while let Some(waiting) = self.waiting_heads.pop_front_if(|waiting| waiting.id <= newest_id) {
            self.refuse(waiting.key, Code::RefusedStream);
        }
    }
}
