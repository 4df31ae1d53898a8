//! What is odd, as frames: each flood ends its connection within a thousand frames of it, and those who mean well stay far
//! from the limit.

use bytes::Bytes;
use message::{PathRules, Request, Response};

use crate::Limits;

use crate::h2::frames::{PREFACE, flag, kind};
use crate::h2::properties::raw::*;
use crate::h2::*;

const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";
const RULES: PathRules = PathRules { merge_slashes: false, encoded_slashes: false };
const MAX_FRAMES: usize = 1_000;

/// What becomes of requests.
#[derive(Clone, Copy, PartialEq)]
enum Served {
    /// They wait.
    Never,
    /// Answered at once, without a body.
    Empty,
    /// Answered at once with so many bytes, and not ended.
    Bytes(usize),
}

/// Parts of streams that are open.
type Parts = (Receiver, Option<Reply>, Option<Sender>);

fn serve(raw: &mut Raw, served: Served, open: &mut Vec<Parts>) {
    for mut incoming in raw.run() {
        let read = incoming.read(&Limits::CLIENT, RULES, &mut Request::default());
        let (receiver, mut reply) = incoming.split();
        if let Err(error) = read {
            drop(reply.answer(&Response::new(error.status()), Some(0), DATE, true));
            continue;
        }
        match served {
            Served::Never => open.push((receiver, Some(reply), None)),
            // Streams that have ended by themselves can't be answered.
            Served::Empty => drop(reply.answer(&Response::new(204), None, DATE, true)),
            Served::Bytes(bytes) => {
                if let Ok(mut sender) = reply.answer(&Response::new(200), None, DATE, false) {
                    assert_eq!(sender.send(Bytes::from(vec![7; bytes]), false), Ok(()));
                    open.push((receiver, None, Some(sender)));
                }
            }
        }
    }
    raw.run();
}

/// Sends what `next` makes of a number, one after the other or all in one; within [`MAX_FRAMES`] the connection ends with
/// that code.
#[track_caller]
fn flood(served: Served, theirs: &[(u16, u32)], before: &[u8], code: Code, next: impl Fn(u32) -> Vec<u8>) {
    for batch in [1, 100, 1_000] {
        let mut raw = Raw::with(&Settings::CLIENTS, theirs);
        let mut open = Vec::new();
        raw.send(before);
        serve(&mut raw, served, &mut open);
        let (mut number, mut frames) = (0, 0);
        while raw.ended.is_none() && frames < MAX_FRAMES {
            for _ in 0..batch {
                if frames >= MAX_FRAMES {
                    break;
                }
                let bytes = next(number);
                number += 1;
                frames += count(&bytes);
                raw.send(&bytes);
            }
            serve(&mut raw, served, &mut open);
        }
        let told = raw.code(kind::GOAWAY, 0);
        let points = raw.server.oddities().points();
        assert!(raw.ended.is_some(), "{frames} frames in batches of {batch}: {points} points");
        assert_eq!(told, Some(code), "in batches of {batch}, after {frames} frames: {:?}", raw.ended);
    }
}

fn count(mut bytes: &[u8]) -> usize {
    let mut frames = crate::h2::properties::reader::Frames::new(false);
    std::iter::from_fn(|| frames.next(&mut bytes))
        .filter(|event| matches!(event, crate::h2::properties::reader::Event::End))
        .count()
}

/// The stream of that number.
fn stream(number: u32) -> u32 {
    2 * number + 1
}

fn get(number: u32) -> Vec<u8> {
    headers(flag::END_STREAM, stream(number), &plain())
}

fn post(number: u32) -> Vec<u8> {
    headers(0, stream(number), &plain())
}

const CALM: Code = Code::EnhanceYourCalm;

#[test]
fn rapid_reset() {
    for served in [Served::Never, Served::Empty] {
        let next = |number| [get(number), rst_stream(stream(number), Code::Cancel)].concat();
        flood(served, &[], b"", CALM, next);
    }
}

#[test]
fn resets_of_streams_that_have_ended() {
    flood(Served::Empty, &[], &get(0), CALM, |_| rst_stream(1, Code::Cancel));
}

