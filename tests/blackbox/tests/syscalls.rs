//! How often a core asks the kernel for a request in steady state: strace counts it, on both drivers, for one client
//! that asks again when it has its answer and for 64 at once.

use harness::{Act, Calls, Connection, Gateway, Nginx, Origin, Strace, skip};

/// Requests after which connections to the backend are open and buffers are warm.
const WARM_UP: usize = 128;
const COUNTED: usize = 640;
const MANY: usize = 64;
/// So often it is counted at most, if it opens connections or gives memory back.
const ATTEMPTS: usize = 5;

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

/// A body of some ring buffers and a small rest: the ring's driver receives it plainly, all at once, as epoll does. What is
/// much is sent by a call of its own, out of where it was received.
const POSTED: [Case; 4] = [
    ("epoll", 1, Most { waits: 2.0, reads: 2.0, writes: 2.0 }),
    ("epoll", MANY, Most { waits: 0.5, reads: 2.0, writes: 2.0 }),
    ("uring", 1, Most { waits: 2.0, reads: 1.0, writes: 2.0 }),
    ("uring", MANY, Most { waits: 0.5, reads: 1.0, writes: 1.25 }),
];
const POSTED_BYTES: usize = 16 << 10;

const WITHOUT_BACKEND: [Case; 4] = [
    ("epoll", 1, Most { waits: 1.0, reads: 1.0, writes: 1.0 }),
    ("epoll", MANY, Most { waits: 0.5, reads: 1.0, writes: 1.0 }),
    ("uring", 1, Most { waits: 1.0, reads: 0.0, writes: 1.0 }),
    ("uring", MANY, Most { waits: 0.5, reads: 0.0, writes: 0.25 }),
];

#[test]
fn system_calls_of_a_request() {
    let nginx = Nginx::start_with(
        "location = /kept { return 200 'kept'; } location = /posted { return 200 'posted'; }",
    );
    for driver in ["epoll", "uring"] {
        let config = format!(
            "[[route]]\nmatch = \"GET /small\"\nurl = \"{url}\"\n\
             [[route]]\nmatch = \"POST /posted\"\nurl = \"{url}\"\n\
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
        let get = |path| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        let body = "x".repeat(POSTED_BYTES);
        let post =
            format!("POST /posted HTTP/1.1\r\nHost: a\r\nContent-Length: {POSTED_BYTES}\r\n\r\n{body}");
        let kinds = [
            (get("/small"), 200, PROXIED),
            (post, 200, POSTED),
            (get("/refused"), 429, WITHOUT_BACKEND),
            (get("/kept"), 200, WITHOUT_BACKEND),
        ];
        for (request, status, cases) in kinds {
            let line = request.lines().next().unwrap();
            for (_, clients, most) in cases.into_iter().filter(|case| case.0 == driver) {
                match count(&gateway, &request, status, clients) {
                    Ok(calls) => check(&format!("{driver}, {line}, {clients} at once"), &calls, most),
                    Err(why) => return skip("system_calls_of_a_request", &why),
                }
            }
        }
    }
}

/// What a connection to a backend costs beside the request on it, at most: made, told to send at once, connected, watched
/// or looked at, and closed. A ring takes connecting and closing with it.
const CONNECTED: [(&str, f64); 2] = [("epoll", 6.0), ("uring", 3.0)];

#[test]
fn system_calls_of_a_connection_to_a_backend() {
    if !harness::gateway_binary().to_string_lossy().contains("release") {
        // Each descriptor is looked at before it is closed.
        return skip("system_calls_of_a_connection_to_a_backend", "the gateway was built with assertions");
    }
    let origin = Origin::start(|_| vec![Act::answer(200, &[("Connection", "close")], "well"), Act::Close]);
    for (driver, most) in CONNECTED {
        let config = crate::everything(&origin.url());
        let gateway = match Gateway::with(&config).argument("--driver").argument(driver).try_start() {
            Ok(gateway) => gateway,
            Err(refused) if refused.stderr.contains("driver uring") => {
                skip("system_calls_of_a_connection_to_a_backend", &format!("{driver}: {}", refused.stderr));
                continue;
            }
            Err(refused) => panic!("{driver}: {refused:#?}"),
        };
        let mut clients = [gateway.connect()];
        let request = "GET /small HTTP/1.1\r\nHost: a\r\n\r\n";
        ask(&mut clients, request, 200, WARM_UP);
        let calls = match Strace::attach(gateway.pid(), "core-0") {
            Ok(strace) => {
                ask(&mut clients, request, 200, COUNTED);
                strace.finish()
            }
            Err(why) => return skip("system_calls_of_a_connection_to_a_backend", &why),
        };
        let requests = [WAITS, READS, WRITES].map(|names| calls.of(names)).iter().sum::<u64>();
        let counted = (calls.all() - requests) as f64 / COUNTED as f64;
        assert_eq!(calls.of(&["socket"]), COUNTED as u64, "{driver}: {calls:?}");
        assert!(counted <= most + ASIDE, "{driver}: {counted} a connection, at most {most}: {calls:?}");
    }
}

/// Counts while so many clients ask at once, all of them again when each has its answer. Where connections to the backend were
/// opened meanwhile, so many requests had not been on their way at once before: that was warming up, and is done again. So is what
/// the allocator gives back of the clients before (`madvise`, a while after they went): it belongs to none of these requests.
fn count(gateway: &Gateway, request: &str, status: u16, clients: usize) -> Result<Calls, String> {
    let mut clients: Vec<_> = (0..clients).map(|_| gateway.connect()).collect();
    let mut attempts = 0..ATTEMPTS;
    loop {
        ask(&mut clients, request, status, WARM_UP);
        let strace = Strace::attach(gateway.pid(), "core-0")?;
        ask(&mut clients, request, status, COUNTED);
        let calls = strace.finish();
        attempts.next();
        if calls.of(&["socket", "madvise"]) == 0 || attempts.is_empty() {
            return Ok(calls);
        }
    }
}

fn ask(clients: &mut [Connection], request: &str, status: u16, requests: usize) {
    for _ in 0..requests / clients.len() {
        for client in &mut *clients {
            client.send(request);
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
