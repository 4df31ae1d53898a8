//! The admin listener: health, readiness, metrics. It is nobody's backend: nothing of it can be reached through a data
//! listener.

use harness::{Gateway, Origin, curl, over};

use crate::everything;

over_both! {
    data_listeners_do_not_lead_there
    requests_are_counted
    every_request_leaves_a_line
    lines_and_counts_are_alike
}

#[test]
fn health_and_readiness() {
    let gateway = Gateway::start("");
    assert_eq!(gateway.ask_admin("GET /healthz").status, 200);
    assert_eq!(gateway.ask_admin("GET /readyz").status, 200);
    assert_eq!(gateway.ask_admin("GET /nothing").status, 404);
    assert_eq!(gateway.ask_admin("GET /reload").status, 405);
    assert_eq!(gateway.ask_admin("POST /healthz").status, 405);
}

#[test]
fn the_unix_socket_says_the_same() {
    let gateway = Gateway::start("");
    let ask = |path: &str| {
        let url = format!("http://localhost{path}");
        curl(&["--unix-socket", gateway.socket().to_str().unwrap(), &url])
    };
    assert_eq!(ask("/healthz").response().status, 200);
    assert!(
        ask("/metrics").response().text().contains("floodgate_requests_total")
            || ask("/metrics").response().text().contains("floodgate_workers 1")
    );
}

/// A page in somebody's browser that points a name of its own at us (DNS rebinding) is turned away.
#[test]
fn foreign_names_are_turned_away() {
    let gateway = Gateway::start("");
    assert_eq!(gateway.ask_admin("GET /healthz\nhost: evil.example.com").status, 421);
}

/// Any user of the machine reaches the TCP listener: it shows, and changes nothing.
#[test]
fn nothing_is_changed_over_tcp() {
    let gateway = Gateway::start("");
    for path in ["/reload", "/cache/flush"] {
        assert_eq!(gateway.ask_admin(&format!("POST {path}")).status, 403, "{path}");
    }
}

fn data_listeners_do_not_lead_there() {
    let gateway = Gateway::start("[[route]]\nmatch = \"GET /a\"\nmock = { status = 200 }\n");
    for path in ["/metrics", "/healthz", "/readyz", "/reload", "/cache/flush"] {
        assert_eq!(gateway.ask(&format!("GET {path}")).status, 404, "{path}");
    }
}

fn requests_are_counted() {
    let origin = Origin::fixed("12345");
    let gateway = Gateway::with(&format!(
        "{}[[route]]\nmatch = \"GET /tight\"\nmock = {{ status = 200 }}\nthrottle = {{ rate = \"0/s\" }}\n",
        everything(&origin.url())
    ))
    .workers(2)
    .start();
    for _ in 0..5 {
        gateway.ask("GET /");
    }
    gateway.ask("GET /tight");
    gateway.ask_with_body("POST /", b"1234567");
    let metrics = gateway.metrics();
    let sum = |name: &str, labels: &[(&str, &str)]| metrics.sum(name, labels);
    assert_eq!(sum("floodgate_requests_total", &[("code", "200")]), 6.0);
    assert_eq!(sum("floodgate_requests_total", &[("code", "429")]), 1.0);
    assert_eq!(sum("floodgate_refusals_total", &[("reason", "throttled")]), 1.0);
    assert_eq!(sum("floodgate_response_bytes_total", &[("route", "$default")]), 30.0);
    assert_eq!(sum("floodgate_request_bytes_total", &[("route", "$default")]), 7.0);
    assert_eq!(sum("floodgate_connections_accepted_total", &[("listener", "main")]), 7.0);
    assert_eq!(sum("floodgate_workers", &[]), 2.0);
    assert_eq!(sum("floodgate_ready", &[]), 1.0);
    assert_eq!(sum("floodgate_latency_seconds_count", &[("route", "$default")]), 6.0);
    assert!(sum("floodgate_process_resident_memory_bytes", &[]) > 1e6);
}

/// The ladder of drivers: what was forced is what runs, and the metric says so.
#[test]
fn the_driver_is_shown() {
    let gateway = Gateway::start("");
    let forced = harness::driver();
    let metrics = gateway.metrics();
    if forced == "auto" {
        assert_eq!(metrics.sum("floodgate_driver_info", &[]), 1.0);
    } else {
        let page = gateway.ask_admin("GET /metrics").text();
        let line = page
            .lines()
            .find(|line| line.starts_with("floodgate_driver_info"))
            .unwrap_or_default()
            .to_owned();
        assert!(line.contains(&forced), "{line}");
    }
}

