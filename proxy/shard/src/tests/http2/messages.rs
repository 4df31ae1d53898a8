//! Requests and answers of all kinds, between HTTP/1.1 and HTTP/2 both ways and from HTTP/2 to HTTP/2.

use super::check_http2;
use crate::tests::harness::check;

#[test]
fn from_clients_to_http1() {
    check(
        "c speaks h2
         c.1> GET /mock
         c.1< 200 mocked
         c.3> GET /a?b=c|x-own: 1|cookie: a=b|cookie: c=d
         1< GET /a?b=c
         1 has x-own: 1
         1 has cookie: a=b; c=d
         1 has host: 10.1.0.65:8080
         1> HTTP/1.1 200 OK|Content-Length: 5|X-Own: 2|Keep-Alive: timeout=5||hello
         c.3< 200 hello
         c has x-own: 2
         c has content-length: 5
         c lacks keep-alive
         c lacks connection
         c.5> POST /b|content-length: 5||hello
         1< POST /b hello
         1> HTTP/1.1 204 No Content||
         c.5< 204
         c.7> POST /c||{100000}
         1< POST /c chunked {100000}
         1> HTTP/1.1 200 OK|Transfer-Encoding: chunked||5|hello|0||
         c.7< 200 hello
         c lacks transfer-encoding
         c lacks content-length
         c.9> POST /d|content-length: 0
         1< POST /d
         1> HTTP/1.1 200 OK|Content-Length: 0||
         c.9< 200
         c sees nothing",
    );
}

#[test]
fn from_http1_to_backends() {
    check_http2(
        "c> GET /a?b=c HTTP/1.1|Host: h|X-Own: 1|Cookie: a=b; c=d|Connection: keep-alive, x-hop|X-Hop: 1||
         1 speaks h2
         1.1< GET /a?b=c
         1 has x-own: 1
         1 has cookie: a=b; c=d
         1 lacks x-hop
         1 lacks host
         1 has :scheme: http
         1 has :authority: 10.1.0.65:8080
         1.1> 200|x-own: 2||hello
         c< 200 chunked hello
         c has x-own: 2
         c> POST /b HTTP/1.1|Host: h|Content-Length: 5||hello
         1.3< POST /b hello
         1 has content-length: 5
         1.3> 200|content-length: 5||HELLO
         c< 200 HELLO
         c> POST /c HTTP/1.1|Host: h|Transfer-Encoding: chunked||5|hello|5|world|0||
         1.5< POST /c helloworld
         1 lacks content-length
         1 lacks transfer-encoding
         1.5> 204
         c< 204
         c> GET /d HTTP/1.0||
         1.7< GET /d
         1.7> 200||hello
         c< 200 until-close close hello",
    );
}

#[test]
fn through_both() {
    check_http2(
        "c speaks h2
         c.1> GET /a
         1 speaks h2
         1.1< GET /a
         1 has x-forwarded-proto: http
         1.1> 200|x-own: 1||hello
         c.1< 200 hello
         c has x-own: 1
         c.3> POST /b||{300000}
         1.3< POST /b {300000}
         1.3> 200||{400000}
         c.3< 200 {400000}
         c.5> POST /b|content-length: 300000||{300000}
         1.5< POST /b {300000}
         1.5> 200|content-length: 400000||{400000}
         c.5< 200 {400000}
         c sees nothing",
    );
}

