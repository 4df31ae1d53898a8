//! Backends that die, come back, or have enough to do, seen from outside: what a client notices, what backends are asked,
//! and what the metrics show (rules U1 to U3).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use harness::{Act, Gate, Gateway, Nginx, Origin, eventually};

over_all! {
    a_backend_that_is_killed_under_load_is_not_noticed
    a_backend_that_flaps_is_not_noticed
    an_outage_is_not_made_worse
    probes_tell_who_is_asked
    above_a_bound_the_answer_is_at_once
}

/// A route for everything, to these backends.
fn group(urls: &[String], keys: &str) -> String {
    format!(
        "[[route]]\nmatch = \"$default\"\nupstream = \"group\"\n[upstream.group]\ntargets = {urls:?}\n{keys}\n"
    )
}

/// A sum over all addresses of the group.
fn metric(gateway: &Gateway, name: &str) -> f64 {
    gateway.metrics().sum(&format!("floodgate_upstream_{name}"), &[("upstream", "group")])
}

fn retries(gateway: &Gateway) -> f64 {
    gateway.metrics().sum("floodgate_backend_retries_total", &[("upstream", "group")])
}

/// One of two real servers is killed while clients ask: none of them notices.
fn a_backend_that_is_killed_under_load_is_not_noticed() {
    const CLIENTS: usize = 4;
    let (stays, goes) = (Nginx::start(), Nginx::start());
    let gateway = Arc::new(Gateway::start(&group(&[stays.url(), goes.url()], "")));
    let (asked, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (gateway, asked, over) = (gateway.clone(), asked.clone(), over.clone());
            thread::spawn(move || {
                let mut connection = gateway.client();
                while !over.load(Relaxed) {
                    let response = connection.ask("GET /small").response();
                    assert_eq!(response.status, 200, "after {} requests", asked.load(Relaxed));
                    asked.fetch_add(1, Relaxed);
                }
            })
        })
        .collect();
    let reached = |count: usize| {
        let ended = || clients.iter().any(thread::JoinHandle::is_finished);
        eventually("requests are answered", || (asked.load(Relaxed) >= count || ended()).then_some(()));
    };
    reached(400);
    drop(goes);
    reached(asked.load(Relaxed) + 800);
    over.store(true, Relaxed);
    for client in clients {
        client.join().unwrap();
    }
    assert!(metric(&gateway, "ejections_total") >= 1.0);
    assert_eq!(metric(&gateway, "target_ejected"), 1.0);
    assert!(retries(&gateway) >= 1.0);
}

/// One of two backends closes one request in four: within the budget clients see nothing of it.
fn a_backend_that_flaps_is_not_noticed() {
    let count = AtomicUsize::new(0);
    let flapping = Origin::start(move |_| match count.fetch_add(1, Relaxed) % 4 {
        3 => vec![Act::Close],
        _ => vec![Act::answer(200, &[], "well")],
    });
    let steady = Origin::fixed("well");
    let gateway = Gateway::start(&group(&[flapping.url(), steady.url()], ""));
    let mut connection = gateway.client();
    for number in 0..200 {
        assert_eq!(connection.ask("GET /").response().status, 200, "request {number}");
    }
    let retried = retries(&gateway);
    assert!((10.0..=40.0).contains(&retried), "{retried} of 200 were asked again");
    assert_eq!(metric(&gateway, "ejections_total"), 0.0, "it never failed five times in a row");
}

/// Rule U3: both backends fail always. A fifth more is asked than clients ask, or three; what may do harm is asked once.
fn an_outage_is_not_made_worse() {
    let close = |_: &_| vec![Act::Close];
    let (one, two) = (Origin::start(close), Origin::start(close));
    let urls = [one.url(), two.url()];
    let gateway = Gateway::start(&group(&urls, "outlier = { consecutive = 0 }"));
    let attempts = || one.requests().len() + two.requests().len();
    for _ in 0..100 {
        assert_eq!(gateway.ask("GET /").status, 502);
    }
    let after_gets = attempts();
    assert!((103..=123).contains(&after_gets), "{after_gets} attempts of 100 requests");
    assert!(metric(&gateway, "retries_left") < 1.0);
    let held_back = gateway.metrics().sum("floodgate_upstream_held_back_total", &[("bound", "retry_budget")]);
    assert!(held_back >= 70.0, "{held_back}");
    for _ in 0..20 {
        assert_eq!(gateway.ask("POST /").status, 502);
    }
    assert_eq!(attempts() - after_gets, 20);
}

