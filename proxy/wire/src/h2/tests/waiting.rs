//! Requests whose heads would be more than their client may make us hold: they wait, and nothing of them is lost.

use std::task::{Context, Waker};

use message::{PathRules, Request, Response};

use crate::Limits;
use crate::h2::frames::{flag, kind};
use crate::h2::properties::raw::*;
use crate::h2::*;

const RULES: PathRules = PathRules { merge_slashes: false, encoded_slashes: false };
const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";
const STREAMS: u32 = 100;
/// A cookie that HPACK's table can keep.
const COOKIE_BYTES: usize = 3_900;

/// A request that is being served.
struct Served {
    id: u32,
    request: Request,
    body: Receiver,
    reply: Reply,
}

/// A client whose first request teaches a cookie that the others name, on streams 1, 3, 5 …
struct Client {
    raw: Raw,
    served: Vec<Served>,
}

impl Client {
    fn new() -> Self {
        Self { raw: Raw::new(), served: Vec::new() }
    }

    /// Asks for `/` and the number of the stream, with a body to come or not, and this in the end of its head.
    fn ask(&mut self, id: u32, ends: bool, fields: &[u8]) {
        let path = format!("/{id}");
        let head =
            block(&[(":method", "PUT"), (":scheme", "https"), (":path", &path), (":authority", "a.example")]);
        let flags = if ends { flag::END_STREAM } else { 0 };
        self.raw.send(&headers(flags, id, &[&head, fields].concat()));
    }

    /// As many as there may be; the numbers of those that are looked at.
    fn ask_all(&mut self, ends: bool) -> Vec<u32> {
        self.ask(1, ends, &taught("cookie", COOKIE_BYTES));
        (1..STREAMS).for_each(|number| self.ask(2 * number + 1, ends, &[0xbe]));
        self.run()
    }

    /// Lets the server work; the numbers of the requests that it hands out.
    fn run(&mut self) -> Vec<u32> {
        let incoming = self.raw.run();
        let mut ids = Vec::new();
        for mut incoming in incoming {
            let (id, mut request) = (incoming.id(), Request::default());
            assert_eq!(incoming.read(&Limits::CLIENT, RULES, &mut request).map(|_| ()), Ok(()), "{id}");
            assert_eq!(request.target.path(), format!("/{id}"));
            ids.push(id);
            let (body, reply) = incoming.split();
            self.served.push(Served { id, request, body, reply });
        }
        ids
    }

    /// Answers the request that was looked at first.
    fn answer(&mut self) -> u32 {
        let Served { id, mut reply, .. } = self.served.remove(0);
        assert!(reply.answer(&Response::new(204), None, DATE, true).is_ok());
        id
    }

    fn refused(&self) -> Vec<u32> {
        let resets = self.raw.got.iter().filter(|(head, payload)| {
            let code = payload.first_chunk().map(|code| Code::of(u32::from_be_bytes(*code)));
            head.kind == kind::RST_STREAM && code == Some(Code::RefusedStream)
        });
        resets.map(|(head, _)| head.stream).collect()
    }
}

/// A field that is put into the table, as number 62.
fn taught(name: &str, value_bytes: usize) -> Vec<u8> {
    let value = vec![b'a'; value_bytes];
    [&[0x40][..], &integer(name.len(), 7), name.as_bytes(), &integer(value_bytes, 7), &value].concat()
}

/// One after the other, as room is made, each with its whole head.
#[test]
fn who_waits_is_served_in_the_end() {
    let mut client = Client::new();
    let mut seen = client.ask_all(true);
    assert!((30..90).contains(&seen.len()), "{} at first", seen.len());
    while seen.len() < STREAMS as usize {
        client.answer();
        seen.extend(client.run());
    }
    assert_eq!(seen, (0..STREAMS).map(|number| 2 * number + 1).collect::<Vec<_>>());
    assert!(
        client
            .served
            .iter()
            .all(|it| it.request.headers.find("cookie").map(<[u8]>::len) == Some(COOKIE_BYTES))
    );
    assert_eq!((client.refused(), client.raw.server.newest_waiting()), (vec![], None));
    assert_eq!(client.raw.server.oddities().points(), 0);
}

/// Heads that are short, as those of a browser without cookies are, never wait, whatever else does.
#[test]
fn short_heads_pass() {
    let mut client = Client::new();
    client.ask(1, true, &taught("x-a", 1_200));
    (1..STREAMS).for_each(|number| client.ask(2 * number + 1, true, &[0xbe]));
    assert_eq!(client.run().len(), STREAMS as usize);
    let mut client = Client::new();
    client.ask(1, true, &taught("cookie", COOKIE_BYTES));
    (1..STREAMS - 1).for_each(|number| client.ask(2 * number + 1, true, &[0xbe]));
    let seen = client.run();
    let last = 2 * STREAMS - 1;
    client.ask(last, true, b"");
    assert_eq!(client.run().first(), Some(&last), "{} others are served", seen.len());
}

