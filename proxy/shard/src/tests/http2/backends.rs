//! Connections to backends that many calls share: how few they are, and what becomes of calls when one of them ends,
//! refuses or falls silent (rule U6, RFC 9113 §6.8 and §8.7).

use super::{check_http2, secure};
use crate::{
    kept::{KEPT_BYTES_CORE_MAX, KEPT_BYTES_MAX},
    pressure::Level,
    tests::harness::{Lab, Setup, check_on, in_http2, run},
};

/// What it has not looked at is asked once more, on another connection; what it has seen is not.
#[test]
fn what_a_leaving_backend_has_not_seen_is_asked_again() {
    check_http2(
        "c speaks h2
         c.1> GET /a
         c.3> POST /b
         c.5> POST /c
         1 speaks h2
         1.1< GET /a
         1.3< POST /b
         1.5< POST /c
         1 goes away 3 NO_ERROR
         2 speaks h2
         2.1< POST /c
         2.1> 200||c
         c.5< 200 c
         1.1> 200||a
         1.3> 200||b
         c.1< 200 a
         c.3< 200 b
         1 sees fin
         c.7> GET /d
         2.3< GET /d
         2.3> 204
         c.7< 204",
    );
    // With an error, and with none left.
    check_http2(
        "c speaks h2
         c.1> POST /a
         1 speaks h2
         1.1< POST /a
         1 goes away 0 ENHANCE_YOUR_CALM
         2 speaks h2
         2.1< POST /a
         2.1> 200||a
         c.1< 200 a",
    );
    check_http2(
        "d> POST /a HTTP/1.1|Host: h||
         1 speaks h2
         1.1< POST /a
         1.1 resets REFUSED_STREAM
         1.3< POST /a
         1.3> 200||a
         d< 200 chunked a",
    );
}

/// Ways to say that a request was not looked at, and the stream on which it comes again.
const REFUSALS: [(&str, &str); 2] =
    [("1.1 resets REFUSED_STREAM", "1.3"), ("1 goes away 0 NO_ERROR\n2 speaks h2", "2.1")];

/// What has gone of its body goes once more, and then what had not: from a client of HTTP/2, from one of HTTP/1.1 that says
/// how long it is, and from one that does not.
#[test]
fn what_was_refused_with_a_short_body_is_asked_again() {
    let clients = [
        ("c speaks h2\nc.1+ POST /a", "c.1+ ", "c.1> ", "c.1< 204"),
        ("c> POST /a HTTP/1.1|Host: h|Content-Length: 10||", "c> ", "c> ", "c< 204"),
        ("c> POST /a HTTP/1.1|Host: h|Transfer-Encoding: chunked||", "c> 5|", "c> |5|", "c< 204"),
    ];
    for (begin, more, last, answered) in clients {
        let end = if begin.ends_with("chunked||") { "|0||" } else { "" };
        for (refusal, again) in REFUSALS {
            let answer = format!("{again}< POST /a helloworld\n{again}> 204\n{answered}");
            // Before any of it, in the midst of it, and behind its end.
            let (hello, world) = (format!("{more}hello"), format!("{last}world{end}"));
            for (before, after) in [
                (String::new(), format!("{hello}\n{world}")),
                (format!("{hello}\n1.1= hello"), world.clone()),
                (format!("{hello}\n{world}\n1.1 sees helloworld!end"), String::new()),
            ] {
                check_http2(&format!(
                    "{begin}
                     1 speaks h2
                     1.1^ POST /a
                     {before}
                     {refusal}
                     {after}
                     {answer}"
                ));
            }
        }
    }
    // The end of one that is empty is something as well.
    for (refusal, again) in REFUSALS {
        check_http2(&format!(
            "c speaks h2
             c.1+ POST /a
             1 speaks h2
             1.1^ POST /a
             c.1>
             1.1 sees end
             {refusal}
             {again}< POST /a
             {again}> 204
             c.1< 204"
        ));
    }
}

/// It may be refused more than once, and find less room than before.
#[test]
fn what_was_refused_twice_is_still_whole() {
    run(Setup { model: in_http2(), ..Setup::default() }, async |lab: &mut Lab| {
        lab.talk("c speaks h2\nc.1+ POST /ab||hello").await;
        let (one, two) = if lab.connections('A').await > 0 { ("1", "B1") } else { ("B1", "1") };
        lab.talk(&format!(
            "{one} speaks h2
             {one}.1^ POST /ab
             {one}.1= hello
             {one}.1 resets REFUSED_STREAM
             {two} speaks h2
             {two}.1^ POST /ab
             c.1+ world
             {two}.1= helloworld
             {one} sets window=5 holding
             {two}.1 resets REFUSED_STREAM
             c.1> !
             {one}.3^ POST /ab
             {one}.3= hello
             {one}.3 gives 100
             {one}.3 sees world!!end
             {one}.3> 204
             c.1< 204"
        ))
        .await;
    });
}

