//! Each step of the ladder does the same, and one that can't be taken leads to the next.

use crate::{BURST, PORT, Place, SYNS, counted};
use gate::abi::Count;
use harness::{Flood, Network, eventually, skip};
use l4::{Driver, Settings, Step, pinned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::AtomicBool;

#[track_caller]
fn check_step(test: &str, driver: Driver, step: Step) {
    let Some(place) = Place::new(test) else { return };
    place.network.gateway.inside(|| {
        let mut line = place.attach(place.settings(driver));
        assert_eq!(line.modes()[0].step, step, "{:#?}", place.said.lock().unwrap());
        assert_eq!(line.top_sources(2), []);
        assert_eq!(place.flood(SYNS).count, SYNS);
        let counters = counted(&line, SYNS);
        assert_eq!(counters.of(Count::Syns), SYNS);
        let passed = counters.of(Count::SynsPassed);
        assert_eq!(passed, BURST + 1);
        assert_eq!(counters.of(Count::Dropped), SYNS - passed);
        assert_eq!(counters.of(Count::SynsOverNarrow4), SYNS - passed);
        if step.is_program() {
            let events = line.events(100);
            assert_eq!(
                events.iter().map(|event| event.prefix).collect::<Vec<_>>(),
                ["10.66.0.1/32".parse().ok()]
            );
            assert_eq!((events[0].port, events[0].what), (PORT, Count::SynsOverNarrow4 as u16));
            assert_eq!(line.events(100), []);
            let sources = line.top_sources(2);
            assert_eq!(sources.len(), 1);
            assert_eq!(Some(sources[0].prefix), events[0].prefix);
            assert_eq!((sources[0].syns, sources[0].syns_over), (SYNS, SYNS - passed));
        }
        assert!(line.status().unwrap().in_force.is_some());
        place.detach();
    });
}

#[test]
fn native_xdp_drops_what_is_above_the_limit() {
    check_step("native_xdp_drops_what_is_above_the_limit", Driver::Auto, Step::NativeXdp);
}

#[test]
fn generic_xdp_does_the_same() {
    check_step("generic_xdp_does_the_same", Driver::Generic, Step::GenericXdp);
}

#[test]
fn tcx_does_the_same() {
    check_step("tcx_does_the_same", Driver::Tcx, Step::Tcx);
}

#[test]
fn nftables_does_the_same() {
    check_step("nftables_does_the_same", Driver::Nftables, Step::Nftables);
}

/// What comes by an interface for a host behind this one is let through, whatever it is for here; though somebody listens on all
/// addresses at that port.
#[track_caller]
fn check_forwarded(test: &str, driver: Driver) {
    let Some(place) = Place::new(test) else { return };
    let gateway = &place.network.gateway;
    gateway.forward(true);
    let ip = |line: &str| gateway.run("ip", &line.split(' ').collect::<Vec<_>>()).unwrap();
    ip("link add name inner address 02:00:00:00:09:03 type veth peer name behind");
    ip("link set dev inner up");
    ip("link set dev behind up");
    ip("addr add 10.88.0.1/24 dev inner");
    ip("neigh replace 10.88.0.2 lladdr 02:00:00:00:09:04 dev inner nud permanent");
    // There they end.
    gateway.set("ipv4/conf/behind/forwarding", "0");
    let via = Network::GATEWAY.to_string();
    place.network.clients.run("ip", &["route", "add", "10.88.0.0/24", "via", &via]).unwrap();
    gateway.inside(|| {
        let _listener = TcpListener::bind(("0.0.0.0", PORT)).unwrap();
        let mut line = place.attach(place.settings(driver));
        let to = SocketAddr::from(([10, 88, 0, 2], PORT));
        let flood = Flood { sources: 1, count_max: SYNS, ..Flood::of_few(to) };
        assert_eq!(flood.send(&place.network, &AtomicBool::new(false)).count, SYNS);
        eventually("they have gone on", || (gateway.frames_in("behind").0 >= SYNS).then_some(()));
        let counters = line.counters().unwrap();
        assert_eq!((counters.of(Count::Dropped), counters.of(Count::Syns)), (0, 0), "{counters:?}");
        if line.modes()[0].step.is_program() {
            assert_eq!(counters.of(Count::Forwarded), SYNS);
            assert_eq!(line.events(1), []);
        }
        // The same source has all of its burst here.
        place.flood(SYNS);
        let passed = counted(&line, SYNS).of(Count::SynsPassed);
        assert!((BURST..=BURST + 1).contains(&passed), "{passed} passed");
        place.detach();
    });
}

#[test]
fn xdp_limits_nothing_that_is_forwarded() {
    check_forwarded("xdp_limits_nothing_that_is_forwarded", Driver::Auto);
}

#[test]
fn tcx_limits_nothing_that_is_forwarded() {
    check_forwarded("tcx_limits_nothing_that_is_forwarded", Driver::Tcx);
}

#[test]
fn nftables_limits_nothing_that_is_forwarded() {
    check_forwarded("nftables_limits_nothing_that_is_forwarded", Driver::Nftables);
}

/// Packets of a tunnel, as the program behind it hands them in: this many SYNs of one source.
const THROUGH_TUN: &str = "
import fcntl, struct, sys
tun = open('/dev/net/tun', 'r+b', buffering=0)
# TUNSETIFF; IFF_TUN | IFF_NO_PI
fcntl.ioctl(tun, 0x400454ca, struct.pack('16sH22x', sys.argv[1].encode(), 0x1001))
for _ in range(int(sys.argv[2])):
    tun.write(bytes.fromhex(sys.argv[3]))
";

/// A tunnel's packets have no Ethernet header: the program for them reads what is there.
#[test]
fn packets_of_a_tunnel_are_read() {
    const TEST: &str = "packets_of_a_tunnel_are_read";
    let Some(place) = Place::new(TEST) else { return };
    if !std::path::Path::new("/dev/net/tun").exists() {
        return skip(TEST, "this machine has no tunnels");
    }
    let gateway = &place.network.gateway;
    let ip = |line: &str| gateway.run("ip", &line.split(' ').collect::<Vec<_>>()).unwrap();
    ip("tuntap add dev tube mode tun");
    ip("link set dev tube up");
    ip("addr add 10.89.0.1/24 dev tube");
    ip("addr add fd89::1/64 dev tube nodad");
    gateway.inside(|| {
        let interfaces = vec!["tube".to_owned()];
        let mut line = place.attach(Settings { interfaces, ..place.settings(Driver::Auto) });
        assert_eq!(line.modes()[0].step, Step::Tcx, "{:#?}", place.said.lock().unwrap());
        place.said("tube: not by xdp: its packets have no Ethernet header");
        for (round, to) in (1..).zip(["10.89.0.1", "fd89::1"]) {
            let flood = Flood::of_few(SocketAddr::new(to.parse().unwrap(), PORT));
            let packet: String = flood.frame()[14..].iter().map(|byte| format!("{byte:02x}")).collect();
            gateway.run("python3", &["-c", THROUGH_TUN, "tube", &SYNS.to_string(), &packet]).unwrap();
            let counters = counted(&line, round * SYNS);
            assert_eq!(counters.of(Count::Syns), round * SYNS);
            let passed = counters.of(Count::SynsPassed);
            assert!((BURST..=BURST + 1).contains(&(passed / round)), "{passed} passed");
            assert_eq!(counters.of(Count::Dropped), round * SYNS - passed);
            let over = [counters.of(Count::SynsOverNarrow4), counters.of(Count::SynsOverNarrow6)];
            assert_eq!(over.iter().sum::<u64>(), round * SYNS - passed);
            assert_eq!(over[1] > 0, round == 2);
            assert_eq!(line.events(10).len(), 1);
        }
        // Another process replaces the program with its like.
        drop(line);
        let line = place.attach(Settings { interfaces: vec!["tube".into()], ..place.settings(Driver::Tcx) });
        assert_eq!((line.modes()[0].step, place.tcx("tube")), (Step::Tcx, 1));
        place.detach();
        assert_eq!(place.tcx("tube"), 0);
    });
}

/// Frames longer than a page lie in parts, and a driver that has them takes only programs that say they can bear it.
#[test]
fn long_frames_pass_native_xdp() {
    const BYTES: usize = 1 << 20;
    let Some(place) = Place::new("long_frames_pass_native_xdp") else { return };
    let ends =
        [(&place.network.gateway, Network::INTERFACE), (&place.network.clients, Network::FAR_INTERFACE)];
    for (namespace, interface) in ends {
        namespace.run("ip", &["link", "set", interface, "mtu", "9000"]).unwrap();
    }
    place.network.gateway.inside(|| {
        let line = place.attach(place.settings(Driver::Auto));
        assert_eq!(line.modes()[0].step, Step::NativeXdp, "{:#?}", place.said.lock().unwrap());
        let listener = TcpListener::bind((Network::GATEWAY, PORT)).unwrap();
        let mut client =
            place.network.clients.inside(|| TcpStream::connect((Network::GATEWAY, PORT))).unwrap();
        let (server, _) = listener.accept().unwrap();
        std::thread::scope(|scope| {
            let sent = scope.spawn(move || client.write_all(&vec![7; BYTES]).map(|()| drop(client)));
            let mut came = Vec::new();
            { server }.read_to_end(&mut came).unwrap();
            sent.join().unwrap().unwrap();
            assert!(came.len() == BYTES && came.iter().all(|byte| *byte == 7));
        });
        let before = line.counters().unwrap();
        // In so few that they were long.
        assert!(before.of(Count::Packets) < (BYTES / 1_400) as u64, "{before:?}");
        place.flood(SYNS);
        let after = counted(&line, SYNS);
        assert!(after.of(Count::Dropped) >= SYNS - BURST - 1, "{after:?}");
        place.detach();
    });
}

#[test]
fn an_interface_that_is_not_there_is_no_error() {
    let Some(place) = Place::new("an_interface_that_is_not_there_is_no_error") else { return };
    place.network.gateway.inside(|| {
        let interfaces = vec!["nowhere".to_owned(), Network::INTERFACE.to_owned()];
        let line = place.attach(Settings { interfaces, ..place.settings(Driver::Auto) });
        place.said("nowhere: there is no such interface");
        let steps: Vec<_> = line.modes().iter().map(|interface| interface.step).collect();
        assert_eq!(steps, [Step::Accept, Step::NativeXdp], "{:#?}", place.said.lock().unwrap());
        assert!(line.outside().is_some());
        place.detach();
    });
}

#[test]
fn where_another_has_xdp_tcx_is_taken() {
    let Some(place) = Place::new("where_another_has_xdp_tcx_is_taken") else { return };
    place.network.gateway.inside(|| {
        // A gateway of somebody else, with pins of its own.
        let other = Settings { pins: place.bpffs.path().join("other"), ..place.settings(Driver::Auto) };
        let first = place.attach(other);
        assert_eq!(first.modes()[0].step, Step::NativeXdp);
        let second = place.attach(place.settings(Driver::Auto));
        assert_eq!(second.modes()[0].step, Step::Tcx);
        place.said("edge: not by xdp: ");
        assert!(place.has_xdp(Network::INTERFACE));
        place.detach();
        // Its own is all that it took off.
        assert!(place.has_xdp(Network::INTERFACE));
        place.let_go(|| place.tcx(Network::INTERFACE) == 0);
        assert!(place.has_xdp(Network::INTERFACE));
        pinned::detach(&place.bpffs.path().join("other"), place.state.path()).unwrap();
        place.let_go(|| !place.has_xdp(Network::INTERFACE));
    });
}

#[test]
fn loopback_has_no_native_xdp_and_no_other_interface_is_touched() {
    let Some(place) = Place::new("loopback_has_no_native_xdp_and_no_other_interface_is_touched") else {
        return;
    };
    place.network.gateway.inside(|| {
        let settings = Settings { interfaces: vec!["lo".into()], ..place.settings(Driver::Auto) };
        let line = place.attach(settings);
        assert_eq!(line.modes()[0].step, Step::Tcx);
        place.said("lo: not by xdp: ");
        assert_eq!((place.tcx("lo"), place.tcx(Network::INTERFACE)), (1, 0));
        assert!(!place.has_xdp(Network::INTERFACE));
        place.detach();
        place.let_go(|| place.tcx("lo") == 0);
    });
}

#[test]
fn only_accept_needs_nothing_of_the_kernel() {
    let Some(place) = Place::new("only_accept_needs_nothing_of_the_kernel") else { return };
    place.network.gateway.inside(|| {
        let mut line = place.attach(place.settings(Driver::Accept));
        assert_eq!(line.modes()[0].step, Step::Accept);
        assert!(!place.pins().exists() && !place.has_xdp(Network::INTERFACE));
        assert!(line.block("198.51.100.7/32".parse().unwrap(), std::time::Duration::MAX, 0, 0).is_err());
        let limiter = line.outside().unwrap().limiter(PORT, 64).unwrap();
        let from = "198.51.100.7".parse().unwrap();
        let passed = (0..SYNS).filter(|_| limiter.admit(from, 1)).count();
        assert_eq!(passed as u64, BURST + 1);
        assert!(!limiter.admit("203.0.113.1".parse().unwrap(), 1));
        assert!((0..SYNS).all(|_| limiter.admit("192.0.2.1".parse().unwrap(), 1)));
        assert_eq!(pinned::status(&place.pins(), place.state.path()).unwrap().interfaces, line.modes());
    });
}
