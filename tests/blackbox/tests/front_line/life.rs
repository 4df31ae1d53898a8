//! The life of rules: they die with the gateway, outlive an upgrade, and go by themselves unless they are committed (rows X2,
//! X3).

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use harness::{Gateway, Network, Visits, eventually, skip, visit_from};

use super::{HOST_PORT, PORT, Site};
use crate::{EndsWith, manager::Held};

const BLOCKS: &str = "mode = \"enforce\"\nblock = [\"10.77.0.0/16\"]";
const BLOCKED: u16 = 7;
/// So long after the last sign of life nobody is refused any more.
const OPEN_WITHIN: Duration = Duration::from_secs(3);

/// Waits until everything passes. Whoever knocks later than that after `since` gets in, however busy the machine is: it can make a
/// knock late, and a late one must pass all the more.
#[track_caller]
fn opens(site: &Site, since: Instant) {
    let passed = eventually("everything passes", || {
        let knocked = since.elapsed();
        match site.knock(BLOCKED, HOST_PORT) {
            Ok(_) => Some(knocked),
            Err(error) => {
                assert!(knocked <= OPEN_WITHIN, "refused {knocked:?} after the last sign of life: {error}");
                None
            }
        }
    });
    println!("open after {passed:?}");
}

/// A host beside it is behind the same rules, which nobody keeps up any more.
#[track_caller]
fn check_killed(test: &str, driver: &str) {
    let Some(site) = Site::new(test) else { return };
    let _host = site.host(HOST_PORT);
    let gateway = site.start(site.with(&format!("{BLOCKS}\ndriver = \"{driver}\"")));
    site.stands(&gateway, driver);
    site.kept_out(BLOCKED, HOST_PORT);
    gateway.kill();
    opens(&site, Instant::now());
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
    opens(&site, Instant::now());
    gateway.go_on();
    eventually("rules hold again", || site.knock(BLOCKED, HOST_PORT).is_err().then_some(()));
}

/// One core that stands still while all else goes on counts from when it turned last.
#[track_caller]
fn check_core(test: &str, driver: &str) {
    let Some(site) = Site::new(test) else { return };
    let _host = site.host(HOST_PORT);
    let gateway = site.start(site.with(&format!("{BLOCKS}\ndriver = \"{driver}\"")).workers(2));
    site.stands(&gateway, driver);
    site.kept_out(BLOCKED, HOST_PORT);
    let held = match Held::new(gateway.pid(), "core-1") {
        Ok(held) => held,
        Err(why) => return skip(test, &why),
    };
    opens(&site, Instant::now());
    gateway.wait_for_line("front line: core 1 has not turned for ");
    // It stays so for as long as the core stands, whatever is looked after meanwhile.
    for _ in 0..20 {
        site.let_in(BLOCKED, HOST_PORT);
    }
    drop(held);
    eventually("rules hold again", || site.knock(BLOCKED, HOST_PORT).is_err().then_some(()));
    gateway.wait_for_line("front line: it is looked after again");
}

#[test]
fn a_core_that_hangs_leaves_xdp_open() {
    check_core("a_core_that_hangs_leaves_xdp_open", "xdp");
}

#[test]
fn a_core_that_hangs_leaves_nftables_open() {
    check_core("a_core_that_hangs_leaves_nftables_open", "nftables");
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
