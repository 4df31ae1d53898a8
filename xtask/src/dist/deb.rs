//! A Debian package: an ar archive of a version and two tar archives, what to know of it and what to install (deb(5)). Written
//! here and not with dpkg-deb, so that it is made on any Linux, to the same bytes.

use std::{fmt::Write, path::Path, process::Command};

use super::{
    Files, Release, archive,
    contents::{CONFIGURATION, Parts, template},
    elf,
};
use crate::shell;

/// What dpkg runs, at its time.
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// The package.
pub(super) fn build(release: &Release, parts: &Parts, binary: &Path) -> anyhow::Result<Vec<u8>> {
    let system = parts.system()?;
    let mut about = Files::default();
    about.add("control", control(release, &system, &elf::depends(binary)?)?);
    about.add("conffiles", format!("/{CONFIGURATION}\n"));
    about.add("md5sums", md5sums(&system)?);
    for script in SCRIPTS {
        about.add_program(script, template(script)?);
    }
    let about = archive::xz(&archive::tar(&about, release.epoch_s)?)?;
    let system = archive::xz(&archive::tar(&system, release.epoch_s)?)?;
    let members: [(&str, &[u8]); 3] =
        [("debian-binary", b"2.0\n"), ("control.tar.xz", &about), ("data.tar.xz", &system)];
    Ok(archive::ar(&members, release.epoch_s))
}

fn control(release: &Release, system: &Files, libraries: &str) -> anyhow::Result<String> {
    let version = release.debian_version();
    let kib = installed_kib(system).to_string();
    let filled = [
        ("@VERSION@", &*version),
        ("@ARCHITECTURE@", release.debian_architecture),
        ("@MAINTAINER@", &release.maintainer),
        ("@INSTALLED_KIB@", &kib),
        ("@LIBRARIES@", libraries),
    ]
    .iter()
    .fold(template("control")?, |text, (name, value)| text.replace(name, value));
    anyhow::ensure!(
        !filled.contains('@') || filled.matches('@').count() == 1,
        "control has an unknown @NAME@:\n{filled}"
    );
    Ok(filled)
}

/// Each file rounded up to 1 KiB, each folder 1 KiB (deb-substvars(5)).
fn installed_kib(system: &Files) -> usize {
    system.folders().len() + system.iter().map(|(_, _, bytes)| bytes.len().div_ceil(1_024)).sum::<usize>()
}

/// What `dpkg --verify` compares with; configuration files are the operator's.
fn md5sums(system: &Files) -> anyhow::Result<String> {
    let mut sums = String::new();
    for (path, _, bytes) in system.iter().filter(|(path, ..)| *path != CONFIGURATION) {
        let sum = String::from_utf8(shell::filter(&mut Command::new("md5sum"), bytes)?)?;
        writeln!(sums, "{}  {path}", sum.split_whitespace().next().unwrap_or_default())?;
    }
    Ok(sums)
}
