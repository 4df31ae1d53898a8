//! Rules about files of any kind: nothing stray, nothing of one machine, nothing that wants to be two.

use super::{
    Finding,
    rules::{CORPORA, FILE_BYTES_MAX, LINES_MAX, LONG_FILES, MACHINE_PATHS, STRAY_ALLOWED, STRAY_ENDINGS},
};

/// Binary, big and left-over files do not belong into the repository.
pub(super) fn stray(file: &str, bytes: &[u8]) -> Option<Finding> {
    if STRAY_ALLOWED.iter().any(|(allowed, _)| *allowed == file) {
        return None;
    }
    let message = if STRAY_ENDINGS.iter().any(|ending| file.ends_with(ending)) {
        "is left over from an editor or a build".to_owned()
    } else if bytes.contains(&0) && !file.starts_with(CORPORA) {
        "is not text".to_owned()
    } else if bytes.len() > FILE_BYTES_MAX {
        format!("has {} bytes, more than {FILE_BYTES_MAX}", bytes.len())
    } else {
        return None;
    };
    Some(Finding::new(file, 0, message))
}

/// No folder of the machine that it was written on.
pub(super) fn machine_paths(file: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if let Some(path) = MACHINE_PATHS.iter().find(|path| names_folder(line, path)) {
            findings.push(Finding::new(file, index + 1, format!("names `{path}…`, a folder of one machine")));
        }
    }
    findings
}

/// Whether a line has this as an absolute path: not behind a word, as in a URL's path.
fn names_folder(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|character| character.is_alphanumeric() || "._-}/".contains(character))
    })
}

/// Long files are looked at again; those that stay long say why.
pub(super) fn length(file: &str, text: &str) -> Option<Finding> {
    let lines = text.lines().count();
    let allowed = LONG_FILES.iter().any(|(name, _)| *name == file);
    (lines > LINES_MAX && !allowed).then(|| {
        Finding::new(
            file,
            0,
            format!("has {lines} lines, more than {LINES_MAX}: split it, or say why it is one"),
        )
    })
}

/// A reason for a file that is gone goes too.
pub(super) fn lengths_listed(files: &[&str]) -> Vec<Finding> {
    LONG_FILES
        .iter()
        .chain(STRAY_ALLOWED)
        .filter(|(name, _)| !files.contains(name))
        .map(|(name, _)| {
            Finding::new("xtask/src/tidy/rules.rs", 0, format!("allows {name}, which is not there"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{length, machine_paths, stray};

    #[test]
    fn stray_files_are_found() {
        assert_eq!(stray("proxy/src/main.rs", b"//! The door."), None);
        assert!(stray("proxy/src/main.rs.orig", b"text").is_some());
        assert!(stray("tests/capture", b"\x7fELF\0\0").is_some());
        assert!(stray("tests/corpus", &vec![b'a'; 300 << 10]).is_some());
        assert_eq!(stray("tests/fuzz/corpus/a/nul", b"\0"), None);
        assert!(stray("tests/fuzz/corpus/a/b.log", b"a").is_some());
    }

    #[track_caller]
    fn check_paths(text: &str, lines: &[usize]) {
        let found: Vec<usize> = machine_paths("a", text).iter().map(|finding| finding.line).collect();
        assert_eq!(found, lines);
    }

    #[test]
    fn paths_of_a_machine_are_found() {
        check_paths(concat!("a\ncd /wo", "rk/main\n"), &[2]);
        check_paths(concat!("\"/ro", "ot/.cargo\""), &[1]);
        check_paths("see /etc/floodgate and /var/lib/floodgate", &[]);
        check_paths(concat!("GET https://x.test/ho", "me/page"), &[]);
    }

    #[test]
    fn long_files_are_found() {
        assert_eq!(length("a.rs", &"x\n".repeat(600)), None);
        assert!(length("a.rs", &"x\n".repeat(601)).is_some());
    }
}
