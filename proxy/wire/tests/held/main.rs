//! What a connection of HTTP/2 holds at most, whatever its client sends and leaves unread (row H3, CVE-2026-49975): every
//! allocation of the process is counted. One test, since a second one beside it would be counted as well.

mod client;

use std::alloc::System;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use message::{PathRules, Request, Response};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use wire::Limits;
use wire::h2::{Receiver, Reply, Sender, Server, Settings};

use self::client::*;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const HELD_BYTES_MAX: usize = 4 << 20;
/// What a connection may hold by itself, however little its client has sent.
const CONNECTION_BYTES: usize = 64 << 10;
/// What a request may with a head as browsers send them, here: the parts of its stream, and the request that was made of it.
const REQUEST_BYTES: usize = 3 << 10;
/// All else.
const HELD_BYTES_PER_BYTE: usize = 10;

const STREAMS: u32 = 100;
const RULES: PathRules = PathRules { merge_slashes: false, encoded_slashes: false };
const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

/// A stream as the gateway has it, with all it has of it.
struct Stream {
    request: Request,
    _receiver: Receiver,
    reply: Option<Reply>,
    sender: Option<Sender>,
}

/// What is done with streams.
#[derive(Clone, Copy, PartialEq)]
enum Served {
    Left,
    /// Answered with as much of a body as there is room for.
    Answered,
}

/// The most that is held at any time while a client sends `frames`, one batch after the other, and reads no more than a
/// socket's buffer.
fn held(served: Served, theirs: &[(u16, u32)], batches: impl Iterator<Item = Vec<u8>>) -> (usize, usize) {
    let link = Memory::default();
    let batches: Vec<Vec<u8>> = std::iter::once(beginning(theirs)).chain(batches).collect();
    let region = Region::new(ALLOCATOR);
    let now = || region.change().bytes_allocated.saturating_sub(region.change().bytes_deallocated);
    let mut server = Server::new(link.clone(), &Settings::CLIENTS);
    let (mut wire_bytes, mut most) = (0, 0);
    let mut streams: Vec<Stream> = Vec::with_capacity(STREAMS as usize);
    let mut cx = Context::from_waker(Waker::noop());
    for batch in &batches {
        wire_bytes += batch.len();
        link.put(batch);
        // As many turns as anything moves in.
        let mut before = (usize::MAX, 0);
        loop {
            match server.poll(&mut cx) {
                Poll::Ready(Some(Ok(mut incoming))) => {
                    let mut request = Request::default();
                    let read = incoming.read(&Limits::CLIENT, RULES, &mut request);
                    let (receiver, mut reply) = incoming.split();
                    match read {
                        Ok(_) => streams.push(Stream {
                            request,
                            _receiver: receiver,
                            reply: Some(reply),
                            sender: None,
                        }),
                        Err(error) => drop(reply.answer(&Response::new(error.status()), Some(0), DATE, true)),
                    }
                }
                Poll::Ready(_) => return (wire_bytes, most.max(now().saturating_sub(link.bytes()))),
                Poll::Pending if link.state() == before => break,
                Poll::Pending => before = link.state(),
            }
            if served == Served::Answered {
                streams.iter_mut().for_each(answer);
            }
            most = most.max(now().saturating_sub(link.bytes()));
        }
    }
    assert!(streams.iter().all(|stream| !stream.request.authority.as_str().is_empty()));
    (wire_bytes, most)
}

fn answer(stream: &mut Stream) {
    if let Some(mut reply) = stream.reply.take() {
        stream.sender = reply.answer(&Response::new(200), None, DATE, false).ok();
    }
    if let Some(sender) = &mut stream.sender {
        let room = sender.room(64 * 1024);
        if room > 0 && sender.send(Bytes::from(vec![7; room]), false).is_err() {
            stream.sender = None;
        }
    }
}

#[track_caller]
fn check(name: &str, served: Served, theirs: &[(u16, u32)], batches: impl Iterator<Item = Vec<u8>>) {
    let (wire_bytes, most) = held(served, theirs, batches);
    let requests = STREAMS as usize * REQUEST_BYTES;
    let bound = (CONNECTION_BYTES + requests + HELD_BYTES_PER_BYTE * wire_bytes).min(HELD_BYTES_MAX);
    println!("{name}: {most} bytes held, {wire_bytes} bytes sent, {bound} may be");
    assert!(most <= bound, "{name}: {most} bytes are held for {wire_bytes} that were sent");
}

