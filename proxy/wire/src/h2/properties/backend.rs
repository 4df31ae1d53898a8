//! A backend that writes frames as it likes, and a client of ours that calls it.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use message::{Authority, Method, Request};

use super::memory::{End, ends};
use super::raw::{Woken, frame, settings};
use super::reader::{Event, Frames};
use crate::h2::frames::{Head, flag, kind};
use crate::h2::*;

/// The backend and the client that calls it.
pub(in crate::h2) struct Backend {
    end: End,
    pub(in crate::h2) client: Client<End>,
    pub(in crate::h2) caller: Caller,
    frames: Frames,
    /// Frames of the client.
    pub(in crate::h2) got: Vec<(Head, Vec<u8>)>,
    /// How the connection has ended.
    pub(in crate::h2) ended: Option<Result<(), Fault>>,
}

impl Backend {
    /// Preface and settings were exchanged.
    pub(in crate::h2) fn new() -> Self {
        let mut backend = Self::without_ack();
        backend.send(&frame(kind::SETTINGS, flag::ACK, 0, b""));
        backend.run();
        backend
    }

    /// Preface and settings were sent, and the client's not acknowledged.
    pub(in crate::h2) fn without_ack() -> Self {
        let (end, other) = ends();
        let (client, caller) = Client::new(other, &Settings::BACKENDS);
        let frames = Frames::new(true);
        let mut backend = Self { end, client, caller, frames, got: Vec::new(), ended: None };
        backend.send(&settings(&[]));
        backend.run();
        backend
    }

    /// Calls with a plain request, without a body or with one to come.
    pub(in crate::h2) fn call(&mut self, method: &Method, ends: bool) -> Option<(Awaited, Sender)> {
        self.call_within(method, ends, None)
    }

    /// The same within a loan.
    pub(in crate::h2) fn call_within(
        &mut self,
        method: &Method,
        ends: bool,
        loan: Option<Loan>,
    ) -> Option<(Awaited, Sender)> {
        let mut request = Request { method: method.clone(), ..Request::default() };
        let target = request.target.read(b"/", Default::default());
        debug_assert!(target.is_ok());
        let authority = Authority::parse(b"b.example").unwrap_or_default();
        self.caller.call(&request, &authority, true, None, ends, loan).ok()
    }

    pub(in crate::h2) fn send(&mut self, bytes: &[u8]) {
        self.end.put(bytes);
    }

    /// Sends no more.
    pub(in crate::h2) fn finish(&mut self) {
        self.end.finish();
    }

    /// Lets the client work until nothing moves.
    pub(in crate::h2) fn run(&mut self) {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        while self.ended.is_none() {
            let before = self.end.state();
            woken.clear();
            match self.client.poll(&mut cx) {
                Poll::Ready(outcome) => self.ended = Some(outcome),
                Poll::Pending if self.end.state() == before && !woken.is_set() => break,
                Poll::Pending => {}
            }
        }
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
