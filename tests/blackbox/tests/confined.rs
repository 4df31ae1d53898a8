//! A node in a control group whose memory is bounded, with nothing said about memory in its configuration: the kernel kills
//! who takes more, so the ladder has to be quicker than clients who ask for much and read nothing (row O2).

use std::sync::Arc;

use harness::{Act, Cgroup, Client, Gateway, Origin, eventually, raise_descriptor_limit, skip};

over_both! {
    slow_clients_of_what_could_be_kept_kill_nobody
    slow_clients_of_streams_kill_nobody
}

const MIB: u64 = 1 << 20;
/// Row O2.
const MEMORY_MAX: u64 = 256 * MIB;
/// A quarter of it.
const CACHE_BYTES_MAX: u64 = 64 * MIB;
const CACHE_DEFAULT: &str = "64MiB";
const BODY_BYTES: usize = 6 << 20;
const SMALL_BODY_BYTES: usize = 900 << 10;
/// Waves of clients, and how many there are in each. All bodies are many times what there is.
const WAVES: usize = 4;
const IN_WAVE: usize = 100;

/// Each asks for a body of its own that could be kept: it is fetched ahead of a client that does not read.
fn slow_clients_of_what_could_be_kept_kill_nobody() {
    let kept = |number| format!("/kept/{number}");
    never_killed("slow_clients_of_what_could_be_kept_kill_nobody", CACHE_DEFAULT, kept);
}

/// A cache of half the group would leave them too little: it is cut.
#[test]
fn slow_clients_beside_a_large_cache_kill_nobody() {
    let kept = |number| format!("/kept/{number}");
    never_killed("slow_clients_beside_a_large_cache_kill_nobody", "128MiB", kept);
}

#[test]
fn slow_clients_of_one_kept_body_kill_nobody() {
    never_killed("slow_clients_of_one_kept_body_kill_nobody", CACHE_DEFAULT, |_| "/kept/one".to_owned());
}

fn slow_clients_of_streams_kill_nobody() {
    let streamed = |number| format!("/streamed/{number}");
    never_killed("slow_clients_of_streams_kill_nobody", CACHE_DEFAULT, streamed);
}

/// One that is configured larger than the group, filled as fast as one client can ask: it holds what it was cut to.
#[test]
fn a_cache_larger_than_the_group_is_cut() {
    let Some(group) = group("a_cache_larger_than_the_group_is_cut", MEMORY_MAX) else { return };
    let origin = origin();
    let gateway = Gateway::with(&config(&origin, "1GiB")).cgroup(&group).start();
    gateway.wait_for_line("the cache is 64 MiB instead of 1024 MiB");
    let capacity = gateway.metrics().sum("floodgate_cache_capacity_bytes", &[]);
    // Rounded down for each core, of which some is for notes about what is asked for often.
    assert!((60 * MIB..=CACHE_BYTES_MAX).contains(&(capacity as u64)), "{capacity}");
    fill(&gateway);
    assert_eq!(group.killed(), 0, "{}", gateway.said());
    let metrics = gateway.metrics();
    assert!(metrics.sum("floodgate_cache_evictions_total", &[]) > 0.0);
    assert_eq!(metrics.sum("floodgate_cache_capacity_bytes", &[]), capacity);
    let used = metrics.sum("floodgate_cache_used_bytes", &[]);
    assert!(used > capacity / 2.0 && used <= capacity, "{used} of {capacity}");
    assert_eq!(metrics.sum("floodgate_memory_pressure", &[]), 0.0, "{}", gateway.said());
    serves_again(&gateway, &group);
}

/// It makes room for clients whose responses it does not keep, and may grow when they have gone. In a smaller group, so that
/// a few hundred clients suffice where the kernel does not charge what it buffers for them (version 1).
#[test]
fn a_full_cache_shrinks_for_slow_clients() {
    /// At once, between two looks at what has become of the cache.
    const TOGETHER: usize = 8;
    let Some(group) = group("a_full_cache_shrinks_for_slow_clients", MEMORY_MAX / 2) else { return };
    let origin = origin();
    let gateway = Gateway::with(&config(&origin, CACHE_DEFAULT)).cgroup(&group).start();
    gateway.wait_for_line("the cache is 32 MiB instead of 64 MiB");
    let full = gateway.metrics().sum("floodgate_cache_capacity_bytes", &[]);
    fill(&gateway);
    let mut slow = Vec::new();
    let shrunk = eventually("the cache shrinks", || {
        let now = gateway.metrics();
        if now.sum("floodgate_memory_pressure", &[]) == 0.0 {
            let first = slow.len();
            let mut clients: Vec<_> = (first..first + TOGETHER)
                .filter_map(|number| ask(&gateway, &format!("/streamed/{number}")))
                .collect();
            clients.retain_mut(|client| client.try_begun().is_some());
            slow.extend(clients);
        }
        let bytes = now.sum("floodgate_cache_capacity_bytes", &[]);
        (bytes < full && now.sum("floodgate_cache_used_bytes", &[]) <= bytes).then_some(bytes)
    });
    assert_eq!(group.killed(), 0, "{}", gateway.said());
    println!("{} to {} MiB for {} clients", full as u64 / MIB, shrunk as u64 / MIB, slow.len());
    drop(slow);
    serves_again(&gateway, &group);
    eventually("the cache may grow again", || {
        (gateway.metrics().sum("floodgate_cache_capacity_bytes", &[]) > shrunk).then_some(())
    });
}

