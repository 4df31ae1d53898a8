//! h2load: sixteen connections of sixteen streams, and nothing goes wrong on any.

use harness::{Gateway, H2load, Origin, h2load};

use super::{everything_over_http2, nginx_over_http2};
use crate::everything;

const REQUESTS: u32 = 4_000;

/// All requests were answered with 2xx.
#[track_caller]
fn check(gateway: &Gateway, path: &str, protocol: &str, body_bytes: u64, more: &[&str]) {
    let seen = h2load(&gateway.url(path), 16, 16, REQUESTS, more);
    let all = u64::from(REQUESTS);
    let expected = H2load {
        protocol: protocol.to_owned(),
        total: all,
        succeeded: all,
        of_2xx: all,
        body_bytes: body_bytes * all,
        ..H2load::default()
    };
    assert_eq!(seen, expected, "{path}");
}

#[test]
fn sixteen_by_sixteen() {
    let origin = Origin::forgetful(|_| vec![harness::Act::ReadBody, harness::Act::answer(200, &[], "small")]);
    let (nginx, over_http2) = nginx_over_http2("");
    std::fs::write(nginx.file("k"), "0123456789abcdef".repeat(64)).unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("up");
    std::fs::write(&file, vec![b'x'; 20_000]).unwrap();
    let up = format!("--data={}", file.display());
    for tls in [false, true] {
        let start = |config: &str| {
            let builder = Gateway::with(config).workers(2);
            if tls { builder.tls().start() } else { builder.start() }
        };
        // What h2load calls it when nothing was agreed on in a handshake.
        let protocol = if tls { "h2" } else { "h2c" };
        let one = start(&everything(&origin.url()));
        check(&one, "/", protocol, 5, &[]);
        check(&one, "/", protocol, 5, &[&up]);
        let two = start(&everything_over_http2(&over_http2, ""));
        check(&two, "/small", protocol, 5, &[]);
        check(&two, "/files/k", protocol, 1024, &[]);
        // Windows of 1 KiB and 16 KiB: much waits for room.
        check(&two, "/files/k", protocol, 1024, &["--window-bits=10", "--connection-window-bits=14"]);
        let cached = start("[[route]]\nmatch = \"$default\"\nmock = { body = \"mock\" }\n");
        check(&cached, "/", protocol, 4, &[]);
    }
}
