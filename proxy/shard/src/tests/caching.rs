//! The cache over two cores: one fetches, the others wait, and nobody is left waiting whoever dies. Which core owns a key
//! is drawn anew for each process; so each script is played with several keys, and holds for every owner.

use std::sync::mpsc;

use super::harness::{Setup, check_on, run, standard};
use crate::Message;

/// Keys for which a script is played.
const KEYS: usize = 8;

fn two_cores() -> Setup {
    Setup { cores: 2, ..Setup::default() }
}

/// The script for a key: `@` is a request for it, `#` its name.
fn with_key(script: &str, key: usize) -> String {
    script.replace('@', "GET /cached/# HTTP/1.1|Host: h||").replace('#', &key.to_string())
}

/// Plays a script on two cores.
#[track_caller]
fn check(script: &str) {
    for key in 0..KEYS {
        check_on(two_cores(), &with_key(script, key));
    }
}

/// `c` and `d` on the first core, `e` and `f` on the second all want the same; `c` is the one who fetches.
const FOUR: &str = "
    e connects 1
    f connects 1
    c> @
    1^ GET /cached/#
    d> @
    e> @
    f> @\n";

#[track_caller]
fn check_four(then: &str) {
    check(&(FOUR.to_owned() + then));
}

/// Plays it, then lets the backend answer all that it is asked beside the first: so many, and `d`, `e` and `f` get it.
#[track_caller]
fn check_four_go_themselves(then: &str, said: &str, calls: usize, got: &str) {
    for key in 0..KEYS {
        run(two_cores(), async |lab| {
            lab.talk(&with_key(&(FOUR.to_owned() + then), key)).await;
            assert_eq!(lab.answer_all('A', &format!("HTTP/1.1 {said}")).await, calls, "{then}");
            lab.talk(&format!("d< {got}\ne< {got}\nf< {got}\n1 leaves")).await;
        });
    }
}

#[test]
fn one_fetches_and_all_are_answered() {
    for (said, first) in [
        ("Content-Length: 5||hello", "hello"),
        ("Transfer-Encoding: chunked||5|hello|0||", "chunked hello"),
        ("Content-Length: 200000||{200000}", "{200000}"),
    ] {
        let body = first.trim_start_matches("chunked ");
        check_four(&format!(
            "1> HTTP/1.1 200 OK|{said}
             c< 200 {first}
             d< 200 {body}
             d has age: 0
             e< 200 {body}
             f< 200 {body}
             1 sees nothing
             A refuses
             c> @
             c< 200 {body}
             e> @
             e< 200 {body}"
        ));
    }
}

#[test]
fn an_entry_lives_as_long_as_it_may() {
    check(
        "c> @
         1> HTTP/1.1 200 OK|Content-Length: 5||hello
         c< 200 hello
         wait 59s
         d connects 1
         d> @
         d< 200 hello
         d has age: 59
         wait 1s
         d> @
         2> HTTP/1.1 200 OK|Content-Length: 5||again
         d< 200 again",
    );
}

/// The leader's client, its call, or its answer dies: the next one fetches, and all who are left are answered.
#[test]
fn a_leader_that_dies_hands_on() {
    for death in [
        "c aborts",
        "c leaves",
        "1> HTTP/1.1 200 OK|Content-Length: 5||hell\n1 ends\nc< 200 hell!reset",
        "1> HTTP/1.1 200 OK|Content-Length: 5||hell\nwait 10s\nc^ 200\n1 aborts\nc sees hell!reset",
        "1> HTTP/1.1 200 OK|Transfer-Encoding: chunked||\nc^ 200 chunked\n1> x\nc sees reset",
    ] {
        check_four(&format!(
            "{death}
             2< GET /cached/#
             2> HTTP/1.1 200 OK|Content-Length: 5||hello
             d< 200 hello
             e< 200 hello
             f< 200 hello
             A refuses
             e> @
             e< 200 hello"
        ));
    }
}

