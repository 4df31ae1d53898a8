use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use super::*;

/// Doors that remember what was asked of them.
#[derive(Default)]
struct Fake {
    draining: std::sync::atomic::AtomicBool,
    refusal: Mutex<Option<String>>,
    reloads: AtomicU64,
    reloading: AtomicU64,
    flushes: AtomicU64,
    said: Mutex<Vec<String>>,
    beats: Mutex<Option<mpsc::Sender<()>>>,
}

impl Doors for Fake {
    fn scrape(&self) -> String {
        "# a page\n".into()
    }
    fn ready(&self) -> Readiness {
        if self.draining.load(SeqCst) { Readiness::Not("draining") } else { Readiness::Ready }
    }
    fn reload(&self) -> Result<Reloaded, String> {
        assert_eq!(self.reloading.fetch_add(1, SeqCst), 0, "two reloads at once");
        let generation = self.reloads.fetch_add(1, SeqCst) + 1;
        let refusal = self.refusal.lock().unwrap().clone();
        thread::yield_now();
        self.reloading.fetch_sub(1, SeqCst);
        match refusal.as_deref() {
            Some("panic") => panic!("a fault put here by a test"),
            Some(refusal) => Err(refusal.into()),
            None => Ok(Reloaded { generation, notes: String::new() }),
        }
    }
    fn deployments(&self, asked: &str) -> Result<String, String> {
        match asked.strip_prefix("refuse ") {
            Some(why) => Err(why.into()),
            None => Ok(format!("{{\"asked\":\"{asked}\"}}")),
        }
    }
    fn progress(&self) -> String {
        "null".into()
    }
    fn flush_cache(&self) {
        self.flushes.fetch_add(1, SeqCst);
    }
    fn reopen_logs(&self) {}
    fn stop(&self, _: Stop) {}
    fn beat(&self) {
        // A test that has heard enough listens no more.
        let _heard = self.beats.lock().unwrap().as_ref().map(|beats| beats.send(()));
    }
    fn say(&self, text: &str) {
        self.said.lock().unwrap().push(text.into());
    }
}

struct Fixture {
    dir: tempfile::TempDir,
    doors: Arc<Fake>,
    control: Control,
}

fn settings(dir: &Path) -> Settings {
    let port_0 = "127.0.0.1:0".parse().ok();
    Settings {
        socket: dir.join("admin.sock"),
        listen: port_0,
        demo: port_0,
        name_servers: Vec::new(),
        beat: None,
    }
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let doors = Arc::new(Fake::default());
    let control = start(settings(dir.path()), Arc::clone(&doors) as Arc<dyn Doors>).unwrap();
    Fixture { dir, doors, control }
}

impl Fixture {
    fn socket(&self) -> PathBuf {
        self.dir.path().join("admin.sock")
    }

    #[track_caller]
    fn check(&self, line: &str, status: u16, body: &str) {
        let (method, path) = line.split_once(' ').unwrap();
        let answer = client::call(&self.socket(), method, path).unwrap();
        assert_eq!((answer.0, answer.1.as_str()), (status, body), "{line}");
    }
}

