//! A client that writes frames as it likes, and reads those of the server by their heads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::memory::{End, ends};
use super::reader::{Event, Frames};
#[cfg(test)]
use crate::h2::frames::PREFACE;
use crate::h2::frames::{Head, flag, kind};
use crate::h2::*;

/// A frame (RFC 9113 §4.1).
pub(in crate::h2) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = (payload.len() as u32).to_be_bytes();
    [&length[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

pub(in crate::h2) fn headers(flags: u8, stream: u32, block: &[u8]) -> Vec<u8> {
    frame(kind::HEADERS, flags | flag::END_HEADERS, stream, block)
}

pub(in crate::h2) fn data(flags: u8, stream: u32, bytes: &[u8]) -> Vec<u8> {
    frame(kind::DATA, flags, stream, bytes)
}

pub(in crate::h2) fn window_update(stream: u32, bytes: u32) -> Vec<u8> {
    frame(kind::WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())
}

pub(in crate::h2) fn rst_stream(stream: u32, code: Code) -> Vec<u8> {
    frame(kind::RST_STREAM, 0, stream, &code.number().to_be_bytes())
}

pub(in crate::h2) fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> = values
        .iter()
        .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
        .collect();
    frame(kind::SETTINGS, 0, 0, &payload)
}

/// An integer with a prefix of seven bits, whose highest bit is clear (RFC 7541 §5.1).
pub(in crate::h2) fn integer(value: usize, prefix_bits: u32) -> Vec<u8> {
    let max = (1 << prefix_bits) - 1;
    if value < max {
        return vec![value as u8];
    }
    let (mut bytes, mut rest) = (vec![max as u8], value - max);
    while rest >= 128 {
        bytes.push((rest % 128 + 128) as u8);
        rest /= 128;
    }
    bytes.push(rest as u8);
    bytes
}

/// A field, literal and never to be indexed (RFC 7541 §6.2.3).
pub(in crate::h2) fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&[0x10][..], &integer(name.len(), 7), name, &integer(value.len(), 7), value].concat()
}

/// A header block of such fields.
pub(in crate::h2) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| literal(name.as_bytes(), value.as_bytes())).collect()
}

/// A plain request's.
pub(in crate::h2) fn plain() -> Vec<u8> {
    block(&[(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "a.example")])
}

/// Whether the server wants another turn.
#[derive(Default)]
pub(in crate::h2) struct Woken(AtomicBool);

impl Woken {
    pub(in crate::h2) fn clear(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    pub(in crate::h2) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The client and the server it speaks to.
pub(in crate::h2) struct Raw {
    end: End,
    pub(in crate::h2) server: Server<End>,
    frames: Frames,
    /// Frames of the server that were not looked at.
    pub(in crate::h2) got: Vec<(Head, Vec<u8>)>,
    /// What comes is read.
    reads: bool,
    /// How the connection has ended.
    pub(in crate::h2) ended: Option<Option<Fault>>,
}

impl Raw {
    /// Nothing was sent yet.
    pub(in crate::h2) fn silent(settings: &Settings) -> Self {
        let (end, other) = ends();
        let server = Server::new(other, settings);
        Self { end, server, frames: Frames::new(false), got: Vec::new(), reads: true, ended: None }
    }

    pub(in crate::h2) fn send(&mut self, bytes: &[u8]) {
        self.end.put(bytes);
    }

    /// Lets the server work until nothing moves; the requests that came out.
    pub(in crate::h2) fn run(&mut self) -> Vec<Incoming> {
        let mut requests = Vec::new();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        while self.ended.is_none() {
            let before = self.end.state();
            woken.clear();
            match self.server.poll(&mut cx) {
                Poll::Ready(Some(Ok(request))) => requests.push(request),
                Poll::Ready(Some(Err(fault))) => self.ended = Some(Some(fault)),
                Poll::Ready(None) => self.ended = Some(None),
                Poll::Pending if self.end.state() == before && !woken.is_set() => break,
                Poll::Pending => {}
            }
        }
        if self.reads {
            self.read();
        }
        requests
    }

    fn read(&mut self) {
        let bytes = self.end.take();
        let mut rest = &bytes[..];
        while let Some(event) = self.frames.next(&mut rest) {
            match (event, self.got.last_mut()) {
                (Event::Head(head), _) => self.got.push((head, Vec::new())),
                (Event::Payload(part), Some((_, payload))) => payload.extend_from_slice(part),
                (Event::Payload(_), None) | (Event::End, _) => {}
            }
        }
    }
}

#[cfg(test)]
impl Raw {
    /// So many bytes of the server wait for being read, and are not; or all are read.
    pub(in crate::h2) fn bound(&mut self, room: Option<usize>) {
        self.end.bound(room);
        self.reads = room.is_none();
    }

    /// Preface and settings were exchanged.
    pub(in crate::h2) fn new() -> Self {
        Self::with(&Settings::CLIENTS, &[])
    }

    pub(in crate::h2) fn with(own: &Settings, theirs: &[(u16, u32)]) -> Self {
        let mut raw = Self::silent(own);
        raw.send(PREFACE);
        raw.send(&settings(theirs));
        raw.send(&frame(kind::SETTINGS, flag::ACK, 0, b""));
        assert!(raw.run().is_empty() && raw.ended.is_none());
        raw.got.clear();
        raw
    }

    /// The code of the last frame of that kind, `RST_STREAM` or `GOAWAY`, on a stream.
    pub(in crate::h2) fn code(&self, wanted: u8, stream: u32) -> Option<Code> {
        let is_wanted = |(head, _): &&(Head, Vec<u8>)| head.kind == wanted && head.stream == stream;
        let (_, payload) = self.got.iter().rfind(is_wanted)?;
        let at = if wanted == kind::GOAWAY { 4 } else { 0 };
        Some(Code::of(u32::from_be_bytes(*payload.get(at..)?.first_chunk()?)))
    }
}
