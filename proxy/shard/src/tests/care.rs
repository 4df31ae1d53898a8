//! Backends that fail, come back, or have enough to do: who is asked, who is left out, what is asked again (rules U1 to
//! U3).

use std::time::Duration;

use model::{Breaker, Health, Model, Upstream};
use runtime::simulated::Faults;

use super::harness::{Setup, check_on, run, standard};

/// The groups `A` and `AB`.
const ONE: usize = 0;
const TWO: usize = 1;

/// Plays a script where a group is otherwise than usual, on a network in order and on one where things come in pieces.
#[track_caller]
fn check(group: usize, otherwise: impl Fn(&mut Upstream), script: &str) {
    let lossless = Faults { slow_links_per_1000: 0, accept_failures_per_1000: 0, ..Faults::lossless(7) };
    for faults in [None, Some(lossless)] {
        check_on(Setup { model: model(group, &otherwise), faults, ..Setup::default() }, script);
    }
}

fn model(group: usize, otherwise: impl Fn(&mut Upstream)) -> Model {
    let mut model = standard();
    otherwise(&mut model.upstreams[group]);
    model
}

const CALL: &str = "c> GET /ab HTTP/1.1|Host: h||\n";
const OK: &str = "HTTP/1.1 200 OK|Content-Length: 1||";

/// A call that this connection gets and answers.
fn call(connection: &str) -> String {
    format!("{CALL}{connection}< GET /ab\n{connection}> {OK}y\nc< 200 y\n")
}

/// A call to which this connection ends, so that the other one is asked.
fn call_again(broken: &str, connection: &str) -> String {
    format!("{CALL}{broken}< GET /ab\n{broken} ends\n{connection}< GET /ab\n{connection}> {OK}y\nc< 200 y\n")
}

#[test]
fn no_more_calls_are_made_than_there_may_be() {
    check(
        ONE,
        |group| group.in_flight_max = Some(1),
        "c> GET /c HTTP/1.1|Host: h||
         1< GET /c
         d> GET /d HTTP/1.1|Host: h||
         d< 503 Service Unavailable
         1> HTTP/1.1 200 OK|Content-Length: 1||c
         c< 200 c
         d> GET /d HTTP/1.1|Host: h||
         1< GET /d
         1> HTTP/1.1 200 OK|Content-Length: 1||d
         d< 200 d",
    );
}

/// A call has its place until the last byte of its answer, and a client that leaves gives it back.
#[test]
fn a_place_is_given_back_with_the_end_of_the_answer() {
    check(
        ONE,
        |group| group.in_flight_max = Some(1),
        "c> GET /c HTTP/1.1|Host: h||
         1< GET /c
         1> HTTP/1.1 200 OK|Content-Length: 2||c
         c^ 200
         d> GET /d HTTP/1.1|Host: h||
         d< 503 Service Unavailable
         c leaves
         1> c
         d> GET /d HTTP/1.1|Host: h||
         A* HTTP/1.1 200 OK|Content-Length: 1||d
         d< 200 d",
    );
}

#[test]
fn no_address_gets_more_connections_than_it_may() {
    check(
        TWO,
        |group| group.connections_max = Some(1),
        "c> GET /ab HTTP/1.1|Host: h||
         d> GET /ab HTTP/1.1|Host: h||
         B1< GET /ab
         A1< GET /ab
         e> GET /ab HTTP/1.1|Host: h||
         e< 503 Service Unavailable
         A1> HTTP/1.1 200 OK|Content-Length: 1||a
         e> GET /ab HTTP/1.1|Host: h||
         A1< GET /ab
         A1> HTTP/1.1 200 OK|Content-Length: 1||e
         e< 200 e",
    );
}

/// A new connection that ends before it says anything: another address is asked, for what does no harm twice.
#[test]
fn what_does_no_harm_twice_is_asked_of_another() {
    check(TWO, |_| {}, &call_again("B1", "A1"));
    for (request, seen) in [
        ("POST /ab HTTP/1.1|Host: h||", "POST /ab"),
        ("PUT /ab HTTP/1.1|Host: h|Content-Length: 1||x", "PUT /ab x"),
    ] {
        let script = format!("c> {request}\nB1< {seen}\nB1 ends\nc< 502 Bad Gateway");
        run(Setup::default(), async |lab| {
            lab.talk(&script).await;
            assert_eq!(lab.connections('A').await, 0, "{request}");
        });
    }
}