/// Nobody has what has gone of a longer one, or of one with trailers behind it.
#[test]
fn what_was_refused_with_a_long_body_is_not_asked_again() {
    let kept = KEPT_BYTES_MAX;
    let long = kept + 1;
    for (refusal, _) in REFUSALS {
        let refusal = refusal.lines().next().unwrap();
        for body in [
            format!("c.1+ POST /a||{{{long}}}"),
            format!("c.1+ POST /a|content-length: {long}||hello"),
            format!("c.1+ POST /a||{{{kept}}}\nc.1+ x"),
            "c.1+ POST /a||hello\nc.1 trails a: b".to_owned(),
        ] {
            check_on(
                Setup { model: in_http2(), ..Setup::default() },
                &format!(
                    "c speaks h2
                     {body}
                     1 speaks h2
                     1.1^ POST /a
                     {refusal}
                     c.1< 502 Bad Gateway"
                ),
            );
        }
    }
    check_http2(&format!(
        "c speaks h2
             c.1+ POST /a||{{{kept}}}
             1 speaks h2
             1.1^ POST /a
             1.1 resets REFUSED_STREAM
             c.1>
             1.3< POST /a {{{kept}}}
             1.3> 204
             c.1< 204"
    ));
}

/// Nothing is kept when memory is short, nor of more calls than there is room for, nor behind the head of an answer.
#[test]
fn what_is_kept_of_bodies_is_bounded() {
    run(Setup { model: in_http2(), ..Setup::default() }, async |lab: &mut Lab| {
        lab.talk(
            "c speaks h2
             c.1+ POST /a||hello
             1 speaks h2
             1.1^ POST /a
             1.1= hello",
        )
        .await;
        assert_eq!(lab.cores[0].kept_bytes.get(), 5);
        lab.talk("1.1+ 200||one\nc.1^ 200\nc.1+ more\n1.1= more").await;
        assert_eq!(lab.cores[0].kept_bytes.get(), 0);
        lab.press(Level::Trim).await;
        lab.talk(
            "c.3+ POST /a||hello
             1.3^ POST /a
             1.3 resets REFUSED_STREAM
             c.3< 502 Bad Gateway",
        )
        .await;
        lab.press(Level::Enough).await;
        lab.cores[0].kept_bytes.set(KEPT_BYTES_CORE_MAX - 4);
        lab.talk(
            "c.5+ POST /a||hello
             1.5^ POST /a
             c.7+ POST /a||four
             1.7^ POST /a
             1.5 resets REFUSED_STREAM
             c.5< 502 Bad Gateway
             1.7 resets REFUSED_STREAM
             1.9^ POST /a
             1.9= four",
        )
        .await;
        let held = &lab.cores[0].kept_bytes;
        held.set(held.get() - (KEPT_BYTES_CORE_MAX - 4));
    });
}

/// A body that goes twice is paid for, as what a backend may have seen is.
#[test]
fn bodies_that_go_again_are_paid_for() {
    let mut script = String::from("c speaks h2\n1 speaks h2\n");
    let mut number = 1;
    for call in 0..4 {
        let client = 1 + 2 * call;
        script.push_str(&format!(
            "c.{client}+ POST /a||hello\n1.{number}^ POST /a\n1.{number} resets REFUSED_STREAM\n"
        ));
        number += 2;
        if call < 3 {
            script.push_str(&format!(
                "c.{client}>\n1.{number}< POST /a hello\n1.{number}> 204\nc.{client}< 204\n"
            ));
            number += 2;
        } else {
            script.push_str(&format!("c.{client}< 502 Bad Gateway\n"));
        }
    }
    check_http2(&script.replacen("1 speaks h2\n", "", 1).replacen("1.1^", "1 speaks h2\n1.1^", 1));
}

/// One that refuses for ever is not asked for ever.
#[test]
fn a_backend_that_refuses_all_is_asked_a_few_times() {
    check_http2(
        "c speaks h2
         c.1> GET /a
         1 speaks h2
         1.1< GET /a
         1.1 resets REFUSED_STREAM
         1.3< GET /a
         1.3 resets REFUSED_STREAM
         c.1< 502 Bad Gateway",
    );
}

