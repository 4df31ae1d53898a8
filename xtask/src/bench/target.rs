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

/// A gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Nginx,
    /// Ours, on this driver.
    Floodgate(String),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nginx => f.write_str("nginx"),
            Self::Floodgate(driver) => write!(f, "floodgate {driver}"),
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

/// The core of the gateway that is measured, and that of everything else.
const CORE: &str = "1";
pub(super) const LOAD_CORE: &str = "0";
const START_MAX: Duration = Duration::from_secs(10);
const STOP_MAX: Duration = Duration::from_secs(5);

/// The backend of all runs.
pub(super) fn start_backend(site: &Site) -> anyhow::Result<Running> {
    let running = start_nginx(site, "nginx-backend.conf", LOAD_CORE)?;
    wait_for(running, site.backend)
}

/// A gateway, fresh.
pub(super) fn start(kind: &Kind, site: &Site) -> anyhow::Result<Running> {
    let running = match kind {
        Kind::Nginx => {
            let _ = fs::remove_dir_all(site.folder.join("cache"));
            start_nginx(site, "nginx-proxy.conf", CORE)?
        }
        Kind::Floodgate(driver) => start_floodgate(site, driver)?,
    };
    let running = wait_for(running, site.port)?;
    wait_for(running, site.tls)
}

fn start_floodgate(site: &Site, driver: &str) -> anyhow::Result<Running> {
    let folder = site.folder.join(format!("floodgate-{driver}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let mut command = Command::new("taskset");
    command.args(["-c", CORE]).arg(shell::root().join("benches/load/candidate"));
    command.args([site.port, site.tls, site.backend].map(|port| port.to_string()));
    command.arg(&site.certificate).arg(&site.key).arg("/dev/null").arg(&folder);
    command.env("FLOODGATE_DRIVER", driver);
    command.env("FLOODGATE_BIN", &site.gateway);
    spawn(&mut command, &folder.join("said"))
}

fn start_nginx(site: &Site, name: &str, core: &str) -> anyhow::Result<Running> {
    let text = fs::read_to_string(shell::root().join("benches/load").join(name))?;
    let filled = [
        ("@DIR@", site.folder.display().to_string()),
        ("@PORT@", site.port.to_string()),
        ("@TLS@", site.tls.to_string()),
        ("@BACKEND@", site.backend.to_string()),
        ("@CERT@", site.certificate.display().to_string()),
        ("@KEY@", site.key.display().to_string()),
    ]
    .iter()
    .fold(text, |text, (name, value)| text.replace(name, value));
    let config = site.folder.join(name);
    fs::write(&config, filled)?;
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(shell::which("nginx").context("nginx")?);
    command.arg("-p").arg(&site.folder).arg("-c").arg(&config).arg("-e").arg(site.folder.join("nginx.log"));
    spawn(&mut command, &site.folder.join(format!("{name}.said")))
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
