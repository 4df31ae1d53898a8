//! What lies with the engine while a client does not read: bounded for all streams together, and whoever waits is woken.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use message::Response;

use crate::h2::engine::OUT_BYTES_MAX;
use crate::h2::frames::flag;
use crate::h2::properties::raw::*;
use crate::h2::*;

const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";
const PIECE_BYTES: usize = 64 * 1024;
const SOCKET_BYTES: usize = 16 * 1024;

/// A client with wide windows that does not read, and answers of which each is as long as there is room for.
fn stuffed() -> (Raw, Vec<Sender>) {
    let mut raw = Raw::with(&Settings::CLIENTS, &[(4, 1 << 20)]);
    raw.send(&window_update(0, 1 << 30));
    raw.bound(Some(SOCKET_BYTES));
    let mut senders = Vec::new();
    (0..20).for_each(|number| raw.send(&headers(flag::END_STREAM, 2 * number + 1, &plain())));
    let requests = raw.run();
    assert_eq!(requests.len(), 20);
    for request in requests {
        let (_, mut reply) = request.split();
        let mut sender = reply.answer(&Response::new(200), None, DATE, false).unwrap();
        let room = sender.room(PIECE_BYTES);
        sender.send(Bytes::from(vec![7; room]), false).unwrap();
        raw.run();
        senders.push(sender);
    }
    (raw, senders)
}

#[test]
fn what_waits_for_a_client_that_does_not_read_is_bounded() {
    let (mut raw, mut senders) = stuffed();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    let last = senders.last_mut().unwrap();
    assert_eq!(last.room(PIECE_BYTES), 0);
    assert_eq!((last.poll_room(&mut cx), woken.is_set()), (Poll::Pending, false));
    raw.run();
    assert!(!woken.is_set(), "nothing has moved");
    // All of it comes, and not more than the bound.
    raw.bound(None);
    let mut got = 0;
    raw.run();
    got += raw
        .got
        .drain(..)
        .map(|(head, _)| if head.kind == 0 { head.payload_bytes as usize } else { 0 })
        .sum::<usize>();
    assert!(got <= OUT_BYTES_MAX + SOCKET_BYTES + PIECE_BYTES, "{got} bytes lay there");
    assert!(got > OUT_BYTES_MAX / 2 && woken.is_set());
    assert!(matches!(last.poll_room(&mut cx), Poll::Ready(Ok(1..))));
}

#[test]
fn who_waits_for_others_bytes_hears_of_a_reset() {
    let (mut raw, mut senders) = stuffed();
    let mut cx = Context::from_waker(Waker::noop());
    let last = senders.last_mut().unwrap();
    assert_eq!(last.poll_room(&mut cx), Poll::Pending);
    raw.send(&rst_stream(39, Code::Cancel));
    raw.run();
    assert_eq!(last.poll_room(&mut cx), Poll::Ready(Err(Code::Cancel)));
}

/// What is given up makes room for others.
#[test]
fn bytes_of_a_stream_that_is_reset_are_forgotten() {
    let (mut raw, mut senders) = stuffed();
    for sender in &mut senders[..19] {
        sender.reset(Code::InternalError);
    }
    raw.bound(None);
    raw.run();
    assert_eq!(senders[19].room(PIECE_BYTES), PIECE_BYTES);
}
