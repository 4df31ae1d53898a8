//! What a core does for the kernel front line: it tells what clients did, and looks itself at how many connections they begin where the
//! kernel does not.

use std::{net::IpAddr, sync::Arc};

use ::harness::h2::Frame;
use gate::{
    abi::{Limit, Mode, Policy},
    table::Limiter,
};
use wire::h2::ODDITIES_HARD;

use super::harness::{Lab, Peer, Pki, Setup, in_http2, run, standard};
use crate::{Conduct, FrontLine, Message, Offences, admission::Full};

/// Who plays the client in all scripts.
const CLIENT: &str = "127.0.0.1";

fn sends(lab: &Lab, front_line: &FrontLine) {
    assert!(lab.posts[0].send(Message::FrontLine(front_line.clone())).is_ok(), "a full mailbox");
}

fn watching() -> (Arc<Offences>, FrontLine) {
    let offences = Arc::new(Offences::new(1, 32, 64));
    let front_line = FrontLine { offences: Some(offences.clone()), ..FrontLine::default() };
    (offences, front_line)
}

/// What was told by now of the client, as good, refused and malformed requests and failed handshakes.
async fn told(lab: &mut Lab, offences: &Offences) -> [u32; 4] {
    lab.talk("wait 2s").await;
    let (mut told, mut sum) = (Vec::new(), [0; 4]);
    offences.take(&mut told);
    for Conduct { source, good, refused, malformed, handshakes } in told {
        assert_eq!(source, CLIENT.parse::<IpAddr>().unwrap());
        sum.iter_mut().zip([good, refused, malformed, handshakes]).for_each(|(sum, count)| *sum += count);
    }
    sum
}

/// Does something on a node that tells what clients do, and looks at what it comes to.
#[track_caller]
fn check_doing(setup: Setup, doing: impl AsyncFnOnce(&mut Lab), expected: [u32; 4]) {
    run(setup, async |lab| {
        let (offences, front_line) = watching();
        sends(lab, &front_line);
        lab.settle().await;
        doing(lab).await;
        assert_eq!(told(lab, &offences).await, expected);
    });
}

#[track_caller]
fn check_on(setup: Setup, script: &str, expected: [u32; 4]) {
    check_doing(setup, async |lab| lab.talk(script).await, expected);
}

#[track_caller]
fn check(script: &str, expected: [u32; 4]) {
    check_on(Setup::default(), script, expected);
}

#[test]
fn answers_that_refuse_are_offences() {
    for (status, phrase) in [(401, "Unauthorized"), (403, "Forbidden"), (429, "Too Many Requests")] {
        check(
            &format!(
                "c> GET /mock HTTP/1.1|Host: h||GET /a HTTP/1.1|Host: h||GET /mock HTTP/1.1|Host: h||
                 1< GET /a
                 1> HTTP/1.1 {status} {phrase}|Content-Length: 0||
                 c< 200 mocked
                 c< {status}
                 c< 200 mocked"
            ),
            [1, 1, 0, 0],
        );
    }
    // Of our own, and what the backend's faults bring about is nothing of the client's.
    check(
        "c> GET /once HTTP/1.1|Host: h||GET /once HTTP/1.1|Host: h||GET /nobody HTTP/1.1|Host: h||
         1< GET /once
         1> HTTP/1.1 204 No Content||
         c< 204
         c< 429 Too Many Requests
         c< 502 Bad Gateway
         c> GET /a HTTP/1.1|Host: h||
         1< GET /a
         1> HTTP/1.1 404 Not Found|Content-Length: 0||
         c< 404",
        [1, 1, 0, 0],
    );
}

#[test]
fn what_is_no_request_is_an_offence() {
    check("c> NONSENSE|\nc< 400 close Bad Request", [0, 0, 1, 0]);
    check("c> GET / HTTP/1.1||\nc< 400 close Bad Request", [0, 0, 1, 0]);
    check(
        "c> POST /a HTTP/1.1|Host: h|Transfer-Encoding: chunked||
         1^ POST /a chunked
         c> zz|
         c< 400 close Bad Request",
        [0, 0, 1, 0],
    );
    // What is too long may be a cookie too many.
    check("c> GET /{70000} HTTP/1.1|Host: h||\nc< 414 close URI Too Long", [0, 0, 0, 0]);
    check_on(
        Setup { model: in_http2(), ..Setup::default() },
        "c speaks h2\nc.1> GET /mock|host: other\nc.1< 400 Bad Request",
        [0, 0, 1, 0],
    );
}

#[test]
fn a_connection_that_breaks_its_protocol_is_an_offence() {
    let broken = vec![Frame::data(0, 0, "on no stream")];
    let flood = vec![Frame::ping([0; 8]); ODDITIES_HARD as usize];
    for frames in [broken, flood] {
        let doing = async |lab: &mut Lab| {
            lab.talk("c speaks h2").await;
            frames.iter().for_each(|frame| lab.frame("c", frame));
            lab.talk("c sees fin\nc leaves").await;
        };
        check_doing(Setup { model: in_http2(), ..Setup::default() }, doing, [0, 0, 1, 0]);
    }
    let gone =
        "c speaks h2\nc.1> GET /mock\nc.1< 200 mocked\nc goes away 0 PROTOCOL_ERROR\nc sees fin\nc leaves";
    check_on(Setup { model: in_http2(), ..Setup::default() }, gone, [0; 4]);
}

