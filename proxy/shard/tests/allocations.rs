//! What a request allocates in steady state, which is nothing but for two places of a call on a shared connection to a backend: a
//! whole core on real sockets, whose process counts every allocation of all of its threads. Client and backend live in it too, so they use nothing but buffers on their stacks. One test, since a second
//! one beside it would be counted as well.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::{
    alloc::System,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

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

/// Requests after which pools, queues and tables are as large as they get.
const WARM_UP: usize = 500;
const COUNTED: usize = 1_000;

/// What requests of HTTP/2 allocate, each. Proxied to HTTP/1.1, refused, answered out of the cache, and proxied to HTTP/2.
const HTTP2: [(&str, &str, usize); 4] =
    [("/p/1k", "200", 0), ("/l/1k", "429", 0), ("/c/1k", "200", 0), ("/h/1k", "200", 2)];

/// Of all that [`COUNTED`] requests have allocated so much may still be there behind them.
const LEFT_BYTES_MAX: isize = 8 << 10;

const BODY_BYTES: usize = 1 << 10;

/// All heads of answers on a connection, compressed.
const BLOCKS_BYTES: usize = 1 << 20;

/// Longest head of either side, with a body behind it.
const MESSAGE_BYTES_MAX: usize = 4 << 10;

#[test]
fn requests_allocate_nothing_but_what_a_shared_connection_is_told() {
    for driver in [DriverChoice::Epoll, DriverChoice::Uring] {
        let Some(front) = Front::start(driver) else {
            println!("skipped: {driver:?}, which this kernel does not let us use");
            continue;
        };
        for (path, status) in [("/p/1k", "200"), ("/l/1k", "429"), ("/c/1k", "200")] {
            let allocations = front.allocations(path, status);
            assert_eq!(allocations, 0, "{driver:?} {path}");
        }
        for (path, status, per_request) in HTTP2 {
            let (allocations, left_bytes) = front.allocations_http2(path, status);
            let most = per_request * COUNTED + COUNTED / 10;
            println!(
                "{driver:?} {path} over HTTP/2: {allocations} in {COUNTED} requests, {left_bytes} bytes left"
            );
            assert!(allocations <= most, "{driver:?} {path} over HTTP/2: {allocations} of {most}");
            assert!(
                left_bytes < LEFT_BYTES_MAX,
                "{driver:?} {path} over HTTP/2 holds {left_bytes} bytes more"
            );
        }
        front.end();
    }
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
        let endpoints = vec![(0, endpoint(0)), (1, endpoint(1))];
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

    /// Allocations of [`COUNTED`] requests on a connection that has had some, with those that were made longer.
    fn allocations(&self, path: &str, status: &str) -> usize {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n");
        let mut client = TcpStream::connect(self.address).unwrap();
        client.set_nodelay(true).unwrap();
        for _ in 0..WARM_UP {
            ask(&mut client, request.as_bytes());
        }
        let region = Region::new(ALLOCATOR);
        for _ in 0..COUNTED {
            let answer = ask(&mut client, request.as_bytes());
            assert!(answer == *status.as_bytes(), "{path}: {}", answer.escape_ascii());
        }
        let counted = region.change();
        counted.allocations + counted.reallocations
    }

    /// Allocations of as many requests over HTTP/2, and the bytes of them that are still there.
    fn allocations_http2(&self, path: &str, status: &str) -> (usize, isize) {
        let mut client = Streams::connect(self.address, path);
        for _ in 0..WARM_UP {
            client.ask();
        }
        let region = Region::new(ALLOCATOR);
        for _ in 0..COUNTED {
            client.ask();
        }
        let counted = region.change();
        client.check(status);
        let left = |bytes: usize| isize::try_from(bytes).unwrap();
        let left_bytes = left(counted.bytes_allocated) - left(counted.bytes_deallocated);
        (counted.allocations + counted.reallocations, left_bytes)
    }

    fn end(self) {
        assert!(self.post.send(Message::Drain(Duration::from_secs(5))).is_ok());
        self.core.join().unwrap();
    }
}

/// Sends a request and reads the whole answer. Returns its status.
fn ask(client: &mut TcpStream, request: &[u8]) -> [u8; 3] {
    client.write_all(request).unwrap();
    let mut answer = [0; MESSAGE_BYTES_MAX];
    let mut bytes = 0;
    loop {
        let read = client.read(&mut answer[bytes..]).unwrap();
        assert!(read > 0, "the answer was cut");
        bytes += read;
        let Some(head_bytes) = head_bytes(&answer[..bytes]) else { continue };
        let length = number_behind(&answer[..head_bytes], b"\r\nContent-Length: ");
        if bytes >= head_bytes + length {
            return [answer[9], answer[10], answer[11]];
        }
    }
}

fn head_bytes(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

fn number_behind(head: &[u8], before: &[u8]) -> usize {
    let at = head.windows(before.len()).position(|window| window == before).unwrap() + before.len();
    head[at..]
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
    let mut answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n".to_vec();
    answer.resize(answer.len() + BODY_BYTES, b'a');
    let mut request = [0; MESSAGE_BYTES_MAX];
    let mut bytes = 0;
    while let Ok(read @ 1..) = stream.read(&mut request[bytes..]) {
        bytes += read;
        if head_bytes(&request[..bytes]).is_some() {
            bytes = 0;
            stream.write_all(&answer).unwrap();
        }
    }
}

/// The same over HTTP/2, where requests have no body.
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
    next: u32,
    /// The blocks of all answers' heads, one behind the other, and where they end.
    blocks: Vec<u8>,
    ends: Vec<usize>,
}

impl Streams {
    fn connect(address: SocketAddr, path: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let settings = Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 1 << 20)]);
        let credit = Frame::window_update(0, 1 << 30);
        stream.write_all(&[PREFACE, &settings.bytes(), &credit.bytes()].concat()).unwrap();
        let block = Block::new()
            .indexed(2)
            .indexed(6)
            .literal(":authority", "localhost")
            .literal(":path", path)
            .literal("user-agent", "test")
            .literal("accept", "*/*");
        let request = Frame::headers(1, flag::END_HEADERS | flag::END_STREAM, block).bytes();
        let (blocks, ends) = (Vec::with_capacity(BLOCKS_BYTES), Vec::with_capacity(WARM_UP + COUNTED));
        Self { frames: Frames::new(stream), request, next: 1, blocks, ends }
    }

    /// Sends a request and reads the whole answer.
    fn ask(&mut self) {
        self.request[5..9].copy_from_slice(&self.next.to_be_bytes());
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
    fn check(&self, status: &str) {
        let (mut decoder, mut begin) = (Decoder::new(TABLE_BYTES as usize), 0);
        for end in &self.ends {
            let fields = decoder.decode_text(&self.blocks[begin..*end]).unwrap();
            assert_eq!(fields[0], (":status".to_owned(), status.to_owned()));
            begin = *end;
        }
        assert_eq!(self.ends.len(), WARM_UP + COUNTED);
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
    Model { apis: vec![api], upstreams, listeners: vec![listener], ..Model::default() }
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
