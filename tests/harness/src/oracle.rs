//! A judge that is not ours: h11, a strict HTTP/1.1 parser in Python, reads the bytes that reached a backend or a
//! client.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A message as h11 read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// `GET /path`, or a status.
    pub start: String,
    /// Its fields, names in lower case.
    pub fields: Vec<(String, String)>,
    /// Its body without framing.
    pub body: Vec<u8>,
}

const SCRIPT: &str = include_str!("oracle.py");

/// Why h11 cannot be asked on this machine; `None` if it can.
pub fn oracle_missing() -> Option<String> {
    let python = python();
    (!python.exists()).then(|| format!("{} is not there: `cargo xtask setup` makes it", python.display()))
}

/// Reads what a backend received: all requests of a connection, or h11's complaint.
pub fn judge_requests(bytes: &[u8]) -> Result<Vec<Judged>, String> {
    judge("server", "", bytes)
}

/// Reads what a client received to requests of these methods (`GET,HEAD`).
pub fn judge_responses(methods: &str, bytes: &[u8]) -> Result<Vec<Judged>, String> {
    judge("client", methods, bytes)
}

/// The Python that has the packages of `tests/requirements.txt`.
pub fn python() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python")
}

#[track_caller]
fn judge(role: &str, methods: &str, bytes: &[u8]) -> Result<Vec<Judged>, String> {
    let mut command = Command::new(python());
    command
        .args(["-c", SCRIPT, role, methods])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let sent = child.stdin.take().map(|mut stdin| stdin.write_all(bytes));
    let output = child.wait_with_output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(matches!(sent, Some(Ok(()))), "the judge did not read all: {sent:?}");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().map(judged).collect())
}

#[track_caller]
fn judged(line: &str) -> Judged {
    let json: serde_json::Value =
        serde_json::from_str(line).unwrap_or_else(|error| panic!("the judge said {line:?}: {error}"));
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let fields = json["fields"].as_array().into_iter().flatten();
    let body = text(&json["body"]);
    Judged {
        start: text(&json["start"]),
        fields: fields.map(|field| (text(&field[0]), text(&field[1]))).collect(),
        // One character a byte.
        body: body.chars().filter_map(|character| u8::try_from(u32::from(character)).ok()).collect(),
    }
}
