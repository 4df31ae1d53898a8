//! The same through TLS on both sides. An end without `close_notify` may be a cut, and is not taken for an end.

use super::harness::{Peer, Pki, Setup, check_on, route, run, standard, strict};

/// Clients come as `gateway.test`.
fn setup(names: &[&str]) -> Setup {
    let pki = Pki::new();
    let mut model = standard();
    pki.dress(&mut model, names);
    Setup { model, pki: Some(pki), ..Setup::default() }
}

#[track_caller]
fn check(script: &str) {
    check_on(setup(&["gateway.test"]), script);
}

#[test]
fn requests_and_bodies_go_through_and_connections_are_kept() {
    check(
        "c> GET /a HTTP/1.1|Host: gateway.test||
         1< GET /a
         1 has x-forwarded-proto: https
         1> HTTP/1.1 200 OK|Content-Length: 5||hello
         c< 200 hello
         c> POST /b HTTP/1.1|Host: gateway.test|Content-Length: 2097152||{2097152}
         1< POST /b {2097152}
         1> HTTP/1.1 200 OK|Transfer-Encoding: chunked||200000|{2097152}|0||
         c< 200 chunked {2097152}
         d> GET /mock HTTP/1.1|Host: gateway.test||GET /d HTTP/1.1|Host: gateway.test|Connection: close||
         d< 200 mocked
         1< GET /d
         1> HTTP/1.1 204 No Content||
         d< 204 close
         d sees fin
         c ends
         c sees fin",
    );
}

/// A long answer that is at hand is sealed as it is taken, and one that is not taken is in memory once.
#[test]
fn a_long_answer_is_sealed_as_it_is_taken() {
    let mut setup = setup(&["gateway.test"]);
    let mock = model::Mock { status: 200, headers: Vec::new(), body: "x".repeat(3_000_000) };
    let long = route("GET /long", "A");
    let long = model::Route { integration: model::Integration::Mock(mock), ..long };
    setup.model.apis[0].definition.routes.push(long);
    check_on(
        setup,
        "c> GET /long HTTP/1.1|Host: gateway.test||GET /mock HTTP/1.1|Host: gateway.test||
         c< 200 {3000000}
         c< 200 mocked
         d> POST /long HTTP/1.1|Host: gateway.test|Content-Length: 2||ok
         1< POST /long ok
         1> HTTP/1.1 204 No Content||
         d< 204
         d> GET /long HTTP/1.1|Host: gateway.test|Connection: close||
         d< 200 close {3000000}
         d sees fin
         e> GET /long HTTP/1.1|Host: gateway.test||
         e^ 200
         e aborts",
    );
}

#[test]
fn a_kept_connection_that_ended_is_not_used_again() {
    for event in ["1 ends", "1 aborts", "1 leaves", "1> garbage"] {
        check(&format!(
            "c> GET /a HTTP/1.1|Host: gateway.test||
             1< GET /a
             1> HTTP/1.1 204 No Content||
             c< 204
             {event}
             c> GET /b HTTP/1.1|Host: gateway.test||
             2< GET /b
             2> HTTP/1.1 204 No Content||
             c< 204"
        ));
    }
}

#[test]
fn an_end_without_notice_is_a_cut() {
    for (said, then, got) in [
        ("|hello", "1 ends", "200 chunked hello"),
        ("|hello", "1 leaves", "200 chunked hello!reset"),
        ("|hello", "1 aborts", "200 chunked hello!reset"),
        ("Content-Length: 10||hello", "1 ends", "200 hello!reset"),
        ("Content-Length: 10||hello", "1 leaves", "200 hello!reset"),
    ] {
        check(&format!(
            "c> GET /a HTTP/1.1|Host: gateway.test||
             1< GET /a
             1> HTTP/1.1 200 OK|{said}
             {then}
             c< {got}"
        ));
    }
    for then in ["c ends", "c leaves", "c aborts"] {
        check(&format!(
            "c> POST /a HTTP/1.1|Host: gateway.test|Content-Length: 10||hello
             1^ POST /a
             {then}
             1= hello
             1 sees reset"
        ));
    }
}

#[test]
fn a_tunnel_goes_through() {
    check(
        "c> GET / HTTP/1.1|Host: gateway.test|Connection: upgrade|Upgrade: x||
         1< GET / upgrade=x
         1> HTTP/1.1 101 Switching Protocols|Connection: upgrade|Upgrade: x||first
         c< 101 upgrade=x
         c= first
         c> {200000}
         1= {200000}
         c ends
         1 sees fin
         1> last
         1 ends
         c= last
         c sees fin",
    );
}

