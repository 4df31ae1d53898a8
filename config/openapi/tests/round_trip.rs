//! A document → the model → a document → the model: the second model is the first. For each document of the corpus, as
//! 3.0 and as 2.0, as JSON and as YAML.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::{fs, path::Path};

use model::{Api, Kind, Severity};
use openapi::{
    BasePath, Extensions, Format, Imported, Options, Tree, Variables, export::Options as How, tree,
};

/// Documents of which 2.0 can't say everything: headers that must be there, or other models for other media types.
const NOT_IN_2: [&str; 3] = ["lambda-custom.yaml", "inline-models.yaml", "petstore-guide.json"];

/// What the first lines of a document say of how it is read: `# kind: rest`.
fn options(text: &str) -> Options {
    let mut options = Options::default();
    for line in text.lines().map_while(|line| line.strip_prefix("# ")) {
        let (key, value) = line.split_once(": ").unwrap();
        match (key, value) {
            ("kind", "rest") => options.kind = Some(Kind::Rest),
            ("kind", "http") => options.kind = Some(Kind::Http),
            ("base-path", "prepend") => options.base_path = BasePath::Prepend,
            ("base-path", "split") => options.base_path = BasePath::Split,
            ("backend", url) => options.backend = Some(url.to_owned()),
            other => panic!("{other:?}"),
        }
    }
    options
}

#[track_caller]
fn import(name: &str, text: &str, options: &Options) -> Imported {
    let tree = Tree::parse(name, text).unwrap_or_else(|error| panic!("{name}: {error:?}\n{text}"));
    let (imported, diagnostics) = openapi::import(&tree, options, progress::Progress::silent());
    let errors: Vec<_> = diagnostics.iter().filter(|it| it.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{name}: {errors:#?}\n{text}");
    let mut imported = imported.unwrap();
    imported.definition = imported.definition.without_origins();
    imported
}

fn api(imported: &Imported) -> Api {
    let mut api = Api::new(imported.name.clone(), imported.kind);
    api.definition = imported.definition.clone();
    api.endpoint = imported.endpoint.unwrap_or_default();
    api.ip_address_type = imported.ip_address_type.unwrap_or_default();
    api.vpc_endpoint_ids.clone_from(&imported.vpc_endpoint_ids);
    api
}

/// Writes it in a format, and reads it again as JSON and as YAML.
#[track_caller]
fn check(name: &str, first: &Imported, format: Format) {
    let api = api(first);
    let how = How {
        format,
        extensions: Extensions::ALL,
        stage: "prod",
        variables: &Variables::default(),
        upstream: &|_| None,
    };
    let exported = openapi::export(&api, &api.definition, &how);
    assert_eq!(exported.notes, Vec::<String>::new(), "{name}");
    let again = Options { kind: Some(first.kind), ..Options::default() };
    for (name, text) in [
        (format!("{name} as {format:?}.json"), tree::json(&exported.document)),
        (format!("{name} as {format:?}.yaml"), tree::yaml(&exported.document)),
    ] {
        let second = import(&name, &text, &again);
        // The first line that differs says more than two documents.
        let (then, now) = (format!("{first:#?}"), format!("{second:#?}"));
        let differs = then.lines().zip(now.lines()).find(|(then, now)| then != now);
        assert!(second == *first, "{name}: {differs:#?}\n{text}");
    }
}

#[test]
fn the_corpus_comes_back_as_it_was() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    assert!(names.len() >= 40, "{}", names.len());
    for path in &names {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(path).unwrap();
        let first = import(name, &text, &options(&text));
        assert!(!first.definition.routes.is_empty(), "{name}");
        check(name, &first, Format::Oas30);
        if first.kind == Kind::Rest && !NOT_IN_2.contains(&name) {
            check(name, &first, Format::Swagger);
        }
    }
}
