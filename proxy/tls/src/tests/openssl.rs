//! OpenSSL as a peer that shares no code with us: its client talks to a session of ours over a socket.

use super::*;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const OPENSSL: &str = "/usr/bin/openssl";
/// Only a bug lasts this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// What our side saw of one connection.
struct Seen {
    done: bool,
    sni: Option<String>,
    version: Option<&'static str>,
    resumed: bool,
    asked: Vec<u8>,
    closed: bool,
}

/// Serves one connection: answers the first line with `answer: ` and the line, then says goodbye.
fn serve(server: &Arc<Server>, mut stream: TcpStream) -> Seen {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut session = Session::server(server);
    let (mut asked, mut answered, mut buffer) = (Vec::new(), false, [0; 1000]);
    loop {
        let count = stream.read(&mut buffer).unwrap();
        let mut rest = &buffer[..count];
        let mut failed = false;
        while !rest.is_empty() && !failed {
            match session.feed(rest) {
                Ok(taken) => rest = &rest[taken..],
                Err(_) => failed = true,
            }
            asked.extend(read(&mut session));
        }
        if asked.contains(&b'\n') && !answered {
            session.write(&[b"answer: ", &asked[..]].concat());
            session.close();
            answered = true;
        }
        let mut out = Vec::new();
        session.drain(&mut out);
        // A client that has already left does not take our last words.
        let gone = stream.write_all(&out).is_err();
        if count == 0 || failed || gone || session.is_closed() {
            break;
        }
    }
    Seen {
        done: session.handshake_done(),
        sni: session.sni().map(str::to_owned),
        version: session.version_str(),
        resumed: session.is_resumed(),
        asked,
        closed: session.is_closed(),
    }
}

/// Runs `openssl s_client` with these arguments against `server` and types `input`; what it printed, and
/// what we saw.
fn talk(server: &Arc<Server>, ca: &Path, arguments: &[&str], input: &str) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut client = Command::new(OPENSSL)
        .args(["s_client", "-connect", &address, "-verify_return_error", "-CAfile"])
        .arg(ca)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    client.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let seen = serve(server, listener.accept().unwrap().0);
    let output = client.wait_with_output().unwrap();
    (String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(), seen)
}

/// The folder with our authority's certificate, unless there is no OpenSSL.
fn folder() -> Option<tempfile::TempDir> {
    if !Path::new(OPENSSL).exists() {
        println!("skipped: {OPENSSL} is not installed (`cargo xtask setup` installs it)");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), CA.pem()).unwrap();
    Some(folder)
}

#[test]
fn its_client_is_served() {
    let Some(folder) = folder() else { return };
    let ca = folder.path().join("ca.pem");
    let server = server(vec![certificate(&["default.test"]), certificate(&["*.wild.test"])]);
    for (flag, version, suite) in [
        ("-tls1_3", "TLSv1.3", "TLS_A"),
        ("-tls1_2", "TLSv1.2", "ECDHE-ECDSA-"),
        ("-no_ticket", "TLSv1.3", "TLS_A"),
    ] {
        let arguments = [
            flag,
            "-servername",
            "x.wild.test",
            "-verify_hostname",
            "x.wild.test",
            "-ign_eof",
            "-alpn",
            "http/1.1",
        ];
        let (said, seen) = talk(&server, &ca, &arguments, "hello\n");
        assert!(said.contains("answer: hello"), "{said}");
        assert!(said.contains(&format!("New, {version}, Cipher is {suite}")), "{said}");
        assert!(said.contains("ALPN protocol: http/1.1") && said.contains("Verification: OK"), "{said}");
        assert!(seen.done && !seen.resumed && seen.closed);
        assert_eq!((seen.sni.as_deref(), seen.version), (Some("x.wild.test"), Some(version)));
        assert_eq!(seen.asked, b"hello\n");
    }
}

#[test]
fn its_client_resumes() {
    let Some(folder) = folder() else { return };
    let (ca, session) = (folder.path().join("ca.pem"), folder.path().join("session"));
    let session = session.to_str().unwrap();
    let settings = server_settings(vec![certificate(&["a.test"])]);
    for flag in ["-tls1_3", "-tls1_2"] {
        let tickets = Tickets::new();
        let common = [flag, "-servername", "a.test", "-ign_eof"];
        let (said, first) =
            talk(&built(&settings, &tickets), &ca, &[&common[..], &["-sess_out", session]].concat(), "one\n");
        assert!(said.contains("answer: one") && !first.resumed, "{said}");
        let (said, second) =
            talk(&built(&settings, &tickets), &ca, &[&common[..], &["-sess_in", session]].concat(), "two\n");
        assert!(said.contains("answer: two") && said.contains("Reused, TLSv1."), "{said}");
        assert!(second.resumed);
        let (said, third) = talk(
            &built(&settings, &Tickets::new()),
            &ca,
            &[&common[..], &["-sess_in", session]].concat(),
            "x\n",
        );
        assert!(said.contains("answer: x") && !third.resumed, "other keys: a full handshake, {said}");
    }
}

#[test]
fn its_old_and_odd_wishes_are_refused() {
    let Some(folder) = folder() else { return };
    let ca = folder.path().join("ca.pem");
    let server = server(vec![certificate(&["a.test"])]);
    for (arguments, alert) in [
        (&["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"][..], "handshake failure"),
        (&["-tls1", "-cipher", "DEFAULT@SECLEVEL=0"], "handshake failure"),
        (&["-tls1_2", "-cipher", "AES128-SHA"], "handshake failure"),
        (&["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA"], "handshake failure"),
        (&["-tls1_3", "-alpn", "h2"], "no application protocol"),
        (&["-tls1_3", "-groups", "X448"], "handshake failure"),
    ] {
        let (said, seen) = talk(&server, &ca, &[arguments, &["-servername", "a.test"]].concat(), "hello\n");
        assert!(said.contains(alert), "{arguments:?}: {said}");
        assert!(!seen.done && seen.asked.is_empty(), "{arguments:?}");
    }
}

#[test]
fn it_may_not_renegotiate() {
    let Some(folder) = folder() else { return };
    let ca = folder.path().join("ca.pem");
    let server = server(vec![certificate(&["a.test"])]);
    // A line of `R` alone is s_client's command for it.
    let (said, seen) = talk(&server, &ca, &["-tls1_2", "-servername", "a.test"], "R\n");
    assert!(said.contains("RENEGOTIATING") && said.contains("no renegotiation"), "{said}");
    assert!(seen.done && seen.asked.is_empty());
}
