//! Header blocks, in one frame or in several, and what becomes of their heads (RFC 9113 §6.2, §6.10, §8.1).

use std::ops::Range;

use message::Name;

use super::Block;
use crate::h1::head::content_length;
use crate::h2::Code;
use crate::h2::engine::{Engine, Leaving, Role};
use crate::h2::frames::{Head as Frame, flag, kind};
use crate::h2::head::{Head, Kind};
use crate::h2::hpack;
use crate::h2::streams::Stream;

/// Heads whose memory is kept for others: of answers, many of which may wait at once. A request's is read as it comes.
const SPARE_HEADS_MAX: usize = 32;

/// Heads of an answer that may wait to be read.
const HEADS_MAX: usize = 32;

/// Above, memory of a header block that came in parts is not kept.
const BLOCK_KEPT_BYTES: usize = 1024;

impl Engine {
    /// RFC 9113 §6.2.
    pub(super) fn begin_block(&mut self, frame: Frame) -> Result<(), Code> {
        let Frame { payload_bytes: bytes, flags, stream: id, .. } = frame;
        match self.streams.find(id) {
            Some(key) if self.streams.at(key).peer_ended => return Err(Code::StreamClosed),
            None if !self.is_idle(id) && !self.streams.was_reset(id) => return Err(Code::StreamClosed),
            Some(_) | None => {}
        }
        self.inbound.block_bytes.clear();
        self.inbound.block_head = None;
        let ends_stream = flags & flag::END_STREAM != 0;
        self.inbound.block = Some(Block { stream: id, ends_stream, continuations: 0, bytes: 0 });
        self.part_begins(bytes, flags)
    }

    /// RFC 9113 §6.10.
    pub(super) fn continue_block(&mut self, frame: Frame) -> Result<(), Code> {
        if let Some(block) = &mut self.inbound.block {
            block.continuations += 1;
        }
        self.part_begins(frame.payload_bytes, frame.flags)
    }

    fn part_begins(&mut self, bytes: u32, flags: u8) -> Result<(), Code> {
        let is_last = flags & flag::END_HEADERS != 0;
        // What takes more bytes than its list may have is refused, but for what HPACK made longer than it was.
        let usual_bytes = self.settings().head_list_bytes_max as usize;
        let Some(block) = &mut self.inbound.block else { return Ok(()) };
        block.bytes += bytes as usize;
        let is_unusual = block.bytes > usual_bytes;
        if is_unusual {
            // Not twice of what is much already.
            self.inbound.block_bytes.reserve_exact(bytes as usize);
        }
        if self.tariff.block_part(bytes, is_last, block.continuations, is_unusual) {
            Ok(())
        } else {
            Err(Code::EnhanceYourCalm)
        }
    }

    /// A frame of a header block is whole, and was collected unless the block was read already.
    pub(super) fn end_part(&mut self) {
        let Some(block) = self.inbound.block else { return };
        let mut bytes = std::mem::take(&mut self.inbound.block_bytes);
        if self.inbound.frame.kind == kind::HEADERS {
            // The flags of what stands around a block are its first frame's.
            match self.fragment(&bytes) {
                Ok(part) => {
                    let (from, length) = (part.start, part.len());
                    bytes.truncate(from + length);
                    bytes.drain(..from);
                }
                Err(code) => return self.fail(code),
            }
        }
        if self.inbound.has(flag::END_HEADERS) {
            self.inbound.block = None;
            self.read_head(block.stream, block.ends_stream, &bytes);
            bytes.clear();
            if bytes.capacity() > BLOCK_KEPT_BYTES {
                bytes = Vec::new();
            }
        } else if bytes.len() > self.settings().head_list_bytes_max as usize {
            self.read_ahead(block, &mut bytes);
        }
        self.inbound.block_bytes = bytes;
    }