/// Every way we know to make a server reset (CVE-2025-8671).
#[test]
fn made_you_reset() {
    let ways: [fn(u32) -> Vec<u8>; 5] = [
        |id| window_update(id, 0),
        |id| window_update(id, 0x7fff_ffff),
        |id| headers(0, id, &block(&[("x-late", "trailer")])),
        |id| data(flag::END_STREAM, id, &[0; 9]),
        |id| headers(flag::END_STREAM, id, &block(&[("connection", "close")])),
    ];
    for way in ways {
        for served in [Served::Never, Served::Bytes(1)] {
            let sized = block(&[
                (":method", "POST"),
                (":scheme", "https"),
                (":path", "/"),
                (":authority", "a.example"),
                ("content-length", "8"),
            ]);
            let next = |number| [headers(0, stream(number), &sized), way(stream(number))].concat();
            flood(served, &[], b"", CALM, next);
        }
    }
}

#[test]
fn malformed_heads() {
    let malformed = block(&[(":method", "GET"), (":method", "GET")]);
    flood(Served::Never, &[], b"", CALM, |number| headers(flag::END_STREAM, stream(number), &malformed));
}

/// Refused with 431.
#[test]
fn heads_that_are_too_long() {
    let cookie = literal(b"cookie", &[b'a'; 8_000]);
    let first: Vec<u8> = [plain(), [&[0x40][..], &literal(b"x", &[b'a'; 3_000])[1..]].concat()].concat();
    let bomb = [plain(), [0xbe].repeat(30)].concat();
    let first = headers(flag::END_STREAM, 1, &first);
    flood(Served::Empty, &[], &first, CALM, |number| headers(flag::END_STREAM, stream(number + 1), &bomb));
    let next = |number| {
        let id = stream(number);
        let parts =
            [frame(kind::HEADERS, flag::END_STREAM, id, &plain()), frame(9, 0, id, &cookie.repeat(2))];
        [parts.concat(), frame(9, 0, id, &cookie.repeat(2)).repeat(3), frame(9, 4, id, &cookie)].concat()
    };
    flood(Served::Empty, &[], b"", CALM, next);
}

/// A head of so many frames of 16 KiB each: whole fields, or one that goes through all of them.
fn long_head(number: u32, frames: usize, is_one_field: bool) -> Vec<u8> {
    const FRAME_BYTES: usize = 16 * 1024;
    let id = stream(number);
    let mut block = plain();
    if is_one_field {
        block.extend(literal(b"cookie", &vec![b'a'; frames * FRAME_BYTES - block.len() - 12]));
    } else {
        block.extend(literal(b"cookie", &[b'a'; 1000]).repeat(FRAME_BYTES * frames / 1012));
    }
    let mut parts = block.chunks(FRAME_BYTES).peekable();
    let mut bytes = frame(kind::HEADERS, flag::END_STREAM, id, parts.next().unwrap());
    while let Some(part) = parts.next() {
        let flags = if parts.peek().is_none() { flag::END_HEADERS } else { 0 };
        bytes.extend(frame(kind::CONTINUATION, flags, id, part));
    }
    bytes
}

/// Each is refused with 431 and costs by its length: it takes no more bytes than it took when such a head ended the connection, some
/// 125 of twice the longest.
#[test]
fn heads_that_are_far_too_long() {
    const READ_BYTES_MAX: usize = 16 << 20;
    for is_one_field in [true, false] {
        for frames in [5, 8, 9, 16, 17] {
            flood(Served::Empty, &[], b"", CALM, |number| long_head(number, frames, is_one_field));
            let mut raw = Raw::new();
            let (mut number, mut sent_bytes) = (0, 0);
            while raw.ended.is_none() {
                let bytes = long_head(number, frames, is_one_field);
                (number, sent_bytes) = (number + 1, sent_bytes + bytes.len());
                raw.send(&bytes);
                serve(&mut raw, Served::Empty, &mut Vec::new());
            }
            assert!(
                number > 20 && sent_bytes < READ_BYTES_MAX,
                "{frames}: {number} heads, {sent_bytes} bytes"
            );
        }
        // One frame more than there may be is not read.
        flood(Served::Empty, &[], b"", CALM, |number| long_head(number, 18, is_one_field));
    }
}

