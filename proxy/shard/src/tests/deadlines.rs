//! Every wait has an end, and the client hears what it was (rule U4). The clock is the test's.

use std::time::Duration;

use telemetry::{NodeFacts, exposition, merge};

use super::harness::{Setup, check, check_on, run, standard};

const UPGRADED: &str = "c> GET /chat HTTP/1.1|Host: h|Connection: upgrade|Upgrade: websocket||
    1< GET /chat upgrade=websocket
    1> HTTP/1.1 101 Switching Protocols|Connection: upgrade|Upgrade: websocket||
    c< 101 upgrade=websocket";

/// Plays a script, and expects that this wait, and no other, has ended by its deadline.
#[track_caller]
fn check_wait_on(setup: Setup, wait: &str, script: &str) {
    run(setup, async |lab| {
        lab.talk(script).await;
        let page = exposition(&merge(vec![lab.cores[0].counted()]), &NodeFacts::default());
        let counted = |line: &&str| {
            !line.starts_with('#')
                && (line.contains("timeouts_total") || line.contains("faults_total"))
                && !line.ends_with(" 0")
        };
        let counted: Vec<_> = page.lines().filter(counted).collect();
        assert_eq!(counted, [wait], "{script}");
    });
}

#[track_caller]
fn check_wait(wait: &str, script: &str) {
    check_wait_on(Setup::default(), &format!("floodgate_timeouts_total{{wait=\"{wait}\"}} 1"), script);
}

/// Each wait for a client, by its name in the metrics; that of the handshake is among the tests of TLS. What comes slowly ends like what does not come.
#[test]
fn every_wait_for_a_client_ends_and_is_counted() {
    let body = "c> POST / HTTP/1.1|Host: h|Content-Length: 100000||\n1^ POST /\n";
    let answer =
        "c> GET / HTTP/1.1|Host: h||\n1< GET /\n1> HTTP/1.1 200 OK|Content-Length: 900000||{900000}\n";
    check_wait("first_byte", "c connects\nc sees fin\ntook 10s");
    check_wait("head", "c> GET / HT\nc< 408 close Request Timeout\ntook 10s");
    check_wait("keep_alive", "c> GET /mock HTTP/1.1|Host: h||\nc< 200 mocked\nc sees fin\ntook 60s");
    // A body: none, one that stops after a while, one that drips.
    check_wait("request_body", &format!("{body}c^ 408 close\ntook 10s\nc leaves"));
    check_wait("request_body", &format!("{body}c> {{50000}}\nc^ 408 close\ntook 30s\nc leaves"));
    let drip = "c> {100}\nwait 1s\n".repeat(17);
    check_wait("request_body", &format!("{body}{drip}c^ 408 close\nc leaves"));
    // What nobody asked for is not waited for longer.
    check_wait(
        "request_body",
        "c> POST /mock HTTP/1.1|Host: h|Content-Length: 9||\nc< 200 mocked\nc sees fin\ntook 30s",
    );
    // An answer: not taken at all, and taken in drips.
    check_wait("response", &format!("{answer}wait 11s\n1 sees reset\nc leaves"));
    let drip = "c= {1000}\nwait 5s\n".repeat(40);
    check_wait("response", &format!("{answer}c^ 200\n{drip}1 sees reset\nc leaves"));
    check_wait(
        "linger",
        "c> GET /mock HTTP/1.1|Host: h|Connection: close||\nc< 200 close mocked\nc sees fin\nwait 3s",
    );
    check_wait("tunnel_idle", &format!("{UPGRADED}\nc sees fin\ntook 600s\n1 sees fin\nc leaves"));
    let talk = "wait 595s\nc> ping\n1= ping\n".repeat(12);
    check_wait(
        "tunnel_max",
        &format!("{UPGRADED}\n{talk}wait 59s\nc sees nothing\nc sees fin\ntook 60s\nc leaves"),
    );
}

#[test]
fn every_wait_for_a_backend_ends_and_is_counted() {
    let fault = |group: &str| {
        format!("floodgate_backend_faults_total{{upstream=\"{group}\",cause=\"backend_timed_out\"}} 1")
    };
    let check = |group: &str, script: &str| check_wait_on(Setup::default(), &fault(group), script);
    check("A", "c> GET / HTTP/1.1|Host: h||\n1< GET /\nc< 504 Gateway Timeout\ntook 29s");
    check("C", "c> GET /bounded HTTP/1.1|Host: h||\nC1< GET /bounded\nc< 504 Gateway Timeout\ntook 10s");
    check(
        "A",
        "c> POST / HTTP/1.1|Host: h|Content-Length: 4000000||{4000000}\n1^ POST /\nc^ 504 close\ntook 60s\nc leaves",
    );
}

