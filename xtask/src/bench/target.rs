//! What is measured, as a process pinned to its core, and the backend behind it.

use std::{
    fmt, fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use super::machine::Site;
use crate::shell;

/// What our gateway's route that forwards belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    /// A plain route.
    Proxy,
    /// An HTTP API.
    Http,
    /// A REST API.
    Rest,
}

/// A gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Nginx,
    Haproxy,
    /// Ours, on this driver.
    Floodgate {
        binary: PathBuf,
        driver: String,
        api: Api,
    },
    /// The mini proxy on this runtime.
    Mini {
        binary: PathBuf,
        runtime: &'static str,
    },
}

impl Kind {
    /// As in the head of a table.
    pub(super) fn title(&self) -> &str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Floodgate { api: Api::Http, .. } => "HTTP API",
            Self::Floodgate { api: Api::Rest, .. } => "REST API",
            Self::Floodgate { driver, .. } if driver == "uring" => "io_uring",
            Self::Floodgate { driver, .. } => driver,
            Self::Mini { runtime: "uring", .. } => "ours, io_uring",
            Self::Mini { runtime: "epoll", .. } => "ours, epoll",
            Self::Mini { runtime, .. } => runtime,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nginx => f.write_str("nginx"),
            Self::Haproxy => f.write_str("haproxy"),
            Self::Floodgate { driver, api: Api::Proxy, .. } => write!(f, "floodgate {driver}"),
            Self::Floodgate { .. } => f.write_str(self.title()),
            Self::Mini { runtime, .. } => write!(f, "mini {runtime}"),
        }
    }
}

/// A process that ends when it is dropped.
pub(super) struct Running {
    child: Child,
    /// Where its output goes.
    said: PathBuf,
}

impl Running {
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // TERM, so that nginx' master takes its worker with it.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        }
        let deadline = Instant::now() + STOP_MAX;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const START_MAX: Duration = Duration::from_secs(10);
const STOP_MAX: Duration = Duration::from_secs(5);

/// The backends of all runs: nginx, and nghttpd for HTTP/2.
pub(super) fn start_backends(site: &Site) -> anyhow::Result<[Running; 2]> {
    let nginx = start_nginx(site, "nginx-backend.conf", site.cores.backend)?;
    let nginx = wait_for(nginx, site.backend)?;
    let mut command = pinned(site.cores.backend);
    command.arg(shell::which("nghttpd").context("nghttpd")?);
    command.args(["--no-tls", "--address=127.0.0.1", "--max-concurrent-streams=1000", "-d"]);
    command.arg(&site.folder).arg(site.backend_h2.to_string());
    let nghttpd = spawn(&mut command, &site.folder.join("nghttpd.said"))?;
    Ok([nginx, wait_for(nghttpd, site.backend_h2)?])
}

/// A gateway, fresh.
pub(super) fn start(kind: &Kind, site: &Site, tls: bool) -> anyhow::Result<Running> {
    let running = match kind {
        Kind::Nginx => {
            let _ = fs::remove_dir_all(site.folder.join("cache"));
            start_nginx(site, "nginx-proxy.conf", site.cores.gateway)?
        }
        Kind::Haproxy => {
            let config = configure(site, "haproxy.cfg")?;
            let mut command = pinned(site.cores.gateway);
            command.arg(shell::which("haproxy").context("haproxy")?).arg("-db").arg("-f").arg(config);
            spawn(&mut command, &site.folder.join("haproxy.said"))?
        }
        Kind::Floodgate { binary, driver, api } => start_floodgate(site, binary, driver, *api)?,
        Kind::Mini { binary, runtime } => {
            let mut command = pinned(site.cores.gateway);
            command.arg(binary).arg(runtime).args([site.port, site.backend].map(|port| port.to_string()));
            spawn(&mut command, &site.folder.join(format!("mini-{runtime}.said")))?
        }
    };
    let running = wait_for(running, site.port)?;
    if tls { wait_for(running, site.tls) } else { Ok(running) }
}

fn start_floodgate(site: &Site, binary: &Path, driver: &str, api: Api) -> anyhow::Result<Running> {
    let folder = site.folder.join(format!("floodgate-{driver}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let mut command = pinned(site.cores.gateway);
    command.arg(shell::root().join("benches/load/candidate"));
    command.args([site.port, site.tls, site.backend].map(|port| port.to_string()));
    command.arg(&site.certificate).arg(&site.key).arg("/dev/null").arg(&folder);
    command.env("FLOODGATE_DRIVER", driver).env("FLOODGATE_BIN", binary);
    let routes = format!("h:{} n:{}", site.backend_h2, site.backend_h2_nginx);
    command.env("FLOODGATE_BACKENDS_H2", routes);
    match api {
        Api::Proxy => command.env_remove("FLOODGATE_API"),
        Api::Http => command.env("FLOODGATE_API", "http"),
        Api::Rest => command.env("FLOODGATE_API", "rest"),
    };
    spawn(&mut command, &folder.join("said"))
}

fn start_nginx(site: &Site, name: &str, core: usize) -> anyhow::Result<Running> {
    let config = configure(site, name)?;
    let mut command = pinned(core);
    command.arg(shell::which("nginx").context("nginx")?);
    command.arg("-p").arg(&site.folder).arg("-c").arg(&config).arg("-e").arg(site.folder.join("nginx.log"));
    spawn(&mut command, &site.folder.join(format!("{name}.said")))
}

/// A file of `benches/load` with its names filled in.
fn configure(site: &Site, name: &str) -> anyhow::Result<PathBuf> {
    let text = fs::read_to_string(shell::root().join("benches/load").join(name))?;
    let filled = [
        ("@DIR@", site.folder.display().to_string()),
        ("@PORT@", site.port.to_string()),
        ("@TLS@", site.tls.to_string()),
        ("@BACKEND@", site.backend.to_string()),
        ("@BACKEND_H2@", site.backend_h2.to_string()),
        ("@BACKEND_H2_NGINX@", site.backend_h2_nginx.to_string()),
        ("@CERT@", site.certificate.display().to_string()),
        ("@KEY@", site.key.display().to_string()),
        ("@PAIR@", site.pair.display().to_string()),
        ("@1K@", "a".repeat(1 << 10)),
    ]
    .iter()
    .fold(text, |text, (name, value)| text.replace(name, value));
    let config = site.folder.join(name);
    fs::write(&config, filled)?;
    Ok(config)
}

fn pinned(core: usize) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]);
    command
}

fn spawn(command: &mut Command, said: &Path) -> anyhow::Result<Running> {
    let file = fs::File::create(said)?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let child = command.spawn().with_context(|| format!("{command:?}"))?;
    Ok(Running { child, said: said.to_path_buf() })
}

/// A foreign program tells nobody that it listens; connecting does.
fn wait_for(mut running: Running, port: u16) -> anyhow::Result<Running> {
    let deadline = Instant::now() + START_MAX;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if let Some(status) = running.child.try_wait()? {
            let said = fs::read_to_string(&running.said).unwrap_or_default();
            bail!("it ended with {status} before it listened, and said:\n{said}");
        }
        if Instant::now() > deadline {
            bail!("it does not listen after {START_MAX:?}");
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(running)
}