/// What a backend sends at once goes on in as few records as may be.
#[test]
fn a_head_and_a_short_body_are_one_record() {
    let mut setup = setup(&["gateway.test"]);
    setup.model.upstreams[0].targets[0].tls = false;
    run(setup, async |lab| {
        let backend = lab.take_listener('A');
        lab.handle.spawn(async move {
            let (stream, _) = backend.accept().await.unwrap();
            for (head, body) in
                [("Content-Length: 5", "hello"), ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n")]
            {
                stream.receive(|bytes| (bytes.len(), ())).await.unwrap();
                stream.write(|out| {
                    out.extend_from_slice(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}").as_bytes())
                });
            }
            stream.flushed().await.unwrap();
        });
        let mut client = lab.connect(0).await;
        for end in ["\r\n\r\nhello", "\r\n\r\n5\r\nhello\r\n0\r\n\r\n"] {
            client.send(b"GET /a HTTP/1.1\r\nHost: gateway.test\r\n\r\n");
            let record = client.piece().await;
            assert!(
                record.starts_with(b"HTTP/1.1 200") && record.ends_with(end.as_bytes()),
                "{}",
                record.escape_ascii()
            );
        }
    });
}

#[test]
fn a_handshake_has_its_time() {
    run(setup(&["gateway.test"]), async |lab| {
        for begun in [&b""[..], b"\x16\x03\x01\x02\x00"] {
            let begun_ns = lab.handle.now().mono_ns;
            let mut client = Peer::connect(&lab.handle, 0).await.unwrap();
            client.send(begun);
            let (_, end) = client.rest().await;
            let took_ms = (lab.handle.now().mono_ns - begun_ns) / 1_000_000;
            assert_eq!((end, took_ms / 100), ("fin", 50), "{begun:?}");
        }
    });
}

/// What is no handshake gets an alert at most, and no answer.
#[test]
fn a_plain_request_is_not_served() {
    run(setup(&["gateway.test"]), async |lab| {
        let mut client = Peer::connect(&lab.handle, 0).await.unwrap();
        client.send(b"GET /mock HTTP/1.1\r\nHost: gateway.test\r\n\r\n");
        let (bytes, _) = client.rest().await;
        assert!(bytes.len() < 16 && !bytes.starts_with(b"HTTP"), "{bytes:?}");
        assert_eq!(lab.handle.now().mono_ns, 0);
    });
}

/// A connection that was made for one virtual server asks nothing of another.
#[test]
fn another_virtual_server_is_not_asked() {
    check_on(
        setup(&["gateway.test", "other.test"]),
        "c> GET /a HTTP/1.1|Host: other.test||
         c< 421 Misdirected Request
         c> POST /a HTTP/1.1|Host: other.test|Content-Length: 31||GET /poison HTTP/1.1|Host: h||
         c< 421 Misdirected Request
         c> GET /mock HTTP/1.1|Host: gateway.test||
         c< 200 mocked",
    );
}

/// Row 13, over HTTP/1.1: a strict API serves a connection's requests to the host that its TLS name is, and no other. U: the answer.
#[test]
fn a_strict_api_goes_by_the_name_of_the_connection() {
    let mut setup = setup(&["gateway.test"]);
    strict(&mut setup.model);
    check_on(
        setup,
        "c> GET /mock HTTP/1.1|Host: gateway.test||
         c< 200 mocked
         c> GET /mock HTTP/1.1|Host: other.test||
         c< 403 Forbidden
         c> POST /mock HTTP/1.1|Host: 10.0.0.1|Content-Length: 5||hello
         c< 403 Forbidden
         c> GET /mock HTTP/1.1|Host: GATEWAY.Test.:443||
         c< 200 mocked",
    );
    // Without TLS there is no name.
    let mut model = standard();
    strict(&mut model);
    check_on(
        Setup { model, ..Setup::default() },
        "c> GET /mock HTTP/1.1|Host: gateway.test||
         c< 403 Forbidden",
    );
}

/// A backend that nobody vouches for gets no request.
#[test]
fn a_backend_that_is_not_trusted_is_not_asked() {
    let mut strange = setup(&["gateway.test"]);
    strange.model.upstreams[0].ca = None;
    let mut misnamed = setup(&["gateway.test"]);
    misnamed.model.upstreams[0].server_name = Some("other.test".into());
    for setup in [strange, misnamed] {
        check_on(
            setup,
            "c> GET /a HTTP/1.1|Host: gateway.test||
             1 sees reset
             c< 502 Bad Gateway
             c> GET /mock HTTP/1.1|Host: gateway.test||
             c< 200 mocked",
        );
    }
}
