//! Metrics of the front line: after so many packets of each kind they say so many.

use std::{
    io::Write,
    net::{IpAddr, SocketAddr, TcpListener},
    sync::{Arc, atomic::AtomicBool},
};

use harness::{Cgroup, Flood, Gateway, Metrics, Network, PATIENCE, dial, eventually, skip};

use super::{HOST_PORT, PORT, REFUSED_AFTER, ROUTE, Site, heard};

/// By its socket, since a scrape by the listener is a connection like others.
#[track_caller]
fn scrape(gateway: &Gateway) -> Metrics {
    gateway.metrics_by_socket()
}

/// Waits for a value.
#[track_caller]
fn says(gateway: &Gateway, name: &str, labels: &[(&str, &str)], expected: f64) {
    let mut last = f64::NAN;
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        eventually("it says so", || {
            last = scrape(gateway).sum(name, labels);
            (last == expected).then_some(())
        });
    }));
    assert!(found.is_ok(), "{name}{labels:?} is {last}, not {expected}");
}

/// So many SYNs from the source with this number of a flood.
fn syns(site: &Site, to: SocketAddr, number: u8, count: u64) {
    let flood = Flood::of_few(to);
    let first: IpAddr = match flood.first {
        IpAddr::V4(first) => (u32::from(first) + u32::from(number)).to_be_bytes().into(),
        IpAddr::V6(first) => (u128::from(first) + (u128::from(number) << 64)).to_be_bytes().into(),
    };
    let flood = Flood { first, sources: 1, count_max: count, ..flood };
    assert_eq!(flood.send(&site.network, &AtomicBool::new(false)).count, count);
}

/// Ten of an address and twenty of a network pass, by both protocols; who was above a limit is shown.
#[test]
fn syns_are_counted_by_what_became_of_them_and_by_whose_limit() {
    let Some(site) = Site::new("syns_are_counted_by_what_became_of_them_and_by_whose_limit") else { return };
    let rates = "syns = { rate = \"1/h\", burst = 10, prefix_rate = \"1/h\", prefix_burst = 20 }";
    let lines =
        format!("mode = \"enforce\"\n{rates}\nblock = [\"10.77.5.0/24\"]\nallow = [\"10.77.6.0/24\"]");
    let gateway = site.start(site.with(&lines));
    site.stands(&gateway, "xdp");
    for to in [(Network::GATEWAY, PORT).into(), (Network::GATEWAY_V6, PORT).into()] {
        syns(&site, to, 0, 100);
        syns(&site, to, 1, 100);
        // Its own limit is not reached, but its network's.
        syns(&site, to, 2, 5);
    }
    let says = |name: &str, labels: &[(&str, &str)], expected| says(&gateway, name, labels, expected);
    says("floodgate_l4_syns_total", &[], 410.0);
    for (result, count) in [("passed", 40.0), ("dropped", 370.0), ("challenged", 0.0)] {
        says("floodgate_l4_syns_total", &[("result", result)], count);
    }
    for (prefix, count) in [("ipv4/32", 180.0), ("ipv4/24", 5.0), ("ipv6/64", 180.0), ("ipv6/48", 5.0)] {
        says("floodgate_l4_syns_over_limit_total", &[("prefix", prefix)], count);
    }
    says("floodgate_l4_packets_dropped_total", &[], 370.0);
    // Networks are sources too, when their limit is what was reached.
    for source in ["10.66.0.1/32", "10.66.0.2/32", "fd66::/64", "fd66:0:0:1::/64"] {
        says("floodgate_l4_top_source_dropped", &[("source", source)], 90.0);
    }

    // One SYN each of who is blocked by the rules and by hand; whoever is allowed sends some packets.
    site.by_hand(&gateway, &["block", "10.77.7.0/24"]);
    site.kept_out(0x0501, PORT);
    site.kept_out(0x0701, PORT);
    assert!(site.gets_in(0x0601, PORT));
    says("floodgate_l4_blocked_total", &[("by", "rules")], 1.0);
    says("floodgate_l4_blocked_total", &[("by", "blocks")], 1.0);
    says("floodgate_l4_packets_dropped_total", &[], 372.0);
    says("floodgate_l4_blocks", &[("effect", "shut_out")], 1.0);
    let metrics = scrape(&gateway);
    assert!(metrics.sum("floodgate_l4_packets_passed_total", &[("reason", "allowed")]) >= 3.0);
    assert!(metrics.sum("floodgate_l4_packets_total", &[]) >= 412.0);
    assert!(metrics.sum("floodgate_l4_heartbeat_age_seconds", &[]) < 3.0);
    assert_eq!(metrics.sum("floodgate_l4_flood", &[]), 0.0);
}

