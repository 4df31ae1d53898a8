use super::*;

fn route(name: &str) -> Option<RouteLabels> {
    Some(RouteLabels { api: "shop".into(), stage: "prod".into(), route: name.into(), kind: "proxy" })
}

/// `routes` are names by slot, `-` is an empty slot.
fn labels(generation: u64, routes: &str) -> Arc<Labels> {
    let routes = routes.split_whitespace().map(|name| (name != "-").then(|| route(name)).flatten());
    Arc::new(Labels {
        generation,
        routes: routes.collect(),
        upstreams: vec![Some("backend".into())],
        listeners: vec![Some("https".into())],
        renamed: None,
    })
}

fn answer(route: Option<u32>, status: u16) -> Event {
    Event::Answer {
        route,
        status,
        protocol: "HTTP/1.1",
        latency_us: 1_000,
        integration_us: None,
        request_bytes: 1,
        response_bytes: 10,
    }
}

fn count(counters: &RouteCounters) -> u64 {
    counters.statuses.iter().map(|(_, n)| n).sum()
}

fn counts(counters: &Counters) -> Vec<u64> {
    counters.routes.iter().map(|route| route.map_or(0, count)).collect()
}

/// Answers on the slots `before`, then a publish from `old` to `new`; expects counts by slot, whether the publisher has
/// compared the names, has compared them with another generation's, or has not.
#[track_caller]
fn check_adopt(old: &str, before: &[u32], new: &str, expected: &[u64]) {
    let compared = Renamed::between(&labels(1, old), &labels(2, new));
    let of_others = Renamed { since: 7, ..Renamed::default() };
    for renamed in [None, Some(compared), Some(of_others)] {
        let mut counters = Counters::new(labels(1, old));
        before.iter().for_each(|slot| counters.record(&answer(Some(*slot), 200)));
        let mut after = Arc::unwrap_or_clone(labels(2, new));
        after.renamed.clone_from(&renamed);
        let gone = counters.adopt(Arc::new(after));
        assert_eq!(counts(&counters), expected, "{renamed:?}");
        let gone: u64 = gone.routes.iter().map(|route| count(route)).sum();
        assert_eq!(gone, before.len() as u64 - expected.iter().sum::<u64>(), "{renamed:?}");
    }
}

#[test]
fn a_publish_keeps_what_keeps_its_name() {
    check_adopt("a b", &[0, 1, 1], "a b c", &[1, 2, 0]);
    check_adopt("a b", &[0, 1, 1], "a x", &[1, 0]);
    check_adopt("a b", &[0, 1, 1], "a -", &[1, 0]);
    check_adopt("a b", &[0, 1, 1], "a", &[1]);
    check_adopt("a -", &[0], "a b", &[1, 0]);
}

#[test]
fn a_slot_that_does_not_exist_is_counted_without_a_name() {
    let mut counters = Counters::new(labels(1, "a"));
    for event in [
        answer(Some(7), 200),
        answer(None, 404),
        Event::CacheHit { route: u32::MAX },
        Event::BackendReuse { upstream: 9 },
        Event::Accept { listener: 9 },
    ] {
        counters.record(&event);
    }
    assert_eq!((count(&counters.unrouted), counters.unrouted.cache_hits), (2, 1));
    assert_eq!((counters.upstreams_other.reuses, counters.accepts_other), (1, 1));
}

#[test]
fn open_connections_survive_their_listener() {
    let mut counters = Counters::new(labels(1, "a"));
    for event in [Event::Accept { listener: 0 }, Event::Accept { listener: 0 }, Event::Close] {
        counters.record(&event);
    }
    drop(counters.adopt(Arc::new(Labels { generation: 2, ..Labels::default() })));
    assert_eq!(counters.connections_open(), 1);
    counters.record(&Event::Close);
    counters.record(&Event::Close);
    assert_eq!(
        counters.connections_open(),
        0,
        "a close too many is a fault of the caller, not a panic of ours"
    );
}

/// A scrape takes routes bit by bit, which come to the same as all at once.
#[test]
fn routes_are_copied_bit_by_bit() {
    let mut counters = Counters::new(labels(1, "a b c d e f g"));
    [0, 2, 2, 3, 6].iter().for_each(|slot| counters.record(&answer(Some(*slot), 200)));
    for routes_a_turn in [1, 2, 3, 100] {
        let mut copy = counters.snapshot_without_routes();
        assert!(counts(&copy.0).iter().all(|count| *count == 0));
        let (mut next, mut turns) = (Some(0), 0);
        while let Some(slot) = next {
            next = counters.copy_routes(slot, routes_a_turn, &mut copy);
            turns += 1;
        }
        assert_eq!(
            (counts(&copy.0), turns),
            (counts(&counters), 4usize.div_ceil(routes_a_turn)),
            "{routes_a_turn}"
        );
    }
}

