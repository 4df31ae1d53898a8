//! `[quotas]`: how many of each thing a node, an API or a domain may have (rows 178, 179).

use std::collections::{BTreeMap, BTreeSet};

use model::{Api, Domain, EndpointType, Kind, Quotas};

use crate::{
    Form, Key, Section,
    context::Mistake,
    document::Document,
    reader::{Table, Value},
};

/// More than any node holds.
const MAX: u64 = 1_000_000;

pub(crate) static QUOTAS: Section = Section {
    name: "quotas",
    doc: "How many `[[api]]`s and `[[domain]]`s there may be, and of each thing that one may have; what is left out is AWS's default.",
    keys: &[
        Key::new("regional_apis", Form::Count(1, MAX), "APIs with a regional endpoint; HTTP APIs have one.")
            .or("600"),
        Key::new("edge_apis", Form::Count(1, MAX), "REST APIs with an edge endpoint.").or("120"),
        Key::new("private_apis", Form::Count(1, MAX), "REST APIs with a private endpoint.").or("600"),
        Key::new("domains", Form::Count(1, MAX), "Hosts of APIs and `[[domain]]`s.").or("120"),
        Key::new(
            "mappings",
            Form::Count(1, MAX),
            "Mappings of a domain whose base paths have several segments.",
        )
        .or("200"),
        Key::new(
            "resources",
            Form::Count(1, MAX),
            "Resources of a REST API: its paths, and those on the way to them.",
        )
        .or("300"),
        Key::new("routes", Form::Count(1, MAX), "Routes of an HTTP API.").or("300"),
        Key::new(
            "integrations",
            Form::Count(1, MAX),
            "Integrations of an HTTP API: routes that say the same of theirs have one.",
        )
        .or("300"),
        Key::new("stages", Form::Count(1, MAX), "Stages of an API.").or("10"),
        Key::new("authorizers", Form::Count(1, MAX), "Authorizers of an API.").or("10"),
        Key::new("stage_variables", Form::Count(1, MAX), "Variables of a stage.").or("100"),
        Key::new("documentation_parts", Form::Count(1, MAX), "Parts of an API's documentation.").or("2000"),
        Key::new("audiences", Form::Count(1, MAX), "Audiences of an authorizer.").or("50"),
        Key::new("scopes", Form::Count(1, MAX), "Scopes of a route.").or("10"),
        Key::new("tags", Form::Count(1, MAX), "Tags of an API.").or("50"),
        Key::new("routing_rules", Form::Count(1, MAX), "Rules of a domain.").or("50"),
    ],
};

pub(crate) fn read(table: &Table<'_>) -> Quotas {
    let default = Quotas::default();
    Quotas {
        regional_apis: table.or("regional_apis", Value::count, default.regional_apis),
        edge_apis: table.or("edge_apis", Value::count, default.edge_apis),
        private_apis: table.or("private_apis", Value::count, default.private_apis),
        domains: table.or("domains", Value::count, default.domains),
        mappings: table.or("mappings", Value::count, default.mappings),
        resources: table.or("resources", Value::count, default.resources),
        routes: table.or("routes", Value::count, default.routes),
        integrations: table.or("integrations", Value::count, default.integrations),
        stages: table.or("stages", Value::count, default.stages),
        authorizers: table.or("authorizers", Value::count, default.authorizers),
        stage_variables: table.or("stage_variables", Value::count, default.stage_variables),
        documentation_parts: table.or("documentation_parts", Value::count, default.documentation_parts),
        audiences: table.or("audiences", Value::count, default.audiences),
        scopes: table.or("scopes", Value::count, default.scopes),
        tags: table.or("tags", Value::count, default.tags),
        routing_rules: table.or("routing_rules", Value::count, default.routing_rules),
    }
}

/// Row 179: what a node has in all. `[[route]]`s count for nothing.
pub(crate) fn check(document: &Document<'_>, apis: &[Api], domains: &[Domain], max: &Quotas) {
    let aws = || apis.iter().filter(|api| api.kind != Kind::Proxy);
    let of = |endpoint| aws().filter(move |api| api.endpoint == endpoint).count();
    let mappings = || aws().flat_map(|api| &api.mappings).filter_map(|it| Some((it.host.as_deref()?, it)));
    let hosts: BTreeSet<_> =
        mappings().map(|(host, _)| host).chain(domains.iter().map(|it| &*it.name)).collect();
    let mut deep: BTreeMap<&str, usize> = BTreeMap::new();
    for (host, _) in mappings().filter(|(_, mapping)| mapping.base_path.contains('/')) {
        *deep.entry(host).or_default() += 1;
    }
    let deepest = deep.into_iter().max_by_key(|(_, count)| *count);
    let (host, count) = deepest.unwrap_or_default();
    let of_host = format!("mappings of `{host}` with several segments");
    let found = [
        exceeded("regional APIs", of(EndpointType::Regional), "regional_apis", max.regional_apis),
        exceeded("edge APIs", of(EndpointType::Edge), "edge_apis", max.edge_apis),
        exceeded("private APIs", of(EndpointType::Private), "private_apis", max.private_apis),
        exceeded("domains", hosts.len(), "domains", max.domains),
        exceeded(&of_host, count, "mappings", max.mappings),
    ];
    found.into_iter().flatten().for_each(|mistake| document.cx.mistake(None, "quotas", mistake));
}

/// What is wrong with so many of these, if they are more than `key` of `[quotas]` allows.
pub(crate) fn exceeded(what: &str, count: usize, key: &str, max: usize) -> Option<Mistake> {
    (count > max).then(|| {
        let mistake = Mistake::new(format!("{count} {what}, at most {max} are allowed"));
        mistake.help(format!("have fewer, or write `{key} = {count}` into `[quotas]`"))
    })
}
