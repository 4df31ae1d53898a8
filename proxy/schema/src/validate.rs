//! Holds a body against a schema. Whether it holds is found out in one walk that stops at the first fault; only then a second walk
//! gathers what is to be said, in the order in which the Java validator that API Gateway uses says it: the keywords of a
//! value by name, the format last, then its children (an object's by name), but none once something is wrong.

mod aloud;

use std::{borrow::Cow, sync::Arc};

use smallvec::SmallVec;

use crate::{
    aws, equal,
    json::{Kind, Text, Unread, VALUES_MAX, Value, read},
    node::{
        AnyRules, ArrayRules, Dependency, Items, Node, NodeId, NumberRules, ObjectRules, Others, TextRules,
    },
    regex::{BACKTRACKS_MAX, GivenUp, LOOK_AROUND_TEXT_BYTES_MAX, Pattern},
    report::Report,
};

/// A body that is held against a schema, in bytes (row 174).
pub const BODY_BYTES_MAX: usize = 10 << 20;

/// What a validation may cost: values that schemas are asked about, and what long ones cost beyond. A million are some milliseconds.
pub const STEPS_MAX: u64 = 1 << 20;

/// How deeply schemas may be asked about a value and what is in it.
pub const DEPTH_MAX: u32 = 400;

/// A compiled schema, ready for bodies.
#[derive(Clone, Debug)]
pub struct Validator {
    pub(crate) nodes: Arc<[Node]>,
    pub(crate) root: NodeId,
}

/// Why a body is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// It is no JSON.
    Malformed,
    /// It could not be told within this bound.
    Undecided(Limit),
    /// It doesn't hold to its model; what is wrong.
    Faults(Box<str>),
}

/// A bound that ended a validation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// [`BODY_BYTES_MAX`]
    #[error("body longer than {BODY_BYTES_MAX} bytes (limit: body bytes)")]
    BodyBytes,
    /// [`VALUES_MAX`]
    #[error("body has more than {VALUES_MAX} values and names (limit: values)")]
    Values,
    /// [`crate::JSON_DEPTH_MAX`] or [`DEPTH_MAX`]
    #[error("body is nested too deeply (limit: depth)")]
    Depth,
    /// [`STEPS_MAX`]
    #[error("validation takes more than {STEPS_MAX} steps (limit: steps)")]
    Steps,
    /// [`BACKTRACKS_MAX`]
    #[error("a regular expression goes back more than {BACKTRACKS_MAX} times (limit: backtracks)")]
    Backtracks,
    /// [`LOOK_AROUND_TEXT_BYTES_MAX`]
    #[error(
        "a string longer than {LOOK_AROUND_TEXT_BYTES_MAX} bytes meets a regular expression that looks around (limit: look-around text bytes)"
    )]
    LookAround,
}

impl Invalid {
    /// `$context.error.validationErrorString` (row 114).
    pub fn message(&self) -> Cow<'_, str> {
        match self {
            Self::Malformed => Cow::Borrowed(aws::NO_JSON),
            Self::Undecided(limit) => Cow::Owned(format!("[{limit}]")),
            Self::Faults(faults) => Cow::Borrowed(faults),
        }
    }
}

impl Validator {
    /// Holds a body against the schema. One without any bytes is `{}` (row 113).
    pub fn validate(&self, body: &[u8]) -> Result<(), Invalid> {
        let body = if body.is_empty() { b"{}" } else { body };
        if body.len() > BODY_BYTES_MAX {
            return Err(Invalid::Undecided(Limit::BodyBytes));
        }
        let document = read(body).map_err(|unread| match unread {
            Unread::Malformed(..) => Invalid::Malformed,
            Unread::Depth => Invalid::Undecided(Limit::Depth),
            Unread::Values => Invalid::Undecided(Limit::Values),
        })?;
        let mut run = Run::new(&self.nodes);
        if run.check(self.root, document.root()) {
            return Ok(());
        }
        if run.over.is_none() {
            // The first walk's steps count: what both take together is bounded.
            run.report = Some(Report::new());
            run.check(self.root, document.root());
        }
        match (run.over, run.report.take()) {
            (Some(limit), _) => Err(Invalid::Undecided(limit)),
            (None, report) => {
                let report = report.unwrap_or_else(Report::new);
                debug_assert!(!report.is_empty(), "what is invalid has a fault");
                Err(Invalid::Faults(report.finish().into()))
            }
        }
    }
}