/// Active checks on two cores: with all ill all are asked; those that are well again begin with a small share.
fn probes_tell_who_is_asked() {
    let well = Arc::new([AtomicBool::new(true), AtomicBool::new(true)]);
    let origin = |number: usize| {
        let well = well.clone();
        Origin::start(move |request| match request.target() {
            "/up" if !well[number].load(Relaxed) => vec![Act::answer(503, &[], "ill")],
            _ => vec![Act::answer(200, &[], &number.to_string())],
        })
    };
    let origins = [origin(0), origin(1)];
    let urls = [origins[0].url(), origins[1].url()];
    let keys = "slow_start = \"2s\"\nhealth = { path = \"/up\", interval = \"100ms\", timeout = \"100ms\", healthy = 1, unhealthy = 2 }";
    let gateway = Gateway::with(&group(&urls, keys)).workers(2).start();
    let healthy = |count: f64| {
        eventually("probes have told", || (metric(&gateway, "target_healthy") == count).then_some(()));
    };
    let answers = |count: usize| -> Vec<String> { (0..count).map(|_| gateway.ask("GET /").text()).collect() };

    well[1].store(false, Relaxed);
    healthy(1.0);
    // Each request comes on a connection of its own, on whichever core.
    assert_eq!(answers(40), vec!["0"; 40]);
    well[0].store(false, Relaxed);
    healthy(0.0);
    assert_eq!(metric(&gateway, "panicking"), 2.0, "both cores");
    let asked = answers(20);
    assert!(asked.contains(&"0".into()) && asked.contains(&"1".into()), "{asked:?}");

    well[0].store(true, Relaxed);
    healthy(1.0);
    eventually("it has its whole share", || {
        let target = urls[0].trim_start_matches("http://");
        let share = gateway.metrics().sum("floodgate_upstream_target_share", &[("target", target)]);
        (share == 1.0).then_some(())
    });
    well[1].store(true, Relaxed);
    eventually("it comes back slowly", || {
        let share = metric(&gateway, "target_share");
        (share > 1.0 && share < 2.0).then_some(())
    });
    eventually("it has its whole share too", || (metric(&gateway, "target_share") == 2.0).then_some(()));
    let failed = gateway.metrics().sum("floodgate_upstream_probes_total", &[("result", "failed")]);
    assert!(failed >= 4.0, "{failed}");
    // Nothing of the probes is traffic of clients.
    let requests = gateway.metrics().sum("floodgate_requests_total", &[]);
    assert_eq!(requests, 60.0);
}

fn above_a_bound_the_answer_is_at_once() {
    let gate = Gate::default();
    let waits = gate.clone();
    let origin = Origin::start(move |_| vec![Act::Wait(waits.clone()), Act::answer(200, &[], "well")]);
    let gateway = Gateway::start(&group(&[origin.url()], "in_flight_max = 2"));
    let mut held = [gateway.client(), gateway.client()];
    for connection in &mut held {
        connection.ask("GET /");
    }
    origin.received(2);
    let refused = gateway.ask("GET /");
    assert_eq!((refused.status, refused.message()), (503, "Service Unavailable".to_owned()));
    assert_eq!(metric(&gateway, "target_in_flight"), 2.0);
    gate.open();
    for connection in &mut held {
        assert_eq!(connection.response().status, 200);
    }
    assert_eq!(gateway.ask("GET /").status, 200);
    let refusals = gateway.metrics().sum("floodgate_refusals_total", &[("reason", "backend_busy")]);
    assert_eq!(refusals, 1.0);
}
