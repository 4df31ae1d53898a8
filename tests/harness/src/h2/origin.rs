//! A backend of prior knowledge that does what a script says, stream by stream at once, and keeps what it was asked. It
//! heeds windows unless it is told to send bytes as they are, and can do all that a backend must not.

use std::{
    collections::BTreeMap,
    io::Write,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Instant,
};

use super::{
    FRAME_BYTES, Field, PREFACE, TABLE_BYTES, WINDOW_BYTES, WINDOW_BYTES_MAX,
    frame::{Frame, flag, kind, setting},
    hpack::{Block, Decoder},
};
use crate::{PATIENCE, origin::Gate, process::locked};

mod peer;

use peer::Peer;

/// What a script does next.
#[derive(Clone, Debug)]
pub enum Act {
    /// Waits for the end of the request's body.
    ReadBody,
    /// Waits until so many bytes of the request's body are there.
    ReadBytes(usize),
    /// The head of an answer, interim or final; whether it ends the stream.
    Head(u16, Vec<Field>, bool),
    /// A part of a body, as the windows allow; whether it ends the stream.
    Data(Vec<u8>, bool),
    /// Trailers, which end the stream.
    Trailers(Vec<Field>),
    /// A frame on this stream, its own stream number not heeded.
    OnStream(Frame),
    /// A frame as it is.
    Frame(Frame),
    /// Bytes as they are.
    Send(Vec<u8>),
    /// Ends the stream with this code.
    Reset(u32),
    /// "I take no stream behind this one", of the number or of the newest; goes on with those before.
    GoAway(Option<u32>, u32),
    /// Goes on when the test says so.
    Wait(Gate),
    /// Sends back what comes, with its end.
    Echo,
    /// Nothing more on this stream.
    Stall,
    /// Ends the connection orderly.
    Close,
    /// Ends the connection with a reset of TCP's.
    Abort,
}

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// Which connection it came on, from 0.
    pub connection: usize,
    /// Its stream.
    pub stream: u32,
    /// Its fields, pseudo ones too.
    pub fields: Vec<Field>,
    /// Its body, as far as it has come.
    pub body: Vec<u8>,
    /// Its trailers.
    pub trailers: Vec<Field>,
    /// Whether its end has come.
    pub ended: bool,
    /// How the other side gave it up.
    pub reset: Option<u32>,
}

type Script = dyn Fn(&Recorded) -> Vec<Act> + Send + Sync;

/// A scripted backend.
#[derive(Debug)]
pub struct Origin {
    address: SocketAddr,
    state: Arc<State>,
    /// The test has looked at the faults itself.
    judged: AtomicBool,
}

struct State {
    log: Mutex<Log>,
    changed: Condvar,
    stopped: AtomicBool,
    settings: Vec<(u16, u32)>,
    /// Whether credit is given back for what came.
    gives_credit: bool,
    script: Box<Script>,
}

#[derive(Default)]
struct Log {
    requests: Vec<Recorded>,
    /// Requests whose script has run.
    answered: usize,
    /// Frames of each connection.
    frames: Vec<Vec<Frame>>,
    /// Of each connection, until it is over.
    sockets: Vec<Option<TcpStream>>,
    /// Connections that are over.
    ended: usize,
    /// What the other side did that RFC 9113 does not allow.
    faults: Vec<String>,
}

impl Origin {
    /// Starts one. The script sees a request's head and says what happens.
    pub fn start(script: impl Fn(&Recorded) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self::start_with(&[], script)
    }

    /// The same with settings of its own.
    pub fn start_with(
        settings: &[(u16, u32)],
        script: impl Fn(&Recorded) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        Self::serve(settings, true, Box::new(script))
    }

    /// The same without credit for what it has read: its windows are what they are at first.
    pub fn without_credit(
        settings: &[(u16, u32)],
        script: impl Fn(&Recorded) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        Self::serve(settings, false, Box::new(script))
    }

