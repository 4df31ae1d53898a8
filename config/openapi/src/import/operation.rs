//! Paths and their operations → routes.

use std::collections::{HashMap, HashSet};

use model::{
    Declared, Integration, IntegrationType, Kind, MethodResponse, ParameterPlace, RequestParameter,
    RequestRules, Route, RouteKey, Severity,
};
use progress::Phase;

use super::{
    Document, Version,
    path::{Taken, server_url, variables},
    security::Schemes,
};
use crate::tree::{Cursor, quote};

/// Methods as documents write them, and as requests do. `trace` is known to OpenAPI 3.0 and not to API Gateway.
const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];
const ANY: &str = "x-amazon-apigateway-any-method";
const INTEGRATION: &str = "x-amazon-apigateway-integration";
/// What a path may say beside its operations.
const OF_PATHS: [&str; 6] = ["parameters", "summary", "description", "servers", "$ref", ANY];

/// What paths become.
pub(super) struct Paths {
    pub(super) routes: Vec<Route>,
    pub(super) resources: Vec<String>,
}

/// An operation and what stands around it.
struct Operation<'a, 't> {
    key: RouteKey,
    at: Cursor<'t>,
    item: Cursor<'t>,
    schemes: &'a Schemes,
}

impl<'t> Document<'t> {
    /// All paths.
    pub(super) fn paths(&self, schemes: &Schemes, models: &mut super::bodies::Models) -> Paths {
        let mut paths = Paths { routes: Vec::new(), resources: Vec::new() };
        let Some(at) = self.root.get("paths") else {
            self.root.error("the document has no `paths`");
            return paths;
        };
        at.expect_map();
        let mut shapes = HashMap::new();
        let mut without = Vec::new();
        self.progress.begin(Phase::Translate, at.entries().count());
        for (text, item) in at.entries().inspect(|_| self.progress.advance(1)) {
            if text.starts_with("x-") {
                continue;
            }
            let Some(taken) = self.path(text, &item) else { continue };
            if let Taken::Path(path) = &taken
                && let Some(other) = shapes.insert(shape(path), text)
            {
                at.report_key(
                    Severity::Error,
                    text,
                    format!("it takes the same requests as {}", quote(other)),
                );
                continue;
            }
            let routes = paths.routes.len();
            self.path_item(&taken, &item, schemes, models, &mut paths, &mut without);
            if let Taken::Path(path) = taken
                && paths.routes.len() == routes
                && self.kind == Kind::Rest
            {
                paths.resources.push(path);
            }
        }
        self.without_integration(&without, paths.routes.is_empty());
        paths
    }

    fn path_item(
        &self,
        taken: &Taken,
        item: &Cursor<'t>,
        schemes: &Schemes,
        models: &mut super::bodies::Models,
        paths: &mut Paths,
        without: &mut Vec<Cursor<'t>>,
    ) {
        if !item.is_null() && !item.expect_map() {
            return;
        }
        if let Some(reference) = item.get("$ref") {
            reference.error("paths that stand elsewhere are not followed");
        }
        for (name, at) in item.entries() {
            let method = match name {
                ANY => None,
                _ if METHODS.contains(&name) => Some(name.to_ascii_uppercase()),
                "trace" => {
                    at.warn("API Gateway has no TRACE: the operation is left out");
                    continue;
                }
                _ => {
                    if !OF_PATHS.contains(&name) && !name.starts_with("x-") {
                        item.report_key(
                            Severity::Warning,
                            name,
                            format!("{} has no effect here", quote(name)),
                        );
                    }
                    continue;
                }
            };
            if !at.expect_map() {
                continue;
            }
            let key = match (taken, method) {
                (Taken::Default, None) => RouteKey::Default,
                (Taken::Default, Some(_)) => {
                    at.error_with("`$default` takes every method", format!("write `{ANY}`"));
                    continue;
                }
                (Taken::Path(path), method) => RouteKey::Path { method, path: path.clone() },
            };
            self.warn_operation(&at);
            let operation = Operation { key, at, item: item.clone(), schemes };
            match self.route(&operation, models) {
                Some(route) => paths.routes.push(route),
                None => without.push(operation.at),
            }
        }
    }

