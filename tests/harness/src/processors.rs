//! Which processors a test runs on and who goes first there, where it must not take them from whom it looks at: on a node
//! nobody else uses its cores, and clients have processors of their own.

use std::{
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::{
    process::Pid,
    thread::{CpuSet, gettid, sched_getaffinity, sched_setaffinity},
};

use crate::{process::thread_id, tools::program};

/// This thread's processors as they were. Dropping it gives them back.
#[derive(Debug)]
pub struct Parted {
    before: CpuSet,
    /// Kept for whoever is looked at; `None` where there is but one processor.
    first: Option<CpuSet>,
}

/// This thread, with those and the processes that it starts from now on, leaves the first of its processors to whom it is
/// given with [`Parted::give`]. Does nothing where there is but one.
#[track_caller]
pub fn part() -> Parted {
    let before = sched_getaffinity(None).unwrap_or_else(|error| panic!("processors: {error}"));
    let first = (0..CpuSet::MAX_CPU).find(|&cpu| before.is_set(cpu)).filter(|_| before.count() > 1);
    let first = first.map(|first| {
        let (mut only, mut others) = (CpuSet::new(), before);
        only.set(first);
        others.unset(first);
        run_on(None, &others);
        only
    });
    Parted { before, first }
}

impl Parted {
    /// The processor is this thread's of a process, which goes before all others there; whether it was let.
    #[track_caller]
    pub fn give(&self, pid: u32, thread: &str) -> bool {
        let thread = thread_id(pid, thread);
        if let Some(first) = &self.first {
            run_on(i32::try_from(thread).ok().and_then(Pid::from_raw), first);
        }
        run_first(thread)
    }
}

impl Drop for Parted {
    fn drop(&mut self) {
        // Fails only when they are gone, and then the kernel has found others.
        let _ = sched_setaffinity(None, &self.before);
    }
}

/// The processors that this thread may use.
#[track_caller]
pub fn processors() -> Vec<usize> {
    let own = sched_getaffinity(None).unwrap_or_else(|error| panic!("processors: {error}"));
    (0..CpuSet::MAX_CPU).filter(|&cpu| own.is_set(cpu)).collect()
}

/// This thread, and what it starts from now on, leaves its processor to whoever else wants it.
#[track_caller]
pub fn stand_back() {
    // Of Linux's threads each has its own (setpriority(2)); 19 is the last.
    rustix::process::setpriority_process(None, 19).unwrap_or_else(|error| panic!("nice: {error}"));
}

/// This thread, and what it starts from now on, runs on one processor and no other.
#[track_caller]
pub fn stay_on(processor: usize) {
    let mut only = CpuSet::new();
    only.set(processor);
    run_on(None, &only);
}

#[track_caller]
fn run_on(thread: Option<Pid>, processors: &CpuSet) {
    sched_setaffinity(thread, processors).unwrap_or_else(|error| panic!("processors: {error}"));
}

/// This thread runs whenever it can; whether it was let. However nice others are, somebody who wakes may have to wait for the
/// rest of a slice of theirs, which is 3 ms.
pub fn go_first() -> bool {
    run_first(own_id())
}

fn own_id() -> u32 {
    gettid().as_raw_nonzero().get().unsigned_abs()
}

fn run_first(thread: u32) -> bool {
    let mut command = Command::new(program("chrt"));
    command.args(["--fifo", "--pid", "1", &thread.to_string()]);
    // What it complains about is that it may not.
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.unwrap_or_else(|error| panic!("{command:?}: {error}")).success()
}

/// Processor time of this thread, in the kernel too.
pub fn thread_cpu() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(spent).unwrap_or_default()
}

/// What a thread had of its processor so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// It ran.
    pub ran: Duration,
    /// It could have run, and others did.
    pub waited: Duration,
}

/// Of all threads of a process; those that have ended are not counted.
#[track_caller]
pub fn schedule_of(pid: u32) -> Schedule {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap_or_else(|error| panic!("{error}"));
    let threads = tasks.filter_map(Result::ok);
    threads.map(|thread| Schedule::read(&thread.path().join("schedstat"))).fold(
        Schedule::default(),
        |all, one| Schedule { ran: all.ran + one.ran, waited: all.waited + one.waited },
    )
}

/// Of one thread.
#[track_caller]
pub fn schedule_of_thread(pid: u32, thread: &str) -> Schedule {
    let thread = thread_id(pid, thread);
    Schedule::read(format!("/proc/{pid}/task/{thread}/schedstat").as_ref())
}

impl Schedule {
    /// Since an earlier look.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self { ran: self.ran.saturating_sub(earlier.ran), waited: self.waited.saturating_sub(earlier.waited) }
    }

    fn read(file: &std::path::Path) -> Self {
        // One that ends meanwhile has none.
        let text = fs::read_to_string(file).unwrap_or_default();
        let mut ns = text.split_whitespace().map_while(|ns| ns.parse().ok()).map(Duration::from_nanos);
        let mut next = || ns.next().unwrap_or_default();
        Self { ran: next(), waited: next() }
    }
}
