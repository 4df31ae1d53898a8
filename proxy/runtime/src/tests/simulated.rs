//! What holds whatever goes wrong.

use super::*;
use crate::Stats;
use crate::simulated::{Injected, Link, TURN_NS};
use bytes::Bytes;
use std::cell::Cell;
use std::num::NonZeroU64;

/// What a run shows: each arrival with its time.
type Trace = Vec<(u64, usize)>;

/// Echoes on a few connections and notes what arrives when.
fn trace(mut runtime: Runtime) -> (Trace, Stats, Clock) {
    let handle = runtime.handle();
    let trace = runtime
        .block_on(async {
            let listener = listen(&handle);
            let address = listener.local_addr();
            let accepting = handle.clone();
            handle.spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    accepting.spawn(async move {
                        while let Ok(Received::Bytes(())) = stream
                            .receive(|bytes| {
                                stream.write(|out| out.extend_from_slice(bytes));
                                (bytes.len(), ())
                            })
                            .await
                        {}
                    });
                }
            });
            let trace = Rc::new(RefCell::new(Vec::new()));
            let clients: Vec<_> = (0..8_usize)
                .map(|index| {
                    let (clock, trace, connect) = (handle.clone(), trace.clone(), handle.connect(address));
                    spawn(&handle, async move {
                        let Ok(stream) = connect.await else { return };
                        for round in 0..8 {
                            let length = index * 3_000 + round + 1;
                            stream.write(|out| out.extend_from_slice(&pattern(length)));
                            let mut got = 0;
                            while got < length {
                                let Ok(bytes) = receive_some(&stream).await else { return };
                                got += bytes.len();
                                trace.borrow_mut().push((clock.now().mono_ns, bytes.len()));
                            }
                        }
                    })
                })
                .collect();
            for client in clients {
                client.await;
            }
            handle.sleep(Duration::from_millis(500)).await;
            trace.take()
        })
        .unwrap();
    (trace, handle.stats(), handle.now())
}

#[test]
fn without_faults_it_is_the_memory_driver() {
    // What is under way has memory of its own, so that the pool is asked less often.
    let shown = |runtime| {
        let (trace, stats, clock) = trace(runtime);
        (trace, Stats { buffers_pooled: 0, buffers_allocated: 0, ..stats }, clock)
    };
    let memory = shown(Runtime::start_memory(&options()).unwrap());
    let simulated = shown(Runtime::start_simulated(&options(), Faults::none()).unwrap());
    assert!(memory.0.len() >= 64);
    assert_eq!(memory, simulated);
}

#[test]
fn the_same_seed_is_the_same_run_and_another_is_another() {
    let run = |seed| trace(Runtime::start_simulated(&options(), Faults::all(seed)).unwrap());
    let (first, again, other) = (run(1), run(1), run(2));
    assert_eq!(first, again);
    assert_ne!(first, other);
}

/// Seeds in every run of the tests.
const SEEDS: u64 = 256;
/// Connections of a run, half of them to each of two listeners.
const CONNECTIONS: usize = 12;
/// The most bytes that one end writes.
const LENGTH_MAX: usize = 24_000;

/// What one end of a connection came to.
#[derive(Clone, Debug, Default)]
struct Told {
    received: usize,
    /// It has seen the end of what the other wrote.
    ended: bool,
    /// Everything it wrote, and the end behind it, was taken off its hands.
    flushed: bool,
    errors: Vec<io::ErrorKind>,
    done: bool,
}

/// One direction of a connection: bytes that show where they belong, and how many.
#[derive(Clone)]
struct Text(Bytes);

impl Text {
    fn of(all: &Bytes, connection: usize, of_client: bool) -> Self {
        let start = connection * 2 + usize::from(of_client);
        let length = (connection * 7_919 + usize::from(of_client) * 4_801 + 1) % LENGTH_MAX;
        Self(all.slice(start..start + length))
    }
}

