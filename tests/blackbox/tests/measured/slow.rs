//! Many slow clients beside a few good ones (row O3): what they cost, when they are cut, and what the others notice.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    panic::resume_unwind,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use harness::{Gateway, descriptors_max};

use crate::EndsWith;

/// Row O3; fewer where there are not descriptors enough for both ends.
const SLOW: usize = 10_000;
/// Descriptors of this process that are not for slow clients.
const OTHERS: usize = 500;
/// Between two bytes of a slow head.
const DRIP: Duration = Duration::from_secs(4);
/// How long good clients ask at least.
const LEAST: Duration = Duration::from_secs(3);
/// A head has ten seconds.
const CUT_MAX: Duration = Duration::from_secs(12);
/// In which all of them come.
const COMING: Duration = Duration::from_secs(4);
/// Slow clients are looked at a part at a time, each four times a second: few at once, since the good ones' times are
/// taken on the same processor.
const TICK: Duration = Duration::from_millis(1);
const TICKS_A_LOOK: usize = 250;
const BYTES_EACH_MAX: u64 = 4_000;
/// A client that is later than this by itself shares its processor with others, and so does a gateway that is slower than
/// this when nobody else asks: twice of what others make it says nothing.
const LATE_MAX: Duration = Duration::from_millis(1);
/// Runs that are made, since a machine that others use as well makes any single one slow.
const RUNS_MAX: usize = 3;

struct SlowClient {
    stream: TcpStream,
    since: Instant,
    dripped: Instant,
}

/// What came of a run.
#[derive(Debug)]
struct Run {
    slow: usize,
    bytes_each: u64,
    cut_first: Duration,
    cut_last: Duration,
    p99_before: Duration,
    p99_during: Duration,
    /// By how much the good clients missed their own times meanwhile.
    late_p99: Duration,
}

#[test]
fn ten_thousand_slow_heads() {
    if cfg!(debug_assertions) && !harness::gateway_binary().to_string_lossy().contains("release") {
        return harness::skip("ten_thousand_slow_heads", "the gateway was built without optimisation");
    }
    let mut runs = Vec::new();
    while runs.len() < RUNS_MAX {
        let run = run();
        println!("{run:?}");
        assert!(run.bytes_each <= BYTES_EACH_MAX, "{run:?}");
        assert!(run.slow == SLOW || descriptors_max() < SLOW + OTHERS, "{run:?}");
        assert!(run.cut_first >= Duration::from_secs(9), "{run:?}");
        assert!(run.cut_last <= CUT_MAX, "{run:?}");
        if run.is_quiet() && run.p99_during < run.p99_before * 2 {
            return;
        }
        runs.push(run);
    }
    // Who could not keep its own times says nothing about the gateway.
    if !runs.iter().any(Run::is_quiet) {
        return harness::skip(
            "ten_thousand_slow_heads",
            "the machine was too busy to judge the good clients",
        );
    }
    panic!("good clients noticed the slow ones each time: {runs:#?}");
}

impl Run {
    /// Whether it says something about the gateway, and not about who else used the machine.
    fn is_quiet(&self) -> bool {
        self.late_p99 <= LATE_MAX && self.p99_before <= LATE_MAX
    }
}

fn run() -> Run {
    let count = SLOW.min(descriptors_max().saturating_sub(OTHERS));
    // What is asked is what the gateway makes others wait, not whom the kernel lets run first.
    let parted = harness::part();
    let gateway =
        Gateway::with("[[route]]\nmatch = \"$default\"\nmock = { status = 200, body = \"well\" }\n")
            .node(&format!("connections_max = {}", count + OTHERS))
            .start();
    let address = gateway.address();
    parted.give(gateway.pid(), "core-0");
    let p99_before = p99(good_clients(address, "GET /", LEAST, &AtomicBool::new(true)).times);
    let before = gateway.rss_bytes();
    let begun = Instant::now();
    let slow: Vec<_> = (0..count)
        .map(|number| {
            let due = begun + COMING.mul_f64(number as f64 / count as f64);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            begin(address)
        })
        .collect();
    harness::eventually("all are in", || {
        let open = gateway.metrics().sum("floodgate_connections_open", &[]);
        (open >= count as f64 || slow[0].since.elapsed() > CUT_MAX).then_some(())
    });
    let bytes_each = gateway.rss_bytes().saturating_sub(before) / count as u64;
    let over = AtomicBool::new(false);
    let (cuts, noticed) = thread::scope(|scope| {
        let good = scope.spawn(|| good_clients(address, "GET /", LEAST, &over));
        let ends = EndsWith(&over);
        let cuts = drip(slow);
        drop(ends);
        (cuts, good.join().unwrap())
    });
    assert_eq!(cuts.len(), count);
    Run {
        slow: count,
        bytes_each,
        cut_first: cuts.iter().min().copied().unwrap_or_default(),
        cut_last: cuts.iter().max().copied().unwrap_or_default(),
        p99_before,
        p99_during: p99(noticed.times),
        late_p99: p99(noticed.late),
    }
}

