//! Changes of configuration under load and of great size: what they cost those who are being served.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use harness::{Act, Connection, Gate, Gateway, Nginx, Origin, wrk, wrk_saying};

/// Rule R7: a change of 10,000 routes is in force within this time.
pub(super) const TAKEN_MAX: Duration = Duration::from_secs(2);

/// The same for a gateway that was built without optimisation, which takes some five times as long.
pub(super) const TAKEN_UNOPTIMISED_MAX: Duration = Duration::from_secs(10);

/// Rule R7: so long may a core do nothing else, as the metrics' bucket says it.
pub(super) const HELD_S_MAX: &str = "0.001";

pub(super) fn is_optimised() -> bool {
    harness::gateway_binary().to_string_lossy().contains("release")
}

/// 10,000 routes, and one that says which configuration it is.
fn large(generation: usize) -> String {
    format!(
        "[[route]]\nmatch = \"GET /generation\"\nmock = {{ status = 200, body = \"{generation}\" }}\n{}",
        routes(10_000, generation)
    )
}

/// Routes with a throttle or a group of backends each, half of which are others in each generation.
fn routes(count: usize, generation: usize) -> String {
    let mut text = String::new();
    for route in 0..count {
        let of = if route % 4 < 2 { generation } else { 0 };
        text += &format!("[[route]]\nmatch = \"GET /{of}/{route}/{{id}}\"\n");
        text += &match route % 2 {
            0 => "mock = { status = 200 }\nthrottle = { rate = \"10/s\" }\n".to_owned(),
            _ => format!("url = \"http://127.0.{}.{}:{}\"\n", route / 250, route % 250 + 1, 1_000 + of),
        };
    }
    text
}

/// A core that was held for longer than a millisecond may, on a machine with other work, have waited for a processor: then
/// the run is made again, at most twice. A gateway that was built without optimisation is held to the first bound alone.
#[test]
fn ten_thousand_routes_are_swapped_and_no_core_stalls() {
    let gateway = Gateway::with(&large(0)).workers(2).start();
    let mut generation = 0;
    let mut run = || {
        let before = gateway.metrics();
        let mut taken_max = Duration::ZERO;
        for _ in 0..5 {
            generation += 1;
            gateway.configure(&large(generation));
            let asked = Instant::now();
            let output = gateway.reload();
            taken_max = taken_max.max(asked.elapsed());
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(gateway.ask("GET /generation").text(), generation.to_string());
        }
        let after = gateway.metrics();
        let more = |name: &str, labels: &[(&str, &str)]| after.sum(name, labels) - before.sum(name, labels);
        let swaps = more("floodgate_swap_seconds_count", &[]);
        let stalls = swaps - more("floodgate_swap_seconds_bucket", &[("le", HELD_S_MAX)]);
        println!("{taken_max:?} at most, {swaps} swaps, {stalls} of them longer than {HELD_S_MAX} s");
        assert!(swaps >= 10.0, "{swaps} swaps of two cores in five changes");
        (taken_max, stalls)
    };
    let (mut taken_max, mut stalls) = run();
    for _ in 0..2 {
        if is_optimised() && stalls > 0.0 {
            (taken_max, stalls) = run();
        }
    }
    assert!(!is_optimised() || stalls == 0.0, "a core was held for longer than {HELD_S_MAX} s");
    let bound = if is_optimised() { TAKEN_MAX } else { TAKEN_UNOPTIMISED_MAX };
    assert!(taken_max < bound, "{taken_max:?}");
    // What nobody uses any more is not kept.
    harness::eventually("earlier generations are freed", || {
        (gateway.metrics().sum("floodgate_generations_held", &[]) == 0.0).then_some(())
    });
}

/// Rule R1: as many in 60 s; here in half of that.
const RELOADS: u32 = 100;
const PACE: Duration = Duration::from_millis(300);

/// Rule R1: routes of the file that is taken again and again.
const ROUTES: usize = 500;

/// What is asked of a gateway whose configuration changes: an answer of its own that says which one it is, long enough to
/// be cut, and a backend's. The other routes nobody asks for.
fn numbered(number: u32, nginx: &Nginx) -> String {
    format!(
        "[[route]]\nmatch = \"GET /number\"\nmock = {{ status = 200, body = {:?} }}\n\
         [[route]]\nmatch = \"GET /small\"\nurl = \"{}\"\n\
         [[route]]\nmatch = \"GET /only/in/{number}\"\nurl = \"{}\"\n{}",
        body(number),
        nginx.url(),
        nginx.url(),
        routes(ROUTES - 3, number as usize),
    )
}

