//! What must hold between all APIs: names, ids and mappings are there once, and so are the routes of each.

use std::collections::{HashMap, HashSet};

use model::{Api, Declared, Integration, Kind, Origin, Quotas, Route, RouteKey};

use crate::{
    context::{Mistake, place, quote},
    document::Document,
    quotas, route_key,
};

pub(crate) fn check(document: &Document<'_>, apis: &[Api], quotas: &Quotas) {
    let (mut names, mut ids, mut keys) = (
        Seen::new(document, ""),
        Seen::new(document, ": give each an id of its own"),
        Seen::new(document, ""),
    );
    let mut mappings = Seen::new(document, ": give each hosts or a base path of its own");
    for api in apis {
        let is_new =
            names.add(&api.name, api.origin.as_ref(), || format!("two APIs are {}", quote(&api.name)));
        if is_new {
            ids.add(&api.id, api.origin.as_ref(), || format!("two APIs have the id {}", quote(&api.id)));
        }
        for mapping in &api.mappings {
            let host = mapping.host.as_deref().unwrap_or("every host");
            let at = format!("{host} at `/{}`", mapping.base_path);
            let origin = mapping.origin.as_ref().or(api.origin.as_ref());
            let what = if api.kind == Kind::Proxy { "routes of different `hosts`" } else { "two APIs" };
            mappings.add(&at, origin, || format!("{what} are reached by {at}"));
        }
        for route in &api.definition.routes {
            let key = format!("{}\n{}", api.name, route_key::shape(&route.key));
            keys.add(&key, route.origin.as_ref(), || format!("two routes are `{}`", route.key));
        }
        if api.kind == Kind::Rest {
            siblings(document, &api.definition.routes);
        }
        for mistake in too_many(api, quotas) {
            document.cx.mistake(api.origin.as_ref(), "api", mistake);
        }
    }
    let has_routes = ["route", "api"].iter().any(|key| document.values(key).next().is_some());
    if !has_routes && !document.is_broken() {
        let mistake = Mistake::new("no `[[route]]` and no `[[api]]`: every request is answered 404");
        document.cx.warn(
            None,
            "",
            mistake.help("add `[[route]]` with `match = \"$default\"` and `url = \"http://…\"`"),
        );
    }
}

/// Resources have one variable below them at most (row 21).
fn siblings(document: &Document<'_>, routes: &[Route]) {
    // A greedy one may stand beside a plain one.
    let mut variables: HashMap<(&str, bool), &str> = HashMap::new();
    for route in routes {
        let RouteKey::Path { path, .. } = &route.key else { continue };
        for (at, _) in path.match_indices("/{") {
            let (parent, rest) = path.split_at(at);
            let segment = rest[1..].split('/').next().unwrap_or_default();
            let first = *variables.entry((parent, segment.ends_with("+}"))).or_insert(segment);
            if first == segment {
                continue;
            }
            let message = format!("`{segment}` stands where `{first}` does in another route");
            let help = format!("a resource has one variable below it: write `{first}` in both");
            document.cx.mistake(route.origin.as_ref(), "api.route.key", Mistake::new(message).help(help));
            break;
        }
    }
}

/// Row 178: wherever they are written, here or in a document.
fn too_many(api: &Api, max: &Quotas) -> Vec<Mistake> {
    let routes = &api.definition.routes;
    let (parts, parts_max) = (api.definition.documentation.len(), max.documentation_parts);
    let documentation = quotas::exceeded("parts of documentation", parts, "documentation_parts", parts_max);
    let found = match api.kind {
        Kind::Proxy => [None, None],
        Kind::Http => [
            quotas::exceeded("routes", routes.len(), "routes", max.routes),
            // There are at most as many as routes.
            (routes.len() > max.integrations)
                .then(|| integrations(routes))
                .and_then(|count| quotas::exceeded("integrations", count, "integrations", max.integrations)),
        ],
        Kind::Rest => [quotas::exceeded("resources", resources(api), "resources", max.resources), None],
    };
    found.into_iter().chain([documentation]).flatten().collect()
}

/// How many integrations an HTTP API has: routes may share one.
fn integrations(routes: &[Route]) -> usize {
    let said = |route: &Route| match &route.integration {
        Integration::Declared(declared) => {
            format!("{:?}", Declared { origin: None, ..(**declared).clone() })
        }
        short => format!("{short:?}"),
    };
    routes.iter().map(said).collect::<HashSet<_>>().len()
}

/// How many resources a REST API has: each path, and each on the way to it.
fn resources(api: &Api) -> usize {
    let of_routes = api.definition.routes.iter().filter_map(|route| match &route.key {
        RouteKey::Path { path, .. } => Some(path.as_str()),
        RouteKey::Default => None,
    });
    let paths = of_routes.chain(api.definition.resources.iter().map(String::as_str));
    let mut all = HashSet::from(["/"]);
    for path in paths.filter(|path| *path != "/") {
        let ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
        all.extend(ends.map(|end| &path[..end]));
    }
    all.len()
}

/// Things that may be there once, and where they were.
struct Seen<'a> {
    document: &'a Document<'a>,
    /// What is said behind the first place.
    advice: &'static str,
    places: HashMap<String, Option<Origin>>,
}

impl<'a> Seen<'a> {
    fn new(document: &'a Document<'_>, advice: &'static str) -> Self {
        Self { document, advice, places: HashMap::new() }
    }

    /// Whether it is the first one; a mistake if it is not.
    fn add(&mut self, thing: &str, origin: Option<&Origin>, message: impl FnOnce() -> String) -> bool {
        let Some(first) = self.places.get(thing) else {
            self.places.insert(thing.to_owned(), origin.cloned());
            return true;
        };
        let first = first.as_ref().map(place).unwrap_or_default();
        let mistake = Mistake::new(message()).help(format!("the first is at {first}{}", self.advice));
        self.document.cx.mistake(origin, "", mistake);
        false
    }
}
