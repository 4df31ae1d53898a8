//! A client's connection: it answers what must be answered, gives credit, keeps every frame that came, and judges all of
//! it. Any other frame or byte can be sent between.

use std::{
    collections::{BTreeMap, VecDeque},
    io::ErrorKind,
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use super::{
    FRAME_BYTES, Field, PREFACE, TABLE_BYTES, WINDOW_BYTES, WINDOW_BYTES_MAX,
    frame::{Frame, code, code_name, flag, kind, setting},
    hpack::{Decoder, Encoder},
    judge::Answer,
    link::Link,
};
use crate::{PATIENCE, client::Broken, response::Response};

mod incoming;
mod request;

/// What a connection begins with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Our settings.
    pub settings: Vec<(u16, u32)>,
    /// What the connection's window is raised to.
    pub window_bytes: u32,
    /// Credit is given back for what came, settings and pings are answered.
    pub answers: bool,
    /// Over TLS, asking for this name.
    pub tls: Option<String>,
}

/// How the other side ended the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoAway {
    /// The last stream that it may have dealt with.
    pub last_stream: u32,
    /// Why.
    pub code: u32,
    /// What it said besides.
    pub debug: Vec<u8>,
}

/// A connection of prior knowledge, or with ALPN over TLS.
#[derive(Debug)]
pub struct Connection {
    link: Link,
    options: Options,
    /// Received and not yet read as frames.
    input: Vec<u8>,
    ended: bool,
    encoder: Encoder,
    decoder: Decoder,
    /// A header block that has begun: its stream, whether it ends the stream, its bytes.
    block: Option<(u32, bool, Vec<u8>)>,
    streams: BTreeMap<u32, Stream>,
    /// Streams whose answers were not asked for yet.
    asked: VecDeque<u32>,
    next_stream: u32,
    send_window: i64,
    receive_window: i64,
    /// Settings that we sent and that were not acknowledged.
    unacknowledged: VecDeque<Vec<(u16, u32)>>,
    stream_window: i64,
    /// What the other side has said so far.
    peer: BTreeMap<u16, u32>,
    frames: Vec<Frame>,
    gone: Vec<GoAway>,
    /// Raw bytes were sent: what streams there are is not known any more.
    raw: bool,
}

#[derive(Debug)]
struct Stream {
    answer: Answer,
    send_window: i64,
    receive_window: i64,
}

/// Of a frame of data so much is kept, so that a large answer is not kept twice.
const KEPT_BYTES: usize = 64;

impl Default for Options {
    fn default() -> Self {
        Self {
            settings: vec![(setting::ENABLE_PUSH, 0), (setting::INITIAL_WINDOW_SIZE, 1 << 20)],
            window_bytes: 1 << 24,
            answers: true,
            tls: None,
        }
    }
}

impl Connection {
    /// Connects, says the preface and settings, and waits for the other side's settings.
    #[track_caller]
    pub fn open(address: SocketAddr) -> Self {
        Self::open_with(address, Options::default())
    }

    /// The same over TLS.
    #[track_caller]
    pub fn open_tls(address: SocketAddr, name: &str) -> Self {
        Self::open_with(address, Options { tls: Some(name.to_owned()), ..Options::default() })
    }

    /// The same with other settings.
    #[track_caller]
    pub fn open_with(address: SocketAddr, options: Options) -> Self {
        let more = options.window_bytes.saturating_sub(WINDOW_BYTES);
        let settings = Frame::settings(&options.settings);
        let mut connection = Self::bare(address, options);
        connection.send(PREFACE).frame(&settings);
        // The preface is no frame that could be missed.
        connection.raw = false;
        if more > 0 {
            connection.frame(&Frame::window_update(0, more));
        }
        connection.await_settings();
        connection
    }

    /// Connects and says nothing.
    #[track_caller]
    pub fn bare(address: SocketAddr, options: Options) -> Self {
        let link = match &options.tls {
            Some(name) => Link::tls(address, name),
            None => Link::tcp(address),
        };
        Self::over(link, options)
    }

