//! Security policies: AWS's names for "which protocol versions, cipher suites and key exchanges".
//! This module knows what a name promises; it does not know certificates or connections.
//!
//! Source: API Gateway's `SecurityPolicy` enumeration (row 13). What a name says is what we keep: the
//! lowest version, `FIPS` = approved algorithms only, `PQ` = post-quantum hybrid key exchange first.
//! `PFS` needs no case of its own: every suite here is ECDHE with an AEAD, so all policies have forward
//! secrecy, and the CBC and static-RSA suites that AWS still lists under the older names do not exist.

use std::{fmt, str::FromStr, sync::Arc};

use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion, version};

use crate::Error;

/// A security policy by AWS's name; the first two also serve as plain words for "anything safe".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SecurityPolicy {
    /// `TLS_1_0`: AWS accepts TLS 1.0 here; we begin at 1.2 and say so once.
    Tls1_0,
    /// `TLS_1_2`: TLS 1.2 and 1.3, the default.
    #[default]
    Tls1_2,
    /// `SecurityPolicy_TLS13_1_3_2025_09`: TLS 1.3 only.
    Tls13Only2025,
    /// `SecurityPolicy_TLS13_1_3_FIPS_2025_09`: TLS 1.3 only, approved algorithms.
    Tls13OnlyFips2025,
    /// `SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09`.
    Tls12PfsPq2025,
    /// `SecurityPolicy_TLS13_1_2_FIPS_PQ_2025_09`.
    Tls12FipsPq2025,
    /// `SecurityPolicy_TLS13_1_2_FIPS_PFS_PQ_2025_09`.
    Tls12FipsPfsPq2025,
    /// `SecurityPolicy_TLS13_1_2_PQ_2025_09`.
    Tls12Pq2025,
    /// `SecurityPolicy_TLS13_1_2_2021_06`.
    Tls12Of2021,
    /// `SecurityPolicy_TLS13_2025_EDGE`: TLS 1.3 only, for edge-optimised domains.
    Tls13Edge2025,
    /// `SecurityPolicy_TLS12_PFS_2025_EDGE`.
    Tls12PfsEdge2025,
    /// `SecurityPolicy_TLS12_2018_EDGE`.
    Tls12Edge2018,
}

/// Every policy in AWS's order: policy, name, TLS 1.3 only, FIPS algorithms only, post-quantum first.
///
/// The two plain names promise a lowest version and nothing else, so they get the hybrid as well.
const POLICIES: [(SecurityPolicy, &str, Terms); 12] = [
    (SecurityPolicy::Tls1_0, "TLS_1_0", Terms { only_1_3: false, fips: false, hybrid: true }),
    (SecurityPolicy::Tls1_2, "TLS_1_2", Terms { only_1_3: false, fips: false, hybrid: true }),
    (
        SecurityPolicy::Tls13Only2025,
        "SecurityPolicy_TLS13_1_3_2025_09",
        Terms { only_1_3: true, fips: false, hybrid: false },
    ),
    (
        SecurityPolicy::Tls13OnlyFips2025,
        "SecurityPolicy_TLS13_1_3_FIPS_2025_09",
        Terms { only_1_3: true, fips: true, hybrid: false },
    ),
    (
        SecurityPolicy::Tls12PfsPq2025,
        "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09",
        Terms { only_1_3: false, fips: false, hybrid: true },
    ),
    (
        SecurityPolicy::Tls12FipsPq2025,
        "SecurityPolicy_TLS13_1_2_FIPS_PQ_2025_09",
        Terms { only_1_3: false, fips: true, hybrid: true },
    ),
    (
        SecurityPolicy::Tls12FipsPfsPq2025,
        "SecurityPolicy_TLS13_1_2_FIPS_PFS_PQ_2025_09",
        Terms { only_1_3: false, fips: true, hybrid: true },
    ),
    (
        SecurityPolicy::Tls12Pq2025,
        "SecurityPolicy_TLS13_1_2_PQ_2025_09",
        Terms { only_1_3: false, fips: false, hybrid: true },
    ),
    (
        SecurityPolicy::Tls12Of2021,
        "SecurityPolicy_TLS13_1_2_2021_06",
        Terms { only_1_3: false, fips: false, hybrid: false },
    ),
    (
        SecurityPolicy::Tls13Edge2025,
        "SecurityPolicy_TLS13_2025_EDGE",
        Terms { only_1_3: true, fips: false, hybrid: false },
    ),
    (
        SecurityPolicy::Tls12PfsEdge2025,
        "SecurityPolicy_TLS12_PFS_2025_EDGE",
        Terms { only_1_3: false, fips: false, hybrid: false },
    ),
    (
        SecurityPolicy::Tls12Edge2018,
        "SecurityPolicy_TLS12_2018_EDGE",
        Terms { only_1_3: false, fips: false, hybrid: false },
    ),
];

