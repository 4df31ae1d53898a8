//! HPACK with a peer that is not ours: the `hpack` package of Python, which `cargo xtask setup` installs.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, thread};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use wire::h2::properties::HeaderBlocks;

const SCRIPT: &str = include_str!("peer.py");

/// Blocks in each direction.
const BLOCKS: usize = 1_000;

type Field = (Vec<u8>, Vec<u8>);

/// The Python that has the package, or `None` with a word about it.
fn python(test: &str) -> Option<PathBuf> {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv");
    let is_there = fs::read_dir(venv.join("lib")).is_ok_and(|versions| {
        versions.filter_map(Result::ok).any(|version| version.path().join("site-packages/hpack").is_dir())
    });
    if !is_there {
        // Not by `eprintln!`, which a test keeps for itself.
        let why = "`cargo xtask setup` installs the hpack package";
        writeln!(std::io::stderr().lock(), "skipped: {test}: {why}").unwrap();
        return None;
    }
    Some(venv.join("bin/python"))
}

/// Runs the peer with this input; what it says, line by line.
#[track_caller]
fn run(python: &Path, arguments: &[&str], input: String) -> Vec<String> {
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT]).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut peer = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = peer.stdin.take().unwrap();
    // It answers while it reads.
    let writer = thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = peer.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{}", output.status);
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().map(|digit| digit.to_digit(16).unwrap()).collect();
    digits.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

/// `F name value`
fn field(line: &str) -> Field {
    let mut words = line.split(' ').skip(1).map(bytes);
    (words.next().unwrap(), words.next().unwrap())
}

#[test]
fn its_blocks_are_read() {
    let Some(python) = python("its_blocks_are_read") else {
        return;
    };
    let lines = run(&python, &["encode", &BLOCKS.to_string()], String::new());
    let mut ours = HeaderBlocks::new();
    let mut blocks = 0;
    let mut lines = lines.iter().peekable();
    while let Some(line) = lines.next() {
        let block = line.strip_prefix("B ").or(line.strip_prefix("B")).unwrap();
        let found = ours.read(&bytes(block));
        let mut expected = Vec::new();
        while let Some(line) = lines.next_if(|line| line.starts_with('F')) {
            expected.push(field(line));
        }
        assert_eq!(found, Some(expected), "block {blocks}: {block}");
        blocks += 1;
    }
    assert_eq!(blocks, BLOCKS);
}

#[test]
fn our_blocks_are_read_by_it() {
    let Some(python) = python("our_blocks_are_read_by_it") else {
        return;
    };
    let mut runner = TestRunner::deterministic();
    let mut ours = HeaderBlocks::new();
    let mut input = String::new();
    let mut expected = Vec::new();
    for _ in 0..BLOCKS {
        let (sizes, fields) = block().new_tree(&mut runner).unwrap().current();
        for size in sizes {
            ours.set_table_bytes_max(size);
            writeln!(input, "S {size}").unwrap();
        }
        writeln!(input, "B {}", hex(&ours.write(&fields))).unwrap();
        let line = |(name, value): &Field| format!("F {} {}", hex(&name.to_ascii_lowercase()), hex(value));
        expected.extend(fields.iter().map(line));
        expected.push(".".to_owned());
    }
    let found = run(&python, &["decode"], input);
    let differs = found.iter().zip(&expected).position(|(found, expected)| found != expected);
    assert_eq!(differs, None);
    assert_eq!(found.len(), expected.len());
}

/// What our reader's settings say before a block, and its fields.
fn block() -> impl Strategy<Value = (Vec<u32>, Vec<Field>)> {
    let name = prop_oneof![
        8 => prop::sample::select(vec![
            ":authority", ":method", ":path", ":scheme", ":status", "accept-encoding", "Content-Type", "cookie", "date",
            "etag", "server", "set-cookie", "te", "vary", "x-forwarded-host", "X-Own", "x-request-id",
        ]).prop_map(Vec::from),
        1 => prop::collection::vec(any::<u8>(), 1..40),
    ];
    let value = prop_oneof![
        8 => prop::sample::select(vec![
            "", "/", "/index.html", "/orders?page=2", "200", "201", "GET", "PUT", "http", "https", "gzip, deflate", "trailers",
            "application/json", "text/html; charset=utf-8",
        ]).prop_map(Vec::from),
        2 => "[ -~]{0,300}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..5_000),
    ];
    let size = prop_oneof![0..5_000_u32, Just(0), Just(4096), Just(65_536)];
    let sizes = prop_oneof![8 => Just(Vec::new()), 1 => prop::collection::vec(size, 1..3)];
    (sizes, prop::collection::vec((name, value), 0..12))
}
