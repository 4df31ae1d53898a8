//! All resources of a template, and the APIs that come of them.

use std::collections::{BTreeMap, BTreeSet};

use model::{Api, Diagnostic, Domain, Kind, Mapping, Severity, Stage};
use openapi::{
    BasePath, Options as OpenApi,
    tree::{Entry, Node, Tree, Value, quote},
};
use progress::Progress;

use crate::{
    Function, Imported, Note, Options, World,
    build::{self, Span},
    http,
    intrinsics::{Resolver, entries},
    known, rest, routing, sam, stage,
};

/// An API as it comes together.
pub(crate) struct Draft {
    /// Its name in the template: what `Ref` gives.
    pub(crate) logical: String,
    pub(crate) kind: Kind,
    /// An OpenAPI document.
    pub(crate) document: Node,
    /// Whether the template brought the document.
    pub(crate) is_given: bool,
    /// The file that the document is of, if it is no part of the template.
    pub(crate) file: Option<Tree>,
    /// What becomes of the path of the document's server.
    pub(crate) base_path: BasePath,
    pub(crate) fail_on_warnings: bool,
    pub(crate) stages: Vec<Stage>,
    pub(crate) mappings: Vec<Mapping>,
    pub(crate) span: Span,
    /// Authorizers by their name in the template: the scheme's name in the document.
    pub(crate) schemes: BTreeMap<String, String>,
    /// Models by the key that a service has them under: their names in the document.
    pub(crate) models: BTreeMap<String, String>,
}

impl Draft {
    /// One without paths.
    pub(crate) fn new(kind: Kind, logical: &str, name: &str, span: &Span) -> Self {
        let info =
            build::map([("title", build::text(name, span)), ("version", build::text("1.0", span))], span);
        let document = build::map(
            [
                ("openapi", build::text("3.0.1", span)),
                ("info", info),
                ("paths", build::map::<&str>([], span)),
            ],
            span,
        );
        Self::of(kind, logical, document, false, span)
    }

    /// One that the template brought.
    pub(crate) fn given(kind: Kind, logical: &str, document: Node, span: &Span) -> Self {
        Self::of(kind, logical, document, true, span)
    }

    /// One that a file beside the template is.
    pub(crate) fn of_file(kind: Kind, logical: &str, file: Tree, span: &Span) -> Self {
        let document = build::placed(file.root(), span);
        Self { file: Some(file), ..Self::of(kind, logical, document, true, span) }
    }

    /// Whether its document is written in Swagger 2.0, which has other names and places for some things.
    pub(crate) fn is_swagger(&self) -> bool {
        self.document.get("swagger").is_some()
    }

    fn of(kind: Kind, logical: &str, document: Node, is_given: bool, span: &Span) -> Self {
        Self {
            logical: logical.to_owned(),
            kind,
            document,
            is_given,
            file: None,
            base_path: BasePath::default(),
            fail_on_warnings: false,
            stages: Vec::new(),
            mappings: Vec::new(),
            span: span.clone(),
            schemes: BTreeMap::new(),
            models: BTreeMap::new(),
        }
    }

    /// Adds an operation; `ANY` is every method, `$default` what no other route takes.
    pub(crate) fn operation(&mut self, path: &str, method: &str, mut operation: Node) {
        let span = operation.span.clone();
        let name = match method.to_ascii_lowercase() {
            any if any == "any" || any == "*" => "x-amazon-apigateway-any-method".to_owned(),
            method => method,
        };
        if operation.get("responses").is_none() {
            build::put(&mut operation, "responses", build::map::<&str>([], &span));
        }
        let paths = build::child(&mut self.document, "paths", &span);
        build::put(build::child(paths, path, &span), name, operation);
    }

    /// Adds something under `components`, or where Swagger 2.0 has it.
    pub(crate) fn component(&mut self, group: &str, name: &str, value: Node) {
        let span = value.span.clone();
        let group = match (self.is_swagger(), group) {
            (true, "schemas") => build::child(&mut self.document, "definitions", &span),
            (true, _) => build::child(&mut self.document, "securityDefinitions", &span),
            (false, group) => {
                build::child(build::child(&mut self.document, "components", &span), group, &span)
            }
        };
        build::put(group, name, value);
    }

    /// Adds tags: a map of them, or CloudFormation's list of keys and values.
    pub(crate) fn tags(&mut self, given: Option<&Node>) {
        let pair = |name: Node, value: Node, span: &Span| {
            build::map([("name", name), ("x-amazon-apigateway-tag-value", value)], span)
        };
        let of_map = entries(given).iter().map(|entry| {
            pair(build::text(entry.key.clone(), &entry.key_span), entry.value.clone(), &entry.key_span)
        });
        let of_list = rest::list(given)
            .iter()
            .filter_map(|tag| Some(pair(tag.get("Key")?.clone(), tag.get("Value")?.clone(), &tag.span)));
        let mut tags: Vec<_> = rest::list(self.document.get("tags")).to_vec();
        tags.extend(of_map.chain(of_list));
        if !tags.is_empty() {
            let span = self.span.clone();
            self.field("tags", build::list(tags, &span));
        }
    }

