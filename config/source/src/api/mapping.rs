//! `[[api.mapping]]`, `hosts` and `base_path`: where an API is reached.

use model::{Mapping, Stage};

use crate::{
    Form, Key, Section,
    context::{Mistake, quote},
    names,
    reader::Table,
    suggest,
};

pub(super) const BASE_PATH: Key = Key::new(
    "base_path",
    Form::Text(r#""shop/v2""#),
    "Whole segments before the API's own paths, without slashes at the ends.",
)
.or(r#""""#);

pub(super) static MAPPING: Section = Section {
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

/// The only stage that no segment of a path could name.
pub(crate) fn only_stage(stages: &[Stage]) -> Option<String> {
    stages.iter().all(|stage| stage.name == "$default").then(|| "$default".to_owned())
}

pub(super) fn mappings(table: &Table<'_>, stages: &[Stage]) -> Vec<Mapping> {
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
        return tables.iter().map(|table| mapping(table, stages)).collect();
    }
    let origin = ["hosts", "base_path"].iter().find_map(|key| table.get(key)).map(|value| value.origin());
    let origin = origin.unwrap_or_else(|| table.origin());
    let hosts = if hosts.is_empty() { vec![None] } else { hosts.into_iter().map(Some).collect() };
    let mapping = |host| Mapping {
        host,
        base_path: base_path.clone(),
        stage: only_stage(stages),
        origin: Some(origin.clone()),
    };
    hosts.into_iter().map(mapping).collect()
}

fn mapping(table: &Table<'_>, stages: &[Stage]) -> Mapping {
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
        stage: table.opt("stage", |value| value.parse(stage)).or_else(|| only_stage(stages)),
        origin: Some(table.origin()),
    }
}
