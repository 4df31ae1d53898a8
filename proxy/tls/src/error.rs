//! Everything that can be wrong with certificates, policies and handshakes, said so that an operator
//! can act on it. This module does not know what is done about it.

use std::{io, path::PathBuf};

/// A mistake in settings, in a file of the local authority, or on a connection.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The policy's name is not one of AWS's.
    #[error("unknown security policy `{name}`; known are {known}")]
    UnknownPolicy {
        /// What was asked for.
        name: String,
        /// All known names, comma-separated.
        known: String,
    },
    /// A TLS listener without a certificate.
    #[error("a TLS listener needs at least one certificate")]
    NoCertificate,
    /// The chain is not PEM, or holds something that is no X.509 certificate.
    #[error("certificate `{certificate}`: the chain cannot be read: {reason}")]
    Chain {
        /// The operator's name of the certificate.
        certificate: String,
        /// What the parser said.
        reason: String,
    },
    /// The key is not PEM, or of a kind we cannot sign with.
    #[error("certificate `{certificate}`: the private key cannot be read: {reason}")]
    Key {
        /// The operator's name of the certificate.
        certificate: String,
        /// What the parser said.
        reason: String,
    },
    /// The key is a good one, but of another certificate.
    #[error(
        "certificate `{certificate}`: the private key does not belong to the first certificate of the chain"
    )]
    KeyMismatch {
        /// The operator's name of the certificate.
        certificate: String,
    },
    /// Every client would refuse it.
    #[error("certificate `{certificate}` expired on {not_after}")]
    Expired {
        /// The operator's name of the certificate.
        certificate: String,
        /// Its last moment, as text.
        not_after: String,
    },
    /// Every client would refuse it until then.
    #[error("certificate `{certificate}` is not valid before {not_before}")]
    NotYetValid {
        /// The operator's name of the certificate.
        certificate: String,
        /// Its first moment, as text.
        not_before: String,
    },
    /// Clients that ask for this host would refuse the certificate.
    #[error("certificate `{certificate}` does not cover host `{host}`; it names {names}")]
    HostNotCovered {
        /// The operator's name of the certificate.
        certificate: String,
        /// The host that was to be served with it.
        host: String,
        /// The DNS names in the certificate, comma-separated.
        names: String,
    },
    /// Not a DNS name, nor `*.` and a DNS name.
    #[error("certificate `{certificate}`: `{host}` is not a host name")]
    HostMalformed {
        /// The operator's name of the certificate.
        certificate: String,
        /// What was written.
        host: String,
    },
    /// Two certificates for one host: which one to send would be chance.
    #[error("host `{host}` has two certificates, `{first}` and `{second}`")]
    DuplicateHost {
        /// The host in question.
        host: String,
        /// The certificate that came first.
        first: String,
        /// The one that claims it again.
        second: String,
    },
    /// rustls refuses the combination (a key the policy has no suite for).
    #[error("certificate `{certificate}`: {reason}")]
    Settings {
        /// The operator's name of the certificate.
        certificate: String,
        /// What rustls said.
        reason: String,
    },
    /// The upstream's own CA file is unusable.
    #[error("the CA certificates for upstreams cannot be read: {reason}")]
    UpstreamCa {
        /// What the parser said.
        reason: String,
    },
    /// A client needs a name to verify.
    #[error("`{host}` is neither a DNS name nor an IP address, so no certificate can be verified for it")]
    ServerName {
        /// What was given.
        host: String,
    },
    /// The peer broke the protocol, or one side refused the other. The connection is over.
    #[error("TLS: {0}")]
    Handshake(#[from] rustls::Error),
    /// The peer sent more than any honest handshake needs.
    #[error("TLS: the handshake is longer than {max_bytes} bytes")]
    HandshakeTooLong {
        /// The bound.
        max_bytes: usize,
    },
    /// A file of the local authority cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// `read`, `write`, …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The authority's certificate is there, its key is not.
    #[error("{} is missing: restore it, or remove {} to make a new authority (which must be trusted anew)",
        key.display(), certificate.display())]
    AuthorityKeyMissing {
        /// Where the key should be.
        key: PathBuf,
        /// The certificate that needs it.
        certificate: PathBuf,
    },
    /// The authority's files do not belong together or are damaged.
    #[error("{} cannot be used: {reason}", path.display())]
    AuthorityDamaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Who can read this key can impersonate every site to whoever trusts it.
    #[error("{} can be read by others (mode {mode:03o}): run `chmod 600` on it", path.display())]
    AuthorityKeyExposed {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The names asked for make no certificate.
    #[error("no certificate can be made for these names: {reason}")]
    LeafNames {
        /// What is wrong with them.
        reason: String,
    },
}

/// Something that works and will surprise: told once when settings are built.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// The certificate ends within [`crate::EXPIRY_WARNING_S`].
    ExpiresSoon {
        /// The operator's name of the certificate.
        certificate: String,
        /// Full days left.
        days: u64,
    },
    /// `TLS_1_0` was asked for.
    StartsAt1_2 {
        /// The operator's name of the certificate.
        certificate: String,
    },
    /// A FIPS policy was asked for.
    NotValidated {
        /// The operator's name of the certificate.
        certificate: String,
        /// The policy's name.
        policy: &'static str,
    },
    /// A certificate of the chain was not issued by the next one.
    ChainBroken {
        /// The operator's name of the certificate.
        certificate: String,
        /// Place in the chain, 0 = the server's own.
        position: usize,
    },
    /// No client can ask for it by name, and it is not the first.
    NeverChosen {
        /// The operator's name of the certificate.
        certificate: String,
    },
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ExpiresSoon { certificate, days } => {
                write!(f, "certificate `{certificate}` expires in {days} days")
            }
            Self::StartsAt1_2 { certificate } => write!(
                f,
                "certificate `{certificate}`: policy TLS_1_0 begins at TLS 1.2 here; clients with TLS 1.0 or 1.1 are refused"
            ),
            Self::NotValidated { certificate, policy } => write!(
                f,
                "certificate `{certificate}`: {policy} keeps to FIPS-approved algorithms, but this build's cryptographic module is not the validated one"
            ),
            Self::ChainBroken { certificate, position } => write!(
                f,
                "certificate `{certificate}`: certificate {position} of the chain was not issued by the one after it; some clients will refuse the chain"
            ),
            Self::NeverChosen { certificate } => write!(
                f,
                "certificate `{certificate}` names no host and is not the first, so no client will ever see it"
            ),
        }
    }
}
