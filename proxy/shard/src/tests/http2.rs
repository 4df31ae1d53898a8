//! HTTP/2 on either side and on both: whole cores, and peers that write their own frames.

mod backends;
mod beginnings;
mod grpc;
mod limits;
mod messages;
mod resets;

use runtime::simulated::Faults;

use super::harness::{Pki, Setup, check_on, in_http2};

/// Plays a script on a node whose backends are spoken to over HTTP/2: at once, and then late and in pieces.
#[track_caller]
fn check_http2(script: &str) {
    let setup = || Setup { model: in_http2(), ..Setup::default() };
    check_on(setup(), script);
    let seed = script.bytes().fold(0, |seed, byte| seed * 31 % 1_000_003 + u64::from(byte));
    let faults = Faults { slow_links_per_1000: 0, accept_failures_per_1000: 0, ..Faults::lossless(seed) };
    check_on(Setup { faults: Some(faults), ..setup() }, script);
}

/// Over TLS, with what clients and backend speak.
fn secure(clients: &[&[u8]], backend: &[&[u8]], names: &[&str]) -> Setup {
    let pki = Pki::new().speaking(clients, backend);
    let mut model = in_http2();
    pki.dress(&mut model, names);
    Setup { model, pki: Some(pki), ..Setup::default() }
}
