//! What a backend may send ahead of whoever reads its answer: with the call, while it is taken, while it is not, and what all
//! streams of a client may have together.

use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use message::{Method, Response};
use proptest::prelude::*;

use crate::Limits;
use crate::h2::frames::{flag, kind};
use crate::h2::properties::backend::Backend;
use crate::h2::properties::raw::*;
use crate::h2::*;

const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";
const INITIAL: usize = 1 << 10;
const MOST: usize = 256 << 10;
/// Of a client that has taken nothing, and of any.
const LOANS_FREE: usize = 64 << 10;
const LOANS_MOST: usize = 512 << 10;

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// A backend's view of one call: what it may send.
struct Called {
    stream: u32,
    window: usize,
    sent: usize,
    receiver: Receiver,
    _sender: Sender,
}

/// What the client has credited since this was asked last: a stream, the connection.
fn credit(backend: &mut Backend, stream: u32) -> usize {
    let mut bytes = 0;
    backend.got.retain(|(head, payload)| {
        let is_it = head.kind == kind::WINDOW_UPDATE && head.stream == stream;
        if is_it {
            bytes += u32::from_be_bytes(*payload.first_chunk().unwrap()) as usize;
        }
        !is_it
    });
    bytes
}

/// Calls, and begins the answer, of this length if it is said.
fn call(backend: &mut Backend, number: u32, length: Option<usize>, loan: Option<Loan>) -> Called {
    let stream = 2 * number + 1;
    let (mut awaited, sender) = backend.call_within(&Method::Get, true, loan).unwrap();
    backend.run();
    let window = INITIAL + credit(backend, stream);
    let length = length.map(|length| length.to_string());
    let mut fields = vec![(":status", "200")];
    fields.extend(length.as_deref().map(|length| ("content-length", length)));
    backend.send(&headers(0, stream, &block(&fields)));
    backend.run();
    let head = awaited.poll_head(&mut cx(), &Limits::UPSTREAM, &Method::Get, &mut Response::default());
    let Poll::Ready(Ok(AnswerHead::Final(receiver))) = head else { panic!("no answer") };
    Called { stream, window, sent: 0, receiver, _sender: sender }
}

impl Called {
    /// Sends as much of so many bytes as it may; how much that was.
    fn send(&mut self, backend: &mut Backend, bytes: usize, ends: bool) -> usize {
        let now = bytes.min(self.window);
        for (number, part) in vec![7; now].chunks(16_384).enumerate() {
            let is_last = ends && now == bytes && (number + 1) * 16_384 >= now;
            backend.send(&data(if is_last { flag::END_STREAM } else { 0 }, self.stream, part));
        }
        backend.run();
        assert_eq!(backend.ended, None);
        (self.window, self.sent) = (self.window - now, self.sent + now);
        self.look(backend);
        now
    }

    /// Takes so many bytes of what has come.
    fn take(&mut self, backend: &mut Backend, bytes: usize) -> usize {
        let taken = self.receiver.poll_receive(&mut cx(), |run| {
            let taken = run.len().min(bytes);
            (taken, taken)
        });
        backend.run();
        self.look(backend);
        match taken {
            Poll::Ready(taken) => taken.unwrap().unwrap_or(0),
            Poll::Pending => 0,
        }
    }

    fn look(&mut self, backend: &mut Backend) {
        self.window += credit(backend, self.stream);
    }
}

/// Answers of these lengths, one after the other; what the next call is given with its head.
#[track_caller]
fn check_expected(answers: &[usize], expected: usize) {
    let mut backend = Backend::new();
    for (number, bytes) in answers.iter().enumerate() {
        let mut called = call(&mut backend, number as u32, None, None);
        let mut left = *bytes;
        loop {
            left -= called.send(&mut backend, left, true);
            while called.take(&mut backend, usize::MAX) > 0 {}
            if left == 0 {
                break;
            }
        }
        assert!(called.receiver.is_ended());
    }
    let next = call(&mut backend, answers.len() as u32, None, None);
    assert_eq!(next.window, expected, "{answers:?}");
}

#[test]
fn a_call_is_given_what_answers_have() {
    check_expected(&[], 16 << 10);
    check_expected(&[20_000], 20_000);
    check_expected(&[64 << 10], 64 << 10);
    check_expected(&[64 << 10, 64 << 10], 64 << 10);
    check_expected(&[3 << 20], 64 << 10);
    // Shorter ones are forgotten slowly, and small ones need nothing.
    check_expected(&[64 << 10, 1 << 10], 56 << 10);
    check_expected(&[1 << 10; 13], 2_890);
    check_expected(&[1 << 10; 30], INITIAL);
}

