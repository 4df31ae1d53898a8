//! A backend that does what a script says and keeps every byte it was sent, connection by connection. It reads requests
//! with a reader of its own, so that what the gateway forwards is judged by somebody else. Where the test runs over HTTP/2 to
//! its backends, it speaks that.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    PATIENCE, h2,
    process::locked,
    protocol::{Protocol, over},
    response::{find, read_chunked},
};

mod http2;

/// What a script does next.
#[derive(Clone, Debug)]
pub enum Act {
    /// Reads the request's body to its end.
    ReadBody,
    /// An answer with a length. Who answers a large one often makes it once and clones it: the body is shared.
    Answer(u16, Vec<(String, String)>, Arc<str>),
    /// Sends these bytes, which are HTTP/1.1.
    Send(Vec<u8>),
    /// Sends these bytes one by one, with a pause after each.
    Drip(Vec<u8>, Duration),
    /// Goes on when the test says so.
    Wait(Gate),
    /// Says nothing more, until the other side or the test ends.
    Stall,
    /// Ends the connection orderly.
    Close,
    /// Ends the connection with a reset.
    Reset,
    /// Sends back what comes, until the other side ends.
    Echo,
}

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// Which connection it came on, from 0.
    pub connection: usize,
    /// Its head, with the empty line.
    pub head: String,
    /// Its body, without framing, as far as the script read it.
    pub body: Vec<u8>,
}

/// Closed until it is opened, then open for ever.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

/// A scripted backend.
#[derive(Debug)]
pub struct Origin(Inner);

#[derive(Debug)]
enum Inner {
    Http1 { address: SocketAddr, state: Arc<State> },
    Http2(h2::Origin),
}

/// Connections that wait until they are accepted. The 128 of the standard library are gone at once when a test has a
/// thousand requests in flight: the kernel then drops a client's SYN, which comes again a second later, and on a busy
/// machine as often as it is dropped.
const BACKLOG: i32 = 4_096;

/// What of an answer's body is sent together with its head. More is not worth its copy.
const WITH_HEAD_BYTES: usize = 256 << 10;

type Script = dyn Fn(&Recorded) -> Vec<Act> + Send + Sync;

#[derive(Default)]
struct State {
    log: Mutex<Log>,
    changed: Condvar,
    stopped: AtomicBool,
    /// Requests and bytes are not kept.
    forgetful: bool,
}

#[derive(Default)]
struct Log {
    requests: Vec<Recorded>,
    /// Requests whose script has run.
    answered: usize,
    /// Bytes of each connection, as they came.
    raw: Vec<Vec<u8>>,
    /// Of each connection, until it is over.
    sockets: Vec<Option<TcpStream>>,
    /// Connections that are over.
    ended: usize,
}

impl Origin {
    /// Starts one. The script sees a request's head and says what happens.
    pub fn start(script: impl Fn(&Recorded) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self::serve(State::default(), script)
    }

    /// Starts one that keeps nothing of what it is sent: for more requests than a test could look at.
    pub fn forgetful(script: impl Fn(&Recorded) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self::serve(State { forgetful: true, ..State::default() }, script)
    }

    fn serve(state: State, script: impl Fn(&Recorded) -> Vec<Act> + Send + Sync + 'static) -> Self {
        if over().backends == Protocol::Http2 {
            return Self(Inner::Http2(http2::start(script)));
        }
        let script: Arc<Script> = Arc::new(script);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| panic!("origin: {error}"));
        rustix::net::listen(&listener, BACKLOG).unwrap_or_else(|error| panic!("origin: {error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("origin: {error}"));
        let state = Arc::new(state);
        let of_thread = Arc::clone(&state);
        thread::spawn(move || accept(&listener, &of_thread, &script));
        Self(Inner::Http1 { address, state })
    }

    /// What is kept of HTTP/1.1.
    #[track_caller]
    fn state(&self) -> &State {
        match &self.0 {
            Inner::Http1 { state, .. } => state,
            Inner::Http2(_) => panic!("only HTTP/1.1 is a sequence of bytes"),
        }
    }

    /// Answers every request with 200 and this body.
    pub fn fixed(body: &str) -> Self {
        let answer = Act::answer(200, &[], body);
        Self::start(move |_| vec![Act::ReadBody, answer.clone()])
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        match &self.0 {
            Inner::Http1 { address, .. } => *address,
            Inner::Http2(origin) => origin.address(),
        }
    }

    /// Its URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.requests_from(0)
    }