/// Sends `request` and reads until the other side closes; lower case, as names of headers are.
fn exchange(address: Option<SocketAddr>, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address.expect("it listens")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn the_operator_is_answered_from_the_doors() {
    let f = fixture();
    f.check("GET /metrics", 200, "# a page\n");
    f.check("GET /healthz", 200, "ok\n");
    f.check("GET /readyz", 200, "ready\n");
    f.check("POST /cache/flush", 202, "flushed\n");
    assert_eq!(f.doors.flushes.load(SeqCst), 1);
    f.check("POST /reload", 200, "generation 1\n");
    let asked = |body| client::call_with(&f.socket(), "POST", "/deployments", body).unwrap();
    assert_eq!(asked("this"), (200, "{\"asked\":\"this\"}".into()));
    assert_eq!(asked("refuse that"), (422, "that".into()));
    assert_eq!(asked(&"x".repeat(65 * 1024)).0, 413);
    f.doors.draining.store(true, SeqCst);
    f.check("GET /readyz", 503, "draining\n");
    f.check("GET /healthz", 200, "ok\n");
    let (status, list) = client::call(&f.socket(), "GET", "/nothing").unwrap();
    assert!(status == 404 && list.contains("POST  /reload"), "{status} {list}");
    f.control.stop();
}

#[test]
fn a_refused_reload_says_why_and_a_broken_one_harms_nobody() {
    let f = fixture();
    *f.doors.refusal.lock().unwrap() = Some("error: unknown key `rout`\n".into());
    f.check("POST /reload", 422, "error: unknown key `rout`\n");
    *f.doors.refusal.lock().unwrap() = Some("panic".into());
    f.check("POST /reload", 500, "the call failed by a fault of the gateway's own\n");
    *f.doors.refusal.lock().unwrap() = None;
    f.check("POST /reload", 200, "generation 3\n");
    f.control.stop();
}

#[test]
fn reloads_come_one_after_the_other() {
    let f = fixture();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(client::call(&f.socket(), "POST", "/reload").unwrap().0, 200));
        }
    });
    assert_eq!(f.doors.reloads.load(SeqCst), 8);
    f.control.stop();
}

