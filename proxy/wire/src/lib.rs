//! The wire: bytes to messages and back. Slices come in, messages and bytes go out; a connection of HTTP/2 is polled.
//! This room does not know sockets, clocks, TLS or routes; it never waits by itself, and it never repairs: what two programs
//! could read in two ways is refused.

mod error;
pub mod h1;
pub mod h2;
mod limits;

pub use error::Error;
pub use limits::{
    CHUNK_DIGITS_MAX, CHUNK_OVERHEAD_FREE_BYTES, CHUNK_OVERHEAD_RATIO_MAX, HEAD_BYTES_CAP, HEADERS_CAP,
    Limits, TRAILER_BYTES_MAX, Underscores,
};
