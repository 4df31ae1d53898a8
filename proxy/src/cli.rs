//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

/// Amazon API Gateway for your own Linux edge nodes.
#[derive(Debug, Parser)]
#[command(
    name = "floodgate",
    version,
    about,
    max_term_width = 100,
    after_help = "Without a command, floodgate runs the first of ./floodgate.toml, ./config/floodgate.toml and \
                  /etc/floodgate/floodgate.toml."
)]
pub(crate) struct Cli {
    /// What to do; `run` if nothing is said.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a gateway from a configuration file, or in front of one backend: `floodgate run http://127.0.0.1:8080`
    Run(Box<Run>),
    /// Check a configuration: every mistake with its place and the fix; nothing is started
    Check {
        /// The file; by default the one that `run` would take
        file: Option<PathBuf>,
        /// Where certificates and the lock live
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
    },
    /// Lay a configuration out anew: spaces, blank lines, long arrays; comments and values stay as they are
    Fmt {
        /// The file; by default the one that `run` would take
        file: Option<PathBuf>,
        /// Change nothing: show the lines that would change, and exit with 1 if there are any
        #[arg(long)]
        check: bool,
    },
    /// Show the whole configuration as one file: includes joined, defaults written out, no secret resolved
    Dump {
        /// The file; by default the one that `run` would take
        file: Option<PathBuf>,
        /// Say behind each line where it was said: `# file:line`, or `# default`
        #[arg(long)]
        origin: bool,
    },
    /// Show what may be written as JSON Schema, for editors
    Schema,
    /// Make the running node read its configuration again; refused whole if anything in it is wrong
    Reload(Socket),
    /// Forget all cached responses of the running node
    Flush(Socket),
    /// Show the running node's metrics in Prometheus' text format
    Metrics(Socket),
    /// The kernel front line: how it stands, new rules, sources to hold back or to let pass (needs root)
    #[command(subcommand)]
    Ebpf(Ebpf),
    /// Say how to trust the certificate authority that this node made for itself, or install it
    Trust {
        /// Install it into this system's trust store (needs root)
        #[arg(long)]
        install: bool,
        /// Where certificates live
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
    },
}

/// `floodgate ebpf`.
#[derive(Debug, Subcommand)]
pub(crate) enum Ebpf {
    /// Show what is attached where, which rules hold, what was counted, who is held back
    Status(FrontLine),
    /// Attach what a configuration says, without a gateway: three seconds later everything passes until one runs
    Attach {
        /// The file; by default the one that `run` would take
        file: Option<PathBuf>,
        /// Where it is kept which rules were committed [default: as of `run`]
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
    },
    /// Take everything of it off and away, whatever is left of it and whether a gateway runs or not
    Detach(FrontLine),
    /// Keep the rules that are on trial
    Commit(FrontLine),
    /// Let nothing of a prefix pass but established connections, for a while; never the allow list, admin ports or loopback
    Block {
        /// An address or a prefix, such as 192.0.2.7 or 2001:db8::/48
        prefix: String,
        /// For how long, such as 90s, 10m or 2h
        #[arg(long = "for", value_name = "TIME", default_value = "1h")]
        lasts: String,
        #[command(flatten)]
        front_line: FrontLine,
    },
    /// Let everything of a prefix pass until the rules change, and end what holds it back
    Allow {
        /// An address or a prefix, such as 192.0.2.7 or 2001:db8::/48
        prefix: String,
        #[command(flatten)]
        front_line: FrontLine,
    },
}

/// Which front line.
#[derive(Debug, Args)]
pub(crate) struct FrontLine {
    /// Where its programs and tables are pinned (`[ebpf] pins`)
    #[arg(long, value_name = "DIR", default_value = "/sys/fs/bpf/floodgate")]
    pub(crate) pins: PathBuf,
    /// Where it is kept which rules were committed: the gateway's state folder [default: as of `run`]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
}

/// `floodgate run`.
#[derive(Debug, Default, Args)]
pub(crate) struct Run {
    /// A configuration file, or the URL of one backend to put a whole gateway in front of
    #[arg(value_name = "FILE|URL")]
    pub(crate) what: Option<String>,
    /// Address to listen on [default: 127.0.0.1:8443, with --plain 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", help_heading = "In front of one backend")]
    pub(crate) listen: Option<SocketAddr>,
    /// A listener without TLS
    #[arg(long, help_heading = "In front of one backend")]
    pub(crate) plain: bool,
    /// Call the backend over HTTP/2: by ALPN if its URL is https://, else by prior knowledge
    #[arg(long, help_heading = "In front of one backend")]
    pub(crate) http2: bool,
    /// Requests that each client may make (an IPv4 address or an IPv6 /64), such as 100/s or 30/m
    #[arg(long, value_name = "RATE", help_heading = "In front of one backend")]
    pub(crate) rate: Option<String>,
    /// Requests that each client may make at once [default: as many as RATE has a second]
    #[arg(long, value_name = "N", help_heading = "In front of one backend")]
    pub(crate) burst: Option<u32>,
    /// Keep responses to GET for so long, such as 60s, or as the backend says: respect-origin
    #[arg(long, value_name = "TTL", help_heading = "In front of one backend")]
    pub(crate) cache: Option<String>,
    /// Loopback address for metrics and health beside the Unix socket, such as 127.0.0.1:9901
    #[arg(long, value_name = "ADDR", help_heading = "In front of one backend")]
    pub(crate) admin: Option<String>,
    /// Network interface where the kernel counts who begins how many connections; what is above a limit passes (needs
    /// root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON)
    #[arg(long, value_name = "IFACE", help_heading = "In front of one backend")]
    pub(crate) xdp: Option<String>,
    /// Cores that serve [default: all]
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<usize>,
    /// How the kernel is asked: auto, uring or epoll [default: auto]
    #[arg(long, value_name = "DRIVER")]
    pub(crate) driver: Option<String>,
    /// If the configuration is refused, run the last one that was in force with this state folder
    #[arg(long)]
    pub(crate) last_good: bool,
    /// Where certificates, the last good configuration and the lock live [default: /var/lib/floodgate, else
    /// $XDG_STATE_HOME/floodgate]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
}

/// Which running node.
#[derive(Debug, Args)]
pub(crate) struct Socket {
    /// Its admin socket [default: /run/floodgate/admin.sock, else $XDG_RUNTIME_DIR/floodgate/admin.sock]
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
}