    /// The requests so far without the first ones.
    pub fn requests_from(&self, from: usize) -> Vec<Recorded> {
        match &self.0 {
            Inner::Http1 { state, .. } => {
                locked(&state.log).requests.get(from..).unwrap_or_default().to_vec()
            }
            Inner::Http2(origin) => origin.requests().iter().skip(from).map(http2::recorded).collect(),
        }
    }

    /// Waits until so many requests were answered, and gives all back.
    #[track_caller]
    pub fn answered(&self, count: usize) -> Vec<Recorded> {
        match &self.0 {
            Inner::Http1 { state, .. } => state.wait(&format!("{count} answered requests"), |log| {
                (log.answered >= count).then(|| log.requests.clone())
            }),
            Inner::Http2(origin) => origin.answered(count).iter().map(http2::recorded).collect(),
        }
    }

    /// Waits until so many requests have come, answered or not.
    #[track_caller]
    pub fn received(&self, count: usize) -> Vec<Recorded> {
        match &self.0 {
            Inner::Http1 { state, .. } => state.wait(&format!("{count} requests"), |log| {
                (log.requests.len() >= count).then(|| log.requests.clone())
            }),
            Inner::Http2(origin) => origin.received(count).iter().map(http2::recorded).collect(),
        }
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        match &self.0 {
            Inner::Http1 { state, .. } => locked(&state.log).raw.len(),
            Inner::Http2(origin) => origin.connections(),
        }
    }

    /// Waits until so many requests were given up: over HTTP/1.1 with their connections.
    #[track_caller]
    pub fn given_up(&self, count: usize) {
        match &self.0 {
            Inner::Http1 { state, .. } => {
                state.wait(&format!("{count} ended connections"), |log| (log.ended >= count).then_some(()));
            }
            Inner::Http2(origin) => http2::given_up(origin, count),
        }
    }

    /// What the gateway did that HTTP/2 does not allow; never over HTTP/1.1, which is judged by its bytes.
    pub fn faults(&self) -> Vec<String> {
        match &self.0 {
            Inner::Http1 { .. } => Vec::new(),
            Inner::Http2(origin) => origin.faults(),
        }
    }

    /// All bytes of a connection so far.
    pub fn raw(&self, connection: usize) -> Vec<u8> {
        locked(&self.state().log).raw.get(connection).cloned().unwrap_or_default()
    }

    /// The same without its first bytes.
    pub fn raw_from(&self, connection: usize, from: usize) -> Vec<u8> {
        let log = locked(&self.state().log);
        log.raw.get(connection).and_then(|raw| raw.get(from..)).unwrap_or_default().to_vec()
    }
}

impl State {
    #[track_caller]
    fn wait<T>(&self, what: &str, find: impl Fn(&Log) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut log = locked(&self.log);
        loop {
            if let Some(found) = find(&log) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "origin: no {what} within {PATIENCE:?}; came: {:?}", log.requests);
            log = self.changed.wait_timeout(log, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        let Inner::Http1 { address, state } = &self.0 else { return };
        state.stopped.store(true, Ordering::SeqCst);
        for socket in locked(&state.log).sockets.iter().flatten() {
            let _ = socket.shutdown(Shutdown::Both);
        }
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(address);
    }
}

impl Recorded {
    /// `GET /path HTTP/1.1`, or `HTTP/2.0` behind it.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// Its path and query.
    pub fn target(&self) -> &str {
        self.line().split(' ').nth(1).unwrap_or_default()
    }

    /// All values of a field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    /// A field that may be there once.
    #[track_caller]
    pub fn field(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} is there {} times:\n{}", all.len(), self.head);
        all.first().copied()
    }
}

impl Act {
    /// An answer with a length.
    pub fn answer(status: u16, fields: &[(&str, &str)], body: &str) -> Self {
        let fields = fields.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        Self::Answer(status, fields.collect(), body.into())
    }
}

impl Gate {
    /// Lets all pass that wait.
    pub fn open(&self) {
        *locked(&self.0.0) = true;
        self.0.1.notify_all();
    }

