//! Regular expressions of ECMA 262, as JSON Schema has them, so that a search's time grows with the text alone: as a table of states
//! without anything that cores would share, if it is small, else by `regex-automata`'s engines. What looks around or back has no such
//! engine; `fancy-regex` tries, for so many steps and on so much text as is allowed.

mod ecma;

use regex_automata::{
    Input,
    dfa::{Automaton, StartKind, dense},
    meta,
    nfa::thompson,
    util::syntax,
};

/// The length of a pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 1 << 10;

/// What a pattern may need when it is compiled, in bytes.
pub const REGEX_BYTES_MAX: usize = 256 << 10;

/// What a pattern's table of states may need, in bytes; beyond, it is searched for without one.
const TABLE_BYTES_MAX: usize = 32 << 10;

/// How often a pattern that looks around or back may go back in one search.
pub const BACKTRACKS_MAX: usize = 2_000;

/// The text in which such a pattern is looked for, in bytes.
pub const LOOK_AROUND_TEXT_BYTES_MAX: usize = 2 << 10;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    /// As it was written.
    pub(crate) text: Box<str>,
    engine: Engine,
}

#[derive(Clone, Debug)]
enum Engine {
    /// A step of the table for each byte.
    Table(Box<dense::DFA<Vec<u32>>>),
    /// Its states, in hundreds, which a byte may have to be put to each.
    States(Box<meta::Regex>, u64),
    /// With look-around or back references.
    Backtracking(Box<fancy_regex::Regex>),
}

/// A search was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GivenUp {
    /// More than [`BACKTRACKS_MAX`].
    Backtracks,
    /// More than [`LOOK_AROUND_TEXT_BYTES_MAX`].
    TextBytes,
}

impl Pattern {
    /// Why it can't be used, if it can't.
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(format!(
                "the pattern is longer than {PATTERN_BYTES_MAX} bytes (limit: pattern bytes)"
            ));
        }
        let written = ecma::translate(pattern)?;
        let engine = if written.looks_around { backtracking(&written.text) } else { states(&written.text) };
        let engine = engine.map_err(|why| format!("the pattern `{pattern}` can't be used: {why}"))?;
        Ok(Self { text: pattern.into(), engine })
    }

    /// Whether it is a pattern at all, however large it would become.
    pub(crate) fn is_one(text: &str) -> bool {
        ecma::translate(text).is_ok_and(|written| match written.looks_around {
            true => fancy_regex::Expr::parse_tree(&written.text).is_ok(),
            false => syntax::parse_with(&written.text, &syntax_config()).is_ok(),
        })
    }

    /// What a search in so many bytes costs, in steps.
    pub(crate) fn steps(&self, bytes: usize) -> u64 {
        let bytes = bytes as u64;
        match &self.engine {
            Engine::Table(_) => 2 + bytes / 8,
            Engine::States(_, weight) => 2 + bytes * weight / 2,
            // It is not even begun.
            Engine::Backtracking(_) if bytes > LOOK_AROUND_TEXT_BYTES_MAX as u64 => 1,
            Engine::Backtracking(_) => 64 + bytes * 128,
        }
    }

    /// Whether it is found anywhere in the text.
    pub(crate) fn is_in(&self, text: &str) -> Result<bool, GivenUp> {
        match &self.engine {
            Engine::Table(table) => {
                let input = Input::new(text).earliest(true);
                // It has no bytes at which it stops.
                Ok(table.try_search_fwd(&input).is_ok_and(|found| found.is_some()))
            }
            Engine::States(regex, _) => Ok(regex.is_match(text)),
            Engine::Backtracking(_) if text.len() > LOOK_AROUND_TEXT_BYTES_MAX => Err(GivenUp::TextBytes),
            Engine::Backtracking(regex) => regex.is_match(text).map_err(|_| GivenUp::Backtracks),
        }
    }
}

fn syntax_config() -> syntax::Config {
    syntax::Config::new().utf8(false).nest_limit(32)
}

fn states(pattern: &str) -> Result<Engine, String> {
    let syntax = syntax_config();
    // How large a pattern becomes nobody says: it is tried with less first.
    let mut bytes_max = 4 << 10;
    loop {
        let config = meta::Config::new()
            .utf8_empty(false)
            .nfa_size_limit(Some(bytes_max))
            .onepass_size_limit(Some(4 << 10));
        let regex = match meta::Builder::new().configure(config).syntax(syntax).build(pattern) {
            Ok(regex) => regex,
            Err(error) if error.size_limit().is_some() && bytes_max < REGEX_BYTES_MAX => {
                bytes_max *= 4;
                continue;
            }
            Err(error) if error.size_limit().is_some() => {
                return Err(format!("it needs more than {REGEX_BYTES_MAX} bytes (limit: regex bytes)"));
            }
            Err(error) => {
                return Err(last_line(&error.syntax_error().map_or(error.to_string(), ToString::to_string)));
            }
        };
        let table = dense::Builder::new()
            .configure(
                dense::Config::new()
                    .start_kind(StartKind::Unanchored)
                    .dfa_size_limit(Some(TABLE_BYTES_MAX))
                    .determinize_size_limit(Some(4 * TABLE_BYTES_MAX)),
            )
            .thompson(thompson::Config::new().utf8(false).nfa_size_limit(Some(bytes_max)))
            .syntax(syntax)
            .build(pattern);
        return Ok(match table {
            Ok(table) => Engine::Table(Box::new(table)),
            // Too large, or with something that such a table can't say.
            Err(_) => Engine::States(Box::new(regex), (bytes_max >> 12) as u64),
        });
    }
}

