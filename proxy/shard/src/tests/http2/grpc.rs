//! Calls of gRPC: how long they may be quiet, whose time is over when, and what their callers are told. What a message is
//! nobody here knows.

use super::{check_http2, check_metrics};
use crate::tests::harness::check;

/// A call that streams both ways: two messages, and both sides go on.
const BEGUN: &str = "c speaks h2
    c.1+ POST /a|content-type: application/grpc|te: trailers||one
    1 speaks h2
    1.1^ POST /a
    1.1= one
    1.1+ 200|content-type: application/grpc||two
    c.1^ 200
    c.1= two\n";

/// Plays a script, and looks whose deadlines and faults were counted by then.
#[track_caller]
fn check_counted(script: &str, counted: &[&str]) {
    check_metrics(&["timeouts_total", "faults_total"], script, counted);
}

/// Pauses far longer than bodies may make, at rates far below theirs: as long as one of both ways moves.
#[test]
fn calls_may_be_quiet() {
    let up = "wait 300s\nc.1+ up\n1.1= up\n".repeat(4);
    let down = "wait 300s\n1.1+ down\nc.1= down\n".repeat(4);
    check_http2(&format!(
        "{BEGUN}{up}{down}
         c.1> end
         1.1= end
         wait 500s
         1.1 trails grpc-status: 0
         c.1 sees end +grpc-status: 0"
    ));
    // While nothing of an answer has come.
    let up = "wait 300s\nc.1+ up\n1.1= up\n".repeat(4);
    check_http2(&format!(
        "c speaks h2
         c.1+ POST /a|content-type: application/grpc+proto||one
         1 speaks h2
         1.1^ POST /a
         1.1= one
         {up}
         c.1> end
         1.1= end
         1.1> 200||two
         c.1< 200 two"
    ));
}

/// Silence both ways ends them, and is nobody's fault.
#[test]
fn calls_may_not_be_silent() {
    check_counted(
        &format!("{BEGUN}c.1 sees INTERNAL_ERROR\ntook 600s\n1.1 then CANCEL"),
        &["floodgate_timeouts_total{wait=\"tunnel_idle\"} 1"],
    );
}

/// Who only says that it is one of gRPC is waited for like any other.
#[test]
fn other_bodies_may_not_be_quiet() {
    for kind in ["application/grpc-web", "application/json"] {
        check_http2(&format!(
            "c speaks h2
             c.1+ POST /a|content-type: {kind}||one
             1 speaks h2
             1.1^ POST /a
             1.1= one
             c.1< 408 Request Timeout
             took 10s"
        ));
    }
    // Backends of HTTP/1.1 are none of gRPC.
    check(
        "c speaks h2
         c.1+ POST /a|content-type: application/grpc||one
         1^ POST /a chunked
         1= 3|one|
         c.1^ 200
         took 10s
         c has grpc-status: 4
         c has grpc-message: Request Timeout",
    );
}

/// A caller's deadline ends its call; that says nothing about the backend. It goes there as it came.
#[test]
fn callers_say_how_long_they_wait() {
    for (timeout, took) in [("2S", "2s"), ("1500m", "1500ms"), ("0S", "0s"), ("00000003S", "3s")] {
        check_counted(
            &format!(
                "c speaks h2
                 c.1> POST /w
                 1 speaks h2
                 1.1< POST /w
                 1.1> 204
                 c.1< 204
                 c.3> POST /a|content-type: application/grpc|grpc-timeout: {timeout}||one
                 c.3^ 200
                 took {took}
                 c has content-type: application/grpc
                 c has grpc-status: 4
                 c has grpc-message: Gateway Timeout
                 c.3 sees end"
            ),
            &[],
        );
    }
    // In an answer, too; and one that is longer than the configuration's does not lengthen it.
    check_counted(
        "c speaks h2
         c.1> POST /a|content-type: application/grpc|grpc-timeout: 9S||one
         1 speaks h2
         1.1^ POST /a
         1 has grpc-timeout: 9S
         1.1= one
         1.1+ 200||two
         c.1^ 200
         c.1= two
         c.1 sees INTERNAL_ERROR
         took 9s
         1.1 then CANCEL",
        &[],
    );
    check_counted(
        "c speaks h2
         c.1> POST /a|content-type: application/grpc|grpc-timeout: 1H||one
         1 speaks h2
         1.1< POST /a one
         c.1^ 200
         took 29s
         c has grpc-status: 4",
        &["floodgate_backend_faults_total{upstream=\"A\",cause=\"backend_timed_out\"} 1"],
    );
}