#[test]
fn once_a_byte_has_come_nobody_else_is_asked() {
    for (said, seen) in [("H", ""), ("HTTP/1.1 103 Early Hints|Link: a||", "c^ 103\n")] {
        let script = format!("{CALL}B1< GET /ab\nB1> {said}\nB1 ends\n{seen}c< 502 Bad Gateway");
        run(Setup::default(), async |lab| {
            lab.talk(&script).await;
            assert_eq!(lab.connections('A').await, 0, "{said}");
        });
    }
}

/// A head is held until its body begins, so that what ends in between has said nothing that anybody has seen.
#[test]
fn a_head_whose_body_does_not_begin_is_no_answer() {
    let head = "HTTP/1.1 200 OK|Content-Length: 1||";
    for end in ["ends", "aborts"] {
        check(
            TWO,
            |_| {},
            &format!("{CALL}B1< GET /ab\nB1> {head}\nB1 {end}\nA1< GET /ab\nA1> {OK}y\nc< 200 y"),
        );
    }
    for (request, said, seen) in [
        ("POST /ab HTTP/1.1|Host: h||", head.to_owned(), ""),
        ("GET /ab HTTP/1.1|Host: h||", format!("HTTP/1.1 103 Early Hints|Link: a||{head}"), "c^ 103\n"),
    ] {
        let method = request.split_once(' ').unwrap().0;
        let script = format!("c> {request}\nB1< {method} /ab\nB1> {said}\nB1 ends\n{seen}c< 502 Bad Gateway");
        run(Setup::default(), async |lab| {
            lab.talk(&script).await;
            assert_eq!(lab.connections('A').await, 0, "{request}");
        });
    }
}

/// Held for a moment only: who lets its body wait is not waited for.
#[test]
fn a_head_is_not_held_for_long() {
    check(
        ONE,
        |_| {},
        &format!(
            "c> GET / HTTP/1.1|Host: h||
             1< GET /
             1> {OK}
             c^ 200
             took 10ms
             wait 30s
             1> y
             c= y"
        ),
    );
    // What ends with the chunk that says so may be a stream that begins any time.
    check(
        ONE,
        |_| {},
        "c> GET / HTTP/1.1|Host: h||
         1< GET /
         1> HTTP/1.1 200 OK|Transfer-Encoding: chunked||
         c^ 200 chunked
         took 0ms
         1> 0||
         c= 0||",
    );
}

#[test]
fn another_is_asked_for_a_better_status() {
    let asks = |group: &mut Upstream| group.retries.status = vec![503..=503];
    let ill = "B1< GET /ab\nB1> HTTP/1.1 503 Service Unavailable|Content-Length: 3||ill\n";
    check(TWO, asks, &format!("{CALL}{ill}A1< GET /ab\nA1> {OK}y\nc< 200 y"));
    // The last one's answer is the client's.
    check(
        TWO,
        asks,
        &format!(
            "{CALL}{ill}A1< GET /ab\nA1> HTTP/1.1 503 Service Unavailable|Content-Length: 4||too!\nc< 503 too!"
        ),
    );
    // Where nobody else may be asked, the first one's is, whole, and its connection is kept.
    let spent = |group: &mut Upstream| {
        asks(group);
        (group.retries.budget, group.retries.budget_min) = (0, 0);
    };
    check(TWO, spent, &format!("{CALL}{ill}c< 503 ill\n{}{}", call("A1"), call("B1")));
    check(TWO, |_| {}, &format!("{CALL}{ill}c< 503 ill"));
    let post = ill.replace("GET", "POST");
    check(TWO, asks, &format!("c> POST /ab HTTP/1.1|Host: h||\n{post}c< 503 ill"));
    // Hints that have gone out belong to the answer that follows them.
    check(
        TWO,
        asks,
        &format!(
            "{CALL}B1< GET /ab\nB1> HTTP/1.1 103 Early Hints|Link: a||HTTP/1.1 503 Service Unavailable|Content-Length: 3||ill\nc^ 103\nc< 503 ill"
        ),
    );
}