/// What is sent makes room too.
#[test]
fn bytes_that_come_make_room() {
    let mut client = Client::new();
    let seen = client.ask_all(false);
    let others = STREAMS as usize - seen.len();
    client.raw.send(&data(0, 1, &vec![b'a'; 16_000]));
    client.raw.send(&data(0, 3, &vec![b'a'; 16_000]));
    assert_eq!(client.run().len(), others);
}

/// A body that comes meanwhile is the request's.
#[test]
fn a_body_waits_with_its_request() {
    let mut client = Client::new();
    client.ask_all(false);
    let last = 2 * STREAMS - 1;
    client.raw.send(&[data(0, last, b"one "), data(flag::END_STREAM, last, b"two")].concat());
    assert_eq!(client.run(), []);
    while client.served.last().is_none_or(|it| it.id != last) {
        client.answer();
        client.run();
    }
    let mut cx = Context::from_waker(Waker::noop());
    let body = &mut client.served.last_mut().unwrap().body;
    let all = body.poll_receive(&mut cx, |bytes| (bytes.len(), bytes.to_vec()));
    assert_eq!((all, body.is_ended()), (std::task::Poll::Ready(Ok(Some(b"one two".to_vec()))), true));
}

/// Who gives up waiting is not served.
#[test]
fn who_gives_up_is_forgotten() {
    let mut client = Client::new();
    let mut seen = client.ask_all(true);
    let next = 2 * seen.len() as u32 + 1;
    client.raw.send(&rst_stream(next, Code::Cancel));
    assert_eq!(client.run(), []);
    while !client.served.is_empty() {
        client.answer();
        seen.extend(client.run());
    }
    assert!(!seen.contains(&next) && seen.len() == STREAMS as usize - 1, "{seen:?}");
}

/// What the table has let go of meanwhile can't be read again: such a request was seen by nobody, and is told so.
#[test]
fn what_names_an_entry_that_is_gone_is_refused() {
    let mut client = Client::new();
    let seen = client.ask_all(true).len();
    let last = 2 * STREAMS + 1;
    client.raw.send(&rst_stream(last - 2, Code::Cancel));
    client.ask(last, true, &taught("x-b", COOKIE_BYTES));
    client.run();
    while !client.served.is_empty() {
        client.answer();
        client.run();
    }
    let refused: Vec<u32> = (seen as u32..STREAMS - 1).map(|number| 2 * number + 1).collect();
    assert_eq!(client.refused(), refused);
    assert!(!client.raw.server.oddities().is_soft());
}

/// Entries that come meanwhile move what was named before.
#[test]
fn entries_that_come_meanwhile_change_nothing() {
    let mut client = Client::new();
    let seen = client.ask_all(true);
    let last = 2 * STREAMS - 1;
    client.raw.send(&rst_stream(last, Code::Cancel));
    client.ask(last + 2, true, &[&taught("x-b", 10)[..], &[0xbe, 0xbf]].concat());
    client.run();
    let mut all = seen.len();
    while client.served.last().is_none_or(|it| it.id != last + 2) {
        client.answer();
        all += client.run().len();
    }
    assert_eq!(all, STREAMS as usize);
    let fields: Vec<_> = client.served.last().unwrap().request.headers.iter().collect();
    assert_eq!(
        fields.iter().map(|it| (it.text, it.value.len())).collect::<Vec<_>>(),
        [(&b"x-b"[..], 10), (b"x-b", 10), (b"cookie", COOKIE_BYTES)]
    );
}

/// Who has waited for too long is refused, by whoever has a clock.
#[test]
fn who_waits_too_long_is_refused() {
    let mut client = Client::new();
    let seen = client.ask_all(true).len();
    let newest = client.raw.server.newest_waiting();
    assert_eq!(newest, Some(2 * STREAMS - 1));
    client.raw.server.refuse_waiting(2 * STREAMS - 3);
    assert_eq!(client.raw.server.newest_waiting(), newest);
    client.raw.server.refuse_waiting(2 * STREAMS - 1);
    assert_eq!(client.run(), []);
    assert_eq!((client.refused().len(), client.raw.server.newest_waiting()), (STREAMS as usize - seen, None));
    assert!(!client.raw.server.oddities().is_soft(), "{}", client.raw.server.oddities().points());
}
