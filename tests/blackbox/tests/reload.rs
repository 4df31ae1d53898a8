//! Changes while it runs: taken whole or not at all, and nobody who is being served notices.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use harness::{Act, Gate, Gateway, Origin};

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

#[test]
fn a_good_file_is_taken_by_reload_and_by_sighup() {
    let gateway = Gateway::with(&mock("one")).workers(2).start();
    let mut connection = gateway.connect();
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
    assert_eq!(gateway.metrics().sum("floodgate_reloads_total", &[]), 2.0);
}

#[test]
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
#[test]
fn flags_outlive_a_reload() {
    let state = tempfile::TempDir::new().unwrap();
    let with_flags = Gateway::with(&mock("one")).argument("--workers").argument("2");
    let gateway = with_flags.argument("--state").argument(state.path().to_str().unwrap()).start();
    gateway.configure(&mock("two"));
    reload(&gateway);
    assert_eq!(gateway.ask("GET /").text(), "two");
    assert_eq!(gateway.metrics().sum("floodgate_workers", &[]), 2.0);
}

#[test]
fn a_request_in_flight_keeps_what_it_began_with() {
    let gate = Gate::default();
    let waits = gate.clone();
    let origin =
        Origin::start(move |_| vec![Act::Wait(waits.clone()), Act::answer(200, &[], "begun before")]);
    let gateway = Gateway::start(&crate::everything(&origin.url()));
    let mut connection = gateway.connect();
    connection.ask("GET /");
    origin.received(1);
    gateway.configure(&mock("new"));
    reload(&gateway);
    assert_eq!(gateway.ask("GET /").text(), "new");
    gate.open();
    assert_eq!(connection.response().text(), "begun before");
    assert_eq!(connection.ask("GET /").response().text(), "new");
}

/// Buckets are spent, not settings: a reload forgives nobody.
#[test]
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
#[test]
fn nobody_notices_a_reload() {
    let gateway = Arc::new(Gateway::with(&mock("0")).workers(2).start());
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|kind| {
            let (gateway, over) = (Arc::clone(&gateway), Arc::clone(&over));
            thread::spawn(move || {
                let mut connection = gateway.connect();
                let mut asked = 0;
                while !over.load(Ordering::Relaxed) {
                    if kind % 2 == 0 {
                        connection = gateway.connect();
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
