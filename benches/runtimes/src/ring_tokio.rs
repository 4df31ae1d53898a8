//! tokio-uring with the flags that it comes with.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    ops::Range,
};

use tokio_uring::{
    buf::BoundedBuf,
    net::{TcpListener as Listener, TcpStream},
};

use crate::{
    RING_ENTRIES,
    owned::{Connection, Core},
};

/// Serves until the process ends.
pub(crate) fn run(listener: TcpListener, backend: SocketAddr) -> anyhow::Result<()> {
    tokio_uring::builder().entries(RING_ENTRIES).start(async move {
        let listener = Listener::from_std(listener);
        let core = Core::<TcpStream>::new(backend);
        loop {
            let (client, _) = listener.accept().await?;
            client.set_nodelay(true)?;
            let core = core.clone();
            tokio_uring::spawn(async move {
                // A connection that fails ends, and nothing else does.
                let _ = core.serve(client).await;
            });
        }
    })
}

impl Connection for TcpStream {
    async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = Self::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn read(&mut self, buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        let free = buffer.len()..buffer.capacity();
        let (came, slice) = Self::read(self, buffer.slice(free)).await;
        (came, slice.into_inner())
    }

    async fn write(&mut self, buffer: Vec<u8>, part: Range<usize>) -> (io::Result<()>, Vec<u8>) {
        let (written, slice) = self.write_all(buffer.slice(part)).await;
        (written, slice.into_inner())
    }
}
