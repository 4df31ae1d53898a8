//! Walks a tree: a cursor knows its node, its way from the root (a JSON pointer), and says itself what is wrong with it.

use std::{
    cell::{Cell, RefCell},
    fmt::Write as _,
    ops::Range,
    rc::Rc,
};

use model::{Diagnostic, Origin, Severity};
use serde_json::{Map, Number, Value as Json};

use super::{Node, Tree, Value};
use crate::Variables;

/// Mistakes that are said; what comes after them is counted only.
const DIAGNOSTICS_MAX: usize = 500;
/// Characters of a value that a message shows.
const QUOTED_CHARS_MAX: usize = 80;

/// What all cursors of a document share.
pub struct Context<'t> {
    pub(crate) tree: &'t Tree,
    variables: &'t Variables,
    diagnostics: RefCell<Vec<Diagnostic>>,
    dropped: Cell<usize>,
}

/// A node and the way to it.
#[derive(Clone)]
pub struct Cursor<'t> {
    cx: &'t Context<'t>,
    node: &'t Node,
    path: Option<Rc<Path<'t>>>,
}

struct Path<'t> {
    parent: Option<Rc<Path<'t>>>,
    step: Step<'t>,
}

enum Step<'t> {
    Key(&'t str),
    Index(usize),
}

impl<'t> Context<'t> {
    /// One without mistakes.
    pub fn new(tree: &'t Tree, variables: &'t Variables) -> Self {
        Self { tree, variables, diagnostics: RefCell::default(), dropped: Cell::default() }
    }

    /// The whole document.
    pub fn root(&'t self) -> Cursor<'t> {
        Cursor { cx: self, node: self.tree.root(), path: None }
    }

    /// Says something.
    pub fn report(&self, diagnostic: Diagnostic) {
        let mut diagnostics = self.diagnostics.borrow_mut();
        if diagnostics.len() < DIAGNOSTICS_MAX {
            diagnostics.push(diagnostic);
        } else {
            self.dropped.set(self.dropped.get() + 1);
        }
    }

    /// All that was said, in the order of the text, each thing once.
    pub fn finish(self) -> Vec<Diagnostic> {
        let mut diagnostics = self.diagnostics.into_inner();
        diagnostics.sort_by_key(|diagnostic| diagnostic.origin.as_ref().map(|origin| origin.start));
        diagnostics.dedup();
        if self.dropped.get() > 0 {
            let message = format!("{} more mistakes and warnings are not shown", self.dropped.get());
            diagnostics.push(Diagnostic::error(None, "", message));
        }
        diagnostics
    }
}

impl<'t> Cursor<'t> {
    /// What stands here.
    pub fn node(&self) -> &'t Node {
        self.node
    }

    /// What all cursors share.
    pub fn cx(&self) -> &'t Context<'t> {
        self.cx
    }

    /// The value under a name; nothing if it is `null`.
    pub fn get(&self, key: &str) -> Option<Self> {
        let Value::Map(entries) = &self.node.value else { return None };
        let entry = entries.iter().find(|entry| &*entry.key == key)?;
        let path = Path { parent: self.path.clone(), step: Step::Key(&entry.key) };
        let value = Self { cx: self.cx, node: &entry.value, path: Some(Rc::new(path)) };
        (!value.is_null()).then_some(value)
    }

