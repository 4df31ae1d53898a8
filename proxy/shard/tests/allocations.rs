//! What a request allocates in steady state, which is nothing: a whole core on real sockets, whose process counts every allocation of all of its
//! threads. Client and backend live in it too, so they use nothing but buffers on their stacks. One test, since a second
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

use model::{Integration, Model, RouteKey};
use policy::{cache::Epochs, throttle::Table};
use runtime::{DriverChoice, DriverKind};
use shard::{Endpoint, Gate, Message, Seat};
use snapshot::{Inputs, Slots, Snapshot, compile};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use telemetry::log;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Requests after which pools, queues and tables are as large as they get.
const WARM_UP: usize = 500;
const COUNTED: usize = 1_000;

const BODY_BYTES: usize = 1 << 10;

/// Longest head of either side, with a body behind it.
const MESSAGE_BYTES_MAX: usize = 4 << 10;

#[test]
fn requests_allocate_nothing_in_steady_state() {
    for driver in [DriverChoice::Epoll, DriverChoice::Uring] {
        let Some(front) = Front::start(driver) else {
            println!("skipped: {driver:?}, which this kernel does not let us use");
            continue;
        };
        for (path, status) in [("/p/1k", "200"), ("/l/1k", "429"), ("/c/1k", "200")] {
            let allocations = front.allocations(path, status);
            assert_eq!(allocations, 0, "{driver:?} {path}");
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
        let snapshot = snapshot(&model(address, backend()));
        let upstream = snapshot.upstreams[0].as_ref().unwrap();
        let target = &upstream.targets[0];
        let at = Endpoint { target: 0, address: SocketAddr::new(target.host.parse().unwrap(), target.port) };
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
            endpoints: vec![(0, Arc::from([at]))],
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
fn backend() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
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

fn model(front: SocketAddr, back: SocketAddr) -> Model {
    let target = model::Target { tls: false, host: back.ip().to_string(), port: back.port(), origin: None };
    let upstream = model::Upstream { name: "b".into(), targets: vec![target], ..model::Upstream::default() };
    let route = |path: &str| model::Route {
        key: RouteKey::Path { method: None, path: path.into() },
        integration: Integration::Http { upstream: "b".into(), path: None, strip_prefix: None },
        throttles: Vec::new(),
        cache: None,
        limits: None,
        origin: None,
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
        model::Route { cache: Some(cached), ..route("/c/{rest+}") },
        model::Route { throttles: vec![limited], ..route("/l/{rest+}") },
    ];
    let api = model::Api {
        name: "api".into(),
        kind: model::Kind::Proxy,
        mappings: Vec::new(),
        stages: vec![model::Stage { name: "$default".into(), ..model::Stage::default() }],
        routes,
        cors: None,
        origin: None,
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
    Model { apis: vec![api], upstreams: vec![upstream], listeners: vec![listener], ..Model::default() }
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
    };
    let (snapshot, found) = compile(model, &mut inputs);
    Arc::new(snapshot.unwrap_or_else(|| panic!("{found:?}")))
}
