//! The mini proxy where a buffer is given to the kernel for as long as an operation takes: the same for both runtimes of
//! that kind, which differ in how they are called and not in what is asked of them.

use std::{cell::RefCell, io, net::SocketAddr, ops::Range, rc::Rc};

use crate::{BUFFER_BYTES, head};

/// A connection of such a runtime.
pub(crate) trait Connection: Sized + 'static {
    /// Connects, with `TCP_NODELAY`.
    async fn connect(address: SocketAddr) -> io::Result<Self>;
    /// Reads behind the bytes that `buffer` has, as many as its capacity leaves room for; how many came.
    async fn read(&mut self, buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>);
    /// Writes a part of the buffer.
    async fn write(&mut self, buffer: Vec<u8>, part: Range<usize>) -> (io::Result<()>, Vec<u8>);
}

/// What the connections share.
pub(crate) struct Core<C> {
    backend: SocketAddr,
    /// Connections to the backend that nobody uses.
    idle: RefCell<Vec<C>>,
}

impl<C: Connection> Core<C> {
    pub(crate) fn new(backend: SocketAddr) -> Rc<Self> {
        Rc::new(Self { backend, idle: RefCell::default() })
    }

    /// Serves one client to its end.
    pub(crate) async fn serve(&self, mut client: C) -> io::Result<()> {
        let (mut request, mut response) =
            (Vec::with_capacity(BUFFER_BYTES), Vec::with_capacity(BUFFER_BYTES));
        loop {
            let whole = loop {
                if let Some(whole) = head::request_bytes(&request)? {
                    break whole;
                }
                let came;
                (came, request) = read(&mut client, request).await;
                if came? == 0 {
                    return Ok(());
                }
            };
            let kept = self.idle.borrow_mut().pop();
            let mut backend = match kept {
                Some(backend) => backend,
                None => C::connect(self.backend).await?,
            };
            let written;
            (written, request) = backend.write(request, 0..whole).await;
            written?;
            request.drain(..whole);
            response = pass_response(&mut backend, &mut client, response).await?;
            self.idle.borrow_mut().push(backend);
        }
    }
}

/// Passes one response on; gives the empty buffer back.
async fn pass_response<C: Connection>(
    backend: &mut C,
    client: &mut C,
    mut buffer: Vec<u8>,
) -> io::Result<Vec<u8>> {
    let mut left = None;
    while left != Some(0) {
        let (came, written);
        (came, buffer) = read(backend, buffer).await;
        if came? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let whole = match left {
            Some(left) => left,
            None => match head::response_bytes(&buffer)? {
                Some(whole) => whole,
                None => continue,
            },
        };
        let now = whole.min(buffer.len());
        (written, buffer) = client.write(buffer, 0..now).await;
        written?;
        buffer.drain(..now);
        left = Some(whole - now);
    }
    if buffer.is_empty() { Ok(buffer) } else { Err(head::bad("more than was asked for")) }
}

/// A read that has room.
async fn read<C: Connection>(connection: &mut C, buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
    if buffer.len() == buffer.capacity() {
        return (Err(head::bad("a head as long as the buffer")), buffer);
    }
    connection.read(buffer).await
}