    /// A route; `None` if nothing says what answers it.
    fn route(&self, operation: &Operation<'_, 't>, models: &mut super::bodies::Models) -> Option<Route> {
        let Operation { key, at, item, schemes } = operation;
        let integration = match at.get(INTEGRATION) {
            // What is wrong with it has been said.
            Some(integration) => {
                self.integration(&integration).unwrap_or_else(|| Declared::new(IntegrationType::Mock))
            }
            None => self.backend(key)?,
        };
        let access = self.access(at, schemes);
        let mut route = Route {
            operation_name: at.get("operationId").and_then(|it| it.text()),
            authorization: access.authorization,
            api_key_required: access.api_key_required,
            unenforced_security: access.unenforced,
            origin: Some(at.origin()),
            ..Route::new(key.clone(), Integration::Declared(Box::new(integration)))
        };
        if self.kind == Kind::Rest {
            route.request = self.request(key, at, item, models);
            route.responses = self.responses(at, models);
        }
        Some(route)
    }

    /// What is forwarded to the one backend of all, if there is one.
    fn backend(&self, key: &RouteKey) -> Option<Declared> {
        let base = self.options.backend.as_deref()?.trim_end_matches('/');
        let path = match key {
            RouteKey::Default => "/{proxy}",
            RouteKey::Path { path, .. } => path,
        };
        let mut declared = Declared::new(IntegrationType::HttpProxy);
        declared.uri = Some(format!("{base}{}", path.replace("+}", "}")));
        declared.http_method = Some(match key {
            RouteKey::Path { method: Some(method), .. } => method.clone(),
            _ => "ANY".into(),
        });
        if self.kind == Kind::Rest {
            let mapped =
                |name| (format!("integration.request.path.{name}"), format!("method.request.path.{name}"));
            declared.request_parameters = variables(path).map(mapped).collect();
        } else if *key == RouteKey::Default {
            // What no route takes has no variables: the path is put behind the backend's.
            declared.uri = Some(base.to_owned());
            declared.request_parameters.push(("overwrite:path".into(), "$request.path".into()));
        }
        Some(declared)
    }

