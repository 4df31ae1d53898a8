//! What the kernel says in files, and where its own file systems are. Knows no program and no table.

use crate::Error;
use rustix::fs::statfs;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::fs;
use std::io;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// `BPF_FS_MAGIC` of linux/magic.h.
const BPF_FS: u64 = 0xcafe_4a11;
/// So long is waited for a place that is busy.
const BUSY_MAX: Duration = Duration::from_millis(200);
/// `SYSFS_MAGIC`: there folders can't be made.
const SYSFS: u64 = 0x6265_6572;

/// `CLOCK_MONOTONIC` in ns, the programs' clock.
pub(crate) fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// A name of this boot, by whose `CLOCK_MONOTONIC` something was written down; empty where the kernel does not say.
pub(crate) fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// An interface's number; it is another when the interface is made anew.
pub(crate) fn index(interface: &str) -> io::Result<u32> {
    // Any socket does; this one sends nothing.
    let socket = UdpSocket::bind(("127.0.0.1", 0)).or_else(|_| UdpSocket::bind(("::", 0)))?;
    Ok(rustix::net::netdevice::name_to_index(&socket, interface)?)
}

fn kind(path: &Path) -> Option<u64> {
    statfs(path).ok().map(|fs| fs.f_type as u64)
}

/// Whether things can be pinned here.
pub(crate) fn is_bpffs(path: &Path) -> bool {
    kind(path) == Some(BPF_FS)
}

/// Makes the folder `folder` in `pins`, and mounts a bpffs for it if there is none; then says where.
pub(crate) fn make_pins(pins: &Path, folder: &Path) -> Result<Option<PathBuf>, Error> {
    let file = |path: &Path| {
        let path = path.to_owned();
        move |error| Error::File { path, error }
    };
    let above = pins.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    if is_bpffs(above) {
        fs::create_dir_all(folder).map_err(file(folder))?;
        return Ok(None);
    }
    // The usual place is a folder of sysfs that waits for its mount.
    let at = if kind(above) == Some(SYSFS) { above } else { pins };
    if at == pins {
        fs::create_dir_all(pins).map_err(file(pins))?;
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("bpf", at, "bpf", flags, c"mode=0700").map_err(|error| Error::Kernel {
        what: "a bpffs can't be mounted",
        why: format!("{}: {}", at.display(), io::Error::from(error)),
    })?;
    fs::create_dir_all(folder).map_err(file(folder))?;
    Ok(Some(at.to_owned()))
}

/// Takes away what [`make_pins`] made, as long as nobody else uses it: what is not empty stays.
pub(crate) fn remove_pins(pins: &Path) {
    let is_mounted_here = is_bpffs(pins) && pins.parent().is_some_and(|above| !is_bpffs(above));
    // Some kernels put iterators of their own into each bpffs.
    let is_kernels = |name: std::ffi::OsString| matches!(name.to_str(), Some("maps.debug" | "progs.debug"));
    let is_left = |entry: io::Result<fs::DirEntry>| entry.is_ok_and(|entry| !is_kernels(entry.file_name()));
    let is_empty = fs::read_dir(pins).is_ok_and(|mut entries| !entries.any(is_left));
    if is_mounted_here && is_empty {
        let begun = Instant::now();
        // A program that somebody starts at this moment holds for a while what we had open. One who may not unmount leaves an empty folder.
        while unmount(pins, UnmountFlags::empty()) == Err(rustix::io::Errno::BUSY)
            && begun.elapsed() < BUSY_MAX
        {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let _ = fs::remove_dir(pins);
}

/// Connections that the kernel turned away from listeners of this network namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenQueues {
    /// The queue of accepted connections was full.
    pub overflows: u64,
    /// For that reason or another.
    pub drops: u64,
    /// Cookies sent by the kernel itself.
    pub cookies_sent: u64,
    /// Cookies that came back and were right.
    pub cookies_received: u64,
    /// Cookies that came back and were not.
    pub cookies_failed: u64,
}

impl ListenQueues {
    /// As they stand now; needs no rights.
    pub fn read() -> io::Result<Self> {
        Ok(Self::parse(&fs::read_to_string("/proc/thread-self/net/netstat")?))
    }

    /// From two lines of the same words: names, then numbers. What is not there is 0.
    fn parse(text: &str) -> Self {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt:"));
        let (Some(names), Some(numbers)) = (lines.next(), lines.next()) else { return Self::default() };
        let of = |name: &str| {
            let mut pairs = names.split_whitespace().zip(numbers.split_whitespace());
            pairs.find(|(known, _)| *known == name).and_then(|(_, number)| number.parse().ok()).unwrap_or(0)
        };
        Self {
            overflows: of("ListenOverflows"),
            drops: of("ListenDrops"),
            cookies_sent: of("SyncookiesSent"),
            cookies_received: of("SyncookiesRecv"),
            cookies_failed: of("SyncookiesFailed"),
        }
    }
}

/// How the kernel goes about SYN cookies (`net.ipv4.tcp_syncookies`). `None`: it does not say.
pub(crate) fn syncookies() -> Option<Syncookies> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/tcp_syncookies").ok()?;
    Some(Syncookies::of(text.trim()))
}

/// When the kernel sends cookies. It takes only those of a listener that has sent some itself in the last two minutes
/// (`tcp_synq_no_recent_overflow`), and resets who comes with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syncookies {
    /// Never: a flood ends all service, and cookies of ours are refused.
    Never,
    /// While a listener's queue is full, which the front line keeps it from: cookies of ours are refused sooner or later.
    WhenFull,
    /// Always.
    Always,
}

