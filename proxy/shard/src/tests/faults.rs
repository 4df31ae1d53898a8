//! What a backend may do wrong: the client never gets a wrong answer that looks whole, and the connection on which it
//! happened is never used again (rule U5).

use super::harness::{Setup, check, check_on, run, standard};

/// What the client gets when the backend says this and then does that.
#[track_caller]
fn check_fault(said: &str, then: &str, got: &str) {
    check(&format!(
        "c> GET / HTTP/1.1|Host: h||
         1< GET /
         1> {said}
         {then}
         c< {got}
         d> GET /d HTTP/1.1|Host: h||
         2< GET /d
         2> HTTP/1.1 200 OK|Content-Length: 1||d
         d< 200 d"
    ));
}

#[test]
fn ends_in_the_head() {
    for then in ["1 ends", "1 aborts", "1 leaves"] {
        for said in [
            "",
            "H",
            "HTTP/1.1 200 OK|Content-Le",
            "HTTP/1.1 200 OK|Content-Length: 5|",
            "HTTP/1.1 100 Continue||",
        ] {
            check_fault(said, then, "502 Bad Gateway");
        }
    }
}

#[test]
fn ends_in_the_body() {
    for then in ["1 ends", "1 aborts", "1 leaves"] {
        check_fault("HTTP/1.1 200 OK|Content-Length: 5||hell", then, "200 hell!reset");
        // Nobody has seen anything of it.
        check_fault("HTTP/1.1 200 OK|Content-Length: 5||", then, "502 Bad Gateway");
        check_fault("HTTP/1.1 200 OK|Transfer-Encoding: chunked||5|hell", then, "200 chunked hell!reset");
        check_fault("HTTP/1.1 200 OK|Transfer-Encoding: chunked||5|hello|", then, "200 chunked hello!reset");
        check_fault(
            "HTTP/1.1 200 OK|Transfer-Encoding: chunked||5|hello|0|",
            then,
            "200 chunked hello!reset",
        );
    }
    // What ends with the connection ends well by FIN alone.
    check_fault("HTTP/1.1 200 OK||hello", "1 ends", "200 chunked hello");
    check_fault("HTTP/1.1 200 OK||hello", "1 aborts", "200 chunked hello!reset");
    check_fault("HTTP/1.0 200 OK||hello", "1 ends", "200 chunked hello");
}

#[test]
fn breaks_its_framing() {
    for bad in [
        "g|",
        "-1|",
        "0x5|hello|0||",
        "5;a=b|hello|0||",
        "|",
        "11111111111111111|",
        "5|helloworld|0||",
        "5|hello|0|bad trailer||",
    ] {
        check(&format!(
            "c> GET / HTTP/1.1|Host: h||
             1< GET /
             1> HTTP/1.1 200 OK|Transfer-Encoding: chunked||
             c^ 200 chunked
             1> {bad}
             c sees reset
             d> GET /d HTTP/1.1|Host: h||
             2< GET /d
             2> HTTP/1.1 200 OK|Content-Length: 1||d
             d< 200 d"
        ));
    }
}

#[test]
fn sends_a_head_that_can_be_read_in_two_ways() {
    for head in [
        "200 OK|Content-Length: 5|Transfer-Encoding: chunked||5|hello|0||",
        "200 OK|Content-Length: 5|Content-Length: 6||hello!",
        "200 OK|Content-Length: 5, 5||hello",
        "200 OK|Content-Length: +5||hello",
        "200 OK|Content-Length: ||hello",
        "200 OK|Transfer-Encoding: gzip||hello",
        "200 OK|Transfer-Encoding: chunked, chunked||0||",
        "200 OK|Content-Length : 5||hello",
        "200 OK|A: b| folded|Content-Length: 5||hello",
        "200 OK|: empty|Content-Length: 5||hello",
        "099 Early||",
        "600 Late|Content-Length: 0||",
        "20 OK|Content-Length: 0||",
        "103 Early Hints|Content-Length: 5||hello",
    ] {
        check_fault(&format!("HTTP/1.1 {head}"), "", "502 Bad Gateway");
    }
    for start in ["HTTP/2.0 200 OK", "HTTP/1.1200 OK", "ICY 200 OK", "GET / HTTP/1.1", "\u{0}"] {
        check_fault(&format!("{start}|Content-Length: 0||"), "", "502 Bad Gateway");
    }
}

#[test]
fn sends_a_huge_head() {
    check_fault("HTTP/1.1 200 OK|A: {70000}|Content-Length: 0||", "", "502 Bad Gateway");
    check_fault("HTTP/1.1 200 OK|A: {70000}", "", "502 Bad Gateway");
    let many = "A: b|".repeat(200);
    check_fault(&format!("HTTP/1.1 200 OK|{many}Content-Length: 0||"), "", "502 Bad Gateway");
}

#[test]
fn says_more_than_its_length() {
    check_fault("HTTP/1.1 200 OK|Content-Length: 5||hello, world", "", "200 hello");
}

