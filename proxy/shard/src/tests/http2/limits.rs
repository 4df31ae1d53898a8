//! How long a client of HTTP/2 is waited for, what it hears when the node ends or has no memory, and that nothing of this
//! ends what is under way.

use std::time::Duration;

use ::harness::h2::{Block, Frame, flag};

use super::check_http2;
use crate::{
    pressure::Level,
    tests::harness::{Lab, Setup, check, in_http2, run, standard},
};

#[test]
fn a_connection_without_requests_ends() {
    check(
        "c speaks h2
         c is sent away 0 NO_ERROR
         took 10s
         c sees fin",
    );
    check(
        "c speaks h2
         c.1> GET /mock
         c.1< 200 mocked
         c is sent away 1 NO_ERROR
         took 180s
         c sees fin",
    );
}

/// What keeps a connection busy without asking for anything does not keep it.
#[test]
fn pings_do_not_keep_a_connection() {
    run(Setup::default(), async |lab: &mut Lab| {
        lab.talk("c speaks h2\nc.1> GET /mock\nc.1< 200 mocked").await;
        for _ in 0..36 {
            lab.frame("c", &Frame::ping([7; 8]));
            lab.talk("wait 5s").await;
        }
        lab.talk("c is sent away 1 NO_ERROR\nc sees fin").await;
    });
}

#[test]
fn a_head_that_does_not_come_is_not_waited_for() {
    let block =
        Block::of(&[(":method", "GET"), (":scheme", "http"), (":authority", "h"), (":path", "/mock")]);
    let (begin, rest) = {
        let bytes = block.bytes();
        let (begin, rest) = bytes.split_at(5);
        (begin.to_vec(), rest.to_vec())
    };
    // In the middle of a block, whatever comes of it, and in the middle of a frame.
    for drips in [false, true] {
        run(Setup::default(), async |lab: &mut Lab| {
            lab.talk("c speaks h2").await;
            lab.frame("c", &Frame::headers(1, flag::END_STREAM, begin.clone()));
            for byte in &rest[..4] {
                lab.talk("wait 2s").await;
                if drips {
                    lab.frame("c", &Frame::continuation(1, 0, [*byte]));
                }
            }
            lab.talk(
                "wait 1500ms
                 c sees nothing
                 wait 1s
                 c is sent away 0 ENHANCE_YOUR_CALM
                 c sees fin",
            )
            .await;
        });
    }
    run(Setup::default(), async |lab: &mut Lab| {
        lab.talk("c speaks h2\nc.1> GET /mock\nc.1< 200 mocked").await;
        let frame = Frame::headers(3, flag::END_STREAM | flag::END_HEADERS, block.bytes()).bytes();
        for byte in &frame[..9] {
            lab.raw("c", &[*byte]);
            lab.talk("wait 1s").await;
        }
        lab.talk("wait 2s\nc is sent away 1 ENHANCE_YOUR_CALM\nc sees fin").await;
    });
}

/// Whatever it has too much of: it is refused as it is over HTTP/1.1, and the connection goes on; only what is beyond all
/// measure ends it.
#[test]
fn a_head_that_is_too_long_is_refused_alone() {
    let long = |fields: usize, bytes: usize| format!("|x-a: {}", "a".repeat(bytes)).repeat(fields);
    run(Setup::default(), async |lab: &mut Lab| {
        lab.talk("c speaks h2").await;
        for (number, (fields, bytes)) in
            [(5, 15_000), (16, 15_000), (1, 120_000), (2, 120_000), (1, 400_000)].into_iter().enumerate()
        {
            let (stream, next) = (4 * number + 1, 4 * number + 3);
            let head = long(fields, bytes);
            lab.talk(&format!(
                "c.{stream}> GET /mock{head}
                 c.{stream}< 431 Request Header Fields Too Large
                 c.{next}> GET /mock
                 c.{next}< 200 mocked"
            ))
            .await;
        }
        lab.talk(&format!("c.21> GET /mock{}", long(35, 15_000))).await;
        lab.talk("c is sent away 19 ENHANCE_YOUR_CALM\nc sees fin").await;
    });
}

