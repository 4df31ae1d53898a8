//! Groups of backends.

use std::{path::PathBuf, time::Duration};

use crate::Origin;

/// A group of equal backends: a call goes to the one with the least in flight.
#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    /// Its name; made from the URL where a route names one directly.
    pub name: String,
    /// At least one.
    pub targets: Vec<Target>,
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
    /// Where it was written.
    pub origin: Option<Origin>,
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
            ca: None,
            server_name: None,
            host: None,
            connect_timeout: Duration::from_secs(2),
            first_byte_timeout: Duration::from_secs(29),
            idle_timeout: Duration::from_secs(60),
            total_timeout: None,
            keep_alive: Duration::from_secs(60),
            idle_connections_max: 256,
            origin: None,
        }
    }
}
