//! CPU time of a process tree, from `/proc`.

use std::fs;

use anyhow::Context;

/// Ticks of `/proc/PID/stat` a second: the kernel's USER_HZ, the same on every Linux that we run on.
const TICKS_PER_S: f64 = 100.0;

/// User and system time of a process, its threads and its children that run, in seconds.
pub(super) fn seconds(pid: u32) -> anyhow::Result<f64> {
    let mut ticks = 0;
    for process in family(pid) {
        // A worker that has just ended is not there; what it used is lost, and it served nobody.
        if let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) {
            ticks += ticks_of(&stat).with_context(|| format!("/proc/{process}/stat"))?;
        }
    }
    Ok(ticks as f64 / TICKS_PER_S)
}

/// A process and those below it.
fn family(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut at = 0;
    while let Some(&process) = all.get(at) {
        let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
        for task in tasks {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            all.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
        at += 1;
    }
    all
}

/// Fields 14 and 15; the name in field 2 may have spaces and ends with the last bracket.
fn ticks_of(stat: &str) -> Option<u64> {
    let after_name = &stat[stat.rfind(')')? + 1..];
    let mut fields = after_name.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::ticks_of;

    #[test]
    fn names_may_have_spaces() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 9 9 20 0 3 0 100 1 1";
        assert_eq!(ticks_of(stat), Some(300));
        assert_eq!(ticks_of("7 (a"), None);
    }
}
