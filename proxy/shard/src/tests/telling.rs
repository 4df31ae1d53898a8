//! What is told of requests when they are over: a line in the access log for each that had a head.

use model::{AccessLog, LogTarget, Model};
use telemetry::log::Target;

use super::harness::{Setup, check_on, in_http2, standard};

#[track_caller]
fn check(format: &str, script: &str, lines: &[&str]) {
    check_on_model(standard(), format, script, lines);
}

/// Plays a script, and looks at the log.
#[track_caller]
fn check_on_model(mut model: Model, format: &str, script: &str, lines: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    let format = format!("$context.requestId {format}");
    model.node.access_log = Some(AccessLog { target: LogTarget::File(file.clone()), format, origin: None });
    check_on(Setup { model, log: Target::File(file.clone()), ..Setup::default() }, script);
    let log = std::fs::read_to_string(&file).unwrap();
    // Ids are random.
    let told: Vec<_> = log.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    assert_eq!(told, lines);
}

#[test]
fn each_request_has_a_line_with_what_became_of_it() {
    check(
        "$context.httpMethod $context.path $context.status $context.integrationStatus $context.responseLength \
         $context.error.message",
        "c> GET /a HTTP/1.1|Host: h||GET /mock?q=1 HTTP/1.1|Host: h||GET /nobody HTTP/1.1|Host: h||
         1< GET /a
         1> HTTP/1.1 201 Created|Content-Length: 5||hello
         c< 201 hello
         c< 200 mocked
         c< 502 Bad Gateway
         c> HEAD /b HTTP/1.1|Host: h||
         1< HEAD /b
         1> HTTP/1.1 200 OK|Content-Length: 5||
         c^ 200
         c> POST /small HTTP/1.1|Host: h|Content-Length: 11||hello world
         c< 413 Content Too Large
         c> GET /cut HTTP/1.1|Host: h||
         1< GET /cut
         1> HTTP/1.1 200 OK|Content-Length: 5||hell
         1 ends
         c< 200 hell!reset
         d> GET /late HTTP/1.1|Host: h||
         2< GET /late
         d< 504 Gateway Timeout
         d> GET /gone HTTP/1.1|Host: h||
         3< GET /gone
         d leaves
         3 sees fin
         e> NONSENSE|
         e< 400 close Bad Request",
        &[
            "GET /a 201 201 5 -",
            "GET /mock 200 - 6 -",
            "GET /nobody 502 - 25 backend_unreachable",
            "HEAD /b 200 200 0 -",
            "POST /small 413 - 31 body_too_large",
            "GET /cut 200 200 4 -",
            "GET /late 504 - 29 backend_timed_out",
            "GET /gone 499 - 25 client_gone",
        ],
    );
}

/// From the first byte of the head to the last of the answer, and the backend's part of it.
#[test]
fn latency_is_the_whole_way() {
    check(
        "$context.responseLatency $context.integrationLatency $context.dataProcessed",
        "c> POST /a HTTP/1.1|Host: h|Content-Le
         wait 1s
         c> ngth: 5||he
         1^ POST /a
         wait 2s
         c> llo
         1= hello
         wait 3s
         1> HTTP/1.1 200 OK|Content-Length: 4||an
         wait 4s
         1> sw
         c< 200 answ",
        &["10000 5000 9"],
    );
}

/// A call of gRPC says by its own status how it ended, whoever has said it; HTTP's is always the same.
#[test]
fn calls_are_told_by_their_own_status() {
    check_on_model(
        in_http2(),
        "$context.path $context.status $context.grpc.status $context.error.message",
        "c speaks h2
         c.1> POST /small|content-type: application/grpc||longer than ten
         c.1< 200
         1 speaks h2
         c.3> POST /trailers|content-type: application/grpc||one
         1.3< POST /trailers one
         1.3+ 200|content-type: application/grpc||two
         1.3 trails grpc-status: 0
         c.3< 200 two +grpc-status: 0
         c.5> POST /at-once|content-type: application/grpc||one
         1.5< POST /at-once one
         1.5> 200|content-type: application/grpc|grpc-status: 5
         c.5< 200
         c.7> POST /cut|content-type: application/grpc||one
         1.7< POST /cut one
         1.7+ 200|content-type: application/grpc||two
         c.7^ 200
         c.7= two
         1.7 resets CANCEL
         c.7 sees INTERNAL_ERROR
         c.9> POST /left|content-type: application/grpc||one
         1.9< POST /left one
         c.9 resets CANCEL
         1.9 then CANCEL
         c.11> POST /other||one
         1.11< POST /other one
         1.11> 200|grpc-status: 0
         c.11< 200",
        &[
            "/small 200 8 body_too_large",
            "/trailers 200 0 -",
            "/at-once 200 5 -",
            "/cut 200 - -",
            "/left 200 1 client_gone",
            "/other 200 - -",
        ],
    );
}
