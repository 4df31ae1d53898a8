//! A client that asks and is answered, whichever protocol the test runs over: what both can say in their own ways, and no
//! more. Who wants bytes or frames takes the connection of that protocol.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::{
    PATIENCE,
    client::{Broken, Connection, request_bytes},
    h2::{self, code},
    response::Response,
};

/// A client's connection.
#[derive(Debug)]
pub struct Client(Inner);

#[derive(Debug)]
enum Inner {
    Http1(Box<Http1>),
    Http2(Box<Http2>),
}

#[derive(Debug)]
struct Http1 {
    connection: Connection,
    /// Of requests that were not answered yet.
    methods: VecDeque<String>,
    /// Before the last answer.
    interims: usize,
    /// The body that is being sent is chunked.
    chunked: bool,
}

#[derive(Debug)]
struct Http2 {
    connection: h2::Connection,
    /// Streams that were not answered yet.
    asked: VecDeque<u32>,
    /// The one that was answered last.
    answered: u32,
    /// Interim answers that were looked at, of the stream that is asked for next.
    seen: usize,
}

impl Client {
    pub(crate) fn http1(connection: Connection) -> Self {
        Self(Inner::Http1(Box::new(Http1 {
            connection,
            methods: VecDeque::new(),
            interims: 0,
            chunked: false,
        })))
    }

    pub(crate) fn http2(connection: h2::Connection) -> Self {
        Self(Inner::Http2(Box::new(Http2 { connection, asked: VecDeque::new(), answered: 0, seen: 0 })))
    }

    /// Sends a request without a body: `GET /path`, then `name: value` lines. Its authority is added.
    #[track_caller]
    pub fn ask(&mut self, request: &str) -> &mut Self {
        match &mut self.0 {
            Inner::Http1(it) => {
                it.methods.push_back(method_of(request));
                it.connection.ask(request);
            }
            Inner::Http2(it) => it.begin(request, true),
        }
        self
    }

    /// Sends a request with a body and its length.
    #[track_caller]
    pub fn ask_with_body(&mut self, request: &str, body: &[u8]) -> &mut Self {
        if body.is_empty() {
            return self.ask(request);
        }
        match &mut self.0 {
            Inner::Http1(it) => {
                it.methods.push_back(method_of(request));
                // An answer may come, and the end with it, before all is sent.
                it.connection.try_send(request_bytes(request, body));
            }
            Inner::Http2(_) => {
                let length = if names_length(request) {
                    String::new()
                } else {
                    format!("\ncontent-length: {}", body.len())
                };
                self.begin(&format!("{request}{length}")).body(body, true);
            }
        }
        self
    }

    /// Sends the head of a request whose body follows in parts, chunked over HTTP/1.1 where its length is not said.
    #[track_caller]
    pub fn begin(&mut self, request: &str) -> &mut Self {
        match &mut self.0 {
            Inner::Http1(it) => {
                it.methods.push_back(method_of(request));
                it.chunked = !names_length(request);
                let chunked = if it.chunked { "\ntransfer-encoding: chunked" } else { "" };
                it.connection.ask(&format!("{request}{chunked}"));
            }
            Inner::Http2(it) => it.begin(request, false),
        }
        self
    }

    /// Sends a part of the body of the request that was begun last.
    #[track_caller]
    pub fn body(&mut self, part: &[u8], ends: bool) -> &mut Self {
        match &mut self.0 {
            Inner::Http1(it) if it.chunked => {
                let (size, end) = (format!("{:x}\r\n", part.len()), if ends { "0\r\n\r\n" } else { "" });
                let chunk: &[&[u8]] = if part.is_empty() { &[] } else { &[size.as_bytes(), part, b"\r\n"] };
                it.connection.try_send([&chunk.concat(), end.as_bytes()].concat());
            }
            Inner::Http1(it) => {
                it.connection.try_send(part);
            }
            Inner::Http2(it) => {
                let stream = *it.asked.back().unwrap_or_else(|| panic!("nothing was begun"));
                it.connection.data(stream, part, ends);
            }
        }
        self
    }