/// How an end takes its leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manners {
    /// Reads to the end of the other and has everything flushed.
    Stays,
    /// Drops the connection some time later, whatever it is doing.
    Leaves(Duration),
    /// Resets it some time later.
    Aborts(Duration),
}

/// Writes `out` while it receives what must be a beginning of `expected`.
async fn talk(
    handle: Handle,
    stream: Stream,
    out: Text,
    expected: Text,
    manners: Manners,
    told: Rc<RefCell<Told>>,
) {
    let alarm = handle.alarm();
    if let Manners::Leaves(after) | Manners::Aborts(after) = manners {
        alarm.set(handle.now().mono_ns + after.as_nanos() as u64);
    }
    let stream = Rc::new(stream);
    let writer = {
        let (stream, told) = (stream.clone(), told.clone());
        async move {
            let mut rest = out.0;
            while !rest.is_empty() {
                // Short pieces are gathered, long ones are not.
                let piece = rest.split_to(rest.len().min(1 + rest.len() % 3_500));
                stream.write_shared(piece);
                if let Err(error) = stream.sent_below(6_000).await {
                    return told.borrow_mut().errors.push(error.kind());
                }
            }
            stream.shutdown_write();
            match stream.flushed().await {
                Ok(()) => told.borrow_mut().flushed = true,
                Err(error) => told.borrow_mut().errors.push(error.kind()),
            }
        }
    };
    let reader = {
        let (stream, told) = (stream.clone(), told.clone());
        async move {
            loop {
                let received = stream
                    .receive(|bytes| {
                        let told = &mut *told.borrow_mut();
                        // Now and then it leaves something, but never everything.
                        let n = bytes.len() - bytes.len() / 5;
                        let place = told.received..told.received + bytes.len();
                        assert!(expected.0.get(place) == Some(bytes), "bytes were lost, doubled or moved");
                        told.received += n;
                        (n, ())
                    })
                    .await;
                match received {
                    Ok(Received::Bytes(())) => {}
                    Ok(Received::End) => return told.borrow_mut().ended = true,
                    Err(error) => return told.borrow_mut().errors.push(error.kind()),
                }
            }
        }
    };
    let mut jobs =
        [Some(Box::pin(writer) as std::pin::Pin<Box<dyn Future<Output = ()>>>), Some(Box::pin(reader))];
    let both = poll_fn(|cx| {
        for job in &mut jobs {
            job.take_if(|job| job.as_mut().poll(cx).is_ready());
        }
        if jobs.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
    });
    let in_time = alarm.guard(both).await.is_ok();
    drop(jobs);
    let stream = Rc::into_inner(stream).unwrap();
    if !in_time && matches!(manners, Manners::Aborts(_)) {
        stream.abort();
    } else {
        drop(stream);
    }
    told.borrow_mut().done = true;
}

/// What a run of many connections came to.
struct Outcome {
    /// Client and server of each connection.
    told: Vec<[Told; 2]>,
    refused: usize,
    stats: Stats,
    injected: Injected,
}

