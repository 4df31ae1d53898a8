//! Requests and answers between our own two sides.

use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use message::{
    Authority, Body, Headers, Length, Method, Name, NeverIndexed, PathRules, Request, Response, Target,
    Version,
};

use crate::Limits;
use crate::h2::properties::memory::{End, ends};
use crate::h2::*;

const RULES: PathRules = PathRules { merge_slashes: false, encoded_slashes: false };
const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

/// A client and a server that speak with each other.
struct Pair {
    client: Client<End>,
    caller: Caller,
    server: Server<End>,
    end: End,
    /// How each side has ended.
    client_ended: Option<Result<(), Fault>>,
    server_ended: Option<Option<Fault>>,
}

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

impl Pair {
    fn new() -> Self {
        let (end, other) = ends();
        let (client, caller) = Client::new(end.clone(), &Settings::BACKENDS);
        let server = Server::new(other, &Settings::CLIENTS);
        Self { client, caller, server, end, client_ended: None, server_ended: None }
    }

    /// Lets both sides work until nothing moves; the requests that came out.
    fn run(&mut self) -> Vec<Incoming> {
        let mut requests = Vec::new();
        loop {
            let before = self.end.state();
            if self.client_ended.is_none()
                && let Poll::Ready(outcome) = self.client.poll(&mut cx())
            {
                self.client_ended = Some(outcome);
            }
            while self.server_ended.is_none() {
                match self.server.poll(&mut cx()) {
                    Poll::Pending => break,
                    Poll::Ready(Some(Ok(request))) => requests.push(request),
                    Poll::Ready(Some(Err(fault))) => self.server_ended = Some(Some(fault)),
                    Poll::Ready(None) => self.server_ended = Some(None),
                }
            }
            if self.end.state() == before {
                return requests;
            }
        }
    }

    fn call(&mut self, request: &Request, content_length: Option<u64>, ends: bool) -> (Awaited, Sender) {
        assert_eq!(self.caller.poll_ready(&mut cx()), Poll::Ready(Ok(())));
        self.caller.call(request, &request.authority, true, content_length, ends, None).unwrap()
    }
}

fn request(method: Method, target: &str, fields: &[(&str, &str)]) -> Request {
    let mut request = Request {
        method,
        target: Target::parse(target.as_bytes(), RULES).unwrap(),
        authority: Authority::parse(b"api.example:8443").unwrap(),
        version: Version::Http2,
        ..Request::default()
    };
    for (name, value) in fields {
        request.headers.push(name, value.as_bytes());
    }
    request
}

fn fields_of(headers: &Headers) -> String {
    let field = |field: message::Field<'_>| {
        format!("{}: {}", String::from_utf8_lossy(field.text), field.value.escape_ascii())
    };
    headers.iter().map(field).collect::<Vec<_>>().join("|")
}

fn ready<T>(poll: Poll<T>) -> T {
    match poll {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("not ready"),
    }
}

/// All of a body that has come.
fn body_of(receiver: &mut Receiver) -> Vec<u8> {
    let mut body = Vec::new();
    while let Poll::Ready(run) = receiver.poll_receive(&mut cx(), |bytes| (bytes.len(), bytes.to_vec())) {
        match run.unwrap() {
            Some(run) => body.extend(run),
            None => break,
        }
    }
    body
}

