//! A judge that is not ours: http-cache-tests, the public suite for HTTP caches, asks a gateway between its own client and
//! its own origin. What it finds is handed on; what of it is right is not known here.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{client::Connection, process::Process, tools::program};

/// What the suite says of one of its tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// `required` of a cache, `optimal` in one, or a `check` of what caches do.
    pub kind: String,
    /// The suite's name for it.
    pub id: String,
    /// Why it did not pass; `None` if it did.
    pub failure: Option<String>,
}

/// The suite's origin, which begins to ask when it is told whom.
#[derive(Debug)]
pub struct CacheSuite {
    process: Process,
    address: SocketAddr,
}

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cache_suite.mjs");

/// It takes a quarter of a minute, most of it in waiting for entries to grow stale.
const PATIENCE: Duration = Duration::from_secs(240);

/// Why the suite cannot be run on this machine; `None` if it can.
pub fn cache_suite_missing() -> Option<String> {
    let suite = folder().join("node_modules/http-cache-tests");
    let told = "`cargo xtask setup` installs it, if npm reaches a registry";
    (!suite.exists()).then(|| format!("{} is not there: {told}", suite.display()))
}

/// Where the packages of `tests/node` are installed.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.node")
}

impl CacheSuite {
    /// Starts its origin.
    #[track_caller]
    pub fn start() -> Self {
        let folder =
            folder().canonicalize().unwrap_or_else(|error| panic!("{}: {error}", folder().display()));
        let process = Process::start(Command::new(program("node")).arg(SCRIPT).arg(folder));
        let port = process.wait_for_stdout(|lines| {
            lines.iter().find_map(|line| line.strip_prefix("origin ")?.parse::<u16>().ok())
        });
        let port = port.unwrap_or_else(|| panic!("the suite did not start: {:?}", process.said()));
        Self { process, address: SocketAddr::from(([127, 0, 0, 1], port)) }
    }

    /// The URL of its origin, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Has all tests asked of a gateway before the origin.
    #[track_caller]
    pub fn judge(&self, gateway: SocketAddr) -> Vec<Judgement> {
        let begun = Connection::open(self.address).ask(&format!("GET /begin/{gateway}")).response();
        assert_eq!(begun.status, 202, "{begun:?}");
        let judged = self.process.wait_for_stdout_within(PATIENCE, |lines| {
            lines
                .iter()
                .any(|line| line == "end")
                .then(|| lines.iter().filter_map(|line| judgement(line)).collect())
        });
        judged.unwrap_or_else(|| panic!("the suite did not come to its end: {:?}", self.process.said()))
    }
}

/// `result KIND ID`, and why it failed.
fn judgement(line: &str) -> Option<Judgement> {
    let mut words = line.strip_prefix("result ")?.splitn(3, ' ');
    let (kind, id) = (words.next()?.to_owned(), words.next()?.to_owned());
    Some(Judgement { kind, id, failure: words.next().map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use super::{Judgement, judgement};

    #[test]
    fn lines_of_the_suite_are_read() {
        let check = |line: &str, expected: Option<(&str, &str, Option<&str>)>| {
            let expected = expected.map(|(kind, id, failure)| Judgement {
                kind: kind.to_owned(),
                id: id.to_owned(),
                failure: failure.map(str::to_owned),
            });
            assert_eq!(judgement(line), expected, "{line}");
        };
        check("result required vary-match", Some(("required", "vary-match", None)));
        check("result check stale-503 Setup: retry", Some(("check", "stale-503", Some("Setup: retry"))));
        check("origin 4711", None);
    }
}