#[test]
fn a_call_without_rights_is_an_offence() {
    for (status, refused) in [(7, 1), (16, 1), (8, 0), (5, 0)] {
        check_on(
            Setup { model: in_http2(), ..Setup::default() },
            &format!(
                "c speaks h2
                 c.1> POST /a|content-type: application/grpc|te: trailers||one
                 1 speaks h2
                 1.1< POST /a one
                 1.1> 200|content-type: application/grpc|grpc-status: {status}
                 c.1< 200"
            ),
            [0, refused, 0, 0],
        );
    }
}

#[test]
fn handshakes_that_fail_are_offences() {
    let setup = || {
        let pki = Pki::new();
        let mut model = standard();
        pki.dress(&mut model, &["gateway.test"]);
        Setup { model, pki: Some(pki), ..Setup::default() }
    };
    // What is no handshake, and what stays without an end.
    for begun in [&b"GET /mock HTTP/1.1\r\nHost: h\r\n\r\n"[..], b"\x16\x03\x01\x02\x00", b""] {
        let doing = async |lab: &mut Lab| {
            let mut client = Peer::connect(&lab.handle, 0).await.unwrap();
            client.send(begun);
            client.rest().await;
        };
        check_doing(setup(), doing, [0, 0, 0, 1]);
    }
    // So does whoever looks whether the port is open.
    let doing = async |lab: &mut Lab| {
        let client = Peer::connect(&lab.handle, 0).await.unwrap();
        client.finish();
        lab.settle().await;
    };
    check_doing(setup(), doing, [0; 4]);
}

/// Who speaks for others answers for none of them.
#[test]
fn nothing_is_told_of_who_is_trusted() {
    let mut model = standard();
    model.node.client.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let script = "c> NONSENSE|
        c< 400 close Bad Request
        d> GET /once HTTP/1.1|Host: h||GET /once HTTP/1.1|Host: h||
        1< GET /once
        1> HTTP/1.1 204 No Content||
        d< 204
        d< 429 Too Many Requests";
    check_on(Setup { model, ..Setup::default() }, script, [0; 4]);
    check(script, [1, 1, 1, 0]);
}

#[test]
fn who_wants_to_know_comes_and_goes() {
    let offence = "c> NONSENSE|\nc< 400 close Bad Request\nc leaves";
    run(Setup::default(), async |lab| {
        let (offences, front_line) = watching();
        lab.talk(offence).await;
        sends(lab, &front_line);
        lab.settle().await;
        lab.talk(offence).await;
        sends(lab, &FrontLine::default());
        lab.settle().await;
        lab.talk(offence).await;
        assert_eq!(told(lab, &offences).await, [0, 0, 1, 0]);
    });
}

/// Who is above the limit is reset like who is above any other: `limits` tests that with a client of this machine, which this
/// limit spares.
#[test]
fn connections_above_the_limit_are_refused() {
    let limit = Limit { interval_ns: 1_000_000_000, burst_ns: 1_000_000_000 };
    let policy = |mode| Policy {
        mode: mode as u32,
        narrow_bits: [128, 64],
        wide_bits: [120, 48],
        syns_narrow: limit,
        ..Policy::default()
    };
    let of = |mode| FrontLine {
        limiters: [Some(Arc::new(Limiter::new(policy(mode), Vec::new(), Vec::new(), 64)))].into(),
        ..FrontLine::default()
    };
    let peer = |text: &str| text.parse::<IpAddr>().unwrap();
    run(Setup::default(), async |lab| {
        let core = lab.cores[0].clone();
        let open = |who: &str| core.open(0, peer(who)).map(drop).err();
        assert_eq!([open("192.0.2.1"), open("192.0.2.1"), open("192.0.2.1")], [None; 3], "there is no limit");
        sends(lab, &of(Mode::Enforce));
        lab.settle().await;
        assert_eq!([open("192.0.2.1"), open("192.0.2.1")], [None; 2], "its burst");
        assert_eq!([open("192.0.2.1"), open("192.0.2.2")], [Some(Full::Rate), None]);
        assert_eq!(core.open_connections(), 0, "who is refused is not counted");
        lab.talk("c> GET /mock HTTP/1.1|Host: h||\nc< 200 mocked\nwait 1s").await;
        assert_eq!([open("192.0.2.1"), open("192.0.2.1")], [None, Some(Full::Rate)]);
        sends(lab, &of(Mode::Monitor));
        lab.settle().await;
        assert_eq!([open("192.0.2.1"), open("192.0.2.1"), open("192.0.2.1")], [None; 3]);
        // A listener that the limiters don't know has none.
        assert!(core.open(7, peer("192.0.2.1")).is_ok());
    });
}