/// Connects and says the begin of a head.
fn begin(address: SocketAddr) -> SlowClient {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ").unwrap();
    stream.set_nonblocking(true).unwrap();
    let since = Instant::now();
    SlowClient { stream, since, dripped: since }
}

/// A byte to each now and then, until all are cut; says after what time each was. They do so one after another, as
/// clients do that know nothing of each other.
fn drip(mut slow: Vec<SlowClient>) -> Vec<Duration> {
    let begun = Instant::now();
    let (mut cuts, mut due, mut number) = (Vec::new(), begun, 0);
    while !slow.is_empty() && begun.elapsed() < CUT_MAX * 2 {
        let in_tick = (slow.len() / TICKS_A_LOOK).max(1);
        for _ in 0..in_tick.min(slow.len()) {
            number %= slow.len();
            let client = &mut slow[number];
            let mut answer = [0; 512];
            match client.stream.read(&mut answer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if client.dripped.elapsed() >= DRIP {
                        client.dripped = Instant::now();
                        // One that is cut this moment shows it by the next read.
                        let _sent = client.stream.write(b"a");
                    }
                    number += 1;
                }
                read => {
                    let told = read.is_ok_and(|count| answer[..count].starts_with(b"HTTP/1.1 408"));
                    assert!(told, "cut without a word");
                    cuts.push(client.since.elapsed());
                    slow.swap_remove(number);
                    if slow.is_empty() {
                        break;
                    }
                }
            }
        }
        // The pace of the watching, not a wait for anything.
        due += TICK;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    cuts
}

/// What a few clients noticed.
pub(super) struct Noticed {
    /// How long each answer took.
    pub(super) times: Vec<Duration>,
    /// How late it was asked, where the clients were not late by what they waited for before.
    pub(super) late: Vec<Duration>,
    /// They were let run before others.
    pub(super) were_first: bool,
}

/// A few clients that ask at a steady pace, at least for that time and until it is over.
pub(super) fn good_clients(
    address: SocketAddr,
    request: &str,
    least: Duration,
    over: &AtomicBool,
) -> Noticed {
    thread::scope(|scope| {
        scope
            .spawn(|| ask(address, request, least, over))
            .join()
            .unwrap_or_else(|failed| resume_unwind(failed))
    })
}

fn ask(address: SocketAddr, request: &str, least: Duration, over: &AtomicBool) -> Noticed {
    const CLIENTS: usize = 8;
    const BETWEEN: Duration = Duration::from_micros(2_500);
    let were_first = harness::go_first();
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| harness::Connection::open(address)).collect();
    let begun = Instant::now();
    let (mut due, mut times, mut late) = (begun, Vec::new(), Vec::new());
    while begun.elapsed() < least || !over.load(Ordering::Relaxed) {
        for client in &mut clients {
            // The pace of the asking, not a wait for anything.
            let early = due.saturating_duration_since(Instant::now());
            thread::sleep(early);
            let asked = Instant::now();
            // An answer that came late makes its client late too; only a sleep that was too long is the machine's.
            if !early.is_zero() {
                late.push(asked - due);
            }
            assert_eq!(client.ask(request).response().status, 200);
            times.push(asked.elapsed());
            due = (due + BETWEEN).max(asked);
        }
    }
    Noticed { times, late, were_first }
}

pub(super) fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() * 99 / 100]
}
