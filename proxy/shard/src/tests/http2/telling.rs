//! What an operator sees of HTTP/2: how many connections speak it and what ends them, who resets requests, and what was
//! spoken by those that were answered.

use ::harness::h2::Frame;
use wire::h2::{ODDITIES_HARD, ODDITIES_SOFT};

use super::{check_metrics, counted_in};
use crate::tests::harness::{Lab, Setup, in_http2, run};

/// By what one connection was ended that began like this.
#[track_caller]
fn check_ended(script: &str, cause: &str) {
    let counted = [
        "floodgate_http2_connections_total 1".to_owned(),
        format!("floodgate_http2_connections_closed_total{{cause=\"{cause}\"}} 1"),
    ];
    let counted: Vec<_> = counted.iter().map(String::as_str).collect();
    check_metrics(&["http2_connections", "malformed"], script, &counted);
}

#[test]
fn connections_are_counted_by_what_ends_them() {
    check_metrics(
        &["http2_connections"],
        "c speaks h2
         c.1> GET /mock
         c.1< 200 mocked
         d> GET /mock HTTP/1.1|Host: h||
         d< 200 mocked",
        &["floodgate_http2_connections_total 1", "floodgate_http2_connections_open 1"],
    );
    let served = "c speaks h2\nc.1> GET /mock\nc.1< 200 mocked\n";
    check_ended(&format!("{served}c ends\nc sees fin\nc leaves"), "client");
    check_ended(&format!("{served}c aborts"), "link");
    check_ended(&format!("{served}c goes away 0 PROTOCOL_ERROR\nc sees fin\nc leaves"), "gone_away");
    check_ended(&format!("{served}wait 181s\nc sees fin\nc leaves"), "keep_alive");
    check_ended("c speaks h2\nwait 61s\nc sees fin\nc leaves", "first_byte");
    check_ended(&format!("{served}drain 30s\nc sees fin\nc leaves"), "drain");
}

#[test]
fn connections_that_are_broken_or_a_flood_are_told_apart() {
    let broken = vec![Frame::data(0, 0, "on no stream")];
    let flood = vec![Frame::ping([0; 8]); ODDITIES_HARD as usize];
    // A ping is four points.
    let odd = vec![Frame::ping([0; 8]); (ODDITIES_SOFT / 4 + 10) as usize];
    for (frames, cause) in [(broken, "broken"), (odd, "odd"), (flood, "flooded")] {
        run(Setup { model: in_http2(), ..Setup::default() }, async |lab: &mut Lab| {
            lab.talk("c speaks h2").await;
            frames.iter().for_each(|frame| lab.frame("c", frame));
            lab.talk("c sees fin\nc leaves").await;
            let cause = format!("floodgate_http2_connections_closed_total{{cause=\"{cause}\"}} 1");
            assert_eq!(counted_in(lab, &["closed_total"]), [cause]);
        });
    }
}

#[test]
fn resets_are_counted_by_who_makes_them() {
    check_metrics(
        &["streams_reset", "protocol_requests"],
        "c speaks h2
         c.1> GET /whole
         1 speaks h2
         1.1< GET /whole
         1.1> 200||{100000}
         c.1< 200 {100000}
         c.3> GET /before
         1.3< GET /before
         c.3 resets CANCEL
         c.5> GET /amid
         1.5< GET /amid
         1.5+ 200||begun
         c.5^ 200
         c.5 resets CANCEL
         c.7> GET /cut
         1.7< GET /cut
         1.7+ 200||begun
         c.7^ 200
         1.7 resets INTERNAL_ERROR
         c.7 sees begun!INTERNAL_ERROR
         d> GET /mock HTTP/1.1|Host: h||GET /mock HTTP/1.0|Host: h||
         d< 200 mocked
         d< 200 close mocked",
        &[
            "floodgate_protocol_requests_total{protocol=\"HTTP/2.0\"} 4",
            "floodgate_protocol_requests_total{protocol=\"HTTP/1.1\"} 1",
            "floodgate_protocol_requests_total{protocol=\"HTTP/1.0\"} 1",
            "floodgate_http2_streams_reset_total{by=\"client\"} 2",
            "floodgate_http2_streams_reset_total{by=\"gateway\"} 1",
        ],
    );
}

/// Also those of which no request came out; who was reset for a fault of its own has not left.
#[test]
fn streams_that_the_rules_forbid_are_counted_by_their_codes() {
    check_metrics(
        &["streams_re", "protocol_requests", "http2_connections_total"],
        "c speaks h2
         c.1> GET /mock|connection: close
         c.1 sees PROTOCOL_ERROR
         c.3> GET /mock|x-a:  b
         c.3 sees PROTOCOL_ERROR
         c.5+ POST /a|content-length: 3||a
         1 speaks h2
         1.1^ POST /a
         c.5> bcd
         c.5 sees PROTOCOL_ERROR
         1.1 then CANCEL
         c.7> GET /mock
         c.7< 200 mocked",
        &[
            "floodgate_protocol_requests_total{protocol=\"HTTP/2.0\"} 2",
            "floodgate_http2_connections_total 1",
            "floodgate_http2_streams_reset_total{by=\"gateway\"} 1",
            "floodgate_http2_streams_refused_total{code=\"protocol_error\"} 3",
        ],
    );
    run(Setup::default(), async |lab: &mut Lab| {
        lab.talk("c speaks h2").await;
        for number in 0..103 {
            lab.talk(&format!("c.{}+ POST /a", 2 * number + 1)).await;
        }
        lab.talk("c.201 sees REFUSED_STREAM\nc.205 sees REFUSED_STREAM\nc.1 sees nothing").await;
        let refused = "floodgate_http2_streams_refused_total{code=\"refused_stream\"} 3";
        assert_eq!(counted_in(lab, &["streams_re"]), [refused]);
        lab.talk("c aborts").await;
    });
}

/// Nobody was sent a status: neither the log nor the metrics have one of those that mean something else.
#[test]
fn clients_that_leave_are_no_bad_requests() {
    for (client, leaves) in [
        ("c> GET /a HTTP/1.1|Host: h||\n1< GET /a", "c leaves"),
        ("c> POST /a HTTP/1.1|Host: h|Content-Length: 3||a\n1^ POST /a", "c aborts"),
        ("c speaks h2\nc.1> GET /a\n1< GET /a", "c.1 resets CANCEL"),
        ("c speaks h2\nc.1+ POST /a||a\n1^ POST /a chunked", "c.1 resets NO_ERROR"),
    ] {
        run(Setup::default(), async |lab: &mut Lab| {
            lab.talk(&format!("{client}\n{leaves}\nwait 1s")).await;
            let counted = counted_in(lab, &["floodgate_requests_total"]);
            assert!(matches!(&counted[..], [one] if one.contains("code=\"499\"")), "{leaves}: {counted:?}");
        });
    }
}

/// A backend that leaves its connections in time is not one that fails.
#[test]
fn refused_streams_are_told_from_faults() {
    check_metrics(
        &["faults_total"],
        "c speaks h2
         c.1> GET /a
         1 speaks h2
         1.1< GET /a
         1 goes away 0 NO_ERROR
         2 speaks h2
         2.1< GET /a
         2.1> 204
         c.1< 204
         c.3> POST /b
         2.3< POST /b
         2.3 resets INTERNAL_ERROR
         c.3< 502 Bad Gateway",
        &[
            "floodgate_backend_faults_total{upstream=\"A\",cause=\"stream_refused\"} 1",
            "floodgate_backend_faults_total{upstream=\"A\",cause=\"backend_failed\"} 1",
        ],
    );
}
