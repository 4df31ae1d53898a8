//! A session as a script: what a client sends and what we do with its streams, one step after the other, each made of a
//! few bytes. The client counts what it was granted and what it was sent.

use std::collections::BTreeMap;
use std::task::{Context, Waker};

use bytes::Bytes;
use message::{Headers, PathRules, Request, Response};

use super::raw::*;
use super::request_is_clean;
use crate::Limits;
use crate::h2::frames::{Head, flag, kind};
use crate::h2::*;

const RULES: PathRules = PathRules { merge_slashes: false, encoded_slashes: false };
const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

/// Bytes of a script, zeros behind its end.
pub(in crate::h2) struct Script<'a>(pub(in crate::h2) &'a [u8]);

impl Script<'_> {
    pub(in crate::h2) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(in crate::h2) fn next(&mut self) -> usize {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                usize::from(*first)
            }
            None => 0,
        }
    }

    /// A number with many small and some large ones.
    pub(in crate::h2) fn size(&mut self) -> usize {
        let (low, high) = (self.next(), self.next());
        low << (high % 17)
    }

    /// True for one number of so many.
    pub(in crate::h2) fn one_in(&mut self, numbers: usize) -> bool {
        self.next().is_multiple_of(numbers)
    }

    pub(in crate::h2) fn field(&mut self) -> Vec<u8> {
        const FIELDS: [(&str, &str); 12] = [
            ("x-a", "b"),
            ("cookie", "a=1"),
            ("content-length", "5"),
            ("host", "a.example"),
            ("te", "trailers"),
            ("expect", "100-continue"),
            ("x_a", "b"),
            ("connection", "close"),
            (":path", "/b"),
            ("X-A", "b"),
            ("x-a", " b"),
            ("grpc-status", "0"),
        ];
        let (name, value) = FIELDS[self.next() % FIELDS.len()];
        literal(name.as_bytes(), value.as_bytes())
    }
}

/// What the client may send and was sent, by its own count.
#[derive(Default)]
pub(in crate::h2) struct Grants {
    /// Bytes that streams, and the connection as stream 0, may send to the server.
    upward: BTreeMap<u32, i64>,
    upward_initial: i64,
    /// The same for what the server may send.
    downward: BTreeMap<u32, i64>,
    downward_initial: i64,
}

impl Grants {
    fn new() -> Self {
        let connection = BTreeMap::from([(0, 65_535)]);
        Self {
            upward: connection.clone(),
            upward_initial: i64::from(Settings::CLIENTS.stream_window_bytes),
            downward: connection,
            downward_initial: 65_535,
        }
    }

    /// Bytes that may be sent on a stream now.
    pub(in crate::h2) fn room(&self, stream: u32) -> usize {
        let of = |stream: u32| self.upward.get(&stream).copied().unwrap_or(self.upward_initial);
        usize::try_from(of(stream).min(of(0))).unwrap_or(0)
    }

    /// Bytes that all streams together may send now.
    #[cfg(test)]
    pub(in crate::h2) fn connection_room(&self) -> usize {
        self.upward.get(&0).map_or(0, |window| *window as usize)
    }

    fn open(&mut self, stream: u32) {
        self.upward.insert(stream, self.upward_initial);
        self.downward.insert(stream, self.downward_initial);
    }

    pub(in crate::h2) fn sends(&mut self, stream: u32, bytes: usize) {
        for stream in [0, stream] {
            self.upward.entry(stream).and_modify(|window| *window -= bytes as i64);
        }
    }

    /// Counts a frame of the server. It never sends more than it may (RFC 9113 §6.9.1).
    fn got(&mut self, (head, payload): &(Head, Vec<u8>)) {
        match head.kind {
            kind::WINDOW_UPDATE => {
                let bytes = payload.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
                self.upward.entry(head.stream).and_modify(|window| *window += i64::from(bytes));
            }
            kind::DATA => {
                for stream in [0, head.stream] {
                    let window = self.downward.get_mut(&stream);
                    let window = window.unwrap_or_else(|| panic!("DATA on stream {stream}"));
                    *window -= payload.len() as i64;
                    assert!(*window >= 0 || payload.is_empty(), "stream {stream} is sent too much");
                }
            }
            _ => {}
        }
    }

