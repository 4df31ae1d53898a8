//! What is said of one host beside what is mapped there: rules by header and base path, who decides, and whether the host
//! answers health checks by itself (rows 8, 39).

use memchr::memmem;
use message::Headers;

use crate::{
    Error,
    mappings::{base_path, takes},
};

/// Rules that a host may have (row 39).
pub const RULES_MAX: usize = 50;
/// The largest priority (row 39).
pub const PRIORITY_MAX: u32 = 1_000_000;
/// Conditions on fields that a rule may have (row 39).
const CONDITIONS_MAX: usize = 2;
/// Bytes of a pattern (`valueGlob`).
const PATTERN_BYTES_MAX: usize = 128;

/// What is said of a host.
#[derive(Clone, Debug)]
pub struct Domain<T> {
    /// By priority, the one that is asked first in front.
    pub rules: Vec<Rule<T>>,
    /// Whether mappings decide where no rule does.
    pub maps: bool,
    /// Whether it answers `/ping` and `/sping` by itself.
    pub health: bool,
}

/// A rule as it was written.
#[derive(Clone, Copy, Debug)]
pub struct RuleSettings<'a, T> {
    /// Names of fields, and patterns with `*` of which all have to match; at most two.
    pub headers: &'a [(String, String)],
    /// Base paths of which one has to match; none: any path.
    pub base_paths: &'a [String],
    /// Whether the base path is taken off.
    pub strips: bool,
    /// Where it leads.
    pub value: T,
}

/// A rule, ready to be asked.
#[derive(Clone, Debug)]
pub struct Rule<T> {
    conditions: Vec<Condition>,
    /// With their slashes, longest first.
    base_paths: Vec<Box<str>>,
    pub(crate) strips: bool,
    pub(crate) value: T,
}

#[derive(Clone, Debug)]
struct Condition {
    name: Box<str>,
    pattern: Glob,
}

impl<T> Rule<T> {
    /// Checks and compiles; `index` is the rule's place, for the error.
    pub fn new(index: u32, settings: RuleSettings<'_, T>) -> Result<Self, Error> {
        let RuleSettings { headers, base_paths, strips, value } = settings;
        if headers.len() > CONDITIONS_MAX {
            return Err(Error::TooManyConditions { index, max: CONDITIONS_MAX });
        }
        let conditions = headers.iter().map(|(name, pattern)| {
            let sound = is_token(name) && !pattern.is_empty() && pattern.len() <= PATTERN_BYTES_MAX;
            let condition = Condition { name: name.to_ascii_lowercase().into(), pattern: Glob::new(pattern) };
            let (name, pattern, max) = (name.clone(), pattern.clone(), PATTERN_BYTES_MAX);
            sound.then_some(condition).ok_or(Error::BadCondition { index, name, pattern, max })
        });
        let conditions = conditions.collect::<Result<_, _>>()?;
        let base_paths = base_paths.iter().map(|path| Ok(base_path(index, path)?.into()));
        let mut base_paths = base_paths.collect::<Result<Vec<Box<str>>, _>>()?;
        base_paths.sort_by_key(|path| std::cmp::Reverse(path.len()));
        Ok(Self { conditions, base_paths, strips, value })
    }

    /// How many bytes of the path are the base path that it matches; `None`: the rule is not for this request.
    pub(crate) fn takes(&self, path: &str, headers: &Headers) -> Option<usize> {
        let base_bytes = self.base(path)?.len();
        self.conditions.iter().all(|condition| condition.holds(headers)).then_some(base_bytes)
    }

    /// The base path that a path begins with; empty: any will do.
    pub(crate) fn base(&self, path: &str) -> Option<&str> {
        match &self.base_paths[..] {
            [] => Some(""),
            paths => paths.iter().find(|base| takes(base, path)).map(|base| &**base),
        }
    }
}

impl Condition {
    /// Whether a field of that name, in any case, has such a value.
    fn holds(&self, headers: &Headers) -> bool {
        headers
            .iter()
            .filter(|field| field.text.eq_ignore_ascii_case(self.name.as_bytes()))
            .any(|field| self.pattern.matches(field.value))
    }
}

/// A pattern in which `*` stands for any bytes. A value is read once, whatever the pattern.
#[derive(Clone, Debug)]
struct Glob {
    first: Box<[u8]>,
    middle: Vec<memmem::Finder<'static>>,
    /// `None`: there is no `*`, and `first` is all of it.
    last: Option<Box<[u8]>>,
}

impl Glob {
    fn new(pattern: &str) -> Self {
        let mut pieces: Vec<&[u8]> = pattern.as_bytes().split(|byte| *byte == b'*').collect();
        let last = if pieces.len() > 1 { pieces.pop().map(Box::from) } else { None };
        let middle = pieces.iter().skip(1).filter(|piece| !piece.is_empty());
        let middle = middle.map(|piece| memmem::Finder::new(piece).into_owned()).collect();
        Self { first: pieces.first().copied().unwrap_or_default().into(), middle, last }
    }

    fn matches(&self, value: &[u8]) -> bool {
        let Some(last) = &self.last else { return value == &*self.first };
        let Some(mut rest) = value.strip_prefix(&*self.first).and_then(|rest| rest.strip_suffix(&**last))
        else {
            return false;
        };
        // The leftmost place of each leaves the most for those behind it.
        for piece in &self.middle {
            let Some(at) = piece.find(rest) else { return false };
            rest = &rest[at + piece.needle().len()..];
        }
        true
    }
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(pattern: &str, value: &str, expected: bool) {
        assert_eq!(Glob::new(pattern).matches(value.as_bytes()), expected, "{pattern} {value}");
    }

    #[test]
    fn a_star_stands_for_any_bytes() {
        for (pattern, value, expected) in [
            ("beta", "beta", true),
            ("beta", "Beta", false),
            ("beta", "beta2", false),
            ("*", "", true),
            ("*", "anything", true),
            ("b*", "beta", true),
            ("*a", "beta", true),
            ("b*a", "ba", true),
            ("a*a", "a", false),
            ("*et*", "beta", true),
            ("*et*et*", "beta", false),
            ("a**b", "a b", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
        ] {
            check(pattern, value, expected);
        }
    }

    /// The same by trying everything.
    fn naive(pattern: &[u8], value: &[u8]) -> bool {
        match pattern.split_first() {
            None => value.is_empty(),
            Some((b'*', rest)) => (0..=value.len()).any(|at| naive(rest, &value[at..])),
            Some((byte, rest)) => value.first() == Some(byte) && naive(rest, &value[1..]),
        }
    }

    proptest! {
        #[test]
        fn patterns_match_as_by_trying_everything(pattern in "[ab*]{1,6}", value in "[ab]{0,8}") {
            let expected = naive(pattern.as_bytes(), value.as_bytes());
            prop_assert_eq!(Glob::new(&pattern).matches(value.as_bytes()), expected);
        }
    }
}
