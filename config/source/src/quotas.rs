//! `[quotas]`: how many of each thing an API may have (row 178).

use model::Quotas;

use crate::{
    Form, Key, Section,
    context::Mistake,
    reader::{Table, Value},
};

/// More than any node holds.
const MAX: u64 = 1_000_000;

pub(crate) static QUOTAS: Section = Section {
    name: "quotas",
    doc: "How many of each thing an `[[api]]` or a `[[domain]]` may have; what is left out is AWS's default.",
    keys: &[
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

/// What is wrong with so many of these, if they are more than `key` of `[quotas]` allows.
pub(crate) fn exceeded(what: &str, count: usize, key: &str, max: usize) -> Option<Mistake> {
    (count > max).then(|| {
        let mistake = Mistake::new(format!("{count} {what}, at most {max} are allowed"));
        mistake.help(format!("have fewer, or write `{key} = {count}` into `[quotas]`"))
    })
}
