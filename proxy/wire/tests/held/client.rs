//! A client's bytes, and where they lie.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};

use wire::h2::Link;

/// Bytes that the gateway has sent and the client does not read: as many as a socket takes.
const SOCKET_BYTES: usize = 64 * 1024;

/// What the client has sent, and how much it was sent.
#[derive(Clone, Default)]
pub(crate) struct Memory(Rc<RefCell<(Vec<u8>, usize)>>);

impl Memory {
    pub(crate) fn put(&self, bytes: &[u8]) {
        self.0.borrow_mut().0.extend_from_slice(bytes);
    }

    /// Bytes that it takes itself.
    pub(crate) fn bytes(&self) -> usize {
        self.0.borrow().0.capacity()
    }

    /// What changes while anything moves.
    pub(crate) fn state(&self) -> (usize, usize) {
        let inner = self.0.borrow();
        (inner.0.len(), inner.1)
    }
}

impl Link for Memory {
    fn poll_receive(
        &self,
        _: &mut Context<'_>,
        take: &mut dyn FnMut(&[u8]) -> usize,
    ) -> Poll<io::Result<bool>> {
        let (bytes, _) = &mut *self.0.borrow_mut();
        if bytes.is_empty() {
            return Poll::Pending;
        }
        let taken = take(bytes);
        bytes.drain(..taken);
        Poll::Ready(Ok(true))
    }

    fn write(&self, bytes: &[u8]) {
        self.0.borrow_mut().1 += bytes.len();
    }

    fn poll_room(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.0.borrow().1 < SOCKET_BYTES { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn finish(&self) {}
}

/// A frame (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = (payload.len() as u32).to_be_bytes();
    [&length[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header block in as many frames as it needs.
fn block(flags: u8, stream: u32, block: &[u8]) -> Vec<u8> {
    const END_HEADERS: u8 = 4;
    let parts: Vec<_> = block.chunks(16_384).collect();
    let mut bytes = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let kind = if number == 0 { 1 } else { 9 };
        let flags = if number == 0 { flags } else { 0 };
        let end = if number + 1 == parts.len() { END_HEADERS } else { 0 };
        bytes.extend(frame(kind, flags | end, stream, part));
    }
    bytes
}

/// Preface, settings, and the acknowledgement of ours.
pub(crate) fn beginning(settings: &[(u16, u32)]) -> Vec<u8> {
    let values =
        settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat());
    let settings = frame(4, 0, 0, &values.collect::<Vec<_>>());
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &settings[..], &frame(4, 1, 0, b"")].concat()
}

/// A field in HPACK, which is not remembered.
pub(crate) fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    field(0x00, name, value)
}

/// The same, remembered as number 62.
pub(crate) fn indexed(name: &[u8], value: &[u8]) -> Vec<u8> {
    field(0x40, name, value)
}

/// A field whose value is eight times so many `a`, in Huffman's code (RFC 7541 Appendix B: five bits each).
pub(crate) fn in_huffman(name: &[u8], eights: usize) -> Vec<u8> {
    let mut bytes = literal(name, &[0x18, 0xc6, 0x31, 0x8c, 0x63].repeat(eights));
    bytes[2 + name.len()] |= 0x80;
    bytes
}

fn field(first: u8, name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first, name.len() as u8];
    bytes.extend_from_slice(name);
    let mut rest = value.len();
    if rest < 127 {
        bytes.push(rest as u8);
    } else {
        bytes.push(127);
        rest -= 127;
        while rest >= 128 {
            bytes.push((rest % 128 + 128) as u8);
            rest /= 128;
        }
        bytes.push(rest as u8);
    }
    bytes.extend_from_slice(value);
    bytes
}

/// The head of a request with a body to come: POST, https, `/`, and these fields.
pub(crate) fn post(stream: u32, fields: &[u8]) -> Vec<u8> {
    let authority = field(0x00, b":authority", b"a.example");
    block(0, stream, &[&[0x83, 0x87, 0x84][..], &authority, fields].concat())
}

pub(crate) fn trailers(stream: u32, fields: &[u8]) -> Vec<u8> {
    block(1, stream, fields)
}

pub(crate) fn data(stream: u32, bytes: &[u8]) -> Vec<u8> {
    frame(0, 0, stream, bytes)
}

pub(crate) fn window_update(stream: u32, bytes: u32) -> Vec<u8> {
    frame(8, 0, stream, &bytes.to_be_bytes())
}
