//! Each client gets its own answer: a number goes in and must come back, on connections that are kept, pipelined or as many
//! streams at once, with bodies of every kind, answers of the gateway itself, and faults between.

use std::{
    io::Write,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use harness::{Act, Broken, Client, Connection, Gateway, Origin, Protocol, Recorded, Response, over};

over_both! {
    answers_are_not_crossed
}

/// Beside other tests, over all clients; `measured` asks a million.
const REQUESTS: u64 = 100_000;

/// Of the same over HTTP/2, one in so many: its client reads frame by frame.
const HTTP2_SHARE: u64 = 5;

/// A machine too busy for all of them in this time has asked enough with those that it did.
const TIME_MAX: Duration = Duration::from_secs(20);

/// Between two changes of configuration.
const RELOAD_EVERY: Duration = Duration::from_millis(250);

const CLIENTS: u64 = 4;

/// Requests sent together on one connection.
const PIPELINED: u64 = 16;

/// Requests on a connection of HTTP/2, whose client keeps all that it was answered.
const STREAMS_MAX: u64 = 512;

/// What a request is like; its number chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Get,
    GetChunked,
    PostLength,
    PostChunked,
    Head,
    Cached,
    Missing,
    Limited,
    /// The backend breaks off in the middle of its answer.
    Broken,
}

impl Kind {
    fn of(number: u64) -> Self {
        match number % 16 {
            // In the middle of what is sent together.
            7 if number % 1024 == 7 => Self::Broken,
            0..=2 => Self::Get,
            3 | 4 => Self::GetChunked,
            5..=7 => Self::PostLength,
            8 | 9 => Self::PostChunked,
            10 | 11 => Self::Head,
            12 | 13 => Self::Cached,
            14 => Self::Missing,
            _ => Self::Limited,
        }
    }

    fn method(self) -> &'static str {
        match self {
            Self::PostLength | Self::PostChunked => "POST",
            Self::Head => "HEAD",
            _ => "GET",
        }
    }

    /// What is kept is asked for again and again, by its own number.
    fn nonce(self, number: u64) -> u64 {
        if self == Self::Cached { number % 97 } else { number }
    }

    /// Method and target.
    fn line(self, number: u64) -> String {
        let path = match self {
            Self::Cached => "cached",
            Self::Missing => "missing",
            Self::Limited => "limited",
            Self::GetChunked => "chunked",
            Self::Broken => "broken",
            _ => "plain",
        };
        format!("{} /{path}/{}", self.method(), self.nonce(number))
    }

    fn ask(self, number: u64, client: &mut Client) {
        let nonce = self.nonce(number);
        let (request, body) =
            (format!("{}\nx-nonce: {nonce}", self.line(number)), format!("body of {nonce}"));
        match self {
            Self::PostLength => client.ask_with_body(&request, body.as_bytes()),
            Self::PostChunked => client.begin(&request).body(body.as_bytes(), true),
            _ => client.ask(&request),
        };
    }

    fn write(self, number: u64, out: &mut Vec<u8>) {
        let nonce = self.nonce(number);
        let head = format!("{} HTTP/1.1\r\nHost: a\r\nX-Nonce: {nonce}\r\n", self.line(number));
        let body = format!("body of {nonce}");
        let rest = match self {
            Self::PostLength => format!("Content-Length: {}\r\n\r\n{body}", body.len()),
            Self::PostChunked => {
                format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
            }
            _ => "\r\n".to_owned(),
        };
        // A vector takes every write.
        let _ = write!(out, "{head}{rest}");
    }
}

/// Says the number of the request in a field and in the body.
fn answer(request: &Recorded) -> Vec<Act> {
    let nonce = request.field("x-nonce").unwrap_or_default();
    let body = format!("answer to {nonce}");
    let chunked = format!(
        "HTTP/1.1 200 OK\r\nX-Nonce: {nonce}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    match request.target() {
        target if target.starts_with("/broken") => {
            vec![Act::Send(chunked.as_bytes()[..chunked.len() - 9].to_vec()), Act::Reset]
        }
        target if target.starts_with("/chunked") => vec![Act::Send(chunked.into_bytes())],
        _ if request.line().starts_with("HEAD") => vec![Act::answer(200, &[("X-Nonce", nonce)], "")],
        _ => vec![Act::ReadBody, Act::answer(200, &[("X-Nonce", nonce)], &body)],
    }
}

fn answers_are_not_crossed() {
    let share = if over().clients == Protocol::Http2 { HTTP2_SHARE } else { 1 };
    let requests = REQUESTS / share;
    let Asked { sent, answered, .. } = ask_all(requests, TIME_MAX);
    assert!(sent > requests / 20 && answered > sent * 9 / 10, "{answered} answers to {sent} requests");
}

/// What came of many requests, none of which was answered with another's answer.
pub(crate) struct Asked {
    pub(crate) sent: u64,
    /// Without those that waited behind an answer that broke off.
    pub(crate) answered: u64,
    pub(crate) reloads: u64,
}

