//! The unit as text: what systemd's own tools say of it, and what its filter lets through.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{lacks, read};

/// The shipped unit.
pub(crate) fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("package/root/usr/lib/systemd/system/floodgate.service")
}

/// What an administrator puts beside it for the front line, and where.
pub(crate) fn front_line() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("package/root/usr/share/floodgate/front-line.conf")
}
pub(crate) const BESIDE: &str = "/etc/systemd/system/floodgate.service.d/front-line.conf";

/// What a key says, once for each time that it stands there.
pub(crate) fn values(key: &str) -> Vec<String> {
    values_of(&file(), key)
}

/// The same of another file.
pub(crate) fn values_of(file: &Path, key: &str) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
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
    allowed_by(&values("SystemCallFilter"))
}

/// The same with the front line's file beside the unit.
pub(crate) fn allowed_with_front_line() -> BTreeSet<String> {
    allowed_by(&[values("SystemCallFilter"), values_of(&front_line(), "SystemCallFilter")].concat())
}

fn allowed_by(lines: &[String]) -> BTreeSet<String> {
    let mut allowed = BTreeSet::new();
    for line in lines {
        let (without, names) = line.strip_prefix('~').map_or((false, &**line), |names| (true, names));
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

/// The front line gets its three rights, the calls for them, and nothing of what the unit keeps from a node.
#[test]
fn the_front_line_gets_three_rights_and_two_calls() {
    for key in ["CapabilityBoundingSet", "AmbientCapabilities"] {
        assert_eq!(values_of(&front_line(), key), ["CAP_BPF CAP_NET_ADMIN CAP_PERFMON"], "{key}");
    }
    assert_eq!(values_of(&front_line(), "RestrictAddressFamilies"), ["AF_NETLINK"]);
    assert_eq!(values_of(&front_line(), "ReadWritePaths"), ["/sys/fs/bpf"]);
    // What would take one of the unit's lines back stands nowhere: an empty value, or a key that it has once.
    let text = fs::read_to_string(front_line()).unwrap();
    for line in text.lines().filter(|line| line.contains('=') && !line.starts_with('#')) {
        let (key, value) = line.split_once('=').unwrap();
        assert!(!value.is_empty(), "{line}");
        let lists =
            ["CapabilityBoundingSet", "AmbientCapabilities", "SystemCallFilter", "RestrictAddressFamilies"];
        assert!(
            lists.contains(&key) || values(key).is_empty(),
            "{line} takes the unit's {:?} back",
            values(key)
        );
    }
    if lacks("the_front_line_gets_three_rights_and_two_calls", &["systemd-analyze"]) {
        return;
    }
    let more: Vec<_> = allowed_with_front_line().difference(&allowed_calls()).cloned().collect();
    assert_eq!(more, ["bpf", "capset"]);
}
