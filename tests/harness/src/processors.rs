//! Which processors a test runs on, where it must not take them from whom it looks at.

use std::time::Duration;

use rustix::{
    process::Pid,
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

use crate::process::thread_id;

/// This thread's processors as they were. Dropping it gives them back.
#[derive(Debug)]
pub struct Parted(CpuSet);

/// Gives a thread of another process the first of this thread's processors for itself, and this thread, with those that it
/// starts from now on, the others. Does nothing where there is but one.
#[track_caller]
pub fn part(pid: u32, thread: &str) -> Parted {
    let before = sched_getaffinity(None).unwrap_or_else(|error| panic!("processors: {error}"));
    let first = (0..CpuSet::MAX_CPU).find(|&cpu| before.is_set(cpu));
    if let Some(first) = first.filter(|_| before.count() > 1) {
        let (mut only, mut others) = (CpuSet::new(), before);
        only.set(first);
        others.unset(first);
        let of_thread = i32::try_from(thread_id(pid, thread)).ok().and_then(Pid::from_raw);
        for (thread, processors) in [(of_thread, &only), (None, &others)] {
            sched_setaffinity(thread, processors).unwrap_or_else(|error| panic!("processors: {error}"));
        }
    }
    Parted(before)
}

/// This thread lets others go first, where they share a processor.
pub fn stand_back() {
    const NICE: i32 = 19;
    // Whoever may not be nicer is not, which only makes what is measured harder.
    let _nicer = rustix::process::nice(NICE);
}

/// Processor time of this thread.
pub fn thread_cpu() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(spent).unwrap_or_default()
}

impl Drop for Parted {
    fn drop(&mut self) {
        // Fails only when they are gone, and then the kernel has found others.
        let _ = sched_setaffinity(None, &self.0);
    }
}
