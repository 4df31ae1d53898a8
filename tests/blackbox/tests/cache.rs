//! The response cache where it counts: one call for many clients, expiry, flush, its bound, its metrics.

use std::{sync::Arc, thread};

use harness::{Act, Gate, Gateway, Origin, Protocol, eventually, over};

over_all! {
    hits_and_misses_are_counted
    hits_are_alike_by_either_way
    many_clients_cost_one_call
    a_leader_that_leaves_is_replaced
    followers_of_an_error_ask_themselves
    entries_expire
    a_flush_forgets_all
    what_is_hot_is_kept_on_every_core
    the_bound_holds
    what_is_personal_is_not_shared
    a_kept_answer_is_whole_for_every_client
}

fn cached(url: &str, cache: &str) -> String {
    format!("[[route]]\nmatch = \"GET /{{rest+}}\"\nurl = \"{url}\"\ncache = {cache}\n")
}

fn hits_and_misses_are_counted() {
    let origin = Origin::fixed("kept");
    let gateway = Gateway::with(&cached(&origin.url(), "\"60s\"")).workers(2).start();
    for number in 0..12 {
        // Each connection may meet another core: they all answer from one cache.
        assert_eq!(gateway.ask(&format!("GET /{}", number % 3)).text(), "kept");
    }
    assert_eq!(origin.requests().len(), 3);
    let metrics = gateway.metrics();
    assert_eq!(metrics.sum("floodgate_cache_misses_total", &[]), 3.0);
    assert_eq!(metrics.sum("floodgate_cache_hits_total", &[]), 9.0);
    assert_eq!(metrics.sum("floodgate_cache_entries", &[]), 3.0);
}

/// A hit is one prebuilt answer where nobody has a word to say about it, and made anew for an API with CORS: the client
/// sees the same bytes, but for whose origin it is.
fn hits_are_alike_by_either_way() {
    let hit = |cors: &str, asked: &str| {
        let origin = Origin::start(|_| {
            vec![Act::answer(
                200,
                &[("x-a", "1"), ("Age", "5"), ("Date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("ETag", "\"1\"")],
                "kept",
            )]
        });
        let gateway = Gateway::start(&(cors.to_owned() + &cached(&origin.url(), "\"60s\"")));
        gateway.ask("GET /a");
        let response = gateway.ask(asked);
        assert_eq!(origin.requests().len(), 1, "{asked} was not a hit");
        let metrics = gateway.metrics();
        assert_eq!(metrics.sum("floodgate_cache_hits_total", &[]), 1.0);
        assert_eq!(metrics.sum("floodgate_cache_misses_total", &[]), 1.0);
        // The one field of CORS in an answer to who names no origin.
        let fields = response.fields.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("vary"));
        let fields: Vec<_> =
            fields.map(|(name, value)| format!("{}: {value}", name.to_ascii_lowercase())).collect();
        (response.status, fields, response.body)
    };
    let (asked, closing) = (
        [("GET /a", 200), ("HEAD /a", 200), ("GET /a\nIf-None-Match: \"1\"", 304)],
        ("GET /a\nConnection: close", 200),
    );
    // HTTP/2 has no such field.
    let closing = (over().clients == Protocol::Http1).then_some(closing);
    for (asked, status) in asked.into_iter().chain(closing) {
        let plain = hit("", asked);
        assert_eq!(plain.0, status, "{asked}");
        assert!(
            plain.1.iter().any(|field| matches!(field.as_str(), "age: 5" | "age: 6" | "age: 7")),
            "{plain:?}"
        );
        assert_eq!(plain, hit("[cors]\nallow_origins = [\"https://a.example\"]\n", asked), "{asked}");
    }
}

