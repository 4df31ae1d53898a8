//! `cargo xtask ebpf`: builds the kernel's programs and writes `ebpf/floodgate.o`, which is committed, so that building the
//! gateway needs none of this; `--check` builds them again and compares the bytes. It does not know what they do.
//!
//! The compiler is Debian's, with its library's source and its LLVM, since those three fit each other; the linker is built
//! here. What comes out is the same in any folder: all paths in it are written anew.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail, ensure};

use crate::{setup, shell, tally::Tally, test};

/// A workspace of its own, and what it makes.
const FOLDER: &str = "ebpf";
const OBJECT: &str = "ebpf/floodgate.o";
const NOTE: &str = "ebpf/floodgate.o.txt";
/// The kernel reads it into memory that can't be swapped, and it is in each binary.
const OBJECT_BYTES_MAX: usize = 64 * 1024;

/// Debian's packages; of those that stand in the note the version is a part of what comes out.
const PACKAGES: &[(&str, bool)] = &[
    ("rustc-web", true),
    ("rust-web-src", true),
    ("llvm-22-dev", true),
    ("cargo-web", false),
    ("libpolly-22-dev", false),
    ("libzstd-dev", false),
    ("zlib1g-dev", false),
];
const LINKER: &str = "0.13.0";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const TARGET: &str = "bpfel-unknown-none";

/// What to do with what is built.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Compare it with what is committed, byte for byte, and write nothing
    #[arg(long)]
    check: bool,
}

/// Builds; writes or compares. Whether all is well.
pub(crate) fn run(options: &Options) -> anyhow::Result<bool> {
    if options.check {
        return Ok(check()?.failed == 0);
    }
    let toolchain = match Toolchain::find()? {
        Ok(toolchain) => toolchain,
        Err(absent) => bail!("toolchain absent: {absent}"),
    };
    let object = toolchain.build()?;
    fs::write(shell::root().join(OBJECT), &object)?;
    fs::write(shell::root().join(NOTE), note(&toolchain.versions, &object)?)?;
    println!("ebpf: {OBJECT}, {} bytes", object.len());
    Ok(true)
}

/// The step of `cargo xtask test`: what the programs decide, on the host, and whether they are those that are committed.
pub(crate) fn test() -> anyhow::Result<Tally> {
    let manifest = shell::root().join(FOLDER).join("Cargo.toml");
    let manifest = manifest.to_string_lossy();
    let target = folder("host");
    let target = target.to_string_lossy();
    let gate =
        ["--manifest-path", &*manifest, "--package", "gate", "--features", "std", "--target-dir", &*target];
    let mut tally = test::cargo_test(&[&["test", "--quiet"], &gate[..]].concat(), &[])?;
    let clippy = [&["clippy", "--quiet", "--all-targets"], &gate[..], &["--", "-D", "warnings"]].concat();
    tally += Tally::one(shell::run(shell::cargo().args(clippy))?);
    let fmt = ["fmt", "--manifest-path", &*manifest, "--all", "--check"];
    tally += Tally::one(shell::run(shell::cargo().args(fmt))?);
    tally += check()?;
    Ok(tally)
}

/// Whether the committed object is what its sources make.
fn check() -> anyhow::Result<Tally> {
    let committed = fs::read(shell::root().join(OBJECT)).with_context(|| OBJECT.to_owned())?;
    let noted = fs::read_to_string(shell::root().join(NOTE)).with_context(|| NOTE.to_owned())?;
    ensure!(
        committed.len() <= OBJECT_BYTES_MAX,
        "{OBJECT} has {} bytes of {OBJECT_BYTES_MAX}",
        committed.len()
    );
    let toolchain = match Toolchain::find()? {
        Ok(toolchain) => toolchain,
        Err(absent) => return Ok(Tally::skipped(&format!("toolchain absent: {absent}"))),
    };
    if let Some(other) = toolchain.versions.lines().find(|line| !noted.lines().any(|noted| noted == *line)) {
        // Bytes of another compiler say nothing.
        return Ok(Tally::skipped(&format!("toolchain absent: {other} is another than {NOTE} names")));
    }
    let object = toolchain.build()?;
    if object != committed {
        eprintln!(
            "ebpf: {OBJECT} is not what its sources make: run `cargo xtask ebpf` and commit what it writes"
        );
        return Ok(Tally::one(false));
    }
    if noted != note(&toolchain.versions, &committed)? {
        eprintln!("ebpf: {NOTE} is not about {OBJECT}: run `cargo xtask ebpf` and commit what it writes");
        return Ok(Tally::one(false));
    }
    println!("ebpf: {OBJECT} is what its sources make, byte for byte ({} bytes)", object.len());
    Ok(Tally::one(true))
}

