//! Under a service manager: the test listens where systemd would (sd_notify(3)) and reads what it is told over a start, a
//! reload, a reload that is refused, a core that stands still, and a stop.

use std::{
    io::{BufRead, BufReader},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    process::{Child, Command, Stdio},
    time::Duration,
};

use harness::{Gateway, PATIENCE, program, skip};

/// What systemd is to the gateway.
struct Manager {
    socket: UnixDatagram,
    /// As `NOTIFY_SOCKET` says it.
    name: String,
}

impl Manager {
    /// At an abstract address, or at a path, as under `systemd --user` or in a container.
    fn new(name: &str, is_abstract: bool) -> Self {
        let (name, address) = if is_abstract {
            let name = format!("floodgate-{name}-{}", std::process::id());
            (format!("@{name}"), SocketAddr::from_abstract_name(name).unwrap())
        } else {
            (name.to_owned(), SocketAddr::from_pathname(name).unwrap())
        };
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, name }
    }

    /// The next datagram, its lines; `None`: nothing came in time.
    fn hear(&self) -> Option<Vec<String>> {
        let mut buffer = [0; 4_096];
        let length = self.socket.recv(&mut buffer).ok()?;
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        Some(text.lines().map(str::to_owned).collect())
    }

    /// The next datagram begins its lines with these. `WATCHDOG=1` may come at any time and is passed over.
    #[track_caller]
    fn check(&self, expected: &[&str]) -> Vec<String> {
        let mut heard = self.hear();
        while heard.as_ref().is_some_and(|heard| heard == &["WATCHDOG=1"]) {
            heard = self.hear();
        }
        let heard = heard.unwrap_or_else(|| panic!("nothing came in place of {expected:?}"));
        let same = heard.len() == expected.len()
            && heard.iter().zip(expected).all(|(heard, expected)| heard.starts_with(expected));
        assert!(same, "{heard:?} came in place of {expected:?}");
        heard
    }
}

fn mock(body: &str) -> String {
    format!("[[route]]\nmatch = \"GET /\"\nmock = {{ status = 200, body = \"{body}\" }}\n")
}

/// CLOCK_MONOTONIC of this moment, as /proc/uptime has it: boot time, the same while the machine does not sleep.
fn uptime_us() -> u64 {
    let text = std::fs::read_to_string("/proc/uptime").unwrap();
    let seconds: f64 = text.split(' ').next().unwrap().parse().unwrap();
    (seconds * 1e6) as u64
}

#[track_caller]
fn whole_life(manager: &Manager) {
    let gateway = Gateway::with(&mock("one")).workers(2).environment("NOTIFY_SOCKET", &manager.name).start();
    manager.check(&["READY=1", "STATUS=serving generation 1 on 2 cores"]);
    // It is not too early: every core accepts.
    assert_eq!(gateway.ask("GET /").text(), "one");

    gateway.configure(&mock("two"));
    let before_us = uptime_us();
    gateway.hang_up();
    let reloading = manager.check(&["RELOADING=1", "MONOTONIC_USEC=", "STATUS="]);
    let since_us: u64 = reloading[1].strip_prefix("MONOTONIC_USEC=").unwrap().parse().unwrap();
    // systemd takes it only if it is not before the SIGHUP; /proc/uptime has hundredths of a second.
    assert!(since_us + 10_000 >= before_us, "{since_us} {before_us}");
    manager.check(&["READY=1", "STATUS=serving generation 2 on 2 cores"]);
    assert_eq!(gateway.ask("GET /").text(), "two");

    gateway.configure("nonsense = true\n");
    gateway.hang_up();
    manager.check(&["RELOADING=1", "MONOTONIC_USEC=", "STATUS="]);
    manager.check(&[
        "READY=1",
        "STATUS=serving generation 2 on 2 cores; the last reload was refused, see the log",
    ]);
    assert_eq!(gateway.ask("GET /").text(), "two");

    gateway.ask_to_end();
    manager.check(&[
        "STOPPING=1",
        "EXTEND_TIMEOUT_USEC=40000000",
        "STATUS=draining: requests in flight have 30 s",
    ]);
    assert_eq!(gateway.wait().code, Some(0));
}

#[test]
fn a_manager_hears_of_start_reload_and_stop() {
    let folder = tempfile::tempdir().unwrap();
    whole_life(&Manager::new(folder.path().join("notify").to_str().unwrap(), false));
    whole_life(&Manager::new("life", true));
}