#[test]
fn a_request_and_its_answer_come_through() {
    let mut pair = Pair::new();
    let mut sent = request(Method::Post, "/a/b?c=%20", &[("X-Own", "1"), ("Accept", "*/*"), ("X-Own", "2")]);
    let (mut awaited, mut body) = pair.call(&sent, Some(5), false);
    body.send(Bytes::from_static(b"hello"), true).unwrap();
    let mut incoming = pair.run().pop().unwrap();
    let mut got = Request::default();
    assert_eq!(incoming.read(&Limits::CLIENT, RULES, &mut got), Ok(RequestHead { expect_continue: false }));
    // Names go in lower case.
    sent.headers.clear();
    for (name, value) in [("x-own", "1"), ("accept", "*/*"), ("x-own", "2")] {
        sent.headers.push(name, value.as_bytes());
    }
    sent.body = Body::Stream(Length::Known(5));
    assert_eq!(got, sent);

    let (mut receiver, mut reply) = incoming.split();
    assert_eq!((body_of(&mut receiver), receiver.is_ended()), (b"hello".to_vec(), true));
    let mut hints = Headers::default();
    hints.push("Link", b"</a.css>; rel=preload");
    reply.interim(103, &hints).unwrap();
    let mut response = Response::new(201);
    response.headers.push("X-Answer", b"yes");
    response.headers.push("Connection", b"close");
    let mut sender = reply.answer(&response, None, DATE, false).unwrap();
    sender.send(Bytes::from_static(b"wor"), false).unwrap();
    sender.send(Bytes::from_static(b"ld"), false).unwrap();
    let mut trailers = Headers::default();
    trailers.push("Grpc-Status", b"0");
    trailers.push("Content-Length", b"5");
    sender.send_trailers(&trailers).unwrap();
    pair.run();

    let mut got = Response::default();
    let head = awaited.poll_head(&mut cx(), &Limits::UPSTREAM, &Method::Post, &mut got);
    assert!(matches!(ready(head), Ok(AnswerHead::Interim)));
    assert_eq!((got.status, fields_of(&got.headers)), (103, "link: </a.css>; rel=preload".into()));
    let head = awaited.poll_head(&mut cx(), &Limits::UPSTREAM, &Method::Post, &mut got);
    let Ok(AnswerHead::Final(mut receiver)) = ready(head) else { panic!("no answer") };
    let date = std::str::from_utf8(DATE).unwrap();
    assert_eq!((got.status, fields_of(&got.headers)), (201, format!("x-answer: yes|date: {date}")));
    assert_eq!(got.body, Body::Stream(Length::Unknown));
    assert_eq!(body_of(&mut receiver), b"world");
    let mut got = Headers::default();
    let has_some = receiver.poll_trailers(&mut cx(), &Limits::UPSTREAM, &mut got);
    assert_eq!((ready(has_some), fields_of(&got)), (Ok(true), "grpc-status: 0".into()));
}

#[test]
fn what_has_no_body_may_say_how_long_it_would_be() {
    for (method, status) in [(Method::Head, 200), (Method::Get, 304)] {
        let mut pair = Pair::new();
        let (mut awaited, _sender) = pair.call(&request(method.clone(), "/", &[]), None, true);
        let (_receiver, mut reply) = pair.run().pop().unwrap().split();
        reply.answer(&Response::new(status), Some(1234), DATE, true).unwrap();
        pair.run();
        let mut got = Response::default();
        let head = awaited.poll_head(&mut cx(), &Limits::UPSTREAM, &method, &mut got);
        let Ok(AnswerHead::Final(receiver)) = ready(head) else { panic!("no answer") };
        assert_eq!((got.headers.get(Name::ContentLength), got.body), (Some(&b"1234"[..]), Body::Empty));
        assert!(receiver.is_ended());
    }
}

#[test]
fn credit_is_given_for_what_was_taken() {
    let mut pair = Pair::new();
    let (_awaited, mut sender) = pair.call(&request(Method::Put, "/", &[]), None, false);
    let (mut receiver, _reply) = pair.run().pop().unwrap().split();
    let window = Settings::CLIENTS.stream_window_bytes as usize;
    let mut sent = 0;
    loop {
        let room = sender.room(16 * 1024);
        if room == 0 {
            break;
        }
        sender.send(Bytes::from(vec![7; room]), false).unwrap();
        sent += room;
        pair.run();
    }
    assert_eq!(sent, window);
    assert_eq!(sender.poll_room(&mut cx()), Poll::Pending);
    // Looked at and left is not taken.
    let looked = receiver.poll_receive(&mut cx(), |bytes| (0, bytes.len()));
    assert!(matches!(ready(looked), Ok(Some(1..))));
    pair.run();
    assert_eq!(sender.poll_room(&mut cx()), Poll::Pending);
    assert_eq!(body_of(&mut receiver).len(), window);
    pair.run();
    assert_eq!(sender.poll_room(&mut cx()), Poll::Ready(Ok(16 * 1024)));
}

