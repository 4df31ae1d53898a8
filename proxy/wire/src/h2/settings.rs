//! What we tell a peer at the beginning.

use crate::limits::HEAD_BYTES_CAP;

/// Settings of one kind of connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Streams that the peer may have open at once.
    pub streams_max: u32,
    /// Bytes of bodies that a stream may send ahead of its reader, at most 2³¹−1.
    pub stream_window_bytes: u32,
    /// The same for all streams together; 65,535 at least, which the protocol begins with.
    pub connection_window_bytes: u32,
    /// Bytes of a head in its list form: names, values, and 32 for each field (RFC 9113 §6.5.2).
    pub head_list_bytes_max: u32,
}

impl Settings {
    /// For clients: what Envoy's guide for edges gives them.
    pub const CLIENTS: Self = Self {
        streams_max: 100,
        stream_window_bytes: 64 * 1024,
        connection_window_bytes: 1024 * 1024,
        head_list_bytes_max: HEAD_BYTES_CAP as u32,
    };

    /// For backends, which open no streams; one connection carries many clients' bodies. A stream's window is what each call of
    /// a client that stands still may hold, and what a small answer has; it grows with what is taken (`ahead`).
    pub const BACKENDS: Self = Self {
        streams_max: 0,
        stream_window_bytes: 1024,
        connection_window_bytes: 4 * 1024 * 1024,
        ..Self::CLIENTS
    };
}
