//! Verdicts by hand, on each step of the ladder: who is blocked is kept out over a change of rules and a restart, until that is over or
//! he is allowed. And the programs by hand: attached without a gateway and beside one, detached whatever is left.

use std::{fs, net::SocketAddr, process::Command};

use harness::{Gateway, Network, client_address, dial, eventually, gateway_binary};

use super::{HOST_PORT, PORT, REFUSED_AFTER, ROUTE, Site, answered};

/// Of another network each: whom the rules block, whom the operator blocks, and nobody.
const BY_RULES: u16 = 0x0801;
const LET_IN_BY_HAND: u16 = 0x0808;
const BY_HAND: u16 = 0x0501;
const LET_IN_AGAIN: u16 = 0x0507;
const FOR_A_WHILE: u16 = 0x0601;
const NOBODY: u16 = 0x0701;

const RULES: &str = "mode = \"enforce\"\nblock = [\"10.77.8.0/24\"]";
const OTHER_RATES: &str = "syns = { rate = \"299/s\", burst = 599 }";

#[track_caller]
fn check(test: &str, driver: &str) {
    let Some(site) = Site::new(test) else { return };
    let state = tempfile::tempdir().unwrap();
    let rules = format!("{RULES}\ndriver = \"{driver}\"");
    let gateway = site.start(site.with(&rules).state(state.path()));
    site.stands(&gateway, driver);
    site.by_hand(&gateway, &["commit"]);
    assert!(site.gets_in(BY_HAND, PORT) && !site.gets_in(BY_RULES, PORT));

    // Where verdicts lie in a set, none may overlap another.
    site.by_hand(&gateway, &["block", "10.77.5.7", "--for", "30m"]);
    site.by_hand(&gateway, &["block", "10.77.5.0/24", "--for", "1h"]);
    site.by_hand(&gateway, &["allow", "10.77.8.8"]);
    eventually("he is kept out", || (!site.gets_in(BY_HAND, PORT)).then_some(()));
    eventually("he is let in", || site.gets_in(LET_IN_BY_HAND, PORT).then_some(()));
    assert!(site.gets_in(NOBODY, PORT) && !site.gets_in(BY_RULES, PORT));
    let listed = |what: &str| {
        let said = site.by_hand(&gateway, &["status"]);
        said.lines().filter(|line| line.contains(what) && line.contains("shut out")).count()
    };
    assert_eq!((listed("10.77.5.0/24"), listed("10.77.5.7/32")), (1, 1));

    // Other rules end what was allowed under the old ones, and no verdict.
    site.reload(&gateway, &format!("{rules}\n{OTHER_RATES}")).unwrap();
    site.by_hand(&gateway, &["commit"]);
    eventually("he is not let in any more", || (!site.gets_in(LET_IN_BY_HAND, PORT)).then_some(()));
    eventually("he is kept out still", || (!site.gets_in(BY_HAND, PORT)).then_some(()));
    assert!(site.gets_in(NOBODY, PORT));
    assert_eq!(listed("10.77.5.0/24"), 1);
    gateway.kill();
    gateway.wait();
    let again = site.with(&format!("{rules}\n{OTHER_RATES}")).state(state.path());
    let gateway = site.start_again(&again);
    eventually("he is kept out still", || (!site.gets_in(BY_HAND, PORT)).then_some(()));
    assert!(site.gets_in(NOBODY, PORT));

    // It ends by the operator's word, or by itself.
    site.by_hand(&gateway, &["allow", "10.77.5.7"]);
    eventually("he is let in again", || site.gets_in(LET_IN_AGAIN, PORT).then_some(()));
    assert!(!site.gets_in(BY_HAND, PORT));
    site.by_hand(&gateway, &["block", "10.77.5.0/24", "--for", "0s"]);
    eventually("all are let in again", || site.gets_in(BY_HAND, PORT).then_some(()));
    site.by_hand(&gateway, &["block", "10.77.6.0/24", "--for", "3s"]);
    eventually("he is kept out for a while", || (!site.gets_in(FOR_A_WHILE, PORT)).then_some(()));
    eventually("the while is over", || site.gets_in(FOR_A_WHILE, PORT).then_some(()));

    // Detached, nobody is kept out any more; the gateway serves.
    site.by_hand(&gateway, &["detach"]);
    eventually("everything passes", || site.gets_in(BY_RULES, PORT).then_some(()));
    let refused = site.try_by_hand(&gateway, &["status"]).unwrap_err();
    assert!(refused.contains("nothing is attached"), "{refused}");
    gateway.wait_for_line("it is left alone until the next start");
}

