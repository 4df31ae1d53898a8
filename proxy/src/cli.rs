//! The command line.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

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
    /// Run a gateway from a configuration file, from an OpenAPI document, or in front of one backend: `floodgate run
    /// http://127.0.0.1:8080`
    Run(Box<Run>),
    /// Check a configuration or an OpenAPI document: every mistake with its place and the fix; nothing is started
    Check {
        /// The file; by default the one that `run` would take
        file: Option<PathBuf>,
        /// Where certificates and the lock live
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
        #[command(flatten)]
        document: Document,
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
    /// Write an OpenAPI document, or a SAM, CloudFormation or serverless.yml template, as TOML for a configuration; on standard error, what came over, what did not, and why
    Import(Box<Import>),
    /// Write an API of a configuration, or a stage as it is deployed, as an OpenAPI document; on standard error, what OpenAPI has no words for
    Export(Box<Export>),
    /// Say what would become of a request and why, without asking anybody: which route takes it and why no other does, what runs in
    /// order, what templates render, what a backend would be sent
    Explain(Box<Explain>),
    /// Show what may be written as JSON Schema, for editors
    Schema,
    /// Make the running node read its configuration again; refused whole if anything in it is wrong
    Reload(Socket),
    /// Make the running node read its configuration or document again and deploy it: freeze what APIs are now and point their stages to that, or, with a canary, a part
    /// of their requests. Prints API, stage and the deployment's id
    Deploy {
        #[command(flatten)]
        of: OfStages,
        /// What it is, for people
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// Of how many of a hundred requests: 0.0 to 100.0, each drawn by itself
        #[arg(long, value_name = "PERCENT")]
        canary: Option<f64>,
        #[command(flatten)]
        socket: Socket,
    },
    /// Show what is different between what runs and the file, a deployment and the file, or two deployments; exits with 1 if anything is
    Diff {
        #[command(flatten)]
        of: OfStages,
        /// A deployment's id; left out: what each stage runs
        from: Option<String>,
        /// A deployment's id; left out: the file as it is now
        to: Option<String>,
        #[command(flatten)]
        socket: Socket,
    },
    /// Show what stages run, and what was deployed, rolled back, shifted and promoted, by whom and when
    History {
        #[command(flatten)]
        of: OfStages,
        /// For programs
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        socket: Socket,
    },
    /// Make a stage run an earlier deployment, until the configuration changes or somebody deploys
    Rollback {
        #[command(flatten)]
        of: OfStage,
        /// The deployment's id [default: what the stage ran before]
        id: Option<String>,
        #[command(flatten)]
        socket: Socket,
    },
    /// Deployments that are kept: which there are, and which are to be forgotten
    #[command(subcommand)]
    Deployments(Deployments),
    /// A part of a stage's requests that another deployment serves: how it does, what becomes of it
    #[command(subcommand)]
    Canary(Canary),
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

/// `floodgate deployments`.
#[derive(Debug, Subcommand)]
pub(crate) enum Deployments {
    /// Show them, the newest first, and the stages that run them
    List {
        /// Name of an API [default: all]
        #[arg(long, value_name = "NAME")]
        api: Option<String>,
        #[command(flatten)]
        socket: Socket,
    },
    /// Show one: when it was made, who runs it, and what it asks of who calls each of its methods
    Show {
        /// Name of the API
        #[arg(long, value_name = "NAME")]
        api: String,
        /// The deployment's id
        id: String,
        /// As JSON, with AWS's `apiSummary`
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        socket: Socket,
    },
    /// Forget one; refused while a stage runs it, or has it as its canary
    Delete {
        /// Name of the API
        #[arg(long, value_name = "NAME")]
        api: String,
        /// The deployment's id
        id: String,
        #[command(flatten)]
        socket: Socket,
    },
    /// Forget all but the newest of each API, and those that stages run. By themselves 100 of each are kept
    Prune {
        /// Name of an API [default: all]
        #[arg(long, value_name = "NAME")]
        api: Option<String>,
        /// How many of the newest are kept
        #[arg(long, value_name = "N", default_value_t = 10)]
        keep: usize,
        #[command(flatten)]
        socket: Socket,
    },
}

/// `floodgate canary`.
#[derive(Debug, Subcommand)]
pub(crate) enum Canary {
    /// Show what it runs, its share of requests, and what its answers are like beside the stage's
    Status(CanaryOf),
    /// Give it another share of requests
    Shift {
        /// Of a hundred: 0.0 to 100.0
        percent: f64,
        #[command(flatten)]
        of: CanaryOf,
    },
    /// Make it the stage, its variables included
    Promote(CanaryOf),
    /// Take it back: the stage serves all requests
    Rollback(CanaryOf),
}

/// Whose canary.
#[derive(Debug, Args)]
pub(crate) struct CanaryOf {
    #[command(flatten)]
    pub(crate) of: OfStage,
    #[command(flatten)]
    pub(crate) socket: Socket,
}

/// Which stage.
#[derive(Debug, Args)]
pub(crate) struct OfStage {
    /// Name of the API
    #[arg(long, value_name = "NAME")]
    pub(crate) api: String,
    /// Name of its stage
    #[arg(long, value_name = "NAME")]
    pub(crate) stage: String,
}

/// Which stages.
#[derive(Debug, Args)]
pub(crate) struct OfStages {
    /// Name of an API [default: all]
    #[arg(long, value_name = "NAME")]
    pub(crate) api: Option<String>,
    /// Name of a stage [default: all]
    #[arg(long, value_name = "NAME")]
    pub(crate) stage: Option<String>,
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
    /// A configuration file (TOML), an OpenAPI document (JSON or YAML, told by what is in it; it is served at `/` and at
    /// `/default`), a SAM, CloudFormation or serverless.yml template, or the URL of one backend to put a whole gateway in front of
    #[arg(value_name = "FILE|URL")]
    pub(crate) what: Option<String>,
    /// Address to listen on [default: 127.0.0.1:8443, with --plain 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", help_heading = "In front of one backend, or with an OpenAPI document")]
    pub(crate) listen: Option<SocketAddr>,
    /// A listener without TLS
    #[arg(long, help_heading = "In front of one backend, or with an OpenAPI document")]
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
    #[arg(long, value_name = "ADDR", help_heading = "In front of one backend, or with an OpenAPI document")]
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
    /// If the configuration or the document is refused, run the last one that was in force with this state folder
    #[arg(long)]
    pub(crate) last_good: bool,
    /// Where certificates, the last good configuration and the lock live [default: /var/lib/floodgate, else
    /// $XDG_STATE_HOME/floodgate]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Read it again whenever it changes
    #[arg(long, help_heading = "With an OpenAPI document")]
    pub(crate) watch: bool,
    // Its heading would be that of all that stands behind it.
    #[command(flatten)]
    pub(crate) document: Document,
}

/// How an OpenAPI document is read.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "With an OpenAPI document")]
pub(crate) struct Document {
    /// What kind of API it becomes: rest or http [default: what the document tells; Swagger 2.0 is rest]
    #[arg(long, value_name = "KIND", value_parser = ["rest", "http"])]
    pub(crate) kind: Option<String>,
    /// Send every operation that has no integration of its own to this URL, with its path behind it
    #[arg(long, value_name = "URL")]
    pub(crate) backend: Option<String>,
    /// What becomes of the path of its server: ignore, prepend, or split (all but its first segment) [default: ignore]
    #[arg(long, value_name = "WHAT", value_parser = ["ignore", "prepend", "split"])]
    pub(crate) basepath: Option<String>,
    /// Leave out what it says to readers
    #[arg(long)]
    pub(crate) ignore_documentation: bool,
    /// Refuse it for a warning
    #[arg(long)]
    pub(crate) fail_on_warnings: bool,
    /// In a template: a parameter of its stack, an option of its service (`stage=prod`), or what only AWS could say
    /// (`ssm:/name=value`); as often as there are any
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    pub(crate) parameters: Vec<(String, String)>,
    /// Serve operations to everybody whose security nothing enforces, as API Gateway does; otherwise they are refused
    #[arg(long)]
    pub(crate) allow_unenforced_security: bool,
    /// What stands for ${AWS::AccountId} [default: 000000000000]
    #[arg(long, value_name = "ID")]
    pub(crate) account_id: Option<String>,
    /// What stands for ${AWS::Region} [default: us-east-1]
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// What stands for ${AWS::Partition} [default: aws]
    #[arg(long, value_name = "NAME")]
    pub(crate) partition: Option<String>,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// `floodgate import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// OpenAPI documents, each further one put into the first; or one template: SAM, CloudFormation, serverless.yml
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// How a further document is put into what is there: merge or overwrite [default: merge]
    #[arg(long, value_name = "MODE", value_parser = ["merge", "overwrite"])]
    pub(crate) mode: Option<String>,
    #[command(flatten)]
    pub(crate) document: Document,
}

/// `floodgate explain`.
#[derive(Debug, Args)]
#[command(
    override_usage = "floodgate explain [OPTIONS] [FILE] <URL>",
    after_help = "Nothing is connected to and nothing is counted: buckets are full, the cache is empty. A request that a backend would \
                  answer ends where that would be sent; --response says what the backend answers, and then it is told what becomes \
                  of that.\n\n  floodgate explain gateway.toml -X POST /orders -H 'Content-Type: application/json' -d '{\"id\": 7}'\n  \
                  floodgate explain api.yaml https://api.example.com/v1/pets/7 --response 404"
)]
pub(crate) struct Explain {
    /// The configuration, OpenAPI document or template, by default the file that `run` would take; and what is asked for:
    /// https://api.example.com/pets, or /pets at the first listener's address
    #[arg(required = true, num_args = 1..=2, value_names = ["FILE", "URL"])]
    pub(crate) what: Vec<String>,
    /// The method [default: GET, with --data POST]
    #[arg(short = 'X', long = "request", value_name = "METHOD")]
    pub(crate) method: Option<String>,
    /// A header, as often as there are any; none is sent by itself but Host and Content-Length
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,
    /// The body, or @FILE with it
    #[arg(short, long, value_name = "BODY|@FILE")]
    pub(crate) data: Option<String>,
    /// From which address it comes
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1")]
    pub(crate) from: IpAddr,
    /// As one of the requests that the stage's canary serves
    #[arg(long)]
    pub(crate) canary: bool,
    /// The status of the backend's answer: which response takes it, and what becomes of it
    #[arg(long, value_name = "STATUS")]
    pub(crate) response: Option<u16>,
    /// A header of that answer, as often as there are any
    #[arg(long, value_name = "NAME: VALUE", requires = "response")]
    pub(crate) response_header: Vec<String>,
    /// Its body, or @FILE with it
    #[arg(long, value_name = "BODY|@FILE", requires = "response")]
    pub(crate) response_body: Option<String>,
    /// Tell of all routes that do not take it, not of the nearest
    #[arg(long)]
    pub(crate) all: bool,
    /// For programs
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) deployed: OfDeployed,
    #[command(flatten)]
    pub(crate) document: Document,
}