/// While a connection has long calls to finish, all that come later share one other.
#[test]
fn calls_behind_a_go_away_share_one_new_connection() {
    run(Setup { model: in_http2(), ..Setup::default() }, async |lab: &mut Lab| {
        lab.talk(
            "c speaks h2
             c.1> GET /long
             1 speaks h2
             1.1< GET /long
             1.1+ 200||begin
             c.1^ 200
             1 goes away 1 NO_ERROR
             c.3> GET /a
             2 speaks h2
             2.1< GET /a
             2.1> 204
             c.3< 204
             c.5> GET /b
             2.3< GET /b
             2.3> 204
             c.5< 204
             1.1> end
             c.1 sees beginend!end",
        )
        .await;
        assert_eq!(lab.connections('A').await, 2);
    });
}

/// Many that lose their connection at once do not make one each.
#[test]
fn calls_that_were_refused_together_share_one_new_connection() {
    // Who has made the connection does not know that it was ever good.
    for (end, again) in [("1 goes away 0 NO_ERROR", 50), ("1 aborts", 49)] {
        run(Setup { model: in_http2(), ..Setup::default() }, async |lab: &mut Lab| {
            let numbers = || (0..50).map(|index| index * 2 + 1);
            let mut script = String::from("c speaks h2\n");
            numbers().for_each(|number| script.push_str(&format!("c.{number}> GET /{number}\n")));
            script.push_str("1 speaks h2\n");
            numbers().for_each(|number| script.push_str(&format!("1.{number}< GET /{number}\n")));
            lab.talk(&std::mem::take(&mut script)).await;
            lab.forget_streams();
            script.push_str(&format!("{end}\n2 speaks h2\n"));
            lab.talk(&script).await;
            assert_eq!(lab.answer_streams("204").await, again, "{end}");
            let answered = numbers().skip(50 - again).map(|number| format!("c.{number}< 204\n"));
            lab.talk(&answered.collect::<String>()).await;
            assert_eq!(lab.connections('A').await, 2, "{end}");
        });
    }
}

/// As many calls at once as there are in ten connections' streams.
#[test]
fn a_thousand_calls_share_ten_connections() {
    run(Setup { model: in_http2(), ..Setup::default() }, async |lab: &mut Lab| {
        let clients = 'a'..='j';
        let numbers = || (0..100).map(|index| index * 2 + 1);
        for client in clients.clone() {
            let mut script = format!("{client} speaks h2\n");
            numbers()
                .for_each(|number| script.push_str(&format!("{client}.{number}> GET /{client}/{number}\n")));
            lab.talk(&script).await;
        }
        let connections = lab.connections('A').await;
        assert!(connections <= 10, "{connections}");
        lab.talk(&(1..=10).map(|number| format!("{number} speaks h2\n")).collect::<String>()).await;
        assert_eq!(lab.answer_streams("200||hello").await, 1_000);
        for client in clients {
            let script: String = numbers().map(|number| format!("{client}.{number}< 200 hello\n")).collect();
            lab.talk(&script).await;
        }
        assert_eq!(lab.connections('A').await, connections);
    });
}

/// A backend that allows fewer streams than there are calls gets no more than those on one connection.
#[test]
fn a_limit_that_is_lowered_is_kept() {
    check_http2(
        "c speaks h2
         c.1> GET /a
         c.3> GET /b
         1 speaks h2
         1.1< GET /a
         1.3< GET /b
         1 sets streams=1
         c.5> GET /c
         2 speaks h2
         2.1< GET /c
         1.1> 204
         c.1< 204
         c.7> GET /d
         2.3< GET /d
         1.3> 204
         c.3< 204
         c.9> GET /e
         1.5< GET /e
         1 sets streams=100
         c.11> GET /f
         1.7< GET /f
         1.5> 204
         1.7> 204
         2.1> 204
         2.3> 204
         c.5< 204
         c.7< 204
         c.9< 204
         c.11< 204",
    );
}

/// What falls silent is found out by its calls, and used no more.
#[test]
fn a_connection_that_falls_silent_is_left() {
    check_http2(
        "c speaks h2
         c.1> GET /a
         1 speaks h2 holding
         1.1< GET /a
         1.1> 204
         c.1< 204
         c.3> GET /b
         d> POST /c HTTP/1.1|Host: h|Content-Length: 5||hello
         c.3< 504 Gateway Timeout
         d< 504 Gateway Timeout
         took 29s
         c.5> GET /d
         2 speaks h2
         2.1< GET /d
         2.1> 204
         c.5< 204",
    );
}

/// One slow answer among others says nothing of the connection.
#[test]
fn a_connection_with_one_slow_answer_is_kept() {
    check_http2(
        "c speaks h2
         c.1> GET /slow
         1 speaks h2
         1.1< GET /slow
         wait 20s
         c.3> GET /a
         1.3< GET /a
         1.3> 204
         c.3< 204
         c.1< 504 Gateway Timeout
         1.1 then CANCEL
         c.5> GET /b
         1.5< GET /b
         1.5> 204
         c.5< 204",
    );
}

