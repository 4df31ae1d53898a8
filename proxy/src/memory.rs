//! How much memory there is and may be: the kernel's word for both, read from its files.

use std::{fs, path::Path};

use shard::Level;

/// Where control groups of the second version are.
const CGROUPS: &str = "/sys/fs/cgroup";

/// What a node takes of a machine that nobody has divided: the kernel's buffers for sockets, its cache of files and other
/// processes need the rest.
const SHARE_OF_MACHINE: (u64, u64) = (4, 5);

/// The bound where the configuration names none: the least of the process's control group and of those that it is in,
/// else a share of the machine's memory.
pub(crate) fn default_max_bytes() -> u64 {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    group_max_bytes(&own, |group| fs::read_to_string(Path::new(CGROUPS).join(group).join("memory.max")).ok())
        .unwrap_or_else(|| {
            let info = rustix::system::sysinfo();
            let all = (info.totalram as u64).saturating_mul(info.mem_unit.into());
            all / SHARE_OF_MACHINE.1 * SHARE_OF_MACHINE.0
        })
}

/// cgroups(7): the line `0::/path` names the group of the second version; `memory.max` is `max` or bytes, and holds for
/// all groups below. `read` gives that file of a group, by its path without the first slash.
fn group_max_bytes(own: &str, read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let bytes = |group: &Path| read(group)?.trim().parse::<u64>().ok();
    Path::new(path).ancestors().filter_map(bytes).min()
}

/// What the process has in RAM. Opens a file: not for a core.
pub(crate) fn resident_bytes() -> Option<u64> {
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

    /// `groups`: path and `memory.max`.
    #[track_caller]
    fn check(own: &str, groups: &[(&str, &str)], expected: Option<u64>) {
        let read = |group: &Path| {
            groups.iter().find(|(path, _)| Path::new(path) == group).map(|(_, max)| format!("{max}\n"))
        };
        assert_eq!(group_max_bytes(own, read), expected, "{own} {groups:?}");
    }

    #[test]
    fn the_least_of_all_groups_counts() {
        let own = "0::/system.slice/floodgate.service\n";
        check(own, &[("system.slice/floodgate.service", "1048576")], Some(1 << 20));
        check(own, &[("system.slice/floodgate.service", "max"), ("system.slice", "4096")], Some(4096));
        check(own, &[("system.slice/floodgate.service", "8192"), ("system.slice", "4096")], Some(4096));
        check(own, &[("system.slice/floodgate.service", "max"), ("", "max")], None);
        check(own, &[("system.slice/other.service", "4096")], None);
        // A container sees its own group as the root.
        check("0::/\n", &[("", "4096")], Some(4096));
        // Version 1 beside it, or alone, or no file at all.
        check("5:memory:/a\n0::/b\n", &[("a", "1"), ("b", "2")], Some(2));
        check("5:memory:/a\n", &[("a", "1")], None);
        check("", &[("", "1")], None);
        check("0::/a\n", &[("a", "many")], None);
    }

    #[test]
    fn resident_pages_are_the_second_number() {
        assert_eq!(resident_pages("5120 1234 800 10 0 400 0\n"), Some(1234));
        assert_eq!(resident_pages("5120"), None);
        assert_eq!(resident_pages(""), None);
    }

    #[test]
    fn this_process_fits_into_its_memory() {
        let resident = resident_bytes().unwrap();
        assert!(resident > 100 << 10 && resident < default_max_bytes(), "{resident} {}", default_max_bytes());
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
