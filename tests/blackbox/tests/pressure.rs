//! Memory that runs short: the ladder's steps on a real process, up and down. The bound is moved by reloads, so that each
//! step is met at memory that is really in use; that reloads work at every step is shown by the way.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
};

use harness::{Act, Gateway, Metrics, Origin, PATIENCE, eventually};

over_both! {
    a_cache_that_is_too_large_shrinks
    each_step_takes_more_away_and_all_comes_back
}

const MIB: u64 = 1 << 20;
/// Of each response that is kept.
const BODY_BYTES: usize = 900 << 10;
/// The same, where the kernel's buffers shall not take a whole one.
const LARGE_BODY_BYTES: usize = 6 << 20;
/// The smallest bound that may be configured.
const MEMORY_MIN: u64 = 32 * MIB;

/// Routes in all three dialects; what is asked for below `/kept` is kept.
fn routes(origin: &Origin) -> String {
    let url = origin.url();
    format!(
        "[cache]\nsize = \"256MiB\"\n
[[route]]\nmatch = \"/kept/{{name}}\"\nurl = \"{url}\"\ncache = {{ ttl = \"1h\", body_max = \"8MiB\" }}\n
[[route]]\nmatch = \"/{{proxy+}}\"\nurl = \"{url}\"\n
[[api]]\nname = \"h\"\nkind = \"http\"\nhosts = [\"h\"]\n[[api.route]]\nkey = \"GET /x\"
integration = {{ type = \"http_proxy\", url = \"{url}/x\" }}\n
[[api]]\nname = \"r\"\nkind = \"rest\"\nhosts = [\"r\"]\n[[api.stage]]\nname = \"s\"\n[[api.route]]\nkey = \"GET /x\"
integration = {{ type = \"http_proxy\", url = \"{url}/x\" }}\n"
    )
}

fn origin() -> Origin {
    Origin::forgetful(|asked| {
        let body = match asked.head.split(['/', '-']).nth(2) {
            Some("large") => "x".repeat(LARGE_BODY_BYTES),
            Some("small") => "x".repeat(BODY_BYTES),
            _ => "ok".to_owned(),
        };
        vec![Act::answer(200, &[], &body)]
    })
}

/// Moves the bound, and has it taken.
fn rebind(gateway: &Gateway, max_bytes: u64) {
    let file = gateway.config_file();
    let text = std::fs::read_to_string(&file).unwrap();
    let lines = text.lines().map(|line| match line.starts_with("memory_max") {
        true => format!("memory_max = \"{max_bytes}B\""),
        false => line.to_owned(),
    });
    std::fs::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
    let reloaded = gateway.reload();
    assert!(reloaded.status.success(), "{reloaded:?}");
    assert_eq!(gateway.metrics().sum("floodgate_memory_max_bytes", &[]) as u64, max_bytes);
}

fn level(metrics: &Metrics) -> u64 {
    metrics.sum("floodgate_memory_pressure", &[]) as u64
}

#[track_caller]
fn wait_for(gateway: &Gateway, what: &str, reached: impl Fn(&Metrics) -> bool) -> Metrics {
    eventually(what, || Some(gateway.metrics()).filter(&reached))
}

/// The bound with which so much is this many percent of it.
fn bound_for(bytes: u64, percent: u64) -> u64 {
    bytes * 100 / percent
}

/// Fills the cache by requests until the first step is taken, and sees it give memory back; requests go on all the while.
fn a_cache_that_is_too_large_shrinks() {
    let origin = origin();
    let config = routes(&origin);
    let max_bytes = 96 * MIB;
    // Bounded at the start, the cache would be cut to what fits.
    let gateway = Gateway::with(&config).node("memory_max = \"0B\"").start();
    let mut client = gateway.client();
    let mut asked = 0;
    assert_eq!(gateway.metrics().sum("floodgate_cache_capacity_bytes", &[]) as u64, 256 * MIB);
    rebind(&gateway, max_bytes);
    gateway.wait_for_line("from the next start on, the cache is 24 MiB instead of 256 MiB");
    assert_eq!(gateway.metrics().sum("floodgate_cache_capacity_bytes", &[]) as u64, 256 * MIB);
    let stepped = eventually("the cache is too large", || {
        // Not so much in one second that the first step is jumped over.
        if gateway.rss_bytes() < max_bytes * 83 / 100 {
            asked += 1;
            assert_eq!(client.ask(&format!("GET /kept/small-{asked}")).response().status, 200);
        }
        Some(gateway.metrics()).filter(|metrics| level(metrics) > 0)
    });
    assert_eq!(level(&stepped), 1, "{}", gateway.said());
    gateway.wait_for_line("the cache shrinks");
    // The bytes are counted, and they are really back with the kernel.
    let shrunk = wait_for(&gateway, "the cache has shrunk and memory is enough", |now| level(now) == 0);
    assert!(shrunk.sum("floodgate_cache_capacity_bytes", &[]) < 96.0 * MIB as f64);
    assert!(shrunk.sum("floodgate_cache_evictions_total", &[]) > 0.0);
    assert!(gateway.rss_bytes() < max_bytes * 80 / 100, "{} MiB", gateway.rss_bytes() / MIB);
    gateway.wait_for_line("all is served again");
    assert_eq!(client.ask("GET /x").response().text(), "ok");
    // With room again it gets its bound back.
    rebind(&gateway, 0);
    wait_for(&gateway, "the cache may grow", |now| {
        now.sum("floodgate_cache_capacity_bytes", &[]) > shrunk.sum("floodgate_cache_capacity_bytes", &[])
    });
}

/// Every step, met by a bound that is moved around what is in use; the top one answers in each dialect.
fn each_step_takes_more_away_and_all_comes_back() {
    let origin = origin();
    let config = format!("[timeouts]\nbody_idle = \"1h\"\nresponse_rate_min = \"0B\"\n{}", routes(&origin));
    let gateway = Gateway::with(&config).node("memory_max = \"0B\"").start();
    // Memory that no step gives back: responses on their way to clients that do not read.
    let mut filling = gateway.client();
    let _slow: Vec<_> = (0..16)
        .map(|number| {
            assert_eq!(filling.ask(&format!("GET /kept/large-{number}")).response().status, 200);
            let mut client = gateway.client();
            client.ask(&format!("GET /kept/large-{number}"));
            assert_eq!(client.begun(), 200);
            client
        })
        .collect();
    drop(filling);
    // What a reload takes for itself, it has taken.
    rebind(&gateway, 0);
    eventually("the cache is empty", || {
        let now = gateway.metrics();
        if level(&now) == 0 {
            rebind(&gateway, bound_for(gateway.rss_bytes(), 83));
        }
        (now.sum("floodgate_cache_used_bytes", &[]) < BODY_BYTES as f64).then_some(())
    });
    let bytes = gateway.rss_bytes();
    assert!(bytes > 2 * MEMORY_MIN, "{} MiB are too few for this test", bytes / MIB);

    let mut idle = gateway.client();
    assert_eq!(idle.ask("GET /x").response().text(), "ok", "who comes in below the second step is served");
    let mut first = gateway.client();
    rebind(&gateway, bound_for(bytes, 92));
    let shut = eventually("no connections are taken", || {
        assert_eq!(first.ask("GET /x").response().text(), "ok", "who is in is served");
        Some(gateway.metrics()).filter(|metrics| level(metrics) > 1)
    });
    assert_eq!(level(&shut), 2, "{}", gateway.said());
    gateway.wait_for_line("new connections are reset");
    assert!(turned_away(&gateway));
    // Who says nothing goes.
    idle.ends();
    let rejected = gateway.metrics().sum("floodgate_connections_rejected_total", &[("limit", "memory")]);
    assert!(rejected >= 1.0);
    assert_eq!(gateway.ask_admin("GET /healthz").status, 200);

    rebind(&gateway, bound_for(bytes, 60));
    wait_for(&gateway, "memory is enough", |now| level(now) == 0);
    let mut clients = ["GET /x", "GET /x\nhost: h", "GET /s/x\nhost: r"].map(|asks| (asks, gateway.client()));
    for (asks, client) in &mut clients {
        assert_eq!(client.ask(asks).response().text(), "ok", "{asks}");
    }
    rebind(&gateway, bound_for(bytes, 98));
    let refused = eventually("requests are refused", || {
        let answers = clients.each_mut().map(|(asks, client)| client.ask(asks).response());
        answers.iter().all(|answer| answer.status == 503).then_some(answers)
    });
    for answer in &refused {
        assert_eq!(answer.message(), "Service Unavailable");
    }
    let [proxy, http, rest] = &refused;
    assert!(proxy.field("apigw-requestid").is_none() && proxy.field("x-amzn-ErrorType").is_none());
    assert!(http.field("apigw-requestid").is_some());
    assert_eq!(rest.field("x-amzn-ErrorType"), Some("ServiceUnavailableException"));
    gateway.wait_for_line("requests are refused");
    let metrics = gateway.metrics();
    assert_eq!(level(&metrics), 3);
    assert!(metrics.sum("floodgate_refusals_total", &[("reason", "overloaded")]) >= 3.0);
    assert_eq!(gateway.ask_admin("GET /healthz").status, 200);

    rebind(&gateway, bound_for(bytes, 60));
    eventually("requests are served again", || {
        let answers = clients.each_mut().map(|(asks, client)| client.ask(asks).response());
        answers.iter().all(|answer| answer.text() == "ok").then_some(())
    });
    assert_eq!(gateway.ask("GET /x").text(), "ok");
}

/// Whether a new connection is reset.
fn turned_away(gateway: &Gateway) -> bool {
    // The reset may come before the connection is known to be there.
    let Ok(mut client) = TcpStream::connect(gateway.address()) else { return true };
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let sent = client.write_all(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    let reset = sent.and_then(|()| client.read(&mut [0; 1]));
    reset.is_err_and(|error| matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe))
}
