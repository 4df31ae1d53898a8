//! Changes while it runs: taken whole or not at all, and nobody who is being served notices.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use harness::{Act, Gate, Gateway, Origin};

over_both! {
    a_good_file_is_taken_by_reload_and_by_sighup
    a_bad_file_changes_nothing_and_says_why
    flags_outlive_a_reload
    a_request_in_flight_keeps_what_it_began_with
    each_reload_has_another_backend
    a_reload_keeps_buckets
    nobody_notices_a_reload
}

fn mock(body: &str) -> String {
    format!("[[route]]\nmatch = \"GET /\"\nmock = {{ status = 200, body = \"{body}\" }}\n")
}

#[track_caller]
fn reload(gateway: &Gateway) -> String {
    let output = gateway.reload();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    said
}

fn a_good_file_is_taken_by_reload_and_by_sighup() {
    let gateway = Gateway::with(&mock("one")).workers(2).start();
    let mut connection = gateway.client();
    assert_eq!(connection.ask("GET /").response().text(), "one");
    gateway.configure(&mock("two"));
    reload(&gateway);
    // When the command has returned every core serves the new one, on connections that were open before too.
    for _ in 0..8 {
        assert_eq!(gateway.ask("GET /").text(), "two");
    }
    assert_eq!(connection.ask("GET /").response().text(), "two");
    gateway.configure(&mock("three"));
    gateway.hang_up();
    harness::eventually("SIGHUP is taken", || (gateway.ask("GET /").text() == "three").then_some(()));
    // It is counted when it is over: a little after the first core answers so.
    harness::eventually("both are counted", || {
        (gateway.metrics().sum("floodgate_reloads_total", &[]) == 2.0).then_some(())
    });
}

fn a_bad_file_changes_nothing_and_says_why() {
    let gateway = Gateway::start(&mock("one"));
    gateway.configure("[[route]]\nmatch = \"GET /\"\nmok = { status = 200 }\n[[route]]\nmatch = \"GET /b\"\nurl = \"nonsense\"\n");
    let output = gateway.reload();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success());
    for part in ["floodgate.toml:", "mok", "did you mean `mock`?", "nonsense"] {
        assert!(said.contains(part), "no {part:?} in:\n{said}");
    }
    assert_eq!(gateway.ask("GET /").text(), "one");
    gateway.configure(&mock("two"));
    reload(&gateway);
    assert_eq!(gateway.ask("GET /").text(), "two");
}

/// Whatever is wrong with a file: nothing changes, what is wrong is said, and SIGHUP says as much as the command.
#[test]
fn every_kind_of_bad_file_changes_nothing() {
    let gateway = Gateway::start(&mock("one"));
    let kept = std::fs::read(gateway.state("last-good")).unwrap();
    let long = format!("# {}\n", "x".repeat(10 << 20));
    let bad: &[(&str, &[&str])] = &[
        ("[[route\n", &["floodgate.toml:"]),
        ("[[route]]\nmatch = \"GET /\"\n", &["nothing answers this route"]),
        ("[[route]]\nmatch = \"GET /{a}/{a}\"\nmock = { status = 200 }\n", &["floodgate.toml:", "{a}"]),
        ("[[route]]\nmatch = \"GET /\"\nmock = { status = 99 }\nx = 1\n", &["99", "unknown key `x`"]),
        (
            "[[route]]\nmatch = \"GET /{a}\"\nmock = { status = 200 }\n[[route]]\nmatch = \"GET /{b}\"\nmock = { status = 200 }\n",
            &["GET /{b}"],
        ),
        ("[[route]]\nmatch = \"GET /\"\nurl = \"http://${NOT_SET_HERE}\"\n", &["NOT_SET_HERE"]),
        ("[[route]]\nmatch = \"GET /\"\nurl = \"${file:not-there}\"\n", &["not-there"]),
        ("[[certificate]]\nchain = \"a.pem\"\nkey = \"b.pem\"\n", &["a.pem", "b.pem"]),
        ("[[listener]]\naddress = \"127.0.0.1:0\"\nplain = true\n", &["`listener` can't be changed"]),
        (&long, &["longer than 10485760 bytes"]),
    ];
    for (number, (text, parts)) in bad.iter().enumerate() {
        gateway.configure(text);
        let output = gateway.reload();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{text:.200}");
        for part in *parts {
            assert!(said.contains(part), "no {part:?} in:\n{said}");
        }
        assert_eq!(gateway.ask("GET /").text(), "one");
        let metrics = gateway.metrics();
        assert_eq!(metrics.sum("floodgate_generation", &[]), 1.0);
        assert_eq!(
            metrics.sum("floodgate_reloads_total", &[("result", "refused")]),
            number as f64 + 1.0,
            "{text:.200}"
        );
    }
    std::fs::write(gateway.config_file(), b"[node]\n# \xff\n").unwrap();
    assert!(!gateway.reload().status.success());
    std::fs::remove_file(gateway.config_file()).unwrap();
    assert!(!gateway.reload().status.success());
    gateway.configure(bad[3].0);
    gateway.hang_up();
    for part in ["not reloaded, nothing has changed", "unknown key `x`", "99"] {
        gateway.wait_for_line(part);
    }
    assert_eq!(gateway.ask("GET /").text(), "one");
    assert_eq!(std::fs::read(gateway.state("last-good")).unwrap(), kept);
}

