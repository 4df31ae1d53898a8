//! Bytes there and back.

use super::*;
use bytes::Bytes;
use std::cell::Cell;

#[test]
fn echoes_and_closes() {
    check_integrity(|handle| async move {
        let listener = listen(&handle);
        let address = listener.local_addr();
        let server = spawn(&handle, async move {
            let (stream, peer) = listener.accept().await.unwrap();
            assert_eq!(stream.peer_addr(), Some(peer));
            assert_eq!(stream.local_addr().unwrap(), listener.local_addr());
            echo(stream).await;
        });
        let client = handle.connect(address).await.unwrap();
        assert_eq!(client.peer_addr(), Some(address));
        for round in 0..100_usize {
            let sent = pattern(round * 7 + 1);
            client.write(|out| out.extend_from_slice(&sent));
            assert_eq!(receive_exactly(&client, sent.len()).await, sent);
        }
        client.shutdown_write();
        server.await;
        assert_eq!(receive_some(&client).await.unwrap(), b"");
        drop(client);
        handle.yield_now().await;
    });
}

#[test]
fn many_connections_at_once() {
    check(|handle| async move {
        const CONNECTIONS: usize = 200;
        let listener = listen(&handle);
        let address = listener.local_addr();
        let accepting = handle.clone();
        handle.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepting.spawn(echo(stream));
            }
        });
        let done = Rc::new(Cell::new(0));
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|index| {
                let (connect, done) = (handle.connect(address), done.clone());
                spawn(&handle, async move {
                    let stream = connect.await.unwrap();
                    for round in 0..10 {
                        let sent = pattern(index * 13 + round + 1);
                        stream.write(|out| out.extend_from_slice(&sent));
                        assert_eq!(receive_exactly(&stream, sent.len()).await, sent);
                    }
                    done.set(done.get() + 1);
                })
            })
            .collect();
        for client in clients {
            client.await;
        }
        assert_eq!(done.get(), CONNECTIONS);
        assert_eq!(handle.stats().accepted, CONNECTIONS as u64);
    });
}

/// Sends `total` bytes both ways at once, reading `step` bytes at a time on one side and all there is on the other.
#[track_caller]
fn check_transfer(total: usize, step: usize) {
    check(|handle| async move {
        let (client, server) = pair(&handle).await;
        let (client, server) = (Rc::new(client), Rc::new(server));
        let mut jobs: Vec<std::pin::Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
        for (stream, step) in [(client, step), (server, usize::MAX)] {
            let writer = stream.clone();
            jobs.push(Box::pin(spawn(&handle, async move {
                for (index, chunk) in pattern(total).chunks(10_000).enumerate() {
                    // Behind what waits, and past it.
                    if index % 3 == 0 {
                        writer.write(|out| out.extend_from_slice(chunk));
                    } else {
                        writer.write_through(chunk);
                    }
                    writer.sent_below(64 * 1024).await.unwrap();
                }
                writer.shutdown_write();
                writer.flushed().await.unwrap();
                assert_eq!(writer.unsent(), 0);
            })));
            jobs.push(Box::pin(spawn(&handle, async move {
                let mut got = Vec::new();
                while let Received::Bytes(()) = stream
                    .receive(|bytes| {
                        let n = bytes.len().min(step);
                        got.extend_from_slice(&bytes[..n]);
                        (n, ())
                    })
                    .await
                    .unwrap()
                {}
                assert!(got == pattern(total), "bytes were lost or moved");
            })));
        }
        for job in jobs {
            job.await;
        }
    });
}

#[test]
fn large_transfers_both_ways() {
    check_transfer(4 * 1024 * 1024, usize::MAX);
}

#[test]
fn large_transfers_with_small_reads() {
    check_transfer(1024 * 1024, 100);
}

#[test]
fn transfers_with_tiny_reads() {
    check_transfer(50_000, 1);
}

fn linux_is_at_least(major: u32, minor: u32) -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (major, minor)
}

/// In how many pieces the reader is shown each of some messages that come one by one over a kept connection.
async fn pieces(handle: &Handle, message_bytes: usize, messages: usize) -> Vec<Vec<usize>> {
    let (client, server) = pair(handle).await;
    let mut shown = Vec::new();
    for _ in 0..messages {
        client.write(|out| out.resize(message_bytes, 7));
        client.flushed().await.unwrap();
        let (mut pieces, mut left) = (Vec::new(), message_bytes);
        while left > 0 {
            let length = receive_some(&server).await.unwrap().len();
            assert!((1..=left).contains(&length), "{length} of {left} bytes");
            left -= length;
            pieces.push(length);
        }
        shown.push(pieces);
        server.write(|out| out.push(1));
        assert_eq!(receive_exactly(&client, 1).await, [1]);
    }
    shown
}

