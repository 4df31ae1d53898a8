//! Dropping a pending receive loses nothing: received bytes belong to the socket.

use super::*;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::pin::pin;

/// Polls `future` once in each of `turns` turns and drops it if it is not done by then.
async fn for_turns<F: Future>(handle: &Handle, turns: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..turns {
        let output = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(output) = output {
            return Some(output);
        }
        handle.yield_now().await;
    }
    None
}

/// A receive is pending, the byte and the deadline come while the core is busy, and the deadline is looked at first.
#[test]
fn a_byte_that_comes_with_the_deadline_is_kept() {
    check_with(&KERNEL, &options(), |handle| async move {
        let listener = handle.listen(TcpListener::bind(localhost()).unwrap()).unwrap();
        let mut client = TcpStream::connect(listener.local_addr()).unwrap();
        let (server, _) = listener.accept().await.unwrap();
        // The receive is with the kernel.
        assert!(for_turns(&handle, 2, server.readable()).await.is_none());
        for byte in 0..50_u8 {
            let alarm = handle.alarm();
            alarm.set(handle.now().mono_ns + 1);
            {
                let mut receive = pin!(receive_some(&server));
                let mut sent = false;
                poll_fn(|cx| {
                    if alarm.poll_expired(cx).is_ready() {
                        return Poll::Ready(());
                    }
                    assert!(receive.as_mut().poll(cx).is_pending());
                    if !std::mem::replace(&mut sent, true) {
                        client.write_all(&[byte]).unwrap();
                        let started = std::time::Instant::now();
                        while started.elapsed() < Duration::from_micros(200) {
                            std::hint::spin_loop();
                        }
                    }
                    Poll::Pending
                })
                .await;
            }
            assert_eq!(receive_some(&server).await.unwrap(), [byte]);
        }
    });
}

/// Thousands of receives are dropped at every point of a stream of single bytes.
#[test]
fn no_byte_is_lost_whenever_receives_are_dropped() {
    check_with(&KERNEL, &options(), |handle| async move {
        const BYTES: usize = 4000;
        let listener = handle.listen(TcpListener::bind(localhost()).unwrap()).unwrap();
        let mut client = TcpStream::connect(listener.local_addr()).unwrap();
        client.set_nodelay(true).unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let sender = std::thread::spawn(move || {
            for (index, byte) in pattern(BYTES).into_iter().enumerate() {
                client.write_all(&[byte]).unwrap();
                // Uneven gaps without sleeping: bytes fall anywhere into the reader's turns.
                for _ in 0..(index % 37) * 40 {
                    std::hint::spin_loop();
                }
            }
        });
        let (mut got, mut dropped) = (Vec::new(), 0);
        while got.len() < BYTES {
            match for_turns(&handle, 1 + got.len() % 3, receive_some(&server)).await {
                Some(bytes) => got.extend_from_slice(&bytes.unwrap()),
                None => dropped += 1,
            }
        }
        sender.join().unwrap();
        assert!(got == pattern(BYTES), "bytes were lost");
        assert!(dropped > 0, "no receive was ever dropped");
    });
}

/// The same with both ends in the runtime, bulk data, and readers that leave a part.
#[test]
fn no_byte_is_lost_when_receives_of_bulk_data_are_dropped() {
    check(|handle| async move {
        const BYTES: usize = 3_000_000;
        let (client, server) = pair(&handle).await;
        let sender = spawn(&handle, async move {
            for chunk in pattern(BYTES).chunks(7777) {
                client.write(|out| out.extend_from_slice(chunk));
                client.sent_below(100_000).await.unwrap();
            }
            client.flushed().await.unwrap();
            client
        });
        let mut got = Vec::new();
        while got.len() < BYTES {
            let receive = server.receive(|bytes| {
                let n = bytes.len().min(50_000);
                (n, bytes[..n].to_vec())
            });
            if let Some(received) = for_turns(&handle, got.len() % 4, receive).await
                && let Received::Bytes(bytes) = received.unwrap()
            {
                got.extend_from_slice(&bytes);
            } else {
                handle.yield_now().await;
                // Nothing was polled, or nothing was there: on to the next, with another phase.
                if let Some(Received::Bytes(byte)) = server.try_receive(|bytes| (1, bytes[0])).unwrap() {
                    got.push(byte);
                }
            }
        }
        assert!(got == pattern(BYTES), "bytes were lost or moved");
        drop(sender.await);
    });
}

#[test]
fn a_guarded_receive_goes_on_after_its_deadline() {
    check_integrity(|handle| async move {
        let (client, server) = pair(&handle).await;
        let alarm = handle.alarm();
        for round in 0..3_u8 {
            alarm.set(handle.now().mono_ns + 5_000_000);
            assert!(alarm.guard(receive_some(&server)).await.is_err());
            client.write(|out| out.push(round));
            alarm.set(handle.now().mono_ns + 10_000_000_000);
            assert_eq!(alarm.guard(receive_some(&server)).await.unwrap().unwrap(), [round]);
        }
    });
}
