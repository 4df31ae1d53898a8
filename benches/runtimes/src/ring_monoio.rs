//! monoio, whose ring is told to defer task work to the one thread that uses it.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    ops::Range,
};

use monoio::{
    IoUringDriver, RuntimeBuilder,
    buf::IoBufMut,
    io::{AsyncReadRent, AsyncWriteRentExt},
    net::{TcpListener as Listener, TcpStream},
};

use crate::{
    RING_ENTRIES,
    owned::{Connection, Core},
};

/// Serves until the process ends.
pub(crate) fn run(listener: TcpListener, backend: SocketAddr) -> anyhow::Result<()> {
    let mut ring = monoio_ring::IoUring::builder();
    ring.setup_single_issuer().setup_defer_taskrun().setup_coop_taskrun();
    let builder = RuntimeBuilder::<IoUringDriver>::new().with_entries(RING_ENTRIES).uring_builder(ring);
    builder.build()?.block_on(async move {
        let listener = Listener::from_std(listener)?;
        let core = Core::<TcpStream>::new(backend);
        loop {
            let (client, _) = listener.accept().await?;
            client.set_nodelay(true)?;
            let core = core.clone();
            monoio::spawn(async move {
                // A connection that fails ends, and nothing else does.
                let _ = core.serve(client).await;
            });
        }
    })
}

impl Connection for TcpStream {
    async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = Self::connect_addr(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn read(&mut self, buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        let free = buffer.len()..buffer.capacity();
        let (came, slice) = AsyncReadRent::read(self, buffer.slice_mut(free)).await;
        (came, slice.into_inner())
    }

    async fn write(&mut self, buffer: Vec<u8>, part: Range<usize>) -> (io::Result<()>, Vec<u8>) {
        let (written, slice) = self.write_all(monoio::buf::IoBuf::slice(buffer, part)).await;
        (written.map(drop), slice.into_inner())
    }
}
