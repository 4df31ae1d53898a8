//! What a request allocates in steady state, which is nothing but for two places of a call on a shared connection to a backend: a
//! whole core on real sockets, whose process counts every allocation of all of its threads. Client and backend live in it too, so they use nothing but buffers on their stacks. One test, since a second
//! one beside it would be counted as well.

#![expect(clippy::unwrap_used, reason = "a test")]

mod apis;

use std::{
    alloc::System,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use apis::{ASKS, Ask};
use harness::h2::{
    Block, FRAME_BYTES, Frame, HEAD_BYTES, PREFACE, TABLE_BYTES, flag, hpack::Decoder, kind, setting,
};
use model::{Integration, Model, RouteKey};
use policy::{cache::Epochs, throttle::Table};
use runtime::{DriverChoice, DriverKind};
use shard::{Endpoint, FrontLine, Gate, Message, Offences, Seat};
use snapshot::{Inputs, Slots, Snapshot, compile};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use telemetry::log;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Requests that are counted, after half as many, with which pools, queues and tables become as large as they get.
const COUNTED: usize = 1_000;

/// Of each route of [`apis`]. Beside what each may allocate there may be one in ten: what a core keeps of requests it gives up
/// when nobody has asked for a while, and this process may not have been scheduled.
const COUNTED_OF_APIS: usize = 400;

/// What is asked, and allocations of each request over HTTP/1.1 and over HTTP/2: proxied to HTTP/1.1, refused, answered out of the
/// cache, and proxied to HTTP/2.
const PLAIN: [(Ask, usize, usize); 4] = [
    (Ask::get("localhost", "/p/1k", "200"), 0, 0),
    (Ask::get("localhost", "/l/1k", "429"), 0, 0),
    (Ask::get("localhost", "/c/1k", "200"), 0, 0),
    (Ask::get("localhost", "/h/1k", "200"), 2, 2),
];

/// Of all that the counted requests have allocated so much may still be there behind them.
const LEFT_BYTES_MAX: isize = 8 << 10;

const BODY_BYTES: usize = 1 << 10;

/// All heads of answers on a connection, compressed.
const BLOCKS_BYTES: usize = 1 << 20;

/// Longest head of either side, with a body behind it.
const MESSAGE_BYTES_MAX: usize = 4 << 10;

#[test]
fn requests_allocate_nothing_but_what_a_shared_connection_is_told() {
    let mut wrong = Vec::new();
    for driver in [DriverChoice::Epoll, DriverChoice::Uring] {
        let Some(front) = Front::start(driver) else {
            println!("skipped: {driver:?}, which this kernel does not let us use");
            continue;
        };
        let plain = PLAIN.iter().map(|asked| (asked, COUNTED, 0));
        let of_apis = ASKS.iter().map(|asked| (asked, COUNTED_OF_APIS, COUNTED_OF_APIS / 10));
        for ((ask, http1, http2), requests, slack) in plain.chain(of_apis) {
            let counted = front.allocations(ask, requests);
            println!("{driver:?} {} {}: {counted} in {requests} requests", ask.method, ask.path);
            let most = http1 * requests + if *http1 == 0 { slack } else { requests / 10 };
            wrong.extend((counted > most).then_some((driver, ask.path, counted, most)));
            let (counted, left_bytes) = front.allocations_http2(ask, requests);
            println!("  over HTTP/2: {counted}, {left_bytes} bytes left");
            let most = http2 * requests + requests / 10;
            wrong.extend((counted > most).then_some((driver, ask.path, counted, most)));
            assert!(left_bytes < LEFT_BYTES_MAX, "{driver:?} {} holds {left_bytes} bytes more", ask.path);
        }
        front.end();
    }
    assert!(wrong.is_empty(), "more allocations than there may be: {wrong:#?}");
}

/// A core that takes connections.
struct Front {
    address: SocketAddr,
    post: runtime::Post<Message>,
    core: thread::JoinHandle<()>,
    _log: log::Writer,
}

impl Front {
    /// `None` if the driver is not to be had here.
    fn start(driver: DriverChoice) -> Option<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let snapshot = snapshot(&model(address, [backend(answer), backend(answer_http2)]));
        let endpoint = |slot: usize| {
            let target = &snapshot.upstreams[slot].as_ref().unwrap().targets[0];
            let address = SocketAddr::new(target.host.parse().unwrap(), target.port);
            Arc::from([Endpoint { target: 0, address }])
        };
        let endpoints = (0_u32..).zip(0..snapshot.upstreams.len()).map(|(slot, at)| (slot, endpoint(at)));
        let endpoints = endpoints.collect();
        let (writer, mut logs) = log::start(log::Target::Discard, 1, Box::new(|_| {})).unwrap();
        let seat = Seat {
            index: 0,
            cores: 1,
            runtime: runtime::Options { driver, ..runtime::Options::default() },
            listeners: vec![listener],
            snapshot,
            limits: Arc::new(Table::new(1_024)),
            cache_bytes_max: 1 << 20,
            epochs: Arc::new(Epochs::new(1)),
            gate: Arc::new(Gate::new(16, 1)),
            backends_max: 16,
            log: logs.remove(0),
            endpoints,
            front_line: FrontLine {
                offences: Some(Arc::new(Offences::new(1, 32, 64))),
                ..FrontLine::default()
            },
        };
        let (met, meeting) = mpsc::channel();
        let core = thread::spawn(move || {
            let meet = |ready: shard::Ready| {
                let posts = vec![ready.post.clone()];
                met.send(ready).unwrap();
                Some(posts)
            };
            if let Err(error) = shard::run(seat, meet, || {}) {
                println!("{error}");
            }
        });
        let Ok(ready) = meeting.recv() else {
            core.join().unwrap();
            return None;
        };
        let front = Self { address, post: ready.post, core, _log: writer };
        if (ready.driver == DriverKind::Epoll) == matches!(driver, DriverChoice::Epoll) {
            return Some(front);
        }
        front.end();
        None
    }

    /// Allocations of so many requests on a connection that has had some, with those that were made longer.
    fn allocations(&self, of: &Ask, requests: usize) -> usize {
        let Ask { host, method, path, fields, body, status, says } = of;
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: test\r\nAccept: */*\r\n");
        for (name, value) in *fields {
            request += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            request += &format!("Content-Length: {}\r\n", body.len());
        }
        request += &format!("\r\n{body}");
        let mut client = TcpStream::connect(self.address).unwrap();
        client.set_nodelay(true).unwrap();
        for _ in 0..requests / 2 {
            ask(&mut client, request.as_bytes(), |_| {});
        }
        ask(&mut client, request.as_bytes(), |answer| {
            let answer = String::from_utf8_lossy(answer);
            assert!(answer[9..].starts_with(status) && answer.contains(says), "{path}: {answer}");
        });
        let region = Region::new(ALLOCATOR);
        for _ in 0..requests {
            ask(&mut client, request.as_bytes(), |answer| {
                assert!(answer[9..].starts_with(status.as_bytes()), "{path}: {}", answer.escape_ascii());
            });
        }
        let counted = region.change();
        counted.allocations + counted.reallocations
    }

    /// Allocations of as many requests over HTTP/2, and the bytes of them that are still there.
    fn allocations_http2(&self, ask: &Ask, requests: usize) -> (usize, isize) {
        let mut client = Streams::connect(self.address, ask, requests);
        for _ in 0..requests / 2 {
            client.ask();
        }
        let region = Region::new(ALLOCATOR);
        for _ in 0..requests {
            client.ask();
        }
        let counted = region.change();
        client.check(ask.status, requests);
        let left = |bytes: usize| isize::try_from(bytes).unwrap();
        let left_bytes = left(counted.bytes_allocated) - left(counted.bytes_deallocated);
        (counted.allocations + counted.reallocations, left_bytes)
    }

    fn end(self) {
        assert!(self.post.send(Message::Drain(Duration::from_secs(5))).is_ok());
        self.core.join().unwrap();
    }
}

/// Sends a request, reads the whole answer and looks at it.
fn ask(client: &mut TcpStream, request: &[u8], look: impl FnOnce(&[u8])) {
    client.write_all(request).unwrap();
    let mut answer = [0; MESSAGE_BYTES_MAX];
    let mut bytes = 0;
    loop {
        let read = client.read(&mut answer[bytes..]).unwrap();
        assert!(read > 0, "the answer was cut");
        bytes += read;
        let Some(head_bytes) = head_bytes(&answer[..bytes]) else { continue };
        if bytes >= head_bytes + length(&answer[..head_bytes]) {
            return look(&answer[..bytes]);
        }
    }
}

fn head_bytes(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// Of the body behind a head.
fn length(head: &[u8]) -> usize {
    const BEFORE: &[u8] = b"\r\nContent-Length: ";
    let at = head.windows(BEFORE.len()).position(|window| window.eq_ignore_ascii_case(BEFORE));
    let digits = at.map_or(&[][..], |at| &head[at + BEFORE.len()..]);
    digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0, |n, byte| n * 10 + usize::from(byte - b'0'))
}

/// Answers whatever it is asked, until the test ends.
fn backend(answer: fn(TcpStream)) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            thread::spawn(move || answer(stream));
        }
    });
    address
}

fn answer(mut stream: TcpStream) {
    let mut text = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n".to_vec();
    text.resize(text.len() + BODY_BYTES, b'a');
    let length_of = apis::ORDER.len();
    let json =
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length_of}\r\n\r\n");
    let json = [json.as_bytes(), apis::ORDER.as_bytes()].concat();
    let mut request = [0; MESSAGE_BYTES_MAX];
    let mut bytes = 0;
    while let Ok(read @ 1..) = stream.read(&mut request[bytes..]) {
        bytes += read;
        let Some(head_bytes) = head_bytes(&request[..bytes]) else { continue };
        if bytes >= head_bytes + length(&request[..head_bytes]) {
            let is_order = request.starts_with(b"POST /v2/order");
            stream.write_all(if is_order { &json } else { &text }).unwrap();
            bytes = 0;
        }
    }
}

/// The same over HTTP/2, text for requests without a body.
fn answer_http2(mut stream: TcpStream) {
    let block =
        Block::new().indexed(8).literal("content-type", "text/plain").literal("content-length", "1024");
    let mut answer = Frame::headers(1, flag::END_HEADERS, block).bytes();
    let data_at = answer.len();
    answer.extend(Frame::data(1, flag::END_STREAM, vec![b'a'; BODY_BYTES]).bytes());
    stream.write_all(&Frame::settings(&[]).bytes()).unwrap();
    let mut preface = [0; PREFACE.len()];
    if stream.read_exact(&mut preface).is_err() {
        return;
    }
    let mut frames = Frames::new(stream);
    while let Some((head, _)) = frames.next() {
        if head.kind == kind::HEADERS {
            answer[5..9].copy_from_slice(&head.stream.to_be_bytes());
            answer[data_at + 5..data_at + 9].copy_from_slice(&head.stream.to_be_bytes());
            frames.stream.write_all(&answer).unwrap();
        }
    }
}

/// A frame's head.
struct Head {
    kind: u8,
    flags: u8,
    stream: u32,
}

/// Frames as they come; settings and pings are acknowledged.
struct Frames {
    stream: TcpStream,
    payload: [u8; FRAME_BYTES],
}

impl Frames {
    fn new(stream: TcpStream) -> Self {
        Self { stream, payload: [0; FRAME_BYTES] }
    }

    /// Its head and payload; `None` at the end.
    fn next(&mut self) -> Option<(Head, &[u8])> {
        let mut bytes = [0; HEAD_BYTES];
        self.stream.read_exact(&mut bytes).ok()?;
        let [a, b, c, kind, flags, stream @ ..] = bytes;
        let payload = &mut self.payload[..usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap()];
        self.stream.read_exact(payload).ok()?;
        if matches!(kind, kind::SETTINGS | kind::PING) && flags & flag::ACK == 0 {
            bytes[4] = flag::ACK;
            let echo = if kind == kind::PING { &*payload } else { &[] };
            bytes[..3].copy_from_slice(&[0, 0, u8::try_from(echo.len()).unwrap()]);
            self.stream.write_all(&bytes).unwrap();
            self.stream.write_all(echo).unwrap();
        }
        Some((Head { kind, flags, stream: u32::from_be_bytes(stream) }, payload))
    }
}

/// A client of HTTP/2, which asks for the same again and again.
struct Streams {
    frames: Frames,
    request: Vec<u8>,
    /// Where the frame of the body begins, if there is one.
    data_at: Option<usize>,
    next: u32,
    /// The blocks of all answers' heads, one behind the other, and where they end.
    blocks: Vec<u8>,
    ends: Vec<usize>,
}

impl Streams {
    fn connect(address: SocketAddr, ask: &Ask, requests: usize) -> Self {
        let Ask { host, method, path, fields, body, .. } = ask;
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let settings = Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 1 << 20)]);
        let credit = Frame::window_update(0, 1 << 30);
        stream.write_all(&[PREFACE, &settings.bytes(), &credit.bytes()].concat()).unwrap();
        let mut block = Block::new()
            .literal(":method", method)
            .indexed(6)
            .literal(":authority", host)
            .literal(":path", path)
            .literal("user-agent", "test")
            .literal("accept", "*/*");
        for (name, value) in *fields {
            block = block.literal(name, value);
        }
        let ends = if body.is_empty() { flag::END_STREAM } else { 0 };
        let mut request = Frame::headers(1, flag::END_HEADERS | ends, block).bytes();
        let data_at = (!body.is_empty()).then_some(request.len());
        if !body.is_empty() {
            request.extend(Frame::data(1, flag::END_STREAM, body.as_bytes().to_vec()).bytes());
        }
        let (blocks, ends) = (Vec::with_capacity(BLOCKS_BYTES), Vec::with_capacity(requests / 2 + requests));
        Self { frames: Frames::new(stream), request, data_at, next: 1, blocks, ends }
    }

    /// Sends a request and reads the whole answer.
    fn ask(&mut self) {
        for at in [Some(0), self.data_at].into_iter().flatten() {
            self.request[at + 5..at + 9].copy_from_slice(&self.next.to_be_bytes());
        }
        self.frames.stream.write_all(&self.request).unwrap();
        loop {
            let (head, payload) = self.frames.next().unwrap();
            if head.kind == kind::HEADERS {
                assert!(
                    head.flags & flag::END_HEADERS != 0 && payload.len() + self.blocks.len() <= BLOCKS_BYTES
                );
                self.blocks.extend_from_slice(payload);
                self.ends.push(self.blocks.len());
            }
            let is_last =
                matches!(head.kind, kind::HEADERS | kind::DATA) && head.flags & flag::END_STREAM != 0;
            if head.stream == self.next && is_last {
                break;
            }
        }
        self.next += 2;
    }

    /// All answers had this status.
    fn check(&self, status: &str, requests: usize) {
        let (mut decoder, mut begin) = (Decoder::new(TABLE_BYTES as usize), 0);
        for end in &self.ends {
            let fields = decoder.decode_text(&self.blocks[begin..*end]).unwrap();
            assert_eq!(fields[0], (":status".to_owned(), status.to_owned()));
            begin = *end;
        }
        assert_eq!(self.ends.len(), requests / 2 + requests);
    }
}

