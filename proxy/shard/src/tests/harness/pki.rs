//! Certificates for tests: an authority in a folder that goes with them. rustls looks at the system's clock, so these are
//! for today.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use tempfile::TempDir;
use tls::{
    CertificateSettings, Client, ClientSettings, SecurityPolicy, Server, ServerSettings, Tickets,
    authority::{Authority, Leaf},
};

/// What the backend `A` calls itself.
const BACKEND: &str = "backend.test";

/// An authority that clients and gateway trust.
pub(in crate::tests) struct Pki {
    folder: TempDir,
    authority: Authority,
    /// What clients and the backend speak.
    alpn: [Vec<Vec<u8>>; 2],
}

impl Pki {
    pub(in crate::tests) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let (authority, _) = Authority::open_or_create(folder.path(), unix_s()).unwrap();
        let alpn = vec![tls::ALPN_HTTP1.to_vec()];
        Self { folder, authority, alpn: [alpn.clone(), alpn] }
    }

    /// Has clients and the backend speak these, in order of preference.
    pub(in crate::tests) fn speaking(self, clients: &[&[u8]], backend: &[&[u8]]) -> Self {
        let alpn = [clients, backend].map(|names| names.iter().map(|name| name.to_vec()).collect());
        Self { alpn, ..self }
    }

    /// Makes the model's listener and its group `A` speak TLS; the listener has a certificate for each of these names.
    pub(in crate::tests) fn dress(&self, model: &mut model::Model, names: &[&str]) {
        model.listeners[0].plain = false;
        model.certificates = names.iter().map(|name| self.certificate(name)).collect();
        let upstream = &mut model.upstreams[0];
        upstream.targets[0].tls = true;
        upstream.server_name = Some(BACKEND.into());
        upstream.ca = Some(self.authority.certificate_path());
    }

    fn certificate(&self, name: &str) -> model::Certificate {
        let Leaf { chain_pem, key_pem } = self.leaf(name);
        let file = |ending: &str, pem: &[u8]| -> PathBuf {
            let path = self.folder.path().join(format!("{name}.{ending}"));
            std::fs::write(&path, pem).unwrap();
            path
        };
        model::Certificate {
            chain: file("chain.pem", &chain_pem),
            key: file("key.pem", &key_pem),
            hosts: Vec::new(),
            security_policy: None,
            origin: None,
        }
    }

    fn leaf(&self, name: &str) -> Leaf {
        self.authority.leaf(&[name.to_owned()], unix_s()).unwrap()
    }

    /// What clients connect with.
    pub(super) fn client(&self) -> Client {
        let ca_pem = Some(self.authority.certificate_pem().as_bytes().to_vec());
        Client::build(&ClientSettings { ca_pem, alpn: self.alpn[0].clone() }).unwrap()
    }

    /// What the backend `A` accepts with.
    pub(super) fn backend(&self) -> Arc<Server> {
        let Leaf { chain_pem, key_pem } = self.leaf(BACKEND);
        let certificate = CertificateSettings {
            name: BACKEND.into(),
            chain_pem,
            key_pem,
            ..CertificateSettings::default()
        };
        let settings = ServerSettings {
            certificates: vec![certificate],
            policy: SecurityPolicy::default(),
            alpn: self.alpn[1].clone(),
        };
        Arc::new(Server::build(&settings, &Tickets::new(), unix_s()).unwrap().0)
    }
}

pub(super) fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
