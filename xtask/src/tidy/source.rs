//! Rules about the text of a Rust file: it says what it is, keeps `unsafe` in its room, and leaves nothing unfinished.

use super::{
    Finding, Member,
    mask::mask,
    rules::{UNSAFE_ROOM_LINTS, UNSAFE_ROOMS},
};

/// Words that say that something is not done.
const UNFINISHED: &[&str] = &["todo!", "unimplemented!", "dbg!"];

/// A file begins by saying what it is and what it does not know. Test modules are said by their neighbour.
pub(super) fn module_docs(file: &str, text: &str) -> Option<Finding> {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("#!["));
    let is_tests = file.ends_with("/tests.rs");
    (!is_tests && !first.is_some_and(|line| line.starts_with("//! ")))
        .then(|| Finding::new(file, 1, "begins without `//!`: say what it is and what it does not know"))
}

/// `unsafe` stands only in the rooms that may have it.
pub(super) fn unsafe_code(file: &str, text: &str) -> Vec<Finding> {
    if UNSAFE_ROOMS.iter().any(|(room, _)| file.strip_prefix(room).is_some_and(|rest| rest.starts_with('/')))
    {
        return Vec::new();
    }
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    let mut findings = Vec::new();
    for (index, line) in mask(text).lines().enumerate() {
        if line.split(|character| !is_part(character)).any(|word| word == "unsafe") {
            findings.push(Finding::new(
                file,
                index + 1,
                "`unsafe` is for the rooms named in ARCHITECTURE.md only",
            ));
        }
        if line.contains("(unsafe_code)") {
            findings.push(Finding::new(
                file,
                index + 1,
                "the lint about `unsafe` is set once, for the workspace",
            ));
        }
    }
    findings
}

/// Nothing is left for later, and no test is switched off silently.
pub(super) fn unfinished(file: &str, text: &str) -> Vec<Finding> {
    let code = mask(text);
    let mut findings = Vec::new();
    for (index, line) in code.lines().enumerate() {
        for word in UNFINISHED.iter().filter(|word| line.contains(**word)) {
            findings.push(Finding::new(file, index + 1, format!("`{word}` is left")));
        }
        if line.contains("#[ignore]") {
            findings.push(Finding::new(
                file,
                index + 1,
                "an ignored test without its reason: `#[ignore = \"why\"]`",
            ));
        }
    }
    findings
}

/// Every package takes the workspace's lints; a room with `unsafe` sets its own.
pub(super) fn lints(members: &[Member]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in members {
        let manifest: String = member.manifest.split_whitespace().collect();
        if UNSAFE_ROOMS.iter().any(|(room, _)| *room == member.folder) {
            for lint in
                UNSAFE_ROOM_LINTS.iter().filter(|lint| !manifest.contains(&format!("{lint}=\"deny\"")))
            {
                findings.push(Finding::new(
                    member.manifest_path(),
                    0,
                    format!("has `unsafe` and does not deny {lint}"),
                ));
            }
        } else if !manifest.contains("[lints]workspace=true") {
            let message = "does not take the workspace's lints: `[lints] workspace = true`";
            findings.push(Finding::new(member.manifest_path(), 0, message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{super::Member, lints, module_docs, unfinished, unsafe_code};

    #[test]
    fn a_file_says_what_it_is() {
        assert_eq!(module_docs("a/src/lib.rs", "//! The rooms.\nfn f() {}"), None);
        assert_eq!(module_docs("a/src/lib.rs", "#![no_std]\n//! The rooms."), None);
        assert!(module_docs("a/src/lib.rs", "use std::fmt;\n//! late").is_some());
        assert!(module_docs("a/src/lib.rs", "").is_some());
        assert_eq!(module_docs("a/src/router/tests.rs", "use super::*;"), None);
    }

    #[track_caller]
    fn check_unsafe(file: &str, text: &str, lines: &[usize]) {
        let found: Vec<usize> = unsafe_code(file, text).iter().map(|finding| finding.line).collect();
        assert_eq!(found, lines);
    }

    #[test]
    fn unsafe_stays_in_its_room() {
        check_unsafe("proxy/wire/src/lib.rs", "fn f() {\n    unsafe { g() }\n}", &[2]);
        check_unsafe("proxy/wire/src/lib.rs", "// unsafe\nlet text = \"unsafe\"; let not_unsafe = 1;", &[]);
        check_unsafe("proxy/wire/src/lib.rs", "#![allow(unsafe_code)]", &[1]);
        check_unsafe("proxy/runtime/src/uring.rs", "unsafe { g() }", &[]);
        check_unsafe("proxy/runtimes/src/lib.rs", "unsafe { g() }", &[1]);
    }

    #[track_caller]
    fn check_unfinished(text: &str, lines: &[usize]) {
        let found: Vec<usize> = unfinished("a.rs", text).iter().map(|finding| finding.line).collect();
        assert_eq!(found, lines);
    }

    #[test]
    fn nothing_is_left_for_later() {
        check_unfinished("fn f() {\n    todo!()\n}", &[2]);
        check_unfinished("unimplemented!(\"x\");\ndbg!(1);", &[1, 2]);
        check_unfinished("// todo!()\nlet word = \"dbg!\";", &[]);
        check_unfinished("#[ignore]\nfn f() {}", &[1]);
        check_unfinished("#[ignore = \"needs a second machine\"]\nfn f() {}", &[]);
    }

    #[track_caller]
    fn check_lints(folder: &str, manifest: &str, count: usize) {
        let (name, manifest) = ("x".to_owned(), manifest.to_owned());
        let member = Member { name, folder: folder.to_owned(), manifest, dependencies: Vec::new() };
        assert_eq!(lints(&[member]).len(), count);
    }

    #[test]
    fn everyone_has_lints() {
        check_lints("proxy/wire", "[lints]\nworkspace = true\n", 0);
        check_lints("proxy/wire", "[package]\nname = \"wire\"\n", 1);
        let own =
            "[lints]\nrust.unsafe_op_in_unsafe_fn = \"deny\"\nclippy.undocumented_unsafe_blocks = \"deny\"\n";
        check_lints("proxy/runtime", own, 0);
        check_lints("proxy/runtime", "[lints]\nworkspace = true\n", 2);
    }
}
