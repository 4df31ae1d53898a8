//! Our side when clients call: certificates, each with its policy and its names, built once and shared
//! by all cores. This module does not know listeners or connections.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;

use crate::certificate::{self, Certificate};
use crate::tickets::Identity;
use crate::{Error, SecurityPolicy, Tickets, Warning};

/// What one TLS listener serves.
#[derive(Debug, Clone, Default)]
pub struct ServerSettings {
    /// The first is sent to clients that name no host, or none of ours.
    pub certificates: Vec<CertificateSettings>,
    /// For certificates without a policy of their own.
    pub policy: SecurityPolicy,
    /// Protocols to agree on, in order of preference; none answers no ALPN at all.
    pub alpn: Vec<Vec<u8>>,
}

/// One certificate, which makes one virtual server.
#[derive(Clone, Default)]
pub struct CertificateSettings {
    /// How the operator calls it, for messages.
    pub name: String,
    /// PEM, the server's own certificate first.
    pub chain_pem: Vec<u8>,
    /// PEM (PKCS#8, PKCS#1 or SEC1).
    pub key_pem: Vec<u8>,
    /// The names to serve it for (`api.example.com`, `*.example.com`); empty = the names in the certificate.
    pub hosts: Vec<String>,
    /// Its own policy, if it is not the listener's.
    pub policy: Option<SecurityPolicy>,
}

/// Keys do not belong in logs.
impl std::fmt::Debug for CertificateSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificateSettings")
            .field("name", &self.name)
            .field("hosts", &self.hosts)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// The built thing: immutable, shared by all cores.
pub struct Server {
    virtual_servers: Vec<VirtualServer>,
    /// Lower-case host → place in `virtual_servers`.
    exact: HashMap<Box<str>, usize>,
    /// What follows `*.`, lower-case → place in `virtual_servers`.
    wildcard: HashMap<Box<str>, usize>,
}

struct VirtualServer {
    name: String,
    config: Arc<ServerConfig>,
    not_after_unix_s: u64,
}

/// The first certificate.
const DEFAULT: usize = 0;
/// Tickets after a full handshake; a resumed one gives another, so that a client that uses each once (RFC 8446 §C.4)
/// never runs out. rustls's two cost a handshake 4 µs and the peer 190 bytes more.
const TICKETS: usize = 1;
/// RFC 1035 §2.3.4: no longer host can be in our tables.
const HOST_BYTES_MAX: usize = 253;

impl Server {
    /// Checks all certificates and builds; `unix_s` is the wall clock, for their dates.
    ///
    /// # Errors
    /// Every mistake, not the first.
    pub fn build(
        settings: &ServerSettings,
        tickets: &Tickets,
        unix_s: u64,
    ) -> Result<(Self, Vec<Warning>), Vec<Error>> {
        let (mut warnings, mut errors) = (Vec::new(), Vec::new());
        if settings.certificates.is_empty() {
            errors.push(Error::NoCertificate);
        }
        let mut server =
            Self { virtual_servers: Vec::new(), exact: HashMap::new(), wildcard: HashMap::new() };
        let mut owners = HashMap::new();
        for (place, settings_of_one) in settings.certificates.iter().enumerate() {
            let policy = settings_of_one.policy.unwrap_or(settings.policy);
            warn_of_policy(policy, settings_of_one, &mut warnings);
            let provider = policy.provider();
            let checked = certificate::check(settings_of_one, &provider, unix_s, &mut warnings, &mut errors);
            let Some(certificate) = checked else { continue };
            if certificate.hosts.is_empty() && place != DEFAULT {
                warnings.push(Warning::NeverChosen { certificate: settings_of_one.name.clone() });
            }
            for host in &certificate.hosts {
                if let Some(first) = owners.insert(host.clone(), &settings_of_one.name) {
                    errors.push(Error::DuplicateHost {
                        host: host.clone(),
                        first: first.clone(),
                        second: settings_of_one.name.clone(),
                    });
                }
            }
            match virtual_server(settings, settings_of_one, policy, &certificate, tickets) {
                Ok(built) => server.add(built, &certificate.hosts),
                Err(error) => errors.push(error),
            }
        }
        // The new server holds its ticketers by now, and so does the one it replaces.
        tickets.forget_unused();
        if errors.is_empty() { Ok((server, warnings)) } else { Err(errors) }
    }

