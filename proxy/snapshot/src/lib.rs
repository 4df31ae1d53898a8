//! Snapshots: what the cores run. [`compile`] is the one place where what an operator wants (`model`) meets the
//! mechanism (`router`, `policy`, `integration`, `tls`). It is refused whole, with every reason, or taken whole;
//! afterwards it never changes. It knows no core and no clock.

mod compile;
mod find;
mod slots;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use integration::Integration;
use message::{Dialect, PathRules};
use policy::{Policy, client::ClientRules, cors::Cors};
use router::{Mappings, Router};
use telemetry::Labels;

pub use compile::{Inputs, compile};
pub use find::{Found, Missed};
pub use slots::Slots;

/// Everything that serving a request needs to know, immutable and shared by all cores.
#[derive(Debug)]
pub struct Snapshot {
    /// Which publication this is, from 1.
    pub generation: u64,
    /// In the order of the configuration.
    pub listeners: Vec<Listener>,
    /// By slot; a slot that is no longer used is empty.
    pub upstreams: Vec<Option<Upstream>>,
    /// All APIs; [`Mapped`] points into it.
    pub apis: Vec<Api>,
    /// Hosts and base paths.
    pub mappings: Mappings<Mapped>,
    /// Who is believed about the client.
    pub client: ClientRules,
    /// How many connections one client may have.
    pub client_connections: ClientConnections,
    /// How paths are normalised.
    pub path_rules: PathRules,
    /// Names for the metrics, by slot.
    pub labels: Arc<Labels>,
    /// Deadlines toward clients.
    pub timeouts: Timeouts,
    /// Limits that the codec keeps before a route is known.
    pub head: HeadLimits,
    /// The access log's line; `None`: no access log.
    pub access_log: Option<telemetry::access::Template>,
}

/// Where clients connect.
#[derive(Debug)]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// Its address as configured.
    pub address: SocketAddr,
    /// `None`: plain.
    pub tls: Option<Arc<tls::Server>>,
    /// Connections at once, on all cores; `None`: the node's limit alone.
    pub connections_max: Option<usize>,
    /// Whether HTTP/2 is spoken: on a TLS connection that agreed on it ([`tls::ALPN_HTTP2`]), on a plain one that begins
    /// with its preface.
    pub http2: bool,
    /// Requests at once on an HTTP/2 connection.
    pub http2_streams_max: u32,
}

/// How many connections one client may have, and what one client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientConnections {
    /// Connections at once, on all cores; `None`: no limit.
    pub max: Option<u32>,
    /// Bits of an IPv4 address that tell clients apart.
    pub ipv4_prefix: u8,
    /// Bits of an IPv6 address that tell clients apart.
    pub ipv6_prefix: u8,
}

/// A group of backends.
#[derive(Debug)]
pub struct Upstream {
    /// Its name.
    pub name: String,
    /// At least one.
    pub targets: Vec<Target>,
    /// Called over HTTP/2. A TLS connection whose peer has not agreed to that is none of this group.
    pub http2: bool,
    /// For targets with TLS.
    pub tls: Option<tls::Client>,
    /// Connect, TLS included.
    pub connect_timeout_ns: u64,
    /// From the request's last byte to the response's first.
    pub first_byte_timeout_ns: u64,
    /// Between two bytes of a response.
    pub idle_timeout_ns: u64,
    /// The whole call.
    pub total_timeout_ns: Option<u64>,
    /// How long an unused connection is kept.
    pub keep_alive_ns: u64,
    /// Unused connections kept on a core.
    pub idle_connections_max: usize,
    /// How calls are spread, and when none is made; bounds are the whole node's.
    pub balance: balance::Settings,
    /// How its addresses are probed, if they are.
    pub health: Option<Health>,
}

/// A request made of each address of a group now and then, to see whether it is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Path and query of the request, a GET.
    pub path: String,
    /// From one probe of an address to the next.
    pub interval_ns: u64,
    /// For the whole probe.
    pub timeout_ns: u64,
    /// Statuses that pass.
    pub statuses: balance::Statuses,
    /// How many in a row tell.
    pub thresholds: balance::Thresholds,
}

