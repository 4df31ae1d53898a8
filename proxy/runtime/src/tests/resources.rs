//! What runs out, and what must come back.

use super::*;
use std::io::Read;
use std::net::TcpStream;

/// Far more arrives at once than there are buffers and ring entries: nothing is lost, whatever overflows.
#[track_caller]
fn check_flood(options: Options, connections: usize, bytes: usize) -> u64 {
    let enobufs = Rc::new(RefCell::new(0));
    check_with(&ALL, &options, |handle| {
        let enobufs = enobufs.clone();
        async move {
            let listener = listen(&handle);
            let address = listener.local_addr();
            let accepting = handle.clone();
            handle.spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    accepting.spawn(echo(stream));
                }
            });
            let clients: Vec<_> = (0..connections)
                .map(|_| {
                    let connect = handle.connect(address);
                    spawn(&handle, async move {
                        let stream = connect.await.unwrap();
                        stream.write(|out| out.extend_from_slice(&pattern(bytes)));
                        stream.shutdown_write();
                        assert!(receive_all(&stream).await == pattern(bytes));
                    })
                })
                .collect();
            for client in clients {
                client.await;
            }
            *enobufs.borrow_mut() += handle.stats().enobufs;
        }
    });
    enobufs.take()
}

#[test]
fn few_buffers_lose_nothing() {
    let options = Options { ring_buffers: 2, ring_buffer_bytes: 512, ..options() };
    let enobufs = check_flood(options, 40, 30_000);
    println!("{enobufs} times without a buffer");
}

#[test]
fn small_rings_lose_nothing() {
    // The completion ring has 8 entries: it overflows all the time.
    check_flood(Options { ring_entries: 2, ring_buffers: 128, ..options() }, 100, 20_000);
}

#[test]
fn buffers_go_back_when_bytes_are_left_unread() {
    let options = Options { ring_buffers: 4, ..options() };
    check_with(&KERNEL, &options, |handle| async move {
        // Each of these holds bytes that nobody takes, more than there are buffers.
        let mut idle = Vec::new();
        for _ in 0..16 {
            let (client, server) = pair(&handle).await;
            client.write(|out| out.extend_from_slice(b"unread"));
            client.flushed().await.unwrap();
            idle.push((client, server));
        }
        let (client, server) = pair(&handle).await;
        let echoing = spawn(&handle, echo(server));
        client.write(|out| out.extend_from_slice(&pattern(100_000)));
        assert!(receive_exactly(&client, 100_000).await == pattern(100_000));
        for (_, server) in &idle {
            assert_eq!(receive_exactly(server, 6).await, b"unread");
        }
        drop(client);
        echoing.await;
    });
}

/// Everything is in flight when the runtime goes: an accept, a connect, receives, sends, polls.
#[test]
fn a_runtime_may_go_at_any_time() {
    for kind in ALL {
        let Some(mut runtime) = start(kind, &options()) else { continue };
        let handle = runtime.handle();
        let (client, server, listener) = runtime
            .block_on(async {
                let listener = listen(&handle);
                let (client, server) = pair(&handle).await;
                client.write(|out| out.resize(16 * 1024 * 1024, 9));
                server.readable().await.unwrap();
                let (first, second) = pair(&handle).await;
                handle.spawn(echo(first));
                second.write(|out| out.resize(4 * 1024 * 1024, 9));
                handle.spawn(async move {
                    second.flushed().await.unwrap();
                });
                let connect = handle.connect(listener.local_addr());
                handle.spawn(async move { drop(connect.await) });
                handle.yield_now().await;
                (client, server, listener)
            })
            .unwrap();
        drop(runtime);
        // What outlived it fails and does not hang.
        assert_eq!(server.try_receive(|_| (0, ())).unwrap_err().kind(), io::ErrorKind::NotConnected);
        client.write(|out| out.push(1));
        client.write_shared(bytes::Bytes::from_static(&[0; 4096]));
        client.shutdown_write();
        listener.close();
        handle.spawn(async { panic!("never polled") });
        assert!(handle.listen_at(localhost()).is_err());
        drop((client, server, listener));
        assert_eq!(handle.stats().task_panics, 0);
        assert_eq!(handle.stats().sockets_open, 0);
        // The thread is free for another.
        assert!(start(kind, &options()).is_some());
    }
}

#[test]
fn peers_see_the_end_when_the_runtime_goes() {
    for kind in KERNEL {
        let Some(mut runtime) = start(kind, &options()) else { continue };
        let handle = runtime.handle();
        let mut peers = runtime
            .block_on(async {
                let listener = listen(&handle);
                let peers: Vec<_> =
                    (0..5).map(|_| TcpStream::connect(listener.local_addr()).unwrap()).collect();
                for _ in 0..5 {
                    let (stream, _) = listener.accept().await.unwrap();
                    handle.spawn(echo(stream));
                }
                peers
            })
            .unwrap();
        drop(runtime);
        for peer in &mut peers {
            assert_eq!(peer.read(&mut [0; 16]).unwrap(), 0);
        }
    }
}

