//! Handshakes in memory: two sessions, the bytes carried between them by hand.

mod build;
mod files;
mod handshakes;
mod hostile;
mod openssl;
mod selection;

use std::sync::{Arc, LazyLock};
use std::time::{SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};

use crate::*;

/// rustls verifies against the system's clock, so the tests' certificates are for today.
fn now_unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

const DAY_S: u64 = 24 * 3600;

/// One CA for all tests.
static CA: LazyLock<CertifiedIssuer<'static, KeyPair>> = LazyLock::new(|| {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "The tests' authority");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
});

/// A certificate for `names`, called by the first of them.
fn certificate(names: &[&str]) -> CertificateSettings {
    let now = now_unix_s();
    certificate_of(names, now - DAY_S, now + 90 * DAY_S)
}

fn certificate_of(names: &[&str], from_unix_s: u64, until_unix_s: u64) -> CertificateSettings {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names.clone()).unwrap();
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + std::time::Duration::from_secs(from_unix_s);
    params.not_after = epoch + std::time::Duration::from_secs(until_unix_s);
    let key = KeyPair::generate().unwrap();
    CertificateSettings {
        name: names.first().cloned().unwrap_or_default(),
        chain_pem: params.signed_by(&key, &CA).unwrap().pem().into_bytes(),
        key_pem: key.serialize_pem().into_bytes(),
        hosts: Vec::new(),
        policy: None,
    }
}

fn server_settings(certificates: Vec<CertificateSettings>) -> ServerSettings {
    ServerSettings { certificates, policy: SecurityPolicy::Tls1_2, alpn: vec![b"http/1.1".to_vec()] }
}

fn server(certificates: Vec<CertificateSettings>) -> Arc<Server> {
    built(&server_settings(certificates), &Tickets::new())
}

#[track_caller]
fn built(settings: &ServerSettings, tickets: &Tickets) -> Arc<Server> {
    Arc::new(Server::build(settings, tickets, now_unix_s()).unwrap().0)
}

fn client() -> Client {
    client_with(&[b"http/1.1"])
}

fn client_with(alpn: &[&[u8]]) -> Client {
    let alpn = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Client::build(&ClientSettings { ca_pem: Some(CA.pem().into_bytes()), alpn }).unwrap()
}

/// Carries what `from` has to say to `to`; what `to` says of it.
fn carry(from: &mut Session, to: &mut Session) -> Result<(), Error> {
    let mut bytes = Vec::new();
    from.drain(&mut bytes);
    feed_all(to, &bytes)
}

/// Feeds all of `bytes`; no plain bytes may be in the way.
fn feed_all(to: &mut Session, bytes: &[u8]) -> Result<(), Error> {
    let taken = to.feed(bytes)?;
    assert_eq!(taken, bytes.len(), "all bytes are taken while no plain ones wait");
    Ok(())
}

/// Lets both talk until neither has anything to say.
fn converse(client: &mut Session, server: &mut Session) -> Result<(), Error> {
    for _ in 0..10 {
        carry(client, server)?;
        carry(server, client)?;
        if !client.wants_write() && !server.wants_write() {
            return Ok(());
        }
    }
    panic!("the handshake does not end");
}

/// A finished handshake with `host`.
#[track_caller]
fn connected(client: &Client, server: &Arc<Server>, host: &str) -> (Session, Session) {
    let mut pair = (Session::client(client, host).unwrap(), Session::server(server));
    converse(&mut pair.0, &mut pair.1).unwrap();
    assert!(pair.0.handshake_done() && pair.1.handshake_done());
    pair
}

/// All plain bytes that wait.
fn read(session: &mut Session) -> Vec<u8> {
    let mut all = Vec::new();
    while session.plain(|bytes| (bytes.len(), all.extend_from_slice(bytes))).is_some() {}
    all
}

/// Whether a fresh connection takes up a session that `client` has from before.
fn resumes(client: &Client, server: &Arc<Server>, host: &str) -> bool {
    let (client, server) = connected(client, server, host);
    assert_eq!(client.is_resumed(), server.is_resumed());
    server.is_resumed()
}

/// A handshake and one answer, so that the client holds the tickets that come after it.
fn visit(client: &Client, server: &Arc<Server>, host: &str) {
    let (mut client, mut server) = connected(client, server, host);
    server.write(b"hello");
    carry(&mut server, &mut client).unwrap();
    assert_eq!(read(&mut client), b"hello");
}
