//! How frames are written down (RFC 9113 §4.1): heads, types, flags.

/// The preface of a client (RFC 9113 §3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of a frame's head.
pub(super) const HEAD_BYTES: usize = 9;

/// Types of frames (RFC 9113 §6).
pub(super) mod kind {
    pub(in crate::h2) const DATA: u8 = 0;
    pub(in crate::h2) const HEADERS: u8 = 1;
    pub(in crate::h2) const PRIORITY: u8 = 2;
    pub(in crate::h2) const RST_STREAM: u8 = 3;
    pub(in crate::h2) const SETTINGS: u8 = 4;
    pub(in crate::h2) const PUSH_PROMISE: u8 = 5;
    pub(in crate::h2) const PING: u8 = 6;
    pub(in crate::h2) const GOAWAY: u8 = 7;
    pub(in crate::h2) const WINDOW_UPDATE: u8 = 8;
    pub(in crate::h2) const CONTINUATION: u8 = 9;
}

/// Flags of frames (RFC 9113 §6).
pub(super) mod flag {
    pub(in crate::h2) const END_STREAM: u8 = 0x1;
    /// Of PING and SETTINGS.
    pub(in crate::h2) const ACK: u8 = 0x1;
    pub(in crate::h2) const END_HEADERS: u8 = 0x4;
    pub(in crate::h2) const PADDED: u8 = 0x8;
    pub(in crate::h2) const PRIORITY: u8 = 0x20;
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) payload_bytes: u32,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Head {
    /// Reads it off its bytes. The bit that means nothing is left out.
    pub(super) fn read(bytes: &[u8; HEAD_BYTES]) -> Self {
        let [a, b, c, kind, flags, stream @ ..] = *bytes;
        let payload_bytes = u32::from_be_bytes([0, a, b, c]);
        Self { payload_bytes, kind, flags, stream: u32::from_be_bytes(stream) & !(1 << 31) }
    }

    /// Appends its bytes.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let Self { payload_bytes, kind, flags, stream } = self;
        let [_, high, middle, low] = payload_bytes.to_be_bytes();
        let [a, b, c, d] = stream.to_be_bytes();
        let head: [u8; HEAD_BYTES] = [high, middle, low, kind, flags, a, b, c, d];
        out.extend_from_slice(&head);
    }
}
