//! Floods of HTTP/2 beside a few good clients (row H2): what these notice, and what a flood costs us against what it costs
//! its sender, who begins anew whenever it was ended. On a node neither runs on the gateway's processor, so here the gateway
//! and the good clients have theirs before anybody else: otherwise what is measured are the kernel's slices.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use harness::{
    Act, Gateway, Origin,
    h2::{self, Block},
};

use super::slow::{good_clients, p99};
use crate::{
    EndsWith, everything,
    h2::floods::{Attack, Bomb, FLOODS, FRAMES_MAX, Flood, large_backend, set_off, stall},
};

/// How long each flood lasts.
const TIME: Duration = Duration::from_millis(1_500);
/// Row H2.
const CPU_MAX: f64 = 3.0;
const SLOWER_MAX: f64 = 2.0;
/// Runs of a flood that are made, since a machine that others use as well makes any single one slow.
const RUNS_MAX: usize = 5;
/// Of them so many at least have to have been undisturbed before they say that others notice a flood.
const QUIET_MIN: usize = 2;
/// Good clients that are later than this by themselves share their processor with others.
const LATE_MAX: Duration = Duration::from_millis(1);
/// For so long the kernel may have let others run where the gateway would have: one request in a hundred has to be slow to
/// be seen.
const WAITED_MAX: Duration = Duration::from_millis(15);
/// A connection that was not ended by what it sent is given up.
const END_MAX: Duration = harness::PATIENCE;

/// What the sender gives the kernel at once: the good clients run on his processor, and a call that takes megabytes to the gateway's
/// side makes them late by itself.
const WRITTEN_BYTES_MAX: usize = 16 << 10;

/// What stands behind the routes that floods ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behind {
    /// Answers of our own.
    Mock,
    /// A backend that speaks HTTP/1.1.
    Origin,
}

/// What came of a flood.
#[derive(Debug)]
struct Run {
    /// Connections that were ended.
    ended: usize,
    /// Connections that were not by as many frames as there may be.
    kept: usize,
    p99_before: Duration,
    p99_during: Duration,
    late_p99: Duration,
    /// The gateway's core could have run, and others did.
    waited: Duration,
    /// The gateway's core and the good clients were let run before others.
    is_first: bool,
    /// Our processor time.
    ours: Duration,
    /// The sender's, in the kernel too.
    senders: Duration,
}

impl Run {
    fn is_ended(&self) -> bool {
        self.kept == 0 && self.ended > 0
    }

    /// Whether its times say something about the gateway, and not about who else used the machine.
    fn is_quiet(&self) -> bool {
        let is_flood = self.ours + self.senders >= TIME / 2;
        let is_alone = self.late_p99 <= LATE_MAX && self.p99_before <= LATE_MAX && self.waited <= WAITED_MAX;
        self.is_first && is_flood && is_alone
    }

    fn slower(&self) -> f64 {
        self.p99_during.div_duration_f64(self.p99_before)
    }

    fn cpu(&self) -> f64 {
        self.ours.div_duration_f64(self.senders)
    }
}

#[test]
fn floods_cost_us_no_more_than_their_senders() {
    check(Behind::Mock);
}

#[test]
fn floods_of_a_backend_cost_us_no_more_than_their_senders() {
    check(Behind::Origin);
}