/// A backend that sends all that it may, to a reader that takes all that has come: what comes in each flight.
#[track_caller]
fn check_flights(what: &str, length: Option<usize>, flights: &[usize]) {
    let mut backend = Backend::new();
    // What is expected is no part of it.
    for number in 0..30 {
        let mut called = call(&mut backend, number, None, None);
        called.send(&mut backend, 1, true);
        called.take(&mut backend, 1);
    }
    let mut called = call(&mut backend, 30, length, None);
    let mut got = Vec::new();
    for _ in flights {
        let left = length.map_or(usize::MAX, |length| length - called.sent);
        got.push(called.send(&mut backend, left, length.is_some()));
        called.take(&mut backend, usize::MAX);
    }
    assert_eq!(got, flights, "{what}");
}

#[test]
fn a_window_grows_with_what_is_taken() {
    const K: usize = 1 << 10;
    let grows = [K, 2 * K, 6 * K, 18 * K, 54 * K, 162 * K, MOST, MOST];
    check_flights("without a length", None, &grows);
    check_flights("with one", Some(1 << 30), &grows);
    check_flights("with one that is near", Some(20 * K), &[K, 2 * K, 6 * K, 11 * K]);
    check_flights("with one that fits", Some(K), &[K]);
}

/// What fits into what the backend may send needs no frame.
#[test]
fn an_answer_that_fits_is_credited_nothing() {
    let mut backend = Backend::new();
    for (number, bytes) in [16 << 10, 16 << 10, 10_001, 1].into_iter().enumerate() {
        let mut called = call(&mut backend, number as u32, Some(bytes), None);
        let window = called.window;
        for _ in 0..10 {
            called.send(&mut backend, bytes / 10, false);
            called.take(&mut backend, usize::MAX);
        }
        called.send(&mut backend, bytes - bytes / 10 * 10, true);
        called.take(&mut backend, usize::MAX);
        assert!(called.receiver.is_ended());
        assert_eq!(called.window, window - bytes, "{bytes}");
    }
}

/// However many streams stand still, and however much they have grown before, another gets what it asks for.
#[test]
fn who_stands_still_holds_up_nobody_else() {
    const STREAMS: u32 = 60;
    let mut backend = Backend::new();
    let mut still = Vec::new();
    let mut lying = 0;
    for number in 0..STREAMS {
        let mut called = call(&mut backend, number, None, None);
        while called.window < MOST {
            called.send(&mut backend, usize::MAX, false);
            called.take(&mut backend, usize::MAX);
        }
        lying += called.send(&mut backend, usize::MAX, false);
        still.push(called);
    }
    assert!(lying > 3 * Settings::BACKENDS.connection_window_bytes as usize, "{lying} bytes lie there");
    let mut called = call(&mut backend, STREAMS, Some(1 << 20), None);
    while called.sent < 1 << 20 {
        let left = (1 << 20) - called.sent;
        assert!(called.send(&mut backend, left, true) > 0);
        called.take(&mut backend, usize::MAX);
    }
    assert!(called.receiver.is_ended());
}

/// Padding is nobody's, and comes back.
#[test]
fn padding_does_not_use_a_window_up() {
    let mut backend = Backend::new();
    let mut called = call(&mut backend, 0, None, None);
    for _ in 0..2_000 {
        assert!(called.window >= 300);
        let payload = [&[255][..], &[7], &[0; 255]].concat();
        backend.send(&frame(kind::DATA, flag::PADDED, called.stream, &payload));
        backend.run();
        assert_eq!(backend.ended, None);
        called.window -= payload.len();
        called.take(&mut backend, 1);
    }
    assert!(called.window <= 17 << 10, "{}", called.window);
}

/// A backend may be late with its word that it knows our settings: until then it has the smaller window, and we know.
#[test]
fn settings_that_are_acknowledged_late_starve_nobody() {
    let mut backend = Backend::without_ack();
    let mut called = call(&mut backend, 0, None, None);
    while called.sent < 1 << 20 {
        let now = called.send(&mut backend, usize::MAX, false);
        assert!(now > 0, "after {} bytes", called.sent);
        assert_eq!(called.take(&mut backend, usize::MAX), now);
    }
    backend.send(&frame(kind::SETTINGS, flag::ACK, 0, b""));
    backend.run();
    for _ in 0..10 {
        assert!(called.send(&mut backend, usize::MAX, false) > 0);
        called.take(&mut backend, usize::MAX);
    }
}