    /// Sets a field of the document.
    pub(crate) fn field(&mut self, name: &str, value: Node) {
        build::put(&mut self.document, name, value);
    }

    /// The name of the scheme that asks for an API key.
    pub(crate) fn api_key(&mut self, span: &Span) -> &'static str {
        const NAME: &str = "api_key";
        let scheme = [("type", "apiKey"), ("name", "x-api-key"), ("in", "header")];
        self.component(
            "securitySchemes",
            NAME,
            build::map(scheme.map(|(key, value)| (key, build::text(value, span))), span),
        );
        NAME
    }

    /// The name of the scheme that asks for a signature.
    pub(crate) fn signature(&mut self, span: &Span) -> &'static str {
        const NAME: &str = "sigv4";
        let scheme = [
            ("type", "apiKey"),
            ("name", "Authorization"),
            ("in", "header"),
            ("x-amazon-apigateway-authtype", "awsSigv4"),
        ];
        self.component(
            "securitySchemes",
            NAME,
            build::map(scheme.map(|(key, value)| (key, build::text(value, span))), span),
        );
        NAME
    }
}

/// A resource without functions in its properties.
pub(crate) struct Resource {
    pub(crate) logical: String,
    pub(crate) kind: String,
    pub(crate) properties: Node,
    pub(crate) span: Span,
}

impl Resource {
    /// A property.
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        self.properties.get(name)
    }

    /// A property that is a string or is written like one.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(build::scalar)
    }

    /// Whether a property is true.
    pub(crate) fn holds(&self, name: &str) -> bool {
        self.text(name).as_deref().is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    /// How it is called in reports.
    pub(crate) fn title(&self) -> String {
        format!("{} ({})", self.logical, self.kind)
    }
}

/// What is put together of a template.
pub(crate) struct Assembly<'t> {
    pub(crate) resolver: Resolver<'t>,
    pub(crate) options: &'t Options,
    pub(crate) drafts: Vec<Draft>,
    pub(crate) domains: Vec<Domain>,
    pub(crate) functions: Vec<Function>,
    pub(crate) notes: Vec<Note>,
    /// Resources that a tool of AWS makes for paths: `ApiGatewayResourceItemsIdVar`, and their paths.
    pub(crate) paths: BTreeMap<String, String>,
}

impl<'t> Assembly<'t> {
    pub(crate) fn new(tree: &'t Tree, options: &'t Options, world: &'t dyn World) -> Self {
        Self {
            resolver: Resolver::new(tree, options, world),
            options,
            drafts: Vec::new(),
            domains: Vec::new(),
            functions: Vec::new(),
            notes: Vec::new(),
            paths: BTreeMap::new(),
        }
    }

    /// The API of that name in the template; said if there is none.
    pub(crate) fn draft(&mut self, logical: &str, span: &Span) -> Option<&mut Draft> {
        let place = self.drafts.iter().position(|draft| draft.logical == logical);
        if place.is_none() {
            self.resolver.fail(span, format!("there is no API {}", quote(logical)));
        }
        place.map(|place| &mut self.drafts[place])
    }

    /// Says that something became something.
    pub(crate) fn mapped(&mut self, what: String, became: impl Into<String>, span: &Span) {
        self.notes.push(Note::mapped(what, became, self.resolver.origin(span)));
    }

    /// Says that something was left out.
    pub(crate) fn left(&mut self, what: String, why: impl Into<String>, span: &Span) {
        self.notes.push(Note::left(what, why, self.resolver.origin(span)));
    }

