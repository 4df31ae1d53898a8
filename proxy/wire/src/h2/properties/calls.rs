//! Calls as a script: what we ask of a backend and what it sends, one step after the other.

use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use message::{Headers, Method, Response};

use super::backend::Backend;
use super::raw::*;
use super::response_is_clean;
use super::session::Script;
use crate::Limits;
use crate::h2::frames::{flag, kind};
use crate::h2::*;

/// One call, as far as we have parts of it.
struct Call {
    awaited: Awaited,
    sender: Option<Sender>,
    receiver: Option<Receiver>,
}

/// A backend, the client, and the parts of its calls.
pub(in crate::h2) struct Calls {
    pub(in crate::h2) backend: Backend,
    open: Vec<Call>,
    next_id: u32,
}

impl Calls {
    pub(in crate::h2) fn new() -> Self {
        Self { backend: Backend::new(), open: Vec::new(), next_id: 1 }
    }

    /// Does the next step of a script.
    pub(in crate::h2) fn step(&mut self, script: &mut Script<'_>) {
        let step = script.next() % 15;
        let stream = if self.next_id > 1 { 2 * (script.next() as u32 % (self.next_id / 2)) + 1 } else { 1 };
        match step {
            0 | 1 => {
                let method = if script.one_in(4) { Method::Head } else { Method::Get };
                if let Some((awaited, sender)) = self.backend.call(&method, step == 0) {
                    self.open.push(Call { awaited, sender: Some(sender), receiver: None });
                    self.next_id += 2;
                }
            }
            2 | 3 => {
                const STATUSES: [&str; 6] = ["200", "204", "304", "103", "101", "500"];
                let mut block = block(&[(":status", STATUSES[script.next() % STATUSES.len()])]);
                (0..script.next() % 4).for_each(|_| block.extend(script.field()));
                self.backend.send(&headers(if step == 2 { flag::END_STREAM } else { 0 }, stream, &block));
            }
            4 => {
                let bytes = script.size().min(16_000);
                let flags = if script.one_in(3) { flag::END_STREAM } else { 0 };
                self.backend.send(&data(flags, stream, &vec![7; bytes]));
            }
            5 => self.backend.send(&headers(flag::END_STREAM, stream, &script.field())),
            6 => self.backend.send(&rst_stream(stream, Code::of(script.next() as u32 % 16))),
            7 => self.backend.send(&window_update(stream * (script.next() as u32 % 2), script.size() as u32)),
            8 => self.backend.send(&settings(&[(3 + script.next() as u16 % 2, script.size() as u32)])),
            9 => {
                let last = (script.next() as u32).to_be_bytes();
                self.backend.send(&frame(kind::GOAWAY, 0, 0, &[last, [0; 4]].concat()));
            }
            10 => self.backend.send(&frame(kind::PUSH_PROMISE, flag::END_HEADERS, stream, &[0, 0, 0, 2])),
            11 => {
                let bytes = script.next().min(script.0.len());
                let (bytes, rest) = script.0.split_at(bytes);
                script.0 = rest;
                self.backend.send(bytes);
            }
            12 if script.one_in(32) => self.backend.finish(),
            _ => self.own_step(script),
        }
        self.backend.run();
    }

    /// What the gateway does with one of its calls.
    fn own_step(&mut self, script: &mut Script<'_>) {
        let mut cx = Context::from_waker(Waker::noop());
        if self.open.is_empty() {
            return;
        }
        let at = script.next() % self.open.len();
        let Call { awaited, sender, receiver } = &mut self.open[at];
        let step = script.next() % 5;
        match (step, receiver, sender) {
            (0, receiver @ None, _) => {
                let mut response = Response::default();
                let head = awaited.poll_head(&mut cx, &Limits::UPSTREAM, &Method::Get, &mut response);
                if let Poll::Ready(Ok(head)) = head {
                    response_is_clean(&response);
                    if let AnswerHead::Final(body) = head {
                        *receiver = Some(body);
                    }
                }
            }
            (0 | 1, Some(receiver), _) => {
                let want = script.size();
                let _ = receiver.poll_receive(&mut cx, |bytes| (bytes.len().min(want), ()));
                if receiver.is_ended() {
                    let _ = receiver.poll_trailers(&mut cx, &Limits::UPSTREAM, &mut Headers::default());
                }
            }
            (2, _, Some(sender)) => {
                let room = sender.room(script.size().min(64 * 1024));
                // It fails on a stream that has ended; then there is nothing to be told.
                let _ = sender.send(Bytes::from(vec![7; room]), room % 5 == 1);
            }
            (3, _, Some(sender)) => sender.reset(Code::Cancel),
            _ => drop(self.open.swap_remove(at)),
        }
    }
}
