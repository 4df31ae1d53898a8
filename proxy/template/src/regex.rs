//! Java's regular expressions as far as the `regex` crate has them, so that a search's time grows with the text alone.
//!
//! As Java has it, `\w`, `\d`, `\s` and `\b` know ASCII only, unless the flag `U` says otherwise. What differs: there is no look-around
//! and no back reference (refused when it is compiled); `$` matches at the very end, where Java also takes a line's end before
//! it; letters match in either case beyond ASCII, too, with the flag `i`; possessive quantifiers are greedy ones.

use std::fmt::Write;

use regex::{Regex, RegexBuilder};

use crate::path::REGEX_BYTES_MAX;

/// The length of a pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 1 << 10;

/// A compiled pattern, and what a search with it costs.
#[derive(Clone, Debug)]
pub struct Pattern {
    pub(crate) regex: Regex,
    /// States that a byte may have to be put to, in hundreds: the worst that a search comes to.
    weight: u64,
}

impl Pattern {
    /// What a search in so many bytes costs, in steps.
    pub(crate) fn steps(&self, bytes: usize) -> u64 {
        1 + bytes as u64 * self.weight / 2
    }

    /// A pattern that has to match a whole text, with Java's flags by letter (`i`, `m`, `s`, `x`, `u`, `U`, `d`).
    pub fn whole(pattern: &str, flags: &str) -> Result<Self, String> {
        if let Some(unknown) = flags.chars().find(|flag| !"imsxuUd".contains(*flag)) {
            return Err(format!(
                "there is no flag `{unknown}` for a pattern; there are i, m, s, x, u, U and d"
            ));
        }
        // What a pattern comments out must not take the parenthesis with it.
        let end = if flags.contains('x') { "\n)\\z" } else { ")\\z" };
        build(&format!("\\A(?:{}{end}", ascii(pattern, flags)), pattern, flags)
    }

    /// Whether it matches.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// A pattern that is looked for in a text.
    pub(crate) fn search(pattern: &str) -> Result<Self, String> {
        build(&ascii(pattern, ""), pattern, "")
    }
}

/// The pattern with Java's classes, which are ASCII's.
fn ascii(pattern: &str, flags: &str) -> String {
    let mut written = String::with_capacity(pattern.len() + 16);
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        let escaped = if character == '\\' { characters.next() } else { None };
        let class = match escaped.filter(|_| !flags.contains('U')) {
            Some('d') => "[0-9]",
            Some('D') => "[^0-9]",
            Some('w') => "[0-9A-Za-z_]",
            Some('W') => "[^0-9A-Za-z_]",
            Some('s') => "[ \\t\\n\\x0B\\f\\r]",
            Some('S') => "[^ \\t\\n\\x0B\\f\\r]",
            Some('b') => "(?-u:\\b)",
            _ => "",
        };
        written.push_str(class);
        if class.is_empty() {
            written.push(character);
            written.extend(escaped);
        }
    }
    written
}

fn build(java: &str, pattern: &str, flags: &str) -> Result<Pattern, String> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(format!("the pattern is longer than {PATTERN_BYTES_MAX} bytes (limit: pattern bytes)"));
    }
    // The crate does not say how large a pattern became: it is tried with less first.
    let mut bytes_max = 4 << 10;
    loop {
        let regex = RegexBuilder::new(java)
            .case_insensitive(flags.contains('i'))
            .multi_line(flags.contains('m'))
            .dot_matches_new_line(flags.contains('s'))
            .ignore_whitespace(flags.contains('x'))
            .size_limit(bytes_max)
            .dfa_size_limit(REGEX_BYTES_MAX)
            .nest_limit(32)
            .build();
        match regex {
            Ok(regex) => return Ok(Pattern { regex, weight: (bytes_max >> 12) as u64 }),
            Err(regex::Error::CompiledTooBig(_)) if bytes_max < REGEX_BYTES_MAX => bytes_max *= 4,
            Err(regex::Error::CompiledTooBig(_)) => {
                return Err(format!(
                    "the pattern `{pattern}` needs more than {REGEX_BYTES_MAX} bytes (limit: regex bytes)"
                ));
            }
            Err(error) => {
                let mut why = String::new();
                // Writing to a string can't fail.
                let _ = write!(why, "{error}");
                let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                return Err(format!("the pattern `{pattern}` can't be used: {why}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[track_caller]
    fn check(pattern: &str, flags: &str, text: &str, matches: bool) {
        let pattern = Pattern::whole(pattern, flags).unwrap();
        assert_eq!(pattern.regex.is_match(text), matches, "{pattern:?} {text}");
    }

    #[test]
    fn classes_are_ascii_as_java_has_them() {
        check("\\w+", "", "abc_1", true);
        check("\\w+", "", "é", false);
        check("\\w+", "U", "é", true);
        check("[\\w.-]+@[\\w-]+\\.\\w{2,}", "", "a.b-c@d-e.org", true);
        check("\\d{3}-\\d+", "", "123-4", true);
        check("\\d", "", "\u{663}", false);
        check("\\S+\\s\\S+", "", "a b", true);
        check("\\S+\\s\\S+", "", "a\u{a0}b", false);
        check("a\\\\d", "", "a\\d", true);
        check(".\\b.*", "", "a-b", true);
        check("é.", "", "éü", true);
        check("a b # c", "x", "ab", true);
        check("a", "", "xa", false);
        check("a|b", "", "bc", false);
    }

    #[test]
    fn what_is_large_costs_more() {
        let small = Pattern::whole("a+@b+", "").unwrap().steps(1_000);
        let large = Pattern::whole("(a|b|c){500}", "").unwrap().steps(1_000);
        assert!(small <= 2_001, "{small}");
        assert!(large > 4 * small, "{large}");
    }
}
