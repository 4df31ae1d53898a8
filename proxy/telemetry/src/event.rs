//! Everything that can happen on a core and that somebody may want to count: one list, so that a reader sees all
//! there is to see, and the counters come from one `match`.

/// Something happened. Slots are those of the published [`Labels`](crate::Labels); a slot that the labels do not
/// have is counted without a name, never lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A client's connection was accepted.
    Accept {
        /// Slot of the listener.
        listener: u32,
    },
    /// A client's connection was closed at once because the node is at a limit; it is not accepted and not closed.
    Reject {
        /// Which limit.
        label: &'static str,
    },
    /// An accepted connection ended.
    Close,
    /// A TLS handshake was finished.
    Handshake {
        /// With a ticket, without certificates.
        resumed: bool,
        /// From the first byte to the last, microseconds.
        us: u64,
    },
    /// A TLS handshake failed.
    HandshakeFail {
        /// Why, a name from a fixed list.
        label: &'static str,
    },
    /// A client was waited for in vain.
    TimeOut {
        /// Which wait, a name from a fixed list.
        wait: &'static str,
    },
    /// A client's connection turned out to speak HTTP/2.
    OpenHttp2,
    /// One of those ended.
    CloseHttp2 {
        /// By what, a name from a fixed list.
        cause: &'static str,
    },
    /// A request of HTTP/2 was reset before its answer was whole.
    ResetStream {
        /// By whom: `client` or `gateway`.
        by: &'static str,
    },
    /// A client's stream was reset for what HTTP/2 does not allow, or since it was one too many; most of them before
    /// anybody saw a request of it.
    RefuseStream {
        /// What the client was told, a name from a fixed list.
        code: &'static str,
    },
    /// Bytes came that are no request.
    Malform {
        /// The answer's status code.
        status: u16,
        /// Which rule was broken, a name from a fixed list.
        label: &'static str,
    },
    /// The gateway answered in place of the integration. An [`Event::Answer`] follows.
    Refuse {
        /// Slot of the route, if one was found.
        route: Option<u32>,
        /// Reason code.
        reason: &'static str,
    },
    /// The last byte of a response was handed to the kernel.
    Answer {
        /// Slot of the route, if one was found.
        route: Option<u32>,
        /// Status code; 499 for a client that left before there was one.
        status: u16,
        /// What the request was spoken in.
        protocol: &'static str,
        /// From the first byte of the request to the last of the response, microseconds (row 163, Latency).
        latency_us: u64,
        /// The integration's part of it, if it was asked (row 163, IntegrationLatency).
        integration_us: Option<u64>,
        /// Bytes of the request's body.
        request_bytes: u64,
        /// Bytes of the response's body.
        response_bytes: u64,
    },
    /// A call of gRPC has ended. An [`Event::Answer`] follows, of which the status is mostly 200 whatever became of the call.
    EndCall {
        /// Slot of the route, if one was found.
        route: Option<u32>,
        /// gRPC's own status, 0 to 16; `None`: it was cut off before there was one.
        grpc_status: Option<u8>,
    },
    /// A response came from the cache (row 163, CacheHitCount).
    CacheHit {
        /// Slot of the route.
        route: u32,
    },
    /// A cacheable request found nothing in the cache (row 163, CacheMissCount).
    CacheMiss {
        /// Slot of the route.
        route: u32,
    },
    /// A connection to a backend was made.
    BackendConnect {
        /// Slot of the upstream group.
        upstream: u32,
        /// With its TLS handshake, microseconds.
        us: u64,
    },
    /// A kept connection to a backend was used again.
    BackendReuse {
        /// Slot of the upstream group.
        upstream: u32,
    },
    /// A backend failed: not reached, broken, late or malformed.
    BackendFault {
        /// Slot of the upstream group.
        upstream: u32,
        /// How, a name from a fixed list.
        label: &'static str,
    },
    /// A request was put to a backend once more, after a fault that left it unread.
    BackendRetry {
        /// Slot of the upstream group.
        upstream: u32,
    },
    /// A call to a backend was not made, or not made again.
    BackendHoldBack {
        /// Slot of the upstream group.
        upstream: u32,
        /// By which bound, a name from a fixed list.
        label: &'static str,
    },
    /// An address of a backend is left out for a while because calls to it failed.
    BackendEject {
        /// Slot of the upstream group.
        upstream: u32,
    },
    /// An address of a backend was probed.
    BackendProbe {
        /// Slot of the upstream group.
        upstream: u32,
        /// Whether it answered as it should.
        passed: bool,
    },
    /// A connection's task panicked and was ended; the core goes on.
    Panic,
    /// The core took a changed configuration or changed addresses.
    Swap {
        /// For how long it did nothing else, microseconds.
        us: u64,
    },
}
