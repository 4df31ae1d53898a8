//! All automation of the project: one verb for each thing that a person or CI does more than once.
//! It knows the layout of the workspace and nothing of how the gateway works inside.

mod bench;
mod conformance;
mod dist;
mod ebpf;
mod fuzz;
mod setup;
mod shell;
mod tally;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What the project does to itself: `cargo xtask VERB`.
///
/// New here? `cargo xtask setup`, then `cargo xtask test`; both say what they do.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Install what tests and benches need: Debian packages, a Python venv, packages from npm. Safe to repeat
    Setup,
    /// Run everything that CI runs, in order; stop at the first failing step
    Test(test::Options),
    /// Check the rules of the house that no compiler checks
    Tidy,
    /// Check that every row of AWS's semantics is accounted for in tests/conformance/aws.md
    Conformance,
    /// Look for bytes that break a property of a parser (needs cargo-fuzz)
    Fuzz(fuzz::Options),
    /// Build the kernel's programs: ebpf/floodgate.o, which is committed (needs Debian's packages, and installs them)
    Ebpf(ebpf::Options),
    /// Make what operators install: a tar ball and a Debian package in target/dist
    Dist(dist::Options),
    /// Compare the gateway with nginx and HAProxy on this machine by CPU time a request
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Setup => Ok(setup::run()),
        Verb::Test(options) => test::run(&options),
        Verb::Tidy => tidy::run(),
        Verb::Conformance => conformance::run(),
        Verb::Fuzz(options) => fuzz::run(&options),
        Verb::Ebpf(options) => ebpf::run(&options),
        Verb::Dist(options) => dist::run(&options),
        Verb::Bench(options) => bench::run(&options),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("xtask: {problem:#}");
            ExitCode::FAILURE
        }
    }
}
