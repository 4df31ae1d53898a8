//! Clients of HTTP/1.0: bodies that end with the connection, and connections that stay only if asked.

use super::harness::check;

#[test]
fn a_connection_ends_after_the_answer_unless_the_client_asks() {
    check(
        "c> GET / HTTP/1.0|Host: h||
         1< GET /
         1 has via: 1.0 floodgate
         1> HTTP/1.1 200 OK|Content-Length: 2||ok
         c< 200 close ok
         c sees fin",
    );
    check(
        "c> GET / HTTP/1.0|Host: h|Connection: keep-alive||
         1< GET /
         1> HTTP/1.1 200 OK|Content-Length: 2||ok
         c< 200 keep-alive ok
         c> GET /b HTTP/1.0|Host: h|Connection: keep-alive||
         1< GET /b
         1> HTTP/1.1 200 OK|Content-Length: 0||
         c< 200 keep-alive
         c> GET /mock HTTP/1.1|Host: h||
         c< 200 mocked",
    );
}

/// It knows no chunks: what has no length ends with the connection, whatever it asked for.
#[test]
fn a_body_without_a_length_ends_with_the_connection() {
    for keep_alive in ["", "Connection: keep-alive|"] {
        for said in ["Transfer-Encoding: chunked||5|hello|0||", "|hello"] {
            let end = if said.starts_with('|') { "1 ends" } else { "" };
            check(&format!(
                "c> GET / HTTP/1.0|Host: h|{keep_alive}|
                 1< GET /
                 1> HTTP/1.1 200 OK|{said}
                 {end}
                 c< 200 until-close close hello"
            ));
        }
    }
}

/// An end is all that such a body has: a cut must not look like one.
#[test]
fn a_cut_body_is_reset() {
    for (said, then) in [
        ("Transfer-Encoding: chunked||5|hello|", "1 ends"),
        ("Transfer-Encoding: chunked||5|hello|", "1 aborts"),
        ("Transfer-Encoding: chunked||5|hello|", "1> nonsense"),
        ("Transfer-Encoding: chunked||5|hello|", "wait 60s"),
        ("|hello", "1 aborts"),
        ("|hello", "wait 60s"),
    ] {
        check(&format!(
            "c> GET / HTTP/1.0|Host: h||
             1< GET /
             1> HTTP/1.1 200 OK|{said}
             {then}
             c< 200 until-close close hello!reset"
        ));
    }
}

#[test]
fn a_host_is_not_needed() {
    check(
        "c> GET / HTTP/1.0||
         1< GET /
         1 lacks x-forwarded-host
         1> HTTP/1.1 204 No Content||
         c< 204 close",
    );
}

/// Bug 4.
#[test]
fn a_body_has_a_length_or_there_is_none() {
    check("c> POST / HTTP/1.0|Host: h|Transfer-Encoding: chunked||0||\nc< 400 close Bad Request\nc sees fin");
    check(
        "c> POST / HTTP/1.0|Host: h||what is this
         1< POST /
         1> HTTP/1.1 204 No Content||
         c< 204 close
         c sees fin",
    );
}
