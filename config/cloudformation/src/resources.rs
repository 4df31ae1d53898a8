//! All resources of a template, and the APIs that come of them.

use std::collections::BTreeMap;

use model::{Api, Diagnostic, Domain, Kind, Mapping, Severity, Stage};
use openapi::{
    Options as OpenApi,
    tree::{Entry, Node, Tree, Value, quote},
};

use crate::{
    Function, Imported, Note, Options,
    build::{self, Span},
    http,
    intrinsics::{Resolver, entries},
    rest, sam, stage,
};

/// An API as it comes together.
pub(crate) struct Draft {
    /// Its name in the template: what `Ref` gives.
    pub(crate) logical: String,
    pub(crate) kind: Kind,
    /// An OpenAPI document.
    pub(crate) document: Node,
    /// Whether the template brought the document, so that nothing is added to it.
    pub(crate) is_given: bool,
    pub(crate) stages: Vec<Stage>,
    pub(crate) mappings: Vec<Mapping>,
    pub(crate) span: Span,
    /// Authorizers by their name in the template: the scheme's name in the document.
    pub(crate) schemes: BTreeMap<String, String>,
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

    fn of(kind: Kind, logical: &str, document: Node, is_given: bool, span: &Span) -> Self {
        Self {
            logical: logical.to_owned(),
            kind,
            document,
            is_given,
            stages: Vec::new(),
            mappings: Vec::new(),
            span: span.clone(),
            schemes: BTreeMap::new(),
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

    /// Adds something under `components`.
    pub(crate) fn component(&mut self, group: &str, name: &str, value: Node) {
        let span = value.span.clone();
        let components = build::child(&mut self.document, "components", &span);
        build::put(build::child(components, group, &span), name, value);
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
}

impl<'t> Assembly<'t> {
    pub(crate) fn new(tree: &'t Tree, options: &'t Options) -> Self {
        Self {
            resolver: Resolver::new(tree, options),
            options,
            drafts: Vec::new(),
            domains: Vec::new(),
            functions: Vec::new(),
            notes: Vec::new(),
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

    /// The APIs, each judged by the importer of OpenAPI documents.
    pub(crate) fn finish(self, tree: &Tree) -> (Option<Imported>, Vec<Diagnostic>) {
        let Self { resolver, options, drafts, domains, functions, notes } = self;
        let mut found = resolver.finish();
        let mut apis: Vec<Api> = Vec::new();
        for draft in drafts {
            let of_api = OpenApi {
                kind: Some(draft.kind),
                variables: options.variables.clone(),
                ..OpenApi::default()
            };
            let origin = tree.origin(&draft.span);
            let (imported, diagnostics) = openapi::import(&tree.with_root(draft.document), &of_api);
            found.extend(diagnostics);
            let Some(imported) = imported else { continue };
            let is_taken = apis.iter().any(|api| api.name == imported.name);
            let name = if is_taken { format!("{}-{}", imported.name, draft.logical) } else { imported.name };
            let mut stages = draft.stages;
            if stages.is_empty() {
                let name = if draft.kind == Kind::Http { "$default" } else { "prod" };
                stages.push(Stage { name: name.into(), auto_deploy: true, ..Stage::default() });
            }
            apis.push(Api {
                mappings: draft.mappings,
                stages,
                definition: imported.definition,
                endpoint: imported.endpoint.unwrap_or_default(),
                ip_address_type: imported.ip_address_type.unwrap_or_default(),
                vpc_endpoint_ids: imported.vpc_endpoint_ids,
                origin: Some(origin),
                ..Api::new(name, draft.kind)
            });
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

/// Reads a CloudFormation or SAM template.
pub(crate) fn import(tree: &Tree, options: &Options) -> (Option<Imported>, Vec<Diagnostic>) {
    let mut assembly = Assembly::new(tree, options);
    let transforms = tree.root().get("Transform");
    let globals = tree.root().get("Globals").map(|it| assembly.resolver.resolve(it));
    let mut resources = Vec::new();
    for Entry { key, value, .. } in entries(tree.root().get("Resources")) {
        if !assembly.resolver.is_made(value) {
            assembly.left(format!("{key}"), "its condition does not hold", &value.span);
            continue;
        }
        let Some(kind) = value.get("Type").and_then(Node::as_str) else {
            assembly.resolver.fail(&value.span, format!("the resource {} has no `Type`", quote(key)));
            continue;
        };
        let kind = kind.to_owned();
        let properties = value.get("Properties");
        let span = first_line(value);
        let mut properties =
            properties.map_or_else(|| build::map::<&str>([], &span), |it| assembly.resolver.resolve(it));
        if let Some(globals) = &globals {
            sam::inherit(&kind, &mut properties, globals);
        }
        resources.push(Resource { logical: key.to_string(), kind, properties, span });
    }
    if let Some(transform) = transforms {
        for name in texts(transform).iter().filter(|name| !name.starts_with("AWS::Serverless")) {
            assembly
                .resolver
                .fail(&transform.span, format!("the transform {} can't be applied here", quote(name)));
        }
    }
    // APIs before what belongs to them, whatever their order in the text.
    sam::apis(&mut assembly, &resources);
    rest::apis(&mut assembly, &resources);
    http::apis(&mut assembly, &resources);
    sam::functions(&mut assembly, &resources);
    rest::parts(&mut assembly, &resources);
    http::parts(&mut assembly, &resources);
    stage::stages(&mut assembly, &resources);
    stage::domains(&mut assembly, &resources);
    left_over(&mut assembly, &resources);
    assembly.finish(tree)
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
            "AWS::ApiGatewayV2::ApiGatewayManagedOverrides"
            | "AWS::ApiGatewayV2::RoutingRule"
            | "AWS::ApiGatewayV2::Model" => "it is not imported yet",
            _ => continue,
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

/// The beginning of a node: a place to point at.
fn first_line(node: &Node) -> Span {
    node.span.clone()
}
