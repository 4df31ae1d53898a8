//! What goes into the packages, and where in each it lies.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;
use clap_complete::Shell;

use super::{Files, Release, archive::gzip, notices, words};
use crate::shell;

/// What the packages are packed from: its files lie as they will on a system.
const FOLDER: &str = "xtask/package";

/// The configuration that is installed.
pub(super) const CONFIGURATION: &str = "etc/floodgate/floodgate.toml";

/// Everything, read once.
pub(super) struct Parts {
    binary: Vec<u8>,
    readme: Vec<u8>,
    license: Vec<u8>,
    changelog: Vec<u8>,
    debian_changelog: Vec<u8>,
    notices: Vec<u8>,
    configuration: Vec<u8>,
    schema: Vec<u8>,
    examples: Files,
    /// `usr/lib/systemd/system/floodgate.service` and the like.
    system: Files,
    manual: Vec<(String, Vec<u8>)>,
    completions: Vec<(Shell, &'static str, Vec<u8>)>,
}

impl Parts {
    pub(super) fn gather(release: &Release, binary: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            binary: fs::read(binary)?,
            readme: read("README.md")?,
            license: read("LICENSE")?,
            changelog: read("CHANGELOG.md")?,
            debian_changelog: debian_changelog(release)?.into_bytes(),
            notices: notices::text()?.into_bytes(),
            configuration: read("config/floodgate.toml")?,
            schema: read("config/floodgate.schema.json")?,
            examples: below("config/examples")?,
            system: below(&format!("{FOLDER}/root"))?,
            manual: words::manual()?,
            completions: words::completions(),
        })
    }

    /// The tar ball: all in one folder, as its README names it.
    pub(super) fn ball(&self, name: &str) -> Files {
        let mut files = Files::default();
        files.add_program(format!("{name}/floodgate"), self.binary.clone());
        let mut add = |path: &str, bytes: &[u8]| files.add(format!("{name}/{path}"), bytes);
        add("README.md", &self.readme);
        add("LICENSE", &self.license);
        add("CHANGELOG.md", &self.changelog);
        add("third-party.txt", &self.notices);
        add("config/floodgate.toml", &self.configuration);
        add("config/floodgate.schema.json", &self.schema);
        for (path, _, bytes) in self.examples.iter() {
            add(&format!("config/examples/{path}"), bytes);
        }
        for (path, _, bytes) in self.system.iter() {
            if let Some(path) = path.strip_prefix("usr/lib/") {
                add(path, bytes);
            }
            // What an administrator puts beside the unit, if he wants it.
            if let Some(file) = path.strip_prefix("usr/share/floodgate/") {
                add(&format!("systemd/{file}"), bytes);
            }
        }
        for (page, text) in &self.manual {
            add(&format!("man/{page}"), text);
        }
        for (_, file, text) in &self.completions {
            add(&format!("completions/{file}"), text);
        }
        files
    }

    /// The Debian package's, as they lie on a system (Debian policy 9 and 12; what shells look for).
    pub(super) fn system(&self) -> anyhow::Result<Files> {
        let mut files = self.system.clone();
        files.add_program("usr/bin/floodgate", self.binary.clone());
        files.add(CONFIGURATION, self.configuration.clone());
        files.add("usr/share/floodgate/floodgate.schema.json", self.schema.clone());
        let documents = "usr/share/doc/floodgate";
        files.add(format!("{documents}/README.md"), self.readme.clone());
        files.add(format!("{documents}/changelog.gz"), gzip(&self.changelog)?);
        files.add(format!("{documents}/changelog.Debian.gz"), gzip(&self.debian_changelog)?);
        files.add(format!("{documents}/third-party.txt.gz"), gzip(&self.notices)?);
        for (path, _, bytes) in self.examples.iter() {
            files.add(format!("{documents}/examples/{path}"), bytes);
        }
        for (page, text) in &self.manual {
            files.add(format!("usr/share/man/man1/{page}.gz"), gzip(text)?);
        }
        for (shell, file, text) in &self.completions {
            let path = match shell {
                Shell::Zsh => format!("usr/share/zsh/vendor-completions/{file}"),
                Shell::Fish => format!("usr/share/fish/vendor_completions.d/{file}"),
                // bash looks for the program's own name.
                _ => "usr/share/bash-completion/completions/floodgate".to_owned(),
            };
            files.add(path, text.clone());
        }
        Ok(files)
    }
}

/// A template of the Debian package's control folder.
pub(super) fn template(name: &str) -> anyhow::Result<String> {
    Ok(String::from_utf8(read(&format!("{FOLDER}/debian/{name}"))?)?)
}

/// The packaging's own changelog (Debian policy 4.4); what users notice is in the other one.
fn debian_changelog(release: &Release) -> anyhow::Result<String> {
    let when = format!("@{}", release.epoch_s);
    let date =
        shell::read(Command::new("date").env("LC_ALL", "C").args(["--utc", "--rfc-email", "--date", &when]))?;
    Ok(format!(
        "floodgate ({}) unstable; urgency=medium\n\n  * Version {}; what has changed is in changelog.gz.\n\n -- {}  {}\n",
        release.debian_version(),
        release.version,
        release.maintainer,
        date.trim_end()
    ))
}

fn read(path: &str) -> anyhow::Result<Vec<u8>> {
    fs::read(shell::root().join(path)).with_context(|| path.to_owned())
}

/// The files below a folder, by their paths in it.
fn below(folder: &str) -> anyhow::Result<Files> {
    let base = shell::root().join(folder);
    let mut files = Files::default();
    let mut open: Vec<PathBuf> = vec![base.clone()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("{}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(&base)?.to_str().context("a name that is no text")?.to_owned();
                files.add(name, fs::read(&path)?);
            }
        }
    }
    Ok(files)
}
