//! `cargo xtask dist`: from the sources of this commit to what an operator installs: a tar ball and a Debian package. The
//! same inputs give the same bytes: every time is that of the commit, every order is sorted, nothing of this machine is in
//! them. It does not know what the gateway does.

mod archive;
mod contents;
mod deb;
mod elf;
mod notices;
mod words;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, bail, ensure};

use self::archive::Files;
use crate::shell;

/// The stripped binary is at most so big.
const BINARY_BYTES_MAX: u64 = 25_000_000;

/// Who answers for the package, if DEBFULLNAME and DEBEMAIL do not say.
const MAINTAINER: (&str, &str) = ("Floodgate maintainers", "maintainers@floodgate.invalid");

/// What to make.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Package this binary instead of building one; it may be of any size
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// The packages' version; by default the workspace's
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// Where they go [default: target/dist]
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

/// What every part is made from.
struct Release {
    version: String,
    /// As Linux and as Debian call this machine's.
    architecture: &'static str,
    debian_architecture: &'static str,
    maintainer: String,
    /// Seconds of the Unix epoch: the time of everything in the packages.
    epoch_s: u64,
}

/// Builds and packs. Whether all was made.
pub(crate) fn run(options: &Options) -> anyhow::Result<bool> {
    let progress = Progress(Instant::now());
    let release = Release::new(options)?;
    if !committed()? {
        progress.say("some files are not as they are committed: nobody else can make these packages again");
    }
    let folder = options.to.clone().unwrap_or_else(|| shell::target_dir().join("dist"));
    fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;

    let built = match &options.binary {
        Some(binary) => binary.clone(),
        None => {
            progress.say(&format!("building floodgate {} for {}", release.version, release.architecture));
            build()?
        }
    };
    let binary = stripped(&built)?;
    let bytes = fs::metadata(binary.path())?.len();
    progress.say(&format!("the stripped binary has {}", megabytes(bytes)));
    ensure!(
        options.binary.is_some() || bytes <= BINARY_BYTES_MAX,
        "that is more than the {} it may have: `cargo tree -p proxy` shows what it is made of",
        megabytes(BINARY_BYTES_MAX)
    );

    progress.say("gathering configuration, manual, completions and the licences of what is inside");
    let parts = contents::Parts::gather(&release, binary.path())?;
    let ball = format!("floodgate-{}-{}.tar.gz", release.version, release.architecture);
    progress.say(&format!("packing {ball}"));
    let name = ball.trim_end_matches(".tar.gz");
    put(&folder, &ball, &archive::gzip(&archive::tar(&parts.ball(name), release.epoch_s)?)?)?;
    let package = format!("floodgate_{}_{}.deb", release.debian_version(), release.debian_architecture);
    progress.say(&format!("packing {package}"));
    put(&folder, &package, &deb::build(&release, &parts, binary.path())?)?;
    let sums = shell::read(Command::new("sha256sum").current_dir(&folder).args([&ball, &package]))?;
    put(&folder, "SHA256SUMS", sums.as_bytes())?;

    progress.say("done");
    println!("\n{}:", folder.display());
    for (file, what) in [
        (&*ball, "everything in one folder, to unpack anywhere"),
        (&*package, "sudo apt install ./FILE: user, unit, configuration, manual"),
        ("SHA256SUMS", "sha256sum --check SHA256SUMS"),
    ] {
        let bytes = fs::metadata(folder.join(file))?.len();
        println!("  {file:<40} {:>8}  {what}", megabytes(bytes));
    }
    Ok(true)
}

impl Release {
    fn new(options: &Options) -> anyhow::Result<Self> {
        let version = options.version.clone().unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".+~-".contains(&byte);
        ensure!(
            version.starts_with(|first: char| first.is_ascii_digit()) && version.bytes().all(plain),
            "`{version}` is no version: a digit, then letters, digits, `.`, `+`, `~` and `-`"
        );
        let (architecture, debian_architecture) = match std::env::consts::ARCH {
            "x86_64" => ("x86_64", "amd64"),
            "aarch64" => ("aarch64", "arm64"),
            other => bail!("packages are made on x86_64 and aarch64, not on {other}"),
        };
        let variable = |name, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
        let (name, mail) = (variable("DEBFULLNAME", MAINTAINER.0), variable("DEBEMAIL", MAINTAINER.1));
        let maintainer = format!("{name} <{mail}>");
        Ok(Self { version, architecture, debian_architecture, maintainer, epoch_s: epoch_s()? })
    }

