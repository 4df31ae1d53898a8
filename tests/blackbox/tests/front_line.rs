//! The kernel front line, end to end: a gateway on a cable of the test's own, and those who come to it by that cable. Rows X1
//! to X6 as far as they show from outside. Only the administrator can run these; all of it goes with the test.

mod change;
mod counts;
mod feed;
mod floods;
mod hand;
mod ladder;
mod life;
mod lockout;
mod restart;
mod steering;

use std::{
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    path::PathBuf,
    time::Duration,
};

use harness::{
    Bpffs, Builder, Gateway, Host, Network, PATIENCE, client_address, dial, eventually, skip, visit_from,
};

/// Where the gateway listens.
const PORT: u16 = 8080;
/// Where a host listens that is no part of the gateway, under the same rules.
const HOST_PORT: u16 = 9090;
/// Where one listens that an operator may have to reach.
const ADMIN_PORT: u16 = 2222;
/// Who is kept out gets no answer for so long.
const REFUSED_AFTER: Duration = Duration::from_millis(300);

/// A route to nowhere else.
const ROUTE: &str = "[[route]]\nmatch = \"$default\"\nmock = { status = 200 }\n";

/// A cable and a place for pins. A gateway on it is dropped first.
struct Site {
    network: Network,
    bpffs: Bpffs,
}

impl Site {
    /// `None`: not here, and why is said.
    fn new(test: &str) -> Option<Self> {
        let made = Network::new().and_then(|network| {
            network.take_from_xdp()?;
            Ok(Self { network, bpffs: Bpffs::new()? })
        });
        let site = made.map_err(|why| skip(test, &why)).ok()?;
        // With 1 the kernel takes a cookie only while its own queue overflows, which the gate keeps it from.
        site.network.gateway.set("ipv4/tcp_syncookies", "2");
        Some(site)
    }

    /// A gateway with these lines of `[ebpf]` and a route.
    fn with(&self, ebpf: &str) -> Builder {
        self.with_routes(ebpf, ROUTE)
    }

    fn with_routes(&self, ebpf: &str, routes: &str) -> Builder {
        Gateway::with(&self.config(ebpf, routes)).at((Network::GATEWAY, PORT).into())
    }

    fn config(&self, ebpf: &str, routes: &str) -> String {
        let pins = self.pins();
        format!(
            "[ebpf]\ninterfaces = [\"{}\"]\nports = [{PORT}, {HOST_PORT}]\nadmin_ports = [{ADMIN_PORT}]\npins = {pins:?}\n\
             {ebpf}\n{routes}",
            Network::INTERFACE
        )
    }

    fn pins(&self) -> PathBuf {
        self.bpffs.path().join("floodgate")
    }

    /// `floodgate ebpf …`: what it said.
    #[track_caller]
    fn by_hand(&self, gateway: &Gateway, words: &[&str]) -> String {
        self.try_by_hand(gateway, words).unwrap_or_else(|why| panic!("{words:?}: {why}"))
    }

    /// The same, or what it complained of.
    #[track_caller]
    fn try_by_hand(&self, gateway: &Gateway, words: &[&str]) -> Result<String, String> {
        let said = self.network.gateway.inside(|| gateway.ebpf(words, &self.pins()));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if said.status.success() { Ok(text(&said.stdout)) } else { Err(text(&said.stderr)) }
    }

    /// A reload with these lines of `[ebpf]`: what it said, or why it was refused.
    #[track_caller]
    fn reload(&self, gateway: &Gateway, ebpf: &str) -> Result<String, String> {
        gateway.configure(&self.config(ebpf, ROUTE));
        self.reload_again(gateway)
    }

