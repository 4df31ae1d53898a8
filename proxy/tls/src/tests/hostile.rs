//! Peers that break the protocol: refused with an alert, never a panic, never a loop, never without bound.

use std::{fs, path::Path};

use super::*;

/// What becomes of a server that is fed these bytes.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Outcome {
    /// An error, and an alert for the peer.
    Refuse,
    /// An error without a word: a peer that floods, or has hung up itself, is not answered.
    Drop,
    /// It asks for more.
    Wait,
    /// It sent its flight.
    Answer,
}
use Outcome::{Answer, Drop, Refuse, Wait};

#[track_caller]
fn check(name: &str, bytes: &[u8], expected: Outcome) {
    check_after(&[], name, bytes, expected);
}

/// After `hello`, the same outcome whether the bytes come at once or one by one.
#[track_caller]
fn check_after(hello: &[u8], name: &str, bytes: &[u8], expected: Outcome) {
    let server = server(vec![certificate(&["a.test"])]);
    for (way, piece) in [("at once", bytes.len().max(1)), ("byte by byte", 1)] {
        let mut session = Session::server(&server);
        feed_all(&mut session, hello).unwrap();
        session.drain(&mut Vec::new());
        assert_eq!(outcome(&mut session, bytes.chunks(piece)), expected, "{name}, {way}");
    }
}

fn outcome<'a>(session: &mut Session, pieces: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let mut out = Vec::new();
    for piece in pieces {
        if session.feed(piece).is_err() {
            // An alert is a record of its own behind whatever was said before.
            let before = out.len();
            session.drain(&mut out);
            assert!(session.feed(b"more").is_err() && session.feed(piece).is_err(), "an error stays");
            assert!(session.plain(|_| (0, ())).is_none() && !session.handshake_done());
            session.write(b"nobody hears this");
            session.close();
            let said = &out[before..];
            return if said.is_empty() {
                Drop
            } else {
                assert_alert(said);
                Refuse
            };
        }
        session.drain(&mut out);
    }
    assert!(!session.is_closed(), "nobody in clear can close");
    if out.is_empty() { Wait } else { Answer }
}

/// The last record is a fatal alert, in clear or sealed.
fn assert_alert(mut records: &[u8]) {
    loop {
        let length = usize::from(u16::from_be_bytes([records[3], records[4]]));
        if records.len() == 5 + length {
            assert!(records[0] == 21 || records[0] == 23, "{records:?}");
            return;
        }
        records = &records[5 + length..];
    }
}

fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[kind, 3, 1], &length[..], payload].concat()
}

/// A handshake message in as many records as it takes, `piece` bytes in each.
fn records(message: &[u8], piece: usize) -> Vec<u8> {
    message.chunks(piece).flat_map(|part| record(22, part)).collect()
}

/// With a length of `width` bytes before it.
fn sized(width: usize, bytes: &[u8]) -> Vec<u8> {
    [&bytes.len().to_be_bytes()[8 - width..], bytes].concat()
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &sized(2, body)].concat()
}

/// A ClientHello written by hand, each part to be spoiled.
struct Hello {
    version: u16,
    session_id: Vec<u8>,
    suites: Vec<u8>,
    compressions: Vec<u8>,
    extensions: Vec<Vec<u8>>,
}

impl Hello {
    /// One for TLS 1.2 that is answered.
    fn good() -> Self {
        Self {
            version: 0x0303,
            session_id: vec![],
            suites: vec![0xc0, 0x2b, 0xc0, 0x2f],
            compressions: vec![0],
            extensions: vec![
                extension(10, &sized(2, &[0, 29, 0, 23])),
                extension(11, &sized(1, &[0])),
                extension(13, &sized(2, &[4, 3, 8, 4])),
                extension(23, &[]),
            ],
        }
    }

    fn with(kind: u16, body: &[u8]) -> Self {
        let mut hello = Self::good();
        hello.extensions.push(extension(kind, body));
        hello
    }

    fn message(&self) -> Vec<u8> {
        let body = [
            &self.version.to_be_bytes()[..],
            &[7; 32],
            &sized(1, &self.session_id),
            &sized(2, &self.suites),
            &sized(1, &self.compressions),
            &sized(2, &self.extensions.concat()),
        ]
        .concat();
        [&[1][..], &sized(3, &body)].concat()
    }

    fn record(&self) -> Vec<u8> {
        records(&self.message(), 16 * 1024)
    }
}

fn spoiled(spoil: impl FnOnce(&mut Hello)) -> Vec<u8> {
    let mut hello = Hello::good();
    spoil(&mut hello);
    hello.record()
}