/// In the middle of an answer, or of a request.
#[test]
fn a_body_that_stands_still_is_given_up() {
    check_http2(
        "c speaks h2
         c.1> GET /a
         1 speaks h2
         1.1< GET /a
         1.1+ 200||hello
         c.1^ 200
         c.1 sees hello!INTERNAL_ERROR
         took 60s
         1.1 then CANCEL",
    );
    check_http2(
        "w> GET /w HTTP/1.1|Host: h||
         1 speaks h2 window=10 holding
         1.1< GET /w
         1.1> 204
         w< 204
         c speaks h2
         c.1> POST /a||{60000}
         1.3^ POST /a
         c.1< 504 Gateway Timeout
         took 60s
         1.3 then CANCEL",
    );
}

/// Idle connections end in time, and those that a backend has ended are not used.
#[test]
fn idle_connections_end() {
    check_http2(
        "c> GET /a HTTP/1.1|Host: h||
         1 speaks h2
         1.1< GET /a
         1.1> 204
         c< 204
         1 ends
         c> GET /b HTTP/1.1|Host: h||
         2 speaks h2
         2.1< GET /b
         2.1> 204
         c< 204
         wait 70s
         2 sees fin",
    );
}

/// Who makes the connection for all may have less time than others, who do not fail for it.
#[test]
fn a_call_that_has_no_time_left_fails_nobody_else() {
    let call = "POST /s/m|:authority: gateway.test|content-type: application/grpc|te: trailers";
    check_on(
        secure(&[tls::ALPN_HTTP2], &[tls::ALPN_HTTP2], &["gateway.test"]),
        &format!(
            "c speaks h2
                 c.1> {call}|grpc-timeout: 100m
                 c.3> GET /a|:authority: gateway.test
                 d speaks h2
                 d.1> GET /b|:authority: gateway.test
                 c.1^ 200
                 took 100ms
                 c has grpc-status: 4
                 2 speaks h2
                 2.1^ GET /a
                 2.3^ GET /b
                 2.1> 204
                 2.3> 204
                 c.3< 204
                 d.1< 204"
        ),
    );
}

/// Who makes the connection for all may leave: it is made for those who stay, and for nobody when all have left.
#[test]
fn a_connection_is_made_for_as_long_as_somebody_waits_for_it() {
    let asked = |client: char, path: &str| {
        format!("{client} speaks h2\n{client}.1> GET {path}|:authority: gateway.test\n")
    };
    let both = || asked('c', "/a") + &asked('d', "/b");
    for left in ["c.1 resets CANCEL", "c leaves", "c aborts"] {
        check_on(
            secure(&[tls::ALPN_HTTP2], &[tls::ALPN_HTTP2], &["gateway.test"]),
            &format!(
                "{}{left}
                 1 speaks h2
                 1.1< GET /b
                 1.1> 204
                 d.1< 204",
                both()
            ),
        );
        for all in [left.to_owned(), format!("{}{left}\nd.1 resets CANCEL", asked('d', "/b"))] {
            let setup = secure(&[tls::ALPN_HTTP2], &[tls::ALPN_HTTP2], &["gateway.test"]);
            run(setup, async |lab: &mut Lab| {
                lab.talk(&(asked('c', "/a") + &all)).await;
                let in_flight = lab.cores[0].pool(0, |pool| pool.in_flight());
                assert_eq!(in_flight, Some(0), "{all}");
                lab.talk("1 sees reset").await;
            });
        }
    }
}

/// All who wait for a connection that can't be made hear the same.
#[test]
fn a_connection_that_is_not_made_fails_all_who_wait_for_it() {
    check_on(
        secure(&[tls::ALPN_HTTP2], &[tls::ALPN_HTTP2], &["gateway.test"]),
        "c speaks h2
         c.1> GET /a|:authority: gateway.test
         c.3> POST /b|:authority: gateway.test
         d speaks h2
         d.1> GET /c|:authority: gateway.test
         c.1< 504 Gateway Timeout
         c.3< 504 Gateway Timeout
         d.1< 504 Gateway Timeout
         took 2s
         c.5> GET /nobody|:authority: gateway.test
         c.7> GET /nobody|:authority: gateway.test
         c.5< 502 Bad Gateway
         c.7< 502 Bad Gateway
         took 0s",
    );
}

/// A backend that is no such thing.
#[test]
fn a_backend_that_speaks_something_else() {
    check_on(
        Setup { model: in_http2(), ..Setup::default() },
        "c> GET /a HTTP/1.1|Host: h||
         1> HTTP/1.1 400 Bad Request|Content-Length: 0||
         c< 502 Bad Gateway
         d> GET /a HTTP/1.1|Host: h||
         2 leaves
         d< 502 Bad Gateway",
    );
}