    fn add(&mut self, built: VirtualServer, hosts: &[String]) {
        let place = self.virtual_servers.len();
        self.virtual_servers.push(built);
        for host in hosts {
            match host.strip_prefix("*.") {
                Some(parent) => self.wildcard.insert(parent.into(), place),
                None => self.exact.insert(host.as_str().into(), place),
            };
        }
    }

    /// Whether a connection opened with `sni` may carry requests for `host` (no port): both lead to the
    /// same virtual server. If not, the answer is 421 (RFC 9110 §15.5.20).
    pub fn same_virtual_server(&self, sni: Option<&str>, host: &str) -> bool {
        match sni {
            _ if self.virtual_servers.len() < 2 => true,
            Some(sni) if sni.eq_ignore_ascii_case(host) => true,
            sni => sni.map_or(DEFAULT, |sni| self.place(sni)) == self.place(host),
        }
    }

    /// Each certificate by its operator's name, and when it ends, in seconds since 1970.
    pub fn certificates(&self) -> impl Iterator<Item = (&str, u64)> {
        self.virtual_servers.iter().map(|built| (built.name.as_str(), built.not_after_unix_s))
    }

    /// What a client gets that asks for `sni`.
    pub(crate) fn config(&self, sni: Option<&str>) -> Arc<ServerConfig> {
        let place = sni.map_or(DEFAULT, |sni| self.place(sni));
        self.virtual_servers[place].config.clone()
    }

    /// The exact name, else the wildcard of its parent (one label, RFC 9525 §6.3), else the default.
    fn place(&self, host: &str) -> usize {
        let host = host.strip_suffix('.').unwrap_or(host);
        let mut lower = [0; HOST_BYTES_MAX];
        let Some(lower) = lower.get_mut(..host.len()) else { return DEFAULT };
        lower.copy_from_slice(host.as_bytes());
        lower.make_ascii_lowercase();
        let Ok(host) = std::str::from_utf8(lower) else { return DEFAULT };
        let wildcard = || host.split_once('.').and_then(|(_, parent)| self.wildcard.get(parent));
        self.exact.get(host).or_else(wildcard).copied().unwrap_or(DEFAULT)
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.certificates()).finish()
    }
}

fn warn_of_policy(policy: SecurityPolicy, settings: &CertificateSettings, warnings: &mut Vec<Warning>) {
    let certificate = settings.name.clone();
    if policy == SecurityPolicy::Tls1_0 {
        warnings.push(Warning::StartsAt1_2 { certificate });
    } else if policy.is_fips() {
        warnings.push(Warning::NotValidated { certificate, policy: policy.name() });
    }
}

fn virtual_server(
    settings: &ServerSettings,
    settings_of_one: &CertificateSettings,
    policy: SecurityPolicy,
    certificate: &Certificate,
    tickets: &Tickets,
) -> Result<VirtualServer, Error> {
    let refused = |e: rustls::Error| Error::Settings {
        certificate: settings_of_one.name.clone(),
        reason: e.to_string(),
    };
    let mut hosts = certificate.hosts.clone();
    hosts.sort();
    let identity = Identity { hosts, policy, alpn: settings.alpn.clone() };
    let mut config = ServerConfig::builder_with_provider(policy.provider())
        .with_protocol_versions(policy.versions())
        .map_err(refused)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certificate.key.clone())));
    config.alpn_protocols.clone_from(&settings.alpn);
    // Tickets alone carry sessions: a store would be a lock between cores and memory per client.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = tickets.ticketer(&identity).map_err(refused)?;
    config.send_tls13_tickets = TICKETS;
    // 0-RTT can be replayed (RFC 8446 §8); it is off and stays off.
    config.max_early_data_size = 0;
    Ok(VirtualServer {
        name: settings_of_one.name.clone(),
        config: Arc::new(config),
        not_after_unix_s: certificate.not_after_unix_s,
    })
}
