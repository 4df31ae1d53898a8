//! The cores: one thread each, pinned, started together or not at all.

use std::{
    net::TcpListener,
    num::NonZeroUsize,
    sync::{Arc, mpsc},
    thread::{Builder, JoinHandle},
};

use anyhow::{Context, Result, bail};
use policy::throttle::Table;
use runtime::{DriverChoice, DriverKind, Post};
use shard::{Message, Ready, Seat};
use snapshot::Snapshot;
use telemetry::log::LogSender;

/// Buckets that the machine's table of limits holds.
const LIMIT_SLOTS: usize = 65_536;

/// What all cores are given alike.
pub(crate) struct Plan {
    pub(crate) workers: usize,
    pub(crate) driver: DriverChoice,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) cache_bytes_max: u64,
    pub(crate) connections_max: usize,
}

/// The running cores.
pub(crate) struct Cores {
    pub(crate) posts: Vec<Post<Message>>,
    pub(crate) drivers: Vec<DriverKind>,
    /// Why the best driver does not run, if it does not.
    pub(crate) fell_back: Option<String>,
    pub(crate) limits: Arc<Table>,
    threads: Vec<JoinHandle<Result<(), shard::Error>>>,
}

/// Starts all cores and waits until each takes connections. `listeners` holds for each core its sockets.
pub(crate) fn start(plan: &Plan, listeners: Vec<Vec<TcpListener>>, logs: Vec<LogSender>) -> Result<Cores> {
    let limits = Arc::new(Table::new(LIMIT_SLOTS));
    let (met, meeting) = mpsc::channel();
    let (accepting, accepted) = mpsc::channel();
    let mut threads = Vec::with_capacity(plan.workers);
    let mut tells = Vec::with_capacity(plan.workers);
    for (index, (listeners, log)) in listeners.into_iter().zip(logs).enumerate() {
        let (tell, told) = mpsc::channel::<Vec<Post<Message>>>();
        tells.push(tell);
        let seat = seat(plan, index, listeners, log, &limits);
        let (met, accepting) = (met.clone(), accepting.clone());
        let body = move || {
            let meet = |ready: Ready| met.send(ready).ok().and_then(|()| told.recv().ok());
            shard::run(seat, meet, || drop(accepting.send(())))
        };
        let thread = Builder::new().name(format!("core-{index}")).spawn(body);
        threads.push(thread.context("cannot start a thread for a core")?);
    }
    drop((met, accepting));
    let mut ready: Vec<Ready> = meeting.iter().take(plan.workers).collect();
    if ready.len() < plan.workers {
        drop(tells);
        bail!("{}", why(threads));
    }
    ready.sort_by_key(|ready| ready.index);
    let posts: Vec<_> = ready.iter().map(|ready| ready.post.clone()).collect();
    for tell in tells {
        // A core that is gone by now shows below: it never accepts.
        drop(tell.send(posts.clone()));
    }
    if accepted.iter().take(plan.workers).count() < plan.workers {
        bail!("{}", why(threads));
    }
    let drivers = ready.iter().map(|ready| ready.driver).collect();
    let fell_back = ready.into_iter().find_map(|ready| ready.fell_back);
    Ok(Cores { posts, drivers, fell_back, limits, threads })
}

fn seat(plan: &Plan, index: usize, listeners: Vec<TcpListener>, log: LogSender, limits: &Arc<Table>) -> Seat {
    let cpus = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    // With more cores than CPUs, or fewer, the kernel places them better than we do.
    let cpu = (plan.workers == cpus).then(|| nth_cpu(index)).flatten();
    Seat {
        index,
        cores: plan.workers,
        runtime: runtime::Options { driver: plan.driver, cpu, ..runtime::Options::default() },
        listeners,
        snapshot: plan.snapshot.clone(),
        limits: limits.clone(),
        cache_bytes_max: plan.cache_bytes_max / plan.workers.max(1) as u64,
        connections_max: (plan.connections_max / plan.workers.max(1)).max(1),
        log,
    }
}

/// The n-th CPU on which this process may run: a container may have been given 4 to 7.
fn nth_cpu(index: usize) -> Option<usize> {
    let allowed = rustix::thread::sched_getaffinity(None).ok()?;
    (0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).nth(index)
}

/// What the threads that ended say of it.
fn why(threads: Vec<JoinHandle<Result<(), shard::Error>>>) -> String {
    let ended = threads.into_iter().map(JoinHandle::join);
    let reasons = ended.filter_map(|ended| match ended {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(format!("{:#}", anyhow::Error::from(error))),
        Err(_) => Some("a core panicked while starting".to_owned()),
    });
    reasons.take(1).next().unwrap_or_else(|| "a core ended while starting".to_owned())
}

impl Cores {
    /// Waits until all have ended; how the first that failed did.
    pub(crate) fn join(self) -> Result<()> {
        let mut failed = Ok(());
        for thread in self.threads {
            let ended = match thread.join() {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => anyhow::Error::from(error),
                Err(_) => anyhow::anyhow!("a core panicked"),
            };
            failed = failed.and(Err(ended));
        }
        failed
    }
}
