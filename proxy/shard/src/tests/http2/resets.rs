//! Streams that end before their time, at every place where a request may wait: by their client, by their backend. What a
//! client has given up costs no backend any more, and what a backend has broken off looks whole to nobody.

use super::check_http2;
use crate::tests::harness::{Lab, Setup, check, check_on, in_http2, run, standard};

/// What ends a client's request: its stream, or its connection in any way.
const CLIENT_ENDS: [&str; 5] =
    ["c.1 resets CANCEL", "c.1 resets INTERNAL_ERROR", "c aborts", "c leaves", "c.1 resets NO_ERROR"];

/// Makes a connection to a backend that gives no credit beyond its first 10 bytes of a stream.
const SMALL_WINDOW: &str = "w> GET /w HTTP/1.1|Host: h||
                            1 speaks h2 window=10 holding
                            1.1< GET /w
                            1.1> 204
                            w< 204";

#[test]
fn a_client_that_goes_while_its_backend_thinks_ends_the_call() {
    for end in CLIENT_ENDS {
        check(&format!(
            "c speaks h2
             c.1> GET /a
             1< GET /a
             {end}
             1 sees fin
             took 0s"
        ));
        check_http2(&format!(
            "c speaks h2
             c.1> GET /a
             1 speaks h2
             1.1< GET /a
             {end}
             1.1 then CANCEL
             took 0s
             d> GET /b HTTP/1.1|Host: h||
             1.3< GET /b
             1.3> 204
             d< 204"
        ));
        // After interim answers.
        check_http2(&format!(
            "c speaks h2
             c.1> GET /a
             1 speaks h2
             1.1< GET /a
             1.1+ 103|link: </a>
             c.1< 103
             {end}
             1.1 then CANCEL
             took 0s"
        ));
    }
}

#[test]
fn a_client_that_goes_in_its_upload_ends_the_call() {
    for end in CLIENT_ENDS {
        for framing in ["", "|content-length: 1000000"] {
            check_http2(&format!(
                "c speaks h2
                 c.1+ POST /a{framing}||hello
                 1 speaks h2
                 1.1^ POST /a
                 1.1= hello
                 {end}
                 1.1 sees CANCEL
                 took 0s"
            ));
            // The backend takes nothing of it.
            for bytes in [1_000, 60_000] {
                check_http2(&format!(
                    "{SMALL_WINDOW}
                     c speaks h2
                     c.1+ POST /a{framing}||{{{bytes}}}
                     1.3^ POST /a
                     1.3= {{10}}
                     {end}
                     1.3 then CANCEL
                     took 0s"
                ));
            }
        }
        check(&format!(
            "c speaks h2
             c.1+ POST /a||hello
             1^ POST /a chunked
             1= 5|hello|
             {end}
             1 sees fin
             took 0s"
        ));
        check(&format!(
            "c speaks h2
             c.1+ POST /a|content-length: 10||hello
             1^ POST /a
             1= hello
             {end}
             1 sees fin
             took 0s"
        ));
    }
}

/// All of the request has come, and is still on its way to the backend.
#[test]
fn a_client_that_goes_behind_its_upload_ends_the_call() {
    for end in CLIENT_ENDS {
        for bytes in [500, 1_000, 60_000] {
            check_http2(&format!(
                "{SMALL_WINDOW}
                 c speaks h2
                 c.1> POST /a||{{{bytes}}}
                 1.3^ POST /a
                 1.3= {{10}}
                 {end}
                 1.3 then CANCEL
                 took 0s"
            ));
        }
    }
}

#[test]
fn a_client_that_goes_in_its_answer_ends_the_call() {
    for end in CLIENT_ENDS {
        for framing in ["", "|content-length: 1000000"] {
            // It takes what comes, or nothing.
            for window in ["", "window=100 holding"] {
                check_http2(&format!(
                    "c speaks h2 {window}
                     c.1> GET /a
                     1 speaks h2
                     1.1< GET /a
                     1.1+ 200{framing}||{{1000}}
                     c.1^ 200
                     {end}
                     1.1 then CANCEL
                     took 0s"
                ));
            }
        }
        check(&format!(
            "c speaks h2 window=100 holding
             c.1> GET /a
             1< GET /a
             1> HTTP/1.1 200 OK|Content-Length: 4000000||{{1000000}}
             c.1^ 200
             {end}
             1 sees reset
             took 0s"
        ));
        // In both bodies at once.
        check_http2(&format!(
            "c speaks h2
             c.1+ POST /a||one
             1 speaks h2
             1.1^ POST /a
             1.1= one
             1.1+ 200||ONE
             c.1^ 200
             c.1= ONE
             {end}
             1.1 sees CANCEL"
        ));
    }
}