/// Answers without a body, announced or not.
#[test]
fn without_bodies() {
    let heads = [
        ("HEAD", "200|content-length: 5", "200"),
        ("HEAD", "200", "200"),
        ("HEAD", "404|content-length: 5", "404"),
        ("GET", "204", "204"),
        ("GET", "304|content-length: 5|etag: \"a\"", "304"),
        ("GET", "304", "304"),
        ("GET", "200|content-length: 0", "200"),
        ("POST", "205|content-length: 0", "205"),
    ];
    for (method, answer, line) in heads {
        let unframed = if (method, answer) == ("HEAD", "200") { " until-close" } else { "" };
        check_http2(&format!(
            "c speaks h2
             c.1> {method} /a
             1 speaks h2
             1.1< {method} /a
             1.1> {answer}
             c.1< {line}
             d> {method} /b HTTP/1.1|Host: h||
             1.3< {method} /b
             1.3> {answer}
             d^ {line}{unframed}
             d> GET /mock HTTP/1.1|Host: h||
             d< 200 mocked"
        ));
    }
    check_http2(
        "c speaks h2
         c.1> HEAD /a
         1 speaks h2
         1.1< HEAD /a
         1.1> 200|content-length: 5
         c.1< 200
         c has content-length: 5",
    );
    // An answer that HEAD or a status has no body for, but with an end in a frame of its own.
    check_http2(
        "c speaks h2
         c.1> HEAD /a
         1 speaks h2
         1.1< HEAD /a
         1.1+ 200|content-length: 5
         c.1^ 200
         1.1>
         c.1 sees end
         d> GET /b HTTP/1.1|Host: h||
         1.3< GET /b
         1.3+ 204
         d< 204
         1.3>
         d> GET /mock HTTP/1.1|Host: h||
         d< 200 mocked",
    );
    check(
        "c speaks h2
         c.1> HEAD /a
         1< HEAD /a
         1> HTTP/1.1 200 OK|Content-Length: 5||
         c.1< 200
         c has content-length: 5
         c.3> GET /b
         1< GET /b
         1> HTTP/1.1 304 Not Modified|Content-Length: 5||
         c.3< 304
         c.5> GET /c
         1< GET /c
         1> HTTP/1.1 204 No Content||
         c.5< 204
         c.7> GET /d
         1< GET /d
         1> HTTP/1.1 200 OK||until the end
         1 ends
         c.7< 200 until the end",
    );
}

#[test]
fn trailers_pass_where_both_sides_have_a_place_for_them() {
    check_http2(
        "c speaks h2
         c.1+ POST /a|te: trailers||hello
         1 speaks h2
         1.1^ POST /a
         1.1= hello
         c.1 trails x-sum: 5|x-other: 6
         1.1 sees end +x-sum: 5 +x-other: 6
         1.1+ 200||world
         c.1^ 200
         c.1= world
         1.1 trails grpc-status: 0
         c.1 sees end +grpc-status: 0
         c.3> GET /b
         1.3< GET /b
         1.3+ 200
         1.3 trails grpc-status: 5|grpc-message: no
         c.3< 200 +grpc-status: 5 +grpc-message: no
         d> GET /c HTTP/1.1|Host: h||
         1.5< GET /c
         1.5+ 200||hello
         1.5 trails x-sum: 5
         d< 200 chunked hello
         d> POST /d HTTP/1.1|Host: h|Transfer-Encoding: chunked||5|hello|0|x-sum: 5||
         1.7< POST /d hello
         1.7> 204
         d< 204",
    );
    check(
        "c speaks h2
         c.1+ POST /a||hello
         c.1 trails x-sum: 5
         1< POST /a chunked hello
         1 lacks x-sum
         1> HTTP/1.1 200 OK|Transfer-Encoding: chunked||5|world|0|X-Sum: 6||
         c.1< 200 world",
    );
}

#[test]
fn interim_answers_pass() {
    check_http2(
        "c speaks h2
         c.1> GET /a
         1 speaks h2
         1.1< GET /a
         1.1+ 103|link: </a>
         c.1< 103
         c has link: </a>
         1.1+ 103|link: </b>
         c.1< 103
         1.1+ 100
         c.1 sees nothing
         1.1> 200||hello
         c.1< 200 hello
         d> GET /b HTTP/1.1|Host: h||
         1.3< GET /b
         1.3+ 103|link: </c>
         d< 103
         1.3> 204
         d< 204",
    );
    check(
        "c speaks h2
         c.1> GET /a
         1< GET /a
         1> HTTP/1.1 103 Early Hints|Link: </a>||
         c.1< 103
         c has link: </a>
         1> HTTP/1.1 100 Continue||HTTP/1.1 204 No Content||
         c.1< 204",
    );
}

