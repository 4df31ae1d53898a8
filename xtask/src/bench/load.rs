//! The load generator, and the look at one answer before it.

use std::{process::Command, time::Duration};

use anyhow::{Context, ensure};

use super::{Job, machine::Site, target::LOAD_CORE};
use crate::shell;

/// What the generator counted.
pub(super) struct Loaded {
    pub(super) requests: u64,
    pub(super) seconds: f64,
    /// Connections and requests that failed, and answers of another kind than the job's.
    pub(super) errors: u64,
}

/// Asks until the answer is the job's: the first few fill the cache and empty the bucket.
pub(super) fn check(site: &Site, url: &str, job: &Job) -> anyhow::Result<()> {
    let mut last = String::new();
    for _ in 0..5 {
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--max-time",
            "5",
            "--noproxy",
            "*",
            "--output",
            "/dev/null",
            "--cacert",
        ]);
        curl.arg(&site.certificate).args(["--write-out", "%{http_code} %{size_download}", url]);
        last = shell::read(&mut curl)?;
        let (status, bytes) = last.split_once(' ').unwrap_or_default();
        if status == job.status.to_string() && (job.bytes == 0 || bytes == job.bytes.to_string()) {
            return Ok(());
        }
    }
    anyhow::bail!("{url}: status and bytes are {last}, not {} {}", job.status, job.bytes)
}

/// Runs wrk on the core of the load.
pub(super) fn wrk(url: &str, job: &Job, time: Duration) -> anyhow::Result<Loaded> {
    let (connections, seconds) = (job.connections.to_string(), format!("{}s", time.as_secs()));
    let mut wrk = Command::new("taskset");
    wrk.args(["-c", LOAD_CORE, "wrk", "-t", "1", "-c", &connections, "-d", &seconds, url]);
    let text = shell::read(&mut wrk)?;
    let loaded =
        parse(&text, job.status >= 300).with_context(|| format!("wrk said something else:\n{text}"))?;
    ensure!(loaded.seconds > 0.0, "wrk ran for no time:\n{text}");
    Ok(loaded)
}

/// `12345 requests in 4.00s, …`, and the lines about errors. Where refusals are the job, those are no errors.
fn parse(text: &str, refused: bool) -> Option<Loaded> {
    let line =
        |begin: &str| text.lines().map(str::trim).find_map(|line| line.strip_prefix(begin).map(str::trim));
    let (requests, rest) = text.lines().find_map(|line| line.trim().split_once(" requests in "))?;
    let requests: u64 = requests.parse().ok()?;
    let time = rest.split(',').next()?;
    let seconds = match time.strip_suffix("ms") {
        Some(ms) => ms.parse::<f64>().ok()? / 1e3,
        None => match time.strip_suffix('m') {
            Some(minutes) => minutes.parse::<f64>().ok()? * 60.0,
            None => time.strip_suffix('s')?.parse().ok()?,
        },
    };
    let counts = line("Socket errors:").unwrap_or_default();
    let socket: u64 =
        counts.split(',').filter_map(|kind| kind.split_whitespace().last()?.parse::<u64>().ok()).sum();
    let other: u64 = line("Non-2xx or 3xx responses:").map_or(Some(0), |count| count.parse().ok())?;
    // A bucket of one a second lets one through each second.
    let wrong = if refused { (requests - other).saturating_sub(seconds.ceil() as u64 + 1) } else { other };
    Some(Loaded { requests, seconds, errors: socket + wrong })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[track_caller]
    fn check(text: &str, refused: bool, expected: (u64, f64, u64)) {
        let loaded = parse(text, refused).unwrap();
        assert_eq!((loaded.requests, loaded.seconds, loaded.errors), expected);
    }

    #[test]
    fn what_wrk_prints() {
        check("  100 requests in 2.00s, 1MB read\nRequests/sec: 50\n", false, (100, 2.0, 0));
        check("  100 requests in 2.00s, 1MB read\n  Non-2xx or 3xx responses: 98\n", true, (100, 2.0, 0));
        check("  100 requests in 2.00s, 1MB read\n  Non-2xx or 3xx responses: 90\n", true, (100, 2.0, 7));
        check("  100 requests in 1.00m, 1MB read\n  Non-2xx or 3xx responses: 3\n", false, (100, 60.0, 3));
        check(
            "  9 requests in 500.00ms, 1MB\n  Socket errors: connect 1, read 2, write 3, timeout 4\n",
            false,
            (9, 0.5, 10),
        );
        assert!(parse("unable to connect", false).is_none());
    }
}