    /// Sends this again and again as the body of the request that was begun last, whose length was said, until nobody has
    /// taken more of it for so long; how many bytes were taken.
    #[track_caller]
    pub fn body_until_stuck(&mut self, part: &[u8], silence: Duration, bytes_max: usize) -> usize {
        match &mut self.0 {
            Inner::Http1(it) => it.connection.send_until_stuck(part, silence, bytes_max),
            Inner::Http2(it) => {
                let stream = *it.asked.back().unwrap_or_else(|| panic!("nothing was begun"));
                let mut sent = 0;
                while sent < bytes_max {
                    let (of_connection, of_stream) = it.connection.send_windows(stream);
                    let room = usize::try_from(of_connection.min(of_stream)).unwrap_or(0).min(part.len());
                    if room > 0 {
                        it.connection.data(stream, &part[..room], false);
                        sent += room;
                    } else if it.connection.next_frame_within(silence).is_err() {
                        break;
                    }
                }
                sent
            }
        }
    }

    /// The answer to the request that was asked first of those not answered yet, interim ones left out.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        self.try_response().unwrap_or_else(|broken| panic!("no response: {broken:?}"))
    }

    /// The same; an answer that was cut, by the end of the connection or of its stream, is [`Broken::Ended`].
    pub fn try_response(&mut self) -> Result<Response, Broken> {
        match &mut self.0 {
            Inner::Http1(it) => {
                let method = it.methods.pop_front().unwrap_or_default();
                it.interims = 0;
                loop {
                    let response = it.connection.try_response(&method)?;
                    if response.status >= 200 || response.status == 101 {
                        return Ok(response);
                    }
                    it.interims += 1;
                }
            }
            Inner::Http2(it) => {
                let stream = it.asked.pop_front().unwrap_or_default();
                it.answered = stream;
                let outcome = it.connection.outcome(stream);
                if outcome.is_err() {
                    // Shown where the test fails.
                    println!(
                        "stream {stream}: the connection is over; said before: {:?}",
                        it.connection.gone()
                    );
                }
                let mut response = outcome?;
                // "I do not want the rest of your request" stands behind a whole answer (RFC 9113, section 8.1).
                match response.reset.take() {
                    None | Some(code::NO_ERROR) => Ok(response),
                    Some(reset) => {
                        // Shown where the test fails.
                        println!("stream {stream}: status {}, then a reset with {reset}", response.status);
                        Err(Broken::Ended(response.body))
                    }
                }
            }
        }
    }

    /// An answer whose end does not come: over HTTP/1.1 the connection ends, over HTTP/2 its stream alone, and the next
    /// request on the same connection is answered.
    #[track_caller]
    pub fn is_cut(&mut self) {
        let cut = self.try_response();
        assert!(matches!(cut, Err(Broken::Ended(_))), "it was not cut: {cut:?}");
        if let Inner::Http2(it) = &mut self.0 {
            it.connection
                .round_trip()
                .unwrap_or_else(|broken| panic!("the connection is gone too: {broken:?}"));
        }
    }

    /// The next interim answer to the request that is answered next.
    #[track_caller]
    pub fn interim(&mut self) -> Response {
        match &mut self.0 {
            Inner::Http1(it) => {
                let response = it.connection.try_response("GET");
                let response = response.unwrap_or_else(|broken| panic!("no interim answer: {broken:?}"));
                assert!(response.status < 200, "not an interim answer: {response:?}");
                response
            }
            Inner::Http2(it) => {
                let stream = *it.asked.front().unwrap_or_else(|| panic!("nothing was asked"));
                let seen = it.seen;
                it.seen += 1;
                let waited = it.connection.wait_until(|connection| {
                    connection.interim(stream).len() > seen || connection.is_over(stream)
                });
                let found = it.connection.interim(stream).get(seen).cloned();
                found.unwrap_or_else(|| panic!("no interim answer: {waited:?}"))
            }
        }
    }

    /// How many interim answers came before the last answer, without those that were looked at before it.
    pub fn interims(&self) -> usize {
        match &self.0 {
            Inner::Http1(it) => it.interims,
            Inner::Http2(it) => it.connection.interim(it.answered).len().saturating_sub(it.seen),
        }
    }

    /// Asks, and reads nothing; `None`: it was turned away.
    pub fn try_ask(mut self, request: &str) -> Option<Self> {
        let asked = match &mut self.0 {
            Inner::Http1(it) => {
                it.methods.push_back(method_of(request));
                it.connection.try_send(request_bytes(request, b""))
            }
            Inner::Http2(it) => {
                it.connection.try_begin(request).map(|stream| it.asked.push_back(stream)).is_some()
            }
        };
        asked.then_some(self)
    }

    /// The status of an answer that has begun, of which little more is read; `None`: it was turned away.
    pub fn try_begun(&mut self) -> Option<u16> {
        match &mut self.0 {
            Inner::Http1(it) => {
                let begin = it.connection.try_bytes(b"HTTP/1.1 200".len()).ok()?;
                std::str::from_utf8(begin.strip_prefix(b"HTTP/1.1 ")?).ok()?.parse().ok()
            }
            Inner::Http2(it) => {
                let stream = *it.asked.front()?;
                let waited = it.connection.wait_until(|connection| {
                    connection.status_of(stream).is_some() || connection.is_over(stream)
                });
                waited.ok().and_then(|()| it.connection.status_of(stream))
            }
        }
    }

    /// Waits until the answer has begun, with some of its body, and reads no further.
    #[track_caller]
    pub fn begun(&mut self) -> u16 {
        match &mut self.0 {
            Inner::Http1(it) => {
                let begin = it.connection.bytes(1_000);
                let status = begin.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3));
                let status = status.and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
                status.unwrap_or_else(|| panic!("not an answer: {}", begin.escape_ascii()))
            }
            Inner::Http2(it) => {
                let stream = *it.asked.front().unwrap_or_else(|| panic!("nothing was asked"));
                it.connection.body_of(stream, 1);
                it.connection.so_far(stream).status
            }
        }
    }

    /// Whether an answer came with the word that no further request should come this way: a field over HTTP/1.1, GOAWAY
    /// over HTTP/2, whose two steps let pass what was asked meanwhile.
    pub fn is_told_to_go(&self, response: &Response) -> bool {
        match &self.0 {
            Inner::Http1(_) => response.field("connection") == Some("close"),
            Inner::Http2(it) => !it.connection.gone().is_empty(),
        }
    }

    /// Waits until the other side ends the connection, without another answer.
    #[track_caller]
    pub fn ends(&mut self) {
        assert!(self.ends_within(PATIENCE), "the connection did not end");
    }

    /// The same; whether it came within that time.
    #[track_caller]
    pub fn ends_within(&mut self, time: Duration) -> bool {
        match &mut self.0 {
            Inner::Http1(it) => match it.connection.rest_within(time) {
                Some(rest) => {
                    assert_eq!(rest.escape_ascii().to_string(), "", "more came before the end");
                    true
                }
                None => false,
            },
            Inner::Http2(it) => it.connection.ends_within(time).is_some(),
        }
    }

    /// Whether the other side says nothing that concerns a request, and keeps the connection, for as long as that.
    pub fn quiet_for(&mut self, time: Duration) -> bool {
        match &mut self.0 {
            Inner::Http1(it) => it.connection.quiet_for(time),
            Inner::Http2(it) => {
                let deadline = Instant::now() + time;
                loop {
                    match it.connection.next_frame_within(deadline.saturating_duration_since(Instant::now()))
                    {
                        Err(Broken::Silent(_)) => return true,
                        Ok(frame) if frame.stream == 0 && frame.kind != h2::kind::GOAWAY => {}
                        Ok(_) | Err(_) => return false,
                    }
                }
            }
        }
    }

    /// Gives up what was asked: over HTTP/1.1 with the connection, over HTTP/2 stream by stream, the connection stays.
    /// What is given back keeps it.
    pub fn give_up(mut self) -> Option<Self> {
        match &mut self.0 {
            Inner::Http1(_) => {
                self.reset();
                None
            }
            Inner::Http2(it) => {
                while let Some(stream) = it.asked.pop_front() {
                    it.connection.frame(&h2::Frame::reset(stream, code::CANCEL));
                }
                Some(self)
            }
        }
    }

    /// Ends the connection with a reset of TCP's, as a client does that is gone for good.
    pub fn reset(self) {
        match self.0 {
            Inner::Http1(it) => it.connection.reset(),
            Inner::Http2(it) => it.connection.reset(),
        }
    }
}

impl Http2 {
    #[track_caller]
    fn begin(&mut self, request: &str, ends: bool) {
        if self.asked.is_empty() {
            self.seen = 0;
        }
        self.asked.push_back(self.connection.begin(request, ends));
    }
}

fn method_of(request: &str) -> String {
    request.split(' ').next().unwrap_or_default().to_owned()
}

fn names_length(request: &str) -> bool {
    request.lines().skip(1).any(|line| line.to_ascii_lowercase().starts_with("content-length:"))
}
