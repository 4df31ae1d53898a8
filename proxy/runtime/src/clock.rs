//! Time, read once a turn. No other room reads a clock.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// Nanoseconds since shortly before the first runtime of this process started. The same for all cores; never goes back.
    pub mono_ns: u64,
    /// Nanoseconds since 1970-01-01T00:00:00Z; may jump when the wall clock is set.
    pub unix_ns: u64,
}

/// Nanoseconds for which this thread has had a processor, in the kernel too. A system call; `None` where it is refused.
pub(crate) fn thread_cpu_ns() -> Option<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is that of a `timespec` that outlives the call.
    let done = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    let (s, ns) = (u64::try_from(time.tv_sec).ok()?, u64::try_from(time.tv_nsec).ok()?);
    (done == 0).then(|| s.saturating_mul(1_000_000_000).saturating_add(ns))
}

impl Clock {
    /// Reads the system's clocks; for who is no core and tells cores of a moment.
    pub fn read() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { mono_ns: Self::read_mono_ns(), unix_ns: since_epoch.as_nanos() as u64 }
    }

    /// Reads the first of them alone.
    pub(crate) fn read_mono_ns() -> u64 {
        // One start for the process, so that cores may compare and share instants.
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed().as_nanos() as u64
    }
}
