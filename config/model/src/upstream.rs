//! Groups of backends.

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use crate::Origin;

/// A group of equal backends: a call goes to the one with the least in flight.
#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    /// Its name; made from the URL where a route names one directly.
    pub name: String,
    /// At least one.
    pub targets: Vec<Target>,
    /// Called over HTTP/2: TLS targets by ALPN, others by prior knowledge. Else over HTTP/1.1.
    pub http2: bool,
    /// A CA bundle (PEM) instead of the public roots, for TLS targets.
    pub ca: Option<PathBuf>,
    /// The name asked for in the TLS handshake and checked in the certificate; `None`: the target's host.
    pub server_name: Option<String>,
    /// `Host` sent to it; `None`: the target's own (row 43).
    pub host: Option<String>,
    /// To make a connection, TLS included.
    pub connect_timeout: Duration,
    /// From the last byte of the request to the first of the response; passing it answers 504 (row 60).
    pub first_byte_timeout: Duration,
    /// Between two bytes of a response.
    pub idle_timeout: Duration,
    /// The whole call; `None`: no bound beside the others.
    pub total_timeout: Option<Duration>,
    /// How long an unused connection is kept.
    pub keep_alive: Duration,
    /// Unused connections kept on each core.
    pub idle_connections_max: usize,
    /// Connections to one address, over all cores; `None`: no bound.
    pub connections_max: Option<u32>,
    /// Calls at once, over all cores; `None`: no bound beside that of clients' connections.
    pub in_flight_max: Option<u32>,
    /// How long an address that is new or back takes to its full share.
    pub slow_start: Duration,
    /// With a smaller share of addresses to choose from than this, in percent, all are asked; 0: with none.
    pub panic_threshold: u32,
    /// Probes; `None`: none are made.
    pub health: Option<Health>,
    /// When an address that fails is left out.
    pub outlier: Outlier,
    /// When none is asked any more; `None`: never.
    pub breaker: Option<Breaker>,
    /// What is asked of another address.
    pub retries: Retries,
    /// Where it was written.
    pub origin: Option<Origin>,
}

/// Status codes, in ranges.
pub type Statuses = Vec<RangeInclusive<u16>>;

/// A request made of each address now and then, to see whether it is well.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// Path and query of the request, a GET.
    pub path: String,
    /// From one probe of an address to the next.
    pub interval: Duration,
    /// For the whole probe.
    pub timeout: Duration,
    /// Probes in a row that must pass until an address is asked again.
    pub healthy: u32,
    /// Probes in a row that must fail until it is not asked any more.
    pub unhealthy: u32,
    /// Statuses that pass.
    pub status: Statuses,
}

/// When an address that fails is left out for a while. One that is alone never is.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlier {
    /// Faults in a row that a core sees; 0: never.
    pub consecutive: u32,
    /// Statuses that are faults, beside connections that fail and answers that are late or malformed.
    pub status: Statuses,
    /// For how long at first; twice as long each time it comes back and fails again.
    pub ejection: Duration,
    /// And at most.
    pub ejection_max: Duration,
    /// Addresses that may be left out at once, in percent; one of several always may.
    pub ejected_max: u32,
}

/// When no address is asked any more, as each core sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Breaker {
    /// Share of the calls of the last ten seconds that failed, in percent.
    pub failures: u32,
    /// With fewer calls in that time nothing is concluded.
    pub calls_min: u32,
    /// How long no call is made.
    pub open: Duration,
    /// Calls that are made then, and must all pass before there are more.
    pub trials: u32,
}

/// What is asked of another address: calls that do no harm twice and of which no byte of an answer came.
#[derive(Clone, Debug, PartialEq)]
pub struct Retries {
    /// Addresses that are asked after the first.
    pub max: u32,
    /// Share of the calls of the last ten seconds that may be repeated, in percent; each core for itself.
    pub budget: u32,
    /// So many may be repeated in ten seconds however few calls there are.
    pub budget_min: u32,
    /// Statuses for which another address is asked.
    pub status: Statuses,
}

/// One backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Over TLS.
    pub tls: bool,
    /// A name or an address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Where it was written.
    pub origin: Option<Origin>,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            name: String::new(),
            targets: Vec::new(),
            http2: false,
            ca: None,
            server_name: None,
            host: None,
            connect_timeout: Duration::from_secs(2),
            first_byte_timeout: Duration::from_secs(29),
            idle_timeout: Duration::from_secs(60),
            total_timeout: None,
            keep_alive: Duration::from_secs(60),
            idle_connections_max: 256,
            connections_max: None,
            in_flight_max: None,
            slow_start: Duration::from_secs(10),
            panic_threshold: 0,
            health: None,
            outlier: Outlier::default(),
            breaker: None,
            retries: Retries::default(),
            origin: None,
        }
    }
}

impl Default for Health {
    fn default() -> Self {
        Self {
            path: "/".into(),
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            healthy: 2,
            unhealthy: 3,
            status: vec![200..=399],
        }
    }
}

impl Default for Outlier {
    /// A status of 500 says something of one request; 502 to 504 say that nobody is behind the address.
    fn default() -> Self {
        Self {
            consecutive: 5,
            status: vec![502..=504],
            ejection: Duration::from_secs(30),
            ejection_max: Duration::from_secs(300),
            ejected_max: 50,
        }
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self { failures: 50, calls_min: 20, open: Duration::from_secs(5), trials: 3 }
    }
}

impl Default for Retries {
    fn default() -> Self {
        Self { max: 2, budget: 20, budget_min: 3, status: Vec::new() }
    }
}
