//! Which step is taken with which capabilities: whoever has none still has a gateway, and is told what is missing.

use crate::Place;
use harness::Network;
use l4::{Driver, Settings, Step};
use rustix::process::{Gid, Uid};
use rustix::thread::{self, CapabilitySet, CapabilitySets};
use std::os::unix::fs::chown;

/// `nobody`.
const NOBODY: u32 = 65534;

/// Makes this thread `nobody`, with these capabilities and no others, now and in what it starts.
fn become_nobody_with(capabilities: CapabilitySet) {
    thread::set_keep_capabilities(true).unwrap();
    let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    thread::set_thread_groups(&[]).unwrap();
    thread::set_thread_res_gid(gid, gid, gid).unwrap();
    thread::set_thread_res_uid(uid, uid, uid).unwrap();
    let sets = CapabilitySets { effective: capabilities, permitted: capabilities, inheritable: capabilities };
    thread::set_capabilities(None, sets).unwrap();
    for one in capabilities.iter() {
        thread::configure_capability_in_ambient_set(one, true).unwrap();
    }
}

#[track_caller]
fn check(test: &str, capabilities: CapabilitySet, step: Step, said: &[&str]) {
    let Some(place) = Place::new(test) else { return };
    chown(place.state.path(), Some(NOBODY), None).unwrap();
    // The mount is root's; a folder in it need not be.
    std::fs::create_dir(place.pins()).unwrap();
    chown(place.bpffs.path(), Some(NOBODY), None).unwrap();
    chown(place.pins(), Some(NOBODY), None).unwrap();
    place.network.gateway.inside(|| {
        become_nobody_with(capabilities);
        let mut line = place.attach(Settings { steer: true, ..place.settings(Driver::Auto) });
        assert_eq!(line.modes()[0].step, step, "{:#?}", place.said.lock().unwrap());
        for part in said {
            place.said(part);
        }
        line.beat(&mut |_| ()).unwrap();
        if step == Step::NativeXdp {
            assert!(place.has_xdp(Network::INTERFACE));
        }
        place.detach();
    });
}

#[test]
fn without_any_there_is_only_accept() {
    let said = ["not by nftables: ", "(this process lacks CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF)"];
    check("without_any_there_is_only_accept", CapabilitySet::empty(), Step::Accept, &said);
}

#[test]
fn with_net_admin_there_is_nftables() {
    let said = ["(this process lacks CAP_PERFMON, CAP_BPF)"];
    check("with_net_admin_there_is_nftables", CapabilitySet::NET_ADMIN, Step::Nftables, &said);
}

#[test]
fn bpf_alone_attaches_nothing() {
    let said = ["(this process lacks CAP_NET_ADMIN, CAP_PERFMON)"];
    check("bpf_alone_attaches_nothing", CapabilitySet::BPF, Step::Accept, &said);
}

#[test]
fn without_perfmon_the_verifier_refuses_the_parser() {
    let said = ["(this process lacks CAP_PERFMON)", "not by xdp", "not by tcx"];
    let capabilities = CapabilitySet::BPF | CapabilitySet::NET_ADMIN;
    check("without_perfmon_the_verifier_refuses_the_parser", capabilities, Step::Nftables, &said);
}

#[test]
fn all_three_are_enough() {
    check("all_three_are_enough", l4::NEEDED, Step::NativeXdp, &["edge: xdp"]);
}

#[test]
fn what_else_was_held_is_given_up_and_nothing_stops() {
    let Some(place) = Place::new("what_else_was_held_is_given_up_and_nothing_stops") else { return };
    place.network.gateway.inside(|| {
        let mut line = place.attach(place.settings(Driver::Auto));
        l4::drop_others(CapabilitySet::empty()).unwrap();
        assert_eq!(l4::held(), l4::NEEDED);
        line.beat(&mut |_| ()).unwrap();
        line.change(crate::rules(gate::abi::Mode::Monitor), std::time::Duration::ZERO).unwrap();
        line.block("198.51.100.7/32".parse().unwrap(), std::time::Duration::from_secs(1), 0, 0).unwrap();
        line.counters().unwrap();
        place.detach();
        place.let_go(|| !place.has_xdp(Network::INTERFACE));
    });
}