/// Once all is said, there is nobody to be told.
#[test]
fn a_reset_behind_the_end_is_nothing() {
    check_http2(
        "c speaks h2
         c.1> GET /a
         1 speaks h2
         1.1< GET /a
         1.1> 200||hello
         c.1< 200 hello
         c.1 resets CANCEL
         c.3> GET /b
         1.3< GET /b
         1.3> 200||hello
         1.3 resets NO_ERROR
         c.3< 200 hello
         c.5> GET /c
         1.5< GET /c
         1.5> 204
         c.5< 204",
    );
    // Before our own answer has gone out, and behind it.
    check(
        "c speaks h2 window=1 holding
         c.1> GET /mock
         c.1^ 200
         c.1 resets CANCEL
         c.3+ POST /mock
         c.3^ 200
         c.3 resets CANCEL
         c sets window=1000
         c.5> GET /mock
         c.5< 200 mocked",
    );
}

/// A client that gives its request up while a connection is made for it: the connection serves the next.
#[test]
fn a_client_that_goes_while_its_backend_is_reached() {
    for end in CLIENT_ENDS {
        let mut model = in_http2();
        model.upstreams[0].targets[0].tls = true;
        let setup = Setup { model, ..Setup::default() };
        check_on(
            setup,
            &format!(
                "c speaks h2
                 c.1> GET /a
                 c.3> GET /b
                 d> GET /c HTTP/1.1|Host: h||
                 {end}
                 d< 504 Gateway Timeout"
            ),
        );
    }
}

/// Who waits for a connection that somebody else makes, and gives up, waits no more.
#[test]
fn a_client_that_goes_while_a_connection_is_made_for_it_has_no_call() {
    for end in ["c.3 resets CANCEL", "c leaves"] {
        let mut model = in_http2();
        model.upstreams[0].targets[0].tls = true;
        run(Setup { model, ..Setup::default() }, async |lab: &mut Lab| {
            lab.talk("d speaks h2\nd.1> GET /a\nc speaks h2\nc.3> POST /b").await;
            let in_flight = |lab: &Lab| lab.cores[0].pool(0, |pool| pool.in_flight());
            assert_eq!(in_flight(lab), Some(2));
            lab.talk(end).await;
            assert_eq!(in_flight(lab), Some(1), "{end}");
            lab.talk("d.1< 504 Gateway Timeout").await;
        });
    }
}

/// Those who wait for what somebody else fetches for the cache, and who fetches.
#[test]
fn clients_that_go_while_the_cache_waits() {
    for end in CLIENT_ENDS {
        for model in [standard(), in_http2()] {
            let (speaks, answer) = match model.upstreams[0].http2 {
                true => ("1 speaks h2", "1.1< GET /cached/a\n1.1> 200||hello"),
                false => ("", "1< GET /cached/a\n1> HTTP/1.1 200 OK|Content-Length: 5||hello"),
            };
            // One who waits.
            check_on(
                Setup { model: model.clone(), ..Setup::default() },
                &format!(
                    "d speaks h2
                     d.1> GET /cached/a
                     c speaks h2
                     c.1> GET /cached/a
                     e speaks h2
                     e.1> GET /cached/a
                     {end}
                     {speaks}
                     {answer}
                     d.1< 200 hello
                     e.1< 200 hello"
                ),
            );
        }
        // Who fetches: the next goes in its place.
        check_on(
            Setup { model: in_http2(), ..Setup::default() },
            &format!(
                "c speaks h2
                 c.1> GET /cached/a
                 d speaks h2
                 d.1> GET /cached/a
                 1 speaks h2
                 1.1< GET /cached/a
                 {end}
                 1.1 then CANCEL
                 1.3< GET /cached/a
                 1.3> 200||hello
                 d.1< 200 hello
                 e> GET /cached/a HTTP/1.1|Host: h||
                 e< 200 hello"
            ),
        );
    }
}

/// A client whose half of the connection ends still gets its answers: its streams had their own ends.
#[test]
fn a_connection_closed_by_half_ends_its_streams() {
    check_http2(
        "c speaks h2
         c.1> GET /a
         1 speaks h2
         1.1< GET /a
         c ends
         1.1 then CANCEL
         c sees fin",
    );
}