fn id(number: u32) -> u32 {
    2 * number + 1
}

#[test]
fn no_client_makes_us_hold_much() {
    use Served::{Answered, Left};
    let closed = [(4, 0)];
    let open = [(4, i32::MAX as u32)];
    let long = [b'a'; 600];
    for (name, served, theirs) in [("left", Left, &closed), ("answered", Answered, &closed)] {
        println!("{name}");
        let heads = |fields: Vec<u8>| (0..STREAMS).map(move |number| post(id(number), &fields));
        check("heads as long as may be", served, theirs, heads(literal(b"x-a", &long).repeat(95)));
        check("crumbs as long as may be", served, theirs, heads(literal(b"cookie", &long).repeat(95)));
        // The first stream teaches a field, the others name it.
        let taught = |value: usize, times: usize| {
            let first = post(1, &indexed(b"cookie", &vec![b'a'; value]));
            let others = move |number| post(id(number), &[0xbe].repeat(times));
            std::iter::once(first).chain((1..STREAMS).map(others))
        };
        for (value, times) in
            [(3_000, 20), (3_000, 1), (600, 95), (1, 99), (0, 99), (0, 1_800), (0, 7_000), (0, 32_000)]
        {
            check(&format!("{times} times {value} bytes"), served, theirs, taught(value, times));
            let at_once: Vec<u8> = taught(value, times).flatten().collect();
            check(&format!("{times} times {value} bytes at once"), served, theirs, std::iter::once(at_once));
        }
        let posts: Vec<u8> = (0..STREAMS).flat_map(|number| post(id(number), b"")).collect();
        let with = |more: Vec<u8>| [posts.clone(), more].into_iter();
        for bytes in [1, 10, 100, 1_000, 10_000] {
            let bodies =
                (0..200_000 / bytes).flat_map(|number| data(id(number as u32 % STREAMS), &vec![7; bytes]));
            check(&format!("bodies in frames of {bytes}"), served, theirs, with(bodies.collect()));
        }
        for fields in [10, 40, 400, 1_800] {
            let teach = post(id(STREAMS), &indexed(b"x-a", b""));
            let trailers = move |number| trailers(id(number), &[0xbe].repeat(fields));
            let all: Vec<u8> = teach.into_iter().chain((0..STREAMS).flat_map(trailers)).collect();
            check(&format!("trailers of {fields} fields"), served, theirs, with(all));
        }
    }
    // Heads that are refused, and one of which the end never comes.
    for (name, fields) in [
        ("one field", literal(b"cookie", &vec![b'a'; 270_000])),
        ("one field in Huffman's code", in_huffman(b"cookie", 54_000)),
        ("fields", literal(b"cookie", &[b'a'; 8_000]).repeat(33)),
        ("small fields", literal(b"x", b"").repeat(67_000)),
        ("references", [&indexed(b"x", &[b'a'; 3_000])[..], &[0xbe].repeat(260_000)].concat()),
    ] {
        let head = move |number| post(id(number), &fields);
        let mut endless = head(0);
        endless.truncate(endless.len() - 1);
        check(&format!("a long head of {name} without its end"), Left, &open, std::iter::once(endless));
        check(&format!("long heads of {name}"), Left, &open, (0..20).map(head));
    }
    let posts = || (0..STREAMS).map(|number| post(id(number), b""));
    let widen = std::iter::once(window_update(0, 1 << 30));
    check("answers that nobody reads", Answered, &open, widen.chain(posts()));
    // Each bound at its edge.
    let heads = (0..STREAMS).map(|number| post(id(number), &literal(b"x-a", &long).repeat(16)));
    let bodies = (0..2_000).flat_map(|number| data(id(number % STREAMS), b"a"));
    let ends = (0..STREAMS).flat_map(|number| trailers(id(number), &[0xbe].repeat(40)));
    let all: Vec<u8> = window_update(0, 1 << 30).into_iter().chain(bodies).chain(ends).collect();
    let teach = post(id(STREAMS), &indexed(b"x-a", b""));
    check("all of it", Answered, &open, heads.chain([teach, all]));
    let drips = (0..400).map(|number| window_update(id(number % STREAMS), 1_000));
    check("windows that open a little", Answered, &closed, posts().chain(drips));
}