    /// Names and values of a map; nothing if it is none.
    pub fn entries(&self) -> impl Iterator<Item = (&'t str, Self)> + use<'t> {
        let (cx, parent) = (self.cx, self.path.clone());
        let entries = match &self.node.value {
            Value::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        entries.iter().map(move |entry| {
            let path = Path { parent: parent.clone(), step: Step::Key(&entry.key) };
            (&*entry.key, Self { cx, node: &entry.value, path: Some(Rc::new(path)) })
        })
    }

    /// Values of a list; nothing if it is none.
    pub fn items(&self) -> impl Iterator<Item = Self> + use<'t> {
        let (cx, parent) = (self.cx, self.path.clone());
        let items = match &self.node.value {
            Value::List(items) => items.as_slice(),
            _ => &[],
        };
        items.iter().enumerate().map(move |(index, node)| {
            let path = Path { parent: parent.clone(), step: Step::Index(index) };
            Self { cx, node, path: Some(Rc::new(path)) }
        })
    }

    /// What a reference within the document leads to: `#/components/schemas/Pet`.
    pub fn follow(&self, reference: &str) -> Option<Self> {
        let mut at = self.cx.root();
        for step in reference.strip_prefix("#/")?.split('/') {
            let step = decoded(step).replace("~1", "/").replace("~0", "~");
            at = match &at.node.value {
                Value::List(_) => at.items().nth(step.parse().ok()?)?,
                _ => at.get(&step)?,
            };
        }
        Some(at)
    }

    /// Whether nothing stands here.
    pub fn is_null(&self) -> bool {
        matches!(self.node.value, Value::Null)
    }

    /// Whether it is a map; said if it is none.
    pub fn expect_map(&self) -> bool {
        matches!(self.node.value, Value::Map(_)) || self.wrong("a map")
    }

    /// Whether it is a list; said if it is none.
    pub fn expect_list(&self) -> bool {
        matches!(self.node.value, Value::List(_)) || self.wrong("a list")
    }

    /// A string, or what is written like one: a number or a truth. AWS's variables are replaced.
    pub fn text(&self) -> Option<String> {
        match &self.node.value {
            Value::Text(text) | Value::Number(text) => Some(self.cx.variables.replace(text)),
            Value::Bool(truth) => Some(truth.to_string()),
            _ => {
                self.wrong("a string");
                None
            }
        }
    }

    /// `true` or `false`, as a string too.
    pub fn truth(&self) -> Option<bool> {
        match &self.node.value {
            Value::Bool(truth) => Some(*truth),
            Value::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => {
                self.wrong("`true` or `false`");
                None
            }
        }
    }

    /// A whole number, as a string too, in a range.
    pub fn whole<T: TryFrom<i64>>(&self, min: i64, max: i64) -> Option<T> {
        let number = match &self.node.value {
            Value::Number(text) | Value::Text(text) => text.trim().parse::<i64>().ok(),
            _ => None,
        };
        match number.filter(|number| (min..=max).contains(number)).and_then(|number| T::try_from(number).ok())
        {
            Some(number) => Some(number),
            None => {
                self.error(format!("expected a whole number from {min} to {max}"));
                None
            }
        }
    }

    /// A list of strings; one alone may stand for a list of it.
    pub fn texts(&self) -> Vec<String> {
        match &self.node.value {
            Value::List(_) => self.items().filter_map(|item| item.text()).collect(),
            Value::Text(_) => self.text().into_iter().collect(),
            _ => {
                self.wrong("a list of strings");
                Vec::new()
            }
        }
    }

    /// A map of strings.
    pub fn pairs(&self) -> Vec<(String, String)> {
        if !self.expect_map() {
            return Vec::new();
        }
        let pair = |(name, value): (&str, Self)| Some((self.cx.variables.replace(name), value.text()?));
        self.entries().filter_map(pair).collect()
    }

    /// One of some strings, in any case, and what it stands for.
    pub fn one_of<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(&text));
        if found.is_none() {
            let names: Vec<_> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
            self.error_with(
                format!("{} is not known here", quote(&text)),
                format!("write {}", names.join(" or ")),
            );
        }
        found.map(|(_, choice)| *choice)
    }

    /// The value as JSON, with AWS's variables replaced.
    pub fn to_json(&self) -> Json {
        to_json(self.node, self.cx.variables)
    }

    /// Says that it is not taken.
    pub fn error(&self, message: impl Into<String>) {
        self.cx.report(Diagnostic::error(Some(&self.origin()), self.pointer(), message));
    }

    /// The same with advice.
    pub fn error_with(&self, message: impl Into<String>, help: impl Into<String>) {
        self.cx.report(Diagnostic::error(Some(&self.origin()), self.pointer(), message).help(help));
    }

    /// Says that it is taken, and what will surprise.
    pub fn warn(&self, message: impl Into<String>) {
        self.cx.report(Diagnostic::warning(Some(&self.origin()), self.pointer(), message));
    }

    /// Says something of the name under which a value stands.
    pub fn report_key(&self, severity: Severity, key: &str, message: impl Into<String>) {
        let entry = match &self.node.value {
            Value::Map(entries) => entries.iter().find(|entry| &*entry.key == key),
            _ => None,
        };
        let span = entry.map_or(&self.node.span, |entry| &entry.key_span);
        let origin = self.head(span);
        let pointer = format!("{}/{}", self.pointer(), escaped(key));
        self.cx.report(Diagnostic { severity, ..Diagnostic::error(Some(&origin), pointer, message) });
    }

    /// Says that each name beyond these is without effect.
    pub fn warn_unknown(&self, known: &[&str]) {
        for (key, _) in self.entries().filter(|(key, _)| !known.contains(key) && !key.starts_with("x-")) {
            self.report_key(Severity::Warning, key, format!("{} has no effect here", quote(key)));
        }
    }

    /// Where it stands; of a list or a map its first line.
    pub fn origin(&self) -> Origin {
        self.head(&self.node.span)
    }

    fn head(&self, span: &Range<u32>) -> Origin {
        let mut origin = self.cx.tree.origin(span);
        let text = self.cx.tree.source.text.get(origin.start..origin.end).unwrap_or_default();
        origin.end = origin.start + text.find('\n').unwrap_or(text.len());
        origin
    }

    /// The way from the root: `/paths/~1pets/get`.
    pub fn pointer(&self) -> String {
        let (mut steps, mut at) = (Vec::new(), &self.path);
        while let Some(path) = at {
            steps.push(&path.step);
            at = &path.parent;
        }
        steps.iter().rev().fold(String::new(), |mut pointer, step| {
            // Writing to a string can't fail.
            let _written = match step {
                Step::Key(key) => write!(pointer, "/{}", escaped(key)),
                Step::Index(index) => write!(pointer, "/{index}"),
            };
            pointer
        })
    }

    fn wrong(&self, expected: &str) -> bool {
        self.error(format!("expected {expected}, found {}", self.node.noun()));
        false
    }
}

