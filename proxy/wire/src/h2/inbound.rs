//! What the peer sends, frame by frame (RFC 9113 §5 and §6), however it is cut.

mod data;
mod heads;

use super::Code;
use super::engine::{Engine, Role, WINDOW_BYTES_MAX, setting};
use super::frames::{HEAD_BYTES, Head as Frame, PREFACE, flag, kind};
use super::head::Head;
use super::streams::End;
use super::tariff::Reset;

/// The longest frame that we read: what peers may send without our leave (RFC 9113 §6.5.2).
pub(super) const FRAME_BYTES_MAX: u32 = 16 * 1024;

/// What is being read.
pub(super) struct Inbound {
    at: At,
    frame: Frame,
    /// The beginning of what is short: a frame's head, a payload of fixed length, a setting.
    short: [u8; HEAD_BYTES],
    short_bytes: usize,
    /// Bytes of the payload that are to come.
    left: u32,
    data: Data,
    block: Option<Block>,
    block_bytes: Vec<u8>,
    /// Of a block that is longer than a head may be: what was read of it already.
    block_head: Option<Box<Head>>,
    /// The block that comes next makes its stream depend on itself.
    depends_on_itself: bool,
    has_settings: bool,
}

/// Where in the stream of bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// So many bytes of the preface are there.
    Preface(usize),
    Head,
    Payload,
}

/// A DATA frame.
#[derive(Clone, Copy, Default)]
struct Data {
    /// Whose it is, if anybody is to see it.
    key: Option<u32>,
    /// Bytes of padding behind it, once they are known.
    padding: Option<u32>,
    /// There were bytes of data.
    has_some: bool,
}

/// A header block that has begun.
#[derive(Clone, Copy)]
struct Block {
    stream: u32,
    ends_stream: bool,
    continuations: u32,
    /// Of all its frames so far.
    bytes: usize,
}

impl Inbound {
    pub(super) fn new(preface: bool) -> Self {
        Self {
            at: if preface { At::Preface(0) } else { At::Head },
            frame: Frame::default(),
            short: [0; HEAD_BYTES],
            short_bytes: 0,
            left: 0,
            data: Data::default(),
            block: None,
            block_bytes: Vec::new(),
            block_head: None,
            depends_on_itself: false,
            has_settings: false,
        }
    }

    /// Whether the preface, a frame or a header block has begun and is not whole.
    pub(super) fn is_inside(&self) -> bool {
        self.at != At::Head || self.short_bytes > 0 || self.block.is_some()
    }

    /// Collects up to `bytes` of what is short; true once it is whole.
    fn collect(&mut self, input: &mut &[u8], bytes: usize) -> bool {
        let (part, rest) = input.split_at((bytes - self.short_bytes).min(input.len()));
        self.short[self.short_bytes..][..part.len()].copy_from_slice(part);
        self.short_bytes += part.len();
        *input = rest;
        let is_whole = self.short_bytes == bytes;
        if is_whole {
            self.short_bytes = 0;
        }
        is_whole
    }

    /// The first four of the short bytes as a number.
    fn number(&self) -> u32 {
        let [a, b, c, d, ..] = self.short;
        u32::from_be_bytes([a, b, c, d])
    }

    fn has(&self, flag: u8) -> bool {
        self.frame.flags & flag != 0
    }
}

impl Engine {
    /// Reads the next run of bytes, of which there are some.
    pub(super) fn read(&mut self, input: &mut &[u8]) {
        match self.inbound.at {
            At::Preface(read) => {
                let (part, rest) = input.split_at((PREFACE.len() - read).min(input.len()));
                if part != &PREFACE[read..][..part.len()] {
                    return self.fail(Code::ProtocolError);
                }
                *input = rest;
                let read = read + part.len();
                self.inbound.at = if read == PREFACE.len() { At::Head } else { At::Preface(read) };
            }
            At::Head => {
                if !self.inbound.collect(input, HEAD_BYTES) {
                    return;
                }
                let frame = Frame::read(&self.inbound.short);
                (self.inbound.frame, self.inbound.left) = (frame, frame.payload_bytes);
                self.inbound.at = At::Payload;
                if let Err(code) = self.begin_frame(frame) {
                    return self.fail(code);
                }
                if frame.payload_bytes == 0 {
                    self.end_frame();
                }
            }
            At::Payload => {
                let before = input.len();
                let max = (self.inbound.left as usize).min(before);
                self.read_payload(input, max);
                self.inbound.left -= (before - input.len()) as u32;
                if self.inbound.left == 0 && self.fault.is_none() {
                    self.end_frame();
                }
            }
        }
    }

    /// The peer has broken a rule of the connection.
    fn fail(&mut self, code: Code) {
        self.fault.get_or_insert(code);
    }

    /// Whether nobody has opened the stream yet.
    fn is_idle(&self, id: u32) -> bool {
        match self.role {
            Role::Server => id.is_multiple_of(2) || id > self.peers_seen_id,
            Role::Client => id.is_multiple_of(2) || (self.next_id != 0 && id >= self.next_id),
        }
    }

