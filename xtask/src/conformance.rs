//! `cargo xtask conformance`: tests/conformance/aws.md has one line for each of AWS's numbered rows, and every test it
//! names exists. It does not run those tests: they run with the rooms that hold them.

use std::{fs, path::Path};

use crate::shell;

/// Rows of the reference, without gaps.
const ROWS: u32 = 188;
const INDEX: &str = "tests/conformance/aws.md";
/// What stands in the place of a test where there is none.
const NOT_YET: &str = "not yet";

/// Checks the index; whether it is complete and true.
pub(crate) fn run() -> anyhow::Result<bool> {
    let text = fs::read_to_string(shell::root().join(INDEX))?;
    let exists = |file: &str, item: &str| names(&shell::root(), file, item);
    let findings = check(&text, &exists);
    for finding in &findings {
        println!("{finding}");
    }
    let tested = rows(&text).filter(|row| row.tested != NOT_YET).count();
    println!("conformance: {tested} of {ROWS} rows are tested, {} findings", findings.len());
    Ok(findings.is_empty())
}

/// A line of the index: `| 24 | what AWS does | where tested | what is not so yet |`.
struct Row<'a> {
    line: usize,
    number: u32,
    tested: &'a str,
    missing: &'a str,
}

fn rows(text: &str) -> impl Iterator<Item = Row<'_>> {
    text.lines().enumerate().filter_map(|(index, line)| {
        let cells: Vec<&str> =
            line.trim().strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
        let [number, _what, tested, missing] = cells[..] else { return None };
        Some(Row { line: index + 1, number: number.parse().ok()?, tested, missing })
    })
}

fn check(text: &str, exists: &dyn Fn(&str, &str) -> bool) -> Vec<String> {
    let mut findings = Vec::new();
    let mut expected = 1;
    for row in rows(text) {
        let place = format!("{INDEX}:{}", row.line);
        if row.number != expected {
            findings.push(format!("{place}: row {} stands where row {expected} should", row.number));
        }
        expected = row.number + 1;
        if row.tested == NOT_YET {
            if row.missing.is_empty() {
                findings.push(format!(
                    "{place}: row {} is not tested and does not say what is missing",
                    row.number
                ));
            }
            continue;
        }
        let tests: Vec<&str> = row.tested.split('`').skip(1).step_by(2).collect();
        if tests.is_empty() {
            findings.push(format!(
                "{place}: row {} names neither a test in backticks nor `{NOT_YET}`",
                row.number
            ));
        }
        for test in tests {
            let (file, item) = test.split_once("::").unwrap_or((test, ""));
            if !exists(file, item) {
                findings.push(format!("{place}: row {}: there is no {test}", row.number));
            }
        }
    }
    if expected != ROWS + 1 {
        findings.push(format!("{INDEX}: ends before row {ROWS}, at {}", expected - 1));
    }
    findings
}

/// Whether a file is there and, if a test is named, has it.
fn names(root: &Path, file: &str, item: &str) -> bool {
    fs::read_to_string(root.join(file))
        .is_ok_and(|text| item.is_empty() || text.contains(&format!("fn {item}(")))
}

#[cfg(test)]
mod tests {
    use super::{ROWS, check};

    /// An index whose row `n` is replaced.
    fn index(n: u32, replacement: &str) -> String {
        (1..=ROWS)
            .map(|row| {
                if row == n {
                    replacement.to_owned()
                } else {
                    format!("| {row} | x | not yet | all of it |\n")
                }
            })
            .collect()
    }

    #[track_caller]
    fn finds(text: &str, finding: &str) {
        let findings = check(text, &|file, item| file == "tests/a.rs" && (item.is_empty() || item == "one"));
        assert!(findings.iter().any(|found| found.contains(finding)), "{findings:?}");
    }

    #[test]
    fn a_complete_index_has_no_findings() {
        let row = "| 7 | x | `tests/a.rs::one`, `tests/a.rs` | |\n";
        assert_eq!(check(&index(7, row), &|file, _| file == "tests/a.rs"), Vec::<String>::new());
    }

    #[test]
    fn each_fault_is_found() {
        finds(&index(7, ""), "row 8 stands where row 7 should");
        finds(&index(ROWS, ""), "ends before row 188");
        finds(&index(7, "| 7 | x | not yet | |\n"), "does not say what is missing");
        finds(&index(7, "| 7 | x | soon | |\n"), "names neither");
        finds(&index(7, "| 7 | x | `tests/b.rs` | |\n"), "there is no tests/b.rs");
        finds(&index(7, "| 7 | x | `tests/a.rs::two` | |\n"), "there is no tests/a.rs::two");
    }
}
