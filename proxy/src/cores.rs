//! The cores: one thread each, pinned, started together or not at all.

use std::{
    net::TcpListener,
    num::NonZeroUsize,
    sync::{Arc, mpsc},
    thread::Builder,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use policy::{cache::Epochs, throttle::Table};
use runtime::{DriverChoice, DriverKind, Post};
use shard::{Endpoint, FrontLine, Gate, Message, Ready, Seat};
use snapshot::Snapshot;
use telemetry::log::LogSender;

use crate::{descriptors::Shares, say};

/// Buckets that the machine's table of limits holds.
const LIMIT_SLOTS: usize = 65_536;

/// Sockets that one reactor can hold.
const SOCKETS_MAX: usize = 1 << 24;

/// What all cores are given alike.
pub(crate) struct Plan {
    pub(crate) workers: usize,
    pub(crate) driver: DriverChoice,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) cache_bytes_max: u64,
    pub(crate) shares: Shares,
    pub(crate) listeners: usize,
    pub(crate) endpoints: Vec<(u32, Arc<[Endpoint]>)>,
    pub(crate) front_line: FrontLine,
}

/// The running cores.
pub(crate) struct Cores {
    pub(crate) posts: Vec<Post<Message>>,
    pub(crate) drivers: Vec<DriverKind>,
    /// Why the best driver does not run, if it does not.
    pub(crate) fell_back: Option<String>,
    pub(crate) limits: Arc<Table>,
    /// How many connections there are.
    pub(crate) gate: Arc<Gate>,
    pub(crate) epochs: Arc<Epochs>,
    ended: mpsc::Receiver<Ended>,
}

/// How a core ended; also told when it panics.
struct Ended {
    index: usize,
    how: Result<(), shard::Error>,
    whole: bool,
    tell: Option<mpsc::Sender<Ended>>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some(tell) = self.tell.take() {
            let how = std::mem::replace(&mut self.how, Ok(()));
            // Nobody hears it when the process ends by itself.
            drop(tell.send(Self { index: self.index, how, whole: self.whole, tell: None }));
        }
    }
}

impl Ended {
    fn reason(&self) -> Option<String> {
        match &self.how {
            Err(error) => Some(say::chain(error)),
            Ok(()) if !self.whole => Some(format!("core {} panicked", self.index)),
            Ok(()) => None,
        }
    }
}

/// Starts all cores and waits until each takes connections. `listeners` holds for each core its sockets.
pub(crate) fn start(plan: &Plan, listeners: Vec<Vec<TcpListener>>, logs: Vec<LogSender>) -> Result<Cores> {
    let limits = Arc::new(Table::new(LIMIT_SLOTS));
    let gate = Arc::new(Gate::new(plan.shares.clients, plan.listeners));
    let epochs = Arc::new(Epochs::new(plan.workers));
    let (met, meeting) = mpsc::channel();
    let (accepting, accepted) = mpsc::channel();
    let (ending, ended) = mpsc::channel();
    let mut tells = Vec::with_capacity(plan.workers);
    for (index, (listeners, log)) in listeners.into_iter().zip(logs).enumerate() {
        let (tell, told) = mpsc::channel::<Vec<Post<Message>>>();
        tells.push(tell);
        let seat = seat(plan, index, listeners, log, (&limits, &gate, &epochs));
        let (met, accepting, tell) = (met.clone(), accepting.clone(), Some(ending.clone()));
        let body = move || {
            let mut ended = Ended { index, how: Ok(()), whole: false, tell };
            let meet = move |ready: Ready| met.send(ready).ok().and_then(|()| told.recv().ok());
            let accepts = move || {
                // Nobody waits for it when another core has failed.
                let _heard = accepting.send(());
            };
            ended.how = shard::run(seat, meet, accepts);
            ended.whole = true;
        };
        let thread = Builder::new().name(format!("core-{index}")).spawn(body);
        thread.context("cannot start a thread for a core")?;
    }
    drop((met, accepting, ending));
    let mut ready: Vec<Ready> = meeting.iter().take(plan.workers).collect();
    if ready.len() < plan.workers {
        drop(tells);
        bail!("{}", why(&ended));
    }
    ready.sort_by_key(|ready| ready.index);
    let posts: Vec<_> = ready.iter().map(|ready| ready.post.clone()).collect();
    for tell in tells {
        // A core that is gone by now shows below: it never accepts.
        drop(tell.send(posts.clone()));
    }
    if accepted.iter().take(plan.workers).count() < plan.workers {
        bail!("{}", why(&ended));
    }
    let drivers = ready.iter().map(|ready| ready.driver).collect();
    let fell_back = ready.into_iter().find_map(|ready| ready.fell_back);
    Ok(Cores { posts, drivers, fell_back, limits, gate, epochs, ended })
}

fn seat(
    plan: &Plan,
    index: usize,
    listeners: Vec<TcpListener>,
    log: LogSender,
    (limits, gate, epochs): (&Arc<Table>, &Arc<Gate>, &Arc<Epochs>),
) -> Seat {
    let cpus = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    // With more cores than CPUs, or fewer, the kernel places them better than we do.
    let cpu = (plan.workers == cpus).then(|| nth_cpu(index)).flatten();
    let workers = plan.workers.max(1);
    // What is refused beyond the shares is accepted first.
    let sockets_max = plan.shares.clients + plan.shares.backends + plan.shares.backlog as usize;
    Seat {
        index,
        cores: plan.workers,
        runtime: runtime::Options {
            driver: plan.driver,
            cpu,
            sockets_max: sockets_max.clamp(1, SOCKETS_MAX),
            ..runtime::Options::default()
        },
        listeners,
        snapshot: plan.snapshot.clone(),
        limits: limits.clone(),
        cache_bytes_max: plan.cache_bytes_max / workers as u64,
        epochs: epochs.clone(),
        gate: gate.clone(),
        backends_max: (plan.shares.backends / workers).max(1),
        log,
        endpoints: plan.endpoints.clone(),
        front_line: plan.front_line.clone(),
    }
}

/// The n-th CPU on which this process may run: a container may have been given 4 to 7.
fn nth_cpu(index: usize) -> Option<usize> {
    let allowed = rustix::thread::sched_getaffinity(None).ok()?;
    (0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).nth(index)
}

/// What the threads that ended say of it.
fn why(ended: &mpsc::Receiver<Ended>) -> String {
    ended.iter().find_map(|ended| ended.reason()).unwrap_or_else(|| "a core ended while starting".to_owned())
}

impl Cores {
    /// Waits until all have ended, or one has failed: what it served nobody serves then, so the node ends. Meanwhile does
    /// `chores`, which say after what time they are to be done again.
    pub(crate) fn join(self, mut chores: impl FnMut() -> Duration) -> Result<()> {
        let mut rest = chores();
        loop {
            match self.ended.recv_timeout(rest) {
                Ok(ended) => {
                    if let Some(reason) = ended.reason() {
                        bail!("{reason}");
                    }
                }
                Err(mpsc::RecvTimeoutError::Timeout) => rest = chores(),
                Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }
}