/// What a rustls client says first (TLS 1.3 and 1.2, with a hybrid key share).
fn modern_hello() -> Vec<u8> {
    let mut bytes = Vec::new();
    Session::client(&client(), "a.test").unwrap().drain(&mut bytes);
    bytes
}

#[test]
fn hellos_that_are_answered() {
    check("by hand", &Hello::good().record(), Answer);
    check("modern", &modern_hello(), Answer);
    check("one byte in each record", &records(&Hello::good().message(), 1), Answer);
    check("modern, one byte in each record", &records(&modern_hello()[5..], 1), Answer);
    check("nearly 64 KiB", &Hello::with(21, &[0; 65_000]).record(), Answer);
    check("40 KiB in small records", &records(&Hello::with(21, &[0; 40_000]).message(), 100), Answer);
    check("unknown extension", &Hello::with(0xfafa, b"grease").record(), Answer);
    check("a ticket we never made", &Hello::with(35, &[9; 200]).record(), Answer);
    check("a session id we never gave", &spoiled(|h| h.session_id = vec![9; 32]), Answer);
    check(
        "an address as name",
        &Hello::with(0, &sized(2, &[&[0][..], &sized(2, b"127.0.0.1")].concat())).record(),
        Answer,
    );
    check("suites from the future too", &spoiled(|h| h.suites.extend([0xfa, 0xfa])), Answer);
}

#[test]
fn hellos_that_are_refused() {
    check("TLS 1.0", &spoiled(|h| h.version = 0x0301), Refuse);
    check("TLS 1.1", &spoiled(|h| h.version = 0x0302), Refuse);
    check("SSL 3", &spoiled(|h| h.version = 0x0300), Refuse);
    check("no suites", &spoiled(|h| h.suites.clear()), Refuse);
    check("half a suite", &spoiled(|h| h.suites = vec![0xc0]), Refuse);
    check("CBC and static RSA only", &spoiled(|h| h.suites = vec![0xc0, 0x13, 0, 0x2f]), Refuse);
    check("RC4 and NULL only", &spoiled(|h| h.suites = vec![0, 5, 0, 1]), Refuse);
    check("compression only", &spoiled(|h| h.compressions = vec![1]), Refuse);
    check("no extensions at all", &spoiled(|h| h.extensions.clear()), Refuse);
    check("no common group", &spoiled(|h| h.extensions[0] = extension(10, &sized(2, &[0, 30]))), Refuse);
    check("no common signature", &spoiled(|h| h.extensions[2] = extension(13, &sized(2, &[2, 1]))), Refuse);
    check("session id too long", &spoiled(|h| h.session_id = vec![9; 33]), Refuse);
    check("the same extension twice", &Hello::with(23, &[]).record(), Refuse);
    check(
        "two names",
        &Hello::with(
            0,
            &sized(
                2,
                &[[&[0][..], &sized(2, b"a.test")].concat(), [&[0][..], &sized(2, b"b.test")].concat()]
                    .concat(),
            ),
        )
        .record(),
        Refuse,
    );
    check("an empty name", &Hello::with(0, &sized(2, &[0, 0, 0])).record(), Refuse);
    check(
        "a name of control bytes",
        &Hello::with(0, &sized(2, &[&[0][..], &sized(2, b"a\0\r\n")].concat())).record(),
        Refuse,
    );
    check("a name list that is cut", &Hello::with(0, &[0, 90, 0, 0, 90, b'a']).record(), Refuse);
    check("an empty ALPN list", &Hello::with(16, &sized(2, &[])).record(), Refuse);
    check("an empty ALPN name", &Hello::with(16, &sized(2, &[0])).record(), Refuse);
    check("other protocols only", &Hello::with(16, &sized(2, &sized(1, b"h2"))).record(), Refuse);
    check(
        "an extension longer than the hello",
        &spoiled(|h| h.extensions.push(vec![0xfa, 0xfa, 0xff, 0xff])),
        Refuse,
    );
    check(
        "bytes behind the extensions",
        &{
            let mut message = Hello::good().message();
            message.push(0);
            let length = u32::try_from(message.len() - 4).unwrap().to_be_bytes();
            message[1..4].copy_from_slice(&length[1..]);
            records(&message, 16_000)
        },
        Refuse,
    );
}

