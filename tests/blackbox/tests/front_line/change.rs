//! A reload that changes `[ebpf]`: new rules are on trial and give way to those that were committed, or are committed; what is attached
//! once can't be changed, by name.

use std::time::{Duration, Instant};

use harness::{Network, eventually};

use super::{HOST_PORT, PORT, ROUTE, Site};

const FIRST: u16 = 0x0501;
const SECOND: u16 = 0x0601;
const BLOCKS_FIRST: &str = "mode = \"enforce\"\nblock = [\"10.77.5.0/24\"]";
const BLOCKS_SECOND: &str = "mode = \"enforce\"\nblock = [\"10.77.6.0/24\"]";
/// A trial that a test can wait for, and whose rules are seen on a busy machine too.
const SHORT: &str = "trial = \"5s\"";

/// Who gets in, of the first and the second.
fn who(site: &Site) -> (bool, bool) {
    (site.gets_in(FIRST, PORT), site.gets_in(SECOND, PORT))
}

#[track_caller]
fn check_trial(test: &str, driver: &str) {
    let Some(site) = Site::new(test) else { return };
    let rules = |rules: &str| format!("{rules}\ndriver = \"{driver}\"\n{SHORT}");
    let gateway = site.start(site.with(&rules(BLOCKS_FIRST)));
    site.stands(&gateway, driver);
    site.by_hand(&gateway, &["commit"]);
    eventually("the first rules hold", || (who(&site) == (false, true)).then_some(()));

    // On trial, and nobody commits: those before them hold again.
    let said = site.reload(&gateway, &rules(BLOCKS_SECOND)).unwrap();
    assert!(said.contains("on trial for"), "{said}");
    eventually("the second rules hold", || (who(&site) == (true, false)).then_some(()));
    eventually("the first rules hold again", || (who(&site) == (false, true)).then_some(()));
    gateway.wait_for_line("those before them hold again");
    let refused = site.try_by_hand(&gateway, &["commit"]).unwrap_err();
    assert!(refused.contains("no rules are on trial"), "{refused}");

    // The same file once more is another trial, and this time somebody commits.
    let said = site.reload(&gateway, &rules(BLOCKS_SECOND)).unwrap();
    assert!(said.contains("on trial for"), "{said}");
    let begun = Instant::now();
    site.by_hand(&gateway, &["commit"]);
    while begun.elapsed() < Duration::from_secs(6) {
        eventually("the second rules hold", || (who(&site) == (true, false)).then_some(()));
    }
    let trial = site.network.gateway.inside(|| gateway.metrics()).has("floodgate_l4_trial_seconds");
    assert!(!trial && who(&site) == (true, false));
    // What holds already changes nothing.
    let said = site.reload(&gateway, &rules(BLOCKS_SECOND)).unwrap();
    assert!(!said.contains("trial"), "{said}");
}

#[test]
fn a_reload_puts_rules_on_trial_in_xdp() {
    check_trial("a_reload_puts_rules_on_trial_in_xdp", "xdp");
}

#[test]
fn a_reload_puts_rules_on_trial_in_nftables() {
    check_trial("a_reload_puts_rules_on_trial_in_nftables", "nftables");
}

#[test]
fn a_reload_puts_rules_on_trial_at_accept() {
    check_trial("a_reload_puts_rules_on_trial_at_accept", "accept");
}

/// How many of five connections of one source come about at a port.
fn of_five(site: &Site, number: u16, port: u16) -> usize {
    (0..5).filter(|_| site.knock(number, port).is_ok()).count()
}

/// Rates, ports and modes, one after the other on the same programs.
#[test]
fn a_reload_changes_rates_ports_and_modes() {
    let Some(site) = Site::new("a_reload_changes_rates_ports_and_modes") else { return };
    let _host = site.host(HOST_PORT);
    let gateway = site.start(site.with("mode = \"enforce\""));
    site.stands(&gateway, "xdp");
    assert_eq!(of_five(&site, 1, PORT), 5);
    let two = "syns = { rate = \"1/h\", burst = 2, prefix_burst = 100 }";
    let reload = |lines: &str| site.reload(&gateway, lines).unwrap();
    // Who was seen before is known in the new rules: it is the same policy.
    reload(&format!("mode = \"enforce\"\n{two}"));
    assert_eq!((of_five(&site, 2, PORT), of_five(&site, 3, HOST_PORT)), (2, 2));
    reload(&format!("mode = \"monitor\"\n{two}"));
    assert_eq!(of_five(&site, 2, PORT), 5);
    let at = |ports: &str, lines: &str| {
        let all = format!("ports = [{PORT}, {HOST_PORT}]");
        let config = site.config(lines, ROUTE);
        assert!(config.contains(&all));
        gateway.configure(&config.replace(&all, &format!("ports = [{ports}]")));
        site.reload_again(&gateway).unwrap();
    };
    at(&HOST_PORT.to_string(), &format!("mode = \"enforce\"\n{two}"));
    assert_eq!((of_five(&site, 4, PORT), of_five(&site, 4, HOST_PORT)), (5, 2));
    let own = format!(
        "mode = \"enforce\"\n{two}\n[[ebpf.policy]]\nports = [{PORT}]\nmode = \"enforce\"\nsyns = {{ rate = \"1/h\", burst = 3, prefix_burst = 100 }}"
    );
    at(&HOST_PORT.to_string(), &own);
    assert_eq!((of_five(&site, 5, PORT), of_five(&site, 5, HOST_PORT)), (3, 2));
    reload("mode = \"enforce\"\nblock = [\"10.77.0.0/16\"]\nallow = [\"10.77.5.0/24\"]");
    assert_eq!((of_five(&site, 0x0601, PORT), of_five(&site, FIRST, PORT)), (0, 5));
}

/// What is attached once: refused by name, and nothing is changed.
#[test]
fn what_is_attached_once_is_refused_by_name() {
    let Some(site) = Site::new("what_is_attached_once_is_refused_by_name") else { return };
    let gateway = site.start(site.with(BLOCKS_FIRST));
    site.stands(&gateway, "xdp");
    let config = site.config(BLOCKS_SECOND, ROUTE);
    let refused = |key: &str, config: &str| {
        gateway.configure(config);
        let said = site.network.gateway.inside(|| gateway.reload());
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(!said.status.success(), "{key}: {text}");
        assert!(text.contains(&format!("`{key}` can't be changed while running")), "{key}: {text}");
        assert!(text.contains("restart floodgate to apply it"), "{text}");
    };
    let with = |line: &str| site.config(&format!("{BLOCKS_SECOND}\n{line}"), ROUTE);
    let interfaces = format!("interfaces = [\"{}\"]", Network::INTERFACE);
    assert!(config.contains(&interfaces));
    refused("ebpf.interfaces", &config.replace(&interfaces, "interfaces = [\"lo\"]"));
    refused("ebpf.driver", &with("driver = \"tcx\""));
    refused("ebpf.pins", &config.replace("/floodgate\"", "/elsewhere\""));
    refused("ebpf.steer", &with("steer = false"));
    refused("ebpf.connections", &with("connections = false"));
    refused("ebpf", ROUTE);
    assert_eq!(who(&site), (false, true));
    site.stands(&gateway, "xdp");
}
