//! `cargo xtask setup`: what tests and benches need on this machine, each with its reason. Safe to repeat: what is
//! there already is left alone. It does not know which test uses what.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{bench::micro, shell};

/// Debian packages: the program that proves one is there, the package, what it is for.
const PACKAGES: &[(&str, &str, &str)] = &[
    ("nginx", "nginx", "the backend of the tests, and the gateway that `bench` compares with"),
    ("haproxy", "haproxy", "the other gateway that `bench` compares with, and an HTTP/2 peer on either side"),
    ("valgrind", "valgrind", "counts the instructions of parsers and tables"),
    ("strace", "strace", "counts the system calls of a request"),
    ("curl", "curl", "a client that speaks HTTP and TLS independently of us, HTTP/2 too"),
    ("nghttp", "nghttp2-client", "shows HTTP/2 frame by frame, and h2load loads it"),
    ("chromium-headless-shell", "chromium-headless-shell", "a browser: what it agrees on and loads (100 MB)"),
    ("certutil", "libnss3-tools", "tells the browser whom to trust"),
    ("openssl", "openssl", "a TLS client and certificates for the tests"),
    ("nghttpd", "nghttp2-server", "an HTTP/2 server that our own HTTP/2 client of the tests is judged by"),
    ("wrk", "wrk", "the load generator of the smoke test and of `bench`"),
    ("python3", "python3", "http.server as a second backend, and the h11 parser as a judge of our bytes"),
    ("node", "nodejs", "runs the public suite for HTTP caches"),
    ("npm", "npm", "fetches that suite, pinned and checked by its lock file"),
    ("taskset", "util-linux", "pins each side of `bench` to a core"),
    ("script", "bsdutils", "a terminal, for what is shown to who sits at one"),
    ("ip", "iproute2", "lays the cables of tests that have a network of their own"),
    ("bpftool", "bpftool", "runs a program of the kernel's by itself and takes its time"),
    ("nft", "nftables", "one of the ways to limit a flood, and what the others are compared with"),
    ("xz", "xz-utils", "packs the Debian package of `dist`"),
    ("lintian", "lintian", "Debian's judge of that package"),
    ("strip", "binutils", "takes symbols off what is shipped, and objdump reads what it needs"),
    ("git", "git", "lists the project's files for `tidy`"),
];

/// While packages are installed, Debian would start their services; this says no (101, invoke-rc.d's manual).
const POLICY: &str = "/usr/sbin/policy-rc.d";
const POLICY_TEXT: &str = "#!/bin/sh\n# Made by cargo xtask setup while it installs packages.\nexit 101\n";

/// Installs what is missing. Says what and why; whether all is there in the end.
pub(crate) fn run() -> bool {
    match packages().and_then(|()| venv()).and_then(|()| node()).and_then(|()| micro::install_runner()) {
        Ok(()) => {
            println!("setup: everything that tests and benches need is here");
            true
        }
        Err(problem) => {
            eprintln!("setup: {problem:#}");
            false
        }
    }
}

/// The Python of the venv.
pub(crate) fn venv_python() -> PathBuf {
    shell::root().join(".venv/bin/python")
}

fn packages() -> anyhow::Result<()> {
    let mut missing = Vec::new();
    for &(program, package, why) in PACKAGES {
        if shell::which(program).is_none() {
            println!("setup: {package} is missing: {why}");
            missing.push(package);
        }
    }
    if !python_makes_venvs() {
        println!("setup: python3-venv is missing: makes the venv that holds the pinned Python packages");
        missing.push("python3-venv");
    }
    if missing.is_empty() { Ok(()) } else { install(&missing) }
}

/// Installs Debian packages, without starting what they bring. An error says what to do where that can't be done.
pub(crate) fn install(missing: &[&str]) -> anyhow::Result<()> {
    let install = format!("apt-get install -y --no-install-recommends {}", missing.join(" "));
    let root = shell::read(Command::new("id").arg("-u"))?.trim() == "0";
    anyhow::ensure!(
        root && shell::which("apt-get").is_some(),
        "packages are missing and only the administrator can install them; run this, then setup again:\n\n    \
         sudo apt-get update && sudo {install}\n"
    );
    let _policy = Policy::set()?;
    println!("setup: apt-get update");
    anyhow::ensure!(apt(&["update", "-qq"])?, "`apt-get update` failed");
    println!("setup: {install}");
    let arguments = [&["install", "-y", "-qq", "--no-install-recommends"], missing].concat();
    anyhow::ensure!(apt(&arguments)?, "`{install}` failed");
    Ok(())
}

fn apt(arguments: &[&str]) -> anyhow::Result<bool> {
    shell::run(Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
}

/// Python can be there without the part that makes venvs (Debian splits it off).
fn python_makes_venvs() -> bool {
    shell::which("python3").is_some()
        && Command::new("python3")
            .args(["-c", "import venv, ensurepip"])
            .output()
            .is_ok_and(|o| o.status.success())
}

fn venv() -> anyhow::Result<()> {
    let wanted = fs::read_to_string(shell::root().join("tests/requirements.txt"))?;
    let stamp = shell::root().join(".venv/installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) && venv_python().exists() {
        return Ok(());
    }
    println!("setup: .venv: the Python packages of tests/requirements.txt");
    let folder = shell::root().join(".venv");
    anyhow::ensure!(
        shell::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?,
        "`python3 -m venv` failed"
    );
    anyhow::ensure!(
        shell::run(Command::new(venv_python()).current_dir(shell::root()).args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
            "tests/requirements.txt",
        ]))?,
        "pip could not install tests/requirements.txt"
    );
    fs::write(stamp, wanted)?;
    Ok(())
}

/// The packages of `tests/node`, each held to the hash in the lock file, and none of their install scripts run. Where no
/// registry is reached the tests that need them say that they are skipped.
fn node() -> anyhow::Result<()> {
    const FILES: [&str; 2] = ["package.json", "package-lock.json"];
    let (from, folder) = (shell::root().join("tests/node"), shell::root().join(".node"));
    let wanted = fs::read_to_string(from.join("package-lock.json"))?;
    let stamp = folder.join("installed.json");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    println!("setup: .node: the packages of tests/node/package.json");
    fs::create_dir_all(&folder)?;
    for file in FILES {
        fs::copy(from.join(file), folder.join(file))?;
    }
    let install = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    if shell::run(Command::new("npm").args(install).current_dir(&folder))? {
        fs::write(stamp, wanted)?;
    } else {
        // `npm ci` begins by removing what was there.
        println!("setup: .node: npm could not install it; the tests that need it will be skipped");
    }
    Ok(())
}

/// Keeps packages from starting their services for as long as it lives. A policy of the operator's own is left.
struct Policy {
    ours: bool,
}

impl Policy {
    fn set() -> anyhow::Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        if Path::new(POLICY).exists() {
            return Ok(Self { ours: false });
        }
        fs::write(POLICY, POLICY_TEXT)?;
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))?;
        Ok(Self { ours: true })
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        if self.ours
            && let Err(problem) = fs::remove_file(POLICY)
        {
            eprintln!(
                "setup: {POLICY} could not be removed ({problem}); remove it, or services will not start"
            );
        }
    }
}
