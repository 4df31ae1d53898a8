//! What is kept may be stale for a while: who asks gets it at once, and the backend is asked afterwards, for nobody. Over two
//! cores; which of them owns the key is drawn anew for each process, so each script is played with several keys.

use model::CacheMode;

use super::harness::{Lab, Setup, check_on, run, standard};
use crate::renewal::RENEWALS_MAX;

/// Keys for which a script is played.
const KEYS: usize = 4;

/// Kept, and stale.
const STALE: &str = "
    c> @
    1< GET /cached/#
    1> HTTP/1.1 200 OK|Cache-Control: max-age=10, stale-while-revalidate=3600|ETag: \"a\"|Content-Length: 5||hello
    c< 200 hello
    wait 20s\n";

/// Two cores whose cache goes by what backends say.
pub(super) fn heeding() -> Setup {
    let mut model = standard();
    for route in &mut model.apis[0].definition.routes {
        if let Some(cache) = &mut route.cache {
            cache.mode = CacheMode::RespectOrigin;
        }
    }
    Setup { cores: 2, model, ..Setup::default() }
}

/// The script for a key: `@` is a request for it, `#` its name.
pub(super) fn with_key(script: &str, key: usize) -> String {
    script.replace('@', "GET /cached/# HTTP/1.1|Host: h||").replace('#', &key.to_string())
}

/// Plays a script after [`STALE`].
#[track_caller]
fn check(then: &str) {
    for key in 0..KEYS {
        check_on(heeding(), &with_key(&(STALE.to_owned() + then), key));
    }
}

#[test]
fn nobody_waits_for_a_renewal() {
    for (said, then) in [
        ("200 OK|Cache-Control: max-age=60|Content-Length: 5||again", "again"),
        ("200 OK|Cache-Control: max-age=60|Transfer-Encoding: chunked||5|again|0||", "again"),
        ("200 OK|Cache-Control: max-age=60|Content-Length: 200000||{200000}", "{200000}"),
        ("200 OK|Cache-Control: max-age=60|Content-Length: 0||", ""),
        ("304 Not Modified|Cache-Control: max-age=60||", "hello"),
    ] {
        let then = format!("200 {then}");
        let then = then.trim_end();
        check(&format!(
            "c> @
             c< 200 hello
             took 0s
             c has age: 20
             1^ GET /cached/#
             1 has if-none-match: \"a\"
             d connects 1
             d> @
             d< 200 hello
             1> HTTP/1.1 {said}
             A refuses
             c> @
             c< {then}
             d> @
             d< {then}
             d has age: 0"
        ));
    }
}

/// Its client is gone before the backend answers, or is busy with something else: it goes on.
#[test]
fn a_renewal_needs_no_client() {
    for meanwhile in ["c leaves", "c aborts", "c> GET /mock HTTP/1.1|Host: h||\nc< 200 mocked"] {
        check(&format!(
            "c> @
             c< 200 hello
             {meanwhile}
             1^ GET /cached/#
             1> HTTP/1.1 200 OK|Cache-Control: max-age=60|Content-Length: 5||again
             d connects 1
             d> @
             d< 200 again"
        ));
    }
}

/// A renewal that fails costs the stale answer nothing, and the backend is left alone for a while.
#[test]
fn a_renewal_that_fails_is_not_repeated_at_once() {
    for failure in [
        "1 ends\n2^ GET /cached/#\n2 ends",
        "1 aborts\n2^ GET /cached/#\n2 aborts",
        "1> HTTP/1.1 503 Service Unavailable|Content-Length: 0||",
        "1> nonsense||",
    ] {
        for key in 0..KEYS {
            run(heeding(), async |lab| {
                let failed = format!("{STALE}c> @\nc< 200 hello\n1^ GET /cached/#\n{failure}\n");
                lab.talk(&with_key(&(failed + "c> @\nc< 200 hello\nd connects 1\nd> @\nd< 200 hello"), key))
                    .await;
                let again = "HTTP/1.1 200 OK|Cache-Control: max-age=60|Content-Length: 5||again";
                assert_eq!(lab.answer_all('A', again).await, 0, "{failure}");
                lab.talk(&with_key("wait 1s\nd> @\nd< 200 hello", key)).await;
                assert_eq!(lab.answer_all('A', again).await, 1, "{failure}");
                lab.talk(&with_key("c> @\nc< 200 again\nd> @\nd< 200 again", key)).await;
            });
        }
    }
}

/// An answer that is not whole is none; the next one who asks has it tried again.
#[test]
fn a_renewal_that_is_cut_is_begun_anew() {
    for cut in [
        "1> HTTP/1.1 200 OK|Cache-Control: max-age=60|Content-Length: 5||agai\n1 ends",
        "1> HTTP/1.1 200 OK|Cache-Control: max-age=60|Transfer-Encoding: chunked||5|again|",
    ] {
        check(&format!(
            "c> @
             c< 200 hello
             1^ GET /cached/#
             {cut}
             wait 30s
             c> @
             c< 200 hello
             A* HTTP/1.1 200 OK|Cache-Control: max-age=60|Content-Length: 5||again
             c> @
             c< 200 again"
        ));
    }
}

/// A node that ends does not wait for it.
#[test]
fn a_renewal_holds_no_end_up() {
    check(
        "c> @
         c< 200 hello
         1^ GET /cached/#
         c leaves
         drain 60s
         1 sees fin",
    );
}

/// So many at once on a core; the others get their stale answers all the same, and the next who asks begins anew.
#[test]
fn renewals_are_bounded() {
    const MORE: usize = 80;
    let one = Setup { cores: 1, ..heeding() };
    run(one, async |lab| {
        let control = "Cache-Control: max-age=10, stale-while-revalidate=3600";
        let ask = |lab: &Lab, key: usize| lab.send('c', &with_key("@", key));
        lab.talk("c connects").await;
        for key in 0..MORE {
            ask(lab, key);
            let first = format!("HTTP/1.1 200 OK|{control}|Content-Length: 5||hello");
            assert_eq!(lab.answer_all('A', &first).await, 1);
            lab.talk("c< 200 hello").await;
        }
        lab.talk("wait 20s").await;
        for key in 0..MORE {
            ask(lab, key);
            lab.talk("c< 200 hello").await;
        }
        assert_eq!(lab.cores[0].renewals.get(), RENEWALS_MAX);
        let again = "HTTP/1.1 200 OK|Cache-Control: max-age=60|Content-Length: 5||again";
        assert_eq!(lab.answer_all('A', again).await, RENEWALS_MAX);
        assert_eq!(lab.cores[0].renewals.get(), 0);
        ask(lab, MORE - 1);
        lab.talk("c< 200 hello").await;
        assert_eq!(lab.answer_all('A', again).await, 1);
    });
}
