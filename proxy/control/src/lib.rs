//! The control thread: everything a node does beside serving. It answers the operator (metrics, health, reload,
//! flush), obeys signals, resolves the names of backends and runs the demo backend, on one tokio runtime on one thread
//! of its own. It knows no core, no configuration and no snapshot: what it is asked for it fetches through [`Doors`].

mod admin;
pub mod client;
mod demo;
mod error;
mod names;
mod server;
mod signals;
mod socket;

use std::{
    fmt,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use tokio::sync::watch;

pub use error::Error;
pub use names::{FirstAnswers, Publish, Resolver, Target, Unresolved, Watch};

/// Calls into [`Doors`] that may run at once: a scrape must not wait for a reload.
const BLOCKING_THREADS_MAX: usize = 4;
/// How long an end waits for answers that are being written, and for a door that is being called.
const END_WITHIN: Duration = Duration::from_secs(1);

/// Where the control thread listens and whom it asks.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The admin socket. Its folder is made, mode 0700, if there is none.
    pub socket: PathBuf,
    /// The admin listener on TCP; a loopback address.
    pub listen: Option<SocketAddr>,
    /// The demo backend; a loopback address.
    pub demo: Option<SocketAddr>,
    /// Name servers; empty: those of `/etc/resolv.conf`.
    pub name_servers: Vec<SocketAddr>,
    /// How often [`Doors::beat`] is called; `None`: never.
    pub beat: Option<Duration>,
}

/// What the rest of the process does when the control thread asks. All but `ready`, `progress`, `stop`, `say` and `beat` are
/// called on a thread of their own and may block; those five are called on the control thread and must not.
pub trait Doors: Send + Sync + 'static {
    /// The page of metrics.
    fn scrape(&self) -> String;
    /// Whether new requests are welcome.
    fn ready(&self) -> Readiness;
    /// Reads the configuration again and puts it into force. Never called twice at once.
    ///
    /// # Errors
    /// Why it was refused: diagnostics as the operator shall read them. Nothing has changed then.
    fn reload(&self) -> Result<Reloaded, String>;
    /// Does what is asked of deployments, or answers it; what is asked and what is answered are JSON. Never called twice at once, nor
    /// beside a reload.
    ///
    /// # Errors
    /// Why it was refused, as the operator shall read it. Nothing has changed then.
    fn deployments(&self, asked: &str) -> Result<String, String>;
    /// How far the change is that is being made, or the question that takes as long, as JSON; `null` if there is none.
    fn progress(&self) -> String;
    /// Drops every cached response (row 88).
    fn flush_cache(&self);
    /// Opens log files again under their names.
    fn reopen_logs(&self);
    /// Ends the process.
    fn stop(&self, how: Stop);
    /// Time has passed: a look at whether all is well. Not called any more when the control thread stands still.
    fn beat(&self);
    /// Tells the operator one thing, in one line or several, on standard error.
    fn say(&self, text: &str);
}

/// Whether new requests are welcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Every core accepts.
    Ready,
    /// Not now, and why: `starting`, `draining`.
    Not(&'static str),
}

/// A configuration was put into force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// Its number.
    pub generation: u64,
    /// What the operator should know, lines; empty if there is nothing.
    pub notes: String,
}

impl fmt::Display for Reloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "generation {}", self.generation)?;
        match self.notes.trim_end() {
            "" => Ok(()),
            notes => write!(f, "\n{notes}"),
        }
    }
}

/// How to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Accept no more, finish what has begun.
    Drain,
    /// At once; said by a second signal.
    Now,
}

/// The running control thread.
pub struct Control {
    resolver: Resolver,
    listen: Option<SocketAddr>,
    demo: Option<SocketAddr>,
    end: watch::Sender<bool>,
    thread: thread::JoinHandle<()>,
}

/// Binds, starts the thread, takes over the signals SIGTERM, SIGINT and SIGHUP, and returns when all of that has
/// worked: what is occupied or forbidden is an error here and not a surprise later.
///
/// # Errors
/// See [`Error`]; each is one clear line.
pub fn start(settings: Settings, doors: Arc<dyn Doors>) -> Result<Control, Error> {
    let unix = socket::bind_unix(&settings.socket)?;
    let tcp =
        settings.listen.map(|address| socket::bind_loopback("the admin listener", address)).transpose()?;
    let demo = settings.demo.map(|address| socket::bind_loopback("the demo backend", address)).transpose()?;
    let address =
        |listener: &Option<std::net::TcpListener>| listener.as_ref().map(|l| l.local_addr()).transpose();
    let (listen_address, demo_address) =
        (address(&tcp).map_err(Error::Runtime)?, address(&demo).map_err(Error::Runtime)?);

    let (end, ended) = watch::channel(false);
    let (resolver, keeper) = names::resolver(settings.name_servers, Arc::clone(&doors));
    let (report, started) = mpsc::sync_channel(1);
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return drop(report.send(Err(Error::Runtime(error)))),
        };
        let listeners = server::Listeners { unix, tcp, demo };
        runtime.block_on(async {
            let beats = beats(settings.beat, Arc::clone(&doors));
            let asked = admin::Asked::new(doors);
            let begun = server::begin(listeners, &asked, &ended)
                .and_then(|servers| Ok((servers, signals::take(asked.clone())?)));
            match begun {
                Ok((servers, signals)) => {
                    drop(report.send(Ok(())));
                    // Reached by the end alone: the others go on for ever.
                    tokio::select! {
                        () = servers => {}
                        () = signals => {}
                        () = keeper.run() => {}
                        () = beats => {}
                    }
                }
                Err(error) => drop(report.send(Err(error))),
            }
        });
        runtime.shutdown_timeout(END_WITHIN);
    };
    let thread = thread::Builder::new().name("control".into()).spawn(run).map_err(Error::Runtime)?;
    match started.recv() {
        Ok(Ok(())) => Ok(Control { resolver, listen: listen_address, demo: demo_address, end, thread }),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(Error::Died),
    }
}

/// Calls [`Doors::beat`] again and again. A beat that was missed is not made up for.
async fn beats(every: Option<Duration>, doors: Arc<dyn Doors>) {
    let Some(every) = every else { return std::future::pending().await };
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        doors.beat();
    }
}

impl Control {
    /// Resolves the names of backends.
    pub fn resolver(&self) -> Resolver {
        self.resolver.clone()
    }

    /// Where the admin listener on TCP listens, its port chosen.
    pub fn listen_address(&self) -> Option<SocketAddr> {
        self.listen
    }

    /// Where the demo backend listens, its port chosen.
    pub fn demo_address(&self) -> Option<SocketAddr> {
        self.demo
    }

    /// Ends the thread: no new calls, the ones being answered have a second. Removes the admin socket.
    pub fn stop(self) {
        self.end.send_replace(true);
        if self.thread.join().is_err() {
            // It has said so itself, as any panic does; the process is ending.
        }
    }
}

#[cfg(test)]
mod tests;
