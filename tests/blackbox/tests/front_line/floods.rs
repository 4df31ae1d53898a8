//! Floods: good clients do not notice them, and next to nothing of them reaches the kernel's TCP (row X6).

use std::{
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use harness::{Flood, Flooded, Network, Visits, eventually};

use super::{PORT, Site};
use crate::EndsWith;

/// What one address may do, a good client with 10 connections a second too.
const SYNS: &str = "syns = { rate = \"20/s\", burst = 40 }\nflood = \"2000/s\"";
const RATE: u32 = 40_000;
const V4: SocketAddr = SocketAddr::new(IpAddr::V4(Network::GATEWAY), PORT);
const V6: SocketAddr = SocketAddr::new(IpAddr::V6(Network::GATEWAY_V6), PORT);
const BEGUN_FRAMES: u64 = 20_000;

/// Good clients beside a flood of few or spoofed sources; of `in_ten` out of ten of its SYNs at least the kernel's TCP hears
/// nothing.
#[track_caller]
fn check(test: &str, mode: &str, driver: &str, to: SocketAddr, flood: fn(SocketAddr) -> Flood, in_ten: u64) {
    let Some(site) = Site::new(test) else { return };
    let lines = format!("mode = \"{mode}\"\ndriver = \"{driver}\"\n{SYNS}");
    let gateway = site.start(site.with(&lines).at(to));
    site.stands(&gateway, driver);
    site.count_syns();
    let flooded = beside(&site, to, flood);
    let heard = site.counted_syns();
    println!("{heard} of {} SYNs came through", flooded.count);
    // Good clients' own are among them.
    assert!(
        heard <= flooded.count * (10 - in_ten) / 10 + 21,
        "{heard} of {} SYNs came through",
        flooded.count
    );
    site.network.gateway.inside(|| assert_eq!(gateway.ask_admin("GET /healthz").status, 200));
}

/// 21 good clients beside a flood, which all get their answer.
#[track_caller]
fn beside(site: &Site, to: SocketAddr, flood: fn(SocketAddr) -> Flood) -> Flooded {
    let flood = Flood { rate: RATE, time_max: Duration::from_secs(15), ..flood(to) };
    let stop = AtomicBool::new(false);
    let (visited, flooded) = thread::scope(|scope| {
        let flooding = scope.spawn(|| flood.send(&site.network, &stop));
        let ends = EndsWith(&stop);
        eventually("the flood has begun", || {
            (site.network.gateway.frames_in(Network::INTERFACE).0 >= BEGUN_FRAMES).then_some(())
        });
        let visits = Visits { rate: 10, time: Duration::from_secs(2), ..Visits::to(flood.to) };
        let visited = site.network.clients.inside(|| visits.run());
        stop.store(true, Ordering::Relaxed);
        drop(ends);
        (visited, flooding.join().unwrap())
    });
    assert_eq!((visited.latencies.len(), visited.failed), (21, Vec::new()));
    flooded
}

#[test]
fn few_hosts_are_dropped_in_xdp() {
    check("few_hosts_are_dropped_in_xdp", "enforce", "xdp", V4, Flood::of_few, 9);
}

#[test]
fn few_hosts_are_dropped_in_generic_xdp() {
    check("few_hosts_are_dropped_in_generic_xdp", "enforce", "generic", V4, Flood::of_few, 9);
}

#[test]
fn few_hosts_are_dropped_in_tcx() {
    check("few_hosts_are_dropped_in_tcx", "enforce", "tcx", V4, Flood::of_few, 9);
}

#[test]
fn few_hosts_are_dropped_by_nftables() {
    check("few_hosts_are_dropped_by_nftables", "enforce", "nftables", V4, Flood::of_few, 9);
}

#[test]
fn spoofed_sources_are_challenged_in_xdp() {
    check("spoofed_sources_are_challenged_in_xdp", "challenge", "xdp", V4, Flood::of_spoofed, 9);
}

#[test]
fn spoofed_sources_are_challenged_in_generic_xdp() {
    check("spoofed_sources_are_challenged_in_generic_xdp", "challenge", "generic", V4, Flood::of_spoofed, 9);
}

#[test]
fn few_hosts_of_ipv6_are_dropped_in_xdp() {
    check("few_hosts_of_ipv6_are_dropped_in_xdp", "enforce", "xdp", V6, Flood::of_few, 9);
}

#[test]
fn few_hosts_of_ipv6_are_dropped_in_tcx() {
    check("few_hosts_of_ipv6_are_dropped_in_tcx", "enforce", "tcx", V6, Flood::of_few, 9);
}

#[test]
fn few_hosts_of_ipv6_are_dropped_by_nftables() {
    check("few_hosts_of_ipv6_are_dropped_by_nftables", "enforce", "nftables", V6, Flood::of_few, 9);
}

#[test]
fn spoofed_sources_of_ipv6_are_challenged_in_xdp() {
    check("spoofed_sources_of_ipv6_are_challenged_in_xdp", "challenge", "xdp", V6, Flood::of_spoofed, 9);
}

/// The kernel would take no cookie but while its own queue overflows, and reset everybody who answers: nobody is challenged.
#[test]
fn nobody_is_challenged_whose_answer_would_be_refused() {
    let Some(site) = Site::new("nobody_is_challenged_whose_answer_would_be_refused") else { return };
    site.network.gateway.set("ipv4/tcp_syncookies", "1");
    let gateway = site.start(site.with(&format!("mode = \"challenge\"\n{SYNS}")));
    gateway.wait_for_line("nobody is challenged");
    beside(&site, V4, Flood::of_spoofed);
}

/// tcx can't answer: the kernel's own cookies do.
#[test]
fn spoofed_sources_do_no_harm_where_nobody_can_challenge_them() {
    let test = "spoofed_sources_do_no_harm_where_nobody_can_challenge_them";
    check(test, "challenge", "tcx", V4, Flood::of_spoofed, 0);
}

#[test]
fn who_monitors_drops_nothing() {
    let Some(site) = Site::new("who_monitors_drops_nothing") else { return };
    let gateway = site.start(site.with(&format!("mode = \"monitor\"\n{SYNS}")));
    site.stands(&gateway, "xdp");
    site.count_syns();
    let flood = Flood { sources: 1, rate: RATE, count_max: 2_000, ..Flood::of_few(V4) };
    assert_eq!(flood.send(&site.network, &AtomicBool::new(false)).count, 2_000);
    eventually("all SYNs have come", || (site.counted_syns() == 2_000).then_some(()));
    site.let_in(1, PORT);
}