/// Asks so many over all clients, or as many as can be in that time, while the configuration changes again and again.
pub(crate) fn ask_all(requests: u64, time_max: Duration) -> Asked {
    let origin = Origin::forgetful(answer);
    let url = origin.url();
    let routes = |number: u64| {
        format!(
            "[[route]]\nmatch = \"/plain/{{n}}\"\nurl = \"{url}\"\n[[route]]\nmatch = \"/chunked/{{n}}\"\nurl = \"{url}\"\n\
             [[route]]\nmatch = \"/broken/{{n}}\"\nurl = \"{url}\"\n\
             [[route]]\nmatch = \"/cached/{{n}}\"\nurl = \"{url}\"\ncache = \"1s\"\n\
             [[route]]\nmatch = \"/limited/{{n}}\"\nurl = \"{url}\"\nthrottle = {{ rate = \"50/s\" }}\n\
             [[route]]\nmatch = \"/of/{number}\"\nmock = {{ status = 200 }}\n"
        )
    };
    let gateway = Gateway::with(&routes(0)).workers(2).start();
    let (protocol, address) = (over().clients, gateway.address());
    let (gateway, over) = (&gateway, AtomicBool::new(false));
    thread::scope(|scope| {
        let reloading = scope.spawn(|| {
            let mut reloads = 0;
            while !over.load(Ordering::Relaxed) {
                reloads += 1;
                gateway.configure(&routes(reloads));
                assert!(gateway.reload().status.success());
                // The pace of the changes, not a wait for anything.
                thread::park_timeout(RELOAD_EVERY);
            }
            reloads
        });
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                scope.spawn(move || {
                    let (share, end) = (requests / CLIENTS, Instant::now() + time_max);
                    let mut connection = Connection::open(address);
                    let mut streams = gateway.client();
                    let (mut sent, mut answered) = (0, 0);
                    for first in (client * share..(client + 1) * share).step_by(PIPELINED as usize) {
                        answered += match protocol {
                            Protocol::Http1 => ask(&mut connection, first, &mut || Connection::open(address)),
                            Protocol::Http2 => ask_streams(&mut streams, first),
                        };
                        sent += PIPELINED;
                        if sent % STREAMS_MAX == 0 {
                            streams = gateway.client();
                        }
                        if Instant::now() > end {
                            break;
                        }
                    }
                    (sent, answered)
                })
            })
            .collect();
        let ends = crate::EndsWith(&over);
        let asked: Vec<(u64, u64)> = clients.into_iter().map(|client| client.join().unwrap()).collect();
        drop(ends);
        reloading.thread().unpark();
        let reloads = reloading.join().unwrap();
        let (sent, answered) = asked.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        Asked { sent, answered, reloads }
    })
}

/// Sends some requests at once and reads their answers; says how many were answered.
#[track_caller]
fn ask(connection: &mut Connection, first: u64, reopen: &mut impl FnMut() -> Connection) -> u64 {
    let numbers = first..first + PIPELINED;
    let mut bytes = Vec::new();
    numbers.clone().for_each(|number| Kind::of(number).write(number, &mut bytes));
    connection.try_send(bytes);
    for number in numbers {
        let kind = Kind::of(number);
        let response = match connection.try_response(kind.method()) {
            Ok(response) => response,
            // A broken answer ends its connection, and with it what waited behind.
            Err(Broken::Ended(_)) if (first..=number).any(|number| Kind::of(number) == Kind::Broken) => {
                *connection = reopen();
                return number - first;
            }
            Err(broken) => panic!("{number} {kind:?}: {broken:?}"),
        };
        judge(kind, number, &response);
    }
    PIPELINED
}

/// Asks for some on a stream each; says how many were answered.
#[track_caller]
fn ask_streams(client: &mut Client, first: u64) -> u64 {
    let numbers = first..first + PIPELINED;
    numbers.clone().for_each(|number| Kind::of(number).ask(number, client));
    let mut answered = 0;
    for number in numbers {
        let kind = Kind::of(number);
        match client.try_response() {
            Ok(response) => {
                judge(kind, number, &response);
                answered += 1;
            }
            // A broken answer ends its stream, and nobody else's.
            Err(Broken::Ended(_)) if kind == Kind::Broken => {}
            Err(broken) => panic!("{number} {kind:?}: {broken:?}"),
        }
    }
    answered
}

#[track_caller]
fn judge(kind: Kind, number: u64, response: &Response) {
    let nonce = kind.nonce(number).to_string();
    match (kind, response.status) {
        (Kind::Missing, 404) | (Kind::Limited, 429) => assert_eq!(response.all("x-nonce"), [""; 0]),
        (Kind::Broken, 502) => {}
        (_, 200) => {
            assert_eq!(response.all("x-nonce"), [nonce.as_str()], "{number} {kind:?}: {response:?}");
            let body = if kind == Kind::Head { String::new() } else { format!("answer to {nonce}") };
            assert_eq!(response.text(), body, "{number} {kind:?}");
        }
        _ => panic!("{number} {kind:?}: {response:?}"),
    }
}