fn model(front: SocketAddr, back: [SocketAddr; 2]) -> Model {
    let upstream = |name: &str, back: SocketAddr, http2| {
        let target =
            model::Target { tls: false, host: back.ip().to_string(), port: back.port(), origin: None };
        model::Upstream { name: name.into(), targets: vec![target], http2, ..model::Upstream::default() }
    };
    let upstreams = vec![upstream("b", back[0], false), upstream("h", back[1], true)];
    let route = |path: &str| {
        let upstream = if path.starts_with("/h/") { "h".into() } else { "b".into() };
        let key = RouteKey::Path { method: None, path: path.into() };
        model::Route::new(key, Integration::Http { upstream, path: None, strip_prefix: None })
    };
    let cached = model::Cache {
        mode: model::CacheMode::Fixed,
        ttl: Duration::from_secs(3_600),
        key: None,
        methods: vec!["GET".into()],
        client_invalidation: false,
        body_bytes_max: 1 << 20,
        origin: None,
    };
    let limited = model::Throttle { rate: 0.001, burst: Some(1), per: model::ThrottlePer::All, origin: None };
    let routes = vec![
        route("/p/{rest+}"),
        route("/h/{rest+}"),
        model::Route { cache: Some(cached), ..route("/c/{rest+}") },
        model::Route { throttles: vec![limited], ..route("/l/{rest+}") },
    ];
    let api = model::Api {
        stages: vec![model::Stage { name: "$default".into(), ..model::Stage::default() }],
        definition: model::Definition { routes, ..model::Definition::default() },
        ..model::Api::new("api", model::Kind::Proxy)
    };
    let listener = model::Listener {
        name: "front".into(),
        address: front,
        plain: true,
        http2: true,
        http2_streams_max: 100,
        security_policy: None,
        names: Vec::new(),
        connections_max: None,
        origin: None,
    };
    let apis = [vec![api], apis::apis(back[0])].concat();
    Model { apis, upstreams, listeners: vec![listener], ..Model::default() }
}

fn snapshot(model: &Model) -> Arc<Snapshot> {
    let tickets = tls::Tickets::new();
    let mut inputs = Inputs {
        read: &|path| std::fs::read(path),
        leaf: &|_| panic!("a plain listener has no certificate"),
        tickets: &tickets,
        slots: &mut Slots::default(),
        before: None,
        generation: 1,
        unix_s: 0,
        progress: progress::Progress::silent(),
    };
    let (snapshot, found) = compile(model, &mut inputs);
    Arc::new(snapshot.unwrap_or_else(|| panic!("{found:?}")))
}