#[test]
fn what_is_no_hello_is_refused() {
    check("plain HTTP", b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", Refuse);
    check("SSH", b"SSH-2.0-OpenSSH_9.2\r\n", Refuse);
    check("SSL 2", &[0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10, 1, 0, 0x80], Refuse);
    check("zeros", &[0; 100], Refuse);
    check("ones", &[0xff; 100], Refuse);
    check("data first", &record(23, b"secret"), Drop);
    check("change cipher spec first", &record(20, &[1]), Drop);
    check("heartbeat first", &record(24, &[1, 0x40, 0]), Refuse);
    check("a server's hello", &record(22, &[&[2][..], &sized(3, &[3; 80])].concat()), Refuse);
    check("a finished", &record(22, &[&[20][..], &sized(3, &[3; 12])].concat()), Drop);
    check("an unknown message", &record(22, &[&[99][..], &sized(3, &[3; 12])].concat()), Drop);
    check("an empty hello", &record(22, &[1, 0, 0, 0]), Refuse);
    check("an empty handshake record", &record(22, &[]), Refuse);
    check("a record longer than any", &[22, 3, 1, 0xff, 0xff, 1], Refuse);
    check("a hello of 16 MiB", &records(&[&[1, 0xff, 0xff, 0xff][..], &[0; 200_000]].concat(), 16_000), Drop);
    check("closing first", &record(21, &[1, 0]), Drop);
    check("fatal first", &record(21, &[2, 40]), Drop);
}

#[test]
fn what_is_not_whole_waits() {
    let hello = modern_hello();
    for length in [0, 1, 4, 5, 6, 100, hello.len() - 1] {
        check("a cut hello", &hello[..length], Wait);
    }
    check("a record's head", &[22, 3, 1, 0x40, 0], Wait);
}

#[test]
fn after_the_hello() {
    let hello = modern_hello();
    let check = |name, bytes: &[u8], expected| check_after(&hello, name, bytes, expected);
    check("a second hello", &modern_hello(), Refuse);
    // Whoever sends this in clear may not be the client: it ends nothing quietly (RFC 8446 §6.1).
    check("closing in the middle", &record(21, &[1, 0]), Refuse);
    check("closing, then garbage", &[&record(21, &[1, 0])[..], &[0xff; 5000]].concat(), Refuse);
    check("a fatal alert", &record(21, &[2, 40]), Drop);
    check("data in clear", &record(23, b"in clear"), Refuse);
    check("garbage", &[0xff; 100], Refuse);
    check("a change cipher spec", &record(20, &[1]), Wait);
    check("many of them", &record(20, &[1]).repeat(100), Drop);
    check("one that is none", &record(20, &[2]), Refuse);
    check("empty data records", &record(23, &[]).repeat(100), Refuse);
}

#[test]
fn after_a_hello_for_1_2() {
    let hello = Hello::good().record();
    let check = |name, bytes: &[u8], expected| check_after(&hello, name, bytes, expected);
    check("data before the keys", &record(23, b"in clear"), Refuse);
    check("closing in the middle", &record(21, &[1, 0]), Wait);
    check("closing again and again", &record(21, &[1, 0]).repeat(100), Drop);
    check("finished without keys", &record(20, &[1]), Refuse);
    check("a second hello", &hello, Refuse);
    check(
        "half a hello, then closing",
        &[record(22, &[16, 0, 0, 33, 32]), record(21, &[1, 0])].concat(),
        Drop,
    );
}

/// Not one bit of a hello turned makes a panic or a loop.
#[test]
fn any_bit_of_a_hello_may_turn() {
    let server = server(vec![certificate(&["a.test"])]);
    let hello = modern_hello();
    let mut refused = 0;
    for bit in (0..hello.len().min(600) * 8).step_by(3) {
        let mut turned = hello.clone();
        turned[bit / 8] ^= 1 << (bit % 8);
        let mut session = Session::server(&server);
        refused += usize::from(outcome(&mut session, std::iter::once(&turned[..])) == Refuse);
    }
    assert!(refused > 100, "{refused}");
}

/// Not one byte of a whole conversation turned is believed: the handshake or the data is refused.
#[test]
fn any_byte_of_a_conversation_may_turn() {
    let server = server(vec![certificate(&["a.test"])]);
    let client = client();
    for place in (0..2500).step_by(37) {
        let mut sides = (Session::client(&client.for_core(), "a.test").unwrap(), Session::server(&server));
        sides.0.write(b"question");
        let (mut seen, mut failed) = (0, false);
        for _ in 0..4 {
            failed |= carry_turned(&mut sides.0, &mut sides.1, &mut seen, place);
            failed |= carry_turned(&mut sides.1, &mut sides.0, &mut seen, place);
        }
        let got = read(&mut sides.1);
        assert!(got.is_empty() || got == b"question");
        // Some bytes do not matter (a record's version); those that do must be noticed.
        assert!(failed || got == b"question" || !sides.1.handshake_done(), "byte {place}");
    }
}

/// Carries, and turns the byte at `place` of all that ever went; whether either side refused.
fn carry_turned(from: &mut Session, to: &mut Session, seen: &mut usize, place: usize) -> bool {
    let mut bytes = Vec::new();
    from.drain(&mut bytes);
    if let Some(byte) = place.checked_sub(*seen).and_then(|at| bytes.get_mut(at)) {
        *byte ^= 0x55;
    }
    *seen += bytes.len();
    to.feed(&bytes).is_err()
}

#[test]
fn a_flood_of_handshake_bytes_is_bounded() {
    let server = server(vec![certificate(&["a.test"])]);
    // Each message is whole and small, but there is no end to them.
    let mut session = Session::server(&server);
    session.feed(&modern_hello()).unwrap();
    let flood = record(20, &[1]).repeat(100_000);
    assert!(session.feed(&flood).is_err());
    let mut session = Session::server(&server);
    let endless = records(&[&[1, 0, 0xff, 0xff][..], &[0; 70_000]].concat(), 1);
    let mut taken = 0;
    let error = loop {
        match session.feed(&endless[taken..taken + 1000]) {
            Ok(n) => taken += n,
            Err(error) => break error,
        }
        assert!(taken <= HANDSHAKE_BYTES_MAX, "{taken}");
    };
    assert!(error.to_string().starts_with("TLS: "), "{error}");
}

/// What a client of ours makes of a server.
#[track_caller]
fn check_client(name: &str, server_bytes: &[u8], expected: Outcome) {
    let whole = |pieces: usize| {
        let mut session = Session::client(&client(), "a.test").unwrap();
        session.drain(&mut Vec::new());
        outcome(&mut session, server_bytes.chunks(pieces))
    };
    assert_eq!(whole(usize::MAX), expected, "{name}, at once");
    assert_eq!(whole(1), expected, "{name}, byte by byte");
}

#[test]
fn upstreams_are_not_believed_either() {
    // nginx CVE-2026-1642: bytes in clear before the handshake must never be a response.
    check_client("a response in clear", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Refuse);
    check_client("data in clear", &record(23, b"HTTP/1.1 200 OK\r\n\r\n"), Refuse);
    check_client("a client's hello", &Hello::good().record(), Refuse);
    check_client("a fatal alert", &record(21, &[2, 40]), Drop);
    check_client("closing", &record(21, &[1, 0]), Wait);
    check_client("garbage", &[0xff; 64], Refuse);
    check_client("nothing yet", &[22, 3, 3], Wait);
}

/// A server with this certificate, seen by a client that trusts our authority and wants `a.test`.
#[track_caller]
fn check_certificate(settings: CertificateSettings, at_unix_s: u64, expected: &str) {
    let mut settings = server_settings(vec![settings]);
    settings.certificates[0].hosts.clear();
    let server = Arc::new(Server::build(&settings, &Tickets::new(), at_unix_s).unwrap().0);
    let (mut client, mut server) = (Session::client(&client(), "a.test").unwrap(), Session::server(&server));
    let error = converse(&mut client, &mut server).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
    let mut alert = Vec::new();
    assert!(client.drain(&mut alert) && server.feed(&alert).is_err(), "the server is told");
}

#[test]
fn an_upstream_must_be_who_it_says() {
    let now = now_unix_s();
    check_certificate(certificate(&["b.test"]), now, "not valid for name");
    let old = certificate_of(&["a.test"], now - 9 * DAY_S, now - DAY_S);
    check_certificate(old, now - 2 * DAY_S, "expired");
    let early = certificate_of(&["a.test"], now + DAY_S, now + 9 * DAY_S);
    check_certificate(early, now + 2 * DAY_S, "not valid yet");
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["a.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    let own = CertificateSettings {
        name: "self-signed".to_owned(),
        chain_pem: own.pem().into_bytes(),
        key_pem: key.serialize_pem().into_bytes(),
        ..CertificateSettings::default()
    };
    check_certificate(own, now, "invalid peer certificate");
}

#[test]
fn public_roots_do_not_know_the_tests_authority() {
    let client = Client::build(&ClientSettings::default()).unwrap();
    let mut client = Session::client(&client, "a.test").unwrap();
    let error =
        converse(&mut client, &mut Session::server(&server(vec![certificate(&["a.test"])]))).unwrap_err();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
}

/// Every file of a fuzz target's corpus holds its property.
#[track_caller]
fn check_corpus(target: &str, property: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(target);
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        println!("{}", file.display());
        property(&fs::read(file).unwrap());
    }
}

#[test]
fn corpora_hold_all_properties() {
    check_corpus("tls_server", properties::any_client);
    check_corpus("tls_client", properties::any_server);
}

#[test]
fn a_hello_cut_anywhere_or_spoiled_ends_the_same() {
    let hello = modern_hello();
    for bytes in
        [&hello[..], &hello[..hello.len() / 2], &Hello::good().record(), &[&hello[..], &[0xff; 10]].concat()]
    {
        properties::any_client(bytes);
        properties::any_server(bytes);
    }
}