/// Both bars of row H2 for each flood, by the best of some runs. Times of a run that others have disturbed are not judged.
fn check(behind: Behind) {
    let name = format!("floods of {behind:?}");
    if cfg!(debug_assertions) && !super::changes::is_optimised() {
        return harness::skip(&name, "the gateway was built without optimisation");
    }
    let (mut wrong, mut unjudged) = (Vec::new(), 0);
    for flood in FLOODS {
        let mut runs: Vec<Run> = Vec::new();
        let is_noticed = |run: &Run| run.slower() >= SLOWER_MAX;
        let is_enough =
            |run: &Run| !run.is_ended() || run.is_quiet() && !is_noticed(run) && run.cpu() <= CPU_MAX;
        while runs.len() < RUNS_MAX && !runs.last().is_some_and(is_enough) {
            let run = run(flood, behind);
            println!(
                "{}: good clients' p99 is {:.1} times what it was, and our processor time {:.1} times the sender's; {run:?}",
                flood.name,
                run.slower(),
                run.cpu()
            );
            runs.push(run);
        }
        if runs.iter().any(|run| !run.is_ended()) {
            wrong.push(format!("{} is not ended: {runs:?}", flood.name));
        }
        if runs.iter().all(|run| run.cpu() > CPU_MAX) {
            wrong.push(format!("{} costs too much: {runs:?}", flood.name));
        }
        let quiet: Vec<&Run> = runs.iter().filter(|run| run.is_quiet()).collect();
        let has_passed = quiet.iter().any(|run| !is_noticed(run));
        unjudged += usize::from(!has_passed && quiet.len() < QUIET_MIN);
        if !has_passed && quiet.len() >= QUIET_MIN {
            wrong.push(format!("{} is noticed by others: {quiet:?}", flood.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), FLOODS.len(), wrong.join("\n"));
    if unjudged > 0 {
        let why =
            format!("what good clients notice of {unjudged} floods: others used the machine or go first");
        harness::skip(&name, &why);
    }
}

/// Row H3, with the deadlines that are there by default.
#[test]
fn stalled_streams_are_ended_in_time() {
    const TIME_MAX: Duration = Duration::from_secs(30);
    const COOKIE_BYTES: usize = 3_900;
    const WAITING_MIN: usize = 30;
    let origin = large_backend();
    let gateway = Gateway::start(&everything(&origin.url()));
    let begun = Instant::now();
    // Beside them some that are held by their backend, and others that wait for these, since their heads are too much.
    let cookie =
        Block::new().field(h2::hpack::Indexing::Incremental, "cookie", "x".repeat(COOKIE_BYTES), false);
    let (mut waiting, _) =
        set_off(&gateway, &Bomb { name: "cookies", entry: cookie, references: 1, path: "/hold" });
    println!("stalled streams were ended after {:?}", stall(&gateway, TIME_MAX));
    let refused = |it: &h2::Connection| {
        let is_reset = |frame: &&h2::Frame| frame.kind == h2::kind::RST_STREAM;
        it.frames().iter().filter(is_reset).filter_map(|frame| frame.word(0)).collect::<Vec<_>>()
    };
    let left = TIME_MAX.saturating_sub(begun.elapsed());
    while refused(&waiting).len() < WAITING_MIN && begun.elapsed() < TIME_MAX {
        drop(waiting.next_frame_within(left));
    }
    let codes = refused(&waiting);
    assert!(codes.len() >= WAITING_MIN, "{} of those that wait are refused", codes.len());
    assert!(codes.iter().all(|code| *code == h2::code::REFUSED_STREAM), "{codes:?}");
}

fn run(flood: &Flood, behind: Behind) -> Run {
    let parted = harness::part();
    let origin = Origin::forgetful(|request| match request.target() {
        "/hold" => vec![Act::Stall],
        _ => vec![Act::ReadBody, Act::answer(200, &[], "ok")],
    });
    let mock =
        |of: &str| format!("[[route]]\nmatch = \"{of}\"\nmock = {{ status = 200, body = \"well\" }}\n");
    let of_floods = match behind {
        Behind::Mock => mock("ANY /"),
        Behind::Origin => String::new(),
    };
    let gateway = Gateway::start(&[mock("GET /good"), of_floods, everything(&origin.url())].concat());
    let (address, pid) = (gateway.address(), gateway.pid());
    let is_first = parted.give(pid, "core-0");
    let begun = harness::schedule_of(pid);
    let before = good_clients(address, "GET /good", TIME, &AtomicBool::new(true));
    let each_s = harness::schedule_of(pid).since(begun).ran.as_secs_f64() / before.times.len() as f64;
    let over = AtomicBool::new(false);
    let (begun, core_begun) = (harness::schedule_of(pid), harness::schedule_of_thread(pid, "core-0"));
    let (ended, kept, senders, during) = thread::scope(|scope| {
        let good = scope.spawn(|| good_clients(address, "GET /good", TIME, &over));
        let sender = scope.spawn(|| send(address, flood, &over));
        thread::sleep(TIME);
        drop(EndsWith(&over));
        let (ended, kept, senders) = sender.join().unwrap();
        (ended, kept, senders, good.join().unwrap())
    });
    let waited = harness::schedule_of_thread(pid, "core-0").since(core_begun).waited;
    let ran_s = harness::schedule_of(pid).since(begun).ran.as_secs_f64();
    let ours_s = ran_s - each_s * during.times.len() as f64;
    Run {
        ended,
        kept,
        p99_before: p99(before.times),
        p99_during: p99(during.times),
        // Who never was early has not kept its times at all.
        late_p99: if during.late.is_empty() { TIME } else { p99(during.late) },
        waited,
        is_first: is_first && during.were_first,
        ours: Duration::from_secs_f64(ours_s.max(0.0)),
        senders,
    }
}

/// Sends a flood again and again; how many connections were ended, how many were not, and what it cost.
fn send(address: SocketAddr, flood: &Flood, over: &AtomicBool) -> (usize, usize, Duration) {
    let (mut ended, mut kept) = (0, 0);
    while !over.load(Ordering::Relaxed) {
        if send_one(address, flood) { ended += 1 } else { kept += 1 }
    }
    (ended, kept, harness::thread_cpu())
}

/// One connection; whether it was ended by its frames.
fn send_one(address: SocketAddr, flood: &Flood) -> bool {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_nonblocking(true).unwrap();
    let mut attack = Attack::new();
    let mut bytes = [h2::PREFACE, &h2::Frame::settings(&[]).bytes()].concat();
    let mut since = Instant::now();
    let (mut received, mut sent) = ([0; 16 << 10], 0);
    loop {
        if sent == bytes.len() && attack.frames < FRAMES_MAX {
            (bytes, sent) = (attack.batch(flood), 0);
            since = Instant::now();
        }
        let left = bytes.get(sent..).unwrap_or_default();
        let left = left.get(..WRITTEN_BYTES_MAX).unwrap_or(left);
        let written = if left.is_empty() { Ok(0) } else { stream.write(left) };
        let has_room = written.as_ref().is_ok_and(|count| *count > 0);
        match written {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return true,
        }
        match stream.read(&mut received) {
            Ok(0) => return true,
            Ok(_) => continue,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return true,
        }
        if !has_room && (attack.frames >= FRAMES_MAX || sent < bytes.len()) {
            if since.elapsed() > END_MAX {
                return false;
            }
            // The pace of looking, not a wait for anything.
            thread::sleep(Duration::from_micros(100));
        }
    }
}
