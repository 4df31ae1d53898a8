//! The packages from outside: made twice, judged by Debian's and systemd's own tools, and lived with in a Debian of their own:
//! installed, started, upgraded, removed, purged. `FLOODGATE_BIN` is the gateway that is packed. It uses `cargo xtask dist`
//! as an operator does and knows nothing of how that works.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod life;
mod root;
mod unit;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use harness::{gateway_binary, skip};

/// A folder with packages of this version.
pub(crate) struct Made {
    folder: tempfile::TempDir,
    version: &'static str,
}

impl Made {
    #[track_caller]
    pub(crate) fn new(version: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut dist = Command::new(env!("CARGO_BIN_EXE_xtask"));
        dist.args(["dist", "--version", version, "--binary"]).arg(gateway_binary());
        // As a tree without git would say it; 2026-01-01.
        dist.env("SOURCE_DATE_EPOCH", "1767225600");
        let output = dist.arg("--to").arg(folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        let made = Self { folder, version };
        for file in made.files() {
            let name = file.file_name().unwrap().to_str().unwrap();
            assert!(file.is_file() && said.contains(name), "it does not say that {name} lies there: {said}");
        }
        made
    }

    fn files(&self) -> [PathBuf; 3] {
        let architecture = std::env::consts::ARCH;
        let ball = format!("floodgate-{}-{architecture}.tar.gz", self.version);
        [self.folder.path().join(ball), self.package(), self.folder.path().join("SHA256SUMS")]
    }

    pub(crate) fn package(&self) -> PathBuf {
        let architecture = if std::env::consts::ARCH == "x86_64" { "amd64" } else { "arm64" };
        self.folder.path().join(format!("floodgate_{}-1_{architecture}.deb", self.version))
    }
}

/// The packages that most tests look at: making them takes seconds.
pub(crate) static FIRST: LazyLock<Made> = LazyLock::new(|| Made::new("1.0.0"));

/// Whether a program is there, also in the administrator's folders.
pub(crate) fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.into_iter().any(|folder| folder.join(program).is_file())
}

/// Says that a test can't run here, if a program is missing.
pub(crate) fn lacks(test: &str, programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| !has(program));
    if let Some(missing) = missing {
        skip(test, &format!("there is no {missing}"));
    }
    missing.is_some()
}

/// What a program that must succeed says.
#[track_caller]
pub(crate) fn read(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    said
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let (first, second) = (&*FIRST, Made::new("1.0.0"));
    for (first, second) in first.files().iter().zip(second.files()) {
        assert!(fs::read(first).unwrap() == fs::read(second).unwrap(), "{} differs", first.display());
    }
    read(Command::new("sha256sum").current_dir(first.folder.path()).args([
        "--check",
        "--strict",
        "SHA256SUMS",
    ]));
    check_ball(&first.files()[0]);
    check_lintian(&first.package());
    check_dpkg_deb(&first.package());
}

/// Unpacked anywhere it runs what it brings along.
#[track_caller]
fn check_ball(ball: &Path) {
    let folder = tempfile::tempdir().unwrap();
    read(Command::new("tar").arg("-xzf").arg(ball).arg("-C").arg(folder.path()));
    let [unpacked] =
        &fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>()[..]
    else {
        panic!("it unpacks to more than one folder");
    };
    for file in [
        "README.md",
        "LICENSE",
        "third-party.txt",
        "config/floodgate.schema.json",
        "systemd/system/floodgate.service",
        "systemd/front-line.conf",
        "man/floodgate-run.1",
        "completions/floodgate.bash",
    ] {
        assert!(unpacked.join(file).is_file(), "no {file}");
    }
    let configurations =
        fs::read_dir(unpacked.join("config/examples")).unwrap().map(|entry| entry.unwrap().path());
    let own_certificate = |path: &PathBuf| path.ends_with("own-certificate.toml");
    for file in
        configurations.filter(|path| !own_certificate(path)).chain([unpacked.join("config/floodgate.toml")])
    {
        read(Command::new(unpacked.join("floodgate")).arg("check").arg(file));
    }
}

/// Debian's judge of packages: no error, no warning.
#[track_caller]
fn check_lintian(package: &Path) {
    if !lacks("check_lintian", &["lintian"]) {
        read(
            Command::new("lintian")
                .args(["--fail-on", "error,warning", "--no-tag-display-limit"])
                .arg(package),
        );
    }
}

/// What dpkg reads of it.
#[track_caller]
fn check_dpkg_deb(package: &Path) {
    if lacks("check_dpkg_deb", &["dpkg-deb"]) {
        return;
    }
    let field = |name| read(Command::new("dpkg-deb").arg("--field").arg(package).arg(name)).trim().to_owned();
    assert_eq!((field("Package"), field("Version")), ("floodgate".to_owned(), "1.0.0-1".to_owned()));
    let depends = field("Depends");
    assert!(depends.contains("libc6 (>= 2.") && depends.contains("adduser"), "{depends}");
    let listing = read(Command::new("dpkg-deb").env("TZ", "UTC").arg("--contents").arg(package));
    let lines: Vec<&str> = listing.lines().collect();
    for line in &lines {
        assert!(line.contains("root/root") && line.contains("2026-01-01"), "{line}");
    }
    for (mode, path) in [
        ("-rwxr-xr-x", "./usr/bin/floodgate"),
        ("-rw-r--r--", "./etc/floodgate/floodgate.toml"),
        ("-rw-r--r--", "./usr/lib/systemd/system/floodgate.service"),
        ("-rw-r--r--", "./usr/share/floodgate/front-line.conf"),
    ] {
        assert!(lines.iter().any(|line| line.starts_with(mode) && line.ends_with(path)), "no {mode} {path}");
    }
}
