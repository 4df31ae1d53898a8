//! `cargo xtask fuzz`: looks for bytes that break a property. It does not know the properties: each target in
//! `tests/fuzz/targets` calls one of a room, and the room's own tests replay `tests/fuzz/corpus`.

use std::fs;

use anyhow::{Context, bail};

use crate::shell;

/// Where the targets are; a workspace of its own.
const FOLDER: &str = "tests/fuzz";

/// What a target begins with beside its own corpus: what other tests have anyway.
const MORE: [(&str, &str); 1] = [("openapi", "config/openapi/tests/corpus")];

/// What to look at.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// One target, by the name of its file in tests/fuzz/targets; all if left out
    target: Option<String>,
    /// Seconds for each target
    #[arg(long, default_value_t = 60)]
    secs: u32,
}

/// Runs each target for its time, from the corpus in the repository and what earlier runs found. Whether nothing broke.
pub(crate) fn run(options: &Options) -> anyhow::Result<bool> {
    let known = targets()?;
    let chosen: Vec<&String> = match &options.target {
        Some(name) if !known.contains(name) => {
            bail!("there is no target `{name}`; the targets are {}", known.join(", "))
        }
        Some(name) => known.iter().filter(|known| *known == name).collect(),
        None => known.iter().collect(),
    };
    if !shell::cargo().args(["fuzz", "--version"]).output().is_ok_and(|output| output.status.success()) {
        println!("fuzzing needs cargo-fuzz and a C++ compiler: cargo install cargo-fuzz");
        return Ok(false);
    }
    let mut broken = Vec::new();
    for target in &chosen {
        println!("\n=== {target}, {} s", options.secs);
        if !run_one(target, options.secs)? {
            broken.push(target.as_str());
        }
    }
    match broken.as_slice() {
        [] => println!("\nfuzz: {} targets, nothing broke", chosen.len()),
        names => println!("\nfuzz: broke {}; the bytes are in {FOLDER}/artifacts", names.join(", ")),
    }
    Ok(broken.is_empty())
}

fn run_one(target: &str, secs: u32) -> anyhow::Result<bool> {
    // What is found goes here; the corpus in the repository is only read.
    let found = shell::target_dir().join("fuzz-corpus").join(target);
    fs::create_dir_all(&found).with_context(|| format!("{}", found.display()))?;
    let mut command = shell::cargo();
    // The sanitizers are unstable flags of a stable compiler, and only this build has them.
    command.env("RUSTC_BOOTSTRAP", "1").args(["fuzz", "run", "--fuzz-dir", FOLDER, "--target-dir"]);
    command.arg(shell::target_dir().join("fuzz")).arg(target).arg(found);
    command.arg(format!("{FOLDER}/corpus/{target}"));
    command.args(MORE.iter().filter(|(of, _)| *of == target).map(|(_, folder)| folder));
    command.args(["--", &format!("-max_total_time={secs}"), "-timeout=10", "-print_final_stats=1"]);
    shell::run(&mut command)
}

/// The targets by the names of their files, sorted.
fn targets() -> anyhow::Result<Vec<String>> {
    let folder = shell::root().join(FOLDER).join("targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("{}", folder.display()))? {
        if let Some(name) = entry?.file_name().to_str().and_then(|name| name.strip_suffix(".rs")) {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::{FOLDER, targets};
    use crate::shell;

    /// A target that is not built, or has nothing to begin with or to replay, finds nothing.
    #[test]
    fn every_target_is_built_and_has_a_corpus() {
        let folder = shell::root().join(FOLDER);
        let manifest: toml::Table = fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap();
        let built: BTreeSet<String> = manifest["bin"]
            .as_array()
            .unwrap()
            .iter()
            .map(|bin| bin["name"].as_str().unwrap().to_owned())
            .collect();
        let targets = targets().unwrap();
        assert!(targets.len() > 5, "{targets:?}");
        assert_eq!(targets.iter().cloned().collect::<BTreeSet<_>>(), built);
        for target in &targets {
            let corpus = fs::read_dir(folder.join("corpus").join(target)).unwrap();
            assert!(corpus.count() > 0, "{target} has no corpus");
        }
        for (target, more) in super::MORE {
            assert!(targets.iter().any(|known| known == target), "{target}");
            assert!(fs::read_dir(shell::root().join(more)).unwrap().count() > 0, "{more}");
        }
    }

    /// Only `cargo xtask fuzz` builds the targets: what they call must not be renamed without them.
    #[test]
    fn every_target_calls_a_property_that_there_is() {
        for target in targets().unwrap() {
            let file = shell::root().join(FOLDER).join(format!("targets/{target}.rs"));
            let text = fs::read_to_string(&file).unwrap();
            let (head, body) = text.split_once("fuzz_target!(|bytes: &[u8]| ").expect("a body");
            let calls: Vec<&str> = body.split("(bytes)").filter_map(last_path).collect();
            assert!(!calls.is_empty(), "{target} calls nothing");
            for call in calls {
                let path: Vec<&str> = call.split("::").collect();
                let [room, modules @ .., property] = path.as_slice() else { panic!("{target}: {path:?}") };
                // What only tests have is taken in by its file.
                let own = head.split_once("#[path = \"").filter(|_| head.contains(&format!("mod {room};")));
                let source = match own {
                    Some((_, rest)) => {
                        let beside = file.parent().unwrap();
                        fs::read_to_string(beside.join(rest.split_once('"').unwrap().0)).ok()
                    }
                    None => ["proxy", "config"]
                        .map(|part| shell::root().join(part).join(room).join("src").join(modules.join("/")))
                        .into_iter()
                        .find_map(|file| fs::read_to_string(file.with_extension("rs")).ok()),
                };
                let source = source.unwrap_or_else(|| panic!("{target} calls {path:?}"));
                let there = ["pub", "pub(crate)"]
                    .iter()
                    .any(|door| source.contains(&format!("{door} fn {property}(bytes: &[u8]) {{")));
                assert!(there, "{target}: no {property}");
            }
        }
    }

    /// The path that a text ends with: `… wire::h1::properties::any_request`.
    fn last_path(text: &str) -> Option<&str> {
        let is_part = |character: char| character.is_alphanumeric() || "_:".contains(character);
        let path = &text[text.trim_end_matches(is_part).len()..];
        path.contains("::").then_some(path)
    }
}