fn body(number: u32) -> String {
    format!("{number} ").repeat(1_000)
}

/// Clients that look at each answer whole, while wrk puts load on the gateway in both ways.
struct Clients<'a> {
    gateway: &'a Gateway,
    /// The configuration that every core serves: what is asked from now on is answered by none before it.
    in_force: AtomicU32,
    over: AtomicBool,
}

impl Clients<'_> {
    /// Asks until it is over; how long each answer took.
    fn ask(&self, keeps: bool) -> Vec<Duration> {
        let mut connection = self.gateway.connect();
        let (mut took, mut last) = (Vec::new(), 0);
        while !self.over.load(Ordering::Relaxed) {
            let at_least = self.in_force.load(Ordering::SeqCst).max(if keeps { last } else { 0 });
            let begun = Instant::now();
            if !keeps {
                connection = self.gateway.connect();
            }
            last = self.number(&mut connection, keeps, at_least);
            if keeps {
                let small = connection.ask("GET /small").response();
                assert_eq!((small.status, small.text().as_str()), (200, "small"));
            }
            took.push(begun.elapsed());
        }
        took
    }

    /// Which configuration answered.
    fn number(&self, connection: &mut Connection, keeps: bool, at_least: u32) -> u32 {
        let request = if keeps { "GET /number" } else { "GET /number\nconnection: close" };
        let answer = connection.ask(request).response();
        let text = answer.text();
        let number = text.split(' ').next().and_then(|number| number.parse().ok());
        let number = number.unwrap_or_else(|| panic!("{} {text:.80}", answer.status));
        assert!(number >= at_least, "{number} after {at_least} was in force");
        assert!(answer.status == 200 && text == body(number), "{} {text:.80}", answer.status);
        if !keeps {
            assert_eq!(connection.rest(), b"");
        }
        number
    }
}

/// nginx fails some 36 requests a reload, HAProxy 5, Caddy 10, measured on kept connections. Here none fails, none is
/// reset, none is short, and none is answered by what is in force no more.
///
/// Nor does anybody wait longer: p99.9 stays below twice what it is without reloads. The load takes every processor there
/// is, and others may use the machine as well, more now than a moment ago: by how much is told by who only sleeps and is
/// woken late, and what is allowed grows by that. A run that fails is made again, at most twice. Before all others on two cores it
/// took 7.3 and 5.1 ms with reloads after 6.9 and 5.1 without (io_uring, epoll): 1.06 and 0.99 times as long; with a file of three
/// routes 0.65 and 1.46 times. Beside builds that took three quarters of the machine, 1.58 and 2.07 times, when the sleeper was
/// woken 1.50 and 1.88 times as late.
#[test]
fn a_hundred_reloads_under_load_cost_nobody_anything() {
    let nginx = Nginx::start();
    let gateway = Gateway::with(&numbered(0, &nginx)).workers(2).start();
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let calm = load(&gateway, &nginx, 0);
        let changing = load(&gateway, &nginx, RELOADS);
        let busier = changing.late.div_duration_f64(calm.late).max(1.0);
        println!(
            "p99.9 without reloads {calm:?}, with them {changing:?}, the machine {busier:.2} times as busy"
        );
        if !is_optimised() || changing.exchange < calm.exchange.mul_f64(2.0 * busier) {
            return;
        }
        seen.push((calm, changing));
    }
    panic!("who was served noticed the reloads: {seen:#?}");
}

/// p99.9 of a run.
#[derive(Debug)]
struct Waits {
    /// Of what the strict clients asked.
    exchange: Duration,
    /// By how much one was woken too late who wanted nothing of the gateway.
    late: Duration,
}

fn p99_9(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() * 999 / 1_000]
}

/// Sleeps again and again until it is over: by how much too long each time.
fn bystander(over: &AtomicBool) -> Vec<Duration> {
    const NAP: Duration = Duration::from_millis(1);
    let mut late = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        // What is measured, not a wait for anything.
        thread::sleep(NAP);
        late.push(begun.elapsed() - NAP);
    }
    late
}

