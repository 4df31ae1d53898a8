//! What a connection's bytes go over: TCP, or TLS by openssl, which is not ours either. Every wait has a deadline.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{PATIENCE, tools::program};

/// A connection's bytes.
#[derive(Debug)]
pub(super) enum Link {
    Tcp(TcpStream),
    Tls { stream: UnixStream, openssl: Child },
}

impl Link {
    #[track_caller]
    pub(super) fn tcp(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE);
        let stream = stream.unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
        Self::of(stream).unwrap_or_else(|error| panic!("cannot set up {address}: {error}"))
    }

    /// One that was accepted.
    pub(super) fn of(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self::Tcp(stream))
    }

    /// `openssl s_client` speaks TLS, offers `h2` and nothing else, and is talked to over a socket, which unlike a pipe has
    /// deadlines. It trusts anybody: who a certificate names is looked at elsewhere.
    #[track_caller]
    pub(super) fn tls(address: SocketAddr, name: &str) -> Self {
        let start = || -> io::Result<Self> {
            let (stream, theirs) = UnixStream::pair()?;
            stream.set_write_timeout(Some(PATIENCE))?;
            let mut command = Command::new(program("openssl"));
            command
                .args(["s_client", "-connect", &address.to_string(), "-servername", name, "-alpn", "h2"])
                .args(["-quiet", "-nocommands"])
                .stdin(Stdio::from(OwnedFd::from(theirs.try_clone()?)))
                .stdout(Stdio::from(OwnedFd::from(theirs)))
                .stderr(Stdio::null());
            Ok(Self::Tls { stream, openssl: command.spawn()? })
        };
        start().unwrap_or_else(|error| panic!("cannot start openssl for {address}: {error}"))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes),
            Self::Tls { stream, .. } => stream.write_all(bytes),
        }
    }

    /// Whatever comes first; nothing at the end.
    pub(super) fn read(&mut self, into: &mut [u8], patience: Duration) -> io::Result<usize> {
        // Zero would mean for ever.
        let patience = Some(patience.max(Duration::from_millis(1)));
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(patience).and_then(|()| stream.read(into)),
            Self::Tls { stream, .. } => stream.set_read_timeout(patience).and_then(|()| stream.read(into)),
        }
    }

    /// Nothing more comes from here.
    pub(super) fn finish(&mut self) {
        // Fails when the other side is gone, which the next read tells.
        let _gone = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Tls { stream, .. } => stream.shutdown(Shutdown::Write),
        };
    }

    /// Ends with a reset when it is dropped.
    pub(super) fn reset(&mut self) {
        if let Self::Tcp(stream) = self {
            let _gone = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Self::Tls { openssl, .. } = self {
            let _ended = openssl.kill();
            let _ended = openssl.wait();
        }
    }
}
