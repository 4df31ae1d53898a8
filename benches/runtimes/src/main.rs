//! One mini proxy on three runtimes: ours, monoio and tokio-uring, so that what a runtime costs can be told from what a
//! gateway costs. `cargo xtask bench --runtimes` puts them under the same load.
//!
//!     runtimes RUNTIME PORT BACKEND_PORT
//!
//! It speaks just enough HTTP/1.1 to be measured: requests without a body, answers with `Content-Length`, connections
//! kept on both sides, heads passed as they are. It is no gateway: it trusts both sides and has no deadline.

mod head;
mod owned;
mod reactor;
mod ring_monoio;
mod ring_tokio;

use std::{env, net::SocketAddr, str::FromStr};

use anyhow::{Context, bail};

/// A way to run the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Our reactor on io_uring.
    Uring,
    /// Our reactor on epoll.
    Epoll,
    /// monoio with the ring flags that suit it best: without them it costs a quarter more.
    Monoio,
    /// tokio-uring as it comes: it waits for its ring through epoll, and stands still with deferred task work.
    TokioUring,
}

impl FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Self> {
        Ok(match name {
            "uring" => Self::Uring,
            "epoll" => Self::Epoll,
            "monoio" => Self::Monoio,
            "tokio-uring" => Self::TokioUring,
            _ => bail!("`{name}` is no runtime: write uring, epoll, monoio or tokio-uring"),
        })
    }
}

/// What both sides of every runtime read into, in bytes: as much as the largest answer that is measured, since small
/// buffers cost each of them twice as much for it.
const BUFFER_BYTES: usize = 64 << 10;

/// Entries of a ring's submission queue.
const RING_ENTRIES: u32 = 4096;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [kind, port, backend] = arguments.as_slice() else {
        bail!("runtimes RUNTIME PORT BACKEND_PORT");
    };
    let local = |port: &str| -> anyhow::Result<SocketAddr> {
        Ok(([127, 0, 0, 1], port.parse::<u16>().context("a port")?).into())
    };
    let listener = std::net::TcpListener::bind(local(port)?)?;
    let backend = local(backend)?;
    println!("listening on {}", listener.local_addr()?);
    match kind.parse()? {
        Kind::Uring => reactor::run(runtime::DriverChoice::Uring, listener, backend),
        Kind::Epoll => reactor::run(runtime::DriverChoice::Epoll, listener, backend),
        Kind::Monoio => ring_monoio::run(listener, backend),
        Kind::TokioUring => ring_tokio::run(listener, backend),
    }
}
