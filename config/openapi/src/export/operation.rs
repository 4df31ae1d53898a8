//! Routes → paths and their operations.

use model::{Integration, MethodResponse, Mock, ParameterPlace, Route, RouteKey};
use serde_json::{Map, Value as Json, json};

use super::{Export, FILLER, filler, put};
use crate::import::path_variables;

/// Methods for which documents have words.
const METHODS: [&str; 7] = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH"];
const ANY: &str = "x-amazon-apigateway-any-method";

impl Export<'_> {
    pub(super) fn paths(&mut self) -> Json {
        let definition = self.definition;
        let mut paths = Map::new();
        for path in &definition.resources {
            paths.insert(path.clone(), json!({}));
        }
        for route in &definition.routes {
            let (path, method) = match &route.key {
                RouteKey::Default => ("/$default", None),
                RouteKey::Path { method, path } => (&**path, method.as_deref()),
            };
            let method = match method {
                None => ANY.to_owned(),
                Some(method) if METHODS.contains(&method) => method.to_ascii_lowercase(),
                Some(_) => {
                    self.notes
                        .push(format!("`{}` was left out: OpenAPI has no word for its method", route.key));
                    continue;
                }
            };
            let operation = self.operation(route, path);
            let item = paths.entry(path).or_insert_with(|| json!({}));
            if let Json::Object(item) = item {
                item.insert(method, operation);
            }
        }
        Json::Object(paths)
    }

    fn operation(&mut self, route: &Route, path: &str) -> Json {
        let mut operation = Map::new();
        if let Some(name) = &route.operation_name {
            operation.insert("operationId".into(), name.clone().into());
        }
        let parameters = self.parameters(route, path);
        if self.is_2() {
            self.media_types(route, &mut operation);
        }
        put(&mut operation, "parameters", !parameters.is_empty(), parameters);
        let bodies = &route.request.models;
        if !self.is_2() && !bodies.is_empty() {
            operation.insert("requestBody".into(), json!({ "content": self.content(bodies) }));
        }
        let of_mock = match &route.integration {
            Integration::Mock(mock) if self.is_rest() && route.responses.is_empty() => Some(mocked(mock)),
            _ => None,
        };
        let responses =
            route.responses.iter().chain(&of_mock).map(|it| (it.status.to_string(), self.response(it)));
        let mut responses: Map<_, _> = responses.collect();
        if responses.is_empty() {
            responses
                .insert("default".into(), json!({ "description": format!("{FILLER} for {}", route.key) }));
        }
        operation.insert("responses".into(), Json::Object(responses));
        let security = self.requirements(route);
        put(&mut operation, "security", !security.is_empty(), security);
        if let Some(validator) = route.request.validator.as_ref().filter(|_| self.all() && self.is_rest()) {
            operation.insert("x-amazon-apigateway-request-validator".into(), validator.clone().into());
        }
        if route.key == RouteKey::Default {
            operation.insert("isDefaultRoute".into(), true.into());
        }
        if self.options.extensions.has_integrations() {
            let integration = self.integration(route);
            operation.insert("x-amazon-apigateway-integration".into(), integration);
        }
        self.note_beyond(route);
        Json::Object(operation)
    }

    /// What the route has that no document says.
    fn note_beyond(&mut self, route: &Route) {
        let names = &route.unenforced_security;
        for name in names.iter().filter(|name| self.definition.authorizers.iter().any(|it| it.name == **name))
        {
            self.notes.push(format!("`{}` asks the authorizer `{name}` now: nothing did before", route.key));
        }
        let beyond = [
            ("throttle", !route.throttles.is_empty()),
            ("cache", route.cache.is_some()),
            ("limits", route.limits.is_some()),
        ];
        for (what, _) in beyond.iter().filter(|(_, is_there)| *is_there) {
            self.notes
                .push(format!("the {what} of `{}` was left out: OpenAPI has no word for it", route.key));
        }
    }

    fn parameters(&self, route: &Route, path: &str) -> Vec<Json> {
        let mut parameters = Vec::new();
        let mut add = |name: &str, place: &str, required: bool| {
            let mut parameter = Map::new();
            parameter.insert("name".into(), name.into());
            parameter.insert("in".into(), place.into());
            put(&mut parameter, "required", required, true);
            if self.is_2() {
                parameter.insert("type".into(), "string".into());
            } else {
                parameter.insert("schema".into(), json!({ "type": "string" }));
            }
            parameters.push(Json::Object(parameter));
        };
        path_variables(path).for_each(|name| add(name, "path", true));
        for parameter in &route.request.parameters {
            match parameter.place {
                // All of the path's are there.
                ParameterPlace::Path => {}
                ParameterPlace::QueryString => add(&parameter.name, "query", parameter.required),
                ParameterPlace::Header => add(&parameter.name, "header", parameter.required),
            }
        }
        if self.is_2()
            && let Some((_, model)) = route.request.models.first()
        {
            let schema = json!({ "$ref": self.model_reference(model) });
            parameters.push(json!({ "in": "body", "name": model, "required": true, "schema": schema }));
        }
        parameters
    }

    fn content(&self, models: &[(String, String)]) -> Json {
        let media = |(kind, model): &(String, String)| {
            (kind.clone(), json!({ "schema": { "$ref": self.model_reference(model) } }))
        };
        Json::Object(models.iter().map(media).collect())
    }

    fn response(&self, response: &MethodResponse) -> Json {
        let mut object = Map::new();
        object.insert("description".into(), filler(response.status).into());
        let header = |(name, required): &(String, bool)| {
            let mut header = Map::new();
            if self.is_2() {
                header.insert("type".into(), "string".into());
            } else {
                put(&mut header, "required", *required, true);
                header.insert("schema".into(), json!({ "type": "string" }));
            }
            (name.clone(), Json::Object(header))
        };
        let headers: Map<_, _> = response.headers.iter().map(header).collect();
        put(&mut object, "headers", !headers.is_empty(), headers);
        match response.models.first() {
            None => {}
            Some((_, model)) if self.is_2() => {
                object.insert("schema".into(), json!({ "$ref": self.model_reference(model) }));
            }
            Some(_) => {
                object.insert("content".into(), self.content(&response.models));
            }
        }
        Json::Object(object)
    }

    /// In 2.0 an operation has one list of what it takes and one of what it gives, whatever the body is.
    fn media_types(&mut self, route: &Route, operation: &mut Map<String, Json>) {
        let of =
            |models: &[(String, String)]| models.iter().map(|(kind, _)| kind.clone()).collect::<Vec<_>>();
        let consumes = of(&route.request.models);
        put(operation, "consumes", !consumes.is_empty(), consumes);
        let mut lists = route.responses.iter().map(|it| of(&it.models)).filter(|kinds| !kinds.is_empty());
        let produces = lists.next().unwrap_or_default();
        let differ = lists.any(|kinds| kinds != produces)
            || route.responses.iter().map(|it| &it.models).chain([&route.request.models]).any(|models| {
                models.iter().any(|(_, model)| models.first().is_some_and(|(_, first)| first != model))
            })
            || route.responses.iter().flat_map(|it| &it.headers).any(|(_, required)| *required);
        if differ {
            self.notes.push(format!("`{}`: Swagger 2.0 can't say all of its models and headers", route.key));
        }
        put(operation, "produces", !produces.is_empty(), produces);
    }
}

/// The answer of a mock: what its headers are mapped to has to be declared (row 121).
fn mocked(mock: &Mock) -> MethodResponse {
    let headers = mock.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
    let headers = headers.map(|(name, _)| (name.clone(), false)).collect();
    MethodResponse { status: mock.status, headers, models: Vec::new() }
}
