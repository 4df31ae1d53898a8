//! What outlives the process, and the boot: which rules were committed, and by name what lies in the tables. One small file, and a lock
//! for who changes anything. Knows no kernel.

use crate::Error;
use crate::rules::Digest;
use crate::settings::Step;
use rustix::fs::{FlockOperation, flock};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// First line of the file: its version.
const VERSION: &str = "1";
/// Longest file that is read: some thousand interfaces.
const FILE_BYTES_MAX: u64 = 64 << 10;
/// So long is waited for another who changes something; loading takes less.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(5);

/// The file's contents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Committed last.
    pub(crate) committed: Option<Digest>,
    /// What lies in the kernel's sets; `None`: nobody knows.
    pub(crate) sets: [Option<Digest>; gate::abi::SETS as usize],
    /// What rules outside of the tables were made from: nftables', and those at accept.
    pub(crate) outside: Option<Digest>,
    /// The steps taken.
    pub(crate) steps: Vec<(String, Step)>,
}

impl State {
    /// Its file in a state folder.
    pub(crate) const FILE: &str = "ebpf";

    /// What is stored; nothing if there is no file, or one that is not ours to understand: then no rules count as committed.
    pub(crate) fn load(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(Self::FILE);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.len() > FILE_BYTES_MAX => return Ok(Self::default()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Error::File { path, error }),
        }
        let bytes = fs::read(&path).map_err(|error| Error::File { path, error })?;
        Ok(Self::parse(&String::from_utf8_lossy(&bytes)))
    }

    /// Replaces what is stored, whole.
    pub(crate) fn store(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(Self::FILE);
        let new = folder.join("ebpf.new");
        let write = || {
            let mut file = File::create(&new)?;
            file.write_all(self.text().as_bytes())?;
            file.sync_all()?;
            as_folder(folder, &new);
            fs::rename(&new, &path)
        };
        write().map_err(|error| Error::File { path: path.clone(), error })
    }

    fn parse(text: &str) -> Self {
        let mut state = Self::default();
        let mut lines = text.lines();
        if lines.next() != Some(VERSION) {
            return state;
        }
        for line in lines {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["committed", digest] => state.committed = digest.parse().ok(),
                ["outside", digest] => state.outside = digest.parse().ok(),
                ["set", number, digest] => {
                    let set = number.parse::<usize>().ok().and_then(|number| state.sets.get_mut(number));
                    if let Some(set) = set {
                        *set = digest.parse().ok();
                    }
                }
                ["step", interface, step] => {
                    let step = Step::ALL.into_iter().find(|known| known.as_str() == step);
                    state.steps.extend(step.map(|step| (interface.to_owned(), step)));
                }
                _ => {}
            }
        }
        state
    }

    fn text(&self) -> String {
        let mut text = format!("{VERSION}\n");
        let digests = [
            ("committed", self.committed),
            ("outside", self.outside),
            ("set 0", self.sets[0]),
            ("set 1", self.sets[1]),
        ];
        for (name, digest) in digests {
            if let Some(digest) = digest {
                let _ = writeln!(text, "{name} {digest}");
            }
        }
        for (interface, step) in &self.steps {
            let _ = writeln!(text, "step {interface} {step}");
        }
        text
    }
}

/// Held by who changes anything; goes with the file.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes it, waits a moment for another. The folder is made if it is not there.
    pub(crate) fn take(folder: &Path) -> Result<Self, Error> {
        Self::within(folder, LOCK_WAIT_MAX)
    }

    /// Takes it if nobody else has it at this moment.
    pub(crate) fn try_take(folder: &Path) -> Result<Self, Error> {
        Self::within(folder, Duration::ZERO)
    }

    fn within(folder: &Path, wait_max: Duration) -> Result<Self, Error> {
        let path = folder.join("ebpf.lock");
        let file = |error| Error::File { path: path.clone(), error };
        fs::create_dir_all(folder).map_err(file)?;
        let lock = File::options().create(true).truncate(false).write(true).open(&path).map_err(file)?;
        as_folder(folder, &path);
        let begun = Instant::now();
        loop {
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { _file: lock }),
                Err(rustix::io::Errno::WOULDBLOCK) if begun.elapsed() < wait_max => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(rustix::io::Errno::WOULDBLOCK) => return Err(Error::Busy { path }),
                Err(error) => return Err(file(error.into())),
            }
        }
    }
}

/// Gives a file to whom its folder belongs to: what an administrator's command makes is the gateway's, which may be another user.
pub(crate) fn as_folder(folder: &Path, file: &Path) {
    if let (Ok(folder), Ok(own)) = (fs::metadata(folder), fs::metadata(file))
        && (folder.uid(), folder.gid()) != (own.uid(), own.gid())
    {
        // Who may not has no other user's folder to write in.
        let _ = std::os::unix::fs::chown(file, Some(folder.uid()), Some(folder.gid()));
    }
}

/// Where a layout's tables and links are pinned.
pub(crate) fn pins(pins: &Path) -> PathBuf {
    pins.join(format!("v{}", gate::abi::LAYOUT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::rules;

    #[test]
    fn what_is_stored_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(State::load(folder.path()).unwrap(), State::default());
        let state = State {
            committed: Some(rules(&[80]).digest()),
            sets: [None, Some(rules(&[443]).digest())],
            outside: Some(rules(&[1]).digest()),
            steps: vec![("eth0.7".into(), Step::NativeXdp), ("lo".into(), Step::Accept)],
        };
        state.store(folder.path()).unwrap();
        assert_eq!(State::load(folder.path()).unwrap(), state);
    }

    /// What can't be understood counts as nothing stored.
    #[track_caller]
    fn check(text: &[u8], expected: State) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ebpf"), text).unwrap();
        assert_eq!(State::load(folder.path()).unwrap(), expected);
    }

    #[test]
    fn a_broken_file_is_no_reason_to_fail() {
        let committed = State { committed: Some(Digest(1)), ..State::default() };
        check(b"1\ncommitted 1\n", committed.clone());
        check(b"1\ncommitted 1\nset 7 1\nset x 1\nstep eth0 warp\nfoo\n\n", committed);
        check(b"2\ncommitted 1\n", State::default());
        check(b"\xff\xfe\0", State::default());
        check(b"1\ncommitted zz\n", State::default());
        check(&[b'1'; 65 << 10], State::default());
    }

    #[test]
    fn one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::take(folder.path()).unwrap();
        assert!(matches!(Lock::try_take(folder.path()), Err(Error::Busy { .. })));
        let (sender, receiver) = std::sync::mpsc::channel();
        let path = folder.path().to_owned();
        let other = std::thread::spawn(move || {
            let lock = Lock::take(&path).unwrap();
            sender.send(()).unwrap();
            drop(lock);
        });
        assert!(receiver.try_recv().is_err());
        drop(first);
        receiver.recv().unwrap();
        other.join().unwrap();
    }
}
