//! Good clients: new connections at a steady rate, each asks once and leaves. Open loop: who was kept waiting by the visit before
//! is counted from when he was due, so that a server that stands still is not spared those who would have come meanwhile. Who
//! overslept is counted from when he woke: that is his own machine's doing.

use std::{
    io::{self, Read, Write},
    net::{self, IpAddr, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, Shutdown, SocketFlags, SocketType, bind, connect, listen, shutdown, socket_with,
        sockopt,
    },
};

/// A crowd to come.
#[derive(Clone, Copy, Debug)]
pub struct Visits {
    /// Whom they ask.
    pub to: SocketAddr,
    /// New connections a second.
    pub rate: u32,
    /// From the first to the last; the first comes at once.
    pub time: Duration,
}

/// How they fared.
#[derive(Clone, Debug, Default)]
pub struct Visited {
    /// Those that were answered with 200, and how long they waited, the shortest first.
    pub latencies: Vec<Duration>,
    /// What the others met.
    pub failed: Vec<String>,
}

/// Waiting at once; 16 that wait for 3 s each still come at 5 a second.
const WORKERS: u32 = 16;
/// Connections that wait at a [`Host`].
const BACKLOG: i32 = 1024;
/// So long is anybody waited for.
const WAIT_MAX: Duration = Duration::from_secs(3);

impl Visits {
    /// What eBPF's reference runs were made with: 100 a second for two seconds, which are 201.
    pub fn to(to: SocketAddr) -> Self {
        Self { to, rate: 100, time: Duration::from_secs(2) }
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        (self.time.as_secs_f64() * f64::from(self.rate)) as u32 + 1
    }

    /// Sends them, from where this thread is.
    pub fn run(&self) -> Visited {
        let begin = Instant::now() + Duration::from_millis(20);
        let workers: Vec<_> = (0..WORKERS)
            .map(|first| {
                let visits = *self;
                thread::spawn(move || {
                    let own = (first..visits.count()).step_by(WORKERS as usize);
                    own.map(|number| visits.visit(begin, number)).collect::<Vec<_>>()
                })
            })
            .collect();
        let mut visited = Visited::default();
        for worker in workers {
            let all = worker.join().unwrap_or_else(|panicked| std::panic::resume_unwind(panicked));
            for one in all {
                match one {
                    Ok(latency) => visited.latencies.push(latency),
                    Err(error) => visited.failed.push(error.to_string()),
                }
            }
        }
        visited.latencies.sort_unstable();
        visited
    }

    fn visit(&self, begin: Instant, number: u32) -> io::Result<Duration> {
        let due = begin + Duration::from_secs(1) * number / self.rate;
        let ahead = due.saturating_duration_since(Instant::now());
        let begun = if ahead.is_zero() {
            due
        } else {
            // The clock of the load: it is what keeps the rate.
            thread::sleep(ahead);
            Instant::now()
        };
        let stream = TcpStream::connect_timeout(&self.to, WAIT_MAX)?;
        ask(stream)?;
        Ok(begun.elapsed())
    }
}

impl Visited {
    /// So many had to wait no longer, of 100.
    pub fn percentile(&self, percent: usize) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get((self.latencies.len() * percent / 100).min(last)).copied().unwrap_or(Duration::MAX)
    }
}

/// One visit from an address of one's own, `GET /`; fails if the answer is not 200, or none comes within 3 s.
pub fn visit_from(from: IpAddr, to: SocketAddr) -> io::Result<()> {
    ask(dial(from, to, WAIT_MAX)?)
}

/// A host that answers every visit with 200 and nothing else, from the namespace where it was made until it is dropped.
#[derive(Debug)]
pub struct Host {
    listener: Arc<TcpListener>,
    answering: Option<JoinHandle<()>>,
}

impl Host {
    /// Listens here.
    #[track_caller]
    pub fn at(address: SocketAddr) -> Self {
        Self::of(TcpListener::bind(address).unwrap_or_else(|error| panic!("{address}: {error}")))
    }

