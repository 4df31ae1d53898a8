//! What a template is compiled to: blocks of nodes whose variables are numbered slots and whose texts lie in one pool.

use super::method::Method;
use crate::{path::Path, regex};

/// A variable, by number.
pub(super) type Slot = u32;

/// A block, by number.
pub(super) type BlockId = u32;

/// A part of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: u32,
    pub(super) to: u32,
}

/// Variables that every template has, in this order from slot 0 on.
pub(super) const KNOWN: [&str; 8] = [
    "input",
    "util",
    "context",
    "stageVariables",
    "foreach",
    "velocityCount",
    "velocityHasNext",
    "bodyContent",
];

pub(super) const INPUT: Slot = 0;
pub(super) const UTIL: Slot = 1;
pub(super) const CONTEXT: Slot = 2;
pub(super) const STAGE_VARIABLES: Slot = 3;
pub(super) const FOREACH: Slot = 4;
pub(super) const VELOCITY_COUNT: Slot = 5;
pub(super) const VELOCITY_HAS_NEXT: Slot = 6;
pub(super) const BODY_CONTENT: Slot = 7;

/// A compiled template.
#[derive(Clone, Debug, Default)]
pub(super) struct Program {
    pub(super) pool: String,
    /// The names of the slots.
    pub(super) names: Vec<Box<str>>,
    pub(super) blocks: Vec<Box<[Node]>>,
    pub(super) calls: Vec<Call>,
    pub(super) macros: Vec<Macro>,
    /// What is rendered.
    pub(super) body: BlockId,
    /// Where lines begin in the source, by byte.
    pub(super) lines: Vec<u32>,
    /// The source, for columns by character.
    pub(super) source: Box<str>,
}

#[derive(Clone, Debug)]
pub(super) struct Macro {
    pub(super) name: Box<str>,
    pub(super) parameters: Box<[Slot]>,
    pub(super) body: BlockId,
}

/// `#name(…)`, which stands for itself if there is no such macro.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) name: Box<str>,
    /// The macro of the same template, if it has it.
    pub(super) target: Option<u32>,
    pub(super) arguments: Box<[Expr]>,
    /// What stands between `#@name(…)` and `#end`.
    pub(super) content: Option<BlockId>,
    pub(super) literal: Span,
    pub(super) at: u32,
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(Span),
    Reference(Box<Reference>),
    Set(Box<(Reference, Expr)>),
    If(Box<If>),
    Foreach(Box<Foreach>),
    /// By number.
    Call(u32),
    Define(Slot, BlockId),
    Evaluate(Box<(Expr, u32)>),
    Stop,
    Break,
}

#[derive(Clone, Debug)]
pub(super) struct If {
    pub(super) branches: Box<[(Expr, BlockId)]>,
    pub(super) otherwise: Option<BlockId>,
}

#[derive(Clone, Debug)]
pub(super) struct Foreach {
    pub(super) slot: Slot,
    pub(super) over: Expr,
    pub(super) body: BlockId,
    pub(super) at: u32,
}

/// `$!{name.property.method(…)[index]}`
#[derive(Clone, Debug)]
pub(super) struct Reference {
    pub(super) slot: Slot,
    pub(super) steps: Box<[Step]>,
    pub(super) quiet: bool,
    /// Backslashes in front of it.
    pub(super) backslashes: u32,
    /// As it is written, without those.
    pub(super) literal: Span,
    pub(super) at: u32,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Property(Box<str>),
    Method(Box<MethodCall>),
    Index(Expr),
}

#[derive(Clone, Debug)]
pub(super) struct MethodCall {
    pub(super) method: Method,
    pub(super) arguments: Box<[Expr]>,
    pub(super) prepared: Prepared,
    pub(super) at: u32,
}

/// What was made of a literal argument beforehand.
#[derive(Clone, Debug)]
pub(super) enum Prepared {
    Nothing,
    Path(Path),
    /// For `matches`: the whole text; for the others: anywhere in it.
    Pattern(regex::Pattern),
}

#[derive(Clone, Debug)]
pub(super) enum Expr {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Span),
    /// `"… $x …"`
    Interpolated(BlockId),
    List(Box<[Expr]>),
    Map(Box<[(Expr, Expr)]>),
    /// `[1..5]`
    Range(Box<(Expr, Expr)>),
    Reference(Box<Reference>),
    Binary(Box<(Operator, Expr, Expr)>),
    Not(Box<Expr>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

impl Program {
    pub(super) fn text(&self, span: Span) -> &str {
        self.pool.get(span.from as usize..span.to as usize).unwrap_or_default()
    }

    pub(super) fn block(&self, id: BlockId) -> &[Node] {
        self.blocks.get(id as usize).map_or(&[], |block| block)
    }

    /// Line and column of a byte of the source, counted from 1.
    pub(super) fn place(&self, at: u32) -> (u32, u32) {
        let line = self.lines.partition_point(|start| *start <= at);
        let start = line.checked_sub(1).and_then(|line| self.lines.get(line)).copied().unwrap_or(0);
        let before = self.source.get(start as usize..at as usize).map_or(0, |text| text.chars().count());
        (line.max(1) as u32, before as u32 + 1)
    }
}
