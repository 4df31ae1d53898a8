//! `[[route]]`: the routes of a plain gateway. All of the same hosts are one HTTP API of dialect `proxy`.

use std::collections::BTreeMap;

use model::{Api, Cors, Definition, Integration, Kind, Mapping, Node, Route, RouteKey, Stage};
use progress::Phase;

use crate::{
    Form, Key, Section,
    context::Mistake,
    document::Document,
    integration::{self, UrlPath},
    names,
    policy::{self, CacheScope},
    reader::{Table, Value, alternatives},
    route_key,
    upstream::Upstreams,
};

pub(crate) const UPSTREAM: Key =
    Key::new("upstream", Form::Text(r#""orders""#), "The `[upstream.NAME]` that answers.");
pub(crate) const STRIP_PREFIX: Key = Key::new(
    "strip_prefix",
    Form::Text(r#""/static""#),
    "Taken off the front of the request's path before it is sent; whole segments.",
);
pub(crate) const THROTTLES: Key = Key::new(
    "throttle",
    Form::TableOrTables(&policy::ROUTE_THROTTLE),
    "How often it may be called. Left out: no bound of its own.",
);
pub(crate) const LIMITS: Key =
    Key::new("limits", Form::Table(&policy::LIMITS), "Limits of its own; those left out are the node's.");

pub(crate) static ROUTE: Section = Section {
    name: "route",
    doc: "One route; the most exact match wins.",
    keys: &[
        Key::new(
            "match",
            Form::Text(r#""GET /orders/{id}""#),
            "Method and path; without a method, any. `{name}` is a segment, `{name+}` the rest; \
             `$default`: what no other takes.",
        )
        .required(),
        Key::new(
            "hosts",
            Form::Texts(r#"["api.example.com"]"#),
            "Host names it is for, `*.example.com` too. Left out: every \
             host that no other names.",
        ),
        UPSTREAM,
        Key::new(
            "url",
            Form::Text(r#""http://127.0.0.1:8080""#),
            "The backend that answers; a path in it stands before the \
             request's.",
        ),
        integration::HTTP2,
        Key::new("mock", Form::Table(&integration::MOCK), "An answer without a backend."),
        Key::new(
            "path",
            Form::Text(r#""/v2/orders/{id}""#),
            "The path sent, with the variables of `match`. Left out: the \
             request's.",
        ),
        STRIP_PREFIX,
        THROTTLES,
        Key::new(
            "cache",
            Form::DurationOrTable(&policy::ROUTE_CACHE, &[policy::RESPECT_ORIGIN]),
            "Keeps responses; `\"60s\"`, `\"respect-origin\"` or a table. Left out: no cache.",
        ),
        LIMITS,
    ],
};

/// The APIs that all routes make: one for each list of hosts.
pub(crate) fn read(
    document: &Document<'_>,
    node: &Node,
    upstreams: &mut Upstreams,
    cors: Option<Cors>,
) -> Vec<Api> {
    let mut by_hosts: BTreeMap<Vec<String>, Api> = BTreeMap::new();
    let tables = document.tables("route");
    document.cx.environment.progress().begin(Phase::Routes, tables.len());
    for table in tables {
        document.cx.environment.progress().advance(1);
        let mut hosts = names::hosts(&table);
        hosts.sort_unstable();
        hosts.dedup();
        let route = route(&table, node, upstreams);
        let api = by_hosts.entry(hosts).or_insert_with_key(|hosts| api(hosts, &table, cors.clone()));
        api.definition.routes.extend(route);
    }
    by_hosts.into_values().collect()
}

/// An API of dialect `proxy` without routes.
pub(crate) fn plain_api(hosts: &[String], cors: Option<Cors>) -> Api {
    const STAGE: &str = "$default";
    let mapping = |host| Mapping { host, base_path: String::new(), stage: Some(STAGE.into()), origin: None };
    let name = if hosts.is_empty() { "default".into() } else { format!("default@{}", hosts.join(",")) };
    Api {
        mappings: if hosts.is_empty() {
            vec![mapping(None)]
        } else {
            hosts.iter().cloned().map(Some).map(mapping).collect()
        },
        stages: vec![Stage { name: STAGE.into(), auto_deploy: true, ..Stage::default() }],
        definition: Definition { cors, ..Definition::default() },
        ..Api::new(name, Kind::Proxy)
    }
}

/// What both kinds of routes have beside their key and integration.
pub(crate) fn policies(
    table: &Table<'_>,
    kind: Kind,
    key: Option<RouteKey>,
    integration: Option<Integration>,
    node: &Node,
) -> Option<Route> {
    let scope = CacheScope { kind, route: key.as_ref(), node_bytes: node.cache.size_bytes };
    let throttles = table.get("throttle").map(|value| policy::throttles(&value)).unwrap_or_default();
    let cache = table.opt("cache", |value| policy::route_cache(value, &scope));
    let limits = table.opt("limits", Value::table).map(|table| policy::limits(&table, &node.limits));
    let route = Route::new(key?, integration?);
    Some(Route { throttles, cache, limits, origin: Some(table.origin()), ..route })
}

fn api(hosts: &[String], table: &Table<'_>, cors: Option<Cors>) -> Api {
    let origin = Some(table.get("hosts").map_or_else(|| table.origin(), |value| value.origin()));
    let mut api = plain_api(hosts, cors);
    for mapping in &mut api.mappings {
        mapping.origin.clone_from(&origin);
    }
    Api { origin, ..api }
}

pub(crate) fn route(table: &Table<'_>, node: &Node, upstreams: &mut Upstreams) -> Option<Route> {
    let key = table.get("match").and_then(|value| value.parse(|text| route_key::parse(text, Kind::Proxy)));
    let answers = ["upstream", "url", "mock"];
    let given: Vec<_> = answers.into_iter().filter(|answer| table.get(answer).is_some()).collect();
    if given.len() > 1 {
        let names = alternatives(given.iter().copied()).replace(" or ", " and ");
        table.mistake(Mistake::new(format!("{names} can't all answer")).help("keep one of them"));
    }
    let integration = if let Some(value) = table.get("mock") {
        for unused in ["path", "strip_prefix", "http2"].iter().filter_map(|key| table.get(key)) {
            unused.mistake(Mistake::new("a mock calls no backend").help("leave it out"));
        }
        value.table().map(|table| Integration::Mock(integration::mock(&table)))
    } else {
        integration::forward(table, key.as_ref(), upstreams, UrlPath::Prefix)
    };
    if given.is_empty() && !table.file.is_broken() {
        let mistake = Mistake::new("nothing answers this route");
        table.mistake(
            mistake.help("add `url = \"http://…\"`, `upstream = \"NAME\"` or `mock = { status = 200 }`"),
        );
    }
    policies(table, Kind::Proxy, key, integration, node)
}