/// Rule R6: a file damaged at random is taken or refused, never half of it; the seed is said by a failure.
#[test]
fn damaged_files_are_taken_or_refused() {
    const FILES: u64 = 250;
    let whole = "[limits]\nbody = \"1MiB\"\nheaders = \"4KiB\"\n[cors]\nallow_origins = [\"https://a.example\"]\n\
                 [[route]]\nmatch = \"GET /\"\nmock = { status = 200, body = \"plain\" }\n\
                 [[route]]\nmatch = \"/pets/{id}\"\nmock = { status = 201 }\ncache = \"1m\"\n\
                 throttle = { rate = \"10/s\", burst = 5, per = \"client\" }\n\
                 [[api]]\nname = \"shop\"\nkind = \"http\"\nhosts = [\"shop.example\"]\n\
                 [[api.route]]\nkey = \"GET /orders/{proxy+}\"\nintegration = { type = \"mock\", body = \"pong\" }\n";
    let gateway = Gateway::start(whole);
    let (mut taken, mut refused) = (0, 0);
    for seed in 0..FILES {
        let before = gateway.ask("GET /");
        gateway.configure(&damaged(whole, seed));
        let output = gateway.reload();
        let said = String::from_utf8_lossy(&output.stderr);
        let after = gateway.ask("GET /");
        if output.status.success() {
            taken += 1;
        } else {
            refused += 1;
            assert_eq!((after.status, after.text()), (before.status, before.text()), "seed {seed}");
            assert!(
                said.contains("floodgate.toml:") || said.contains("can't be changed"),
                "seed {seed}: no place in {said}"
            );
        }
    }
    let metrics = gateway.metrics();
    assert_eq!(metrics.sum("floodgate_generation", &[]), f64::from(taken + 1));
    assert_eq!(metrics.sum("floodgate_reloads_total", &[("result", "refused")]), f64::from(refused));
    assert!(taken > 3 && refused > 100, "{taken} taken, {refused} refused");
    assert!(!gateway.said().contains("panicked"), "{}", gateway.said());
}

