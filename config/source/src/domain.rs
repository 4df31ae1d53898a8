//! `[[domain]]`: what is said of a host beside the APIs that are mapped to it (rows 8, 35 to 39).

use model::{Api, Domain, Kind, Quotas, RoutingMode, RoutingRule};

use crate::{
    Form, Key, Section, api,
    context::{Mistake, place, quote},
    document::Document,
    names, quotas,
    reader::{Table, Value},
    suggest,
};

/// Row 39.
const PRIORITY_MAX: u64 = 1_000_000;
const HEADERS_MAX: usize = 2;

pub(crate) static DOMAIN: Section = Section {
    name: "domain",
    doc: "What is said of a host beside the APIs that are mapped to it.",
    keys: &[
        Key::new("name", Form::Text(r#""api.example.com""#), "The host name, `*.example.com` too.")
            .required(),
        Key::new(
            "routing_mode",
            Form::Choice(&["mapping_only", "rule_only", "rule_then_mapping"]),
            "Who decides where a request goes: hosts and base paths of APIs, the rules here, or these first.",
        )
        .or(r#""mapping_only""#),
        api::ENDPOINT,
        api::IP_ADDRESS_TYPE,
        api::ENDPOINT_ACCESS_MODE,
        Key::new("health", Form::Boolean, "Whether it answers `/ping` and `/sping` by itself.").or("true"),
        Key::new("rule", Form::Tables(&RULE), "Rules; the lowest priority that matches decides."),
    ],
};

static RULE: Section = Section {
    name: "domain.rule",
    doc: "Where requests go that have these headers and begin with one of these paths; without both, all.",
    keys: &[
        Key::new("priority", Form::Count(1, PRIORITY_MAX), "Its own alone; the lowest is asked first.")
            .required(),
        Key::new("headers", Form::Pairs, "Fields and patterns of their values with `*`; at most two.")
            .or("{}"),
        Key::new("base_paths", Form::Texts(r#"["v1"]"#), "Whole segments without slashes at the ends.")
            .or("[]"),
        Key::new("api", Form::Text(r#""shop""#), "The name of a REST API.").required(),
        Key::new("stage", Form::Text(r#""prod""#), "Its stage.").required(),
        Key::new("strip_base_path", Form::Boolean, "Whether the base path is taken off.").or("false"),
    ],
};

pub(crate) fn read(document: &Document<'_>, apis: &[Api], quotas: &Quotas) -> Vec<Domain> {
    let mut domains: Vec<Domain> = Vec::new();
    for table in document.tables("domain") {
        let Some(domain) = domain(document, &table, apis, quotas) else { continue };
        if let Some(other) = domains.iter().find(|other| other.name == domain.name) {
            let first = other.origin.as_ref().map(place).unwrap_or_default();
            let mistake = Mistake::new(format!("two domains are {}", quote(&domain.name)));
            table.mistake(mistake.help(format!("the first is at {first}")));
        }
        domains.push(domain);
    }
    domains
}

fn domain(document: &Document<'_>, table: &Table<'_>, apis: &[Api], quotas: &Quotas) -> Option<Domain> {
    let name = table.opt("name", |value| value.parse(names::host_pattern));
    let (endpoint, ip_address_type) = api::endpoint(table);
    let endpoint_access_mode = api::access_mode(table);
    let routing_mode = match table.opt("routing_mode", Value::choice) {
        Some("rule_only") => RoutingMode::RuleOnly,
        Some("rule_then_mapping") => RoutingMode::RuleThenMapping,
        _ => RoutingMode::MappingOnly,
    };
    let health = table.or("health", Value::boolean, true);
    let mut rules: Vec<RoutingRule> = Vec::new();
    for table in table.tables("rule") {
        let Some(rule) = rule(document, &table, apis) else { continue };
        if let Some(other) = rules.iter().find(|other| other.priority == rule.priority) {
            let first = other.origin.as_ref().map(place).unwrap_or_default();
            let mistake = Mistake::new(format!("two rules have the priority {}", rule.priority));
            table.mistake(mistake.help(format!("the first is at {first}")));
        }
        rules.push(rule);
    }
    let exceeded = quotas::exceeded("rules", rules.len(), "routing_rules", quotas.routing_rules);
    exceeded.into_iter().for_each(|mistake| table.mistake(mistake));
    if let Some(value) =
        table.get("rule").filter(|_| routing_mode == RoutingMode::MappingOnly && !rules.is_empty())
        && !table.is_misspelled("routing_mode")
    {
        let mistake = Mistake::new("no rule is asked with `routing_mode = \"mapping_only\"`");
        value.warn(mistake.help("write `routing_mode = \"rule_then_mapping\"` or `\"rule_only\"`"));
    }
    let origin = Some(table.origin());
    Some(Domain {
        name: name?,
        routing_mode,
        rules,
        endpoint,
        ip_address_type,
        endpoint_access_mode,
        health,
        origin,
    })
}

fn rule(document: &Document<'_>, table: &Table<'_>, apis: &[Api]) -> Option<RoutingRule> {
    let headers = table.opt("headers", Value::pairs).unwrap_or_default();
    if let Some(value) = table.get("headers").filter(|_| headers.len() > HEADERS_MAX) {
        value.mistake(Mistake::new(format!("a rule has at most {HEADERS_MAX} headers")));
    }
    let header = |(name, value): (String, Value<'_>)| {
        let name = names::header(&name).map_err(|mistake| value.mistake(mistake)).ok();
        name.zip(value.parse(names::header_value))
    };
    let headers = headers.into_iter().filter_map(header).collect();
    let base_paths = table.or("base_paths", |value| value.list(names::base_path), Vec::new());
    let strip_base_path = table.or("strip_base_path", Value::boolean, false);
    let priority = table.opt("priority", Value::count);
    let name = table.opt("api", |value| value.parse(|text| rest_api(document, text, apis)));
    let api = name.as_ref().and_then(|name| apis.iter().find(|api| api.name == *name));
    let stage = table.opt("stage", |value| value.parse(|text| stage(text, api)));
    Some(RoutingRule {
        priority: priority?,
        headers,
        base_paths,
        api: name?,
        stage: stage?,
        strip_base_path,
        origin: Some(table.origin()),
    })
}

fn rest_api(document: &Document<'_>, text: &str, apis: &[Api]) -> Result<String, Mistake> {
    match apis.iter().find(|api| api.name == text) {
        Some(api) if api.kind == Kind::Rest => Ok(text.to_owned()),
        Some(_) => {
            let mistake = Mistake::new(format!("{} is no REST API: rules lead to those alone", quote(text)));
            Err(mistake.help("give the API a base path on this host instead"))
        }
        None if document.is_broken() => Ok(text.to_owned()),
        None => {
            let mistake = Mistake::new(format!("there is no API {}", quote(text)));
            let known = apis.iter().filter(|api| api.kind == Kind::Rest).map(|api| &*api.name);
            Err(match suggest::nearest(text, known) {
                Some(near) => mistake.help(format!("did you mean `{near}`?")),
                None => mistake.help(format!("add `[[api]]` with `name = {text:?}`")),
            })
        }
    }
}

fn stage(text: &str, api: Option<&Api>) -> Result<String, Mistake> {
    let Some(api) = api else { return Ok(text.to_owned()) };
    let known = || api.stages.iter().map(|stage| &*stage.name);
    if known().any(|name| name == text || name.is_empty()) {
        return Ok(text.to_owned());
    }
    let mistake = Mistake::new(format!("the API {} has no stage {}", quote(&api.name), quote(text)));
    Err(match suggest::nearest(text, known()) {
        Some(near) => mistake.help(format!("did you mean `{near}`?")),
        None => mistake.help(format!("add `[[api.stage]]` with `name = {text:?}`")),
    })
}
