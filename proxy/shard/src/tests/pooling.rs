//! Kept connections to backends, other addresses, and what is sent a second time (rule U6).

use super::harness::{Setup, check, run, standard};

/// A connection that was kept, and what came of it before the second request.
fn kept(then: &str, second: &str) -> String {
    format!(
        "c> GET /a HTTP/1.1|Host: h||
         1< GET /a
         1> HTTP/1.1 200 OK|Content-Length: 1||1
         c< 200 1
         {then}
         c> {second}"
    )
}

const GET: &str = "GET /b HTTP/1.1|Host: h||";

#[test]
fn a_connection_on_which_something_happened_is_not_used_again() {
    for event in
        ["1 ends", "1 aborts", "1 leaves", "1> garbage", "1> HTTP/1.1 200 OK|Content-Length: 6||poison"]
    {
        check(&(kept(event, GET) + "\n2< GET /b\n2> HTTP/1.1 200 OK|Content-Length: 1||2\nc< 200 2"));
    }
}

/// Bytes behind a response belong to no request.
#[test]
fn bytes_after_a_response_never_reach_anybody() {
    for said in ["Content-Length: 1||1poison", "Transfer-Encoding: chunked||1|1|0||HTTP/1.1 200 OK||"] {
        check(&format!(
            "c> GET /a HTTP/1.1|Host: h||
             1< GET /a
             1> HTTP/1.1 200 OK|{said}
             c^ 200{}
             c leaves
             d> GET /b HTTP/1.1|Host: h||
             2< GET /b
             2> HTTP/1.1 200 OK|Content-Length: 1||2
             d< 200 2",
            if said.starts_with('T') { " chunked" } else { "" }
        ));
    }
}

#[test]
fn a_connection_is_kept_only_if_the_backend_keeps_it() {
    for said in ["1.1 200 OK|Connection: close", "1.0 200 OK"] {
        check(&format!(
            "c> GET /a HTTP/1.1|Host: h||
             1< GET /a
             1> HTTP/{said}|Content-Length: 1||1
             c< 200 1
             1 sees fin
             c> GET /b HTTP/1.1|Host: h||
             2< GET /b
             2> HTTP/1.1 200 OK|Content-Length: 1||2
             c< 200 2"
        ));
    }
}

#[test]
fn unused_connections_are_closed_in_time() {
    check(&format!("{}\n1 sees nothing", kept("wait 58s", "")));
    check(
        "c> GET /a HTTP/1.1|Host: h||
         1< GET /a
         1> HTTP/1.1 200 OK|Content-Length: 1||1
         c< 200 1
         wait 61s
         1 sees fin",
    );
}

#[test]
fn no_more_unused_connections_are_kept_than_asked_for() {
    let mut model = standard();
    model.upstreams[0].idle_connections_max = 1;
    run(Setup { model, ..Setup::default() }, async |lab| {
        lab.talk(
            "c> GET /c HTTP/1.1|Host: h||
             d> GET /d HTTP/1.1|Host: h||
             1< GET /c
             2< GET /d
             1> HTTP/1.1 200 OK|Content-Length: 1||c
             c< 200 c
             2> HTTP/1.1 200 OK|Content-Length: 1||d
             d< 200 d
             2 sees fin
             1 sees nothing",
        )
        .await;
    });
}

/// The backend closes the kept connection under the request: what does no harm twice is sent again, on a new one.
#[test]
fn what_is_idempotent_is_sent_again_when_a_kept_connection_was_closed() {
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
        for end in ["1 ends", "1 aborts", "1 leaves"] {
            let request = format!("{method} /b HTTP/1.1|Host: h||");
            check(&format!(
                "{}
                 1< {method} /b
                 {end}
                 2< {method} /b
                 2> HTTP/1.1 204 No Content||
                 c< 204",
                kept("", &request)
            ));
        }
    }
}

/// More often than the budget for retries would allow: a backend that closes what is kept is not a failing one.
#[test]
fn kept_connections_that_end_cost_no_budget() {
    let mut talk = kept("", "");
    talk.truncate(talk.rfind("c>").unwrap());
    for number in 1..=8 {
        let next = number + 1;
        talk.push_str(&format!(
            "c> {GET}
             {number}< GET /b
             {number} ends
             {next}< GET /b
             {next}> HTTP/1.1 200 OK|Content-Length: 1||2
             c< 200 2\n"
        ));
    }
    check(talk.trim_end());
}

