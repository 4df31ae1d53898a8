//! Answers that come before the request is whole: a backend's, our own, and `100 Continue` (bug 1, rule S3).

use super::harness::check;

/// The connection is in step: another request gets its own answer.
const NEXT: &str = "c> GET /mock HTTP/1.1|Host: h||\nc< 200 mocked";

#[test]
fn a_short_rest_is_read_and_the_connection_kept() {
    check(&format!(
        "c> POST / HTTP/1.1|Host: h|Content-Length: 50000||begin
         1^ POST /
         1> HTTP/1.1 403 Forbidden|Content-Length: 2||no
         c< 403 no
         c> {{49995}}
         {NEXT}"
    ));
}

/// The backend's connection still gets the request's rest, or is closed: no other request goes behind half a body.
#[test]
fn a_backend_that_answered_early_gets_no_other_request_behind_half_a_body() {
    check(
        "c> POST / HTTP/1.1|Host: h|Content-Length: 10||half
         1^ POST /
         1> HTTP/1.1 403 Forbidden|Content-Length: 2||no
         c< 403 no
         d> GET /d HTTP/1.1|Host: h||
         2< GET /d
         2> HTTP/1.1 204 No Content||
         d< 204
         1 sees half!fin
         took 0s",
    );
}

#[test]
fn a_long_rest_closes_the_connection_after_the_answer() {
    for framing in ["Content-Length: 1000000", "Transfer-Encoding: chunked"] {
        check(&format!(
            "c> POST / HTTP/1.1|Host: h|{framing}||1|x|
             1^ POST /{}
             1> HTTP/1.1 403 Forbidden|Content-Length: 2||no
             c< 403 close no
             c> {{100000}}
             c sees fin",
            if framing.starts_with('T') { " chunked" } else { "" }
        ));
    }
}

/// A response that takes its time goes on beside the request.
#[test]
fn both_bodies_pass_at_the_same_time() {
    check(
        "c> POST / HTTP/1.1|Host: h|Content-Length: 6||one
         1^ POST /
         1> HTTP/1.1 200 OK|Transfer-Encoding: chunked||3|ONE|
         c^ 200 chunked
         c= 3|ONE|
         c> two
         1= onetwo
         1> 3|TWO|0||
         c= 3|TWO|0||
         c> GET /b HTTP/1.1|Host: h||
         1< GET /b
         1> HTTP/1.1 204 No Content||
         c< 204",
    );
}

/// Our own early answers, to requests with a short body that was not read.
#[test]
fn our_own_answers_leave_no_body_to_be_taken_for_a_request() {
    let smuggled = "GET /poison HTTP/1.1|Host: h||";
    let length = smuggled.replace('|', "\r\n").len();
    for (path, answer) in [("/mock", "200 mocked"), ("/nobody", "502 Bad Gateway")] {
        check(&format!(
            "c> POST {path} HTTP/1.1|Host: h|Content-Length: {length}||{smuggled}
             c< {answer}
             {NEXT}"
        ));
        // In two pieces.
        check(&format!(
            "c> POST {path} HTTP/1.1|Host: h|Content-Length: {}||more
             c< {answer}
             c> {smuggled}
             {NEXT}",
            length + 4
        ));
        // A chunked one may have no end: the connection does.
        check(&format!(
            "c> POST {path} HTTP/1.1|Host: h|Transfer-Encoding: chunked||{length:x}|{smuggled}|0||GET /mock HTTP/1.1|Host: h||
             c^ {} close",
            &answer[..3]
        ));
        check(&format!(
            "c> POST {path} HTTP/1.1|Host: h|Content-Length: 1000000||{smuggled}
             c^ {} close",
            &answer[..3]
        ));
        // What is on its way does not reset the connection and take the answer with it.
        check(&format!(
            "c> POST {path} HTTP/1.1|Host: h|Content-Length: 1000000||{{200000}}
             c< {}
             c sees fin",
            answer.replacen(' ', " close ", 1)
        ));
    }
}

/// What must be thrown away does not come: the connection is not kept open for it.
#[test]
fn a_short_rest_that_does_not_come_is_not_waited_for_long() {
    check(
        "c> POST /mock HTTP/1.1|Host: h|Content-Length: 10||half
         c< 200 mocked
         c sees fin
         took 30s",
    );
}

#[test]
fn a_rest_that_is_malformed_ends_the_connection() {
    check(
        "c> POST / HTTP/1.1|Host: h|Transfer-Encoding: chunked||5|hello|
         1^ POST / chunked
         1> HTTP/1.1 200 OK|Content-Length: 4||
         c^ 200 close
         c> what is this|0||GET /poison HTTP/1.1|Host: h||
         1> done
         c= done
         c sees fin
         1 sees 5|hello|!fin",
    );
}

#[test]
fn a_body_is_asked_for_when_somebody_takes_it() {
    check(&format!(
        "c> POST / HTTP/1.1|Host: h|Content-Length: 5|Expect: 100-continue||
         c< 100
         1^ POST /
         1 lacks expect
         c> hello
         1= hello
         1> HTTP/1.1 204 No Content||
         c< 204
         {NEXT}"
    ));
    // Once, also if the backend says it too.
    check(
        "c> POST / HTTP/1.1|Host: h|Content-Length: 5|Expect: 100-continue||
         c< 100
         1^ POST /
         1> HTTP/1.1 100 Continue||
         c sees nothing
         c> hello
         1= hello
         1> HTTP/1.1 204 No Content||
         c< 204",
    );
}

/// A client that was not asked may send its body all the same, or the next request: nobody can tell. So it ends.
#[test]
fn a_body_that_is_not_wanted_is_not_asked_for() {
    for (path, answer) in [("/mock", "200 close mocked"), ("/nobody", "502 close Bad Gateway")] {
        check(&format!(
            "c> POST {path} HTTP/1.1|Host: h|Content-Length: 5|Expect: 100-continue||
             c< {answer}
             c sees fin"
        ));
    }
    check(
        "c> POST /small HTTP/1.1|Host: h|Content-Length: 11|Expect: 100-continue||
         c< 413 close Content Too Large
         c sees fin",
    );
}

#[test]
fn a_refusal_after_the_body_was_asked_for_keeps_what_is_short() {
    check(&format!(
        "c> POST / HTTP/1.1|Host: h|Content-Length: 5|Expect: 100-continue||
         c< 100
         1^ POST /
         1> HTTP/1.1 417 Expectation Failed|Content-Length: 2||no
         c< 417 no
         c> hello
         {NEXT}"
    ));
}

#[test]
fn an_expectation_without_a_body_or_in_1_0_is_nothing() {
    check(
        "c> GET / HTTP/1.1|Host: h|Expect: 100-continue||
         1< GET /
         1> HTTP/1.1 204 No Content||
         c< 204
         c> POST / HTTP/1.0|Host: h|Content-Length: 2|Expect: 100-continue||ab
         1< POST / ab
         1> HTTP/1.1 204 No Content||
         c< 204 close",
    );
}