    /// The APIs, each judged by the importer of OpenAPI documents; not before all that they are made of has a value, so that
    /// who is told of one that is missing is not told of a URL without a host as well.
    pub(crate) fn finish(mut self, tree: &Tree) -> (Option<Imported>, Vec<Diagnostic>) {
        if self.resolver.lacks_values() {
            return (None, self.resolver.finish());
        }
        let drafts = std::mem::take(&mut self.drafts);
        let (mut found, mut apis, mut names) = (Vec::new(), Vec::<Api>::new(), BTreeMap::new());
        for mut draft in drafts {
            if draft.stages.is_empty() {
                let name = if draft.kind == Kind::Http { "$default" } else { "prod" };
                draft.stages.push(Stage { name: name.into(), auto_deploy: true, ..Stage::default() });
                let what = format!("{} (without a stage)", draft.logical);
                self.mapped(
                    what,
                    format!("[[api.stage]] {name}: nothing is reached without one"),
                    &draft.span,
                );
            }
            let (imported, diagnostics) = judged(&draft, tree, self.options, self.resolver.progress());
            found.extend(diagnostics);
            let Some(imported) = imported else { continue };
            let is_taken = apis.iter().any(|api| api.name == imported.name);
            let name = if is_taken { format!("{}-{}", imported.name, draft.logical) } else { imported.name };
            names.insert(draft.logical, name.clone());
            apis.push(Api {
                mappings: draft.mappings,
                stages: draft.stages,
                definition: imported.definition,
                endpoint: imported.endpoint.unwrap_or_default(),
                ip_address_type: imported.ip_address_type.unwrap_or_default(),
                vpc_endpoint_ids: imported.vpc_endpoint_ids,
                fail_on_warnings: imported.fail_on_warnings,
                origin: Some(tree.origin(&draft.span)),
                ..Api::new(name, draft.kind)
            });
        }
        let Self { resolver, mut domains, functions, notes, .. } = self;
        found.extend(resolver.finish());
        for rule in domains.iter_mut().flat_map(|domain| &mut domain.rules) {
            if let Some(name) = names.get(&rule.api) {
                rule.api.clone_from(name);
            }
        }
        if apis.is_empty() && found.iter().all(|it| it.severity == Severity::Warning) {
            let message = "there is no API in this template";
            let help = "it has neither `AWS::Serverless::Api`, `AWS::ApiGateway::RestApi` nor `AWS::ApiGatewayV2::Api`, and no \
                        function with an event of an API";
            found.push(Diagnostic::error(Some(&tree.origin(&tree.root().span)), "", message).help(help));
        }
        (Some(Imported { apis, domains, functions, notes }), found)
    }
}

/// What an API's document says. One in a file is judged by itself first, so that its mistakes stand where it has them.
fn judged(
    draft: &Draft,
    tree: &Tree,
    options: &Options,
    progress: &Progress,
) -> (Option<openapi::Imported>, Vec<Diagnostic>) {
    let of_api = OpenApi {
        kind: Some(draft.kind),
        variables: options.variables.clone(),
        base_path: draft.base_path,
        fail_on_warnings: draft.fail_on_warnings || options.fail_on_warnings,
        allow_unenforced_security: options.allow_unenforced_security,
        ..OpenApi::default()
    };
    let document = tree.with_root(draft.document.clone());
    let Some(file) = &draft.file else { return openapi::import(&document, &of_api, progress) };
    let (alone, mut found) = openapi::import(file, &of_api, progress);
    if alone.is_none() {
        return (None, found);
    }
    let (imported, again) = openapi::import(&document, &of_api, progress);
    let said: BTreeSet<_> = found.iter().map(|it| it.message.clone()).collect();
    found.extend(again.into_iter().filter(|it| !said.contains(&it.message)));
    (imported, found)
}

/// Reads a CloudFormation or SAM template.
pub(crate) fn import(
    tree: &Tree,
    options: &Options,
    world: &dyn World,
) -> (Option<Imported>, Vec<Diagnostic>) {
    let mut assembly = Assembly::new(tree, options, world);
    transforms(&mut assembly, tree.root().get("Transform"));
    let resources = read(&mut assembly, tree);
    // APIs before what belongs to them, whatever their order in the text.
    apis(&mut assembly, &resources);
    parts(&mut assembly, &resources);
    assembly.finish(tree)
}

/// All resources of a template that say something of APIs.
pub(crate) fn read(assembly: &mut Assembly<'_>, tree: &Tree) -> Vec<Resource> {
    let globals = tree.root().get("Globals").map(|it| sam::globals(assembly, it));
    let mut resources = Vec::new();
    for Entry { key, key_span, value } in entries(tree.root().get("Resources")) {
        if &**key == "Fn::Transform" || key.starts_with("Fn::ForEach") {
            let message = format!("resources that {} makes can't be read here", quote(key));
            assembly.resolver.fail(key_span, message);
            continue;
        }
        let Some(kind) = value.get("Type").and_then(Node::as_str) else {
            assembly.resolver.fail(&value.span, format!("the resource {} has no `Type`", quote(key)));
            continue;
        };
        let Some(looked_at) = looked_at(kind) else { continue };
        if !assembly.resolver.is_made(value) {
            assembly.left(format!("{key} ({kind})"), "its condition does not hold", &value.span);
            continue;
        }
        let span = value.span.clone();
        let mut properties = build::map::<&str>([], &span);
        for entry in entries(value.get("Properties")) {
            // What has nothing to do with APIs may name what only a stack knows.
            if looked_at.is_empty() || looked_at.contains(&&*entry.key) {
                let value = match &*entry.key {
                    "Events" => sam::events(assembly, &entry.value),
                    _ => assembly.resolver.resolve(&entry.value),
                };
                if !matches!(value.value, Value::Null) {
                    build::put(&mut properties, entry.key.clone(), value);
                }
            }
        }
        if let Some(globals) = &globals {
            sam::inherit(kind, &mut properties, globals);
        }
        resources.push(Resource { logical: key.to_string(), kind: kind.to_owned(), properties, span });
    }
    sam::implied(assembly, &mut resources, globals.as_ref());
    resources
}

