//! Connections coming and going.

use super::*;
use std::io::Read;
use std::net::TcpStream;

#[test]
fn nobody_listens() {
    check(|handle| async move {
        let listener = listen(&handle);
        let address = listener.local_addr();
        drop(listener);
        // The driver closes the descriptor when the kernel is done with it.
        handle.sleep(Duration::from_millis(20)).await;
        let error = handle.connect(address).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(handle.stats().sockets_open, 0);
    });
}

#[test]
fn a_dropped_connect_is_closed() {
    check_integrity(|handle| async move {
        let listener = listen(&handle);
        for polled in [false, true] {
            let mut connect = Box::pin(handle.connect(listener.local_addr()));
            if polled {
                poll_fn(|cx| Poll::Ready(connect.as_mut().poll(cx).is_ready())).await;
            }
            drop(connect);
        }
        handle.sleep(Duration::from_millis(20)).await;
        // What of them came through ends at once; the one that follows is whole.
        let client = handle.connect(listener.local_addr()).await.unwrap();
        client.write(|out| out.extend_from_slice(b"!"));
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            match receive_some(&stream).await {
                Ok(bytes) if bytes == b"!" => break,
                Ok(bytes) => assert_eq!(bytes, b""),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
            }
        }
        drop(client);
    });
}

#[test]
fn a_connection_dropped_on_the_way_frees_its_socket() {
    // An address of the documentation net (RFC 5737): on a machine without a route it fails at once, with one it hangs.
    // Both must leave nothing behind.
    check_with(&KERNEL, &options(), |handle| async move {
        let alarm = handle.alarm();
        alarm.set(handle.now().mono_ns + 20_000_000);
        let result = alarm.guard(handle.connect("192.0.2.1:9".parse().unwrap())).await;
        assert!(!matches!(result, Ok(Ok(_))), "nobody can be there");
        handle.sleep(Duration::from_millis(20)).await;
        assert_eq!(handle.stats().sockets_open, 0);
    });
}

#[test]
fn closing_hands_out_what_was_accepted() {
    check_integrity(|handle| async move {
        let listener = listen(&handle);
        let mut clients = Vec::new();
        for index in 0..20_u8 {
            let client = handle.connect(listener.local_addr()).await.unwrap();
            client.write(|out| out.push(index));
            clients.push(client);
        }
        listener.close();
        listener.close();
        for _ in 0..clients.len() {
            let (stream, _) = listener.accept().await.unwrap();
            assert_eq!(receive_some(&stream).await.unwrap().len(), 1);
        }
        let error = listener.accept().await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::NotConnected);
        let error = handle.connect(listener.local_addr()).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn closing_wakes_who_accepts() {
    check(|handle| async move {
        let listener = Rc::new(listen(&handle));
        let accepting = listener.clone();
        let accept = spawn(&handle, async move { accepting.accept().await.map(drop) });
        handle.yield_now().await;
        listener.close();
        assert_eq!(accept.await.unwrap_err().kind(), io::ErrorKind::NotConnected);
    });
}

#[test]
fn more_connect_than_the_queue_holds() {
    let options = Options { accept_queue_max: 4, ..options() };
    check_with(&KERNEL, &options, |handle| async move {
        let listener = listen(&handle);
        let address = listener.local_addr();
        // Plain sockets of the system, so that nothing but the listener runs in this reactor.
        let clients: Vec<_> = (0..50).map(|_| TcpStream::connect(address).unwrap()).collect();
        handle.sleep(Duration::from_millis(30)).await;
        let mut streams = Vec::new();
        for _ in 0..clients.len() {
            streams.push(listener.accept().await.unwrap());
        }
        assert_eq!(handle.stats().sockets_open, 50);
        drop(streams);
        for mut client in clients {
            // The reactor has to close them before they see the end.
            handle.yield_now().await;
            client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            handle.sleep(Duration::from_millis(1)).await;
            assert_eq!(client.read(&mut [0]).unwrap(), 0);
        }
    });
}

#[test]
fn accepting_waits_while_sockets_run_out() {
    let options = Options { sockets_max: 4, ..options() };
    check_with(&KERNEL, &options, |handle| async move {
        let listener = listen(&handle);
        let clients: Vec<_> = (0..8).map(|_| TcpStream::connect(listener.local_addr()).unwrap()).collect();
        let mut streams = Vec::new();
        for _ in 0..4 {
            streams.push(listener.accept().await.unwrap());
        }
        let error = handle.connect(listener.local_addr()).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
        let alarm = handle.alarm();
        alarm.set(handle.now().mono_ns + 30_000_000);
        assert!(alarm.guard(listener.accept()).await.is_err(), "a fifth was accepted");
        // One goes, and who waits gets its place.
        let waiting = spawn(&handle, async move { (listener.accept().await.is_ok(), listener) });
        handle.yield_now().await;
        streams.pop();
        assert!(waiting.await.0);
        drop(clients);
    });
}

#[test]
fn what_waits_is_closed_with_its_listener() {
    check(|handle| async move {
        let listener = listen(&handle);
        let client = handle.connect(listener.local_addr()).await.unwrap();
        handle.sleep(Duration::from_millis(20)).await;
        drop(listener);
        match receive_some(&client).await {
            Ok(bytes) => assert_eq!(bytes, b""),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
        }
    });
}

#[test]
fn a_memory_reactor_takes_no_socket_of_the_system() {
    check_with(&[DriverKind::Memory], &options(), |handle| async move {
        let listener = std::net::TcpListener::bind(localhost()).unwrap();
        assert_eq!(handle.listen(listener).err().unwrap().kind(), io::ErrorKind::Unsupported);
        let listener = listen(&handle);
        let again = handle.listen_at(listener.local_addr());
        assert_eq!(again.err().unwrap().kind(), io::ErrorKind::AddrInUse);
    });
}
