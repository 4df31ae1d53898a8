use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    process::{Command, Stdio},
    sync::Arc,
};

use super::*;
use crate::{Counters, Event, merge};

/// A page of a node on which a bit of everything happened, two routes of it with hostile names.
fn page() -> String {
    let route = |name: &str| {
        Some(RouteLabels { api: "a\"b".into(), stage: "prod".into(), route: name.into(), kind: "rest" })
    };
    let labels = Arc::new(crate::Labels {
        generation: 3,
        routes: vec![route("GET /x\ny"), None, route("ANY /{proxy+}\\")],
        upstreams: vec![Some("backend".into())],
        listeners: vec![Some("https".into())],
        renamed: None,
    });
    let mut counters = Counters::new(labels);
    for us in [90, 1_000, 70_000_000] {
        counters.record(&Event::Answer {
            route: Some(0),
            status: 200,
            protocol: "HTTP/2.0",
            latency_us: us,
            integration_us: Some(us / 2),
            request_bytes: 5,
            response_bytes: 7,
        });
    }
    for event in [
        Event::Accept { listener: 0 },
        Event::Accept { listener: 8 },
        Event::Close,
        Event::Reject { label: "connections" },
        Event::Handshake { resumed: false, us: 800 },
        Event::HandshakeFail { label: "no_certificate" },
        Event::TimeOut { wait: "head" },
        Event::Malform { status: 400, label: "bad_header" },
        Event::OpenHttp2,
        Event::OpenHttp2,
        Event::CloseHttp2 { cause: "flooded" },
        Event::ResetStream { by: "client" },
        Event::RefuseStream { code: "refused_stream" },
        Event::Refuse { route: Some(2), reason: "throttled" },
        Event::Refuse { route: None, reason: "no_route" },
        Event::EndCall { route: Some(2), grpc_status: Some(8) },
        Event::EndCall { route: Some(2), grpc_status: Some(0) },
        Event::EndCall { route: Some(2), grpc_status: Some(16) },
        Event::EndCall { route: Some(2), grpc_status: None },
        // Which there is not.
        Event::EndCall { route: None, grpc_status: Some(17) },
        Event::CacheHit { route: 2 },
        Event::BackendConnect { upstream: 0, us: 10 },
        Event::BackendFault { upstream: 0, label: "refused" },
        Event::BackendHoldBack { upstream: 0, label: "in_flight" },
        Event::BackendEject { upstream: 0 },
        Event::BackendProbe { upstream: 0, passed: true },
        Event::BackendProbe { upstream: 0, passed: false },
        Event::BackendProbe { upstream: 0, passed: true },
        Event::Swap { us: 700 },
    ] {
        counters.record(&event);
    }
    (300..330).for_each(|status| {
        counters.record(&Event::Answer {
            route: Some(2),
            status,
            protocol: "HTTP/1.1",
            latency_us: 1,
            integration_us: None,
            request_bytes: 0,
            response_bytes: 0,
        });
    });
    let node = NodeFacts {
        version: "0.0.0",
        generation: 3,
        ready: true,
        uptime_us: 1_500_000,
        cores: vec![
            CoreFacts {
                driver: "uring",
                turns: 9,
                enters: 8,
                buffers_exhausted: 7,
                stalls: ["work", "change", "waited", "unknown"].map(|cause| StallFacts {
                    cause,
                    turns: cause.len() as u64,
                    us: 2_500,
                }),
                turn_us_max: 4_100,
                turn_own_us_max: 90,
            };
            2
        ],
        memory: MemoryFacts { bytes: 5, max_bytes: 6, pressure: 1 },
        cache: Some(CacheFacts {
            used_bytes: 1,
            capacity_bytes: 2,
            entries: 3,
            evictions: 4,
            replica_hits: 5,
            replica_bytes: 6,
        }),
        upstreams: vec![UpstreamFacts {
            name: "backend".into(),
            suspending_cores: 1,
            panicking_cores: 2,
            retries_left: 3,
            targets: vec![TargetFacts {
                address: "127.0.0.1:80".into(),
                in_flight: 4,
                healthy: true,
                ejecting_cores: 5,
                share_percent: 25,
            }],
        }],
        front_line: Some(FrontLineFacts {
            interfaces: vec![("eth0".into(), "xdp")],
            trial_left_us: Some(1),
            heartbeat_age_us: Some(2),
            counts: Some(PacketFacts::default()),
            top_sources: vec![("192.0.2.1/32".into(), 3)],
            feed: Some(FeedFacts::default()),
            connections: Some(ConnectionFacts::default()),
            listeners: Some(ListenFacts::default()),
            accepts_over: Some([4, 5]),
            prefixes: [[32, 24], [64, 48]],
            ..FrontLineFacts::default()
        }),
        process: process::read(),
        ..NodeFacts::default()
    };
    exposition(&merge(vec![counters.snapshot(), counters.snapshot()]), &node)
}