    fn without_integration(&self, without: &[Cursor<'t>], all: bool) {
        let Some(first) = without.first() else { return };
        let message = "No integration defined for method";
        if !all {
            for operation in without {
                let help = format!("add `{INTEGRATION}`, or `--backend URL` for all that have none");
                operation.error_with(message, help);
            }
            return;
        }
        let server = match self.version {
            Version::V3 => {
                self.root.get("servers").and_then(|it| it.items().next()).and_then(|it| server_url(&it))
            }
            Version::V2 => {
                let text = |key| self.root.get(key).and_then(|it: Cursor<'_>| it.text());
                let scheme = self.root.get("schemes").and_then(|it| it.texts().into_iter().next());
                let path = text("basePath").unwrap_or_default();
                text("host")
                    .map(|host| format!("{}://{host}{path}", scheme.unwrap_or_else(|| "https".into())))
            }
        };
        let server = server.filter(|url| url.starts_with("http://") || url.starts_with("https://"));
        let url = server.unwrap_or_else(|| "https://backend.example.com".into());
        first.error_with(
            format!("{message}: none of the document's {} operations has an `{INTEGRATION}`", without.len()),
            format!("`--backend {}` sends them all there", url.trim_end_matches('/')),
        );
    }

    fn request(
        &self,
        key: &RouteKey,
        at: &Cursor<'t>,
        item: &Cursor<'t>,
        models: &mut super::bodies::Models,
    ) -> RequestRules {
        let mut rules = RequestRules::default();
        let mut seen = HashSet::new();
        let path = match key {
            RouteKey::Default => "",
            RouteKey::Path { path, .. } => path,
        };
        let own = at.get("parameters");
        let shared = item.get("parameters");
        // What an operation says of a parameter replaces what its path says.
        for parameter in own.iter().chain(&shared).flat_map(Cursor::items) {
            let Some(parameter) = self.resolve(&parameter) else { continue };
            let Some(place) = parameter.get("in").and_then(|place| place.text()) else {
                parameter.error("the parameter says nothing of its place: `in` is missing");
                continue;
            };
            if place == "body" {
                self.body_of_2(at, &parameter, &mut rules, models);
                continue;
            }
            let place = match &*place {
                "path" => ParameterPlace::Path,
                "query" => ParameterPlace::QueryString,
                "header" => ParameterPlace::Header,
                _ => {
                    parameter.warn(format!(
                        "API Gateway knows no parameters in {}: it is left out",
                        quote(&place)
                    ));
                    continue;
                }
            };
            let Some(name) = parameter.get("name").and_then(|name| name.text()) else {
                parameter.error("the parameter has no `name`");
                continue;
            };
            if place == ParameterPlace::Path && !variables(path).any(|variable| variable == name) {
                parameter.warn(format!(
                    "the path {} has no variable {}: it is left out",
                    quote(path),
                    quote(&name)
                ));
                continue;
            }
            if seen.insert((place, name.clone())) {
                let required = parameter.get("required").and_then(|it| it.truth()).unwrap_or_default();
                let required = required || place == ParameterPlace::Path;
                rules.parameters.push(RequestParameter { place, name, required });
            }
        }
        // A variable is there without being declared.
        for name in variables(path) {
            if !seen.contains(&(ParameterPlace::Path, name.to_owned())) {
                let name = name.to_owned();
                rules.parameters.push(RequestParameter { place: ParameterPlace::Path, name, required: true });
            }
        }
        rules.parameters.sort_by(|a, b| (a.place, &a.name).cmp(&(b.place, &b.name)));
        if let Some(body) = at.get("requestBody").and_then(|body| self.resolve(&body)) {
            rules.models = self.content(&body, models);
        }
        let validator = at.get("x-amazon-apigateway-request-validator");
        let validator = validator.or_else(|| self.root.get("x-amazon-apigateway-request-validator"));
        rules.validator = validator.and_then(|at| {
            let name = at.text()?;
            let known = self.root.get("x-amazon-apigateway-request-validators");
            if known.is_none_or(|known| known.get(&name).is_none()) {
                let help = "add it to `x-amazon-apigateway-request-validators`";
                at.error_with(format!("there is no validator {}", quote(&name)), help);
            }
            Some(name)
        });
        rules
    }

    fn responses(&self, at: &Cursor<'t>, models: &mut super::bodies::Models) -> Vec<MethodResponse> {
        let mut responses = Vec::new();
        let Some(all) = at.get("responses").filter(|it| it.expect_map()) else { return responses };
        for (code, response) in
            all.entries().filter(|(code, _)| !code.starts_with("x-") && *code != "default")
        {
            let Ok(status @ 100..=599) = code.parse::<u16>() else {
                let message = format!("{} is no status: the response is left out", quote(code));
                all.report_key(Severity::Warning, code, message);
                continue;
            };
            let Some(response) = self.resolve(&response) else { continue };
            let headers = response.get("headers");
            let header = |(name, header): (&str, Cursor<'t>)| {
                let header = self.resolve(&header)?;
                let required = header.get("required").and_then(|it| it.truth()).unwrap_or_default();
                Some((name.to_owned(), required))
            };
            let models = match self.version {
                Version::V3 => self.content(&response, models),
                Version::V2 => self.response_of_2(at, &response, models),
            };
            let headers = headers.iter().flat_map(Cursor::entries).filter_map(header).collect();
            responses.push(MethodResponse { status, headers, models });
        }
        responses.sort_by_key(|response| response.status);
        responses
    }

    fn warn_operation(&self, at: &Cursor<'_>) {
        const KNOWN: [&str; 7] = [
            INTEGRATION,
            "x-amazon-apigateway-auth",
            "x-amazon-apigateway-request-validator",
            "x-amazon-apigateway-documentation",
            "x-amazon-apigateway-integration-cors",
            "x-amazon-apigateway-any-method",
            "x-amazon-apigateway-tag-value",
        ];
        for (key, _) in at.entries() {
            if key.starts_with("x-amazon-apigateway-") && !KNOWN.contains(&key) {
                at.report_key(Severity::Warning, key, format!("{} has no effect here", quote(key)));
            }
        }
        if let Some(callbacks) = at.get("callbacks") {
            callbacks.warn("callbacks are left out");
        }
    }

    /// What a reference leads to, or the thing itself. One that leads nowhere, or out of the document, is a mistake.
    pub(super) fn resolve(&self, at: &Cursor<'t>) -> Option<Cursor<'t>> {
        /// References that lead to others.
        const HOPS_MAX: usize = 16;
        let mut at = at.clone();
        for _ in 0..HOPS_MAX {
            let Some(reference) = at.get("$ref") else { return Some(at) };
            let text = reference.text()?;
            let Some(next) = at.follow(&text) else {
                let help = "references stay within the document: `#/components/…`, `#/definitions/…`";
                reference.error_with(format!("{} leads nowhere", quote(&text)), help);
                return None;
            };
            at = next;
        }
        at.error("the reference goes round in a circle");
        None
    }
}

/// What two paths have in common that take the same requests: names of variables don't count.
fn shape(path: &str) -> String {
    let segment = |segment: &str| match (segment.starts_with('{'), segment.ends_with("+}")) {
        (true, true) => "{+}".to_owned(),
        (true, false) => "{}".to_owned(),
        (false, _) => segment.to_owned(),
    };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}
