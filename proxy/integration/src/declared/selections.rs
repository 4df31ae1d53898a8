//! Which statuses the selection patterns of integration responses take (row 120). Patterns are tried on all of them when they are
//! compiled, so that no request waits for one; and once, since those of an API's routes are mostly the same few.

use std::{collections::HashMap, sync::Arc};

use template::Pattern;

/// The statuses that a backend's answer may have.
pub(super) const STATUSES: std::ops::Range<u16> = 100..600;

/// What patterns came to that were tried already.
#[derive(Debug, Default)]
pub struct Selections {
    by_pattern: HashMap<String, Result<Arc<[bool]>, String>>,
}

impl Selections {
    /// Of each of [`STATUSES`] whether the pattern takes it.
    pub(super) fn taken_by(&mut self, pattern: &str) -> Result<Arc<[bool]>, String> {
        if let Some(tried) = self.by_pattern.get(pattern) {
            return tried.clone();
        }
        let tried = Pattern::whole(pattern, "").map(|compiled| {
            STATUSES.map(|status| compiled.is_match(&status.to_string())).collect::<Arc<[bool]>>()
        });
        self.by_pattern.insert(pattern.to_owned(), tried.clone());
        tried
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each pattern with the number of statuses that it takes, or a part of why it can't be used.
    #[track_caller]
    fn check(patterns: &[(&str, Result<usize, &str>)]) {
        let mut selections = Selections::default();
        for (pattern, expected) in patterns {
            let taken =
                selections.taken_by(pattern).map(|taken| taken.iter().filter(|taken| **taken).count());
            match (&taken, expected) {
                (Err(why), Err(part)) => assert!(why.contains(part), "{pattern}: {why}"),
                _ => assert_eq!(taken.as_ref().ok(), expected.as_ref().ok(), "{pattern}"),
            }
        }
    }

    #[test]
    fn a_pattern_takes_the_same_whenever_it_is_asked() {
        let (errors, broken) = (("4\\d\\d|5\\d\\d", Ok(200)), ("4(", Err("`4(`")));
        check(&[
            errors,
            ("404", Ok(1)),
            broken,
            errors,
            (".*", Ok(500)),
            broken,
            ("404", Ok(1)),
            ("40", Ok(0)),
        ]);
    }
}
