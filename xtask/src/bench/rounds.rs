//! Who is measured when: gateways one after the other, round by round, each time afresh, so that what drifts on the
//! machine meets all alike. A run that strangers disturbed is made once again, and thrown out if they did so again.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::{
    cores::{Busy, FOREIGN_MAX},
    cpu,
    jobs::Job,
    load::{self, Tool},
    machine::Site,
    target::{self, Kind, Running},
};

/// What to do.
pub(super) struct Plan<'a> {
    pub(super) jobs: Vec<&'static Job>,
    /// The first is the one that the others are compared with.
    pub(super) gateways: Vec<Kind>,
    pub(super) rounds: u32,
    pub(super) time: Duration,
    /// Before it counts: connections, caches and branch predictors warm up. None for a look whether all works.
    pub(super) warm_up: Option<Duration>,
    /// How often a disturbed run is made again.
    pub(super) repeats: u32,
    pub(super) tool: Tool,
    pub(super) site: &'a Site,
    pub(super) backends: &'a [Running],
}

/// One run of one gateway.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Measured {
    /// CPU time of the gateway a request; no number where there was none.
    pub(super) cpu_us: f64,
    pub(super) requests_per_s: f64,
    /// How much of its core the gateway used.
    pub(super) busy: f64,
    /// How much of one of our cores others used.
    pub(super) foreign: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) errors: u64,
}

impl Measured {
    /// Whether it counts.
    pub(super) fn clean(&self) -> bool {
        self.foreign <= FOREIGN_MAX && self.errors == 0
    }
}

/// A run and where it belongs.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) job: &'static Job,
    /// As in the plan.
    pub(super) gateway: usize,
    pub(super) round: u32,
    pub(super) measured: Measured,
}

/// Every run of the plan, and how many were made again.
pub(super) fn run(plan: &Plan<'_>) -> anyhow::Result<(Vec<Run>, u32)> {
    let (mut runs, mut again) = (Vec::new(), 0);
    for &job in &plan.jobs {
        for round in 0..plan.rounds {
            for place in 0..plan.gateways.len() {
                // Each begins a round in its turn: nobody always follows the same neighbour.
                let gateway = (place + round as usize) % plan.gateways.len();
                let kind = &plan.gateways[gateway];
                let one = || one(plan, kind, job).with_context(|| format!("{kind}, {}", job.name));
                let mut measured = one()?;
                for _ in 0..plan.repeats {
                    if measured.foreign > FOREIGN_MAX {
                        again += 1;
                        measured = one()?;
                    }
                }
                println!(
                    "bench: {:<10} {}/{}  {:<16} {:>7.2} µs  {:>8.0}/s  busy {:.2}  p99 {:>6.0} µs  others {:.2}  errors {}",
                    job.name,
                    round + 1,
                    plan.rounds,
                    kind.to_string(),
                    measured.cpu_us,
                    measured.requests_per_s,
                    measured.busy,
                    measured.p99_us,
                    measured.foreign,
                    measured.errors
                );
                runs.push(Run { job, gateway, round, measured });
            }
        }
    }
    Ok((runs, again))
}

/// What the backend may use a request where it is not asked: its own clock, ticks that fall wrong.
const IDLE_BACKEND_US_MAX: f64 = 0.5;

fn one(plan: &Plan<'_>, kind: &Kind, job: &Job) -> anyhow::Result<Measured> {
    let site = plan.site.with_fresh_ports()?;
    let gateway = target::start(kind, &site, job.tls)?;
    let (scheme, port) = if job.tls { ("https", site.tls) } else { ("http", site.port) };
    let url = format!("{scheme}://localhost:{port}{}", job.path);
    load::check(&site.certificate, &site.upload, &url, job)?;
    if let Some(time) = plan.warm_up {
        plan.tool.run(&url, job, time, site.cores.load)?;
    }
    let used = || -> anyhow::Result<[f64; 3]> {
        let load = cpu::seconds_of_ended_children()?;
        let mut backends = 0.0;
        for backend in plan.backends {
            backends += cpu::seconds(backend.pid())?;
        }
        Ok([cpu::seconds(gateway.pid())?, backends, load])
    };
    let (before, busy_before, started) = (used()?, Busy::now()?, Instant::now());
    let loaded = plan.tool.run(&url, job, plan.time, site.cores.load)?;
    // With the generator's own beginning, which is not part of what it measures.
    let elapsed_s = started.elapsed().as_secs_f64();
    let (after, busy_after) = (used()?, Busy::now()?);
    let [gateway_s, backend_s, load_s] = [0, 1, 2].map(|part| after[part] - before[part]);
    let ours = [(site.cores.gateway, gateway_s), (site.cores.backend, backend_s), (site.cores.load, load_s)];
    let requests = loaded.requests as f64;
    let backend_us = if loaded.requests > 0 { backend_s * 1e6 / requests } else { 0.0 };
    // A job of one short second has too few ticks to be judged by them.
    ensure!(
        job.backend || backend_us <= IDLE_BACKEND_US_MAX.max(3e4 / requests),
        "the backend was asked: it used {backend_us:.2} µs a request"
    );
    Ok(Measured {
        cpu_us: gateway_s * 1e6 / requests,
        requests_per_s: requests / loaded.seconds,
        busy: gateway_s / loaded.seconds,
        foreign: busy_after.foreign(&busy_before, &ours, elapsed_s),
        p50_us: loaded.p50_us,
        p99_us: loaded.p99_us,
        errors: loaded.errors,
    })
}
