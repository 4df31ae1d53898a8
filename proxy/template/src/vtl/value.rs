//! Values of a rendering. They are small and lie in its arena or in what it was lent; JSON is read a level at a time, when
//! somebody looks into it.

use std::cell::{Cell, RefCell};

use bumpalo::collections::Vec as ArenaVec;

use super::inputs::Fields;

/// What a variable may hold.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    /// Nothing: a reference to it is written as it stands.
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(&'a str),
    /// The text that a JSON container has without space: what `$input.json` gives.
    Compact(&'a str),
    /// An integer that has more than 64 bits, as written.
    Big(&'a str),
    List(&'a List<'a>),
    Map(&'a Map<'a>),
    Entry(&'a Entry<'a>),
    Object(Object<'a>),
    /// `$foreach`
    Loop(&'a Loop<'a>),
    /// What `#define` gave a name: a block of a program.
    Block {
        program: u32,
        block: u32,
    },
    /// An argument of a macro, which is looked at anew each time.
    Argument {
        frame: u32,
        index: u32,
    },
    /// What `.class` gives: a name of Java's.
    Class(&'static str),
}

/// What a template begins with.
#[derive(Clone, Copy)]
pub(super) enum Object<'a> {
    Input,
    Util,
    /// `$input.params()`
    Params,
    Fields(Fields),
    /// `$context` and the groups in it, by their path.
    Context(&'a str),
}

/// A Java list.
pub(super) struct List<'a> {
    pub(super) items: RefCell<Items<'a>>,
    /// Whether it came from JSON and is written as JSON, as API Gateway's are.
    pub(super) json: bool,
}

pub(super) struct Items<'a> {
    /// JSON that was not read yet.
    pub(super) source: Option<&'a str>,
    pub(super) items: ArenaVec<'a, Value<'a>>,
}

/// A Java map with texts for keys, in the order of their first appearance.
pub(super) struct Map<'a> {
    pub(super) table: RefCell<Table<'a>>,
}

pub(super) struct Table<'a> {
    /// JSON that was not read yet.
    pub(super) source: Option<&'a str>,
    pub(super) entries: ArenaVec<'a, (&'a str, Value<'a>)>,
    /// Entries by the hash of their key, for maps that are not small; empty if it has to be made.
    pub(super) index: ArenaVec<'a, u32>,
}

/// One pair of a map, as `entrySet` gives it.
pub(super) struct Entry<'a> {
    pub(super) key: &'a str,
    pub(super) value: Value<'a>,
}

/// Where a loop is.
pub(super) struct Loop<'a> {
    /// From 0.
    pub(super) index: Cell<usize>,
    pub(super) total: Cell<usize>,
    pub(super) parent: Option<&'a Loop<'a>>,
}

impl Loop<'_> {
    pub(super) fn has_next(&self) -> bool {
        self.index.get() + 1 < self.total.get()
    }
}

impl Value<'_> {
    pub(super) fn is_null(self) -> bool {
        matches!(self, Self::Null)
    }

    /// As a condition: 1.7 takes all that is there for true, but for `false` itself.
    pub(super) fn is_true(self) -> bool {
        !matches!(self, Self::Null | Self::Bool(false))
    }

    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Text(_) | Self::Compact(_))
    }

    /// The class that Java would have it of.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Null | Self::Argument { .. } => "",
            Self::Bool(_) => "java.lang.Boolean",
            Self::Int(number) if i32::try_from(number).is_ok() => "java.lang.Integer",
            Self::Int(_) => "java.lang.Long",
            Self::Double(_) => "java.lang.Double",
            Self::Text(_) | Self::Compact(_) => "java.lang.String",
            Self::Big(_) => "java.math.BigInteger",
            Self::List(list) if list.json => "net.minidev.json.JSONArray",
            Self::List(_) => "java.util.ArrayList",
            Self::Map(_) | Self::Object(_) => "java.util.LinkedHashMap",
            Self::Entry(_) => "java.util.Map$Entry",
            Self::Loop(_) => "org.apache.velocity.runtime.directive.ForeachScope",
            Self::Block { .. } => "org.apache.velocity.runtime.directive.Block$Reference",
            Self::Class(_) => "java.lang.Class",
        }
    }
}
