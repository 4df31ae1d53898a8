//! The state folder, which belongs to one process at a time, and the place of the admin socket.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use rustix::{
    fs::{Access, FlockOperation, access, flock},
    io::Errno,
};

/// A state folder that is ours while this value lives.
pub(crate) struct State {
    folder: PathBuf,
    /// Holding it open holds the lock.
    _lock: File,
}

impl State {
    /// Takes the folder, making it if need be.
    pub(crate) fn take(asked: Option<&Path>) -> Result<Self> {
        let folder = folder(asked)?;
        make(&folder)?;
        let path = folder.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let lock = lock.with_context(|| format!("cannot open {}", path.display()))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { folder, _lock: lock }),
            Err(Errno::WOULDBLOCK) => bail!(
                "another floodgate uses the state folder {}; stop it, or give this one a folder of its own with \
                 --state DIR",
                folder.display()
            ),
            Err(error) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
        }
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Where state lives: what was asked for, else `/var/lib/floodgate` if it is or can be ours, else the user's own place.
pub(crate) fn folder(asked: Option<&Path>) -> Result<PathBuf> {
    if let Some(asked) = asked {
        return Ok(asked.to_owned());
    }
    let system = Path::new("/var/lib/floodgate");
    let parent = Path::new("/var/lib");
    let usable = |path: &Path| access(path, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    if usable(system) || (!system.exists() && usable(parent)) {
        return Ok(system.to_owned());
    }
    let home = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    home("XDG_STATE_HOME")
        .or_else(|| home("HOME").map(|home| home.join(".local/state")))
        .map(|base| base.join("floodgate"))
        .context("no place for state: neither /var/lib/floodgate, XDG_STATE_HOME nor HOME can be used; say --state DIR")
}

/// Where the admin socket is if nothing else is said: `/run/floodgate`, else the user's runtime folder, else the state
/// folder.
pub(crate) fn socket(state: Option<&Path>) -> Result<PathBuf> {
    let run = Path::new("/run");
    let usable = |path: &Path| access(path, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    let system = run.join("floodgate");
    if state.is_none() && (usable(&system) || (!system.exists() && usable(run))) {
        return Ok(system.join("admin.sock"));
    }
    if let Some(state) = state {
        return Ok(state.join("admin.sock"));
    }
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|value| !value.is_empty()) {
        Some(runtime) => Ok(PathBuf::from(runtime).join("floodgate/admin.sock")),
        None => Ok(folder(None)?.join("admin.sock")),
    }
}

/// Makes a folder that nobody else may look into.
pub(crate) fn make(folder: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(|| {
        format!("cannot make the folder {}; choose another with --state DIR", folder.display())
    })
}