/// In a flood every SYN is challenged or let through, and not one is lost to the count.
#[test]
fn challenges_are_counted() {
    const SYNS: u64 = 3_000;
    let Some(site) = Site::new("challenges_are_counted") else { return };
    let lines = "mode = \"challenge\"\nflood = \"100/s\"\nlet_through = \"1/s\"";
    let gateway = site.start(site.with(lines));
    site.stands(&gateway, "xdp");
    let flood = Flood { count_max: SYNS, ..Flood::of_spoofed((Network::GATEWAY, PORT).into()) };
    assert_eq!(flood.send(&site.network, &AtomicBool::new(false)).count, SYNS);
    says(&gateway, "floodgate_l4_syns_total", &[], SYNS as f64);
    let metrics = scrape(&gateway);
    let of = |result| metrics.sum("floodgate_l4_syns_total", &[("result", result)]);
    assert_eq!((of("dropped"), of("passed") + of("challenged")), (0.0, SYNS as f64));
    // A burst of a hundred and what CPUs take in advance pass before it is a flood.
    assert!(of("challenged") >= SYNS as f64 / 2.0, "{}", of("challenged"));
    let through = metrics.sum("floodgate_l4_syns_let_through_total", &[]);
    assert!(through >= 1.0 && through <= of("passed"), "{through} of {}", of("passed"));
}

/// What the kernel tells of connections, of a gateway in a group of its own: how many, how long a round trip takes, what is sent again.
#[test]
fn connections_are_counted_and_what_is_sent_again() {
    const VISITS: u16 = 5;
    let test = "connections_are_counted_and_what_is_sent_again";
    let Some(site) = Site::new(test) else { return };
    let group = match Cgroup::unlimited() {
        Ok(group) => Arc::new(group),
        Err(why) => return skip(test, &why),
    };
    let gateway = site.start(site.with("").cgroup(&group));
    for number in 0..VISITS {
        site.let_in(number, PORT);
    }
    let says = |name: &str, expected| says(&gateway, name, &[], expected);
    says("floodgate_l4_connections_opened_total", VISITS.into());
    says("floodgate_l4_connections_closed_total", VISITS.into());
    let metrics = scrape(&gateway);
    let count = metrics.sum("floodgate_l4_rtt_seconds_count", &[]);
    assert!(count >= VISITS.into(), "{count}");
    assert_eq!(metrics.sum("floodgate_l4_rtt_seconds_bucket", &[("le", "+Inf")]), count);
    let mean = metrics.sum("floodgate_l4_rtt_seconds_sum", &[]) / count;
    assert!(mean > 0.0 && mean < 1.0, "{mean} s over a cable");
    let again = ["floodgate_l4_retransmits_total", "floodgate_l4_retransmission_timeouts_total"];
    let before = again.map(|name| metrics.sum(name, &[]));

    // The cable loses what is answered.
    let mut stream = site.knock(1, PORT).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let lossy = format!(
        "table inet lossy {{
           chain input {{ type filter hook input priority 0; tcp sport {PORT} tcp flags & psh == psh drop; }}
         }}"
    );
    site.network.clients.nft(&lossy).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    eventually("it is sent again", || {
        let metrics = scrape(&gateway);
        again.iter().zip(before).all(|(name, before)| metrics.sum(name, &[]) > before).then_some(())
    });
    site.network.clients.nft("delete table inet lossy").unwrap();
    let mut answer = [0; 1024];
    let length = heard(&mut stream, &mut answer).unwrap();
    assert!(answer[..length].starts_with(b"HTTP/1.1 200 "));
}

/// Queues that are full, of any listener beside the gateway, and the kernel's own cookies.
#[test]
fn full_queues_and_cookies_are_counted() {
    let Some(site) = Site::new("full_queues_and_cookies_are_counted") else { return };
    let gateway = site.start(site.with_routes("", ROUTE));
    says(&gateway, "floodgate_l4_listen_overflows_total", &[], 0.0);
    // Nobody accepts: as many wait as the queue takes (a backlog of 128), and then no more.
    let _full = site.network.gateway.inside(|| TcpListener::bind((Network::GATEWAY, HOST_PORT)).unwrap());
    let waiting: Vec<_> = site.network.clients.inside(|| {
        let knock = || dial(Network::CLIENT.into(), (Network::GATEWAY, HOST_PORT).into(), REFUSED_AFTER);
        std::iter::from_fn(|| knock().ok()).take(5_000).collect()
    });
    assert!((100..5_000).contains(&waiting.len()), "{} wait", waiting.len());
    let metrics = eventually("it is counted", || {
        let metrics = scrape(&gateway);
        (metrics.sum("floodgate_l4_listen_overflows_total", &[]) > 0.0).then_some(metrics)
    });
    let kernels = |name| site.network.gateway.tcp_counter(name) as f64;
    let told = metrics.sum("floodgate_l4_listen_overflows_total", &[]);
    assert!(told <= kernels("ListenOverflows"), "{told}");
    let told = metrics.sum("floodgate_l4_listen_drops_total", &[]);
    assert!(told >= 1.0 && told <= kernels("ListenDrops"), "{told}");
    // The kernel sends cookies to all (net.ipv4.tcp_syncookies is 2 here), and all who came in have given theirs back.
    let cookies = |result| metrics.sum("floodgate_l4_cookies_total", &[("result", result)]);
    assert!(cookies("returned") >= waiting.len() as f64, "{}", cookies("returned"));
    assert!(cookies("sent") >= cookies("returned"));
    assert_eq!(cookies("wrong"), kernels("SyncookiesFailed"));
}
