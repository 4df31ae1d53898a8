//! The mini proxy on our reactor: bytes are shown where they were received and written to what the other side sends at
//! the end of the turn.

use std::{
    cell::RefCell,
    io,
    net::{SocketAddr, TcpListener},
    rc::Rc,
};

use runtime::{DriverChoice, Handle, Options, Received, Runtime, Stream};

use crate::{BUFFER_BYTES, RING_ENTRIES, head};

/// Serves until the process ends.
pub(crate) fn run(driver: DriverChoice, listener: TcpListener, backend: SocketAddr) -> anyhow::Result<()> {
    let options = Options { driver, ring_entries: RING_ENTRIES, ..Options::default() };
    let mut runtime = Runtime::start(&options)?;
    let handle = runtime.handle();
    runtime.block_on(async move {
        let listener = handle.listen(listener)?;
        let core = Rc::new(Core { handle: handle.clone(), backend, idle: RefCell::default() });
        loop {
            let (client, _) = listener.accept().await?;
            let core = core.clone();
            handle.spawn(async move {
                // A connection that fails ends, and nothing else does.
                let _ = core.serve(&client).await;
            });
        }
    })?
}

/// What the connections share.
struct Core {
    handle: Handle,
    backend: SocketAddr,
    /// Connections to the backend that nobody uses.
    idle: RefCell<Vec<Stream>>,
}

impl Core {
    async fn serve(&self, client: &Stream) -> io::Result<()> {
        loop {
            client.readable().await?;
            let kept = self.idle.borrow_mut().pop();
            let backend = match kept {
                Some(backend) => backend,
                None => self.handle.connect(self.backend).await?,
            };
            if !pass_request(client, &backend).await? {
                self.idle.borrow_mut().push(backend);
                return Ok(());
            }
            pass_response(&backend, client).await?;
            self.idle.borrow_mut().push(backend);
        }
    }
}

/// `false`: there was none, the client has finished.
async fn pass_request(client: &Stream, backend: &Stream) -> io::Result<bool> {
    loop {
        let received = client
            .receive(|bytes| match head::request_bytes(bytes) {
                Ok(Some(whole)) => {
                    backend.write(|out| out.extend_from_slice(&bytes[..whole]));
                    (whole, Ok(true))
                }
                Ok(None) => (0, Ok(false)),
                Err(error) => (0, Err(error)),
            })
            .await?;
        match received {
            Received::Bytes(Ok(false)) => {}
            Received::Bytes(passed) => return passed,
            Received::End => return Ok(false),
        }
    }
}

async fn pass_response(backend: &Stream, client: &Stream) -> io::Result<()> {
    let mut left = None;
    loop {
        let received = backend
            .receive(|bytes| {
                let whole = match left {
                    Some(left) => left,
                    None => match head::response_bytes(bytes) {
                        Ok(Some(whole)) => whole,
                        Ok(None) => return (0, Ok(())),
                        Err(error) => return (0, Err(error)),
                    },
                };
                let now = whole.min(bytes.len());
                client.write(|out| out.extend_from_slice(&bytes[..now]));
                left = Some(whole - now);
                (now, Ok(()))
            })
            .await?;
        match received {
            Received::Bytes(passed) => passed?,
            Received::End => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        if left == Some(0) {
            return Ok(());
        }
        client.sent_below(BUFFER_BYTES).await?;
    }
}
