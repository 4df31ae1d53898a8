//! Responses that are had as a whole, and what bounds those that pass.

use snapshot::Snapshot;

use super::{NEXT, check, check_http2};
use crate::tests::harness::{Setup, check_on, in_http2, standard};

/// A response that ends with its connection is whole by FIN alone.
#[test]
fn a_response_until_close_is_had_whole() {
    check(&format!(
        "c> GET /read HTTP/1.1|Host: h||
         1< GET /read
         1> HTTP/1.1 200 OK||hello
         c sees nothing
         1 ends
         c< 200 [hello]
         {NEXT}"
    ));
    check(&format!(
        "c> GET /read HTTP/1.1|Host: h||
         1< GET /read
         1> HTTP/1.1 200 OK||hello
         1 aborts
         c< 502 Bad Gateway
         {NEXT}"
    ));
}

/// What has no body has none to wait for.
#[test]
fn responses_without_a_body_stay_so() {
    check(
        "c> HEAD /asked HTTP/1.1|Host: h||
         1< HEAD /asked
         1> HTTP/1.1 200 OK|Content-Length: 50||
         c^ 200
         c has content-length: 50
         c> GET /asked HTTP/1.1|Host: h||
         1< GET /asked
         1> HTTP/1.1 304 Not Modified|ETag: \"a\"||
         c< 304
         c> GET /asked HTTP/1.1|Host: h||
         1< GET /asked
         1> HTTP/1.1 204 No Content||
         c< 204",
    );
}

/// What a backend may do wrong in a body that is wanted whole: no client sees a part of it, and the connection is not used
/// again.
#[test]
fn a_response_that_breaks_off_is_none() {
    for then in ["1 ends", "1 aborts", "1 leaves"] {
        for said in ["Content-Length: 5||hell", "Transfer-Encoding: chunked||5|hello|"] {
            check(&format!(
                "c> GET /read HTTP/1.1|Host: h||
                 1< GET /read
                 1> HTTP/1.1 200 OK|{said}
                 {then}
                 c< 502 Bad Gateway
                 c> GET /read HTTP/1.1|Host: h||
                 2< GET /read
                 2> HTTP/1.1 200 OK|Content-Length: 2||ok
                 c< 200 [ok]"
            ));
        }
    }
    for bad in ["g|", "5;a=b|hello|0||", "11111111111111111|"] {
        check(&format!(
            "c> GET /read HTTP/1.1|Host: h||
             1< GET /read
             1> HTTP/1.1 200 OK|Transfer-Encoding: chunked||{bad}
             c< 502 Bad Gateway
             1 sees fin
             {NEXT}"
        ));
    }
    check_http2(
        "c speaks h2
         c.1> GET /read
         1 speaks h2
         1.1< GET /read
         1.1+ 200||hell
         1.1 resets INTERNAL_ERROR
         c.1< 502 Bad Gateway
         c.3> GET /read
         1.3< GET /read
         1.3> 200||ok
         c.3< 200 [ok]",
    );
}

#[test]
fn a_response_that_is_too_long_is_refused() {
    for said in ["Content-Length: 21||{21}", "Transfer-Encoding: chunked||14|{20}|1|x|0||", "|{21}"] {
        check(&format!(
            "c> GET /read HTTP/1.1|Host: h||
             1< GET /read
             1> HTTP/1.1 200 OK|{said}
             c< 502 Bad Gateway
             {NEXT}"
        ));
    }
    check_http2(
        "c speaks h2
         c.1> GET /read
         1 speaks h2
         1.1< GET /read
         1.1+ 200||{21}
         c.1< 502 Bad Gateway
         1.1 then CANCEL",
    );
}

/// Row 174: what says that it is too long is refused, what turns out to be is cut.
#[test]
fn a_response_that_passes_has_a_bound_too() {
    let check = |model: fn() -> model::Model, script: &str| {
        let adapt = |snapshot: &mut Snapshot| {
            snapshot.apis[0].stages[0].routes.iter_mut().for_each(|route| route.response_bytes_max = 20);
        };
        check_on(Setup { model: model(), adapt, ..Setup::default() }, script);
    };
    check(
        standard,
        "c> GET /a HTTP/1.1|Host: h||
         1< GET /a
         1> HTTP/1.1 200 OK|Content-Length: 21||{21}
         c< 502 Bad Gateway
         c> HEAD /a HTTP/1.1|Host: h||
         2< HEAD /a
         2> HTTP/1.1 200 OK|Content-Length: 21||
         c^ 200
         d> GET /a HTTP/1.1|Host: h||
         2< GET /a
         2> HTTP/1.1 200 OK|Transfer-Encoding: chunked||14|{20}|0||
         d< 200 chunked xxxxxxxxxxxxxxxxxxxx
         e> GET /a HTTP/1.1|Host: h||
         2< GET /a
         2> HTTP/1.1 200 OK|Transfer-Encoding: chunked||14|{20}|
         e^ 200 chunked
         2> 1|x|0||
         e sees 14|xxxxxxxxxxxxxxxxxxxx|!reset",
    );
    check(
        in_http2,
        "c speaks h2
         c.1> GET /a
         1 speaks h2
         1.1< GET /a
         1.1+ 200||{20}
         c.1^ 200
         1.1> x
         c.1 sees xxxxxxxxxxxxxxxxxxxx!INTERNAL_ERROR",
    );
}

/// The upstream's own time for a pause, or the route's for all of it.
#[test]
fn a_response_that_does_not_come_is_given_up() {
    check(&format!(
        "c> GET /read HTTP/1.1|Host: h||
         1< GET /read
         1> HTTP/1.1 200 OK|Content-Length: 5||hell
         c< 504 Gateway Timeout
         took 60s
         1 sees fin
         {NEXT}"
    ));
    check(&format!(
        "c> GET /timed HTTP/1.1|Host: h||
         1< GET /timed
         wait 2s
         1> HTTP/1.1 200 OK|Content-Length: 5||hell
         c< 504 Gateway Timeout
         took 1s
         {NEXT}"
    ));
    for begin in ["c> GET /timed HTTP/1.1|Host: h||", "c speaks h2\nc.1> GET /timed"] {
        let answered = if begin.contains("h2") { "c.1<" } else { "c<" };
        check(&format!("{begin}\n1< GET /timed\n{answered} 504 Gateway Timeout\ntook 3s"));
    }
}

/// Who leaves while a response is had whole frees the backend.
#[test]
fn a_client_that_leaves_ends_it() {
    for then in ["c ends", "c aborts", "c leaves"] {
        check(&format!(
            "c> GET /read HTTP/1.1|Host: h||
             1< GET /read
             1> HTTP/1.1 200 OK|Content-Length: 5||hell
             {then}
             1 sees fin
             took 0s"
        ));
    }
    check(
        "c speaks h2
         c.1> GET /read
         1< GET /read
         1> HTTP/1.1 200 OK|Content-Length: 5||hell
         c.1 resets CANCEL
         1 sees fin
         took 0s",
    );
}

/// A backend that answers before it has all of a body that streams gets the rest while its answer is had whole.
#[test]
fn both_bodies_pass_at_the_same_time() {
    check(&format!(
        "c> POST /read HTTP/1.1|Host: h|Content-Length: 6||one
         1^ POST /read
         1> HTTP/1.1 200 OK|Transfer-Encoding: chunked||3|ONE|
         c> two
         1= onetwo
         1> 3|TWO|0||
         c< 200 [ONETWO]
         {NEXT}"
    ));
}