#[test]
fn a_manager_hears_why_it_did_not_start() {
    let manager = Manager::new("refused", true);
    let started = Gateway::with("nonsense = true\n").environment("NOTIFY_SOCKET", &manager.name).try_start();
    assert_eq!(started.err().unwrap().code, Some(2));
    manager.check(&["STATUS=the configuration was refused: error: unknown key `nonsense`"]);
}

/// A manager that is gone or was never there is no reason not to serve.
#[test]
fn a_manager_that_does_not_listen_stops_nothing() {
    let gateway = Gateway::with(&mock("served")).environment("NOTIFY_SOCKET", "/nowhere/notify").start();
    gateway.wait_for_line("the service manager can't be told about this node");
    assert_eq!(gateway.ask("GET /").text(), "served");
}

/// One thread of a process, held still as no signal can: by the kernel's debugging door. Dropping it lets it go.
pub(crate) struct Held(Child);

impl Held {
    /// PTRACE_SEIZE, then PTRACE_INTERRUPT, then a wait until it stands.
    const SCRIPT: &str = "
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
thread = int(sys.argv[1])
for request in (0x4206, 0x4207):
    if libc.ptrace(request, thread, None, None) != 0:
        print(os.strerror(ctypes.get_errno()), flush=True)
        sys.exit(1)
os.waitpid(thread, 0x40000000)
print('held', flush=True)
sys.stdin.read()
";

    /// `Err`: why this machine does not allow it.
    pub(crate) fn new(process: u32, name: &str) -> Result<Self, String> {
        let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
        let thread = tasks
            .map(|task| task.unwrap().path())
            .find(|task| std::fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name))
            .unwrap_or_else(|| panic!("no thread {name}"));
        let mut child = Command::new(program("python3"))
            .args(["-c", Self::SCRIPT, thread.file_name().unwrap().to_str().unwrap()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let held = Self(child);
        if said.trim() == "held" { Ok(held) } else { Err(said.trim().to_owned()) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let ended = self.0.wait();
        assert!(ended.is_ok() || std::thread::panicking(), "{ended:?}");
    }
}

#[test]
fn the_watchdog_is_fed_while_every_core_turns() {
    /// Long enough for a busy machine to answer in half of it.
    const WATCHDOG: Duration = Duration::from_secs(2);
    let manager = Manager::new("watchdog", true);
    let gateway = Gateway::with(&mock("served"))
        .workers(2)
        .environment("NOTIFY_SOCKET", &manager.name)
        .environment("WATCHDOG_USEC", &WATCHDOG.as_micros().to_string())
        .start();
    manager.check(&["READY=1", "STATUS="]);
    for _ in 0..3 {
        assert_eq!(manager.hear().unwrap(), ["WATCHDOG=1"]);
    }
    let held = match Held::new(gateway.pid(), "core-1") {
        Ok(held) => held,
        Err(why) => return skip("the_watchdog_is_fed_while_every_core_turns", &why),
    };
    // It is fed until the core has left a letter lie for half of the time, and from then on not at all.
    manager.check(&["STATUS=core 1 has not turned for "]);
    manager.socket.set_read_timeout(Some(WATCHDOG)).unwrap();
    assert_eq!(manager.hear(), None, "it was fed while a core stood still");
    // Everything else goes on: it is the manager's to decide what becomes of it.
    assert_eq!(gateway.ask_admin("GET /healthz").status, 200);
    manager.socket.set_read_timeout(Some(PATIENCE)).unwrap();
    drop(held);
    manager.check(&["STATUS=serving generation 1 on 2 cores"]);
    assert_eq!(manager.hear().unwrap(), ["WATCHDOG=1"]);
    assert_eq!(gateway.end().code, Some(0));
}

/// `WATCHDOG_PID` names another process: the one that started us has kept the watchdog to itself.
#[test]
fn a_watchdog_of_another_process_is_not_fed() {
    let manager = Manager::new("other", true);
    let gateway = Gateway::with(&mock("served"))
        .environment("NOTIFY_SOCKET", &manager.name)
        .environment("WATCHDOG_USEC", "20000")
        .environment("WATCHDOG_PID", "1")
        .start();
    manager.check(&["READY=1", "STATUS="]);
    manager.socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert_eq!(manager.hear(), None);
    assert_eq!(gateway.end().code, Some(0));
}
