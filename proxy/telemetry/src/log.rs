//! The log thread: brings lines from the cores to a file or to standard output. A core fills a buffer, hands it over
//! whole and gets an empty one back; it never waits and never calls the kernel. What finds no room is counted and
//! dropped. This module knows lines, not what stands in them.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Write},
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread::{self, Thread},
    time::Duration,
};

use crossbeam::{queue::ArrayQueue, utils::CachePadded};

use crate::Error;

/// A buffer is handed over when it holds this much.
pub const BATCH_BYTES: usize = 32 * 1024;
/// Buffers a core's log may have, filled, waiting or empty: 2.5 MiB a core at most.
pub const BATCHES_MAX: usize = 64;
/// What a buffer is made with: a batch, and room for the line that completes it.
const MADE_BYTES: usize = BATCH_BYTES + BATCH_BYTES / 4;
/// A line waits no longer than this in a core's buffer, if the core calls [`LogSender::turn`] so often.
pub const HELD_MAX_NS: u64 = 250_000_000;
/// How often the log thread looks by itself, and tries again what failed.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A buffer that one huge line made larger than this is not kept.
const KEPT_BYTES_MAX: usize = 2 * MADE_BYTES;

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Nowhere: there is no access log at present.
    Discard,
    /// Standard output.
    Stdout,
    /// Appended to a file, made with mode 0640 if there is none.
    File(PathBuf),
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Lines handed to the kernel.
    pub written_lines: u64,
    /// Bytes handed to the kernel.
    pub written_bytes: u64,
    /// Lines lost because the log could not keep up or could not be written.
    pub dropped_lines: u64,
    /// Writes and openings that failed.
    pub errors: u64,
}

/// Says something to the operator, one line without its line break.
pub type Notify = Box<dyn Fn(&str) + Send>;

/// The log thread, seen from outside.
pub struct Writer {
    shared: Arc<Shared>,
    thread: Thread,
    ended: mpsc::Receiver<()>,
}

/// A core's end. It belongs to one core.
pub struct LogSender {
    shared: Arc<Shared>,
    thread: Thread,
    core: usize,
    batch: Vec<u8>,
    /// Lines in `batch`.
    lines: u64,
    held_since_ns: Option<u64>,
    /// Buffers made so far; the bound on what this core's log may take.
    made: usize,
}

struct Shared {
    rings: Vec<Ring>,
    commands: Mutex<Commands>,
    /// Set with `commands`, so that the thread need not take the lock to see that there is nothing.
    commanded: AtomicBool,
    written_lines: AtomicU64,
    written_bytes: AtomicU64,
    lost_lines: AtomicU64,
    errors: AtomicU64,
}

/// Between one core and the log thread.
struct Ring {
    full: ArrayQueue<Vec<u8>>,
    empty: ArrayQueue<Vec<u8>>,
    /// Written by its core alone, and only when it drops.
    dropped_lines: CachePadded<AtomicU64>,
}

#[derive(Default)]
struct Commands {
    reopen: bool,
    target: Option<(Target, Sink)>,
    stop: bool,
}

/// Opens the target and starts the thread; one sender for each of `cores`.
///
/// # Errors
/// The file cannot be opened, the thread cannot be started.
pub fn start(target: Target, cores: usize, notify: Notify) -> Result<(Writer, Vec<LogSender>), Error> {
    let sink = Sink::open(&target)?;
    let ring = || Ring {
        full: ArrayQueue::new(BATCHES_MAX),
        empty: ArrayQueue::new(BATCHES_MAX),
        dropped_lines: CachePadded::default(),
    };
    let shared = Arc::new(Shared {
        rings: (0..cores).map(|_| ring()).collect(),
        commands: Mutex::default(),
        commanded: AtomicBool::new(false),
        written_lines: AtomicU64::new(0),
        written_bytes: AtomicU64::new(0),
        lost_lines: AtomicU64::new(0),
        errors: AtomicU64::new(0),
    });
    let (end, ended) = mpsc::channel();
    let worker = Worker {
        shared: Arc::clone(&shared),
        target,
        sink,
        notify,
        current: None,
        next_ring: 0,
        failing: None,
    };
    let handle = thread::Builder::new()
        .name("log".into())
        .spawn(move || {
            worker.run();
            // The one who waits may have given up.
            let _ = end.send(());
        })
        .map_err(Error::LogThread)?;
    let thread = handle.thread().clone();
    let senders = (0..cores).map(|core| LogSender {
        shared: Arc::clone(&shared),
        thread: thread.clone(),
        core,
        batch: Vec::new(),
        lines: 0,
        held_since_ns: None,
        made: 0,
    });
    let senders = senders.collect();
    Ok((Writer { shared, thread, ended }, senders))
}

