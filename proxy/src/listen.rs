//! Listening sockets: one for each listener and core, on one port, so that the kernel spreads connections.

use std::net::{SocketAddr, TcpListener};

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, Socket, Type};

/// The sockets of one listener.
pub(crate) struct Bound {
    /// Where it really listens: port 0 was replaced.
    pub(crate) address: SocketAddr,
    /// One for each core.
    pub(crate) sockets: Vec<TcpListener>,
}

/// Binds a listener once for each core, for each of which the kernel holds up to `backlog` connections. All is bound before anything starts.
pub(crate) fn bind(name: &str, asked: SocketAddr, cores: usize, backlog: i32) -> Result<Bound> {
    let failed = || format!("cannot listen on {asked} (listener `{name}`){}", advice(asked));
    probe(asked).with_context(failed)?;
    let mut address = asked;
    let mut sockets = Vec::with_capacity(cores);
    for _ in 0..cores.max(1) {
        let socket = socket(address, backlog).with_context(failed)?;
        address = socket.local_addr().with_context(failed)?;
        sockets.push(socket);
    }
    Ok(Bound { address, sockets })
}

/// `SO_REUSEPORT` lets several sockets of one user share a port: two gateways would then share it silently. A socket
/// without it finds out whether the port is free.
fn probe(address: SocketAddr) -> std::io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())
}

fn socket(address: SocketAddr, backlog: i32) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    // Connections inherit it: small answers do not wait for more.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

fn advice(address: SocketAddr) -> &'static str {
    if address.port() < 1_024 && address.port() != 0 {
        "; ports below 1024 need the capability NET_BIND_SERVICE"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_core_gets_a_socket_on_the_same_port() {
        let bound = bind("a", "127.0.0.1:0".parse().unwrap(), 3, 16).unwrap();
        let ports: Vec<_> = bound.sockets.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
        assert_eq!(ports, [bound.address.port(); 3]);
        assert_ne!(bound.address.port(), 0);
    }

    #[test]
    fn an_occupied_port_is_an_error_that_names_the_listener() {
        let first = bind("a", "127.0.0.1:0".parse().unwrap(), 1, 16).unwrap();
        let error = format!("{:#}", bind("b", first.address, 1, 16).map(|_| ()).unwrap_err());
        assert!(error.starts_with(&format!("cannot listen on {} (listener `b`)", first.address)), "{error}");
    }
}
