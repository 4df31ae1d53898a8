//! `${self:…}`, `${opt:…}`, `${env:…}`, `${file(…):…}`, `${sls:…}`, `${param:…}`, with what stands in if there is nothing. All others
//! (`${ssm:…}`, `${cf:…}`) have to be said by `--param`. Bounded in depth and in what they come to.

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
};

use model::Diagnostic;
use openapi::tree::{Entry, Node, Tree, Value, quote};

use crate::{
    File, Options, World,
    build::{self, Span, placed},
    intrinsics::entries,
};

/// Variables inside one another.
const DEPTH_MAX: usize = 32;
/// Files that a service reads, each as often as it is named.
const FILES_MAX: usize = 64;
/// Values that a service may come to.
const NODES_MAX: usize = 1 << 18;
/// Bytes of its texts.
const BYTES_MAX: usize = 16 << 20;

pub(super) struct Variables<'t> {
    tree: &'t Tree,
    options: &'t Options,
    world: &'t dyn World,
    found: RefCell<Vec<Diagnostic>>,
    nodes_left: Cell<usize>,
    bytes_left: Cell<usize>,
    files_left: Cell<usize>,
    /// Whether what is not known stays as it is: it may stand in what has nothing to do with APIs.
    keeps: Cell<bool>,
}

impl<'t> Variables<'t> {
    pub(super) fn new(tree: &'t Tree, options: &'t Options, world: &'t dyn World) -> Self {
        let (nodes_left, bytes_left) = (Cell::new(NODES_MAX), Cell::new(BYTES_MAX));
        let files_left = Cell::new(FILES_MAX);
        let keeps = Cell::new(false);
        Self { tree, options, world, found: RefCell::default(), nodes_left, bytes_left, files_left, keeps }
    }

    /// All that was wrong.
    pub(super) fn finish(self) -> Vec<Diagnostic> {
        self.found.into_inner()
    }

    /// The whole service. What has nothing to do with APIs is left as it is: its variables may be AWS's alone.
    pub(super) fn resolve_root(&self) -> Node {
        let root = self.tree.root();
        let Value::Map(entries) = &root.value else { return root.clone() };
        let resolved = entries.iter().map(|entry| match &*entry.key {
            "service" | "functions" => Entry { value: self.resolve(&entry.value, 0), ..entry.clone() },
            "provider" => {
                let own =
                    ["environment", "iam", "iamRoleStatements", "vpc", "tags", "deploymentBucket", "layers"];
                let Value::Map(fields) = &entry.value.value else { return entry.clone() };
                let fields = fields.iter().map(|field| match own.contains(&&*field.key) {
                    true => field.clone(),
                    false => Entry { value: self.resolve(&field.value, 0), ..field.clone() },
                });
                Entry { value: build::node(Value::Map(fields.collect()), &entry.value.span), ..entry.clone() }
            }
            _ => entry.clone(),
        });
        build::node(Value::Map(resolved.collect()), &root.span)
    }

    /// `resources`: one template of CloudFormation, whatever it is put together of.
    pub(super) fn resources(&self) -> Node {
        let root = self.tree.root();
        let mut whole = build::map::<&str>([], &root.span);
        let Some(given) = root.get("resources") else { return whole };
        self.keeps.set(true);
        let given = self.resolve(given, 0);
        self.keeps.set(false);
        let parts = match &given.value {
            Value::List(items) => items.iter().collect(),
            _ => vec![&given],
        };
        for section in parts.into_iter().flat_map(|part| entries(Some(part))) {
            let into = build::child(&mut whole, &section.key, &section.key_span);
            for entry in entries(Some(&section.value)) {
                build::put(into, entry.key.clone(), entry.value.clone());
            }
        }
        whole
    }

