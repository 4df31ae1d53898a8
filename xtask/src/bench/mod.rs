//! `cargo xtask bench`: the gateway beside nginx and HAProxy under the same load on this machine, judged by CPU time a
//! request. The method is in benches/load/README.md. It does not know what makes any of them fast.

mod cores;
mod cpu;
mod jobs;
mod load;
mod machine;
pub(crate) mod micro;
mod rounds;
mod table;
mod target;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::{shell, tally::Tally};
use rounds::Plan;
use target::{Api, Kind};

/// How long and what to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Jobs, by name: proxy, proxy-256, proxy-64k, post-16k, cached, reject, tls; all if left out. Alone: flood, good
    /// clients beside a flood of SYNs (root only)
    #[arg(long, alias = "job", value_delimiter = ',')]
    jobs: Vec<String>,
    /// Seconds of one run
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=120))]
    secs: u64,
    /// Runs of each gateway for each job; the table shows medians
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Drivers of ours to measure. The binary is FLOODGATE_BIN, or is built
    #[arg(long, value_delimiter = ',', default_value = "uring,epoll")]
    drivers: Vec<String>,
    /// The load generator
    #[arg(long, value_enum, default_value_t = load::Tool::Wrk)]
    tool: load::Tool,
    /// Instead: count the instructions of codec, router, buckets and cache, against benches/micro/limits.toml
    #[arg(long)]
    micro: bool,
    /// With --micro: make what was counted the limits
    #[arg(long, requires = "micro")]
    accept: bool,
    /// Instead: one mini proxy on our reactor, on monoio and on tokio-uring (jobs proxy, proxy-256, proxy-64k)
    #[arg(long, conflicts_with_all = ["micro", "drivers"])]
    runtimes: bool,
    /// Instead: a plain route beside the same route in an HTTP API and in a REST API (jobs that forward to nginx)
    #[arg(long, conflicts_with_all = ["micro", "runtimes"])]
    apis: bool,
}

/// Measures and prints the table; whether there was no error.
pub(crate) fn run(options: &Options) -> anyhow::Result<bool> {
    if options.micro {
        return Ok(micro::run(options.accept)?.failed == 0);
    }
    if options.jobs.iter().any(|name| name == FLOOD) {
        ensure!(options.jobs.len() == 1 && !options.runtimes, "the job `{FLOOD}` runs alone");
        return flood(options.rounds);
    }
    let (jobs, gateways) = if options.runtimes {
        (forwarding(&options.jobs)?, minis()?)
    } else if options.apis {
        let driver = options.drivers.first().context("a driver")?;
        (forwarding(&options.jobs)?, kinds_of_apis(driver, &gateway()?))
    } else {
        (jobs::chosen(&options.jobs)?, gateways(&options.drivers, gateway()?))
    };
    let lengths = Lengths {
        rounds: options.rounds,
        time: Duration::from_secs(options.secs),
        warm_up: Some(Duration::from_secs(1)),
        repeats: 1,
    };
    let runs = compare(jobs, gateways, &lengths, options.tool)?;
    Ok(runs.iter().all(|run| run.measured.errors == 0))
}

/// Whether the judge works: every job once and for a second with every gateway, whatever else the machine does. What
/// it finds is no figure.
pub(crate) fn test() -> anyhow::Result<Tally> {
    if std::thread::available_parallelism()?.get() < 2 {
        return Ok(Tally::skipped("bench: one core for the gateway and one for the load are needed"));
    }
    let gateways = gateways(&["uring".to_owned(), "epoll".to_owned()], gateway()?);
    let minis = minis()?;
    let once = [jobs::PROXY.name.to_owned()];
    let expected = jobs::JOBS.len() * gateways.len() + minis.len();
    let lengths = Lengths { rounds: 1, time: Duration::from_secs(1), warm_up: None, repeats: 0 };
    let mut runs = compare(jobs::JOBS.iter().collect(), gateways, &lengths, load::Tool::Wrk)?;
    runs.extend(compare(forwarding(&once)?, minis, &lengths, load::Tool::Wrk)?);
    let good = |run: &&rounds::Run| {
        let of = &run.measured;
        of.errors == 0 && of.cpu_us > 0.0 && of.busy > 0.0 && of.busy < 1.2 && of.p99_us >= of.p50_us
    };
    let good = runs.iter().filter(good).count();
    println!("bench: {good} of {expected} runs without errors and with figures that can be");
    let mut tally = Tally::many(good as u64, (expected - good) as u64);
    tally += flood_test()?;
    Ok(tally)
}

/// The same of floods, where they can be had: whether every case has a figure.
fn flood_test() -> anyhow::Result<Tally> {
    let mut measure = Command::new(build("flood", "flood")?);
    let (success, lines) = shell::run_and_read(measure.arg("1").env("FLOODGATE_BIN", gateway()?))?;
    if let Some(why) = lines.iter().find_map(|line| line.strip_prefix("skipped: ")) {
        return Ok(Tally { skipped: vec![why.to_owned()], ..Tally::default() });
    }
    let told =
        lines.iter().rev().find(|line| !line.is_empty()).is_some_and(|line| line.starts_with("flood: "));
    let no_figure = lines.iter().filter(|line| line.contains(": no figure: ")).count();
    Ok(Tally::one(success && told && no_figure == 0))
}