/// Runs many connections to their end, and sees to it that nothing is left of them.
///
/// `ghosts` more are connected and given up at once.
#[track_caller]
fn run(faults: Faults, ghosts: usize, manners: impl Fn(usize, bool) -> Manners + Copy + 'static) -> Outcome {
    let options = Options { receive_high_bytes: 5_000, ..options() };
    let mut runtime = Runtime::start_simulated(&options, faults).unwrap();
    let handle = runtime.handle();
    let tasks = Rc::new(());
    let refused = Rc::new(Cell::new(0));
    let told: Vec<[Rc<RefCell<Told>>; 2]> = (0..CONNECTIONS).map(|_| Default::default()).collect();
    let all = Bytes::from(pattern(LENGTH_MAX + 2 * CONNECTIONS));
    runtime
        .block_on(async {
            let listeners = [Rc::new(listen(&handle)), Rc::new(listen(&handle))];
            let by_port = Rc::new(RefCell::new(std::collections::BTreeMap::new()));
            for listener in listeners.clone() {
                let (handle, told, all, tasks) = (handle.clone(), told.clone(), all.clone(), tasks.clone());
                let by_port = by_port.clone();
                handle.clone().spawn(async move {
                    while let Ok((stream, peer)) = listener.accept().await {
                        // Whose it is shows only once the client knows; one that gave up never does.
                        let (handle2, told, all, by_port) =
                            (handle.clone(), told.clone(), all.clone(), by_port.clone());
                        let tasks = tasks.clone();
                        handle.spawn(async move {
                            let _tasks = tasks;
                            let _ = stream.readable().await;
                            let Some(index) = by_port.borrow().get(&peer).copied() else { return };
                            let (out, expected) = (Text::of(&all, index, false), Text::of(&all, index, true));
                            talk(
                                handle2,
                                stream,
                                out,
                                expected,
                                manners(index, false),
                                told[index][1].clone(),
                            )
                            .await;
                        });
                    }
                    drop(tasks);
                });
            }
            for ghost in 0..ghosts {
                drop(handle.connect(listeners[ghost % 2].local_addr()));
            }
            let clients: Vec<_> = (0..CONNECTIONS)
                .map(|index| {
                    let connect = handle.connect(listeners[index % 2].local_addr());
                    let (out, expected) = (Text::of(&all, index, true), Text::of(&all, index, false));
                    let (told, refused, by_port) = (told[index][0].clone(), refused.clone(), by_port.clone());
                    let (mine, tasks) = (handle.clone(), tasks.clone());
                    spawn(&handle, async move {
                        let _tasks = tasks;
                        match connect.await {
                            Ok(stream) => {
                                by_port.borrow_mut().insert(stream.local_addr().unwrap(), index);
                                talk(mine, stream, out, expected, manners(index, true), told).await;
                            }
                            Err(error) => {
                                assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
                                refused.set(refused.get() + 1);
                            }
                        }
                    })
                })
                .collect();
            for client in clients {
                client.await;
            }
            // What is under way arrives, and servers see the end of it.
            handle.sleep(Duration::from_secs(5)).await;
            listeners.iter().for_each(|listener| listener.close());
            handle.sleep(Duration::from_secs(1)).await;
        })
        .unwrap();
    let (stats, injected) = (handle.stats(), handle.injected());
    assert_eq!(stats.task_panics, 0, "a task panicked");
    assert_eq!(stats.sockets_open, 0, "sockets are left");
    assert_eq!(Rc::strong_count(&tasks), 1, "tasks are left");
    assert!(stats.receive_queue_bytes_max <= options.receive_high_bytes as u64, "a queue outgrew its bound");
    assert_eq!(stats.enobufs, injected.pauses);
    assert_eq!(stats.accept_pauses, injected.accept_failures);
    let told: Vec<[Told; 2]> = told.into_iter().map(|ends| ends.map(|told| told.borrow().clone())).collect();
    for (index, [client, server]) in told.iter().enumerate() {
        for (reader, writer, of_client) in [(server, client, true), (client, server, false)] {
            if reader.ended && writer.flushed {
                let length = Text::of(&all, index, of_client).0.len();
                assert_eq!(reader.received, length, "connection {index} ended early");
            }
            let after_reset =
                |kind| matches!(kind, io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe);
            assert!(reader.errors.iter().copied().all(after_reset), "{:?}", reader.errors);
        }
    }
    Outcome { told, refused: refused.get(), stats, injected }
}

const STAYS: fn(usize, bool) -> Manners = |_, _| Manners::Stays;