/// One backend.
#[derive(Debug)]
pub struct Target {
    /// Over TLS.
    pub tls: bool,
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Name in the TLS handshake.
    pub server_name: String,
    /// What `Host` says.
    pub authority: message::Authority,
}

/// Where a mapping leads.
#[derive(Clone, Debug)]
pub struct Mapped {
    /// Index into [`Snapshot::apis`].
    pub api: usize,
    /// Index into its stages; `None`: the first segment after the base path names it.
    pub stage: Option<usize>,
}

/// An API.
#[derive(Debug)]
pub struct Api {
    /// Its name.
    pub name: String,
    /// How it speaks.
    pub dialect: Dialect,
    /// CORS for all its routes.
    pub cors: Option<Cors>,
    /// Its stages.
    pub stages: Vec<Stage>,
}

/// A stage.
#[derive(Debug)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// Methods and paths.
    pub router: Router,
    /// [`router::Match::route`] points into it.
    pub routes: Vec<Route>,
}

/// A route, ready to run.
#[derive(Debug)]
pub struct Route {
    /// Its number in metrics and events; stays over publications.
    pub slot: u32,
    /// `GET /pets/{id}`.
    pub key: String,
    /// What it asks of a request, in order.
    pub policies: Vec<Box<dyn Policy>>,
    /// Whether what its last policy answers with goes out as it is: neither the API nor a policy before that one looks at it.
    pub replays: bool,
    /// What stands behind it.
    pub integration: Box<dyn Integration>,
    /// The longest request body.
    pub body_bytes_max: u64,
    /// Where it was written.
    pub origin: Option<model::Origin>,
}

/// Deadlines toward clients, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// TLS handshake.
    pub handshake_ns: u64,
    /// From a connection's begin to the first byte of its first request.
    pub first_byte_ns: u64,
    /// Request head, absolute.
    pub head_ns: u64,
    /// Between two bytes of a body, either way.
    pub body_idle_ns: u64,
    /// Between two requests of an HTTP/1.1 connection.
    pub keep_alive_ns: u64,
    /// An HTTP/2 connection without a request.
    pub http2_idle_ns: u64,
    /// Silence of a tunnel, both ways.
    pub tunnel_idle_ns: u64,
    /// A tunnel as a whole.
    pub tunnel_max_ns: u64,
    /// Reading on after our end of a connection.
    pub linger_ns: u64,
    /// The least rate of a request's body.
    pub request_rate: Rate,
    /// The least rate at which a client takes what waits for it.
    pub response_rate: Rate,
}

/// A least rate, as the time that each byte buys: so it is kept without a division.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Time before anything must have moved, in nanoseconds.
    pub grace_ns: u64,
    /// Time that a byte buys, in nanoseconds; `u64::MAX` where there is no least rate.
    pub byte_ns: u64,
}

impl Rate {
    /// No least rate: silence alone is too slow.
    pub const NONE: Self = Self { grace_ns: u64::MAX, byte_ns: u64::MAX };

    /// So many bytes a second after a grace; 0: no least rate.
    pub fn new(bytes_per_s: u64, grace: Duration) -> Self {
        match 1_000_000_000_u64.checked_div(bytes_per_s) {
            // Above 1 GB a second a byte buys nothing that a clock could see.
            Some(byte_ns) => Self { grace_ns: nanoseconds(grace), byte_ns: byte_ns.max(1) },
            None => Self::NONE,
        }
    }
}

/// The largest of all routes' limits: the codec keeps these, the route its own.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// Bytes of names and values.
    pub header_bytes_max: u64,
    /// Fields.
    pub headers_max: usize,
    /// Bytes of the target.
    pub target_bytes_max: u64,
}

impl Snapshot {
    /// The upstream group in a slot.
    pub fn upstream(&self, slot: u32) -> Option<&Upstream> {
        self.upstreams.get(slot as usize)?.as_ref()
    }
}

/// Nanoseconds of a duration, at most some 500 years.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
