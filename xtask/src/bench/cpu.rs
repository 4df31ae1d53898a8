//! CPU time of processes, from `/proc`.

use std::fs;

use anyhow::Context;

/// Ticks of `/proc` a second: the kernel's USER_HZ, the same on every Linux that we run on.
pub(super) const TICKS_PER_S: f64 = 100.0;

/// User and system time of a process, its threads and its children that run, in seconds.
pub(super) fn seconds(pid: u32) -> anyhow::Result<f64> {
    let mut ticks = 0;
    for process in family(pid) {
        // A worker that has just ended is not there; what it used is lost, and it served nobody.
        if let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) {
            ticks += ticks_of(&stat, OWN).with_context(|| format!("/proc/{process}/stat"))?;
        }
    }
    Ok(ticks as f64 / TICKS_PER_S)
}

/// What those of our own children used that have ended, in seconds: a load generator's price is known by it.
pub(super) fn seconds_of_ended_children() -> anyhow::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    Ok(ticks_of(&stat, CHILDREN).context("/proc/self/stat")? as f64 / TICKS_PER_S)
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

/// Fields 14 and 15 of `/proc/PID/stat`, counted from the third; 16 and 17 are of children that ended.
const OWN: usize = 11;
const CHILDREN: usize = 13;

/// Two neighbouring fields. The name in field 2 may have spaces and ends with the last bracket.
fn ticks_of(stat: &str, first: usize) -> Option<u64> {
    let after_name = &stat[stat.rfind(')')? + 1..];
    let mut fields = after_name.split_whitespace().skip(first);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::{CHILDREN, OWN, ticks_of};

    #[test]
    fn names_may_have_spaces() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 9 8 20 0 3 0 100 1 1";
        assert_eq!(ticks_of(stat, OWN), Some(300));
        assert_eq!(ticks_of(stat, CHILDREN), Some(17));
        assert_eq!(ticks_of("7 (a", OWN), None);
    }
}
