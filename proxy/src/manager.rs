//! What the service manager is told, and whether it wants to be told: systemd's protocol of sd_notify(3), a few lines over a
//! Unix datagram socket. It does not know what happens in the node; who does says it here in one word and a line of
//! text. Without a manager (`NOTIFY_SOCKET` is not set) every call does nothing.

use std::{
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};

use crate::say;

/// How long a word may wait for room in the manager's queue. Nobody's request waits for it.
const SEND_MAX: Duration = Duration::from_secs(1);

/// What a stop may take beyond the drain: the last log lines, the end of the control thread.
const STOP_SLACK: Duration = Duration::from_secs(10);

/// The longest status line, bytes; a datagram of the manager holds 4,096.
const STATUS_BYTES_MAX: usize = 1_024;

/// The service manager, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Manager {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
    /// That it can't be told is said once.
    failed: AtomicBool,
}

/// What the environment says (sd_notify(3), sd_watchdog_enabled(3)).
#[derive(Clone, Copy, Debug, Default)]
struct Environment<'a> {
    notify_socket: Option<&'a OsStr>,
    watchdog_usec: Option<&'a OsStr>,
    watchdog_pid: Option<&'a OsStr>,
    pid: u32,
}

impl Manager {
    /// The one that started this process.
    pub(crate) fn from_environment() -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let (socket, usec, pid) =
            (variable("NOTIFY_SOCKET"), variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"));
        let environment = Environment {
            notify_socket: socket.as_deref(),
            watchdog_usec: usec.as_deref(),
            watchdog_pid: pid.as_deref(),
            pid: std::process::id(),
        };
        Self::new(environment).unwrap_or_else(|error| {
            say::warning(&format!(
                "the service manager that started this node can't be told about it: {error}"
            ));
            Self::default()
        })
    }

    fn new(environment: Environment<'_>) -> io::Result<Self> {
        let Some(socket) = environment.notify_socket else { return Ok(Self::default()) };
        let address = address(socket)?;
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(SEND_MAX))?;
        let watchdog = watchdog(environment)?;
        Ok(Self { socket: Some((socket, address)), watchdog, failed: AtomicBool::new(false) })
    }

    /// Within which time the manager wants to hear [`Manager::feed`] again and again, if it does.
    pub(crate) fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// One line for the operator: `systemctl status` shows it.
    pub(crate) fn status(&self, text: &str) {
        self.tell(&format!("STATUS={}", line(text)));
    }

    /// Requests are served, from now on or as before.
    pub(crate) fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={}", line(status)));
    }

    /// The configuration is read again; [`Manager::ready`] follows, however that ends.
    pub(crate) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let usec = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={usec}\nSTATUS=reading the configuration again"));
    }

    /// The node ends; requests in flight have so long.
    pub(crate) fn stopping(&self, drain: Duration, status: &str) {
        // The manager kills a service that takes longer than its unit allows; the node's own bound may be longer.
        let usec = (drain + STOP_SLACK).as_micros();
        self.tell(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={usec}\nSTATUS={}", line(status)));
    }

    /// All is well: the watchdog waits anew.
    pub(crate) fn feed(&self) {
        self.tell("WATCHDOG=1");
    }

    fn tell(&self, words: &str) {
        let Some((socket, address)) = &self.socket else { return };
        if let Err(error) = socket.send_to_addr(words.as_bytes(), address)
            && !self.failed.swap(true, Ordering::Relaxed)
        {
            say::warning(&format!("the service manager can't be told about this node: {error}"));
        }
    }
}

/// `/run/systemd/notify`, or `@name` for an abstract address.
fn address(socket: &OsStr) -> io::Result<SocketAddr> {
    match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(socket),
        _ => Err(invalid(&format!("NOTIFY_SOCKET={} is neither a path nor @name", socket.display()))),
    }
}

