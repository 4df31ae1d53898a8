//! One certificate as the operator gave it, read and checked: everything a client would refuse is found
//! here, before it is served. This module does not know which virtual server will use it.

use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{Error as TlsError, InconsistentKeys};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::{CertificateSettings, Error, Warning};

/// How long before its end a certificate is warned about, and a local one is made anew: 30 days.
pub const EXPIRY_WARNING_S: u64 = 30 * 24 * 3600;
const DAY_S: u64 = 24 * 3600;

/// A chain and its key that fit, with the hosts they are to serve.
pub(crate) struct Certificate {
    pub(crate) key: Arc<CertifiedKey>,
    /// Lower-case; `*.example.com` for a wildcard.
    pub(crate) hosts: Vec<String>,
    /// Seconds since 1970.
    pub(crate) not_after_unix_s: u64,
}

/// Reads and checks; adds every mistake to `errors`, and returns `None` when there was one.
pub(crate) fn check(
    settings: &CertificateSettings,
    provider: &CryptoProvider,
    unix_s: u64,
    warnings: &mut Vec<Warning>,
    errors: &mut Vec<Error>,
) -> Option<Certificate> {
    let name = || settings.name.clone();
    let before = errors.len();
    let chain = chain(settings).map_err(|e| errors.push(e)).ok();
    let key = PrivateKeyDer::from_pem_slice(&settings.key_pem)
        .map_err(|e| errors.push(Error::Key { certificate: name(), reason: e.to_string() }))
        .ok();
    let chain = chain?;
    let leaf = match chain.first().map(|der| X509Certificate::from_der(der)) {
        Some(Ok((_, leaf))) => leaf,
        Some(Err(e)) => {
            errors.push(Error::Chain { certificate: name(), reason: e.to_string() });
            return None;
        }
        None => return None,
    };
    let not_after_unix_s = check_dates(&leaf, settings, unix_s, warnings, errors);
    let hosts = check_hosts(&chain[0], &leaf, settings, errors);
    check_order(&chain, settings, warnings);
    let key = match CertifiedKey::from_der(chain.clone(), key?, provider) {
        Ok(key) => Arc::new(key),
        Err(TlsError::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            errors.push(Error::KeyMismatch { certificate: name() });
            return None;
        }
        Err(e) => {
            errors.push(Error::Key { certificate: name(), reason: e.to_string() });
            return None;
        }
    };
    (errors.len() == before).then_some(Certificate { key, hosts, not_after_unix_s })
}

fn chain(settings: &CertificateSettings) -> Result<Vec<CertificateDer<'static>>, Error> {
    let unreadable = |reason: String| Error::Chain { certificate: settings.name.clone(), reason };
    let chain = CertificateDer::pem_slice_iter(&settings.chain_pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| unreadable(e.to_string()))?;
    if chain.is_empty() {
        return Err(unreadable("it holds no PEM certificate".to_owned()));
    }
    Ok(chain)
}

/// Returns the end as seconds since 1970.
fn check_dates(
    leaf: &X509Certificate<'_>,
    settings: &CertificateSettings,
    unix_s: u64,
    warnings: &mut Vec<Warning>,
    errors: &mut Vec<Error>,
) -> u64 {
    let certificate = settings.name.clone();
    let validity = leaf.validity();
    let starts = u64::try_from(validity.not_before.timestamp()).unwrap_or(0);
    let ends = u64::try_from(validity.not_after.timestamp()).unwrap_or(0);
    if unix_s > ends {
        errors.push(Error::Expired { certificate, not_after: validity.not_after.to_string() });
    } else if unix_s < starts {
        errors.push(Error::NotYetValid { certificate, not_before: validity.not_before.to_string() });
    } else if ends - unix_s < EXPIRY_WARNING_S {
        warnings.push(Warning::ExpiresSoon { certificate, days: (ends - unix_s) / DAY_S });
    }
    ends
}

/// The hosts to serve: those asked for, which the certificate must cover, else those it names.
fn check_hosts(
    der: &CertificateDer<'_>,
    leaf: &X509Certificate<'_>,
    settings: &CertificateSettings,
    errors: &mut Vec<Error>,
) -> Vec<String> {
    let named = dns_names(leaf);
    if settings.hosts.is_empty() {
        return named;
    }
    let certificate = || settings.name.clone();
    let parsed = match ParsedCertificate::try_from(der) {
        Ok(parsed) => parsed,
        Err(e) => {
            errors.push(Error::Chain { certificate: certificate(), reason: e.to_string() });
            return Vec::new();
        }
    };
    let mut hosts = Vec::with_capacity(settings.hosts.len());
    for host in &settings.hosts {
        let lower = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let bare = lower.strip_prefix("*.").unwrap_or(&lower);
        let Ok(name @ ServerName::DnsName(_)) = ServerName::try_from(bare) else {
            errors.push(Error::HostMalformed { certificate: certificate(), host: host.clone() });
            continue;
        };
        let covered = match lower.strip_prefix("*.") {
            Some(_) => named.contains(&lower),
            None => verify_server_name(&parsed, &name).is_ok(),
        };
        if covered {
            hosts.push(lower);
        } else {
            let names = if named.is_empty() { "no host".to_owned() } else { named.join(", ") };
            errors.push(Error::HostNotCovered { certificate: certificate(), host: host.clone(), names });
        }
    }
    hosts
}

/// The DNS names of a certificate, lower-case and without repeats. A common name is no name (RFC 9525 §2).
pub(crate) fn dns_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let mut hosts = Vec::new();
    for name in &names.value.general_names {
        if let GeneralName::DNSName(host) = name {
            let host = host.to_ascii_lowercase();
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
    }
    hosts
}

/// Clients differ in how much disorder they forgive (RFC 8446 §4.4.2 asks for order).
fn check_order(chain: &[CertificateDer<'_>], settings: &CertificateSettings, warnings: &mut Vec<Warning>) {
    for (position, pair) in chain.windows(2).enumerate() {
        let issued = match (X509Certificate::from_der(&pair[0]), X509Certificate::from_der(&pair[1])) {
            (Ok((_, issued)), Ok((_, issuer))) => issued.issuer() == issuer.subject(),
            _ => false,
        };
        if !issued {
            warnings.push(Warning::ChainBroken { certificate: settings.name.clone(), position });
        }
    }
}