fn every_request_leaves_a_line() {
    let origin = Origin::fixed("12345");
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("access.log");
    let format = "$context.httpMethod $context.path $context.status $context.responseLength $context.protocol $context.identity.sourceIp $context.requestId";
    let config =
        format!("[access_log]\ntarget = {file:?}\nformat = \"{format}\"\n{}", everything(&origin.url()));
    let protocol = over().clients.name();
    let gateway = Gateway::with(&config).workers(2).start();
    gateway.ask("GET /a?b=c");
    gateway.ask("GET /\"quoted\"\nhost: x");
    let read = || std::fs::read_to_string(&file).unwrap_or_default();
    harness::eventually("the line is there", || {
        let wanted = format!("GET /a 200 5 {protocol} 127.0.0.1 ");
        read().lines().any(|line| line.starts_with(&wanted)).then_some(())
    });
    // Reopened after it was moved away.
    std::fs::rename(&file, folder.path().join("old")).unwrap();
    gateway.hang_up();
    harness::eventually("the new file has a line", || {
        gateway.ask("GET /again");
        read().contains("GET /again 200").then_some(())
    });
}

/// What is asked, and the line of it: method, status, bytes of the answer's body.
const LINES: [(&str, &str, &str); 12] = [
    ("GET /a", "", "GET 200 5"),
    ("HEAD /head", "", "HEAD 200 0"),
    ("POST /a", "1234567", "POST 200 5"),
    ("GET /kept", "", "GET 200 5"),
    ("GET /kept", "", "GET 200 5"),
    ("HEAD /kept", "", "HEAD 200 0"),
    ("GET /tight", "", "GET 429 31"),
    ("POST /small", "1234567", "POST 413 31"),
    ("GET /none", "", "GET 404 23"),
    ("GET /mock", "", "GET 203 6"),
    ("OPTIONS /a\norigin: https://a.example\naccess-control-request-method: GET", "", "OPTIONS 204 0"),
    ("GET /dead", "", "GET 502 25"),
];

/// Counts that have nothing to do with what is spoken.
const COUNTED: [&str; 7] = [
    "floodgate_requests_total",
    "floodgate_refusals_total",
    "floodgate_request_bytes_total",
    "floodgate_response_bytes_total",
    "floodgate_cache_hits_total",
    "floodgate_cache_misses_total",
    "floodgate_latency_seconds_count",
];

/// Whatever is spoken: the same lines, and the same counts.
fn lines_and_counts_are_alike() {
    let origin = Origin::start(|request| {
        let body = if request.line().starts_with("HEAD") { "" } else { "12345" };
        vec![harness::Act::ReadBody, harness::Act::answer(200, &[], body)]
    });
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("access.log");
    let (url, dead) = (origin.url(), harness::free_port());
    let gateway = Gateway::start(&format!(
        "[access_log]\ntarget = {file:?}\nformat = \"$context.httpMethod $context.status $context.responseLength $context.protocol $context.requestId\"\n\
         [cors]\nallow_origins = [\"https://a.example\"]\n\
         [[route]]\nmatch = \"/a\"\nurl = \"{url}\"\n[[route]]\nmatch = \"HEAD /head\"\nurl = \"{url}\"\n\
         [[route]]\nmatch = \"/kept\"\nurl = \"{url}\"\ncache = {{ ttl = \"1h\", methods = [\"GET\", \"HEAD\"] }}\n\
         [[route]]\nmatch = \"/tight\"\nurl = \"{url}\"\nthrottle = {{ rate = \"0/s\" }}\n\
         [[route]]\nmatch = \"/small\"\nurl = \"{url}\"\nlimits = {{ body = \"2B\" }}\n\
         [[route]]\nmatch = \"/mock\"\nmock = {{ status = 203, body = \"mocked\" }}\n\
         [[route]]\nmatch = \"/dead\"\nurl = \"http://127.0.0.1:{dead}\"\n"
    ));
    for (request, body, _) in LINES {
        gateway.ask_with_body(request, body.as_bytes());
    }
    let lines = harness::eventually("all lines are there", || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        (text.lines().count() >= LINES.len()).then_some(text)
    });
    let protocol = over().clients.name();
    let expected: Vec<String> = LINES.iter().map(|(.., line)| format!("{line} {protocol}")).collect();
    let lines: Vec<_> = lines.lines().filter_map(|line| Some(line.rsplit_once(' ')?.0)).collect();
    assert_eq!(lines, expected);
    let metrics = gateway.metrics();
    let counts = COUNTED.map(|name| metrics.sum(name, &[]));
    assert_eq!(counts, [12.0, 4.0, 7.0, 136.0, 2.0, 1.0, 12.0]);
}