/// What a policy's name promises.
#[derive(Clone, Copy)]
struct Terms {
    only_1_3: bool,
    fips: bool,
    hybrid: bool,
}

impl SecurityPolicy {
    /// Every known name, in AWS's order.
    pub fn names() -> impl Iterator<Item = &'static str> {
        POLICIES.iter().map(|(_, name, _)| *name)
    }

    /// AWS's name of this policy.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// Whether the name asks for FIPS-approved algorithms only.
    pub fn is_fips(self) -> bool {
        self.row().2.fips
    }

    /// The protocol versions offered.
    pub(crate) fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        static ONLY_1_3: [&SupportedProtocolVersion; 1] = [&version::TLS13];
        static FROM_1_2: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
        if self.row().2.only_1_3 { &ONLY_1_3 } else { &FROM_1_2 }
    }

    /// aws-lc-rs narrowed to what this policy allows.
    pub(crate) fn provider(self) -> Arc<CryptoProvider> {
        let terms = self.row().2;
        Arc::new(CryptoProvider {
            cipher_suites: suites(terms),
            kx_groups: groups(terms),
            ..aws_lc_rs::default_provider()
        })
    }

    fn row(self) -> &'static (Self, &'static str, Terms) {
        // The table names every variant (a test walks it), so the default is never taken.
        POLICIES.iter().find(|(policy, ..)| *policy == self).unwrap_or(&POLICIES[1])
    }
}

impl FromStr for SecurityPolicy {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        POLICIES.iter().find(|(_, known, _)| *known == name).map(|(policy, ..)| *policy).ok_or_else(|| {
            Error::UnknownPolicy {
                name: name.to_owned(),
                known: Self::names().collect::<Vec<_>>().join(", "),
            }
        })
    }
}

impl fmt::Display for SecurityPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// AES-128 first: the cheapest per byte, and the first of AWS's list. A client's own order wins, so that
/// one without AES in hardware gets ChaCha20.
fn suites(terms: Terms) -> Vec<SupportedCipherSuite> {
    use aws_lc_rs::cipher_suite::{
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
    };
    let mut suites = vec![TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384];
    if !terms.fips {
        suites.push(TLS13_CHACHA20_POLY1305_SHA256);
    }
    if terms.only_1_3 {
        return suites;
    }
    suites.extend([
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ]);
    if !terms.fips {
        suites.extend([
            TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        ]);
    }
    suites
}

/// Hybrids before classical groups; X25519 is not on NIST's list (SP 800-56A), its hybrid with ML-KEM is.
fn groups(terms: Terms) -> Vec<&'static dyn SupportedKxGroup> {
    use aws_lc_rs::kx_group::{SECP256R1, SECP256R1MLKEM768, SECP384R1, X25519, X25519MLKEM768};
    let mut groups: Vec<&'static dyn SupportedKxGroup> = Vec::new();
    if terms.hybrid {
        groups.extend([X25519MLKEM768, SECP256R1MLKEM768]);
    }
    if !terms.fips {
        groups.push(X25519);
    }
    groups.extend([SECP256R1, SECP384R1]);
    groups
}
