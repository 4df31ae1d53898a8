//! What a reactor is started with, which driver that led to, and why starting may fail.

use std::io;

/// Which driver to use, as asked for with `--driver`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriverChoice {
    /// The best that this kernel and container permit: `io_uring`, without deferred task work, then `epoll`.
    #[default]
    Auto,
    /// `io_uring` or an error; older kernels run it without deferred task work.
    Uring,
    /// `io_uring` without deferred task work or an error.
    UringNoDefer,
    /// `epoll`.
    Epoll,
}

/// The driver that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverKind {
    /// `io_uring` with `DEFER_TASKRUN` (Linux 6.1).
    UringDefer,
    /// `io_uring` without it (Linux 6.0).
    Uring,
    /// `epoll`, edge-triggered.
    Epoll,
    /// No kernel at all: see [`crate::memory`].
    Memory,
    /// No kernel, and faults from a seed: see [`crate::simulated`].
    Simulated,
}

impl DriverKind {
    /// The name in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UringDefer => "uring",
            Self::Uring => "uring-no-defer",
            Self::Epoll => "epoll",
            Self::Memory => "memory",
            Self::Simulated => "simulated",
        }
    }
}

/// What a reactor is started with. Every bound is for one core.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which driver to use.
    pub driver: DriverChoice,
    /// The CPU to pin the starting thread to.
    pub cpu: Option<usize>,
    /// Entries of the submission ring; a power of two. The completion ring has four times as many.
    pub ring_entries: u32,
    /// Buffers the kernel may receive into before we look; a power of two, at most 32,768.
    pub ring_buffers: u16,
    /// Size of each of them; made for heads of requests.
    pub ring_buffer_bytes: u32,
    /// Size of the one hot buffer into which bulk data is received.
    pub large_buffer_bytes: usize,
    /// Small buffers kept for reuse.
    pub pooled_buffers_max: usize,
    /// Large buffers kept for reuse.
    pub pooled_large_buffers_max: usize,
    /// Memory of finished futures kept for reuse.
    pub pooled_future_bytes_max: usize,
    /// Sockets open at once, listeners not counted. At the bound no more are accepted, and connecting fails.
    pub sockets_max: usize,
    /// Accepted connections that wait for [`crate::Listener::accept`] before the kernel is told to stop.
    pub accept_queue_max: usize,
    /// Received bytes of one socket that nobody took yet; above it the kernel is told to hold the peer.
    pub receive_high_bytes: usize,
    /// Task polls before the kernel is asked again, so that busy tasks cannot starve sockets.
    pub polls_per_turn: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            driver: DriverChoice::Auto,
            cpu: None,
            ring_entries: 4096,
            // The kernel uses them in turn, so all of them should stay in the CPU's cache: 2 MiB measured 10 % cheaper for
            // small requests than 8 MiB.
            ring_buffers: 512,
            ring_buffer_bytes: 4 * 1024,
            large_buffer_bytes: 128 * 1024,
            pooled_buffers_max: 1024,
            pooled_large_buffers_max: 64,
            pooled_future_bytes_max: 16 * 1024 * 1024,
            sockets_max: 65_536,
            accept_queue_max: 256,
            receive_high_bytes: 64 * 1024,
            polls_per_turn: 256,
        }
    }
}

/// Places of a table that are made in advance: 1.8 MiB of address space for sockets. Beyond them a table grows by doubling.
const TABLES_MAX: usize = 1 << 14;

impl Options {
    /// Places that the tables of sockets, tasks and deadlines have from the start. What is not used of them is address
    /// space and no memory; a table that grew would leave copies behind, and keep its core busy with them.
    pub(crate) fn tables(&self) -> usize {
        self.sockets_max.min(TABLES_MAX)
    }

    /// Refuses what the kernel or our own arithmetic could not hold.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let power = |n: u32| n.is_power_of_two();
        let rules = [
            (
                "ring_entries",
                power(self.ring_entries) && self.ring_entries <= 32_768,
                "a power of two up to 32768",
            ),
            (
                "ring_buffers",
                power(self.ring_buffers.into()) && self.ring_buffers <= 32_768,
                "a power of two up to 32768",
            ),
            ("ring_buffer_bytes", (512..=1 << 20).contains(&self.ring_buffer_bytes), "512 bytes to 1 MiB"),
            ("large_buffer_bytes", (4096..=1 << 24).contains(&self.large_buffer_bytes), "4 KiB to 16 MiB"),
            ("receive_high_bytes", self.receive_high_bytes >= 2, "at least 2 bytes"),
            ("polls_per_turn", self.polls_per_turn > 0, "at least 1"),
            ("accept_queue_max", self.accept_queue_max > 0, "at least 1"),
            ("sockets_max", (1..=1 << 24).contains(&self.sockets_max), "1 to 16777216"),
        ];
        match rules.into_iter().find(|(_, holds, _)| !holds) {
            Some((name, _, expected)) => Err(Error::Option { name, expected }),
            None => Ok(()),
        }
    }
}

/// Why a reactor could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option is out of its range.
    #[error("runtime option {name} must be {expected}")]
    Option {
        /// The field of [`Options`].
        name: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// This thread has a runtime already.
    #[error("a runtime already lives on this thread")]
    AlreadyRunning,
    /// The thread could not be bound to its CPU.
    #[error("cannot pin this thread to CPU {cpu}")]
    Pin {
        /// The CPU asked for.
        cpu: usize,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel or the container does not permit the driver.
    #[error("driver {} cannot start", .driver.as_str())]
    Start {
        /// The driver that was tried last.
        driver: DriverKind,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refused to wait for events: nothing on this core can go on.
    #[error("driver {} failed", .driver.as_str())]
    Wait {
        /// The driver that runs.
        driver: DriverKind,
        /// What the kernel said.
        source: io::Error,
    },
}
