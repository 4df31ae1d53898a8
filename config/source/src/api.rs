//! `[[api]]`: APIs in AWS's shape, with stages and mappings; and what must hold between all APIs.

use std::collections::HashMap;

use model::{Api, Integration, Kind, Mapping, Node, Origin, Route, Stage};

use crate::{
    Form, Key, Section,
    context::{Mistake, place, quote},
    cors,
    document::Document,
    integration::{self, UrlPath},
    names,
    policy::{self, CacheScope},
    reader::{Table, Value},
    route, route_key, suggest,
    upstream::Upstreams,
};

const HOSTS: Key = Key::new(
    "hosts",
    Form::Texts(r#"["api.example.com"]"#),
    "Host names, `*.example.com` too. Left out: every host that no other API names.",
);
const BASE_PATH: Key = Key::new(
    "base_path",
    Form::Text(r#""shop/v2""#),
    "Whole segments before the API's own paths, without slashes at the ends.",
)
.or(r#""""#);

pub(crate) static API: Section = Section {
    name: "api",
    doc: "An API in AWS's shape.",
    keys: &[
        Key::new("name", Form::Text(r#""shop""#), "Its name, in metrics and logs.").required(),
        Key::new("kind", Form::Choice(&["rest", "http"]), "A REST API (v1) or an HTTP API (v2).").required(),
        HOSTS,
        BASE_PATH,
        Key::new(
            "mapping",
            Form::Tables(&MAPPING),
            "Where it is reached, one by one, in place of `hosts` and `base_path`.",
        ),
        Key::new("stage", Form::Tables(&STAGE), "Its stages; an HTTP API that names none has `$default`."),
        Key::new("route", Form::Tables(&ROUTE), "Its routes or methods."),
        Key::new("cors", Form::Table(&cors::CORS), "Answers preflights, and sets CORS headers."),
    ],
};

static MAPPING: Section = Section {
    name: "api.mapping",
    doc: "A host and a base path at which an API is reached.",
    keys: &[
        Key::new(
            "host",
            Form::Text(r#""api.example.com""#),
            "A host name, `*.example.com` too. Left out: every host that no other API names.",
        ),
        BASE_PATH,
        Key::new(
            "stage",
            Form::Text(r#""prod""#),
            "The stage it leads to. Left out: the first segment after the base path names it, or \
             `$default` where it is the only one.",
        ),
    ],
};

static STAGE: Section = Section {
    name: "api.stage",
    doc: "A stage of an API.",
    keys: &[
        Key::new(
            "name",
            Form::Text(r#""prod""#),
            "Its name: letters, digits, `-`, `_`; `$default` in an HTTP API.",
        )
        .required(),
        Key::new("throttle", Form::Table(&policy::THROTTLE), "The bucket of the whole stage."),
        Key::new(
            "route_throttle",
            Form::Table(&policy::THROTTLE),
            "The bucket of each route that has none of its own.",
        ),
        Key::new("cache", Form::Table(&policy::STAGE_CACHE), "Keeps responses to GET. Left out: no cache."),
    ],
};

static ROUTE: Section = Section {
    name: "api.route",
    doc: "A route of an HTTP API, or a method of a REST API.",
    keys: &[
        Key::new(
            "key",
            Form::Text(r#""GET /pets/{id}""#),
            "Method and path: `GET /pets/{id}`, `ANY /{proxy+}`; `$default` in an HTTP API.",
        )
        .required(),
        Key::new("integration", Form::Table(&INTEGRATION), "What answers.").required(),
        route::THROTTLES,
        Key::new(
            "cache",
            Form::DurationOrTable(&policy::ROUTE_CACHE, &[policy::RESPECT_ORIGIN]),
            "Keeps responses; `\"60s\"` or a table. Left out: the stage's for GET.",
        ),
        route::LIMITS,
    ],
};

static INTEGRATION: Section = Section {
    name: "api.route.integration",
    doc: "What answers a route.",
    keys: &[
        Key::new("type", Form::Choice(&["http_proxy", "mock"]), "A backend, or the gateway by itself.")
            .required(),
        Key::new(
            "url",
            Form::Text(r#""http://127.0.0.1:8080/pets/{id}""#),
            "`http_proxy`: the backend and the whole path sent, with the variables of `key`.",
        ),
        integration::HTTP2,
        route::UPSTREAM,
        Key::new(
            "path",
            Form::Text(r#""/v2/pets/{id}""#),
            "With `upstream`: the path sent, with the variables of `key`. Left out: the request's.",
        ),
        route::STRIP_PREFIX,
        integration::STATUS,
        integration::HEADERS,
        integration::BODY,
    ],
};

/// All `[[api]]`s.
pub(crate) fn read(document: &Document<'_>, node: &Node, upstreams: &mut Upstreams) -> Vec<Api> {
    document.tables("api").iter().filter_map(|table| api(table, node, upstreams)).collect()
}

/// What must hold between APIs: names and mappings are there once, and so are the routes of each.
pub(crate) fn check(document: &Document<'_>, apis: &[Api]) {
    let (mut names, mut keys) = (Seen::new(document, ""), Seen::new(document, ""));
    let mut mappings = Seen::new(document, ": give each hosts or a base path of its own");
    for api in apis {
        names.add(&api.name, api.origin.as_ref(), || format!("two APIs are {}", quote(&api.name)));
        for mapping in &api.mappings {
            let host = mapping.host.as_deref().unwrap_or("every host");
            let at = format!("{host} at `/{}`", mapping.base_path);
            let origin = mapping.origin.as_ref().or(api.origin.as_ref());
            let what = if api.kind == Kind::Proxy { "routes of different `hosts`" } else { "two APIs" };
            mappings.add(&at, origin, || format!("{what} are reached by {at}"));
        }
        for route in &api.routes {
            let key = format!("{}\n{}", api.name, route_key::shape(&route.key));
            keys.add(&key, route.origin.as_ref(), || format!("two routes are `{}`", route.key));
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

    fn add(&mut self, thing: &str, origin: Option<&Origin>, message: impl FnOnce() -> String) {
        match self.places.get(thing) {
            Some(first) => {
                let first = first.as_ref().map(place).unwrap_or_default();
                let mistake = Mistake::new(message()).help(format!("the first is at {first}{}", self.advice));
                self.document.cx.mistake(origin, "", mistake);
            }
            None => {
                self.places.insert(thing.to_owned(), origin.cloned());
            }
        }
    }
}

fn api(table: &Table<'_>, node: &Node, upstreams: &mut Upstreams) -> Option<Api> {
    let kind = match table.opt("kind", Value::choice) {
        Some("rest") => Kind::Rest,
        _ => Kind::Http,
    };
    let name = table.opt("name", |value| value.parse(names::api));
    let stages = stages(table, kind, node);
    let mappings = mappings(table, &stages);
    let routes: Vec<_> =
        table.tables("route").iter().filter_map(|table| route(table, kind, node, upstreams)).collect();
    if table.get("route").is_none() && !table.file.is_broken() {
        table.mistake(
            Mistake::new("the API has no routes").help("add `[[api.route]]` with `key` and `integration`"),
        );
    }
    let cors = table.opt("cors", Value::table).map(|table| cors::read(&table));
    Some(Api { name: name?, kind, mappings, stages, routes, cors, origin: Some(table.origin()) })
}

fn stages(table: &Table<'_>, kind: Kind, node: &Node) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    for table in table.tables("stage") {
        let scope = CacheScope { kind, route: None, node_bytes: node.cache.size_bytes };
        let throttle = |key| table.opt(key, Value::table).and_then(|table| policy::throttle(&table));
        let stage = Stage {
            name: table.or(
                "name",
                |value| value.parse(|text| names::stage(text, kind == Kind::Http)),
                String::new(),
            ),
            throttle: throttle("throttle"),
            route_throttle: throttle("route_throttle"),
            cache: table.opt("cache", Value::table).map(|table| policy::stage_cache(&table, &scope)),
            origin: Some(table.origin()),
        };
        if let Some(other) = stages.iter().find(|other| other.name == stage.name && !stage.name.is_empty()) {
            let first = other.origin.as_ref().map(place).unwrap_or_default();
            let mistake = Mistake::new(format!("two stages are {}", quote(&stage.name)));
            table.mistake(mistake.help(format!("the first is at {first}")));
        }
        stages.push(stage);
    }
    if stages.is_empty() && kind == Kind::Rest && !table.file.is_broken() {
        let mistake = Mistake::new("a REST API needs a stage");
        table.mistake(mistake.help("add `[[api.stage]]` with `name = \"prod\"`"));
    }
    if stages.is_empty() && kind == Kind::Http {
        stages.push(Stage { name: "$default".into(), origin: Some(table.origin()), ..Stage::default() });
    }
    stages
}

fn mappings(table: &Table<'_>, stages: &[Stage]) -> Vec<Mapping> {
    // `$default` alone has no segment that could name it.
    let only = || stages.iter().all(|stage| stage.name == "$default").then(|| "$default".to_owned());
    let hosts = names::hosts(table);
    let base_path = table.or("base_path", |value| value.parse(names::base_path), String::new());
    if table.get("mapping").is_some() {
        for extra in ["hosts", "base_path"].iter().filter_map(|key| table.get(key)) {
            let mistake = Mistake::new("`[[api.mapping]]` says where the API is reached");
            extra.mistake(mistake.help("keep one of them"));
        }
        let mut tables = table.tables("mapping");
        // Where a misspelled host is reached nobody knows.
        tables.retain(|table| !table.is_misspelled("host"));
        return tables.iter().map(|table| mapping(table, stages, only())).collect();
    }
    let origin = ["hosts", "base_path"].iter().find_map(|key| table.get(key)).map(|value| value.origin());
    let origin = origin.unwrap_or_else(|| table.origin());
    let hosts = if hosts.is_empty() { vec![None] } else { hosts.into_iter().map(Some).collect() };
    let mapping =
        |host| Mapping { host, base_path: base_path.clone(), stage: only(), origin: Some(origin.clone()) };
    hosts.into_iter().map(mapping).collect()
}

fn mapping(table: &Table<'_>, stages: &[Stage], only: Option<String>) -> Mapping {
    let known = || stages.iter().map(|stage| &*stage.name);
    let stage = |text: &str| {
        // An empty name is one that could not be read; it may be this.
        if known().any(|name| name == text || name.is_empty()) {
            return Ok(text.to_owned());
        }
        let mistake = Mistake::new(format!("the API has no stage {}", quote(text)));
        Err(match suggest::nearest(text, known()) {
            Some(near) => mistake.help(format!("did you mean `{near}`?")),
            None => mistake.help(format!("add `[[api.stage]]` with `name = {text:?}`")),
        })
    };
    Mapping {
        host: table.opt("host", |value| value.parse(names::host_pattern)),
        base_path: table.or("base_path", |value| value.parse(names::base_path), String::new()),
        stage: table.opt("stage", |value| value.parse(stage)).or(only),
        origin: Some(table.origin()),
    }
}

fn route(table: &Table<'_>, kind: Kind, node: &Node, upstreams: &mut Upstreams) -> Option<Route> {
    let key = table.get("key").and_then(|value| value.parse(|text| route_key::parse(text, kind)));
    let integration = table.opt("integration", Value::table).and_then(|table| {
        let (of_http, of_mock) =
            (["url", "http2", "upstream", "path", "strip_prefix"], ["status", "headers", "body"]);
        match table.opt("type", Value::choice)? {
            "mock" => {
                refuse(&table, &of_http, "`mock` calls no backend");
                Some(Integration::Mock(integration::mock(&table)))
            }
            _ => {
                refuse(&table, &of_mock, "`http_proxy` returns the backend's answer");
                let answers = ["url", "upstream"].iter().filter(|key| table.get(key).is_some()).count();
                if answers != 1 && !table.file.is_broken() {
                    let message = if answers == 0 { "no backend is named" } else { "two backends are named" };
                    let help = "write one of `url = \"http://…\"` and `upstream = \"NAME\"`";
                    table.mistake(Mistake::new(message).help(help));
                }
                integration::forward(&table, key.as_ref(), upstreams, UrlPath::Template)
            }
        }
    });
    route::policies(table, kind, key, integration, node)
}

fn refuse(table: &Table<'_>, keys: &[&str], why: &str) {
    for extra in keys.iter().filter_map(|key| table.get(key)) {
        extra.mistake(Mistake::new(why).help("leave it out, or change `type`"));
    }
}