/// One to four things done to a text: bytes changed, taken out or put in, lines doubled.
fn damaged(whole: &str, seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut below = |limit: usize| {
        // xorshift64 (Marsaglia 2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % limit.max(1) as u64) as usize
    };
    let mut text: Vec<char> = whole.chars().collect();
    for _ in 0..=below(4) {
        let at = below(text.len());
        match below(5) {
            0 => drop(text.remove(at)),
            1 => text[at] = ['"', '[', ']', '=', '\n', '\0', 'x', '9', '{', 'é'][below(10)],
            2 => text.insert(at, ['"', ' ', '\n', '#', '.', '-', '0', 'a'][below(8)]),
            3 => drop(text.splice(at..(at + below(30)).min(text.len()), [])),
            _ => {
                let text_now: String = text.iter().collect();
                let lines: Vec<&str> = text_now.lines().collect();
                let line: Vec<char> = format!("{}\n", lines[below(lines.len())]).chars().collect();
                let start = text[..at].iter().rposition(|char| *char == '\n').map_or(0, |at| at + 1);
                drop(text.splice(start..start, line));
            }
        }
    }
    text.into_iter().collect()
}

#[test]
fn what_needs_a_restart_is_refused_by_name() {
    let gateway = Gateway::start(&mock("one"));
    let text = std::fs::read_to_string(gateway.config_file()).unwrap();
    std::fs::write(gateway.config_file(), text.replace("workers = 1", "workers = 2")).unwrap();
    let output = gateway.reload();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success() && said.contains("workers"), "{said}");
    assert_eq!(gateway.ask("GET /").text(), "one");
}

/// What the command line says counts more than the file, at a reload as at the start.
fn flags_outlive_a_reload() {
    let state = tempfile::TempDir::new().unwrap();
    let with_flags = Gateway::with(&mock("one")).argument("--workers").argument("2");
    let gateway = with_flags.argument("--state").argument(state.path().to_str().unwrap()).start();
    gateway.configure(&mock("two"));
    reload(&gateway);
    assert_eq!(gateway.ask("GET /").text(), "two");
    assert_eq!(gateway.metrics().sum("floodgate_workers", &[]), 2.0);
}

fn a_request_in_flight_keeps_what_it_began_with() {
    let gate = Gate::default();
    let waits = gate.clone();
    let origin =
        Origin::start(move |_| vec![Act::Wait(waits.clone()), Act::answer(200, &[], "begun before")]);
    let gateway = Gateway::start(&crate::everything(&origin.url()));
    let mut connection = gateway.client();
    connection.ask("GET /");
    origin.received(1);
    gateway.configure(&mock("new"));
    reload(&gateway);
    assert_eq!(gateway.ask("GET /").text(), "new");
    gate.open();
    assert_eq!(connection.response().text(), "begun before");
    assert_eq!(connection.ask("GET /").response().text(), "new");
}

/// What cores keep of backends that are gone is another's after some reloads: each request comes to the one that is configured,
/// by address and by name, and a request that began with the first one to the first.
fn each_reload_has_another_backend() {
    const RELOADS: usize = 24;
    const NAMED: [&str; 4] = ["zero", "one", "two", "three"];
    let gate = Gate::default();
    let origins: Vec<_> = NAMED
        .into_iter()
        .map(|name| {
            let waits = gate.clone();
            Origin::start(move |request| {
                let held = request.head.starts_with("GET /held ").then(|| Act::Wait(waits.clone()));
                held.into_iter().chain([Act::answer(200, &[], name)]).collect()
            })
        })
        .collect();
    let url = |number: usize| {
        let url = origins[number % NAMED.len()].url();
        if number.is_multiple_of(3) { url.replace("127.0.0.1", "localhost") } else { url }
    };
    let gateway = Gateway::with(&crate::everything(&url(0))).workers(2).start();
    let (mut held, mut kept) = (gateway.client(), gateway.client());
    held.ask("GET /held");
    origins[0].received(1);
    for number in 1..=RELOADS {
        gateway.configure(&crate::everything(&url(number)));
        reload(&gateway);
        for _ in 0..4 {
            let answers = [kept.ask("GET /").response(), gateway.ask("GET /")];
            assert_eq!(
                answers.map(|answer| answer.text()),
                [NAMED[number % NAMED.len()]; 2],
                "reload {number}"
            );
        }
    }
    gate.open();
    assert_eq!(held.response().text(), NAMED[0]);
}

