//! The node: what is said once for the whole process.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;

use crate::{Ebpf, Limits, Origin, Quotas, Throttle};

/// The process.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Cores that serve; `None`: one for each core that the process may use.
    pub workers: Option<usize>,
    /// How the kernel is asked.
    pub driver: Driver,
    /// Certificates of the local authority, and the lock. `None`: the default place.
    pub state: Option<PathBuf>,
    /// Descriptors, buffers and connections are derived from this; `None`: from the limit of descriptors.
    pub connections_max: Option<usize>,
    /// Bytes of RAM that the process may come to take; 0: no bound. `None`: from the control group, else from the machine.
    pub memory_max: Option<u64>,
    /// How long a stop waits for requests in flight.
    pub drain: Duration,
    /// Whether a changed file is reloaded without being told.
    pub watch: bool,
    /// Metrics, health, reload.
    pub admin: Admin,
    /// One line a request; `None`: no access log.
    pub access_log: Option<AccessLog>,
    /// Who the client is when others stand between it and us.
    pub client: Client,
    /// How the paths of requests are normalised.
    pub path: PathRules,
    /// Where default endpoints are, and whose they are.
    pub endpoint: Endpoint,
    /// What mapping templates have beside what AWS gives them.
    pub templates: Templates,
    /// Bytes that all cached responses may take on this node.
    pub cache: NodeCache,
    /// Deadlines toward clients.
    pub timeouts: Timeouts,
    /// Limits of heads and bodies where a route says nothing else.
    pub limits: Limits,
    /// How many of each thing an API may have.
    pub quotas: Quotas,
    /// The account's bucket over all APIs (row 67).
    pub throttle: Option<Throttle>,
    /// The kernel front line; `None`: there is none.
    pub ebpf: Option<Ebpf>,
    /// A built-in backend to try the gateway with.
    pub demo: Option<Demo>,
}

/// What mapping templates have beside what AWS gives them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Templates {
    /// Whether there is `$util.xmlToJson` (row 19).
    pub xml_to_json: bool,
}

/// How the reactor asks the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Driver {
    /// io_uring if it is allowed, else epoll.
    #[default]
    Auto,
    /// io_uring or do not start.
    Uring,
    /// epoll.
    Epoll,
}

/// The admin listener. It is never reachable through a data listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admin {
    /// Path of the Unix socket; `None`: the default place.
    pub socket: Option<PathBuf>,
    /// A TCP address as well, loopback only.
    pub listen: Option<SocketAddr>,
}

/// Where and how requests are logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// Where lines go.
    pub target: LogTarget,
    /// `$context` template (row 166); checked by the compiler.
    pub format: String,
    /// Where that was said.
    pub origin: Option<Origin>,
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// Appended to a file, reopened on SIGHUP.
    File(PathBuf),
}

/// Who the client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Connections of one client at once, trusted proxies left out; `None`: no limit.
    pub connections_max: Option<u32>,
    /// Bits of an IPv4 address that tell clients apart, at most 32.
    pub ipv4_prefix: u8,
    /// Bits of an IPv6 address that tell clients apart, at most 128.
    pub ipv6_prefix: u8,
}

/// What of a path is normalised beyond what RFC 3986 §6.2.2 makes the same, for backends that do so too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathRules {
    /// `//` becomes `/` before a route is looked for.
    pub merge_slashes: bool,
    /// `%2F` and `%5C` pass as they are instead of being refused.
    pub encoded_slashes: bool,
}

/// Where the default endpoints of APIs are, and whose they are (row 10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `{id}.execute-api.` and this is an API's host, beside AWS's own form in any region and `{id}.execute-api.localhost`.
    pub suffix: Option<String>,
    /// The region that the node says it is in: of URLs and ARNs.
    pub region: String,
    /// The account that the node says it belongs to: twelve digits.
    pub account_id: String,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self { suffix: None, region: "us-east-1".into(), account_id: "000000000000".into() }
    }
}

/// The node's response cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeCache {
    /// Bytes over all cores: bodies, keys, heads and book-keeping. The node cuts it to what its memory has room for.
    pub size_bytes: u64,
}