/// Fifty clients at once, one call: the leader fetches, the others get its answer.
fn many_clients_cost_one_call() {
    let gate = Gate::default();
    let waits = gate.clone();
    let origin =
        Origin::start(move |_| vec![Act::Wait(waits.clone()), Act::answer(200, &[("x-a", "1")], "shared")]);
    let gateway = Arc::new(Gateway::with(&cached(&origin.url(), "\"60s\"")).workers(2).start());
    let mut clients: Vec<_> = (0..50).map(|_| gateway.client()).collect();
    for client in &mut clients {
        client.ask("GET /one");
    }
    origin.received(1);
    eventually("all clients are in", || {
        (gateway.metrics().sum("floodgate_connections_open", &[]) >= 50.0).then_some(())
    });
    gate.open();
    for client in &mut clients {
        let response = client.response();
        assert_eq!((response.text(), response.field("x-a")), ("shared".to_owned(), Some("1")));
    }
    assert_eq!(origin.requests().len(), 1);
}

/// The leader goes away: somebody else fetches, nobody waits for ever.
fn a_leader_that_leaves_is_replaced() {
    let origin = Origin::start(|request| {
        if request.all("x-leader").is_empty() {
            vec![Act::answer(200, &[], "later")]
        } else {
            vec![Act::Stall]
        }
    });
    let gateway = Gateway::start(&cached(&origin.url(), "\"60s\""));
    let mut leader = gateway.client();
    leader.ask("GET /one\nx-leader: 1");
    origin.received(1);
    let mut followers: Vec<_> = (0..5).map(|_| gateway.client()).collect();
    for follower in &mut followers {
        follower.ask("GET /one");
    }
    leader.reset();
    for follower in &mut followers {
        assert_eq!(follower.response().text(), "later");
    }
}

/// What cannot be kept is not shared: each client gets an answer of its own.
fn followers_of_an_error_ask_themselves() {
    let gate = Gate::default();
    let waits = gate.clone();
    let origin = Origin::start(move |_| vec![Act::Wait(waits.clone()), Act::answer(503, &[], "not now")]);
    let gateway = Gateway::start(&cached(&origin.url(), "\"60s\""));
    let mut clients: Vec<_> = (0..4).map(|_| gateway.client()).collect();
    for client in &mut clients {
        client.ask("GET /one");
    }
    origin.received(1);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response().status, 503);
    }
    assert_eq!(gateway.metrics().sum("floodgate_cache_entries", &[]), 0.0);
}

fn entries_expire() {
    let origin = Origin::fixed("kept");
    let gateway = Gateway::start(&cached(&origin.url(), "\"1s\""));
    assert_eq!(gateway.ask("GET /one").text(), "kept");
    assert_eq!(gateway.ask("GET /one").text(), "kept");
    assert_eq!(origin.requests().len(), 1);
    eventually("the entry has expired", || {
        gateway.ask("GET /one");
        (origin.requests().len() == 2).then_some(())
    });
}

fn a_flush_forgets_all() {
    let origin = Origin::fixed("kept");
    let gateway = Gateway::with(&cached(&origin.url(), "\"60s\"")).workers(2).start();
    for path in ["/a", "/b", "/a", "/b"] {
        gateway.ask(&format!("GET {path}"));
    }
    assert_eq!(origin.requests().len(), 2);
    // Accepted, as on AWS: the cores forget it at their next turn.
    assert!(gateway.flush().status.success());
    for (number, path) in ["/a", "/b"].into_iter().enumerate() {
        eventually("it was forgotten", || {
            gateway.ask(&format!("GET {path}"));
            (origin.requests().len() == 3 + number).then_some(())
        });
    }
}