    fn grants(&mut self, stream: u32, bytes: u32) {
        self.downward.entry(stream).and_modify(|window| *window += i64::from(bytes));
    }

    fn sets_initial(&mut self, bytes: u32) {
        let difference = i64::from(bytes) - self.downward_initial;
        self.downward_initial += difference;
        let streams = self.downward.iter_mut().filter(|(stream, _)| **stream != 0);
        streams.for_each(|(_, window)| *window += difference);
    }
}

/// One stream, as far as we have parts of it.
pub(in crate::h2) struct Open {
    pub(in crate::h2) id: u32,
    pub(in crate::h2) receiver: Option<Receiver>,
    pub(in crate::h2) reply: Option<Reply>,
    sender: Option<Sender>,
}

/// A client, the server, and the parts of its streams.
pub(in crate::h2) struct Session {
    pub(in crate::h2) raw: Raw,
    pub(in crate::h2) grants: Grants,
    pub(in crate::h2) open: Vec<Open>,
    next_id: u32,
}

impl Session {
    pub(in crate::h2) fn new() -> Self {
        Self::with(&Settings::CLIENTS)
    }

    /// With settings whose windows are those of [`Settings::CLIENTS`].
    pub(in crate::h2) fn with(own: &Settings) -> Self {
        let mut session = Self { raw: Raw::silent(own), grants: Grants::new(), open: Vec::new(), next_id: 1 };
        session.raw.send(crate::h2::frames::PREFACE);
        session.raw.send(&settings(&[]));
        session.raw.send(&frame(kind::SETTINGS, flag::ACK, 0, b""));
        session.run();
        session
    }

    /// Does the next step of a script.
    pub(in crate::h2) fn step(&mut self, script: &mut Script<'_>) {
        let step = script.next() % 18;
        let number = script.next();
        // One that is open, or any that was.
        let stream = match self.open.get(number) {
            Some(open) => open.id,
            None => 2 * (number as u32 % (self.next_id / 2).max(1)) + 1,
        };
        match step {
            0 | 1 => self.request(step == 0, script),
            2 | 3 => {
                let bytes = script.size().min(16_000).min(self.grants.room(stream).saturating_sub(4));
                self.data(stream, bytes, step == 3, script.one_in(4));
            }
            4 => {
                let block = script.field();
                self.raw.send(&headers(flag::END_STREAM, stream, &block));
            }
            5 => self.raw.send(&rst_stream(stream, Code::of(script.next() as u32 % 16))),
            6 => {
                let (stream, bytes) = (if script.one_in(2) { 0 } else { stream }, script.size() as u32);
                self.grants.grants(stream, bytes);
                self.raw.send(&window_update(stream, bytes));
            }
            7 => {
                let bytes = script.size() as u32;
                self.grants.sets_initial(bytes);
                self.raw.send(&settings(&[(4, bytes)]));
            }
            8 => self.raw.send(&frame(kind::PING, 0, 0, &[7; 8])),
            9 => {
                let bytes = script.next().min(script.0.len());
                let (bytes, rest) = script.0.split_at(bytes);
                script.0 = rest;
                self.raw.send(bytes);
            }
            10 => self.raw.server.set_limits(script.size() as u32, 100),
            11 if script.next() == 0 => self.raw.server.go_away(),
            _ => self.own_step(step, script),
        }
        self.run();
    }

    pub(in crate::h2) fn request(&mut self, ends: bool, script: &mut Script<'_>) {
        let mut block = plain();
        (0..script.next() % 4).for_each(|_| block.extend(script.field()));
        let id = self.next_id;
        self.grants.open(id);
        self.next_id += 2;
        self.raw.send(&headers(if ends { flag::END_STREAM } else { 0 }, id, &block));
    }