/// The price of a body: after the first few messages of a connection, which teach a driver how to receive, each is shown in
/// two pieces at most, and a piece is a receive or a buffer that the ring has filled.
#[track_caller]
fn check_pieces(message_bytes: usize) {
    const LEARNING: usize = 4;
    const COUNTED: usize = 32;
    check_with(&KERNEL, &options(), |handle| async move {
        let shown = pieces(&handle, message_bytes, LEARNING + COUNTED).await;
        let most = shown[LEARNING..].iter().map(Vec::len).max();
        assert!(most <= Some(2), "{message_bytes} bytes in pieces of {shown:?}");
    });
}

/// A head and 16 KiB: buffers of the ring, and a small rest that must not send the socket back to them (18.7 µs a request
/// instead of 16.4).
#[test]
fn the_small_rest_of_a_body_costs_no_receives() {
    let buffer_bytes = options().ring_buffer_bytes as usize;
    for buffers in [2, 3, 4, 7, 8, 9] {
        check_pieces(buffers * buffer_bytes + 68);
    }
    // Without a rest, and with one that is as large as may be.
    check_pieces(4 * buffer_bytes);
    check_pieces(5 * buffer_bytes - 1);
}

/// Who may leave most of what it is shown is brought little at once, whatever there is.
#[track_caller]
fn check_sparing(wanted: usize, bytes_max: usize) {
    const TOTAL: usize = 256 << 10;
    check_with(&KERNEL, &options(), |handle| async move {
        let (client, server) = pair(&handle).await;
        server.set_sparing(Some(wanted));
        let sender = spawn(&handle, async move {
            client.write(|out| out.extend_from_slice(&pattern(TOTAL)));
            client.flushed().await.unwrap();
            client
        });
        // What the ring was told before, it brings: some buffers.
        let (mut received, mut largest) = (0, 0);
        while received < TOTAL {
            let shown = server.receive(|bytes| (bytes.len(), bytes.len())).await.unwrap();
            let Received::Bytes(bytes) = shown else { panic!("an end after {received} bytes") };
            received += bytes;
            if received > TOTAL / 2 {
                largest = largest.max(bytes);
            }
        }
        assert!(largest <= bytes_max, "{largest} where {wanted} were wanted");
        drop(sender.await);
    });
}

#[test]
fn a_sparing_reader_is_brought_little() {
    check_sparing(0, 1 << 10);
    check_sparing(1, 1 << 10);
    check_sparing(5_000, 5 << 10);
    check_sparing(usize::MAX, crate::plain::SPARING_BYTES_MAX);
}

#[test]
fn receive_queue_is_bounded_while_nobody_reads() {
    let options = options();
    for kind in ALL {
        check_with(&[kind], &options, |handle| {
            let options = options.clone();
            async move {
                // More than a kernel's buffers hold.
                let total = if is_virtual(kind) { 3 } else { 16 } * 1024 * 1024;
                let (client, server) = pair(&handle).await;
                let sender = spawn(&handle, async move {
                    for chunk in pattern(total).chunks(64 * 1024) {
                        client.write(|out| out.extend_from_slice(chunk));
                        client.sent_below(1024 * 1024).await.unwrap();
                    }
                    client.flushed().await.unwrap();
                    client
                });
                // The reader looks and takes nothing for a while: the sender must come to a stand.
                server.readable().await.unwrap();
                let mut sent = u64::MAX;
                while sent != handle.stats().sent_bytes {
                    sent = handle.stats().sent_bytes;
                    handle.sleep(Duration::from_millis(50)).await;
                }
                assert!(sent < total as u64, "the sender was never held");
                // Before Linux 6.17 one enter may bring all buffers of the ring: it cannot cap a multishot.
                let bound = match kind {
                    DriverKind::UringDefer | DriverKind::Uring if linux_is_at_least(6, 17) => {
                        options.receive_high_bytes + options.large_buffer_bytes
                    }
                    DriverKind::UringDefer | DriverKind::Uring => {
                        options.receive_high_bytes
                            + usize::from(options.ring_buffers) * options.ring_buffer_bytes as usize
                    }
                    DriverKind::Epoll => options.receive_high_bytes + options.large_buffer_bytes,
                    DriverKind::Memory | DriverKind::Simulated => options.receive_high_bytes,
                };
                let queued = handle.stats().receive_queue_bytes_max as usize;
                assert!(queued <= bound, "{queued} of {bound} bytes queued on {}", kind.as_str());
                assert_eq!(receive_exactly(&server, total).await, pattern(total));
                let queued = handle.stats().receive_queue_bytes_max as usize;
                assert!(queued <= bound, "{queued} of {bound} bytes queued on {}", kind.as_str());
                drop(sender.await);
            }
        });
    }
}

