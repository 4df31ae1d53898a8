//! The same templates and paths, rendered and looked up by engines that are not ours: airspeed and python-jsonpath, which
//! `cargo xtask setup` installs. Where they differ on purpose stands in the tables, with the reason.

#![expect(clippy::unwrap_used, reason = "a test")]

mod paths;
mod templates;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use serde_json::Value;

const SCRIPT: &str = include_str!("second.py");

/// The Python that has a package, or `None` with a word about it.
fn python(test: &str, package: &str) -> Option<PathBuf> {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv");
    let is_there = fs::read_dir(venv.join("lib")).is_ok_and(|versions| {
        versions
            .filter_map(Result::ok)
            .any(|version| version.path().join("site-packages").join(package).is_dir())
    });
    if !is_there {
        // Not by `eprintln!`, which a test keeps for itself.
        let why = format!("`cargo xtask setup` installs the package {package}");
        writeln!(std::io::stderr().lock(), "skipped: {test}: {why}").unwrap();
        return None;
    }
    Some(venv.join("bin/python"))
}

/// What the other engine says to each case: its outcome, or its complaint.
fn ask(python: &Path, kind: &str, cases: &[(String, Value)]) -> Vec<Result<Value, String>> {
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT, kind]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut engine = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = engine.stdin.take().unwrap();
    let lines: Vec<String> = cases
        .iter()
        .map(|(what, with)| serde_json::json!({"what": what, "with": with}).to_string() + "\n")
        .collect();
    // It answers while it reads.
    let writer = thread::spawn(move || lines.iter().try_for_each(|line| stdin.write_all(line.as_bytes())));
    let output = engine.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{}", output.status);
    let answers: Vec<_> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| {
            let mut answer: Value = serde_json::from_str(line).unwrap();
            match answer.get("error") {
                Some(error) => Err(error.as_str().unwrap().to_owned()),
                None => Ok(answer["ok"].take()),
            }
        })
        .collect();
    assert_eq!(answers.len(), cases.len());
    answers
}