#[test]
fn a_body_is_asked_for_when_somebody_takes_it() {
    check(
        "c speaks h2
         c.1+ POST /a|expect: 100-continue|content-length: 5
         c.1< 100
         1^ POST /a
         1 lacks expect
         c.1> hello
         1= hello
         1> HTTP/1.1 204 No Content||
         c.1< 204
         c.3+ POST /mock|expect: 100-continue|content-length: 5
         c.3< 200 mocked
         c.3 then NO_ERROR
         c.5+ POST /small|expect: 100-continue|content-length: 11
         c.5< 413 Content Too Large
         c.5 then NO_ERROR
         c.7> GET /mock
         c.7< 200 mocked",
    );
    check_http2(
        "c speaks h2
         c.1+ POST /a|expect: 100-continue
         1 speaks h2
         c.1< 100
         1.1^ POST /a
         1 lacks expect
         c.1> hello
         1.1= hello
         1.1> 200
         c.1< 200
         d> POST /b HTTP/1.1|Host: h|Content-Length: 5|Expect: 100-continue||
         d< 100
         1.3^ POST /b
         d> hello
         1.3= hello
         1.3> 204
         d< 204",
    );
}

/// What is still to come of a request whose answer is there is not wanted, and the client is told.
#[test]
fn an_answer_may_come_before_the_request_is_whole() {
    for answer in ["403|content-length: 2||no", "403||no", "403||{100000}"] {
        let seen = answer.split_once("||").unwrap().1;
        check_http2(&format!(
            "c speaks h2
             c.1+ POST /a||hello
             1 speaks h2
             1.1^ POST /a
             1.1= hello
             1.1> {answer}
             c.1< 403 {seen}
             c.1 then NO_ERROR
             1.1 then CANCEL
             c.1> too late
             c.3> GET /b
             1.3< GET /b
             1.3> 204
             c.3< 204"
        ));
    }
    check(
        "c speaks h2
         c.1+ POST /a|content-length: 1000000||hello
         1^ POST /a
         1> HTTP/1.1 403 Forbidden|Content-Length: 2||no
         c.1< 403 no
         c.1 then NO_ERROR
         1 sees hello!fin
         c.3> GET /b
         2< GET /b
         2> HTTP/1.1 204 No Content||
         c.3< 204",
    );
    // Our own.
    for (path, answer) in [("/mock", "200 mocked"), ("/nobody", "502 Bad Gateway")] {
        check(&format!(
            "c speaks h2
             c.1+ POST {path}||hello
             c.1< {answer}
             c.1 then NO_ERROR
             c.3> POST {path}||hello
             c.3< {answer}"
        ));
    }
    // What comes a moment later was on its way.
    check(
        "c speaks h2
         c.1+ POST /mock|content-length: 8||hello
         c.1< 200 mocked
         wait 20ms
         c.1 sees nothing
         c.1> end
         wait 100ms
         c.1 sees nothing
         c.3> GET /mock
         c.3< 200 mocked",
    );
    // The answer goes on beside the request.
    check_http2(
        "c speaks h2
         c.1+ POST /a||one
         1 speaks h2
         1.1^ POST /a
         1.1= one
         1.1+ 200||ONE
         c.1^ 200
         c.1= ONE
         c.1+ two
         1.1= two
         1.1+ TWO
         c.1= TWO
         c.1> three
         1.1 sees three!end
         1.1> THREE
         c.1 sees THREE!end",
    );
    // What breaks off behind the answer's head does not break the answer.
    check_http2(
        "c> POST /a HTTP/1.1|Host: h|Content-Length: 1000000||hello
         1 speaks h2
         1.1^ POST /a
         1.1= hello
         1.1> 403||no
         c< 403 chunked close no
         1.1 then CANCEL",
    );
}

