//! How much memory there is and may be: the kernel's word for both, read from its files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use shard::Level;

/// What a node takes of a machine that nobody has divided: the kernel's buffers for sockets, its cache of files and other
/// processes need the rest.
const SHARE_OF_MACHINE: (u64, u64) = (4, 5);

/// One in so many bytes may be the cache's, lest there be a warning. It holds a quarter of its size in bodies on their way
/// to clients besides, and shrinks a step at a time.
const CACHE_SHARE: u64 = 3;

/// A bound, and what is held against it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limit {
    /// 0: none.
    max_bytes: u64,
    /// The control group whose limit it is.
    group: Option<Group>,
}

impl Limit {
    /// What the configuration names. Left out: the least limit of the control groups that the process is in, else a share
    /// of the machine's memory.
    pub(crate) fn new(configured_bytes: Option<u64>) -> Self {
        match configured_bytes {
            Some(max_bytes) => Self { max_bytes, group: None },
            None => Self::of_machine(),
        }
    }

    fn of_machine() -> Self {
        let info = rustix::system::sysinfo();
        let all_bytes = (info.totalram as u64).saturating_mul(info.mem_unit.into());
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let groups = groups(&own);
        match least(groups, all_bytes, |file| fs::read_to_string(file).ok()) {
            Some((max_bytes, group)) => Self { max_bytes, group: Some(group) },
            None => Self { max_bytes: all_bytes / SHARE_OF_MACHINE.1 * SHARE_OF_MACHINE.0, group: None },
        }
    }

    pub(crate) fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// What an operator should know whose cache may take so much of it that the ladder has no room left to climb in. A
    /// bound of 0 is none.
    pub(crate) fn crowded_by(&self, cache_bytes: u64) -> Option<String> {
        let share = cache_bytes.saturating_mul(CACHE_SHARE);
        (self.max_bytes > 0 && share > self.max_bytes).then(|| {
            format!(
                "`[cache] size` of {} MiB is more than a third of the {} MiB of memory that the node may have (`memory_max`): \
                 clients that do not read may need the rest faster than the cache shrinks",
                cache_bytes >> 20,
                self.max_bytes >> 20,
            )
        })
    }

    /// What counts: what the process has in RAM. Where the limit is a control group's, it is what the group has and
    /// cannot be made to give back, if that is more: it is then that the kernel kills. Opens files: not for a core.
    pub(crate) fn used_bytes(&self) -> Option<u64> {
        let resident = resident_bytes()?;
        let group =
            self.group.as_ref().and_then(|group| group.used_bytes(|file| fs::read_to_string(file).ok()));
        Some(resident.max(group.unwrap_or_default()))
    }
}

/// A control group that memory is charged to, by its folder.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    version: Version,
    folder: PathBuf,
}

/// The kernel's two interfaces to control groups. A machine may mount both, and then either has the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Version {
    /// The file with the limit: bytes, or `max`. Version 1 writes a number beyond any machine for that.
    fn limit_file(self) -> &'static str {
        match self {
            Self::One => "memory.limit_in_bytes",
            Self::Two => "memory.max",
        }
    }

    /// The file with all that is charged to the group and those in it.
    fn usage_file(self) -> &'static str {
        match self {
            Self::One => "memory.usage_in_bytes",
            Self::Two => "memory.current",
        }
    }

    /// What of that the kernel takes back before it kills, as `memory.stat` names it.
    fn reclaimable(self) -> &'static [&'static str] {
        match self {
            Self::One => &["total_active_file", "total_inactive_file"],
            Self::Two => &["active_file", "inactive_file", "slab_reclaimable"],
        }
    }
}

impl Group {
    /// What is charged to the group and cannot be taken back: anonymous memory, and the kernel's own for its sockets.
    fn used_bytes(&self, read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
        let all: u64 = read(&self.folder.join(self.version.usage_file()))?.trim().parse().ok()?;
        let stat = read(&self.folder.join("memory.stat"))?;
        let reclaimable = stat
            .lines()
            .filter_map(|line| line.split_once(' '))
            .filter(|(name, _)| self.version.reclaimable().contains(name))
            .filter_map(|(_, bytes)| bytes.trim().parse::<u64>().ok());
        Some(all.saturating_sub(reclaimable.sum()))
    }
}

