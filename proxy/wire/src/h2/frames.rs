//! Where frames begin and end in a stream of bytes (RFC 9113 §4.1), however it is cut. Holds nothing but a frame's head;
//! payloads are shown as they pass.

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
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) payload_bytes: u32,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

/// What the next bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event<'a> {
    /// A frame begins.
    Head(Head),
    /// A run of its payload.
    Payload(&'a [u8]),
    /// It is whole.
    End,
}

/// Tells frames apart.
#[derive(Debug)]
pub(super) struct Frames {
    /// Bytes of the preface that are to come.
    preface_left: usize,
    head: [u8; HEAD_BYTES],
    head_bytes: usize,
    payload_left: u32,
}

impl Frames {
    /// For bytes that begin with a client's preface, or do not.
    pub(super) fn new(preface: bool) -> Self {
        let preface_left = if preface { PREFACE.len() } else { 0 };
        Self { preface_left, head: [0; HEAD_BYTES], head_bytes: 0, payload_left: 0 }
    }

    /// Takes the next event off `input`; `None` when there is nothing more to tell.
    pub(super) fn next<'a>(&mut self, input: &mut &'a [u8]) -> Option<Event<'a>> {
        let mut take = |bytes: usize| {
            let (taken, rest) = input.split_at(bytes.min(input.len()));
            *input = rest;
            taken
        };
        self.preface_left -= take(self.preface_left).len();
        if self.head_bytes == HEAD_BYTES {
            if self.payload_left == 0 {
                self.head_bytes = 0;
                return Some(Event::End);
            }
            let payload = take(self.payload_left as usize);
            self.payload_left -= payload.len() as u32;
            return (!payload.is_empty()).then_some(Event::Payload(payload));
        }
        let part = take(HEAD_BYTES - self.head_bytes);
        self.head[self.head_bytes..][..part.len()].copy_from_slice(part);
        self.head_bytes += part.len();
        if self.head_bytes < HEAD_BYTES {
            return None;
        }
        let [a, b, c, kind, flags, stream @ ..] = self.head;
        self.payload_left = u32::from_be_bytes([0, a, b, c]);
        let stream = u32::from_be_bytes(stream) & !(1 << 31);
        Some(Event::Head(Head { payload_bytes: self.payload_left, kind, flags, stream }))
    }

    /// Whether a frame, or the preface, has begun and is not whole.
    pub(super) fn is_inside(&self) -> bool {
        self.preface_left > 0 || self.head_bytes > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames by head and payload, as they come out of pieces of that size.
    fn read(bytes: &[u8], piece_bytes: usize) -> Vec<(Head, Vec<u8>)> {
        let mut frames = Frames::new(true);
        let (mut open, mut whole) = (None, Vec::new());
        for mut piece in bytes.chunks(piece_bytes) {
            while let Some(event) = frames.next(&mut piece) {
                match (event, &mut open) {
                    (Event::Head(head), None) => open = Some((head, Vec::new())),
                    (Event::Payload(part), Some((_, payload))) => payload.extend_from_slice(part),
                    (Event::End, Some(_)) => whole.extend(open.take()),
                    (event, _) => panic!("{event:?} out of turn"),
                }
            }
            assert!(piece.is_empty());
        }
        assert!(!frames.is_inside());
        whole
    }

    #[test]
    fn frames_are_the_same_however_they_are_cut() {
        let mut bytes = PREFACE.to_vec();
        bytes.extend([0, 0, 0, 4, 1, 0, 0, 0, 0]);
        bytes.extend([0, 1, 1, 0, 0xff, 0x80, 0, 0, 1]);
        bytes.extend([7; 257]);
        bytes.extend([0, 0, 4, 8, 0, 0, 0, 1, 2, 1, 2, 3, 4]);
        let expected = [
            (Head { payload_bytes: 0, kind: 4, flags: 1, stream: 0 }, vec![]),
            (Head { payload_bytes: 257, kind: 0, flags: 0xff, stream: 1 }, vec![7; 257]),
            (Head { payload_bytes: 4, kind: 8, flags: 0, stream: 258 }, vec![1, 2, 3, 4]),
        ];
        for piece_bytes in 1..=bytes.len() {
            assert_eq!(read(&bytes, piece_bytes), expected, "pieces of {piece_bytes}");
        }
    }

    #[test]
    fn a_frame_that_is_not_whole_is_told() {
        let mut frames = Frames::new(false);
        assert!(!frames.is_inside());
        let mut head = &[0, 0, 1, 6, 0, 0, 0, 0, 0][..];
        assert!(matches!(frames.next(&mut head), Some(Event::Head(_))) && frames.is_inside());
        assert_eq!((frames.next(&mut head), frames.is_inside()), (None, true));
        let mut rest = &[1][..];
        assert_eq!(frames.next(&mut rest), Some(Event::Payload(&[1])));
        assert_eq!((frames.next(&mut rest), frames.is_inside()), (Some(Event::End), false));
    }
}
