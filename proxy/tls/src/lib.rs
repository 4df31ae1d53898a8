//! TLS: cipher bytes <-> plain bytes, the certificates that need checking before they are served, and
//! the local authority for a first start without any.
//! This room does not know sockets, HTTP or the model. It reads no clock of its own (rustls does, for
//! ticket ages and a peer's dates), and no file except those of the folder a [`authority::Authority`] owns.

pub mod authority;
mod certificate;
mod client;
mod error;
mod policy;
pub mod properties;
mod server;
mod session;
mod tickets;
pub mod trust;

/// HTTP/1.1's name in ALPN (RFC 7301 §6).
pub const ALPN_HTTP1: &[u8] = b"http/1.1";
/// HTTP/2's name in ALPN (RFC 9113 §3.2).
pub const ALPN_HTTP2: &[u8] = b"h2";

pub use certificate::EXPIRY_WARNING_S;
pub use client::{Client, ClientSettings};
pub use error::{Error, Warning};
pub use policy::SecurityPolicy;
pub use server::{CertificateSettings, Server, ServerSettings};
pub use session::{HANDSHAKE_BYTES_MAX, PLAIN_BYTES_MAX, Session};
pub use tickets::Tickets;

#[cfg(test)]
mod tests;