/// What is asked for again and again on a core that does not own it is answered there, within the same bound; and a flush
/// ends that too.
fn what_is_hot_is_kept_on_every_core() {
    let origin = Origin::fixed("kept");
    let config = format!("[cache]\nsize = \"1MiB\"\n{}", cached(&origin.url(), "\"60s\""));
    let gateway = Gateway::with(&config).workers(2).start();
    let ask = || {
        // Each connection may meet the owner or the other.
        let mut connection = gateway.client();
        for _ in 0..4 {
            assert_eq!(connection.ask("GET /hot").response().text(), "kept");
        }
    };
    eventually("one core answers for the other", || {
        ask();
        (gateway.metrics().sum("floodgate_cache_replica_hits_total", &[]) >= 1.0).then_some(())
    });
    assert_eq!(origin.requests().len(), 1);
    let metrics = gateway.metrics();
    let [replicas, used, capacity] = ["replica_bytes", "used_bytes", "capacity_bytes"]
        .map(|name| metrics.sum(&format!("floodgate_cache_{name}"), &[]));
    assert!(0.0 < replicas && replicas < used && used <= capacity && capacity <= f64::from(1 << 20));
    assert!(gateway.flush().status.success());
    eventually("it was forgotten", || {
        ask();
        (origin.requests().len() == 2).then_some(())
    });
    let answered = gateway.metrics().sum("floodgate_cache_replica_hits_total", &[]);
    eventually("one core answers for the other again", || {
        ask();
        (gateway.metrics().sum("floodgate_cache_replica_hits_total", &[]) > answered).then_some(())
    });
    assert_eq!(origin.requests().len(), 2);
}

/// The bound over all cores is never passed, whatever comes.
fn the_bound_holds() {
    let body = "x".repeat(60_000);
    let origin = Origin::fixed(&body);
    let config = format!("[cache]\nsize = \"1MiB\"\n{}", cached(&origin.url(), "\"60s\""));
    let gateway = Gateway::with(&config).workers(2).start();
    let mut connection = gateway.client();
    for number in 0..200 {
        assert_eq!(connection.ask(&format!("GET /{number}")).response().body.len(), body.len());
        if number % 20 == 0 {
            let metrics = gateway.metrics();
            let used = metrics.sum("floodgate_cache_used_bytes", &[]);
            assert!(used <= f64::from(1 << 20), "{used} bytes after {number} entries");
        }
    }
    let metrics = gateway.metrics();
    assert!(metrics.sum("floodgate_cache_evictions_total", &[]) > 100.0);
    assert!(metrics.sum("floodgate_cache_entries", &[]) >= 4.0, "a cache that keeps nothing is no cache");
}

/// What is personal is not kept for others: an answer that sets a cookie, a request with credentials.
fn what_is_personal_is_not_shared() {
    let origin = Origin::start(|request| {
        vec![match request.target() {
            "/cookie" => Act::answer(200, &[("Set-Cookie", "id=1")], "yours"),
            "/private" => Act::answer(200, &[("Cache-Control", "private")], "yours"),
            "/no-store" => Act::answer(200, &[("Cache-Control", "no-store")], "yours"),
            _ => Act::answer(200, &[("Vary", "*")], "yours"),
        }]
    });
    let gateway = Gateway::start(&cached(&origin.url(), "\"60s\""));
    for (number, path) in ["/cookie", "/private", "/no-store", "/vary"].into_iter().enumerate() {
        gateway.ask(&format!("GET {path}"));
        gateway.ask(&format!("GET {path}"));
        assert_eq!(origin.answered(2 * (number + 1)).len(), 2 * (number + 1), "{path} was kept");
    }
}

fn a_kept_answer_is_whole_for_every_client() {
    let body = "0123456789".repeat(50_000);
    let origin = Origin::fixed(&body);
    let gateway = Arc::new(Gateway::with(&cached(&origin.url(), "\"60s\"")).workers(2).start());
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let gateway = Arc::clone(&gateway);
            thread::spawn(move || {
                let mut connection = gateway.client();
                (0..20).map(|_| connection.ask("GET /big").response().text()).collect::<Vec<_>>()
            })
        })
        .collect();
    for client in clients {
        assert!(client.join().unwrap().iter().all(|text| *text == body));
    }
    assert_eq!(origin.requests().len(), 1);
}
