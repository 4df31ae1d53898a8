//! HTTP/2 on either side and on both: whole cores, and peers that write their own frames.

mod backends;
mod beginnings;
mod grpc;
mod limits;
mod messages;
mod resets;
mod telling;

use runtime::simulated::Faults;
use telemetry::{NodeFacts, exposition, merge};

use super::harness::{Lab, Pki, Setup, check_on, in_http2, run};

/// Plays a script on a node whose backends are spoken to over HTTP/2: at once, and then late and in pieces.
#[track_caller]
fn check_http2(script: &str) {
    let setup = || Setup { model: in_http2(), ..Setup::default() };
    check_on(setup(), script);
    let seed = script.bytes().fold(0, |seed, byte| seed * 31 % 1_000_003 + u64::from(byte));
    let faults = Faults { slow_links_per_1000: 0, accept_failures_per_1000: 0, ..Faults::lossless(seed) };
    check_on(Setup { faults: Some(faults), ..setup() }, script);
}

/// Plays a script, and looks at what was counted under these names by then.
#[track_caller]
fn check_metrics(names: &[&str], script: &str, counted: &[&str]) {
    run(Setup { model: in_http2(), ..Setup::default() }, async |lab: &mut Lab| {
        lab.talk(script).await;
        assert_eq!(counted_in(lab, names), counted, "{script}");
    });
}

/// What was counted under these names, but for nothing.
fn counted_in(lab: &Lab, names: &[&str]) -> Vec<String> {
    let page = exposition(&merge(vec![lab.cores[0].counted()]), &NodeFacts::default());
    let is_counted = |line: &&str| {
        !line.starts_with('#') && names.iter().any(|name| line.contains(name)) && !line.ends_with(" 0")
    };
    page.lines().filter(is_counted).map(str::to_owned).collect()
}

/// Over TLS, with what clients and backend speak.
fn secure(clients: &[&[u8]], backend: &[&[u8]], names: &[&str]) -> Setup {
    let pki = Pki::new().speaking(clients, backend);
    let mut model = in_http2();
    pki.dress(&mut model, names);
    Setup { model, pki: Some(pki), ..Setup::default() }
}