fn group(test: &str, memory_max: u64) -> Option<Arc<Cgroup>> {
    raise_descriptor_limit();
    Cgroup::with_memory_max(memory_max).map(Arc::new).map_err(|why| skip(test, &why)).ok()
}

fn origin() -> Origin {
    // Made once: hundreds of clients, and nobody waits for a body to be made for each.
    let of = |bytes| Act::answer(200, &[], &"x".repeat(bytes));
    let (tiny, small, large) = (of(2), of(SMALL_BODY_BYTES), of(BODY_BYTES));
    Origin::forgetful(move |asked| {
        let answer = match asked.target() {
            "/x" => &tiny,
            target if target.contains("small") => &small,
            _ => &large,
        };
        vec![answer.clone()]
    })
}

fn config(origin: &Origin, cache: &str) -> String {
    let url = origin.url();
    format!(
        "[cache]\nsize = \"{cache}\"\n[timeouts]\nbody_idle = \"1h\"\nresponse_rate_min = \"0B\"\n\
         [[route]]\nmatch = \"/kept/{{name}}\"\nurl = \"{url}\"\ncache = {{ ttl = \"1h\", body_max = \"8MiB\" }}\n\
         [[route]]\nmatch = \"/{{proxy+}}\"\nurl = \"{url}\"\n"
    )
}

fn serves_again(gateway: &Gateway, group: &Cgroup) {
    eventually("all is served again", || {
        assert_eq!(group.killed(), 0, "{}", gateway.said());
        (gateway.metrics().sum("floodgate_memory_pressure", &[]) == 0.0).then_some(())
    });
    assert_eq!(gateway.ask("GET /x").text(), "xx");
}

/// Asks for twice what the group may have, bodies that are kept, one after another.
fn fill(gateway: &Gateway) {
    let mut client = gateway.client();
    for number in 0..2 * MEMORY_MAX / SMALL_BODY_BYTES as u64 {
        assert_eq!(client.ask(&format!("GET /kept/small-{number}")).response().status, 200);
    }
}

/// What the cache holds, what is on its way into it, and what four hundred streams take fit below the bound.
fn never_killed(test: &str, cache: &str, target: impl Fn(usize) -> String) {
    let Some(group) = group(test, MEMORY_MAX) else { return };
    let origin = origin();
    let gateway = Gateway::with(&config(&origin, cache)).cgroup(&group).start();
    let begun = gateway.metrics();
    assert_eq!(begun.sum("floodgate_memory_max_bytes", &[]) as u64, MEMORY_MAX);
    assert!(begun.sum("floodgate_cache_capacity_bytes", &[]) as u64 <= CACHE_BYTES_MAX);
    let mut slow = Vec::new();
    let mut served = 0;
    for wave in 0..WAVES {
        // All of them as fast as can be: nobody waits for the ladder.
        let mut clients: Vec<_> =
            (0..IN_WAVE).filter_map(|number| ask(&gateway, &target(wave * IN_WAVE + number))).collect();
        clients.retain_mut(|client| matches!(client.try_begun(), Some(200 | 503)));
        assert_eq!(group.killed(), 0, "{}", gateway.said());
        served += clients.len();
        slow.extend(clients);
    }
    assert!(served > 0, "nobody was served: {}", gateway.said());
    assert_eq!(gateway.ask_admin("GET /healthz").status, 200);
    println!("{served} served, {} MiB at the end", gateway.rss_bytes() / MIB);
    drop(slow);
    serves_again(&gateway, &group);
}

/// Asks, and reads nothing; `None`: it was turned away.
fn ask(gateway: &Gateway, target: &str) -> Option<Client> {
    gateway.try_client()?.try_ask(&format!("GET {target}"))
}