    fn resolve(&self, node: &Node, depth: usize) -> Node {
        if !self.take(0, &node.span) {
            return build::null(&node.span);
        }
        let value = match &node.value {
            // What stands under a tag of CloudFormation stays there.
            Value::Text(text) if text.contains("${") => {
                let resolved = self.text(text, &node.span, depth);
                return Node { tag: node.tag.clone().or(resolved.tag), ..resolved };
            }
            Value::List(items) => Value::List(items.iter().map(|item| self.resolve(item, depth)).collect()),
            Value::Map(entries) => {
                // What a function has beside its events does not matter to APIs, and may name what only AWS knows.
                let is_other = |key: &str| {
                    matches!(key, "environment" | "role" | "vpc" | "layers" | "iamRoleStatements" | "tags")
                };
                let entry = |entry: &Entry| match is_other(&entry.key) {
                    true => entry.clone(),
                    false => Entry { value: self.resolve(&entry.value, depth), ..entry.clone() },
                };
                Value::Map(entries.iter().map(entry).collect())
            }
            other => other.clone(),
        };
        Node { value, tag: node.tag.clone(), span: node.span.clone() }
    }

    /// A string with variables: one alone may be anything, several are put together.
    fn text(&self, text: &str, span: &Span, depth: usize) -> Node {
        if depth > DEPTH_MAX {
            self.fail(span, format!("variables are more than {DEPTH_MAX} deep in one another"));
            return build::null(span);
        }
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            out.push_str(&rest[..at]);
            let Some(end) = closing(&rest[at + 2..]) else { break };
            let (inner, after) = (&rest[at + 2..at + 2 + end], &rest[at + 3 + end..]);
            // CloudFormation's and API Gateway's own stay: they have no source before a colon.
            let is_own = !inner.contains([':', '(']) && !self.options.parameters.contains_key(inner);
            if is_own || inner.starts_with("AWS::") || inner.starts_with("stageVariables.") {
                out.push_str(&rest[at..at + 3 + end]);
                rest = after;
                continue;
            }
            let value = self.variable(inner, span, depth + 1);
            if out.is_empty() && after.is_empty() {
                return value;
            }
            match build::scalar(&value) {
                Some(text) => out.push_str(&text),
                None if matches!(value.value, Value::Null) => {}
                None => self.fail(span, format!("`${{{inner}}}` is no string, and stands inside one")),
            }
            if !self.take(out.len(), span) {
                return build::null(span);
            }
            rest = after;
        }
        out.push_str(rest);
        build::text(out, span)
    }

    /// What stands between the braces: sources, the first of which that has something counts.
    fn variable(&self, inner: &str, span: &Span, depth: usize) -> Node {
        let inner = if inner.contains("${") {
            build::scalar(&self.text(inner, span, depth)).unwrap_or_default()
        } else {
            inner.to_owned()
        };
        for source in split(&inner) {
            if let Some(found) = self.source(source.trim(), span, depth) {
                return found;
            }
        }
        if self.keeps.get() {
            return build::text(format!("${{{inner}}}"), span);
        }
        let message = format!("nothing is known of {}", quote(&format!("${{{inner}}}")));
        self.fail_with(span, message, format!("say `--param '{inner}=…'`"));
        build::null(span)
    }

    fn source(&self, source: &str, span: &Span, depth: usize) -> Option<Node> {
        if let Some(given) = self.options.parameters.get(source) {
            return Some(build::text(&**given, span));
        }
        let literal = |quote: char| source.strip_prefix(quote).and_then(|it| it.strip_suffix(quote));
        if let Some(text) = literal('\'').or_else(|| literal('"')) {
            return Some(build::text(text, span));
        }
        if source == "true" || source == "false" || source.parse::<f64>().is_ok() {
            return Some(build::text(source, span));
        }
        if let Some(rest) = source.strip_prefix("file(") {
            let (path, rest) = rest.split_once(')')?;
            return self.file(path.trim(), rest.strip_prefix(':').unwrap_or_default(), span, depth);
        }
        let (kind, name) = source.split_once(':')?;
        match kind {
            "self" => self.own(name, span, depth),
            "opt" => {
                let given = self.options.parameters.get(name);
                given.map(|given| build::text(&**given, span))
            }
            "param" => self.options.parameters.get(name).map(|given| build::text(&**given, span)),
            "sls" if name == "stage" => {
                let given = self.options.parameters.get("stage").cloned();
                let own = select(self.tree.root(), "provider.stage").map(|it| self.resolve(it, depth));
                let stage = given.or_else(|| own.as_ref().and_then(build::scalar));
                Some(build::text(stage.unwrap_or_else(|| "dev".into()), span))
            }
            "sls" if name == "instanceId" => Some(build::text("local", span)),
            "aws" if name == "region" => Some(build::text(&*self.options.variables.region, span)),
            "aws" if name == "accountId" => Some(build::text(&*self.options.variables.account_id, span)),
            "env" => self.world.environment(name).map(|value| build::text(value, span)),
            _ => None,
        }
    }

    /// `self:a.b`: what stands on the way may be a variable itself.
    fn own(&self, path: &str, span: &Span, depth: usize) -> Option<Node> {
        let mut at = Cow::Borrowed(self.tree.root());
        for name in path.split('.').filter(|name| !name.is_empty()) {
            if at.as_str().is_some_and(|text| text.contains("${")) {
                at = Cow::Owned(self.resolve(&at, depth));
            }
            at = match &at {
                Cow::Borrowed(node) => Cow::Borrowed(step(node, name)?),
                Cow::Owned(node) => Cow::Owned(step(node, name)?.clone()),
            };
        }
        Some(self.resolve(&placed(&at, span), depth))
    }

    fn file(&self, path: &str, key: &str, span: &Span, depth: usize) -> Option<Node> {
        let Some(left) = self.files_left.get().checked_sub(1) else {
            self.fail(span, format!("the service reads more than {FILES_MAX} files"));
            return Some(build::null(span));
        };
        self.files_left.set(left);
        let File { name, text } = match self.world.file(path) {
            Ok(file) => file,
            Err(why) => {
                self.fail(span, format!("{} can't be read: {why}", quote(path)));
                return Some(build::null(span));
            }
        };
        if !self.take(text.len(), span) {
            return Some(build::null(span));
        }
        let is_tree = [".yml", ".yaml", ".json"].iter().any(|ending| path.ends_with(ending));
        if !is_tree {
            return Some(build::text(text, span));
        }
        match Tree::parse(&name, &text) {
            Ok(tree) => {
                let found = if key.is_empty() { Some(tree.root()) } else { select(tree.root(), key) };
                found.map(|found| self.resolve(&placed(found, span), depth))
            }
            Err(broken) => {
                self.found.borrow_mut().push(*broken);
                Some(build::null(span))
            }
        }
    }

    fn take(&self, bytes: usize, span: &Span) -> bool {
        let left = self.nodes_left.get().checked_sub(1).zip(self.bytes_left.get().checked_sub(bytes));
        match left {
            Some((nodes, bytes)) => {
                self.nodes_left.set(nodes);
                self.bytes_left.set(bytes);
                true
            }
            None => {
                self.fail(
                    span,
                    format!("the service comes to more than {NODES_MAX} values or {BYTES_MAX} bytes of text"),
                );
                false
            }
        }
    }

    fn fail(&self, span: &Span, message: impl Into<String>) {
        self.found.borrow_mut().push(Diagnostic::error(Some(&self.tree.origin(span)), "", message));
    }

    fn fail_with(&self, span: &Span, message: impl Into<String>, help: impl Into<String>) {
        self.found
            .borrow_mut()
            .push(Diagnostic::error(Some(&self.tree.origin(span)), "", message).help(help));
    }
}

/// The brace that closes, those inside left out.
fn closing(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => open += 1,
            b'}' if open == 0 => return Some(at),
            b'}' => open -= 1,
            _ => {}
        }
    }
    None
}

/// Sources between commas that stand in no quotes and no brackets.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut quoted) = (Vec::new(), 0, 0_i32, None);
    for (at, char) in text.char_indices() {
        match (quoted, char) {
            (Some(quote), _) if char == quote => quoted = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quoted = Some(char),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            (None, ',') if depth <= 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            (None, _) => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// `a.b.0` of a tree; nothing is the whole.
fn select<'n>(node: &'n Node, path: &str) -> Option<&'n Node> {
    path.split('.').filter(|step| !step.is_empty()).try_fold(node, step)
}

fn step<'n>(at: &'n Node, step: &str) -> Option<&'n Node> {
    match &at.value {
        Value::List(items) => items.get(step.parse::<usize>().ok()?),
        _ => at.get(step),
    }
}
