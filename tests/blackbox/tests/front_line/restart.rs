//! What a restart finds again, and what the kernel does while nobody is there.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use harness::{Host, Network, PATIENCE, eventually};

use super::{HOST_PORT, PORT, Site};

/// Each address may connect three times, and then not for hours.
const THREE: &str = "mode = \"enforce\"\nsyns = { rate = \"1/h\", burst = 3, prefix_burst = 100 }";
const SPENT: u16 = 1;
const FRESH: u16 = 2;

/// The same rules in the same state folder: no trial, and what was counted and who was seen is known.
#[track_caller]
fn check(test: &str, driver: &str, knows_sources: bool) {
    let Some(site) = Site::new(test) else { return };
    let state = tempfile::tempdir().unwrap();
    let start = || site.start(site.with(&format!("{THREE}\ndriver = \"{driver}\"")).state(state.path()));
    let gateway = start();
    site.stands(&gateway, driver);
    site.by_hand(&gateway, &["commit"]);
    let times = |number| (0..4).filter(|_| site.knock(number, PORT).is_ok()).count();
    assert_eq!(times(SPENT), 3);
    let counted = |gateway: &harness::Gateway| {
        let metrics = site.network.gateway.inside(|| gateway.metrics());
        ["passed", "dropped"].map(|result| metrics.sum("floodgate_l4_syns_total", &[("result", result)]))
    };
    let before = counted(&gateway);
    assert_eq!(before, [3.0, 1.0]);
    assert_eq!(gateway.end().code, Some(0));
    let gateway = start();
    site.stands(&gateway, driver);
    let said = site.by_hand(&gateway, &["status"]);
    assert!(said.contains(", committed"), "{said}");
    assert!(!gateway.said().contains("on trial"), "{}", gateway.said());
    assert!(!site.network.gateway.inside(|| gateway.metrics()).has("floodgate_l4_trial_seconds"));
    assert_eq!(counted(&gateway), before);
    assert_eq!(site.knock(SPENT, PORT).is_err(), knows_sources);
    assert_eq!(times(FRESH), 3);
}

#[test]
fn a_restart_finds_rules_and_sources_in_xdp() {
    check("a_restart_finds_rules_and_sources_in_xdp", "xdp", true);
}

#[test]
fn a_restart_finds_rules_and_sources_in_tcx() {
    check("a_restart_finds_rules_and_sources_in_tcx", "tcx", true);
}

/// Its sets of sources go with the table that is replaced: all begin with a whole burst.
#[test]
fn a_restart_finds_rules_in_nftables() {
    check("a_restart_finds_rules_in_nftables", "nftables", false);
}

/// Rules on trial, and their gateway is killed: while its last sign of life still counts, those before them come back, by the kernel
/// alone. Afterwards everything passes, which would show nothing; so where the machine was too slow it is tried again.
#[test]
fn the_kernel_takes_a_trial_back_when_nobody_lives() {
    const COMMITTED: &str = "mode = \"enforce\"\nblock = [\"10.77.5.0/24\"]\ntrial = \"2s\"";
    const ON_TRIAL: &str = "mode = \"enforce\"\nblock = [\"10.77.6.0/24\"]\ntrial = \"2s\"";
    const TRIES: usize = 10;
    let Some(site) = Site::new("the_kernel_takes_a_trial_back_when_nobody_lives") else { return };
    let _host = site.host(HOST_PORT);
    let state = tempfile::tempdir().unwrap();
    for number in 1..=TRIES {
        let gateway = site.start_again(&site.with(COMMITTED).state(state.path()));
        if number == 1 {
            site.by_hand(&gateway, &["commit"]);
        }
        assert!(!site.gets_in(0x0501, HOST_PORT) && site.gets_in(0x0601, HOST_PORT));
        site.reload(&gateway, ON_TRIAL).unwrap();
        gateway.kill();
        let refused = site.knock(0x0601, HOST_PORT).is_err();
        eventually("the rules on trial have gone", || site.knock(0x0601, HOST_PORT).ok());
        let old_hold = site.knock(0x0501, HOST_PORT).is_err();
        let said = site.by_hand(&gateway, &["status"]);
        // Nobody lives: afterwards what was committed holds by the state alone.
        let gone = || {
            let said = site.by_hand(&gateway, &["status"]);
            (said.contains(", committed") && said.contains("no gateway looks after it")).then_some(())
        };
        eventually("the trial is over and nobody lives", gone);
        site.let_in(0x0501, HOST_PORT);
        if refused && said.contains(", committed") && !said.contains("no gateway looks after it") {
            assert!(old_hold, "neither rules held while there still was a sign of life");
            return;
        }
        println!("try {number}: {refused} {said}");
    }
    panic!("never fast enough");
}

/// Connections that wait at a gateway that dies come to who listens beside it: the program that steers moves them.
#[test]
fn connections_that_wait_at_a_dying_gateway_move() {
    const WAITING: u16 = 16;
    let Some(site) = Site::new("connections_that_wait_at_a_dying_gateway_move") else { return };
    let gateway = site.start(site.with("mode = \"enforce\"\nsteer = true").workers(2));
    site.stands(&gateway, "xdp");
    gateway.halt();
    let mut waiting: Vec<TcpStream> =
        (0..WAITING).map(|number| site.knock(number << 8 | 1, PORT).unwrap()).collect();
    let next = site.network.gateway.inside(|| Host::beside((Network::GATEWAY, PORT).into()));
    gateway.kill();
    for stream in &mut waiting {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
    }
    for (number, stream) in waiting.iter_mut().enumerate() {
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{number} of {WAITING}: {read:?}");
    }
    drop(next);
}
