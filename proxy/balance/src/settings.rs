//! What an operator asks of a group, in plain numbers.

/// How a group's calls are spread, and when they are not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Calls at once to all hosts together; `u32::MAX`: no bound.
    pub in_flight_max: u32,
    /// Calls at once to one host. A call has a connection of its own and unused ones are taken first, so this bounds
    /// connections too. `u32::MAX`: no bound.
    pub host_in_flight_max: u32,
    /// When a host that fails is left out.
    pub outlier: Outlier,
    /// With a smaller share of hosts to choose from than this, in percent, all are asked: better a host that may fail
    /// than none, or than one that has to bear the load of all. 0: only when there is none.
    pub panic_percent: u32,
    /// When the whole group is not asked any more.
    pub breaker: Option<Breaker>,
    /// How many calls are repeated.
    pub retries: Retries,
    /// How long a host that is new or back takes to its full share. 0: none.
    pub slow_start_ns: u64,
}

/// When a host that fails is left out for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlier {
    /// Faults in a row; 0: never.
    pub consecutive: u32,
    /// Statuses that are faults.
    pub statuses: Statuses,
    /// For how long at first; twice as long each time it comes back and fails again.
    pub ejection_ns: u64,
    /// And at most.
    pub ejection_max_ns: u64,
    /// Share of the hosts that may be left out at once, in percent; one of several always may.
    pub ejected_max_percent: u32,
}

/// When no host of a group is asked any more: it gets time to recover, and clients an answer at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// Share of calls of the last ten seconds that failed, in percent.
    pub failure_percent: u32,
    /// With fewer calls in that time nothing is concluded.
    pub calls_min: u32,
    /// How long no call is made.
    pub open_ns: u64,
    /// Calls that are made then, and must all pass before there are more.
    pub trials: u32,
}

/// How many calls are repeated. A connection that could not be made costs nothing, nor does a kept one that was closed: neither says
/// that the backend has seen the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Hosts that are asked for one call after the first.
    pub hosts_max: u32,
    /// Share of the calls of the last ten seconds that may be repeated, in percent.
    pub budget_percent: u32,
    /// So many may be repeated in ten seconds however few calls there are.
    pub budget_min: u32,
    /// Statuses for which another host is asked.
    pub statuses: Statuses,
}

/// How many probes in a row change what is thought of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Passed, until it is asked again.
    pub healthy: u32,
    /// Failed, until it is not asked any more.
    pub unhealthy: u32,
}

/// A set of status codes, 100 to 599.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statuses([u64; 8]);

impl Statuses {
    const FIRST: u16 = 100;
    const LAST: u16 = 599;

    /// The codes of some ranges; what is no status code is left out.
    pub fn new(ranges: impl IntoIterator<Item = std::ops::RangeInclusive<u16>>) -> Self {
        let mut bits = [0; 8];
        for range in ranges {
            for status in (*range.start()).max(Self::FIRST)..=(*range.end()).min(Self::LAST) {
                let bit = usize::from(status - Self::FIRST);
                bits[bit / 64] |= 1 << (bit % 64);
            }
        }
        Self(bits)
    }

    /// Whether it holds a code.
    pub fn contains(&self, status: u16) -> bool {
        let Some(bit) = status.checked_sub(Self::FIRST).map(usize::from) else { return false };
        self.0.get(bit / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Settings {
    /// One core's share of what is bounded for the whole node: the shares sum up to the bound, but each core may make one
    /// call.
    #[must_use]
    pub fn for_core(&self, core: usize, cores: usize) -> Self {
        let share = |max: u32| {
            if max == u32::MAX {
                return max;
            }
            let (core, cores) = (core as u64, cores.max(1) as u64);
            let share = u64::from(max) / cores + u64::from(core < u64::from(max) % cores);
            u32::try_from(share).unwrap_or(max).max(1)
        };
        let (in_flight_max, host_in_flight_max) = (share(self.in_flight_max), share(self.host_in_flight_max));
        Self { in_flight_max, host_in_flight_max, ..self.clone() }
    }
}

impl Default for Settings {
    /// No bound, nothing left out, nothing repeated.
    fn default() -> Self {
        Self {
            in_flight_max: u32::MAX,
            host_in_flight_max: u32::MAX,
            outlier: Outlier {
                consecutive: 0,
                statuses: Statuses::default(),
                ejection_ns: 0,
                ejection_max_ns: 0,
                ejected_max_percent: 0,
            },
            panic_percent: 0,
            breaker: None,
            retries: Retries {
                hosts_max: 0,
                budget_percent: 0,
                budget_min: 0,
                statuses: Statuses::default(),
            },
            slow_start_ns: 0,
        }
    }
}