/// One way of a call does not hide that the other has stopped.
#[test]
fn a_fast_download_does_not_hide_a_stalled_upload() {
    let begun = "c> POST / HTTP/1.1|Host: h|Content-Length: 100000||{10}
        1^ POST /
        1> HTTP/1.1 200 OK|Transfer-Encoding: chunked||5|hello|
        c^ 200 chunked close";
    let more = "wait 2s\n1> 5|hello|\n".repeat(4);
    check_wait("request_body", &format!("{begun}\n{more}wait 3s\nc leaves\n1 aborts"));
}

#[test]
fn a_fast_upload_does_not_hide_a_stalled_download() {
    let begun = "c> POST / HTTP/1.1|Host: h|Content-Length: 1000000||{10}
        1^ POST /
        1> HTTP/1.1 200 OK|Content-Length: 1000000||{1000000}";
    let more = "wait 2s\nc> {10000}\n".repeat(5);
    check_wait("response", &format!("{begun}\n{more}wait 1s\n1 sees {{50010}}!reset\nc leaves"));
}

#[test]
fn talk_in_a_tunnel_does_not_hide_who_reads_nothing() {
    let talk = "wait 2s\nc> ping\n1= ping\n".repeat(4);
    let script = format!("{UPGRADED}\n1> {{900000}}\n{talk}wait 3s\n1 sees reset\nc leaves");
    check_wait("tunnel_stall", &script);
}

/// Who is fast enough on average is not cut for a pause.
#[test]
fn rates_are_averages() {
    let fast = "c> {10000}\nwait 25s\n1= {10000}\n".repeat(9);
    check(&format!(
        "c> POST / HTTP/1.1|Host: h|Content-Length: 90000||
         1^ POST /
         {fast}
         1> HTTP/1.1 204 No Content||
         c< 204"
    ));
}

#[test]
fn a_client_that_says_nothing_is_let_go() {
    check("c connects\nc sees fin\ntook 10s");
}

#[test]
fn a_head_has_its_time_however_it_drips() {
    check(
        "c> GET / HT
         c< 408 close Request Timeout
         took 10s
         c sees fin",
    );
    check(
        "c> GET / HT
         wait 6s
         c> TP/1.1|Host: h
         c< 408 close Request Timeout
         took 4s",
    );
    // The second head has its own, from its first byte.
    check(
        "c> GET /mock HTTP/1.1|Host: h||
         c< 200 mocked
         wait 30s
         c> G
         c< 408 close Request Timeout
         took 10s",
    );
}

#[test]
fn an_unused_connection_is_closed() {
    check("c> GET /mock HTTP/1.1|Host: h||\nc< 200 mocked\nc sees fin\ntook 60s");
}

#[test]
fn a_backend_that_does_not_answer_is_given_up() {
    for method in ["GET", "POST"] {
        check(&format!(
            "c> {method} / HTTP/1.1|Host: h||
             1< {method} /
             c< 504 Gateway Timeout
             took 29s
             1 sees fin
             c> GET /mock HTTP/1.1|Host: h||
             c< 200 mocked"
        ));
    }
    // A byte is not an answer: the head as a whole has that time.
    check(
        "c> GET / HTTP/1.1|Host: h||
         1< GET /
         wait 20s
         1> HTTP/1.1 200
         c< 504 Gateway Timeout
         took 9s
         1 sees fin",
    );
}

/// The time for the answer begins when the request has been sent.
#[test]
fn a_slow_upload_does_not_count_as_a_slow_backend() {
    let mut model = standard();
    model.node.timeouts.request_rate_min = 0;
    check_on(
        Setup { model, ..Setup::default() },
        "c> POST / HTTP/1.1|Host: h|Content-Length: 3||
         1^ POST /
         wait 20s
         c> a
         wait 20s
         c> b
         wait 20s
         c> c
         1= abc
         wait 28s
         1> HTTP/1.1 204 No Content||
         c< 204",
    );
    let mut model = standard();
    model.upstreams[0].first_byte_timeout = Duration::from_secs(2);
    let setup = Setup { model, ..Setup::default() };
    check_on(
        setup,
        "c> POST / HTTP/1.1|Host: h|Content-Length: 3||
         1^ POST /
         wait 5s
         c> abc
         1= abc
         c< 504 Gateway Timeout
         took 2s
         1 sees fin",
    );
}