#[test]
fn what_was_counted_can_be_read() {
    let series = parse(&page());
    #[track_caller]
    fn check(series: &BTreeMap<String, String>, name: &str, expected: &str) {
        assert_eq!(series.get(name).map(String::as_str), Some(expected), "{name}");
    }
    let route = r#"api="a\"b",stage="prod",route="GET /x\ny""#;
    let other = r#"api="a\"b",stage="prod",route="ANY /{proxy+}\\""#;
    for (name, expected) in [
        (r#"floodgate_build_info{version="0.0.0"}"#, "1"),
        (r#"floodgate_driver_info{driver="uring"}"#, "1"),
        ("floodgate_workers", "2"),
        ("floodgate_uptime_seconds", "1.5"),
        ("floodgate_connections_open", "2"),
        (r#"floodgate_connections_accepted_total{listener="https"}"#, "2"),
        (r#"floodgate_connections_accepted_total{listener="-"}"#, "2"),
        (r#"floodgate_timeouts_total{wait="head"}"#, "2"),
        (r#"floodgate_malformed_total{rule="bad_header",code="400"}"#, "2"),
        (r#"floodgate_protocol_requests_total{protocol="HTTP/2.0"}"#, "6"),
        (r#"floodgate_protocol_requests_total{protocol="HTTP/1.1"}"#, "60"),
        ("floodgate_http2_connections_total", "4"),
        ("floodgate_http2_connections_open", "2"),
        (r#"floodgate_http2_connections_closed_total{cause="flooded"}"#, "2"),
        (r#"floodgate_http2_streams_reset_total{by="client"}"#, "2"),
        (r#"floodgate_http2_streams_refused_total{code="refused_stream"}"#, "2"),
        (&format!(r#"floodgate_requests_total{{{route},code="200"}}"#), "6"),
        (&format!(r#"floodgate_requests_total{{{other},code="other"}}"#), "28"),
        (&format!(r#"floodgate_refusals_total{{{other},reason="throttled"}}"#), "2"),
        (&format!(r#"floodgate_grpc_calls_total{{{other},grpc_status="0"}}"#), "2"),
        (&format!(r#"floodgate_grpc_calls_total{{{other},grpc_status="8"}}"#), "2"),
        (&format!(r#"floodgate_grpc_calls_total{{{other},grpc_status="16"}}"#), "2"),
        (&format!(r#"floodgate_grpc_calls_total{{{other},grpc_status="none"}}"#), "2"),
        (r#"floodgate_grpc_calls_total{api="-",stage="-",route="-",grpc_status="none"}"#, "2"),
        (r#"floodgate_refusals_total{api="-",stage="-",route="-",reason="no_route"}"#, "2"),
        (&format!(r#"floodgate_latency_seconds_bucket{{{route},le="0.0001"}}"#), "2"),
        (&format!(r#"floodgate_latency_seconds_bucket{{{route},le="0.001"}}"#), "4"),
        (&format!(r#"floodgate_latency_seconds_bucket{{{route},le="60"}}"#), "4"),
        (&format!(r#"floodgate_latency_seconds_bucket{{{route},le="+Inf"}}"#), "6"),
        (&format!(r#"floodgate_latency_seconds_count{{{route}}}"#), "6"),
        (&format!(r#"floodgate_latency_seconds_sum{{{route}}}"#), "140.00218"),
        (&format!(r#"floodgate_response_bytes_total{{{route}}}"#), "42"),
        (r#"floodgate_backend_faults_total{upstream="backend",cause="refused"}"#, "2"),
        (r#"floodgate_upstream_held_back_total{upstream="backend",bound="in_flight"}"#, "2"),
        (r#"floodgate_upstream_ejections_total{upstream="backend"}"#, "2"),
        (r#"floodgate_upstream_probes_total{upstream="backend",result="passed"}"#, "4"),
        (r#"floodgate_upstream_probes_total{upstream="backend",result="failed"}"#, "2"),
        (r#"floodgate_upstream_suspended{upstream="backend"}"#, "1"),
        (r#"floodgate_upstream_panicking{upstream="backend"}"#, "2"),
        (r#"floodgate_upstream_retries_left{upstream="backend"}"#, "3"),
        (r#"floodgate_upstream_target_healthy{upstream="backend",target="127.0.0.1:80"}"#, "1"),
        (r#"floodgate_upstream_target_in_flight{upstream="backend",target="127.0.0.1:80"}"#, "4"),
        (r#"floodgate_upstream_target_ejected{upstream="backend",target="127.0.0.1:80"}"#, "5"),
        (r#"floodgate_upstream_target_share{upstream="backend",target="127.0.0.1:80"}"#, "0.25"),
        (r#"floodgate_reactor_turns_total{core="1"}"#, "9"),
        (r#"floodgate_reactor_stalls_total{core="0",cause="work"}"#, "4"),
        (r#"floodgate_reactor_stalls_total{core="1",cause="unknown"}"#, "7"),
        (r#"floodgate_reactor_stall_seconds_total{core="1",cause="waited"}"#, "0.0025"),
        (r#"floodgate_reactor_turn_max_seconds{core="0",time="elapsed"}"#, "0.0041"),
        (r#"floodgate_reactor_turn_max_seconds{core="0",time="own"}"#, "0.00009"),
        (r#"floodgate_swap_seconds_bucket{le="0.0005"}"#, "0"),
        (r#"floodgate_swap_seconds_bucket{le="0.001"}"#, "2"),
        ("floodgate_generations_held", "0"),
    ] {
        check(&series, name, expected);
    }
}

#[test]
fn a_node_that_has_done_nothing_has_a_page() {
    let series = parse(&exposition(&merge(Vec::new()), &NodeFacts::default()));
    assert_eq!(series.get("floodgate_connections_open").map(String::as_str), Some("0"));
}

/// The tool that operators check with.
#[test]
fn promtool_has_nothing_to_say() {
    let started = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = started else {
        eprintln!("skipped: promtool is not installed (Debian package prometheus)");
        return;
    };
    child.stdin.take().unwrap().write_all(page().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

/// A strict reader of the format. Returns the value of each series by its full name; fails on anything that a
/// scraper may refuse or misread.
#[track_caller]
fn parse(page: &str) -> BTreeMap<String, String> {
    assert!(page.ends_with('\n'));
    let mut series = BTreeMap::new();
    let mut families = BTreeSet::new();
    let (mut family, mut kind) = (String::new(), String::new());
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("HELP has a name and a text");
            assert!(!help.is_empty(), "{line}");
            assert!(families.insert(name.to_owned()), "family twice: {name}");
            let rest = lines.next().and_then(|line| line.strip_prefix("# TYPE ")).expect("TYPE follows HELP");
            let (same, what) = rest.split_once(' ').expect("TYPE has a name and a kind");
            assert_eq!(same, name);
            assert!(["counter", "gauge", "histogram"].contains(&what), "{what}");
            assert_eq!(what == "counter", name.ends_with("_total"), "{name}");
            assert!(name.starts_with("floodgate_"), "{name}");
            (family, kind) = (name.to_owned(), what.to_owned());
            continue;
        }
        let (full, value) = line.rsplit_once(' ').expect("a series has a value");
        value.parse::<f64>().unwrap_or_else(|_| panic!("{line}"));
        let name = full.split('{').next().unwrap_or_default();
        let suffix =
            name.strip_prefix(&family).unwrap_or_else(|| panic!("{line} outside its family {family}"));
        let allowed: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        assert!(allowed.contains(&suffix), "{line}");
        if let Some(labels) = full.strip_prefix(name).filter(|labels| !labels.is_empty()) {
            parse_labels(labels);
        }
        assert!(series.insert(full.to_owned(), value.to_owned()).is_none(), "series twice: {full}");
    }
    check_histograms(&series);
    series
}

#[track_caller]
fn parse_labels(text: &str) {
    let mut rest = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).expect("labels stand in braces");
    let mut names = BTreeSet::new();
    loop {
        let (name, value) = rest.split_once("=\"").expect("a label has a quoted value");
        assert!(!name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{text}");
        assert!(names.insert(name), "label twice: {text}");
        let mut chars = value.char_indices();
        let end = loop {
            match chars.next().expect("a value ends in a quote") {
                (_, '\\') => {
                    let (_, escaped) = chars.next().expect("something is escaped");
                    assert!("\\\"n".contains(escaped), "{text}");
                }
                (end, '"') => break end,
                _ => {}
            }
        };
        rest = &value[end + 1..];
        if rest.is_empty() {
            return;
        }
        rest = rest.strip_prefix(',').expect("a comma stands between labels");
    }
}

/// Buckets never fall, and the last is the count.
#[track_caller]
fn check_histograms(series: &BTreeMap<String, String>) {
    let mut buckets: BTreeMap<String, Vec<(f64, u64)>> = BTreeMap::new();
    for (full, value) in series {
        let Some((head, le)) = full.split_once("le=\"").filter(|(head, _)| head.contains("_bucket{")) else {
            continue;
        };
        let le = le.strip_suffix("\"}").expect("le is the last label").parse().expect("le is a number");
        let count = value.parse().expect("a bucket is a whole number");
        buckets.entry(head.to_owned()).or_default().push((le, count));
    }
    assert!(!buckets.is_empty());
    for (head, mut counts) in buckets {
        counts.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(counts.is_sorted_by_key(|(_, count)| *count), "{head}: {counts:?}");
        let labels = head.replace("_bucket", "_count");
        let labels = labels.trim_end_matches(['{', ',']);
        let count = if labels.contains('{') { format!("{labels}}}") } else { labels.to_owned() };
        let (le, last) = counts.last().expect("not empty");
        assert!(le.is_infinite());
        assert_eq!(series.get(&count), Some(&last.to_string()), "{count}");
    }
}
