//! The wire: bytes to messages and back. Slices come in, messages and bytes go out.
//! This room does not know sockets, clocks, TLS or routes; it never waits, and it never repairs: what two programs
//! could read in two ways is refused.

mod error;
pub mod h1;
pub mod limits;

pub use error::Error;
pub use limits::{Limits, Underscores};
