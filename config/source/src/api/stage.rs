//! `[[api.stage]]`: variables, limits, what holds for single methods, the canary (rows 27 to 33).

use std::time::Duration;

use model::{Canary, CanaryJudge, Kind, MethodSettings, Node, Stage};

use super::{grammar, parts};
use crate::{
    Form, Key, Section,
    context::{Mistake, place, quote},
    cors, names,
    policy::{self, CacheScope},
    quotas,
    reader::{Table, Value},
    route_key,
};

const MS: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_hours(24);

pub(super) static STAGE: Section = Section {
    name: "api.stage",
    doc: "A stage of an API.",
    keys: &[
        Key::new(
            "name",
            Form::Text(r#""prod""#),
            "Its name: letters, digits, `-`, `_`; `$default` in an HTTP API.",
        )
        .required(),
        parts::DESCRIPTION,
        Key::new(
            "auto_deploy",
            Form::Boolean,
            "Whether it runs what stands here; else what was deployed to it last.",
        )
        .or("true"),
        Key::new(
            "variables",
            Form::Pairs,
            "What `${stageVariables.name}` stands for; letters, digits and `-._~:/?#&=,`.",
        )
        .or("{}"),
        Key::new("documentation_version", Form::Text(r#""1.0""#), "The documentation that it shows."),
        Key::new("throttle", Form::Table(&policy::THROTTLE), "The bucket of the whole stage."),
        Key::new(
            "route_throttle",
            Form::Table(&policy::THROTTLE),
            "The bucket of each route that has none of its own.",
        ),
        Key::new("cache", Form::Table(&policy::STAGE_CACHE), "Keeps responses to GET. Left out: no cache."),
        Key::new(
            "cors",
            cors::FORM,
            "Answers preflights and sets CORS headers in a REST API; `\"*\"`: everybody may call.",
        ),
        Key::new("method", Form::Tables(&METHOD), "What holds for single routes, before what they say."),
        Key::new("canary", Form::Table(&CANARY), "What serves a part of its requests."),
    ],
};

static METHOD: Section = Section {
    name: "api.stage.method",
    doc: "What holds for one route of the stage.",
    keys: &[
        Key::new("key", Form::Text(r#""GET /pets/{id}""#), "The route's key.").required(),
        Key::new("throttle", Form::Table(&policy::THROTTLE), "Its bucket."),
        Key::new(
            "cache",
            Form::DurationOrTable(&policy::ROUTE_CACHE, &[policy::RESPECT_ORIGIN]),
            "Its cache; `\"0s\"`: none.",
        ),
    ],
};

static CANARY: Section = Section {
    name: "api.stage.canary",
    doc: "A part of a stage's requests that another deployment serves, or the same with other variables.",
    keys: &[
        Key::new(
            "percent",
            Form::Number(0.0, 100.0),
            "How many of a hundred requests; each is drawn by itself.",
        )
        .required(),
        Key::new("variables", Form::Pairs, "Stage variables that differ.").or("{}"),
        Key::new("use_stage_cache", Form::Boolean, "Whether it may use the stage's cache.").or("false"),
        Key::new(
            "judge",
            Form::Table(&JUDGE),
            "When it is promoted or taken back without anybody's word. Left out: never.",
        ),
    ],
};

static JUDGE: Section = Section {
    name: "api.stage.canary.judge",
    doc: "When a canary is promoted, and when it is taken back.",
    keys: &[
        Key::new("promote_after", Form::Duration(MS, DAY), "How long it has to do well.").required(),
        Key::new(
            "requests_min",
            Form::Count(1, 1_000_000_000),
            "Requests of the canary before anything is judged.",
        )
        .or("100"),
        Key::new(
            "error_rate_max",
            Form::Number(0.0, 1.0),
            "It is taken back above this share of answers of 500 and above. Left out: they don't count.",
        ),
        Key::new(
            "latency_p99_max",
            Form::Duration(MS, DAY),
            "It is taken back above this 99th percentile. Left out: it doesn't count.",
        ),
    ],
};

pub(super) fn stages(table: &Table<'_>, kind: Kind, node: &Node) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    for table in table.tables("stage") {
        let stage = stage(&table, kind, node);
        if let Some(other) = stages.iter().find(|other| other.name == stage.name && !stage.name.is_empty()) {
            let first = other.origin.as_ref().map(place).unwrap_or_default();
            let mistake = Mistake::new(format!("two stages are {}", quote(&stage.name)));
            table.mistake(mistake.help(format!("the first is at {first}")));
        }
        stages.push(stage);
    }
    if let Some(mistake) = quotas::exceeded("stages", stages.len(), "stages", node.quotas.stages) {
        table.mistake(mistake);
    }
    if stages.is_empty() && kind == Kind::Rest && !table.file.is_broken() {
        let mistake = Mistake::new("a REST API needs a stage");
        table.mistake(mistake.help("add `[[api.stage]]` with `name = \"prod\"`"));
    }
    if stages.is_empty() && kind == Kind::Http {
        stages.push(Stage { origin: Some(table.origin()), ..default_stage() });
    }
    stages
}

/// The stage of an HTTP API that names none.
pub(crate) fn default_stage() -> Stage {
    Stage { name: "$default".into(), auto_deploy: true, ..Stage::default() }
}

fn stage(table: &Table<'_>, kind: Kind, node: &Node) -> Stage {
    let scope = CacheScope { kind, route: None, node_bytes: node.cache.size_bytes };
    let throttle = |key| table.opt(key, Value::table).and_then(|table| policy::throttle(&table));
    let variables = table.opt("variables", grammar::variables).unwrap_or_default();
    let max = node.quotas.stage_variables;
    let exceeded = quotas::exceeded("stage variables", variables.len(), "stage_variables", max);
    if let (Some(mistake), Some(value)) = (exceeded, table.get("variables")) {
        value.mistake(mistake);
    }
    if kind == Kind::Http {
        for key in ["cors", "documentation_version"] {
            let Some(value) = table.get(key) else { continue };
            let mistake = Mistake::new(format!("a stage of an HTTP API has no `{key}`"));
            let help = if key == "cors" { "write it into the API" } else { "leave it out" };
            value.mistake(mistake.help(help));
        }
    }
    Stage {
        name: table.or(
            "name",
            |value| value.parse(|text| names::stage(text, kind == Kind::Http)),
            String::new(),
        ),
        description: table.opt("description", |value| value.parse(grammar::description)),
        variables,
        throttle: throttle("throttle"),
        route_throttle: throttle("route_throttle"),
        cache: table.opt("cache", Value::table).map(|table| policy::stage_cache(&table, &scope)),
        method_settings: method_settings(table, kind, node),
        cors: table.opt("cors", cors::read_value),
        auto_deploy: table.or("auto_deploy", Value::boolean, true),
        deployment: None,
        canary: table.opt("canary", Value::table).and_then(|table| canary(&table)),
        documentation_version: table.opt("documentation_version", Value::text),
        origin: Some(table.origin()),
    }
}

fn method_settings(table: &Table<'_>, kind: Kind, node: &Node) -> Vec<MethodSettings> {
    let mut all: Vec<MethodSettings> = Vec::new();
    for table in table.tables("method") {
        let key = table.get("key").and_then(|value| value.parse(|text| route_key::parse(text, kind)));
        let scope = CacheScope { kind, route: key.as_ref(), node_bytes: node.cache.size_bytes };
        let throttle = table.opt("throttle", Value::table).and_then(|table| policy::throttle(&table));
        let cache = table.opt("cache", |value| policy::route_cache(value, &scope));
        let Some(key) = key else { continue };
        if let Some(other) = all.iter().find(|other| other.key == key) {
            let first = other.origin.as_ref().map(place).unwrap_or_default();
            let mistake = Mistake::new(format!("the stage says twice what holds for `{key}`"));
            table.mistake(mistake.help(format!("the first is at {first}")));
        }
        all.push(MethodSettings { key, throttle, cache, origin: Some(table.origin()) });
    }
    all
}

fn canary(table: &Table<'_>) -> Option<Canary> {
    let variables = table.opt("variables", grammar::variables).unwrap_or_default();
    let use_stage_cache = table.or("use_stage_cache", Value::boolean, false);
    let judge = table.opt("judge", Value::table).and_then(|table| judge(&table));
    let percent = table.opt("percent", Value::number)?;
    Some(Canary { percent, deployment: None, variables, use_stage_cache, judge })
}

fn judge(table: &Table<'_>) -> Option<CanaryJudge> {
    let requests_min = table.or("requests_min", Value::count, REQUESTS_MIN);
    let error_rate_max = table.opt("error_rate_max", Value::number);
    let latency_p99_max = table.opt("latency_p99_max", Value::duration);
    if ["error_rate_max", "latency_p99_max"]
        .iter()
        .all(|key| table.get(key).is_none() && !table.is_misspelled(key))
        && !table.file.is_broken()
    {
        let mistake = Mistake::new("nothing would take the canary back");
        table.mistake(mistake.help("add `error_rate_max = 0.05` or `latency_p99_max = \"500ms\"`"));
    }
    let promote_after = table.opt("promote_after", Value::duration)?;
    Some(CanaryJudge { promote_after, requests_min, error_rate_max, latency_p99_max })
}

/// So few say nothing of a share.
pub(crate) const REQUESTS_MIN: u64 = 100;
