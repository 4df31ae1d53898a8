//! The watcher: sees the bytes of a connection on their way, both ways, knows frames by their heads, and counts what is odd
//! ([`Oddities`] has the tariff). Sans I/O; never changes a byte. Of a
//! few rules it is the judge, where the codec is not or has another code than the RFC's.
//!
//! It also portions what the codec gets to see in one turn. A head in HPACK may be a few bytes on the wire and some
//! hundred thousand in memory, and the codec reads as much as there is before it hands out a request: so heads come to it
//! few at a time, and those it has read are taken off it before it reads on.

use super::Code;
use super::frames::{Event, Frames, Head, flag, kind};
use super::oddities::{ODDITIES_HARD, Oddities};
use super::windows::Windows;

/// Bytes that the codec reads before others have their turn.
const TURN_BYTES_MAX: usize = 64 * 1024;

/// Bytes of header blocks after which it hands out what it has read: dozens of heads as clients send them, or so many
/// fields of one byte, of which each takes some 200 bytes in its map.
const TURN_HEAD_BYTES_MAX: u32 = 2 * 1024;

/// Bytes of trailers that came and that nobody has taken yet, for the same reason.
const TRAILER_BYTES_MAX: u32 = 4 * 1024;

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
const EARLY_RESET_POINTS: u32 = 3;
const RESET_POINTS: u32 = 1;
const LATE_RESET_POINTS: u32 = 3;
const EMPTY_DATA_POINTS: u32 = 3;
const UPDATE_POINTS: u32 = 2;
const DRIP_POINTS: u32 = 3;
const BLOCK_PART_POINTS: u32 = 2;
const FAULT_POINTS: u32 = 4;
const REFUSED_POINTS: u32 = 2;
/// For a head that was read and is refused: our answer to it ends the stream, which forgives some.
pub(super) const BAD_HEAD_POINTS: u32 = 4;

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

/// What one connection sends and gets.
#[derive(Debug)]
pub(super) struct Watch {
    oddities: Oddities,
    /// The peer opens the streams.
    of_client: bool,
    inbound: Part,
    outbound: Part,
    windows: Windows,
    /// A setting that is being read.
    setting: ([u8; 6], usize),
    /// A header block has begun: its bytes and its CONTINUATION frames so far.
    block: Option<(u32, u32)>,
    block_bytes_max: u32,
    /// Whether it is of trailers.
    is_trailers: bool,
    /// Trailers that nobody has taken: their streams and bytes.
    trailers: Vec<(u32, u32)>,
    has_settings: bool,
    has_goaway: bool,
    /// We have sent DATA or HEADERS since the last ping.
    has_spoken: bool,
    /// Pings of ours that may be answered.
    pings: u32,
    /// Resets with a code that blames the peer, which are ours and not the codec's.
    own_resets: u32,
    extras: Free,
    updates: Free,
    /// A rule of frames was broken; the codec does not get to see by what.
    fault: Option<Code>,
    received_bytes: u64,
    /// Bytes of bodies that have forgiven nothing yet.
    moved_bytes: u32,
    /// What is left of the turn.
    turn_bytes: usize,
    turn_head_bytes: u32,
}

/// One way: which frame passes, and the first bytes of its payload.
#[derive(Debug)]
struct Part {
    frames: Frames,
    head: Head,
    first: [u8; 4],
    first_bytes: usize,
}

impl Part {
    fn new(preface: bool) -> Self {
        Self { frames: Frames::new(preface), head: Head::default(), first: [0; 4], first_bytes: 0 }
    }

    fn begin(&mut self, head: Head) {
        (self.head, self.first, self.first_bytes) = (head, [0; 4], 0);
    }

    fn take(&mut self, payload: &[u8]) {
        let room = &mut self.first[self.first_bytes..];
        let bytes = room.len().min(payload.len());
        room[..bytes].copy_from_slice(&payload[..bytes]);
        self.first_bytes += bytes;
    }

    /// The first four bytes as a number: an increment, a code.
    fn number(&self) -> u32 {
        u32::from_be_bytes(self.first)
    }

    fn has(&self, flag: u8) -> bool {
        self.head.flags & flag != 0
    }

    /// Bytes of data in a DATA frame, without its padding (RFC 9113 §6.1).
    fn data_bytes(&self) -> u32 {
        let [padding, ..] = self.first;
        let padding_bytes = if self.has(flag::PADDED) { u32::from(padding) + 1 } else { 0 };
        self.head.payload_bytes.saturating_sub(padding_bytes)
    }
}

impl Free {
    fn add(&mut self, frames: u32) {
        self.left = self.left.saturating_add(frames).min(self.max);
    }

    fn take(&mut self) -> bool {
        let is_free = self.left > 0;
        self.left -= u32::from(is_free);
        is_free
    }
}