impl LogSender {
    /// Adds one line; `write` appends it without a line break. Lines that `write` leaves empty are not logged.
    pub fn line(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.batch.capacity() == 0 && !self.refill() {
            self.ring().dropped_lines.fetch_add(1, Relaxed);
            return;
        }
        let start = self.batch.len();
        write(&mut self.batch);
        if self.batch.len() <= start {
            return;
        }
        self.batch.push(b'\n');
        self.lines += 1;
        if self.batch.len() >= BATCH_BYTES {
            self.flush();
        }
    }

    /// Once a turn: hands over what has waited [`HELD_MAX_NS`]. `mono_ns` is the turn's monotonic time. Says whether
    /// lines still wait, so that the core does not sleep past them.
    pub fn turn(&mut self, mono_ns: u64) -> bool {
        if self.lines == 0 {
            self.held_since_ns = None;
            return false;
        }
        let since = *self.held_since_ns.get_or_insert(mono_ns);
        if mono_ns.saturating_sub(since) < HELD_MAX_NS {
            return true;
        }
        self.flush();
        false
    }

    /// Hands over what there is.
    pub fn flush(&mut self) {
        self.held_since_ns = None;
        if self.lines == 0 {
            return;
        }
        self.lines = 0;
        let batch = std::mem::take(&mut self.batch);
        let pushed = self.ring().full.push(batch);
        debug_assert!(pushed.is_ok(), "the ring has a place for each buffer there can be");
        self.thread.unpark();
    }

    /// Takes an empty buffer back, or makes one while the bound allows.
    fn refill(&mut self) -> bool {
        if let Some(batch) = self.ring().empty.pop() {
            self.batch = batch;
        } else if self.made < BATCHES_MAX {
            self.made += 1;
            self.batch = Vec::with_capacity(MADE_BYTES);
        } else {
            return false;
        }
        true
    }

    fn ring(&self) -> &Ring {
        &self.shared.rings[self.core]
    }
}

impl Drop for LogSender {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Writer {
    /// Opens the file again under its name, after a rotation. Returns at once; lines on their way go to the new file.
    pub fn reopen(&self) {
        self.command(|commands| commands.reopen = true);
    }

    /// Writes to another target from now on.
    ///
    /// # Errors
    /// The file cannot be opened; then nothing changes.
    pub fn retarget(&self, target: Target) -> Result<(), Error> {
        let sink = Sink::open(&target)?;
        self.command(|commands| commands.target = Some((target, sink)));
        Ok(())
    }

    /// Counts since the start.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Writes all that the senders have handed over and ends the thread. To be called when the cores have ended.
    /// Waits at most `within`: standard output may be a pipe that nobody reads. Says whether all was written.
    pub fn stop(self, within: Duration) -> bool {
        self.command(|commands| commands.stop = true);
        let ended = self.ended.recv_timeout(within).is_ok();
        ended && self.shared.rings.iter().all(|ring| ring.full.is_empty())
    }

    fn command(&self, give: impl FnOnce(&mut Commands)) {
        give(&mut self.shared.commands.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.commanded.store(true, Relaxed);
        self.thread.unpark();
    }
}

impl Shared {
    fn stats(&self) -> Stats {
        let dropped = self.rings.iter().map(|ring| ring.dropped_lines.load(Relaxed)).sum::<u64>();
        Stats {
            written_lines: self.written_lines.load(Relaxed),
            written_bytes: self.written_bytes.load(Relaxed),
            dropped_lines: dropped + self.lost_lines.load(Relaxed),
            errors: self.errors.load(Relaxed),
        }
    }
}

/// What the thread works on.
struct Worker {
    shared: Arc<Shared>,
    target: Target,
    sink: Sink,
    notify: Notify,
    /// The batch being written.
    current: Option<Current>,
    /// Whose turn it is.
    next_ring: usize,
    /// While writing fails: the lines lost when that began, to say in the end how many it cost.
    failing: Option<u64>,
}

struct Current {
    ring: usize,
    batch: Vec<u8>,
    /// Bytes of it that the kernel has.
    written: usize,
}

/// How a step went.
enum Step {
    Written,
    Failed,
    Nothing,
}

impl Worker {
    fn run(mut self) {
        let mut stop = false;
        loop {
            stop |= self.obey();
            match self.step() {
                Step::Written => {}
                Step::Nothing if stop => return,
                Step::Failed if stop => self.give_up(),
                // What is handed over or commanded from here on unparks: nothing is overslept.
                Step::Nothing => thread::park_timeout(LOOK_EVERY),
                // The cores go on handing over, which must not make us try without pause.
                Step::Failed => thread::sleep(LOOK_EVERY),
            }
        }
    }

