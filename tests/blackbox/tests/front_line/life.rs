//! The life of rules: they die with the gateway, outlive an upgrade, and go by themselves unless they are committed (rows X2,
//! X3).

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use harness::{Gateway, Network, Visits, eventually, visit_from};

use super::{HOST_PORT, PORT, Site};
use crate::EndsWith;

const BLOCKS: &str = "mode = \"enforce\"\nblock = [\"10.77.0.0/16\"]";
const BLOCKED: u16 = 7;
/// From the last sign of life; and what a knock takes that comes too early, and a busy machine.
const OPEN_WITHIN: Duration = Duration::from_millis(3_000 + 1_000);

/// A host beside it is behind the same rules, which nobody keeps up any more.
#[track_caller]
fn check_killed(test: &str, driver: &str) {
    let Some(site) = Site::new(test) else { return };
    let _host = site.host(HOST_PORT);
    let gateway = site.start(site.with(&format!("{BLOCKS}\ndriver = \"{driver}\"")));
    site.stands(&gateway, driver);
    site.kept_out(BLOCKED, HOST_PORT);
    gateway.kill();
    let killed = Instant::now();
    eventually("everything passes", || site.knock(BLOCKED, HOST_PORT).ok());
    let took = killed.elapsed();
    println!("open after {took:?}");
    assert!(took <= OPEN_WITHIN, "{took:?}");
    site.let_in(BLOCKED, HOST_PORT);
}

#[test]
fn a_killed_gateway_leaves_xdp_open() {
    check_killed("a_killed_gateway_leaves_xdp_open", "xdp");
}

#[test]
fn a_killed_gateway_leaves_tcx_open() {
    check_killed("a_killed_gateway_leaves_tcx_open", "tcx");
}

#[test]
fn a_killed_gateway_leaves_nftables_open() {
    check_killed("a_killed_gateway_leaves_nftables_open", "nftables");
}

/// A process that stands still is no better than a dead one.
#[test]
fn a_gateway_that_hangs_leaves_xdp_open() {
    let Some(site) = Site::new("a_gateway_that_hangs_leaves_xdp_open") else { return };
    let _host = site.host(HOST_PORT);
    let gateway = site.start(site.with(BLOCKS));
    site.kept_out(BLOCKED, HOST_PORT);
    gateway.halt();
    let halted = Instant::now();
    eventually("everything passes", || site.knock(BLOCKED, HOST_PORT).ok());
    assert!(halted.elapsed() <= OPEN_WITHIN, "{:?}", halted.elapsed());
    gateway.go_on();
    eventually("rules hold again", || site.knock(BLOCKED, HOST_PORT).is_err().then_some(()));
}

/// Another process takes the programs over: nobody good is lost meanwhile, and nobody bad gets in.
#[test]
fn an_upgrade_loses_nobody_and_lets_nobody_in() {
    let Some(site) = Site::new("an_upgrade_loses_nobody_and_lets_nobody_in") else { return };
    let _host = site.host(HOST_PORT);
    let first = site.start(site.with(BLOCKS));
    site.stands(&first, "xdp");
    site.by_hand(&first, &["commit"]);
    let stop = AtomicBool::new(false);
    let (visited, got_in) = thread::scope(|scope| {
        let ends = EndsWith(&stop);
        let visiting = scope.spawn(|| {
            let visits =
                Visits { rate: 200, time: Duration::from_secs(3), to: (Network::GATEWAY, HOST_PORT).into() };
            site.network.clients.inside(|| visits.run())
        });
        let knocking = scope.spawn(|| {
            let mut got_in = 0;
            while !stop.load(Ordering::Relaxed) {
                got_in += usize::from(site.knock(BLOCKED, HOST_PORT).is_ok());
            }
            got_in
        });
        // It has another port, since two gateways do not share one.
        let second = site.start(site.with(BLOCKS).at((Network::GATEWAY, PORT + 1).into()));
        site.stands(&second, "xdp");
        assert_eq!(first.end().code, Some(0));
        let visited = visiting.join().unwrap();
        drop(ends);
        let got_in = knocking.join().unwrap();
        site.kept_out(BLOCKED, HOST_PORT);
        (visited, got_in)
    });
    assert_eq!((visited.latencies.len(), visited.failed, got_in), (601, Vec::new(), 0));
}

const TRIAL: Duration = Duration::from_secs(2);

fn on_trial(site: &Site) -> Gateway {
    site.start(site.with(&format!("{BLOCKS}\ntrial = \"{}s\"", TRIAL.as_secs())))
}

#[test]
fn rules_that_nobody_commits_go_by_themselves() {
    let Some(site) = Site::new("rules_that_nobody_commits_go_by_themselves") else { return };
    let _host = site.host(HOST_PORT);
    let gateway = on_trial(&site);
    site.kept_out(BLOCKED, HOST_PORT);
    eventually("the rules have gone", || site.knock(BLOCKED, HOST_PORT).ok());
    gateway.wait_for_line("nobody committed the new rules");
    site.let_in(BLOCKED, HOST_PORT);
}

#[test]
fn rules_that_are_committed_stay() {
    let Some(site) = Site::new("rules_that_are_committed_stay") else { return };
    let _host = site.host(HOST_PORT);
    let gateway = on_trial(&site);
    site.by_hand(&gateway, &["commit"]);
    let committed = Instant::now();
    while committed.elapsed() < TRIAL + Duration::from_secs(1) {
        site.kept_out(BLOCKED, HOST_PORT);
    }
    site.network
        .clients
        .inside(|| visit_from(Network::CLIENT.into(), (Network::GATEWAY, HOST_PORT).into()))
        .unwrap();
}
