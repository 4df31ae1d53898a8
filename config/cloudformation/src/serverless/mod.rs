//! `serverless.yml` → APIs (section 5.1): events `http` make a REST API, events `httpApi` an HTTP API; what raw CloudFormation under
//! `resources` says is read as any other, and may name what the framework makes.

mod event;
mod http_api;
mod preflight;
mod rest_api;
mod variables;

use std::collections::BTreeMap;

use model::{Diagnostic, Kind, Stage};
use openapi::tree::{Entry, Node, Tree, Value, quote};

use crate::{
    Function, Imported, Options, World,
    build::{self, Span},
    functions,
    intrinsics::entries,
    known,
    resources::{self, Assembly, Draft, Resource},
};
use preflight::Preflight;
use variables::Variables;

/// Keys that name APIs of other stacks.
const ELSEWHERE: [&str; 4] = ["restApiId", "restApiRootResourceId", "restApiResources", "id"];

/// The APIs' names in the template.
const REST: &str = "ApiGatewayRestApi";
const HTTP: &str = "HttpApi";

/// Whether a tree is a `serverless.yml`.
pub(crate) fn is_serverless(tree: &Tree) -> bool {
    tree.root().get("service").is_some() && tree.root().get("provider").is_some()
}

/// A service, its variables replaced.
struct Service<'t, 'a> {
    assembly: &'a mut Assembly<'t>,
    /// What stands under `resources`.
    resources: &'a [Resource],
    /// What browsers may do, by API and path.
    preflights: BTreeMap<(String, String), Preflight>,
    root: Node,
    name: String,
    stage: String,
}

/// Reads a service.
pub(crate) fn import(
    tree: &Tree,
    options: &Options,
    world: &dyn World,
) -> (Option<Imported>, Vec<Diagnostic>) {
    let variables = Variables::new(tree, options, world);
    let root = variables.resolve_root();
    let raw = tree.with_root(variables.resources());
    let found = variables.finish();
    let service = root.get("service");
    let name = service.and_then(|it| build::scalar(it).or_else(|| it.get("name").and_then(build::scalar)));
    let name = name.unwrap_or_else(|| "service".into());
    let stage = options.parameters.get("stage").cloned();
    let stage = stage.or_else(|| root.get("provider").and_then(|it| it.get("stage")).and_then(build::scalar));
    let stage = stage.unwrap_or_else(|| "dev".into());
    let mut assembly = Assembly::new(&raw, options, world);
    let arns = functions_of(&root).into_iter().flat_map(|it| entries(Some(it))).map(|entry| {
        let arn = functions::arn(&format!("{name}-{stage}-{}", entry.key), &options.variables);
        (format!("{}LambdaFunction", logical(&entry.key)), arn)
    });
    assembly.resolver.of_service(arns.collect());
    let resources = resources::read(&mut assembly, &raw);
    for resource in &resources {
        unresolved(&assembly, &resource.properties);
    }
    resources::apis(&mut assembly, &resources);
    let root = without_functions(&assembly, root);
    let preflights = BTreeMap::new();
    let mut service =
        Service { assembly: &mut assembly, resources: &resources, preflights, name, stage, root };
    service.read();
    service.name_paths();
    resources::parts(&mut assembly, &resources);
    if !found.is_empty() {
        assembly.resolver.note_lack();
    }
    let (imported, mut all) = assembly.finish(tree);
    if !found.is_empty() {
        // What could not be resolved is the reason for what is missing.
        all.retain(|it| !it.message.starts_with("there is no API"));
    }
    all.extend(found);
    (imported, all)
}

