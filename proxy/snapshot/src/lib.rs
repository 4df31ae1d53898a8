//! Snapshots: what the cores run. [`compile`] is the one place where what an operator wants (`model`) meets the
//! mechanism (`router`, `policy`, `integration`, `tls`). It is refused whole, with every reason, or taken whole;
//! afterwards it never changes. It knows no core and no clock.

mod compile;
mod find;
mod slots;
#[cfg(test)]
mod tests;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use integration::Integration;
use message::{Dialect, PathRules, RequestId};
use policy::{
    Policy, client::ClientRules, compression::Compression, cors::Cors, gateway_response::GatewayResponses,
};
use router::{Endpoints, Mappings, Router};
use telemetry::Labels;

pub use compile::{Inputs, compile, mistakes_within};
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
    /// Slots of those whose addresses are probed: few of very many, perhaps.
    pub probed: Vec<u32>,
    /// All APIs; [`Mapped`] points into it.
    pub apis: Vec<Api>,
    /// Hosts and base paths.
    pub mappings: Mappings<Mapped>,
    /// Default endpoints, as indices into the APIs.
    pub endpoints: Endpoints<usize>,
    /// The account that the node says it belongs to (`$context.accountId`).
    pub account_id: String,
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
    /// What the domain is to the API.
    pub domain: OfDomain,
}

/// What a domain is to an API that is mapped to it (row 13). A host of which nothing is said is of any API's own kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OfDomain {
    /// The domain is strict.
    pub is_strict: bool,
    /// Its endpoint is of another type than the API's.
    pub is_elsewhere: bool,
}

/// An API.
#[derive(Debug)]
pub struct Api {
    /// Its name.
    pub name: String,
    /// Its id: in its default host and in `$context`.
    pub id: String,
    /// How it speaks.
    pub dialect: Dialect,
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
    /// Which responses are compressed, if any are.
    pub compression: Option<Compression>,
    /// CORS for all its routes.
    pub cors: Option<Cors>,
    /// What answers of the gateway's own look like, where that is said.
    pub gateway_responses: Option<Box<GatewayResponses>>,
    /// Stage variables.
    pub variables: Vec<(String, String)>,
    /// Whether the API's default endpoint does not lead here (row 11).
    pub disables_default_endpoint: bool,
    /// Whether the API is strict: requests come by an endpoint of its own type, and name the host in TLS (row 13).
    pub is_strict: bool,
    /// The id of the deployment that it runs; empty where none was made.
    pub deployment: String,
    /// Whether it is a canary's part of a stage.
    pub is_canary: bool,
    /// What serves a part of its requests.
    pub canary: Option<Box<Canary>>,
}

/// What serves a part of a stage's requests (rows 30, 31). Its routes have slots of their own, under the stage's name with
/// [`CANARY_SUFFIX`]; buckets are the stage's.
#[derive(Debug)]
pub struct Canary {
    /// Requests whose draw is below it are the canary's: 0 to 2³², which is all of them.
    pub threshold: u64,
    /// What they find.
    pub stage: Stage,
}

/// What tells a canary's metrics from its stage's, as AWS's logs have it (row 31).
pub const CANARY_SUFFIX: &str = "/Canary";

impl Canary {
    /// The threshold of so many of a hundred.
    pub fn threshold(percent: f64) -> u64 {
        // 2³² / 100 draws a percent. The cast keeps within 0 and 2³² by itself: it saturates, and a NaN is 0.
        (percent.clamp(0.0, 100.0) * ((1_u64 << 32) as f64 / 100.0)).round() as u64
    }
}

impl Stage {
    /// The stage itself or its canary, as the request's own id draws: each request by itself, none twice (row 30).
    #[inline]
    fn drawn(&self, id: RequestId) -> &Self {
        match &self.canary {
            Some(canary) if u64::from(id.draw()) < canary.threshold => &canary.stage,
            _ => self,
        }
    }
}

/// A route, ready to run.
#[derive(Debug)]
pub struct Route {
    /// Its number in metrics and events; stays over publications.
    pub slot: u32,
    /// `GET /pets/{id}`.
    pub key: String,
    /// The names of its path variables, in the template's order.
    pub names: Vec<String>,
    /// Whether its answers carry `X-Amzn-Trace-Id`: those of REST APIs that are no proxy's and no mock's (row 128).
    pub traces: bool,
    /// Whether its answers are streamed: they are in the coding that the backend gave them (row 63).
    pub streams: bool,
    /// What it asks of a request, in order.
    pub policies: Vec<Box<dyn Policy>>,
    /// Whether what its last policy answers with goes out as it is: neither the API nor a policy before that one looks at it.
    pub replays: bool,
    /// What stands behind it.
    pub integration: Box<dyn Integration>,
    /// The longest request body.
    pub body_bytes_max: u64,
    /// The longest response body (row 174); `u64::MAX` where nothing bounds it.
    pub response_bytes_max: u64,
    /// Where it was written.
    pub origin: Option<model::Origin>,
    /// Where its parts were, for whoever wants a request explained.
    pub origins: Box<Origins>,
}

/// Where a route's parts were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    /// For each policy one of each thing that it asks ([`policy::Description::asks`]), or one of all.
    pub policies: Vec<Vec<Option<model::Origin>>>,
    /// The integration.
    pub integration: Option<model::Origin>,
    /// What becomes of a backend's answers, in order.
    pub responses: Vec<Option<model::Origin>>,
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
