//! `cargo xtask tidy`: the rules of the house that no compiler checks. Each rule is a function from what is there to
//! findings; `rules.rs` holds what is allowed, as data.

mod bans;
mod direction;
mod files;
mod mask;
mod rules;
mod source;

use std::{collections::BTreeMap, fmt, fs};

use anyhow::Context;
use cargo_metadata::{Metadata, MetadataCommand};

use crate::shell;

/// A rule that does not hold, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    file: String,
    /// From 1; 0 if the whole file is meant.
    line: usize,
    message: String,
}

impl Finding {
    fn new(file: impl Into<String>, line: usize, message: impl Into<String>) -> Self {
        Self { file: file.into(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}: {}", self.file, self.message),
        }
    }
}

/// A package of the workspace as the rules see it.
#[derive(Clone, Debug)]
struct Member {
    name: String,
    /// Its folder, relative to the root, without a slash at the end.
    folder: String,
    manifest: String,
    /// Names of what it depends on to run or to build; what only its tests use is not asked for.
    dependencies: Vec<String>,
}

impl Member {
    fn manifest_path(&self) -> String {
        format!("{}/Cargo.toml", self.folder)
    }

    /// The line of its manifest that names a dependency; 0 if none does.
    fn line_of(&self, dependency: &str) -> usize {
        let names_it = |line: &str| {
            line.trim_start().strip_prefix(dependency).is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
        };
        self.manifest.lines().position(names_it).map_or(0, |index| index + 1)
    }
}

/// Runs every rule and prints what it finds; whether there was nothing.
pub(crate) fn run() -> anyhow::Result<bool> {
    let metadata = MetadataCommand::new()
        .manifest_path(shell::root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("cargo metadata")?;
    let members = members(&metadata)?;
    let files = shell::tracked_files()?;
    let policy =
        bans::Policy::read(&fs::read_to_string(shell::root().join("deny.toml")).context("deny.toml")?)?;

    let mut findings = direction::edges(&members);
    findings.extend(direction::fences(&members));
    findings.extend(source::lints(&members));
    let everything = graph(&["--workspace", "--edges", "normal,build,dev"])?;
    findings.extend(bans::packages(&bans::packages_of(&everything, &members), &policy));
    // On any platform: what the gateway lacks it shall lack everywhere.
    let gateway = graph(&["--package", "proxy", "--edges", "normal,build", "--target", "all"])?;
    let gateway = bans::packages_of(&gateway, &members);
    anyhow::ensure!(gateway.len() > 10, "cargo tree of the gateway has only {} packages", gateway.len());
    findings.extend(bans::gateway(&gateway, &policy));
    let mut contents = BTreeMap::new();
    for file in &files {
        contents.insert(file.as_str(), fs::read(shell::root().join(file)).with_context(|| file.clone())?);
    }
    for (file, bytes) in &contents {
        findings.extend(files::stray(file, bytes));
        let Ok(text) = std::str::from_utf8(bytes) else { continue };
        findings.extend(files::machine_paths(file, text));
        if file.ends_with(".rs") {
            findings.extend(source::module_docs(file, text));
            findings.extend(source::unsafe_code(file, text));
            findings.extend(source::unfinished(file, text));
            findings.extend(files::length(file, text));
        }
    }
    findings.extend(files::lengths_listed(&contents.keys().copied().collect::<Vec<_>>()));
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    println!("tidy: {} packages, {} files, {} findings", members.len(), files.len(), findings.len());
    Ok(findings.is_empty())
}

/// Every package that building a part of the workspace needs.
fn graph(part: &[&str]) -> anyhow::Result<String> {
    let mut tree = shell::cargo();
    tree.arg("tree").args(part).args(["--prefix", "none", "--no-dedupe", "--format", "{p}|{l}"]);
    shell::read(&mut tree)
}

fn members(metadata: &Metadata) -> anyhow::Result<Vec<Member>> {
    let root = metadata.workspace_root.as_std_path();
    let mut members = Vec::new();
    for package in metadata.workspace_packages() {
        let path = package.manifest_path.as_std_path();
        let folder =
            path.parent().and_then(|folder| folder.strip_prefix(root).ok()).context("a member's folder")?;
        let dependencies = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind != cargo_metadata::DependencyKind::Development)
            .map(|dependency| dependency.name.clone())
            .collect();
        members.push(Member {
            name: package.name.to_string(),
            folder: folder.to_string_lossy().into_owned(),
            manifest: fs::read_to_string(path)?,
            dependencies,
        });
    }
    Ok(members)
}
