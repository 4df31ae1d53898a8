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

impl Clock {
    /// Reads the system's clocks; for who is no core and tells cores of a moment.
    pub fn read() -> Self {
        // One start for the process, so that cores may compare and share instants.
        static START: OnceLock<Instant> = OnceLock::new();
        let since_start = START.get_or_init(Instant::now).elapsed();
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { mono_ns: since_start.as_nanos() as u64, unix_ns: since_epoch.as_nanos() as u64 }
    }
}
