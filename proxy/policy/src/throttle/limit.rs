//! What a bucket may spend, in the units in which buckets reckon.

use super::Error;

/// Units of virtual time in a nanosecond: fine enough that a million tokens a second are exact to 1/64,000, coarse
/// enough that a `u64` lasts for years.
pub(super) const UNITS_PER_NS: u64 = 64;

/// The longest time in which a bucket fills: a quarter of the clock, so that no sum overflows.
const FILL_UNITS_MAX: u64 = 1 << 62;

/// What one bucket allows: `burst` tokens at once, a new one every `1 / rate` seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Units until the next token; 0 if there is never one.
    interval: u64,
    /// Units in which an empty bucket fills.
    fill: u64,
    burst: u32,
}

impl Limit {
    /// From tokens a second and tokens at once. Either being 0 refuses all (row 73).
    pub fn new(rate_per_second: f64, burst: u32) -> Result<Self, Error> {
        if !rate_per_second.is_finite() || rate_per_second < 0.0 {
            return Err(Error::BadRate { rate: rate_per_second });
        }
        if rate_per_second == 0.0 || burst == 0 {
            return Ok(Self { interval: 0, fill: 0, burst: 0 });
        }
        // Rounded up: a bucket may be slower than its rate by 1/64 ns a token, never faster.
        let interval = ((UNITS_PER_NS * 1_000_000_000) as f64 / rate_per_second).ceil().max(1.0) as u64;
        match interval.checked_mul(u64::from(burst)) {
            Some(fill) if fill <= FILL_UNITS_MAX => Ok(Self { interval, fill, burst }),
            _ => Err(Error::FillsTooSlowly { rate: rate_per_second, burst }),
        }
    }

    /// Whether there is never a token.
    #[inline]
    pub fn refuses_all(&self) -> bool {
        self.interval == 0
    }

    /// Tokens at once.
    #[inline]
    pub fn burst(&self) -> u32 {
        self.burst
    }

    /// Tokens a second, to a millionth.
    pub fn rate(&self) -> f64 {
        let rate = (UNITS_PER_NS * 1_000_000_000) as f64 / self.interval as f64;
        if self.refuses_all() { 0.0 } else { (rate * 1e6).round() / 1e6 }
    }

    #[inline]
    pub(super) fn interval(&self) -> u64 {
        self.interval
    }

    #[inline]
    pub(super) fn fill(&self) -> u64 {
        self.fill
    }
}

/// A monotonic time in units. It stands still after the process has run for six years, so that a time and a fill
/// always add up to less than `u64::MAX`.
#[inline]
pub(super) fn units(now_ns: u64) -> u64 {
    now_ns.saturating_mul(UNITS_PER_NS).min(u64::MAX - FILL_UNITS_MAX - 1)
}

/// A wait in nanoseconds, rounded up; for ever stays for ever.
#[inline]
pub(super) fn wait_ns(units: u64) -> u64 {
    if units == u64::MAX { u64::MAX } else { units.div_ceil(UNITS_PER_NS) }
}