/// Set, and meant for this process and not for one that started it.
fn watchdog(environment: Environment<'_>) -> io::Result<Option<Duration>> {
    let number = |name: &str, value: Option<&OsStr>| {
        let parse = |value: &OsStr| {
            let number = value.to_str().and_then(|value| value.parse::<u64>().ok());
            number.ok_or_else(|| invalid(&format!("{name}={} is no number", value.display())))
        };
        value.map(parse).transpose()
    };
    let pid = number("WATCHDOG_PID", environment.watchdog_pid)?;
    let usec = number("WATCHDOG_USEC", environment.watchdog_usec)?;
    let ours = pid.is_none_or(|pid| pid == u64::from(environment.pid));
    Ok(usec.filter(|usec| ours && *usec > 0).map(Duration::from_micros))
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// A status is one line; another line would be another variable.
fn line(text: &str) -> &str {
    let first = text.lines().next().unwrap_or_default();
    &first[..first.floor_char_boundary(STATUS_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A manager that listens at `name`, and what it hears of `say`.
    #[track_caller]
    fn check(name: &str, say: impl FnOnce(&Manager), expected: &[&str]) {
        let listener = UnixDatagram::bind_addr(&address(OsStr::new(name)).unwrap()).unwrap();
        listener.set_nonblocking(true).unwrap();
        let environment = Environment { notify_socket: Some(OsStr::new(name)), ..Environment::default() };
        say(&Manager::new(environment).unwrap());
        for expected in expected {
            let mut buffer = [0; 4_096];
            let length = listener.recv(&mut buffer).unwrap();
            assert_eq!(std::str::from_utf8(&buffer[..length]).unwrap(), *expected);
        }
        assert!(listener.recv(&mut [0; 1]).is_err(), "it has said more");
    }

    #[test]
    fn words_arrive_at_paths_and_abstract_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let abstract_name = format!("@floodgate-test-{}", std::process::id());
        for name in [path.to_str().unwrap(), &abstract_name] {
            check(name, |manager| manager.ready("serving"), &["READY=1\nSTATUS=serving"]);
            if name.starts_with('/') {
                std::fs::remove_file(name).unwrap();
            }
        }
        let end = |manager: &Manager| {
            manager.feed();
            manager.stopping(Duration::from_secs(30), "draining");
        };
        let expected = ["WATCHDOG=1", "STOPPING=1\nEXTEND_TIMEOUT_USEC=40000000\nSTATUS=draining"];
        check(&abstract_name, end, &expected);
    }

    /// What a status says must not become another word.
    #[test]
    fn a_status_is_one_short_line() {
        assert_eq!(line("refused\nWATCHDOG=trigger"), "refused");
        assert_eq!(line(&"é".repeat(2_000)).len(), STATUS_BYTES_MAX);
        assert_eq!(line(""), "");
    }

    /// systemd compares it with its own CLOCK_MONOTONIC.
    #[test]
    fn a_reload_says_when_it_began() {
        let listener_name = format!("@floodgate-test-reload-{}", std::process::id());
        let listener = UnixDatagram::bind_addr(&address(OsStr::new(&listener_name)).unwrap()).unwrap();
        let environment =
            Environment { notify_socket: Some(OsStr::new(&listener_name)), ..Environment::default() };
        let before = clock_gettime(ClockId::Monotonic);
        Manager::new(environment).unwrap().reloading();
        let mut buffer = [0; 256];
        let length = listener.recv(&mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        let (_, usec) = text.split_once("MONOTONIC_USEC=").unwrap();
        let usec: i64 = usec.lines().next().unwrap().parse().unwrap();
        let since_us = usec - (before.tv_sec * 1_000_000 + before.tv_nsec / 1_000);
        assert!(text.starts_with("RELOADING=1\n") && (0..10_000_000).contains(&since_us), "{text}");
    }

    #[test]
    fn a_watchdog_is_for_the_process_it_names() {
        #[track_caller]
        fn check(usec: &str, pid: &str, expected: Option<Option<u64>>) {
            let value = |text| Some(OsStr::new(text)).filter(|text: &&OsStr| !text.is_empty());
            let environment = Environment {
                notify_socket: None,
                watchdog_usec: value(usec),
                watchdog_pid: value(pid),
                pid: 42,
            };
            let expected = expected.map(|usec| usec.map(Duration::from_micros));
            assert_eq!(watchdog(environment).ok(), expected, "{usec} {pid}");
        }
        check("", "", Some(None));
        check("3000000", "", Some(Some(3_000_000)));
        check("3000000", "42", Some(Some(3_000_000)));
        check("3000000", "43", Some(None));
        check("0", "42", Some(None));
        check("soon", "42", None);
        check("3000000", "-1", None);
    }

    #[test]
    fn an_address_is_a_path_or_an_abstract_name() {
        for bad in ["notify", "vsock:2:1234", &format!("@{}", "n".repeat(200))] {
            let environment = Environment { notify_socket: Some(OsStr::new(bad)), ..Environment::default() };
            assert!(Manager::new(environment).is_err(), "{bad}");
        }
        let nobody = Manager::new(Environment::default()).unwrap();
        nobody.ready("heard by nobody");
        assert!(!nobody.failed.load(Ordering::Relaxed));
    }
}
