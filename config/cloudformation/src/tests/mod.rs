//! Templates as people write them, and what becomes of them.

mod cloudformation;
mod mistakes;
mod sam;
mod serverless;

use std::{collections::BTreeMap, fmt::Write as _};

use model::{Api, Authorization, Integration, Severity};
use openapi::tree::Tree;

use super::{File, Imported, Options, World, import};

/// What the fuzzer found worth keeping is read again.
#[test]
fn the_corpus_holds() {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/cloudformation");
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        super::properties::any_template(&std::fs::read(entry.unwrap().path()).unwrap());
        seen += 1;
    }
    assert!(seen > 0, "no file in {}", folder.display());
}

/// A template that is cut off or spoilt anywhere is read or refused, and never a panic.
#[test]
fn spoilt_templates() {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/cloudformation");
    for entry in std::fs::read_dir(&folder).unwrap() {
        let whole = std::fs::read(entry.unwrap().path()).unwrap();
        for at in (0..whole.len()).step_by(31) {
            super::properties::any_template(&whole[..at]);
            let mut spoilt = whole.clone();
            spoilt[at] = b"{}[]:!$&"[at % 8];
            super::properties::any_template(&spoilt);
        }
    }
}

/// Files and variables that a test gives.
#[derive(Default)]
struct Given {
    files: BTreeMap<&'static str, &'static str>,
    environment: BTreeMap<&'static str, &'static str>,
}

impl World for Given {
    fn file(&self, path: &str) -> Result<File, String> {
        let text = self.files.get(path).ok_or("there is no such file")?;
        Ok(File { name: path.to_owned(), text: (*text).to_owned() })
    }

    fn environment(&self, name: &str) -> Option<String> {
        self.environment.get(name).map(|value| (*value).to_owned())
    }
}

fn options(parameters: &[(&str, &str)]) -> Options {
    let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Options { parameters: parameters.collect(), ..Options::default() }
}

/// Reads what has to be right.
#[track_caller]
fn read(text: &str, options: &Options, world: &Given) -> Imported {
    let tree = Tree::parse("template.yaml", text).unwrap();
    let (imported, found) = import(&tree, options, world);
    let errors: Vec<_> = found.iter().filter(|it| it.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    imported.unwrap()
}

/// The APIs in short: `rest pets [prod]`, then a line for each route.
#[track_caller]
fn check(text: &str, parameters: &[(&str, &str)], expected: &str) {
    let imported = read(text, &options(parameters), &Given::default());
    assert_eq!(summary(&imported.apis).trim(), expected.trim());
}

fn summary(apis: &[Api]) -> String {
    let mut out = String::new();
    for api in apis {
        let kind = format!("{:?}", api.kind).to_lowercase();
        let stages: Vec<_> = api.stages.iter().map(|stage| &*stage.name).collect();
        let _infallible = writeln!(out, "{kind} {} {stages:?}", api.name);
        for route in &api.definition.routes {
            let what = match &route.integration {
                Integration::Declared(declared) => {
                    let uri = declared.uri.as_deref().unwrap_or("-");
                    // An ARN is long: its function's name tells it.
                    let uri = uri
                        .rsplit_once(":function:")
                        .map_or(uri, |(_, name)| name.trim_end_matches("/invocations"));
                    format!("{} {uri}", declared.kind.as_str())
                }
                other => format!("{other:?}"),
            };
            let who = match &route.authorization {
                Authorization::None => String::new(),
                Authorization::AwsIam => " iam".to_owned(),
                Authorization::Authorizer { name, scopes } => format!(" by {name} {scopes:?}"),
            };
            let key = if route.api_key_required { " key" } else { "" };
            let _infallible = writeln!(out, "  {} -> {what}{who}{key}", route.key);
        }
    }
    out
}

/// The first line of each mistake, with its line and column.
#[track_caller]
fn check_mistakes(text: &str, parameters: &[(&str, &str)], expected: &[&str]) {
    let tree = Tree::parse("template.yaml", text).unwrap();
    let (imported, found) = import(&tree, &options(parameters), &Given::default());
    let found: Vec<_> = found
        .iter()
        .filter(|it| it.severity == Severity::Error)
        .map(|it| {
            let place = it
                .origin
                .as_ref()
                .map(|origin| format!("{}:{}", origin.line, origin.column))
                .unwrap_or_default();
            format!("{place} {}", it.message)
        })
        .collect();
    assert_eq!(found, expected);
    assert_eq!(imported, None);
}

/// What is said to be left out, in short, in order.
fn left(text: &str) -> Vec<String> {
    let imported = read(text, &options(&[]), &Given::default());
    imported.notes.iter().filter(|note| note.became.is_none()).map(|note| note.what.clone()).collect()
}
