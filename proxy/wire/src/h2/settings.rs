//! What we tell a peer at the beginning, and what the codec may hold for it.

use crate::limits::HEAD_BYTES_CAP;

/// Bytes of the dynamic table by which we read heads (RFC 7541 §4.2).
const TABLE_BYTES: u32 = 4 * 1024;

/// Streams that the codec remembers after we have reset them, so that what was under way for them is read over.
const RESET_REMEMBERED_MAX: usize = 64;

/// Resets over the life of a connection that the codec answers faults of streams with. Faults also count as oddities,
/// which are forgiven in time; this bound is not (RUSTSEC-2024-0003).
const FAULTS_MAX: usize = 1024;

/// Settings of one kind of connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Streams that the peer may have open at once.
    pub streams_max: u32,
    /// Bytes of bodies that a stream may send ahead of its reader.
    pub stream_window_bytes: u32,
    /// The same for all streams together.
    pub connection_window_bytes: u32,
    /// Bytes of a head in its list form: names, values, and 32 for each field (RFC 9113 §6.5.2).
    pub head_list_bytes_max: u32,
    /// Bytes of a body that one of our streams may have waiting for the peer's window.
    pub send_bytes_max: usize,
}

impl Settings {
    /// For clients: what Envoy's guide for edges gives them.
    pub const CLIENTS: Self = Self {
        streams_max: 100,
        stream_window_bytes: 64 * 1024,
        connection_window_bytes: 1024 * 1024,
        head_list_bytes_max: HEAD_BYTES_CAP as u32,
        send_bytes_max: 64 * 1024,
    };

    /// For backends, which open no streams; one connection carries many clients' bodies.
    pub const BACKENDS: Self = Self {
        streams_max: 0,
        stream_window_bytes: 256 * 1024,
        connection_window_bytes: 4 * 1024 * 1024,
        ..Self::CLIENTS
    };

    pub(super) fn server(&self) -> h2::server::Builder {
        let mut builder = h2::server::Builder::new();
        builder
            .max_concurrent_streams(self.streams_max)
            .initial_window_size(self.stream_window_bytes)
            .initial_connection_window_size(self.connection_window_bytes)
            .max_header_list_size(self.head_list_bytes_max)
            .header_table_size(TABLE_BYTES)
            .max_send_buffer_size(self.send_bytes_max)
            .max_concurrent_reset_streams(RESET_REMEMBERED_MAX)
            // A client may take back all it has asked for in one breath; more are a flood.
            .max_pending_accept_reset_streams(self.streams_max as usize)
            .max_local_error_reset_streams(Some(FAULTS_MAX));
        builder
    }

    pub(super) fn client(&self) -> h2::client::Builder {
        let mut builder = h2::client::Builder::new();
        builder
            .enable_push(false)
            // As many as a server should allow at least (RFC 9113 §6.5.2), until it has said.
            .initial_max_send_streams(100)
            .initial_window_size(self.stream_window_bytes)
            .initial_connection_window_size(self.connection_window_bytes)
            .max_header_list_size(self.head_list_bytes_max)
            .header_table_size(TABLE_BYTES)
            .max_send_buffer_size(self.send_bytes_max)
            .max_concurrent_reset_streams(RESET_REMEMBERED_MAX)
            .max_local_error_reset_streams(Some(FAULTS_MAX));
        builder
    }
}
