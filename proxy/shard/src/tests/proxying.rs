//! The plain way: requests and responses with bodies of all framings, one after the other and many at once.

use super::harness::{Setup, check, run};

#[test]
fn a_get_goes_through_and_both_connections_are_kept() {
    check(
        "c> GET /a?b=c HTTP/1.1|Host: h.example||
         1< GET /a?b=c
         1 has host: 10.1.0.65:8080
         1 has x-forwarded-for: 127.0.0.1
         1 has x-forwarded-host: h.example
         1 has x-forwarded-proto: http
         1 has x-forwarded-port: 80
         1> HTTP/1.1 200 OK|Content-Length: 5||hello
         c< 200 hello
         c lacks connection
         c has date: Tue, 14 Nov 2023 22:13:20 GMT
         c> GET /d HTTP/1.1|Host: h.example||
         1< GET /d
         1> HTTP/1.1 200 OK|Content-Length: 0||
         c< 200",
    );
}

/// How a request body comes and how the backend gets it.
#[track_caller]
fn check_request(sent: &str, got: &str) {
    check(&format!(
        "c> POST /a HTTP/1.1|Host: h|{sent}
         1< POST /a{got}
         1> HTTP/1.1 204 No Content||
         c< 204
         c> GET /b HTTP/1.1|Host: h||
         1< GET /b
         1> HTTP/1.1 204 No Content||
         c< 204"
    ));
}

#[test]
fn request_bodies_come_as_they_were_sent() {
    check_request("Content-Length: 5||hello", " hello");
    check_request("Content-Length: 0||", "");
    check_request("|", "");
    check_request("Transfer-Encoding: chunked||5|hello|1|!|0||", " chunked hello!");
    check_request("Transfer-Encoding: chunked||5|hello|0|Trailer: dropped||", " chunked hello");
    check_request("Transfer-Encoding: chunked||0||", " chunked");
    // More than any buffer on the way: 2 MiB.
    check_request("Content-Length: 2097152||{2097152}", " {2097152}");
    check_request("Transfer-Encoding: chunked||200000|{2097152}|0||", " chunked {2097152}");
}

/// How a response body comes and how the client gets it, on a connection that is kept.
#[track_caller]
fn check_response(sent: &str, got: &str) {
    check(&format!(
        "c> GET /a HTTP/1.1|Host: h||
         1< GET /a
         1> HTTP/1.1 200 OK|{sent}
         c< 200{got}
         c> GET /b HTTP/1.1|Host: h||
         1< GET /b
         1> HTTP/1.1 204 No Content||
         c< 204"
    ));
}

#[test]
fn response_bodies_come_as_they_were_sent() {
    check_response("Content-Length: 5||hello", " hello");
    check_response("Content-Length: 0||", "");
    check_response("Transfer-Encoding: chunked||5|hello|1|!|0||", " chunked hello!");
    check_response("Transfer-Encoding: chunked||5|hello|0|Trailer: dropped||", " chunked hello");
    check_response("Transfer-Encoding: chunked||0||", " chunked");
    check_response("Content-Length: 2097152||{2097152}", " {2097152}");
    check_response("Transfer-Encoding: chunked||200000|{2097152}|0||", " chunked {2097152}");
}

/// What ends with the backend's connection is whole when it ends, and framed for a client that keeps its own.
#[test]
fn a_response_until_the_end_is_chunked_for_the_client() {
    check(
        "c> GET /a HTTP/1.1|Host: h||
         1< GET /a
         1> HTTP/1.1 200 OK||hello
         1> world
         1 ends
         c< 200 chunked helloworld
         c> GET /b HTTP/1.1|Host: h||
         2< GET /b
         2> HTTP/1.1 204 No Content||
         c< 204",
    );
}

/// No body, whatever the head says; and the connection is in step afterwards.
#[test]
fn responses_without_a_body_have_none() {
    for (asked, said, got) in [
        ("HEAD", "200 OK|Content-Length: 5", "200"),
        ("HEAD", "200 OK|Transfer-Encoding: chunked", "200 until-close"),
        ("GET", "204 No Content", "204"),
        ("GET", "304 Not Modified|Content-Length: 5", "304"),
        ("GET", "304 Not Modified", "304"),
    ] {
        check(&format!(
            "c> {asked} /a HTTP/1.1|Host: h||
             1< {asked} /a
             1> HTTP/1.1 {said}||
             c^ {got}
             c sees nothing
             c> GET /b HTTP/1.1|Host: h||
             1< GET /b
             1> HTTP/1.1 200 OK|Content-Length: 2||ok
             c< 200 ok"
        ));
    }
}