/// The connection goes on, and what a head that was refused has put into the table is there: `indices` name it, the newest first.
#[track_caller]
fn check_table_behind(middle: &[u8], indices: &[u8]) {
    let block = [&plain(), &to_index(b"x-first", b"1")[..], middle, &to_index(b"x-last", b"2")].concat();
    let mut parts = block.chunks(16_000);
    let mut bytes = frame(kind::HEADERS, flag::END_STREAM, 1, parts.next().unwrap());
    parts.for_each(|part| bytes.extend(frame(kind::CONTINUATION, 0, 1, part)));
    bytes.extend(frame(kind::CONTINUATION, flag::END_HEADERS, 1, b""));
    let mut raw = Raw::new();
    raw.send(&bytes);
    let mut incoming = raw.run().pop().unwrap();
    let mut request = Request::default();
    let error = incoming.read(&Limits::CLIENT, RULES, &mut request).unwrap_err();
    assert_eq!((error.status(), error.as_str()), (431, "head_too_long"));
    drop(incoming.split().1.answer(&Response::new(431), Some(0), DATE, true));

    raw.send(&headers(flag::END_STREAM, 3, &[&plain(), indices].concat()));
    let mut incoming = raw.run().pop().unwrap();
    incoming.read(&Limits::CLIENT, RULES, &mut request).unwrap();
    let fields: Vec<_> = request.headers.iter().map(|field| (field.text, field.value)).collect();
    assert_eq!(fields, [(&b"x-last"[..], &b"2"[..]), (b"x-first", b"1")][..indices.len()]);
    assert_eq!(raw.ended, None);
}

fn to_index(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&[0x40][..], &literal(name, value)[1..]].concat()
}

#[test]
fn a_head_that_is_far_too_long_is_refused_alone() {
    check_table_behind(&literal(b"x-huge", &vec![b'a'; 200_000]), &[0xbe, 0xbf]);
    check_table_behind(&literal(&vec![b'a'; 200_000], b"x"), &[0xbe, 0xbf]);
    check_table_behind(&literal(b"x-a", &[b'a'; 3_000]).repeat(60), &[0xbe, 0xbf]);
    check_table_behind(&[0xbe].repeat(200_000), &[0xbe, 0xbf]);
    // Others take the place of the first one; what is larger than the table leaves nothing (RFC 7541 §4.4).
    check_table_behind(&to_index(b"x-a", &[b'a'; 1_000]).repeat(190), &[0xbe]);
    check_table_behind(&to_index(b"x-huge", &vec![b'a'; 200_000]), &[0xbe]);
}

#[test]
fn more_streams_than_there_may_be() {
    flood(Served::Never, &[], b"", CALM, get);
}

/// nginx ends the connection after a hundred, too. What came before the limit was known is cheaper: it may be one flight of a good client's.
#[test]
fn who_knows_how_many_there_may_be_has_fewer_too_many() {
    let streams = Settings::CLIENTS.streams_max;
    for (knows, too_many) in [(true, 100), (false, 500)] {
        let mut raw = Raw::silent(&Settings::CLIENTS);
        raw.send(&[&PREFACE[..], &settings(&[])].concat());
        if knows {
            raw.run();
            raw.send(&frame(kind::SETTINGS, flag::ACK, 0, b""));
        }
        let mut open = Vec::new();
        for number in 0..streams + too_many {
            assert_eq!(raw.ended, None, "{knows} {number}");
            raw.send(&get(number));
            serve(&mut raw, Served::Never, &mut open);
        }
        assert_eq!(raw.server.oddities().points(), ODDITIES_HARD, "{knows}");
        assert!(raw.ended.is_some(), "{knows}");
    }
}

#[test]
fn heads_that_never_end() {
    let first = frame(kind::HEADERS, 0, 1, &plain());
    let next = |bytes: usize| move |_| frame(kind::CONTINUATION, 0, 1, &literal(b"x-a", &vec![b'a'; bytes]));
    for bytes in [1, 2_000, 16_000] {
        flood(Served::Never, &[], &first, CALM, next(bytes));
    }
    flood(Served::Never, &[], &first, CALM, |_| frame(kind::CONTINUATION, 0, 1, b""));
}

#[test]
fn heads_in_crumbs() {
    let next = |number| {
        let id = stream(number);
        let mut bytes = frame(kind::HEADERS, flag::END_STREAM, id, &plain());
        (0..15).for_each(|_| bytes.extend(frame(kind::CONTINUATION, 0, id, b"")));
        bytes.extend(frame(kind::CONTINUATION, flag::END_HEADERS, id, b""));
        bytes
    };
    flood(Served::Empty, &[], b"", CALM, next);
}

#[test]
fn pings_and_settings() {
    flood(Served::Never, &[], b"", CALM, |_| frame(kind::PING, 0, 0, &[0; 8]));
    flood(Served::Never, &[], b"", CALM, |_| frame(kind::PING, flag::ACK, 0, &[0; 8]));
    flood(Served::Never, &[], b"", CALM, |_| settings(&[]));
    flood(Served::Never, &[], b"", CALM, |number| settings(&[(4, number), (3, 1), (4, 65_535)]));
}

#[test]
fn empty_data() {
    flood(Served::Never, &[], &post(0), CALM, |_| data(0, 1, b""));
    flood(Served::Never, &[], &post(0), CALM, |_| data(flag::PADDED, 1, &[3, 0, 0, 0]));
}

