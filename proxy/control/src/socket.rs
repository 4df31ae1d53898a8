//! The listeners of the control thread: who may be there before us, and who may come in. It knows no HTTP.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    os::unix::{
        fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use crate::Error;

/// The admin socket: only its owner and root are let in. It is removed when dropped.
pub(crate) struct AdminSocket {
    pub(crate) listener: UnixListener,
    /// The user that made it.
    pub(crate) owner: u32,
    path: PathBuf,
    inode: u64,
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        // Only if it is still ours: another process may have taken the path over.
        if fs::symlink_metadata(&self.path).is_ok_and(|meta| meta.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Binds the admin socket, mode 0600. A socket that nobody listens on any more is replaced.
pub(crate) fn bind_unix(path: &Path) -> Result<AdminSocket, Error> {
    let failed = |source| Error::Socket { path: path.to_owned(), source };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    }
    make_way(path)?;
    let listener = UnixListener::bind(path).map_err(failed)?;
    // Between these two lines another user may connect; the peer's user is checked on each connection besides.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let meta = fs::symlink_metadata(path).map_err(failed)?;
    Ok(AdminSocket { listener, owner: meta.uid(), path: path.to_owned(), inode: meta.ino() })
}

fn make_way(path: &Path) -> Result<(), Error> {
    let failed = |source| Error::Socket { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(meta) if !meta.file_type().is_socket() => return Err(Error::NoSocket { path: path.to_owned() }),
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // A full backlog is somebody, too.
        Ok(_) => Err(Error::SocketInUse { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(Error::SocketInUse { path: path.to_owned() })
        }
        Err(error) => Err(failed(error)),
    }
}

/// Binds a TCP listener that this machine alone can reach.
pub(crate) fn bind_loopback(what: &'static str, address: SocketAddr) -> Result<TcpListener, Error> {
    if !address.ip().is_loopback() {
        return Err(Error::NotLoopback { what, address });
    }
    let bind = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    bind().map_err(|source| Error::Listen { what, address, source })
}

/// Whether a client may use the admin socket: the user who made it, and root.
pub(crate) fn may_enter(peer: u32, owner: u32) -> bool {
    peer == owner || peer == 0
}