    /// Does what was commanded; true means stop.
    fn obey(&mut self) -> bool {
        if !self.shared.commanded.swap(false, Relaxed) {
            return false;
        }
        let commands =
            std::mem::take(&mut *self.shared.commands.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some((target, sink)) = commands.target {
            self.target = target;
            self.change(sink);
        }
        if commands.reopen {
            match Sink::open(&self.target) {
                Ok(sink) => self.change(sink),
                // The old file stays: better a line in the wrong place than none.
                Err(error) => {
                    self.shared.errors.fetch_add(1, Relaxed);
                    (self.notify)(&format!("{error}; the old file stays in use"));
                }
            }
        }
        commands.stop
    }

    /// Goes on in another file; a line that was cut goes there whole.
    fn change(&mut self, sink: Sink) {
        self.sink = sink;
        if let Some(current) = &mut self.current {
            let whole = current.batch[..current.written].iter().rposition(|byte| *byte == b'\n');
            current.written = whole.map_or(0, |end| end + 1);
        }
    }

    /// Writes as much of one batch as the kernel takes.
    fn step(&mut self) -> Step {
        let Some(current) = self.current.as_mut() else {
            self.current = self.pop();
            return if self.current.is_some() { Step::Written } else { Step::Nothing };
        };
        let rest = &current.batch[current.written..];
        let written = match self.sink.write(rest) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Step::Written,
            other => other,
        };
        match written {
            Ok(n) => {
                if !matches!(self.sink, Sink::Discard) {
                    self.shared.written_bytes.fetch_add(n as u64, Relaxed);
                    self.shared.written_lines.fetch_add(lines(&rest[..n]), Relaxed);
                }
                current.written += n;
                if current.written == current.batch.len() {
                    self.recycle();
                }
                self.recovered();
                Step::Written
            }
            Err(error) => {
                self.failed(&error);
                Step::Failed
            }
        }
    }

    /// The next full batch, each core in turn.
    fn pop(&mut self) -> Option<Current> {
        let rings = &self.shared.rings;
        for _ in 0..rings.len() {
            let ring = self.next_ring;
            self.next_ring = (ring + 1) % rings.len();
            if let Some(batch) = rings[ring].full.pop() {
                return Some(Current { ring, batch, written: 0 });
            }
        }
        None
    }

    /// Gives the buffer back to its core.
    fn recycle(&mut self) {
        let Some(Current { ring, mut batch, .. }) = self.current.take() else { return };
        batch.clear();
        if batch.capacity() > KEPT_BYTES_MAX {
            batch.shrink_to(MADE_BYTES);
        }
        let pushed = self.shared.rings[ring].empty.push(batch);
        debug_assert!(pushed.is_ok(), "the ring has a place for each buffer there can be");
    }

    /// Drops what is left of a batch that cannot be written.
    fn give_up(&mut self) {
        if let Some(current) = &self.current {
            self.shared.lost_lines.fetch_add(lines(&current.batch[current.written..]), Relaxed);
        }
        self.recycle();
    }

    /// Said when it begins and when it ends, not each time.
    fn failed(&mut self, error: &io::Error) {
        self.shared.errors.fetch_add(1, Relaxed);
        if self.failing.is_none() {
            self.failing = Some(self.shared.stats().dropped_lines);
            (self.notify)(&format!("cannot write {}: {error}; trying again", self.target));
        }
    }

    fn recovered(&mut self) {
        if let Some(before) = self.failing.take() {
            let lost = self.shared.stats().dropped_lines - before;
            (self.notify)(&format!("{} is written again; {lost} lines were lost", self.target));
        }
    }
}

fn lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discard => f.write_str("no access log"),
            Self::Stdout => f.write_str("the access log on standard output"),
            Self::File(path) => write!(f, "the access log {}", path.display()),
        }
    }
}

/// An open target. Unbuffered: batches are large.
enum Sink {
    Discard,
    File(File),
}

impl Sink {
    fn open(target: &Target) -> Result<Self, Error> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::LogOpen { path, source }
        };
        match target {
            Target::Discard => Ok(Self::Discard),
            Target::Stdout => {
                let stdout =
                    io::stdout().as_fd().try_clone_to_owned().map_err(failed(Path::new("stdout")))?;
                Ok(Self::File(stdout.into()))
            }
            Target::File(path) => {
                let open = OpenOptions::new().append(true).create(true).mode(0o640).open(path);
                Ok(Self::File(open.map_err(failed(path))?))
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Discard => Ok(bytes.len()),
            Self::File(file) => file.write(bytes),
        }
    }
}

#[cfg(test)]
mod tests;
