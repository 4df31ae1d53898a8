//! How much memory there is and may be: the kernel's word for both, read from its files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use shard::Level;

/// What a node takes of a machine that nobody has divided: the kernel's buffers for sockets, its cache of files and other
/// processes need the rest.
const SHARE_OF_MACHINE: (u64, u64) = (4, 5);

/// What is left to all else before a cache gets more than [`CACHE_SHARE_MIN`]: the kernel buffers megabytes for each client
/// that does not read, and for its backend.
const BESIDE_CACHE_BYTES: u64 = 1 << 30;

/// What a cache may have of any memory. It has a quarter of its size in bodies on their way to clients besides.
const CACHE_SHARE_MIN: (u64, u64) = (1, 4);

/// What it may have of the largest, below where the ladder begins.
const CACHE_SHARE_MAX: (u64, u64) = (3, 4);

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

    /// What the cache may hold of it at most: what leaves room for all else, so that clients who do not read can't take the
    /// rest faster than the cache shrinks (row O2). Without a bound there is none for the cache.
    pub(crate) fn cache_bytes_max(&self) -> u64 {
        let share = |(part, of): (u64, u64)| self.max_bytes / of * part;
        match self.max_bytes {
            0 => u64::MAX,
            max => {
                max.saturating_sub(BESIDE_CACHE_BYTES).clamp(share(CACHE_SHARE_MIN), share(CACHE_SHARE_MAX))
            }
        }
    }

    /// What of a cache of such a size it may be, if that is less; and what its operator should know.
    pub(crate) fn cuts(&self, cache_bytes: u64) -> Option<(u64, String)> {
        let cut_bytes = self.cache_bytes_max();
        (cache_bytes > cut_bytes).then(|| {
            let (cache, max, cut) = (cache_bytes >> 20, self.max_bytes >> 20, cut_bytes >> 20);
            let text = format!(
                "the cache is {cut} MiB instead of {cache} MiB (`[cache] size`), which leave too little of {max} MiB \
                 (`memory_max`) to clients that do not read: set `size` to `{cut}MiB`, or raise `memory_max`"
            );
            (cut_bytes, text)
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
    fn a_cache_leaves_room_for_all_else() {
        #[track_caller]
        fn check(max_mib: u64, expected_mib: u64) {
            let found = Limit::new(Some(max_mib << 20)).cache_bytes_max();
            assert_eq!((found >> 20, found % (1 << 20)), (expected_mib, 0), "of {max_mib} MiB");
        }
        check(32, 8);
        check(256, 64);
        check(512, 128);
        check(1_024, 256);
        // A quarter is the larger until it and the rest make 1 GiB.
        check(1_364, 341);
        check(1_368, 344);
        check(2_048, 1_024);
        check(4_096, 3_072);
        // Three quarters are the less from there on.
        check(4_100, 3_075);
        check(8_192, 6_144);
        check(1 << 20, 3 << 18);
        assert_eq!(Limit::new(Some(0)).cache_bytes_max(), u64::MAX);
        assert_eq!(Limit::new(Some(u64::MAX)).cache_bytes_max(), u64::MAX / 4 * 3);
        assert_eq!(Limit::new(Some(1)).cache_bytes_max(), 0);
    }

    #[test]
    fn a_cache_that_is_too_large_is_cut() {
        #[track_caller]
        fn check(max_mib: u64, cache_mib: u64, expected_mib: Option<u64>) {
            let cut = Limit::new(Some(max_mib << 20)).cuts(cache_mib << 20);
            assert_eq!(cut.map(|(bytes, _)| bytes >> 20), expected_mib, "{cache_mib} of {max_mib} MiB");
        }
        check(256, 64, None);
        check(256, 65, Some(64));
        check(256, 1 << 20, Some(64));
        check(2_048, 1_024, None);
        check(2_048, 1_025, Some(1_024));
        check(0, 1 << 20, None);
        assert_eq!(
            Limit::new(Some(256 << 20)).cuts(128 << 20).unwrap().1,
            "the cache is 64 MiB instead of 128 MiB (`[cache] size`), which leave too little of 256 MiB (`memory_max`) to \
             clients that do not read: set `size` to `64MiB`, or raise `memory_max`"
        );
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