/// What stands beside the object.
fn note(versions: &str, object: &[u8]) -> anyhow::Result<String> {
    let sum = shell::filter(&mut Command::new("sha256sum"), object)?;
    let sum = String::from_utf8_lossy(&sum);
    let sum = sum.split_whitespace().next().unwrap_or_default();
    Ok(format!(
        "What made floodgate.o: `cargo xtask ebpf` writes this, `cargo xtask ebpf --check` compares.\n\
         {versions}bytes {}\nsha256 {sum}\n",
        object.len()
    ))
}

/// Where a part of this is built; kept from run to run.
fn folder(part: &str) -> PathBuf {
    shell::target_dir().join("ebpf").join(part)
}

/// What builds the programs.
struct Toolchain {
    /// One line for each part that changes the bytes.
    versions: String,
    tools: PathBuf,
}

impl Toolchain {
    /// Installs what is missing; `Err` inside: why it can't be had here.
    fn find() -> anyhow::Result<Result<Self, String>> {
        let missing: Vec<&str> = PACKAGES
            .iter()
            .map(|(package, _)| *package)
            .filter(|package| version(package).is_none())
            .collect();
        if !missing.is_empty()
            && let Err(problem) = setup::install(&missing)
        {
            return Ok(Err(format!("{}: {problem}", missing.join(", "))));
        }
        let mut versions = String::new();
        for (package, _) in PACKAGES.iter().filter(|(_, counts)| *counts) {
            let Some(version) = version(package) else { return Ok(Err(format!("no {package}"))) };
            versions.push_str(&format!("{package} {version}\n"));
        }
        versions.push_str(&format!("bpf-linker {LINKER}\n"));
        let tools = folder("tools");
        let linker = tools.join("bin/bpf-linker");
        let there = Command::new(&linker).arg("--version").output();
        if !there.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim().ends_with(LINKER)) {
            println!("ebpf: bpf-linker {LINKER} is built once, in a minute or two");
            let prefix = shell::read(Command::new("llvm-config-22").arg("--prefix"))?;
            let mut install = shell::cargo();
            install.args(["install", "bpf-linker", "--version", LINKER, "--locked", "--quiet"]);
            install.args(["--no-default-features", "--features", "llvm-22", "--root"]).arg(&tools);
            install.arg("--target-dir").arg(folder("linker")).env("LLVM_PREFIX", prefix.trim());
            if !shell::run(&mut install)? {
                return Ok(Err(format!("bpf-linker {LINKER} could not be built")));
            }
            fs::remove_dir_all(folder("linker")).or_else(ignore_absent)?;
        }
        Ok(Ok(Self { versions, tools }))
    }

    /// The object, without what only debuggers read.
    fn build(&self) -> anyhow::Result<Vec<u8>> {
        let out = folder("programs");
        let workspace = fs::canonicalize(shell::root().join(FOLDER))?;
        // Before it is asked where they lie.
        let mut fetch = self.cargo(&workspace)?;
        ensure!(
            shell::run(fetch.args(["fetch", "--quiet", "--locked"]))?,
            "what the programs are built of can't be fetched"
        );
        let mut build = self.cargo(&workspace)?;
        build.env("CARGO_ENCODED_RUSTFLAGS", flags(&workspace)?);
        build.args(["build", "--quiet", "--release", "--locked", "--package", "prog", "--target", TARGET]);
        build.arg("-Zbuild-std=core").arg("--target-dir").arg(&out);
        ensure!(shell::run(&mut build)?, "the programs could not be built");
        let (from, to) = (out.join(TARGET).join("release/floodgate"), out.join("floodgate.o"));
        let mut strip = Command::new("llvm-objcopy-22");
        // Which line an instruction came from is more than half of it, and only the verifier's complaints quote it.
        strip.args(["--strip-debug", "--remove-section=.BTF.ext", "--remove-section=.rel.BTF.ext"]);
        ensure!(shell::run(strip.arg(&from).arg(&to))?, "{} could not be stripped", from.display());
        let object = fs::read(&to)?;
        ensure!(
            object.len() <= OBJECT_BYTES_MAX,
            "the object has {} bytes of {OBJECT_BYTES_MAX}",
            object.len()
        );
        Ok(object)
    }

    /// Debian's cargo with Debian's compiler: nothing of those that built us, nor of what others set for theirs.
    fn cargo(&self, workspace: &Path) -> anyhow::Result<Command> {
        const KEPT: [&str; 4] = ["CARGO_HOME", "CARGO_HTTP", "CARGO_NET", "CARGO_REGISTR"];
        let mut command = Command::new(DEBIAN_CARGO);
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            let is_ours = text.starts_with("RUST") || text.starts_with("CARGO");
            if is_ours && !KEPT.iter().any(|kept| text.starts_with(kept)) {
                command.env_remove(&name);
            }
        }
        let folders = [self.tools.join("bin"), PathBuf::from("/usr/bin"), PathBuf::from("/bin")];
        command.env("PATH", env::join_paths(folders)?);
        command.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1").current_dir(workspace);
        Ok(command)
    }
}

