//! The local authority: a CA of our own in one folder, and the leaf certificates it signs, so that a first
//! start has HTTPS without asking anybody. This module owns the files in its folder and nothing else; it
//! does not know listeners, and it does not make anyone trust it ([`crate::trust`] says how).
//!
//! Files: `ca.key` (0600), `ca.pem` (0644), `leaf-….pem` (0600, certificate and key in one, so that they
//! change together). Each is written beside its place, synced and renamed: after a crash at any moment
//! there is the old file, the new one, or none. The key goes first; a key without a certificate was
//! never shown to anyone and simply gets one. One process at a time: the state folder has a lock.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::net::IpAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PublicKeyData, date_time_ymd,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::{EXPIRY_WARNING_S, Error, SecurityPolicy};

/// Ten years: trusting it is work for people.
const AUTHORITY_LIFE_S: u64 = 10 * 365 * 24 * 3600;
/// One year: below the 398 and 825 days that browsers and Apple's systems allow.
const LEAF_LIFE_S: u64 = 365 * 24 * 3600;
/// Certificates begin a little in the past, for clients whose clocks are behind.
const BACKDATED_S: u64 = 3600;
/// No file of ours is near this; more is not read.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// Names in one leaf.
const NAMES_MAX: usize = 100;

/// The authority of one folder.
pub struct Authority {
    folder: PathBuf,
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// Whether [`Authority::open_or_create`] made a new certificate, which nobody trusts yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Created(pub bool);

/// A certificate for a server, and its key.
#[derive(Clone, PartialEq, Eq)]
pub struct Leaf {
    /// PEM: the leaf alone, since clients have the authority's certificate if they trust it.
    pub chain_pem: Vec<u8>,
    /// PEM, PKCS#8.
    pub key_pem: Vec<u8>,
}

impl std::fmt::Debug for Leaf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Leaf { .. }")
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Authority {
    /// Opens the authority of `folder`, or makes one; `unix_s` is the wall clock. Near its end the
    /// certificate is made anew with the same key.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::AuthorityKeyMissing`], [`Error::AuthorityKeyExposed`] and
    /// [`Error::AuthorityDamaged`] when files are there that cannot be used. Nothing is ever overwritten
    /// to get out of these: people may already trust the certificate.
    pub fn open_or_create(folder: &Path, unix_s: u64) -> Result<(Self, Created), Error> {
        fs::create_dir_all(folder).map_err(io_error("create", folder))?;
        let key_path = folder.join("ca.key");
        let certificate_path = folder.join("ca.pem");
        let key = match (read_text(&key_path)?, certificate_path.exists()) {
            (Some(pem), _) => {
                check_private(&key_path)?;
                KeyPair::from_pem(&pem).map_err(damaged(&key_path))?
            }
            (None, true) => {
                return Err(Error::AuthorityKeyMissing { key: key_path, certificate: certificate_path });
            }
            (None, false) => {
                let key = KeyPair::generate().map_err(damaged(&key_path))?;
                write(&key_path, key.serialize_pem().as_bytes(), 0o600)?;
                key
            }
        };
        let stored = match read_text(&certificate_path)? {
            Some(pem) => usable(&pem, &key, unix_s).map_err(damaged(&certificate_path))?.then_some(pem),
            None => None,
        };
        let created = Created(stored.is_none());
        let certificate_pem = match stored {
            Some(pem) => pem,
            None => {
                let made = authority_params(&key, unix_s).self_signed(&key);
                let pem = made.map_err(damaged(&certificate_path))?.pem();
                write(&certificate_path, pem.as_bytes(), 0o644)?;
                pem
            }
        };
        let issuer = Issuer::from_ca_cert_pem(&certificate_pem, key).map_err(damaged(&certificate_path))?;
        Ok((Self { folder: folder.to_owned(), certificate_pem, issuer }, created))
    }

    /// The authority's certificate, for clients to trust.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Where that certificate lies.
    pub fn certificate_path(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// A certificate for these DNS names (also `*.` ones) and IP addresses. The stored one is used again
    /// while it is for the same names, of this authority, and not near its end.
    ///
    /// # Errors
    /// [`Error::LeafNames`] for no names, more than 100, or a name that is none; [`Error::Io`].
    pub fn leaf(&self, names: &[String], unix_s: u64) -> Result<Leaf, Error> {
        let names = canonical(names)?;
        let path = self.folder.join(format!("leaf-{}.pem", fingerprint(names.join("\n").as_bytes())));
        if let Some(stored) = read(&path)? {
            // A damaged leaf is of no value to anyone: a new one takes its place.
            if let Some(leaf) = split(&stored).filter(|leaf| self.still_good(leaf, &names, unix_s)) {
                check_private(&path)?;
                return Ok(leaf);
            }
        }
        let refused = |e: rcgen::Error| Error::LeafNames { reason: e.to_string() };
        let key = KeyPair::generate().map_err(refused)?;
        let params = leaf_params(&names, unix_s).map_err(refused)?;
        let chain_pem = params.signed_by(&key, &self.issuer).map_err(refused)?.pem();
        let key_pem = key.serialize_pem();
        write(&path, format!("{chain_pem}{key_pem}").as_bytes(), 0o600)?;
        Ok(Leaf { chain_pem: chain_pem.into_bytes(), key_pem: key_pem.into_bytes() })
    }

    /// Asks what a client that trusts this authority would say, at a time a little ahead.
    fn still_good(&self, leaf: &Leaf, names: &[String], unix_s: u64) -> bool {
        let mut roots = RootCertStore::empty();
        let added = CertificateDer::from_pem_slice(self.certificate_pem.as_bytes())
            .is_ok_and(|authority| roots.add(authority).is_ok());
        let provider = SecurityPolicy::default().provider();
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let (true, Ok(verifier), Ok(certificate)) =
            (added, verifier, CertificateDer::from_pem_slice(&leaf.chain_pem))
        else {
            return false;
        };
        let then = UnixTime::since_unix_epoch(Duration::from_secs(unix_s.saturating_add(EXPIRY_WARNING_S)));
        names.iter().all(|name| {
            // A wildcard is asked about by a name it stands for.
            let name = name.replacen("*.", "any.", 1);
            ServerName::try_from(name)
                .is_ok_and(|name| verifier.verify_server_cert(&certificate, &[], &name, &[], then).is_ok())
        })
    }
}

fn belongs(certificate: &X509Certificate<'_>, key: &KeyPair) -> bool {
    certificate.public_key().raw == key.subject_public_key_info()
}

/// Whether a stored certificate is worth keeping: `Ok(false)` near its end, an error if it is not of `key`.
fn usable(pem: &str, key: &KeyPair, unix_s: u64) -> Result<bool, String> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|e| e.to_string())?;
    let (_, certificate) = X509Certificate::from_der(&der).map_err(|e| e.to_string())?;
    if !belongs(&certificate, key) {
        return Err("it does not belong to ca.key beside it".to_owned());
    }
    let ends = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or(0);
    Ok(ends > unix_s.saturating_add(EXPIRY_WARNING_S))
}