    /// A block that has more bytes than a head may have, and goes on, is read as it comes: for the sake of the table, since
    /// its stream is refused in the end and the connection goes on. Only a field that is not whole is kept until it is.
    #[cold]
    fn read_ahead(&mut self, block: Block, bytes: &mut Vec<u8>) {
        let whole = hpack::whole(bytes);
        if whole > 0 {
            let head = self.decode(block.stream, block.ends_stream, &bytes[..whole]);
            self.inbound.block_head = head;
            bytes.drain(..whole);
        }
    }

    /// A header block that lies in one piece with what stands around it.
    pub(super) fn read_block(&mut self, payload: &[u8]) {
        let Some(block) = self.inbound.block.take() else { return };
        match self.fragment(payload) {
            Ok(part) => self.read_head(block.stream, block.ends_stream, &payload[part]),
            Err(code) => self.fail(code),
        }
    }

    /// Where in the payload of a HEADERS frame its part of the block lies (RFC 9113 §6.2). Notes a stream that depends on itself.
    fn fragment(&mut self, payload: &[u8]) -> Result<Range<usize>, Code> {
        /// The dependency and weight of a priority, which nobody minds any more (RFC 9113 §5.3.2).
        const PRIORITY_BYTES: usize = 5;
        let (mut from, mut padding) = (0, 0);
        if self.inbound.has(flag::PADDED) {
            padding = usize::from(*payload.first().ok_or(Code::FrameSizeError)?);
            from += 1;
        }
        if self.inbound.has(flag::PRIORITY) {
            let depends_on = payload.get(from..).and_then(<[u8]>::first_chunk).ok_or(Code::FrameSizeError)?;
            let depends_on = u32::from_be_bytes(*depends_on) & !(1 << 31);
            self.inbound.depends_on_itself = depends_on == self.inbound.frame.stream;
            from += PRIORITY_BYTES;
        }
        let left = payload.len().checked_sub(from).ok_or(Code::FrameSizeError)?;
        let length = left.checked_sub(padding).ok_or(Code::ProtocolError)?;
        Ok(from..from + length)
    }

    /// A header block is whole. It is decoded whatever becomes of its stream.
    fn read_head(&mut self, id: u32, ends: bool, block: &[u8]) {
        self.count_head();
        let before = self.inbound.block_head.is_none().then(|| self.decoder.mark());
        let Some(head) = self.decode(id, ends, block) else { return };
        match (head.kind(), self.streams.find(id)) {
            (Kind::Request, _) if self.is_idle(id) => {
                self.read_request(id, head, before.map(|before| (block, before)));
            }
            (Kind::Answer, Some(key)) => self.read_answer(key, head),
            (Kind::Trailers, Some(key)) => self.read_trailers(key, head),
            // Of a stream that we have reset.
            _ => self.spare(head),
        }
    }

    /// Decodes what is there of a block and was not decoded before; `None` if it is broken.
    fn decode(&mut self, id: u32, ends: bool, part: &[u8]) -> Option<Box<Head>> {
        let (mut head, begins) = match self.inbound.block_head.take() {
            Some(head) => (head, false),
            None => {
                let kind = match (self.role, self.streams.find(id)) {
                    (Role::Server, None) => Kind::Request,
                    (Role::Client, Some(key)) if !self.streams.at(key).has_peers_head => Kind::Answer,
                    (_, Some(_)) | (Role::Client, None) => Kind::Trailers,
                };
                let mut head = self.spare_heads.pop().unwrap_or_default();
                head.begin(kind, ends, self.settings().head_list_bytes_max as usize);
                if std::mem::take(&mut self.inbound.depends_on_itself) {
                    // RFC 7540 §5.3.1.
                    head.malform();
                }
                (head, true)
            }
        };
        match self.fill(&mut head, part, begins) {
            Ok(()) => Some(head),
            Err(hpack::Broken) => {
                self.fail(Code::CompressionError);
                None
            }
        }
    }

    /// Adds to a head what is there of its block.
    pub(in crate::h2) fn fill(
        &mut self,
        head: &mut Head,
        part: &[u8],
        begins: bool,
    ) -> Result<(), hpack::Broken> {
        self.decoder.decode_part(part, begins, |field, never_indexed| head.add(&field, never_indexed))
    }

