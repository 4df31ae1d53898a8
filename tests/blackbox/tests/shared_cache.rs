//! The cache on the backend's terms, through the whole gateway with a real origin: the cases of
//! `tests/conformance/http_cache.txt` that need no time to pass, and that what is changed is not found any more.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use harness::{Act, Gate, Gateway, Origin, Response, eventually};

over_all! {
    the_cases_that_need_no_time_hold_through_the_whole_gateway
    what_is_changed_is_found_changed_on_every_core
    what_may_be_stale_is_answered_at_once_and_renewed
}

const TABLE: &str = include_str!("../../conformance/http_cache.txt");

/// Cases that are to be played at least.
const CASES_MIN: usize = 150;

const FIRST: &str = "0123456789";
const SECOND: &str = "abcdefghij";

/// `@AGO(n)` and `@IN(n)` as dates.
fn dated(text: &str, base: SystemTime) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('@') {
        out.push_str(&rest[..at]);
        let (word, tail) = rest[at + 1..].split_once('(').unwrap();
        let (number, tail) = tail.split_once(')').unwrap();
        let offset = Duration::from_secs(number.parse().unwrap());
        out.push_str(&httpdate::fmt_http_date(if word == "AGO" { base - offset } else { base + offset }));
        rest = tail;
    }
    out + rest
}

fn fields(text: &str) -> Vec<(String, String)> {
    let field = |field: &str| {
        let (name, value) = field.split_once(':').unwrap();
        (name.trim().to_owned(), value.trim().to_owned())
    };
    text.split(" ~ ").skip(1).map(field).collect()
}

/// What a row asks for: the request with a path of its own.
fn asked(text: &str, id: &str) -> String {
    let line = text.split(" ~ ").next().unwrap().trim();
    let (method, path) = line.split_once(' ').unwrap();
    let mut request = format!("{method} /{id}{path}");
    for (name, value) in fields(text) {
        request += &format!("\n{name}: {value}");
    }
    request
}

/// What the origin does for a row's answer; a date is put in where the row has none.
fn act(text: &str, body: &str) -> Act {
    if text.trim() == "-" {
        return Act::Close;
    }
    let status: u16 = text.split(" ~ ").next().unwrap().trim().parse().unwrap();
    let fields = fields(text);
    let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Act::answer(status, &fields, if status == 304 { "" } else { body })
}

fn described(response: &Response, validated: Option<bool>, has_failed: bool) -> String {
    let text = response.text();
    match (response.status, validated, text.as_str()) {
        (304, None, _) => "none".into(),
        (304, Some(true), _) => "valid-none".into(),
        (206, None, part) => {
            let from = FIRST.find(part).unwrap();
            format!("part {from}-{}", from + part.len() - 1)
        }
        (416, None, _) => "416".into(),
        (504, None, _) => "504".into(),
        (502, Some(_), _) => "error".into(),
        (_, None, FIRST) => "hit".into(),
        (200, Some(_), FIRST) if has_failed => "stale".into(),
        (200, Some(true), FIRST) => "valid".into(),
        (_, Some(_), SECOND) => "fetch".into(),
        (status, validated, text) => format!("{status} {validated:?} {text:?}"),
    }
}

