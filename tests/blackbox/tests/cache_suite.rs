//! The cache on the backend's terms before http-cache-tests, the public suite for HTTP caches: what of it does not pass is
//! written down with its reason in `tests/conformance/http_cache_tests.txt`, and nothing else fails.

use std::{
    collections::BTreeMap,
    io::Write,
    sync::{Mutex, PoisonError},
};

use harness::{CacheSuite, Gateway, Protocol, cache_suite_missing, over, skip};

const LIST: &str = include_str!("../../conformance/http_cache_tests.txt");

/// Tests that the suite of the locked version has; fewer were not all asked.
const TESTS_MIN: usize = 300;

/// Percent of what is required of a cache, and can be passed by one, that has to pass.
const REQUIRED_PERCENT_MIN: usize = 95;

/// `kind | id | whether a cache could pass | why it fails`, by id.
fn listed() -> BTreeMap<String, (String, bool)> {
    let rows = LIST.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let row = |row: &str| {
        let columns: Vec<_> = row.split(" | ").map(str::trim).collect();
        let [kind, id, can, why] = columns[..] else { panic!("{row}") };
        assert!(!why.is_empty() && matches!(can, "can" | "cannot"), "{row}");
        (id.to_owned(), (kind.to_owned(), can == "can"))
    };
    rows.map(row).collect()
}

over_both! {
    what_the_public_suite_finds_is_what_is_written_down
}

/// Entries of a few seconds grow stale while hundreds of requests are under way: one run at a time.
static ONE: Mutex<()> = Mutex::new(());

/// Its client speaks HTTP/1.1: over HTTP/2 another gateway stands before the one with the cache, and asks it so.
///
/// It goes by the clock, in seconds: on a machine that is busy with other things an answer may be staler than it thinks. A run
/// over HTTP/2, through two gateways, that fails is made again, at most twice.
fn what_the_public_suite_finds_is_what_is_written_down() {
    if let Some(why) = cache_suite_missing() {
        return skip("the_public_suite", &why);
    }
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut seen = Vec::new();
    let runs_max = if over().clients == Protocol::Http2 { 3 } else { 1 };
    while seen.len() < runs_max {
        let wrong = judged_otherwise();
        if wrong.is_empty() {
            return;
        }
        seen.push(wrong);
    }
    panic!("{seen:#?}");
}

/// What one run finds that is not written down, and what it does not find that is.
fn judged_otherwise() -> Vec<String> {
    let suite = CacheSuite::start();
    let flags = ["--plain", "--listen", "127.0.0.1:0", "--cache", "respect-origin", "--workers", "2"];
    let gateway = Gateway::from_flags(&[&[suite.url().as_str()], &flags[..]].concat());
    let front = (over().clients == Protocol::Http2).then(|| {
        let behind = format!("http://{}", gateway.address());
        Gateway::from_flags(&[&behind, "--http2", "--plain", "--listen", "127.0.0.1:0", "--workers", "1"])
    });
    let judged = suite.judge(front.as_ref().unwrap_or(&gateway).address());
    assert!(judged.len() >= TESTS_MIN, "{} tests", judged.len());
    let listed = listed();
    let mut wrong = Vec::new();
    for it in &judged {
        match (&it.failure, listed.get(&it.id)) {
            (Some(why), None) => wrong.push(format!("{} {} fails: {why}", it.kind, it.id)),
            (None, Some(_)) => wrong.push(format!("{} {} passes, and is listed as failing", it.kind, it.id)),
            (Some(_), Some((kind, _))) if *kind != it.kind => wrong.push(format!("{} is {}", it.id, it.kind)),
            _ => {}
        }
    }
    let is_known = |id: &String| judged.iter().any(|it| it.id == *id);
    wrong.extend(listed.keys().filter(|id| !is_known(id)).map(|id| format!("there is no {id}")));
    let count = |kind: &str| {
        let all = judged.iter().filter(|it| it.kind == kind);
        (all.clone().filter(|it| it.failure.is_none()).count(), all.count())
    };
    let (passed, required) = count("required");
    let beyond = listed.values().filter(|(kind, can)| kind == "required" && !can).count();
    let possible = required - beyond;
    let of = |(passed, all): (usize, usize)| format!("{passed} of {all}");
    // Past libtest, which hides what a passed test prints; a stream that is closed wants no figures.
    let _closed = writeln!(
        std::io::stderr().lock(),
        "http-cache-tests: required {passed} of {required}, {possible} of which a cache can pass ({:.1} %); optimal {}; \
         checks {}",
        100.0 * passed as f64 / possible as f64,
        of(count("optimal")),
        of(count("check")),
    );
    if passed * 100 < possible * REQUIRED_PERCENT_MIN {
        wrong.push(format!("{passed} of {possible} pass"));
    }
    wrong
}
