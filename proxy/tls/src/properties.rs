//! What must hold of any bytes that come before a handshake is done. Each property panics when it does not, called by
//! unit tests, by fuzz targets and by the replay of what those came upon. Nobody who only replays bytes can finish a
//! handshake: our part of every key is new each time.

use std::sync::{Arc, LazyLock};

use rcgen::{CertificateParams, KeyPair};

use crate::{
    CertificateSettings, Client, ClientSettings, SecurityPolicy, Server, ServerSettings, Session, Tickets,
};

/// Whatever a client says, and however it is cut: our side says the same of it, ends in bounds and lends no bytes.
pub fn any_client(bytes: &[u8]) {
    ends_the_same(bytes, || Session::server(&PEERS.server));
}

/// Whatever a server says to our hello.
pub fn any_server(bytes: &[u8]) {
    ends_the_same(bytes, || {
        let mut session = Session::client(&PEERS.client, "a.test").expect("a good name");
        assert!(session.drain(&mut Vec::new()), "the hello");
        session
    });
}

fn ends_the_same(bytes: &[u8], session: impl Fn() -> Session) {
    let whole = end(&mut session(), &[bytes]);
    let halves = bytes.split_at(bytes.len() / 2);
    assert_eq!(end(&mut session(), &[halves.0, halves.1]), whole, "in halves");
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(end(&mut session(), &single), whole, "byte by byte");
}

/// What a session says of bytes that come in `pieces`, if it refuses them.
fn end(session: &mut Session, pieces: &[&[u8]]) -> Option<String> {
    let mut out = Vec::new();
    for piece in pieces {
        let fed = session.feed(piece);
        session.drain(&mut out);
        assert!(!session.wants_write(), "all is said at once");
        assert!(!session.handshake_done() && !session.has_plain() && !session.is_closed());
        assert!(session.plain(|bytes| (bytes.len(), ())).is_none());
        match fed {
            Ok(taken) => assert_eq!(taken, piece.len(), "all bytes are taken while no plain ones wait"),
            Err(error) => {
                assert!(session.feed(b"more").is_err_and(|again| again.to_string() == error.to_string()));
                session.write(b"nobody hears this");
                session.close();
                return Some(error.to_string());
            }
        }
    }
    session.shrink();
    None
}

/// Both sides, made once.
struct Peers {
    server: Arc<Server>,
    client: Client,
}

static PEERS: LazyLock<Peers> = LazyLock::new(|| {
    let key = KeyPair::generate().expect("a key");
    let names = vec!["a.test".to_owned(), "*.b.test".to_owned()];
    let certificate = CertificateParams::new(names).and_then(|params| params.self_signed(&key));
    let chain_pem = certificate.expect("a certificate").pem().into_bytes();
    let certificate = CertificateSettings {
        name: "a.test".to_owned(),
        chain_pem: chain_pem.clone(),
        key_pem: key.serialize_pem().into_bytes(),
        ..CertificateSettings::default()
    };
    let alpn = vec![b"http/1.1".to_vec()];
    let settings = ServerSettings {
        certificates: vec![certificate],
        policy: SecurityPolicy::Tls1_2,
        alpn: alpn.clone(),
    };
    // The certificate is for all times.
    let (server, _) = Server::build(&settings, &Tickets::new(), 1_700_000_000).expect("a server");
    let client = Client::build(&ClientSettings { ca_pem: Some(chain_pem), alpn }).expect("a client");
    Peers { server: Arc::new(server), client }
});
