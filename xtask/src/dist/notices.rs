//! The licences of the packages that the binary contains: most of them ask that their text go along with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    path::Path,
};

use anyhow::Context;
use cargo_metadata::MetadataCommand;

use crate::shell;

/// How files begin that say under what conditions one may have a package.
const NAMES: [&str; 4] = ["LICENSE", "LICENCE", "COPYING", "NOTICE"];

/// One text: each package with its licence and the files that say it, then each of these texts once.
pub(super) fn text() -> anyhow::Result<String> {
    let inside = inside(&shell::read(shell::cargo().args([
        "tree",
        "--locked",
        "--package",
        "proxy",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]))?);
    let metadata = MetadataCommand::new()
        .manifest_path(shell::root().join("Cargo.toml"))
        .other_options(vec!["--locked".to_owned()])
        .exec()
        .context("cargo metadata")?;
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut list = String::new();
    let foreign = metadata.packages.iter().filter(|package| package.source.is_some());
    let mut packages: Vec<_> = foreign
        .filter(|package| inside.contains(&format!("{} v{}", package.name, package.version)))
        .collect();
    packages.sort_by_key(|package| (package.name.to_string(), package.version.clone()));
    for package in packages {
        let name = format!("{} {}", package.name, package.version);
        writeln!(list, "{name}: {}", package.license.as_deref().unwrap_or("see its texts"))?;
        let folder = package.manifest_path.parent().context("a package's folder")?;
        for text in texts_of(folder.as_std_path())? {
            texts.entry(text).or_default().insert(name.clone());
        }
    }
    let mut all = format!("Packages that the program contains, and their licences.\n\n{list}");
    for (text, packages) in texts {
        let packages: Vec<_> = packages.into_iter().collect();
        write!(all, "\n{}\n{}\n\n{}\n", "-".repeat(80), packages.join(", "), text.trim_end())?;
    }
    Ok(all)
}

/// Names and versions, without marks such as `(proc-macro)` and `(*)`.
fn inside(tree: &str) -> BTreeSet<String> {
    let id = |line: &str| {
        Some(line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).filter(|id| !id.is_empty())
    };
    tree.lines().filter(|line| !line.contains("(proc-macro)")).filter_map(id).collect()
}

fn texts_of(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_ascii_uppercase();
        if NAMES.iter().any(|begin| name.starts_with(begin)) && entry.file_type()?.is_file() {
            texts.push(String::from_utf8_lossy(&fs::read(entry.path())?).replace("\r\n", "\n"));
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::{inside, text};

    #[test]
    fn the_tree_is_read() {
        let tree = "proxy v0.0.0 (/somewhere)\nrustls v0.23.46\nserde_derive v1.0.2 (proc-macro)\nrustls v0.23.46 (*)\n\n";
        assert_eq!(inside(tree).into_iter().collect::<Vec<_>>(), ["proxy v0.0.0", "rustls v0.23.46"]);
    }

    #[test]
    fn what_is_inside_is_named_and_what_is_not_is_not() {
        let text = text().unwrap();
        assert!(text.contains("\nrustls 0.") && text.contains("Permission is hereby granted"));
        assert!(
            !text.contains("\nproptest ")
                && !text.contains("\ncargo_metadata ")
                && !text.contains("\nproxy ")
        );
        assert!(!text.contains(env!("CARGO_MANIFEST_DIR")), "a folder of this machine");
    }
}