#[test]
fn a_reader_that_takes_nothing_is_shown_everything_in_one_piece() {
    check_integrity(|handle| async move {
        let (client, server) = pair(&handle).await;
        let sent = pattern(20_000);
        let writer = spawn(&handle, {
            let (handle, sent) = (handle.clone(), sent.clone());
            async move {
                for part in sent.chunks(999) {
                    client.write(|out| out.extend_from_slice(part));
                    client.flushed().await.unwrap();
                    handle.yield_now().await;
                }
                client
            }
        });
        let mut seen = 0;
        let got = loop {
            let received = server
                .receive(|bytes| {
                    assert!(bytes.len() > seen, "nothing new was shown");
                    seen = bytes.len();
                    if seen < 20_000 { (0, None) } else { (seen, Some(bytes.to_vec())) }
                })
                .await
                .unwrap();
            if let Received::Bytes(Some(got)) = received {
                break got;
            }
        };
        assert!(got == sent);
        drop(writer.await);
    });
}

#[test]
fn a_reader_that_takes_nothing_of_a_full_queue_is_told() {
    check(|handle| async move {
        let (client, server) = pair(&handle).await;
        client.write(|out| out.resize(2 * 1024 * 1024, 7));
        let error = loop {
            match server.receive(|bytes| (0, bytes.len())).await {
                Ok(Received::Bytes(shown)) => assert!(shown > 0),
                Ok(Received::End) => panic!("ended"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
        let error = server.readable().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
        drop(client);
    });
}

#[test]
fn forwards_within_a_receive() {
    check(|handle| async move {
        let (client, near) = pair(&handle).await;
        let (far, server) = pair(&handle).await;
        let sent = pattern(300_000);
        let expected = sent.clone();
        let forward = spawn(&handle, async move {
            while let Received::Bytes(()) = near
                .receive(|bytes| {
                    if bytes.len() % 2 == 0 {
                        far.write(|out| out.extend_from_slice(bytes));
                    } else {
                        far.write_through(bytes);
                    }
                    // Asking for more of what is being shown finds nothing.
                    assert!(near.try_receive(|bytes| (bytes.len(), ())).unwrap().is_none());
                    (bytes.len(), ())
                })
                .await
                .unwrap()
            {
                far.sent_below(64 * 1024).await.unwrap();
            }
            far.shutdown_write();
            far.flushed().await.unwrap();
        });
        let writer = spawn(&handle, async move {
            client.write(|out| out.extend_from_slice(&sent));
            client.shutdown_write();
            client.flushed().await.unwrap();
            client
        });
        assert!(receive_all(&server).await == expected);
        forward.await;
        drop(writer.await);
    });
}

/// Heads and bodies in turn: what is left of a received buffer is read on in its place, or kept for the next turn.
#[test]
fn what_a_reader_leaves_is_there_for_the_next() {
    check_integrity(|handle| async move {
        const HEAD_BYTES: usize = 150;
        let (client, server) = pair(&handle).await;
        for round in 0..60_usize {
            let sent = pattern(HEAD_BYTES + round * 611);
            client.write_through(&sent);
            let head = receive_exactly(&server, HEAD_BYTES).await;
            if round % 2 == 1 {
                // What was left must outlive the turn.
                handle.yield_now().await;
            }
            let body = receive_exactly(&server, sent.len() - HEAD_BYTES).await;
            assert!(head == sent[..HEAD_BYTES] && body == sent[HEAD_BYTES..], "{round}");
        }
    });
}

#[test]
fn shared_and_gathered_bytes_keep_their_order() {
    check(|handle| async move {
        let (client, server) = pair(&handle).await;
        let body = Bytes::from(pattern(10_000));
        let mut expected = Vec::new();
        let reader = spawn(&handle, async move { receive_all(&server).await });
        for round in 0..200_usize {
            let head = format!("head {round} ");
            client.write(|out| out.extend_from_slice(head.as_bytes()));
            expected.extend_from_slice(head.as_bytes());
            // Short ones are copied, long ones are not.
            let part = body.slice(..round * 50);
            client.write_shared(part.clone());
            expected.extend_from_slice(&part);
            if round % 40 == 0 {
                client.sent_below(1000).await.unwrap();
            }
        }
        client.shutdown_write();
        assert!(reader.await == expected);
    });
}

#[test]
fn half_close_lets_the_answer_through() {
    check_integrity(|handle| async move {
        let (client, server) = pair(&handle).await;
        client.write(|out| out.extend_from_slice(b"question"));
        client.shutdown_write();
        assert_eq!(receive_all(&server).await, b"question");
        assert_eq!(server.receive(|_| (0, ())).await.unwrap(), Received::End);
        server.write(|out| out.extend_from_slice(b"answer"));
        server.shutdown_write();
        assert_eq!(receive_all(&client).await, b"answer");
    });
}

#[test]
fn bytes_before_the_end_are_seen_before_the_end() {
    check_integrity(|handle| async move {
        let (client, server) = pair(&handle).await;
        client.write(|out| out.extend_from_slice(b"last words"));
        client.flushed().await.unwrap();
        drop(client);
        // Let both arrive.
        handle.sleep(Duration::from_millis(20)).await;
        assert_eq!(receive_all(&server).await, b"last words");
    });
}

#[test]
fn a_reset_is_an_error() {
    check_integrity(|handle| async move {
        let (client, server) = pair(&handle).await;
        client.abort();
        let error = loop {
            match server.receive(|bytes| (bytes.len(), ())).await {
                Ok(received) => assert_eq!(received, Received::Bytes(())),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert!(server.readable().await.is_err());
        // A writer learns it too.
        let error = loop {
            server.write(|out| out.extend_from_slice(b"anyone there?"));
            if let Err(error) = server.flushed().await {
                break error;
            }
        };
        assert!(matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe));
        assert_eq!(server.unsent(), 0);
    });
}

#[test]
fn a_reset_wakes_a_writer_that_waits() {
    check(|handle| async move {
        let (client, server) = pair(&handle).await;
        client.write(|out| out.resize(32 * 1024 * 1024, 1));
        let writer = spawn(&handle, async move { client.flushed().await });
        server.readable().await.unwrap();
        server.abort();
        assert!(writer.await.is_err());
    });
}

#[test]
fn readable_tells_the_truth() {
    check(|handle| async move {
        let (client, server) = pair(&handle).await;
        for length in [1, 5000, 300_000] {
            let sent = pattern(length);
            assert!(server.try_receive(|_| (0, ())).unwrap().is_none(), "there is nothing to receive");
            client.write(|out| out.extend_from_slice(&sent));
            let mut got = Vec::new();
            while got.len() < length {
                server.readable().await.unwrap();
                let received = server
                    .try_receive(|bytes| {
                        got.extend_from_slice(bytes);
                        (bytes.len(), ())
                    })
                    .unwrap();
                assert_eq!(received, Some(Received::Bytes(())), "it was said to be readable");
            }
            assert!(got == sent);
        }
        client.shutdown_write();
        server.readable().await.unwrap();
        assert_eq!(server.try_receive(|_| (0, ())).unwrap(), Some(Received::End));
    });
}

#[test]
fn writing_within_a_write_keeps_both() {
    check_integrity(|handle| async move {
        let (client, server) = pair(&handle).await;
        client.write(|out| out.extend_from_slice(b"one "));
        client.write(|out| {
            out.extend_from_slice(b"two ");
            client.write(|out| out.extend_from_slice(b"three"));
        });
        client.shutdown_write();
        assert_eq!(receive_all(&server).await, b"one two three");
    });
}

/// The end of a peer is seen without taking anything, and not as long as something waits to be received.
#[test]
fn an_end_is_seen_behind_nothing() {
    check_integrity(|handle| async move {
        let (client, server) = pair(&handle).await;
        let client = Rc::new(client);
        let ended =
            |stream: Rc<Stream>| async move { std::future::poll_fn(|cx| stream.poll_ended(cx)).await };
        let seen = Rc::new(Cell::new(false));
        server.write(|out| out.extend_from_slice(b"unread"));
        server.flushed().await.unwrap();
        client.readable().await.unwrap();
        // It has bytes to be received: watching for its end takes none of them and shows them to nobody.
        let watching = std::future::poll_fn(|cx| std::task::Poll::Ready(client.poll_ended(cx).is_ready()));
        assert!(!watching.await);
        assert_eq!(receive_exactly(&client, 6).await, b"unread");
        let (watched, noted) = (client.clone(), seen.clone());
        let watcher = spawn(&handle, async move {
            ended(watched).await;
            noted.set(true);
        });
        handle.yield_now().await;
        assert!(!seen.get());
        server.shutdown_write();
        watcher.await;
        assert!(seen.get());
        drop(server);
    });
}
