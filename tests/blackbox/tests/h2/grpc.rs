//! gRPC as its users have it, grpcio on both sides: all that a client and a server do with each other, through the gateway
//! as without it; and how it ends when the gateway answers by itself.

use std::path::{Path, PathBuf};

use harness::{GRPC_CASES, Gateway, GrpcServer, Origin, grpc_agree, grpc_client, grpc_missing, skip};

use super::everything_over_http2;
use crate::tls::certificate;

/// A call's messages together may be longer than a body usually is.
const LIMITS: &str = "[limits]\nbody = \"64MiB\"\n";

/// Whether there is grpcio; said if there is not.
fn is_here(test: &str) -> bool {
    let missing = grpc_missing();
    if let Some(why) = &missing {
        skip(test, why);
    }
    missing.is_none()
}

#[test]
fn grpc_without_tls() {
    if !is_here("grpc_without_tls") {
        return;
    }
    let server = GrpcServer::start();
    let gateway = Gateway::with(&before(&server)).workers(2).start();
    grpc_agree(gateway.address(), None, &GRPC_CASES);
}

#[test]
fn grpc_with_tls_on_both_sides() {
    if !is_here("grpc_with_tls_on_both_sides") {
        return;
    }
    let folder = tempfile::TempDir::new().unwrap();
    let (chain, key) = certificate(folder.path(), "backend", &["backend.test"]);
    let server = GrpcServer::start_tls(&chain, &key);
    let config = everything_over_http2(
        &format!("https://{}", server.address()),
        &format!("ca = {chain:?}\nserver_name = \"backend.test\"\n"),
    );
    let gateway = Gateway::with(&format!("{LIMITS}{config}")).workers(2).tls().start();
    grpc_agree(gateway.address(), Some(&authority(&gateway)), &GRPC_CASES);
}

/// Everything to a server, over HTTP/2.
pub(super) fn before(server: &GrpcServer) -> String {
    format!("{LIMITS}{}", everything_over_http2(&format!("http://{}", server.address()), ""))
}

/// Messages come when they come: what bounds a body's pauses and its rate does not bind a call, silence both ways does, as
/// it does whoever has a connection to itself.
#[test]
fn calls_may_be_quiet_and_not_silent() {
    if !is_here("calls_may_be_quiet_and_not_silent") {
        return;
    }
    let server = GrpcServer::start();
    let timeouts = "[timeouts]\nbody_idle = \"200ms\"\nrate_grace = \"100ms\"\ntunnel_idle = \"5s\"\n";
    let upstream = "idle_timeout = \"200ms\"\n";
    let config = everything_over_http2(&format!("http://{}", server.address()), upstream);
    let gateway = Gateway::start(&format!("{timeouts}{config}"));
    grpc_agree(gateway.address(), None, &["quiet", "silent", "unary"]);
    let silent = gateway.metrics().sum("floodgate_timeouts_total", &[("wait", "tunnel_idle")]);
    assert_eq!(silent, 1.0);
}

/// Who only says that it speaks gRPC has no more time for its body than others.
#[test]
fn a_backend_without_http2_is_not_held() {
    if !is_here("a_backend_without_http2_is_not_held") {
        return;
    }
    let origin = Origin::fixed("never");
    let config = crate::everything(&origin.url());
    let gateway = Gateway::start(&format!("[timeouts]\nbody_idle = \"500ms\"\n{config}"));
    grpc_agree(gateway.address(), None, &["slow"]);
    assert_eq!(gateway.metrics().sum("floodgate_timeouts_total", &[("wait", "request_body")]), 1.0);
}

/// Whose time is over has learned nothing about the server: it is not left out for callers who do not wait.
#[test]
fn impatient_callers_eject_nobody() {
    if !is_here("impatient_callers_eject_nobody") {
        return;
    }
    let (one, two) = (GrpcServer::start(), GrpcServer::start());
    let gateway = Gateway::start(&format!(
        "[upstream.group]\ntargets = [\"http://{}\", \"http://{}\"]\nhttp2 = true\noutlier.consecutive = 2\n\
         [[route]]\nmatch = \"$default\"\nupstream = \"group\"\n",
        one.address(),
        two.address()
    ));
    grpc_agree(gateway.address(), None, &["impatient"]);
    let metrics = gateway.metrics();
    assert_eq!(metrics.sum("floodgate_upstream_ejections_total", &[]), 0.0);
    assert!(metrics.has("floodgate_upstream_ejections_total"));
}

fn authority(gateway: &Gateway) -> PathBuf {
    Path::new(&gateway.state("authority/ca.pem")).to_path_buf()
}

/// How a call of `/floodgate.Test/NAME` ends that never reaches a server of gRPC: status and message.
#[track_caller]
fn check_refused(gateway: &Gateway, name: &str, expected: &str) {
    let case = format!("refused:{name}");
    let said = grpc_client(gateway.address(), None, &[&case]);
    assert_eq!(said, [(case, expected.to_owned())]);
}

/// Our own refusals are statuses of gRPC: HTTP's go unseen by its clients.
#[test]
fn refusals_are_statuses() {
    if !is_here("refusals_are_statuses") {
        return;
    }
    let silent = Origin::start(|_| vec![harness::Act::Stall]);
    let config = format!(
        "[upstream.silent]\ntargets = [\"{}\"]\nfirst_byte_timeout = \"100ms\"\n\
         [[route]]\nmatch = \"POST /floodgate.Test/Late\"\nupstream = \"silent\"\n\
         [[route]]\nmatch = \"POST /floodgate.Test/Gone\"\nurl = \"http://127.0.0.1:1\"\nhttp2 = true\n\
         [[route]]\nmatch = \"POST /floodgate.Test/Throttled\"\nurl = \"http://127.0.0.1:1\"\n\
         throttle = {{ rate = \"0/s\", burst = 0 }}\n\
         [[route]]\nmatch = \"POST /floodgate.Test/Long\"\nupstream = \"silent\"\nlimits = {{ body = \"2B\" }}\n",
        silent.url()
    );
    let gateway = Gateway::start(&config);
    check_refused(&gateway, "None", "UNIMPLEMENTED Not Found");
    check_refused(&gateway, "Gone", "UNAVAILABLE Bad Gateway");
    check_refused(&gateway, "Throttled", "RESOURCE_EXHAUSTED Too Many Requests");
    check_refused(&gateway, "Long", "RESOURCE_EXHAUSTED Content Too Large");
    check_refused(&gateway, "Late", "DEADLINE_EXCEEDED Gateway Timeout");
    let metrics = gateway.metrics();
    for (status, calls) in [("4", 1.0), ("8", 2.0), ("12", 1.0), ("14", 1.0)] {
        assert_eq!(metrics.sum("floodgate_grpc_calls_total", &[("grpc_status", status)]), calls, "{status}");
    }
    assert_eq!(metrics.sum("floodgate_grpc_calls_total", &[]), 5.0);
}