/// The properties that are looked at, all of them if none is named; `None`: the resource is none of ours.
fn looked_at(kind: &str) -> Option<&'static [&'static str]> {
    match kind {
        "AWS::Serverless::Function" => Some(sam::OF_FUNCTIONS),
        "AWS::Lambda::Function" => Some(&["Handler", "Runtime"]),
        _ => {
            let ours = ["AWS::ApiGateway::", "AWS::ApiGatewayV2::", "AWS::Serverless::"];
            let is_ours = ours.iter().any(|it| kind.starts_with(it));
            (is_ours && !kind.ends_with("LayerVersion") && !kind.ends_with("SimpleTable")).then_some(&[])
        }
    }
}

/// Macros over the whole template.
fn transforms(assembly: &mut Assembly<'_>, given: Option<&Node>) {
    let Some(given) = given else { return };
    let names = match &given.value {
        Value::List(items) => items.iter().collect(),
        _ => vec![given],
    };
    for name in names {
        let text =
            build::scalar(name).or_else(|| name.get("Name").and_then(build::scalar)).unwrap_or_default();
        if !text.starts_with("AWS::Serverless") && text != "AWS::LanguageExtensions" {
            let message = format!("the transform {} can't be applied here", quote(&text));
            assembly.resolver.fail(&name.span, message);
        }
    }
}

/// APIs.
pub(crate) fn apis(assembly: &mut Assembly<'_>, resources: &[Resource]) {
    sam::apis(assembly, resources);
    rest::apis(assembly, resources);
    http::apis(assembly, resources);
}

/// What belongs to APIs.
pub(crate) fn parts(assembly: &mut Assembly<'_>, resources: &[Resource]) {
    sam::functions(assembly, resources);
    rest::parts(assembly, resources);
    http::parts(assembly, resources);
    stage::stages(assembly, resources);
    stage::domains(assembly, resources);
    routing::rules(assembly, resources);
    left_over(assembly, resources);
    known::others(assembly, resources);
}

/// Says what of API Gateway was left out; all else is none of ours.
fn left_over(assembly: &mut Assembly<'_>, resources: &[Resource]) {
    for resource in resources {
        let why = match &*resource.kind {
            "AWS::ApiGateway::ApiKey" | "AWS::ApiGateway::UsagePlan" | "AWS::ApiGateway::UsagePlanKey" => {
                "API keys and usage plans are not built yet"
            }
            "AWS::ApiGateway::Account" | "AWS::ApiGateway::ClientCertificate" => {
                "there is no account here that it could belong to"
            }
            "AWS::ApiGateway::VpcLink" | "AWS::ApiGatewayV2::VpcLink" => "VPC links are not built yet",
            "AWS::ApiGateway::DocumentationVersion" => {
                "versions of documentation are made when they are needed"
            }
            "AWS::Serverless::WebSocketApi" => "WebSocket APIs are not built yet",
            "AWS::ApiGatewayV2::RouteResponse" | "AWS::ApiGatewayV2::IntegrationResponse" => {
                "it belongs to a WebSocket API"
            }
            "AWS::ApiGatewayV2::ApiGatewayManagedOverrides" => {
                "it changes what AWS made by itself, which is not there"
            }
            "AWS::ApiGatewayV2::Model" => "models of version 2 are WebSocket APIs' alone",
            "AWS::Serverless::Function"
            | "AWS::Lambda::Function"
            | "AWS::ApiGateway::Deployment"
            | "AWS::ApiGatewayV2::Deployment"
            | "AWS::ApiGatewayV2::Integration" => continue,
            kind if known::is(kind) => continue,
            _ => "nothing here takes it",
        };
        assembly.left(resource.title(), why, &resource.span);
    }
}

/// The strings of a list, or the one that stands there.
pub(crate) fn texts(node: &Node) -> Vec<String> {
    match &node.value {
        Value::List(items) => items.iter().filter_map(build::scalar).collect(),
        _ => build::scalar(node).into_iter().collect(),
    }
}
