//! A child process: its output read line by line as it comes, its end asked for and waited for. It does not know which
//! program it is.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::PATIENCE;

/// A running child. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    output: Arc<Output>,
    readers: Vec<JoinHandle<()>>,
}

/// How a process ended and what it said.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; `None`: a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
    /// From the request to end to the end.
    pub took: Duration,
}

#[derive(Debug, Default)]
struct Output {
    lines: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    stdout: Vec<String>,
    stderr: Vec<String>,
    /// Streams that came to their end.
    ended: usize,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let output = Arc::new(Output::default());
        let mut readers = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            readers.push(read_lines(stdout, &output, |lines| &mut lines.stdout));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.push(read_lines(stderr, &output, |lines| &mut lines.stderr));
        }
        Self { child, output, readers }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `find` sees what it looks for in the lines of standard output; `None`: it ended before.
    pub(crate) fn wait_for_stdout<T>(&self, find: impl Fn(&[String]) -> Option<T>) -> Option<T> {
        self.wait_for_stdout_within(PATIENCE, find)
    }

    /// The same of a program that takes its time.
    pub(crate) fn wait_for_stdout_within<T>(
        &self,
        patience: Duration,
        find: impl Fn(&[String]) -> Option<T>,
    ) -> Option<T> {
        self.wait_for(patience, |lines| find(&lines.stdout))
    }

    /// The same for standard error.
    pub(crate) fn wait_for_stderr<T>(&self, find: impl Fn(&[String]) -> Option<T>) -> Option<T> {
        self.wait_for(PATIENCE, |lines| find(&lines.stderr))
    }

    fn wait_for<T>(&self, patience: Duration, find: impl Fn(&Lines) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + patience;
        let mut lines = locked(&self.output.lines);
        loop {
            if let Some(found) = find(&lines) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if lines.ended == self.readers.len() || left.is_zero() {
                return None;
            }
            let waited = self.output.changed.wait_timeout(lines, left);
            lines = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What it wrote so far.
    pub(crate) fn said(&self) -> (String, String) {
        let lines = locked(&self.output.lines);
        (lines.stdout.join("\n"), lines.stderr.join("\n"))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // A child that was not waited for keeps its pid, so this cannot meet a stranger.
        if let Some(pid) = Pid::from_raw(self.pid().cast_signed()) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Waits for its end; kills it after `patience` and says so.
    pub(crate) fn wait(&mut self, patience: Duration) -> Ended {
        let asked = Instant::now();
        let status = wait_at_most(&mut self.child, patience);
        let took = asked.elapsed();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        let (stdout, stderr) = self.said();
        let Some(status) = status else {
            panic!("still running after {patience:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}");
        };
        Ended { code: status.code(), stdout, stderr, took }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}

/// A loopback port that nobody has and that nobody will be handed: below the range that the kernel
/// gives to port 0, and never told twice by this process. For programs that cannot be told to take
/// any, and for a port that has to stay dead.
pub fn free_port() -> u16 {
    static TOLD: AtomicU16 = AtomicU16::new(0);
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let handed_out: u16 =
        range.split_whitespace().next().and_then(|port| port.parse().ok()).unwrap_or(32_768);
    let ports = handed_out.saturating_sub(PORTS_APART).max(1_024);
    // Processes that run side by side begin at places of their own.
    let first = (std::process::id() as u16).wrapping_mul(61);
    for _ in 0..PORTS_APART {
        let port = ports + first.wrapping_add(TOLD.fetch_add(1, Ordering::Relaxed)) % PORTS_APART;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free from {ports} to {handed_out}");
}

/// How many ports below the kernel's own range [`free_port`] takes from.
const PORTS_APART: u16 = 10_000;

/// As many descriptors as this process may have: a test with a thousand peers needs more than is usual.
pub fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap_or_else(|error| panic!("descriptors: {error}"));
}

/// Memory of a process that is really there, in bytes.
pub fn rss_bytes(pid: u32) -> u64 {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap_or(0) << 10
}

/// Descriptors that this process may have.
pub fn descriptors_max() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    usize::try_from(limit.current.unwrap_or(1 << 20)).unwrap_or(usize::MAX)
}

/// The kernel's number of the thread of this name.
#[track_caller]
pub(crate) fn thread_id(pid: u32, thread: &str) -> u32 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap_or_else(|error| panic!("{error}"));
    let found = tasks.filter_map(Result::ok).find(|task| {
        // One that ends meanwhile has no name any more.
        fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim_end() == thread)
    });
    found
        .and_then(|task| task.file_name().to_str()?.parse().ok())
        .unwrap_or_else(|| panic!("process {pid} has no thread {thread}"))
}

/// Asks again and again until it is so. Only for what no line, byte or signal tells (a foreign program's port, a
/// counter that is scraped).
#[track_caller]
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Says that a test cannot run here, and why; it then returns. Past libtest, which hides what a passed test prints.
pub fn skip(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr().lock(), "skipped: {test}: {why}");
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait_at_most(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + patience;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(2)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

fn read_lines(
    stream: impl Read + Send + 'static,
    output: &Arc<Output>,
    which: fn(&mut Lines) -> &mut Vec<String>,
) -> JoinHandle<()> {
    let output = Arc::clone(output);
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while let Ok(1..) = reader.read_until(b'\n', &mut line) {
            let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
            which(&mut locked(&output.lines)).push(text);
            output.changed.notify_all();
            line.clear();
        }
        locked(&output.lines).ended += 1;
        output.changed.notify_all();
    })
}