impl Watch {
    /// For the connection of a client, which begins with the preface, or of a backend. `head_list_bytes_max` bounds a
    /// head as it is counted by RFC 9113 §10.5.1.
    pub(super) fn new(of_client: bool, head_list_bytes_max: u32, oddities: Oddities) -> Self {
        Self {
            oddities,
            of_client,
            inbound: Part::new(of_client),
            outbound: Part::new(!of_client),
            windows: Windows::default(),
            setting: ([0; 6], 0),
            block: None,
            block_bytes_max: head_list_bytes_max.saturating_mul(2),
            is_trailers: false,
            trailers: Vec::new(),
            has_settings: false,
            has_goaway: false,
            has_spoken: false,
            pings: 0,
            own_resets: 0,
            extras: EXTRAS,
            updates: UPDATES,
            fault: None,
            received_bytes: 0,
            moved_bytes: 0,
            turn_bytes: TURN_BYTES_MAX,
            turn_head_bytes: TURN_HEAD_BYTES_MAX,
        }
    }

    /// Looks at received bytes; says how many of them the codec may read in this turn.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> usize {
        let bytes = &bytes[..bytes.len().min(self.turn_bytes)];
        let mut rest = bytes;
        while !self.is_turn_over() {
            let before = rest;
            match self.inbound.frames.next(&mut rest) {
                None => break,
                Some(Event::Head(head)) => {
                    self.inbound.begin(head);
                    self.setting.1 = 0;
                    self.fault = self.fault_of(head);
                    self.received_head(head);
                }
                Some(Event::Payload(payload)) => {
                    self.inbound.take(payload);
                    if self.inbound.head.kind == kind::SETTINGS && !self.inbound.has(flag::ACK) {
                        self.read_settings(payload);
                    }
                }
                Some(Event::End) => self.received(),
            }
            if self.fault.is_some() {
                rest = before;
            }
        }
        let taken = bytes.len() - rest.len();
        self.turn_bytes -= taken;
        self.received_bytes = self.received_bytes.saturating_add(taken as u64);
        taken
    }

    /// Bytes that were ever received.
    pub(super) fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    /// Looks at bytes that are sent.
    pub(super) fn send(&mut self, mut bytes: &[u8]) {
        while let Some(event) = self.outbound.frames.next(&mut bytes) {
            match event {
                Event::Head(head) => self.outbound.begin(head),
                Event::Payload(payload) => self.outbound.take(payload),
                Event::End => self.sent(),
            }
        }
    }

    /// Bytes of a body were received and taken, or sent: work that was of use.
    pub(super) fn moved(&mut self, bytes: usize) {
        self.moved_bytes = self.moved_bytes.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        if self.moved_bytes >= BYTES_FORGIVE {
            self.oddities.forgive(self.moved_bytes / BYTES_FORGIVE);
            self.moved_bytes %= BYTES_FORGIVE;
        }
    }

    /// A stream was reset before it was answered, with good reason.
    pub(super) fn excuse(&self) {
        self.oddities.forgive(EARLY_RESET_POINTS);
    }

    /// A stream of the peer's was handed on.
    pub(super) fn serves(&mut self, stream: u32) {
        if let Some(stream) = self.windows.get(stream) {
            stream.is_served = true;
        }
    }

    /// Nobody will read what comes on a stream any more; or its trailers were taken.
    pub(super) fn unread(&mut self, stream: u32) {
        self.trailers.retain(|(id, _)| *id != stream);
        if let Some(stream) = self.windows.get(stream) {
            stream.is_unread = true;
        }
    }

    /// The codec is given bytes of a body.
    pub(super) fn queue(&mut self, stream: u32, bytes: usize) {
        self.windows.queue(stream, bytes);
    }

    /// Bytes of bodies that it has and has not sent.
    pub(super) fn queued(&self) -> usize {
        self.windows.queued()
    }

    /// A stream is reset by us for reasons of our own.
    pub(super) fn resets(&mut self, code: Code) {
        if blame(code) > 0 {
            self.own_resets = self.own_resets.saturating_add(1);
        }
    }

    /// Whether the codec may not read on before [`Watch::begin_turn`].
    pub(super) fn is_turn_over(&self) -> bool {
        self.turn_bytes == 0 || self.turn_head_bytes == 0 || self.oddities.is_hard() || self.fault.is_some()
    }

    /// The code of the fault by which the peer has ended the connection, where the codec was not to say it.
    pub(super) fn fault(&self) -> Option<Code> {
        self.fault
    }

    /// What the codec has read was taken off it.
    pub(super) fn begin_turn(&mut self) {
        self.turn_bytes = TURN_BYTES_MAX;
        self.turn_head_bytes = TURN_HEAD_BYTES_MAX;
    }

    /// Whether the peer has sent a `GOAWAY`.
    pub(super) fn has_goaway(&self) -> bool {
        self.has_goaway
    }

    /// Whether a header block or a frame has begun and is not whole.
    pub(super) fn is_inside_head(&self) -> bool {
        self.block.is_some() || self.inbound.frames.is_inside()
    }

    /// What a client does that the codec would let pass, or take for `PROTOCOL_ERROR` where RFC 9113 has another code: how
    /// it begins (§3.4), lengths (§4.2 and §6), what comes behind the end of a stream (§5.1).
    fn fault_of(&mut self, head: Head) -> Option<Code> {
        let Head { payload_bytes: bytes, kind, flags, stream } = head;
        // Within a header block any other frame is a fault by itself, which the codec knows.
        if !self.of_client || self.block.is_some() {
            return None;
        }
        let is_ack = flags & flag::ACK != 0;
        if !self.has_settings && (kind != kind::SETTINGS || is_ack) {
            return Some(Code::ProtocolError);
        }
        let fits = match kind {
            kind::PING => bytes == 8,
            kind::RST_STREAM | kind::WINDOW_UPDATE => bytes == 4,
            kind::PRIORITY => bytes == 5,
            kind::SETTINGS if is_ack => bytes == 0,
            kind::SETTINGS => bytes % 6 == 0,
            kind::GOAWAY => bytes >= 8,
            _ => true,
        };
        if !fits {
            return Some(Code::FrameSizeError);
        }
        let mut is_ended = || self.windows.get(stream).is_some_and(|stream| stream.peer_ended);
        (matches!(kind, kind::DATA | kind::HEADERS) && is_ended()).then_some(Code::StreamClosed)
    }

    /// The head of a frame has come: what can be said before its payload is there.
    fn received_head(&mut self, head: Head) {
        let is_last = head.flags & flag::END_HEADERS != 0;
        match head.kind {
            kind::HEADERS | kind::PUSH_PROMISE => self.block = Some((head.payload_bytes, 0)),
            kind::CONTINUATION => {
                if let Some((bytes, continuations)) = &mut self.block {
                    *bytes = bytes.saturating_add(head.payload_bytes);
                    *continuations += 1;
                }
            }
            _ => return,
        }
        if !is_last && head.payload_bytes < BLOCK_PART_BYTES_MIN {
            self.oddities.add(BLOCK_PART_POINTS);
        }
        let is_bounded = |(bytes, parts)| bytes <= self.block_bytes_max && parts <= CONTINUATIONS_MAX;
        if !self.block.is_none_or(is_bounded) {
            self.oddities.add(ODDITIES_HARD);
        }
    }

    /// A frame has come whole.
    fn received(&mut self) {
        let Head { kind, stream, payload_bytes, .. } = self.inbound.head;
        match kind {
            kind::HEADERS | kind::PUSH_PROMISE | kind::CONTINUATION => {
                self.turn_head_bytes = self.turn_head_bytes.saturating_sub(payload_bytes.max(1));
                if kind == kind::HEADERS && self.of_client {
                    self.is_trailers = !self.windows.open(stream);
                    if !self.is_trailers {
                        self.opened();
                    }
                }
                if self.inbound.has(flag::END_HEADERS)
                    && let Some((bytes, _)) = self.block.take()
                    && self.is_trailers
                {
                    self.hold_trailers(stream, bytes);
                }
                if kind == kind::HEADERS && self.inbound.has(flag::END_STREAM) {
                    self.ended(stream, true);
                }
            }
            kind::DATA if self.inbound.has(flag::END_STREAM) => self.ended(stream, true),
            kind::DATA if self.inbound.data_bytes() == 0 => self.oddities.add(EMPTY_DATA_POINTS),
            kind::DATA => {}
            kind::RST_STREAM => self.oddities.add(match self.windows.close(stream) {
                Some(stream) if !stream.has_head => EARLY_RESET_POINTS,
                Some(_) => RESET_POINTS,
                None => LATE_RESET_POINTS,
            }),
            kind::SETTINGS if self.inbound.has(flag::ACK) => {}
            kind::SETTINGS => {
                let is_first = !std::mem::replace(&mut self.has_settings, true);
                self.oddities.add(if is_first { 0 } else { SETTINGS_POINTS });
            }
            kind::PING => {
                let is_answer = self.inbound.has(flag::ACK) && self.pings > 0;
                self.pings -= u32::from(is_answer);
                if !is_answer && !std::mem::take(&mut self.has_spoken) {
                    self.oddities.add(PING_POINTS);
                }
            }
            kind::GOAWAY => {
                let is_first = !std::mem::replace(&mut self.has_goaway, true);
                self.oddities.add(if is_first { 0 } else { GOAWAY_POINTS });
            }
            kind::WINDOW_UPDATE => self.granted(stream, self.inbound.number() & !(1 << 31)),
            _ if self.extras.take() => {}
            _ => self.oddities.add(EXTRA_POINTS),
        }
    }

    /// Trailers have come whole. They lie in the codec until the one who reads the body comes to them.
    fn hold_trailers(&mut self, stream: u32, bytes: u32) {
        if self.windows.get(stream).is_some_and(|stream| !stream.is_unread) {
            self.trailers.push((stream, bytes));
        }
        let held = self.trailers.iter().fold(0, |held: u32, (_, bytes)| held.saturating_add(*bytes));
        if held > TRAILER_BYTES_MAX {
            self.oddities.add(ODDITIES_HARD);
        }
    }

    /// The peer makes a window wider.
    fn granted(&mut self, stream: u32, bytes: u32) {
        let window = self.windows.grant(stream, bytes);
        if bytes == 0 || window.is_some_and(|window| window < WINDOW_BYTES_MIN) {
            self.oddities.add(DRIP_POINTS);
        } else if !self.updates.take() {
            self.oddities.add(UPDATE_POINTS);
        }
    }

    /// A frame of ours has passed.
    fn sent(&mut self) {
        let Head { kind, stream, payload_bytes, .. } = self.outbound.head;
        match kind {
            kind::HEADERS => {
                self.has_spoken = true;
                if !self.of_client && self.windows.open(stream) {
                    self.opened();
                }
                if let Some(stream) = self.windows.get(stream) {
                    stream.has_head = true;
                    stream.is_served |= !self.of_client;
                }
            }
            kind::DATA => {
                self.has_spoken = true;
                self.windows.send(stream, payload_bytes);
                self.updates.add(UPDATES_PER_DATA + payload_bytes / 1024 * UPDATES_PER_KIB);
                self.moved(payload_bytes as usize);
            }
            kind::RST_STREAM => {
                self.windows.close(stream);
                let points = blame(Code::of(self.outbound.number()));
                if points > 0 {
                    let is_own = self.own_resets > 0;
                    self.own_resets -= u32::from(is_own);
                    self.oddities.add(if is_own { 0 } else { points });
                }
            }
            kind::PING if !self.outbound.has(flag::ACK) => self.pings += 1,
            _ => {}
        }
        if matches!(kind, kind::HEADERS | kind::DATA) && self.outbound.has(flag::END_STREAM) {
            self.ended(stream, false);
        }
    }

    /// A stream begins, for which a peer may send this and that.
    fn opened(&mut self) {
        self.extras.add(EXTRAS_PER_STREAM);
        self.updates.add(UPDATES_PER_STREAM);
    }

    /// One way of a stream has come to its end. It is forgiven for what was asked for and done.
    fn ended(&mut self, id: u32, by_peer: bool) {
        let Some(stream) = self.windows.get(id) else { return };
        let was_ended = if by_peer { stream.peer_ended } else { stream.we_ended };
        match by_peer != self.of_client && !was_ended {
            true if stream.is_served => self.oddities.forgive(STREAM_FORGIVES),
            true => self.oddities.add(FAULT_POINTS),
            false => {}
        }
        stream.peer_ended |= by_peer;
        stream.we_ended |= !by_peer;
        if stream.peer_ended && stream.we_ended {
            self.windows.close(id);
        }
    }

    /// Reads settings, for the one by which windows begin.
    fn read_settings(&mut self, mut payload: &[u8]) {
        const INITIAL_WINDOW_SIZE: u16 = 4;
        let (setting, filled) = &mut self.setting;
        while !payload.is_empty() {
            let bytes = (setting.len() - *filled).min(payload.len());
            let (part, rest) = payload.split_at(bytes);
            setting[*filled..][..bytes].copy_from_slice(part);
            (*filled, payload) = ((*filled + bytes) % setting.len(), rest);
            let [high, low, value @ ..] = *setting;
            if *filled == 0 && u16::from_be_bytes([high, low]) == INITIAL_WINDOW_SIZE {
                let bytes = u32::from_be_bytes(value);
                // RFC 9113 §6.5.2.
                if self.of_client && bytes > i32::MAX as u32 {
                    self.fault = Some(Code::FlowControlError);
                    return;
                }
                self.windows.set_initial(bytes);
            }
        }
    }
}

/// Points for what the codec answers with this code. Those it never uses for what a peer did have none.
fn blame(code: Code) -> u32 {
    match code {
        Code::ProtocolError | Code::FlowControlError | Code::StreamClosed | Code::FrameSizeError => {
            FAULT_POINTS
        }
        Code::RefusedStream => REFUSED_POINTS,
        Code::NoError
        | Code::InternalError
        | Code::SettingsTimeout
        | Code::Cancel
        | Code::CompressionError
        | Code::ConnectError
        | Code::EnhanceYourCalm
        | Code::InadequateSecurity
        | Code::Http11Required => 0,
    }
}