#[test]
fn a_body_that_stops_is_given_up() {
    for (framing, begun) in [("Content-Length: 100", "x"), ("Transfer-Encoding: chunked", "5|hel")] {
        check(&format!(
            "c> POST / HTTP/1.1|Host: h|{framing}||{begun}
             c< 408 close Request Timeout
             took 10s
             c sees fin"
        ));
    }
}

/// A backend that takes no more of a request is not the client's fault.
#[test]
fn a_backend_that_stops_reading_is_given_up() {
    check(
        "c> POST / HTTP/1.1|Host: h|Content-Length: 4000000||{4000000}
         1^ POST /
         c^ 504 close
         took 60s",
    );
}

#[test]
fn a_response_that_stops_is_cut_and_never_looks_whole() {
    for (said, got) in [
        ("Content-Length: 10||hello", "200 hello!reset"),
        ("Transfer-Encoding: chunked||5|hello|", "200 chunked hello!reset"),
        ("|hello", "200 chunked hello!reset"),
    ] {
        check(&format!(
            "c> GET / HTTP/1.1|Host: h||
             1< GET /
             1> HTTP/1.1 200 OK|{said}
             c< {got}
             took 60s"
        ));
    }
}

#[test]
fn a_response_that_goes_on_is_not_cut() {
    check(
        "c> GET / HTTP/1.1|Host: h||
         1< GET /
         1> HTTP/1.1 200 OK|Content-Length: 3||
         wait 50s
         1> a
         wait 50s
         1> b
         wait 50s
         1> c
         c< 200 abc",
    );
}

/// The whole call, whatever it is at.
#[test]
fn a_call_is_bounded_as_a_whole() {
    check(
        "c> GET /bounded HTTP/1.1|Host: h||
         C1< GET /bounded
         c< 504 Gateway Timeout
         took 10s
         C1 sees fin",
    );
    check(
        "c> GET /bounded HTTP/1.1|Host: h||
         C1< GET /bounded
         wait 8s
         C1> HTTP/1.1 200 OK|Content-Length: 3||a
         wait 1s
         C1> b
         c< 200 ab!reset
         took 1s",
    );
    check(
        "c> POST /bounded HTTP/1.1|Host: h|Content-Length: 3||a
         C1^ POST /bounded
         wait 9s
         c> b
         c^ 408 close
         took 1s",
    );
}

/// A client that reads nothing holds its answer for as long as a body may pause, and no longer.
#[test]
fn a_client_that_stops_reading_is_cut() {
    check(
        "c> GET / HTTP/1.1|Host: h||
         1< GET /
         1> HTTP/1.1 200 OK|Content-Length: 4000000||{4000000}
         wait 31s
         1 sees reset",
    );
}

/// One that reads, however slowly, gets all of it: streamed, from the cache, and as the last of its connection.
#[test]
fn a_client_that_reads_slowly_is_not_cut() {
    // What reaches a client at once is what its receive queue holds, 64 KiB: it takes some each 28 s.
    let slowly = "wait 14s\nc= {60000}\n".repeat(15);
    let answer = "1> HTTP/1.1 200 OK|Content-Length: 900000||{900000}";
    for (before, asked, said) in
        [("", "/a", answer), ("", "/cached/a", answer), ("1 connects", "/cached/a", "")]
    {
        for (field, close) in [("", ""), ("Connection: close|", " close")] {
            let fetched = format!("d> GET /cached/a HTTP/1.1|Host: h||\n{answer}\nd< 200 {{900000}}");
            check(&format!(
                "{}
                 c> GET {asked} HTTP/1.1|Host: h|{field}|
                 {said}
                 c^ 200{close}
                 {slowly}
                 {}",
                if before.is_empty() { "" } else { &fetched },
                if close.is_empty() {
                    "c> GET /mock HTTP/1.1|Host: h||\nc< 200 mocked"
                } else {
                    "c sees fin"
                }
            ));
        }
    }
}