    /// Sends so many bytes, within what is granted or not.
    pub(in crate::h2) fn data(&mut self, stream: u32, bytes: usize, ends: bool, padded: bool) {
        let (mut payload, mut flags) = (vec![7; bytes], if ends { flag::END_STREAM } else { 0 });
        if padded {
            flags |= flag::PADDED;
            payload = [&[3][..], &payload, &[0; 3]].concat();
        }
        self.grants.sends(stream, payload.len());
        self.raw.send(&data(flags, stream, &payload));
    }

    /// What the gateway does with one of its streams.
    fn own_step(&mut self, step: usize, script: &mut Script<'_>) {
        let mut cx = Context::from_waker(Waker::noop());
        if self.open.is_empty() {
            return;
        }
        let at = script.next() % self.open.len();
        let Open { receiver, reply, sender, .. } = &mut self.open[at];
        match step {
            12 => {
                let ends = script.one_in(2);
                let answer = reply.as_mut().map(|reply| reply.answer(&Response::new(200), None, DATE, ends));
                if let Some(Ok(answered)) = answer {
                    *sender = Some(answered).filter(|_| !ends);
                    *reply = None;
                }
            }
            13 => {
                let want = script.size().min(64 * 1024);
                if let Some(sender) = sender {
                    let room = sender.room(want);
                    // It fails on a stream that has ended; then there is nothing to be told.
                    let _ = sender.send(Bytes::from(vec![7; room]), want % 5 == 1);
                }
            }
            14 | 15 => {
                let want = script.size();
                if let Some(receiver) = receiver {
                    let _ = receiver.poll_receive(&mut cx, |bytes| (bytes.len().min(want), ()));
                    if receiver.is_ended() {
                        let _ = receiver.poll_trailers(&mut cx, &Limits::CLIENT, &mut Headers::default());
                    }
                }
            }
            16 => match (script.next() % 4, reply, sender) {
                (0, Some(reply), _) => reply.reset(Code::RefusedStream),
                (1, Some(reply), _) => drop(reply.interim(103, &Headers::default())),
                (2, _, Some(sender)) => drop(sender.send_trailers(&Headers::default())),
                (3, _, Some(sender)) => drop(sender.poll_room(&mut cx)),
                (_, Some(reply), _) => drop(reply.poll_gone(&mut cx)),
                (_, None, Some(sender)) => sender.reset(Code::InternalError),
                (_, None, None) => *receiver = None,
            },
            _ => drop(self.open.swap_remove(at)),
        }
    }

    /// Lets the server work; takes up what comes out.
    pub(in crate::h2) fn run(&mut self) {
        self.run_freely();
        self.account();
    }

    /// Counts what the server has sent.
    pub(in crate::h2) fn account(&mut self) {
        self.raw.got.drain(..).for_each(|frame| self.grants.got(&frame));
    }

    /// The same without an account of what was granted.
    pub(in crate::h2) fn run_freely(&mut self) {
        for mut incoming in self.raw.run() {
            let mut request = Request::default();
            let read = incoming.read(&Limits::CLIENT, RULES, &mut request);
            let id = incoming.id();
            let (receiver, mut reply) = incoming.split();
            match read {
                Ok(_) => {
                    request_is_clean(&request);
                    self.open.push(Open { id, receiver: Some(receiver), reply: Some(reply), sender: None });
                }
                Err(error) => {
                    drop(receiver);
                    // It fails where the client has gone.
                    drop(reply.answer(&Response::new(error.status()), Some(0), DATE, true));
                }
            }
        }
    }

    /// Parts of all streams are given up, after all that was received on them was taken.
    pub(in crate::h2) fn finish(&mut self) {
        self.open.clear();
        self.run_freely();
    }
}
