//! The scenarios of `tests/scenarios/*.toml`: what an operator can read, run on the real binary.

use std::{fs, path::PathBuf};

use harness::{Scenario, run_scenario};

/// Tests for each file, so that a run says which subject failed.
macro_rules! files {
    ($($name:ident)*) => {
        const FILES: &[&str] = &[$(stringify!($name)),*];
        $(fn $name() { run(stringify!($name)); })*
        over_all! { $($name)* }
    };
}

files! { cache cors forwarding gateway_responses integrations limits routing throttle validation }

#[test]
fn every_file_is_run() {
    let mut there: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".toml").map(str::to_owned))
        .collect();
    there.sort_unstable();
    assert_eq!(there, FILES);
}

/// Runs all scenarios of a file, and says all that failed.
#[track_caller]
fn run(name: &str) {
    let text = fs::read_to_string(folder().join(format!("{name}.toml"))).unwrap();
    let mut failed = Vec::new();
    for scenario in Scenario::read(&text).unwrap_or_else(|problem| panic!("{name}.toml: {problem}")) {
        if std::panic::catch_unwind(|| run_scenario(&scenario)).is_err() {
            failed.push(scenario.about.clone());
        }
    }
    assert!(failed.is_empty(), "{name}.toml: {} failed:\n{}", failed.len(), failed.join("\n"));
}

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios"))
}