    /// Listens where others listen already that share their port (`SO_REUSEPORT`).
    #[track_caller]
    pub fn beside(address: SocketAddr) -> Self {
        let listens = || {
            let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
            let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
            sockopt::set_socket_reuseport(&socket, true)?;
            bind(&socket, &address)?;
            listen(&socket, BACKLOG)?;
            Ok::<_, rustix::io::Errno>(TcpListener::from(socket))
        };
        Self::of(listens().unwrap_or_else(|error| panic!("{address}: {error}")))
    }

    fn of(listener: TcpListener) -> Self {
        let listener = Arc::new(listener);
        let accepting = listener.clone();
        let answering = thread::spawn(move || {
            while let Ok((stream, _)) = accepting.accept() {
                // A visitor who leaves early is none of its troubles.
                let _ = answer(stream);
            }
        });
        Self { listener, answering: Some(answering) }
    }

    /// Where it listens.
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = shutdown(&*self.listener, Shutdown::Both);
        let _ = self.answering.take().map(JoinHandle::join);
    }
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(WAIT_MAX))?;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
    stream.shutdown(net::Shutdown::Write)?;
    // What was asked is read, so that the visitor is not reset before it has its answer.
    io::copy(&mut stream, &mut io::sink()).map(drop)
}

/// A connection from an address of one's own.
pub fn dial(from: IpAddr, to: SocketAddr, wait_max: Duration) -> io::Result<TcpStream> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &SocketAddr::new(from, 0))?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(wait_max))?;
    match connect(&socket, &to) {
        // It goes on in the kernel: the second call waits for its end.
        Err(Errno::INTR) => match connect(&socket, &to) {
            Err(Errno::ISCONN) => {}
            other => other?,
        },
        other => other?,
    }
    Ok(TcpStream::from(socket))
}

fn ask(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(WAIT_MAX))?;
    stream.set_write_timeout(Some(WAIT_MAX))?;
    stream.set_nodelay(true)?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    if answer.starts_with(b"HTTP/1.1 200 ") {
        return Ok(());
    }
    Err(io::Error::other(format!("answered with {:?}", String::from_utf8_lossy(&answer))))
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, time::Duration};

    use super::{Host, Visited, Visits, dial, visit_from};
    use crate::{Act, Network, Origin, client_address, skip};

    #[test]
    fn visits_are_counted() {
        let origin = Origin::start(|asked| {
            let refused = asked.connection % 4 == 3;
            vec![Act::answer(if refused { 503 } else { 200 }, &[("connection", "close")], "ok"), Act::Close]
        });
        let visits = Visits { rate: 1000, time: Duration::from_millis(99), ..Visits::to(origin.address()) };
        let visited = visits.run();
        assert_eq!((visits.count(), visited.latencies.len(), visited.failed.len()), (100, 75, 25));
        assert!(visited.failed[0].contains("503"), "{:?}", visited.failed);
        assert_eq!(Visits::to(origin.address()).count(), 201);
    }

    #[test]
    fn percentiles() {
        let latencies = (1..=200).map(Duration::from_millis).collect();
        let visited = Visited { latencies, failed: Vec::new() };
        assert_eq!(visited.percentile(50), Duration::from_millis(101));
        assert_eq!(visited.percentile(99), Duration::from_millis(199));
        assert_eq!(visited.percentile(100), Duration::from_millis(200));
        assert_eq!(Visited::default().percentile(99), Duration::MAX);
    }

    #[test]
    fn visits_come_from_where_they_are_told() {
        let network = match Network::new() {
            Ok(network) => network,
            Err(why) => return skip("visits_come_from_where_they_are_told", &why),
        };
        for gateway in [IpAddr::from(Network::GATEWAY), Network::GATEWAY_V6.into()] {
            let client = client_address(gateway, 300);
            let host = network.gateway.inside(|| Host::at((gateway, 0).into()));
            let to = host.address();
            network.clients.inside(|| visit_from(client, to)).unwrap();
            let own = network.clients.inside(|| dial(client, to, Duration::from_secs(3))).unwrap();
            assert_eq!(own.local_addr().unwrap().ip(), client);
            drop(own);
            drop(host);
            let refused = network.clients.inside(|| visit_from(client, to)).unwrap_err();
            assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        }
    }
}