/// The job with a method of its own: `benches/flood`.
const FLOOD: &str = "flood";

fn flood(rounds: u32) -> anyhow::Result<bool> {
    let gateway = gateway()?;
    let mut measure = Command::new(build("flood", "flood")?);
    shell::run(measure.arg(rounds.to_string()).env("FLOODGATE_BIN", gateway))
}

/// How often and how long.
struct Lengths {
    rounds: u32,
    time: Duration,
    warm_up: Option<Duration>,
    repeats: u32,
}

fn compare(
    jobs: Vec<&'static jobs::Job>,
    gateways: Vec<Kind>,
    lengths: &Lengths,
    tool: load::Tool,
) -> anyhow::Result<Vec<rounds::Run>> {
    for program in ["nginx", "haproxy", "nghttpd", "openssl", "taskset", "curl"] {
        ensure!(shell::which(program).is_some(), "{program} is missing: cargo xtask setup");
    }
    tool.ensure_there()?;
    let cores = cores::Cores::choose()?;
    let folder = TempDir::new()?;
    let upload_bytes = jobs.iter().map(|job| job.upload_bytes).max().unwrap_or(0);
    let site = machine::Site::new(folder.path(), cores, upload_bytes)?;
    let backends = target::start_backends(&site)?;
    let count = jobs.len() as u64 * u64::from(lengths.rounds) * gateways.len() as u64;
    let seconds = lengths.time.as_secs() + lengths.warm_up.map_or(0, |time| time.as_secs());
    println!("bench: {count} runs of {} s, at least {} s in all", lengths.time.as_secs(), count * seconds);

    let &Lengths { rounds, time, warm_up, repeats } = lengths;
    let plan =
        Plan { jobs, gateways, rounds, time, warm_up, repeats, tool, site: &site, backends: &backends };
    let (runs, again) = rounds::run(&plan)?;
    let is_mini = plan.gateways.iter().all(|kind| matches!(kind, Kind::Mini { .. }));
    let is_ours = plan.gateways.iter().all(|kind| matches!(kind, Kind::Floodgate { .. }));
    let (others, name): (&[&str], _) = match (is_mini, is_ours) {
        (true, _) => (&[], "runtimes"),
        (false, true) => (&["nginx"], "apis"),
        (false, false) => (&["nginx", "haproxy"], "table"),
    };
    let mut titles: Vec<String> = plan.gateways.iter().map(|kind| kind.title().to_owned()).collect();
    if is_ours {
        titles[0] = format!("plain route, {}", titles[0]);
    }
    let mut text =
        format!("{}\n\n{}", machine::about(cores, tool, others)?, table::markdown(&titles, &runs, again));
    if is_ours {
        text.push('\n');
        text.push_str(&table::added(&titles, &runs));
    }
    println!("\n{text}");
    let out = shell::root().join("benches/load/out");
    fs::create_dir_all(&out)?;
    fs::write(out.join(format!("{name}.md")), &text)?;
    fs::write(out.join(format!("{name}.tsv")), table::raw(&titles, &runs))?;
    Ok(runs)
}

fn gateways(drivers: &[String], binary: PathBuf) -> Vec<Kind> {
    let ours = drivers.iter().map(|driver| Kind::Floodgate {
        binary: binary.clone(),
        driver: driver.clone(),
        api: Api::Proxy,
    });
    [Kind::Nginx, Kind::Haproxy].into_iter().chain(ours).collect()
}

/// The same gateway with its route in each kind of API, the plain route first.
fn kinds_of_apis(driver: &str, binary: &Path) -> Vec<Kind> {
    let kind = |api| Kind::Floodgate { binary: binary.to_owned(), driver: driver.to_owned(), api };
    [Api::Proxy, Api::Http, Api::Rest].map(kind).into()
}

/// The mini proxy on each runtime; monoio, the best that is to be had, is what the others are compared with.
fn minis() -> anyhow::Result<Vec<Kind>> {
    let binary = build("runtimes", "runtimes")?;
    let mini = |runtime| Kind::Mini { binary: binary.clone(), runtime };
    Ok(["monoio", "tokio-uring", "uring", "epoll"].map(mini).into())
}

/// The jobs of these names, or all, that the mini proxy can do.
fn forwarding(names: &[String]) -> anyhow::Result<Vec<&'static jobs::Job>> {
    let mut chosen = jobs::chosen(names)?;
    chosen.retain(|job| jobs::FORWARDING.contains(&job.name));
    ensure!(!chosen.is_empty(), "this is measured with {} alone", jobs::FORWARDING.join(", "));
    Ok(chosen)
}

/// The binary to measure: `FLOODGATE_BIN`, else this tree's, built now.
fn gateway() -> anyhow::Result<PathBuf> {
    std::env::var_os("FLOODGATE_BIN").map_or_else(|| build("proxy", "floodgate"), |binary| Ok(binary.into()))
}

fn build(package: &str, binary: &str) -> anyhow::Result<PathBuf> {
    println!("bench: building {binary}");
    let mut build = shell::cargo();
    build.args(["build", "--quiet", "--release", "--package", package]);
    ensure!(shell::run(&mut build)?, "the build failed");
    Ok(shell::target_dir().join("release").join(binary))
}