/// It ends the stream, and nothing else.
#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    check(
        "c speaks h2
         c.1+ POST /a|content-length: 10||hello
         1^ POST /a
         1= hello
         c.1< 408 Request Timeout
         took 10s
         c.1 then NO_ERROR
         1 sees fin
         c.3> GET /mock
         c.3< 200 mocked",
    );
    check_http2(
        "c speaks h2
         c.1+ POST /a||hello
         1 speaks h2
         1.1^ POST /a
         1.1= hello
         c.1< 408 Request Timeout
         took 10s
         1.1 then CANCEL
         c.3> GET /b
         1.3< GET /b
         1.3> 204
         c.3< 204",
    );
}

/// A reader that gives no credit, or a byte each second, costs 30 seconds at most, and no other stream anything.
#[test]
fn a_reader_that_stalls_is_given_up() {
    for (path, answer) in [
        ("/a", "1< GET /a\n1> HTTP/1.1 200 OK|Content-Length: 1000000||{1000000}"),
        ("/a", "1< GET /a\n1> HTTP/1.1 200 OK|Transfer-Encoding: chunked||186a0|{100000}|0||"),
        ("/cached/a", "1< GET /cached/a\n1> HTTP/1.1 200 OK|Content-Length: 100000||{100000}"),
        ("/mock", ""),
    ] {
        for drips in [false, true] {
            run(Setup::default(), async |lab: &mut Lab| {
                lab.talk(&format!("c speaks h2 window=1 holding\nc.1> GET {path}\n{answer}")).await;
                for second in 0..30 {
                    if drips && lab.is_open("c", 1) {
                        lab.talk("c.1 gives 1").await;
                    }
                    lab.talk("wait 1s").await;
                    if second == 5 {
                        lab.talk("c sets window=100\nc.3> GET /mock\nc.3< 200 mocked").await;
                    }
                    if drips && path == "/mock" && second == 4 {
                        return;
                    }
                }
                assert!(!lab.is_open("c", 1), "{path} {drips}");
                lab.talk("c.5> GET /mock\nc.5< 200 mocked").await;
            });
        }
    }
}

/// A client that does not read its connection at all.
#[test]
fn a_client_that_reads_nothing_is_given_up() {
    check(
        "c speaks h2 window=10000000
         c gives 10000000
         c.1> GET /a
         1^ GET /a
         c hears nothing
         1> HTTP/1.1 200 OK|Content-Length: 9000000||{9000000}
         1 sees reset
         took 30s",
    );
}

/// In two steps: what is under way is answered, what crosses it too.
#[test]
fn a_node_that_ends_says_so_and_finishes_what_it_has() {
    check_http2(
        "c speaks h2
         c.1> GET /a
         c.3+ POST /b||hello
         1 speaks h2
         1.1< GET /a
         1.3^ POST /b
         d speaks h2
         d.1> GET /mock
         d.1< 200 mocked
         e speaks h2
         drain 30s
         c is sent away 2147483647 NO_ERROR
         d is sent away 2147483647 NO_ERROR
         e is sent away 2147483647 NO_ERROR
         c is sent away 3 NO_ERROR
         d is sent away 1 NO_ERROR
         d sees fin
         e is sent away 0 NO_ERROR
         e sees fin
         1.1> 200||{100000}
         c.1< 200 {100000}
         c.3> world
         1.3= helloworld
         1.3> 204
         c.3< 204
         c sees fin",
    );
}

/// A client that has not heard the second step yet may still ask.
#[test]
fn a_request_that_crosses_the_end_is_answered() {
    run(Setup::default(), async |lab: &mut Lab| {
        lab.talk("c speaks h2\nc.1> GET /a\n1< GET /a\nc hears nothing\ndrain 30s").await;
        lab.talk(
            "c.3> GET /mock
             c hears
             c.3< 200 mocked
             c is sent away 2147483647 NO_ERROR
             c is sent away 3 NO_ERROR
             1> HTTP/1.1 204 No Content||
             c.1< 204
             c sees fin",
        )
        .await;
    });
}

