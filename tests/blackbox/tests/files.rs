//! The verbs that work on files alone: `schema`, `fmt`, `dump`.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use harness::{gateway_binary, python};

/// Judges TOML files by a schema with a validator that is not ours: prints the first complaint about each, or `right`.
const JUDGE: &str = r#"
import json, sys, tomllib, jsonschema
schema = json.load(open(sys.argv[1]))
validator = jsonschema.Draft202012Validator
validator.check_schema(schema)
for name in sys.argv[2:]:
    found = next(validator(schema).iter_errors(tomllib.load(open(name, "rb"))), None)
    print("right" if found is None else found.json_path)
"#;

fn floodgate(arguments: &[&str]) -> Output {
    Command::new(gateway_binary()).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A folder with files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::TempDir::new().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[track_caller]
fn judged(schema: &Path, files: &[PathBuf]) -> Vec<String> {
    let output = Command::new(python()).args(["-c", JUDGE]).arg(schema).args(files).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn what_ships_is_right_by_the_schema() {
    let schema = floodgate(&["schema"]);
    let folder = folder(&[("schema.json", &text(&schema.stdout))]);
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let mut files: Vec<_> =
        std::fs::read_dir(config.join("examples")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.push(config.join("floodgate.toml"));
    // The same with every key that it shows.
    let shown = std::fs::read_to_string(config.join("floodgate.toml")).unwrap();
    let is_key = |char: char| char.is_ascii_lowercase() || char == '[';
    let uncommented =
        shown.lines().map(|line| line.strip_prefix('#').filter(|it| it.starts_with(is_key)).unwrap_or(line));
    let everything = folder.path().join("everything.toml");
    std::fs::write(&everything, uncommented.collect::<Vec<_>>().join("\n")).unwrap();
    files.push(everything);
    let verdicts = judged(&folder.path().join("schema.json"), &files);
    assert_eq!(verdicts, vec!["right"; files.len()], "{files:?}");
}

#[test]
fn mistakes_are_wrong_by_the_schema() {
    let cases = [
        ("[node]\nworker = 1\n", "$.node"),
        ("[node]\nworkers = 0\n", "$.node.workers"),
        ("[node]\ndrain = 30\n", "$.node.drain"),
        ("[node]\ndrain = '30'\n", "$.node.drain"),
        ("[node]\ndriver = 'fast'\n", "$.node.driver"),
        ("[node]\ndriver = '${DRIVER:-auto}'\n", "right"),
        ("[demo]\n", "$.demo"),
        ("[listener]\naddress = '127.0.0.1:1'\n", "$.listener"),
        ("[[route]]\nmatch = '/'\ncache = '1s'\nthrottle = { rate = '1/s' }\n", "right"),
        ("[[route]]\nmatch = '/'\nthrottle = [{ rate = '1/s' }]\ncache.ttl = '1s'\n", "right"),
        ("[[route]]\nmatch = '/'\ncache = '1 s'\n", "$.route[0].cache"),
        ("[upstream.a]\ntargets = 'http://a'\n", "$.upstream.a.targets"),
    ];
    let names: Vec<_> = (0..cases.len()).map(|index| format!("{index}.toml")).collect();
    let mut files: Vec<_> =
        names.iter().map(|name| &**name).zip(cases.iter().map(|(text, _)| *text)).collect();
    let schema = text(&floodgate(&["schema"]).stdout);
    files.push(("schema.json", &schema));
    let folder = folder(&files);
    let paths: Vec<_> = names.iter().map(|name| folder.path().join(name)).collect();
    let verdicts = judged(&folder.path().join("schema.json"), &paths);
    assert_eq!(verdicts, cases.map(|(_, verdict)| verdict.to_owned()));
}

#[test]
fn fmt_changes_a_file_and_check_does_not() {
    let folder = folder(&[("f.toml", "[node]\nworkers=1 # all\n"), ("broken.toml", "[node\n")]);
    let path = folder.path().join("f.toml");
    let name = path.to_str().unwrap();
    let read = || std::fs::read_to_string(&path).unwrap();
    let checked = floodgate(&["fmt", "--check", name]);
    assert_eq!(checked.status.code(), Some(1));
    assert_eq!(
        text(&checked.stdout),
        format!("{name}:2: - workers=1 # all\n{name}:2: + workers = 1 # all\n")
    );
    assert_eq!(read(), "[node]\nworkers=1 # all\n");
    assert_eq!(floodgate(&["fmt", name]).status.code(), Some(0));
    assert_eq!(read(), "[node]\nworkers = 1 # all\n");
    let checked = floodgate(&["fmt", name, "--check"]);
    assert_eq!((checked.status.code(), text(&checked.stdout)), (Some(0), String::new()));
    let broken = folder.path().join("broken.toml");
    let output = floodgate(&["fmt", broken.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("broken.toml:1:6"), "{}", text(&output.stderr));
    assert_eq!(std::fs::read_to_string(broken).unwrap(), "[node\n");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside them");
}

#[test]
fn dump_can_be_run_and_shows_no_secret() {
    let route = "[[route]]\nmatch = \"/\"\nmock.body = \"${file:secret} ${TOKEN}\"\n";
    let listener = "include = [\"more.toml\"]\n[[listener]]\naddress = \"127.0.0.1:0\"\nplain = true\n";
    let folder = folder(&[("f.toml", listener), ("more.toml", route), ("secret", "hidden")]);
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let run = |arguments: &[&str]| {
        Command::new(gateway_binary()).args(arguments).env("TOKEN", "hidden").output().unwrap()
    };
    let output = run(&["dump", "--origin", &path("f.toml")]);
    let dumped = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(!dumped.contains("hidden"), "{dumped}");
    let line = format!("body = \"${{file:secret}} ${{TOKEN}}\" # {}:3", path("more.toml"));
    assert!(dumped.lines().any(|it| it == line), "{line} in {dumped}");
    assert!(dumped.lines().all(|line| line.is_empty() || line.contains(" # ")), "{dumped}");
    std::fs::write(path("dumped.toml"), &dumped).unwrap();
    let checked = run(&["check", &path("dumped.toml")]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
    // Without the variable it is no configuration, and nothing is dumped.
    let refused = floodgate(&["dump", &path("f.toml")]);
    assert_eq!((refused.status.code(), text(&refused.stdout)), (Some(2), String::new()));
    assert!(text(&refused.stderr).contains("`TOKEN` is not set"), "{}", text(&refused.stderr));
}