fn backtracking(pattern: &str) -> Result<Engine, String> {
    let regex = fancy_regex::RegexBuilder::new(pattern)
        .backtrack_limit(BACKTRACKS_MAX)
        .delegate_size_limit(REGEX_BYTES_MAX)
        .delegate_dfa_size_limit(REGEX_BYTES_MAX)
        .build();
    match regex {
        Ok(regex) => Ok(Engine::Backtracking(Box::new(regex))),
        Err(error) => Err(last_line(&error.to_string())),
    }
}

fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, text: &str, expected: bool) {
        let pattern = Pattern::new(pattern).unwrap();
        assert_eq!(pattern.is_in(text), Ok(expected), "{pattern:?} in {text:?}");
    }

    #[test]
    fn as_ecma_262_has_them() {
        check("b", "abc", true);
        check("^a*$", "aaa", true);
        check("^a*$", "aab", false);
        check("^\\d{3}-\\d{4}$", "555-0123", true);
        check("^\\d$", "\u{663}", false);
        check("^\\w+$", "é", false);
        check("^\\W$", "é", true);
        check("^\\s$", "\u{a0}", true);
        check("^\\s$", "\u{feff}", true);
        check("^\\S$", "\u{2003}", false);
        check("^[\\w.-]+@[\\w-]+\\.\\w{2,}$", "a.b-c@d-e.org", true);
        check("^[a-z&&b]+$", "a&b", true);
        check("^[[x]$", "[", true);
        check("^[^]$", "\n", true);
        check("[]", "a", false);
        check("^.$", "\n", false);
        check("^.$", "\u{2028}", false);
        check("^.$", "😀", true);
        check("^a$", "a\n", false);
        check("^\\/a\\/$", "/a/", true);
        check("^\\u00e9\\x41\\cA\\0$", "éA\u{1}\0", true);
        check("^\\ud83d\\ude00$", "😀", true);
        check("^[\\b]$", "\u{8}", true);
        check("\\ba\\b", "b a c", true);
        check("\\Ba", "ba", true);
        check("^{x}$", "{x}", true);
        check("^a{,2}$", "a{,2}", true);
        check("^a{1,2}$", "aa", true);
        check("^[^\\d\\s]+$", "ab", true);
        check("^[^\\d\\s]+$", "a1", false);
        check("^[\\D]$", "1", false);
        check("^\\a\\-\\_$", "a-_", true);
        check("^\\p{L}+$", "é", true);
        check("", "", true);
    }

    #[test]
    fn what_looks_around_or_back() {
        check("^(?=.*[A-Z])(?=.*\\d).{8,}$", "passW0rdd", true);
        check("^(?=.*[A-Z])(?=.*\\d).{8,}$", "password", false);
        check("^(?!foo)", "food", false);
        check("^(?!foo)", "bar", true);
        check("^(a|b)\\1$", "bb", true);
        check("^(a|b)\\1$", "ab", false);
        check("(?<=\\$)\\d", "$5", true);
    }

    /// `a` stands for what is long; a pattern that could go on for years is given up.
    #[test]
    fn searches_that_are_given_up() {
        let pattern = Pattern::new("^(?=(a+)+$)b").unwrap();
        assert_eq!(pattern.is_in(&"a".repeat(LOOK_AROUND_TEXT_BYTES_MAX + 1)), Err(GivenUp::TextBytes));
        let pattern = Pattern::new("^((a|b)+)+\\1c$").unwrap();
        assert_eq!(pattern.is_in(&"ab".repeat(500)), Err(GivenUp::Backtracks));
        // The same without looking back takes no time.
        let pattern = Pattern::new("^((a|b)+)+c$").unwrap();
        assert_eq!(pattern.is_in(&"ab".repeat(500_000)), Ok(false));
    }

    #[track_caller]
    fn check_refused(pattern: &str, why: &str) {
        let error = Pattern::new(pattern).unwrap_err();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn what_is_refused() {
        check_refused("(", "unclosed group");
        check_refused("a**(", "unclosed group");
        check_refused("[a", "class is not closed");
        check_refused("[z-a]", "invalid character class range");
        check_refused("\\", "ends with a backslash");
        check_refused("\\ud800", "half of a pair");
        check_refused(&"a".repeat(PATTERN_BYTES_MAX + 1), "(limit: pattern bytes)");
        check_refused("((a{99}){99}){99}", "(limit: regex bytes)");
        check_refused("(?=((a{99}){99}){99})", "can't be used");
        check_refused(&"(".repeat(500), "can't be used");
    }

    #[test]
    fn what_is_large_costs_more() {
        let small = Pattern::new("a+@b+").unwrap().steps(1_000);
        let large = Pattern::new("(a|b|c){500}x(a|b|d){500}").unwrap().steps(1_000);
        assert!(small <= 200, "{small}");
        assert!(large > 40 * small, "{large}");
    }
}
