//! Frames (RFC 9113, sections 4 and 6): built from typed parts or from anything, read as they come. Nothing here says
//! what is allowed.

/// Kinds of frames (RFC 9113, section 6).
pub mod kind {
    #![allow(missing_docs, reason = "their names are the RFC's")]
    pub const DATA: u8 = 0x0;
    pub const HEADERS: u8 = 0x1;
    pub const PRIORITY: u8 = 0x2;
    pub const RST_STREAM: u8 = 0x3;
    pub const SETTINGS: u8 = 0x4;
    pub const PUSH_PROMISE: u8 = 0x5;
    pub const PING: u8 = 0x6;
    pub const GOAWAY: u8 = 0x7;
    pub const WINDOW_UPDATE: u8 = 0x8;
    pub const CONTINUATION: u8 = 0x9;
    /// RFC 9218, section 7.1.
    pub const PRIORITY_UPDATE: u8 = 0x10;
}

/// Flags of frames.
pub mod flag {
    #![allow(missing_docs, reason = "their names are the RFC's")]
    pub const END_STREAM: u8 = 0x1;
    pub const ACK: u8 = 0x1;
    pub const END_HEADERS: u8 = 0x4;
    pub const PADDED: u8 = 0x8;
    pub const PRIORITY: u8 = 0x20;
}

/// Settings (RFC 9113, section 6.5.2, and later ones).
pub mod setting {
    #![allow(missing_docs, reason = "their names are the RFC's")]
    pub const HEADER_TABLE_SIZE: u16 = 0x1;
    pub const ENABLE_PUSH: u16 = 0x2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 0x3;
    pub const INITIAL_WINDOW_SIZE: u16 = 0x4;
    pub const MAX_FRAME_SIZE: u16 = 0x5;
    pub const MAX_HEADER_LIST_SIZE: u16 = 0x6;
    /// RFC 8441, section 3.
    pub const ENABLE_CONNECT_PROTOCOL: u16 = 0x8;
    /// RFC 9218, section 2.1.
    pub const NO_RFC7540_PRIORITIES: u16 = 0x9;
}

/// Error codes (RFC 9113, section 7).
pub mod code {
    #![allow(missing_docs, reason = "their names are the RFC's")]
    pub const NO_ERROR: u32 = 0x0;
    pub const PROTOCOL_ERROR: u32 = 0x1;
    pub const INTERNAL_ERROR: u32 = 0x2;
    pub const FLOW_CONTROL_ERROR: u32 = 0x3;
    pub const SETTINGS_TIMEOUT: u32 = 0x4;
    pub const STREAM_CLOSED: u32 = 0x5;
    pub const FRAME_SIZE_ERROR: u32 = 0x6;
    pub const REFUSED_STREAM: u32 = 0x7;
    pub const CANCEL: u32 = 0x8;
    pub const COMPRESSION_ERROR: u32 = 0x9;
    pub const CONNECT_ERROR: u32 = 0xa;
    pub const ENHANCE_YOUR_CALM: u32 = 0xb;
    pub const INADEQUATE_SECURITY: u32 = 0xc;
    pub const HTTP_1_1_REQUIRED: u32 = 0xd;
}

/// The RFC's name of a code.
pub fn code_name(code: u32) -> String {
    const NAMES: [&str; 14] = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    ];
    let name = usize::try_from(code).ok().and_then(|code| NAMES.get(code));
    name.map_or_else(|| format!("{code:#x}"), |&name| name.to_owned())
}

/// Bytes before a frame's payload.
pub const HEAD_BYTES: usize = 9;