/// What the gateway says by itself is trailers at once, whatever the request's body does.
#[test]
fn refusals_are_trailers() {
    for (path, status, message) in [
        ("/nobody", "14", "Bad Gateway"),
        ("/small", "8", "Content Too Large"),
        ("/once", "8", "Too Many Requests"),
    ] {
        let before = if path == "/once" {
            "c.1> GET /once\n1 speaks h2\n1.1< GET /once\n1.1> 204\nc.1< 204"
        } else {
            ""
        };
        check_http2(&format!(
            "c speaks h2
             {before}
             c.3> POST {path}|content-type: application/grpc||longer than ten
             c.3^ 200
             c has content-type: application/grpc
             c has grpc-status: {status}
             c has grpc-message: {message}
             c lacks content-length
             c.3 sees end
             c sees nothing"
        ));
    }
}

/// So is what a server says at once; other answers without a body say that they have none.
#[test]
fn trailers_at_once_announce_no_body() {
    check_http2(
        "c speaks h2
         c.1> POST /a|content-type: application/grpc||one
         1 speaks h2
         1.1< POST /a one
         1.1> 200|content-type: application/grpc|grpc-status: 5
         c.1< 200
         c has grpc-status: 5
         c lacks content-length
         c.3> POST /a||one
         1.3< POST /a one
         1.3> 200
         c.3< 200
         c has content-length: 0",
    );
}

/// All of them are 200 to HTTP: those who watch the node count them by gRPC's own statuses.
#[test]
fn calls_are_counted_by_how_they_end() {
    check_metrics(
        &["grpc_calls_total"],
        "c speaks h2
         c.1> POST /once|content-type: application/grpc||one
         1 speaks h2
         1.1< POST /once one
         1.1+ 200|content-type: application/grpc||two
         1.1 trails grpc-status: 0
         c.1< 200 two +grpc-status: 0
         c.3> POST /once|content-type: application/grpc||one
         c.3< 200
         c.5> POST /once|content-type: application/grpc||one
         c.5< 200
         c.7> POST /a|content-type: application/grpc||one
         1.3< POST /a one
         1.3+ 200|content-type: application/grpc||two
         c.7^ 200
         1.3 resets CANCEL
         c.7 sees two!INTERNAL_ERROR
         c.9> POST /a|content-type: application/json||one
         1.5< POST /a one
         1.5> 200|grpc-status: 0
         c.9< 200",
        &[
            "floodgate_grpc_calls_total{api=\"api\",stage=\"$default\",route=\"$default\",grpc_status=\"none\"} 1",
            "floodgate_grpc_calls_total{api=\"api\",stage=\"$default\",route=\"ANY /once\",grpc_status=\"0\"} 1",
            "floodgate_grpc_calls_total{api=\"api\",stage=\"$default\",route=\"ANY /once\",grpc_status=\"8\"} 2",
        ],
    );
}

/// Nobody who calls looks at another status than gRPC's, also where the head is not one to be served.
#[test]
fn a_head_that_is_refused() {
    for (head, status, message) in [
        ("POST /a|x_a: b|content-type: application/grpc", 13, "Bad Request"),
        ("POST /a?%|content-type: application/grpc+proto", 13, "Bad Request"),
    ] {
        check_http2(&format!(
            "c speaks h2
             c.1> {head}
             c.1^ 200
             c has content-type: application/grpc
             c has grpc-status: {status}
             c has grpc-message: {message}"
        ));
    }
}
