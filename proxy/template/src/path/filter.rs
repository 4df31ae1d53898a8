//! Filters: which of the values a path goes on with.

use super::Path;
use crate::regex::Pattern;

/// A condition on a value.
#[derive(Clone, Debug)]
pub(super) enum Filter {
    Any(Box<[Filter]>),
    All(Box<[Filter]>),
    Not(Box<Filter>),
    /// Something is there, whatever it is.
    Exists(Operand),
    Compare(Box<Compare>),
}

#[derive(Clone, Debug)]
pub(super) struct Compare {
    pub(super) left: Operand,
    pub(super) operator: Operator,
    pub(super) right: Operand,
}

#[derive(Clone, Debug)]
pub(super) enum Operand {
    /// From the value under test, or from the document's root.
    Path {
        path: Path,
        root: bool,
    },
    /// JSON.
    Literal(Box<str>),
    Pattern(Pattern),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Matches,
    In,
    NotIn,
    SubsetOf,
    AnyOf,
    NoneOf,
    All,
    Size,
    Empty,
    Contains,
}

/// Longer ones first where one begins with another.
const OPERATORS: [(&str, Operator); 18] = [
    ("===", Operator::Equal),
    ("!==", Operator::NotEqual),
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("=~", Operator::Matches),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
    ("in", Operator::In),
    ("nin", Operator::NotIn),
    ("subsetof", Operator::SubsetOf),
    ("anyof", Operator::AnyOf),
    ("noneof", Operator::NoneOf),
    ("all", Operator::All),
    ("size", Operator::Size),
    ("empty", Operator::Empty),
    ("contains", Operator::Contains),
];

impl Operator {
    /// The operator that a text begins with, and its length. Words are taken in any case.
    pub(super) fn at(text: &str) -> Option<(Self, usize)> {
        let (name, operator) = OPERATORS.iter().find(|(name, _)| {
            let is_word = name.as_bytes()[0].is_ascii_alphabetic();
            let begins = text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
            begins && !(is_word && text.as_bytes().get(name.len()).is_some_and(u8::is_ascii_alphanumeric))
        })?;
        Some((*operator, name.len()))
    }
}