/// A function's name as it stands in names of resources.
fn logical(name: &str) -> String {
    let name = name.replace('-', "Dash").replace('_', "Underscore");
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// `functions`: one map or a list of maps.
fn functions_of(root: &Node) -> Vec<&Node> {
    match root.get("functions").map(|it| (&it.value, it)) {
        Some((Value::List(items), _)) => items.iter().collect(),
        Some((_, one)) => vec![one],
        None => Vec::new(),
    }
}

/// Says which variables nobody could resolve in what matters.
fn unresolved(assembly: &Assembly<'_>, node: &Node) {
    match &node.value {
        Value::Text(text) => {
            let mut variables = text.split("${").skip(1).filter_map(|rest| Some(rest.split_once('}')?.0));
            let is_one = |it: &&str| it.contains(':') && !it.contains("::");
            if let Some(inner) = variables.find(is_one) {
                let message = format!("nothing is known of {}", quote(&format!("${{{inner}}}")));
                assembly.resolver.lacks(&node.span, message, format!("say `--param '{inner}=…'`"));
            }
        }
        Value::List(items) => items.iter().for_each(|item| unresolved(assembly, item)),
        Value::Map(entries) => entries.iter().for_each(|entry| unresolved(assembly, &entry.value)),
        _ => {}
    }
}

/// What the provider says of APIs, without functions of CloudFormation in it. Which API of another stack is meant does not matter.
fn without_functions(assembly: &Assembly<'_>, mut root: Node) -> Node {
    let Value::Map(sections) = &mut root.value else { return root };
    let Some(provider) = sections.iter_mut().find(|it| &*it.key == "provider") else { return root };
    let Value::Map(fields) = &mut provider.value.value else { return root };
    for field in fields.iter_mut().filter(|it| matches!(&*it.key, "apiGateway" | "httpApi")) {
        let Value::Map(own) = &mut field.value.value else { continue };
        for entry in own.iter_mut().filter(|it| !ELSEWHERE.contains(&&*it.key)) {
            entry.value = assembly.resolver.resolve(&entry.value);
        }
    }
    root
}

impl Service<'_, '_> {
    fn read(&mut self) {
        let root = self.root.clone();
        let none = build::map::<&str>([], &root.span);
        let provider = root.get("provider").unwrap_or(&none);
        if let Some(name) = provider.get("name").filter(|it| build::scalar(it).as_deref() != Some("aws")) {
            self.assembly.resolver.fail(&name.span, "the provider is not `aws`");
        }
        for Entry { key, value, .. } in functions_of(&root).into_iter().flat_map(|it| entries(Some(it))) {
            self.function(key, value, provider);
        }
        self.answer_preflights();
        let raw = self.assembly.resolver.root();
        if let Some(extensions) = raw.get("extensions") {
            let why = "it changes what the framework makes, which is not made here";
            self.assembly.left("resources.extensions".into(), why, &extensions.span);
        }
        let left = [
            ("apiKeys", "API keys are not built yet"),
            ("usagePlan", "usage plans are not built yet"),
            ("websocketsApiRouteSelectionExpression", "WebSocket APIs are not built yet"),
        ];
        let of_gateway = provider.get("apiGateway");
        for (key, why) in left {
            if let Some(given) = of_gateway.and_then(|it| it.get(key)).or_else(|| provider.get(key)) {
                self.assembly.left(format!("provider {key}"), why, &given.span);
            }
        }
        self.others(provider);
        for key in ["logs", "tracing"] {
            if let Some(given) = provider.get(key) {
                let why = "logs and traces are the node's own: see [access_log]";
                self.assembly.left(format!("provider.{key}"), why, &given.span);
            }
        }
    }

    fn function(&mut self, name: &str, function: &Node, provider: &Node) {
        let text = |node: &Node, key: &str| node.get(key).and_then(build::scalar);
        let handler = text(function, "handler");
        self.assembly.functions.push(Function {
            name: name.to_owned(),
            handler: handler.clone(),
            runtime: text(function, "runtime").or_else(|| text(provider, "runtime")),
            code: handler
                .and_then(|it| it.rsplit_once('/').map(|(folder, _)| folder.to_owned()))
                .or_else(|| Some(".".into())),
            origin: self.assembly.resolver.origin(&function.span),
        });
        let why = "functions do not run here yet: its routes are refused when they are deployed";
        self.assembly.left(format!("functions.{name}"), why, &function.span);
        let events = match function.get("events").map(|it| &it.value) {
            Some(Value::List(items)) => items.as_slice(),
            _ => &[],
        };
        for event in events {
            for Entry { key, value, .. } in entries(Some(event)) {
                let what = format!("functions.{name} {key}");
                match &**key {
                    "http" => {
                        let value = self.assembly.resolver.resolve(value);
                        self.http(name, &value, provider, &what);
                    }
                    "httpApi" => {
                        let value = self.assembly.resolver.resolve(value);
                        self.http_api(name, &value, provider, &what);
                    }
                    "websocket" => self.assembly.left(what, "WebSocket APIs are not built yet", &value.span),
                    _ => self.assembly.left(what, "it is no event of an API", &value.span),
                }
            }
            if let Some(kind) = build::scalar(event) {
                self.assembly.left(
                    format!("functions.{name} {kind}"),
                    "it is no event of an API",
                    &event.span,
                );
            }
        }
    }

    /// Tells the names that the framework gives to paths, by which resources may name them.
    fn name_paths(&mut self) {
        let drafts = self.assembly.drafts.iter().filter(|draft| draft.kind == Kind::Rest);
        let written = drafts.flat_map(|draft| entries(draft.document.get("paths")));
        let mut named = BTreeMap::new();
        for path in written.map(|entry| &*entry.key) {
            let (mut name, mut so_far) = ("ApiGatewayResource".to_owned(), String::new());
            for part in path.split('/').filter(|part| !part.is_empty()) {
                let variable = part.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
                let part_name = variable.map_or_else(|| part.to_owned(), |it| format!("{it}Var"));
                let dashed = part_name.replace('-', "Dash");
                let letters: String = dashed.chars().filter(char::is_ascii_alphanumeric).collect();
                name.push_str(&logical(&letters));
                so_far = format!("{so_far}/{part}");
                named.insert(name.clone(), so_far.clone());
            }
        }
        self.assembly.paths = named;
    }

    /// What the provider says beside what is looked at.
    fn others(&mut self, provider: &Node) {
        let of_rest = [
            "apiKeySourceType",
            "apiKeys",
            "binaryMediaTypes",
            "disableDefaultEndpoint",
            "minimumCompressionSize",
            "request",
            "resourcePolicy",
            "restApiId",
            "restApiResources",
            "restApiRootResourceId",
            "shouldStartNameWithService",
            "usagePlan",
        ];
        let of_http = [
            "authorizers",
            "cors",
            "disableDefaultEndpoint",
            "id",
            "name",
            "payload",
            "shouldStartNameWithService",
        ];
        for (section, known) in [("apiGateway", &of_rest[..]), ("httpApi", &of_http[..])] {
            if let Some(given) = provider.get(section) {
                known::others_of(self.assembly, &format!("provider.{section}"), given, known);
            }
        }
    }

    /// The name in the template of an authorizer that stands under `resources`.
    fn authorizer_of(&self, id: &str) -> Option<String> {
        let is_it = |it: &&Resource| it.logical == id && it.kind.ends_with("::Authorizer");
        let resource = self.resources.iter().find(is_it)?;
        Some(resource.text("Name").unwrap_or_else(|| id.to_owned()))
    }

    /// The function's ARN, as the framework names it: service, stage, function.
    fn arn(&self, function: &str) -> String {
        let name = format!("{}-{}-{function}", self.name, self.stage);
        functions::arn(&name, &self.assembly.options.variables)
    }

    /// The service's API of a kind, made when it is needed first.
    fn api(&mut self, kind: Kind, provider: &Node, span: &Span) -> Option<&mut Draft> {
        let (section, id, own) =
            if kind == Kind::Rest { ("apiGateway", "restApiId", REST) } else { ("httpApi", "id", HTTP) };
        // It may be one that stands under `resources`.
        let given = provider.get(section).and_then(|it| it.get(id));
        let named = given.and_then(|it| it.get("Ref").or(Some(it))).and_then(build::scalar);
        let named = named.filter(|id| self.assembly.drafts.iter().any(|draft| draft.logical == *id));
        let logical = &*named.unwrap_or_else(|| own.to_owned());
        let by_service = provider
            .get(section)
            .and_then(|it| it.get("shouldStartNameWithService"))
            .and_then(build::scalar)
            .is_some_and(|it| it == "true");
        let usual = match by_service {
            true => format!("{}-{}", self.name, self.stage),
            false => format!("{}-{}", self.stage, self.name),
        };
        if !self.assembly.drafts.iter().any(|draft| draft.logical == logical) {
            let (mut draft, stage) = match kind {
                Kind::Rest => {
                    let name = provider.get("apiName").and_then(build::scalar);
                    let name = name.unwrap_or(usual);
                    (Draft::new(kind, logical, &name, span), self.stage.clone())
                }
                _ => {
                    let name = provider.get("httpApi").and_then(|it| it.get("name")).and_then(build::scalar);
                    let name = name.unwrap_or(usual);
                    (Draft::new(kind, logical, &name, span), "$default".to_owned())
                }
            };
            let origin = Some(self.assembly.resolver.origin(span));
            draft.stages.push(Stage { name: stage.clone(), auto_deploy: true, origin, ..Stage::default() });
            match kind {
                Kind::Rest => self.rest_settings(&mut draft, provider),
                _ => self.http_settings(&mut draft, provider),
            }
            let noun = if kind == Kind::Rest { "rest" } else { "http" };
            let became = format!("[[api]] of kind \"{noun}\" with stage {stage}");
            self.assembly.mapped(logical.to_owned(), became, span);
            self.assembly.drafts.push(draft);
        }
        self.assembly.draft(logical, span)
    }
}
