//! The gateway as a process: a configuration of its own, ports that the kernel chose, a state folder that goes with it.
//! What it needs of the binary is what an operator sees: `floodgate run FILE` and the lines it prints.

use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Arc, OnceLock},
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    PATIENCE,
    asking::Client,
    cgroup::Cgroup,
    client::Connection,
    h2,
    metrics::Metrics,
    process::{Ended, Process, eventually, rss_bytes},
    protocol::{Over, Protocol, over, to_backends_over_http2},
    response::Response,
    tools::{Curl, curl},
};

/// A running gateway. Dropping it ends it.
#[derive(Debug)]
pub struct Gateway {
    process: Process,
    /// Name, whether it speaks TLS, address.
    listeners: Vec<(String, bool, SocketAddr)>,
    admin: SocketAddr,
    folder: TempDir,
    builder: Builder,
}

/// A gateway that did not start.
#[derive(Debug)]
pub struct Refused {
    /// Its exit code.
    pub code: Option<i32>,
    /// What it said on standard output.
    pub stdout: String,
    /// What it said on standard error.
    pub stderr: String,
}

/// What a gateway is started with.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    config: String,
    node: String,
    listener: String,
    address: Option<SocketAddr>,
    workers: Option<usize>,
    tls: bool,
    bare: bool,
    /// Given in place of a file.
    flags: Vec<String>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    descriptors_max: Option<u32>,
    cgroup: Option<Arc<Cgroup>>,
    /// Capabilities that are taken from it.
    without: Vec<String>,
    /// A program that becomes the gateway, and its arguments.
    under: Vec<String>,
    /// A state folder that outlives it.
    state: Option<PathBuf>,
    /// Which protocols the test runs over.
    over: Over,
}

impl Gateway {
    /// One worker, a plain listener and an admin listener on free ports, and this configuration after them.
    #[track_caller]
    pub fn start(config: &str) -> Self {
        Self::with(config).start()
    }

    /// The same, with more to say.
    pub fn with(config: &str) -> Builder {
        Builder { config: config.to_owned(), over: over(), ..Builder::default() }
    }

    /// `floodgate run URL …`: a gateway from flags alone, one's own backend first.
    #[track_caller]
    pub fn from_flags(flags: &[&str]) -> Self {
        Self::with_flags(flags).start()
    }

    /// The same, with more to say.
    pub fn with_flags(flags: &[&str]) -> Builder {
        let over = over();
        // A document says itself how its backends are called.
        let is_url = flags.first().is_some_and(|first| first.contains("://"));
        let more = (over.backends == Protocol::Http2 && is_url).then_some("--http2");
        let flags = flags.iter().copied().chain(more).map(str::to_owned).collect();
        Builder { flags, over, ..Builder::default() }
    }

