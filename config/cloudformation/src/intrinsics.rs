//! CloudFormation's functions, conditions, mappings and parameters: they are replaced by what they come to, and what can't be
//! known without a stack becomes the resource's own name. Bounded: what grows is counted.

mod conditions;
mod include;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use model::{Diagnostic, Origin};
use openapi::tree::{Entry, Node, Tree, Value, quote};
use progress::Progress;

use crate::{
    Options, World,
    build::{self, Span},
    functions,
};

/// Nodes that a template may come to.
const NODES_MAX: usize = 1 << 20;
/// Bytes of its texts.
const BYTES_MAX: usize = 32 << 20;

/// What functions are replaced by.
pub(crate) struct Resolver<'t> {
    tree: &'t Tree,
    options: &'t Options,
    world: &'t dyn World,
    found: RefCell<Vec<Diagnostic>>,
    /// Whether something that is asked for has no value.
    lacks_values: Cell<bool>,
    nodes_left: Cell<usize>,
    /// Whether it was said that none is left.
    is_over: Cell<bool>,
    bytes_left: Cell<usize>,
    files_left: Cell<usize>,
    /// Conditions that are being looked at, one for the sake of another.
    conditions_deep: Cell<usize>,
    /// Whether what is replaced stands in a mapping, which holds values and no functions.
    is_mapping: Cell<bool>,
    /// Whether what is replaced was included: what is included includes nothing, on AWS neither.
    is_included: Cell<bool>,
    /// Type of each resource.
    types: BTreeMap<&'t str, &'t str>,
    parameters: BTreeMap<&'t str, &'t Node>,
    /// Resources that a tool of AWS makes beside those that are written: functions of a service and their ARNs.
    made: BTreeMap<String, String>,
    is_service: bool,
}

impl<'t> Resolver<'t> {
    /// For one template.
    pub(crate) fn new(tree: &'t Tree, options: &'t Options, world: &'t dyn World) -> Self {
        let typed = |entry: &'t Entry| Some((&*entry.key, entry.value.get("Type")?.as_str()?));
        let types = entries(tree.root().get("Resources")).iter().filter_map(typed).collect();
        let parameters = entries(tree.root().get("Parameters"));
        let parameters = parameters.iter().map(|entry| (&*entry.key, &entry.value)).collect();
        Self {
            tree,
            options,
            world,
            found: RefCell::default(),
            lacks_values: Cell::new(false),
            nodes_left: Cell::new(NODES_MAX),
            is_over: Cell::new(false),
            bytes_left: Cell::new(BYTES_MAX),
            files_left: Cell::new(include::FILES_MAX),
            conditions_deep: Cell::new(0),
            is_mapping: Cell::new(false),
            is_included: Cell::new(false),
            types,
            parameters,
            made: BTreeMap::new(),
            is_service: false,
        }
    }

