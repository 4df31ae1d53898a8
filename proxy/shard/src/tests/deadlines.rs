//! Every wait has an end, and the client hears what it was (rule U4). The clock is the test's.

use std::time::Duration;

use super::harness::{Setup, check, check_on, standard};

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
    check(
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
             took 30s
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