#[test]
fn who_gives_up_is_told_and_tells() {
    let mut pair = Pair::new();
    let (mut awaited, mut sender) = pair.call(&request(Method::Put, "/", &[]), None, false);
    let (mut receiver, mut reply) = pair.run().pop().unwrap().split();
    assert_eq!(reply.poll_gone(&mut cx()), Poll::Pending);
    sender.reset(Code::Cancel);
    pair.run();
    assert_eq!(reply.poll_gone(&mut cx()), Poll::Ready(()));
    assert_eq!(ready(receiver.poll_receive(&mut cx(), |_| (0, ()))), Err(Code::Cancel));
    let head = awaited.poll_head(&mut cx(), &Limits::UPSTREAM, &Method::Put, &mut Response::default());
    assert!(ready(head).is_err());

    let (mut awaited, mut sender) = pair.call(&request(Method::Put, "/", &[]), None, false);
    let (_receiver, mut reply) = pair.run().pop().unwrap().split();
    reply.reset(Code::RefusedStream);
    pair.run();
    let head = awaited.poll_head(&mut cx(), &Limits::UPSTREAM, &Method::Put, &mut Response::default());
    assert!(matches!(ready(head), Err(AnswerFault::Refused)));
    assert_eq!(sender.poll_room(&mut cx()), Poll::Ready(Err(Code::RefusedStream)));
    assert_eq!((pair.client_ended, pair.server_ended), (None, None));
}

#[test]
fn a_refusal_reaches_a_client_that_still_sends() {
    let mut pair = Pair::new();
    let (mut awaited, mut sender) = pair.call(&request(Method::Put, "/", &[]), None, false);
    let (receiver, mut reply) = pair.run().pop().unwrap().split();
    let mut body = reply.answer(&Response::new(413), Some(8), DATE, false).unwrap();
    body.send(Bytes::from_static(b"too much"), true).unwrap();
    drop((receiver, reply, body));
    pair.run();
    let mut got = Response::default();
    let head = awaited.poll_head(&mut cx(), &Limits::UPSTREAM, &Method::Put, &mut got);
    let Ok(AnswerHead::Final(mut receiver)) = ready(head) else { panic!("no answer") };
    assert_eq!((got.status, body_of(&mut receiver)), (413, b"too much".to_vec()));
    assert_eq!(sender.poll_room(&mut cx()), Poll::Ready(Err(Code::NoError)));
}

#[test]
fn going_away_ends_well_and_killing_at_once() {
    let mut pair = Pair::new();
    let (mut awaited, _sender) = pair.call(&request(Method::Get, "/", &[]), None, true);
    let (receiver, mut reply) = pair.run().pop().unwrap().split();
    pair.server.go_away();
    pair.run();
    assert_eq!((pair.server.has_streams(), pair.server_ended), (true, None));
    assert!(matches!(pair.caller.poll_ready(&mut cx()), Poll::Ready(Err(_))));
    reply.answer(&Response::new(204), None, DATE, true).unwrap();
    drop((receiver, reply));
    pair.run();
    assert_eq!(pair.server_ended, Some(None));
    let head = awaited.poll_head(&mut cx(), &Limits::UPSTREAM, &Method::Get, &mut Response::default());
    assert!(matches!(ready(head), Ok(AnswerHead::Final(_))));

    let mut pair = Pair::new();
    let (mut awaited, _sender) = pair.call(&request(Method::Get, "/", &[]), None, true);
    let _incoming = pair.run();
    pair.server.kill(Code::EnhanceYourCalm);
    pair.run();
    assert_eq!(pair.server_ended, Some(None));
    assert_eq!(pair.client_ended, Some(Err(Fault::GoneAway(Code::EnhanceYourCalm))));
    let head = awaited.poll_head(&mut cx(), &Limits::UPSTREAM, &Method::Get, &mut Response::default());
    assert!(ready(head).is_err());
}