/// One walk, or two.
struct Run<'s> {
    nodes: &'s [Node],
    steps: u64,
    depth: u32,
    /// What ended it, if something did; from then on nothing holds.
    over: Option<Limit>,
    /// Faults, if they are gathered.
    report: Option<Report>,
}

impl<'s> Run<'s> {
    fn new(nodes: &'s [Node]) -> Self {
        Self { nodes, steps: STEPS_MAX, depth: 0, over: None, report: None }
    }

    /// Pays; whether there was enough.
    fn spend(&mut self, steps: u64) -> bool {
        match self.steps.checked_sub(steps) {
            Some(rest) => {
                self.steps = rest;
                true
            }
            None => self.end(Limit::Steps),
        }
    }

    #[cold]
    fn end(&mut self, limit: Limit) -> bool {
        self.over.get_or_insert(limit);
        false
    }

    /// Whether the value holds to the schema.
    fn check(&mut self, node: NodeId, value: Value<'_>) -> bool {
        if self.depth == DEPTH_MAX {
            return self.end(Limit::Depth);
        }
        let nodes = self.nodes;
        let Some(node) = nodes.get(node as usize) else { return false };
        self.depth += 1;
        let holds = self.spend(1)
            && if self.report.is_some() { self.aloud(node, value) } else { self.silently(node, value) };
        self.depth -= 1;
        holds
    }

    /// The same without a word.
    fn quietly(&mut self, node: NodeId, value: Value<'_>) -> bool {
        let report = self.report.take();
        let holds = self.check(node, value);
        self.report = report;
        holds
    }

    fn silently(&mut self, node: &Node, value: Value<'_>) -> bool {
        node.types.allow(value)
            && match value.kind() {
                Kind::Object => node.object.as_ref().is_none_or(|rules| self.object(rules, value)),
                Kind::Array => node.array.as_ref().is_none_or(|rules| self.array(rules, value)),
                Kind::Text => node.text.as_ref().is_none_or(|rules| self.text(rules, value)),
                Kind::Number => node.number.as_ref().is_none_or(|rules| self.number(rules, value)),
                Kind::Boolean | Kind::Null => true,
            }
            && node.any.as_ref().is_none_or(|rules| self.any(rules, value))
    }

    fn object(&mut self, rules: &ObjectRules, value: Value<'_>) -> bool {
        let mut found = 0;
        let mut wanted = rules.required.len();
        let mut seen = SmallVec::from([0_u64; 2]);
        if wanted / 64 >= seen.len() {
            seen.resize(wanted / 64 + 1, 0);
        }
        for (name, value) in value.members() {
            found += 1;
            if !self.spend(1 + name.steps()) {
                return false;
            }
            let mut is_known = false;
            if let Some(property) = rules.names.find(name) {
                if let Some(number) = property.required {
                    let (word, bit) = (number as usize / 64, 1 << (number % 64));
                    // A name that stands twice is there once.
                    wanted -= usize::from(seen[word] & bit == 0);
                    seen[word] |= bit;
                }
                if let Some(node) = property.schema {
                    is_known = true;
                    if !self.check(node, value) {
                        return false;
                    }
                }
            }
            for (pattern, node) in &rules.patterns {
                if self.is_in(pattern, name) {
                    is_known = true;
                    if !self.check(*node, value) {
                        return false;
                    }
                }
            }
            let holds = match rules.additional {
                Others::Schema(node) if !is_known => self.check(node, value),
                Others::None => is_known,
                _ => true,
            };
            if !holds || self.over.is_some() {
                return false;
            }
        }
        wanted == 0
            && rules.least.is_none_or(|least| found >= least)
            && rules.most.is_none_or(|most| found <= most)
            && rules.dependencies.iter().all(|(name, dependency)| self.depends(name, dependency, value))
    }

    fn depends(&mut self, name: &str, dependency: &Dependency, value: Value<'_>) -> bool {
        if !self.has(value, name) {
            return self.over.is_none();
        }
        match dependency {
            Dependency::Names(names) => names.iter().all(|name| self.has(value, name)),
            Dependency::Schema(node) => self.check(*node, value),
        }
    }

    /// Whether an object has a property, which it is searched for.
    fn has(&mut self, value: Value<'_>, name: &str) -> bool {
        self.spend(u64::from(value.size()) / 4) && value.members().any(|(written, _)| written.is(name))
    }

