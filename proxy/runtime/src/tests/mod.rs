//! Tests that every driver must pass: one harness, each test a function of a handle.

mod accepting;
mod cancellation;
mod resources;
mod simulated;
mod streams;
mod tasks;
mod timers;

use crate::simulated::{Faults, for_each_seed};
use crate::{Clock, DriverChoice, DriverKind, Handle, Listener, Options, Received, Runtime, Stream};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// Longer than any test takes; ends one that hangs.
const WATCHDOG: Duration = Duration::from_secs(60);

/// Small rings, so that many tests may run at once.
fn options() -> Options {
    Options { ring_entries: 256, ring_buffers: 64, ring_buffer_bytes: 4096, ..Options::default() }
}

/// Starts a driver, or says why it is not permitted here.
fn start(kind: DriverKind, options: &Options) -> Option<Runtime> {
    let driver = match kind {
        DriverKind::Memory => return Some(Runtime::start_memory(options).unwrap()),
        DriverKind::Simulated => return Some(Runtime::start_simulated(options, Faults::none()).unwrap()),
        DriverKind::UringDefer => DriverChoice::Uring,
        DriverKind::Uring => DriverChoice::UringNoDefer,
        DriverKind::Epoll => DriverChoice::Epoll,
    };
    match Runtime::start(&Options { driver, ..options.clone() }) {
        Ok(runtime) if runtime.driver() == kind => Some(runtime),
        Ok(runtime) => {
            println!("skipped: {} is not permitted here: {}", kind.as_str(), runtime.driver().as_str());
            None
        }
        Err(error) if kind != DriverKind::Epoll => {
            println!("skipped: {} is not permitted here: {error}", kind.as_str());
            None
        }
        Err(error) => panic!("{error}"),
    }
}

const KERNEL: [DriverKind; 3] = [DriverKind::UringDefer, DriverKind::Uring, DriverKind::Epoll];
const ALL: [DriverKind; 5] =
    [DriverKind::UringDefer, DriverKind::Uring, DriverKind::Epoll, DriverKind::Memory, DriverKind::Simulated];

/// Faulty runs of every test on the simulated driver, and of those whose subject is that nothing is lost.
const SEEDS: u64 = 4;
const SEEDS_OF_INTEGRITY: u64 = 256;

/// Whether time is a number.
fn is_virtual(kind: DriverKind) -> bool {
    matches!(kind, DriverKind::Memory | DriverKind::Simulated)
}

/// Runs a test on each of `kinds`; on the simulated driver also with faults that lose no connection.
#[track_caller]
fn check_with<T: Future<Output = ()>>(kinds: &[DriverKind], options: &Options, test: impl Fn(Handle) -> T) {
    check_seeds(kinds, options, SEEDS, test);
}

#[track_caller]
fn check_seeds<T: Future<Output = ()>>(
    kinds: &[DriverKind],
    options: &Options,
    seeds: u64,
    test: impl Fn(Handle) -> T,
) {
    for &kind in kinds {
        if let Some(runtime) = start(kind, options) {
            check_on(runtime, &test);
        }
        if kind == DriverKind::Simulated {
            for_each_seed(seeds, |seed| {
                check_on(Runtime::start_simulated(options, Faults::lossless(seed)).unwrap(), &test);
            });
        }
    }
}

#[track_caller]
fn check_on<T: Future<Output = ()>>(mut runtime: Runtime, test: impl Fn(Handle) -> T) {
    let (kind, handle) = (runtime.driver(), runtime.handle());
    let watchdog = handle.alarm();
    if !is_virtual(kind) {
        // In memory time would jump to it, and a test that hangs is told anyway.
        watchdog.set(handle.now().mono_ns + WATCHDOG.as_nanos() as u64);
    }
    let done = runtime.block_on(watchdog.guard(test(handle.clone()))).unwrap();
    assert!(done.is_ok(), "hangs on {}", kind.as_str());
    assert_eq!(handle.stats().task_panics, 0, "a task panicked on {}", kind.as_str());
}

/// Runs a test on every driver.
#[track_caller]
fn check<T: Future<Output = ()>>(test: impl Fn(Handle) -> T) {
    check_with(&ALL, &options(), test);
}

/// Runs a test on every driver, and with many seeds.
#[track_caller]
fn check_integrity<T: Future<Output = ()>>(test: impl Fn(Handle) -> T) {
    check_seeds(&ALL, &options(), SEEDS_OF_INTEGRITY, test);
}

fn localhost() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn listen(handle: &Handle) -> Listener {
    handle.listen_at(localhost()).unwrap()
}

/// Both ends of a connection: who connected, who accepted.
async fn pair(handle: &Handle) -> (Stream, Stream) {
    let listener = listen(handle);
    let client = handle.connect(listener.local_addr()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (client, server)
}

/// Takes everything that a receive shows.
async fn receive_some(stream: &Stream) -> io::Result<Vec<u8>> {
    Ok(match stream.receive(|bytes| (bytes.len(), bytes.to_vec())).await? {
        Received::Bytes(bytes) => bytes,
        Received::End => Vec::new(),
    })
}

/// Receives exactly `length` bytes.
async fn receive_exactly(stream: &Stream, length: usize) -> Vec<u8> {
    let mut got = Vec::new();
    while got.len() < length {
        let left = length - got.len();
        let received = stream
            .receive(|bytes| {
                let n = bytes.len().min(left);
                got.extend_from_slice(&bytes[..n]);
                (n, ())
            })
            .await
            .unwrap();
        assert_eq!(received, Received::Bytes(()), "the stream ended after {} of {length} bytes", got.len());
    }
    got
}

/// Receives until the end.
async fn receive_all(stream: &Stream) -> Vec<u8> {
    let mut got = Vec::new();
    loop {
        let bytes = receive_some(stream).await.unwrap();
        if bytes.is_empty() {
            return got;
        }
        got.extend_from_slice(&bytes);
    }
}

/// Sends back whatever comes, until the end.
async fn echo(stream: Stream) {
    while let Ok(Received::Bytes(())) = stream
        .receive(|bytes| {
            stream.write(|out| out.extend_from_slice(bytes));
            (bytes.len(), ())
        })
        .await
    {
        stream.sent_below(256 * 1024).await.unwrap();
    }
    stream.shutdown_write();
    stream.flushed().await.unwrap();
}

/// Runs `task` beside the test; awaiting the result gives its output.
fn spawn<T: 'static>(handle: &Handle, task: impl Future<Output = T> + 'static) -> impl Future<Output = T> {
    let result = Rc::new(RefCell::new((None, None::<std::task::Waker>)));
    let cell = result.clone();
    handle.spawn(async move {
        let output = task.await;
        let (slot, waker) = &mut *cell.borrow_mut();
        *slot = Some(output);
        waker.take().into_iter().for_each(std::task::Waker::wake);
    });
    poll_fn(move |cx| {
        let (slot, waker) = &mut *result.borrow_mut();
        match slot.take() {
            Some(output) => Poll::Ready(output),
            None => {
                *waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    })
}

/// Bytes that show where each of them belongs.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

fn elapsed(handle: &Handle, since: Clock) -> Duration {
    Duration::from_nanos(handle.now().mono_ns - since.mono_ns)
}