/// Rule U3: of calls that all fail, three are repeated in ten seconds where a fifth is less; then the budget is full again.
#[test]
fn no_more_is_repeated_than_the_budget_has() {
    let fails = |first: &str, second: &str| {
        format!(
            "{CALL}{first}< GET /ab\n{first} ends\n{second}< GET /ab\n{second} ends\nc< 502 Bad Gateway\n"
        )
    };
    let fails_once = |first: &str| format!("{CALL}{first}< GET /ab\n{first} ends\nc< 502 Bad Gateway\n");
    let script = [
        fails("B1", "A1"),
        fails("B2", "A2"),
        fails("B3", "A3"),
        fails_once("B4"),
        fails_once("A4"),
        "wait 11s\n".into(),
        fails("B5", "A5"),
    ];
    check(TWO, |group| group.outlier.consecutive = 0, &script.concat());
}

#[test]
fn an_address_that_fails_is_left_out_and_comes_back() {
    let otherwise = |group: &mut Upstream| {
        group.outlier.consecutive = 2;
        group.slow_start = Duration::ZERO;
    };
    let script = [
        call_again("B1", "A1"),
        call_again("B2", "A1"),
        call("A1").repeat(5),
        "wait 29s\n".into(),
        call("A1"),
        "wait 2s\n".into(),
        // On trial: one fault is enough.
        call_again("B3", "A1"),
        call("A1").repeat(5),
        // A client's connection does not last so long.
        "c leaves\nwait 61s\n".into(),
        call("B4"),
        call("A2"),
        call("B4"),
    ];
    check(TWO, otherwise, &script.concat());
}

/// Statuses of a gateway that has nobody behind it count, a broken body too; a client's own faults never do.
#[test]
fn what_is_a_fault_of_the_backend() {
    let otherwise = |group: &mut Upstream| group.outlier.consecutive = 1;
    let then = |left_out: bool| [call("A1"), call(if left_out { "A1" } else { "B1" })].concat();
    for (status, left_out) in
        [("502 Bad Gateway", true), ("504 Gateway Timeout", true), ("500 No", false), ("429 No", false)]
    {
        let status_only = &status[..3];
        let answer =
            format!("{CALL}B1< GET /ab\nB1> HTTP/1.1 {status}|Content-Length: 1||e\nc< {status_only} e\n");
        check(TWO, otherwise, &(answer + &then(left_out)));
    }
    let broken = "d> GET /ab HTTP/1.1|Host: h||\nB1< GET /ab\nB1> HTTP/1.1 200 OK|Content-Length: 5||hell\nB1 ends\nd< 200 hell!reset\n";
    check(TWO, otherwise, &(broken.to_owned() + &then(true)));
    let given_up = "d> GET /ab HTTP/1.1|Host: h||\nB1< GET /ab\nd leaves\n";
    check(TWO, otherwise, &(given_up.to_owned() + &call("A1") + &call("B2")));
}

#[test]
fn one_address_alone_is_asked_whatever_it_does() {
    let otherwise = |group: &mut Upstream| group.outlier.consecutive = 1;
    let fails = |number: usize| {
        format!("c> GET / HTTP/1.1|Host: h||\n{number}< GET /\n{number} ends\nc< 502 Bad Gateway\n")
    };
    check(ONE, otherwise, &(1..20).map(fails).collect::<String>());
}