#[test]
fn priorities_and_what_nobody_knows() {
    flood(Served::Never, &[], b"", CALM, |_| frame(2, 0, 3, &[0, 0, 0, 1, 1]));
    flood(Served::Never, &[], b"", CALM, |_| frame(0x10, 0, 0, b"\0\0\0\x01u=1"));
    flood(Served::Never, &[], b"", CALM, |_| frame(0xbb, 0xff, 0xff, b"grease"));
    let requests: Vec<u8> = (0..100).flat_map(get).collect();
    flood(Served::Empty, &[], &requests, CALM, |_| frame(0xbb, 0, 0, b""));
}

#[test]
fn window_updates() {
    flood(Served::Never, &[], b"", CALM, |_| window_update(0, 1));
    flood(Served::Never, &[], &post(0), CALM, |_| window_update(1, 1));
    // All that may lie free lies free.
    let requests: Vec<u8> = (0..100).flat_map(get).collect();
    flood(Served::Bytes(300), &[], &requests, CALM, |_| window_update(0, 1));
}

#[test]
fn windows_that_drip() {
    for drip in [1, 200, 255] {
        flood(Served::Bytes(1 << 20), &[(4, 0)], &get(0), CALM, |_| window_update(1, drip));
    }
    let drain = settings(&[(4, 1 << 20)]);
    flood(Served::Bytes(1 << 20), &[], &[drain, get(0)].concat(), CALM, |_| window_update(0, 1));
}

#[test]
fn goodbyes_and_promises() {
    let goodbye = [&0u32.to_be_bytes()[..], &[0; 4]].concat();
    flood(Served::Never, &[], &post(0), CALM, |_| frame(kind::GOAWAY, 0, 0, &goodbye));
    let promise = [&2u32.to_be_bytes()[..], &plain()].concat();
    let next = |_| frame(kind::PUSH_PROMISE, flag::END_HEADERS, 1, &promise);
    flood(Served::Never, &[], &post(0), Code::ProtocolError, next);
}

/// Fields without a name are none to HPACK's reader.
#[test]
fn heads_of_nothing() {
    let next = |number| headers(flag::END_STREAM, stream(number), &literal(b"", b"").repeat(100));
    flood(Served::Never, &[], b"", CALM, next);
}

/// A client that means well: `round` is what it sends again and again. Points stay below a tenth of the limit.
#[track_caller]
fn good(served: Served, theirs: &[(u16, u32)], before: &[u8], rounds: u32, round: impl Fn(u32) -> Vec<u8>) {
    let mut raw = Raw::with(&Settings::CLIENTS, theirs);
    let mut open = Vec::new();
    raw.send(before);
    serve(&mut raw, served, &mut open);
    for number in 0..rounds {
        raw.send(&round(number));
        serve(&mut raw, served, &mut open);
        let points = raw.server.oddities().points();
        assert!(points < ODDITIES_HARD / 10, "{points} points in round {number}");
        assert_eq!(raw.ended, None, "round {number}");
        // Bodies are sent to their end.
        for (_, _, sender) in &mut open {
            assert_eq!(sender.as_mut().map(|sender| sender.send(Bytes::new(), true)), Some(Ok(())));
        }
        open.clear();
        raw.run();
    }
}

#[test]
fn h2load_is_at_home() {
    // A hundred streams at a time, answered with 1 KiB each; windows are renewed by halves.
    let round = |number| {
        let mut bytes: Vec<u8> = (100 * number..100 * (number + 1)).flat_map(get).collect();
        bytes.extend((0..3).flat_map(|_| window_update(0, 32 * 1024)));
        bytes
    };
    good(Served::Bytes(1024), &[(3, 100), (4, (1 << 30) - 1)], &window_update(0, 1 << 29), 100, round);
}

#[test]
fn grpc_is_at_home() {
    // A message up, one down, a ping that measures and updates of both windows.
    let round = |number| {
        let id = stream(number);
        let ping = frame(kind::PING, 0, 0, &[2, 4, 16, 16, 9, 14, 7, 7]);
        [post(number), data(flag::END_STREAM, id, &[0; 20]), ping, window_update(0, 20)].concat()
    };
    good(Served::Bytes(20), &[], &window_update(0, 1 << 20), 2_000, round);
}

#[test]
fn haproxy_is_at_home() {
    // What it has read it gives back at once.
    let round = |number| [get(number), window_update(0, 300), window_update(stream(number), 300)].concat();
    good(Served::Bytes(300), &[(4, 65_535)], b"", 2_000, round);
}