    /// Keeps a head's memory for the next.
    pub(in crate::h2) fn spare(&mut self, mut head: Box<Head>) {
        // One for who reads heads as they come; more where many wait at once.
        let more = if self.role == Role::Client { (self.streams.len() / 2).min(SPARE_HEADS_MAX) } else { 0 };
        if self.spare_heads.len() <= more {
            head.forget();
            self.spare_heads.push(head);
        }
    }

    /// `block`: of what it was decoded, if that is all here, and when.
    fn read_request(&mut self, id: u32, head: Box<Head>, block: Option<(&[u8], hpack::Mark)>) {
        self.peers_seen_id = id;
        if self.leaving == Leaving::Told {
            // It is above the last that we have promised to look at (RFC 9113 §6.8).
            self.streams.remember(id);
            return self.spare(head);
        }
        self.peers_last_id = id;
        let announced = head.get(Name::ContentLength).map(content_length);
        let code = if self.streams.open() >= self.streams_max as usize {
            Some(Code::RefusedStream)
        } else if head.is_malformed() || (head.ends && matches!(announced, Some(Ok(1..)))) {
            Some(Code::ProtocolError)
        } else {
            None
        };
        if let Some(code) = code {
            self.note_refused(code);
            if code == Code::RefusedStream && self.knows_settings() {
                self.tariff.beyond_known_limit();
            }
            self.write_frame(kind::RST_STREAM, 0, id, &code.number().to_be_bytes());
            if !head.ends {
                self.streams.remember(id);
            }
            return self.spare(head);
        }
        self.tariff.opened();
        let key = self.streams.insert(Stream {
            id,
            peer_ended: head.ends,
            has_peers_head: true,
            window: self.initial_window,
            peers_window: self.peers_initial_window,
            length_left: announced.and_then(Result::ok).filter(|_| !head.ends),
            ..Stream::default()
        });
        match block {
            Some((block, before)) if self.has_to_wait(&head, block) => {
                self.let_wait(key, &head, block, before);
                self.spare(head);
            }
            _ => self.incoming = Some((key, head)),
        }
    }

    fn read_answer(&mut self, key: u32, head: Box<Head>) {
        let stream = self.streams.at(key);
        if stream.end.is_some() {
            return self.spare(head);
        }
        let status = head.status().unwrap_or(0);
        if head.is_malformed() || (status < 200 && head.ends) || stream.heads.len() >= HEADS_MAX {
            self.spare(head);
            return self.refuse(key, Code::ProtocolError);
        }
        let ends = head.ends;
        stream.has_peers_head = status >= 200;
        if stream.has_peers_head && !stream.is_bodiless && !matches!(status, 204 | 304) {
            stream.length_left = head.get(Name::ContentLength).and_then(|value| content_length(value).ok());
            if ends && matches!(stream.length_left, Some(1..)) {
                self.spare(head);
                return self.refuse(key, Code::ProtocolError);
            }
        }
        if stream.is_read {
            stream.heads.push(head);
        } else {
            self.spare(head);
        }
        if ends { self.end_body(key) } else { self.wake_reader(key) }
    }

    fn read_trailers(&mut self, key: u32, mut head: Box<Head>) {
        let is_server = self.role == Role::Server;
        let stream = self.streams.at(key);
        if stream.end.is_some() {
            return self.spare(head);
        }
        if head.is_malformed() {
            self.spare(head);
            return self.refuse(key, Code::ProtocolError);
        }
        if stream.is_read && head.len() > 0 {
            // Such as are too long count as none; they are bounded all together, since they wait for the body to be read.
            self.trailer_bytes += head.held_bytes();
            if is_server {
                head.shrink();
            }
            stream.trailers = Some(head);
            if self.holds_too_many_trailers() {
                self.tariff.too_much();
            }
        } else {
            self.spare(head);
        }
        self.end_body(key);
    }
}
