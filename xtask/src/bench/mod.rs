//! `cargo xtask bench`: the gateway and nginx under the same load on this machine, judged by CPU time a request. The
//! method is in benches/load/README.md. It does not know what makes either fast.

mod cpu;
mod load;
mod machine;
mod table;
mod target;

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::shell;

/// How long and what to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Jobs, by name: proxy, proxy-64k, cached, reject, tls
    #[arg(long, value_delimiter = ',')]
    jobs: Vec<String>,
    /// Seconds of one run
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=120))]
    secs: u64,
    /// Runs of each gateway for each job; the table shows medians
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Drivers of ours to measure
    #[arg(long, value_delimiter = ',', default_value = "uring,epoll")]
    drivers: Vec<String>,
    /// The load generator; the binary is FLOODGATE_BIN, or is built
    #[arg(long, default_value = "wrk", value_parser = ["wrk"])]
    tool: String,
}

/// What is asked, and how often at once.
#[derive(Clone, Copy)]
struct Job {
    name: &'static str,
    path: &'static str,
    tls: bool,
    connections: u32,
    /// What an answer has.
    status: u16,
    bytes: usize,
}

const JOBS: &[Job] = &[
    Job { name: "proxy", path: "/p/1k", tls: false, connections: 64, status: 200, bytes: 1 << 10 },
    Job { name: "proxy-64k", path: "/p/64k", tls: false, connections: 64, status: 200, bytes: 64 << 10 },
    Job { name: "cached", path: "/c/1k", tls: false, connections: 64, status: 200, bytes: 1 << 10 },
    Job { name: "reject", path: "/l/1k", tls: false, connections: 64, status: 429, bytes: 0 },
    Job { name: "tls", path: "/p/1k", tls: true, connections: 64, status: 200, bytes: 1 << 10 },
];

/// One run of one gateway.
#[derive(Clone, Copy, Debug)]
struct Measured {
    cpu_us: f64,
    requests_per_s: f64,
    /// How much of its core the gateway used.
    busy: f64,
    errors: u64,
}

/// Measures and prints the table; whether every run was clean.
pub(crate) fn run(options: &Options) -> anyhow::Result<bool> {
    let jobs = chosen(&options.jobs)?;
    for program in ["nginx", "wrk", "openssl", "taskset", "curl"] {
        ensure!(shell::which(program).is_some(), "{program} is missing: cargo xtask setup");
    }
    ensure!(machine::cores()? >= 2, "one core for the gateway and one for the load are needed");
    let gateway = gateway()?;
    let folder = TempDir::new()?;
    let site = machine::Site::new(folder.path(), gateway)?;
    let _backend = target::start_backend(&site)?;
    let mut targets = vec![target::Kind::Nginx];
    targets.extend(options.drivers.iter().cloned().map(target::Kind::Floodgate));
    let runs = jobs.len() as u64 * u64::from(options.rounds) * targets.len() as u64;
    println!("bench: {runs} runs of {} s, about {} s", options.secs, runs * (options.secs + 2));

    let mut results = Vec::new();
    let mut clean = true;
    for job in jobs {
        for round in 1..=options.rounds {
            for kind in &targets {
                let measured = one(kind, &site, job, Duration::from_secs(options.secs))
                    .with_context(|| format!("{kind}, {}", job.name))?;
                clean &= measured.errors == 0;
                println!(
                    "bench: {:<10} {round}/{}  {:<16} {:>7.2} µs  {:>8.0}/s  busy {:.2}  errors {}",
                    job.name,
                    options.rounds,
                    kind.to_string(),
                    measured.cpu_us,
                    measured.requests_per_s,
                    measured.busy,
                    measured.errors
                );
                results.push((job.name, kind.to_string(), measured));
            }
        }
    }
    let names: Vec<String> = targets.iter().map(ToString::to_string).collect();
    let text = format!("{}\n\n{}", machine::about()?, table::markdown(&names, &results));
    println!("\n{text}");
    let out = shell::root().join("benches/load/out");
    fs::create_dir_all(&out)?;
    fs::write(out.join("table.md"), &text)?;
    Ok(clean)
}

/// The binary to measure: `FLOODGATE_BIN`, else this tree's, built now.
fn gateway() -> anyhow::Result<PathBuf> {
    if let Some(binary) = std::env::var_os("FLOODGATE_BIN") {
        return Ok(binary.into());
    }
    println!("bench: building the gateway");
    let mut build = shell::cargo();
    build.args(["build", "--quiet", "--release", "--package", "proxy"]);
    ensure!(shell::run(&mut build)?, "the build failed");
    Ok(shell::target_dir().join("release/floodgate"))
}

fn chosen(names: &[String]) -> anyhow::Result<Vec<&'static Job>> {
    if names.is_empty() {
        return Ok(JOBS.iter().collect());
    }
    let find = |name: &String| {
        let known: Vec<&str> = JOBS.iter().map(|job| job.name).collect();
        JOBS.iter()
            .find(|job| job.name == name)
            .with_context(|| format!("no job `{name}`; jobs are {}", known.join(", ")))
    };
    names.iter().map(find).collect()
}

fn one(kind: &target::Kind, site: &machine::Site, job: &Job, time: Duration) -> anyhow::Result<Measured> {
    let running = target::start(kind, site)?;
    let port = if job.tls { site.tls } else { site.port };
    let url = format!("{}://localhost:{port}{}", if job.tls { "https" } else { "http" }, job.path);
    load::check(site, &url, job)?;
    // Connections, caches and branch predictors warm up before it counts.
    load::wrk(&url, job, Duration::from_secs(1))?;
    let before = cpu::seconds(running.pid())?;
    let loaded = load::wrk(&url, job, time)?;
    let used = cpu::seconds(running.pid())? - before;
    ensure!(loaded.requests > 0, "no request came through");
    Ok(Measured {
        cpu_us: used * 1e6 / loaded.requests as f64,
        requests_per_s: loaded.requests as f64 / loaded.seconds,
        busy: used / loaded.seconds,
        errors: loaded.errors,
    })
}
