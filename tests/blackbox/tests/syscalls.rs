//! How often a core asks the kernel for a request in steady state: strace counts it, on both drivers, for one client
//! that asks again when it has its answer and for 64 at once.

use harness::{Calls, Connection, Gateway, Nginx, Strace, skip};

/// Requests after which connections to the backend are open and buffers are warm.
const WARM_UP: usize = 128;
const COUNTED: usize = 640;
const MANY: usize = 64;

const WAITS: &[&str] = &["epoll_wait", "epoll_pwait", "epoll_pwait2", "io_uring_enter"];
const READS: &[&str] = &["read", "readv", "recvfrom", "recvmsg"];
const WRITES: &[&str] = &["write", "writev", "sendto", "sendmsg"];

/// Calls of a request, at most; `waits` are for readiness, or for whatever the ring has done.
#[derive(Clone, Copy, Debug)]
struct Most {
    waits: f64,
    reads: f64,
    writes: f64,
}

/// For what wakes a core beside requests: alarms, letters, the heartbeat.
const ASIDE: f64 = 0.02;

/// Driver, clients at once, the calls of each request.
type Case = (&'static str, usize, Most);

/// Of a lone client's request the core waits for its head and for the backend's answer; each is one receive and one send.
/// The ring's receives are in place before there is anything to receive, so that waiting is all they cost.
/// Of many at once one wait brings many, and the ring takes their sends together with it.
const PROXIED: [Case; 4] = [
    ("epoll", 1, Most { waits: 2.0, reads: 2.0, writes: 2.0 }),
    ("epoll", MANY, Most { waits: 0.5, reads: 2.0, writes: 2.0 }),
    ("uring", 1, Most { waits: 2.0, reads: 0.0, writes: 2.0 }),
    ("uring", MANY, Most { waits: 0.5, reads: 0.0, writes: 0.25 }),
];

const WITHOUT_BACKEND: [Case; 4] = [
    ("epoll", 1, Most { waits: 1.0, reads: 1.0, writes: 1.0 }),
    ("epoll", MANY, Most { waits: 0.5, reads: 1.0, writes: 1.0 }),
    ("uring", 1, Most { waits: 1.0, reads: 0.0, writes: 1.0 }),
    ("uring", MANY, Most { waits: 0.5, reads: 0.0, writes: 0.25 }),
];

#[test]
fn system_calls_of_a_request() {
    let nginx = Nginx::start_with("location = /kept { return 200 'kept'; }");
    for driver in ["epoll", "uring"] {
        let config = format!(
            "[[route]]\nmatch = \"GET /small\"\nurl = \"{url}\"\n\
             [[route]]\nmatch = \"GET /kept\"\nurl = \"{url}\"\ncache = \"1h\"\n\
             [[route]]\nmatch = \"GET /refused\"\nmock = {{ status = 429 }}\n",
            url = nginx.url()
        );
        let gateway = match Gateway::with(&config).argument("--driver").argument(driver).try_start() {
            Ok(gateway) => gateway,
            // Containers often forbid it, old kernels do not have it.
            Err(refused) if refused.stderr.contains("driver uring") => {
                skip("system_calls_of_a_request", &format!("{driver}: {}", refused.stderr));
                continue;
            }
            Err(refused) => panic!("{driver}: {refused:#?}"),
        };
        let kinds =
            [("/small", 200, PROXIED), ("/refused", 429, WITHOUT_BACKEND), ("/kept", 200, WITHOUT_BACKEND)];
        for (path, status, cases) in kinds {
            for (_, clients, most) in cases.into_iter().filter(|case| case.0 == driver) {
                match count(&gateway, path, status, clients) {
                    Ok(calls) => check(&format!("{driver}, {path}, {clients} at once"), &calls, most),
                    Err(why) => return skip("system_calls_of_a_request", &why),
                }
            }
        }
    }
}

/// Counts while so many clients ask at once, all of them again when each has its answer.
fn count(gateway: &Gateway, path: &str, status: u16, clients: usize) -> Result<Calls, String> {
    let mut clients: Vec<_> = (0..clients).map(|_| gateway.connect()).collect();
    ask(&mut clients, path, status, WARM_UP);
    let strace = Strace::attach(gateway.pid(), "core-0")?;
    ask(&mut clients, path, status, COUNTED);
    Ok(strace.finish())
}

fn ask(clients: &mut [Connection], path: &str, status: u16, requests: usize) {
    for _ in 0..requests / clients.len() {
        for client in &mut *clients {
            client.ask(&format!("GET {path}"));
        }
        for client in &mut *clients {
            assert_eq!(client.response().status, status);
        }
    }
}

#[track_caller]
fn check(case: &str, calls: &Calls, most: Most) {
    let each = |count: u64| count as f64 / COUNTED as f64;
    let kinds = [(WAITS, most.waits), (READS, most.reads), (WRITES, most.writes)];
    for (names, most) in kinds {
        let counted = each(calls.of(names));
        assert!(
            counted <= most + ASIDE,
            "{case}: {counted} of {names:?} a request, at most {most}: {calls:?}"
        );
    }
    let others = calls.all() - kinds.iter().map(|(names, _)| calls.of(names)).sum::<u64>();
    assert!(each(others) <= ASIDE, "{case}: what else is called? {calls:?}");
    // The core was looked at while it served: it cannot have got so many requests at fewer than one wait for each round.
    assert!(calls.of(WAITS) >= (COUNTED / MANY) as u64 / 2, "{case}: {calls:?}");
}
