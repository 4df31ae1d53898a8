//! What concerns a whole process and cannot share it with other tests: descriptors, limits, forbidden system calls. One
//! test at a time runs here.

use runtime::{DriverChoice, DriverKind, Error, Handle, Options, Received, Runtime, Stream};
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn localhost() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// Runs a test with each driver that is permitted here.
#[track_caller]
fn check<T: Future<Output = ()>>(test: impl Fn(Handle) -> T) {
    for driver in [DriverChoice::Uring, DriverChoice::UringNoDefer, DriverChoice::Epoll] {
        let mut runtime = match Runtime::start(&Options { driver, ..Options::default() }) {
            Ok(runtime) => runtime,
            Err(error) if driver != DriverChoice::Epoll => {
                println!("skipped: {driver:?} is not permitted here: {error}");
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        let handle = runtime.handle();
        runtime.block_on(test(handle)).unwrap();
    }
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

async fn pair(handle: &Handle) -> (Stream, Stream) {
    let listener = handle.listen_at(localhost()).unwrap();
    let client = handle.connect(listener.local_addr()).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

/// Connections of all fates: closed, dropped with bytes unread and unsent, refused, cancelled, never accepted.
async fn every_fate(handle: Handle) {
    for round in 0..20 {
        let (client, server) = pair(&handle).await;
        client.write(|out| out.extend_from_slice(b"hello"));
        match round % 4 {
            0 => client.flushed().await.unwrap(),
            1 => {
                let received = server.receive(|bytes| (bytes.len(), ())).await.unwrap();
                assert_eq!(received, Received::Bytes(()));
            }
            2 => client.write(|out| out.resize(4_000_000, 0)),
            _ => server.abort(),
        }
    }
    let listener = handle.listen_at(localhost()).unwrap();
    let address = listener.local_addr();
    drop(handle.connect(address));
    let waiting = handle.connect(address).await.unwrap();
    handle.sleep(Duration::from_millis(20)).await;
    drop((listener, waiting));
    handle.sleep(Duration::from_millis(20)).await;
    assert!(handle.connect(address).await.is_err());
}

#[test]
fn every_descriptor_is_closed() {
    let _alone = alone();
    // Whatever the standard library opens once is open by then.
    drop(TcpListener::bind(localhost()).unwrap());
    let before = open_descriptors();
    check(|handle| async move {
        let running = open_descriptors();
        every_fate(handle.clone()).await;
        // What is cancelled is closed a turn or two later.
        while handle.stats().sockets_open > 0 {
            handle.yield_now().await;
        }
        handle.sleep(Duration::from_millis(20)).await;
        assert_eq!(open_descriptors(), running, "descriptors left by {}", handle.driver().as_str());
    });
    assert_eq!(open_descriptors(), before, "descriptors left by a runtime");
    // The same when the runtime goes in the middle of it.
    check(|handle| async move {
        let (client, server) = pair(&handle).await;
        client.write(|out| out.resize(4_000_000, 0));
        handle.spawn(async move {
            let _streams = (client, server);
            std::future::pending::<()>().await;
        });
        handle.spawn(every_fate(handle.clone()));
        handle.yield_now().await;
    });
    assert_eq!(open_descriptors(), before, "descriptors left by a runtime that went early");
}

/// Sets how many descriptors this process may have.
fn limit_descriptors(soft: libc::rlim_t) -> libc::rlim_t {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a limit that lives during the call.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) }, 0);
    let before = limit.rlim_cur;
    limit.rlim_cur = soft;
    // SAFETY: as above.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    before
}

#[test]
fn accepting_backs_off_when_descriptors_run_out() {
    let _alone = alone();
    check(|handle| async move {
        let listener = TcpListener::bind(localhost()).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let before = limit_descriptors(0);
        let listener = handle.listen(listener).unwrap();
        let turns = handle.stats().turns;
        let alarm = handle.alarm();
        alarm.set(handle.now().mono_ns + 250_000_000);
        let accepted = alarm.guard(listener.accept()).await;
        let stats = handle.stats();
        limit_descriptors(before);
        assert!(accepted.is_err(), "accepted without a descriptor");
        assert!(stats.accept_pauses >= 1);
        assert!(stats.turns - turns < 50, "{} turns: it spins", stats.turns - turns);
        let (_, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    });
}

/// Forbids this thread the system calls of io_uring, as the default profiles of container engines do.
fn forbid_io_uring() {
    let load = |offset: u32| libc::sock_filter { code: 0x20, jt: 0, jf: 0, k: offset };
    let equals = |value: u32, then: u8| libc::sock_filter { code: 0x15, jt: then, jf: 0, k: value };
    let answer = |value: u32| libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: value };
    let mut filter = [
        load(0),
        equals(libc::SYS_io_uring_setup as u32, 3),
        equals(libc::SYS_io_uring_enter as u32, 2),
        equals(libc::SYS_io_uring_register as u32, 1),
        answer(libc::SECCOMP_RET_ALLOW),
        answer(libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: no memory is passed.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    // SAFETY: the program and its filter live during the call, which copies them.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) };
    assert_eq!(result, 0);
}

#[test]
fn without_io_uring_it_steps_down_and_says_so() {
    let _alone = alone();
    std::thread::spawn(|| {
        forbid_io_uring();
        let mut runtime = Runtime::start(&Options::default()).unwrap();
        assert_eq!(runtime.driver(), DriverKind::Epoll);
        let reason = runtime.fell_back().unwrap();
        assert!(reason.contains("uring") && reason.contains("not permitted"), "{reason}");
        let handle = runtime.handle();
        runtime
            .block_on(async {
                let (client, server) = pair(&handle).await;
                client.write(|out| out.push(1));
                assert_eq!(server.receive(|bytes| (1, bytes[0])).await.unwrap(), Received::Bytes(1));
            })
            .unwrap();
        drop(runtime);
        // Who asks for it by name gets it or nothing.
        for driver in [DriverChoice::Uring, DriverChoice::UringNoDefer] {
            match Runtime::start(&Options { driver, ..Options::default() }) {
                Err(Error::Start { source, .. }) => assert_eq!(source.raw_os_error(), Some(libc::EPERM)),
                Err(error) => panic!("{error}"),
                Ok(_) => panic!("started"),
            }
        }
        // And the thread is free.
        assert!(Runtime::start(&Options { driver: DriverChoice::Epoll, ..Options::default() }).is_ok());
    })
    .join()
    .unwrap();
}
