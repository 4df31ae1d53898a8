//! gRPC as its users have it: grpcio as a server and as a client, of messages that are plain bytes. What cases the client
//! has and what the server answers stand in their scripts. It does not know what is between the two.

use std::{net::SocketAddr, path::Path, process::Command, time::Duration};

use crate::{oracle::python, process::Process};

const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/grpc_server.py");
const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/grpc_client.py");

/// All that a server and a client do with each other, as `grpc_client.py` names it. It has some more, which need a gateway
/// that is set for them.
pub const GRPC_CASES: [&str; 13] = [
    "unary",
    "metadata",
    "server_streaming",
    "client_streaming",
    "bidirectional",
    "quiet",
    "statuses",
    "midway",
    "deadline",
    "cancellation",
    "large",
    "compressed",
    "thousand",
];

/// All cases together take two seconds where nothing else runs.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server of grpcio.
#[derive(Debug)]
pub struct GrpcServer {
    process: Process,
    address: SocketAddr,
}

/// Why there is no grpcio on this machine; `None` if there is.
pub fn grpc_missing() -> Option<String> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/lib");
    let is_there = std::fs::read_dir(&package).is_ok_and(|versions| {
        versions.filter_map(Result::ok).any(|version| version.path().join("site-packages/grpc").is_dir())
    });
    (!is_there).then(|| format!("grpcio is not in {}: `cargo xtask setup` installs it", package.display()))
}

impl GrpcServer {
    /// Starts it without TLS.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts it with a certificate and its key, in PEM.
    #[track_caller]
    pub fn start_tls(chain: &str, key: &str) -> Self {
        Self::start_with(&[chain, key])
    }

    #[track_caller]
    fn start_with(arguments: &[&str]) -> Self {
        let process = Process::start(Command::new(python()).arg(SERVER).args(arguments));
        let port = process
            .wait_for_stdout(|lines| lines.iter().find_map(|line| line.strip_prefix("port ")?.parse().ok()));
        let port: u16 = port.unwrap_or_else(|| panic!("grpcio did not start: {:?}", process.said()));
        Self { process, address: SocketAddr::from(([127, 0, 0, 1], port)) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it complained about.
    pub fn stderr(&self) -> String {
        self.process.said().1
    }
}

/// Has a client of grpcio do these cases, one after the other on one channel, with TLS if it is told whom to trust. What
/// it says of each: `ok`, or what went wrong.
#[track_caller]
pub fn grpc_client(target: SocketAddr, authority: Option<&Path>, cases: &[&str]) -> Vec<(String, String)> {
    let mut command = Command::new(python());
    command.arg(CLIENT).arg(target.to_string());
    match authority {
        Some(authority) => command.arg(authority),
        None => command.arg("-"),
    };
    let mut process = Process::start(command.args(cases));
    let ended = process.wait(PATIENCE);
    assert_eq!(ended.code, Some(0), "grpcio: {}\n{}", ended.stdout, ended.stderr);
    let said = ended.stdout.lines().filter_map(|line| line.split_once(' '));
    let said: Vec<_> = said.map(|(case, said)| (case.to_owned(), said.to_owned())).collect();
    assert_eq!(said.len(), cases.len(), "grpcio: {}\n{}", ended.stdout, ended.stderr);
    said
}

/// All of these cases go well.
#[track_caller]
pub fn grpc_agree(target: SocketAddr, authority: Option<&Path>, cases: &[&str]) {
    let wrong: Vec<_> =
        grpc_client(target, authority, cases).into_iter().filter(|(_, said)| said != "ok").collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