    /// The same without TLS; `None`: nobody takes it, or it is ended before a word is said.
    pub fn try_open(address: SocketAddr) -> Option<Self> {
        let options = Options::default();
        let stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
        let settings = Frame::settings(&options.settings);
        let more = Frame::window_update(0, options.window_bytes.saturating_sub(WINDOW_BYTES));
        let mut connection = Self::over(Link::of(stream).ok()?, options);
        connection.link.write(&[PREFACE, &settings.bytes(), &more.bytes()].concat()).ok()?;
        connection.note_sent(&settings);
        connection.note_sent(&more);
        connection.next_frame().ok().map(|_settings| connection)
    }

    fn over(link: Link, options: Options) -> Self {
        let table = options.settings.iter().find(|(name, _)| *name == setting::HEADER_TABLE_SIZE);
        let table_bytes = table.map_or(TABLE_BYTES, |(_, bytes)| *bytes);
        Self {
            link,
            options,
            input: Vec::new(),
            ended: false,
            encoder: Encoder::new(TABLE_BYTES as usize),
            decoder: Decoder::new(table_bytes as usize),
            block: None,
            streams: BTreeMap::new(),
            asked: VecDeque::new(),
            next_stream: 1,
            send_window: WINDOW_BYTES.into(),
            receive_window: WINDOW_BYTES.into(),
            unacknowledged: VecDeque::new(),
            stream_window: WINDOW_BYTES.into(),
            peer: BTreeMap::new(),
            frames: Vec::new(),
            gone: Vec::new(),
            raw: false,
        }
    }

    #[track_caller]
    fn await_settings(&mut self) {
        let first = self.next_frame().unwrap_or_else(|broken| panic!("no settings: {broken:?}"));
        assert!(
            first.kind == kind::SETTINGS && !first.has(flag::ACK),
            "it begins with {first:?} (RFC 9113, 3.4)"
        );
    }

    /// Sends a request without a body: `GET /path`, then `name: value` lines. Names are made small, `host` becomes
    /// `:authority`, which is added where there is none.
    #[track_caller]
    pub fn ask(&mut self, request: &str) -> &mut Self {
        let stream = self.begin(request, true);
        self.asked.push_back(stream);
        self
    }

    /// Sends a request with a body and its length.
    #[track_caller]
    pub fn ask_with_body(&mut self, request: &str, body: &[u8]) -> &mut Self {
        let named = request.lines().any(|line| line.to_ascii_lowercase().starts_with("content-length:"));
        let length = format!("{request}\ncontent-length: {}", body.len());
        let stream = self.begin(if named || body.is_empty() { request } else { &length }, body.is_empty());
        self.asked.push_back(stream);
        if !body.is_empty() {
            self.data(stream, body, true);
        }
        self
    }

