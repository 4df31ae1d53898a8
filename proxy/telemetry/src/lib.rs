//! Telemetry: what happened, counted on the core where it happened and summed when somebody asks.
//! [`Event`] is the one list of things worth knowing; [`Counters`] is a core's own tally of them, [`merge`] sums
//! the cores, [`exposition`] writes Prometheus text. [`access`] renders one line a request from a `$context`
//! template, [`log`] brings those lines to a file on a thread of its own.
//! Of messages it knows the names of `$context` alone. This room does not know routes or cores: it is given numbers of slots and the names they stand for.

pub mod access;
mod counters;
mod error;
mod event;
mod exposition;
mod latency;
pub mod log;
mod observed;
pub mod process;
mod sparse;
mod tally;
mod text;

pub use counters::{CoreSnapshot, Counters, Discarded, Labels, Merged, Renamed, RouteLabels, merge};
pub use error::Error;
pub use event::Event;
pub use exposition::{
    CacheFacts, ConnectionFacts, CoreFacts, FeedFacts, FrontLineFacts, ListenFacts, MemoryFacts, NodeFacts,
    PacketFacts, RTT_BUCKETS, StallFacts, TOP_SOURCES_MAX, TargetFacts, UpstreamFacts, exposition,
};
pub use observed::Observed;