/// What can't be kept is not waited for a second time: all go by themselves.
#[test]
fn what_is_not_kept_is_fetched_by_everybody() {
    for said in [
        "200 OK|Cache-Control: no-store|Content-Length: 2||ok",
        "200 OK|Set-Cookie: a=b|Content-Length: 2||ok",
        "200 OK|Vary: *|Content-Length: 2||ok",
        "500 Internal Server Error|Content-Length: 2||ok",
        "200 OK|Content-Length: 2000000||{2000000}",
    ] {
        let got = format!("{} {}", &said[..3], if said.ends_with("ok") { "ok" } else { "{2000000}" });
        check_four_go_themselves(&format!("1> HTTP/1.1 {said}\nc< {got}"), said, 3, &got);
    }
    // A refusal of ours is nobody else's answer; two go, and the third has what the first of them brings home.
    check_four_go_themselves("c< 504 Gateway Timeout", "200 OK|Content-Length: 2||ok", 2, "200 ok");
    check_four_go_themselves("1 ends\nc< 502 Bad Gateway", "200 OK|Content-Length: 2||ok", 2, "200 ok");
}

/// One that grows too large on its way lets the others go as soon as that is known.
#[test]
fn what_outgrows_the_cache_is_not_waited_for() {
    let first = "1> HTTP/1.1 200 OK|Transfer-Encoding: chunked||200000|{1100000}\nc^ 200 chunked";
    check_four_go_themselves(first, "200 OK|Content-Length: 2||ok", 3, "200 ok");
}

#[test]
fn a_follower_whose_client_left_holds_nobody_up() {
    // It is not missed.
    check_four(
        "d leaves
         1> HTTP/1.1 200 OK|Content-Length: 5||hello
         c< 200 hello
         e< 200 hello
         f< 200 hello",
    );
    // It inherits, finds its client gone, and hands on.
    for key in 0..KEYS {
        run(two_cores(), async |lab| {
            lab.talk(&with_key(&(FOUR.to_owned() + "d leaves\ne aborts\nc leaves\n1 sees fin"), key)).await;
            assert_eq!(lab.answer_all('A', "HTTP/1.1 200 OK|Content-Length: 5||hello").await, 1);
            lab.talk("f< 200 hello\ntook 0s").await;
        });
    }
}

/// A client that reads slowly does not hold up those who wait for its copy.
#[test]
fn a_leader_that_reads_slowly_holds_nobody_up() {
    check_four(
        "1> HTTP/1.1 200 OK|Content-Length: 900000||{900000}
         d< 200 {900000}
         e< 200 {900000}
         f< 200 {900000}
         c< 200 {900000}",
    );
}

/// Nobody waits longer than 30 s for another; who has stopped waiting inherits nothing.
#[test]
fn waiting_has_an_end() {
    check(
        "c> @
         1^ GET /cached/#
         1> HTTP/1.1 200 OK|Content-Length: 5||h
         c^ 200
         d connects 1
         d> @
         wait 15s
         e> @
         2^ GET /cached/#
         took 15s
         2> HTTP/1.1 200 OK|Content-Length: 5||hello
         d< 200 hello
         1 aborts
         c sees h!reset
         3^ GET /cached/#
         took 0s
         3> HTTP/1.1 200 OK|Content-Length: 5||hello
         e< 200 hello
         A refuses
         d> @
         d< 200 hello",
    );
}

/// Who has stopped waiting gives its place to another, who waits for something else: late news are not for that one.
#[test]
fn late_news_reach_nobody_else() {
    check(
        "c> @
         1^ GET /cached/#
         1> HTTP/1.1 200 OK|Content-Length: 5||h
         c^ 200
         d> @
         2^ GET /cached/#
         took 30s
         e> GET /cached/other HTTP/1.1|Host: h||
         3^ GET /cached/other
         f> GET /cached/other HTTP/1.1|Host: h||
         1> ello
         c= hello
         f sees nothing
         3> HTTP/1.1 200 OK|Content-Length: 5||other
         e< 200 other
         f< 200 other
         2> HTTP/1.1 200 OK|Content-Length: 5||hello
         d< 200 hello",
    );
}

#[test]
fn a_flushed_entry_is_fetched_anew() {
    for key in 0..KEYS {
        run(two_cores(), async |lab| {
            let first = "c> @\n1> HTTP/1.1 200 OK|Content-Length: 5||hello\nc< 200 hello\nd connects 1";
            lab.talk(&with_key(first, key)).await;
            let mut flushed = 0;
            for post in &lab.posts {
                let (done, count) = mpsc::channel();
                assert!(post.send(Message::Flush(done)).is_ok());
                lab.settle().await;
                flushed += count.try_recv().unwrap();
            }
            assert_eq!(flushed, 1);
            let then = "d> @\n2> HTTP/1.1 200 OK|Content-Length: 5||again\nd< 200 again";
            lab.talk(&with_key(then, key)).await;
        });
    }
}