/// cgroups(7): `0::/path` names the group of version 2, `4:memory:/path` the one that has the memory in version 1. A limit
/// holds for all groups below, so these are the process's own and all above. A container sees its own group as the root,
/// though version 1 goes on to say the path that it has outside.
fn groups(own: &str) -> Vec<Group> {
    let above = |mount: &'static str, version, path: &str| {
        let all = Path::new(path.trim_start_matches('/')).ancestors().map(PathBuf::from).collect::<Vec<_>>();
        all.into_iter().map(move |group| Group { version, folder: Path::new(mount).join(group) })
    };
    let mut groups = Vec::new();
    for line in own.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        match (parts.next(), parts.next()) {
            (Some(""), Some(path)) => {
                groups.extend(above("/sys/fs/cgroup", Version::Two, path));
                groups.extend(above("/sys/fs/cgroup/unified", Version::Two, path));
            }
            (Some(controllers), Some(path)) if controllers.split(',').any(|name| name == "memory") => {
                groups.extend(above("/sys/fs/cgroup/memory", Version::One, path));
            }
            _ => {}
        }
    }
    groups
}

/// The least limit, and whose. One that the machine cannot reach is none.
fn least(
    groups: Vec<Group>,
    machine_bytes: u64,
    read: impl Fn(&Path) -> Option<String>,
) -> Option<(u64, Group)> {
    let limit = |group: &Group| read(&group.folder.join(group.version.limit_file()))?.trim().parse().ok();
    let limited = groups.into_iter().filter_map(|group| Some((limit(&group)?, group)));
    limited.filter(|(bytes, _)| *bytes < machine_bytes).min_by_key(|(bytes, _)| *bytes)
}

/// What the process has in RAM.
fn resident_bytes() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    resident_pages(&statm)?.checked_mul(rustix::param::page_size() as u64)
}

/// proc_pid_statm(5): all, then resident, in pages.
fn resident_pages(statm: &str) -> Option<u64> {
    statm.split_whitespace().nth(1)?.parse().ok()
}