#[test]
fn windows_of_all_sizes() {
    for window in ["1", "5", "1023", "1024", "65535", "1048576", "2147483647"] {
        // Who drips credit is odd: a few hundred times are forgiven.
        let bytes = match window {
            "1" => 100,
            "5" => 500,
            _ => 100_000,
        };
        check_http2(&format!(
            "c speaks h2 window={window}
             c.1> POST /a||{{{bytes}}}
             1 speaks h2 window={window}
             1.1< POST /a {{{bytes}}}
             1.1> 200||{{{bytes}}}
             c.1< 200 {{{bytes}}}
             d> POST /b HTTP/1.1|Host: h|Content-Length: {bytes}||{{{bytes}}}
             1.3< POST /b {{{bytes}}}
             1.3> 200|content-length: {bytes}||{{{bytes}}}
             d< 200 {{{bytes}}}"
        ));
        check(&format!(
            "c speaks h2 window={window}
             c.1> GET /cached/a
             1< GET /cached/a
             1> HTTP/1.1 200 OK|Content-Length: {bytes}||{{{bytes}}}
             c.1< 200 {{{bytes}}}
             c.3> GET /cached/a
             c.3< 200 {{{bytes}}}"
        ));
    }
}

/// Credit that comes in odd pieces, and windows that change while a body is under way.
#[test]
fn windows_that_change() {
    check_http2(
        "c speaks h2 window=10 holding
         c.1> GET /a
         1 speaks h2
         1.1< GET /a
         1.1> 200||{100000}
         c.1^ 200
         c.1= {10}
         c.1 sees nothing
         c.1 gives 1
         c.1= x
         c.1 gives 16383
         c.1= {16383}
         c sets window=0
         c.1 sees nothing
         c.1 gives 9
         c.1 sees nothing
         c.1 gives 22
         c.1= {21}
         c sets window=60000
         c.1= {49120}
         c.1 gives 100000
         c.1 sees nothing
         c gives 100000
         c.1 sees {34465}!end",
    );
    // A window of the connection alone, shared by streams.
    check_http2(
        "c speaks h2 window=1000000 holding
         c.1> GET /a
         1 speaks h2
         1.1< GET /a
         1.1> 200||{100000}
         c.1^ 200
         c.1= {65535}
         c.3> GET /b
         1.3< GET /b
         1.3> 200||hello
         c.3^ 200
         c.3 sees nothing
         c gives 34465
         c gives 5
         c.1 sees {34465}!end
         c.3 sees hello!end",
    );
}

/// A slow stream holds nobody up but itself.
#[test]
fn a_stream_that_is_not_read_holds_up_no_other() {
    check_http2(
        "c speaks h2 window=100 holding
         c.1> GET /a
         1 speaks h2
         1.1< GET /a
         1.1> 200||{1000000}
         c.1^ 200
         c.1= {100}
         c.3> GET /b
         1.3< GET /b
         1.3> 200||hello
         c.3< 200 hello
         d> GET /c HTTP/1.1|Host: h||
         1.5< GET /c
         1.5> 200||{50000}
         d< 200 chunked {50000}
         c.1 resets CANCEL
         1.1 then CANCEL",
    );
}

/// Many at once, answered in another order.
#[test]
fn many_at_once() {
    let numbers = || (0..100).map(|index| index * 2 + 1);
    let mut script = "c speaks h2\n".to_owned();
    numbers().for_each(|number| script.push_str(&format!("c.{number}> POST /{number}||body {number}\n")));
    script.push_str("1 speaks h2\n");
    numbers().for_each(|number| script.push_str(&format!("1.{number}< POST /{number} body {number}\n")));
    for number in numbers().rev() {
        script.push_str(&format!("1.{number}> 200||answer {number}\n"));
    }
    numbers().for_each(|number| script.push_str(&format!("c.{number}< 200 answer {number}\n")));
    check_http2(&script);
}

/// Heads that take more than one frame, on either side.
#[test]
fn heads_may_be_long() {
    let (long, longer) = ("a".repeat(9_000), "b".repeat(20_000));
    check_http2(&format!(
        "c speaks h2
         c.1> GET /a|x-long: {long}
         1 speaks h2
         1.1< GET /a
         1 has x-long: {long}
         1.1> 200|x-longer: {longer}|x-long: {longer}||hello
         c.1< 200 hello
         c has x-longer: {longer}
         d> GET /b HTTP/1.1|Host: h|X-Long: {long}||
         1.3< GET /b
         1 has x-long: {long}
         1.3> 200|x-longer: {longer}
         d< 200"
    ));
}
