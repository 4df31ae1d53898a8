//! Where frames begin and end in a stream of bytes (RFC 9113 §4.1), however it is cut: for those who look at what we send.

use crate::h2::frames::{HEAD_BYTES, Head, PREFACE};

/// What the next bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::h2) enum Event<'a> {
    /// A frame begins.
    Head(Head),
    /// A run of its payload.
    Payload(&'a [u8]),
    /// It is whole.
    End,
}

/// Tells frames apart.
#[derive(Debug)]
pub(in crate::h2) struct Frames {
    /// Bytes of the preface that are to come.
    preface_left: usize,
    head: [u8; HEAD_BYTES],
    head_bytes: usize,
    payload_left: u32,
}

impl Frames {
    /// For bytes that begin with a client's preface, or do not.
    pub(in crate::h2) fn new(preface: bool) -> Self {
        let preface_left = if preface { PREFACE.len() } else { 0 };
        Self { preface_left, head: [0; HEAD_BYTES], head_bytes: 0, payload_left: 0 }
    }

    /// Takes the next event off `input`; `None` when there is nothing more to tell.
    pub(in crate::h2) fn next<'a>(&mut self, input: &mut &'a [u8]) -> Option<Event<'a>> {
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
        let head = Head::read(&self.head);
        self.payload_left = head.payload_bytes;
        Some(Event::Head(head))
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
}
