//! Exports, judged by a validator that is not ours: openapi-spec-validator, which `cargo xtask setup` installs.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use model::{Api, Kind};
use openapi::{Extensions, Format, Options, Tree, Variables, export::Options as How};
use serde_json::Value;

/// Reads a list of documents; prints what is wrong with each, or an empty line.
const SCRIPT: &str = "
import json, sys
from openapi_spec_validator import validate
for document in json.load(sys.stdin):
    try:
        validate(document)
        print()
    except Exception as error:
        print(repr(str(error)))
";

#[test]
fn exports_are_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let venv = root.join("../../.venv");
    let is_there = fs::read_dir(venv.join("lib")).is_ok_and(|mut versions| {
        versions.any(|version| version.unwrap().path().join("site-packages/openapi_spec_validator").is_dir())
    });
    if !is_there {
        // Not by `eprintln!`, which a test keeps for itself.
        let why = "`cargo xtask setup` installs the package openapi-spec-validator";
        writeln!(std::io::stderr().lock(), "skipped: exports_are_valid: {why}").unwrap();
        return;
    }
    let (mut names, mut documents) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(root.join("tests/corpus")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let says = |key: &str| text.lines().find_map(|line| line.strip_prefix(&format!("# {key}: ")));
        let kind = says("kind").map(|kind| if kind == "rest" { Kind::Rest } else { Kind::Http });
        let options = Options { kind, backend: says("backend").map(str::to_owned), ..Options::default() };
        let (imported, _) = openapi::import(
            &Tree::parse(path.to_str().unwrap(), &text).unwrap(),
            &options,
            progress::Progress::silent(),
        );
        let imported = imported.unwrap();
        let api = Api::new(imported.name, imported.kind);
        for format in [Format::Oas30, Format::Swagger] {
            let how = How {
                format,
                extensions: Extensions::ALL,
                stage: "prod",
                variables: &Variables::default(),
                upstream: &|_| None,
            };
            let document = openapi::export(&api, &imported.definition, &how).document;
            // `/{proxy+}` is API Gateway's; to OpenAPI the plus is a part of the variable's name.
            documents.push(serde_json::from_str::<Value>(&document.to_string().replace("+}", "}")).unwrap());
            names.push(format!("{} as {format:?}", path.display()));
        }
    }
    let mut command = Command::new(venv.join("bin/python"));
    let mut judge =
        command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    judge.stdin.take().unwrap().write_all(Value::Array(documents).to_string().as_bytes()).unwrap();
    let said = String::from_utf8(judge.wait_with_output().unwrap().stdout).unwrap();
    let said: Vec<_> = said.lines().collect();
    assert_eq!(said.len(), names.len());
    let wrong: Vec<_> = names.iter().zip(said).filter(|(_, said)| !said.is_empty()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
