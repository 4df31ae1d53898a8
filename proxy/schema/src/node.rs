//! A compiled schema: one node for each schema that is written, which name each other by number.

use crate::{
    format::Format,
    json::{Document, Kind, Value},
    names::Names,
    number::{Bound, Divisor},
    regex::Pattern,
};

/// Which node.
pub(crate) type NodeId = u32;

/// One schema. What it says nothing about, it has nothing of.
#[derive(Debug, Default)]
pub(crate) struct Node {
    pub(crate) types: Types,
    pub(crate) object: Option<Box<ObjectRules>>,
    pub(crate) array: Option<Box<ArrayRules>>,
    pub(crate) text: Option<Box<TextRules>>,
    pub(crate) number: Option<Box<NumberRules>>,
    pub(crate) any: Option<Box<AnyRules>>,
}

/// What holds for objects.
#[derive(Debug, Default)]
pub(crate) struct ObjectRules {
    /// All names in `properties` and `required`.
    pub(crate) names: Names,
    /// In order.
    pub(crate) required: Vec<Box<str>>,
    pub(crate) patterns: Vec<(Pattern, NodeId)>,
    pub(crate) additional: Others,
    pub(crate) least: Option<u64>,
    pub(crate) most: Option<u64>,
    /// Of names alone, in order, before those of schemas.
    pub(crate) dependencies: Vec<(Box<str>, Dependency)>,
}

/// What has to be so where a property is.
#[derive(Debug)]
pub(crate) enum Dependency {
    /// These are there as well, in order.
    Names(Vec<Box<str>>),
    /// The object holds to this.
    Schema(NodeId),
}

/// What holds for arrays.
#[derive(Debug, Default)]
pub(crate) struct ArrayRules {
    pub(crate) items: Items,
    pub(crate) unique: bool,
}

/// What elements have to be.
#[derive(Debug, Default)]
pub(crate) enum Items {
    /// Anything.
    #[default]
    Any,
    /// All the same.
    All(NodeId),
    /// One after the other, and what is behind them.
    Each(Vec<NodeId>, Others),
}

/// What those are that nothing else is said of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Others {
    /// Anything.
    #[default]
    Any,
    /// There may be none.
    None,
    /// This.
    Schema(NodeId),
}

/// What holds for strings. Lengths are in characters.
#[derive(Debug, Default)]
pub(crate) struct TextRules {
    pub(crate) least: Option<u64>,
    pub(crate) most: Option<u64>,
    pub(crate) pattern: Option<Pattern>,
    pub(crate) format: Option<Format>,
}

/// What holds for numbers.
#[derive(Debug, Default)]
pub(crate) struct NumberRules {
    pub(crate) minimum: Option<Bound>,
    pub(crate) maximum: Option<Bound>,
    /// The maximum itself is too much.
    pub(crate) below_maximum: bool,
    pub(crate) multiple_of: Option<Divisor>,
}

/// What holds for values of any type.
#[derive(Debug, Default)]
pub(crate) struct AnyRules {
    /// A list of values.
    pub(crate) enumeration: Option<Document<'static>>,
    pub(crate) all_of: Vec<NodeId>,
    pub(crate) any_of: Vec<NodeId>,
    pub(crate) one_of: Vec<NodeId>,
    pub(crate) not: Option<NodeId>,
}

/// A set of types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Types(u8);

/// In the order in which they are told.
pub(crate) const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];
const INTEGER: u8 = 1 << 2;
const NUMBER: u8 = 1 << 4;

impl Default for Types {
    /// All of them.
    fn default() -> Self {
        Self((1 << TYPES.len()) - 1)
    }
}

impl Types {
    pub(crate) const NONE: Self = Self(0);

    /// Adds a type by name, if there is one of that name. Numbers are integers as well.
    pub(crate) fn add(&mut self, name: &str) -> bool {
        let number = TYPES.iter().position(|known| *known == name);
        let bit = number.map_or(0, |number| 1 << number);
        self.0 |= if bit == NUMBER { NUMBER | INTEGER } else { bit };
        bit != 0
    }

    pub(crate) fn allow(self, value: Value<'_>) -> bool {
        self.0 & 1 << type_of(value) != 0
    }

    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        TYPES
            .into_iter()
            .enumerate()
            .filter(move |(number, _)| self.0 & 1 << number != 0)
            .map(|(_, name)| name)
    }
}

/// The place of a value's type in [`TYPES`].
pub(crate) fn type_of(value: Value<'_>) -> usize {
    match value.kind() {
        Kind::Array => 0,
        Kind::Boolean => 1,
        Kind::Number if value.is_integer() => 2,
        Kind::Null => 3,
        Kind::Number => 4,
        Kind::Object => 5,
        Kind::Text => 6,
    }
}

impl Node {
    /// Schemas that the same value has to be held against.
    pub(crate) fn in_place(&self) -> Vec<NodeId> {
        let mut nodes = Vec::new();
        if let Some(any) = &self.any {
            nodes.extend(any.all_of.iter().chain(&any.any_of).chain(&any.one_of).chain(&any.not));
        }
        let dependencies = self.object.iter().flat_map(|object| &object.dependencies);
        nodes.extend(dependencies.filter_map(|(_, dependency)| match dependency {
            Dependency::Schema(node) => Some(*node),
            Dependency::Names(_) => None,
        }));
        nodes
    }
}