#[test]
fn verdicts_by_hand_hold_in_xdp() {
    check("verdicts_by_hand_hold_in_xdp", "xdp");
}

#[test]
fn verdicts_by_hand_hold_in_generic_xdp() {
    check("verdicts_by_hand_hold_in_generic_xdp", "generic");
}

#[test]
fn verdicts_by_hand_hold_in_tcx() {
    check("verdicts_by_hand_hold_in_tcx", "tcx");
}

#[test]
fn verdicts_by_hand_hold_in_nftables() {
    check("verdicts_by_hand_hold_in_nftables", "nftables");
}

#[test]
fn verdicts_by_hand_hold_at_accept() {
    check("verdicts_by_hand_hold_at_accept", "accept");
}

/// `floodgate ebpf attach FILE`.
#[track_caller]
fn attach(site: &Site, config: &std::path::Path, state: &std::path::Path) -> String {
    let mut command = Command::new(gateway_binary());
    command.args(["ebpf", "attach"]).arg(config).arg("--state").arg(state);
    let said = site.network.gateway.inside(|| command.output().unwrap());
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8_lossy(&said.stdout).into_owned()
}

fn has_xdp(site: &Site) -> bool {
    site.network.gateway.run("ip", &["link", "show", "dev", Network::INTERFACE]).unwrap().contains("prog/xdp")
}

/// Programs by hand, then a gateway that finds them, then the same command beside it.
#[test]
fn programs_are_attached_without_a_gateway_and_beside_one() {
    let Some(site) = Site::new("programs_are_attached_without_a_gateway_and_beside_one") else { return };
    let state = tempfile::tempdir().unwrap();
    let config = state.path().join("floodgate.toml");
    // As the harness gives it to a gateway.
    let listener = format!("name = \"main\"\naddress = \"{}:{PORT}\"\nplain = true", Network::GATEWAY);
    let (admin, rest) = ("listen = \"127.0.0.1:0\"", site.config(RULES, ROUTE));
    fs::write(&config, format!("[admin]\n{admin}\n[[listener]]\n{listener}\n{rest}")).unwrap();
    let _host = site.host(HOST_PORT);
    let said = attach(&site, &config, state.path());
    assert_eq!(said, format!("{}: XDP, in its driver\n", Network::INTERFACE));
    assert!(has_xdp(&site));
    // Nobody lives, so nobody is kept out once that was long enough ago.
    eventually("everything passes", || site.gets_in(BY_RULES, HOST_PORT).then_some(()));

    let gateway = site.start(site.with(RULES).state(state.path()));
    site.stands(&gateway, "xdp");
    site.by_hand(&gateway, &["commit"]);
    assert!(!site.gets_in(BY_RULES, HOST_PORT));
    let syns = |gateway: &Gateway| {
        let metrics = site.network.gateway.inside(|| gateway.metrics());
        metrics.sum("floodgate_l4_syns_total", &[])
    };
    let before = syns(&gateway);
    assert!(before > 0.0);
    attach(&site, &config, state.path());
    assert!(!site.gets_in(BY_RULES, HOST_PORT) && site.gets_in(NOBODY, PORT));
    assert!(syns(&gateway) > before, "the gateway reads other tables than the programs write");
    let said = site.by_hand(&gateway, &["status"]);
    assert!(said.contains(", committed"), "{said}");
}

