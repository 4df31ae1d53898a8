//! What holds whatever goes wrong.

use super::*;

/// What a run shows: each arrival with its time.
type Trace = Vec<(u64, usize)>;

/// Echoes on a few connections and notes what arrives when.
fn trace(mut runtime: Runtime) -> (Trace, crate::Stats, Clock) {
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
    let [memory, simulated] = [
        Runtime::start_memory(&options()).unwrap(),
        Runtime::start_simulated(&options(), Faults::none()).unwrap(),
    ]
    .map(|runtime| {
        let (trace, stats, clock) = trace(runtime);
        // What is under way has memory of its own, so that the pool is asked less often.
        (trace, crate::Stats { buffers_pooled: 0, buffers_allocated: 0, ..stats }, clock)
    });
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
