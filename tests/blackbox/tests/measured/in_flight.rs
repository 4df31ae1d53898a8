//! Requests in flight, very many at once: what each of them costs.

use std::time::{Duration, Instant};

use harness::{Gateway, eventually, h2, raise_descriptor_limit};

const CONNECTIONS: usize = 1_000;
const STREAMS: u32 = 100;

/// So much memory each may take, the protocol on both sides included.
const BYTES_MAX: u64 = 6 << 10;

/// A hundred thousand at once: a thousand connections of a hundred streams each, and a backend that answers a second after
/// the last of them has come to it. Nobody is refused, and the memory stays where it may be.
#[test]
fn a_hundred_thousand_requests_at_once() {
    raise_descriptor_limit();
    let all = CONNECTIONS * STREAMS as usize;
    let backend = h2::Late::start(all, Duration::from_secs(1));
    let config = format!(
        "[upstream.late]\ntargets = [\"{}\"]\nhttp2 = true\n[[route]]\nmatch = \"$default\"\nupstream = \"late\"\n",
        backend.url()
    );
    let gateway = Gateway::with(&config).workers(2).start();
    assert_eq!(gateway.metrics().sum("floodgate_memory_pressure", &[]), 0.0);
    let before = gateway.rss_bytes();
    let begun = Instant::now();
    let crowd = h2::Crowd::ask(gateway.address(), CONNECTIONS, STREAMS);
    eventually("all are with the backend", || (backend.asked() == all).then_some(()));
    let asked = begun.elapsed();
    let bytes = (gateway.rss_bytes() - before) / all as u64;
    assert_eq!(crowd.answers(STREAMS), Ok(all));
    println!(
        "{all} requests in flight: {bytes} bytes each, {asked:?} until the last was with the backend, {:?} in all",
        begun.elapsed()
    );
    assert!(bytes < BYTES_MAX, "{bytes} bytes a request");
    assert_eq!(gateway.metrics().sum("floodgate_memory_pressure", &[]), 0.0);
}