    /// The address of the first listener.
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        self.listeners.first().unwrap_or_else(|| panic!("no listener: {:?}", self.process.said())).2
    }

    /// The address of a listener.
    #[track_caller]
    pub fn listener(&self, name: &str) -> SocketAddr {
        let found = self.listeners.iter().find(|(listener, ..)| listener == name);
        found.unwrap_or_else(|| panic!("no listener {name}: {:?}", self.listeners)).2
    }

    /// The URL of a path at the first listener.
    #[track_caller]
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.listeners.first().is_some_and(|(_, tls, _)| *tls) { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.address())
    }

    /// A new connection to the first listener, over the protocol that the test runs over.
    #[track_caller]
    pub fn client(&self) -> Client {
        match self.builder.over.clients {
            Protocol::Http1 => Client::http1(self.connect()),
            Protocol::Http2 => Client::http2(self.connect_h2()),
        }
    }

    /// The same without TLS; `None`: it was turned away.
    pub fn try_client(&self) -> Option<Client> {
        match self.builder.over.clients {
            Protocol::Http1 => Connection::try_open(self.address()).map(Client::http1),
            Protocol::Http2 => h2::Connection::try_open(self.address()).map(Client::http2),
        }
    }

    /// A new connection to the first listener, for bytes of HTTP/1.1.
    #[track_caller]
    pub fn connect(&self) -> Connection {
        Connection::open(self.address())
    }

    /// A new connection to the first listener that speaks HTTP/2, by ALPN where it speaks TLS.
    #[track_caller]
    pub fn connect_h2(&self) -> h2::Connection {
        self.connect_h2_with(h2::Options::default())
    }

    /// The same with other settings.
    #[track_caller]
    pub fn connect_h2_with(&self, options: h2::Options) -> h2::Connection {
        let secure = self.listeners.first().is_some_and(|(_, tls, _)| *tls);
        let tls = options.tls.or_else(|| secure.then(|| "localhost".to_owned()));
        h2::Connection::open_with(self.address(), h2::Options { tls, ..options })
    }

    /// Asks on a new connection, over the protocol that the test runs over: `GET /path`, then `name: value` lines.
    #[track_caller]
    pub fn ask(&self, request: &str) -> Response {
        self.client().ask(request).response()
    }

    /// The same over HTTP/2, whatever the test runs over.
    #[track_caller]
    pub fn ask_h2(&self, request: &str) -> Response {
        self.connect_h2().ask(request).response()
    }

    /// Asks with a body.
    #[track_caller]
    pub fn ask_with_body(&self, request: &str, body: &[u8]) -> Response {
        self.client().ask_with_body(request, body).response()
    }

    /// Runs curl with these arguments for a path of the first listener, over the protocol that the test runs over.
    #[track_caller]
    pub fn curl(&self, arguments: &[&str], path: &str) -> Curl {
        curl(&[&[self.builder.over.clients.curl_flag()], arguments, &[&self.url(path)]].concat())
    }

    /// Sends these bytes on a new connection and gives back all that comes until the gateway ends it.
    #[track_caller]
    pub fn exchange_raw(&self, bytes: impl AsRef<[u8]>) -> Vec<u8> {
        let mut connection = self.connect();
        connection.try_send(bytes);
        connection.rest()
    }

    /// Asks the admin listener.
    #[track_caller]
    pub fn ask_admin(&self, request: &str) -> Response {
        // The admin listener answers only who names this machine.
        let request = if request.contains("host:") {
            request.to_owned()
        } else {
            format!("{request}\nhost: localhost")
        };
        Connection::open(self.admin).ask(&request).response()
    }

    /// A scrape.
    #[track_caller]
    pub fn metrics(&self) -> Metrics {
        let answer = self.ask_admin("GET /metrics");
        assert_eq!(answer.status, 200, "{}", answer.text());
        Metrics::parse(&answer.text()).unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// `floodgate metrics`, which asks by the Unix socket.
    #[track_caller]
    pub fn metrics_by_socket(&self) -> Metrics {
        let said = self.command(&["metrics"]);
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        Metrics::parse(&String::from_utf8_lossy(&said.stdout)).unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// Writes another configuration over the one it was started with; nothing is told to reload it.
    pub fn configure(&self, config: &str) {
        let builder = Builder { config: config.to_owned(), ..self.builder.clone() };
        builder.write(self.folder.path());
    }

    /// `floodgate reload`.
    #[track_caller]
    pub fn reload(&self) -> Output {
        self.command(&["reload"])
    }

    /// `floodgate flush`.
    #[track_caller]
    pub fn flush(&self) -> Output {
        self.command(&["flush"])
    }

    /// `floodgate ebpf …`, with the front line pinned here.
    #[track_caller]
    pub fn ebpf(&self, words: &[&str], pins: &Path) -> Output {
        let mut command = Command::new(gateway_binary());
        command.arg("ebpf").args(words).arg("--pins").arg(pins).arg("--state").arg(self.state(""));
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// `floodgate …`, said to the running gateway.
    #[track_caller]
    pub fn command(&self, words: &[&str]) -> Output {
        let mut command = Command::new(gateway_binary());
        command.args(words).arg("--socket").arg(self.socket()).env("USER", "ann").env_remove("SUDO_USER");
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// SIGHUP.
    pub fn hang_up(&self) {
        self.process.signal(Signal::HUP);
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.process.signal(Signal::KILL);
    }

    /// SIGSTOP, and waits until all of its threads stand still.
    #[track_caller]
    pub fn halt(&self) {
        self.process.signal(Signal::STOP);
        eventually("it stands still", || {
            let mut threads = fs::read_dir(format!("/proc/{}/task", self.pid())).ok()?;
            let is_still = |thread: fs::DirEntry| {
                // Its state comes behind its name, which is in brackets (proc_pid_stat(5)).
                let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
                stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
            };
            threads.all(|thread| thread.is_ok_and(is_still)).then_some(())
        });
    }

    /// SIGCONT.
    pub fn go_on(&self) {
        self.process.signal(Signal::CONT);
    }

    /// SIGTERM, without waiting for the end.
    pub fn ask_to_end(&self) {
        self.process.signal(Signal::TERM);
    }

    /// SIGTERM, and how it ended.
    #[track_caller]
    pub fn end(self) -> Ended {
        self.ask_to_end();
        self.wait()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(mut self) -> Ended {
        self.process.wait(PATIENCE)
    }

    /// Waits for a line on standard error that holds this text.
    #[track_caller]
    pub fn wait_for_line(&self, text: &str) -> String {
        let find = |lines: &[String]| lines.iter().find(|line| line.contains(text)).cloned();
        let found = self.process.wait_for_stderr(find);
        found.unwrap_or_else(|| panic!("never said {text:?}: {}", self.said()))
    }

    /// Everything it has said.
    pub fn said(&self) -> String {
        let (stdout, stderr) = self.process.said();
        format!("--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }

    /// Memory that it really takes.
    pub fn rss_bytes(&self) -> u64 {
        rss_bytes(self.process.pid())
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The Unix socket of its admin listener.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("admin.sock")
    }

    /// A file of its state folder.
    pub fn state(&self, file: &str) -> PathBuf {
        self.builder.state_folder(self.folder.path()).join(file)
    }

    /// Its configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("floodgate.toml")
    }

    /// Its own folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Builder {
    /// So many workers.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Its listener speaks TLS with the local authority's certificate.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// More lines of `[node]`.
    #[must_use]
    pub fn node(mut self, lines: &str) -> Self {
        self.node = lines.to_owned();
        self
    }

    /// More lines of the listener.
    #[must_use]
    pub fn listener(mut self, lines: &str) -> Self {
        self.listener = lines.to_owned();
        self
    }

    /// It listens where another one has listened before.
    #[must_use]
    pub fn at(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// The configuration is whole: nothing is put before it.
    #[must_use]
    pub fn bare(mut self) -> Self {
        self.bare = true;
        self
    }

    /// One more argument.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// One more variable of its environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// So few descriptors.
    #[must_use]
    pub fn descriptors_max(mut self, count: u32) -> Self {
        self.descriptors_max = Some(count);
        self
    }

    /// Without these of the administrator's capabilities, as setpriv(1) names them: `bpf`.
    #[must_use]
    pub fn without(mut self, capabilities: &[&str]) -> Self {
        self.without = capabilities.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// Started by this program, which becomes it, with these arguments before the gateway's own.
    #[must_use]
    pub fn under(mut self, words: &[&str]) -> Self {
        self.under = words.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// With this state folder, which others may have had before.
    #[must_use]
    pub fn state(mut self, folder: &Path) -> Self {
        self.state = Some(folder.to_owned());
        self
    }

    /// In this control group, which goes when the gateway and its maker have let it go.
    #[must_use]
    pub fn cgroup(mut self, cgroup: &Arc<Cgroup>) -> Self {
        self.cgroup = Some(cgroup.clone());
        self
    }

    /// Starts it and waits until it is ready.
    #[track_caller]
    pub fn start(self) -> Gateway {
        self.try_start().unwrap_or_else(|refused| panic!("the gateway did not start: {refused:#?}"))
    }

    /// Starts it and waits until it is ready or has given up.
    #[track_caller]
    pub fn try_start(self) -> Result<Gateway, Refused> {
        let folder = TempDir::new().unwrap_or_else(|error| panic!("no folder: {error}"));
        let file = self.write(folder.path());
        let mut process = Process::start(&mut self.command(&file));
        let Some(ready) = process.wait_for_stdout(Announced::read) else {
            let ended = process.wait(PATIENCE);
            return Err(Refused { code: ended.code, stdout: ended.stdout, stderr: ended.stderr });
        };
        let Announced { listeners, admin } = ready;
        let admin = admin.unwrap_or_else(|| panic!("no admin listener: {:?}", process.said()));
        Ok(Gateway { process, listeners, admin, folder, builder: self })
    }

    fn command(&self, file: &Path) -> Command {
        // Each program becomes the next.
        let mut words: Vec<PathBuf> = self.under.iter().map(PathBuf::from).collect();
        if let Some(count) = self.descriptors_max {
            words.extend(["prlimit".into(), format!("--nofile={count}").into()]);
        }
        if !self.without.is_empty() {
            let taken: Vec<String> = self.without.iter().map(|name| format!("-{name}")).collect();
            words.extend(["setpriv".into(), "--bounding-set".into(), taken.join(",").into()]);
        }
        words.push(gateway_binary().to_path_buf());
        let mut command = match &self.cgroup {
            None => Command::new(&words[0]),
            Some(cgroup) => cgroup.command(&words[0]),
        };
        command.args(&words[1..]);
        command.arg("run");
        if self.flags.is_empty() {
            command.arg(file);
        } else {
            let state = self.state_folder(file.parent().unwrap_or(file));
            command
                .args(&self.flags)
                .args(["--admin", "127.0.0.1:0", "--driver", &driver(), "--state"])
                .arg(state);
        }
        command.args(&self.arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    fn write(&self, folder: &Path) -> PathBuf {
        let file = folder.join("floodgate.toml");
        let config = match self.over.backends {
            Protocol::Http1 => self.config.clone(),
            Protocol::Http2 => to_backends_over_http2(&self.config),
        };
        let text = if self.bare { config } else { format!("{}\n{config}", self.prelude(folder)) };
        fs::write(&file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        file
    }

    fn state_folder(&self, folder: &Path) -> PathBuf {
        self.state.clone().unwrap_or_else(|| folder.join("state"))
    }

    fn prelude(&self, folder: &Path) -> String {
        let (state, socket) = (self.state_folder(folder), folder.join("admin.sock"));
        format!(
            "[node]\nworkers = {}\ndriver = \"{}\"\nstate = {state:?}\n{}\n\
             [admin]\nlisten = \"127.0.0.1:0\"\nsocket = {socket:?}\n\
             [[listener]]\nname = \"main\"\naddress = \"{}\"\nplain = {}\n{}\n",
            self.workers.unwrap_or(1),
            driver(),
            self.node,
            self.address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))),
            !self.tls,
            self.listener,
        )
    }
}

/// What the binary prints before it is ready.
#[derive(Default)]
struct Announced {
    listeners: Vec<(String, bool, SocketAddr)>,
    admin: Option<SocketAddr>,
}

impl Announced {
    /// `None` until the line that says ready.
    fn read(lines: &[String]) -> Option<Self> {
        let mut announced = Self::default();
        for line in lines.iter().filter_map(|line| line.strip_prefix("floodgate: ")) {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["ready", ..] => return Some(announced),
                ["listener", name, url, ..] => {
                    let tls = url.starts_with("https://");
                    announced.listeners.push((name.to_owned(), tls, address_of(url)?));
                }
                ["admin", url, ..] if url.starts_with("http://") => announced.admin = Some(address_of(url)?),
                _ => {}
            }
        }
        None
    }
}

fn address_of(url: &str) -> Option<SocketAddr> {
    url.split_once("://")?.1.trim_end_matches('/').parse().ok()
}

/// The driver that the tests run on.
pub fn driver() -> String {
    env::var("FLOODGATE_DRIVER").unwrap_or_else(|_| "auto".to_owned())
}

/// The gateway's binary: `FLOODGATE_BIN`, else the one that was built beside the tests, the optimised one first.
pub fn gateway_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(binary) = env::var_os("FLOODGATE_BIN") {
            return binary.into();
        }
        // target/debug/deps/main-0123456789abcdef
        let tests = env::current_exe().unwrap_or_default();
        let target = tests.ancestors().nth(3).map(Path::to_path_buf).unwrap_or_default();
        let places = ["release", "debug"].map(|profile| target.join(profile).join("floodgate"));
        let built = places.iter().find(|place| place.exists()).cloned();
        built.unwrap_or_else(|| {
            panic!("there is no {places:?}: `cargo build --release -p proxy`, or set FLOODGATE_BIN")
        })
    })
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // What it said is what a failed test is read by.
        if std::thread::panicking() {
            eprintln!("the gateway said:\n{}", self.said());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Announced;

    #[test]
    fn announcements_are_read() {
        let said = "floodgate: listener main https://127.0.0.1:8443\nfloodgate: admin http://127.0.0.1:9000\nfloodgate: ready\n";
        let lines: Vec<String> = said.lines().map(str::to_owned).collect();
        assert!(Announced::read(&lines[..2]).is_none());
        let announced = Announced::read(&lines).unwrap();
        assert_eq!(announced.listeners, [("main".to_owned(), true, "127.0.0.1:8443".parse().unwrap())]);
        assert_eq!(announced.admin, "127.0.0.1:9000".parse().ok());
    }
}