/// Memory: less is let in ahead, and in need connections without requests end.
#[test]
fn what_is_short_of_memory_takes_less() {
    run(Setup::default(), async |lab: &mut Lab| {
        lab.talk("c speaks h2\nc.1+ POST /a||hello\n1^ POST /a chunked").await;
        let (usual, short) = (64 << 10, 16 << 10);
        assert_eq!(lab.windows("c"), [usual]);
        lab.press(Level::Trim).await;
        assert_eq!(lab.windows("c"), [usual, short]);
        lab.talk("c.1+ {200000}\nd speaks h2").await;
        assert_eq!(lab.windows("d"), [short]);
        lab.press(Level::default()).await;
        assert_eq!((lab.windows("c"), lab.windows("d")), (vec![usual, short, usual], vec![short, usual]));
        // The next change is told as soon as the one before was heard.
        lab.talk("d hears nothing").await;
        lab.press(Level::Trim).await;
        lab.press(Level::default()).await;
        lab.talk("d hears\nd sees nothing").await;
        assert_eq!(lab.windows("d"), [short, usual, short, usual]);
        lab.press(Level::Shut).await;
        lab.talk(
            "d is sent away 2147483647 NO_ERROR
             d is sent away 0 NO_ERROR
             d sees fin
             c.1>
             1= 5|hello|
             1> HTTP/1.1 204 No Content||
             c.1< 204",
        )
        .await;
        lab.press(Level::default()).await;
    });
}

/// Another configuration in the middle of streams: they go on as they began, new ones by the new one.
#[test]
fn a_reload_cuts_no_stream() {
    for model in [standard(), in_http2()] {
        run(Setup { model: model.clone(), ..Setup::default() }, async |lab: &mut Lab| {
            lab.talk("c speaks h2\nc.1+ POST /a||hello\nd speaks h2 window=10 holding\nd.1> GET /mock").await;
            let mut next = model.clone();
            next.apis[0].definition.routes.truncate(1);
            // The group that was asked is gone too.
            next.apis[0].definition.routes[0].integration =
                model::Integration::Http { upstream: "C".into(), path: None, strip_prefix: None };
            next.upstreams.retain(|upstream| upstream.name == "C");
            lab.publish(&next).await;
            lab.talk("c.3> GET /mock").await;
            lab.talk(if model.upstreams[0].http2 {
                "1 speaks h2
                 C1 speaks h2
                 1.1^ POST /a
                 c.1> world
                 1.1= helloworld
                 1.1> 200||{100000}
                 C1.1< GET /mock
                 C1.1> 204"
            } else {
                "1^ POST /a chunked
                 c.1> world
                 1= 5|hello|5|world|0||
                 1> HTTP/1.1 200 OK|Content-Length: 100000||{100000}
                 C1< GET /mock
                 C1> HTTP/1.1 204 No Content||"
            })
            .await;
            lab.talk("c.1< 200 {100000}\nc.3< 204\nd.1< 200 mocked").await;
        });
    }
}

/// Nothing of it is cut before its time is up.
#[test]
fn a_long_drain_ends_with_the_last_stream() {
    run(Setup { model: in_http2(), ..Setup::default() }, async |lab: &mut Lab| {
        lab.talk("c speaks h2\nc.1> GET /a\n1 speaks h2\n1.1< GET /a\n1.1+ 200||begin").await;
        lab.drain(Duration::from_secs(60));
        lab.talk("wait 20s\n1.1+ more\nwait 20s\n1.1> end\nc.1< 200 beginmoreend").await;
        lab.talk("c sees fin").await;
        assert_eq!(lab.ended(), 0);
    });
}