fn counts(injected: &Injected) -> [(&'static str, u64); 12] {
    [
        ("short reads", injected.short_reads),
        ("short writes", injected.short_writes),
        ("pauses", injected.pauses),
        ("resets", injected.resets),
        ("refusals", injected.refusals),
        ("late connects", injected.late_connects),
        ("accept failures", injected.accept_failures),
        ("spurious turns", injected.spurious_turns),
        ("delayed batches", injected.delayed_batches),
        ("late closes", injected.late_closes),
        ("reorders", injected.reorders),
        ("slow links", injected.slow_links),
    ]
}

/// Runs `test` with every seed; taken together the runs must have had every fault but those that `never` names.
#[track_caller]
fn check_seeds(never: &[&str], test: impl Fn(u64) -> Injected) {
    let (mut runs, mut total) = (0, [0; 12]);
    for_each_seed(SEEDS, |seed| {
        runs += 1;
        let counts = counts(&test(seed));
        total.iter_mut().zip(counts).for_each(|(total, (_, count))| *total += count);
    });
    if runs < SEEDS {
        // One seed was asked for.
        return;
    }
    for ((name, _), total) in counts(&Injected::default()).into_iter().zip(total) {
        assert_eq!(total == 0, never.contains(&name), "{name} happened {total} times");
    }
}

#[test]
fn nothing_is_lost_while_no_connection_fails() {
    check_seeds(&["resets", "refusals"], |seed| {
        let Outcome { told, refused, injected, .. } = run(Faults::lossless(seed), 0, STAYS);
        assert_eq!(refused, 0);
        for (index, end) in told.iter().flatten().enumerate() {
            assert!(end.ended && end.flushed && end.errors.is_empty() && end.done, "end {index}: {end:?}");
        }
        injected
    });
}

#[test]
fn a_reset_is_always_told_to_both_ends() {
    check_seeds(&[], |seed| {
        let Outcome { told, refused, injected, stats } = run(Faults::all(seed), 0, STAYS);
        let failed = told.iter().filter(|[client, server]| {
            let (client_failed, server_failed) = (!client.errors.is_empty(), !server.errors.is_empty());
            assert_eq!(client_failed, server_failed, "{client:?} {server:?}");
            client_failed
        });
        assert_eq!(failed.count() as u64, injected.resets);
        assert_eq!(refused as u64, injected.refusals);
        let whole = told.iter().filter(|ends| ends.iter().all(|end| end.ended && end.flushed));
        assert_eq!(whole.count() as u64 + injected.resets + injected.refusals, CONNECTIONS as u64);
        assert_eq!(stats.accepted, CONNECTIONS as u64 - injected.refusals);
        injected
    });
}

#[test]
fn nothing_is_left_when_peers_come_and_go_as_they_like() {
    check_seeds(&[], |seed| {
        let manners = move |index: usize, of_client| {
            let chance = seed.wrapping_mul(31).wrapping_add(index as u64 * 2 + u64::from(of_client));
            let after = Duration::from_micros(chance % 97 * 4_000);
            match chance % 5 {
                0 | 1 => Manners::Stays,
                2 | 3 => Manners::Leaves(after),
                _ => Manners::Aborts(after),
            }
        };
        let Outcome { told, injected, .. } = run(Faults::all(seed), 5, manners);
        for (index, [client, server]) in told.iter().enumerate() {
            for (end, of_client) in [(client, true), (server, false)] {
                if end.done && manners(index, of_client) == Manners::Stays {
                    // Whatever the other did, it was told.
                    assert!(end.ended || !end.errors.is_empty(), "{end:?}");
                }
            }
        }
        injected
    });
}

/// Sets one rate.
type Set = fn(&mut Faults);

/// No fault that happens always holds a run for ever.
#[test]
fn every_fault_at_its_worst() {
    let worst: [(&str, Set); 12] = [
        ("short reads", |faults| faults.short_reads_per_1000 = 1000),
        ("short writes", |faults| faults.short_writes_per_1000 = 1000),
        ("pauses", |faults| faults.pauses_per_1000 = 1000),
        ("resets", |faults| faults.resets_per_1000 = 1000),
        ("refusals", |faults| faults.refusals_per_1000 = 1000),
        ("late connects", |faults| faults.late_connects_per_1000 = 1000),
        ("accept failures", |faults| faults.accept_failures_per_1000 = 1000),
        ("spurious turns", |faults| faults.spurious_turns_per_1000 = 1000),
        ("delayed batches", |faults| faults.delayed_batches_per_1000 = 1000),
        ("late closes", |faults| faults.late_closes_per_1000 = 1000),
        ("reorders", |faults| faults.reorders_per_1000 = 1000),
        ("slow links", |faults| faults.slow_links_per_1000 = 1000),
    ];
    let mut everything = Faults { seed: 5, ..Faults::none() };
    for (name, set) in worst {
        let mut faults = Faults { seed: 3, ..Faults::none() };
        set(&mut faults);
        let Outcome { injected, told, refused, .. } = run(faults, 0, STAYS);
        for (injected, count) in counts(&injected) {
            assert_eq!(count > 0, injected == name, "{injected} happened {count} times for {name}");
        }
        let whole = told.iter().flatten().filter(|end| end.ended && end.flushed).count();
        assert_eq!(whole == 2 * CONNECTIONS, name != "resets" && name != "refusals", "{name}");
        assert_eq!(refused == CONNECTIONS, name == "refusals");
        if name != "resets" && name != "refusals" {
            set(&mut everything);
        }
    }
    let Outcome { told, .. } = run(everything, 3, STAYS);
    assert!(told.iter().flatten().all(|end| end.ended && end.flushed));
}

/// How long connecting and `bytes` over a link take, in milliseconds.
#[track_caller]
fn check_link(latency_ms: u64, bytes_per_second: Option<u64>, bytes: usize, expected_ms: (u64, u64)) {
    let link = Link {
        latency: Duration::from_millis(latency_ms),
        bytes_per_second: bytes_per_second.and_then(NonZeroU64::new),
    };
    let slow: SocketAddr = (Ipv4Addr::LOCALHOST, 80).into();
    let faults = Faults { links: vec![(slow, link)], ..Faults::none() };
    let mut runtime = Runtime::start_simulated(&options(), faults).unwrap();
    let handle = runtime.handle();
    runtime
        .block_on(async {
            for (address, (connect_ms, transfer_ms)) in [(slow, expected_ms), (localhost(), (0, 0))] {
                let listener = handle.listen_at(address).unwrap();
                let start = handle.now();
                let client = handle.connect(listener.local_addr()).await.unwrap();
                assert_eq!(elapsed(&handle, start).as_millis(), connect_ms.into());
                let (server, _) = listener.accept().await.unwrap();
                let start = handle.now();
                client.write(|out| out.extend_from_slice(&pattern(bytes)));
                // It is under way when its sender goes.
                client.flushed().await.unwrap();
                drop(client);
                assert!(receive_all(&server).await == pattern(bytes));
                // Turns take a little.
                let took = elapsed(&handle, start);
                let expected = Duration::from_millis(transfer_ms);
                assert!(took >= expected && took < expected + Duration::from_millis(1), "took {took:?}");
            }
        })
        .unwrap();
}

#[test]
fn a_link_is_as_slow_as_it_is_said_to_be() {
    check_link(0, None, 20_000, (0, 0));
    check_link(50, None, 20_000, (100, 50));
    check_link(0, Some(10_000), 20_000, (0, 2_000));
    check_link(50, Some(10_000), 20_000, (100, 2_050));
}

#[test]
fn time_passes_for_busy_tasks_too() {
    let link = Link { latency: Duration::from_micros(100), ..Link::default() };
    let address = (Ipv4Addr::LOCALHOST, 80).into();
    let faults = Faults { links: vec![(address, link)], ..Faults::none() };
    let mut runtime = Runtime::start_simulated(&options(), faults).unwrap();
    let handle = runtime.handle();
    let turns = runtime
        .block_on(async {
            let _listener = handle.listen_at(address).unwrap();
            let mut connect = Box::pin(handle.connect(address));
            let mut turns = 0;
            while poll_fn(|cx| Poll::Ready(connect.as_mut().poll(cx).is_pending())).await {
                handle.yield_now().await;
                turns += 1;
            }
            turns
        })
        .unwrap();
    assert_eq!(turns * TURN_NS, 200_000);
}
