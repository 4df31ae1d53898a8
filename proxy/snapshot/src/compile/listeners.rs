//! Listeners: which certificates and which policy each of them has.

use std::sync::Arc;

use model::{Diagnostic, Model, Origin};
use tls::{ALPN_HTTP1, ALPN_HTTP2, CertificateSettings, SecurityPolicy, Server, ServerSettings};

use super::Inputs;
use crate::Listener;

pub(super) fn compile(model: &Model, inputs: &Inputs<'_>, found: &mut Vec<Diagnostic>) -> Vec<Listener> {
    let certificates = certificates(model, inputs, found);
    let mut listeners = Vec::with_capacity(model.listeners.len());
    for listener in &model.listeners {
        let tls = if listener.plain { None } else { server(listener, &certificates, inputs, found) };
        listeners.push(Listener {
            name: listener.name.clone(),
            address: listener.address,
            tls,
            connections_max: listener.connections_max,
            http2: listener.http2,
            http2_streams_max: listener.http2_streams_max,
        });
    }
    listeners
}

/// The operator's certificates, with their files read.
fn certificates(model: &Model, inputs: &Inputs<'_>, found: &mut Vec<Diagnostic>) -> Vec<CertificateSettings> {
    let mut certificates = Vec::new();
    for (number, certificate) in model.certificates.iter().enumerate() {
        let key = format!("certificate[{number}]");
        let origin = certificate.origin.as_ref();
        let mut read = |path: &std::path::Path, part: &str| {
            (inputs.read)(path).map_err(|error| {
                let message = format!("cannot read {}: {error}", path.display());
                found.push(Diagnostic::error(origin, format!("{key}.{part}"), message));
            })
        };
        let (chain, private) = (read(&certificate.chain, "chain"), read(&certificate.key, "key"));
        let policy = policy(certificate.security_policy.as_deref(), origin, &key, found);
        if let (Ok(chain_pem), Ok(key_pem)) = (chain, private) {
            let name = certificate.chain.display().to_string();
            certificates.push(CertificateSettings {
                name,
                chain_pem,
                key_pem,
                hosts: certificate.hosts.clone(),
                policy,
            });
        }
    }
    certificates
}

fn server(
    listener: &model::Listener,
    certificates: &[CertificateSettings],
    inputs: &Inputs<'_>,
    found: &mut Vec<Diagnostic>,
) -> Option<Arc<Server>> {
    let key = format!("listener.{}", listener.name);
    let origin = listener.origin.as_ref();
    let mut certificates = certificates.to_vec();
    if certificates.is_empty() {
        match (inputs.leaf)(&listener.names) {
            Ok(leaf) => certificates.push(CertificateSettings {
                name: "the local authority's certificate".into(),
                chain_pem: leaf.chain_pem,
                key_pem: leaf.key_pem,
                hosts: Vec::new(),
                policy: None,
            }),
            Err(error) => {
                found.push(Diagnostic::error(origin, format!("{key}.names"), error.to_string()));
                return None;
            }
        }
    }
    let policy = policy(listener.security_policy.as_deref(), origin, &key, found).unwrap_or_default();
    let settings = ServerSettings { certificates, policy, alpn: alpn(listener) };
    match Server::build(&settings, inputs.tickets, inputs.unix_s) {
        Ok((server, warnings)) => {
            found.extend(
                warnings.iter().map(|warning| Diagnostic::warning(origin, &key, warning.to_string())),
            );
            Some(Arc::new(server))
        }
        Err(errors) => {
            found.extend(errors.iter().map(|error| Diagnostic::error(origin, &key, error.to_string())));
            None
        }
    }
}

/// What a listener agrees to in the handshake, the better first.
fn alpn(listener: &model::Listener) -> Vec<Vec<u8>> {
    let http2 = listener.http2.then_some(ALPN_HTTP2);
    http2.into_iter().chain([ALPN_HTTP1]).map(<[u8]>::to_vec).collect()
}

fn policy(
    name: Option<&str>,
    origin: Option<&Origin>,
    key: &str,
    found: &mut Vec<Diagnostic>,
) -> Option<SecurityPolicy> {
    match name?.parse() {
        Ok(policy) => Some(policy),
        Err(error) => {
            let error: tls::Error = error;
            found.push(Diagnostic::error(origin, format!("{key}.security_policy"), error.to_string()));
            None
        }
    }
}