    /// The same with what is written there. On a busy machine a change may take so long that everything passes until the next beat, so
    /// that is waited for.
    #[track_caller]
    fn reload_again(&self, gateway: &Gateway) -> Result<String, String> {
        let said = self.network.gateway.inside(|| gateway.reload());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let is_beaten = || {
            let metrics = self.network.gateway.inside(|| gateway.metrics());
            (metrics.sum("floodgate_l4_heartbeat_age_seconds", &[]) < 2.0).then_some(())
        };
        eventually("it is beaten", is_beaten);
        if said.status.success() { Ok(text(&said.stdout)) } else { Err(text(&said.stderr)) }
    }

    #[track_caller]
    fn start(&self, builder: Builder) -> Gateway {
        self.network.gateway.inside(|| builder.start())
    }

    /// The same where another one was killed: the kernel gives up the sockets of its rings some time later.
    #[track_caller]
    fn start_again(&self, builder: &Builder) -> Gateway {
        eventually("it starts", || self.network.gateway.inside(|| builder.clone().try_start().ok()))
    }

    /// A host beside the gateway.
    #[track_caller]
    fn host(&self, port: u16) -> Host {
        self.network.gateway.inside(|| Host::at((Network::GATEWAY, port).into()))
    }

    /// A visit from the client of this number.
    fn visit(&self, number: u16, port: u16) -> io::Result<()> {
        let (from, to) = v4(number, port);
        self.network.clients.inside(|| visit_from(from, to))
    }

    /// A connection of the client of this number, if it gets one at once.
    fn knock(&self, number: u16, port: u16) -> io::Result<TcpStream> {
        let (from, to) = v4(number, port);
        self.network.clients.inside(|| dial(from, to, REFUSED_AFTER))
    }

    /// Whether the client of this number gets a connection at once and an answer on it.
    fn gets_in(&self, number: u16, port: u16) -> bool {
        answered(self.knock(number, port))
    }

    #[track_caller]
    fn let_in(&self, number: u16, port: u16) {
        self.visit(number, port).unwrap_or_else(|error| panic!("client {number} at port {port}: {error}"));
    }

    #[track_caller]
    fn kept_out(&self, number: u16, port: u16) {
        assert!(self.knock(number, port).is_err(), "client {number} got in at port {port}");
    }

    /// The step of the ladder on which the gateway says it stands.
    #[track_caller]
    fn stands(&self, gateway: &Gateway, mode: &str) {
        let metrics = self.network.gateway.inside(|| gateway.metrics());
        let all = metrics.sum("floodgate_l4_mode", &[]);
        let here = metrics.sum("floodgate_l4_mode", &[("interface", Network::INTERFACE), ("mode", mode)]);
        assert_eq!((all, here), (1.0, 1.0), "not in {mode}: {}", gateway.said());
    }

    /// From now on, SYNs that reach the kernel's TCP are counted.
    #[track_caller]
    fn count_syns(&self) {
        let rules = format!(
            "table inet count {{
               chain input {{
                 type filter hook input priority 0;
                 tcp dport {PORT} tcp flags & (syn | ack) == syn counter
               }}
             }}"
        );
        self.network.gateway.nft(&rules).unwrap();
    }

    /// How many there were.
    #[track_caller]
    fn counted_syns(&self) -> u64 {
        let said = self.network.gateway.run("nft", &["list", "table", "inet", "count"]).unwrap();
        let number = said.split("packets ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
        number.unwrap_or_else(|| panic!("no counter in {said}"))
    }
}

fn v4(number: u16, port: u16) -> (IpAddr, SocketAddr) {
    (client_address(Network::GATEWAY.into(), number), (Network::GATEWAY, port).into())
}

/// Whether a connection came about and what is asked on it is answered: one may be turned away when it is accepted.
fn answered(knocked: io::Result<TcpStream>) -> bool {
    let ask = |mut stream: TcpStream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
        let mut answer = [0; 1024];
        let length = heard(&mut stream, &mut answer)?;
        Ok(answer[..length].starts_with(b"HTTP/1.1 200 "))
    };
    knocked.and_then(ask).unwrap_or(false)
}

/// What comes next on a connection. A wait with an end is not taken up again by itself when a signal interrupts it.
fn heard(stream: &mut TcpStream, answer: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(answer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
