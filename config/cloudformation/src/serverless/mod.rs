//! `serverless.yml` → APIs (section 5.1): events `http` make a REST API, events `httpApi` an HTTP API; raw CloudFormation under
//! `resources` is left to the importer of CloudFormation.

mod event;
mod http_api;
mod rest_api;
mod variables;

use model::{Diagnostic, Kind, Stage};
use openapi::tree::{Entry, Node, Tree, Value};

use crate::{
    Function, Imported, Options, World,
    build::{self, Span},
    functions,
    intrinsics::entries,
    resources::{Assembly, Draft},
};
use variables::Variables;

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
    let found = variables.finish();
    let mut assembly = Assembly::new(tree, options);
    let service = root.get("service");
    let name = service.and_then(|it| build::scalar(it).or_else(|| it.get("name").and_then(build::scalar)));
    let stage = options.parameters.get("stage").cloned();
    let stage = stage.or_else(|| root.get("provider").and_then(|it| it.get("stage")).and_then(build::scalar));
    let service = Service {
        assembly: &mut assembly,
        name: name.unwrap_or_else(|| "service".into()),
        stage: stage.unwrap_or_else(|| "dev".into()),
        root,
    };
    service.read();
    let (imported, mut all) = assembly.finish(tree);
    if !found.is_empty() {
        // What could not be resolved is the reason for what is missing.
        all.retain(|it| !it.message.starts_with("there is no API"));
    }
    all.extend(found);
    (imported, all)
}

impl Service<'_, '_> {
    fn read(mut self) {
        let root = self.root.clone();
        let none = build::map::<&str>([], &root.span);
        let provider = root.get("provider").unwrap_or(&none);
        if let Some(name) = provider.get("name").filter(|it| build::scalar(it).as_deref() != Some("aws")) {
            self.assembly.resolver.fail(&name.span, "the provider is not `aws`");
        }
        // `functions` may be one map or a list of maps.
        let lists: Vec<&Node> = match root.get("functions").map(|it| (&it.value, it)) {
            Some((Value::List(items), _)) => items.iter().collect(),
            Some((_, one)) => vec![one],
            None => Vec::new(),
        };
        for Entry { key, value, .. } in lists.into_iter().flat_map(|it| entries(Some(it))) {
            self.function(key, value, provider);
        }
        if let Some(resources) = root.get("resources") {
            let why = "raw CloudFormation beside functions is not read: import it by itself";
            self.assembly.left("resources".into(), why, &resources.span);
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
                    "http" => self.http(name, value, provider, &what),
                    "httpApi" => self.http_api(name, value, provider, &what),
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

    /// The function's ARN, as the framework names it: service, stage, function.
    fn arn(&self, function: &str) -> String {
        let name = format!("{}-{}-{function}", self.name, self.stage);
        functions::arn(&name, &self.assembly.options.variables)
    }

    /// The service's API of a kind, made when it is needed first.
    fn api(&mut self, kind: Kind, provider: &Node, span: &Span) -> Option<&mut Draft> {
        let logical = if kind == Kind::Rest { REST } else { HTTP };
        if !self.assembly.drafts.iter().any(|draft| draft.logical == logical) {
            let (mut draft, stage) = match kind {
                Kind::Rest => {
                    let name = provider.get("apiName").and_then(build::scalar);
                    let name = name.unwrap_or_else(|| format!("{}-{}", self.stage, self.name));
                    (Draft::new(kind, logical, &name, span), self.stage.clone())
                }
                _ => {
                    let name = provider.get("httpApi").and_then(|it| it.get("name")).and_then(build::scalar);
                    let name = name.unwrap_or_else(|| format!("{}-{}", self.stage, self.name));
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