    /// A pre-release sorts before its release (`~`); the last part counts packagings of one version.
    fn debian_version(&self) -> String {
        format!("{}-1", self.version.replace('-', "~"))
    }
}

/// SOURCE_DATE_EPOCH (reproducible-builds.org), else the time of the last commit.
fn epoch_s() -> anyhow::Result<u64> {
    let text = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text,
        Err(_) => {
            let mut git = Command::new("git");
            shell::read(git.current_dir(shell::root()).args(["log", "-1", "--format=%ct"]))
                .context("no SOURCE_DATE_EPOCH and no commit to take the time from")?
        }
    };
    text.trim()
        .parse()
        .with_context(|| format!("SOURCE_DATE_EPOCH: `{}` is no number of seconds", text.trim()))
}

/// Whether what is packed is what the last commit holds. A tree without git says so by SOURCE_DATE_EPOCH.
fn committed() -> anyhow::Result<bool> {
    if !shell::root().join(".git").exists() {
        return Ok(true);
    }
    let mut git = Command::new("git");
    Ok(shell::read(git.current_dir(shell::root()).args(["status", "--porcelain"]))?.is_empty())
}

/// Builds apart from everyday's target folder, since what is shipped names no folder of this machine, and other flags
/// would have each build undo the other's.
fn build() -> anyhow::Result<PathBuf> {
    let target = shell::target_dir().join("dist-build");
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home =
        cargo_home.or_else(|| Some(std::env::home_dir()?.join(".cargo"))).context("no CARGO_HOME")?;
    let (root, cargo_home) = (shell::root().display().to_string(), cargo_home.display().to_string());
    let rust_flags = [(&root, "/floodgate"), (&cargo_home, "/cargo")]
        .map(|(from, to)| format!("--remap-path-prefix={from}={to}"));
    let c_flags =
        format!("-ffile-prefix-map={cargo_home}=/cargo -ffile-prefix-map={}=/target", target.display());
    let mut cargo = shell::cargo();
    cargo.env("CARGO_ENCODED_RUSTFLAGS", rust_flags.join("\x1f")).env("CFLAGS", c_flags);
    cargo.args(["build", "--release", "--locked", "--package", "proxy", "--target-dir"]).arg(&target);
    ensure!(shell::run(&mut cargo)?, "the build failed");
    Ok(target.join("release/floodgate"))
}

/// A copy without symbols and debugging information; the built one keeps them for whoever has to read a crash.
fn stripped(binary: &Path) -> anyhow::Result<tempfile::NamedTempFile> {
    let copy = tempfile::NamedTempFile::new()?;
    let mut strip = Command::new("strip");
    strip.arg("--strip-all").arg("-o").arg(copy.path()).arg(binary);
    ensure!(shell::run(&mut strip)?, "strip failed on {}", binary.display());
    Ok(copy)
}

/// Written beside and renamed: who looks sees the old one or the new one, whole.
fn put(folder: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let beside = folder.join(format!("{name}.new"));
    fs::write(&beside, bytes)
        .and_then(|()| fs::rename(&beside, folder.join(name)))
        .with_context(|| format!("cannot write {}", folder.join(name).display()))
}

fn megabytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for reading")]
    let megabytes = bytes as f64 / 1e6;
    if megabytes < 0.1 { format!("{bytes} B") } else { format!("{megabytes:.1} MB") }
}

/// What it is at, and since when.
struct Progress(Instant);

impl Progress {
    fn say(&self, what: &str) {
        println!("dist: {:>5.1} s  {what}", self.0.elapsed().as_secs_f64());
    }
}
