//! What is different between two definitions: by route and by name, not by line.

use std::fmt::Debug;

use model::{Definition, Integration, Route};
use serde_json::{Value, json};

/// The longest value that is shown, in characters; of a longer one its beginning.
const SHOWN_CHARS_MAX: usize = 160;

/// One thing that is not the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// `route GET /pets`, `model Pet`, `description`.
    pub(crate) what: String,
    pub(crate) how: How,
}

/// How it is different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It was not there.
    Added,
    /// It is there no more.
    Removed,
    /// It is another: the parts that are, before and after.
    Changed(Vec<(&'static str, String, String)>),
}

/// All that is different, in order of what is there afterwards.
pub(crate) fn differences(from: &Definition, to: &Definition) -> Vec<Difference> {
    let mut found = Vec::new();
    named(&mut found, "route", &from.routes, &to.routes, |it| it.key.to_string(), route);
    named(
        &mut found,
        "model",
        &from.models,
        &to.models,
        |it| it.name.clone(),
        |a, b| {
            let mut parts = Parts::default();
            parts.part("description", &a.description, &b.description);
            parts.part("content_type", &a.content_type, &b.content_type);
            parts.part("schema", &a.schema, &b.schema);
            parts.0
        },
    );
    named(
        &mut found,
        "validator",
        &from.validators,
        &to.validators,
        |it| it.name.clone(),
        |a, b| {
            let mut parts = Parts::default();
            parts.part("body", &a.body, &b.body);
            parts.part("parameters", &a.parameters, &b.parameters);
            parts.0
        },
    );
    named(&mut found, "authorizer", &from.authorizers, &to.authorizers, |it| it.name.clone(), whole);
    let kind = |it: &model::GatewayResponse| it.kind.as_str().to_owned();
    named(&mut found, "gateway response", &from.gateway_responses, &to.gateway_responses, kind, |a, b| {
        let mut parts = Parts::default();
        parts.part("status", &a.status, &b.status);
        parts.part("parameters", &a.parameters, &b.parameters);
        parts.part("templates", &a.templates, &b.templates);
        parts.0
    });
    let place = |it: &model::DocumentationPart| {
        let parts = [
            Some(&it.location),
            it.method.as_ref(),
            it.path.as_ref(),
            it.status_code.as_ref(),
            it.name.as_ref(),
        ];
        parts.into_iter().flatten().cloned().collect::<Vec<_>>().join(" ")
    };
    named(&mut found, "documentation of", &from.documentation, &to.documentation, place, whole);
    // All of them by name: what is added to a definition has to find its place here.
    let Definition {
        routes: _,
        models: _,
        validators: _,
        authorizers: _,
        gateway_responses: _,
        documentation: _,
        resources,
        description,
        version,
        binary_media_types,
        minimum_compression_bytes,
        api_key_source,
        policy,
        disable_default_endpoint,
        cors,
        tags,
    } = from;
    let mut rest = Parts::default();
    rest.part("resources", resources, &to.resources);
    rest.part("description", description, &to.description);
    rest.part("version", version, &to.version);
    rest.part("binary_media_types", binary_media_types, &to.binary_media_types);
    rest.part("minimum_compression", minimum_compression_bytes, &to.minimum_compression_bytes);
    rest.part("api_key_source", api_key_source, &to.api_key_source);
    rest.part("policy", policy, &to.policy);
    rest.part("disable_default_endpoint", disable_default_endpoint, &to.disable_default_endpoint);
    rest.part("cors", cors, &to.cors);
    rest.part("tags", tags, &to.tags);
    found.extend(
        rest.0.into_iter().map(|part| Difference { what: part.0.to_owned(), how: How::Changed(vec![part]) }),
    );
    found
}

/// Things that have names: those of one name are compared.
fn named<T: PartialEq>(
    found: &mut Vec<Difference>,
    kind: &str,
    from: &[T],
    to: &[T],
    name: impl Fn(&T) -> String,
    compare: impl Fn(&T, &T) -> Vec<(&'static str, String, String)>,
) {
    use std::collections::HashMap;
    let before: HashMap<_, _> = from.iter().map(|it| (name(it), it)).collect();
    let after: HashMap<_, _> = to.iter().map(|it| (name(it), it)).collect();
    let gone = from.iter().filter(|it| !after.contains_key(&name(it)));
    found.extend(gone.map(|it| Difference { what: format!("{kind} {}", name(it)), how: How::Removed }));
    for it in to {
        let what = format!("{kind} {}", name(it));
        match before.get(&name(it)) {
            None => found.push(Difference { what, how: How::Added }),
            Some(other) if *other == it => {}
            Some(other) => found.push(Difference { what, how: How::Changed(compare(other, it)) }),
        }
    }
}

fn route(a: &Route, b: &Route) -> Vec<(&'static str, String, String)> {
    let mut parts = Parts::default();
    match (&a.integration, &b.integration) {
        (Integration::Declared(a), Integration::Declared(b)) => parts.declared(a, b),
        (a, b) => parts.part("integration", a, b),
    }
    parts.part("operation_name", &a.operation_name, &b.operation_name);
    parts.part("authorization", &a.authorization, &b.authorization);
    parts.part("api_key_required", &a.api_key_required, &b.api_key_required);
    parts.part("unenforced_security", &a.unenforced_security, &b.unenforced_security);
    parts.part("request", &a.request, &b.request);
    parts.part("responses", &a.responses, &b.responses);
    parts.part("throttles", &a.throttles, &b.throttles);
    parts.part("cache", &a.cache, &b.cache);
    parts.part("limits", &a.limits, &b.limits);
    parts.0
}

fn whole<T: PartialEq + Debug>(a: &T, b: &T) -> Vec<(&'static str, String, String)> {
    let mut parts = Parts::default();
    parts.part("all of it", a, b);
    parts.0
}

/// What is different of one thing.
#[derive(Default)]
struct Parts(Vec<(&'static str, String, String)>);

impl Parts {
    fn part<T: PartialEq + Debug>(&mut self, name: &'static str, a: &T, b: &T) {
        if a != b {
            self.0.push((name, shown(a), shown(b)));
        }
    }

    fn declared(&mut self, a: &model::Declared, b: &model::Declared) {
        self.part("integration.type", &a.kind, &b.kind);
        self.part("integration.http_method", &a.http_method, &b.http_method);
        self.part("integration.uri", &a.uri, &b.uri);
        self.part("integration.timeout", &a.timeout, &b.timeout);
        self.part("integration.request_parameters", &a.request_parameters, &b.request_parameters);
        self.part("integration.request_templates", &a.request_templates, &b.request_templates);
        self.part("integration.responses", &a.responses, &b.responses);
        self.part("integration.response_parameters", &a.response_parameters, &b.response_parameters);
        if self.0.is_empty() {
            self.part("integration", a, b);
        }
    }
}

/// A value as it stands in the model, on one line.
fn shown(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

impl Difference {
    /// As it is shown to programs.
    pub(crate) fn value(&self) -> Value {
        let Self { what, how } = self;
        match how {
            How::Added => json!({ "what": what, "how": "added" }),
            How::Removed => json!({ "what": what, "how": "removed" }),
            How::Changed(parts) => {
                let parts =
                    parts.iter().map(|(name, from, to)| json!({ "part": name, "from": from, "to": to }));
                json!({ "what": what, "how": "changed", "parts": parts.collect::<Vec<_>>() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{Mock, RouteKey};

    use super::*;

    fn route(key: &str, status: u16) -> Route {
        let (method, path) = key.split_once(' ').unwrap();
        let key = RouteKey::Path { method: Some(method.into()), path: path.into() };
        Route::new(key, Integration::Mock(Mock { status, headers: Vec::new(), body: String::new() }))
    }

    fn definition(routes: &[(&str, u16)]) -> Definition {
        Definition {
            routes: routes.iter().map(|(key, status)| route(key, *status)).collect(),
            ..Definition::default()
        }
    }

    /// Lines such as `+ route GET /a`, `- route GET /b`, `~ route GET /c: integration`.
    #[track_caller]
    fn check(from: &Definition, to: &Definition, expected: &[&str]) {
        let line = |it: &Difference| match &it.how {
            How::Added => format!("+ {}", it.what),
            How::Removed => format!("- {}", it.what),
            How::Changed(parts) => {
                let names: Vec<_> = parts
                    .iter()
                    .map(|(name, from, to)| {
                        assert_ne!(from, to);
                        *name
                    })
                    .collect();
                format!("~ {}: {}", it.what, names.join(", "))
            }
        };
        assert_eq!(differences(from, to).iter().map(line).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn routes_are_compared_by_their_keys() {
        let before = definition(&[("GET /a", 200), ("GET /b", 200), ("GET /c", 200)]);
        check(&before, &before, &[]);
        let after = definition(&[("GET /c", 201), ("GET /a", 200), ("POST /a", 200)]);
        check(&before, &after, &["- route GET /b", "~ route GET /c: integration", "+ route POST /a"]);
        check(&Definition::default(), &before, &["+ route GET /a", "+ route GET /b", "+ route GET /c"]);
    }

    #[test]
    fn everything_else_has_a_name() {
        let before = definition(&[("GET /a", 200)]);
        let mut after = before.clone();
        after.routes[0].api_key_required = true;
        after.routes[0].operation_name = Some("x".into());
        after.description = Some("y".into());
        after.binary_media_types = vec!["*/*".into()];
        let schema = |schema: &str| model::BodyModel {
            name: "Pet".into(),
            description: None,
            content_type: "application/json".into(),
            schema: schema.into(),
            origin: None,
        };
        after.models = vec![schema("{}")];
        check(
            &before,
            &after,
            &[
                "~ route GET /a: operation_name, api_key_required",
                "+ model Pet",
                "~ description: description",
                "~ binary_media_types: binary_media_types",
            ],
        );
        let mut later = after.clone();
        later.models = vec![schema("{\"type\":\"object\"}")];
        check(&after, &later, &["~ model Pet: schema"]);
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let long = "ä".repeat(1_000);
        assert_eq!(shown(&long).chars().count(), SHOWN_CHARS_MAX + 1);
    }
}
