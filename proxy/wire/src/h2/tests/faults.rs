//! What ends a connection at once, with the code that RFC 9113 has for it, however the bytes are cut.

use crate::h2::frames::{PREFACE, flag, kind};
use crate::h2::properties::raw::*;
use crate::h2::*;

/// Sends it to a connection that has begun well.
#[track_caller]
fn check(bytes: &[u8], code: Code) {
    check_on(Raw::new, bytes, code);
}

#[track_caller]
fn check_on(begin: fn() -> Raw, bytes: &[u8], code: Code) {
    for cut in [bytes.len(), 1, 7, 10] {
        let mut raw = begin();
        let mut requests = Vec::new();
        for piece in bytes.chunks(cut) {
            raw.send(piece);
            requests.extend(raw.run());
        }
        assert_eq!(raw.code(kind::GOAWAY, 0), Some(code), "in pieces of {cut}: {:?}", raw.ended);
        assert_eq!(raw.ended, Some(Some(Fault::Broken(code))), "in pieces of {cut}");
    }
}

/// RFC 9113, section 3.4.
#[test]
fn settings_come_first() {
    for first in [frame(kind::PING, 0, 0, &[0; 8]), headers(flag::END_STREAM, 1, &plain())] {
        check_on(|| Raw::silent(&Settings::CLIENTS), &[&PREFACE[..], &first].concat(), Code::ProtocolError);
    }
}

/// RFC 9113, sections 4.2 and 6.
#[test]
fn lengths() {
    for (kind, flags, stream, bytes) in [
        (kind::PING, 0, 0, 7),
        (kind::PING, flag::ACK, 0, 9),
        (kind::RST_STREAM, 0, 1, 3),
        (kind::WINDOW_UPDATE, 0, 0, 5),
        (kind::PRIORITY, 0, 1, 4),
        (kind::SETTINGS, 0, 0, 5),
        (kind::SETTINGS, flag::ACK, 0, 6),
        (kind::GOAWAY, 0, 0, 7),
    ] {
        let wrong = frame(kind, flags, stream, &vec![0; bytes]);
        check(&[headers(0, 1, &plain()), wrong].concat(), Code::FrameSizeError);
    }
}

/// RFC 9113, section 6.5.2.
#[test]
fn a_window_that_is_none() {
    check(&settings(&[(3, 1), (4, 1 << 31), (5, 0)]), Code::FlowControlError);
}

/// RFC 9113, section 5.1: half-closed (remote).
#[test]
fn behind_the_end_of_a_stream() {
    let get = headers(flag::END_STREAM, 1, &plain());
    let post = [headers(0, 1, &plain()), data(flag::END_STREAM, 1, b"a")].concat();
    for begun in [get, post] {
        check(&[&begun[..], &data(0, 1, b"b")].concat(), Code::StreamClosed);
        check(
            &[&begun[..], &headers(flag::END_STREAM, 1, &block(&[("x-a", "b")]))].concat(),
            Code::StreamClosed,
        );
    }
}

/// Frames before the fault are still read, and those who asked know which.
#[test]
fn what_came_before_counts() {
    let mut raw = Raw::new();
    let ping = frame(kind::PING, 0, 0, &[0; 7]);
    raw.send(&[headers(flag::END_STREAM, 1, &plain()), headers(0, 3, &plain()), ping].concat());
    assert_eq!(raw.run().len(), 2);
    let (_, last) = raw.got.iter().find(|(head, _)| head.kind == kind::GOAWAY).expect("a last word");
    assert_eq!(last[..4], 3_u32.to_be_bytes());
}

/// What a client has opened before it heard that we go is left out, and costs the streams under way nothing (RFC 9113 §6.8).
#[test]
fn streams_behind_the_last_one() {
    let mut raw = Raw::new();
    raw.send(&headers(flag::END_STREAM, 1, &plain()));
    let first = raw.run();
    raw.server.go_away();
    raw.run();
    let ping = raw.got.iter().find(|(head, _)| head.kind == kind::PING).unwrap().1.clone();
    raw.send(&[headers(flag::END_STREAM, 3, &plain()), frame(kind::PING, flag::ACK, 0, &ping)].concat());
    let second = raw.run();
    assert_eq!((first.len(), second.len()), (1, 1));
    raw.send(&[headers(0, 5, &plain()), data(0, 5, b"a"), rst_stream(5, Code::Cancel)].concat());
    assert!(raw.run().is_empty());
    let (_, last) = raw.got.iter().rfind(|(head, _)| head.kind == kind::GOAWAY).unwrap();
    assert_eq!((&last[..4], raw.ended), (&3_u32.to_be_bytes()[..], None));
    drop((first, second));
    raw.run();
    assert_eq!(raw.ended, Some(None));
}