#[test]
fn calls_stay_within_what_the_backend_allows() {
    let mut pair = Pair::new();
    let settings = Settings { streams_max: 2, ..Settings::CLIENTS };
    let (end, other) = ends();
    (pair.client, pair.caller) = Client::new(end.clone(), &Settings::BACKENDS);
    (pair.server, pair.end) = (Server::new(other, &settings), end);
    pair.run();
    assert_eq!(pair.caller.streams_max(), 2);
    let first = pair.call(&request(Method::Get, "/", &[]), None, true);
    let _second = pair.call(&request(Method::Get, "/", &[]), None, true);
    assert_eq!((pair.caller.streams(), pair.caller.poll_ready(&mut cx())), (2, Poll::Pending));
    drop(first);
    assert_eq!(pair.caller.poll_ready(&mut cx()), Poll::Ready(Ok(())));
}

#[test]
fn a_client_of_prior_knowledge_is_known_by_its_preface() {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for bytes in 0..preface.len() {
        assert_eq!(is_preface(&preface[..bytes]), None);
    }
    assert_eq!(is_preface(preface), Some(true));
    assert_eq!(is_preface(&[&preface[..], b"more"].concat()), Some(true));
    for other in [&b"G"[..], b"PRI * HTTP/1.1", b"PUT", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r"] {
        assert_eq!(is_preface(other), Some(false));
    }
}

/// What one side says of a field the other hears, and only of that one (RFC 7541 §6.2.3).
#[test]
fn what_no_table_may_have_goes_on_as_such() {
    let add = |headers: &mut Headers, name: Name, text: &str, never_indexed: bool| {
        headers.push_field(message::Field { name, text: text.as_bytes(), value: b"a", never_indexed });
    };
    let mut pair = Pair::new();
    // Twice, since what is in the table is found there the second time.
    for hides in [[false; 5], [true; 5], [true, false, true, false, true], [false; 5], [true; 5]] {
        let mut sent = request(Method::Get, "/a?b", &[]);
        sent.never_indexed = NeverIndexed { target: hides[0], authority: hides[1] };
        let mut response = Response { status: 200, ..Response::default() };
        let mut trailers = Headers::default();
        for headers in [&mut sent.headers, &mut response.headers, &mut trailers] {
            add(headers, Name::Other, "x-own", hides[2]);
            add(headers, Name::Other, "etag", hides[4]);
        }
        for headers in [&mut sent.headers, &mut response.headers] {
            add(headers, Name::Vary, "vary", hides[3]);
        }
        response.headers.push_known(Name::Date, "date", DATE);

        let (mut awaited, _body) = pair.call(&sent, None, true);
        let mut incoming = pair.run().pop().unwrap();
        let mut got = Request::default();
        incoming.read(&Limits::CLIENT, RULES, &mut got).unwrap();
        assert_eq!((&got.headers, got.never_indexed), (&sent.headers, sent.never_indexed), "{hides:?}");
        let (_, mut reply) = incoming.split();
        let mut sender = reply.answer(&response, None, DATE, false).unwrap();
        sender.send_trailers(&trailers).unwrap();
        pair.run();
        let mut answer = Response::default();
        let head = ready(awaited.poll_head(&mut cx(), &Limits::UPSTREAM, &Method::Get, &mut answer));
        let Ok(AnswerHead::Final(mut receiver)) = head else { panic!("no head") };
        assert_eq!(answer.headers, response.headers, "{hides:?}");
        assert!(body_of(&mut receiver).is_empty());
        let mut got = Headers::default();
        assert_eq!(ready(receiver.poll_trailers(&mut cx(), &Limits::UPSTREAM, &mut got)), Ok(true));
        assert_eq!(got, trailers, "{hides:?}");
    }
}
