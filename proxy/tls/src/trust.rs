//! How a system comes to trust the local authority: where its certificate goes and what is run after.
//! This module decides and does nothing: the binary copies, asks and runs.

use std::path::{Path, PathBuf};

/// The file's name in a system's folder of trusted certificates (Debian wants `.crt`).
const FILE_NAME: &str = "floodgate-local-authority.crt";

/// A kind of system trust store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustStore {
    /// Debian, Ubuntu, Alpine: `update-ca-certificates`.
    Debian,
    /// Fedora, RHEL and kin: `update-ca-trust`.
    Fedora,
    /// Arch and kin: `trust extract-compat`.
    Arch,
    /// openSUSE, SLES: `update-ca-certificates` with another folder.
    Suse,
}

/// What to do, in order. Needs the rights of root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Steps {
    /// The authority's certificate.
    pub copy_from: PathBuf,
    /// Where the store wants it.
    pub copy_to: PathBuf,
    /// The program that makes the store notice, and its arguments.
    pub run: Vec<&'static str>,
}

/// Store, folder for own certificates, program. openSUSE before the others: it has Debian's program too.
const STORES: [(TrustStore, &str, &[&str]); 4] = [
    (TrustStore::Suse, "/etc/pki/trust/anchors", &["update-ca-certificates"]),
    (TrustStore::Fedora, "/etc/pki/ca-trust/source/anchors", &["update-ca-trust", "extract"]),
    (TrustStore::Arch, "/etc/ca-certificates/trust-source/anchors", &["trust", "extract-compat"]),
    (TrustStore::Debian, "/usr/local/share/ca-certificates", &["update-ca-certificates"]),
];

impl TrustStore {
    /// The store of this system, by the folder it keeps for own certificates; `is_folder` is asked about
    /// absolute paths.
    pub fn detect(is_folder: impl Fn(&Path) -> bool) -> Option<Self> {
        STORES.iter().find(|(_, folder, _)| is_folder(Path::new(folder))).map(|(store, ..)| *store)
    }

    /// How to make it trust `certificate`. Removing `copy_to` and running the same again undoes it.
    pub fn steps(self, certificate: &Path) -> Option<Steps> {
        STORES.iter().find(|(store, ..)| *store == self).map(|(_, folder, run)| Steps {
            copy_from: certificate.to_owned(),
            copy_to: Path::new(folder).join(FILE_NAME),
            run: run.to_vec(),
        })
    }
}

/// What a user can do without a system store, or before it: text, one line a way.
pub fn instructions(certificate: &Path) -> String {
    let path = certificate.display();
    format!(
        "curl:    curl --cacert {path} https://localhost…\n\
         Python:  REQUESTS_CA_BUNDLE={path} or SSL_CERT_FILE={path}\n\
         Node.js: NODE_EXTRA_CA_CERTS={path}\n\
         Firefox: Settings > Privacy & Security > Certificates > View Certificates > Authorities > Import\n\
         Chrome:  chrome://certificate-manager > Custom > Installed by you > Trusted Certificates > Import\n"
    )
}
