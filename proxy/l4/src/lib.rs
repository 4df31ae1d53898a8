//! The kernel front line, seen from outside: which rules the programs in the kernel go by, on which interfaces they run, what
//! they have counted. Loads and attaches them, pins them so that they outlive the process, fills their tables, beats so that they
//! know that somebody lives, and climbs down to what the kernel and the rights at hand allow. It knows no configuration,
//! no core and no request: it is given [`Rules`], [`Settings`] and sockets.
//!
//! No public function here waits for the network. What fails for want of rights or of a kernel is said and gone around: a gateway
//! without a front line is a gateway.

mod contents;
mod error;
pub mod feed;
mod followed;
mod front_line;
mod kernel;
mod link;
mod nft;
pub mod pinned;
mod programs;
mod rights;
mod rules;
mod settings;
mod state;
mod status;
mod steering;
mod tables;
mod trial;
mod values;
mod verdicts;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use front_line::{FrontLine, Listener, Say};
pub use gate::abi;
pub use kernel::ListenQueues;
pub use rights::{NEEDED, drop_others, held};
pub use rules::{Digest, PortPolicy, Rules};
pub use settings::{Driver, Settings, Step};
pub use status::{Blocked, Connections, Counters, Happened, Interface, Rtt, Source, Status, Trial};
pub use verdicts::{Held, Verdicts, hold_at_accept};
