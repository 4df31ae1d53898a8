//! `cargo xtask test`: the steps of CI, in order. It does not know what a step looks for, only whether it passed.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::bail;

use crate::{bench, conformance, ebpf, setup, shell, tally::Tally, tidy};

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these steps, in CI's order: setup, fmt, clippy, tidy, conformance, unit, build, ebpf, micro, package, uring, epoll,
    /// load, bench
    steps: Vec<String>,
    /// Leave out the second driver and everything that needs the machine for itself
    #[arg(long)]
    quick: bool,
}

/// A step's name, whether `--quick` runs it, what it is, and the work itself.
struct Step {
    name: &'static str,
    quick: bool,
    about: &'static str,
    work: fn() -> anyhow::Result<Tally>,
}

const STEPS: &[Step] = &[
    Step {
        name: "setup",
        quick: true,
        about: "packages, venv and what comes from npm are there",
        work: || check(Ok(setup::run())),
    },
    Step { name: "fmt", quick: true, about: "cargo fmt --check", work: fmt },
    Step { name: "clippy", quick: true, about: "clippy, all targets, no warnings", work: clippy },
    Step { name: "tidy", quick: true, about: "the rules of the house", work: || check(tidy::run()) },
    Step {
        name: "conformance",
        quick: true,
        about: "the index of AWS's rows is complete and true",
        work: || check(conformance::run()),
    },
    Step { name: "unit", quick: true, about: "every room's own tests", work: unit },
    Step { name: "build", quick: true, about: "the gateway, optimised", work: build },
    Step {
        name: "ebpf",
        quick: true,
        about: "what the kernel's programs decide, and that they are those of their sources",
        work: ebpf::test,
    },
    Step {
        name: "micro",
        quick: true,
        about: "no parser and no table costs more instructions than it may",
        work: bench::micro::test,
    },
    Step {
        name: "package",
        quick: false,
        about: "the packages, and a Debian that they live in",
        work: package,
    },
    Step {
        name: "uring",
        quick: true,
        about: "the binary from outside, on io_uring",
        work: || black_box("uring"),
    },
    Step {
        name: "epoll",
        quick: false,
        about: "the binary from outside, on epoll",
        work: || black_box("epoll"),
    },
    Step {
        name: "load",
        quick: false,
        about: "wrk and open-loop runs, one at a time, on both drivers",
        work: || {
            let mut tally = load("uring")?;
            tally += load("epoll")?;
            Ok(tally)
        },
    },
    Step {
        name: "bench",
        quick: false,
        about: "the judge of speed judges: every job for a second, with wrk",
        work: bench::test,
    },
];

/// Runs the steps; stops at the first that fails. Whether all passed.
pub(crate) fn run(options: &Options) -> anyhow::Result<bool> {
    for name in &options.steps {
        if !STEPS.iter().any(|step| step.name == name) {
            let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
            bail!("there is no step `{name}`; the steps are {}", names.join(", "));
        }
    }
    let chosen: Vec<&Step> = STEPS
        .iter()
        .filter(|step| {
            if options.steps.is_empty() {
                step.quick || !options.quick
            } else {
                options.steps.iter().any(|name| name == step.name)
            }
        })
        .collect();
    let mut total = Tally::default();
    let mut rows = Vec::new();
    let started = Instant::now();
    for (number, step) in chosen.iter().enumerate() {
        println!("\n=== {}/{} {}: {}", number + 1, chosen.len(), step.name, step.about);
        let started = Instant::now();
        let tally = (step.work)().unwrap_or_else(|problem| {
            eprintln!("{}: {problem:#}", step.name);
            Tally::one(false)
        });
        let failed = tally.failed > 0;
        rows.push((step.name, Some((started.elapsed(), tally.clone()))));
        total += tally;
        if failed {
            rows.extend(chosen[number + 1..].iter().map(|step| (step.name, None)));
            break;
        }
    }
    print_summary(&rows, &total, started.elapsed());
    Ok(total.failed == 0)
}

fn print_summary(rows: &[(&str, Option<(Duration, Tally)>)], total: &Tally, elapsed: Duration) {
    println!("\n{:<12} {:>8}  result", "step", "seconds");
    for (name, done) in rows {
        match done {
            Some((took, tally)) => {
                let word = if tally.failed > 0 { "FAILED" } else { "ok" };
                println!("{name:<12} {:>8.1}  {word}: {tally}", took.as_secs_f64());
            }
            None => println!("{name:<12} {:>8}  not run", "-"),
        }
    }
    println!("{:<12} {:>8.1}", "all", elapsed.as_secs_f64());
    for reason in &total.skipped {
        println!("skipped because: {reason}");
    }
    println!("\n{total}");
}

fn check(outcome: anyhow::Result<bool>) -> anyhow::Result<Tally> {
    outcome.map(Tally::one)
}

fn fmt() -> anyhow::Result<Tally> {
    check(shell::run(shell::cargo().args(["fmt", "--all", "--check"])))
}

fn clippy() -> anyhow::Result<Tally> {
    let arguments = ["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"];
    check(shell::run(shell::cargo().args(arguments)))
}

fn unit() -> anyhow::Result<Tally> {
    let rooms =
        ["test", "--quiet", "--workspace", "--exclude", "blackbox", "--exclude", "xtask", "--no-fail-fast"];
    let mut tally = cargo_test(&rooms, &[])?;
    tally += cargo_test(&["test", "--quiet", "--package", "xtask", "--bins"], &[])?;
    Ok(tally)
}

/// Not among the unit tests, since they pack the binary that is built after those.
fn package() -> anyhow::Result<Tally> {
    cargo_test(&["test", "--quiet", "--package", "xtask", "--test", "package"], &[])
}

fn build() -> anyhow::Result<Tally> {
    check(shell::run(shell::cargo().args(["build", "--release", "--package", "proxy"])))
}

/// The binary from outside, without what needs the machine for itself. Such a test waits about as long as it computes:
/// deadlines, probes, entries that grow stale. Those of the front line have clocks of the kernel's against them, that run while a
/// crowded machine does not: they get a processor each.
fn black_box(driver: &str) -> anyhow::Result<Tally> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let mut tally = black_box_of(driver, &["--skip", "measured::", "--skip", FRONT_LINE], processors * 2)?;
    tally += black_box_of(driver, &[FRONT_LINE], processors)?;
    Ok(tally)
}

/// Tests of the kernel's part.
const FRONT_LINE: &str = "front_line::";

/// Those of its tests that libtest's arguments choose, so many at once.
fn black_box_of(driver: &str, chosen: &[&str], threads: usize) -> anyhow::Result<Tally> {
    let threads = format!("--test-threads={threads}");
    let arguments = ["test", "--quiet", "--package", "blackbox", "--no-fail-fast", "--", &threads];
    cargo_test(&[&arguments[..], chosen].concat(), &[("FLOODGATE_DRIVER", driver)])
}

/// Runs that measure: one at a time, so that they do not measure each other.
fn load(driver: &str) -> anyhow::Result<Tally> {
    black_box_of(driver, &["measured::"], 1)
}

/// A test run that ends badly without a failed test (it does not compile, it crashed) has failed all the same.
pub(crate) fn cargo_test(arguments: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<Tally> {
    let mut command = shell::cargo();
    command.args(arguments).envs(environment.iter().copied());
    command.env("FLOODGATE_BIN", shell::target_dir().join("release/floodgate"));
    let (success, lines) = shell::run_and_read(&mut command)?;
    let mut tally = Tally::of_cargo_test(lines.iter().map(String::as_str));
    if !success && tally.failed == 0 {
        tally.failed = 1;
    }
    Ok(tally)
}