fn the_cases_that_need_no_time_hold_through_the_whole_gateway() {
    let plan = Arc::new(Mutex::new(Act::Stall));
    let next = Arc::clone(&plan);
    let origin = Origin::start(move |_| vec![next.lock().unwrap().clone()]);
    let route = format!(
        "[[route]]\nmatch = \"/{{rest+}}\"\nurl = \"{}\"\ncache = \"respect-origin\"\n",
        origin.url()
    );
    let gateway = Gateway::with(&route).workers(2).start();
    let mut played = 0;
    for row in TABLE.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let columns: Vec<_> = row.split(" | ").collect();
        let [id, _, first, reply, seconds, second, then, expected] = columns[..] else { panic!("{row}") };
        // HEAD has no body to tell its answer by; the paths of these rows are their point; the second's change of the clock
        // may fall between.
        let is_told_by_more =
            second.starts_with("HEAD") || first.starts_with("HEAD") || id == "key-path-case";
        if seconds != "0" || is_told_by_more || id == "expires-now" {
            continue;
        }
        let base = SystemTime::now();
        let play = |text: &str, reply: &str, body: &str| {
            *plan.lock().unwrap() = act(&dated(reply, base), body);
            let before = origin.requests().len();
            let request = asked(&dated(text, base), id);
            let mut connection = gateway.client();
            let response = connection.ask(&request).response();
            let calls = origin.requests_from(before);
            let is_validating = |call: &harness::Recorded| {
                call.field("if-none-match").is_some() || call.field("if-modified-since").is_some()
            };
            (response, calls.first().map(is_validating))
        };
        play(first, reply, FIRST);
        let (response, validated) = play(second, then, SECOND);
        assert_eq!(described(&response, validated, then.starts_with(['-', '5'])), expected, "{row}");
        played += 1;
    }
    assert!(played >= CASES_MIN, "{played}");
}

/// Whoever hears that something was changed does not find it unchanged, on whichever core.
fn what_is_changed_is_found_changed_on_every_core() {
    let version = Arc::new(AtomicUsize::new(0));
    let own = Arc::clone(&version);
    let origin = Origin::start(move |request| {
        let version = match request.line().split(' ').next() {
            Some("PUT") => own.fetch_add(1, Ordering::SeqCst) + 1,
            _ => own.load(Ordering::SeqCst),
        };
        vec![Act::answer(200, &[("cache-control", "max-age=600")], &version.to_string())]
    });
    let routes = format!(
        "[[route]]\nmatch = \"GET /{{rest+}}\"\nurl = \"{0}\"\ncache = \"respect-origin\"\n\
         [[route]]\nmatch = \"PUT /{{rest+}}\"\nurl = \"{0}\"\n",
        origin.url()
    );
    let gateway = Gateway::with(&routes).workers(2).start();
    // Connections meet both cores.
    let mut clients: Vec<_> = (0..8).map(|_| gateway.client()).collect();
    for round in 1..=20 {
        let expected = round.to_string();
        let writer = round % clients.len();
        assert_eq!(clients[writer].ask("PUT /x\ncontent-length: 0").response().text(), expected);
        // The third time on a core that does not own it, it is answered from a replica.
        for _ in 0..3 {
            for client in &mut clients {
                assert_eq!(client.ask("GET /x").response().text(), expected);
            }
        }
    }
    let reads = origin.requests().iter().filter(|request| request.line().starts_with("GET")).count();
    assert_eq!(reads, 20, "one read a change, the others from the cache");
}

/// Nobody waits for the backend while what is kept may be stale (RFC 5861 §3): the one who has it asked has his answer before.
fn what_may_be_stale_is_answered_at_once_and_renewed() {
    let gate = Gate::default();
    let waits = gate.clone();
    let origin = Origin::start(move |request| match request.field("if-none-match") {
        None => {
            let control = ("cache-control", "max-age=0, stale-while-revalidate=600");
            vec![Act::answer(200, &[control, ("etag", "\"a\"")], "old")]
        }
        Some(_) => vec![
            Act::Wait(waits.clone()),
            Act::answer(200, &[("cache-control", "max-age=600"), ("etag", "\"b\"")], "new"),
        ],
    });
    let route = format!(
        "[[route]]\nmatch = \"/{{rest+}}\"\nurl = \"{}\"\ncache = \"respect-origin\"\n",
        origin.url()
    );
    let gateway = Gateway::with(&route).workers(2).start();
    assert_eq!(gateway.ask("GET /x").text(), "old");
    for _ in 0..8 {
        // Each connection may meet another core, and the backend says nothing yet.
        assert_eq!(gateway.ask("GET /x").text(), "old");
    }
    origin.received(2);
    gate.open();
    eventually("it is renewed", || (gateway.ask("GET /x").text() == "new").then_some(()));
    assert_eq!(origin.requests().len(), 2, "one asks for all");
    assert_eq!(gateway.metrics().sum("floodgate_cache_misses_total", &[]), 1.0);
}
