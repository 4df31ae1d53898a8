//! The ladder: who can't have the best step has the next one, says so once, and serves all the same (row X5).

use harness::Gateway;

use super::{PORT, Site};

const BLOCKS: &str = "mode = \"enforce\"\nblock = [\"10.77.0.0/16\"]";
const BLOCKED: u16 = 7;
/// Whoever may do this may do anything to the kernel; a gateway is not to need it.
const ALMIGHTY: &str = "sys_admin";

/// A gateway without these capabilities stands on this step; its rules hold, and others are served.
#[track_caller]
fn check(test: &str, driver: &str, without: &[&str], stands: &str) {
    let Some(site) = Site::new(test) else { return };
    let builder = site.with(&format!("{BLOCKS}\ndriver = \"{driver}\"")).without(without);
    let gateway = site.start(builder);
    site.stands(&gateway, stands);
    said_once(&gateway, stands);
    // On the last step he is let in by the kernel and turned away at once.
    let turned_away = site.visit(BLOCKED, PORT);
    assert!(turned_away.is_err(), "{}", gateway.said());
    site.network.clients.inside(|| {
        harness::visit_from(harness::Network::CLIENT.into(), (harness::Network::GATEWAY, PORT).into())
            .unwrap();
    });
}

/// One line says where it stands on the interface.
#[track_caller]
fn said_once(gateway: &Gateway, stands: &str) {
    let said = gateway.said();
    let lines =
        said.lines().filter(|line| line.contains(harness::Network::INTERFACE) && line.contains(stands));
    assert_eq!(lines.count(), 1, "{said}");
}

#[test]
fn each_step_can_be_asked_for() {
    for driver in ["xdp", "generic", "tcx", "nftables", "accept"] {
        check("each_step_can_be_asked_for", driver, &[], driver);
    }
}

#[test]
fn three_capabilities_are_enough() {
    check("three_capabilities_are_enough", "auto", &[ALMIGHTY], "xdp");
}

#[test]
fn without_bpf_there_is_nftables() {
    check("without_bpf_there_is_nftables", "auto", &[ALMIGHTY, "bpf"], "nftables");
}

#[test]
fn without_perfmon_there_is_nftables() {
    check("without_perfmon_there_is_nftables", "auto", &[ALMIGHTY, "perfmon"], "nftables");
}

#[test]
fn without_any_right_who_accepts_decides() {
    check(
        "without_any_right_who_accepts_decides",
        "auto",
        &[ALMIGHTY, "bpf", "perfmon", "net_admin"],
        "accept",
    );
}
