//! How many tests passed, failed and were skipped, read from what test runners print.

use std::ops::AddAssign;

/// Counts of tests, and why those that were skipped were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// One reason for each skipped test.
    pub(crate) skipped: Vec<String>,
}

impl Tally {
    /// One check that is not a cargo test: it passed or failed.
    pub(crate) fn one(passed: bool) -> Self {
        Self::many(passed.into(), (!passed).into())
    }

    /// Several checks that are not cargo tests.
    pub(crate) fn many(passed: u64, failed: u64) -> Self {
        Self { passed, failed, skipped: Vec::new() }
    }

    /// One check that cannot be made here, and why. Says so.
    pub(crate) fn skipped(reason: &str) -> Self {
        println!("skipped: {reason}");
        Self { passed: 0, failed: 0, skipped: vec![reason.to_owned()] }
    }

    /// Reads the output of `cargo test`. A test that cannot run here prints `skipped: why` and returns, so it is
    /// among those that libtest calls passed; it is taken out of them.
    pub(crate) fn of_cargo_test<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut tally = Self::default();
        for line in lines {
            if let Some(reason) = line.trim().strip_prefix("skipped: ") {
                tally.skipped.push(reason.to_owned());
            } else if let Some(rest) = line.trim().strip_prefix("test result: ") {
                tally.passed += count(rest, "passed");
                tally.failed += count(rest, "failed");
                let ignored = count(rest, "ignored");
                tally
                    .skipped
                    .extend((0..ignored).map(|_| "ignored, with its reason in the source".to_owned()));
            }
        }
        let said = tally.skipped.iter().filter(|reason| !reason.starts_with("ignored,")).count() as u64;
        tally.passed = tally.passed.saturating_sub(said);
        tally
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped.extend(other.skipped);
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped.len())
    }
}

/// The number before a word: `ok. 12 passed; 0 failed; 1 ignored; …`.
fn count(text: &str, word: &str) -> u64 {
    text.split([';', '.'])
        .filter_map(|part| part.trim().strip_suffix(word))
        .find_map(|number| number.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[track_caller]
    fn check(output: &str, closing: &str) {
        assert_eq!(Tally::of_cargo_test(output.lines()).to_string(), closing);
    }

    #[test]
    fn several_binaries_add_up() {
        check(
            "running 2 tests\ntest result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
             test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 7 filtered out; finished in 0.10s\n",
            "5 passed, 1 failed, 0 skipped",
        );
    }

    #[test]
    fn a_skipped_test_is_not_a_passed_one() {
        check(
            "skipped: python_oracle: no venv\ntest result: ok. 4 passed; 0 failed; 2 ignored; 0 measured",
            "3 passed, 0 failed, 3 skipped",
        );
    }

    #[test]
    fn nothing_ran() {
        check("error: could not compile", "0 passed, 0 failed, 0 skipped");
    }
}
