//! Very many requests at once, of very many HTTP/2 connections, and a backend that answers none before all are there. Frames
//! and as few words about them as can be: what is measured is the gateway between the two.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use super::{Block, Frame, HEAD_BYTES, PREFACE, flag, hpack::Decoder, kind, setting};
use crate::PATIENCE;

/// Streams that the backend allows on a connection.
const STREAMS_MAX: u32 = 128;

/// What each answer is: a head and a body of so many bytes.
const BODY: &[u8] = b"ok";

/// A backend of prior knowledge that answers nobody before so many have asked, and then after a while.
pub struct Late {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Late {
    /// Answers `after` the last of `count` requests has come.
    pub fn start(count: usize, after: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let asked = counter.clone();
                let serving = move || serve(stream, &asked, count, after);
                thread::Builder::new().stack_size(256 << 10).spawn(serving).expect("a thread");
            }
        });
        Self { address, asked }
    }

    /// Its address as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests that have come.
    pub fn asked(&self) -> usize {
        self.asked.load(Relaxed)
    }
}

/// Until the other side ends.
fn serve(mut stream: TcpStream, asked: &AtomicUsize, count: usize, after: Duration) {
    let mut input = Input::default();
    let settings = Frame::settings(&[(setting::MAX_CONCURRENT_STREAMS, STREAMS_MAX)]);
    if stream.write_all(&settings.bytes()).is_err() || !input.skip(&mut stream, PREFACE.len()) {
        return;
    }
    // Short, so that its connection looks up now and then whether all have come.
    stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a time-out");
    let (mut waiting, mut due) = (Vec::new(), None);
    loop {
        match input.next(&mut stream) {
            Next::Frame(frame) => {
                let reply = match frame.kind {
                    kind::HEADERS => {
                        asked.fetch_add(1, Relaxed);
                        waiting.push(frame.stream);
                        None
                    }
                    kind::SETTINGS if !frame.has(flag::ACK) => Some(Frame::settings_ack()),
                    kind::PING if !frame.has(flag::ACK) => Some(Frame::ping_ack(frame.payload)),
                    _ => None,
                };
                if reply.is_some_and(|reply| stream.write_all(&reply.bytes()).is_err()) {
                    return;
                }
            }
            Next::Nothing => {}
            Next::End => return,
        }
        if asked.load(Relaxed) >= count && !waiting.is_empty() {
            if Instant::now() < *due.get_or_insert_with(|| Instant::now() + after) {
                continue;
            }
            let mut out = Vec::new();
            for number in waiting.drain(..) {
                let head = Block::new().indexed(8).literal("content-length", BODY.len().to_string());
                out.extend(Frame::headers(number, flag::END_HEADERS, head.bytes()).bytes());
                out.extend(Frame::data(number, flag::END_STREAM, BODY).bytes());
            }
            if stream.write_all(&out).is_err() {
                return;
            }
        }
    }
}

/// Clients that have asked.
pub struct Crowd(Vec<TcpStream>);

impl Crowd {
    /// Lets each of so many connections ask for `/` on so many streams.
    pub fn ask(address: SocketAddr, connections: usize, streams: u32) -> Self {
        let mut asking = PREFACE.to_vec();
        asking.extend(Frame::settings(&[]).bytes());
        let head = Block::new().indexed(2).indexed(6).indexed(4).literal(":authority", "crowd.test").bytes();
        for stream in 0..streams {
            let flags = flag::END_HEADERS | flag::END_STREAM;
            asking.extend(Frame::headers(2 * stream + 1, flags, head.clone()).bytes());
        }
        let connections = (0..connections).map(|_| {
            let mut connection = TcpStream::connect(address).expect("a connection");
            connection.write_all(&asking).expect("requests are taken");
            connection
        });
        Self(connections.collect())
    }

    /// Reads all answers; each of the streams must have the whole of a good one. What is wrong, if anything.
    pub fn answers(self, streams: u32) -> Result<usize, String> {
        let mut whole = 0;
        for (number, mut connection) in self.0.into_iter().enumerate() {
            connection.set_read_timeout(Some(PATIENCE)).expect("a time-out");
            let (mut input, mut decoder, mut left) = (Input::default(), Decoder::new(4_096), streams);
            while left > 0 {
                let Next::Frame(frame) = input.next(&mut connection) else {
                    return Err(format!("connection {number} ended with {left} streams unanswered"));
                };
                match frame.kind {
                    kind::HEADERS => {
                        let fields = decoder.decode_text(&frame.payload)?;
                        let status = fields.iter().find(|(name, _)| name == ":status");
                        if status.is_none_or(|(_, status)| status != "200") {
                            return Err(format!("connection {number}: {fields:?}"));
                        }
                    }
                    kind::DATA if frame.has(flag::END_STREAM) => {
                        if frame.payload != BODY {
                            return Err(format!("connection {number}: {frame:?}"));
                        }
                        (left, whole) = (left - 1, whole + 1);
                    }
                    kind::RST_STREAM | kind::GOAWAY => {
                        return Err(format!("connection {number}: {frame:?}"));
                    }
                    _ => {}
                }
            }
        }
        Ok(whole)
    }
}

/// What has come of a connection.
#[derive(Default)]
struct Input(Vec<u8>);

enum Next {
    Frame(Frame),
    /// Not in time.
    Nothing,
    End,
}

impl Input {
    fn skip(&mut self, stream: &mut TcpStream, bytes: usize) -> bool {
        while self.0.len() < bytes {
            if !matches!(self.read(stream), Ok(more) if more > 0) {
                return false;
            }
        }
        self.0.drain(..bytes);
        true
    }

    fn next(&mut self, stream: &mut TcpStream) -> Next {
        loop {
            if self.0.len() >= HEAD_BYTES
                && let Some((frame, bytes)) = Frame::read(&self.0)
            {
                self.0.drain(..bytes);
                return Next::Frame(frame);
            }
            match self.read(stream) {
                Ok(0) => return Next::End,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Next::Nothing,
                Err(_) => return Next::End,
            }
        }
    }

    fn read(&mut self, stream: &mut TcpStream) -> std::io::Result<usize> {
        let mut bytes = [0; 16 << 10];
        let read = stream.read(&mut bytes)?;
        self.0.extend_from_slice(&bytes[..read]);
        Ok(read)
    }
}
