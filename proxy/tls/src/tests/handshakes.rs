//! What two honest sides agree on, and that their bytes arrive.

use super::*;
use proptest::prelude::*;

#[test]
fn data_goes_both_ways_and_both_close() {
    let (mut client, mut server) = connected(&client(), &server(vec![certificate(&["a.test"])]), "a.test");
    assert_eq!(server.sni(), Some("a.test"));
    assert_eq!(client.alpn(), Some(&b"http/1.1"[..]));
    assert_eq!(server.alpn(), Some(&b"http/1.1"[..]));
    client.write(b"GET / HTTP/1.1\r\n\r\n");
    carry(&mut client, &mut server).unwrap();
    assert_eq!(read(&mut server), b"GET / HTTP/1.1\r\n\r\n");
    let body = vec![7; 100_000];
    server.write(&body);
    server.close();
    let mut cipher = Vec::new();
    server.drain(&mut cipher);
    let mut got = Vec::new();
    let mut rest = &cipher[..];
    while !rest.is_empty() {
        rest = &rest[client.feed(rest).unwrap()..];
        got.extend(read(&mut client));
    }
    assert_eq!(got, body);
    assert!(client.is_closed() && !server.is_closed());
    client.close();
    client.close();
    carry(&mut client, &mut server).unwrap();
    assert!(server.is_closed());
}

#[test]
fn records_are_filled() {
    let (_, mut server) = connected(&client(), &server(vec![certificate(&["a.test"])]), "a.test");
    server.write(&[0; 64 * 1024]);
    let mut cipher = Vec::new();
    assert!(server.drain(&mut cipher));
    assert!(!server.drain(&mut cipher) && !server.wants_write());
    // Four records of 16 KiB, each with its header, content type and tag (RFC 8446 §5.2).
    assert_eq!(cipher.len(), 4 * (16 * 1024 + 5 + 1 + 16));
}

/// Two runs written as one: how many records they make, and that they arrive as one.
#[track_caller]
fn check_both(first: usize, second: usize, records: usize) {
    let (mut client, mut server) = connected(&client(), &server(vec![certificate(&["a.test"])]), "a.test");
    let (first, second) = (vec![1; first], vec![2; second]);
    server.write_both(&first, &second);
    let mut cipher = Vec::new();
    server.drain(&mut cipher);
    assert_eq!(cipher.len(), first.len() + second.len() + records * (5 + 1 + 16));
    let mut got = Vec::new();
    let mut rest = &cipher[..];
    while !rest.is_empty() {
        rest = &rest[client.feed(rest).unwrap()..];
        got.extend(read(&mut client));
    }
    assert_eq!(got, [first, second].concat());
}

#[test]
fn two_runs_share_records() {
    check_both(0, 0, 0);
    check_both(200, 0, 1);
    check_both(0, 1024, 1);
    check_both(200, 1024, 1);
    check_both(200, 16 * 1024 - 200, 1);
    check_both(200, 16 * 1024, 2);
    check_both(200, 64 * 1024, 5);
    check_both(20_000, 20_000, 3);
}

#[test]
fn written_early_is_sent_when_the_handshake_is_done() {
    let server = server(vec![certificate(&["a.test"])]);
    let (mut client, mut server) = (Session::client(&client(), "a.test").unwrap(), Session::server(&server));
    client.write(b"question");
    server.write(b"banner");
    carry(&mut client, &mut server).unwrap();
    carry(&mut server, &mut client).unwrap();
    carry(&mut client, &mut server).unwrap();
    carry(&mut server, &mut client).unwrap();
    assert_eq!((read(&mut server), read(&mut client)), (b"question".to_vec(), b"banner".to_vec()));
}

#[test]
fn plain_is_bounded_and_taken_piecewise() {
    let (mut client, mut server) = connected(&client(), &server(vec![certificate(&["a.test"])]), "a.test");
    client.write(&[1; 200 * 1024]);
    let mut cipher = Vec::new();
    client.drain(&mut cipher);
    let taken = server.feed(&cipher).unwrap();
    assert!(taken <= PLAIN_BYTES_MAX + 3 * 16 * 1024, "{taken} bytes held");
    assert_eq!(server.feed(&cipher[taken..]).unwrap(), 0);
    let lent = server.plain(|bytes| (1, bytes.len())).unwrap();
    assert_eq!(server.plain(|bytes| (0, bytes.len())), Some(lent - 1));
    assert!(server.has_plain());
    read(&mut server);
    assert!(!server.has_plain() && server.plain(|_| (0, ())).is_none());
    assert!(server.feed(&cipher[taken..]).unwrap() > 0);
}

