//! A control group of a test's own, which bounds the memory of what is started in it if the test says so. Only the administrator can make one;
//! it goes when it is dropped.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::PATIENCE;

/// A control group.
#[derive(Debug)]
pub struct Cgroup {
    folder: PathBuf,
    version: Version,
}

/// Machines have one or the other for memory, or none.
#[derive(Clone, Copy, Debug)]
enum Version {
    One,
    Two,
}

impl Cgroup {
    /// A new group of version 2 without a limit, below its root: what the kernel tells of groups it tells of this one. Else why there is
    /// none.
    pub fn unlimited() -> Result<Self, String> {
        let mounts = fs::read_to_string("/proc/mounts").map_err(|error| format!("/proc/mounts: {error}"))?;
        let mounted = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"));
        let at = mounted.and_then(|line| line.split(' ').nth(1)).ok_or("no control groups of version 2")?;
        let folder = Path::new(at).join(name());
        fs::create_dir(&folder).map_err(|error| format!("no control group in {at}: {error}"))?;
        Ok(Self { folder, version: Version::Two })
    }

    /// A new group below the one that the test is in. No swap: what does not fit is killed. Else why there is none.
    pub fn with_memory_max(bytes: u64) -> Result<Self, String> {
        let (parent, version) = parent()?;
        let folder = parent.join(name());
        let made = fs::create_dir(&folder).and_then(|()| {
            let group = Self { folder: folder.clone(), version };
            let (limit, swap) = match version {
                Version::One => ("memory.limit_in_bytes", ("memory.memsw.limit_in_bytes", bytes)),
                Version::Two => ("memory.max", ("memory.swap.max", 0)),
            };
            fs::write(folder.join(limit), bytes.to_string())?;
            // A kernel without swap has no such file.
            match fs::write(folder.join(swap.0), swap.1.to_string()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(group),
            }
        });
        made.map_err(|error| format!("no control group in {}: {error}", parent.display()))
    }

    /// A command that goes into the group and becomes `program` there.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", "echo $$ >\"$0\" && exec \"$@\""])
            .arg(self.folder.join("cgroup.procs"))
            .arg(program);
        command
    }

    /// How many of its processes the kernel has killed because there was no memory left.
    #[track_caller]
    pub fn killed(&self) -> u64 {
        let (file, name) = match self.version {
            Version::One => ("memory.oom_control", "oom_kill "),
            Version::Two => ("memory.events", "oom_kill "),
        };
        let text =
            fs::read_to_string(self.folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let count = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        count.unwrap_or_else(|| panic!("{file} says {text:?}"))
    }
}

fn name() -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    format!("floodgate-test-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed))
}

/// Where a group may be made whose memory has a limit: below the test's own group; in version 2 only groups without
/// processes hand their controllers down (cgroups(7), no internal processes), so below the nearest that does.
fn parent() -> Result<(PathBuf, Version), String> {
    let own =
        fs::read_to_string("/proc/self/cgroup").map_err(|error| format!("/proc/self/cgroup: {error}"))?;
    let mut lines = own.lines().filter_map(|line| line.split_once(':')?.1.split_once(":/"));
    if let Some((_, path)) =
        lines.clone().find(|(controllers, _)| controllers.split(',').any(|one| one == "memory"))
    {
        return Ok((Path::new("/sys/fs/cgroup/memory").join(path), Version::One));
    }
    let path =
        lines.find_map(|(controllers, path)| controllers.is_empty().then_some(path)).unwrap_or_default();
    let hands_down = |folder: &PathBuf| {
        let given = fs::read_to_string(folder.join("cgroup.subtree_control")).unwrap_or_default();
        given.split_whitespace().any(|controller| controller == "memory")
    };
    let mut above = Path::new(path).ancestors().map(|group| Path::new("/sys/fs/cgroup").join(group));
    let found = above.find(hands_down).map(|folder| (folder, Version::Two));
    found.ok_or_else(|| "no control group here hands memory down".to_owned())
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // The kernel takes a moment to see that a process is gone.
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = fs::remove_dir(&self.folder) {
            if Instant::now() > deadline {
                eprintln!("{} stays: {error}", self.folder.display());
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}