    pub(crate) fn wait(&self) {
        let open = locked(&self.0.0);
        // A gate that a failed test never opened must not hold its thread for ever.
        let _ = self.0.1.wait_timeout_while(open, PATIENCE, |open| !*open);
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

/// A head for a body of so many bytes, and the body's first ones behind it.
fn answer(status: u16, fields: &[(String, String)], length: usize, first: &[u8]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n");
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    [head.as_bytes(), first].concat()
}

fn accept(listener: &TcpListener, state: &Arc<State>, script: &Arc<Script>) {
    for stream in listener.incoming() {
        if state.stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let number = {
            let mut log = locked(&state.log);
            log.raw.push(Vec::new());
            log.sockets.push(stream.try_clone().ok());
            log.raw.len() - 1
        };
        let (state, script) = (Arc::clone(state), Arc::clone(script));
        thread::spawn(move || {
            Peer { stream, number, buffer: Vec::new(), state: Arc::clone(&state) }.serve(&*script);
            let mut log = locked(&state.log);
            log.ended += 1;
            log.sockets[number] = None;
            drop(log);
            state.changed.notify_all();
        });
    }
}

/// One connection as the origin sees it.
struct Peer {
    stream: TcpStream,
    number: usize,
    buffer: Vec<u8>,
    state: Arc<State>,
}

impl Peer {
    /// `None` anywhere: the connection is over.
    fn serve(mut self, script: &Script) -> Option<()> {
        let _ = self.stream.set_nodelay(true);
        loop {
            let end = loop {
                match find(&self.buffer, b"\r\n\r\n") {
                    Some(end) => break end + 4,
                    None => self.more()?,
                }
            };
            let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
            self.buffer.drain(..end);
            let mut request = Recorded { connection: self.number, head, body: Vec::new() };
            let index = (!self.state.forgetful).then(|| {
                let mut log = locked(&self.state.log);
                log.requests.push(request.clone());
                log.requests.len() - 1
            });
            self.state.changed.notify_all();
            let mut body_read = false;
            for act in script(&request) {
                if matches!(act, Act::ReadBody) {
                    request.body = self.body(&request)?;
                    if let Some(index) = index {
                        locked(&self.state.log).requests[index].body.clone_from(&request.body);
                    }
                    body_read = true;
                } else {
                    self.act(act)?;
                }
            }
            locked(&self.state.log).answered += 1;
            self.state.changed.notify_all();
            if !body_read {
                self.body(&request)?;
            }
        }
    }

    fn act(&mut self, act: Act) -> Option<()> {
        match act {
            Act::ReadBody => Some(()),
            Act::Answer(status, fields, body) => {
                let (first, rest) = body.as_bytes().split_at(body.len().min(WITH_HEAD_BYTES));
                self.stream.write_all(&answer(status, &fields, body.len(), first)).ok()?;
                self.stream.write_all(rest).ok()
            }
            Act::Send(bytes) => self.stream.write_all(&bytes).ok(),
            Act::Drip(bytes, pause) => bytes.iter().try_for_each(|byte| {
                self.stream.write_all(&[*byte]).ok()?;
                thread::sleep(pause);
                Some(())
            }),
            Act::Wait(gate) => {
                gate.wait();
                Some(())
            }
            Act::Stall => {
                while self.more().is_some() {}
                None
            }
            Act::Close => {
                self.count();
                let _ = self.stream.shutdown(Shutdown::Both);
                None
            }
            Act::Reset => {
                self.count();
                let _ = rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO));
                // The log's clone of the socket would keep it open.
                locked(&self.state.log).sockets[self.number] = None;
                None
            }
            Act::Echo => loop {
                let bytes = std::mem::take(&mut self.buffer);
                self.stream.write_all(&bytes).ok()?;
                self.more()?;
            },
        }
    }

    /// The script ends here: the request counts as answered.
    fn count(&self) {
        locked(&self.state.log).answered += 1;
        self.state.changed.notify_all();
    }

    fn body(&mut self, request: &Recorded) -> Option<Vec<u8>> {
        if request.all("transfer-encoding") == ["chunked"] {
            loop {
                if let Some((body, length)) = read_chunked(&self.buffer).ok()? {
                    self.buffer.drain(..length);
                    return Some(body);
                }
                self.more()?;
            }
        }
        let length = request.all("content-length").first().map_or(Some(0), |length| length.parse().ok())?;
        while self.buffer.len() < length {
            self.more()?;
        }
        Some(self.buffer.drain(..length).collect())
    }

    fn more(&mut self) -> Option<()> {
        let mut chunk = [0; 16 << 10];
        let count = self.stream.read(&mut chunk).ok().filter(|&count| count > 0)?;
        self.buffer.extend_from_slice(&chunk[..count]);
        if !self.state.forgetful {
            locked(&self.state.log).raw[self.number].extend_from_slice(&chunk[..count]);
        }
        Some(())
    }
}