/// Deadlines toward clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the first byte of a connection to the end of the TLS handshake.
    pub handshake: Duration,
    /// From a connection's begin, its handshake left out, to the first byte of its first request.
    pub first_byte: Duration,
    /// From the first byte of a head to its last; absolute.
    pub head: Duration,
    /// Between two bytes of a request body, and of a response that the client reads.
    pub body_idle: Duration,
    /// Between two requests of an HTTP/1.1 connection.
    pub keep_alive: Duration,
    /// How long an HTTP/2 connection may have no request.
    pub http2_idle: Duration,
    /// How long an upgraded connection or a call of gRPC may be silent both ways; ten minutes for a WebSocket on AWS (row 157).
    pub tunnel_idle: Duration,
    /// How long an upgraded connection may last; two hours for a WebSocket on AWS (row 157).
    pub tunnel_max: Duration,
    /// How long a connection that we have ended is read on, so that our last answer is not lost (RFC 9112 §9.6).
    pub linger: Duration,
    /// The least bytes a second of a request's body, on average after the grace; 0: no least.
    pub request_rate_min: u64,
    /// The least bytes a second that a client takes of what waits for it, on average after the grace; 0: no least.
    pub response_rate_min: u64,
    /// How long a peer may bring or take nothing before its rate is looked at.
    pub rate_grace: Duration,
}

/// Where clients connect.
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    /// Its name in metrics and messages.
    pub name: String,
    /// Address and port.
    pub address: SocketAddr,
    /// Connections at once; `None`: the node's limit alone.
    pub connections_max: Option<usize>,
    /// TLS, unless it was asked for plain.
    pub plain: bool,
    /// Whether HTTP/2 is spoken too: agreed on by ALPN, on a plain listener begun by a client that knows.
    pub http2: bool,
    /// Requests at once on an HTTP/2 connection (RFC 9113 §5.1.2).
    pub http2_streams_max: u32,
    /// AWS's name of a security policy (row 13); checked by the compiler. `None`: `TLS_1_2`.
    pub security_policy: Option<String>,
    /// Names for the certificate that the local authority makes when none is configured.
    pub names: Vec<String>,
    /// Where it was written.
    pub origin: Option<Origin>,
}

/// A certificate of the operator's.
#[derive(Clone, Debug, PartialEq)]
pub struct Certificate {
    /// Chain in PEM, leaf first.
    pub chain: PathBuf,
    /// Private key in PEM.
    pub key: PathBuf,
    /// Host names it is for; empty: those that stand in it.
    pub hosts: Vec<String>,
    /// A policy of its own.
    pub security_policy: Option<String>,
    /// Where it was written.
    pub origin: Option<Origin>,
}

/// The built-in demo backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demo {
    /// Loopback address and port.
    pub address: SocketAddr,
    /// Where it was written.
    pub origin: Option<Origin>,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            workers: None,
            driver: Driver::Auto,
            state: None,
            connections_max: None,
            memory_max: None,
            drain: Duration::from_secs(30),
            watch: false,
            admin: Admin::default(),
            access_log: None,
            client: Client::default(),
            path: PathRules::default(),
            endpoint: Endpoint::default(),
            templates: Templates::default(),
            cache: NodeCache::default(),
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            quotas: Quotas::default(),
            throttle: None,
            ebpf: None,
            demo: None,
        }
    }
}

impl Default for Client {
    fn default() -> Self {
        // The least that one subscriber has.
        Self { trusted_proxies: Vec::new(), connections_max: None, ipv4_prefix: 32, ipv6_prefix: 64 }
    }
}

impl Default for NodeCache {
    fn default() -> Self {
        Self { size_bytes: 64 << 20 }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            first_byte: Duration::from_secs(10),
            head: Duration::from_secs(10),
            body_idle: Duration::from_secs(30),
            keep_alive: Duration::from_secs(60),
            http2_idle: Duration::from_secs(180),
            tunnel_idle: Duration::from_mins(10),
            tunnel_max: Duration::from_hours(2),
            linger: Duration::from_secs(2),
            request_rate_min: 240,
            response_rate_min: 240,
            rate_grace: Duration::from_secs(10),
        }
    }
}
