//! Why the control thread could not be started, or could not be reached.

use std::{io, net::SocketAddr, path::PathBuf};

/// One clear line each.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process answers on the admin socket.
    #[error("the admin socket {path} is in use: is a floodgate running already?")]
    SocketInUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is no socket stands where the admin socket shall be.
    #[error("{path} exists and is no socket; it is left alone")]
    NoSocket {
        /// The path.
        path: PathBuf,
    },
    /// The admin socket cannot be made.
    #[error("cannot make the admin socket {path}: {source}")]
    Socket {
        /// The socket.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address} for {what}: {source}")]
    Listen {
        /// The listener.
        what: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The admin listener and the demo backend are for this machine alone.
    #[error("{what} may listen on a loopback address only, not on {address}")]
    NotLoopback {
        /// The listener.
        what: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// Threads, signals or timers are not to be had.
    #[error("cannot start the control thread: {0}")]
    Runtime(io::Error),
    /// The thread ended before it had begun.
    #[error("the control thread ended while it started")]
    Died,
    /// Nobody listens on the admin socket.
    #[error("no floodgate answers on {path}: {source}")]
    NotRunning {
        /// The socket.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The call was begun and not answered.
    #[error("the call over {path} failed: {source}")]
    Call {
        /// The socket.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// What answers is no floodgate.
    #[error("what answers on {path} is not an admin listener")]
    NotAdmin {
        /// The socket.
        path: PathBuf,
    },
}
