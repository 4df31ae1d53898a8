//! The unit as text: what systemd's own tools say of it, and what its filter lets through.

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

use crate::{lacks, read};

/// The shipped unit.
pub(crate) fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("package/root/usr/lib/systemd/system/floodgate.service")
}

/// What a key says, once for each time that it stands there.
pub(crate) fn values(key: &str) -> Vec<String> {
    let text = fs::read_to_string(file()).unwrap();
    let value = |line: &str| line.strip_prefix(key)?.strip_prefix('=').map(str::to_owned);
    text.lines().filter_map(value).collect()
}

/// What a key that stands there once says.
#[track_caller]
pub(crate) fn value(key: &str) -> String {
    let values = values(key);
    assert_eq!(values.len(), 1, "{key} stands there {} times", values.len());
    values.into_iter().next().unwrap()
}

/// Reliability K5: exposure of at most 2.0 of 10.
#[test]
fn little_is_exposed() {
    if lacks("little_is_exposed", &["systemd-analyze"]) {
        return;
    }
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(["security", "--no-pager", "--offline=true", "--threshold=20"]);
    let said = read(analyze.arg(file()));
    assert!(said.contains("Overall exposure level for floodgate.service"), "{said}");
}

/// What systemd finds wrong with an installed unit, line by line, besides the type that it may be too old for.
pub(crate) fn complaints(said: &str) -> Vec<&str> {
    let lines = said.lines().filter(|line| line.contains("floodgate"));
    lines.filter(|line| !line.ends_with("Failed to parse service type, ignoring: notify-reload")).collect()
}

/// The system calls that `SystemCallFilter` allows, its sets resolved by systemd-analyze.
pub(crate) fn allowed_calls() -> BTreeSet<String> {
    let mut allowed = BTreeSet::new();
    for line in values("SystemCallFilter") {
        let (without, names) = line.strip_prefix('~').map_or((false, &*line), |names| (true, names));
        for name in names.split_whitespace() {
            let calls = resolve(name);
            if without {
                allowed.retain(|call| !calls.contains(call));
            } else {
                allowed.extend(calls);
            }
        }
    }
    // systemd adds this set to every list of what is allowed (systemd.exec(5)).
    allowed.extend(resolve("@default"));
    allowed
}

fn resolve(name: &str) -> BTreeSet<String> {
    if !name.starts_with('@') {
        return [name.to_owned()].into();
    }
    let listing = read(Command::new("systemd-analyze").args(["syscall-filter", "--no-pager", name]));
    let names =
        listing.lines().skip(1).map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    names.flat_map(resolve).collect()
}

#[test]
fn the_filter_allows_rings_and_no_privileges() {
    if lacks("the_filter_allows_rings_and_no_privileges", &["systemd-analyze"]) {
        return;
    }
    let allowed = allowed_calls();
    for call in
        ["io_uring_enter", "epoll_wait", "accept4", "sched_setaffinity", "prlimit64", "clone3", "futex"]
    {
        assert!(allowed.contains(call), "{call} is not allowed");
    }
    for call in ["ptrace", "mount", "setuid", "bpf", "init_module", "keyctl", "shmget", "reboot"] {
        assert!(!allowed.contains(call), "{call} is allowed");
    }
}