fn ignore_absent(problem: std::io::Error) -> std::io::Result<()> {
    if problem.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(problem) }
}

/// The version of a Debian package, if it is installed.
fn version(package: &str) -> Option<String> {
    let query = ["-W", "-f=${db:Status-Status} ${Version}", package];
    let output = Command::new("dpkg-query").args(query).output().ok()?;
    String::from_utf8_lossy(&output.stdout).strip_prefix("installed ").map(str::to_owned)
}

/// The compiler's flags. Paths are a part of what comes out, and are written as those of no machine.
fn flags(workspace: &Path) -> anyhow::Result<OsString> {
    let sysroot = shell::read(Command::new(DEBIAN_RUSTC).args(["--print", "sysroot"]))?;
    let library = Path::new(sysroot.trim()).join("lib/rustlib/src/rust");
    let home = match (env::var_os("CARGO_HOME"), env::var_os("HOME")) {
        (Some(home), _) => PathBuf::from(home),
        (None, Some(home)) => Path::new(&home).join(".cargo"),
        (None, None) => bail!("neither CARGO_HOME nor HOME is set"),
    };
    let mut paths =
        vec![(workspace.to_owned(), "/src"), (fs::canonicalize(&library)?, "/rust"), (library, "/rust")];
    // Named after the registry that they came from, be it a mirror.
    let crates = home.join("registry/src");
    if let Ok(registries) = fs::read_dir(&crates) {
        for registry in registries {
            paths.push((registry?.path(), "/crates"));
        }
    }
    // The last has memory filled and copied in place: the linker's own way is a call of a loop over bytes, which the verifier walks
    // byte by byte as well, and spent a third of its time on.
    let mut flags: OsString = [
        "--cfg=bpf_target_arch=\"x86_64\"",
        "-Cdebuginfo=2",
        "-Clink-arg=--btf",
        "-Ctarget-cpu=v3",
        "-Clink-arg=--disable-expand-memcpy-in-order",
    ]
    .join("\x1f")
    .into();
    for (from, to) in paths {
        flags.push("\x1f--remap-path-prefix=");
        flags.push(from);
        flags.push(format!("={to}"));
    }
    Ok(flags)
}
