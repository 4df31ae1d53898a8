//! What may go wrong in a simulated run, how often, and how often it did. Does not know how any of it is done.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::time::Duration;

/// What goes wrong, and how often: every rate is per 1,000 operations of its kind. The same faults are the same run.
///
/// No rate, however high, brings a run to a stand: what may be repeated for ever is never done twice in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// Decides everything that is drawn.
    pub seed: u64,
    /// Arrivals of which only a part is received in this turn.
    pub short_reads_per_1000: u16,
    /// Sends of which only a part is taken, the rest some turns later.
    pub short_writes_per_1000: u16,
    /// Arrivals that find no receive buffer (`ENOBUFS`) and wait some turns for one.
    pub pauses_per_1000: u16,
    /// Sends that find the connection reset; what is under way may be lost with it. Both ends are told: `ECONNRESET`.
    pub resets_per_1000: u16,
    /// Connects that are refused, whoever listens.
    pub refusals_per_1000: u16,
    /// Connects that take some turns.
    pub late_connects_per_1000: u16,
    /// Accepts that find no descriptor (`EMFILE`); the listener pauses, and the connection waits.
    pub accept_failures_per_1000: u16,
    /// Turns that bring nothing (`EINTR`) and wake somebody for nothing.
    pub spurious_turns_per_1000: u16,
    /// Turns after which nothing arrives for a while, and then all at once, as after an overflow of the completion queue.
    pub delayed_batches_per_1000: u16,
    /// Closes that cross with what the kernel is doing: a part of what was never flushed leaves all the same, the slot
    /// stays taken for some turns, a connect that was given up reaches the listener.
    pub late_closes_per_1000: u16,
    /// Batches whose sockets are served in another order. Within one connection the order stands.
    pub reorders_per_1000: u16,
    /// Connections with a slow peer: a delay up to `latency_max`, and a bandwidth from `bytes_per_second_min` on.
    pub slow_links_per_1000: u16,
    /// The longest delay of a slow link, one way.
    pub latency_max: Duration,
    /// The smallest bandwidth of a slow link.
    pub bytes_per_second_min: NonZeroU64,
    /// What connections to these addresses are like, instead of what is drawn.
    pub links: Vec<(SocketAddr, Link)>,
}

/// What a connection is like, each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// How long bytes are under way.
    pub latency: Duration,
    /// How many leave in a second; as many as there are, if left out.
    pub bytes_per_second: Option<NonZeroU64>,
}

impl Faults {
    /// Nothing goes wrong: the run is that of [`crate::memory`].
    pub fn none() -> Self {
        Self {
            seed: 0,
            short_reads_per_1000: 0,
            short_writes_per_1000: 0,
            pauses_per_1000: 0,
            resets_per_1000: 0,
            refusals_per_1000: 0,
            late_connects_per_1000: 0,
            accept_failures_per_1000: 0,
            spurious_turns_per_1000: 0,
            delayed_batches_per_1000: 0,
            late_closes_per_1000: 0,
            reorders_per_1000: 0,
            slow_links_per_1000: 0,
            latency_max: Duration::from_millis(100),
            bytes_per_second_min: const { NonZeroU64::new(100_000).unwrap() },
            links: Vec::new(),
        }
    }

    /// Everything comes late, in pieces and in odd orders, but no connection fails.
    pub fn lossless(seed: u64) -> Self {
        Self {
            seed,
            short_reads_per_1000: 150,
            short_writes_per_1000: 150,
            pauses_per_1000: 50,
            late_connects_per_1000: 250,
            accept_failures_per_1000: 50,
            spurious_turns_per_1000: 50,
            delayed_batches_per_1000: 20,
            late_closes_per_1000: 250,
            reorders_per_1000: 500,
            slow_links_per_1000: 100,
            ..Self::none()
        }
    }

    /// All of [`Self::lossless`], and connections are refused and reset.
    pub fn all(seed: u64) -> Self {
        Self { resets_per_1000: 10, refusals_per_1000: 50, ..Self::lossless(seed) }
    }
}

/// How often each fault was put into a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Injected {
    /// Arrivals received in part.
    pub short_reads: u64,
    /// Sends taken in part.
    pub short_writes: u64,
    /// Arrivals without a buffer.
    pub pauses: u64,
    /// Connections reset.
    pub resets: u64,
    /// Connects refused although somebody may listen.
    pub refusals: u64,
    /// Connects that took some turns.
    pub late_connects: u64,
    /// Accepts without a descriptor.
    pub accept_failures: u64,
    /// Turns that brought nothing.
    pub spurious_turns: u64,
    /// Times that everything was held back.
    pub delayed_batches: u64,
    /// Closes that crossed with something.
    pub late_closes: u64,
    /// Batches in another order.
    pub reorders: u64,
    /// Connections with a slow peer, by chance or by address.
    pub slow_links: u64,
}