#[test]
fn a_backend_that_resets_before_its_answer() {
    for code in ["CANCEL", "INTERNAL_ERROR", "PROTOCOL_ERROR", "ENHANCE_YOUR_CALM", "NO_ERROR"] {
        check_http2(&format!(
            "c speaks h2
             c.1> POST /a
             1 speaks h2
             1.1< POST /a
             1.1 resets {code}
             c.1< 502 Bad Gateway
             d> POST /b HTTP/1.1|Host: h||
             1.3< POST /b
             1.3 resets {code}
             d< 502 Bad Gateway
             c.3+ POST /c||hello
             1.5^ POST /c
             1.5 resets {code}
             c.3< 502 Bad Gateway
             c.3 then NO_ERROR
             c.5> GET /d
             1.7< GET /d
             1.7> 204
             c.5< 204"
        ));
    }
}

#[test]
fn a_backend_that_resets_in_its_answer_makes_none_that_looks_whole() {
    for code in ["CANCEL", "INTERNAL_ERROR", "NO_ERROR", "REFUSED_STREAM"] {
        for framing in ["", "|content-length: 10"] {
            let chunked = if framing.is_empty() { " chunked" } else { "" };
            // Of a body whose length is known nobody has seen anything.
            let unbegun = if framing.is_empty() { "200 chunked!reset" } else { "502 Bad Gateway" };
            check_http2(&format!(
                "c speaks h2
                 c.1> GET /a
                 1 speaks h2
                 1.1< GET /a
                 1.1+ 200{framing}||hello
                 c.1^ 200
                 c.1= hello
                 1.1 resets {code}
                 c.1 sees INTERNAL_ERROR
                 d> GET /b HTTP/1.1|Host: h||
                 1.3< GET /b
                 1.3+ 200{framing}||hello
                 1.3 resets {code}
                 d< 200{chunked} hello!reset
                 e> GET /c HTTP/1.1|Host: h||
                 1.5< GET /c
                 1.5+ 200{framing}
                 1.5 resets {code}
                 e< {unbegun}"
            ));
        }
    }
}

/// The whole connection goes.
#[test]
fn a_backend_that_leaves_makes_no_answer_that_looks_whole() {
    for end in ["1 aborts", "1 leaves", "1 ends", "1 goes away 5 INTERNAL_ERROR\n1 leaves"] {
        check_http2(&format!(
            "c speaks h2
             c.1> POST /a
             c.3> GET /b
             c.5> GET /c
             1 speaks h2
             1.1< POST /a
             1.3< GET /b
             1.5< GET /c
             1.3+ 200||hello
             1.5+ 200|content-length: 10||hello
             c.3^ 200
             c.3= hello
             {end}
             c.1< 502 Bad Gateway
             c.3 sees INTERNAL_ERROR
             c.5< 200 hello!INTERNAL_ERROR
             c.7> GET /d
             2 speaks h2
             2.1< GET /d
             2.1> 204
             c.7< 204"
        ));
    }
}

/// It says more or less than it announced, or what is no answer.
#[test]
fn a_backend_that_breaks_its_framing() {
    for (answer, seen) in [
        ("101", "502 Bad Gateway"),
        ("600", "502 Bad Gateway"),
        ("200|content-length: 5|content-length: 5||hello", "502 Bad Gateway"),
        ("200|content-length: +5||hello", "502 Bad Gateway"),
        ("200|connection: close||hello", "502 Bad Gateway"),
        ("200|transfer-encoding: chunked||hello", "502 Bad Gateway"),
    ] {
        check_http2(&format!(
            "c speaks h2
             c.1> POST /a
             1 speaks h2
             1.1< POST /a
             1.1> {answer}
             c.1< {seen}
             1 sees nothing
             c.3> GET /b
             1.3< GET /b
             1.3> 204
             c.3< 204"
        ));
    }
    // These are no answers at all; what ends is the stream.
    for answer in ["099", "200|X-Big: 1||hello", "200|x: a\u{1}||hello"] {
        check_http2(&format!(
            "c> GET /a HTTP/1.1|Host: h||
             1 speaks h2
             1.1< GET /a
             1.1> {answer}
             c< 502 Bad Gateway
             1.1 then PROTOCOL_ERROR
             c> GET /b HTTP/1.1|Host: h||
             1.3< GET /b
             1.3> 204
             c< 204"
        ));
    }
    for bytes in [4, 6] {
        check_http2(&format!(
            "c speaks h2
             c.1> GET /a
             1 speaks h2
             1.1< GET /a
             1.1+ 200|content-length: {bytes}
             c.1^ 200
             1.1> hello
             c.1 then INTERNAL_ERROR
             1.1 then PROTOCOL_ERROR
             c.3> GET /b
             1.3< GET /b
             1.3> 204
             c.3< 204"
        ));
    }
}