#[test]
fn browsers_are_at_home() {
    // Firefox's tree of priorities; then requests with a greased frame each, some of which are moved about.
    let tree: Vec<u8> = [3, 5, 7, 9, 11].iter().flat_map(|id| frame(2, 0, *id, &[0, 0, 0, 0, 200])).collect();
    let before = [window_update(0, 15 << 20), tree].concat();
    let round = |number| {
        let id = stream(number + 10);
        let priority = frame(2, 0, id, &[0, 0, 0, 0, 1]);
        let grease = frame(0x0b, 0, id, b"");
        [headers(flag::END_STREAM, id, &plain()), grease, priority].concat()
    };
    good(Served::Bytes(2_000), &[(4, 6 << 20)], &before, 2_000, round);
}

#[test]
fn who_takes_back_a_third_is_at_home() {
    let round = |number| {
        let taken_back = [get(3 * number + 2), rst_stream(stream(3 * number + 2), Code::Cancel)].concat();
        [get(3 * number), get(3 * number + 1), taken_back].concat()
    };
    good(Served::Empty, &[], b"", 2_000, round);
}

#[test]
fn who_uploads_is_at_home() {
    let round = |number| {
        let id = stream(number);
        let parts: Vec<u8> = (0..8).flat_map(|_| data(0, id, &[0; 900])).collect();
        [post(number), parts, data(flag::END_STREAM, id, b"")].concat()
    };
    good(Served::Empty, &[], b"", 1_000, round);
}

#[test]
fn our_own_resets_are_not_the_clients_fault() {
    let mut raw = Raw::new();
    for number in 0..600 {
        raw.send(&get(number));
        let (_receiver, mut reply) = raw.run().pop().unwrap().split();
        reply.reset(Code::RefusedStream);
        raw.run();
        assert_eq!(raw.code(kind::RST_STREAM, stream(number)), Some(Code::RefusedStream));
    }
    assert_eq!((raw.server.oddities().points(), raw.ended), (0, None));
}

#[test]
fn at_the_soft_limit_the_connection_goes_away_gently() {
    let mut raw = Raw::new();
    raw.send(&get(0));
    let (receiver, mut reply) = raw.run().pop().unwrap().split();
    raw.server.oddities().add(ODDITIES_SOFT);
    raw.run();
    assert_eq!((raw.code(kind::GOAWAY, 0), raw.ended), (Some(Code::NoError), None));
    reply.answer(&Response::new(204), None, DATE, true).unwrap();
    drop((receiver, reply));
    // The ping that asks whether the client has seen it.
    raw.run();
    let ping = raw.got.iter().find(|(head, _)| head.kind == kind::PING).unwrap().1.clone();
    raw.send(&frame(kind::PING, flag::ACK, 0, &ping));
    raw.run();
    assert_eq!(raw.ended, Some(None));
}

/// Deadlines of a client that run out at a backend that hangs.
#[test]
fn who_has_waited_is_excused() {
    let mut raw = Raw::new();
    for round in 0..20 {
        let numbers = 100 * round..100 * (round + 1);
        raw.send(&numbers.clone().flat_map(get).collect::<Vec<_>>());
        let replies = raw.run().into_iter().map(|incoming| incoming.split().1);
        let mut replies: Vec<_> = replies.collect();
        assert_eq!(replies.len(), 100);
        raw.send(&numbers.flat_map(|number| rst_stream(stream(number), Code::Cancel)).collect::<Vec<_>>());
        raw.run();
        assert_eq!((raw.server.oddities().points(), raw.ended), (400, None));
        for reply in &mut replies {
            reply.excuse();
            reply.excuse();
        }
        assert_eq!(raw.server.oddities().points(), 0);
    }
}

/// The header block is a part of a frame, or of several.
#[test]
fn a_head_that_has_begun_is_told() {
    let mut raw = Raw::new();
    assert!(!raw.server.is_inside_head());
    let whole = get(0);
    raw.send(&whole[..12]);
    assert!(raw.run().is_empty() && raw.server.is_inside_head());
    raw.send(&whole[12..]);
    assert!(raw.run().len() == 1 && !raw.server.is_inside_head());
    raw.send(&frame(kind::HEADERS, 0, 3, &plain()));
    assert!(raw.run().is_empty() && raw.server.is_inside_head());
    raw.send(&frame(kind::CONTINUATION, flag::END_HEADERS, 3, b""));
    assert!(raw.run().len() == 1 && !raw.server.is_inside_head());
}
