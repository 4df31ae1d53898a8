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

/// Connections that the kernel holds until they are accepted. The 128 of the standard library are gone when a load begins
/// with a few hundred at once: the others would come again a second later.
const BACKLOG: i32 = 1_024;

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
        rustix::net::listen(&listener, BACKLOG)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    bind().map_err(|source| Error::Listen { what, address, source })
}

/// Whether a client may use the admin socket: the user who made it, and root.
pub(crate) fn may_enter(peer: u32, owner: u32) -> bool {
    peer == owner || peer == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_private_and_goes_with_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/admin.sock");
        let socket = bind_unix(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(dir.path().join("run")).unwrap().permissions().mode() & 0o777, 0o700);
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_in_use_is_left_and_a_stale_one_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        let other = UnixListener::bind(&path).unwrap();
        let error = bind_unix(&path).err().unwrap();
        assert!(
            error.to_string().ends_with("admin.sock is in use: is a floodgate running already?"),
            "{error}"
        );
        drop(other);
        assert!(path.exists(), "std leaves it");
        bind_unix(&path).unwrap();
    }

    #[test]
    fn a_socket_that_another_took_over_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        let socket = bind_unix(&path).unwrap();
        fs::rename(&path, dir.path().join("old.sock")).unwrap();
        let _other = UnixListener::bind(&path).unwrap();
        drop(socket);
        assert!(path.exists());
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        fs::write(&path, "mine").unwrap();
        let error = bind_unix(&path).err().unwrap();
        assert!(error.to_string().ends_with("exists and is no socket; it is left alone"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }

    #[test]
    fn tcp_is_for_this_machine_alone() {
        #[track_caller]
        fn check(address: &str, allowed: bool) {
            let bound = bind_loopback("the admin listener", address.parse().unwrap());
            assert_eq!(bound.is_ok(), allowed, "{bound:?}");
        }
        check("127.0.0.1:0", true);
        check("127.1.2.3:0", true);
        check("0.0.0.0:0", false);
        check("[::]:0", false);
        check("10.0.0.1:0", false);
    }

    #[test]
    fn the_owner_and_root_may_enter() {
        for (peer, owner, allowed) in
            [(1000, 1000, true), (0, 1000, true), (1001, 1000, false), (1000, 0, false)]
        {
            assert_eq!(may_enter(peer, owner), allowed, "{peer} {owner}");
        }
    }
}
