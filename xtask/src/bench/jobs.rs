//! What is asked of a gateway. It does not know who asks or who answers.

use anyhow::Context;

/// One kind of request, and how many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Job {
    /// As in `--jobs`.
    pub(super) name: &'static str,
    /// As in the table.
    pub(super) title: &'static str,
    pub(super) path: &'static str,
    pub(super) tls: bool,
    pub(super) connections: u32,
    /// Streams at once on each of them; 0: HTTP/1.1.
    pub(super) streams: u32,
    /// Bytes of the request's body; with any it is a POST.
    pub(super) upload_bytes: usize,
    /// What an answer has. Of a refusal only the status is judged.
    pub(super) status: u16,
    pub(super) bytes: usize,
    /// Whether the backend is asked.
    pub(super) backend: bool,
}

impl Job {
    pub(super) fn method(&self) -> &'static str {
        if self.upload_bytes > 0 { "POST" } else { "GET" }
    }
}

pub(super) const PROXY: Job = Job {
    name: "proxy",
    title: "proxy 1 KiB",
    path: "/p/1k",
    tls: false,
    connections: 64,
    streams: 0,
    upload_bytes: 0,
    status: 200,
    bytes: 1 << 10,
    backend: true,
};

const HTTP2: Job = Job {
    name: "h2",
    title: "proxy 1 KiB, HTTP/2 over TLS, 16 × 16",
    tls: true,
    connections: 16,
    streams: 16,
    ..PROXY
};

/// Every job, in the order of the table.
pub(super) const JOBS: &[Job] = &[
    PROXY,
    Job { name: "proxy-256", title: "proxy 1 KiB, 256 connections", connections: 256, ..PROXY },
    Job { name: "proxy-64k", title: "proxy 64 KiB", path: "/p/64k", bytes: 64 << 10, ..PROXY },
    Job { name: "post-16k", title: "POST 16 KiB", path: "/p/up", upload_bytes: 16 << 10, ..PROXY },
    Job { name: "cached", title: "cache hit 1 KiB", path: "/c/1k", backend: false, ..PROXY },
    Job {
        name: "reject",
        title: "429 refusal",
        path: "/l/1k",
        status: 429,
        bytes: 0,
        backend: false,
        ..PROXY
    },
    Job { name: "tls", title: "proxy 1 KiB, TLS kept alive", tls: true, ..PROXY },
    HTTP2,
    Job {
        name: "h2-cached",
        title: "cache hit 1 KiB, HTTP/2 over TLS",
        path: "/c/1k",
        backend: false,
        ..HTTP2
    },
    // nginx has no HTTP/2 to backends: to it these are the first job.
    Job { name: "h2c-backend", title: "proxy 1 KiB, nghttpd by HTTP/2", path: "/h/1k", ..PROXY },
    // As a backend it sends each answer by itself, head and body apart: two sends for a request, and a wake-up for each.
    Job { name: "h2c-nginx", title: "proxy 1 KiB, nginx by HTTP/2", path: "/n/1k", ..PROXY },
];

/// Those that the mini proxy of `benches/runtimes` can do: it forwards and nothing else.
pub(super) const FORWARDING: &[&str] = &["proxy", "proxy-256", "proxy-64k"];

/// The jobs of these names, in the order of the table; all if there are none.
pub(super) fn chosen(names: &[String]) -> anyhow::Result<Vec<&'static Job>> {
    for name in names {
        let known: Vec<&str> = JOBS.iter().map(|job| job.name).collect();
        JOBS.iter()
            .find(|job| job.name == name)
            .with_context(|| format!("no job `{name}`; jobs are {}", known.join(", ")))?;
    }
    Ok(JOBS.iter().filter(|job| names.is_empty() || names.iter().any(|name| name == job.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::chosen;

    #[track_caller]
    fn check(names: &[&str], expected: Result<&[&str], &str>) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let found = chosen(&names);
        match expected {
            Ok(expected) => {
                let found: Vec<&str> = found.unwrap().iter().map(|job| job.name).collect();
                assert_eq!(found, expected);
            }
            Err(message) => assert_eq!(found.unwrap_err().to_string(), message),
        }
    }

    #[test]
    fn jobs_are_chosen_by_name() {
        let all: Vec<&str> = super::JOBS.iter().map(|job| job.name).collect();
        assert_eq!(all[7..], ["h2", "h2-cached", "h2c-backend", "h2c-nginx"]);
        check(&[], Ok(&all));
        check(&["tls", "proxy"], Ok(&["proxy", "tls"]));
        check(
            &["tls", "h3"],
            Err(
                "no job `h3`; jobs are proxy, proxy-256, proxy-64k, post-16k, cached, reject, tls, h2, h2-cached, h2c-backend, h2c-nginx",
            ),
        );
    }
}