/// Buckets are spent, not settings: a reload forgives nobody.
fn a_reload_keeps_buckets() {
    let route = |more: &str| {
        format!(
            "[[route]]\nmatch = \"GET /\"\nmock = {{ status = 200 }}\nthrottle = {{ rate = \"1/h\", burst = 2 }}\n{more}"
        )
    };
    let gateway = Gateway::start(&route(""));
    assert_eq!([(); 3].map(|()| gateway.ask("GET /").status), [200, 200, 429]);
    gateway.configure(&route("[[route]]\nmatch = \"GET /other\"\nmock = { status = 200 }\n"));
    reload(&gateway);
    assert_eq!(gateway.ask("GET /other").status, 200);
    assert_eq!(gateway.ask("GET /").status, 429);
}

/// Ten reloads under load on kept connections and on new ones: not one request fails.
fn nobody_notices_a_reload() {
    let gateway = Arc::new(Gateway::with(&mock("0")).workers(2).start());
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|kind| {
            let (gateway, over) = (Arc::clone(&gateway), Arc::clone(&over));
            thread::spawn(move || {
                let mut connection = gateway.client();
                let mut asked = 0;
                while !over.load(Ordering::Relaxed) {
                    if kind % 2 == 0 {
                        connection = gateway.client();
                    }
                    let response = connection.ask("GET /").response();
                    assert_eq!(response.status, 200);
                    asked += 1;
                }
                asked
            })
        })
        .collect();
    for number in 1..=10 {
        gateway.configure(&mock(&number.to_string()));
        reload(&gateway);
        assert_eq!(gateway.ask("GET /").text(), number.to_string());
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        let asked: u32 = client.join().expect("a client met a failure");
        assert!(asked > 10, "only {asked} requests");
    }
}

/// A tunnel keeps the configuration that it began with, and nobody else's: of a hundred after it the node holds none but
/// what is being freed, and its memory does not grow with them.
#[test]
fn a_tunnel_holds_one_generation_over_a_hundred_reloads() {
    const ROUTES: usize = 500;
    const RELOADS: usize = 100;
    /// What a reload takes for itself is kept by the allocator; a hundred configurations would be many times as much.
    const GROWTH_BYTES_MAX: u64 = 24 << 20;
    let origin = Origin::start(|_| {
        let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n";
        vec![Act::Send(head.as_bytes().to_vec()), Act::Echo]
    });
    let config = |number: usize| {
        let mut text = format!("[[route]]\nmatch = \"GET /tunnel\"\nurl = \"{}\"\n", origin.url());
        for route in 0..ROUTES {
            text += &format!("[[route]]\nmatch = \"GET /{number}/{route}\"\nmock = {{ status = 200 }}\n");
        }
        text
    };
    let gateway = Gateway::start(&config(0));
    let mut tunnel = gateway.connect();
    tunnel.ask("GET /tunnel\nconnection: upgrade\nupgrade: echo/1");
    assert_eq!(tunnel.response().status, 101);
    let held = || gateway.metrics().sum("floodgate_generations_held", &[]);
    let mut begun_bytes = 0;
    for number in 1..=RELOADS {
        gateway.configure(&config(number));
        reload(&gateway);
        let said = format!("after {number}");
        assert_eq!(tunnel.send(&said).bytes(said.len()), said.as_bytes());
        if number == RELOADS / 10 {
            begun_bytes = gateway.rss_bytes();
        }
    }
    harness::eventually("only the tunnel's is held", || (held() <= 1.0).then_some(()));
    let grown = gateway.rss_bytes().saturating_sub(begun_bytes);
    println!("{} KiB more after {RELOADS} reloads, {} held", grown >> 10, held());
    assert!(grown <= GROWTH_BYTES_MAX, "{grown} bytes more");
    drop(tunnel);
    harness::eventually("none is held", || (held() == 0.0).then_some(()));
}