/// Each core is (generation, routes, slots answered); expects counts by slot of the newest.
#[track_caller]
fn check_merge(cores: &[(u64, &str, &[u32])], expected: &[u64]) {
    let core = |(generation, routes, slots): &(u64, &str, &[u32])| {
        let mut counters = Counters::new(labels(*generation, routes));
        slots.iter().for_each(|slot| counters.record(&answer(Some(*slot), 200)));
        counters.snapshot()
    };
    let merged = merge(cores.iter().map(core).collect());
    assert_eq!(counts(&merged.0), expected);
    let total: u64 = expected.iter().sum();
    let latencies = merged.0.routes.iter().flatten().filter_map(|route| route.latency.as_ref());
    assert_eq!(latencies.map(|latency| latency.buckets().iter().sum::<u64>()).sum::<u64>(), total);
}

#[test]
fn cores_are_summed_under_the_newest_names() {
    check_merge(&[], &[]);
    check_merge(&[(1, "a b", &[0, 1]), (1, "a b", &[1])], &[1, 2]);
    check_merge(&[(1, "a b", &[0, 1]), (2, "a x", &[1, 1])], &[1, 2]);
    check_merge(&[(2, "a", &[0]), (1, "a b", &[0, 1])], &[2]);
}

#[test]
fn namesakes_are_one_series() {
    check_merge(&[(1, "a b a", &[0, 1, 2, 2])], &[3, 1, 0]);
}

#[test]
fn every_event_is_counted_where_it_belongs() {
    let mut counters = Counters::new(labels(1, "a"));
    for event in [
        Event::Accept { listener: 0 },
        Event::Reject { label: "connections" },
        Event::Handshake { resumed: true, us: 300 },
        Event::Handshake { resumed: false, us: 900 },
        Event::HandshakeFail { label: "no_certificate" },
        Event::TimeOut { wait: "head" },
        Event::Malform { status: 431, label: "head_too_long" },
        Event::Refuse { route: Some(0), reason: "throttled" },
        answer(Some(0), 429),
        Event::CacheHit { route: 0 },
        Event::CacheMiss { route: 0 },
        Event::BackendConnect { upstream: 0, us: 50 },
        Event::BackendReuse { upstream: 0 },
        Event::BackendFault { upstream: 0, label: "refused" },
        Event::BackendRetry { upstream: 0 },
        Event::Panic,
        Event::Close,
        Event::Swap { us: 20 },
    ] {
        counters.record(&event);
    }
    let (routes, upstreams) = ([counters.routes.get(0).unwrap()], [counters.upstreams.get(0).unwrap()]);
    assert_eq!(counters.accepts, [1]);
    assert_eq!(counters.rejects.iter().collect::<Vec<_>>(), [("connections", 1)]);
    assert_eq!(counters.time_outs.iter().collect::<Vec<_>>(), [("head", 1)]);
    assert_eq!((counters.handshakes_full, counters.handshakes_resumed), (1, 1));
    assert_eq!(counters.handshake_latency.sum_us(), 1_200);
    assert_eq!(counters.handshake_failures.iter().collect::<Vec<_>>(), [("no_certificate", 1)]);
    assert_eq!(counters.malformed.iter().collect::<Vec<_>>(), [(("head_too_long", 431), 1)]);
    assert_eq!(routes[0].refusals.iter().collect::<Vec<_>>(), [("throttled", 1)]);
    assert_eq!(routes[0].statuses.iter().collect::<Vec<_>>(), [(429, 1)]);
    assert_eq!((routes[0].request_bytes, routes[0].response_bytes), (1, 10));
    assert_eq!((routes[0].cache_hits, routes[0].cache_misses), (1, 1));
    assert_eq!(routes[0].latency.as_ref().map(|l| l.sum_us()), Some(1_000));
    assert!(routes[0].integration.is_none());
    assert_eq!(upstreams[0].connects.as_ref().map(|l| l.sum_us()), Some(50));
    assert_eq!((upstreams[0].reuses, upstreams[0].retries), (1, 1));
    assert_eq!(upstreams[0].faults.iter().collect::<Vec<_>>(), [("refused", 1)]);
    assert_eq!((counters.panics, counters.connections_open()), (1, 0));
    assert_eq!(counters.swaps.sum_us(), 20);
}

#[test]
fn counters_can_leave_their_core() {
    fn is_send<T: Send>(_: &T) {}
    is_send(&Counters::new(Arc::default()).snapshot());
}