#[test]
fn quiet_connections_hold_no_buffers() {
    check(|handle| async move {
        let mut pairs = Vec::new();
        for _ in 0..32 {
            let (client, server) = pair(&handle).await;
            client.write(|out| out.extend_from_slice(b"ping"));
            assert_eq!(receive_exactly(&server, 4).await, b"ping");
            server.write(|out| out.extend_from_slice(b"pong"));
            assert_eq!(receive_exactly(&client, 4).await, b"pong");
            pairs.push((client, server));
        }
        let stats = handle.stats();
        assert!(
            stats.buffers_allocated <= 4,
            "{} buffers for one connection at a time",
            stats.buffers_allocated
        );
        // The hot one is the driver's own.
        let hot = u64::from(handle.driver() == DriverKind::Epoll);
        assert_eq!(stats.buffers_pooled + hot, stats.buffers_allocated, "a quiet connection holds a buffer");
    });
}

/// What many connections needed at once is given up some time after, and made again when it is needed again.
#[test]
fn what_a_burst_has_left_goes() {
    check(|handle| async move {
        let mut pairs = Vec::new();
        for _ in 0..48 {
            pairs.push(pair(&handle).await);
        }
        for _ in 0..2 {
            for (client, _) in &pairs {
                client.write(|out| out.extend_from_slice(&pattern(3000)));
            }
            for (_, server) in &pairs {
                assert!(receive_exactly(server, 3000).await == pattern(3000));
            }
            assert!(handle.stats().buffers_pooled > 16, "a burst needs buffers");
            assert!(handle.trim().more, "what was needed a moment ago is not freed at once");
            let mut freed = 0;
            for _ in 0..100 {
                handle.yield_now().await;
                let trimmed = handle.trim();
                freed += trimmed.bytes;
                if !trimmed.more {
                    break;
                }
            }
            assert!(freed > 16 * 4096, "{freed} bytes");
            assert_eq!(handle.trim(), crate::Trimmed { bytes: 0, more: false });
            assert!(handle.stats().buffers_pooled <= 8, "{}", handle.stats().buffers_pooled);
        }
    });
}

#[test]
fn the_buffer_pool_is_bounded() {
    let options = Options { pooled_buffers_max: 3, pooled_large_buffers_max: 1, ..options() };
    check_with(&[DriverKind::Memory], &options, |handle| async move {
        let buffers: Vec<_> = (0..8).map(|_| handle.buffer()).collect();
        assert_eq!(handle.stats().buffers_allocated, 8);
        buffers.into_iter().for_each(|buffer| handle.recycle(buffer));
        assert_eq!(handle.stats().buffers_pooled, 3);
        // Odd sizes are freed; what comes out is empty.
        handle.recycle(Vec::new());
        handle.recycle(Vec::with_capacity(1 << 24));
        assert_eq!(handle.stats().buffers_pooled, 3);
        let mut buffer = handle.buffer();
        buffer.extend_from_slice(b"old");
        handle.recycle(buffer);
        assert!(handle.buffer().is_empty());
        for _ in 0..3 {
            handle.recycle(Vec::with_capacity(128 * 1024));
        }
        assert_eq!(handle.stats().buffers_pooled, 3);
    });
}

#[test]
fn a_pinned_reactor_runs_where_it_was_told() {
    let options = Options { cpu: Some(0), ..options() };
    std::thread::spawn(move || {
        let mut runtime = Runtime::start_memory(&options).unwrap();
        runtime.block_on(async {}).unwrap();
        // SAFETY: no memory is passed.
        assert_eq!(unsafe { libc::sched_getcpu() }, 0);
    })
    .join()
    .unwrap();
    let beyond = Options { cpu: Some(100_000), ..self::options() };
    let refused = std::thread::spawn(move || Runtime::start_memory(&beyond).err()).join().unwrap();
    assert!(matches!(refused, Some(crate::Error::Pin { cpu: 100_000, .. })));
}

/// What a peer does not read stays with us, where it is counted, but for what its window takes and a little in front of it: not
/// as much as the kernel's send buffers grow to.
#[test]
fn the_kernel_takes_little_ahead_of_a_peer_that_reads_nothing() {
    const STEP_BYTES: usize = 32 * 1024;
    /// A receive buffer as it is by default, what may wait unsent, and a segment more.
    const TAKEN_BYTES_MAX: usize = 512 * 1024;
    /// For so long nothing more is taken.
    const STANDS_STILL: Duration = Duration::from_millis(200);
    check_with(&KERNEL, &options(), |handle| async move {
        let listener = listen(&handle);
        // Not a stream of ours, which would receive.
        let client = std::net::TcpStream::connect(listener.local_addr()).unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let (alarm, mut taken) = (handle.alarm(), 0);
        loop {
            server.write(|out| out.extend_from_slice(&[0; STEP_BYTES]));
            alarm.set(handle.now().mono_ns + STANDS_STILL.as_nanos() as u64);
            match alarm.guard(server.flushed()).await {
                Ok(flushed) => flushed.unwrap(),
                Err(_) => break,
            }
            taken += STEP_BYTES;
        }
        assert!(taken <= TAKEN_BYTES_MAX, "{taken} bytes");
        drop(client);
    });
}