/// Nobody is there who could help.
#[test]
fn what_a_killed_gateway_left_is_detached() {
    for driver in ["xdp", "tcx", "nftables", "accept"] {
        let Some(site) = Site::new("what_a_killed_gateway_left_is_detached") else { return };
        let gateway = site.start(site.with(&format!("{RULES}\ndriver = \"{driver}\"")));
        site.stands(&gateway, driver);
        gateway.kill();
        site.by_hand(&gateway, &["status"]);
        site.by_hand(&gateway, &["detach"]);
        let refused = site.try_by_hand(&gateway, &["status"]).unwrap_err();
        assert!(refused.contains("nothing is attached"), "{refused}");
        eventually("the interface is as it was", || (!has_xdp(&site)).then_some(()));
        assert!(!site.pins().exists());
        let tables = site.network.gateway.run("nft", &["list", "tables"]).unwrap();
        assert!(!tables.contains("floodgate"), "{tables}");
        // Again, with nothing there.
        site.by_hand(&gateway, &["detach"]);
    }
}

/// By an address of IPv6 and by prefixes of it.
#[test]
fn verdicts_by_hand_hold_for_ipv6() {
    for driver in ["xdp", "nftables", "accept"] {
        let Some(site) = Site::new("verdicts_by_hand_hold_for_ipv6") else { return };
        let to = SocketAddr::from((Network::GATEWAY_V6, PORT));
        let gateway = site.start(site.with(&format!("mode = \"enforce\"\ndriver = \"{driver}\"")).at(to));
        site.stands(&gateway, driver);
        let gets_in = |number| {
            let from = client_address(to.ip(), number);
            site.network.clients.inside(|| answered(dial(from, to, REFUSED_AFTER)))
        };
        // Clients are each in a /64 of their own.
        site.by_hand(&gateway, &["block", "fd77:0:0:500::/56"]);
        site.by_hand(&gateway, &["block", "fd77:0:0:601::1"]);
        eventually("they are kept out", || (!gets_in(0x0501) && !gets_in(0x0601)).then_some(()));
        assert!(gets_in(0x0701) && gets_in(0x0602), "{driver}");
        site.by_hand(&gateway, &["allow", "fd77:0:0:501::/64"]);
        eventually("he is let in", || gets_in(0x0501).then_some(()));
        assert!(!gets_in(0x0502) && !gets_in(0x0601), "{driver}");
    }
}

/// `floodgate run URL --xdp IFACE`: everything passes and is counted. Its pins are where they always are, so it has mounts of its own.
#[test]
fn an_interface_on_the_command_line_is_counted() {
    const VISITS: u16 = 7;
    let Some(site) = Site::new("an_interface_on_the_command_line_is_counted") else { return };
    let _backend = site.host(HOST_PORT);
    let (url, listen) =
        (format!("http://{}:{HOST_PORT}", Network::GATEWAY), format!("{}:{PORT}", Network::GATEWAY));
    let own_mounts = "mount -t bpf bpf /sys/fs/bpf && exec \"$0\" \"$@\"";
    let flags = [&*url, "--plain", "--listen", &listen, "--xdp", Network::INTERFACE];
    let gateway =
        site.start(Gateway::with_flags(&flags).under(&["unshare", "--mount", "sh", "-c", own_mounts]));
    site.stands(&gateway, "xdp");
    for number in 0..VISITS {
        site.let_in(number, PORT);
    }
    let metrics = site.network.gateway.inside(|| gateway.metrics());
    let of = |result| metrics.sum("floodgate_l4_syns_total", &[("result", result)]);
    assert_eq!((of("passed"), of("challenged"), of("dropped")), (VISITS.into(), 0.0, 0.0));
    let mut status = Command::new("nsenter");
    status.args(["--mount", "--target", &gateway.pid().to_string()]).arg(gateway_binary());
    status.args(["ebpf", "status", "--state"]).arg(gateway.state(""));
    let said = site.network.gateway.inside(|| status.output().unwrap());
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains(&format!("interface {:<10} XDP, in its driver", Network::INTERFACE)), "{said}");
    assert!(said.contains(&format!("{VISITS} passed, 0 challenged, 0 dropped")), "{said}");
    assert!(said.contains("on trial"), "{said}");
}