fn authority_params(key: &KeyPair, unix_s: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Floodgate");
    // Two machines' authorities are told apart in a browser's list; the same key keeps its name.
    let id = fingerprint(&key.subject_public_key_info());
    name.push(DnType::CommonName, format!("Floodgate local authority {}", &id[..8]));
    params.distinguished_name = name;
    // It signs leaves, not other authorities.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, unix_s, AUTHORITY_LIFE_S);
    params
}

fn leaf_params(names: &[String], unix_s: u64) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names.to_vec())?;
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Floodgate");
    params.distinguished_name = name;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    set_validity(&mut params, unix_s, LEAF_LIFE_S);
    Ok(params)
}

fn set_validity(params: &mut CertificateParams, unix_s: u64, life_s: u64) {
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(unix_s.saturating_sub(BACKDATED_S));
    params.not_after = epoch + Duration::from_secs(unix_s + life_s);
}

/// Lower-case, sorted, without repeats, so that the same names are the same leaf in any order.
fn canonical(names: &[String]) -> Result<Vec<String>, Error> {
    let refused = |reason: String| Error::LeafNames { reason };
    let mut canonical = Vec::with_capacity(names.len());
    for name in names {
        let lower = name.to_ascii_lowercase();
        let is_ip = lower.parse::<IpAddr>().is_ok();
        let host = lower.strip_prefix("*.").unwrap_or(&lower);
        if !is_ip && !matches!(ServerName::try_from(host), Ok(ServerName::DnsName(_))) {
            return Err(refused(format!("`{name}` is neither a host name nor an IP address")));
        }
        canonical.push(lower);
    }
    canonical.sort();
    canonical.dedup();
    match canonical.len() {
        0 => Err(refused("there are none".to_owned())),
        1..=NAMES_MAX => Ok(canonical),
        n => Err(refused(format!("there are {n}, and {NAMES_MAX} is the most"))),
    }
}

/// The first 64 bits of SHA-256, in hex.
fn fingerprint(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// A stored leaf: certificate first, key after it. `None` if it is not that, or they do not fit.
fn split(stored: &[u8]) -> Option<Leaf> {
    const KEY_BEGINS: &str = "-----BEGIN PRIVATE KEY-----";
    let stored = std::str::from_utf8(stored).ok()?;
    let (chain, key) = stored.split_at(stored.find(KEY_BEGINS)?);
    let der = CertificateDer::from_pem_slice(chain.as_bytes()).ok()?;
    let (_, certificate) = X509Certificate::from_der(&der).ok()?;
    let fits = belongs(&certificate, &KeyPair::from_pem(key).ok()?);
    fits.then(|| Leaf { chain_pem: chain.as_bytes().to_vec(), key_pem: key.as_bytes().to_vec() })
}

/// Others who can read a key can use it.
fn check_private(path: &Path) -> Result<(), Error> {
    let mode = fs::metadata(path).map_err(io_error("read", path))?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(Error::AuthorityKeyExposed { path: path.to_owned(), mode }) }
}

/// The file's bytes, or `None` if there is no such file.
fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(io_error("read", path)(e)),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(io_error("read", path))?;
    Ok(Some(bytes))
}

/// The same for a file that cannot be done without being readable.
fn read_text(path: &Path) -> Result<Option<String>, Error> {
    read(path)?.map(|bytes| String::from_utf8(bytes).map_err(damaged(path))).transpose()
}

/// Writes beside, syncs, renames, syncs the folder: whole or not at all, also through a power cut.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    let beside = path.with_added_extension("new");
    // Left over from a crash, perhaps with another mode.
    match fs::remove_file(&beside) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(io_error("replace", &beside)(e)),
        _ => {}
    }
    let written =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside).and_then(|mut file| {
            // `mode` above is cut by the umask; a certificate is for others to read.
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            file.write_all(bytes)?;
            file.sync_all()
        });
    written.map_err(io_error("write", &beside))?;
    fs::rename(&beside, path).map_err(io_error("write", path))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error("sync", folder))
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::Io { action, path: path.to_owned(), source }
}

fn damaged<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> Error {
    move |e| Error::AuthorityDamaged { path: path.to_owned(), reason: e.to_string() }
}