#[test]
fn a_scraper_on_tcp_is_told_the_format() {
    let f = fixture();
    let answer = exchange(
        f.control.listen_address(),
        b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{answer}");
    assert!(
        answer.contains("\r\ncache-control: no-store\r\n") && answer.ends_with("\r\n\r\n# a page\n"),
        "{answer}"
    );
    let rebound = exchange(
        f.control.listen_address(),
        b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    );
    assert!(rebound.starts_with("HTTP/1.1 421 "), "{rebound}");
    f.control.stop();
}

#[test]
fn what_is_too_large_or_no_http_is_refused() {
    let f = fixture();
    let address = f.control.listen_address();
    let body = vec![b'x'; 70_000];
    let mut request = format!(
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend(&body);
    assert!(exchange(address, &request).starts_with("HTTP/1.1 413 "));
    assert!(exchange(address, b"\x16\x03\x01\0\r\n\r\n").starts_with("HTTP/1.1 400 "));
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nx: {}\r\n\r\n", "y".repeat(20_000));
    assert!(exchange(address, long.as_bytes()).starts_with("HTTP/1.1 431 "));
    assert_eq!(f.doors.reloads.load(SeqCst), 0);
    f.control.stop();
}

#[test]
fn what_is_occupied_is_one_clear_line_and_leaves_nothing_behind() {
    let f = fixture();
    let dir = tempfile::tempdir().unwrap();
    let doors = || Arc::new(Fake::default()) as Arc<dyn Doors>;
    let second = start(settings(f.dir.path()), doors()).err().expect("the socket is taken");
    assert!(matches!(second, Error::SocketInUse { .. }), "{second}");
    let taken = Settings { listen: f.control.listen_address(), ..settings(dir.path()) };
    let error = start(taken, doors()).err().expect("the port is taken").to_string();
    let address = f.control.listen_address().unwrap();
    assert!(
        error.starts_with(&format!("cannot listen on {address} for the admin listener: Address")),
        "{error}"
    );
    assert!(!dir.path().join("admin.sock").exists());
    let open = Settings { demo: "0.0.0.0:0".parse().ok(), ..settings(dir.path()) };
    let error = start(open, doors()).err().expect("the world shall not reach it").to_string();
    assert_eq!(error, "the demo backend may listen on a loopback address only, not on 0.0.0.0:0");
    f.control.stop();
}

#[test]
fn beats_come_no_oftener_than_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (beats, beaten) = mpsc::channel();
    let doors = Arc::new(Fake { beats: Mutex::new(Some(beats)), ..Fake::default() });
    let beat = Some(Duration::from_millis(20));
    let begun = std::time::Instant::now();
    let control = start(Settings { beat, ..settings(dir.path()) }, doors).unwrap();
    for _ in 0..4 {
        beaten.recv_timeout(Duration::from_secs(20)).unwrap();
    }
    // The first comes at once.
    assert!(begun.elapsed() >= Duration::from_millis(3 * 20));
    control.stop();
}

#[test]
fn an_end_is_prompt_and_clean() {
    let f = fixture();
    let socket = f.socket();
    // Somebody who has connected and says nothing holds nothing up.
    let _idle = TcpStream::connect(f.control.listen_address().unwrap()).unwrap();
    f.check("GET /healthz", 200, "ok\n");
    f.control.stop();
    assert!(!socket.exists());
    let error = client::call(&socket, "GET", "/healthz").unwrap_err();
    assert!(matches!(error, Error::NotRunning { .. }), "{error}");
}

#[test]
fn curl_speaks_to_the_socket() {
    let f = fixture();
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--max-time", "20", "-X", "POST", "--unix-socket"]);
    let output = curl.arg(f.socket()).arg("http://localhost/reload").output();
    let Ok(output) = output else {
        eprintln!("skipped: curl is not installed");
        return;
    };
    assert_eq!(String::from_utf8_lossy(&output.stdout), "generation 1\n", "{output:?}");
    f.control.stop();
}

/// Sends one request to the demo backend; expects a status and a piece of the answer.
#[track_caller]
fn check_demo(f: &Fixture, head: &str, body: &str, status: u16, piece: &str) -> String {
    let request =
        format!("{head}\r\nHost: demo\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let answer = exchange(f.control.demo_address(), request.as_bytes());
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{head}: {answer}");
    assert!(answer.contains(piece), "{head}: {answer}");
    answer
}

#[test]
fn the_demo_backend_shows_what_a_gateway_does() {
    let f = fixture();
    check_demo(&f, "GET / HTTP/1.1\r\nX-Twice: a\r\nX-Twice: b", "", 200, r#""x-twice":["a","b"]"#);
    check_demo(&f, "PUT /any/path?q=1 HTTP/1.1", "", 200, r#""method":"PUT","path":"/any/path?q=1""#);
    let first = check_demo(&f, "GET /cached HTTP/1.1", "", 200, r#""made_for_request":3"#);
    assert_ne!(first, check_demo(&f, "GET /cached HTTP/1.1", "", 200, r#""made_for_request":4"#));
    check_demo(&f, "GET /limited HTTP/1.1", "", 200, "let through");
    check_demo(&f, "GET /slow?ms=1 HTTP/1.1", "", 200, r#""waited_ms":1"#);
    check_demo(&f, "GET /slow?ms=60001 HTTP/1.1", "", 400, "`ms` is a whole number up to 60000");
    check_demo(&f, "GET /bytes?n=-1 HTTP/1.1", "", 400, "`n` is a whole number");
    check_demo(&f, "POST /echo HTTP/1.1\r\nContent-Type: text/x", "hello", 200, "content-type: text/x\r\n");
    check_demo(&f, "POST /echo HTTP/1.1", "hello", 200, "\r\n\r\nhello");
    check_demo(&f, "DELETE /cached HTTP/1.1", "", 405, "allow: GET, HEAD\r\n");
    check_demo(&f, "GET /echo HTTP/1.1", "", 405, "/echo takes POST");
    let large = check_demo(&f, "GET /bytes?n=200000 HTTP/1.1", "", 200, "content-length: 200000\r\n");
    assert_eq!(large.split_once("\r\n\r\n").unwrap().1.len(), 200_000);
    let head = check_demo(&f, "HEAD /bytes?n=200000 HTTP/1.1", "", 200, "content-length: 200000\r\n");
    assert!(head.ends_with("\r\n\r\n"));
    f.control.stop();
}

/// A gateway that is loaded keeps a connection here for each request in flight: each is served, and none waits for others to
/// end.
#[test]
fn the_demo_backend_has_room_for_a_load() {
    const CONNECTIONS: usize = 200;
    let f = fixture();
    let address = f.control.demo_address().unwrap();
    let mut kept: Vec<_> = (0..CONNECTIONS).map(|_| TcpStream::connect(address).unwrap()).collect();
    for (number, stream) in kept.iter_mut().enumerate() {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: demo\r\n\r\n").unwrap();
        let mut begin = [0; 15];
        let read = stream.read_exact(&mut begin);
        assert!(read.is_ok() && &begin == b"HTTP/1.1 200 OK", "connection {number}: {read:?}");
    }
    drop(kept);
    f.control.stop();
}