/// Load for as long as so many reloads take, at least for some seconds.
fn load(gateway: &Gateway, nginx: &Nginx, reloads: u32) -> Waits {
    let time = (PACE * reloads).max(Duration::from_secs(4));
    // wrk ends by itself, when the last reload is over.
    let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX) + 1;
    let clients = Clients { gateway, in_force: AtomicU32::new(0), over: AtomicBool::new(false) };
    let (took, late, runs) = thread::scope(|scope| {
        let late = scope.spawn(|| bystander(&clients.over));
        let strict: Vec<_> = [true, true, false, false]
            .map(|keeps| {
                scope.spawn({
                    let clients = &clients;
                    move || clients.ask(keeps)
                })
            })
            .into();
        let ends = crate::EndsWith(&clients.over);
        let (small, number) = (gateway.url("/small"), gateway.url("/number"));
        let kept = scope.spawn(move || wrk(&small, 32, seconds));
        let single = scope.spawn(move || wrk_saying(&number, 16, seconds, &["Connection: close"]));
        let begun = Instant::now();
        for number in 1..=reloads {
            gateway.configure(&numbered(number, nginx));
            let output = gateway.reload();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            clients.in_force.store(number, Ordering::SeqCst);
            // The pace of the changes, not a wait for anything.
            thread::sleep((PACE * number).saturating_sub(begun.elapsed()));
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{reloads} reloads took {:?}", begun.elapsed());
        let runs = [kept, single].map(|wrk| wrk.join().unwrap());
        drop(ends);
        let took: Vec<Duration> =
            strict.into_iter().flat_map(|client| client.join().expect("a client failed")).collect();
        (took, late.join().unwrap(), runs)
    });
    for run in &runs {
        assert!(run.errors == 0 && run.refused == 0 && run.requests > 1_000, "{run:?}");
    }
    assert!(took.len() > 1_000, "only {} exchanges", took.len());
    println!(
        "{reloads} reloads: {} exchanges looked at, wrk: {} kept, {} single",
        took.len(),
        runs[0].requests,
        runs[1].requests
    );
    Waits { exchange: p99_9(took), late: p99_9(late) }
}

/// Rule R2, for what there is: streams and tunnels that began before are none of a reload's business.
#[test]
fn a_thousand_tunnels_and_a_hundred_streams_outlive_a_hundred_reloads() {
    const TUNNELS: usize = 1_000;
    const STREAMS: usize = 100;
    harness::raise_descriptor_limit();
    let last = Gate::default();
    let waits = last.clone();
    let origin = Origin::start(move |request| match request.target() {
        "/tunnel" => vec![
            Act::Send(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n"
                    .to_vec(),
            ),
            Act::Echo,
        ],
        _ => vec![
            Act::Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfirst \r\n".to_vec()),
            Act::Wait(waits.clone()),
            Act::Send(b"4\r\nlast\r\n0\r\n\r\n".to_vec()),
        ],
    });
    let routes = |number: u32| {
        // Each its own group of backends, which is another with each change.
        format!(
            "{}[[route]]\nmatch = \"GET /{number}\"\nmock = {{ status = 200 }}\n",
            crate::everything(&origin.url())
        )
    };
    let gateway = Gateway::with(&routes(0)).workers(2).start();
    // Each asks at once: who says nothing for long is not kept.
    let ask = |request: &str| {
        let mut connection = gateway.connect();
        connection.ask(request);
        connection
    };
    let mut tunnels: Vec<_> =
        (0..TUNNELS).map(|_| ask("GET /tunnel\nconnection: upgrade\nupgrade: echo/1")).collect();
    for tunnel in &mut tunnels {
        assert_eq!(tunnel.response().status, 101);
    }
    let mut streams: Vec<_> = (0..STREAMS).map(|_| ask("GET /stream")).collect();
    origin.received(TUNNELS + STREAMS);
    for number in 1..=RELOADS {
        // The last one takes their route away.
        gateway.configure(&if number < RELOADS { routes(number) } else { large(0) });
        let output = gateway.reload();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // Each is used between two of them.
        let some = (number as usize * 37) % (TUNNELS - 10);
        for (at, tunnel) in tunnels[some..some + 10].iter_mut().enumerate() {
            let said = format!("{number} {at}");
            assert_eq!(tunnel.send(&said).bytes(said.len()), said.as_bytes());
        }
    }
    for (at, tunnel) in tunnels.iter_mut().enumerate() {
        let said = format!("at the end {at}");
        assert_eq!(tunnel.send(&said).bytes(said.len()), said.as_bytes());
    }
    last.open();
    for stream in &mut streams {
        assert_eq!(stream.response().text(), "first last");
    }
    assert_eq!(gateway.ask("GET /tunnel").status, 404);
    drop((tunnels, streams));
    harness::eventually("earlier generations are freed", || {
        (gateway.metrics().sum("floodgate_generations_held", &[]) == 0.0).then_some(())
    });
}