proptest! {
    /// Whatever comes and is taken: never more lies there, or may come, than was expected or than twice what was taken, and a
    /// reader that has taken everything is not left to wait for credit.
    #[test]
    fn what_lies_there_is_bounded_and_nobody_starves(
        steps in prop::collection::vec((any::<bool>(), 0_usize..100_000), 1..80),
        borrows in any::<bool>(),
    ) {
        let (mut raw, mut backend) = (client(), Backend::new());
        let reply = borrows.then(|| replies(&mut raw, 1, 1).remove(0));
        let loan = reply.as_ref().map(Reply::loan);
        let mut called = call(&mut backend, 0, None, loan);
        let (mut taken, first) = (0, called.window);
        for (sends, bytes) in steps {
            if sends {
                called.send(&mut backend, bytes, false);
            } else {
                taken += called.take(&mut backend, bytes);
            }
            let ahead = called.window + called.sent - taken;
            let most = (2 * taken).clamp(INITIAL, MOST).max(first);
            prop_assert!(ahead <= most, "{ahead} after {taken}");
            if borrows {
                prop_assert!(ahead <= INITIAL + LOANS_FREE);
            }
            prop_assert!(called.window > 0 || called.sent > taken);
        }
    }
}

/// A client with windows for everything.
fn client() -> Raw {
    let mut raw = Raw::with(&Settings::CLIENTS, &[(4, 1 << 24)]);
    raw.send(&window_update(0, 1 << 30));
    raw
}

/// The rights to answer so many requests, the first of which is this one of the client's.
fn replies(raw: &mut Raw, first: u32, count: u32) -> Vec<Reply> {
    let mut replies = Vec::new();
    for number in first..first + count {
        raw.send(&headers(flag::END_STREAM, 2 * number - 1, &plain()));
        replies.extend(raw.run().into_iter().map(|request| request.split().1));
    }
    assert_eq!(replies.len(), count as usize);
    replies
}

/// A client of so many streams that has taken so many bytes: what each stream gets that asks for this, one after the other.
#[track_caller]
fn check_loans(streams: u32, taken: usize, want: usize, first: usize, all: usize) {
    let mut raw = client();
    let mut answered = replies(&mut raw, 1, 1).remove(0);
    let mut sender = answered.answer(&Response::new(200), None, DATE, false).unwrap();
    let mut left = taken;
    while left > 0 {
        let now = sender.room(left);
        sender.send(Bytes::from(vec![7; now]), false).unwrap();
        left -= now;
        raw.run();
    }
    drop((sender, answered));
    raw.run();
    let replies = replies(&mut raw, 2, streams);
    let mut loans: Vec<Loan> = replies.iter().map(Reply::loan).collect();
    let got: Vec<usize> = loans.iter_mut().map(|loan| loan.ask(want, 0)).collect();
    assert_eq!((got[0], got.iter().sum::<usize>()), (first, all), "{got:?}");
    // What lies there is not taken back, and what is given back is others'.
    assert_eq!(loans[0].ask(0, got[0]), got[0]);
    assert_eq!(loans[0].ask(0, 0), 0);
    loans.truncate(1);
    assert_eq!(loans[0].ask(want, 0), first);
}

#[test]
fn a_client_borrows_what_it_has_earned_and_its_streams_share_it() {
    check_loans(1, 0, 1_000, 1_000, 1_000);
    check_loans(1, 0, 1 << 30, LOANS_FREE, LOANS_FREE);
    check_loans(2, 0, 1 << 30, LOANS_FREE / 2, LOANS_FREE);
    check_loans(64, 0, 1 << 30, LOANS_FREE / 64, LOANS_FREE);
    check_loans(64, 0, 1_000, 1_000, 64_000);
    check_loans(1, 100_000, 1 << 30, LOANS_FREE + 100_000, LOANS_FREE + 100_000);
    check_loans(4, 8 << 20, 1 << 30, LOANS_MOST / 4, LOANS_MOST);
}

/// A hundred calls of a client that takes nothing of any.
#[test]
fn a_client_that_takes_nothing_holds_little() {
    let (mut raw, mut backend) = (client(), Backend::new());
    let replies = replies(&mut raw, 1, 100);
    let mut lying = 0;
    let mut calls = Vec::new();
    for (number, reply) in replies.iter().enumerate() {
        let mut called = call(&mut backend, number as u32, None, Some(reply.loan()));
        called.send(&mut backend, usize::MAX, false);
        lying += called.sent;
        calls.push(called);
    }
    assert!(lying <= LOANS_FREE + 100 * INITIAL, "{lying}");
    // All go on, once they are read.
    for called in &mut calls {
        while called.sent < 100_000 {
            assert!(called.take(&mut backend, usize::MAX) > 0);
            called.send(&mut backend, usize::MAX, false);
        }
    }
}