#[test]
fn nothing_else_is_sent_twice() {
    for (second, seen) in [
        ("POST /b HTTP/1.1|Host: h||", "POST /b"),
        ("PATCH /b HTTP/1.1|Host: h||", "PATCH /b"),
        ("PUT /b HTTP/1.1|Host: h|Content-Length: 1||x", "PUT /b x"),
        ("GET /b HTTP/1.1|Host: h|Content-Length: 1||x", "GET /b x"),
        ("PUT /b HTTP/1.1|Host: h|Transfer-Encoding: chunked||1|x|0||", "PUT /b chunked x"),
    ] {
        for end in ["1 ends", "1 aborts"] {
            run(Setup::default(), async |lab| {
                lab.talk(&format!("{}\n1< {seen}\n{end}\nc< 502 Bad Gateway", kept("", second))).await;
                assert_eq!(lab.connections('A').await, 1, "{second}");
            });
        }
    }
}

/// Once a byte of an answer came, or on a connection that was new, the backend had the request.
#[test]
fn a_request_that_may_have_been_acted_upon_is_not_sent_again() {
    run(Setup::default(), async |lab| {
        lab.talk(&(kept("", GET) + "\n1< GET /b\n1> HTTP/1.1 2\n1 ends\nc< 502 Bad Gateway")).await;
        assert_eq!(lab.connections('A').await, 1);
    });
    run(Setup::default(), async |lab| {
        lab.talk("c> GET /a HTTP/1.1|Host: h||\n1< GET /a\n1 ends\nc< 502 Bad Gateway").await;
        assert_eq!(lab.connections('A').await, 1);
    });
}

/// Two kept connections; both are closed as soon as they are used: the second try is on a new one.
#[test]
fn a_second_try_takes_a_new_connection() {
    run(Setup::default(), async |lab| {
        lab.talk(
            "c> GET /c HTTP/1.1|Host: h||
             d> GET /d HTTP/1.1|Host: h||
             1< GET /c
             2< GET /d
             1> HTTP/1.1 200 OK|Content-Length: 1||c
             2> HTTP/1.1 200 OK|Content-Length: 1||d
             c< 200 c
             d< 200 d
             c> GET /again HTTP/1.1|Host: h||
             2< GET /again
             2 ends
             3< GET /again
             3> HTTP/1.1 200 OK|Content-Length: 1||3
             c< 200 3
             1 sees nothing",
        )
        .await;
    });
}

#[test]
fn an_address_that_refuses_is_left_for_another() {
    check(
        "c> POST /nobody-else HTTP/1.1|Host: h|Content-Length: 5||hello
         1< POST /nobody-else hello
         1> HTTP/1.1 200 OK|Content-Length: 1||1
         c< 200 1
         c> POST /nobody-else HTTP/1.1|Host: h|Content-Length: 5||again
         1< POST /nobody-else again
         1> HTTP/1.1 200 OK|Content-Length: 1||2
         c< 200 2",
    );
}

#[test]
fn where_nobody_is_the_client_hears_so_and_its_connection_is_in_step() {
    check(
        "c> GET /nobody HTTP/1.1|Host: h||
         c< 502 Bad Gateway
         c> POST /nobody HTTP/1.1|Host: h|Content-Length: 5||hello
         c< 502 Bad Gateway
         c> GET /mock HTTP/1.1|Host: h||
         c< 200 mocked",
    );
}

/// Three addresses are tried for one request, and not the fourth. The turn goes on with each try.
#[test]
fn only_so_many_addresses_are_tried() {
    check(
        "c> GET /nobodies HTTP/1.1|Host: h||
         1< GET /nobodies
         1> HTTP/1.1 204 No Content|Connection: close||
         c< 204
         c> GET /nobodies HTTP/1.1|Host: h||
         c< 502 Bad Gateway",
    );
}

#[test]
fn calls_go_where_the_least_is_in_flight() {
    check(
        "c> GET /ab HTTP/1.1|Host: h||
         d> GET /ab HTTP/1.1|Host: h||
         A1^ GET /ab
         B1^ GET /ab
         A1> HTTP/1.1 200 OK|Content-Length: 1||a
         e> GET /ab HTTP/1.1|Host: h||
         A1< GET /ab
         f> GET /ab HTTP/1.1|Host: h||
         A1> HTTP/1.1 200 OK|Content-Length: 1||a
         B1> HTTP/1.1 200 OK|Content-Length: 1||b",
    );
}

/// A name that moves: what is in flight is finished, and nothing of the old address is used again.
#[test]
fn an_address_that_goes_takes_its_connections_with_it() {
    run(Setup::default(), async |lab| {
        lab.talk(
            "c> GET /c HTTP/1.1|Host: h||
             d> GET /d HTTP/1.1|Host: h||
             1< GET /c
             2< GET /d
             1> HTTP/1.1 200 OK|Content-Length: 1||c
             c< 200 c",
        )
        .await;
        lab.move_group(0, 'B').await;
        lab.talk(
            "1 sees fin
             2> HTTP/1.1 200 OK|Content-Length: 1||d
             d< 200 d
             2 sees fin
             c> GET /b HTTP/1.1|Host: h||
             B1< GET /b
             B1> HTTP/1.1 200 OK|Content-Length: 1||b
             c< 200 b",
        )
        .await;
    });
}
