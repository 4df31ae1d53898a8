//! Time as rooms see it: read once a turn by the reactor and handed in. No room reads a clock.

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Nanoseconds since this process started; never goes back.
    pub mono_ns: u64,
    /// Nanoseconds since 1970-01-01T00:00:00Z; may jump when the wall clock is set.
    pub unix_ns: u64,
}