#[test]
fn answers_before_it_is_asked() {
    // It has spoken out of turn on a connection that waits: nobody gets to hear it.
    check(
        "c> GET / HTTP/1.1|Host: h||
         1< GET /
         1> HTTP/1.1 204 No Content||
         c< 204
         1> HTTP/1.1 200 OK|Content-Length: 6||poison
         c> GET /b HTTP/1.1|Host: h||
         2< GET /b
         2> HTTP/1.1 204 No Content||
         c< 204",
    );
}

#[test]
fn answers_and_ends_while_the_request_is_under_way() {
    for end in ["1 ends", "1 aborts"] {
        check(&format!(
            "c> POST / HTTP/1.1|Host: h|Content-Length: 1000000||{{300000}}
             1^ POST /
             1> HTTP/1.1 413 Content Too Large|Content-Length: 2||no
             {end}
             c< 413 close no"
        ));
        check(&format!(
            "c> POST / HTTP/1.1|Host: h|Content-Length: 1000000||{{300000}}
             1^ POST /
             {end}
             c^ 502 close"
        ));
    }
}

#[test]
fn a_request_that_breaks_off_reaches_no_backend_whole() {
    for then in ["c ends", "c aborts", "c leaves"] {
        check(&format!(
            "c> POST / HTTP/1.1|Host: h|Content-Length: 5||hell
             1^ POST /
             {then}
             1= hell
             1 sees fin"
        ));
        check(&format!(
            "c> POST / HTTP/1.1|Host: h|Transfer-Encoding: chunked||4|hell|
             1^ POST / chunked
             {then}
             1= 4|hell|
             1 sees fin"
        ));
    }
    let script = |bad| {
        format!(
            "c> POST / HTTP/1.1|Host: h|Transfer-Encoding: chunked||4|hell|
             1^ POST / chunked
             1= 4|hell|
             c> {bad}0||GET /mock HTTP/1.1|Host: h||
             c< 400 close Bad Request
             c sees fin
             1 sees fin"
        )
    };
    for bad in ["x|", "4;a|hell|", "99999999999999999|"] {
        check(&script(bad));
    }
    // In pieces its first part is as it should be, and passes.
    check_on(Setup::default(), &script("1|hello|"));
}

/// A client that leaves while its backend thinks frees the backend.
#[test]
fn a_client_that_leaves_ends_the_call() {
    for then in ["c ends", "c aborts", "c leaves"] {
        check(&format!("c> GET / HTTP/1.1|Host: h||\n1< GET /\n{then}\n1 sees fin\ntook 0s"));
    }
}

/// Nor is a connection made to the backend for one that has left.
#[test]
fn a_client_that_leaves_early_ends_the_connecting() {
    let mut model = standard();
    model.upstreams[0].targets[0].tls = true;
    for begun in ["GET / HTTP/1.1|Host: h||", "POST / HTTP/1.1|Host: h|Content-Length: 5||"] {
        for then in ["c ends", "c aborts", "c leaves"] {
            run(Setup { model: model.clone(), ..Setup::default() }, async |lab| {
                lab.talk(&format!("c> {begun}")).await;
                let in_flight = || lab.cores[0].pool(0, |pool| pool.in_flight());
                assert_eq!(in_flight(), Some(1), "{begun}");
                lab.talk(then).await;
                assert_eq!(lab.cores[0].pool(0, |pool| pool.in_flight()), Some(0), "{begun} {then}");
            });
        }
    }
}

/// A client that goes in the middle of its answer takes the call with it.
#[test]
fn a_client_that_leaves_in_its_answer_ends_the_call() {
    check(
        "c> GET / HTTP/1.1|Host: h||
         1< GET /
         1> HTTP/1.1 200 OK|Content-Length: 4000000||{1000000}
         c^ 200
         c aborts
         1 sees reset",
    );
    // Nothing waits to be sent: the next bytes tell.
    check(
        "c> GET / HTTP/1.1|Host: h||
         1< GET /
         1> HTTP/1.1 200 OK|Content-Length: 4000000||{10000}
         c^ 200
         c aborts
         1> {10000}
         1 sees fin
         took 0s",
    );
}

/// A backend that can't be reached in time, by its handshake.
#[test]
fn a_handshake_that_does_not_come_is_given_up() {
    let mut model = standard();
    model.upstreams[0].targets[0].tls = true;
    let setup = || Setup { model: model.clone(), ..Setup::default() };
    check_on(setup(), "c> GET / HTTP/1.1|Host: h||\nc< 504 Gateway Timeout\ntook 2s");
    // Bytes that are no handshake, be they an answer (bug 15).
    check_on(
        setup(),
        "c> GET / HTTP/1.1|Host: h||
         1> HTTP/1.1 200 OK|Content-Length: 6||poison
         c< 502 Bad Gateway",
    );
}
