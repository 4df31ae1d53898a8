//! Our side when we call an upstream: whom we trust and what we offer.
//! This module does not know which upstream or pool it serves.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};

use crate::{Error, SecurityPolicy};

/// Sessions one client remembers for resumption, one an upstream name.
const SESSIONS_MAX: usize = 256;

/// What an upstream group asks of TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientSettings {
    /// PEM certificates to trust instead of the public roots.
    pub ca_pem: Option<Vec<u8>>,
    /// Protocols to offer, in order of preference; none offers no ALPN at all.
    pub alpn: Vec<Vec<u8>>,
}

/// A built client. Cheap to clone; a clone shares the sessions to resume.
#[derive(Debug, Clone)]
pub struct Client {
    config: Arc<ClientConfig>,
    /// What it was built from, by which one that was built from the same is known.
    settings: Arc<ClientSettings>,
}

impl Client {
    /// Checks the CA file and builds. Verification of chain, dates and name is always on.
    ///
    /// # Errors
    /// [`Error::UpstreamCa`] when `ca_pem` holds no usable certificate.
    pub fn build(settings: &ClientSettings) -> Result<Self, Error> {
        let roots = match &settings.ca_pem {
            Some(pem) => own_roots(pem)?,
            None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        };
        let policy = SecurityPolicy::Tls1_2;
        let mut config = ClientConfig::builder_with_provider(policy.provider())
            .with_protocol_versions(policy.versions())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols.clone_from(&settings.alpn);
        config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
        Ok(Self { config: Arc::new(config), settings: Arc::new(settings.clone()) })
    }

    /// The same client with sessions of its own: one for each core, so that cores share no lock.
    pub fn for_core(&self) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
        Self { config: Arc::new(config), settings: self.settings.clone() }
    }

    /// Whether this one was built from such settings.
    pub fn has_settings(&self, settings: &ClientSettings) -> bool {
        *self.settings == *settings
    }

    /// Whether the two came from one [`Self::build`], however often they were cloned since or made [`Self::for_core`].
    pub fn is_same_build(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.settings, &other.settings)
    }

    /// One whose configuration a test made.
    #[cfg(test)]
    pub(crate) fn of(config: ClientConfig) -> Self {
        Self { config: Arc::new(config), settings: Arc::default() }
    }

    /// A connection that will verify the peer as `host`.
    pub(crate) fn connect(&self, host: &str) -> Result<ClientConnection, Error> {
        let bare = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
        let name =
            ServerName::try_from(bare.to_owned()).map_err(|_| Error::ServerName { host: host.to_owned() })?;
        Ok(ClientConnection::new(self.config.clone(), name)?)
    }
}

fn own_roots(pem: &[u8]) -> Result<RootCertStore, Error> {
    let refused = |reason: String| Error::UpstreamCa { reason };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|e| refused(e.to_string()))?;
        roots.add(certificate).map_err(|e| refused(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(refused("it holds no PEM certificate".to_owned()));
    }
    Ok(roots)
}
