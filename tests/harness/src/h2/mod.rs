//! HTTP/2 (RFC 9113) of our own: frames of any kind, HPACK that says what it is told, a client and a scripted backend
//! on top. Written without the product's own stack, so that both would have to be wrong in the same way.
//!
//! ```text
//! let mut connection = gateway.connect_h2();
//! assert_eq!(connection.ask("GET /path\nx-name: value").response().text(), "body");
//! connection.frame(&h2::Frame::ping([1; 8]));             // any frame, valid or not
//! let origin = h2::Origin::fixed("body");                 // a backend of prior knowledge
//! ```

mod connection;
mod crowd;
mod frame;
pub mod hpack;
mod judge;
mod link;
mod notation;
mod origin;

pub use connection::{Connection, GoAway, Options};
pub use crowd::{Crowd, Late};
pub use frame::{Frame, HEAD_BYTES, code, code_name, flag, kind, setting};
pub use hpack::Block;
pub use notation::Sent;
pub use origin::{Act, Origin, Recorded};

/// A field, its name as it came.
pub type Field = (String, String);

/// What a client of prior knowledge begins with (RFC 9113, section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A window that nobody has spoken of (RFC 9113, section 6.9.2).
pub const WINDOW_BYTES: u32 = 65_535;

/// A window may not grow beyond this (RFC 9113, section 6.9.1).
pub const WINDOW_BYTES_MAX: u32 = (1 << 31) - 1;

/// What a frame holds at most where nobody has said more (RFC 9113, section 4.2).
pub const FRAME_BYTES: usize = 1 << 14;

/// What a dynamic table holds where nobody has spoken of it (RFC 9113, section 6.5.2).
pub const TABLE_BYTES: u32 = 4_096;