/// Where it is kept what stages run.
#[derive(Debug, Args)]
#[command(next_help_heading = "What stages run, and not what the file says")]
pub(crate) struct OfDeployed {
    /// What is deployed according to this state folder; of a node that runs with it, --socket
    #[arg(long, value_name = "DIR", conflicts_with = "socket")]
    pub(crate) state: Option<PathBuf>,
    /// What the node behind this admin socket runs; the file is its own unless another is named
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
}

/// `floodgate export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The configuration, or an OpenAPI document to write anew; by default the file that `run` would take
    pub(crate) file: Option<PathBuf>,
    /// The API's name; may be left out if there is one
    #[arg(long, value_name = "NAME")]
    pub(crate) api: Option<String>,
    /// The stage that its URL names [default: its first]
    #[arg(long, value_name = "NAME")]
    pub(crate) stage: Option<String>,
    /// oas30, or for a REST API swagger (2.0)
    #[arg(long, value_name = "FORMAT", value_parser = ["oas30", "swagger"], default_value = "oas30")]
    pub(crate) format: String,
    /// As YAML and not as JSON
    #[arg(long)]
    pub(crate) yaml: bool,
    /// Which extensions are written: integrations, authorizers, apigateway (all), postman, or none
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "apigateway",
          value_parser = ["integrations", "authorizers", "apigateway", "postman", "none"])]
    pub(crate) extensions: Vec<String>,
    #[command(flatten)]
    pub(crate) deployed: OfDeployed,
    #[command(flatten)]
    pub(crate) document: Document,
}

/// Which running node.
#[derive(Debug, Args)]
pub(crate) struct Socket {
    /// Its admin socket [default: /run/floodgate/admin.sock, else $XDG_RUNTIME_DIR/floodgate/admin.sock]
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
}
