//! `[node] watch`: what a configuration was read from is watched, and reloaded when it is another. Folders are watched and
//! not files, since editors and package managers rename new files into their place; what has changed is then found out by
//! reading: an event is a reason to look and nothing more. It knows neither what a configuration says nor how one is
//! reloaded.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    io,
    mem::MaybeUninit,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, Weak},
    thread,
    time::{Duration, Instant},
};

use progress::Progress;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags},
    io::Errno,
};
use source::{Environment, FILE_BYTES_MAX, System};

use crate::{node::held, say};

/// After an event so long nothing more must happen: who writes several files is done then.
const QUIET: Duration = Duration::from_millis(100);

/// Where something always happens it is looked after so long all the same.
const UNQUIET_MAX: Duration = Duration::from_secs(1);

/// What a reason to look is. A file that is being written is none until it is closed; its writes put the look off.
const EVENTS: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::ONLYDIR);

/// What a configuration was read from, and a mark of what was there; no mark: nothing that could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Footprint {
    files: BTreeMap<PathBuf, Option<u64>>,
    folders: BTreeMap<PathBuf, Option<u64>>,
}

/// The file system, and a list of what was read from it.
#[derive(Debug)]
pub(crate) struct Recorder<'p> {
    footprint: RefCell<Footprint>,
    progress: &'p Progress,
}

/// Who reloads when something has changed.
pub(crate) trait Reloads: Send + Sync + 'static {
    /// Reads the configuration again; it calls [`Watcher::cover`] with what it was read from.
    fn reload(self: Arc<Self>);
}

/// Watches; its thread ends when who reloads is gone.
pub(crate) struct Watcher {
    inotify: OwnedFd,
    covered: Mutex<Covered>,
}

#[derive(Default)]
struct Covered {
    /// `None`: nothing is watched.
    footprint: Option<Footprint>,
    watches: BTreeSet<i32>,
}

impl Footprint {
    /// Whether anything is there now that was not then.
    fn has_changed(&self) -> bool {
        self.files.iter().any(|(path, mark)| *mark != file_mark(&System.read_file(path, FILE_BYTES_MAX)))
            || self.folders.iter().any(|(path, mark)| *mark != folder_mark(&System.list(path)))
    }

    /// The folders in which a change would show: those of the files and of what their links lead to, and for each one
    /// above it, where another may be put in its place.
    fn places(&self) -> BTreeSet<PathBuf> {
        let above = |path: &Path| path.parent().map(|parent| parent.join("."));
        let of_files = self.files.keys().filter_map(|path| above(path));
        let of_links = self.files.keys().filter_map(|path| above(&path.canonicalize().ok()?));
        let folders: BTreeSet<PathBuf> =
            of_files.chain(of_links).chain(self.folders.keys().map(|path| path.join("."))).collect();
        let parents =
            folders.iter().filter_map(|folder| Some(folder.canonicalize().ok()?.parent()?.to_owned()));
        folders.iter().cloned().chain(parents.collect::<Vec<_>>()).collect()
    }
}

fn file_mark(text: &io::Result<String>) -> Option<u64> {
    text.as_ref().ok().map(mark)
}

fn folder_mark(names: &io::Result<Vec<String>>) -> Option<u64> {
    let mut names = names.as_ref().ok()?.clone();
    names.sort_unstable();
    Some(mark(&names))
}

fn mark(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

impl<'p> Recorder<'p> {
    /// Nothing was read yet; who is told how far reading is.
    pub(crate) fn new(progress: &'p Progress) -> Self {
        Self { footprint: RefCell::default(), progress }
    }

    /// What was read.
    pub(crate) fn footprint(self) -> Footprint {
        self.footprint.into_inner()
    }
}

impl Environment for Recorder<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        System.variable(name)
    }

    fn read_file(&self, path: &Path, bytes_max: u64) -> io::Result<String> {
        let text = System.read_file(path, bytes_max);
        self.footprint.borrow_mut().files.insert(path.to_owned(), file_mark(&text));
        text
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let names = System.list(directory);
        self.footprint.borrow_mut().folders.insert(directory.to_owned(), folder_mark(&names));
        names
    }

    fn progress(&self) -> &Progress {
        self.progress
    }
}