/// What was let in for streams that were given up, or that nobody read, is let in again for others (bug 30).
#[test]
fn credit_comes_back_from_streams_that_were_not_read() {
    let numbers = || (0..40).map(|index| index * 2 + 1);
    // Answered before they were read.
    let mut early = "c speaks h2\n".to_owned();
    numbers().for_each(|number| {
        early.push_str(&format!("c.{number}+ POST /mock||{{60000}}\nc.{number}< 200 mocked\n"));
    });
    check(&format!(
        "{early}
         c.81> POST /a||{{2000000}}
         1< POST /a chunked {{2000000}}
         1> HTTP/1.1 204 No Content||
         c.81< 204"
    ));
    // Given up by their client, while the backend takes nothing, and in the middle of an answer that it does not read.
    let mut up = "w> GET /w HTTP/1.1|Host: h||
                  1 speaks h2 window=10 holding
                  1.1< GET /w
                  1.1> 204
                  w< 204
                  c speaks h2\n"
        .to_owned();
    let mut down = "c speaks h2 window=10 holding\n".to_owned();
    for number in numbers() {
        let called = number + 2;
        up.push_str(&format!(
            "c.{number}+ POST /a||{{60000}}
             1.{called}^ POST /a
             c.{number} resets CANCEL
             1.{called} then CANCEL\n"
        ));
        // All of it has come, or more is to come.
        let (bytes, told) = match number % 4 {
            1 => (250_000, String::new()),
            _ => (300_000, format!("1.{number} then CANCEL")),
        };
        let begins = if number == 1 { "1 speaks h2\n" } else { "" };
        down.push_str(&format!(
            "c.{number}> GET /a
             {begins}1.{number}< GET /a
             1.{number}> 200||{{{bytes}}}
             c.{number}^ 200
             c.{number} resets CANCEL
             {told}\n"
        ));
    }
    check_http2(&format!(
        "{up}
         1 sets window=1000000
         1 gives 10000000
         c.81> POST /b||{{900000}}
         1.83< POST /b {{900000}}
         1.83> 204
         c.81< 204"
    ));
    check_http2(&format!(
        "{down}
         d> GET /b HTTP/1.1|Host: h||
         1.81< GET /b
         1.81> 200||{{6000000}}
         d< 200 chunked {{6000000}}"
    ));
}

#[test]
fn a_node_without_memory_refuses_and_goes_on() {
    run(Setup { model: in_http2(), ..Setup::default() }, async |lab: &mut Lab| {
        lab.talk("c speaks h2\nc.1> GET /a\n1 speaks h2\n1.1< GET /a").await;
        lab.press(Level::Refuse).await;
        lab.talk("c.3> GET /b\nc.3< 503 Service Unavailable\n1.1> 200||hello\nc.1< 200 hello").await;
        lab.press(Level::default()).await;
    });
}

/// A client's connection begins with few connections to backends, until one of them has answered or a moment has passed; what
/// is taken back before is none.
#[test]
fn a_new_connection_makes_few_calls() {
    const CALLS: usize = 30;
    const AT_ONCE: usize = 16;
    for (then, calls) in [
        ("wait 20ms", CALLS),
        ("1< GET /1\n1> HTTP/1.1 204 No Content||\nc.1< 204", CALLS - 1),
        ("c.59 resets CANCEL\nwait 20ms", CALLS - 1),
        ("c leaves\nwait 20ms", AT_ONCE),
    ] {
        run(Setup::default(), async |lab: &mut Lab| {
            let asks = (0..CALLS).map(|index| index * 2 + 1);
            let asks: String = asks.map(|number| format!("c.{number}> GET /{number}\n")).collect();
            lab.talk(&format!("c speaks h2\n{asks}")).await;
            assert_eq!(lab.connections('A').await, AT_ONCE, "{then}");
            lab.talk(then).await;
            assert_eq!(lab.connections('A').await, calls, "{then}");
        });
    }
}

/// Who is odd and is told to go goes soon, also if it does not say that it has heard it.
#[test]
fn who_is_odd_and_deaf_is_not_waited_for() {
    run(Setup::default(), async |lab: &mut Lab| {
        lab.talk("c speaks h2\nc.1> GET /mock\nc.1< 200 mocked\nc hears nothing").await;
        // Two points each, but for the first.
        for _ in 0..420 {
            lab.frame("c", &Frame::priority(1, 3, 1));
        }
        for (wait, open) in [("wait 900ms", 1), ("wait 10s", 0)] {
            lab.talk(wait).await;
            assert_eq!(lab.cores[0].open_connections(), open, "{wait}");
        }
    });
}