    /// What can be said of a frame by its head (RFC 9113 §4 to §6).
    fn begin_frame(&mut self, frame: Frame) -> Result<(), Code> {
        let Frame { payload_bytes: bytes, kind, flags, stream } = frame;
        let is_ack = flags & flag::ACK != 0;
        if bytes > FRAME_BYTES_MAX {
            return Err(Code::FrameSizeError);
        }
        if !self.inbound.has_settings && (kind != kind::SETTINGS || is_ack) {
            return Err(Code::ProtocolError);
        }
        match &self.inbound.block {
            Some(block) if kind != kind::CONTINUATION || block.stream != stream => {
                return Err(Code::ProtocolError);
            }
            None if kind == kind::CONTINUATION => return Err(Code::ProtocolError),
            Some(_) | None => {}
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
        let has_place = match kind {
            kind::SETTINGS | kind::PING | kind::GOAWAY => stream == 0,
            kind::DATA | kind::RST_STREAM => stream != 0 && !self.is_idle(stream),
            kind::WINDOW_UPDATE => stream == 0 || !self.is_idle(stream),
            kind::PRIORITY => stream != 0,
            kind::HEADERS if self.role == Role::Server => !stream.is_multiple_of(2),
            kind::HEADERS => stream != 0 && !self.is_idle(stream),
            // We never allow one.
            kind::PUSH_PROMISE => false,
            _ => true,
        };
        match (has_place, fits) {
            (false, _) => return Err(Code::ProtocolError),
            (_, false) => return Err(Code::FrameSizeError),
            (true, true) => {}
        }
        match kind {
            kind::DATA => self.begin_data(frame),
            kind::HEADERS => self.begin_block(frame),
            kind::CONTINUATION => self.continue_block(frame),
            _ => Ok(()),
        }
    }

    /// Reads of a payload, of which so many bytes are there.
    fn read_payload(&mut self, input: &mut &[u8], max: usize) {
        let inbound = &mut self.inbound;
        match inbound.frame.kind {
            kind::DATA => {
                let (part, rest) = input.split_at(max);
                *input = rest;
                self.read_data(part);
            }
            kind::HEADERS
                if max == inbound.left as usize
                    && inbound.has(flag::END_HEADERS)
                    && inbound.block_bytes.is_empty() =>
            {
                // The common case: all of it lies here.
                let (part, rest) = input.split_at(max);
                *input = rest;
                self.read_block(part);
            }
            kind::HEADERS | kind::CONTINUATION => {
                let (part, rest) = input.split_at(max);
                *input = rest;
                inbound.block_bytes.extend_from_slice(part);
            }
            kind::SETTINGS => {
                if inbound.collect(input, 6) {
                    let [high, low, value @ ..] = inbound.short;
                    let value = value.first_chunk().map_or(0, |value| u32::from_be_bytes(*value));
                    if let Err(code) = self.read_setting(u16::from_be_bytes([high, low]), value) {
                        self.fail(code);
                    }
                }
            }
            kind::PING | kind::RST_STREAM | kind::WINDOW_UPDATE | kind::PRIORITY => {
                // What is short is whole when the frame is.
                inbound.collect(input, inbound.frame.payload_bytes as usize);
            }
            kind::GOAWAY if inbound.frame.payload_bytes - inbound.left < 8 => {
                if inbound.collect(input, 8) {
                    let [_, _, _, _, code @ ..] = inbound.short;
                    let code = code.first_chunk().map_or(0, |code| u32::from_be_bytes(*code));
                    let last_id = inbound.number() & !(1 << 31);
                    self.leave(last_id, Code::of(code));
                }
            }
            _ => *input = &input[max..],
        }
    }

    /// A frame is whole.
    fn end_frame(&mut self) {
        self.inbound.at = At::Head;
        self.inbound.short_bytes = 0;
        let Frame { kind, stream, payload_bytes, .. } = self.inbound.frame;
        // Of whole frames only, so that it depends on no cut.
        self.received_bytes =
            self.received_bytes.saturating_add(HEAD_BYTES as u64 + u64::from(payload_bytes));
        let is_ack = self.inbound.has(flag::ACK);
        match kind {
            kind::DATA => self.end_data(),
            kind::HEADERS | kind::CONTINUATION => self.end_part(),
            kind::SETTINGS if is_ack => self.acknowledged(),
            kind::SETTINGS => {
                self.inbound.has_settings = true;
                self.tariff.settings();
                self.write_frame(kind::SETTINGS, flag::ACK, 0, &[]);
            }
            kind::PING => {
                let ping = *self.inbound.short.first_chunk().unwrap_or(&[0; 8]);
                self.tariff.ping(is_ack);
                if is_ack {
                    self.answered(ping);
                } else {
                    self.write_frame(kind::PING, flag::ACK, 0, &ping);
                }
            }
            kind::RST_STREAM => self.read_reset(stream, Code::of(self.inbound.number())),
            kind::WINDOW_UPDATE => self.read_update(stream, self.inbound.number() & !(1 << 31)),
            kind::GOAWAY => self.tariff.goaway(),
            kind::PRIORITY => self.read_priority(stream, self.inbound.number() & !(1 << 31)),
            _ => self.tariff.extra(),
        }
    }

    /// RFC 9113 §6.5.2.
    fn read_setting(&mut self, setting: u16, value: u32) -> Result<(), Code> {
        match setting {
            setting::HEADER_TABLE_SIZE => self.encoder.set_table_bytes_max(value),
            setting::ENABLE_PUSH if value > 1 || (value == 1 && self.role == Role::Client) => {
                return Err(Code::ProtocolError);
            }
            setting::MAX_CONCURRENT_STREAMS => {
                self.peers_streams_max = value;
                self.wake_calls();
            }
            setting::INITIAL_WINDOW_SIZE => {
                let value = i64::from(value);
                if value > WINDOW_BYTES_MAX {
                    return Err(Code::FlowControlError);
                }
                self.move_windows(value - self.initial_window)?;
            }
            setting::MAX_FRAME_SIZE if !(FRAME_BYTES_MAX..1 << 24).contains(&value) => {
                return Err(Code::ProtocolError);
            }
            _ => {}
        }
        Ok(())
    }

    /// Moves the windows of all streams (RFC 9113 §6.9.2).
    fn move_windows(&mut self, difference: i64) -> Result<(), Code> {
        self.initial_window += difference;
        let mut overflows = false;
        self.streams.each_open(|stream| {
            stream.window += difference;
            overflows |= stream.window > WINDOW_BYTES_MAX;
        });
        if overflows {
            return Err(Code::FlowControlError);
        }
        if difference > 0 {
            self.widened();
        }
        Ok(())
    }

    /// All streams may have room now.
    fn widened(&mut self) {
        for key in self.streams.keys().collect::<Vec<_>>() {
            self.pump(key);
            self.wake_writer(key);
        }
    }

    /// RFC 9113 §6.9.
    fn read_update(&mut self, id: u32, bytes: u32) {
        let key = if id == 0 { None } else { self.streams.find(id) };
        let window = match key {
            None if id == 0 => &mut self.window,
            None => return self.tariff.update(bytes, None),
            Some(key) => &mut self.streams.at(key).window,
        };
        let before = *window;
        *window += i64::from(bytes);
        let (after, overflows) = (*window, *window > WINDOW_BYTES_MAX);
        let code = match (bytes, overflows) {
            (0, _) => Some(Code::ProtocolError),
            (_, true) => Some(Code::FlowControlError),
            _ => None,
        };
        match (code, key) {
            (Some(code), None) => self.fail(code),
            (Some(code), Some(key)) => self.refuse(key, code),
            (None, _) => self.tariff.update(bytes, Some(after)),
        }
        match key {
            Some(key) if code.is_none() => {
                self.pump(key);
                self.wake_writer(key);
            }
            None if code.is_none() && before <= 0 => self.widened(),
            Some(_) | None => {}
        }
    }

    /// Nobody minds priorities any more (RFC 9113 §5.3.2), but a stream that depends on itself is still a fault of RFC 7540 §5.3.1,
    /// for which nginx and HAProxy reset: kept open it would be a request in flight for a frame.
    fn read_priority(&mut self, id: u32, depends_on: u32) {
        self.tariff.extra();
        match self.streams.find(id) {
            _ if depends_on != id => {}
            Some(key) => self.refuse(key, Code::ProtocolError),
            None => self.fail(Code::ProtocolError),
        }
    }

    /// RFC 9113 §6.4.
    fn read_reset(&mut self, id: u32, code: Code) {
        let Some(key) = self.streams.find(id) else { return self.tariff.reset(Reset::Late) };
        let has_head = self.streams.at(key).has_head;
        self.tariff.reset(if has_head { Reset::Answered } else { Reset::Early });
        self.over(key, End::Reset(code));
    }

    /// RFC 9113 §6.8.
    fn leave(&mut self, last_id: u32, code: Code) {
        self.goaway = Some(code);
        if self.role == Role::Client {
            let out: Vec<_> = self.streams.keys().filter(|key| self.streams.id(*key) > last_id).collect();
            for key in out {
                self.over(key, End::Refused);
            }
            self.wake_calls();
        }
    }

    /// A stream is reset for a fault of the peer's: what that costs it, and who wants to know.
    fn note_refused(&mut self, code: Code) {
        self.tariff.fault(code);
        if self.role == Role::Server {
            self.refused.push(code);
        }
    }

    /// A stream's fault, which ends that stream (RFC 9113 §5.4.2).
    pub(super) fn refuse(&mut self, key: u32, code: Code) {
        self.note_refused(code);
        self.reset(key, End::Fault(code));
    }
}