impl Watcher {
    /// Starts it on a thread of its own. It watches nothing yet.
    pub(crate) fn start(reload: Weak<impl Reloads>) -> io::Result<Arc<Self>> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let watcher = Arc::new(Self { inotify, covered: Mutex::default() });
        let of_thread = watcher.clone();
        thread::Builder::new().name("watch".into()).spawn(move || {
            if let Err(error) = of_thread.watch(&reload) {
                say::warning(&format!(
                    "the configuration is watched no more: {error}; `floodgate reload` works"
                ));
            }
        })?;
        Ok(watcher)
    }

    /// Watches this from now on; `None`: nothing.
    pub(crate) fn cover(&self, footprint: Option<Footprint>) {
        let mut covered = held(&self.covered);
        let places = footprint.as_ref().map(Footprint::places).unwrap_or_default();
        let mut watches = BTreeSet::new();
        for place in places {
            match inotify::add_watch(&self.inotify, &place, EVENTS) {
                Ok(watch) => _ = watches.insert(watch),
                // It comes with an event in the folder above.
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(error) => say::warning(&format!("cannot watch {}: {error}", place.display())),
            }
        }
        for gone in covered.watches.difference(&watches) {
            // The kernel takes a watch away by itself with its folder.
            let _gone = inotify::remove_watch(&self.inotify, *gone);
        }
        *covered = Covered { footprint, watches };
    }

    /// Whether anything is watched.
    pub(crate) fn covers(&self) -> bool {
        held(&self.covered).footprint.is_some()
    }

    fn watch(&self, reload: &Weak<impl Reloads>) -> io::Result<()> {
        let mut reason = false;
        loop {
            if !reason {
                self.wait(None)?;
            }
            let begun = Instant::now();
            reason |= self.read()?;
            while begun.elapsed() < UNQUIET_MAX && self.wait(Some(QUIET))? {
                reason |= self.read()?;
            }
            if !std::mem::take(&mut reason) || !self.has_changed() {
                continue;
            }
            let Some(reload) = reload.upgrade() else { return Ok(()) };
            let before = held(&self.covered).footprint.clone();
            reload.reload();
            // What is watched only since then may have changed before it was: a reason to look once more.
            reason = held(&self.covered).footprint != before;
        }
    }

    fn has_changed(&self) -> bool {
        let footprint = held(&self.covered).footprint.clone();
        footprint.is_some_and(|footprint| footprint.has_changed())
    }

    /// Whether an event came in time.
    fn wait(&self, time: Option<Duration>) -> io::Result<bool> {
        let time = time.map(|time| Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(time.subsec_nanos()),
        });
        match poll(&mut [PollFd::new(&self.inotify, PollFlags::IN)], time.as_ref()) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the events that there are; whether one is a reason to look.
    fn read(&self) -> io::Result<bool> {
        let mut buffer = [MaybeUninit::uninit(); 4_096];
        let mut events = Reader::new(&self.inotify, &mut buffer);
        let mut reason = false;
        loop {
            match events.next() {
                Ok(event) => reason |= event.events() != ReadFlags::MODIFY,
                Err(Errno::WOULDBLOCK) => return Ok(reason),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn footprint(folder: &Path) -> Footprint {
        let recorder = Recorder::new(Progress::silent());
        let outcome = source::load(&folder.join("main.toml"), &recorder);
        assert!(!outcome.sources.iter().collect::<Vec<_>>().is_empty());
        recorder.footprint()
    }

    /// Includes a folder and refers to a file; does something and expects that it is noticed, or not.
    #[track_caller]
    fn check(act: impl Fn(&Path), changed: bool) {
        let folder = TempDir::new().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("d")).unwrap();
        std::fs::write(at("secret"), "a").unwrap();
        std::fs::write(at("main.toml"), "include = [\"d/*.toml\"]\n").unwrap();
        std::fs::write(at("d/a.toml"), "[node]\nstate = \"${file:../secret}\"\n").unwrap();
        let footprint = footprint(folder.path());
        assert!(!footprint.has_changed());
        act(folder.path());
        assert_eq!(footprint.has_changed(), changed);
    }

    #[test]
    fn what_was_read_is_what_is_compared() {
        let write = |folder: &Path, name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
        check(|folder| write(folder, "main.toml", "include = [\"d/*.toml\"]\n"), false);
        check(|folder| write(folder, "main.toml", ""), true);
        check(|folder| write(folder, "d/a.toml", "[node]\n"), true);
        check(|folder| write(folder, "d/b.toml", ""), true);
        check(|folder| write(folder, "secret", "b"), true);
        check(|folder| write(folder, "other", "b"), false);
        check(|folder| std::fs::remove_file(folder.join("d/a.toml")).unwrap(), true);
        check(|folder| std::fs::remove_file(folder.join("main.toml")).unwrap(), true);
        check(|folder| std::fs::rename(folder.join("d"), folder.join("e")).unwrap(), true);
    }
}
