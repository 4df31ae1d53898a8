//! `cors` of events `http`: what browsers are told before they ask, by path and for all of its methods.

use openapi::tree::Node;

use super::{
    Service,
    rest_api::{method_responses, typed},
};
use crate::{
    build::{self, Span},
    resources::texts,
};

/// Headers that may be sent where nothing is said of them.
const USUAL: [&str; 6] =
    ["Content-Type", "X-Amz-Date", "Authorization", "X-Api-Key", "X-Amz-Security-Token", "X-Amz-User-Agent"];

/// What browsers may do at a path: what all its events say together.
pub(super) struct Preflight {
    origins: Vec<String>,
    headers: Vec<String>,
    methods: Vec<String>,
    credentials: bool,
    max_age_s: Option<String>,
    cache_control: Option<String>,
    span: Span,
}

impl Preflight {
    pub(super) fn new(span: &Span) -> Self {
        Self {
            origins: Vec::new(),
            headers: Vec::new(),
            methods: vec!["OPTIONS".into()],
            credentials: false,
            max_age_s: None,
            cache_control: None,
            span: span.clone(),
        }
    }

    /// Adds what an event says.
    pub(super) fn add(&mut self, cors: &Node, method: &str) {
        let given = |key: &str| cors.get(key).map(texts).filter(|it| !it.is_empty());
        let headers = given("headers").unwrap_or_else(|| USUAL.map(str::to_owned).into());
        let methods = given("methods").unwrap_or_else(|| vec![method.to_owned()]);
        let methods = methods.into_iter().map(|it| it.to_ascii_uppercase());
        for (into, more) in [
            (&mut self.origins, origins(cors)),
            (&mut self.headers, headers),
            (&mut self.methods, methods.collect()),
        ] {
            for one in more {
                if !into.contains(&one) {
                    into.push(one);
                }
            }
        }
        let text = |key: &str| cors.get(key).and_then(build::scalar);
        self.credentials |= text("allowCredentials").is_some_and(|it| it == "true");
        self.max_age_s = text("maxAge").or(self.max_age_s.take());
        self.cache_control = text("cacheControl").or(self.cache_control.take());
    }

    /// As the framework answers it: a mock with headers.
    fn operation(&self) -> Node {
        let span = &self.span;
        let mut fields = vec![
            ("Access-Control-Allow-Origin", self.origins.first().cloned().unwrap_or_default()),
            ("Access-Control-Allow-Headers", self.headers.join(",")),
            ("Access-Control-Allow-Methods", self.methods.join(",")),
        ];
        if self.credentials {
            fields.push(("Access-Control-Allow-Credentials", "true".into()));
        }
        fields.extend(self.max_age_s.iter().map(|age| ("Access-Control-Max-Age", age.clone())));
        fields.extend(self.cache_control.iter().map(|it| ("Cache-Control", it.clone())));
        let parameters = fields.iter().map(|(name, value)| {
            (format!("method.response.header.{name}"), build::text(format!("'{value}'"), span))
        });
        let mut response = build::map([("statusCode", build::text("200", span))], span);
        build::put(&mut response, "responseParameters", build::map(parameters, span));
        if self.origins.len() > 1 {
            // One of several: the request's own, if it is among them.
            let names: Vec<_> = self.origins.iter().map(|it| format!("\"{it}\"")).collect();
            let template = format!(
                "#set($origin = $input.params(\"Origin\"))\n#if($origin == \"\")#set($origin = $input.params(\"origin\"))#end\n\
                 #foreach($known in [{}])#if($origin == $known)#set($context.responseOverride.header.Access-Control-Allow-Origin = $origin)#end#end",
                names.join(", ")
            );
            let templates = build::map([("application/json", build::text(template, span))], span);
            build::put(&mut response, "responseTemplates", templates);
        }
        let mut integration = typed("mock", None, "ANY", span);
        let template = build::map([("application/json", build::text("{statusCode:200}", span))], span);
        build::put(&mut integration, "requestTemplates", template);
        build::put(&mut integration, "responses", build::map([("default", response)], span));
        let responses = method_responses(&integration, span);
        build::map([("responses", responses), ("x-amazon-apigateway-integration", integration)], span)
    }
}

impl Service<'_, '_> {
    /// Preflights of all paths, but where an event answers them itself.
    pub(super) fn answer_preflights(&mut self) {
        for ((api, path), preflight) in std::mem::take(&mut self.preflights) {
            let draft = self.assembly.drafts.iter_mut().find(|it| it.logical == api);
            let Some(draft) = draft else { continue };
            let own =
                draft.document.get("paths").and_then(|it| it.get(&path)).and_then(|it| it.get("options"));
            if own.is_none() {
                draft.operation(&path, "OPTIONS", preflight.operation());
            }
        }
    }
}

/// Whom a `cors` lets in.
pub(super) fn origins(cors: &Node) -> Vec<String> {
    let given = |key: &str| cors.get(key).map(texts).filter(|it| !it.is_empty());
    given("origins").or_else(|| given("origin")).unwrap_or_else(|| vec!["*".into()])
}
