//! What is different between two definitions: by route and by name, not by line.

use std::collections::BTreeMap;

use model::{
    Authorizer, BodyModel, Definition, DocumentationPart, GatewayResponse, Kind, RequestValidator, Route,
};
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

/// A key, and its value before and after.
pub(crate) type Part = (String, String, String);

/// How it is different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It was not there.
    Added,
    /// It is there no more.
    Removed,
    /// It is another: the parts that are, before and after.
    Changed(Vec<Part>),
}

/// All that is different, in order of what is there afterwards.
pub(crate) fn differences(kind: Kind, from: &Definition, to: &Definition) -> Vec<Difference> {
    let mut found = Vec::new();
    let none = Definition::default;
    let parts = |a: &Definition, b: &Definition| parts(kind, a, b);
    named(
        &mut found,
        "route",
        &from.routes,
        &to.routes,
        |it| it.key.to_string(),
        |a, b| {
            let of = |it: &Route| Definition { routes: vec![it.clone()], ..none() };
            parts(&of(a), &of(b))
        },
    );
    named(
        &mut found,
        "model",
        &from.models,
        &to.models,
        |it| it.name.clone(),
        |a, b| {
            let of = |it: &BodyModel| Definition { models: vec![it.clone()], ..none() };
            parts(&of(a), &of(b))
        },
    );
    named(
        &mut found,
        "validator",
        &from.validators,
        &to.validators,
        |it| it.name.clone(),
        |a, b| {
            let of = |it: &RequestValidator| Definition { validators: vec![it.clone()], ..none() };
            parts(&of(a), &of(b))
        },
    );
    named(
        &mut found,
        "authorizer",
        &from.authorizers,
        &to.authorizers,
        |it| it.name.clone(),
        |a, b| {
            let of = |it: &Authorizer| Definition { authorizers: vec![it.clone()], ..none() };
            parts(&of(a), &of(b))
        },
    );
    let name = |it: &GatewayResponse| it.kind.as_str().to_owned();
    named(&mut found, "gateway response", &from.gateway_responses, &to.gateway_responses, name, |a, b| {
        let of = |it: &GatewayResponse| Definition { gateway_responses: vec![it.clone()], ..none() };
        parts(&of(a), &of(b))
    });
    let place = |it: &DocumentationPart| {
        let parts = [
            Some(&it.location),
            it.method.as_ref(),
            it.path.as_ref(),
            it.status_code.as_ref(),
            it.name.as_ref(),
        ];
        parts.into_iter().flatten().cloned().collect::<Vec<_>>().join(" ")
    };
    named(&mut found, "documentation of", &from.documentation, &to.documentation, place, |a, b| {
        let of = |it: &DocumentationPart| Definition { documentation: vec![it.clone()], ..none() };
        parts(&of(a), &of(b))
    });
    let rest = |it: &Definition| Definition {
        routes: Vec::new(),
        models: Vec::new(),
        validators: Vec::new(),
        authorizers: Vec::new(),
        gateway_responses: Vec::new(),
        documentation: Vec::new(),
        ..it.clone()
    };
    found.extend(parts(&rest(from), &rest(to)).into_iter().map(|part| {
        let what = part.0.split('.').next().unwrap_or_default().to_owned();
        Difference { what, how: How::Changed(vec![part]) }
    }));
    found
}

/// What is said otherwise, key by key and in the words of a file.
fn parts(kind: Kind, from: &Definition, to: &Definition) -> Vec<Part> {
    let (before, after) = (source::definition_values(from, kind), source::definition_values(to, kind));
    let values = |all: &[(String, String)]| all.iter().cloned().collect::<BTreeMap<_, _>>();
    let (old, new) = (values(&before), values(&after));
    let gone = before.iter().filter(|(key, _)| !new.contains_key(key));
    let keys = after.iter().chain(gone).map(|(key, _)| key);
    let changed = keys.filter(|key| old.get(*key) != new.get(*key));
    changed
        .map(|key| {
            let (from, to) = shown(old.get(key), new.get(key));
            // Of one thing alone its own place is known: `route[0].cache` is `cache`.
            let own = key.split_once("[0].").filter(|(kind, _)| !kind.contains(['.', '[']));
            (own.map_or(&**key, |(_, rest)| rest).to_owned(), from, to)
        })
        .collect()
}

/// Things that have names: those of one name are compared.
fn named<T: PartialEq>(
    found: &mut Vec<Difference>,
    kind: &str,
    from: &[T],
    to: &[T],
    name: impl Fn(&T) -> String,
    compare: impl Fn(&T, &T) -> Vec<Part>,
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

/// Two values on a line each, of long ones what is about where they part.
fn shown(from: Option<&String>, to: Option<&String>) -> (String, String) {
    let lines = |value: Option<&String>| value.map(|it| it.trim().replace('\n', "\\n"));
    let (from, to) = (lines(from), lines(to));
    let both = from.iter().flat_map(|it| it.chars()).zip(to.iter().flat_map(|it| it.chars()));
    let same = both.take_while(|(a, b)| a == b).count();
    let skipped = if same > SHOWN_CHARS_MAX / 2 { same - SHOWN_CHARS_MAX / 4 } else { 0 };
    let part = |value: Option<String>| {
        let Some(value) = value else { return "(not set)".to_owned() };
        let shown: String = value.chars().skip(skipped).take(SHOWN_CHARS_MAX).collect();
        let before = if skipped > 0 { "…" } else { "" };
        let after = if value.chars().count() > skipped + SHOWN_CHARS_MAX { "…" } else { "" };
        format!("{before}{shown}{after}")
    };
    (part(from), part(to))
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
    use model::{Integration, Mock, RouteKey};

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
                        name.as_str()
                    })
                    .collect();
                format!("~ {}: {}", it.what, names.join(", "))
            }
        };
        assert_eq!(differences(Kind::Rest, from, to).iter().map(line).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn routes_are_compared_by_their_keys() {
        let before = definition(&[("GET /a", 200), ("GET /b", 200), ("GET /c", 200)]);
        check(&before, &before, &[]);
        let after = definition(&[("GET /c", 201), ("GET /a", 200), ("POST /a", 200)]);
        check(&before, &after, &["- route GET /b", "~ route GET /c: integration.status", "+ route POST /a"]);
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

    /// What is shown is what a file says, and of long texts what is different.
    #[test]
    fn values_are_shown_as_a_file_says_them() {
        let after = definition(&[("GET /a", 201)]);
        let found = differences(Kind::Rest, &definition(&[("GET /a", 202)]), &after);
        let [Difference { how: How::Changed(parts), .. }] = &found[..] else { panic!("{found:?}") };
        assert_eq!(parts, &[("integration.status".to_owned(), "202".to_owned(), "201".to_owned())]);
        let long = |end: &str| format!("{}{end}", "ä".repeat(1_000));
        let (from, to) = (long("one\n"), long("two"));
        let (from, to) = shown(Some(&from), Some(&to));
        assert!(from.starts_with('…') && from.ends_with("äone") && to.ends_with("ätwo"), "{from} {to}");
        assert_eq!(shown(None, Some(&long(""))).1.chars().count(), SHOWN_CHARS_MAX + 1);
        assert_eq!(shown(Some(&"1".into()), None), ("1".into(), "(not set)".into()));
    }
}