impl Syncookies {
    fn of(text: &str) -> Self {
        match text {
            "0" => Self::Never,
            "2" => Self::Always,
            _ => Self::WhenFull,
        }
    }
}

/// The folder of our own control group (version 2); `Err` says why there is none that a program could watch.
pub(crate) fn own_cgroup() -> Result<PathBuf, &'static str> {
    let read = |path| fs::read_to_string(path).map_err(|_| "proc is not mounted");
    find_cgroup(&read("/proc/self/cgroup")?, &read("/proc/self/mountinfo")?)
}

fn find_cgroup(own: &str, mounts: &str) -> Result<PathBuf, &'static str> {
    let own = own
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .ok_or("the kernel has no control groups of version 2")?;
    let relative = own.trim_start_matches('/');
    if relative.is_empty() {
        return Err(
            "this process is in the root of control groups, and there it would see everybody's connections",
        );
    }
    // man 5 proc: the kind of file system stands behind the dash, the mount point is the fifth word.
    let mount = mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut words = before.split(' ').skip(3);
        let (root, point) = (words.next()?, words.next()?);
        (after.starts_with("cgroup2 ") && root == "/").then_some(point)
    });
    Ok(Path::new(mount.ok_or("control groups of version 2 are not mounted")?).join(relative))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_cookies() {
        let of = ["0", "1", "2"].map(super::Syncookies::of);
        assert_eq!(of, [super::Syncookies::Never, super::Syncookies::WhenFull, super::Syncookies::Always]);
    }

    #[test]
    fn netstat_is_read_by_its_names() {
        let text = "TcpExt: SyncookiesSent SyncookiesRecv ListenOverflows ListenDrops\nTcpExt: 5 4 3 2\nIpExt: ListenDrops\nIpExt: 9\n";
        let read = ListenQueues::parse(text);
        let expected =
            ListenQueues { overflows: 3, drops: 2, cookies_sent: 5, cookies_received: 4, cookies_failed: 0 };
        assert_eq!(read, expected);
        assert_eq!(ListenQueues::parse(""), ListenQueues::default());
        assert_eq!(ListenQueues::parse("TcpExt: ListenDrops\n"), ListenQueues::default());
        assert_eq!(ListenQueues::parse("TcpExt: ListenDrops\nTcpExt: x\n"), ListenQueues::default());
        ListenQueues::read().unwrap();
    }

    #[track_caller]
    fn check(own: &str, mounts: &str, expected: Result<&str, &'static str>) {
        assert_eq!(find_cgroup(own, mounts), expected.map(PathBuf::from));
    }

    #[test]
    fn the_own_control_group_is_found() {
        let mounts = "24 1 0:22 / /proc rw - proc proc rw\n31 24 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
        check(
            "0::/system.slice/floodgate.service\n",
            mounts,
            Ok("/sys/fs/cgroup/system.slice/floodgate.service"),
        );
        check("4:memory:/x\n0::/a\n", mounts, Ok("/sys/fs/cgroup/a"));
        let root =
            "this process is in the root of control groups, and there it would see everybody's connections";
        check("0::/\n", mounts, Err(root));
        check("4:memory:/x\n", mounts, Err("the kernel has no control groups of version 2"));
        check(
            "0::/a\n",
            "24 1 0:22 / /proc rw - proc proc rw\n",
            Err("control groups of version 2 are not mounted"),
        );
        check("0::/a\n", "x\n", Err("control groups of version 2 are not mounted"));
    }

    #[test]
    fn loopback_has_a_number() {
        assert_eq!(index("lo").unwrap(), 1);
        assert!(index("no-such-one").is_err());
    }
}
