//! What the kernel says about this process: memory, descriptors, processor time, read from `/proc/self` when asked.
//! Where there is no `/proc` the facts are left out, not invented.

use std::fs;

/// One reading.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessFacts {
    /// Memory in RAM, bytes.
    pub resident_bytes: Option<u64>,
    /// Open descriptors.
    pub open_fds: Option<u64>,
    /// The most there may be (soft limit).
    pub max_fds: Option<u64>,
    /// Processor time of all threads, user and system, in hundredths of a second.
    pub cpu_ticks: Option<u64>,
}

/// Reads the facts. Opens a few files under `/proc/self`: not for a core.
pub fn read() -> ProcessFacts {
    let file = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
    ProcessFacts {
        resident_bytes: resident_bytes(&file("status")),
        // Less the descriptor that reads the directory.
        open_fds: fs::read_dir("/proc/self/fd")
            .ok()
            .map(|entries| (entries.count() as u64).saturating_sub(1)),
        max_fds: max_fds(&file("limits")),
        cpu_ticks: cpu_ticks(&file("stat")),
    }
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn max_fds(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// proc_pid_stat(5): fields 14 and 15, counted behind the command's name, which may hold anything but ends in the
/// last parenthesis. The unit is `USER_HZ`, 100 on every architecture we build for.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_read_by_their_manual() {
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    8192 kB\nVmSwap:\t 0 kB\n"), Some(8192 * 1024));
        assert_eq!(
            max_fds("Max processes  1 2 processes\nMax open files     1024    524288   files\n"),
            Some(1024)
        );
        assert_eq!(max_fds("Max open files     unlimited    unlimited   files\n"), None);
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 7 5 0 0 20 0 3 0 100 1000 50";
        assert_eq!(cpu_ticks(stat), Some(12));
        assert_eq!((resident_bytes(""), max_fds(""), cpu_ticks("")), (None, None, None));
    }

    #[test]
    fn this_process_has_memory_and_descriptors() {
        let facts = read();
        assert!(facts.resident_bytes > Some(100 << 10), "{facts:?}");
        assert!(facts.open_fds >= Some(3) && facts.max_fds >= facts.open_fds, "{facts:?}");
        assert!(facts.cpu_ticks.is_some(), "{facts:?}");
    }
}
