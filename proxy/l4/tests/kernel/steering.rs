//! A source's connections come to one core, sources are spread, and move when they are told to.

use crate::{PORT, Place};
use harness::{Network, client_address};
use l4::{Driver, FrontLine, Listener, Settings};
use rustix::net::{AddressFamily, SocketType, bind, listen, socket, sockopt};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;

const SOURCES: u16 = 40;

/// Sockets that share a port, one for each core.
fn listeners(cores: usize) -> Vec<TcpListener> {
    let at = SocketAddr::from((Network::GATEWAY, PORT));
    let made = (0..cores).map(|_| {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        sockopt::set_socket_reuseport(&socket, true).unwrap();
        bind(&socket, &at).unwrap();
        listen(&socket, 1024).unwrap();
        let listener = TcpListener::from(socket);
        listener.set_nonblocking(true).unwrap();
        listener
    });
    made.collect()
}

fn on_cores(listeners: &[TcpListener]) -> Vec<Listener<'_>> {
    let on = |(core, listener)| Listener { port: PORT, is_ipv6: false, core, socket: AsFd::as_fd(listener) };
    (0..).zip(listeners).map(on).collect()
}

/// Where each source's connections came out. All are connected when this looks, so all are in a queue.
fn visit(place: &Place, listeners: &[TcpListener]) -> HashMap<IpAddr, Vec<usize>> {
    let _kept: Vec<TcpStream> = place.network.clients.inside(|| {
        let family = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let sources = (0..SOURCES).flat_map(|number| [client_address(family, number + 1); 3]);
        let connect = |source| {
            let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
            bind(&socket, &SocketAddr::new(source, 0)).unwrap();
            rustix::net::connect(&socket, &SocketAddr::from((Network::GATEWAY, PORT))).unwrap();
            TcpStream::from(socket)
        };
        sources.map(connect).collect()
    });
    let mut cores = HashMap::<_, Vec<_>>::new();
    for (core, listener) in listeners.iter().enumerate() {
        loop {
            match listener.accept() {
                Ok((_, from)) => cores.entry(from.ip()).or_default().push(core),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    cores
}

/// Each source's one core.
#[track_caller]
fn sticky(visits: &HashMap<IpAddr, Vec<usize>>) -> HashMap<IpAddr, usize> {
    assert_eq!(visits.len(), usize::from(SOURCES));
    let one = |(from, cores): (&IpAddr, &Vec<usize>)| {
        assert_eq!(cores.len(), 3);
        assert!(cores.iter().all(|core| *core == cores[0]), "{from}: {cores:?}");
        (*from, cores[0])
    };
    visits.iter().map(one).collect()
}

#[test]
fn sources_stick_to_a_core_and_move_with_the_load() {
    let Some(place) = Place::new("sources_stick_to_a_core_and_move_with_the_load") else { return };
    place.network.gateway.inside(|| {
        let settings = Settings { interfaces: Vec::new(), steer: true, ..place.settings(Driver::Accept) };
        let attach = || -> FrontLine { place.attach(settings.clone()) };
        let mut line = attach();
        let sockets = listeners(2);
        assert_eq!(line.steer(&on_cores(&sockets), &mut |line| panic!("{line}")).unwrap(), 1);
        let before = sticky(&visit(&place, &sockets));
        let of_first = before.values().filter(|core| **core == 0).count();
        assert!((8..=32).contains(&of_first), "{of_first} of {SOURCES} on the first core");

        // The first core is busy, so some of its sources go; nobody else does.
        let moved = line.balance(&[0.9, 0.1]).unwrap();
        assert!((1..=16).contains(&moved), "{moved}");
        let after = sticky(&visit(&place, &sockets));
        let gone = before.iter().filter(|(from, core)| after[*from] != **core);
        assert!(gone.clone().all(|(_, core)| *core == 0));
        assert!(gone.count() >= 1);
        assert_eq!(line.balance(&[0.5, 0.5]).unwrap(), 0);

        // The same sockets, handed over and the other way round: who was the first core's is now the second's socket's.
        let swapped: Vec<_> =
            on_cores(&sockets).iter().map(|it| Listener { core: 1 - it.core, ..*it }).collect();
        assert_eq!(line.steer(&swapped, &mut |line| panic!("{line}")).unwrap(), 1);
        let turned = sticky(&visit(&place, &sockets));
        assert!(turned.iter().all(|(from, core)| after[from] == 1 - core));

        // Another process with listeners of its own finds the sources where they were.
        drop(sockets);
        drop(line);
        let sockets = listeners(2);
        let mut line = attach();
        assert_eq!(line.steer(&on_cores(&sockets), &mut |line| panic!("{line}")).unwrap(), 1);
        assert_eq!(sticky(&visit(&place, &sockets)), after);
        place.detach();
    });
}

/// Connects from each source, once, and leaves them all in queues.
fn wait_in_queues(place: &Place) -> Vec<TcpStream> {
    place.network.clients.inside(|| {
        let family = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let to = SocketAddr::from((Network::GATEWAY, PORT));
        let dial = |number| harness::dial(client_address(family, number + 1), to, harness::PATIENCE).unwrap();
        (0..SOURCES).map(dial).collect()
    })
}

/// Who waits in the queues of these listeners.
fn accepted(listeners: &[TcpListener]) -> Vec<IpAddr> {
    let of = |listener: &TcpListener| {
        std::iter::from_fn(|| match listener.accept() {
            Ok((_, from)) => Some(from.ip()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        })
        .collect::<Vec<_>>()
    };
    let mut all: Vec<_> = listeners.iter().flat_map(of).collect();
    all.sort();
    all
}

/// Who waits at a listener that closes comes to another one: to that of the next process where it has taken over, else to any core's
/// that is left.
#[test]
fn who_waits_at_a_listener_that_closes_comes_to_another() {
    let Some(place) = Place::new("who_waits_at_a_listener_that_closes_comes_to_another") else { return };
    place.network.gateway.inside(|| {
        let settings = Settings { interfaces: Vec::new(), steer: true, ..place.settings(Driver::Accept) };
        let mut line = place.attach(settings);
        let steer = |line: &mut FrontLine, listeners: &[TcpListener]| {
            assert_eq!(line.steer(&on_cores(listeners), &mut |line| panic!("{line}")).unwrap(), 1);
        };
        let mut first = listeners(2);
        steer(&mut line, &first);
        let all: Vec<IpAddr> =
            (0..SOURCES).map(|number| client_address(Ipv4Addr::UNSPECIFIED.into(), number + 1)).collect();
        let _waiting = wait_in_queues(&place);
        drop(first.remove(0));
        assert_eq!(accepted(&first), all, "one core has left");

        first.extend(listeners(1));
        steer(&mut line, &first);
        let _waiting = wait_in_queues(&place);
        let next = listeners(2);
        steer(&mut line, &next);
        drop(first);
        assert_eq!(accepted(&next), all, "another process has taken over");
        place.detach();
    });
}

#[test]
fn two_addresses_of_one_port_are_left_to_the_kernel() {
    let Some(place) = Place::new("two_addresses_of_one_port_are_left_to_the_kernel") else { return };
    place.network.gateway.inside(|| {
        let mut line = place.attach(Settings { steer: true, ..place.settings(Driver::Accept) });
        let sockets = listeners(1);
        let twice = [on_cores(&sockets), on_cores(&sockets)].concat();
        let mut said = Vec::new();
        assert_eq!(line.steer(&twice, &mut |line| said.push(line)).unwrap(), 0);
        assert!(said[0].contains("several addresses"), "{said:?}");
        place.detach();
    });
}
