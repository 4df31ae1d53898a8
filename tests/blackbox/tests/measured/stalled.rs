//! Clients that stand still in front of a backend of HTTP/2 beside a few good ones that share its connections (row H3): what
//! these notice, and when those are ended by the deadlines that are there by default, for all their drips.

use std::{
    sync::atomic::AtomicBool,
    thread,
    time::{Duration, Instant},
};

use harness::{
    Gateway,
    h2::{self, Block},
};

use super::slow::{good_clients, p99};
use crate::{
    EndsWith,
    h2::{
        everything_over_http2,
        floods::{BOMB_STREAMS, Bomb, set_off_with, stall},
        stalled::{backend, still_over_http1, without_windows},
    },
};

const ENDED_MAX: Duration = Duration::from_secs(30);
/// How long good clients ask before.
const LEAST: Duration = Duration::from_secs(3);
const SLOWER_MAX: f64 = 2.0;
/// Good clients that are later than this by themselves share their processor with others.
const LATE_MAX: Duration = Duration::from_millis(1);
/// Clients of HTTP/1.1 among those that stand still.
const OVER_HTTP1: usize = 40;
/// Runs that are made, since a machine that others use as well makes any single one slow.
const RUNS_MAX: usize = 2;

#[derive(Debug)]
struct Run {
    ended: Duration,
    p99_before: Duration,
    p99_during: Duration,
    late_p99: Duration,
}

impl Run {
    /// Whether its times say something about the gateway, and not about who else used the machine.
    fn is_quiet(&self) -> bool {
        self.late_p99 <= LATE_MAX && self.p99_before <= LATE_MAX
    }
}

#[test]
fn who_stands_still_before_http2_is_ended_and_not_noticed() {
    let name = "who_stands_still_before_http2_is_ended_and_not_noticed";
    let mut runs = Vec::new();
    while runs.len() < RUNS_MAX {
        let run = run();
        println!("{run:?}");
        assert!(run.ended <= ENDED_MAX, "{run:?}");
        if run.p99_during.div_duration_f64(run.p99_before) < SLOWER_MAX {
            return;
        }
        runs.push(run);
    }
    if !runs.iter().any(Run::is_quiet) {
        return harness::skip(name, "the machine was too busy to judge the good clients");
    }
    panic!("good clients noticed them each time: {runs:#?}");
}

fn run() -> Run {
    let parted = harness::part();
    let backend = backend();
    let gateway = Gateway::start(&everything_over_http2(&backend.url(), ""));
    let address = gateway.address();
    parted.give(gateway.pid(), "core-0");
    let before = good_clients(address, "GET /", LEAST, &AtomicBool::new(true));
    let over = AtomicBool::new(false);
    let (ended, during) = thread::scope(|scope| {
        let good = scope.spawn(|| good_clients(address, "GET /", LEAST, &over));
        let ends = EndsWith(&over);
        let begun = Instant::now();
        let large = Bomb { name: "large answers", entry: Block::new(), references: 0, path: "/large" };
        let (mut still, _) = set_off_with(&gateway, &large, without_windows());
        // A connection to the backend has room for a hundred: these share theirs with the good ones.
        let others = still_over_http1(&gateway, OVER_HTTP1);
        stall(&gateway, ENDED_MAX);
        let last = BOMB_STREAMS as u32 * 2 - 1;
        let is_ended = |it: &h2::Connection| (1..=last).step_by(2).all(|stream| it.is_over(stream));
        while !is_ended(&still) && begun.elapsed() <= ENDED_MAX {
            drop(still.next_frame_within(ENDED_MAX.saturating_sub(begun.elapsed())));
        }
        let ended = begun.elapsed();
        drop((ends, others));
        (ended, good.join().unwrap())
    });
    Run {
        ended,
        p99_before: p99(before.times),
        p99_during: p99(during.times),
        late_p99: if during.late.is_empty() { ended } else { p99(during.late) },
    }
}