    /// Who is told how far it has come.
    pub(crate) fn progress(&self) -> &'t Progress {
        self.world.progress()
    }

    /// For a `serverless.yml`: its functions under the names that resources call them by, with their ARNs.
    pub(crate) fn of_service(&mut self, functions: BTreeMap<String, String>) {
        (self.made, self.is_service) = (functions, true);
    }

    /// All that was wrong.
    pub(crate) fn finish(self) -> Vec<Diagnostic> {
        self.found.into_inner()
    }

    /// The whole template.
    pub(crate) fn root(&self) -> &'t Node {
        self.tree.root()
    }

    /// Where something stands.
    pub(crate) fn origin(&self, span: &Span) -> Origin {
        self.tree.origin(span)
    }

    /// Whether a resource is made: its `Condition` holds, if it has one.
    pub(crate) fn is_made(&self, resource: &Node) -> bool {
        match resource.get("Condition") {
            Some(name) => name.as_str().is_none_or(|text| self.condition(text, &name.span)),
            None => true,
        }
    }

    /// What stands in a resource's property, if it is no function's matter.
    pub(crate) fn written(&self, resource: &str, property: &str) -> Option<String> {
        let resource = self.tree.root().get("Resources")?.get(resource)?;
        let property = resource.get("Properties")?.get(property)?;
        build::scalar(property).filter(|_| property.tag.is_none())
    }

    /// A node without functions in it.
    pub(crate) fn resolve(&self, node: &Node) -> Node {
        if !self.take(&node.span) {
            return build::null(&node.span);
        }
        if let Some((name, argument)) = call(node) {
            return self.call(&name, &argument, &node.span);
        }
        let value = match &node.value {
            Value::List(items) => {
                let items = items.iter().map(|item| self.resolve(item));
                // `AWS::NoValue` leaves no gap.
                Value::List(items.filter(|item| !matches!(item.value, Value::Null)).collect())
            }
            Value::Map(entries) => {
                let resolved = entries.iter().flat_map(|entry| match &*entry.key {
                    // What is included beside other names takes its place among them.
                    "Fn::Transform" => match self.transform(&entry.value, &entry.value.span).value {
                        Value::Map(included) => included,
                        Value::Null => Vec::new(),
                        _ => {
                            self.fail(&entry.value.span, "what is included beside other names is no map");
                            Vec::new()
                        }
                    },
                    _ => vec![Entry { value: self.resolve(&entry.value), ..entry.clone() }],
                });
                Value::Map(resolved.filter(|entry| !matches!(entry.value.value, Value::Null)).collect())
            }
            Value::Text(text) => Value::Text(self.counted(text.to_string(), &node.span).into()),
            other => other.clone(),
        };
        build::node(value, &node.span)
    }

    /// Whether one value more may be looked at.
    fn take(&self, span: &Span) -> bool {
        let left = self.nodes_left.get().checked_sub(1);
        self.nodes_left.set(left.unwrap_or_default());
        if left.is_none() && !self.is_over.replace(true) {
            self.fail(span, format!("the template comes to more than {NODES_MAX} values"));
        }
        left.is_some()
    }

    fn call(&self, name: &str, argument: &Node, span: &Span) -> Node {
        match name {
            "Ref" => match argument.as_str() {
                Some(target) => self.reference(target, span),
                None => self.wrong(span, "`Ref` names a parameter or a resource"),
            },
            "Fn::GetAtt" => self.attribute(argument, span),
            "Fn::Sub" => self.substitute(argument, span),
            "Fn::Join" => match &self.pair(argument) {
                Some([separator, items]) => {
                    let separator = build::scalar(separator).unwrap_or_default();
                    let items: Vec<_> = list(items).iter().filter_map(build::scalar).collect();
                    build::text(self.counted(items.join(&separator), span), span)
                }
                None => self.wrong(span, "`Fn::Join` is a list of a separator and a list"),
            },
            "Fn::Split" => match &self.pair(argument) {
                Some([separator, whole]) => {
                    let separator = build::scalar(separator).unwrap_or_default();
                    let whole = build::scalar(whole).unwrap_or_default();
                    if separator.is_empty() {
                        return self.wrong(span, "`Fn::Split` needs a separator");
                    }
                    let parts = whole
                        .split(&*separator)
                        .map(|part| build::text(self.counted(part.into(), span), span));
                    build::list(parts.collect(), span)
                }
                None => self.wrong(span, "`Fn::Split` is a list of a separator and a string"),
            },
            "Fn::Select" => match &self.pair(argument) {
                Some([index, items]) => {
                    let index = build::scalar(index).and_then(|index| index.parse::<usize>().ok());
                    match index.and_then(|index| list(items).get(index).cloned()) {
                        Some(item) => item,
                        None => self.wrong(span, "`Fn::Select` names a place that the list does not have"),
                    }
                }
                None => self.wrong(span, "`Fn::Select` is a list of a place and a list"),
            },
            "Fn::If" => match list(argument) {
                [condition, yes, no] => {
                    let holds = condition.as_str().is_some_and(|name| self.condition(name, &condition.span));
                    self.resolve(if holds { yes } else { no })
                }
                _ => self.wrong(span, "`Fn::If` is a list of a condition and two values"),
            },
            "Fn::FindInMap" => self.find_in_map(argument, span),
            "Fn::ImportValue" => match build::scalar(&self.resolve(argument)) {
                Some(name) => self.parameter(&name, span).unwrap_or_else(|| {
                    let message = format!("{} is exported by another stack", quote(&name));
                    self.fail_with(span, message, format!("say `--param {name}=…`"));
                    build::null(span)
                }),
                None => self.wrong(span, "`Fn::ImportValue` names an export"),
            },
            "Fn::GetAZs" => {
                let zone = format!("{}a", self.options.variables.region);
                build::list(vec![build::text(zone, span)], span)
            }
            "Fn::Equals" | "Fn::And" | "Fn::Or" | "Fn::Not" | "Condition" => {
                build::truth(self.holds(name, argument, span), span)
            }
            "Fn::Transform" => self.transform(argument, span),
            "Fn::Length" => {
                build::node(Value::Number(list(&self.resolve(argument)).len().to_string().into()), span)
            }
            _ => {
                let help = "known are Ref, GetAtt, Sub, Join, Split, Select, If, FindInMap, ImportValue, GetAZs, Length, \
                            Transform with AWS::Include, and conditions";
                self.fail_with(span, format!("the function {} is not known here", quote(name)), help);
                build::null(span)
            }
        }
    }

    /// What a parameter, a pseudo parameter or a resource's `Ref` comes to.
    fn reference(&self, target: &str, span: &Span) -> Node {
        let variables = &self.options.variables;
        let pseudo = match target {
            "AWS::NoValue" => return build::null(span),
            "AWS::Region" => Some(variables.region.clone()),
            "AWS::AccountId" => Some(variables.account_id.clone()),
            "AWS::Partition" => Some(variables.partition.clone()),
            "AWS::URLSuffix" => Some("amazonaws.com".to_owned()),
            "AWS::StackName" => {
                Some(self.options.parameters.get("AWS::StackName").map_or("stack", String::as_str).to_owned())
            }
            "AWS::StackId" => Some("stack".to_owned()),
            "AWS::NotificationARNs" => return build::list(Vec::new(), span),
            _ => None,
        };
        if let Some(pseudo) = pseudo {
            return build::text(self.counted(pseudo, span), span);
        }
        if let Some(found) = self.parameter(target, span) {
            return found;
        }
        let is_known = self.types.contains_key(target) || self.is_generated(target);
        if is_known {
            // An alias or a version is named by its ARN, all else by its name here.
            let value = match self.types.get(target) {
                Some(&("AWS::Lambda::Alias" | "AWS::Lambda::Version")) => {
                    functions::arn(target, &self.options.variables)
                }
                _ => target.to_owned(),
            };
            return build::text(self.counted(value, span), span);
        }
        let message = format!("there is neither a parameter nor a resource {}", quote(target));
        self.lacks(span, message, format!("add it, or say `--param {target}=…`"))
    }

    /// A parameter's value: what was said for it, else its default.
    fn parameter(&self, name: &str, span: &Span) -> Option<Node> {
        if let Some(given) = self.options.parameters.get(name) {
            return Some(self.typed(name, given, span));
        }
        let parameter = self.parameters.get(name)?;
        match parameter.get("Default").and_then(build::scalar) {
            Some(default) => Some(self.typed(name, &default, span)),
            None => {
                let message = format!("the parameter {} has no default", quote(name));
                Some(self.lacks(span, message, format!("say `--param {name}=…`")))
            }
        }
    }

    fn typed(&self, name: &str, value: &str, span: &Span) -> Node {
        let kind = self.parameters.get(name).and_then(|it| it.get("Type")).and_then(Node::as_str);
        let value = self.counted(value.to_owned(), span);
        match kind {
            Some(kind) if kind == "CommaDelimitedList" || kind.starts_with("List<") => {
                build::list(value.split(',').map(|item| build::text(item.trim(), span)).collect(), span)
            }
            _ => build::text(value, span),
        }
    }

    /// `Fn::GetAtt`: an ARN of a function is made, all else is `Resource.Attribute`.
    fn attribute(&self, argument: &Node, span: &Span) -> Node {
        let dotted = match &argument.value {
            Value::Text(text) => text.to_string(),
            Value::List(parts) => parts
                .iter()
                .filter_map(|part| build::scalar(&self.resolve(part)))
                .collect::<Vec<_>>()
                .join("."),
            _ => String::new(),
        };
        let Some((resource, attribute)) = dotted.split_once('.') else {
            return self.wrong(span, "`Fn::GetAtt` names a resource and an attribute");
        };
        let Some(kind) = self.types.get(resource) else {
            if let (Some(arn), "Arn") = (self.made.get(resource), attribute) {
                return build::text(self.counted(arn.clone(), span), span);
            }
            if self.is_generated(resource) {
                return build::text(self.counted(dotted, span), span);
            }
            return self.wrong(span, format!("there is no resource {}", quote(resource)));
        };
        let is_function =
            matches!(*kind, "AWS::Serverless::Function" | "AWS::Lambda::Function" | "AWS::Lambda::Alias");
        let value = match (is_function, attribute) {
            (true, "Arn") => functions::arn(resource, &self.options.variables),
            (false, "Arn") if *kind == "AWS::Cognito::UserPool" => {
                let variables = &self.options.variables;
                format!(
                    "arn:{}:cognito-idp:{}:{}:userpool/{resource}",
                    variables.partition, variables.region, variables.account_id
                )
            }
            (false, "Arn") => {
                let service = kind.split("::").nth(1).unwrap_or_default().to_ascii_lowercase();
                let variables = &self.options.variables;
                format!(
                    "arn:{}:{service}:{}:{}:{resource}",
                    variables.partition, variables.region, variables.account_id
                )
            }
            _ => dotted.clone(),
        };
        build::text(self.counted(value, span), span)
    }

    /// `Fn::Sub`: `${Name}`, `${Resource.Attribute}`, `${!Literal}`, and names of its own.
    fn substitute(&self, argument: &Node, span: &Span) -> Node {
        let (text, own) = match &argument.value {
            Value::Text(text) => (text.to_string(), None),
            Value::List(parts) => match parts.as_slice() {
                [text, own] => (build::scalar(text).unwrap_or_default(), Some(self.resolve(own))),
                [text] => (build::scalar(text).unwrap_or_default(), None),
                _ => return self.wrong(span, "`Fn::Sub` is a string, or a list of a string and a map"),
            },
            _ => return self.wrong(span, "`Fn::Sub` is a string, or a list of a string and a map"),
        };
        let (mut out, mut rest) = (String::new(), &*text);
        while let Some(at) = rest.find("${") {
            out.push_str(&rest[..at]);
            rest = &rest[at + 2..];
            let Some(end) = rest.find('}') else {
                out.push_str("${");
                continue;
            };
            let name = rest[..end].trim();
            rest = &rest[end + 1..];
            let value = match (name.strip_prefix('!'), own.as_ref().and_then(|own| own.get(name))) {
                (Some(literal), _) => Some(format!("${{{literal}}}")),
                // Stage variables are API Gateway's own; what has them is no string for `Fn::Sub`, but is written so.
                (None, None) if name.starts_with("stageVariables.") => Some(format!("${{{name}}}")),
                (None, Some(own)) => build::scalar(own),
                (None, None) if name.contains('.') => {
                    build::scalar(&self.attribute(&build::text(name, span), span))
                }
                (None, None) => build::scalar(&self.reference(name, span)),
            };
            out.push_str(&value.unwrap_or_default());
            if out.len() > BYTES_MAX {
                break;
            }
        }
        out.push_str(rest);
        build::text(self.counted(out, span), span)
    }

    fn find_in_map(&self, argument: &Node, span: &Span) -> Node {
        let keys: Vec<_> =
            list(argument).iter().map(|key| build::scalar(&self.resolve(key)).unwrap_or_default()).collect();
        let [map, first, second] = keys.as_slice() else {
            return self.wrong(span, "`Fn::FindInMap` is a list of a mapping and two names");
        };
        let mapping = self.tree.root().get("Mappings").and_then(|it| it.get(map));
        match mapping.and_then(|it| it.get(first)).and_then(|it| it.get(second)) {
            Some(_) if self.is_mapping.get() => {
                self.wrong(span, "a mapping holds values, and no `Fn::FindInMap`")
            }
            Some(found) => {
                self.is_mapping.set(true);
                let resolved = self.resolve(found);
                self.is_mapping.set(false);
                resolved
            }
            None => self.wrong(span, format!("there is no mapping {}", quote(&keys.join(".")))),
        }
    }

    /// Whether it is a name of what SAM or the framework makes by itself: `PetsprodStage`, `Pets.Stage`, `HelloLambdaFunction`.
    fn is_generated(&self, name: &str) -> bool {
        let of_service = ["ApiGateway", "HttpApi", "WebsocketsApi"];
        if self.is_service
            && (self.made.contains_key(name) || of_service.iter().any(|it| name.starts_with(it)))
        {
            return true;
        }
        let is_of = |api: &str| {
            let rest = name.strip_prefix(api);
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with("Stage") || rest.contains("Deployment"))
        };
        let is_api = |kind: &str| matches!(kind, "AWS::Serverless::Api" | "AWS::Serverless::HttpApi");
        let implied = ["ServerlessRestApi", "ServerlessHttpApi"];
        let written = self.types.iter().filter(|(_, kind)| is_api(kind)).map(|(name, _)| *name);
        implied.into_iter().chain(written).any(is_of)
    }

    /// Two values without functions in them.
    fn pair(&self, argument: &Node) -> Option<[Node; 2]> {
        let argument = self.resolve(argument);
        let Value::List(items) = argument.value else { return None };
        items.try_into().ok()
    }

    fn counted(&self, text: String, span: &Span) -> String {
        match self.bytes_left.get().checked_sub(text.len()) {
            Some(left) => {
                self.bytes_left.set(left);
                text
            }
            None => {
                self.fail(span, format!("the template comes to more than {BYTES_MAX} bytes of text"));
                String::new()
            }
        }
    }

    fn wrong(&self, span: &Span, message: impl Into<String>) -> Node {
        self.fail(span, message);
        build::null(span)
    }

    /// Says that something is wrong.
    pub(crate) fn fail(&self, span: &Span, message: impl Into<String>) {
        self.found.borrow_mut().push(Diagnostic::error(Some(&self.origin(span)), "", message));
    }

    /// The same, with what to do.
    pub(crate) fn fail_with(&self, span: &Span, message: impl Into<String>, help: impl Into<String>) {
        self.found.borrow_mut().push(Diagnostic::error(Some(&self.origin(span)), "", message).help(help));
    }

    /// What has no value, and what to do; what stands in its place.
    pub(crate) fn lacks(&self, span: &Span, message: String, help: String) -> Node {
        self.note_lack();
        self.fail_with(span, message, help);
        build::null(span)
    }

    /// Something that was asked for elsewhere has no value.
    pub(crate) fn note_lack(&self) {
        self.lacks_values.set(true);
    }

    /// Whether something that is asked for has no value: what was made of nothing is not to be judged.
    pub(crate) fn lacks_values(&self) -> bool {
        self.lacks_values.get()
    }
}

/// The function that a node calls and its argument, in either way of writing.
fn call(node: &Node) -> Option<(String, Node)> {
    if let Some(tag) = node.tag.as_deref() {
        let name = if matches!(tag, "Ref" | "Condition") { tag.to_owned() } else { format!("Fn::{tag}") };
        return Some((name, Node { tag: None, ..node.clone() }));
    }
    let Value::Map(entries) = &node.value else { return None };
    match entries.as_slice() {
        [Entry { key, value, .. }] if &**key == "Ref" || key.starts_with("Fn::") => {
            Some((key.to_string(), value.clone()))
        }
        // `Condition` alone is a call only where a condition is asked for; as a property it has company.
        [Entry { key, value, .. }] if &**key == "Condition" && value.as_str().is_some() => {
            Some((key.to_string(), value.clone()))
        }
        _ => None,
    }
}

fn list(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(items) => items,
        _ => &[],
    }
}

/// Names and values of a map that may not be there.
pub(crate) fn entries(node: Option<&Node>) -> &[Entry] {
    match node.map(|node| &node.value) {
        Some(Value::Map(entries)) => entries,
        _ => &[],
    }
}
