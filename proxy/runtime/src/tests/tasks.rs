//! Tasks, letters and pooled futures.

use super::*;
use crate::clock::thread_cpu_ns;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

#[test]
fn a_busy_task_does_not_starve_sockets() {
    check(|handle| async move {
        let (client, server) = pair(&handle).await;
        let stop = Rc::new(Cell::new(false));
        let polls = Rc::new(Cell::new(0_u64));
        for _ in 0..3 {
            let (stop, polls) = (stop.clone(), polls.clone());
            // Wakes itself: ready again at once, in the same turn.
            handle.spawn(poll_fn(move |cx| {
                polls.set(polls.get() + 1);
                cx.waker().wake_by_ref();
                if stop.get() { Poll::Ready(()) } else { Poll::Pending }
            }));
        }
        let echoing = spawn(&handle, echo(server));
        for round in 0..50_u8 {
            client.write(|out| out.push(round));
            assert_eq!(receive_exactly(&client, 1).await, [round]);
        }
        assert!(polls.get() > 50, "the busy tasks did not run beside it");
        let sleep = handle.sleep(Duration::from_millis(10));
        if is_virtual(handle.driver()) {
            // Virtual time stands while tasks are busy.
            handle.advance(Duration::from_millis(20));
        }
        // Timers are not starved either.
        sleep.await;
        stop.set(true);
        client.shutdown_write();
        echoing.await;
    });
}

/// Whatever one task brings about at once, the kernel is asked again before all of it is done.
#[test]
fn much_at_once_stands_behind_what_comes() {
    const TASKS: u32 = 1_000;
    const EACH: Duration = Duration::from_micros(50);
    check_with(&KERNEL, &options(), |handle| async move {
        let (client, server) = pair(&handle).await;
        let echoing = spawn(&handle, echo(server));
        let ran = Rc::new(Cell::new(0));
        for _ in 0..TASKS {
            let ran = ran.clone();
            handle.spawn(async move {
                let begun = Instant::now();
                while begun.elapsed() < EACH {}
                ran.set(ran.get() + 1);
            });
        }
        client.write(|out| out.push(1));
        assert_eq!(receive_exactly(&client, 1).await, [1]);
        assert!(ran.get() < TASKS / 10, "{} of {TASKS} tasks ran before", ran.get());
        while ran.get() < TASKS {
            handle.yield_now().await;
        }
        client.shutdown_write();
        echoing.await;
    });
}

#[test]
fn a_panic_costs_its_own_task() {
    for kind in ALL {
        let Some(mut runtime) = start(kind, &options()) else { continue };
        let handle = runtime.handle();
        runtime
            .block_on(async {
                let (client, server) = pair(&handle).await;
                handle.spawn(async move {
                    let _ = server.receive::<()>(|_| panic!("a reader's mistake")).await;
                });
                handle.spawn(async { panic!("a task's mistake") });
                client.write(|out| out.extend_from_slice(b"hello"));
                // The stream was dropped with its task, with bytes it did not take.
                assert!(!matches!(receive_some(&client).await, Ok(bytes) if !bytes.is_empty()));
                assert_eq!(spawn(&handle, async { 3 }).await, 3);
            })
            .unwrap();
        assert_eq!(handle.stats().task_panics, 2);
    }
}

#[test]
fn a_panic_of_a_reader_or_writer_loses_no_bytes() {
    check(|handle| async move {
        let (client, server) = pair(&handle).await;
        let write = AssertUnwindSafe(|| {
            client.write(|out| {
                out.extend_from_slice(b"kept");
                panic!("a writer's mistake");
            })
        });
        assert!(catch_unwind(write).is_err());
        server.readable().await.unwrap();
        let read = AssertUnwindSafe(|| server.try_receive::<()>(|_| panic!("a reader's mistake")));
        assert!(catch_unwind(read).is_err());
        client.write(|out| out.push(b'!'));
        assert_eq!(receive_exactly(&server, 5).await, b"kept!");
    });
}

#[test]
fn a_panic_of_the_main_future_leaves_the_reactor_whole() {
    for kind in ALL {
        let Some(mut runtime) = start(kind, &options()) else { continue };
        let handle = runtime.handle();
        let block = AssertUnwindSafe(|| runtime.block_on(async { panic!("the main future's mistake") }));
        assert!(catch_unwind(block).is_err());
        let (client, server) = runtime.block_on(pair(&handle)).unwrap();
        client.write(|out| out.push(1));
        assert_eq!(runtime.block_on(receive_exactly(&server, 1)).unwrap(), [1]);
    }
}

#[test]
fn one_runtime_for_each_thread() {
    let first = start(DriverKind::Memory, &options()).unwrap();
    assert!(matches!(Runtime::start_memory(&options()), Err(crate::Error::AlreadyRunning)));
    drop(first);
    assert!(Runtime::start_memory(&options()).is_ok());
}