/// Rule U1.
#[test]
fn a_circuit_that_is_open_answers_at_once() {
    let otherwise = |group: &mut Upstream| {
        let breaker = Breaker { failures: 50, calls_min: 2, open: Duration::from_secs(5), trials: 1 };
        group.breaker = Some(breaker);
    };
    check(
        ONE,
        otherwise,
        "c> GET / HTTP/1.1|Host: h||
         1< GET /
         1> HTTP/1.1 502 Bad Gateway|Content-Length: 0||
         c< 502
         c> GET / HTTP/1.1|Host: h||
         1< GET /
         1> HTTP/1.1 502 Bad Gateway|Connection: close|Content-Length: 0||
         c< 502
         c> GET / HTTP/1.1|Host: h||
         c< 503 Service Unavailable
         c has retry-after: 5
         wait 5010ms
         c> GET /trial HTTP/1.1|Host: h||
         2< GET /trial
         d> GET / HTTP/1.1|Host: h||
         d< 503 Service Unavailable
         d has retry-after: 1
         2> HTTP/1.1 200 OK|Content-Length: 1||y
         c< 200 y
         d> GET / HTTP/1.1|Host: h||
         2< GET /
         2> HTTP/1.1 200 OK|Content-Length: 1||y
         d< 200 y",
    );
}

fn probed(group: &mut Upstream) {
    group.slow_start = Duration::ZERO;
    group.health = Some(Health {
        path: "/up?x=1".into(),
        interval: Duration::from_secs(1),
        timeout: Duration::from_millis(500),
        healthy: 1,
        unhealthy: 1,
        ..Health::default()
    });
}

/// A probe that comes on this connection and is answered so.
fn probe(connection: &str, status: &str) -> String {
    format!("{connection}< GET /up?x=1 close\n{connection}> HTTP/1.1 {status}|Content-Length: 0||\n")
}

/// Probes come at once, and then in each interval; the first ones of a group are spread over it.
#[test]
fn an_address_that_fails_its_probes_is_not_asked() {
    let script = [
        "wait 10ms\n".into(),
        probe("A1", "200 OK"),
        "A1 has user-agent: floodgate-health\nA1 has connection: close\nA1 sees fin\nwait 600ms\n".into(),
        probe("B1", "500 No"),
        call("A2").repeat(3),
        "wait 600ms\n".into(),
        probe("A3", "302 Found"),
        "wait 600ms\n".into(),
        probe("B2", "204 No Content"),
        call("B3"),
        call("A2"),
    ];
    check(TWO, probed, &script.concat());
}

/// Late, nothing, nonsense: each is a probe that fails. With none left all are asked.
#[test]
fn where_all_are_ill_all_are_asked() {
    for then in ["1> nonsense||", "1> HTTP/1.1 200", "1 ends", "1 aborts"] {
        check(
            ONE,
            probed,
            &format!(
                "wait 10ms
                 1< GET /up?x=1 close
                 {then}
                 wait 510ms
                 c> GET / HTTP/1.1|Host: h||
                 2< GET /
                 2> HTTP/1.1 200 OK|Content-Length: 1||y
                 c< 200 y"
            ),
        );
    }
}

/// One core of two probes; the other is told, and forgets when nobody probes any more.
#[test]
fn one_core_probes_for_all() {
    run(Setup { model: model(TWO, probed), cores: 2, ..Setup::default() }, async |lab| {
        let ill = ["wait 10ms\n".into(), probe("A1", "200 OK"), "wait 600ms\n".into(), probe("B1", "500 No")];
        lab.talk(&ill.concat()).await;
        assert_eq!((lab.connections('A').await, lab.connections('B').await), (1, 1));
        lab.talk("c connects\nd connects 1\n").await;
        let asks = |who: &str, path: &str, from: &str| {
            format!(
                "{who}> GET /{path} HTTP/1.1|Host: h||\n{from}< GET /{path}\n{from}> {OK}y\n{who}< 200 y\n"
            )
        };
        lab.talk(&asks("c", "ab", "A2").repeat(3)).await;
        lab.talk(&asks("d", "ab", "A3").repeat(3)).await;
        lab.publish(&model(TWO, |group| group.slow_start = Duration::ZERO)).await;
        let both =
            [asks("c", "ab", "B2"), asks("c", "ab", "A2"), asks("d", "ab", "B3"), asks("d", "ab", "A3")];
        lab.talk(&both.concat()).await;
    });
}
