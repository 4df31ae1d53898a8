//! What one request changes, others must not find unchanged (RFC 9111 §4.4), also where a core's mailbox is full when it is to be
//! told. Over two cores; which of them owns the key is drawn anew for each process, so each script is played with several keys.

use std::sync::mpsc;

use super::{
    harness::{Lab, Setup, run},
    renewing::{heeding, with_key},
};
use crate::Message;

/// Keys for which a script is played: in one of 128 runs all of them have the same owner.
const KEYS: usize = 8;

/// Kept by its owner; what the other core may keep of it too.
const KEPT: &str = "
    c> @
    1< GET /cached/#
    1> HTTP/1.1 200 OK|Cache-Control: max-age=3600|Content-Length: 5||hello
    c< 200 hello
    d connects 1
    d> @
    d< 200 hello
    c> @
    c< 200 hello
    d> @
    d< 200 hello
    c> @
    c< 200 hello
    d> @
    d< 200 hello";

/// Somebody on the first core changes it.
const CHANGE: &str = "e> POST /cached/# HTTP/1.1|Host: h|Content-Length: 0||";

/// Plays a change while the second core reads no letters and its mailbox is full; what follows is up to `then`.
#[track_caller]
fn check(then: impl AsyncFn(&mut Lab, usize)) {
    for key in 0..KEYS {
        run(Setup { letters_max: 1, ..heeding() }, async |lab| {
            lab.talk(&with_key(KEPT, key)).await;
            lab.deafen(1).await;
            lab.talk(&with_key(CHANGE, key)).await;
            assert_eq!(lab.answer_all('A', "HTTP/1.1 204 No Content||").await, 1);
            then(lab, key).await;
            // The answer to the change is there: from now on nobody may find what was before.
            lab.talk(&with_key("d> @", key)).await;
            let anew = "HTTP/1.1 200 OK|Cache-Control: max-age=3600|Content-Length: 5||again";
            assert_eq!(lab.answer_all('A', anew).await, 1, "key {key} on the second core");
            lab.talk(&with_key("d< 200 again\nc> @", key)).await;
            lab.answer_all('A', anew).await;
            lab.talk("c< 200 again").await;
        });
    }
}

/// There is room again: the owner is told, and the one who made the change hears of it then.
#[test]
fn a_full_mailbox_puts_a_change_off() {
    check(async |lab, _| {
        lab.talk("wait 5s").await;
        lab.hear().await;
        lab.talk("wait 1s\ne< 204").await;
    });
}

/// There is none for longer than anybody waits: the owner forgets before it reads its next letter.
#[test]
fn a_mailbox_that_stays_full_loses_no_change() {
    check(async |lab, _| {
        lab.talk("e< 204").await;
        lab.hear().await;
    });
}

/// What the other core keeps of it is not answered with, though its owner knows nothing yet.
#[test]
fn a_replica_ends_with_the_change() {
    for key in 0..KEYS {
        run(Setup { letters_max: 1, ..heeding() }, async |lab| {
            lab.talk(&with_key(KEPT, key)).await;
            lab.deafen(1).await;
            lab.talk(&with_key(CHANGE, key)).await;
            assert_eq!(lab.answer_all('A', "HTTP/1.1 204 No Content||").await, 1);
            lab.talk(&with_key("e< 204\nc> @", key)).await;
            assert_eq!(lab.answer_all('A', "HTTP/1.1 200 OK|Content-Length: 5||again").await, 1, "key {key}");
            lab.talk("c< 200 again").await;
            lab.hear().await;
        });
    }
}

/// A flush that a full mailbox has no room for.
#[test]
fn a_demand_needs_no_letter() {
    for key in 0..KEYS {
        run(heeding(), async |lab| {
            lab.talk(&with_key(KEPT, key)).await;
            for core in &lab.cores {
                core.owner.borrow().epochs.demand_all(core.index);
            }
            for post in &lab.posts {
                let (done, _) = mpsc::channel();
                assert!(post.send(Message::Pulse(done)).is_ok());
            }
            lab.settle().await;
            lab.talk(&with_key("d> @", key)).await;
            assert_eq!(lab.answer_all('A', "HTTP/1.1 200 OK|Content-Length: 5||again").await, 1, "key {key}");
            lab.talk("d< 200 again").await;
        });
    }
}