/// `policy` of the server, versions of a rustls client, what both agree on (or `refused`).
#[track_caller]
fn check_version(policy: SecurityPolicy, client: &[&'static rustls::SupportedProtocolVersion], agreed: &str) {
    let mut settings = server_settings(vec![certificate(&["a.test"])]);
    settings.policy = policy;
    let server = built(&settings, &Tickets::new());
    let mut client = client_of_versions(client);
    let mut server = Session::server(&server);
    let outcome = converse(&mut client, &mut server)
        .map(|()| format!("{} {}", server.version_str().unwrap(), server.cipher_suite_str().unwrap()));
    assert_eq!(outcome.unwrap_or_else(|_| "refused".to_owned()), agreed);
}

fn client_of_versions(versions: &[&'static rustls::SupportedProtocolVersion]) -> Session {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CA.der().clone()).unwrap();
    let provider = SecurityPolicy::Tls1_2.provider();
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Session::client(&Client::of(config), "a.test").unwrap()
}

#[test]
fn versions_follow_the_policy() {
    use rustls::version::{TLS12, TLS13};
    let ecdsa = "TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
    let modern = "TLSv1.3 TLS_AES_128_GCM_SHA256";
    for policy in SecurityPolicy::names().map(|name| name.parse::<SecurityPolicy>().unwrap()) {
        let only_1_3 = policy.name().contains("TLS13_1_3") || policy.name().contains("TLS13_2025");
        check_version(policy, &[&TLS12], if only_1_3 { "refused" } else { ecdsa });
        check_version(policy, &[&TLS13], modern);
        check_version(policy, &[&TLS12, &TLS13], modern);
    }
}

#[test]
fn alpn_without_common_ground_is_refused() {
    let server = server(vec![certificate(&["a.test"])]);
    let mut client = Session::client(&client_with(&[b"h2"]), "a.test").unwrap();
    let mut server = Session::server(&server);
    let error = converse(&mut client, &mut server).unwrap_err();
    assert!(matches!(error, Error::Handshake(rustls::Error::NoApplicationProtocol)), "{error:?}");
    let mut alert = Vec::new();
    assert!(server.drain(&mut alert), "the client is told why");
    assert!(client.feed(&alert).is_err());
}

#[test]
fn alpn_is_not_needed() {
    let (client, server) = connected(&client_with(&[]), &server(vec![certificate(&["a.test"])]), "a.test");
    assert_eq!((client.alpn(), server.alpn()), (None, None));
}

#[test]
fn shrinking_harms_nothing() {
    let (mut client, mut server) = connected(&client(), &server(vec![certificate(&["a.test"])]), "a.test");
    client.write(&[3; 40_000]);
    let mut cipher = Vec::new();
    client.drain(&mut cipher);
    let (first, second) = cipher.split_at(20_000);
    feed_all(&mut server, first).unwrap();
    server.shrink();
    let mut got = read(&mut server);
    server.shrink();
    feed_all(&mut server, &second[..1]).unwrap();
    feed_all(&mut server, &second[1..]).unwrap();
    got.extend(read(&mut server));
    server.shrink();
    assert_eq!(got, vec![3; 40_000]);
}

/// What a server is told in turn by a client of `version`: whether it has something pressing to say to it.
#[track_caller]
fn check_pressing(version: &'static rustls::SupportedProtocolVersion, expected: &[bool]) {
    let server = server(vec![certificate(&["a.test"])]);
    let (mut client, mut server) = (client_of_versions(&[version]), Session::server(&server));
    let mut pressing = Vec::new();
    while client.wants_write() {
        carry(&mut client, &mut server).unwrap();
        pressing.push(server.has_pressing());
        if server.has_pressing() {
            carry(&mut server, &mut client).unwrap();
        }
    }
    assert!(client.handshake_done() && server.handshake_done());
    assert_eq!(pressing, expected);
    // What was not pressing goes with the first answer, in front of it.
    server.write(b"answer");
    carry(&mut server, &mut client).unwrap();
    assert_eq!(read(&mut client), b"answer");
    assert!(!server.has_pressing() && !server.wants_write());
}

#[test]
fn tickets_wait_for_the_first_answer() {
    // Without the last flight of a server a handshake of TLS 1.2 is not done.
    check_pressing(&rustls::version::TLS12, &[true, true]);
    check_pressing(&rustls::version::TLS13, &[true, false]);
}

#[test]
fn an_alert_does_not_wait_beside_tickets() {
    let server = server(vec![certificate(&["a.test"])]);
    let (mut client, mut server) = (Session::client(&client(), "a.test").unwrap(), Session::server(&server));
    carry(&mut client, &mut server).unwrap();
    carry(&mut server, &mut client).unwrap();
    carry(&mut client, &mut server).unwrap();
    assert!(server.handshake_done() && server.wants_write() && !server.has_pressing());
    server.feed(&[23, 3, 3, 0, 17, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]).unwrap_err();
    assert!(server.has_pressing());
}

/// Each ticket costs a handshake; a resumed one gives another.
#[test]
fn one_ticket_and_always_another() {
    let server = server(vec![certificate(&["a.test"])]);
    let client = client();
    visit(&client, &server, "a.test");
    for _ in 0..3 {
        let (mut ours, mut theirs) = connected(&client, &server, "a.test");
        assert!(theirs.is_resumed(), "a ticket is used once");
        theirs.write(b"answer");
        carry(&mut theirs, &mut ours).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However the cipher bytes are cut, from the first byte of the handshake on, the plain bytes are the same.
    #[test]
    fn any_cut_gives_the_same_plain(
        cuts in prop::collection::vec(1_usize..3000, 1..40),
        plain in prop::collection::vec(any::<u8>(), 0..40_000),
    ) {
        let server = server(vec![certificate(&["a.test"])]);
        let (mut client, mut server) = (Session::client(&client(), "a.test").unwrap(), Session::server(&server));
        let mut cuts = cuts.into_iter().cycle();
        let (mut sent, mut at_server, mut at_client) = (false, Vec::new(), Vec::new());
        loop {
            let moved = carry_cut(&mut client, &mut server, &mut cuts, &mut at_server)
                + carry_cut(&mut server, &mut client, &mut cuts, &mut at_client);
            if client.handshake_done() && server.handshake_done() && !sent {
                client.write(&plain);
                server.write(&plain);
                sent = true;
            } else if moved == 0 {
                break;
            }
        }
        prop_assert!(sent);
        prop_assert_eq!(&at_server, &plain);
        prop_assert_eq!(&at_client, &plain);
    }
}

/// Carries in pieces, reading as it goes; how many bytes went.
fn carry_cut(
    from: &mut Session,
    to: &mut Session,
    cuts: &mut impl Iterator<Item = usize>,
    plain: &mut Vec<u8>,
) -> usize {
    let mut bytes = Vec::new();
    from.drain(&mut bytes);
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let piece = cuts.next().unwrap().min(rest.len());
        let taken = to.feed(&rest[..piece]).unwrap();
        plain.extend(read(to));
        rest = &rest[taken..];
    }
    bytes.len()
}

/// What a server has, what a client offers, what both agree on (`none`: no protocol; or `refused`).
#[track_caller]
fn check_alpn(server: &[&[u8]], client: &[&[u8]], agreed: &str) {
    let mut settings = server_settings(vec![certificate(&["a.test"])]);
    settings.alpn = server.iter().map(|protocol| protocol.to_vec()).collect();
    let server = built(&settings, &Tickets::new());
    let (mut client, mut server) =
        (Session::client(&client_with(client), "a.test").unwrap(), Session::server(&server));
    let outcome = converse(&mut client, &mut server);
    assert_eq!(client.alpn(), server.alpn());
    let said = server.alpn().map_or("none", |protocol| std::str::from_utf8(protocol).unwrap());
    assert_eq!(if outcome.is_ok() { said } else { "refused" }, agreed);
}

/// RFC 7301 §3.2: the server's order counts; with nothing in common the handshake fails.
#[test]
fn the_better_protocol_is_agreed_on() {
    let both = [ALPN_HTTP2, ALPN_HTTP1];
    check_alpn(&both, &both, "h2");
    check_alpn(&both, &[ALPN_HTTP1, ALPN_HTTP2], "h2");
    check_alpn(&both, &[ALPN_HTTP1], "http/1.1");
    check_alpn(&both, &[ALPN_HTTP2], "h2");
    check_alpn(&both, &[b"h3", ALPN_HTTP1], "http/1.1");
    check_alpn(&both, &[], "none");
    check_alpn(&[ALPN_HTTP1], &both, "http/1.1");
    check_alpn(&[ALPN_HTTP1], &[ALPN_HTTP2], "refused");
    check_alpn(&both, &[b"h3"], "refused");
    // A backend that knows nothing of ALPN agrees to nothing: that is no HTTP/2.
    check_alpn(&[], &[ALPN_HTTP2], "none");
}