/// A value as a message shows it: in backticks, without control characters, not too long.
pub fn quote(text: &str) -> String {
    let mut quoted = String::from("`");
    for (at, char) in text.chars().enumerate() {
        if at == QUOTED_CHARS_MAX {
            quoted.push('…');
            break;
        }
        if char.is_control() { quoted.extend(char.escape_default()) } else { quoted.push(char) }
    }
    quoted.push('`');
    quoted
}

fn to_json(node: &Node, variables: &Variables) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(truth) => Json::Bool(*truth),
        Value::Number(text) => number(text).map_or(Json::Null, Json::Number),
        Value::Text(text) => Json::String(variables.replace(text)),
        Value::List(items) => Json::Array(items.iter().map(|item| to_json(item, variables)).collect()),
        Value::Map(entries) => {
            let pair =
                |entry: &super::Entry| (variables.replace(&entry.key), to_json(&entry.value, variables));
            Json::Object(entries.iter().map(pair).collect::<Map<_, _>>())
        }
    }
}

/// What a tree takes for a number JSON does as well; fractions to their last bit, which JSON's own reader does not see to.
fn number(text: &str) -> Option<Number> {
    if text.contains(['.', 'e', 'E']) {
        Number::from_f64(text.parse().ok()?)
    } else {
        serde_json::from_str(text).ok()
    }
}

/// A name as a step of a pointer; it is shown on terminals, so control characters are spelt out.
fn escaped(key: &str) -> String {
    let mut step = String::with_capacity(key.len());
    for char in key.chars() {
        match char {
            '~' => step.push_str("~0"),
            '/' => step.push_str("~1"),
            char if char.is_control() => step.extend(char.escape_default()),
            char => step.push(char),
        }
    }
    step
}

/// A step of a reference without its percent-encoding (RFC 6901, section 6).
fn decoded(step: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), step.as_bytes());
    while let Some((byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match hex.filter(|_| *byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(code) => {
                bytes.push(code);
                rest = &after[2..];
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
