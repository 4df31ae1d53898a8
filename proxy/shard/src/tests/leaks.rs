//! What a core holds does not grow with what it has served.

use runtime::Stats;

use super::harness::{Setup, in_http2, run, standard};

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

/// The same over HTTP/2 on both sides: streams that are reset at this moment and that, refused, answered early, stalled, and
/// connections that leave or are sent away with streams on them.
const ROUND_HTTP2: &str = "
    c speaks h2
    c.1> GET /a
    1 speaks h2
    1.1< GET /a
    1.1> 200||{100000}
    c.1< 200 {100000}
    c.3> POST /b||{100000}
    1.3< POST /b {100000}
    1.3+ 200||hello
    c.3^ 200
    c.3 resets CANCEL
    1.3 then CANCEL
    c.5+ POST /c||{1000}
    1.5^ POST /c
    1.5> 403||no
    c.5< 403 no
    c.7> GET /cached/a
    1.7< GET /cached/a
    1.7> 200|content-length: 100000||{100000}
    c.7< 200 {100000}
    c.9> GET /mock
    c.9< 200 mocked
    c.11> GET /nobody
    c.11< 502 Bad Gateway
    c.13+ POST /small|content-length: 20||{20}
    c.13< 413 Content Too Large
    c.15> GET /d
    1.9< GET /d
    c.15 resets CANCEL
    c.17+ POST /e||{1000}
    1.11^ POST /e
    1.11 resets INTERNAL_ERROR
    c.17< 502 Bad Gateway
    c.19> GET /f
    1.13< GET /f
    1.13 resets REFUSED_STREAM
    1.15< GET /f
    1.15+ 200||hello
    c.19^ 200
    c leaves
    1.15 then CANCEL
    d speaks h2 window=10 holding
    d.1> GET /h
    1.17< GET /h
    1.17> 200||{200000}
    d.1^ 200
    wait 31s
    d.1 sees xxxxxxxxxx!INTERNAL_ERROR
    d.3> GET /i
    1.19< GET /i
    d aborts
    1.19 then CANCEL
    e speaks h2
    e.1> GET /j
    e.3+ POST /k|content-length: 20000||{10}
    1.21< GET /j
    1.23^ POST /k
    1 goes away 0 NO_ERROR
    2 speaks h2
    2.1< GET /j
    2.1> 204
    e.1< 204
    e.3< 502 Bad Gateway
    e.5+ POST /l||{10}
    2.3^ POST /l
    2.3 resets REFUSED_STREAM
    2.5^ POST /l
    e.5>
    2.5 sees xxxxxxxxxx!end
    2.5> 204
    e.5< 204
    1 leaves
    2 aborts
    f speaks h2 cut=20 staying
    wait 181s
    e leaves
    f leaves";

/// Plays it again and again: what is held after many times is what was held after some.
#[track_caller]
fn check(model: model::Model, round: &str) {
    run(Setup { model, ..Setup::default() }, async |lab| {
        let mut held = Vec::new();
        for _ in 0..3 {
            for _ in 0..20 {
                lab.talk(round).await;
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

#[test]
fn what_a_core_holds_does_not_grow() {
    check(standard(), ROUND);
    check(in_http2(), ROUND_HTTP2);
}