    fn array(&mut self, rules: &ArrayRules, value: Value<'_>) -> bool {
        let holds = match &rules.items {
            Items::Any => true,
            Items::All(node) => value.elements().all(|element| self.check(*node, element)),
            Items::Each(nodes, others) => {
                value.elements().enumerate().all(|(number, element)| match (nodes.get(number), others) {
                    (Some(node), _) | (None, Others::Schema(node)) => self.check(*node, element),
                    (None, Others::Any) => true,
                    (None, Others::None) => false,
                })
            }
        };
        holds && (!rules.unique || self.is_unique(value))
    }

    fn is_unique(&mut self, value: Value<'_>) -> bool {
        if !self.spend(4 * u64::from(value.size()) + value.written().len() as u64 / 8) {
            return false;
        }
        let mut elements: SmallVec<[(u64, Value<'_>); 32]> =
            value.elements().map(|element| (equal::hash(element), element)).collect();
        elements.sort_unstable_by_key(|(hash, _)| *hash);
        // Of a group with the same hash each is compared with each, which costs what it costs.
        for (number, (hash, left)) in elements.iter().enumerate() {
            for (other, right) in &elements[number + 1..] {
                if hash != other {
                    break;
                }
                if !self.spend(cost_of_comparing(*left, *right)) || equal::same(*left, *right) {
                    return false;
                }
            }
        }
        true
    }

    fn text(&mut self, rules: &TextRules, value: Value<'_>) -> bool {
        let Some(text) = value.text() else { return true };
        let length = self.length(rules, text);
        length.is_none_or(|length| {
            rules.least.is_none_or(|least| length >= least) && rules.most.is_none_or(|most| length <= most)
        }) && rules.pattern.as_ref().is_none_or(|pattern| self.is_in(pattern, text))
            && rules.format.is_none_or(|format| {
                self.spend(text.steps() + format.steps(text.bytes())) && format.is_of(&text.read())
            })
            && self.over.is_none()
    }

    /// In characters, if somebody asks.
    fn length(&mut self, rules: &TextRules, text: Text<'_>) -> Option<u64> {
        (rules.least.is_some() || rules.most.is_some()).then(|| {
            self.spend(text.steps());
            text.characters()
        })
    }

    fn is_in(&mut self, pattern: &Pattern, text: Text<'_>) -> bool {
        if !self.spend(text.steps() + pattern.steps(text.bytes())) {
            return false;
        }
        match pattern.is_in(&text.read()) {
            Ok(is_in) => is_in,
            Err(GivenUp::Backtracks) => self.end(Limit::Backtracks),
            Err(GivenUp::TextBytes) => self.end(Limit::LookAround),
        }
    }

    fn number(&mut self, rules: &NumberRules, value: Value<'_>) -> bool {
        let number = value.written();
        // What is that long is compared digit by digit.
        self.spend(if number.len() > 32 { number.len() as u64 } else { 0 })
            && rules.minimum.as_ref().is_none_or(|bound| bound.order(number).is_ge())
            && rules.maximum.as_ref().is_none_or(|bound| {
                let order = bound.order(number);
                order.is_lt() || order.is_eq() && !rules.below_maximum
            })
            && rules.multiple_of.as_ref().is_none_or(|divisor| divisor.divides(number))
    }

    fn any(&mut self, rules: &AnyRules, value: Value<'_>) -> bool {
        rules.enumeration.as_ref().is_none_or(|values| self.is_among(value, values.root()))
            && rules.all_of.iter().all(|node| self.check(*node, value))
            && (rules.any_of.is_empty() || rules.any_of.iter().any(|node| self.check(*node, value)))
            && (rules.one_of.is_empty() || self.matched(&rules.one_of, value) == 1)
            && rules.not.is_none_or(|node| !self.check(node, value))
            && self.over.is_none()
    }

    /// To how many of the schemas a value holds.
    fn matched(&mut self, nodes: &[NodeId], value: Value<'_>) -> usize {
        nodes.iter().filter(|node| self.quietly(**node, value)).count()
    }

    fn is_among(&mut self, value: Value<'_>, values: Value<'_>) -> bool {
        values
            .elements()
            .any(|other| self.spend(cost_of_comparing(value, other)) && equal::same(value, other))
    }
}

/// In steps.
fn cost_of_comparing(left: Value<'_>, right: Value<'_>) -> u64 {
    if left.kind() != right.kind() {
        return 0;
    }
    let bytes = left.written().len().min(right.written().len()) as u64;
    1 + u64::from(left.size().min(right.size())) + bytes / 32
}
