//! Rule O1: three times as much as a backend can do is offered, and it goes on doing nearly all it can.

use std::{
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use harness::{Act, Connection, Gateway, Origin, wrk};

use crate::everything_with;

/// What the backend takes for a request; it serves one at a time, in the order they come.
const SERVICE: Duration = Duration::from_millis(4);

/// Calls at once. By Little's law one is enough to keep such a backend busy; eight, so that it is never idle while an
/// answer is on its way, and no more, so that a call waits for seven others and not for the backlog of a queue: whoever
/// is let in is answered within 32 ms, and all others know at once that they are not. An operator would choose it so,
/// some times what the backend does at once and well below deadline / service time. Without it, as many requests as there
/// are connections wait at the backend, and it works on those whose clients have given up.
const IN_FLIGHT_MAX: u32 = 8;

/// An answer that comes later is worth nothing to its client.
const DEADLINE: Duration = Duration::from_millis(100);

/// Clients that ask by the clock. So many that each one's turn comes later than its last answer, which is what makes the
/// load an open one.
const CLIENTS: u32 = 100;

/// How long each load lasts.
const SECONDS: u32 = 4;

/// What the open load came to.
#[derive(Debug, Default)]
struct Tally {
    good: AtomicU64,
    late: AtomicU64,
    refused: AtomicU64,
    refused_late: AtomicU64,
    other: AtomicU64,
    /// Turns that came before the answer of the turn before.
    missed: AtomicU64,
}

/// Who came first is served first. A `Mutex` lets in whoever is running when it is free: on a busy machine some wait for ever.
#[derive(Default)]
struct Line {
    came: AtomicU64,
    served: Mutex<u64>,
    moved: Condvar,
}

impl Line {
    fn serve(&self) {
        let number = self.came.fetch_add(1, Relaxed);
        let served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = self.moved.wait_while(served, |served| *served != number);
        let mut served = wait.unwrap_or_else(PoisonError::into_inner);
        // What the work of a request takes.
        thread::sleep(SERVICE);
        *served += 1;
        self.moved.notify_all();
    }
}

/// Offers so many requests a second, whatever comes back.
fn offer(gateway: &Gateway, rate_per_s: f64) -> Tally {
    let tally = Tally::default();
    let interval = Duration::from_secs_f64(f64::from(CLIENTS) / rate_per_s);
    let begun = Instant::now();
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let tally = &tally;
            scope.spawn(move || {
                let mut client = Connection::open(gateway.address());
                let mut turn = begun + interval * number / CLIENTS;
                while turn < begun + Duration::from_secs(SECONDS.into()) {
                    let now = Instant::now();
                    if now > turn + interval {
                        tally.missed.fetch_add(1, Relaxed);
                    }
                    // The pace of the load, not a wait for anything.
                    thread::sleep(turn.saturating_duration_since(now));
                    let asked = Instant::now();
                    let status = client.ask("GET /").response().status;
                    let took = asked.elapsed();
                    let counter = match status {
                        200 if took <= DEADLINE => &tally.good,
                        200 => &tally.late,
                        503 if took <= Duration::from_millis(50) => &tally.refused,
                        503 => &tally.refused_late,
                        _ => &tally.other,
                    };
                    counter.fetch_add(1, Relaxed);
                    turn += interval;
                }
            });
        }
    });
    tally
}

#[test]
fn three_times_what_a_backend_can_do() {
    let line = Line::default();
    let origin = Origin::forgetful(move |_| {
        line.serve();
        vec![Act::answer(200, &[], "ok")]
    });
    let upstream = format!("in_flight_max = {IN_FLIGHT_MAX}\nfirst_byte_timeout = \"100ms\"");
    let gateway = Gateway::start(&everything_with(&origin.url(), &upstream));
    let closed = wrk(&gateway.url("/"), IN_FLIGHT_MAX, SECONDS);
    assert_eq!((closed.refused, closed.errors), (0, 0), "{closed:?}");
    let peak_per_s = closed.requests_per_s;
    let tally = offer(&gateway, 3.0 * peak_per_s);
    let count = |counter: &AtomicU64| counter.load(Relaxed) as f64;
    let good_per_s = count(&tally.good) / f64::from(SECONDS);
    let all = count(&tally.good) + count(&tally.late) + count(&tally.refused) + count(&tally.refused_late);
    println!("peak {peak_per_s:.0}/s, under 3 x {good_per_s:.0}/s: {tally:?}");
    assert!(
        all >= 2.7 * peak_per_s * f64::from(SECONDS),
        "not three times as much: {tally:?}, {peak_per_s}/s"
    );
    assert_eq!(count(&tally.other), 0.0, "{tally:?}");
    assert!(good_per_s >= 0.9 * peak_per_s, "{good_per_s}/s of {peak_per_s}/s: {tally:?}");
    let in_time = count(&tally.refused);
    assert!(in_time >= 0.99 * (in_time + count(&tally.refused_late)), "refused late: {tally:?}");
    // And when it is over, it is over.
    let after = wrk(&gateway.url("/"), IN_FLIGHT_MAX, 1);
    assert!(after.refused == 0 && after.requests_per_s >= 0.9 * peak_per_s, "{after:?}");
}
