//! What a core holds does not grow with what it has served.

use runtime::Stats;

use super::harness::{Setup, run};

/// A bit of everything: bodies, hits, refusals, cuts, tunnels, who comes and leaves.
const ROUND: &str = "
    c> GET / HTTP/1.1|Host: h||POST / HTTP/1.1|Host: h|Content-Length: 5||hello
    A* HTTP/1.1 200 OK|Transfer-Encoding: chunked||5|hello|0||
    c< 200 chunked hello
    c< 200 chunked hello
    c> GET /mock HTTP/1.1|Host: h||GET /nobody HTTP/1.1|Host: h||GET /cached/a HTTP/1.1|Host: h||
    A* HTTP/1.1 200 OK|Content-Length: 100000||{100000}
    c< 200 mocked
    c< 502 Bad Gateway
    c< 200 {100000}
    c> POST /small HTTP/1.1|Host: h|Transfer-Encoding: chunked||{5}
    c< 400 close Bad Request
    c leaves
    d> GET / HTTP/1.1|Host: h||
    d aborts
    e> POST / HTTP/1.1|Host: h|Content-Length: 500000||{100000}
    e leaves
    f> GET / HTTP/1.1|Host: h|Connection: upgrade|Upgrade: x||
    A* HTTP/1.1 101 Switching Protocols|Connection: upgrade|Upgrade: x||
    f< 101 upgrade=x
    f> {100000}
    f aborts
    g> GET / HT
    wait 61s
    g< 408 close Request Timeout
    g leaves
    wait 61s";

#[test]
fn what_a_core_holds_does_not_grow() {
    run(Setup::default(), async |lab| {
        let mut held = Vec::new();
        for _ in 0..3 {
            for _ in 0..20 {
                lab.talk(ROUND).await;
                lab.forget_connections('A');
                lab.settle().await;
            }
            let Stats { sockets_open, buffers_pooled, futures_allocated, .. } = lab.handle.stats();
            held.push((sockets_open, buffers_pooled, futures_allocated, lab.cores[0].open_connections()));
        }
        assert_eq!(held[1], held[2], "{held:?}");
        assert_eq!((held[2].0, held[2].3), (0, 0), "{held:?}");
    });
}