/// Heads are answered from entries, and make none.
#[test]
fn a_head_is_answered_from_an_entry_and_makes_none() {
    check_on(
        two_cores(),
        "c> HEAD /cached/a HTTP/1.1|Host: h||
         1^ HEAD /cached/a
         1> HTTP/1.1 200 OK|Content-Length: 5||
         c^ 200
         c> GET /cached/a HTTP/1.1|Host: h||
         1^ GET /cached/a
         1> HTTP/1.1 200 OK|Content-Length: 5||hello
         c< 200 hello
         c> HEAD /cached/a HTTP/1.1|Host: h||
         c^ 200
         c has content-length: 5
         c> GET /cached/a HTTP/1.1|Host: h||
         c< 200 hello",
    );
}

/// Bug 1: a hit for a request with a body that nobody reads.
#[test]
fn a_hit_leaves_no_body_behind() {
    let mut model = standard();
    let api = &mut model.apis[0];
    api.kind = model::Kind::Rest;
    api.stages[0].name = "prod".into();
    api.definition.routes.retain(|route| route.cache.is_some());
    let smuggled = "GET /poison HTTP/1.1|Host: h||";
    let length = smuggled.replace('|', "\r\n").len();
    check_on(
        Setup { model, ..Setup::default() },
        &format!(
            "c> GET /prod/cached/a HTTP/1.1|Host: h||
             1^ GET /cached/a
             1> HTTP/1.1 200 OK|Content-Length: 5||hello
             c< 200 hello
             c> GET /prod/cached/a HTTP/1.1|Host: h|Content-Length: {length}||{smuggled}
             c< 200 hello
             c> GET /prod/cached/a HTTP/1.1|Host: h|Content-Length: {length}||
             c< 200 hello
             c> {smuggled}GET /prod/cached/a HTTP/1.1|Host: h||
             c< 200 hello
             c> GET /prod/cached/a HTTP/1.1|Host: h|Transfer-Encoding: chunked||{length:x}|{smuggled}|0||
             c< 200 close hello
             c sees fin
             1 sees nothing"
        ),
    );
}

/// Cores that drain still answer one another.
#[test]
fn cores_that_end_still_answer_one_another() {
    check_four(
        "drain 60s
         wait 5s
         1> HTTP/1.1 200 OK|Content-Length: 5||hello
         c< 200 close hello
         d< 200 close hello
         e< 200 close hello
         f< 200 close hello
         took 0s",
    );
}

/// A core that can't take a letter is done without.
#[test]
fn an_owner_that_takes_no_letters_is_done_without() {
    for key in 0..KEYS {
        run(Setup { letters_max: 1, ..two_cores() }, async |lab| {
            lab.talk("c connects\nd connects 1").await;
            // Both mailboxes are full when the requests come, in the same turn.
            for post in &lab.posts {
                let (done, _) = mpsc::channel();
                assert!(post.send(Message::Flush(done)).is_ok());
            }
            lab.send('c', &with_key("@", key));
            lab.send('d', &with_key("@", key));
            assert_eq!(lab.answer_all('A', "HTTP/1.1 200 OK|Content-Length: 2||ok").await, 2);
            lab.talk("c< 200 ok\nd< 200 ok").await;
        });
    }
}

/// The right to fetch finds a full mailbox: it goes back, and the next who asks has it.
#[test]
fn a_right_that_can_not_be_told_is_not_lost() {
    for key in 0..KEYS {
        run(Setup { letters_max: 1, ..two_cores() }, async |lab| {
            lab.talk("c connects 1\nd connects").await;
            lab.send('c', &with_key("@", key));
            lab.handle.yield_now().await;
            // In the turn in which the first core may be asked, so that its answer meets this letter.
            let (done, _) = mpsc::channel();
            assert!(lab.posts[1].send(Message::Collect(done)).is_ok());
            lab.settle().await;
            lab.talk(&with_key("d> @", key)).await;
            assert_eq!(lab.answer_all('A', "HTTP/1.1 200 OK|Content-Length: 2||ok").await, 1);
            lab.talk("d< 200 ok\ntook 0s\nwait 31s").await;
            lab.answer_all('A', "HTTP/1.1 200 OK|Content-Length: 2||ok").await;
            lab.talk("c< 200 ok").await;
        });
    }
}