#[test]
fn options_out_of_range_are_refused_by_name() {
    let refused = [
        ("ring_entries", Options { ring_entries: 3, ..options() }),
        ("ring_buffers", Options { ring_buffers: 0, ..options() }),
        ("ring_buffer_bytes", Options { ring_buffer_bytes: 1, ..options() }),
        ("large_buffer_bytes", Options { large_buffer_bytes: 1, ..options() }),
        ("receive_high_bytes", Options { receive_high_bytes: 0, ..options() }),
        ("polls_per_turn", Options { polls_per_turn: 0, ..options() }),
        ("accept_queue_max", Options { accept_queue_max: 0, ..options() }),
        ("sockets_max", Options { sockets_max: 0, ..options() }),
    ];
    for (expected, options) in refused {
        match Runtime::start_memory(&options).err().unwrap() {
            crate::Error::Option { name, .. } => assert_eq!(name, expected),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_waker_of_another_thread_or_of_a_finished_task_wakes_nobody() {
    check(|handle| async move {
        let kept = Rc::new(RefCell::new(None));
        let cell = kept.clone();
        let polls = Rc::new(Cell::new(0));
        let counted = polls.clone();
        handle.spawn(poll_fn(move |cx| {
            *cell.borrow_mut() = Some(cx.waker().clone());
            counted.set(counted.get() + 1);
            if counted.get() < 2 { Poll::Pending } else { Poll::Ready(()) }
        }));
        handle.yield_now().await;
        let waker = kept.borrow().clone().unwrap();
        let foreign = waker.clone();
        std::thread::spawn(move || foreign.wake()).join().unwrap();
        handle.yield_now().await;
        assert_eq!(polls.get(), 1);
        waker.wake_by_ref();
        waker.wake_by_ref();
        handle.yield_now().await;
        assert_eq!(polls.get(), 2);
        // Its slot is another's by now, or nobody's.
        let other = Rc::new(Cell::new(0));
        let counted = other.clone();
        handle.spawn(poll_fn(move |_| {
            counted.set(counted.get() + 1);
            Poll::<()>::Pending
        }));
        waker.wake();
        handle.yield_now().await;
        handle.yield_now().await;
        assert_eq!((polls.get(), other.get()), (2, 1));
    });
}

#[test]
fn letters_from_another_thread_all_arrive_with_few_wakes() {
    check(|handle| async move {
        const LETTERS: u64 = 20_000;
        let (post, mailbox) = handle.mailbox::<u64>(64);
        let sender = std::thread::spawn(move || {
            for letter in 0..LETTERS {
                let mut letter = letter;
                while let Err(back) = post.send(letter) {
                    letter = back;
                    std::thread::yield_now();
                }
            }
        });
        for expected in 0..LETTERS {
            assert_eq!(mailbox.receive().await, expected);
        }
        sender.join().unwrap();
        assert_eq!(mailbox.try_receive(), None);
        let wakes = handle.stats().mailbox_wakes;
        assert!(wakes <= LETTERS, "{wakes} wakes");
    });
}

/// Each side sleeps until the other's letter: nothing may be slept through.
#[test]
fn two_cores_write_to_each_other() {
    for kind in ALL {
        const ROUNDS: u32 = 500;
        let (to_main, from_other) = std::sync::mpsc::channel();
        let Some(mut runtime) = start(kind, &options()) else { continue };
        let handle = runtime.handle();
        let (post, mailbox) = handle.mailbox::<u32>(4);
        let other = std::thread::spawn(move || {
            let mut runtime = start(kind, &options()).unwrap();
            let (back, mailbox) = runtime.handle().mailbox::<u32>(4);
            to_main.send(back).unwrap();
            let echo = async {
                for _ in 0..ROUNDS {
                    post.send(mailbox.receive().await).unwrap();
                }
            };
            runtime.block_on(echo).unwrap();
        });
        let post = from_other.recv().unwrap();
        let talk = async {
            for round in 0..ROUNDS {
                post.send(round).unwrap();
                assert_eq!(mailbox.receive().await, round);
            }
        };
        runtime.block_on(talk).unwrap();
        other.join().unwrap();
        assert!(handle.stats().mailbox_wakes <= u64::from(ROUNDS));
    }
}

#[test]
fn a_full_mailbox_gives_the_letter_back() {
    check(|handle| async move {
        let (post, mailbox) = handle.mailbox(2);
        assert_eq!([post.send(1), post.send(2), post.send(3)], [Ok(()), Ok(()), Err(3)]);
        assert_eq!(mailbox.receive().await, 1);
        assert_eq!(post.send(4), Ok(()));
        assert_eq!(
            (mailbox.try_receive(), mailbox.try_receive(), mailbox.try_receive()),
            (Some(2), Some(4), None)
        );
        // A busy core is not signalled.
        assert_eq!(handle.stats().mailbox_wakes, 0);
        drop(mailbox);
        assert_eq!(post.send(5), Ok(()));
    });
}

/// Also those that nothing would ever wake.
#[test]
fn all_tasks_can_be_woken_at_once() {
    check(|handle| async move {
        let polls = Rc::new(RefCell::new(0));
        for _ in 0..20 {
            let polls = polls.clone();
            handle.spawn(poll_fn(move |_| {
                *polls.borrow_mut() += 1;
                Poll::Pending
            }));
        }
        handle.yield_now().await;
        assert_eq!(polls.take(), 20);
        handle.wake_all();
        handle.wake_all();
        // This task is woken too, in front of them.
        handle.yield_now().await;
        handle.yield_now().await;
        assert_eq!(polls.take(), 20, "each of them, and once");
    });
}

#[test]
fn pooled_futures_use_their_memory_again() {
    check(|handle| async move {
        async fn work<const N: usize>(handle: Handle, of: usize) -> usize {
            let held = [of; N];
            handle.yield_now().await;
            held.iter().sum()
        }
        for of in 0..1000 {
            assert_eq!(handle.pooled(|| work::<10>(handle.clone(), of)).await, of * 10);
            assert_eq!(handle.pooled(|| work::<500>(handle.clone(), of)).await, of * 500);
        }
        // One for each size.
        assert_eq!(handle.stats().futures_allocated, 2);
        // Two at once need two.
        let (first, second) = (
            handle.pooled(|| work::<10>(handle.clone(), 1)),
            handle.pooled(|| work::<10>(handle.clone(), 2)),
        );
        assert_eq!(second.await + first.await, 30);
        assert_eq!(handle.stats().futures_allocated, 3);
        // One too large for any class, and one of no size at all.
        assert_eq!(handle.pooled(|| work::<20_000>(handle.clone(), 1)).await, 20_000);
        assert_eq!(handle.pooled(|| async { 1 }).await, 1);
        // A future dropped half-way returns its memory too.
        let before = handle.stats().futures_allocated;
        for _ in 0..10 {
            let mut future = handle.pooled(|| work::<10>(handle.clone(), 1));
            poll_fn(|cx| Poll::Ready(std::pin::Pin::new(&mut future).poll(cx).is_pending())).await;
        }
        assert_eq!(handle.stats().futures_allocated, before);
    });
}

#[test]
fn pooled_memory_is_bounded() {
    let options = Options { pooled_future_bytes_max: 1024, ..options() };
    check_with(&[DriverKind::Memory], &options, |handle| async move {
        let burst = || (0..10).map(|_| handle.pooled(|| async { 1 })).collect::<Vec<_>>();
        drop(burst());
        assert_eq!(handle.stats().futures_allocated, 10);
        drop(burst());
        // Four of 256 bytes were kept.
        assert_eq!(handle.stats().futures_allocated, 16);
    });
}

#[test]
fn tasks_spawned_by_tasks_all_run() {
    check(|handle| async move {
        fn branch(handle: &Handle, depth: u32, leaves: &Rc<Cell<u32>>) {
            let (next, leaves) = (handle.clone(), leaves.clone());
            handle.spawn(async move {
                match depth {
                    0 => leaves.set(leaves.get() + 1),
                    _ => (0..2).for_each(|_| branch(&next, depth - 1, &leaves)),
                }
            });
        }
        let leaves = Rc::new(Cell::new(0));
        branch(&handle, 10, &leaves);
        while leaves.get() < 1024 {
            handle.yield_now().await;
        }
    });
}

/// A turn in which a task works for long, one that takes a change for as long, and one that only waits.
#[test]
fn who_holds_a_core_is_told_by_cause() {
    const LONG_NS: u64 = 3_000_000;
    fn work() {
        let until_ns = thread_cpu_ns().unwrap() + LONG_NS;
        while thread_cpu_ns().unwrap() < until_ns {}
    }
    check_with(&KERNEL, &options(), |handle| async move {
        handle.watch_turns();
        let before = handle.stats();
        // What holds the core, and how many turns there are then by cause: work, change, waited.
        for (hold, expected) in [
            ((|_| work()) as fn(&Handle), [1, 0, 0]),
            (|handle| (handle.mark_change(), work()).1, [1, 1, 0]),
            (|_| std::thread::sleep(Duration::from_millis(3)), [1, 1, 1]),
        ] {
            handle.yield_now().await;
            hold(&handle);
            handle.yield_now().await;
            let now = handle.stats();
            let seen = [
                now.stalls_work - before.stalls_work,
                now.stalls_change - before.stalls_change,
                now.stalls_waited - before.stalls_waited,
            ];
            // Others may have held the processor in a turn of any kind.
            assert!(seen[..2] == expected[..2] && seen[2] >= expected[2], "{seen:?}, not {expected:?}");
        }
        let longest = handle.longest_turns();
        assert!(longest.elapsed_ns >= longest.own_ns && longest.own_ns >= LONG_NS, "{longest:?}");
    });
}