/// A backend that sends a body where there is none: it is nobody's answer.
#[test]
fn a_body_after_a_response_without_one_is_nobodys() {
    for (asked, said) in [
        ("GET", "204 No Content|Content-Length: 5||hello"),
        ("GET", "204 No Content||hello"),
        ("GET", "304 Not Modified||hello"),
        ("HEAD", "200 OK|Content-Length: 5||hello"),
    ] {
        check(&format!(
            "c> {asked} /a HTTP/1.1|Host: h||
             1< {asked} /a
             1> HTTP/1.1 {said}
             c^ {}
             c> GET /b HTTP/1.1|Host: h||
             2< GET /b
             2> HTTP/1.1 200 OK|Content-Length: 2||ok
             c< 200 ok",
            &said[..3]
        ));
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    check(
        "c> GET /a HTTP/1.1|Host: h||POST /b HTTP/1.1|Host: h|Content-Length: 3||abcGET /mock HTTP/1.1|Host: h||GET /c HTTP/1.1|Host: h||
         1< GET /a
         1 sees nothing
         1> HTTP/1.1 200 OK|Content-Length: 1||1
         c< 200 1
         1< POST /b abc
         1 sees nothing
         1> HTTP/1.1 200 OK|Transfer-Encoding: chunked||1|2|0||
         c< 200 chunked 2
         c< 200 mocked
         1< GET /c
         1> HTTP/1.1 200 OK|Content-Length: 1||3
         c< 200 3",
    );
}

#[test]
fn a_client_that_wants_no_more_is_told_so_and_let_go() {
    check(
        "c> GET /a HTTP/1.1|Host: h|Connection: close||
         1< GET /a
         1> HTTP/1.1 200 OK|Content-Length: 2||ok
         c< 200 close ok
         c sees fin
         # Its backend is still good for others.
         d> GET /b HTTP/1.1|Host: h||
         1< GET /b
         1> HTTP/1.1 200 OK|Content-Length: 2||ok
         d< 200 ok",
    );
}

/// `printf … | nc`: the answer is on its way when the client's end is seen.
#[test]
fn a_client_that_ends_its_half_gets_what_it_asked_for() {
    check(
        "c> GET /mock HTTP/1.1|Host: h||GET /mock HTTP/1.1|Host: h||
         c ends
         c< 200 mocked
         c< 200 mocked
         c sees fin",
    );
    run(Setup::default(), async |lab| {
        let mut client = lab.connect(0).await;
        client.send(b"GET /mock HTTP/1.1\r\nHost: h\r\n\r\n");
        client.finish();
        let (answer, end) = client.rest().await;
        assert!(answer.ends_with(b"mocked") && end == "fin", "{answer:?} {end}");
    });
}

#[test]
fn many_clients_share_the_backends_connections() {
    check(
        "c> GET /c HTTP/1.1|Host: h||
         d> GET /d HTTP/1.1|Host: h||
         1< GET /c
         2< GET /d
         2> HTTP/1.1 200 OK|Content-Length: 1||d
         d< 200 d
         e> GET /e HTTP/1.1|Host: h||
         2< GET /e
         1> HTTP/1.1 200 OK|Content-Length: 1||c
         c< 200 c
         2> HTTP/1.1 200 OK|Content-Length: 1||e
         e< 200 e",
    );
}

#[test]
fn what_is_no_request_is_refused_and_the_connection_ends() {
    for (sent, answer) in [
        ("GET / HTTP/1.1||", "400 close Bad Request"),
        ("GET / HTTP/1.1|Host: h|Content-Length: 1|Transfer-Encoding: chunked||", "400 close Bad Request"),
        ("GET / HTTP/2.0|Host: h||", "505 close HTTP Version Not Supported"),
        ("POST / HTTP/1.1|Host: h|Transfer-Encoding: gzip||", "501 close Not Implemented"),
    ] {
        check(&format!("c> {sent}\nc< {answer}\nc sees fin"));
        // What follows is no request any more.
        check(&format!("c> {sent}GET /mock HTTP/1.1|Host: h||\nc< {answer}\nc sees fin"));
    }
}