    /// Sends a request from its parts and gives its outcome; further fields may be pseudo ones.
    #[track_caller]
    pub fn request(&mut self, method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Response {
        let lines: String = fields.iter().map(|(name, value)| format!("\n{name}: {value}")).collect();
        self.ask_with_body(&format!("{method} {path}{lines}"), body);
        let stream = self.asked.pop_back().unwrap_or_default();
        self.outcome(stream).unwrap_or_else(|broken| panic!("no outcome: {broken:?}"))
    }

    /// Sends the head of a request on the next stream, and says which that is: its outcome is asked for by that.
    #[track_caller]
    pub fn begin(&mut self, request: &str, ends: bool) -> u32 {
        let secure = self.options.tls.is_some();
        let fields = request::fields(request, if secure { "https" } else { "http" });
        self.begin_with(&fields, ends)
    }

    /// Sends these fields, pseudo ones too, on the next stream.
    #[track_caller]
    pub fn begin_with(&mut self, fields: &[Field], ends: bool) -> u32 {
        let stream = self.next_stream;
        let method = fields.iter().find(|(name, _)| name == ":method").map_or("", |(_, value)| value);
        self.add_stream(stream, method);
        self.head(stream, fields, ends);
        stream
    }

    /// Sends a request without a body as [`Self::begin`] does, of one frame; `None`: the connection is gone.
    pub fn try_begin(&mut self, request: &str) -> Option<u32> {
        let stream = self.next_stream;
        self.add_stream(stream, request.split(' ').next().unwrap_or_default());
        let scheme = if self.options.tls.is_some() { "https" } else { "http" };
        let block = self.encoder.encode(&request::fields(request, scheme));
        let frame = Frame::headers(stream, flag::END_STREAM | flag::END_HEADERS, block);
        self.link.write(&frame.bytes()).ok().map(|()| stream)
    }

    /// Sends trailers.
    #[track_caller]
    pub fn trailers(&mut self, stream: u32, fields: &[(&str, &str)]) -> &mut Self {
        let fields: Vec<Field> =
            fields.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        self.head(stream, &fields, true);
        self
    }

    #[track_caller]
    fn head(&mut self, stream: u32, fields: &[Field], ends: bool) {
        let block = self.encoder.encode(fields);
        let ends = if ends { flag::END_STREAM } else { 0 };
        let mut parts = block.chunks(self.frame_bytes_max()).peekable();
        let first = parts.next().unwrap_or_default();
        let last = |more: bool| if more { 0 } else { flag::END_HEADERS };
        let flags = ends | last(parts.peek().is_some());
        let mut bytes = Frame::headers(stream, flags, first).bytes();
        while let Some(part) = parts.next() {
            bytes.extend(Frame::continuation(stream, last(parts.peek().is_some()), part).bytes());
        }
        self.write(&bytes);
    }

    /// Sends a part of a body as the other side's windows allow, reading meanwhile.
    #[track_caller]
    pub fn data(&mut self, stream: u32, mut bytes: &[u8], ends: bool) -> &mut Self {
        loop {
            let of_stream = self.streams.get(&stream).map_or(0, |stream| stream.send_window);
            let room = usize::try_from(of_stream.min(self.send_window)).unwrap_or(0);
            let count = bytes.len().min(room).min(self.frame_bytes_max());
            let rest = bytes.len() - count;
            if count > 0 || bytes.is_empty() {
                let flags = if ends && rest == 0 { flag::END_STREAM } else { 0 };
                self.frame(&Frame::data(stream, flags, &bytes[..count]));
                bytes = &bytes[count..];
                if rest == 0 {
                    return self;
                }
                continue;
            }
            // The answer is there before the request is: the rest is not wanted.
            if self.streams.get(&stream).is_none_or(|stream| stream.answer.is_over()) {
                return self;
            }
            self.next_frame().unwrap_or_else(|broken| panic!("no credit for {rest} bytes: {broken:?}"));
        }
    }

    /// Sends any frame. What it changes of streams and windows is kept in mind.
    #[track_caller]
    pub fn frame(&mut self, frame: &Frame) -> &mut Self {
        self.write(&frame.bytes());
        self.note_sent(frame);
        self
    }

    /// Sends any frame if the other side takes it; whether it did.
    pub fn try_frame(&mut self, frame: &Frame) -> bool {
        self.note_sent(frame);
        self.link.write(&frame.bytes()).is_ok()
    }

    /// Sends any bytes.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.raw = true;
        self.write(bytes.as_ref());
        self
    }