/// A frame.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; sent with its highest bit if that is set.
    pub stream: u32,
    /// What follows its head.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Any frame.
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self { kind, flags, stream, payload: payload.into() }
    }

    /// A part of a body.
    pub fn data(stream: u32, flags: u8, bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(kind::DATA, flags, stream, bytes)
    }

    /// A header block, or its beginning.
    pub fn headers(stream: u32, flags: u8, block: impl Into<Vec<u8>>) -> Self {
        Self::new(kind::HEADERS, flags, stream, block)
    }

    /// The rest of a header block.
    pub fn continuation(stream: u32, flags: u8, block: impl Into<Vec<u8>>) -> Self {
        Self::new(kind::CONTINUATION, flags, stream, block)
    }

    /// The priority of RFC 7540, which nobody heeds any more.
    pub fn priority(stream: u32, dependency: u32, weight: u8) -> Self {
        let mut payload = dependency.to_be_bytes().to_vec();
        payload.push(weight);
        Self::new(kind::PRIORITY, 0, stream, payload)
    }

    /// The end of a stream.
    pub fn reset(stream: u32, code: u32) -> Self {
        Self::new(kind::RST_STREAM, 0, stream, code.to_be_bytes())
    }

    /// Settings.
    pub fn settings(settings: &[(u16, u32)]) -> Self {
        let mut payload = Vec::new();
        for (name, value) in settings {
            payload.extend_from_slice(&name.to_be_bytes());
            payload.extend_from_slice(&value.to_be_bytes());
        }
        Self::new(kind::SETTINGS, 0, 0, payload)
    }

    /// "They hold from here on".
    pub fn settings_ack() -> Self {
        Self::new(kind::SETTINGS, flag::ACK, 0, [])
    }

    /// A promise, which clients must not give.
    pub fn push_promise(stream: u32, flags: u8, promised: u32, block: impl Into<Vec<u8>>) -> Self {
        let block: Vec<u8> = block.into();
        Self::new(kind::PUSH_PROMISE, flags, stream, [&promised.to_be_bytes()[..], &block].concat())
    }

    /// "Are you there".
    pub fn ping(bytes: [u8; 8]) -> Self {
        Self::new(kind::PING, 0, 0, bytes)
    }

    /// "Yes".
    pub fn ping_ack(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(kind::PING, flag::ACK, 0, bytes)
    }

    /// The end of a connection.
    pub fn go_away(last_stream: u32, code: u32, debug: &[u8]) -> Self {
        let payload = [&last_stream.to_be_bytes()[..], &code.to_be_bytes(), debug].concat();
        Self::new(kind::GOAWAY, 0, 0, payload)
    }

    /// Credit for a stream, or for the connection.
    pub fn window_update(stream: u32, bytes: u32) -> Self {
        Self::new(kind::WINDOW_UPDATE, 0, stream, bytes.to_be_bytes())
    }

    /// The same with these bytes of padding; of DATA, HEADERS and PUSH_PROMISE.
    #[must_use]
    pub fn padded(mut self, padding: u8) -> Self {
        self.flags |= flag::PADDED;
        self.payload.insert(0, padding);
        self.payload.extend(std::iter::repeat_n(0, usize::from(padding)));
        self
    }

    /// The same with more flags.
    #[must_use]
    pub fn flagged(mut self, flags: u8) -> Self {
        self.flags |= flags;
        self
    }

    /// The same with another payload.
    #[must_use]
    pub fn saying(mut self, payload: impl Into<Vec<u8>>) -> Self {
        self.payload = payload.into();
        self
    }

    /// As it is sent.
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes_claiming(self.payload.len())
    }

    /// As it is sent by who says another length.
    pub fn bytes_claiming(&self, length: usize) -> Vec<u8> {
        let mut bytes = length.to_be_bytes()[5..].to_vec();
        bytes.extend([self.kind, self.flags]);
        bytes.extend_from_slice(&self.stream.to_be_bytes());
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// Reads the frame at the begin; `None` while it is not whole. Says how many bytes it took.
    pub fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let (&[a, b, c, kind, flags, d, e, f, g], rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?;
        let payload = rest.get(..length)?.to_vec();
        let stream = u32::from_be_bytes([d, e, f, g]);
        Some((Self { kind, flags, stream, payload }, HEAD_BYTES + length))
    }

    /// Whether all of these flags are set.
    pub fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// The payload without padding and without the priority of RFC 7540.
    pub fn content(&self) -> Result<&[u8], String> {
        let padded =
            matches!(self.kind, kind::DATA | kind::HEADERS | kind::PUSH_PROMISE) && self.has(flag::PADDED);
        let mut content = &self.payload[..];
        if padded {
            let (&padding, rest) = content.split_first().ok_or("no length of the padding")?;
            let end = rest.len().checked_sub(usize::from(padding)).ok_or("more padding than payload")?;
            content = &rest[..end];
        }
        if self.kind == kind::HEADERS && self.has(flag::PRIORITY) {
            content = content.get(5..).ok_or("no room for a priority")?;
        }
        Ok(content)
    }

    /// Four bytes of the payload as a number.
    pub fn word(&self, at: usize) -> Option<u32> {
        self.payload.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// The settings that a SETTINGS frame holds.
    pub fn as_settings(&self) -> Vec<(u16, u32)> {
        let pairs = self.payload.chunks_exact(6);
        let pair = |six: &[u8]| {
            (u16::from_be_bytes([six[0], six[1]]), u32::from_be_bytes([six[2], six[3], six[4], six[5]]))
        };
        pairs.map(pair).collect()
    }
}

/// What a test that failed is read by.
impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN_MAX: usize = 48;
        const NAMES: [&str; 10] = [
            "DATA",
            "HEADERS",
            "PRIORITY",
            "RST_STREAM",
            "SETTINGS",
            "PUSH_PROMISE",
            "PING",
            "GOAWAY",
            "WINDOW_UPDATE",
            "CONTINUATION",
        ];
        match NAMES.get(usize::from(self.kind)) {
            Some(name) => write!(f, "{name}")?,
            None => write!(f, "kind {:#x}", self.kind)?,
        }
        write!(f, "({}, flags {:#x}, {} bytes", self.stream, self.flags, self.payload.len())?;
        match (self.kind, self.word(0), self.word(4)) {
            (kind::RST_STREAM, Some(code), _) => write!(f, ", {})", code_name(code)),
            (kind::GOAWAY, Some(last), Some(code)) => {
                write!(f, ", last {last}, {}, {})", code_name(code), self.payload[8..].escape_ascii())
            }
            (kind::WINDOW_UPDATE, Some(bytes), _) => write!(f, ", {bytes})"),
            (kind::SETTINGS, ..) => write!(f, ", {:?})", self.as_settings()),
            _ => write!(f, ", {})", self.payload[..self.payload.len().min(SHOWN_MAX)].escape_ascii()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Frame, flag};

    #[test]
    fn frames_are_read_as_they_were_written() {
        for frame in [
            Frame::data(1, flag::END_STREAM, "hello"),
            Frame::headers(0x7fff_ffff, flag::END_HEADERS, [0x82]).padded(7),
            Frame::settings(&[(3, 100), (0xff, 1)]),
            Frame::go_away(5, 11, b"calm"),
            Frame::new(0xee, 0xff, 0x8000_0001, vec![0; 70_000]),
        ] {
            let bytes = frame.bytes();
            assert_eq!(Frame::read(&bytes), Some((frame.clone(), bytes.len())));
            assert_eq!(Frame::read(&bytes[..bytes.len() - 1]), None);
        }
        assert_eq!(Frame::data(3, 0, "hello").padded(9).content(), Ok(&b"hello"[..]));
        assert!(Frame::data(3, flag::PADDED, [2, 0]).content().is_err());
        assert_eq!(Frame::ping([7; 8]).bytes(), b"\0\0\x08\x06\0\0\0\0\0\x07\x07\x07\x07\x07\x07\x07\x07");
        assert_eq!(Frame::settings(&[(3, 100), (4, 9)]).as_settings(), [(3, 100), (4, 9)]);
    }
}
