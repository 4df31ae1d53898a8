//! Messages on connections of HTTP/2, from frame to frame: the codec, what streams and windows cost, and the translation, with
//! nothing behind them. Each connection has had the same heads before, so that most of their fields are in its tables.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use message::{Authority, Method, PathRules, Request, Response};
use wire::{
    Limits,
    h2::{AnswerHead, Client, Link, Server, Settings},
};

use micro::{AGAIN, Case, FIRST, bytes};

const BODY: &[u8] = &[b'x'; 1024];
const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

/// Calls after which a client lets us send as much again: [`micro::CALLS`] have a whole number of them.
const CALLS_A_WINDOW: u32 = 50;

/// A backend's first answer: 200, and `date`, `content-type: application/json`, `server: nginx`, `x-own: 1`, which are put into the
/// table; and the next one.
const FIRST_ANSWER: &[u8] =
    b"\x88\x61\x1dSun, 06 Nov 1994 08:49:37 GMT\x5f\x10application/json\x76\x05nginx\x40\x05x-own\x011";
const NEXT_ANSWER: &[u8] = b"\x88\xc1\xc0\xbf\xbe";

mod kind {
    pub(super) const HEADERS: u8 = 1;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const WINDOW_UPDATE: u8 = 8;
}
/// END_STREAM and END_HEADERS.
const WHOLE: u8 = 5;
const ACK: u8 = 1;

/// What the other side has sent and what we have.
#[derive(Clone, Default)]
struct Memory(Rc<RefCell<(Vec<u8>, Vec<u8>)>>);

impl Memory {
    /// The other side sends a frame.
    fn put(&self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let received = &mut self.0.borrow_mut().0;
        let [_, length @ ..] = (payload.len() as u32).to_be_bytes();
        received.extend_from_slice(&length);
        received.extend_from_slice(&[kind, flags]);
        received.extend_from_slice(&stream.to_be_bytes());
        received.extend_from_slice(payload);
    }

    /// How many bytes we have sent; they are forgotten.
    fn sent(&self) -> usize {
        let sent = &mut self.0.borrow_mut().1;
        let bytes = sent.len();
        sent.clear();
        bytes
    }
}

impl Link for Memory {
    fn poll_receive(
        &self,
        _: &mut Context<'_>,
        take: &mut dyn FnMut(&[u8]) -> usize,
    ) -> Poll<io::Result<bool>> {
        let (received, _) = &mut *self.0.borrow_mut();
        if received.is_empty() {
            return Poll::Pending;
        }
        let taken = take(received);
        received.drain(..taken);
        Poll::Ready(Ok(true))
    }

    fn write(&self, bytes: &[u8]) {
        self.0.borrow_mut().1.extend_from_slice(bytes);
    }

    fn poll_room(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn finish(&self) {}
}

/// A browser that has sent its preface.
fn browser() -> Memory {
    let memory = Memory::default();
    memory.0.borrow_mut().0.extend_from_slice(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    memory.put(kind::SETTINGS, 0, 0, &[]);
    memory.put(kind::SETTINGS, ACK, 0, &[]);
    memory
}

/// Its first request's head and those that follow: the blocks that HPACK is measured by have their paths nowhere or at the end.
fn heads() -> (Vec<u8>, Vec<u8>) {
    const ROOT: u8 = 0x84;
    let (mut first, again) = (bytes(FIRST), bytes(AGAIN));
    first.insert(2, ROOT);
    let (pseudo, rest) = again.split_at(3);
    let (fields, path) = rest.split_at(5);
    (first, [pseudo, path, fields].concat())
}

/// The heads of a request and its answer, from a browser to a backend and back, both over HTTP/2.
pub(super) fn proxied_heads() -> Case {
    let (browser, backend) = (browser(), Memory::default());
    let mut server = Server::new(browser.clone(), &Settings::CLIENTS);
    let (mut client, mut caller) = Client::new(backend.clone(), &Settings::BACKENDS);
    backend.put(kind::SETTINGS, 0, 0, &[]);
    backend.put(kind::SETTINGS, ACK, 0, &[]);
    let (first, again) = heads();
    let (mut request, mut response) = (Request::default(), Response::default());
    let authority = Authority::parse(b"backend.example:8080").unwrap_or_default();
    let mut stream = 1;
    let mut cx = Context::from_waker(Waker::noop());
    Case::new("h2_proxied_heads", move || {
        let is_first = stream == 1;
        browser.put(kind::HEADERS, WHOLE, stream, if is_first { &first } else { &again });
        let Poll::Ready(Some(Ok(mut incoming))) = server.poll(&mut cx) else { return false };
        let read = incoming.read(&Limits::CLIENT, PathRules::default(), &mut request);
        let (_receiver, mut reply) = incoming.split();
        let Ok((mut awaited, _sender)) = caller.call(&request, &authority, false, None, true, None) else {
            return false;
        };
        backend.put(kind::HEADERS, WHOLE, stream, if is_first { FIRST_ANSWER } else { NEXT_ANSWER });
        stream += 2;
        let is_open = client.poll(&mut cx).is_pending();
        let head = awaited.poll_head(&mut cx, &Limits::UPSTREAM, &Method::Get, &mut response);
        let is_answered = matches!(head, Poll::Ready(Ok(AnswerHead::Final(_))))
            && reply.answer(&response, None, DATE, true).is_ok();
        let is_served = server.poll(&mut cx).is_pending();
        read.is_ok() && is_open && is_answered && is_served && browser.sent() > 0 && backend.sent() > 0
    })
}

/// A browser's request, answered with 1 KiB out of the cache.
pub(super) fn kept_answer() -> Case {
    let browser = browser();
    let mut server = Server::new(browser.clone(), &Settings::CLIENTS);
    let (first, again) = heads();
    let (mut request, mut response) = (Request::default(), Response::new(200));
    for (name, value) in [
        ("Date", &DATE[..]),
        ("Content-Type", b"application/json"),
        ("Cache-Control", b"max-age=60"),
        ("ETag", b"\"5f3c-9a1b2c3d\""),
    ] {
        response.headers.push(name, value);
    }
    let (mut calls, mut age_s) = (0, 0);
    let mut cx = Context::from_waker(Waker::noop());
    Case::new("h2_kept_answer", move || {
        if calls % CALLS_A_WINDOW == 0 {
            let bytes = CALLS_A_WINDOW * BODY.len() as u32;
            browser.put(kind::WINDOW_UPDATE, 0, 0, &bytes.to_be_bytes());
            age_s += 1;
            response.headers.set("Age", format!("{age_s:02}").as_bytes());
        }
        browser.put(kind::HEADERS, WHOLE, 2 * calls + 1, if calls == 0 { &first } else { &again });
        calls += 1;
        let Poll::Ready(Some(Ok(mut incoming))) = server.poll(&mut cx) else { return false };
        let read = incoming.read(&Limits::CLIENT, PathRules::default(), &mut request);
        let (_receiver, mut reply) = incoming.split();
        let Ok(mut sender) = reply.answer(&response, Some(BODY.len() as u64), DATE, false) else {
            return false;
        };
        let is_sent = sender.send(Bytes::from_static(BODY), true).is_ok();
        let is_served = server.poll(&mut cx).is_pending();
        read.is_ok() && is_sent && is_served && browser.sent() > BODY.len()
    })
}