    fn serve(settings: &[(u16, u32)], gives_credit: bool, script: Box<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| panic!("origin: {error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("origin: {error}"));
        let state = Arc::new(State {
            log: Mutex::default(),
            changed: Condvar::new(),
            stopped: AtomicBool::new(false),
            settings: settings.to_vec(),
            gives_credit,
            script,
        });
        let of_thread = Arc::clone(&state);
        thread::spawn(move || accept(&listener, &of_thread));
        Self { address, state, judged: AtomicBool::new(false) }
    }

    /// Answers every request with 200 and this body.
    pub fn fixed(body: &str) -> Self {
        let body = body.to_owned();
        Self::start(move |_| [vec![Act::ReadBody], Act::answer(200, &[], &body)].concat())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Recorded> {
        locked(&self.state.log).requests.clone()
    }

    /// Waits until so many scripts have run, and gives all requests back.
    #[track_caller]
    pub fn answered(&self, count: usize) -> Vec<Recorded> {
        self.wait(&format!("{count} answered requests"), |requests, answered| {
            (answered >= count).then(|| requests.to_vec())
        })
    }

    /// Waits until so many requests have come, answered or not.
    #[track_caller]
    pub fn received(&self, count: usize) -> Vec<Recorded> {
        self.wait(&format!("{count} requests"), |requests, _| {
            (requests.len() >= count).then(|| requests.to_vec())
        })
    }

    /// Waits until a request is as the test wants it.
    #[track_caller]
    pub fn finds(&self, what: &str, so: impl Fn(&Recorded) -> bool) -> Recorded {
        self.wait(what, |requests, _| requests.iter().find(|request| so(request)).cloned())
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        locked(&self.state.log).frames.len()
    }

    /// Connections that are over.
    pub fn ended(&self) -> usize {
        locked(&self.state.log).ended
    }

    /// The frames that came on a connection, of data only the beginning.
    pub fn frames(&self, connection: usize) -> Vec<Frame> {
        locked(&self.state.log).frames.get(connection).cloned().unwrap_or_default()
    }

    /// Waits for a frame on a connection.
    #[track_caller]
    pub fn frame(&self, connection: usize, what: &str, so: impl Fn(&Frame) -> bool) -> Frame {
        let find = |log: &Log| log.frames.get(connection)?.iter().find(|frame| so(frame)).cloned();
        self.wait_for(what, find)
    }

    /// What was done to it that RFC 9113 does not allow. Who does not ask has none: see [`Drop`].
    pub fn faults(&self) -> Vec<String> {
        self.judged.store(true, Ordering::SeqCst);
        locked(&self.state.log).faults.clone()
    }

    #[track_caller]
    fn wait<T>(&self, what: &str, find: impl Fn(&[Recorded], usize) -> Option<T>) -> T {
        self.wait_for(what, |log| find(&log.requests, log.answered))
    }

    #[track_caller]
    fn wait_for<T>(&self, what: &str, find: impl Fn(&Log) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut log = locked(&self.state.log);
        loop {
            if let Some(found) = find(&log) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "origin: no {what} within {PATIENCE:?}; came: {:?}; faults: {:?}",
                log.requests,
                log.faults
            );
            log = self.state.changed.wait_timeout(log, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Origin {
    /// Every test whose backend this was is one of what the gateway does as a client, too: a rule that it broke fails the
    /// test, and is shown beside what failed before.
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        let faults = std::mem::take(&mut locked(&self.state.log).faults);
        for socket in locked(&self.state.log).sockets.iter().flatten() {
            let _over = socket.shutdown(Shutdown::Both);
        }
        // Wakes the thread that accepts.
        let _woken = TcpStream::connect(self.address);
        if !faults.is_empty() && !self.judged.load(Ordering::SeqCst) {
            let said = format!("origin: the gateway broke rules of HTTP/2: {faults:?}");
            if thread::panicking() { println!("{said}") } else { panic!("{said}") }
        }
    }
}

impl Recorded {
    /// All values of a field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = self.fields.iter().filter(|(field, _)| field == name);
        same.map(|(_, value)| value.as_str()).collect()
    }

    /// A field that may be there once; `:path` and the like too.
    #[track_caller]
    pub fn field(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} is there {} times: {:?}", all.len(), self.fields);
        all.first().copied()
    }

    /// `GET /path`.
    #[track_caller]
    pub fn line(&self) -> String {
        format!("{} {}", self.field(":method").unwrap_or_default(), self.target())
    }

    /// Its path and query.
    #[track_caller]
    pub fn target(&self) -> &str {
        self.field(":path").unwrap_or_default()
    }
}

impl Act {
    /// An answer with a length, whole.
    pub fn answer(status: u16, fields: &[(&str, &str)], body: &str) -> Vec<Self> {
        let length = body.len().to_string();
        let fields = [&[("content-length", length.as_str())], fields].concat();
        let mut acts = vec![Self::head(status, &fields, body.is_empty())];
        if !body.is_empty() {
            acts.push(Self::Data(body.as_bytes().to_vec(), true));
        }
        acts
    }

    /// A head from borrowed fields.
    pub fn head(status: u16, fields: &[(&str, &str)], ends: bool) -> Self {
        Self::Head(status, owned(fields), ends)
    }

    /// Trailers from borrowed fields.
    pub fn trailers(fields: &[(&str, &str)]) -> Self {
        Self::Trailers(owned(fields))
    }
}

fn owned(fields: &[(&str, &str)]) -> Vec<Field> {
    fields.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    for stream in listener.incoming() {
        if state.stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let number = {
            let mut log = locked(&state.log);
            log.frames.push(Vec::new());
            log.sockets.push(stream.try_clone().ok());
            log.frames.len() - 1
        };
        let state = Arc::clone(state);
        thread::spawn(move || {
            if let Some(fault) = Peer::serve(stream, number, &state) {
                locked(&state.log).faults.push(format!("connection {number}: {fault}"));
            }
            let mut log = locked(&state.log);
            log.ended += 1;
            log.sockets[number] = None;
            drop(log);
            state.changed.notify_all();
        });
    }
}