    /// Sends as much as the other side takes; whether it was all.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.raw = true;
        self.link.write(bytes.as_ref()).is_ok()
    }

    /// Nothing more comes from here. Over TLS this is not told, since openssl does not tell it.
    pub fn finish(&mut self) -> &mut Self {
        self.link.finish();
        self
    }

    /// Ends the connection with a reset of TCP's.
    pub fn reset(mut self) {
        self.link.reset();
    }

    /// The answer to the request that was asked first of those not answered yet, interim ones left out.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        let response = self.try_response().unwrap_or_else(|broken| panic!("no response: {broken:?}"));
        if let Some(code) = response.reset {
            panic!("the stream was reset, {}: {response:?}", code_name(code));
        }
        response
    }

    /// The same as [`Self::response`], for who writes one test for both protocols: here a stream knows its method.
    #[track_caller]
    pub fn response_to(&mut self, _method: &str) -> Response {
        self.response()
    }

    /// The outcome of the request that was asked first of those not answered yet.
    pub fn try_response(&mut self) -> Result<Response, Broken> {
        let stream = self.asked.pop_front().ok_or_else(|| Broken::Wrong("nothing was asked".to_owned()))?;
        self.outcome(stream)
    }

    /// The outcome of a stream: a whole response, or one that was reset with what came of it until then; its status is 0
    /// where no head had come.
    pub fn outcome(&mut self, stream: u32) -> Result<Response, Broken> {
        self.wait_until(|connection| {
            connection.streams.get(&stream).is_some_and(|stream| stream.answer.is_over())
        })?;
        self.asked.retain(|&asked| asked != stream);
        let answer = self.streams.get(&stream).map(|stream| stream.answer.response.clone());
        answer.ok_or_else(|| Broken::Wrong(format!("there is no stream {stream}")))
    }

    /// The head of a stream's final answer, as soon as it is there; its body is what has come with it.
    #[track_caller]
    pub fn response_head(&mut self, stream: u32) -> Response {
        let there = |answer: &Answer| answer.response.status != 0 || answer.is_over();
        let waited = self.wait_until(|connection| {
            connection.streams.get(&stream).is_some_and(|stream| there(&stream.answer))
        });
        waited.unwrap_or_else(|broken| panic!("no head on stream {stream}: {broken:?}"));
        self.so_far(stream)
    }

    /// Waits until so many bytes of a stream's body are there, and gives what there is.
    #[track_caller]
    pub fn body_of(&mut self, stream: u32, bytes: usize) -> Vec<u8> {
        let enough = |answer: &Answer| answer.response.body.len() >= bytes || answer.is_over();
        let waited = self.wait_until(|connection| {
            connection.streams.get(&stream).is_some_and(|stream| enough(&stream.answer))
        });
        waited.unwrap_or_else(|broken| panic!("not {bytes} bytes on stream {stream}: {broken:?}"));
        self.so_far(stream).body
    }

    /// The status of a stream's final answer, if that has come.
    pub fn status_of(&self, stream: u32) -> Option<u16> {
        let status = self.streams.get(&stream).map(|stream| stream.answer.response.status);
        status.filter(|status| *status != 0)
    }

    /// What has come of a stream's answer so far.
    #[track_caller]
    pub fn so_far(&self, stream: u32) -> Response {
        let found = self.streams.get(&stream).map(|stream| stream.answer.response.clone());
        found.unwrap_or_else(|| panic!("there is no stream {stream}"))
    }

    /// Whether a stream was ever opened.
    pub fn knows(&self, stream: u32) -> bool {
        self.streams.contains_key(&stream)
    }

    /// Interim answers of a stream so far.
    pub fn interim(&self, stream: u32) -> Vec<Response> {
        self.streams.get(&stream).map(|stream| stream.answer.interim.clone()).unwrap_or_default()
    }

    /// Whether a stream's answer is whole, or was reset.
    pub fn is_over(&self, stream: u32) -> bool {
        self.streams.get(&stream).is_some_and(|stream| stream.answer.is_over())
    }

    /// Reads until it is so.
    pub fn wait_until(&mut self, mut so: impl FnMut(&Self) -> bool) -> Result<(), Broken> {
        while !so(self) {
            self.next_frame()?;
        }
        Ok(())
    }

    /// Asks for a sign of life and reads until it comes: what was sent before has then been read.
    pub fn round_trip(&mut self) -> Result<(), Broken> {
        let number = u64::try_from(self.frames.len()).unwrap_or_default() | 0x5e1f << 48;
        let ping = Frame::ping(number.to_be_bytes());
        if self.link.write(&ping.bytes()).is_err() {
            return Err(Broken::Ended(Vec::new()));
        }
        loop {
            let frame = self.next_frame()?;
            if frame.kind == kind::PING && frame.has(flag::ACK) && frame.payload == ping.payload {
                return Ok(());
            }
        }
    }

    /// The next frame.
    pub fn next_frame(&mut self) -> Result<Frame, Broken> {
        self.next_frame_within(PATIENCE)
    }

    /// The next frame, if it comes within that time.
    pub fn next_frame_within(&mut self, time: Duration) -> Result<Frame, Broken> {
        let deadline = Instant::now() + time;
        loop {
            if let Some((frame, length)) = Frame::read(&self.input) {
                self.input.drain(..length);
                self.take(&frame).map_err(|problem| Broken::Wrong(format!("{problem}; in {frame:?}")))?;
                let mut kept = frame.clone();
                if kept.kind == kind::DATA {
                    kept.payload.truncate(KEPT_BYTES);
                }
                self.frames.push(kept);
                return Ok(frame);
            }
            self.receive(deadline)?;
        }
    }

    /// Reads until the connection ends; `None` if it does not within that time. What is no HTTP/2 is left unread.
    pub fn ends_within(&mut self, time: Duration) -> Option<()> {
        let deadline = Instant::now() + time;
        loop {
            match self.next_frame_within(deadline.saturating_duration_since(Instant::now())) {
                Ok(_) => {}
                Err(Broken::Ended(_)) => return Some(()),
                Err(_) if Instant::now() >= deadline => return None,
                Err(_) => self.input.clear(),
            }
        }
    }

    /// Whether the other side says nothing and keeps the connection, for as long as that.
    pub fn quiet_for(&mut self, time: Duration) -> bool {
        matches!(self.next_frame_within(time), Err(Broken::Silent(_)))
    }

    /// Every frame that came, of data only the beginning.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// GOAWAY frames in the order in which they came.
    pub fn gone(&self) -> &[GoAway] {
        &self.gone
    }

    /// What the other side has set.
    pub fn setting(&self, name: u16) -> Option<u32> {
        self.peer.get(&name).copied()
    }

    /// What may be sent on the connection, and on a stream.
    pub fn send_windows(&self, stream: u32) -> (i64, i64) {
        (self.send_window, self.streams.get(&stream).map_or(0, |stream| stream.send_window))
    }

    /// The stream that is opened next.
    pub fn next_stream(&self) -> u32 {
        self.next_stream
    }

    fn frame_bytes_max(&self) -> usize {
        let max = self.setting(setting::MAX_FRAME_SIZE).and_then(|bytes| usize::try_from(bytes).ok());
        max.unwrap_or(FRAME_BYTES)
    }

    #[track_caller]
    fn write(&mut self, bytes: &[u8]) {
        if let Err(error) = self.link.write(bytes) {
            let mut said = Vec::new();
            // Why it is gone stands in what came before.
            while let Ok(frame) = self.next_frame_within(Duration::from_millis(100)) {
                said.push(frame);
            }
            panic!("cannot send: {error}; it said {said:?}");
        }
    }

    fn add_stream(&mut self, stream: u32, method: &str) -> &mut Stream {
        self.next_stream = self.next_stream.max(stream.saturating_add(2));
        let peer = self.setting(setting::INITIAL_WINDOW_SIZE).unwrap_or(WINDOW_BYTES);
        let (send_window, receive_window) = (peer.into(), self.stream_window);
        self.streams.entry(stream).or_insert_with(|| Stream {
            answer: Answer::to(method),
            send_window,
            receive_window,
        })
    }

    fn note_sent(&mut self, frame: &Frame) {
        let stream = frame.stream & WINDOW_BYTES_MAX;
        let length = i64::try_from(frame.payload.len()).unwrap_or(i64::MAX);
        match frame.kind {
            kind::HEADERS if stream != 0 => {
                self.add_stream(stream, "");
            }
            kind::DATA => {
                self.send_window -= length;
                if let Some(stream) = self.streams.get_mut(&stream) {
                    stream.send_window -= length;
                }
            }
            kind::WINDOW_UPDATE => {
                let more = i64::from(frame.word(0).unwrap_or(0));
                match self.streams.get_mut(&stream) {
                    Some(stream) => stream.receive_window += more,
                    None if stream == 0 => self.receive_window += more,
                    None => {}
                }
            }
            kind::SETTINGS if !frame.has(flag::ACK) => {
                let settings = frame.as_settings();
                let window = settings.iter().rfind(|(name, _)| *name == setting::INITIAL_WINDOW_SIZE);
                // More may be used at once, less holds from its acknowledgement on.
                if let Some(&(_, bytes)) = window.filter(|(_, bytes)| i64::from(*bytes) > self.stream_window)
                {
                    self.set_stream_window(bytes.into());
                }
                self.unacknowledged.push_back(settings);
            }
            _ => {}
        }
    }

    fn receive(&mut self, deadline: Instant) -> Result<(), Broken> {
        if self.ended {
            return Err(Broken::Ended(self.input.clone()));
        }
        let mut chunk = [0; 32 << 10];
        match self.link.read(&mut chunk, deadline.saturating_duration_since(Instant::now())) {
            Ok(count @ 1..) => {
                self.input.extend_from_slice(&chunk[..count]);
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err(Broken::Silent(self.input.clone()))
            }
            // A reset is an end as well: what the test wants to know is what came before it.
            Ok(_) | Err(_) => {
                self.ended = true;
                Err(Broken::Ended(self.input.clone()))
            }
        }
    }
}