/// A step of the ladder in words.
pub(crate) fn describe(level: Level, bytes: u64, max_bytes: u64) -> String {
    let what = match level {
        Level::Enough => "all is served again",
        Level::Trim => "the cache shrinks",
        Level::Shut => "new connections are reset, idle ones closed",
        Level::Refuse => "requests are refused",
    };
    let percent = u128::from(bytes) * 100 / u128::from(max_bytes.max(1));
    format!("memory: {percent} % of {} MiB (`memory_max`): {what}", max_bytes >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: u64 = 1 << 40;

    /// `files`: below `/sys/fs/cgroup`, with what they say. The least limit, and the folder of the group that has it.
    #[track_caller]
    fn check(own: &str, files: &[(&str, &str)], expected: Option<(u64, &str)>) {
        let found = least(groups(own), MACHINE, reader(files));
        let found = found.as_ref().map(|(bytes, group)| (*bytes, group.folder.to_str().unwrap()));
        let expected = expected.map(|(bytes, folder)| (bytes, format!("/sys/fs/cgroup/{folder}")));
        let trimmed = expected.as_ref().map(|(bytes, folder)| (*bytes, folder.as_str()));
        assert_eq!(found, trimmed, "{own} {files:?}");
    }

    fn reader(files: &[(&str, &str)]) -> impl Fn(&Path) -> Option<String> {
        move |asked| {
            let below = asked.strip_prefix("/sys/fs/cgroup").unwrap();
            files.iter().find(|(file, _)| Path::new(file) == below).map(|(_, says)| format!("{says}\n"))
        }
    }

    #[test]
    fn the_least_of_all_groups_counts() {
        let own = "0::/a.slice/b.service\n";
        let (b, a, root) = ("a.slice/b.service/memory.max", "a.slice/memory.max", "memory.max");
        check(own, &[(b, "1048576")], Some((1 << 20, "a.slice/b.service")));
        check(own, &[(b, "max"), (a, "4096")], Some((4096, "a.slice")));
        check(own, &[(b, "8192"), (a, "4096")], Some((4096, "a.slice")));
        check(own, &[(b, "4096"), (a, "8192")], Some((4096, "a.slice/b.service")));
        check(own, &[(b, "max"), (root, "max")], None);
        check(own, &[("a.slice/c.service/memory.max", "4096")], None);
        check(own, &[(b, "many")], None);
        check(own, &[(b, &MACHINE.to_string())], None);
        check("", &[(root, "1")], None);
        // A container sees its own group as the root.
        check("0::/\n", &[(root, "4096")], Some((4096, "")));
    }

    #[test]
    fn either_version_may_have_the_memory() {
        let both = "9:name=systemd:/\n4:cpu,memory:/a/b\n0::/c\n";
        let none = "9223372036854771712";
        check(both, &[("memory/a/b/memory.limit_in_bytes", "4096")], Some((4096, "memory/a/b")));
        let above = [("memory/a/b/memory.limit_in_bytes", none), ("memory/a/memory.limit_in_bytes", "4096")];
        check(both, &above, Some((4096, "memory/a")));
        check(both, &[("memory/a/b/memory.limit_in_bytes", none)], None);
        check(both, &[("unified/c/memory.max", "4096")], Some((4096, "unified/c")));
        check(both, &[("cpu/a/b/memory.limit_in_bytes", "4096")], None);
        // A container's own group, whose path is another outside.
        check(
            "4:memory:/docker/12ab\n",
            &[("memory/memory.limit_in_bytes", "4096")],
            Some((4096, "memory/")),
        );
    }

    /// What the kernel can take back does not count: of files, and since version 2 of its own.
    #[test]
    fn what_can_be_taken_back_is_not_in_use() {
        #[track_caller]
        fn check(own: &str, files: &[(&str, &str)], expected: Option<u64>) {
            assert_eq!(groups(own)[0].used_bytes(reader(files)), expected, "{files:?}");
        }
        let stat = "anon 600\nfile 300\ninactive_file 100\nactive_file 150\nslab_reclaimable 50\nsock 40\nx";
        check("0::/g\n", &[("g/memory.current", "1000"), ("g/memory.stat", stat)], Some(700));
        check("0::/g\n", &[("g/memory.current", "200"), ("g/memory.stat", stat)], Some(0));
        check("0::/g\n", &[("g/memory.current", "1000")], None);
        let stat = "inactive_file 1\ntotal_inactive_file 100\ntotal_active_file 150\ntotal_rss 600";
        let files = [("memory/g/memory.usage_in_bytes", "1000"), ("memory/g/memory.stat", stat)];
        check("4:memory:/g\n", &files, Some(750));
    }

    /// What is configured is of the process alone.
    #[test]
    fn what_is_configured_holds() {
        assert_eq!(Limit::new(Some(5)), Limit { max_bytes: 5, group: None });
        assert_eq!(Limit::new(Some(0)).max_bytes(), 0);
    }

    #[test]
    fn a_cache_may_crowd_the_rest_out() {
        #[track_caller]
        fn check(max_bytes: u64, cache_bytes: u64, crowds: bool) {
            assert_eq!(Limit::new(Some(max_bytes)).crowded_by(cache_bytes).is_some(), crowds);
        }
        check(300 << 20, 100 << 20, false);
        check(300 << 20, 101 << 20, true);
        check(0, u64::MAX, false);
        check(1, u64::MAX, true);
    }

    #[test]
    fn resident_pages_are_the_second_number() {
        assert_eq!(resident_pages("5120 1234 800 10 0 400 0\n"), Some(1234));
        assert_eq!(resident_pages("5120"), None);
        assert_eq!(resident_pages(""), None);
    }

    #[test]
    fn this_process_fits_into_its_memory() {
        let limit = Limit::new(None);
        let used = limit.used_bytes().unwrap();
        assert!(used > 100 << 10 && used < limit.max_bytes(), "{used} {limit:?}");
    }

    #[test]
    fn a_step_is_said_in_one_line() {
        assert_eq!(
            describe(Level::Trim, 52 << 20, 64 << 20),
            "memory: 81 % of 64 MiB (`memory_max`): the cache shrinks"
        );
        assert_eq!(
            describe(Level::Enough, 1, 0),
            "memory: 100 % of 0 MiB (`memory_max`): all is served again"
        );
    }
}
